//! Known answers asked of the cryptographic library before the first request is served. A library that was miscompiled,
//! or a machine whose randomness is stuck, is found here and not in a certificate.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::hkdf::{HKDF_SHA256, Salt};
use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, UnparsedPublicKey};
use chancery_pkix::KeyAlgorithm;

use crate::private_key::PrivateKey;
use crate::signer::Signer as _;

/// Which check failed. None of them can be mended by configuration: the program must not start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SelfTestError {
    #[error("the operating system's randomness is missing or repeats itself")]
    Randomness,
    #[error("{0} gave a wrong answer; the program or this machine is faulty")]
    WrongAnswer(&'static str),
}

/// `None` where the library failed before there was an answer.
type KnownAnswer = fn() -> Option<bool>;

/// Randomness, SHA-256, HKDF, AES-256-GCM, Ed25519, ECDSA and ML-DSA; a few milliseconds.
pub fn self_test() -> Result<(), SelfTestError> {
    randomness()?;
    let checks: [(&'static str, KnownAnswer); 6] = [
        ("SHA-256", sha256),
        ("HKDF-SHA-256", hkdf),
        ("AES-256-GCM", aes_gcm),
        ("Ed25519", ed25519),
        ("ECDSA P-256", || sign_and_verify(KeyAlgorithm::EcP256)),
        ("ML-DSA-44", || sign_and_verify(KeyAlgorithm::MlDsa44)),
    ];
    match checks.iter().find(|(_, check)| check() != Some(true)) {
        Some((name, _)) => Err(SelfTestError::WrongAnswer(name)),
        None => Ok(()),
    }
}

fn randomness() -> Result<(), SelfTestError> {
    let mut draws = [[0u8; 32]; 3];
    for draw in &mut draws {
        aws_lc_rs::rand::fill(draw).map_err(|_| SelfTestError::Randomness)?;
    }
    let [one, two, three] = draws;
    let stuck = one == two || two == three || one == three || one == [0; 32];
    if stuck { Err(SelfTestError::Randomness) } else { Ok(()) }
}

/// FIPS 180-4, the one-block message "abc".
fn sha256() -> Option<bool> {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, b"abc");
    Some(hex::encode(digest) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
}

/// RFC 5869 appendix A.1, the first 32 bytes.
fn hkdf() -> Option<bool> {
    let salt = hex::decode("000102030405060708090a0b0c").ok()?;
    let info = hex::decode("f0f1f2f3f4f5f6f7f8f9").ok()?;
    let prk = Salt::new(HKDF_SHA256, &salt).extract(&[0x0b; 22]);
    let mut out = [0u8; 32];
    prk.expand(&[&info], HKDF_SHA256).ok()?.fill(&mut out).ok()?;
    Some(hex::encode(out) == "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf")
}

/// The AES-256 GCM test case of one zero block under a zero key (NIST, GCM specification, test case 14).
fn aes_gcm() -> Option<bool> {
    let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &[0; 32]).ok()?);
    let mut text = vec![0u8; 16];
    key.seal_in_place_append_tag(Nonce::assume_unique_for_key([0; 12]), Aad::empty(), &mut text).ok()?;
    Some(hex::encode(text) == "cea7403d4d606b6e074ec5d3baf39d18d0d1c8a799996bf0265b98b5d48ab919")
}

/// RFC 8032 §7.1, test 1: the empty message.
fn ed25519() -> Option<bool> {
    let seed = hex::decode("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60").ok()?;
    let public = hex::decode("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a").ok()?;
    let signature = Ed25519KeyPair::from_seed_and_public_key(&seed, &public).ok()?.try_sign(b"").ok()?;
    let expected = "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b";
    let verified = UnparsedPublicKey::new(&ED25519, &public).verify(b"", signature.as_ref()).is_ok();
    Some(verified && hex::encode(signature) == expected)
}

/// ECDSA and ML-DSA signatures are randomised, so they are checked in pairs, and against a changed message.
fn sign_and_verify(algorithm: KeyAlgorithm) -> Option<bool> {
    let key = PrivateKey::generate(algorithm).ok()?;
    let scheme = algorithm.default_signature();
    let signature = key.sign(scheme, b"self test").ok()?;
    Some(
        key.public_key().verify(scheme, b"self test", &signature)
            && !key.public_key().verify(scheme, b"self tesT", &signature),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sound_library_gives_every_known_answer() {
        assert_eq!(self_test(), Ok(()));
    }
}
