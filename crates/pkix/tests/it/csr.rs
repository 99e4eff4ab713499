//! Requests made by openssl and by ourselves, of every algorithm.

use chancery_pkix::{
    BasicConstraints, CertificationRequest, CertificationRequestInfo, DistinguishedName, ExtendedKeyUsage, GeneralName,
    GeneralNameKind, KeyAlgorithm, KeyUsage, KeyUsages, SignatureAlgorithm, assemble,
};

use crate::judge::Workshop;
use crate::signing::Key;

fn code(shop: &Workshop, name: &str) -> &'static str {
    CertificationRequest::from_pem(&shop.read_text(name)).unwrap_err().code
}

#[test]
fn requests_of_every_classic_algorithm_are_read() {
    let shop = Workshop::new();
    let check = |key: &str, options: &str, algorithm: KeyAlgorithm, signature: SignatureAlgorithm| {
        shop.openssl(&format!("genpkey {key} -out key.pem"));
        shop.openssl(&format!("req -new -key key.pem -subj /CN=a.acme.com {options} -out csr.pem"));
        let csr = CertificationRequest::from_pem(&shop.read_text("csr.pem")).unwrap();
        assert_eq!(csr.public_key().algorithm(), algorithm);
        assert_eq!(csr.signature_algorithm(), signature);
        assert_eq!(csr.subject().to_string(), "CN=a.acme.com");
        assert_eq!(csr.to_pem(), shop.read_text("csr.pem"));
    };
    use {KeyAlgorithm as K, SignatureAlgorithm as S};
    let rsa = "-algorithm RSA -pkeyopt rsa_keygen_bits:2048";
    check(rsa, "-sha256", K::Rsa2048, S::RsaSha256);
    check(rsa, "-sha512", K::Rsa2048, S::RsaSha512);
    let pss = "-sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:digest";
    check(rsa, &format!("-sha256 {pss}"), K::Rsa2048, S::RsaPssSha256);
    check(rsa, &format!("-sha384 {pss}"), K::Rsa2048, S::RsaPssSha384);
    check("-algorithm RSA -pkeyopt rsa_keygen_bits:3072", "-sha384", K::Rsa3072, S::RsaSha384);
    check("-algorithm EC -pkeyopt ec_paramgen_curve:P-256", "-sha256", K::EcP256, S::EcdsaSha256);
    check("-algorithm EC -pkeyopt ec_paramgen_curve:P-256", "-sha512", K::EcP256, S::EcdsaSha512);
    check("-algorithm EC -pkeyopt ec_paramgen_curve:P-384", "-sha384", K::EcP384, S::EcdsaSha384);
    check("-algorithm EC -pkeyopt ec_paramgen_curve:P-384", "-sha256", K::EcP384, S::EcdsaSha256);
    check("-algorithm EC -pkeyopt ec_paramgen_curve:P-521", "-sha512", K::EcP521, S::EcdsaSha512);
    check("-algorithm ED25519", "", K::Ed25519, S::Ed25519);
}

#[test]
fn unacceptable_keys_and_signatures_are_named() {
    let shop = Workshop::new();
    let check = |key: &str, options: &str, expected: &str| {
        shop.openssl(&format!("genpkey {key} -out key.pem"));
        shop.openssl(&format!("req -new -key key.pem -subj /CN=a {options} -out csr.pem"));
        assert_eq!(code(&shop, "csr.pem"), expected, "{key} {options}");
    };
    let rsa = |bits: u32| format!("-algorithm RSA -pkeyopt rsa_keygen_bits:{bits}");
    check(&rsa(512), "-sha256", "key.size");
    check(&rsa(1024), "-sha256", "key.size");
    check(&rsa(2047), "-sha256", "key.size");
    check(&rsa(2056), "-sha256", "key.size");
    check(&format!("{} -pkeyopt rsa_keygen_pubexp:3", rsa(2048)), "-sha256", "key.exponent");
    check(&rsa(2048), "-sha1", "csr.signature_algorithm");
    check(&rsa(2048), "-md5", "csr.signature_algorithm");
    check(&rsa(2048), "-sha224", "csr.signature_algorithm");
    let pss = "-sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:20";
    check(&rsa(2048), &format!("-sha256 {pss}"), "csr.signature_algorithm");
    check("-algorithm RSA-PSS -pkeyopt rsa_keygen_bits:2048", "-sha256", "key.algorithm");
    let ec = |curve: &str| format!("-algorithm EC -pkeyopt ec_paramgen_curve:{curve}");
    check(&ec("P-256"), "-sha1", "csr.signature_algorithm");
    check(&ec("P-224"), "-sha256", "key.algorithm");
    check(&ec("secp256k1"), "-sha256", "key.algorithm");
    check(&ec("brainpoolP256r1"), "-sha256", "key.algorithm");
    check(&format!("{} -pkeyopt ec_param_enc:explicit", ec("P-256")), "-sha256", "key.algorithm");
    check("-algorithm ED448", "", "key.algorithm");

    shop.openssl("ecparam -name prime256v1 -genkey -noout -conv_form compressed -out key.pem");
    shop.openssl("ec -in key.pem -conv_form compressed -out compressed.pem");
    shop.openssl("req -new -key compressed.pem -subj /CN=a -out csr.pem");
    assert_eq!(code(&shop, "csr.pem"), "key.point");
}

const CONFIG: &str = "[req]\ndistinguished_name=dn\nreq_extensions=ext\nattributes=att\nprompt=no\n\
    [dn]\nC=de\nO=Acme\nCN=www.acme.com\n\
    [att]\nchallengePassword=tell-nobody\nunstructuredName=x\n\
    [ext]\nbasicConstraints=critical,CA:false\nkeyUsage=critical,digitalSignature,keyEncipherment\n\
    extendedKeyUsage=serverAuth,1.2.3.4\ntlsfeature=status_request\nsubjectKeyIdentifier=hash\n\
    subjectAltName=DNS:WWW.acme.com,IP:10.0.0.1,IP:::ffff:10.0.0.2,email:Jo@ACME.com,URI:HTTPS://acme.com/X,\
    otherName:1.3.6.1.4.1.311.20.2.3;UTF8:jo@acme,otherName:1.2.3;UTF8:v,RID:1.2.3,dirName:dir\n[dir]\nO=Acme\n";

#[test]
fn everything_a_request_says_is_read_and_the_rest_reported() {
    let shop = Workshop::new();
    shop.write("config", CONFIG);
    shop.openssl(
        "req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout key.pem -config config -out csr.pem",
    );
    let csr = CertificationRequest::from_pem(&shop.read_text("csr.pem")).unwrap();
    assert_eq!(csr.subject().to_string(), "CN=www.acme.com,O=Acme,C=DE");
    let names: Vec<String> =
        csr.subject_alt_names().iter().map(|name| format!("{} {}", name.kind(), name.value())).collect();
    let expected = [
        "dns_name www.acme.com",
        "ip_address 10.0.0.1",
        "ip_address 10.0.0.2",
        "email Jo@acme.com",
        "uri https://acme.com/X",
        "upn jo@acme",
        "other_name 1.2.3;utf8:v",
        "registered_id 1.2.3",
        "directory_name O=Acme",
    ];
    assert_eq!(names, expected);
    let usages: KeyUsages = [KeyUsage::DigitalSignature, KeyUsage::KeyEncipherment].into_iter().collect();
    assert_eq!(csr.key_usages(), Some(usages));
    assert_eq!(csr.extended_key_usages(), Some(&[ExtendedKeyUsage::ServerAuth][..]));
    assert_eq!(csr.unknown_extended_key_usages()[0].to_string(), "1.2.3.4");
    assert_eq!(csr.basic_constraints(), Some(BasicConstraints::default()));
    let unknown: Vec<String> = csr.unknown_extensions().iter().map(ToString::to_string).collect();
    assert_eq!(unknown, ["1.3.6.1.5.5.7.1.24", "2.5.29.14"]);
    let ignored: Vec<String> = csr.ignored_attributes().iter().map(ToString::to_string).collect();
    assert_eq!(ignored, ["1.2.840.113549.1.9.2", "1.2.840.113549.1.9.7"]);
    assert!(csr.has_challenge_password());
}

#[test]
fn a_plain_request_asks_for_nothing_but_its_subject() {
    let shop = Workshop::new();
    shop.openssl("req -new -newkey ed25519 -nodes -keyout key.pem -subj /CN=a -out csr.pem");
    let csr = CertificationRequest::from_pem(&shop.read_text("csr.pem")).unwrap();
    assert!(csr.subject_alt_names().is_empty());
    assert_eq!(csr.key_usages(), None);
    assert_eq!(csr.extended_key_usages(), None);
    assert_eq!(csr.basic_constraints(), None);
    assert!(!csr.has_challenge_password());
    assert!(csr.ignored_attributes().is_empty() && csr.unknown_extensions().is_empty());
}

#[test]
fn names_that_cannot_be_certified_refuse_the_request() {
    let shop = Workshop::new();
    shop.openssl("genpkey -algorithm ED25519 -out key.pem");
    let check = |subject: &str, names: &str, word: &str| {
        let mut arguments = vec!["req", "-new", "-key", "key.pem", "-subj", subject, "-out", "csr.pem"];
        arguments.extend(["-utf8", "-multivalue-rdn"]);
        let extension = format!("subjectAltName={names}");
        if !names.is_empty() {
            arguments.extend(["-addext", &extension]);
        }
        let (made, said) = shop.try_openssl(&arguments);
        assert!(made, "{said}");
        let error = CertificationRequest::from_pem(&shop.read_text("csr.pem")).unwrap_err();
        assert_eq!(error.code, "csr.name", "{subject} {names}");
        assert!(error.message.contains(word), "{}", error.message);
    };
    check("/CN=a", "DNS:*.com", "wildcard");
    check("/CN=a", "DNS:10.0.0.1", "ip_address");
    check("/CN=a", "DNS:a_b.acme.com", "underscore");
    check("/CN=a", "DNS:www.acme.com.", "dot");
    check("/CN=a", "URI:relative", "absolute");
    check("/CN=a", "email:jo", "name@domain");
    check("/CN=a", "otherName:1.2.3;IA5:x", "UTF8String");
    check("/CN=a+O=b", "", "several values");
    check("/CN= a", "", "blank");
    check("/CN=a/description=b", "", "2.5.4.13");
}

#[test]
fn our_own_requests_of_every_algorithm_are_read_back_and_by_openssl() {
    let subject = "CN=Sub CA,O=Acme".parse::<DistinguishedName>().unwrap();
    let names = [GeneralName::parse(GeneralNameKind::DnsName, "ca.acme.com").unwrap()];
    for algorithm in
        KeyAlgorithm::ALL.iter().filter(|key| !matches!(key, KeyAlgorithm::Rsa3072 | KeyAlgorithm::Rsa4096))
    {
        let key = Key::generate(*algorithm);
        let public_key = key.public();
        let info = CertificationRequestInfo {
            subject_der: &subject.to_der(),
            public_key: &public_key,
            subject_alt_names: &names,
            key_usages: [KeyUsage::KeyCertSign, KeyUsage::CrlSign].into_iter().collect(),
            extended_key_usages: &[ExtendedKeyUsage::ClientAuth],
            basic_constraints: Some(BasicConstraints { is_ca: true, path_length: Some(0) }),
        };
        let der = info.to_der();
        let signature = algorithm.default_signature();
        let csr = CertificationRequest::from_der(&assemble(&der, signature, &key.sign(signature, &der))).unwrap();
        assert_eq!(csr.subject(), &subject);
        assert_eq!(csr.public_key(), &public_key);
        assert_eq!(csr.subject_alt_names(), names);
        assert_eq!(csr.key_usages(), Some(info.key_usages));
        assert_eq!(csr.extended_key_usages(), Some(info.extended_key_usages));
        assert_eq!(csr.basic_constraints(), info.basic_constraints);
        if !algorithm.as_str().starts_with("ML-DSA") {
            let shop = Workshop::new();
            shop.write("csr.pem", csr.to_pem());
            assert!(shop.openssl("req -in csr.pem -noout -verify").contains("verify OK"), "{algorithm}");
        }
    }
}
