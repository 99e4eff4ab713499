//! Kind `digicert` against a strict stand-in. It has never met the real service.
//!
//! Verified: orders through every kind of proof, refusals, reissue and renewal, revocation, cancelling, and that an order
//! whose answer was lost is found and never placed twice.

use chancery_authority::external::{
    ExternalCertificate, Next, OrderInHand, Site, Tidied, Upstream as _, UpstreamCa, UpstreamErrorKind,
};
use chancery_model::certificate::RevocationReason;
use chancery_model::external::{ConnectionApp, DigicertConfiguration, ExternalCaKind, ExternalConfiguration};
use chancery_pkix::ForeignCertificate;
use chancery_upstream::Outside;
use serde_json::{Value, json};

use crate::certcentral::{CertCentral, Fault, KEY, TOKEN};
use crate::pki;
use crate::site;
use crate::stand_in::Reply;

const DAY: i64 = 86_400;

fn settings(organization_id: i64, product: &str, method: Option<&str>) -> ExternalConfiguration {
    ExternalConfiguration::Digicert(DigicertConfiguration {
        connection_id: site::connection_id(),
        organization_id,
        product_name_id: product.to_owned(),
        dcv_method: method.map(ToOwned::to_owned),
    })
}

fn site_of(server: &CertCentral, method: Option<&str>) -> Site {
    let endpoint = format!("{}/services/v2", server.server.url());
    let fields = [("apiKey", KEY), ("endpoint", endpoint.as_str())];
    site::site(settings(77, "ssl_plus", method), site::connection(ConnectionApp::Digicert, "api-key", &fields))
}

fn outside(server: &CertCentral, seed: u64) -> Outside {
    site::outside(site::egress(Some(server.server.ca_pem())), seed)
}

fn digicert(outside: &Outside) -> &dyn UpstreamCa {
    outside.ca(ExternalCaKind::Digicert).unwrap()
}

fn order(seed: u64) -> OrderInHand {
    site::order(pki::csr("www.acme.test", "DNS:www.acme.test,DNS:acme.test"), 90 * DAY, seed)
}

fn later(site: &mut Site, seconds: i64) {
    site.now = site.now.plus_seconds(seconds);
}

/// Runs until the order ends, as a core that waits does.
async fn to_the_end(ca: &dyn UpstreamCa, site: &mut Site, hand: &mut OrderInHand) -> (Next, Vec<String>) {
    let mut messages = Vec::new();
    for _ in 0..40 {
        match site::run(ca, site, hand).await.unwrap() {
            Next::Wait { seconds, message, .. } => {
                later(site, i64::from(seconds));
                messages.push(message);
            }
            next => return (next, messages),
        }
    }
    panic!("no end: {messages:?}");
}

fn certificate(hand: &OrderInHand, der: &[u8]) -> ExternalCertificate {
    ExternalCertificate {
        der: der.to_vec(),
        reference: hand.order.reference.clone(),
        state: hand.order.state.clone(),
        serial_number: ForeignCertificate::from_der(der).unwrap().serial_hex,
    }
}

async fn chain_of(ca: &dyn UpstreamCa, site: &mut Site, hand: &mut OrderInHand) -> Vec<Vec<u8>> {
    match to_the_end(ca, site, hand).await.0 {
        Next::Issued { chain, .. } => chain,
        other => panic!("not issued: {other:?}"),
    }
}

#[tokio::test]
async fn an_order_waits_for_its_proof_is_issued_and_can_be_revoked_twice() {
    let server = CertCentral::start().await;
    server.model().looks = 2;
    let (outside, mut site) = (outside(&server, 1), site_of(&server, Some("dns-txt-token")));
    let ca = digicert(&outside);
    let mut hand = order(1);
    let (end, messages) = to_the_end(ca, &mut site, &mut hand).await;
    let Next::Issued { chain, warnings } = end else { panic!("{end:?}") };
    pki::verify(&chain);
    assert_eq!(warnings, Vec::<String>::new());
    assert_eq!(messages.len(), 2, "{messages:?}");
    assert!(messages[0].contains(&format!("TXT record at www.acme.test with {TOKEN}")), "{messages:?}");
    assert_eq!(server.asked("PUT", "check-dcv"), 1, "asked to look again, not before the first look");
    {
        let model = server.model();
        let [placed] = model.orders.as_slice() else { panic!("{} orders", model.orders.len()) };
        assert_eq!(placed.number, Some(hand.order.request_id.to_string()));
        assert_eq!(placed.names, ["acme.test"]);
        assert_eq!(hand.order.reference, Some(placed.id.to_string()));
    }
    let leaf = certificate(&hand, &chain[0]);
    for _ in 0..2 {
        ca.revoke(&site, &leaf, RevocationReason::KeyCompromise).await.unwrap();
    }
    assert!(server.model().orders[0].certificates[0].2);
    let bodies: Vec<Value> =
        server.server.asked().into_iter().filter(|it| it.path.ends_with("/revoke")).map(|it| it.body).collect();
    assert_eq!(bodies[0]["revocation_reason"], "key_compromise");
}

#[tokio::test]
async fn messages_say_what_is_to_be_done_for_each_way_to_prove_a_name() {
    for (method, validating, expected) in [
        ("email", true, "e-mail that DigiCert has sent for www.acme.test".to_owned()),
        ("dns-txt-token", true, format!("TXT record at www.acme.test with {TOKEN}")),
        ("dns-cname-token", true, format!("CNAME record at {TOKEN}.www.acme.test to dcv.digicert.com")),
        ("http-token", true, "http://www.acme.test/.well-known/pki-validation/fileauth.txt".to_owned()),
        ("organisation", false, "validating the organisation (Normal Organization Validation)".to_owned()),
        ("approval", false, "waits for approval in CertCentral".to_owned()),
    ] {
        let server = CertCentral::start().await;
        server.model().looks = 9;
        let is_proof = method.contains("token") || method == "email";
        if method == "approval" {
            server.model().status = "needs_approval";
        }
        let (outside, site) = (outside(&server, 1), site_of(&server, is_proof.then_some(method)));
        let mut hand = order(1);
        while server.model().orders.is_empty() {
            site::step(digicert(&outside), &site, &mut hand).await.unwrap();
        }
        if method == "organisation" {
            server.model().orders[0].organization_status = "pending";
            server.model().orders[0].proofs[0].2 = "approved";
        }
        match site::run(digicert(&outside), &site, &mut hand).await.unwrap() {
            Next::Wait { validating: said, message, seconds } => {
                assert!(message.contains(&expected), "{method}: {message}");
                assert_eq!((said, seconds), (validating, 5), "{method}: {message}");
            }
            other => panic!("{method}: {other:?}"),
        }
    }
}

/// What becomes of an order whose placing is interrupted, and that it is one order in the end.
#[tokio::test]
async fn an_order_whose_answer_was_lost_is_found_and_never_placed_twice() {
    #[derive(Clone, Copy, Debug)]
    enum Night {
        /// Placed, and the answer is an error of something in between.
        Lost,
        /// The process dies after the answer.
        Killed,
        /// The same, and the service does not know our number.
        KilledAndForgotten,
        /// The process dies before it asks.
        Early,
    }
    for night in [Night::Lost, Night::Killed, Night::KilledAndForgotten, Night::Early] {
        let server = CertCentral::start().await;
        server.model().looks = 1;
        server.model().forgets_numbers = matches!(night, Night::KilledAndForgotten);
        let (one, other) = (outside(&server, 1), outside(&server, 2));
        let mut site = site_of(&server, None);
        let mut hand = order(3);
        site::step(digicert(&one), &site, &mut hand).await.unwrap();
        let asking = hand.order.state.clone();
        match night {
            Night::Lost => {
                let reply = Reply::text(504, "gateway timeout");
                server.model().faults.push_back(Fault { method: "POST", path: "/ssl_plus", done: true, reply });
                let error = site::step(digicert(&one), &site, &mut hand).await.unwrap_err();
                assert_eq!(error.kind, UpstreamErrorKind::Passing { retry_after: None }, "{error}");
            }
            Night::Killed | Night::KilledAndForgotten => {
                site::step(digicert(&one), &site, &mut hand).await.unwrap();
                hand.order.state = asking;
                hand.order.reference = None;
            }
            Night::Early => {}
        }
        // While it cannot be looked for, nothing is ordered.
        for status in [500, 403, 429] {
            let placed = server.model().orders.len();
            let reply = Reply::json(status, &json!({ "errors": [{ "code": "x", "message": "y" }] }));
            server.model().faults.push_back(Fault { method: "GET", path: "/order/", done: false, reply });
            let error = site::step(digicert(&other), &site, &mut hand).await.unwrap_err();
            assert!(matches!(error.kind, UpstreamErrorKind::Passing { .. }), "{night:?} {status}: {error}");
            assert_eq!(server.model().orders.len(), placed);
        }
        let chain = chain_of(digicert(&other), &mut site, &mut hand).await;
        pki::verify(&chain);
        assert_eq!(server.model().orders.len(), 1, "{night:?}");
        assert_eq!(server.asked("POST", "/ssl_plus"), 1, "{night:?}");
        assert_eq!(hand.order.reference, Some(server.model().orders[0].id.to_string()), "{night:?}");
    }
}

#[tokio::test]
async fn orders_of_others_for_the_same_name_are_not_taken_over() {
    let server = CertCentral::start().await;
    let (one, other) = (outside(&server, 1), outside(&server, 2));
    let mut site = site_of(&server, None);
    chain_of(digicert(&one), &mut site, &mut order(4)).await;
    let mut hand = order(5);
    site::step(digicert(&one), &site, &mut hand).await.unwrap();
    chain_of(digicert(&other), &mut site, &mut hand).await;
    assert_eq!(server.model().orders.len(), 2);
}

#[tokio::test]
async fn refusals_end_an_order_and_troubles_pass() {
    let said = |code: &str| json!({ "errors": [{ "code": code, "message": "for a reason" }] });
    for (status, headers, passing, expected) in [
        (400, vec![], None, "refused the order: access_denied: for a reason"),
        (403, vec![], None, "does not permit the API key to order"),
        (429, vec![("retry-after", "40".to_owned())], Some(Some(40)), "429"),
        (503, vec![], Some(None), "503"),
    ] {
        let server = CertCentral::start().await;
        let reply = Reply(status, headers, said("access_denied").to_string());
        server.model().faults.push_back(Fault { method: "POST", path: "/ssl_plus", done: false, reply });
        let (outside, site) = (outside(&server, 1), site_of(&server, None));
        let outcome = site::run(digicert(&outside), &site, &mut order(1)).await;
        match (outcome, passing) {
            (Ok(Next::Failed { message }), None) => assert!(message.contains(expected), "{message}"),
            (Err(error), Some(retry_after)) => {
                assert_eq!(error.kind, UpstreamErrorKind::Passing { retry_after });
                assert!(error.text.contains(expected), "{error}");
            }
            other => panic!("{status}: {other:?}"),
        }
    }
    for status in ["rejected", "canceled"] {
        let server = CertCentral::start().await;
        server.model().status = status;
        let (outside, site) = (outside(&server, 1), site_of(&server, None));
        let message = site::failed(digicert(&outside), &site, &mut order(1)).await;
        let id = server.model().orders[0].id.to_string();
        assert!(message.contains(&id) && message.contains("DigiCert"), "{message}");
    }
    let server = CertCentral::start().await;
    let (outside, site) = (outside(&server, 1), site_of(&server, None));
    for (csr, ttl, expected) in [
        (pki::csr("www.acme.test", "DNS:www.acme.test,IP:192.0.2.1"), 90 * DAY, "ip_address"),
        (pki::csr("www.acme.test", "DNS:www.acme.test"), 3_600, "whole days"),
    ] {
        let message = site::failed(digicert(&outside), &site, &mut site::order(csr, ttl, 1)).await;
        assert!(message.contains(expected), "{message}");
    }
    assert_eq!(server.asked("POST", ""), 0);
}

#[tokio::test]
async fn a_profile_may_name_another_product_organisation_and_proof() {
    let server = CertCentral::start().await;
    server.model().looks = 1;
    let (outside, site) = (outside(&server, 1), site_of(&server, Some("email")));
    let mut hand = site::order(pki::csr("acme.test", "DNS:www.acme.test"), 90 * DAY, 1);
    hand.order.plan.external_configs =
        Some(json!({ "productNameId": "ssl_wild", "organizationId": 99, "dcvMethod": "http-token" }));
    site::run(digicert(&outside), &site, &mut hand).await.unwrap();
    let asked = server.server.asked();
    let placed = asked.iter().find(|it| it.method == "POST").unwrap();
    assert!(placed.path.ends_with("/order/certificate/ssl_wild"));
    assert_eq!(placed.body["organization"]["id"], 99);
    assert_eq!(placed.body["certificate"]["common_name"], "acme.test");
    assert_eq!(placed.body["certificate"]["dns_names"], json!(["www.acme.test"]));
    assert_eq!(placed.body["dcv_method"], "http-token");
}

#[tokio::test]
async fn a_renewal_is_a_reissue_while_the_order_lasts_and_else_an_order_that_follows() {
    for (plan_days, refuses_reissues, refuses_renewals, reissues, follows) in [
        (200, false, false, 1, None),
        (200, true, false, 0, Some(true)),
        (0, false, false, 0, Some(true)),
        (0, false, true, 0, Some(false)),
    ] {
        let case = format!("{plan_days} {refuses_reissues} {refuses_renewals}");
        let server = CertCentral::start().await;
        let outside = outside(&server, 1);
        let mut site = site_of(&server, None);
        let mut first = order(1);
        let chain = chain_of(digicert(&outside), &mut site, &mut first).await;
        {
            let mut model = server.model();
            (model.plan_days, model.looks) = (plan_days, 2);
            (model.refuses_reissues, model.refuses_renewals) = (refuses_reissues, refuses_renewals);
        }
        let mut renewal = order(2);
        renewal.predecessor = Some(certificate(&first, &chain[0]));
        let renewed = chain_of(digicert(&outside), &mut site, &mut renewal).await;
        let csr = chancery_pkix::CertificationRequest::from_der(&renewal.order.csr).unwrap();
        assert_eq!(
            ForeignCertificate::from_der(&renewed[0]).unwrap().spki_der(),
            csr.public_key().spki_der(),
            "{case}"
        );
        let model = server.model();
        assert_eq!(model.orders[0].certificates.len(), 1 + reissues, "{case}");
        let following = model.orders.get(1).map(|it| it.renewal_of == Some(model.orders[0].id));
        assert_eq!(following, follows, "{case}");
    }
}

#[tokio::test]
async fn a_reissue_whose_answer_was_lost_is_not_asked_for_twice() {
    for looks in [0, 3] {
        let server = CertCentral::start().await;
        let (one, other) = (outside(&server, 1), outside(&server, 2));
        let mut site = site_of(&server, None);
        let mut first = order(1);
        let chain = chain_of(digicert(&one), &mut site, &mut first).await;
        (server.model().plan_days, server.model().looks) = (200, looks);
        let mut renewal = order(2);
        renewal.predecessor = Some(certificate(&first, &chain[0]));
        site::step(digicert(&one), &site, &mut renewal).await.unwrap();
        let asking = renewal.order.state.clone();
        site::step(digicert(&one), &site, &mut renewal).await.unwrap();
        renewal.order.state = asking;
        let renewed = chain_of(digicert(&other), &mut site, &mut renewal).await;
        assert_ne!(renewed[0], chain[0]);
        assert_eq!(server.asked("POST", "/reissue"), 1);
        assert_eq!(server.model().orders.len(), 1);
        assert_eq!(server.model().orders[0].certificates.len(), 2);
    }
}

#[tokio::test]
async fn an_order_that_nobody_wants_any_more_is_cancelled_and_an_issued_one_is_not() {
    let server = CertCentral::start().await;
    server.model().looks = 9;
    let outside = outside(&server, 1);
    let ca = digicert(&outside);
    let mut site = site_of(&server, None);
    let mut hand = order(1);
    site::step(ca, &site, &mut hand).await.unwrap();
    let asking = hand.order.state.clone();
    site::run(ca, &site, &mut hand).await.unwrap();
    let placed = hand.order.state.clone();
    for state in [asking, placed] {
        server.model().orders[0].status = "pending";
        hand.order.state = state;
        let Tidied::More { state } = ca.tidy(&site, &hand.order).await.unwrap() else { panic!("nothing done") };
        assert_eq!(server.model().orders[0].status, "canceled");
        hand.order.state = state;
        assert!(matches!(ca.tidy(&site, &hand.order).await.unwrap(), Tidied::Done));
    }
    server.model().looks = 0;
    let mut issued = order(2);
    chain_of(ca, &mut site, &mut issued).await;
    assert!(matches!(ca.tidy(&site, &issued.order).await.unwrap(), Tidied::Done));
    assert_eq!(server.model().orders[1].status, "issued");
}

#[tokio::test]
async fn settings_are_checked_and_what_does_not_hold_is_named() {
    let server = CertCentral::start().await;
    let outside = outside(&server, 1);
    let ca = digicert(&outside);
    let mut site = site_of(&server, None);
    let settled = ca.settle(&site).await.unwrap();
    assert_eq!(settled.standing, json!({ "organization": "Acme", "product": "Standard SSL" }));
    for (organization, product, expected) in [
        (76, "ssl_plus", "no organisation 76"),
        (78, "ssl_plus", "organisation 78 is inactive"),
        (77, "ssl_none", "no product ssl_none"),
    ] {
        site.ca.configuration = settings(organization, product, None);
        let refused = ca.settle(&site).await.err().unwrap();
        assert_eq!(refused.kind, UpstreamErrorKind::Lasting);
        assert!(refused.text.contains(expected), "{refused}");
    }
    let endpoint = format!("{}/services/v2", server.server.url());
    let wrong =
        site::connection(ConnectionApp::Digicert, "api-key", &[("apiKey", "wrong-key"), ("endpoint", &endpoint)]);
    let refused = outside.check_connection(&wrong).await.err().unwrap();
    assert!(refused.text.contains("does not accept the API key") && !refused.text.contains("wrong-key"), "{refused}");
    outside.check_connection(&site.connections[&site::connection_id()]).await.unwrap();
}
