//! What reaches the door before anybody looks at certificates: bodies, JSON, headers and paths.

use chancery_pkix::KeyAlgorithm;
use chancery_testkit::world::{Session, World, certification_request};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::{CERTIFICATES, Desk, Refusal, SCHEMA, bad_request, check_refusal};

const LOGIN: &str = "/api/v1/auth/universal-auth/login";
const JSON: (&str, &str) = ("content-type", "application/json");
const TOO_LARGE: Refusal = Refusal { status: 413, error: "PayloadTooLarge", code: "body.too_large" };
const MEDIA_TYPE: Refusal = Refusal { status: 415, error: "UnsupportedMediaType", code: "body.media_type" };
const NO_SESSION: Refusal = Refusal { status: 401, error: "UnauthorizedError", code: "auth.required" };

async fn posts(session: &Session, path: &str, headers: &[(&str, &str)], body: Vec<u8>) -> (u16, Value) {
    let response = session.raw(Method::POST, path, headers, body).await;
    let status = response.status().as_u16();
    let text = response.text().await.unwrap();
    (status, serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text:.200}")))
}

#[tokio::test]
async fn a_body_beyond_the_limit_is_not_read() {
    let desk = Desk::open().await;
    let csr = certification_request("www.acme.test", &[], KeyAlgorithm::EcP256).0;
    let body = json!({"profileId": desk.open, "csr": format!("{csr}{}", "\n".repeat(10 << 20))});
    let address = desk.world.url();
    let token = desk.world.operator().token().unwrap();
    let text = body.to_string();
    let head = format!(
        "POST {CERTIFICATES} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\nContent-Type: application/json\r\n"
    );
    let announced = format!("{head}Content-Length: {}\r\n\r\n{text}", text.len());
    let (status, answer) = exchange(&address, announced.as_bytes()).await.expect("an answer before the body is sent");
    check_refusal(status, &serde_json::from_str(&answer).unwrap(), TOO_LARGE, &["256 KiB"]);
    // Chunks announce nothing: the limit is met while reading.
    let mut chunked = format!("{head}Transfer-Encoding: chunked\r\n\r\n").into_bytes();
    for _ in 0..20 {
        chunked.extend(format!("{:x}\r\n{}\r\n", 16_384, " ".repeat(16_384)).into_bytes());
    }
    let (status, answer) = exchange(&address, &chunked).await.expect("an answer at the limit");
    check_refusal(status, &serde_json::from_str(&answer).unwrap(), TOO_LARGE, &["256 KiB"]);
    desk.closes(0).await;
}

#[tokio::test]
async fn compressed_and_foreign_bodies_are_refused() {
    let desk = Desk::open().await;
    let operator = desk.world.operator();
    for encoding in ["gzip", "deflate", "br", "zstd", "gzip, gzip"] {
        let (status, answer) =
            posts(operator, CERTIFICATES, &[JSON, ("content-encoding", encoding)], vec![0x1f; 64]).await;
        check_refusal(status, &answer, MEDIA_TYPE, &["Content-Encoding"]);
    }
    for kind in
        ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/zip"]
    {
        let (status, answer) = posts(operator, CERTIFICATES, &[("content-type", kind)], b"{}".to_vec()).await;
        check_refusal(status, &answer, MEDIA_TYPE, &["application/json"]);
    }
    let (status, answer) = posts(operator, CERTIFICATES, &[], b"{}".to_vec()).await;
    check_refusal(status, &answer, MEDIA_TYPE, &["application/json"]);
    desk.closes(0).await;
}

#[tokio::test]
async fn json_bombs_are_refused_before_anything_is_built() {
    let desk = Desk::open().await;
    let id = desk.open;
    let many_keys = (0..9_000).map(|at| format!("\"k{at}\":1")).collect::<Vec<_>>().join(",");
    let cases: Vec<(String, Refusal, &str)> = vec![
        ("[".repeat(100_000), bad_request("json.depth"), "32"),
        (format!("{{\"profileId\":\"{id}\",\"x\":{}", "{\"a\":".repeat(40)), bad_request("json.depth"), "32"),
        (format!("{{{many_keys}}}"), bad_request("json.size"), "10000"),
        (format!("{{\"profileId\":\"{id}\",\"profileId\":\"{id}\"}}"), bad_request("json.duplicate_key"), "profileId"),
        (
            format!("{{\"profileId\":\"{id}\",\"attributes\":{{\"ttl\":\"1d\",\"ttl\":\"1y\"}}}}"),
            bad_request("json.duplicate_key"),
            "ttl",
        ),
        (format!("{{\"profileId\":\"{id}\",\"wait\":NaN}}"), bad_request("json.syntax"), ""),
        (format!("{{\"profileId\":\"{id}\",\"csr\":\"\\ud800\"}}"), bad_request("json.syntax"), ""),
        (format!("{{\"profileId\":\"{id}\"}} trailing"), bad_request("json.syntax"), ""),
        (format!("{{\"profileId\":\"{id}\""), bad_request("json.incomplete"), ""),
        (String::new(), bad_request("json.incomplete"), ""),
        (format!("{{\"profileId\":\"{id}\",\"csr\":\"{}\"}}", "x".repeat(1 << 20)), TOO_LARGE, "256 KiB"),
        (format!("{{\"profileId\":\"{id}\",\"csr\":\"{}\"}}", "x".repeat(200_000)), SCHEMA, "\"csr\""),
        ("[]".to_owned(), SCHEMA, ""),
        ("null".to_owned(), SCHEMA, ""),
        ("\u{feff}{}".to_owned(), bad_request("json.syntax"), ""),
        (format!("{{\"profileId\":\"{id}\",\"attributes\":{{\"commonName\":[\"a\"]}}}}"), SCHEMA, "commonName"),
        ("{\"profileId\":\"x\"}".to_owned(), SCHEMA, "profileId"),
    ];
    for (text, expected, word) in &cases {
        let (status, answer) = posts(desk.world.operator(), CERTIFICATES, &[JSON], text.clone().into_bytes()).await;
        check_refusal(status, &answer, *expected, &[word]);
        // Whoever has no session is told that, and nothing about the body.
        let (status, answer) = posts(desk.world.anonymous(), CERTIFICATES, &[JSON], text.clone().into_bytes()).await;
        if expected.status != 413 {
            check_refusal(status, &answer, NO_SESSION, &[]);
        }
        // The same reader stands before the log-in.
        let (status, answer) = posts(desk.world.anonymous(), LOGIN, &[JSON], text.clone().into_bytes()).await;
        assert!(matches!(status, 400 | 401 | 413 | 422), "{status} {answer:#}");
    }
    desk.closes(0).await;
}

#[tokio::test]
async fn unknown_keys_set_nothing() {
    let desk = Desk::open().await;
    let body = json!({
        "profileId": desk.open, "status": "pending", "serialNumber": "01", "requester": "somebody", "isAdmin": true,
        "attributes": {"commonName": "www.acme.test", "ttl": "1d", "serialNumber": "01", "approved": true},
    });
    let issued = desk.world.operator().ok(Method::POST, CERTIFICATES, Some(&body)).await;
    assert_eq!(issued["status"], "issued");
    assert_ne!(issued["certificate"]["serialNumber"], "01");
    desk.closes(1).await;
}

/// Sends bytes and reads the answer: status and body, or nothing if the connection was closed without one.
async fn exchange(url: &str, bytes: &[u8]) -> Option<(u16, String)> {
    let address = url.strip_prefix("http://").unwrap();
    let (mut reader, mut writer) = TcpStream::connect(address).await.unwrap().into_split();
    let bytes = bytes.to_vec();
    // The server may stop reading: what cannot be sent any more was not wanted.
    let writing = tokio::spawn(async move {
        let _ = writer.write_all(&bytes).await;
        writer
    });
    let (mut answer, mut piece) = (Vec::new(), [0; 4_096]);
    let read = async {
        while complete(&answer).is_none() {
            match reader.read(&mut piece).await {
                Ok(0) | Err(_) => break,
                Ok(count) => answer.extend_from_slice(&piece[..count]),
            }
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(60), read).await.expect("the server answers or hangs up");
    writing.abort();
    complete(&answer).or_else(|| head(&answer).map(|(status, _, _)| (status, String::new())))
}

/// Status, length of the body, and where it begins.
fn head(answer: &[u8]) -> Option<(u16, usize, usize)> {
    let end = answer.windows(4).position(|it| it == b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(&answer[..end]).to_ascii_lowercase();
    let status = head.split(' ').nth(1)?.parse().ok()?;
    let length =
        head.lines().find_map(|line| line.strip_prefix("content-length: ")).map_or(0, |it| it.parse().unwrap());
    Some((status, length, end + 4))
}

fn complete(answer: &[u8]) -> Option<(u16, String)> {
    let (status, length, start) = head(answer)?;
    let body = answer.get(start..start + length)?;
    Some((status, String::from_utf8_lossy(body).into_owned()))
}

#[tokio::test]
async fn giant_headers_end_the_call_and_not_the_server() {
    let desk = Desk::open().await;
    let address = desk.world.url();
    let call = |headers: String| format!("GET /api/v1/projects HTTP/1.1\r\nHost: x\r\n{headers}\r\n").into_bytes();
    let cases = [
        ("1 MB token", format!("Authorization: Bearer {}\r\n", "x".repeat(1 << 20)), 431),
        ("a million dots", format!("Authorization: Bearer {}\r\n", ".".repeat(1_000_000)), 431),
        ("200 headers", (0..200).map(|at| format!("X-{at}: 1\r\n")).collect(), 431),
        ("64 KB cookie", format!("Cookie: a={}\r\n", "x".repeat(65_536)), 431),
        ("long path", String::new(), 401),
        ("a token that is too long to be one", format!("Authorization: Bearer {}\r\n", "x.".repeat(3_000)), 401),
        ("a token of dots", format!("Authorization: Bearer {}\r\n", ".".repeat(1_000)), 403),
        ("a token of blanks", "Authorization: Bearer    \r\n".to_owned(), 401),
        ("no token", "Authorization: Bearer\r\n".to_owned(), 401),
        ("another scheme", "Authorization: Basic YTpi\r\n".to_owned(), 401),
    ];
    for (name, headers, expected) in cases {
        let (status, _) = exchange(&address, &call(headers)).await.unwrap_or_else(|| panic!("{name}: no answer"));
        assert_eq!(status, expected, "{name}");
    }
    let (status, answer) = posts(
        desk.world.anonymous(),
        "/api/v1/auth/token/renew",
        &[JSON],
        json!({"accessToken": ".".repeat(100_000)}).to_string().into_bytes(),
    )
    .await;
    assert!(matches!(status, 401 | 403 | 422), "{answer:#}");
    let in_query = format!("/api/v1/projects?access_token={}", desk.world.operator().token().unwrap());
    assert_eq!(desk.world.anonymous().get(&in_query).await.0, 401, "a token in the query is none");
    desk.closes(0).await;
}

/// The status of a GET with this path, spelled exactly so.
async fn status_of(world: &World, session: &Session, path: &str) -> u16 {
    let token = session.token().map_or(String::new(), |it| format!("Authorization: Bearer {it}\r\n"));
    let call = [&b"GET "[..], path.as_bytes(), b" HTTP/1.1\r\nHost: x\r\n", token.as_bytes(), b"\r\n"].concat();
    exchange(&world.url(), &call).await.map_or(400, |answer| answer.0)
}

#[tokio::test]
async fn a_path_has_one_spelling() {
    let desk = Desk::open().await;
    let world = &desk.world;
    assert_eq!(status_of(world, world.admin(), "/api/v1/projects").await, 200);
    assert_eq!(status_of(world, world.admin(), "/api/v1/projects/").await, 200);
    for path in [
        "//api/v1/projects",
        "/api//v1/projects",
        "/api/v1/projects//",
        "/api/./v1/projects",
        "/api/v1/../v1/projects",
        "/healthz/../api/v1/projects",
        "/api/v1/auth/login/../../projects",
        "/%2e%2e/api/v1/projects",
        "/healthz/%2e%2e/api/v1/projects",
        "/api%2fv1%2fprojects",
        "/api/v1%2fprojects",
        "/api/v1/%70rojects",
        "/api/v1/projects;a=b",
        "/api;x/v1/projects",
        "/API/V1/projects",
        "/Api/v1/Projects",
        "/api/v1/projects%00",
        "/api/v1/projects%20",
        "/api/v1/projects\\",
        "/api/v1/projects\0",
        "api/v1/projects",
        "/etc/passwd",
    ] {
        for session in [world.admin(), world.anonymous()] {
            let status = status_of(world, session, path).await;
            assert!(matches!(status, 400 | 404), "{path:?} answers {status}");
        }
    }
    for id in ["..", "%2e%2e", "..%2f..%2fetc%2fpasswd", "%00", "%ff", "x;a=b", "{id}", "*", "1e3"] {
        let path = format!("{CERTIFICATES}/{id}");
        let status = status_of(world, world.admin(), &path).await;
        assert!(matches!(status, 400 | 404 | 422), "{path:?} answers {status}");
        assert!(matches!(status_of(world, world.anonymous(), &path).await, 400 | 401 | 404), "{path:?}");
    }
    desk.closes(0).await;
}

#[tokio::test]
async fn a_wrong_method_and_an_unknown_route_answer_in_the_common_shape() {
    let desk = Desk::open().await;
    let (status, answer) = desk.world.operator().send(Method::PUT, CERTIFICATES, Some(&json!({}))).await;
    check_refusal(status, &answer, Refusal { status: 405, error: "MethodNotAllowed", code: "route.method" }, &["PUT"]);
    let (status, answer) = desk.world.operator().get("/api/v9/nothing").await;
    check_refusal(status, &answer, Refusal { status: 404, error: "Not Found", code: "route.unknown" }, &["/api/v9"]);
    desk.closes(0).await;
}
