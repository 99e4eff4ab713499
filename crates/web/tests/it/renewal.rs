//! Renewals as their visitors see them: what is to come, what is late, and renewing at once.

use chancery_authority::renewal::RenewalConfiguration;
use chancery_model::permission::Role;

use crate::certificate::World;

#[tokio::test]
async fn without_automatic_renewals_the_page_says_where_they_are_switched_on() {
    let world = World::new().await;
    world.issue(world.kept, "www.acme.com").await;
    let browser = world.place.visitor(Role::Auditor).await;
    let words = browser.get("/ui/renewals").await.words();
    assert!(words.contains("Nothing is to be renewed automatically"), "{words}");
    assert!(words.contains("Every renewal that was due has come about"), "{words}");
}

#[tokio::test]
async fn a_coming_renewal_stands_under_its_day_and_a_late_one_is_renewed_at_once() {
    let world = World::new().await;
    let certificate = world.issue(world.kept, "www.acme.com").await;
    let call = world.place.call().await;
    let wanted = RenewalConfiguration { renew_before_days: Some(30), ..RenewalConfiguration::default() };
    world.place.authority.configure_renewal(&call, certificate.id, wanted).await.unwrap();
    let operator = world.place.visitor(Role::Operator).await;
    let page = operator.get("/ui/renewals").await.ok();
    assert!(page.contains("/ui/renewals?day=2026-03-16#day"), "{page}");
    let words = operator.get("/ui/renewals?day=2026-03-16").await.words();
    assert!(words.contains("Due on 2026-03-16") && words.contains("www.acme.com"), "{words}");
    assert!(!operator.get("/ui/renewals?day=2026-03-17").await.words().contains("www.acme.com"));

    // No job loop runs here, so the renewal becomes late.
    world.place.clock.advance_seconds(61 * 86_400);
    let auditor = world.place.visitor(Role::Auditor).await;
    let seen = auditor.get("/ui/renewals").await;
    assert!(seen.words().contains("www.acme.com") && !seen.text().contains("Renew now"), "{}", seen.words());
    let action = format!("/ui/renewals/{}", certificate.id);
    assert_eq!(auditor.post(&action, &[]).await.status, 403);
    let browser = world.place.visitor(Role::Admin).await;
    assert!(browser.get("/ui/renewals").await.ok().contains(&action));
    browser.post(&action, &[("_once", "1")]).await.sent();
    let words = browser.get("/ui/renewals").await.words();
    assert!(words.contains("www.acme.com is renewed") && words.contains("Every renewal that was due"), "{words}");
    let now = world.place.authority.certificate_of(&world.place.call().await, certificate.id).await.unwrap();
    assert!(now.renewal.renewed_by.is_some());
    browser.post(&action, &[("_once", "2")]).await.sent();
    let words = browser.get("/ui/renewals").await.words();
    assert!(words.contains("was not renewed"), "{words}");
}
