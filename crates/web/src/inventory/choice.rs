//! What the inventory's form offers.

use chancery_authority::Authority;
use chancery_model::certificate::{CertificateSource, CertificateStatus, CertificateView};
use chancery_model::page::PageRequest;
use chancery_pkix::KeyAlgorithm;
use chancery_store::{ApplicationFilter, ProfileFilter};

use super::query::{InventoryQuery, Sort, date, name};
use super::word;
use crate::error::WebError;
use crate::visit::Visit;

/// Spans of days that the form offers.
const WITHIN: [u32; 4] = [7, 30, 90, 365];

/// A drop-down: (value, label), the first for "any".
pub(super) struct Select {
    pub name: &'static str,
    pub label: &'static str,
    pub value: String,
    pub choices: Vec<(String, String)>,
}

/// A day, as the browser's own field shows it.
pub(super) struct Day {
    pub name: &'static str,
    pub label: &'static str,
    pub value: String,
}

pub(super) struct Choices {
    /// Beside the search.
    pub top: [Select; 2],
    /// Name, label, and whether it is ticked.
    pub statuses: Vec<(&'static str, &'static str, bool)>,
    pub selects: Vec<Select>,
    pub days: Vec<Day>,
    pub metadata: Vec<String>,
    /// Whether a condition of the closed part is in force.
    pub is_open: bool,
}

impl Choices {
    pub async fn of(authority: &Authority, visit: &Visit, query: &InventoryQuery) -> Result<Self, WebError> {
        let mut metadata: Vec<String> =
            query.metadata.iter().map(|(key, value)| word::pair(key, value.as_deref())).collect();
        metadata.push(String::new());
        let plain = InventoryQuery {
            q: query.q.clone(),
            view: query.view,
            status: query.status.clone(),
            sort: query.sort,
            cursors: query.cursors.clone(),
            ..InventoryQuery::default()
        };
        Ok(Self {
            top: [view(query), sort(query)],
            statuses: statuses(query),
            selects: selects(authority, visit, query).await?,
            days: days(query),
            metadata,
            is_open: *query != plain,
        })
    }
}

fn view(query: &InventoryQuery) -> Select {
    let choices = CertificateView::ALL.iter().map(|it| (it.as_str().to_owned(), word::view_label(*it).to_owned()));
    Select {
        name: name::VIEW,
        label: "View",
        value: query.view.map(|it| it.as_str().to_owned()).unwrap_or_default(),
        choices: any("All certificates", choices),
    }
}

fn sort(query: &InventoryQuery) -> Select {
    let choices = Sort::ALL.into_iter().map(|it| (it.as_str().to_owned(), it.label().to_owned()));
    Select { name: name::SORT, label: "Order", value: query.sort.as_str().to_owned(), choices: choices.collect() }
}

fn statuses(query: &InventoryQuery) -> Vec<(&'static str, &'static str, bool)> {
    let all = CertificateStatus::ALL.iter();
    all.map(|it| (it.as_str(), word::status_label(*it), query.status.contains(it))).collect()
}

async fn selects(authority: &Authority, visit: &Visit, query: &InventoryQuery) -> Result<Vec<Select>, WebError> {
    let (reader, project) = (authority.reader(), visit.call.project_id());
    let first = PageRequest { offset: 0, limit: PageRequest::LIMIT_MAX, cursor: None };
    let internal = reader.cas(project).await?.into_iter().map(|it| (it.id.to_string(), it.name));
    let external = reader.external_cas(project).await?.into_iter().map(|it| (it.id.to_string(), it.name));
    let profiles = reader.profiles(project, &ProfileFilter::default(), &first).await?.items;
    let applications = reader.applications(project, &ApplicationFilter::default(), &first).await?.items;
    let text = |value: Option<String>| value.unwrap_or_default();
    let mut selects = vec![
        Select {
            name: name::CA,
            label: "Issued by",
            value: text(query.ca.map(|it| it.to_string())),
            choices: any("Any authority", internal.chain(external)),
        },
        Select {
            name: name::PROFILE,
            label: "Profile",
            value: text(query.profile.map(|it| it.to_string())),
            choices: any("Any profile", profiles.into_iter().map(|it| (it.id.to_string(), it.slug))),
        },
    ];
    if !applications.is_empty() {
        let choices = applications.into_iter().map(|it| (it.application.id.to_string(), it.application.name));
        selects.push(Select {
            name: name::APPLICATION,
            label: "Application",
            value: text(query.application.map(|it| it.to_string())),
            choices: any("Any application", choices),
        });
    }
    let algorithms = KeyAlgorithm::ALL.iter().map(|it| (it.to_string(), it.policy_str().to_owned()));
    let mut spans: Vec<u32> = WITHIN.into_iter().chain(query.within).collect();
    spans.sort_unstable();
    spans.dedup();
    let spans = spans.into_iter().map(|days| (days.to_string(), format!("{days} days")));
    let sources = CertificateSource::ALL.iter().map(|it| (it.as_str().to_owned(), word::source_label(*it).to_owned()));
    selects.extend([
        Select {
            name: name::ALGORITHM,
            label: "Key",
            value: text(query.algorithm.map(|it| it.to_string())),
            choices: any("Any key", algorithms),
        },
        Select {
            name: name::WITHIN,
            label: "Ends within",
            value: text(query.within.map(|it| it.to_string())),
            choices: any("Any time", spans),
        },
        Select {
            name: name::SOURCE,
            label: "Source",
            value: text(query.source.map(|it| it.as_str().to_owned())),
            choices: any("Any source", sources),
        },
    ]);
    Ok(selects)
}

fn any(label: &str, choices: impl Iterator<Item = (String, String)>) -> Vec<(String, String)> {
    std::iter::once((String::new(), label.to_owned())).chain(choices).collect()
}

fn days(query: &InventoryQuery) -> Vec<Day> {
    let day = |name, label, value: Option<i64>| Day { name, label, value: value.map(date).unwrap_or_default() };
    vec![
        day(name::FROM, "Ends from", query.from),
        day(name::TO, "Ends until", query.to),
        day(name::ISSUED_FROM, "Issued from", query.issued_from),
        day(name::ISSUED_TO, "Issued until", query.issued_to),
    ]
}
