//! Google Cloud DNS (API v1). All values of a name are one record set there; a change takes the set away exactly as it was
//! read and adds another, and fails as a whole if the set has changed meanwhile.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chancery_authority::external::{Asking, OpenedConnection, UpstreamError};
use chancery_egress::{Egress, EgressRequest, HeaderMap, HeaderValue, Method, Url};
use chancery_model::Clock;
use chancery_pkix::pem;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::rest::{Rest, endpoint, https, quoted, unquoted};
use super::{DnsProvider, OVERTAKEN_MAX, TTL, Txt};
use crate::exchange;

const PUBLIC: &str = "https://dns.googleapis.com";
const SCOPE: &str = "https://www.googleapis.com/auth/ndev.clouddns.readwrite";
/// Seconds that a token is asked for.
const TOKEN_LIFE: i64 = 600;
const PAGES_MAX: u32 = 40;

pub(super) struct Google<'c> {
    rest: Rest<'c>,
    account: ServiceAccount,
    token_url: Url,
}

/// The parts of a key file that are used.
#[derive(Deserialize)]
struct ServiceAccount {
    #[serde(rename = "type")]
    kind: String,
    project_id: String,
    client_email: String,
    private_key_id: String,
    #[serde(deserialize_with = "super::rest::secret")]
    private_key: Zeroizing<String>,
    token_uri: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ZonePage {
    #[serde(default)]
    managed_zones: Vec<Zone>,
    next_page_token: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Zone {
    name: String,
    dns_name: String,
    visibility: Option<String>,
}

#[derive(Deserialize)]
struct RecordSets {
    #[serde(default)]
    rrsets: Vec<RecordSet>,
}

#[derive(Clone, Serialize, Deserialize)]
struct RecordSet {
    name: String,
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    ttl: u32,
    #[serde(default)]
    rrdatas: Vec<String>,
}

impl<'c> Google<'c> {
    pub fn new(
        egress: &'c Egress,
        clock: &'c dyn Clock,
        connection: &'c OpenedConnection,
    ) -> Result<Self, UpstreamError> {
        let base = endpoint(connection, "endpoint", PUBLIC)?;
        let account: ServiceAccount =
            serde_json::from_str(connection.required("serviceAccountKey")?).map_err(|error| {
                // The reason may quote the file, so only its place is told.
                UpstreamError::lasting(format!(
                    "serviceAccountKey is not a service account's key file (line {}); paste the JSON file whole, as it was downloaded",
                    error.line()
                ))
            })?;
        if account.kind != "service_account" {
            return Err(UpstreamError::lasting(
                "serviceAccountKey is of another type than service_account; download a key of a service account",
            ));
        }
        let token_url = https("token_uri in serviceAccountKey", &account.token_uri)?;
        Ok(Self { rest: Rest { egress, clock, whom: "Google Cloud DNS", base, said }, account, token_url })
    }

    /// The JWT bearer grant (RFC 7523 §2.1).
    async fn token(&self) -> Result<HeaderMap, UpstreamError> {
        let login = Rest { base: self.token_url.clone(), whom: "Google sign-in", said: said_at_login, ..self.rest };
        let assertion = self.assertion()?;
        let form = Zeroizing::new(
            url::form_urlencoded::Serializer::new(String::new())
                .append_pair("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer")
                .append_pair("assertion", &assertion)
                .finish(),
        );
        let mut headers = HeaderMap::new();
        headers.insert("content-type", HeaderValue::from_static("application/x-www-form-urlencoded"));
        headers.insert("accept", HeaderValue::from_static("application/json"));
        let request = EgressRequest::post(self.token_url.clone(), headers, form.as_bytes().to_vec());
        let reply = exchange::ask(self.rest.egress, login.whom, request).await?;
        super::azure::bearer(&login, &reply)
    }

    fn assertion(&self) -> Result<Zeroizing<String>, UpstreamError> {
        let now = self.rest.clock.now().as_seconds();
        let header = json!({ "alg": "RS256", "typ": "JWT", "kid": self.account.private_key_id });
        let claims = json!({
            "iss": self.account.client_email, "scope": SCOPE, "aud": self.account.token_uri,
            "iat": now, "exp": now + TOKEN_LIFE,
        });
        let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", encode(&header), encode(&claims));
        let wrong = || {
            UpstreamError::lasting("private_key in serviceAccountKey is not an RSA key; download the key file again")
        };
        let blocks = pem::decode(&self.account.private_key, pem::OutsideText::Skip).map_err(|_| wrong())?;
        let block = blocks.first().ok_or_else(wrong)?;
        let key = RsaKeyPair::from_pkcs8(&block.der).map_err(|_| wrong())?;
        let mut signature = vec![0; key.public_modulus_len()];
        key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), signed.as_bytes(), &mut signature).map_err(|_| wrong())?;
        Ok(Zeroizing::new(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))))
    }

    /// The managed zone's name, with its project before it (`<project>/<zone>`) where it is not the account's own, or the
    /// DNS name of a public zone.
    async fn zone(&self, token: &HeaderMap, zone: &str) -> Result<(String, String), UpstreamError> {
        let (project, zone) = zone.split_once('/').unwrap_or((&self.account.project_id, zone));
        if !zone.contains('.') {
            return Ok((project.to_owned(), zone.to_owned()));
        }
        let wanted = format!("{zone}.");
        let mut page_token = String::new();
        for _ in 0..PAGES_MAX {
            let mut query = vec![("dnsName", wanted.as_str()), ("maxResults", "50")];
            if !page_token.is_empty() {
                query.push(("pageToken", &page_token));
            }
            let url = self.rest.at(&["dns", "v1", "projects", project, "managedZones"], &query)?;
            let reply = self.rest.send(Method::GET, url, token.clone(), None).await?;
            let page: ZonePage = self.rest.read(&reply)?;
            let is_public = |it: &&Zone| it.visibility.as_deref().is_none_or(|it| it == "public");
            let found =
                page.managed_zones.iter().filter(is_public).find(|it| it.dns_name.eq_ignore_ascii_case(&wanted));
            if let Some(found) = found {
                return Ok((project.to_owned(), found.name.clone()));
            }
            match page.next_page_token.filter(|it| !it.is_empty()) {
                Some(next) => page_token = next,
                None => break,
            }
        }
        Err(UpstreamError::lasting(format!(
            "Google Cloud DNS: no public zone {zone} is to be seen in the project {project}; set hostedZoneId to the managed zone's name"
        )))
    }

    async fn change(&self, txt: Txt<'_>, is_wanted: bool) -> Result<(), UpstreamError> {
        let token = self.token().await?;
        let (project, zone) = self.zone(&token, txt.zone).await?;
        let name = format!("{}.", txt.name);
        let path = ["dns", "v1", "projects", &project, "managedZones", &zone];
        for _ in 0..OVERTAKEN_MAX {
            let url = self.rest.at(&[&path[..], &["rrsets"]].concat(), &[("name", &name), ("type", "TXT")])?;
            let reply = self.rest.send(Method::GET, url, token.clone(), None).await?;
            let found: RecordSets = self.rest.read(&reply)?;
            let before = found.rrsets.into_iter().find(|it| it.kind == "TXT" && it.name.eq_ignore_ascii_case(&name));
            let mut values = before.as_ref().map(|it| it.rrdatas.clone()).unwrap_or_default();
            if values.iter().any(|it| unquoted(it) == txt.value) == is_wanted {
                return Ok(());
            }
            if is_wanted {
                values.push(quoted(txt.value));
            } else {
                values.retain(|it| unquoted(it) != txt.value);
            }
            let ttl = before.as_ref().map_or(TTL, |it| it.ttl);
            let after = RecordSet { name: name.clone(), kind: "TXT".to_owned(), ttl, rrdatas: values };
            let additions = if after.rrdatas.is_empty() { json!([]) } else { json!([after]) };
            let deletions = before.as_ref().map_or_else(|| json!([]), |before| json!([before]));
            let body = json!({ "additions": additions, "deletions": deletions });
            let url = self.rest.at(&[&path[..], &["changes"]].concat(), &[])?;
            let reply = self.rest.send(Method::POST, url, token.clone(), Some(&body)).await?;
            // Overtaken: it has changed since it was read, or come into being.
            if !matches!(reply.status.as_u16(), 409 | 412) {
                return self.rest.succeeded(&reply);
            }
        }
        Err(UpstreamError::passing(format!("Google Cloud DNS: the record {} keeps being changed by others", txt.name)))
    }
}

impl DnsProvider for Google<'_> {
    fn add_txt<'a>(&'a self, txt: Txt<'a>) -> Asking<'a, ()> {
        Box::pin(self.change(txt, true))
    }

    fn remove_txt<'a>(&'a self, txt: Txt<'a>) -> Asking<'a, ()> {
        Box::pin(self.change(txt, false))
    }

    /// A token proves the key; what it may do is asked only with a zone.
    fn check(&self) -> Asking<'_, ()> {
        Box::pin(async move { self.token().await.map(|_| ()) })
    }
}

fn said(body: &Value) -> Option<String> {
    body.pointer("/error/message")?.as_str().map(str::to_owned)
}

/// RFC 6749 §5.2.
fn said_at_login(body: &Value) -> Option<String> {
    body.get("error_description").or_else(|| body.get("error"))?.as_str().map(str::to_owned)
}
