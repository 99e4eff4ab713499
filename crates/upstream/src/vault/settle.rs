//! Whether the settings of a CA hold: is there such a role, is there such an issuer.

use chancery_authority::external::{Settled, UpstreamError};
use serde_json::{Map, Value};

use super::Place;
use super::client::{Answer, WHOM};

pub(super) async fn settle(place: &Place<'_>) -> Result<Settled, UpstreamError> {
    let (mut standing, mut warnings) = (Map::new(), Vec::new());
    let answer = place.client.get(place.mount().then(["roles", &place.settings.role])).await?;
    role(place, answer, &mut standing, &mut warnings)?;
    if let Some(name) = &place.settings.issuer_ref {
        let answer = place.client.get(place.mount().then(["issuer", name])).await?;
        issuer(place, name, answer, &mut standing, &mut warnings)?;
    }
    Ok(Settled { standing: Value::Object(standing), secrets: std::collections::BTreeMap::new(), warnings })
}

fn role(
    place: &Place<'_>,
    answer: Answer,
    standing: &mut Map<String, Value>,
    warnings: &mut Vec<String>,
) -> Result<(), UpstreamError> {
    let (role, mount) = (&place.settings.role, &place.settings.mount);
    if answer.status == 403 {
        warnings.push(format!(
            "the app connection may not read {mount}/roles/{role}, so it was not checked that the role exists; its policy needs read for that"
        ));
        return Ok(());
    }
    if answer.status == 404 {
        let text = format!("{WHOM} has no role {role} at {mount}; create it there, or correct role or mount");
        return Err(UpstreamError::lasting(text));
    }
    let answer = place.client.fine("to read the role", answer)?;
    for (member, name) in [("max_ttl", "roleMaxTtl"), ("key_type", "roleKeyType"), ("issuer_ref", "roleIssuerRef")] {
        if let Some(value) = answer.data(member) {
            standing.insert(name.to_owned(), value.clone());
        }
    }
    if answer.data("no_store") == Some(&Value::Bool(true)) {
        warnings.push(format!(
            "the role {role} keeps no certificates (no_store): an answer that gets lost on its way cannot be found again and is asked for twice"
        ));
    }
    if let Some(kind) = answer.text("key_type").filter(|kind| *kind != "any") {
        warnings.push(format!("the role {role} signs keys of the type {kind} only; let the template allow no others"));
    }
    Ok(())
}

fn issuer(
    place: &Place<'_>,
    name: &str,
    answer: Answer,
    standing: &mut Map<String, Value>,
    warnings: &mut Vec<String>,
) -> Result<(), UpstreamError> {
    let mount = &place.settings.mount;
    match answer.status {
        403 => {
            let text = "so it was not checked that the issuer exists; its policy needs read for that";
            warnings.push(format!("the app connection may not read {mount}/issuer/{name}, {text}"));
            return Ok(());
        }
        // "unable to find PKI issuer for reference" comes as 500 from some versions.
        400 | 404 => {}
        500 if answer.said().contains("unable to find") => {}
        _ => {
            let answer = place.client.fine("to read the issuer", answer)?;
            for (member, shown) in [("issuer_id", "issuerId"), ("issuer_name", "issuerName")] {
                if let Some(value) = answer.data(member) {
                    standing.insert(shown.to_owned(), value.clone());
                }
            }
            return Ok(());
        }
    }
    let text = format!("{WHOM} has no issuer {name} at {mount}; correct issuerRef, or leave it out for the role's own");
    Err(UpstreamError::lasting(text))
}
