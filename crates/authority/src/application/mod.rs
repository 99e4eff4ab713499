//! Applications: what groups certificates, the profiles they may come from, and those who care for them.
//!
//! `service.rs` makes, changes and deletes them, `profiles.rs` attaches profiles and says how each is enrolled with,
//! `members.rs` keeps the members, `assign.rs` takes a certificate into an application. `enrol.rs` decides which
//! application a request is for: issuance asks it, and nothing else here is on the path of a certificate.
//!
//! A member's role adds to its role in the project, inside that application only. Administrators of an application keep
//! its members and settings; which profiles it may use is for those of the project to say.

mod assign;
pub(crate) mod enrol;
mod members;
mod profiles;
mod service;

pub use members::AddedPeople;
pub use profiles::ApiSettings;
pub use service::{ApplicationPatch, NewApplication};

use chancery_model::ApplicationId;
use chancery_model::application::Application;
use chancery_model::permission::Permission;
use uuid::Uuid;

use crate::{Authority, Call, Error};

impl Authority {
    /// The application, if the caller's project has it.
    pub async fn application_of(&self, call: &Call, id: ApplicationId) -> Result<Application, Error> {
        self.reader().application(call.project_id(), id).await?.ok_or_else(|| Error::not_found("Application", id))
    }

    /// The application, if the caller may change what belongs to it.
    async fn managed_application(&self, call: &Call, id: ApplicationId) -> Result<Application, Error> {
        call.requester.require_somewhere(Permission::ApplicationManage)?;
        let application = self.application_of(call, id).await?;
        call.requester.require_in(Some(id), Permission::ApplicationManage)?;
        Ok(application)
    }
}

/// How the audit log names an application.
const fn object(id: ApplicationId) -> Option<(&'static str, Uuid)> {
    Some(("application", id.as_uuid()))
}
