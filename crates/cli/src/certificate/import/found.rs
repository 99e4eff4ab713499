//! Which files are meant, and what is in each. Sizes, depth and number are bounded, and links are not followed: a
//! directory that strangers may write to leads nowhere else.

use std::fs;
use std::path::{Path, PathBuf};

use chancery_pkix::pem::{self, OutsideText};

use crate::error::CliError;
use crate::files;

/// Largest file, in octets: a PEM text with its chain, or a PKCS#12 file.
const FILE_MAX: u64 = 4 * 1024 * 1024;
const FILES_MAX: usize = 100_000;
const DEPTH_MAX: usize = 32;

const ENDINGS: [&str; 6] = ["pem", "crt", "cer", "der", "p12", "pfx"];

/// A file on its way in.
pub(super) struct Found {
    pub path: PathBuf,
    pub contents: Contents,
}

pub(super) enum Contents {
    Certificates {
        /// DER, in the order of the file.
        certificates: Vec<Vec<u8>>,
        /// PEM of the first private key in the file.
        key: Option<String>,
    },
    Pkcs12(Vec<u8>),
    /// Nothing that could be imported, and why.
    Skipped(String),
    Unreadable(String),
}

/// All files that the paths lead to, sorted within each directory.
pub(super) fn find(paths: &[PathBuf], recursive: bool) -> Result<Vec<Found>, CliError> {
    let mut found = Vec::new();
    for path in paths {
        let metadata = fs::symlink_metadata(path).map_err(|source| CliError::file("read", path, source))?;
        if metadata.is_dir() {
            walk(path, recursive, 0, &mut found)?;
        } else if metadata.is_file() {
            found.push(Found { contents: contents(path), path: path.clone() });
        } else {
            let reason = "it is a link or no regular file; name the file itself".to_owned();
            found.push(Found { path: path.clone(), contents: Contents::Unreadable(reason) });
        }
    }
    Ok(found)
}

fn walk(directory: &Path, recursive: bool, depth: usize, found: &mut Vec<Found>) -> Result<(), CliError> {
    let fail = |source| CliError::file("read the directory", directory, source);
    let mut entries = fs::read_dir(directory).map_err(fail)?.collect::<Result<Vec<_>, _>>().map_err(fail)?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let (path, kind) = (entry.path(), entry.file_type().map_err(fail)?);
        if kind.is_dir() && recursive {
            if depth >= DEPTH_MAX {
                let reason = format!("it lies more than {DEPTH_MAX} directories deep");
                found.push(Found { path, contents: Contents::Skipped(reason) });
            } else {
                walk(&path, recursive, depth + 1, found)?;
            }
        } else if has_ending(&path) && !kind.is_dir() {
            if found.len() >= FILES_MAX {
                return Err(CliError::Usage(format!("There are more than {FILES_MAX} files; import them in parts")));
            }
            let contents = if kind.is_file() {
                contents(&path)
            } else {
                Contents::Skipped("it is a link or no regular file".to_owned())
            };
            found.push(Found { path, contents });
        }
    }
    Ok(())
}

fn ending(path: &Path) -> String {
    path.extension().map(|it| it.to_string_lossy().to_ascii_lowercase()).unwrap_or_default()
}

fn has_ending(path: &Path) -> bool {
    ENDINGS.contains(&ending(path).as_str())
}

fn contents(path: &Path) -> Contents {
    let bytes = match files::read_bytes(path, FILE_MAX) {
        Ok(bytes) => bytes,
        Err(error) => return Contents::Unreadable(error.to_string()),
    };
    if matches!(ending(path).as_str(), "p12" | "pfx") {
        return Contents::Pkcs12(bytes);
    }
    // DER begins with a SEQUENCE, which no text does.
    if bytes.first() == Some(&0x30) && !bytes.starts_with(b"0\n") {
        return Contents::Certificates { certificates: vec![bytes], key: None };
    }
    match String::from_utf8(bytes) {
        Ok(text) => blocks(&text),
        Err(_) => Contents::Unreadable("it is neither PEM nor DER".to_owned()),
    }
}

fn blocks(text: &str) -> Contents {
    let blocks = match pem::decode(text, OutsideText::Skip) {
        Ok(blocks) => blocks,
        Err(error) => return Contents::Unreadable(error.to_string()),
    };
    let (mut certificates, mut key) = (Vec::new(), None);
    for block in blocks {
        match block.label.as_str() {
            pem::CERTIFICATE | "X509 CERTIFICATE" => certificates.push(block.der),
            label if label.ends_with("PRIVATE KEY") && key.is_none() => key = Some(pem::encode(label, &block.der)),
            _ => {}
        }
    }
    if certificates.is_empty() {
        return Contents::Skipped("there is no certificate in it".to_owned());
    }
    Contents::Certificates { certificates, key }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn names(found: &[Found]) -> Vec<String> {
        found.iter().map(|it| it.path.file_name().unwrap().to_string_lossy().into_owned()).collect()
    }

    #[test]
    fn directories_give_their_certificate_files_and_no_links() {
        let folder = tempfile::tempdir().unwrap();
        let inner = folder.path().join("inner");
        fs::create_dir(&inner).unwrap();
        let block = pem::encode(pem::CERTIFICATE, &[0x30, 0]);
        for path in [folder.path().join("b.pem"), folder.path().join("a.CRT"), inner.join("c.der")] {
            fs::write(path, &block).unwrap();
        }
        fs::write(folder.path().join("readme.txt"), "no").unwrap();
        symlink(inner.join("c.der"), folder.path().join("link.pem")).unwrap();
        symlink(&inner, folder.path().join("loop")).unwrap();

        let flat = find(&[folder.path().to_owned()], false).unwrap();
        assert_eq!(names(&flat), ["a.CRT", "b.pem", "link.pem"]);
        assert!(matches!(flat[2].contents, Contents::Skipped(_)), "links are not followed");
        let deep = find(&[folder.path().to_owned()], true).unwrap();
        assert_eq!(names(&deep), ["a.CRT", "b.pem", "c.der", "link.pem"]);
        let named = find(&[folder.path().join("link.pem")], false).unwrap();
        assert!(matches!(named[0].contents, Contents::Unreadable(_)));
        assert!(find(&[folder.path().join("absent")], false).is_err());
    }

    #[test]
    fn the_contents_decide_what_a_file_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file.pem");
        let both = pem::encode("PRIVATE KEY", &[1]) + &pem::encode(pem::CERTIFICATE, &[0x30, 0]).repeat(2);
        fs::write(&path, both).unwrap();
        let Contents::Certificates { certificates, key } = contents(&path) else { panic!("no certificates") };
        assert_eq!((certificates.len(), key.is_some()), (2, true));
        fs::write(&path, [0x30, 0]).unwrap();
        assert!(matches!(contents(&path), Contents::Certificates { .. }), "DER under any ending");
        fs::write(&path, "-----BEGIN CERTIFICATE-----\n%%\n").unwrap();
        assert!(matches!(contents(&path), Contents::Unreadable(_)));
        fs::write(&path, pem::encode("EC PRIVATE KEY", &[1])).unwrap();
        assert!(matches!(contents(&path), Contents::Skipped(_)));
        fs::write(&path, vec![b'a'; usize::try_from(FILE_MAX).unwrap() + 1]).unwrap();
        assert!(matches!(contents(&path), Contents::Unreadable(_)), "too large");
    }
}
