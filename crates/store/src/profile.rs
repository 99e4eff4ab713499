//! Certificate profiles.

use chancery_model::page::{Page, PageRequest};
use chancery_model::profile::{CertificateProfile, EnrollmentType, ProfileIssuer};
use chancery_model::{ApplicationId, CaId, ProfileId, ProjectId, Timestamp};

use crate::page::SmallList;
use crate::reader::Reader;
use crate::statement::{Query, Row, Statement, json, params};
use crate::{Conflict, StoreError};

/// Which profiles a list wants. All given conditions must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProfileFilter {
    /// Part of the slug or description.
    pub search: Option<String>,
    /// Only self-signed profiles, or only those with a CA.
    pub issuer_self_signed: Option<bool>,
    pub ca_id: Option<CaId>,
    /// A profile that does not say enrols by the API.
    pub enrollment: Option<EnrollmentType>,
    /// Only those attached to this application.
    pub application_id: Option<ApplicationId>,
}

/// How many certificates a profile has issued, by state. Deleted ones do not count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProfileMetrics {
    pub total: u64,
    /// Neither expired nor revoked.
    pub active: u64,
    pub expired: u64,
    /// Active and ending within 30 days.
    pub expiring: u64,
    pub revoked: u64,
}

pub(crate) fn insert(it: CertificateProfile) -> Result<Statement, StoreError> {
    Ok(Statement::new(
        "INSERT INTO profile (id, project_id, slug, description, ca_id, template_id, enrollment, settings, created_at, updated_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        params![
            it.id,
            it.project_id,
            it.slug,
            it.description,
            it.issuer.ca_id(),
            it.template_id,
            it.enrollment.map(EnrollmentType::as_str),
            json(&it.settings)?,
            it.created_at,
            it.updated_at
        ],
    ))
}

pub(crate) fn update(it: CertificateProfile) -> Result<Statement, StoreError> {
    let statement = Statement::new(
        "UPDATE profile SET slug = $2, description = $3, ca_id = $4, template_id = $5, enrollment = $6, settings = $7, \
         updated_at = $8 WHERE id = $1",
        params![
            it.id,
            it.slug,
            it.description,
            it.issuer.ca_id(),
            it.template_id,
            it.enrollment.map(EnrollmentType::as_str),
            json(&it.settings)?,
            it.updated_at
        ],
    );
    Ok(statement.guarded(Conflict::Missing))
}

pub(crate) fn delete(id: ProfileId) -> Statement {
    Statement::new("DELETE FROM profile WHERE id = $1", params![id]).guarded(Conflict::Missing)
}

pub(crate) fn enrollment_named(name: &str) -> Option<EnrollmentType> {
    (name == EnrollmentType::Api.as_str()).then_some(EnrollmentType::Api)
}

fn from_row(mut row: Row) -> Result<CertificateProfile, StoreError> {
    Ok(CertificateProfile {
        id: row.id("id")?,
        project_id: row.id("project_id")?,
        slug: row.text("slug")?,
        description: row.opt_text("description")?,
        issuer: row.opt_id("ca_id")?.map_or(ProfileIssuer::SelfSigned, ProfileIssuer::Ca),
        template_id: row.id("template_id")?,
        enrollment: match row.opt_text("enrollment")? {
            None => None,
            Some(name) => Some(enrollment_named(&name).ok_or_else(|| row.inconsistent("enrollment"))?),
        },
        settings: row.json("settings")?,
        created_at: row.time("created_at")?,
        updated_at: row.time("updated_at")?,
    })
}

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT id, project_id, slug, description, ca_id, template_id, enrollment, settings, created_at, updated_at FROM profile ",
            $rest
        )
    };
}

impl Reader {
    pub async fn profile(&self, project: ProjectId, id: ProfileId) -> Result<Option<CertificateProfile>, StoreError> {
        let query = Query::new("profile", select!("WHERE id = $1 AND project_id = $2"), params![id, project]);
        self.point(query).await?.map(from_row).transpose()
    }

    pub async fn profile_by_slug(
        &self,
        project: ProjectId,
        slug: &str,
    ) -> Result<Option<CertificateProfile>, StoreError> {
        let query =
            Query::new("profile", select!("WHERE project_id = $1 AND slug = $2"), params![project, slug.to_owned()]);
        self.point(query).await?.map(from_row).transpose()
    }

    /// Newest first.
    pub async fn profiles(
        &self,
        project: ProjectId,
        filter: &ProfileFilter,
        page: &PageRequest,
    ) -> Result<Page<CertificateProfile>, StoreError> {
        let mut list = SmallList::new("profile", select!(""), project);
        list.condition.push("project_id = ");
        list.condition.bind(project);
        list.search(filter.search.as_deref(), &["slug", "description"]);
        match filter.issuer_self_signed {
            Some(true) => list.condition.push(" AND ca_id IS NULL"),
            Some(false) => list.condition.push(" AND ca_id IS NOT NULL"),
            None => {}
        }
        if let Some(ca) = filter.ca_id {
            list.condition.push(" AND ca_id = ");
            list.condition.bind(ca);
        }
        if let Some(enrollment) = filter.enrollment {
            list.condition.push(" AND COALESCE(enrollment, 'api') = ");
            list.condition.bind(enrollment.as_str());
        }
        if let Some(application) = filter.application_id {
            list.condition.push(" AND id IN (SELECT profile_id FROM application_profile WHERE application_id = ");
            list.condition.bind(application);
            list.condition.push(")");
        }
        self.small_page(list, page, from_row, |it| (it.created_at, it.id.as_uuid())).await
    }

    /// Counts along one index, so the time grows with the number of certificates of the profile.
    pub async fn profile_metrics(&self, profile: ProfileId, now: Timestamp) -> Result<ProfileMetrics, StoreError> {
        let sql = "SELECT COUNT(*), \
             CAST(COALESCE(SUM(CASE WHEN revoked_at IS NULL AND not_after >= $2 THEN 1 ELSE 0 END), 0) AS BIGINT), \
             CAST(COALESCE(SUM(CASE WHEN revoked_at IS NULL AND not_after < $2 THEN 1 ELSE 0 END), 0) AS BIGINT), \
             CAST(COALESCE(SUM(CASE WHEN revoked_at IS NULL AND not_after >= $2 AND not_after < $3 THEN 1 ELSE 0 END), 0) AS BIGINT), \
             CAST(COALESCE(SUM(CASE WHEN revoked_at IS NOT NULL THEN 1 ELSE 0 END), 0) AS BIGINT) \
             FROM certificate WHERE profile_id = $1 AND project > 0";
        let query = Query::new("certificate", sql, params![profile, now, now.plus_seconds(30 * 86_400)]);
        let Some(mut row) = self.row(query).await? else { return Ok(ProfileMetrics::default()) };
        Ok(ProfileMetrics {
            total: row.small("total")?,
            active: row.small("active")?,
            expired: row.small("expired")?,
            expiring: row.small("expiring")?,
            revoked: row.small("revoked")?,
        })
    }
}
