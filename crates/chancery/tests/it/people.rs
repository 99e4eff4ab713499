//! People over the API, and their sessions in browsers on two nodes.
//!
//! ```text
//! administrator ── invites ── deputy (operator, then auditor, then reset)
//! node-1 ─┐
//!         ├─ one database: a session that one node ends is over on the other
//! node-2 ─┘
//! ```
//!
//! Verified: an invitation's link is answered once and works once; a log-in asks for the code where a second factor is set
//! up; a role, a reset and a removal end sessions; no answer has a hash; each of them reaches another node within 5 s.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use chancery_authority::Call;
use chancery_authority::access::Visitor;
use chancery_keys::TotpSecret;
use chancery_model::UserId;
use chancery_testkit::world::{World, text};
use reqwest::Method;
use serde_json::{Value, json};

const USERS: &str = "/api/v1/users";
const PROJECTS: &str = "/api/v1/projects";
const PASSWORD: &str = "correct horse battery";
const HOME: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 7));
const VISITOR: Visitor<'static> = Visitor { ip: HOME, user_agent: "Firefox", request_id: "r" };

/// Invites somebody: the answer.
async fn invite(world: &World, email: &str, role: &str) -> Value {
    world.admin().ok(Method::POST, USERS, Some(&json!({"email": email, "role": role}))).await
}

/// Uses an invitation: a session in a browser.
async fn accept(world: &World, invited: &Value) -> String {
    let token = text(invited, "/signInLink/token");
    let session = world.authority().redeem_sign_in_link(&token, Some(PASSWORD), &VISITOR).await.unwrap();
    session.access_token.to_string()
}

async fn log_in(world: &World, email: &str, otp: Option<&str>) -> (u16, Value) {
    let mut body = json!({"email": email, "password": PASSWORD});
    if let Some(otp) = otp {
        body["otp"] = json!(otp);
    }
    world.anonymous().post("/api/v1/auth/login", &body).await
}

/// The status of a call with somebody's token.
async fn status_of(world: &World, token: &str, method: Method, path: &str) -> u16 {
    let has_body = [Method::POST, Method::PATCH].contains(&method);
    let body = has_body.then(|| json!({"role": "admin"}));
    world.anonymous().with_token(token).send(method, path, body.as_ref()).await.unwrap().status
}

#[tokio::test]
async fn people_are_invited_given_roles_reset_and_removed_over_the_api() {
    let site = "https://ca.acme.test";
    let world = World::builder().setting("site_url", site).start().await;
    let admin = world.admin();
    let invited = invite(&world, "Deputy@Acme.Test", "operator").await;
    let (id, token) = (text(&invited, "/user/id"), text(&invited, "/signInLink/token"));
    assert_eq!(invited["user"]["email"], "deputy@acme.test");
    assert_eq!((&invited["user"]["hasPassword"], &invited["user"]["hasSecondFactor"]), (&json!(false), &json!(false)));
    assert_eq!(invited["signInLink"]["url"], format!("{site}/ui/sign-in/link?token={token}"));
    let in_seven_days = world.authority().now().plus_seconds(7 * 86_400);
    assert_eq!(text(&invited, "/signInLink/expiresAt"), in_seven_days.to_string());
    let again = admin.post(USERS, &json!({"email": "deputy@acme.test", "role": "admin"})).await;
    assert_eq!((again.0, &again.1["code"]), (400, &json!("user.exists")), "{:#}", again.1);
    for (body, status) in [
        (json!({"email": "nobody", "role": "admin"}), 400),
        (json!({"email": "", "role": "admin"}), 422),
        (json!({"email": "x@acme.test", "role": "member"}), 422),
        (json!({"email": "x@acme.test"}), 422),
    ] {
        let (found, answer) = admin.post(USERS, &body).await;
        assert_eq!(found, status, "{body} {answer:#}");
    }
    accept(&world, &invited).await;
    let (status, session) = log_in(&world, "deputy@acme.test", None).await;
    assert_eq!(status, 200, "{session:#}");
    let deputy = text(&session, "/accessToken");

    let one = format!("{USERS}/{id}");
    assert_eq!(status_of(&world, &deputy, Method::GET, USERS).await, 403, "an operator does not see people");
    let shown = admin.ok(Method::GET, &one, None).await;
    assert_eq!(shown["user"]["hasPassword"], true);
    let all = admin.ok(Method::GET, USERS, None).await;
    assert_eq!((all["users"].as_array().unwrap().len(), &all["totalCount"]), (2, &json!(2)));
    assert!(all["users"].as_array().unwrap().contains(&shown["user"]));
    let told = format!("{all}{shown}{invited}");
    assert!(!told.contains("argon2") && !told.contains("Hash"), "{told}");

    let changed = admin.ok(Method::PATCH, &one, Some(&json!({"role": "auditor"}))).await;
    assert_eq!(changed["user"]["role"], "auditor");
    assert_eq!(status_of(&world, &deputy, Method::GET, PROJECTS).await, 403, "the session is over");
    let (_, session) = log_in(&world, "deputy@acme.test", None).await;
    let deputy = text(&session, "/accessToken");
    assert_eq!(status_of(&world, &deputy, Method::GET, USERS).await, 200, "an auditor sees people");
    assert_eq!(status_of(&world, &deputy, Method::PATCH, &one).await, 403);

    let reset = admin.ok(Method::POST, &format!("{one}/reset"), Some(&json!({}))).await;
    assert_eq!(reset["user"]["hasPassword"], false);
    assert_ne!(reset["signInLink"]["token"], invited["signInLink"]["token"]);
    assert_eq!(status_of(&world, &deputy, Method::GET, PROJECTS).await, 403);
    assert_eq!(log_in(&world, "deputy@acme.test", None).await.0, 401);
    let removed = admin.ok(Method::DELETE, &one, None).await;
    assert_eq!(removed["user"]["id"], json!(id));
    assert_eq!(admin.get(&one).await.0, 404);
    let link = text(&reset, "/signInLink/token");
    assert!(world.authority().sign_in_link(&link).await.is_err(), "the link went with the person");
    world.stop().await;
}

#[tokio::test]
async fn a_log_in_over_the_api_asks_for_the_code_where_there_is_one() {
    let world = World::start().await;
    let token = accept(&world, &invite(&world, "b@acme.test", "operator").await).await;
    let authority = world.authority();
    let requester = authority.authenticate(&token, HOME).await.unwrap();
    let call = Call { requester, request_id: "r".to_owned(), idempotency: None };
    let setup = authority.begin_totp(&call).await.unwrap();
    let secret = TotpSecret::from_base32(&setup.secret_base32).unwrap();
    let code = || secret.code_at(world.now_seconds()).unwrap();
    authority.confirm_totp(&call, &code()).await.unwrap();
    world.clock.advance_seconds(30);
    let (status, answer) = log_in(&world, "b@acme.test", None).await;
    assert_eq!((status, &answer["code"]), (401, &json!("auth.otp_required")), "{answer:#}");
    let (status, answer) = log_in(&world, "b@acme.test", Some("000000")).await;
    assert_eq!((status, &answer["code"]), (401, &json!("auth.required")), "{answer:#}");
    assert_eq!(log_in(&world, "b@acme.test", Some(&code())).await.0, 200);
    assert_eq!(log_in(&world, "b@acme.test", Some(&code())).await.0, 401, "a code counts once");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_ends_a_session_on_one_node_ends_it_on_the_other() {
    let story = "what_ends_a_session_on_one_node_ends_it_on_the_other";
    let Some(url) = crate::postgres::server_url(story) else { return };
    let world = World::builder().postgres(&url).start().await;
    let other = world.another_node("node-2").await;
    for way in ["role", "reset", "delete", "confirm", "sign out"] {
        let invited = invite(&world, &format!("{}@acme.test", way.replace(' ', "-")), "operator").await;
        let id: UserId = text(&invited, "/user/id").parse().unwrap();
        let token = accept(&world, &invited).await;
        // A session in a browser is tied to its network, so it is asked for where it began.
        let there = other.authority();
        let requester = there.authenticate(&token, HOME).await.unwrap();
        let path = format!("{USERS}/{id}");
        match way {
            "role" => drop(world.admin().ok(Method::PATCH, &path, Some(&json!({"role": "auditor"}))).await),
            "reset" => drop(world.admin().ok(Method::POST, &format!("{path}/reset"), Some(&json!({}))).await),
            "delete" => drop(world.admin().ok(Method::DELETE, &path, None).await),
            "confirm" => drop(world.authority().confirm_session(&token, PASSWORD, None, &VISITOR).await.unwrap()),
            _ => {
                let call = Call { requester, request_id: "r".to_owned(), idempotency: None };
                let current = call.requester.token_id().unwrap();
                world.authority().end_session(&call, current).await.unwrap();
            }
        }
        assert!(world.authority().authenticate(&token, HOME).await.is_err(), "{way}: at once where it was done");
        let dead = async {
            while there.authenticate(&token, HOME).await.is_ok() {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        assert!(tokio::time::timeout(Duration::from_secs(5), dead).await.is_ok(), "{way}: alive on the other node");
    }
    assert_eq!((world.admin().get(PROJECTS).await.0, other.admin().get(PROJECTS).await.0), (200, 200));
    // A code that one node has taken, the other does not take again.
    let token = accept(&world, &invite(&world, "totp@acme.test", "operator").await).await;
    let requester = world.authority().authenticate(&token, HOME).await.unwrap();
    let call = Call { requester, request_id: "r".to_owned(), idempotency: None };
    let setup = world.authority().begin_totp(&call).await.unwrap();
    let secret = TotpSecret::from_base32(&setup.secret_base32).unwrap();
    let code = || secret.code_at(world.now_seconds()).unwrap();
    world.authority().confirm_totp(&call, &code()).await.unwrap();
    world.clock.advance_seconds(30);
    let code = code();
    let enter = async |world: &World| {
        world.authority().sign_in("totp@acme.test", PASSWORD, Some(&code), &VISITOR).await.is_ok()
    };
    let entered = tokio::join!(enter(&world), enter(&other));
    assert!(entered.0 != entered.1, "one of both: {entered:?}");
    other.stop().await;
    world.stop().await;
}
