//! Searches that people keep.

use chancery_authority::Call;
use chancery_authority::inventory::NewSavedView;
use chancery_model::audit::AuditEvent;
use chancery_model::permission::Role;

use super::world::{World, call, code, machine};
use crate::in_both_databases;

in_both_databases!(a_person_keeps_searches_and_shares_them, a_person_keeps_a_hundred_searches_and_no_more);

fn view(name: &str, shared: bool) -> NewSavedView {
    NewSavedView { name: name.to_owned(), query: "?search=acme.com&status=active".to_owned(), shared }
}

async fn names(world: &World, call: &Call) -> Vec<String> {
    world.authority().saved_views(call).await.unwrap().into_iter().map(|it| it.name).collect()
}

async fn a_person_keeps_searches_and_shares_them(world: World) {
    let it = world.authority();
    let private = it.save_view(&world.admin, view(" Web servers ", false)).await.unwrap();
    assert_eq!((private.name.as_str(), private.query.as_str()), ("Web servers", "search=acme.com&status=active"));
    let shared = it.save_view(&world.admin, view("All of us", true)).await.unwrap();
    assert_eq!(code(it.save_view(&world.admin, view("All of us", false)).await), "inventory.view_name");
    let long = NewSavedView { query: "a".repeat(2_001), ..view("long", false) };
    assert_eq!(code(it.save_view(&world.admin, long).await), "inventory.view_query");
    assert_eq!(names(&world, &world.admin).await, ["All of us", "Web servers"]);
    let stranger = world.stranger().await;
    let (_, token) = machine(it, &world.admin, "machine-admin", Role::Admin).await;
    let machine_admin = call(it, &token).await;
    for (call, sees) in [
        (&world.operator, vec!["All of us"]),
        (&world.auditor, vec!["All of us"]),
        (&machine_admin, vec!["All of us"]),
        (&stranger, vec![]),
    ] {
        assert_eq!(names(&world, call).await, sees);
        assert_eq!(code(it.save_view(call, view("mine", false)).await), "inventory.view_owner", "people only");
        assert_eq!(code(it.delete_view(call, private.id).await), "not_found", "what is private does not exist");
    }
    assert_eq!(code(it.delete_view(&world.operator, shared.id).await), "inventory.view_owner");
    assert_eq!(code(it.delete_view(&stranger, shared.id).await), "not_found");
    assert_eq!(it.delete_view(&machine_admin, shared.id).await.unwrap(), shared, "an administrator may");
    assert_eq!(it.delete_view(&world.admin, private.id).await.unwrap(), private);
    assert_eq!(code(it.delete_view(&world.admin, private.id).await), "not_found");
    assert_eq!(names(&world, &world.admin).await, Vec::<String>::new());
    assert_eq!(world.count(AuditEvent::ViewSaved).await, 2);
    assert_eq!(world.count(AuditEvent::ViewDeleted).await, 2);
}

async fn a_person_keeps_a_hundred_searches_and_no_more(world: World) {
    let it = world.authority();
    for index in 0..100 {
        it.save_view(&world.admin, view(&format!("view {index}"), false)).await.unwrap();
    }
    assert_eq!(code(it.save_view(&world.admin, view("one more", false)).await), "inventory.views_max");
    let first = it.saved_views(&world.admin).await.unwrap().remove(0);
    it.delete_view(&world.admin, first.id).await.unwrap();
    assert_eq!(code(it.save_view(&world.admin, view("one more", false)).await), "accepted");
}
