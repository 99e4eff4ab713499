//! Files that this server makes or refuses: the data folder, the database file, the key-encryption key.

use std::fs::{DirBuilder, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

#[derive(Debug, thiserror::Error)]
pub enum FileError {
    #[error("{what} {path} cannot be used", path = .path.display())]
    Io { what: &'static str, path: PathBuf, source: io::Error },
    #[error(
        "{what} {path} is open to others (mode {mode:04o}); run: chmod {remedy} {path}",
        path = .path.display()
    )]
    Exposed { what: &'static str, path: PathBuf, mode: u32, remedy: &'static str },
}

/// Creates the folder for nobody but the owner, if it is missing. A folder that others can write is refused: they
/// could put another database or key in place.
pub fn prepare_data_dir(path: &Path) -> Result<(), FileError> {
    const WHAT: &str = "the data folder";
    DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(|source| failed(WHAT, path, source))?;
    check_mode(WHAT, path, 0o002, "700").map(|_| ())
}

/// Creates the database file for nobody but the owner, if it is missing; SQLite gives its companions the same mode.
/// Files that others can read, or the group can write, are refused.
pub fn prepare_database_file(path: &Path) -> Result<(), FileError> {
    const WHAT: &str = "the database file";
    for suffix in ["", "-wal", "-shm"] {
        let mut file = path.as_os_str().to_owned();
        file.push(suffix);
        check_mode(WHAT, Path::new(&file), 0o027, "600")?;
    }
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Err(source) if source.kind() != io::ErrorKind::AlreadyExists => Err(failed(WHAT, path, source)),
        _ => Ok(()),
    }
}

/// Whether a file is there with anything in it.
pub fn holds_data(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|metadata| metadata.len() > 0)
}

/// Reads a file whose contents only the owner and its group may know.
pub fn read_private(what: &'static str, path: &Path) -> Result<Vec<u8>, FileError> {
    check_mode(what, path, 0o027, "600")?;
    std::fs::read(path).map_err(|source| failed(what, path, source))
}

/// A program that this server runs: there, executable, and not for others to change.
pub fn check_program(what: &'static str, path: &Path) -> Result<(), FileError> {
    let metadata = std::fs::metadata(path).map_err(|source| failed(what, path, source))?;
    if !metadata.is_file() || metadata.permissions().mode() & 0o111 == 0 {
        return Err(failed(what, path, io::Error::other("it is not an executable file; run: chmod +x")));
    }
    check_mode(what, path, 0o022, "go-w")
}

/// Refuses if any of the bits is set. A missing file passes; whoever needs it will say so.
fn check_mode(what: &'static str, path: &Path, forbidden: u32, remedy: &'static str) -> Result<(), FileError> {
    let mode = match std::fs::metadata(path) {
        Ok(metadata) => metadata.permissions().mode() & 0o7777,
        Err(source) if source.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(source) => return Err(failed(what, path, source)),
    };
    if mode & forbidden == 0 { Ok(()) } else { Err(FileError::Exposed { what, path: path.to_owned(), mode, remedy }) }
}

pub fn failed(what: &'static str, path: &Path, source: io::Error) -> FileError {
    FileError::Io { what, path: path.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;

    use super::*;

    fn mode(path: &Path) -> u32 {
        std::fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn folder_and_database_are_made_for_the_owner_only() {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("deep/data");
        prepare_data_dir(&data).unwrap();
        prepare_database_file(&data.join("chancery.db")).unwrap();
        assert_eq!((mode(&data), mode(&data.join("chancery.db"))), (0o700, 0o600));
    }

    #[test]
    fn a_program_must_be_executable_and_its_owners_to_change() {
        let dir = tempfile::tempdir().unwrap();
        let program = dir.path().join("hook");
        let refused = || check_program("the DNS hook", &program).err().map(|it| it.to_string());
        assert!(refused().is_some_and(|it| it.contains("hook")), "missing");
        std::fs::write(&program, "#!/bin/sh\n").unwrap();
        for (bits, named) in [(0o644, "cannot be used"), (0o775, "chmod go-w"), (0o757, "chmod go-w")] {
            std::fs::set_permissions(&program, Permissions::from_mode(bits)).unwrap();
            assert!(refused().is_some_and(|it| it.contains(named)), "{bits:o}");
        }
        std::fs::set_permissions(&program, Permissions::from_mode(0o755)).unwrap();
        assert_eq!(refused(), None);
        assert!(check_program("the DNS hook", dir.path()).is_err(), "a folder");
    }

    #[test]
    fn what_others_can_reach_is_refused_with_the_remedy() {
        let dir = tempfile::tempdir().unwrap();
        let database = dir.path().join("chancery.db");
        for name in ["chancery.db", "chancery.db-wal", "chancery.db-shm"] {
            let file = dir.path().join(name);
            std::fs::write(&file, "x").unwrap();
            for bits in [0o644, 0o604, 0o660, 0o601] {
                std::fs::set_permissions(&file, Permissions::from_mode(bits)).unwrap();
                let message = prepare_database_file(&database).unwrap_err().to_string();
                assert!(message.contains(&format!("chmod 600 {}", file.display())), "{message}");
            }
            std::fs::set_permissions(&file, Permissions::from_mode(0o600)).unwrap();
            assert!(prepare_database_file(&database).is_ok(), "{name}");
        }
        std::fs::set_permissions(dir.path(), Permissions::from_mode(0o777)).unwrap();
        assert!(matches!(prepare_data_dir(dir.path()), Err(FileError::Exposed { mode: 0o777, .. })));
    }
}
