//! Key usages and extended key usages (RFC 5280 §4.2.1.3, §4.2.1.12): the closed sets this product issues.

use const_oid::ObjectIdentifier;
use serde::{Deserialize, Serialize};

/// One bit of the KeyUsage extension, in bit order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum KeyUsage {
    DigitalSignature,
    NonRepudiation,
    KeyEncipherment,
    DataEncipherment,
    KeyAgreement,
    KeyCertSign,
    CrlSign,
    EncipherOnly,
    DecipherOnly,
}

impl KeyUsage {
    pub const ALL: &[Self] = &[
        Self::DigitalSignature,
        Self::NonRepudiation,
        Self::KeyEncipherment,
        Self::DataEncipherment,
        Self::KeyAgreement,
        Self::KeyCertSign,
        Self::CrlSign,
        Self::EncipherOnly,
        Self::DecipherOnly,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::DigitalSignature => "digital_signature",
            Self::NonRepudiation => "non_repudiation",
            Self::KeyEncipherment => "key_encipherment",
            Self::DataEncipherment => "data_encipherment",
            Self::KeyAgreement => "key_agreement",
            Self::KeyCertSign => "key_cert_sign",
            Self::CrlSign => "crl_sign",
            Self::EncipherOnly => "encipher_only",
            Self::DecipherOnly => "decipher_only",
        }
    }

    /// The older spelling, such as `cRLSign`; accepted when read.
    pub const fn legacy_str(self) -> &'static str {
        match self {
            Self::DigitalSignature => "digitalSignature",
            Self::NonRepudiation => "nonRepudiation",
            Self::KeyEncipherment => "keyEncipherment",
            Self::DataEncipherment => "dataEncipherment",
            Self::KeyAgreement => "keyAgreement",
            Self::KeyCertSign => "keyCertSign",
            Self::CrlSign => "cRLSign",
            Self::EncipherOnly => "encipherOnly",
            Self::DecipherOnly => "decipherOnly",
        }
    }

    /// For people.
    pub const fn label(self) -> &'static str {
        match self {
            Self::DigitalSignature => "Digital signature",
            Self::NonRepudiation => "Non-repudiation",
            Self::KeyEncipherment => "Key encipherment",
            Self::DataEncipherment => "Data encipherment",
            Self::KeyAgreement => "Key agreement",
            Self::KeyCertSign => "Certificate signing",
            Self::CrlSign => "CRL signing",
            Self::EncipherOnly => "Encipher only",
            Self::DecipherOnly => "Decipher only",
        }
    }

    const fn mask(self) -> u16 {
        1 << (self as u16)
    }
}

text_enum!(KeyUsage, "key usage", |one| one.legacy_str());

/// A set of key usages. Iterates in bit order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct KeyUsages(u16);

impl KeyUsages {
    pub const fn new() -> Self {
        Self(0)
    }

    pub const fn contains(self, usage: KeyUsage) -> bool {
        self.0 & usage.mask() != 0
    }

    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub const fn len(self) -> usize {
        self.0.count_ones() as usize
    }

    pub fn insert(&mut self, usage: KeyUsage) {
        self.0 |= usage.mask();
    }

    pub fn remove(&mut self, usage: KeyUsage) {
        self.0 &= !usage.mask();
    }

    pub fn iter(self) -> impl Iterator<Item = KeyUsage> {
        KeyUsage::ALL.iter().copied().filter(move |one| self.contains(*one))
    }

    /// BIT STRING contents (unused-bit count, then octets) with trailing zero bits removed (X.690 §11.2.2). Named bits
    /// count from the most significant bit of the first octet (X.690 §8.6.2.1).
    pub(crate) fn to_bit_string(self) -> Vec<u8> {
        let [low, high] = self.0.to_le_bytes();
        let (first, second) = (low.reverse_bits(), high.reverse_bits());
        let octets: &[u8] = match (first, second) {
            (0, 0) => &[],
            (_, 0) => &[first],
            _ => &[first, second],
        };
        let unused = octets.last().map_or(0, |last| last.trailing_zeros() as u8);
        let mut out = vec![unused];
        out.extend_from_slice(octets);
        out
    }

    /// Reads BIT STRING contents. Bits that the standard does not define are `None`.
    pub(crate) fn from_bit_string(contents: &[u8]) -> Option<Self> {
        let (_, octets) = contents.split_first()?;
        if octets.len() > 2 {
            return None;
        }
        let first = octets.first().copied().unwrap_or(0).reverse_bits();
        let second = octets.get(1).copied().unwrap_or(0).reverse_bits();
        (second <= 1).then_some(Self(u16::from(first) | (u16::from(second) << 8)))
    }
}

impl FromIterator<KeyUsage> for KeyUsages {
    fn from_iter<I: IntoIterator<Item = KeyUsage>>(usages: I) -> Self {
        let mut set = Self::new();
        usages.into_iter().for_each(|one| set.insert(one));
        set
    }
}

impl Serialize for KeyUsages {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter())
    }
}

impl<'de> Deserialize<'de> for KeyUsages {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Vec::<KeyUsage>::deserialize(deserializer)?.into_iter().collect())
    }
}

/// A purpose of the ExtendedKeyUsage extension.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ExtendedKeyUsage {
    ClientAuth,
    ServerAuth,
    CodeSigning,
    EmailProtection,
    OcspSigning,
    TimeStamping,
    AnyPurpose,
}

impl ExtendedKeyUsage {
    pub const ALL: &[Self] = &[
        Self::ClientAuth,
        Self::ServerAuth,
        Self::CodeSigning,
        Self::EmailProtection,
        Self::OcspSigning,
        Self::TimeStamping,
        Self::AnyPurpose,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ClientAuth => "client_auth",
            Self::ServerAuth => "server_auth",
            Self::CodeSigning => "code_signing",
            Self::EmailProtection => "email_protection",
            Self::OcspSigning => "ocsp_signing",
            Self::TimeStamping => "time_stamping",
            Self::AnyPurpose => "any_purpose",
        }
    }

    /// The older spelling, such as `clientAuth`; accepted when read.
    pub const fn legacy_str(self) -> &'static str {
        match self {
            Self::ClientAuth => "clientAuth",
            Self::ServerAuth => "serverAuth",
            Self::CodeSigning => "codeSigning",
            Self::EmailProtection => "emailProtection",
            Self::OcspSigning => "ocspSigning",
            Self::TimeStamping => "timeStamping",
            Self::AnyPurpose => "anyExtendedKeyUsage",
        }
    }

    /// For people.
    pub const fn label(self) -> &'static str {
        match self {
            Self::ClientAuth => "TLS client",
            Self::ServerAuth => "TLS server",
            Self::CodeSigning => "Code signing",
            Self::EmailProtection => "E-mail protection",
            Self::OcspSigning => "OCSP signing",
            Self::TimeStamping => "Time stamping",
            Self::AnyPurpose => "Any purpose",
        }
    }

    pub const fn oid(self) -> ObjectIdentifier {
        ObjectIdentifier::new_unwrap(match self {
            Self::ClientAuth => "1.3.6.1.5.5.7.3.2",
            Self::ServerAuth => "1.3.6.1.5.5.7.3.1",
            Self::CodeSigning => "1.3.6.1.5.5.7.3.3",
            Self::EmailProtection => "1.3.6.1.5.5.7.3.4",
            Self::OcspSigning => "1.3.6.1.5.5.7.3.9",
            Self::TimeStamping => "1.3.6.1.5.5.7.3.8",
            Self::AnyPurpose => "2.5.29.37.0",
        })
    }

    /// The purpose with these OID content octets.
    pub(crate) fn from_oid_bytes(bytes: &[u8]) -> Option<Self> {
        match bytes {
            [0x2b, 6, 1, 5, 5, 7, 3, last] => match last {
                1 => Some(Self::ServerAuth),
                2 => Some(Self::ClientAuth),
                3 => Some(Self::CodeSigning),
                4 => Some(Self::EmailProtection),
                8 => Some(Self::TimeStamping),
                9 => Some(Self::OcspSigning),
                _ => None,
            },
            [0x55, 0x1d, 37, 0] => Some(Self::AnyPurpose),
            _ => None,
        }
    }
}

text_enum!(ExtendedKeyUsage, "extended key usage", |one| one.legacy_str());

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usages_are_read_in_both_spellings() {
        for one in KeyUsage::ALL {
            assert_eq!(one.as_str().parse::<KeyUsage>().unwrap(), *one);
            assert_eq!(one.legacy_str().parse::<KeyUsage>().unwrap(), *one);
        }
        for one in ExtendedKeyUsage::ALL {
            assert_eq!(one.as_str().parse::<ExtendedKeyUsage>().unwrap(), *one);
            assert_eq!(one.legacy_str().parse::<ExtendedKeyUsage>().unwrap(), *one);
            assert_eq!(ExtendedKeyUsage::from_oid_bytes(one.oid().as_bytes()), Some(*one));
        }
        assert!("crlSign".parse::<KeyUsage>().is_err());
    }

    #[test]
    fn every_set_of_key_usages_survives_its_bit_string() {
        for bits in 0..512 {
            let set = KeyUsages(bits);
            let encoded = set.to_bit_string();
            assert_eq!(KeyUsages::from_bit_string(&encoded), Some(set));
            assert!(encoded.len() == 1 || *encoded.last().unwrap() != 0, "a trailing zero octet for {set:?}");
        }
        assert_eq!(KeyUsages::from_bit_string(&[6, 0, 0x40]), None, "bit 9 is not defined");
    }

    #[test]
    fn a_set_of_usages_is_a_json_list_in_bit_order() {
        let set: KeyUsages = [KeyUsage::CrlSign, KeyUsage::DigitalSignature].into_iter().collect();
        assert_eq!(serde_json::to_string(&set).unwrap(), r#"["digital_signature","crl_sign"]"#);
        assert_eq!(serde_json::from_str::<KeyUsages>(r#"["cRLSign","digitalSignature"]"#).unwrap(), set);
        assert_eq!([KeyUsage::CrlSign].into_iter().collect::<KeyUsages>().to_bit_string(), [1, 2]);
    }
}
