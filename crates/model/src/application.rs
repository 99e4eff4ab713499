//! An application: what groups certificates, the profiles they may come from, and the people and programs who care for
//! them.

use crate::id::{ApplicationId, ApplicationMemberId, ProfileId, ProjectId};
use crate::identity::ActorId;
use crate::permission::Role;
use crate::profile::ApiEnrollment;
use crate::time::Timestamp;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Application {
    pub id: ApplicationId,
    pub project_id: ProjectId,
    /// Unique in the project: 1 to 64 lower-case letters, digits, hyphens.
    pub name: String,
    /// Up to 256 characters.
    pub description: Option<String>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

/// A profile that is attached to an application, and how the application enrols with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApplicationProfile {
    pub application_id: ApplicationId,
    pub profile_id: ProfileId,
    /// Absent: nothing is issued by the API for this application with this profile.
    pub api: Option<ApiEnrollment>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

/// Somebody's role in one application, beside the role in the project.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApplicationMember {
    pub id: ApplicationMemberId,
    pub application_id: ApplicationId,
    pub actor: ActorId,
    pub role: Role,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}
