//! What every page promises: sessions that end, headers that bind the browser, reading that changes nothing.

use std::collections::BTreeMap;

use chancery_model::audit::AuditFilter;
use chancery_model::permission::Role;
use chancery_web::{Access, pages};
use http::Method;

use crate::place::{ADMIN, PASSWORD, Place};

/// Pages that can be opened without knowing an id.
fn plain_pages() -> Vec<&'static str> {
    let is_plain = |path: &str| !path.contains('{');
    pages().iter().filter(|it| it.method == Method::GET && is_plain(it.path)).map(|it| it.path).collect()
}

#[tokio::test]
async fn a_session_ends_after_half_an_hour_without_use() {
    let place = Place::new().await;
    let browser = place.visitor(Role::Admin).await;
    for _ in 0..4 {
        place.clock.advance_seconds(25 * 60);
        assert_eq!(browser.get("/ui/account").await.status, 200);
    }
    place.clock.advance_seconds(31 * 60);
    assert!(browser.get("/ui/account").await.sent().starts_with("/ui/sign-in"));
}

#[tokio::test]
async fn a_session_ends_after_twelve_hours_however_much_it_is_used() {
    let place = Place::new().await;
    let browser = place.visitor(Role::Admin).await;
    let mut minutes = 0;
    while browser.get("/ui/account").await.status == 200 {
        place.clock.advance_seconds(20 * 60);
        minutes += 20;
        assert!(minutes <= 12 * 60, "still open after {minutes} minutes");
    }
    assert_eq!(minutes, 12 * 60);
}

#[tokio::test]
async fn signing_in_makes_a_new_session_whatever_the_browser_brought() {
    let place = Place::new().await;
    let (victim, attacker) = (place.stranger(), place.visitor(Role::Operator).await);
    let planted = attacker.cookie("session").unwrap();
    victim.set_cookie("__Host-chancery-session", &planted);
    victim.sign_in(ADMIN, PASSWORD).await;
    assert_ne!(victim.cookie("session").unwrap(), planted);
    assert!(!attacker.get("/ui/account").await.ok().contains(ADMIN));
}

#[tokio::test]
async fn a_token_of_the_api_opens_no_page() {
    let place = Place::new().await;
    let ip = std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);
    let token = place.authority.login_user(ADMIN, PASSWORD, None, ip, "test").await.unwrap();
    let browser = place.stranger();
    browser.set_cookie("__Host-chancery-session", &token.access_token);
    assert!(browser.get("/ui/account").await.sent().starts_with("/ui/sign-in"));
}

#[tokio::test]
async fn what_cannot_be_taken_back_asks_for_the_password_and_keeps_the_form() {
    let place = Place::new().await;
    let browser = place.visitor(Role::Admin).await;
    place.clock.advance_seconds(16 * 60);
    let before = browser.cookie("session").unwrap();
    let fields = [("email", "new@example.internal"), ("role", "auditor")];
    let asked = browser.post("/ui/access/people", &fields).await.ok();
    assert!(asked.contains("Your password") && asked.contains("new@example.internal"));
    assert!(place.authority.reader().user_by_email("new@example.internal").await.unwrap().is_none());

    let wrong = [fields[0], fields[1], ("_password", "wrong")];
    let again = browser.post("/ui/access/people", &wrong).await;
    assert_eq!(again.status, 422);
    assert!(again.text().contains("new@example.internal") && !again.text().contains("value=\"wrong\""));
    assert!(place.authority.reader().user_by_email("new@example.internal").await.unwrap().is_none());

    let right = [fields[0], fields[1], ("_password", PASSWORD)];
    let done = browser.post("/ui/access/people", &right).await.ok();
    assert!(done.contains("/ui/sign-in/link?token="));
    assert!(place.authority.reader().user_by_email("new@example.internal").await.unwrap().is_some());
    assert_ne!(browser.cookie("session").unwrap(), before, "the session goes on under a new token");
    let thief = place.stranger();
    thief.set_cookie("__Host-chancery-session", &before);
    assert_eq!(thief.get("/ui/account").await.status, 303);
}

#[tokio::test]
async fn an_invitation_lets_its_person_in_once() {
    let place = Place::new().await;
    let admin = place.visitor(Role::Admin).await;
    let fields = [("email", "new@example.internal"), ("role", "auditor")];
    let page = admin.post("/ui/access/people", &fields).await.ok();
    let token = page.split("/ui/sign-in/link?token=").nth(1).unwrap().split('<').next().unwrap().to_owned();

    let guest = place.stranger();
    let path = format!("/ui/sign-in/link?token={token}");
    assert!(guest.get(&path).await.ok().contains("new@example.internal"));
    let short = [("token", token.as_str()), ("password", "short"), ("repeated", "short")];
    assert_eq!(guest.post_bare("/ui/sign-in/link", &short, &[]).await.status, 422);
    let good = [("token", token.as_str()), ("password", PASSWORD), ("repeated", PASSWORD)];
    assert_eq!(guest.post_bare("/ui/sign-in/link", &good, &[]).await.sent(), "/ui");
    assert!(guest.get("/ui/account").await.ok().contains("new@example.internal"));
    let later = place.stranger();
    assert!(later.get(&path).await.status.is_client_error());
    assert!(later.post_bare("/ui/sign-in/link", &good, &[]).await.status.is_client_error());
}

#[tokio::test]
async fn another_role_another_password_and_a_reset_end_what_was_open() {
    let place = Place::new().await;
    let operator = place.visitor(Role::Operator).await;
    let id = place.authority.reader().user_by_email("operator@example.internal").await.unwrap().unwrap().id;
    let call = place.call().await;
    assert_eq!(operator.get("/ui/request").await.status, 200);
    place.authority.set_user_role(&call, id, Role::Auditor).await.unwrap();
    assert_ne!(operator.get("/ui/request").await.status, 200);

    let browser = place.visitor(Role::Admin).await;
    let elsewhere = place.visitor(Role::Admin).await;
    let new = "another horse, another battery";
    let fields = [("current", PASSWORD), ("new", new), ("repeated", new)];
    assert_eq!(browser.post("/ui/account/password", &fields).await.sent(), "/ui/account");
    assert_eq!(browser.get("/ui/account").await.status, 200);
    assert_eq!(elsewhere.get("/ui/account").await.status, 303);
}

#[tokio::test]
async fn every_answer_binds_the_browser() {
    let place = Place::new().await;
    let browser = place.visitor(Role::Admin).await;
    let style = style(&browser.get("/ui/account").await.text());
    for path in ["/ui/account", "/ui/sign-in", "/ui/nowhere", "/ui/certificates/x", "/", style.as_str()] {
        let headers = browser.get(path).await.headers;
        let value = |name: &str| headers.get(name).and_then(|it| it.to_str().ok()).unwrap_or_default().to_owned();
        let policy = value("content-security-policy");
        for part in ["default-src 'none'", "script-src 'self'", "frame-ancestors 'none'", "base-uri 'none'"] {
            assert!(policy.contains(part), "{path}: {policy}");
        }
        assert!(!policy.contains("unsafe"), "{path}: {policy}");
        assert_eq!(value("x-content-type-options"), "nosniff", "{path}");
        assert_eq!(value("referrer-policy"), "same-origin", "{path}");
        assert!(value("strict-transport-security").contains("max-age"), "{path}");
        let kept = if path == style { "public, max-age=31536000, immutable" } else { "no-store" };
        assert_eq!(value("cache-control"), kept, "{path}");
    }
}

fn style(page: &str) -> String {
    page.split("rel=\"stylesheet\" href=\"").nth(1).unwrap().split('"').next().unwrap().to_owned()
}

#[tokio::test]
async fn no_page_holds_a_script_or_a_style_of_its_own() {
    let place = Place::new().await;
    let browser = place.visitor(Role::Admin).await;
    for path in plain_pages() {
        let text = browser.get(path).await.text().to_lowercase();
        for bad in [" style=", "<style", " onclick=", " onchange=", " onsubmit=", "javascript:", "<script>"] {
            assert!(!text.contains(bad), "{path}: {bad}");
        }
        assert!(text.len() < 100_000, "{path}: {} octets", text.len());
    }
}

#[tokio::test]
async fn reading_changes_nothing() {
    let place = Place::new().await;
    let browser = place.visitor(Role::Admin).await;
    let count = async || {
        let project = place.authority.default_project_id();
        place.authority.reader().audit(project, &AuditFilter::default(), None, 1_000).await.unwrap().0.len()
    };
    let before = count().await;
    let mut seen = BTreeMap::new();
    for path in plain_pages() {
        let status = browser.get(path).await.status.as_u16();
        assert!(status < 400 || path == "/ui/sign-in/link", "{path}: {status}");
        seen.insert(path, status);
    }
    assert_eq!(count().await, before, "{seen:?}");
}

#[tokio::test]
async fn pages_without_a_session_are_few_and_known() {
    let public: Vec<&str> =
        pages().iter().filter(|it| !matches!(it.access, Access::Permission(_))).map(|it| it.path).collect();
    assert_eq!(
        public,
        ["/ui/assets/{name}", "/ui/sign-in", "/ui/sign-in", "/ui/sign-in/link", "/ui/sign-in/link", "/ui/theme"]
    );
}

#[tokio::test]
async fn a_link_from_another_site_finds_the_visitor_signed_in() {
    let place = Place::new().await;
    let stranger = place.stranger();
    // The strict cookie is not sent along; the page that answers asks once more from here.
    let answer = stranger.read_with("/ui/about", &[("sec-fetch-site", "cross-site")]).await;
    assert!(answer.ok().contains("http-equiv=\"refresh\""));
    let browser = place.visitor(Role::Admin).await;
    assert_eq!(browser.read_with("/ui/about", &[("sec-fetch-site", "cross-site")]).await.status, 200);
}

#[tokio::test]
async fn a_chosen_theme_is_kept() {
    let place = Place::new().await;
    let browser = place.visitor(Role::Admin).await;
    let chosen = browser.post_bare("/ui/theme", &[("theme", "dark"), ("next", "/ui/about")], &[]).await;
    assert_eq!(chosen.sent(), "/ui/about");
    assert!(browser.get("/ui/about").await.ok().contains("data-theme=\"dark\""));
}

#[tokio::test]
async fn forms_open_in_other_tabs_stay_good_when_the_session_gets_a_new_token() {
    let place = Place::new().await;
    let browser = place.visitor(Role::Admin).await;
    let open_elsewhere = browser.csrf().await;
    place.clock.advance_seconds(16 * 60);
    let before = browser.cookie("session").unwrap();
    let fields = [("email", "new@example.internal"), ("role", "auditor"), ("_password", PASSWORD)];
    assert_eq!(browser.post("/ui/access/people", &fields).await.status, 200);
    assert_ne!(browser.cookie("session").unwrap(), before);
    let sent = browser.post_bare("/ui/settings/project", &[("_csrf", &open_elsewhere), ("name", "Acme")], &[]).await;
    assert_eq!(sent.sent(), "/ui/settings");

    // A session of its own has forms of its own, though the person is the same.
    place.clock.advance_seconds(1);
    let again = place.visitor(Role::Admin).await;
    assert_ne!(again.csrf().await, open_elsewhere);
}
