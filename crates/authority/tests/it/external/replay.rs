//! Idempotency keys: a call that is made again finds its first try, wherever that is by now.

use chancery_authority::issuance::Issuance;
use chancery_authority::renewal::RenewRequest;
use chancery_authority::{Call, Error};
use chancery_model::RequestId;

use super::world::{World, code, named};

fn keyed(world: &World, key: u8) -> Call {
    Call { idempotency: Some([key; 32]), ..world.admin.clone() }
}

fn id(issuance: Result<Issuance, Error>) -> (RequestId, bool) {
    match issuance.unwrap() {
        Issuance::Pending(pending) => (pending.request.id, false),
        Issuance::Issued(issued) => (issued.request_id, true),
    }
}

#[tokio::test]
async fn a_repeated_call_orders_once_and_finds_what_became_of_it() {
    let world = World::start().await;
    let call = keyed(&world, 7);
    let issue = || world.authority().issue(&call, world.wish(named("a.acme.com")));
    let first = id(issue().await);
    assert_eq!(id(issue().await), first, "while it waits");
    world.run().await;
    assert_eq!(id(issue().await), first, "while it is validated");
    world.until_ended(first.0).await;
    assert_eq!(id(issue().await), (first.0, true));
    let Ok(Issuance::Issued(issued)) = issue().await else { panic!("it is issued") };
    assert!(issued.private_key.is_some(), "as the first answer would have had it");
    assert_eq!((world.elsewhere.orders(), world.requests().await.len()), (1, 1));
    assert_ne!(id(world.authority().issue(&keyed(&world, 8), world.wish(named("a.acme.com"))).await).0, first.0);
    world.clock.advance_seconds(24 * 3_600 + 1);
    assert_eq!(code(issue().await), "idempotency.old");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_tries_at_once_are_one_order() {
    let world = std::sync::Arc::new(World::start().await);
    let certificate = world.issued().await.id;
    for (key, renews) in [(1, false), (2, true)] {
        let tries: Vec<_> = (0..20)
            .map(|_| {
                let (world, call) = (std::sync::Arc::clone(&world), keyed(&world, key));
                tokio::spawn(async move {
                    if renews {
                        world.authority().renew(&call, certificate, RenewRequest::default()).await
                    } else {
                        world.authority().issue(&call, world.wish(named("b.acme.com"))).await
                    }
                })
            })
            .collect();
        let mut answers = Vec::new();
        for one in tries {
            answers.push(id(one.await.unwrap()).0);
        }
        answers.dedup();
        assert_eq!(answers.len(), 1, "renews: {renews}");
    }
    assert_eq!(world.requests().await.len(), 3);
}
