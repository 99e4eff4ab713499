//! Key and signature algorithms, with the two spellings used for them and their AlgorithmIdentifier bytes.
//! Knows nothing about keys themselves: see `public_key` for those.

use crate::asn1::{Writer, oid, tag};

/// A kind of key with its size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum KeyAlgorithm {
    Rsa2048,
    Rsa3072,
    Rsa4096,
    EcP256,
    EcP384,
    EcP521,
    Ed25519,
    MlDsa44,
    MlDsa65,
    MlDsa87,
}

/// The mathematics behind a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum KeyFamily {
    Rsa,
    Ecdsa,
    Ed25519,
    MlDsa,
}

impl KeyAlgorithm {
    pub const ALL: &[Self] = &[
        Self::Rsa2048,
        Self::Rsa3072,
        Self::Rsa4096,
        Self::EcP256,
        Self::EcP384,
        Self::EcP521,
        Self::Ed25519,
        Self::MlDsa44,
        Self::MlDsa65,
        Self::MlDsa87,
    ];

    /// The spelling of a request, such as `RSA_2048` or `EC_prime256v1`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Rsa2048 => "RSA_2048",
            Self::Rsa3072 => "RSA_3072",
            Self::Rsa4096 => "RSA_4096",
            Self::EcP256 => "EC_prime256v1",
            Self::EcP384 => "EC_secp384r1",
            Self::EcP521 => "EC_secp521r1",
            Self::Ed25519 => "Ed25519",
            Self::MlDsa44 => "ML-DSA-44",
            Self::MlDsa65 => "ML-DSA-65",
            Self::MlDsa87 => "ML-DSA-87",
        }
    }

    /// For people, such as `ECDSA P-256`.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Rsa2048 => "RSA 2048",
            Self::Rsa3072 => "RSA 3072",
            Self::Rsa4096 => "RSA 4096",
            Self::EcP256 => "ECDSA P-256",
            Self::EcP384 => "ECDSA P-384",
            Self::EcP521 => "ECDSA P-521",
            Self::Ed25519 | Self::MlDsa44 | Self::MlDsa65 | Self::MlDsa87 => self.as_str(),
        }
    }

    /// The spelling of a policy, such as `RSA-2048` or `ECDSA-P256`.
    pub const fn policy_str(self) -> &'static str {
        match self {
            Self::Rsa2048 => "RSA-2048",
            Self::Rsa3072 => "RSA-3072",
            Self::Rsa4096 => "RSA-4096",
            Self::EcP256 => "ECDSA-P256",
            Self::EcP384 => "ECDSA-P384",
            Self::EcP521 => "ECDSA-P521",
            other => other.as_str(),
        }
    }

    pub const fn family(self) -> KeyFamily {
        match self {
            Self::Rsa2048 | Self::Rsa3072 | Self::Rsa4096 => KeyFamily::Rsa,
            Self::EcP256 | Self::EcP384 | Self::EcP521 => KeyFamily::Ecdsa,
            Self::Ed25519 => KeyFamily::Ed25519,
            Self::MlDsa44 | Self::MlDsa65 | Self::MlDsa87 => KeyFamily::MlDsa,
        }
    }

    /// Security strength in bits (SP 800-57 part 1, table 2). RSA-4096 is an interpolation.
    pub const fn strength_bits(self) -> u16 {
        match self {
            Self::Rsa2048 => 112,
            Self::Rsa3072 | Self::EcP256 | Self::Ed25519 | Self::MlDsa44 => 128,
            Self::Rsa4096 => 152,
            Self::EcP384 | Self::MlDsa65 => 192,
            Self::EcP521 | Self::MlDsa87 => 256,
        }
    }

    /// What a key of this kind signs with unless told otherwise.
    pub const fn default_signature(self) -> SignatureAlgorithm {
        match self {
            Self::Rsa2048 => SignatureAlgorithm::RsaSha256,
            Self::Rsa3072 => SignatureAlgorithm::RsaSha384,
            Self::Rsa4096 => SignatureAlgorithm::RsaSha512,
            Self::EcP256 => SignatureAlgorithm::EcdsaSha256,
            Self::EcP384 => SignatureAlgorithm::EcdsaSha384,
            Self::EcP521 => SignatureAlgorithm::EcdsaSha512,
            Self::Ed25519 => SignatureAlgorithm::Ed25519,
            Self::MlDsa44 => SignatureAlgorithm::MlDsa44,
            Self::MlDsa65 => SignatureAlgorithm::MlDsa65,
            Self::MlDsa87 => SignatureAlgorithm::MlDsa87,
        }
    }
}

text_enum!(KeyAlgorithm, "key algorithm", |one| one.policy_str());

/// How a signature is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum SignatureAlgorithm {
    RsaSha256,
    RsaSha384,
    RsaSha512,
    RsaPssSha256,
    RsaPssSha384,
    RsaPssSha512,
    EcdsaSha256,
    EcdsaSha384,
    EcdsaSha512,
    Ed25519,
    MlDsa44,
    MlDsa65,
    MlDsa87,
}

impl SignatureAlgorithm {
    pub const ALL: &[Self] = &[
        Self::RsaSha256,
        Self::RsaSha384,
        Self::RsaSha512,
        Self::RsaPssSha256,
        Self::RsaPssSha384,
        Self::RsaPssSha512,
        Self::EcdsaSha256,
        Self::EcdsaSha384,
        Self::EcdsaSha512,
        Self::Ed25519,
        Self::MlDsa44,
        Self::MlDsa65,
        Self::MlDsa87,
    ];

    /// The spelling of a request, such as `RSA-SHA256`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::RsaSha256 => "RSA-SHA256",
            Self::RsaSha384 => "RSA-SHA384",
            Self::RsaSha512 => "RSA-SHA512",
            Self::RsaPssSha256 => "RSA-PSS-SHA256",
            Self::RsaPssSha384 => "RSA-PSS-SHA384",
            Self::RsaPssSha512 => "RSA-PSS-SHA512",
            Self::EcdsaSha256 => "ECDSA-SHA256",
            Self::EcdsaSha384 => "ECDSA-SHA384",
            Self::EcdsaSha512 => "ECDSA-SHA512",
            Self::Ed25519 => "Ed25519",
            Self::MlDsa44 => "ML-DSA-44",
            Self::MlDsa65 => "ML-DSA-65",
            Self::MlDsa87 => "ML-DSA-87",
        }
    }

    /// The spelling of a policy, such as `SHA256-RSA`.
    pub const fn policy_str(self) -> &'static str {
        match self {
            Self::RsaSha256 => "SHA256-RSA",
            Self::RsaSha384 => "SHA384-RSA",
            Self::RsaSha512 => "SHA512-RSA",
            Self::RsaPssSha256 => "SHA256-RSA-PSS",
            Self::RsaPssSha384 => "SHA384-RSA-PSS",
            Self::RsaPssSha512 => "SHA512-RSA-PSS",
            Self::EcdsaSha256 => "SHA256-ECDSA",
            Self::EcdsaSha384 => "SHA384-ECDSA",
            Self::EcdsaSha512 => "SHA512-ECDSA",
            other => other.as_str(),
        }
    }

    pub const fn family(self) -> KeyFamily {
        match self {
            Self::RsaSha256
            | Self::RsaSha384
            | Self::RsaSha512
            | Self::RsaPssSha256
            | Self::RsaPssSha384
            | Self::RsaPssSha512 => KeyFamily::Rsa,
            Self::EcdsaSha256 | Self::EcdsaSha384 | Self::EcdsaSha512 => KeyFamily::Ecdsa,
            Self::Ed25519 => KeyFamily::Ed25519,
            Self::MlDsa44 | Self::MlDsa65 | Self::MlDsa87 => KeyFamily::MlDsa,
        }
    }

    /// Whether a key of this kind can make such a signature. ML-DSA parameter sets must be equal.
    pub fn fits(self, key: KeyAlgorithm) -> bool {
        match self.family() {
            KeyFamily::MlDsa => key.default_signature() == self,
            family => family == key.family(),
        }
    }

    /// The DER AlgorithmIdentifier: PKCS#1 v1.5 with explicit NULL (RFC 4055 §5), RSA-PSS with MGF1 of the same hash
    /// and a salt as long as the hash (RFC 4055 §3.1), all others with parameters absent (RFC 5758 §3.2, RFC 8410 §3,
    /// RFC 9881 §2).
    pub fn identifier_der(self) -> &'static [u8] {
        let at = Self::ALL.iter().position(|one| *one == self).unwrap_or_default();
        IDENTIFIERS.get(at).map_or(&[], Vec::as_slice)
    }

    /// The algorithm that these AlgorithmIdentifier bytes name, if they are exactly the bytes this crate writes.
    pub fn from_identifier_der(der: &[u8]) -> Option<Self> {
        Self::ALL.iter().copied().find(|one| one.identifier_der() == der)
    }

    fn hash_oid(self) -> &'static [u8] {
        match self {
            Self::RsaPssSha256 => oid::SHA256,
            Self::RsaPssSha384 => oid::SHA384,
            _ => oid::SHA512,
        }
    }

    fn encode_identifier(self) -> Vec<u8> {
        let mut out = Writer::new();
        out.nested(tag::SEQUENCE, |w| match self {
            Self::RsaSha256 => with_null(w, oid::RSA_SHA256),
            Self::RsaSha384 => with_null(w, oid::RSA_SHA384),
            Self::RsaSha512 => with_null(w, oid::RSA_SHA512),
            Self::RsaPssSha256 => self.pss(w, 32),
            Self::RsaPssSha384 => self.pss(w, 48),
            Self::RsaPssSha512 => self.pss(w, 64),
            Self::EcdsaSha256 => w.oid_bytes(oid::ECDSA_SHA256),
            Self::EcdsaSha384 => w.oid_bytes(oid::ECDSA_SHA384),
            Self::EcdsaSha512 => w.oid_bytes(oid::ECDSA_SHA512),
            Self::Ed25519 => w.oid_bytes(oid::ED25519),
            Self::MlDsa44 => w.oid_bytes(oid::ML_DSA_44),
            Self::MlDsa65 => w.oid_bytes(oid::ML_DSA_65),
            Self::MlDsa87 => w.oid_bytes(oid::ML_DSA_87),
        });
        out.into_bytes()
    }

    fn pss(self, w: &mut Writer, salt_length: u8) {
        let hash = |w: &mut Writer| w.nested(tag::SEQUENCE, |w| with_null(w, self.hash_oid()));
        w.oid_bytes(oid::RSA_PSS);
        w.nested(tag::SEQUENCE, |w| {
            w.nested(0xa0, hash);
            w.nested(0xa1, |w| {
                w.nested(tag::SEQUENCE, |w| {
                    w.oid_bytes(oid::MGF1);
                    hash(w);
                });
            });
            w.nested(0xa2, |w| w.primitive(tag::INTEGER, &[salt_length]));
        });
    }
}

text_enum!(SignatureAlgorithm, "signature algorithm", |one| one.policy_str());

/// In the order of [`SignatureAlgorithm::ALL`].
static IDENTIFIERS: std::sync::LazyLock<Vec<Vec<u8>>> =
    std::sync::LazyLock::new(|| SignatureAlgorithm::ALL.iter().map(|one| one.encode_identifier()).collect());

fn with_null(w: &mut Writer, oid: &[u8]) {
    w.oid_bytes(oid);
    w.primitive(tag::NULL, &[]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_of_an_algorithm_is_read_back() {
        for one in KeyAlgorithm::ALL {
            assert_eq!(one.as_str().parse::<KeyAlgorithm>().unwrap(), *one);
            assert_eq!(one.policy_str().parse::<KeyAlgorithm>().unwrap(), *one);
            assert!(one.default_signature().fits(*one));
        }
        for one in SignatureAlgorithm::ALL {
            assert_eq!(one.as_str().parse::<SignatureAlgorithm>().unwrap(), *one);
            assert_eq!(one.policy_str().parse::<SignatureAlgorithm>().unwrap(), *one);
            assert_eq!(SignatureAlgorithm::from_identifier_der(one.identifier_der()), Some(*one));
            let json = serde_json::to_string(one).unwrap();
            assert_eq!(serde_json::from_str::<SignatureAlgorithm>(&json).unwrap(), *one);
        }
        assert!("RSA_1024".parse::<KeyAlgorithm>().is_err());
        assert!("RSA-SHA1".parse::<SignatureAlgorithm>().is_err());
    }

    #[test]
    fn ml_dsa_signatures_fit_only_their_own_parameter_set() {
        assert!(!SignatureAlgorithm::MlDsa44.fits(KeyAlgorithm::MlDsa65));
        assert!(SignatureAlgorithm::RsaPssSha512.fits(KeyAlgorithm::Rsa2048));
        assert!(SignatureAlgorithm::EcdsaSha512.fits(KeyAlgorithm::EcP256));
        assert!(!SignatureAlgorithm::EcdsaSha256.fits(KeyAlgorithm::Rsa2048));
    }

    #[test]
    fn identifiers_have_the_parameters_their_standards_ask_for() {
        let check = |algorithm: SignatureAlgorithm, expected: &str| {
            assert_eq!(hex::encode(algorithm.identifier_der()), expected, "{algorithm}");
        };
        check(SignatureAlgorithm::RsaSha256, "300d06092a864886f70d01010b0500");
        check(SignatureAlgorithm::EcdsaSha256, "300a06082a8648ce3d040302");
        check(SignatureAlgorithm::Ed25519, "300506032b6570");
        check(SignatureAlgorithm::MlDsa65, "300b0609608648016503040312");
        check(
            SignatureAlgorithm::RsaPssSha256,
            "304106092a864886f70d01010a3034a00f300d06096086480165030402010500a11c301a06092a864886f70d010108300d\
             06096086480165030402010500a203020120",
        );
    }
}
