//! Certificates that only other software makes, made by openssl; and certs-only files of ours opened by it.

use chancery_pkix::pem::{self, OutsideText};
use chancery_pkix::{Certificate, ForeignCertificate, KeyAlgorithm, SignatureAlgorithm, pkcs7};

use crate::judge::Workshop;

fn self_signed(shop: &Workshop, key: &str, more: &str) -> ForeignCertificate {
    shop.openssl(&format!("{key} -out a.key"));
    shop.openssl(&format!("req -x509 -key a.key -subj /O=Acme/CN=old -days 9 {more} -out a.pem"));
    let blocks = pem::decode(&shop.read_text("a.pem"), OutsideText::Refuse).unwrap();
    ForeignCertificate::from_der(&blocks.first().unwrap().der).unwrap()
}

#[test]
fn keys_and_signatures_of_the_past_are_named() {
    let shop = Workshop::new();
    let check = |key: &str, more: &str, key_text: &str, signature_text: &str| {
        let read = self_signed(&shop, key, more);
        assert_eq!((read.key_text.as_str(), read.signature_text.as_str()), (key_text, signature_text));
        assert_eq!((read.key_algorithm, read.signature_algorithm), (None, None), "{key}");
        assert_eq!((read.subject_text.as_str(), read.is_ca), ("CN=old,O=Acme", true));
        assert!(read.is_self_issued());
    };
    check("genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:1024", "-sha1", "RSA 1024", "SHA1-RSA");
    check("genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:1024", "-sha224", "RSA 1024", "SHA224-RSA");
    check("genpkey -algorithm EC -pkeyopt ec_paramgen_curve:secp256k1", "-sha1", "EC 1.3.132.0.10", "SHA1-ECDSA");
    check("genpkey -algorithm ED448", "", "Ed448", "Ed448");
    shop.openssl("dsaparam -out dsa.pem 1024");
    check("genpkey -paramfile dsa.pem", "-sha256", "DSA", "SHA256-DSA");
}

#[test]
fn what_is_read_strictly_is_described_the_same() {
    let shop = Workshop::new();
    let read = self_signed(
        &shop,
        "genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-384",
        "-sha384 -addext subjectAltName=DNS:a.acme.com,IP:10.0.0.1",
    );
    let strict = Certificate::from_der(read.der()).unwrap();
    assert_eq!(read.subject, strict.subject().unwrap().attributes());
    assert_eq!(read.subject_text, strict.subject().unwrap().to_string());
    assert_eq!(read.serial_hex.trim_start_matches("00"), strict.serial().to_hex());
    assert_eq!(read.validity, strict.validity());
    let names: Vec<_> = strict.extensions().subject_alt_names.iter().map(|one| (one.kind(), one.value())).collect();
    assert_eq!((read.subject_alt_names.clone(), read.unknown_names), (names, 0));
    assert_eq!(read.key_algorithm, Some(KeyAlgorithm::EcP384));
    assert_eq!(read.signature_algorithm, Some(SignatureAlgorithm::EcdsaSha384));
    assert_eq!(read.unknown_extensions, [""; 0]);
    assert_eq!((read.spki_der(), read.issuer_der()), (strict.spki_der(), strict.issuer_der()));
}

#[test]
fn openssl_takes_the_certificates_out_of_a_certs_only_file() {
    let shop = Workshop::new();
    let all: Vec<_> = (0..3).map(|_| self_signed(&shop, "genpkey -algorithm ED25519", "")).collect();
    for count in 0..=3 {
        let ders: Vec<&[u8]> = all.iter().take(count).map(ForeignCertificate::der).collect();
        shop.write("a.p7b", pkcs7::certs_only(&ders));
        let text = shop.openssl("pkcs7 -inform DER -in a.p7b -print_certs");
        let blocks = pem::decode(&text, OutsideText::Skip).unwrap();
        let read: Vec<&[u8]> = blocks.iter().map(|block| block.der.as_slice()).collect();
        assert_eq!(read, ders);
    }
}
