//! Renewals: what the server will renew day by day, what it should have renewed and did not, and why.

use askama::Template;
use axum::extract::State;
use chancery_authority::Authority;
use chancery_authority::issuance::Issuance;
use chancery_authority::renewal::{DueRenewal, OverdueRenewal, RenewRequest, RenewalKeySource};
use chancery_model::certificate::CertificateView;
use chancery_model::page::{PageRequest, Total};
use chancery_model::permission::Permission;
use chancery_model::{CertificateId, ErrorKind, Timestamp};

use crate::dashboard::chart::{self, Bars};
use crate::form::Form;
use crate::frame::{Frame, Section, page};
use crate::inventory::{InventoryQuery, date, day_of, display_name, name};
use crate::route::Page;
use crate::text::filters;
use crate::visit::{Answer, Id, Query, Visit};

const PATH: &str = "/ui/renewals";
const DAYS: u32 = 90;
const ROWS: u32 = 50;
/// Renewals of one day that are listed.
const DAY_ROWS: u32 = 200;

pub(crate) fn pages() -> Vec<Page> {
    vec![
        Page::get(PATH, Permission::CertificateRead, show),
        Page::post("/ui/renewals/{id}", Permission::CertificateRenew, renew),
    ]
}

#[derive(Template)]
#[template(path = "renewal/show.html")]
struct RenewalPage {
    frame: Frame,
    chart: Bars,
    day: Option<Day>,
    overdue: Vec<Late>,
    total: Total,
    next: Option<String>,
    /// Whether this is not the first page of the overdue.
    is_further: bool,
    failed_href: String,
}

/// What is due on one day.
struct Day {
    date: String,
    due: Vec<Due>,
    /// How many in all.
    count: u64,
}

struct Due {
    id: CertificateId,
    name: String,
    at: Timestamp,
    ends: Timestamp,
}

impl From<DueRenewal> for Due {
    fn from(it: DueRenewal) -> Self {
        let certificate = it.certificate;
        Self {
            id: certificate.id,
            name: display_name(&certificate).to_owned(),
            at: it.due_at,
            ends: certificate.not_after,
        }
    }
}

/// A renewal that did not come about yet.
struct Late {
    id: CertificateId,
    name: String,
    ends: Timestamp,
    due: Timestamp,
    next_try: Timestamp,
    attempts: u32,
    error: Option<String>,
}

impl From<OverdueRenewal> for Late {
    fn from(it: OverdueRenewal) -> Self {
        let certificate = it.certificate;
        Self {
            id: certificate.id,
            name: display_name(&certificate).to_owned(),
            ends: certificate.not_after,
            due: it.due_at,
            next_try: it.next_try,
            attempts: it.attempts,
            error: certificate.renewal.error,
        }
    }
}

async fn show(State(authority): State<Authority>, visit: Visit, Query(form): Query) -> Answer {
    let cursor = form.given(name::CURSOR).map(str::to_owned);
    let is_further = cursor.is_some();
    let slice = PageRequest { offset: 0, limit: ROWS, cursor };
    let found = authority.renewal_forecast(&visit.call, DAYS, &slice).await?;
    let by_day: Vec<(i64, u64)> = found.days.iter().map(|(midnight, count)| (day_of(*midnight), *count)).collect();
    let day = match form.given("day").and_then(|text| Timestamp::parse_date(text).ok()).map(day_of) {
        Some(number) => Some(listed(&authority, &visit, number, &by_day).await?),
        None => None,
    };
    let failed = InventoryQuery { view: Some(CertificateView::FailedRenewal), ..InventoryQuery::default() };
    page(&RenewalPage {
        frame: visit.frame("Renewals", Section::Renewals),
        chart: chart::renewals(&by_day, visit.now),
        day,
        overdue: found.overdue.into_iter().map(Late::from).collect(),
        total: found.total,
        next: found.next_cursor.map(|cursor| Form::default().further(PATH, &cursor) + "#late"),
        is_further,
        failed_href: failed.href(),
    })
}

async fn listed(
    authority: &Authority,
    visit: &Visit,
    number: i64,
    by_day: &[(i64, u64)],
) -> Result<Day, crate::error::WebError> {
    let midnight = Timestamp::from_seconds(number.saturating_mul(86_400));
    let due = authority.renewals_due_on(&visit.call, midnight, DAY_ROWS).await?;
    let due: Vec<Due> = due.into_iter().map(Due::from).collect();
    let counted = by_day.iter().find(|(day, _)| *day == number).map_or(0, |(_, count)| *count);
    Ok(Day { date: date(number), count: counted.max(due.len() as u64), due })
}

/// Renews now, as the server would: a new key where keys are kept here, the CSR's own key else.
async fn renew(State(authority): State<Authority>, visit: Visit, Id(id): Id<CertificateId>, form: Form) -> Answer {
    let certificate = authority.certificate_of(&visit.call, id).await?;
    let shown = display_name(&certificate).to_owned();
    let source = if certificate.from_csr() { RenewalKeySource::Reuse } else { RenewalKeySource::New };
    let wanted = RenewRequest { key_source: Some(source), ..RenewRequest::default() };
    match authority.renew(&visit.once(&form), id, wanted).await {
        Ok(Issuance::Issued(_)) => {
            Ok(visit.done(PATH, format!("{shown} is renewed. Put the new certificate in place.")))
        }
        Ok(Issuance::Pending(_)) => {
            let text = format!("A successor of {shown} is ordered; it is being asked for at the external authority.");
            Ok(visit.done("/ui/requests", text))
        }
        Err(error) => match error.kind() {
            ErrorKind::Internal | ErrorKind::Unauthenticated | ErrorKind::InvalidToken | ErrorKind::NotFound => {
                Err(error.into())
            }
            _ => Ok(visit.failed(PATH, format!("{shown} was not renewed. {}", error.public_message()))),
        },
    }
}
