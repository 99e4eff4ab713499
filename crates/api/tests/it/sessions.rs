//! Sessions of browsers are of no use here.

use std::net::{IpAddr, Ipv4Addr};

use chancery_authority::access::Visitor;
use serde_json::json;

use crate::world::{EMAIL, PASSWORD, World};

#[tokio::test]
async fn a_browsers_session_opens_no_route_and_is_not_prolonged_here() {
    let world = World::new().await;
    let visitor = Visitor { ip: IpAddr::V4(Ipv4Addr::LOCALHOST), user_agent: "Firefox", request_id: "r" };
    let session = world.authority.sign_in(EMAIL, PASSWORD, None, &visitor).await.unwrap();
    let token = session.access_token.as_str();
    let refused = world.call("GET", "/api/v1/projects").token(token).send().await.error(403, "TokenError");
    assert!(refused["message"].as_str().unwrap().contains("browser"), "{refused}");
    let renew = json!({ "accessToken": token });
    world.call("POST", "/api/v1/auth/token/renew").json(&renew).send().await.error(403, "TokenError");
    assert!(world.authority.authenticate(token, visitor.ip).await.is_ok(), "pages are open to it as before");
}
