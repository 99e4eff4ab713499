//! Alerts, as a mail server and a webhook receiver of other makers meet them; by a clock that the test moves.
//!
//! ```text
//! root ── issuing ── leaves          ┌─► e-mail  (aiosmtpd)
//! audit log, inventory ──► alerts ───┼─► webhook (Python's https server, which checks the signature by itself)
//!                                    └─► Slack   (the same server)
//! ```
//!
//! Verified: what happened is told once, by every channel, to those whose filters it meets, and nothing of what happened
//! before; what fails is tried again later, through restarts, under one id, and given up in the end with an entry in the
//! audit log; what ends soon is told once, or once a day; renewals that fail say why; names stay names; inner addresses are
//! refused without telling more; secrets do not come back; every rule of the sheet about an alert's form.

mod sink;

use chancery_testkit::world::{CERT_MANAGER, Pki, World, id_at, merged, text};
use reqwest::Method;
use serde_json::{Value, json};
use sink::{SECRET, Sinks};
use uuid::Uuid;

const DAY: i64 = 86_400;
const ALERTS: &str = "/api/v1/cert-manager/alerts";

/// Moves the clock and lets everything be done that is due then.
async fn pass(world: &World, seconds: i64) {
    world.clock.advance_seconds(seconds);
    world.authority().run_due_jobs().await;
}

fn webhook(sinks: &Sinks) -> Value {
    json!({"channelType": "webhook", "config": {"url": sinks.url("/hook"), "signingSecret": SECRET}})
}

/// An alert by webhook; `changes` replace whole keys.
async fn alert(world: &World, sinks: &Sinks, event: &str, changes: &Value) -> String {
    let base = json!({"name": event.replace('_', "-"), "eventType": event, "channels": [webhook(sinks)]});
    let made = world.admin().ok(Method::POST, ALERTS, Some(&merged(base, changes))).await;
    // It looks around at once; from here on nothing is due before the clock moves.
    pass(world, 0).await;
    text(&made, "/alert/id")
}

async fn shown(world: &World, id: &str) -> Value {
    world.auditor().ok(Method::GET, &format!("{ALERTS}/{id}"), None).await["alert"].clone()
}

async fn notifications(world: &World, id: &str) -> Vec<Value> {
    let path = format!("{ALERTS}/{id}/notifications");
    world.auditor().ok(Method::GET, &path, None).await["notifications"].as_array().unwrap().clone()
}

async fn issue(world: &World, profile: Uuid, name: &str, ttl: &str) -> String {
    let body = json!({"attributes": {"commonName": name, "ttl": ttl}});
    text(&world.issue(profile, &body).await, "/certificate/certificateId")
}

/// The common names of an event's certificates, sorted.
fn names(event: &Value) -> Vec<&str> {
    let certificates = event["body"]["data"]["certificates"].as_array().unwrap();
    let mut names: Vec<&str> = certificates.iter().map(|it| it["commonName"].as_str().unwrap()).collect();
    names.sort_unstable();
    names
}

async fn audited(world: &World, event: &str) -> Vec<Value> {
    let path = format!("/api/v1/audit-logs?event={event}");
    world.auditor().ok(Method::GET, &path, None).await["auditLogs"].as_array().unwrap().clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_happened_is_told_once_by_every_channel() {
    let sinks = Sinks::start();
    let world = sinks.world().start().await;
    let pki = world.pki().await;
    issue(&world, pki.profile, "early.acme.test", "30d").await;
    let channels = json!([
        {"channelType": "email", "config": {"recipients": ["ops@acme.test", "sec@acme.test"]}},
        webhook(&sinks),
        {"channelType": "slack", "config": {"webhookUrl": sinks.url("/slack"), "channel": "#pki", "mentionUsers": ["U123"]}},
        {"channelType": "webhook", "config": {"url": sinks.url("/off")}, "enabled": false},
    ]);
    let filters = json!([{"field": "common_name", "operator": "matches", "value": ["WWW*", "api.acme.*"]}]);
    let id = alert(&world, &sinks, "issuance", &json!({"channels": channels, "filters": filters})).await;
    let certificate = issue(&world, pki.profile, "www.acme.test", "30d").await;
    issue(&world, pki.profile, "api.acme.test", "30d").await;
    issue(&world, pki.profile, "db.acme.test", "30d").await;
    pass(&world, 5).await;

    let hooks = sinks.hooks("/hook");
    let event = &hooks[0];
    assert_eq!((hooks.len(), names(event)), (1, vec!["api.acme.test", "www.acme.test"]));
    assert_eq!(event["type"], "application/cloudevents+json; charset=utf-8");
    assert_eq!((&event["signed"], &event["signatureGood"]), (&json!(true), &json!(true)));
    assert!(text(event, "/signature").starts_with(&format!("t={},v1=", world.now_seconds())));
    let body = &event["body"];
    assert_eq!((&body["specversion"], &body["subject"]), (&json!("1.0"), &json!("certificate-issuance-alert")));
    assert_eq!(body["type"], "com.infisical.pki.certificate.issuance");
    assert_eq!(body["data"]["alert"]["id"], id);
    assert_eq!(body["data"]["metadata"]["totalCertificates"], 2);
    assert_eq!(body["data"]["metadata"]["viewUrl"], format!("https://pki.acme.test{ALERTS}/{id}/certificates"));
    let told = body["data"]["certificates"].as_array().unwrap().iter().find(|it| it["id"] == certificate).unwrap();
    assert_eq!((&told["status"], &told["daysUntilExpiry"]), (&json!("active"), &json!(29)));
    assert_eq!(told["san"], json!(["www.acme.test"]));

    let mails = sinks.mails();
    let mail = &mails[0];
    assert_eq!((mails.len(), &mail["to"]), (1, &json!(["ops@acme.test", "sec@acme.test"])));
    assert_eq!(mail["subject"], "[Chancery] 2 certificates issued: issuance");
    assert_eq!((&mail["kind"], &mail["from"]), (&json!("text/plain"), &json!("pki@acme.test")));
    assert!(text(mail, "/text").contains("www.acme.test (serial "), "{mail:#}");
    let slack = sinks.hooks("/slack");
    assert_eq!((slack.len(), &slack[0]["body"]["channel"]), (1, &json!("#pki")));
    assert!(slack[0]["body"].to_string().contains("<@U123>"));
    assert!(sinks.hooks("/off").is_empty());

    let sent = notifications(&world, &id).await;
    assert_eq!(sent.len(), 3);
    assert!(sent.iter().all(|it| it["state"] == "delivered" && it["attempts"] == 1), "{sent:#?}");
    assert!(sent.iter().any(|it| it["id"] == body["id"]));
    assert!(sent.iter().any(|it| text(mail, "/headers/message-id") == format!("<{}@acme.test>", text(it, "/id"))));
    assert_eq!(shown(&world, &id).await["lastRun"]["status"], "success");
    for _ in 0..5 {
        pass(&world, 5).await;
    }
    assert_eq!(sinks.received().len(), 3, "nothing is told twice");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_event_has_its_own_alerts_and_a_disabled_one_hears_nothing() {
    let sinks = Sinks::start();
    let world = sinks.world().start().await;
    let pki = world.pki().await;
    let renewal = alert(&world, &sinks, "renewal", &json!({})).await;
    alert(&world, &sinks, "revocation", &json!({})).await;
    alert(&world, &sinks, "issuance", &json!({"enabled": false})).await;
    let id = issue(&world, pki.profile, "www.acme.test", "30d").await;
    let path = format!("{CERT_MANAGER}/certificates/{id}/renew");
    let renewed = world.operator().ok(Method::POST, &path, Some(&json!({}))).await;
    let path = format!("{CERT_MANAGER}/certificates/{id}/revoke");
    world.admin().ok(Method::POST, &path, Some(&json!({"revocationReason": "SUPERSEDED"}))).await;
    pass(&world, 5).await;
    let hooks = sinks.hooks("/hook");
    let types: Vec<String> = hooks.iter().map(|it| text(it, "/body/type")).collect();
    assert_eq!(types.len(), 2, "{types:?}");
    for (event, certificate, status) in
        [("renewal", renewed["certificateId"].clone(), "active"), ("revocation", json!(id), "revoked")]
    {
        let kind = format!("com.infisical.pki.certificate.{event}");
        let told = hooks.iter().find(|it| it["body"]["type"] == kind).unwrap();
        assert_eq!(told["body"]["data"]["certificates"][0]["id"], certificate);
        assert_eq!(told["body"]["data"]["certificates"][0]["status"], status);
    }
    // Switched off, it misses what happens, also after it is switched on again.
    let path = format!("{ALERTS}/{renewal}");
    world.admin().ok(Method::PATCH, &path, Some(&json!({"enabled": false}))).await;
    let successor = text(&renewed, "/certificateId");
    let path_renew = format!("{CERT_MANAGER}/certificates/{successor}/renew");
    world.operator().ok(Method::POST, &path_renew, Some(&json!({}))).await;
    world.clock.advance_seconds(1);
    world.admin().ok(Method::PATCH, &path, Some(&json!({"enabled": true}))).await;
    pass(&world, 60).await;
    assert_eq!(sinks.hooks("/hook").len(), 2);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_taken_is_tried_again_through_a_restart_under_one_id() {
    let sinks = Sinks::start();
    let mut world = sinks.world().start().await;
    let pki = world.pki().await;
    let email = json!({"channelType": "email", "config": {"recipients": ["ops@acme.test"]}});
    let id = alert(&world, &sinks, "issuance", &json!({"channels": [webhook(&sinks), email]})).await;
    sinks.answer(500, "451 Try again later");
    issue(&world, pki.profile, "www.acme.test", "30d").await;
    pass(&world, 5).await;
    let waiting = notifications(&world, &id).await;
    assert!(waiting.iter().all(|it| it["state"] == "pending" && it["attempts"] == 1), "{waiting:#?}");
    let errors: Vec<String> = waiting.iter().map(|it| text(it, "/lastError")).collect();
    assert!(errors.iter().any(|it| it == "answered with status 500"), "{errors:?}");
    assert!(errors.iter().any(|it| it.contains("451")), "{errors:?}");
    assert_eq!(shown(&world, &id).await["lastRun"]["status"], "failed");
    // Half a minute, a fifth more or less.
    pass(&world, 23).await;
    assert_eq!(sinks.received().len(), 2, "too early");
    sinks.answer(200, "250 OK");
    world.restart().await;
    pass(&world, 14).await;
    let received = sinks.received();
    assert_eq!(received.len(), 4);
    let of = |by: &str, field: &str| -> Vec<Value> {
        received.iter().filter(|it| it["by"] == by).map(|it| it.pointer(field).cloned().unwrap()).collect()
    };
    for ids in [of("https", "/body/id"), of("smtp", "/headers/message-id")] {
        assert_eq!((ids.len(), &ids[0]), (2, &ids[1]), "a repeat can be told from a new message");
    }
    world.restart().await;
    pass(&world, DAY).await;
    assert_eq!(sinks.received().len(), 4, "delivered once");
    let sent = notifications(&world, &id).await;
    assert!(sent.iter().all(|it| it["state"] == "delivered" && it["attempts"] == 2), "{sent:#?}");
    assert_eq!(shown(&world, &id).await["lastRun"]["error"], Value::Null);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_never_taken_is_given_up_and_stands_in_the_audit_log() {
    let sinks = Sinks::start();
    let world = sinks.world().start().await;
    let pki = world.pki().await;
    let email = json!({"channelType": "email", "config": {"recipients": ["nobody@acme.test"]}});
    let patient = alert(&world, &sinks, "issuance", &json!({})).await;
    let refused = alert(&world, &sinks, "issuance", &json!({"name": "refused", "channels": [email]})).await;
    sinks.answer(503, "550 No such user");
    let issued = issue(&world, pki.profile, "www.acme.test", "30d").await;
    pass(&world, 5).await;
    let [mail] = notifications(&world, &refused).await.try_into().unwrap();
    assert_eq!((&mail["state"], &mail["attempts"]), (&json!("failed"), &json!(1)), "{mail:#}");
    for tries in 1..24 {
        let [waiting] = notifications(&world, &patient).await.try_into().unwrap();
        assert_eq!((&waiting["state"], &waiting["attempts"]), (&json!("pending"), &json!(tries)), "{waiting:#}");
        pass(&world, 5_000).await;
    }
    let [dead] = notifications(&world, &patient).await.try_into().unwrap();
    assert_eq!((&dead["state"], &dead["attempts"]), (&json!("failed"), &json!(24)));
    pass(&world, 30 * DAY).await;
    assert_eq!((sinks.hooks("/hook").len(), sinks.mails().len()), (24, 1));
    let entries = audited(&world, "alert.notification-failed").await;
    assert_eq!(entries.len(), 2);
    for (alert, kind, attempts) in [(&patient, "webhook", 24), (&refused, "email", 1)] {
        let entry = entries.iter().find(|it| it["object"]["id"] == alert.as_str()).unwrap();
        assert_eq!((&entry["outcome"], &entry["details"]["channelType"]), (&json!("failure"), &json!(kind)));
        assert_eq!(entry["details"]["attempts"], attempts);
    }
    // The certificate was issued all the same, and goes on being found.
    assert_eq!(world.operator().get(&format!("{CERT_MANAGER}/certificates/{issued}")).await.0, 200);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_ends_soon_is_told_once_or_once_a_day() {
    let sinks = Sinks::start();
    let world = sinks.world().start().await;
    let pki = world.pki().await;
    // A person's session would end on the way.
    let boss = world.identity("boss", "admin").await;
    let short = issue(&world, pki.profile, "short.acme.test", "20d").await;
    let revoked = issue(&world, pki.profile, "revoked.acme.test", "20d").await;
    let renewed = issue(&world, pki.profile, "renewed.acme.test", "20d").await;
    issue(&world, pki.profile, "long.acme.test", "80d").await;
    let certificates = format!("{CERT_MANAGER}/certificates");
    world
        .admin()
        .ok(
            Method::POST,
            &format!("{certificates}/{revoked}/revoke"),
            Some(&json!({"revocationReason": "UNSPECIFIED"})),
        )
        .await;
    world.operator().ok(Method::POST, &format!("{certificates}/{renewed}/renew"), Some(&json!({}))).await;
    let once = alert(&world, &sinks, "expiration", &json!({"alertBefore": "19d"})).await;
    let daily = json!({"name": "daily", "alertBefore": "2w", "notificationConfig": {"enableDailyNotification": true},
        "filters": [{"field": "common_name", "operator": "starts_with", "value": "short"}],
        "channels": [{"channelType": "webhook", "config": {"url": sinks.url("/daily")}}]});
    alert(&world, &sinks, "expiration", &daily).await;
    pass(&world, 0).await;
    assert!(sinks.received().is_empty(), "nothing ends within 19 days yet");
    pass(&world, DAY + 3_600).await;
    let hooks = sinks.hooks("/hook");
    // The successor of the renewed one ends as soon as the short one; the renewed and the revoked one matter no more.
    assert_eq!((hooks.len(), names(&hooks[0])), (1, vec!["renewed.acme.test", "short.acme.test"]));
    let told = &hooks[0]["body"]["data"];
    assert_eq!(told["alert"]["alertBefore"], "19d");
    assert!(told["certificates"].as_array().unwrap().iter().any(|it| it["id"] == short));
    assert!(told["certificates"].as_array().unwrap().iter().all(|it| it["id"] != renewed));
    let listed = world.auditor().ok(Method::GET, &format!("{ALERTS}/{once}/certificates"), None).await;
    assert_eq!((&listed["total"], &listed["totalExact"]), (&json!(2), &json!(true)));
    for day in 2..9 {
        for _ in 0..4 {
            pass(&world, DAY / 4).await;
        }
        assert_eq!(sinks.hooks("/hook").len(), 1, "told once, day {day}");
    }
    let days = sinks.hooks("/daily");
    // Within two weeks of its end since the middle of the seventh day.
    assert!((2..=4).contains(&days.len()), "{} times", days.len());
    let mut ids: Vec<String> = days.iter().map(|it| text(it, "/body/id")).collect();
    ids.dedup();
    assert_eq!(ids.len(), days.len());
    // Another span is another question.
    let patch = json!({"alertBefore": "12d"});
    boss.ok(Method::PATCH, &format!("{ALERTS}/{once}"), Some(&patch)).await;
    pass(&world, 0).await;
    assert_eq!(sinks.hooks("/hook").len(), 2);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cas_are_told_of_where_they_are_asked_for() {
    let sinks = Sinks::start();
    let world = sinks.world().start().await;
    let pki = world.pki().await;
    let ca = alert(&world, &sinks, "ca_expiration", &json!({"alertBefore": "5y"})).await;
    let with = json!({"name": "with-cas", "alertBefore": "5y", "filters": [
        {"field": "include_cas", "operator": "equals", "value": true},
        {"field": "common_name", "operator": "contains", "value": "issuing"}],
        "channels": [{"channelType": "webhook", "config": {"url": sinks.url("/with")}}]});
    alert(&world, &sinks, "expiration", &with).await;
    let without = json!({"name": "without-cas", "alertBefore": "5y",
        "channels": [{"channelType": "webhook", "config": {"url": sinks.url("/without")}}]});
    alert(&world, &sinks, "expiration", &without).await;
    pass(&world, 1).await;
    for path in ["/hook", "/with"] {
        let hooks = sinks.hooks(path);
        assert_eq!(hooks.len(), 1, "{path}");
        let told = &hooks[0]["body"]["data"]["certificates"];
        assert_eq!((told.as_array().unwrap().len(), &told[0]["caId"]), (1, &json!(pki.issuing)), "{path}");
    }
    assert_eq!(sinks.hooks("/hook")[0]["body"]["type"], "com.infisical.pki.certificate.ca_expiration");
    assert!(sinks.hooks("/without").is_empty());
    let listed = world.admin().ok(Method::GET, &format!("{ALERTS}/{ca}/certificates"), None).await;
    assert_eq!(listed["total"], 1);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_renewal_that_fails_is_told_with_its_reason_once_a_day() {
    let sinks = Sinks::start();
    let world = sinks.world().start().await;
    let pki = world.pki().await;
    let renewing = json!({"caId": pki.issuing, "certificatePolicyId": pki.template,
        "apiConfig": {"autoRenew": true, "renewBeforeDays": 10}});
    let profile = world.profile(&renewing).await;
    let id = issue(&world, profile, "www.acme.test", "30d").await;
    alert(&world, &sinks, "renewal_failed", &json!({})).await;
    let tightened = json!({"sans": [{"type": "dns_name", "allowed": ["*.other.test"]}]});
    let path = format!("{CERT_MANAGER}/certificate-policies/{}", pki.template);
    world.admin().ok(Method::PATCH, &path, Some(&tightened)).await;
    for _ in 0..(22 * 24) {
        pass(&world, 3_600).await;
    }
    let hooks = sinks.hooks("/hook");
    assert!((2..=4).contains(&hooks.len()), "told {} times in two days of failures", hooks.len());
    let told = &hooks[0]["body"];
    assert_eq!(told["type"], "com.infisical.pki.certificate.renewal_failed");
    assert_eq!(told["data"]["certificates"][0]["id"], id);
    let reason = text(told, "/data/certificates/0/renewalError");
    assert!(reason.contains("www.acme.test"), "{reason}");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_that_looks_like_markup_stays_a_name() {
    let sinks = Sinks::start();
    let world = sinks.world().start().await;
    let pki = world.pki().await;
    let made = world
        .admin()
        .ok(Method::POST, &format!("{CERT_MANAGER}/certificate-policies"), Some(&json!({"name": "open"})))
        .await;
    let open = json!({"caId": pki.issuing, "certificatePolicyId": id_at(&made, "/certificatePolicy/id")});
    let profile = world.profile(&open).await;
    let name = "<img src=x onerror=alert(1)> <!channel> {{7*7}}";
    let channels = json!([
        {"channelType": "email", "config": {"recipients": ["ops@acme.test"]}},
        {"channelType": "slack", "config": {"webhookUrl": sinks.url("/slack")}},
        webhook(&sinks),
    ]);
    alert(&world, &sinks, "issuance", &json!({"channels": channels})).await;
    issue(&world, profile, name, "10d").await;
    pass(&world, 5).await;
    let mail = &sinks.mails()[0];
    assert_eq!(mail["kind"], "text/plain");
    assert!(text(mail, "/text").contains(name), "{mail:#}");
    let slack = sinks.hooks("/slack")[0]["body"].to_string();
    assert!(slack.contains("&lt;img src=x onerror=alert(1)&gt; &lt;!channel&gt;"), "{slack}");
    assert_eq!(names(&sinks.hooks("/hook")[0]), [name]);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn inner_addresses_are_refused_and_nothing_more_is_told() {
    let sinks = Sinks::start();
    let bundle = sinks.path("ca.pem").display().to_string();
    let world = World::builder().setting("egress_ca_file", &bundle).start().await;
    let port = sinks.url("").rsplit(':').next().unwrap().to_owned();
    for host in [
        "127.0.0.1",
        "localhost",
        "2130706433",
        "0x7f.1",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "169.254.169.254",
        "[fd00:ec2::254]",
        "10.0.0.1",
        "192.168.0.1",
        "0.0.0.0",
        "[64:ff9b::7f00:1]",
    ] {
        let body = json!({"url": format!("https://{host}:{port}/hook")});
        let answer = world.admin().ok(Method::POST, &format!("{ALERTS}/test-webhook"), Some(&body)).await;
        assert_eq!(answer, json!({"success": false, "error": "the address is not allowed"}), "{host}");
    }
    let unreachable = json!({"url": "https://does-not-exist.invalid/hook"});
    let answer = world.admin().ok(Method::POST, &format!("{ALERTS}/test-webhook"), Some(&unreachable)).await;
    assert_eq!(answer, json!({"success": false, "error": "unreachable"}));
    assert!(sinks.received().is_empty());
    // Without a mail server the message is given up at once, and says what to set.
    let email = json!([{"channelType": "email", "config": {"recipients": ["ops@acme.test"]}}]);
    let id = alert(&world, &sinks, "issuance", &json!({"channels": email})).await;
    let tested = world.admin().ok(Method::POST, &format!("{ALERTS}/{id}/test"), None).await;
    assert!(text(&tested, "/channels/0/error").contains("smtp_url"), "{tested:#}");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn channels_can_be_tried_out_and_redirects_are_not_followed() {
    let sinks = Sinks::start();
    let world = sinks.world().start().await;
    let email = json!({"channelType": "email", "config": {"recipients": ["ops@acme.test"]}});
    let id = alert(&world, &sinks, "issuance", &json!({"channels": [webhook(&sinks), email]})).await;
    let path = format!("{ALERTS}/{id}/test");
    let tested = world.admin().ok(Method::POST, &path, None).await;
    for (index, kind) in ["webhook", "email"].iter().enumerate() {
        assert_eq!(tested["channels"][index]["channelType"], *kind);
        assert_eq!(tested["channels"][index]["success"], true, "{tested:#}");
    }
    assert_eq!(sinks.hooks("/hook")[0]["body"]["type"], "com.infisical.pki.certificate.test");
    assert_eq!(sinks.hooks("/hook")[0]["signatureGood"], true);
    assert_eq!(sinks.mails()[0]["subject"], "[Chancery] Test of a notification channel: issuance");
    sinks.answer(302, "250 OK");
    let body = json!({"url": sinks.url("/moved"), "signingSecret": SECRET});
    let answer = world.admin().ok(Method::POST, &format!("{ALERTS}/test-webhook"), Some(&body)).await;
    assert_eq!(answer, json!({"success": false, "error": "answered with status 302"}));
    assert!(sinks.hooks("/elsewhere").is_empty());
    assert_eq!(audited(&world, "alert.tested").await.len(), 2);
    assert!(notifications(&world, &id).await.is_empty());
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn secrets_are_kept_and_never_shown() {
    let sinks = Sinks::start();
    let world = sinks.world().start().await;
    let slack = json!({"channelType": "slack", "config": {"webhookUrl": sinks.url("/slack-secret")}});
    let id = alert(&world, &sinks, "issuance", &json!({"channels": [webhook(&sinks), slack]})).await;
    let path = format!("{ALERTS}/{id}");
    let first = shown(&world, &id).await;
    assert_eq!(first["channels"][0]["config"], json!({"url": sinks.url("/hook"), "hasSigningSecret": true}));
    assert_eq!(first["channels"][1]["config"], json!({"mentionUsers": [], "hasWebhookUrl": true}));
    let ids = [0, 1].map(|index| first["channels"][index]["id"].clone());
    // Known channels keep their secrets when these are left out, and only then.
    let channels = json!([
        {"id": ids[0], "channelType": "webhook", "config": {"url": sinks.url("/hook")}},
        {"id": ids[1], "channelType": "slack", "config": {"channel": "#pki"}},
    ]);
    world.admin().ok(Method::PATCH, &path, Some(&json!({"channels": channels}))).await;
    world.admin().ok(Method::POST, &format!("{path}/test"), None).await;
    assert_eq!(sinks.hooks("/hook")[0]["signatureGood"], true);
    assert_eq!(sinks.hooks("/slack-secret").len(), 1);
    let cleared = json!([{"id": ids[0], "channelType": "webhook",
        "config": {"url": sinks.url("/hook"), "signingSecret": null}}]);
    let after = world.admin().ok(Method::PATCH, &path, Some(&json!({"channels": cleared}))).await;
    assert_eq!(after["alert"]["channels"][0]["config"]["hasSigningSecret"], false);
    let foreign = json!([{"id": ids[1], "channelType": "webhook", "config": {"url": sinks.url("/hook")}}]);
    let (status, answer) = world.admin().patch(&path, &json!({"channels": foreign})).await;
    assert_eq!((status, &answer["code"]), (400, &json!("alert.channel")), "{answer:#}");
    let log = world.admin().ok(Method::GET, "/api/v1/audit-logs", None).await.to_string();
    for secret in [SECRET, "slack-secret"] {
        assert!(!log.contains(secret) && !first.to_string().contains(secret), "{secret}");
    }
    let database = std::fs::read(world.data_dir().join("chancery.db")).unwrap();
    let log = std::fs::read(world.data_dir().join("chancery.db-wal")).unwrap_or_default();
    for stored in [database, log] {
        assert!(!stored.windows(SECRET.len()).any(|it| it == SECRET.as_bytes()));
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn previews_follow_the_filters() {
    let sinks = Sinks::start();
    let world = sinks.world().start().await;
    let pki = world.pki().await;
    for (name, ttl) in [("www.acme.test", "10d"), ("api.acme.test", "20d"), ("db.acme.test", "60d")] {
        issue(&world, pki.profile, name, ttl).await;
    }
    issue(&world, pki.self_signed, "own.acme.test", "10d").await;
    let profiles = world.admin().ok(Method::GET, &format!("{CERT_MANAGER}/certificate-profiles"), None).await;
    let found = profiles["certificateProfiles"].as_array().unwrap();
    let slug = text(found.iter().find(|it| it["id"] == json!(pki.self_signed)).unwrap(), "/slug");
    let filter =
        |field: &str, operator: &str, value: Value| json!({"field": field, "operator": operator, "value": value});
    for (event, before, filters, expected) in [
        ("expiration", json!("30d"), json!([]), vec!["api.acme.test", "own.acme.test", "www.acme.test"]),
        ("expiration", json!("15d"), json!([]), vec!["own.acme.test", "www.acme.test"]),
        ("expiration", json!("1y"), json!([filter("profile_name", "equals", json!(slug))]), vec!["own.acme.test"]),
        (
            "expiration",
            json!("1y"),
            json!([filter("san", "ends_with", json!([".acme.test"])), filter("common_name", "matches", json!("?b.*"))]),
            vec!["db.acme.test"],
        ),
        ("expiration", json!("1y"), json!([filter("san", "contains", json!("nothing"))]), vec![]),
        (
            "issuance",
            Value::Null,
            json!([filter("common_name", "starts_with", json!(["a", "d"]))]),
            vec!["api.acme.test", "db.acme.test"],
        ),
    ] {
        let body = json!({"eventType": event, "alertBefore": before, "filters": filters});
        let answer = world.auditor().ok(Method::POST, &format!("{ALERTS}/preview/certificates"), Some(&body)).await;
        let certificates = answer["certificates"].as_array().unwrap();
        let mut names: Vec<&str> = certificates.iter().map(|it| it["commonName"].as_str().unwrap()).collect();
        names.sort_unstable();
        assert_eq!(names, expected, "{body}");
        assert_eq!(answer["total"], expected.len());
    }
    let page = json!({"alertBefore": "30d", "limit": 1, "offset": 2});
    let answer = world.admin().ok(Method::POST, &format!("{ALERTS}/preview/certificates"), Some(&page)).await;
    assert_eq!((answer["certificates"].as_array().unwrap().len(), &answer["total"]), (1, &json!(3)));
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_rule_about_an_alert_is_enforced() {
    let world = World::start().await;
    let base = json!({"name": "a", "eventType": "expiration", "alertBefore": "30d",
        "channels": [{"channelType": "email", "config": {"recipients": ["ops@acme.test"]}}]});
    let channel = |kind: &str, config: Value| json!([{"channelType": kind, "config": config}]);
    let many = |count: usize| vec![base["channels"][0].clone(); count];
    for (changes, status) in [
        (json!({}), 200),
        (json!({"name": ""}), 422),
        (json!({"name": "With-Capitals"}), 422),
        (json!({"name": "two--hyphens"}), 422),
        (json!({"name": "-start"}), 422),
        (json!({"name": "a".repeat(256)}), 422),
        (json!({"description": "d".repeat(1_001)}), 422),
        (json!({"eventType": "birthday"}), 422),
        (json!({"alertBefore": "30"}), 422),
        (json!({"alertBefore": "0d"}), 422),
        (json!({"alertBefore": "30 days"}), 422),
        (json!({"alertBefore": null}), 400),
        (json!({"eventType": "issuance"}), 400),
        (
            json!({"eventType": "issuance", "alertBefore": null,
            "notificationConfig": {"enableDailyNotification": true}}),
            400,
        ),
        (json!({"channels": []}), 422),
        (json!({"channels": many(11)}), 422),
        (json!({"channels": channel("fax", json!({}))}), 422),
        (json!({"channels": channel("email", json!({}))}), 422),
        (json!({"channels": channel("email", json!({"recipients": vec!["a@b.test"; 11]}))}), 422),
        (json!({"channels": channel("email", json!({"recipients": ["nobody"]}))}), 422),
        (json!({"channels": channel("email", json!({"recipients": ["a@b.test\r\nBcc: c@d.test"]}))}), 422),
        (json!({"channels": channel("webhook", json!({}))}), 422),
        (json!({"channels": channel("webhook", json!({"url": "http://acme.test/"}))}), 422),
        (json!({"channels": channel("webhook", json!({"url": "https://u:p@acme.test/"}))}), 422),
        (
            json!({"channels": channel("webhook", json!({"url": "https://acme.test/", "signingSecret": "s".repeat(257)}))}),
            422,
        ),
        (json!({"channels": channel("slack", json!({}))}), 422),
        (
            json!({"channels": channel("slack", json!({"webhookUrl": "https://s.test/", "mentionUsers": ["<!x>"]}))}),
            422,
        ),
        (json!({"filters": [{"field": "colour", "operator": "equals", "value": "red"}]}), 422),
        (json!({"filters": [{"field": "san", "operator": "like", "value": "x"}]}), 422),
        (json!({"filters": [{"field": "san", "operator": "equals", "value": 5}]}), 422),
        (json!({"filters": [{"field": "san", "operator": "equals", "value": []}]}), 422),
        (json!({"filters": [{"field": "san", "operator": "equals", "value": true}]}), 400),
        (json!({"filters": [{"field": "include_cas", "operator": "equals", "value": "yes"}]}), 400),
    ] {
        let body = merged(merged(base.clone(), &json!({"name": "b"})), &changes);
        let body = if status == 200 { base.clone() } else { body };
        let (found, answer) = world.admin().post(ALERTS, &body).await;
        assert_eq!(found, status, "{changes}: {answer:#}");
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_alerts_name_is_its_own_and_other_projects_do_not_see_it() {
    let world = World::start().await;
    let base = json!({"name": "a", "eventType": "expiration", "alertBefore": "30d",
        "channels": [{"channelType": "email", "config": {"recipients": ["ops@acme.test"]}}]});
    world.admin().ok(Method::POST, ALERTS, Some(&base)).await;
    let (status, answer) = world.admin().post(ALERTS, &base).await;
    assert_eq!((status, &answer["code"]), (400, &json!("conflict")), "a name is taken once: {answer:#}");
    let listed = world.auditor().ok(Method::GET, &format!("{ALERTS}?eventType=expiration&enabled=true"), None).await;
    assert_eq!((&listed["total"], &listed["alerts"][0]["name"]), (&json!(1), &json!("a")));
    assert_eq!(world.auditor().ok(Method::GET, &format!("{ALERTS}?enabled=false"), None).await["total"], 0);
    assert_eq!(world.operator().post(ALERTS, &base).await.0, 403);
    let id = text(&listed, "/alerts/0/id");
    let stranger = world.other_project_admin().await;
    for path in
        [format!("{ALERTS}/{id}"), format!("{ALERTS}/{id}/notifications"), format!("{ALERTS}/{id}/certificates")]
    {
        assert_eq!(stranger.get(&path).await.0, 404, "{path}");
    }
    let deleted = world.admin().ok(Method::DELETE, &format!("{ALERTS}/{id}"), None).await;
    assert_eq!(deleted["alert"]["id"], id);
    assert_eq!(world.admin().get(&format!("{ALERTS}/{id}")).await.0, 404);
    world.stop().await;
}

/// One application with the profile, one without.
async fn application_with(world: &World, pki: &Pki) -> String {
    let changes = json!({"caId": pki.issuing, "certificatePolicyId": pki.template, "enrollmentType": null});
    let profile = world.profile(&changes).await;
    let path = format!("{CERT_MANAGER}/applications");
    let body = json!({"name": "billing", "profileIds": [profile]});
    let made = world.admin().ok(Method::POST, &path, Some(&body)).await;
    let id = text(&made, "/application/id");
    let enrol = format!("{path}/{id}/profiles/{profile}/enrollment/api");
    world.admin().ok(Method::PUT, &enrol, Some(&json!({"autoRenew": false}))).await;
    let body = json!({"applicationId": id, "attributes": {"commonName": "bill.acme.test", "ttl": "10d"}});
    world.issue(profile, &body).await;
    id
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_applications_alert_is_about_its_certificates_only() {
    let sinks = Sinks::start();
    let world = sinks.world().start().await;
    let pki = world.pki().await;
    issue(&world, pki.profile, "www.acme.test", "10d").await;
    let application = application_with(&world, &pki).await;
    let base = format!("{CERT_MANAGER}/applications/{application}/alerts");
    let body = json!({"name": "ours", "eventType": "expiration", "alertBefore": "30d", "channels": [webhook(&sinks)]});
    let made = world.admin().ok(Method::POST, &base, Some(&body)).await;
    let id = text(&made, "/alert/id");
    assert_eq!(made["alert"]["applicationId"], application);
    // Another application, or the project, may have an alert of the same name.
    alert(&world, &sinks, "ca_expiration", &json!({"name": "ours", "alertBefore": "1d"})).await;
    pass(&world, 1).await;
    let hooks = sinks.hooks("/hook");
    assert_eq!((hooks.len(), names(&hooks[0])), (1, vec!["bill.acme.test"]));
    let listed = world.admin().ok(Method::GET, &base, None).await;
    assert_eq!((&listed["total"], &listed["alerts"][0]["id"]), (&json!(1), &json!(id)));
    let elsewhere = format!("{CERT_MANAGER}/applications/{}/alerts/{id}", Uuid::nil());
    assert_eq!(world.admin().patch(&elsewhere, &json!({"enabled": false})).await.0, 404);
    let own = format!("{base}/{id}");
    let changed = world.admin().ok(Method::PATCH, &own, Some(&json!({"enabled": false}))).await;
    assert_eq!(changed["alert"]["enabled"], false);
    assert_eq!(world.admin().delete(&own).await.0, 200);
    assert_eq!(world.admin().patch(&own, &json!({"enabled": true})).await.0, 404);
    world.stop().await;
}
