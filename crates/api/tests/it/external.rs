//! External CAs as clients see them: what Terraform keeps, what the agent and the Kubernetes issuer poll, and what people
//! do about requests that wait. The CAs themselves are the test's own ([`crate::outside`]).

use std::sync::Arc;
use std::sync::atomic::Ordering;

use serde_json::{Value, json};

use crate::outside::{Outside, WRONG_SECRET};
use crate::world::{World, csr, id};

const CONNECTIONS: &str = "/api/v1/app-connections";
const CA: &str = "/api/v1/cert-manager/ca";
const CERTIFICATES: &str = "/api/v1/cert-manager/certificates";
const NOBODY: &str = "00000000-0000-7000-8000-000000000000";

async fn world() -> (World, Arc<Outside>) {
    let outside = Arc::new(Outside::new());
    (World::with_upstream(Arc::clone(&outside) as _).await, outside)
}

async fn connection(world: &World, name: &str) -> String {
    let body = json!({ "name": name, "method": "access-key",
        "credentials": { "accessKeyId": "AKIA", "secretAccessKey": "s3cret-of-aws" } });
    id(&world.post(&format!("{CONNECTIONS}/aws"), &body).await.ok()["appConnection"])
}

/// As the Terraform provider sends it.
fn terraform(connection: &str) -> Value {
    json!({ "name": "lets-encrypt", "status": "active", "configuration": {
        "dnsAppConnectionId": connection,
        "dnsProviderConfig": { "provider": "route53", "hostedZoneId": "Z040441124N1GOOMCQYX1" },
        "directoryUrl": "https://acme.test/directory", "accountEmail": "ops@acme.com",
        "eabKid": "kid-1", "eabHmacKey": "bWFjLWtleQ" } })
}

/// An external CA, a template for `*.acme.com` and a profile.
struct Setup {
    ca: String,
    profile: String,
}

async fn setup(world: &World) -> Setup {
    let connection = connection(world, "aws").await;
    let ca = id(&world.post(&format!("{CA}/acme"), &terraform(&connection)).await.ok());
    let template = json!({ "name": "acme", "preset": "tls-server",
        "subject": [{ "type": "common_name", "allowed": ["*.acme.com"] }],
        "sans": [{ "type": "dns_name", "allowed": ["*.acme.com"] }], "validity": { "max": "365d" } });
    let template = world.post("/api/v1/cert-manager/certificate-policies", &template).await.ok();
    let profile = json!({ "slug": "public", "caId": ca, "certificatePolicyId": template["certificatePolicy"]["id"],
        "defaults": { "ttlDays": 90 } });
    let profile = world.post("/api/v1/cert-manager/certificate-profiles", &profile).await.ok();
    Setup { ca, profile: id(&profile["certificateProfile"]) }
}

fn wish(setup: &Setup, name: &str) -> Value {
    json!({ "profileId": setup.profile, "attributes": { "commonName": name,
        "altNames": [{ "type": "dns_name", "value": name }], "ttl": "90d" } })
}

async fn ask(world: &World, setup: &Setup, name: &str) -> Value {
    world.post(CERTIFICATES, &wish(setup, name)).await.ok()
}

async fn request(world: &World, asked: &Value) -> Value {
    let id = asked["certificateRequestId"].as_str().unwrap();
    world.get(&format!("{CERTIFICATES}/certificate-requests/{id}")).await.ok()
}

/// What is due, and what becomes due by it.
async fn jobs(world: &World) {
    world.authority.run_due_jobs().await;
}

fn blocks(pem: &Value) -> usize {
    pem.as_str().unwrap().matches("BEGIN CERTIFICATE").count()
}

#[tokio::test]
async fn terraform_creates_reads_changes_and_deletes_an_acme_ca() {
    let (world, _) = world().await;
    let connection = connection(&world, "aws").await;
    let made = world.post(&format!("{CA}/acme"), &terraform(&connection)).await;
    assert!(!made.text().contains("bWFjLWtleQ") && !made.text().contains("eabHmacKey"), "{}", made.text());
    let made = made.ok();
    assert_eq!((&made["type"], &made["status"]), (&json!("acme"), &json!("active")));
    assert_eq!(made["warnings"][0]["message"], "the CA's terms have changed");
    let sent = &terraform(&connection)["configuration"];
    for field in ["dnsAppConnectionId", "dnsProviderConfig", "directoryUrl", "accountEmail", "eabKid"] {
        assert_eq!(made["configuration"][field], sent[field], "{field}");
    }
    assert_eq!(made["configuration"]["accountUrl"], "https://acme.test/account/1");
    assert_eq!(made["configuration"]["challenges"], json!(["dns-01"]));
    let path = format!("{CA}/acme/{}", id(&made));
    let mut read = world.get(&path).await.ok();
    assert!(read.get("warnings").is_none());
    read["warnings"] = made["warnings"].clone();
    assert_eq!(read, made);
    // The provider sends all of it with every change; a name alone does not ask the CA again.
    let changed = world.patch(&path, &json!({ "name": "le", "status": "disabled" })).await.ok();
    assert_eq!((&changed["name"], &changed["status"]), (&json!("le"), &json!("disabled")));
    assert_eq!(changed["configuration"], made["configuration"]);
    let mut whole = terraform(&connection);
    whole["configuration"]["accountEmail"] = json!("pki@acme.com");
    let changed = world.patch(&path, &whole).await.ok();
    assert_eq!(changed["configuration"]["accountEmail"], "pki@acme.com");
    assert_eq!(world.delete(&path).await.ok()["id"], made["id"]);
    world.get(&path).await.error(404, "NotFound");
    assert_eq!(world.get(&format!("{CA}/acme")).await.ok(), json!([]));
}

#[tokio::test]
async fn each_type_has_its_own_cas_and_one_list_has_all() {
    let (world, _) = world().await;
    let internal = world.with_profile().await;
    let setup = setup(&world).await;
    let vault = json!({ "name": "bao", "method": "access-token",
        "credentials": { "instanceUrl": "https://bao.acme.com:8200", "accessToken": "t" } });
    let vault = id(&world.post(&format!("{CONNECTIONS}/hashicorp-vault"), &vault).await.ok()["appConnection"]);
    let body = json!({ "name": "bao", "configuration": { "appConnectionId": vault, "role": "web" } });
    let bao = world.post(&format!("{CA}/vault"), &body).await.ok();
    let shown = json!({ "appConnectionId": vault, "mount": "pki", "role": "web", "issuerRef": null });
    assert_eq!(bao["configuration"], shown);
    let digicert = json!({ "name": "dc", "method": "api-key", "credentials": { "apiKey": "k" } });
    let digicert = id(&world.post(&format!("{CONNECTIONS}/digicert"), &digicert).await.ok()["appConnection"]);
    let body = json!({ "name": "dc", "status": "active", "configuration":
        { "appConnectionId": digicert, "organizationId": 42, "productNameId": "ssl_plus" } });
    let certcentral = world.post(&format!("{CA}/digicert"), &body).await.ok();
    assert_eq!(certcentral["configuration"]["dcvMethod"], Value::Null);
    let all = world.get(CA).await.ok();
    let kinds: Vec<&str> =
        all["certificateAuthorities"].as_array().unwrap().iter().map(|it| it["type"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["internal", "internal", "acme", "vault", "digicert"]);
    for kind in ["acme", "vault", "digicert"] {
        assert_eq!(world.get(&format!("{CA}/{kind}")).await.ok().as_array().unwrap().len(), 1, "{kind}");
        // An id of another type is as unknown as one of nobody.
        let other = if kind == "acme" { id(&bao) } else { setup.ca.clone() };
        for id in [other.as_str(), internal.root.as_str(), NOBODY] {
            let path = format!("{CA}/{kind}/{id}");
            world.get(&path).await.error(404, "NotFound");
            world.patch(&path, &json!({ "name": "x" })).await.error(404, "NotFound");
            world.delete(&path).await.error(404, "NotFound");
        }
    }
    world.get(&format!("{CA}/internal/{}", setup.ca)).await.error(404, "NotFound");
    let rolled = world.post(&format!("{CA}/acme/{}/account-key", setup.ca), &json!({})).await.ok();
    assert_eq!(rolled["id"], setup.ca.as_str());
    world.post(&format!("{CA}/acme/{}/account-key", id(&bao)), &json!({})).await.error(404, "NotFound");
}

#[tokio::test]
async fn settings_that_cannot_work_are_refused_with_the_field() {
    let (world, _) = world().await;
    let aws = connection(&world, "aws").await;
    let check = async |kind: &str, configuration: Value, status: u16, part: &str| {
        let body = json!({ "name": "bad", "configuration": configuration });
        let answer = world.post(&format!("{CA}/{kind}"), &body).await;
        assert_eq!(answer.status.as_u16(), status, "{configuration}: {}", answer.text());
        assert!(answer.text().contains(part), "{part} is not in {}", answer.text());
    };
    check("acme", json!({}), 422, "directoryUrl").await;
    check("acme", json!({ "directoryUrl": "http://acme.test/directory" }), 400, "https://").await;
    check("acme", json!({ "directoryUrl": "letsencypt" }), 422, "letsencrypt-staging").await;
    check("acme", json!({ "directoryUrl": "https://down.test/" }), 400, "does not answer").await;
    check("acme", json!({ "directoryUrl": "zerossl", "challenges": ["dns-01"] }), 400, "dnsAppConnectionId").await;
    check("acme", json!({ "directoryUrl": "zerossl", "challenges": ["dns-02"] }), 422, "challenges").await;
    let cloudflare = json!({ "provider": "cloudflare", "hostedZoneId": "z" });
    let other_app = json!({ "directoryUrl": "google", "dnsAppConnectionId": aws, "dnsProviderConfig": cloudflare });
    check("acme", other_app, 400, "name one for cloudflare").await;
    check(
        "digicert",
        json!({ "appConnectionId": NOBODY, "organizationId": 1, "productNameId": "x" }),
        400,
        "no app connection",
    )
    .await;
    check("vault", json!({ "appConnectionId": aws, "role": "web" }), 400, "hashicorp-vault").await;
    check("vault", json!({ "appConnectionId": aws, "role": "../sys" }), 400, "role").await;
    let body = json!({ "name": "bad", "status": "pending-certificate", "configuration": { "directoryUrl": "google" } });
    world.post(&format!("{CA}/acme"), &body).await.error(400, "BadRequest");
}

#[tokio::test]
async fn the_agent_polls_until_certificate_key_and_chain_are_there() {
    let (world, _) = world().await;
    let setup = setup(&world).await;
    let mut body = wish(&setup, "www.acme.com");
    body["attributes"]["removeRootsFromChain"] = json!(true);
    let asked = world.post(CERTIFICATES, &body).await.ok();
    assert_eq!((&asked["certificate"], &asked["status"]), (&Value::Null, &json!("pending")));
    assert!(asked["message"].as_str().is_some_and(|text| !text.is_empty()), "{asked}");
    let waiting = request(&world, &asked).await;
    assert_eq!((&waiting["status"], &waiting["certificate"]), (&json!("pending"), &Value::Null));
    assert_eq!(waiting["orderStatus"], "ordering");
    jobs(&world).await;
    let issued = request(&world, &asked).await;
    assert_eq!(issued["status"], "issued", "{issued}");
    assert_eq!((blocks(&issued["certificate"]), blocks(&issued["certificateChain"])), (1, 1));
    assert_eq!(issued["issuingCaCertificate"], issued["certificateChain"]);
    assert!(issued["privateKey"].as_str().unwrap().starts_with("-----BEGIN PRIVATE KEY-----"));
    assert_eq!(issued["orderReference"], "https://acme.test/order/1");
    assert_eq!(issued["orderStatus"], "done");
    assert!(issued["warnings"].to_string().contains("the CA chose 30 days"), "{issued}");
    let path = format!("{CERTIFICATES}/{}", issued["certificateId"].as_str().unwrap());
    let certificate = world.get(&path).await.ok()["certificate"].clone();
    assert_eq!((&certificate["caType"], &certificate["caName"]), (&json!("external"), &json!("lets-encrypt")));
    assert_eq!((&certificate["caId"], &certificate["serialNumber"]), (&json!(setup.ca), &issued["serialNumber"]));
    let bundle = world.get(&format!("{path}/bundle")).await.ok();
    assert_eq!(
        (&bundle["privateKey"], &bundle["certificateChain"]),
        (&issued["privateKey"], &issued["certificateChain"])
    );
}

#[tokio::test]
async fn the_kubernetes_issuer_gets_a_bundle_for_its_csr() {
    let (world, _) = world().await;
    let setup = setup(&world).await;
    let body = json!({ "profileId": setup.profile, "csr": csr("pod.acme.com"), "attributes": { "ttl": "720h" } });
    let asked = world.post(CERTIFICATES, &body).await.ok();
    let known = ["pending_approval", "pending", "pending_validation", "issued", "failed", "rejected"];
    assert!(known.contains(&asked["status"].as_str().unwrap()), "{asked}");
    jobs(&world).await;
    let issued = request(&world, &asked).await;
    assert_eq!((&issued["status"], &issued["privateKey"]), (&json!("issued"), &Value::Null));
    let bundle = world.get(&format!("{CERTIFICATES}/{}/bundle", issued["certificateId"].as_str().unwrap())).await.ok();
    assert_eq!((blocks(&bundle["certificate"]), blocks(&bundle["certificateChain"])), (1, 1));
}

#[tokio::test]
async fn whoever_waits_is_answered_as_by_a_ca_of_this_server() {
    let (world, _) = world().await;
    let setup = setup(&world).await;
    let loops = tokio::spawn(world.authority.clone().run_jobs());
    let mut body = wish(&setup, "www.acme.com");
    body["wait"] = json!(30);
    body["removeRootsFromChain"] = json!(true);
    let issued = world.post(CERTIFICATES, &body).await.ok();
    assert_eq!(issued["status"], "issued", "{issued}");
    let certificate = &issued["certificate"];
    assert!(certificate["privateKey"].as_str().unwrap().contains("PRIVATE KEY"));
    assert_eq!((blocks(&certificate["issuingCaCertificate"]), &certificate["certificateChain"]), (1, &json!("")));
    let renew = format!("{CERTIFICATES}/{}/renew", certificate["certificateId"].as_str().unwrap());
    let renewed = world.post(&renew, &json!({ "wait": 30 })).await.ok();
    assert_eq!((blocks(&renewed["certificate"]), &renewed["status"]), (1, &json!("issued")));
    assert_ne!(renewed["certificateId"], certificate["certificateId"]);
    // A failure in time is an answer too.
    let mut body = wish(&setup, "refused.acme.com");
    body["wait"] = json!(30);
    let failed = world.post(CERTIFICATES, &body).await.ok();
    assert_eq!((&failed["certificate"], &failed["status"]), (&Value::Null, &json!("failed")));
    assert!(failed["message"].as_str().unwrap().contains("does not issue for refused.acme.com"), "{failed}");
    // The older form waits as well.
    let flat = json!({ "profileId": setup.profile, "commonName": "flat.acme.com", "ttl": "30d", "wait": 30 });
    let flat = world.post(&format!("{CERTIFICATES}/issue-certificate"), &flat).await.ok();
    assert_eq!((blocks(&flat["certificate"]), &flat["status"]), (1, &json!("issued")));
    loops.abort();
}

#[tokio::test]
async fn the_older_order_route_answers_with_the_request_or_the_certificate() {
    let (world, _) = world().await;
    let internal = world.with_profile().await;
    let setup = setup(&world).await;
    let path = format!("{CERTIFICATES}/order-certificate");
    let body = |profile: &str| {
        json!({ "profileId": profile, "commonName": "www.acme.com", "ttl": "30d",
            "subjectAlternativeNames": [{ "type": "dns_name", "value": "www.acme.com" }] })
    };
    let pending = world.post(&path, &body(&setup.profile)).await.ok();
    assert_eq!((&pending["status"], &pending["profileName"]), (&json!("pending"), &json!("public")));
    assert_eq!((&pending["commonName"], pending.get("certificate")), (&json!("www.acme.com"), None));
    assert!(pending["projectId"].is_string() && pending["message"].is_string(), "{pending}");
    jobs(&world).await;
    assert_eq!(request(&world, &pending).await["status"], "issued");
    let issued = world.post(&path, &body(&internal.profile)).await.ok();
    assert_eq!((&issued["status"], blocks(&issued["certificate"]["certificate"])), (&json!("issued"), 1));
    assert!(issued["certificate"]["privateKey"].is_string());
    world.post(&path, &json!({ "caId": internal.issuing, "ttl": "30d" })).await.error(422, "ValidationFailure");
}

#[tokio::test]
async fn a_renewal_under_way_has_empty_texts_and_the_request_to_poll() {
    let (world, _) = world().await;
    let setup = setup(&world).await;
    let asked = ask(&world, &setup, "www.acme.com").await;
    jobs(&world).await;
    let first = request(&world, &asked).await["certificateId"].as_str().unwrap().to_owned();
    let renew = format!("{CERTIFICATES}/{first}/renew");
    let pending = world.post(&renew, &json!({ "removeRootsFromChain": true })).await.ok();
    for field in ["certificate", "certificateChain", "issuingCaCertificate", "serialNumber"] {
        assert_eq!(pending[field], "", "{field}");
    }
    assert_eq!((&pending["status"], &pending["certificateId"]), (&json!("pending"), &pending["certificateRequestId"]));
    // One renewal of a certificate at a time.
    world.post(&renew, &json!({})).await.error(400, "BadRequest");
    jobs(&world).await;
    let issued = request(&world, &pending).await;
    assert_eq!(issued["status"], "issued", "{issued}");
    assert!(issued["privateKey"].as_str().unwrap().contains("PRIVATE KEY"));
    let old = world.get(&format!("{CERTIFICATES}/{first}")).await.ok();
    assert_eq!(old["certificate"]["renewedByCertificateId"], issued["certificateId"]);
    let reuse = format!("{CERTIFICATES}/{}/renew", issued["certificateId"].as_str().unwrap());
    world.post(&reuse, &json!({ "renewalKeySource": "reuse" })).await.error(400, "BadRequest");
}

#[tokio::test]
async fn a_request_says_what_it_waits_for_and_is_looked_at_again_on_demand() {
    let (world, outside) = world().await;
    let setup = setup(&world).await;
    let asked = ask(&world, &setup, "slow.acme.com").await;
    let path = format!("{CERTIFICATES}/certificate-requests/{}", asked["certificateRequestId"].as_str().unwrap());
    jobs(&world).await;
    let waiting = world.get(&path).await.ok();
    assert_eq!(waiting["status"], "pending_validation");
    assert_eq!(waiting["pendingMessage"], "the record of slow.acme.com cannot be seen yet");
    let triggered = world.post(&format!("{path}/trigger-validation"), &json!({})).await.ok();
    assert_eq!(triggered, json!({ "status": "pending_validation", "orderStatus": "ordering" }));
    jobs(&world).await;
    assert_eq!(world.get(&path).await.ok()["status"], "pending_validation");
    outside.open_gate();
    // Nothing is due for an hour unless somebody asks.
    jobs(&world).await;
    assert_eq!(world.get(&path).await.ok()["status"], "pending_validation");
    world.post(&format!("{path}/trigger-validation"), &json!({})).await.ok();
    jobs(&world).await;
    assert_eq!(world.get(&path).await.ok()["status"], "issued");
    let late = world.post(&format!("{path}/trigger-validation"), &json!({})).await.ok();
    assert_eq!(late, json!({ "status": "issued", "orderStatus": "done" }));
    assert_eq!(outside.asked.load(Ordering::SeqCst), 1, "ordered once");
    let found = json!({ "status": "issued", "search": "slow" });
    let found = world.post(&format!("{CERTIFICATES}/certificate-requests/search"), &found).await.ok();
    assert_eq!(found["certificateRequests"][0]["caId"], setup.ca.as_str());
}

#[tokio::test]
async fn a_cancelled_request_has_failed_and_its_order_is_tidied() {
    let (world, outside) = world().await;
    let setup = setup(&world).await;
    let asked = ask(&world, &setup, "slow.acme.com").await;
    let path = format!("{CERTIFICATES}/certificate-requests/{}", asked["certificateRequestId"].as_str().unwrap());
    jobs(&world).await;
    let cancelled = world.post(&format!("{path}/cancel"), &json!({})).await.ok();
    assert_eq!((&cancelled["status"], &cancelled["cancelled"]), (&json!("failed"), &json!(true)));
    assert!(cancelled["errorMessage"].as_str().unwrap().contains("Cancelled"), "{cancelled}");
    outside.open_gate();
    jobs(&world).await;
    let ended = world.get(&path).await.ok();
    assert_eq!((&ended["status"], &ended["orderStatus"]), (&json!("failed"), &json!("done")));
    assert_eq!((&ended["certificate"], &ended["pendingMessage"]), (&Value::Null, &Value::Null));
    assert_eq!(world.post(&format!("{path}/cancel"), &json!({})).await.ok()["cancelled"], false);
}

#[tokio::test]
async fn a_failure_tells_why_and_a_wrong_certificate_is_put_aside() {
    let (world, _) = world().await;
    let setup = setup(&world).await;
    let refused = ask(&world, &setup, "refused.acme.com").await;
    let wrong = ask(&world, &setup, "wrong.acme.com").await;
    jobs(&world).await;
    let refused = request(&world, &refused).await;
    assert_eq!(refused["status"], "failed");
    assert!(refused["errorMessage"].as_str().unwrap().contains("ask for another name"), "{refused}");
    assert!(refused.get("quarantinedCertificate").is_none());
    let wrong = request(&world, &wrong).await;
    assert_eq!(
        (&wrong["status"], &wrong["certificateId"], &wrong["privateKey"]),
        (&json!("failed"), &Value::Null, &Value::Null)
    );
    assert!(wrong["errorMessage"].as_str().unwrap().contains("another key"), "{wrong}");
    assert_eq!(blocks(&wrong["quarantinedCertificate"]), 1);
    let logs = world.get("/api/v1/audit-logs?event=certificate-request.quarantined").await.ok();
    assert_eq!(logs["auditLogs"].as_array().unwrap().len(), 1, "{logs}");
}

#[tokio::test]
async fn what_the_template_refuses_or_nobody_asks_for_is_never_ordered() {
    let (world, outside) = world().await;
    let setup = setup(&world).await;
    let explained = world.post(&format!("{CERTIFICATES}/evaluate"), &wish(&setup, "www.acme.com")).await.ok();
    assert_eq!(explained["verdict"], "issued", "{explained}");
    let refused = world.post(CERTIFICATES, &wish(&setup, "www.evil.test")).await.error(400, "BadRequest");
    assert!(!refused["violations"].as_array().unwrap().is_empty(), "{refused}");
    let mut body = wish(&setup, "www.acme.com");
    body["wait"] = json!(61);
    world.post(CERTIFICATES, &body).await.error(422, "ValidationFailure");
    let ca = format!("{CA}/acme/{}", setup.ca);
    world.patch(&ca, &json!({ "status": "disabled" })).await.ok();
    let disabled = world.post(CERTIFICATES, &wish(&setup, "www.acme.com")).await.error(400, "BadRequest");
    assert!(disabled["message"].as_str().unwrap().contains("lets-encrypt"), "{disabled}");
    jobs(&world).await;
    assert_eq!(outside.asked.load(Ordering::SeqCst), 0);
    world.patch(&ca, &json!({ "status": "active" })).await.ok();
    ask(&world, &setup, "www.acme.com").await;
    jobs(&world).await;
    assert_eq!(outside.asked.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn only_whoever_may_read_a_key_gets_it_with_the_request() {
    let (world, _) = world().await;
    let setup = setup(&world).await;
    let operator = world.identity("operator").await;
    let auditor = world.identity("auditor").await;
    let mine = world.call("POST", CERTIFICATES).token(&operator).json(&wish(&setup, "mine.acme.com")).send().await.ok();
    let theirs = ask(&world, &setup, "theirs.acme.com").await;
    jobs(&world).await;
    let has_key = async |token: &str, asked: &Value| {
        let path = format!("{CERTIFICATES}/certificate-requests/{}", asked["certificateRequestId"].as_str().unwrap());
        let request = world.call("GET", &path).token(token).send().await.ok();
        assert_eq!(request["status"], "issued");
        request["privateKey"].is_string()
    };
    assert!(has_key(&operator, &mine).await);
    assert!(!has_key(&operator, &theirs).await);
    assert!(!has_key(&auditor, &mine).await);
}

#[tokio::test]
async fn a_repeated_call_orders_nothing_twice() {
    let (world, outside) = world().await;
    let setup = setup(&world).await;
    let body = wish(&setup, "www.acme.com");
    let send = async |body: &Value| {
        world.call("POST", CERTIFICATES).token(&world.admin).header("Idempotency-Key", "one").json(body).send().await
    };
    let first = send(&body).await.ok();
    jobs(&world).await;
    let second = send(&body).await;
    assert_eq!(second.headers["idempotency-replayed"], "true");
    assert_eq!(second.ok(), first);
    send(&wish(&setup, "other.acme.com")).await.error(409, "Conflict");
    assert_eq!(outside.asked.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn profiles_and_searches_know_external_cas() {
    let (world, _) = world().await;
    let setup = setup(&world).await;
    let path = format!("/api/v1/cert-manager/certificate-profiles/{}", setup.profile);
    let profile = world.get(&path).await.ok();
    let ca = &profile["certificateProfile"]["certificateAuthority"];
    assert_eq!(
        (&ca["isExternal"], &ca["externalType"], &ca["name"]),
        (&json!(true), &json!("acme"), &json!("lets-encrypt"))
    );
    let listed = world.get(&format!("/api/v1/cert-manager/certificate-profiles?caId={}", setup.ca)).await.ok();
    assert_eq!(listed["certificateProfiles"][0]["certificateAuthority"], *ca);
    world.patch(&path, &json!({ "keyCustody": "returnOnce" })).await.error(400, "BadRequest");
    world.delete(&format!("{CA}/acme/{}", setup.ca)).await.error(400, "BadRequest");
    let asked = ask(&world, &setup, "www.acme.com").await;
    jobs(&world).await;
    let details = world.get("/api/v1/identities/details").await.ok();
    let project = details["identityDetails"]["projectId"].as_str().unwrap();
    let search = format!("/api/v1/projects/{project}/certificates/search");
    let found = world.post(&search, &json!({ "caIds": [setup.ca] })).await.ok();
    assert_eq!((&found["totalCount"], &found["certificates"][0]["commonName"]), (&json!(1), &json!("www.acme.com")));
    assert_eq!(world.post(&search, &json!({ "caIds": [NOBODY] })).await.ok()["totalCount"], 0);
    let statistics = world.get(&format!("{CERTIFICATES}/statistics")).await.ok();
    assert!(statistics.to_string().contains("lets-encrypt"), "{statistics}");
    assert_eq!(request(&world, &asked).await["status"], "issued");
}

#[tokio::test]
async fn revoking_tells_the_external_ca() {
    let (world, outside) = world().await;
    let setup = setup(&world).await;
    let asked = ask(&world, &setup, "www.acme.com").await;
    jobs(&world).await;
    let issued = request(&world, &asked).await;
    let path = format!("{CERTIFICATES}/{}/revoke", issued["certificateId"].as_str().unwrap());
    world.post(&path, &json!({ "revocationReason": "CERTIFICATE_HOLD" })).await.error(400, "BadRequest");
    let revoked = world.post(&path, &json!({ "revocationReason": "SUPERSEDED" })).await.ok();
    assert!(revoked["message"].as_str().unwrap().contains("external CA is being asked"), "{revoked}");
    jobs(&world).await;
    assert_eq!(*outside.revoked.lock().unwrap(), [issued["serialNumber"].as_str().unwrap()]);
}

#[tokio::test]
async fn an_intermediate_ca_is_signed_by_a_vault_in_one_step() {
    let (world, _) = world().await;
    let bao = json!({ "name": "bao", "method": "access-token",
        "credentials": { "instanceUrl": "https://bao.acme.com:8200", "accessToken": "t" } });
    let bao = id(&world.post(&format!("{CONNECTIONS}/hashicorp-vault"), &bao).await.ok()["appConnection"]);
    let aws = connection(&world, "aws").await;
    let ca = json!({ "name": "below", "configuration": {
        "type": "intermediate", "commonName": "Acme Below", "keyAlgorithm": "EC_prime256v1" } });
    let path = format!("{CA}/internal/{}", id(&world.post(&format!("{CA}/internal"), &ca).await.ok()));
    let install = format!("{path}/install-certificate-vault");
    world.post(&install, &json!({})).await.error(400, "BadRequest");
    let signer = |connection: &str, mount: &str| {
        json!({ "type": "vault", "appConnectionId": connection,
        "destinationConfig": { "mount": mount, "issuerRef": "root-2026" } })
    };
    let signing = format!("{path}/signing-config");
    world.post(&signing, &signer(&aws, "pki-root")).await.error(400, "BadRequest");
    let kept = world.post(&signing, &signer(&bao, "elsewhere")).await.ok();
    assert_eq!((&kept["type"], &kept["appConnectionId"]), (&json!("vault"), &json!(bao)));
    let refused = world.post(&install, &json!({ "maxPathLength": 0 })).await.error(400, "BadRequest");
    assert!(refused["message"].as_str().unwrap().contains("no secrets engine at elsewhere"), "{refused}");
    let changed = world.patch(&signing, &json!({ "destinationConfig": { "mount": "pki-root" } })).await.ok();
    assert_eq!(changed["destinationConfig"], json!({ "mount": "pki-root" }));
    assert_eq!(world.get(&signing).await.ok(), changed);
    let done = world.post(&install, &json!({ "maxPathLength": 0 })).await.ok();
    assert!(path.ends_with(done["caId"].as_str().unwrap()), "{done}");
    let active = world.get(&path).await.ok();
    assert_eq!((&active["status"], &active["configuration"]["maxPathLength"]), (&json!("active"), &json!(0)));
    let certificate = world.get(&format!("{path}/certificate")).await.ok();
    assert_eq!(blocks(&certificate["certificateChain"]), 1);
    world.delete(&format!("{CONNECTIONS}/hashicorp-vault/{bao}")).await.error(400, "BadRequest");
}

#[tokio::test]
async fn app_connections_are_kept_tried_and_never_shown_whole() {
    let (world, _) = world().await;
    let options = world.get(&format!("{CONNECTIONS}/options")).await.ok();
    let options = options["appConnectionOptions"].as_array().unwrap();
    let vault = options.iter().find(|it| it["app"] == "hashicorp-vault").unwrap();
    assert_eq!(vault["methods"], json!(["access-token", "app-role", "tls-certificate"]));
    assert!(vault["methodFields"][0]["fields"].as_array().unwrap().iter().any(|it| it["secret"] == true));
    let base = format!("{CONNECTIONS}/aws");
    let body = |name: &str, secret: &str| {
        json!({ "name": name, "description": "for DNS", "method": "access-key",
        "credentials": { "accessKeyId": "AKIA", "secretAccessKey": secret } })
    };
    let refused = world.post(&base, &body("dns", WRONG_SECRET)).await.error(400, "BadRequest");
    assert!(refused["message"].as_str().unwrap().contains("does not accept the credentials"), "{refused}");
    let untried = world
        .post(&base, &{
            let mut it = body("untried", WRONG_SECRET);
            it["test"] = json!(false);
            it
        })
        .await
        .ok();
    let untried = format!("{base}/{}", id(&untried["appConnection"]));
    world.post(&format!("{untried}/test"), &json!({})).await.error(400, "BadRequest");
    let made = world.post(&base, &body("dns", "s3cret-of-aws")).await;
    assert!(!made.text().contains("s3cret"), "{}", made.text());
    let made = made.ok()["appConnection"].clone();
    assert_eq!(made["credentials"], json!({ "accessKeyId": "AKIA" }));
    world.post(&base, &body("dns", "other")).await.error(400, "BadRequest");
    let path = format!("{base}/{}", id(&made));
    assert_eq!(world.get(&path).await.ok()["appConnection"], made);
    assert_eq!(world.get(&format!("{base}/connection-name/dns")).await.ok()["appConnection"], made);
    assert_eq!(world.post(&format!("{path}/test"), &json!({})).await.ok()["appConnection"], made);
    let other = |path: &str| path.replace("/aws/", "/cloudflare/");
    world.get(&other(&path)).await.error(404, "NotFound");
    world.get(&other(&format!("{base}/connection-name/dns"))).await.error(404, "NotFound");
    world.get(&format!("{CONNECTIONS}/fax")).await.error(400, "BadRequest");
    let patch = json!({ "description": null, "credentials": { "accessKeyId": "AKIB" } });
    let changed = world.patch(&path, &patch).await.ok()["appConnection"].clone();
    assert_eq!((&changed["credentials"], &changed["description"]), (&json!({ "accessKeyId": "AKIB" }), &Value::Null));
    // The secret that was not sent is still there: the service accepts it.
    world.post(&format!("{path}/test"), &json!({})).await.ok();
    let moved = json!({ "credentials": { "endpoint": "https://elsewhere.test" } });
    let refused = world.patch(&path, &moved).await.error(400, "BadRequest");
    assert!(refused["message"].as_str().unwrap().contains("secretAccessKey"), "{refused}");
    let listed = world.get(CONNECTIONS).await.ok();
    let names: Vec<&Value> = listed["appConnections"].as_array().unwrap().iter().map(|it| &it["name"]).collect();
    assert_eq!(names, ["dns", "untried"]);
    assert_eq!(world.get(&format!("{CONNECTIONS}/cloudflare")).await.ok()["appConnections"], json!([]));
    world.delete(&path).await.ok();
    world.get(&path).await.error(404, "NotFound");
    let logs = world.get("/api/v1/audit-logs?limit=100").await;
    assert!(!logs.text().contains("s3cret"), "a secret stands in the audit log");
    let events = logs.ok().to_string();
    for event in ["app-connection.created", "app-connection.updated", "app-connection.tested", "app-connection.deleted"]
    {
        assert!(events.contains(event), "{event}");
    }
}

#[tokio::test]
async fn a_connection_in_use_stays_and_other_projects_see_nothing() {
    let (world, _) = world().await;
    let setup = setup(&world).await;
    let asked = ask(&world, &setup, "slow.acme.com").await;
    let connection = world.get(CONNECTIONS).await.ok()["appConnections"][0].clone();
    let path = format!("{CONNECTIONS}/aws/{}", id(&connection));
    let refused = world.delete(&path).await.error(400, "BadRequest");
    assert!(refused["message"].as_str().unwrap().contains("lets-encrypt"), "{refused}");
    let stranger = world.other_project().await;
    let request = format!("{CERTIFICATES}/certificate-requests/{}", asked["certificateRequestId"].as_str().unwrap());
    let body = json!({ "name": "x" });
    for (method, path) in [
        ("GET", path.clone()),
        ("PATCH", path.clone()),
        ("DELETE", path.clone()),
        ("POST", format!("{path}/test")),
        ("GET", format!("{CONNECTIONS}/aws/connection-name/aws")),
        ("GET", format!("{CA}/acme/{}", setup.ca)),
        ("PATCH", format!("{CA}/acme/{}", setup.ca)),
        ("DELETE", format!("{CA}/acme/{}", setup.ca)),
        ("POST", format!("{CA}/acme/{}/account-key", setup.ca)),
        ("GET", request.clone()),
        ("POST", format!("{request}/cancel")),
        ("POST", format!("{request}/trigger-validation")),
    ] {
        let answer = world.call(method, &path).token(&stranger).json(&body).send().await;
        answer.error(404, "NotFound");
        assert!(!answer.text().contains("lets-encrypt"), "{method} {path}: {}", answer.text());
    }
    for path in [CONNECTIONS.to_owned(), CA.to_owned(), format!("{CA}/acme")] {
        let shown = world.call("GET", &path).token(&stranger).send().await;
        shown.ok();
        assert!(!shown.text().contains(&setup.ca) && !shown.text().contains(&id(&connection)), "{path}");
    }
    let theirs = json!({ "name": "theirs", "configuration": { "directoryUrl": "google",
        "dnsAppConnectionId": connection["id"], "dnsProviderConfig": { "provider": "route53", "hostedZoneId": "Z" } } });
    let answer = world.call("POST", &format!("{CA}/acme")).token(&stranger).json(&theirs).send().await;
    assert!(answer.error(400, "BadRequest")["message"].as_str().unwrap().contains("no app connection"));
    let operator = world.identity("operator").await;
    world.call("GET", CONNECTIONS).token(&operator).send().await.error(403, "PermissionDenied");
}
