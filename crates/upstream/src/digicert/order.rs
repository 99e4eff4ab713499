//! The steps of an order: plan, ask, wait, fetch.

use chancery_authority::external::{Next, OrderInHand, Step, Tidied, UpstreamError, UpstreamErrorKind};
use chancery_model::Timestamp;
use chancery_model::order::ExternalOrder;
use chancery_pkix::pem::{self, OutsideText};
use chancery_pkix::{CertificationRequest, ForeignCertificate};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::ask::{self, Asked};
use super::client::{WHOM, number};
use super::wish::Wish;
use super::{Place, validation};
use crate::fresh::Fresh;

/// How far an order has come.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "step", rename_all = "camelCase")]
pub(super) enum State {
    /// About to be placed, or placed; `word` is fresh for the process that wrote this, until it asks.
    Asking {
        word: String,
        at: Timestamp,
        what: What,
    },
    /// Under way.
    Placed {
        order: i64,
        #[serde(default)]
        certificate: Option<i64>,
        /// Of a reissue: the certificate that the order had before.
        #[serde(default)]
        replaced: Option<i64>,
        polls: u32,
    },
    /// Where the certificate is found there.
    Issued {
        order: i64,
        certificate: i64,
    },
    Ended,
}

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "camelCase")]
pub(super) enum What {
    New {
        /// The order that this one follows on.
        renewal_of: Option<i64>,
    },
    /// Another certificate within an order that lasts longer than its certificate.
    Reissue { order: i64, replaced: i64 },
}

/// Seconds that a question may still be on its way when nothing is found of it.
const ON_ITS_WAY: i64 = 120;
/// Seconds between looks at an order; the last one stays.
const PAUSES: &[u32] = &[5, 15, 30, 60, 120, 300, 600];
/// A reissue must bring the certificate this much further (seconds), or a third of its life if that is less.
const GAIN: i64 = 30 * 86_400;

pub(super) async fn advance(
    place: &Place<'_>,
    hand: &OrderInHand,
    fresh: &Fresh,
    reserve: &(dyn Fn() -> String + Sync),
) -> Result<Step, UpstreamError> {
    let wish = match Wish::new(place.settings, &hand.order) {
        Ok(wish) => wish,
        Err(message) => return step(&State::Ended, Next::Failed { message }),
    };
    if hand.order.state.is_null() {
        let what = plan(place, hand, &wish).await?;
        return step(&State::Asking { word: reserve(), at: place.client.now, what }, Next::Continue);
    }
    match read(&hand.order)? {
        State::Asking { word, what, .. } if fresh.take(&word) => match ask::ask(place, &wish, what).await? {
            Asked::Placed(state) => step(&state, Next::Continue),
            Asked::Otherwise(what) => {
                step(&State::Asking { word: reserve(), at: place.client.now, what }, Next::Continue)
            }
            Asked::Refused(message) => step(&State::Ended, Next::Failed { message }),
        },
        State::Asking { word, at, what } => match find(place, &wish, what, at).await? {
            Some(state) => step(&state, Next::Continue),
            None if place.client.now < at.plus_seconds(ON_ITS_WAY) => {
                let message =
                    format!("An answer of {WHOM} was lost; it is being looked for whether the order was placed");
                let wait = Next::Wait { seconds: 30, validating: false, message };
                step(&State::Asking { word, at, what }, wait)
            }
            None => step(&State::Asking { word: reserve(), at: place.client.now, what }, Next::Continue),
        },
        State::Placed { order, certificate, replaced, polls } => {
            let under_way = UnderWay { order, certificate, replaced, polls };
            poll(place, &wish, under_way).await
        }
        State::Issued { order, certificate } => fetch(place, hand, &wish, order, certificate).await,
        State::Ended => Err(UpstreamError::lasting("the order has ended")),
    }
}

fn read(order: &ExternalOrder) -> Result<State, UpstreamError> {
    serde_json::from_value(order.state.clone())
        .map_err(|_| UpstreamError::lasting("the order's state is not one that this build has written"))
}

fn step(state: &State, next: Next) -> Result<Step, UpstreamError> {
    let reference = match state {
        State::Placed { order, .. } | State::Issued { order, .. } => Some(order.to_string()),
        State::Asking { .. } | State::Ended => None,
    };
    let state =
        serde_json::to_value(state).map_err(|_| UpstreamError::lasting("the order's state cannot be written"))?;
    Ok(Step { state, reference, challenges: None, next })
}

/// A renewal is a reissue while the predecessor's order lasts notably longer than the predecessor: it has been paid for.
async fn plan(place: &Place<'_>, hand: &OrderInHand, wish: &Wish) -> Result<What, UpstreamError> {
    let first = What::New { renewal_of: None };
    let Some(predecessor) = &hand.predecessor else { return Ok(first) };
    let order = predecessor.reference.as_deref().and_then(|it| it.parse::<i64>().ok());
    let (Some(order), Ok(certificate)) = (order, ForeignCertificate::from_der(&predecessor.der)) else {
        return Ok(first);
    };
    let answer = place.client.get(&["order", "certificate", &order.to_string()]).await?;
    if answer.is_passing() {
        return Err(place.client.refused("to look at the order that is renewed", &answer));
    }
    if !answer.is_fine() {
        return Ok(first);
    }
    let text = |name: &str| answer.json.get(name).and_then(Value::as_str);
    let lasts = text("order_valid_till").and_then(|it| Timestamp::parse_date(it).ok()).map(Timestamp::as_seconds);
    let gain = lasts.map_or(0, |until| until - certificate.validity.not_after);
    let is_same_product = answer.json.get("product").and_then(|it| it.get("name_id")).and_then(Value::as_str)
        == Some(wish.product.as_str());
    let replaced = number(answer.json.get("certificate").and_then(|it| it.get("id")));
    Ok(match replaced {
        Some(replaced) if text("status") == Some("issued") && is_same_product && gain >= GAIN.min(wish.life() / 3) => {
            What::Reissue { order, replaced }
        }
        _ => What::New { renewal_of: Some(order) },
    })
}

/// Looks for what may have been placed. When that cannot be told, nothing may be ordered: whatever went wrong passes.
async fn find(place: &Place<'_>, wish: &Wish, what: What, at: Timestamp) -> Result<Option<State>, UpstreamError> {
    ask::find(place, wish, what, at).await.map_err(|error| match error.kind {
        UpstreamErrorKind::Passing { .. } => error,
        UpstreamErrorKind::Lasting => {
            let text = format!(
                "An order may have been placed at {WHOM}, and looking for it fails, so nothing is ordered: {}",
                error.text
            );
            UpstreamError::passing(text).with_detail(error.detail)
        }
    })
}

#[derive(Clone, Copy)]
struct UnderWay {
    order: i64,
    certificate: Option<i64>,
    replaced: Option<i64>,
    polls: u32,
}

async fn poll(place: &Place<'_>, wish: &Wish, it: UnderWay) -> Result<Step, UpstreamError> {
    let order = it.order.to_string();
    let answer = place.client.get(&["order", "certificate", &order]).await?;
    let answer = place.client.fine("to look at the order", answer)?;
    let status = answer.json.get("status").and_then(Value::as_str).unwrap_or_default();
    // A reissue leaves the order issued, with another certificate in it.
    let shown = number(answer.json.get("certificate").and_then(|it| it.get("id")));
    let made = shown.filter(|id| Some(*id) != it.replaced).or(it.certificate.filter(|_| it.replaced.is_none()));
    let failed = |message: String| {
        let UnderWay { order, certificate, replaced, polls } = it;
        step(&State::Placed { order, certificate, replaced, polls }, Next::Failed { message })
    };
    match (status, made) {
        ("issued", Some(certificate)) => return step(&State::Issued { order: it.order, certificate }, Next::Continue),
        ("rejected", _) => {
            return failed(format!("{WHOM} rejected order {order}; CertCentral says why, at that order"));
        }
        ("canceled" | "cancelled", _) => return failed(format!("order {order} was cancelled at {WHOM}")),
        ("revoked" | "expired", _) if it.replaced.is_none() => {
            return failed(format!("order {order} is {status} at {WHOM}"));
        }
        _ => {}
    }
    let (validating, message) = validation::waiting_for(place, &order, status, wish, it.polls > 0).await?;
    let seconds = PAUSES.get(it.polls as usize).or(PAUSES.last()).copied().unwrap_or(600);
    let polls = it.polls.saturating_add(1);
    let state = State::Placed { order: it.order, certificate: it.certificate, replaced: it.replaced, polls };
    step(&state, Next::Wait { seconds, validating, message })
}

/// Downloads the certificate with its chain.
async fn fetch(
    place: &Place<'_>,
    hand: &OrderInHand,
    wish: &Wish,
    order: i64,
    certificate: i64,
) -> Result<Step, UpstreamError> {
    let state = State::Issued { order, certificate };
    let id = certificate.to_string();
    let answer = place.client.get(&["certificate", &id, "download", "format", "pem_all"]).await?;
    if answer.status == 404 {
        let message = format!("{WHOM} has issued certificate {id} and does not give it out yet");
        return step(&state, Next::Wait { seconds: 30, validating: false, message });
    }
    let answer = place.client.fine("to download the certificate", answer)?;
    let unreadable = || UpstreamError::passing(format!("{WHOM} gave something out that is not a certificate"));
    let blocks = pem::decode(&answer.text(), OutsideText::Skip).map_err(|_| unreadable())?;
    let chain: Vec<Vec<u8>> = blocks.into_iter().map(|block| block.der).collect();
    let Some(Ok(leaf)) = chain.first().map(|leaf| ForeignCertificate::from_der(leaf)) else { return Err(unreadable()) };
    let mut warnings = wish.warnings.clone();
    let asked = CertificationRequest::from_der(&hand.order.csr).map_err(|it| UpstreamError::lasting(it.to_string()))?;
    if leaf.spki_der() != asked.public_key().spki_der() {
        warnings.push(format!("certificate {id} of order {order} at {WHOM} is of another key"));
    }
    step(&state, Next::Issued { chain, warnings })
}

/// Cancels an order that has not issued. A reissue is let be: cancelling it would leave the order as it is, without.
pub(super) async fn tidy(place: &Place<'_>, order: &ExternalOrder) -> Result<Tidied, UpstreamError> {
    if order.state.is_null() {
        return Ok(Tidied::Done);
    }
    let id = match read(order)? {
        State::Placed { order, replaced: None, .. } => order,
        State::Asking { at, what: what @ What::New { .. }, .. } => {
            let Ok(wish) = Wish::new(place.settings, order) else { return Ok(Tidied::Done) };
            match find(place, &wish, what, at).await? {
                Some(State::Placed { order, .. }) => order,
                _ => return Ok(Tidied::Done),
            }
        }
        _ => return Ok(Tidied::Done),
    };
    let path = ["order", "certificate", &id.to_string()].map(ToOwned::to_owned);
    let path: Vec<&str> = path.iter().map(String::as_str).collect();
    let answer = place.client.get(&path).await?;
    if answer.is_passing() {
        return Err(place.client.refused("to look at the order", &answer));
    }
    let status = answer.json.get("status").and_then(Value::as_str).unwrap_or_default();
    if !answer.is_fine()
        || !matches!(status, "pending" | "needs_approval" | "processing" | "waiting_pickup" | "needs_csr")
    {
        return Ok(Tidied::Done);
    }
    let body =
        json!({ "status": "CANCELED", "note": "The request for it has ended in Chancery", "send_emails": false });
    let path: Vec<&str> = path.into_iter().chain(["status"]).collect();
    let answer = place.client.put(&path, &body).await?;
    if answer.is_passing() {
        return Err(place.client.refused("to cancel the order", &answer));
    }
    if !answer.is_fine() {
        tracing::warn!(
            order = id,
            said = answer.said(),
            "an order at DigiCert could not be cancelled; cancel it in CertCentral"
        );
    }
    let state = serde_json::to_value(State::Ended).unwrap_or_default();
    Ok(Tidied::More { state })
}
