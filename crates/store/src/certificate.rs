//! Certificates: how they are recorded, changed and looked up one by one. Lists and searches are in `search`.

mod removal;
mod revoked;
mod search;
mod view;

use chancery_model::certificate::{
    Certificate, CertificateSource, RenewalSettings, RenewalState, Revocation, RevocationReason,
};
use chancery_model::job::{JobKey, JobKind, NewJob};
use chancery_model::{CertificateId, ProfileId, ProjectId, RequestId, Timestamp};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::change::{Counter, Effects};
use crate::number::Numbering;
use crate::page::Sql;
use crate::profile::enrollment_named;
use crate::reader::Reader;
use crate::statement::{Row, Statement, Value, actor_columns, json, pairs, params};
use crate::{Conflict, StoreError, job, statistics};

pub(crate) use removal::{clean_up, drop_key};
pub(crate) use revoked::{release, release_ca, revoke, revoke_ca};

macro_rules! columns {
    () => {
        "n, id, project, request_id, profile_id, template_id, template_version, ca_id, ca_certificate_id, application_id, enrollment, \
         requester_kind, requester_id, serial, der, fingerprint, fingerprint_head, not_before, not_after, ttl, common_name, alt_names, \
         description, key_id, revoked_at, revocation_reason, renewed_from, renewed_by, renew_before_days, due_at, renewal_error, \
         metadata, created_at, updated_at, source, friendly_name, crl_partition, renewal_settings, has_weak_key"
    };
}

const INSERT: &str = concat!(
    "INSERT INTO certificate (",
    columns!(),
    ") VALUES ($1, $2, (SELECT number FROM project WHERE id = $3), $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, \
     $18, $19, $20, $21, $22, $23, $24, $25, $26, $27, $28, $29, $30, $31, $32, $33, $34, $35, $36, $37, $38, $39)"
);

const INSERT_BULK: &str = concat!(
    "INSERT INTO certificate (",
    columns!(),
    ") SELECT c1, c2, (SELECT number FROM project WHERE id = c3), c4, c5, c6, c7, c8, c9, c10, c11, c12, c13, c14, c15, c16, c17, \
     c18, c19, c20, c21, c22, c23, c24, c25, c26, c27, c28, c29, c30, c31, c32, c33, c34, c35, c36, c37, c38, \
     c39 FROM unnest($1::bigint[], $2::bytea[], $3::bytea[], $4::bytea[], $5::bytea[], $6::bytea[], $7::bigint[], $8::bytea[], \
     $9::bytea[], $10::bytea[], $11::text[], $12::bigint[], $13::bytea[], $14::bytea[], $15::bytea[], $16::bytea[], $17::bigint[], \
     $18::bigint[], $19::bigint[], $20::bigint[], $21::text[], $22::text[], $23::text[], $24::bytea[], $25::bigint[], $26::bigint[], \
     $27::bytea[], $28::bytea[], $29::bigint[], $30::bigint[], $31::text[], $32::text[], $33::bigint[], $34::bigint[], $35::bigint[], \
     $36::text[], $37::bigint[], $38::text[], $39::bigint[]) \
     AS r (c1, c2, c3, c4, c5, c6, c7, c8, c9, c10, c11, c12, c13, c14, c15, c16, c17, c18, c19, c20, c21, c22, c23, c24, c25, c26, \
     c27, c28, c29, c30, c31, c32, c33, c34, c35, c36, c37, c38, c39)"
);

pub(crate) fn insert(effects: &mut Effects, it: Certificate, numbering: &Numbering) -> Result<(), StoreError> {
    // A self-signed certificate is its own issuer.
    let issuer = it.ca_id.map_or(it.id.as_uuid(), |ca| ca.as_uuid());
    insert_under(effects, it, issuer, numbering)
}

/// Inserts a certificate whose serial number is one of `issuer`'s.
pub(crate) fn insert_under(
    effects: &mut Effects,
    it: Certificate,
    issuer: Uuid,
    numbering: &Numbering,
) -> Result<(), StoreError> {
    let number = numbering.next(it.created_at);
    let serial = serial_bytes(&it.serial_number)?;
    count(effects, &it);
    let renewal = it.renewal.due_at.map(|due_at| NewJob {
        key: renewal_of(it.id),
        project_id: it.project_id,
        due_at,
        deadline: it.not_after,
    });
    let names = Names::of(&it);
    let project = it.project_id;
    effects.push(Statement::new(INSERT, row_values(it, number, &serial, &names)?).bulk(INSERT_BULK));
    effects.push(
        Statement::new("INSERT INTO serial_number (serial, issuer, n) VALUES ($1, $2, $3)", params![serial, issuer, number]).bulk(
            "INSERT INTO serial_number (serial, issuer, n) SELECT * FROM unnest($1::bytea[], $2::bytea[], $3::bigint[])",
        ),
    );
    for (key, kind) in names.keys {
        effects.push(
            Statement::new(
                "INSERT INTO certificate_name (project, name, n, kind) VALUES ((SELECT number FROM project WHERE id = $1), $2, $3, $4)",
                params![project, key, number, kind],
            )
            .bulk(
                "INSERT INTO certificate_name (project, name, n, kind) SELECT (SELECT number FROM project WHERE id = c1), c2, c3, c4 \
                 FROM unnest($1::bytea[], $2::text[], $3::bigint[], $4::bigint[]) AS r (c1, c2, c3, c4)",
            ),
        );
    }
    effects.statements.extend(renewal.map(|renewal| job::insert(renewal, numbering)));
    Ok(())
}

fn count(effects: &mut Effects, it: &Certificate) {
    effects.counters.push((Counter::Certificates(it.project_id), 1));
    effects.counters.extend(it.profile_id.map(|id| (Counter::CertificatesOfProfile(id), 1)));
    effects.counters.extend(it.ca_id.map(|id| (Counter::CertificatesOfCa(id), 1)));
    effects.counters.extend(it.application_id.map(|id| (Counter::CertificatesOfApplication(id), 1)));
    effects.figures.extend(statistics::inserted(it));
}

fn row_values(it: Certificate, number: i64, serial: &[u8], names: &Names) -> Result<Vec<Value>, StoreError> {
    let (requester_kind, requester_id) = actor_columns(it.requester);
    let head = fingerprint_head(&it.fingerprint_sha256);
    Ok(params![
        number,
        it.id,
        it.project_id,
        it.request_id,
        it.profile_id,
        it.template_id,
        it.template_version,
        it.ca_id,
        it.ca_certificate_id,
        it.application_id,
        it.enrollment.as_str(),
        requester_kind,
        requester_id,
        serial.to_vec(),
        it.der,
        it.fingerprint_sha256,
        head,
        it.not_before,
        it.not_after,
        it.ttl,
        names.common_name.clone(),
        names.alt_names.clone(),
        json(&it.description)?,
        it.key_id,
        it.revocation.map(|it| it.at),
        it.revocation.map(|it| it.reason.code()),
        it.renewal.renewed_from,
        it.renewal.renewed_by,
        it.renewal.renew_before_days,
        it.renewal.due_at,
        it.renewal.error,
        pairs(&it.metadata)?,
        it.created_at,
        it.updated_at,
        source_number(it.source),
        it.friendly_name,
        it.crl_partition,
        it.renewal.settings.map(|it| json(&it)).transpose()?,
        it.description.has_weak_key()
    ])
}

const fn source_number(source: CertificateSource) -> i64 {
    match source {
        CertificateSource::Issued => 0,
        CertificateSource::Imported => 1,
    }
}

/// What a certificate is searched by.
struct Names {
    /// In lower case.
    common_name: Option<String>,
    /// In lower case, each between line ends, so that a whole name can be told from a part of one.
    alt_names: String,
    /// Index keys: bit 1 marks the common name, bit 2 a SAN.
    keys: Vec<(String, i64)>,
}

impl Names {
    fn of(it: &Certificate) -> Self {
        let common_name = it.description.common_name().filter(|name| !name.is_empty()).map(str::to_lowercase);
        let mut alt_names = String::new();
        let mut keys: Vec<(String, i64)> = common_name.iter().map(|name| (name_key(name), 1)).collect();
        for (_, value) in &it.description.sans {
            let value = value.to_lowercase().replace(['\n', '\0'], " ");
            let key = name_key(&value);
            match keys.iter_mut().find(|(known, _)| *known == key) {
                Some((_, kind)) => *kind |= 2,
                None => keys.push((key, 2)),
            }
            if alt_names.is_empty() {
                alt_names.push('\n');
            }
            alt_names.push_str(&value);
            alt_names.push('\n');
        }
        Self { common_name, alt_names, keys }
    }
}

/// Longest index key in bytes; PostgreSQL refuses much longer ones.
const NAME_KEY_MAX: usize = 400;

/// A lower-case name with its labels reversed (`a.acme.com` → `com.acme.a`), so that all names under a domain lie
/// together. A very long name keeps its beginning and a hash of the whole.
fn name_key(name: &str) -> String {
    let labels: Vec<&str> = name.rsplit('.').collect();
    let key = labels.join(".");
    if key.len() <= NAME_KEY_MAX {
        return key;
    }
    let hash = hex::encode(Sha256::digest(key.as_bytes()));
    let kept: String =
        key.char_indices().take_while(|(at, _)| *at < NAME_KEY_MAX - 100).map(|(_, letter)| letter).collect();
    format!("{kept}\u{1}{hash}")
}

/// The first eight bytes: enough to find a certificate, and a quarter of the index.
fn fingerprint_head(fingerprint: &[u8; 32]) -> i64 {
    fingerprint.first_chunk::<8>().map_or(0, |head| i64::from_be_bytes(*head))
}

/// A serial number in hex as its bytes.
pub(crate) fn serial_bytes(text: &str) -> Result<Vec<u8>, StoreError> {
    hex::decode(text)
        .map_err(|_| StoreError::Backend(format!("the serial number \"{text}\" is not hex of whole bytes")))
}

const EXISTS: &str = "SELECT 1 FROM certificate WHERE id = $1 AND project > 0";

pub(crate) fn mark_renewed(effects: &mut Effects, id: CertificateId, by: CertificateId, at: Timestamp, node: &str) {
    effects.push(
        Statement::new(
            "UPDATE certificate SET renewed_by = $2, renewal_error = NULL, due_at = NULL, updated_at = $3 \
             WHERE id = $1 AND project > 0 AND renewed_by IS NULL AND revoked_at IS NULL",
            params![id, by, at],
        )
        .guarded_if(Conflict::AlreadyRenewed, EXISTS),
    );
    effects.push(job::drop(renewal_of(id)));
    effects.push(statistics::superseded(id, node));
}

const fn renewal_of(id: CertificateId) -> JobKey {
    JobKey { kind: JobKind::RenewCertificate, object: id.as_uuid() }
}

/// `lead`: the days that a client set, and the due time. The job of renewing follows it.
pub(crate) fn configure_renewal(
    effects: &mut Effects,
    id: CertificateId,
    lead: (Option<u32>, Option<Timestamp>),
    settings: Option<RenewalSettings>,
    (at, numbering): (Timestamp, &Numbering),
) -> Result<(), StoreError> {
    let settings = settings.map(|it| json(&it)).transpose()?;
    let statement = Statement::new(
        "UPDATE certificate SET renew_before_days = $2, due_at = $3, renewal_settings = $4, updated_at = $5 \
         WHERE id = $1 AND project > 0",
        params![id, lead.0, lead.1, settings, at],
    );
    effects.push(statement.guarded(Conflict::Missing));
    effects.push(lead.1.map_or_else(|| job::drop(renewal_of(id)), |due_at| job::set_renewal(id, due_at, numbering)));
    Ok(())
}

pub(crate) fn set_renewal_error(id: CertificateId, error: Option<String>, at: Timestamp) -> Statement {
    Statement::new(
        "UPDATE certificate SET renewal_error = $2, updated_at = $3 WHERE id = $1 AND project > 0",
        params![id, error, at],
    )
    .guarded(Conflict::Missing)
}

pub(crate) fn set_metadata(
    id: CertificateId,
    metadata: &[(String, String)],
    at: Timestamp,
) -> Result<Statement, StoreError> {
    let statement = Statement::new(
        "UPDATE certificate SET metadata = $2, updated_at = $3 WHERE id = $1 AND project > 0",
        params![id, pairs(metadata)?, at],
    );
    Ok(statement.guarded(Conflict::Missing))
}

/// Moves the row out of its project, and out of the counters.
pub(crate) fn delete(effects: &mut Effects, id: CertificateId, node: &str) {
    effects.push(
        Statement::new("UPDATE certificate SET project = -project WHERE id = $1 AND project > 0", params![id])
            .guarded(Conflict::Missing),
    );
    effects.push(Statement::new(
        "INSERT INTO counter (kind, scope, node, value) SELECT gone.kind, gone.scope, $2, -1 FROM (\
         SELECT 1 AS kind, p.id AS scope FROM certificate c JOIN project p ON p.number = -c.project WHERE c.id = $1 \
         UNION ALL SELECT 2, c.profile_id FROM certificate c WHERE c.id = $1 AND c.profile_id IS NOT NULL \
         UNION ALL SELECT 3, c.ca_id FROM certificate c WHERE c.id = $1 AND c.ca_id IS NOT NULL \
         UNION ALL SELECT 5, c.application_id FROM certificate c WHERE c.id = $1 AND c.application_id IS NOT NULL) AS gone WHERE true \
         ON CONFLICT (kind, scope, node) DO UPDATE SET value = counter.value + excluded.value",
        params![id, node.to_owned()],
    ));
    effects.push(job::drop(renewal_of(id)));
    for kind in [JobKind::RevokeSuperseded, JobKind::AskRenewalTime] {
        effects.push(job::drop(JobKey { kind, ..renewal_of(id) }));
    }
    effects.statements.extend(statistics::deleted(id, node));
}

/// The row number comes with the record.
fn from_row(mut row: Row) -> Result<(i64, Certificate), StoreError> {
    let number = row.int("n")?;
    let mut certificate = Certificate {
        id: row.id("id")?,
        request_id: row.id("request_id")?,
        profile_id: row.opt_id("profile_id")?,
        template_id: row.opt_id("template_id")?,
        template_version: row.int("template_version")?,
        ca_id: row.opt_id("ca_id")?,
        ca_certificate_id: row.opt_id("ca_certificate_id")?,
        application_id: row.opt_id("application_id")?,
        enrollment: row.word("enrollment", enrollment_named)?,
        requester: row.actor("requester_id")?,
        serial_number: hex::encode(row.blob("serial")?),
        der: row.blob("der")?,
        fingerprint_sha256: row.hash("fingerprint")?,
        not_before: row.time("not_before")?,
        not_after: row.time("not_after")?,
        ttl: row.int("ttl")?,
        description: row.json("description")?,
        key_id: row.opt_id("key_id")?,
        revocation: revocation(&mut row)?,
        renewal: RenewalState {
            renewed_from: row.opt_id("renewed_from")?,
            renewed_by: row.opt_id("renewed_by")?,
            renew_before_days: row.opt_small("renew_before_days")?,
            due_at: row.opt_time("due_at")?,
            error: row.opt_text("renewal_error")?,
            settings: None,
        },
        metadata: row.pairs("metadata")?,
        created_at: row.time("created_at")?,
        updated_at: row.time("updated_at")?,
        source: match row.int("source")? {
            0 => CertificateSource::Issued,
            1 => CertificateSource::Imported,
            _ => return Err(row.inconsistent("source")),
        },
        friendly_name: row.opt_text("friendly_name")?,
        crl_partition: row.small("crl_partition")?,
        project_id: ProjectId::from_uuid(uuid::Uuid::nil()),
    };
    certificate.renewal.settings = row.opt_json("renewal_settings")?;
    certificate.project_id = row.id("project_id")?;
    Ok((number, certificate))
}

pub(crate) fn revocation(row: &mut Row) -> Result<Option<Revocation>, StoreError> {
    match (row.opt_time("revoked_at")?, row.opt_small("revocation_reason")?.map(RevocationReason::from_code)) {
        (Some(at), Some(Some(reason))) => Ok(Some(Revocation { at, reason })),
        (None, None) => Ok(None),
        _ => Err(row.inconsistent("revocation_reason")),
    }
}

const SELECT: &str = "SELECT c.n, c.id, c.request_id, c.profile_id, c.template_id, c.template_version, c.ca_id, c.ca_certificate_id, \
     c.application_id, c.enrollment, c.requester_kind, c.requester_id, c.serial, c.der, c.fingerprint, c.not_before, c.not_after, \
     c.ttl, c.description, c.key_id, c.revoked_at, c.revocation_reason, c.renewed_from, c.renewed_by, c.renew_before_days, c.due_at, \
     c.renewal_error, c.metadata, c.created_at, c.updated_at, c.source, c.friendly_name, c.crl_partition, c.renewal_settings, (SELECT p.id FROM project p WHERE p.number = ABS(c.project)) \
     FROM certificate c WHERE ";

/// Whether a certificate is in the inventory, or was deleted from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    Listed,
    Deleted,
}

/// Adds "in this project", kept away from the indexes that start with the project: the condition before it finds the rows.
fn in_project(sql: &mut Sql, project: ProjectId) {
    standing_in(sql, project, Standing::Listed);
}

fn standing_in(sql: &mut Sql, project: ProjectId, standing: Standing) {
    sql.push(match standing {
        Standing::Listed => " AND c.project > 0 AND +",
        Standing::Deleted => " AND c.project < 0 AND +",
    });
    standing_of(sql, project, standing);
}

/// Adds "in this project", which finds the rows.
fn of_project(sql: &mut Sql, project: ProjectId) {
    standing_of(sql, project, Standing::Listed);
}

fn standing_of(sql: &mut Sql, project: ProjectId, standing: Standing) {
    sql.push(match standing {
        Standing::Listed => "c.project = (SELECT number FROM project WHERE id = ",
        Standing::Deleted => "c.project = (SELECT -number FROM project WHERE id = ",
    });
    sql.bind(project);
    sql.push(")");
}

fn with_id(id: CertificateId) -> Sql {
    let mut sql = Sql::default();
    sql.push("c.id = ");
    sql.bind(id);
    sql
}

fn with_fingerprint(fingerprint: &[u8; 32]) -> Sql {
    let mut sql = Sql::default();
    sql.push("c.fingerprint_head = ");
    sql.bind(fingerprint_head(fingerprint));
    sql.push(" AND c.fingerprint = ");
    sql.bind(*fingerprint);
    sql
}

/// Nothing, if it is no serial number.
fn with_serial(project: ProjectId, serial_number: &str, standing: Standing) -> Option<Sql> {
    let serial = search::serial_of(serial_number)?;
    let mut sql = Sql::default();
    standing_of(&mut sql, project, standing);
    sql.push(" AND c.n IN (SELECT s.n FROM serial_number s WHERE s.serial = ");
    sql.bind(serial);
    sql.push(")");
    Some(sql)
}

const NEWEST: &str = " ORDER BY c.n DESC LIMIT 1";

impl Reader {
    pub async fn certificate(&self, project: ProjectId, id: CertificateId) -> Result<Option<Certificate>, StoreError> {
        self.one_certificate(with_id(id), project, "").await
    }

    /// The certificate that the recorded request led to.
    pub async fn certificate_by_request(
        &self,
        project: ProjectId,
        request: RequestId,
    ) -> Result<Option<Certificate>, StoreError> {
        let mut sql = Sql::default();
        sql.push("c.id = (SELECT r.certificate_id FROM request r WHERE r.id = ");
        sql.bind(request);
        sql.push(")");
        self.one_certificate(sql, project, "").await
    }

    /// By serial number in hex; of several issuers' the newest.
    pub async fn certificate_by_serial(
        &self,
        project: ProjectId,
        serial_number: &str,
    ) -> Result<Option<Certificate>, StoreError> {
        let Some(sql) = with_serial(project, serial_number, Standing::Listed) else { return Ok(None) };
        self.one_certificate(sql, project, NEWEST).await
    }

    pub async fn certificate_by_fingerprint(
        &self,
        project: ProjectId,
        fingerprint: &[u8; 32],
    ) -> Result<Option<Certificate>, StoreError> {
        self.one_certificate(with_fingerprint(fingerprint), project, NEWEST).await
    }

    /// One that was deleted from the inventory, which its issuer may still have to revoke.
    pub async fn deleted_certificate(
        &self,
        project: ProjectId,
        id: CertificateId,
    ) -> Result<Option<Certificate>, StoreError> {
        self.standing_certificate(with_id(id), project, (Standing::Deleted, "")).await
    }

    /// Like [`Self::certificate_by_serial`], among the deleted ones.
    pub async fn deleted_certificate_by_serial(
        &self,
        project: ProjectId,
        serial_number: &str,
    ) -> Result<Option<Certificate>, StoreError> {
        let Some(sql) = with_serial(project, serial_number, Standing::Deleted) else { return Ok(None) };
        self.standing_certificate(sql, project, (Standing::Deleted, NEWEST)).await
    }

    /// Like [`Self::certificate_by_fingerprint`], among the deleted ones.
    pub async fn deleted_certificate_by_fingerprint(
        &self,
        project: ProjectId,
        fingerprint: &[u8; 32],
    ) -> Result<Option<Certificate>, StoreError> {
        self.standing_certificate(with_fingerprint(fingerprint), project, (Standing::Deleted, NEWEST)).await
    }

    /// The newest one of the profile that is neither expired nor revoked.
    pub async fn latest_active_of_profile(
        &self,
        project: ProjectId,
        profile: ProfileId,
        now: Timestamp,
    ) -> Result<Option<Certificate>, StoreError> {
        let mut sql = Sql::default();
        sql.push("c.profile_id = ");
        sql.bind(profile);
        sql.push(" AND c.revoked_at IS NULL AND c.not_after >= ");
        sql.bind(now);
        self.one_certificate(sql, project, NEWEST).await
    }

    async fn one_certificate(
        &self,
        condition: Sql,
        project: ProjectId,
        order: &str,
    ) -> Result<Option<Certificate>, StoreError> {
        self.standing_certificate(condition, project, (Standing::Listed, order)).await
    }

    async fn standing_certificate(
        &self,
        condition: Sql,
        project: ProjectId,
        (standing, order): (Standing, &str),
    ) -> Result<Option<Certificate>, StoreError> {
        let mut sql = Sql::default();
        sql.push(SELECT);
        sql.append(&condition);
        standing_in(&mut sql, project, standing);
        sql.push(order);
        let row = self.point(sql.into_query("certificate")).await?;
        Ok(row.map(from_row).transpose()?.map(|(_, certificate)| certificate))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_under_a_domain_lie_together() {
        for (name, key) in [("a.acme.com", "com.acme.a"), ("acme", "acme"), ("", ""), ("*.acme.com", "com.acme.*")] {
            assert_eq!(name_key(name), key);
        }
    }

    #[test]
    fn long_names_have_short_and_different_keys() {
        let long = format!("https://acme.com/{}", "ä".repeat(2_000));
        let (one, other) = (name_key(&long), name_key(&format!("{long}x")));
        assert!(one.len() <= NAME_KEY_MAX && other.len() <= NAME_KEY_MAX);
        assert_ne!(one, other);
        assert_eq!(name_key(&long), one);
    }
}
