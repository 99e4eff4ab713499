//! Keys made for a test, one per algorithm, that sign.

use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{self, EcdsaKeyPair, Ed25519KeyPair, KeyPair, PqdsaKeyPair, RsaEncoding, RsaKeyPair};
use chancery_pkix::{KeyAlgorithm, PublicKey, SignatureAlgorithm};

pub enum Key {
    Rsa(RsaKeyPair),
    Ec(KeyAlgorithm, Vec<u8>),
    Ed25519(Ed25519KeyPair),
    MlDsa(PqdsaKeyPair),
}

impl Key {
    pub fn generate(algorithm: KeyAlgorithm) -> Self {
        let ec = |signing| {
            let pair = EcdsaKeyPair::generate(signing).unwrap();
            Self::Ec(algorithm, pair.to_pkcs8v1().unwrap().as_ref().to_vec())
        };
        match algorithm {
            KeyAlgorithm::Rsa2048 => Self::Rsa(RsaKeyPair::generate(KeySize::Rsa2048).unwrap()),
            KeyAlgorithm::Rsa3072 => Self::Rsa(RsaKeyPair::generate(KeySize::Rsa3072).unwrap()),
            KeyAlgorithm::Rsa4096 => Self::Rsa(RsaKeyPair::generate(KeySize::Rsa4096).unwrap()),
            KeyAlgorithm::EcP256 => ec(&signature::ECDSA_P256_SHA256_ASN1_SIGNING),
            KeyAlgorithm::EcP384 => ec(&signature::ECDSA_P384_SHA384_ASN1_SIGNING),
            KeyAlgorithm::EcP521 => ec(&signature::ECDSA_P521_SHA512_ASN1_SIGNING),
            KeyAlgorithm::Ed25519 => Self::Ed25519(Ed25519KeyPair::generate().unwrap()),
            KeyAlgorithm::MlDsa44 => Self::MlDsa(PqdsaKeyPair::generate(&signature::ML_DSA_44_SIGNING).unwrap()),
            KeyAlgorithm::MlDsa65 => Self::MlDsa(PqdsaKeyPair::generate(&signature::ML_DSA_65_SIGNING).unwrap()),
            KeyAlgorithm::MlDsa87 => Self::MlDsa(PqdsaKeyPair::generate(&signature::ML_DSA_87_SIGNING).unwrap()),
        }
    }

    pub fn public(&self) -> PublicKey {
        let spki = match self {
            Self::Rsa(pair) => pair.public_key().as_der().unwrap().as_ref().to_vec(),
            Self::Ec(algorithm, pkcs8) => {
                let signing = ec_signing(algorithm.default_signature(), *algorithm);
                let pair = EcdsaKeyPair::from_pkcs8(signing, pkcs8).unwrap();
                pair.public_key().as_der().unwrap().as_ref().to_vec()
            }
            Self::Ed25519(pair) => pair.public_key().as_der().unwrap().as_ref().to_vec(),
            Self::MlDsa(pair) => pair.public_key().as_der().unwrap().as_ref().to_vec(),
        };
        PublicKey::from_spki_der(&spki).unwrap()
    }

    pub fn sign(&self, algorithm: SignatureAlgorithm, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match self {
            Self::Rsa(pair) => {
                let mut out = vec![0; pair.public_modulus_len()];
                pair.sign(rsa_encoding(algorithm), &random, message, &mut out).unwrap();
                out
            }
            Self::Ec(key, pkcs8) => {
                let pair = EcdsaKeyPair::from_pkcs8(ec_signing(algorithm, *key), pkcs8).unwrap();
                pair.sign(&random, message).unwrap().as_ref().to_vec()
            }
            Self::Ed25519(pair) => pair.sign(message).as_ref().to_vec(),
            Self::MlDsa(pair) => {
                let mut out = vec![0; 8192];
                let length = pair.sign(message, &mut out).unwrap();
                out.truncate(length);
                out
            }
        }
    }
}

/// Whether a test key of this kind can sign so.
pub fn can_sign(key: KeyAlgorithm, algorithm: SignatureAlgorithm) -> bool {
    let is_small_curve = matches!(key, KeyAlgorithm::EcP256 | KeyAlgorithm::EcP384);
    algorithm.fits(key) && (!is_small_curve || algorithm == key.default_signature())
}

fn rsa_encoding(algorithm: SignatureAlgorithm) -> &'static dyn RsaEncoding {
    match algorithm {
        SignatureAlgorithm::RsaSha256 => &signature::RSA_PKCS1_SHA256,
        SignatureAlgorithm::RsaSha384 => &signature::RSA_PKCS1_SHA384,
        SignatureAlgorithm::RsaSha512 => &signature::RSA_PKCS1_SHA512,
        SignatureAlgorithm::RsaPssSha256 => &signature::RSA_PSS_SHA256,
        SignatureAlgorithm::RsaPssSha384 => &signature::RSA_PSS_SHA384,
        _ => &signature::RSA_PSS_SHA512,
    }
}

/// The library signs with the other hashes on P-521 only; openssl makes those for the other curves in `csr`.
fn ec_signing(algorithm: SignatureAlgorithm, key: KeyAlgorithm) -> &'static signature::EcdsaSigningAlgorithm {
    use SignatureAlgorithm as S;
    match (key, algorithm) {
        (KeyAlgorithm::EcP256, _) => &signature::ECDSA_P256_SHA256_ASN1_SIGNING,
        (KeyAlgorithm::EcP384, _) => &signature::ECDSA_P384_SHA384_ASN1_SIGNING,
        (_, S::EcdsaSha256) => &signature::ECDSA_P521_SHA256_ASN1_SIGNING,
        (_, S::EcdsaSha384) => &signature::ECDSA_P521_SHA384_ASN1_SIGNING,
        _ => &signature::ECDSA_P521_SHA512_ASN1_SIGNING,
    }
}
