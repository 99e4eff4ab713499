//! Certificates that were made elsewhere on their way into the inventory.

use uuid::Uuid;

use crate::error::Warning;

wire! {
    /// Put a certificate that was made elsewhere into the inventory.
    pub struct ImportCertificate {
        /// PEM. Further certificates behind the first count as its chain.
        pub certificate_pem: String,
        /// PEM: PKCS#8, PKCS#8 under a password, PKCS#1 or SEC 1. Sealed before it is stored.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub private_key_pem: Option<String>,
        /// For a private key under a password.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub private_key_password: Option<String>,
        /// PEM, in any order.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub chain_pem: Option<String>,
        /// Up to 255 characters; default: the common name.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub friendly_name: Option<String>,
        /// Refused: there are no collections in this build.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub pki_collection_id: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub application_id: Option<Uuid>,
        /// The caller's project; may be left out.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub project_slug: Option<String>,
    }

    /// What is in the inventory now.
    pub struct ImportAnswer {
        /// PEM.
        pub certificate: String,
        /// PEM, nearest issuer first; absent when none came along.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub certificate_chain: Option<String>,
        /// The imported key (PEM, PKCS#8); absent when none was sent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub private_key: Option<String>,
        pub serial_number: String,
        pub certificate_id: Uuid,
        /// What is unusual about the certificate, such as a weak key.
        #[serde(default)]
        pub warnings: Vec<Warning>,
    }

    /// Look into a PKCS#12 file without keeping anything of it.
    pub struct ExtractPkcs12 {
        /// Base64, up to 1 MiB decoded.
        pub pkcs12: String,
        /// Up to 1024 characters; may be empty.
        pub password: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub application_id: Option<Uuid>,
    }

    pub struct ExtractedPkcs12 {
        pub entries: Vec<Pkcs12Entry>,
    }

    /// One certificate of a PKCS#12 file, with what belongs to it.
    pub struct Pkcs12Entry {
        pub alias: Option<String>,
        /// As text (RFC 4514).
        pub subject: String,
        pub common_name: Option<String>,
        /// As requests spell it where it is known here, else as people name it: `RSA 1024`.
        pub key_algorithm: String,
        pub serial_number: String,
        pub not_before: String,
        pub not_after: String,
        pub fingerprint_sha256: String,
        /// Why the chain is not complete or does not fit; `null` when it does.
        pub chain_warning: Option<String>,
        /// PEM.
        pub certificate_pem: String,
        /// PEM, nearest issuer first.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub chain_pem: Option<String>,
        /// PEM (PKCS#8).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub private_key_pem: Option<String>,
    }

    /// Import every certificate of a PKCS#12 file.
    pub struct ImportPkcs12 {
        /// Base64, up to 1 MiB decoded.
        pub pkcs12: String,
        /// Up to 1024 characters; may be empty.
        pub password: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub friendly_name: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub application_id: Option<Uuid>,
    }

    /// What became of each, in the order of the file.
    pub struct ImportedPkcs12 {
        pub results: Vec<ImportResult>,
        pub imported: u32,
        pub already_there: u32,
        pub refused: u32,
    }

    pub struct ImportResult {
        pub alias: Option<String>,
        pub subject: String,
        pub serial_number: String,
        pub result: ImportOutcome,
        /// Of the imported certificate, or of the one that was there already.
        pub certificate_id: Option<Uuid>,
        pub has_private_key: bool,
        /// Code and reason of a refusal.
        pub code: Option<String>,
        pub message: Option<String>,
    }
}

words! {
    /// What became of one certificate.
    ImportOutcome { Imported => "imported", AlreadyThere => "already_there", Refused => "refused" }
}
