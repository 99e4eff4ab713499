//! Applications themselves: made and deleted by administrators of the project, renamed and described by their own too.

use chancery_model::application::{Application, ApplicationProfile};
use chancery_model::audit::AuditEvent;
use chancery_model::permission::Permission;
use chancery_model::{ApplicationId, ProfileId, Timestamp};
use chancery_store::{ApplicationChange, Change, Conflict, StoreError, Write};
use serde_json::json;

use super::object;
use crate::enrollment::Field;
use crate::{Authority, Call, Error};

#[derive(Clone, Debug)]
pub struct NewApplication {
    /// 1 to 64 lower-case letters, digits and hyphens; unique in the project.
    pub name: String,
    /// Up to 256 characters.
    pub description: Option<String>,
    /// Attached from the start, with no enrolment switched on. At most 100.
    pub profiles: Vec<ProfileId>,
}

/// Missing keeps, null clears.
#[derive(Clone, Debug, Default)]
pub struct ApplicationPatch {
    pub name: Option<String>,
    pub description: Field<String>,
}

const NAME_MAX: usize = 64;
const DESCRIPTION_MAX: usize = 256;

impl Authority {
    pub async fn create_application(&self, call: &Call, new: NewApplication) -> Result<Application, Error> {
        call.requester.require(Permission::ApplicationManage)?;
        let now = self.now();
        let application = Application {
            id: ApplicationId::generate(now, self.random()),
            project_id: call.project_id(),
            name: new.name,
            description: new.description,
            created_at: now,
            updated_at: now,
        };
        check_form(&application)?;
        let profiles = self.attachable(call, new.profiles).await?;
        let details = json!({ "before": null, "after": content(&application), "profileIds": profiles });
        let mut write = Write::default()
            .with(Change::Application(ApplicationChange::Insert(application.clone())))
            .audited(call.audit(now, AuditEvent::ApplicationCreated, object(application.id), details));
        for profile in profiles {
            write = write.with(Change::Application(attachment(application.id, profile, now)));
        }
        self.commit(write).await.map_err(|error| name_conflict(error, &application.name))?;
        Ok(application)
    }

    pub async fn update_application(
        &self,
        call: &Call,
        id: ApplicationId,
        patch: ApplicationPatch,
    ) -> Result<Application, Error> {
        let before = self.managed_application(call, id).await?;
        let now = self.now();
        let after = Application {
            name: patch.name.unwrap_or_else(|| before.name.clone()),
            description: match patch.description {
                Field::Missing => before.description.clone(),
                Field::Null => None,
                Field::Value(text) => Some(text),
            },
            updated_at: now,
            ..before.clone()
        };
        check_form(&after)?;
        let details = json!({ "before": content(&before), "after": content(&after) });
        let write = Write::default()
            .with(Change::Application(ApplicationChange::Update(after.clone())))
            .audited(call.audit(now, AuditEvent::ApplicationUpdated, object(id), details));
        self.commit(write).await.map_err(|error| name_conflict(error, &after.name))?;
        Ok(after)
    }

    /// Deletes an application with its attachments and memberships. Its certificates stay, and remember its id; nobody
    /// has rights in them by membership any more, and they are not renewed.
    pub async fn delete_application(&self, call: &Call, id: ApplicationId) -> Result<Application, Error> {
        call.requester.require(Permission::ApplicationManage)?;
        let application = self.application_of(call, id).await?;
        let details = json!({ "before": content(&application) });
        let write = Write::default().with(Change::Application(ApplicationChange::Delete(id))).audited(call.audit(
            self.now(),
            AuditEvent::ApplicationDeleted,
            object(id),
            details,
        ));
        self.commit(write).await?;
        Ok(application)
    }
}

/// A profile that is attached, with nothing switched on.
pub(super) const fn attachment(application: ApplicationId, profile: ProfileId, now: Timestamp) -> ApplicationChange {
    ApplicationChange::Attach(ApplicationProfile {
        application_id: application,
        profile_id: profile,
        api: None,
        created_at: now,
        updated_at: now,
    })
}

fn check_form(application: &Application) -> Result<(), Error> {
    let name = application.name.as_str();
    let letters = name.bytes().all(|it| it.is_ascii_lowercase() || it.is_ascii_digit() || it == b'-');
    if name.is_empty() || name.len() > NAME_MAX || !letters {
        let message = format!("give 1 to {NAME_MAX} lower-case letters, digits and hyphens");
        return Err(Error::malformed("application.name", "name", message));
    }
    if application.description.as_ref().is_some_and(|text| text.chars().count() > DESCRIPTION_MAX) {
        let message = format!("a description has at most {DESCRIPTION_MAX} characters");
        return Err(Error::malformed("application.description", "description", message));
    }
    Ok(())
}

fn name_conflict(error: Error, name: &str) -> Error {
    match error {
        Error::Store(StoreError::Conflict(Conflict::Name)) => Error::conflict(
            "application.name_taken",
            format!("An application with the name '{name}' exists already; choose another"),
        ),
        other => other,
    }
}

/// What the audit log keeps of an application.
fn content(application: &Application) -> serde_json::Value {
    json!({ "name": application.name, "description": application.description })
}

#[cfg(test)]
mod tests {
    use chancery_model::ProjectId;
    use uuid::Uuid;

    use super::*;

    #[test]
    fn ill_formed_applications_are_refused_with_the_field() {
        let check = |name: &str, description: Option<String>, refused: Option<&str>| {
            let now = Timestamp::from_seconds(1_700_000_000);
            let application = Application {
                id: ApplicationId::from_uuid(Uuid::nil()),
                project_id: ProjectId::from_uuid(Uuid::nil()),
                name: name.to_owned(),
                description,
                created_at: now,
                updated_at: now,
            };
            let code = check_form(&application).err().map(|error| error.code());
            assert_eq!(code, refused, "{name}");
        };
        check("billing-2", None, None);
        check(&"a".repeat(64), Some("ü".repeat(256)), None);
        check(&"a".repeat(65), None, Some("application.name"));
        check("a", Some("a".repeat(257)), Some("application.description"));
        for name in ["", "Billing", "a b", "a_b", "ä"] {
            check(name, None, Some("application.name"));
        }
    }
}
