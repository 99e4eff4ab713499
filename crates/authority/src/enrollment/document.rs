//! The enrolment as a document: what a request row stores and what explain shows, from one list of fields.

use std::borrow::Cow;

use chancery_model::enrollment::{Enrollment, KeySource, Source};
use chancery_model::{CertificateId, TemplateId, Violation, Warning};
use serde::{Deserialize, Serialize};

use super::attributes::field_of;

/// One field of the certificate-to-be and where its value came from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldReport {
    pub field: String,
    pub value: String,
    pub source: Source,
}

/// Whose key was to be certified.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DecidedKey {
    Generated,
    /// The requester's own.
    Csr,
    /// That of the certificate that is renewed.
    Reused,
}

/// A stored document read again: what was decided over a request, for whoever shows or judges it later. What an earlier
/// program did not write is missing; what a later one wrote beside it is left out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Decision {
    pub template_id: Option<TemplateId>,
    pub template_version: i64,
    pub renews: Option<CertificateId>,
    pub key: Option<DecidedKey>,
    /// Copies of a renewal count as requested.
    pub fields: Vec<FieldReport>,
    pub violations: Vec<Violation>,
    pub warnings: Vec<Warning>,
}

impl Decision {
    /// `None`: it is no document, or says what is not known here.
    #[must_use]
    pub fn read(document: &str) -> Option<Self> {
        serde_json::from_str(document).ok()
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document<'a> {
    template_id: String,
    template_version: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    renews: Option<String>,
    key: DecidedKey,
    fields: Vec<BorrowedField<'a>>,
    verdict: &'static str,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    violations: &'a [Violation],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    warnings: &'a [Warning],
}

#[derive(Serialize)]
struct BorrowedField<'a> {
    field: Cow<'static, str>,
    value: Cow<'a, str>,
    source: &'static str,
}

/// The text kept with the request: every field, its source, the verdict and the warnings.
pub(crate) fn document(enrollment: &Enrollment, violations: &[Violation]) -> String {
    let document = Document {
        template_id: enrollment.template_id.to_string(),
        template_version: enrollment.template_version,
        renews: enrollment.renews.map(|id| id.to_string()),
        key: match enrollment.key {
            KeySource::Generate => DecidedKey::Generated,
            KeySource::Csr(_) => DecidedKey::Csr,
            KeySource::ReuseStored(_) | KeySource::ReuseCsr(_) => DecidedKey::Reused,
        },
        fields: fields(enrollment)
            .map(|(field, value, source)| BorrowedField { field, value, source: source.as_str() })
            .collect(),
        verdict: if violations.is_empty() { "issued" } else { "refused" },
        violations,
        warnings: &enrollment.warnings,
    };
    serde_json::to_string(&document).unwrap_or_default()
}

/// The same fields for explain.
pub(crate) fn field_reports(enrollment: &Enrollment) -> Vec<FieldReport> {
    fields(enrollment)
        .map(|(field, value, source)| FieldReport { field: field.into_owned(), value: value.into_owned(), source })
        .collect()
}

type FieldOf<'a> = (Cow<'static, str>, Cow<'a, str>, Source);

fn fields(enrollment: &Enrollment) -> impl Iterator<Item = FieldOf<'_>> {
    let subject = enrollment
        .subject
        .iter()
        .map(|it| (Cow::Borrowed(field_of(it.value.kind)), Cow::Borrowed(it.value.value.as_str()), it.source));
    let sans = enrollment
        .sans
        .iter()
        .enumerate()
        .map(|(index, san)| (Cow::Owned(format!("altNames[{index}]")), Cow::Owned(san.value.value()), san.source));
    let key_usages = enrollment
        .key_usages
        .iter()
        .map(|it| (Cow::Borrowed("keyUsages"), Cow::Borrowed(it.value.as_str()), it.source));
    let extended = enrollment
        .extended_key_usages
        .iter()
        .map(|it| (Cow::Borrowed("extendedKeyUsages"), Cow::Borrowed(it.value.as_str()), it.source));
    subject.chain(sans).chain(key_usages).chain(extended).chain(scalars(enrollment))
}

fn scalars(enrollment: &Enrollment) -> Vec<FieldOf<'_>> {
    let basic = enrollment.basic_constraints;
    let validity = enrollment.validity;
    let mut fields: Vec<FieldOf<'_>> = vec![
        ("basicConstraints.isCA".into(), if basic.value.is_ca { "true" } else { "false" }.into(), basic.source),
        ("keyAlgorithm".into(), enrollment.key_algorithm.value.as_str().into(), enrollment.key_algorithm.source),
        (
            "signatureAlgorithm".into(),
            enrollment.signature_algorithm.value.as_str().into(),
            enrollment.signature_algorithm.source,
        ),
        ("ttl".into(), format!("{}s", validity.value.ttl.as_seconds()).into(), validity.source),
        ("notBefore".into(), validity.value.not_before.to_string().into(), validity.source),
        ("notAfter".into(), validity.value.not_after.to_string().into(), validity.source),
    ];
    if let Some(length) = basic.value.path_length {
        fields.push(("basicConstraints.pathLength".into(), length.to_string().into(), basic.source));
    }
    fields
}
