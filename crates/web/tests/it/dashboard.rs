//! The first page: where it leads on an empty server, what it says needs attention, and figures that lead to what they count.

use chancery_model::certificate::RevocationReason;
use chancery_model::permission::Role;

use crate::certificate::World;
use crate::place::{Place, words};

#[tokio::test]
async fn an_empty_server_greets_whoever_can_set_it_up() {
    let place = Place::new().await;
    assert_eq!(place.visitor(Role::Admin).await.get("/ui").await.sent(), "/ui/setup");
    // Others cannot, and see that there is nothing yet.
    assert!(place.visitor(Role::Operator).await.get("/ui").await.ok().contains("Dashboard"));
}

/// Every address on the page that leads into the inventory.
fn inventory_links(html: &str) -> Vec<String> {
    let links = html.split("href=\"").skip(1).filter_map(|rest| rest.split('"').next());
    let links = links.filter(|it| it.starts_with("/ui/certificates?")).map(|it| it.replace("&amp;", "&"));
    links.collect()
}

#[tokio::test]
async fn every_figure_leads_to_the_certificates_it_counts() {
    let world = World::new().await;
    for name in ["a.acme.com", "b.acme.com", "c.acme.com"] {
        world.issue(world.kept, name).await;
    }
    let once = world.issue(world.once, "d.acme.com").await;
    let selector = chancery_authority::revocation::CertificateSelector::Id(once.id);
    let call = world.place.call().await;
    world.place.authority.revoke(&call, &selector, RevocationReason::Superseded).await.unwrap();
    let admin = world.place.visitor(Role::Admin).await;
    let html = admin.get("/ui").await.ok();

    // A bar names its count after a colon, and every other link stands before its number.
    for (label, count) in [("By issuer", 4), ("By profile", 3), ("By key algorithm", 3)] {
        let part = html.split(label).nth(1).unwrap();
        let link = inventory_links(part).into_iter().next().unwrap();
        assert!(words(part).split_whitespace().any(|it| it == count.to_string()), "{label}: {}", words(part));
        let listed = admin.get(&link).await.words();
        assert!(listed.contains(&format!("{count} certificates")), "{label} {link}: {listed}");
    }
    let bar =
        html.split("aria-label=\"2026-04-").nth(1).expect("a bar in the week of their ends, 90 days from the start");
    assert!(bar.split('"').next().unwrap().ends_with(": 3"), "{bar:.40}");
    let links = inventory_links(&html);
    let week = links.iter().find(|it| it.contains("from=") && !it.contains("issued_from")).expect("a week's bar");
    assert!(admin.get(week).await.words().contains("3 certificates"), "{week}");
    let day = links.iter().find(|it| it.contains("issued_from=")).expect("a day's bar");
    assert!(admin.get(day).await.words().contains("4 certificates"), "{day}");
}

#[tokio::test]
async fn what_needs_attention_is_named_and_a_quiet_server_says_so() {
    let world = World::new().await;
    world.issue(world.kept, "soon.acme.com").await;
    world.place.authority.run_due_jobs().await;
    let admin = world.place.visitor(Role::Admin).await;
    let quiet = admin.get("/ui").await.words();
    assert!(quiet.contains("All well"), "{quiet}");

    world.place.clock.advance_seconds(70 * 86_400);
    let admin = world.place.visitor(Role::Admin).await;
    let answer = admin.get("/ui").await;
    let loud = answer.words();
    assert!(!loud.contains("All well"), "{loud}");
    assert!(loud.contains("1 certificate ends within 30 days"), "{loud}");
    // Nothing ran meanwhile, so the CA's revocation list has not been published again.
    assert!(loud.contains("revocation status of the CA root"), "{loud}");
    assert!(admin.get("/ui/certificates?view=expiring").await.words().contains("soon.acme.com"));
    assert!(answer.text().contains("/ui/certificates?view=expiring"));
}
