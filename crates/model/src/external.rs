//! External certification authorities: CAs that Chancery does not run, and what it keeps to ask them.

use serde::{Deserialize, Serialize};

use crate::authority::CaStatus;
use crate::id::{CaId, ConnectionId, ProjectId};
use crate::time::{Timestamp, Ttl};
use crate::words::words;

words! {
    /// What speaks at the other end; also the CA's type on the wire.
    ExternalCaKind {
        /// RFC 8555.
        Acme => "acme",
        /// CertCentral, by its Services API.
        Digicert => "digicert",
        /// The PKI secrets engine of HashiCorp Vault or OpenBao.
        Vault => "vault",
    }

    /// How control of a name is proved to an ACME CA.
    ChallengeKind {
        /// RFC 8555 §8.4.
        Dns01 => "dns-01",
        /// RFC 8555 §8.3.
        Http01 => "http-01",
        /// RFC 8737.
        TlsAlpn01 => "tls-alpn-01",
    }

    /// Who changes the records of a DNS zone.
    DnsProviderKind {
        Route53 => "route53",
        Cloudflare => "cloudflare",
        DnsMadeEasy => "dns-made-easy",
        AzureDns => "azure-dns",
        GoogleCloudDns => "google-cloud-dns",
        DigitalOcean => "digitalocean",
        Hetzner => "hetzner",
        Desec => "desec",
        Gandi => "gandi",
        Ovh => "ovh",
        /// Dynamic updates (RFC 2136), signed (TSIG, RFC 8945).
        Rfc2136 => "rfc2136",
        /// An HTTP endpoint of the user's own, called with a signature.
        Webhook => "webhook",
        /// A program on the server's machine that its operator has named.
        Exec => "exec",
    }

    /// Whose credentials an app connection holds.
    ConnectionApp {
        Aws => "aws",
        Cloudflare => "cloudflare",
        DnsMadeEasy => "dns-made-easy",
        AzureDns => "azure-dns",
        Gcp => "gcp",
        DigitalOcean => "digitalocean",
        /// Its Cloud API.
        Hetzner => "hetzner",
        Desec => "desec",
        Gandi => "gandi",
        Ovh => "ovh",
        Rfc2136 => "rfc2136",
        DnsWebhook => "dns-webhook",
        DnsExec => "dns-exec",
        Digicert => "digicert",
        /// OpenBao too.
        Vault => "hashicorp-vault",
    }
}

impl DnsProviderKind {
    /// Whose credentials it works with.
    #[must_use]
    pub const fn app(self) -> ConnectionApp {
        match self {
            Self::Route53 => ConnectionApp::Aws,
            Self::Cloudflare => ConnectionApp::Cloudflare,
            Self::DnsMadeEasy => ConnectionApp::DnsMadeEasy,
            Self::AzureDns => ConnectionApp::AzureDns,
            Self::GoogleCloudDns => ConnectionApp::Gcp,
            Self::DigitalOcean => ConnectionApp::DigitalOcean,
            Self::Hetzner => ConnectionApp::Hetzner,
            Self::Desec => ConnectionApp::Desec,
            Self::Gandi => ConnectionApp::Gandi,
            Self::Ovh => ConnectionApp::Ovh,
            Self::Rfc2136 => ConnectionApp::Rfc2136,
            Self::Webhook => ConnectionApp::DnsWebhook,
            Self::Exec => ConnectionApp::DnsExec,
        }
    }

    /// The provider that works with the app's credentials; none where the app has no DNS.
    #[must_use]
    pub fn of_app(app: ConnectionApp) -> Option<Self> {
        Self::ALL.iter().copied().find(|it| it.app() == app)
    }

    /// Whether the provider has no names of its own for zones, so that the zone's name is what it goes by.
    #[must_use]
    pub const fn knows_zones_by_name(self) -> bool {
        matches!(self, Self::Rfc2136 | Self::Webhook | Self::Exec)
    }
}

/// A CA elsewhere, as an administrator described it.
#[derive(Clone, PartialEq, Eq)]
pub struct ExternalCa {
    pub id: CaId,
    pub project_id: ProjectId,
    /// Unique among all CAs of the project: lower-case letters, digits, hyphens, 1 to 64.
    pub name: String,
    /// Active or disabled.
    pub status: CaStatus,
    pub configuration: ExternalConfiguration,
    /// What its kind keeps of the relation, such as the URL of an ACME account. No secrets.
    pub standing: serde_json::Value,
    /// Sealed: what its kind keeps secret, such as the key of an ACME account.
    pub sealed: Option<Vec<u8>>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

impl ExternalCa {
    #[must_use]
    pub const fn kind(&self) -> ExternalCaKind {
        self.configuration.kind()
    }
}

/// Stored as one document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum ExternalConfiguration {
    Acme(AcmeConfiguration),
    Digicert(DigicertConfiguration),
    Vault(VaultConfiguration),
}

impl ExternalConfiguration {
    #[must_use]
    pub const fn kind(&self) -> ExternalCaKind {
        match self {
            Self::Acme(_) => ExternalCaKind::Acme,
            Self::Digicert(_) => ExternalCaKind::Digicert,
            Self::Vault(_) => ExternalCaKind::Vault,
        }
    }

    /// Every connection that it names.
    #[must_use]
    pub fn connections(&self) -> Vec<ConnectionId> {
        match self {
            Self::Acme(it) => it.zones.iter().map(|zone| zone.connection_id).collect(),
            Self::Digicert(it) => vec![it.connection_id],
            Self::Vault(it) => vec![it.connection_id],
        }
    }
}

/// Words that may stand for the directory URL of a well-known ACME CA.
pub const ACME_PRESETS: &[(&str, &str)] = &[
    ("letsencrypt", "https://acme-v02.api.letsencrypt.org/directory"),
    ("letsencrypt-staging", "https://acme-staging-v02.api.letsencrypt.org/directory"),
    ("zerossl", "https://acme.zerossl.com/v2/DV90"),
    ("google", "https://dv.acme-v02.api.pki.goog/directory"),
    ("google-staging", "https://dv.acme-v02.test-api.pki.goog/directory"),
    ("sslcom-rsa", "https://acme.ssl.com/sslcom-dv-rsa"),
    ("sslcom-ecc", "https://acme.ssl.com/sslcom-dv-ecc"),
];

/// The directory URL behind a word of [`ACME_PRESETS`].
#[must_use]
pub fn acme_preset(word: &str) -> Option<&'static str> {
    ACME_PRESETS.iter().find(|(name, _)| *name == word).map(|(_, url)| *url)
}

/// The word of [`ACME_PRESETS`] for a directory URL.
#[must_use]
pub fn acme_preset_of(url: &str) -> Option<&'static str> {
    ACME_PRESETS.iter().find(|(_, known)| *known == url).map(|(name, _)| *name)
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AcmeConfiguration {
    /// https.
    pub directory_url: String,
    /// Where the CA writes to; empty: nowhere.
    #[serde(default)]
    pub account_email: String,
    /// External account binding (RFC 8555 §7.3.4); its MAC key is sealed.
    #[serde(default)]
    pub eab_kid: Option<String>,
    /// In order of preference.
    pub challenges: Vec<ChallengeKind>,
    /// The longest suffix of a name decides.
    #[serde(default)]
    pub zones: Vec<DnsZone>,
    /// Servers (address, or address and port) that are asked whether a record is there; empty: those of the zone itself.
    #[serde(default)]
    pub dns_resolvers: Vec<String>,
    /// How long a record may take to be seen.
    pub propagation_timeout: Ttl,
    /// The common name of the issuer at the top of the chain that is wanted, where the CA offers several.
    #[serde(default)]
    pub preferred_chain: Option<String>,
    /// The CA's own name for a kind of certificate, sent with each order.
    #[serde(default)]
    pub certificate_profile: Option<String>,
}

impl AcmeConfiguration {
    /// How long a DNS record may take to be seen when nobody says: most providers need seconds, some need minutes.
    pub const PROPAGATION_USUAL: Ttl = match Ttl::from_seconds(600) {
        Some(ttl) => ttl,
        None => Ttl::HOUR,
    };

    /// The proof that is asked for when nobody says.
    #[must_use]
    pub const fn usual_challenge(has_zones: bool) -> ChallengeKind {
        if has_zones { ChallengeKind::Dns01 } else { ChallengeKind::Http01 }
    }
}

/// Who changes the records of which names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DnsZone {
    /// A suffix without a leading dot, lower case; empty: every name.
    #[serde(default)]
    pub zone: String,
    pub provider: DnsProviderKind,
    pub connection_id: ConnectionId,
    /// The provider's own name for the zone; for RFC 2136 the zone's name.
    pub hosted_zone_id: String,
}

impl DnsZone {
    /// As an administrator writes it: dots around the suffix, capitals and blanks do not matter.
    #[must_use]
    pub fn written(zone: &str, provider: DnsProviderKind, connection_id: ConnectionId, hosted_zone_id: &str) -> Self {
        let zone = zone.trim().trim_matches('.').to_ascii_lowercase();
        let hosted = hosted_zone_id.trim();
        let hosted = if hosted.is_empty() && provider.knows_zones_by_name() { zone.as_str() } else { hosted };
        Self { provider, connection_id, hosted_zone_id: hosted.to_owned(), zone }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DigicertConfiguration {
    pub connection_id: ConnectionId,
    pub organization_id: i64,
    /// Such as `ssl_plus`.
    pub product_name_id: String,
    /// `email`, `dns-txt-token`, `dns-cname-token` or `http-token`; absent: the account's own.
    #[serde(default)]
    pub dcv_method: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VaultConfiguration {
    pub connection_id: ConnectionId,
    /// Path of the secrets engine, such as `pki`.
    pub mount: String,
    pub role: String,
    /// Name or id of the issuer within the engine; absent: the role's own.
    #[serde(default)]
    pub issuer_ref: Option<String>,
}

impl VaultConfiguration {
    /// Where the secrets engine is when nobody says.
    pub const MOUNT_USUAL: &str = "pki";
}

/// Credentials for a service elsewhere, used by reference.
#[derive(Clone, PartialEq, Eq)]
pub struct AppConnection {
    pub id: ConnectionId,
    pub project_id: ProjectId,
    /// Unique in the project: lower-case letters, digits, hyphens, 1 to 64.
    pub name: String,
    pub description: Option<String>,
    pub app: ConnectionApp,
    /// How it logs in there; each app has its own words.
    pub method: String,
    /// What may be shown, by name.
    pub settings: std::collections::BTreeMap<String, String>,
    /// Sealed: the secrets, by name.
    pub sealed: Vec<u8>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}
