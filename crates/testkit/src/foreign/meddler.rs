//! Somebody in the middle: passes questions on to a service and its answers back, writes both down, and spoils what a test
//! wants spoilt. URLs are not rewritten: services that build them from the `Host` header, as Pebble does, are told this
//! one's.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use reqwest::Client;
use serde_json::Value;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

use super::webhook::acceptor;
use super::{Loopback, must};

const BODY_MAX: usize = 1024 * 1024;

/// What becomes of one exchange.
pub enum Meddling {
    Pass,
    /// An answer without asking.
    Answer {
        status: u16,
        headers: Vec<(&'static str, String)>,
        body: String,
    },
    /// The question is lost.
    CutBefore,
    /// The service has done it, then this happens, and nobody hears the answer.
    CutAfter(Box<dyn FnOnce() + Send>),
    /// The question arrives later.
    Delay(Duration),
    /// The answer arrives when the test says so ([`Meddler::let_go`]).
    Hold,
    /// Another body in place of the service's, if it did as asked.
    Rewrite(Box<dyn FnOnce(String) -> String + Send>),
}

/// A question, and the answer if the service was asked.
#[derive(Clone, Debug)]
pub struct Exchange {
    pub method: String,
    pub path: String,
    pub question: String,
    /// The service's own, whatever became of it on the way back.
    pub status: Option<u16>,
    pub answer: String,
}

impl Exchange {
    /// Whether this is a part of the path: `order-plz`, `finalize-order`, `certZ`.
    #[must_use]
    pub fn is_at(&self, part: &str) -> bool {
        self.path.split('/').any(|it| it == part)
    }

    /// Whether the service did as asked.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.status.is_some_and(|it| (200..300).contains(&it))
    }
}

/// Decides about an exchange, which it is shown before the service is asked.
pub type Plan = Arc<dyn Fn(&Exchange) -> Meddling + Send + Sync>;

pub struct Meddler {
    tls: Loopback,
    address: SocketAddr,
    state: Arc<State>,
    serving: JoinHandle<()>,
}

struct State {
    client: Client,
    /// Of the service: scheme and authority.
    service: String,
    plan: Mutex<Plan>,
    exchanges: Mutex<Vec<Exchange>>,
    /// Counts up with each release of what was held.
    released: watch::Sender<u64>,
    /// While set, no question goes anywhere.
    closed: watch::Sender<bool>,
}

impl Meddler {
    /// In front of the service that the URL leads to, whose TLS certificate this CA vouches for.
    pub async fn start(service_url: &str, service_ca_pem: &str) -> Self {
        let tls = Loopback::make();
        let acceptor = acceptor(&tls);
        let listener = must("a socket", TcpListener::bind("127.0.0.1:0").await);
        let address = must("its address", listener.local_addr());
        let root = must("the CA's certificate", reqwest::Certificate::from_pem(service_ca_pem.as_bytes()));
        // A connection for each question: one that was cut or killed must not spoil the next.
        let client = Client::builder().tls_certs_only([root]).no_proxy().http1_only().pool_max_idle_per_host(0);
        let url = must(service_url, reqwest::Url::parse(service_url));
        let state = Arc::new(State {
            client: must("a client", client.build()),
            service: url.origin().ascii_serialization(),
            plan: Mutex::new(Arc::new(|_| Meddling::Pass)),
            exchanges: Mutex::default(),
            released: watch::Sender::new(0),
            closed: watch::Sender::new(false),
        });
        let shared = Arc::clone(&state);
        let serving = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, acceptor.clone(), Arc::clone(&shared)));
            }
        });
        Self { tls, address, state, serving }
    }

    /// Where a path of the service is found through this.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        format!("https://{}{path}", self.address)
    }

    #[must_use]
    pub fn ca_pem(&self) -> &str {
        &self.tls.ca_pem
    }

    /// What is done from now on.
    pub fn plan(&self, plan: Plan) {
        *self.state.plan.lock().unwrap_or_else(PoisonError::into_inner) = plan;
    }

    /// Nothing is spoilt any more.
    pub fn behave(&self) {
        self.plan(Arc::new(|_| Meddling::Pass));
    }

    /// Questions wait here from now on, or go on again. They are planned when they go on.
    pub fn close(&self, closed: bool) {
        self.state.closed.send_replace(closed);
    }

    /// Gives back the answers that were held so far.
    pub fn let_go(&self) {
        self.state.released.send_modify(|count| *count += 1);
    }

    /// Everything that passed here, in the order in which the questions came.
    #[must_use]
    pub fn exchanges(&self) -> Vec<Exchange> {
        self.state.exchanges.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Meddler {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// Closes the connection without a word.
#[derive(Debug)]
struct Cut;

impl std::fmt::Display for Cut {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        to.write_str("cut")
    }
}

impl std::error::Error for Cut {}

async fn serve(stream: TcpStream, acceptor: TlsAcceptor, state: Arc<State>) {
    let Ok(Ok(stream)) = tokio::time::timeout(Duration::from_secs(10), acceptor.accept(stream)).await else { return };
    let service = service_fn(move |request| {
        let state = Arc::clone(&state);
        // What was asked is done even if whoever asked has died meanwhile.
        async move { tokio::spawn(async move { state.exchange(request).await }).await.unwrap_or(Err(Cut)) }
    });
    http1::Builder::new().keep_alive(false).serve_connection(TokioIo::new(stream), service).await.ok();
}

impl State {
    async fn exchange(&self, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Cut> {
        let (head, body) = request.into_parts();
        let body = Limited::new(body, BODY_MAX).collect().await.map_err(|_| Cut)?.to_bytes();
        let mut closed = self.closed.subscribe();
        closed.wait_for(|closed| !closed).await.map_err(|_| Cut)?;
        let path = head.uri.path_and_query().map_or("/", |it| it.as_str()).to_owned();
        let exchange = Exchange {
            method: head.method.to_string(),
            path: path.clone(),
            question: String::from_utf8_lossy(&body).into_owned(),
            status: None,
            answer: String::new(),
        };
        let number = {
            let mut all = self.exchanges.lock().unwrap_or_else(PoisonError::into_inner);
            all.push(exchange.clone());
            all.len() - 1
        };
        let plan = Arc::clone(&self.plan.lock().unwrap_or_else(PoisonError::into_inner));
        let meddling = plan(&exchange);
        match meddling {
            Meddling::Answer { status, headers, body } => return Ok(made_up(status, headers, body)),
            Meddling::CutBefore => return Err(Cut),
            Meddling::Delay(time) => tokio::time::sleep(time).await,
            _ => {}
        }
        let mut released = self.released.subscribe();
        released.mark_unchanged();
        let (status, headers, answer) = self.ask(head.method, &path, &head.headers, body).await?;
        {
            let mut all = self.exchanges.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(known) = all.get_mut(number) {
                (known.status, known.answer) = (Some(status.as_u16()), String::from_utf8_lossy(&answer).into_owned());
            }
        }
        match meddling {
            Meddling::CutAfter(then) => {
                then();
                Err(Cut)
            }
            Meddling::Hold => {
                released.changed().await.map_err(|_| Cut)?;
                Ok(passed_on(status, headers, answer))
            }
            Meddling::Rewrite(rewrite) if status.is_success() => {
                let text = rewrite(String::from_utf8_lossy(&answer).into_owned());
                Ok(passed_on(status, headers, Bytes::from(text)))
            }
            _ => Ok(passed_on(status, headers, answer)),
        }
    }

    /// The service's answer, with its headers except those that belong to the connection.
    async fn ask(
        &self,
        method: http::Method,
        path: &str,
        headers: &HeaderMap,
        body: Bytes,
    ) -> Result<(StatusCode, HeaderMap, Bytes), Cut> {
        let mut request = self.client.request(method, format!("{}{path}", self.service)).body(body);
        for (name, value) in headers {
            if !is_of_connection(name) {
                request = request.header(name, value);
            }
        }
        let answer = request.send().await.map_err(|_| Cut)?;
        let (status, headers) = (answer.status(), answer.headers().clone());
        Ok((status, headers, answer.bytes().await.map_err(|_| Cut)?))
    }
}

fn is_of_connection(name: &HeaderName) -> bool {
    ["connection", "content-length", "transfer-encoding", "keep-alive"].contains(&name.as_str())
}

fn passed_on(status: StatusCode, mut headers: HeaderMap, body: Bytes) -> Response<Full<Bytes>> {
    for name in ["connection", "content-length", "transfer-encoding", "keep-alive"] {
        headers.remove(name);
    }
    let mut response = Response::new(Full::from(body));
    (*response.status_mut(), *response.headers_mut()) = (status, headers);
    response
}

fn made_up(status: u16, headers: Vec<(&'static str, String)>, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(body));
    *response.status_mut() = must("a status", StatusCode::from_u16(status));
    for (name, value) in headers {
        let value = must(name, HeaderValue::from_str(&value));
        response.headers_mut().insert(HeaderName::from_static(name), value);
    }
    response
}

/// A problem document of an ACME CA (RFC 8555 §6.7).
#[must_use]
pub fn acme_problem(status: u16, kind: &str, detail: &str) -> Meddling {
    let kind = format!("urn:ietf:params:acme:error:{kind}");
    let body: Value = serde_json::json!({ "type": kind, "detail": detail, "status": status });
    let headers = vec![("content-type", "application/problem+json".to_owned())];
    Meddling::Answer { status, headers, body: body.to_string() }
}
