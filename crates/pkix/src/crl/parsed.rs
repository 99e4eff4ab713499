//! A CRL taken apart where it stands, for the reader and for the lint. Nothing is copied and an entry costs a few
//! comparisons: lists of a million are walked in well under a second.

use crate::asn1::{DerError, Reader, Tlv, oid, tag, time};
use crate::certificate::extensions::{self, RawExtension};

/// The parts of a TBSCertList (RFC 5280 §5.1.2).
pub(crate) struct ParsedTbs<'a> {
    /// `None`: version 1.
    pub(crate) version: Option<&'a [u8]>,
    pub(crate) signature: &'a [u8],
    pub(crate) issuer: Tlv<'a>,
    pub(crate) this_update: Instant,
    pub(crate) next_update: Option<Instant>,
    /// revokedCertificates as a whole; `None` where absent.
    pub(crate) revoked: Option<Tlv<'a>>,
    pub(crate) extensions: Vec<RawExtension<'a>>,
}

#[derive(Clone, Copy)]
pub(crate) struct Instant {
    pub(crate) tag: u8,
    pub(crate) seconds: i64,
}

impl Instant {
    fn read(value: Tlv<'_>) -> Result<Self, DerError> {
        Ok(Self { tag: value.tag, seconds: time::read(value)? })
    }
}

/// The three parts of a CertificateList (RFC 5280 §5.1).
pub(crate) struct ParsedList<'a> {
    pub(crate) tbs: Tlv<'a>,
    pub(crate) algorithm: Tlv<'a>,
    pub(crate) signature: &'a [u8],
}

impl<'a> ParsedList<'a> {
    pub(crate) fn read(der: &'a [u8]) -> Result<Self, DerError> {
        let mut outer = Reader::new(der);
        let mut whole = outer.sequence("something other than a CRL")?;
        outer.finish()?;
        let tbs = whole.expect(tag::SEQUENCE, "something other than a TBSCertList")?;
        let algorithm = whole.expect(tag::SEQUENCE, "something other than a signature algorithm")?;
        let signature = whole.octet_aligned_bits("something other than a signature")?;
        whole.finish()?;
        Ok(Self { tbs, algorithm, signature })
    }
}

impl<'a> ParsedTbs<'a> {
    pub(crate) fn read(mut body: Reader<'a>) -> Result<Self, DerError> {
        let version = body.optional(tag::INTEGER)?.map(|version| version.content);
        let signature = body.expect(tag::SEQUENCE, "something other than a signature algorithm")?.raw;
        let issuer = body.expect(tag::SEQUENCE, "something other than an issuer")?;
        let this_update = Instant::read(body.any()?)?;
        let next_update = match body.peek() {
            Some(tag::UTC_TIME | tag::GENERALIZED_TIME) => Some(Instant::read(body.any()?)?),
            _ => None,
        };
        let revoked = body.optional(tag::SEQUENCE)?;
        let mut extensions = Vec::new();
        if let Some(explicit) = body.optional(0xa0)? {
            let mut explicit = explicit.reader();
            extensions = extensions::read_all(explicit.sequence("something other than CRL extensions")?)?;
            explicit.finish()?;
        }
        body.finish()?;
        Ok(Self { version, signature, issuer, this_update, next_update, revoked, extensions })
    }

    pub(crate) fn entries(&self) -> Entries<'a> {
        Entries { rest: self.revoked.map_or_else(|| Reader::new(&[]), |list| list.reader()) }
    }

    pub(crate) fn extension(&self, oid: &[u8]) -> Option<&RawExtension<'a>> {
        self.extensions.iter().find(|one| one.oid == oid)
    }
}

/// One element of revokedCertificates (RFC 5280 §5.1.2.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RevokedCertificate<'a> {
    /// Content octets of the serial number.
    pub serial: &'a [u8],
    /// Unix seconds.
    pub revocation_date: i64,
    /// The CRLReason as it stands; `None` where there is none.
    pub reason: Option<u8>,
    /// Unix seconds.
    pub invalidity_date: Option<i64>,
    /// The whole element.
    pub der: &'a [u8],
    /// Whether there is an extension that is critical and not understood here, such as the certificate issuer of an
    /// indirect CRL (RFC 5280 §5.3.3).
    pub(crate) has_unknown_critical: bool,
    /// Whether a reason code or invalidity date is marked critical (RFC 5280 §5.3.1, §5.3.2 forbid that).
    pub(crate) has_known_critical: bool,
    /// The tag of the revocation date.
    pub(crate) date_tag: u8,
}

impl<'a> RevokedCertificate<'a> {
    /// One element by itself, as a store keeps it; `None` if the bytes are anything else.
    pub fn from_der(der: &'a [u8]) -> Option<Self> {
        let mut reader = Reader::new(der);
        let whole = reader.any().ok()?;
        reader.finish().ok()?;
        entry(whole).ok()
    }
}

/// Reads entries until the first that is malformed.
pub(crate) struct Entries<'a> {
    rest: Reader<'a>,
}

impl<'a> Iterator for Entries<'a> {
    type Item = Result<RevokedCertificate<'a>, DerError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let entry = self.rest.any().and_then(entry);
        if entry.is_err() {
            self.rest = Reader::new(&[]);
        }
        Some(entry)
    }
}

fn entry(whole: Tlv<'_>) -> Result<RevokedCertificate<'_>, DerError> {
    if whole.tag != tag::SEQUENCE {
        return Err(whole.error("something other than a revoked certificate"));
    }
    let mut parts = whole.reader();
    let serial = parts.expect(tag::INTEGER, "a revoked certificate without a serial number")?;
    if serial.content.is_empty() {
        return Err(serial.error("an integer without contents"));
    }
    let date = parts.any()?;
    let mut entry = RevokedCertificate {
        serial: serial.content,
        revocation_date: time::read(date)?,
        reason: None,
        invalidity_date: None,
        der: whole.raw,
        has_unknown_critical: false,
        has_known_critical: false,
        date_tag: date.tag,
    };
    if let Some(list) = parts.optional(tag::SEQUENCE)? {
        let mut list = list.reader();
        while !list.is_empty() {
            entry_extension(&mut entry, list.sequence("something other than an extension")?)?;
        }
    }
    parts.finish()?;
    Ok(entry)
}

fn entry_extension<'a>(entry: &mut RevokedCertificate<'a>, mut parts: Reader<'a>) -> Result<(), DerError> {
    let name = parts.expect(tag::OID, "an extension without an identifier")?;
    let is_critical = parts.optional(tag::BOOLEAN)?.is_some_and(|flag| flag.content != [0]);
    let value = parts.expect(tag::OCTET_STRING, "an extension without a value")?;
    parts.finish()?;
    let mut inner = value.reader();
    match name.content {
        oid::REASON_CODE if entry.reason.is_none() => {
            let code = inner.expect(tag::ENUMERATED, "something other than a reason code")?;
            let [octet @ 0..=0x7f] = code.content else { return Err(code.error("a reason code that has no meaning")) };
            entry.reason = Some(*octet);
        }
        oid::INVALIDITY_DATE if entry.invalidity_date.is_none() => {
            let date = inner.expect(tag::GENERALIZED_TIME, "something other than an invalidity date")?;
            entry.invalidity_date = Some(time::read(date)?);
        }
        oid::REASON_CODE | oid::INVALIDITY_DATE => return Err(name.error("an extension that occurs twice")),
        _ => {
            entry.has_unknown_critical |= is_critical;
            return Ok(());
        }
    }
    entry.has_known_critical |= is_critical;
    inner.finish()
}

/// A CRL number or base CRL number: the content octets of its INTEGER.
pub(crate) fn number<'a>(extension: &RawExtension<'a>) -> Result<&'a [u8], DerError> {
    let mut outer = extension.reader();
    let value = outer.expect(tag::INTEGER, "something other than a CRL number")?;
    outer.finish()?;
    crate::asn1::unsigned_integer(value)?;
    Ok(value.content)
}

/// A decoded IssuingDistributionPoint (RFC 5280 §5.2.5).
pub(crate) struct RawPoint<'a> {
    pub(crate) names: Vec<Tlv<'a>>,
    pub(crate) user_certs: bool,
    pub(crate) ca_certs: bool,
    /// Some reasons only, attribute certificates only, an indirect CRL, or a name relative to the issuer.
    pub(crate) has_more: bool,
}

pub(crate) fn issuing_distribution_point<'a>(extension: &RawExtension<'a>) -> Result<RawPoint<'a>, DerError> {
    let mut outer = extension.reader();
    let mut parts = outer.sequence("something other than an issuing distribution point")?;
    outer.finish()?;
    let mut point = RawPoint { names: Vec::new(), user_certs: false, ca_certs: false, has_more: false };
    if let Some(name) = parts.optional(0xa0)? {
        let mut choice = name.reader();
        match choice.optional(0xa0)? {
            None => point.has_more = true,
            Some(full_name) => {
                let mut names = full_name.reader();
                while !names.is_empty() {
                    point.names.push(names.any()?);
                }
                choice.finish()?;
            }
        }
    }
    point.user_certs = parts.optional(0x81)?.is_some_and(|flag| flag.content != [0]);
    point.ca_certs = parts.optional(0x82)?.is_some_and(|flag| flag.content != [0]);
    point.has_more |= !parts.is_empty();
    Ok(point)
}
