//! Who belongs to an application, and with which role. Kept by administrators of the project and of the application.

use chancery_model::application::ApplicationMember;
use chancery_model::audit::AuditEvent;
use chancery_model::identity::ActorId;
use chancery_model::permission::Role;
use chancery_model::{ApplicationId, ApplicationMemberId, IdentityId};
use chancery_store::{ApplicationChange, Change, Conflict, NamedMember, StoreError, Write};
use serde_json::json;

use super::object;
use crate::{Authority, Call, Error};

/// What became of a list of e-mail addresses.
#[derive(Clone, Debug, Default)]
pub struct AddedPeople {
    pub members: Vec<NamedMember>,
    /// Members already; their role stays.
    pub skipped: Vec<String>,
    /// Addresses that nobody in the project has.
    pub unresolved: Vec<String>,
}

/// Most addresses in one call.
const EMAILS_MAX: usize = 100;

impl Authority {
    pub async fn add_people(
        &self,
        call: &Call,
        id: ApplicationId,
        emails: Vec<String>,
        role: Role,
    ) -> Result<AddedPeople, Error> {
        self.managed_application(call, id).await?;
        if emails.len() > EMAILS_MAX {
            let message = format!("at most {EMAILS_MAX} people are added in one call");
            return Err(Error::malformed("application.emails", "emails", message));
        }
        let mut added = AddedPeople::default();
        for email in emails {
            let user = self.reader().user_by_email(&email.trim().to_lowercase()).await?;
            let Some(user) = user.filter(|it| it.project_id == call.project_id()) else {
                added.unresolved.push(email);
                continue;
            };
            match self.add_member(call, id, ActorId::User(user.id), role).await {
                Ok(member) => added.members.push(member),
                Err(Error::Conflict { .. }) => added.skipped.push(email),
                Err(error) => return Err(error),
            }
        }
        Ok(added)
    }

    pub async fn add_identity(
        &self,
        call: &Call,
        id: ApplicationId,
        identity: IdentityId,
        role: Role,
    ) -> Result<NamedMember, Error> {
        self.managed_application(call, id).await?;
        let found = self.reader().identity(call.project_id(), identity).await?;
        let found = found.ok_or_else(|| Error::not_found("Identity", identity))?;
        self.add_member(call, id, ActorId::Identity(found.id), role).await
    }

    async fn add_member(
        &self,
        call: &Call,
        id: ApplicationId,
        actor: ActorId,
        role: Role,
    ) -> Result<NamedMember, Error> {
        let now = self.now();
        let member = ApplicationMember {
            id: ApplicationMemberId::generate(now, self.random()),
            application_id: id,
            actor,
            role,
            created_at: now,
            updated_at: now,
        };
        let details = json!({ "member": actor, "before": null, "after": role });
        let record = call.audit(now, AuditEvent::ApplicationMembersChanged, object(id), details);
        let write = Write::default().with(Change::Application(ApplicationChange::InsertMember(member))).audited(record);
        self.commit(write).await.map_err(|error| match error {
            Error::Store(StoreError::Conflict(Conflict::Exists)) => Error::conflict(
                "application.member_exists",
                "This is a member of the application already; change the role with PATCH",
            ),
            other => other,
        })?;
        self.member(id, actor).await
    }

    pub async fn set_member_role(
        &self,
        call: &Call,
        id: ApplicationId,
        actor: ActorId,
        role: Role,
    ) -> Result<NamedMember, Error> {
        self.managed_application(call, id).await?;
        let before = self.member(id, actor).await?.member;
        let now = self.now();
        let details = json!({ "member": actor, "before": before.role, "after": role });
        let record = call.audit(now, AuditEvent::ApplicationMembersChanged, object(id), details);
        let change = ApplicationChange::SetRole { member: before.id, role, at: now };
        self.commit(Write::default().with(Change::Application(change)).audited(record)).await?;
        self.member(id, actor).await
    }

    /// Ends a membership; what it allowed is over when this returns.
    pub async fn remove_member(
        &self,
        call: &Call,
        id: ApplicationId,
        actor: ActorId,
    ) -> Result<ApplicationMemberId, Error> {
        self.managed_application(call, id).await?;
        let member = self.member(id, actor).await?.member;
        let details = json!({ "member": actor, "before": member.role, "after": null });
        let record = call.audit(self.now(), AuditEvent::ApplicationMembersChanged, object(id), details);
        let change = ApplicationChange::DeleteMember(member.id);
        self.commit(Write::default().with(Change::Application(change)).audited(record)).await?;
        Ok(member.id)
    }

    async fn member(&self, id: ApplicationId, actor: ActorId) -> Result<NamedMember, Error> {
        let found = self.reader().application_member(id, actor).await?;
        found.ok_or_else(|| match actor {
            ActorId::User(user) => Error::not_found("Member of the application", user),
            ActorId::Identity(identity) => Error::not_found("Member of the application", identity),
            ActorId::System => Error::internal("the server itself is no member of an application"),
        })
    }
}
