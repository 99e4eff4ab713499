//! Certificate requests: the list, one request, and what an open one may be told. The CA elsewhere never answers.

use std::sync::Arc;

use chancery_authority::external::{
    Asking, Capabilities, ExternalCertificate, IntermediateWish, NewExternalCa, Next, OpenedConnection, OrderInHand,
    RenewalAdvice, Settled, Site, Step, Tidied, Upstream, UpstreamCa, UpstreamError,
};
use chancery_authority::profile::ProfilePatch;
use chancery_model::authority::CaStatus;
use chancery_model::certificate::RevocationReason;
use chancery_model::external::{AcmeConfiguration, ChallengeKind, ExternalCaKind, ExternalConfiguration};
use chancery_model::order::ExternalOrder;
use chancery_model::permission::Role;
use chancery_model::profile::ProfileIssuer;
use chancery_model::request::RequestStatus;
use chancery_model::time::Ttl;

use crate::place::Place;
use crate::request::{requests, set_up};

async fn issue(place: &Place, name: &str) -> String {
    let operator = place.visitor(Role::Operator).await;
    let profiles = place.authority.reader();
    let page = chancery_model::page::PageRequest { offset: 0, limit: 1, cursor: None };
    let found = profiles.profiles(place.authority.default_project_id(), &Default::default(), &page).await.unwrap();
    let path = format!("/ui/request/{}", found.items[0].id);
    let fields = [
        ("common_name", name),
        ("key_algorithm", "EC_prime256v1"),
        ("ttl", "30d"),
        ("label_key", "team"),
        ("label_value", "shop"),
    ];
    operator.post(&path, &fields).await.sent()
}

#[tokio::test]
async fn requests_are_found_by_name_and_state() {
    let place = Place::new().await;
    set_up(&place).await;
    let auditor = place.visitor(Role::Auditor).await;
    assert!(auditor.get("/ui/requests").await.words().contains("Nothing was requested yet"));
    issue(&place, "www.acme.com").await;
    issue(&place, "api.acme.com").await;
    let check = async |query: &str, www: bool, api: bool| {
        let words = auditor.get(&format!("/ui/requests{query}")).await.words();
        assert_eq!((words.contains("www.acme.com"), words.contains("api.acme.com")), (www, api), "{query}: {words}");
    };
    check("", true, true).await;
    check("?search=www", true, false).await;
    check("?status=issued", true, true).await;
    check("?status=waiting", false, false).await;
    check("?from=2026-01-15&to=2026-01-15", true, true).await;
    check("?from=2026-01-16", false, false).await;
    let part = auditor.part("/ui/requests?search=www").await.ok();
    assert!(!part.contains("<main") && part.contains("www.acme.com") && !part.contains("api.acme.com"));
    assert!(auditor.get("/ui/requests?from=soon").await.words().contains("is not a date"));
}

#[tokio::test]
async fn an_issued_request_says_what_it_resolved_to_and_offers_no_action() {
    let place = Place::new().await;
    set_up(&place).await;
    let path = issue(&place, "www.acme.com").await;
    let page = place.visitor(Role::Auditor).await.get(&path).await;
    let words = page.words();
    assert!(words.contains("copied from the common name") && words.contains("Label team shop"), "{words}");
    assert!(!page.text().contains("/cancel") && !page.text().contains("data-poll"));
    let answer = place.visitor(Role::Operator).await.post(&format!("{path}/cancel"), &[]).await;
    assert_eq!(answer.sent(), path);
    assert_eq!(requests(&place).await[0].status, RequestStatus::Issued);
}

#[tokio::test]
async fn an_unknown_request_is_not_found() {
    let place = Place::new().await;
    let auditor = place.visitor(Role::Auditor).await;
    assert_eq!(auditor.get("/ui/requests/0198c0de-0000-7000-8000-000000000000").await.status, 404);
    assert_eq!(auditor.get("/ui/requests/7").await.status, 404);
}

/// A CA that looks for ever whether the names are ours.
struct Slow;

impl UpstreamCa for Slow {
    fn capabilities(&self) -> Capabilities {
        Capabilities { revoke: true, renew: true, advises_renewal: false, patience_seconds: 86_400 }
    }

    fn settle<'a>(&'a self, site: &'a Site) -> Asking<'a, Settled> {
        let secrets = site.secrets.clone();
        Box::pin(async { Ok(Settled { standing: serde_json::json!({}), secrets, warnings: Vec::new() }) })
    }

    fn advance<'a>(&'a self, _: &'a Site, _: &'a OrderInHand) -> Asking<'a, Step> {
        let next = Next::Wait { seconds: 60, validating: true, message: "Set a <TXT> record".to_owned() };
        let state = serde_json::json!({ "stage": "proving" });
        Box::pin(async { Ok(Step { state, reference: Some("order-7".to_owned()), challenges: None, next }) })
    }

    fn tidy<'a>(&'a self, _: &'a Site, _: &'a ExternalOrder) -> Asking<'a, Tidied> {
        Box::pin(async { Err(UpstreamError::passing("later")) })
    }

    fn revoke<'a>(&'a self, _: &'a Site, _: &'a ExternalCertificate, _: RevocationReason) -> Asking<'a, ()> {
        Box::pin(async { Ok(()) })
    }

    fn renewal_advice<'a>(&'a self, _: &'a Site, _: &'a ExternalCertificate) -> Asking<'a, Option<RenewalAdvice>> {
        Box::pin(async { Ok(None) })
    }

    fn change_account_key<'a>(&'a self, _: &'a Site) -> Asking<'a, Option<Settled>> {
        Box::pin(async { Ok(None) })
    }
}

impl Upstream for Slow {
    fn ca(&self, _: ExternalCaKind) -> Option<&dyn UpstreamCa> {
        Some(self)
    }

    fn check_connection<'a>(&'a self, _: &'a OpenedConnection) -> Asking<'a, ()> {
        Box::pin(async { Ok(()) })
    }

    fn sign_intermediate<'a>(&'a self, _: &'a OpenedConnection, _: &'a IntermediateWish) -> Asking<'a, Vec<Vec<u8>>> {
        Box::pin(async { Err(UpstreamError::lasting("no")) })
    }
}

/// The profile of [`set_up`], issued by the slow CA.
async fn slow_place() -> Place {
    let place = Place::with_upstream(Arc::new(Slow)).await;
    let profile = set_up(&place).await;
    let call = place.call().await;
    let configuration = AcmeConfiguration {
        directory_url: "https://elsewhere.test/dir".to_owned(),
        account_email: "ops@acme.com".to_owned(),
        eab_kid: None,
        zones: Vec::new(),
        challenges: vec![ChallengeKind::Http01],
        dns_resolvers: Vec::new(),
        propagation_timeout: Ttl::HOUR,
        preferred_chain: None,
        certificate_profile: None,
    };
    let new = NewExternalCa {
        name: "elsewhere".to_owned(),
        status: CaStatus::Active,
        configuration: ExternalConfiguration::Acme(configuration),
        secrets: Default::default(),
    };
    let (ca, _) = place.authority.create_external_ca(&call, new).await.unwrap();
    let patch = ProfilePatch { issuer: Some(ProfileIssuer::Ca(ca.id)), ..ProfilePatch::default() };
    place.authority.update_profile(&call, profile, patch).await.unwrap();
    place
}

#[tokio::test]
async fn an_open_request_is_followed_asked_for_and_cancelled() {
    let place = slow_place().await;
    let path = issue(&place, "www.acme.com").await;
    let operator = place.visitor(Role::Operator).await;
    let page = operator.get(&path).await;
    assert!(page.ok().contains(&format!("data-poll=\"{path}\"")), "{}", page.text());
    assert!(page.words().contains("Waiting for the CA"), "{}", page.words());
    while place.authority.run_due_jobs().await > 0 {}
    let part = operator.part(&path).await.ok();
    assert!(
        part.contains("Set a &lt;TXT&gt; record") && part.contains("order-7") && part.contains("Being validated"),
        "{part}"
    );
    assert!(part.contains("aria-current=\"step\">Control of the names proved"), "{part}");
    let auditor = place.visitor(Role::Auditor).await;
    assert!(!auditor.get(&path).await.ok().contains("/cancel"));
    assert_eq!(auditor.post(&format!("{path}/cancel"), &[]).await.status, 403);
    assert_eq!(operator.post(&format!("{path}/look"), &[]).await.sent(), path);
    assert_eq!(requests(&place).await[0].status, RequestStatus::PendingValidation);
    assert_eq!(operator.post(&format!("{path}/cancel"), &[]).await.sent(), path);
    assert_eq!(requests(&place).await[0].status, RequestStatus::Failed);
    let ended = operator.get(&path).await;
    assert!(ended.words().contains("Cancelled by the requester") && !ended.text().contains("data-poll"));
    assert!(ended.text().contains("Request again"));
}
