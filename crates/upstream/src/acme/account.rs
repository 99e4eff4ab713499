//! The account at the CA (RFC 8555 §7.3): made, found again, kept up to date, given a new key.

use std::collections::BTreeMap;

use chancery_authority::external::{NEXT_ACCOUNT_KEY, Settled, Site, UpstreamError};
use chancery_egress::Url;
use chancery_model::external::AcmeConfiguration;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::client::{Account, Answer, Client, Signer};
use super::jws::{AccountKey, external_account_binding};
use super::problem::tame;

pub(super) const ACCOUNT_KEY: &str = "accountKey";
pub(super) const EAB_HMAC_KEY: &str = "eabHmacKey";
/// What is kept of the relation to the CA; shown to administrators.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Standing {
    pub directory_url: String,
    pub account_url: String,
    /// Where the CA lists the account's orders; few do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub orders_url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub eab_kid: Option<String>,
    pub key_thumbprint: String,
    /// Agreed to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub terms_of_service: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub website: Option<String>,
    /// What a CAA record must name for this CA to issue (RFC 8659).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub caa_identities: Vec<String>,
    /// Kinds of certificates that may be chosen, and the CA's words for them.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub profiles: BTreeMap<String, Value>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct AccountObject {
    status: String,
    orders: Option<String>,
}

impl Standing {
    pub fn of(site: &Site) -> Self {
        serde_json::from_value(site.ca.standing.clone()).unwrap_or_default()
    }
}

/// The account as it was settled.
pub(super) fn opened(site: &Site, client: &Client<'_>) -> Result<Account, UpstreamError> {
    let standing = Standing::of(site);
    let secret = site.secrets.get(ACCOUNT_KEY).filter(|_| !standing.account_url.is_empty()).ok_or_else(|| {
        UpstreamError::lasting(format!("there is no account at {}; save the CA again to register one", client.whom))
    })?;
    Ok(Account { key: AccountKey::from_secret(secret)?, url: client.own(&standing.account_url)? })
}

/// Registers, or brings what is registered up to date.
pub(super) async fn settle(
    client: &Client<'_>,
    site: &Site,
    config: &AcmeConfiguration,
) -> Result<Settled, UpstreamError> {
    check_offers(client, config)?;
    let before = Standing::of(site);
    // A binding is made once, when an account is; and an account is of one CA.
    let same = before.directory_url == client.directory_url.as_str() && before.eab_kid == config.eab_kid;
    let known = site.secrets.get(ACCOUNT_KEY).filter(|_| same && !before.account_url.is_empty());
    let (account, answer) = match known {
        Some(secret) => {
            let account = Account { key: AccountKey::from_secret(secret)?, url: client.own(&before.account_url)? };
            updated(client, site, config, with_next_key(client, site, account).await?).await?
        }
        None => registered(client, site, config, AccountKey::generate()?).await?,
    };
    settled(client, site, config, &account, &answer)
}

/// What the configuration wants of the CA and the CA does not have is better said now than with each order.
fn check_offers(client: &Client<'_>, config: &AcmeConfiguration) -> Result<(), UpstreamError> {
    let whom = &client.whom;
    let meta = &client.directory.meta;
    if let Some(profile) = &config.certificate_profile
        && !meta.profiles.contains_key(profile)
    {
        let offered: Vec<_> = meta.profiles.keys().take(20).map(|it| tame(it, 60)).collect();
        let offered = if offered.is_empty() { "none".to_owned() } else { offered.join(", ") };
        return Err(UpstreamError::lasting(format!(
            "{whom} has no profile \"{profile}\"; it offers {offered}. Choose another certificateProfile, or none"
        )));
    }
    if config.challenges.is_empty() {
        return Err(UpstreamError::lasting("challenges is empty; name dns-01, http-01 or tls-alpn-01"));
    }
    let wants_dns = config.challenges.contains(&chancery_model::external::ChallengeKind::Dns01);
    if wants_dns && config.zones.is_empty() {
        return Err(UpstreamError::lasting(
            "challenges has dns-01, but no DNS zone is set; add dnsZones, or leave dns-01 out of challenges",
        ));
    }
    Ok(())
}

fn contact(config: &AcmeConfiguration) -> Value {
    match config.account_email.trim() {
        "" => json!([]),
        email => json!([format!("mailto:{email}")]),
    }
}

async fn updated(
    client: &Client<'_>,
    site: &Site,
    config: &AcmeConfiguration,
    account: Account,
) -> Result<(Account, Answer), UpstreamError> {
    let payload = json!({ "contact": contact(config) });
    match client.post(Signer::Account(&account), &account.url, &payload).await {
        Ok(answer) => Ok((account, answer)),
        // The CA has forgotten it, or it has been closed there. The key is of no use any more.
        Err(refusal) if matches!(refusal.kind(), Some("accountDoesNotExist" | "unauthorized")) => {
            registered(client, site, config, AccountKey::generate()?).await
        }
        Err(refusal) => Err(refusal.into()),
    }
}

async fn registered(
    client: &Client<'_>,
    site: &Site,
    config: &AcmeConfiguration,
    key: AccountKey,
) -> Result<(Account, Answer), UpstreamError> {
    let url = &client.directory.new_account;
    let mut payload = json!({ "termsOfServiceAgreed": true, "contact": contact(config) });
    match (&config.eab_kid, site.secrets.get(EAB_HMAC_KEY).filter(|it| !it.is_empty())) {
        (Some(kid), Some(mac_key)) => {
            let binding = external_account_binding(kid, mac_key, url.as_str(), &key)?;
            if let Some(fields) = payload.as_object_mut() {
                fields.insert("externalAccountBinding".to_owned(), binding);
            }
        }
        (Some(_), None) => {
            return Err(UpstreamError::lasting("eabKid is set without eabHmacKey; set both, or neither"));
        }
        (None, _) if client.directory.meta.external_account_required => {
            return Err(UpstreamError::lasting(format!(
                "{} binds accounts to customers; set eabKid and eabHmacKey, which its operator gives out",
                client.whom
            )));
        }
        (None, _) => {}
    }
    let answer = client.post(Signer::Key(&key), url, &payload).await?;
    let url = answer.location(client)?;
    Ok((Account { key, url }, answer))
}

fn settled(
    client: &Client<'_>,
    site: &Site,
    config: &AcmeConfiguration,
    account: &Account,
    answer: &Answer,
) -> Result<Settled, UpstreamError> {
    let object: AccountObject = answer.json(client, "account")?;
    if object.status != "valid" {
        return Err(UpstreamError::lasting(format!(
            "the account at {} is {}; it cannot be used",
            client.whom,
            tame(&object.status, 40)
        )));
    }
    let meta = &client.directory.meta;
    let standing = Standing {
        directory_url: client.directory_url.to_string(),
        account_url: account.url.to_string(),
        orders_url: object.orders.filter(|it| client.own(it).is_ok()),
        eab_kid: config.eab_kid.clone(),
        key_thumbprint: account.key.thumbprint(),
        terms_of_service: meta.terms_of_service.clone(),
        website: meta.website.clone(),
        caa_identities: meta.caa_identities.clone(),
        profiles: meta.profiles.clone(),
    };
    let mut secrets = site.secrets.clone();
    secrets.remove(NEXT_ACCOUNT_KEY);
    if config.eab_kid.is_none() {
        secrets.remove(EAB_HMAC_KEY);
    }
    secrets.insert(ACCOUNT_KEY.to_owned(), account.key.secret()?);
    Ok(Settled { standing: written(&standing), secrets, warnings: Vec::new() })
}

fn written(standing: &Standing) -> Value {
    serde_json::to_value(standing).unwrap_or_default()
}

/// RFC 8555 §7.3.5, in two calls: the first gives a key to be stored beside the one in force, the second makes it the
/// account's. Whoever calls stores what it gets and calls again as long as there is a [`NEXT_ACCOUNT_KEY`].
pub(super) async fn change_key(client: &Client<'_>, site: &Site) -> Result<Settled, UpstreamError> {
    let account = opened(site, client)?;
    let mut secrets = site.secrets.clone();
    let Some(next) = site.secrets.get(NEXT_ACCOUNT_KEY) else {
        secrets.insert(NEXT_ACCOUNT_KEY.to_owned(), AccountKey::generate()?.secret()?);
        return Ok(Settled { standing: site.ca.standing.clone(), secrets, warnings: Vec::new() });
    };
    let next = AccountKey::from_secret(next)?;
    if !is_the_accounts(client, &next, &account.url).await? {
        rolled_over(client, &account, &next).await?;
    }
    let standing = Standing { key_thumbprint: next.thumbprint(), ..Standing::of(site) };
    secrets.remove(NEXT_ACCOUNT_KEY);
    secrets.insert(ACCOUNT_KEY.to_owned(), next.secret()?);
    Ok(Settled { standing: written(&standing), secrets, warnings: Vec::new() })
}

/// With the key that the account really has, if an earlier roll-over was not seen to its end here.
async fn with_next_key(client: &Client<'_>, site: &Site, account: Account) -> Result<Account, UpstreamError> {
    let Some(next) = site.secrets.get(NEXT_ACCOUNT_KEY) else { return Ok(account) };
    let next = AccountKey::from_secret(next)?;
    let has_changed = is_the_accounts(client, &next, &account.url).await?;
    Ok(if has_changed { Account { key: next, ..account } } else { account })
}

/// Whether an earlier try has come as far as the CA. Creates nothing (RFC 8555 §7.3.1).
async fn is_the_accounts(client: &Client<'_>, key: &AccountKey, url: &Url) -> Result<bool, UpstreamError> {
    let payload = json!({ "onlyReturnExisting": true });
    match client.post(Signer::Key(key), &client.directory.new_account, &payload).await {
        Ok(answer) => Ok(answer.location(client)? == *url),
        Err(refusal) if refusal.kind().is_some_and(|it| it != "serverInternal" && it != "rateLimited") => Ok(false),
        Err(refusal) => Err(refusal.into()),
    }
}

async fn rolled_over(client: &Client<'_>, account: &Account, next: &AccountKey) -> Result<(), UpstreamError> {
    let url =
        client.directory.key_change.as_ref().ok_or_else(|| {
            UpstreamError::lasting(format!("{} does not let accounts change their keys", client.whom))
        })?;
    let payload = json!({ "account": account.url.as_str(), "oldKey": account.key.jwk() });
    let inner = next.sign(json!({ "jwk": next.jwk(), "url": url.as_str() }), &payload.to_string())?;
    client.post(Signer::Account(account), url, &inner).await?;
    Ok(())
}
