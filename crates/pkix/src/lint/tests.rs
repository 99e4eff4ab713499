//! Good certificates have no finding; each rule has at least one certificate that breaks it and no other rule that is
//! not named beside it.

use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair};

use super::*;
use crate::algorithm::SignatureAlgorithm;
use crate::asn1::{Writer, oid, tag};
use crate::certificate::{BasicConstraints, Extensions, TbsCertificate};
use crate::name::{Attribute, AttributeType, DistinguishedName, GeneralName, GeneralNameKind};
use crate::name_constraints::{GeneralSubtree, NameConstraints};
use crate::public_key::PublicKey;
use crate::serial::SerialNumber;
use crate::usage::{ExtendedKeyUsage, KeyUsage};

const ISSUER_KEY_ID: [u8; 20] = [7; 20];
const ISSUER_VALIDITY: Validity = Validity { not_before: 1_700_000_000, not_after: 3_000_000_000 };

/// A certificate in the making; `leaf` and `ca` are good ones.
#[derive(Clone)]
struct Draft {
    serial: SerialNumber,
    algorithm: SignatureAlgorithm,
    issuer: Vec<u8>,
    validity: Validity,
    subject: Vec<u8>,
    key: PublicKey,
    extensions: Extensions,
}

fn dn(text: &str) -> Vec<u8> {
    text.parse::<DistinguishedName>().unwrap().to_der()
}

fn san(kind: GeneralNameKind, text: &str) -> GeneralName {
    GeneralName::parse(kind, text).unwrap()
}

fn p256() -> PublicKey {
    let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap();
    PublicKey::from_spki_der(pair.public_key().as_der().unwrap().as_ref()).unwrap()
}

fn leaf() -> Draft {
    let key = p256();
    Draft {
        serial: SerialNumber::from_random([9; 16]),
        algorithm: SignatureAlgorithm::EcdsaSha256,
        issuer: dn("CN=Issuing CA,O=Acme"),
        validity: Validity { not_before: 1_800_000_000, not_after: 1_900_000_000 },
        subject: dn("CN=www.acme.com"),
        extensions: Extensions {
            basic_constraints: Some(BasicConstraints::default()),
            key_usages: [KeyUsage::DigitalSignature].into_iter().collect(),
            extended_key_usages: vec![ExtendedKeyUsage::ServerAuth],
            subject_alt_names: vec![san(GeneralNameKind::DnsName, "www.acme.com")],
            subject_key_id: key.key_id().to_vec(),
            authority_key_id: Some(ISSUER_KEY_ID.to_vec()),
            name_constraints: None,
            ca_issuers: vec!["http://pki.acme.com/ca.cer".to_owned()],
            ocsp: vec!["http://pki.acme.com/ocsp".to_owned()],
            crl_distribution_points: vec!["http://pki.acme.com/ca.crl".to_owned()],
            freshest_crl: Vec::new(),
            no_rev_avail: false,
            ocsp_no_check: false,
            acme_identifier: None,
        },
        key,
    }
}

fn ca() -> Draft {
    let mut draft = leaf();
    draft.subject = dn("CN=Sub CA,O=Acme");
    draft.extensions.basic_constraints = Some(BasicConstraints { is_ca: true, path_length: Some(0) });
    draft.extensions.key_usages = [KeyUsage::KeyCertSign, KeyUsage::CrlSign].into_iter().collect();
    draft.extensions.extended_key_usages.clear();
    draft.extensions.subject_alt_names.clear();
    draft.extensions.name_constraints = Some(NameConstraints {
        permitted: vec![GeneralSubtree::parse(GeneralNameKind::DnsName, "acme.com").unwrap()],
        excluded: Vec::new(),
    });
    draft
}

impl Draft {
    fn der(&self) -> Vec<u8> {
        TbsCertificate {
            serial: &self.serial,
            signature_algorithm: self.algorithm,
            issuer_der: &self.issuer,
            validity: self.validity,
            subject_der: &self.subject,
            public_key: &self.key,
            extensions: &self.extensions,
        }
        .to_der()
        .unwrap()
    }

    /// With the extensions replaced by hand-written ones: `(OID, critical octets, value)`.
    fn der_with(&self, more: &[(&[u8], Option<u8>, &[u8])]) -> Vec<u8> {
        let mut w = Writer::new();
        w.nested(tag::SEQUENCE, |w| {
            self.write_frame(w, &[0xa0, 3, 2, 1, 2], self.serial.as_bytes());
            w.nested(0xa3, |w| {
                w.nested(tag::SEQUENCE, |w| {
                    for (oid, critical, value) in more {
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

    fn write_frame(&self, w: &mut Writer, version: &[u8], serial: &[u8]) {
        w.raw(version);
        w.primitive(tag::INTEGER, serial);
        w.raw(self.algorithm.identifier_der());
        w.raw(&self.issuer);
        w.nested(tag::SEQUENCE, |w| {
            crate::asn1::time::write(w, self.validity.not_before);
            crate::asn1::time::write(w, self.validity.not_after);
        });
        w.raw(&self.subject);
        w.raw(self.key.spki_der());
    }
}

fn context(issuer: &[u8]) -> LintContext<'_> {
    LintContext {
        issuer_subject_der: issuer,
        issuer_key_id: Some(&ISSUER_KEY_ID),
        issuer_validity: Some(ISSUER_VALIDITY),
        self_signed: false,
    }
}

fn broken_rules(der: &[u8], issuer: &[u8]) -> Vec<&'static str> {
    let mut rules: Vec<_> = lint_tbs(der, &context(issuer)).into_iter().map(|finding| finding.rule).collect();
    rules.dedup();
    rules
}

/// What `change` breaks in a good certificate.
fn check(base: Draft, change: impl FnOnce(&mut Draft), expected: &[&str]) {
    let mut draft = base;
    let issuer = draft.issuer.clone();
    change(&mut draft);
    let mut expected = expected.to_vec();
    let order = |id: &&str| RULES.iter().position(|rule| rule.lint.id == *id);
    expected.sort_by_key(order);
    assert_eq!(broken_rules(&draft.der(), &issuer), expected);
}

#[test]
fn good_certificates_have_no_finding() {
    check(leaf(), |_| {}, &[]);
    check(ca(), |_| {}, &[]);
    check(leaf(), |draft| draft.subject = dn(""), &[]);
    check(
        leaf(),
        |draft| {
            draft.extensions.no_rev_avail = true;
            draft.extensions.ocsp.clear();
            draft.extensions.crl_distribution_points.clear();
        },
        &[],
    );
    let mut root = ca();
    root.issuer.clone_from(&root.subject);
    root.extensions.authority_key_id = None;
    let self_signed = LintContext {
        issuer_subject_der: &root.subject.clone(),
        issuer_key_id: None,
        issuer_validity: None,
        self_signed: true,
    };
    assert_eq!(lint_tbs(&root.der(), &self_signed), []);
    root.extensions.authority_key_id = Some(vec![1; 20]);
    assert_eq!(lint_tbs(&root.der(), &self_signed)[0].rule, "authority_key_id_value");
    root.subject = dn("CN=Other");
    assert!(lint_tbs(&root.der(), &self_signed).iter().any(|finding| finding.rule == "self_signed_subject"));
}

#[test]
fn the_frame_rules_find_what_they_are_for() {
    check(leaf(), |draft| draft.serial = SerialNumber::from_bytes(&[0x7f; 7]).unwrap(), &["serial_entropy"]);
    check(leaf(), |draft| draft.issuer = dn("CN=Issuing CA,O=ACME"), &["issuer_bytes"]);
    check(leaf(), |draft| draft.issuer = dn(""), &["issuer_present", "issuer_bytes"]);
    check(leaf(), |draft| draft.validity.not_after = 1_799_999_999, &["validity_order"]);
    check(leaf(), |draft| draft.validity.not_after = 3_000_000_001, &["validity_nesting"]);
    check(leaf(), |draft| draft.validity.not_before = 1_699_999_999, &["validity_nesting"]);

    let draft = leaf();
    let frame = |version: &[u8], serial: &[u8]| {
        let good = draft.der();
        let good = crate::asn1::Reader::new(&good).any().unwrap();
        let mut parts = good.reader();
        let extensions = std::iter::from_fn(|| parts.any().ok()).last().unwrap();
        let mut w = Writer::new();
        w.nested(tag::SEQUENCE, |w| {
            draft.write_frame(w, version, serial);
            w.raw(extensions.raw);
        });
        broken_rules(&w.into_bytes(), &draft.issuer)
    };
    let version_3 = [0xa0, 3, 2, 1, 2];
    assert_eq!(frame(&version_3, &[0x40; 16]), [""; 0]);
    assert_eq!(frame(&[0xa0, 3, 2, 1, 1], &[0x40; 16]), ["version"]);
    assert_eq!(frame(&[], &[0x40; 16]), ["version"]);
    assert_eq!(frame(&version_3, &[0x80; 16]), ["serial_positive"]);
    assert_eq!(frame(&version_3, &[0]), ["serial_positive", "serial_entropy"]);
    assert_eq!(frame(&version_3, &[0x40; 21]), ["serial_length"]);
    assert_eq!(frame(&version_3, &[0, 0x40, 1, 1, 1, 1, 1, 1, 1]), ["der"], "an integer that is not minimal");
}

#[test]
fn the_encoding_of_dates_and_algorithms_is_checked() {
    let draft = leaf();
    let der = draft.der();
    let replaced = |from: &[u8], to: &[u8]| {
        let at = der.windows(from.len()).position(|window| window == from).unwrap();
        let mut changed = der.clone();
        changed[at..at + to.len()].copy_from_slice(to);
        broken_rules(&changed, &draft.issuer)
    };
    let ecdsa = SignatureAlgorithm::EcdsaSha256.identifier_der();
    assert_eq!(replaced(&ecdsa[8..], &[4, 3, 1]), ["signature_algorithm"], "SHA-224");
    // A GeneralizedTime of the same length as the UTCTime it replaces does not exist, so the tag alone is changed.
    assert_eq!(replaced(&[tag::UTC_TIME, 13], &[tag::GENERALIZED_TIME, 13]), ["der"]);

    let mut w = Writer::new();
    w.nested(tag::SEQUENCE, |w| {
        w.primitive(tag::GENERALIZED_TIME, b"20270115080000Z");
        w.primitive(tag::UTC_TIME, b"300317174640Z");
    });
    let mut parts = crate::asn1::Reader::new(&der).any().unwrap().reader();
    let parts: Vec<_> = std::iter::from_fn(|| parts.any().ok()).map(|one| one.raw.to_vec()).collect();
    let validity = w.into_bytes();
    let mut w = Writer::new();
    w.nested(tag::SEQUENCE, |w| {
        for (at, part) in parts.iter().enumerate() {
            w.raw(if at == 4 { &validity } else { part });
        }
    });
    assert_eq!(broken_rules(&w.into_bytes(), &draft.issuer), ["validity_form"]);

    let mut w = Writer::new();
    w.nested(tag::SEQUENCE, |w| {
        for (at, part) in parts.iter().enumerate() {
            if at == 7 {
                w.primitive(0x81, &[0, 1]);
            }
            w.raw(part);
        }
    });
    assert_eq!(broken_rules(&w.into_bytes(), &draft.issuer), ["unique_ids"]);
}

#[test]
fn the_key_rules_find_what_they_are_for() {
    let usages = |usages: &[KeyUsage]| usages.iter().copied().collect();
    check(
        leaf(),
        |draft| draft.extensions.key_usages = usages(&[KeyUsage::DigitalSignature, KeyUsage::KeyEncipherment]),
        &["key_usage_fits_key"],
    );
    check(leaf(), |draft| draft.extensions.key_usages = usages(&[KeyUsage::KeyAgreement]), &[]);
    check(
        leaf(),
        |draft| draft.extensions.key_usages = usages(&[KeyUsage::DigitalSignature, KeyUsage::DecipherOnly]),
        &["key_usage_only_modifiers"],
    );
    check(leaf(), |draft| draft.extensions.key_usages.insert(KeyUsage::KeyCertSign), &["key_usage_of_ca"]);
    check(
        ca(),
        |draft| draft.extensions.key_usages.remove(KeyUsage::KeyCertSign),
        &["key_usage_of_ca", "path_length_of_ca"],
    );
}

#[test]
fn the_name_rules_find_what_they_are_for() {
    check(ca(), |draft| draft.subject = dn(""), &["subject_present"]);
    check(
        leaf(),
        |draft| {
            draft.subject = dn("");
            draft.extensions.subject_alt_names.clear();
        },
        &["subject_present"],
    );
    let named = |names: &[GeneralName]| {
        let names = names.to_vec();
        move |draft: &mut Draft| {
            draft.subject = dn("CN=Jo Doe");
            draft.extensions.subject_alt_names = names;
        }
    };
    let dns = |text: &str| GeneralName::Dns(text.to_owned());
    for malformed in ["WWW.acme.com", "a_b.acme.com", "acme.com.", "10.0.0.1", "*.com", "", "a b", "a\0b"] {
        check(leaf(), named(&[dns(malformed)]), &["san_form"]);
    }
    check(leaf(), named(&[GeneralName::Email("jo".to_owned())]), &["san_form"]);
    check(leaf(), named(&[GeneralName::Uri("acme.com".to_owned())]), &["san_form"]);
    check(leaf(), named(&[dns("a.acme.com"), dns("a.acme.com")]), &["san_unique"]);
    check(leaf(), |draft| draft.subject = dn("CN=other.acme.com"), &["common_name_repeated"]);
    check(leaf(), |draft| draft.subject = dn("CN=my_service.v1"), &[]);
    check(leaf(), |draft| draft.subject = dn("CN=10.0.0.1"), &["common_name_repeated"]);

    let id = san(GeneralNameKind::Uri, "spiffe://acme.com/web");
    let both = vec![ExtendedKeyUsage::ServerAuth, ExtendedKeyUsage::ClientAuth];
    let svid = |names: Vec<GeneralName>, purposes: Vec<ExtendedKeyUsage>| {
        move |draft: &mut Draft| {
            draft.subject = dn("CN=web");
            draft.extensions.subject_alt_names = names;
            draft.extensions.extended_key_usages = purposes;
        }
    };
    check(leaf(), svid(vec![id.clone()], both.clone()), &[]);
    check(leaf(), svid(vec![id.clone()], vec![ExtendedKeyUsage::ClientAuth]), &["spiffe"]);
    let other = san(GeneralNameKind::Uri, "https://acme.com/");
    check(leaf(), svid(vec![id, other], both.clone()), &["spiffe"]);
    check(leaf(), svid(vec![san(GeneralNameKind::Uri, "spiffe://acme.com")], both), &["spiffe"]);
}

#[test]
fn attributes_of_the_subject_are_checked_as_encoded() {
    let check_attribute = |kind: AttributeType, tag: u8, value: &[u8], expected: &[&str]| {
        let mut w = Writer::new();
        w.nested(tag::SEQUENCE, |w| {
            w.nested(tag::SET, |w| {
                w.nested(tag::SEQUENCE, |w| {
                    w.oid_bytes(kind.oid_bytes());
                    w.primitive(tag, value);
                });
            });
        });
        let subject = w.into_bytes();
        check(leaf(), |draft| draft.subject = subject, expected);
    };
    use AttributeType as A;
    check_attribute(A::Organization, tag::PRINTABLE_STRING, b"Acme", &[]);
    check_attribute(A::Organization, tag::TELETEX_STRING, b"Acme", &["subject_string_types"]);
    check_attribute(A::Organization, tag::IA5_STRING, b"Acme", &["subject_string_types"]);
    check_attribute(A::Country, tag::UTF8_STRING, b"DE", &["subject_string_types"]);
    check_attribute(A::Country, tag::PRINTABLE_STRING, b"de", &["subject_bounds"]);
    check_attribute(A::Organization, tag::UTF8_STRING, &[b'a'; 65], &["subject_bounds"]);
    check_attribute(A::Organization, tag::UTF8_STRING, b"", &["subject_bounds"]);
    check_attribute(A::Organization, tag::UTF8_STRING, b"a\0b", &["subject_characters"]);
    check_attribute(A::Organization, tag::UTF8_STRING, b" a", &["subject_characters"]);
    check_attribute(A::Organization, tag::UTF8_STRING, b"\xff", &["der"]);
    let single = DistinguishedName::new(vec![Attribute::new(A::Organization, "a")]).unwrap().to_der();
    let doubled = {
        let mut reader = crate::asn1::Reader::new(&single).any().unwrap().reader();
        let attribute = reader.any().unwrap().content.to_vec();
        let mut w = Writer::new();
        w.nested(tag::SEQUENCE, |w| {
            w.nested(tag::SET, |w| {
                w.raw(&attribute);
                w.raw(&attribute);
            });
        });
        w.into_bytes()
    };
    check(leaf(), |draft| draft.subject = doubled, &["subject_types"]);
}

#[test]
fn the_extension_rules_find_what_they_are_for() {
    check(leaf(), |draft| draft.extensions.authority_key_id = None, &["authority_key_id_present"]);
    check(leaf(), |draft| draft.extensions.authority_key_id = Some(vec![8; 20]), &["authority_key_id_value"]);
    check(ca(), |draft| draft.extensions.subject_key_id.clear(), &["subject_key_id_of_ca"]);
    check(leaf(), |draft| draft.extensions.subject_key_id = vec![1; 33], &["subject_key_id_form"]);
    let constraints = BasicConstraints { is_ca: false, path_length: Some(0) };
    check(leaf(), |draft| draft.extensions.basic_constraints = Some(constraints), &["path_length_of_ca"]);
    let purposes = |purposes: &[ExtendedKeyUsage]| {
        let purposes = purposes.to_vec();
        move |draft: &mut Draft| draft.extensions.extended_key_usages = purposes
    };
    use ExtendedKeyUsage as E;
    check(leaf(), purposes(&[E::ServerAuth, E::ServerAuth]), &["extended_key_usage_form"]);
    check(leaf(), purposes(&[E::ServerAuth, E::AnyPurpose]), &["extended_key_usage_any"]);
    check(leaf(), purposes(&[E::OcspSigning, E::ClientAuth]), &["ocsp_signing_alone"]);
    check(leaf(), purposes(&[E::OcspSigning]), &[]);
    check(ca(), purposes(&[E::OcspSigning]), &["ocsp_signing_alone"]);
    let constraints = ca().extensions.name_constraints;
    check(leaf(), |draft| draft.extensions.name_constraints = constraints, &["name_constraints_of_ca"]);
    let https = || vec!["https://pki.acme.com/x".to_owned()];
    let ldap = || vec!["ldap://pki.acme.com/x".to_owned()];
    check(leaf(), |draft| draft.extensions.crl_distribution_points = https(), &[]);
    check(leaf(), |draft| draft.extensions.crl_distribution_points = ldap(), &["crl_distribution_points"]);
    check(leaf(), |draft| draft.extensions.ocsp = https(), &["authority_info_access"]);
    check(leaf(), |draft| draft.extensions.ca_issuers = https(), &["authority_info_access"]);
}

#[test]
fn the_rules_about_revocation_find_what_they_are_for() {
    check(leaf(), |draft| draft.extensions.no_rev_avail = true, &["no_rev_avail"]);
    let https = || vec!["https://pki.acme.com/x".to_owned()];
    let http = || vec!["http://pki.acme.com/delta".to_owned()];
    check(leaf(), |draft| draft.extensions.freshest_crl = http(), &[]);
    check(leaf(), |draft| draft.extensions.freshest_crl = https(), &["freshest_crl"]);
    check(
        leaf(),
        |draft| {
            draft.extensions.freshest_crl = http();
            draft.extensions.crl_distribution_points.clear();
        },
        &["freshest_crl"],
    );
    check(
        leaf(),
        |draft| {
            draft.extensions.no_rev_avail = true;
            draft.extensions.ocsp.clear();
            draft.extensions.crl_distribution_points.clear();
        },
        &[],
    );
    check(
        leaf(),
        |draft| {
            draft.extensions.no_rev_avail = true;
            draft.extensions.ocsp.clear();
            draft.extensions.crl_distribution_points.clear();
            draft.extensions.freshest_crl = http();
        },
        &["freshest_crl", "no_rev_avail"],
    );
    check(leaf(), |draft| draft.extensions.ocsp_no_check = true, &["ocsp_no_check"]);
    check(
        leaf(),
        |draft| {
            draft.extensions.ocsp_no_check = true;
            draft.extensions.extended_key_usages = vec![ExtendedKeyUsage::OcspSigning];
        },
        &[],
    );
    check(
        ca(),
        |draft| {
            draft.extensions.no_rev_avail = true;
            draft.extensions.ocsp.clear();
            draft.extensions.crl_distribution_points.clear();
        },
        &["no_rev_avail"],
    );
}

#[test]
fn extensions_are_checked_as_encoded() {
    const AKI: (&[u8], Option<u8>, &[u8]) = (oid::AUTHORITY_KEY_IDENTIFIER, None, &[0x30, 3, 0x80, 1, 7]);
    let check = |more: &[(&[u8], Option<u8>, &[u8])], expected: &[&str]| {
        let mut draft = leaf();
        draft.subject = dn("CN=x");
        let der = draft.der_with(more);
        let context = LintContext { issuer_key_id: Some(&[7]), ..context(&draft.issuer) };
        let found: Vec<_> = lint_tbs(&der, &context).into_iter().map(|finding| finding.rule).collect();
        assert_eq!(found, expected, "{more:?}");
    };
    check(&[AKI], &[]);
    check(&[AKI, AKI], &["extension_unique"]);
    check(&[AKI, (&[0x2a, 3], None, &[5, 0])], &["extension_known"]);
    check(&[(AKI.0, Some(0), AKI.2)], &["extension_default"]);
    check(&[(AKI.0, Some(0xff), AKI.2)], &["authority_key_id_form"]);
    check(&[(AKI.0, None, &[0x30, 0])], &["authority_key_id_form"]);
    check(&[(AKI.0, None, &[0x30, 6, 0x80, 1, 7, 0x82, 1, 1])], &["authority_key_id_form"]);
    check(&[AKI, (oid::KEY_USAGE, None, &[3, 2, 7, 0x80])], &["key_usage_critical"]);
    check(&[AKI, (oid::KEY_USAGE, Some(0xff), &[3, 1, 0])], &["key_usage_bits"]);
    check(&[AKI, (oid::KEY_USAGE, Some(0xff), &[3, 2, 6, 0x80])], &["key_usage_bits"]);
    check(&[AKI, (oid::KEY_USAGE, Some(0xff), &[3, 2, 6, 0xc1])], &["der"]);
    check(&[AKI, (oid::BASIC_CONSTRAINTS, Some(0xff), &[0x30, 3, 1, 1, 0])], &["der"]);
    check(&[AKI, (oid::BASIC_CONSTRAINTS, Some(0xff), &[0x30, 0, 0])], &["der"]);
    check(&[AKI, (oid::EXTENDED_KEY_USAGE, None, &[0x30, 0])], &["extended_key_usage_form"]);
    check(&[AKI, (oid::EXTENDED_KEY_USAGE, Some(0xff), &[0x30, 3, 6, 1, 0x2a])], &["extended_key_usage_form"]);
    check(&[AKI, (oid::SUBJECT_ALT_NAME, None, &[0x30, 0])], &["san_not_empty"]);
    check(&[AKI, (oid::SUBJECT_ALT_NAME, Some(0xff), &[0x30, 3, 0x82, 1, b'a'])], &["san_critical"]);
    check(&[AKI, (oid::SUBJECT_ALT_NAME, None, &[0x30, 7, 0x87, 5, 1, 2, 3, 4, 5])], &["san_form"]);
    check(&[AKI, (oid::SUBJECT_KEY_IDENTIFIER, Some(0xff), &[4, 1, 1])], &["subject_key_id_form"]);
    check(&[AKI, (oid::SUBJECT_KEY_IDENTIFIER, None, &[4, 0])], &["subject_key_id_form"]);
    check(&[AKI, (oid::CRL_DISTRIBUTION_POINTS, None, &[0x30, 2, 0x30, 0])], &["crl_distribution_points"; 2]);
    check(&[AKI, (oid::AUTHORITY_INFO_ACCESS, None, &[0x30, 0])], &["authority_info_access"]);
    check(&[AKI, (oid::NO_REV_AVAIL, None, &[5])], &["der", "no_rev_avail"]);
    let answers: (&[u8], Option<u8>, &[u8]) =
        (oid::EXTENDED_KEY_USAGE, None, &[0x30, 10, 6, 8, 0x2b, 6, 1, 5, 5, 7, 3, 9]);
    check(&[AKI, answers, (oid::OCSP_NO_CHECK, None, &[5, 0])], &[]);
    check(&[AKI, answers, (oid::OCSP_NO_CHECK, Some(0xff), &[5, 0])], &["ocsp_no_check"]);
    check(&[AKI, answers, (oid::OCSP_NO_CHECK, None, &[0x30, 0])], &["ocsp_no_check"]);
    check(&[AKI, (oid::FRESHEST_CRL, Some(0xff), &[0x30, 0])], &["freshest_crl"; 3]);
    check(
        &[AKI, (oid::NAME_CONSTRAINTS, None, &[0x30, 0])],
        &["name_constraints_of_ca", "name_constraints_critical", "name_constraints_not_empty"],
    );
    let ca: (&[u8], Option<u8>, &[u8]) = (oid::BASIC_CONSTRAINTS, None, &[0x30, 3, 1, 1, 0xff]);
    let signs: (&[u8], Option<u8>, &[u8]) = (oid::KEY_USAGE, Some(0xff), &[3, 2, 2, 4]);
    check(&[AKI, ca, signs], &["subject_key_id_of_ca", "basic_constraints_critical"]);
}

#[test]
fn keys_are_checked_as_encoded() {
    let draft = leaf();
    let der = draft.der();
    let spki = draft.key.spki_der();
    let at = der.windows(spki.len()).position(|window| window == spki).unwrap();
    let mut compressed = der.clone();
    compressed[at + 26] = 2;
    assert_eq!(broken_rules(&compressed, &draft.issuer), ["key_algorithm"]);
}

#[test]
fn rules_have_distinct_names_clauses_and_descriptions() {
    let mut ids: Vec<_> = RULES.iter().map(|rule| rule.lint.id).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), RULES.len());
    assert!(RULES.iter().all(|rule| !rule.lint.clause.is_empty() && rule.lint.description.ends_with('.')));
}

proptest::proptest! {
    #[test]
    fn arbitrary_octets_never_panic(octets: Vec<u8>) {
        proptest::prop_assert!(!lint_tbs(&octets, &context(&[])).is_empty());
    }

    #[test]
    fn changed_octets_never_panic(at: proptest::sample::Index, octet: u8) {
        let draft = ca();
        let mut der = draft.der();
        let at = at.index(der.len());
        der[at] = octet;
        let _ = lint_tbs(&der, &context(&draft.issuer));
    }
}
