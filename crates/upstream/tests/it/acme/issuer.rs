//! A CA made within the test, for what the stand-in issues.

use aws_lc_rs::encoding::{AsDer as _, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _};
use chancery_pkix::{
    Attribute, AttributeType, BasicConstraints, CertificationRequestInfo, DistinguishedName, ExtendedKeyUsage,
    Extensions, GeneralName, KeyUsage, KeyUsages, PublicKey, SerialNumber, SignatureAlgorithm, TbsCertificate,
    Validity, assemble,
};

/// 2001 to 2099: the test's clock may stand anywhere in between.
pub const VALIDITY: Validity = Validity { not_before: 978_307_200, not_after: 4_070_908_800 };

pub struct Key {
    pair: EcdsaKeyPair,
    public: PublicKey,
}

impl Key {
    pub fn new() -> Self {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap();
        let spki: PublicKeyX509Der<'_> = pair.public_key().as_der().unwrap();
        let public = PublicKey::from_spki_der(spki.as_ref()).unwrap();
        Self { pair, public }
    }

    pub fn public_key(&self) -> &PublicKey {
        &self.public
    }

    fn sign(&self, message: &[u8]) -> Vec<u8> {
        self.pair.sign(&SystemRandom::new(), message).unwrap().as_ref().to_vec()
    }
}

/// A CA; its own certificate is made when somebody above signs it.
pub struct Issuer {
    pub key: Key,
    pub subject: DistinguishedName,
}

impl Issuer {
    pub fn new(common_name: &str) -> Self {
        let key = Key::new();
        let subject = name(common_name);
        Self { key, subject }
    }

    /// Another certificate for the key and name of this CA, by `above`: a cross-signature.
    pub fn crossed(&self, above: &Self) -> Vec<u8> {
        sign(&above.key, &above.subject, &self.subject, self.key.public_key(), &ca_extensions(&self.key))
    }

    pub fn issue(&self, common_name: &str, public_key: &PublicKey, names: Vec<GeneralName>) -> Vec<u8> {
        let extensions = Extensions {
            key_usages: [KeyUsage::DigitalSignature].into_iter().collect(),
            extended_key_usages: vec![ExtendedKeyUsage::ServerAuth],
            subject_alt_names: names,
            subject_key_id: public_key.key_id().to_vec(),
            authority_key_id: Some(self.key.public_key().key_id().to_vec()),
            ..Extensions::default()
        };
        sign(&self.key, &self.subject, &name(common_name), public_key, &extensions)
    }
}

pub fn name(common_name: &str) -> DistinguishedName {
    DistinguishedName::new(vec![Attribute::new(AttributeType::CommonName, common_name)]).unwrap()
}

fn ca_extensions(key: &Key) -> Extensions {
    Extensions {
        basic_constraints: Some(BasicConstraints { is_ca: true, path_length: None }),
        key_usages: [KeyUsage::KeyCertSign, KeyUsage::CrlSign].into_iter().collect(),
        subject_key_id: key.public_key().key_id().to_vec(),
        authority_key_id: Some(key.public_key().key_id().to_vec()),
        ..Extensions::default()
    }
}

fn sign(
    key: &Key,
    issuer: &DistinguishedName,
    subject: &DistinguishedName,
    public_key: &PublicKey,
    extensions: &Extensions,
) -> Vec<u8> {
    let mut random = [0; 16];
    aws_lc_rs::rand::fill(&mut random).unwrap();
    let tbs = TbsCertificate {
        serial: &SerialNumber::from_random(random),
        signature_algorithm: SignatureAlgorithm::EcdsaSha256,
        issuer_der: &issuer.to_der(),
        validity: VALIDITY,
        subject_der: &subject.to_der(),
        public_key,
        extensions,
    };
    let tbs = tbs.to_der().unwrap();
    assemble(&tbs, SignatureAlgorithm::EcdsaSha256, &key.sign(&tbs))
}

/// A request for these names, with a key of its own.
pub fn csr(names: &[GeneralName]) -> (Key, Vec<u8>) {
    let key = Key::new();
    let info = CertificationRequestInfo {
        subject_der: &DistinguishedName::default().to_der(),
        public_key: key.public_key(),
        subject_alt_names: names,
        key_usages: KeyUsages::default(),
        extended_key_usages: &[],
        basic_constraints: None,
    };
    let info = info.to_der();
    let signature = key.sign(&info);
    let csr = assemble(&info, SignatureAlgorithm::EcdsaSha256, &signature);
    (key, csr)
}
