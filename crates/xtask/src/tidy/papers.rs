//! Files beside the code that must agree with it or with each other: manifests, migrations, the list of crates, the
//! lock file.

use std::collections::BTreeSet;

use crate::workspace::{Workspace, entries};

/// Packages that must not enter the tree: a second TLS stack or a second native crypto library.
const BANNED: &[&str] = &["openssl-sys", "native-tls", "libsodium-sys"];

pub fn check(workspace: &Workspace) -> Result<Vec<String>, String> {
    let mut problems = package_names(workspace);
    problems.extend(listed_crates(workspace, &workspace.text("crates/README.md")?));
    problems.extend(paired_migrations(workspace)?);
    problems.extend(banned_packages(&workspace.text("Cargo.lock")?));
    Ok(problems)
}

fn package_names(workspace: &Workspace) -> Vec<String> {
    let unprefixed = ["chancery", "xtask"];
    let wrong = workspace.members.iter().filter(|member| {
        let expected = if unprefixed.contains(&member.name.as_str()) {
            member.name.clone()
        } else {
            format!("chancery-{}", member.name)
        };
        member.package != expected
    });
    wrong.map(|member| format!("crates/{}/Cargo.toml: the package is called {}", member.name, member.package)).collect()
}

/// `crates/README.md` has one row for each crate.
fn listed_crates(workspace: &Workspace, readme: &str) -> Vec<String> {
    let listed: Vec<&str> =
        readme.lines().filter(|line| line.starts_with('|')).filter_map(|line| line.split('`').nth(1)).collect();
    let mut problems = Vec::new();
    for member in &workspace.members {
        match listed.iter().filter(|name| **name == member.name).count() {
            1 => {}
            0 => problems.push(format!("crates/README.md: {} is missing", member.name)),
            _ => problems.push(format!("crates/README.md: {} stands there twice", member.name)),
        }
    }
    let gone = listed.iter().filter(|name| !workspace.members.iter().any(|member| member.name == **name));
    problems.extend(gone.map(|name| format!("crates/README.md: there is no crates/{name}")));
    problems
}

/// Both databases are migrated by files of the same names, so that a step is never forgotten on one of them.
fn paired_migrations(workspace: &Workspace) -> Result<Vec<String>, String> {
    let names = |database: &str| -> Result<BTreeSet<String>, String> {
        let directory = workspace.root.join("crates/store/migrations").join(database);
        let files = entries(&directory)?;
        Ok(files.iter().filter_map(|path| Some(path.file_name()?.to_string_lossy().into_owned())).collect())
    };
    let (sqlite, postgres) = (names("sqlite")?, names("postgres")?);
    let mut problems = Vec::new();
    if sqlite.is_empty() {
        problems.push("crates/store/migrations/sqlite: no migrations".to_owned());
    }
    for (present, absent, missing) in
        [("sqlite", "postgres", &sqlite - &postgres), ("postgres", "sqlite", &postgres - &sqlite)]
    {
        problems.extend(
            missing.iter().map(|name| format!("crates/store/migrations: {name} is in {present}, not in {absent}")),
        );
    }
    Ok(problems)
}

fn banned_packages(lock: &str) -> Vec<String> {
    let locked = |package: &&&str| lock.lines().any(|line| line == format!("name = \"{package}\""));
    BANNED.iter().filter(locked).map(|package| format!("Cargo.lock: {package} has come into the tree")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn world(files: &[(&str, &str)]) -> (tempfile::TempDir, Workspace) {
        let folder = tempfile::tempdir().expect("a temporary folder");
        for (path, text) in files {
            let path = folder.path().join(path);
            std::fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
            std::fs::write(path, text).expect("a file");
        }
        let workspace = Workspace::read(folder.path()).expect("a workspace");
        (folder, workspace)
    }

    const STORE: (&str, &str) = ("crates/store/Cargo.toml", "[package]\nname = \"chancery-store\"\n");

    #[test]
    fn migrations_of_both_databases_have_the_same_names() {
        let (_folder, workspace) = world(&[
            STORE,
            ("crates/store/migrations/sqlite/0001_first.sql", ""),
            ("crates/store/migrations/sqlite/0002_second.sql", ""),
            ("crates/store/migrations/postgres/0001_first.sql", ""),
        ]);
        assert_eq!(
            paired_migrations(&workspace).expect("read"),
            ["crates/store/migrations: 0002_second.sql is in sqlite, not in postgres"]
        );
    }

    #[test]
    fn the_list_of_crates_is_complete_and_true() {
        let (_folder, workspace) = world(&[STORE]);
        assert!(listed_crates(&workspace, "| 2 | `store` | rows |\n").is_empty());
        assert_eq!(
            listed_crates(&workspace, "| 2 | `sieve` | rows |\n"),
            ["crates/README.md: store is missing", "crates/README.md: there is no crates/sieve"]
        );
    }

    #[test]
    fn a_second_crypto_library_is_seen_in_the_lock_file() {
        assert_eq!(banned_packages("[[package]]\nname = \"openssl-sys\"\n").len(), 1);
        assert!(banned_packages("[[package]]\nname = \"rustls\"\n").is_empty());
    }

    #[test]
    fn a_package_is_called_after_its_folder() {
        let (_folder, workspace) = world(&[("crates/store/Cargo.toml", "[package]\nname = \"store\"\n")]);
        assert_eq!(package_names(&workspace), ["crates/store/Cargo.toml: the package is called store"]);
    }
}
