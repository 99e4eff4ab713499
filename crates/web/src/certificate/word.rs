//! A certificate in words: its name, its state, its parts.

use chancery_model::Timestamp;
use chancery_model::certificate::{Certificate, CertificateStatus, RevocationReason};
use chancery_pkix::GeneralNameKind;

use crate::text::host_name;

/// A word of state with its colour.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Badge {
    pub text: &'static str,
    pub class: &'static str,
}

impl Badge {
    const fn new(text: &'static str, class: &'static str) -> Self {
        Self { text, class }
    }
}

/// What people call it: its friendly name, its common name, its first alternative name, else its serial number.
pub(super) fn name(it: &Certificate) -> String {
    let given = it.friendly_name.as_deref().filter(|name| !name.is_empty());
    let own = it.description.common_name().filter(|name| !name.is_empty());
    let first = it.description.sans.first().map(|(_, value)| value.as_str());
    match given.or(own).or(first) {
        Some(name) => host_name(name),
        None => format!("Certificate {}", it.serial_number),
    }
}

pub(super) fn is_on_hold(it: &Certificate) -> bool {
    it.revocation.is_some_and(|revocation| revocation.reason == RevocationReason::CertificateHold)
}

pub(super) fn state(it: &Certificate, now: Timestamp) -> Badge {
    match it.status(now) {
        CertificateStatus::Revoked if is_on_hold(it) => Badge::new("On hold", "warn"),
        CertificateStatus::Revoked => Badge::new("Revoked", "bad"),
        CertificateStatus::Expired => Badge::new("Expired", "bad"),
        CertificateStatus::Active if it.not_before > now => Badge::new("Not yet valid", "info"),
        CertificateStatus::Active => Badge::new("Active", "good"),
    }
}

/// Everything about it that is worth a word beside its name.
pub(super) fn badges(it: &Certificate, now: Timestamp) -> Vec<Badge> {
    let mut badges = vec![state(it, now)];
    let mut say = |is_so: bool, text, class| {
        if is_so {
            badges.push(Badge::new(text, class));
        }
    };
    say(it.renewal.renewed_by.is_some(), "Renewed", "info");
    say(it.renewal.error.is_some() && it.renewal.renewed_by.is_none(), "Renewal failed", "bad");
    say(it.source == chancery_model::certificate::CertificateSource::Imported, "Imported", "");
    say(it.description.is_ca, "CA certificate", "info");
    say(it.description.has_weak_key(), "Weak key or signature", "warn");
    badges
}

/// The reasons in the order that people look for theirs, each with a sentence.
pub(super) const REASONS: [(RevocationReason, &str, &str); 9] = [
    (RevocationReason::Superseded, "Superseded", "another certificate has taken its place"),
    (RevocationReason::CessationOfOperation, "Cessation of operation", "what it was for is no longer run"),
    (RevocationReason::KeyCompromise, "Key compromise", "somebody else has its private key, or may have it"),
    (RevocationReason::AffiliationChanged, "Affiliation changed", "names or organization in it are no longer true"),
    (RevocationReason::PrivilegeWithdrawn, "Privilege withdrawn", "its holder may no longer do what it permits"),
    (RevocationReason::CertificateHold, "Hold", "not trusted for now; this alone can be taken back"),
    (RevocationReason::Unspecified, "Unspecified", "none of these, or nobody is to know"),
    (RevocationReason::CaCompromise, "CA compromise", "the key of its certification authority is in other hands"),
    (RevocationReason::AaCompromise, "Attribute authority compromise", "for attribute certificates; seldom meant"),
];

pub(super) fn reason(wanted: RevocationReason) -> &'static str {
    REASONS.iter().find(|(reason, ..)| *reason == wanted).map_or("Unspecified", |(_, label, _)| label)
}

/// A word of the model for people: `organizational_unit` and `commonName` become words with a capital at the front.
pub(super) fn sentence(word: &str) -> String {
    let mut out = String::with_capacity(word.len() + 4);
    for (index, it) in word.chars().enumerate() {
        match it {
            '_' | '-' => out.push(' '),
            it if index == 0 => out.extend(it.to_uppercase()),
            it if it.is_ascii_uppercase() => out.extend([' ', it.to_ascii_lowercase()]),
            it => out.push(it),
        }
    }
    out
}

/// A name that may stand in a command or a configuration file that people copy: letters, digits, dots and hyphens, and
/// perhaps `*.` in front. Names of strangers' certificates may hold anything.
pub(super) fn plain_host(name: &str) -> Option<&str> {
    let bare = name.strip_prefix("*.").unwrap_or(name);
    let is_plain = !bare.is_empty()
        && bare.len() <= 253
        && bare.bytes().all(|it| it.is_ascii_alphanumeric() || matches!(it, b'.' | b'-'))
        && !bare.starts_with(['.', '-']);
    is_plain.then_some(name)
}

/// The DNS names that may stand in commands.
pub(super) fn plain_hosts(it: &Certificate) -> Vec<&str> {
    let sans = it.description.sans.iter().filter(|(kind, _)| *kind == GeneralNameKind::DnsName);
    let mut hosts: Vec<&str> = sans.filter_map(|(_, value)| plain_host(value)).collect();
    let own = it.description.common_name().and_then(plain_host).filter(|name| name.contains('.'));
    if hosts.is_empty() {
        hosts.extend(own);
    }
    hosts
}

/// How its files are called, without an ending.
pub(super) fn file_stem(it: &Certificate) -> String {
    match plain_hosts(it).first() {
        Some(host) => host.strip_prefix("*.").map_or_else(|| (*host).to_owned(), |rest| format!("wildcard.{rest}")),
        None => format!("certificate-{}", it.serial_number.get(..16).unwrap_or(&it.serial_number)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_the_model_read_as_words() {
        for (word, text) in [
            ("organizational_unit", "Organizational unit"),
            ("commonName", "Common name"),
            ("private-key", "Private key"),
            ("", ""),
        ] {
            assert_eq!(sentence(word), text);
        }
    }

    #[test]
    fn only_plain_names_come_into_commands() {
        for good in ["www.acme.com", "*.acme.com", "a-b.example", "localhost"] {
            assert_eq!(plain_host(good), Some(good));
        }
        for bad in ["", "*.", "-rf", ".x", "a b", "a;reboot", "$(x).com", "a`x`", "a\nb", "a'b", "www.*.com", "ä.de"] {
            assert_eq!(plain_host(bad), None, "{bad}");
        }
    }

    #[test]
    fn every_reason_can_be_chosen_once() {
        for wanted in RevocationReason::ALL {
            assert_eq!(REASONS.iter().filter(|(reason, ..)| reason == wanted).count(), 1, "{wanted:?}");
        }
    }
}
