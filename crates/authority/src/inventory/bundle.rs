//! PKCS#12 files (RFC 7292): looking into one without keeping anything, and importing all that is in one.

use chancery_keys::PrivateKey;
use chancery_model::permission::Permission;
use chancery_model::{CertificateId, ErrorKind, Timestamp};
use chancery_pkix::pkcs12::{self, Pkcs12Entry};
use chancery_pkix::{ForeignCertificate, pem};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::chain::Chain;
use super::foreign;
use super::import::{ImportLabels, ImportOutcome, Parts, aside, check_key};
use crate::Authority;
use crate::call::Call;
use crate::error::Error;

/// Largest file, in octets.
pub const PKCS12_BYTES_MAX: usize = 1024 * 1024;

/// A certificate of a PKCS#12 file with what belongs to it.
pub struct BundleEntry {
    pub alias: Option<String>,
    /// As text (RFC 4514).
    pub subject: String,
    pub common_name: Option<String>,
    pub key_algorithm: String,
    pub serial_number: String,
    pub not_before: Timestamp,
    pub not_after: Timestamp,
    pub fingerprint_sha256: [u8; 32],
    /// Why the chain is not whole; absent when it is.
    pub chain_warning: Option<String>,
    pub der: Vec<u8>,
    /// DER, nearest issuer first.
    pub chain: Vec<Vec<u8>>,
    /// PKCS#8 in PEM.
    pub private_key: Option<Zeroizing<String>>,
}

/// All certificates of a file, one by one.
pub struct BundleImport {
    pub items: Vec<BundleItem>,
}

pub struct BundleItem {
    pub alias: Option<String>,
    pub subject: String,
    pub serial_number: String,
    pub has_private_key: bool,
    pub outcome: Result<ImportOutcome, Error>,
}

/// One entry, understood.
struct Opened {
    alias: Option<String>,
    leaf: ForeignCertificate,
    chain: Chain,
    key: Option<Zeroizing<Vec<u8>>>,
}

impl Authority {
    /// What a PKCS#12 file holds. Nothing of it is stored, and no key in it is one of this server's.
    pub async fn extract_pkcs12(
        &self,
        call: &Call,
        file: Vec<u8>,
        password: Zeroizing<String>,
    ) -> Result<Vec<BundleEntry>, Error> {
        call.requester.require(Permission::CertificateImport)?;
        let opened = open(file, password).await?;
        Ok(opened.into_iter().map(Opened::into_entry).collect())
    }

    /// Imports every certificate of a PKCS#12 file that no other of the file stands above. Each has its own outcome.
    pub async fn import_pkcs12(
        &self,
        call: &Call,
        file: Vec<u8>,
        password: Zeroizing<String>,
        labels: &ImportLabels,
    ) -> Result<BundleImport, Error> {
        call.requester.require(Permission::CertificateImport)?;
        self.check_labels(call, labels).await?;
        let mut items = Vec::new();
        for entry in open(file, password).await? {
            let (alias, subject) = (entry.alias.clone(), entry.leaf.subject_text.clone());
            let (serial_number, has_private_key) = (foreign::serial_number(&entry.leaf), entry.key.is_some());
            let labels = ImportLabels {
                friendly_name: labels.friendly_name.clone().or_else(|| named(entry.alias.as_deref())),
                application_id: labels.application_id,
            };
            let outcome = match entry.into_parts() {
                Ok(parts) => self.import_parts(call, parts, &labels, "pkcs12").await,
                Err(error) => Err(error),
            };
            // What is wrong with the server is no fault of one certificate.
            let outcome = match outcome {
                Err(error) if matches!(error.kind(), ErrorKind::Internal | ErrorKind::Unavailable) => {
                    return Err(error);
                }
                outcome => outcome,
            };
            items.push(BundleItem { alias, subject, serial_number, has_private_key, outcome });
        }
        Ok(BundleImport { items })
    }
}

/// An alias that says something: programs write numbers and hashes when nobody gave one.
fn named(alias: Option<&str>) -> Option<String> {
    let alias = alias?.trim();
    let speaks =
        alias.chars().any(|letter| letter.is_alphabetic()) && !alias.bytes().all(|byte| byte.is_ascii_hexdigit());
    speaks.then(|| alias.chars().take(255).collect())
}

async fn open(file: Vec<u8>, password: Zeroizing<String>) -> Result<Vec<Opened>, Error> {
    if file.len() > PKCS12_BYTES_MAX {
        return Err(Error::malformed("pkcs12.too_large", "pkcs12", "the file is larger than 1 MiB"));
    }
    let read = aside(move || pkcs12::read(&file, &password)).await?;
    let entries = read.map_err(|error| {
        let field = if error.code == "pkcs12.password" { "password" } else { "pkcs12" };
        Error::malformed(error.code, field, error.message)
    })?;
    entries.into_iter().map(Opened::new).collect()
}

impl Opened {
    fn new(entry: Pkcs12Entry) -> Result<Self, Error> {
        let leaf = foreign::from_der("pkcs12", &entry.certificate_der)?;
        let others = entry.chain.iter().map(|der| foreign::from_der("pkcs12", der)).collect::<Result<_, _>>()?;
        let chain = Chain::of(&leaf, others);
        Ok(Self { alias: entry.alias, leaf, chain, key: entry.private_key_pkcs8 })
    }

    fn into_entry(self) -> BundleEntry {
        let Self { alias, leaf, chain, key } = self;
        let description = foreign::description(&leaf);
        BundleEntry {
            alias,
            common_name: description.common_name().map(str::to_owned),
            key_algorithm: leaf.key_algorithm.map_or_else(|| leaf.key_text.clone(), |it| it.as_str().to_owned()),
            serial_number: foreign::serial_number(&leaf),
            not_before: Timestamp::from_seconds(leaf.validity.not_before),
            not_after: Timestamp::from_seconds(leaf.validity.not_after),
            fingerprint_sha256: Sha256::digest(leaf.der()).into(),
            chain_warning: chain.fault(&leaf),
            der: leaf.der().to_vec(),
            chain: chain.into_der(),
            private_key: key.map(|der| Zeroizing::new(pem::encode("PRIVATE KEY", &der))),
            subject: leaf.subject_text,
        }
    }

    fn into_parts(self) -> Result<Parts, Error> {
        let Self { leaf, mut chain, key, .. } = self;
        let key = key.map(|der| PrivateKey::from_pkcs8_der(&der)).transpose().map_err(|error| {
            Error::malformed("import.key", "pkcs12", format!("{error}; import the certificate without its key"))
        })?;
        if let Some(key) = &key {
            check_key(key, &leaf, "pkcs12")?;
        }
        // What else lies in the file is no part of this certificate's chain.
        chain.unrelated.clear();
        Ok(Parts { leaf, chain, key })
    }
}

/// Where one outcome led.
impl BundleItem {
    #[must_use]
    pub fn certificate_id(&self) -> Option<CertificateId> {
        match &self.outcome {
            Ok(ImportOutcome::Imported(imported)) => Some(imported.certificate.id),
            Ok(ImportOutcome::AlreadyThere(id)) => Some(*id),
            Err(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alias_becomes_a_name_only_if_it_says_something() {
        for (alias, expected) in [
            ("www server", Some("www server")),
            ("1", None),
            ("  ", None),
            ("9f86d081884c7d65", None),
            ("Zürich", Some("Zürich")),
        ] {
            assert_eq!(named(Some(alias)).as_deref(), expected, "{alias}");
        }
        assert_eq!(named(None), None);
    }
}
