//! Renewal in all its forms, over the API.
//!
//! ```text
//! root ── issuing ── leaf ─renewed→ leaf′ ─renewed→ leaf″
//! (none) ────────── self-signed ─renewed→ self-signed′
//! ```
//!
//! Verified: issuing again, with and without a CSR, is independent; `new`, `reuse`, `csr` and self-signed renewals keep
//! what the certificate says and are linked both ways; every refusal by status, error and code, and the reason kept on
//! the certificate; ten renewals in a row keep the life span; a template tightened in between refuses and names the rule;
//! of twenty renewals at once one wins; the request of a renewal holds all that polling clients read.

use chancery_model::Timestamp;
use chancery_pkix::KeyAlgorithm as K;
use chancery_testkit::judge;
use chancery_testkit::world::{CERT_MANAGER, Pki, Session, World, certification_request, id_at, merged, text};
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::strangers::chain_of;

const ERROR_OF_STATUS: &[(u16, &str)] =
    &[(400, "BadRequest"), (403, "ForbiddenError"), (404, "NotFound"), (422, "ValidationFailure")];

fn path(id: &str, rest: &str) -> String {
    format!("{CERT_MANAGER}/certificates/{id}{rest}")
}

fn id_of(issued: &Value) -> String {
    text(issued, "/certificate/certificateId")
}

/// A renewal that must succeed.
async fn renew(world: &World, id: &str, body: &Value) -> Value {
    world.operator().ok(Method::POST, &path(id, "/renew"), Some(body)).await
}

/// The certificate as the inventory shows it.
async fn shown(session: &Session, id: &str) -> Value {
    session.ok(Method::GET, &path(id, ""), None).await["certificate"].clone()
}

fn seconds(time: &Value) -> i64 {
    Timestamp::parse_date(time.as_str().unwrap()).unwrap().as_seconds()
}

/// The life span that was granted: from the moment of issue to the inclusive end.
fn granted_seconds(certificate: &Value) -> i64 {
    seconds(&certificate["notAfter"]) + 1 - seconds(&certificate["createdAt"])
}

fn public_key(pem: &str) -> Vec<u8> {
    let (_, pem) = x509_parser::pem::parse_x509_pem(pem.as_bytes()).unwrap();
    pem.parse_x509().unwrap().public_key().raw.to_vec()
}

/// No rules at all.
async fn open_template(world: &World) -> Uuid {
    let made = world
        .admin()
        .ok(Method::POST, &format!("{CERT_MANAGER}/certificate-policies"), Some(&json!({"name": "open"})))
        .await;
    id_at(&made, "/certificatePolicy/id")
}

async fn reusing_profile(world: &World, pki: &Pki, changes: &Value) -> Uuid {
    let base = json!({"caId": pki.issuing, "certificatePolicyId": pki.template, "allowKeyReuse": true});
    world.profile(&merged(base, changes)).await
}

/// What a renewal must not change.
const CONTENT: &[&str] = &[
    "commonName",
    "altNames",
    "keyUsages",
    "extendedKeyUsages",
    "keyAlgorithm",
    "signatureAlgorithm",
    "subjectOrganization",
    "subjectOrganizationalUnit",
    "subjectCountry",
    "subjectState",
    "subjectLocality",
    "subjectDomainComponents",
    "isCA",
    "pathLength",
    "profileId",
    "certificateTemplateId",
    "caId",
    "metadata",
    "renewBeforeDays",
];

/// Old and new are linked both ways, say the same, and live equally long; the old one stays active.
async fn assert_successor(world: &World, old_id: &str, renewed: &Value) {
    let new_id = text(renewed, "/certificateId");
    let (old, new) = (shown(world.operator(), old_id).await, shown(world.operator(), &new_id).await);
    for field in CONTENT {
        assert_eq!(old[field], new[field], "{field}");
    }
    assert_eq!(old["renewedByCertificateId"], json!(new_id));
    assert_eq!(new["renewedFromCertificateId"], json!(old_id));
    assert_eq!(old["latestRenewalCertificateId"], json!(new_id));
    assert_eq!(old["status"], "active");
    assert_eq!((&old["renewalError"], &new["renewalError"]), (&Value::Null, &Value::Null));
    assert_ne!(old["serialNumber"], new["serialNumber"]);
    assert_eq!(new["serialNumber"], renewed["serialNumber"]);
    assert_eq!(granted_seconds(&old), granted_seconds(&new));
    assert!(seconds(&new["notAfter"]) > seconds(&old["notAfter"]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn issuing_again_is_independent_of_what_was_issued_before() {
    let world = World::start().await;
    let pki = world.pki().await;
    let (csr, _) = certification_request("www.acme.test", &[], K::EcP256);
    for (body, same_key) in [(json!({}), false), (json!({"csr": csr, "attributes": {"ttl": "90d"}}), true)] {
        let first = world.issue(pki.profile, &body).await;
        world.clock.advance_seconds(3_600);
        let second = world.issue(pki.profile, &body).await;
        let keys = [&first, &second].map(|it| public_key(&text(it, "/certificate/certificate")));
        assert_eq!(keys[0] == keys[1], same_key);
        assert_ne!(first["certificate"]["serialNumber"], second["certificate"]["serialNumber"]);
        for issued in [&first, &second] {
            let certificate = shown(world.operator(), &id_of(issued)).await;
            assert_eq!(certificate["renewedByCertificateId"], Value::Null);
            assert_eq!(certificate["renewedFromCertificateId"], Value::Null);
        }
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_key_source_gives_a_linked_successor_of_the_same_content() {
    let world = World::start().await;
    let pki = world.pki().await;
    let open = open_template(&world).await;
    let profile = reusing_profile(&world, &pki, &json!({"certificatePolicyId": open})).await;
    let own_changes = json!({"issuerType": "self-signed", "certificatePolicyId": open, "allowKeyReuse": true});
    let own = world.profile(&own_changes).await;
    let full = json!({
        "metadata": [{"key": "team", "value": "platform"}, {"key": "ticket", "value": "OPS-7"}],
        "attributes": {
            "commonName": "www.acme.test", "organization": "Acme", "organizationalUnit": "Ops", "country": "DE",
            "state": "Bayern", "locality": "München", "domainComponents": ["acme", "test"], "ttl": "47d",
            "keyUsages": ["digital_signature"], "extendedKeyUsages": ["server_auth", "client_auth"],
            "altNames": [{"type": "dns_name", "value": "www.acme.test"}, {"type": "ip_address", "value": "10.0.0.7"},
                {"type": "email", "value": "ops@acme.test"}, {"type": "uri", "value": "spiffe://acme.test/www"}],
        },
    });
    for (label, profile, source) in [
        ("new", profile, json!({})),
        ("new, said", profile, json!({"renewalKeySource": "new"})),
        ("reuse", profile, json!({"renewalKeySource": "reuse"})),
        ("self-signed new", own, json!({})),
        ("self-signed reuse", own, json!({"renewalKeySource": "reuse"})),
    ] {
        let issued = world.issue(profile, &full).await;
        world.clock.advance_seconds(86_400);
        let renewed = renew(&world, &id_of(&issued), &source).await;
        assert_successor(&world, &id_of(&issued), &renewed).await;
        let keys =
            [text(&issued, "/certificate/certificate"), text(&renewed, "/certificate")].map(|it| public_key(&it));
        assert_eq!(keys[0] == keys[1], label.ends_with("reuse"), "{label}");
        assert!(renewed.get("privateKey").is_none(), "{label}: a kept key is fetched by its own endpoint");
        let key =
            world.operator().ok(Method::GET, &path(&text(&renewed, "/certificateId"), "/private-key"), None).await;
        assert!(judge::openssl_key_text(key.as_str().unwrap()).contains("256 bit"), "{label}");
        let chain = chain_of(&json!({"certificate": renewed}));
        if label.starts_with("self") {
            assert_eq!(renewed["issuingCaCertificate"], "", "{label}");
            assert_eq!(renewed["certificateChain"], renewed["certificate"], "{label}");
        } else {
            judge::openssl_verifies(&chain, world.now_seconds());
        }
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_from_a_csr_is_renewed_by_its_key_or_by_another_csr() {
    let world = World::start().await;
    let pki = world.pki().await;
    let profile = reusing_profile(&world, &pki, &json!({})).await;
    let issued = {
        let (csr, _) = certification_request("www.acme.test", &["api.acme.test"], K::EcP256);
        world.issue(profile, &json!({"csr": csr, "attributes": {"ttl": "30d"}})).await
    };
    world.clock.advance_seconds(86_400);

    let reused = renew(&world, &id_of(&issued), &json!({"renewalKeySource": "reuse"})).await;
    assert_successor(&world, &id_of(&issued), &reused).await;
    assert_eq!(public_key(&text(&issued, "/certificate/certificate")), public_key(&text(&reused, "/certificate")));

    // Once more: the key of a renewal by reuse is reused again, though that request brought no CSR of its own.
    world.clock.advance_seconds(86_400);
    let again = renew(&world, &text(&reused, "/certificateId"), &json!({"renewalKeySource": "reuse"})).await;
    assert_successor(&world, &text(&reused, "/certificateId"), &again).await;

    world.clock.advance_seconds(86_400);
    let (other, _) = certification_request("www.acme.test", &["api.acme.test"], K::EcP384);
    let body = json!({"renewalKeySource": "csr", "csr": other, "attributes": {"ttl": "10d"}});
    let renewed = renew(&world, &text(&again, "/certificateId"), &body).await;
    let certificate = shown(world.operator(), &text(&renewed, "/certificateId")).await;
    assert_eq!(certificate["keyAlgorithm"], "EC_secp384r1");
    assert_eq!(granted_seconds(&certificate), 10 * 86_400);
    assert!(renewed.get("privateKey").is_none());
    judge::openssl_verifies(&chain_of(&json!({"certificate": renewed})), world.now_seconds());
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn edits_keep_what_is_missing_and_clear_what_is_null() {
    let world = World::start().await;
    let pki = world.pki().await;
    let open = open_template(&world).await;
    let defaults = json!({"ttlDays": 90, "organization": "Default", "locality": "Default"});
    let profile = world.profile(&json!({"caId": pki.issuing, "certificatePolicyId": open, "defaults": defaults})).await;
    let attributes = json!({"commonName": "www.acme.test", "organization": null, "country": "DE", "ttl": "20d",
        "keyUsages": ["digital_signature"]});
    let issued = world.issue(profile, &json!({"attributes": attributes})).await;
    let edits = json!({"attributes": {"country": null, "state": "Bayern", "keyAlgorithm": "EC_secp384r1", "ttl": "5d",
        "altNames": [{"type": "dns_name", "value": "new.acme.test"}]}});
    let renewed = renew(&world, &id_of(&issued), &edits).await;
    let certificate = shown(world.operator(), &text(&renewed, "/certificateId")).await;
    for (field, expected) in [
        ("commonName", json!("www.acme.test")),
        ("subjectOrganization", Value::Null), // cleared at issue, and profile defaults are not applied to renewals
        ("subjectLocality", json!("Default")),
        ("subjectCountry", Value::Null),
        ("subjectState", json!("Bayern")),
        ("keyAlgorithm", json!("EC_secp384r1")),
        ("altNames", json!("www.acme.test,new.acme.test")),
    ] {
        assert_eq!(certificate[field], expected, "{field}");
    }
    assert_eq!(granted_seconds(&certificate), 5 * 86_400);
    world.stop().await;
}

/// One row of the table of refusals.
struct Refusal {
    label: &'static str,
    id: String,
    body: Value,
    status: u16,
    code: &'static str,
    /// Whether the reason is kept on the certificate.
    kept: bool,
}

async fn assert_refused(world: &World, row: &Refusal) {
    let Refusal { label, id, body, status, code, kept } = row;
    let before = world.operator().get(&path(id, "")).await;
    let (got, answer) = world.operator().post(&path(id, "/renew"), body).await;
    assert_eq!(got, *status, "{label}: {answer}");
    let error = ERROR_OF_STATUS.iter().find(|(of, _)| of == status).unwrap().1;
    assert_eq!(answer["error"], error, "{label}");
    assert_eq!(answer["code"], *code, "{label}: {answer}");
    let (found, after) = world.operator().get(&path(id, "")).await;
    if found == 200 {
        assert_eq!(after["certificate"]["renewedByCertificateId"], before.1["certificate"]["renewedByCertificateId"]);
        let kept_text = after["certificate"]["renewalError"].as_str().unwrap_or_default();
        assert_eq!(!kept_text.is_empty() && answer["message"] == kept_text, *kept, "{label}: {kept_text}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_that_contradict_themselves_are_refused() {
    let world = World::start().await;
    let pki = world.pki().await;
    let plain = id_of(&world.issue(pki.profile, &json!({})).await);
    let self_signed = id_of(&world.issue(pki.self_signed, &json!({})).await);
    let (csr, _) = certification_request("www.acme.test", &[], K::EcP256);
    let from_csr = world.issue(pki.profile, &json!({"csr": csr, "attributes": {"ttl": "90d"}})).await;
    let from_csr = id_of(&from_csr);
    let once = reusing_profile(&world, &pki, &json!({"keyCustody": "returnOnce"})).await;
    let returned_once = id_of(&world.issue(once, &json!({})).await);
    let own_once = json!({"issuerType": "self-signed", "certificatePolicyId": pki.template, "keyCustody": "returnOnce",
        "allowKeyReuse": true});
    let own_returned_once = id_of(&world.issue(world.profile(&own_once).await, &json!({})).await);
    let reusable = id_of(&world.issue(reusing_profile(&world, &pki, &json!({})).await, &json!({})).await);
    let unknown = Uuid::nil().to_string();
    let row = |label, id: &str, body: Value, status, code| {
        let kept = matches!(code, "renewal.key_algorithm" | "renewal.csr_attributes" | "renewal.no_key")
            && label != "reuse without a stored key, self-signed";
        Refusal { label, id: id.to_owned(), body, status, code, kept }
    };
    for case in [
        row("unknown", &unknown, json!({}), 404, "not_found"),
        row("not an id", "first", json!({}), 422, "schema"),
        row("bad source", &plain, json!({"renewalKeySource": "old"}), 422, "schema"),
        row("csr missing", &plain, json!({"renewalKeySource": "csr"}), 400, "renewal.csr"),
        row("csr with new", &plain, json!({"renewalKeySource": "new", "csr": csr}), 400, "renewal.csr"),
        row("csr without a source", &plain, json!({"csr": csr}), 400, "renewal.csr"),
        row("csr with reuse", &plain, json!({"renewalKeySource": "reuse", "csr": csr}), 400, "renewal.csr"),
        row("csr-issued, nothing said", &from_csr, json!({}), 403, "renewal.csr_issued"),
        row("csr-issued, new", &from_csr, json!({"renewalKeySource": "new"}), 403, "renewal.csr_issued"),
        row("reuse the profile forbids", &plain, json!({"renewalKeySource": "reuse"}), 403, "renewal.reuse"),
        row(
            "reuse with neither stored key nor CSR",
            &returned_once,
            json!({"renewalKeySource": "reuse"}),
            400,
            "renewal.no_key",
        ),
        row(
            "reuse without a stored key, self-signed",
            &own_returned_once,
            json!({"renewalKeySource": "reuse"}),
            400,
            "renewal.no_key",
        ),
        row(
            "reuse with another key algorithm",
            &reusable,
            json!({"renewalKeySource": "reuse", "attributes": {"keyAlgorithm": "EC_secp384r1"}}),
            400,
            "renewal.key_algorithm",
        ),
        row(
            "csr on self-signed",
            &self_signed,
            json!({"renewalKeySource": "csr", "csr": csr}),
            400,
            "renewal.self_signed",
        ),
        row(
            "csr with other attributes",
            &plain,
            json!({"renewalKeySource": "csr", "csr": csr, "attributes": {"commonName": "www.acme.test"}}),
            400,
            "renewal.csr_attributes",
        ),
    ] {
        assert_refused(&world, &case).await;
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_is_optional_and_a_refusal_names_the_way_out() {
    let world = World::start().await;
    let pki = world.pki().await;
    let plain = id_of(&world.issue(pki.profile, &json!({})).await);
    let self_signed = id_of(&world.issue(pki.self_signed, &json!({})).await);
    let (csr, _) = certification_request("www.acme.test", &[], K::EcP256);
    let from_csr = world.issue(pki.profile, &json!({"csr": csr, "attributes": {"ttl": "90d"}})).await;
    let from_csr = id_of(&from_csr);
    let (_, answer) = world.operator().post(&path(&from_csr, "/renew"), &json!({})).await;
    let message = text(&answer, "/message");
    assert!(message.contains("\"reuse\"") && message.contains("\"csr\""), "{message}");
    assert_eq!(world.auditor().post(&path(&plain, "/renew"), &json!({})).await.1["error"], "PermissionDenied");
    // A body is optional, and may be null.
    assert_eq!(world.operator().post(&path(&plain, "/renew"), &Value::Null).await.0, 200);
    assert_eq!(world.operator().send(Method::POST, &path(&self_signed, "/renew"), None).await.0, 200);
    world.stop().await;
}

/// There is no revocation in this build; the row is edited as a later build would leave it.
fn mark_revoked(world: &World, id: &str) {
    let database = rusqlite::Connection::open(world.data_dir().join("chancery.db")).unwrap();
    database.busy_timeout(std::time::Duration::from_secs(5)).unwrap();
    let id: Uuid = id.parse().unwrap();
    let changed = database
        .execute(
            "UPDATE certificate SET revoked_at = created_at, revocation_reason = 4 WHERE id = ?1",
            [id.as_bytes().as_slice()],
        )
        .unwrap();
    assert_eq!(changed, 1);
}

/// Rows of the contract about ACME, EST and SCEP, external CAs and subscribers have no case here: nothing of that kind can
/// exist in this build.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn certificates_that_may_not_be_renewed_say_why_and_keep_the_reason() {
    let mut world = World::start().await;
    let pki = world.pki().await;
    let row =
        |label, id: &str, status, code, kept| Refusal { label, id: id.to_owned(), body: json!({}), status, code, kept };

    let done = id_of(&world.issue(pki.profile, &json!({})).await);
    renew(&world, &done, &json!({})).await;
    assert_refused(&world, &row("already renewed", &done, 400, "renewal.not_eligible", true)).await;

    let revoked = id_of(&world.issue(pki.profile, &json!({})).await);
    mark_revoked(&world, &revoked);
    assert_refused(&world, &row("revoked", &revoked, 400, "renewal.not_eligible", true)).await;

    let expired =
        id_of(&world.issue(pki.profile, &json!({"attributes": {"commonName": "www.acme.test", "ttl": "1d"}})).await);
    world.clock.advance_seconds(2 * 86_400);
    world.log_in_administrator().await;
    let admin = world.admin();
    assert_refused(&world, &row("expired", &expired, 400, "renewal.not_eligible", true)).await;

    let direct = json!({"directIssuancePolicyId": pki.template});
    admin.ok(Method::PATCH, &format!("{CERT_MANAGER}/ca/internal/{}", pki.issuing), Some(&direct)).await;
    let flat = json!({"caId": pki.issuing, "commonName": "www.acme.test", "ttl": "10d"});
    let flat = world.operator().ok(Method::POST, "/api/v1/pki/certificates/issue-certificate", Some(&flat)).await;
    let without_profile = text(&flat, "/certificateId");
    assert_refused(&world, &row("no profile", &without_profile, 403, "renewal.no_profile", false)).await;

    let passing = world.profile(&json!({"caId": pki.issuing, "certificatePolicyId": pki.template})).await;
    let orphan = id_of(&world.issue(passing, &json!({})).await);
    admin.ok(Method::DELETE, &format!("{CERT_MANAGER}/certificate-profiles/{passing}"), None).await;
    assert_refused(&world, &row("profile gone", &orphan, 404, "not_found", false)).await;

    let of_disabled = id_of(&world.issue(pki.profile, &json!({})).await);
    let ca = format!("{CERT_MANAGER}/ca/internal/{}", pki.issuing);
    admin.ok(Method::PATCH, &ca, Some(&json!({"status": "disabled"}))).await;
    assert_refused(&world, &row("CA disabled", &of_disabled, 400, "renewal.not_eligible", true)).await;
    admin.ok(Method::PATCH, &ca, Some(&json!({"status": "active"}))).await;
    world.clock.advance_seconds(3_600);
    let renewed = renew(&world, &of_disabled, &json!({})).await;
    assert_successor(&world, &of_disabled, &renewed).await; // and with it the kept reason is cleared
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_renewal_never_outlives_its_issuer() {
    let world = World::start().await;
    let pki = world.pki().await;
    let below = json!({"notAfter": world.date_in_days(100), "maxPathLength": 0, "parentCaId": pki.root});
    let short = world.intermediate_ca("short", K::EcP256, &below).await;
    let end = seconds(&json!(world.date_in_days(100)));
    let base = json!({"caId": short, "certificatePolicyId": pki.template, "defaults": {"ttlDays": 60}});
    let refusing = id_of(&world.issue(world.profile(&base).await, &json!({})).await);
    let clamping = world.profile(&merged(base, &json!({"clampToIssuer": true}))).await;
    let clamping = id_of(&world.issue(clamping, &json!({})).await);
    world.clock.advance_seconds(50 * 86_400);
    let row = Refusal {
        label: "outlives",
        id: refusing.clone(),
        body: json!({}),
        status: 400,
        code: "template.refused",
        kept: true,
    };
    assert_refused(&world, &row).await;
    let shorter = renew(&world, &refusing, &json!({"attributes": {"ttl": "30d"}})).await;
    assert_eq!(shorter["warnings"], json!([]));
    let clamped = renew(&world, &clamping, &json!({})).await;
    assert_eq!(clamped["warnings"][0]["code"], "validity.clamped");
    let certificate = shown(world.operator(), &text(&clamped, "/certificateId")).await;
    assert_eq!(seconds(&certificate["notAfter"]), end);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_renewals_in_a_row_keep_the_life_span() {
    let world = World::start().await;
    let pki = world.pki().await;
    for (ttl, length) in [("90d", 90 * 86_400), ("36h", 36 * 3_600), ("90m", 5_400), ("61s", 61)] {
        let attributes = json!({"commonName": "www.acme.test", "ttl": ttl});
        let mut id = id_of(&world.issue(pki.profile, &json!({"attributes": attributes})).await);
        for round in 0..10 {
            // Never on a whole multiple of anything, sometimes right away.
            world.clock.advance_seconds(length * round / 17);
            let renewed = renew(&world, &id, &json!({})).await;
            id = text(&renewed, "/certificateId");
            let certificate = shown(world.operator(), &id).await;
            assert_eq!(granted_seconds(&certificate), length, "{ttl}, round {round}");
            assert_eq!(seconds(&certificate["notAfter"]), world.now_seconds() + length - 1, "{ttl}, round {round}");
        }
    }
    let dates =
        json!({"commonName": "www.acme.test", "notBefore": world.date_in_days(0), "notAfter": world.date_in_days(7)});
    let dated = world.issue(pki.profile, &json!({"attributes": dates})).await;
    world.clock.advance_seconds(3 * 86_400);
    let renewed = renew(&world, &id_of(&dated), &json!({})).await;
    let certificate = shown(world.operator(), &text(&renewed, "/certificateId")).await;
    assert_eq!(granted_seconds(&certificate), 7 * 86_400 + 1, "both ends of explicit dates are part of the span");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_template_tightened_in_between_refuses_and_names_the_rule() {
    let world = World::start().await;
    let pki = world.pki().await;
    let id =
        id_of(&world.issue(pki.profile, &json!({"attributes": {"commonName": "www.acme.test", "ttl": "200d"}})).await);
    let template = format!("{CERT_MANAGER}/certificate-policies/{}", pki.template);
    let tight = json!({"sans": [{"type": "dns_name", "allowed": ["api.acme.test"]}], "validity": {"max": "100d"}});
    world.admin().ok(Method::PATCH, &template, Some(&tight)).await;
    let (status, answer) = world.operator().post(&path(&id, "/renew"), &json!({})).await;
    assert_eq!((status, &answer["error"]), (400, &json!("BadRequest")), "{answer}");
    let message = text(&answer, "/message");
    assert!(message.starts_with("Certificate renewal failed. Errors: "), "{message}");
    let violations = answer["violations"].as_array().unwrap();
    let rules: Vec<&str> = violations.iter().map(|it| it["rule"].as_str().unwrap()).collect();
    assert!(rules.iter().any(|rule| rule.contains("dns_name")), "{rules:?}");
    assert!(rules.iter().any(|rule| rule.contains("validity")), "{rules:?}");
    let kept = text(&shown(world.operator(), &id).await, "/renewalError");
    assert_eq!(kept, message);
    assert!(kept.contains("www.acme.test") && kept.contains("api.acme.test"), "{kept}");
    let entries = format!("/api/v1/audit-logs?event=certificate.renewal-refused&objectId={id}");
    let entries = world.auditor().ok(Method::GET, &entries, None).await;
    assert_eq!(entries["auditLogs"].as_array().unwrap().len(), 1);
    assert_eq!(entries["auditLogs"][0]["outcome"], "denied");

    let loose = json!({"sans": [{"type": "dns_name", "allowed": ["*.acme.test"]}], "validity": {"max": "1y"}});
    world.admin().ok(Method::PATCH, &template, Some(&loose)).await;
    world.clock.advance_seconds(3_600);
    let renewed = renew(&world, &id, &json!({})).await;
    assert_successor(&world, &id, &renewed).await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_twenty_renewals_at_once_one_wins() {
    let world = World::start().await;
    race_renewals(&world).await;
    world.stop().await;
}

/// Twenty renewals of one certificate at the same time: one successor, nineteen refusals, nothing else left behind.
pub async fn race_renewals(world: &World) {
    let pki = world.pki().await;
    let id = id_of(&world.issue(pki.profile, &json!({})).await);
    let mut racers = tokio::task::JoinSet::new();
    for _ in 0..20 {
        let (session, path) = (world.operator().clone(), path(&id, "/renew"));
        racers.spawn(async move { session.post(&path, &json!({})).await });
    }
    let answers = racers.join_all().await;
    let winners: Vec<&Value> = answers.iter().filter(|(status, _)| *status == 200).map(|(_, body)| body).collect();
    let [winner] = winners.as_slice() else { panic!("{} renewals succeeded", winners.len()) };
    for (status, body) in answers.iter().filter(|(status, _)| *status != 200) {
        assert_eq!((*status, &body["error"]), (400, &json!("BadRequest")), "{body}");
        assert!(text(body, "/message").contains("already renewed"), "{body}");
    }
    let old = shown(world.operator(), &id).await;
    assert_eq!(old["renewedByCertificateId"], winner["certificateId"]);
    let of_profile = format!("{CERT_MANAGER}/certificate-profiles/{}/certificates", pki.profile);
    let all = world.operator().ok(Method::GET, &of_profile, None).await;
    assert_eq!(all["certificates"].as_array().unwrap().len(), 2, "{all}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_request_of_a_renewal_holds_what_polling_clients_read() {
    let world = World::start().await;
    let pki = world.pki().await;
    let profile = reusing_profile(&world, &pki, &json!({})).await;
    let (csr, _) = certification_request("www.acme.test", &[], K::EcP256);
    for (body, keyed) in [
        (json!({}), true),
        (json!({"renewalKeySource": "reuse"}), true),
        (json!({"renewalKeySource": "csr", "csr": csr}), false),
    ] {
        let issued = world.issue(profile, &json!({})).await;
        let renewed = renew(&world, &id_of(&issued), &body).await;
        let polled =
            format!("{CERT_MANAGER}/certificates/certificate-requests/{}", text(&renewed, "/certificateRequestId"));
        let request = world.operator().ok(Method::GET, &polled, None).await;
        assert_eq!(request["status"], "issued");
        for field in ["certificate", "certificateId", "serialNumber", "certificateChain", "issuingCaCertificate"] {
            assert_eq!(request[field], renewed[field], "{field}");
            assert!(!request[field].as_str().unwrap().is_empty(), "{field}");
        }
        match request["privateKey"].as_str() {
            Some(key) => {
                let public = judge::openssl_reads(&["pkey", "-pubout"], key.as_bytes());
                let certified = text(&request, "/certificate");
                let certified = judge::openssl_reads(&["x509", "-noout", "-pubkey"], certified.as_bytes());
                assert!(keyed && public == certified, "the key belongs to the renewed certificate");
            }
            None => assert!(!keyed),
        }
        // An auditor sees the request and never the key.
        assert_eq!(world.auditor().ok(Method::GET, &polled, None).await["privateKey"], Value::Null);
    }
    let issued = world.issue(profile, &json!({})).await;
    let renewed = renew(&world, &id_of(&issued), &json!({"removeRootsFromChain": true})).await;
    assert_eq!(renewed["certificateChain"], renewed["issuingCaCertificate"]);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn automatic_renewal_is_switched_and_checked() {
    let world = World::start().await;
    let pki = world.pki().await;
    let ttl = |ttl: &str| json!({"attributes": {"commonName": "www.acme.test", "ttl": ttl}});
    let long = id_of(&world.issue(pki.profile, &ttl("60d")).await);
    let (csr, _) = certification_request("www.acme.test", &[], K::EcP256);
    let from_csr = id_of(&world.issue(pki.profile, &json!({"csr": csr, "attributes": {"ttl": "60d"}})).await);
    let ten = id_of(&world.issue(pki.profile, &ttl("10d")).await);
    let short = id_of(&world.issue(pki.profile, &ttl("2d")).await);
    let config = async |id: &str, body: Value| world.operator().patch(&path(id, "/config"), &body).await;

    let updated = json!({"message": "Certificate configuration updated successfully", "renewBeforeDays": 10});
    assert_eq!(config(&long, json!({"renewBeforeDays": 10})).await, (200, updated));
    let certificate = shown(world.operator(), &long).await;
    assert_eq!(certificate["renewBeforeDays"], 10);
    assert_eq!(seconds(&certificate["renewalDueAt"]), seconds(&certificate["notAfter"]) + 1 - 10 * 86_400);
    let unchanged = json!({"message": "No configuration changes requested"});
    for nothing in [json!({}), json!({"enableAutoRenewal": true})] {
        assert_eq!(config(&long, nothing).await, (200, unchanged.clone()));
    }
    let disabled = json!({"message": "Auto-renewal disabled successfully"});
    assert_eq!(config(&long, json!({"enableAutoRenewal": false})).await, (200, disabled));
    let certificate = shown(world.operator(), &long).await;
    assert_eq!((&certificate["renewBeforeDays"], &certificate["renewalDueAt"]), (&Value::Null, &Value::Null));

    let check = async |label: &str, id: &str, body: Value, status: u16, code: &str| {
        let (got, answer) = world.operator().patch(&path(id, "/config"), &body).await;
        assert_eq!((got, &answer["code"]), (status, &json!(code)), "{label}: {answer}");
    };
    let days = |days: i64| json!({"renewBeforeDays": days});
    check("0 days", &long, days(0), 422, "schema").await;
    check("31 days", &long, days(31), 422, "schema").await;
    check("off and days", &long, json!({"enableAutoRenewal": false, "renewBeforeDays": 5}), 422, "schema").await;
    check("from a CSR", &from_csr, days(5), 403, "renewal.no_key").await;
    check("as long as the life", &ten, days(10), 400, "renewal.lead").await;
    assert_eq!(config(&ten, days(9)).await.0, 200);
    world.clock.advance_seconds(5 * 86_400);
    check("due before tomorrow", &ten, days(5), 400, "renewal.lead").await;
    check("expired", &short, days(1), 400, "renewal.expired").await;
    renew(&world, &ten, &json!({})).await;
    check("already renewed", &ten, days(1), 400, "renewal.done").await;
    mark_revoked(&world, &long);
    check("revoked", &long, days(1), 400, "renewal.revoked").await;
    let unknown = Uuid::nil().to_string();
    check("unknown", &unknown, days(1), 404, "not_found").await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_lead_of_a_profile_fits_the_life_and_carries_over() {
    let world = World::start().await;
    let pki = world.pki().await;
    let api = json!({"autoRenew": true, "renewBeforeDays": 30});
    let base = json!({"caId": pki.issuing, "certificatePolicyId": pki.template, "apiConfig": api});
    let profile = world.profile(&base).await;
    for (ttl, lead) in [("90d", 30), ("31d", 30), ("30d", 29), ("10d", 9), ("1d", 1), ("2h", 1)] {
        let attributes = json!({"commonName": "www.acme.test", "ttl": ttl});
        let issued = world.issue(profile, &json!({"attributes": attributes})).await;
        let certificate = shown(world.operator(), &id_of(&issued)).await;
        assert_eq!(certificate["renewBeforeDays"], lead, "{ttl}");
        assert!(seconds(&certificate["renewalDueAt"]) >= seconds(&certificate["createdAt"]), "{ttl}");
    }
    let issued = world.issue(profile, &json!({})).await;
    let config = json!({"renewBeforeDays": 7});
    world.operator().ok(Method::PATCH, &path(&id_of(&issued), "/config"), Some(&config)).await;
    world.clock.advance_seconds(3_600);
    let renewed = renew(&world, &id_of(&issued), &json!({})).await;
    assert_successor(&world, &id_of(&issued), &renewed).await;
    let successor = shown(world.operator(), &text(&renewed, "/certificateId")).await;
    assert_eq!(successor["renewBeforeDays"], 7, "what was set on the certificate wins over the profile");
    assert_eq!(shown(world.operator(), &id_of(&issued)).await["renewalDueAt"], Value::Null);

    // Switched off stays off.
    let off = json!({"enableAutoRenewal": false});
    let id = text(&renewed, "/certificateId");
    world.operator().ok(Method::PATCH, &path(&id, "/config"), Some(&off)).await;
    let last = renew(&world, &id, &json!({})).await;
    let last = shown(world.operator(), &text(&last, "/certificateId")).await;
    assert_eq!((&last["renewBeforeDays"], &last["renewalDueAt"]), (&Value::Null, &Value::Null));
    world.stop().await;
}
