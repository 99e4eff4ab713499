//! Orders that go well: every way of proving a name, waiting as told, chains, profiles, sharing.

use chancery_authority::external::Next;
use chancery_model::external::ChallengeKind;
use chancery_pkix::Certificate;

use super::driver::{Manner, Stage, hand};
use super::server::Options;

fn names(der: &[u8]) -> Vec<String> {
    Certificate::from_der(der).unwrap().extensions().subject_alt_names.iter().map(|it| it.value()).collect()
}

#[tokio::test]
async fn a_wildcard_and_its_base_name_are_proved_by_two_values_of_one_record() {
    let mut stage = Stage::new(Options::default()).await;
    let mut ended = stage.order(&["acme.test", "*.acme.test"], Manner::Plain).await.unwrap();
    assert_eq!(ended.chain().len(), 2);
    assert_eq!(names(&ended.chain()[0]), ["acme.test", "*.acme.test"]);
    assert_eq!(ended.hand.order.reference.as_deref(), Some(stage.world.lock().unwrap().url("/order/0").as_str()));
    assert_eq!(stage.zone.names(), [("_acme-challenge.acme.test".to_owned(), 2)]);
    stage.tidy(&mut ended.hand).await;
    assert_eq!(stage.zone.names(), []);
    stage.tidy(&mut ended.hand).await;
}

#[tokio::test]
async fn twenty_names_go_into_one_certificate() {
    let mut stage = Stage::new(Options::default()).await;
    let wanted: Vec<_> = (0..20).map(|number| format!("host-{number}.acme.test")).collect();
    let wanted: Vec<_> = wanted.iter().map(String::as_str).collect();
    let mut ended = stage.order(&wanted, Manner::Plain).await.unwrap();
    assert_eq!(names(&ended.chain()[0]).len(), 20);
    assert_eq!(stage.zone.names().len(), 20);
    stage.tidy(&mut ended.hand).await;
    assert_eq!(stage.zone.names(), []);
}

#[tokio::test]
async fn listeners_answer_for_names_and_addresses() {
    for (kind, wanted) in [
        (ChallengeKind::Http01, &["a.acme.test", "b.acme.test"][..]),
        (ChallengeKind::Http01, &["192.0.2.7"]),
        (ChallengeKind::TlsAlpn01, &["a.acme.test", "192.0.2.7"]),
    ] {
        let mut stage = Stage::new(Options::default()).await;
        stage.config().challenges = vec![kind];
        stage.config().zones.clear();
        let mut ended = stage.order(wanted, Manner::Plain).await.unwrap();
        assert_eq!(names(&ended.chain()[0]), wanted);
        assert!(stage.world.lock().unwrap().published.iter().all(|it| it.kind == kind));
        stage.tidy(&mut ended.hand).await;
    }
}

#[tokio::test]
async fn each_name_is_proved_by_the_first_way_that_is_possible_for_it() {
    let mut stage = Stage::new(Options::default()).await;
    stage.config().challenges = vec![ChallengeKind::Http01, ChallengeKind::Dns01];
    let mut ended = stage.order(&["a.acme.test", "*.acme.test"], Manner::Plain).await.unwrap();
    assert_eq!(stage.zone.names(), [("_acme-challenge.acme.test".to_owned(), 1)]);
    assert_eq!(stage.world.lock().unwrap().published.len(), 1);
    assert_eq!(names(&ended.chain()[0]).len(), 2);
    stage.tidy(&mut ended.hand).await;

    // A name in no zone falls through to the next way.
    let mut stage = Stage::new(Options::default()).await;
    stage.config().challenges = vec![ChallengeKind::Dns01, ChallengeKind::Http01];
    stage.config().zones[0].zone = "elsewhere.test".to_owned();
    stage.order(&["a.acme.test"], Manner::Plain).await.unwrap().chain();
    assert_eq!(stage.zone.names(), []);
}

#[tokio::test]
async fn the_ca_is_asked_again_when_it_says_so() {
    let mut stage = Stage::new(Options { slowness: 3, ..Options::default() }).await;
    let ended = stage.order(&["a.acme.test"], Manner::Plain).await.unwrap();
    ended.chain();
    assert!(ended.waits.len() >= 4 && ended.waits.iter().filter(|it| **it == 7).count() >= 3, "{:?}", ended.waits);
    let text = "The CA \"elsewhere\" is checking control of a.acme.test";
    assert!(ended.messages.iter().any(|it| it == text), "{:?}", ended.messages);
}

#[tokio::test]
async fn the_ca_is_told_only_when_the_record_can_be_seen() {
    let mut stage = Stage::new(Options::default()).await;
    stage.zone.hide(true);
    let mut order = hand(&["a.acme.test"]);
    let mut seconds = Vec::new();
    while seconds.len() < 6 {
        if let Next::Wait { seconds: wait, message, validating } = stage.step(&mut order).await.unwrap() {
            assert!(message.contains("_acme-challenge.a.acme.test") && message.contains("127.0.0.1:"), "{message}");
            assert!(validating);
            seconds.push(wait);
        }
    }
    assert_eq!(seconds, [2, 4, 6, 10, 10, 10]);
    assert_eq!(stage.world.lock().unwrap().count("challenge"), 0);
    stage.zone.hide(false);
    stage.run(order, Manner::Plain).await.unwrap().chain();
}

#[tokio::test]
async fn a_preferred_chain_is_taken_where_it_is_offered() {
    let top = |chain: &[Vec<u8>]| {
        let last = Certificate::from_der(chain.last().unwrap()).unwrap();
        last.issuer().unwrap().to_string()
    };
    for (preferred, expected, warned) in [
        (None, "CN=Stand-in Root A", false),
        (Some("Stand-in Root A"), "CN=Stand-in Root A", false),
        (Some("Stand-in Root B"), "CN=Stand-in Root B", false),
        (Some("Stand-in Root C"), "CN=Stand-in Root A", true),
    ] {
        let mut stage = Stage::new(Options::default()).await;
        stage.config().preferred_chain = preferred.map(str::to_owned);
        let ended = stage.order(&["a.acme.test"], Manner::Plain).await.unwrap();
        assert_eq!(top(ended.chain()), expected, "{preferred:?}");
        assert_eq!(!ended.warnings().is_empty(), warned, "{:?}", ended.warnings());
        if warned {
            let text = &ended.warnings()[0];
            assert!(text.contains("Root A, Stand-in Root B") && text.contains("\"Stand-in Root C\""), "{text}");
        }
    }
}

#[tokio::test]
async fn a_certificate_profile_is_asked_for() {
    let mut stage = Stage::unsettled(Options { profiles: vec!["tlsserver", "shortlived"], ..Options::default() }).await;
    stage.config().certificate_profile = Some("shortlived".to_owned());
    stage.settle().await.unwrap();
    stage.order(&["a.acme.test"], Manner::Plain).await.unwrap().chain();
    assert_eq!(stage.world.lock().unwrap().orders[0].profile, Some("shortlived".into()));
    assert_eq!(stage.site.ca.standing["profiles"]["tlsserver"], "a kind");
}

#[tokio::test]
async fn nonces_that_are_refused_are_replaced() {
    let mut stage = Stage::new(Options { refuse_nonce_each: 2, ..Options::default() }).await;
    stage.order(&["a.acme.test", "b.acme.test"], Manner::Plain).await.unwrap().chain();
    assert_eq!(stage.world.lock().unwrap().issued.len(), 1);
}

#[tokio::test]
async fn two_requests_that_get_the_same_order_end_with_a_certificate_each() {
    for meet_at in ["proving", "finalizing"] {
        let mut stage = Stage::new(Options { shares_orders: true, ..Options::default() }).await;
        let mut orders = [hand(&["a.acme.test"]), hand(&["a.acme.test"])];
        // The same order and the same account: the record has one value, and both look for it.
        stage.zone.hide(meet_at == "proving");
        for order in &mut orders {
            loop {
                let next = stage.step(order).await.unwrap();
                if order.order.state["stage"] == meet_at
                    && (meet_at == "finalizing" || matches!(next, Next::Wait { .. }))
                {
                    break;
                }
            }
        }
        stage.zone.hide(false);
        let [one, two] = orders;
        assert_eq!(one.order.reference, two.order.reference);
        let mut first = stage.run(one, Manner::Plain).await.unwrap();
        stage.tidy(&mut first.hand).await;
        let mut second = stage.run(two, Manner::Plain).await.unwrap();
        for (ended, at) in [(&first, 0), (&second, 1)] {
            let csr = chancery_pkix::CertificationRequest::from_der(&ended.hand.order.csr).unwrap();
            assert_eq!(Certificate::from_der(&ended.chain()[0]).unwrap().spki_der(), csr.public_key().spki_der());
            let reference = stage.world.lock().unwrap().url(&format!("/order/{at}"));
            assert_eq!(ended.hand.order.reference, Some(reference), "{meet_at}");
        }
        stage.tidy(&mut second.hand).await;
        assert_eq!(stage.zone.names(), []);
    }
}
