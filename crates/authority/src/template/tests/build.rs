//! Requests and templates for the tests.

use std::net::Ipv4Addr;

use chancery_model::enrollment::{Enrollment, KeySource, RequestedValidity, Source, Sourced};
use chancery_model::error::{SuggestedAction, Suggestion};
use chancery_model::profile::ProfileIssuer;
use chancery_model::template::TemplateRules;
use chancery_model::time::Ttl;
use chancery_model::{CaId, ProjectId, TemplateId, Timestamp};
use chancery_pkix::{
    Attribute, AttributeType, BasicConstraints, DistinguishedName, ExtendedKeyUsage, GeneralName, GeneralNameKind,
    KeyAlgorithm, KeyUsage, SignatureAlgorithm,
};
use uuid::Uuid;

use crate::enrollment::copy_common_name;
use crate::template::Template;

pub fn rules(json: serde_json::Value) -> TemplateRules {
    serde_json::from_value(json).unwrap()
}

pub fn template(json: serde_json::Value) -> Template {
    Template::compile(&rules(json)).unwrap_or_else(|problems| panic!("{problems:?}"))
}

pub fn requested<T>(value: T) -> Sourced<T> {
    Sourced::new(value, Source::Request)
}

pub fn attribute(kind: AttributeType, value: &str) -> Attribute {
    DistinguishedName::new(vec![Attribute { kind, value: value.to_owned() }]).unwrap().attributes()[0].clone()
}

pub fn dns(name: &str) -> GeneralName {
    GeneralName::parse(GeneralNameKind::DnsName, name).unwrap()
}

pub fn ip(last: u8) -> GeneralName {
    GeneralName::Ip(Ipv4Addr::new(10, 0, 0, last).into())
}

/// An empty request for 90 days against a CA with a P-256 key.
pub fn empty() -> Enrollment {
    let start = Timestamp::from_seconds(1_800_000_000);
    let ttl = Ttl::parse("90d").unwrap();
    Enrollment {
        project_id: ProjectId::from_uuid(Uuid::nil()),
        profile_id: None,
        template_id: TemplateId::from_uuid(Uuid::nil()),
        template_version: 1,
        issuer: ProfileIssuer::Ca(CaId::from_uuid(Uuid::nil())),
        subject: Vec::new(),
        sans: Vec::new(),
        key_usages: Vec::new(),
        extended_key_usages: Vec::new(),
        basic_constraints: Sourced::new(BasicConstraints { is_ca: false, path_length: None }, Source::Default),
        key_algorithm: Sourced::new(KeyAlgorithm::EcP256, Source::Template),
        signature_algorithm: Sourced::new(SignatureAlgorithm::EcdsaSha256, Source::Issuer),
        validity: requested(RequestedValidity {
            not_before: start,
            not_after: start.plus_seconds(ttl.as_seconds() - 1),
            ttl,
            explicit: false,
            dated: false,
        }),
        key: KeySource::Generate,
        csr: None,
        renews: None,
        metadata: Vec::new(),
        warnings: Vec::new(),
    }
}

/// A request for a common name, copied into the SANs as the resolver does, and further names.
pub fn request(common_name: Option<&str>, sans: &[GeneralName]) -> Enrollment {
    let mut enrollment = empty();
    enrollment.subject.extend(common_name.map(|name| requested(attribute(AttributeType::CommonName, name))));
    enrollment.sans.extend(sans.iter().cloned().map(requested));
    copy_common_name(&enrollment.subject, &mut enrollment.sans);
    enrollment
}

pub fn with_ttl(mut enrollment: Enrollment, text: &str) -> Enrollment {
    let validity = &mut enrollment.validity.value;
    validity.ttl = Ttl::parse(text).unwrap();
    validity.not_after = validity.not_before.plus_seconds(validity.ttl.as_seconds() - 1);
    enrollment
}

pub fn with_usages(mut enrollment: Enrollment, usages: &[KeyUsage], purposes: &[ExtendedKeyUsage]) -> Enrollment {
    enrollment.key_usages = usages.iter().copied().map(requested).collect();
    enrollment.extended_key_usages = purposes.iter().copied().map(requested).collect();
    enrollment
}

/// Applies suggestions as a client would, from their texts alone.
pub fn follow(template: &Template, suggestions: &[Suggestion], enrollment: &mut Enrollment) {
    for suggestion in suggestions {
        follow_one(template, suggestion, enrollment);
    }
    enrollment.sans.retain(|it| it.source != Source::Derived);
    copy_common_name(&enrollment.subject, &mut enrollment.sans);
}

fn follow_one(template: &Template, suggestion: &Suggestion, enrollment: &mut Enrollment) {
    let value = suggestion.value.as_deref();
    assert!(!suggestion.text.is_empty());
    match suggestion.field.as_str() {
        "altNames" => follow_names(suggestion.action, value.unwrap(), enrollment),
        "keyUsages" => follow_list(suggestion.action, value.unwrap(), &mut enrollment.key_usages),
        "extendedKeyUsages" => follow_list(suggestion.action, value.unwrap(), &mut enrollment.extended_key_usages),
        "keyAlgorithm" => {
            let key: KeyAlgorithm = value.unwrap().parse().unwrap();
            enrollment.key_algorithm = requested(key);
            let free =
                matches!(enrollment.signature_algorithm.source, Source::Issuer | Source::Default | Source::Template);
            if enrollment.issuer == ProfileIssuer::SelfSigned && free {
                enrollment.signature_algorithm.value =
                    template.preferred_signature_algorithm(key, key.default_signature());
            }
        }
        "signatureAlgorithm" => enrollment.signature_algorithm = requested(value.unwrap().parse().unwrap()),
        "ttl" => *enrollment = with_ttl(enrollment.clone(), value.unwrap()),
        "notAfter" => {
            let validity = &mut enrollment.validity.value;
            validity.not_after = Timestamp::parse_date(value.unwrap()).unwrap();
            validity.ttl =
                Ttl::from_seconds(validity.not_after.as_seconds() - validity.not_before.as_seconds() + 1).unwrap();
        }
        "basicConstraints" => {
            let object: serde_json::Value = serde_json::from_str(value.unwrap()).unwrap();
            let path_length =
                object.get("pathLength").and_then(serde_json::Value::as_u64).map(|it| u8::try_from(it).unwrap());
            enrollment.basic_constraints =
                requested(BasicConstraints { is_ca: object["isCA"].as_bool().unwrap(), path_length });
        }
        field => follow_subject(suggestion.action, field, value, enrollment),
    }
}

fn follow_subject(action: SuggestedAction, field: &str, value: Option<&str>, enrollment: &mut Enrollment) {
    let kind = match field {
        "domainComponents" => AttributeType::DomainComponent,
        camel => {
            let snake: String = camel
                .chars()
                .flat_map(|it| if it.is_ascii_uppercase() { vec!['_', it.to_ascii_lowercase()] } else { vec![it] })
                .collect();
            snake.parse().unwrap()
        }
    };
    enrollment.subject.retain(|it| it.value.kind != kind);
    match (action, value) {
        (SuggestedAction::Remove, None) => {}
        (SuggestedAction::Set, Some(text)) if kind == AttributeType::DomainComponent => {
            let labels: Vec<String> = serde_json::from_str(text).unwrap();
            enrollment.subject.extend(labels.iter().map(|label| requested(attribute(kind, label))));
        }
        (SuggestedAction::Set, Some(text)) => enrollment.subject.push(requested(attribute(kind, text))),
        other => panic!("{field}: {other:?}"),
    }
}

fn follow_names(action: SuggestedAction, value: &str, enrollment: &mut Enrollment) {
    let element = || {
        let (kind, text) = value.split_once(':').unwrap();
        GeneralName::parse(kind.parse().unwrap(), text).unwrap()
    };
    match action {
        SuggestedAction::Add => {
            let name = element();
            if !enrollment.sans.iter().any(|it| it.value == name) {
                enrollment.sans.push(requested(name));
            }
        }
        SuggestedAction::Remove => {
            let name = element();
            enrollment.sans.retain(|it| it.value != name);
        }
        SuggestedAction::Set => {
            let names: Vec<GeneralName> = serde_json::from_str(value).unwrap();
            enrollment.sans = names.into_iter().map(requested).collect();
        }
    }
}

fn follow_list<T>(action: SuggestedAction, value: &str, list: &mut Vec<Sourced<T>>)
where
    T: std::str::FromStr<Err: std::fmt::Debug> + PartialEq + serde::de::DeserializeOwned,
{
    match action {
        SuggestedAction::Add => {
            let usage: T = value.parse().unwrap();
            if !list.iter().any(|it| it.value == usage) {
                list.push(requested(usage));
            }
        }
        SuggestedAction::Remove => {
            let usage: T = value.parse().unwrap();
            list.retain(|it| it.value != usage);
        }
        SuggestedAction::Set => {
            *list = serde_json::from_str::<Vec<T>>(value).unwrap().into_iter().map(requested).collect()
        }
    }
}
