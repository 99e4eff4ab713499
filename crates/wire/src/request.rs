//! Certificate requests: what was asked and what became of it.

use uuid::Uuid;

use crate::certificate::BasicConstraints;
use crate::error::Warning;
use crate::page::{KeyValue, KeyValueCondition};
use crate::words::{CertificateStatus, OrderStatus, RequestStatus, SortOrder};

wire! {
    /// One request, with the certificate once there is one.
    pub struct CertificateRequest {
        pub status: RequestStatus,
        /// PEM.
        pub certificate: Option<String>,
        pub certificate_id: Option<Uuid>,
        pub serial_number: Option<String>,
        /// PEM; `null` when the key came with a CSR, is not kept here, or the caller may not read it.
        pub private_key: Option<String>,
        /// PEM, issuing CA first, root last.
        pub certificate_chain: Option<String>,
        /// PEM; empty for a self-signed certificate.
        pub issuing_ca_certificate: Option<String>,
        pub error_message: Option<String>,
        pub pending_message: Option<String>,
        pub common_name: Option<String>,
        pub organization: Option<String>,
        pub organizational_unit: Option<String>,
        pub country: Option<String>,
        pub state: Option<String>,
        pub locality: Option<String>,
        pub domain_components: Option<Vec<String>>,
        pub basic_constraints: Option<BasicConstraints>,
        pub metadata: Vec<KeyValue>,
        #[serde(default)]
        pub warnings: Vec<Warning>,
        /// How far the order at an external CA is; absent where nothing was ordered.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub order_status: Option<OrderStatus>,
        /// How the external CA calls the order: a URL or a number.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub order_reference: Option<String>,
        /// PEM of what came back from an external CA and was not what had been asked for. It is not in the inventory.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub quarantined_certificate: Option<String>,
        pub created_at: String,
        pub updated_at: String,
    }

    /// A request in a list.
    pub struct RequestRow {
        pub id: Uuid,
        pub status: RequestStatus,
        pub common_name: Option<String>,
        /// Comma-joined values.
        pub alt_names: Option<String>,
        pub profile_id: Option<Uuid>,
        pub profile_name: Option<String>,
        pub ca_id: Option<Uuid>,
        pub certificate_id: Option<Uuid>,
        pub approval_request_id: Option<Uuid>,
        pub error_message: Option<String>,
        pub pending_message: Option<String>,
        pub created_at: String,
        pub updated_at: String,
        pub certificate: Option<RequestCertificate>,
    }

    pub struct RequestCertificate {
        pub id: Uuid,
        pub serial_number: String,
        pub status: CertificateStatus,
    }

    pub struct RequestsAnswer {
        pub certificate_requests: Vec<RequestRow>,
        pub total_count: u64,
        pub total_count_exact: bool,
        pub next_cursor: Option<String>,
    }

    /// Find requests. All conditions are optional and all given ones must hold.
    #[derive(Default)]
    pub struct SearchRequests {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub offset: Option<i64>,
        /// 1 to 100, default 20.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub limit: Option<i64>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub cursor: Option<String>,
        /// Part of the common name or of a SAN.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub search: Option<String>,
        /// One or several states, joined by commas.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub status: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub from_date: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub to_date: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub profile_ids: Option<Vec<Uuid>>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub application_id: Option<Uuid>,
        /// Only `createdAt`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub sort_by: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub sort_order: Option<SortOrder>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub metadata: Option<Vec<KeyValueCondition>>,
    }

    /// The external CA is being asked again, out of turn.
    pub struct TriggerValidationAnswer {
        pub status: RequestStatus,
        /// Absent where nothing was ordered.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub order_status: Option<OrderStatus>,
    }

    pub struct CancelAnswer {
        pub status: RequestStatus,
        pub cancelled: bool,
        pub error_message: Option<String>,
    }
}

query! {
    pub struct RequestsQuery {
        pub offset: Option<i64>,
        /// 1 to 100, default 20.
        pub limit: Option<i64>,
        pub cursor: Option<String>,
        pub search: Option<String>,
        pub status: Option<String>,
        pub from_date: Option<String>,
        pub to_date: Option<String>,
        /// Joined by commas.
        pub profile_ids: Option<String>,
        pub application_id: Option<String>,
        pub sort_by: Option<String>,
        pub sort_order: Option<String>,
    }
}
