//! The inventory: every certificate, searched as one types, as a table, and changed many at a time.
//!
//! [`InventoryQuery`] is the question as an address; `view` is what the page shows of the answer, `choice` what the form
//! offers, `bulk` renewing and revoking what was picked. Anybody may link here through [`InventoryQuery::href`].

mod bulk;
mod choice;
mod query;
mod view;
mod word;

use askama::Template;
use axum::extract::State;
use chancery_authority::Authority;
use chancery_model::permission::Permission;
use http::StatusCode;

use crate::error::WebError;
use crate::form::{Form, Problems};
use crate::frame::{Frame, Section, page_with};
use crate::route::Page;
use crate::saved_view::{SaveDraft, ShownView};
use crate::stream::streamed;
use crate::text::filters;
use crate::visit::{Answer, Query, Visit};
use choice::Choices;
use view::{Renewal, Results};

pub(crate) use query::{InventoryQuery, PATH, date, day_of, name};
pub(crate) use word::display_name;

pub(crate) fn pages() -> Vec<Page> {
    let mut pages = vec![
        Page::get(PATH, Permission::CertificateRead, list),
        Page::get("/ui/certificates.csv", Permission::CertificateRead, table),
    ];
    pages.extend(bulk::pages());
    pages
}

#[derive(Template)]
#[template(path = "inventory/list.html")]
struct InventoryPage<'a> {
    frame: Frame,
    query: &'a InventoryQuery,
    results: Results,
    choices: Choices,
    views: Vec<ShownView>,
    draft: &'a SaveDraft,
    problems: &'a Problems,
}

/// The part that a search as one types replaces.
#[derive(Template)]
#[template(path = "inventory/results.html")]
struct ResultsPart {
    frame: Frame,
    results: Results,
}

async fn list(State(authority): State<Authority>, visit: Visit, Query(form): Query) -> Answer {
    let mut problems = Problems::default();
    let query = InventoryQuery::read(&form, &mut problems);
    show(&authority, &visit, &query, &SaveDraft::default(), &problems).await
}

/// The page; with problems of the query, or of the form that saves it, as 422.
pub(crate) async fn show(
    authority: &Authority,
    visit: &Visit,
    query: &InventoryQuery,
    draft: &SaveDraft,
    problems: &Problems,
) -> Answer {
    let status = if problems.is_empty() { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
    let results = Results::find(authority, visit, query, problems).await?;
    let frame = visit.frame("Certificates", Section::Inventory);
    if visit.is_fragment {
        return page_with(status, &ResultsPart { frame, results });
    }
    let choices = Choices::of(authority, visit, query).await?;
    let views = ShownView::all(authority, visit, query).await?;
    page_with(status, &InventoryPage { frame, query, results, choices, views, draft, problems })
}

async fn table(State(authority): State<Authority>, visit: Visit, Query(form): Query) -> Answer {
    let query = readable(&form)?.first_page();
    let wanted = (query.filter(visit.now), query.page());
    let rows = authority.certificate_table(&visit.call, Some(wanted))?;
    Ok(streamed(rows, "text/csv; charset=utf-8", "attachment; filename=\"certificates.csv\""))
}

/// A query that another page of this door carries along.
fn readable(form: &Form) -> Result<InventoryQuery, WebError> {
    let mut problems = Problems::default();
    let query = InventoryQuery::read(form, &mut problems);
    if problems.is_empty() {
        Ok(query)
    } else {
        Err(WebError::bad_request("The search has a condition that is not known here."))
    }
}
