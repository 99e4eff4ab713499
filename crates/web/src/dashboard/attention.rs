//! What needs somebody's attention, worst first.

use chancery_authority::Authority;
use chancery_model::authority::CaStatus;
use chancery_model::certificate::CertificateView;
use chancery_model::page::{PageRequest, Total};
use chancery_model::request::{RequestFilter, RequestStatus};
use chancery_store::InventoryStatistics;

use crate::error::WebError;
use crate::inventory::InventoryQuery;
use crate::text::{distance, grouped};
use crate::visit::Visit;

const DAY_SECONDS: i64 = 86_400;
/// A CRL or OCSP answer that ends sooner than this was not replaced in time.
const STATUS_SECONDS: i64 = 6 * 3_600;
/// A CA's certificate that ends sooner than this keeps leaves short already.
const CA_SECONDS: i64 = 90 * DAY_SECONDS;
const ONE: PageRequest = PageRequest { offset: 0, limit: 1, cursor: None };

/// One thing to look at.
pub(super) struct Concern {
    pub is_bad: bool,
    pub text: String,
    pub href: String,
    pub action: &'static str,
}

pub(super) async fn concerns(
    authority: &Authority,
    visit: &Visit,
    found: &InventoryStatistics,
) -> Result<Vec<Concern>, WebError> {
    let mut all = of_cas(authority, visit).await?;
    all.extend(of_renewals(authority, visit, found).await?);
    all.extend(of_requests(authority, visit).await?);
    all.sort_by_key(|it| !it.is_bad);
    Ok(all)
}

fn counted(total: Total, one: &str, many: &str) -> String {
    let least = if total.exact { "" } else { "more than " };
    format!("{least}{} {}", grouped(total.count), if total.count == 1 { one } else { many })
}

fn view_size(found: &InventoryStatistics, view: CertificateView) -> Total {
    let size = found.views.iter().find(|(it, _)| *it == view).map(|(_, total)| *total);
    size.unwrap_or(Total { count: 0, exact: true })
}

async fn of_renewals(
    authority: &Authority,
    visit: &Visit,
    found: &InventoryStatistics,
) -> Result<Vec<Concern>, WebError> {
    let mut all = Vec::new();
    let in_view = |view| InventoryQuery { view: Some(view), ..InventoryQuery::default() }.href();
    let failed = view_size(found, CertificateView::FailedRenewal);
    if failed.count > 0 {
        all.push(Concern {
            is_bad: true,
            text: format!("The last renewal of {} failed.", counted(failed, "certificate", "certificates")),
            href: in_view(CertificateView::FailedRenewal),
            action: "See why",
        });
    }
    let overdue = authority.renewal_forecast(&visit.call, 1, &ONE).await?.total;
    if overdue.count > 0 {
        all.push(Concern {
            is_bad: true,
            text: format!("{} overdue.", counted(overdue, "renewal is", "renewals are")),
            href: "/ui/renewals".to_owned(),
            action: "See which",
        });
    }
    let expiring = view_size(found, CertificateView::Expiring);
    if expiring.count > 0 {
        let text =
            format!("{} within 30 days, not renewed yet.", counted(expiring, "certificate ends", "certificates end"));
        all.push(Concern { is_bad: false, text, href: in_view(CertificateView::Expiring), action: "See which" });
    }
    let weak = view_size(found, CertificateView::WeakKey);
    if weak.count > 0 {
        all.push(Concern {
            is_bad: false,
            text: format!(
                "{} a key or signature that is too weak today.",
                counted(weak, "certificate has", "certificates have")
            ),
            href: in_view(CertificateView::WeakKey),
            action: "See which",
        });
    }
    Ok(all)
}

async fn of_requests(authority: &Authority, visit: &Visit) -> Result<Vec<Concern>, WebError> {
    let waiting = RequestFilter {
        statuses: vec![RequestStatus::Pending, RequestStatus::PendingValidation],
        ..RequestFilter::default()
    };
    let total = authority.reader().requests(visit.call.project_id(), &waiting, &ONE).await?.total;
    Ok((total.count > 0)
        .then(|| Concern {
            is_bad: false,
            text: format!("{} for an external CA.", counted(total, "request waits", "requests wait")),
            href: "/ui/requests?status=waiting".to_owned(),
            action: "See how far",
        })
        .into_iter()
        .collect())
}

/// CAs whose certificate ends, that wait for one, or whose revocation lists are stale.
async fn of_cas(authority: &Authority, visit: &Visit) -> Result<Vec<Concern>, WebError> {
    let mut all = Vec::new();
    let health = authority.status_health().await?;
    for ca in authority.reader().cas(visit.call.project_id()).await? {
        let mut add = |is_bad, text: String, action| {
            all.push(Concern { is_bad, text, href: format!("/ui/authorities/{}", ca.id), action });
        };
        if ca.status == CaStatus::PendingCertificate {
            add(false, format!("The CA {} waits for its certificate.", ca.name), "Install it");
        }
        if ca.status != CaStatus::Active {
            continue;
        }
        if let Some(id) = ca.active_certificate
            && let Some(certificate) = authority.reader().ca_certificate(id).await?
            && certificate.not_after < visit.now.plus_seconds(CA_SECONDS)
        {
            let is_over = certificate.not_after < visit.now;
            let word = if is_over { "ended" } else { "ends" };
            let text =
                format!("The certificate of the CA {} {word} {}.", ca.name, distance(certificate.not_after, visit.now));
            add(is_over, text, "Renew it");
        }
        let is_stale = |lapses: Option<chancery_model::Timestamp>| {
            lapses.is_none_or(|at| at < visit.now.plus_seconds(STATUS_SECONDS))
        };
        if health.iter().any(|it| it.ca_id == ca.id && is_stale(it.lapses_at)) {
            add(true, format!("The revocation status of the CA {} is about to be stale.", ca.name), "See the state");
        }
    }
    Ok(all)
}
