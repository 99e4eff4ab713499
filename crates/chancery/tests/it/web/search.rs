//! An inventory as large as that of a company.

use chancery_testkit::crowd::{add_crowd, host};
use chancery_testkit::world::{World, text};
use serde_json::json;

use super::Desk;

/// Written into the database directly: issuing so many takes a debug build minutes.
const CROWD: u32 = 100_000;

/// Among a hundred thousand certificates, each further letter narrows the list while the page stays, and the answer is
/// there within a second; filters join the search, and the address can be kept.
#[tokio::test]
async fn a_hundred_thousand_certificates_are_searched_while_one_types() {
    let data = tempfile::tempdir().unwrap();
    let settled = || World::builder().setting("data_dir", &data.path().display().to_string());
    let world = settled().start().await;
    let pki = world.pki().await;
    let issued = world.issue(pki.profile, &json!({"attributes": {"commonName": "needle.acme.test"}})).await;
    let id = text(&issued, "/certificate/certificateId").parse().unwrap();
    let project = world.requester(world.admin()).await.project_id();
    let like = world.authority().reader().certificate(project, id).await.unwrap().unwrap();
    world.stop().await;
    add_crowd(data.path(), &like, CROWD).await;

    let desk = Desk::at(settled().seed(2).start().await).await;
    let browser = &desk.browser;
    desk.open("/ui/certificates").await;
    let found = browser.within("#found");
    found.wait_for_text("100 001").await;
    desk.looked().await;
    browser.execute("window.stays = true", &[]).await;
    let rows = async || browser.texts("#found tbody th a").await;
    browser.fill("Search", "needle.acme.test").await;
    found.wait_for_text("needle.acme.test").await;
    assert_eq!(rows().await, ["needle.acme.test"], "the oldest of all, by its whole name");
    browser.fill("Search", &host(54_321)).await;
    found.wait_for_text(&host(54_321)).await;
    assert_eq!(rows().await, [host(54_321)]);
    browser.fill("Search", "team-7.acme.test").await;
    browser.wait_for("#found a[rel=next]").await;
    assert!(rows().await.iter().all(|it| it.ends_with(".team-7.acme.test")), "by the domain above the names");
    // A mere part of a name is looked for in the newest ten thousand.
    browser.fill("Search", "host-9999").await;
    found.wait_for_text(&host(99_999)).await;
    assert_eq!(rows().await.len(), 10);
    browser.fill("Search", "no-such-name").await;
    found.wait_for_text("Nothing matches").await;
    assert!(found.shows_text("among the newest 10 000").await, "it says where was looked");
    desk.looked().await;
    browser.fill("Search", &like.serial_number).await;
    found.wait_for_text("needle.acme.test").await;
    assert!(browser.url().await.contains(&like.serial_number), "the address can be kept");
    assert_eq!(browser.execute("return window.stays === true", &[]).await, true, "the page was never loaded anew");
    let slowest = "return Math.max(...performance.getEntriesByType('resource')
        .filter((it) => it.name.includes('/ui/certificates?')).map((it) => it.duration))";
    let slowest = browser.execute(slowest, &[]).await.as_f64().unwrap();
    assert!(slowest < 1_000.0, "an answer took {slowest} ms");
    browser.reload().await;
    found.wait_for_text("needle.acme.test").await;
    desk.leave().await;
}
