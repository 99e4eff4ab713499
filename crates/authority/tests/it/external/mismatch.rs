//! What comes back is held against what was asked for: put aside, or accepted with remarks.

use chancery_authority::enrollment::{Attributes, Field};
use chancery_authority::issuance::Issuance;
use chancery_model::audit::{AuditEvent, Outcome};
use chancery_model::request::RequestStatus;
use chancery_pkix::GeneralNameKind;

use super::pki::{Answer, DAY};
use super::world::{World, named, pending};

fn two_names() -> Attributes {
    let names = vec![(GeneralNameKind::DnsName, "b.acme.com".to_owned())];
    Attributes { alt_names: Some(names), organization: Field::Value("Acme".to_owned()), ..named("a.acme.com") }
}

#[tokio::test]
async fn what_was_not_asked_for_is_put_aside_with_every_difference_named() {
    for (answer, said) in [
        (Answer::WrongKey, &["it is for another key than the one in the CSR"][..]),
        (Answer::ExtraName, &["it has names that were not asked for: ", "evil.test"]),
        (Answer::MissingName, &["it lacks names that were asked for: "]),
        (Answer::OtherCommonName, &["its common name 'Somebody Else Inc.' was not asked for"]),
        (Answer::TwoCommonNames, &["its common name 'evil.test' was not asked for"]),
        (Answer::CaFlag, &["it is a CA certificate"]),
        (Answer::TooLong, &["the certificate template permits"]),
        (Answer::Expired, &["it has ended already"]),
        (Answer::Garbage, &["the certificate cannot be read"]),
        (Answer::WrongIssuer, &["its signature is not by the issuer that was sent along"]),
        (
            Answer::IssuerFirst,
            &[
                "it is for another key",
                "it lacks names",
                "its common name 'Elsewhere Intermediate'",
                "it is a CA certificate",
                "the certificate template permits",
            ],
        ),
    ] {
        let world = World::start().await;
        world.elsewhere.send(answer);
        let id = pending(world.issue(world.wish(two_names())).await).id;
        let key = world.order_of(id).await.key_id.unwrap();
        let request = world.until_ended(id).await;
        assert_eq!((request.status, request.certificate_id), (RequestStatus::Failed, None), "{answer:?}");
        let message = request.error_message.unwrap();
        for part in said {
            assert!(message.contains(part), "{answer:?}: {message}");
        }
        assert!(message.contains("put aside"), "{message}");
        let order = world.order_of(id).await;
        assert!(order.quarantined.is_some_and(|der| der.len() > 10), "{answer:?}");
        let audit = world.audited(AuditEvent::CertificateQuarantined, id.as_uuid()).await;
        assert_eq!((audit.len(), audit[0].outcome), (1, Outcome::Failure), "{answer:?}");
        assert!(audit[0].details["fingerprintSha256"].is_string());
        assert!(world.inventory().await.is_empty() && world.elsewhere.zone().is_empty(), "{answer:?}");
        assert!(world.authority().reader().key(key).await.unwrap().is_none(), "{answer:?}");
    }
}

#[tokio::test]
async fn an_answer_without_a_certificate_has_nothing_to_put_aside() {
    let world = World::start().await;
    world.elsewhere.send(Answer::Empty);
    let id = world.order().await;
    let request = world.until_ended(id).await;
    assert_eq!(request.status, RequestStatus::Failed);
    assert!(request.error_message.unwrap().contains("holds no certificate"));
    assert_eq!(world.order_of(id).await.quarantined, None);
    assert!(world.audited(AuditEvent::CertificateQuarantined, id.as_uuid()).await.is_empty());
    assert_eq!(world.audited(AuditEvent::OrderFailed, id.as_uuid()).await.len(), 1);
}

#[tokio::test]
async fn what_differs_otherwise_is_accepted_and_remarked_on() {
    let chain = |world: &World| world.elsewhere.pki().chain();
    for (answer, codes, above) in [
        (Answer::Right, &["external.ca"][..], 1),
        (Answer::RootFirst, &["external.ca"], 2),
        (Answer::Alone, &["external.chain", "external.ca"], 0),
        (Answer::Stranger, &["external.chain", "external.ca"], 1),
        (
            Answer::More,
            &[
                "external.subject",
                "external.not_before",
                "external.key_usages",
                "external.extended_key_usages",
                "external.ca",
            ],
            1,
        ),
        (Answer::Bare, &["external.subject", "external.ttl", "external.extended_key_usages", "external.ca"], 1),
    ] {
        let world = World::start().await;
        world.elsewhere.send(answer);
        let id = pending(world.issue(world.wish(two_names())).await).id;
        let request = world.until_ended(id).await;
        assert_eq!(request.status, RequestStatus::Issued, "{answer:?}: {:?}", request.error_message);
        let document: serde_json::Value = serde_json::from_str(&request.document).unwrap();
        let warnings = document["warnings"].as_array().unwrap();
        let found: Vec<_> = warnings.iter().map(|it| it["code"].as_str().unwrap()).collect();
        assert_eq!(found, codes, "{answer:?}: {warnings:?}");
        assert!(document["fields"].is_array(), "what was resolved stays");
        let certificate = world.certificate(id).await;
        let kept = world.authority().chain(&certificate).await.unwrap();
        assert_eq!(kept, chain(&world)[..above].to_vec(), "{answer:?}");
        let audit = world.audited(AuditEvent::CertificateIssued, certificate.id.as_uuid()).await;
        assert_eq!(audit[0].details["warnings"].as_array().unwrap().len(), codes.len());
        if answer == Answer::More {
            let texts: Vec<_> = warnings.iter().map(|it| it["message"].as_str().unwrap()).collect();
            assert_eq!(texts[0], "the certification authority added to the subject: L=Elsewhere");
            assert_eq!(texts[2], "the certification authority added: key_agreement");
            assert_eq!(texts[3], "the certification authority added: client_auth");
        }
        if answer == Answer::Bare {
            assert!(warnings[0]["message"].as_str().unwrap().ends_with("O=Acme"), "{}", warnings[0]);
            assert_eq!(certificate.ttl, 7 * DAY, "what was granted counts from here on");
            assert!(certificate.description.subject.is_empty());
        }
        let issuance = world.authority().issuance_of(&world.admin, request).await.unwrap();
        assert!(matches!(issuance, Issuance::Issued(_)));
    }
}

#[tokio::test]
async fn a_certificate_that_is_here_already_is_not_taken_twice() {
    let world = World::start().await;
    let mut wish = world.wish(Attributes { ttl: Some("30d".to_owned()), ..Attributes::default() });
    wish.csr = Some(super::pki::csr("a.acme.com", &["a.acme.com"]));
    let first = pending(world.issue(wish.clone()).await).id;
    assert_eq!(world.until_ended(first).await.status, RequestStatus::Issued);
    world.elsewhere.send(Answer::Again);
    let second = pending(world.issue(wish).await).id;
    let request = world.until_ended(second).await;
    assert_eq!(request.status, RequestStatus::Failed);
    assert!(request.error_message.unwrap().contains("in the inventory already"));
    assert_eq!(world.order_of(second).await.quarantined, None, "it is what is here");
    // RFC 5280 §4.1.2.2: another certificate with the same number.
    world.elsewhere.send(Answer::SerialTwice);
    let third = world.order().await;
    let request = world.until_ended(third).await;
    assert!(request.error_message.unwrap().contains("its serial number is that of another certificate"));
    assert!(world.order_of(third).await.quarantined.is_some());
    assert_eq!(world.inventory().await.len(), 1);
    assert!(world.elsewhere.zone().is_empty());
}
