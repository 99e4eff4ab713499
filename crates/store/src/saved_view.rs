//! Searches of the inventory that people keep.

use chancery_model::saved_view::SavedView;
use chancery_model::{ProjectId, SavedViewId, UserId};

use crate::reader::Reader;
use crate::statement::{Query, Row, Statement, params};
use crate::{Conflict, StoreError};

pub(crate) fn insert(it: SavedView) -> Statement {
    Statement::new(
        "INSERT INTO saved_view (id, project_id, owner, name, query, shared, created_at) VALUES ($1, $2, $3, $4, $5, $6, $7)",
        params![it.id, it.project_id, it.owner, it.name, it.query, it.shared, it.created_at],
    )
}

pub(crate) fn delete(id: SavedViewId) -> Statement {
    Statement::new("DELETE FROM saved_view WHERE id = $1", params![id]).guarded(Conflict::Missing)
}

fn from_row(mut row: Row) -> Result<SavedView, StoreError> {
    Ok(SavedView {
        id: row.id("id")?,
        project_id: row.id("project_id")?,
        owner: row.id("owner")?,
        name: row.text("name")?,
        query: row.text("query")?,
        shared: row.flag("shared")?,
        created_at: row.time("created_at")?,
    })
}

macro_rules! select {
    ($rest:literal) => {
        concat!("SELECT id, project_id, owner, name, query, shared, created_at FROM saved_view ", $rest)
    };
}

impl Reader {
    pub async fn saved_view(&self, project: ProjectId, id: SavedViewId) -> Result<Option<SavedView>, StoreError> {
        let query = Query::new("saved_view", select!("WHERE id = $1 AND project_id = $2"), params![id, project]);
        self.point(query).await?.map(from_row).transpose()
    }

    /// The person's own and those that others share, by name; the first 500. Without a person: the shared ones.
    pub async fn saved_views(&self, project: ProjectId, user: Option<UserId>) -> Result<Vec<SavedView>, StoreError> {
        let sql = select!("WHERE project_id = $1 AND (owner = $2 OR shared = 1) ORDER BY name, id LIMIT 500");
        let rows = self.rows(Query::new("saved_view", sql, params![project, user])).await?;
        rows.into_iter().map(from_row).collect()
    }

    /// How many the person keeps.
    pub async fn saved_views_of(&self, project: ProjectId, user: UserId) -> Result<u64, StoreError> {
        let sql = "SELECT COUNT(*) FROM saved_view WHERE project_id = $1 AND owner = $2";
        let count = self.number(Query::new("saved_view", sql, params![project, user])).await?;
        Ok(u64::try_from(count).unwrap_or(0))
    }
}
