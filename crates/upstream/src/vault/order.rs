//! Having a request signed by a role of the engine, once.

use chancery_authority::external::{Next, OrderInHand, Step, UpstreamError};
use chancery_model::Timestamp;
use chancery_model::order::ExternalOrder;
use chancery_pkix::pem::{self, OutsideText};
use chancery_pkix::{AttributeType, CertificationRequest, ForeignCertificate, GeneralName, GeneralNameKind};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::Place;
use super::client::{Answer, WHOM};
use super::search::{self, Found};
use crate::fresh::Fresh;

/// How far an order has come.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "step", rename_all = "camelCase")]
pub(super) enum State {
    /// The engine is about to be asked, or was; `word` is fresh for the process that wrote this, until it asks.
    Asking {
        word: String,
        #[serde(flatten)]
        past: Past,
    },
    /// Somebody died while asking: the engine's certificates are looked through, up to this serial number by now.
    Searching {
        after: String,
        #[serde(flatten)]
        past: Past,
    },
    Ended,
}

/// What is known of earlier questions.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Past {
    /// When the engine was asked first.
    pub at: Timestamp,
    /// Questions whose answers were lost and not found.
    #[serde(default)]
    lost: u8,
    /// Why one could not be looked for.
    #[serde(default)]
    blind: Option<String>,
}

/// Questions that may get lost without a way to look for their answers.
const LOST_MAX: u8 = 3;

pub(super) async fn advance(
    place: &Place<'_>,
    hand: &OrderInHand,
    fresh: &Fresh,
    reserve: impl Fn() -> String,
) -> Result<Step, UpstreamError> {
    let order = &hand.order;
    if order.state.is_null() {
        return match body(order) {
            Ok(_) => {
                let past = Past { at: place.now, lost: 0, blind: None };
                step(&State::Asking { word: reserve(), past }, None, Next::Continue)
            }
            Err(message) => step(&State::Ended, None, Next::Failed { message }),
        };
    }
    let state: State = serde_json::from_value(order.state.clone())
        .map_err(|_| UpstreamError::lasting("the order's state is not one that this build has written"))?;
    match state {
        State::Asking { word, past } if fresh.take(&word) => ask(place, order, past).await,
        State::Asking { past, .. } => resume(place, hand, past, "", reserve).await,
        State::Searching { past, after } => resume(place, hand, past, &after, reserve).await,
        // The answer was given and could not be recorded.
        State::Ended => resume(place, hand, Past { at: order.created_at, lost: 0, blind: None }, "", reserve).await,
    }
}

/// Looks for the answer to the question that was interrupted, a part of the certificates at a time. Without one the
/// engine is asked again: the step that follows finds its own fresh word.
async fn resume(
    place: &Place<'_>,
    hand: &OrderInHand,
    mut past: Past,
    after: &str,
    reserve: impl Fn() -> String,
) -> Result<Step, UpstreamError> {
    match search::look(place, hand, past.at, after).await? {
        Found::Certificate { serial, chain, warnings } => {
            return step(&State::Ended, Some(serial), Next::Issued { chain, warnings });
        }
        Found::NotYet { after } => return step(&State::Searching { after, past }, None, Next::Continue),
        Found::Nothing => past.lost = past.lost.saturating_add(1),
        Found::CannotLook { why } => {
            past.lost = past.lost.saturating_add(1);
            if past.lost >= LOST_MAX {
                let message = format!(
                    "{WHOM} was asked {LOST_MAX} times and no answer arrived; that it did not sign could not be checked, \
                     because {why}"
                );
                return step(&State::Ended, None, Next::Failed { message });
            }
            past.blind = Some(why);
        }
    }
    step(&State::Asking { word: reserve(), past }, None, Next::Continue)
}

async fn ask(place: &Place<'_>, order: &ExternalOrder, past: Past) -> Result<Step, UpstreamError> {
    let fail = |message| step(&State::Ended, None, Next::Failed { message });
    let body = match body(order) {
        Ok(body) => body,
        Err(message) => return fail(message),
    };
    let role = place.settings.role.as_str();
    let path = match place.settings.issuer_ref.as_deref() {
        Some(issuer) => place.mount().then(["issuer", issuer, "sign", role]),
        None => place.mount().then(["sign", role]),
    };
    let answer = place.client.post(path, &body).await?;
    if !answer.is_fine() {
        let error = place.client.refused("to sign by the role", &answer);
        return match answer.status {
            _ if answer.is_passing() => Err(error),
            400 => fail(format!("{WHOM} refused the request: {}", answer.said())),
            404 => fail(format!("{WHOM} has no role {role} at {}; check the CA's settings", place.settings.mount)),
            _ => fail(error.text),
        };
    }
    let chain = chain(&answer)?;
    let mut warnings = answer.warnings();
    if let Some(why) = past.blind {
        warnings.push(format!(
            "{WHOM} was asked again after an answer was lost, and may have signed twice: this could not be checked, because {why}"
        ));
    }
    step(&State::Ended, answer.text("serial_number").map(ToOwned::to_owned), Next::Issued { chain, warnings })
}

fn step(state: &State, reference: Option<String>, next: Next) -> Result<Step, UpstreamError> {
    let state =
        serde_json::to_value(state).map_err(|_| UpstreamError::lasting("the order's state cannot be written"))?;
    Ok(Step { state, reference, challenges: None, next })
}

/// What is asked for. The role decides whether names come from the request or from here, so both say the same.
fn body(order: &ExternalOrder) -> Result<Value, String> {
    let csr = CertificationRequest::from_der(&order.csr).map_err(|error| error.to_string())?;
    let (mut names, mut addresses, mut uris, mut others) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for name in csr.subject_alt_names() {
        match name {
            GeneralName::Dns(text) | GeneralName::Email(text) => names.push(text.clone()),
            GeneralName::Ip(address) => addresses.push(address.to_string()),
            GeneralName::Uri(text) => uris.push(text.clone()),
            GeneralName::Upn(text) => others.push(format!("{UPN};UTF8:{text}")),
            GeneralName::OtherName { oid, value } => others.push(format!("{oid};UTF8:{value}")),
            GeneralName::Directory(_) | GeneralName::RegisteredId(_) => {
                return Err(format!(
                    "the PKI engine of {WHOM} issues no names of type {}; leave {} out of the request",
                    name.kind(),
                    name.value()
                ));
            }
        }
    }
    // A common name that is a host's belongs to the names, also where the request does not repeat it there.
    let common_name = csr.subject().first(AttributeType::CommonName);
    let host = common_name.map(str::to_ascii_lowercase).filter(|it| is_host(it) && !names.contains(it));
    let is_complete = host.is_none();
    names.extend(host);
    let mut body = json!({
        "csr": csr.to_pem(),
        "alt_names": names.join(","),
        "ip_sans": addresses,
        "uri_sans": uris,
        "other_sans": others,
        "ttl": format!("{}s", order.plan.ttl),
        "exclude_cn_from_sans": is_complete,
        "format": "pem",
    });
    if let (Some(name), Some(members)) = (common_name, body.as_object_mut()) {
        members.insert("common_name".to_owned(), name.into());
    }
    Ok(body)
}

fn is_host(name: &str) -> bool {
    GeneralName::parse(GeneralNameKind::DnsName, name).is_ok()
}

/// User principal names are names of this type.
const UPN: &str = "1.3.6.1.4.1.311.20.2.3";

/// The certificate and what is above it, DER: `ca_chain` where there is one, else `issuing_ca`.
pub(super) fn chain(answer: &Answer) -> Result<Vec<Vec<u8>>, UpstreamError> {
    let Some(certificate) = answer.text("certificate") else {
        return Err(UpstreamError::passing(format!("{WHOM} answered without a certificate")));
    };
    let mut above = answer.texts("ca_chain");
    if above.is_empty() {
        above.extend(answer.text("issuing_ca"));
    }
    let mut chain: Vec<Vec<u8>> = Vec::new();
    for text in std::iter::once(certificate).chain(above) {
        for der in certificates(text)? {
            if !chain.contains(&der) {
                chain.push(der);
            }
        }
    }
    Ok(chain)
}

/// Every certificate of a PEM text, DER; at least one.
pub(super) fn certificates(text: &str) -> Result<Vec<Vec<u8>>, UpstreamError> {
    let unreadable = || UpstreamError::lasting(format!("{WHOM} answered with something that is not a certificate"));
    let blocks = pem::decode(text, OutsideText::Skip).map_err(|_| unreadable())?;
    let ders: Vec<Vec<u8>> = blocks.into_iter().map(|block| block.der).collect();
    if ders.is_empty() || ders.iter().any(|der| ForeignCertificate::from_der(der).is_err()) {
        return Err(unreadable());
    }
    Ok(ders)
}
