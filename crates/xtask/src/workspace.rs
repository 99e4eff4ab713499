//! The repository as data: its crates, what they depend on, and their source files.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Where the repository lies, known at build time because this program is only ever built inside it.
pub fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).unwrap_or(here).to_path_buf()
}

#[derive(Debug)]
pub struct Workspace {
    pub root: PathBuf,
    pub members: Vec<Member>,
}

/// One crate of ours, named by its folder under `crates/`.
#[derive(Debug)]
pub struct Member {
    pub name: String,
    pub package: String,
    /// Names of `[dependencies]` and `[build-dependencies]` as they stand in the manifest.
    pub dependencies: BTreeSet<String>,
    pub dev_dependencies: BTreeSet<String>,
}

impl Workspace {
    pub fn read(root: &Path) -> Result<Self, String> {
        let mut members = Vec::new();
        for directory in entries(&root.join("crates"))?.into_iter().filter(|path| path.join("Cargo.toml").is_file()) {
            members.push(Member::read(&directory)?);
        }
        Ok(Self { root: root.to_path_buf(), members })
    }

    /// The text of a file of the repository.
    pub fn text(&self, path: &str) -> Result<String, String> {
        fs::read_to_string(self.root.join(path)).map_err(|error| format!("{path}: cannot be read: {error}"))
    }

    /// Every Rust file of ours as (path from the root, text).
    pub fn sources(&self) -> Result<Vec<(String, String)>, String> {
        let mut found = Vec::new();
        let mut waiting = vec![self.root.join("crates")];
        while let Some(directory) = waiting.pop() {
            for path in entries(&directory)? {
                if path.is_dir() {
                    waiting.push(path);
                } else if path.extension().is_some_and(|extension| extension == "rs") {
                    let shown = path.strip_prefix(&self.root).unwrap_or(&path).to_string_lossy().into_owned();
                    let text = self.text(&shown)?;
                    found.push((shown, text));
                }
            }
        }
        found.sort();
        Ok(found)
    }
}

impl Member {
    fn read(directory: &Path) -> Result<Self, String> {
        let name = directory.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let path = directory.join("Cargo.toml");
        let shown = format!("crates/{name}/Cargo.toml");
        let text = fs::read_to_string(&path).map_err(|error| format!("{shown}: cannot be read: {error}"))?;
        Self::parse(name, &text).map_err(|problem| format!("{shown}: {problem}"))
    }

    pub fn parse(name: String, manifest: &str) -> Result<Self, String> {
        let manifest: toml::Table = manifest.parse().map_err(|error| format!("not TOML: {error}"))?;
        let package = manifest.get("package").and_then(|package| package.get("name")).and_then(toml::Value::as_str);
        let package = package.ok_or("no package name")?.to_owned();
        let names = |section: &str| -> BTreeSet<String> {
            let table = manifest.get(section).and_then(toml::Value::as_table);
            table.map(|table| table.keys().cloned().collect()).unwrap_or_default()
        };
        let mut dependencies = names("dependencies");
        dependencies.extend(names("build-dependencies"));
        Ok(Self { name, package, dependencies, dev_dependencies: names("dev-dependencies") })
    }
}

/// The entries of a folder in a stable order; a folder that is not there has none.
pub fn entries(directory: &Path) -> Result<Vec<PathBuf>, String> {
    if !directory.exists() {
        return Ok(Vec::new());
    }
    let read = fs::read_dir(directory).map_err(|error| format!("{}: {error}", directory.display()))?;
    let mut paths: Vec<PathBuf> = read.filter_map(Result::ok).map(|entry| entry.path()).collect();
    paths.sort();
    Ok(paths)
}
