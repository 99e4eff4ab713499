//! What the written pages claim: links lead somewhere, and a promise of `SECURITY.md` has the test that it names.

use std::collections::HashSet;
use std::path::Path;

use crate::workspace::{Workspace, entries};

pub fn check(workspace: &Workspace, sources: &[(String, String)]) -> Result<Vec<String>, String> {
    let mut problems = Vec::new();
    for path in pages(workspace)? {
        let text = workspace.text(&path)?;
        let folder = workspace.root.join(&path);
        let folder = folder.parent().unwrap_or(&workspace.root);
        problems.extend(dead_links(&text, folder).into_iter().map(|link| format!("{path}: {link} leads nowhere")));
    }
    problems.extend(broken_promises(&workspace.text("SECURITY.md")?, sources));
    Ok(problems)
}

/// Markdown files of the root, of `crates/` and below `docs/`.
fn pages(workspace: &Workspace) -> Result<Vec<String>, String> {
    let mut found = entries(&workspace.root)?;
    found.extend(entries(&workspace.root.join("crates"))?);
    let mut waiting = vec![workspace.root.join("docs")];
    while let Some(folder) = waiting.pop() {
        let (folders, files): (Vec<_>, Vec<_>) = entries(&folder)?.into_iter().partition(|path| path.is_dir());
        waiting.extend(folders);
        found.extend(files);
    }
    let pages = found.into_iter().filter(|path| path.extension().is_some_and(|extension| extension == "md"));
    Ok(pages.map(|path| path.strip_prefix(&workspace.root).unwrap_or(&path).to_string_lossy().into_owned()).collect())
}

/// Relative link targets of a page that do not exist.
fn dead_links(text: &str, folder: &Path) -> Vec<String> {
    let targets = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    let local = targets.filter(|target| !target.contains("://") && !target.starts_with('#') && !target.contains('\n'));
    let missing = local.filter(|target| !folder.join(target.split('#').next().unwrap_or(target)).exists());
    missing.map(str::to_owned).collect()
}

/// In the tables of `SECURITY.md` the last cell names tests; each has to exist.
fn broken_promises(security: &str, sources: &[(String, String)]) -> Vec<String> {
    let names = sources.iter().flat_map(|(_, text)| text.split("fn ").skip(1));
    let tests: HashSet<&str> = names.filter_map(|rest| rest.split(['(', '<']).next()).collect();
    let rows = security.lines().filter(|line| line.starts_with('|')).map(|line| line.trim_end_matches(['|', ' ']));
    let cells = rows.filter_map(|row| row.rsplit('|').next());
    let named = cells.flat_map(|cell| cell.split('`').skip(1).step_by(2));
    let missing = named.filter(|name| !tests.contains(name.rsplit("::").next().unwrap_or(name)));
    missing.map(|name| format!("SECURITY.md: there is no test {name}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_have_to_lead_somewhere() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        std::fs::write(folder.path().join("here.md"), "").expect("a file");
        let text = "[a](here.md#part) [b](gone.md) [c](https://example.org/x) [d](#below)";
        assert_eq!(dead_links(text, folder.path()), ["gone.md"]);
    }

    #[test]
    fn a_promise_without_its_test_is_a_problem() {
        let page = "| promise | held by |\n|---|---|\n| one | `kept`, `store::broken` |\n";
        let sources = [("a.rs".to_owned(), "async fn kept() {}".to_owned())];
        assert_eq!(broken_promises(page, &sources), ["SECURITY.md: there is no test store::broken"]);
    }
}
