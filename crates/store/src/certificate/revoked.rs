//! Revocation and hold: of certificates, and of CA certificates.

use chancery_model::certificate::Revocation;
use chancery_model::crl::CrlEntry;
use chancery_model::{CaCertificateId, CertificateId, KeyId, Timestamp};

use super::renewal_of;
use crate::change::Effects;
use crate::statement::{Statement, params};
use crate::{Conflict, crl, job, statistics};

macro_rules! revoke {
    ($table:literal, $cleared:literal, $guard:literal) => {
        concat!(
            "UPDATE ",
            $table,
            " SET revoked_at = $2, revocation_reason = $3",
            $cleared,
            " WHERE id = $1 AND ",
            $guard
        )
    };
}

/// A certificate that was deleted from the inventory is out in the world all the same, and can be revoked.
const EXISTS: &str = "SELECT 1 FROM certificate WHERE id = $1";

/// `held`: it is on hold (reason 6), and the hold becomes final. The renewal is off in either case.
pub(crate) fn revoke(
    effects: &mut Effects,
    id: CertificateId,
    (revocation, held): (Revocation, bool),
    entry: Option<CrlEntry>,
    node: &str,
) {
    let sql = if held {
        revoke!("certificate", ", due_at = NULL, updated_at = $4", "revocation_reason = 6")
    } else {
        revoke!("certificate", ", due_at = NULL, updated_at = $4", "revoked_at IS NULL")
    };
    let recorded_at = entry.as_ref().map_or(revocation.at, |entry| entry.recorded_at);
    let params = params![id, revocation.at, revocation.reason.code(), recorded_at];
    effects.push(Statement::new(sql, params).guarded_if(Conflict::AlreadyRevoked, EXISTS));
    effects.push(job::drop(renewal_of(id)));
    effects.statements.extend(entry.map(crl::set_entry));
    if !held {
        effects.statements.extend(statistics::revoked(id, node));
    }
}

pub(crate) fn release(
    effects: &mut Effects,
    id: CertificateId,
    at: Timestamp,
    (key, partition): (Option<KeyId>, u32),
    node: &str,
) {
    effects.push(
        Statement::new(
            "UPDATE certificate SET revoked_at = NULL, revocation_reason = NULL, updated_at = $2 \
             WHERE id = $1 AND revocation_reason = 6",
            params![id, at],
        )
        .guarded_if(Conflict::NotHeld, EXISTS),
    );
    if let Some(key) = key {
        effects.push(Statement::new(
            "UPDATE crl_entry SET released_at = $2, recorded_at = $2 WHERE key_id = $3 AND partition = $4 \
             AND serial = (SELECT c.serial FROM certificate c WHERE c.id = $1)",
            params![id, at, key, partition],
        ));
    }
    effects.statements.extend(statistics::released(id, node));
}

const EXISTS_CA: &str = "SELECT 1 FROM ca_certificate WHERE id = $1";

pub(crate) fn revoke_ca(
    effects: &mut Effects,
    id: CaCertificateId,
    (revocation, held): (Revocation, bool),
    entry: CrlEntry,
) {
    let sql = if held {
        revoke!("ca_certificate", "", "revocation_reason = 6")
    } else {
        revoke!("ca_certificate", "", "revoked_at IS NULL")
    };
    let params = params![id, revocation.at, revocation.reason.code()];
    effects.configure(Statement::new(sql, params).guarded_if(Conflict::AlreadyRevoked, EXISTS_CA));
    effects.push(crl::set_entry(entry));
}

pub(crate) fn release_ca(effects: &mut Effects, id: CaCertificateId, at: Timestamp, (key, partition): (KeyId, u32)) {
    effects.configure(
        Statement::new(
            "UPDATE ca_certificate SET revoked_at = NULL, revocation_reason = NULL WHERE id = $1 AND revocation_reason = 6",
            params![id],
        )
        .guarded_if(Conflict::NotHeld, EXISTS_CA),
    );
    effects.push(Statement::new(
        "UPDATE crl_entry SET released_at = $2, recorded_at = $2 WHERE key_id = $3 AND partition = $4 \
         AND serial = (SELECT a.serial FROM ca_certificate a WHERE a.id = $1)",
        params![id, at, key, partition],
    ));
}
