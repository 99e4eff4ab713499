//! The public door as it is served: the calls of each address are limited, and what it does not know is an empty 404.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse as _, Response};
use chancery_api::{Limiter, Peer, RateLimit};
use chancery_authority::Authority;
use http::{HeaderValue, StatusCode, header};

/// The routes of the repository, ready to stand alone or beside the API. Both listeners share the limit.
pub fn router(authority: Authority, limit: Option<RateLimit>) -> Router {
    let router = chancery_repository::router(authority);
    match limit {
        Some(limit) => router.route_layer(from_fn_with_state(Arc::new(Limiter::new(limit)), limited)),
        None => router,
    }
}

/// Everything here is unauthenticated, and a request with a nonce costs a signature.
async fn limited(State(limiter): State<Arc<Limiter>>, request: Request, next: Next) -> Response {
    let peer = request.extensions().get::<Peer>().map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.0);
    match limiter.take(peer) {
        Ok(()) => next.run(request).await,
        Err(seconds) => {
            let mut response = (StatusCode::TOO_MANY_REQUESTS, "Too many calls; try again later\n").into_response();
            let headers = response.headers_mut();
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
            headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
            headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
            response
        }
    }
}
