//! Files this program reads and writes. A secret is never readable by anybody else, at no moment, and nothing is
//! overwritten unless that was asked for.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;

use crate::error::CliError;

/// Enough for any certificate, request, bundle or credentials file.
const TEXT_BYTES_MAX: u64 = 1024 * 1024;

/// Who may read a new file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Mode 0644 before the umask.
    Public,
    /// Mode 0600.
    Private,
}

/// What to do about a file that is already there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Existing {
    Keep,
    Replace,
}

/// The text of a file, `-` meaning standard input.
pub fn read_text(path: &Path) -> Result<String, CliError> {
    let fail = |source| CliError::file("read", path, source);
    let reader: Box<dyn io::Read> =
        if path == Path::new("-") { Box::new(io::stdin()) } else { Box::new(File::open(path).map_err(fail)?) };
    let mut text = String::new();
    let length = reader.take(TEXT_BYTES_MAX + 1).read_to_string(&mut text).map_err(fail)?;
    if u64::try_from(length).unwrap_or(u64::MAX) > TEXT_BYTES_MAX {
        return Err(fail(io::Error::new(io::ErrorKind::FileTooLarge, "it is larger than 1 MiB")));
    }
    Ok(text)
}

/// The bytes of a file of at most so many.
pub fn read_bytes(path: &Path, most: u64) -> Result<Vec<u8>, CliError> {
    let fail = |source| CliError::file("read", path, source);
    let mut bytes = Vec::new();
    let length = File::open(path).map_err(fail)?.take(most + 1).read_to_end(&mut bytes).map_err(fail)?;
    if u64::try_from(length).unwrap_or(u64::MAX) > most {
        let text = format!("it is larger than {} KiB", most / 1024);
        return Err(fail(io::Error::new(io::ErrorKind::FileTooLarge, text)));
    }
    Ok(bytes)
}

/// Writes a whole file and waits until it is on disk. A replaced file is swapped in one step, so that nobody ever sees
/// half of it and its new mode holds from the first byte on.
pub fn write(path: &Path, contents: &[u8], access: Access, existing: Existing) -> Result<(), CliError> {
    write_bytes(path, contents, access, existing).map_err(|source| CliError::file("write", path, source))
}

fn write_bytes(path: &Path, contents: &[u8], access: Access, existing: Existing) -> io::Result<()> {
    let mode = match access {
        Access::Public => 0o644,
        Access::Private => 0o600,
    };
    if existing == Existing::Keep {
        return create(path, contents, mode);
    }
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.new", std::process::id()));
    let fresh = path.with_file_name(name);
    create(&fresh, contents, mode).and_then(|()| fs::rename(&fresh, path)).inspect_err(|_| {
        let _ = fs::remove_file(&fresh);
    })
}

fn create(path: &Path, contents: &[u8], mode: u32) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
    file.write_all(contents)?;
    file.sync_all()
}

/// Makes a directory and those above it; new ones are for the owner only.
pub fn create_directory(path: &Path) -> Result<(), CliError> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(|source| CliError::file("create the directory", path, source))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn a_private_file_is_for_its_owner_only() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key.pem");
        write(&path, b"secret", Access::Private, Existing::Keep).unwrap();
        assert_eq!(mode(&path), 0o600);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        write(&path, b"newer", Access::Private, Existing::Replace).unwrap();
        assert_eq!((mode(&path), fs::read(&path).unwrap()), (0o600, b"newer".to_vec()));
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1, "no temporary file stays behind");
    }

    #[test]
    fn an_existing_file_is_kept_unless_asked() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("certificate.pem");
        write(&path, b"first", Access::Public, Existing::Keep).unwrap();
        let error = write(&path, b"second", Access::Public, Existing::Keep).unwrap_err();
        assert_eq!((error.exit_code(), fs::read(&path).unwrap()), (1, b"first".to_vec()));
    }

    #[test]
    fn a_huge_file_is_not_read() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("huge");
        fs::write(&path, vec![b'a'; 1024 * 1024 + 1]).unwrap();
        assert!(read_text(&path).unwrap_err().to_string().contains("larger than 1 MiB"));
    }
}
