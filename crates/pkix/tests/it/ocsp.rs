//! OCSP responses of ours judged by openssl; requests of openssl's read by us.

use chancery_pkix::{
    BasicConstraints, BasicOcspResponse, CertId, CertStatus, Certificate, DistinguishedName, ExtendedKeyUsage,
    Extensions, HashAlgorithm, IssuerHashes, KeyAlgorithm, KeyUsage, OcspErrorStatus, OcspRequest, OcspResponseError,
    PublicKey, ResponderId, ResponseData, SerialNumber, SignatureAlgorithm, SingleResponse, TbsCertificate, Validity,
    assemble, assemble_response,
};

use crate::judge::{Workshop, tlv};
use crate::signing::{Key, can_sign};

const VALIDITY: Validity = Validity { not_before: 1_577_836_800, not_after: 4_102_444_799 };
/// openssl has a real clock and wants to be between the two.
const THIS_UPDATE: i64 = 1_600_000_000;
const NEXT_UPDATE: i64 = 4_102_444_799;

struct Ca {
    key: Key,
    algorithm: SignatureAlgorithm,
    certificate: Certificate,
}

struct Draft<'a> {
    serial: u8,
    subject: &'a str,
    key: &'a PublicKey,
    extensions: Extensions,
}

fn certify(issuer: &str, key: &Key, algorithm: SignatureAlgorithm, draft: Draft<'_>) -> Certificate {
    let name = |text: &str| text.parse::<DistinguishedName>().unwrap().to_der();
    let extensions = Extensions {
        subject_key_id: draft.key.key_id().to_vec(),
        authority_key_id: Some(key.public().key_id().to_vec()),
        ..draft.extensions
    };
    let tbs = TbsCertificate {
        serial: &SerialNumber::from_bytes(&[draft.serial; 16]).unwrap(),
        signature_algorithm: algorithm,
        issuer_der: &name(issuer),
        validity: VALIDITY,
        subject_der: &name(draft.subject),
        public_key: draft.key,
        extensions: &extensions,
    }
    .to_der()
    .unwrap();
    Certificate::from_der(&assemble(&tbs, algorithm, &key.sign(algorithm, &tbs))).unwrap()
}

fn ca(key_algorithm: KeyAlgorithm, algorithm: SignatureAlgorithm) -> Ca {
    let key = Key::generate(key_algorithm);
    let extensions = Extensions {
        basic_constraints: Some(BasicConstraints { is_ca: true, path_length: None }),
        key_usages: [KeyUsage::KeyCertSign, KeyUsage::CrlSign, KeyUsage::DigitalSignature].into_iter().collect(),
        ..Extensions::default()
    };
    let draft = Draft { serial: 1, subject: "CN=OCSP Root", key: &key.public(), extensions };
    let certificate = certify("CN=OCSP Root", &key, algorithm, draft);
    Ca { key, algorithm, certificate }
}

impl Ca {
    fn leaf(&self, serial: u8, extensions: Extensions, key: &PublicKey) -> Certificate {
        certify("CN=OCSP Root", &self.key, self.algorithm, Draft { serial, subject: "CN=leaf", key, extensions })
    }

    fn hashes(&self) -> IssuerHashes {
        IssuerHashes::of(self.certificate.subject_der(), &self.key.public())
    }

    fn id(&self, hash: HashAlgorithm, leaf: &Certificate) -> CertId {
        let serial = leaf.serial().to_content_octets();
        CertId::of(hash, self.certificate.subject_der(), &self.key.public(), &serial).unwrap()
    }
}

fn single<'a>(id: &'a CertId, status: CertStatus) -> SingleResponse<'a> {
    SingleResponse { cert_id_der: &id.der, status, this_update: THIS_UPDATE, next_update: Some(NEXT_UPDATE) }
}

fn data<'a>(signer: &PublicKey, responses: &'a [SingleResponse<'a>], nonce: Option<&'a [u8]>) -> Vec<u8> {
    let responder = ResponderId::of(signer);
    ResponseData { responder, produced_at: THIS_UPDATE, responses, nonce, extended_revoke: false }.to_der().unwrap()
}

#[test]
fn a_response_of_every_algorithm_is_verified() {
    for algorithm in SignatureAlgorithm::ALL {
        let key_algorithm = KeyAlgorithm::ALL.iter().find(|key| can_sign(**key, *algorithm)).unwrap();
        let ca = ca(*key_algorithm, *algorithm);
        let leaf = ca.leaf(0xf5, Extensions::default(), &Key::generate(KeyAlgorithm::EcP256).public());
        let id = ca.id(HashAlgorithm::Sha1, &leaf);
        let data = data(&ca.key.public(), &[single(&id, CertStatus::Good)], None);
        let der = assemble_response(&data, *algorithm, &ca.key.sign(*algorithm, &data), &[]);
        let response = BasicOcspResponse::from_der(&der).unwrap();
        assert!(response.is_signed_by(&ca.key.public()), "{algorithm}");
        assert!(!response.is_signed_by(&Key::generate(*key_algorithm).public()), "{algorithm}");
        // OpenSSL 3.0 has no ML-DSA.
        if key_algorithm.family() != chancery_pkix::KeyFamily::MlDsa {
            let said = openssl_says(&ca, &leaf, &der, "-no_nonce");
            assert!(said.contains("leaf.pem: good"), "{algorithm}: {said}");
        }
    }
}

fn openssl_says(ca: &Ca, leaf: &Certificate, response: &[u8], more: &str) -> String {
    let shop = Workshop::new();
    shop.write("ca.pem", ca.certificate.to_pem());
    shop.write("leaf.pem", leaf.to_pem());
    shop.write("response.der", response);
    let said = shop
        .openssl(&format!("ocsp -issuer ca.pem -CAfile ca.pem -cert leaf.pem -respin response.der -resp_text {more}"));
    assert!(said.contains("Response verify OK"), "{said}");
    said
}

#[test]
fn openssl_believes_a_delegated_responder_in_each_status() {
    let ca = ca(KeyAlgorithm::EcP384, SignatureAlgorithm::EcdsaSha384);
    let responder = Key::generate(KeyAlgorithm::EcP256);
    let extensions = Extensions {
        key_usages: [KeyUsage::DigitalSignature].into_iter().collect(),
        extended_key_usages: vec![ExtendedKeyUsage::OcspSigning],
        ocsp_no_check: true,
        ..Extensions::default()
    };
    let delegate = ca.leaf(2, extensions, &responder.public());
    assert!(delegate.extensions().ocsp_no_check);
    let leaf = ca.leaf(0xf5, Extensions::default(), &Key::generate(KeyAlgorithm::EcP256).public());
    let check = |status: CertStatus, expected: &[&str]| {
        let id = ca.id(HashAlgorithm::Sha1, &leaf);
        let data = data(&responder.public(), &[single(&id, status)], None);
        let algorithm = SignatureAlgorithm::EcdsaSha256;
        let der = assemble_response(&data, algorithm, &responder.sign(algorithm, &data), &[delegate.der()]);
        let said = openssl_says(&ca, &leaf, &der, "-no_nonce");
        for one in expected {
            assert!(said.contains(one), "{one:?} is not in\n{said}");
        }
        let read = BasicOcspResponse::from_der(&der).unwrap();
        assert_eq!(read.responses[0].status, status);
        assert_eq!(read.responses[0].cert_id, id);
        assert_eq!((read.responses[0].this_update, read.responses[0].next_update), (THIS_UPDATE, Some(NEXT_UPDATE)));
        assert_eq!(read.certificates, [delegate.der()]);
        assert_eq!(read.responder, ResponderId::of(&responder.public()));
        assert_eq!(read.data_der(), data);
        assert_eq!(read.produced_at, THIS_UPDATE);
    };
    check(CertStatus::Good, &["leaf.pem: good", "OCSP No Check"]);
    check(CertStatus::Unknown, &["leaf.pem: unknown"]);
    let revoked = |reason| CertStatus::Revoked { at: 1_500_000_000, reason };
    check(revoked(Some(1)), &["leaf.pem: revoked", "Reason: keyCompromise", "Jul 14 02:40:00 2017 GMT"]);
    check(revoked(None), &["leaf.pem: revoked"]);
}

#[test]
fn requests_of_openssl_are_read_and_matched() {
    let ca = ca(KeyAlgorithm::EcP256, SignatureAlgorithm::EcdsaSha256);
    let other = self::ca(KeyAlgorithm::EcP256, SignatureAlgorithm::EcdsaSha256);
    let leaf = ca.leaf(0xf5, Extensions::default(), &Key::generate(KeyAlgorithm::EcP256).public());
    let shop = Workshop::new();
    shop.write("ca.pem", ca.certificate.to_pem());
    shop.write("leaf.pem", leaf.to_pem());
    for (hash, expected) in [
        ("sha1", HashAlgorithm::Sha1),
        ("sha256", HashAlgorithm::Sha256),
        ("sha384", HashAlgorithm::Sha384),
        ("sha512", HashAlgorithm::Sha512),
    ] {
        for (flag, has_nonce) in [("-nonce", true), ("-no_nonce", false)] {
            shop.openssl(&format!("ocsp -issuer ca.pem -{hash} -cert leaf.pem {flag} -reqout request.der"));
            let request = OcspRequest::from_der(&shop.read("request.der")).unwrap();
            let [id] = request.requests.as_slice() else { panic!("{request:?}") };
            assert_eq!(id.hash, expected);
            assert_eq!(id.serial, [&[0][..], &[0xf5; 16]].concat());
            assert_eq!(request.nonce.is_some(), has_nonce);
            assert_eq!(*id, ca.id(expected, &leaf));
            assert!(ca.hashes().matches(id) && !other.hashes().matches(id));
            assert!(id.is_of(ca.certificate.subject_der(), ca.key.public().key_bytes()));
            assert!(!id.is_of(ca.certificate.subject_der(), other.key.public().key_bytes()));
            assert_eq!(request.to_der(), shop.read("request.der"));
        }
    }
    assert_eq!(ResponderId::of(&ca.key.public()), ResponderId::ByKey(ca.hashes().key_sha1()));

    // With the nonce repeated, openssl is content; with another it is not.
    shop.openssl("ocsp -issuer ca.pem -cert leaf.pem -nonce -reqout request.der");
    let request = OcspRequest::from_der(&shop.read("request.der")).unwrap();
    let answer = |nonce: &[u8]| {
        let singles = [single(&request.requests[0], CertStatus::Good)];
        let data = data(&ca.key.public(), &singles, Some(nonce));
        let der = assemble_response(&data, ca.algorithm, &ca.key.sign(ca.algorithm, &data), &[]);
        assert_eq!(BasicOcspResponse::from_der(&der).unwrap().nonce.as_deref(), Some(nonce));
        shop.write("response.der", der);
        let arguments =
            "ocsp -issuer ca.pem -CAfile ca.pem -reqin request.der -respin response.der -resp_text -no_nonce";
        shop.try_openssl(&arguments.split(' ').collect::<Vec<_>>()).1
    };
    let said = answer(request.nonce.as_deref().unwrap());
    assert!(
        said.contains("Response verify OK") && said.contains("Cert Status: good") && !said.contains("WARNING"),
        "{said}"
    );
    let said = answer(&[7; 32]);
    assert!(said.contains("Nonce Verify error"), "{said}");
}

#[test]
fn never_issued_may_be_revoked_with_a_word_to_say_so() {
    let key = Key::generate(KeyAlgorithm::Ed25519);
    let id = CertId::of(HashAlgorithm::Sha256, &[0x30, 0], &key.public(), &[9]).unwrap();
    let status = CertStatus::Revoked { at: 0, reason: Some(6) };
    let singles = [single(&id, status)];
    let data = ResponseData {
        responder: ResponderId::ByName(vec![0x30, 0]),
        produced_at: THIS_UPDATE,
        responses: &singles,
        nonce: None,
        extended_revoke: true,
    }
    .to_der()
    .unwrap();
    let algorithm = SignatureAlgorithm::Ed25519;
    let read = BasicOcspResponse::from_der(&assemble_response(&data, algorithm, &key.sign(algorithm, &data), &[]));
    let read = read.unwrap();
    assert!(read.extended_revoke && read.is_signed_by(&key.public()));
    assert_eq!(read.responder, ResponderId::ByName(vec![0x30, 0]));
    assert_eq!(read.responses[0].status, status);
    let late = ResponseData {
        responder: ResponderId::of(&key.public()),
        produced_at: i64::MAX,
        responses: &[],
        nonce: None,
        extended_revoke: false,
    };
    assert_eq!(late.to_der().unwrap_err().code, "encode.validity");
}

#[test]
fn refusals_are_five_octets_that_openssl_understands() {
    let check = |status: OcspErrorStatus, code: u8, expected: &str| {
        let der = status.to_der();
        assert_eq!(der, [0x30, 3, 0x0a, 1, code]);
        assert_eq!(BasicOcspResponse::from_der(&der), Err(OcspResponseError::Status(status)));
        let shop = Workshop::new();
        shop.write("response.der", der);
        let (_, said) = shop.try_openssl(&["ocsp", "-respin", "response.der", "-resp_text", "-noverify"]);
        assert!(said.to_lowercase().contains(expected), "{expected:?} is not in {said}");
    };
    check(OcspErrorStatus::MalformedRequest, 1, "malformedrequest");
    check(OcspErrorStatus::InternalError, 2, "internalerror");
    check(OcspErrorStatus::TryLater, 3, "trylater");
    check(OcspErrorStatus::SigRequired, 5, "sigrequired");
    check(OcspErrorStatus::Unauthorized, 6, "unauthorized");
}

/// A request from its parts: `(requests, requestExtensions)`, each already encoded.
fn request(version: &[u8], requests: &[u8], extensions: &[u8]) -> Vec<u8> {
    let list = tlv(0x30, &[requests]);
    tlv(0x30, &[&tlv(0x30, &[version, &list, extensions])])
}

fn one() -> Vec<u8> {
    let hash = tlv(0x30, &[&[6, 5, 0x2b, 14, 3, 2, 26]]);
    tlv(0x30, &[&tlv(0x30, &[&hash, &tlv(4, &[&[1; 20]]), &tlv(4, &[&[2; 20]]), &[2, 1, 5]])])
}

/// requestExtensions with one extension.
fn extension(oid: &[u8], critical: bool, value: &[u8]) -> Vec<u8> {
    let flag: &[u8] = if critical { &[1, 1, 0xff] } else { &[] };
    tlv(0xa2, &[&tlv(0x30, &[&tlv(0x30, &[&tlv(6, &[oid]), flag, &tlv(4, &[value])])])])
}

const NONCE: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 48, 1, 2];

#[test]
fn requests_are_held_to_their_limits() {
    let check = |der: &[u8], expected: Result<(usize, Option<usize>), &str>| {
        let read = OcspRequest::from_der(der);
        let read = read.map(|it| (it.requests.len(), it.nonce.map(|nonce| nonce.len()))).map_err(|error| error.code);
        assert_eq!(read, expected, "{}", hex::encode(der));
    };
    let nonce = |octets: usize| extension(NONCE, false, &tlv(4, &[&vec![9; octets]]));
    check(&request(&[], &one(), &[]), Ok((1, None)));
    check(&request(&[0xa0, 3, 2, 1, 0], &one(), &[]), Ok((1, None)));
    check(&request(&[0xa0, 3, 2, 1, 1], &one(), &[]), Err("ocsp.version"));
    check(&request(&[], &one().repeat(8), &[]), Ok((8, None)));
    check(&request(&[], &one().repeat(9), &[]), Err("ocsp.too_many"));
    check(&request(&[], &[], &[]), Err("ocsp.empty"));
    check(&request(&[], &one(), &nonce(1)), Ok((1, Some(1))));
    check(&request(&[], &one(), &nonce(128)), Ok((1, Some(128))));
    check(&request(&[], &one(), &nonce(0)), Err("ocsp.nonce"));
    check(&request(&[], &one(), &nonce(129)), Err("ocsp.nonce"));
    check(&request(&[], &one(), &extension(NONCE, false, &[9; 16])), Err("asn1.not_der"));
    check(&request(&[], &one(), &extension(&[0x2a, 3], false, &[5, 0])), Ok((1, None)));
    check(&request(&[], &one(), &extension(&[0x2a, 3], true, &[5, 0])), Err("ocsp.extension"));
    check(&[request(&[], &one(), &[]), vec![0]].concat(), Err("asn1.not_der"));
    check(b"GET / HTTP/1.1", Err("asn1.not_der"));
    check(b"", Err("asn1.not_der"));
    check(&vec![0x30; 70_000], Err("ocsp.too_large"));
    // A signature and a requestor are passed over, an indefinite length is not.
    let tbs = tlv(0x30, &[&tlv(0xa1, &[&tlv(0x82, &[b"me"])]), &tlv(0x30, &[&one()])]);
    check(&tlv(0x30, &[&tbs, &tlv(0xa0, &[&tlv(0x30, &[&[5, 0]])])]), Ok((1, None)));
    check(&[&[0x30, 0x80], &tbs[..], &[0, 0]].concat(), Err("asn1.not_der"));
}

#[test]
fn a_known_hash_has_no_parameters() {
    const SHA1: &[u8] = &[6, 5, 0x2b, 14, 3, 2, 26];
    // An algorithm that is not known here may have what it likes: it matches no issuer.
    const OTHER: &[u8] = &[6, 3, 0x2a, 3, 4];
    for (algorithm, parameters, good) in [
        (SHA1, &[][..], true),
        (SHA1, &[5, 0], true),
        (SHA1, &[5, 1, 0], false),
        (SHA1, &[4, 0], false),
        (SHA1, &[4, 2, 0xaa, 0xbb], false),
        (SHA1, &[5, 0, 5, 0], false),
        (OTHER, &[4, 2, 0xaa, 0xbb], true),
    ] {
        let hash = tlv(0x30, &[algorithm, parameters]);
        let id = tlv(0x30, &[&hash, &tlv(4, &[&[1; 20]]), &tlv(4, &[&[2; 20]]), &[2, 1, 5]]);
        let read = OcspRequest::from_der(&request(&[], &tlv(0x30, &[&id]), &[]));
        assert_eq!(read.is_ok(), good, "{algorithm:?} {parameters:?}: {read:?}");
    }
}

proptest::proptest! {
    #[test]
    fn changed_octets_never_panic(at: proptest::sample::Index, octet: u8) {
        let mut der = request(&[], &one(), &extension(NONCE, false, &tlv(4, &[&[9; 16]])));
        let at = at.index(der.len());
        der[at] = octet;
        if let Ok(request) = OcspRequest::from_der(&der) {
            proptest::prop_assert!(!request.requests.is_empty());
            let again = OcspRequest::from_der(&request.to_der()).unwrap();
            proptest::prop_assert_eq!(again, request);
        }
        let _ = BasicOcspResponse::from_der(&der);
    }

    #[test]
    fn requests_are_read_back(serial in proptest::collection::vec(1u8..0x80, 1..20), nonce in proptest::option::of(proptest::collection::vec(0u8.., 1..=128))) {
        let id = CertId::of(HashAlgorithm::Sha1, &[0x30, 0], &a_key(), &serial).unwrap();
        let request = OcspRequest { requests: vec![id], nonce };
        proptest::prop_assert_eq!(OcspRequest::from_der(&request.to_der()).unwrap(), request);
    }
}

fn a_key() -> PublicKey {
    static KEY: std::sync::LazyLock<PublicKey> =
        std::sync::LazyLock::new(|| Key::generate(KeyAlgorithm::EcP256).public());
    KEY.clone()
}
