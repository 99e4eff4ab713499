//! The gate before every page: session, permission, and whether a form was sent from a page of this session.
//!
//! Built from the table of pages. A form is read here, because the proof that it is the visitor's own (RFC-less, but see
//! OWASP on cross-site request forgery) is one of its fields. Two proofs are asked for: the browser's own word on where the
//! form came from, and the session's form token in it.

use std::net::{IpAddr, Ipv4Addr};

use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use chancery_authority::access::Visitor;
use chancery_authority::{Call, Error, Requester};
use chancery_model::permission::Permission;
use http::request::Parts;
use http::{HeaderMap, Method, StatusCode, header};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use crate::Peer;
use crate::error::WebError;
use crate::form::{Form, Problems};
use crate::frame::{Note, Theme, error_page};
use crate::observe::RequestId;
use crate::session::{Cookie, Life, equals};
use crate::sign_in;
use crate::state::WebState;
use crate::visit::{Visit, redirect};

/// How long a password that was given counts as given lately, in seconds.
const CONFIRMED_SECONDS: i64 = 15 * 60;
/// Largest form of a page without a session.
const PUBLIC_FORM_MAX: usize = 16 * 1024;
/// Sent by the script when it asks for a part of a page.
const FRAGMENT: &str = "x-chancery-fragment";
/// Its value when nobody did anything: the page asks again and again for what is under way.
const POLL: &str = "poll";

/// What one page asks of its visitors.
#[derive(Clone)]
pub(crate) struct Gate {
    pub state: WebState,
    pub permission: Permission,
    pub is_elevated: bool,
    pub form_max: usize,
}

/// Pages without a session: nothing to prove, so forms are limited in number, and must come from this site.
pub(crate) async fn open(State(state): State<WebState>, request: Request, next: Next) -> Result<Response, WebError> {
    let (mut parts, body) = request.into_parts();
    if parts.method != Method::POST {
        return Ok(next.run(Request::from_parts(parts, body)).await);
    }
    state.admit(peer(&parts)).map_err(WebError::rate_limited)?;
    from_this_site(&parts.headers)?;
    let form = read_form(&parts.headers, body, PUBLIC_FORM_MAX).await?;
    parts.extensions.insert(form);
    Ok(next.run(Request::from_parts(parts, Body::empty())).await)
}

pub(crate) async fn pass(State(gate): State<Gate>, request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    let is_https = gate.state.is_https();
    let Some(token) = Cookie::Session.read(&parts.headers, is_https) else {
        return unauthenticated(&parts, is_https);
    };
    let requester = match gate.state.authority().authenticate(&token, peer(&parts)).await {
        Ok(requester) if requester.is_browser() => requester,
        Ok(_) => return unauthenticated(&parts, is_https),
        Err(error) if is_about_the_token(&error) => return unauthenticated(&parts, is_https),
        Err(error) => return WebError::from(error).into_response(),
    };
    // A page that asks by itself is no sign of a person: a session that nobody uses ends, whatever stays open.
    if !is_polled(&parts.headers)
        && let Err(error) = gate.state.authority().prolong_session(&requester).await
    {
        // The session ends a little earlier than it might; the page is served all the same.
        tracing::warn!(%error, "a session could not be prolonged");
    }
    let visit = gate.visit(&parts, requester);
    let mut response = match gate.admit(&visit, &token, parts, body, next).await {
        Ok(response) => response,
        Err(error) => framed(&visit, &error),
    };
    if visit.note.is_some() && !visit.is_fragment && response.status() != StatusCode::SEE_OTHER {
        Cookie::Note.put(response.headers_mut(), "", is_https, Life::Gone);
    }
    response
}

/// An error of a page, inside the frame of its visitor.
pub(crate) async fn frame_errors(visit: Visit, request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    match response.extensions_mut().remove::<WebError>() {
        Some(error) => framed(&visit, &error),
        None => response,
    }
}

/// The error's page; what the log needs stays with it.
fn framed(visit: &Visit, error: &WebError) -> Response {
    let frame = visit.frame("", crate::frame::Section::None);
    let mut response = error_page(error, frame, &visit.call.request_id);
    response.extensions_mut().insert(crate::observe::Told(error.clone()));
    response
}

impl Gate {
    fn visit(&self, parts: &Parts, requester: Requester) -> Visit {
        let is_https = self.state.is_https();
        let configured = self.state.authority().site_url().map(|url| url.trim_end_matches('/').to_owned());
        let form_token = self.state.authority().form_token(&requester);
        Visit {
            server_url: configured.unwrap_or_else(|| used_address(&parts.headers, is_https)),
            call: Call { requester, request_id: request_id(parts), idempotency: None },
            csrf: form_token.map(hex::encode).unwrap_or_default(),
            now: self.state.authority().now(),
            is_https,
            path: parts.uri.path().to_owned(),
            is_fragment: parts.headers.contains_key(FRAGMENT),
            theme: theme(&parts.headers, is_https),
            note: Cookie::Note.read(&parts.headers, is_https).and_then(|text| Note::from_text(&text)),
            nonce: self.state.nonce(),
        }
    }

    async fn admit(
        &self,
        visit: &Visit,
        token: &str,
        mut parts: Parts,
        body: Body,
        next: Next,
    ) -> Result<Response, WebError> {
        let requester = &visit.call.requester;
        if let Err(error) = requester.require_somewhere(self.permission) {
            let id = &visit.call.request_id;
            if let Err(error) = self.state.authority().record_denied(requester, self.permission, id).await {
                tracing::error!(req_id = %id, "a denied call could not be written to the audit log: {error}");
            }
            return Err(error.into());
        }
        if parts.method == Method::GET || parts.method == Method::HEAD {
            parts.extensions.insert(visit.clone());
            return Ok(next.run(Request::from_parts(parts, body)).await);
        }
        from_this_site(&parts.headers)?;
        let form = read_form(&parts.headers, body, self.form_max).await?;
        if !form.raw("_csrf").is_some_and(|given| !given.is_empty() && equals(given, &visit.csrf)) {
            return Err(WebError::new(
                StatusCode::FORBIDDEN,
                "This form is out of date",
                "It was made for an earlier session, or did not come from a page of this one. Nothing was changed.",
                "Go back, reload the page, and send the form again.",
            ));
        }
        let renewed = match self.confirm(visit, token, &parts, &form).await? {
            Confirmation::Ask(page) => return Ok(page),
            Confirmation::Given => None,
            Confirmation::Renewed(token) => Some(token),
        };
        let visit = match &renewed {
            Some(token) => self.anew(visit, token, &parts).await,
            None => visit.clone(),
        };
        let is_https = visit.is_https;
        parts.extensions.insert(visit);
        parts.extensions.insert(form);
        let mut response = next.run(Request::from_parts(parts, Body::empty())).await;
        if let Some(token) = renewed {
            Cookie::Session.put(response.headers_mut(), &token, is_https, Life::Browser);
        }
        Ok(response)
    }

    /// The visit under the session's new token: the forms of the page that answers are sent with that one, and what ends
    /// the visitor's other sessions must not end this one.
    async fn anew(&self, visit: &Visit, token: &str, parts: &Parts) -> Visit {
        match self.state.authority().authenticate(token, peer(parts)).await {
            Ok(requester) => self.visit(parts, requester),
            Err(error) => {
                // The password was right and the cookie is to be set all the same; only this page's forms are out of date.
                tracing::warn!(%error, "a session that was just confirmed could not be read");
                visit.clone()
            }
        }
    }

    /// Whether the visitor's password is known well enough for what the page does. If not, it is asked for, and the form
    /// that was sent waits in the page that asks.
    async fn confirm(&self, visit: &Visit, token: &str, parts: &Parts, form: &Form) -> Result<Confirmation, WebError> {
        let since = visit.call.requester.confirmed_at();
        let is_recent = since.is_some_and(|at| at.plus_seconds(CONFIRMED_SECONDS) > visit.now);
        if !self.is_elevated || is_recent {
            return Ok(Confirmation::Given);
        }
        let Some(password) = form.raw("_password") else {
            return Ok(Confirmation::Ask(sign_in::confirm_page(visit, form, Problems::default())?));
        };
        self.state.admit(peer(parts)).map_err(WebError::rate_limited)?;
        let id = request_id(parts);
        let visitor = visitor(parts, &id);
        match self.state.authority().confirm_session(token, password, form.given("_otp"), &visitor).await {
            Ok(renewed) => Ok(Confirmation::Renewed(renewed.access_token)),
            Err(error) => {
                let problems = sign_in::refused(error)?;
                Ok(Confirmation::Ask(sign_in::confirm_page(visit, form, problems)?))
            }
        }
    }
}

enum Confirmation {
    Given,
    /// Just given; the session goes on under a new token.
    Renewed(zeroize::Zeroizing<String>),
    Ask(Response),
}

fn is_polled(headers: &HeaderMap) -> bool {
    headers.get(FRAGMENT).is_some_and(|it| it == POLL)
}

pub(crate) fn visitor<'a>(parts: &'a Parts, request_id: &'a str) -> Visitor<'a> {
    let user_agent = parts.headers.get(header::USER_AGENT).and_then(|it| it.to_str().ok()).unwrap_or_default();
    Visitor { ip: peer(parts), user_agent, request_id }
}

pub(crate) fn theme(headers: &HeaderMap, is_https: bool) -> Theme {
    Cookie::Theme.read(headers, is_https).map_or(Theme::System, |name| Theme::from_name(&name))
}

pub(crate) fn request_id(parts: &Parts) -> String {
    parts.extensions.get::<RequestId>().map_or_else(String::new, |id| id.0.clone())
}

fn peer(parts: &Parts) -> IpAddr {
    parts.extensions.get::<Peer>().map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.0)
}

const fn is_about_the_token(error: &Error) -> bool {
    matches!(error, Error::InvalidToken(_) | Error::Unauthenticated(_) | Error::NotFound { .. })
}

/// The address that the browser used, for commands and links to copy where none is configured.
fn used_address(headers: &HeaderMap, is_https: bool) -> String {
    let is_host = |text: &&str| {
        !text.is_empty()
            && text.bytes().all(|it| it.is_ascii_alphanumeric() || matches!(it, b'.' | b'-' | b':' | b'[' | b']'))
    };
    let host = headers.get(header::HOST).and_then(|it| it.to_str().ok()).filter(is_host).unwrap_or("localhost");
    format!("{}://{host}", if is_https { "https" } else { "http" })
}

/// To the sign-in page, and from there back to where the visitor wanted to go.
fn unauthenticated(parts: &Parts, is_https: bool) -> Response {
    if parts.headers.contains_key(FRAGMENT) {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    let is_from_elsewhere = parts.headers.get("sec-fetch-site").is_some_and(|it| it == "cross-site");
    let has_cookie = Cookie::Session.read(&parts.headers, is_https).is_some();
    if parts.method == Method::GET && is_from_elsewhere && !has_cookie {
        // A strict cookie is not sent along with a link from another site, such as a mail reader: this page asks once
        // more from here.
        return sign_in::once_more();
    }
    let wanted = match (&parts.method, parts.uri.path_and_query()) {
        (&Method::GET, Some(wanted)) if wanted.as_str() != "/ui" => {
            format!("?next={}", utf8_percent_encode(wanted.as_str(), NON_ALPHANUMERIC))
        }
        _ => String::new(),
    };
    redirect(&format!("/ui/sign-in{wanted}"))
}

/// The browser's own word on where a form came from. One that says nothing is judged by the form's token alone.
fn from_this_site(headers: &HeaderMap) -> Result<(), WebError> {
    let text = |name: &str| headers.get(name).and_then(|it| it.to_str().ok());
    let is_ours = match (text("sec-fetch-site"), text("origin")) {
        (Some(site), _) => matches!(site, "same-origin" | "none"),
        (None, Some(origin)) => origin.split_once("://").map(|(_, host)| host) == text("host"),
        (None, None) => true,
    };
    if is_ours {
        return Ok(());
    }
    Err(WebError::new(
        StatusCode::FORBIDDEN,
        "This form came from another site",
        "It was not sent from a page of this server, so nothing was changed.",
        "Open the page here and send the form again.",
    ))
}

/// Reads a form within the limit; anything but a plain form is refused.
async fn read_form(headers: &HeaderMap, body: Body, most: usize) -> Result<Form, WebError> {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|it| it.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    if !kind.eq_ignore_ascii_case("application/x-www-form-urlencoded") || headers.contains_key(header::CONTENT_ENCODING)
    {
        return Err(WebError::bad_request("What was sent is not a form."));
    }
    let bytes = to_bytes(body, most).await.map_err(|error| {
        let is_too_large =
            std::error::Error::source(&error).is_some_and(|it| it.is::<http_body_util::LengthLimitError>());
        if is_too_large {
            let message = format!("The form is larger than {} KiB.", most / 1024);
            let next = "Send less at once, or use the API or the command line.";
            WebError::new(StatusCode::PAYLOAD_TOO_LARGE, "Too large", message, next)
        } else {
            WebError::bad_request("The form ended before it was complete.")
        }
    })?;
    Ok(Form::parse(&bytes))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn the_address_in_commands_is_a_plain_host() {
        for (host, shown) in [
            ("pki.acme.com:8443", "https://pki.acme.com:8443"),
            ("[::1]:8200", "https://[::1]:8200"),
            ("a;rm -rf ~", "https://localhost"),
            ("a$(id)", "https://localhost"),
            ("", "https://localhost"),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert("host", HeaderValue::from_str(host).unwrap());
            assert_eq!(used_address(&headers, true), shown);
        }
    }

    #[test]
    fn a_form_must_come_from_this_site() {
        let check = |pairs: &[(&'static str, &'static str)], is_ours: bool| {
            let mut headers = HeaderMap::new();
            headers.insert("host", HeaderValue::from_static("pki.acme.com:8200"));
            for (name, value) in pairs {
                headers.insert(*name, HeaderValue::from_static(value));
            }
            assert_eq!(from_this_site(&headers).is_ok(), is_ours, "{pairs:?}");
        };
        check(&[], true);
        check(&[("sec-fetch-site", "same-origin")], true);
        check(&[("sec-fetch-site", "none")], true);
        check(&[("sec-fetch-site", "same-site")], false);
        check(&[("sec-fetch-site", "cross-site")], false);
        check(&[("sec-fetch-site", "cross-site"), ("origin", "https://pki.acme.com:8200")], false);
        check(&[("origin", "https://pki.acme.com:8200")], true);
        check(&[("origin", "https://pki.acme.com")], false);
        check(&[("origin", "https://evil.example")], false);
        check(&[("origin", "null")], false);
    }
}
