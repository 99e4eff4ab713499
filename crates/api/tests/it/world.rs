//! A core, its router, an administrator, and how to call.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use chancery_api::{ApiState, Peer, RateLimit, router};
use chancery_authority::external::{NoUpstream, Upstream};
use chancery_authority::{Authority, AuthorityConfig};
use chancery_keys::{Kek, SystemRandomness};
use chancery_model::time::SystemClock;
use chancery_store::Location;
use http::{HeaderMap, StatusCode, header};
use serde_json::{Value, json};
use tower::ServiceExt;

pub const EMAIL: &str = "admin@example.internal";
pub const PASSWORD: &str = "correct horse battery staple";

pub struct World {
    pub router: Router,
    pub authority: Authority,
    pub admin: String,
    _folder: tempfile::TempDir,
}

pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub bytes: Vec<u8>,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.bytes)
            .unwrap_or_else(|_| panic!("not JSON: {}", String::from_utf8_lossy(&self.bytes)))
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }

    /// The JSON of a successful answer.
    #[track_caller]
    pub fn ok(&self) -> Value {
        assert_eq!(self.status, 200, "{}", self.text());
        self.json()
    }

    /// The JSON of an error, whose body must have the wire's shape.
    #[track_caller]
    pub fn error(&self, status: u16, word: &str) -> Value {
        assert_eq!(self.status.as_u16(), status, "{}", self.text());
        let body = self.json();
        assert_eq!(body["error"], word, "{body}");
        assert_eq!(body["statusCode"], status, "{body}");
        assert!(body["reqId"].as_str().is_some_and(|id| !id.is_empty()), "{body}");
        assert!(body["code"].as_str().is_some_and(|code| !code.is_empty()), "{body}");
        assert_eq!(body["message"].is_array(), status == 422, "{body}");
        body
    }
}

/// One call being put together.
pub struct CallBuilder<'a> {
    world: &'a World,
    request: http::request::Builder,
    body: Vec<u8>,
}

impl CallBuilder<'_> {
    pub fn token(mut self, token: &str) -> Self {
        self.request = self.request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        self
    }

    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.request = self.request.header(name, value);
        self
    }

    pub fn json(mut self, body: &Value) -> Self {
        self.request = self.request.header(header::CONTENT_TYPE, "application/json");
        self.body = serde_json::to_vec(body).unwrap();
        self
    }

    pub fn raw(mut self, media_type: &str, body: impl Into<Vec<u8>>) -> Self {
        self.request = self.request.header(header::CONTENT_TYPE, media_type);
        self.body = body.into();
        self
    }

    pub async fn send(self) -> Answer {
        let peer = Peer(IpAddr::V4(Ipv4Addr::LOCALHOST));
        let request: Request = self.request.extension(peer).body(Body::from(self.body)).unwrap();
        let response = self.world.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = axum::body::to_bytes(body, usize::MAX).await.unwrap().to_vec();
        assert_eq!(parts.headers["x-content-type-options"], "nosniff");
        Answer { status: parts.status, headers: parts.headers, bytes }
    }
}

impl World {
    pub async fn new() -> Self {
        Self::with_limit(None).await
    }

    pub async fn with_limit(limit: Option<RateLimit>) -> Self {
        Self::made(limit, Arc::new(NoUpstream)).await
    }

    /// With CAs elsewhere that do as the test says.
    pub async fn with_upstream(upstream: Arc<dyn Upstream>) -> Self {
        Self::made(None, upstream).await
    }

    async fn made(limit: Option<RateLimit>, upstream: Arc<dyn Upstream>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let kek = Kek::create_file(&folder.path().join("kek"), &SystemRandomness).unwrap();
        let config = AuthorityConfig {
            location: Location::Sqlite { path: folder.path().join("chancery.db") },
            node: "test".to_owned(),
            kek,
            site_url: None,
            repository_url: None,
            notifier: Arc::new(chancery_authority::alert::NoNotifier),
            upstream,
        };
        let authority = Authority::open(config, Arc::new(SystemClock), Arc::new(SystemRandomness)).await.unwrap();
        authority.ensure_administrator(EMAIL, PASSWORD).await.unwrap();
        let state = ApiState::with_limits(authority.clone(), limit, Duration::from_secs(60));
        let mut world = Self { router: router(state), authority, admin: String::new(), _folder: folder };
        let login = json!({ "email": EMAIL, "password": PASSWORD });
        let session = world.call("POST", "/api/v1/auth/login").json(&login).send().await.ok();
        world.admin = session["accessToken"].as_str().unwrap().to_owned();
        world
    }

    pub fn call(&self, method: &str, path: &str) -> CallBuilder<'_> {
        CallBuilder { world: self, request: http::Request::builder().method(method).uri(path), body: Vec::new() }
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.call("GET", path).token(&self.admin).send().await
    }

    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        self.call("POST", path).token(&self.admin).json(body).send().await
    }

    pub async fn patch(&self, path: &str, body: &Value) -> Answer {
        self.call("PATCH", path).token(&self.admin).json(body).send().await
    }

    pub async fn delete(&self, path: &str) -> Answer {
        self.call("DELETE", path).token(&self.admin).send().await
    }

    /// A machine identity with a role: its token.
    pub async fn identity(&self, role: &str) -> String {
        let body = json!({ "name": format!("{role}-robot"), "role": role, "organizationId": "ignored" });
        let identity = self.post("/api/v1/identities", &body).await.ok();
        let id = identity["identity"]["id"].as_str().unwrap().to_owned();
        let base = format!("/api/v1/auth/universal-auth/identities/{id}");
        let auth = self.post(&base, &json!({})).await.ok();
        let secret = self.post(&format!("{base}/client-secrets"), &json!({})).await.ok();
        self.login(&auth["identityUniversalAuth"]["clientId"], &secret["clientSecret"]).await
    }

    pub async fn login(&self, client_id: &Value, client_secret: &Value) -> String {
        let body = json!({ "clientId": client_id, "clientSecret": client_secret });
        let session = self.call("POST", "/api/v1/auth/universal-auth/login/").json(&body).send().await.ok();
        session["accessToken"].as_str().unwrap().to_owned()
    }

    /// The administrator of a fresh project: its token.
    pub async fn other_project(&self) -> String {
        let project = self.post("/api/v2/workspace", &json!({ "projectName": "Other" })).await.ok();
        let id = project["project"]["id"].as_str().unwrap().to_owned();
        let path = format!("/api/v1/projects/{id}/administrators");
        let appointed = self.post(&path, &json!({ "name": "first" })).await.ok();
        self.login(&appointed["clientId"], &appointed["clientSecret"]).await
    }

    /// Root, issuing CA, template for `*.acme.com`, profile.
    pub async fn with_profile(&self) -> Setup {
        let root = json!({ "name": "root", "status": "active", "configuration": {
            "type": "root", "commonName": "Acme Root", "keyAlgorithm": "EC_prime256v1",
            "notAfter": "2046-01-01", "maxPathLength": -1 } });
        let root = self.post("/api/v1/cert-manager/ca/internal", &root).await.ok();
        assert_eq!(root["status"], "active");
        let issuing = json!({ "name": "issuing", "status": "active", "configuration": {
            "type": "intermediate", "commonName": "Acme Issuing", "keyAlgorithm": "EC_prime256v1" } });
        let issuing = self.post("/api/v1/cert-manager/ca/internal", &issuing).await.ok();
        assert_eq!(issuing["status"], "pending-certificate");
        let issuing = id(&issuing);
        let body = json!({ "notAfter": "2040-01-01T00:00:00.000Z", "maxPathLength": 0, "parentCaId": root["id"] });
        self.post(&format!("/api/v1/cert-manager/ca/internal/{issuing}/certificate"), &body).await.ok();
        let template = json!({ "name": "acme", "preset": "tls-server",
            "subject": [{ "type": "common_name", "allowed": ["*.acme.com"] }],
            "sans": [{ "type": "dns_name", "allowed": ["*.acme.com"] }],
            "validity": { "max": "365d" } });
        let template = self.post("/api/v1/cert-manager/certificate-policies", &template).await.ok();
        let template = id(&template["certificatePolicy"]);
        let profile = json!({ "slug": "web", "caId": issuing, "certificatePolicyId": template,
            "defaults": { "ttlDays": 90 }, "allowKeyReuse": true });
        let profile = self.post("/api/v1/cert-manager/certificate-profiles", &profile).await.ok();
        Setup { root: id(&root), issuing, template, profile: id(&profile["certificateProfile"]) }
    }

    pub async fn issue(&self, setup: &Setup, common_name: &str) -> Value {
        let body = json!({ "profileId": setup.profile, "attributes": {
            "commonName": common_name, "altNames": [{ "type": "dns_name", "value": common_name }] } });
        self.post("/api/v1/cert-manager/certificates", &body).await.ok()
    }
}

pub struct Setup {
    pub root: String,
    pub issuing: String,
    pub template: String,
    pub profile: String,
}

pub fn id(object: &Value) -> String {
    object["id"].as_str().unwrap_or_else(|| panic!("no id in {object}")).to_owned()
}

/// A CSR by the OpenSSL program, with its key thrown away.
pub fn csr(common_name: &str) -> String {
    let arguments = [
        "req",
        "-new",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
        "-keyout",
        "/dev/null",
        "-subj",
    ];
    let subject = format!("/CN={common_name}");
    let names = format!("subjectAltName=DNS:{common_name}");
    let output = std::process::Command::new("openssl")
        .args(arguments)
        .args([subject.as_str(), "-addext", names.as_str()])
        .output()
        .expect("the openssl program is needed by this test");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}
