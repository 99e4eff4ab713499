//! The whole path, where nothing goes wrong; and what is refused before anybody outside is asked.

use chancery_authority::enrollment::{Attributes, Field};
use chancery_authority::external::ExternalCaPatch;
use chancery_authority::issuance::Issuance;
use chancery_authority::profile::ProfileSettingsPatch;
use chancery_authority::renewal::BulkRenewal;
use chancery_authority::template::TemplateRulesPatch;
use chancery_model::audit::AuditEvent;
use chancery_model::authority::CaStatus;
use chancery_model::certificate::CertificateFilter;
use chancery_model::external::ChallengeKind;
use chancery_model::order::OrderPhase;
use chancery_model::profile::{KeyCustody, ProfileDefaults};
use chancery_model::request::RequestStatus;
use chancery_pkix::GeneralNameKind;

use super::elsewhere::{Fault, STEPS, When};
use super::pki::{DAY, csr};
use super::world::{World, code, named, pending};

#[tokio::test]
async fn a_certificate_is_ordered_and_comes_home_with_its_key() {
    let world = World::start().await;
    let names = vec![
        (GeneralNameKind::DnsName, "*.b.acme.com".to_owned()),
        (GeneralNameKind::IpAddress, "2001:db8::1".to_owned()),
        (GeneralNameKind::IpAddress, "192.0.2.7".to_owned()),
    ];
    let attributes = Attributes { alt_names: Some(names), ..named("a.acme.com") };
    let request = pending(world.issue(world.wish(attributes)).await);
    assert_eq!(request.status, RequestStatus::Pending);
    assert_eq!(request.pending_message.as_deref(), Some("Waiting for the certification authority 'elsewhere'"));
    assert_eq!(world.elsewhere.orders(), 0, "written down before anybody is asked");
    let order = world.order_of(request.id).await;
    assert_eq!((order.phase, order.reference, order.key_id.is_some()), (OrderPhase::Ordering, None, true));
    assert_eq!(world.audited(AuditEvent::CertificateOrdered, request.id.as_uuid()).await.len(), 1);

    world.run().await;
    let waiting = world.request(request.id).await;
    assert_eq!(waiting.status, RequestStatus::PendingValidation);
    assert_eq!(waiting.pending_message.as_deref(), Some("Waiting for the validation of the names"));
    assert_eq!(world.elsewhere.zone().len(), 1);
    let token = request.id.to_string();
    let answers = || world.authority().challenge(ChallengeKind::Http01, &token);
    assert_eq!(answers().await.unwrap(), ["token.thumbprint"]);

    let done = world.until_ended(request.id).await;
    assert_eq!((done.status, done.pending_message, done.error_message), (RequestStatus::Issued, None, None));
    assert_eq!(world.elsewhere.zone(), Vec::<String>::new());
    let record = world.elsewhere.order(request.id);
    assert_eq!((record.placed, record.finalized), (1, 1));
    assert!(STEPS.iter().all(|step| record.begun[*step] == 1), "{:?}", record.begun);
    assert!(answers().await.unwrap().is_empty(), "nothing is answered for an order that has ended");

    let certificate = world.certificate(request.id).await;
    assert_eq!((certificate.ca_id, certificate.ca_certificate_id), (Some(world.ca), None));
    assert_eq!(certificate.requester, world.admin.requester.actor_id());
    assert_eq!((certificate.ttl, certificate.key_id), (30 * DAY, order.key_id));
    assert!(!certificate.from_csr());
    assert_eq!(world.authority().chain(&certificate).await.unwrap(), [world.elsewhere.pki().chain()[0].clone()]);
    let key = world.authority().private_key(&world.admin, &certificate).await.unwrap().unwrap();
    let key = chancery_keys::PrivateKey::from_pem(&key, None).unwrap();
    let read = chancery_pkix::Certificate::from_der(&certificate.der).unwrap();
    assert_eq!(read.spki_der(), key.public_key().spki_der());
    let audit = world.audited(AuditEvent::CertificateIssued, certificate.id.as_uuid()).await;
    assert_eq!(audit[0].details["requestId"], request.id.to_string());
    assert!(audit[0].details["orderReference"].as_str().unwrap().starts_with("https://elsewhere.test/order/"));
    let done = world.order_of(request.id).await;
    assert_eq!((done.phase, done.quarantined), (OrderPhase::Done, None));
    assert!(world.job(chancery_model::job::JobKind::AdvanceOrder, request.id.as_uuid()).await.is_none());
}

#[tokio::test]
async fn what_was_ordered_has_a_history_is_rehearsed_and_is_ordered_again_by_a_search() {
    let world = World::start().await;
    let old = world.issued().await;
    let history = world.authority().history_of(&world.admin, old.id).await.unwrap();
    let told: Vec<&str> = history.iter().map(|it| it.event.as_str()).collect();
    assert_eq!(told, ["certificate.issued", "certificate-request.ordered"], "the request's entries are its own too");

    let patch = TemplateRulesPatch { validity_max: Field::Value("1d".to_owned()), ..TemplateRulesPatch::default() };
    let template = Some(world.template);
    for (patch, refused) in [(TemplateRulesPatch::default(), 0), (patch, 1)] {
        let rules = world.authority().proposed_rules(&world.admin, template, None, patch).await.unwrap();
        let done = world.authority().rehearse_template(&world.admin, &rules, template, 30).await.unwrap();
        assert_eq!((done.examined, done.unreadable, done.refused_total), (1, 0, refused));
    }

    let filter = CertificateFilter { ca_ids: vec![world.ca], ..CertificateFilter::default() };
    let search = BulkRenewal { filter };
    let preview = world.authority().preview_bulk_renewal(&world.admin, &search).await.unwrap();
    assert_eq!((preview.matching, preview.renewable), (1, 1), "{:?}", preview.left_out);
    let done = world.authority().bulk_renew(&world.admin, &search, &preview.confirm).await.unwrap();
    assert_eq!((done.renewed, done.pending, done.failed.len()), (0, 1, 0), "{:?}", done.failed);
    let again = world.authority().bulk_renew(&world.admin, &search, &preview.confirm).await.unwrap();
    assert_eq!((again.pending, again.failed.len()), (0, 1), "it is being renewed already");
}

#[tokio::test]
async fn a_requesters_own_key_goes_there_in_its_own_csr() {
    let world = World::start().await;
    let pem = csr("own.acme.com", &["own.acme.com", "www.acme.com"]);
    let mut wish = world.wish(Attributes { ttl: Some("10d".to_owned()), ..Attributes::default() });
    wish.csr = Some(pem.clone());
    let request = pending(world.issue(wish).await);
    let order = world.order_of(request.id).await;
    assert_eq!(chancery_pkix::CertificationRequest::from_der(&order.csr).unwrap().to_pem(), pem);
    assert_eq!(order.key_id, None);
    assert_eq!(world.until_ended(request.id).await.status, RequestStatus::Issued);
    let certificate = world.certificate(request.id).await;
    assert!(certificate.from_csr());
    assert_eq!(certificate.key_id, None);
    assert_eq!(certificate.ttl, 10 * DAY);
}

#[tokio::test]
async fn defaults_of_the_profile_and_the_templates_own_are_what_is_ordered() {
    let defaults = ProfileDefaults { ttl_days: Some(20), ..ProfileDefaults::default() };
    let settings = ProfileSettingsPatch { defaults: Field::Value(defaults), ..ProfileSettingsPatch::default() };
    let world = World::start_with(settings).await;
    let request = pending(world.issue(world.wish(Attributes { ttl: None, ..named("d.acme.com") })).await);
    assert_eq!(world.order_of(request.id).await.plan.ttl, 20 * DAY);
    world.until_ended(request.id).await;
    let certificate = world.certificate(request.id).await;
    assert_eq!(certificate.ttl, 20 * DAY);
    let purposes: Vec<_> = certificate.description.extended_key_usages.iter().map(|it| it.as_str()).collect();
    assert_eq!(purposes, ["server_auth"], "from the template's required list, by the CSR");
}

#[tokio::test]
async fn what_the_template_refuses_is_never_asked_for_outside() {
    let world = World::start().await;
    let long = Attributes { ttl: Some("400d".to_owned()), ..named("a.acme.com") };
    let mail =
        Attributes { alt_names: Some(vec![(GeneralNameKind::Email, "a@acme.com".to_owned())]), ..named("a.acme.com") };
    for attributes in [long, mail] {
        let explained = world.authority().evaluate(&world.admin, world.wish(attributes.clone())).await.unwrap();
        assert!(!explained.approved);
        assert_eq!(code(world.issue(world.wish(attributes)).await), "template.refused");
    }
    let explained = world.authority().evaluate(&world.admin, world.wish(named("a.acme.com"))).await.unwrap();
    assert!(explained.approved);
    world.run().await;
    assert_eq!((world.elsewhere.orders(), world.requests().await.len()), (0, 0));
}

#[tokio::test]
async fn keys_that_are_kept_nowhere_are_not_made_for_an_order() {
    let world = World::start().await;
    let custody = |key_custody| ProfileSettingsPatch { key_custody: Some(key_custody), ..Default::default() };
    let refused = world.profile_of("once", world.ca, custody(KeyCustody::ReturnOnce)).await.err().unwrap();
    let message = refused.public_message();
    assert!(message.contains("keyCustody") && message.contains("answers later"), "{message}");
    let mut world = world;
    world.profile = world.profile_of("none", world.ca, custody(KeyCustody::None)).await.unwrap();
    assert_eq!(code(world.issue(world.wish(named("a.acme.com"))).await), "csr.required");
    let mut wish = world.wish(Attributes { ttl: Some("30d".to_owned()), ..Attributes::default() });
    wish.csr = Some(csr("own.acme.com", &["own.acme.com"]));
    let request = pending(world.issue(wish).await);
    assert_eq!(world.until_ended(request.id).await.status, RequestStatus::Issued);
}

#[tokio::test]
async fn a_disabled_ca_is_not_asked_and_an_order_under_way_waits_for_it() {
    let world = World::start().await;
    let id = world.order().await;
    world.run().await;
    let set = |status| ExternalCaPatch { status: Some(status), ..ExternalCaPatch::default() };
    world.authority().update_external_ca(&world.admin, world.ca, set(CaStatus::Disabled)).await.unwrap();
    assert_eq!(code(world.issue(world.wish(named("b.acme.com"))).await), "ca.not_active");
    world.tick(6).await;
    let begun = world.elsewhere.order(id).begun;
    let waiting = world.request(id).await;
    assert_eq!(waiting.status, RequestStatus::Pending);
    let message = waiting.pending_message.unwrap();
    assert!(message.contains("'elsewhere' is disabled"), "{message}");
    world.tick(60).await;
    assert_eq!(world.elsewhere.order(id).begun, begun);
    world.authority().update_external_ca(&world.admin, world.ca, set(CaStatus::Active)).await.unwrap();
    assert_eq!(world.until_ended(id).await.status, RequestStatus::Issued);
}

#[tokio::test]
async fn a_ca_goes_when_nothing_is_under_way_at_it() {
    let world = World::start().await;
    let id = world.order().await;
    let delete = || world.authority().delete_external_ca(&world.admin, world.ca);
    assert_ne!(code(delete().await), "accepted");
    world.authority().delete_profile(&world.admin, world.profile).await.unwrap();
    assert_ne!(code(delete().await), "accepted", "an order runs");
    // The order ends and its record stays outside: still there is something to do.
    world.elsewhere.hit("tidy", When::BeforeEffect, Fault::Error(passing()), u32::MAX);
    for _ in 0..3 {
        world.tick(6).await;
    }
    assert_eq!(world.status(id).await, RequestStatus::Issued);
    assert_eq!(world.elsewhere.zone().len(), 1);
    assert_ne!(code(delete().await), "accepted", "a record is left");
    world.elsewhere.heal();
    world.until_ended(id).await;
    assert!(world.elsewhere.zone().is_empty());
    delete().await.unwrap();
    let certificate = world.certificate(id).await;
    assert_eq!(certificate.request_id, id, "what it issued stays");
    assert_eq!(certificate.renewal.due_at, None, "without a profile there are no renewals");
}

fn passing() -> chancery_authority::external::UpstreamError {
    chancery_authority::external::UpstreamError::passing("the DNS server does not answer")
}

#[tokio::test]
async fn a_csr_with_a_secret_in_it_is_not_sent_on() {
    let world = World::start().await;
    let mut wish = world.wish(Attributes { ttl: Some("30d".to_owned()), ..Attributes::default() });
    wish.csr = Some(with_challenge_password());
    assert_eq!(code(world.issue(wish).await), "csr.challenge_password");
    assert!(world.requests().await.is_empty());
}

/// Made by OpenSSL: the writer here has no such attribute.
fn with_challenge_password() -> String {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("c.cnf");
    let text = "[req]\nprompt=no\ndistinguished_name=dn\nattributes=at\nreq_extensions=ex\n[dn]\nCN=p.acme.com\n\
                [at]\nchallengePassword=open-sesame\n[ex]\nsubjectAltName=DNS:p.acme.com\n";
    std::fs::write(&config, text).unwrap();
    let output = std::process::Command::new("openssl")
        .args(["req", "-new", "-nodes", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-keyout"])
        .arg(folder.path().join("key"))
        .arg("-config")
        .arg(&config)
        .output()
        .expect("openssl is missing: apt-get install openssl");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test]
async fn an_answer_is_awaited_and_comes_as_soon_as_it_is_there() {
    let world = World::start().await;
    let id = world.order().await;
    let early = world.authority().await_request(&world.admin, id, 0).await.unwrap();
    assert_eq!(early.status, RequestStatus::Pending);
    let (authority, admin) = (world.authority().clone(), world.admin.clone());
    let waiting = tokio::spawn(async move { authority.await_request(&admin, id, 60).await });
    let started = std::time::Instant::now();
    world.until_ended(id).await;
    let request = waiting.await.unwrap().unwrap();
    assert_eq!(request.status, RequestStatus::Issued);
    assert!(started.elapsed().as_secs() < 30);
    let issuance = world.authority().issuance_of(&world.admin, request).await.unwrap();
    let Issuance::Issued(issued) = issuance else { panic!("it is issued") };
    assert!(issued.private_key.is_some());
}
