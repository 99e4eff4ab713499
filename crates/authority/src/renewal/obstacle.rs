//! What stands in the way of a renewal: the wire's words for it, and how often each was met.

use std::sync::atomic::{AtomicU64, Ordering};

use chancery_model::Violation;

use crate::error::Error;
use crate::issuance::{Ground, RefusedRequest};

macro_rules! types {
    ($($(#[$meta:meta])* $variant:ident => $name:literal, $refused:literal;)+) => {
        /// Why the server could not renew a certificate: the contract's words.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum RenewalErrorType { $($(#[$meta])* $variant),+ }

        impl RenewalErrorType {
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name),+ }
            }

            /// Whether a rule said no; otherwise something did not work.
            #[must_use]
            pub const fn is_refusal(self) -> bool {
                match self { $(Self::$variant => $refused),+ }
            }
        }
    };
}

types! {
    /// Rules about names, usages or the CA flag.
    TemplateValidationFailed => "TEMPLATE_VALIDATION_FAILED", true;
    CaNotFound => "CA_NOT_FOUND", false;
    CaInactive => "CA_INACTIVE", false;
    CertificateOutlivesCa => "CERTIFICATE_OUTLIVES_CA", true;
    TtlTooShort => "TTL_TOO_SHORT", true;
    /// The certificate, or what its profile has become, leaves nothing to renew it with.
    NotEligible => "NOT_ELIGIBLE", true;
    ValidityExceedsMaximum => "VALIDITY_EXCEEDS_MAXIMUM", true;
    /// An algorithm that the template does not list any more.
    NotAllowedByTemplate => "NOT_ALLOWED_BY_TEMPLATE", true;
    UnknownError => "UNKNOWN_ERROR", false;
}

impl RenewalErrorType {
    /// The word for an error of the path.
    pub(super) fn of(error: &Error) -> Self {
        match error {
            Error::Refused(violations) | Error::RenewalRefused(violations) => Self::of_violations(violations),
            Error::NotFound { what: "Certificate authority", .. } => Self::CaNotFound,
            Error::NotFound { .. } | Error::Forbidden { .. } => Self::NotEligible,
            Error::Malformed { code, .. } => match *code {
                "ca.not_active" | "issuer.not_yet_valid" => Self::CaInactive,
                "issuer.expired" => Self::CertificateOutlivesCa,
                _ => Self::NotEligible,
            },
            _ => Self::UnknownError,
        }
    }

    /// Of several broken rules, the one that is the least about this very certificate: what concerns the CA or the life
    /// span stops many.
    fn of_violations(violations: &[Violation]) -> Self {
        let any = |prefix: &str| violations.iter().any(|it| it.rule.starts_with(prefix));
        if any("issuer.validity") {
            Self::CertificateOutlivesCa
        } else if any("validity.max") {
            Self::ValidityExceedsMaximum
        } else if any("validity.min") {
            Self::TtlTooShort
        } else if any("algorithms.") {
            Self::NotAllowedByTemplate
        } else {
            Self::TemplateValidationFailed
        }
    }
}

/// Why a renewal did not come about; nothing of it is written down yet.
pub(super) enum Obstacle {
    /// The request contradicts itself or the profile.
    Request(Error),
    /// Certificate or CA are in no state for it.
    Standing(RenewalErrorType, Error),
    /// It cannot even be made into a request.
    Unresolved(Box<Ground>, Error),
    /// The rules say no.
    Refused(Box<RefusedRequest>),
    /// Something broke on the way: the store, a key, a lost race.
    Failed(Error),
}

/// How the renewals ended that the server began by itself, since the start.
#[derive(Debug, Default)]
pub struct RenewalCounters {
    renewed: AtomicU64,
    obstructed: [AtomicU64; 9],
}

impl RenewalCounters {
    pub(crate) fn count_renewed(&self) {
        self.renewed.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn count(&self, obstacle: RenewalErrorType) {
        if let Some(counter) = self.obstructed.get(obstacle as usize) {
            counter.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[must_use]
    pub fn renewed(&self) -> u64 {
        self.renewed.load(Ordering::Relaxed)
    }

    #[must_use]
    pub fn obstructed(&self, obstacle: RenewalErrorType) -> u64 {
        self.obstructed.get(obstacle as usize).map_or(0, |counter| counter.load(Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn violation(rule: &str) -> Violation {
        Violation {
            rule: rule.to_owned(),
            field: "f".to_owned(),
            value: String::new(),
            source: None,
            allowed: String::new(),
            suggestion: None,
        }
    }

    #[test]
    fn broken_rules_have_one_word() {
        for (rules, expected) in [
            (&["sans.dns_name.allowed"][..], "TEMPLATE_VALIDATION_FAILED"),
            (&["sans.dns_name.allowed", "validity.max"], "VALIDITY_EXCEEDS_MAXIMUM"),
            (&["validity.max", "issuer.validity"], "CERTIFICATE_OUTLIVES_CA"),
            (&["validity.min"], "TTL_TOO_SHORT"),
            (&["algorithms.key_algorithm"], "NOT_ALLOWED_BY_TEMPLATE"),
            (&["extended_key_usages.required"], "TEMPLATE_VALIDATION_FAILED"),
        ] {
            let error = Error::RenewalRefused(rules.iter().map(|rule| violation(rule)).collect());
            assert_eq!(RenewalErrorType::of(&error).as_str(), expected, "{rules:?}");
        }
    }

    #[test]
    fn errors_of_the_path_have_a_word() {
        for (error, expected) in [
            (Error::not_found("Certificate authority", 1), "CA_NOT_FOUND"),
            (Error::not_found("Certificate profile", 1), "NOT_ELIGIBLE"),
            (Error::malformed("ca.not_active", "caId", "x"), "CA_INACTIVE"),
            (Error::malformed("issuer.expired", "profileId", "x"), "CERTIFICATE_OUTLIVES_CA"),
            (Error::forbidden("renewal.reuse", "x"), "NOT_ELIGIBLE"),
            (Error::Unavailable("x".to_owned()), "UNKNOWN_ERROR"),
            (Error::internal("x"), "UNKNOWN_ERROR"),
        ] {
            assert_eq!(RenewalErrorType::of(&error).as_str(), expected, "{error}");
        }
    }

    #[test]
    fn every_word_has_a_counter_of_its_own() {
        let counters = RenewalCounters::default();
        for (times, word) in RenewalErrorType::ALL.iter().enumerate() {
            (0..=times).for_each(|_| counters.count(*word));
        }
        for (times, word) in (1u64..).zip(RenewalErrorType::ALL) {
            assert_eq!(counters.obstructed(*word), times, "{word:?}");
        }
        assert_eq!(counters.renewed(), 0);
    }
}
