//! General names (RFC 5280 §4.2.1.6): the eight kinds of SAN this product knows, each with one canonical text form.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use const_oid::ObjectIdentifier;
use serde::{Deserialize, Serialize};

use super::{DistinguishedName, NameError, check_text, dns, mail, shown, uri};
use crate::asn1::{Reader, Tlv, Writer, canonical, oid, strings, tag};

const OTHER_NAME: u8 = 0xa0;
const RFC822_NAME: u8 = 0x81;
const DNS_NAME: u8 = 0x82;
const DIRECTORY_NAME: u8 = 0xa4;
const URI: u8 = 0x86;
const IP_ADDRESS: u8 = 0x87;
const REGISTERED_ID: u8 = 0x88;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum GeneralNameKind {
    DnsName,
    IpAddress,
    Email,
    Uri,
    Upn,
    OtherName,
    DirectoryName,
    RegisteredId,
}

impl GeneralNameKind {
    pub const ALL: &[Self] = &[
        Self::DnsName,
        Self::IpAddress,
        Self::Email,
        Self::Uri,
        Self::Upn,
        Self::OtherName,
        Self::DirectoryName,
        Self::RegisteredId,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::DnsName => "dns_name",
            Self::IpAddress => "ip_address",
            Self::Email => "email",
            Self::Uri => "uri",
            Self::Upn => "upn",
            Self::OtherName => "other_name",
            Self::DirectoryName => "directory_name",
            Self::RegisteredId => "registered_id",
        }
    }

    /// For people.
    pub const fn label(self) -> &'static str {
        match self {
            Self::DnsName => "DNS name",
            Self::IpAddress => "IP address",
            Self::Email => "E-mail address",
            Self::Uri => "URI",
            Self::Upn => "User principal name",
            Self::OtherName => "Other name",
            Self::DirectoryName => "Directory name",
            Self::RegisteredId => "Registered identifier",
        }
    }
}

text_enum!(GeneralNameKind, "SAN type", |one| one.as_str());

/// One name. JSON form: `{"type": "dns_name", "value": "a.acme.com"}`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "TypedText", into = "TypedText")]
pub enum GeneralName {
    Dns(String),
    Ip(IpAddr),
    Email(String),
    Uri(String),
    Upn(String),
    /// An otherName whose value is a UTF8String. Never a user principal name: that is `Upn`.
    OtherName {
        oid: ObjectIdentifier,
        value: String,
    },
    Directory(DistinguishedName),
    RegisteredId(ObjectIdentifier),
}

#[derive(Serialize, Deserialize)]
struct TypedText {
    #[serde(rename = "type")]
    kind: GeneralNameKind,
    value: String,
}

impl TryFrom<TypedText> for GeneralName {
    type Error = NameError;

    fn try_from(text: TypedText) -> Result<Self, NameError> {
        Self::parse(text.kind, &text.value)
    }
}

impl From<GeneralName> for TypedText {
    fn from(name: GeneralName) -> Self {
        Self { kind: name.kind(), value: name.value() }
    }
}

impl GeneralName {
    /// Canonicalises and checks: see the rules in `name::dns`, `name::mail`, `name::uri`. An IPv4-mapped IPv6 address
    /// is the IPv4 address. `other_name` is written `oid;utf8:value`, `directory_name` as RFC 4514 text,
    /// `registered_id` as a dotted OID.
    pub fn parse(kind: GeneralNameKind, text: &str) -> Result<Self, NameError> {
        match kind {
            GeneralNameKind::DnsName => dns::canonical(text).map(Self::Dns),
            GeneralNameKind::IpAddress => parse_ip(text).map(Self::Ip),
            GeneralNameKind::Email => mail::canonical(text).map(Self::Email),
            GeneralNameKind::Uri => uri::canonical(text).map(Self::Uri),
            GeneralNameKind::Upn => mail::canonical_upn(text).map(Self::Upn),
            GeneralNameKind::OtherName => parse_other_name(text),
            GeneralNameKind::DirectoryName => directory(text.parse()?),
            GeneralNameKind::RegisteredId => parse_oid(text).map(Self::RegisteredId),
        }
    }

    pub fn kind(&self) -> GeneralNameKind {
        match self {
            Self::Dns(_) => GeneralNameKind::DnsName,
            Self::Ip(_) => GeneralNameKind::IpAddress,
            Self::Email(_) => GeneralNameKind::Email,
            Self::Uri(_) => GeneralNameKind::Uri,
            Self::Upn(_) => GeneralNameKind::Upn,
            Self::OtherName { .. } => GeneralNameKind::OtherName,
            Self::Directory(_) => GeneralNameKind::DirectoryName,
            Self::RegisteredId(_) => GeneralNameKind::RegisteredId,
        }
    }

    /// The text form that `parse` takes back.
    pub fn value(&self) -> String {
        match self {
            Self::Dns(text) | Self::Email(text) | Self::Uri(text) | Self::Upn(text) => text.clone(),
            Self::Ip(address) => address.to_string(),
            Self::OtherName { oid, value } => format!("{oid};utf8:{value}"),
            Self::Directory(name) => name.to_string(),
            Self::RegisteredId(oid) => oid.to_string(),
        }
    }

    pub fn is_wildcard(&self) -> bool {
        matches!(self, Self::Dns(name) if name.starts_with("*."))
    }

    pub fn to_der(&self) -> Vec<u8> {
        let mut out = Writer::new();
        self.write(&mut out);
        out.into_bytes()
    }

    pub(crate) fn write(&self, w: &mut Writer) {
        match self {
            Self::Dns(name) => w.primitive(DNS_NAME, name.as_bytes()),
            Self::Ip(IpAddr::V4(address)) => w.primitive(IP_ADDRESS, &address.octets()),
            Self::Ip(IpAddr::V6(address)) => w.primitive(IP_ADDRESS, &address.octets()),
            Self::Email(address) => w.primitive(RFC822_NAME, address.as_bytes()),
            Self::Uri(uri) => w.primitive(URI, uri.as_bytes()),
            Self::Upn(name) => write_other_name(w, oid::USER_PRINCIPAL_NAME, name),
            Self::OtherName { oid, value } => write_other_name(w, oid.as_bytes(), value),
            // A Name is a CHOICE, so its tag is explicit.
            Self::Directory(name) => w.nested(DIRECTORY_NAME, |w| name.write(w)),
            Self::RegisteredId(oid) => w.primitive(REGISTERED_ID, oid.as_bytes()),
        }
    }

    /// Strict: the value must be one that `parse` takes; it comes out canonical.
    pub fn from_der(der: &[u8]) -> Result<Self, NameError> {
        canonical::check(der)?;
        let mut reader = Reader::new(der);
        let value = reader.any()?;
        reader.finish()?;
        Self::from_tlv(value)
    }

    pub(crate) fn from_tlv(value: Tlv<'_>) -> Result<Self, NameError> {
        match value.tag {
            DNS_NAME => Self::parse(GeneralNameKind::DnsName, ascii(&value)?),
            RFC822_NAME => Self::parse(GeneralNameKind::Email, ascii(&value)?),
            URI => Self::parse(GeneralNameKind::Uri, ascii(&value)?),
            IP_ADDRESS => ip_from_octets(value.content).map(Self::Ip).ok_or_else(|| {
                NameError::new("name.ip_address", "The IP address in the name is not of 4 or 16 octets")
            }),
            OTHER_NAME => read_other_name(value),
            DIRECTORY_NAME => directory(DistinguishedName::from_der(value.content)?),
            REGISTERED_ID => Ok(Self::RegisteredId(oid::to_identifier(value.content, value.content_offset())?)),
            _ => Err(unsupported()),
        }
    }

    /// As it stands in somebody else's certificate: text is not judged. `None`: a kind or form that has no type here.
    pub(crate) fn from_foreign_tlv(value: Tlv<'_>) -> Option<Self> {
        let text = || ascii(&value).ok().map(str::to_owned);
        match value.tag {
            DNS_NAME => text().map(Self::Dns),
            RFC822_NAME => text().map(Self::Email),
            URI => text().map(Self::Uri),
            DIRECTORY_NAME => DistinguishedName::from_foreign_der(value.content).ok().map(Self::Directory),
            _ => Self::from_tlv(value).ok(),
        }
    }
}

fn unsupported() -> NameError {
    let kinds: Vec<&str> = GeneralNameKind::ALL.iter().map(|one| one.as_str()).collect();
    let message = format!("The name is of a kind that is not supported; supported are {}", kinds.join(", "));
    NameError::new("name.unsupported", message)
}

fn ascii<'a>(value: &Tlv<'a>) -> Result<&'a str, NameError> {
    let text = std::str::from_utf8(value.content).ok().filter(|text| text.is_ascii());
    text.ok_or_else(|| NameError::new("name.characters", "The name has characters outside ASCII"))
}

fn parse_ip(text: &str) -> Result<IpAddr, NameError> {
    let address: IpAddr = text.parse().map_err(|_| {
        let message = format!("{} is not an IP address such as 192.0.2.1 or 2001:db8::1", shown(text));
        NameError::new("name.ip_address", message)
    })?;
    Ok(address.to_canonical())
}

pub(crate) fn ip_from_octets(octets: &[u8]) -> Option<IpAddr> {
    if let Ok(four) = <[u8; 4]>::try_from(octets) {
        return Some(IpAddr::V4(Ipv4Addr::from(four)));
    }
    let sixteen = <[u8; 16]>::try_from(octets).ok()?;
    Some(IpAddr::V6(Ipv6Addr::from(sixteen)).to_canonical())
}

fn directory(name: DistinguishedName) -> Result<GeneralName, NameError> {
    if name.is_empty() {
        return Err(NameError::new("name.empty", "The directory name is empty"));
    }
    Ok(GeneralName::Directory(name))
}

fn parse_oid(text: &str) -> Result<ObjectIdentifier, NameError> {
    ObjectIdentifier::new(text).map_err(|_| {
        NameError::new("name.oid", format!("{} is not an object identifier such as 1.3.6.1.4.1.311", shown(text)))
    })
}

const OTHER_NAME_MAX: usize = 1024;

fn parse_other_name(text: &str) -> Result<GeneralName, NameError> {
    let Some((oid, value)) = text.split_once(";utf8:") else {
        let message = format!("{} is not of the form oid;utf8:value", shown(text));
        return Err(NameError::new("name.other_name", message));
    };
    other_name(parse_oid(oid)?, value)
}

fn other_name(oid: ObjectIdentifier, value: &str) -> Result<GeneralName, NameError> {
    // One encoding, one kind: otherwise a rule about user principal names could be passed by as another name.
    if oid.as_bytes() == oid::USER_PRINCIPAL_NAME {
        return Err(NameError::new(
            "name.other_name",
            "This object identifier is a user principal name; use a upn SAN",
        ));
    }
    // Name constraints for mail addresses and DNS names bind these too (RFC 9598 §6, RFC 4985 §4), and email rules should.
    if [oid::SMTP_UTF8_MAILBOX, oid::SRV_NAME].contains(&oid.as_bytes()) {
        return Err(NameError::new(
            "name.other_name",
            "This object identifier is a mail address or a service name in another form, which is not supported; use an \
             email or dns_name SAN",
        ));
    }
    check_text("other name", value)?;
    if value.chars().count() > OTHER_NAME_MAX {
        return Err(NameError::new("name.too_long", "The other name is longer than 1024 characters"));
    }
    Ok(GeneralName::OtherName { oid, value: value.to_owned() })
}

fn write_other_name(w: &mut Writer, oid: &[u8], value: &str) {
    w.nested(OTHER_NAME, |w| {
        w.oid_bytes(oid);
        w.nested(0xa0, |w| w.primitive(tag::UTF8_STRING, value.as_bytes()));
    });
}

fn read_other_name(name: Tlv<'_>) -> Result<GeneralName, NameError> {
    let mut reader = name.reader();
    let type_id = reader.expect(tag::OID, "something other than the type of an other name")?;
    let mut explicit = reader.expect(0xa0, "something other than the value of an other name")?.reader();
    reader.finish()?;
    let value = explicit.any()?;
    explicit.finish()?;
    if value.tag != tag::UTF8_STRING {
        return Err(NameError::new("name.other_name", "The value of the other name is not a UTF8String"));
    }
    let text = strings::modern_text(&value)?;
    if type_id.content == oid::USER_PRINCIPAL_NAME {
        return mail::canonical_upn(text).map(GeneralName::Upn);
    }
    other_name(oid::to_identifier(type_id.content, type_id.content_offset())?, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_its_own_tag_and_survives_text_der_and_json() {
        let check = |kind: GeneralNameKind, text: &str, der: &str| {
            let name = GeneralName::parse(kind, text).unwrap();
            assert_eq!(name.kind(), kind);
            assert_eq!(name.value(), text);
            assert_eq!(hex::encode(name.to_der()), der.replace(' ', ""), "{text}");
            assert_eq!(GeneralName::from_der(&name.to_der()).unwrap(), name);
            let foreign = GeneralName::from_foreign_tlv(Reader::new(&name.to_der()).any().unwrap());
            assert_eq!(foreign, Some(name.clone()));
            let json = serde_json::to_string(&name).unwrap();
            assert_eq!(serde_json::from_str::<GeneralName>(&json).unwrap(), name);
        };
        check(GeneralNameKind::DnsName, "a.b", "82 03 612e62");
        check(GeneralNameKind::IpAddress, "10.0.0.1", "87 04 0a000001");
        check(GeneralNameKind::IpAddress, "2001:db8::1", "87 10 20010db8000000000000000000000001");
        check(GeneralNameKind::Email, "a@b", "81 03 614062");
        check(GeneralNameKind::Uri, "x:y", "86 03 783a79");
        check(GeneralNameKind::Upn, "ä@b", "a0 14 060a2b060104018237140203 a006 0c04 c3a44062");
        check(GeneralNameKind::OtherName, "1.2.3;utf8:a;b", "a0 0b 06022a03 a005 0c03 613b62");
        check(GeneralNameKind::DirectoryName, "CN=a", "a4 0e 300c310a300806035504030c0161");
        check(GeneralNameKind::RegisteredId, "1.2.3", "88 02 2a03");
    }

    #[test]
    fn values_of_the_wrong_form_are_refused() {
        let check = |kind: GeneralNameKind, text: &str, code: &str| {
            assert_eq!(GeneralName::parse(kind, text).unwrap_err().code, code, "{kind} {text:?}");
        };
        for text in ["10.0.0.256", "010.0.0.1", "10.1", "fe80::1%eth0", "[::1]", "10.0.0.0/8", "", "a"] {
            check(GeneralNameKind::IpAddress, text, "name.ip_address");
        }
        check(GeneralNameKind::OtherName, "1.2.3;ia5:x", "name.other_name");
        check(GeneralNameKind::OtherName, "1.3.6.1.4.1.311.20.2.3;utf8:a@b", "name.other_name");
        check(GeneralNameKind::OtherName, "1.3.6.1.5.5.7.8.9;utf8:ä@b", "name.other_name");
        check(GeneralNameKind::OtherName, "1.3.6.1.5.5.7.8.7;utf8:_ldap.acme.com", "name.other_name");
        check(GeneralNameKind::OtherName, "1.2.3;utf8:", "name.empty");
        check(GeneralNameKind::OtherName, "x;utf8:y", "name.oid");
        check(GeneralNameKind::DirectoryName, "", "name.empty");
        check(GeneralNameKind::RegisteredId, "9.9", "name.oid");
    }

    #[test]
    fn a_mapped_address_is_the_ipv4_address() {
        let name = GeneralName::parse(GeneralNameKind::IpAddress, "::ffff:10.0.0.1").unwrap();
        assert_eq!(name.value(), "10.0.0.1");
        let mapped = hex::decode("871000000000000000000000ffff0a000001").unwrap();
        assert_eq!(GeneralName::from_der(&mapped).unwrap(), name);
    }

    #[test]
    fn encoded_names_are_judged_like_texts() {
        let check = |der: &str, code: &str| {
            let der = hex::decode(der.replace(' ', "")).unwrap();
            assert_eq!(GeneralName::from_der(&der).unwrap_err().code, code, "{}", hex::encode(der));
        };
        check("82 08 31302e302e302e31", "name.ip_in_dns");
        check("82 01 e4", "name.characters");
        check("82 03 612e62 00", "asn1.not_der");
        check("87 05 0a00000100", "name.ip_address");
        check("a3 02 3000", "name.unsupported");
        check("a5 02 3000", "name.unsupported");
        check("a0 09 06022a03 a003 1601 61", "name.other_name");
        assert!(GeneralName::parse(GeneralNameKind::DnsName, "*.acme.com").unwrap().is_wildcard());
    }

    proptest::proptest! {
        #[test]
        fn arbitrary_input_never_panics_and_values_are_read_back(octets: Vec<u8>, text: String, kind in 0usize..8) {
            let _ = GeneralName::from_der(&octets);
            if let Ok(name) = GeneralName::parse(GeneralNameKind::ALL[kind], &text) {
                proptest::prop_assert_eq!(&GeneralName::parse(name.kind(), &name.value()).unwrap(), &name);
                proptest::prop_assert_eq!(&GeneralName::from_der(&name.to_der()).unwrap(), &name);
            }
        }
    }
}
