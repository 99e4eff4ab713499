//! Certificate serial numbers (RFC 5280 §4.1.2.2): positive, at most 20 octets as encoded. Randomness comes from the
//! caller.

use serde::{Deserialize, Serialize};

/// A text or octet string that is no serial number.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("A serial number is 1 to 20 octets, positive, in hexadecimal: {0}")]
pub struct SerialError(&'static str);

/// A serial number, kept as its magnitude without leading zero octets.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SerialNumber {
    length: u8,
    octets: [u8; Self::OCTETS_MAX],
}

impl SerialNumber {
    /// RFC 5280 §4.1.2.2, counted after the sign octet.
    pub const OCTETS_MAX: usize = 20;

    /// 126 random bits: the top bit is cleared so the number is positive, the next one set so that its length never
    /// varies and no sign octet is ever needed.
    pub fn from_random(mut random: [u8; 16]) -> Self {
        if let Some(first) = random.first_mut() {
            *first = (*first & 0x7f) | 0x40;
        }
        Self::from_magnitude(&random)
    }

    /// A big-endian magnitude; leading zero octets are dropped.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, SerialError> {
        let first = bytes.iter().position(|octet| *octet != 0).ok_or(SerialError("it is empty or zero"))?;
        let magnitude = bytes.get(first..).unwrap_or_default();
        let sign_octet = usize::from(magnitude.first().is_some_and(|octet| *octet >= 0x80));
        if magnitude.len() + sign_octet > Self::OCTETS_MAX {
            return Err(SerialError("it is too long"));
        }
        Ok(Self::from_magnitude(magnitude))
    }

    /// What stands in somebody else's certificate: zero and the 21-octet form occur there.
    pub(crate) fn from_foreign(magnitude: &[u8]) -> Option<Self> {
        (magnitude.len() <= Self::OCTETS_MAX).then(|| Self::from_magnitude(magnitude))
    }

    /// Lower or upper case hexadecimal, with or without colons between octets.
    pub fn parse_hex(text: &str) -> Result<Self, SerialError> {
        if text.len() > 3 * (Self::OCTETS_MAX + 1) {
            return Err(SerialError("it is too long"));
        }
        let digits: String = if text.contains(':') {
            let groups: Vec<&str> = text.split(':').collect();
            if groups.iter().any(|group| group.len() != 2) {
                return Err(SerialError("colons stand between pairs of digits only"));
            }
            groups.concat()
        } else if text.len() % 2 == 1 {
            format!("0{text}")
        } else {
            text.to_owned()
        };
        let bytes = hex::decode(digits).map_err(|_| SerialError("it has other characters"))?;
        Self::from_bytes(&bytes)
    }

    /// Lower case, two digits per octet, no separators: the one text form used everywhere.
    pub fn to_hex(&self) -> String {
        if self.as_bytes().is_empty() { "00".to_owned() } else { hex::encode(self.as_bytes()) }
    }

    /// The content octets of the INTEGER: the magnitude, behind a zero octet where its top bit is set.
    pub fn to_content_octets(&self) -> Vec<u8> {
        let magnitude = self.as_bytes();
        let needs_sign = magnitude.first().is_none_or(|top| *top >= 0x80);
        std::iter::repeat_n(0, usize::from(needs_sign)).chain(magnitude.iter().copied()).collect()
    }

    pub fn as_bytes(&self) -> &[u8] {
        self.octets.get(..usize::from(self.length)).unwrap_or_default()
    }

    /// The caller has checked the length.
    fn from_magnitude(magnitude: &[u8]) -> Self {
        let mut octets = [0; Self::OCTETS_MAX];
        octets.iter_mut().zip(magnitude).for_each(|(to, from)| *to = *from);
        Self { length: magnitude.len().min(Self::OCTETS_MAX) as u8, octets }
    }
}

impl std::fmt::Display for SerialNumber {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.to_hex())
    }
}

impl std::fmt::Debug for SerialNumber {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SerialNumber({})", self.to_hex())
    }
}

impl std::str::FromStr for SerialNumber {
    type Err = SerialError;

    fn from_str(text: &str) -> Result<Self, SerialError> {
        Self::parse_hex(text)
    }
}

impl Serialize for SerialNumber {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.to_hex())
    }
}

impl<'de> Deserialize<'de> for SerialNumber {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn random_serials_are_positive_and_of_constant_length() {
        for seed in [[0u8; 16], [0xff; 16], [0x80; 16]] {
            let serial = SerialNumber::from_random(seed);
            assert_eq!(serial.as_bytes().len(), 16);
            assert_eq!(serial.as_bytes()[0] & 0xc0, 0x40);
            assert_eq!(SerialNumber::parse_hex(&serial.to_hex()).unwrap(), serial);
        }
    }

    #[test]
    fn one_text_form_is_written_and_several_are_read() {
        let check = |text: &str, expected: Option<&str>| {
            assert_eq!(SerialNumber::parse_hex(text).ok().map(|one| one.to_hex()).as_deref(), expected, "{text}");
        };
        check("0a", Some("0a"));
        check("A", Some("0a"));
        check("0A:Bc", Some("0abc"));
        check("00:ff", Some("ff"));
        check("A:BC", None);
        check("0x0a", None);
        check("", None);
        check("00", None);
        check("-1", None);
        check(&"7f".repeat(20), Some(&"7f".repeat(20)));
        check(&"80".repeat(20), None);
        check(&"01".repeat(21), None);
        check(&"1".repeat(100_000), None);
    }
}
