//! Certificate requests: what was asked, by whom, and what became of it.

mod progress;

use std::collections::BTreeMap;

use askama::Template;
use axum::extract::State;
use chancery_authority::Authority;
use chancery_model::order::OrderPhase;
use chancery_model::page::{PageRequest, Total};
use chancery_model::permission::Permission;
use chancery_model::request::{CertificateRequest, RequestFilter, RequestStatus};
use chancery_model::{ProfileId, RequestId, Timestamp};
use uuid::Uuid;

use crate::error::WebError;
use crate::form::{Form, Problems};
use crate::frame::{Frame, Section, page};
use crate::route::Page;
use crate::text::filters;
use crate::visit::{Answer, Id, Query, Visit};
use progress::Progress;

const ROWS: u32 = 50;
/// Profiles in the drop-down.
const PROFILES_MAX: u32 = 200;
/// Longest text that is searched for, in characters.
const SEARCH_MAX: usize = 255;
const DAY_SECONDS: i64 = 86_400;

pub(crate) fn pages() -> Vec<Page> {
    use Permission::{CertificateIssue, CertificateRead};
    vec![
        Page::get("/ui/requests", CertificateRead, list),
        Page::get("/ui/requests/{id}", CertificateRead, show),
        Page::post("/ui/requests/{id}/cancel", CertificateIssue, cancel),
        Page::post("/ui/requests/{id}/look", CertificateIssue, look_again),
    ]
}

/// The chips above the list: what they are called, the word in the address, and the states behind it.
const GROUPS: [(&str, &str, &[RequestStatus]); 5] = [
    ("All", "", &[]),
    ("Waiting", "waiting", &[RequestStatus::Pending, RequestStatus::PendingValidation, RequestStatus::PendingApproval]),
    ("Issued", "issued", &[RequestStatus::Issued]),
    ("Failed", "failed", &[RequestStatus::Failed]),
    ("Rejected", "rejected", &[RequestStatus::Rejected]),
];

/// A state in words, and how it looks.
pub(crate) const fn status_badge(status: RequestStatus) -> (&'static str, &'static str) {
    match status {
        RequestStatus::Issued => ("Issued", "good"),
        RequestStatus::Pending => ("Waiting for the CA", "info"),
        RequestStatus::PendingValidation => ("Being validated", "info"),
        RequestStatus::PendingApproval => ("Waiting for approval", "info"),
        RequestStatus::Failed => ("Failed", "bad"),
        RequestStatus::Rejected => ("Rejected", "bad"),
    }
}

#[derive(Template)]
#[template(path = "certificate_request/list.html")]
struct ListPage {
    frame: Frame,
    search: SearchForm,
    profiles: Vec<(String, String)>,
    found: Found,
    problems: Problems,
}

/// The part that is shown anew while somebody types.
#[derive(Template)]
#[template(path = "certificate_request/rows.html")]
struct RowsPart {
    frame: Frame,
    search: SearchForm,
    found: Found,
}

struct Found {
    rows: Vec<Row>,
    total: Total,
    next: Option<String>,
}

struct Row {
    request: CertificateRequest,
    profile: Option<String>,
}

impl Row {
    fn name(&self) -> &str {
        let names = self.request.common_name.as_deref().or(self.request.alt_names.as_deref());
        names.filter(|it| !it.is_empty()).unwrap_or("(no name)")
    }

    fn badge(&self) -> (&'static str, &'static str) {
        status_badge(self.request.status)
    }

    /// What stands in the way, or why it ended without a certificate.
    fn word(&self) -> Option<&str> {
        self.request.error_message.as_deref().or(self.request.pending_message.as_deref())
    }
}

/// What is looked for, as it stands in the address.
#[derive(Default)]
struct SearchForm {
    text: String,
    status: String,
    profile: String,
    from: String,
    to: String,
    cursor: String,
}

impl SearchForm {
    fn read(form: &Form) -> Self {
        let text = |name: &str| form.text(name).to_owned();
        Self {
            text: form.text("search").chars().take(SEARCH_MAX).collect(),
            status: text("status"),
            profile: text("profile"),
            from: text("from"),
            to: text("to"),
            cursor: text("cursor"),
        }
    }

    fn filter(&self, problems: &mut Problems) -> RequestFilter {
        let given = |text: &str| Some(text.to_owned()).filter(|it| !it.is_empty());
        let mut date = |field: &str, text: &str| match text {
            "" => None,
            text => Timestamp::parse_date(text).inspect_err(|error| problems.add(field, error.to_string())).ok(),
        };
        let group = GROUPS.iter().find(|(_, word, _)| *word == self.status);
        // The day that is named last is among them.
        let (from, to) = (date("from", &self.from), date("to", &self.to).map(|it| it.plus_seconds(DAY_SECONDS - 1)));
        RequestFilter {
            search: given(&self.text),
            statuses: group.map(|(_, _, states)| states.to_vec()).unwrap_or_default(),
            profile_ids: self.profile.parse::<Uuid>().ok().map(ProfileId::from_uuid).into_iter().collect(),
            created_from: from,
            created_to: to,
            ..RequestFilter::default()
        }
    }

    /// The address of this search with another state, or from another place in the list on.
    fn query(&self, status: &str, cursor: &str) -> String {
        let pairs = [
            ("search", self.text.as_str()),
            ("status", status),
            ("profile", &self.profile),
            ("from", &self.from),
            ("to", &self.to),
            ("cursor", cursor),
        ];
        let pairs = pairs.into_iter().filter(|(_, value)| !value.is_empty());
        let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
        if query.is_empty() { "/ui/requests".to_owned() } else { format!("/ui/requests?{query}") }
    }

    fn with_status(&self, status: &&str) -> String {
        self.query(status, "")
    }

    fn is_at(&self, status: &&str) -> bool {
        self.status == **status
    }

    fn first_page(&self) -> String {
        self.query(&self.status, "")
    }

    fn is_narrowed(&self) -> bool {
        [&self.text, &self.status, &self.profile, &self.from, &self.to].into_iter().any(|it| !it.is_empty())
    }
}

async fn list(State(authority): State<Authority>, visit: Visit, Query(query): Query) -> Answer {
    let search = SearchForm::read(&query);
    let mut problems = Problems::default();
    let filter = search.filter(&mut problems);
    let cursor = Some(search.cursor.clone()).filter(|it| !it.is_empty());
    let slice = PageRequest { offset: 0, limit: ROWS, cursor };
    let reader = authority.reader();
    let project = visit.call.project_id();
    let found = reader.requests(project, &filter, &slice).await?;
    let mut slugs: BTreeMap<ProfileId, Option<String>> = BTreeMap::new();
    let mut rows = Vec::with_capacity(found.items.len());
    for request in found.items {
        let profile = match request.profile_id {
            None => None,
            Some(id) => match slugs.get(&id) {
                Some(known) => known.clone(),
                None => {
                    let slug = reader.profile(project, id).await?.map(|it| it.slug);
                    slugs.insert(id, slug.clone());
                    slug
                }
            },
        };
        rows.push(Row { request, profile });
    }
    let next = found.next_cursor.map(|cursor| search.query(&search.status, &cursor));
    let found = Found { rows, total: found.total, next };
    let frame = visit.frame("Certificate requests", Section::Requests);
    if visit.is_fragment {
        return page(&RowsPart { frame, search, found });
    }
    let most = PageRequest { offset: 0, limit: PROFILES_MAX, cursor: None };
    let profiles = reader.profiles(project, &Default::default(), &most).await?.items;
    let mut profiles: Vec<_> = profiles.into_iter().map(|it| (it.id.to_string(), it.slug)).collect();
    profiles.sort_by(|left, right| left.1.cmp(&right.1));
    profiles.insert(0, (String::new(), "All profiles".to_owned()));
    page(&ListPage { frame, search, profiles, found, problems })
}

#[derive(Template)]
#[template(path = "certificate_request/show.html")]
struct ShowPage {
    frame: Frame,
    it: Progress,
}

/// All below the title, which is asked for again while the request is open.
#[derive(Template)]
#[template(path = "certificate_request/progress.html")]
struct ProgressPart {
    frame: Frame,
    it: Progress,
}

async fn show(State(authority): State<Authority>, visit: Visit, Id(id): Id<RequestId>) -> Answer {
    let request = authority.reader().request(visit.call.project_id(), id).await?;
    let request = request.ok_or_else(|| WebError::not_found("This certificate request"))?;
    let it = Progress::of(&authority, &visit, request).await?;
    let frame = visit.frame(it.title(), Section::Requests);
    if visit.is_fragment { page(&ProgressPart { frame, it }) } else { page(&ShowPage { frame, it }) }
}

async fn cancel(State(authority): State<Authority>, visit: Visit, Id(id): Id<RequestId>) -> Answer {
    let to = format!("/ui/requests/{id}");
    let (_, cancelled) = authority.cancel_request(&visit.call, id).await?;
    Ok(if cancelled {
        visit.done(&to, "The request was cancelled; what it left outside is being removed")
    } else {
        visit.failed(&to, "The request had already ended, so there was nothing to cancel")
    })
}

async fn look_again(State(authority): State<Authority>, visit: Visit, Id(id): Id<RequestId>) -> Answer {
    let to = format!("/ui/requests/{id}");
    let (request, order) = authority.trigger_validation(&visit.call, id).await?;
    Ok(if order.is_some() && progress::is_open(request.status) {
        visit.done(&to, "The certification authority is asked again as soon as it may be")
    } else {
        visit.failed(&to, "The request has ended, so there is nothing to ask for")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_keeps_the_search_without_its_empty_parts() {
        let search = SearchForm { text: "a b".to_owned(), status: "issued".to_owned(), ..SearchForm::default() };
        assert_eq!(search.query("failed", ""), "/ui/requests?search=a+b&status=failed");
        assert_eq!(SearchForm::default().first_page(), "/ui/requests");
    }

    #[test]
    fn the_day_that_is_named_last_is_among_those_looked_at() {
        let search = SearchForm { from: "2026-01-15".to_owned(), to: "2026-01-15".to_owned(), ..SearchForm::default() };
        let filter = search.filter(&mut Problems::default());
        let span = filter.created_to.unwrap().as_seconds() - filter.created_from.unwrap().as_seconds();
        assert_eq!(span, DAY_SECONDS - 1);
        let mut problems = Problems::default();
        SearchForm { to: "soon".to_owned(), ..SearchForm::default() }.filter(&mut problems);
        assert!(problems.of("to").contains("not a date"));
    }
}
