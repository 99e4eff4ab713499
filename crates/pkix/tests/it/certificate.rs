//! Certificates of ours read by openssl and x509-parser; certificates of openssl's read by us.

use chancery_pkix::{
    BasicConstraints, Certificate, DistinguishedName, ExtendedKeyUsage, Extensions, GeneralName, GeneralNameKind,
    GeneralSubtree, KeyAlgorithm, KeyUsage, LintContext, NameConstraints, SerialNumber, SignatureAlgorithm,
    TbsCertificate, Validity, assemble, lint_tbs,
};
use x509_parser::prelude::*;

use crate::judge::Workshop;
use crate::signing::{Key, can_sign};

/// Certificates checked by programs with a real clock, so the span is wide.
const VALIDITY: Validity = Validity { not_before: 1_577_836_800, not_after: 4_102_444_799 };

fn dn(text: &str) -> DistinguishedName {
    text.parse().unwrap()
}

fn san(kind: GeneralNameKind, text: &str) -> GeneralName {
    GeneralName::parse(kind, text).unwrap()
}

fn every_kind_of_name() -> Vec<GeneralName> {
    vec![
        san(GeneralNameKind::DnsName, "www.acme.com"),
        san(GeneralNameKind::DnsName, "*.bücher.acme.com"),
        san(GeneralNameKind::IpAddress, "192.0.2.7"),
        san(GeneralNameKind::IpAddress, "2001:db8::7"),
        san(GeneralNameKind::Email, "jo@acme.com"),
        san(GeneralNameKind::Uri, "https://www.acme.com/x?y=z"),
        san(GeneralNameKind::Upn, "jö@acme.local"),
        san(GeneralNameKind::OtherName, "1.3.6.1.4.1.99999.1;utf8:Größe"),
        san(GeneralNameKind::DirectoryName, "CN=Jo,O=Acme\\, Inc.,C=DE"),
        san(GeneralNameKind::RegisteredId, "1.3.6.1.4.1.99999.2"),
    ]
}

struct Issuer {
    key: Key,
    algorithm: SignatureAlgorithm,
    certificate: Certificate,
}

fn root_extensions(key_id: [u8; 20]) -> Extensions {
    Extensions {
        basic_constraints: Some(BasicConstraints { is_ca: true, path_length: Some(1) }),
        key_usages: [KeyUsage::KeyCertSign, KeyUsage::CrlSign].into_iter().collect(),
        subject_key_id: key_id.to_vec(),
        name_constraints: Some(NameConstraints {
            permitted: vec![
                GeneralSubtree::parse(GeneralNameKind::DnsName, "acme.com").unwrap(),
                GeneralSubtree::parse(GeneralNameKind::IpAddress, "192.0.2.0/24").unwrap(),
                GeneralSubtree::parse(GeneralNameKind::IpAddress, "2001:db8::/32").unwrap(),
            ],
            excluded: vec![GeneralSubtree::parse(GeneralNameKind::Email, "evil.com").unwrap()],
        }),
        ..Extensions::default()
    }
}

fn root(algorithm: SignatureAlgorithm, key_algorithm: KeyAlgorithm) -> Issuer {
    let key = Key::generate(key_algorithm);
    let public_key = key.public();
    let name = dn("CN=Root,O=Acme,C=DE").to_der();
    let extensions = root_extensions(public_key.key_id());
    let tbs = TbsCertificate {
        serial: &SerialNumber::from_random([1; 16]),
        signature_algorithm: algorithm,
        issuer_der: &name,
        validity: VALIDITY,
        subject_der: &name,
        public_key: &public_key,
        extensions: &extensions,
    }
    .to_der()
    .unwrap();
    let context =
        LintContext { issuer_subject_der: &name, issuer_key_id: None, issuer_validity: None, self_signed: true };
    assert_eq!(lint_tbs(&tbs, &context), []);
    let der = assemble(&tbs, algorithm, &key.sign(algorithm, &tbs));
    Issuer { key, algorithm, certificate: Certificate::from_der(&der).unwrap() }
}

impl Issuer {
    fn issue(&self, subject: &DistinguishedName, extensions: Extensions) -> Certificate {
        let key = Key::generate(KeyAlgorithm::EcP256).public();
        let extensions = Extensions {
            subject_key_id: key.key_id().to_vec(),
            authority_key_id: Some(self.certificate.extensions().subject_key_id.clone()),
            ..extensions
        };
        let tbs = TbsCertificate {
            serial: &SerialNumber::from_random([2; 16]),
            signature_algorithm: self.algorithm,
            issuer_der: self.certificate.subject_der(),
            validity: VALIDITY,
            subject_der: &subject.to_der(),
            public_key: &key,
            extensions: &extensions,
        }
        .to_der()
        .unwrap();
        let context = LintContext {
            issuer_subject_der: self.certificate.subject_der(),
            issuer_key_id: Some(&self.certificate.extensions().subject_key_id),
            issuer_validity: Some(self.certificate.validity()),
            self_signed: false,
        };
        assert_eq!(lint_tbs(&tbs, &context), []);
        let der = assemble(&tbs, self.algorithm, &self.key.sign(self.algorithm, &tbs));
        let certificate = Certificate::from_der(&der).unwrap();
        assert_eq!(certificate.extensions(), &extensions);
        assert!(certificate.is_signed_by(&self.certificate.public_key().unwrap()));
        certificate
    }
}

fn leaf_extensions() -> Extensions {
    Extensions {
        basic_constraints: Some(BasicConstraints::default()),
        key_usages: [KeyUsage::DigitalSignature].into_iter().collect(),
        extended_key_usages: vec![ExtendedKeyUsage::ServerAuth, ExtendedKeyUsage::ClientAuth],
        subject_alt_names: every_kind_of_name(),
        ca_issuers: vec!["http://pki.acme.com/root.cer".to_owned()],
        ocsp: vec!["http://pki.acme.com/ocsp".to_owned()],
        crl_distribution_points: vec!["http://pki.acme.com/root.crl".to_owned()],
        freshest_crl: vec!["http://pki.acme.com/delta.crl".to_owned()],
        ..Extensions::default()
    }
}

/// RSA of 4096 bits is left to slower suites: making the key takes seconds.
fn issuing_pairs() -> Vec<(SignatureAlgorithm, KeyAlgorithm)> {
    let keys = KeyAlgorithm::ALL.iter().filter(|key| !matches!(key, KeyAlgorithm::Rsa3072 | KeyAlgorithm::Rsa4096));
    keys.flat_map(|key| SignatureAlgorithm::ALL.iter().filter(|one| can_sign(*key, **one)).map(|one| (*one, *key)))
        .collect()
}

#[test]
fn chains_of_every_algorithm_verify_with_openssl() {
    for (algorithm, key) in issuing_pairs() {
        let root = root(algorithm, key);
        let leaf = root.issue(&dn("CN=www.acme.com"), leaf_extensions());
        assert_eq!(leaf.signature_algorithm(), Some(algorithm));
        assert!(root.certificate.is_signed_by(&root.certificate.public_key().unwrap()));
        if matches!(key, KeyAlgorithm::MlDsa44 | KeyAlgorithm::MlDsa65 | KeyAlgorithm::MlDsa87) {
            // OpenSSL 3.0 knows no ML-DSA; there the check above and the library's own tests have to do.
            continue;
        }
        let shop = Workshop::new();
        shop.write("root.pem", root.certificate.to_pem());
        shop.write("leaf.pem", leaf.to_pem());
        let said = shop.openssl("verify -x509_strict -purpose sslserver -CAfile root.pem leaf.pem");
        assert!(said.contains("leaf.pem: OK"), "{algorithm} {key}: {said}");
    }
}

#[test]
fn openssl_prints_every_name_and_extension() {
    let leaf =
        root(SignatureAlgorithm::EcdsaSha256, KeyAlgorithm::EcP256).issue(&dn("CN=www.acme.com"), leaf_extensions());
    let shop = Workshop::new();
    shop.write("leaf.pem", leaf.to_pem());
    let text = shop.openssl("x509 -in leaf.pem -noout -text -nameopt utf8,sep_comma_plus");
    for expected in [
        "DNS:www.acme.com",
        "DNS:*.xn--bcher-kva.acme.com",
        "IP Address:192.0.2.7",
        "IP Address:2001:DB8:0:0:0:0:0:7",
        "email:jo@acme.com",
        "URI:https://www.acme.com/x?y=z",
        "othername: UPN::jö@acme.local",
        "othername: 1.3.6.1.4.1.99999.1::Größe",
        "DirName:/C=DE/O=Acme, Inc./CN=Jo",
        "Registered ID:1.3.6.1.4.1.99999.2",
        "X509v3 Basic Constraints: critical\n                CA:FALSE",
        "X509v3 Key Usage: critical\n                Digital Signature\n",
        "TLS Web Server Authentication, TLS Web Client Authentication",
        "URI:http://pki.acme.com/root.crl",
        "OCSP - URI:http://pki.acme.com/ocsp",
        "CA Issuers - URI:http://pki.acme.com/root.cer",
    ] {
        assert!(text.contains(expected), "{expected:?} is not in\n{text}");
    }
    let fingerprint = shop.openssl("x509 -in leaf.pem -noout -fingerprint -sha256").to_lowercase().replace(':', "");
    assert!(fingerprint.contains(&hex::encode(leaf.fingerprint_sha256())));
    let fingerprint = shop.openssl("x509 -in leaf.pem -noout -fingerprint -sha1").to_lowercase().replace(':', "");
    assert!(fingerprint.contains(&hex::encode(leaf.fingerprint_sha1())));
    assert!(shop.openssl("x509 -in leaf.pem -noout -serial").to_lowercase().contains(&leaf.serial().to_hex()));
}

#[test]
fn openssl_enforces_the_name_constraints_we_write() {
    let root = root(SignatureAlgorithm::EcdsaSha256, KeyAlgorithm::EcP256);
    let constraints = root.certificate.extensions().name_constraints.clone().unwrap();
    let check = |kind: GeneralNameKind, text: &str| {
        let names = vec![san(kind, text)];
        let ours = constraints.check(&DistinguishedName::default(), &names).is_empty();
        let leaf =
            root.issue(&DistinguishedName::default(), Extensions { subject_alt_names: names, ..leaf_extensions() });
        let shop = Workshop::new();
        shop.write("root.pem", root.certificate.to_pem());
        shop.write("leaf.pem", leaf.to_pem());
        let (theirs, said) = shop.try_openssl(&["verify", "-x509_strict", "-CAfile", "root.pem", "leaf.pem"]);
        assert_eq!(ours, theirs, "{kind} {text}: {said}");
        ours
    };
    assert!(check(GeneralNameKind::DnsName, "a.acme.com"));
    assert!(check(GeneralNameKind::DnsName, "acme.com"));
    assert!(check(GeneralNameKind::DnsName, "*.a.acme.com"));
    assert!(!check(GeneralNameKind::DnsName, "notacme.com"));
    assert!(!check(GeneralNameKind::DnsName, "acme.com.evil.com"));
    assert!(check(GeneralNameKind::IpAddress, "192.0.2.200"));
    assert!(!check(GeneralNameKind::IpAddress, "192.0.3.1"));
    assert!(check(GeneralNameKind::IpAddress, "2001:db8:1::1"));
    assert!(!check(GeneralNameKind::IpAddress, "2001:db9::1"));
    assert!(check(GeneralNameKind::Email, "jo@elsewhere.com"));
    assert!(!check(GeneralNameKind::Email, "jo@evil.com"));
    assert!(check(GeneralNameKind::Uri, "https://anywhere.com/"));
}

#[test]
fn another_parser_reads_the_same_fields() {
    let root = root(SignatureAlgorithm::Ed25519, KeyAlgorithm::Ed25519);
    let leaf = root.issue(&dn("CN=www.acme.com,O=Acme,C=DE"), leaf_extensions());
    let (rest, theirs) = X509Certificate::from_der(leaf.der()).unwrap();
    assert!(rest.is_empty());
    assert_eq!(theirs.version(), X509Version::V3);
    assert_eq!(theirs.raw_serial(), leaf.serial().as_bytes());
    assert_eq!(theirs.validity().not_before.timestamp(), VALIDITY.not_before);
    assert_eq!(theirs.validity().not_after.timestamp(), VALIDITY.not_after);
    assert_eq!(theirs.tbs_certificate.as_ref(), leaf.tbs_der());
    assert_eq!(theirs.signature_value.data.as_ref(), leaf.signature());
    assert_eq!(theirs.issuer().as_raw(), root.certificate.subject_der());
    assert_eq!(theirs.subject().to_string(), "C=DE, O=Acme, CN=www.acme.com");
    assert_eq!(theirs.public_key().raw, leaf.spki_der());
    let order: Vec<String> = theirs.extensions().iter().map(|one| one.oid.to_id_string()).collect();
    let expected = [
        "2.5.29.35",
        "2.5.29.14",
        "2.5.29.15",
        "2.5.29.19",
        "2.5.29.17",
        "2.5.29.37",
        "2.5.29.31",
        "2.5.29.46",
        "1.3.6.1.5.5.7.1.1",
    ];
    assert_eq!(order, expected);
    let critical: Vec<bool> = theirs.extensions().iter().map(|one| one.critical).collect();
    assert_eq!(critical, [false, false, true, true, false, false, false, false, false]);
    let names = theirs.subject_alternative_name().unwrap().unwrap();
    assert_eq!(names.value.general_names.len(), every_kind_of_name().len());
    let constraints = X509Certificate::from_der(root.certificate.der()).unwrap().1;
    let constraints = constraints.name_constraints().unwrap().unwrap();
    assert!(constraints.critical);
    assert_eq!(constraints.value.permitted_subtrees.as_ref().unwrap().len(), 3);
}

#[test]
fn an_empty_subject_makes_the_alternative_names_critical() {
    let root = root(SignatureAlgorithm::EcdsaSha256, KeyAlgorithm::EcP256);
    let leaf = root.issue(&DistinguishedName::default(), leaf_extensions());
    let (_, theirs) = X509Certificate::from_der(leaf.der()).unwrap();
    assert!(theirs.subject_alternative_name().unwrap().unwrap().critical);
    assert!(leaf.subject().unwrap().is_empty());
}

#[test]
fn certificates_made_by_openssl_are_read() {
    let shop = Workshop::new();
    shop.write(
        "config",
        "[req]\ndistinguished_name=dn\nx509_extensions=ext\nprompt=no\nstring_mask=utf8only\nutf8=yes\n\
         [dn]\nC=DE\nO=Acme\nCN=Größe\n\
         [ext]\nbasicConstraints=critical,CA:true,pathlen:2\nkeyUsage=critical,keyCertSign,cRLSign,decipherOnly\n\
         extendedKeyUsage=serverAuth,1.2.3.4,OCSPSigning\nsubjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid:always\n\
         subjectAltName=DNS:a.acme.com,IP:10.0.0.1,IP:2001:db8::1,email:jo@acme.com,URI:https://acme.com/,\
         otherName:1.3.6.1.4.1.311.20.2.3;UTF8:jo@acme,otherName:1.2.3;IA5:x,RID:1.2.3,dirName:dir\n\
         nameConstraints=permitted;DNS:acme.com,excluded;IP:10.0.0.0/255.0.0.0\n\
         crlDistributionPoints=URI:http://a/crl\nauthorityInfoAccess=OCSP;URI:http://a/ocsp,caIssuers;URI:http://a/ca\n\
         certificatePolicies=1.2.3\n[dir]\nO=Acme\n",
    );
    shop.openssl(
        "req -x509 -newkey rsa:2048 -nodes -keyout key.pem -config config -days 30 -set_serial 0x0badc0de -out a.pem",
    );
    let text = shop.read_text("a.pem");
    let certificate = Certificate::from_pem(&text).unwrap();
    assert_eq!(certificate.to_pem(), text);
    assert_eq!(certificate.serial().to_hex(), "0badc0de");
    assert_eq!(certificate.subject().unwrap().to_string(), "CN=Größe,O=Acme,C=DE");
    assert_eq!(certificate.signature_algorithm(), Some(SignatureAlgorithm::RsaSha256));
    assert!(certificate.is_signed_by(&certificate.public_key().unwrap()));
    assert_eq!(certificate.validity().not_after - certificate.validity().not_before, 30 * 86_400);
    let extensions = certificate.extensions();
    assert_eq!(extensions.basic_constraints, Some(BasicConstraints { is_ca: true, path_length: Some(2) }));
    assert!(extensions.key_usages.contains(KeyUsage::DecipherOnly));
    assert_eq!(extensions.extended_key_usages, [ExtendedKeyUsage::ServerAuth, ExtendedKeyUsage::OcspSigning]);
    assert_eq!(certificate.unknown_extended_key_usages().len(), 1);
    assert_eq!(certificate.unknown_extensions()[0].to_string(), "2.5.29.32");
    let names: Vec<String> =
        extensions.subject_alt_names.iter().map(|name| format!("{} {}", name.kind(), name.value())).collect();
    let expected = [
        "dns_name a.acme.com",
        "ip_address 10.0.0.1",
        "ip_address 2001:db8::1",
        "email jo@acme.com",
        "uri https://acme.com/",
        "upn jo@acme",
        "registered_id 1.2.3",
        "directory_name O=Acme",
    ];
    assert_eq!(names, expected);
    let constraints = extensions.name_constraints.as_ref().unwrap();
    assert_eq!(constraints.permitted[0].value(), "acme.com");
    assert_eq!(constraints.excluded[0].value(), "10.0.0.0/8");
    assert_eq!(extensions.crl_distribution_points, ["http://a/crl"]);
    assert_eq!(extensions.ocsp, ["http://a/ocsp"]);
    assert_eq!(extensions.ca_issuers, ["http://a/ca"]);
    assert_eq!(extensions.authority_key_id.as_deref(), Some(extensions.subject_key_id.as_slice()));
}

#[test]
fn bundles_are_read_in_order_and_strangers_in_them_refused() {
    let root = root(SignatureAlgorithm::EcdsaSha256, KeyAlgorithm::EcP256);
    let leaf = root.issue(&dn("CN=www.acme.com"), leaf_extensions());
    let bundle = format!("leaf\n{}\nthen\n{}", leaf.to_pem(), root.certificate.to_pem());
    assert_eq!(Certificate::from_pem_bundle(&bundle).unwrap(), [leaf.clone(), root.certificate.clone()]);
    let check = |text: &str| assert_eq!(Certificate::from_pem(text).unwrap_err().code, "certificate.pem");
    check(&bundle);
    check("");
    check(&leaf.to_pem().replace("CERTIFICATE", "PRIVATE KEY"));
    check(leaf.to_pem().trim_end_matches("-----END CERTIFICATE-----\n"));
    assert!(Certificate::from_pem(&format!("\r\n  {}\n\n", leaf.to_pem().replace('\n', "\r\n"))).is_ok());
    assert_eq!(Certificate::from_pem_bundle("text").unwrap_err().code, "certificate.pem");
}

#[test]
fn a_changed_certificate_is_never_signed_by_its_issuer() {
    let root = root(SignatureAlgorithm::EcdsaSha256, KeyAlgorithm::EcP256);
    let leaf = root.issue(&dn("CN=www.acme.com"), leaf_extensions());
    let key = root.certificate.public_key().unwrap();
    for at in 0..leaf.der().len() {
        let mut der = leaf.der().to_vec();
        der[at] ^= 1;
        if let Ok(changed) = Certificate::from_der(&der) {
            assert!(!changed.is_signed_by(&key), "octet {at}");
        }
    }
}

proptest::proptest! {
    #[test]
    fn arbitrary_input_never_panics(octets: Vec<u8>, text: String) {
        let _ = Certificate::from_der(&octets);
        let _ = Certificate::from_pem(&text);
        let _ = Certificate::from_pem_bundle(&format!("-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----"));
    }

    #[test]
    fn dates_and_serials_survive(serial: [u8; 16], start in -631_152_000i64..253_402_300_799, length in 0i64..200_000_000_000) {
        let key = Key::generate(KeyAlgorithm::EcP256);
        let validity = Validity { not_before: start, not_after: (start + length).min(Validity::LATEST) };
        let serial = SerialNumber::from_random(serial);
        let name = dn("CN=a").to_der();
        let tbs = TbsCertificate {
            serial: &serial,
            signature_algorithm: SignatureAlgorithm::EcdsaSha256,
            issuer_der: &name,
            validity,
            subject_der: &name,
            public_key: &key.public(),
            extensions: &Extensions::default(),
        };
        let der = assemble(&tbs.to_der().unwrap(), SignatureAlgorithm::EcdsaSha256, b"");
        let read = Certificate::from_der(&der).unwrap();
        proptest::prop_assert_eq!(read.serial(), &serial);
        proptest::prop_assert_eq!(read.validity(), validity);
        let (_, theirs) = X509Certificate::from_der(&der).unwrap();
        proptest::prop_assert_eq!(theirs.validity().not_after.timestamp(), validity.not_after);
    }
}

/// RFC 8737 §3, as a validating CA reads it: a critical extension that holds an OCTET STRING of 32 octets.
#[test]
fn an_answer_to_an_acme_challenge_is_written_and_read() {
    let root = root(SignatureAlgorithm::EcdsaSha256, KeyAlgorithm::EcP256);
    let digest = [0xa5; 32];
    let extensions = Extensions {
        subject_alt_names: vec![san(GeneralNameKind::DnsName, "www.acme.com")],
        acme_identifier: Some(digest),
        ..Extensions::default()
    };
    let key = Key::generate(KeyAlgorithm::EcP256);
    let tbs = |extensions: &Extensions| {
        let tbs = TbsCertificate {
            serial: &SerialNumber::from_random([2; 16]),
            signature_algorithm: root.algorithm,
            issuer_der: root.certificate.subject_der(),
            validity: VALIDITY,
            subject_der: &dn("CN=ACME challenge").to_der(),
            public_key: &key.public(),
            extensions,
        };
        assemble(&tbs.to_der().unwrap(), root.algorithm, b"")
    };
    let der = tbs(&extensions);
    let read = Certificate::from_der(&der).unwrap();
    assert_eq!((read.extensions(), read.unknown_extensions()), (&extensions, [].as_slice()));
    let (_, theirs) = X509Certificate::from_der(&der).unwrap();
    let found = theirs.extensions().iter().find(|it| it.oid.to_id_string() == "1.3.6.1.5.5.7.1.31").unwrap();
    assert!(found.critical);
    assert_eq!(found.value, [&[4, 32], digest.as_slice()].concat());

    // The same with another type around the digest is nothing that RFC 8737 knows.
    let at = der.windows(2).position(|pair| pair == [4, 32]).unwrap();
    let mut other = der;
    other[at] = 0x0c;
    let read = Certificate::from_der(&other).unwrap();
    assert_eq!(read.extensions().acme_identifier, None);
    assert_eq!(read.unknown_extensions()[0].to_string(), "1.3.6.1.5.5.7.1.31");
}

#[test]
fn instants_without_an_encoding_are_refused() {
    let key = Key::generate(KeyAlgorithm::EcP256).public();
    let name = dn("CN=a").to_der();
    let check = |not_before: i64, not_after: i64, extensions: &Extensions, code: &str| {
        let tbs = TbsCertificate {
            serial: &SerialNumber::from_random([0; 16]),
            signature_algorithm: SignatureAlgorithm::EcdsaSha256,
            issuer_der: &name,
            validity: Validity { not_before, not_after },
            subject_der: &name,
            public_key: &key,
            extensions,
        };
        assert_eq!(tbs.to_der().unwrap_err().code, code);
    };
    check(-631_152_001, 0, &Extensions::default(), "encode.validity");
    check(0, Validity::LATEST + 1, &Extensions::default(), "encode.validity");
    check(i64::MIN, i64::MAX, &Extensions::default(), "encode.validity");
    let extensions = Extensions { ocsp: vec!["http://ä/".to_owned()], ..Extensions::default() };
    check(0, 1, &extensions, "encode.uri");
}
