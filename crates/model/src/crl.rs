//! Certificate revocation lists (RFC 5280 §5) as the store keeps them.

use crate::certificate::RevocationReason;
use crate::id::{CaId, CrlId, KeyId, ProjectId};
use crate::time::Timestamp;

/// One line of CRLs under one name: everything that one CA key has issued, or one partition of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Crl {
    pub id: CrlId,
    pub project_id: ProjectId,
    pub ca_id: CaId,
    /// The CA key that signs it.
    pub key_id: KeyId,
    /// 0: complete, whatever the partition of its certificates. From 1 on: that partition alone.
    pub partition: u32,
    /// The CRL number last given out (RFC 5280 §5.2.3); 0 before the first. Complete and delta CRLs share the numbers.
    pub number: i64,
    /// The CRL last published as planned, not because of a revocation: what delta CRLs are relative to.
    pub base_number: i64,
    pub base_this_update: Option<Timestamp>,
    /// The planned one before that: an expired certificate is listed until one planned CRL has listed it as such.
    pub previous_base: Option<Timestamp>,
    /// Absent before the first.
    pub complete: Option<PublishedCrl>,
    pub delta: Option<PublishedCrl>,
    pub created_at: Timestamp,
}

/// What is known of a published CRL without its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PublishedCrl {
    pub number: i64,
    pub this_update: Timestamp,
    pub next_update: Timestamp,
    pub entries: u64,
    /// Octets of DER.
    pub size: u64,
}

/// One revoked certificate, its CRL entry encoded once and for all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CrlEntry {
    pub key_id: KeyId,
    pub partition: u32,
    /// Content octets of the serial number.
    pub serial: Vec<u8>,
    /// DER of the element of revokedCertificates (RFC 5280 §5.1.2.6).
    pub der: Vec<u8>,
    pub reason: RevocationReason,
    /// End of the certificate's validity.
    pub not_after: Timestamp,
    /// When it was written down: what a delta CRL goes by.
    pub recorded_at: Timestamp,
}
