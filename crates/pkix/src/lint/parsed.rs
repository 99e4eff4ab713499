//! The to-be-signed bytes taken apart once, for all rules. Only what cannot be a TBSCertificate at all is an error
//! here; extensions that do not decode are noted and treated as absent.

use crate::algorithm::KeyAlgorithm;
use crate::asn1::{DerError, Reader, Tlv, canonical, oid, tag, time};
use crate::certificate::BasicConstraints;
use crate::certificate::extensions::{self, DistributionPoint, Form, RawExtension};
use crate::name::NameError;
use crate::name::attribute::AttributeType;
use crate::name_constraints::NameConstraints;
use crate::public_key::{KeyError, Spki};
use crate::usage::KeyUsages;

pub(super) struct Parsed<'a> {
    pub(super) version: Option<&'a [u8]>,
    pub(super) serial: &'a [u8],
    pub(super) signature: &'a [u8],
    pub(super) issuer: &'a [u8],
    pub(super) not_before: Instant,
    pub(super) not_after: Instant,
    pub(super) subject: &'a [u8],
    pub(super) attributes: Result<Vec<SubjectAttribute<'a>>, DerError>,
    pub(super) key: Result<KeyAlgorithm, KeyError>,
    pub(super) has_unique_ids: bool,
    pub(super) extensions: Vec<RawExtension<'a>>,
    pub(super) known: Known<'a>,
    pub(super) malformed: Vec<String>,
}

pub(super) struct Instant {
    pub(super) tag: u8,
    pub(super) seconds: i64,
}

pub(super) struct SubjectAttribute<'a> {
    pub(super) kind: Option<AttributeType>,
    pub(super) value: Tlv<'a>,
    pub(super) is_first_of_rdn: bool,
}

/// Decoded extensions; `None` where absent or malformed.
#[derive(Default)]
pub(super) struct Known<'a> {
    pub(super) basic_constraints: Option<BasicConstraints>,
    /// The usages, and the octets of the bit string.
    pub(super) key_usages: Option<(KeyUsages, &'a [u8])>,
    /// Object identifiers in order.
    pub(super) extended_key_usages: Option<Vec<&'a [u8]>>,
    pub(super) subject_alt_names: Option<Vec<Tlv<'a>>>,
    pub(super) subject_key_id: Option<&'a [u8]>,
    /// The key identifier, and whether there is anything else.
    pub(super) authority_key_id: Option<(Option<&'a [u8]>, bool)>,
    pub(super) name_constraints: Option<NameConstraints>,
    pub(super) distribution_points: Option<Vec<DistributionPoint<'a>>>,
    pub(super) freshest_crl: Option<Vec<DistributionPoint<'a>>>,
    pub(super) access: Option<Vec<(&'a [u8], Tlv<'a>)>>,
}

impl<'a> Parsed<'a> {
    pub(super) fn read(der: &'a [u8]) -> Result<Self, DerError> {
        canonical::check(der)?;
        let mut outer = Reader::new(der);
        let mut body = outer.sequence("something other than a TBSCertificate")?;
        let version = match body.optional(0xa0)? {
            Some(explicit) => Some(explicit.reader().expect(tag::INTEGER, "something other than a version")?.content),
            None => None,
        };
        let serial = body.expect(tag::INTEGER, "something other than a serial number")?.content;
        let signature = body.expect(tag::SEQUENCE, "something other than a signature algorithm")?.raw;
        let issuer = body.expect(tag::SEQUENCE, "something other than an issuer")?.raw;
        let mut validity = body.sequence("something other than a validity")?;
        let (not_before, not_after) = (instant(validity.any()?)?, instant(validity.any()?)?);
        validity.finish()?;
        let subject = body.expect(tag::SEQUENCE, "something other than a subject")?;
        let spki = body.expect(tag::SEQUENCE, "something other than a public key")?;
        let unique_ids = [body.optional(0x81)?, body.optional(0x82)?];
        let mut parsed = Self {
            version,
            serial,
            signature,
            issuer,
            not_before,
            not_after,
            subject: subject.raw,
            attributes: subject_attributes(subject),
            key: Spki::read(spki.raw).map_err(KeyError::from).and_then(|spki| spki.algorithm()),
            has_unique_ids: unique_ids.iter().any(Option::is_some),
            extensions: Vec::new(),
            known: Known::default(),
            malformed: Vec::new(),
        };
        if let Some(explicit) = body.optional(0xa3)? {
            let mut explicit = explicit.reader();
            parsed.extensions = extensions::read_all(explicit.sequence("something other than extensions")?)?;
            explicit.finish()?;
        }
        body.finish()?;
        parsed.read_known();
        Ok(parsed)
    }

    fn read_known(&mut self) {
        let Self { extensions, known, malformed, .. } = self;
        for one in extensions.iter() {
            let decoded = canonical::check_at(one.value, one.value_offset)
                .map_err(NameError::from)
                .and_then(|()| known.read(one));
            if let Err(error) = decoded {
                malformed.push(error.message);
            }
        }
    }

    pub(super) fn is_ca(&self) -> bool {
        self.known.basic_constraints.is_some_and(|constraints| constraints.is_ca)
    }

    pub(super) fn has_usage(&self, usage: crate::usage::KeyUsage) -> bool {
        self.known.key_usages.is_some_and(|(usages, _)| usages.contains(usage))
    }

    pub(super) fn has_purpose(&self, purpose: crate::usage::ExtendedKeyUsage) -> bool {
        let oid = purpose.oid();
        self.known.extended_key_usages.as_ref().is_some_and(|all| all.contains(&oid.as_bytes()))
    }

    pub(super) fn has_empty_subject(&self) -> bool {
        self.subject.len() == 2
    }

    pub(super) fn extension(&self, oid: &[u8]) -> Option<&RawExtension<'a>> {
        self.extensions.iter().find(|one| one.oid == oid)
    }

    /// `None`: absent.
    pub(super) fn criticality(&self, oid: &[u8]) -> Option<bool> {
        self.extension(oid).map(|one| one.critical)
    }

    /// Attributes of the subject of known types.
    pub(super) fn known_attributes(&self) -> impl Iterator<Item = (AttributeType, &Tlv<'a>)> {
        self.attributes.iter().flatten().filter_map(|one| one.kind.map(|kind| (kind, &one.value)))
    }
}

impl<'a> Known<'a> {
    fn read(&mut self, one: &RawExtension<'a>) -> Result<(), NameError> {
        match one.oid {
            oid::BASIC_CONSTRAINTS => self.basic_constraints = Some(extensions::basic_constraints(one, Form::Strict)?),
            oid::KEY_USAGE => {
                let usages = extensions::key_usages(one, Form::Foreign)?;
                self.key_usages = Some((usages, one.reader().any()?.content));
            }
            oid::EXTENDED_KEY_USAGE => self.extended_key_usages = Some(purposes(one)?),
            oid::SUBJECT_ALT_NAME => self.subject_alt_names = Some(extensions::general_names(one)?),
            oid::SUBJECT_KEY_IDENTIFIER => self.subject_key_id = Some(extensions::subject_key_id(one)?),
            oid::AUTHORITY_KEY_IDENTIFIER => self.authority_key_id = Some(extensions::authority_key_id(one)?),
            oid::NAME_CONSTRAINTS => self.name_constraints = Some(NameConstraints::from_der(one.value)?),
            oid::CRL_DISTRIBUTION_POINTS => self.distribution_points = Some(extensions::distribution_points(one)?),
            oid::FRESHEST_CRL => self.freshest_crl = Some(extensions::distribution_points(one)?),
            oid::AUTHORITY_INFO_ACCESS => self.access = Some(extensions::access_descriptions(one)?),
            _ => {}
        }
        Ok(())
    }
}

fn purposes<'a>(one: &RawExtension<'a>) -> Result<Vec<&'a [u8]>, DerError> {
    let mut outer = one.reader();
    let mut list = outer.sequence("something other than extended key usages")?;
    outer.finish()?;
    let mut all = Vec::new();
    while !list.is_empty() {
        all.push(list.expect(tag::OID, "something other than an extended key usage")?.content);
    }
    Ok(all)
}

fn instant(value: Tlv<'_>) -> Result<Instant, DerError> {
    Ok(Instant { tag: value.tag, seconds: time::read(value)? })
}

fn subject_attributes(name: Tlv<'_>) -> Result<Vec<SubjectAttribute<'_>>, DerError> {
    let mut rdns = name.reader();
    let mut all = Vec::new();
    while !rdns.is_empty() {
        let mut values = rdns.expect(tag::SET, "something other than an RDN")?.reader();
        let mut is_first_of_rdn = true;
        while is_first_of_rdn || !values.is_empty() {
            let mut pair = values.sequence("something other than an attribute of a name")?;
            let oid = pair.expect(tag::OID, "something other than an attribute type")?;
            let value = pair.any()?;
            pair.finish()?;
            all.push(SubjectAttribute { kind: AttributeType::from_oid_bytes(oid.content), value, is_first_of_rdn });
            is_first_of_rdn = false;
        }
    }
    Ok(all)
}
