//! Renewal information (RFC 9773), `replaces`, and revocation.

use chancery_authority::external::{OrderInHand, UpstreamErrorKind};
use chancery_model::certificate::RevocationReason;
use serde_json::{Value, json};

use super::driver::{Ended, Manner, Stage, hand};
use super::orders::certificate_id;
use super::server::{Fault, Options};

fn window(start: &str, end: &str) -> Value {
    json!({ "suggestedWindow": { "start": start, "end": end }, "explanationURL": "https://ca.test/why" })
}

fn advising() -> Options {
    let info = window("2030-01-02T03:04:05Z", "2030-01-03T03:04:05Z");
    Options { renewal_info: Some(info), ..Options::default() }
}

#[tokio::test]
async fn the_ca_says_when_it_wants_a_certificate_renewed() {
    let mut stage = Stage::new(advising()).await;
    let certificate = stage.order(&["a.acme.test"], Manner::Plain).await.unwrap().certificate();
    let advice = stage.ca().renewal_advice(&stage.site, &certificate).await.unwrap().unwrap();
    assert_eq!(advice.start.to_string(), "2030-01-02T03:04:05.000Z");
    assert_eq!(advice.end.to_string(), "2030-01-03T03:04:05.000Z");
    assert_eq!(advice.ask_again_after, 3600);
    assert_eq!(advice.explanation_url.as_deref(), Some("https://ca.test/why"));
    for (header, expected) in [("1", 60), ("999999999", 86_400), ("soon", 21_600)] {
        let fault = Fault::Header("retry-after", header.to_owned());
        stage.world.lock().unwrap().fault("renewalInfo", 1, fault);
        let advice = stage.ca().renewal_advice(&stage.site, &certificate).await.unwrap().unwrap();
        assert_eq!(advice.ask_again_after, expected, "{header}");
    }
}

#[tokio::test]
async fn advice_that_makes_no_sense_is_none() {
    let mut stage = Stage::new(advising()).await;
    let certificate = stage.order(&["a.acme.test"], Manner::Plain).await.unwrap().certificate();
    for info in [
        window("2030-01-03T03:04:05Z", "2030-01-02T03:04:05Z"),
        window("2030-01-03T03:04:05Z", "2030-01-03T03:04:05Z"),
        window("soon", "later"),
        json!({}),
    ] {
        stage.world.lock().unwrap().options.renewal_info = Some(info.clone());
        let error = stage.ca().renewal_advice(&stage.site, &certificate).await.unwrap_err();
        assert!(matches!(error.kind, UpstreamErrorKind::Passing { .. }), "{info}: {error}");
    }
    let mut silent = Stage::new(Options::default()).await;
    let certificate = silent.order(&["a.acme.test"], Manner::Plain).await.unwrap().certificate();
    assert_eq!(silent.ca().renewal_advice(&silent.site, &certificate).await, Ok(None));
}

fn renewing(before: &Ended) -> OrderInHand {
    OrderInHand { predecessor: Some(before.certificate()), ..hand(&["a.acme.test"]) }
}

#[tokio::test]
async fn a_renewal_tells_the_ca_what_it_replaces() {
    let mut stage = Stage::new(advising()).await;
    let first = stage.order(&["a.acme.test"], Manner::Plain).await.unwrap();
    stage.run(renewing(&first), Manner::Plain).await.unwrap().chain();
    let expected = certificate_id(&first.chain()[0]);
    assert_eq!(stage.world.lock().unwrap().orders[1].replaces, Some(json!(expected)));
    // Replaced already: renewed all the same.
    stage.run(renewing(&first), Manner::Plain).await.unwrap().chain();
    assert_eq!(stage.world.lock().unwrap().orders[2].replaces, None);
    // A CA that gives no advice is not told either.
    let mut silent = Stage::new(Options::default()).await;
    let first = silent.order(&["a.acme.test"], Manner::Plain).await.unwrap();
    silent.run(renewing(&first), Manner::Plain).await.unwrap().chain();
    assert_eq!(silent.world.lock().unwrap().orders[1].replaces, None);
}

#[tokio::test]
async fn a_certificate_is_revoked_once_however_often_it_is_asked_for() {
    let mut stage = Stage::new(Options::default()).await;
    for (reason, sent) in [(RevocationReason::Unspecified, json!(null)), (RevocationReason::Superseded, json!(4))] {
        let certificate = stage.order(&["a.acme.test"], Manner::Plain).await.unwrap().certificate();
        stage.ca().revoke(&stage.site, &certificate, reason).await.unwrap();
        stage.ca().revoke(&stage.site, &certificate, reason).await.unwrap();
        assert_eq!(stage.world.lock().unwrap().issued.last().unwrap().revoked, Some(sent));
    }
    let certificate = stage.order(&["a.acme.test"], Manner::Plain).await.unwrap().certificate();
    let error = stage.ca().revoke(&stage.site, &certificate, RevocationReason::AaCompromise).await.unwrap_err();
    assert_eq!(error.kind, UpstreamErrorKind::Lasting);
    assert!(error.text.contains("A_A_COMPROMISE") && error.text.contains("reasons are 1, 3, 4, 5"), "{error}");
}
