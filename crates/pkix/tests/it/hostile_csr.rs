//! Requests that somebody made to break us. All of them are signed where a signature would matter, so that the fault
//! under test is the only one.

use chancery_pkix::{CertificationRequest, DistinguishedName, KeyAlgorithm, SignatureAlgorithm, assemble, pem};

use crate::judge::tlv;
use crate::signing::Key;

const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const OCTET_STRING: u8 = 4;
const EXTENSION_REQUEST: &[u8] = &[6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 14];
const CHALLENGE_PASSWORD: &[u8] = &[6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 7];

struct Forge {
    key: Key,
    spki: Vec<u8>,
    subject: Vec<u8>,
}

impl Forge {
    fn new() -> Self {
        let key = Key::generate(KeyAlgorithm::EcP256);
        let subject = "CN=a".parse::<DistinguishedName>().unwrap().to_der();
        Self { spki: key.public().spki_der().to_vec(), key, subject }
    }

    fn sign(&self, info: &[u8]) -> Vec<u8> {
        let algorithm = SignatureAlgorithm::EcdsaSha256;
        assemble(info, algorithm, &self.key.sign(algorithm, info))
    }

    fn with_attributes(&self, attributes: &[&[u8]]) -> Vec<u8> {
        let attributes = tlv(0xa0, attributes);
        self.sign(&tlv(SEQUENCE, &[&[2, 1, 0], &self.subject, &self.spki, &attributes]))
    }

    fn with_extensions(&self, extensions: &[&[u8]]) -> Vec<u8> {
        self.with_attributes(&[&extension_request(extensions)])
    }
}

fn extension_request(extensions: &[&[u8]]) -> Vec<u8> {
    tlv(SEQUENCE, &[EXTENSION_REQUEST, &tlv(SET, &[&tlv(SEQUENCE, extensions)])])
}

fn extension(oid: &[u8], flag: &[u8], value: &[u8]) -> Vec<u8> {
    tlv(SEQUENCE, &[&tlv(6, &[oid]), flag, &tlv(OCTET_STRING, &[value])])
}

fn code(der: &[u8]) -> Option<&'static str> {
    CertificationRequest::from_der(der).err().map(|error| error.code)
}

#[test]
fn no_changed_octet_goes_unnoticed() {
    let forge = Forge::new();
    let good =
        forge.with_extensions(&[&extension(&[0x55, 0x1d, 17], &[], &tlv(SEQUENCE, &[&tlv(0x82, &[b"a.acme.com"])]))]);
    assert_eq!(code(&good), None);
    for at in 0..good.len() {
        for bit in [0x01, 0x80] {
            let mut changed = good.clone();
            changed[at] ^= bit;
            assert!(code(&changed).is_some(), "octet {at} bit {bit:x}");
        }
    }
    let mut last = good.clone();
    *last.last_mut().unwrap() ^= 1;
    assert_eq!(code(&last), Some("csr.bad_signature"));
}

#[test]
fn a_signature_by_another_key_is_refused() {
    let (forge, other) = (Forge::new(), Forge::new());
    let info = tlv(SEQUENCE, &[&[2, 1, 0], &forge.subject, &forge.spki, &[0xa0, 0]]);
    assert_eq!(code(&forge.sign(&info)), None);
    assert_eq!(code(&other.sign(&info)), Some("csr.bad_signature"));
}

#[test]
fn attributes_may_be_absent_but_nothing_else() {
    let forge = Forge::new();
    assert_eq!(code(&forge.sign(&tlv(SEQUENCE, &[&[2, 1, 0], &forge.subject, &forge.spki]))), None);
    assert_eq!(code(&forge.sign(&tlv(SEQUENCE, &[&[2, 1, 0], &forge.subject]))), Some("asn1.not_der"));
    assert_eq!(code(&forge.sign(&tlv(SEQUENCE, &[&forge.subject, &forge.spki]))), Some("asn1.not_der"));
    let twice = tlv(SEQUENCE, &[&[2, 1, 0], &forge.subject, &forge.spki, &[0xa0, 0], &[0xa0, 0]]);
    assert_eq!(code(&forge.sign(&twice)), Some("asn1.not_der"));
    let version_2 = tlv(SEQUENCE, &[&[2, 1, 1], &forge.subject, &forge.spki, &[0xa0, 0]]);
    assert_eq!(code(&forge.sign(&version_2)), Some("csr.version"));
}

#[test]
fn trailing_data_is_refused_wherever_it_stands() {
    let forge = Forge::new();
    let mut after = forge.with_attributes(&[]);
    after.push(0);
    assert_eq!(code(&after), Some("asn1.not_der"));
    let san = |value: &[u8]| forge.with_extensions(&[&extension(&[0x55, 0x1d, 17], &[], value)]);
    let names = tlv(SEQUENCE, &[&tlv(0x82, &[b"a.b"])]);
    assert_eq!(code(&san(&names)), None);
    assert_eq!(code(&san(&[&names[..], &[0]].concat())), Some("asn1.not_der"));
    assert_eq!(code(&san(&[&names[..], &names[..]].concat())), Some("asn1.not_der"));
    assert_eq!(code(&san(&[])), Some("asn1.not_der"));
    assert_eq!(code(&san(&[SEQUENCE, 0])), Some("asn1.not_der"));
}

#[test]
fn everything_may_occur_once_only() {
    let forge = Forge::new();
    let usage = extension(&[0x55, 0x1d, 15], &[1, 1, 0xff], &[3, 2, 7, 0x80]);
    assert_eq!(code(&forge.with_extensions(&[&usage])), None);
    assert_eq!(code(&forge.with_extensions(&[&usage, &usage])), Some("csr.duplicate_extension"));
    let unknown = extension(&[0x2a, 3, 4], &[], b"anything");
    assert_eq!(code(&forge.with_extensions(&[&unknown])), None);
    assert_eq!(code(&forge.with_extensions(&[&unknown, &unknown])), Some("csr.duplicate_extension"));
    let request = extension_request(&[&usage]);
    assert_eq!(code(&forge.with_attributes(&[&request, &request])), Some("csr.duplicate_attribute"));
    let sequence = tlv(SEQUENCE, &[&usage]);
    let two_values = tlv(SEQUENCE, &[EXTENSION_REQUEST, &tlv(SET, &[&sequence, &sequence])]);
    assert_eq!(code(&forge.with_attributes(&[&two_values])), Some("asn1.not_der"));
}

#[test]
fn encodings_that_are_not_der_are_refused_with_the_offset() {
    let forge = Forge::new();
    let check = |der: &[u8]| {
        let error = CertificationRequest::from_der(der).unwrap_err();
        assert_eq!(error.code, "asn1.not_der");
        assert!(error.message.contains("offset"), "{}", error.message);
    };
    check(&forge.with_extensions(&[&extension(&[0x55, 0x1d, 15], &[1, 1, 1], &[3, 2, 7, 0x80])]));
    check(&forge.with_extensions(&[&extension(&[0x55, 0x1d, 15], &[1, 1, 0], &[3, 2, 7, 0x80])]));
    check(&forge.with_extensions(&[&extension(&[0x55, 0x1d, 15], &[], &[3, 2, 0, 0x80])]));
    check(&forge.with_extensions(&[&extension(&[0x55, 0x1d, 15], &[], &[3, 3, 7, 0x80, 0])]));
    check(&forge.with_extensions(&[&extension(&[0x55, 0x1d, 19], &[], &[SEQUENCE, 3, 1, 1, 0])]));
    check(&forge.with_extensions(&[&extension(&[0x55, 0x1d, 19], &[], &[SEQUENCE, 4, 2, 2, 0, 1])]));

    let password = tlv(SEQUENCE, &[CHALLENGE_PASSWORD, &tlv(SET, &[&tlv(0x0c, &[b"secret"])])]);
    let request = extension_request(&[]);
    let (first, second) = if password < request { (&password, &request) } else { (&request, &password) };
    assert_eq!(code(&forge.with_attributes(&[first, second])), None);
    check(&forge.with_attributes(&[second, first]));

    let good = forge.with_attributes(&[]);
    let indefinite = [&[SEQUENCE, 0x80], &good[4 - usize::from(good[1] < 0x82)..], &[0, 0]].concat();
    check(&indefinite);
    let long_zero = tlv(SEQUENCE, &[&[2, 2, 0, 0], &forge.subject, &forge.spki, &[0xa0, 0]]);
    check(&forge.sign(&long_zero));
    let deep = (0..20).fold(vec![5, 0], |inner, _| tlv(SEQUENCE, &[&inner]));
    check(&forge.with_attributes(&[&tlv(SEQUENCE, &[CHALLENGE_PASSWORD, &tlv(SET, &[&deep])])]));
    check(&[]);
    check(&[SEQUENCE, 0]);
    check(&[0; 1000]);
}

#[test]
fn the_challenge_password_is_reported_and_never_shown() {
    let forge = Forge::new();
    let password = tlv(SEQUENCE, &[CHALLENGE_PASSWORD, &tlv(SET, &[&tlv(0x0c, &[b"tell-nobody"])])]);
    let csr = CertificationRequest::from_der(&forge.with_attributes(&[&password])).unwrap();
    assert_eq!(csr.ignored_attributes()[0].to_string(), "1.2.840.113549.1.9.7");
    assert!(csr.has_challenge_password());
    let octets_in_debug = format!("{:?}", b"tell-nobody");
    let shown = format!("{csr:?}");
    assert!(!shown.contains("tell-nobody") && !shown.contains(octets_in_debug.trim_matches(['[', ']'])), "{shown}");
}

#[test]
fn giant_keys_are_refused_before_any_arithmetic() {
    let check = |modulus_octets: usize, exponent: &[u8], expected: &str| {
        let modulus = [&[0u8][..], &vec![0xff; modulus_octets]].concat();
        let key = tlv(SEQUENCE, &[&tlv(2, &[&modulus]), &tlv(2, &[exponent])]);
        let rsa = tlv(SEQUENCE, &[&[6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1], &[5, 0]]);
        let spki = tlv(SEQUENCE, &[&rsa, &tlv(3, &[&[0], &key])]);
        let info = tlv(SEQUENCE, &[&[2, 1, 0], &[SEQUENCE, 0], &spki, &[0xa0, 0]]);
        let der = assemble(&info, SignatureAlgorithm::RsaSha256, &vec![1; modulus_octets]);
        assert_eq!(code(&der), Some(expected), "{modulus_octets} octets");
    };
    check(2048, &[1, 0, 1], "key.size");
    check(8192, &[1, 0, 1], "key.size");
    check(20_000, &[1, 0, 1], "key.size");
    check(256, &[3], "key.exponent");
    check(256, &[0x7f; 300], "key.exponent");
}

#[test]
fn too_many_names_and_too_much_text_are_refused() {
    let forge = Forge::new();
    let many: Vec<u8> = (0..1001u16).flat_map(|at| tlv(0x87, &[&[10, 0], &at.to_be_bytes()])).collect();
    let der = forge.with_extensions(&[&extension(&[0x55, 0x1d, 17], &[], &tlv(SEQUENCE, &[&many]))]);
    assert_eq!(code(&der), Some("csr.too_large"));
    assert_eq!(code(&vec![SEQUENCE; 65 * 1024]), Some("csr.too_large"));
    let error = CertificationRequest::from_pem(&" ".repeat(10 << 20)).unwrap_err();
    assert_eq!(error.code, "csr.too_large");
}

#[test]
fn one_clean_pem_block_is_accepted_and_nothing_else() {
    let der = Forge::new().with_attributes(&[]);
    let good = pem::encode(pem::CERTIFICATE_REQUEST, &der);
    let body: String = good.lines().filter(|line| !line.starts_with('-')).collect();
    let wrapped = |label: &str, body: &str| format!("-----BEGIN {label}-----\n{body}\n-----END {label}-----\n");
    let check = |text: &str, expected: Option<&str>| {
        let error = CertificationRequest::from_pem(text).err();
        assert_eq!(error.as_ref().map(|error| error.code), expected, "{text}");
    };
    check(&good, None);
    check(good.trim_end(), None);
    check(&good.replace('\n', "\r\n"), None);
    check(&format!("\n\t {good} \r\n\n"), None);
    check(&wrapped("CERTIFICATE REQUEST", &body), None);
    check(&wrapped("NEW CERTIFICATE REQUEST", &body), None);
    check(&format!("{good}{good}"), Some("csr.pem"));
    check(&format!("{good}{}", wrapped("CERTIFICATE", &body)), Some("csr.pem"));
    check(&wrapped("CERTIFICATE", &body), Some("csr.pem"));
    check(&format!("\u{feff}{good}"), Some("csr.pem"));
    check(&format!("{good}junk"), Some("csr.pem"));
    check(&format!("junk\n{good}"), Some("csr.pem"));
    check(&body, Some("csr.pem"));
    check("", Some("csr.pem"));
    check(good.trim_end_matches("-----END CERTIFICATE REQUEST-----\n"), Some("csr.pem"));
    check(&good.replace("END CERTIFICATE REQUEST", "END CERTIFICATE"), Some("csr.pem"));
    check(&wrapped("CERTIFICATE REQUEST", &format!("{}!", &body[1..])), Some("csr.pem"));
    check(&wrapped("CERTIFICATE REQUEST", ""), Some("asn1.not_der"));
    check(&wrapped("CERTIFICATE REQUEST", &format!("Proc-Type: 4,ENCRYPTED\n\n{body}")), Some("csr.pem"));
    for label in ["PRIVATE KEY", "EC PRIVATE KEY", "ENCRYPTED PRIVATE KEY", "RSA PRIVATE KEY"] {
        check(&format!("{}{good}", wrapped(label, "AAAA")), Some("csr.private_key"));
        check(&format!("{good}-----BEGIN {label}-----"), Some("csr.private_key"));
    }
    let junk = format!("-----BEGIN CERTIFICATE REQUEST-----\n{}", "A".repeat(60_000));
    check(&junk, Some("csr.pem"));
}

proptest::proptest! {
    #[test]
    fn arbitrary_input_never_panics(octets: Vec<u8>, text: String) {
        let _ = CertificationRequest::from_der(&octets);
        let _ = CertificationRequest::from_pem(&text);
        let _ = CertificationRequest::from_pem(&pem::encode(pem::CERTIFICATE_REQUEST, &octets));
    }
}
