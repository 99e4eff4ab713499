//! Certificate extensions (RFC 5280 §4.2.1, §4.2.2, RFC 9608): written in one fixed order with fixed criticality, and
//! read with two degrees of strictness.

use const_oid::ObjectIdentifier;
use serde::{Deserialize, Serialize};

use crate::asn1::{DerError, Reader, Tlv, Writer, oid, tag, unsigned_integer};
use crate::name::GeneralName;
use crate::name_constraints::NameConstraints;
use crate::usage::{ExtendedKeyUsage, KeyUsages};

/// RFC 5280 §4.2.1.9.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct BasicConstraints {
    pub is_ca: bool,
    /// How many CA certificates may follow below. A larger number than fits is read as 255.
    pub path_length: Option<u8>,
}

/// What a certificate says beside names, validity and key. An empty list, set or key id means that the extension is
/// absent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Extensions {
    /// Written, with CA:FALSE as an empty sequence, whenever it is `Some`.
    pub basic_constraints: Option<BasicConstraints>,
    pub key_usages: KeyUsages,
    pub extended_key_usages: Vec<ExtendedKeyUsage>,
    /// Critical exactly when the subject is empty.
    pub subject_alt_names: Vec<GeneralName>,
    pub subject_key_id: Vec<u8>,
    /// The key identifier only: never issuer and serial number.
    pub authority_key_id: Option<Vec<u8>>,
    pub name_constraints: Option<NameConstraints>,
    /// URIs of the issuer's certificate.
    pub ca_issuers: Vec<String>,
    /// URIs of OCSP responders.
    pub ocsp: Vec<String>,
    /// URIs of one distribution point.
    pub crl_distribution_points: Vec<String>,
    /// URIs of one distribution point for delta CRLs (RFC 5280 §4.2.1.15).
    pub freshest_crl: Vec<String>,
    /// RFC 9608: no revocation information will ever exist.
    pub no_rev_avail: bool,
    /// RFC 6960 §4.2.2.2.1: nobody asks whether this OCSP responder's own certificate is revoked.
    pub ocsp_no_check: bool,
    /// RFC 8737 §3: SHA-256 of a key authorization, in a certificate that only answers an ACME challenge. Critical.
    pub acme_identifier: Option<[u8; 32]>,
}

pub(crate) const URI: u8 = 0x86;

impl Extensions {
    /// The Extensions SEQUENCE.
    pub(crate) fn write(&self, w: &mut Writer, subject_is_empty: bool) {
        w.nested(tag::SEQUENCE, |w| {
            if let Some(id) = &self.authority_key_id {
                extension(w, oid::AUTHORITY_KEY_IDENTIFIER, false, |w| {
                    w.nested(tag::SEQUENCE, |w| w.primitive(0x80, id));
                });
            }
            if !self.subject_key_id.is_empty() {
                extension(w, oid::SUBJECT_KEY_IDENTIFIER, false, |w| {
                    w.primitive(tag::OCTET_STRING, &self.subject_key_id);
                });
            }
            write_key_usages(w, self.key_usages);
            if let Some(constraints) = self.basic_constraints {
                write_basic_constraints(w, constraints);
            }
            if let Some(constraints) = self.name_constraints.as_ref().filter(|one| !one.is_empty()) {
                extension(w, oid::NAME_CONSTRAINTS, true, |w| w.raw(&constraints.to_der()));
            }
            write_subject_alt_names(w, &self.subject_alt_names, subject_is_empty);
            write_extended_key_usages(w, &self.extended_key_usages);
            self.write_pointers(w);
        });
    }

    /// Where to look further: CRL, OCSP, issuer.
    fn write_pointers(&self, w: &mut Writer) {
        write_distribution_point(w, oid::CRL_DISTRIBUTION_POINTS, &self.crl_distribution_points);
        write_distribution_point(w, oid::FRESHEST_CRL, &self.freshest_crl);
        if !self.ocsp.is_empty() || !self.ca_issuers.is_empty() {
            extension(w, oid::AUTHORITY_INFO_ACCESS, false, |w| {
                w.nested(tag::SEQUENCE, |w| {
                    for (method, uris) in [(oid::ACCESS_OCSP, &self.ocsp), (oid::ACCESS_CA_ISSUERS, &self.ca_issuers)] {
                        for uri in uris {
                            w.nested(tag::SEQUENCE, |w| {
                                w.oid_bytes(method);
                                w.primitive(URI, uri.as_bytes());
                            });
                        }
                    }
                });
            });
        }
        if self.no_rev_avail {
            extension(w, oid::NO_REV_AVAIL, false, |w| w.primitive(tag::NULL, &[]));
        }
        if self.ocsp_no_check {
            extension(w, oid::OCSP_NO_CHECK, false, |w| w.primitive(tag::NULL, &[]));
        }
        if let Some(digest) = &self.acme_identifier {
            extension(w, oid::ACME_IDENTIFIER, true, |w| w.primitive(tag::OCTET_STRING, digest));
        }
    }
}

/// One distribution point: all its URIs lead to the same CRL. Absent where there is none.
pub(crate) fn write_distribution_point(w: &mut Writer, oid: &[u8], uris: &[String]) {
    if uris.is_empty() {
        return;
    }
    extension(w, oid, false, |w| {
        w.nested(tag::SEQUENCE, |w| w.nested(tag::SEQUENCE, |w| write_full_name(w, uris)));
    });
}

/// A DistributionPointName with its explicit tag (RFC 5280 §4.2.1.13).
pub(crate) fn write_full_name(w: &mut Writer, uris: &[String]) {
    w.nested(0xa0, |w| w.nested(0xa0, |w| uris.iter().for_each(|uri| w.primitive(URI, uri.as_bytes()))));
}

pub(crate) fn extension(w: &mut Writer, oid: &[u8], critical: bool, value: impl FnOnce(&mut Writer)) {
    w.nested(tag::SEQUENCE, |w| {
        w.oid_bytes(oid);
        if critical {
            w.primitive(tag::BOOLEAN, &[0xff]);
        }
        w.nested(tag::OCTET_STRING, value);
    });
}

pub(crate) fn write_key_usages(w: &mut Writer, usages: KeyUsages) {
    if !usages.is_empty() {
        extension(w, oid::KEY_USAGE, true, |w| w.primitive(tag::BIT_STRING, &usages.to_bit_string()));
    }
}

pub(crate) fn write_basic_constraints(w: &mut Writer, constraints: BasicConstraints) {
    extension(w, oid::BASIC_CONSTRAINTS, true, |w| {
        w.nested(tag::SEQUENCE, |w| {
            if constraints.is_ca {
                w.primitive(tag::BOOLEAN, &[0xff]);
            }
            if let Some(length) = constraints.path_length {
                w.unsigned(&[length]);
            }
        });
    });
}

pub(crate) fn write_subject_alt_names(w: &mut Writer, names: &[GeneralName], critical: bool) {
    if !names.is_empty() {
        extension(w, oid::SUBJECT_ALT_NAME, critical, |w| {
            w.nested(tag::SEQUENCE, |w| names.iter().for_each(|name| name.write(w)));
        });
    }
}

pub(crate) fn write_extended_key_usages(w: &mut Writer, usages: &[ExtendedKeyUsage]) {
    if !usages.is_empty() {
        extension(w, oid::EXTENDED_KEY_USAGE, false, |w| {
            w.nested(tag::SEQUENCE, |w| usages.iter().for_each(|one| w.oid_bytes(one.oid().as_bytes())));
        });
    }
}

/// One extension as it stands in a request or certificate.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RawExtension<'a> {
    /// Content octets.
    pub(crate) oid: &'a [u8],
    pub(crate) critical: bool,
    /// `critical` was written though it is the default.
    pub(crate) has_explicit_default: bool,
    /// Contents of the OCTET STRING.
    pub(crate) value: &'a [u8],
    /// Where `value` begins in the outermost input.
    pub(crate) value_offset: usize,
    pub(crate) offset: usize,
}

impl<'a> RawExtension<'a> {
    pub(crate) fn reader(&self) -> Reader<'a> {
        Reader::at(self.value, self.value_offset)
    }

    pub(crate) fn error(&self, what: &'static str) -> DerError {
        DerError { offset: self.offset, what }
    }
}

pub(crate) const EXTENSIONS_MAX: usize = 64;

/// The contents of an Extensions SEQUENCE.
pub(crate) fn read_all<'a>(mut list: Reader<'a>) -> Result<Vec<RawExtension<'a>>, DerError> {
    let mut all = Vec::with_capacity(10);
    while !list.is_empty() {
        if all.len() == EXTENSIONS_MAX {
            return Err(list.error("more than 64 extensions"));
        }
        let whole = list.expect(tag::SEQUENCE, "something other than an extension")?;
        let mut parts = whole.reader();
        let oid = parts.expect(tag::OID, "an extension without an identifier")?;
        let flag = parts.optional(tag::BOOLEAN)?;
        let value = parts.expect(tag::OCTET_STRING, "an extension without a value")?;
        parts.finish()?;
        all.push(RawExtension {
            oid: oid.content,
            critical: flag.is_some_and(|flag| flag.content != [0]),
            has_explicit_default: flag.is_some_and(|flag| flag.content == [0]),
            value: value.content,
            value_offset: value.content_offset(),
            offset: whole.offset,
        });
    }
    Ok(all)
}

/// How closely DER's rule about default values and unused bits is held to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Strict,
    Foreign,
}

pub(crate) fn basic_constraints(extension: &RawExtension<'_>, form: Form) -> Result<BasicConstraints, DerError> {
    let mut outer = extension.reader();
    let mut parts = outer.sequence("something other than basic constraints")?;
    outer.finish()?;
    let flag = parts.optional(tag::BOOLEAN)?;
    let is_ca = flag.is_some_and(|flag| flag.content != [0]);
    if let Some(flag) = flag.filter(|_| form == Form::Strict && !is_ca) {
        return Err(flag.error("a default value that is written out"));
    }
    let path_length = match parts.optional(tag::INTEGER)? {
        None => None,
        Some(value) => Some(match unsigned_integer(value)? {
            [] => 0,
            [one] => *one,
            _ => u8::MAX,
        }),
    };
    parts.finish()?;
    Ok(BasicConstraints { is_ca, path_length })
}

pub(crate) fn key_usages(extension: &RawExtension<'_>, form: Form) -> Result<KeyUsages, DerError> {
    let mut outer = extension.reader();
    let bits = outer.expect(tag::BIT_STRING, "something other than key usage bits")?;
    outer.finish()?;
    match (form, bits.content) {
        (Form::Strict, content) => KeyUsages::from_bit_string(content)
            .filter(|usages| usages.to_bit_string() == content)
            .ok_or_else(|| bits.error("key usage bits that are undefined or not trimmed")),
        // Bits that have no meaning are as good as not there.
        (Form::Foreign, [_, first]) => Ok(KeyUsages::from_bit_string(&[0, *first]).unwrap_or_default()),
        (Form::Foreign, [_, first, second, ..]) => {
            Ok(KeyUsages::from_bit_string(&[0, *first, second & 0x80]).unwrap_or_default())
        }
        (Form::Foreign, [0]) => Ok(KeyUsages::new()),
        (Form::Foreign, _) => Err(bits.error("something other than key usage bits")),
    }
}

pub(crate) fn extended_key_usages(
    extension: &RawExtension<'_>,
) -> Result<(Vec<ExtendedKeyUsage>, Vec<ObjectIdentifier>), DerError> {
    let mut outer = extension.reader();
    let mut list = outer.sequence("something other than extended key usages")?;
    outer.finish()?;
    let (mut known, mut unknown) = (Vec::new(), Vec::new());
    while !list.is_empty() {
        let one = list.expect(tag::OID, "something other than an extended key usage")?;
        match ExtendedKeyUsage::from_oid_bytes(one.content) {
            Some(usage) => known.push(usage),
            None => unknown.push(oid::to_identifier(one.content, one.offset)?),
        }
        if known.len() + unknown.len() > EXTENSIONS_MAX {
            return Err(one.error("more than 64 extended key usages"));
        }
    }
    Ok((known, unknown))
}

pub(crate) fn general_names<'a>(extension: &RawExtension<'a>) -> Result<Vec<Tlv<'a>>, DerError> {
    let mut outer = extension.reader();
    let mut list = outer.sequence("something other than a list of names")?;
    outer.finish()?;
    let mut names = Vec::new();
    while !list.is_empty() {
        names.push(list.any()?);
    }
    Ok(names)
}

pub(crate) fn subject_key_id<'a>(extension: &RawExtension<'a>) -> Result<&'a [u8], DerError> {
    let mut outer = extension.reader();
    let id = outer.expect(tag::OCTET_STRING, "something other than a key identifier")?;
    outer.finish()?;
    Ok(id.content)
}

/// The key identifier, and whether there is anything else (RFC 5280 §4.2.1.1 allows issuer and serial number).
pub(crate) fn authority_key_id<'a>(extension: &RawExtension<'a>) -> Result<(Option<&'a [u8]>, bool), DerError> {
    let mut outer = extension.reader();
    let mut parts = outer.sequence("something other than an authority key identifier")?;
    outer.finish()?;
    let id = parts.optional(0x80)?.map(|value| value.content);
    Ok((id, !parts.is_empty()))
}

/// `(OID of the access method, location)` of each AccessDescription (RFC 5280 §4.2.2.1).
pub(crate) fn access_descriptions<'a>(extension: &RawExtension<'a>) -> Result<Vec<(&'a [u8], Tlv<'a>)>, DerError> {
    let mut outer = extension.reader();
    let mut list = outer.sequence("something other than access descriptions")?;
    outer.finish()?;
    let mut all = Vec::new();
    while !list.is_empty() {
        let mut parts = list.sequence("something other than an access description")?;
        let method = parts.expect(tag::OID, "an access description without a method")?;
        let location = parts.any()?;
        parts.finish()?;
        all.push((method.content, location));
    }
    Ok(all)
}

/// A DistributionPoint (RFC 5280 §4.2.1.13): the names of its full name, and whether it has reasons or a CRL issuer.
pub(crate) struct DistributionPoint<'a> {
    pub(crate) names: Vec<Tlv<'a>>,
    pub(crate) is_plain: bool,
}

pub(crate) fn distribution_points<'a>(extension: &RawExtension<'a>) -> Result<Vec<DistributionPoint<'a>>, DerError> {
    let mut outer = extension.reader();
    let mut list = outer.sequence("something other than distribution points")?;
    outer.finish()?;
    let mut all = Vec::new();
    while !list.is_empty() {
        let mut parts = list.sequence("something other than a distribution point")?;
        let mut point = DistributionPoint { names: Vec::new(), is_plain: false };
        if let Some(name) = parts.optional(0xa0)? {
            let mut choice = name.reader();
            if let Some(full_name) = choice.optional(0xa0)? {
                let mut names = full_name.reader();
                while !names.is_empty() {
                    point.names.push(names.any()?);
                }
                point.is_plain = parts.is_empty();
            }
        }
        all.push(point);
    }
    Ok(all)
}

/// The URIs of all distribution points; names of other kinds are passed over.
pub(crate) fn distribution_point_uris(extension: &RawExtension<'_>) -> Result<Vec<String>, DerError> {
    let points = distribution_points(extension)?;
    Ok(points.iter().flat_map(|one| one.names.iter().filter_map(uri)).collect())
}

pub(crate) fn uri(location: &Tlv<'_>) -> Option<String> {
    let text = std::str::from_utf8(location.content).ok()?;
    (location.tag == URI).then(|| text.to_owned())
}
