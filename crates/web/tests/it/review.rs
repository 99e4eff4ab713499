//! What a review of the pages found: forms around a confirmation, forms that are sent twice, sessions that nobody uses,
//! and settings that a form does not show.

use chancery_authority::access::{NewIdentity, UniversalAuthSettings};
use chancery_keys::TotpSecret;
use chancery_model::permission::Role;

use crate::certificate::World;
use crate::place::{ADMIN, PASSWORD, Place};

/// What stands between the two texts.
fn between<'a>(text: &'a str, before: &str, after: &str) -> &'a str {
    text.split(before).nth(1).and_then(|rest| rest.split(after).next()).unwrap_or_default()
}

#[tokio::test]
async fn the_page_after_a_confirmation_has_forms_of_the_new_session() {
    let place = Place::new().await;
    let browser = place.visitor(Role::Admin).await;
    let elsewhere = place.visitor(Role::Admin).await;
    place.clock.advance_seconds(16 * 60);
    assert_eq!(elsewhere.get("/ui/account").await.status, 200);
    let setup = browser.post("/ui/account/totp", &[("_password", PASSWORD)]).await.ok();
    let csrf = between(&setup, "name=\"_csrf\" value=\"", "\"").to_owned();
    let secret = TotpSecret::from_base32(between(&setup, "<pre id=\"secret\" tabindex=\"0\">", "<")).unwrap();
    let code = secret.code_at(place.now().as_seconds()).unwrap();
    let fields = [("_csrf", csrf.as_str()), ("code", code.as_str())];
    assert_eq!(browser.post_bare("/ui/account/totp/confirm", &fields, &[]).await.sent(), "/ui/account");
    assert_eq!(browser.get("/ui/account").await.status, 200, "the own session goes on");
    assert_eq!(elsewhere.get("/ui/account").await.status, 303, "the others began without a code");
}

#[tokio::test]
async fn switching_codes_off_takes_a_session_that_was_confirmed_lately() {
    let place = Place::new().await;
    let browser = place.visitor(Role::Admin).await;
    place.clock.advance_seconds(16 * 60);
    let asked = browser.post("/ui/account/totp/remove", &[("password", PASSWORD)]).await.ok();
    assert!(asked.contains("Your password") && asked.contains("_otp"), "{asked}");
}

#[tokio::test]
async fn forms_of_one_page_are_told_apart_though_they_have_one_number() {
    let world = World::new().await;
    let (one, other) = (world.issue(world.kept, "a.acme.com").await, world.issue(world.kept, "b.acme.com").await);
    let browser = world.place.visitor(Role::Admin).await;
    for it in [&one, &other, &one] {
        browser.post(&format!("/ui/renewals/{}", it.id), &[("_once", "n")]).await.sent();
    }
    let call = world.place.call().await;
    let mut successors = Vec::new();
    for it in [&one, &other] {
        let now = world.place.authority.certificate_of(&call, it.id).await.unwrap();
        successors.push(now.renewal.renewed_by.expect("it is renewed"));
    }
    assert_ne!(successors[0], successors[1]);
}

#[tokio::test]
async fn a_form_that_was_changed_asks_for_something_else() {
    let place = Place::new().await;
    let profile = crate::request::set_up(&place).await;
    let browser = place.visitor(Role::Operator).await;
    for (name, count) in [("a.acme.com", 1), ("a.acme.com", 1), ("b.acme.com", 2)] {
        let fields = [
            ("_once", "n"),
            ("way", "managed"),
            ("common_name", name),
            ("key_algorithm", "EC_prime256v1"),
            ("ttl", "30d"),
        ];
        browser.post(&format!("/ui/request/{profile}"), &fields).await.sent();
        assert_eq!(crate::request::requests(&place).await.len(), count, "{name}");
    }
}

#[tokio::test]
async fn a_page_that_asks_by_itself_keeps_no_session_alive() {
    let place = Place::new().await;
    let browser = place.visitor(Role::Admin).await;
    for (minutes, status) in [(10, 200), (10, 200), (9, 200), (2, 401)] {
        place.clock.advance_seconds(minutes * 60);
        let answer = browser.read_with("/ui/requests", &[("x-chancery-fragment", "poll")]).await;
        assert_eq!(answer.status, status, "{minutes}");
    }
}

#[tokio::test]
async fn what_the_form_of_a_machine_does_not_show_stays() {
    let place = Place::new().await;
    let call = place.call().await;
    let new = NewIdentity {
        name: "agent".to_owned(),
        role: Role::Operator,
        has_delete_protection: false,
        metadata: Vec::new(),
    };
    let id = place.authority.create_identity(&call, new).await.unwrap().id;
    let secrets_from = vec!["10.0.0.0/8".to_owned()];
    let settings = UniversalAuthSettings {
        access_token_ttl: Some(600),
        access_token_max_ttl: Some(86_400),
        client_secret_trusted_ips: Some(secrets_from.clone()),
        ..UniversalAuthSettings::default()
    };
    let before = place.authority.configure_universal_auth(&call, id, settings).await.unwrap().universal_auth.unwrap();
    let shown = before.access_token_trusted_ips.join("\r\n");
    let fields = [("name", "agent-2"), ("role", "operator"), ("token_seconds", "600"), ("networks", shown.as_str())];
    let browser = place.visitor(Role::Admin).await;
    let path = format!("/ui/access/machines/{id}");
    browser.post(&path, &fields).await.sent();
    let stored = async || {
        let found = place.authority.reader().identity(place.authority.default_project_id(), id).await.unwrap();
        let found = found.unwrap();
        (found.name, found.universal_auth.unwrap())
    };
    let (name, after) = stored().await;
    assert_eq!(name, "agent-2");
    assert_eq!(after.client_secret_trusted_ips, secrets_from);
    assert_eq!((after.access_token_ttl, after.access_token_max_ttl), (600, 86_400));

    let narrower = [fields[0], fields[1], fields[2], ("networks", "192.0.2.0/24")];
    browser.post(&path, &narrower).await.sent();
    let (_, after) = stored().await;
    assert_eq!(after.client_secret_trusted_ips, ["192.0.2.0/24"]);
    assert_eq!(after.access_token_trusted_ips, ["192.0.2.0/24"]);
}

#[tokio::test]
async fn a_condition_that_is_too_much_is_refused_and_not_left_out() {
    let place = Place::new().await;
    let browser = place.visitor(Role::Admin).await;
    let query = |count: usize| vec!["meta=team%3Dedge"; count].join("&");
    assert_eq!(browser.get(&format!("/ui/certificates?{}", query(20))).await.status, 200);
    assert_eq!(browser.get(&format!("/ui/certificates?{}", query(21))).await.status, 422);
    let fields = [("query", query(21)), ("all", "on".to_owned())];
    let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
    assert_eq!(browser.post("/ui/certificates/bulk-revoke", &fields).await.status, 400);
}

/// Ids, cursors and searches that no page of this server gave out.
#[tokio::test]
async fn crooked_addresses_are_answered_and_break_nothing() {
    let place = Place::new().await;
    let browser = place.visitor(Role::Admin).await;
    for path in [
        "/ui/certificates?q=%00&meta=%00%3D%ff",
        "/ui/certificates?cursor=x&cursor=%00",
        "/ui/certificates?from=9999-99-99&within=0&sort=x&status=y",
        "/ui/certificates.csv?q=%00",
        "/ui/requests?search=%00&from=x&profile=y",
        "/ui/requests?cursor=x",
        "/ui/renewals?cursor=x&day=0000-00-00",
        "/ui/audit?cursor=x&event=%00&actor=x",
        "/ui/templates?q=%00&cursor=x",
        "/ui/profiles?q=%00&cursor=x",
        "/ui/alerts?cursor=x",
        "/ui/access?cursor=x",
        "/ui/request?search=%00&cursor=x",
        "/ui/authorities/external/new?kind=x",
        "/ui/authorities/new?parent=x&level=x",
        "/ui/connections/new?app=x",
        "/ui/profiles/new?ca=x&from=x",
        "/ui/templates/new?from=x&preset=x",
        "/ui/sign-in/link?token=%00",
        "/ui/sign-in?next=%2F%2Fevil.example",
    ] {
        let answer = browser.get(path).await;
        assert!(answer.status.as_u16() < 500, "{path}: {} {}", answer.status, answer.words());
    }
}

#[tokio::test]
async fn an_auditor_sees_no_key_of_anybody() {
    let world = World::new().await;
    let it = world.issue(world.kept, "www.acme.com").await;
    let auditor = world.place.visitor(Role::Auditor).await;
    let operator = world.place.visitor(Role::Operator).await;
    for browser in [&auditor, &operator] {
        for (action, fields) in [
            ("private-key", vec![("understood", "on")]),
            ("pkcs12", vec![("file_password", PASSWORD), ("file_password_again", PASSWORD)]),
        ] {
            let answer = browser.post(&format!("/ui/certificates/{}/{action}", it.id), &fields).await;
            assert!(answer.status.is_client_error(), "{action}: {}", answer.status);
            assert!(!answer.text().contains("PRIVATE KEY"), "{action}");
        }
    }
    let admin = world.place.visitor(Role::Admin).await;
    let answer = admin.post(&format!("/ui/certificates/{}/private-key", it.id), &[("understood", "on")]).await;
    assert!(answer.ok().contains("PRIVATE KEY"));
    assert_eq!(answer.headers["cache-control"], "no-store");
    assert!(!admin.get("/ui/account").await.ok().is_empty(), "{ADMIN} is still signed in");
}
