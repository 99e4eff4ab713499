//! The first administrator. `serve` and `quickstart` both make sure that there is one; the password is made here, written
//! to a file for its owner only, and never printed.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use chancery_authority::Authority;
use chancery_cli::files::{self, Access, Existing};
use chancery_model::Randomness;

use crate::failure::{Failure, causes};

/// Who the first administrator logs in as.
pub const ADMINISTRATOR: &str = "admin@chancery.internal";
const PASSWORD_FILE: &str = "admin-password";
/// 160 bits.
const PASSWORD_BYTES: usize = 20;

/// Where the administrator's password stands.
pub fn password_file(data_dir: &Path) -> PathBuf {
    data_dir.join(PASSWORD_FILE)
}

/// Creates the first administrator unless there is one; tells whether it did.
///
/// The password reaches the disk before the account exists: after a crash between the two, the next start uses the same
/// file again, and nobody is locked out.
pub async fn ensure_administrator(
    authority: &Authority,
    data_dir: &Path,
    random: &dyn Randomness,
) -> Result<bool, Failure> {
    let path = password_file(data_dir);
    let (password, is_new) = match fs::read_to_string(&path) {
        Ok(text) => (text.lines().next().unwrap_or_default().to_owned(), false),
        Err(error) if error.kind() == io::ErrorKind::NotFound => (write_password(&path, random)?, true),
        Err(error) => return Err(Failure::failed(format!("Cannot read {}: {error}", path.display()))),
    };
    let outcome = authority.ensure_administrator(ADMINISTRATOR, &password).await;
    if is_new && !matches!(outcome, Ok(Some(_))) {
        // It opens nothing: an administrator with another password exists, or none could be made.
        let _ = fs::remove_file(&path);
    }
    match outcome {
        Ok(created) => Ok(created.is_some()),
        Err(error) => Err(Failure::failed(format!("The administrator cannot be created: {}", causes(&error)))),
    }
}

fn write_password(path: &Path, random: &dyn Randomness) -> Result<String, Failure> {
    let mut bytes = [0; PASSWORD_BYTES];
    random.fill(&mut bytes);
    let password = hex::encode(bytes);
    files::write(path, format!("{password}\n").as_bytes(), Access::Private, Existing::Keep)?;
    Ok(password)
}
