//! Certification requests that no honest program makes. All are signed with the key they carry where a signature would
//! matter, so that the fault under test is the only one.

use chancery_keys::{PrivateKey, Signer as _};
use chancery_pkix::{DistinguishedName, KeyAlgorithm, SignatureAlgorithm, assemble, pem};

pub const SEQUENCE: u8 = 0x30;
pub const SET: u8 = 0x31;
pub const OCTET_STRING: u8 = 4;
pub const EXTENSION_REQUEST: &[u8] = &[6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 14];
pub const CHALLENGE_PASSWORD: &[u8] = &[6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 7];
pub const SAN: &[u8] = &[0x55, 0x1d, 17];
pub const KEY_USAGE: &[u8] = &[0x55, 0x1d, 15];
pub const EXTENDED_KEY_USAGE: &[u8] = &[0x55, 0x1d, 37];
pub const CERTIFICATE_POLICIES: &[u8] = &[0x55, 0x1d, 32];

/// Tag, DER length, and the parts one after another.
pub fn tlv(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let content = parts.concat();
    let length = content.len().to_be_bytes();
    let significant = &length[length.iter().take_while(|byte| **byte == 0).count().min(length.len() - 1)..];
    let mut out = vec![tag];
    if content.len() >= 0x80 {
        out.push(0x80 | u8::try_from(significant.len()).unwrap());
    }
    out.extend_from_slice(significant);
    out.extend(content);
    out
}

pub fn extension(oid: &[u8], flag: &[u8], value: &[u8]) -> Vec<u8> {
    tlv(SEQUENCE, &[&tlv(6, &[oid]), flag, &tlv(OCTET_STRING, &[value])])
}

pub fn extension_request(extensions: &[&[u8]]) -> Vec<u8> {
    tlv(SEQUENCE, &[EXTENSION_REQUEST, &tlv(SET, &[&tlv(SEQUENCE, extensions)])])
}

pub fn to_pem(der: &[u8]) -> String {
    pem::encode(pem::CERTIFICATE_REQUEST, der)
}

/// A P-256 key and a subject to make requests with.
pub struct Forge {
    key: PrivateKey,
    pub spki: Vec<u8>,
    pub subject: Vec<u8>,
}

impl Forge {
    pub fn new() -> Self {
        let key = PrivateKey::generate(KeyAlgorithm::EcP256).unwrap();
        let subject = "CN=www.acme.test".parse::<DistinguishedName>().unwrap().to_der();
        Self { spki: key.public_key().spki_der().to_vec(), key, subject }
    }

    pub fn sign(&self, info: &[u8]) -> Vec<u8> {
        let algorithm = SignatureAlgorithm::EcdsaSha256;
        assemble(info, algorithm, &self.key.sign(algorithm, info).unwrap())
    }

    pub fn with_attributes(&self, attributes: &[&[u8]]) -> Vec<u8> {
        self.sign(&self.info(&self.spki, attributes))
    }

    pub fn with_extensions(&self, extensions: &[&[u8]]) -> Vec<u8> {
        self.with_attributes(&[&extension_request(extensions)])
    }

    /// The request carries another key than the one that signs.
    pub fn with_key(&self, spki: &[u8]) -> Vec<u8> {
        self.sign(&self.info(spki, &[]))
    }

    fn info(&self, spki: &[u8], attributes: &[&[u8]]) -> Vec<u8> {
        tlv(SEQUENCE, &[&[2, 1, 0], &self.subject, spki, &tlv(0xa0, attributes)])
    }

    /// The public point, uncompressed: 04, x, y.
    pub fn point(&self) -> Vec<u8> {
        self.spki[self.spki.len() - 65..].to_vec()
    }
}

/// An RSA key of this modulus and exponent (contents of the INTEGERs), with a signature that only looks like one.
pub fn rsa_request(forge: &Forge, modulus: &[u8], exponent: &[u8]) -> Vec<u8> {
    let key = tlv(SEQUENCE, &[&tlv(2, &[modulus]), &tlv(2, &[exponent])]);
    let rsa = tlv(SEQUENCE, &[&[6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1], &[5, 0]]);
    let spki = tlv(SEQUENCE, &[&rsa, &tlv(3, &[&[0], &key])]);
    let info = tlv(SEQUENCE, &[&[2, 1, 0], &forge.subject, &spki, &[0xa0, 0]]);
    assemble(&info, SignatureAlgorithm::RsaSha256, &vec![1; modulus.len().min(8_192)])
}

/// An odd modulus of exactly so many bits, as the contents of an INTEGER.
pub fn modulus(bits: usize) -> Vec<u8> {
    let mut octets = vec![0xff; bits.div_ceil(8)];
    octets[0] = 0xff >> ((8 - bits % 8) % 8);
    if octets[0] >= 0x80 {
        octets.insert(0, 0);
    }
    octets
}

/// A P-256 key whose point is these octets.
pub fn ec_spki(point: &[u8]) -> Vec<u8> {
    let curve = [&[6, 7, 0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1][..], &[6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7]];
    tlv(SEQUENCE, &[&tlv(SEQUENCE, &curve), &tlv(3, &[&[0], point])])
}
