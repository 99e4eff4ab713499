//! A request's stored document says as much to the rules as the request did.

use chancery_model::certificate::CertificateDescription;
use chancery_model::enrollment::{Enrollment, KeySource, Source, Sourced};
use chancery_model::{KeyId, ProfileId};
use chancery_pkix::{Attribute, AttributeType, GeneralName, GeneralNameKind, KeyAlgorithm, SignatureAlgorithm};
use proptest::prelude::*;
use serde_json::json;
use uuid::Uuid;

use super::build::{attribute, empty, request, requested, template};
use super::properties::{requests, templates};
use crate::enrollment::{Past, document, field_reports, refill, reread};
use crate::template::{Detail, Template, Verdict};

fn description(of: &Enrollment) -> CertificateDescription {
    CertificateDescription {
        subject: of.subject.iter().map(|it| it.value.clone()).collect(),
        sans: of.sans.iter().map(|it| (it.value.kind(), it.value.value())).collect(),
        key_usages: Vec::new(),
        extended_key_usages: Vec::new(),
        key_algorithm: None,
        signature_algorithm: None,
        is_ca: false,
        path_length: None,
        from_csr: false,
        foreign: None,
    }
}

fn read_back(of: &Enrollment) -> Option<Enrollment> {
    read_beside(of, &description(of))
}

fn read_beside(of: &Enrollment, description: &CertificateDescription) -> Option<Enrollment> {
    let past = Past {
        project_id: of.project_id,
        profile_id: ProfileId::from_uuid(Uuid::nil()),
        issuer: of.issuer,
        description,
        csr: None,
    };
    reread(&document(of, &[]), &past)
}

/// Without the suggestions, which depend on how the request was worded.
fn bare(verdict: Verdict) -> Vec<(String, String, String, Option<Source>, bool)> {
    verdict.checks.into_iter().map(|it| (it.rule, it.field, it.value, it.source, it.passed)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn what_is_read_back_is_judged_alike(rules in templates(), mut enrollment in requests()) {
        // A document does not say whether the life was given as dates.
        (enrollment.validity.value.explicit, enrollment.validity.value.dated) = (false, false);
        let back = read_back(&enrollment).unwrap();
        prop_assert_eq!(field_reports(&back), field_reports(&enrollment));
        if let Ok(template) = Template::compile(&rules) {
            let everything = |it: &Enrollment| bare(template.evaluate(it, Detail::Everything));
            prop_assert_eq!(everything(&back), everything(&enrollment));
        }
    }
}

#[test]
fn names_and_attributes_of_every_kind_are_read_back() {
    let mut enrollment = empty();
    for kind in AttributeType::ALL {
        // The same value under several kinds: the place tells them apart.
        let value = if *kind == AttributeType::Country { "DE" } else { "acme" };
        enrollment.subject.push(Sourced::new(Attribute { kind: *kind, value: value.to_owned() }, Source::Csr));
    }
    for (kind, text) in [
        (GeneralNameKind::Email, "jane@acme.com"),
        (GeneralNameKind::Upn, "jane@acme.com"),
        (GeneralNameKind::DnsName, "*.acme.com"),
        (GeneralNameKind::IpAddress, "2001:db8::1"),
        (GeneralNameKind::Uri, "spiffe://acme.com/web"),
        (GeneralNameKind::OtherName, "1.3.6.1.4.1.311.20.2.4;utf8:x"),
        (GeneralNameKind::DirectoryName, "CN=acme"),
        (GeneralNameKind::RegisteredId, "1.3.6.1.4.1.32473"),
    ] {
        enrollment.sans.push(Sourced::new(GeneralName::parse(kind, text).unwrap(), Source::Csr));
    }
    let back = read_back(&enrollment).unwrap();
    assert_eq!(back.subject, enrollment.subject);
    assert_eq!(back.sans, enrollment.sans);
}

#[test]
fn what_cannot_be_told_for_certain_is_not_guessed() {
    let enrollment = request(Some("www.acme.com"), &[]);
    let whole = description(&enrollment);
    assert!(read_beside(&enrollment, &whole).is_some());
    let other_name = CertificateDescription { sans: Vec::new(), ..whole.clone() };
    assert!(read_beside(&enrollment, &other_name).is_none(), "of which kind is the name?");
    let mut titled = enrollment.clone();
    titled.subject.push(requested(attribute(AttributeType::Title, "Boss")));
    assert!(read_beside(&titled, &description(&titled)).is_some());
    assert!(read_beside(&titled, &whole).is_none(), "of which kind is the attribute?");
    let mut kept = enrollment;
    kept.key = KeySource::ReuseStored(KeyId::from_uuid(Uuid::from_u128(1)));
    let back = read_beside(&kept, &whole).unwrap();
    assert!(matches!(back.key, KeySource::ReuseStored(_)));
}

#[test]
fn only_what_was_left_open_is_filled_again() {
    let rules = template(json!({
        "key_usages": { "required": ["digital_signature"], "allowed": ["key_agreement"] },
        "extended_key_usages": { "required": ["client_auth"] },
        "algorithms": { "key_algorithm": ["ECDSA-P384"], "signature": ["SHA384-ECDSA"] },
    }));
    let mut open = empty();
    refill(&rules, &mut open);
    assert_eq!(open.key_algorithm.value, KeyAlgorithm::EcP384);
    assert_eq!(open.signature_algorithm.value, SignatureAlgorithm::EcdsaSha384);
    assert_eq!((open.key_usages.len(), open.extended_key_usages.len()), (1, 1));
    assert!(rules.passes(&open));
    // The same, asked for by somebody: it stays, and is judged.
    let mut asked = empty();
    asked.key_algorithm.source = Source::Request;
    asked.signature_algorithm.source = Source::Profile;
    asked.extended_key_usages = vec![Sourced::new(chancery_pkix::ExtendedKeyUsage::ServerAuth, Source::Csr)];
    let before = field_reports(&asked);
    refill(&rules, &mut asked);
    let after: Vec<_> = field_reports(&asked).into_iter().filter(|it| it.field != "keyUsages").collect();
    assert_eq!(after, before);
    // A renewal repeats what its certificate had, also nothing.
    let mut renewed = empty();
    renewed.renews = Some(chancery_model::CertificateId::from_uuid(Uuid::nil()));
    refill(&rules, &mut renewed);
    assert!(renewed.key_usages.is_empty() && renewed.extended_key_usages.is_empty());
}
