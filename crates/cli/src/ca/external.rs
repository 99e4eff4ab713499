//! CAs that somebody else runs.

use std::path::PathBuf;

use clap::Args;
use serde_json::{Map, Value, json};

use crate::app_connection::{find, secret_in};
use crate::client::{CERT_MANAGER, Client};
use crate::error::CliError;
use crate::lookup;
use crate::output::{Output, list_at, text_at};

/// A CA that speaks ACME, such as Let's Encrypt.
#[derive(Debug, Args)]
pub struct AcmeArguments {
    /// Name to call it by: lower-case letters, digits and hyphens
    #[arg(long)]
    name: String,
    /// letsencrypt, letsencrypt-staging, zerossl, google, google-staging, sslcom-rsa, sslcom-ecc, or the URL of a directory
    #[arg(long, value_name = "WORD|URL")]
    directory: String,
    /// Where the CA writes to
    #[arg(long)]
    email: Option<String>,
    /// Who changes DNS records, as [SUFFIX=]PROVIDER:CONNECTION[:HOSTED-ZONE]; without a suffix for every name; may be
    /// repeated. Providers: route53, cloudflare, dns-made-easy, azure-dns, google-cloud-dns, digitalocean, hetzner, desec,
    /// gandi, ovh, rfc2136, webhook, exec
    #[arg(long = "zone", value_name = "ZONE", value_parser = zone)]
    zones: Vec<Zone>,
    /// dns-01, http-01 or tls-alpn-01, in order of preference; may be repeated [default: dns-01 with a zone, else http-01]
    #[arg(long = "challenge", value_name = "NAME")]
    challenges: Vec<String>,
    /// Server that is asked whether a record can be seen; may be repeated [default: those of the zone itself]
    #[arg(long = "resolver", value_name = "ADDRESS")]
    resolvers: Vec<String>,
    /// How long a record may take to be seen, such as 10m
    #[arg(long, value_name = "DURATION")]
    propagation_timeout: Option<String>,
    /// Key id of the external account binding, where the CA wants one
    #[arg(long, value_name = "ID", requires = "eab_hmac_key_file")]
    eab_kid: Option<String>,
    /// File with the binding's key, - for standard input
    #[arg(long, value_name = "FILE", requires = "eab_kid")]
    eab_hmac_key_file: Option<PathBuf>,
    /// Common name of the issuer at the top of the wanted chain, where the CA offers several
    #[arg(long, value_name = "NAME")]
    preferred_chain: Option<String>,
    /// The CA's own name for a kind of certificate, such as shortlived
    #[arg(long, value_name = "NAME")]
    certificate_profile: Option<String>,
}

/// The PKI secrets engine of a HashiCorp Vault or OpenBao.
#[derive(Debug, Args)]
pub struct VaultArguments {
    /// Name to call it by: lower-case letters, digits and hyphens
    #[arg(long)]
    name: String,
    /// App connection to the server (name or id)
    #[arg(long = "connection", value_name = "CONNECTION")]
    app_connection: String,
    /// The engine's role that certificates are asked by
    #[arg(long)]
    role: String,
    /// Path of the secrets engine
    #[arg(long, default_value = "pki")]
    mount: String,
    /// Name or id of the issuer within the engine [default: the role's own]
    #[arg(long)]
    issuer: Option<String>,
}

/// DigiCert CertCentral.
#[derive(Debug, Args)]
pub struct DigicertArguments {
    /// Name to call it by: lower-case letters, digits and hyphens
    #[arg(long)]
    name: String,
    /// App connection to the account (name or id)
    #[arg(long = "connection", value_name = "CONNECTION")]
    app_connection: String,
    /// Number of the organization in the account
    #[arg(long, value_name = "NUMBER")]
    organization_id: i64,
    /// Such as ssl_plus
    #[arg(long, value_name = "NAME")]
    product: String,
    /// email, dns-txt-token, dns-cname-token or http-token [default: the account's own way]
    #[arg(long, value_name = "METHOD")]
    dcv_method: Option<String>,
}

/// Where a Vault or OpenBao signs an intermediate CA.
#[derive(Clone, Debug, Default, Args)]
pub struct SignedByVault {
    /// A Vault or OpenBao signs it: app connection to that server (name or id)
    #[arg(long, value_name = "CONNECTION", conflicts_with = "parent")]
    pub vault: Option<String>,
    /// Path of the PKI secrets engine there [default: pki]
    #[arg(long, value_name = "PATH", requires = "vault")]
    pub vault_mount: Option<String>,
    /// Name or id of the issuer within the engine [default: the engine's own]
    #[arg(long, value_name = "NAME", requires = "vault")]
    pub vault_issuer: Option<String>,
}

/// Who changes the DNS records of which names.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Zone {
    suffix: String,
    provider: String,
    connection: String,
    hosted_zone: Option<String>,
}

fn zone(text: &str) -> Result<Zone, String> {
    let (suffix, rest) = text.split_once('=').unwrap_or(("", text));
    let mut parts = rest.splitn(3, ':').map(str::to_owned);
    match (parts.next(), parts.next()) {
        (Some(provider), Some(connection)) if !provider.is_empty() && !connection.is_empty() => {
            Ok(Zone { suffix: suffix.to_owned(), provider, connection, hosted_zone: parts.next() })
        }
        _ => Err("write it as [suffix=]provider:connection[:hosted-zone]".to_owned()),
    }
}

pub(super) async fn create_acme(client: &Client, new: AcmeArguments, output: Output) -> Result<(), CliError> {
    let mut configuration = Map::from_iter([("directoryUrl".to_owned(), json!(new.directory))]);
    let mut put = |name: &str, value: Option<Value>| configuration.extend(value.map(|it| (name.to_owned(), it)));
    put("accountEmail", new.email.map(Value::from));
    put("eabKid", new.eab_kid.map(Value::from));
    put("eabHmacKey", new.eab_hmac_key_file.as_deref().map(secret_in).transpose()?.map(Value::from));
    put("propagationTimeout", new.propagation_timeout.map(Value::from));
    put("preferredChain", new.preferred_chain.map(Value::from));
    put("certificateProfile", new.certificate_profile.map(Value::from));
    put("challenges", (!new.challenges.is_empty()).then(|| json!(new.challenges)));
    put("dnsResolvers", (!new.resolvers.is_empty()).then(|| json!(new.resolvers)));
    let mut zones = Vec::new();
    for zone in &new.zones {
        let id = text_at(&find(client, &zone.connection).await?, "/id");
        if zone.suffix.is_empty() {
            put("dnsAppConnectionId", Some(json!(id)));
            put("dnsProviderConfig", Some(json!({"provider": zone.provider, "hostedZoneId": zone.hosted_zone})));
        } else {
            zones.push(json!({"zone": zone.suffix, "provider": zone.provider, "appConnectionId": id,
                "hostedZoneId": zone.hosted_zone}));
        }
    }
    put("dnsZones", (!zones.is_empty()).then_some(Value::Array(zones)));
    create(client, "acme", &new.name, Value::Object(configuration), output).await
}

pub(super) async fn create_vault(client: &Client, new: VaultArguments, output: Output) -> Result<(), CliError> {
    let connection = text_at(&find(client, &new.app_connection).await?, "/id");
    let configuration =
        json!({"appConnectionId": connection, "mount": new.mount, "role": new.role, "issuerRef": new.issuer});
    create(client, "vault", &new.name, configuration, output).await
}

pub(super) async fn create_digicert(client: &Client, new: DigicertArguments, output: Output) -> Result<(), CliError> {
    let connection = text_at(&find(client, &new.app_connection).await?, "/id");
    let configuration = json!({"appConnectionId": connection, "organizationId": new.organization_id,
        "productNameId": new.product, "dcvMethod": new.dcv_method});
    create(client, "digicert", &new.name, configuration, output).await
}

async fn create(client: &Client, kind: &str, name: &str, configuration: Value, output: Output) -> Result<(), CliError> {
    let body = json!({"name": name, "status": "active", "configuration": configuration});
    let ca = client.post(&format!("{CERT_MANAGER}/ca/{kind}"), &body).await?.success()?;
    for warning in list_at(&ca, "/warnings") {
        output.note(&format!("warning: {}", text_at(warning, "/message")));
    }
    if output.is_json() {
        return output.json(&ca);
    }
    output.line(&format!("Created {name} as {}", text_at(&ca, "/id")))
}

/// Gives the account at an ACME CA a new key.
pub(super) async fn change_account_key(client: &Client, name: &str, output: Output) -> Result<(), CliError> {
    let id = lookup::ca_id(client, name).await?;
    let ca = client.post(&format!("{CERT_MANAGER}/ca/acme/{id}/account-key"), &json!({})).await?.success()?;
    if output.is_json() {
        return output.json(&ca);
    }
    output.line(&format!("The account of {} has a new key", text_at(&ca, "/name")))
}

/// Has an intermediate CA signed, the end of its validity given.
pub(super) async fn sign_by_vault(
    client: &Client,
    ca_path: &str,
    signer: &SignedByVault,
    wanted: &Value,
) -> Result<(), CliError> {
    let name = signer.vault.as_deref().unwrap_or_default();
    let connection = text_at(&find(client, name).await?, "/id");
    let destination = json!({"mount": signer.vault_mount, "issuerRef": signer.vault_issuer});
    let body = json!({"type": "vault", "appConnectionId": connection, "destinationConfig": destination});
    client.post(&format!("{ca_path}/signing-config"), &body).await?.success()?;
    client.post(&format!("{ca_path}/install-certificate-vault"), wanted).await?.success()?;
    Ok(())
}

/// The facts of an external CA.
pub(super) fn show(ca: &Value, output: Output) -> Result<(), CliError> {
    let setting = |name: &str| text_at(ca, &format!("/configuration/{name}"));
    let zones: Vec<String> = list_at(ca, "/configuration/dnsZones")
        .map(|zone| format!("{} ({})", text_at(zone, "/zone"), text_at(zone, "/provider")))
        .collect();
    output.facts(&[
        ("Id", text_at(ca, "/id")),
        ("Name", text_at(ca, "/name")),
        ("Status", text_at(ca, "/status")),
        ("Type", text_at(ca, "/type")),
        ("Directory", setting("directoryUrl")),
        ("Account", setting("accountUrl")),
        ("E-mail", setting("accountEmail")),
        ("Challenges", setting("challenges")),
        ("DNS provider", setting("dnsProviderConfig/provider")),
        ("DNS zones", zones.join(", ")),
        ("Preferred chain", setting("preferredChain")),
        ("Certificate profile", setting("certificateProfile")),
        ("Secrets engine", setting("mount")),
        ("Role", setting("role")),
        ("Issuer", setting("issuerRef")),
        ("Organization", setting("organizationId")),
        ("Product", setting("productNameId")),
        ("Domain control by", setting("dcvMethod")),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zone_names_provider_connection_and_perhaps_more() {
        let made = |suffix: &str, provider: &str, connection: &str, hosted: Option<&str>| Zone {
            suffix: suffix.to_owned(),
            provider: provider.to_owned(),
            connection: connection.to_owned(),
            hosted_zone: hosted.map(str::to_owned),
        };
        let check = |text: &str, expected: Option<Zone>| assert_eq!(zone(text).ok(), expected, "{text}");
        check("rfc2136:dns", Some(made("", "rfc2136", "dns", None)));
        check("acme.com=route53:aws:Z123", Some(made("acme.com", "route53", "aws", Some("Z123"))));
        let azure = "/subscriptions/1/resourceGroups/a:b";
        check(&format!("azure-dns:az:{azure}"), Some(made("", "azure-dns", "az", Some(azure))));
        check("route53", None);
        check("acme.com=:aws", None);
        check("", None);
    }
}
