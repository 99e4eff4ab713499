//! A core, the pages over it, and visitors who open pages and send forms as a browser would.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use chancery_authority::access::{NewUser, Visitor};
use chancery_authority::external::{NoUpstream, Upstream};
use chancery_authority::{Authority, AuthorityConfig, Call};
use chancery_keys::{Kek, SystemRandomness};
use chancery_model::permission::Role;
use chancery_model::time::FixedClock;
use chancery_model::{Clock as _, Timestamp};
use chancery_store::Location;
use chancery_web::{Peer, WebConfig, WebState, router};
use http::{HeaderMap, StatusCode, header};
use tower::ServiceExt;

pub const ADMIN: &str = "admin@example.internal";
pub const PASSWORD: &str = "correct horse battery staple";
/// 2026-01-15T12:00:00Z.
const START_SECONDS: i64 = 1_768_478_400;
const LOCALHOST: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// A server without sockets.
pub struct Place {
    pub router: Router,
    pub authority: Authority,
    pub clock: Arc<FixedClock>,
    _folder: tempfile::TempDir,
}

/// What came back.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub bytes: Vec<u8>,
}

impl Answer {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }

    /// Where a redirection leads; empty if this is none.
    pub fn location(&self) -> &str {
        self.headers.get(header::LOCATION).and_then(|it| it.to_str().ok()).unwrap_or_default()
    }

    /// The text of a page that was found.
    #[track_caller]
    pub fn ok(&self) -> String {
        assert_eq!(self.status, 200, "{}", self.text());
        self.text()
    }

    /// Where a form that was taken leads (303).
    #[track_caller]
    pub fn sent(&self) -> String {
        assert_eq!(self.status, 303, "{}", self.text());
        self.location().to_owned()
    }

    /// The words of the page, without its markup, entities read: what a person sees.
    pub fn words(&self) -> String {
        words(&self.text())
    }
}

/// A page's text without tags, white space joined.
pub fn words(html: &str) -> String {
    let body = html.split_once("<main").map_or(html, |(_, rest)| rest);
    let mut out = String::new();
    let mut inside = false;
    for it in body.chars() {
        match it {
            '<' => inside = true,
            '>' if inside => {
                inside = false;
                out.push(' ');
            }
            it if !inside => out.push(it),
            _ => {}
        }
    }
    let text = out.replace("&quot;", "\"").replace("&#39;", "'").replace("&lt;", "<").replace("&gt;", ">");
    text.replace("&amp;", "&").split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Somebody with a browser: keeps cookies, and the form token of the page last seen.
pub struct Browser<'a> {
    place: &'a Place,
    cookies: Mutex<Vec<(String, String)>>,
    csrf: Mutex<String>,
}

impl Place {
    pub async fn new() -> Self {
        Self::with_upstream(Arc::new(NoUpstream)).await
    }

    /// With CAs elsewhere that do as the test says.
    pub async fn with_upstream(upstream: Arc<dyn Upstream>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let kek = Kek::create_file(&folder.path().join("kek"), &SystemRandomness).unwrap();
        let config = AuthorityConfig {
            location: Location::Sqlite { path: folder.path().join("chancery.db") },
            node: "test".to_owned(),
            kek,
            site_url: Some("https://pki.example.internal".to_owned()),
            repository_url: Some("http://pki.example.internal:8201".to_owned()),
            notifier: Arc::new(chancery_authority::alert::NoNotifier),
            upstream,
        };
        let clock = Arc::new(FixedClock::at(Timestamp::from_seconds(START_SECONDS)));
        let authority = Authority::open(config, clock.clone(), Arc::new(SystemRandomness)).await.unwrap();
        authority.ensure_administrator(ADMIN, PASSWORD).await.unwrap();
        let web = WebConfig {
            is_https: true,
            admission: None,
            randomness: Arc::new(SystemRandomness),
            settings: vec![("site_url".to_owned(), "\"https://pki.example.internal\"".to_owned())],
            version: "test",
        };
        let router = router(WebState::new(authority.clone(), web));
        Self { router, authority, clock, _folder: folder }
    }

    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Nobody: a browser without a session.
    pub fn stranger(&self) -> Browser<'_> {
        Browser { place: self, cookies: Mutex::default(), csrf: Mutex::default() }
    }

    /// A person with the role, signed in. The administrator is the server's first one.
    pub async fn visitor(&self, role: Role) -> Browser<'_> {
        let browser = self.stranger();
        let email = match role {
            Role::Admin => ADMIN.to_owned(),
            other => self.person(&format!("{other}@example.internal"), other).await,
        };
        browser.sign_in(&email, PASSWORD).await;
        browser
    }

    /// A call of the administrator, for what a test sets up or asks beside the pages.
    pub async fn call(&self) -> Call {
        let visitor = Visitor { ip: LOCALHOST, user_agent: "test", request_id: "test" };
        let token = self.authority.sign_in(ADMIN, PASSWORD, None, &visitor).await.unwrap();
        let requester = self.authority.authenticate(&token.access_token, LOCALHOST).await.unwrap();
        Call { requester, request_id: "test".to_owned(), idempotency: None }
    }

    /// Makes a person with the role, unless there is one, and gives back the e-mail address.
    async fn person(&self, email: &str, role: Role) -> String {
        if self.authority.reader().user_by_email(email).await.unwrap().is_none() {
            let new = NewUser { email: email.to_owned(), role };
            let (_, link) = self.authority.create_user(&self.call().await, new).await.unwrap();
            let visitor = Visitor { ip: LOCALHOST, user_agent: "test", request_id: "test" };
            self.authority.redeem_sign_in_link(&link, Some(PASSWORD), &visitor).await.unwrap();
        }
        email.to_owned()
    }
}

impl Browser<'_> {
    pub async fn get(&self, path: &str) -> Answer {
        self.send("GET", path, &[], Vec::new()).await
    }

    /// A page, asked for with further headers.
    pub async fn read_with(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        self.send("GET", path, headers, Vec::new()).await
    }

    /// Asks for a part of a page, as the script does.
    pub async fn part(&self, path: &str) -> Answer {
        self.send("GET", path, &[("x-chancery-fragment", "1")], Vec::new()).await
    }

    /// Sends a form from a page of this session: the form token is added.
    pub async fn post(&self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let csrf = self.csrf().await;
        let mut all = vec![("_csrf", csrf.as_str())];
        all.extend_from_slice(fields);
        self.post_bare(path, &all, &[]).await
    }

    /// Sends exactly these fields, with these headers beside the usual ones.
    pub async fn post_bare(&self, path: &str, fields: &[(&str, &str)], headers: &[(&str, &str)]) -> Answer {
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let mut all = vec![("content-type", "application/x-www-form-urlencoded"), ("sec-fetch-site", "same-origin")];
        all.retain(|(name, _)| !headers.iter().any(|(other, _)| other == name));
        all.extend_from_slice(headers);
        self.send("POST", path, &all, body.into_bytes()).await
    }

    pub async fn sign_in(&self, email: &str, password: &str) {
        let answer = self.post_bare("/ui/sign-in", &[("email", email), ("password", password)], &[]).await;
        assert_eq!(answer.sent(), "/ui");
    }

    /// The value of a cookie by the end of its name: `session`.
    pub fn cookie(&self, name: &str) -> Option<String> {
        let cookies = self.cookies.lock().unwrap();
        cookies.iter().find(|(it, _)| it.ends_with(name)).map(|(_, value)| value.clone())
    }

    /// Puts a cookie in, as an attacker with a hand on the browser would.
    pub fn set_cookie(&self, name: &str, value: &str) {
        let mut cookies = self.cookies.lock().unwrap();
        cookies.retain(|(it, _)| it != name);
        cookies.push((name.to_owned(), value.to_owned()));
    }

    /// The form token of this session's pages.
    pub async fn csrf(&self) -> String {
        let known = self.csrf.lock().unwrap().clone();
        if !known.is_empty() {
            return known;
        }
        let mut page = self.get("/ui").await;
        if page.status == 303 {
            page = self.get(page.location()).await;
        }
        let page = page.text();
        let token = page.split("name=\"_csrf\" value=\"").nth(1).and_then(|rest| rest.split('"').next());
        let token = token.unwrap_or_default().to_owned();
        self.csrf.lock().unwrap().clone_from(&token);
        token
    }

    async fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: Vec<u8>) -> Answer {
        let mut request = http::Request::builder().method(method).uri(path).header("host", "pki.example.internal");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let cookies: Vec<String> =
            self.cookies.lock().unwrap().iter().map(|(name, value)| format!("{name}={value}")).collect();
        if !cookies.is_empty() {
            request = request.header(header::COOKIE, cookies.join("; "));
        }
        let request: Request = request.extension(Peer(LOCALHOST)).body(Body::from(body)).unwrap();
        let response = self.place.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        for value in parts.headers.get_all(header::SET_COOKIE) {
            self.keep(value.to_str().unwrap());
        }
        let bytes = axum::body::to_bytes(body, usize::MAX).await.unwrap().to_vec();
        Answer { status: parts.status, headers: parts.headers, bytes }
    }

    fn keep(&self, cookie: &str) {
        let (name, value) = cookie.split(';').next().unwrap().split_once('=').unwrap();
        let mut cookies = self.cookies.lock().unwrap();
        cookies.retain(|(it, _)| it != name);
        if !cookie.contains("Max-Age=0") {
            cookies.push((name.to_owned(), value.to_owned()));
        }
        if name.ends_with("session") {
            self.csrf.lock().unwrap().clear();
        }
    }
}
