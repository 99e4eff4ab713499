//! Renewing and revoking many at a time: first a page that says what it comes to, then the same form with the core's
//! token. The question is frozen at the moment of the first page, so that "within 30 days" means the same at the second.

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use chancery_authority::renewal::BulkRenewal;
use chancery_authority::revocation::BulkRevocation;
use chancery_authority::{Authority, Error};
use chancery_model::certificate::{CertificateFilter, CertificateStatus, RevocationReason};
use chancery_model::page::PageRequest;
use chancery_model::permission::Permission;
use chancery_model::{CertificateId, ErrorKind, Timestamp};

use super::query::InventoryQuery;
use super::view::{Names, Row};
use super::{readable, word};
use crate::error::WebError;
use crate::form::Form;
use crate::frame::{Frame, Section, page};
use crate::route::Page;
use crate::text::filters;
use crate::visit::{Answer, Visit};

/// Certificates that the first page shows of what was picked.
const SAMPLE: u32 = 10;
/// Failures that the last page lists.
const FAILURES_SHOWN: usize = 200;

pub(super) fn pages() -> Vec<Page> {
    use Permission::{CertificateRenew, CertificateRevoke};
    vec![
        Page::post("/ui/certificates/bulk-revoke", CertificateRevoke, preview_revocation),
        Page::post("/ui/certificates/bulk-revoke/confirm", CertificateRevoke, revoke).elevated(),
        Page::post("/ui/certificates/bulk-renew", CertificateRenew, preview_renewal),
        Page::post("/ui/certificates/bulk-renew/confirm", CertificateRenew, renew),
    ]
}

/// What is to be changed: certificates that were ticked, or all that the search finds.
struct Picked {
    query: InventoryQuery,
    all: bool,
    ids: Vec<CertificateId>,
    /// When the question was put.
    at: Timestamp,
}

impl Picked {
    fn read(form: &Form, at: Timestamp) -> Result<Self, WebError> {
        let query = readable(&Form::parse(form.text("query").as_bytes()))?.first_page();
        let most = usize::try_from(PageRequest::LIMIT_MAX).unwrap_or(usize::MAX);
        let ids = form.all("pick").take(most).filter_map(|it| it.parse().ok()).collect();
        Ok(Self { query, all: form.has("all"), ids, at })
    }

    /// As the first page put it.
    fn again(form: &Form) -> Result<Self, WebError> {
        let millis = form.text("at").parse().map_err(|_| WebError::bad_request("The form is not complete."))?;
        Self::read(form, Timestamp::from_millis(millis))
    }

    const fn is_nothing(&self) -> bool {
        !self.all && self.ids.is_empty()
    }

    fn filter(&self) -> CertificateFilter {
        if self.all {
            return self.query.filter(self.at);
        }
        CertificateFilter { ids: self.ids.clone(), ..CertificateFilter::default() }
    }

    /// The first of those that are in force, which are the ones that can be changed.
    async fn sample(&self, authority: &Authority, visit: &Visit) -> Result<Vec<Row>, WebError> {
        let filter = CertificateFilter { statuses: vec![CertificateStatus::Active], ..self.filter() };
        let few = PageRequest { offset: 0, limit: SAMPLE, cursor: None };
        let found = authority.reader().certificates(visit.call.project_id(), &filter, visit.now, &few).await?;
        let mut names = Names::new(authority, visit);
        let mut rows = Vec::with_capacity(found.items.len());
        for certificate in &found.items {
            rows.push(names.row(certificate).await?);
        }
        Ok(rows)
    }
}

fn nothing_picked(visit: &Visit, picked: &Picked) -> Response {
    visit.failed(&picked.query.href(), "Tick the certificates first, or “All that match”.")
}

/// What the core says no to, on the page where it was picked.
fn refused(visit: &Visit, picked: &Picked, error: Error) -> Answer {
    match error.kind() {
        ErrorKind::Malformed | ErrorKind::Conflict | ErrorKind::Refused => {
            Ok(visit.failed(&picked.query.href(), error.public_message()))
        }
        _ => Err(error.into()),
    }
}

/// Goes on when the visitor hangs up or the page is given up: what was begun is done to its end, and stands in the audit
/// log as one.
async fn to_its_end<T: Send + 'static>(
    work: impl Future<Output = Result<T, Error>> + Send + 'static,
) -> Result<T, Error> {
    tokio::spawn(work).await.map_err(Error::internal)?
}

#[derive(Template)]
#[template(path = "inventory/revoke.html")]
struct RevokePage {
    frame: Frame,
    preview: RevokePreview,
    reasons: Vec<(&'static str, &'static str, bool)>,
    /// The reason was changed after the count was made.
    is_changed: bool,
}

/// The part that another reason replaces, because the token is given for one reason.
#[derive(Template)]
#[template(path = "inventory/revoke_preview.html")]
struct RevokePart {
    frame: Frame,
    preview: RevokePreview,
}

struct RevokePreview {
    picked: Picked,
    matching: u64,
    reason: RevocationReason,
    confirm: String,
    sample: Vec<Row>,
}

async fn preview_revocation(State(authority): State<Authority>, visit: Visit, form: Form) -> Answer {
    let picked = Picked::read(&form, visit.now)?;
    if picked.is_nothing() {
        return Ok(nothing_picked(&visit, &picked));
    }
    show_revocation(&authority, &visit, picked, reason(&form), false).await
}

fn reason(form: &Form) -> RevocationReason {
    RevocationReason::from_name(form.text("reason")).unwrap_or(RevocationReason::Unspecified)
}

async fn show_revocation(
    authority: &Authority,
    visit: &Visit,
    picked: Picked,
    reason: RevocationReason,
    is_changed: bool,
) -> Answer {
    let wanted = BulkRevocation { filter: picked.filter(), reason };
    let found = match authority.preview_bulk_revocation(&visit.call, &wanted).await {
        Ok(found) => found,
        Err(error) => return refused(visit, &picked, error),
    };
    let sample = picked.sample(authority, visit).await?;
    let preview = RevokePreview { picked, matching: found.matching, reason, confirm: found.confirm, sample };
    let frame = visit.frame("Revoke certificates", Section::Inventory);
    if visit.is_fragment {
        return page(&RevokePart { frame, preview });
    }
    // A CA's own compromise is not said of its leaves here, nor are attribute certificates made.
    let offered = RevocationReason::ALL
        .iter()
        .filter(|it| !matches!(it, RevocationReason::CaCompromise | RevocationReason::AaCompromise));
    let reasons = offered.map(|it| (it.as_str(), word::reason_label(*it), *it == reason)).collect();
    page(&RevokePage { frame, preview, reasons, is_changed })
}

async fn revoke(State(authority): State<Authority>, visit: Visit, form: Form) -> Answer {
    let picked = Picked::again(&form)?;
    let reason = reason(&form);
    if form.text("previewed") != reason.as_str() {
        let picked = Picked { at: visit.now, ..picked };
        return show_revocation(&authority, &visit, picked, reason, true).await;
    }
    let wanted = BulkRevocation { filter: picked.filter(), reason };
    let (call, confirm) = (visit.call.clone(), form.text("confirm").to_owned());
    let done = match to_its_end(async move { authority.bulk_revoke(&call, &wanted, &confirm).await }).await {
        Ok(done) => done,
        Err(error) => return refused(&visit, &picked, error),
    };
    let outcome = Outcome::new(&picked, done.failed, done.has_more);
    let frame = visit.frame(title(done.revoked, "revoked"), Section::Inventory);
    let next =
        "Revocation lists and OCSP answers say so from now on. Replace the certificates where they are still in use.";
    page(&OutcomePage { frame, next, pending: 0, outcome })
}

#[derive(Template)]
#[template(path = "inventory/renew.html")]
struct RenewPage {
    frame: Frame,
    picked: Picked,
    matching: u64,
    renewable: u64,
    left_out: Vec<(String, u64)>,
    has_more: bool,
    confirm: String,
    sample: Vec<Row>,
}

async fn preview_renewal(State(authority): State<Authority>, visit: Visit, form: Form) -> Answer {
    let picked = Picked::read(&form, visit.now)?;
    if picked.is_nothing() {
        return Ok(nothing_picked(&visit, &picked));
    }
    let found = match authority.preview_bulk_renewal(&visit.call, &BulkRenewal { filter: picked.filter() }).await {
        Ok(found) => found,
        Err(error) => return refused(&visit, &picked, error),
    };
    let sample = picked.sample(&authority, &visit).await?;
    page(&RenewPage {
        frame: visit.frame("Renew certificates", Section::Inventory),
        picked,
        matching: found.matching,
        renewable: found.renewable,
        left_out: found.left_out,
        has_more: found.has_more,
        confirm: found.confirm,
        sample,
    })
}

async fn renew(State(authority): State<Authority>, visit: Visit, form: Form) -> Answer {
    let picked = Picked::again(&form)?;
    let wanted = BulkRenewal { filter: picked.filter() };
    let (call, confirm) = (visit.call.clone(), form.text("confirm").to_owned());
    let done = match to_its_end(async move { authority.bulk_renew(&call, &wanted, &confirm).await }).await {
        Ok(done) => done,
        Err(error) => return refused(&visit, &picked, error),
    };
    let outcome = Outcome::new(&picked, done.failed, done.has_more);
    let frame = visit.frame(title(done.renewed, "renewed"), Section::Inventory);
    let next = "Their successors stand in the inventory. Put them where the old ones are used; the old ones stay valid until they end or are revoked.";
    page(&OutcomePage { frame, next, pending: done.pending, outcome })
}

fn title(count: u64, verb: &str) -> String {
    match count {
        0 => format!("No certificate was {verb}"),
        1 => format!("1 certificate {verb}"),
        _ => format!("{} certificates {verb}", crate::text::grouped(count)),
    }
}

#[derive(Template)]
#[template(path = "inventory/outcome.html")]
struct OutcomePage {
    frame: Frame,
    next: &'static str,
    /// Ordered at CAs elsewhere.
    pending: u64,
    outcome: Outcome,
}

struct Outcome {
    failed: Vec<(CertificateId, String)>,
    /// Failures beside those.
    unlisted: usize,
    has_more: bool,
    back: String,
}

impl Outcome {
    fn new(picked: &Picked, mut failed: Vec<(CertificateId, String)>, has_more: bool) -> Self {
        let unlisted = failed.len().saturating_sub(FAILURES_SHOWN);
        failed.truncate(FAILURES_SHOWN);
        Self { failed, unlisted, has_more, back: picked.query.href() }
    }
}
