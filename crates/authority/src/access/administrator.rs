//! The first administrator: made once, whoever races for it.

use chancery_model::UserId;
use chancery_model::audit::AuditEvent;
use chancery_model::identity::User;
use chancery_model::permission::Role;
use chancery_store::{Change, Conflict, StoreError, Write};
use serde_json::json;

use crate::Authority;
use crate::error::Error;

/// Name of the record that says who the administrator is; it can be inserted once.
const ADMINISTRATOR: &str = "administrator";

const EMAIL_LENGTH_MAX: usize = 254;
const PASSWORD_LENGTH_MIN: usize = 12;
const PASSWORD_LENGTH_MAX: usize = 1_024;

impl Authority {
    /// Makes the administrator of the default project, or answers `None` if there is one already.
    pub async fn ensure_administrator(&self, email: &str, password: &str) -> Result<Option<UserId>, Error> {
        if self.reader().meta(ADMINISTRATOR).await?.is_some() {
            return Ok(None);
        }
        let email = checked_email(email)?;
        check_password("password", password)?;
        let password_hash = self.password_hash(password).await?;
        let now = self.now();
        let id = UserId::generate(now, self.random());
        let user = User {
            id,
            email: email.clone(),
            password_hash,
            project_id: self.default_project_id(),
            role: Role::Admin,
            totp: None,
            failed_logins: 0,
            locked_until: None,
            created_at: now,
            updated_at: now,
        };
        let mut record = self.system_audit(AuditEvent::ServerInitialized, json!({ "administrator": email }));
        record.project_id = Some(user.project_id);
        record.object = Some(("user", id.as_uuid()));
        // The record that only one can insert comes first; the user follows it or is not made.
        let write = Write::default()
            .with(Change::InsertMeta { key: ADMINISTRATOR.to_owned(), value: id.as_bytes().to_vec() })
            .with(Change::InsertUser(user))
            .audited(record);
        match self.commit(write).await {
            Ok(()) => Ok(Some(id)),
            Err(Error::Store(StoreError::Conflict(Conflict::Exists | Conflict::Name)))
                if self.reader().meta(ADMINISTRATOR).await?.is_some() =>
            {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }
}

pub(super) fn checked_email(email: &str) -> Result<String, Error> {
    let email = email.trim().to_lowercase();
    let shaped = email.len() <= EMAIL_LENGTH_MAX
        && email.chars().all(|it| !it.is_control() && !it.is_whitespace())
        && email
            .split_once('@')
            .is_some_and(|(local, host)| !local.is_empty() && !host.is_empty() && !host.contains('@'));
    if shaped { Ok(email) } else { Err(Error::malformed("user.email", "email", "this is not an e-mail address")) }
}

/// `field` is what the caller calls the password.
pub(super) fn check_password(field: &str, password: &str) -> Result<(), Error> {
    let length = password.chars().count();
    if length >= PASSWORD_LENGTH_MIN && password.len() <= PASSWORD_LENGTH_MAX {
        return Ok(());
    }
    let message =
        format!("a password has at least {PASSWORD_LENGTH_MIN} characters and at most {PASSWORD_LENGTH_MAX} bytes");
    Err(Error::malformed("user.password", field, message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn e_mail_addresses_are_kept_in_lower_case() {
        for (given, kept) in [(" Admin@Example.COM ", Some("admin@example.com")), ("a@b", Some("a@b"))] {
            assert_eq!(checked_email(given).ok().as_deref(), kept);
        }
        for bad in ["", "a", "@b", "a@", "a@b@c", "a b@c", "a\n@b", &format!("{}@b", "a".repeat(254))] {
            assert!(checked_email(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn short_and_boundless_passwords_are_refused() {
        for (password, accepted) in
            [("short", false), ("twelve chars", true), (&"x".repeat(1_024), true), (&"x".repeat(1_025), false)]
        {
            assert_eq!(check_password("password", password).is_ok(), accepted, "{}", password.len());
        }
    }
}
