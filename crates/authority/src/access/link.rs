//! Links that sign a person in once: the quickstart's, an invitation's, and one after a reset. The two latter belong to an
//! account without a password and set one.
//!
//! A link stands for one factor alone, so none works for an account that has a second one.

use chancery_model::audit::{AuditEvent, AuditRecord};
use chancery_model::identity::{ActorId, SignInLinkRecord, User};
use chancery_model::{SignInLinkId, Timestamp, UserId};
use chancery_store::{Change, Conflict, StoreError, UserChange, Write};
use serde_json::json;
use zeroize::Zeroizing;

use super::administrator::check_password;
use super::bearer::Bearer;
use super::login::Attempt;
use super::sign_in::{IDLE_SECONDS, SESSION_SECONDS};
use super::token::{Grant, SessionToken};
use super::user::object;
use super::{PASSWORD, Visitor, sign_in_link_hash};
use crate::Authority;
use crate::error::Error;

const PREFIX: &str = "chl_";
/// Seconds a link of the server's own making works.
const SERVER_LINK_SECONDS: i64 = 15 * 60;
/// The same of an invitation, and of a reset.
pub(super) const INVITATION_SECONDS: i64 = 7 * 24 * 3_600;

/// Whatever is wrong with a link: which it is would help a guesser.
const REFUSED: &str =
    "The sign-in link is not valid: it was used, it has expired, or a newer one took its place; ask for another";

/// What a link is good for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignInLink {
    pub email: String,
    /// Whoever uses it chooses a password with it.
    pub needs_password: bool,
    pub expires_at: Timestamp,
}

impl Authority {
    /// Looks at a link without using it.
    pub async fn sign_in_link(&self, token: &str) -> Result<SignInLink, Error> {
        let (link, user) = self.proved_link(token).await?;
        let needs_password = !user.has_password();
        Ok(SignInLink { email: user.email, needs_password, expires_at: link.expires_at })
    }

    /// Uses a link: a session in a browser, and the password that is to be the account's from now on where the link sets
    /// one. A password that is refused leaves the link as it was.
    pub async fn redeem_sign_in_link(
        &self,
        token: &str,
        new_password: Option<&str>,
        visitor: &Visitor<'_>,
    ) -> Result<SessionToken, Error> {
        let (link, user) = self.proved_link(token).await?;
        let password_hash = self.first_password(&user, new_password).await?;
        let now = self.now();
        let actor = ActorId::User(user.id);
        let (row, session) = self.new_token(&Grant {
            actor,
            project_id: user.project_id,
            ttl: IDLE_SECONDS,
            max_ttl: SESSION_SECONDS,
            browser: Some(visitor.browser(now)),
        });
        let attempt = Attempt { method: PASSWORD, ip: visitor.ip, request_id: visitor.request_id };
        let details = json!({ "tokenId": row.id, "passwordSet": password_hash.is_some() });
        let record = self.login_record(&attempt, actor, &user.email, user.project_id, details);
        // First, because of two who come at once one is refused here, without a trace.
        let mut write = Write::default().with(Change::User(UserChange::UseLink { id: link.id, now }));
        if let Some(password_hash) = password_hash {
            write = write.with(Change::User(UserChange::SetPassword {
                id: user.id,
                password_hash,
                expected: Some(String::new()),
                at: now,
            }));
        }
        let record = AuditRecord { event: AuditEvent::SignInLinkUsed, ..record };
        match self.commit(write.with(Change::InsertAccessToken(row)).audited(record)).await {
            Ok(()) => Ok(session),
            Err(Error::Store(StoreError::Conflict(Conflict::Missing))) => Err(Error::Unauthenticated(REFUSED)),
            Err(error) => Err(error),
        }
    }

    /// A link for the program itself to print: whoever can start it on this machine can read its keys as well. It works for
    /// fifteen minutes. `None` if there is no such person, one who has no password yet (an invitation waits for them), or
    /// one whose account has a second factor.
    pub async fn new_sign_in_link(&self, email: &str) -> Result<Option<Zeroizing<String>>, Error> {
        let user = self.reader().user_by_email(&email.trim().to_lowercase()).await?;
        let Some(user) = user.filter(|it| it.has_password() && !it.has_second_factor()) else { return Ok(None) };
        let (link, text) = self.new_link(user.id, SERVER_LINK_SECONDS);
        let details = json!({ "email": user.email, "expiresAt": link.expires_at.to_string() });
        let mut record = self.system_audit(AuditEvent::SignInLinkCreated, details);
        record.project_id = Some(user.project_id);
        record.object = object(user.id);
        self.commit(Write::default().with(Change::User(UserChange::SetLink(link))).audited(record)).await?;
        Ok(Some(text))
    }

    /// A fresh link: its row for the store, and its text for whoever made it.
    pub(super) fn new_link(&self, user_id: UserId, seconds: i64) -> (SignInLinkRecord, Zeroizing<String>) {
        let now = self.now();
        let id = SignInLinkId::generate(now, self.random());
        let bearer = Bearer::generate(id.as_uuid(), self.random());
        let hash = sign_in_link_hash(self.sealer(), &bearer.secret);
        let link = SignInLinkRecord { id, user_id, hash, expires_at: now.plus_seconds(seconds), created_at: now };
        (link, bearer.to_text(PREFIX))
    }

    /// The link behind the text and its person, if it works now.
    async fn proved_link(&self, token: &str) -> Result<(SignInLinkRecord, User), Error> {
        let refused = || Error::Unauthenticated(REFUSED);
        let bearer = Bearer::parse(PREFIX, token.trim()).ok_or_else(refused)?;
        let hash = sign_in_link_hash(self.sealer(), &bearer.secret);
        let link = self.reader().sign_in_link(SignInLinkId::from_uuid(bearer.id)).await?.ok_or_else(refused)?;
        if !chancery_keys::constant_time_eq(&link.hash, &hash) || link.expires_at <= self.now() {
            return Err(refused());
        }
        let user = self.reader().user(link.user_id).await?.ok_or_else(refused)?;
        if user.has_second_factor() { Err(refused()) } else { Ok((link, user)) }
    }

    /// The hash of the password that the link sets; `None` where it sets none.
    async fn first_password(&self, user: &User, new: Option<&str>) -> Result<Option<String>, Error> {
        match new {
            Some(_) if user.has_password() => {
                let message = "this link signs in and sets no password; change yours in your account afterwards";
                Err(Error::malformed("user.password_not_asked", "password", message))
            }
            None if user.has_password() => Ok(None),
            new => {
                let new = new.unwrap_or_default();
                check_password("password", new)?;
                let _turn = self.access_state().passwords.turn().await?;
                self.password_hash(new).await.map(Some)
            }
        }
    }
}
