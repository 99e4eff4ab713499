//! The browser does what the stories need of it, against a page of this test's own that ships with a strict
//! Content-Security-Policy.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use chancery_testkit::foreign::{Browser, Theme};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

const FORM: &str = r#"<!doctype html>
<html lang="en"><head><title>Requests</title><meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="stylesheet" href="/style.css"><link rel="icon" href="data:,"><script src="/late.js" defer></script></head>
<body><nav><a href="/form">Requests</a></nav><main><h1>New request</h1>
<form method="post" action="/sent">
  <p><label for="name">Common name <span aria-hidden="true">*</span></label> <input id="name" name="name" aria-describedby="hint">
     <small id="hint">A name under acme.test</small></p>
  <p><label for="csr">CSR</label> <textarea id="csr" name="csr"></textarea></p>
  <p><label>Profile <select name="profile"><option value="a">web servers</option><option value="b">mail</option></select></label></p>
  <p><label for="until">Not after</label> <input id="until" name="until" type="date"></p>
  <p><label><input type="checkbox" name="renew" value="yes"> Renew by itself</label></p>
  <fieldset><legend>Key</legend>
    <label><input type="radio" name="key" value="new" checked> New key</label>
    <label><input type="radio" name="key" value="old"> Reuse the key</label></fieldset>
  <section id="first"><h2>First</h2><button type="button">Remove</button></section>
  <section id="second"><h2>Second</h2><button type="submit" name="part" value="second">Remove</button></section>
  <button>Request certificate</button>
</form>
<details><summary>More</summary><p>Hidden words</p></details>
<p id="late"></p><a href="/chain.pem" download>Download chain</a>
<noscript><p>Without scripts</p></noscript></main></body></html>"#;

const FAULTY: &str = r#"<!doctype html>
<html><head><title>Faulty</title><link rel="icon" href="data:,"></head><body><main><h1>Faulty</h1>
<input name="x"><img src="/gone.png"><p style="color:red">Inline style</p>
<script>document.title = 'run'</script><div class="wide"></div></main></body></html>"#;

const STYLE: &str =
    ":root { color-scheme: light dark; background: #fff; color: #111; font: 16px/1.5 'DejaVu Sans', sans-serif }
@media (prefers-color-scheme: dark) { :root { background: #111; color: #eee } a { color: #9cf } }
main { max-width: 40rem } textarea { width: 100% } h1 { margin: 0 } button { min-height: 28px }";

const LATE: &str = "addEventListener('DOMContentLoaded', () => setTimeout(async () => {
  const answer = await fetch('/words');
  document.querySelector('#late').textContent = await answer.text();
}, 300));";

const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self' data:; form-action 'self'";

/// What the page's form has sent.
type Sent = Arc<Mutex<String>>;

async fn site() -> (String, Sent) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address: SocketAddr = listener.local_addr().unwrap();
    let sent = Sent::default();
    let shared = Arc::clone(&sent);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(answer(stream, Arc::clone(&shared)));
        }
    });
    (format!("http://{address}"), sent)
}

async fn answer(mut stream: TcpStream, sent: Sent) {
    let mut bytes = Vec::new();
    let (head, body) = loop {
        let mut part = [0; 4096];
        let read = stream.read(&mut part).await.unwrap_or(0);
        bytes.extend_from_slice(&part[..read]);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length =
                head.lines().find_map(|it| it.to_lowercase().strip_prefix("content-length: ").map(str::to_owned));
            if body.len() >= length.map_or(0, |it| it.parse().unwrap()) {
                break (head.to_owned(), body.to_owned());
            }
        }
        if read == 0 {
            return;
        }
    };
    let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
    let (status, kind, text) = match path.as_str() {
        "/form" => ("200 OK", "text/html", FORM),
        "/faulty" => ("200 OK", "text/html", FAULTY),
        "/style.css" => ("200 OK", "text/css", STYLE),
        "/late.js" => ("200 OK", "text/javascript", LATE),
        "/words" => ("200 OK", "text/plain", "Late words"),
        "/chain.pem" => ("200 OK", "application/x-pem-file", "-----BEGIN"),
        "/sent" => (
            "422 Unprocessable Content",
            "text/html",
            "<!doctype html><title>Sent</title><link rel=icon href=data:,><h1>Received</h1>",
        ),
        _ => ("404 Not Found", "text/plain", "nothing"),
    };
    if path == "/sent" {
        *sent.lock().unwrap() = body;
    }
    let mut reply = format!("HTTP/1.1 {status}\r\nContent-Type: {kind}; charset=utf-8\r\nConnection: close\r\n");
    write!(reply, "Content-Length: {}\r\nContent-Security-Policy: {POLICY}\r\n", text.len()).unwrap();
    write!(reply, "Set-Cookie: __Host-session=abc; Path=/; Secure; HttpOnly; SameSite=Strict\r\n\r\n{text}").unwrap();
    let _ = stream.write_all(reply.as_bytes()).await;
}

/// The fields of a form as it was sent.
fn fields(sent: &Sent) -> BTreeMap<String, String> {
    let body = sent.lock().unwrap().clone();
    let plain = |it: &str| {
        let it = it.replace('+', " ").replace("%0D%0A", "\n").replace("%40", "@");
        assert!(!it.contains('%'), "{it}");
        it
    };
    body.split('&').filter_map(|it| it.split_once('=')).map(|(name, value)| (plain(name), plain(value))).collect()
}

#[tokio::test]
async fn a_form_is_filled_in_by_what_stands_beside_its_fields() {
    let (site, sent) = site().await;
    let browser = Browser::start().await;
    browser.open(&format!("{site}/form")).await;
    assert_eq!(browser.title().await, "Requests");
    assert_eq!(browser.text("h1").await, "New request");
    assert_eq!(browser.texts("h2").await, ["First", "Second"]);
    browser.fill("Common name", "www.acme.test").await;
    browser.fill("Common name", "mail@acme.test").await;
    let csr = "line of a request\n".repeat(40);
    browser.fill("CSR", &csr).await;
    browser.choose("Profile", "mail").await;
    browser.fill("Not after", "2027-01-15").await;
    browser.check("Renew by itself").await;
    browser.check("Renew by itself").await;
    browser.check("Reuse the key").await;
    assert!(browser.is_checked("Renew by itself").await && !browser.is_checked("New key").await);
    assert_eq!(browser.value("#name").await, "mail@acme.test");
    assert_eq!(browser.description("Common name").await, "A name under acme.test");
    browser.within("#second").click_text("Remove").await;
    browser.wait_for_text("Received").await;
    let fields = fields(&sent);
    let expected = [
        ("name", "mail@acme.test"),
        ("csr", csr.as_str()),
        ("profile", "b"),
        ("until", "2027-01-15"),
        ("renew", "yes"),
        ("key", "old"),
        ("part", "second"),
    ];
    for (name, value) in expected {
        assert_eq!(fields.get(name).map(String::as_str), Some(value), "{name} of {fields:?}");
    }
    // The page itself answered 422, which is its right.
    browser.assert_quiet().await;
}

#[tokio::test]
async fn late_words_are_waited_for_and_hidden_ones_are_not_seen() {
    let (site, _) = site().await;
    let browser = Browser::start().await;
    browser.open(&format!("{site}/form")).await;
    browser.wait_for_text("Late words").await;
    assert!(!browser.shows_text("Hidden words").await);
    assert!(!browser.shows_text("Without scripts").await);
    browser.click_text("More").await;
    browser.wait_for_text("Hidden words").await;
    assert!(browser.within("details").shows_text("Hidden words").await);
    assert!(!browser.within("nav").shows_text("Hidden words").await);
    browser.click_text("Download chain").await;
    let (name, bytes) = browser.wait_for_download("chain").await;
    assert_eq!((name.as_str(), bytes.as_slice()), ("chain.pem", b"-----BEGIN".as_slice()));
    browser.reload().await;
    browser.execute("document.activeElement.blur()", &[]).await;
    browser.press("Tab").await;
    assert_eq!(browser.focused().await, "Requests");
    browser.press("Tab").await;
    assert_eq!(browser.focused().await, "Common name *");
    browser.press("Shift+Tab").await;
    assert_eq!(browser.focused().await, "Requests");
    browser.press("Enter").await;
    assert!(browser.wait_for_url("/form").await.starts_with(&site));
    browser.assert_quiet().await;
}

#[tokio::test]
async fn without_scripts_the_page_stays_as_it_was_sent() {
    let (site, sent) = site().await;
    let browser = Browser::start().await;
    browser.set_scripts(false).await;
    browser.open(&format!("{site}/form")).await;
    browser.wait_for_text("Without scripts").await;
    browser.fill("Common name", "plain.acme.test").await;
    browser.choose("Profile", "mail").await;
    browser.check("Renew by itself").await;
    browser.click_text("Request certificate").await;
    browser.wait_for_text("Received").await;
    let fields = fields(&sent);
    assert_eq!(fields["name"], "plain.acme.test");
    assert_eq!(fields["profile"], "b");
    assert!(fields.contains_key("renew"));
}

#[tokio::test]
async fn what_the_policy_forbids_is_complained_about_and_axe_finds_what_is_amiss() {
    let (site, _) = site().await;
    let browser = Browser::start().await;
    browser.open(&format!("{site}/form")).await;
    browser.assert_accessible().await;
    browser.assert_quiet().await;
    assert!(browser.weight().await > 1_500, "{}", browser.weight().await);
    browser.open(&format!("{site}/faulty")).await;
    assert_eq!(browser.title().await, "Faulty");
    let complaints = browser.complaints().await.join("\n");
    for part in ["inline style", "inline script", "/gone.png"] {
        assert!(complaints.contains(part), "{part} in {complaints}");
    }
    let faults = browser.accessibility_faults().await.join("\n");
    for rule in ["html-has-lang", "image-alt", "label"] {
        assert!(faults.contains(rule), "{rule} in {faults}");
    }
    // Axe-core itself has not offended the policy.
    assert_eq!(browser.complaints().await, [""; 0]);
}

#[tokio::test]
async fn the_window_the_theme_and_the_cookies_are_as_the_test_says() {
    let (site, _) = site().await;
    let browser = Browser::start().await;
    browser.open(&format!("{site}/form")).await;
    let width = "return [innerWidth, getComputedStyle(document.documentElement).backgroundColor]";
    assert_eq!(browser.execute(width, &[]).await, json!([1280, "rgb(255, 255, 255)"]));
    browser.set_window(390, 844).await;
    browser.set_theme(Theme::Dark).await;
    assert_eq!(browser.execute(width, &[]).await, json!([390, "rgb(17, 17, 17)"]));
    assert_eq!(browser.sideways_overflow().await, 0);
    let (window, page) = (size(&browser.screenshot().await), size(&browser.screenshot_of_page().await));
    assert_eq!((window, page.0), ((390, 844), 390));
    browser.execute("document.querySelector('main').style.height = '3000px'", &[]).await;
    assert!(size(&browser.screenshot_of_page().await).1 > 3000);
    browser.execute("document.querySelector('main').style.width = '500px'", &[]).await;
    assert!(browser.sideways_overflow().await > 100);
    browser.set_time_zone("Asia/Tokyo").await;
    let hour = "return new Date('2026-01-15T12:00:00Z').getHours()";
    assert_eq!(browser.execute(hour, &[]).await, 21);
    // A loopback address is trusted as a TLS site is, so a cookie for TLS alone is kept.
    let cookies = browser.cookies().await;
    let kept = cookies.iter().find(|it| it.name == "__Host-session").expect("the cookie of the page");
    assert!(kept.http_only && kept.secure && kept.same_site == "Strict" && kept.path == "/" && kept.value == "abc");
    browser.forget_cookies().await;
    assert!(browser.cookies().await.is_empty());
    browser.set_cookie("session", "xyz").await;
    assert_eq!(browser.cookies().await[0].value, "xyz");
}

#[tokio::test]
#[should_panic(expected = "Hidden words\": the page does not say so")]
async fn a_step_that_cannot_be_done_says_what_the_page_shows() {
    let (site, _) = site().await;
    let browser = Browser::start().await;
    browser.open(&format!("{site}/form")).await;
    browser.with_patience(Duration::from_millis(500)).wait_for_text("Hidden words").await;
}

/// Width and height stand in the first chunk of a PNG (ISO/IEC 15948 §11.2.2).
fn size(png: &[u8]) -> (u32, u32) {
    assert_eq!(&png[..8], b"\x89PNG\r\n\x1a\n");
    let number = |at: usize| u32::from_be_bytes(png[at..at + 4].try_into().unwrap());
    (number(16), number(20))
}
