//! The `openssl` program as a stranger. It knows all algorithms but ML-DSA.

use std::path::Path;
use std::process::Command;

use chancery_keys::{PrivateKey, PrivateKeyError, Signer};
use chancery_pkix::{KeyAlgorithm, KeyFamily, SignatureAlgorithm};

fn openssl(directory: &Path, arguments: &[&str]) -> Vec<u8> {
    let output = Command::new("openssl").current_dir(directory).args(arguments).output();
    let output = output.expect("the openssl program is needed for this test");
    assert!(output.status.success(), "openssl {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

fn classic() -> impl Iterator<Item = KeyAlgorithm> {
    KeyAlgorithm::ALL.iter().copied().filter(|one| one.family() != KeyFamily::MlDsa)
}

#[test]
fn openssl_reads_our_keys_and_we_read_them_back() {
    for algorithm in classic() {
        let dir = tempfile::tempdir().unwrap();
        let key = PrivateKey::generate(algorithm).unwrap();
        std::fs::write(dir.path().join("key.pem"), key.to_pkcs8_pem().as_bytes()).unwrap();
        let spki = openssl(dir.path(), &["pkey", "-in", "key.pem", "-pubout", "-outform", "DER"]);
        assert_eq!(spki, key.public_key().spki_der(), "{algorithm:?}");
        let rewritten = openssl(dir.path(), &["pkcs8", "-topk8", "-nocrypt", "-in", "key.pem", "-outform", "DER"]);
        let again = PrivateKey::from_pkcs8_der(&rewritten).unwrap();
        assert_eq!(again.to_pkcs8_der().as_slice(), key.to_pkcs8_der().as_slice(), "{algorithm:?}");
    }
}

#[test]
fn openssl_accepts_every_signature_we_make() {
    for algorithm in classic().filter(|one| *one != KeyAlgorithm::Ed25519) {
        let dir = tempfile::tempdir().unwrap();
        let key = PrivateKey::generate(algorithm).unwrap();
        std::fs::write(dir.path().join("key.pem"), key.to_pkcs8_pem().as_bytes()).unwrap();
        openssl(dir.path(), &["pkey", "-in", "key.pem", "-pubout", "-out", "public.pem"]);
        std::fs::write(dir.path().join("message"), b"message").unwrap();
        for scheme in SignatureAlgorithm::ALL.iter().copied().filter(|scheme| scheme.fits(algorithm)) {
            std::fs::write(dir.path().join("signature"), key.sign(scheme, b"message").unwrap()).unwrap();
            let (digest, salt) = digest_of(scheme);
            let mut arguments = vec!["dgst", digest, "-verify", "public.pem", "-signature", "signature"];
            if let Some(salt) = salt {
                arguments.extend(["-sigopt", "rsa_padding_mode:pss", "-sigopt", salt]);
            }
            arguments.push("message");
            assert_eq!(openssl(dir.path(), &arguments), b"Verified OK\n", "{algorithm:?} {scheme:?}");
        }
    }
}

fn digest_of(scheme: SignatureAlgorithm) -> (&'static str, Option<&'static str>) {
    match scheme {
        SignatureAlgorithm::RsaSha256 | SignatureAlgorithm::EcdsaSha256 => ("-sha256", None),
        SignatureAlgorithm::RsaSha384 | SignatureAlgorithm::EcdsaSha384 => ("-sha384", None),
        SignatureAlgorithm::RsaSha512 | SignatureAlgorithm::EcdsaSha512 => ("-sha512", None),
        SignatureAlgorithm::RsaPssSha256 => ("-sha256", Some("rsa_pss_saltlen:32")),
        SignatureAlgorithm::RsaPssSha384 => ("-sha384", Some("rsa_pss_saltlen:48")),
        SignatureAlgorithm::RsaPssSha512 => ("-sha512", Some("rsa_pss_saltlen:64")),
        other => panic!("{other:?} is not judged here"),
    }
}

#[test]
fn openssl_accepts_our_ed25519_signature() {
    let dir = tempfile::tempdir().unwrap();
    let key = PrivateKey::generate(KeyAlgorithm::Ed25519).unwrap();
    std::fs::write(dir.path().join("key.pem"), key.to_pkcs8_pem().as_bytes()).unwrap();
    std::fs::write(dir.path().join("message"), b"message").unwrap();
    std::fs::write(dir.path().join("signature"), key.sign(SignatureAlgorithm::Ed25519, b"message").unwrap()).unwrap();
    let arguments = ["pkeyutl", "-verify", "-rawin", "-inkey", "key.pem", "-in", "message", "-sigfile", "signature"];
    assert_eq!(openssl(dir.path(), &arguments), b"Signature Verified Successfully\n");
}

#[test]
fn keys_that_openssl_makes_are_read() {
    for (algorithm, options) in [
        (KeyAlgorithm::Rsa2048, vec!["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"]),
        (KeyAlgorithm::EcP256, vec!["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"]),
        (KeyAlgorithm::EcP384, vec!["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384"]),
        (KeyAlgorithm::EcP521, vec!["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-521"]),
        (KeyAlgorithm::Ed25519, vec!["-algorithm", "ED25519"]),
    ] {
        let key = PrivateKey::from_pkcs8_der(&made_by_openssl(&options)).unwrap();
        assert_eq!(key.algorithm(), algorithm);
    }
}

#[test]
fn unsupported_kinds_of_keys_are_refused() {
    for options in [
        vec!["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:1024"],
        vec!["-algorithm", "RSA-PSS", "-pkeyopt", "rsa_keygen_bits:2048"],
        vec!["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:secp256k1"],
        vec!["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-pkeyopt", "ec_param_enc:explicit"],
        vec!["-algorithm", "ED448"],
        vec!["-algorithm", "X25519"],
    ] {
        let refused = PrivateKey::from_pkcs8_der(&made_by_openssl(&options)).err();
        let refused = refused.unwrap_or_else(|| panic!("{options:?} was accepted"));
        let unread = PrivateKeyError::Malformed("its outer structure is not DER");
        assert!(refused != unread && refused != PrivateKeyError::Failed, "{options:?}: {refused}");
    }
}

#[test]
fn keys_in_other_wrappings_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let key = PrivateKey::generate(KeyAlgorithm::EcP256).unwrap();
    std::fs::write(dir.path().join("key.pem"), key.to_pkcs8_pem().as_bytes()).unwrap();
    let sec1 = openssl(dir.path(), &["ec", "-in", "key.pem", "-outform", "DER"]);
    let encrypted =
        openssl(dir.path(), &["pkcs8", "-topk8", "-in", "key.pem", "-outform", "DER", "-passout", "pass:word"]);
    let public = key.public_key().spki_der().to_vec();
    for other in [sec1, encrypted, public] {
        assert!(PrivateKey::from_pkcs8_der(&other).is_err());
    }
}

/// `genpkey` writes the older, algorithm-specific forms in DER; `pkcs8` turns them into PKCS#8.
fn made_by_openssl(options: &[&str]) -> Vec<u8> {
    let dir = tempfile::tempdir().unwrap();
    let mut arguments = vec!["genpkey", "-out", "key.pem"];
    arguments.extend(options);
    openssl(dir.path(), &arguments);
    openssl(dir.path(), &["pkcs8", "-topk8", "-nocrypt", "-in", "key.pem", "-outform", "DER"])
}

#[test]
fn key_files_of_every_form_are_read_and_the_wrong_password_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| openssl(dir.path(), arguments);
    let text = |name: &str| std::fs::read_to_string(dir.path().join(name)).unwrap();
    run(&["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384", "-out", "ec.pem"]);
    run(&["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", "rsa.pem"]);
    run(&["ec", "-in", "ec.pem", "-out", "ec-sec1.pem"]);
    run(&["rsa", "-in", "rsa.pem", "-traditional", "-out", "rsa-pkcs1.pem"]);
    run(&["ecparam", "-name", "prime256v1", "-genkey", "-out", "ec-with-parameters.pem"]);
    for (name, of) in
        [("ec.pem", "ec.pem"), ("ec-sec1.pem", "ec.pem"), ("rsa.pem", "rsa.pem"), ("rsa-pkcs1.pem", "rsa.pem")]
    {
        let key = PrivateKey::from_pem(&text(name), None).unwrap();
        assert_eq!(key.public_key().spki_der(), run(&["pkey", "-in", of, "-pubout", "-outform", "DER"]), "{name}");
        let der = run(&["asn1parse", "-in", name, "-noout", "-out", "/dev/stdout"]);
        let again = PrivateKey::from_any_der(&der, None).unwrap();
        assert_eq!(again.public_key().spki_der(), key.public_key().spki_der(), "{name} in DER");
    }
    assert_eq!(PrivateKey::from_pem(&text("ec-with-parameters.pem"), None).unwrap().algorithm(), KeyAlgorithm::EcP256);
    for scheme in [&["-v2", "aes-256-cbc"][..], &["-scrypt"], &["-v2", "aes-128-cbc", "-iter", "100000"]] {
        let mut arguments =
            vec!["pkcs8", "-topk8", "-in", "rsa.pem", "-passout", "pass:correct horse", "-out", "sealed.pem"];
        arguments.extend(scheme);
        run(&arguments);
        let sealed = text("sealed.pem");
        let opened = PrivateKey::from_pem(&sealed, Some("correct horse")).unwrap();
        assert_eq!(opened.algorithm(), KeyAlgorithm::Rsa2048, "{scheme:?}");
        let wrong = PrivateKey::from_pem(&sealed, Some("battery staple")).err();
        assert_eq!(wrong, Some(PrivateKeyError::WrongPassword), "{scheme:?}");
        assert_eq!(PrivateKey::from_pem(&sealed, None).err(), Some(PrivateKeyError::PasswordMissing));
        assert_eq!(PrivateKey::from_pem(&sealed, Some("")).err(), Some(PrivateKeyError::PasswordMissing));
    }
}

#[test]
fn key_files_that_cannot_be_read_say_why() {
    let dir = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| openssl(dir.path(), arguments);
    let text = |name: &str| std::fs::read_to_string(dir.path().join(name)).unwrap();
    run(&["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", "rsa.pem"]);
    run(&["rsa", "-in", "rsa.pem", "-traditional", "-aes256", "-passout", "pass:secret", "-out", "old.pem"]);
    run(&[
        "pkcs8", "-topk8", "-in", "rsa.pem", "-v2", "aes256", "-iter", "10000001", "-passout", "pass:x", "-out",
        "slow.pem",
    ]);
    let twice = format!("{0}{0}", text("rsa.pem"));
    let cut = text("rsa.pem").replace("-----END PRIVATE KEY-----", "");
    for (what, pem, expected) in [
        ("nothing", String::new(), "no PEM block"),
        (
            "a certificate's frame",
            "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n".to_owned(),
            "no PEM block",
        ),
        ("two keys", twice, "more than one"),
        ("no end", cut, "no end"),
        ("garbage", "-----BEGIN PRIVATE KEY-----\n!!!!\n-----END PRIVATE KEY-----\n".to_owned(), "not base64"),
        ("an old encryption", text("old.pem"), "openssl pkcs8 -topk8"),
        ("a costly derivation", text("slow.pem"), "costs more"),
        ("a giant", format!("-----BEGIN PRIVATE KEY-----\n{}", "A".repeat(70_000)), "64 KiB"),
    ] {
        let error = PrivateKey::from_pem(&pem, Some("x")).err().map(|error| error.to_string()).unwrap_or_default();
        assert!(error.contains(expected), "{what}: {error}");
    }
}
