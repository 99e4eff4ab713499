//! OCSP (RFC 6960) as the store keeps it: who signs the answers.

use crate::id::{CaId, KeyId, ProjectId};
use crate::time::Timestamp;

/// The authorised responder (RFC 6960 §4.2.2.2) that answers for what one CA key has issued.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OcspResponder {
    /// The CA key that signed the responder's certificate, and the certificates asked about.
    pub ca_key_id: KeyId,
    pub project_id: ProjectId,
    pub ca_id: CaId,
    /// The responder's own key, sealed.
    pub key_id: KeyId,
    /// The certificate, as every answer carries it.
    pub der: Vec<u8>,
    pub not_before: Timestamp,
    /// Inclusive.
    pub not_after: Timestamp,
}
