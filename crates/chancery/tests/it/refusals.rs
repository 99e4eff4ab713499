//! Bad input over the whole server: each gets its clear answer, nothing is issued, and the server goes on.
//!
//! ```text
//! root ── issuing ── template *.acme.test ── profile          (self-signed profile beside it)
//!                └── template without any rule ── open profile
//! ```
//!
//! Verified: certification requests and keys (`csr`), bodies, JSON, headers and paths (`door`), names (`names`), template
//! and profile rules (`rules`). After every table: the inventory is as long as before, the server issues, and each
//! refusal that was decided (rather than not understood) stands in the audit log under its request id.

mod csr;
mod door;
mod forge;
mod names;
mod rules;

use chancery_testkit::world::{CERT_MANAGER, Pki, Session, World, text};
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

pub const CERTIFICATES: &str = "/api/v1/cert-manager/certificates";

/// A server with something to ask it for.
struct Desk {
    world: World,
    pki: Pki,
    /// Issues whatever is well formed.
    open: Uuid,
}

/// What a refusal must be.
#[derive(Clone, Copy, Debug)]
struct Refusal {
    status: u16,
    error: &'static str,
    code: &'static str,
}

const fn bad_request(code: &'static str) -> Refusal {
    Refusal { status: 400, error: "BadRequest", code }
}

/// Of another shape than the schema's.
const SCHEMA: Refusal = Refusal { status: 422, error: "ValidationFailure", code: "schema" };
const REFUSED: Refusal = bad_request("template.refused");

impl Desk {
    async fn open() -> Self {
        let world = World::start().await;
        let pki = world.pki().await;
        let open = open_profile(&world, pki.issuing).await;
        Self { world, pki, open }
    }

    /// Asks for a certificate that must be refused; the answer's body.
    async fn refuses(&self, body: &Value, expected: Refusal, words: &[&str]) -> Value {
        let (status, answer) = self.world.operator().post(CERTIFICATES, body).await;
        check_refusal(status, &answer, expected, words);
        answer
    }

    /// Ends the test: as many certificates as before, and the server still does its work.
    async fn closes(self, issued: u64) {
        assert_eq!(count(self.world.operator()).await, issued, "certificates in the inventory");
        self.world.issue(self.pki.profile, &json!({})).await;
        self.world.stop().await;
    }
}

/// A profile over a template without any rule.
pub async fn open_profile(world: &World, ca: Uuid) -> Uuid {
    let path = format!("{CERT_MANAGER}/certificate-policies");
    let made = world.admin().ok(Method::POST, &path, Some(&json!({"name": "open"}))).await;
    world.profile(&json!({"caId": ca, "certificatePolicyId": text(&made, "/certificatePolicy/id")})).await
}

/// How many certificates there are.
pub async fn count(session: &Session) -> u64 {
    let path = format!("/api/v1/projects/{}/certificates/search", project_of(session).await);
    let found = session.ok(Method::POST, &path, Some(&json!({"limit": 1}))).await;
    found["totalCount"].as_u64().unwrap()
}

/// The id of the session's project.
pub async fn project_of(session: &Session) -> String {
    text(&session.ok(Method::GET, "/api/v1/projects", None).await, "/projects/0/id")
}

/// Status, kind, code and words of an error, and that it shows nothing of the inside.
#[track_caller]
fn check_refusal(status: u16, answer: &Value, expected: Refusal, words: &[&str]) {
    assert_eq!(status, expected.status, "{answer:#}");
    assert_eq!(answer["statusCode"], expected.status, "{answer:#}");
    assert_eq!(answer["error"], expected.error, "{answer:#}");
    assert_eq!(answer["code"], expected.code, "{answer:#}");
    assert!(answer["reqId"].as_str().is_some_and(|id| id.len() >= 8), "{answer:#}");
    assert_eq!(answer["message"].is_array(), expected.error == "ValidationFailure", "{answer:#}");
    let refused = expected.code == "template.refused";
    assert_eq!(answer["violations"].as_array().is_some_and(|it| !it.is_empty()), refused, "{answer:#}");
    let said = answer.to_string();
    for word in words {
        assert!(said.contains(word), "{word:?} is not in {answer:#}");
    }
    for inside in ["SELECT ", "INSERT ", "panicked", ".rs:", "chancery-data", "/tmp/", "RustCrypto", "aws_lc"] {
        assert!(!said.contains(inside), "{inside:?} is in {answer:#}");
    }
}

/// Each of these request ids stands in the audit log as a refused certificate.
async fn assert_audited(world: &World, request_ids: &[String]) {
    let mut known = Vec::new();
    let mut cursor = String::new();
    loop {
        let path = format!("/api/v1/audit-logs?event=certificate.refused&limit=500&cursor={cursor}");
        let page = world.auditor().ok(Method::GET, &path, None).await;
        known.extend(page["auditLogs"].as_array().unwrap().iter().map(|it| text(it, "/requestId")));
        match page["nextCursor"].as_str() {
            Some(next) => next.clone_into(&mut cursor),
            None => break,
        }
    }
    for id in request_ids {
        assert!(known.contains(id), "{id} is not among {} refusals in the audit log", known.len());
    }
}

/// Status and code of an error, and the common shape of all errors.
#[track_caller]
pub fn check_refusal_code(status: u16, answer: &Value, expected: u16, code: &str) {
    assert_eq!((status, &answer["code"]), (expected, &json!(code)), "{answer:#}");
    assert_eq!(answer["statusCode"], expected, "{answer:#}");
    assert!(answer["reqId"].is_string() && answer["error"].is_string(), "{answer:#}");
}
