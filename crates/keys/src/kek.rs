//! The key-encryption key: the one secret that lives outside the database. Whoever has it and the database has
//! everything; whoever lacks it has nothing but public data.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use chancery_model::{ErrorKind, Randomness};
use zeroize::Zeroizing;

/// Room for the longest spelling and some blanks; a larger file is not a KEK.
const FILE_BYTES_MAX: u64 = 256;

/// 256 bits, as they came from a file or from the environment.
pub struct Kek(Zeroizing<[u8; 32]>);

#[derive(Debug, thiserror::Error)]
pub enum KekError {
    #[error("the key-encryption key file {path} already exists and is never overwritten", path = .0.display())]
    Exists(PathBuf),
    #[error(
        "the key-encryption key file {path} can be read or changed by others (mode {mode:04o}); run: chmod 600 {path}",
        path = .path.display()
    )]
    Exposed { path: PathBuf, mode: u32 },
    #[error("the key-encryption key file {path} does not hold a key: {reason}", path = .path.display())]
    MalformedFile { path: PathBuf, reason: &'static str },
    #[error("the key-encryption key is not usable: {0}")]
    MalformedText(&'static str),
    #[error("the key-encryption key file {path} cannot be used", path = .path.display())]
    Io { path: PathBuf, source: io::Error },
}

impl KekError {
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        match self {
            Self::Exists(_) => ErrorKind::Conflict,
            _ => ErrorKind::Unavailable,
        }
    }
}

impl Kek {
    /// Makes a new KEK and writes it to `path` with mode 0600, in hexadecimal. An existing file is never overwritten.
    /// The file and its directory are on disk when this returns: a KEK that a power cut forgets would make everything
    /// sealed under it unreadable.
    pub fn create_file(path: &Path, random: &dyn Randomness) -> Result<Self, KekError> {
        let mut bytes = Zeroizing::new([0u8; 32]);
        random.fill(bytes.as_mut());
        let mut text = Zeroizing::new(hex::encode(bytes.as_ref()));
        text.push('\n');
        let failed = |source: io::Error| match source.kind() {
            io::ErrorKind::AlreadyExists => KekError::Exists(path.to_owned()),
            _ => KekError::Io { path: path.to_owned(), source },
        };
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(failed)?;
        let written =
            file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).and_then(|()| sync_directory(path));
        if let Err(source) = written {
            // Half a key must not stay behind: the next start would refuse it.
            std::fs::remove_file(path).ok();
            return Err(failed(source));
        }
        Ok(Self(bytes))
    }

    /// Reads a KEK file. Refused if its mode gives its group or others any access.
    pub fn from_file(path: &Path) -> Result<Self, KekError> {
        let failed = |source| KekError::Io { path: path.to_owned(), source };
        let file = File::open(path).map_err(failed)?;
        // The opened file is asked, not the path, so that nobody can exchange it in between.
        let mode = file.metadata().map_err(failed)?.permissions().mode() & 0o7777;
        if mode & 0o077 != 0 {
            return Err(KekError::Exposed { path: path.to_owned(), mode });
        }
        let mut text = Zeroizing::new(String::with_capacity(512));
        file.take(FILE_BYTES_MAX + 1).read_to_string(&mut text).map_err(failed)?;
        decode(&text).map(Self).map_err(|reason| KekError::MalformedFile { path: path.to_owned(), reason })
    }

    /// Reads 32 bytes as 64 hexadecimal digits or as base64 (either alphabet, with or without padding).
    pub fn from_text(text: &str) -> Result<Self, KekError> {
        decode(text).map(Self).map_err(KekError::MalformedText)
    }

    pub(crate) fn bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

fn sync_directory(path: &Path) -> io::Result<()> {
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    File::open(directory)?.sync_all()
}

fn decode(text: &str) -> Result<Zeroizing<[u8; 32]>, &'static str> {
    const EXPECTED: &str = "32 bytes are expected, as 64 hexadecimal digits or 44 characters of base64";
    let text = text.trim();
    let mut bytes = Zeroizing::new([0u8; 32]);
    // The lengths of the two spellings differ, so one text never reads as both.
    if text.len() == 64 {
        hex::decode_to_slice(text, bytes.as_mut()).map_err(|_| EXPECTED)?;
    } else if matches!(text.len(), 43 | 44) {
        let alphabet =
            if text.contains(['-', '_']) { &base64::alphabet::URL_SAFE } else { &base64::alphabet::STANDARD };
        let config = GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
        let decoded = Zeroizing::new(GeneralPurpose::new(alphabet, config).decode(text).map_err(|_| EXPECTED)?);
        *bytes = <[u8; 32]>::try_from(decoded.as_slice()).map_err(|_| EXPECTED)?;
    } else {
        return Err(EXPECTED);
    }
    if *bytes == [0; 32] { Err("it is all zeros") } else { Ok(bytes) }
}

#[cfg(test)]
mod tests {
    use chancery_model::random::SeededRandomness;

    use super::*;

    #[test]
    fn a_created_file_reads_back_and_is_private() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("kek");
        let made = Kek::create_file(&path, &SeededRandomness::new(1)).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(Kek::from_file(&path).unwrap().bytes() == made.bytes());
    }

    #[test]
    fn an_existing_file_is_never_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("kek");
        std::fs::write(&path, "precious").unwrap();
        let refused = Kek::create_file(&path, &SeededRandomness::new(1)).err().unwrap();
        assert!(matches!(refused, KekError::Exists(_)));
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "precious");
    }

    #[test]
    fn a_file_that_others_can_touch_is_refused_with_the_remedy() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("kek");
        Kek::create_file(&path, &SeededRandomness::new(1)).unwrap();
        for mode in [0o644, 0o640, 0o604, 0o620, 0o602, 0o610, 0o777] {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            let message = Kek::from_file(&path).err().unwrap().to_string();
            assert!(message.contains(&format!("mode {mode:04o}")), "{message}");
            assert!(message.contains(&format!("chmod 600 {}", path.display())), "{message}");
        }
        for mode in [0o600, 0o400] {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            assert!(Kek::from_file(&path).is_ok(), "{mode:o}");
        }
    }

    #[test]
    fn only_32_bytes_in_a_known_spelling_are_a_key() {
        let hex_key = "00ff".repeat(16);
        let standard = "AP8A/wD/AP8A/wD/AP8A/wD/AP8A/wD/AP8A/wD/AP8=";
        for text in [
            hex_key.clone(),
            hex_key.to_uppercase(),
            format!(" {hex_key}\n"),
            standard.to_owned(),
            standard.trim_end_matches('=').to_owned(),
            standard.replace('/', "_"),
        ] {
            assert!(Kek::from_text(&text).is_ok_and(|kek| kek.bytes() == &[0, 255].repeat(16)[..]), "{text}");
        }
        for text in
            ["", "password", &hex_key[..62], &"zz".repeat(32), &"A".repeat(42), &"0".repeat(64), &"=".repeat(44)]
        {
            let message = Kek::from_text(text).err().unwrap().to_string();
            assert!(text.is_empty() || !message.contains(text), "the text itself is a secret: {message}");
        }
    }
}
