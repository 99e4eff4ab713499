//! Around every call: its request id, its time limit, its log line, a net for panics, the headers that tell a browser what
//! it must not do, and the page of an error that nobody else has written.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderValue, StatusCode, header};

use crate::error::WebError;
use crate::frame::error_page;
use crate::gate::theme;
use crate::sign_in::plain_frame;
use crate::state::WebState;

/// A page that takes longer is given up; what was changed by then is on record.
const PAGE_TIMEOUT: Duration = Duration::from_secs(90);

/// Scripts, styles and forms of this origin only, nothing inline, no frame around it.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
     connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

/// The id of a call; a request extension.
#[derive(Clone, Debug)]
pub(crate) struct RequestId(pub String);

/// An error whose page is already written; what it tells the log goes along as a response extension.
#[derive(Clone, Debug)]
pub(crate) struct Told(pub WebError);

pub(crate) async fn observe(State(state): State<WebState>, mut request: Request, next: Next) -> Response {
    let started = Instant::now();
    let id = format!("ui-{}", state.nonce());
    let method = request.method().clone();
    let path = request.extensions().get::<MatchedPath>().cloned();
    let theme = theme(request.headers(), state.is_https());
    request.extensions_mut().insert(RequestId(id.clone()));
    let answered = tokio::time::timeout(PAGE_TIMEOUT, Caught(Box::pin(next.run(request)))).await;
    let mut response = match answered {
        Ok(Ok(response)) => response,
        Ok(Err(Panicked)) => WebError::internal("a page panicked").into_response(),
        Err(_) => WebError::new(
            StatusCode::GATEWAY_TIMEOUT,
            "That took too long",
            "The server gave up on this page. What it changed, if anything, is on record.",
            "Look at the present state before you repeat it.",
        )
        .into_response(),
    };
    if let Some(error) = response.extensions_mut().remove::<WebError>() {
        response = error_page(&error, plain_frame("", theme, state.authority().now()), &id);
        response.extensions_mut().insert(Told(error));
    }
    if let Some(Told(error)) = response.extensions_mut().remove::<Told>()
        && let Some(text) = &error.fault().operator_text
    {
        tracing::error!(req_id = %id, "{text}");
    }
    harden(response.headers_mut(), state.is_https());
    tracing::info!(
        target: "chancery::access",
        req_id = %id,
        method = %method,
        // The pattern, not the path: what strangers put into an address stays out of the log.
        path = path.as_ref().map_or("(none)", MatchedPath::as_str),
        status = response.status().as_u16(),
        ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
    );
    response
}

fn harden(headers: &mut HeaderMap, is_https: bool) {
    let mut set = |name, value| headers.insert(name, HeaderValue::from_static(value));
    set(header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY);
    set(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    set(header::X_FRAME_OPTIONS, "DENY");
    // A link out of the UI does not tell where it was found: the address may hold a name.
    set(header::REFERRER_POLICY, "same-origin");
    set(header::HeaderName::from_static("cross-origin-opener-policy"), "same-origin");
    set(header::HeaderName::from_static("cross-origin-resource-policy"), "same-origin");
    set(header::HeaderName::from_static("permissions-policy"), "camera=(), geolocation=(), microphone=()");
    if is_https {
        set(header::STRICT_TRANSPORT_SECURITY, "max-age=31536000");
    }
    if !headers.contains_key(header::CACHE_CONTROL) {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
}

struct Panicked;

/// A future whose panic becomes a value, so that one broken page does not take its connection down.
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
