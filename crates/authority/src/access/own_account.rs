//! What people change about their own account: the password, and the second factor.

use std::net::{IpAddr, Ipv4Addr};

use chancery_model::audit::AuditEvent;
use chancery_model::identity::{ActorId, SealedTotp, User};
use chancery_store::{Change, UserChange, Write};
use serde_json::json;
use tokio::sync::SemaphorePermit;
use zeroize::Zeroizing;

use super::administrator::check_password;
use super::login::Attempt;
use super::token::REFUSED;
use super::user::object;
use super::{PASSWORD, lockout};
use crate::error::Error;
use crate::{Authority, Call};

/// What an authenticator app shows beside the account.
const ISSUER: &str = "Chancery";

/// What an authenticator app is to be given. Shown once.
pub struct TotpSetup {
    /// To type in: 32 characters of RFC 4648 §6.
    pub secret_base32: Zeroizing<String>,
    /// To scan: an `otpauth` URI.
    pub uri: Zeroizing<String>,
}

impl Authority {
    /// Another password for the caller; the caller's other sessions, and a link that waits, end with it.
    pub async fn change_password(&self, call: &Call, current: &str, new: &str) -> Result<(), Error> {
        check_password("newPassword", new)?;
        let (user, turn) = self.prove_own_password(call, "currentPassword", current).await?;
        if current == new {
            let message = "this is the password you have; choose another";
            return Err(Error::malformed("user.password_same", "newPassword", message));
        }
        let password_hash = self.password_hash(new).await?;
        drop(turn);
        let now = self.now();
        // First, and of the password that was proved: an administrator may have reset the account meanwhile.
        let write = Write::default()
            .with(Change::User(UserChange::SetPassword {
                id: user.id,
                password_hash,
                expected: Some(user.password_hash),
                at: now,
            }))
            .with(Change::User(UserChange::DropLink(user.id)))
            .with(self.end_others(call))
            .audited(call.audit(now, AuditEvent::UserPasswordChanged, object(user.id), json!({})));
        self.commit(write).await
    }

    /// A fresh secret for the caller's authenticator app. It asks for nothing before [`Authority::confirm_totp`]; one that
    /// was never confirmed is replaced.
    pub async fn begin_totp(&self, call: &Call) -> Result<TotpSetup, Error> {
        let _changes = self.access_state().changes.lock().await;
        let user = self.own_user(call).await?;
        if user.has_second_factor() {
            return Err(totp_exists());
        }
        let (secret, sealed) = self.new_totp_secret(&user).await?;
        let totp = SealedTotp { sealed, last_step: 0, is_confirmed: false };
        let at = self.now();
        let change = UserChange::SetTotp { id: user.id, totp: Some(totp), at };
        self.commit(Write::default().with(Change::User(change))).await?;
        let secret_base32 = secret.to_base32();
        let uri = Zeroizing::new(uri(&user.email, &secret_base32));
        Ok(TotpSetup { secret_base32, uri })
    }

    /// From now on a log-in asks for a code; the caller's other sessions, which began without one, end.
    pub async fn confirm_totp(&self, call: &Call, code: &str) -> Result<(), Error> {
        let _changes = self.access_state().changes.lock().await;
        let user = self.own_user(call).await?;
        if user.has_second_factor() {
            return Err(totp_exists());
        }
        let Some(totp) = user.totp.clone() else {
            let message = "no authenticator app is being set up; begin again";
            return Err(Error::malformed("totp.not_begun", "code", message));
        };
        let Some(step) = self.step_of_code(&user, code).await? else {
            let message = "this is not the code of now; wait for the next one, and check the clock of the device";
            return Err(Error::malformed("totp.code", "code", message));
        };
        let now = self.now();
        let totp = SealedTotp { last_step: step, is_confirmed: true, ..totp };
        let write = Write::default()
            .with(Change::User(UserChange::SetTotp { id: user.id, totp: Some(totp), at: now }))
            .with(Change::User(UserChange::DropLink(user.id)))
            .with(self.end_others(call))
            .audited(call.audit(now, AuditEvent::TotpEnabled, object(user.id), json!({})));
        self.commit(write).await
    }

    /// Takes the second factor away again, for whoever knows the password. None is fine.
    pub async fn remove_totp(&self, call: &Call, password: &str) -> Result<(), Error> {
        let (user, _turn) = self.prove_own_password(call, "password", password).await?;
        if user.totp.is_none() {
            return Ok(());
        }
        let now = self.now();
        let write = Write::default()
            .with(Change::User(UserChange::SetTotp { id: user.id, totp: None, at: now }))
            .audited(call.audit(now, AuditEvent::TotpDisabled, object(user.id), json!({})));
        self.commit(write).await
    }

    /// The caller as a person; a machine identity has no account of this kind.
    pub(super) async fn own_user(&self, call: &Call) -> Result<User, Error> {
        let ActorId::User(id) = call.requester.actor_id() else {
            let message = "A machine identity has no password and no authenticator app; it logs in with client secrets";
            return Err(Error::forbidden("user.people_only", message));
        };
        self.reader().user(id).await?.ok_or(Error::InvalidToken(REFUSED))
    }

    /// The caller, if this is the caller's password. A wrong one counts as one at the sign-in does, so that a session that
    /// was left open is no way to guess it.
    async fn prove_own_password(
        &self,
        call: &Call,
        field: &'static str,
        password: &str,
    ) -> Result<(User, SemaphorePermit<'_>), Error> {
        let turn = self.access_state().passwords.turn().await?;
        let user = self.own_user(call).await?;
        let now = self.now();
        if let Some(until) = user.locked_until.filter(|_| lockout::is_locked(user.locked_until, now)) {
            let wait = u64::try_from(super::token::seconds_between(now, until)).unwrap_or(0);
            return Err(Error::RateLimited { retry_after_seconds: wait.max(1) });
        }
        let hash = user.has_password().then_some(user.password_hash.as_str());
        if check_password(field, password).is_ok() && self.is_password(password, hash).await? {
            return Ok((user, turn));
        }
        let ip = call.requester.actor().ip.parse().unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
        let attempt = Attempt { method: PASSWORD, ip, request_id: &call.request_id };
        let account = Some((ActorId::User(user.id), user.project_id));
        match self.refuse_login(attempt.failed(account, "wrong password", true)).await {
            Error::Unauthenticated(_) => {
                let message = "this is not your password; after some failed attempts there is a wait";
                Err(Error::malformed("user.password_wrong", field, message))
            }
            error => Err(error),
        }
    }

    /// Every session of the caller ends but the one of this call.
    pub(super) fn end_others(&self, call: &Call) -> Change {
        let (actor, at) = (call.requester.actor_id(), self.now());
        match call.requester.token_id() {
            Some(keep) => Change::RevokeOtherTokensOf { actor, keep, at },
            None => Change::RevokeTokensOf { actor, at },
        }
    }
}

fn totp_exists() -> Error {
    Error::conflict("totp.exists", "An authenticator app is set up already; remove it first to set up another")
}

/// The Key URI Format that authenticator apps read; its parameters are the ones of [`chancery_keys::TotpSecret`].
fn uri(email: &str, secret: &str) -> String {
    let email = percent_encoded(email);
    format!("otpauth://totp/{ISSUER}:{email}?secret={secret}&issuer={ISSUER}&algorithm=SHA1&digits=6&period=30")
}

/// RFC 3986 §2.1: everything but unreserved characters.
fn percent_encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            encoded.push(char::from(byte));
        } else {
            encoded.push('%');
            encoded.push_str(&hex::encode_upper([byte]));
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_uri_names_the_account_and_nothing_of_it_escapes() {
        assert_eq!(
            uri("a+b&secret=x@acme.com", "GEZDGNBV"),
            "otpauth://totp/Chancery:a%2Bb%26secret%3Dx%40acme.com?secret=GEZDGNBV&issuer=Chancery&algorithm=SHA1&digits=6&period=30"
        );
    }
}
