//! Revoking certificates, one or many, and releasing them from hold.

use uuid::Uuid;

use crate::certificate::SearchCertificates;
use crate::words::RevocationReason;

wire! {
    pub struct RevokeCertificate {
        pub revocation_reason: RevocationReason,
    }

    pub struct RevokeAnswer {
        pub message: String,
        pub serial_number: String,
        pub revoked_at: String,
    }

    /// The certificate is good again.
    pub struct ReleaseAnswer {
        pub message: String,
        pub serial_number: String,
    }

    /// Revoke all active certificates that a search finds. Without `confirm` nothing is revoked: the answer says how many
    /// match and gives the token to repeat the call with.
    pub struct BulkRevoke {
        pub search: SearchCertificates,
        pub revocation_reason: RevocationReason,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub confirm: Option<String>,
    }

    /// A preview (`matching`, `confirm`) or what was done (`revoked`, `failed`, `hasMore`).
    #[derive(Default)]
    pub struct BulkRevokeAnswer {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub matching: Option<u64>,
        /// Good for ten minutes, for this search, reason and caller, and for certificates made until now.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub confirm: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub revoked: Option<u64>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub failed: Option<Vec<BulkFailure>>,
        /// One call revokes 10000 at most: ask again, without `confirm`, while this is true.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub has_more: Option<bool>,
    }

    pub struct BulkFailure {
        pub id: Uuid,
        pub error: String,
    }
}
