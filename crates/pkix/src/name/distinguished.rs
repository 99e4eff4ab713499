//! Distinguished names (RFC 5280 §4.1.2.4) of single-valued RDNs, and their text form (RFC 4514).

use std::fmt;

use serde::{Deserialize, Serialize};

use super::attribute::{Attribute, AttributeType};
use super::{NameError, shown};
use crate::asn1::{Reader, Tlv, Writer, canonical, strings, tag};

/// Attributes in encoded order: the most significant (country, domain) first. JSON form: a list of attributes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "Vec<Attribute>", into = "Vec<Attribute>")]
pub struct DistinguishedName(Vec<Attribute>);

impl DistinguishedName {
    pub const ATTRIBUTES_MAX: usize = 64;

    /// Checks each value and puts it in canonical form: bounds of RFC 5280 Appendix A, no control characters, no blanks
    /// at the ends, country in upper case.
    pub fn new(mut attributes: Vec<Attribute>) -> Result<Self, NameError> {
        if attributes.len() > Self::ATTRIBUTES_MAX {
            return Err(too_many());
        }
        for attribute in &mut attributes {
            attribute.value = attribute.kind.canonical(&attribute.value)?;
        }
        Ok(Self(attributes))
    }

    pub fn attributes(&self) -> &[Attribute] {
        &self.0
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The first value of this type.
    pub fn first(&self, kind: AttributeType) -> Option<&str> {
        self.all(kind).next()
    }

    /// All values of this type, in order.
    pub fn all(&self, kind: AttributeType) -> impl Iterator<Item = &str> {
        self.0.iter().filter(move |one| one.kind == kind).map(|one| one.value.as_str())
    }

    pub fn to_der(&self) -> Vec<u8> {
        let mut out = Writer::new();
        self.write(&mut out);
        out.into_bytes()
    }

    pub(crate) fn write(&self, w: &mut Writer) {
        w.nested(tag::SEQUENCE, |w| {
            for Attribute { kind, value } in &self.0 {
                w.nested(tag::SET, |w| {
                    w.nested(tag::SEQUENCE, |w| {
                        w.oid_bytes(kind.oid_bytes());
                        w.primitive(kind.string_tag(), value.as_bytes());
                    });
                });
            }
        });
    }

    /// Strict: single-valued RDNs of known types in UTF8String, PrintableString or IA5String, each value as `new` wants
    /// it.
    pub fn from_der(der: &[u8]) -> Result<Self, NameError> {
        canonical::check(der)?;
        let mut attributes = Vec::new();
        for_each_attribute(der, |kind, value, is_first_of_rdn| {
            if !is_first_of_rdn {
                let message = "The name has an RDN with several values; send each value as an RDN of its own";
                return Err(NameError::new("name.multi_valued_rdn", message));
            }
            let text = strings::modern_text(&value)
                .map_err(|error| NameError::new("name.string_type", format!("The {kind} is {error}")))?;
            attributes.push(Attribute::new(kind, text));
            Ok(())
        })?;
        Self::new(attributes)
    }

    /// As it stands in somebody else's certificate: several values in an RDN follow each other, every string type is
    /// read, and bounds are not checked.
    pub(crate) fn from_foreign_der(der: &[u8]) -> Result<Self, NameError> {
        let mut attributes = Vec::new();
        for_each_attribute(der, |kind, value, _| {
            attributes.push(Attribute { kind, value: strings::any_text(&value)? });
            Ok(())
        })?;
        Ok(Self(attributes))
    }

    /// Whether `self` is `ancestor` or below it: its first RDNs are the same (RFC 5280 §7.1, compared without regard to
    /// case and the number of blanks).
    pub(crate) fn is_within(&self, ancestor: &Self) -> bool {
        self.0.len() >= ancestor.0.len()
            && self
                .0
                .iter()
                .zip(&ancestor.0)
                .all(|(ours, theirs)| ours.kind == theirs.kind && folded(&ours.value).eq(folded(&theirs.value)))
    }
}

impl TryFrom<Vec<Attribute>> for DistinguishedName {
    type Error = NameError;

    fn try_from(attributes: Vec<Attribute>) -> Result<Self, NameError> {
        Self::new(attributes)
    }
}

impl From<DistinguishedName> for Vec<Attribute> {
    fn from(name: DistinguishedName) -> Self {
        name.0
    }
}

/// Lower case, with runs of blanks as one.
fn folded(value: &str) -> impl Iterator<Item = char> + '_ {
    value.split_whitespace().flat_map(|word| word.chars().chain([' '])).flat_map(char::to_lowercase)
}

fn too_many() -> NameError {
    let message = format!("The name has more than {} attributes", DistinguishedName::ATTRIBUTES_MAX);
    NameError::new("name.too_long", message)
}

/// Calls `each(type, value, is the first of its RDN)` in encoded order.
fn for_each_attribute<'a>(
    der: &'a [u8],
    mut each: impl FnMut(AttributeType, Tlv<'a>, bool) -> Result<(), NameError>,
) -> Result<(), NameError> {
    let mut outer = Reader::new(der);
    let mut rdns = outer.sequence("something other than a name")?;
    outer.finish()?;
    let mut count = 0;
    while !rdns.is_empty() {
        let mut values = rdns.expect(tag::SET, "something other than an RDN")?.reader();
        let mut is_first = true;
        while is_first || !values.is_empty() {
            let mut pair = values.sequence("something other than an attribute of a name")?;
            let oid = pair.expect(tag::OID, "something other than an attribute type")?;
            let value = pair.any()?;
            pair.finish()?;
            let kind = AttributeType::from_oid_bytes(oid.content).ok_or_else(|| unknown_type(oid))?;
            count += 1;
            if count > DistinguishedName::ATTRIBUTES_MAX {
                return Err(too_many());
            }
            each(kind, value, is_first)?;
            is_first = false;
        }
    }
    Ok(())
}

fn unknown_type(oid: Tlv<'_>) -> NameError {
    let dotted = crate::asn1::oid::to_identifier(oid.content, oid.offset)
        .map_or_else(|_| hex::encode(oid.content), |oid| oid.to_string());
    NameError::new("name.attribute_type", format!("The name has an attribute of the unknown type {dotted}"))
}

/// RFC 4514 §2: most specific first.
impl fmt::Display for DistinguishedName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, attribute) in self.0.iter().rev().enumerate() {
            if position > 0 {
                f.write_str(",")?;
            }
            write!(f, "{}=", attribute.kind.short())?;
            write_escaped(f, &attribute.value)?;
        }
        Ok(())
    }
}

/// A value as it stands in RFC 4514 text.
pub(crate) fn foreign_text(value: &str) -> String {
    struct Escaped<'a>(&'a str);
    impl fmt::Display for Escaped<'_> {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write_escaped(f, self.0)
        }
    }
    Escaped(value).to_string()
}

/// RFC 4514 §2.4.
fn write_escaped(f: &mut fmt::Formatter<'_>, value: &str) -> fmt::Result {
    let last = value.char_indices().last().map_or(0, |(at, _)| at);
    for (at, one) in value.char_indices() {
        match one {
            '"' | '+' | ',' | ';' | '<' | '>' | '\\' => write!(f, "\\{one}")?,
            ' ' | '#' if at == 0 => write!(f, "\\{one}")?,
            ' ' if at == last => write!(f, "\\{one}")?,
            _ if one.is_control() => {
                let mut octets = [0; 4];
                for octet in one.encode_utf8(&mut octets).bytes() {
                    write!(f, "\\{octet:02X}")?;
                }
            }
            _ => write!(f, "{one}")?,
        }
    }
    Ok(())
}

/// Takes back what `Display` writes; keys are read without regard to case, also in their long form.
impl std::str::FromStr for DistinguishedName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let mut attributes = Vec::new();
        let mut rest = text;
        while !rest.is_empty() {
            let malformed = || {
                let message = format!("{} is not of the form CN=name,O=organization", shown(text));
                NameError::new("name.distinguished_name", message)
            };
            let (key, after_key) = rest.split_once('=').ok_or_else(malformed)?;
            let key = key.trim();
            let kind = AttributeType::ALL
                .iter()
                .copied()
                .find(|one| one.short().eq_ignore_ascii_case(key) || one.as_str().eq_ignore_ascii_case(key))
                .ok_or_else(malformed)?;
            let (value, after_value) = unescaped_value(after_key).ok_or_else(malformed)?;
            attributes.push(Attribute { kind, value });
            rest = match after_value {
                None => "",
                Some("") => return Err(malformed()),
                Some(more) => more,
            };
            if attributes.len() > Self::ATTRIBUTES_MAX {
                return Err(too_many());
            }
        }
        attributes.reverse();
        Self::new(attributes)
    }
}

/// A value up to an unescaped comma, and what follows the comma if there is one. A plus sign would begin a second value
/// of the same RDN and is refused.
fn unescaped_value(text: &str) -> Option<(String, Option<&str>)> {
    let mut octets = Vec::new();
    let mut input = text.bytes().enumerate();
    let mut rest = None;
    while let Some((at, octet)) = input.next() {
        match octet {
            b',' => {
                rest = text.get(at + 1..);
                break;
            }
            b'+' | b';' | b'"' | b'<' | b'>' => return None,
            b'\\' => match input.next()?.1 {
                high if high.is_ascii_hexdigit() => {
                    let low = input.next()?.1;
                    octets.push(u8::from_str_radix(std::str::from_utf8(&[high, low]).ok()?, 16).ok()?);
                }
                plain if b" #=\"+,;<>\\".contains(&plain) => octets.push(plain),
                _ => return None,
            },
            plain => octets.push(plain),
        }
    }
    Some((String::from_utf8(octets).ok()?, rest))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn name(attributes: &[(AttributeType, &str)]) -> Result<DistinguishedName, NameError> {
        DistinguishedName::new(attributes.iter().map(|(kind, value)| Attribute::new(*kind, *value)).collect())
    }

    #[test]
    fn values_are_bounded_in_characters_and_cleaned() {
        let check = |kind: AttributeType, value: &str, expected: Result<&str, &str>| {
            let result = name(&[(kind, value)]);
            assert_eq!(
                result.as_ref().map(|name| name.first(kind).unwrap()).map_err(|error| error.code),
                expected,
                "{kind} {value:?}"
            );
        };
        check(AttributeType::CommonName, &"ü".repeat(64), Ok(&"ü".repeat(64)));
        check(AttributeType::CommonName, &"a".repeat(65), Err("name.too_long"));
        check(AttributeType::Locality, &"a".repeat(128), Ok(&"a".repeat(128)));
        check(AttributeType::Country, "de", Ok("DE"));
        check(AttributeType::Country, "DEU", Err("name.too_long"));
        check(AttributeType::Country, "D1", Err("name.characters"));
        check(AttributeType::Country, "ß", Err("name.characters"));
        check(AttributeType::CommonName, "", Err("name.empty"));
        check(AttributeType::CommonName, "a\0b", Err("name.characters"));
        check(AttributeType::CommonName, "a\nb", Err("name.characters"));
        check(AttributeType::CommonName, "Jane\u{202e}eoD", Err("name.characters"));
        check(AttributeType::CommonName, "Ja\u{200b}ne", Err("name.characters"));
        check(AttributeType::Organization, " a", Err("name.characters"));
        check(AttributeType::Organization, "a\u{a0}", Err("name.characters"));
        check(AttributeType::SerialNumber, "a_b", Err("name.characters"));
        check(AttributeType::DomainComponent, "a.b", Err("name.characters"));
        check(AttributeType::EmailAddress, "Me@ACME.com", Ok("Me@acme.com"));
        check(AttributeType::EmailAddress, "me", Err("name.email"));
    }

    #[test]
    fn the_text_form_puts_the_most_specific_first_and_escapes() {
        let check = |attributes: &[(AttributeType, &str)], text: &str| {
            let name = name(attributes).unwrap();
            assert_eq!(name.to_string(), text);
            assert_eq!(text.parse::<DistinguishedName>().unwrap(), name);
        };
        check(
            &[
                (AttributeType::Country, "DE"),
                (AttributeType::Organization, "Acme, Inc."),
                (AttributeType::CommonName, "a"),
            ],
            "CN=a,O=Acme\\, Inc.,C=DE",
        );
        check(&[(AttributeType::CommonName, "#a+b\"c\\d<e>;=")], "CN=\\#a\\+b\\\"c\\\\d\\<e\\>\\;=");
        check(&[], "");
        for malformed in ["CN", "CN=a,", "CN=a+O=b", "XY=a", "CN=a\\", "CN=\\zz", "CN=a,,O=b", "=a"] {
            assert!(malformed.parse::<DistinguishedName>().is_err(), "{malformed}");
        }
        assert_eq!("cn=a, Common_Name=b".parse::<DistinguishedName>().unwrap().to_string(), "CN=a,CN=b");
    }

    #[test]
    fn old_string_types_and_multi_valued_rdns_are_read_from_foreign_names_only() {
        let check = |der: &str, strict: Result<&str, &str>, lenient: &str| {
            let der = hex::decode(der.replace(' ', "")).unwrap();
            let result = DistinguishedName::from_der(&der).map(|name| name.to_string()).map_err(|error| error.code);
            assert_eq!(result, strict.map(str::to_owned), "{}", hex::encode(&der));
            assert_eq!(DistinguishedName::from_foreign_der(&der).unwrap().to_string(), lenient);
        };
        check("30 0c 31 0a 30 08 06 03 55 04 03 0c 01 61", Ok("CN=a"), "CN=a");
        check("30 0c 31 0a 30 08 06 03 55 04 03 14 01 e4", Err("name.string_type"), "CN=ä");
        check("30 0d 31 0b 30 09 06 03 55 04 03 1e 02 00 61", Err("name.string_type"), "CN=a");
        check(
            "30 16 31 14 30 08 06 03 55 04 03 0c 01 61 30 08 06 03 55 04 0a 0c 01 62",
            Err("name.multi_valued_rdn"),
            "O=b,CN=a",
        );
        let unknown = hex::decode("300c310a30080603550463 0c0161".replace(' ', "")).unwrap();
        assert_eq!(DistinguishedName::from_der(&unknown).unwrap_err().code, "name.attribute_type");
    }

    #[test]
    fn more_than_sixty_four_attributes_are_refused() {
        let many = vec![Attribute::new(AttributeType::OrganizationalUnit, "a"); 65];
        let der = DistinguishedName(many.clone()).to_der();
        assert_eq!(DistinguishedName::new(many).unwrap_err().code, "name.too_long");
        assert_eq!(DistinguishedName::from_der(&der).unwrap_err().code, "name.too_long");
    }

    fn any_attribute() -> impl Strategy<Value = Attribute> {
        let kinds = vec![AttributeType::CommonName, AttributeType::Organization, AttributeType::OrganizationalUnit];
        (
            proptest::sample::select(kinds),
            "[^\\p{Cc}\\p{Cf}\\s]([^\\p{Cc}\\p{Cf}\\p{Zl}\\p{Zp}]{0,20}[^\\p{Cc}\\p{Cf}\\s])?",
        )
            .prop_map(|(kind, value)| Attribute { kind, value })
    }

    proptest! {
        #[test]
        fn names_survive_der_text_and_json(attributes in proptest::collection::vec(any_attribute(), 0..8)) {
            let name = DistinguishedName::new(attributes).unwrap();
            prop_assert_eq!(&DistinguishedName::from_der(&name.to_der()).unwrap(), &name);
            prop_assert_eq!(&DistinguishedName::from_foreign_der(&name.to_der()).unwrap(), &name);
            prop_assert_eq!(&name.to_string().parse::<DistinguishedName>().unwrap(), &name);
            let json = serde_json::to_string(&name).unwrap();
            prop_assert_eq!(&serde_json::from_str::<DistinguishedName>(&json).unwrap(), &name);
        }

        #[test]
        fn arbitrary_octets_and_text_never_panic(octets: Vec<u8>, text: String) {
            let _ = DistinguishedName::from_der(&octets);
            let _ = DistinguishedName::from_foreign_der(&octets);
            let _ = text.parse::<DistinguishedName>();
        }
    }
}
