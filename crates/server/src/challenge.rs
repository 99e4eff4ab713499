//! The two listeners that prove to an external ACME CA that a name leads to this server: HTTP-01 here (RFC 8555 §8.3),
//! TLS-ALPN-01 in [`tls`] (RFC 8737).
//!
//! They answer strangers, so they say nothing but the key authorizations that orders under way have published, and each
//! question costs one look into the store.

pub mod tls;

use std::future::Future;
use std::net::{IpAddr, Ipv4Addr};
use std::pin::Pin;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::response::{IntoResponse as _, Response};
use chancery_api::{Limiter, Peer};
use chancery_model::external::ChallengeKind;
use http::{HeaderValue, Method, StatusCode, header};

const PATH: &str = "/.well-known/acme-challenge/";

/// RFC 8555 §8.3 asks for 128 bits at least, which is 22 characters; longer ones are a CA's taste.
const TOKEN_CHARACTERS_MAX: usize = 256;

pub type Answers = Pin<Box<dyn Future<Output = Option<Vec<String>>> + Send>>;

/// Where key authorizations are looked up, by the challenge's kind and name; `None` if they cannot be now.
pub type Lookup = Arc<dyn Fn(ChallengeKind, String) -> Answers + Send + Sync>;

/// What both listeners answer from.
#[derive(Clone)]
pub struct Challenges {
    pub lookup: Lookup,
    /// For each address: everything here is unauthenticated.
    pub limiter: Option<Arc<Limiter>>,
}

impl Challenges {
    /// What was published last: a CA that is looking now was told to look by the newest order.
    async fn newest(&self, kind: ChallengeKind, name: &str) -> Result<Option<String>, Unavailable> {
        let found = (self.lookup)(kind, name.to_owned()).await.ok_or(Unavailable)?;
        Ok(found.into_iter().next_back())
    }

    fn permits(&self, peer: IpAddr) -> bool {
        self.limiter.as_ref().is_none_or(|limiter| limiter.take(peer).is_ok())
    }
}

/// The store cannot be asked.
#[derive(Clone, Copy, Debug)]
struct Unavailable;

/// HTTP-01, and nothing else: whatever is not a published token is not found.
pub fn router(challenges: Challenges) -> Router {
    Router::new().fallback(answer).with_state(challenges)
}

async fn answer(State(challenges): State<Challenges>, request: Request) -> Response {
    let peer = request.extensions().get::<Peer>().map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.0);
    if !challenges.permits(peer) {
        return plain(StatusCode::TOO_MANY_REQUESTS, "Too many calls; try again later\n");
    }
    let Some(token) = token(request.method(), request.uri().path()) else { return not_found() };
    match challenges.newest(ChallengeKind::Http01, token).await {
        Ok(Some(authorization)) => {
            tracing::debug!(%peer, "An HTTP-01 challenge was answered.");
            let octets = (header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
            (StatusCode::OK, [octets, NOT_KEPT, NOT_GUESSED], authorization).into_response()
        }
        Ok(None) => not_found(),
        Err(Unavailable) => plain(StatusCode::SERVICE_UNAVAILABLE, "Try again later\n"),
    }
}

const NOT_KEPT: (header::HeaderName, HeaderValue) = (header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
const NOT_GUESSED: (header::HeaderName, HeaderValue) =
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));

fn plain(status: StatusCode, text: &'static str) -> Response {
    (status, [NOT_KEPT, NOT_GUESSED], text).into_response()
}

fn not_found() -> Response {
    plain(StatusCode::NOT_FOUND, "There is nothing here\n")
}

/// The token of a path: base64url as it stands there, so that no escape spells another.
fn token<'a>(method: &Method, path: &'a str) -> Option<&'a str> {
    let token = path.strip_prefix(PATH).filter(|_| method == Method::GET)?;
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    let good = (1..=TOKEN_CHARACTERS_MAX).contains(&token.len()) && token.bytes().all(allowed);
    good.then_some(token)
}

#[cfg(test)]
mod tests {
    use axum::body::{Body, to_bytes};
    use chancery_api::RateLimit;
    use tower::ServiceExt as _;

    use super::*;

    /// Knows one challenge of each kind; `broken` cannot be looked up.
    pub fn challenges() -> Challenges {
        let lookup: Lookup = Arc::new(|kind, name| {
            Box::pin(async move {
                match (kind, name.as_str()) {
                    (ChallengeKind::Http01, "tok-en_1") => {
                        Some(vec!["tok-en_1.old".to_owned(), "tok-en_1.new".to_owned()])
                    }
                    (ChallengeKind::TlsAlpn01, "www.acme.test" | "7.2.0.192.in-addr.arpa") => {
                        Some(vec![format!("{name}.authorization")])
                    }
                    (_, "broken") => None,
                    _ => Some(Vec::new()),
                }
            })
        });
        Challenges { lookup, limiter: None }
    }

    async fn ask(router: Router, method: &str, path: &str) -> (u16, String, Option<String>) {
        let request = Request::builder().method(method).uri(path).body(Body::empty()).unwrap();
        let response = router.oneshot(request).await.unwrap();
        let kind = response.headers().get(header::CONTENT_TYPE).map(|it| it.to_str().unwrap().to_owned());
        let status = response.status().as_u16();
        let body = to_bytes(response.into_body(), 1_024).await.unwrap();
        (status, String::from_utf8(body.to_vec()).unwrap(), kind)
    }

    #[tokio::test]
    async fn a_published_token_is_answered_with_its_newest_key_authorization_and_nothing_else_is_there() {
        let (status, body, kind) = ask(router(challenges()), "GET", "/.well-known/acme-challenge/tok-en_1").await;
        assert_eq!((status, body.as_str()), (200, "tok-en_1.new"));
        assert_eq!(kind.as_deref(), Some("application/octet-stream"));
        let long = format!("{PATH}{}", "a".repeat(TOKEN_CHARACTERS_MAX + 1));
        for (method, path, expected) in [
            ("GET", "/.well-known/acme-challenge/other", 404),
            ("GET", "/.well-known/acme-challenge/www.acme.test", 404),
            ("GET", "/.well-known/acme-challenge/tok%2Den_1", 404),
            ("GET", "/.well-known/acme-challenge/", 404),
            ("GET", "/.well-known/acme-challenge/tok-en_1/", 404),
            ("GET", "/.well-known/acme-challenge/../tok-en_1", 404),
            ("GET", long.as_str(), 404),
            ("POST", "/.well-known/acme-challenge/tok-en_1", 404),
            ("GET", "/", 404),
            ("GET", "/healthz", 404),
            ("GET", "/.well-known/acme-challenge/broken", 503),
        ] {
            let (status, body, _) = ask(router(challenges()), method, path).await;
            assert_eq!(status, expected, "{method} {path}");
            assert!(!body.contains("tok-en_1."), "{method} {path}: {body}");
        }
    }

    #[tokio::test]
    async fn an_address_that_asks_too_often_waits() {
        let limiter = Some(Arc::new(Limiter::new(RateLimit { per_second: 0.001, burst: 2.0 })));
        let router = router(Challenges { limiter, ..challenges() });
        let mut statuses = Vec::new();
        for _ in 0..3 {
            statuses.push(ask(router.clone(), "GET", "/.well-known/acme-challenge/tok-en_1").await.0);
        }
        assert_eq!(statuses, [200, 200, 429]);
    }
}
