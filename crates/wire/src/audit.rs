//! The audit log as readers see it.

use uuid::Uuid;

wire! {
    pub struct AuditLog {
        /// Which server wrote it; every server has its own chain.
        pub node: String,
        /// Position in that server's chain, from 1, without gaps.
        pub sequence: i64,
        pub created_at: String,
        pub project_id: Option<Uuid>,
        /// Such as `certificate.issued`.
        pub event: String,
        /// `success`, `denied` or `failure`.
        pub outcome: String,
        pub actor: AuditActor,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub object: Option<AuditObject>,
        /// The `reqId` of the call.
        pub request_id: String,
        pub details: serde_json::Value,
        /// Hex of SHA-256 over the previous hash and this entry.
        pub hash: String,
        pub previous_hash: String,
    }

    pub struct AuditActor {
        /// `user`, `identity` or `system`.
        #[serde(rename = "type")]
        pub kind: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub id: Option<Uuid>,
        pub name: String,
        pub method: String,
        #[serde(default, skip_serializing_if = "String::is_empty")]
        pub ip: String,
    }

    pub struct AuditObject {
        #[serde(rename = "type")]
        pub kind: String,
        pub id: Uuid,
    }

    pub struct AuditLogsAnswer {
        pub audit_logs: Vec<AuditLog>,
        pub next_cursor: Option<String>,
    }
}

query! {
    pub struct AuditLogsQuery {
        pub cursor: Option<String>,
        /// 1 to 500, default 100.
        pub limit: Option<i64>,
        /// Id of the user or identity.
        pub actor: Option<String>,
        /// Such as `certificate.issued`.
        pub event: Option<String>,
        pub object_id: Option<String>,
        pub from: Option<String>,
        pub to: Option<String>,
    }
}
