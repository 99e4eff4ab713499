//! Who calls, and the circumstances of one call. Only [`crate::access`] can make a [`Requester`].

use std::sync::Arc;

use chancery_model::audit::{Actor, AuditEvent, AuditRecord, Outcome};
use chancery_model::identity::ActorId;
use chancery_model::permission::{Permission, Role};
use chancery_model::{AccessTokenId, ApplicationId, ProjectId, Timestamp};
use uuid::Uuid;

use crate::error::Error;

/// An authenticated caller. A door cannot build one: it gets it from [`crate::Authority::authenticate`].
#[derive(Clone, Debug)]
pub struct Requester {
    pub(crate) actor: Actor,
    pub(crate) project_id: ProjectId,
    pub(crate) role: Role,
    pub(crate) token_id: Option<AccessTokenId>,
    /// What the caller is in applications, beside its role in the project.
    pub(crate) memberships: Memberships,
    /// Present when a person calls with a browser.
    pub(crate) presence: Option<Presence>,
}

/// When the person at the browser was last seen, and last proved who they are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Presence {
    pub confirmed_at: Timestamp,
    pub last_used_at: Timestamp,
    /// The last end of the session, which a renewed token keeps.
    pub ends_at: Timestamp,
}

/// Roles in applications, as they were when the session was read.
pub(crate) type Memberships = Arc<[(ApplicationId, Role)]>;

impl Requester {
    #[must_use]
    pub const fn actor(&self) -> &Actor {
        &self.actor
    }

    #[must_use]
    pub const fn actor_id(&self) -> ActorId {
        self.actor.id
    }

    #[must_use]
    pub const fn project_id(&self) -> ProjectId {
        self.project_id
    }

    #[must_use]
    pub const fn role(&self) -> Role {
        self.role
    }

    /// The session this call was made with; absent for the server itself.
    #[must_use]
    pub const fn token_id(&self) -> Option<AccessTokenId> {
        self.token_id
    }

    /// Whether the caller is a person; some answers are for people only.
    #[must_use]
    pub const fn is_user(&self) -> bool {
        matches!(self.actor.id, ActorId::User(_))
    }

    /// Whether the session is one in a browser, which ends when nobody uses it.
    #[must_use]
    pub const fn is_browser(&self) -> bool {
        self.presence.is_some()
    }

    /// When the person last proved who they are, by signing in or by [`crate::Authority::confirm_session`]; absent for a
    /// session that is not in a browser.
    #[must_use]
    pub fn confirmed_at(&self) -> Option<Timestamp> {
        self.presence.map(|it| it.confirmed_at)
    }

    /// The permission in the whole project. Membership of an application gives none of that.
    pub const fn require(&self, permission: Permission) -> Result<(), Error> {
        if self.role.allows(permission) { Ok(()) } else { Err(Error::PermissionDenied(permission)) }
    }

    /// The permission in the project or in some application. Only a first look, before the object is known: whoever calls
    /// this asks [`Requester::require_in`], or [`crate::Authority::require_management`], about the object next.
    pub fn require_somewhere(&self, permission: Permission) -> Result<(), Error> {
        let by_membership = || self.memberships.iter().any(|(_, role)| role.allows_in_application(permission));
        if self.role.allows(permission) || by_membership() { Ok(()) } else { Err(Error::PermissionDenied(permission)) }
    }

    /// Whether the permission reaches what belongs to this application (or to none).
    #[must_use]
    pub fn may_in(&self, application: Option<ApplicationId>, permission: Permission) -> bool {
        self.role.allows(permission) || application.is_some_and(|id| self.is_allowed_as_member(id, permission))
    }

    pub fn require_in(&self, application: Option<ApplicationId>, permission: Permission) -> Result<(), Error> {
        if self.may_in(application, permission) { Ok(()) } else { Err(Error::PermissionDenied(permission)) }
    }

    /// Whether membership of the application alone gives the permission there.
    #[must_use]
    pub fn is_allowed_as_member(&self, application: ApplicationId, permission: Permission) -> bool {
        self.role_in(application).is_some_and(|role| role.allows_in_application(permission))
    }

    /// The caller's role as a member of the application.
    #[must_use]
    pub fn role_in(&self, application: ApplicationId) -> Option<Role> {
        self.memberships.iter().find(|(id, _)| *id == application).map(|(_, role)| *role)
    }
}

/// One call: who, under which request id, and with which idempotency key.
#[derive(Clone, Debug)]
pub struct Call {
    pub requester: Requester,
    /// What the caller sees as `reqId`.
    pub request_id: String,
    /// SHA-256 over the caller's identity and its `Idempotency-Key`.
    pub idempotency: Option<[u8; 32]>,
}

impl Call {
    /// The server itself at work in a project: a job, not somebody's call.
    #[must_use]
    pub(crate) fn system(project: ProjectId) -> Self {
        let actor =
            Actor { id: ActorId::System, name: "chancery".to_owned(), method: "system".to_owned(), ip: String::new() };
        Self {
            requester: Requester {
                actor,
                project_id: project,
                role: Role::Admin,
                token_id: None,
                memberships: Arc::default(),
                presence: None,
            },
            request_id: String::new(),
            idempotency: None,
        }
    }

    #[must_use]
    pub const fn project_id(&self) -> ProjectId {
        self.requester.project_id
    }

    /// An audit record of this call.
    #[must_use]
    pub fn audit(
        &self,
        now: Timestamp,
        event: AuditEvent,
        object: Option<(&'static str, Uuid)>,
        details: serde_json::Value,
    ) -> AuditRecord {
        AuditRecord {
            time: now,
            project_id: Some(self.requester.project_id),
            actor: self.requester.actor.clone(),
            event,
            outcome: Outcome::Success,
            object,
            request_id: self.request_id.clone(),
            details,
        }
    }
}
