//! CAs that fail, lie or say no: each order ends in a certificate or in a reason that a person can act on.

use chancery_authority::external::{UpstreamError, UpstreamErrorKind};
use chancery_model::external::ChallengeKind;
use chancery_pkix::{Certificate, CertificationRequest};
use serde_json::{Value, json};

use super::driver::{Ended, Manner, Stage};
use super::server::{Fault, Options};

/// The reason, whichever way it is told.
fn reason(ended: &Result<Ended, UpstreamError>) -> String {
    match ended {
        Ok(ended) => ended.failure().to_owned(),
        Err(error) => {
            assert_eq!(error.kind, UpstreamErrorKind::Lasting, "{error}");
            error.text.clone()
        }
    }
}

fn problem(kind: &str, detail: &str) -> String {
    json!({ "type": format!("urn:ietf:params:acme:error:{kind}"), "detail": detail }).to_string()
}

async fn check(operation: &'static str, fault: Fault, expected: &[&str]) {
    let mut stage = Stage::new(Options::default()).await;
    stage.world.lock().unwrap().fault(operation, 1000, fault);
    stage.restart();
    let ended = stage.order(&["a.acme.test"], Manner::Plain).await;
    let reason = reason(&ended);
    for part in expected {
        assert!(reason.contains(part), "{operation}: {reason}");
    }
    assert_eq!(stage.world.lock().unwrap().issued.len(), usize::from(matches!(operation, "certificate")));
    if let Ok(mut ended) = ended {
        stage.tidy(&mut ended.hand).await;
        assert_eq!(stage.zone.names(), [], "{operation}");
    }
}

#[tokio::test]
async fn a_name_that_was_not_asked_for_is_not_proved() {
    let expected = ["bank.test", "not asked for"].as_slice();
    check("authorization", Fault::Tamper(|it| it["identifier"]["value"] = json!("bank.test")), expected).await;
    fn other_kind(body: &mut Value) {
        body["identifier"] = json!({ "type": "ip", "value": "a.acme.test" });
    }
    check("authorization", Fault::Tamper(other_kind), &["not asked for"]).await;
    check("authorization", Fault::Tamper(|it| it["wildcard"] = json!(true)), &["not asked for"]).await;
}

#[tokio::test]
async fn urls_on_other_hosts_or_without_tls_are_not_asked() {
    fn evil(body: &mut Value, at: &str) {
        body[at] = json!("https://evil.test/x");
    }
    let other = ["another host (evil.test)"].as_slice();
    check("newOrder", Fault::Header("location", "https://evil.test/order/1".to_owned()), other).await;
    check("newOrder", Fault::Header("location", "http://127.0.0.1/order/1".to_owned()), &["not https"]).await;
    check("newOrder", Fault::Tamper(|it| it["authorizations"][0] = json!("https://evil.test/a")), other).await;
    check("authorization", Fault::Tamper(|it| it["challenges"][1]["url"] = json!("https://evil.test/a")), other).await;
    check("order", Fault::Tamper(|it| evil(it, "finalize")), other).await;
    check("directory", Fault::Tamper(|it| it["newOrder"] = json!("http://127.0.0.1/new-order")), &["newOrder"]).await;
    check("directory", Fault::Tamper(|it| it["newNonce"] = json!("file:///etc/passwd")), &["newNonce"]).await;
    let redirect = vec![("location", "https://evil.test/directory".to_owned())];
    check("directory", Fault::Reply(302, redirect, String::new()), &["redirect", "302"]).await;
    check("directory", Fault::Reply(200, vec![], "<html>".to_owned()), &["not an ACME directory"]).await;

    let mut stage = Stage::new(Options::default()).await;
    fn nothing_yet(body: &mut Value) {
        if body["certificate"].is_string() {
            body["certificate"] = json!("https://evil.test/certificate");
        }
    }
    stage.world.lock().unwrap().fault("order", 1000, Fault::Tamper(nothing_yet));
    let error = stage.order(&["a.acme.test"], Manner::Plain).await.err().unwrap();
    assert!(error.text.contains("another host (evil.test)"), "{error}");
}

#[tokio::test]
async fn tokens_that_are_none_are_not_answered() {
    let tampered: [fn(&mut Value); 4] = [
        |it| it["challenges"][1]["token"] = json!("../../etc/x"),
        |it| it["challenges"][1]["token"] = json!("a".repeat(10_240)),
        |it| it["challenges"][1]["token"] = json!("a\0b"),
        |it| it["challenges"][1]["token"] = json!(""),
    ];
    for tamper in tampered {
        check("authorization", Fault::Tamper(tamper), &["a.acme.test", "token", "not answered"]).await;
    }
}

#[tokio::test]
async fn refusals_come_with_the_reason_and_what_to_do() {
    for (operation, status, kind, expected) in [
        ("newOrder", 403, "userActionRequired", "agree to what it asks for"),
        ("newOrder", 400, "accountDoesNotExist", "save the CA here again"),
        ("newOrder", 401, "unauthorized", "still in force"),
        ("newOrder", 403, "externalAccountRequired", "eabKid"),
        ("newOrder", 400, "caa", "CAA record"),
        ("finalize", 400, "badCSR", "it is wrong"),
        ("finalize", 400, "badPublicKey", "another key algorithm"),
    ] {
        let fault = Fault::Reply(status, vec![], problem(kind, "it is wrong"));
        check(operation, fault, &["it is wrong", kind, expected]).await;
    }
    let invalid: fn(&mut Value) = |it| {
        it["status"] = json!("invalid");
        it["error"] = json!({ "type": "urn:ietf:params:acme:error:caa", "detail": "CAA forbids it" });
    };
    check("order", Fault::Tamper(invalid), &["given the order up", "CAA forbids it"]).await;
    check("authorization", Fault::Tamper(|it| it["status"] = json!("expired")), &["a.acme.test", "expired"]).await;
    check("newOrder", Fault::Tamper(|it| it["identifiers"][0]["value"] = json!("b.test")), &["other names"]).await;
    check("certificate", Fault::Reply(200, vec![], "<html>".to_owned()), &["in place of a certificate"]).await;
}

#[tokio::test]
async fn every_name_that_is_refused_is_told() {
    let mut stage = Stage::new(Options::default()).await;
    let names = ["a.acme.test", "x.forbidden.test", "y.forbidden.test"];
    let reason = reason(&stage.order(&names, Manner::Plain).await);
    for part in ["some names are refused", "x.forbidden.test: policy forbids it", "y.forbidden.test: policy"] {
        assert!(reason.contains(part), "{reason}");
    }
    assert!(!reason.contains("a.acme.test"), "{reason}");
}

#[tokio::test]
async fn a_proof_that_is_not_accepted_is_told_with_its_name() {
    let mut stage = Stage::new(Options::default()).await;
    stage.config().challenges = vec![ChallengeKind::Http01];
    let mut hand = super::driver::hand(&["a.acme.test"]);
    // The listener answers nothing.
    let ended = loop {
        let next = stage.step(&mut hand).await.unwrap();
        stage.world.lock().unwrap().published.clear();
        if let chancery_authority::external::Next::Failed { message } = next {
            break message;
        }
    };
    for part in ["a.acme.test by http-01", "the answer is not there", "acme_http_listen"] {
        assert!(ended.contains(part), "{ended}");
    }
}

#[tokio::test]
async fn what_cannot_be_proved_is_told_before_anything_is_set() {
    for (challenges, offers, names, expected) in [
        (
            vec![ChallengeKind::Http01],
            vec!["dns-01", "http-01"],
            "*.acme.test",
            "a wildcard name is proved by dns-01 only",
        ),
        (vec![ChallengeKind::Dns01], vec!["dns-01", "http-01"], "192.0.2.1", "an address is not proved by dns-01"),
        (vec![ChallengeKind::TlsAlpn01], vec!["dns-01", "odd-01"], "a.acme.test", "offers dns-01, odd-01"),
    ] {
        let mut stage = Stage::new(Options { offers, ..Options::default() }).await;
        stage.config().challenges = challenges;
        let reason = reason(&stage.order(&[names], Manner::Plain).await);
        assert!(reason.contains(expected) && reason.contains(names), "{reason}");
        assert_eq!(stage.zone.names(), []);
    }
    let mut stage = Stage::new(Options::default()).await;
    stage.config().zones[0].zone = "elsewhere.test".to_owned();
    let reason = reason(&stage.order(&["a.acme.test"], Manner::Plain).await);
    assert!(reason.contains("_acme-challenge.a.acme.test") && reason.contains("elsewhere.test"), "{reason}");
}

#[tokio::test]
async fn a_record_that_nobody_sees_ends_the_order_in_time() {
    let mut stage = Stage::new(Options::default()).await;
    stage.zone.hide(true);
    let mut ended = stage.order(&["a.acme.test"], Manner::Plain).await.unwrap();
    let waited: u32 = ended.waits.iter().sum();
    assert!((590..620).contains(&waited), "{waited}");
    for part in ["_acme-challenge.a.acme.test", "127.0.0.1:", "10 minutes", "propagationTimeout"] {
        assert!(ended.failure().contains(part), "{}", ended.failure());
    }
    stage.tidy(&mut ended.hand).await;
    assert_eq!(stage.zone.names(), []);
    assert_eq!(stage.world.lock().unwrap().count("challenge"), 0);
}

#[tokio::test]
async fn what_passes_is_tried_again_when_the_ca_says() {
    for (status, body, header, expected) in [
        (429, problem("rateLimited", "slowly"), Some("120"), Some(120)),
        (503, problem("rateLimited", "slowly"), None, None),
        (500, problem("serverInternal", "oh"), None, None),
        (500, "<html>".to_owned(), Some("7"), Some(7)),
        (502, String::new(), None, None),
    ] {
        let mut stage = Stage::new(Options::default()).await;
        let headers: Vec<_> = header.map(|it| ("retry-after", it.to_owned())).into_iter().collect();
        stage.world.lock().unwrap().fault("newOrder", 1, Fault::Reply(status, headers, body.clone()));
        let mut hand = super::driver::hand(&["a.acme.test"]);
        stage.step(&mut hand).await.unwrap();
        let error = stage.step(&mut hand).await.unwrap_err();
        assert_eq!(error.kind, UpstreamErrorKind::Passing { retry_after: expected }, "{status}: {error}");
        stage.run(hand, Manner::Plain).await.unwrap().chain();
    }
}

#[tokio::test]
async fn a_storm_of_refused_nonces_passes() {
    let mut stage = Stage::new(Options::default()).await;
    let storm = || Fault::Reply(400, vec![], problem("badNonce", "no"));
    stage.world.lock().unwrap().fault("newOrder", 7, storm());
    let mut hand = super::driver::hand(&["a.acme.test"]);
    stage.step(&mut hand).await.unwrap();
    let error = stage.step(&mut hand).await.unwrap_err();
    assert_eq!(error.kind, UpstreamErrorKind::Passing { retry_after: None });
    assert!(error.text.contains("nonces"), "{error}");
    stage.run(hand, Manner::Plain).await.unwrap().chain();
}

#[tokio::test]
async fn a_certificate_for_another_key_is_handed_over_for_the_core_to_judge() {
    let mut stage = Stage::new(Options { wrong_key: true, ..Options::default() }).await;
    let ended = stage.order(&["a.acme.test"], Manner::Plain).await.unwrap();
    let csr = CertificationRequest::from_der(&ended.hand.order.csr).unwrap();
    assert_ne!(Certificate::from_der(&ended.chain()[0]).unwrap().spki_der(), csr.public_key().spki_der());
}

#[tokio::test]
async fn names_that_no_acme_ca_certifies_are_refused_before_it_is_asked() {
    let mut stage = Stage::new(Options::default()).await;
    for (names, expected) in [
        (vec![chancery_pkix::GeneralName::Email("a@acme.test".to_owned())], "email a@acme.test"),
        (vec![], "names none"),
    ] {
        let hand = crate::site::order(super::issuer::csr(&names).1, 86_400, 5);
        let reason = reason(&stage.run(hand, Manner::Plain).await);
        assert!(reason.contains(expected), "{reason}");
    }
    assert_eq!(stage.world.lock().unwrap().count("newOrder"), 0);
}
