//! Taking keys and certificates out of PKCS#12 files that others wrote.

use p12_keystore::error::Error;
use p12_keystore::{CertificateBag, Pkcs12Archive, PrivateKeyBag};
use zeroize::Zeroizing;

use super::{Pkcs12Error, limits};
use crate::foreign::ForeignCertificate;

/// Far above any key with its chain.
const DER_MAX: usize = 1024 * 1024;
const CERTIFICATES_MAX: usize = 200;

/// One certificate with what belongs to it.
pub struct Pkcs12Entry {
    /// The friendly name of the key or else of the certificate.
    pub alias: Option<String>,
    /// An unencrypted PrivateKeyInfo. Whether it is the key of the certificate is for the caller to check: the file says
    /// so, by local key ids.
    pub private_key_pkcs8: Option<Zeroizing<Vec<u8>>>,
    pub certificate_der: Vec<u8>,
    /// Certificates of issuers from the same file, nearest first, by name only.
    pub chain: Vec<Vec<u8>>,
}

/// Certificates with a private key first, in the order of the file; then those that are in nobody's chain. The MAC is
/// checked before the contents are looked at; files without one are refused.
///
/// Takes up to some seconds of CPU: keep it off async threads. Codes of refusals: `pkcs12.too_large`, `.encoding`,
/// `.version`, `.mac`, `.iterations`, `.unsupported`, `.password` (which it is not), `.contents`.
pub fn read(der: &[u8], password: &str) -> Result<Vec<Pkcs12Entry>, Pkcs12Error> {
    if der.len() > DER_MAX {
        return Err(Pkcs12Error::new("pkcs12.too_large", "The PKCS#12 file is larger than 1 MiB"));
    }
    limits::check(der)?;
    // Passwords are hashed as UTF-16 without surrogates (RFC 7292 §B.1), so such a one was never the right one.
    if password.chars().any(|one| one > '\u{ffff}') {
        return Err(wrong_password());
    }
    let Pkcs12Archive { keys, certs, .. } = Pkcs12Archive::from_pkcs12(der, password).map_err(refused)?;
    if certs.is_empty() {
        return Err(Pkcs12Error::new("pkcs12.contents", "The file holds no certificate"));
    }
    if certs.len() > CERTIFICATES_MAX {
        return Err(Pkcs12Error::new("pkcs12.contents", "The file holds more than 200 certificates"));
    }
    Contents::new(certs)?.entries(keys)
}

fn wrong_password() -> Pkcs12Error {
    Pkcs12Error::new("pkcs12.password", "The password is not the one of the file, or the file was changed")
}

fn refused(error: Error) -> Pkcs12Error {
    match error {
        Error::MacError(_) => wrong_password(),
        Error::UnsupportedEncryptionScheme | Error::UnsupportedMacAlgorithm => {
            let message = "The file's encryption or MAC is not supported; export it again with AES-256, PBKDF2 and \
                           HMAC-SHA-256";
            Pkcs12Error::new("pkcs12.unsupported", message)
        }
        other => Pkcs12Error::new("pkcs12.contents", format!("The file's contents cannot be read: {other}")),
    }
}

/// A certificate of the file, and whether it has found its place.
struct Held {
    bag: CertificateBag,
    parsed: ForeignCertificate,
    is_placed: bool,
}

struct Contents(Vec<Held>);

impl Contents {
    /// Twins are dropped.
    fn new(bags: Vec<CertificateBag>) -> Result<Self, Pkcs12Error> {
        let mut all: Vec<Held> = Vec::with_capacity(bags.len());
        for bag in bags {
            let twin = all.iter_mut().find(|held| held.bag.cert == bag.cert);
            if let Some(twin) = twin {
                twin.bag.local_key_id = twin.bag.local_key_id.take().or(bag.local_key_id);
                twin.bag.friendly_name = twin.bag.friendly_name.take().or(bag.friendly_name);
                continue;
            }
            let parsed = ForeignCertificate::from_der(bag.cert.as_der()).map_err(|error| {
                Pkcs12Error::new("pkcs12.contents", format!("A certificate in the file cannot be read: {error}"))
            })?;
            all.push(Held { bag, parsed, is_placed: false });
        }
        Ok(Self(all))
    }

    fn entries(mut self, keys: Vec<PrivateKeyBag>) -> Result<Vec<Pkcs12Entry>, Pkcs12Error> {
        let is_only_key = keys.len() == 1;
        let mut entries = Vec::new();
        for key in keys {
            let Some(place) = self.of_key(&key, is_only_key) else {
                let message = "The file holds a private key without its certificate; export it again with both";
                return Err(Pkcs12Error::new("pkcs12.contents", message));
            };
            let pkcs8 = Zeroizing::new(key.key.as_der().to_vec());
            entries.extend(self.entry(place, key.friendly_name, Some(pkcs8)));
        }
        // Of the rest, first what has issued nothing in this file, so that issuers are in chains before their turn comes.
        for must_be_last in [true, false] {
            for place in 0..self.0.len() {
                let is_free = self.0.get(place).is_some_and(|held| !held.is_placed);
                if is_free && (!must_be_last || !self.has_issued(place)) {
                    entries.extend(self.entry(place, None, None));
                }
            }
        }
        Ok(entries)
    }

    /// The certificate with the key's local id. Without ids, a single key goes with the certificate that issued nothing.
    fn of_key(&self, key: &PrivateKeyBag, is_only_key: bool) -> Option<usize> {
        let id = key.local_key_id.as_ref().map(|id| id.0.as_slice());
        let by_id = id.and_then(|id| self.0.iter().position(|held| held.bag.local_key_id.as_deref() == Some(id)));
        by_id.or_else(|| {
            let mut leaves = (0..self.0.len()).filter(|place| self.0.len() == 1 || !self.has_issued(*place));
            let first = leaves.next().filter(|_| is_only_key)?;
            leaves.next().is_none().then_some(first)
        })
    }

    fn has_issued(&self, place: usize) -> bool {
        let Some(issuer) = self.0.get(place) else { return false };
        self.0.iter().any(|held| {
            held.parsed != issuer.parsed
                && !held.parsed.is_self_issued()
                && held.parsed.issuer_der() == issuer.parsed.subject_der()
        })
    }

    /// Takes the certificate at this place and marks it and its chain as placed.
    fn entry(
        &mut self,
        place: usize,
        key_alias: Option<String>,
        private_key_pkcs8: Option<Zeroizing<Vec<u8>>>,
    ) -> Option<Pkcs12Entry> {
        let leaf = self.0.get_mut(place)?;
        leaf.is_placed = true;
        let alias = key_alias.or_else(|| leaf.bag.friendly_name.clone());
        let certificate_der = leaf.parsed.der().to_vec();
        let mut chain: Vec<Vec<u8>> = Vec::new();
        let mut last = leaf.parsed.clone();
        while !last.is_self_issued() {
            let next = self.0.iter_mut().find(|held| {
                let der = held.parsed.der();
                held.parsed.subject_der() == last.issuer_der()
                    && der != certificate_der
                    && !chain.iter().any(|known| known == der)
            });
            let Some(next) = next else { break };
            next.is_placed = true;
            last = next.parsed.clone();
            chain.push(last.der().to_vec());
        }
        Some(Pkcs12Entry { alias, private_key_pkcs8, certificate_der, chain })
    }
}
