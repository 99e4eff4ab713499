//! App connections: credentials for services elsewhere.

use chancery_model::external::{AppConnection, ConnectionApp};
use chancery_model::{ConnectionId, ProjectId};

use crate::reader::Reader;
use crate::statement::{Query, Row, Statement, json, params};
use crate::{Conflict, StoreError};

pub(crate) fn insert(it: AppConnection) -> Result<Statement, StoreError> {
    Ok(Statement::new(
        "INSERT INTO app_connection (id, project_id, name, description, app, method, settings, sealed, created_at, updated_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        params![
            it.id,
            it.project_id,
            it.name,
            it.description,
            it.app.as_str(),
            it.method,
            json(&it.settings)?,
            it.sealed,
            it.created_at,
            it.updated_at
        ],
    ))
}

pub(crate) fn update(it: AppConnection) -> Result<Statement, StoreError> {
    let statement = Statement::new(
        "UPDATE app_connection SET name = $2, description = $3, method = $4, settings = $5, sealed = $6, updated_at = $7 \
         WHERE id = $1",
        params![it.id, it.name, it.description, it.method, json(&it.settings)?, it.sealed, it.updated_at],
    );
    Ok(statement.guarded(Conflict::Missing))
}

/// A configuration names a connection by its id, which is unlike any other text in it; so does an order by whose state
/// something is to be removed outside.
pub(crate) fn delete(id: ConnectionId) -> Statement {
    Statement::new(
        "DELETE FROM app_connection WHERE id = $1 AND NOT EXISTS (SELECT 1 FROM ca \
         WHERE ca.project_id = app_connection.project_id AND ca.configuration LIKE $2) \
         AND NOT EXISTS (SELECT 1 FROM external_order o \
         WHERE o.project_id = app_connection.project_id AND o.phase <> 'done' AND o.state LIKE $2)",
        params![id, format!("%{id}%")],
    )
    .guarded_if(Conflict::InUse, "SELECT 1 FROM app_connection WHERE id = $1")
}

fn from_row(mut row: Row) -> Result<AppConnection, StoreError> {
    Ok(AppConnection {
        id: row.id("id")?,
        project_id: row.id("project_id")?,
        name: row.text("name")?,
        description: row.opt_text("description")?,
        app: row.word("app", ConnectionApp::from_name)?,
        method: row.text("method")?,
        settings: row.json("settings")?,
        sealed: row.blob("sealed")?,
        created_at: row.time("created_at")?,
        updated_at: row.time("updated_at")?,
    })
}

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT id, project_id, name, description, app, method, settings, sealed, created_at, updated_at FROM app_connection ",
            $rest
        )
    };
}

impl Reader {
    pub async fn connection(&self, project: ProjectId, id: ConnectionId) -> Result<Option<AppConnection>, StoreError> {
        let query = Query::new("app_connection", select!("WHERE id = $1 AND project_id = $2"), params![id, project]);
        self.point(query).await?.map(from_row).transpose()
    }

    pub async fn connection_by_name(
        &self,
        project: ProjectId,
        name: &str,
    ) -> Result<Option<AppConnection>, StoreError> {
        let values = params![project, name.to_owned()];
        let query = Query::new("app_connection", select!("WHERE project_id = $1 AND name = $2"), values);
        self.point(query).await?.map(from_row).transpose()
    }

    /// All of a project, by name.
    pub async fn connections(&self, project: ProjectId) -> Result<Vec<AppConnection>, StoreError> {
        let query = Query::new("app_connection", select!("WHERE project_id = $1 ORDER BY name"), params![project]);
        self.rows(query).await?.into_iter().map(from_row).collect()
    }
}
