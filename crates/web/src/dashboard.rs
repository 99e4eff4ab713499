//! The first page: what needs attention, and the inventory in figures that each lead to the certificates behind them.

mod attention;
pub(crate) mod chart;

use askama::Template;
use axum::extract::State;
use chancery_authority::Authority;
use chancery_model::certificate::CertificateStatus;
use chancery_model::permission::Permission;
use chancery_model::{CaId, ProfileId};
use chancery_pkix::KeyAlgorithm;
use chancery_store::InventoryStatistics;

use crate::error::WebError;
use crate::frame::{Frame, Section, page};
use crate::inventory::InventoryQuery;
use crate::route::Page;
use crate::setup;
use crate::text::filters;
use crate::visit::{Answer, Visit, redirect};
use attention::Concern;
use chart::{Bars, Share};

pub(crate) fn pages() -> Vec<Page> {
    vec![Page::get("/ui", Permission::CertificateRead, show)]
}

/// A number that leads somewhere.
struct Figure {
    label: &'static str,
    count: u64,
    href: String,
}

/// Certificates by one of their properties, most first.
struct Breakdown {
    title: &'static str,
    shares: Vec<Share>,
}

#[derive(Template)]
#[template(path = "dashboard/show.html")]
struct DashboardPage {
    frame: Frame,
    concerns: Vec<Concern>,
    figures: Vec<Figure>,
    expiry: Bars,
    issuance: Bars,
    breakdowns: Vec<Breakdown>,
}

async fn show(State(authority): State<Authority>, visit: Visit) -> Answer {
    if visit.may(Permission::ProfileCreate) && setup::is_empty(&authority, &visit).await? {
        return Ok(redirect("/ui/setup"));
    }
    let found = authority.reader().statistics(visit.call.project_id(), visit.now).await?;
    page(&DashboardPage {
        frame: visit.frame("Dashboard", Section::Dashboard),
        concerns: attention::concerns(&authority, &visit, &found).await?,
        figures: figures(&found),
        expiry: chart::expiry(&found.expiring_by_day, visit.now),
        issuance: chart::issuance(&found.issued_by_day, visit.now),
        breakdowns: breakdowns(&authority, &visit, &found).await?,
    })
}

fn figures(found: &InventoryStatistics) -> Vec<Figure> {
    let of = |label, count, status: Option<CertificateStatus>| {
        let query = InventoryQuery { status: status.into_iter().collect(), ..InventoryQuery::default() };
        Figure { label, count, href: query.href() }
    };
    vec![
        of("Active", found.active, Some(CertificateStatus::Active)),
        of("Expired", found.expired, Some(CertificateStatus::Expired)),
        of("Revoked", found.revoked, Some(CertificateStatus::Revoked)),
        of("In the inventory", found.total, None),
    ]
}

async fn breakdowns(
    authority: &Authority,
    visit: &Visit,
    found: &InventoryStatistics,
) -> Result<Vec<Breakdown>, WebError> {
    let (reader, project) = (authority.reader(), visit.call.project_id());
    let mut cas = Vec::new();
    for (id, count) in found.by_ca.iter().take(Share::MOST) {
        let name = reader.ca_summary(project, *id).await?.map_or_else(|| "a deleted CA".to_owned(), |it| it.name);
        cas.push(of_ca(*id, name, *count));
    }
    let mut profiles = Vec::new();
    for (id, count) in found.by_profile.iter().take(Share::MOST) {
        let name = reader.profile(project, *id).await?.map_or_else(|| "a deleted profile".to_owned(), |it| it.slug);
        profiles.push(of_profile(*id, name, *count));
    }
    let algorithms = found.by_algorithm.iter().take(Share::MOST).map(|(it, count)| of_algorithm(*it, *count));
    Ok(vec![
        Breakdown { title: "By issuer", shares: Share::scaled(cas) },
        Breakdown { title: "By profile", shares: Share::scaled(profiles) },
        Breakdown { title: "By key algorithm", shares: Share::scaled(algorithms.collect()) },
    ])
}

fn of_ca(id: CaId, name: String, count: u64) -> Share {
    Share::new(name, count, InventoryQuery { ca: Some(id), ..InventoryQuery::default() }.href())
}

fn of_profile(id: ProfileId, name: String, count: u64) -> Share {
    Share::new(name, count, InventoryQuery { profile: Some(id), ..InventoryQuery::default() }.href())
}

fn of_algorithm(algorithm: Option<KeyAlgorithm>, count: u64) -> Share {
    let query = InventoryQuery {
        algorithm,
        status: vec![CertificateStatus::Active],
        // A key of a kind that is never made here counts as weak.
        view: algorithm.is_none().then_some(chancery_model::certificate::CertificateView::WeakKey),
        ..InventoryQuery::default()
    };
    Share::new(algorithm.map_or("another kind", KeyAlgorithm::label).to_owned(), count, query.href())
}
