//! What came back, held against what was asked for. Key, names and CA flag must be the same and the life within the
//! template's longest; anything else that differs is only reported, because a public CA has its own mind about it.

use std::collections::BTreeSet;

use chancery_model::Warning;
use chancery_model::order::ExternalOrder;
use chancery_model::time::Ttl;
use chancery_pkix::{AttributeType, Certificate, CertificationRequest, ForeignCertificate, GeneralNameKind};

use crate::enrollment::host_name;
use crate::error::Error;
use crate::inventory::{Chain, has_signed};

/// A certificate that is what was ordered.
pub(super) struct Accepted {
    pub leaf: ForeignCertificate,
    /// DER, the nearest issuer first.
    pub chain: Vec<Vec<u8>>,
    pub warnings: Vec<Warning>,
}

/// Certificates in an answer.
const CHAIN_MAX: usize = 20;
/// How far the CA's clock may be ahead of ours, in seconds.
const SKEW_SECONDS: i64 = 300;

/// `Err` of the inner kind: every way in which it is not what was ordered, in words.
pub(super) fn accept(
    order: &ExternalOrder,
    answer: &[Vec<u8>],
    now: chancery_model::Timestamp,
) -> Result<Result<Accepted, Vec<String>>, Error> {
    let csr = CertificationRequest::from_der(&order.csr).map_err(Error::internal)?;
    let Some((leaf, rest)) = answer.split_first().filter(|(_, rest)| rest.len() < CHAIN_MAX) else {
        return Ok(Err(vec!["the answer holds no certificate, or a great many".to_owned()]));
    };
    let leaf = match ForeignCertificate::from_der(leaf) {
        Ok(leaf) => leaf,
        Err(error) => return Ok(Err(vec![format!("the certificate cannot be read: {}", error.message)])),
    };
    let mut others = Vec::new();
    let mut faults = Vec::new();
    for der in rest {
        match ForeignCertificate::from_der(der) {
            Ok(one) => others.push(one),
            Err(error) => faults.push(format!("a certificate of the chain cannot be read: {}", error.message)),
        }
    }
    faults.extend(signature_fault(&leaf, &others));
    faults.extend(differences(order, &csr, &leaf, now));
    if !faults.is_empty() {
        return Ok(Err(faults));
    }
    let chain = Chain::of(&leaf, others);
    let mut warnings = remarks(order, &csr, &leaf, now);
    if chain.above.is_empty() && !leaf.is_self_issued() {
        warnings.push(warning(
            "external.chain",
            "certificateChain",
            "the certification authority sent no chain".to_owned(),
        ));
    } else if !chain.unrelated.is_empty() {
        let text = "the certification authority sent certificates that do not belong to the chain; they were left out";
        warnings.push(warning("external.chain", "certificateChain", text.to_owned()));
    }
    Ok(Ok(Accepted { chain: chain.into_der(), leaf, warnings }))
}

/// Of the certificates that have the issuer's name, at least one must have signed, unless no signature of its kind can be
/// checked here.
fn signature_fault(leaf: &ForeignCertificate, others: &[ForeignCertificate]) -> Option<String> {
    let named = || others.iter().filter(|it| it.subject_der() == leaf.issuer_der());
    let refuted = named().next().is_some() && named().all(|it| has_signed(it, leaf) == Some(false));
    refuted.then(|| "its signature is not by the issuer that was sent along".to_owned())
}

fn differences(
    order: &ExternalOrder,
    csr: &CertificationRequest,
    leaf: &ForeignCertificate,
    now: chancery_model::Timestamp,
) -> Vec<String> {
    let mut faults = Vec::new();
    if leaf.spki_der() != csr.public_key().spki_der() {
        faults.push("it is for another key than the one in the CSR".to_owned());
    }
    let (wanted, got) = (names_of_csr(csr), names_of(leaf));
    let list = |names: &mut dyn Iterator<Item = &Name>| {
        names.map(|(kind, value)| format!("{} {value}", kind.as_str())).collect::<Vec<_>>().join(", ")
    };
    if got.difference(&wanted).next().is_some() || leaf.unknown_names > 0 {
        faults.push(format!("it has names that were not asked for: {}", list(&mut got.difference(&wanted))));
    }
    if wanted.difference(&got).next().is_some() {
        faults.push(format!("it lacks names that were asked for: {}", list(&mut wanted.difference(&got))));
    }
    faults.extend(common_name_fault(csr, leaf, &wanted));
    if leaf.is_ca != order.plan.is_ca {
        faults.push(if leaf.is_ca { "it is a CA certificate" } else { "it is no CA certificate" }.to_owned());
    }
    let (begin, end) = (leaf.validity.not_before, leaf.validity.not_after);
    if end < now.as_seconds() {
        faults.push("it has ended already".to_owned());
    }
    // Back-dating is no life: it counts from when it came.
    let life = end - begin.max(now.as_seconds()) + 1;
    if let Some(most) = order.plan.validity_max
        && life > most + SKEW_SECONDS
    {
        faults.push(format!("it lasts {} and the certificate template permits {} at most", span(life), span(most)));
    }
    faults
}

/// A common name that nobody asked for is a name that was not asked for.
fn common_name_fault(csr: &CertificationRequest, leaf: &ForeignCertificate, wanted: &BTreeSet<Name>) -> Option<String> {
    let got = leaf.subject.iter().find(|it| it.kind == AttributeType::CommonName)?.value.as_str();
    let asked = csr.subject().attributes().iter().any(|it| it.kind == AttributeType::CommonName && it.value == got);
    let is_name = wanted.iter().any(|(_, value)| value.eq_ignore_ascii_case(got));
    (!asked && !is_name).then(|| format!("its common name '{}' was not asked for", short(got)))
}

type Name = (GeneralNameKind, String);

fn names_of_csr(csr: &CertificationRequest) -> BTreeSet<Name> {
    let mut names: BTreeSet<Name> =
        csr.subject_alt_names().iter().map(|it| canonical(it.kind(), &it.value())).collect();
    for attribute in csr.subject().attributes().iter().filter(|it| it.kind == AttributeType::CommonName) {
        names.extend(host_name(&attribute.value).map(|it| canonical(it.kind(), &it.value())));
    }
    names
}

fn names_of(leaf: &ForeignCertificate) -> BTreeSet<Name> {
    leaf.subject_alt_names.iter().map(|(kind, value)| canonical(*kind, value)).collect()
}

fn canonical(kind: GeneralNameKind, value: &str) -> Name {
    match kind {
        GeneralNameKind::DnsName | GeneralNameKind::IpAddress => (kind, value.to_ascii_lowercase()),
        _ => (kind, value.to_owned()),
    }
}

fn remarks(
    order: &ExternalOrder,
    csr: &CertificationRequest,
    leaf: &ForeignCertificate,
    now: chancery_model::Timestamp,
) -> Vec<Warning> {
    let mut warnings = Vec::new();
    let missing: Vec<String> = csr
        .subject()
        .attributes()
        .iter()
        .filter(|it| it.kind != AttributeType::CommonName)
        .filter(|wanted| !leaf.subject.iter().any(|got| got.kind == wanted.kind && got.value == wanted.value))
        .map(|it| format!("{}={}", it.kind.short(), short(&it.value)))
        .collect();
    if !missing.is_empty() {
        let text = format!("the certification authority left out of the subject: {}", missing.join(", "));
        warnings.push(warning("external.subject", "subject", text));
    }
    let life = leaf.validity.not_after - leaf.validity.not_before.max(now.as_seconds()) + 1;
    if (life - order.plan.ttl).abs() > (order.plan.ttl / 20).max(SKEW_SECONDS) {
        let text = format!(
            "the certification authority chose the life itself: {} in place of {} that were asked for",
            span(life),
            span(order.plan.ttl)
        );
        warnings.push(warning("external.ttl", "ttl", text));
    }
    let usages: Vec<&str> = csr
        .extended_key_usages()
        .unwrap_or_default()
        .iter()
        .filter(|usage| !leaf.extended_key_usages.contains(usage))
        .map(|usage| usage.as_str())
        .collect();
    if !usages.is_empty() {
        let text = format!("the certification authority did not grant: {}", usages.join(", "));
        warnings.push(warning("external.extended_key_usages", "extendedKeyUsages", text));
    }
    if Certificate::from_der(leaf.der()).is_err() {
        let text = "the certificate departs from RFC 5280 in ways that this server would not; clients may refuse it";
        warnings.push(warning("external.form", "certificate", text.to_owned()));
    }
    warnings
}

/// A span for people.
fn span(seconds: i64) -> String {
    match Ttl::from_seconds(seconds) {
        Some(exact) if seconds % 60 == 0 => exact.to_string(),
        _ if seconds > 2 * 86_400 => format!("{} days and {} seconds", seconds / 86_400, seconds % 86_400),
        _ => format!("{seconds} seconds"),
    }
}

fn warning(code: &'static str, field: &'static str, text: String) -> Warning {
    Warning::new(code, field, text)
}

fn short(text: &str) -> String {
    text.chars().filter(|it| !it.is_control()).take(100).collect()
}
