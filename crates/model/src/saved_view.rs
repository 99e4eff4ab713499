//! A question to the inventory that somebody keeps.

use crate::id::{ProjectId, SavedViewId, UserId};
use crate::time::Timestamp;

/// A person's own search, or one shared with the project.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SavedView {
    pub id: SavedViewId,
    pub project_id: ProjectId,
    /// Who made it, and may delete it.
    pub owner: UserId,
    /// 1 to 100 characters, unique among the owner's.
    pub name: String,
    /// The conditions as the query string of a URL, without the question mark; at most 2 000 characters. The inventory's
    /// page reads it like any address somebody typed, so a condition that is gone since is only a search that says so.
    pub query: String,
    /// Everybody in the project sees it.
    pub shared: bool,
    pub created_at: Timestamp,
}
