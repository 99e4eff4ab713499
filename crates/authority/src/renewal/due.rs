//! When the server is due to renew: seconds precision, an absolute lead or a fraction of the life, with jitter so that
//! certificates made together are not renewed together.

use chancery_model::certificate::Certificate;
use chancery_model::profile::{ApiEnrollment, RenewAt};
use chancery_model::{Randomness, Timestamp};

const DAY_SECONDS: i64 = 86_400;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    pub renew_before_days: Option<u32>,
    pub due_at: Timestamp,
}

/// Days before the end; a lead as long as the life becomes one day less than it.
pub(crate) fn before_days(certificate: &Certificate, days: u32) -> Plan {
    let days = effective_days(certificate.ttl, days);
    let due_at = end(certificate).plus_seconds(-i64::from(days) * DAY_SECONDS);
    Plan { renew_before_days: Some(days), due_at: due_at.max(start(certificate)) }
}

/// As the profile's enrolment settings say.
pub(crate) fn planned(certificate: &Certificate, api: &ApiEnrollment, random: &dyn Randomness) -> Plan {
    if let Some(days) = api.renew_before_days {
        return before_days(certificate, days);
    }
    let due_at = at(certificate, api.renew_at, api.renew_jitter.map(chancery_model::time::Ttl::as_seconds), random);
    Plan { renew_before_days: None, due_at }
}

/// The due time of a rule: earlier by a random part of the jitter, never before the start nor after the end.
pub(crate) fn at(
    certificate: &Certificate,
    rule: RenewAt,
    jitter_seconds: Option<i64>,
    random: &dyn Randomness,
) -> Timestamp {
    let lead = match rule {
        RenewAt::Permille(permille) => certificate.ttl - certificate.ttl * i64::from(permille) / 1000,
        RenewAt::Before(lead) => lead.as_seconds(),
    };
    let due = end(certificate).plus_seconds(-lead);
    let remaining = certificate.not_after.as_seconds() - due.as_seconds();
    let jitter = jitter_seconds.unwrap_or(remaining / 20).max(0);
    let mut entropy = [0u8; 8];
    random.fill(&mut entropy);
    let shift = i64::try_from(u64::from_le_bytes(entropy) % (jitter.unsigned_abs() + 1)).unwrap_or(0);
    due.plus_seconds(-shift).max(start(certificate))
}

/// The contract's threshold: `max(1, days − 1)` when the lead is not shorter than the life in whole days.
fn effective_days(ttl_seconds: i64, days: u32) -> u32 {
    let life = u32::try_from((ttl_seconds + DAY_SECONDS - 1) / DAY_SECONDS).unwrap_or(u32::MAX);
    if days >= life { life.saturating_sub(1).max(1) } else { days }
}

const fn end(certificate: &Certificate) -> Timestamp {
    certificate.not_after.plus_seconds(1)
}

const fn start(certificate: &Certificate) -> Timestamp {
    certificate.created_at
}
