//! The form of an external CA: what its fields show, and the settings they stand for.

use std::collections::{BTreeMap, HashMap};

use chancery_authority::issuance::Zeroizing;
use chancery_model::ConnectionId;
use chancery_model::authority::CaStatus;
use chancery_model::external::{
    AcmeConfiguration, ChallengeKind, ConnectionApp, DigicertConfiguration, DnsProviderKind, DnsZone, ExternalCa,
    ExternalCaKind, ExternalConfiguration, VaultConfiguration, acme_preset, acme_preset_of,
};
use chancery_model::time::Ttl;

use crate::form::{Form, Problems, parts};

/// The core's names of fields, and those of the form.
pub(super) const FIELDS: &[(&str, &str)] = &[
    ("name", "name"),
    ("status", "disabled"),
    ("configuration.directoryUrl", "directory_url"),
    ("configuration.accountEmail", "email"),
    ("configuration.eabKid", "eab_kid"),
    ("configuration.eabHmacKey", "eab_key"),
    ("configuration.challenges", "challenges"),
    ("configuration.dnsZones", "zones"),
    ("configuration.dnsProviderConfig", "zones"),
    ("configuration.dnsAppConnectionId", "zones"),
    ("configuration.dnsResolvers", "resolvers"),
    ("configuration.propagationTimeout", "propagation"),
    ("configuration.preferredChain", "preferred_chain"),
    ("configuration.certificateProfile", "certificate_profile"),
    ("configuration.appConnectionId", "connection"),
    ("configuration.organizationId", "organization_id"),
    ("configuration.productNameId", "product"),
    ("configuration.dcvMethod", "dcv_method"),
    ("configuration.mount", "mount"),
    ("configuration.role", "role"),
    ("configuration.issuerRef", "issuer_ref"),
    ("configuration", ""),
];

/// Well-known ACME CAs by the words of the core; an empty word is any other, by its URL.
pub(super) const PRESETS: &[(&str, &str)] = &[
    ("letsencrypt", "Let's Encrypt"),
    ("letsencrypt-staging", "Let's Encrypt, staging (for trials; not trusted)"),
    ("zerossl", "ZeroSSL"),
    ("google", "Google Trust Services"),
    ("google-staging", "Google Trust Services, staging"),
    ("sslcom-rsa", "SSL.com, RSA"),
    ("sslcom-ecc", "SSL.com, ECC"),
    ("", "Another one: by its directory URL"),
];

/// Which app each connection is for.
pub(super) type ConnectionApps = HashMap<ConnectionId, ConnectionApp>;
type Secrets = BTreeMap<String, Zeroizing<String>>;

#[derive(Clone, Debug)]
pub(super) struct ExternalDraft {
    pub kind: ExternalCaKind,
    pub name: String,
    pub is_disabled: bool,
    pub preset: String,
    pub directory_url: String,
    pub email: String,
    pub eab_kid: String,
    /// Never shown: typed, or empty for the one that is stored.
    eab_key: Zeroizing<String>,
    challenges: Vec<String>,
    pub zones: Vec<ZoneDraft>,
    pub wants_another_zone: bool,
    pub resolvers: String,
    pub propagation: String,
    pub preferred_chain: String,
    pub certificate_profile: String,
    pub connection: String,
    pub organization_id: String,
    pub product: String,
    pub dcv_method: String,
    pub mount: String,
    pub role: String,
    pub issuer_ref: String,
}

#[derive(Clone, Debug, Default)]
pub(super) struct ZoneDraft {
    pub zone: String,
    pub connection: String,
    pub hosted: String,
}

impl ExternalDraft {
    pub fn fresh(kind: ExternalCaKind) -> Self {
        Self {
            kind,
            name: String::new(),
            is_disabled: false,
            preset: "letsencrypt".to_owned(),
            directory_url: String::new(),
            email: String::new(),
            eab_kid: String::new(),
            eab_key: Zeroizing::default(),
            challenges: Vec::new(),
            zones: vec![ZoneDraft::default()],
            wants_another_zone: false,
            resolvers: String::new(),
            propagation: AcmeConfiguration::PROPAGATION_USUAL.to_string(),
            preferred_chain: String::new(),
            certificate_profile: String::new(),
            connection: String::new(),
            organization_id: String::new(),
            product: "ssl_basic".to_owned(),
            dcv_method: String::new(),
            mount: VaultConfiguration::MOUNT_USUAL.to_owned(),
            role: String::new(),
            issuer_ref: String::new(),
        }
    }

    pub fn of(ca: &ExternalCa) -> Self {
        let fresh =
            Self { name: ca.name.clone(), is_disabled: ca.status == CaStatus::Disabled, ..Self::fresh(ca.kind()) };
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        match &ca.configuration {
            ExternalConfiguration::Acme(it) => Self {
                preset: acme_preset_of(&it.directory_url).unwrap_or_default().to_owned(),
                directory_url: it.directory_url.clone(),
                email: it.account_email.clone(),
                eab_kid: text(&it.eab_kid),
                challenges: it.challenges.iter().map(|it| it.as_str().to_owned()).collect(),
                zones: it.zones.iter().map(ZoneDraft::of).chain([ZoneDraft::default()]).collect(),
                resolvers: it.dns_resolvers.join("\n"),
                propagation: it.propagation_timeout.to_string(),
                preferred_chain: text(&it.preferred_chain),
                certificate_profile: text(&it.certificate_profile),
                ..fresh
            },
            ExternalConfiguration::Digicert(it) => Self {
                connection: it.connection_id.to_string(),
                organization_id: it.organization_id.to_string(),
                product: it.product_name_id.clone(),
                dcv_method: text(&it.dcv_method),
                ..fresh
            },
            ExternalConfiguration::Vault(it) => Self {
                connection: it.connection_id.to_string(),
                mount: it.mount.clone(),
                role: it.role.clone(),
                issuer_ref: text(&it.issuer_ref),
                ..fresh
            },
        }
    }

    pub fn read(form: &Form) -> Self {
        let text = |name: &str| form.text(name).to_owned();
        let columns = form.column("zone").zip(form.column("zone_connection")).zip(form.column("zone_hosted"));
        let zones = columns.map(|((zone, connection), hosted)| ZoneDraft {
            zone: zone.to_owned(),
            connection: connection.to_owned(),
            hosted: hosted.to_owned(),
        });
        let mut zones: Vec<ZoneDraft> = zones.filter(|it| !it.is_empty()).collect();
        zones.push(ZoneDraft::default());
        Self {
            kind: ExternalCaKind::from_name(form.text("kind")).unwrap_or(ExternalCaKind::Acme),
            name: text("name"),
            is_disabled: form.has("disabled"),
            preset: text("preset"),
            directory_url: text("directory_url"),
            email: text("email"),
            eab_kid: text("eab_kid"),
            eab_key: Zeroizing::new(text("eab_key")),
            challenges: form.all("challenges").map(str::to_owned).collect(),
            zones,
            wants_another_zone: form.has("add_zone"),
            resolvers: text("resolvers"),
            propagation: text("propagation"),
            preferred_chain: text("preferred_chain"),
            certificate_profile: text("certificate_profile"),
            connection: text("connection"),
            organization_id: text("organization_id"),
            product: text("product"),
            dcv_method: text("dcv_method"),
            mount: text("mount"),
            role: text("role"),
            issuer_ref: text("issuer_ref"),
        }
    }

    pub fn has_challenge(&self, word: &str) -> bool {
        self.challenges.iter().any(|it| it == word)
    }

    /// The settings and what goes with them in secret. `before` is what they replace.
    pub fn to_core(
        &self,
        apps: &ConnectionApps,
        before: Option<&ExternalCa>,
        problems: &mut Problems,
    ) -> Option<(ExternalConfiguration, Secrets)> {
        if self.name.is_empty() {
            problems.add("name", "Give it a name of lower-case letters, digits and hyphens");
        }
        let mut secrets = Secrets::new();
        let made = match self.kind {
            ExternalCaKind::Acme => {
                self.binding(before, &mut secrets);
                self.acme(apps, problems).map(ExternalConfiguration::Acme)
            }
            ExternalCaKind::Digicert => self.digicert(problems).map(ExternalConfiguration::Digicert),
            ExternalCaKind::Vault => self.vault(problems).map(ExternalConfiguration::Vault),
        };
        made.filter(|_| problems.is_empty()).map(|made| (made, secrets))
    }

    /// A key that is typed takes the place of the stored one; without an id there is none.
    fn binding(&self, before: Option<&ExternalCa>, secrets: &mut Secrets) {
        let had_one = before
            .is_some_and(|ca| matches!(&ca.configuration, ExternalConfiguration::Acme(it) if it.eab_kid.is_some()));
        if !self.eab_key.is_empty() || (had_one && self.eab_kid.is_empty()) {
            secrets.insert("eabHmacKey".to_owned(), self.eab_key.clone());
        }
    }

    fn acme(&self, apps: &ConnectionApps, problems: &mut Problems) -> Option<AcmeConfiguration> {
        let zones = self.zones(apps, problems);
        let mut challenges: Vec<ChallengeKind> =
            self.challenges.iter().filter_map(|it| ChallengeKind::from_name(it)).collect();
        if challenges.is_empty() {
            challenges.push(AcmeConfiguration::usual_challenge(!zones.is_empty()));
        }
        let timeout = Ttl::parse(&self.propagation).inspect_err(|error| problems.add("propagation", error.to_string()));
        let directory_url = acme_preset(&self.preset).map_or_else(|| self.directory_url.clone(), str::to_owned);
        let resolvers = parts(&self.resolvers);
        Some(AcmeConfiguration {
            directory_url,
            account_email: self.email.clone(),
            eab_kid: given(&self.eab_kid),
            challenges,
            zones,
            dns_resolvers: resolvers.map(str::to_owned).collect(),
            propagation_timeout: timeout.ok()?,
            preferred_chain: given(&self.preferred_chain),
            certificate_profile: given(&self.certificate_profile),
        })
    }

    fn zones(&self, apps: &ConnectionApps, problems: &mut Problems) -> Vec<DnsZone> {
        let mut zones = Vec::new();
        for draft in self.zones.iter().filter(|it| !it.is_empty()) {
            let id = draft.connection.parse::<ConnectionId>().ok();
            let provider = id.and_then(|id| apps.get(&id)).and_then(|app| DnsProviderKind::of_app(*app));
            match id.zip(provider) {
                Some((id, provider)) => zones.push(DnsZone::written(&draft.zone, provider, id, &draft.hosted)),
                None => problems.add("zones", "Choose the connection that changes the records of each zone"),
            }
        }
        zones
    }

    fn digicert(&self, problems: &mut Problems) -> Option<DigicertConfiguration> {
        let organization_id = self.organization_id.parse().ok();
        if organization_id.is_none() {
            problems.add("organization_id", "Give the number of the organization at CertCentral");
        }
        Some(DigicertConfiguration {
            connection_id: self.connection(problems)?,
            organization_id: organization_id?,
            product_name_id: self.product.clone(),
            dcv_method: given(&self.dcv_method),
        })
    }

    fn vault(&self, problems: &mut Problems) -> Option<VaultConfiguration> {
        let mount = if self.mount.is_empty() { VaultConfiguration::MOUNT_USUAL } else { &self.mount };
        Some(VaultConfiguration {
            connection_id: self.connection(problems)?,
            mount: mount.to_owned(),
            role: self.role.clone(),
            issuer_ref: given(&self.issuer_ref),
        })
    }

    fn connection(&self, problems: &mut Problems) -> Option<ConnectionId> {
        let id = self.connection.parse().ok();
        if id.is_none() {
            problems.add("connection", "Choose an app connection; make one first if there is none");
        }
        id
    }
}

impl ZoneDraft {
    fn of(zone: &DnsZone) -> Self {
        Self {
            zone: zone.zone.clone(),
            connection: zone.connection_id.to_string(),
            hosted: zone.hosted_zone_id.clone(),
        }
    }

    fn is_empty(&self) -> bool {
        self.zone.is_empty() && self.connection.is_empty() && self.hosted.is_empty()
    }
}

fn given(text: &str) -> Option<String> {
    Some(text.to_owned()).filter(|it| !it.is_empty())
}

#[cfg(test)]
mod tests {
    use chancery_model::external::ACME_PRESETS;

    use super::*;

    #[test]
    fn every_known_directory_is_offered() {
        for (word, _) in ACME_PRESETS {
            assert!(PRESETS.iter().any(|(offered, _)| offered == word), "{word}");
        }
        assert_eq!(PRESETS.len(), ACME_PRESETS.len() + 1);
    }

    #[test]
    fn rows_of_zones_become_zones_and_empty_ones_nothing() {
        let id = "01890a5d-ac96-774b-bcce-b302099a8057";
        let apps: ConnectionApps = [(id.parse().unwrap(), ConnectionApp::Cloudflare)].into();
        let check = |body: &str, expected: Option<&[(&str, &str)]>| {
            let draft = ExternalDraft::read(&Form::parse(body.replace("ID", id).as_bytes()));
            let mut problems = Problems::default();
            let zones = draft.zones(&apps, &mut problems);
            let read: Vec<_> = zones.iter().map(|it| (it.zone.as_str(), it.hosted_zone_id.as_str())).collect();
            assert_eq!(problems.is_empty().then_some(read.as_slice()), expected, "{body}");
        };
        check("zone=&zone_connection=&zone_hosted=", Some(&[]));
        check(
            "zone=&zone_connection=ID&zone_hosted=z1&zone=.B.acme.com.&zone_connection=ID&zone_hosted=z2",
            Some(&[("", "z1"), ("b.acme.com", "z2")]),
        );
        check("zone=acme.com&zone_connection=&zone_hosted=", None);
    }
}
