//! Requesting, renewing, reading and finding certificates.

use uuid::Uuid;

use crate::error::Warning;
use crate::nullable::{Nullable, lenient_bool};
use crate::page::{KeyValue, KeyValueCondition};
use crate::profile::RenewAt;
use crate::words::{
    CertificateStatus, ExtendedKeyUsage, KeyAlgorithm, KeyUsage, RenewalKeySource, RequestStatus, SanType,
    SignatureAlgorithm, SortOrder,
};

wire! {
    /// Ask for a certificate, with or without a CSR.
    pub struct IssueCertificate {
        pub profile_id: Uuid,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub application_id: Option<Uuid>,
        /// PEM, up to 64 KiB. With it, subject, names, usages and key come from the CSR.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub csr: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub attributes: Option<Attributes>,
        /// Leave the root out of `certificateChain`.
        #[serde(default, deserialize_with = "lenient_bool", skip_serializing_if = "Option::is_none")]
        pub remove_roots_from_chain: Option<bool>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub metadata: Option<Vec<KeyValue>>,
        /// Seconds, 0 to 60: answer with the certificate if it comes in time.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub wait: Option<u32>,
    }

    /// What the certificate should say. For the six subject fields and the algorithms a missing key means the profile's
    /// default and `null` means none.
    #[derive(Default)]
    pub struct Attributes {
        #[serde(default, skip_serializing_if = "Nullable::is_missing")]
        #[schema(value_type = Option<String>)]
        pub common_name: Nullable<String>,
        #[serde(default, skip_serializing_if = "Nullable::is_missing")]
        #[schema(value_type = Option<String>)]
        pub organization: Nullable<String>,
        /// `ou` is taken too.
        #[serde(default, alias = "ou", skip_serializing_if = "Nullable::is_missing")]
        #[schema(value_type = Option<String>)]
        pub organizational_unit: Nullable<String>,
        #[serde(default, skip_serializing_if = "Nullable::is_missing")]
        #[schema(value_type = Option<String>)]
        pub country: Nullable<String>,
        /// `province` is taken too.
        #[serde(default, alias = "province", skip_serializing_if = "Nullable::is_missing")]
        #[schema(value_type = Option<String>)]
        pub state: Nullable<String>,
        #[serde(default, skip_serializing_if = "Nullable::is_missing")]
        #[schema(value_type = Option<String>)]
        pub locality: Nullable<String>,
        /// Up to 50 labels.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub domain_components: Option<Vec<String>>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub key_usages: Option<Vec<KeyUsage>>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub extended_key_usages: Option<Vec<ExtendedKeyUsage>>,
        /// Up to 100.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub alt_names: Option<Vec<AltName>>,
        #[serde(default, skip_serializing_if = "Nullable::is_missing")]
        #[schema(value_type = Option<SignatureAlgorithm>)]
        pub signature_algorithm: Nullable<SignatureAlgorithm>,
        #[serde(default, skip_serializing_if = "Nullable::is_missing")]
        #[schema(value_type = Option<KeyAlgorithm>)]
        pub key_algorithm: Nullable<KeyAlgorithm>,
        /// An integer and a unit (`s m h d w y`), such as `90d`; `m` is minutes. Not together with the dates.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub ttl: Option<String>,
        /// Used exactly.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub not_before: Option<String>,
        /// Used exactly; inclusive.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub not_after: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub basic_constraints: Option<BasicConstraints>,
        /// Taken here too, for clients that put it here.
        #[serde(default, deserialize_with = "lenient_bool", skip_serializing_if = "Option::is_none")]
        pub remove_roots_from_chain: Option<bool>,
    }

    /// A subject alternative name.
    pub struct AltName {
        #[serde(rename = "type")]
        pub kind: SanType,
        /// 1 to 255 characters.
        pub value: String,
    }

    /// RFC 5280 §4.2.1.9.
    pub struct BasicConstraints {
        #[serde(rename = "isCA")]
        pub is_ca: bool,
        /// 0 to 255.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub path_length: Option<u8>,
    }

    /// The answer to an issue request: the certificate, or `null` and a request to poll.
    pub struct IssueAnswer {
        pub certificate: Option<IssuedCertificate>,
        pub certificate_request_id: Uuid,
        pub status: RequestStatus,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub message: Option<String>,
        #[serde(default)]
        pub warnings: Vec<Warning>,
    }

    /// A fresh certificate.
    pub struct IssuedCertificate {
        /// PEM.
        pub certificate: String,
        /// PEM; empty for a self-signed certificate.
        pub issuing_ca_certificate: String,
        /// PEM, issuing CA first, root last; the certificate itself when self-signed.
        pub certificate_chain: String,
        /// PEM (PKCS#8); absent when the key came with a CSR.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub private_key: Option<String>,
        /// Lower-case hex.
        pub serial_number: String,
        pub certificate_id: Uuid,
    }

    /// A fresh certificate and its request, flat: the answer of renew and of the older issue routes. While an external CA has
    /// not answered, the texts are empty and `certificateId` is the request's id: poll the request.
    pub struct FlatIssueAnswer {
        pub certificate: String,
        pub issuing_ca_certificate: String,
        pub certificate_chain: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub private_key: Option<String>,
        pub serial_number: String,
        pub certificate_id: Uuid,
        pub certificate_request_id: Uuid,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub status: Option<RequestStatus>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub message: Option<String>,
        #[serde(default)]
        pub warnings: Vec<Warning>,
    }

    /// An order at an external CA, or the certificate where it came at once: the answer of the older order route.
    pub struct OrderAnswer {
        pub certificate_request_id: Uuid,
        pub status: RequestStatus,
        /// Absent until there is one: poll the request.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub certificate: Option<IssuedCertificate>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub message: Option<String>,
        pub project_id: Uuid,
        /// Slug of the profile.
        pub profile_name: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub common_name: Option<String>,
        #[serde(default)]
        pub warnings: Vec<Warning>,
    }

    /// Issue with everything at the top level; an older form of `POST /certificates`.
    pub struct FlatIssueCertificate {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub profile_id: Option<Uuid>,
        /// Oldest form: issue straight from a CA that has a direct-issuance template.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub ca_id: Option<Uuid>,
        /// Oldest form; refused with the next step, because templates here are used through profiles.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub certificate_template_id: Option<Uuid>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub application_id: Option<Uuid>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub csr: Option<String>,
        #[serde(default, skip_serializing_if = "Nullable::is_missing")]
        #[schema(value_type = Option<String>)]
        pub common_name: Nullable<String>,
        #[serde(default, skip_serializing_if = "Nullable::is_missing")]
        #[schema(value_type = Option<String>)]
        pub organization: Nullable<String>,
        #[serde(default, alias = "ou", skip_serializing_if = "Nullable::is_missing")]
        #[schema(value_type = Option<String>)]
        pub organizational_unit: Nullable<String>,
        #[serde(default, skip_serializing_if = "Nullable::is_missing")]
        #[schema(value_type = Option<String>)]
        pub country: Nullable<String>,
        #[serde(default, alias = "province", skip_serializing_if = "Nullable::is_missing")]
        #[schema(value_type = Option<String>)]
        pub state: Nullable<String>,
        #[serde(default, skip_serializing_if = "Nullable::is_missing")]
        #[schema(value_type = Option<String>)]
        pub locality: Nullable<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub domain_components: Option<Vec<String>>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub key_usages: Option<Vec<KeyUsage>>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub extended_key_usages: Option<Vec<ExtendedKeyUsage>>,
        /// A list of `{type, value}`, or the oldest form: comma-joined DNS names, IP addresses and e-mail addresses.
        #[serde(default, alias = "subjectAlternativeNames", skip_serializing_if = "Option::is_none")]
        pub alt_names: Option<AltNames>,
        #[serde(default, skip_serializing_if = "Nullable::is_missing")]
        #[schema(value_type = Option<SignatureAlgorithm>)]
        pub signature_algorithm: Nullable<SignatureAlgorithm>,
        #[serde(default, skip_serializing_if = "Nullable::is_missing")]
        #[schema(value_type = Option<KeyAlgorithm>)]
        pub key_algorithm: Nullable<KeyAlgorithm>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub ttl: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub not_before: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub not_after: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub basic_constraints: Option<BasicConstraints>,
        #[serde(default, deserialize_with = "lenient_bool", skip_serializing_if = "Option::is_none")]
        pub remove_roots_from_chain: Option<bool>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub metadata: Option<Vec<KeyValue>>,
        /// Seconds, 0 to 60: answer with the certificate if it comes in time.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub wait: Option<u32>,
    }

    /// Renew a certificate. Everything is optional, the body too.
    #[derive(Default)]
    pub struct RenewCertificate {
        #[serde(default, deserialize_with = "lenient_bool", skip_serializing_if = "Option::is_none")]
        pub remove_roots_from_chain: Option<bool>,
        /// Default `new`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub renewal_key_source: Option<RenewalKeySource>,
        /// PEM; needed with `csr`, refused with the other two.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub csr: Option<String>,
        /// Changes to the copy of the old certificate: a missing key keeps, `null` clears.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub attributes: Option<Attributes>,
        /// Seconds, 0 to 60: answer with the certificate if it comes in time.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub wait: Option<u32>,
    }

    /// Change when the server renews a certificate.
    pub struct ConfigureRenewal {
        /// Days before the end, 1 to 30.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub renew_before_days: Option<i64>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub enable_auto_renewal: Option<bool>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub renew_at: Option<RenewAt>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub renew_jitter: Option<String>,
        /// How long after its renewal the certificate is revoked; `null` follows application and profile again.
        #[serde(default, skip_serializing_if = "Nullable::is_missing")]
        #[schema(value_type = Option<String>)]
        pub revoke_superseded_after: Nullable<String>,
    }

    pub struct ConfigureRenewalAnswer {
        pub message: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub renew_before_days: Option<u32>,
    }

    /// A certificate as the inventory knows it; no PEM in here.
    pub struct Certificate {
        pub id: Uuid,
        pub project_id: Uuid,
        pub created_at: String,
        pub updated_at: String,
        pub not_before: String,
        pub not_after: String,
        pub status: CertificateStatus,
        pub serial_number: String,
        pub friendly_name: String,
        pub common_name: String,
        pub ca_id: Option<Uuid>,
        pub ca_cert_id: Option<Uuid>,
        pub certificate_template_id: Option<Uuid>,
        pub pki_subscriber_id: Option<Uuid>,
        pub profile_id: Option<Uuid>,
        pub application_id: Option<Uuid>,
        pub revoked_at: Option<String>,
        /// Code of RFC 5280 §5.3.1.
        pub revocation_reason: Option<u8>,
        /// Comma-joined values.
        pub alt_names: Option<String>,
        pub key_usages: Option<Vec<KeyUsage>>,
        pub extended_key_usages: Option<Vec<ExtendedKeyUsage>>,
        pub renew_before_days: Option<u32>,
        pub renewed_from_certificate_id: Option<Uuid>,
        pub renewed_by_certificate_id: Option<Uuid>,
        /// Why the last renewal was refused.
        pub renewal_error: Option<String>,
        /// When the server is due to renew it; `null` means never by itself.
        #[serde(default)]
        pub renewal_due_at: Option<String>,
        pub key_algorithm: Option<KeyAlgorithm>,
        pub signature_algorithm: Option<SignatureAlgorithm>,
        pub subject_organization: Option<String>,
        pub subject_organizational_unit: Option<String>,
        pub subject_country: Option<String>,
        pub subject_state: Option<String>,
        pub subject_locality: Option<String>,
        /// Comma-joined.
        pub subject_domain_components: Option<String>,
        /// Lower-case hex.
        pub fingerprint_sha256: Option<String>,
        /// Lower-case hex.
        pub fingerprint_sha1: Option<String>,
        #[serde(rename = "isCA")]
        pub is_ca: Option<bool>,
        pub path_length: Option<u8>,
        /// `issued` or `imported`.
        pub source: Option<String>,
        pub discovery_metadata: Option<serde_json::Value>,
        #[serde(flatten)]
        #[schema(inline)]
        pub details: Option<CertificateDetails>,
    }

    /// What only the answer for a single certificate adds.
    pub struct CertificateDetails {
        pub subject: SubjectDetails,
        pub fingerprints: Fingerprints,
        pub basic_constraints: BasicConstraints,
        pub ca_name: Option<String>,
        pub profile_name: Option<String>,
        pub application_name: Option<String>,
        /// `internal` or `external`; `null` for a self-signed certificate.
        pub ca_type: Option<String>,
        pub has_private_key: bool,
        pub latest_renewal_certificate_id: Option<Uuid>,
        /// What was set for this certificate beyond its profile.
        #[serde(default)]
        pub renewal_settings: Option<RenewalSettings>,
        pub metadata: Vec<KeyValue>,
        /// Of a certificate made elsewhere: what it says beyond the words above.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub foreign: Option<ForeignDetails>,
    }

    /// What only a certificate made elsewhere may say.
    pub struct ForeignDetails {
        /// The whole subject as text (RFC 4514).
        pub subject: String,
        /// The issuer's name as text (RFC 4514).
        pub issuer: String,
        /// The key as people name it: `RSA 1024`, `DSA`.
        pub key: String,
        /// The signature algorithm: a known name, else the object identifier.
        pub signature: String,
        /// Object identifiers of purposes that have no word here.
        pub extended_key_usages: Vec<String>,
        /// Object identifiers of extensions that were not understood.
        pub extensions: Vec<String>,
        /// Whether key or signature are too weak today.
        pub is_weak: bool,
    }

    /// Renewal settings of one certificate; what is `null` follows its application or profile.
    pub struct RenewalSettings {
        /// The server does not renew it.
        pub switched_off: bool,
        pub renew_at: Option<RenewAt>,
        /// Such as `1h`.
        pub renew_jitter: Option<String>,
        /// Such as `1d`.
        pub revoke_superseded_after: Option<String>,
    }

    /// The subject, attribute by attribute.
    pub struct SubjectDetails {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub common_name: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub organization: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub organizational_unit: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub country: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub state: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub locality: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub domain_components: Option<Vec<String>>,
    }

    pub struct Fingerprints {
        pub sha256: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub sha1: Option<String>,
    }

    pub struct CertificateAnswer {
        pub certificate: Certificate,
    }

    pub struct CertificatesAnswer {
        pub certificates: Vec<Certificate>,
        /// Exact up to 10000; beyond that a lower bound.
        pub total_count: u64,
        pub total_count_exact: bool,
        pub next_cursor: Option<String>,
    }

    pub struct CertificatePem {
        pub certificate: String,
        pub certificate_chain: Option<String>,
        pub serial_number: String,
    }

    /// A certificate with its chain and, where the caller may read it, its key. All `null` where there is none.
    pub struct CertificateBundle {
        pub certificate: Option<String>,
        pub certificate_chain: Option<String>,
        pub private_key: Option<String>,
        pub serial_number: Option<String>,
    }

    /// Ask for a PKCS#12 file.
    pub struct ExportPkcs12 {
        /// At least 6 characters.
        pub password: String,
        /// At least 1 character.
        pub alias: String,
        /// 3DES and SHA-1 in place of AES and SHA-256, for software that reads nothing newer. Default false.
        #[serde(default, deserialize_with = "lenient_bool", skip_serializing_if = "Option::is_none")]
        pub legacy: Option<bool>,
    }

    pub struct UpdateCertificate {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub metadata: Option<Vec<KeyValue>>,
    }

    pub struct MetadataAnswer {
        pub metadata: Vec<KeyValue>,
    }

    /// Find certificates. All conditions are optional and all given ones must hold.
    #[derive(Default)]
    pub struct SearchCertificates {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub friendly_name: Option<String>,
        /// The exact common name.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub common_name: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub offset: Option<i64>,
        /// 1 to 500, default 25.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub limit: Option<i64>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub cursor: Option<String>,
        /// Part of the common name or a SAN, or a serial number or fingerprint in hex.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub search: Option<String>,
        /// `active`, `expired`, `revoked`; several joined by commas.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub status: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub profile_ids: Option<Vec<Uuid>>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub ca_ids: Option<Vec<Uuid>>,
        /// Issued at or after.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub from_date: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub to_date: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub metadata: Option<Vec<KeyValueCondition>>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub extended_key_usage: Option<ExtendedKeyUsage>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub key_algorithm: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub signature_algorithm: Option<String>,
        /// Bits, such as 2048 or 256.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub key_sizes: Option<Vec<u32>>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub enrollment_types: Option<Vec<String>>,
        /// `issued` or `imported`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub source: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub application_id: Option<Uuid>,
        /// A ready-made question: `expiring`, `failed-renewal`, `weak-key`, `superseded-active`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub view: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub not_after_from: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub not_after_to: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub not_before_from: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub not_before_to: Option<String>,
        /// `createdAt` (default) or `notAfter`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub sort_by: Option<String>,
        /// Default `desc`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub sort_order: Option<SortOrder>,
    }
}

/// Subject alternative names in either form that older clients send.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
#[serde(untagged, expecting = "expected a list of {type, value} or comma-joined text")]
pub enum AltNames {
    List(Vec<AltName>),
    Joined(String),
}

query! {
    pub struct CertificatesQuery {
        pub friendly_name: Option<String>,
        pub common_name: Option<String>,
        pub offset: Option<i64>,
        /// 1 to 500, default 25.
        pub limit: Option<i64>,
        pub cursor: Option<String>,
        pub search: Option<String>,
        pub status: Option<String>,
    }

    pub struct ExportQuery {
        /// `pem` (default), `chain`, `der` or `pkcs7`.
        pub format: Option<String>,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_spellings_of_unit_and_state_are_read() {
        for text in [r#"{"ou":"Ops","province":"Zug"}"#, r#"{"organizationalUnit":"Ops","state":"Zug"}"#] {
            let attributes: Attributes = serde_json::from_str(text).unwrap();
            assert_eq!(attributes.organizational_unit, Nullable::Value("Ops".to_owned()));
            assert_eq!(attributes.state, Nullable::Value("Zug".to_owned()));
        }
    }

    #[test]
    fn a_subject_field_is_missing_null_or_given() {
        let attributes: Attributes = serde_json::from_str(r#"{"commonName":null,"country":"CH"}"#).unwrap();
        assert_eq!(attributes.common_name, Nullable::Null);
        assert_eq!(attributes.country, Nullable::Value("CH".to_owned()));
        assert_eq!(attributes.organization, Nullable::Missing);
        assert_eq!(serde_json::to_string(&attributes).unwrap(), r#"{"commonName":null,"country":"CH"}"#);
    }
}
