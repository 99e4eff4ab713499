//! An external CA in the wire's words. Its secrets are not among them.

use chancery_model::external::{
    AcmeConfiguration, ChallengeKind, DnsProviderKind, DnsZone, ExternalCa, ExternalConfiguration, acme_preset_of,
};
use chancery_wire as wire;
use chancery_wire::external::DnsProviderConfig;
use chancery_wire::words::{AcmeChallenge, DcvMethod, DnsProvider};

use crate::authority::status;
use crate::profile_answer::duration;

pub(crate) fn shown(ca: &ExternalCa) -> wire::external::ExternalCa {
    wire::external::ExternalCa {
        id: ca.id.as_uuid(),
        project_id: ca.project_id.as_uuid(),
        name: ca.name.clone(),
        status: status(ca.status),
        kind: ca.kind().as_str().to_owned(),
        enable_direct_issuance: false,
        configuration: shown_configuration(ca),
        created_at: ca.created_at.to_string(),
        updated_at: ca.updated_at.to_string(),
        warnings: Vec::new(),
    }
}

fn shown_configuration(ca: &ExternalCa) -> wire::external::ExternalConfiguration {
    match &ca.configuration {
        ExternalConfiguration::Acme(it) => {
            wire::external::ExternalConfiguration::Acme(Box::new(shown_acme(it, &ca.standing)))
        }
        ExternalConfiguration::Digicert(it) => {
            wire::external::ExternalConfiguration::Digicert(wire::external::DigicertConfiguration {
                app_connection_id: it.connection_id.as_uuid(),
                organization_id: it.organization_id,
                product_name_id: it.product_name_id.clone(),
                dcv_method: it.dcv_method.as_deref().and_then(DcvMethod::from_name),
            })
        }
        ExternalConfiguration::Vault(it) => {
            wire::external::ExternalConfiguration::Vault(wire::external::VaultConfiguration {
                app_connection_id: it.connection_id.as_uuid(),
                mount: it.mount.clone(),
                role: it.role.clone(),
                issuer_ref: it.issuer_ref.clone(),
            })
        }
    }
}

pub(crate) fn shown_acme(from: &AcmeConfiguration, standing: &serde_json::Value) -> wire::external::AcmeConfiguration {
    let for_every_name = from.zones.iter().find(|zone| zone.zone.is_empty());
    let others = from.zones.iter().filter(|zone| !zone.zone.is_empty());
    wire::external::AcmeConfiguration {
        dns_app_connection_id: for_every_name.map(|zone| zone.connection_id.as_uuid()),
        dns_provider_config: for_every_name.map(provider_config),
        directory_url: from.directory_url.clone(),
        account_email: from.account_email.clone(),
        eab_kid: from.eab_kid.clone(),
        dns_zones: others.map(shown_zone).collect(),
        challenges: from.challenges.iter().map(|it| challenge_word(*it)).collect(),
        dns_resolvers: from.dns_resolvers.clone(),
        propagation_timeout: duration(from.propagation_timeout),
        preferred_chain: from.preferred_chain.clone(),
        certificate_profile: from.certificate_profile.clone(),
        account_url: standing.get("accountUrl").and_then(serde_json::Value::as_str).map(str::to_owned),
        directory_preset: acme_preset_of(&from.directory_url).map(str::to_owned),
    }
}

fn shown_zone(from: &DnsZone) -> wire::external::DnsZone {
    wire::external::DnsZone {
        zone: from.zone.clone(),
        provider: provider_word(from.provider),
        app_connection_id: from.connection_id.as_uuid(),
        hosted_zone_id: Some(from.hosted_zone_id.clone()),
    }
}

pub(crate) fn provider_config(zone: &DnsZone) -> DnsProviderConfig {
    DnsProviderConfig { provider: provider_word(zone.provider), hosted_zone_id: Some(zone.hosted_zone_id.clone()) }
}

const fn challenge_word(from: ChallengeKind) -> AcmeChallenge {
    match from {
        ChallengeKind::Dns01 => AcmeChallenge::Dns01,
        ChallengeKind::Http01 => AcmeChallenge::Http01,
        ChallengeKind::TlsAlpn01 => AcmeChallenge::TlsAlpn01,
    }
}

const fn provider_word(from: DnsProviderKind) -> DnsProvider {
    match from {
        DnsProviderKind::Route53 => DnsProvider::Route53,
        DnsProviderKind::Cloudflare => DnsProvider::Cloudflare,
        DnsProviderKind::DnsMadeEasy => DnsProvider::DnsMadeEasy,
        DnsProviderKind::AzureDns => DnsProvider::AzureDns,
        DnsProviderKind::GoogleCloudDns => DnsProvider::GoogleCloudDns,
        DnsProviderKind::DigitalOcean => DnsProvider::DigitalOcean,
        DnsProviderKind::Hetzner => DnsProvider::Hetzner,
        DnsProviderKind::Desec => DnsProvider::Desec,
        DnsProviderKind::Gandi => DnsProvider::Gandi,
        DnsProviderKind::Ovh => DnsProvider::Ovh,
        DnsProviderKind::Rfc2136 => DnsProvider::Rfc2136,
        DnsProviderKind::Webhook => DnsProvider::Webhook,
        DnsProviderKind::Exec => DnsProvider::Exec,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_the_wire_are_the_words_of_the_core() {
        for kind in ChallengeKind::ALL {
            assert_eq!(challenge_word(*kind).as_str(), kind.as_str());
        }
        for kind in DnsProviderKind::ALL {
            assert_eq!(provider_word(*kind).as_str(), kind.as_str());
        }
        assert_eq!(
            (AcmeChallenge::ALL.len(), DnsProvider::ALL.len()),
            (ChallengeKind::ALL.len(), DnsProviderKind::ALL.len())
        );
    }
}
