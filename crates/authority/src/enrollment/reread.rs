//! The document of a request read back into an enrolment, so that other rules can judge what was granted before.
//!
//! The document keeps values without their kinds where the kind is clear to people (`altNames[0]`); the certificate's
//! description, which stands beside it, knows them. What cannot be told for certain is not guessed: then the document
//! counts as unreadable.

use chancery_model::certificate::CertificateDescription;
use chancery_model::enrollment::{Enrollment, KeySource, RequestedValidity, Source, Sourced};
use chancery_model::profile::ProfileIssuer;
use chancery_model::time::Ttl;
use chancery_model::{KeyId, ProfileId, ProjectId, Timestamp};
use chancery_pkix::{
    Attribute, AttributeType, BasicConstraints, CertificationRequest, ExtendedKeyUsage, GeneralName, KeyAlgorithm,
    KeyUsage, KeyUsages, SignatureAlgorithm,
};
use uuid::Uuid;

use super::attributes::field_of;
use super::document::{DecidedKey, Decision, FieldReport};
use super::usage;
use crate::template::Template;

/// What stands beside a stored document.
pub(crate) struct Past<'a> {
    pub project_id: ProjectId,
    pub profile_id: ProfileId,
    pub issuer: ProfileIssuer,
    pub description: &'a CertificateDescription,
    /// DER.
    pub csr: Option<&'a [u8]>,
}

/// What the fields have said so far.
#[derive(Default)]
struct Draft {
    subject: Vec<Sourced<Attribute>>,
    sans: Vec<Sourced<GeneralName>>,
    key_usages: Vec<Sourced<KeyUsage>>,
    extended_key_usages: Vec<Sourced<ExtendedKeyUsage>>,
    is_ca: Option<Sourced<bool>>,
    path_length: Option<u8>,
    key_algorithm: Option<Sourced<KeyAlgorithm>>,
    signature_algorithm: Option<Sourced<SignatureAlgorithm>>,
    ttl: Option<Sourced<Ttl>>,
    not_before: Option<Timestamp>,
    not_after: Option<Timestamp>,
}

/// `None`: the document cannot be read back.
pub(crate) fn reread(document: &str, past: &Past<'_>) -> Option<Enrollment> {
    let document = Decision::read(document)?;
    let mut draft = Draft::default();
    for field in &document.fields {
        draft.take(field, past.description)?;
    }
    let Sourced { value: is_ca, source } = draft.is_ca?;
    let Sourced { value: ttl, source: ttl_source } = draft.ttl?;
    let (not_before, not_after) = (draft.not_before?, draft.not_after?);
    Some(Enrollment {
        project_id: past.project_id,
        profile_id: Some(past.profile_id),
        template_id: document.template_id?,
        template_version: document.template_version,
        issuer: past.issuer,
        subject: draft.subject,
        sans: draft.sans,
        key_usages: draft.key_usages,
        extended_key_usages: draft.extended_key_usages,
        basic_constraints: Sourced::new(BasicConstraints { is_ca, path_length: draft.path_length }, source),
        key_algorithm: draft.key_algorithm?,
        signature_algorithm: draft.signature_algorithm?,
        validity: Sourced::new(
            RequestedValidity { not_before, not_after, ttl, explicit: false, dated: false },
            ttl_source,
        ),
        key: key_source(document.key?, past),
        csr: None,
        renews: document.renews,
        metadata: Vec::new(),
        warnings: Vec::new(),
    })
}

/// Only told apart for the suggestions: a key that is fixed has none. Proof of possession was checked when it came.
fn key_source(key: DecidedKey, past: &Past<'_>) -> KeySource {
    // No key is opened by this id; it only says that there is no other.
    let fixed = KeySource::ReuseStored(KeyId::from_uuid(Uuid::nil()));
    match key {
        DecidedKey::Generated => KeySource::Generate,
        DecidedKey::Csr => {
            let csr = past.csr.and_then(|der| CertificationRequest::from_der(der).ok());
            csr.map_or(fixed, |csr| KeySource::Csr(Box::new(csr.public_key().clone())))
        }
        DecidedKey::Reused => fixed,
    }
}

impl Draft {
    fn take(&mut self, field: &FieldReport, description: &CertificateDescription) -> Option<()> {
        let FieldReport { field: name, value, source } = field;
        let source = *source;
        match name.as_str() {
            "keyUsages" => self.key_usages.push(Sourced::new(value.parse().ok()?, source)),
            "extendedKeyUsages" => self.extended_key_usages.push(Sourced::new(value.parse().ok()?, source)),
            "basicConstraints.isCA" => self.is_ca = Some(Sourced::new(value.parse().ok()?, source)),
            "basicConstraints.pathLength" => self.path_length = Some(value.parse().ok()?),
            "keyAlgorithm" => self.key_algorithm = Some(Sourced::new(value.parse().ok()?, source)),
            "signatureAlgorithm" => self.signature_algorithm = Some(Sourced::new(value.parse().ok()?, source)),
            "ttl" => self.ttl = Some(Sourced::new(Ttl::parse(value).ok()?, source)),
            "notBefore" => self.not_before = Some(Timestamp::parse_date(value).ok()?),
            "notAfter" => self.not_after = Some(Timestamp::parse_date(value).ok()?),
            san if san.starts_with("altNames[") => self.take_name(value, source, description)?,
            attribute => {
                let kind = self.kind_of(attribute, value, description)?;
                self.subject.push(Sourced::new(Attribute { kind, value: value.clone() }, source));
            }
        }
        Some(())
    }

    fn take_name(&mut self, value: &str, source: Source, description: &CertificateDescription) -> Option<()> {
        // A value may stand there twice, as two kinds of name: the place decides.
        let here = description.sans.get(self.sans.len()).filter(|(_, known)| known == value);
        let (kind, _) = here.or_else(|| description.sans.iter().find(|(_, known)| known == value))?;
        self.sans.push(Sourced::new(GeneralName::parse(*kind, value).ok()?, source));
        Some(())
    }

    /// Attributes that no request can name are all called `subject`.
    fn kind_of(&self, field: &str, value: &str, description: &CertificateDescription) -> Option<AttributeType> {
        let here = description.subject.get(self.subject.len()).filter(|it| it.value == value);
        let found = here.filter(|it| field_of(it.kind) == field).map(|it| it.kind);
        found.or_else(|| {
            let mut known = AttributeType::ALL.iter().copied().filter(|kind| field_of(*kind) == field);
            match (known.next(), known.next()) {
                (Some(only), None) => Some(only),
                (Some(_), Some(_)) => {
                    let of_value = |it: &&Attribute| it.value == value && field_of(it.kind) == field;
                    description.subject.iter().find(of_value).map(|it| it.kind)
                }
                _ => None,
            }
        })
    }
}

/// What the request left to its template comes from this template: the rest stays as it was asked for.
pub(crate) fn refill(rules: &Template, enrollment: &mut Enrollment) {
    // A renewal repeats the lists of the certificate, so an empty one was not left open.
    let is_open = |sources: &mut dyn Iterator<Item = Source>| {
        let mut sources = sources.peekable();
        if sources.peek().is_none() { enrollment.renews.is_none() } else { sources.all(|it| it == Source::Template) }
    };
    let fills_usages = is_open(&mut enrollment.key_usages.iter().map(|it| it.source));
    let fills_purposes = is_open(&mut enrollment.extended_key_usages.iter().map(|it| it.source));
    if enrollment.key_algorithm.source == Source::Template {
        enrollment.key_algorithm.value = rules.preferred_key_algorithm();
    }
    if fills_usages {
        let required: KeyUsages = rules.key_usages_required();
        enrollment.key_usages = required.iter().map(|it| Sourced::new(it, Source::Template)).collect();
        enrollment.key_usages.sort_by_key(|it| it.value);
        usage::drop_unusable(enrollment);
    }
    if fills_purposes {
        let required = rules.extended_key_usages_required();
        enrollment.extended_key_usages = required.iter().map(|it| Sourced::new(*it, Source::Template)).collect();
    }
    if matches!(enrollment.basic_constraints.source, Source::Template | Source::Default) {
        enrollment.basic_constraints = if rules.requires_ca() {
            let path_length = rules.path_length_default();
            Sourced::new(BasicConstraints { is_ca: true, path_length }, Source::Template)
        } else {
            Sourced::new(BasicConstraints { is_ca: false, path_length: None }, Source::Default)
        };
    }
    refill_signature(rules, enrollment);
}

/// Nobody chose it, so it follows the signer: the key itself, or a CA whose key the old signature tells.
fn refill_signature(rules: &Template, enrollment: &mut Enrollment) {
    let Sourced { value, source } = enrollment.signature_algorithm;
    let own_key = enrollment.key_algorithm.value;
    enrollment.signature_algorithm.value = match source {
        Source::Issuer | Source::Template if enrollment.issuer == ProfileIssuer::SelfSigned => {
            rules.preferred_signature_algorithm(own_key, own_key.default_signature())
        }
        Source::Issuer | Source::Template => {
            let signing_key = KeyAlgorithm::ALL.iter().copied().find(|key| value.fits(*key)).unwrap_or(own_key);
            rules.preferred_signature_algorithm(signing_key, value)
        }
        // A CA elsewhere signs with what it has: see `hoped_for`.
        Source::Default if !rules.allows_signature_algorithm(value) => {
            rules.listed_signature_algorithm().unwrap_or(value)
        }
        _ => value,
    };
}
