use const_oid::ObjectIdentifier;
use proptest::prelude::*;

use super::*;
use crate::asn1::Writer;
use crate::certificate::{BasicConstraints, Extensions};
use crate::name::{GeneralName, GeneralNameKind};
use crate::usage::KeyUsage;

fn tlv(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut w = Writer::new();
    w.primitive(tag, content);
    w.into_bytes()
}

fn sequence(parts: &[&[u8]]) -> Vec<u8> {
    tlv(0x30, &parts.concat())
}

fn object(dotted: &str) -> Vec<u8> {
    tlv(6, ObjectIdentifier::new(dotted).unwrap().as_bytes())
}

/// As much of a certificate as the describer looks at.
fn around(extensions: &[u8]) -> Vec<u8> {
    sequence(&[&sequence(&[&tlv(2, &[1]), &tlv(0xa3, extensions)])])
}

fn one(dotted: &str, value: &[u8]) -> ExtensionDescription {
    let extension = sequence(&[&object(dotted), &tlv(4, value)]);
    let mut all = describe_extensions(&around(&sequence(&[&extension])));
    assert_eq!(all.len(), 1);
    all.remove(0)
}

#[track_caller]
fn check(dotted: &str, value: &[u8], expected: &[&str]) {
    let found = one(dotted, value);
    assert_eq!(found.lines, expected, "{dotted}");
    assert!(found.is_decoded && found.name.is_some(), "{dotted}");
}

#[test]
fn every_extension_that_is_made_here_is_decoded() {
    let name = |kind, text: &str| GeneralName::parse(kind, text).unwrap();
    let all = Extensions {
        basic_constraints: Some(BasicConstraints { is_ca: true, path_length: Some(0) }),
        key_usages: [KeyUsage::KeyCertSign, KeyUsage::CrlSign].into_iter().collect(),
        extended_key_usages: vec![ExtendedKeyUsage::ServerAuth],
        subject_alt_names: vec![
            name(GeneralNameKind::DnsName, "*.acme.com"),
            name(GeneralNameKind::IpAddress, "2001:db8::1"),
            name(GeneralNameKind::DirectoryName, "CN=x,O=y"),
        ],
        subject_key_id: vec![1, 0xab],
        authority_key_id: Some(vec![0xff]),
        name_constraints: Some(
            serde_json::from_str(
                r#"{"permitted":[{"type":"dns_name","value":"acme.com"},{"type":"ip_address","value":"10.0.0.0/8"}],"excluded":[{"type":"email","value":"*"}]}"#,
            )
            .unwrap(),
        ),
        ca_issuers: vec!["http://pki/ca.cer".to_owned()],
        ocsp: vec!["http://pki/ocsp".to_owned()],
        crl_distribution_points: vec!["http://pki/a.crl".to_owned(), "http://other/a.crl".to_owned()],
        freshest_crl: vec!["http://pki/d.crl".to_owned()],
        no_rev_avail: true,
        ocsp_no_check: true,
        acme_identifier: Some([7; 32]),
    };
    let mut w = Writer::new();
    all.write(&mut w, false);
    let found = describe_extensions(&around(&w.into_bytes()));
    assert_eq!(found.len(), 13);
    assert!(found.iter().all(|it| it.is_decoded && it.name.is_some()), "{found:?}");
    let lines = |name: &str| found.iter().find(|it| it.name == Some(name)).unwrap().lines.clone();
    let basic = ["A certification authority", "At most 0 further certification authorities below it"];
    assert_eq!(lines("Basic constraints"), basic);
    assert_eq!(lines("Key usage"), ["Certificate signing", "CRL signing"]);
    assert_eq!(lines("Extended key usage"), ["TLS server (1.3.6.1.5.5.7.3.1)"]);
    let names = ["DNS name: *.acme.com", "IP address: 2001:db8::1", "Directory name: CN=x,O=y"];
    assert_eq!(lines("Subject alternative name"), names);
    assert_eq!(lines("Subject key identifier"), ["01:ab"]);
    assert_eq!(lines("Authority key identifier"), ["ff"]);
    let constraints =
        ["Permitted DNS name: acme.com", "Permitted IP address: 10.0.0.0/8", "Excluded E-mail address: every"];
    assert_eq!(lines("Name constraints"), constraints);
    let accesses = ["OCSP responder: http://pki/ocsp", "Issuer's certificate: http://pki/ca.cer"];
    assert_eq!(lines("Authority information access"), accesses);
    assert_eq!(lines("CRL distribution points"), ["http://pki/a.crl", "http://other/a.crl"]);
    assert!(found.iter().find(|it| it.name == Some("ACME challenge")).unwrap().critical);
}

#[test]
fn usual_extensions_of_others_are_decoded() {
    let cps = sequence(&[&object("1.3.6.1.5.5.7.2.1"), &tlv(0x16, b"http://cps")]);
    let notice = sequence(&[&object("1.3.6.1.5.5.7.2.2"), &sequence(&[&tlv(0x0c, b"read me")])]);
    let policy = sequence(&[&object("2.23.140.1.2.1"), &sequence(&[&cps, &notice])]);
    check(
        "2.5.29.32",
        &sequence(&[&policy, &sequence(&[&object("1.2.3")])]),
        &["domain validated (2.23.140.1.2.1)", "Practice statement: http://cps", "Notice: read me", "1.2.3"],
    );
    check(
        "1.3.6.1.5.5.7.1.24",
        &sequence(&[&tlv(2, &[5])]),
        &["The server must send an OCSP answer along (must-staple)"],
    );
    let mut stamp = vec![0, 43, 0];
    stamp.extend([0xab; 32]);
    stamp.extend(1_768_478_400_000u64.to_be_bytes());
    stamp.extend([0, 0]);
    let list = [vec![0, u8::try_from(stamp.len()).unwrap()], stamp].concat();
    let log = "ab".repeat(32);
    check("1.3.6.1.4.1.11129.2.4.2", &tlv(4, &list), &[&format!("2026-01-15 12:00:00 UTC, by the log {log}")]);
    check("1.3.6.1.4.1.311.20.2", &tlv(0x1e, &[0, b'D', 0, b'C']), &["DC"]);
    check(
        "1.3.6.1.4.1.311.21.7",
        &sequence(&[&object("1.3.6.1.4.1.311.21.8.1"), &tlv(2, &[100]), &tlv(2, &[3])]),
        &["1.3.6.1.4.1.311.21.8.1", "Major version 100", "Minor version 3"],
    );
    check(
        "2.5.29.36",
        &sequence(&[&tlv(0x80, &[0]), &tlv(0x81, &[1, 0])]),
        &["An explicit policy is required after 0 certificates", "Policies are not mapped after 256 certificates"],
    );
    check("2.5.29.16", &sequence(&[&tlv(0x80, b"20260115120000Z")]), &["From 2026-01-15 12:00:00 UTC"]);
    check("2.5.29.35", &sequence(&[&tlv(0x80, &[1]), &tlv(0x82, &[2, 3])]), &["01", "Serial number: 0203"]);
    check("2.5.29.37", &sequence(&[&object("1.3.6.1.5.2.3.4")]), &["Kerberos client (PKINIT) (1.3.6.1.5.2.3.4)"]);
    check("2.5.29.17", &sequence(&[&tlv(0x87, &[1, 2, 3])]), &["IP address: 010203"]);
}

#[test]
fn what_is_unknown_or_broken_is_shown_as_octets() {
    let unknown = one("1.2.3.4", &[0xde; 20]);
    assert_eq!((unknown.name, unknown.is_decoded), (None, false));
    assert_eq!(unknown.lines, [["de"; 16].join(" "), ["de"; 4].join(" ")]);
    let long = one("1.2.3.4", &vec![0; 100_000]);
    assert_eq!((long.lines.len(), long.lines.last().unwrap().as_str()), (17, "… 100000 octets in all"));
    let broken = one("2.5.29.19", &[2, 1, 1]);
    assert_eq!((broken.name, broken.is_decoded), (Some("Basic constraints"), false));
    assert_eq!(broken.lines, ["02 01 01"]);
    assert_eq!(one("1.2.3.4", &[]).lines, ["(empty)"]);
    assert!(describe_extensions(b"no certificate").is_empty());
}

#[test]
fn long_lists_and_long_texts_are_cut() {
    let many: Vec<u8> = (0..500).flat_map(|_| tlv(0x82, b"a.example")).collect();
    let found = one("2.5.29.17", &tlv(0x30, &many));
    assert_eq!((found.lines.len(), found.lines.last().unwrap().as_str()), (101, "… and more"));
    let found = one("2.5.29.17", &sequence(&[&tlv(0x82, "x".repeat(5_000).as_bytes())]));
    assert_eq!(found.lines[0].chars().count(), 501);
}

proptest! {
    /// Whatever stands in an extension, describing it ends, and stays within its bounds.
    #[test]
    fn no_extension_breaks_the_describer(
        known in proptest::sample::select(vec![
            "2.5.29.14", "2.5.29.15", "2.5.29.16", "2.5.29.17", "2.5.29.18", "2.5.29.19", "2.5.29.30", "2.5.29.31",
            "2.5.29.32", "2.5.29.35", "2.5.29.36", "2.5.29.37", "2.5.29.46", "2.5.29.54", "1.3.6.1.5.5.7.1.1",
            "1.3.6.1.5.5.7.1.11", "1.3.6.1.5.5.7.1.24", "1.3.6.1.4.1.11129.2.4.2", "1.3.6.1.4.1.311.20.2",
            "1.3.6.1.4.1.311.21.7", "1.2.3",
        ]),
        tags in proptest::collection::vec(
            proptest::sample::select(vec![2u8, 4, 6, 0x0c, 0x16, 0x1e, 0x30, 0x80, 0x81, 0x82, 0x86, 0x87, 0xa0, 0xa1, 0xa4]),
            0..6,
        ),
        inside in proptest::collection::vec(any::<u8>(), 0..80),
    ) {
        let value = tags.iter().fold(inside, |value, tag| tlv(*tag, &value));
        let found = one(known, &value);
        prop_assert!(!found.lines.is_empty() && found.lines.len() <= LINES_MAX + 1);
        prop_assert!(found.lines.iter().all(|line| line.chars().count() <= CHARACTERS_MAX + 1));
    }

    #[test]
    fn no_bytes_break_the_describer(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        describe_extensions(&bytes);
        describe_extensions(&around(&bytes));
    }
}
