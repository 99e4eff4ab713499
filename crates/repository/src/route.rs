//! The routes, and what is around every answer: a time limit, a log line, and the headers that keep browsers from guessing.

use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::{MatchedPath, Request};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{MethodRouter, get, post};
use chancery_authority::Authority;
use http::{HeaderValue, header};

use crate::refusal::Refusal;
use crate::{ca_certificate, crl, ocsp};

/// Reading a large CRL from the store is what takes longest here.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

const CRL: &str = "/api/v1/cert-manager/crl/{crlId}";
const CRL_DER: &str = "/api/v1/cert-manager/crl/{crlId}/der";
const DELTA: &str = "/api/v1/cert-manager/crl/{crlId}/delta";
const DELTA_DER: &str = "/api/v1/cert-manager/crl/{crlId}/delta/der";
const OLDER_CRL: &str = "/api/v1/pki/crl/{crlId}";
const OLDER_CRL_DER: &str = "/api/v1/pki/crl/{crlId}/der";
const OCSP: &str = "/api/v1/cert-manager/ocsp/{caId}";
const OCSP_GET: &str = "/api/v1/cert-manager/ocsp/{caId}/{*request}";
const CA_CERTIFICATE: &str = "/api/v1/cert-manager/ca/internal/{caId}/certificates/{caCertId}/der";
const OLDER_CA_CERTIFICATE: &str = "/api/v1/pki/ca/{caId}/certificates/{caCertId}/der";

/// The door. It has no fallback, so that it can stand beside others; alone, whatever it does not know is an empty 404.
pub fn router(authority: Authority) -> Router {
    let mut router = Router::new();
    for path in [CRL, CRL_DER, OLDER_CRL, OLDER_CRL_DER] {
        router = with_and_without_slash(router, path, get(crl::complete));
    }
    for path in [DELTA, DELTA_DER] {
        router = with_and_without_slash(router, path, get(crl::delta));
    }
    for path in [CA_CERTIFICATE, OLDER_CA_CERTIFICATE] {
        router = with_and_without_slash(router, path, get(ca_certificate::der));
    }
    with_and_without_slash(router, OCSP, post(ocsp::post))
        .route(OCSP_GET, get(ocsp::get))
        .route_layer(from_fn(observe))
        .with_state(authority)
}

fn with_and_without_slash(
    router: Router<Authority>,
    path: &str,
    handler: MethodRouter<Authority>,
) -> Router<Authority> {
    router.route(path, handler.clone()).route(&format!("{path}/"), handler)
}

async fn observe(request: Request, next: Next) -> Response {
    let started = Instant::now();
    let method = request.method().clone();
    let path = request.extensions().get::<MatchedPath>().cloned();
    let answered = tokio::time::timeout(ANSWER_TIMEOUT, next.run(request)).await;
    let mut response = answered.unwrap_or_else(|_| Refusal::unavailable("The answer took too long").into_response());
    let headers = response.headers_mut();
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if !headers.contains_key(header::CACHE_CONTROL) {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    let ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    // The pattern, not the path: an OCSP request in a path says whose certificate somebody is looking at.
    let path = path.as_ref().map_or("(none)", MatchedPath::as_str);
    let status = response.status();
    // Relying parties ask thousands of times a second: what goes well is told only to those who want to hear it.
    if status.is_server_error() {
        tracing::warn!(target: "chancery::access", %method, path, status = status.as_u16(), ms);
    } else {
        tracing::debug!(target: "chancery::access", %method, path, status = status.as_u16(), ms);
    }
    response
}
