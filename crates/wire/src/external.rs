//! External certification authorities: CAs that this server does not run, and what it takes to ask them.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::authority::Ca;
use crate::error::Warning;
use crate::nullable::Nullable;
use crate::words::{AcmeChallenge, CaStatus, DcvMethod, DnsProvider};

/// What the three bodies that make an external CA have in common.
#[derive(Clone, Debug, PartialEq)]
pub struct CreateExternalCa<C> {
    pub name: String,
    pub status: Option<CaStatus>,
    pub configuration: C,
    pub project_id: Option<String>,
}

/// What the three bodies that change one have in common.
#[derive(Clone, Debug, PartialEq)]
pub struct UpdateExternalCa<C> {
    pub name: Option<String>,
    pub status: Option<CaStatus>,
    pub configuration: Option<C>,
}

macro_rules! bodies {
    ($($create:ident, $update:ident, $settings:ident, $what:literal;)+) => {$(
        wire! {
            #[doc = concat!("Make an external CA: ", $what, ". Its settings are tried at the CA before they are kept.")]
            pub struct $create {
                /// Lower-case letters, digits and hyphens, 1 to 64; unique among all CAs.
                pub name: String,
                /// `active` (default) or `disabled`.
                #[serde(default, skip_serializing_if = "Option::is_none")]
                pub status: Option<CaStatus>,
                pub configuration: $settings,
                #[serde(default, skip_serializing_if = "Option::is_none")]
                pub project_id: Option<String>,
            }

            /// Keys left out stay as they are, also inside `configuration`.
            pub struct $update {
                #[serde(default, skip_serializing_if = "Option::is_none")]
                pub name: Option<String>,
                #[serde(default, skip_serializing_if = "Option::is_none")]
                pub status: Option<CaStatus>,
                #[serde(default, skip_serializing_if = "Option::is_none")]
                pub configuration: Option<$settings>,
            }
        }

        impl From<$create> for CreateExternalCa<$settings> {
            fn from(body: $create) -> Self {
                let $create { name, status, configuration, project_id } = body;
                Self { name, status, configuration, project_id }
            }
        }

        impl From<$update> for UpdateExternalCa<$settings> {
            fn from(body: $update) -> Self {
                let $update { name, status, configuration } = body;
                Self { name, status, configuration }
            }
        }
    )+};
}

bodies! {
    CreateAcmeCa, UpdateAcmeCa, AcmeSettings, "one that speaks ACME (RFC 8555)";
    CreateDigicertCa, UpdateDigicertCa, DigicertSettings, "DigiCert CertCentral";
    CreateVaultCa, UpdateVaultCa, VaultSettings, "the PKI secrets engine of a Vault or OpenBao";
}

wire! {
    /// Settings of an ACME CA (RFC 8555). A new one needs `directoryUrl`; in a change, keys left out stay and `null` puts the
    /// default back.
    #[derive(Default)]
    pub struct AcmeSettings {
        /// An https URL, or one of the words `letsencrypt`, `letsencrypt-staging`, `zerossl`, `google`, `google-staging`,
        /// `sslcom-rsa`, `sslcom-ecc`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub directory_url: Option<String>,
        /// Where the CA writes to.
        #[serde(default, skip_serializing_if = "Nullable::is_missing")]
        #[schema(value_type = Option<String>)]
        pub account_email: Nullable<String>,
        /// Key id of the external account binding (RFC 8555 §7.3.4), together with `eabHmacKey`.
        #[serde(default, skip_serializing_if = "Nullable::is_missing")]
        #[schema(value_type = Option<String>)]
        pub eab_kid: Nullable<String>,
        /// Base64url; sealed and never shown again.
        #[serde(default, skip_serializing_if = "Nullable::is_missing")]
        #[schema(value_type = Option<String>)]
        pub eab_hmac_key: Nullable<String>,
        /// Credentials for the DNS provider of every name that no entry of `dnsZones` fits; together with `dnsProviderConfig`.
        #[serde(default, skip_serializing_if = "Nullable::is_missing")]
        #[schema(value_type = Option<Uuid>)]
        pub dns_app_connection_id: Nullable<Uuid>,
        #[serde(default, skip_serializing_if = "Nullable::is_missing")]
        #[schema(value_type = Option<DnsProviderConfig>)]
        pub dns_provider_config: Nullable<DnsProviderConfig>,
        /// Several zones; the longest suffix of a name decides. Up to 100; replaces the whole list.
        #[serde(default, skip_serializing_if = "Nullable::is_missing")]
        #[schema(value_type = Option<Vec<DnsZone>>)]
        pub dns_zones: Nullable<Vec<DnsZone>>,
        /// In order of preference. Default: `dns-01` when there is a zone, else `http-01`.
        #[serde(default, skip_serializing_if = "Nullable::is_missing")]
        #[schema(value_type = Option<Vec<AcmeChallenge>>)]
        pub challenges: Nullable<Vec<AcmeChallenge>>,
        /// Servers (address, or address:port) that are asked whether a record is there; default: those of the zone itself.
        #[serde(default, skip_serializing_if = "Nullable::is_missing")]
        #[schema(value_type = Option<Vec<String>>)]
        pub dns_resolvers: Nullable<Vec<String>>,
        /// How long a record may take to be seen: 10 seconds to 6 hours, default `10m`.
        #[serde(default, skip_serializing_if = "Nullable::is_missing")]
        #[schema(value_type = Option<String>)]
        pub propagation_timeout: Nullable<String>,
        /// Common name of the issuer at the top of the wanted chain, where the CA offers several.
        #[serde(default, skip_serializing_if = "Nullable::is_missing")]
        #[schema(value_type = Option<String>)]
        pub preferred_chain: Nullable<String>,
        /// The CA's own name for a kind of certificate, sent with each order.
        #[serde(default, skip_serializing_if = "Nullable::is_missing")]
        #[schema(value_type = Option<String>)]
        pub certificate_profile: Nullable<String>,
    }

    /// Who changes the DNS records.
    pub struct DnsProviderConfig {
        pub provider: DnsProvider,
        /// The provider's own name for the zone; for `rfc2136` the zone's name. `webhook` and `exec` need none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub hosted_zone_id: Option<String>,
    }

    /// Who changes the DNS records of which names.
    pub struct DnsZone {
        /// A suffix such as `acme.com`; empty: every name.
        #[serde(default)]
        pub zone: String,
        pub provider: DnsProvider,
        pub app_connection_id: Uuid,
        /// As in `dnsProviderConfig`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub hosted_zone_id: Option<String>,
    }

    /// Settings of DigiCert CertCentral. A new one needs the first three; in a change, keys left out stay.
    #[derive(Default)]
    pub struct DigicertSettings {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub app_connection_id: Option<Uuid>,
        /// Above 0.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub organization_id: Option<i64>,
        /// Such as `ssl_plus`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub product_name_id: Option<String>,
        /// How control of the names is proved; default: the account's own way.
        #[serde(default, skip_serializing_if = "Nullable::is_missing")]
        #[schema(value_type = Option<DcvMethod>)]
        pub dcv_method: Nullable<DcvMethod>,
    }

    /// Settings of the PKI secrets engine of a Vault or OpenBao. A new one needs `appConnectionId` and `role`; in a change,
    /// keys left out stay.
    #[derive(Default)]
    pub struct VaultSettings {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub app_connection_id: Option<Uuid>,
        /// Path of the secrets engine; default `pki`.
        #[serde(default, skip_serializing_if = "Nullable::is_missing")]
        #[schema(value_type = Option<String>)]
        pub mount: Nullable<String>,
        /// The engine's role that certificates are asked by.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub role: Option<String>,
        /// Name or id of the issuer within the engine; default: the role's own.
        #[serde(default, skip_serializing_if = "Nullable::is_missing")]
        #[schema(value_type = Option<String>)]
        pub issuer_ref: Nullable<String>,
    }

    /// An ACME CA as it is set up, without its secrets.
    pub struct AcmeConfiguration {
        pub dns_app_connection_id: Option<Uuid>,
        pub dns_provider_config: Option<DnsProviderConfig>,
        pub directory_url: String,
        pub account_email: String,
        pub eab_kid: Option<String>,
        /// The zones beside the one for every name.
        pub dns_zones: Vec<DnsZone>,
        pub challenges: Vec<AcmeChallenge>,
        pub dns_resolvers: Vec<String>,
        pub propagation_timeout: String,
        pub preferred_chain: Option<String>,
        pub certificate_profile: Option<String>,
        /// The account that was registered at the CA.
        pub account_url: Option<String>,
        /// The word that stands for the directory URL, if one does.
        pub directory_preset: Option<String>,
    }

    /// DigiCert CertCentral as it is set up.
    pub struct DigicertConfiguration {
        pub app_connection_id: Uuid,
        pub organization_id: i64,
        pub product_name_id: String,
        pub dcv_method: Option<DcvMethod>,
    }

    /// A Vault's or OpenBao's PKI secrets engine as it is set up.
    pub struct VaultConfiguration {
        pub app_connection_id: Uuid,
        pub mount: String,
        pub role: String,
        pub issuer_ref: Option<String>,
    }

    /// An external certification authority.
    pub struct ExternalCa {
        pub id: Uuid,
        pub project_id: Uuid,
        pub name: String,
        pub status: CaStatus,
        /// `acme`, `digicert` or `vault`.
        #[serde(rename = "type")]
        pub kind: String,
        /// Always false: certificates of external CAs are asked for through profiles.
        pub enable_direct_issuance: bool,
        pub configuration: ExternalConfiguration,
        pub created_at: String,
        pub updated_at: String,
        /// What the CA said when its settings were tried; absent when there is nothing.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        pub warnings: Vec<Warning>,
    }

    /// CAs of all types.
    pub struct CasAnswer {
        pub certificate_authorities: Vec<AnyCa>,
    }
}

/// The settings of an external CA; which ones follows from its type.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
pub enum ExternalConfiguration {
    Acme(Box<AcmeConfiguration>),
    Digicert(DigicertConfiguration),
    Vault(VaultConfiguration),
}

/// An internal or an external CA.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
pub enum AnyCa {
    Internal(Box<Ca>),
    External(Box<ExternalCa>),
}
