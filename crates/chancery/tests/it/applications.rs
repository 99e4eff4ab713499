//! Applications: what Terraform, the Kubernetes issuer and the agent do with them, and who may do what in them.
//!
//! ```text
//! root ── issuing ── profile ──┬── application "billing"  members: admin, operator, auditor
//!                              └── application "shop"     (where a story says so)
//! ```
//!
//! Verified: the exact calls of the clients; which application a request is for; that a member's role adds to its role in
//! the project in that application and nowhere else, and ends with the membership; that an application's settings go
//! before the profile's; the numbers; what stays of a certificate whose application is gone.

use chancery_pkix::KeyAlgorithm;
use chancery_testkit::world::{CERT_MANAGER, Pki, Session, World, certification_request, id_at, text};
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

fn applications(rest: &str) -> String {
    format!("{CERT_MANAGER}/applications{rest}")
}

fn certificates(rest: &str) -> String {
    format!("{CERT_MANAGER}/certificates{rest}")
}

async fn put(session: &Session, path: &str, body: &Value) -> (u16, Value) {
    session.send(Method::PUT, path, Some(body)).await
}

/// An application with API enrolment on for these profiles.
async fn application(world: &World, name: &str, profiles: &[Uuid]) -> Uuid {
    let body = json!({"name": name, "profileIds": profiles});
    let made = world.admin().ok(Method::POST, &applications(""), Some(&body)).await;
    let id = id_at(&made, "/application/id");
    for profile in profiles {
        enrol(world, id, *profile, &json!({"autoRenew": false})).await;
    }
    id
}

async fn enrol(world: &World, application: Uuid, profile: Uuid, settings: &Value) {
    let path = applications(&format!("/{application}/profiles/{profile}/enrollment/api"));
    world.admin().ok(Method::PUT, &path, Some(settings)).await;
}

/// A profile that says nothing of enrolment, so that applications decide once it is attached.
async fn silent_profile(world: &World, pki: &Pki) -> Uuid {
    let changes = json!({"caId": pki.issuing, "certificatePolicyId": pki.template, "enrollmentType": null});
    world.profile(&changes).await
}

async fn identity_of(session: &Session) -> Uuid {
    id_at(&session.ok(Method::GET, "/api/v1/identities/details", None).await, "/identityDetails/id")
}

/// A machine identity with this role in the project, and a membership.
async fn member(world: &World, application: Uuid, project_role: &str, role: &str) -> Session {
    let session = world.identity(role, project_role).await;
    let path = applications(&format!("/{application}/identities/{}", identity_of(&session).await));
    world.admin().ok(Method::POST, &path, Some(&json!({"role": role}))).await;
    session
}

fn body(profile: Uuid, application: Option<Uuid>) -> Value {
    let mut body = json!({"profileId": profile, "attributes": {"commonName": "www.acme.test"}});
    if let Some(application) = application {
        body["applicationId"] = json!(application);
    }
    body
}

async fn issue(session: &Session, profile: Uuid, application: Option<Uuid>) -> String {
    let issued = session.ok(Method::POST, &certificates(""), Some(&body(profile, application))).await;
    text(&issued, "/certificate/certificateId")
}

async fn shown(world: &World, id: &str) -> Value {
    world.auditor().ok(Method::GET, &certificates(&format!("/{id}")), None).await["certificate"].clone()
}

async fn events(world: &World, event: &str) -> usize {
    let path = format!("/api/v1/audit-logs?event={event}&limit=500");
    world.auditor().ok(Method::GET, &path, None).await["auditLogs"].as_array().unwrap().len()
}

/// API enrolment of an attached profile; the methods that do not exist are refused by name.
async fn enrollment_is_switched_on_changed_and_off(admin: &Session, id: &str, profile: Uuid, profiles: &str) {
    let enrollment = format!("{profiles}/{profile}/enrollment");
    let off = admin.ok(Method::GET, &enrollment, None).await;
    for method in ["api", "est", "acme", "scep"] {
        assert!(off.as_object().unwrap().contains_key(method) && off[method].is_null(), "{method}");
    }
    assert_eq!((&off["caType"], &off["raCaSigningSupported"]), (&json!("internal"), &json!(false)));
    let (status, answer) = put(admin, &format!("{enrollment}/api"), &json!({"autoRenew": true})).await;
    assert_eq!((status, &answer["code"]), (400, &json!("application.renew_before_days")), "{answer:#}");
    assert_eq!(
        put(admin, &format!("{enrollment}/api"), &json!({"autoRenew": true, "renewBeforeDays": 31})).await.0,
        422
    );
    let on = json!({"autoRenew": true, "renewBeforeDays": 7});
    let on = admin.ok(Method::PUT, &format!("{enrollment}/api"), Some(&on)).await;
    assert_eq!((&on["api"]["autoRenew"], &on["api"]["renewBeforeDays"]), (&json!(true), &json!(7)));
    let again = admin.ok(Method::PUT, &format!("{enrollment}/api"), Some(&json!({"autoRenew": false}))).await;
    assert_eq!((&again["api"]["id"], &again["api"]["renewBeforeDays"]), (&on["api"]["id"], &Value::Null));
    assert_eq!(admin.ok(Method::GET, &enrollment, None).await["api"], again["api"]);
    assert_eq!(admin.ok(Method::GET, profiles, None).await["profiles"][0]["apiConfigId"], again["api"]["id"]);
    for method in ["est", "acme", "scep"] {
        let path = format!("{enrollment}/{method}");
        let (status, answer) = put(admin, &path, &json!({"passphrase": "long enough"})).await;
        assert_eq!((status, &answer["code"]), (400, &json!("application.enrollment_method")), "{answer:#}");
        assert!(answer["message"].as_str().unwrap().contains("\"api\""), "{answer:#}");
        admin.ok(Method::DELETE, &path, None).await;
    }
    assert_eq!(admin.post(&format!("{enrollment}/acme/eab/reveal"), &json!({})).await.0, 404);
    for _ in 0..2 {
        let stopped = admin.ok(Method::DELETE, &format!("{enrollment}/api"), None).await;
        assert_eq!(stopped, json!({"applicationId": id, "profileId": profile}));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn terraform_makes_changes_and_removes_an_application() {
    let world = World::start().await;
    let pki = world.pki().await;
    let admin = world.admin();
    let made = json!({"name": "billing", "description": "Invoices"});
    let made = admin.ok(Method::POST, &applications(""), Some(&made)).await;
    let id = text(&made, "/application/id");
    let one = applications(&format!("/{id}"));
    assert_eq!(
        (&made["application"]["name"], &made["application"]["description"]),
        (&json!("billing"), &json!("Invoices"))
    );
    for key in ["projectId", "createdAt", "updatedAt"] {
        assert!(made["application"][key].is_string(), "{key}");
    }
    assert_eq!(admin.ok(Method::GET, &one, None).await, made);
    let (status, answer) = admin.post(&applications(""), &json!({"name": "billing"})).await;
    assert_eq!((status, &answer["code"]), (400, &json!("application.name_taken")), "{answer:#}");
    let renamed = admin.ok(Method::PATCH, &one, Some(&json!({"name": "invoices", "description": null}))).await;
    assert_eq!(renamed["application"]["description"], Value::Null);
    assert_eq!(admin.patch(&one, &json!({})).await.0, 422);
    assert_eq!(admin.patch(&one, &json!({"name": "Not A Slug"})).await.0, 422);

    let profiles = format!("{one}/profiles");
    let attached = admin.ok(Method::POST, &profiles, Some(&json!({"profileIds": [pki.profile]}))).await;
    let row = &attached["profiles"][0];
    assert_eq!((&row["applicationId"], &row["profileId"]), (&json!(id), &json!(pki.profile)));
    assert!(row["profileSlug"].is_string() && row["apiConfigId"].is_null() && row["acmeConfigId"].is_null());
    assert_eq!(admin.ok(Method::POST, &profiles, Some(&json!({"profileIds": [pki.profile]}))).await, attached);
    assert_eq!(admin.post(&profiles, &json!({"profileIds": [Uuid::nil()]})).await.0, 404);

    let enrollment = format!("{profiles}/{}/enrollment", pki.profile);
    enrollment_is_switched_on_changed_and_off(admin, &id, pki.profile, &profiles).await;
    let detached = admin.ok(Method::DELETE, &format!("{profiles}/{}", pki.profile), None).await;
    assert_eq!(detached, json!({"applicationId": id, "profileId": pki.profile}));
    for (status, _) in [
        admin.get(&enrollment).await,
        admin.delete(&format!("{profiles}/{}", pki.profile)).await,
        put(admin, &format!("{enrollment}/api"), &json!({"autoRenew": false})).await,
        put(admin, &format!("{enrollment}/est"), &json!({})).await,
    ] {
        assert_eq!(status, 404, "the profile must be attached first");
    }
    admin.ok(Method::DELETE, &one, None).await;
    assert_eq!(admin.get(&one).await.0, 404);
    assert_eq!(admin.delete(&one).await.0, 404);
    for (event, times) in [
        ("application.created", 1),
        ("application.updated", 1),
        ("application.profiles-changed", 2),
        ("application.enrollment-configured", 3),
        ("application.deleted", 1),
    ] {
        assert_eq!(events(&world, event).await, times, "{event}");
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn terraform_keeps_the_members_of_an_application() {
    let world = World::start().await;
    let admin = world.admin();
    let one = applications(&format!("/{}", application(&world, "billing", &[]).await));
    let users = format!("{one}/users");
    let add = json!({"emails": ["admin@world.test", "nobody@world.test"], "role": "operator"});
    let added = admin.ok(Method::POST, &users, Some(&add)).await;
    assert_eq!((&added["unresolved"], &added["skipped"]), (&json!(["nobody@world.test"]), &json!([])));
    let person = &added["memberships"][0];
    assert_eq!((&person["role"], &person["details"]["email"]), (&json!("operator"), &json!("admin@world.test")));
    let user = text(person, "/actorUserId");
    assert!(person.get("actorIdentityId").is_none());
    let again = admin.ok(Method::POST, &users, Some(&json!({"emails": ["ADMIN@world.test"], "role": "admin"}))).await;
    assert_eq!((&again["skipped"], &again["memberships"]), (&json!(["ADMIN@world.test"]), &json!([])));
    let changed = admin.ok(Method::PATCH, &format!("{users}/{user}"), Some(&json!({"role": "admin"}))).await;
    assert_eq!(changed["membership"]["role"], "admin");
    assert_eq!(changed["membership"]["membershipId"], person["membershipId"]);
    assert_eq!(admin.ok(Method::GET, &users, None).await["memberships"], json!([changed["membership"]]));

    let identity = identity_of(world.operator()).await;
    let identities = format!("{one}/identities");
    let added = admin.ok(Method::POST, &format!("{identities}/{identity}"), Some(&json!({"role": "auditor"}))).await;
    assert_eq!(added["membership"]["actorIdentityId"], json!(identity));
    let (status, answer) = admin.post(&format!("{identities}/{identity}"), &json!({"role": "admin"})).await;
    assert_eq!((status, &answer["code"]), (400, &json!("application.member_exists")), "{answer:#}");
    assert_eq!(admin.post(&format!("{identities}/{}", Uuid::nil()), &json!({"role": "admin"})).await.0, 404);
    assert_eq!(admin.post(&format!("{identities}/{identity}"), &json!({"role": "owner"})).await.0, 422);
    let changed =
        admin.ok(Method::PATCH, &format!("{identities}/{identity}"), Some(&json!({"role": "operator"}))).await;
    assert_eq!(admin.ok(Method::GET, &identities, None).await["memberships"], json!([changed["membership"]]));
    let own = world.operator().ok(Method::GET, &format!("{one}/permissions"), None).await;
    assert_eq!(own["data"]["memberships"][0]["roles"], json!([{"role": "operator"}]));
    assert_eq!(own["data"]["memberships"][0]["actorIdentityId"], json!(identity));
    assert!(
        own["data"]["permissions"]
            .as_array()
            .unwrap()
            .contains(&json!({"action": "issue-cert", "subject": "certificate-profiles"}))
    );

    let removed = admin.ok(Method::DELETE, &format!("{identities}/{identity}"), None).await;
    assert_eq!(removed["membershipId"], added["membership"]["membershipId"]);
    admin.ok(Method::DELETE, &format!("{users}/{user}"), None).await;
    for path in [format!("{identities}/{identity}"), format!("{users}/{user}")] {
        assert_eq!(admin.delete(&path).await.0, 404);
        assert_eq!(admin.patch(&path, &json!({"role": "admin"})).await.0, 404);
    }
    for (method, path) in [
        (Method::GET, format!("{one}/groups")),
        (Method::POST, format!("{one}/groups/{identity}")),
        (Method::DELETE, format!("{one}/groups/{identity}")),
    ] {
        let (status, answer) = admin.send(method, &path, Some(&json!({"role": "admin"}))).await;
        assert_eq!((status, &answer["code"]), (404, &json!("groups.absent")));
    }
    assert_eq!(events(&world, "application.members-changed").await, 6);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn applications_are_found_by_name_and_listed_with_their_numbers() {
    let world = World::start().await;
    let pki = world.pki().await;
    let billing = application(&world, "billing", &[pki.profile]).await;
    world.clock.advance_seconds(1);
    let shop = application(&world, "shop", &[]).await;
    member(&world, billing, "auditor", "auditor").await;
    for _ in 0..3 {
        issue(world.operator(), pki.profile, Some(billing)).await;
    }
    let by_name = |name: &str| applications(&format!("/by-name/{name}"));
    let found = world.operator().ok(Method::GET, &by_name("shop"), None).await;
    assert_eq!(found["application"]["id"], json!(shop));
    for (name, status) in [("nowhere", 404), ("No%20Slug", 422), ("UPPER", 422), (&"a".repeat(65), 422)] {
        assert_eq!(world.operator().get(&by_name(name)).await.0, status, "{name}");
    }
    let all = world.auditor().ok(Method::GET, &applications(""), None).await;
    assert_eq!(all["total"], 2);
    let numbers = |row: &Value| ["profileCount", "memberCount", "certificateCount"].map(|it| row[it].as_u64().unwrap());
    let row = |list: &Value, id: Uuid| {
        list["applications"].as_array().unwrap().iter().find(|it| it["id"] == json!(id)).cloned()
    };
    assert_eq!(numbers(&row(&all, billing).unwrap()), [1, 1, 3]);
    assert_eq!(numbers(&row(&all, shop).unwrap()), [0, 0, 0]);
    for (query, expected) in [
        ("?search=BILL".to_owned(), vec![billing]),
        (format!("?applicationIds={shop}"), vec![shop]),
        (format!("?applicationIds={shop},{billing}&search=shop"), vec![shop]),
        (format!("?applicationIds={}", Uuid::nil()), vec![]),
        ("?limit=1&offset=1".to_owned(), vec![billing]),
    ] {
        let found = world.auditor().ok(Method::GET, &applications(&query), None).await;
        let ids: Vec<_> = found["applications"].as_array().unwrap().iter().map(|it| id_at(it, "/id")).collect();
        assert_eq!(ids, expected, "{query}");
    }
    assert_eq!(world.auditor().get(&applications("?applicationIds=one")).await.0, 422);
    let profiles = format!("{CERT_MANAGER}/certificate-profiles?applicationId=");
    let of_billing = world.auditor().ok(Method::GET, &format!("{profiles}{billing}"), None).await;
    assert_eq!(
        (&of_billing["totalCount"], &of_billing["certificateProfiles"][0]["id"]),
        (&json!(1), &json!(pki.profile))
    );
    assert_eq!(world.auditor().ok(Method::GET, &format!("{profiles}{shop}"), None).await["totalCount"], 0);

    let projects = world.auditor().ok(Method::GET, "/api/v1/projects", None).await;
    let search = format!("/api/v1/projects/{}/certificates/search", text(&projects, "/projects/0/id"));
    for (application, count) in [(billing, 3), (shop, 0)] {
        let found = world.auditor().ok(Method::POST, &search, Some(&json!({"applicationId": application}))).await;
        assert_eq!(found["totalCount"], count);
    }
    let search = certificates("/certificate-requests/search");
    let requests = world.auditor().ok(Method::POST, &search, Some(&json!({"applicationId": billing}))).await;
    assert_eq!(requests["totalCount"], 3);
    let requests = world.auditor().ok(Method::POST, &search, Some(&json!({"applicationId": shop}))).await;
    assert_eq!(requests["totalCount"], 0);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_kubernetes_issuer_signs_for_its_application() {
    let world = World::start().await;
    let pki = world.pki().await;
    let slug = "cluster";
    let changes =
        json!({"slug": slug, "caId": pki.issuing, "certificatePolicyId": pki.template, "enrollmentType": null});
    let profile = world.profile(&changes).await;
    let billing = application(&world, "billing", &[profile]).await;
    let issuer = member(&world, billing, "auditor", "operator").await;

    let found = issuer.ok(Method::GET, &applications("/by-name/billing"), None).await;
    let application_id = text(&found, "/application/id");
    let found = issuer.ok(Method::GET, &format!("{CERT_MANAGER}/certificate-profiles/slug/{slug}"), None).await;
    let profile_id = text(&found, "/certificateProfile/id");
    let (csr, _) = certification_request("www.acme.test", &["www.acme.test"], KeyAlgorithm::EcP256);
    let request =
        json!({"profileId": profile_id, "applicationId": application_id, "csr": csr, "attributes": {"ttl": "24h"}});
    let issued = issuer.ok(Method::POST, &certificates(""), Some(&request)).await;
    assert_eq!(issued["status"], "issued");
    let polled = certificates(&format!("/certificate-requests/{}", text(&issued, "/certificateRequestId")));
    let polled = issuer.ok(Method::GET, &polled, None).await;
    assert_eq!(polled["status"], "issued");
    let bundle = certificates(&format!("/{}/bundle", text(&polled, "/certificateId")));
    let bundle = issuer.ok(Method::GET, &bundle, None).await;
    assert!(text(&bundle, "/certificate").contains("BEGIN CERTIFICATE"));
    assert_eq!(text(&bundle, "/certificateChain").matches("BEGIN CERTIFICATE").count(), 2, "the root is last");
    let kept = shown(&world, &text(&polled, "/certificateId")).await;
    assert_eq!((&kept["applicationId"], &kept["applicationName"]), (&json!(billing), &json!("billing")));
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_agent_issues_and_renews_for_its_application() {
    let world = World::start().await;
    let pki = world.pki().await;
    let billing = application(&world, "billing", &[pki.profile]).await;
    let agent = member(&world, billing, "auditor", "operator").await;
    let found = agent.ok(Method::GET, &applications("/by-name/billing"), None).await;
    let profiles = applications(&format!("/{}/profiles", text(&found, "/application/id")));
    let profiles = agent.ok(Method::GET, &profiles, None).await;
    assert!(profiles["profiles"][0]["profileSlug"].is_string());
    let request = json!({
        "profileId": profiles["profiles"][0]["profileId"],
        "applicationId": found["application"]["id"],
        "attributes": {"commonName": "www.acme.test", "ttl": "30d", "removeRootsFromChain": true},
    });
    let issued = agent.ok(Method::POST, &certificates(""), Some(&request)).await;
    assert!(text(&issued, "/certificate/privateKey").contains("PRIVATE KEY"));
    let id = text(&issued, "/certificate/certificateId");
    let status = agent.ok(Method::GET, &certificates(&format!("/{id}")), None).await;
    assert_eq!(status["certificate"]["status"], "active");

    let renewed = certificates(&format!("/{id}/renew"));
    let renewed = agent.ok(Method::POST, &renewed, Some(&json!({"removeRootsFromChain": true}))).await;
    let polled = certificates(&format!("/certificate-requests/{}", text(&renewed, "/certificateRequestId")));
    let polled = agent.ok(Method::GET, &polled, None).await;
    assert_eq!((&polled["status"], &polled["certificateId"]), (&json!("issued"), &renewed["certificateId"]));
    assert!(text(&polled, "/privateKey").contains("PRIVATE KEY"), "the agent writes the renewed key from the request");
    let successor = shown(&world, &text(&renewed, "/certificateId")).await;
    assert_eq!(successor["applicationId"], json!(billing), "the application is carried along");
    world.stop().await;
}

/// One thing to do, on a fresh certificate of the application that somebody else requested.
type Action = (&'static str, Method, fn(&Scene, &str) -> String, fn(&Scene) -> Value);

struct Scene {
    application: Uuid,
    profile: Uuid,
    spare_profile: Uuid,
    stranger: Uuid,
}

fn actions() -> Vec<Action> {
    fn none(_: &Scene) -> Value {
        json!({})
    }
    vec![
        ("issue", Method::POST, |_, _| certificates(""), |it| body(it.profile, Some(it.application))),
        ("evaluate", Method::POST, |_, _| certificates("/evaluate"), |it| body(it.profile, Some(it.application))),
        ("read key", Method::GET, |_, id| certificates(&format!("/{id}/private-key")), none),
        ("label", Method::PATCH, |_, id| certificates(&format!("/{id}")), |_| json!({"metadata": []})),
        ("configure", Method::PATCH, |_, id| certificates(&format!("/{id}/config")), |_| json!({"renewBeforeDays": 5})),
        ("renew", Method::POST, |_, id| certificates(&format!("/{id}/renew")), none),
        (
            "revoke",
            Method::POST,
            |_, id| certificates(&format!("/{id}/revoke")),
            |_| json!({"revocationReason": "SUPERSEDED"}),
        ),
        (
            "describe",
            Method::PATCH,
            |it, _| applications(&format!("/{}", it.application)),
            |_| json!({"description": "changed"}),
        ),
        (
            "enrol",
            Method::PUT,
            |it, _| applications(&format!("/{}/profiles/{}/enrollment/api", it.application, it.profile)),
            |_| json!({"autoRenew": false}),
        ),
        (
            "change member",
            Method::PATCH,
            |it, _| applications(&format!("/{}/identities/{}", it.application, it.stranger)),
            |_| json!({"role": "auditor"}),
        ),
        (
            "attach",
            Method::POST,
            |it, _| applications(&format!("/{}/profiles", it.application)),
            |it| json!({"profileIds": [it.spare_profile]}),
        ),
    ]
}

/// What members may do with what others requested; "attach" is for administrators of the project alone.
const OF_OPERATORS: &[&str] = &["issue", "evaluate", "read key", "label", "configure", "renew", "revoke"];
const OF_ADMINS: &[&str] =
    &["issue", "evaluate", "read key", "label", "configure", "renew", "revoke", "describe", "enrol", "change member"];

async fn check_actions(world: &World, scene: &Scene, who: &str, session: &Session, allowed: &[&str]) {
    for (action, method, path, body) in actions() {
        let id = issue(world.admin(), scene.profile, Some(scene.application)).await;
        let (status, answer) = session.send(method, &path(scene, &id), Some(&body(scene))).await;
        let expected = if allowed.contains(&action) { 200 } else { 403 };
        assert_eq!(status, expected, "{who}: {action}: {answer:#}");
        if expected == 403 {
            assert_eq!(answer["error"], "PermissionDenied", "{who}: {action}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_membership_adds_its_role_in_its_application_and_nowhere_else() {
    let world = World::start().await;
    let pki = world.pki().await;
    let (profile, spare_profile) = (silent_profile(&world, &pki).await, silent_profile(&world, &pki).await);
    let (billing, shop) =
        (application(&world, "billing", &[profile]).await, application(&world, "shop", &[profile]).await);
    let [in_billing, in_shop] =
        [billing, shop].map(|application| Scene { application, profile, spare_profile, stranger: Uuid::nil() });
    let stranger = identity_of(&member(&world, billing, "auditor", "auditor").await).await;
    let in_billing = Scene { stranger, ..in_billing };
    for (project_role, role, allowed) in [
        ("auditor", "admin", OF_ADMINS),
        ("auditor", "operator", OF_OPERATORS),
        ("auditor", "auditor", &[][..]),
        // An operator of the project may issue anywhere, and has no part in what others requested.
        ("operator", "auditor", &["issue", "evaluate"][..]),
        ("operator", "operator", OF_OPERATORS),
    ] {
        let who = format!("{role} in billing, {project_role} in the project");
        let session = member(&world, billing, project_role, role).await;
        check_actions(&world, &in_billing, &who, &session, allowed).await;
        let elsewhere = if project_role == "operator" { &["issue", "evaluate"][..] } else { &[][..] };
        check_actions(&world, &in_shop, &format!("{who}, at the shop"), &session, elsewhere).await;
    }
    check_actions(&world, &in_billing, "an operator without membership", world.operator(), &["issue", "evaluate"])
        .await;
    check_actions(&world, &in_billing, "an auditor without membership", world.auditor(), &[]).await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_membership_allowed_ends_with_it() {
    let world = World::start().await;
    let pki = world.pki().await;
    let billing = application(&world, "billing", &[pki.profile]).await;
    let session = member(&world, billing, "auditor", "operator").await;
    let id = issue(&session, pki.profile, Some(billing)).await;
    let key = certificates(&format!("/{id}/private-key"));
    let renew = certificates(&format!("/{id}/renew"));
    session.ok(Method::GET, &key, None).await;
    let membership = applications(&format!("/{billing}/identities/{}", identity_of(&session).await));
    let denied = async |when: &str| {
        let calls = [
            session.get(&key).await,
            session.post(&renew, &json!({})).await,
            session.post(&certificates(""), &body(pki.profile, Some(billing))).await,
            session.post(&certificates(""), &body(pki.profile, None)).await,
        ];
        for (status, answer) in calls {
            assert_eq!((status, &answer["error"]), (403, &json!("PermissionDenied")), "{when}: {answer:#}");
        }
        let bundle = session.ok(Method::GET, &certificates(&format!("/{id}/bundle")), None).await;
        assert_eq!(bundle["privateKey"], Value::Null, "{when}: an own certificate is no exception");
    };
    world.admin().ok(Method::PATCH, &membership, Some(&json!({"role": "auditor"}))).await;
    denied("as an auditor").await;
    world.admin().ok(Method::PATCH, &membership, Some(&json!({"role": "operator"}))).await;
    session.ok(Method::GET, &key, None).await;
    world.admin().ok(Method::DELETE, &membership, None).await;
    denied("after the end of the membership").await;

    let other = member(&world, billing, "auditor", "operator").await;
    other.ok(Method::GET, &key, None).await;
    world.admin().ok(Method::DELETE, &applications(&format!("/{billing}")), None).await;
    assert_eq!(other.get(&key).await.0, 403, "the application is gone, and with it what it allowed");
    assert_eq!(other.post(&renew, &json!({})).await.0, 403);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_finds_its_application_or_says_what_is_missing() {
    let world = World::start().await;
    let pki = world.pki().await;
    let (named, silent) = (pki.profile, silent_profile(&world, &pki).await);
    let operator = world.operator();
    let of = async |session: &Session, profile: Uuid, application: Option<Uuid>| {
        let (status, answer) = session.post(&certificates(""), &body(profile, application)).await;
        if status != 200 {
            return Err((status, answer["code"].as_str().unwrap().to_owned(), answer["message"].to_string()));
        }
        Ok(shown(&world, &text(&answer, "/certificate/certificateId")).await["applicationId"].clone())
    };
    let refused = |answer: Result<Value, (u16, String, String)>| answer.map_err(|(status, code, _)| (status, code));
    let error = |status: u16, code: &str| Err((status, code.to_owned()));

    for profile in [named, silent] {
        assert_eq!(of(operator, profile, None).await, Ok(Value::Null), "attached nowhere");
    }
    let billing = application(&world, "billing", &[]).await;
    assert_eq!(refused(of(operator, silent, Some(billing)).await), error(400, "application.not_attached"));
    assert_eq!(refused(of(operator, silent, Some(Uuid::nil())).await), error(404, "not_found"));
    let profiles = applications(&format!("/{billing}/profiles"));
    world.admin().ok(Method::POST, &profiles, Some(&json!({"profileIds": [named, silent]}))).await;
    assert_eq!(refused(of(operator, silent, Some(billing)).await), error(403, "application.enrollment"));
    assert_eq!(refused(of(operator, silent, None).await), error(403, "application.enrollment"), "applications decide");
    assert_eq!(of(operator, named, None).await, Ok(Value::Null), "the profile enrols by itself");
    for profile in [named, silent] {
        enrol(&world, billing, profile, &json!({"autoRenew": false})).await;
        assert_eq!(of(operator, profile, None).await, Ok(json!(billing)), "the only one");
        assert_eq!(of(operator, profile, Some(billing)).await, Ok(json!(billing)));
    }
    let shop = application(&world, "shop", &[named, silent]).await;
    let (status, code, message) = of(operator, silent, None).await.unwrap_err();
    assert_eq!((status, code.as_str()), (400, "application.ambiguous"));
    assert!(message.contains(&billing.to_string()) && message.contains(&shop.to_string()), "{message}");
    assert_eq!(of(operator, named, None).await, Ok(Value::Null));
    let clerk = member(&world, shop, "auditor", "operator").await;
    for profile in [named, silent] {
        assert_eq!(of(&clerk, profile, None).await, Ok(json!(shop)), "the only one that the caller may use");
        assert_eq!(refused(of(&clerk, profile, Some(billing)).await), error(403, "auth.permission"));
    }
    let stop = applications(&format!("/{shop}/profiles/{silent}/enrollment/api"));
    world.admin().ok(Method::DELETE, &stop, None).await;
    assert_eq!(of(operator, silent, None).await, Ok(json!(billing)));
    assert_eq!(refused(of(&clerk, silent, None).await), error(403, "auth.permission"));
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_settings_of_an_application_go_before_those_of_the_profile() {
    let world = World::start().await;
    let pki = world.pki().await;
    let changes = json!({
        "caId": pki.issuing, "certificatePolicyId": pki.template,
        "apiConfig": {"autoRenew": true, "renewBeforeDays": 30},
    });
    let profile = world.profile(&changes).await;
    let days = async |application: Option<Uuid>| {
        let id = issue(world.operator(), profile, application).await;
        let certificate = shown(&world, &id).await;
        (certificate["renewBeforeDays"].clone(), certificate["renewalDueAt"].is_string())
    };
    assert_eq!(days(None).await, (json!(30), true), "the profile's own");
    let billing = application(&world, "billing", &[profile]).await;
    assert_eq!(days(Some(billing)).await, (Value::Null, false), "automatic renewal is off in the application");
    enrol(&world, billing, profile, &json!({"autoRenew": true, "renewBeforeDays": 5})).await;
    assert_eq!(days(Some(billing)).await, (json!(5), true));
    assert_eq!(days(None).await, (json!(5), true), "found by the attachment");
    let halfway = json!({"autoRenew": true, "renewAt": {"fraction": 0.5}, "renewJitter": "1s"});
    enrol(&world, billing, profile, &halfway).await;
    let id = issue(world.operator(), profile, Some(billing)).await;
    let due = text(&shown(&world, &id).await, "/renewalDueAt");
    let due = chancery_model::Timestamp::parse_date(&due).unwrap().as_seconds() - world.now_seconds();
    assert!((45 * 86_400 - 2..=45 * 86_400 + 1).contains(&due), "half of 90 days: {due} s");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_outlives_its_application_and_is_not_renewed_without_it() {
    let world = World::start().await;
    let pki = world.pki().await;
    let billing = application(&world, "billing", &[pki.profile]).await;
    let id = issue(world.operator(), pki.profile, Some(billing)).await;
    let renew = certificates(&format!("/{id}/renew"));
    let refused = async |code: &str| {
        let (status, answer) = world.operator().post(&renew, &json!({})).await;
        assert_eq!((status, &answer["code"]), (403, &json!(code)), "{answer:#}");
        assert_eq!(shown(&world, &id).await["renewalError"], answer["message"], "the reason stands on the certificate");
    };
    let attachment = applications(&format!("/{billing}/profiles/{}", pki.profile));
    world.admin().ok(Method::DELETE, &format!("{attachment}/enrollment/api"), None).await;
    refused("application.enrollment").await;
    world.admin().ok(Method::DELETE, &attachment, None).await;
    refused("application.not_attached").await;
    let attach = applications(&format!("/{billing}/profiles"));
    world.admin().ok(Method::POST, &attach, Some(&json!({"profileIds": [pki.profile]}))).await;
    enrol(&world, billing, pki.profile, &json!({"autoRenew": false})).await;
    let renewed = world.operator().ok(Method::POST, &renew, Some(&json!({}))).await;
    let successor = text(&renewed, "/certificateId");
    assert_eq!(shown(&world, &successor).await["applicationId"], json!(billing));

    world.admin().ok(Method::DELETE, &applications(&format!("/{billing}")), None).await;
    let kept = shown(&world, &successor).await;
    assert_eq!((&kept["applicationId"], &kept["applicationName"]), (&json!(billing), &Value::Null));
    let (status, answer) = world.operator().post(&certificates(&format!("/{successor}/renew")), &json!({})).await;
    assert_eq!((status, &answer["code"]), (403, &json!("application.not_attached")), "{answer:#}");
    assert_eq!(issued_for(&world, pki.profile).await, Value::Null, "the profile enrols by itself again");
    world.stop().await;
}

async fn issued_for(world: &World, profile: Uuid) -> Value {
    shown(world, &issue(world.operator(), profile, None).await).await["applicationId"].clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_is_put_into_an_application_once() {
    let world = World::start().await;
    let pki = world.pki().await;
    let id = issue(world.operator(), pki.profile, None).await;
    let billing = application(&world, "billing", &[]).await;
    let shop = application(&world, "shop", &[pki.profile]).await;
    let (clerk, other) = (member(&world, shop, "auditor", "operator").await, world.identity("other", "operator").await);
    let key = certificates(&format!("/{id}/private-key"));
    let assign = certificates(&format!("/{id}/application"));
    assert_eq!(clerk.get(&key).await.0, 403);
    for (who, session, application, status) in [
        ("who does not manage the certificate", &other, shop, 403),
        ("a member of the application that does not either", &clerk, shop, 403),
        ("an auditor", world.auditor(), shop, 403),
        ("into an application that lacks the profile", world.operator(), billing, 400),
        ("into one that is not there", world.operator(), Uuid::nil(), 404),
    ] {
        let (found, answer) = session.post(&assign, &json!({"applicationId": application})).await;
        assert_eq!(found, status, "{who}: {answer:#}");
    }
    let assigned = world.operator().ok(Method::POST, &assign, Some(&json!({"applicationId": shop}))).await;
    assert_eq!(assigned["certificate"]["applicationId"], json!(shop));
    assert_eq!(assigned["certificate"]["applicationName"], "shop");
    clerk.ok(Method::GET, &key, None).await;
    for application in [shop, billing] {
        let (status, answer) = world.admin().post(&assign, &json!({"applicationId": application})).await;
        assert_eq!((status, &answer["code"]), (400, &json!("application.assigned")), "{answer:#}");
    }
    let listed = world.admin().ok(Method::GET, &applications("?search=shop"), None).await;
    assert_eq!(listed["applications"][0]["certificateCount"], 1);
    world.admin().ok(Method::DELETE, &certificates(&format!("/{id}")), None).await;
    let listed = world.admin().ok(Method::GET, &applications("?search=shop"), None).await;
    assert_eq!(listed["applications"][0]["certificateCount"], 0);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_project_sees_and_lends_nothing() {
    let world = World::start().await;
    let pki = world.pki().await;
    let billing = application(&world, "billing", &[pki.profile]).await;
    let stranger = world.other_project_admin().await;
    for (method, rest) in [
        (Method::GET, String::new()),
        (Method::PATCH, String::new()),
        (Method::DELETE, String::new()),
        (Method::GET, "/permissions".to_owned()),
        (Method::GET, "/users".to_owned()),
        (Method::GET, "/identities".to_owned()),
        (Method::GET, "/profiles".to_owned()),
        (Method::GET, format!("/profiles/{}/enrollment", pki.profile)),
        (Method::PUT, format!("/profiles/{}/enrollment/api", pki.profile)),
        (Method::PUT, format!("/profiles/{}/enrollment/est", pki.profile)),
        (Method::DELETE, format!("/profiles/{}/enrollment/api", pki.profile)),
    ] {
        let change = json!({"description": "mine", "autoRenew": false});
        let (status, answer) =
            stranger.send(method.clone(), &applications(&format!("/{billing}{rest}")), Some(&change)).await;
        assert_eq!((status, &answer["error"]), (404, &json!("NotFound")), "{method} {rest}: {answer:#}");
    }
    assert_eq!(stranger.get(&applications("/by-name/billing")).await.0, 404);
    assert_eq!(stranger.ok(Method::GET, &applications(""), None).await["total"], 0);
    // The name is free there, and nothing of the first project can be drawn into it.
    let made = stranger.ok(Method::POST, &applications(""), Some(&json!({"name": "billing"}))).await;
    let theirs = applications(&format!("/{}", text(&made, "/application/id")));
    let taken = json!({"name": "taken", "profileIds": [pki.profile]});
    assert_eq!(stranger.post(&applications(""), &taken).await.0, 404);
    assert_eq!(stranger.post(&format!("{theirs}/profiles"), &json!({"profileIds": [pki.profile]})).await.0, 404);
    let identity = identity_of(world.operator()).await;
    assert_eq!(stranger.post(&format!("{theirs}/identities/{identity}"), &json!({"role": "admin"})).await.0, 404);
    let people = json!({"emails": ["admin@world.test"], "role": "admin"});
    let added = stranger.ok(Method::POST, &format!("{theirs}/users"), Some(&people)).await;
    assert_eq!((&added["memberships"], &added["unresolved"]), (&json!([]), &json!(["admin@world.test"])));
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_server_renews_for_an_application_as_long_as_that_enrols() {
    let world = World::start().await;
    let pki = world.pki().await;
    let billing = application(&world, "billing", &[pki.profile]).await;
    enrol(&world, billing, pki.profile, &json!({"autoRenew": true, "renewBeforeDays": 5})).await;
    let first = issue(world.operator(), pki.profile, Some(billing)).await;
    let successor_of = async |id: &str| shown(&world, id).await["renewedByCertificateId"].clone();
    world.clock.advance_seconds(84 * 86_400);
    world.authority().run_due_jobs().await;
    assert_eq!(successor_of(&first).await, Value::Null, "not due yet");
    world.clock.advance_seconds(86_400 + 60);
    world.authority().run_due_jobs().await;
    let second = successor_of(&first).await.as_str().unwrap().to_owned();
    let renewed = shown(&world, &second).await;
    assert_eq!((&renewed["applicationId"], &renewed["renewBeforeDays"]), (&json!(billing), &json!(5)));

    let enrollment = applications(&format!("/{billing}/profiles/{}/enrollment/api", pki.profile));
    let mut world = world;
    world.log_in_administrator().await;
    world.admin().ok(Method::DELETE, &enrollment, None).await;
    world.clock.advance_seconds(85 * 86_400 + 60);
    world.authority().run_due_jobs().await;
    world.log_in_administrator().await;
    let stuck = shown(&world, &second).await;
    assert_eq!(stuck["renewedByCertificateId"], Value::Null);
    assert!(stuck["renewalError"].as_str().unwrap().contains("API enrolment is off"), "{stuck:#}");
    enrol(&world, billing, pki.profile, &json!({"autoRenew": true, "renewBeforeDays": 5})).await;
    world.clock.advance_seconds(6 * 3_600 + 60);
    world.authority().run_due_jobs().await;
    let mended = shown(&world, &second).await;
    assert!(mended["renewedByCertificateId"].is_string() && mended["renewalError"].is_null(), "{mended:#}");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn terraform_gives_machine_identities_their_role() {
    let world = World::start().await;
    let admin = world.admin();
    let session = world.identity("agent", "auditor").await;
    let path = format!("{CERT_MANAGER}/access/identities/{}", identity_of(&session).await);
    let roles = |role: &str| json!({"roles": [{"role": role, "isTemporary": false}]});
    let given = admin.ok(Method::POST, &path, Some(&roles("operator"))).await;
    assert_eq!(given["identityMembership"]["roles"][0]["role"], "operator");
    let pki = world.pki().await;
    let own = issue(&session, pki.profile, None).await;
    let changed = admin.ok(Method::PATCH, &path, Some(&roles("auditor"))).await;
    assert_eq!(admin.ok(Method::GET, &path, None).await, changed);
    assert_eq!(session.get(&certificates(&format!("/{own}/private-key"))).await.0, 403);
    for (body, code) in [
        (roles("member"), "access.role"),
        (json!({"roles": []}), "access.roles"),
        (json!({"roles": [{"role": "admin", "isTemporary": true}]}), "access.temporary"),
    ] {
        let (status, answer) = admin.patch(&path, &body).await;
        assert_eq!((status, &answer["code"]), (400, &json!(code)), "{answer:#}");
    }
    for method in [Method::POST, Method::PATCH, Method::DELETE] {
        assert_eq!(world.operator().send(method, &path, Some(&roles("admin"))).await.0, 403);
    }
    admin.ok(Method::DELETE, &path, None).await;
    assert_eq!(admin.get(&path).await.0, 404);
    assert_eq!(session.get(&certificates(&format!("/{own}"))).await.0, 403, "its sessions are over");

    let users = format!("{CERT_MANAGER}/access/users");
    let people = admin.ok(Method::GET, &users, None).await;
    let person = &people["memberships"][0];
    assert_eq!((&person["user"]["email"], &person["roles"][0]["role"]), (&json!("admin@world.test"), &json!("admin")));
    let one = format!("{users}/{}", text(person, "/userId"));
    assert_eq!(&admin.ok(Method::GET, &one, None).await["membership"], person);
    let (status, answer) = admin.send(Method::POST, &users, Some(&roles("auditor"))).await;
    assert_eq!((status, &answer["code"]), (400, &json!("access.people")), "{answer:#}");
    for (method, body) in [(Method::PATCH, roles("auditor")), (Method::DELETE, json!({}))] {
        let (status, answer) = admin.send(method, &one, Some(&body)).await;
        assert_eq!((status, &answer["code"]), (403, &json!("user.last_administrator")), "{answer:#}");
    }
    let invitation = json!({"email": "deputy@acme.test", "role": "operator"});
    let deputy = admin.ok(Method::POST, "/api/v1/users", Some(&invitation)).await;
    let one = format!("{users}/{}", text(&deputy, "/user/id"));
    let changed = admin.ok(Method::PATCH, &one, Some(&roles("auditor"))).await;
    assert_eq!(changed["roles"][0]["role"], "auditor");
    let removed = admin.ok(Method::DELETE, &one, None).await;
    assert_eq!(removed["membership"]["roles"], changed["roles"]);
    assert_eq!(admin.get(&one).await.0, 404);
    let group = format!("{CERT_MANAGER}/access/groups/{}", Uuid::nil());
    assert_eq!(admin.get(&group).await.1["code"], "groups.absent");
    world.stop().await;
}
