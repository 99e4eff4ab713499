//! The life of a certificate as a bar: how much of it is over, when the server renews it, and where today is.

use chancery_model::Timestamp;
use chancery_model::certificate::{Certificate, CertificateStatus};

use super::word::is_on_hold;
use crate::text::{distance, utc};

/// Units of the picture's width.
pub(super) const WIDTH: i64 = 1_000;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Bar {
    /// Width of the part that is over.
    pub elapsed: i64,
    /// The class of that part's colour.
    pub class: &'static str,
    /// Where the renewal is due.
    pub renewal: Option<i64>,
    /// Where it was revoked.
    pub revoked: Option<i64>,
    /// The picture in words.
    pub words: String,
}

impl Bar {
    pub fn of(it: &Certificate, now: Timestamp) -> Self {
        let place = |at: Timestamp| place(it.not_before, it.not_after, at);
        let elapsed = place(now);
        let status = it.status(now);
        let renewal = it.renewal.due_at.filter(|_| status == CertificateStatus::Active);
        let revoked = it.revocation.map(|revocation| revocation.at);
        let class = match status {
            CertificateStatus::Active if it.renewal.renewed_by.is_none() && elapsed >= WIDTH * 9 / 10 => "fill-warn",
            CertificateStatus::Active => "fill-accent",
            CertificateStatus::Revoked if is_on_hold(it) => "fill-warn",
            CertificateStatus::Expired | CertificateStatus::Revoked => "fill-bad",
        };
        let mut words =
            format!("Valid from {} to {}, {} % of that is over", utc(it.not_before), utc(it.not_after), elapsed / 10);
        if let Some(at) = revoked {
            words.push_str(&format!(", revoked {}", distance(at, now)));
        }
        if let Some(at) = renewal {
            words.push_str(&format!(", renewal due {}", distance(at, now)));
        }
        Self { elapsed, class, renewal: renewal.map(place), revoked: revoked.map(place), words }
    }
}

/// Where between the ends a moment lies; one outside is at an end.
fn place(start: Timestamp, end: Timestamp, at: Timestamp) -> i64 {
    let whole = end.as_seconds().saturating_sub(start.as_seconds()).saturating_add(1).max(1);
    let part = at.as_seconds().saturating_sub(start.as_seconds()).clamp(0, whole);
    i64::try_from(i128::from(part) * i128::from(WIDTH) / i128::from(whole)).unwrap_or(WIDTH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_have_their_place_between_the_ends() {
        let at = Timestamp::from_seconds;
        for (start, end, moment, expected) in [
            (0, 99, 0, 0),
            (0, 99, 50, 500),
            (0, 99, 100, 1_000),
            (0, 99, -5, 0),
            (0, 99, 1_000_000, 1_000),
            // A foreign certificate may end before it begins, or never.
            (100, 0, 50, 0),
            (0, 253_402_300_799, 253_402_300_799, 999),
        ] {
            assert_eq!(place(at(start), at(end), at(moment)), expected, "{start} {end} {moment}");
        }
    }
}
