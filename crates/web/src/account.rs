//! The visitor's own account: password, second factor, sessions.

use askama::Template;
use axum::extract::State;
use chancery_authority::Authority;
use chancery_authority::access::OwnSession;
use chancery_model::AccessTokenId;
use chancery_model::identity::ActorId;
use chancery_model::permission::Permission;
use http::StatusCode;
use qrcode::{Color, QrCode};

use crate::error::WebError;
use crate::form::{Form, Problems};
use crate::frame::{Frame, Section, page, page_with};
use crate::route::Page;
use crate::text::filters;
use crate::visit::{Answer, Id, Visit};

const HOME: &str = "/ui/account";

pub(crate) fn pages() -> Vec<Page> {
    use Permission::OwnSession;
    vec![
        Page::get(HOME, OwnSession, show),
        Page::post("/ui/account/password", OwnSession, change_password),
        Page::post("/ui/account/totp", OwnSession, begin_totp).elevated(),
        Page::post("/ui/account/totp/confirm", OwnSession, confirm_totp),
        Page::post("/ui/account/totp/remove", OwnSession, remove_totp).elevated(),
        Page::post("/ui/account/sessions/{id}/end", OwnSession, end_session),
        Page::post("/ui/account/sessions/end-others", OwnSession, end_others),
    ]
}

#[derive(Template)]
#[template(path = "account/show.html")]
struct AccountPage {
    frame: Frame,
    has_second_factor: bool,
    sessions: Vec<OwnSession>,
    problems: Problems,
}

#[derive(Template)]
#[template(path = "account/totp.html")]
struct TotpPage {
    frame: Frame,
    /// To type in; empty when the page is shown again after a wrong code: the secret is shown once.
    secret: String,
    /// To scan.
    code: Option<Picture>,
    problems: Problems,
}

/// A QR code as squares.
struct Picture {
    size: usize,
    /// An SVG path of unit squares.
    path: String,
}

impl Picture {
    fn of(text: &str) -> Option<Self> {
        const QUIET_ZONE: usize = 4;
        let code = QrCode::new(text.as_bytes()).ok()?;
        let width = code.width();
        let mut path = String::new();
        for (index, color) in code.to_colors().into_iter().enumerate() {
            if color == Color::Dark {
                let (x, y) = (index % width + QUIET_ZONE, index / width + QUIET_ZONE);
                path.push_str(&format!("M{x} {y}h1v1h-1z"));
            }
        }
        Some(Self { size: width + 2 * QUIET_ZONE, path })
    }
}

async fn account(authority: &Authority, visit: &Visit, problems: Problems) -> Result<AccountPage, WebError> {
    let user = match visit.call.requester.actor_id() {
        ActorId::User(id) => authority.reader().user(id).await?,
        _ => None,
    };
    Ok(AccountPage {
        frame: visit.frame("Your account", Section::Account),
        has_second_factor: user.is_some_and(|it| it.has_second_factor()),
        sessions: authority.own_sessions(&visit.call).await?,
        problems,
    })
}

async fn show(State(authority): State<Authority>, visit: Visit) -> Answer {
    page(&account(&authority, &visit, Problems::default()).await?)
}

async fn again(authority: &Authority, visit: &Visit, problems: Problems) -> Answer {
    page_with(StatusCode::UNPROCESSABLE_ENTITY, &account(authority, visit, problems).await?)
}

async fn change_password(State(authority): State<Authority>, visit: Visit, form: Form) -> Answer {
    let text = |name: &str| form.raw(name).unwrap_or_default();
    let mut problems = Problems::default();
    if text("new") != text("repeated") {
        problems.add("repeated", "The two passwords differ");
        return again(&authority, &visit, problems).await;
    }
    match authority.change_password(&visit.call, text("current"), text("new")).await {
        Ok(()) => Ok(visit.done(HOME, "Your password is changed, and every other session of yours is ended.")),
        Err(error) => {
            let problems = Problems::from_core(error, &[("currentPassword", "current"), ("newPassword", "new")])?;
            again(&authority, &visit, problems).await
        }
    }
}

async fn begin_totp(State(authority): State<Authority>, visit: Visit) -> Answer {
    let setup = authority.begin_totp(&visit.call).await?;
    page(&TotpPage {
        frame: visit.frame("Set up one-time codes", Section::Account),
        code: Picture::of(&setup.uri),
        secret: setup.secret_base32.as_str().to_owned(),
        problems: Problems::default(),
    })
}

async fn confirm_totp(State(authority): State<Authority>, visit: Visit, form: Form) -> Answer {
    match authority.confirm_totp(&visit.call, form.text("code")).await {
        Ok(()) => Ok(visit.done(HOME, "From now on a one-time code is asked for when you sign in.")),
        Err(error) => page_with(
            StatusCode::UNPROCESSABLE_ENTITY,
            &TotpPage {
                frame: visit.frame("Set up one-time codes", Section::Account),
                secret: String::new(),
                code: None,
                problems: Problems::from_core(error, &[])?,
            },
        ),
    }
}

async fn remove_totp(State(authority): State<Authority>, visit: Visit, form: Form) -> Answer {
    match authority.remove_totp(&visit.call, form.raw("password").unwrap_or_default()).await {
        Ok(()) => Ok(visit.done(HOME, "One-time codes are switched off.")),
        Err(error) => again(&authority, &visit, Problems::from_core(error, &[("password", "totp_password")])?).await,
    }
}

async fn end_session(State(authority): State<Authority>, visit: Visit, Id(id): Id<AccessTokenId>) -> Answer {
    authority.end_session(&visit.call, id).await?;
    Ok(visit.done(HOME, "The session is ended."))
}

async fn end_others(State(authority): State<Authority>, visit: Visit) -> Answer {
    let ended = authority.end_other_sessions(&visit.call).await?;
    let note = match ended {
        0 => "There was no other session.".to_owned(),
        1 => "The other session is ended.".to_owned(),
        many => format!("{many} other sessions are ended."),
    };
    Ok(visit.done(HOME, note))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_drawn_with_its_quiet_zone() {
        let picture = Picture::of("otpauth://totp/Chancery:a@b?secret=ABCDEFGHIJKLMNOPQRSTUVWXYZ234567").unwrap();
        // The finder pattern's first row: seven dark squares from the corner (ISO/IEC 18004 §6.3.3).
        for x in 4..11 {
            assert!(picture.path.contains(&format!("M{x} 4h")), "{x}");
        }
        assert!(!picture.path.contains("M11 4h") && !picture.path.contains("M3 "));
        assert!(picture.size >= 29);
    }
}
