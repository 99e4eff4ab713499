//! Revocation: who may revoke what, which steps are allowed, and the one write that does it.
//!
//! ```text
//! active ──► revoked (any reason)          final
//!    │
//!    └────► on hold ──► revoked (any other reason)
//!               └─────► active again (release)
//! ```
//!
//! A revocation is one transaction: the certificate's state, its encoded CRL entry, the CRL's job and the audit entry. OCSP
//! asks the store and so says it at once; the CRL follows within seconds (`status/publish.rs`). `revoke.rs` is the verb,
//! `bulk.rs` does it for a search, `ca.rs` for certificates of CAs, `superseded.rs` for what was renewed.

mod bulk;
mod ca;
mod revoke;
pub(crate) mod superseded;

pub use bulk::{BulkOutcome, BulkPreview, BulkRevocation};
pub use revoke::{CertificateSelector, Revoked};

use chancery_model::certificate::{Revocation, RevocationReason};
use chancery_model::crl::{Crl, CrlEntry};
use chancery_model::job::{JobKey, JobKind, NewJob};
use chancery_model::{KeyId, Timestamp};
use chancery_pkix::crl::RevokedCertificate;
use chancery_pkix::{CrlEntryContents, SerialNumber};
use chancery_store::Change;

use crate::Authority;
use crate::error::Error;
use crate::status::publish::GATHER_SECONDS;
use crate::status::reason_code;

/// Whether this step is allowed, and whether it makes a hold final.
fn step(current: Option<Revocation>, wanted: RevocationReason) -> Result<bool, Error> {
    match current {
        None => Ok(false),
        Some(it) if it.reason == RevocationReason::CertificateHold && wanted != RevocationReason::CertificateHold => {
            Ok(true)
        }
        Some(it) => Err(already(it)),
    }
}

fn already(revocation: Revocation) -> Error {
    Error::malformed(
        "revocation.already",
        "id",
        format!(
            "the certificate was already revoked at {} with reason {}; nothing was changed",
            revocation.at,
            revocation.reason.as_str()
        ),
    )
}

/// The CRL entry of a revocation, encoded for good.
fn entry(crl_key: KeyId, place: (u32, &[u8]), not_after: Timestamp, revocation: Revocation) -> CrlEntry {
    let (partition, serial) = place;
    let octets = content_octets(serial);
    CrlEntry {
        key_id: crl_key,
        partition,
        serial: serial.to_vec(),
        der: CrlEntryContents {
            serial: &octets,
            revocation_date: revocation.at.as_seconds(),
            reason_code: reason_code(revocation.reason),
            invalidity_date: None,
        }
        .to_der(),
        reason: revocation.reason,
        not_after,
        recorded_at: revocation.at,
    }
}

/// A serial number as it stands in its certificate: numbers are kept without the zero octet that only says "positive",
/// and CAs elsewhere draw numbers that need one.
pub(crate) fn content_octets(serial: &[u8]) -> Vec<u8> {
    SerialNumber::from_bytes(serial).map_or_else(|_| serial.to_vec(), |number| number.to_content_octets())
}

/// Asks for the CRLs that list this partition: its own, and the complete one.
fn publications(crls: &[Crl], partition: u32, now: Timestamp) -> impl Iterator<Item = Change> {
    let due_at = now.plus_seconds(GATHER_SECONDS);
    crls.iter().filter(move |crl| crl.partition == 0 || crl.partition == partition).map(move |crl| {
        Change::ScheduleJob(NewJob {
            key: JobKey { kind: JobKind::PublishCrl, object: crl.id.as_uuid() },
            project_id: crl.project_id,
            due_at,
            deadline: due_at,
        })
    })
}

impl Authority {
    /// What the CRL of a key says about a serial number, whether or not its certificate is known here: an imported CA
    /// brings its last CRL along.
    pub(crate) async fn listed_revocation(&self, key: KeyId, serial: &[u8]) -> Result<Option<Revocation>, Error> {
        let Some(der) = self.reader().listed_revocation(key, serial).await? else { return Ok(None) };
        let entry = RevokedCertificate::from_der(&der)
            .ok_or_else(|| Error::internal(format!("the CRL entry of {} is damaged", hex::encode(serial))))?;
        let reason = entry.reason.and_then(RevocationReason::from_code).unwrap_or(RevocationReason::Unspecified);
        Ok(Some(Revocation { at: Timestamp::from_seconds(entry.revocation_date), reason }))
    }
}
