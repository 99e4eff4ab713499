//! The judges of CRLs and OCSP responses are judged with ours: each accepts what is sound and refuses what is spoilt.

use chancery_keys::{PrivateKey, Signer};
use chancery_pkix::{
    BasicConstraints, CertId, CertStatus, CrlEntryContents, DistinguishedName, ExtendedKeyUsage, Extensions,
    HashAlgorithm, IssuingDistributionPoint, KeyAlgorithm, KeyUsage, ResponderId, ResponseData, SerialNumber,
    SingleResponse, TbsCertList, TbsCertificate, UnsignedCrl, Validity, assemble, assemble_response, pem,
};

use super::*;

/// Between the ends of everything below.
const NOW: i64 = 1_800_000_000;
const DAY: i64 = 86_400;

/// A key with its certificate.
struct Party {
    key: PrivateKey,
    pem: String,
    subject: Vec<u8>,
    serial: SerialNumber,
}

fn party(name: &str, issuer: Option<&Party>, extensions: Extensions) -> Party {
    let key = PrivateKey::generate(KeyAlgorithm::EcP256).expect("a key");
    let subject = name.parse::<DistinguishedName>().expect("a name").to_der();
    let serial =
        SerialNumber::from_bytes(key.public_key().key_id().get(..16).expect("twenty octets")).expect("a serial number");
    let signer = issuer.map_or(&key, |it| &it.key);
    let algorithm = KeyAlgorithm::EcP256.default_signature();
    let extensions = Extensions {
        subject_key_id: key.public_key().key_id().to_vec(),
        authority_key_id: Some(signer.public_key().key_id().to_vec()),
        ..extensions
    };
    let tbs = TbsCertificate {
        serial: &serial,
        signature_algorithm: algorithm,
        issuer_der: issuer.map_or(&subject, |it| &it.subject),
        validity: Validity { not_before: NOW - 100 * DAY, not_after: NOW + 100 * DAY },
        subject_der: &subject,
        public_key: key.public_key(),
        extensions: &extensions,
    }
    .to_der()
    .expect("a certificate");
    let der = assemble(&tbs, algorithm, &signer.sign(algorithm, &tbs).expect("a signature"));
    Party { pem: pem::encode(pem::CERTIFICATE, &der), key, subject, serial }
}

fn root() -> Party {
    let extensions = Extensions {
        basic_constraints: Some(BasicConstraints { is_ca: true, path_length: None }),
        key_usages: [KeyUsage::KeyCertSign, KeyUsage::CrlSign].into_iter().collect(),
        ..Extensions::default()
    };
    party("CN=Status Root", None, extensions)
}

const PLACE: &str = "http://pki.acme.com/1.crl";
const DELTA_PLACE: &str = "http://pki.acme.com/1-delta.crl";

fn leaf(root: &Party) -> Party {
    let extensions = Extensions {
        key_usages: [KeyUsage::DigitalSignature].into_iter().collect(),
        extended_key_usages: vec![ExtendedKeyUsage::ClientAuth],
        crl_distribution_points: vec![PLACE.to_owned()],
        freshest_crl: vec![DELTA_PLACE.to_owned()],
        ..Extensions::default()
    };
    party("CN=Status Leaf", Some(root), extensions)
}

/// A CRL of the root's: complete, or a delta to the first one.
fn crl(root: &Party, entries: &[(&SerialNumber, u8)], number: i64, base: Option<i64>, place: Option<&str>) -> Vec<u8> {
    let entries: Vec<u8> = entries
        .iter()
        .flat_map(|(serial, reason)| {
            let serial = serial.to_content_octets();
            let entry = CrlEntryContents {
                serial: &serial,
                revocation_date: NOW - DAY,
                reason_code: Some(*reason),
                invalidity_date: Some(NOW - 2 * DAY),
            };
            entry.to_der()
        })
        .collect();
    let scope = place.map(|uri| IssuingDistributionPoint { full_name: vec![uri.to_owned()], ..Default::default() });
    let algorithm = KeyAlgorithm::EcP256.default_signature();
    let unsigned = UnsignedCrl::new(&TbsCertList {
        signature_algorithm: algorithm,
        issuer_der: &root.subject,
        this_update: NOW,
        next_update: NOW + DAY,
        entries_der: &entries,
        authority_key_id: &root.key.public_key().key_id(),
        crl_number: number,
        issuing_distribution_point: scope.as_ref(),
        base_crl_number: base,
        freshest_crl: &[],
    })
    .expect("a CRL");
    let signature = root.key.sign(algorithm, unsigned.tbs()).expect("a signature");
    unsigned.sign_with(algorithm, &signature)
}

#[test]
fn revoked_leaves_are_refused_and_others_pass() {
    let root = root();
    let leaf = leaf(&root);
    let chain = [leaf.pem.as_str(), root.pem.as_str()];
    let empty = crl(&root, &[], 1, None, Some(PLACE));
    for judged in [&empty, &crl(&root, &[], 1, None, None)] {
        pkilint_crl(judged);
        openssl_crl_verifies(judged, &root.pem);
        openssl_verify_crl_check(&chain, std::slice::from_ref(judged), NOW + 1);
    }
    assert!(openssl_crl_text(&empty).contains(PLACE));
    let elsewhere = crl(&root, &[], 1, None, Some("http://pki.acme.com/2.crl"));
    assert!(openssl_refuses_crl_check(&chain, &[elsewhere], NOW + 1).contains("scope"));
    assert!(openssl_refuses_crl_check(&chain, std::slice::from_ref(&empty), NOW + 2 * DAY).contains("CRL has expired"));

    let full = crl(&root, &[(&leaf.serial, 1)], 2, None, Some(PLACE));
    pkilint_crl(&full);
    assert!(openssl_refuses_crl_check(&chain, std::slice::from_ref(&full), NOW + 1).contains("certificate revoked"));
    let other = crl(&root, &[(&root.serial, 4)], 2, None, Some(PLACE));
    openssl_verify_crl_check(&chain, &[other], NOW + 1);
}

#[test]
fn deltas_add_and_remove() {
    let root = root();
    let leaf = leaf(&root);
    let chain = [leaf.pem.as_str(), root.pem.as_str()];
    let empty = crl(&root, &[], 1, None, None);
    let adding = crl(&root, &[(&leaf.serial, 1)], 2, Some(1), None);
    pkilint_crl(&adding);
    assert!(openssl_refuses_crl_check(&chain, &[empty, adding], NOW + 1).contains("certificate revoked"));
    let held = crl(&root, &[(&leaf.serial, 6)], 1, None, None);
    assert!(openssl_refuses_crl_check(&chain, std::slice::from_ref(&held), NOW + 1).contains("certificate revoked"));
    let removing = crl(&root, &[(&leaf.serial, 8)], 2, Some(1), None);
    pkilint_crl(&removing);
    openssl_verify_crl_check(&chain, &[held, removing], NOW + 1);
}

#[test]
#[should_panic(expected = "openssl crl -verify refuses")]
fn a_crl_of_another_is_refused() {
    let stranger = crl(&root(), &[], 1, None, None);
    openssl_crl_verifies(&stranger, &root().pem);
}

#[test]
fn the_linter_finds_what_is_wrong_with_a_crl() {
    let root = root();
    let noise = pkilint_status_findings("crl", b"noise");
    assert!(noise.iter().any(|finding| finding.severity == "FATAL"), "{noise:#?}");
    let sound = crl(&root, &[(&root.serial, 1)], 1, None, None);
    assert_eq!(pkilint_crl(&sound), []);
    // The authority key identifier under a name nobody knows.
    let mut spoilt = sound;
    let at = spoilt.windows(5).position(|window| window == [6, 3, 0x55, 0x1d, 35]).expect("a key identifier");
    *spoilt.get_mut(at + 4).expect("the end of its name") = 99;
    let findings = pkilint_status_findings("crl", &spoilt);
    assert!(findings.iter().any(|finding| finding.severity == "ERROR"), "{findings:#?}");
}

fn response(signer: &Party, id: &CertId, status: CertStatus, certificates: &[&[u8]]) -> Vec<u8> {
    let responses = [SingleResponse { cert_id_der: &id.der, status, this_update: NOW, next_update: Some(NOW + DAY) }];
    let data = ResponseData {
        responder: ResponderId::of(signer.key.public_key()),
        produced_at: NOW,
        responses: &responses,
        nonce: None,
        extended_revoke: false,
    }
    .to_der()
    .expect("response data");
    let algorithm = KeyAlgorithm::EcP256.default_signature();
    let signature = signer.key.sign(algorithm, &data).expect("a signature");
    assemble_response(&data, algorithm, &signature, certificates)
}

fn id(root: &Party, leaf: &Party) -> CertId {
    let serial = leaf.serial.to_content_octets();
    CertId::of(HashAlgorithm::Sha1, &root.subject, root.key.public_key(), &serial).expect("a CertID")
}

#[test]
fn responses_are_believed_from_the_issuer_and_its_delegate() {
    let root = root();
    let leaf = leaf(&root);
    let extensions = Extensions {
        key_usages: [KeyUsage::DigitalSignature].into_iter().collect(),
        extended_key_usages: vec![ExtendedKeyUsage::OcspSigning],
        ocsp_no_check: true,
        ..Extensions::default()
    };
    let delegate = party("CN=Status Responder", Some(&root), extensions);
    let delegate_der = chancery_pkix::Certificate::from_pem(&delegate.pem).expect("a certificate").der().to_vec();
    let question = OcspQuestion {
        certificate: &leaf.pem,
        issuer: &root.pem,
        trusted: &root.pem,
        at_epoch_seconds: NOW,
        with_nonce: false,
    };
    let check = |status: CertStatus, expected: &str| {
        let by_root = response(&root, &id(&root, &leaf), status, &[]);
        let by_delegate = response(&delegate, &id(&root, &leaf), status, &[&delegate_der]);
        for der in [by_root, by_delegate] {
            assert_eq!(pkilint_ocsp(&der), []);
            let said = openssl_reads_ocsp(&der, &question);
            assert!(said.contains(&format!("certificate.pem: {expected}")), "{said}");
        }
    };
    check(CertStatus::Good, "good");
    check(CertStatus::Unknown, "unknown");
    check(CertStatus::Revoked { at: NOW - DAY, reason: Some(1) }, "revoked");
    check(CertStatus::Revoked { at: NOW - DAY, reason: None }, "revoked");
    let noise = pkilint_status_findings("ocsp", b"noise");
    assert!(noise.iter().any(|finding| finding.severity == "FATAL"), "{noise:#?}");
}

#[test]
#[should_panic(expected = "openssl ocsp")]
fn a_response_of_a_stranger_is_not_believed() {
    let root = root();
    let leaf = leaf(&root);
    let stranger = party("CN=Stranger", Some(&root), Extensions::default());
    let stranger_der = chancery_pkix::Certificate::from_pem(&stranger.pem).expect("a certificate").der().to_vec();
    let der = response(&stranger, &id(&root, &leaf), CertStatus::Good, &[&stranger_der]);
    let question = OcspQuestion {
        certificate: &leaf.pem,
        issuer: &root.pem,
        trusted: &root.pem,
        at_epoch_seconds: NOW,
        with_nonce: false,
    };
    openssl_reads_ocsp(&der, &question);
}
