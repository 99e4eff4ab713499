//! The client against a listener on this machine.

use http::HeaderValue;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::*;

/// Answers every connection with these bytes; gives its port.
async fn sink(answer: &'static [u8]) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = [0; 4096];
            let _ = stream.read(&mut request).await;
            let _ = stream.write_all(answer).await;
        }
    });
    port
}

fn with_loopback() -> EgressPolicy {
    EgressPolicy {
        addresses: AddressPolicy::new(vec!["127.0.0.0/8".parse().unwrap(), "::1/128".parse().unwrap()], true),
        timeout: Duration::from_secs(5),
        // No test needs the system's certificates, and a bare machine has none.
        ca_bundle: Some(include_bytes!("test_root.pem").to_vec()),
        ..EgressPolicy::default()
    }
}

fn plain(url: &str) -> EgressRequest {
    EgressRequest { plain_http: true, ..EgressRequest::post(url.parse().unwrap(), HeaderMap::new(), "{}") }
}

#[tokio::test]
async fn inner_addresses_are_refused_in_every_spelling() {
    let port = sink(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
    let closed = Egress::new(EgressPolicy { addresses: AddressPolicy::default(), ..with_loopback() });
    for host in [
        "127.0.0.1",
        "127.1",
        "2130706433",
        "0x7f000001",
        "0177.0.0.1",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "localhost",
        "LOCALHOST.",
        "x.localhost",
        "169.254.169.254",
        "[fd00:ec2::254]",
        "0.0.0.0",
        "[::]",
        "10.0.0.1",
        "192.168.0.1",
        "[fe80::1]",
    ] {
        let refused = closed.send(plain(&format!("http://{host}:{port}/"))).await;
        assert_eq!(refused.err(), Some(EgressError::Denied), "{host}");
    }
}

#[tokio::test]
async fn a_name_that_leads_inside_is_refused_when_it_is_resolved() {
    let resolver = Guarded(AddressPolicy::default());
    let refused = resolver.resolve("localhost".parse().unwrap()).await;
    assert!(refused.err().is_some_and(|error| error.is::<Denied>()));
    let allowed = Guarded(with_loopback().addresses).resolve("localhost".parse().unwrap()).await;
    assert!(allowed.unwrap().all(|address| address.ip().is_loopback()));
}

#[tokio::test]
async fn plain_http_needs_to_be_asked_for_and_other_schemes_are_refused() {
    let egress = Egress::new(with_loopback());
    let port = sink(b"HTTP/1.1 204 No Content\r\n\r\n").await;
    for url in [format!("http://127.0.0.1:{port}/"), "ftp://1.1.1.1/".to_owned(), "file:///etc/passwd".to_owned()] {
        let refused = egress.post(url.parse().unwrap(), HeaderMap::new(), "").await;
        assert_eq!(refused.err(), Some(EgressError::Scheme), "{url}");
    }
    let answered = egress.send(plain(&format!("http://127.0.0.1:{port}/"))).await.unwrap();
    assert_eq!(answered.status, StatusCode::NO_CONTENT);
}

#[tokio::test]
async fn redirects_are_answers_and_long_bodies_are_cut() {
    let port =
        sink(b"HTTP/1.1 302 Found\r\nlocation: http://169.254.169.254/\r\ncontent-length: 6\r\n\r\nsecret").await;
    let egress = Egress::new(EgressPolicy { response_max: 3, ..with_loopback() });
    let answered = egress.send(plain(&format!("http://127.0.0.1:{port}/"))).await.unwrap();
    assert_eq!(answered.status, StatusCode::FOUND);
    assert_eq!(answered.headers.get("location"), Some(&HeaderValue::from_static("http://169.254.169.254/")));
    assert_eq!((answered.body.as_ref(), answered.truncated), (b"sec".as_slice(), true));
}

#[tokio::test]
async fn a_body_that_breaks_off_or_never_ends_leaves_the_answer() {
    let broken = sink(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nthank").await;
    let egress = Egress::new(with_loopback());
    let answered = egress.send(plain(&format!("http://127.0.0.1:{broken}/"))).await.unwrap();
    assert_eq!(
        (answered.status, answered.body.as_ref(), answered.truncated),
        (StatusCode::OK, b"thank".as_slice(), true)
    );

    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endless = listener.local_addr().unwrap().port();
    let hold = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let _ = stream.read(&mut [0; 4096]).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nthank").await.unwrap();
        std::future::pending::<()>().await;
    });
    let egress = Egress::new(EgressPolicy { timeout: Duration::from_millis(300), ..with_loopback() });
    let answered = egress.send(plain(&format!("http://127.0.0.1:{endless}/"))).await.unwrap();
    assert_eq!((answered.status, answered.truncated), (StatusCode::OK, true));
    hold.abort();
}

#[tokio::test]
async fn what_is_not_there_is_unreachable_and_what_is_silent_times_out() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let silent = listener.local_addr().unwrap().port();
    let egress = Egress::new(EgressPolicy { timeout: Duration::from_millis(300), ..with_loopback() });
    let timed_out = egress.send(plain(&format!("http://127.0.0.1:{silent}/"))).await;
    assert_eq!(timed_out.err(), Some(EgressError::Timeout));
    drop(listener);
    let gone = egress.send(plain(&format!("http://127.0.0.1:{silent}/hidden"))).await.unwrap_err();
    assert!(matches!(gone, EgressError::Unreachable(_)), "{gone:?}");
    assert_eq!(gone.to_string(), "unreachable");
    assert!(!gone.detail().contains("hidden"), "{}", gone.detail());
}
