//! The requests that led to certificates, as a rehearsal of a template reads them: newest first, along the certificates
//! of one profile or of the whole project.

use chancery_model::certificate::CertificateDescription;
use chancery_model::{CaId, ProfileId, ProjectId, RequestId, TemplateId, Timestamp};

use crate::StoreError;
use crate::number::first_at;
use crate::page::Sql;
use crate::reader::Reader;
use crate::statement::{Query, Row, Value, params};

/// A request that was granted, with what its certificate says.
#[derive(Clone, Debug)]
pub struct PastRequest {
    /// Its place in the list: larger is newer.
    pub place: i64,
    pub id: RequestId,
    pub profile_id: ProfileId,
    /// Absent: the certificate signed itself.
    pub ca_id: Option<CaId>,
    pub common_name: Option<String>,
    /// The resolved `Enrollment` with sources, verdict and warnings, as JSON text.
    pub document: String,
    /// DER.
    pub csr: Option<Vec<u8>>,
    pub description: CertificateDescription,
    pub created_at: Timestamp,
}

/// Without the row that names no request: a certificate that the server made for itself has none.
fn from_row(mut row: Row) -> Result<(i64, Option<PastRequest>), StoreError> {
    let place = row.int("n")?;
    let Some(id) = row.opt_id("id")? else { return Ok((place, None)) };
    let request = PastRequest {
        place,
        id,
        profile_id: row.id("profile_id")?,
        ca_id: row.opt_id("ca_id")?,
        common_name: row.opt_text("common_name")?,
        document: row.text("document")?,
        csr: row.opt_blob("csr")?,
        created_at: row.time("created_at")?,
        description: row.json("description")?,
    };
    Ok((place, Some(request)))
}

impl Reader {
    /// Requests since `since` that led to certificates which are still in the inventory: at most `limit` places further
    /// back than `before`. Also the place to go on from, where there may be more.
    pub async fn issued_requests(
        &self,
        project: ProjectId,
        profile: Option<ProfileId>,
        (since, before): (Timestamp, i64),
        limit: u32,
    ) -> Result<(Vec<PastRequest>, Option<i64>), StoreError> {
        let mut sql = Sql::default();
        // The outer join makes the certificates, which lie in order, come first.
        sql.push(
            "SELECT c.n, r.id, c.profile_id, c.ca_id, r.common_name, r.document, r.csr, r.created_at, c.description \
             FROM certificate c LEFT JOIN request r ON r.id = c.request_id WHERE ",
        );
        match profile {
            Some(profile) => {
                sql.push("c.profile_id = ");
                sql.bind(profile);
                sql.push(" AND c.project > 0 AND +c.project = (SELECT number FROM project WHERE id = ");
            }
            None => sql.push("c.profile_id IS NOT NULL AND c.project = (SELECT number FROM project WHERE id = "),
        }
        sql.bind(project);
        sql.push(") AND c.n >= ");
        sql.bind(first_at(since));
        sql.push(" AND c.n < ");
        sql.bind(before);
        sql.push(" ORDER BY c.n DESC LIMIT ");
        sql.bind(Value::from(limit));
        let rows = self.rows(sql.into_query("request")).await?;
        let full = rows.len() >= usize::try_from(limit).unwrap_or(usize::MAX);
        let mut requests = Vec::with_capacity(rows.len());
        let mut last = None;
        for row in rows {
            let (place, request) = from_row(row)?;
            last = Some(place);
            requests.extend(request);
        }
        Ok((requests, last.filter(|_| full)))
    }

    /// Every profile of the project that uses the template.
    pub async fn profiles_by_template(
        &self,
        project: ProjectId,
        template: TemplateId,
    ) -> Result<Vec<ProfileId>, StoreError> {
        let sql = "SELECT id FROM profile WHERE template_id = $1 AND project_id = $2 ORDER BY id";
        let rows = self.rows(Query::new("profile", sql, params![template, project])).await?;
        rows.into_iter().map(|mut row| row.id("id")).collect()
    }
}
