//! Coverage of lists: every route of the table meets every kind of caller.
//!
//! ```text
//! every route × no token · a token that is none · each role · an administrator of another project
//! every route that changes something × the audit log
//! ```
//!
//! Verified: what the table of routes declares is what the server does. Exceptions stand in `uncovered-routes.txt` with
//! their reasons, and one that is not needed fails the test.

mod elsewhere;

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chancery_api::{Access, RouteInfo, routes};
use chancery_model::permission::Role;
use chancery_pkix::{KeyAlgorithm, pem, pkcs12};
use chancery_testkit::judge;
use chancery_testkit::world::{Pki, Session, World, certification_request, id_at, text};
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use self::elsewhere::{Elsewhere, Outside};
use crate::openssl::OpensslCa;
use crate::refusals::{check_refusal_code, project_of};

/// `METHOD path` of a route, aliases under their current name.
fn name(route: &RouteInfo) -> String {
    let path = route
        .path
        .replace("/api/v2/certificate-templates", "/api/v1/cert-manager/certificate-policies")
        .replace("/cert-manager/certificate-templates", "/cert-manager/certificate-policies")
        .replace("/api/v1/pki/certificate-profiles", "/api/v1/cert-manager/certificate-profiles");
    format!("{} {path}", route.method)
}

fn exact_name(route: &RouteInfo) -> String {
    format!("{} {}", route.method, route.path)
}

/// The routes that a test leaves out.
fn exceptions(test: &str) -> BTreeSet<String> {
    let known: BTreeSet<_> = routes().iter().map(exact_name).collect();
    let mut excepted = BTreeSet::new();
    for line in include_str!("uncovered-routes.txt").lines().filter(|it| !it.starts_with('#') && !it.is_empty()) {
        let words: Vec<&str> = line.split_whitespace().collect();
        assert!(words.len() > 4, "a line without a reason: {line}");
        let route = format!("{} {}", words[1], words[2]);
        assert!(known.contains(&route), "no such route: {line}");
        if words[0] == test {
            excepted.insert(route);
        }
    }
    excepted
}

/// Fills every parameter of a path.
fn filled(path: &str, value: impl Fn(&str) -> String) -> String {
    let mut out = String::new();
    let mut rest = path;
    while let Some((before, after)) = rest.split_once('{') {
        let (parameter, after) = after.split_once('}').unwrap();
        out.push_str(before);
        out.push_str(&value(parameter));
        rest = after;
    }
    out + rest
}

/// A path on which nothing exists.
fn nowhere(path: &str) -> String {
    filled(path, |parameter| match parameter {
        "slug" => "nowhere".to_owned(),
        "type" => "venafi-tpp".to_owned(),
        "app" => "hashicorp-vault".to_owned(),
        _ => Uuid::nil().to_string(),
    })
}

async fn call(session: &Session, route: &RouteInfo, path: &str, body: &Value) -> (u16, Value) {
    let has_body = [Method::POST, Method::PUT, Method::PATCH].contains(&route.method);
    session.send(route.method.clone(), path, has_body.then_some(body)).await
}

#[tokio::test]
async fn without_a_good_token_there_is_no_route() {
    let world = World::start().await;
    let token = world.operator().token().unwrap().to_owned();
    let (head, tail) = token.split_at(token.len() - 6);
    let changed: String = head.chars().chain(tail.chars().rev()).collect();
    let mut seen = 0;
    for route in routes().iter().filter(|it| it.access != Access::Public) {
        let path = nowhere(route.path);
        let json = [("content-type", "application/json")];
        // The body is not looked at, so nonsense in it changes nothing.
        let response = world.anonymous().raw(route.method.clone(), &path, &json, b"{nonsense".to_vec()).await;
        let status = response.status().as_u16();
        check_refusal_code(
            status,
            &serde_json::from_str(&response.text().await.unwrap()).unwrap(),
            401,
            "auth.required",
        );
        for garbage in ["garbage", "a.b.c", changed.as_str()] {
            let authorization = format!("Bearer {garbage}");
            let headers = [json[0], ("authorization", authorization.as_str())];
            let response = world.anonymous().raw(route.method.clone(), &path, &headers, b"{nonsense".to_vec()).await;
            let status = response.status().as_u16();
            let answer: Value = serde_json::from_str(&response.text().await.unwrap()).unwrap();
            assert_eq!((status, &answer["error"]), (403, &json!("TokenError")), "{} {garbage}", exact_name(route));
        }
        let slashed = format!("{path}/");
        assert_eq!(world.anonymous().send(route.method.clone(), &slashed, None).await.0, 401, "{slashed}");
        seen += 1;
    }
    assert!(seen > 80, "only {seen} routes");
    world.clock.advance_seconds(40 * 86_400);
    let (status, answer) = world.admin().get("/api/v1/projects").await;
    assert_eq!((status, &answer["error"]), (403, &json!("TokenError")), "an expired token");
    world.stop().await;
}

#[tokio::test]
async fn public_routes_need_no_token_and_give_no_secret() {
    let world = World::start().await;
    for route in routes().iter().filter(|it| it.access == Access::Public) {
        let response = world.anonymous().raw(route.method.clone(), &nowhere(route.path), &[], Vec::new()).await;
        let status = response.status().as_u16();
        assert!(!matches!(status, 401 | 403 | 500..), "{}: {status}", exact_name(route));
        let answer = response.text().await.unwrap();
        for secret in ["PRIVATE KEY", "admin@world.test", world.admin().token().unwrap()] {
            assert!(!answer.contains(secret), "{} tells {secret}", exact_name(route));
        }
    }
    world.stop().await;
}

#[tokio::test]
async fn each_role_may_do_what_the_matrix_says_and_nothing_else() {
    let world = World::start().await;
    for role in Role::ALL {
        let session = world.identity("matrix", role.as_str()).await;
        for route in routes() {
            let Access::Permission(permission) = route.access else { continue };
            // Whoever logs out has no session for the next route.
            let passing;
            let caller = if route.path.ends_with("/logout") {
                passing = world.identity("passing", role.as_str()).await;
                &passing
            } else {
                &session
            };
            let (status, answer) = call(caller, route, &nowhere(route.path), &json!({})).await;
            let denied = status == 403 && answer["error"] == "PermissionDenied";
            assert_eq!(denied, !role.allows(permission), "{role} {}: {status} {answer:#}", exact_name(route));
            assert!(status < 500 && status != 401, "{role} {}: {status} {answer:#}", exact_name(route));
            if denied {
                assert_eq!(answer["details"][0]["action"], permission.action());
                assert_eq!(answer["details"][0]["subject"], permission.subject());
            }
        }
    }
    world.stop().await;
}

/// One object of each kind, fresh, so that a route may change or delete them.
struct Things {
    pki: Pki,
    project: String,
    project_slug: String,
    new_project: String,
    /// Active, with nothing under it.
    ca: Uuid,
    ca_certificate: String,
    /// Active, signed by the root of the others.
    sub_ca: Uuid,
    sub_ca_certificate: String,
    /// Waits for its certificate.
    pending_ca: Uuid,
    template: Uuid,
    profile: Uuid,
    profile_slug: String,
    certificate: String,
    serial_number: String,
    /// PEM and PKCS#12 of a certificate that nobody here knows.
    foreign: Foreign,
    request: String,
    /// With `applied_profile` attached and enrolment by it on; the administrator and `identity` are members.
    application: String,
    /// Of the project, and of the application.
    alerts: [String; 2],
    /// Only for routes that need it: a person keeps a hundred at most.
    saved_view: String,
    application_name: String,
    applied_profile: Uuid,
    administrator: String,
    /// A person who was invited.
    person: String,
    identity: String,
    bare_identity: String,
    secret: String,
    client_id: String,
    client_secret: String,
    csr: String,
    not_after: String,
    /// Only for routes that need it.
    elsewhere: Option<Elsewhere>,
    count: u32,
}

struct Foreign {
    pem: String,
    pkcs12: String,
}

/// A certificate that OpenSSL has made for itself.
fn foreign(common_name: &str) -> Foreign {
    let subject = format!("/CN={common_name}");
    let arguments = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "-"];
    let made = judge::openssl_reads(&[&arguments[..], &["-subj", &subject]].concat(), b"");
    let blocks = pem::decode(&made, pem::OutsideText::Skip).unwrap();
    let of = |label: &str| blocks.iter().find(|block| block.label == label).unwrap().der.clone();
    let (key, certificate) = (of("PRIVATE KEY"), of(pem::CERTIFICATE));
    let pkcs12 = pkcs12::write(&certificate, &key, &[], "correct horse", "foreign", false).unwrap();
    Foreign { pem: pem::encode(pem::CERTIFICATE, &certificate), pkcs12: STANDARD.encode(pkcs12) }
}

async fn things(world: &World, pki: Pki, count: u32) -> Things {
    let admin = world.admin();
    let ca = world.root_ca(&format!("free-{count}"), KeyAlgorithm::EcP256).await;
    let of_ca = admin.ok(Method::GET, &format!("/api/v1/cert-manager/ca/internal/{ca}/ca-certificates"), None).await;
    let sub_ca = world.issuing_ca(&format!("below-{count}"), KeyAlgorithm::EcP256, pki.root).await;
    let of_sub = format!("/api/v1/cert-manager/ca/internal/{sub_ca}/ca-certificates");
    let of_sub = admin.ok(Method::GET, &of_sub, None).await;
    let pending = json!({"name": format!("pending-{count}"), "configuration": {
        "type": "intermediate", "commonName": "Pending", "keyAlgorithm": "EC_prime256v1"}});
    let template = world.template(&json!({})).await;
    let profile_slug = format!("free-{count}");
    let profile = json!({"slug": profile_slug, "caId": pki.issuing, "certificatePolicyId": template});
    let issued = world.issue(pki.profile, &json!({})).await;
    let made = async |name: &str| {
        let body = json!({"name": format!("{name}-{count}"), "role": "operator"});
        text(&admin.ok(Method::POST, "/api/v1/identities", Some(&body)).await, "/identity/id")
    };
    let identity = made("identity").await;
    let login = format!("/api/v1/auth/universal-auth/identities/{identity}");
    let attached = admin.ok(Method::POST, &login, Some(&json!({}))).await;
    let secret = admin.ok(Method::POST, &format!("{login}/client-secrets"), Some(&json!({}))).await;
    let projects = admin.ok(Method::GET, "/api/v1/projects", None).await;
    let project = json!({"projectName": format!("new-{count}")});
    let application_name = format!("application-{count}");
    let applied_profile = world.profile(&json!({"caId": pki.issuing, "certificatePolicyId": pki.template})).await;
    let (application, administrator) =
        application(world, &application_name, [applied_profile, pki.profile], &identity).await;
    Things {
        pki,
        alerts: alerts(admin, &application, count).await,
        saved_view: String::new(),
        application,
        application_name,
        applied_profile,
        administrator,
        person: text(&admin.ok(Method::POST, "/api/v1/users", Some(&person(count))).await, "/user/id"),
        project: text(&projects, "/projects/0/id"),
        project_slug: text(&projects, "/projects/0/slug"),
        new_project: text(&admin.ok(Method::POST, "/api/v2/workspace", Some(&project)).await, "/project/id"),
        ca,
        ca_certificate: text(&of_ca, "/0/certId"),
        sub_ca,
        sub_ca_certificate: text(&of_sub, "/0/certId"),
        pending_ca: world.ca(&pending).await,
        template: world.template(&json!({})).await,
        profile: world.profile(&profile).await,
        profile_slug,
        certificate: text(&issued, "/certificate/certificateId"),
        serial_number: text(&issued, "/certificate/serialNumber"),
        foreign: foreign(&format!("foreign-{count}")),
        request: text(&issued, "/certificateRequestId"),
        bare_identity: made("bare").await,
        identity,
        secret: text(&secret, "/clientSecretData/id"),
        client_id: text(&attached, "/identityUniversalAuth/clientId"),
        client_secret: text(&secret, "/clientSecret"),
        csr: certification_request("www.acme.test", &[], KeyAlgorithm::EcP256).0,
        not_after: world.date_in_days(300),
        elsewhere: None,
        count,
    }
}

/// An application with a profile that it enrols by and another, and two members: the administrator, whose id is given back, and an
/// identity.
async fn application(world: &World, name: &str, [profile, other]: [Uuid; 2], identity: &str) -> (String, String) {
    let admin = world.admin();
    let base = "/api/v1/cert-manager/applications";
    let made = admin.ok(Method::POST, base, Some(&json!({"name": name, "profileIds": [profile, other]}))).await;
    let id = text(&made, "/application/id");
    let enrollment = format!("{base}/{id}/profiles/{profile}/enrollment/api");
    admin.ok(Method::PUT, &enrollment, Some(&json!({"autoRenew": false}))).await;
    let people = json!({"emails": ["admin@world.test"], "role": "operator"});
    let people = admin.ok(Method::POST, &format!("{base}/{id}/users"), Some(&people)).await;
    let member = format!("{base}/{id}/identities/{identity}");
    admin.ok(Method::POST, &member, Some(&json!({"role": "operator"}))).await;
    (id, text(&people, "/memberships/0/actorUserId"))
}

async fn saved_view(admin: &Session) -> String {
    let view = json!({"name": "free", "query": "search=acme", "shared": true});
    text(&admin.ok(Method::POST, "/api/v1/cert-manager/saved-views", Some(&view)).await, "/savedView/id")
}

fn person(count: u32) -> Value {
    json!({"email": format!("person-{count}@acme.test"), "role": "operator"})
}

fn alert_body(name: &str) -> Value {
    json!({"name": name, "eventType": "revocation",
        "channels": [{"channelType": "email", "config": {"recipients": ["ops@acme.test"]}}]})
}

async fn alerts(admin: &Session, application: &str, count: u32) -> [String; 2] {
    let body = alert_body(&format!("free-{count}"));
    let mut made = Vec::new();
    for base in ["".to_owned(), format!("/applications/{application}")] {
        let path = format!("/api/v1/cert-manager{base}/alerts");
        made.push(text(&admin.ok(Method::POST, &path, Some(&body)).await, "/alert/id"));
    }
    made.try_into().unwrap()
}

impl Things {
    /// What stands for a path's parameter on this route.
    fn parameter(&self, route: &str, parameter: &str) -> String {
        if let Some(found) = self.elsewhere.as_ref().and_then(|it| it.parameter(route, parameter)) {
            return found;
        }
        match parameter {
            "type" => "venafi-tpp".to_owned(),
            "app" => "hashicorp-vault".to_owned(),
            "caId" if route.ends_with("/certificate") && route.starts_with("POST") => self.pending_ca.to_string(),
            "caId" if route.ends_with("/import-certificate") || route.ends_with("/csr") => self.pending_ca.to_string(),
            "caId" if route.ends_with("/signing-config") => self.pending_ca.to_string(),
            "caId" if route.contains("{caCertId}") && route.starts_with("POST") => self.sub_ca.to_string(),
            "caId" => self.ca.to_string(),
            "caCertId" if route.starts_with("POST") => self.sub_ca_certificate.clone(),
            "certId" | "caCertId" => self.ca_certificate.clone(),
            "identityId" if route == "POST /api/v1/auth/universal-auth/identities/{identityId}" => {
                self.bare_identity.clone()
            }
            "identityId" if route.starts_with("POST /api/v1/cert-manager/applications") => self.bare_identity.clone(),
            "identityId" => self.identity.clone(),
            "applicationId" => self.application.clone(),
            "viewId" => self.saved_view.clone(),
            "alertId" => self.alerts[usize::from(route.contains("/applications/"))].clone(),
            "name" => self.application_name.clone(),
            "profileId" => self.applied_profile.to_string(),
            "userId" if route.contains("/applications/") => self.administrator.clone(),
            "userId" => self.person.clone(),
            "groupId" => Uuid::nil().to_string(),
            "clientSecretId" => self.secret.clone(),
            "requestId" => self.request.clone(),
            "serialNumber" => self.serial_number.clone(),
            "projectId" if route.ends_with("/administrators") => self.new_project.clone(),
            "projectId" => self.project.clone(),
            "slug" if route.contains("certificate-profiles") => self.profile_slug.clone(),
            "slug" => self.project_slug.clone(),
            "id" if route.contains("certificate-policies") => self.template.to_string(),
            "id" if route.contains("certificate-profiles") => self.profile.to_string(),
            "id" if route.contains("/identities") => self.identity.clone(),
            "id" => self.certificate.clone(),
            other => panic!("{route}: nothing known for {other}"),
        }
    }

    fn path(&self, route: &RouteInfo) -> String {
        let name = name(route);
        filled(route.path, |parameter| self.parameter(&name, parameter))
    }

    /// A body for what is about certification authorities and revocation.
    fn body_about_authority(&self, route: &str) -> Option<Value> {
        let count = self.count;
        Some(match route {
            "POST /ca/internal" => json!({"name": format!("made-{count}"), "status": "active", "configuration": {
                "type": "root", "commonName": "Made", "keyAlgorithm": "EC_prime256v1", "notAfter": self.not_after}}),
            "PATCH /ca/internal/{caId}" => json!({"name": format!("renamed-{count}")}),
            "PATCH /ca/internal/{caId}/auto-renewal" => json!({"autoRenewalEnabled": true}),
            "POST /ca/internal/{caId}/renew" => json!({"type": "existing"}),
            "POST /ca/internal/{caId}/certificates/{caCertId}/revoke"
            | "POST /certificates/{id}/revoke"
            | "POST /api/v1/pki/certificates/{serialNumber}/revoke" => json!({"revocationReason": "CERTIFICATE_HOLD"}),
            "POST /certificates/bulk-revoke" => {
                json!({"search": {"search": self.serial_number}, "revocationReason": "SUPERSEDED"})
            }
            "POST /certificates/bulk-renew" => json!({"search": {"search": self.serial_number}}),
            "POST /saved-views" => json!({"name": format!("made-{count}"), "query": "search=acme"}),
            "POST /ca/internal/{caId}/signing-config" | "PATCH /ca/internal/{caId}/signing-config" => {
                json!({"type": "internal", "parentCaId": self.pki.root})
            }
            "POST /ca/internal/{caId}/certificate" => {
                json!({"notAfter": self.not_after, "maxPathLength": 0, "parentCaId": self.pki.root})
            }
            "POST /ca/internal/{caId}/sign-intermediate" => {
                json!({"csr": self.csr, "notAfter": self.not_after, "maxPathLength": 0})
            }
            _ => return None,
        })
    }

    /// A body with which the route does what it is for.
    fn body(&self, route: &RouteInfo) -> Value {
        let flat = json!({"profileId": self.pki.profile, "commonName": "www.acme.test", "ttl": "1d"});
        let signed = json!({"profileId": self.pki.profile, "csr": self.csr, "ttl": "1d"});
        let (count, name) = (self.count, name(route));
        let short = name.replace("/api/v1/cert-manager", "");
        let about_others = self.elsewhere.as_ref().and_then(|it| it.body_for(&short, count));
        if let Some(body) = self.body_about_authority(&short).or(about_others) {
            return body;
        }
        match short.as_str() {
            "POST /certificate-policies" => json!({"name": format!("made-{count}"), "preset": "device"}),
            "PATCH /certificate-policies/{id}" | "PATCH /certificate-profiles/{id}" => {
                json!({"description": "changed"})
            }
            "POST /alerts" | "POST /applications/{applicationId}/alerts" => alert_body(&format!("made-{count}")),
            "PATCH /alerts/{alertId}" | "PATCH /applications/{applicationId}/alerts/{alertId}" => {
                json!({"description": "changed"})
            }
            "POST /alerts/preview/certificates" => json!({"alertBefore": "30d"}),
            "POST /alerts/test-webhook" => json!({"url": "https://127.0.0.1/hook"}),
            "POST /certificate-profiles" => json!({"slug": format!("made-{count}"), "enrollmentType": "api",
                "caId": self.pki.issuing, "certificatePolicyId": self.pki.template}),
            "POST /applications" => json!({"name": format!("made-{count}")}),
            "PATCH /applications/{applicationId}" => json!({"description": "changed"}),
            "POST /applications/{applicationId}/profiles" => json!({"profileIds": [self.profile]}),
            "PUT /applications/{applicationId}/profiles/{profileId}/enrollment/api" => {
                json!({"autoRenew": true, "renewBeforeDays": 7})
            }
            "POST /applications/{applicationId}/users" => json!({"emails": ["admin@world.test"], "role": "admin"}),
            "PATCH /applications/{applicationId}/users/{userId}"
            | "PATCH /applications/{applicationId}/identities/{identityId}"
            | "POST /applications/{applicationId}/identities/{identityId}" => json!({"role": "auditor"}),
            "POST /access/identities/{identityId}"
            | "PATCH /access/identities/{identityId}"
            | "PATCH /access/users/{userId}" => json!({"roles": [{"role": "auditor"}]}),
            "POST /api/v1/users" => json!({"email": format!("made-{count}@acme.test"), "role": "auditor"}),
            "PATCH /api/v1/users/{userId}" => json!({"role": "auditor"}),
            "POST /certificates/{id}/application" => json!({"applicationId": self.application}),
            "POST /certificates" | "POST /certificates/evaluate" => {
                json!({"profileId": self.pki.profile, "attributes": {"commonName": "www.acme.test"}})
            }
            "POST /certificates/issue-certificate"
            | "POST /certificates/order-certificate"
            | "POST /api/v1/pki/certificates/issue-certificate" => flat,
            "POST /certificates/sign-certificate" | "POST /api/v1/pki/certificates/sign-certificate" => signed,
            "PATCH /certificates/{id}" => json!({"metadata": [{"key": "team", "value": "blue"}]}),
            "POST /certificates/import-certificate" => json!({"certificatePem": self.foreign.pem}),
            "POST /certificates/import-pkcs12" | "POST /certificates/pkcs12/extract" => {
                json!({"pkcs12": self.foreign.pkcs12, "password": "correct horse"})
            }
            // A change every time, or there would be nothing to audit.
            "PATCH /settings/clean-up" => json!({"enabled": true, "expiredForDays": count + 1}),
            "PATCH /certificates/{id}/config" => json!({"renewBeforeDays": 5}),
            "POST /certificates/{id}/pkcs12" => json!({"password": "correct horse", "alias": "www"}),
            "POST /api/v1/auth/login" => {
                json!({"email": "admin@world.test", "password": "correct horse battery staple"})
            }
            "POST /api/v1/auth/universal-auth/login" => {
                json!({"clientId": self.client_id, "clientSecret": self.client_secret})
            }
            "POST /api/v1/identities" => json!({"name": format!("made-{count}"), "role": "auditor"}),
            "PATCH /api/v1/identities/{id}" => json!({"name": format!("renamed-{count}")}),
            "PATCH /api/v1/auth/universal-auth/identities/{identityId}" => json!({"accessTokenTTL": 60}),
            "PATCH /api/v1/projects/{projectId}" => json!({"description": format!("changed {count}")}),
            "POST /api/v1/projects/{projectId}/administrators" => json!({"name": "first"}),
            "POST /api/v2/workspace" => json!({"projectName": format!("made-{count}")}),
            _ => json!({}),
        }
    }

    /// Bodies that need something of their own made first.
    async fn prepared(&self, world: &World, route: &RouteInfo) -> Value {
        match name(route).as_str() {
            "POST /api/v1/auth/token/renew" | "POST /api/v1/auth/token/revoke" => {
                let passing = world.identity("passing", "operator").await;
                json!({"accessToken": passing.token().unwrap()})
            }
            "POST /api/v1/cert-manager/applications/{applicationId}/users" => {
                let member =
                    format!("/api/v1/cert-manager/applications/{}/users/{}", self.application, self.administrator);
                world.admin().ok(Method::DELETE, &member, None).await;
                self.body(route)
            }
            "POST /api/v1/cert-manager/certificates/{id}/release" => {
                let path = format!("/api/v1/cert-manager/certificates/{}/revoke", self.certificate);
                let hold = json!({"revocationReason": "CERTIFICATE_HOLD"});
                world.admin().ok(Method::POST, &path, Some(&hold)).await;
                json!({})
            }
            "POST /api/v1/cert-manager/certificates/bulk-revoke"
            | "POST /api/v1/cert-manager/certificates/bulk-renew" => {
                let mut body = self.body(route);
                let preview = world.admin().ok(Method::POST, route.path, Some(&body)).await;
                body["confirm"] = preview["confirm"].clone();
                body
            }
            "POST /api/v1/cert-manager/ca/internal/import" => {
                let elsewhere = OpensslCa::root(&format!("/CN=Elsewhere {}", self.count));
                json!({"name": format!("imported-{}", self.count), "certificate": elsewhere.certificate(),
                    "privateKey": elsewhere.key(), "lastCrlNumber": 1})
            }
            "PATCH /api/v1/cert-manager/ca/internal/{caId}/signing-config" => {
                let path = format!("/api/v1/cert-manager/ca/internal/{}/signing-config", self.pending_ca);
                world.admin().ok(Method::POST, &path, Some(&self.body(route))).await;
                self.body(route)
            }
            "POST /api/v1/cert-manager/ca/internal/{caId}/certificates/{caCertId}/release" => {
                let path = format!(
                    "/api/v1/cert-manager/ca/internal/{}/certificates/{}/revoke",
                    self.sub_ca, self.sub_ca_certificate
                );
                let hold = json!({"revocationReason": "CERTIFICATE_HOLD"});
                world.admin().ok(Method::POST, &path, Some(&hold)).await;
                json!({})
            }
            "POST /api/v1/cert-manager/ca/internal/{caId}/import-certificate" => {
                let base = "/api/v1/cert-manager/ca/internal";
                let pending = self.pending_ca;
                let csr = world.admin().ok(Method::GET, &format!("{base}/{pending}/csr"), None).await;
                let body = json!({"csr": csr["csr"], "notAfter": self.not_after, "maxPathLength": 0});
                let signing = format!("{base}/{}/sign-intermediate", self.pki.root);
                let signed = world.admin().ok(Method::POST, &signing, Some(&body)).await;
                json!({"certificate": signed["certificate"], "certificateChain": signed["certificateChain"],
                    "parentCaId": self.pki.root})
            }
            _ => self.body(route),
        }
    }
}

/// The newest entry's place in the audit log.
async fn newest_entry(world: &World) -> i64 {
    let log = world.auditor().ok(Method::GET, "/api/v1/audit-logs?limit=1", None).await;
    log["auditLogs"][0]["sequence"].as_i64().unwrap()
}

#[tokio::test]
async fn every_route_that_changes_something_leaves_an_audit_entry() {
    let outside = Outside::start();
    let world = outside.world().await;
    let pki = world.pki().await;
    let mut excepted = exceptions("audit");
    for (route, count) in routes().iter().filter(|it| it.mutates).zip(0..) {
        let mut things = things(&world, pki, count).await;
        if route.path.contains("{viewId}") {
            things.saved_view = saved_view(world.admin()).await;
        }
        if elsewhere::concerns(route.path) {
            things.elsewhere = Some(Elsewhere::make(&world, &outside, pki.template, Some(route.path), count).await);
        }
        let body = things.prepared(&world, route).await;
        let passing = world.identity("passing", "admin").await;
        let caller = match route.path {
            "/api/v1/auth/logout" => &passing,
            _ if route.access == Access::Public => world.anonymous(),
            _ => world.admin(),
        };
        let before = newest_entry(&world).await;
        let (status, answer) = call(caller, route, &things.path(route), &body).await;
        let audited = newest_entry(&world).await > before;
        if excepted.remove(&exact_name(route)) {
            assert!(status != 200 || !audited, "{} is covered now: take it out of the list", exact_name(route));
            continue;
        }
        assert_eq!(status, 200, "{} {body}: {answer:#}", exact_name(route));
        assert!(audited, "{} left no audit entry", exact_name(route));
    }
    assert!(excepted.is_empty(), "never met: {excepted:?}");
    world.stop().await;
}

/// An answer without what differs between any two calls: its own id, and the ids that were asked for.
fn masked(answer: &Value, asked: &[String]) -> String {
    let mut answer = answer.clone();
    if let Some(fields) = answer.as_object_mut() {
        fields.remove("reqId");
    }
    asked.iter().fold(answer.to_string(), |text, id| text.replace(id, "ID"))
}

#[tokio::test]
async fn what_belongs_to_another_project_does_not_exist() {
    let outside = Outside::start();
    let world = outside.world().await;
    let pki = world.pki().await;
    let stranger = world.other_project_admin().await;
    let mut excepted = exceptions("other-project");
    let mut things = things(&world, pki, 0).await;
    things.saved_view = saved_view(world.admin()).await;
    things.elsewhere = Some(Elsewhere::make(&world, &outside, pki.template, None, 0).await);
    let before = newest_entry(&world).await;
    let mut seen = 0;
    for route in routes().iter().filter(|it| it.path.contains('{') && it.access != Access::Public) {
        let name = name(route);
        let body = match name.as_str() {
            "POST /api/v1/cert-manager/ca/internal/{caId}/import-certificate" => {
                let own = format!("/api/v1/cert-manager/ca/internal/{}/certificate", pki.root);
                json!({"certificate": world.admin().ok(Method::GET, &own, None).await["certificate"]})
            }
            // Whoever names an app makes something of their own, which is not what is asked here.
            "POST /api/v1/app-connections/{app}" => json!({}),
            _ => things.body(route),
        };
        let asked = |real: bool| {
            let values = std::cell::RefCell::new(Vec::new());
            let path = filled(route.path, |parameter| {
                let value = match (real, parameter) {
                    (_, "type") => "venafi-tpp".to_owned(),
                    (_, "app") => "hashicorp-vault".to_owned(),
                    (true, _) => things.parameter(&name, parameter),
                    (false, "slug") => "no-such-slug".to_owned(),
                    (false, _) => "019bc186-de00-7a7c-88a8-9c17db622644".to_owned(),
                };
                values.borrow_mut().push(value.clone());
                value
            });
            (path, values.into_inner())
        };
        let ((real, real_ids), (random, random_ids)) = (asked(true), asked(false));
        let (status, answer) = call(&stranger, route, &real, &body).await;
        let (random_status, random_answer) = call(&stranger, route, &random, &body).await;
        let same = masked(&answer, &real_ids) == masked(&random_answer, &random_ids);
        assert!(status == random_status && same, "{name}: {status} {answer:#}\n{random_status} {random_answer:#}");
        if excepted.remove(&exact_name(route)) {
            assert_ne!(status, 404, "{} is covered now: take it out of the list", exact_name(route));
            continue;
        }
        assert_eq!((status, &answer["error"]), (404, &json!("NotFound")), "{name}: {answer:#}");
        seen += 1;
    }
    assert!(excepted.is_empty(), "never met: {excepted:?}");
    assert!(seen > 40, "only {seen} routes");
    // Nothing of the first project was touched: its log has no entry of the stranger's.
    assert_eq!(newest_of(&world, before).await, 0);
    world.stop().await;
}

/// Entries of the first project's log after this place.
async fn newest_of(world: &World, after: i64) -> usize {
    let log = world.auditor().ok(Method::GET, "/api/v1/audit-logs?limit=500", None).await;
    let entries = log["auditLogs"].as_array().unwrap().iter();
    entries.filter(|it| it["sequence"].as_i64().unwrap() > after).count()
}

/// A body that names an id.
type Naming<'a> = Box<dyn Fn(&str) -> Value + 'a>;

#[tokio::test]
async fn a_body_cannot_name_what_belongs_to_another_project() {
    let world = World::start().await;
    let pki = world.pki().await;
    let stranger = world.other_project_admin().await;
    let own_template = json!({"name": "own", "preset": "tls-server"});
    let policies = "/api/v1/cert-manager/certificate-policies";
    let own_template = id_at(&stranger.ok(Method::POST, policies, Some(&own_template)).await, "/certificatePolicy/id");
    let certificates = "/api/v1/cert-manager/certificates";
    let profiles = "/api/v1/cert-manager/certificate-profiles";
    let random = Uuid::from_u128(0x019b_c186_de00_7a7c_88a8_9c17_db62_2644);
    let project = project_of(world.admin()).await;
    let attributes = json!({"commonName": "www.acme.test", "ttl": "1d"});
    let cases: Vec<(String, Naming<'_>, String)> = vec![
        (
            certificates.to_owned(),
            Box::new(|id| json!({"profileId": id, "attributes": attributes})),
            pki.profile.to_string(),
        ),
        (
            format!("{certificates}/evaluate"),
            Box::new(|id| json!({"profileId": id, "attributes": attributes})),
            pki.profile.to_string(),
        ),
        (
            format!("{certificates}/issue-certificate"),
            Box::new(|id| json!({"caId": id, "commonName": "a", "ttl": "1d"})),
            pki.issuing.to_string(),
        ),
        (
            profiles.to_owned(),
            Box::new(
                |id| json!({"slug": "theirs", "caId": id, "certificatePolicyId": own_template, "enrollmentType": "api"}),
            ),
            pki.issuing.to_string(),
        ),
        (
            profiles.to_owned(),
            Box::new(
                |id| json!({"slug": "theirs", "issuerType": "self-signed", "certificatePolicyId": id, "enrollmentType": "api"}),
            ),
            pki.template.to_string(),
        ),
        (policies.to_owned(), Box::new(|id| json!({"name": "theirs", "projectId": id})), project),
    ];
    for (path, body, real) in &cases {
        let (status, answer) = stranger.post(path, &body(real)).await;
        let (random_status, random_answer) = stranger.post(path, &body(&random.to_string())).await;
        assert_eq!(status, 404, "{path}: {answer:#}");
        let same = masked(&answer, std::slice::from_ref(real)) == masked(&random_answer, &[random.to_string()]);
        assert!(random_status == 404 && same, "{path}: {answer:#} {random_answer:#}");
    }
    // Lists show one's own only.
    for path in [profiles, "/api/v1/cert-manager/ca", "/api/v1/identities?limit=100"] {
        let shown = stranger.ok(Method::GET, path, None).await.to_string();
        for id in [pki.profile, pki.root, pki.issuing, pki.template] {
            assert!(!shown.contains(&id.to_string()), "{path} shows {id}");
        }
    }
    world.stop().await;
}
