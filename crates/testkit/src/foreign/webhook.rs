//! The receiver of a DNS webhook, as a user would write one: it checks the signature and has the records made, here by
//! [`ChallTestSrv`].

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_lc_rs::hmac;
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::Value;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

use super::challtest::Management;
use super::{ChallTestSrv, Loopback, must};

const BODY_MAX: usize = 64 * 1024;

pub struct DnsWebhook {
    tls: Loopback,
    address: SocketAddr,
    state: Arc<State>,
    serving: JoinHandle<()>,
}

struct State {
    secret: String,
    management: Management,
    /// What was asked for and believed, in order.
    received: Mutex<Vec<Value>>,
    /// The TXT values of each name that are there now.
    records: tokio::sync::Mutex<BTreeMap<String, Vec<String>>>,
    /// The status of every answer, in place of doing what was asked.
    refusal: Mutex<Option<StatusCode>>,
}

impl DnsWebhook {
    /// Believes what is signed with the secret.
    pub async fn start(dns: &ChallTestSrv, secret: &str) -> Self {
        let tls = Loopback::make();
        let acceptor = acceptor(&tls);
        let listener = must("a socket", TcpListener::bind("127.0.0.1:0").await);
        let address = must("its address", listener.local_addr());
        let state = Arc::new(State {
            secret: secret.to_owned(),
            management: dns.management(),
            received: Mutex::default(),
            records: tokio::sync::Mutex::default(),
            refusal: Mutex::default(),
        });
        let shared = Arc::clone(&state);
        let serving = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, acceptor.clone(), Arc::clone(&shared)));
            }
        });
        Self { tls, address, state, serving }
    }

    #[must_use]
    pub fn url(&self) -> String {
        format!("https://{}/dns", self.address)
    }

    #[must_use]
    pub fn ca_pem(&self) -> &str {
        &self.tls.ca_pem
    }

    /// What was asked for so far.
    #[must_use]
    pub fn received(&self) -> Vec<Value> {
        self.state.received.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The records that are there now: none, once everything has been tidied away.
    pub async fn records(&self) -> BTreeMap<String, Vec<String>> {
        self.state.records.lock().await.clone()
    }

    /// Answers with this status from now on, and does nothing; `None` ends that.
    pub fn refuse(&self, status: Option<u16>) {
        let status = status.and_then(|status| StatusCode::from_u16(status).ok());
        *self.state.refusal.lock().unwrap_or_else(PoisonError::into_inner) = status;
    }
}

impl Drop for DnsWebhook {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

pub(super) fn acceptor(tls: &Loopback) -> TlsAcceptor {
    let certificate = must("a certificate", CertificateDer::from_pem_slice(tls.certificate_pem.as_bytes()));
    let key = must("a key", PrivateKeyDer::from_pem_slice(tls.key_pem.as_bytes()));
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = must("TLS", builder).with_no_client_auth().with_single_cert(vec![certificate], key);
    TlsAcceptor::from(Arc::new(must("TLS", config)))
}

async fn serve(stream: TcpStream, acceptor: TlsAcceptor, state: Arc<State>) {
    let Ok(Ok(stream)) = tokio::time::timeout(Duration::from_secs(10), acceptor.accept(stream)).await else { return };
    let service = service_fn(move |request| {
        let state = Arc::clone(&state);
        async move { Ok::<_, Infallible>(state.respond(request).await) }
    });
    http1::Builder::new().serve_connection(TokioIo::new(stream), service).await.ok();
}

impl State {
    async fn respond(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let (status, text) = match self.accept(request).await {
            Ok(()) => (StatusCode::OK, ""),
            Err(refusal) => refusal,
        };
        let mut response = Response::new(Full::from(text));
        *response.status_mut() = status;
        response
    }

    async fn accept(&self, request: Request<Incoming>) -> Result<(), (StatusCode, &'static str)> {
        let signature = request.headers().get("x-chancery-signature").and_then(|it| it.to_str().ok());
        let signature = signature.unwrap_or_default().to_owned();
        let body = Limited::new(request.into_body(), BODY_MAX).collect().await;
        let body = body.map_err(|_| (StatusCode::BAD_REQUEST, "unreadable"))?.to_bytes();
        if !self.believes(&signature, &body) {
            return Err((StatusCode::UNAUTHORIZED, "the signature is wrong"));
        }
        if let Some(status) = *self.refusal.lock().unwrap_or_else(PoisonError::into_inner) {
            return Err((status, "not now"));
        }
        let order: Value = serde_json::from_slice(&body).map_err(|_| (StatusCode::BAD_REQUEST, "no JSON"))?;
        self.received.lock().unwrap_or_else(PoisonError::into_inner).push(order.clone());
        let text = |key: &str| order.get(key).and_then(Value::as_str).unwrap_or_default();
        match text("action") {
            "test" => Ok(()),
            "set" => self.change(text("name"), text("value"), true).await,
            "remove" => self.change(text("name"), text("value"), false).await,
            _ => Err((StatusCode::BAD_REQUEST, "unknown action")),
        }
    }

    /// `t=<seconds>,v1=<hex HMAC-SHA-256 over "<t>.<body>">`. The clock of a test stands anywhere, so the time is not
    /// held against this machine's.
    fn believes(&self, signature: &str, body: &[u8]) -> bool {
        let Some((time, tag)) = signature.strip_prefix("t=").and_then(|rest| rest.split_once(",v1=")) else {
            return false;
        };
        let key = hmac::Key::new(hmac::HMAC_SHA256, self.secret.as_bytes());
        let message = [time.as_bytes(), b".", body].concat();
        hex::decode(tag).is_ok_and(|tag| hmac::verify(&key, &message, &tag).is_ok())
    }

    async fn change(&self, name: &str, value: &str, set: bool) -> Result<(), (StatusCode, &'static str)> {
        let name = format!("{}.", name.trim_end_matches('.').to_lowercase());
        let mut records = self.records.lock().await;
        let values = records.entry(name.clone()).or_default();
        values.retain(|it| it != value);
        if set {
            values.push(value.to_owned());
        }
        let values = values.clone();
        records.retain(|_, values| !values.is_empty());
        // The server knows how to add one and how to remove all.
        self.management.clear_txt(&name).await;
        for value in &values {
            self.management.set_txt(&name, value).await;
        }
        Ok(())
    }
}
