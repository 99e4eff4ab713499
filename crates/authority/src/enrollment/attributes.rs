//! The path without a CSR: the request's attributes over the profile's defaults over the template's requirements.

use chancery_model::enrollment::{Enrollment, KeySource, Source, Sourced};
use chancery_model::profile::ProfileDefaults;
use chancery_pkix::{Attribute, AttributeType, DistinguishedName, GeneralName, KeyAlgorithm};

use super::{Attributes, Circumstances, Field, names, usage, validity};
use crate::error::Error;

pub(super) fn resolve(
    around: &Circumstances<'_>,
    attributes: &Attributes,
    key: KeySource,
    metadata: Vec<(String, String)>,
) -> Result<Enrollment, Error> {
    let mut warnings = Vec::new();
    let subject = match around.copied_subject {
        Some(copied) => edited_subject(copied, attributes, around.source)?,
        None => subject(around, attributes)?,
    };
    let mut sans = alt_names(attributes, around.source)?;
    names::copy_common_name(&subject, &mut sans);
    let key_algorithm = match &key {
        KeySource::Generate | KeySource::ReuseStored(_) => key_algorithm(around, attributes),
        KeySource::Csr(public) | KeySource::ReuseCsr(public) => Sourced::new(public.algorithm(), Source::Csr),
    };
    let chosen = choose(&attributes.signature_algorithm, around.source, || around.defaults()?.signature_algorithm);
    let basic_constraints =
        super::basic_constraints(around, attributes.basic_constraints.map(|it| Sourced::new(it, around.source)));
    Ok(Enrollment {
        project_id: around.project_id,
        profile_id: around.profile_id,
        template_id: around.template.record.id,
        template_version: around.template.record.version,
        issuer: super::issuer_of(around),
        key_usages: usage::key_usages(around, attributes.key_usages.as_deref(), around.source),
        extended_key_usages: usage::extended_key_usages(
            around,
            attributes.extended_key_usages.as_deref(),
            around.source,
        ),
        signature_algorithm: super::signature_algorithm(around, chosen, key_algorithm.value)?,
        validity: validity::resolve(around, attributes, &mut warnings)?,
        basic_constraints,
        key_algorithm,
        subject,
        sans,
        key,
        csr: None,
        renews: around.renews,
        metadata,
        warnings,
    })
}

/// A profile's default for one subject attribute.
type DefaultOf = fn(&ProfileDefaults) -> Option<&String>;

/// The subject in its certificate order: domain components, country, state, locality, organization, unit, common name.
fn subject(around: &Circumstances<'_>, attributes: &Attributes) -> Result<Vec<Sourced<Attribute>>, Error> {
    use AttributeType as T;
    let defaults = around.defaults();
    let mut subject = domain_components(around, attributes);
    let fields: [(T, &Field<String>, DefaultOf); 6] = [
        (T::Country, &attributes.country, |it| it.country.as_ref()),
        (T::State, &attributes.state, |it| it.state.as_ref()),
        (T::Locality, &attributes.locality, |it| it.locality.as_ref()),
        (T::Organization, &attributes.organization, |it| it.organization.as_ref()),
        (T::OrganizationalUnit, &attributes.organizational_unit, |it| it.organizational_unit.as_ref()),
        (T::CommonName, &attributes.common_name, |it| it.common_name.as_ref()),
    ];
    for (kind, field, default) in fields {
        let value = choose(field, around.source, || defaults.and_then(default).cloned());
        if let Some(chosen) = value {
            let text = chosen.value.trim();
            if !text.is_empty() {
                subject.push(Sourced::new(Attribute { kind, value: text.to_owned() }, chosen.source));
            }
        }
    }
    for attribute in &mut subject {
        attribute.value = canonical(&attribute.value)?;
    }
    Ok(subject)
}

/// A copied subject with edits: missing keeps every value of the kind in its place, null takes them out, a value stands
/// in place of the first. So a certificate made from a CSR keeps attributes that no request can name.
fn edited_subject(
    copied: &[Attribute],
    attributes: &Attributes,
    source: Source,
) -> Result<Vec<Sourced<Attribute>>, Error> {
    use AttributeType as T;
    let mut subject: Vec<Attribute> = copied.to_vec();
    let fields = [
        (T::Country, &attributes.country),
        (T::State, &attributes.state),
        (T::Locality, &attributes.locality),
        (T::Organization, &attributes.organization),
        (T::OrganizationalUnit, &attributes.organizational_unit),
        (T::CommonName, &attributes.common_name),
    ];
    for (kind, field) in fields {
        let text = match field {
            Field::Missing => continue,
            Field::Null => "",
            Field::Value(text) => text.trim(),
        };
        replace_kind(&mut subject, kind, if text.is_empty() { &[] } else { std::slice::from_ref(&text) });
    }
    if let Some(labels) = &attributes.domain_components {
        let labels: Vec<&str> = labels.iter().map(|label| label.trim()).collect();
        replace_kind(&mut subject, T::DomainComponent, &labels);
    }
    subject.iter().map(|attribute| Ok(Sourced::new(canonical(attribute)?, source))).collect()
}

/// Puts these values where the first of the kind stood, or at the end.
fn replace_kind(subject: &mut Vec<Attribute>, kind: AttributeType, values: &[&str]) {
    let place = subject.iter().position(|it| it.kind == kind).unwrap_or(subject.len());
    subject.retain(|it| it.kind != kind);
    let values = values.iter().map(|value| Attribute { kind, value: (*value).to_owned() });
    subject.splice(place..place, values);
}

fn domain_components(around: &Circumstances<'_>, attributes: &Attributes) -> Vec<Sourced<Attribute>> {
    let (labels, source) = match &attributes.domain_components {
        Some(given) if !given.is_empty() => (given.as_slice(), around.source),
        _ => (around.defaults().and_then(|it| it.domain_components.as_deref()).unwrap_or_default(), Source::Profile),
    };
    labels
        .iter()
        .map(|label| {
            Sourced::new(Attribute { kind: AttributeType::DomainComponent, value: label.trim().to_owned() }, source)
        })
        .collect()
}

/// Checks one attribute by itself, so that the message names the field, and takes its canonical form (`de` → `DE`).
fn canonical(attribute: &Attribute) -> Result<Attribute, Error> {
    let checked = DistinguishedName::new(vec![attribute.clone()])
        .map_err(|error| Error::malformed(error.code, field_of(attribute.kind), error.message))?;
    Ok(checked.attributes().first().cloned().unwrap_or_else(|| attribute.clone()))
}

/// The wire's name of a subject attribute.
pub(super) fn field_of(kind: AttributeType) -> &'static str {
    match kind {
        AttributeType::CommonName => "commonName",
        AttributeType::Organization => "organization",
        AttributeType::OrganizationalUnit => "organizationalUnit",
        AttributeType::Country => "country",
        AttributeType::State => "state",
        AttributeType::Locality => "locality",
        AttributeType::DomainComponent => "domainComponents",
        _ => "subject",
    }
}

fn alt_names(attributes: &Attributes, source: Source) -> Result<Vec<Sourced<GeneralName>>, Error> {
    let mut names: Vec<Sourced<GeneralName>> = Vec::new();
    for (index, (kind, text)) in attributes.alt_names.iter().flatten().enumerate() {
        let name = GeneralName::parse(*kind, text)
            .map_err(|error| Error::malformed(error.code, format!("altNames[{index}]"), error.message))?;
        // The same name twice says nothing more; a certificate carries it once.
        if !names.iter().any(|known| known.value == name) {
            names.push(Sourced::new(name, source));
        }
    }
    Ok(names)
}

fn key_algorithm(around: &Circumstances<'_>, attributes: &Attributes) -> Sourced<KeyAlgorithm> {
    choose(&attributes.key_algorithm, around.source, || around.defaults()?.key_algorithm)
        .unwrap_or_else(|| Sourced::new(around.template.rules.preferred_key_algorithm(), Source::Template))
}

/// Given → the caller's; missing → the profile's; null → neither.
fn choose<T: Clone>(field: &Field<T>, source: Source, default: impl FnOnce() -> Option<T>) -> Option<Sourced<T>> {
    match field {
        Field::Value(value) => Some(Sourced::new(value.clone(), source)),
        Field::Null => None,
        Field::Missing => default().map(|value| Sourced::new(value, Source::Profile)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attribute(kind: AttributeType, value: &str) -> Attribute {
        Attribute { kind, value: value.to_owned() }
    }

    #[test]
    fn a_copied_subject_keeps_its_order_and_what_no_request_can_name() {
        use AttributeType as T;
        let copied = [
            attribute(T::CommonName, "www.acme.com"),
            attribute(T::SerialNumber, "7"),
            attribute(T::OrganizationalUnit, "B"),
            attribute(T::OrganizationalUnit, "A"),
        ];
        let check = |edits: Attributes, expected: &[(T, &str)]| {
            let subject = edited_subject(&copied, &edits, Source::Renewal).unwrap();
            let read: Vec<_> = subject.iter().map(|it| (it.value.kind, it.value.value.as_str())).collect();
            assert_eq!(read, expected);
        };
        let common = (T::CommonName, "www.acme.com");
        let serial = (T::SerialNumber, "7");
        check(Attributes::default(), &[common, serial, (T::OrganizationalUnit, "B"), (T::OrganizationalUnit, "A")]);
        check(Attributes { organizational_unit: Field::Null, ..Attributes::default() }, &[common, serial]);
        check(
            Attributes {
                organizational_unit: Field::Value("C".to_owned()),
                organization: Field::Value("Acme".to_owned()),
                ..Attributes::default()
            },
            &[common, serial, (T::OrganizationalUnit, "C"), (T::Organization, "Acme")],
        );
    }
}
