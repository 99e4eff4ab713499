//! A TLS server on loopback that answers as a test wants, and keeps what it was asked.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::Value;
use tokio_rustls::TlsAcceptor;

use crate::pki::Ca;

/// What was asked.
#[derive(Clone, Debug)]
pub struct Asked {
    pub method: Method,
    /// With the query.
    pub path: String,
    pub headers: HeaderMap,
    /// `Null` without a body, or with one that is not JSON.
    pub body: Value,
    pub raw: Bytes,
}

impl Asked {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

/// Status, headers, body.
pub struct Reply(pub u16, pub Vec<(&'static str, String)>, pub String);

impl Reply {
    pub fn json(status: u16, body: &Value) -> Self {
        Self(status, vec![("content-type", "application/json".to_owned())], body.to_string())
    }

    pub fn text(status: u16, body: impl Into<String>) -> Self {
        Self(status, Vec::new(), body.into())
    }
}

type Answering = Box<dyn FnMut(&Asked) -> Reply + Send>;

#[derive(Clone)]
struct Shared {
    asked: Arc<Mutex<Vec<Asked>>>,
    answering: Arc<Mutex<Answering>>,
}

pub struct StandIn {
    port: u16,
    ca: Ca,
    shared: Shared,
}

impl StandIn {
    pub async fn start(answering: impl FnMut(&Asked) -> Reply + Send + 'static) -> Self {
        let ca = Ca::new("Stand-in root");
        let pair = ca.issue("127.0.0.1", "IP:127.0.0.1,DNS:localhost", "serverAuth");
        let certificate = CertificateDer::from_pem_slice(pair.certificate.as_bytes()).unwrap();
        let key = PrivateKeyDer::from_pem_slice(pair.private_key.as_bytes()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate], key)
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = Shared { asked: Arc::default(), answering: Arc::new(Mutex::new(Box::new(answering))) };
        let router = Router::new().fallback(answer).with_state(shared.clone());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, service) = (acceptor.clone(), TowerToHyperService::new(router.clone()));
                tokio::spawn(async move {
                    if let Ok(stream) = acceptor.accept(stream).await {
                        let _ = hyper::server::conn::http1::Builder::new()
                            .serve_connection(TokioIo::new(stream), service)
                            .await;
                    }
                });
            }
        });
        Self { port, ca, shared }
    }

    pub fn url(&self) -> String {
        format!("https://127.0.0.1:{}", self.port)
    }

    pub fn ca_pem(&self) -> Vec<u8> {
        self.ca.certificate().into_bytes()
    }

    /// Everything so far.
    pub fn asked(&self) -> Vec<Asked> {
        self.shared.asked.lock().unwrap().clone()
    }
}

async fn answer(State(shared): State<Shared>, method: Method, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    let path = uri.path_and_query().map(ToString::to_string).unwrap_or_default();
    let raw = body;
    let is_json = headers.get("content-type").is_some_and(|it| it.as_bytes().ends_with(b"json"));
    let body = if is_json && !raw.is_empty() { serde_json::from_slice(&raw).unwrap() } else { Value::Null };
    let asked = Asked { method, path, headers, body, raw };
    shared.asked.lock().unwrap().push(asked.clone());
    let Reply(status, headers, body) = (shared.answering.lock().unwrap())(&asked);
    let mut response = (StatusCode::from_u16(status).unwrap(), body).into_response();
    for (name, value) in headers {
        response.headers_mut().insert(name, value.parse().unwrap());
    }
    response
}
