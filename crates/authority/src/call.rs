//! Who calls, and the circumstances of one call. Only [`crate::access`] can make a [`Requester`].

use chancery_model::audit::{Actor, AuditEvent, AuditRecord, Outcome};
use chancery_model::identity::ActorId;
use chancery_model::permission::{Permission, Role};
use chancery_model::{AccessTokenId, ProjectId, Timestamp};
use uuid::Uuid;

use crate::error::Error;

/// An authenticated caller. A door cannot build one: it gets it from [`crate::Authority::authenticate`].
#[derive(Clone, Debug)]
pub struct Requester {
    pub(crate) actor: Actor,
    pub(crate) project_id: ProjectId,
    pub(crate) role: Role,
    pub(crate) token_id: Option<AccessTokenId>,
}

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

    pub const fn require(&self, permission: Permission) -> Result<(), Error> {
        if self.role.allows(permission) { Ok(()) } else { Err(Error::PermissionDenied(permission)) }
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
