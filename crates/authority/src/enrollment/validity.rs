//! Validity: what was asked, what is granted, and how the issuer bounds it.
//!
//! A `ttl` counts from now and its end is inclusive (RFC 5280 §4.1.2.5): `not_after = now + ttl − 1 s`. The granted
//! ttl, never the back-dated span, is what the template's maximum is compared with and what renewals repeat.

use chancery_model::enrollment::{Enrollment, RequestedValidity, Source, Sourced};
use chancery_model::error::{SuggestedAction, Suggestion};
use chancery_model::time::{TimeError, Ttl};
use chancery_model::{Timestamp, Violation, Warning};

use super::{Attributes, Circumstances};
use crate::error::Error;
use crate::hierarchy::Issuer;

/// Clocks of relying parties may run behind: the start is set back by this much, or a tenth of short lives.
const BACKDATE_SECONDS_MAX: i64 = 300;

/// An explicit start may lie this far in the past (BR 7.1.2.7).
const PAST_SECONDS_MAX: i64 = 48 * 3_600;

/// An explicit start may lie this far in the future.
const FUTURE_SECONDS_MAX: i64 = 366 * 86_400;

pub(super) fn resolve(
    around: &Circumstances<'_>,
    attributes: &Attributes,
    warnings: &mut Vec<Warning>,
) -> Result<Sourced<RequestedValidity>, Error> {
    // Certificates carry whole seconds.
    let now = Timestamp::from_seconds(around.now.as_seconds());
    let requested = if attributes.not_before.is_some() || attributes.not_after.is_some() {
        explicit(around, attributes, now)?
    } else {
        let ttl = ttl(around, attributes)?;
        Sourced::new(counted(now, ttl.value), ttl.source)
    };
    let validity = match around.issuer() {
        Some(issuer) => within_issuer(around, issuer, requested, now, warnings)?,
        None => requested,
    };
    if validity.value.not_after > Timestamp::MAX {
        return Err(Error::malformed("ttl.too_long", "ttl", "the certificate would end after the year 9999"));
    }
    Ok(validity)
}

/// The request's ttl, else the profile's default.
fn ttl(around: &Circumstances<'_>, attributes: &Attributes) -> Result<Sourced<Ttl>, Error> {
    if let Some(text) = attributes.ttl.as_deref().map(str::trim).filter(|text| !text.is_empty()) {
        let ttl =
            Ttl::parse(text).map_err(|error: TimeError| Error::malformed("ttl.format", "ttl", error.to_string()))?;
        return Ok(Sourced::new(ttl, around.source));
    }
    let days = around.settings.defaults.as_ref().and_then(|it| it.ttl_days);
    days.and_then(|days| Ttl::from_seconds(i64::from(days) * 86_400)).map(|ttl| Sourced::new(ttl, Source::Profile)).ok_or_else(
        || {
            Error::malformed(
                "ttl.missing",
                "ttl",
                "Certificate issuance requires a valid TTL; send attributes.ttl such as \"90d\", or set defaults.ttlDays on the profile",
            )
        },
    )
}

fn counted(now: Timestamp, ttl: Ttl) -> RequestedValidity {
    let backdate = BACKDATE_SECONDS_MAX.min(ttl.as_seconds() / 10);
    RequestedValidity {
        not_before: now.plus_seconds(-backdate),
        not_after: now.plus_seconds(ttl.as_seconds() - 1),
        ttl,
        explicit: false,
        dated: false,
    }
}

/// Dates named by the caller are used exactly.
fn explicit(
    around: &Circumstances<'_>,
    attributes: &Attributes,
    now: Timestamp,
) -> Result<Sourced<RequestedValidity>, Error> {
    let whole = |time: Timestamp| Timestamp::from_seconds(time.as_seconds());
    let named_start = attributes.not_before.map(whole);
    let start = named_start.unwrap_or(now);
    if start < now.plus_seconds(-PAST_SECONDS_MAX) || start > now.plus_seconds(FUTURE_SECONDS_MAX) {
        return Err(Error::malformed(
            "ttl.not_before",
            "notBefore",
            format!("{start} is not within 48 hours before and 366 days after now"),
        ));
    }
    let end = match attributes.not_after.map(whole) {
        Some(end) => end,
        None => start.plus_seconds(ttl(around, attributes)?.value.as_seconds() - 1),
    };
    if end <= start || end <= now {
        return Err(Error::malformed(
            "ttl.not_after",
            "notAfter",
            format!("{end} must lie after notBefore and in the future"),
        ));
    }
    let ttl = Ttl::from_seconds(end.as_seconds() - start.as_seconds() + 1)
        .ok_or_else(|| Error::malformed("ttl.too_long", "notAfter", "the validity is longer than 100 years"))?;
    let not_before = match named_start {
        Some(start) => start,
        None => counted(now, ttl).not_before,
    };
    Ok(Sourced::new(
        RequestedValidity { not_before, not_after: end, ttl, explicit: named_start.is_some(), dated: true },
        around.source,
    ))
}

/// A leaf never outlives its issuer and never begins before it.
fn within_issuer(
    around: &Circumstances<'_>,
    issuer: &Issuer,
    requested: Sourced<RequestedValidity>,
    now: Timestamp,
    warnings: &mut Vec<Warning>,
) -> Result<Sourced<RequestedValidity>, Error> {
    let mut validity = requested.value;
    let mut source = requested.source;
    if issuer.not_after() <= now {
        return Err(Error::malformed(
            "issuer.expired",
            "profileId",
            format!("the issuing CA's certificate ended at {}; renew the CA", issuer.not_after()),
        ));
    }
    if issuer.not_before() > now && !validity.explicit {
        return Err(Error::malformed(
            "issuer.not_yet_valid",
            "profileId",
            format!("the issuing CA's certificate is only valid from {}", issuer.not_before()),
        ));
    }
    if validity.not_before < issuer.not_before() {
        if validity.explicit {
            return Err(Error::malformed(
                "ttl.before_issuer",
                "notBefore",
                format!("the issuing CA is only valid from {}", issuer.not_before()),
            ));
        }
        validity.not_before = issuer.not_before();
    }
    if validity.not_after > issuer.not_after() {
        if !around.settings.clamp_to_issuer {
            // Judged with the other rules, so that the refusal lists everything at once.
            return Ok(Sourced::new(validity, source));
        }
        validity.not_after = issuer.not_after();
        let start = if validity.explicit { validity.not_before } else { now };
        validity.ttl =
            Ttl::from_seconds(validity.not_after.as_seconds() - start.as_seconds() + 1).ok_or_else(|| {
                Error::malformed("issuer.expired", "profileId", "the issuing CA's certificate is about to end")
            })?;
        source = Source::Issuer;
        warnings.push(Warning::new(
            "validity.clamped",
            "ttl",
            format!("shortened to the issuing CA's end, {}", validity.not_after),
        ));
    }
    Ok(Sourced::new(validity, source))
}

/// A leaf that would outlive its issuer, where the profile does not shorten it.
pub(super) fn issuer_violation(enrollment: &Enrollment, issuer: &Issuer, now: Timestamp) -> Option<Violation> {
    let validity = enrollment.validity;
    if validity.value.not_after <= issuer.not_after() {
        return None;
    }
    let field = if validity.value.explicit { "notAfter" } else { "ttl" };
    let fitting = fitting_ttl(issuer.not_after().as_seconds() - now.as_seconds()).filter(|_| !validity.value.explicit);
    let suggestion = fitting.map(|ttl| Suggestion {
        action: SuggestedAction::Set,
        field: field.to_owned(),
        value: Some(format!("{}s", ttl.as_seconds())),
        text: format!("Set {field} to {ttl}, which ends before the issuing CA does"),
    });
    Some(Violation {
        rule: "issuer.validity".to_owned(),
        field: field.to_owned(),
        value: validity.value.not_after.to_string(),
        source: Some(validity.source),
        allowed: format!(
            "at most until {}, when the issuing CA's certificate ends; ask for less, renew the CA, or set clampToIssuer on the profile",
            issuer.not_after()
        ),
        suggestion,
    })
}

/// A life that still fits when the request is made again a while later: a tenth is left over, an hour at most, and the
/// rest is rounded down to whole days, hours or minutes.
fn fitting_ttl(remaining_seconds: i64) -> Option<Ttl> {
    let usable = remaining_seconds - (remaining_seconds / 10).clamp(0, 3_600);
    let unit = [86_400, 3_600, 60].into_iter().find(|unit| usable >= *unit)?;
    Ttl::from_seconds(usable - usable % unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_suggested_life_leaves_time_to_ask_again() {
        for (remaining, expected) in [
            (10 * 86_400, Some(9 * 86_400)),
            (10 * 86_400 + 3_600, Some(10 * 86_400)),
            (7_200, Some(3_600)),
            (600, Some(540)),
            (60, None),
            (0, None),
            (-5, None),
        ] {
            assert_eq!(fitting_ttl(remaining).map(Ttl::as_seconds), expected, "{remaining}");
        }
    }
}
