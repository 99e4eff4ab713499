//! The first page: what needs attention, and the inventory in figures.

use askama::Template;
use axum::extract::State;
use chancery_authority::Authority;
use chancery_model::permission::Permission;

use crate::frame::{Frame, Section, page};
use crate::route::Page;
use crate::visit::{Answer, Visit};

pub(crate) fn pages() -> Vec<Page> {
    vec![Page::get("/ui", Permission::CertificateRead, show)]
}

#[derive(Template)]
#[template(path = "dashboard.html")]
struct DashboardPage {
    frame: Frame,
    total: u64,
    active: u64,
}

async fn show(State(authority): State<Authority>, visit: Visit) -> Answer {
    let found = authority.reader().statistics(visit.call.project_id(), visit.now).await?;
    page(&DashboardPage {
        frame: visit.frame("Dashboard", Section::Dashboard),
        total: found.total,
        active: found.active,
    })
}
