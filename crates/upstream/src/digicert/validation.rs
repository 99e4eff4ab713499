//! What an order waits for, in people's words: control of which names is to be proved and how, and what the
//! organisation lacks.

use chancery_authority::external::UpstreamError;
use serde_json::{Value, json};

use super::Place;
use super::client::{Answer, WHOM};
use super::wish::Wish;

/// Names that a message tells of; the rest is counted.
const NAMES_MAX: usize = 8;
const MESSAGE_MAX: usize = 1_500;

/// Whether names are being looked at, and the message. `check`: the service is asked to look again first.
pub(super) async fn waiting_for(
    place: &Place<'_>,
    order: &str,
    status: &str,
    wish: &Wish,
    check: bool,
) -> Result<(bool, String), UpstreamError> {
    if status == "needs_approval" {
        let text = "approve it there (the API key's user may not skip that)";
        return Ok((false, format!("Order {order} waits for approval in CertCentral; {text}")));
    }
    let answer = place.client.get(&["order", "certificate", order, "validation"]).await?;
    if answer.is_passing() {
        return Err(place.client.refused("to look at the validation of the order", &answer));
    }
    let (names, organization) =
        (pending(&answer, "dns_name_validations"), pending(&answer, "organization_validations"));
    let mut parts = Vec::new();
    if names.iter().any(|name| method(name).is_some_and(|it| it.ends_with("-token"))) {
        let token = token(place, order).await?;
        if check {
            // "Not there yet" is an error of this call, and no news.
            let answer = place.client.put(&["order", "certificate", order, "check-dcv"], &json!({})).await?;
            if answer.is_passing() {
                return Err(place.client.refused("to look at the proofs again", &answer));
            }
        }
        parts.extend(names.iter().take(NAMES_MAX).map(|name| prove(name, token.as_deref())));
    } else {
        parts.extend(names.iter().take(NAMES_MAX).map(|name| prove(name, None)));
    }
    if names.len() > NAMES_MAX {
        parts.push(format!("and {} more names", names.len() - NAMES_MAX));
    }
    for one in &organization {
        let kind = one.get("description").or_else(|| one.get("name")).and_then(Value::as_str).unwrap_or("validation");
        parts.push(format!("{WHOM} is still validating the organisation ({kind}); see CertCentral"));
    }
    if parts.is_empty() {
        let status = if status.is_empty() { "under way" } else { status };
        return Ok((false, format!("Order {order} for {} is {status} at {WHOM}", wish.common_name)));
    }
    let text = format!("Order {order}: {}", parts.join("; "));
    Ok((!names.is_empty(), text.chars().take(MESSAGE_MAX).collect()))
}

/// Those of a list that are not done.
fn pending<'a>(answer: &'a Answer, list: &str) -> Vec<&'a Value> {
    let all = answer.json.get(list).and_then(Value::as_array);
    let is_done = |one: &Value| {
        let status = one.get("status").and_then(Value::as_str).unwrap_or_default();
        matches!(status.to_ascii_lowercase().as_str(), "approved" | "complete" | "completed" | "active" | "valid")
    };
    all.into_iter().flatten().filter(|one| !is_done(one)).collect()
}

fn method(name: &Value) -> Option<&str> {
    name.get("method").and_then(Value::as_str)
}

/// The order's random value; the service gives the same one until it expires.
async fn token(place: &Place<'_>, order: &str) -> Result<Option<String>, UpstreamError> {
    let answer = place.client.put(&["order", "certificate", order, "dcv-random-value"], &json!({})).await?;
    if answer.is_passing() {
        return Err(place.client.refused("for the value that proves control of a name", &answer));
    }
    let token = answer.json.get("dcv_random_value").and_then(Value::as_str);
    Ok(token.filter(|it| it.len() <= 255).map(ToOwned::to_owned))
}

fn prove(name: &Value, token: Option<&str>) -> String {
    let scope = name.get("name_scope").and_then(Value::as_str).unwrap_or("a name");
    let value = token.unwrap_or("the value shown in CertCentral");
    match method(name) {
        Some("email") => {
            format!("follow the link in the e-mail that {WHOM} has sent for {scope} (CertCentral shows to whom)")
        }
        Some("dns-txt-token") => format!("set a TXT record at {scope} with {value}"),
        Some("dns-cname-token") => format!("set a CNAME record at {value}.{scope} to dcv.digicert.com"),
        Some("http-token") => {
            format!("serve {value} as text at http://{scope}/.well-known/pki-validation/fileauth.txt")
        }
        _ => format!("prove control of {scope} in CertCentral"),
    }
}
