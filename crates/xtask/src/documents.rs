//! The generated references under `docs/reference`: written by `cargo xtask docs`, compared by `cargo xtask tidy`.
//!
//! Each is made from the code that it describes, so that it cannot say something else: the OpenAPI document and the
//! presets from the functions that serve them, the configuration from its own keys, the commands from the program's
//! help, the RFC index from the sections named in the sources.

mod audit;
mod commands;
mod rfc;

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use crate::workspace::Workspace;

/// One generated file: its path from the root and its text.
struct Document {
    path: &'static str,
    text: String,
}

fn all(workspace: &Workspace) -> Result<Vec<Document>, String> {
    let document = |path, text: String| Document { path, text: format!("{}\n", text.trim_end()) };
    Ok(vec![
        document("docs/reference/openapi.json", chancery_api::openapi()),
        document("docs/reference/configuration.md", chancery_server::Config::reference()),
        document("docs/reference/presets.md", chancery_authority::template::presets_reference()),
        document("docs/reference/audit-events.md", audit::reference()),
        document("docs/reference/cli.md", commands::reference(&binary()?)?),
        document("docs/reference/rfc.md", rfc::reference(&workspace.sources()?)),
    ])
}

/// What is wrong with the files as they stand: missing, or different from what the code says.
pub fn stale(workspace: &Workspace) -> Vec<String> {
    let documents = match all(workspace) {
        Ok(documents) => documents,
        Err(problem) => return vec![problem],
    };
    let mut problems = Vec::new();
    for Document { path, text } in documents {
        match workspace.text(path) {
            Err(_) => problems.push(format!("{path}: missing; run `cargo xtask docs`")),
            Ok(present) if present != text => {
                let line = present.lines().zip(text.lines()).take_while(|(left, right)| left == right).count() + 1;
                problems.push(format!("{path}: differs from the code at line {line}; run `cargo xtask docs`"));
            }
            Ok(_) => {}
        }
    }
    problems
}

/// Writes the documents whose path is wanted.
pub fn write(workspace: &Workspace, wanted: impl Fn(&str) -> bool) -> Result<(), String> {
    for Document { path, text } in all(workspace)?.into_iter().filter(|document| wanted(document.path)) {
        let target = workspace.root.join(path);
        if workspace.text(path).is_ok_and(|present| present == text) {
            println!("{path}: unchanged");
            continue;
        }
        if let Some(folder) = target.parent() {
            fs::create_dir_all(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        }
        fs::write(&target, text).map_err(|error| format!("{path}: {error}"))?;
        println!("{path}: written");
    }
    Ok(())
}

/// The product's program in the same build folder as this one.
fn binary() -> Result<PathBuf, String> {
    let own = std::env::current_exe().map_err(|error| format!("where this program lies: {error}"))?;
    let binary = own.with_file_name("chancery");
    if binary.is_file() { Ok(binary) } else { Err(format!("{} is not built; run `cargo build`", binary.display())) }
}

/// Brings the program up to date before its help is read.
pub fn build_binary(workspace: &Workspace) -> Result<(), String> {
    let build = ["build", "--quiet", "--package", "chancery"];
    let status = Command::new("cargo").args(build).current_dir(&workspace.root).status();
    let status = status.map_err(|error| format!("cargo: {error}"))?;
    if status.success() { Ok(()) } else { Err("the program does not build".to_owned()) }
}
