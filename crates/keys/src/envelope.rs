//! The form of sealed bytes, and the only place that encrypts.
//!
//! ```text
//! offset  length  field
//!      0       4  magic "CHSE"
//!      4       1  format version, 1
//!      5       1  algorithm, 1 = HKDF-SHA-256 and AES-256-GCM with key commitment
//!      6       8  id of the sealing key
//!     14       4  version of the sealing key, big-endian
//!     18      32  salt
//!     50      32  commitment
//!     82      12  nonce
//!     94       n  ciphertext
//!   94+n      16  tag
//! ```
//!
//! Every seal derives a key of its own from the sealing key and a fresh salt, so the limit on random nonces under one
//! AES-GCM key is never near. The same derivation yields the commitment: one ciphertext opens under one key only.
//! The whole header and the place are associated data.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::hkdf::{HKDF_SHA256, KeyType, Salt};
use chancery_model::Randomness;
use uuid::Uuid;
use zeroize::Zeroizing;

const MAGIC: &[u8; 4] = b"CHSE";
const FORMAT: u8 = 1;
const ALGORITHM: u8 = 1;
const HEADER_LEN: usize = 94;
const TAG_LEN: usize = 16;

/// A key that seals others or records: its secret, a name for it that reveals nothing, and its version.
pub struct SealingKey {
    secret: Zeroizing<[u8; 32]>,
    id: [u8; 8],
    version: u32,
}

/// What a ciphertext is bound to besides the key.
pub struct Binding<'a> {
    pub table: &'a str,
    pub column: &'a str,
    pub record: Uuid,
    pub project: Uuid,
}

/// Why bytes did not open. Which of the last two it is says nothing that an attacker does not know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenFailure {
    /// Not an envelope, or of a version or algorithm that this build does not read.
    Format,
    /// Sealed under another key.
    OtherKey,
    /// Changed, cut, or moved here from another place.
    Damaged,
}

struct Length(usize);

impl KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

/// HKDF-SHA-256 (RFC 5869), at most 64 bytes.
pub fn derive(secret: &[u8; 32], salt: &[u8], label: &str, out: &mut [u8]) {
    let prk = Salt::new(HKDF_SHA256, salt).extract(secret);
    #[expect(clippy::expect_used, reason = "HKDF only refuses more than 255 blocks")]
    prk.expand(&[label.as_bytes()], Length(out.len()))
        .and_then(|okm| okm.fill(out))
        .expect("because HKDF gives 64 bytes whatever its inputs are");
}

impl SealingKey {
    pub fn new(secret: Zeroizing<[u8; 32]>, version: u32) -> Self {
        let mut id = [0; 8];
        derive(&secret, b"", "chancery sealing key id v1", &mut id);
        Self { secret, id, version }
    }

    pub fn generate(version: u32, random: &dyn Randomness) -> Self {
        let mut secret = Zeroizing::new([0; 32]);
        random.fill(secret.as_mut());
        Self::new(secret, version)
    }

    pub fn secret(&self) -> &[u8; 32] {
        &self.secret
    }

    pub const fn version(&self) -> u32 {
        self.version
    }

    pub fn seal(&self, binding: &Binding<'_>, plaintext: &[u8], random: &dyn Randomness) -> Vec<u8> {
        let mut salt = [0; 32];
        let mut nonce = [0; NONCE_LEN];
        random.fill(&mut salt);
        random.fill(&mut nonce);
        let (key, commitment) = self.record_key(&salt);
        let mut sealed = Vec::with_capacity(HEADER_LEN + plaintext.len() + TAG_LEN);
        sealed.extend_from_slice(MAGIC);
        sealed.extend_from_slice(&[FORMAT, ALGORITHM]);
        sealed.extend_from_slice(&self.id);
        sealed.extend_from_slice(&self.version.to_be_bytes());
        sealed.extend_from_slice(&salt);
        sealed.extend_from_slice(&commitment);
        sealed.extend_from_slice(&nonce);
        let aad = self.associated_data(&sealed, binding);
        let mut text = Zeroizing::new(plaintext.to_vec());
        #[expect(clippy::expect_used, reason = "AES-GCM only refuses more than 64 GiB")]
        let tag = key
            .seal_in_place_separate_tag(Nonce::assume_unique_for_key(nonce), Aad::from(aad), &mut text)
            .expect("because a key or a secret is far below the limit of AES-GCM");
        sealed.extend_from_slice(&text);
        sealed.extend_from_slice(tag.as_ref());
        sealed
    }

    pub fn open(&self, binding: &Binding<'_>, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, OpenFailure> {
        let header = Header::parse(sealed)?;
        if header.key_id != self.id || header.key_version != self.version {
            return Err(OpenFailure::OtherKey);
        }
        let (key, commitment) = self.record_key(header.salt);
        if !crate::constant_time_eq(&commitment, header.commitment) {
            return Err(OpenFailure::Damaged);
        }
        let aad = self.associated_data(header.bytes, binding);
        let nonce = Nonce::try_assume_unique_for_key(header.nonce).map_err(|_| OpenFailure::Damaged)?;
        let (ciphertext, tag) = header.body.split_at(header.body.len() - TAG_LEN);
        // The output is handed on only after the tag was right, and wiped otherwise.
        let mut plaintext = Zeroizing::new(vec![0; ciphertext.len()]);
        key.open_separate_gather(nonce, Aad::from(aad), ciphertext, tag, &mut plaintext)
            .map_err(|_| OpenFailure::Damaged)?;
        Ok(plaintext)
    }

    /// 32 bytes of key, 32 bytes of commitment from one expansion.
    fn record_key(&self, salt: &[u8]) -> (LessSafeKey, [u8; 32]) {
        let mut derived = Zeroizing::new([0u8; 64]);
        derive(&self.secret, salt, "chancery record key v1", derived.as_mut());
        let (key, tail) = derived.split_at(32);
        let mut commitment = [0; 32];
        commitment.copy_from_slice(tail);
        #[expect(clippy::expect_used, reason = "the key is 32 bytes long")]
        let key = UnboundKey::new(&AES_256_GCM, key).expect("because AES-256 takes 32 bytes");
        (LessSafeKey::new(key), commitment)
    }

    /// The header as written, then the place. Names carry their length, so that no two places give the same bytes.
    fn associated_data(&self, header: &[u8], binding: &Binding<'_>) -> Vec<u8> {
        let mut aad = Vec::with_capacity(header.len() + binding.table.len() + binding.column.len() + 52);
        aad.extend_from_slice(header);
        for name in [binding.table, binding.column] {
            aad.extend_from_slice(&(name.len() as u64).to_be_bytes());
            aad.extend_from_slice(name.as_bytes());
        }
        aad.extend_from_slice(binding.record.as_bytes());
        aad.extend_from_slice(binding.project.as_bytes());
        aad.extend_from_slice(&self.version.to_be_bytes());
        aad
    }
}

/// The fields of a header, borrowed from the sealed bytes.
pub struct Header<'a> {
    bytes: &'a [u8],
    key_id: [u8; 8],
    pub key_version: u32,
    salt: &'a [u8],
    commitment: &'a [u8],
    nonce: &'a [u8],
    body: &'a [u8],
}

impl<'a> Header<'a> {
    /// Unknown versions and algorithms are refused: there is nothing to fall back to.
    pub fn parse(sealed: &'a [u8]) -> Result<Self, OpenFailure> {
        Self::split(sealed).ok_or(OpenFailure::Format)
    }

    fn split(sealed: &'a [u8]) -> Option<Self> {
        let (bytes, body) = sealed.split_at_checked(HEADER_LEN)?;
        let (magic, rest) = bytes.split_first_chunk::<4>()?;
        let (formats, rest) = rest.split_first_chunk::<2>()?;
        let (key_id, rest) = rest.split_first_chunk::<8>()?;
        let (key_version, rest) = rest.split_first_chunk::<4>()?;
        let (salt, rest) = rest.split_at_checked(32)?;
        let (commitment, nonce) = rest.split_at_checked(32)?;
        let known = magic == MAGIC && *formats == [FORMAT, ALGORITHM] && body.len() >= TAG_LEN;
        let key_version = u32::from_be_bytes(*key_version);
        known.then_some(Self { bytes, key_id: *key_id, key_version, salt, commitment, nonce, body })
    }
}

#[cfg(test)]
mod tests {
    use chancery_model::random::SeededRandomness;
    use proptest::prelude::*;

    use super::*;

    const HERE: Binding<'static> = Binding {
        table: "certificates",
        column: "private_key",
        record: Uuid::from_u128(1),
        project: Uuid::from_u128(2),
    };

    proptest! {
        #[test]
        fn what_was_sealed_opens_unchanged(plaintext in proptest::collection::vec(any::<u8>(), 0..300), seed: u64) {
            let random = SeededRandomness::new(seed);
            let key = SealingKey::generate(7, &random);
            let sealed = key.seal(&HERE, &plaintext, &random);
            let opened = key.open(&HERE, &sealed);
            prop_assert!(opened.is_ok_and(|opened| *opened == plaintext));
        }

        #[test]
        fn arbitrary_bytes_never_open(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let key = SealingKey::generate(1, &SeededRandomness::new(3));
            prop_assert!(key.open(&HERE, &bytes).is_err());
        }
    }

    #[test]
    fn the_header_is_laid_out_as_documented() {
        let random = SeededRandomness::new(1);
        let sealed = SealingKey::generate(0x0102_0304, &random).seal(&HERE, b"secret", &random);
        assert_eq!(&sealed[..6], b"CHSE\x01\x01");
        assert_eq!(&sealed[14..18], &[1, 2, 3, 4]);
        assert_eq!(sealed.len(), HEADER_LEN + 6 + TAG_LEN);
    }

    #[test]
    fn two_seals_of_one_text_share_nothing_that_is_random() {
        let random = SeededRandomness::new(1);
        let key = SealingKey::generate(1, &random);
        let (one, two) = (key.seal(&HERE, b"secret", &random), key.seal(&HERE, b"secret", &random));
        for range in [18..50, 50..82, 82..94, 94..100] {
            assert_ne!(one[range.clone()], two[range.clone()], "{range:?}");
        }
    }

    #[test]
    fn names_cannot_run_into_each_other() {
        let random = SeededRandomness::new(1);
        let key = SealingKey::generate(1, &random);
        let sealed = key.seal(&Binding { table: "ab", column: "c", ..HERE }, b"secret", &random);
        let moved = key.open(&Binding { table: "a", column: "bc", ..HERE }, &sealed);
        assert_eq!(moved.err(), Some(OpenFailure::Damaged));
    }
}
