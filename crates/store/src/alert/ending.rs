//! What alerts look at: certificates and CAs that end soon, and the audit entries that tell of certificates.

use chancery_model::audit::AuditEvent;
use chancery_model::authority::InternalCaConfiguration;
use chancery_model::certificate::CertificateDescription;
use chancery_model::{AlertId, ApplicationId, CaCertificateId, CaId, CertificateId, ProfileId, ProjectId, Timestamp};
use uuid::Uuid;

use crate::StoreError;
use crate::page::Sql;
use crate::reader::Reader;
use crate::statement::{Query, Row, params};

/// Rows that one call looks at.
const ROWS: i64 = 1_000;

/// A certificate that ends within a window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndingCertificate {
    pub id: CertificateId,
    /// Lower-case hex.
    pub serial_number: String,
    pub profile_id: Option<ProfileId>,
    pub application_id: Option<ApplicationId>,
    pub not_before: Timestamp,
    pub not_after: Timestamp,
    pub description: CertificateDescription,
}

/// A CA whose current certificate ends within a window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndingCa {
    pub id: CaId,
    pub name: String,
    pub certificate_id: CaCertificateId,
    /// Lower-case hex.
    pub serial_number: String,
    pub not_before: Timestamp,
    pub not_after: Timestamp,
    pub common_name: String,
}

/// Which certificates are looked at: from `from` on (inclusive), to `to` (inclusive), in order of their end.
#[derive(Clone, Copy, Debug)]
pub struct EndingWindow {
    pub project: ProjectId,
    pub from: Timestamp,
    pub to: Timestamp,
    /// Leaves out what this alert has told of in this period.
    pub untold: Option<(AlertId, i64)>,
    /// The place that an earlier call ended at.
    pub after: Option<(Timestamp, i64)>,
}

/// An audit entry as an alert reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WatchedEntry {
    pub sequence: i64,
    pub time: Timestamp,
    pub event: String,
    pub object_id: Option<Uuid>,
    pub body: String,
}

/// Revoked and renewed certificates need nobody's care any more; the server's own (OCSP responders) it replaces by itself.
const ENDING: &str = "SELECT c.n, c.not_after, c.id, c.serial, c.profile_id, c.application_id, c.not_before, \
     CASE WHEN c.revoked_at IS NULL AND c.renewed_by IS NULL AND NOT (c.requester_kind = 0 AND c.profile_id IS NULL) \
     AND NOT EXISTS (SELECT 1 FROM alert_notice t WHERE t.alert_id = $1 AND t.object = c.id AND t.period = $2) \
     THEN c.description END FROM certificate c WHERE c.project = (SELECT number FROM project WHERE id = $3) \
     AND (c.not_after, c.n) > ($4, $5) AND c.not_after <= $6 ORDER BY c.not_after, c.n LIMIT $7";

impl Reader {
    /// One call looks at no more than 1 000 certificates and leaves out those that are revoked, renewed or told of; the
    /// place to go on from is missing at the end of the window.
    pub async fn ending_certificates(
        &self,
        window: &EndingWindow,
    ) -> Result<(Vec<EndingCertificate>, Option<(Timestamp, i64)>), StoreError> {
        let (alert, period) = window.untold.map_or((Uuid::nil(), 0), |(alert, period)| (alert.as_uuid(), period));
        let before_all = (Timestamp::from_millis(window.from.as_millis().saturating_sub(1)), i64::MAX);
        let (end, number) = window.after.unwrap_or(before_all);
        let params = params![alert, period, window.project, end, number, window.to, ROWS];
        let rows = self.rows(Query::new("certificate", ENDING, params)).await?;
        let full = i64::try_from(rows.len()).is_ok_and(|count| count >= ROWS);
        let mut place = None;
        let mut found = Vec::new();
        for row in rows {
            let (here, certificate) = ending(row)?;
            place = Some(here);
            found.extend(certificate);
        }
        Ok((found, place.filter(|_| full)))
    }

    /// Internal CAs that are in use and whose signing certificate ends within the window and is not revoked.
    pub async fn ending_cas(
        &self,
        project: ProjectId,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<Vec<EndingCa>, StoreError> {
        let sql = "SELECT ca.id, ca.name, k.id, k.serial_number, k.not_before, k.not_after, ca.configuration \
             FROM ca JOIN ca_certificate k ON k.id = ca.active_certificate \
             WHERE ca.project_id = $1 AND ca.kind = 'internal' AND ca.status = 'active' AND k.revoked_at IS NULL \
             AND k.not_after >= $2 AND k.not_after <= $3 ORDER BY k.not_after, ca.id";
        let rows = self.rows(Query::new("ca", sql, params![project, from, to])).await?;
        rows.into_iter()
            .map(|mut row| {
                Ok(EndingCa {
                    id: row.id("id")?,
                    name: row.text("name")?,
                    certificate_id: row.id("active_certificate")?,
                    serial_number: row.text("serial_number")?,
                    not_before: row.time("not_before")?,
                    not_after: row.time("not_after")?,
                    common_name: row.json::<InternalCaConfiguration>("configuration")?.common_name,
                })
            })
            .collect()
    }

    /// The entries of one node about one project and one of these events, after one sequence number and up to another.
    pub async fn watched_entries(
        &self,
        project: ProjectId,
        node: &str,
        range: (i64, i64),
        events: &[AuditEvent],
    ) -> Result<Vec<WatchedEntry>, StoreError> {
        let mut sql = Sql::default();
        sql.push("SELECT sequence, time, event, object_id, body FROM audit WHERE node = ");
        sql.bind(node.to_owned());
        sql.push(" AND sequence > ");
        sql.bind(range.0);
        sql.push(" AND sequence <= ");
        sql.bind(range.1);
        sql.push(" AND project_id = ");
        sql.bind(project);
        sql.push(" AND event IN (");
        for (index, event) in events.iter().enumerate() {
            if index > 0 {
                sql.push(", ");
            }
            sql.bind(event.as_str());
        }
        sql.push(") ORDER BY sequence");
        let rows = self.rows(sql.into_query("audit")).await?;
        rows.into_iter()
            .map(|mut row| {
                Ok(WatchedEntry {
                    sequence: row.int("sequence")?,
                    time: row.time("time")?,
                    event: row.text("event")?,
                    object_id: row.opt_id("object_id")?,
                    body: row.text("body")?,
                })
            })
            .collect()
    }
}

type Place = (Timestamp, i64);

fn ending(mut row: Row) -> Result<(Place, Option<EndingCertificate>), StoreError> {
    let number = row.int("n")?;
    let not_after = row.time("not_after")?;
    let id = row.id("id")?;
    let serial_number = hex::encode(row.blob("serial")?);
    let profile_id = row.opt_id("profile_id")?;
    let application_id = row.opt_id("application_id")?;
    let not_before = row.time("not_before")?;
    let certificate = row.opt_json("description")?.map(|description| EndingCertificate {
        id,
        serial_number,
        profile_id,
        application_id,
        not_before,
        not_after,
        description,
    });
    Ok(((not_after, number), certificate))
}
