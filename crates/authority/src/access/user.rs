//! People: invited, given a role, reset, removed. Only administrators may; what people do about their own account is in
//! `own_account`.

use chancery_model::UserId;
use chancery_model::audit::AuditEvent;
use chancery_model::identity::{ActorId, User};
use chancery_model::permission::{Permission, Role};
use chancery_store::{Change, Conflict, StoreError, UserChange, Write};
use serde_json::json;
use uuid::Uuid;
use zeroize::Zeroizing;

use super::administrator::checked_email;
use super::link::INVITATION_SECONDS;
use crate::error::Error;
use crate::{Authority, Call};

#[derive(Clone, Debug)]
pub struct NewUser {
    /// Kept in lower case; an account on this server each.
    pub email: String,
    pub role: Role,
}

impl Authority {
    /// Makes a person in the caller's project, and the token of the link by which they choose a password; it works for
    /// seven days, once.
    pub async fn create_user(&self, call: &Call, new: NewUser) -> Result<(User, Zeroizing<String>), Error> {
        call.requester.require(Permission::IdentityManage)?;
        let now = self.now();
        let user = User {
            id: UserId::generate(now, self.random()),
            email: checked_email(&new.email)?,
            password_hash: String::new(),
            project_id: call.project_id(),
            role: new.role,
            totp: None,
            failed_logins: 0,
            locked_until: None,
            created_at: now,
            updated_at: now,
        };
        let (link, text) = self.new_link(user.id, INVITATION_SECONDS);
        let write = Write::default()
            .with(Change::InsertUser(user.clone()))
            .with(Change::User(UserChange::SetLink(link)))
            .audited(call.audit(now, AuditEvent::UserCreated, object(user.id), described(&user)));
        match self.commit(write).await {
            Ok(()) => Ok((user, text)),
            Err(Error::Store(StoreError::Conflict(Conflict::Name))) => {
                let message = format!("{} has an account on this server already", user.email);
                Err(Error::conflict("user.exists", message))
            }
            Err(error) => Err(error),
        }
    }

    /// Another role. Every session of the person ends, so that nothing goes on with the rights of before.
    pub async fn set_user_role(&self, call: &Call, id: UserId, role: Role) -> Result<User, Error> {
        call.requester.require(Permission::IdentityManage)?;
        let _changes = self.access_state().changes.lock().await;
        let before = self.project_user(call, id).await?;
        if before.role == role {
            return Ok(before);
        }
        self.require_administrator_beside(&before).await?;
        let now = self.now();
        let after = User { role, updated_at: now, ..before.clone() };
        let details = json!({ "before": described(&before), "after": described(&after) });
        let write = Write::default()
            .with(Change::User(UserChange::SetRole { id, role, at: now }))
            .with(Change::RevokeTokensOf { actor: ActorId::User(id), at: now })
            .audited(call.audit(now, AuditEvent::UserRoleChanged, object(id), details));
        self.commit(write).await?;
        Ok(after)
    }

    /// Removes a person; their sessions and links are dead when this returns. What they requested stays, and is renewed.
    pub async fn delete_user(&self, call: &Call, id: UserId) -> Result<User, Error> {
        call.requester.require(Permission::IdentityManage)?;
        let _changes = self.access_state().changes.lock().await;
        let user = self.project_user(call, id).await?;
        self.require_administrator_beside(&user).await?;
        let write = Write::default().with(Change::User(UserChange::Delete(id))).audited(call.audit(
            self.now(),
            AuditEvent::UserDeleted,
            object(id),
            described(&user),
        ));
        self.commit(write).await?;
        Ok(user)
    }

    /// For who has lost the password or the device, or whose account somebody else has: password and second factor are gone
    /// and every session ends. The answer has the token of a link to begin anew, as after an invitation.
    pub async fn reset_user(&self, call: &Call, id: UserId) -> Result<(User, Zeroizing<String>), Error> {
        call.requester.require(Permission::IdentityManage)?;
        if call.requester.actor_id() == ActorId::User(id) {
            let message =
                "You cannot reset your own account; change your password and your authenticator app in its settings";
            return Err(Error::forbidden("user.own_reset", message));
        }
        let _changes = self.access_state().changes.lock().await;
        let before = self.project_user(call, id).await?;
        let now = self.now();
        let (link, text) = self.new_link(id, INVITATION_SECONDS);
        let after = User {
            password_hash: String::new(),
            totp: None,
            failed_logins: 0,
            locked_until: None,
            updated_at: now,
            ..before
        };
        let write = Write::default()
            .with(Change::User(UserChange::SetPassword { id, password_hash: String::new(), expected: None, at: now }))
            .with(Change::User(UserChange::SetTotp { id, totp: None, at: now }))
            .with(Change::User(UserChange::SetLink(link)))
            .with(Change::RevokeTokensOf { actor: ActorId::User(id), at: now })
            .audited(call.audit(now, AuditEvent::UserReset, object(id), described(&after)));
        self.commit(write).await?;
        Ok((after, text))
    }

    /// A person of the caller's project.
    async fn project_user(&self, call: &Call, id: UserId) -> Result<User, Error> {
        let user = self.reader().user(id).await?.filter(|it| it.project_id == call.project_id());
        user.ok_or_else(|| Error::not_found("User", id))
    }

    /// Refuses what would leave the person's project without anybody who can administer it.
    async fn require_administrator_beside(&self, leaving: &User) -> Result<(), Error> {
        if leaving.role != Role::Admin || self.is_administered_without(leaving.project_id, leaving.id.as_uuid()).await?
        {
            return Ok(());
        }
        let message = format!("'{}' is the last administrator of the project; make another one first", leaving.email);
        Err(Error::forbidden("user.last_administrator", message))
    }
}

pub(super) const fn object(id: UserId) -> Option<(&'static str, Uuid)> {
    Some(("user", id.as_uuid()))
}

fn described(user: &User) -> serde_json::Value {
    json!({ "email": user.email, "role": user.role })
}
