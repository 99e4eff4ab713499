//! What came back, held against what was asked for. Key, names and CA flag must be the same and the life within the
//! template's longest; anything else that differs is only reported, because a public CA has its own mind about it.

use std::collections::BTreeSet;

use chancery_model::order::ExternalOrder;
use chancery_model::time::Ttl;
use chancery_model::{Timestamp, Warning};
use chancery_pkix::{
    Attribute, AttributeType, Certificate, CertificationRequest, ForeignCertificate, GeneralNameKind, KeyUsage,
};

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
    now: Timestamp,
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
    now: Timestamp,
) -> Vec<String> {
    let mut faults = Vec::new();
    if leaf.spki_der() != csr.public_key().spki_der() {
        faults.push("it is for another key than the one in the CSR".to_owned());
    }
    let (wanted, got) = (names_of_csr(csr), names_of(leaf));
    let list = |names: &mut dyn Iterator<Item = &Name>| {
        names.map(|(kind, value)| format!("{} {value}", kind.as_str())).collect::<Vec<_>>().join(", ")
    };
    if got.difference(&wanted).next().is_some() {
        faults.push(format!("it has names that were not asked for: {}", list(&mut got.difference(&wanted))));
    }
    if leaf.unknown_names > 0 {
        faults.push(format!("it has {} names of kinds that were not asked for", leaf.unknown_names));
    }
    if wanted.difference(&got).next().is_some() {
        faults.push(format!("it lacks names that were asked for: {}", list(&mut wanted.difference(&got))));
    }
    faults.extend(common_name_faults(csr, leaf, &wanted));
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

/// A common name that nobody asked for is a name that was not asked for, and a certificate may have several.
fn common_name_faults(csr: &CertificationRequest, leaf: &ForeignCertificate, wanted: &BTreeSet<Name>) -> Vec<String> {
    let common_names = |attributes: &[Attribute]| -> Vec<String> {
        attributes.iter().filter(|it| it.kind == AttributeType::CommonName).map(|it| it.value.clone()).collect()
    };
    let asked = common_names(csr.subject().attributes());
    let is_name = |got: &String| wanted.iter().any(|(_, value)| value.eq_ignore_ascii_case(got));
    let strange = common_names(&leaf.subject).into_iter().filter(|got| !asked.contains(got) && !is_name(got));
    strange.map(|got| format!("its common name '{}' was not asked for", short(&got))).collect()
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
    now: Timestamp,
) -> Vec<Warning> {
    let mut warnings = subject_remarks(csr.subject().attributes(), &leaf.subject);
    let life = leaf.validity.not_after - leaf.validity.not_before.max(now.as_seconds()) + 1;
    if (life - order.plan.ttl).abs() > (order.plan.ttl / 20).max(SKEW_SECONDS) {
        let text = format!(
            "the certification authority chose the life itself: {} in place of {} that were asked for",
            span(life),
            span(order.plan.ttl)
        );
        warnings.push(warning("external.ttl", "ttl", text));
    }
    if leaf.validity.not_before > now.as_seconds() + SKEW_SECONDS {
        let begin = Timestamp::from_seconds(leaf.validity.not_before);
        warnings.push(warning("external.not_before", "notBefore", format!("the certificate begins at {begin} only")));
    }
    // What a CSR leaves out is the CA's to choose.
    if let Some(asked) = csr.key_usages() {
        let words = |usages: &mut dyn Iterator<Item = KeyUsage>| usages.map(KeyUsage::as_str).collect::<Vec<_>>();
        let (asked, got) = (words(&mut asked.iter()), words(&mut leaf.key_usages.iter().copied()));
        warnings.extend(usage_remarks(("external.key_usages", "keyUsages"), &asked, &got));
    }
    if let Some(asked) = csr.extended_key_usages().filter(|asked| !asked.is_empty()) {
        let asked: Vec<&str> = asked.iter().map(|it| it.as_str()).collect();
        let unknown = leaf.unknown_extended_key_usages.iter().map(String::as_str);
        let got: Vec<&str> = leaf.extended_key_usages.iter().map(|it| it.as_str()).chain(unknown).collect();
        warnings.extend(usage_remarks(("external.extended_key_usages", "extendedKeyUsages"), &asked, &got));
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

/// A CA that vouches for an organisation writes in what it has found out, and others leave everything out.
fn subject_remarks(asked: &[Attribute], got: &[Attribute]) -> Vec<Warning> {
    let only = |these: &[Attribute], those: &[Attribute]| -> Vec<String> {
        let others = these.iter().filter(|it| it.kind != AttributeType::CommonName && !those.contains(it));
        others.map(|it| format!("{}={}", it.kind.short(), short(&it.value))).collect()
    };
    let remark = |said: &str, list: Vec<String>| {
        (!list.is_empty()).then(|| {
            let text = format!("the certification authority {said} the subject: {}", list.join(", "));
            warning("external.subject", "subject", text)
        })
    };
    [remark("left out of", only(asked, got)), remark("added to", only(got, asked))].into_iter().flatten().collect()
}

fn usage_remarks((code, field): (&'static str, &'static str), asked: &[&str], got: &[&str]) -> Vec<Warning> {
    let only = |these: &[&str], those: &[&str]| {
        these.iter().copied().filter(|it| !those.contains(it)).collect::<Vec<_>>().join(", ")
    };
    let (missing, added) = (only(asked, got), only(got, asked));
    [("did not grant", missing), ("added", added)]
        .into_iter()
        .filter(|(_, list)| !list.is_empty())
        .map(|(said, list)| warning(code, field, format!("the certification authority {said}: {list}")))
        .collect()
}

fn warning(code: &'static str, field: &'static str, text: String) -> Warning {
    Warning::new(code, field, text)
}

fn short(text: &str) -> String {
    text.chars().filter(|it| !it.is_control()).take(100).collect()
}
