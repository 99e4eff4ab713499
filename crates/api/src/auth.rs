//! Logging in and out, and the life of an access token.

use axum::Json;
use axum::extract::{Extension, State};
use chancery_authority::Authority;
use chancery_authority::access::SessionToken;
use chancery_model::permission::Permission;
use chancery_wire::auth::{MessageAnswer, SessionAnswer, TokenBody, UniversalAuthLogin, UserLogin};
use http::{HeaderMap, Method};

use crate::Peer;
use crate::extract::{Answer, Body, JsonOrForm};
use crate::gate::bearer;
use crate::observe::RequestId;
use crate::route::Endpoint;

pub(crate) fn endpoints() -> Vec<Endpoint> {
    vec![
        Endpoint::public(Method::POST, "/api/v1/auth/universal-auth/login", login_universal)
            .named("loginUniversalAuth", "Log in as a machine identity (JSON or form)")
            .takes::<UniversalAuthLogin>()
            .answers::<SessionAnswer>(),
        Endpoint::public(Method::POST, "/api/v1/auth/login", login_user)
            .named("login", "Log in as a person")
            .takes::<UserLogin>()
            .answers::<SessionAnswer>(),
        Endpoint::post("/api/v1/auth/logout", Permission::OwnSession, logout)
            .named("logout", "End the session of the token that is sent")
            .answers::<MessageAnswer>(),
        Endpoint::public(Method::POST, "/api/v1/auth/token/renew", renew)
            .named("renewToken", "Extend a token")
            .takes::<TokenBody>()
            .answers::<SessionAnswer>(),
        Endpoint::public(Method::POST, "/api/v1/auth/token/revoke", revoke)
            .named("revokeToken", "Revoke a token")
            .takes::<TokenBody>()
            .answers::<MessageAnswer>(),
    ]
}

type PeerAddress = Option<Extension<Peer>>;

fn address(peer: PeerAddress) -> std::net::IpAddr {
    peer.map_or(std::net::Ipv4Addr::UNSPECIFIED.into(), |it| it.0.0)
}

fn session(token: &SessionToken) -> Json<SessionAnswer> {
    Json(SessionAnswer {
        access_token: token.access_token.as_str().to_owned(),
        expires_in: token.expires_in,
        access_token_max_ttl: token.max_ttl,
        token_type: "Bearer".to_owned(),
    })
}

fn done(message: &str) -> Json<MessageAnswer> {
    Json(MessageAnswer { message: message.to_owned() })
}

async fn login_universal(
    State(authority): State<Authority>,
    peer: PeerAddress,
    Extension(id): Extension<RequestId>,
    JsonOrForm(login): JsonOrForm<UniversalAuthLogin>,
) -> Answer<SessionAnswer> {
    let token = authority.login_universal(&login.client_id, &login.client_secret, address(peer), &id.0).await?;
    Ok(session(&token))
}

async fn login_user(
    State(authority): State<Authority>,
    peer: PeerAddress,
    Extension(id): Extension<RequestId>,
    Body(login): Body<UserLogin>,
) -> Answer<SessionAnswer> {
    let otp = login.otp.as_deref();
    Ok(session(&authority.login_user(&login.email, &login.password, otp, address(peer), &id.0).await?))
}

async fn logout(
    State(authority): State<Authority>,
    peer: PeerAddress,
    Extension(id): Extension<RequestId>,
    headers: HeaderMap,
) -> Answer<MessageAnswer> {
    authority.revoke_token(bearer(&headers)?, address(peer), &id.0).await?;
    Ok(done("Successfully logged out"))
}

async fn renew(
    State(authority): State<Authority>,
    peer: PeerAddress,
    Extension(id): Extension<RequestId>,
    Body(body): Body<TokenBody>,
) -> Answer<SessionAnswer> {
    Ok(session(&authority.renew_token(&body.access_token, address(peer), &id.0).await?))
}

async fn revoke(
    State(authority): State<Authority>,
    peer: PeerAddress,
    Extension(id): Extension<RequestId>,
    Body(body): Body<TokenBody>,
) -> Answer<MessageAnswer> {
    authority.revoke_token(&body.access_token, address(peer), &id.0).await?;
    Ok(done("Successfully revoked access token"))
}
