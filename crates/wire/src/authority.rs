//! Internal certification authorities and their certificates.

use uuid::Uuid;

use crate::error::Warning;
use crate::nullable::Nullable;
use crate::words::{CaLevel, CaRenewalType, CaSigner, CaStatus, KeyAlgorithm, SanType, SignatureAlgorithm};

wire! {
    /// Make an internal CA. A root with `notAfter` signs itself at once; any other waits for its certificate.
    pub struct CreateCa {
        /// Lower-case letters, digits and hyphens, 1 to 64.
        pub name: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub status: Option<CaStatus>,
        pub configuration: CaConfiguration,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub project_id: Option<String>,
        /// Template for routes that name only the CA; without one those routes are refused.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub direct_issuance_policy_id: Option<Uuid>,
    }

    /// Change a CA; keys left out stay as they are. The subject and key of a CA never change.
    pub struct UpdateCa {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub name: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub status: Option<CaStatus>,
        #[serde(default, skip_serializing_if = "Nullable::is_missing")]
        #[schema(value_type = Option<Uuid>)]
        pub direct_issuance_policy_id: Nullable<Uuid>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub configuration: Option<CaConfigurationPatch>,
    }

    /// How the CA tells what it has revoked: keys left out stay, `null` puts the default back. The other keys may be sent
    /// back as they were read; another value is refused, because it stands in certificates already.
    #[derive(Default)]
    pub struct CaConfigurationPatch {
        /// Such as `7d`; 1 hour to 365 days.
        #[serde(default, skip_serializing_if = "Nullable::is_missing")]
        #[schema(value_type = Option<String>)]
        pub crl_validity: Nullable<String>,
        /// 1 to 256.
        #[serde(default, skip_serializing_if = "Nullable::is_missing")]
        #[schema(value_type = Option<u32>)]
        pub crl_partitions: Nullable<u32>,
        /// From 1 minute up, shorter than `crlValidity`; `null` makes no delta CRLs.
        #[serde(default, skip_serializing_if = "Nullable::is_missing")]
        #[schema(value_type = Option<String>)]
        pub delta_crl_interval: Nullable<String>,
        #[serde(default, skip_serializing_if = "Nullable::is_missing")]
        #[schema(value_type = Option<bool>)]
        pub is_ocsp_enabled: Nullable<bool>,
        #[serde(default, skip_serializing_if = "Nullable::is_missing")]
        #[schema(value_type = Option<Vec<String>>)]
        pub crl_distribution_point_urls: Nullable<Vec<String>>,
        #[serde(default, skip_serializing_if = "Nullable::is_missing")]
        #[schema(value_type = Option<bool>)]
        pub disable_managed_crl_distribution_point_url: Nullable<bool>,
        #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
        pub level: Option<CaLevel>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub friendly_name: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub common_name: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub organization: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub ou: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub country: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub province: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub locality: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub key_algorithm: Option<KeyAlgorithm>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub signature_algorithm: Option<SignatureAlgorithm>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub not_before: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub not_after: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub max_path_length: Option<i64>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub key_source: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub name_constraints: Option<NameConstraints>,
    }

    /// What an administrator says about an internal CA. At least one subject field must be filled.
    pub struct CaConfiguration {
        #[serde(rename = "type")]
        pub level: CaLevel,
        #[serde(default)]
        pub friendly_name: Option<String>,
        #[serde(default)]
        pub common_name: Option<String>,
        #[serde(default)]
        pub organization: Option<String>,
        /// Organizational unit.
        #[serde(default)]
        pub ou: Option<String>,
        /// Two letters (ISO 3166).
        #[serde(default)]
        pub country: Option<String>,
        /// State or province.
        #[serde(default)]
        pub province: Option<String>,
        #[serde(default)]
        pub locality: Option<String>,
        pub key_algorithm: KeyAlgorithm,
        /// What the CA signs with when a request does not choose; default: what fits its key.
        #[serde(default)]
        pub signature_algorithm: Option<SignatureAlgorithm>,
        #[serde(default)]
        pub not_before: Option<String>,
        #[serde(default)]
        pub not_after: Option<String>,
        /// CAs allowed below this one; -1 means no limit.
        #[serde(default)]
        pub max_path_length: Option<i64>,
        /// Only `infisical` (a key held by this server) exists in this build.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub key_source: Option<String>,
        /// RFC 5280 §4.2.1.10.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub name_constraints: Option<NameConstraints>,
        /// Further places of the CRL, written into certificates beside the managed one: http or https, at most 10.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub crl_distribution_point_urls: Option<Vec<String>>,
        /// Leaves this server's own CRL address out of certificates.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub disable_managed_crl_distribution_point_url: Option<bool>,
        /// Whether certificates point to the OCSP responder; default true.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub is_ocsp_enabled: Option<bool>,
        /// From one CRL's start to its end: 1 hour to 365 days, default `7d`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub crl_validity: Option<String>,
        /// How many partitions new certificates are spread over: 1 (default, the complete CRL alone) to 256.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub crl_partitions: Option<u32>,
        /// How often a delta CRL is made: from 1 minute up, shorter than `crlValidity`; default never.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub delta_crl_interval: Option<String>,
        /// Answer only: where certificates say the OCSP responder is; `null` when they do not.
        #[serde(default)]
        pub ocsp_responder_url: Option<String>,
        /// Answer only: the subject in RFC 4514 form, most specific first.
        #[serde(default)]
        pub dn: Option<String>,
        /// Answer only.
        #[serde(default)]
        pub parent_ca_id: Option<Uuid>,
        /// Answer only: serial number of the certificate in force.
        #[serde(default)]
        pub serial_number: Option<String>,
        /// Answer only.
        #[serde(default)]
        pub active_ca_cert_id: Option<Uuid>,
    }

    /// Names a CA may and may not certify.
    pub struct NameConstraints {
        #[serde(default)]
        pub permitted: Vec<Subtree>,
        #[serde(default)]
        pub excluded: Vec<Subtree>,
    }

    /// One subtree of names.
    pub struct Subtree {
        #[serde(rename = "type")]
        pub kind: SanType,
        /// Such as `acme.com`, `10.0.0.0/8`, or for `directory_name` an RFC 4514 name.
        pub value: String,
    }

    /// An internal certification authority.
    pub struct Ca {
        pub id: Uuid,
        pub project_id: Uuid,
        pub name: String,
        pub status: CaStatus,
        /// Always `internal`.
        #[serde(rename = "type")]
        pub kind: String,
        /// Whether routes that name only the CA work.
        pub enable_direct_issuance: bool,
        pub direct_issuance_policy_id: Option<Uuid>,
        pub configuration: CaConfiguration,
        pub created_at: String,
        pub updated_at: String,
        /// What somebody who imported the CA should know; absent otherwise.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        pub warnings: Vec<Warning>,
    }

    pub struct CaCsrAnswer {
        /// PEM.
        pub csr: String,
    }

    /// Certify a CA: by itself (a root) or by the internal CA `parentCaId`.
    pub struct GenerateCaCertificate {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub not_before: Option<String>,
        pub not_after: String,
        /// -1 means no limit.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub max_path_length: Option<i64>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub parent_ca_id: Option<Uuid>,
    }

    /// A certificate of a CA.
    pub struct CaCertificate {
        /// PEM.
        pub certificate: String,
        /// PEM of the issuers above it, the root last; empty for a root.
        pub certificate_chain: String,
        pub serial_number: String,
        pub cert_id: Uuid,
        /// 1 for the first, growing by one.
        pub version: i64,
        pub not_before: String,
        pub not_after: String,
        pub max_path_length: Option<i64>,
        pub parent_ca_id: Option<Uuid>,
        /// Present once it is revoked.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub revoked_at: Option<String>,
        /// RFC 5280 reason code.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub revocation_reason: Option<u8>,
    }

    /// Give a CA its next certificate.
    pub struct RenewCa {
        /// `existing`: the same key, version + 1. `new-key`: roll over to a fresh key under the same name.
        #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
        pub kind: Option<CaRenewalType>,
        /// Left out: as long as before, as far as the parent lives.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub not_after: Option<String>,
        /// With `new-key` only; left out: as before.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub key_algorithm: Option<KeyAlgorithm>,
    }

    /// Whether and when the server renews a CA; keys left out stay as they are.
    pub struct UpdateAutoRenewal {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub auto_renewal_enabled: Option<bool>,
        /// 1 to 365.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub auto_renewal_days_before_expiry: Option<u32>,
        /// Whether each renewal rolls over to a new key.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub auto_renewal_new_key: Option<bool>,
    }

    pub struct AutoRenewalAnswer {
        pub auto_renewal_enabled: bool,
        pub auto_renewal_days_before_expiry: Option<u32>,
        pub auto_renewal_new_key: bool,
        /// `success` or `failed`; `null` before the first renewal.
        pub last_renewal_status: Option<String>,
        pub last_renewal_message: Option<String>,
        pub last_renewal_at: Option<String>,
        /// When the server renews the CA next, or tries again.
        pub next_renewal_at: Option<String>,
    }

    /// Who signs an intermediate CA: `internal` names `parentCaId`; `vault` names `appConnectionId` and says in
    /// `destinationConfig` where at that server; `manual` means csr and import-certificate.
    pub struct SigningConfig {
        /// Left out on PATCH: as before.
        #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
        pub kind: Option<CaSigner>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub parent_ca_id: Option<Uuid>,
        /// Credentials for the signer elsewhere.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub app_connection_id: Option<Uuid>,
        /// For `vault`: `mount` (the path of its PKI secrets engine, default `pki`) and perhaps `issuerRef`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub destination_config: Option<VaultDestination>,
    }

    /// Where at a Vault or OpenBao an intermediate CA is signed.
    pub struct VaultDestination {
        /// Path of the PKI secrets engine; default `pki`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub mount: Option<String>,
        /// Name or id of the issuer within the engine; default: the engine's own.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub issuer_ref: Option<String>,
    }

    /// Have an intermediate CA signed by the signer that its signing configuration names.
    #[derive(Default)]
    pub struct InstallFromVault {
        /// CAs allowed below it; -1 (default): as the CA's own configuration says.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub max_path_length: Option<i64>,
        /// Default: as the CA's own configuration says, else five years from now.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub not_after: Option<String>,
    }

    pub struct SigningConfigAnswer {
        pub id: Uuid,
        pub ca_id: Uuid,
        #[serde(rename = "type")]
        pub kind: CaSigner,
        pub created_at: String,
        pub updated_at: String,
        pub parent_ca_id: Option<Uuid>,
        pub app_connection_id: Option<Uuid>,
        pub destination_config: Option<VaultDestination>,
        /// Always `null` in this build.
        pub last_external_certificate_id: Option<String>,
    }

    /// A revocation list of a CA.
    pub struct CaCrl {
        pub id: Uuid,
        /// PEM.
        pub crl: String,
        /// Grows with each (RFC 5280 §5.2.3).
        pub number: i64,
        pub this_update: String,
        pub next_update: String,
        /// 0: complete; from 1 on: that partition alone.
        pub partition: u32,
        pub entries: u64,
        /// Where it is served; `null` without a repository address.
        pub url: Option<String>,
        /// Where its delta CRL is served, if there is one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub delta_url: Option<String>,
    }

    pub struct CaCrlAnswer {
        /// PEM of the complete CRL of the key in force.
        pub crl: String,
    }

    /// Take over a CA that was run elsewhere, with its key: in PEM (`certificate`, `privateKey`) or as PKCS#12.
    pub struct ImportCa {
        /// Lower-case letters, digits and hyphens, 1 to 64.
        pub name: String,
        /// PEM; may be left out when the PKCS#12 file has it.
        #[serde(default)]
        pub certificate: String,
        /// PEM of the issuers above it; may be left out for a root, and when the issuer is a CA of this server.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub certificate_chain: Option<String>,
        /// PEM: PKCS#8, encrypted or not, PKCS#1 or SEC 1.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub private_key: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub private_key_password: Option<String>,
        /// Base64, up to 1 MiB.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub pkcs12: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub pkcs12_password: Option<String>,
        /// PEM, or DER in base64: whoever is on it stays revoked, and CRL numbers go on from its number.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub last_crl: Option<String>,
        /// Where CRL numbers go on from when there is no last CRL, or a later one than that.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub last_crl_number: Option<i64>,
        /// PEM, one certificate each: they come into the inventory as this CA's.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub issued_certificates: Option<Vec<String>>,
        /// Hex: numbers that are never used again.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub serial_numbers: Option<Vec<String>>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub project_id: Option<String>,
    }

    /// Sign somebody else's intermediate CA.
    pub struct SignIntermediate {
        /// PEM, up to 64 KiB.
        pub csr: String,
        pub not_after: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub not_before: Option<String>,
        /// -1 means no limit.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub max_path_length: Option<i64>,
    }

    pub struct SignIntermediateAnswer {
        pub certificate: String,
        pub certificate_chain: String,
        pub issuing_ca_certificate: String,
        pub serial_number: String,
    }

    /// Give a CA the certificate that a parent elsewhere made for its key: the first, or the next over the same key.
    pub struct ImportCaCertificate {
        /// PEM.
        pub certificate: String,
        /// PEM of the issuers above it, nearest first.
        #[serde(default)]
        pub certificate_chain: String,
    }

    pub struct ImportCaCertificateAnswer {
        pub message: String,
        pub ca_id: Uuid,
    }
}
