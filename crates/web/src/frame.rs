//! What is around every page: title, navigation, visitor, note. [`page`] renders a template into an answer.

use askama::Template;
use axum::response::{IntoResponse, Response};
use chancery_model::Timestamp;
use chancery_model::permission::{Permission, Role};
use http::{HeaderValue, StatusCode, header};

use crate::asset;
use crate::error::WebError;
use crate::visit::Answer;

/// A part of the UI: an entry of the navigation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Section {
    Dashboard,
    Inventory,
    Request,
    Requests,
    Renewals,
    Authorities,
    Templates,
    Profiles,
    Connections,
    Alerts,
    Audit,
    Access,
    Settings,
    About,
    /// The visitor's own account; not in the navigation.
    Account,
    /// Nowhere: sign-in, errors, set-up.
    None,
}

/// The navigation: a title, and the sections under it.
const NAVIGATION: [(&str, &[Section]); 4] = [
    ("Certificates", &[Section::Dashboard, Section::Inventory, Section::Request, Section::Requests, Section::Renewals]),
    ("Issuing", &[Section::Authorities, Section::Templates, Section::Profiles]),
    ("Operations", &[Section::Alerts, Section::Audit, Section::Connections]),
    ("Administration", &[Section::Access, Section::Settings, Section::About]),
];

impl Section {
    pub const fn label(self) -> &'static str {
        match self {
            Self::Dashboard => "Dashboard",
            Self::Inventory => "Inventory",
            Self::Request => "Request a certificate",
            Self::Requests => "Requests",
            Self::Renewals => "Renewals",
            Self::Authorities => "Certification authorities",
            Self::Templates => "Templates",
            Self::Profiles => "Profiles",
            Self::Connections => "App connections",
            Self::Alerts => "Alerts",
            Self::Audit => "Audit log",
            Self::Access => "Access",
            Self::Settings => "Settings",
            Self::About => "About and health",
            Self::Account => "Your account",
            Self::None => "",
        }
    }

    pub const fn href(self) -> &'static str {
        match self {
            Self::Dashboard | Self::None => "/ui",
            Self::Inventory => "/ui/certificates",
            Self::Request => "/ui/request",
            Self::Requests => "/ui/requests",
            Self::Renewals => "/ui/renewals",
            Self::Authorities => "/ui/authorities",
            Self::Templates => "/ui/templates",
            Self::Profiles => "/ui/profiles",
            Self::Connections => "/ui/connections",
            Self::Alerts => "/ui/alerts",
            Self::Audit => "/ui/audit",
            Self::Access => "/ui/access",
            Self::Settings => "/ui/settings",
            Self::About => "/ui/about",
            Self::Account => "/ui/account",
        }
    }

    const fn permission(self) -> Permission {
        match self {
            Self::Dashboard | Self::Inventory | Self::Renewals => Permission::CertificateRead,
            Self::Request => Permission::CertificateIssue,
            Self::Requests => Permission::CertificateRead,
            Self::Authorities => Permission::CaRead,
            Self::Templates => Permission::TemplateRead,
            Self::Profiles => Permission::ProfileRead,
            Self::Connections => Permission::ConnectionRead,
            Self::Alerts => Permission::AlertRead,
            Self::Audit => Permission::AuditRead,
            Self::Access => Permission::IdentityRead,
            Self::Settings | Self::About => Permission::ProjectRead,
            Self::Account | Self::None => Permission::OwnSession,
        }
    }
}

/// Light or dark, or as the visitor's system says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Theme {
    #[default]
    System,
    Light,
    Dark,
}

impl Theme {
    pub fn from_name(name: &str) -> Self {
        match name {
            "light" => Self::Light,
            "dark" => Self::Dark,
            _ => Self::System,
        }
    }

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::Light => "light",
            Self::Dark => "dark",
        }
    }
}

/// What the last action did, said once on the page after it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Note {
    pub is_problem: bool,
    pub text: String,
}

impl Note {
    /// Longest text that travels in a cookie, in octets: encoded, each may take three, and browsers drop what is too long.
    const OCTETS_MAX: usize = 600;

    pub fn to_text(&self) -> String {
        let mut text = String::from(if self.is_problem { '!' } else { '+' });
        for it in self.text.chars() {
            if text.len() + it.len_utf8() > Self::OCTETS_MAX {
                text.push('…');
                break;
            }
            text.push(it);
        }
        text
    }

    pub fn from_text(text: &str) -> Option<Self> {
        let (mark, rest) = text.split_at_checked(1)?;
        let is_problem = match mark {
            "!" => true,
            "+" => false,
            _ => return None,
        };
        Some(Self { is_problem, text: rest.to_owned() })
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Who {
    pub name: String,
    pub role: Role,
}

/// The frame of a page; every page's template has it under this name.
#[derive(Clone, Debug)]
pub(crate) struct Frame {
    pub title: String,
    pub section: Section,
    pub who: Option<Who>,
    /// The session's form token, for the hidden field of every form.
    pub csrf: String,
    /// A number for forms that are to be taken once.
    pub once: String,
    pub path: String,
    pub theme: Theme,
    pub note: Option<Note>,
    pub now: Timestamp,
}

impl Frame {
    /// Groups of the navigation with the sections that this visitor's role may see.
    pub fn navigation(&self) -> Vec<(&'static str, Vec<Section>)> {
        let Some(who) = &self.who else { return Vec::new() };
        let visible = |sections: &[Section]| {
            sections.iter().copied().filter(|it| who.role.allows(it.permission())).collect::<Vec<_>>()
        };
        NAVIGATION.iter().map(|(title, all)| (*title, visible(all))).filter(|(_, all)| !all.is_empty()).collect()
    }

    pub fn is_at(&self, section: &Section) -> bool {
        self.section == *section
    }

    pub fn is_at_account(&self) -> bool {
        self.section == Section::Account
    }

    /// Whether the visitor's role allows this; templates ask before they show a button.
    pub fn may(&self, permission: Permission) -> bool {
        self.who.as_ref().is_some_and(|who| who.role.allows(permission))
    }

    pub fn style_path(&self) -> &'static str {
        asset::style_path()
    }

    pub fn script_path(&self) -> &'static str {
        asset::script_path()
    }
}

/// A page.
pub(crate) fn page(template: &impl Template) -> Answer {
    page_with(StatusCode::OK, template)
}

/// A page with another status, such as a form that is shown again (422).
pub(crate) fn page_with(status: StatusCode, template: &impl Template) -> Answer {
    let html = template.render().map_err(WebError::from)?;
    let content_type = HeaderValue::from_static("text/html; charset=utf-8");
    Ok((status, [(header::CONTENT_TYPE, content_type)], html).into_response())
}

/// The page of an error.
#[derive(Template)]
#[template(path = "error.html")]
struct ErrorPage<'a> {
    frame: Frame,
    message: &'a str,
    next_step: &'a str,
    request_id: Option<&'a str>,
}

/// Writes the page of an error; `frame` is the visitor's, or one without a visitor.
pub(crate) fn error_page(error: &WebError, frame: Frame, request_id: &str) -> Response {
    let fault = error.fault();
    let page = ErrorPage {
        frame: Frame { title: fault.title.to_owned(), ..frame },
        message: &fault.message,
        next_step: &fault.next_step,
        request_id: fault.status.is_server_error().then_some(request_id),
    };
    let mut response = page_with(fault.status, &page).unwrap_or_else(|_| fault.status.into_response());
    if let Some(seconds) = fault.retry_after {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::Cookie;

    #[test]
    fn a_note_of_any_length_comes_back_from_its_cookie() {
        for text in
            ["Saved.", &"a name, ".repeat(200), &"東京".repeat(300), &"\u{1f512}".repeat(300), "a\r\nset-cookie: b=c"]
        {
            let note = Note { is_problem: true, text: text.to_owned() };
            let cookie = Cookie::Note.set(&note.to_text(), true, crate::session::Life::Browser);
            let pair = cookie.to_str().unwrap().split(';').next().unwrap().to_owned();
            let mut headers = http::HeaderMap::new();
            headers.insert(header::COOKIE, HeaderValue::from_str(&pair).unwrap());
            let back = Cookie::Note.read(&headers, true).and_then(|it| Note::from_text(&it)).unwrap();
            let kept = back.text.trim_end_matches('…');
            assert!(back.is_problem && text.starts_with(kept) && !kept.is_empty(), "{}", back.text);
            assert_eq!(kept.len() == text.len(), text.len() < 500, "{text}");
        }
    }
}
