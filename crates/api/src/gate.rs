//! The gate before every handler: token, permission, and whether the same write was made before.
//!
//! Built from the route table, so that a route's declared permission is the one that is asked for. The body is not read
//! before the permission is proved.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Instant;

use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use chancery_authority::issuance::Begin;
use chancery_authority::stage::Stage;
use chancery_authority::{Authority, Call, Error, Requester};
use chancery_model::permission::Permission;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use sha2::{Digest, Sha256};

use crate::Peer;
use crate::error::ApiError;
use crate::extract::{BodyMax, read_body};
use crate::issues::issue;
use crate::observe::RequestId;
use crate::state::ApiState;

/// Longest bearer token worth looking at.
const TOKEN_MAX: usize = 4_096;

const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// What one route asks of its callers.
#[derive(Clone)]
pub(crate) struct Gate {
    pub state: ApiState,
    pub permission: Permission,
    pub mutates: bool,
    /// The core finds an unfinished earlier try by itself.
    pub resumes: bool,
    pub body_max: usize,
}

/// In place of an answer's body, what an `Idempotency-Key` repeats: the answer without what may be shown only once.
#[derive(Clone)]
pub(crate) struct RepeatedBody(pub Bytes);

/// Public routes: nothing to prove, so the rate is limited.
pub(crate) async fn open(State(state): State<ApiState>, request: Request, next: Next) -> Result<Response, ApiError> {
    count(&state, peer(request.extensions()))?;
    Ok(next.run(request).await)
}

pub(crate) async fn pass(State(gate): State<Gate>, request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    let id = request_id(&parts);
    let requester = match gate.authenticate(&parts).await {
        Ok(requester) => requester,
        Err(error) => return error.into_response(),
    };
    let response = gate.admit(&requester, parts, body, next).await.unwrap_or_else(IntoResponse::into_response);
    // Taken out first: a response body cannot be shared across the wait.
    let denied = response.extensions().get::<ApiError>().and_then(ApiError::denied);
    if let Some(permission) = denied {
        gate.record_denial(&requester, permission, &id).await;
    }
    response
}

impl Gate {
    async fn authenticate(&self, parts: &Parts) -> Result<Requester, ApiError> {
        let start = Instant::now();
        let address = peer(&parts.extensions);
        let authority = self.state.authority();
        let result = match bearer(&parts.headers) {
            Ok(token) => {
                authority.authenticate(token, address).await.and_then(not_of_a_browser).map_err(ApiError::from)
            }
            Err(error) => Err(error),
        };
        authority.stages().book(Stage::Authenticate, start);
        if result.is_err() {
            count(&self.state, address)?;
        }
        result
    }

    async fn admit(
        &self,
        requester: &Requester,
        mut parts: Parts,
        body: Body,
        next: Next,
    ) -> Result<Response, ApiError> {
        requester.require_somewhere(self.permission)?;
        parts.extensions.insert(BodyMax(self.body_max));
        let mut call = Call { requester: requester.clone(), request_id: request_id(&parts), idempotency: None };
        if self.mutates
            && let Some(key) = idempotency_key(&parts.headers)?
        {
            call.idempotency = Some(scoped(requester, &key));
            return self.once(call, parts, body, next).await;
        }
        parts.extensions.insert(call);
        Ok(next.run(Request::from_parts(parts, body)).await)
    }

    /// Runs the call unless it was answered before. It goes on when the caller hangs up, so that the answer is kept.
    async fn once(&self, call: Call, mut parts: Parts, body: Body, next: Next) -> Result<Response, ApiError> {
        let bytes = read_body(&parts, body).await?;
        let authority = self.state.authority().clone();
        let first = match authority.idempotent_begin(&call, body_hash(&parts, &bytes)).await? {
            Begin::Fresh => true,
            Begin::InProgress if self.resumes => false,
            Begin::InProgress => {
                let message = "A call with this Idempotency-Key is not finished yet; try again in a moment";
                return Err(ApiError::conflict("idempotency.in_progress", message));
            }
            Begin::Mismatch => {
                let message = "This Idempotency-Key was used with another request; use a fresh one";
                return Err(ApiError::conflict("idempotency.mismatch", message));
            }
            Begin::Replay(status, body) => return Ok(replayed(status, body)),
        };
        parts.extensions.insert(call.clone());
        let request = Request::from_parts(parts, Body::from(bytes));
        let run = tokio::spawn(async move { next.run(request).await });
        let keep = tokio::spawn(async move { keep_answer(&authority, &call, first, run.await).await });
        keep.await.map_err(ApiError::internal)?
    }

    async fn record_denial(&self, requester: &Requester, permission: Permission, id: &str) {
        if let Err(error) = self.state.authority().record_denied(requester, permission, id).await {
            tracing::error!(req_id = %id, "a denied call could not be written to the audit log: {error}");
        }
    }
}

/// Keeps the answer under its key. A call that failed, or broke off, frees the key, unless another call with the key
/// came first: the key is that one's.
async fn keep_answer(
    authority: &Authority,
    call: &Call,
    first: bool,
    answered: Result<Response, tokio::task::JoinError>,
) -> Result<Response, ApiError> {
    let response = match answered {
        Ok(response) => response,
        Err(error) => ApiError::internal(error).into_response(),
    };
    let (mut parts, body) = response.into_parts();
    let body = axum::body::to_bytes(body, usize::MAX).await.map_err(ApiError::internal)?;
    if !first && parts.status.as_u16() >= 400 {
        return Ok(Response::from_parts(parts, Body::from(body)));
    }
    let kept = parts.extensions.remove::<RepeatedBody>().map_or_else(|| body.clone(), |repeated| repeated.0);
    // What was changed is changed: that its answer could not be kept must not make the call look failed.
    if let Err(error) = authority.idempotent_finish(call, parts.status.as_u16(), &kept).await {
        tracing::error!(req_id = %call.request_id, "the answer of an idempotent call could not be kept: {error}");
    }
    Ok(Response::from_parts(parts, Body::from(body)))
}

/// Takes one unauthenticated or failed call out of the address's share.
fn count(state: &ApiState, address: IpAddr) -> Result<(), ApiError> {
    state.limiter().map_or(Ok(()), |limiter| limiter.take(address)).map_err(ApiError::rate_limited)
}

/// A browser's session is not a key to the API, where nobody is asked for the password again before something grave:
/// whoever got hold of a cookie would have all of it.
fn not_of_a_browser(requester: Requester) -> Result<Requester, Error> {
    if requester.is_browser() {
        let text = "This is the session of a browser, which opens pages only; log in to get an access token";
        return Err(Error::InvalidToken(text));
    }
    Ok(requester)
}

pub(crate) fn peer(extensions: &http::Extensions) -> IpAddr {
    extensions.get::<Peer>().map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.0)
}

pub(crate) fn request_id(parts: &Parts) -> String {
    parts.extensions.get::<RequestId>().map_or_else(String::new, |id| id.0.clone())
}

/// RFC 6750 §2.1: the header only, never the query string.
pub(crate) fn bearer(headers: &HeaderMap) -> Result<&str, ApiError> {
    let missing =
        || ApiError::unauthorized("auth.required", "Log in and send the token as \"Authorization: Bearer …\"");
    let value = headers.get(header::AUTHORIZATION).ok_or_else(missing)?;
    let text = value.to_str().map_err(|_| missing())?;
    let (scheme, token) = text.split_once(' ').ok_or_else(missing)?;
    if !scheme.eq_ignore_ascii_case("bearer") || token.trim().is_empty() || token.len() > TOKEN_MAX {
        return Err(missing());
    }
    Ok(token.trim())
}

fn idempotency_key(headers: &HeaderMap) -> Result<Option<HeaderValue>, ApiError> {
    let mut values = headers.get_all(IDEMPOTENCY_KEY).iter();
    let Some(value) = values.next() else { return Ok(None) };
    let bytes = value.as_bytes();
    let good = (1..=255).contains(&bytes.len()) && bytes.iter().all(u8::is_ascii_graphic) && values.next().is_none();
    if good {
        Ok(Some(value.clone()))
    } else {
        let message = "must be sent once, as 1 to 255 visible ASCII characters";
        Err(ApiError::invalid(vec![issue("Idempotency-Key", "invalid_string", message)]))
    }
}

/// Every caller has keys of its own.
fn scoped(requester: &Requester, key: &HeaderValue) -> [u8; 32] {
    let actor = serde_json::to_vec(&requester.actor_id()).unwrap_or_default();
    let mut hash = Sha256::new();
    hash.update(requester.project_id().as_bytes());
    hash.update(actor);
    hash.update([0]);
    hash.update(key.as_bytes());
    hash.finalize().into()
}

/// The same key with the same body on another route is another request.
fn body_hash(parts: &Parts, body: &[u8]) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(parts.method.as_str());
    hash.update([0]);
    hash.update(parts.uri.path().trim_end_matches('/'));
    hash.update([0]);
    hash.update(body);
    hash.finalize().into()
}

fn replayed(status: u16, body: Vec<u8>) -> Response {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::OK);
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response.headers_mut().insert("idempotency-replayed", HeaderValue::from_static("true"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_bearer_header_is_a_token() {
        let check = |value: &str, expected: Option<&str>| {
            let mut headers = HeaderMap::new();
            headers.insert(header::AUTHORIZATION, HeaderValue::from_str(value).unwrap());
            assert_eq!(bearer(&headers).ok(), expected, "{value:.30}");
        };
        check("Bearer abc", Some("abc"));
        check("bearer abc", Some("abc"));
        check("Bearer ", None);
        check("Basic abc", None);
        check("abc", None);
        check(&format!("Bearer {}", "x".repeat(1_000_000)), None);
        assert!(bearer(&HeaderMap::new()).is_err());
    }

    #[test]
    fn an_idempotency_key_is_visible_ascii_and_sent_once() {
        let check = |values: &[&str], good: bool| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(IDEMPOTENCY_KEY, HeaderValue::from_bytes(value.as_bytes()).unwrap());
            }
            assert_eq!(idempotency_key(&headers).is_ok(), good, "{values:?}");
        };
        check(&[], true);
        check(&["3f0c"], true);
        check(&[&"k".repeat(255)], true);
        check(&[&"k".repeat(256)], false);
        check(&[""], false);
        check(&["a b"], false);
        check(&["ä"], false);
        check(&["a", "b"], false);
    }
}
