//! Good CRLs have no finding; each rule has at least one CRL that breaks it and no other rule that is not named.

use super::*;
use crate::asn1::{Writer, oid, tag};
use crate::crl::{CrlEntryContents, IssuingDistributionPoint, TbsCertList};

const KEY_ID: &[u8] = &[7; 20];
const NOW: i64 = 1_800_000_000;
const CONTEXT: CrlLintContext<'_> = CrlLintContext { issuer_subject_der: ISSUER, issuer_key_id: KEY_ID };
/// CN=A
const ISSUER: &[u8] = &[0x30, 12, 0x31, 10, 0x30, 8, 6, 3, 0x55, 4, 3, 12, 1, b'A'];

fn entry(serial: &[u8], date: i64, reason: Option<u8>) -> Vec<u8> {
    CrlEntryContents { serial, revocation_date: date, reason_code: reason, invalidity_date: Some(date) }.to_der()
}

fn list(entries_der: &[u8]) -> TbsCertList<'_> {
    TbsCertList {
        signature_algorithm: SignatureAlgorithm::EcdsaSha256,
        issuer_der: ISSUER,
        this_update: NOW,
        next_update: NOW + 1,
        entries_der,
        authority_key_id: KEY_ID,
        crl_number: 9,
        issuing_distribution_point: None,
        base_crl_number: None,
        freshest_crl: &[],
    }
}

fn broken(der: &[u8]) -> Vec<&'static str> {
    lint_crl(der, &CONTEXT).into_iter().map(|finding| finding.rule).collect()
}

fn check(list: &TbsCertList<'_>, expected: &[&str]) {
    assert_eq!(broken(&list.to_der().unwrap()), expected, "{list:?}");
}

#[test]
fn good_lists_have_no_finding() {
    let entries = [entry(&[5], NOW, None), entry(&[0, 0x80], NOW, Some(1))].concat();
    check(&list(&[]), &[]);
    check(&list(&entries), &[]);
    let scope = IssuingDistributionPoint { full_name: vec!["http://x/1".to_owned()], ..Default::default() };
    let removed = entry(&[5], NOW, Some(8));
    let delta = TbsCertList { base_crl_number: Some(9), issuing_distribution_point: Some(&scope), ..list(&removed) };
    check(&delta, &[]);
    check(&TbsCertList { freshest_crl: &["http://x/d".to_owned()], ..list(&[]) }, &[]);
}

#[test]
fn the_rules_about_fields_find_what_they_are_for() {
    let other = [0x30, 0];
    check(&TbsCertList { issuer_der: &other, ..list(&[]) }, &["crl_issuer"; 2]);
    check(&TbsCertList { next_update: NOW, ..list(&[]) }, &["crl_next_update"]);
    check(&TbsCertList { authority_key_id: &[8; 20], ..list(&[]) }, &["crl_authority_key_id"]);
    check(&TbsCertList { base_crl_number: Some(10), ..list(&[]) }, &["crl_delta_indicator"]);
    check(&TbsCertList { base_crl_number: Some(256), ..list(&[]) }, &["crl_delta_indicator"]);
    let check_scope = |scope: IssuingDistributionPoint| {
        let list = TbsCertList { issuing_distribution_point: Some(&scope), ..list(&[]) };
        check(&list, &["crl_issuing_distribution_point"]);
    };
    check_scope(IssuingDistributionPoint::default());
    check_scope(IssuingDistributionPoint { full_name: vec!["ldap://x".to_owned()], ..Default::default() });
    check_scope(IssuingDistributionPoint {
        only_contains_user_certs: true,
        only_contains_ca_certs: true,
        ..Default::default()
    });
    let freshest = ["http://x/d".to_owned()];
    check(&TbsCertList { freshest_crl: &freshest, base_crl_number: Some(9), ..list(&[]) }, &["crl_freshest"]);
    check(&TbsCertList { freshest_crl: &["https://x/d".to_owned()], ..list(&[]) }, &["crl_freshest"]);
}

#[test]
fn the_rules_about_entries_find_what_they_are_for() {
    let check_entries = |entries: &[Vec<u8>], expected: &[&str]| check(&list(&entries.concat()), expected);
    check_entries(&[entry(&[5], NOW + 1, None)], &["crl_entry_date"]);
    check_entries(&[entry(&[5], NOW, Some(8))], &["crl_entry_reason"]);
    check_entries(&[entry(&[5], NOW, None), entry(&[5], NOW, None)], &["crl_entry_serial"]);
    check_entries(&[entry(&[0, 5], NOW, None)], &["crl_entry_serial"]);
    check_entries(&[entry(&[0xff, 0x85], NOW, None)], &["crl_entry_serial"]);
    check_entries(&[entry(&[], NOW, None)], &["crl_der"]);
    check_entries(&[vec![2, 1, 5]], &["crl_der"]);

    let with_reason = |code: u8, critical: bool| {
        let good = entry(&[5], NOW, Some(1));
        let at = good.windows(3).position(|window| window == [0x0a, 1, 1]).unwrap();
        let mut der = good.clone();
        der[at + 2] = code;
        if critical {
            // The value's OCTET STRING moves behind a BOOLEAN; the three lengths around it grow by three.
            der.splice(at - 2..at - 2, [1, 1, 0xff]);
            let name = good.windows(4).position(|window| window == [6, 3, 0x55, 0x1d]).unwrap();
            for length in [1, name - 3, name - 1] {
                der[length] += 3;
            }
        }
        der
    };
    check_entries(&[with_reason(0, false)], &["crl_entry_reason"]);
    check_entries(&[with_reason(7, false)], &["crl_entry_reason"]);
    check_entries(&[with_reason(11, false)], &["crl_entry_reason"]);
    check_entries(&[with_reason(1, true)], &["crl_entry_extensions"]);
    check_entries(&[with_reason(0x80, false)], &["crl_der"]);
}

/// A TBSCertList from hand: version, whatever stands for revokedCertificates, extensions as `(OID, critical, value)`.
fn by_hand(version: Option<u8>, revoked: &[u8], extensions: &[(&[u8], Option<u8>, &[u8])]) -> Vec<u8> {
    let mut w = Writer::new();
    w.nested(tag::SEQUENCE, |w| {
        if let Some(version) = version {
            w.primitive(tag::INTEGER, &[version]);
        }
        w.raw(SignatureAlgorithm::EcdsaSha256.identifier_der());
        w.raw(ISSUER);
        time::write(w, NOW);
        time::write(w, NOW + 1);
        w.raw(revoked);
        w.nested(0xa0, |w| {
            w.nested(tag::SEQUENCE, |w| {
                for (oid, critical, value) in extensions {
                    w.nested(tag::SEQUENCE, |w| {
                        w.oid_bytes(oid);
                        if let Some(octet) = critical {
                            w.primitive(tag::BOOLEAN, &[*octet]);
                        }
                        w.primitive(tag::OCTET_STRING, value);
                    });
                }
            });
        });
    });
    w.into_bytes()
}

type Raw = (&'static [u8], Option<u8>, &'static [u8]);

const AKI: Raw = (
    oid::AUTHORITY_KEY_IDENTIFIER,
    None,
    &[0x30, 22, 0x80, 20, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7],
);
const NUMBER: Raw = (oid::CRL_NUMBER, None, &[2, 1, 9]);

#[test]
fn lists_are_checked_as_encoded() {
    let check = |der: Vec<u8>, expected: &[&str]| assert_eq!(broken(&der), expected);
    let with = |more: &[Raw]| by_hand(Some(1), &[], &[&[AKI, NUMBER], more].concat());
    check(with(&[]), &[]);
    check(by_hand(Some(0), &[], &[AKI, NUMBER]), &["crl_version"]);
    check(by_hand(Some(1), &[0x30, 0], &[AKI, NUMBER]), &["crl_revoked_certificates"]);
    check(by_hand(Some(1), &[], &[NUMBER]), &["crl_authority_key_id"]);
    check(by_hand(Some(1), &[], &[AKI]), &["crl_number"]);
    check(by_hand(Some(1), &[], &[(AKI.0, Some(0xff), AKI.2), NUMBER]), &["crl_authority_key_id"]);
    check(by_hand(Some(1), &[], &[AKI, (NUMBER.0, Some(0xff), NUMBER.2)]), &["crl_number"]);
    check(by_hand(Some(1), &[], &[AKI, (NUMBER.0, Some(0), NUMBER.2)]), &["crl_extension_known"]);
    check(
        by_hand(
            Some(1),
            &[],
            &[AKI, (NUMBER.0, None, &[2, 21, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])],
        ),
        &["crl_number"],
    );
    check(by_hand(Some(1), &[], &[AKI, (NUMBER.0, None, &[2, 1, 0xff])]), &["crl_der"]);
    check(by_hand(Some(1), &[], &[AKI, (NUMBER.0, None, &[2, 2, 0, 9])]), &["crl_der"]);
    check(with(&[NUMBER]), &["crl_extension_unique"]);
    check(with(&[(&[0x2a, 3], None, &[5, 0])]), &["crl_extension_known"]);
    check(with(&[(oid::DELTA_CRL_INDICATOR, None, &[2, 1, 8])]), &["crl_delta_indicator"]);
    let scope: &[u8] = &[0x30, 3, 0x81, 1, 0xff];
    let indirect: &[u8] = &[0x30, 3, 0x84, 1, 0xff];
    check(with(&[(oid::ISSUING_DISTRIBUTION_POINT, Some(0xff), scope)]), &[]);
    check(with(&[(oid::ISSUING_DISTRIBUTION_POINT, None, scope)]), &["crl_issuing_distribution_point"]);
    check(with(&[(oid::ISSUING_DISTRIBUTION_POINT, Some(0xff), indirect)]), &["crl_issuing_distribution_point"; 2]);
    check(with(&[(oid::FRESHEST_CRL, None, &[0x30, 0])]), &["crl_freshest"]);
    let url: &[u8] =
        &[0x30, 18, 0x30, 16, 0xa0, 14, 0xa0, 12, 0x86, 10, b'h', b't', b't', b'p', b':', b'/', b'/', b'x', b'/', b'd'];
    check(with(&[(oid::FRESHEST_CRL, None, url)]), &[]);
    check(with(&[(oid::FRESHEST_CRL, Some(0xff), url)]), &["crl_freshest"]);
    check(b"no DER".to_vec(), &["crl_der"]);
}

#[test]
fn both_signature_algorithms_are_compared() {
    let tbs = list(&[]).to_der().unwrap();
    let whole = crate::certificate::assemble(&tbs, SignatureAlgorithm::EcdsaSha256, &[1]);
    assert_eq!(broken(&whole), [""; 0]);
    let other = crate::certificate::assemble(&tbs, SignatureAlgorithm::EcdsaSha384, &[1]);
    assert_eq!(broken(&other), ["crl_signature_algorithm"]);
    let at = tbs.windows(8).position(|window| window == [0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2]).unwrap();
    let mut unknown = tbs;
    unknown[at + 7] = 9;
    assert_eq!(broken(&unknown), ["crl_signature_algorithm"]);
}

#[test]
fn dates_are_in_the_form_of_their_year() {
    let mut der = by_hand(Some(1), &[], &[AKI, NUMBER]);
    let at = der.windows(2).position(|window| window == [tag::UTC_TIME, 13]).unwrap();
    let long = [&[tag::GENERALIZED_TIME, 15, b'2', b'0'], &der[at + 2..at + 15]].concat();
    der.splice(at..at + 15, long);
    der[1] += 2;
    assert!(der[1] < 0x80);
    assert_eq!(broken(&der), ["crl_time_form"]);
}

#[test]
fn rules_have_distinct_names_clauses_and_descriptions() {
    let mut ids: Vec<_> = CRL_RULES.iter().map(|rule| rule.lint.id).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), CRL_RULES.len());
    assert!(CRL_RULES.iter().all(|rule| !rule.lint.clause.is_empty() && rule.lint.description.ends_with('.')));
}
