//! The path with a CSR: subject, names, usages and key are the CSR's. Of the attributes only `ttl`, the dates and
//! `basicConstraints` count; anything else given there that differs is reported, or refused where the profile says so.

use chancery_model::enrollment::{Enrollment, KeySource, Source, Sourced};
use chancery_model::profile::UnknownCsrExtensions;
use chancery_model::{Violation, Warning};
use chancery_pkix::{AttributeType, CertificationRequest, GeneralName};

use super::attributes::field_of;
use super::{Attributes, Circumstances, Field, names, usage, validity, violation};
use crate::error::Error;

pub(super) fn resolve(
    around: &Circumstances<'_>,
    csr: &CertificationRequest,
    attributes: &Attributes,
    metadata: Vec<(String, String)>,
) -> Result<Enrollment, Error> {
    if around.issued_by.is_itself() {
        return Err(Error::malformed(
            "csr.self_signed",
            "csr",
            "a self-signed certificate needs the private key here; leave the CSR out, or use a profile with a CA",
        ));
    }
    let mut warnings = Vec::new();
    report_unknown(around, csr, &mut warnings)?;
    report_differences(around, csr, attributes, &mut warnings)?;
    let subject: Vec<_> = csr.subject().attributes().iter().map(|it| Sourced::new(it.clone(), Source::Csr)).collect();
    let mut sans: Vec<_> = csr.subject_alt_names().iter().map(|it| Sourced::new(it.clone(), Source::Csr)).collect();
    names::copy_common_name(&subject, &mut sans);
    let key_algorithm = csr.public_key().algorithm();
    let requested = attributes
        .basic_constraints
        .map(|it| Sourced::new(it, around.source))
        .or_else(|| csr.basic_constraints().map(|it| Sourced::new(it, Source::Csr)));
    let csr_usages: Option<Vec<_>> = csr.key_usages().map(|usages| usages.iter().collect());
    Ok(Enrollment {
        project_id: around.project_id,
        profile_id: around.profile_id,
        template_id: around.template.record.id,
        template_version: around.template.record.version,
        issuer: super::issuer_of(around),
        key_usages: usage::key_usages(around, csr_usages.as_deref(), Source::Csr),
        extended_key_usages: usage::extended_key_usages(around, csr.extended_key_usages(), Source::Csr),
        basic_constraints: super::basic_constraints(around, requested),
        signature_algorithm: super::signature_algorithm(around, None, key_algorithm)?,
        validity: validity::resolve(around, attributes, &mut warnings)?,
        key_algorithm: Sourced::new(key_algorithm, Source::Csr),
        key: KeySource::Csr(Box::new(csr.public_key().clone())),
        csr: kept(csr),
        renews: around.renews,
        subject,
        sans,
        metadata,
        warnings,
    })
}

/// The CSR as it will be stored. A challenge password is a secret and is never kept, so such a CSR is not kept either.
fn kept(csr: &CertificationRequest) -> Option<Vec<u8>> {
    (!csr.has_challenge_password()).then(|| csr.der().to_vec())
}

/// What the CSR asks for and this product does not carry over.
fn report_unknown(
    around: &Circumstances<'_>,
    csr: &CertificationRequest,
    warnings: &mut Vec<Warning>,
) -> Result<(), Error> {
    let mut violations = Vec::new();
    let extensions = csr.unknown_extensions().iter().map(|oid| ("csr.unknown_extension", "extension", oid));
    let usages = csr
        .unknown_extended_key_usages()
        .iter()
        .map(|oid| ("csr.unknown_extended_key_usage", "extended key usage", oid));
    for (code, what, oid) in extensions.chain(usages) {
        if around.settings.unknown_csr_extensions == UnknownCsrExtensions::Refuse {
            let allowed = format!("this profile refuses a CSR with an unknown {what}; make the CSR without it");
            violations.push(violation(code, "csr", &oid.to_string(), Source::Csr, allowed));
        } else {
            warnings.push(Warning::new(
                code,
                "csr",
                format!("the CSR's {what} {oid} is not carried into the certificate"),
            ));
        }
    }
    for oid in csr.ignored_attributes() {
        warnings.push(Warning::new("csr.ignored_attribute", "csr", format!("the CSR's attribute {oid} is ignored")));
    }
    if violations.is_empty() { Ok(()) } else { Err(Error::Refused(violations)) }
}

/// Attributes that contradict the CSR: warnings, or under `strictCsr` violations.
fn report_differences(
    around: &Circumstances<'_>,
    csr: &CertificationRequest,
    attributes: &Attributes,
    warnings: &mut Vec<Warning>,
) -> Result<(), Error> {
    let mut differing = subject_differences(csr, attributes);
    differing.extend(other_differences(csr, attributes));
    if differing.is_empty() {
        return Ok(());
    }
    if around.settings.strict_csr {
        return Err(Error::Refused(differing));
    }
    warnings.extend(differing.into_iter().map(|it| {
        Warning::new(
            "csr.attribute_ignored",
            &it.field,
            format!("'{}' from the attributes is not used: {}", it.value, it.allowed),
        )
    }));
    Ok(())
}

fn differs(field: &str, value: &str) -> Violation {
    violation(
        "csr.strict",
        field,
        value,
        Source::Request,
        "the CSR decides this field; leave it out or make it equal".to_owned(),
    )
}

fn subject_differences(csr: &CertificationRequest, attributes: &Attributes) -> Vec<Violation> {
    use AttributeType as T;
    let fields = [
        (T::CommonName, &attributes.common_name),
        (T::Organization, &attributes.organization),
        (T::OrganizationalUnit, &attributes.organizational_unit),
        (T::Country, &attributes.country),
        (T::State, &attributes.state),
        (T::Locality, &attributes.locality),
    ];
    let mut differing: Vec<_> = fields
        .into_iter()
        .filter_map(|(kind, field)| match field {
            Field::Value(value) if csr.subject().first(kind) != Some(value.trim()) => {
                Some(differs(field_of(kind), value))
            }
            _ => None,
        })
        .collect();
    if let Some(labels) = attributes.domain_components.as_deref().filter(|labels| !labels.is_empty()) {
        let known =
            csr.subject().attributes().iter().filter(|it| it.kind == T::DomainComponent).map(|it| it.value.as_str());
        if !known.eq(labels.iter().map(|label| label.trim())) {
            differing.push(differs("domainComponents", &labels.join(",")));
        }
    }
    differing
}

fn other_differences(csr: &CertificationRequest, attributes: &Attributes) -> Vec<Violation> {
    let mut differing = Vec::new();
    for (index, (kind, text)) in attributes.alt_names.iter().flatten().enumerate() {
        let same = GeneralName::parse(*kind, text).is_ok_and(|name| csr.subject_alt_names().contains(&name));
        if !same {
            differing.push(differs(&format!("altNames[{index}]"), text));
        }
    }
    for usage in attributes.key_usages.iter().flatten() {
        if !csr.key_usages().is_some_and(|usages| usages.contains(*usage)) {
            differing.push(differs("keyUsages", usage.as_str()));
        }
    }
    for usage in attributes.extended_key_usages.iter().flatten() {
        if !csr.extended_key_usages().is_some_and(|usages| usages.contains(usage)) {
            differing.push(differs("extendedKeyUsages", usage.as_str()));
        }
    }
    if let Some(algorithm) = attributes.key_algorithm.given().filter(|it| **it != csr.public_key().algorithm()) {
        differing.push(differs("keyAlgorithm", algorithm.as_str()));
    }
    differing
}
