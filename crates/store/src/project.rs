//! Projects. The big tables know a project by its short `number`, which never leaves this crate.

use chancery_model::ProjectId;
use chancery_model::project::Project;

use crate::reader::Reader;
use crate::statement::{Query, Row, Statement, params};
use crate::{Conflict, StoreError};

pub(crate) fn insert(it: Project) -> Statement {
    Statement::new(
        "INSERT INTO project (id, name, slug, description, created_at, updated_at, number) \
         VALUES ($1, $2, $3, $4, $5, $6, (SELECT COALESCE(MAX(number), 0) + 1 FROM project))",
        params![it.id, it.name, it.slug, it.description, it.created_at, it.updated_at],
    )
}

pub(crate) fn update(it: Project) -> Statement {
    Statement::new(
        "UPDATE project SET name = $2, slug = $3, description = $4, updated_at = $5 WHERE id = $1",
        params![it.id, it.name, it.slug, it.description, it.updated_at],
    )
    .guarded(Conflict::Missing)
}

fn from_row(mut row: Row) -> Result<Project, StoreError> {
    Ok(Project {
        id: row.id("id")?,
        name: row.text("name")?,
        slug: row.text("slug")?,
        description: row.opt_text("description")?,
        created_at: row.time("created_at")?,
        updated_at: row.time("updated_at")?,
    })
}

macro_rules! select {
    ($rest:literal) => {
        concat!("SELECT id, name, slug, description, created_at, updated_at FROM project ", $rest)
    };
}

impl Reader {
    pub async fn project(&self, id: ProjectId) -> Result<Option<Project>, StoreError> {
        self.point(Query::new("project", select!("WHERE id = $1"), params![id])).await?.map(from_row).transpose()
    }

    pub async fn project_by_slug(&self, slug: &str) -> Result<Option<Project>, StoreError> {
        let query = Query::new("project", select!("WHERE slug = $1"), params![slug.to_owned()]);
        self.point(query).await?.map(from_row).transpose()
    }

    /// All, oldest first.
    pub async fn projects(&self) -> Result<Vec<Project>, StoreError> {
        let query = Query::new("project", select!("ORDER BY created_at, number"), Vec::new());
        self.rows(query).await?.into_iter().map(from_row).collect()
    }
}
