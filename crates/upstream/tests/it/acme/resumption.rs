//! A process that dies between any two steps, or after doing a step and before writing it down, leaves an order that
//! another goes on with: one certificate, and nothing left in the zone.

use chancery_authority::external::Next;

use super::driver::{Manner, Stage, hand};
use super::server::{Fault, Options};

const NAMES: &[&str] = &["acme.test", "*.acme.test", "b.acme.test"];

#[tokio::test]
async fn another_process_goes_on_after_every_step() {
    for manner in [Manner::Restarting, Manner::Repeating] {
        for lists_orders in [true, false] {
            let mut stage = Stage::new(Options { lists_orders, slowness: 1, ..Options::default() }).await;
            // The list has more than one page.
            for name in ["x.test", "y.test", "z.test"] {
                stage.order(&[name], Manner::Plain).await.unwrap().chain();
            }
            let mut ended = stage.order(NAMES, manner).await.unwrap();
            assert_eq!(ended.chain().len(), 2);
            stage.tidy(&mut ended.hand).await;
            assert_eq!(stage.zone.names().len(), 3, "those of the other orders");
            let world = stage.world.lock().unwrap();
            assert_eq!((world.issued.len(), world.count("finalize")), (4, 4));
            // A CA that does not list orders cannot be asked for a lost one; that one expires there.
            let orders = if manner == Manner::Repeating && !lists_orders { 5 } else { 4 };
            assert_eq!(world.count("newOrder"), orders, "lists orders: {lists_orders}");
        }
    }
}

/// The state after each step of an order, with the number of steps it took.
async fn states() -> usize {
    let mut stage = Stage::new(Options::default()).await;
    let mut order = hand(NAMES);
    let mut steps = 0;
    loop {
        steps += 1;
        match stage.step(&mut order).await.unwrap() {
            Next::Issued { .. } => return steps,
            Next::Failed { message } => panic!("{message}"),
            Next::Continue | Next::Wait { .. } => {}
        }
    }
}

#[tokio::test]
async fn an_order_that_is_given_up_after_any_step_leaves_nothing() {
    for kept in 0..=states().await {
        for forgets_last in [false, true] {
            let mut stage = Stage::new(Options::default()).await;
            let mut order = hand(NAMES);
            for _ in 0..kept {
                stage.step(&mut order).await.unwrap();
            }
            if forgets_last {
                // Done outside, and never written down.
                let _ = stage.ca().advance(&stage.site, &order).await;
            }
            stage.restart();
            stage.tidy(&mut order).await;
            assert_eq!(stage.zone.names(), [], "after {kept} steps");
        }
    }
}

#[tokio::test]
async fn answers_that_get_lost_change_nothing() {
    for operation in ["newOrder", "authorization", "challenge", "order", "finalize", "certificate"] {
        let mut stage = Stage::new(Options { lists_orders: true, ..Options::default() }).await;
        stage.world.lock().unwrap().fault(operation, 2, Fault::Lost);
        let mut ended = stage.order(NAMES, Manner::Plain).await.unwrap();
        ended.chain();
        stage.tidy(&mut ended.hand).await;
        assert_eq!(stage.zone.names(), []);
        let world = stage.world.lock().unwrap();
        assert_eq!((world.issued.len(), world.count("newOrder")), (1, 1), "{operation}");
    }
}

#[tokio::test]
async fn the_order_of_another_request_is_not_taken_for_a_lost_one() {
    let mut stage = Stage::new(Options { lists_orders: true, ..Options::default() }).await;
    // One for the same names is there before we ask, one for others comes while we do.
    stage.zone.hide(true);
    let mut early = hand(NAMES);
    while !matches!(stage.step(&mut early).await.unwrap(), Next::Wait { .. }) {}
    let mut ours = hand(NAMES);
    stage.step(&mut ours).await.unwrap();
    let mut late = hand(&["c.acme.test"]);
    while !matches!(stage.step(&mut late).await.unwrap(), Next::Wait { .. }) {}
    stage.zone.hide(false);
    stage.restart();
    let ended = stage.run(ours, Manner::Plain).await.unwrap();
    ended.chain();
    assert_ne!(ended.hand.order.reference, early.order.reference);
    assert_ne!(ended.hand.order.reference, late.order.reference);
}
