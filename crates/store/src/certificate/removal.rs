//! Removal for good, of certificates that ended long ago: with their request, names, jobs and key. What stays is the
//! serial number, so that its issuer never uses it again (RFC 5280 §4.1.2.2), and the audit log.

use chancery_model::certificate::Certificate;
use chancery_model::job::{JobKey, JobKind};
use chancery_model::{KeyId, ProjectId, Timestamp};

use super::{Names, from_row, renewal_of};
use crate::change::Effects;
use crate::page::Sql;
use crate::reader::Reader;
use crate::statement::{Statement, Value, params};
use crate::{StoreError, job, order, statistics};

/// The jobs that have a certificate as their object.
const OWN_JOBS: &[JobKind] =
    &[JobKind::RenewCertificate, JobKind::RevokeSuperseded, JobKind::RevokeExternally, JobKind::AskRenewalTime];

/// Whoever comes second finds nothing to do. A deleted certificate has left the counters already.
pub(crate) fn clean_up(effects: &mut Effects, it: &Certificate, node: &str) {
    effects.push(Statement::new(
        "INSERT INTO counter (kind, scope, node, value) SELECT gone.kind, gone.scope, $2, -1 FROM (\
         SELECT 1 AS kind, p.id AS scope FROM certificate c JOIN project p ON p.number = c.project WHERE c.id = $1 \
         UNION ALL SELECT 2, c.profile_id FROM certificate c WHERE c.id = $1 AND c.project > 0 AND c.profile_id IS NOT NULL \
         UNION ALL SELECT 3, c.ca_id FROM certificate c WHERE c.id = $1 AND c.project > 0 AND c.ca_id IS NOT NULL \
         UNION ALL SELECT 5, c.application_id FROM certificate c WHERE c.id = $1 AND c.project > 0 AND c.application_id IS NOT NULL \
         UNION ALL SELECT 4, p.id FROM request r JOIN project p ON p.number = r.project \
         WHERE r.id = $3 AND r.certificate_id = $1) AS gone WHERE true \
         ON CONFLICT (kind, scope, node) DO UPDATE SET value = counter.value + excluded.value",
        params![it.id, node.to_owned(), it.request_id],
    ));
    effects.statements.extend(statistics::removed(it.id, node));
    for (key, _) in Names::of(it).keys {
        effects.push(Statement::new(
            "DELETE FROM certificate_name WHERE project = (SELECT number FROM project WHERE id = $2) AND name = $3 \
             AND n = (SELECT c.n FROM certificate c WHERE c.id = $1)",
            params![it.id, it.project_id, key],
        ));
    }
    effects.push(Statement::new(
        "UPDATE serial_number SET n = NULL WHERE serial = (SELECT c.serial FROM certificate c WHERE c.id = $1) \
         AND n = (SELECT c.n FROM certificate c WHERE c.id = $1)",
        params![it.id],
    ));
    effects.push(Statement::new(
        "DELETE FROM request WHERE id = $2 AND certificate_id = $1",
        params![it.id, it.request_id],
    ));
    effects.push(order::forget(it.request_id));
    effects.push(Statement::new("DELETE FROM foreign_chain WHERE certificate_id = $1", params![it.id]));
    for kind in OWN_JOBS {
        effects.push(job::drop(JobKey { kind: *kind, ..renewal_of(it.id) }));
    }
    effects.push(Statement::new("DELETE FROM certificate WHERE id = $1", params![it.id]));
    effects.statements.extend(it.key_id.map(drop_key));
}

/// Deletes a sealed key unless something uses it.
pub(crate) fn drop_key(key: KeyId) -> Statement {
    Statement::new(
        "DELETE FROM sealed_key WHERE id = $1 AND NOT EXISTS (SELECT 1 FROM certificate WHERE key_id = $1) \
         AND NOT EXISTS (SELECT 1 FROM ca WHERE key_id = $1) AND NOT EXISTS (SELECT 1 FROM ca_certificate WHERE key_id = $1) \
         AND NOT EXISTS (SELECT 1 FROM ocsp_responder WHERE key_id = $1)",
        params![key],
    )
}

/// Ended before the time given, and on no CRL any more. The key under which a CRL lists it is that of its issuer's
/// certificate.
const ENDED: &str = " AND (c.revoked_at IS NULL OR NOT EXISTS (SELECT 1 FROM ca_certificate a \
     JOIN crl_entry e ON e.key_id = a.key_id AND e.partition = c.crl_partition AND e.serial = c.serial \
     WHERE a.id = c.ca_certificate_id)) ORDER BY c.not_after, c.n LIMIT ";

impl Reader {
    /// Certificates of the project that ended before `before`, longest ago first, deleted ones too; of the revoked ones
    /// those that no CRL has to list any more.
    pub async fn certificates_ended_before(
        &self,
        project: ProjectId,
        before: Timestamp,
        limit: u32,
    ) -> Result<Vec<Certificate>, StoreError> {
        let mut found = Vec::new();
        for sign in ["", "-"] {
            let missing = i64::from(limit) - i64::try_from(found.len()).unwrap_or(i64::MAX);
            if missing <= 0 {
                break;
            }
            let mut sql = Sql::default();
            sql.push(super::SELECT);
            sql.push("c.project = (SELECT ");
            sql.push(sign);
            sql.push("number FROM project WHERE id = ");
            sql.bind(project);
            sql.push(") AND c.not_after < ");
            sql.bind(before);
            sql.push(ENDED);
            sql.bind(Value::Int(missing));
            let rows = self.rows(sql.into_query("certificate")).await?;
            for row in rows {
                found.push(from_row(row)?.1);
            }
        }
        Ok(found)
    }
}
