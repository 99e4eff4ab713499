//! The listener over real sockets, with a router of its own.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Extension;
use axum::routing::get;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use super::*;

const LIMITS: Limits = Limits {
    connections_max: 64,
    header_bytes_max: 8_192,
    header_timeout: Duration::from_secs(60),
    stop_timeout: Duration::from_secs(60),
    failed_calls_per_second: 0,
    repository_calls_per_second: 0,
};
const REQUEST: &str = "GET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";

struct Served {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    serving: JoinHandle<()>,
}

async fn serve(router: Router, limits: Limits, trusted_proxies: Vec<Network>) -> Served {
    let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = tcp.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel();
    let listener = Listener { router, tls: None, trusted_proxies, limits };
    Served { address, stop, serving: tokio::spawn(listener.serve(tcp, stopped)) }
}

fn hello() -> Router {
    Router::new().route("/", get(|Extension(peer): Extension<Peer>| async move { peer.0.to_string() }))
}

async fn exchange(address: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.ok();
    String::from_utf8(answer).unwrap()
}

#[tokio::test]
async fn the_caller_is_the_connection_or_whom_a_trusted_proxy_names() {
    let forwarded = REQUEST.replace("connection:", "x-forwarded-for: 198.51.100.7\r\nconnection:");
    for (trusted, expected) in [(vec![], "127.0.0.1"), (vec![Network::LOOPBACK_V4], "198.51.100.7")] {
        let served = serve(hello(), LIMITS, trusted).await;
        let answer = exchange(served.address, &forwarded).await;
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with(expected), "{answer}");
    }
}

#[tokio::test]
async fn headers_beyond_the_limit_are_answered_431() {
    let served = serve(hello(), LIMITS, Vec::new()).await;
    for (padding, status) in [(7_000, "HTTP/1.1 200 "), (8_192, "HTTP/1.1 431 ")] {
        let request = REQUEST.replace("connection:", &format!("x: {}\r\nconnection:", "a".repeat(padding)));
        let answer = exchange(served.address, &request).await;
        assert!(answer.starts_with(status), "{padding}: {answer}");
    }
    let long_line = format!("GET /{} HTTP/1.1\r\nhost: localhost\r\n\r\n", "a".repeat(8_192));
    assert!(exchange(served.address, &long_line).await.starts_with("HTTP/1.1 431 "));
}

#[tokio::test]
async fn headers_that_never_end_and_idle_connections_are_closed() {
    let limits = Limits { header_timeout: Duration::from_millis(50), ..LIMITS };
    let served = serve(hello(), limits, Vec::new()).await;
    for request in ["", "GET / HTTP/1.1\r\nhost:", &REQUEST.replace("close", "keep-alive")] {
        // Reading to the end returns only when the server closes.
        let answer = exchange(served.address, request).await;
        assert!(!answer.contains(" 500 "), "{request:?}: {answer}");
    }
}

#[tokio::test]
async fn no_more_connections_are_served_at_once_than_allowed() {
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (counted, highest) = (Arc::clone(&now), Arc::clone(&most));
    let router = Router::new().route(
        "/",
        get(move || async move {
            highest.fetch_max(counted.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            for _ in 0..100 {
                tokio::task::yield_now().await;
            }
            counted.fetch_sub(1, Ordering::SeqCst);
            "done"
        }),
    );
    let served = serve(router, Limits { connections_max: 2, ..LIMITS }, Vec::new()).await;
    let mut clients = JoinSet::new();
    for _ in 0..12 {
        clients.spawn(exchange(served.address, REQUEST));
    }
    for answer in clients.join_all().await {
        assert!(answer.ends_with("done"), "{answer}");
    }
    assert_eq!(most.load(Ordering::SeqCst), 2);
}

/// A route that says when it was entered and waits until it is let go.
fn gate() -> (Router, Arc<Notify>, Arc<Notify>) {
    let (entered, release) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (said, awaited) = (Arc::clone(&entered), Arc::clone(&release));
    let route = get(move || async move {
        said.notify_one();
        awaited.notified().await;
        "finished"
    });
    (Router::new().route("/", route), entered, release)
}

#[tokio::test]
async fn a_stop_lets_running_requests_finish_and_takes_no_new_ones() {
    let (router, entered, release) = gate();
    let Served { address, stop, serving } = serve(router, LIMITS, Vec::new()).await;
    let request = REQUEST.replace("close", "keep-alive");
    let running = tokio::spawn(async move { exchange(address, &request).await });
    entered.notified().await;
    stop.send(()).unwrap();
    while TcpStream::connect(address).await.is_ok() {
        tokio::task::yield_now().await;
    }
    release.notify_one();
    assert!(running.await.unwrap().ends_with("finished"));
    serving.await.unwrap();
}

#[tokio::test]
async fn a_request_that_does_not_finish_is_cut_off() {
    let (router, entered, _release) = gate();
    let limits = Limits { stop_timeout: Duration::from_millis(20), ..LIMITS };
    let Served { address, stop, serving } = serve(router, limits, Vec::new()).await;
    let running = tokio::spawn(exchange(address, REQUEST));
    entered.notified().await;
    drop(stop);
    serving.await.unwrap();
    assert_eq!(running.await.unwrap(), "");
}
