//! Certification authorities, their certificates, and sealed private keys.

use chancery_model::authority::{CaCertificate, CaRenewalReport, CaStatus, CertificationAuthority, SealedKey};
use chancery_model::{CaCertificateId, CaId, KeyId, ProjectId, Timestamp};
use uuid::Uuid;

use crate::certificate::{revocation, serial_bytes};
use crate::change::Effects;
use crate::reader::Reader;
use crate::statement::{Query, Row, Statement, json, params};
use crate::{Conflict, StoreError};

/// External CAs are in the same table, and have their own questions in `external`.
const EXISTS: &str = "SELECT 1 FROM ca WHERE id = $1 AND kind = 'internal'";

pub(crate) fn insert(it: CertificationAuthority) -> Result<Statement, StoreError> {
    Ok(Statement::new(
        "INSERT INTO ca (id, project_id, name, status, configuration, direct_issuance_template, active_certificate, key_id, \
         created_at, updated_at, last_renewal) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
        params![
            it.id,
            it.project_id,
            it.name,
            it.status.as_str(),
            json(&it.configuration)?,
            it.direct_issuance_template,
            it.active_certificate,
            it.key_id,
            it.created_at,
            it.updated_at,
            it.last_renewal.map(|it| json(&it)).transpose()?
        ],
    ))
}

pub(crate) fn update(it: CertificationAuthority) -> Result<Statement, StoreError> {
    let statement = Statement::new(
        "UPDATE ca SET name = $2, status = $3, configuration = $4, direct_issuance_template = $5, updated_at = $7 \
         WHERE id = $1 AND kind = 'internal' AND active_certificate IS NOT DISTINCT FROM $6",
        params![
            it.id,
            it.name,
            it.status.as_str(),
            json(&it.configuration)?,
            it.direct_issuance_template,
            it.active_certificate,
            it.updated_at
        ],
    );
    Ok(statement.guarded_if(Conflict::Stale, EXISTS))
}

pub(crate) fn report_renewal(id: CaId, report: &CaRenewalReport) -> Result<Statement, StoreError> {
    let sql = "UPDATE ca SET last_renewal = $2 WHERE id = $1 AND kind = 'internal'";
    Ok(Statement::new(sql, params![id, json(report)?]).guarded(Conflict::Missing))
}

/// Of either kind.
pub(crate) fn delete(id: CaId) -> Statement {
    Statement::new(
        "DELETE FROM ca WHERE id = $1 AND NOT EXISTS (SELECT 1 FROM profile WHERE ca_id = $1) AND NOT EXISTS (SELECT 1 \
         FROM ca_certificate child JOIN ca owner ON owner.id = child.ca_id WHERE child.parent_ca_id = $1 AND child.ca_id <> $1) \
         AND NOT EXISTS (SELECT 1 FROM external_order WHERE ca_id = $1 AND phase <> 'done')",
        params![id],
    )
    .guarded_if(Conflict::InUse, "SELECT 1 FROM ca WHERE id = $1")
}

pub(crate) fn activate(
    ca: CaId,
    certificate: CaCertificateId,
    expected: Option<CaCertificateId>,
    at: Timestamp,
) -> Statement {
    Statement::new(
        "UPDATE ca SET active_certificate = $2, updated_at = $4, \
         key_id = (SELECT c.key_id FROM ca_certificate c WHERE c.id = $2), \
         status = CASE WHEN status = 'pending-certificate' THEN 'active' ELSE status END \
         WHERE id = $1 AND kind = 'internal' AND active_certificate IS NOT DISTINCT FROM $3 \
         AND EXISTS (SELECT 1 FROM ca_certificate c WHERE c.id = $2 AND c.ca_id = $1)",
        params![ca, certificate, expected, at],
    )
    .guarded_if(Conflict::Stale, EXISTS)
}

/// A root is its own issuer. The issuer of a certificate made elsewhere is not ours, so its serial numbers cannot meet
/// those of another: the certificate's own id stands for it.
fn serial_scope(it: &CaCertificate) -> Uuid {
    match it.parent_ca_id {
        Some(parent) => parent.as_uuid(),
        None if it.chain.is_empty() => it.ca_id.as_uuid(),
        None => it.id.as_uuid(),
    }
}

pub(crate) fn insert_certificate(effects: &mut Effects, it: CaCertificate) -> Result<(), StoreError> {
    let serial = serial_bytes(&it.serial_number)?;
    let issuer = serial_scope(&it);
    effects.push(
        Statement::new(
            "INSERT INTO serial_number (serial, issuer) SELECT $1, $2 WHERE NOT EXISTS (SELECT 1 FROM serial_number s \
             JOIN certificate c ON c.n = s.n WHERE s.serial = $1 AND s.issuer = $2 AND c.der = $3 \
             AND c.project = (SELECT number FROM project WHERE id = $4))",
            params![serial.clone(), issuer, it.der.clone(), it.project_id],
        )
        .bulk(
            "INSERT INTO serial_number (serial, issuer) SELECT r.serial, r.issuer \
             FROM unnest($1::bytea[], $2::bytea[], $3::bytea[], $4::bytea[]) AS r (serial, issuer, der, project_id) WHERE NOT EXISTS (SELECT 1 \
             FROM serial_number s JOIN certificate c ON c.n = s.n \
             WHERE s.serial = r.serial AND s.issuer = r.issuer AND c.der = r.der \
             AND c.project = (SELECT number FROM project WHERE id = r.project_id))",
        ),
    );
    insert_row(effects, it, serial);
    Ok(())
}

/// A certificate that its issuer made before it came here: its serial number may be registered already, for itself.
pub(crate) fn import_certificate(effects: &mut Effects, it: CaCertificate) -> Result<(), StoreError> {
    let serial = serial_bytes(&it.serial_number)?;
    effects.push(register_serial(serial_scope(&it), serial.clone()));
    insert_row(effects, it, serial);
    Ok(())
}

/// A serial number that is taken, whatever took it.
pub(crate) fn register_serial(issuer: Uuid, serial: Vec<u8>) -> Statement {
    Statement::new(
        "INSERT INTO serial_number (serial, issuer) VALUES ($1, $2) ON CONFLICT (serial, issuer) DO NOTHING",
        params![serial, issuer],
    )
}

fn insert_row(effects: &mut Effects, it: CaCertificate, serial: Vec<u8>) {
    effects.configure(Statement::new(
        "INSERT INTO ca_certificate (id, ca_id, project_id, version, serial_number, der, chain, parent_ca_id, path_length, \
         not_before, not_after, created_at, key_id, parent_certificate_id, serial) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)",
        params![
            it.id,
            it.ca_id,
            it.project_id,
            it.version,
            it.serial_number,
            it.der,
            joined(&it.chain),
            it.parent_ca_id,
            it.path_length,
            it.not_before,
            it.not_after,
            it.created_at,
            it.key_id,
            it.parent_certificate_id,
            serial
        ],
    ));
}

pub(crate) fn take_serial(ca: CaId, serial_number: &str) -> Result<Statement, StoreError> {
    let serial = serial_bytes(serial_number)?;
    Ok(Statement::new("INSERT INTO serial_number (serial, issuer) VALUES ($1, $2)", params![serial, ca]))
}

pub(crate) fn insert_key(it: SealedKey) -> Statement {
    Statement::new(
        "INSERT INTO sealed_key (id, project_id, algorithm, sealed, created_at) VALUES ($1, $2, $3, $4, $5)",
        params![it.id, it.project_id, it.algorithm.as_str(), it.sealed, it.created_at],
    )
    .bulk(
        "INSERT INTO sealed_key (id, project_id, algorithm, sealed, created_at) \
         SELECT * FROM unnest($1::bytea[], $2::bytea[], $3::text[], $4::bytea[], $5::bigint[])",
    )
}

/// A list of byte strings as one: each behind its length in four bytes.
pub(crate) fn joined(parts: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(parts.iter().map(|part| part.len() + 4).sum());
    for part in parts {
        bytes.extend_from_slice(&u32::try_from(part.len()).unwrap_or(u32::MAX).to_be_bytes());
        bytes.extend_from_slice(part);
    }
    bytes
}

pub(crate) fn parted(mut bytes: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut parts = Vec::new();
    while let Some((length, rest)) = bytes.split_first_chunk::<4>() {
        let (part, rest) = rest.split_at_checked(usize::try_from(u32::from_be_bytes(*length)).ok()?)?;
        parts.push(part.to_vec());
        bytes = rest;
    }
    bytes.is_empty().then_some(parts)
}

fn from_row(mut row: Row) -> Result<CertificationAuthority, StoreError> {
    Ok(CertificationAuthority {
        id: row.id("id")?,
        project_id: row.id("project_id")?,
        name: row.text("name")?,
        status: row.word("status", CaStatus::from_name)?,
        configuration: row.json("configuration")?,
        direct_issuance_template: row.opt_id("direct_issuance_template")?,
        active_certificate: row.opt_id("active_certificate")?,
        key_id: row.id("key_id")?,
        last_renewal: row.opt_json("last_renewal")?,
        created_at: row.time("created_at")?,
        updated_at: row.time("updated_at")?,
    })
}

fn certificate_from_row(mut row: Row) -> Result<CaCertificate, StoreError> {
    Ok(CaCertificate {
        id: row.id("id")?,
        ca_id: row.id("ca_id")?,
        project_id: row.id("project_id")?,
        version: row.int("version")?,
        serial_number: row.text("serial_number")?,
        der: row.blob("der")?,
        chain: {
            let bytes = row.blob("chain")?;
            parted(&bytes).ok_or_else(|| row.inconsistent("chain"))?
        },
        parent_ca_id: row.opt_id("parent_ca_id")?,
        path_length: row.opt_small("path_length")?,
        not_before: row.time("not_before")?,
        not_after: row.time("not_after")?,
        created_at: row.time("created_at")?,
        key_id: row.id("key_id")?,
        parent_certificate_id: row.opt_id("parent_certificate_id")?,
        revocation: revocation(&mut row)?,
    })
}

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT id, project_id, name, status, configuration, direct_issuance_template, active_certificate, key_id, last_renewal, ",
            "created_at, updated_at FROM ca WHERE kind = 'internal' ",
            $rest
        )
    };
}

macro_rules! select_certificate {
    ($rest:literal) => {
        concat!(
            "SELECT id, ca_id, project_id, version, serial_number, der, chain, parent_ca_id, path_length, not_before, not_after, ",
            "created_at, key_id, parent_certificate_id, revoked_at, revocation_reason FROM ca_certificate ",
            $rest
        )
    };
}

impl Reader {
    /// External ones are asked for by [`Self::external_ca`].
    pub async fn ca(&self, project: ProjectId, id: CaId) -> Result<Option<CertificationAuthority>, StoreError> {
        let query = Query::new("ca", select!("AND id = $1 AND project_id = $2"), params![id, project]);
        self.point(query).await?.map(from_row).transpose()
    }

    pub async fn ca_by_name(
        &self,
        project: ProjectId,
        name: &str,
    ) -> Result<Option<CertificationAuthority>, StoreError> {
        let query = Query::new("ca", select!("AND project_id = $1 AND name = $2"), params![project, name.to_owned()]);
        self.point(query).await?.map(from_row).transpose()
    }

    /// All internal ones of a project, oldest first.
    pub async fn cas(&self, project: ProjectId) -> Result<Vec<CertificationAuthority>, StoreError> {
        let query = Query::new("ca", select!("AND project_id = $1 ORDER BY created_at, id"), params![project]);
        self.rows(query).await?.into_iter().map(from_row).collect()
    }

    /// Of any project, and of deleted CAs too: CA certificates are public.
    pub async fn ca_certificate(&self, id: CaCertificateId) -> Result<Option<CaCertificate>, StoreError> {
        let query = Query::new("ca_certificate", select_certificate!("WHERE id = $1"), params![id]);
        self.point(query).await?.map(certificate_from_row).transpose()
    }

    /// The newest one over a key.
    pub async fn ca_certificate_of_key(&self, key: KeyId) -> Result<Option<CaCertificate>, StoreError> {
        let sql = select_certificate!("WHERE key_id = $1 ORDER BY version DESC, created_at DESC LIMIT 1");
        self.point(Query::new("ca_certificate", sql, params![key])).await?.map(certificate_from_row).transpose()
    }

    /// By serial number in hex, signed by this CA; with no parent, a root's or one made elsewhere.
    pub async fn ca_certificate_by_serial(
        &self,
        project: ProjectId,
        parent: Option<CaId>,
        serial_number: &str,
    ) -> Result<Option<CaCertificate>, StoreError> {
        let Ok(serial) = serial_bytes(&serial_number.to_lowercase()) else { return Ok(None) };
        let sql = select_certificate!(
            "WHERE serial = $1 AND project_id = $2 AND parent_ca_id IS NOT DISTINCT FROM $3 ORDER BY created_at DESC LIMIT 1"
        );
        let query = Query::new("ca_certificate", sql, params![serial, project, parent]);
        self.point(query).await?.map(certificate_from_row).transpose()
    }

    /// All of one CA, first version first.
    pub async fn ca_certificates(&self, ca: CaId) -> Result<Vec<CaCertificate>, StoreError> {
        let query = Query::new("ca_certificate", select_certificate!("WHERE ca_id = $1 ORDER BY version"), params![ca]);
        self.rows(query).await?.into_iter().map(certificate_from_row).collect()
    }

    pub async fn key(&self, id: KeyId) -> Result<Option<SealedKey>, StoreError> {
        let sql = "SELECT id, project_id, algorithm, sealed, created_at FROM sealed_key WHERE id = $1";
        let Some(mut row) = self.point(Query::new("sealed_key", sql, params![id])).await? else { return Ok(None) };
        Ok(Some(SealedKey {
            id: row.id("id")?,
            project_id: row.id("project_id")?,
            algorithm: row.word("algorithm", |name| name.parse().ok())?,
            sealed: row.blob("sealed")?,
            created_at: row.time("created_at")?,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chains_read_back_and_damaged_ones_do_not() {
        for chain in [vec![], vec![vec![1, 2, 3]], vec![vec![], vec![9; 300]]] {
            assert_eq!(parted(&joined(&chain)), Some(chain));
        }
        for damaged in [&[0u8, 0, 0][..], &[0, 0, 0, 2, 1], &[255, 255, 255, 255]] {
            assert_eq!(parted(damaged), None);
        }
    }
}
