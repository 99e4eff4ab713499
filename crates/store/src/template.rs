//! Certificate templates.

use chancery_model::page::{Page, PageRequest};
use chancery_model::template::CertificateTemplate;
use chancery_model::{ProfileId, ProjectId, TemplateId};

use crate::page::SmallList;
use crate::reader::Reader;
use crate::statement::{Query, Row, Statement, json, params};
use crate::{Conflict, StoreError};

const EXISTS: &str = "SELECT 1 FROM template WHERE id = $1";

pub(crate) fn insert(it: CertificateTemplate) -> Result<Statement, StoreError> {
    Ok(Statement::new(
        "INSERT INTO template (id, project_id, name, description, rules, version, created_at, updated_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        params![
            it.id,
            it.project_id,
            it.name,
            it.description,
            json(&it.rules)?,
            it.version,
            it.created_at,
            it.updated_at
        ],
    ))
}

pub(crate) fn update(it: CertificateTemplate, expected_version: i64) -> Result<Statement, StoreError> {
    let statement = Statement::new(
        "UPDATE template SET name = $2, description = $3, rules = $4, version = $5, updated_at = $6 WHERE id = $1 AND version = $7",
        params![it.id, it.name, it.description, json(&it.rules)?, it.version, it.updated_at, expected_version],
    );
    Ok(statement.guarded_if(Conflict::Stale, EXISTS))
}

pub(crate) fn delete(id: TemplateId) -> Statement {
    Statement::new(
        "DELETE FROM template WHERE id = $1 AND NOT EXISTS (SELECT 1 FROM profile WHERE template_id = $1) \
         AND NOT EXISTS (SELECT 1 FROM ca WHERE direct_issuance_template = $1)",
        params![id],
    )
    .guarded_if(Conflict::InUse, EXISTS)
}

fn from_row(mut row: Row) -> Result<CertificateTemplate, StoreError> {
    Ok(CertificateTemplate {
        id: row.id("id")?,
        project_id: row.id("project_id")?,
        name: row.text("name")?,
        description: row.opt_text("description")?,
        rules: row.json("rules")?,
        version: row.int("version")?,
        created_at: row.time("created_at")?,
        updated_at: row.time("updated_at")?,
    })
}

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT id, project_id, name, description, rules, version, created_at, updated_at FROM template ",
            $rest
        )
    };
}

impl Reader {
    pub async fn template(
        &self,
        project: ProjectId,
        id: TemplateId,
    ) -> Result<Option<CertificateTemplate>, StoreError> {
        let query = Query::new("template", select!("WHERE id = $1 AND project_id = $2"), params![id, project]);
        self.point(query).await?.map(from_row).transpose()
    }

    /// Newest first; `search` is a part of the name or description.
    pub async fn templates(
        &self,
        project: ProjectId,
        search: Option<&str>,
        page: &PageRequest,
    ) -> Result<Page<CertificateTemplate>, StoreError> {
        let mut list = SmallList::new("template", select!(""), project);
        list.condition.push("project_id = ");
        list.condition.bind(project);
        list.search(search, &["name", "description"]);
        self.small_page(list, page, from_row, |it| (it.created_at, it.id.as_uuid())).await
    }

    pub async fn template_name_taken(&self, project: ProjectId, name: &str) -> Result<bool, StoreError> {
        let sql = "SELECT 1 FROM template WHERE project_id = $1 AND name = $2";
        Ok(self.point(Query::new("template", sql, params![project, name.to_owned()])).await?.is_some())
    }

    /// Which profiles use it, by slug; the first 20.
    pub async fn profiles_of_template(&self, id: TemplateId) -> Result<Vec<(ProfileId, String)>, StoreError> {
        let sql = "SELECT id, slug FROM profile WHERE template_id = $1 ORDER BY slug LIMIT 20";
        let rows = self.rows(Query::new("profile", sql, params![id])).await?;
        rows.into_iter().map(|mut row| Ok((row.id("id")?, row.text("slug")?))).collect()
    }
}
