//! What the compiler does not check: the plan of the house as it stands in `ARCHITECTURE.md`, and habits that reviews
//! would otherwise have to find.

mod floors;
mod pages;
mod papers;
mod sources;

use crate::workspace::Workspace;
use crate::{documents, report};

/// Runs every check and names every problem; one finding never hides another.
pub fn run(workspace: &Workspace) -> Result<(), String> {
    let mut problems = floors::check(&workspace.text("ARCHITECTURE.md")?, &workspace.members);
    let sources = workspace.sources()?;
    problems.extend(sources::check(&sources));
    problems.extend(pages::check(workspace, &sources)?);
    problems.extend(papers::check(workspace)?);
    problems.extend(documents::stale(workspace));
    report("tidy", &problems)
}
