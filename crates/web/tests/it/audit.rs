//! The audit log, settings and the own account, as their visitors see them.

use chancery_authority::audit::verify_export;
use chancery_keys::TotpSecret;
use chancery_model::permission::Role;

use crate::place::{ADMIN, PASSWORD, Place};

#[tokio::test]
async fn entries_are_found_by_event_and_day() {
    let place = Place::new().await;
    let admin = place.visitor(Role::Admin).await;
    assert_eq!(admin.post("/ui/settings/project", &[("name", "Acme PKI")]).await.sent(), "/ui/settings");
    let found = admin.get("/ui/audit?event=project.updated&from=2026-01-15&to=2026-01-15").await.ok();
    assert!(found.contains("Acme PKI") && found.contains(ADMIN));
    let earlier = admin.get("/ui/audit?event=project.updated&to=2026-01-14").await.words();
    assert!(earlier.contains("No entry matches"), "{earlier}");
    let wrong = admin.get("/ui/audit?actor=me").await.words();
    assert!(wrong.contains("Give an id"), "{wrong}");
}

#[tokio::test]
async fn a_long_log_is_read_page_by_page() {
    let place = Place::new().await;
    let admin = place.visitor(Role::Admin).await;
    for number in 0..45 {
        let name = format!("Project {number}");
        admin.post("/ui/settings/project", &[("name", name.as_str())]).await.sent();
    }
    let first = admin.get("/ui/audit?event=project.updated").await.ok();
    assert!(first.contains("Project 44") && !first.contains("Project 3&quot;"));
    let older = first.split("href=\"/ui/audit?event").nth(1).and_then(|rest| rest.split('"').next()).unwrap();
    let second = admin.get(&format!("/ui/audit?event{}", older.replace("&amp;", "&"))).await.ok();
    assert!(second.contains("Project 3&quot;") && !second.contains("Project 44"), "the filter goes along");
}

#[tokio::test]
async fn the_export_verifies_elsewhere_and_here() {
    let place = Place::new().await;
    let auditor = place.visitor(Role::Auditor).await;
    let export = auditor.post("/ui/audit/export", &[]).await;
    let text = export.ok();
    let verified = verify_export(text.as_bytes()).unwrap();
    assert!(verified.entries > 3, "{verified:?}");
    assert!(export.headers["content-disposition"].to_str().unwrap().contains("audit.ndjson"));
    // One letter in one entry, and it verifies no more.
    let forged = text.replacen("auditor@example", "auditor@fxample", 1);
    assert_ne!(forged, text);
    assert!(verify_export(forged.as_bytes()).is_err());

    let here = auditor.post("/ui/audit/verify", &[]).await.words();
    assert!(here.contains("Intact"), "{here}");
}

#[tokio::test]
async fn clean_up_is_set_within_its_bounds() {
    let place = Place::new().await;
    let admin = place.visitor(Role::Admin).await;
    for days in ["0", "3651", "many", ""] {
        let answer = admin.post("/ui/settings/clean-up", &[("enabled", "on"), ("days", days)]).await;
        assert_eq!(answer.status, 422, "{days}");
        assert!(answer.words().contains("from 1 to 3650"), "{}", answer.words());
    }
    admin.post("/ui/settings/clean-up", &[("enabled", "on"), ("days", "30")]).await.sent();
    let call = place.call().await;
    let (policy, next) = place.authority.clean_up_policy(&call).await.unwrap();
    assert_eq!((policy.enabled, policy.expired_for_days, next.is_some()), (true, 30, true));
}

#[tokio::test]
async fn with_one_time_codes_a_password_alone_opens_nothing() {
    let place = Place::new().await;
    let browser = place.visitor(Role::Admin).await;
    let page = browser.post("/ui/account/totp", &[]).await.ok();
    assert!(page.contains("role=\"img\""), "the secret can be scanned");
    let text = page.split("<pre id=\"secret\" tabindex=\"0\">").nth(1).and_then(|it| it.split('<').next()).unwrap();
    let secret = TotpSecret::from_base32(text).unwrap();
    let code = || secret.code_at(place.now().as_seconds()).unwrap();
    assert_eq!(browser.post("/ui/account/totp/confirm", &[("code", "000000")]).await.status, 422);
    assert_eq!(browser.post("/ui/account/totp/confirm", &[("code", &code())]).await.sent(), "/ui/account");

    let other = place.stranger();
    let fields = [("email", ADMIN), ("password", PASSWORD)];
    let asked = other.post_bare("/ui/sign-in", &fields, &[]).await;
    assert_eq!(asked.status, 422);
    assert!(asked.words().contains("One-time code"), "{}", asked.words());
    assert!(other.cookie("session").is_none());
    place.clock.advance_seconds(30);
    let with_code = [fields[0], fields[1], ("otp", &code())];
    assert_eq!(other.post_bare("/ui/sign-in", &with_code, &[]).await.sent(), "/ui");
}
