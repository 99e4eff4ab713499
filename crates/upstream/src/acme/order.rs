//! An order, step by step (RFC 8555 §7.4): ask for it, prove the names (`prove.rs`), send the CSR and fetch the certificate
//! (`finish.rs`).

use chancery_authority::external::{Next, OrderInHand, Site, Step, UpstreamError, UpstreamErrorKind};
use chancery_model::external::AcmeConfiguration;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::account::{Standing, opened};
use super::client::{Account, Client, Signer};
use super::finish::links;
use super::progress::{Name, Progress, Stage};
use super::prove::capital;
use super::resources::{self, Identifier, OrderStatus, identifiers};
use super::{Acme, advice, configuration};

/// As many names as a certificate has at the largest CAs, twice.
const AUTHORIZATIONS_MAX: usize = 200;
/// With more orders than this in an account's list, one that got lost is not looked for.
const LISTED_MAX: usize = 50;
const PAGES_MAX: usize = 20;
const LOST_MAX: usize = 5;
/// Seconds from its request on within which an order is not placed without a look at the list, if there is one. After
/// that, a list that cannot be read keeps nobody from a certificate.
const LISTED_FOR: i64 = 3_600;
/// How often an order is left to another request that uses it as well.
const SHARED_MAX: u8 = 3;

pub(super) struct Order<'a> {
    pub acme: &'a Acme,
    pub site: &'a Site,
    pub hand: &'a OrderInHand,
    pub config: &'a AcmeConfiguration,
    pub client: Client<'a>,
    pub account: Account,
    pub progress: Progress,
}

#[derive(Deserialize)]
struct OrderList {
    orders: Vec<String>,
}

pub(super) async fn advance(acme: &Acme, site: &Site, hand: &OrderInHand) -> Result<Step, UpstreamError> {
    let config = configuration(site)?;
    let progress = Progress::read(&hand.order.state).ok_or_else(|| {
        UpstreamError::lasting("what was written down about the order cannot be read; request the certificate again")
    })?;
    let client = acme.client(site, config, false).await?;
    let account = opened(site, &client)?;
    let stage = progress.stage;
    let order = Order { acme, site, hand, config, client, account, progress };
    match stage {
        Stage::New => order.prepare().await,
        Stage::Asked => order.ask().await,
        Stage::Opened => order.choose().await,
        Stage::Proving => order.prove().await,
        Stage::Finalizing => order.finish().await,
    }
}

impl Order<'_> {
    pub(super) fn signer(&self) -> Signer<'_> {
        Signer::Account(&self.account)
    }

    pub(super) async fn read<T: DeserializeOwned>(&self, url: &str, what: &str) -> Result<T, UpstreamError> {
        let url = self.client.own(url)?;
        self.client.read(&self.account, &url).await?.json(&self.client, what)
    }

    /// The order as it is at the CA now, and when to look again.
    pub(super) async fn order_now(&self) -> Result<(resources::Order, Option<u32>), UpstreamError> {
        let url = self.progress.order_url.as_deref().unwrap_or_default();
        let answer = self.client.read(&self.account, &self.client.own(url)?).await?;
        Ok((answer.json(&self.client, "order")?, answer.retry_after(self.site.now)))
    }

    pub(super) fn failed(&self, message: String) -> Step {
        self.progress.step(Next::Failed { message: capital(&message) })
    }

    /// That the CA is about to be asked is written down before it is: from here on an order may exist there.
    async fn prepare(mut self) -> Result<Step, UpstreamError> {
        if let Err(message) = identifiers(&self.hand.order.csr) {
            return Ok(self.failed(message));
        }
        self.progress.known_orders = self.listed().await?;
        self.progress.word = Some(self.acme.fresh.word(&*self.acme.randomness));
        self.progress.stage = Stage::Asked;
        Ok(self.progress.step(Next::Continue))
    }

    async fn ask(mut self) -> Result<Step, UpstreamError> {
        let wanted = match identifiers(&self.hand.order.csr) {
            Ok(wanted) => wanted,
            Err(message) => return Ok(self.failed(message)),
        };
        let is_fresh = self.progress.word.as_deref().is_some_and(|word| self.acme.fresh.take(word));
        if !is_fresh && let Some((url, found)) = self.lost(&wanted).await? {
            return Ok(self.open(url, found, &wanted));
        }
        let payload = self.payload(&wanted);
        let with_replaces = payload.get("replaces").is_some();
        let refusal = match self.client.post(self.signer(), &self.client.directory.new_order, &payload).await {
            Ok(answer) => {
                let url = answer.location(&self.client)?.to_string();
                let found = answer.json(&self.client, "order")?;
                return Ok(self.open(url, found, &wanted));
            }
            Err(refusal) => UpstreamError::from(refusal),
        };
        // RFC 9773 §5: the CA may know better whether something is replaced. That must not keep anybody from renewing.
        if with_replaces && refusal.kind == UpstreamErrorKind::Lasting {
            self.progress.without_replaces = true;
            return Ok(self.progress.step(Next::Continue));
        }
        Err(refusal)
    }

    fn payload(&self, wanted: &[Identifier]) -> Value {
        let mut payload = json!({ "identifiers": wanted });
        let Some(fields) = payload.as_object_mut() else { return payload };
        if let Some(profile) = &self.config.certificate_profile {
            fields.insert("profile".to_owned(), json!(profile));
        }
        let predecessor = self
            .hand
            .predecessor
            .as_ref()
            .filter(|_| self.client.directory.renewal_info.is_some() && !self.progress.without_replaces);
        if let Some(id) = predecessor.and_then(|it| advice::certificate_id(&it.der)) {
            fields.insert("replaces".to_owned(), json!(id));
        }
        payload
    }

    fn open(&mut self, url: String, found: resources::Order, wanted: &[Identifier]) -> Step {
        if sorted(found.identifiers) != wanted {
            return self.failed(format!("{} made an order for other names than those asked for", self.client.whom));
        }
        if found.authorizations.len() > AUTHORIZATIONS_MAX {
            return self.failed(format!("{} wants more than {AUTHORIZATIONS_MAX} proofs", self.client.whom));
        }
        self.progress.order_url = Some(url);
        (self.progress.known_orders, self.progress.word) = (None, None);
        self.progress.names = found
            .authorizations
            .into_iter()
            .map(|authorization| Name { authorization, identifier: None, wildcard: false, proof: None })
            .collect();
        (self.progress.stage, self.progress.polls) = (Stage::Opened, 0);
        self.progress.step(Next::Continue)
    }

    /// The account's orders (RFC 8555 §7.1.2.1), where the CA lists them and they are few.
    async fn listed(&self) -> Result<Option<Vec<String>>, UpstreamError> {
        let Some(mut page) = Standing::of(self.site).orders_url else { return Ok(None) };
        let mut all = Vec::new();
        for _ in 0..PAGES_MAX {
            let Ok(url) = self.client.own(&page) else { return Ok(None) };
            let answer = match self.client.read(&self.account, &url).await {
                Ok(answer) => answer,
                Err(refusal) => return self.without_list(refusal.into()),
            };
            let Ok(OrderList { orders }) = answer.json(&self.client, "list of orders") else { return Ok(None) };
            all.extend(orders);
            match links(&answer.headers, "next").into_iter().next() {
                _ if all.len() > LISTED_MAX => return Ok(None),
                None => return Ok(Some(all)),
                Some(next) => page = next,
            }
        }
        Ok(None)
    }

    /// A list that only cannot be read now is waited for: without it, an order whose answer was lost is placed twice.
    fn without_list<T>(&self, error: UpstreamError) -> Result<Option<T>, UpstreamError> {
        let until = self.hand.order.created_at.plus_seconds(LISTED_FOR);
        let is_passing = matches!(error.kind, UpstreamErrorKind::Passing { .. });
        if is_passing && self.site.now < until { Err(error) } else { Ok(None) }
    }

    /// An order that the CA made when nobody was left to hear of it: it was not there before, it is for exactly our names
    /// and nobody has sent a CSR. If it should be another request's, it is noticed when the CSR is sent.
    async fn lost(&self, wanted: &[Identifier]) -> Result<Option<(String, resources::Order)>, UpstreamError> {
        let Some(known) = &self.progress.known_orders else { return Ok(None) };
        let Some(listed) = self.listed().await? else { return Ok(None) };
        for url in listed.iter().filter(|url| !known.contains(url)).take(LOST_MAX) {
            let found = match self.read::<resources::Order>(url, "order").await {
                Ok(found) => found,
                Err(error) => match self.without_list(error)? {
                    Some(found) => found,
                    None => continue,
                },
            };
            if matches!(found.status, OrderStatus::Pending | OrderStatus::Ready)
                && sorted(found.identifiers.clone()) == wanted
            {
                return Ok(Some((url.clone(), found)));
            }
        }
        Ok(None)
    }

    /// The order has been used by another request for the same names; ours gets a new one.
    pub(super) fn start_over(mut self) -> Result<Step, UpstreamError> {
        if self.progress.shared >= SHARED_MAX {
            return Ok(self.failed(format!(
                "{} gave the same order to several requests for the same names. Next step: request again when the others \
                 have ended",
                self.client.whom
            )));
        }
        self.progress.start_over();
        Ok(self.progress.step(Next::Continue))
    }
}

fn sorted(mut identifiers: Vec<Identifier>) -> Vec<Identifier> {
    for one in &mut identifiers {
        one.value.make_ascii_lowercase();
    }
    identifiers.sort();
    identifiers.dedup();
    identifiers
}
