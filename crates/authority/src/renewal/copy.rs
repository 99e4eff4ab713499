//! A certificate as the attributes of its successor: the same subject, names, usages and algorithms, the same life span.

use chancery_model::certificate::Certificate;
use chancery_pkix::{BasicConstraints, CertificationRequest};

use crate::enrollment::{Attributes, Field};

/// The old certificate in the words of a request. Its subject is not among them: it is copied whole, in its order, and
/// edited in place (`Circumstances::copied_subject`).
pub(super) fn attributes_of(old: &Certificate) -> Attributes {
    let description = &old.description;
    Attributes {
        key_usages: Some(description.key_usages.clone()),
        extended_key_usages: Some(description.extended_key_usages.clone()),
        alt_names: Some(description.sans.clone()),
        key_algorithm: description.key_algorithm.map_or(Field::Missing, Field::Value),
        // The issuer may have another key type by now, so the signature follows the issuer unless the caller names one.
        signature_algorithm: Field::Missing,
        ttl: Some(format!("{}s", old.ttl)),
        basic_constraints: Some(BasicConstraints { is_ca: description.is_ca, path_length: description.path_length }),
        ..Attributes::default()
    }
}

/// The usages that were asked for, where somebody else decided what came of it.
pub(super) fn as_ordered(copy: Attributes, csr: &CertificationRequest) -> Attributes {
    Attributes {
        key_usages: csr.key_usages().map(|usages| usages.iter().collect()),
        extended_key_usages: csr.extended_key_usages().map(<[_]>::to_vec),
        ..copy
    }
}

/// Edits on top of the copy: missing keeps, null clears, a value replaces.
pub(super) fn edited(mut copy: Attributes, edits: Attributes) -> Attributes {
    edit(&mut copy.common_name, edits.common_name);
    edit(&mut copy.organization, edits.organization);
    edit(&mut copy.organizational_unit, edits.organizational_unit);
    edit(&mut copy.country, edits.country);
    edit(&mut copy.state, edits.state);
    edit(&mut copy.locality, edits.locality);
    edit(&mut copy.key_algorithm, edits.key_algorithm);
    edit(&mut copy.signature_algorithm, edits.signature_algorithm);
    replace(&mut copy.domain_components, edits.domain_components);
    replace(&mut copy.key_usages, edits.key_usages);
    replace(&mut copy.extended_key_usages, edits.extended_key_usages);
    replace(&mut copy.alt_names, edits.alt_names);
    replace(&mut copy.ttl, edits.ttl.filter(|text| !text.trim().is_empty()));
    replace(&mut copy.basic_constraints, edits.basic_constraints);
    copy
}

fn edit<T>(kept: &mut Field<T>, edit: Field<T>) {
    if !matches!(edit, Field::Missing) {
        *kept = edit;
    }
}

fn replace<T>(kept: &mut Option<T>, edit: Option<T>) {
    if edit.is_some() {
        *kept = edit;
    }
}
