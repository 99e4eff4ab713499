//! What can be said about an external CA's settings without asking it.

use std::collections::BTreeMap;

use chancery_model::ConnectionId;
use chancery_model::external::{
    AcmeConfiguration, ChallengeKind, ConnectionApp, DigicertConfiguration, ExternalCa, ExternalConfiguration,
    VaultConfiguration,
};
use serde_json::Value;
use zeroize::Zeroizing;

use crate::error::Error;

const TEXT_MAX: usize = 255;
const ZONES_MAX: usize = 50;
const RESOLVERS_MAX: usize = 8;
const PROPAGATION_MAX_SECONDS: i64 = 6 * 3_600;

/// Ways in which CertCentral lets control of a domain be proved.
const DCV_METHODS: &[&str] = &["email", "dns-txt-token", "dns-cname-token", "http-token"];

pub(super) fn configuration(configuration: &ExternalConfiguration) -> Result<(), Error> {
    match configuration {
        ExternalConfiguration::Acme(it) => acme(it),
        ExternalConfiguration::Digicert(it) => digicert(it),
        ExternalConfiguration::Vault(it) => vault(it),
    }
}

/// Field, id and app of every connection that is named.
pub(super) fn connections(configuration: &ExternalConfiguration) -> Vec<(String, ConnectionId, ConnectionApp)> {
    match configuration {
        ExternalConfiguration::Acme(it) => it
            .zones
            .iter()
            .map(|zone| {
                let field =
                    if zone.zone.is_empty() { "configuration.dnsAppConnectionId" } else { "configuration.dnsZones" };
                (field.to_owned(), zone.connection_id, zone.provider.app())
            })
            .collect(),
        ExternalConfiguration::Digicert(it) => {
            vec![("configuration.appConnectionId".to_owned(), it.connection_id, ConnectionApp::Digicert)]
        }
        ExternalConfiguration::Vault(it) => {
            vec![("configuration.appConnectionId".to_owned(), it.connection_id, ConnectionApp::Vault)]
        }
    }
}

/// An external account binding (RFC 8555 §7.3.4) is an id and a key; the half that is missing, and why.
#[must_use]
pub const fn binding_fault(has_id: bool, has_key: bool) -> Option<(&'static str, &'static str)> {
    match (has_id, has_key) {
        (true, false) => Some(("eabHmacKey", "goes together with eabKid; send both or neither")),
        (false, true) => Some(("eabKid", "goes together with eabHmacKey; send both or neither")),
        _ => None,
    }
}

/// What a new CA brings along in secret fits what it says openly.
pub(super) fn secrets(
    configuration: &ExternalConfiguration,
    given: &BTreeMap<String, Zeroizing<String>>,
) -> Result<(), Error> {
    let ExternalConfiguration::Acme(acme) = configuration else { return Ok(()) };
    let has_key = given.get("eabHmacKey").is_some_and(|key| !key.is_empty());
    match binding_fault(acme.eab_kid.is_some(), has_key) {
        None => Ok(()),
        Some((field, text)) => refuse("acme.binding", field, text),
    }
}

fn refuse<T>(code: &'static str, field: &str, text: impl Into<String>) -> Result<T, Error> {
    Err(Error::malformed(code, format!("configuration.{field}"), text))
}

fn acme(it: &AcmeConfiguration) -> Result<(), Error> {
    if !super::is_https_url(&it.directory_url) {
        return refuse("acme.directory", "directoryUrl", "must be a URL that begins with https:// (RFC 8555 §6.1)");
    }
    if !it.account_email.is_empty() && !is_mail_address(&it.account_email) {
        return refuse("acme.email", "accountEmail", "must be one e-mail address, or empty");
    }
    if it.challenges.is_empty() {
        return refuse("acme.challenges", "challenges", "name at least one of dns-01, http-01, tls-alpn-01");
    }
    if has_twins(&it.challenges) {
        return refuse("acme.challenges", "challenges", "name each challenge once");
    }
    if it.challenges.contains(&ChallengeKind::Dns01) && it.zones.is_empty() {
        let text = "dns-01 needs a DNS provider: give dnsAppConnectionId with dnsProviderConfig, or dnsZones";
        return refuse("acme.zones", "dnsZones", text);
    }
    if it.zones.len() > ZONES_MAX {
        return refuse("acme.zones", "dnsZones", format!("at most {ZONES_MAX} zones"));
    }
    let mut suffixes: Vec<&str> = it.zones.iter().map(|zone| zone.zone.as_str()).collect();
    suffixes.sort_unstable();
    if has_twins(&suffixes) {
        return refuse("acme.zones", "dnsZones", "name each zone once");
    }
    for zone in &it.zones {
        if !zone.zone.is_empty() && !is_zone(&zone.zone) {
            return refuse(
                "acme.zones",
                "dnsZones",
                format!("'{}' is no domain name in lower case", short(&zone.zone)),
            );
        }
        if zone.hosted_zone_id.trim().is_empty() || zone.hosted_zone_id.len() > TEXT_MAX {
            let text = "hostedZoneId: the provider's name of the zone is missing or too long";
            return refuse("acme.zones", "dnsProviderConfig", text);
        }
    }
    if it.dns_resolvers.len() > RESOLVERS_MAX || it.dns_resolvers.iter().any(|text| !is_server(text)) {
        let text = format!(
            "at most {RESOLVERS_MAX} addresses, each with or without a port, such as 192.0.2.53 or [2001:db8::53]:53"
        );
        return refuse("acme.resolvers", "dnsResolvers", text);
    }
    if !(10..=PROPAGATION_MAX_SECONDS).contains(&it.propagation_timeout.as_seconds()) {
        return refuse("acme.propagation", "propagationTimeout", "from 10s to 6h");
    }
    for (field, text) in [
        ("preferredChain", &it.preferred_chain),
        ("certificateProfile", &it.certificate_profile),
        ("eabKid", &it.eab_kid),
    ] {
        if text.as_deref().is_some_and(|text| !is_line(text)) {
            return refuse("acme.text", field, format!("1 to {TEXT_MAX} characters in one line"));
        }
    }
    Ok(())
}

fn digicert(it: &DigicertConfiguration) -> Result<(), Error> {
    if it.organization_id <= 0 {
        return refuse("digicert.organization", "organizationId", "must be a number above 0");
    }
    if !is_product(&it.product_name_id) {
        return refuse("digicert.product", "productNameId", "must be a product's name id such as ssl_plus");
    }
    if it.dcv_method.as_deref().is_some_and(|method| !DCV_METHODS.contains(&method)) {
        return refuse("digicert.dcv", "dcvMethod", format!("must be one of {}", DCV_METHODS.join(", ")));
    }
    Ok(())
}

/// Faults of what a profile says in place of the settings of a CA at DigiCert; other kinds read nothing of it.
pub(crate) fn overrides(ca: &ExternalCa, given: &Value) -> Vec<(&'static str, String)> {
    if !matches!(ca.configuration, ExternalConfiguration::Digicert(_)) {
        return Vec::new();
    }
    let mut faults = Vec::new();
    let given = |name: &str| given.get(name).filter(|it| !it.is_null() && it.as_str() != Some(""));
    if given("productNameId").is_some_and(|it| !it.as_str().is_some_and(is_product)) {
        faults.push(("externalConfigs.productNameId", "must be a product's name id such as ssl_plus".to_owned()));
    }
    let number = |it: &Value| it.as_i64().or_else(|| it.as_str()?.parse().ok());
    if given("organizationId").is_some_and(|it| number(it).is_none_or(|id| id <= 0)) {
        faults.push(("externalConfigs.organizationId", "must be a number above 0".to_owned()));
    }
    if given("dcvMethod").is_some_and(|it| !it.as_str().is_some_and(|method| DCV_METHODS.contains(&method))) {
        faults.push(("externalConfigs.dcvMethod", format!("must be one of {}", DCV_METHODS.join(", "))));
    }
    faults
}

/// It becomes a part of a path at the service.
fn is_product(text: &str) -> bool {
    (1..=64).contains(&text.len()) && text.bytes().all(|it| it.is_ascii_alphanumeric() || b"_-".contains(&it))
}

fn vault(it: &VaultConfiguration) -> Result<(), Error> {
    if !is_path(&it.mount) {
        return refuse("vault.mount", "mount", "must be the path of a PKI secrets engine such as pki or team/pki");
    }
    if !is_segment(&it.role) {
        return refuse("vault.role", "role", "must be the name of a role of the secrets engine");
    }
    if it.issuer_ref.as_deref().is_some_and(|issuer| !is_segment(issuer)) {
        return refuse("vault.issuer", "issuerRef", "must be the name or id of an issuer of the secrets engine");
    }
    Ok(())
}

fn has_twins<T: PartialEq>(all: &[T]) -> bool {
    all.iter().enumerate().any(|(place, one)| all.iter().skip(place + 1).any(|other| other == one))
}

fn is_line(text: &str) -> bool {
    !text.is_empty() && text.len() <= TEXT_MAX && !text.chars().any(char::is_control)
}

fn is_mail_address(text: &str) -> bool {
    let Some((local, domain)) = text.rsplit_once('@') else { return false };
    !local.is_empty()
        && text.len() <= 254
        && text.bytes().all(|it| it.is_ascii_graphic() && !b",?:;<>\"".contains(&it))
        && is_zone(&domain.to_ascii_lowercase())
}

fn is_zone(text: &str) -> bool {
    text.len() <= 253
        && text.split('.').all(|label| {
            (1..=63).contains(&label.len())
                && label.bytes().all(|it| it.is_ascii_lowercase() || it.is_ascii_digit() || it == b'-' || it == b'_')
                && !label.starts_with('-')
                && !label.ends_with('-')
        })
}

fn is_server(text: &str) -> bool {
    text.parse::<std::net::IpAddr>().is_ok() || text.parse::<std::net::SocketAddr>().is_ok()
}

/// Part of a path at the service: nothing that could lead out of it.
pub(crate) fn is_segment(text: &str) -> bool {
    (1..=128).contains(&text.len())
        && text.bytes().all(|it| it.is_ascii_alphanumeric() || b"_-.".contains(&it))
        && text != "."
        && text != ".."
}

pub(crate) fn is_path(text: &str) -> bool {
    text.len() <= TEXT_MAX && text.split('/').all(is_segment)
}

fn short(text: &str) -> String {
    text.chars().filter(|it| !it.is_control()).take(60).collect()
}

#[cfg(test)]
mod tests {
    use chancery_model::external::{DnsProviderKind, DnsZone};
    use chancery_model::time::Ttl;
    use uuid::Uuid;

    use super::*;

    fn connection() -> ConnectionId {
        ConnectionId::from_uuid(Uuid::nil())
    }

    fn zone(suffix: &str) -> DnsZone {
        DnsZone {
            zone: suffix.to_owned(),
            provider: DnsProviderKind::Cloudflare,
            connection_id: connection(),
            hosted_zone_id: "z".to_owned(),
        }
    }

    fn sample() -> AcmeConfiguration {
        AcmeConfiguration {
            directory_url: "https://acme.test/directory".to_owned(),
            account_email: "ops@acme.com".to_owned(),
            eab_kid: None,
            challenges: vec![ChallengeKind::Dns01],
            zones: vec![zone("")],
            dns_resolvers: Vec::new(),
            propagation_timeout: Ttl::parse("10m").unwrap(),
            preferred_chain: None,
            certificate_profile: None,
        }
    }

    #[test]
    fn acme_settings_are_judged() {
        type Edit = fn(&mut AcmeConfiguration);
        let cases: &[(Option<&str>, Edit)] = &[
            (None, |_| {}),
            (None, |it| it.account_email.clear()),
            (None, |it| it.zones = vec![zone("acme.com"), zone("b.acme.com"), zone("")]),
            (None, |it| it.dns_resolvers = vec!["192.0.2.1".to_owned(), "[2001:db8::1]:5353".to_owned()]),
            (None, |it| {
                it.challenges = vec![ChallengeKind::Http01];
                it.zones.clear();
            }),
            (Some("acme.directory"), |it| it.directory_url = "http://acme.test/directory".to_owned()),
            (Some("acme.directory"), |it| it.directory_url = "https://".to_owned()),
            (Some("acme.directory"), |it| it.directory_url = "https://a@acme.test/".to_owned()),
            (Some("acme.email"), |it| it.account_email = "ops".to_owned()),
            (Some("acme.email"), |it| it.account_email = "a@b.test,c@d.test".to_owned()),
            (Some("acme.challenges"), |it| it.challenges.clear()),
            (Some("acme.challenges"), |it| it.challenges = vec![ChallengeKind::Http01, ChallengeKind::Http01]),
            (Some("acme.zones"), |it| it.zones.clear()),
            (Some("acme.zones"), |it| it.zones = vec![zone("a.test"), zone("a.test")]),
            (Some("acme.zones"), |it| it.zones = vec![zone(".a.test")]),
            (Some("acme.zones"), |it| it.zones = vec![zone("A.test")]),
            (Some("acme.resolvers"), |it| it.dns_resolvers = vec!["dns.test".to_owned()]),
            (Some("acme.propagation"), |it| it.propagation_timeout = Ttl::parse("7h").unwrap()),
            (Some("acme.text"), |it| it.preferred_chain = Some(String::new())),
        ];
        for (expected, edit) in cases {
            let mut it = sample();
            edit(&mut it);
            assert_eq!(acme(&it).err().map(|error| error.code()), *expected, "{it:?}");
        }
    }

    #[test]
    fn a_binding_is_an_id_and_a_key() {
        for (kid, key, expected) in [
            (None, None, None),
            (Some("k"), Some("aGk"), None),
            (Some("k"), None, Some("acme.binding")),
            (Some("k"), Some(""), Some("acme.binding")),
            (None, Some("aGk"), Some("acme.binding")),
        ] {
            let configuration =
                ExternalConfiguration::Acme(AcmeConfiguration { eab_kid: kid.map(str::to_owned), ..sample() });
            let given = key.map(|key| ("eabHmacKey".to_owned(), Zeroizing::new(key.to_owned())));
            let refused = secrets(&configuration, &given.into_iter().collect()).err();
            assert_eq!(refused.map(|error| error.code()), expected, "{kid:?} {key:?}");
        }
    }

    #[test]
    fn what_a_profile_says_to_digicert_is_judged_like_the_cas_own_settings() {
        let configuration = ExternalConfiguration::Digicert(DigicertConfiguration {
            connection_id: connection(),
            organization_id: 1,
            product_name_id: "ssl_plus".to_owned(),
            dcv_method: None,
        });
        let ca = |configuration| ExternalCa {
            id: chancery_model::CaId::from_uuid(Uuid::nil()),
            project_id: chancery_model::ProjectId::from_uuid(Uuid::nil()),
            name: "it".to_owned(),
            status: chancery_model::authority::CaStatus::Active,
            configuration,
            standing: Value::Null,
            sealed: None,
            created_at: chancery_model::Timestamp::from_seconds(0),
            updated_at: chancery_model::Timestamp::from_seconds(0),
        };
        let (digicert, acme) = (ca(configuration), ca(ExternalConfiguration::Acme(sample())));
        for (text, expected) in [
            (r#"{"productNameId":"ssl_basic","organizationId":"7","dcvMethod":"email","other":1}"#, &[][..]),
            (r#"{"productNameId":"","organizationId":null}"#, &[]),
            (r#"{"productNameId":"../../x"}"#, &["externalConfigs.productNameId"]),
            (r#"{"productNameId":".."}"#, &["externalConfigs.productNameId"]),
            (
                r#"{"productNameId":7,"organizationId":0}"#,
                &["externalConfigs.productNameId", "externalConfigs.organizationId"],
            ),
            (r#"{"dcvMethod":"none"}"#, &["externalConfigs.dcvMethod"]),
        ] {
            let given = serde_json::from_str(text).unwrap();
            let fields: Vec<_> = overrides(&digicert, &given).into_iter().map(|it| it.0).collect();
            assert_eq!(fields, expected, "{text}");
            assert_eq!(overrides(&acme, &given), [], "{text}");
        }
    }

    #[test]
    fn paths_at_a_service_lead_nowhere_else() {
        for (text, good) in [
            ("pki", true),
            ("team/pki_int", true),
            ("", false),
            ("/pki", false),
            ("pki/", false),
            ("../sys", false),
            ("pki/../sys", false),
            ("pki?x", false),
            ("pki%2f", false),
            ("a b", false),
        ] {
            assert_eq!(is_path(text), good, "{text}");
        }
    }
}
