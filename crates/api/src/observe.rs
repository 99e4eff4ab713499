//! Around every call: its request id, its time limit, its log line, a net for panics, and the body of its error.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;

use axum::body::Body;
use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};

use crate::error::ApiError;
use crate::state::ApiState;

/// The id of a call; a request extension.
#[derive(Clone, Debug)]
pub(crate) struct RequestId(pub String);

pub(crate) async fn observe(State(state): State<ApiState>, mut request: Request, next: Next) -> Response {
    let started = Instant::now();
    let id = state.next_request_id();
    let method = request.method().clone();
    let path = request.extensions().get::<MatchedPath>().cloned();
    request.extensions_mut().insert(RequestId(id.clone()));
    if request.uri().path().contains("//") {
        // A router may see an empty parameter here; nobody should have to think about what that means.
        let error = ApiError::new(StatusCode::NOT_FOUND, "Not Found", "route.unknown", "The path has an empty segment");
        return finish(error.into_response(), &id);
    }
    let answered = tokio::time::timeout(state.timeout(), Caught(Box::pin(next.run(request)))).await;
    let response = match answered {
        Ok(Ok(response)) => response,
        Ok(Err(Panicked)) => ApiError::internal("a handler panicked").into_response(),
        Err(_) => {
            let message =
                "The call took too long. What it changed, if anything, is on record; look before you repeat it";
            ApiError::new(StatusCode::GATEWAY_TIMEOUT, "GatewayTimeoutError", "timeout", message).into_response()
        }
    };
    let response = finish(response, &id);
    tracing::info!(
        target: "chancery::access",
        req_id = %id,
        method = %method,
        // The pattern, not the path: what strangers put into a URL stays out of the log.
        path = path.as_ref().map_or("(none)", MatchedPath::as_str),
        status = response.status().as_u16(),
        ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
    );
    response
}

/// Writes the error body and the headers that every answer carries.
fn finish(mut response: Response, id: &str) -> Response {
    if let Some(error) = response.extensions_mut().remove::<ApiError>() {
        if let Some(text) = error.operator_text() {
            tracing::error!(req_id = %id, code = error.code(), "{text}");
        }
        let body = serde_json::to_vec(&error.body(id)).unwrap_or_default();
        *response.body_mut() = Body::from(body);
        response
            .headers_mut()
            .insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json; charset=utf-8"));
    }
    let headers = response.headers_mut();
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if let Ok(id) = HeaderValue::from_str(id) {
        headers.insert("x-request-id", id);
    }
    if !headers.contains_key(header::CACHE_CONTROL) {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    response
}

struct Panicked;

/// A future whose panic becomes a value, so that one broken call does not take its connection down.
struct Caught<F>(Pin<Box<F>>);

impl<F: Future> Future for Caught<F> {
    type Output = Result<F::Output, Panicked>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let inner = self.0.as_mut();
        match catch_unwind(AssertUnwindSafe(|| inner.poll(context))) {
            Ok(poll) => poll.map(Ok),
            Err(_) => Poll::Ready(Err(Panicked)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_becomes_a_value() {
        let caught = Caught(Box::pin(async {
            if std::hint::black_box(true) {
                panic!("on purpose")
            }
        }))
        .await;
        assert!(caught.is_err());
        assert!(matches!(Caught(Box::pin(async { 5 })).await, Ok(5)));
    }

    #[test]
    fn an_error_gets_its_body_and_every_answer_its_headers() {
        let response = finish(ApiError::not_found("CA", "x").into_response(), "req-7");
        assert_eq!(response.status(), 404);
        assert_eq!(response.headers()[header::CACHE_CONTROL], "no-store");
        assert_eq!(response.headers()[header::X_CONTENT_TYPE_OPTIONS], "nosniff");
        assert!(response.headers()[header::CONTENT_TYPE].to_str().unwrap().starts_with("application/json"));
    }
}
