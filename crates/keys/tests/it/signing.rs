//! Every key algorithm with every signature algorithm.

use chancery_keys::{PrivateKey, PrivateKeyError, SignError, Signer};
use chancery_pkix::{KeyAlgorithm, KeyFamily, PublicKey, SignatureAlgorithm};

#[test]
fn every_fitting_signature_verifies_and_every_other_is_refused() {
    for algorithm in KeyAlgorithm::ALL.iter().copied() {
        let key = PrivateKey::generate(algorithm).unwrap();
        assert_eq!(key.algorithm(), algorithm);
        let mut fitting = 0;
        for scheme in SignatureAlgorithm::ALL.iter().copied() {
            if !scheme.fits(algorithm) {
                let refused = key.sign(scheme, b"message");
                assert_eq!(refused, Err(SignError::Unfit { key: algorithm, signature: scheme }));
                continue;
            }
            fitting += 1;
            let signature = key.sign(scheme, b"message").unwrap();
            assert!(key.public_key().verify(scheme, b"message", &signature), "{algorithm:?} {scheme:?}");
            assert!(!key.public_key().verify(scheme, b"messagE", &signature), "{algorithm:?} {scheme:?}");
        }
        let expected = match algorithm.family() {
            KeyFamily::Rsa => 6,
            KeyFamily::Ecdsa => 3,
            KeyFamily::Ed25519 | KeyFamily::MlDsa => 1,
        };
        assert_eq!(fitting, expected, "{algorithm:?}");
    }
}

#[test]
fn pkcs8_reads_back_as_the_same_key() {
    for algorithm in KeyAlgorithm::ALL.iter().copied().filter(|one| *one != KeyAlgorithm::Rsa4096) {
        let key = PrivateKey::generate(algorithm).unwrap();
        let pkcs8 = key.to_pkcs8_der();
        let again = PrivateKey::from_pkcs8_der(&pkcs8).unwrap();
        assert_eq!(again.public_key().spki_der(), key.public_key().spki_der(), "{algorithm:?}");
        assert_eq!(again.to_pkcs8_der().as_slice(), pkcs8.as_slice(), "{algorithm:?}");
        assert!(PublicKey::from_spki_der(key.public_key().spki_der()).is_ok(), "{algorithm:?}");
        let scheme = algorithm.default_signature();
        let signature = again.sign(scheme, b"message").unwrap();
        assert!(key.public_key().verify(scheme, b"message", &signature), "{algorithm:?}");
    }
}

#[test]
fn ml_dsa_keys_are_written_as_their_seed() {
    for algorithm in [KeyAlgorithm::MlDsa44, KeyAlgorithm::MlDsa65, KeyAlgorithm::MlDsa87] {
        // RFC 9881 §6: the seed form is a 32-byte string under context tag 0, 54 bytes as a whole.
        let pkcs8 = PrivateKey::generate(algorithm).unwrap().to_pkcs8_der();
        assert_eq!(pkcs8.len(), 54, "{algorithm:?}");
    }
}

#[test]
fn damaged_pkcs8_is_refused() {
    let pkcs8 = PrivateKey::generate(KeyAlgorithm::EcP256).unwrap().to_pkcs8_der();
    for length in 0..pkcs8.len() {
        assert!(PrivateKey::from_pkcs8_der(&pkcs8[..length]).is_err(), "cut to {length}");
    }
    let trailing = [pkcs8.as_slice(), &[0]].concat();
    assert!(matches!(PrivateKey::from_pkcs8_der(&trailing), Err(PrivateKeyError::Malformed(_))));
    assert!(matches!(PrivateKey::from_pkcs8_der(&[0x30; 20_000]), Err(PrivateKeyError::Malformed(_))));
}

#[test]
fn two_generated_keys_differ() {
    for algorithm in [KeyAlgorithm::EcP256, KeyAlgorithm::Ed25519, KeyAlgorithm::MlDsa44] {
        let (one, two) = (PrivateKey::generate(algorithm).unwrap(), PrivateKey::generate(algorithm).unwrap());
        assert_ne!(one.public_key().spki_der(), two.public_key().spki_der(), "{algorithm:?}");
    }
}
