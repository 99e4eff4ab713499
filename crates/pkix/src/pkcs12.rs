//! PKCS#12 (RFC 7292) for handing a key and its chain to somebody, and for taking them. Salts are drawn by the library
//! beneath; nothing else here is random. What comes in is bounded before any key is derived from its password.

mod limits;
mod read;

pub use read::{Pkcs12Entry, read};

use p12_keystore::{
    Certificate, EncryptionAlgorithm, KeyStore, KeyStoreEntry, MacAlgorithm, PrivateKey, PrivateKeyChain,
};

use crate::public_key::sha256;

/// Rounds of both key derivations: a download stays well under a second, a guess costs as much.
const ITERATIONS: u32 = 100_000;

/// Contents that cannot be written or read, with a stable code such as `pkcs12.password`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Pkcs12Error {
    pub code: &'static str,
    pub message: String,
}

impl Pkcs12Error {
    fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }
}

/// One key entry named `alias`. `chain` holds the CA certificates after the leaf, nearest first; `key_pkcs8` is an
/// unencrypted PrivateKeyInfo. The password must not be empty.
///
/// Keys and certificates are under PBES2 with AES-256-CBC and HMAC-SHA-256, the whole under a MAC with HMAC-SHA-256.
/// `legacy` puts Triple DES and SHA-1 in their place, for software that knows nothing better: whoever asks for it must
/// mean it.
pub fn write(
    leaf_der: &[u8],
    key_pkcs8: &[u8],
    chain: &[Vec<u8>],
    password: &str,
    alias: &str,
    legacy: bool,
) -> Result<Vec<u8>, Pkcs12Error> {
    if password.is_empty() {
        return Err(Pkcs12Error::new("pkcs12.password", "A PKCS#12 file needs a password that is not empty"));
    }
    let contents = |what: &'static str| {
        move |error: p12_keystore::error::Error| Pkcs12Error {
            code: "pkcs12.contents",
            message: format!("The {what} cannot be put into a PKCS#12 file: {error}"),
        }
    };
    let key = PrivateKey::from_der(key_pkcs8).map_err(contents("private key"))?;
    let certificates = std::iter::once(leaf_der)
        .chain(chain.iter().map(Vec::as_slice))
        .map(|der| Certificate::from_der(der).map_err(contents("certificate")))
        .collect::<Result<Vec<_>, _>>()?;
    // Ties the key to its certificate; any value will do that is the same for both.
    let local_key_id = sha256(leaf_der).to_vec();
    let mut store = KeyStore::new();
    store.add_entry(alias, KeyStoreEntry::PrivateKeyChain(PrivateKeyChain::new(local_key_id, key, certificates)));
    let (encryption, mac) = if legacy {
        (EncryptionAlgorithm::PbeWithShaAnd3KeyTripleDesCbc, MacAlgorithm::HmacSha1)
    } else {
        (EncryptionAlgorithm::PbeWithHmacSha256AndAes256, MacAlgorithm::HmacSha256)
    };
    store
        .writer(password)
        .encryption_algorithm(encryption)
        .encryption_iterations(ITERATIONS)
        .mac_algorithm(mac)
        .mac_iterations(ITERATIONS)
        .write()
        .map_err(contents("chain"))
}
