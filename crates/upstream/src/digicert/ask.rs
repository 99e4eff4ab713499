//! Placing an order or a reissue, and finding one that was placed while nobody wrote it down.

use chancery_authority::external::UpstreamError;
use chancery_model::Timestamp;
use serde_json::Value;

use super::Place;
use super::client::{Answer, WHOM, number};
use super::order::{State, What};
use super::wish::Wish;

pub(super) enum Asked {
    Placed(State),
    /// Not so, but it may go like this.
    Otherwise(What),
    Refused(String),
}

/// Whatever is no clear answer is an error that passes: the next try looks for the order before it asks again.
pub(super) async fn ask(place: &Place<'_>, wish: &Wish, what: What) -> Result<Asked, UpstreamError> {
    let answer = match what {
        What::New { renewal_of } => {
            place.client.post(&["order", "certificate", &wish.product], &wish.order(renewal_of)).await?
        }
        What::Reissue { order, .. } => {
            place.client.post(&["order", "certificate", &order.to_string(), "reissue"], &wish.reissue()).await?
        }
    };
    if !answer.is_fine() {
        if answer.is_passing() {
            return Err(place.client.refused("to order", &answer));
        }
        return Ok(refused(place, what, &answer));
    }
    let certificate = number(answer.json.get("certificate_id"));
    match (what, number(answer.json.get("id"))) {
        (What::Reissue { order, replaced }, _) => Ok(Asked::Placed(placed(order, certificate, Some(replaced)))),
        (What::New { .. }, Some(order)) => Ok(Asked::Placed(placed(order, certificate, None))),
        (What::New { .. }, None) => {
            Err(UpstreamError::passing(format!("{WHOM} took the order and did not say its number; it is looked for")))
        }
    }
}

fn refused(place: &Place<'_>, what: What, answer: &Answer) -> Asked {
    let said = answer.said();
    match (answer.status, what) {
        // An order that cannot be followed on or reissued any more; an order of its own may do.
        (400 | 404 | 409, What::New { renewal_of: Some(_) }) if said.to_ascii_lowercase().contains("renew") => {
            Asked::Otherwise(What::New { renewal_of: None })
        }
        (400 | 404 | 409, What::Reissue { order, .. }) => Asked::Otherwise(What::New { renewal_of: Some(order) }),
        (400 | 404 | 409 | 422, _) => Asked::Refused(format!("{WHOM} refused the order: {said}")),
        _ => Asked::Refused(place.client.refused("to order", answer).text),
    }
}

const fn placed(order: i64, certificate: Option<i64>, replaced: Option<i64>) -> State {
    State::Placed { order, certificate, replaced, polls: 0 }
}

/// What may have been placed since `at`.
pub(super) async fn find(
    place: &Place<'_>,
    wish: &Wish,
    what: What,
    at: Timestamp,
) -> Result<Option<State>, UpstreamError> {
    match what {
        What::Reissue { order, replaced } => find_reissue(place, wish, order, replaced).await,
        What::New { .. } => match find_by_number(place, wish).await? {
            Some(state) => Ok(Some(state)),
            None => find_by_name(place, wish, at).await,
        },
    }
}

/// An order that was reissued has another certificate, or is about to; of this request, unless it shows another.
async fn find_reissue(
    place: &Place<'_>,
    wish: &Wish,
    order: i64,
    replaced: i64,
) -> Result<Option<State>, UpstreamError> {
    let answer = info(place, order).await?;
    let certificate = answer.json.get("certificate");
    let id = number(certificate.and_then(|it| it.get("id")));
    let is_ours = certificate.and_then(|it| it.get("csr")).and_then(Value::as_str).is_none_or(|csr| wish.is_of(csr));
    let is_pending = answer.json.get("status").and_then(Value::as_str) == Some("reissue_pending");
    let has_another = id.is_some_and(|id| id != replaced);
    Ok((is_pending || (has_another && is_ours)).then(|| placed(order, id.filter(|_| has_another), Some(replaced))))
}

/// By the number that we gave it.
async fn find_by_number(place: &Place<'_>, wish: &Wish) -> Result<Option<State>, UpstreamError> {
    let answer = place.client.get(&["order", "alternate", wish.number()]).await?;
    if answer.status == 404 {
        return Ok(None);
    }
    let answer = place.client.fine("to look for an order by our number", answer)?;
    let orders = orders(&answer)?;
    let live = orders.iter().find(|order| !is_dead(order));
    Ok(live.and_then(|order| {
        let id = number(order.get("order_id").or_else(|| order.get("id")))?;
        Some(placed(id, number(order.get("certificate_id")), None))
    }))
}

/// The newest orders of the name, held against our request one by one: for when the number got lost there.
async fn find_by_name(place: &Place<'_>, wish: &Wish, at: Timestamp) -> Result<Option<State>, UpstreamError> {
    let query = [("filters[common_name]", wish.common_name.as_str()), ("sort", "-date_created"), ("limit", "20")];
    let answer = place.client.search(&["order", "certificate"], &query).await?;
    let answer = place.client.fine("to look for orders by name", answer)?;
    for order in orders(&answer)? {
        let created = order.get("date_created").and_then(Value::as_str).and_then(|it| Timestamp::parse_date(it).ok());
        if is_dead(order) || created.is_some_and(|created| created < at.plus_seconds(-CLOCKS_DIFFER)) {
            continue;
        }
        let Some(id) = number(order.get("id")) else { continue };
        let shown = info(place, id).await?;
        let certificate = shown.json.get("certificate");
        let csr = certificate.and_then(|it| it.get("csr")).and_then(Value::as_str);
        if csr.is_some_and(|csr| wish.is_of(csr)) {
            return Ok(Some(placed(id, number(certificate.and_then(|it| it.get("id"))), None)));
        }
    }
    Ok(None)
}

/// Seconds by which clocks may differ.
const CLOCKS_DIFFER: i64 = 600;

async fn info(place: &Place<'_>, order: i64) -> Result<Answer, UpstreamError> {
    let answer = place.client.get(&["order", "certificate", &order.to_string()]).await?;
    place.client.fine("to look at an order", answer)
}

/// A search that does not say what it found has not said that there is nothing.
fn orders(answer: &Answer) -> Result<&[Value], UpstreamError> {
    let orders = answer.json.get("orders").and_then(Value::as_array).map(Vec::as_slice);
    let total = answer.json.get("page").and_then(|it| it.get("total")).and_then(Value::as_i64);
    match (orders, total) {
        (Some(orders), _) => Ok(orders),
        (None, Some(0)) => Ok(&[]),
        (None, _) => Err(UpstreamError::passing(format!("{WHOM} answered a search without a list of orders"))),
    }
}

fn is_dead(order: &Value) -> bool {
    let status = order.get("status").and_then(Value::as_str).unwrap_or_default();
    matches!(status, "rejected" | "canceled" | "cancelled")
}
