//! Requesting a certificate: the form, what the rules say meanwhile, and what comes of it.

use chancery_authority::application::{ApiSettings, NewApplication};
use chancery_authority::profile::{ProfilePatch, ProfileSettingsPatch};
use chancery_model::ProfileId;
use chancery_model::certificate::CertificateFilter;
use chancery_model::page::PageRequest;
use chancery_model::permission::Role;
use chancery_model::profile::KeyCustody;
use chancery_model::request::{CertificateRequest, RequestFilter, RequestStatus};

use crate::place::{Browser, Place};

/// A CSR for `csr.acme.com` with a P-256 key, made by OpenSSL.
pub const CSR: &str = include_str!("request/acme.csr");

const FIRST: PageRequest = PageRequest { offset: 0, limit: 50, cursor: None };

/// A CA, a template for names below acme.com and at most 90 days, and a profile, made by the guided set-up.
pub async fn set_up(place: &Place) -> ProfileId {
    let admin = place.visitor(Role::Admin).await;
    admin
        .post(
            "/ui/setup/authority",
            &[("organization", "Acme"), ("root_years", "10"), ("issuing_years", "5"), ("algorithm", "EC_prime256v1")],
        )
        .await
        .sent();
    admin
        .post(
            "/ui/setup/template",
            &[("preset", "tls-server"), ("template_name", "web"), ("names", "*.acme.com"), ("validity", "90d")],
        )
        .await
        .sent();
    let project = place.authority.default_project_id();
    let cas = place.authority.reader().cas(project).await.unwrap();
    let issuing = cas.iter().find(|it| it.name.contains("ssuing")).unwrap().id.to_string();
    admin.post("/ui/setup/profile", &[("slug", "web"), ("issuer", &issuing), ("days", "30")]).await.sent();
    place.authority.reader().profiles(project, &Default::default(), &FIRST).await.unwrap().items[0].id
}

pub async fn requests(place: &Place) -> Vec<CertificateRequest> {
    let project = place.authority.default_project_id();
    place.authority.reader().requests(project, &RequestFilter::default(), &FIRST).await.unwrap().items
}

async fn certificates(place: &Place) -> u64 {
    let project = place.authority.default_project_id();
    place
        .authority
        .reader()
        .certificates(project, &CertificateFilter::default(), place.now(), &FIRST)
        .await
        .unwrap()
        .total
        .count
}

async fn keep_keys(place: &Place, profile: ProfileId, custody: KeyCustody) {
    let settings = ProfileSettingsPatch { key_custody: Some(custody), ..ProfileSettingsPatch::default() };
    let patch = ProfilePatch { settings, ..ProfilePatch::default() };
    place.authority.update_profile(&place.call().await, profile, patch).await.unwrap();
}

/// What a browser sends of an untouched form with a common name.
fn named(name: &str) -> Vec<(&str, &str)> {
    vec![
        ("way", "managed"),
        ("common_name", name),
        ("key_algorithm", "EC_prime256v1"),
        ("san_type", "dns_name"),
        ("san_value", ""),
        ("ttl", "30d"),
        ("label_key", ""),
        ("label_value", ""),
    ]
}

fn with<'a>(name: &'a str, more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let mut fields = named(name);
    for (field, value) in more {
        fields.retain(|(it, _)| it != field);
        fields.push((field, value));
    }
    fields
}

async fn checked(browser: &Browser<'_>, profile: ProfileId, fields: &[(&str, &str)]) -> String {
    let csrf = browser.csrf().await;
    let mut all = vec![("_csrf", csrf.as_str())];
    all.extend_from_slice(fields);
    let path = format!("/ui/request/{profile}/check");
    let answer = browser.post_bare(&path, &all, &[("x-chancery-fragment", "1")]).await;
    assert!(!answer.ok().contains("<main"), "a part of a page is wanted");
    crate::place::words(&answer.text())
}

#[tokio::test]
async fn an_empty_server_leads_whoever_may_to_the_set_up() {
    let place = Place::new().await;
    assert!(place.visitor(Role::Admin).await.get("/ui/request").await.ok().contains("href=\"/ui/setup\""));
    let operator = place.visitor(Role::Operator).await.get("/ui/request").await;
    assert!(operator.words().contains("Ask an administrator") && !operator.text().contains("/ui/setup"));
}

#[tokio::test]
async fn a_certificate_is_requested_from_profile_to_result() {
    let place = Place::new().await;
    let profile = set_up(&place).await;
    let operator = place.visitor(Role::Operator).await;
    let cards = operator.get("/ui/request").await;
    assert!(cards.words().contains("Names that must match *.acme.com; at most 90 days"), "{}", cards.words());
    let form = operator.get(&format!("/ui/request/{profile}")).await;
    assert!(
        form.words().contains("Must match *.acme.com") && form.words().contains("At most 90 days"),
        "{}",
        form.words()
    );
    // What the template leaves no choice about is not asked for.
    assert!(!form.text().contains("name=\"organization\""));
    let answer =
        operator.post(&format!("/ui/request/{profile}"), &with("www.acme.com", &[("san_value", "api.acme.com")])).await;
    let [request] = requests(&place).await.try_into().unwrap();
    assert_eq!(answer.sent(), format!("/ui/requests/{}", request.id));
    assert_eq!((request.status, request.common_name.as_deref()), (RequestStatus::Issued, Some("www.acme.com")));
    let result = operator.get(answer.location()).await;
    let words = result.words();
    assert!(words.contains("\"commonName\": \"www.acme.com\""), "{words}");
    assert!(words.contains("--profile web") && words.contains("--san dns:api.acme.com"), "{words}");
    // The default of the profile was not typed, and is not repeated.
    assert!(!words.contains("--ttl") && words.contains("default of the profile"), "{words}");
    assert!(result.text().contains(&format!("/ui/certificates/{}", request.certificate_id.unwrap())));
}

#[tokio::test]
async fn a_refused_request_shows_every_violation_and_keeps_what_was_typed() {
    let place = Place::new().await;
    let profile = set_up(&place).await;
    let operator = place.visitor(Role::Operator).await;
    let fields = with("www.evil.example", &[("ttl", "2y"), ("san_value", "api.acme.com")]);
    let answer = operator.post(&format!("/ui/request/{profile}"), &fields).await;
    assert_eq!(answer.status, 422);
    let words = answer.words();
    assert!(words.contains("The template refuses this request") && words.contains("It would be refused"), "{words}");
    assert!(words.contains("at most 90 days") && words.contains("www.evil.example"), "{words}");
    for typed in ["value=\"www.evil.example\"", "value=\"2y\"", "value=\"api.acme.com\""] {
        assert!(answer.text().contains(typed), "{typed}");
    }
    assert_eq!(certificates(&place).await, 0);
}

#[tokio::test]
async fn rules_are_shown_while_somebody_types_and_nothing_is_written_down() {
    let place = Place::new().await;
    let profile = set_up(&place).await;
    let operator = place.visitor(Role::Operator).await;
    operator.csrf().await;
    let project = place.authority.default_project_id();
    let entries =
        async || place.authority.reader().audit(project, &Default::default(), None, 500).await.unwrap().0.len();
    let before = entries().await;
    assert!(checked(&operator, profile, &named("")).await.contains("What is in force"));
    let good = checked(&operator, profile, &named("www.acme.com")).await;
    assert!(good.contains("All rules pass") && good.contains("as asked"), "{good}");
    let bad = checked(&operator, profile, &with("www.acme.com", &[("ttl", "1y")])).await;
    assert!(bad.contains("It would be refused") && bad.contains("Apply the suggestion"), "{bad}");
    let unreadable = checked(&operator, profile, &with("www.acme.com", &[("ttl", "soon")])).await;
    assert!(unreadable.contains("is not a duration"), "{unreadable}");
    assert_eq!(entries().await, before);
    assert!(requests(&place).await.is_empty());
}

#[tokio::test]
async fn suggestions_that_are_applied_make_the_request_pass() {
    let place = Place::new().await;
    let profile = set_up(&place).await;
    let operator = place.visitor(Role::Operator).await;
    let path = format!("/ui/request/{profile}/check");
    let answer = operator.post(&path, &with("www.acme.com", &[("ttl", "1y"), ("do", "mend")])).await;
    assert!(answer.ok().contains("value=\"90d\""), "{}", answer.words());
    assert!(answer.words().contains("All rules pass"));
}

#[tokio::test]
async fn the_form_grows_by_rows_without_a_script() {
    let place = Place::new().await;
    let profile = set_up(&place).await;
    let operator = place.visitor(Role::Operator).await;
    let fields = with("", &[("san_value", "a.acme.com"), ("do", "more")]);
    let page = operator.post(&format!("/ui/request/{profile}/check"), &fields).await.ok();
    let form = page.split("<template").next().unwrap();
    assert_eq!(form.matches("name=\"san_value\"").count(), 3);
}

#[tokio::test]
async fn a_form_that_is_sent_twice_is_one_request() {
    let place = Place::new().await;
    let profile = set_up(&place).await;
    let operator = place.visitor(Role::Operator).await;
    let fields = with("www.acme.com", &[("_once", "0123456789abcdef")]);
    let path = format!("/ui/request/{profile}");
    let (first, second) = (operator.post(&path, &fields).await, operator.post(&path, &fields).await);
    assert_eq!(first.sent(), second.sent());
    assert_eq!(certificates(&place).await, 1);
}

#[tokio::test]
async fn a_key_that_is_not_kept_is_shown_once_and_in_no_address() {
    let place = Place::new().await;
    let profile = set_up(&place).await;
    keep_keys(&place, profile, KeyCustody::ReturnOnce).await;
    let operator = place.visitor(Role::Operator).await;
    let path = format!("/ui/request/{profile}");
    let fields = with("www.acme.com", &[("_once", "0123456789abcdef")]);
    let answer = operator.post(&path, &fields).await;
    assert!(answer.ok().contains("-----BEGIN PRIVATE KEY-----"));
    assert_eq!(answer.headers.get("cache-control").unwrap(), "no-store");
    let again = operator.post(&path, &fields).await;
    let result = operator.get(&again.sent()).await.ok();
    assert!(!again.text().contains("PRIVATE KEY") && !result.contains("PRIVATE KEY"));
}

#[tokio::test]
async fn a_csr_is_read_at_once_and_judged_like_everything_else() {
    let place = Place::new().await;
    let profile = set_up(&place).await;
    let operator = place.visitor(Role::Operator).await;
    let path = format!("/ui/request/{profile}");
    assert!(operator.get(&format!("{path}?way=csr")).await.ok().contains("name=\"csr\""));
    let sent = |csr: &'static str| [("way", "csr"), ("csr", csr), ("ttl", "30d")];
    let read = checked(&operator, profile, &sent(CSR)).await;
    assert!(read.contains("csr.acme.com") && read.contains("ECDSA P-256") && read.contains("All rules pass"), "{read}");
    let secret =
        checked(&operator, profile, &sent("-----BEGIN PRIVATE KEY-----\nMA==\n-----END PRIVATE KEY-----")).await;
    assert!(secret.contains("Treat that key as exposed"), "{secret}");
    let empty = operator.post(&path, &sent("")).await;
    assert_eq!(empty.status, 422);
    assert!(empty.words().contains("Paste a certificate signing request"));
    let to = operator.post(&path, &sent(CSR)).await.sent();
    let words = operator.get(&to).await.words();
    assert!(words.contains("the requester holds it") && words.contains("--csr request.csr"), "{words}");
}

#[tokio::test]
async fn a_profile_that_makes_no_keys_asks_for_a_csr() {
    let place = Place::new().await;
    let profile = set_up(&place).await;
    keep_keys(&place, profile, KeyCustody::None).await;
    let page = place.visitor(Role::Operator).await.get(&format!("/ui/request/{profile}")).await.ok();
    assert!(page.contains("name=\"csr\"") && !page.contains("name=\"common_name\""));
}

#[tokio::test]
async fn an_application_is_chosen_where_there_are_several() {
    let place = Place::new().await;
    let profile = set_up(&place).await;
    let call = place.call().await;
    let mut ids = Vec::new();
    for name in ["shop", "wiki"] {
        let new = NewApplication { name: name.to_owned(), description: None, profiles: vec![profile] };
        let id = place.authority.create_application(&call, new).await.unwrap().id;
        let api = ApiSettings::default();
        place.authority.configure_api_enrollment(&call, (id, profile), api).await.unwrap();
        ids.push(id.to_string());
    }
    let patch = ProfilePatch { enrollment: chancery_authority::enrollment::Field::Null, ..ProfilePatch::default() };
    place.authority.update_profile(&call, profile, patch).await.unwrap();
    let operator = place.visitor(Role::Operator).await;
    let path = format!("/ui/request/{profile}");
    let refused = operator.post(&path, &named("www.acme.com")).await;
    assert_eq!(refused.status, 422);
    assert!(refused.words().contains("Choose the application"), "{}", refused.words());
    operator.post(&path, &with("www.acme.com", &[("application", &ids[1])])).await.sent();
    assert_eq!(requests(&place).await[0].application_id.unwrap().to_string(), ids[1]);
}

#[tokio::test]
async fn hostile_names_are_text() {
    let place = Place::new().await;
    let profile = set_up(&place).await;
    let operator = place.visitor(Role::Operator).await;
    let hostile = "<img src=x onerror=alert(1)>\u{202e}";
    let answer = operator.post(&format!("/ui/request/{profile}"), &named(hostile)).await;
    assert_eq!(answer.status, 422);
    assert!(!answer.text().contains("<img") && answer.text().contains("⟨U+202E⟩"));
}

#[tokio::test]
async fn auditors_request_nothing() {
    let place = Place::new().await;
    let profile = set_up(&place).await;
    let auditor = place.visitor(Role::Auditor).await;
    assert_eq!(auditor.get("/ui/request").await.status, 403);
    assert_eq!(auditor.post(&format!("/ui/request/{profile}"), &named("www.acme.com")).await.status, 403);
    assert_eq!(certificates(&place).await, 0);
    assert!(!auditor.get("/ui/requests").await.ok().contains("href=\"/ui/request\""));
}
