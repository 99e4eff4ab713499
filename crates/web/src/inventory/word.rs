//! The inventory's words: what a state, a view, a condition is called on its pages.

use chancery_model::Timestamp;
use chancery_model::certificate::{
    Certificate, CertificateSource, CertificateStatus, CertificateView, RevocationReason,
};

/// A state in a word, with the class of its colour.
pub(crate) struct Badge {
    pub class: &'static str,
    pub label: &'static str,
}

/// The state of a certificate; one on hold is revoked in a way that can be taken back.
pub(crate) fn state(it: &Certificate, now: Timestamp) -> Badge {
    match (it.status(now), it.revocation.map(|it| it.reason)) {
        (CertificateStatus::Revoked, Some(RevocationReason::CertificateHold)) => {
            Badge { class: "warn", label: "On hold" }
        }
        (status, _) => Badge { class: colour(status), label: status_label(status) },
    }
}

const fn colour(status: CertificateStatus) -> &'static str {
    match status {
        CertificateStatus::Active => "good",
        CertificateStatus::Expired => "",
        CertificateStatus::Revoked => "bad",
    }
}

pub(crate) const fn status_label(status: CertificateStatus) -> &'static str {
    match status {
        CertificateStatus::Active => "Active",
        CertificateStatus::Expired => "Expired",
        CertificateStatus::Revoked => "Revoked",
    }
}

pub(crate) const fn view_label(view: CertificateView) -> &'static str {
    match view {
        CertificateView::Expiring => "Ending within 30 days, not renewed",
        CertificateView::FailedRenewal => "Renewal failed",
        CertificateView::WeakKey => "Weak key or signature",
        CertificateView::SupersededActive => "Renewed, but still in force",
    }
}

pub(crate) const fn source_label(source: CertificateSource) -> &'static str {
    match source {
        CertificateSource::Issued => "Issued here",
        CertificateSource::Imported => "Imported",
    }
}

/// What a certificate is called in a list: its common name, or else its first other name.
pub(crate) fn display_name(it: &Certificate) -> &str {
    let description = &it.description;
    let common = description.common_name().filter(|name| !name.is_empty());
    let first = || description.sans.first().map(|(_, name)| name.as_str()).filter(|name| !name.is_empty());
    let foreign = || description.foreign.as_ref().map(|it| it.subject.as_str()).filter(|name| !name.is_empty());
    common.or_else(first).or_else(foreign).unwrap_or("(no name)")
}

/// How many names there are beside the one that is shown.
pub(crate) fn further_names(it: &Certificate) -> usize {
    let shown = display_name(it);
    it.description.sans.iter().filter(|(_, name)| name != shown).count()
}

pub(crate) const fn reason_label(reason: RevocationReason) -> &'static str {
    match reason {
        RevocationReason::Unspecified => "No reason given",
        RevocationReason::KeyCompromise => "The private key is in wrong hands",
        RevocationReason::CaCompromise => "The CA's key is in wrong hands",
        RevocationReason::AffiliationChanged => "The subject's name or organization changed",
        RevocationReason::Superseded => "Replaced by another certificate",
        RevocationReason::CessationOfOperation => "No longer in use",
        RevocationReason::CertificateHold => "On hold for now (can be taken back)",
        RevocationReason::PrivilegeWithdrawn => "A privilege was withdrawn",
        RevocationReason::AaCompromise => "The attribute authority's key is in wrong hands",
    }
}

/// `key=value`, or the key alone.
pub(crate) fn pair(key: &str, value: Option<&str>) -> String {
    value.map_or_else(|| key.to_owned(), |value| format!("{key}={value}"))
}
