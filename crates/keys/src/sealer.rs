//! Keys at rest: the root wrapping key, the project keys under it, and the records under those.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use aws_lc_rs::hmac;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use chancery_model::{ErrorKind, ProjectId, Randomness};
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::envelope::{Binding, Header, OpenFailure, SealingKey, derive};
use crate::kek::Kek;

const ROOT_VERSION: u32 = 1;
/// The root key is bound to the one row it is stored in.
const ROOT_BINDING: Binding<'static> =
    Binding { table: "meta", column: "root-key", record: Uuid::nil(), project: Uuid::nil() };

/// Where sealed bytes are stored. They open nowhere else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    pub project: ProjectId,
    pub table: &'static str,
    pub column: &'static str,
    pub record: Uuid,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    #[error("the database was sealed under another key-encryption key than the one given")]
    WrongKek,
    #[error("the root key record of the database is damaged")]
    DamagedRoot,
    #[error("the wrapped key of project {0} is damaged, or belongs to another project or database")]
    DamagedProjectKey(ProjectId),
    #[error("the key of project {0} is not installed")]
    NoProjectKey(ProjectId),
    #[error("{table}.{column} of record {record} does not open: it was changed, or moved here from elsewhere")]
    Damaged { table: &'static str, column: &'static str, record: Uuid },
    #[error("{table}.{column} of record {record} is not in a sealed form that this version reads")]
    UnknownFormat { table: &'static str, column: &'static str, record: Uuid },
}

impl SealError {
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        match self {
            Self::WrongKek | Self::NoProjectKey(_) => ErrorKind::Unavailable,
            _ => ErrorKind::Internal,
        }
    }
}

/// Seals and opens records. Cheap to clone; all clones share the installed project keys.
#[derive(Clone)]
pub struct Sealer(Arc<Inner>);

struct Inner {
    root: SealingKey,
    /// All installed versions, oldest first; the last one seals.
    projects: RwLock<HashMap<ProjectId, Vec<Arc<SealingKey>>>>,
    hash_keys: RwLock<HashMap<&'static str, hmac::Key>>,
}

impl Sealer {
    /// Makes a new root wrapping key. The second value is to be stored; it opens only with this KEK.
    #[must_use]
    pub fn initialise(kek: &Kek, random: &dyn Randomness) -> (Self, Vec<u8>) {
        let root = SealingKey::generate(ROOT_VERSION, random);
        let wrapped = wrapping_key(kek).seal(&ROOT_BINDING, root.secret(), random);
        (Self::with_root(root), wrapped)
    }

    /// Opens the stored root wrapping key. Another KEK than the one it was sealed under is told at once.
    pub fn open(kek: &Kek, wrapped_root: &[u8]) -> Result<Self, SealError> {
        let root = wrapping_key(kek).open(&ROOT_BINDING, wrapped_root).map_err(|failure| match failure {
            OpenFailure::OtherKey => SealError::WrongKek,
            OpenFailure::Format | OpenFailure::Damaged => SealError::DamagedRoot,
        })?;
        let secret = secret_of(&root).ok_or(SealError::DamagedRoot)?;
        Ok(Self::with_root(SealingKey::new(secret, ROOT_VERSION)))
    }

    /// The same root under another KEK: the whole cost of replacing a KEK.
    #[must_use]
    pub fn rewrap_root(&self, kek: &Kek, random: &dyn Randomness) -> Vec<u8> {
        wrapping_key(kek).seal(&ROOT_BINDING, self.0.root.secret(), random)
    }

    fn with_root(root: SealingKey) -> Self {
        Self(Arc::new(Inner { root, projects: RwLock::default(), hash_keys: RwLock::default() }))
    }

    /// Makes the next version of a project's key and returns it wrapped. It is not used before it is stored and given
    /// to [`Self::install_project_key`]: a record sealed under a key that was never stored is lost.
    #[must_use]
    pub fn new_project_key(&self, project: ProjectId, random: &dyn Randomness) -> Vec<u8> {
        let newest = self.versions(project).last().map_or(0, |key| key.version());
        let key = SealingKey::generate(newest.saturating_add(1), random);
        let mut payload = Zeroizing::new(Vec::with_capacity(36));
        payload.extend_from_slice(&key.version().to_be_bytes());
        payload.extend_from_slice(key.secret());
        self.0.root.seal(&project_binding(project), &payload, random)
    }

    /// Opens a stored project key and uses it from now on. Installing one twice changes nothing.
    pub fn install_project_key(&self, project: ProjectId, wrapped: &[u8]) -> Result<(), SealError> {
        let damaged = || SealError::DamagedProjectKey(project);
        let payload = self.0.root.open(&project_binding(project), wrapped).map_err(|_| damaged())?;
        let (version, secret) = payload.split_first_chunk::<4>().ok_or_else(damaged)?;
        let secret = secret_of(secret).ok_or_else(damaged)?;
        let key = Arc::new(SealingKey::new(secret, u32::from_be_bytes(*version)));
        let mut projects = self.0.projects.write().unwrap_or_else(PoisonError::into_inner);
        let versions = projects.entry(project).or_default();
        if let Err(at) = versions.binary_search_by_key(&key.version(), |installed| installed.version()) {
            versions.insert(at, key);
        }
        Ok(())
    }

    #[must_use]
    pub fn has_project_key(&self, project: ProjectId) -> bool {
        !self.versions(project).is_empty()
    }

    /// Seals a record under the newest key of its project.
    pub fn seal(&self, place: &Place, plaintext: &[u8], random: &dyn Randomness) -> Result<Vec<u8>, SealError> {
        let versions = self.versions(place.project);
        let key = versions.last().ok_or(SealError::NoProjectKey(place.project))?;
        Ok(key.seal(&place.binding(), plaintext, random))
    }

    /// Opens a record that was sealed for exactly this place.
    pub fn unseal(&self, place: &Place, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, SealError> {
        let versions = self.versions(place.project);
        if versions.is_empty() {
            return Err(SealError::NoProjectKey(place.project));
        }
        let header = Header::parse(sealed).map_err(|failure| place.failure(failure))?;
        let key = versions.iter().find(|key| key.version() == header.key_version);
        let key = key.ok_or_else(|| place.failure(OpenFailure::OtherKey))?;
        key.open(&place.binding(), sealed).map_err(|failure| place.failure(failure))
    }

    /// HMAC-SHA-256 under a key that only this label yields: for tokens, which are looked up by this value, for audit
    /// entries that must not show a secret, and for cursors.
    #[must_use]
    pub fn keyed_hash(&self, label: &'static str, message: &[u8]) -> [u8; 32] {
        let known = self.0.hash_keys.read().unwrap_or_else(PoisonError::into_inner).get(label).cloned();
        let key = known.unwrap_or_else(|| {
            let key = hmac::Key::new(hmac::HMAC_SHA256, self.derived("chancery keyed hash v1 ", label).as_ref());
            self.0.hash_keys.write().unwrap_or_else(PoisonError::into_inner).insert(label, key.clone());
            key
        });
        let mut out = [0; 32];
        for (to, from) in out.iter_mut().zip(hmac::sign(&key, message).as_ref()) {
            *to = *from;
        }
        out
    }

    /// The Ed25519 key that signs audit checkpoints. The same for the life of the root wrapping key.
    #[must_use]
    pub fn audit_signing_key(&self) -> AuditSigningKey {
        let seed = self.derived("chancery signing key v1 ", "audit checkpoint");
        #[expect(clippy::expect_used, reason = "every 32 bytes are an Ed25519 seed (RFC 8032 §5.1.5)")]
        let pair = Ed25519KeyPair::from_seed_unchecked(seed.as_ref()).expect("because 32 bytes are a seed");
        AuditSigningKey(pair)
    }

    fn derived(&self, purpose: &str, label: &str) -> Zeroizing<[u8; 32]> {
        let mut out = Zeroizing::new([0; 32]);
        derive(self.0.root.secret(), b"", &format!("{purpose}{label}"), out.as_mut());
        out
    }

    fn versions(&self, project: ProjectId) -> Vec<Arc<SealingKey>> {
        let projects = self.0.projects.read().unwrap_or_else(PoisonError::into_inner);
        projects.get(&project).cloned().unwrap_or_default()
    }
}

impl Place {
    fn binding(&self) -> Binding<'static> {
        Binding { table: self.table, column: self.column, record: self.record, project: self.project.as_uuid() }
    }

    const fn failure(&self, failure: OpenFailure) -> SealError {
        let Self { table, column, record, .. } = *self;
        match failure {
            OpenFailure::Format => SealError::UnknownFormat { table, column, record },
            OpenFailure::OtherKey | OpenFailure::Damaged => SealError::Damaged { table, column, record },
        }
    }
}

/// Signs audit checkpoints (RFC 8032, Ed25519).
pub struct AuditSigningKey(Ed25519KeyPair);

impl AuditSigningKey {
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> [u8; 64] {
        let signature = self.0.sign(message);
        let mut out = [0; 64];
        for (to, from) in out.iter_mut().zip(signature.as_ref()) {
            *to = *from;
        }
        out
    }

    #[must_use]
    pub fn public(&self) -> [u8; 32] {
        let mut out = [0; 32];
        for (to, from) in out.iter_mut().zip(self.0.public_key().as_ref()) {
            *to = *from;
        }
        out
    }
}

fn wrapping_key(kek: &Kek) -> SealingKey {
    SealingKey::new(Zeroizing::new(*kek.bytes()), 1)
}

const fn project_binding(project: ProjectId) -> Binding<'static> {
    Binding { table: "projects", column: "key", record: project.as_uuid(), project: project.as_uuid() }
}

fn secret_of(bytes: &[u8]) -> Option<Zeroizing<[u8; 32]>> {
    <[u8; 32]>::try_from(bytes).ok().map(Zeroizing::new)
}

#[cfg(test)]
mod tests {
    use chancery_model::random::SeededRandomness;

    use super::*;

    fn kek(fill: &str) -> Kek {
        Kek::from_text(&fill.repeat(32)).unwrap()
    }

    fn project(number: u128) -> ProjectId {
        ProjectId::from_uuid(Uuid::from_u128(number))
    }

    fn place() -> Place {
        Place { project: project(1), table: "keys", column: "sealed", record: Uuid::from_u128(9) }
    }

    fn sealer(random: &SeededRandomness) -> Sealer {
        let (sealer, _) = Sealer::initialise(&kek("5a"), random);
        for number in [1, 2] {
            let wrapped = sealer.new_project_key(project(number), random);
            sealer.install_project_key(project(number), &wrapped).unwrap();
        }
        sealer
    }

    #[test]
    fn sealed_records_survive_a_restart() {
        let random = SeededRandomness::new(1);
        let (sealer, root) = Sealer::initialise(&kek("5a"), &random);
        let wrapped = sealer.new_project_key(project(1), &random);
        assert!(!sealer.has_project_key(project(1)), "a key is used only once it was stored");
        sealer.install_project_key(project(1), &wrapped).unwrap();
        let sealed = sealer.seal(&place(), b"secret", &random).unwrap();

        let again = Sealer::open(&kek("5a"), &root).unwrap();
        again.install_project_key(project(1), &wrapped).unwrap();
        assert_eq!(again.unseal(&place(), &sealed).unwrap().as_slice(), b"secret");
        assert_eq!(again.keyed_hash("token", b"x"), sealer.keyed_hash("token", b"x"));
        assert_eq!(again.audit_signing_key().public(), sealer.audit_signing_key().public());
    }

    #[test]
    fn another_kek_is_told_at_once() {
        let random = SeededRandomness::new(1);
        let (sealer, root) = Sealer::initialise(&kek("5a"), &random);
        assert_eq!(Sealer::open(&kek("5b"), &root).err(), Some(SealError::WrongKek));
        let rewrapped = sealer.rewrap_root(&kek("5b"), &random);
        assert!(Sealer::open(&kek("5b"), &rewrapped).is_ok());
        assert_eq!(Sealer::open(&kek("5a"), &rewrapped).err(), Some(SealError::WrongKek));
    }

    #[test]
    fn a_record_opens_in_its_own_place_only() {
        let random = SeededRandomness::new(1);
        let sealer = sealer(&random);
        let sealed = sealer.seal(&place(), b"secret", &random).unwrap();
        assert!(sealer.unseal(&place(), &sealed).is_ok());
        for elsewhere in [
            Place { record: Uuid::from_u128(10), ..place() },
            Place { project: project(2), ..place() },
            Place { column: "other", ..place() },
            Place { table: "others", ..place() },
        ] {
            let Place { table, column, record, .. } = elsewhere;
            let refused = sealer.unseal(&elsewhere, &sealed).err();
            assert_eq!(refused, Some(SealError::Damaged { table, column, record }), "{elsewhere:?}");
        }
        let unknown = Place { project: project(3), ..place() };
        assert_eq!(sealer.unseal(&unknown, &sealed).err(), Some(SealError::NoProjectKey(project(3))));
    }

    #[test]
    fn every_flipped_bit_and_every_cut_is_refused() {
        let random = SeededRandomness::new(1);
        let sealer = sealer(&random);
        let sealed = sealer.seal(&place(), b"secret", &random).unwrap();
        for at in 0..sealed.len() * 8 {
            let mut flipped = sealed.clone();
            flipped[at / 8] ^= 1 << (at % 8);
            assert!(sealer.unseal(&place(), &flipped).is_err(), "bit {at}");
        }
        for length in 0..sealed.len() {
            assert!(sealer.unseal(&place(), &sealed[..length]).is_err(), "cut to {length}");
        }
        let longer = [sealed.as_slice(), &[0]].concat();
        assert!(sealer.unseal(&place(), &longer).is_err());
    }

    #[test]
    fn wrapped_keys_do_not_open_when_changed_or_moved() {
        let random = SeededRandomness::new(1);
        let (sealer, root) = Sealer::initialise(&kek("5a"), &random);
        let wrapped = sealer.new_project_key(project(1), &random);
        let refused = sealer.install_project_key(project(2), &wrapped);
        assert_eq!(refused, Err(SealError::DamagedProjectKey(project(2))));
        for at in 0..wrapped.len() {
            let mut flipped = wrapped.clone();
            flipped[at] ^= 1;
            assert!(sealer.install_project_key(project(1), &flipped).is_err(), "byte {at}");
        }
        for at in 0..root.len() {
            let mut flipped = root.clone();
            flipped[at] ^= 1;
            assert!(Sealer::open(&kek("5a"), &flipped).is_err(), "byte {at}");
        }
        let (stranger, _) = Sealer::initialise(&kek("5a"), &random);
        assert!(stranger.install_project_key(project(1), &wrapped).is_err(), "a key of another root");
    }

    #[test]
    fn a_new_version_seals_while_the_old_one_still_opens() {
        let random = SeededRandomness::new(1);
        let sealer = sealer(&random);
        let old = sealer.seal(&place(), b"old", &random).unwrap();
        let second = sealer.new_project_key(project(1), &random);
        sealer.install_project_key(project(1), &second).unwrap();
        sealer.install_project_key(project(1), &second).unwrap();
        let new = sealer.seal(&place(), b"new", &random).unwrap();
        assert_eq!((Header::parse(&old).unwrap().key_version, Header::parse(&new).unwrap().key_version), (1, 2));
        assert_eq!(sealer.unseal(&place(), &old).unwrap().as_slice(), b"old");
        assert_eq!(sealer.unseal(&place(), &new).unwrap().as_slice(), b"new");
    }

    #[test]
    fn keyed_hashes_depend_on_root_label_and_message() {
        let random = SeededRandomness::new(1);
        let (one, two) = (sealer(&random), sealer(&random));
        let hash = one.keyed_hash("token", b"x");
        assert_eq!(hash, one.keyed_hash("token", b"x"));
        for other in [one.keyed_hash("cursor", b"x"), one.keyed_hash("token", b"y"), two.keyed_hash("token", b"x")] {
            assert_ne!(hash, other);
        }
    }

    #[test]
    fn audit_signatures_verify_with_the_public_half() {
        use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
        let key = sealer(&SeededRandomness::new(1)).audit_signing_key();
        let signature = key.sign(b"checkpoint");
        let public = UnparsedPublicKey::new(&ED25519, key.public());
        assert!(public.verify(b"checkpoint", &signature).is_ok());
        assert!(public.verify(b"checkpoinT", &signature).is_err());
    }
}
