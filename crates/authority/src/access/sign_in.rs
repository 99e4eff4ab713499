//! People: logging in with e-mail and password, and the code of an authenticator app where one is set up; and proving
//! the same again in a session, before something grave.
//!
//! Every refusal reads the same and costs the same work, whether the account exists or not; the audit log knows why. That
//! a code is wanted is said only to somebody who has given the right password.

use std::net::IpAddr;

use chancery_model::Timestamp;
use chancery_model::audit::AuditEvent;
use chancery_model::identity::{AccessToken, ActorId, BrowserSession, User};
use chancery_store::{Change, Conflict, StoreError, UserChange, Write};
use tokio::sync::SemaphorePermit;

use super::login::Attempt;
use super::token::{Grant, REFUSED, SessionToken, session_record};
use super::{PASSWORD, Visitor, lockout};
use crate::Authority;
use crate::error::Error;

/// Lifetime of a person's session, in seconds; it ends for good then.
pub(super) const SESSION_SECONDS: i64 = 12 * 3_600;
/// A session in a browser ends after so many seconds without use.
pub(super) const IDLE_SECONDS: i64 = 30 * 60;
const EMAIL_LENGTH_MAX: usize = 254;
const PASSWORD_LENGTH_MAX: usize = 1_024;
const USER_AGENT_LENGTH_MAX: usize = 255;

/// A person who has given what the account asks for. Whoever holds one also holds a turn at the gate for passwords, so
/// that the failure count is written before the next guess is looked at.
struct Proved<'a> {
    user: User,
    /// The step of the code that was given.
    step: Option<i64>,
    _turn: SemaphorePermit<'a>,
}

/// What a person gives beside the name.
#[derive(Clone, Copy)]
struct Given<'a> {
    password: &'a str,
    otp: Option<&'a str>,
}

impl Authority {
    /// A person's e-mail (any case) and password, and the code where a second factor is set up: without it
    /// [`Error::OtpRequired`]. The session is one of a program: twelve hours, used or not.
    pub async fn login_user(
        &self,
        email: &str,
        password: &str,
        otp: Option<&str>,
        ip: IpAddr,
        request_id: &str,
    ) -> Result<SessionToken, Error> {
        let attempt = Attempt { method: PASSWORD, ip, request_id };
        let proved = self.prove_by_email(email, Given { password, otp }, &attempt).await?;
        self.admit_user(proved, &attempt, None).await
    }

    /// The same in a browser. The session ends after half an hour without use (see [`Authority::prolong_session`]), and
    /// twelve hours after this in any case.
    pub async fn sign_in(
        &self,
        email: &str,
        password: &str,
        otp: Option<&str>,
        visitor: &Visitor<'_>,
    ) -> Result<SessionToken, Error> {
        let attempt = Attempt { method: PASSWORD, ip: visitor.ip, request_id: visitor.request_id };
        let proved = self.prove_by_email(email, Given { password, otp }, &attempt).await?;
        self.admit_user(proved, &attempt, Some(visitor.browser(self.now()))).await
    }

    /// The person of a browser session proves again who they are. The session goes on under a new token with the same last
    /// end; the old token is dead. A wrong password counts as one at the sign-in does.
    pub async fn confirm_session(
        &self,
        token: &str,
        password: &str,
        otp: Option<&str>,
        visitor: &Visitor<'_>,
    ) -> Result<SessionToken, Error> {
        let (row, session, _) = self.proved_session(token, visitor.ip).await?;
        let (ActorId::User(user), Some(_)) = (row.actor, &row.browser) else {
            return Err(Error::forbidden(
                "session.not_browser",
                "Only a session in a browser is confirmed; log in again",
            ));
        };
        let attempt = Attempt { method: PASSWORD, ip: visitor.ip, request_id: visitor.request_id };
        let user = self.reader().user(user).await?.ok_or(Error::InvalidToken(REFUSED))?;
        let proved = self.prove(|| async { Ok(Some(user)) }, Given { password, otp }, &attempt).await?;
        let now = self.now();
        let (new, token) = self.successor(&row, visitor, now);
        let details = serde_json::json!({ "tokenId": new.id });
        let record =
            session_record(&session, AuditEvent::SessionConfirmed, (now, visitor.ip, visitor.request_id), details);
        let write = step_of(&proved)
            // Refused when the session was ended while the password was being checked: it must not rise again.
            .with(Change::UseAccessToken { id: row.id, expires_at: row.expires_at, at: now })
            .with(Change::RevokeAccessToken { id: row.id, at: now })
            .with(Change::InsertAccessToken(new))
            .audited(record);
        match self.commit(write).await {
            Ok(()) => Ok(token),
            Err(error) => Err(self.after_refused_write(error, proved, &attempt).await),
        }
    }

    /// A new token for the session of `old`.
    fn successor(&self, old: &AccessToken, visitor: &Visitor<'_>, now: Timestamp) -> (AccessToken, SessionToken) {
        let left = super::token::seconds_between(now, old.expires_at_max);
        let grant = Grant {
            actor: old.actor,
            project_id: old.project_id,
            ttl: IDLE_SECONDS,
            max_ttl: left,
            browser: Some(visitor.browser(now)),
        };
        let (mut new, token) = self.new_token(&grant);
        // To the millisecond: a session that is confirmed often must not end earlier for it.
        new.expires_at_max = old.expires_at_max;
        (new, token)
    }

    async fn prove_by_email(&self, email: &str, given: Given<'_>, attempt: &Attempt<'_>) -> Result<Proved<'_>, Error> {
        let email = email.trim().to_lowercase();
        let bounded = email.len() <= EMAIL_LENGTH_MAX && given.password.len() <= PASSWORD_LENGTH_MAX;
        let find = || async { if bounded { Ok(self.reader().user_by_email(&email).await?) } else { Ok(None) } };
        let given = if bounded { given } else { Given { password: "", ..given } };
        self.prove(find, given, attempt).await
    }

    /// `find` is asked when it is this caller's turn, so that the failure count is the one of now.
    async fn prove<F>(
        &self,
        find: impl FnOnce() -> F,
        given: Given<'_>,
        attempt: &Attempt<'_>,
    ) -> Result<Proved<'_>, Error>
    where
        F: Future<Output = Result<Option<User>, Error>>,
    {
        let turn = self.access_state().passwords.turn().await?;
        let user = find().await?;
        let hash = user.as_ref().filter(|it| it.has_password()).map(|it| it.password_hash.as_str());
        let tried = if given.password.len() <= PASSWORD_LENGTH_MAX { given.password } else { "" };
        let matches = self.is_password(tried, hash).await?;
        let Some(user) = user else {
            return Err(self.refuse_login(attempt.failed(None, "unknown e-mail address", true)).await);
        };
        let account = Some((ActorId::User(user.id), user.project_id));
        if lockout::is_locked(user.locked_until, self.now()) {
            return Err(self.refuse_login(attempt.failed(account, "locked", false)).await);
        }
        if !matches {
            return Err(self.refuse_login(attempt.failed(account, "wrong password", true)).await);
        }
        if !user.has_second_factor() {
            return Ok(Proved { user, step: None, _turn: turn });
        }
        let Some(code) = given.otp.filter(|it| !it.trim().is_empty()) else { return Err(Error::OtpRequired) };
        match self.step_of_code(&user, code).await? {
            Some(step) => Ok(Proved { user, step: Some(step), _turn: turn }),
            None => Err(self.refuse_login(attempt.failed(account, "wrong code", true)).await),
        }
    }

    async fn admit_user(
        &self,
        proved: Proved<'_>,
        attempt: &Attempt<'_>,
        browser: Option<BrowserSession>,
    ) -> Result<SessionToken, Error> {
        let user = &proved.user;
        let changes = self.access_state().changes.lock().await;
        let now = self.now();
        // Read again: while the password was being checked, a failure may have been counted, and the account changed.
        let current = self.reader().user(user.id).await?;
        let Some(current) = current.filter(|it| it.password_hash == user.password_hash && it.totp_is_of(user)) else {
            drop(changes);
            let account = Some((ActorId::User(user.id), user.project_id));
            return Err(self.refuse_login(attempt.failed(account, "account changed meanwhile", false)).await);
        };
        let (ttl, max_ttl) = (if browser.is_some() { IDLE_SECONDS } else { SESSION_SECONDS }, SESSION_SECONDS);
        let actor = ActorId::User(user.id);
        let (row, token) = self.new_token(&Grant { actor, project_id: user.project_id, ttl, max_ttl, browser });
        let details = serde_json::json!({ "tokenId": row.id, "browser": row.browser.is_some() });
        let record = self.login_record(attempt, actor, &user.email, user.project_id, details);
        let mut write = step_of(&proved).with(Change::InsertAccessToken(row)).audited(record);
        if let Some(forgiven) = lockout::after_user_success(&current, now) {
            write = write.with(lockout::change(&forgiven));
        }
        let written = self.commit(write).await;
        // Given back before a refusal is counted, which takes it as well.
        drop(changes);
        match written {
            Ok(()) => Ok(token),
            Err(error) => Err(self.after_refused_write(error, proved, attempt).await),
        }
    }

    /// What a person is told when the write that admits them is refused: another one used the code first, or the session
    /// that was to be confirmed is over.
    async fn after_refused_write(&self, error: Error, proved: Proved<'_>, attempt: &Attempt<'_>) -> Error {
        match error {
            Error::Store(StoreError::Conflict(Conflict::Stale)) if proved.step.is_some() => {
                let account = Some((ActorId::User(proved.user.id), proved.user.project_id));
                self.refuse_login(attempt.failed(account, "code used before", true)).await
            }
            Error::Store(StoreError::Conflict(Conflict::Stale | Conflict::Missing)) => Error::InvalidToken(REFUSED),
            other => other,
        }
    }
}

/// The write that makes use of a code, first of all: refused there, it leaves no trace.
fn step_of(proved: &Proved<'_>) -> Write {
    let id = proved.user.id;
    proved
        .step
        .map_or_else(Write::default, |step| Write::default().with(Change::User(UserChange::UseTotpStep { id, step })))
}

impl Visitor<'_> {
    /// A session that begins now.
    pub(super) fn browser(&self, now: Timestamp) -> BrowserSession {
        BrowserSession {
            ip: self.ip.to_canonical(),
            user_agent: self.user_agent.chars().filter(|it| !it.is_control()).take(USER_AGENT_LENGTH_MAX).collect(),
            last_used_at: now,
            confirmed_at: now,
        }
    }
}
