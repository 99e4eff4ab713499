//! About this server, and how it is.

use askama::Template;
use axum::extract::State;
use chancery_authority::status::{StatusHealth, StatusKind};
use chancery_model::Timestamp;
use chancery_model::permission::Permission;

use crate::error::WebError;
use crate::frame::{Frame, Section, page};
use crate::route::Page;
use crate::state::WebState;
use crate::text::filters;
use crate::visit::{Answer, Visit};

pub(crate) fn pages() -> Vec<Page> {
    vec![Page::get("/ui/about", Permission::ProjectRead, show)]
}

/// Something published that has to be replaced in time.
struct Published {
    ca: String,
    ca_id: String,
    what: &'static str,
    lapses_at: Option<Timestamp>,
}

impl Published {
    /// Nothing was published, or what was is over.
    fn is_stale(&self, now: &Timestamp) -> bool {
        self.lapses_at.is_none_or(|at| at <= *now)
    }
}

#[derive(Template)]
#[template(path = "about/show.html")]
struct AboutPage {
    frame: Frame,
    version: &'static str,
    node: String,
    site_url: Option<String>,
    repository_url: Option<String>,
    public_key: String,
    issued: u64,
    refused: u64,
    renewed: u64,
    failed_sign_ins: u64,
    overdue: u64,
    published: Vec<Published>,
}

async fn show(State(state): State<WebState>, visit: Visit) -> Answer {
    let authority = state.authority();
    page(&AboutPage {
        frame: visit.frame("About and health", Section::About),
        version: state.version(),
        node: authority.node().to_owned(),
        site_url: authority.site_url().map(str::to_owned),
        repository_url: authority.repository_url().map(str::to_owned),
        public_key: hex::encode(authority.audit_public_key()),
        issued: authority.stages().issued(),
        refused: authority.stages().refused(),
        renewed: authority.renewal_counters().renewed(),
        failed_sign_ins: authority.failed_logins(),
        overdue: authority.overdue_renewals().await?,
        published: published(&state, &visit).await?,
    })
}

/// What this project's CAs publish; what lapses first comes first.
async fn published(state: &WebState, visit: &Visit) -> Result<Vec<Published>, WebError> {
    let authority = state.authority();
    let cas = authority.reader().cas(visit.call.project_id()).await?;
    let of = |it: StatusHealth| {
        let ca = cas.iter().find(|ca| ca.id == it.ca_id)?;
        let what = match it.kind {
            StatusKind::Crl => "Revocation list",
            StatusKind::OcspResponder => "OCSP responder",
        };
        Some(Published { ca: ca.name.clone(), ca_id: ca.id.to_string(), what, lapses_at: it.lapses_at })
    };
    let mut all: Vec<Published> = authority.status_health().await?.into_iter().filter_map(of).collect();
    all.sort_by_key(|it| it.lapses_at);
    Ok(all)
}
