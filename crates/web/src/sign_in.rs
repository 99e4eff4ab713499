//! Signing in and out: by password and one-time code, or by a link that works once.

use askama::Template;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use chancery_authority::access::SessionToken;
use chancery_authority::{Authority, Error};
use chancery_model::permission::Permission;
use chancery_model::{ErrorKind, Timestamp};
use http::{HeaderValue, Method, StatusCode, header};

use crate::error::WebError;
use crate::form::{Form, Problems};
use crate::frame::{Frame, Section, Theme, page, page_with};
use crate::gate::{request_id, theme, visitor};
use crate::route::Page;
use crate::session::{Cookie, Life};
use crate::state::WebState;
use crate::visit::{Answer, Query, Visit, redirect};

pub(crate) fn pages() -> Vec<Page> {
    vec![
        Page::public(Method::GET, "/ui/sign-in", form),
        Page::public(Method::POST, "/ui/sign-in", sign_in),
        Page::public(Method::GET, "/ui/sign-in/link", link),
        Page::public(Method::POST, "/ui/sign-in/link", redeem),
        Page::post("/ui/sign-out", Permission::OwnSession, sign_out),
        Page::public(Method::POST, "/ui/theme", choose_theme),
    ]
}

#[derive(Template)]
#[template(path = "sign_in/form.html")]
struct SignInPage {
    frame: Frame,
    email: String,
    next: String,
    /// Whether the one-time code is asked for: it was wrong, or is still to be given.
    asks_code: bool,
    problems: Problems,
    is_https: bool,
}

#[derive(Template)]
#[template(path = "sign_in/link.html")]
struct LinkPage {
    frame: Frame,
    token: String,
    email: String,
    needs_password: bool,
    problems: Problems,
}

#[derive(Template)]
#[template(path = "sign_in/confirm.html")]
struct ConfirmPage<'a> {
    frame: Frame,
    action: &'a str,
    fields: Vec<(&'a str, &'a str)>,
    problems: Problems,
}

#[derive(Template)]
#[template(path = "sign_in/once_more.html")]
struct OnceMorePage;

/// The frame of a page that nobody has signed in for.
pub(crate) fn plain_frame(title: &str, theme: Theme, now: Timestamp) -> Frame {
    Frame {
        title: title.to_owned(),
        section: Section::None,
        who: None,
        csrf: String::new(),
        once: String::new(),
        path: String::new(),
        theme,
        note: None,
        now,
    }
}

async fn form(State(state): State<WebState>, Query(query): Query, request: Request) -> Answer {
    let next = local(query.text("next")).to_owned();
    show(&state, &request, SignInFields { email: "", next: &next, asks_code: false }, Problems::default())
}

struct SignInFields<'a> {
    email: &'a str,
    next: &'a str,
    asks_code: bool,
}

fn show(state: &WebState, request: &Request, fields: SignInFields<'_>, problems: Problems) -> Answer {
    let status = if problems.is_empty() { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
    let theme = theme(request.headers(), state.is_https());
    page_with(
        status,
        &SignInPage {
            frame: plain_frame("Sign in", theme, state.authority().now()),
            email: fields.email.to_owned(),
            next: fields.next.to_owned(),
            asks_code: fields.asks_code,
            problems,
            is_https: state.is_https(),
        },
    )
}

async fn sign_in(State(state): State<WebState>, form: Form, request: Request) -> Answer {
    let (parts, body) = request.into_parts();
    let id = request_id(&parts);
    let (email, password) = (form.text("email"), form.raw("password").unwrap_or_default());
    let signed_in = state.authority().sign_in(email, password, form.given("otp"), &visitor(&parts, &id)).await;
    let next = local(form.text("next"));
    match signed_in {
        Ok(token) => Ok(entered(&state, &token, next)),
        Err(error) => {
            let asks_code = matches!(error, Error::OtpRequired) || form.has("otp");
            let fields = SignInFields { email, next, asks_code };
            show(&state, &Request::from_parts(parts, body), fields, refused(error)?)
        }
    }
}

/// What a refused sign-in says beside its form.
pub(crate) fn refused(error: Error) -> Result<Problems, WebError> {
    let mut problems = Problems::default();
    match error {
        Error::OtpRequired => problems.add("otp", "Give the six digits that your authenticator app shows"),
        error if matches!(error.kind(), ErrorKind::Unauthenticated | ErrorKind::InvalidToken) => {
            problems.whole.push(error.public_message());
        }
        error => return Problems::from_core(error, &[]),
    }
    Ok(problems)
}

fn entered(state: &WebState, token: &SessionToken, next: &str) -> Response {
    let mut response = redirect(next);
    Cookie::Session.put(response.headers_mut(), &token.access_token, state.is_https(), Life::Browser);
    response
}

/// A page of this UI, or its first one. Anything else in its place would send visitors to strangers.
fn local(next: &str) -> &str {
    let is_local = (next == "/ui" || next.starts_with("/ui/") || next.starts_with("/ui?"))
        && next.bytes().all(|it| it.is_ascii_graphic() && it != b'\\')
        && !next.starts_with("/ui/sign-");
    if is_local { next } else { "/ui" }
}

async fn link(State(state): State<WebState>, Query(query): Query, request: Request) -> Answer {
    let theme = theme(request.headers(), state.is_https());
    let token = query.text("token");
    let link = state.authority().sign_in_link(token).await?;
    page(&LinkPage {
        frame: plain_frame("Welcome", theme, state.authority().now()),
        token: token.to_owned(),
        email: link.email,
        needs_password: link.needs_password,
        problems: Problems::default(),
    })
}

async fn redeem(State(state): State<WebState>, form: Form, request: Request) -> Answer {
    let (parts, _) = request.into_parts();
    let id = request_id(&parts);
    let token = form.text("token");
    let password = form.raw("password").filter(|it| !it.is_empty());
    let mut problems = Problems::default();
    if password.is_some() && form.raw("repeated") != password {
        problems.add("repeated", "The two passwords differ");
    }
    let error = if problems.is_empty() {
        match state.authority().redeem_sign_in_link(token, password, &visitor(&parts, &id)).await {
            Ok(token) => return Ok(entered(&state, &token, "/ui")),
            Err(error) => Some(error),
        }
    } else {
        None
    };
    let link = state.authority().sign_in_link(token).await?;
    let problems = match error {
        Some(error) => Problems::from_core(error, &[])?,
        None => problems,
    };
    page_with(
        StatusCode::UNPROCESSABLE_ENTITY,
        &LinkPage {
            frame: plain_frame("Welcome", theme(&parts.headers, state.is_https()), state.authority().now()),
            token: token.to_owned(),
            email: link.email,
            needs_password: link.needs_password,
            problems,
        },
    )
}

async fn sign_out(State(authority): State<Authority>, visit: Visit, request: Request) -> Answer {
    if let Some(token) = Cookie::Session.read(request.headers(), visit.is_https) {
        let ip = request.extensions().get::<crate::Peer>().map(|peer| peer.0);
        let ip = ip.unwrap_or(std::net::IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED));
        authority.revoke_token(&token, ip, &visit.call.request_id).await?;
    }
    let mut response = redirect("/ui/sign-in");
    Cookie::Session.put(response.headers_mut(), "", visit.is_https, Life::Gone);
    response.headers_mut().insert("clear-site-data", HeaderValue::from_static("\"cache\""));
    Ok(response)
}

async fn choose_theme(State(state): State<WebState>, form: Form) -> Response {
    let mut response = redirect(local(form.text("next")));
    let theme = Theme::from_name(form.text("theme"));
    Cookie::Theme.put(response.headers_mut(), theme.as_str(), state.is_https(), Life::Year);
    response
}

/// Asks for the password again; the form that waits for it stands in hidden fields.
pub(crate) fn confirm_page(visit: &Visit, form: &Form, problems: Problems) -> Answer {
    let asks_again = ["_password", "_otp", "_csrf"];
    page_with(
        if problems.is_empty() { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY },
        &ConfirmPage {
            frame: visit.frame("Confirm that it is you", Section::None),
            action: &visit.path,
            fields: form.iter().filter(|(name, _)| !asks_again.contains(name)).collect(),
            problems,
        },
    )
}

/// A page that asks for its own address again, this time from this site.
pub(crate) fn once_more() -> Response {
    let html = OnceMorePage.render().unwrap_or_default();
    ([(header::CONTENT_TYPE, "text/html; charset=utf-8")], html).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_pages_of_this_ui_are_gone_back_to() {
        for (next, expected) in [
            ("/ui/certificates?status=active", "/ui/certificates?status=active"),
            ("/ui", "/ui"),
            ("//evil.example/ui/", "/ui"),
            ("https://evil.example/ui/x", "/ui"),
            ("/ui/../api", "/ui/../api"),
            ("/uix", "/ui"),
            ("/ui/\\evil", "/ui"),
            ("/ui/\r\nset-cookie:x", "/ui"),
            ("/ui/sign-out", "/ui"),
            ("", "/ui"),
        ] {
            assert_eq!(local(next), expected, "{next}");
        }
    }
}
