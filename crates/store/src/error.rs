//! What can go wrong in the store, without SQL text for anybody above.

use chancery_model::ErrorKind;

/// Why a write or a read did not happen.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The state of the store rules this write out; nothing of it was kept.
    #[error("the store refuses the change: {0}")]
    Conflict(#[from] Conflict),
    /// The volume or quota is used up. Reads go on, and writes work again once there is room.
    #[error("the store has no room left; free space on its volume")]
    Full,
    /// Busy, closed or disconnected: the same call may succeed later.
    #[error("the store is unavailable: {0}")]
    Unavailable(String),
    /// A row that does not fit the model.
    #[error("the stored {table} {id} is inconsistent in its column {column}")]
    Inconsistent { table: &'static str, column: &'static str, id: String },
    /// The database was written by a newer program.
    #[error(
        "the database has schema version {found}, this program knows versions up to {known}; run the newer program"
    )]
    NewerSchema { found: i64, known: i64 },
    /// A page cursor that no list of this store gave out, or that belongs to another list.
    #[error("the page cursor is not valid for this list; start again without it")]
    BadCursor,
    /// Anything else the database said; for the operator's log.
    #[error("the database failed: {0}")]
    Backend(String),
}

impl StoreError {
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        match self {
            Self::Conflict(Conflict::Missing) => ErrorKind::NotFound,
            Self::Conflict(_) => ErrorKind::Conflict,
            Self::Full | Self::Unavailable(_) => ErrorKind::Unavailable,
            Self::BadCursor => ErrorKind::Malformed,
            Self::Inconsistent { .. } | Self::NewerSchema { .. } | Self::Backend(_) => ErrorKind::Internal,
        }
    }

    /// The conflict, if that is what it is.
    #[must_use]
    pub const fn conflict(&self) -> Option<Conflict> {
        match self {
            Self::Conflict(conflict) => Some(*conflict),
            _ => None,
        }
    }

    /// Whether repeating the group's writes one at a time could help some of them.
    pub(crate) const fn may_be_one_write_alone(&self) -> bool {
        !matches!(self, Self::Full | Self::Unavailable(_))
    }
}

/// Which rule of the store a write broke.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Conflict {
    #[error("the name is taken")]
    Name,
    #[error("the issuer has used this serial number")]
    Serial,
    #[error("the idempotency key is taken")]
    Idempotency,
    #[error("the certificate is renewed or revoked already")]
    AlreadyRenewed,
    /// An order that renews it is under way.
    #[error("the certificate is being renewed already")]
    BeingRenewed,
    #[error("the certificate is revoked already")]
    AlreadyRevoked,
    #[error("the certificate is not on hold")]
    NotHeld,
    #[error("other records refer to it")]
    InUse,
    #[error("it changed in the meantime")]
    Stale,
    #[error("the record, or one it refers to, does not exist")]
    Missing,
    #[error("the record exists already")]
    Exists,
    #[error("the secret is revoked, expired or used up")]
    SecretSpent,
}

/// Which conflict a violated uniqueness rule means. `constraint` is the name PostgreSQL gives, or SQLite's list of
/// columns.
pub(crate) fn conflict_of_unique(constraint: &str) -> Conflict {
    if constraint.contains("serial_number") {
        Conflict::Serial
    } else if constraint.contains("idempotency") {
        Conflict::Idempotency
    } else if constraint.contains("renews") {
        Conflict::BeingRenewed
    } else if ["slug", "name", "email", "client_id"].iter().any(|column| constraint.contains(column)) {
        Conflict::Name
    } else {
        Conflict::Exists
    }
}

/// Which conflict a violated reference means: who deletes leaves orphans, anybody else names a parent that is not there.
pub(crate) fn conflict_of_reference(sql: &str) -> Conflict {
    if sql.starts_with("DELETE") { Conflict::InUse } else { Conflict::Missing }
}
