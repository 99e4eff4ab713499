//! The inventory as its visitors see it: searching, keeping a search, the table, and changing many at a time.

use chancery_model::CertificateId;
use chancery_model::certificate::{Certificate, CertificateStatus};
use chancery_model::permission::Role;

use crate::certificate::World;
use crate::place::{Answer, Browser, PASSWORD};

/// The value of a hidden field.
fn hidden(page: &str, name: &str) -> String {
    let mark = format!("name=\"{name}\" value=\"");
    let found = page.split(&mark).nth(1).and_then(|rest| rest.split('"').next());
    found.unwrap_or_else(|| panic!("no field {name}")).replace("&amp;", "&")
}

async fn status(world: &World, id: CertificateId) -> CertificateStatus {
    let call = world.place.call().await;
    world.place.authority.certificate_of(&call, id).await.unwrap().status(world.place.now())
}

/// Sends a preview's form as the browser would, with what is changed in it.
async fn confirm(browser: &Browser<'_>, path: &str, preview: &str, picks: &[&str], extra: &[(&str, &str)]) -> Answer {
    let mut fields = vec![("query".to_owned(), hidden(preview, "query"))];
    for name in ["at", "confirm", "previewed"] {
        if preview.contains(&format!("name=\"{name}\"")) {
            fields.push((name.to_owned(), hidden(preview, name)));
        }
    }
    fields.extend(picks.iter().map(|id| ("pick".to_owned(), (*id).to_owned())));
    fields.extend(extra.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    browser.post(path, &fields).await
}

async fn three(world: &World) -> [Certificate; 3] {
    [
        world.issue(world.kept, "a.acme.com").await,
        world.issue(world.kept, "b.acme.com").await,
        world.issue(world.once, "c.other.com").await,
    ]
}

#[tokio::test]
async fn an_empty_inventory_says_what_comes_next() {
    let world = World::new().await;
    let browser = world.place.visitor(Role::Admin).await;
    let words = browser.get("/ui/certificates").await.words();
    assert!(words.contains("No certificates yet") && words.contains("Request the first one"), "{words}");
    let auditor = world.place.visitor(Role::Auditor).await;
    let words = auditor.get("/ui/certificates").await.words();
    assert!(words.contains("No certificates yet") && !words.contains("Request the first one"), "{words}");
}

#[tokio::test]
async fn a_search_finds_what_its_conditions_say() {
    let world = World::new().await;
    three(&world).await;
    let browser = world.place.visitor(Role::Admin).await;
    let all = ["a.acme.com", "b.acme.com", "c.other.com"];
    for (query, expected) in [
        (String::new(), &all[..]),
        ("?q=acme.com".to_owned(), &all[..2]),
        ("?q=b.acme".to_owned(), &all[1..2]),
        (format!("?profile={}", world.once), &all[2..]),
        ("?status=expired&status=revoked".to_owned(), &[]),
        ("?algorithm=ECDSA-P256".to_owned(), &all[..]),
        ("?algorithm=RSA-2048".to_owned(), &[]),
        ("?within=30".to_owned(), &[]),
        ("?within=365".to_owned(), &all[..]),
        ("?meta=team".to_owned(), &all[..]),
        ("?meta=team%3Dcore".to_owned(), &[]),
        ("?source=imported".to_owned(), &[]),
        ("?issued_from=2026-01-15&issued_to=2026-01-15&sort=end".to_owned(), &all[..]),
        ("?to=2026-02-01".to_owned(), &[]),
    ] {
        let page = browser.part(&format!("/ui/certificates{query}")).await.ok();
        let found: Vec<&str> = all.iter().copied().filter(|name| page.contains(&format!(">{name}<"))).collect();
        assert_eq!(found, expected, "{query}");
        assert!(!page.contains("<html"), "a part of a page only");
    }
}

#[tokio::test]
async fn a_condition_in_force_is_shown_and_can_be_removed() {
    let world = World::new().await;
    three(&world).await;
    let browser = world.place.visitor(Role::Admin).await;
    let page = browser.get("/ui/certificates?q=acme&status=active").await.ok();
    assert!(
        page.contains("href=\"/ui/certificates?status=active\"") && page.contains("href=\"/ui/certificates?q=acme\"")
    );
    let words = browser.get("/ui/certificates?q=nowhere").await.words();
    assert!(words.contains("Nothing matches"), "{words}");
}

#[tokio::test]
async fn a_condition_that_is_not_known_is_said_and_nothing_is_searched() {
    let world = World::new().await;
    three(&world).await;
    let browser = world.place.visitor(Role::Admin).await;
    for query in ["status=gone", "from=soon", "ca=1", "within=-1"] {
        let answer = browser.get(&format!("/ui/certificates?{query}")).await;
        assert_eq!(answer.status, 422, "{query}");
        assert!(!answer.text().contains(">a.acme.com<"), "{query}");
        assert_eq!(browser.get(&format!("/ui/certificates.csv?{query}")).await.status, 400, "{query}");
    }
    assert_eq!(browser.get("/ui/certificates?cursor=00ff").await.status, 400);
}

#[tokio::test]
async fn pages_lead_through_all_certificates_and_back() {
    let world = World::new().await;
    for number in 0..53 {
        world.issue(world.kept, &format!("h{number}.acme.com")).await;
    }
    let browser = world.place.visitor(Role::Admin).await;
    let first = browser.get("/ui/certificates?q=acme.com").await.ok();
    assert_eq!(first.matches("name=\"pick\"").count(), 50);
    let next = first.split("href=\"/ui/certificates?q=acme.com&amp;cursor=").nth(1).unwrap().split('"').next().unwrap();
    let second = browser.get(&format!("/ui/certificates?q=acme.com&cursor={next}")).await;
    assert_eq!(second.text().matches("name=\"pick\"").count(), 3);
    assert!(second.words().contains("53 certificates"));
    assert!(second.text().contains("href=\"/ui/certificates?q=acme.com\">← Back"));
}

#[tokio::test]
async fn the_table_holds_what_the_search_finds() {
    let world = World::new().await;
    three(&world).await;
    let browser = world.place.visitor(Role::Auditor).await;
    let answer = browser.get("/ui/certificates.csv?q=acme.com").await;
    let text = answer.ok();
    assert_eq!(answer.headers["content-type"], "text/csv; charset=utf-8");
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[0].starts_with("id,status,common_name,"), "{text}");
    assert_eq!((lines.len(), text.contains("c.other.com")), (3, false));
}

#[tokio::test]
async fn ticked_certificates_are_revoked_after_a_look_and_a_password() {
    let world = World::new().await;
    let [a, b, c] = three(&world).await;
    let browser = world.place.visitor(Role::Admin).await;
    let picks = [a.id.to_string(), b.id.to_string()];
    let picked: Vec<&str> = picks.iter().map(String::as_str).collect();
    let fields = [("query", "q=acme"), ("pick", picked[0]), ("pick", picked[1]), ("reason", "KEY_COMPROMISE")];
    let preview = browser.post("/ui/certificates/bulk-revoke", &fields).await;
    let words = preview.words();
    assert!(words.contains("2 certificates will be revoked") && words.contains("a.acme.com"), "{words}");
    assert_eq!(status(&world, a.id).await, CertificateStatus::Active);

    world.place.clock.advance_seconds(16 * 60);
    let preview = browser.post("/ui/certificates/bulk-revoke", &fields).await.ok();
    let path = "/ui/certificates/bulk-revoke/confirm";
    let reason = ("reason", "KEY_COMPROMISE");
    let asked = confirm(&browser, path, &preview, &picked, &[reason]).await;
    assert!(asked.words().contains("Your password"), "{}", asked.words());
    assert_eq!(status(&world, a.id).await, CertificateStatus::Active);
    let done = confirm(&browser, path, &preview, &picked, &[reason, ("_password", PASSWORD)]).await;
    assert!(done.words().contains("2 certificates revoked"), "{}", done.words());
    for (id, expected) in
        [(a.id, CertificateStatus::Revoked), (b.id, CertificateStatus::Revoked), (c.id, CertificateStatus::Active)]
    {
        assert_eq!(status(&world, id).await, expected);
    }
}

#[tokio::test]
async fn another_reason_than_was_shown_is_shown_first() {
    let world = World::new().await;
    let [a, ..] = three(&world).await;
    let browser = world.place.visitor(Role::Admin).await;
    let id = a.id.to_string();
    let preview = browser.post("/ui/certificates/bulk-revoke", &[("query", ""), ("pick", &id)]).await.ok();
    let path = "/ui/certificates/bulk-revoke/confirm";
    let shown = confirm(&browser, path, &preview, &[&id], &[("reason", "SUPERSEDED")]).await;
    assert!(shown.words().contains("The reason was changed"), "{}", shown.words());
    assert_eq!(status(&world, a.id).await, CertificateStatus::Active);
    let done = confirm(&browser, path, &shown.ok(), &[&id], &[("reason", "SUPERSEDED")]).await;
    assert!(done.words().contains("1 certificate revoked"), "{}", done.words());
}

#[tokio::test]
async fn a_preview_for_some_certificates_is_not_good_for_others() {
    let world = World::new().await;
    let [a, b, _] = three(&world).await;
    let browser = world.place.visitor(Role::Admin).await;
    let (id, other) = (a.id.to_string(), b.id.to_string());
    let preview = browser.post("/ui/certificates/bulk-revoke", &[("query", ""), ("pick", &id)]).await.ok();
    let path = "/ui/certificates/bulk-revoke/confirm";
    let reason = [("reason", "UNSPECIFIED")];
    confirm(&browser, path, &preview, &[&other], &reason).await.sent();
    let page = browser.get("/ui/certificates").await.words();
    assert!(page.contains("the token was given for another search"), "{page}");
    assert_eq!(status(&world, b.id).await, CertificateStatus::Active);
}

#[tokio::test]
async fn all_that_match_are_renewed_and_stay_one_generation() {
    let world = World::new().await;
    let [a, b, c] = three(&world).await;
    let browser = world.place.visitor(Role::Admin).await;
    let fields = [("query", "q=acme.com&within=365"), ("all", "on")];
    let preview = browser.post("/ui/certificates/bulk-renew", &fields).await;
    assert!(preview.words().contains("2 certificates will be renewed"), "{}", preview.words());
    // What "within 365 days" means was settled when the page was made.
    world.place.clock.advance_seconds(60);
    let path = "/ui/certificates/bulk-renew/confirm";
    let done = confirm(&browser, path, &preview.ok(), &[], &[("all", "on")]).await;
    assert!(done.words().contains("2 certificates renewed"), "{}", done.words());
    let call = world.place.call().await;
    for (id, renewed) in [(a.id, true), (b.id, true), (c.id, false)] {
        let certificate = world.place.authority.certificate_of(&call, id).await.unwrap();
        assert_eq!(certificate.renewal.renewed_by.is_some(), renewed);
    }
}

#[tokio::test]
async fn nothing_ticked_and_everything_ticked_lead_back_with_a_word() {
    let world = World::new().await;
    let [a, ..] = three(&world).await;
    let browser = world.place.visitor(Role::Admin).await;
    for (fields, expected) in [
        (vec![("query", "q=acme")], "Tick the certificates first"),
        (vec![("query", ""), ("all", "on")], "names no condition"),
    ] {
        let back = browser.post("/ui/certificates/bulk-revoke", &fields).await.sent();
        let page = browser.get(&back).await.words();
        assert!(page.contains(expected), "{page}");
    }
    assert_eq!(status(&world, a.id).await, CertificateStatus::Active);
}

#[tokio::test]
async fn an_auditor_sees_the_inventory_and_changes_nothing() {
    let world = World::new().await;
    let [a, ..] = three(&world).await;
    let auditor = world.place.visitor(Role::Auditor).await;
    let page = auditor.get("/ui/certificates").await.ok();
    assert!(page.contains("a.acme.com") && !page.contains("name=\"pick\"") && !page.contains("bulk-revoke"));
    let id = a.id.to_string();
    for path in ["bulk-revoke", "bulk-renew", "bulk-revoke/confirm", "bulk-renew/confirm"] {
        let answer = auditor.post(&format!("/ui/certificates/{path}"), &[("query", ""), ("pick", &id)]).await;
        assert_eq!(answer.status, 403, "{path}");
    }
}

#[tokio::test]
async fn a_search_is_kept_shared_and_deleted() {
    let world = World::new().await;
    three(&world).await;
    let admin = world.place.visitor(Role::Admin).await;
    let save = "/ui/certificates/views";
    let fields = [("query", "q=acme.com&status=active"), ("view_name", "<b>Ours</b>"), ("shared", "on")];
    assert_eq!(admin.post(save, &fields).await.sent(), "/ui/certificates?q=acme.com&status=active");
    let twice = admin.post(save, &fields).await;
    assert_eq!(twice.status, 422);
    assert!(twice.words().contains("You have a view named"), "{}", twice.words());
    let nameless = admin.post(save, &[("query", "q=x"), ("view_name", " ")]).await;
    assert!(nameless.status == 422 && nameless.words().contains("give the view a name"), "{}", nameless.words());

    let auditor = world.place.visitor(Role::Auditor).await;
    let page = auditor.get("/ui/certificates").await.ok();
    assert!(page.contains("href=\"/ui/certificates?q=acme.com&amp;status=active\">&lt;b&gt;Ours"), "{page}");
    let view = world.place.authority.saved_views(&world.place.call().await).await.unwrap().remove(0);
    let delete = format!("{save}/{}/delete", view.id);
    assert!(!page.contains(&delete));
    assert_eq!(auditor.post(&delete, &[]).await.status, 403);
    admin.post(&delete, &[]).await.sent();
    assert!(world.place.authority.saved_views(&world.place.call().await).await.unwrap().is_empty());
}
