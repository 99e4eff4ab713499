//! Walks a whole encoding and refuses whatever is BER but not DER (X.690 §10, §11).

use super::reader::DEPTH_MAX;
use super::{DerError, Reader, Tlv, strings, tag, time};

/// The input is exactly one value in canonical form, nested at most [`DEPTH_MAX`] deep.
pub(crate) fn check(input: &[u8]) -> Result<(), DerError> {
    check_at(input, 0)
}

/// The same for a value that stands at `offset` of an outer input, such as the contents of an extension.
pub(crate) fn check_at(input: &[u8], offset: usize) -> Result<(), DerError> {
    let mut reader = Reader::at(input, offset);
    let value = reader.any()?;
    reader.finish()?;
    check_value(value, DEPTH_MAX)
}

fn check_value(value: Tlv<'_>, depth_left: u8) -> Result<(), DerError> {
    const CONSTRUCTED: u8 = 0x20;
    const CLASS: u8 = 0xc0;
    if value.tag & CONSTRUCTED == 0 {
        return if value.tag & CLASS == 0 { check_primitive(value) } else { Ok(()) };
    }
    if value.tag & CLASS == 0 && !matches!(value.tag, tag::SEQUENCE | tag::SET) {
        return Err(value.error("a string in constructed form"));
    }
    let Some(depth_left) = depth_left.checked_sub(1) else { return Err(value.error("a value nested too deep")) };
    let mut reader = value.reader();
    let mut previous: &[u8] = &[];
    while !reader.is_empty() {
        let inner = reader.any()?;
        check_value(inner, depth_left)?;
        // The elements of a SET OF ascend as octet strings; SET elements ascend by tag, which is the same comparison.
        if value.tag == tag::SET && inner.raw < previous {
            return Err(inner.error("a set that is not sorted"));
        }
        previous = inner.raw;
    }
    Ok(())
}

fn check_primitive(value: Tlv<'_>) -> Result<(), DerError> {
    let content = value.content;
    match value.tag {
        tag::BOOLEAN => match content {
            [0 | 0xff] => Ok(()),
            _ => Err(value.error("a boolean other than 00 and FF")),
        },
        tag::INTEGER | tag::ENUMERATED => match content {
            [] => Err(value.error("an integer without contents")),
            [0, next, ..] if *next < 0x80 => Err(value.error("an integer that is not in the shortest form")),
            [0xff, next, ..] if *next >= 0x80 => Err(value.error("an integer that is not in the shortest form")),
            _ => Ok(()),
        },
        tag::BIT_STRING => match content {
            [0] | [0, ..] => Ok(()),
            [unused @ 1..=7, .., last] if last.trailing_zeros() >= u32::from(*unused) => Ok(()),
            _ => Err(value.error("a bit string whose unused bits are not zero")),
        },
        tag::NULL if !content.is_empty() => Err(value.error("a null with contents")),
        tag::OID => check_oid(value),
        tag::UTC_TIME | tag::GENERALIZED_TIME => time::read(value).map(|_| ()),
        tag::SEQUENCE_PRIMITIVE | tag::SET_PRIMITIVE => Err(value.error("a sequence or set in primitive form")),
        other if !strings::is_of_its_alphabet(other, content) => {
            Err(value.error("a string with characters outside its type"))
        }
        _ => Ok(()),
    }
}

/// Every component in the shortest form and complete (X.690 §8.19.2).
fn check_oid(value: Tlv<'_>) -> Result<(), DerError> {
    let mut at_start = true;
    for octet in value.content {
        if at_start && *octet == 0x80 {
            return Err(value.error("an object identifier that is not in the shortest form"));
        }
        at_start = *octet < 0x80;
    }
    if at_start && !value.content.is_empty() { Ok(()) } else { Err(value.error("an incomplete object identifier")) }
}

#[cfg(test)]
mod tests {
    #[test]
    fn whatever_is_not_der_is_refused_with_its_offset() {
        let check = |der: &str, expected: Option<usize>| {
            let der = hex::decode(der.replace(' ', "")).unwrap();
            assert_eq!(super::check(&der).err().map(|error| error.offset), expected, "{}", hex::encode(der));
        };
        check("30 03 01 01 ff", None);
        check("30 03 01 01 01", Some(2));
        check("30 80 05 00 00 00", Some(0));
        check("30 81 02 05 00", Some(0));
        check("30 82 00 02 05 00", Some(0));
        check("05 00 00", Some(2));
        check("02 02 00 7f", Some(0));
        check("02 02 00 80", None);
        check("02 02 ff 80", Some(0));
        check("02 00", Some(0));
        check("03 02 01 01", Some(0));
        check("03 02 07 80", None);
        check("03 01 01", Some(0));
        check("03 00", Some(0));
        check("05 01 00", Some(0));
        check("06 02 2a 80", Some(0));
        check("06 03 2a 80 01", Some(0));
        check("06 00", Some(0));
        check("24 03 04 01 00", Some(0));
        check("31 06 02 01 02 02 01 01", Some(5));
        check("31 06 02 01 01 02 01 02", None);
        check("13 01 2a", Some(0));
        check("0c 01 ff", Some(0));
        check("10 00", Some(0));
        check("1f 1f 00", Some(0));
        check("30 04 05 00", Some(0));
        check("", Some(0));
    }

    #[test]
    fn nesting_deeper_than_sixteen_is_refused() {
        let nested = |levels: usize| {
            (1..levels).fold(vec![0x30, 0], |inner, _| {
                let mut outer = vec![0x30, inner.len() as u8];
                outer.extend(inner);
                outer
            })
        };
        assert!(super::check(&nested(16)).is_ok());
        assert!(super::check(&nested(17)).is_err());
    }

    proptest::proptest! {
        #[test]
        fn arbitrary_octets_never_panic(input: Vec<u8>) {
            let _ = super::check(&input);
        }
    }
}
