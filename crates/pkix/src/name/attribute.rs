//! The attributes of a distinguished name: their types, bounds (RFC 5280 Appendix A) and string types (§4.1.2.4).

use serde::{Deserialize, Serialize};

use super::{NameError, canonical_mail, check_text, shown};
use crate::asn1::{strings, tag};

/// What an attribute of a distinguished name says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum AttributeType {
    CommonName,
    Organization,
    OrganizationalUnit,
    Country,
    State,
    Locality,
    DomainComponent,
    SerialNumber,
    EmailAddress,
    Title,
    GivenName,
    Surname,
    Street,
    PostalCode,
    UserId,
    Name,
    Initials,
    GenerationQualifier,
    DnQualifier,
    Pseudonym,
    BusinessCategory,
    OrganizationIdentifier,
}

/// One row of the table below.
struct Facts {
    text: &'static str,
    short: &'static str,
    /// Content octets of the object identifier.
    oid: &'static [u8],
    characters_max: usize,
}

impl AttributeType {
    pub const ALL: &[Self] = &[
        Self::CommonName,
        Self::Organization,
        Self::OrganizationalUnit,
        Self::Country,
        Self::State,
        Self::Locality,
        Self::DomainComponent,
        Self::SerialNumber,
        Self::EmailAddress,
        Self::Title,
        Self::GivenName,
        Self::Surname,
        Self::Street,
        Self::PostalCode,
        Self::UserId,
        Self::Name,
        Self::Initials,
        Self::GenerationQualifier,
        Self::DnQualifier,
        Self::Pseudonym,
        Self::BusinessCategory,
        Self::OrganizationIdentifier,
    ];

    /// Upper bounds are those of RFC 5280 Appendix A where it has one, of X.520 otherwise.
    const fn facts(self) -> Facts {
        const fn row(text: &'static str, short: &'static str, oid: &'static [u8], characters_max: usize) -> Facts {
            Facts { text, short, oid, characters_max }
        }
        match self {
            Self::CommonName => row("common_name", "CN", &[0x55, 4, 3], 64),
            Self::Organization => row("organization", "O", &[0x55, 4, 10], 64),
            Self::OrganizationalUnit => row("organizational_unit", "OU", &[0x55, 4, 11], 64),
            Self::Country => row("country", "C", &[0x55, 4, 6], 2),
            Self::State => row("state", "ST", &[0x55, 4, 8], 128),
            Self::Locality => row("locality", "L", &[0x55, 4, 7], 128),
            Self::DomainComponent => {
                row("domain_component", "DC", &[0x09, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 1, 25], 63)
            }
            Self::SerialNumber => row("serial_number", "serialNumber", &[0x55, 4, 5], 64),
            Self::EmailAddress => {
                row("email_address", "emailAddress", &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 1], 255)
            }
            Self::Title => row("title", "title", &[0x55, 4, 12], 64),
            Self::GivenName => row("given_name", "GN", &[0x55, 4, 42], 32_768),
            Self::Surname => row("surname", "SN", &[0x55, 4, 4], 32_768),
            Self::Street => row("street", "STREET", &[0x55, 4, 9], 128),
            Self::PostalCode => row("postal_code", "postalCode", &[0x55, 4, 17], 40),
            Self::UserId => row("user_id", "UID", &[0x09, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 1, 1], 256),
            Self::Name => row("name", "name", &[0x55, 4, 41], 32_768),
            Self::Initials => row("initials", "initials", &[0x55, 4, 43], 32_768),
            Self::GenerationQualifier => row("generation_qualifier", "generationQualifier", &[0x55, 4, 44], 32_768),
            Self::DnQualifier => row("dn_qualifier", "dnQualifier", &[0x55, 4, 46], 64),
            Self::Pseudonym => row("pseudonym", "pseudonym", &[0x55, 4, 65], 128),
            Self::BusinessCategory => row("business_category", "businessCategory", &[0x55, 4, 15], 128),
            Self::OrganizationIdentifier => {
                row("organization_identifier", "organizationIdentifier", &[0x55, 4, 97], 256)
            }
        }
    }

    pub const fn as_str(self) -> &'static str {
        self.facts().text
    }

    /// The key used in text forms of a whole name, such as `CN` (RFC 4514 §3) or `emailAddress`.
    pub const fn short(self) -> &'static str {
        self.facts().short
    }

    /// Most characters (not octets) a value may have.
    pub const fn characters_max(self) -> usize {
        self.facts().characters_max
    }

    pub(crate) const fn oid_bytes(self) -> &'static [u8] {
        self.facts().oid
    }

    pub(crate) fn from_oid_bytes(bytes: &[u8]) -> Option<Self> {
        Self::ALL.iter().copied().find(|one| one.oid_bytes() == bytes)
    }

    /// The string type that new values are written in.
    pub(crate) const fn string_tag(self) -> u8 {
        match self {
            Self::Country | Self::SerialNumber | Self::DnQualifier => tag::PRINTABLE_STRING,
            Self::DomainComponent | Self::EmailAddress => tag::IA5_STRING,
            _ => tag::UTF8_STRING,
        }
    }

    /// The canonical form of a value, or why it is none.
    pub(crate) fn canonical(self, value: &str) -> Result<String, NameError> {
        check_text(self.as_str(), value)?;
        if value.chars().any(is_invisible) {
            let message = format!("The {} {} has an invisible character; remove it", self.as_str(), shown(value));
            return Err(NameError::new("name.characters", message));
        }
        let most = self.characters_max();
        if value.len() > most && value.chars().count() > most {
            let message = format!("The {self} {} is longer than {most} characters", shown(value));
            return Err(NameError::new("name.too_long", message));
        }
        let refused = |wanted: &str| {
            let message = format!("The {self} {} is not {wanted}", shown(value));
            Err(NameError::new("name.characters", message))
        };
        match self {
            Self::Country if value.len() != 2 || !value.bytes().all(|one| one.is_ascii_alphabetic()) => {
                refused("a country code of two letters, such as DE")
            }
            Self::Country => Ok(value.to_ascii_uppercase()),
            Self::SerialNumber | Self::DnQualifier if !value.bytes().all(strings::is_printable) => {
                refused("made of letters, digits, blanks and '()+,-./:=? only")
            }
            Self::DomainComponent if !is_label(value) => refused("one label of a domain name"),
            Self::EmailAddress => canonical_mail(value),
            _ => Ok(value.to_owned()),
        }
    }
}

fn is_label(value: &str) -> bool {
    value.bytes().all(|one| one.is_ascii_alphanumeric() || one == b'-' || one == b'_')
        && !value.starts_with('-')
        && !value.ends_with('-')
}

text_enum!(AttributeType, "subject attribute type", |one| one.short());

/// One attribute; a relative distinguished name of its own.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Attribute {
    pub kind: AttributeType,
    pub value: String,
}

impl Attribute {
    pub fn new(kind: AttributeType, value: impl Into<String>) -> Self {
        Self { kind, value: value.into() }
    }
}

/// Characters that show nothing, or turn the direction of what follows, so that a name reads as another one. The joiners
/// U+200C and U+200D are letters' business in several scripts and stay.
const fn is_invisible(one: char) -> bool {
    matches!(one,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{feff}'
        | '\u{200b}' | '\u{200e}' | '\u{200f}'
        | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{2064}'
        | '\u{2066}'..='\u{206f}'
    )
}
