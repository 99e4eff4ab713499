//! Settings: the project's name and clean-up, which are changed here, and the server's configuration, which is shown.

use askama::Template;
use axum::extract::State;
use chancery_authority::Authority;
use chancery_authority::access::ProjectPatch;
use chancery_authority::inventory::CleanUpPatch;
use chancery_model::Timestamp;
use chancery_model::permission::Permission;
use http::StatusCode;

use crate::error::WebError;
use crate::form::{Form, Problems};
use crate::frame::{Frame, Section, page, page_with};
use crate::route::Page;
use crate::state::WebState;
use crate::text::filters;
use crate::visit::{Answer, Visit};

const HOME: &str = "/ui/settings";
/// Days that an ended certificate may be kept before it is cleared away.
const KEPT_DAYS: std::ops::RangeInclusive<u32> = 1..=3_650;

pub(crate) fn pages() -> Vec<Page> {
    use Permission::{ProjectEdit, ProjectRead};
    vec![
        Page::get(HOME, ProjectRead, show),
        Page::post("/ui/settings/project", ProjectEdit, rename),
        Page::post("/ui/settings/clean-up", ProjectEdit, set_clean_up),
    ]
}

/// What the inputs show.
struct Draft {
    name: String,
    cleans_up: bool,
    days: String,
}

/// What some keys are about, and the keys with their values.
type Group = (&'static str, Vec<(String, Option<String>)>);

#[derive(Template)]
#[template(path = "settings/show.html")]
struct SettingsPage {
    frame: Frame,
    draft: Draft,
    next_run: Option<Timestamp>,
    groups: Vec<Group>,
    problems: Problems,
}

/// The keys that people look for, by what they are about; the rest is printed by `chancery config print`.
const GROUPS: [(&str, &[&str]); 4] = [
    (
        "Addresses",
        &["site_url", "listen", "repository_url", "repository_listen", "behind_proxy", "tls_certificate_file"],
    ),
    ("Mail", &["smtp_url", "smtp_from"]),
    (
        "Reaching out",
        &[
            "egress_allowed_networks",
            "egress_proxy",
            "egress_ca_file",
            "dns_hooks",
            "acme_http_listen",
            "acme_tls_listen",
        ],
    ),
    ("Storage and publication", &["data_dir", "database_url", "node", "crl_mirrors"]),
];

async fn settings(state: &WebState, visit: &Visit, problems: Problems) -> Result<SettingsPage, WebError> {
    let authority = state.authority();
    let project = authority.reader().project(visit.call.project_id()).await?;
    let (policy, next_run) = authority.clean_up_policy(&visit.call).await?;
    let value = |key: &str| state.settings().iter().find(|(name, _)| name == key).map(|(_, value)| value.clone());
    let group = |keys: &[&str]| keys.iter().map(|key| ((*key).to_owned(), value(key))).collect();
    Ok(SettingsPage {
        frame: visit.frame("Settings", Section::Settings),
        draft: Draft {
            name: project.map(|it| it.name).unwrap_or_default(),
            cleans_up: policy.enabled,
            days: policy.expired_for_days.to_string(),
        },
        next_run,
        groups: GROUPS.iter().map(|(title, keys)| (*title, group(keys))).collect(),
        problems,
    })
}

async fn show(State(state): State<WebState>, visit: Visit) -> Answer {
    page(&settings(&state, &visit, Problems::default()).await?)
}

async fn again(state: &WebState, visit: &Visit, problems: Problems, fill: impl FnOnce(&mut Draft)) -> Answer {
    let mut page = settings(state, visit, problems).await?;
    fill(&mut page.draft);
    page_with(StatusCode::UNPROCESSABLE_ENTITY, &page)
}

async fn rename(State(state): State<WebState>, visit: Visit, form: Form) -> Answer {
    let name = form.text("name").to_owned();
    let patch = ProjectPatch { name: Some(name.clone()), slug: None, description: None };
    match state.authority().update_project(&visit.call, visit.call.project_id(), patch).await {
        Ok(_) => Ok(visit.done(HOME, "The project is renamed.")),
        Err(error) => {
            again(&state, &visit, Problems::from_core(error, &[("name", "name")])?, |it| it.name = name).await
        }
    }
}

async fn set_clean_up(
    State(authority): State<Authority>,
    State(state): State<WebState>,
    visit: Visit,
    form: Form,
) -> Answer {
    let days = form.text("days").to_owned();
    let enabled = form.has("enabled");
    let Some(count) = days.parse().ok().filter(|it| KEPT_DAYS.contains(it)) else {
        let mut problems = Problems::default();
        problems.add("days", "Give a whole number of days from 1 to 3650");
        return again(&state, &visit, problems, |it| (it.days, it.cleans_up) = (days, enabled)).await;
    };
    let patch = CleanUpPatch { enabled: Some(enabled), expired_for_days: Some(count) };
    authority.set_clean_up_policy(&visit.call, patch).await?;
    let note =
        if enabled { "Ended certificates are cleared away from tomorrow on." } else { "Nothing is cleared away." };
    Ok(visit.done(HOME, note))
}
