//! PKCS#12 files of ours opened by openssl.

use chancery_pkix::{Certificate, pkcs12};

use crate::judge::Workshop;

#[test]
fn openssl_opens_what_we_write() {
    let shop = Workshop::new();
    shop.openssl(
        "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout key.pem -subj /CN=leaf -out leaf.pem",
    );
    shop.openssl(
        "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout ca.key -subj /CN=ca -out ca.pem",
    );
    shop.openssl("pkcs8 -topk8 -nocrypt -in key.pem -outform DER -out key.der");
    let leaf = Certificate::from_pem(&shop.read_text("leaf.pem")).unwrap();
    let ca = Certificate::from_pem(&shop.read_text("ca.pem")).unwrap();
    let key = shop.read("key.der");
    let file = pkcs12::write(leaf.der(), &key, &[ca.der().to_vec()], "correct horse", "my key").unwrap();
    shop.write("a.p12", file);

    let open = |password: &str| {
        let password = format!("pass:{password}");
        shop.try_openssl(&["pkcs12", "-in", "a.p12", "-info", "-nodes", "-passin", &password])
    };
    let (opened, text) = open("correct horse");
    assert!(opened, "{text}");
    for expected in ["PBES2, PBKDF2, AES-256-CBC", "hmacWithSHA256", "MAC: sha256", "friendlyName: my key"] {
        assert!(text.contains(expected), "{expected:?} is not in\n{text}");
    }
    let at = text.find("-----BEGIN CERTIFICATE").unwrap();
    let certificates: String = text.get(at..).unwrap().split_inclusive("-----END CERTIFICATE-----\n").collect();
    let certificates = certificates.split("-----BEGIN PRIVATE").next().unwrap();
    let read: Vec<_> = Certificate::from_pem_bundle(certificates).unwrap();
    assert_eq!(read, [leaf.clone(), ca]);
    assert!(!open("wrong").0);
    assert_eq!(pkcs12::write(leaf.der(), &key, &[], "", "a").unwrap_err().code, "pkcs12.password");
    assert_eq!(pkcs12::write(leaf.der(), b"no key", &[], "pw", "a").unwrap_err().code, "pkcs12.contents");
    assert_eq!(pkcs12::write(b"none", &key, &[], "pw", "a").unwrap_err().code, "pkcs12.contents");
}
