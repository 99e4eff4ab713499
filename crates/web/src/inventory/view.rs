//! What the inventory's page shows of what was found.

use std::collections::HashMap;

use chancery_authority::Authority;
use chancery_model::certificate::{Certificate, RevocationReason};
use chancery_model::page::{Page, Total};
use chancery_model::permission::Permission;
use chancery_model::{ApplicationId, CaId, CertificateId, ProfileId, Timestamp};
use chancery_store::StoreError;

use super::query::{InventoryQuery, Sort, date, name};
use super::word::{self, Badge};
use crate::error::WebError;
use crate::form::Problems;
use crate::text::grouped;
use crate::visit::Visit;

/// A certificate of a list.
pub(crate) struct Row {
    pub id: CertificateId,
    pub name: String,
    /// Names beside the one that is shown.
    pub further: usize,
    pub state: Badge,
    pub issuer: String,
    pub profile: String,
    pub ends: Timestamp,
    pub renewal: Renewal,
}

/// What is to be said of a certificate's renewal.
pub(crate) enum Renewal {
    /// The server renews it at this time.
    Due(Timestamp),
    Failed,
    /// There is a successor.
    Done(CertificateId),
    /// Nobody does unless somebody does.
    ByHand,
    /// It has ended, or was revoked.
    Past,
}

impl Renewal {
    fn of(it: &Certificate, now: Timestamp) -> Self {
        let on_hold = it.revocation.is_some_and(|it| it.reason == RevocationReason::CertificateHold);
        match (it.renewal.renewed_by, it.renewal.due_at) {
            (Some(successor), _) => Self::Done(successor),
            _ if (it.revocation.is_some() && !on_hold) || it.not_after < now => Self::Past,
            _ if it.renewal.error.is_some() => Self::Failed,
            (None, Some(due)) => Self::Due(due),
            (None, None) => Self::ByHand,
        }
    }
}

/// A condition in force, and the address without it.
pub(crate) struct Chip {
    pub label: String,
    pub without: String,
}

pub(crate) struct Results {
    pub rows: Vec<Row>,
    pub chips: Vec<Chip>,
    /// How many there are, in words.
    pub count: String,
    /// The question without a place in it.
    pub query: String,
    /// What is wrong with the question; nothing is searched then.
    pub problems: Vec<String>,
    pub newer: Option<String>,
    pub older: Option<String>,
    pub csv: String,
    pub is_filtered: bool,
    pub may_renew: bool,
    pub may_revoke: bool,
}

impl Results {
    pub async fn find(
        authority: &Authority,
        visit: &Visit,
        query: &InventoryQuery,
        problems: &Problems,
    ) -> Result<Self, WebError> {
        let problems = texts(problems);
        let found = if problems.is_empty() {
            let filter = query.filter(visit.now);
            authority.reader().certificates(visit.call.project_id(), &filter, visit.now, &query.page()).await?
        } else {
            Page { items: Vec::new(), total: Total { count: 0, exact: true }, next_cursor: None }
        };
        let mut names = Names::new(authority, visit);
        let mut rows = Vec::with_capacity(found.items.len());
        for certificate in &found.items {
            rows.push(names.row(certificate).await?);
        }
        let first = query.first_page().to_query();
        Ok(Self {
            rows,
            chips: chips(query, &mut names).await?,
            count: count(found.total),
            csv: if first.is_empty() {
                "/ui/certificates.csv".to_owned()
            } else {
                format!("/ui/certificates.csv?{first}")
            },
            query: first,
            problems,
            newer: query.previous_page().map(|it| it.href()),
            older: found.next_cursor.map(|cursor| query.next_page(cursor).href()),
            is_filtered: !query.is_empty(),
            may_renew: visit.may(Permission::CertificateRenew),
            may_revoke: visit.may(Permission::CertificateRevoke),
        })
    }

    pub const fn may_pick(&self) -> bool {
        (self.may_renew || self.may_revoke) && !self.rows.is_empty()
    }

    /// Whether there is nothing at all, which asks for other words than a search without a hit.
    pub const fn is_bare(&self) -> bool {
        self.rows.is_empty() && !self.is_filtered && self.problems.is_empty() && self.newer.is_none()
    }
}

fn texts(problems: &Problems) -> Vec<String> {
    let labels = [
        (name::TEXT, "Search"),
        (name::STATUS, "State"),
        (name::VIEW, "View"),
        (name::CA, "Certification authority"),
        (name::PROFILE, "Profile"),
        (name::APPLICATION, "Application"),
        (name::ALGORITHM, "Key"),
        (name::WITHIN, "Ends within"),
        (name::FROM, "Ends from"),
        (name::TO, "Ends until"),
        (name::ISSUED_FROM, "Issued from"),
        (name::ISSUED_TO, "Issued until"),
        (name::SOURCE, "Source"),
        (name::SORT, "Order"),
    ];
    let wrong = labels.iter().map(|(field, label)| (label, problems.of(field))).filter(|(_, text)| !text.is_empty());
    wrong.map(|(label, text)| format!("{label}: {text}")).collect()
}

fn count(total: Total) -> String {
    let number = grouped(total.count);
    match (total.exact, total.count) {
        (true, 1) => "1 certificate".to_owned(),
        (true, _) => format!("{number} certificates"),
        (false, Total::COUNT_MAX..) => format!("More than {number} certificates"),
        (false, _) => format!("{number} certificates so far; there may be more among the older ones"),
    }
}

/// Names of what certificates belong to, each asked for once.
pub(crate) struct Names<'a> {
    authority: &'a Authority,
    visit: &'a Visit,
    cas: HashMap<CaId, String>,
    profiles: HashMap<ProfileId, String>,
}

impl<'a> Names<'a> {
    pub fn new(authority: &'a Authority, visit: &'a Visit) -> Self {
        Self { authority, visit, cas: HashMap::new(), profiles: HashMap::new() }
    }

    pub async fn row(&mut self, it: &Certificate) -> Result<Row, StoreError> {
        Ok(Row {
            id: it.id,
            name: word::display_name(it).to_owned(),
            further: word::further_names(it),
            state: word::state(it, self.visit.now),
            issuer: self.issuer(it).await?,
            profile: match it.profile_id {
                Some(id) => self.profile(id).await?,
                None => String::new(),
            },
            ends: it.not_after,
            renewal: Renewal::of(it, self.visit.now),
        })
    }

    async fn issuer(&mut self, it: &Certificate) -> Result<String, StoreError> {
        match (it.ca_id, &it.description.foreign) {
            (Some(id), _) => self.ca(id).await,
            (None, Some(foreign)) => Ok(foreign.issuer.clone()),
            (None, None) => Ok("Self-signed".to_owned()),
        }
    }

    async fn ca(&mut self, id: CaId) -> Result<String, StoreError> {
        if let Some(known) = self.cas.get(&id) {
            return Ok(known.clone());
        }
        let found = self.authority.reader().ca_summary(self.visit.call.project_id(), id).await?;
        let name = found.map_or_else(|| "a deleted authority".to_owned(), |it| it.name);
        self.cas.insert(id, name.clone());
        Ok(name)
    }

    async fn profile(&mut self, id: ProfileId) -> Result<String, StoreError> {
        if let Some(known) = self.profiles.get(&id) {
            return Ok(known.clone());
        }
        let found = self.authority.reader().profile(self.visit.call.project_id(), id).await?;
        let name = found.map_or_else(|| "a deleted profile".to_owned(), |it| it.slug);
        self.profiles.insert(id, name.clone());
        Ok(name)
    }

    async fn application(&self, id: ApplicationId) -> Result<String, StoreError> {
        let found = self.authority.reader().application(self.visit.call.project_id(), id).await?;
        Ok(found.map_or_else(|| "a deleted application".to_owned(), |it| it.name))
    }
}

/// The conditions in force, each with the way to be rid of it.
async fn chips(query: &InventoryQuery, names: &mut Names<'_>) -> Result<Vec<Chip>, StoreError> {
    let query = query.first_page();
    let mut chips = Vec::new();
    let mut put = |label: String, without: InventoryQuery| chips.push(Chip { label, without: without.href() });
    if let Some(text) = &query.q {
        put(format!("“{text}”"), InventoryQuery { q: None, ..query.clone() });
    }
    for status in &query.status {
        let rest = query.status.iter().copied().filter(|it| it != status).collect();
        put(word::status_label(*status).to_owned(), InventoryQuery { status: rest, ..query.clone() });
    }
    if let Some(view) = query.view {
        put(word::view_label(view).to_owned(), InventoryQuery { view: None, ..query.clone() });
    }
    if let Some(id) = query.ca {
        put(format!("From {}", names.ca(id).await?), InventoryQuery { ca: None, ..query.clone() });
    }
    if let Some(id) = query.profile {
        put(format!("Profile {}", names.profile(id).await?), InventoryQuery { profile: None, ..query.clone() });
    }
    if let Some(id) = query.application {
        let label = format!("Application {}", names.application(id).await?);
        put(label, InventoryQuery { application: None, ..query.clone() });
    }
    if let Some(algorithm) = query.algorithm {
        put(format!("Key {}", algorithm.policy_str()), InventoryQuery { algorithm: None, ..query.clone() });
    }
    if let Some(days) = query.within {
        put(format!("Ends within {days} days"), InventoryQuery { within: None, ..query.clone() });
    }
    if let Some(label) = range("Ends", query.from, query.to) {
        put(label, InventoryQuery { from: None, to: None, ..query.clone() });
    }
    if let Some(label) = range("Issued", query.issued_from, query.issued_to) {
        put(label, InventoryQuery { issued_from: None, issued_to: None, ..query.clone() });
    }
    if let Some(source) = query.source {
        put(word::source_label(source).to_owned(), InventoryQuery { source: None, ..query.clone() });
    }
    for (key, value) in &query.metadata {
        let rest = query.metadata.iter().filter(|it| (&it.0, &it.1) != (key, value)).cloned().collect();
        put(word::pair(key, value.as_deref()), InventoryQuery { metadata: rest, ..query.clone() });
    }
    if query.sort != Sort::default() {
        put(query.sort.label().to_owned(), InventoryQuery { sort: Sort::default(), ..query.clone() });
    }
    Ok(chips)
}

fn range(verb: &str, from: Option<i64>, to: Option<i64>) -> Option<String> {
    match (from, to) {
        (Some(from), Some(to)) if from == to => Some(format!("{verb} on {}", date(from))),
        (Some(from), Some(to)) => Some(format!("{verb} from {} to {}", date(from), date(to))),
        (Some(from), None) => Some(format!("{verb} from {} on", date(from))),
        (None, Some(to)) => Some(format!("{verb} until {}", date(to))),
        (None, None) => None,
    }
}
