//! Projects: each with its own sealing key, invisible to the others.

use chancery_model::ProjectId;
use chancery_model::audit::AuditEvent;
use chancery_model::identity::Identity;
use chancery_model::permission::{Permission, Role};
use chancery_model::project::Project;
use chancery_store::{Change, Write};
use serde_json::json;
use zeroize::Zeroizing;

use super::identity::{self, NewIdentity, checked_name};
use super::secret::NewClientSecret;
use crate::error::Error;
use crate::open::project_key_name;
use crate::{Authority, Call};

const SLUG_LENGTH_MAX: usize = 64;
const DESCRIPTION_LENGTH_MAX: usize = 1_000;

#[derive(Clone, Debug, Default)]
pub struct NewProject {
    /// 1 to 255 characters.
    pub name: String,
    /// Lower-case letters, digits and single hyphens, 1 to 64; made from the name when absent.
    pub slug: Option<String>,
    pub description: Option<String>,
}

/// What is `None` stays as it is.
#[derive(Clone, Debug, Default)]
pub struct ProjectPatch {
    pub name: Option<String>,
    pub slug: Option<String>,
    /// `Some(None)` clears it.
    pub description: Option<Option<String>>,
}

impl Authority {
    /// Creates a project with a sealing key of its own. Only administrators of the default project may. Nobody can log
    /// in to it before [`Authority::appoint_administrator`].
    pub async fn create_project(&self, call: &Call, new: NewProject) -> Result<Project, Error> {
        self.require_default_administrator(call, Permission::ProjectEdit)?;
        let name = checked_name(&new.name)?;
        let slug = match new.slug {
            Some(slug) => checked_slug(&slug)?,
            None => self.free_slug(&name).await?,
        };
        let now = self.now();
        let project = Project {
            id: ProjectId::generate(now, self.random()),
            name,
            slug,
            description: checked_description(new.description)?,
            created_at: now,
            updated_at: now,
        };
        let key = self.sealer().new_project_key(project.id, self.random());
        let mut record =
            call.audit(now, AuditEvent::ProjectCreated, Some(("project", project.id.as_uuid())), described(&project));
        record.project_id = Some(project.id);
        let write = Write::default()
            .with(Change::InsertProject(project.clone()))
            .with(Change::InsertMeta { key: project_key_name(project.id), value: key.clone() })
            .audited(record);
        self.commit(write).await?;
        // Only now: what is sealed under a key that was never stored is lost.
        self.sealer().install_project_key(project.id, &key).map_err(Error::internal)?;
        Ok(project)
    }

    /// Makes a machine identity with the administrator's role in another project, and its first client secret. Only
    /// administrators of the default project may; it is their only reach into a project that is not theirs, and it
    /// stands in that project's audit log.
    pub async fn appoint_administrator(
        &self,
        call: &Call,
        project: ProjectId,
        name: &str,
    ) -> Result<(Identity, Zeroizing<String>), Error> {
        self.require_default_administrator(call, Permission::IdentityManage)?;
        if self.reader().project(project).await?.is_none() {
            return Err(Error::not_found("Project", project));
        }
        let new = NewIdentity {
            name: name.to_owned(),
            role: Role::Admin,
            has_delete_protection: false,
            metadata: Vec::new(),
        };
        let identity = self.new_identity(project, new)?;
        let now = self.now();
        let identity = Identity { universal_auth: Some(self.default_universal_auth(now)), ..identity };
        let (secret, text) = self.new_secret(&identity, NewClientSecret::default());
        let mut record =
            call.audit(now, AuditEvent::IdentityCreated, identity::object(identity.id), identity::described(&identity));
        record.project_id = Some(project);
        let write = Write::default()
            .with(Change::InsertIdentity(identity.clone()))
            .with(Change::InsertClientSecret(secret))
            .audited(record);
        self.commit(write).await?;
        Ok((identity, text))
    }

    fn require_default_administrator(&self, call: &Call, permission: Permission) -> Result<(), Error> {
        call.requester.require(permission)?;
        if call.project_id() == self.default_project_id() {
            return Ok(());
        }
        Err(Error::forbidden("project.default_only", "Only an administrator of the default project can do this"))
    }

    /// Changes the caller's own project. The default project keeps its slug: the server finds it by that.
    pub async fn update_project(&self, call: &Call, id: ProjectId, patch: ProjectPatch) -> Result<Project, Error> {
        call.requester.require(Permission::ProjectEdit)?;
        let _changes = self.access_state().changes.lock().await;
        let own = if id == call.project_id() { self.reader().project(id).await? } else { None };
        let before = own.ok_or_else(|| Error::not_found("Project", id))?;
        let now = self.now();
        let after = Project {
            name: patch.name.as_deref().map_or_else(|| Ok(before.name.clone()), checked_name)?,
            slug: patch.slug.as_deref().map_or_else(|| Ok(before.slug.clone()), checked_slug)?,
            description: patch.description.map_or_else(|| Ok(before.description.clone()), checked_description)?,
            updated_at: now,
            ..before.clone()
        };
        if id == self.default_project_id() && after.slug != before.slug {
            return Err(Error::forbidden("project.default_slug", "The default project keeps its slug"));
        }
        let details = json!({ "before": described(&before), "after": described(&after) });
        let record = call.audit(now, AuditEvent::ProjectUpdated, Some(("project", id.as_uuid())), details);
        self.commit(Write::default().with(Change::UpdateProject(after.clone())).audited(record)).await?;
        Ok(after)
    }

    /// A slug made of the name, with four random characters behind it where the plain one is taken.
    async fn free_slug(&self, name: &str) -> Result<String, Error> {
        let plain = slug_of(name);
        if self.reader().project_by_slug(&plain).await?.is_none() {
            return Ok(plain);
        }
        let mut bytes = [0u8; 2];
        self.random().fill(&mut bytes);
        Ok(format!("{plain}-{}", hex::encode(bytes)))
    }
}

/// Lower-case letters and digits of the name, everything else as single hyphens.
fn slug_of(name: &str) -> String {
    let mut slug = String::new();
    for character in name.chars() {
        if character.is_ascii_alphanumeric() {
            slug.push(character.to_ascii_lowercase());
        } else if !slug.is_empty() && !slug.ends_with('-') {
            slug.push('-');
        }
        // Leaves room for a random ending.
        if slug.len() >= SLUG_LENGTH_MAX - 8 {
            break;
        }
    }
    let slug = slug.trim_end_matches('-');
    if slug.is_empty() { "project".to_owned() } else { slug.to_owned() }
}

fn checked_slug(slug: &str) -> Result<String, Error> {
    let shaped = !slug.is_empty()
        && slug.len() <= SLUG_LENGTH_MAX
        && slug.split('-').all(|part| {
            !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
        });
    if shaped {
        return Ok(slug.to_owned());
    }
    let message =
        format!("a slug has 1 to {SLUG_LENGTH_MAX} lower-case letters, digits and single hyphens between them");
    Err(Error::malformed("project.slug", "slug", message))
}

fn checked_description(description: Option<String>) -> Result<Option<String>, Error> {
    if description.as_ref().is_some_and(|it| it.chars().count() > DESCRIPTION_LENGTH_MAX) {
        let message = format!("a description has at most {DESCRIPTION_LENGTH_MAX} characters");
        return Err(Error::malformed("description.too_long", "description", message));
    }
    Ok(description)
}

fn described(project: &Project) -> serde_json::Value {
    json!({ "name": project.name, "slug": project.slug, "description": project.description })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slug_made_from_a_name_is_a_valid_slug() {
        for (name, slug) in [
            ("Payments", "payments"),
            ("  Payments & Cards / EU ", "payments-cards-eu"),
            ("--", "project"),
            ("Zahlungen für Müller", "zahlungen-f-r-m-ller"),
            ("日本", "project"),
            (&"x".repeat(300), &"x".repeat(56)),
        ] {
            assert_eq!(slug_of(name), slug);
            assert!(checked_slug(&slug_of(name)).is_ok(), "{name}");
        }
    }

    #[test]
    fn malformed_slugs_are_refused() {
        for slug in ["", "-a", "a-", "a--b", "A", "a_b", "a b", "ä", &"a".repeat(65)] {
            assert!(checked_slug(slug).is_err(), "{slug}");
        }
        assert!(checked_slug(&"a".repeat(64)).is_ok());
    }
}
