//! Certificates made elsewhere, as an inventory sees them: whatever has the shape of a certificate is described, with
//! words for what has no type here. Nothing is judged and nothing can be done with it but to look: to check a signature
//! or to issue, read a [`crate::Certificate`].

mod describe;
mod key;
mod known;
mod signature;

pub use describe::{ExtensionDescription, describe_extensions};

use std::ops::Range;

use crate::algorithm::{KeyAlgorithm, SignatureAlgorithm};
use crate::asn1::{DerError, Reader, Tlv, oid, tag, time};
use crate::certificate::extensions::{self, Form, RawExtension};
use crate::certificate::{BasicConstraints, CertificateError, Validity};
use crate::name::{Attribute, AttributeType, GeneralName, GeneralNameKind, foreign_text};
use crate::usage::{ExtendedKeyUsage, KeyUsage};

/// What a certificate (RFC 5280 §4.1, also of versions 1 and 2) says. Refused is only what cannot be taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForeignCertificate {
    der: Box<[u8]>,
    issuer_at: Range<usize>,
    subject_at: Range<usize>,
    spki_at: Range<usize>,
    /// Attributes of known types, in encoded order.
    pub subject: Vec<Attribute>,
    /// The whole subject (RFC 4514), unknown types as dotted identifiers, unreadable values as `#hexadecimal`.
    pub subject_text: String,
    /// The same of the issuer.
    pub issuer_text: String,
    /// Content octets of the serial number in lower case hexadecimal. May be negative or longer than 20 octets.
    pub serial_hex: String,
    /// An end before the beginning is possible.
    pub validity: Validity,
    /// Names of known kinds, unjudged.
    pub subject_alt_names: Vec<(GeneralNameKind, String)>,
    /// How many alternative names have a kind or form without a type here.
    pub unknown_names: usize,
    pub key_usages: Vec<KeyUsage>,
    pub extended_key_usages: Vec<ExtendedKeyUsage>,
    pub unknown_extended_key_usages: Vec<String>,
    /// `None`: a key of a kind or size that is never used here.
    pub key_algorithm: Option<KeyAlgorithm>,
    /// The key as people name it: `RSA 1024`, `EC P-256`, `EC 1.3.132.0.10`, `DSA`.
    pub key_text: String,
    /// `None`: signed in a way that is never done here, or named differently in its two places.
    pub signature_algorithm: Option<SignatureAlgorithm>,
    /// A known name such as `SHA1-RSA`, else the object identifier.
    pub signature_text: String,
    pub is_ca: bool,
    pub path_length: Option<u8>,
    /// Object identifiers of extensions that are unknown, malformed, or there twice.
    pub unknown_extensions: Vec<String>,
}

const DER_MAX: usize = 256 * 1024;
const SERIAL_OCTETS_MAX: usize = 64;

impl ForeignCertificate {
    /// Definite lengths and the order of the fields are asked for; at most 256 KiB and 64 extensions.
    pub fn from_der(der: &[u8]) -> Result<Self, CertificateError> {
        if der.len() > DER_MAX {
            return Err(CertificateError::new("certificate.too_large", "The certificate is larger than 256 KiB"));
        }
        let mut outer = Reader::new(der);
        let mut whole = outer.sequence("something other than a certificate")?;
        outer.finish()?;
        let mut body = whole.sequence("something other than a TBSCertificate")?;
        let outer_algorithm = whole.expect(tag::SEQUENCE, "something other than a signature algorithm")?;
        whole.expect(tag::BIT_STRING, "something other than a signature")?;
        whole.finish()?;

        body.optional(0xa0)?;
        let serial = body.expect(tag::INTEGER, "something other than a serial number")?;
        let inner_algorithm = body.expect(tag::SEQUENCE, "something other than a signature algorithm")?;
        let issuer = body.expect(tag::SEQUENCE, "something other than an issuer")?;
        let mut validity = body.sequence("something other than a validity")?;
        let subject = body.expect(tag::SEQUENCE, "something other than a subject")?;
        let spki = body.expect(tag::SEQUENCE, "something other than a public key")?;
        body.optional(0x81)?;
        body.optional(0x82)?;
        let extensions = body.optional(0xa3)?;
        body.finish()?;
        if serial.content.len() > SERIAL_OCTETS_MAX {
            return Err(CertificateError::new("certificate.serial", "The serial number is longer than 64 octets"));
        }
        let (subject_text, subject_attributes) = name(subject)?;
        let (issuer_text, _) = name(issuer)?;
        let (key_algorithm, key_text) = key::described(spki)?;
        let (signature_algorithm, signature_text) = signature::described(inner_algorithm, outer_algorithm)?;
        let mut certificate = Self {
            der: der.into(),
            issuer_at: range(&issuer),
            subject_at: range(&subject),
            spki_at: range(&spki),
            subject: subject_attributes,
            subject_text,
            issuer_text,
            serial_hex: hex::encode(serial.content),
            validity: Validity {
                not_before: lenient_time(validity.any()?)?,
                not_after: lenient_time(validity.any()?)?,
            },
            subject_alt_names: Vec::new(),
            unknown_names: 0,
            key_usages: Vec::new(),
            extended_key_usages: Vec::new(),
            unknown_extended_key_usages: Vec::new(),
            key_algorithm,
            key_text,
            signature_algorithm,
            signature_text,
            is_ca: false,
            path_length: None,
            unknown_extensions: Vec::new(),
        };
        if let Some(explicit) = extensions {
            let list = explicit.reader().sequence("something other than extensions")?;
            certificate.read_extensions(list)?;
        }
        Ok(certificate)
    }

    fn read_extensions(&mut self, list: Reader<'_>) -> Result<(), DerError> {
        let all = extensions::read_all(list)?;
        for (position, one) in all.iter().enumerate() {
            let is_repeated = all.iter().take(position).any(|earlier| earlier.oid == one.oid);
            if is_repeated || !self.read_extension(one).unwrap_or(false) {
                self.unknown_extensions.push(dotted(one.oid));
            }
        }
        Ok(())
    }

    /// Whether there is a meaning for it.
    fn read_extension(&mut self, one: &RawExtension<'_>) -> Result<bool, DerError> {
        match one.oid {
            oid::BASIC_CONSTRAINTS => {
                let BasicConstraints { is_ca, path_length } = extensions::basic_constraints(one, Form::Foreign)?;
                (self.is_ca, self.path_length) = (is_ca, path_length);
            }
            oid::KEY_USAGE => self.key_usages = extensions::key_usages(one, Form::Foreign)?.iter().collect(),
            oid::EXTENDED_KEY_USAGE => {
                let (known, unknown) = extensions::extended_key_usages(one)?;
                self.extended_key_usages = known;
                self.unknown_extended_key_usages = unknown.iter().map(ToString::to_string).collect();
            }
            oid::SUBJECT_ALT_NAME => {
                let names = extensions::general_names(one)?;
                let known = names.iter().filter_map(|name| GeneralName::from_foreign_tlv(*name));
                self.subject_alt_names = known.map(|name| (name.kind(), name.value())).collect();
                self.unknown_names = names.len() - self.subject_alt_names.len();
            }
            oid::SUBJECT_KEY_IDENTIFIER
            | oid::AUTHORITY_KEY_IDENTIFIER
            | oid::NAME_CONSTRAINTS
            | oid::AUTHORITY_INFO_ACCESS
            | oid::CRL_DISTRIBUTION_POINTS
            | oid::FRESHEST_CRL
            | oid::NO_REV_AVAIL
            | oid::OCSP_NO_CHECK => {}
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn part(&self, part: &Range<usize>) -> &[u8] {
        self.der.get(part.clone()).unwrap_or_default()
    }

    pub fn der(&self) -> &[u8] {
        &self.der
    }

    pub fn issuer_der(&self) -> &[u8] {
        self.part(&self.issuer_at)
    }

    pub fn subject_der(&self) -> &[u8] {
        self.part(&self.subject_at)
    }

    pub fn spki_der(&self) -> &[u8] {
        self.part(&self.spki_at)
    }

    /// Whether issuer and subject are the same name.
    pub fn is_self_issued(&self) -> bool {
        self.issuer_der() == self.subject_der()
    }
}

fn range(value: &Tlv<'_>) -> Range<usize> {
    value.offset..value.offset + value.raw.len()
}

/// An object identifier, or its octets where it is none.
fn dotted(content: &[u8]) -> String {
    oid::to_identifier(content, 0).map_or_else(|_| format!("#{}", hex::encode(content)), |oid| oid.to_string())
}

/// RFC 4514 text, most specific first, and the attributes of known types in encoded order.
fn name(whole: Tlv<'_>) -> Result<(String, Vec<Attribute>), DerError> {
    const ATTRIBUTES_MAX: usize = 256;
    let (mut rdns, mut texts, mut known) = (whole.reader(), Vec::new(), Vec::new());
    let mut count = 0;
    while !rdns.is_empty() {
        let mut values = rdns.expect(tag::SET, "something other than an RDN")?.reader();
        let mut rdn = Vec::new();
        while !values.is_empty() {
            let mut pair = values.sequence("something other than an attribute of a name")?;
            let kind = pair.expect(tag::OID, "something other than an attribute type")?;
            let value = pair.any()?;
            pair.finish()?;
            count += 1;
            if count > ATTRIBUTES_MAX {
                return Err(whole.error("a name of more than 256 attributes"));
            }
            let known_type = AttributeType::from_oid_bytes(kind.content);
            let text = crate::asn1::strings::any_text(&value).ok();
            let shown_type = known_type.map_or_else(|| dotted(kind.content), |it| it.short().to_owned());
            rdn.push(match &text {
                Some(text) => format!("{shown_type}={}", foreign_text(text)),
                None => format!("{shown_type}=#{}", hex::encode(value.raw)),
            });
            known.extend(known_type.zip(text).map(|(kind, text)| Attribute::new(kind, text)));
        }
        texts.push(rdn.join("+"));
    }
    texts.reverse();
    Ok((texts.join(","), known))
}

/// Also the forms that RFC 5280 §4.1.2.5 forbids and old software wrote: without seconds, with fractions of them, with
/// an offset from Greenwich.
fn lenient_time(value: Tlv<'_>) -> Result<i64, DerError> {
    if let Ok(seconds) = time::read(value) {
        return Ok(seconds);
    }
    let malformed = || value.error("a time that cannot be read");
    let text = std::str::from_utf8(value.content).ok().filter(|text| text.is_ascii()).ok_or_else(malformed)?;
    let (clock, offset) = match text.find(['Z', '+', '-']) {
        Some(at) => text.split_at(at),
        None => (text, "Z"),
    };
    let mut digits = clock.split_once(['.', ',']).map_or(clock, |(whole, _)| whole).to_owned();
    let minutes_long = if value.tag == tag::UTC_TIME { 10 } else { 12 };
    if digits.len() == minutes_long {
        digits.push_str("00");
    }
    digits.push('Z');
    let plain = Tlv { content: digits.as_bytes(), ..value };
    let seconds = time::read(plain).map_err(|_| malformed())?;
    Ok(seconds - seconds_east(offset).ok_or_else(malformed)?)
}

/// `Z`, or hours and minutes east (`+0130`) or west of Greenwich.
fn seconds_east(offset: &str) -> Option<i64> {
    if offset == "Z" {
        return Some(0);
    }
    let (sign, digits) = offset.split_at_checked(1)?;
    if digits.len() != 4 || !digits.bytes().all(|octet| octet.is_ascii_digit()) {
        return None;
    }
    let number: i64 = digits.parse().ok()?;
    let seconds = number / 100 * 3600 + number % 100 * 60;
    Some(if sign == "-" { -seconds } else { seconds })
}

#[cfg(test)]
mod tests;
