//! The attributes of a request: extensionRequest (RFC 2985 §5.4.2) is read, all others are named and dropped.

use const_oid::ObjectIdentifier;

use super::CsrError;
use crate::asn1::{Reader, Tlv, canonical, oid, tag};
use crate::certificate::BasicConstraints;
use crate::certificate::extensions::{self, Form, RawExtension};
use crate::name::GeneralName;
use crate::usage::{ExtendedKeyUsage, KeyUsages};

/// What the requester asks for beside subject and key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Requested {
    pub(super) subject_alt_names: Vec<GeneralName>,
    pub(super) key_usages: Option<KeyUsages>,
    pub(super) extended_key_usages: Option<Vec<ExtendedKeyUsage>>,
    pub(super) unknown_extended_key_usages: Vec<ObjectIdentifier>,
    pub(super) basic_constraints: Option<BasicConstraints>,
    pub(super) unknown_extensions: Vec<ObjectIdentifier>,
    pub(super) ignored_attributes: Vec<ObjectIdentifier>,
}

const ATTRIBUTES_MAX: usize = 64;
const NAMES_MAX: usize = 1000;

/// `[0] IMPLICIT SET OF Attribute`, already known to be DER but for the order of the set, which the implicit tag hides
/// from the general check.
pub(super) fn read(attributes: Tlv<'_>) -> Result<Requested, CsrError> {
    let mut requested = Requested::default();
    let mut seen: Vec<&[u8]> = Vec::new();
    let mut previous: &[u8] = &[];
    let mut list = attributes.reader();
    while !list.is_empty() {
        let whole = list.expect(tag::SEQUENCE, "something other than an attribute")?;
        if whole.raw < previous {
            return Err(whole.error("a set that is not sorted").into());
        }
        previous = whole.raw;
        let mut parts = whole.reader();
        let kind = parts.expect(tag::OID, "an attribute without a type")?;
        let values = parts.expect(tag::SET, "an attribute without values")?;
        parts.finish()?;
        if seen.contains(&kind.content) {
            return Err(CsrError::new("csr.duplicate_attribute", "The CSR has an attribute twice"));
        }
        seen.push(kind.content);
        if seen.len() > ATTRIBUTES_MAX {
            return Err(CsrError::new("csr.too_large", "The CSR has more than 64 attributes"));
        }
        if kind.content == oid::EXTENSION_REQUEST {
            read_extension_request(&mut requested, values.reader())?;
        } else {
            requested.ignored_attributes.push(oid::to_identifier(kind.content, kind.offset)?);
        }
    }
    Ok(requested)
}

fn read_extension_request(requested: &mut Requested, mut values: Reader<'_>) -> Result<(), CsrError> {
    let list = values.sequence("something other than extensions")?;
    values.finish()?;
    let all = extensions::read_all(list)?;
    for (position, one) in all.iter().enumerate() {
        if all.iter().take(position).any(|earlier| earlier.oid == one.oid) {
            return Err(CsrError::new("csr.duplicate_extension", "The CSR has an extension twice"));
        }
        if one.has_explicit_default {
            return Err(one.error("a default value that is written out").into());
        }
        read_extension(requested, one)?;
    }
    Ok(())
}

fn read_extension(requested: &mut Requested, one: &RawExtension<'_>) -> Result<(), CsrError> {
    let is_known =
        matches!(one.oid, oid::SUBJECT_ALT_NAME | oid::KEY_USAGE | oid::EXTENDED_KEY_USAGE | oid::BASIC_CONSTRAINTS);
    if !is_known {
        requested.unknown_extensions.push(oid::to_identifier(one.oid, one.offset)?);
        return Ok(());
    }
    canonical::check_at(one.value, one.value_offset)?;
    match one.oid {
        oid::SUBJECT_ALT_NAME => requested.subject_alt_names = read_names(one)?,
        oid::KEY_USAGE => requested.key_usages = Some(extensions::key_usages(one, Form::Strict)?),
        oid::BASIC_CONSTRAINTS => {
            requested.basic_constraints = Some(extensions::basic_constraints(one, Form::Strict)?);
        }
        _ => {
            let (known, unknown) = extensions::extended_key_usages(one)?;
            requested.extended_key_usages = Some(known);
            requested.unknown_extended_key_usages = unknown;
        }
    }
    Ok(())
}

fn read_names(one: &RawExtension<'_>) -> Result<Vec<GeneralName>, CsrError> {
    let values = extensions::general_names(one)?;
    if values.is_empty() {
        return Err(one.error("an empty list of names").into());
    }
    if values.len() > NAMES_MAX {
        return Err(CsrError::new("csr.too_large", "The CSR has more than 1000 subject alternative names"));
    }
    values.into_iter().map(|value| GeneralName::from_tlv(value).map_err(CsrError::from)).collect()
}
