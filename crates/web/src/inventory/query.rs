//! A question to the inventory as an address: short, stable names, so that links and saved views go on working.

use chancery_model::certificate::{
    CertificateFilter, CertificateSort, CertificateSource, CertificateStatus, CertificateView,
};
use chancery_model::page::{PageRequest, SortOrder};
use chancery_model::{ApplicationId, CaId, ProfileId, Timestamp};
use chancery_pkix::KeyAlgorithm;

use super::word;
use crate::form::{Form, Problems};

/// The inventory's page.
pub(crate) const PATH: &str = "/ui/certificates";

/// The fields of the query string.
pub(crate) mod name {
    pub(crate) const TEXT: &str = "q";
    pub(crate) const STATUS: &str = "status";
    pub(crate) const VIEW: &str = "view";
    pub(crate) const CA: &str = "ca";
    pub(crate) const PROFILE: &str = "profile";
    pub(crate) const APPLICATION: &str = "application";
    pub(crate) const ALGORITHM: &str = "algorithm";
    /// Active, and ending within so many days.
    pub(crate) const WITHIN: &str = "within";
    /// First and last day of the end of validity.
    pub(crate) const FROM: &str = "from";
    pub(crate) const TO: &str = "to";
    /// First and last day of issuance.
    pub(crate) const ISSUED_FROM: &str = "issued_from";
    pub(crate) const ISSUED_TO: &str = "issued_to";
    pub(crate) const SOURCE: &str = "source";
    pub(crate) const METADATA: &str = "meta";
    pub(crate) const SORT: &str = "sort";
    pub(crate) const CURSOR: &str = "cursor";
}

/// Rows of a page.
pub(crate) const ROWS: u32 = 50;
const TEXT_MAX: usize = 255;
const METADATA_MAX: usize = 20;
const WITHIN_MAX: u32 = 3_660;
/// Pages that one can go back, one by one.
const CURSORS_MAX: usize = 10;
const DAY_SECONDS: i64 = 86_400;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Sort {
    #[default]
    Newest,
    Oldest,
    /// The earliest end first.
    End,
    EndLatest,
}

impl Sort {
    pub const ALL: [Self; 4] = [Self::Newest, Self::Oldest, Self::End, Self::EndLatest];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Newest => "newest",
            Self::Oldest => "oldest",
            Self::End => "end",
            Self::EndLatest => "end-latest",
        }
    }

    pub const fn label(self) -> &'static str {
        match self {
            Self::Newest => "Newest first",
            Self::Oldest => "Oldest first",
            Self::End => "Ends soonest first",
            Self::EndLatest => "Ends latest first",
        }
    }

    fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.as_str() == name)
    }

    const fn parts(self) -> (CertificateSort, SortOrder) {
        match self {
            Self::Newest => (CertificateSort::CreatedAt, SortOrder::Descending),
            Self::Oldest => (CertificateSort::CreatedAt, SortOrder::Ascending),
            Self::End => (CertificateSort::NotAfter, SortOrder::Ascending),
            Self::EndLatest => (CertificateSort::NotAfter, SortOrder::Descending),
        }
    }
}

/// What is asked of the inventory. Days are counted since 1970, in UTC; both ends belong to a range.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct InventoryQuery {
    pub q: Option<String>,
    pub status: Vec<CertificateStatus>,
    pub view: Option<CertificateView>,
    pub ca: Option<CaId>,
    pub profile: Option<ProfileId>,
    pub application: Option<ApplicationId>,
    pub algorithm: Option<KeyAlgorithm>,
    pub within: Option<u32>,
    pub from: Option<i64>,
    pub to: Option<i64>,
    pub issued_from: Option<i64>,
    pub issued_to: Option<i64>,
    pub source: Option<CertificateSource>,
    pub metadata: Vec<(String, Option<String>)>,
    pub sort: Sort,
    /// The places of the pages up to this one; empty on the first.
    pub cursors: Vec<String>,
}

impl InventoryQuery {
    /// Reads a query string. What cannot be read is a problem: to leave it out would find more than was asked for.
    pub fn read(form: &Form, problems: &mut Problems) -> Self {
        let status = |text: &str| CertificateStatus::from_name(text);
        Self {
            q: text(form, problems),
            status: words(form, name::STATUS, status, problems),
            view: form.word(name::VIEW, CertificateView::from_name, problems),
            ca: id(form, name::CA, problems),
            profile: id(form, name::PROFILE, problems),
            application: id(form, name::APPLICATION, problems),
            algorithm: form.word(name::ALGORITHM, |text| text.parse().ok(), problems),
            within: within(form, problems),
            from: day(form, name::FROM, problems),
            to: day(form, name::TO, problems),
            issued_from: day(form, name::ISSUED_FROM, problems),
            issued_to: day(form, name::ISSUED_TO, problems),
            source: form.word(name::SOURCE, CertificateSource::from_name, problems),
            metadata: metadata(form, problems),
            sort: form.word(name::SORT, Sort::from_name, problems).unwrap_or_default(),
            cursors: form.all(name::CURSOR).map(str::to_owned).collect(),
        }
    }

    /// The query string that says the same.
    pub fn to_query(&self) -> String {
        let mut pairs = form_urlencoded::Serializer::new(String::new());
        let mut put = |name: &str, value: Option<String>| {
            if let Some(value) = value {
                pairs.append_pair(name, &value);
            }
        };
        put(name::TEXT, self.q.clone());
        for status in &self.status {
            put(name::STATUS, Some(status.as_str().to_owned()));
        }
        put(name::VIEW, self.view.map(|it| it.as_str().to_owned()));
        put(name::CA, self.ca.map(|it| it.to_string()));
        put(name::PROFILE, self.profile.map(|it| it.to_string()));
        put(name::APPLICATION, self.application.map(|it| it.to_string()));
        put(name::ALGORITHM, self.algorithm.map(|it| it.to_string()));
        put(name::WITHIN, self.within.map(|it| it.to_string()));
        put(name::FROM, self.from.map(date));
        put(name::TO, self.to.map(date));
        put(name::ISSUED_FROM, self.issued_from.map(date));
        put(name::ISSUED_TO, self.issued_to.map(date));
        put(name::SOURCE, self.source.map(|it| it.as_str().to_owned()));
        for (key, value) in &self.metadata {
            put(name::METADATA, Some(word::pair(key, value.as_deref())));
        }
        put(name::SORT, (self.sort != Sort::default()).then(|| self.sort.as_str().to_owned()));
        for cursor in &self.cursors {
            put(name::CURSOR, Some(cursor.clone()));
        }
        pairs.finish()
    }

    /// The address of the inventory's page that shows it.
    pub fn href(&self) -> String {
        match self.to_query() {
            query if query.is_empty() => PATH.to_owned(),
            query => format!("{PATH}?{query}"),
        }
    }

    /// The same from the first page on.
    pub fn first_page(&self) -> Self {
        Self { cursors: Vec::new(), ..self.clone() }
    }

    /// The page after this one.
    pub fn next_page(&self, cursor: String) -> Self {
        let mut next = self.clone();
        next.cursors.push(cursor);
        let excess = next.cursors.len().saturating_sub(CURSORS_MAX);
        next.cursors.drain(..excess);
        next
    }

    /// The page before this one, unless this is the first.
    pub fn previous_page(&self) -> Option<Self> {
        let mut previous = self.clone();
        previous.cursors.pop()?;
        Some(previous)
    }

    pub fn page(&self) -> PageRequest {
        PageRequest { offset: 0, limit: ROWS, cursor: self.cursors.last().cloned() }
    }

    /// Whether every certificate is meant.
    pub fn is_empty(&self) -> bool {
        *self == Self { sort: self.sort, cursors: self.cursors.clone(), ..Self::default() }
    }

    /// In the core's terms; `now` gives a meaning to "within 30 days".
    pub fn filter(&self, now: Timestamp) -> CertificateFilter {
        let (sort_by, sort_order) = self.sort.parts();
        let near = self.within.map(|days| now.plus_seconds(i64::from(days) * DAY_SECONDS));
        let to = self.to.map(last_of);
        let statuses = match self.within {
            Some(_) if self.status.is_empty() => vec![CertificateStatus::Active],
            _ => self.status.clone(),
        };
        CertificateFilter {
            search: self.q.clone(),
            statuses,
            profile_ids: self.profile.into_iter().collect(),
            ca_ids: self.ca.into_iter().collect(),
            application_id: self.application,
            created_from: self.issued_from.map(first_of),
            created_to: self.issued_to.map(last_of),
            not_after_from: self.from.map(first_of),
            not_after_to: near.into_iter().chain(to).min(),
            key_algorithms: self.algorithm.into_iter().collect(),
            metadata: self.metadata.clone(),
            source: self.source,
            view: self.view,
            sort_by,
            sort_order,
            ..CertificateFilter::default()
        }
    }
}

fn first_of(day: i64) -> Timestamp {
    Timestamp::from_seconds(day.saturating_mul(DAY_SECONDS))
}

fn last_of(day: i64) -> Timestamp {
    Timestamp::from_millis(first_of(day.saturating_add(1)).as_millis().saturating_sub(1))
}

/// The day with this number as `2026-01-15`.
pub(crate) fn date(day: i64) -> String {
    let mut text = first_of(day).to_string();
    text.truncate("2026-01-15".len());
    text
}

/// The number of the day that a time is on.
pub(crate) const fn day_of(time: Timestamp) -> i64 {
    time.as_seconds().div_euclid(DAY_SECONDS)
}

fn day(form: &Form, name: &str, problems: &mut Problems) -> Option<i64> {
    let text = form.given(name)?;
    let is_date = text.len() == "2026-01-15".len();
    let read = Timestamp::parse_date(text).ok().filter(|_| is_date).map(day_of);
    if read.is_none() {
        problems.add(name, "Write the day as YYYY-MM-DD");
    }
    read
}

fn id<T: std::str::FromStr>(form: &Form, name: &str, problems: &mut Problems) -> Option<T> {
    form.word(name, |text| text.parse().ok(), problems)
}

fn text(form: &Form, problems: &mut Problems) -> Option<String> {
    let text = form.given(name::TEXT)?;
    if text.chars().count() > TEXT_MAX {
        problems.add(name::TEXT, format!("Search for at most {TEXT_MAX} characters"));
    }
    Some(text.chars().take(TEXT_MAX).collect())
}

fn metadata(form: &Form, problems: &mut Problems) -> Vec<(String, Option<String>)> {
    if form.all(name::METADATA).nth(METADATA_MAX).is_some() {
        problems.add(name::METADATA, format!("Give at most {METADATA_MAX} labels"));
    }
    form.all(name::METADATA).take(METADATA_MAX).map(pair).collect()
}

fn words<T: PartialEq>(form: &Form, name: &str, word: impl Fn(&str) -> Option<T>, problems: &mut Problems) -> Vec<T> {
    let mut found = Vec::new();
    for text in form.all(name) {
        match word(text) {
            Some(word) if found.contains(&word) => {}
            Some(word) => found.push(word),
            None => problems.add(name, "Choose one of the values that are offered"),
        }
    }
    found
}

fn within(form: &Form, problems: &mut Problems) -> Option<u32> {
    let text = form.given(name::WITHIN)?;
    let days = text.parse().ok().filter(|days| (1..=WITHIN_MAX).contains(days));
    if days.is_none() {
        problems.add(name::WITHIN, format!("Give a number of days from 1 to {WITHIN_MAX}"));
    }
    days
}

/// `key=value`, or a key alone for any value.
fn pair(text: &str) -> (String, Option<String>) {
    match text.split_once('=') {
        Some((key, value)) => (key.trim().to_owned(), Some(value.trim().to_owned())),
        None => (text.to_owned(), None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(query: &str) -> (InventoryQuery, Problems) {
        let mut problems = Problems::default();
        let read = InventoryQuery::read(&Form::parse(query.as_bytes()), &mut problems);
        (read, problems)
    }

    #[test]
    fn what_an_address_says_it_says_again() {
        let id = "01890000-0000-7000-8000-000000000000";
        for query in [
            String::new(),
            "q=*.acme.com+%26+%C3%A4".to_owned(),
            "status=active&status=revoked&view=weak-key".to_owned(),
            format!("ca={id}&profile={id}&application={id}&algorithm=EC_prime256v1"),
            "within=30&from=2026-01-15&to=2026-02-01&issued_from=2026-01-01&issued_to=2026-01-02".to_owned(),
            "source=imported&meta=owner%3Dweb&meta=ticket&sort=end&cursor=ab&cursor=cd".to_owned(),
        ] {
            let (read, problems) = read(&query);
            assert!(problems.is_empty(), "{query}");
            assert_eq!(read.to_query(), query);
        }
        assert_eq!(read("q=&status=&sort=newest").0.href(), PATH);
        assert_eq!(read("algorithm=ECDSA-P256").0.to_query(), "algorithm=EC_prime256v1");
    }

    #[test]
    fn what_cannot_be_read_is_a_problem_and_not_left_out() {
        for query in [
            "status=gone",
            "view=all",
            "ca=1",
            "algorithm=ROT13",
            "within=0",
            "within=soon",
            "from=tomorrow",
            "to=2026-01-15T00:00:00Z",
            "source=found",
            "sort=name",
        ] {
            assert!(!read(query).1.is_empty(), "{query}");
        }
    }

    #[test]
    fn days_include_their_last_moment() {
        let filter = read("from=2026-01-15&to=2026-01-15").0.filter(Timestamp::from_seconds(0));
        assert_eq!(filter.not_after_from, Some(Timestamp::from_seconds(1_768_435_200)));
        assert_eq!(filter.not_after_to, Some(Timestamp::from_millis(1_768_521_599_999)));
    }

    #[test]
    fn what_ends_soon_is_what_is_active_and_ends_soon() {
        let now = Timestamp::from_seconds(1_000_000);
        let filter = read("within=7").0.filter(now);
        assert_eq!(filter.statuses, [CertificateStatus::Active]);
        assert_eq!(filter.not_after_to, Some(now.plus_seconds(7 * 86_400)));
        assert_eq!(read("within=7&status=expired").0.filter(now).statuses, [CertificateStatus::Expired]);
        assert_eq!(read("within=30&to=1970-01-12").0.filter(now).not_after_to, Some(last_of(11)));
    }

    #[test]
    fn pages_lead_on_and_back() {
        let first = read("q=x").0;
        let third = first.next_page("a".to_owned()).next_page("b".to_owned());
        assert_eq!(third.to_query(), "q=x&cursor=a&cursor=b");
        assert_eq!(third.page().cursor.as_deref(), Some("b"));
        assert_eq!(third.previous_page().and_then(|it| it.previous_page()), Some(first.clone()));
        assert_eq!(first.previous_page(), None);
        let far = (0..30).fold(first, |page, step| page.next_page(step.to_string()));
        assert_eq!(far.cursors.len(), CURSORS_MAX);
    }
}
