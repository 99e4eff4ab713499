//! One subtree of the name space: its text, its bytes, and which names lie within it.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::asn1::{DerError, Reader, Tlv, Writer, tag};
use crate::name::{self, DistinguishedName, GeneralName, GeneralNameKind, NameError};

/// JSON form: `{"type": "dns_name", "value": "acme.com"}`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "TypedText", into = "TypedText")]
pub struct GeneralSubtree {
    base: Base,
}

/// Text is canonical: lower case, without a trailing dot. An empty text means every name of the kind.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Base {
    /// The name itself and everything below it.
    Dns(String),
    Ip {
        address: IpAddr,
        prefix: u8,
    },
    /// One mailbox, all mailboxes of one host, or with a leading dot of all hosts below a domain.
    Email(String),
    /// One host, or with a leading dot all hosts below a domain.
    Uri(String),
    Directory(DistinguishedName),
}

/// The text of a subtree that holds every name of its kind.
const EVERYTHING: &str = "*";

#[derive(Serialize, Deserialize)]
struct TypedText {
    #[serde(rename = "type")]
    kind: GeneralNameKind,
    value: String,
}

impl TryFrom<TypedText> for GeneralSubtree {
    type Error = NameError;

    fn try_from(text: TypedText) -> Result<Self, NameError> {
        Self::parse(text.kind, &text.value)
    }
}

impl From<GeneralSubtree> for TypedText {
    fn from(subtree: GeneralSubtree) -> Self {
        Self { kind: subtree.kind(), value: subtree.value() }
    }
}

impl GeneralSubtree {
    /// `dns_name`: `acme.com` (without a leading dot; means the name and all below it). `ip_address`: `10.0.0.0/8` or
    /// one address. `email`: `jo@acme.com`, `acme.com` (that host) or `.acme.com` (hosts below it). `uri`: `acme.com`
    /// or `.acme.com`. `directory_name`: RFC 4514 text. Except for addresses `*` is every name of the kind.
    pub fn parse(kind: GeneralNameKind, text: &str) -> Result<Self, NameError> {
        let everything = |text: &str| text == EVERYTHING;
        let base = match kind {
            GeneralNameKind::DnsName if everything(text) => Base::Dns(String::new()),
            GeneralNameKind::Email if everything(text) => Base::Email(String::new()),
            GeneralNameKind::Uri if everything(text) => Base::Uri(String::new()),
            GeneralNameKind::DnsName => Base::Dns(host(text)?),
            GeneralNameKind::Email if text.contains('@') && !text.starts_with('@') => {
                Base::Email(name::canonical_mail(text)?)
            }
            GeneralNameKind::Email => Base::Email(host_or_domain(text)?),
            GeneralNameKind::Uri => Base::Uri(host_or_domain(text)?),
            GeneralNameKind::IpAddress => parse_network(text)?,
            GeneralNameKind::DirectoryName if everything(text) => Base::Directory(DistinguishedName::default()),
            GeneralNameKind::DirectoryName if text.is_empty() => {
                return Err(NameError::new("name.empty", "The directory name constraint is empty; * is every name"));
            }
            GeneralNameKind::DirectoryName => Base::Directory(text.parse()?),
            GeneralNameKind::Upn | GeneralNameKind::OtherName | GeneralNameKind::RegisteredId => {
                return Err(unsupported_kind());
            }
        };
        Ok(Self { base })
    }

    pub fn kind(&self) -> GeneralNameKind {
        match &self.base {
            Base::Dns(_) => GeneralNameKind::DnsName,
            Base::Ip { .. } => GeneralNameKind::IpAddress,
            Base::Email(_) => GeneralNameKind::Email,
            Base::Uri(_) => GeneralNameKind::Uri,
            Base::Directory(_) => GeneralNameKind::DirectoryName,
        }
    }

    /// The text form that `parse` takes back.
    pub fn value(&self) -> String {
        match &self.base {
            Base::Dns(text) | Base::Email(text) | Base::Uri(text) if text.is_empty() => EVERYTHING.to_owned(),
            Base::Dns(text) | Base::Email(text) | Base::Uri(text) => text.clone(),
            Base::Ip { address, prefix } => format!("{address}/{prefix}"),
            Base::Directory(name) if name.is_empty() => EVERYTHING.to_owned(),
            Base::Directory(name) => name.to_string(),
        }
    }

    pub(super) fn write(&self, w: &mut Writer) {
        w.nested(tag::SEQUENCE, |w| match &self.base {
            Base::Dns(name) => w.primitive(0x82, name.as_bytes()),
            Base::Email(text) => w.primitive(0x81, text.as_bytes()),
            Base::Uri(text) => w.primitive(0x86, text.as_bytes()),
            Base::Directory(name) => w.nested(0xa4, |w| name.write(w)),
            Base::Ip { address: IpAddr::V4(address), prefix } => {
                let mask = u32::MAX.checked_shl(32 - u32::from(*prefix)).unwrap_or(0);
                w.primitive(0x87, &[address.octets(), mask.to_be_bytes()].concat());
            }
            Base::Ip { address: IpAddr::V6(address), prefix } => {
                let mask = u128::MAX.checked_shl(128 - u32::from(*prefix)).unwrap_or(0);
                w.primitive(0x87, &[address.octets(), mask.to_be_bytes()].concat());
            }
        });
    }

    pub(super) fn read(list: &mut Reader<'_>) -> Result<Self, NameError> {
        let mut subtree = list.sequence("something other than a subtree")?;
        let base = subtree.any()?;
        // RFC 5280 §4.2.1.10: minimum is 0, which DER leaves out, and maximum is absent.
        subtree.finish().map_err(|_| {
            NameError::new(
                "name_constraints.distance",
                "A name constraint has a minimum or maximum, which is not supported",
            )
        })?;
        Self::from_base(base)
    }

    fn from_base(base: Tlv<'_>) -> Result<Self, NameError> {
        let text = || std::str::from_utf8(base.content).map_err(|_| base.error("a constraint that is not text"));
        let or_everything = |kind: GeneralNameKind, text: &str| match text {
            "" => Self::parse(kind, EVERYTHING),
            _ => Self::parse(kind, text),
        };
        match base.tag {
            // A leading dot stands in many CA certificates though the standard has none: read as the name without it.
            0x82 => {
                let text = text()?;
                or_everything(GeneralNameKind::DnsName, text.strip_prefix('.').unwrap_or(text))
            }
            0x81 => or_everything(GeneralNameKind::Email, text()?),
            0x86 => or_everything(GeneralNameKind::Uri, text()?),
            0x87 => read_network(base).map_err(NameError::from).map(|base| Self { base }),
            0xa4 => DistinguishedName::from_foreign_der(base.content).map(|name| Self { base: Base::Directory(name) }),
            _ => Err(unsupported_kind()),
        }
    }

    /// Whether every name that `name` stands for (a wildcard stands for many) lies within.
    pub(super) fn holds_all_of(&self, name: &GeneralName) -> bool {
        match (&self.base, name) {
            // What a wildcard stands for has one label more than what follows the asterisk.
            (Base::Dns(base), GeneralName::Dns(name)) => is_at_or_below(name.strip_prefix("*.").unwrap_or(name), base),
            (Base::Ip { address, prefix }, GeneralName::Ip(one)) => is_in_network(*one, *address, *prefix),
            (Base::Email(base), GeneralName::Email(address)) => holds_mailbox(base, address),
            (Base::Uri(base), GeneralName::Uri(uri)) => host_name(uri).is_some_and(|host| holds_host(base, host)),
            (Base::Directory(base), GeneralName::Directory(name)) => name.is_within(base),
            _ => false,
        }
    }

    /// Whether any name that `name` stands for lies within, or may lie within as far as can be told.
    pub(super) fn holds_some_of(&self, name: &GeneralName) -> bool {
        match (&self.base, name) {
            (Base::Dns(base), GeneralName::Dns(pattern)) if pattern.starts_with("*.") => {
                // Either all of them do, or the base itself is one of them.
                self.holds_all_of(name)
                    || base.split_once('.').is_some_and(|(_, parent)| Some(parent) == pattern.strip_prefix("*."))
            }
            // RFC 5280 §4.2.1.10: a URI without a host name is to be rejected when there are constraints for URIs.
            (Base::Uri(_), GeneralName::Uri(uri)) if host_name(uri).is_none() => true,
            _ => self.holds_all_of(name),
        }
    }
}

/// The host of a URI where it is a plain host name. Percent-encoded ones count as none: readers may decode them.
fn host_name(uri: &str) -> Option<&str> {
    name::uri_host(uri).filter(|host| name::dns::canonical_host(host).is_ok())
}

fn unsupported_kind() -> NameError {
    let message = "Name constraints are supported for dns_name, ip_address, email, uri and directory_name";
    NameError::new("name_constraints.kind", message)
}

fn host(text: &str) -> Result<String, NameError> {
    if text.starts_with('.') {
        let message = "A DNS name constraint has no leading dot: acme.com means that name and all names below it";
        return Err(NameError::new("name.characters", message));
    }
    name::dns::canonical_host(text).map_err(|refusal| refusal.of(text))
}

fn host_or_domain(text: &str) -> Result<String, NameError> {
    match text.strip_prefix('.') {
        Some(domain) => host(domain).map(|domain| format!(".{domain}")),
        None => host(text),
    }
}

fn parse_network(text: &str) -> Result<Base, NameError> {
    let malformed = |why: &str| {
        let message = format!("{} is not a network such as 10.0.0.0/8: {why}", name::shown(text));
        NameError::new("name.ip_address", message)
    };
    let (address, prefix) = text.split_once('/').map_or((text, None), |(address, prefix)| (address, Some(prefix)));
    let address: IpAddr = address.parse().map_err(|_| malformed("the address cannot be read"))?;
    let bits = if address.is_ipv4() { 32 } else { 128 };
    let prefix = match prefix {
        None => bits,
        Some(digits) if digits.bytes().all(|one| one.is_ascii_digit()) => {
            digits.parse().ok().filter(|prefix| *prefix <= bits).ok_or_else(|| malformed("the prefix is too long"))?
        }
        Some(_) => return Err(malformed("the prefix is not a number")),
    };
    if masked(address, prefix) != address {
        return Err(malformed("the address has bits set beyond the prefix"));
    }
    Ok(Base::Ip { address, prefix })
}

fn read_network(base: Tlv<'_>) -> Result<Base, DerError> {
    let malformed = || base.error("an address constraint that is not an address and a mask");
    let (address, mask, bits) = match base.content.len() {
        8 => (base.content.get(..4), base.content.get(4..), 32),
        32 => (base.content.get(..16), base.content.get(16..), 128),
        _ => return Err(malformed()),
    };
    let mask = mask.unwrap_or_default().iter().fold(0u128, |sum, octet| (sum << 8) | u128::from(*octet));
    let mask = mask << (128 - bits);
    let prefix = mask.leading_ones() as u8;
    let octets = address.unwrap_or_default();
    let address = <[u8; 4]>::try_from(octets)
        .map(IpAddr::from)
        .or_else(|_| <[u8; 16]>::try_from(octets).map(IpAddr::from))
        .map_err(|_| malformed())?;
    if mask.count_ones() != u32::from(prefix) {
        return Err(base.error("an address constraint whose mask has a gap"));
    }
    Ok(Base::Ip { address: masked(address, prefix), prefix })
}

fn masked(address: IpAddr, prefix: u8) -> IpAddr {
    match address {
        IpAddr::V4(one) => {
            let mask = u32::MAX.checked_shl(32u32.saturating_sub(u32::from(prefix))).unwrap_or(0);
            IpAddr::from((u32::from(one) & mask).to_be_bytes())
        }
        IpAddr::V6(one) => {
            let mask = u128::MAX.checked_shl(128u32.saturating_sub(u32::from(prefix))).unwrap_or(0);
            IpAddr::from((u128::from(one) & mask).to_be_bytes())
        }
    }
}

fn is_in_network(one: IpAddr, address: IpAddr, prefix: u8) -> bool {
    one.is_ipv4() == address.is_ipv4() && masked(one, prefix) == address
}

fn is_at_or_below(name: &str, base: &str) -> bool {
    base.is_empty() || name == base || name.strip_suffix(base).is_some_and(|start| start.ends_with('.'))
}

fn holds_host(base: &str, host: &str) -> bool {
    if base.starts_with('.') { host.ends_with(base) } else { base.is_empty() || host == base }
}

fn holds_mailbox(base: &str, address: &str) -> bool {
    if base.contains('@') {
        return base == address;
    }
    address.rsplit_once('@').is_some_and(|(_, host)| holds_host(base, host))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subtree(kind: GeneralNameKind, text: &str) -> GeneralSubtree {
        GeneralSubtree::parse(kind, text).unwrap()
    }

    #[test]
    fn names_lie_within_subtrees_as_the_standard_says() {
        let check = |kind: GeneralNameKind, base: &str, name: &str, all: bool, some: bool| {
            let subtree = subtree(kind, base);
            let name = GeneralName::parse(kind, name).unwrap();
            assert_eq!((subtree.holds_all_of(&name), subtree.holds_some_of(&name)), (all, some), "{base} {name:?}");
        };
        use GeneralNameKind as K;
        check(K::DnsName, "acme.com", "acme.com", true, true);
        check(K::DnsName, "acme.com", "a.b.acme.com", true, true);
        check(K::DnsName, "acme.com", "notacme.com", false, false);
        check(K::DnsName, "acme.com", "com", false, false);
        check(K::DnsName, "acme.com", "*.acme.com", true, true);
        check(K::DnsName, "a.acme.com", "*.acme.com", false, true);
        check(K::DnsName, "a.b.acme.com", "*.acme.com", false, false);
        check(K::DnsName, "acme.com", "*.b.acme.com", true, true);
        check(K::DnsName, "*", "*.acme.com", true, true);
        check(K::IpAddress, "10.0.0.0/8", "10.255.0.1", true, true);
        check(K::IpAddress, "10.0.0.0/8", "11.0.0.1", false, false);
        check(K::IpAddress, "0.0.0.0/0", "11.0.0.1", true, true);
        check(K::IpAddress, "0.0.0.0/0", "::1", false, false);
        check(K::IpAddress, "2001:db8::/32", "2001:db8:1::1", true, true);
        check(K::IpAddress, "10.0.0.1", "10.0.0.1", true, true);
        check(K::Email, "acme.com", "jo@acme.com", true, true);
        check(K::Email, "acme.com", "jo@a.acme.com", false, false);
        check(K::Email, ".acme.com", "jo@a.acme.com", true, true);
        check(K::Email, ".acme.com", "jo@acme.com", false, false);
        check(K::Email, "jo@acme.com", "jo@acme.com", true, true);
        check(K::Email, "jo@acme.com", "Jo@acme.com", false, false);
        check(K::Uri, "acme.com", "https://acme.com:8/x", true, true);
        check(K::Uri, "acme.com", "https://a.acme.com/", false, false);
        check(K::Uri, ".acme.com", "https://u@a.acme.com/", true, true);
        check(K::Uri, ".acme.com", "https://evil.com/.acme.com", false, false);
        check(K::Uri, "acme.com", "https://10.0.0.1/", false, true);
        check(K::Uri, "acme.com", "https://acm%65.com/", false, true);
        check(K::Uri, ".acme.com", "https://evil.com%2f.acme.com/", false, true);
        check(K::Uri, "*", "https://evil%2ecom/", false, true);
        check(K::Uri, "acme.com", "urn:a:b", false, true);
        check(K::DirectoryName, "O=Acme,C=DE", "CN=a,O=ACME,C=DE", true, true);
        check(K::DirectoryName, "O=Acme,C=DE", "CN=a,O=Acme2,C=DE", false, false);
        check(K::DirectoryName, "O=Acme,C=DE", "C=DE", false, false);
    }

    #[test]
    fn malformed_subtrees_are_refused() {
        let check = |kind: GeneralNameKind, text: &str| {
            assert!(GeneralSubtree::parse(kind, text).is_err(), "{kind} {text:?}");
        };
        for text in ["", ".acme.com", "*.acme.com", "10.0.0.1", "acme.com.", "a b"] {
            check(GeneralNameKind::DnsName, text);
        }
        for text in ["", "10.0.0.1/8", "10.0.0.0/33", "10.0.0.0/", "10.0.0.0/+8", "10.0.0.0/255.0.0.0", "::1/129"] {
            check(GeneralNameKind::IpAddress, text);
        }
        for text in ["", "@acme.com", "a@", "https://acme.com"] {
            check(GeneralNameKind::Email, text);
            check(GeneralNameKind::Uri, text);
        }
        check(GeneralNameKind::DirectoryName, "");
        check(GeneralNameKind::Upn, "a@b");
        check(GeneralNameKind::RegisteredId, "1.2.3");
    }
}
