//! A project: the boundary that nobody sees across. One default project exists from the start.

use crate::id::ProjectId;
use crate::time::Timestamp;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Project {
    pub id: ProjectId,
    pub name: String,
    /// Unique; lower-case letters, digits and single hyphens.
    pub slug: String,
    pub description: Option<String>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}
