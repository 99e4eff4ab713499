//! CRLs of ours judged by openssl and x509-parser; CRLs of openssl's read by us.

use chancery_pkix::{
    BasicConstraints, Certificate, CertificateList, CrlEntryContents, CrlLintContext, DistinguishedName, Extensions,
    IssuingDistributionPoint, KeyAlgorithm, KeyUsage, SerialNumber, SignatureAlgorithm, TbsCertList, TbsCertificate,
    UnsignedCrl, Validity, assemble, lint_crl,
};
use x509_parser::prelude::{CertificateRevocationList, FromDer, ParsedExtension};

use crate::judge::Workshop;
use crate::signing::{Key, can_sign};

const NOW: i64 = 1_790_000_000;
const NEXT: i64 = 4_102_444_799;
const HIGH_SERIAL: [u8; 3] = [0, 0xff, 1];

struct Ca {
    key: Key,
    algorithm: SignatureAlgorithm,
    certificate: Certificate,
}

fn ca(key_algorithm: KeyAlgorithm, algorithm: SignatureAlgorithm) -> Ca {
    let key = Key::generate(key_algorithm);
    let public_key = key.public();
    let name = "CN=CRL Root,O=Acme".parse::<DistinguishedName>().unwrap().to_der();
    let tbs = TbsCertificate {
        serial: &SerialNumber::from_random([1; 16]),
        signature_algorithm: algorithm,
        issuer_der: &name,
        validity: Validity { not_before: 1_577_836_800, not_after: NEXT },
        subject_der: &name,
        public_key: &public_key,
        extensions: &Extensions {
            basic_constraints: Some(BasicConstraints { is_ca: true, path_length: None }),
            key_usages: [KeyUsage::KeyCertSign, KeyUsage::CrlSign].into_iter().collect(),
            subject_key_id: public_key.key_id().to_vec(),
            ..Extensions::default()
        },
    }
    .to_der()
    .unwrap();
    let der = assemble(&tbs, algorithm, &key.sign(algorithm, &tbs));
    Ca { key, algorithm, certificate: Certificate::from_der(&der).unwrap() }
}

fn entry(serial: &[u8], reason_code: Option<u8>, invalidity_date: Option<i64>) -> Vec<u8> {
    CrlEntryContents { serial, revocation_date: NOW - 10, reason_code, invalidity_date }.to_der()
}

fn three_entries() -> Vec<u8> {
    [entry(&[5], None, None), entry(&[0x70, 1], Some(1), Some(NOW - 100_000)), entry(&HIGH_SERIAL, Some(6), None)]
        .concat()
}

impl Ca {
    fn list<'a>(&'a self, entries_der: &'a [u8]) -> TbsCertList<'a> {
        TbsCertList {
            signature_algorithm: self.algorithm,
            issuer_der: self.certificate.subject_der(),
            this_update: NOW,
            next_update: NEXT,
            entries_der,
            authority_key_id: &self.certificate.extensions().subject_key_id,
            crl_number: 200,
            issuing_distribution_point: None,
            base_crl_number: None,
            freshest_crl: &[],
        }
    }

    /// Lints before and after signing.
    fn sign(&self, list: &TbsCertList<'_>) -> Vec<u8> {
        let unsigned = UnsignedCrl::new(list).unwrap();
        assert_eq!(unsigned.tbs(), list.to_der().unwrap());
        let context = CrlLintContext {
            issuer_subject_der: self.certificate.subject_der(),
            issuer_key_id: &self.certificate.extensions().subject_key_id,
        };
        assert_eq!(lint_crl(unsigned.tbs(), &context), []);
        let signature = self.key.sign(self.algorithm, unsigned.tbs());
        let expected = assemble(unsigned.tbs(), self.algorithm, &signature);
        let der = unsigned.sign_with(self.algorithm, &signature);
        assert_eq!(der, expected);
        assert_eq!(lint_crl(&der, &context), []);
        der
    }
}

fn openssl_says(ca: &Ca, der: &[u8]) -> String {
    let shop = Workshop::new();
    shop.write("crl.der", der);
    shop.write("ca.pem", ca.certificate.to_pem());
    let text = shop.openssl("crl -inform DER -in crl.der -noout -text -verify -CAfile ca.pem");
    assert!(text.contains("verify OK"), "{text}");
    text
}

#[test]
fn a_crl_of_every_algorithm_is_read_and_verified() {
    for algorithm in SignatureAlgorithm::ALL {
        let key_algorithm = KeyAlgorithm::ALL.iter().find(|key| can_sign(**key, *algorithm)).unwrap();
        let ca = ca(*key_algorithm, *algorithm);
        let entries = three_entries();
        let der = ca.sign(&ca.list(&entries));
        let crl = CertificateList::from_der(&der).unwrap();
        assert!(crl.is_signed_by(&ca.key.public()), "{algorithm}");
        assert!(!crl.is_signed_by(&Key::generate(*key_algorithm).public()), "{algorithm}");
        assert_eq!(crl.signature_algorithm(), Some(*algorithm));
        // OpenSSL 3.0 has no ML-DSA.
        if key_algorithm.family() != chancery_pkix::KeyFamily::MlDsa {
            openssl_says(&ca, &der);
        }
    }
}

#[test]
fn what_was_written_is_read_back_by_all() {
    let ca = ca(KeyAlgorithm::EcP384, SignatureAlgorithm::EcdsaSha384);
    let entries = three_entries();
    let freshest = ["http://pki.acme.com/delta.crl".to_owned()];
    let der = ca.sign(&TbsCertList { freshest_crl: &freshest, ..ca.list(&entries) });
    let text = openssl_says(&ca, &der);
    for expected in [
        "Version 2",
        "CRL Number: \n                200",
        "Authority Key Identifier",
        "Serial Number: 05\n",
        "Serial Number: 7001\n",
        "Serial Number: FF01\n",
        "Key Compromise",
        "Certificate Hold",
        "Invalidity Date",
        "Freshest CRL",
        "http://pki.acme.com/delta.crl",
    ] {
        assert!(text.contains(expected), "{expected:?} is not in\n{text}");
    }

    let (rest, foreign) = CertificateRevocationList::from_der(&der).unwrap();
    assert!(rest.is_empty());
    assert_eq!(foreign.crl_number().unwrap().to_string(), "200");
    assert_eq!(foreign.next_update().unwrap().timestamp(), NEXT);
    let reasons: Vec<_> =
        foreign.iter_revoked_certificates().map(|one| one.reason_code().map(|(_, it)| it.0)).collect();
    assert_eq!(reasons, [None, Some(1), Some(6)]);

    let ours = CertificateList::from_der(&der).unwrap();
    assert_eq!(ours.issuer_der(), ca.certificate.subject_der());
    assert_eq!((ours.this_update(), ours.next_update()), (NOW, Some(NEXT)));
    assert_eq!((ours.number(), ours.base_number(), ours.is_delta()), (Some(200), None, false));
    assert_eq!(ours.number_octets(), Some(&[0, 200][..]));
    assert_eq!(ours.authority_key_id(), Some(&ca.certificate.extensions().subject_key_id[..]));
    assert_eq!(ours.freshest_crl(), freshest);
    assert_eq!(ours.issuing_distribution_point(), None);
    let read: Vec<_> =
        ours.entries().map(|one| (one.serial, one.revocation_date, one.reason, one.invalidity_date)).collect();
    assert_eq!(
        read,
        [
            (&[5][..], NOW - 10, None, None),
            (&[0x70, 1], NOW - 10, Some(1), Some(NOW - 100_000)),
            (&HIGH_SERIAL, NOW - 10, Some(6), None),
        ]
    );
    assert_eq!(ours.entries().map(|one| one.der).collect::<Vec<_>>().concat(), entries);
    assert_eq!(ours.entry_count(), 3);
    let pem = chancery_pkix::pem::encode("X509 CRL", &der);
    assert_eq!(CertificateList::from_pem(&pem).unwrap(), ours);
}

#[test]
fn a_list_of_nothing_has_no_list() {
    let ca = ca(KeyAlgorithm::EcP256, SignatureAlgorithm::EcdsaSha256);
    let der = ca.sign(&ca.list(&[]));
    assert!(openssl_says(&ca, &der).contains("No Revoked Certificates"));
    let crl = CertificateList::from_der(&der).unwrap();
    assert_eq!((crl.entry_count(), crl.entries().count()), (0, 0));
}

#[test]
fn partitions_and_deltas_say_so_critically() {
    let ca = ca(KeyAlgorithm::Rsa2048, SignatureAlgorithm::RsaSha256);
    let point = IssuingDistributionPoint {
        full_name: vec!["http://pki.acme.com/3.crl".to_owned()],
        only_contains_user_certs: true,
        only_contains_ca_certs: false,
    };
    let entries = [entry(&[5], Some(8), None), entry(&[6], Some(4), None)].concat();
    let list =
        TbsCertList { issuing_distribution_point: Some(&point), base_crl_number: Some(127), ..ca.list(&entries) };
    let der = ca.sign(&list);
    let text = openssl_says(&ca, &der);
    for expected in [
        "Delta CRL Indicator: critical\n                127",
        "Issuing Distribution Point: critical",
        "URI:http://pki.acme.com/3.crl",
        "Only User Certificates",
        "Remove From CRL",
        "Superseded",
    ] {
        assert!(text.contains(expected), "{expected:?} is not in\n{text}");
    }
    let (_, foreign) = CertificateRevocationList::from_der(&der).unwrap();
    assert!(foreign.extensions().iter().any(|one| matches!(
        one.parsed_extension(), ParsedExtension::IssuingDistributionPoint(point) if point.only_contains_user_certs
    )));
    let ours = CertificateList::from_der(&der).unwrap();
    assert_eq!((ours.number(), ours.base_number()), (Some(200), Some(127)));
    assert_eq!(ours.issuing_distribution_point(), Some(&point));
    assert!(ours.is_delta());
}

#[test]
fn lists_of_every_size_have_the_right_header() {
    let ca = ca(KeyAlgorithm::Ed25519, SignatureAlgorithm::Ed25519);
    for count in [1, 2, 3, 4, 8, 1_400, 2_600, 600_000] {
        let entries = entry(&[0x40; 16], Some(1), None).repeat(count);
        let list = ca.list(&entries);
        let unsigned = UnsignedCrl::new(&list).unwrap();
        assert_eq!(unsigned.tbs(), list.to_der().unwrap());
        let signature = ca.key.sign(ca.algorithm, unsigned.tbs());
        let der = unsigned.sign_with(ca.algorithm, &signature);
        let crl = CertificateList::from_der(&der).unwrap();
        assert_eq!(crl.entry_count(), count);
        assert!(crl.is_signed_by(&ca.key.public()));
    }
}

#[test]
fn a_million_revoked_certificates_are_read_by_openssl() {
    const ENTRIES: u32 = 1_000_000;
    let ca = ca(KeyAlgorithm::EcP256, SignatureAlgorithm::EcdsaSha256);
    let mut entries = Vec::with_capacity(50 << 20);
    for n in 0..ENTRIES {
        let mut serial = [0x41; 16];
        serial[12..].copy_from_slice(&n.to_be_bytes());
        entries.extend(entry(&serial, Some(4), None));
    }
    let unsigned = UnsignedCrl::new(&ca.list(&entries)).unwrap();
    let signature = ca.key.sign(ca.algorithm, unsigned.tbs());
    let der = unsigned.sign_with(ca.algorithm, &signature);
    assert_eq!(CertificateList::from_der(&der).unwrap().entry_count(), ENTRIES as usize);
    let shop = Workshop::new();
    shop.write("crl.der", &der);
    shop.write("ca.pem", ca.certificate.to_pem());
    let text = shop.openssl("crl -inform DER -in crl.der -noout -crlnumber -verify -CAfile ca.pem");
    assert!(text.contains("verify OK") && text.contains("crlNumber=0xC8"), "{text}");
}

#[test]
fn what_has_no_encoding_is_refused() {
    let ca = ca(KeyAlgorithm::Ed25519, SignatureAlgorithm::Ed25519);
    let check = |list: &TbsCertList<'_>, expected: &str| {
        assert_eq!(list.to_der().unwrap_err().code, expected);
        assert_eq!(UnsignedCrl::new(list).err().unwrap().code, expected);
    };
    check(&TbsCertList { this_update: -700_000_000, ..ca.list(&[]) }, "encode.validity");
    check(&TbsCertList { next_update: i64::MAX, ..ca.list(&[]) }, "encode.validity");
    check(&TbsCertList { crl_number: -1, ..ca.list(&[]) }, "encode.crl_number");
    check(&TbsCertList { base_crl_number: Some(-1), ..ca.list(&[]) }, "encode.crl_number");
    check(&TbsCertList { freshest_crl: &["http://ü".to_owned()], ..ca.list(&[]) }, "encode.uri");
    let point = IssuingDistributionPoint { full_name: vec!["http://ü".to_owned()], ..Default::default() };
    check(&TbsCertList { issuing_distribution_point: Some(&point), ..ca.list(&[]) }, "encode.uri");
}

#[test]
fn a_list_of_openssl_is_read() {
    let shop = Workshop::new();
    shop.openssl(
        "req -x509 -newkey rsa:2048 -nodes -keyout ca.key -subj /CN=old -out ca.pem -days 30 -addext keyUsage=cRLSign,keyCertSign",
    );
    shop.write("index.txt", "R\t491231235959Z\t260101000000Z,keyCompromise\t00FF\tunknown\t/CN=x\n");
    shop.write("number", "0100\n");
    shop.write(
        "ca.cnf",
        "[ca]\ndefault_ca=d\n[d]\ndatabase=index.txt\ncrlnumber=number\ncertificate=ca.pem\nprivate_key=ca.key\n\
         default_md=sha256\ndefault_crl_days=30\ncrl_extensions=e\n[e]\nauthorityKeyIdentifier=keyid\n",
    );
    shop.openssl("ca -config ca.cnf -gencrl -out crl.pem");
    let crl = CertificateList::from_pem(&shop.read_text("crl.pem")).unwrap();
    let ca = Certificate::from_pem(&shop.read_text("ca.pem")).unwrap();
    assert!(crl.is_signed_by(&ca.public_key().unwrap()));
    assert_eq!(crl.number(), Some(256));
    let read: Vec<_> = crl.entries().map(|one| (one.serial, one.reason)).collect();
    assert_eq!(read, [(&[0, 0xff][..], Some(1))]);
}

#[test]
fn what_is_not_understood_is_refused() {
    let ca = ca(KeyAlgorithm::Ed25519, SignatureAlgorithm::Ed25519);
    let check = |der: &[u8], expected: &str| {
        assert_eq!(CertificateList::from_der(der).unwrap_err().code, expected);
    };
    let entries = three_entries();
    let good = ca.list(&entries).to_der().unwrap();
    let sign = |tbs: &[u8]| assemble(tbs, ca.algorithm, &ca.key.sign(ca.algorithm, tbs));
    assert!(CertificateList::from_der(&sign(&good)).is_ok());
    let changed = |from: &[u8], to: &[u8]| {
        let at = good.windows(from.len()).position(|window| window == from).unwrap();
        let mut der = good.clone();
        der[at..at + from.len()].copy_from_slice(to);
        sign(&der)
    };
    // Version 3; a time with a 13th month.
    check(&changed(&[2, 1, 1, 0x30], &[2, 1, 2, 0x30]), "crl.version");
    check(&changed(b"991231", b"991331"), "asn1.not_der");
    check(b"", "asn1.not_der");
    check(&[sign(&good), vec![0]].concat(), "asn1.not_der");
    check(&vec![0x30; CertificateList::DER_MAX + 1], "crl.too_large");
    assert_eq!(CertificateList::from_pem(&ca.certificate.to_pem()).unwrap_err().code, "crl.pem");
    assert_eq!(CertificateList::from_pem("x").unwrap_err().code, "crl.pem");

    let point = |octets: &[u8]| {
        let scope = IssuingDistributionPoint { only_contains_user_certs: true, ..Default::default() };
        let der = TbsCertList { issuing_distribution_point: Some(&scope), ..ca.list(&entries) }.to_der().unwrap();
        let at = der.windows(3).rposition(|window| window == [0x81, 1, 0xff]).unwrap();
        let mut der = der;
        der[at..at + 3].copy_from_slice(octets);
        sign(&der)
    };
    check(&point(&[0x84, 1, 0xff]), "crl.scope");
    check(&point(&[0x85, 1, 0xff]), "crl.scope");
    // The scope's extension under a name nobody knows.
    let mut unknown = point(&[0x81, 1, 0xff]);
    let at = unknown.windows(3).rposition(|window| window == [0x55, 0x1d, 28]).unwrap();
    unknown[at + 2] = 99;
    check(&unknown, "crl.extension");
}

proptest::proptest! {
    #[test]
    fn changed_octets_never_panic(at: proptest::sample::Index, octet: u8) {
        let entries = three_entries();
        let issuer = [0x30, 0];
        let list = TbsCertList {
            signature_algorithm: SignatureAlgorithm::Ed25519,
            issuer_der: &issuer,
            this_update: NOW,
            next_update: NEXT,
            entries_der: &entries,
            authority_key_id: &[7; 20],
            crl_number: 1,
            issuing_distribution_point: Some(&IssuingDistributionPoint::default()),
            base_crl_number: Some(1),
            freshest_crl: &["http://x".to_owned()],
        };
        let mut der = assemble(&list.to_der().unwrap(), SignatureAlgorithm::Ed25519, &[0; 64]);
        let at = at.index(der.len());
        der[at] = octet;
        if let Ok(crl) = CertificateList::from_der(&der) {
            proptest::prop_assert_eq!(crl.entries().count(), crl.entry_count());
        }
        let _ = lint_crl(&der, &CrlLintContext { issuer_subject_der: &issuer, issuer_key_id: &[7; 20] });
    }
}
