//! Numbers for a dashboard, and what leaves the inventory by the clock.

use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_ended_long_ago_leaves_the_inventory_where_that_is_asked_for() {
    let world = World::start().await;
    let pki = world.pki().await;
    let settings = format!("{CERT_MANAGER}/settings/clean-up");
    let off = world.auditor().ok(Method::GET, &settings, None).await;
    assert_eq!(off, json!({"enabled": false, "expiredForDays": 90, "nextRunAt": null}));
    for (body, status) in
        [(json!({"expiredForDays": 0}), 422), (json!({"expiredForDays": 3651}), 422), (json!({"enabled": "yes"}), 422)]
    {
        assert_eq!(world.admin().patch(&settings, &body).await.0, status, "{body}");
    }
    for session in [world.operator(), world.auditor()] {
        assert_eq!(session.patch(&settings, &json!({"enabled": true})).await.0, 403);
    }
    let ended = world.issue(pki.profile, &json!({"attributes": {"commonName": "ended.acme.test", "ttl": "1d"}})).await;
    let lasting =
        world.issue(pki.profile, &json!({"attributes": {"commonName": "lasting.acme.test", "ttl": "300d"}})).await;
    let (ended, lasting) = (text(&ended, "/certificate/certificateId"), text(&lasting, "/certificate/certificateId"));
    let serial = text(&shown(&world, &ended).await, "/serialNumber");

    // Off: however old, it stays.
    world.clock.advance_seconds(40 * DAY);
    world.authority().run_due_jobs().await;
    assert_eq!(shown(&world, &ended).await["status"], json!("expired"));

    let mut world = world;
    world.log_in_administrator().await;
    let on = world.admin().ok(Method::PATCH, &settings, Some(&json!({"enabled": true, "expiredForDays": 30}))).await;
    assert_eq!(on["nextRunAt"], json!(world.date_in_days(1)));
    world.authority().run_due_jobs().await;
    assert_eq!(found(&world, &json!({})).await.len(), 2, "the first run is a day later");
    world.clock.advance_seconds(DAY);
    world.authority().run_due_jobs().await;
    assert_eq!(found(&world, &json!({})).await, [lasting.as_str()]);
    assert_eq!(world.auditor().get(&path(&format!("/{ended}"))).await.0, 404);
    let log = world.auditor().ok(Method::GET, "/api/v1/audit-logs?event=certificate.cleaned-up", None).await;
    assert_eq!(log["auditLogs"].as_array().unwrap().len(), 1, "{log:#}");
    assert_eq!(log["auditLogs"][0]["details"]["serialNumbers"], json!([serial]));
    assert_eq!(log["auditLogs"][0]["actor"]["type"], "system");
    let next = world.auditor().ok(Method::GET, &settings, None).await;
    assert_eq!(next["nextRunAt"], json!(world.date_in_days(1)), "and then every day");

    world.log_in_administrator().await;
    world.admin().ok(Method::PATCH, &settings, Some(&json!({"enabled": false}))).await;
    world.clock.advance_seconds(400 * DAY);
    world.authority().run_due_jobs().await;
    assert_eq!(found(&world, &json!({})).await, [lasting], "off again: nothing more is removed");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revoked_certificate_stays_while_a_crl_lists_it() {
    let mut world = World::start().await;
    let pki = world.pki().await;
    let settings = format!("{CERT_MANAGER}/settings/clean-up");
    let issued = world.issue(pki.profile, &json!({"attributes": {"commonName": "bad.acme.test", "ttl": "1d"}})).await;
    let id = text(&issued, "/certificate/certificateId");
    let reason = json!({"revocationReason": "KEY_COMPROMISE"});
    world.admin().ok(Method::POST, &path(&format!("/{id}/revoke")), Some(&reason)).await;
    world.admin().ok(Method::PATCH, &settings, Some(&json!({"enabled": true, "expiredForDays": 1}))).await;
    world.authority().run_due_jobs().await;
    world.clock.advance_seconds(DAY + 60);
    world.authority().run_due_jobs().await;
    assert_eq!(world.auditor().get(&path(&format!("/{id}"))).await.0, 200, "in force a minute ago");
    // One planned CRL after its end it is listed no more; the clean-up of some day after that removes it.
    for _ in 0..30 {
        world.clock.advance_seconds(DAY);
        world.authority().run_due_jobs().await;
    }
    assert_eq!(world.auditor().get(&path(&format!("/{id}"))).await.0, 404);
    world.log_in_administrator().await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_server_still_tries_to_renew_is_not_cleaned_up() {
    let mut world = World::start().await;
    let pki = world.pki().await;
    let renewing = json!({"caId": pki.issuing, "certificatePolicyId": pki.template, "apiConfig": {"autoRenew": true}});
    let profile = world.profile(&renewing).await;
    let issued = world.issue(profile, &json!({"attributes": {"commonName": "kept.acme.test", "ttl": "10d"}})).await;
    let plain = world.issue(pki.profile, &json!({"attributes": {"commonName": "plain.acme.test", "ttl": "10d"}})).await;
    let ids = [text(&issued, "/certificate/certificateId"), text(&plain, "/certificate/certificateId")];
    let other_names = json!({"subject": [{"type": "common_name", "allowed": ["*.other.test"]}],
        "sans": [{"type": "dns_name", "allowed": ["*.other.test"]}]});
    let template = format!("{CERT_MANAGER}/certificate-policies/{}", pki.template);
    world.admin().ok(Method::PATCH, &template, Some(&other_names)).await;
    let settings = format!("{CERT_MANAGER}/settings/clean-up");
    world.admin().ok(Method::PATCH, &settings, Some(&json!({"enabled": true, "expiredForDays": 1}))).await;
    let there = async |world: &World| {
        let mut there = Vec::new();
        for id in &ids {
            there.push(world.auditor().get(&path(&format!("/{id}"))).await.0 == 200);
        }
        there
    };
    for _ in 0..14 {
        world.clock.advance_seconds(DAY);
        world.authority().run_due_jobs().await;
    }
    assert_eq!(there(&world).await, [true, false]);
    assert_eq!(found(&world, &json!({"search": "kept.acme.test"})).await, [ids[0].as_str()]);
    // In the end the renewal is given up, and then nothing keeps it.
    for _ in 0..32 {
        world.clock.advance_seconds(DAY);
        world.authority().run_due_jobs().await;
    }
    assert_eq!(there(&world).await, [false, false]);
    world.log_in_administrator().await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn numbers_for_a_dashboard_follow_what_happens() {
    let mut world = World::start().await;
    let pki = world.pki().await;
    let numbers = async |world: &World| world.auditor().ok(Method::GET, &path("/statistics"), None).await;
    assert_eq!(numbers(&world).await["total"], json!(0));
    let mut ids = Vec::new();
    for (name, ttl) in [("a.acme.test", "10d"), ("b.acme.test", "10d"), ("c.acme.test", "100d")] {
        let issued = world.issue(pki.profile, &json!({"attributes": {"commonName": name, "ttl": ttl}})).await;
        ids.push(text(&issued, "/certificate/certificateId"));
    }
    let now = numbers(&world).await;
    assert_eq!(
        (&now["total"], &now["active"], &now["expired"], &now["revoked"]),
        (&json!(3), &json!(3), &json!(0), &json!(0))
    );
    assert_eq!(now["issuedByDay"], json!([{"date": "2026-01-15", "count": 3}]));
    assert_eq!(now["expiringByDay"], json!([{"date": "2026-01-25", "count": 2}, {"date": "2026-04-25", "count": 1}]));
    assert_eq!(now["byProfile"][0]["count"], json!(3));
    assert_eq!((&now["byCa"][0]["id"], &now["byCa"][0]["count"]), (&json!(pki.issuing), &json!(3)));
    assert!(now["byCa"][0]["name"].as_str().unwrap().starts_with("issuing"));
    let view = |numbers: &Value, name: &str| {
        numbers["views"].as_array().unwrap().iter().find(|it| it["name"] == name).unwrap()["count"].clone()
    };
    assert_eq!(view(&now, "expiring"), json!(2));

    let reason = json!({"revocationReason": "SUPERSEDED"});
    world.admin().ok(Method::POST, &path(&format!("/{}/revoke", ids[0])), Some(&reason)).await;
    world.operator().ok(Method::POST, &path(&format!("/{}/renew", ids[1])), Some(&json!({}))).await;
    let then = numbers(&world).await;
    assert_eq!((&then["total"], &then["active"], &then["revoked"]), (&json!(4), &json!(3), &json!(1)));
    assert_eq!(then["revokedByDay"], json!([{"date": "2026-01-15", "count": 1}]));
    assert_eq!(then["expiringByDay"][0], json!({"date": "2026-01-25", "count": 1}), "the successor's");
    assert_eq!((view(&then, "superseded-active"), view(&then, "expiring")), (json!(1), json!(1)));
    assert_eq!(found(&world, &json!({"view": "superseded-active"})).await, [ids[1].as_str()]);

    world.clock.advance_seconds(20 * DAY);
    let later = numbers(&world).await;
    assert_eq!((&later["total"], &later["active"]), (&json!(4), &json!(1)), "{later:#}");
    world.log_in_administrator().await;
    world.stop().await;
}
