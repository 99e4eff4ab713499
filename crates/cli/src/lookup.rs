//! From the names that people type to the ids that the API takes.

use serde_json::Value;
use uuid::Uuid;

use crate::client::{CERT_MANAGER, Client};
use crate::error::CliError;
use crate::output::{list_at, text_at};

/// The largest page the API gives.
const PAGE_SIZE: usize = 100;
/// Beyond this many entries a name has to be given as an id.
const ENTRIES_MAX: usize = 2_000;

fn is_id(text: &str) -> bool {
    Uuid::try_parse(text).is_ok_and(|id| id.hyphenated().to_string().eq_ignore_ascii_case(text))
}

/// The profile with this slug or id, as the API shows it.
pub async fn profile(client: &Client, name: &str) -> Result<Value, CliError> {
    let path = if is_id(name) {
        format!("{CERT_MANAGER}/certificate-profiles/{name}")
    } else {
        format!("{CERT_MANAGER}/certificate-profiles/slug/{}", encoded(name))
    };
    let mut answer = client.get(&path).await?.success()?;
    Ok(answer.pointer_mut("/certificateProfile").map(Value::take).unwrap_or_default())
}

pub async fn profile_id(client: &Client, name: &str) -> Result<Uuid, CliError> {
    let id = if is_id(name) { name.to_owned() } else { text_at(&profile(client, name).await?, "/id") };
    id.parse().map_err(|_| client.unreadable("the profile has no id"))
}

/// The CA of any type with this name or id.
pub async fn ca(client: &Client, name: &str) -> Result<Value, CliError> {
    let all = client.get(&format!("{CERT_MANAGER}/ca")).await?.success()?;
    let mut all = list_at(&all, "/certificateAuthorities");
    if is_id(name) {
        let found = all.find(|one| text_at(one, "/id").eq_ignore_ascii_case(name)).cloned();
        return found
            .ok_or_else(|| CliError::Missing(format!("There is no certification authority with the id {name}")));
    }
    named(all, name, "certification authority", "chancery ca list")
}

pub async fn ca_id(client: &Client, name: &str) -> Result<String, CliError> {
    if is_id(name) { Ok(name.to_owned()) } else { Ok(text_at(&ca(client, name).await?, "/id")) }
}

/// The template with this name or id.
pub async fn template(client: &Client, name: &str) -> Result<Value, CliError> {
    if is_id(name) {
        let mut answer = client.get(&format!("{CERT_MANAGER}/certificate-policies/{name}")).await?.success()?;
        return Ok(answer.pointer_mut("/certificatePolicy").map(Value::take).unwrap_or_default());
    }
    let path = format!("{CERT_MANAGER}/certificate-policies?search={}", encoded(name));
    let found = all_pages(client, &path, "/certificatePolicies").await?;
    named(found.iter(), name, "certificate template", "chancery template list")
}

pub async fn template_id(client: &Client, name: &str) -> Result<String, CliError> {
    if is_id(name) { Ok(name.to_owned()) } else { Ok(text_at(&template(client, name).await?, "/id")) }
}

/// The application with this name or id, as the API shows it.
pub async fn application(client: &Client, name: &str) -> Result<Value, CliError> {
    let rest = if is_id(name) { name.to_owned() } else { format!("by-name/{}", encoded(name)) };
    let mut answer = client.get(&format!("{CERT_MANAGER}/applications/{rest}")).await?.success()?;
    Ok(answer.pointer_mut("/application").map(Value::take).unwrap_or_default())
}

pub async fn application_id(client: &Client, name: &str) -> Result<Uuid, CliError> {
    let id = if is_id(name) { name.to_owned() } else { text_at(&application(client, name).await?, "/id") };
    id.parse().map_err(|_| client.unreadable("the application has no id"))
}

/// The project that the session works in.
pub async fn project_id(client: &Client) -> Result<String, CliError> {
    let projects = client.get("/api/v1/projects").await?.success()?;
    let id = text_at(&projects, "/projects/0/id");
    if id.is_empty() { Err(CliError::Missing("This identity belongs to no project".to_owned())) } else { Ok(id) }
}

/// Every entry of a paged list.
pub async fn all_pages(client: &Client, path: &str, pointer: &str) -> Result<Vec<Value>, CliError> {
    let joint = if path.contains('?') { '&' } else { '?' };
    let mut entries = Vec::new();
    while entries.len() < ENTRIES_MAX {
        let page = client.get(&format!("{path}{joint}limit={PAGE_SIZE}&offset={}", entries.len())).await?.success()?;
        let before = entries.len();
        entries.extend(list_at(&page, pointer).cloned());
        if entries.len() - before < PAGE_SIZE {
            break;
        }
    }
    Ok(entries)
}

fn named<'a>(
    mut found: impl Iterator<Item = &'a Value>,
    name: &str,
    what: &str,
    look: &str,
) -> Result<Value, CliError> {
    found
        .find(|one| one.get("name").and_then(Value::as_str) == Some(name))
        .cloned()
        .ok_or_else(|| CliError::Missing(format!("There is no {what} named \"{name}\"; `{look}` shows what there is")))
}

/// A path segment or query value with everything but unreserved characters percent-encoded (RFC 3986 §2.3).
pub(crate) fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_leave_their_place_in_a_path() {
        for (text, expected) in
            [("tls-server", "tls-server"), ("../ca", "..%2Fca"), ("a b?c#d", "a%20b%3Fc%23d"), ("ä", "%C3%A4")]
        {
            assert_eq!(encoded(text), expected);
        }
    }

    #[test]
    fn only_a_hyphenated_uuid_is_an_id() {
        assert!(is_id("01890a5d-ac96-774b-bcce-b302099a8057"));
        for text in ["01890a5dac96774bbcceb302099a8057", "tls-server", "", "{01890a5d-ac96-774b-bcce-b302099a8057}"] {
            assert!(!is_id(text), "{text}");
        }
    }
}
