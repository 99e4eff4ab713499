//! The character string types that names use: which octets they allow, and their text.

use super::{DerError, Tlv, tag};

/// X.680 §41.4.
pub(crate) fn is_printable(octet: u8) -> bool {
    octet.is_ascii_alphanumeric() || b" '()+,-./:=?".contains(&octet)
}

/// Whether the contents are of the alphabet that the tag promises. Types without a check here are taken as they are.
pub(crate) fn is_of_its_alphabet(tag: u8, content: &[u8]) -> bool {
    match tag {
        tag::UTF8_STRING => std::str::from_utf8(content).is_ok(),
        tag::NUMERIC_STRING => content.iter().all(|octet| octet.is_ascii_digit() || *octet == b' '),
        tag::PRINTABLE_STRING => content.iter().copied().all(is_printable),
        tag::IA5_STRING => content.is_ascii(),
        tag::VISIBLE_STRING => content.iter().all(|octet| (0x20..0x7f).contains(octet)),
        tag::BMP_STRING => content.len().is_multiple_of(2),
        tag::UNIVERSAL_STRING => content.len().is_multiple_of(4),
        _ => true,
    }
}

/// The text of a string in a type that new names may use: UTF8String, PrintableString, IA5String.
pub(crate) fn modern_text<'a>(value: &Tlv<'a>) -> Result<&'a str, DerError> {
    if !matches!(value.tag, tag::UTF8_STRING | tag::PRINTABLE_STRING | tag::IA5_STRING) {
        return Err(value.error("a string type other than UTF8String, PrintableString and IA5String"));
    }
    if !is_of_its_alphabet(value.tag, value.content) {
        return Err(value.error("a string with characters outside its type"));
    }
    std::str::from_utf8(value.content).map_err(|_| value.error("a string that is not UTF-8"))
}

/// The text of a string in any type that old certificates use. TeletexString is read as Latin-1, as everybody does.
pub(crate) fn any_text(value: &Tlv<'_>) -> Result<String, DerError> {
    let text = match value.tag {
        tag::UTF8_STRING | tag::PRINTABLE_STRING | tag::IA5_STRING | tag::NUMERIC_STRING | tag::VISIBLE_STRING => {
            std::str::from_utf8(value.content).ok().map(str::to_owned)
        }
        tag::TELETEX_STRING => Some(value.content.iter().copied().map(char::from).collect()),
        tag::BMP_STRING => {
            let (units, rest) = value.content.as_chunks::<2>();
            let units: Vec<u16> = units.iter().map(|pair| u16::from_be_bytes(*pair)).collect();
            rest.is_empty().then(|| String::from_utf16(&units).ok()).flatten()
        }
        tag::UNIVERSAL_STRING => {
            let (units, rest) = value.content.as_chunks::<4>();
            let text = units.iter().map(|four| char::from_u32(u32::from_be_bytes(*four))).collect();
            if rest.is_empty() { text } else { None }
        }
        _ => None,
    };
    text.ok_or_else(|| value.error("a string that cannot be read"))
}
