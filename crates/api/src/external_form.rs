//! What an administrator says about an external CA: the wire's settings laid over the stored ones.
//!
//! Here words become values and what is left out stays. Whether the values make sense is the core's to judge.

use std::collections::BTreeMap;

use chancery_authority::external::binding_fault;
use chancery_authority::issuance::Zeroizing;
use chancery_model::ConnectionId;
use chancery_model::external::{
    ACME_PRESETS, AcmeConfiguration, ChallengeKind, DigicertConfiguration, DnsProviderKind, DnsZone, ExternalCaKind,
    ExternalConfiguration, VaultConfiguration, acme_preset,
};
use chancery_wire as wire;
use chancery_wire::Nullable;
use chancery_wire::external::{
    AcmeSettings, CreateExternalCa, DigicertSettings, DnsProviderConfig, UpdateExternalCa, VaultSettings,
};
use chancery_wire::words::{AcmeChallenge, DnsProvider};
use serde::de::DeserializeOwned;
use utoipa::ToSchema;

use crate::error::ApiError;
use crate::external_answer::provider_config;
use crate::issues::Issues;
use crate::profile_answer::duration;

/// By name, as the core seals them; an empty one takes the stored one away.
pub(crate) type Secrets = BTreeMap<String, Zeroizing<String>>;

/// The settings of one type of external CA, as they come in.
pub(crate) trait Settings: Sized + Send + 'static {
    const KIND: ExternalCaKind;
    type Create: DeserializeOwned + ToSchema + Into<CreateExternalCa<Self>> + Send;
    type Update: DeserializeOwned + ToSchema + Into<UpdateExternalCa<Self>> + Send;

    /// Laid over what is stored, if something is. Adds to the issues and fails with all of them.
    fn apply(
        self,
        before: Option<&ExternalConfiguration>,
        issues: Issues,
    ) -> Result<(ExternalConfiguration, Secrets), ApiError>;
}

impl Settings for AcmeSettings {
    const KIND: ExternalCaKind = ExternalCaKind::Acme;
    type Create = wire::external::CreateAcmeCa;
    type Update = wire::external::UpdateAcmeCa;

    fn apply(
        self,
        before: Option<&ExternalConfiguration>,
        mut issues: Issues,
    ) -> Result<(ExternalConfiguration, Secrets), ApiError> {
        let before = match before {
            Some(ExternalConfiguration::Acme(before)) => Some(before),
            _ => None,
        };
        let secrets = eab(&self, before.is_none(), &mut issues);
        let zones = zones(&self, before.map_or(&[], |it| it.zones.as_slice()), &mut issues);
        let challenges = match self.challenges {
            Nullable::Missing => before.map(|it| it.challenges.clone()),
            Nullable::Null => None,
            Nullable::Value(words) => Some(words.into_iter().map(challenge).collect()),
        };
        let usual = AcmeConfiguration::usual_challenge(!zones.is_empty());
        let timeout = kept(self.propagation_timeout.map(Some), before.map(|it| Some(duration(it.propagation_timeout))));
        let timeout = timeout.and_then(|text| issues.ttl("configuration.propagationTimeout", Some(text.trim())));
        let directory_url = self.directory_url.map(|text| directory(text.trim(), &mut issues));
        let made = AcmeConfiguration {
            directory_url: needed("directoryUrl", directory_url, before.map(|it| &it.directory_url), &mut issues),
            account_email: kept(self.account_email.map(trimmed), before.map(|it| it.account_email.clone())),
            eab_kid: line(self.eab_kid, before.and_then(|it| it.eab_kid.as_ref())),
            challenges: challenges.unwrap_or_else(|| vec![usual]),
            zones,
            dns_resolvers: kept(
                self.dns_resolvers.map(|all| all.into_iter().map(trimmed).collect()),
                before.map(|it| it.dns_resolvers.clone()),
            ),
            propagation_timeout: timeout.unwrap_or(AcmeConfiguration::PROPAGATION_USUAL),
            preferred_chain: line(self.preferred_chain, before.and_then(|it| it.preferred_chain.as_ref())),
            certificate_profile: line(self.certificate_profile, before.and_then(|it| it.certificate_profile.as_ref())),
        };
        issues.finish()?;
        Ok((ExternalConfiguration::Acme(made), secrets))
    }
}

impl Settings for DigicertSettings {
    const KIND: ExternalCaKind = ExternalCaKind::Digicert;
    type Create = wire::external::CreateDigicertCa;
    type Update = wire::external::UpdateDigicertCa;

    fn apply(
        self,
        before: Option<&ExternalConfiguration>,
        mut issues: Issues,
    ) -> Result<(ExternalConfiguration, Secrets), ApiError> {
        let before = match before {
            Some(ExternalConfiguration::Digicert(before)) => Some(before),
            _ => None,
        };
        let connection = self.app_connection_id.map(ConnectionId::from_uuid);
        let product = self.product_name_id.map(trimmed);
        let made = DigicertConfiguration {
            connection_id: connection_id(connection, before.map(|it| it.connection_id), &mut issues),
            organization_id: needed(
                "organizationId",
                self.organization_id,
                before.map(|it| &it.organization_id),
                &mut issues,
            ),
            product_name_id: needed("productNameId", product, before.map(|it| &it.product_name_id), &mut issues),
            dcv_method: kept(
                self.dcv_method.map(|word| Some(word.as_str().to_owned())),
                before.map(|it| it.dcv_method.clone()),
            ),
        };
        issues.finish()?;
        Ok((ExternalConfiguration::Digicert(made), Secrets::new()))
    }
}

impl Settings for VaultSettings {
    const KIND: ExternalCaKind = ExternalCaKind::Vault;
    type Create = wire::external::CreateVaultCa;
    type Update = wire::external::UpdateVaultCa;

    fn apply(
        self,
        before: Option<&ExternalConfiguration>,
        mut issues: Issues,
    ) -> Result<(ExternalConfiguration, Secrets), ApiError> {
        let before = match before {
            Some(ExternalConfiguration::Vault(before)) => Some(before),
            _ => None,
        };
        let connection = self.app_connection_id.map(ConnectionId::from_uuid);
        let mount = kept(self.mount.map(|text| Some(trimmed(text))), before.map(|it| Some(it.mount.clone())));
        let made = VaultConfiguration {
            connection_id: connection_id(connection, before.map(|it| it.connection_id), &mut issues),
            mount: mount.filter(|it| !it.is_empty()).unwrap_or_else(|| VaultConfiguration::MOUNT_USUAL.to_owned()),
            role: needed("role", self.role.map(trimmed), before.map(|it| &it.role), &mut issues),
            issuer_ref: line(self.issuer_ref, before.and_then(|it| it.issuer_ref.as_ref())),
        };
        issues.finish()?;
        Ok((ExternalConfiguration::Vault(made), Secrets::new()))
    }
}

/// The URL itself, or the one behind a word.
fn directory(text: &str, issues: &mut Issues) -> String {
    if let Some(url) = acme_preset(text) {
        return url.to_owned();
    }
    if !text.contains("://") {
        let words: Vec<&str> = ACME_PRESETS.iter().map(|(word, _)| *word).collect();
        let message = format!("must be an https URL or one of the words {}", words.join(", "));
        issues.add("configuration.directoryUrl", message);
    }
    text.to_owned()
}

/// The key of the external account binding. It goes with its id, and without it it is of no use.
fn eab(settings: &AcmeSettings, is_new: bool, issues: &mut Issues) -> Secrets {
    let given = |it: &Nullable<String>| it.as_value().is_some_and(|text| !text.trim().is_empty());
    if is_new && let Some((field, text)) = binding_fault(given(&settings.eab_kid), given(&settings.eab_hmac_key)) {
        issues.add(&format!("configuration.{field}"), text);
    }
    let cleared = |it: &Nullable<String>| !it.is_missing() && !given(it);
    let key = match &settings.eab_hmac_key {
        Nullable::Value(key) if given(&settings.eab_hmac_key) => key.trim().to_owned(),
        _ if is_new || !(cleared(&settings.eab_kid) || cleared(&settings.eab_hmac_key)) => return Secrets::new(),
        _ => String::new(),
    };
    Secrets::from([("eabHmacKey".to_owned(), Zeroizing::new(key))])
}

/// The zone for every name, which has keys of its own, and the others.
fn zones(settings: &AcmeSettings, before: &[DnsZone], issues: &mut Issues) -> Vec<DnsZone> {
    let stored = before.iter().find(|zone| zone.zone.is_empty());
    let connection = settings.dns_app_connection_id.map(ConnectionId::from_uuid);
    let (connection, provider) = match (connection, &settings.dns_provider_config) {
        // Clearing one clears both: neither says anything alone.
        (Nullable::Null, Nullable::Missing | Nullable::Null) | (Nullable::Missing, Nullable::Null) => (None, None),
        (connection, provider) => (
            kept(connection.map(Some), stored.map(|zone| Some(zone.connection_id))),
            kept(provider.clone().map(Some), stored.map(|zone| Some(provider_config(zone)))),
        ),
    };
    let mut zones = match &settings.dns_zones {
        Nullable::Missing => before.iter().filter(|zone| !zone.zone.is_empty()).cloned().collect(),
        Nullable::Null => Vec::new(),
        Nullable::Value(all) => all.iter().map(zone).collect::<Vec<_>>(),
    };
    match (connection, provider) {
        (Some(connection_id), Some(DnsProviderConfig { provider, hosted_zone_id })) => zones.push(DnsZone {
            zone: String::new(),
            provider: provider_kind(provider),
            connection_id,
            hosted_zone_id: hosted_zone_id.map(trimmed).unwrap_or_default(),
        }),
        (Some(_), None) => {
            issues.add_as("configuration.dnsProviderConfig", "invalid_type", "Required with dnsAppConnectionId")
        }
        (None, Some(_)) => {
            issues.add_as("configuration.dnsAppConnectionId", "invalid_type", "Required with dnsProviderConfig")
        }
        (None, None) => {}
    }
    zones
}

fn zone(from: &wire::external::DnsZone) -> DnsZone {
    let hosted = from.hosted_zone_id.as_deref().unwrap_or_default();
    let connection = ConnectionId::from_uuid(from.app_connection_id);
    DnsZone::written(&from.zone, provider_kind(from.provider), connection, hosted)
}

fn connection_id(given: Option<ConnectionId>, before: Option<ConnectionId>, issues: &mut Issues) -> ConnectionId {
    given.or(before).unwrap_or_else(|| {
        issues.add_as("configuration.appConnectionId", "invalid_type", "Required");
        ConnectionId::from_uuid(uuid::Uuid::nil())
    })
}

/// What is given, else what is stored; it must be one of them.
fn needed<T: Clone + Default>(name: &str, given: Option<T>, before: Option<&T>, issues: &mut Issues) -> T {
    given.or_else(|| before.cloned()).unwrap_or_else(|| {
        issues.add_as(&format!("configuration.{name}"), "invalid_type", "Required");
        T::default()
    })
}

/// What is given, else what is stored; `null` and nothing at all are the default.
fn kept<T: Default>(given: Nullable<T>, before: Option<T>) -> T {
    match given {
        Nullable::Missing => before.unwrap_or_default(),
        Nullable::Null => T::default(),
        Nullable::Value(value) => value,
    }
}

/// A text that may be absent; some clients send an empty one for that.
fn line(given: Nullable<String>, before: Option<&String>) -> Option<String> {
    kept(given.map(|text| Some(trimmed(text))), Some(before.cloned())).filter(|text| !text.is_empty())
}

#[expect(clippy::needless_pass_by_value, reason = "it stands where texts are mapped")]
fn trimmed(text: String) -> String {
    text.trim().to_owned()
}

const fn challenge(from: AcmeChallenge) -> ChallengeKind {
    match from {
        AcmeChallenge::Dns01 => ChallengeKind::Dns01,
        AcmeChallenge::Http01 => ChallengeKind::Http01,
        AcmeChallenge::TlsAlpn01 => ChallengeKind::TlsAlpn01,
    }
}

const fn provider_kind(from: DnsProvider) -> DnsProviderKind {
    match from {
        DnsProvider::Route53 => DnsProviderKind::Route53,
        DnsProvider::Cloudflare => DnsProviderKind::Cloudflare,
        DnsProvider::DnsMadeEasy => DnsProviderKind::DnsMadeEasy,
        DnsProvider::AzureDns => DnsProviderKind::AzureDns,
        DnsProvider::GoogleCloudDns => DnsProviderKind::GoogleCloudDns,
        DnsProvider::DigitalOcean => DnsProviderKind::DigitalOcean,
        DnsProvider::Hetzner => DnsProviderKind::Hetzner,
        DnsProvider::Desec => DnsProviderKind::Desec,
        DnsProvider::Gandi => DnsProviderKind::Gandi,
        DnsProvider::Ovh => DnsProviderKind::Ovh,
        DnsProvider::Rfc2136 => DnsProviderKind::Rfc2136,
        DnsProvider::Webhook => DnsProviderKind::Webhook,
        DnsProvider::Exec => DnsProviderKind::Exec,
    }
}

#[cfg(test)]
mod tests {
    use chancery_model::time::Ttl;

    use super::*;
    use crate::external_answer::shown_acme;

    const ONE: &str = "01890a5d-ac96-774b-bcce-b302099a8057";
    const OTHER: &str = "01890a5d-ac96-774b-bcce-b302099a8058";

    fn stored(text: &str) -> ExternalConfiguration {
        apply(None, text).unwrap().0
    }

    fn apply(before: Option<&ExternalConfiguration>, text: &str) -> Result<(ExternalConfiguration, Secrets), String> {
        let settings: AcmeSettings = crate::json::parse(text.as_bytes()).unwrap();
        settings.apply(before, Issues::default()).map_err(|error| error.body("r").message.to_string())
    }

    fn acme(configuration: &ExternalConfiguration) -> &AcmeConfiguration {
        match configuration {
            ExternalConfiguration::Acme(it) => it,
            other => panic!("{other:?}"),
        }
    }

    fn terraform() -> String {
        format!(
            r#"{{"dnsAppConnectionId":"{ONE}","dnsProviderConfig":{{"provider":"route53","hostedZoneId":"Z1"}},
            "directoryUrl":"https://acme.test/directory","accountEmail":"ops@acme.com","eabKid":"k1","eabHmacKey":"aGk"}}"#
        )
    }

    #[test]
    fn the_settings_of_terraform_are_read_and_shown_without_the_secret() {
        let (configuration, secrets) = apply(None, &terraform()).unwrap();
        let it = acme(&configuration);
        assert_eq!(it.challenges, [ChallengeKind::Dns01]);
        assert_eq!((it.zones.len(), it.zones[0].zone.as_str(), it.zones[0].hosted_zone_id.as_str()), (1, "", "Z1"));
        assert_eq!(secrets["eabHmacKey"].as_str(), "aGk");
        let shown = shown_acme(it, &serde_json::json!({ "accountUrl": "https://acme.test/account/1" }));
        let json = serde_json::to_value(&shown).unwrap();
        assert_eq!(json["dnsProviderConfig"], serde_json::json!({ "provider": "route53", "hostedZoneId": "Z1" }));
        assert_eq!(json["accountUrl"], "https://acme.test/account/1");
        assert_eq!(json["propagationTimeout"], "10m");
        assert!(json.get("eabHmacKey").is_none() && !json.to_string().contains("aGk"), "{json}");
    }

    #[test]
    fn what_a_change_leaves_out_stays_and_null_clears() {
        let before = stored(&terraform());
        let check = |text: &str, changed: fn(&mut AcmeConfiguration)| {
            let mut expected = acme(&before).clone();
            changed(&mut expected);
            assert_eq!(acme(&apply(Some(&before), text).unwrap().0), &expected, "{text}");
        };
        check("{}", |_| {});
        check(&terraform(), |_| {});
        check(r#"{"accountEmail":null}"#, |it| it.account_email.clear());
        check(r#"{"directoryUrl":"letsencrypt"}"#, |it| {
            it.directory_url = "https://acme-v02.api.letsencrypt.org/directory".to_owned();
        });
        check(r#"{"dnsProviderConfig":{"provider":"cloudflare","hostedZoneId":"c"}}"#, |it| {
            it.zones[0].provider = DnsProviderKind::Cloudflare;
            it.zones[0].hosted_zone_id = "c".to_owned();
        });
        check(r#"{"dnsAppConnectionId":null,"challenges":null}"#, |it| {
            it.zones.clear();
            it.challenges = vec![ChallengeKind::Http01];
        });
        check(r#"{"propagationTimeout":"90s","preferredChain":"Root X"}"#, |it| {
            it.propagation_timeout = Ttl::parse("90s").unwrap();
            it.preferred_chain = Some("Root X".to_owned());
        });
    }

    #[test]
    fn zones_stand_beside_the_one_for_every_name() {
        let before = stored(&terraform());
        let text =
            format!(r#"{{"dnsZones":[{{"zone":".B.acme.com.","provider":"rfc2136","appConnectionId":"{OTHER}"}}]}}"#);
        let both = apply(Some(&before), &text).unwrap().0;
        let zones: Vec<_> = acme(&both).zones.iter().map(|it| (it.zone.as_str(), it.hosted_zone_id.as_str())).collect();
        assert_eq!(zones, [("b.acme.com", "b.acme.com"), ("", "Z1")]);
        let one = apply(Some(&both), r#"{"dnsProviderConfig":null}"#).unwrap().0;
        assert_eq!(acme(&one).zones.len(), 1);
        let none = apply(Some(&one), r#"{"dnsZones":[]}"#).unwrap().0;
        assert!(acme(&none).zones.is_empty());
    }

    #[test]
    fn the_key_of_a_binding_is_replaced_kept_or_taken_away() {
        let before = stored(&terraform());
        let check = |text: &str, expected: Option<&str>| {
            let secrets = apply(Some(&before), text).unwrap().1;
            assert_eq!(secrets.get("eabHmacKey").map(|it| it.as_str()), expected, "{text}");
        };
        check("{}", None);
        check(r#"{"eabKid":"k2"}"#, None);
        check(r#"{"eabKid":"k2","eabHmacKey":"bmV3"}"#, Some("bmV3"));
        check(r#"{"eabKid":null}"#, Some(""));
        check(r#"{"eabKid":"","eabHmacKey":""}"#, Some(""));
    }

    #[test]
    fn what_is_missing_in_a_new_ca_is_named() {
        let check = |text: &str, parts: &[&str]| {
            let message = apply(None, text).unwrap_err();
            assert!(parts.iter().all(|part| message.contains(part)), "{text}: {message}");
        };
        check("{}", &["configuration.directoryUrl: Required"]);
        check(r#"{"directoryUrl":"letsencypt"}"#, &["one of the words letsencrypt, letsencrypt-staging"]);
        check(r#"{"eabKid":"k"}"#, &["configuration.eabHmacKey", "configuration.directoryUrl"]);
        check(r#"{"directoryUrl":"google","eabHmacKey":"k"}"#, &["configuration.eabKid"]);
        check(&format!(r#"{{"dnsAppConnectionId":"{ONE}"}}"#), &["configuration.dnsProviderConfig: Required"]);
        check(r#"{"dnsProviderConfig":{"provider":"exec"}}"#, &["configuration.dnsAppConnectionId: Required"]);
        check(r#"{"propagationTimeout":"soon"}"#, &["configuration.propagationTimeout"]);
        for (settings, missing) in [
            (DigicertSettings::default().apply(None, Issues::default()), ["appConnectionId", "organizationId"]),
            (VaultSettings::default().apply(None, Issues::default()), ["appConnectionId", "role"]),
        ] {
            let message = settings.unwrap_err().body("r").message.to_string();
            assert!(
                missing.iter().all(|field| message.contains(&format!("configuration.{field}: Required"))),
                "{message}"
            );
        }
    }

    #[test]
    fn vault_and_digicert_keep_what_a_change_leaves_out() {
        let vault: VaultSettings =
            crate::json::parse(format!(r#"{{"appConnectionId":"{ONE}","role":"web"}}"#).as_bytes()).unwrap();
        let (before, _) = vault.apply(None, Issues::default()).unwrap();
        let ExternalConfiguration::Vault(it) = &before else { panic!("{before:?}") };
        assert_eq!((it.mount.as_str(), it.role.as_str(), it.issuer_ref.as_deref()), ("pki", "web", None));
        let change: VaultSettings = crate::json::parse(br#"{"issuerRef":"root-2026","mount":"team/pki"}"#).unwrap();
        let (after, _) = change.apply(Some(&before), Issues::default()).unwrap();
        let ExternalConfiguration::Vault(it) = &after else { panic!("{after:?}") };
        assert_eq!(
            (it.mount.as_str(), it.role.as_str(), it.issuer_ref.as_deref()),
            ("team/pki", "web", Some("root-2026"))
        );
        let text = format!(
            r#"{{"appConnectionId":"{ONE}","organizationId":7,"productNameId":"ssl_plus","dcvMethod":"email"}}"#
        );
        let digicert: DigicertSettings = crate::json::parse(text.as_bytes()).unwrap();
        let (before, _) = digicert.apply(None, Issues::default()).unwrap();
        let change: DigicertSettings = crate::json::parse(br#"{"dcvMethod":null}"#).unwrap();
        let (after, _) = change.apply(Some(&before), Issues::default()).unwrap();
        let ExternalConfiguration::Digicert(it) = &after else { panic!("{after:?}") };
        assert_eq!((it.organization_id, it.product_name_id.as_str(), it.dcv_method.as_deref()), (7, "ssl_plus", None));
    }
}
