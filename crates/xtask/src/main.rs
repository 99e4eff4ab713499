//! The project's chores: `cargo xtask tidy | docs | openapi | bench issue | screenshots`.
//!
//! [`tidy`] checks what the compiler does not (floors, file lengths, paired migrations, current documents), [`documents`]
//! writes the generated references under `docs/reference`, [`bench`] measures a release server from a process of its own,
//! [`screenshots`] shows the Web UI.
//! For developers and CI; nothing depends on this crate, and no part of the product may live here.

mod bench;
mod documents;
mod screenshots;
mod tidy;
mod workspace;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use workspace::Workspace;

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Chores of this repository")]
struct Arguments {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Subcommand)]
enum Chore {
    /// Check floors, lengths, names, migrations and that generated documents are current
    Tidy,
    /// Write the generated documents under docs/reference
    Docs {
        /// Only compare, and fail when one is stale
        #[arg(long)]
        check: bool,
    },
    /// Write docs/reference/openapi.json alone
    Openapi,
    /// Measure a release build
    Bench {
        #[command(subcommand)]
        what: bench::Bench,
    },
    /// Take a picture of every screen of the Web UI
    Screenshots(screenshots::ScreenshotArguments),
}

fn main() -> ExitCode {
    match run(Arguments::parse().chore) {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("{problem}");
            ExitCode::FAILURE
        }
    }
}

fn run(chore: Chore) -> Result<(), String> {
    let workspace = Workspace::read(&workspace::root())?;
    match chore {
        Chore::Tidy => tidy::run(&workspace),
        Chore::Docs { check: true } => report("documents", &documents::stale(&workspace)),
        Chore::Docs { check: false } => {
            documents::build_binary(&workspace)?;
            documents::write(&workspace, |_| true)
        }
        Chore::Openapi => documents::write(&workspace, |path| path.ends_with("openapi.json")),
        Chore::Bench { what } => bench::run(&workspace, what),
        Chore::Screenshots(arguments) => screenshots::run(&arguments),
    }
}

/// Turns a list of problems into one answer that names them all.
fn report(checked: &str, problems: &[String]) -> Result<(), String> {
    if problems.is_empty() {
        println!("{checked}: in order");
        return Ok(());
    }
    Err(format!("{checked}: {} problems\n  {}", problems.len(), problems.join("\n  ")))
}
