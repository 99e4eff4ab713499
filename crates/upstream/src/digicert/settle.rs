//! Whether the settings of a CA hold: whose key is it, is the organisation there and active, is there such a product.

use std::collections::BTreeMap;

use chancery_authority::external::{Settled, UpstreamError};
use serde_json::{Map, Value};

use super::Place;
use super::client::{Client, WHOM};

pub(super) async fn account(client: &Client<'_>) -> Result<(), UpstreamError> {
    let answer = client.get(&["user", "me"]).await?;
    // A key that may only order may not even look at its user; it is a good key all the same.
    if answer.status == 403 {
        return Ok(());
    }
    let answer = client.fine("to look at its user", answer)?;
    if answer.json.is_object() {
        return Ok(());
    }
    Err(UpstreamError::lasting(format!("what answers at endpoint does not speak as {WHOM} does (no JSON)")))
}

pub(super) async fn settle(place: &Place<'_>) -> Result<Settled, UpstreamError> {
    account(&place.client).await?;
    let (mut standing, mut warnings) = (Map::new(), Vec::new());
    organization(place, &mut standing, &mut warnings).await?;
    product(place, &mut standing, &mut warnings).await?;
    Ok(Settled { standing: Value::Object(standing), secrets: BTreeMap::new(), warnings })
}

async fn organization(
    place: &Place<'_>,
    standing: &mut Map<String, Value>,
    warnings: &mut Vec<String>,
) -> Result<(), UpstreamError> {
    let id = place.settings.organization_id.to_string();
    let answer = place.client.get(&["organization", &id]).await?;
    match answer.status {
        403 => {
            warnings.push(format!("the API key may not look at organisation {id}, so it was not checked"));
            return Ok(());
        }
        404 => {
            let text = format!("{WHOM} has no organisation {id} in this account; correct organizationId");
            return Err(UpstreamError::lasting(text));
        }
        _ => {}
    }
    let answer = place.client.fine("to look at the organisation", answer)?;
    let status = answer.json.get("status").and_then(Value::as_str).unwrap_or("active");
    if status != "active" {
        let text = format!("organisation {id} is {status} at {WHOM}; activate it in CertCentral or name another");
        return Err(UpstreamError::lasting(text));
    }
    if let Some(name) = answer.json.get("name") {
        standing.insert("organization".to_owned(), name.clone());
    }
    Ok(())
}

async fn product(
    place: &Place<'_>,
    standing: &mut Map<String, Value>,
    warnings: &mut Vec<String>,
) -> Result<(), UpstreamError> {
    let name = &place.settings.product_name_id;
    let answer = place.client.get(&["product", name]).await?;
    match answer.status {
        403 => {
            warnings.push(format!("the API key may not look at product {name}, so it was not checked"));
            return Ok(());
        }
        400 | 404 => {
            let text = format!("{WHOM} has no product {name} for this account; correct productNameId");
            return Err(UpstreamError::lasting(text));
        }
        _ => {}
    }
    let answer = place.client.fine("to look at the product", answer)?;
    if let Some(name) = answer.json.get("name") {
        standing.insert("product".to_owned(), name.clone());
    }
    Ok(())
}
