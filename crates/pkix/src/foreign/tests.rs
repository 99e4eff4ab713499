use super::*;
use crate::asn1::Writer;

/// A certificate from hand. Every part is already encoded.
#[derive(Clone)]
struct Draft {
    version: Vec<u8>,
    serial: Vec<u8>,
    algorithm: Vec<u8>,
    issuer: Vec<u8>,
    validity: Vec<u8>,
    subject: Vec<u8>,
    spki: Vec<u8>,
    extensions: Vec<u8>,
}

fn tlv(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let mut w = Writer::new();
    w.primitive(tag, &parts.concat());
    w.into_bytes()
}

fn algorithm(dotted: &str) -> Vec<u8> {
    let oid = const_oid::ObjectIdentifier::new(dotted).unwrap();
    tlv(0x30, &[&tlv(6, &[oid.as_bytes()]), &[5, 0]])
}

fn name_of(attributes: &[(&[u8], u8, &[u8])]) -> Vec<u8> {
    let rdns: Vec<u8> = attributes
        .iter()
        .flat_map(|(oid, tag, value)| tlv(0x31, &[&tlv(0x30, &[&tlv(6, &[oid]), &tlv(*tag, &[value])])]))
        .collect();
    tlv(0x30, &[&rdns])
}

fn rsa(bits: usize) -> Vec<u8> {
    let modulus = [vec![0, 0x80], vec![1; bits / 8 - 1]].concat();
    let key = tlv(0x30, &[&tlv(2, &[&modulus]), &tlv(2, &[&[1, 0, 1]])]);
    tlv(0x30, &[&algorithm("1.2.840.113549.1.1.1"), &tlv(3, &[&[0], &key])])
}

fn extension(oid: &[u8], critical: bool, value: &[u8]) -> Vec<u8> {
    let flag: &[u8] = if critical { &[1, 1, 0xff] } else { &[] };
    tlv(0x30, &[&tlv(6, &[oid]), flag, &tlv(4, &[value])])
}

fn old() -> Draft {
    Draft {
        version: vec![0xa0, 3, 2, 1, 2],
        serial: vec![2, 1, 0x85],
        algorithm: algorithm("1.2.840.113549.1.1.5"),
        issuer: name_of(&[(&[0x55, 4, 10], 0x14, b"M\xfcller")]),
        validity: tlv(0x30, &[&tlv(0x17, &[b"9901010000Z"]), &tlv(0x18, &[b"20300101000000.5+0100"])]),
        subject: name_of(&[
            (&[0x55, 4, 3], 0x1e, &[0, b'a', 0, b',']),
            (&[0x2a, 3], 0x0c, b"x"),
            (&[0x55, 4, 10], 4, b"?"),
        ]),
        spki: rsa(1024),
        extensions: Vec::new(),
    }
}

impl Draft {
    fn der(&self) -> Vec<u8> {
        let extensions =
            if self.extensions.is_empty() { Vec::new() } else { tlv(0xa3, &[&tlv(0x30, &[&self.extensions])]) };
        let tbs = tlv(
            0x30,
            &[
                &self.version,
                &self.serial,
                &self.algorithm,
                &self.issuer,
                &self.validity,
                &self.subject,
                &self.spki,
                &extensions,
            ],
        );
        tlv(0x30, &[&tbs, &self.algorithm, &[3, 2, 0, 1]])
    }

    fn read(&self) -> ForeignCertificate {
        ForeignCertificate::from_der(&self.der()).unwrap()
    }
}

#[test]
fn what_old_software_wrote_is_described() {
    let old = old();
    assert!(crate::Certificate::from_der(&old.der()).is_err());
    let read = old.read();
    assert_eq!(read.serial_hex, "85");
    assert_eq!(read.issuer_text, "O=Müller");
    assert_eq!(read.subject_text, "O=#04013f,1.2.3=x,CN=a\\,");
    assert_eq!(read.subject, [Attribute::new(AttributeType::CommonName, "a,")]);
    assert_eq!((read.key_algorithm, read.key_text.as_str()), (None, "RSA 1024"));
    assert_eq!((read.signature_algorithm, read.signature_text.as_str()), (None, "SHA1-RSA"));
    assert_eq!(read.validity, Validity { not_before: 915_148_800, not_after: 1_893_452_400 });
    assert_eq!((read.issuer_der(), read.subject_der()), (&old.issuer[..], &old.subject[..]));
    assert_eq!((read.spki_der(), read.der()), (&old.spki[..], &old.der()[..]));
    assert!(!read.is_self_issued() && !read.is_ca);
    let same = Draft { subject: old.issuer.clone(), ..old };
    assert!(same.read().is_self_issued());
}

#[test]
fn version_one_and_long_serials_are_read() {
    let draft = Draft { version: Vec::new(), serial: tlv(2, &[&[7; 64]]), ..old() };
    assert_eq!(draft.read().serial_hex, "07".repeat(64));
    let draft = Draft { serial: tlv(2, &[&[7; 65]]), ..old() };
    assert_eq!(ForeignCertificate::from_der(&draft.der()).unwrap_err().code, "certificate.serial");
    let multi = tlv(
        0x30,
        &[
            &tlv(0x30, &[&[6, 3, 0x55, 4, 3], &tlv(12, &[b"a"])]),
            &tlv(0x30, &[&[6, 3, 0x55, 4, 10], &tlv(12, &[b"b"])]),
        ],
    );
    let mut multi = multi;
    multi[0] = 0x31;
    let draft = Draft { subject: tlv(0x30, &[&multi]), ..old() };
    assert_eq!(draft.read().subject_text, "CN=a+O=b");
    assert_eq!(draft.read().subject.len(), 2);
    let attribute: (&[u8], u8, &[u8]) = (&[0x55, 4, 3], 12, b"a");
    let draft = Draft { subject: name_of(&[attribute; 257]), ..old() };
    assert_eq!(ForeignCertificate::from_der(&draft.der()).unwrap_err().code, "asn1.not_der");
}

#[test]
fn extensions_are_described_and_counted() {
    let names =
        tlv(0x30, &[&tlv(0x82, &[b"A_b"]), &tlv(0x87, &[&[1, 2, 3]]), &tlv(0xa5, &[]), &tlv(0x87, &[&[10, 0, 0, 1]])]);
    let purposes = tlv(0x30, &[&tlv(6, &[&[0x2b, 6, 1, 5, 5, 7, 3, 1]]), &tlv(6, &[&[0x2a, 3]])]);
    let extensions = [
        extension(oid::SUBJECT_ALT_NAME, false, &names),
        extension(oid::EXTENDED_KEY_USAGE, true, &purposes),
        extension(oid::KEY_USAGE, false, &[3, 2, 0, 0x86]),
        extension(oid::BASIC_CONSTRAINTS, false, &[0x30, 6, 1, 1, 0xff, 2, 1, 3]),
        extension(&[0x2a, 4], true, b"noise"),
        extension(oid::BASIC_CONSTRAINTS, false, &[0x30, 0]),
        extension(oid::SUBJECT_KEY_IDENTIFIER, false, &[4, 0]),
        extension(&[0x2a, 0x80], false, b""),
    ]
    .concat();
    let read = Draft { extensions, ..old() }.read();
    let expected = [(GeneralNameKind::DnsName, "A_b".to_owned()), (GeneralNameKind::IpAddress, "10.0.0.1".to_owned())];
    assert_eq!(read.subject_alt_names, expected);
    assert_eq!(read.unknown_names, 2);
    assert_eq!(read.extended_key_usages, [ExtendedKeyUsage::ServerAuth]);
    assert_eq!(read.unknown_extended_key_usages, ["1.2.3"]);
    assert_eq!(read.key_usages, [KeyUsage::DigitalSignature, KeyUsage::KeyCertSign, KeyUsage::CrlSign]);
    assert_eq!((read.is_ca, read.path_length), (true, Some(3)));
    assert_eq!(read.unknown_extensions, ["1.2.4", "2.5.29.19", "#2a80"]);
    let broken = Draft { extensions: extension(oid::KEY_USAGE, true, &[5, 0]), ..old() }.read();
    assert_eq!((broken.key_usages.len(), broken.unknown_extensions), (0, vec!["2.5.29.15".to_owned()]));
}

#[test]
fn keys_and_signatures_have_names() {
    let check_key = |identifier: &[u8], bits: &[u8], expected: &str| {
        let spki = tlv(0x30, &[identifier, &tlv(3, &[&[0], bits])]);
        let read = Draft { spki, ..old() }.read();
        assert_eq!((read.key_algorithm, read.key_text.as_str()), (None, expected));
    };
    let ec = |curve: &str| {
        let curve = const_oid::ObjectIdentifier::new(curve).unwrap();
        tlv(0x30, &[&tlv(6, &[oid::EC]), &tlv(6, &[curve.as_bytes()])])
    };
    check_key(&ec("1.3.132.0.10"), &[4; 65], "EC 1.3.132.0.10");
    check_key(&ec("1.2.840.10045.3.1.7"), &[2; 33], "EC P-256");
    check_key(&tlv(0x30, &[&tlv(6, &[oid::EC]), &[0x30, 0]]), &[], "EC");
    check_key(&algorithm("1.2.840.10040.4.1"), &[1], "DSA");
    check_key(&algorithm("1.3.101.113"), &[1], "Ed448");
    check_key(&algorithm("1.2.3.4"), &[1], "1.2.3.4");
    check_key(&algorithm("1.2.840.113549.1.1.1"), b"noise", "RSA");
    let read = Draft { spki: rsa(2048), ..old() }.read();
    assert_eq!((read.key_algorithm, read.key_text.as_str()), (Some(KeyAlgorithm::Rsa2048), "RSA 2048"));
    assert_eq!(Draft { spki: rsa(16_384), ..old() }.read().key_text, "RSA 16384");

    let check_signature = |dotted: &str, algorithm_expected: Option<SignatureAlgorithm>, expected: &str| {
        let read = Draft { algorithm: algorithm(dotted), ..old() }.read();
        assert_eq!((read.signature_algorithm, read.signature_text.as_str()), (algorithm_expected, expected));
    };
    check_signature("1.2.840.113549.1.1.4", None, "MD5-RSA");
    check_signature("1.2.840.113549.1.1.11", Some(SignatureAlgorithm::RsaSha256), "SHA256-RSA");
    // ECDSA with NULL parameters is known and not what the standard says.
    check_signature("1.2.840.10045.4.3.2", None, "SHA256-ECDSA");
    check_signature("1.2.3.4", None, "1.2.3.4");
}

#[test]
fn times_are_read_in_old_forms() {
    let check = |tag: u8, text: &str, expected: Option<i64>| {
        let der = tlv(tag, &[text.as_bytes()]);
        assert_eq!(lenient_time(Reader::new(&der).any().unwrap()).ok(), expected, "{text}");
    };
    check(tag::UTC_TIME, "700101000000Z", Some(0));
    check(tag::UTC_TIME, "7001010000Z", Some(0));
    check(tag::UTC_TIME, "7001010100+0100", Some(0));
    check(tag::UTC_TIME, "691231233000-0030", Some(0));
    check(tag::GENERALIZED_TIME, "19700101000000", Some(0));
    check(tag::GENERALIZED_TIME, "197001010000Z", Some(0));
    check(tag::GENERALIZED_TIME, "19700101000000.999Z", Some(0));
    for text in ["", "Z", "700101000000+1", "700101000000+0a00", "701301000000Z", "\u{0}", "7001010000000000Z"] {
        check(tag::UTC_TIME, text, None);
    }
    check(tag::OCTET_STRING, "700101000000Z", None);
}

proptest::proptest! {
    #[test]
    fn changed_octets_never_panic(
        changes in proptest::collection::vec((proptest::prelude::any::<proptest::sample::Index>(), 0u8..), 1..6),
    ) {
        let names = tlv(0x30, &[&tlv(0x82, &[b"a"]), &tlv(0xa4, &[&old().issuer]), &tlv(0x87, &[&[10, 0, 0, 1]])]);
        let extensions = [
            extension(oid::SUBJECT_ALT_NAME, false, &names),
            extension(oid::BASIC_CONSTRAINTS, false, &[0x30, 6, 1, 1, 0xff, 2, 1, 3]),
            extension(oid::KEY_USAGE, false, &[3, 2, 0, 0x86]),
        ]
        .concat();
        let mut der = Draft { extensions, ..old() }.der();
        for (at, octet) in changes {
            let at = at.index(der.len());
            der[at] = octet;
        }
        if let Ok(read) = ForeignCertificate::from_der(&der) {
            proptest::prop_assert_eq!(read.der(), &der[..]);
        }
    }

    #[test]
    fn arbitrary_octets_never_panic(octets: Vec<u8>) {
        proptest::prop_assert!(ForeignCertificate::from_der(&octets).is_err());
    }

    #[test]
    fn what_is_read_strictly_is_read_leniently(at: proptest::sample::Index, octet: u8) {
        let mut der = Draft { serial: vec![2, 1, 5], algorithm: algorithm("1.2.840.113549.1.1.11"), ..old() }.der();
        let at = at.index(der.len());
        der[at] = octet;
        if crate::Certificate::from_der(&der).is_ok() {
            proptest::prop_assert!(ForeignCertificate::from_der(&der).is_ok());
        }
    }
}
