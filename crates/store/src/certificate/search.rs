//! Lists and searches over the inventory.
//!
//! A search first asks the look-up indexes (names, serial numbers, fingerprints, views, and where it helps application,
//! profile, CA and end of validity) for all candidates. Up to 10 000 of them are complete, and the list is exact. More than that means a
//! condition that many certificates meet, and the list walks the project in order, at most 10 000 rows a call, with the
//! condition asked of each row (see `walk`).
//!
//! `search` finds every certificate by a whole name, by a domain above its names, by serial number and by fingerprint,
//! wherever it is; a mere part of a name is looked for in the newest 10 000 certificates of the project.

use std::collections::BTreeSet;

use chancery_model::certificate::{
    Certificate, CertificateFilter, CertificateSort, CertificateSource, CertificateStatus, CertificateView,
};
use chancery_model::page::{Page, PageRequest, SortOrder, Total};
use chancery_model::{ProjectId, Timestamp};

use super::{fingerprint_head, from_row, in_project, name_key, of_project, source_number, view};
use crate::StoreError;
use crate::change::Counter;
use crate::number::{first_after, first_at};
use crate::page::{Sql, containing, escaped};
use crate::reader::Reader;
use crate::statement::Value;
use crate::walk::{Ordering, WINDOW, Walk, any_of, with_metadata};

/// Row numbers that a look-up found, all of them; `None` when they are too many.
type Candidates = Option<BTreeSet<i64>>;

const COMMON_NAME: i64 = 1;
const ALT_NAME: i64 = 2;

/// A serial number as people write it: hex in either case, with or without colons.
pub(super) fn serial_of(text: &str) -> Option<Vec<u8>> {
    let digits: String = text.trim().chars().filter(|it| *it != ':').collect();
    if digits.is_empty() || digits.len() > 40 {
        return None;
    }
    hex::decode(digits).ok()
}

fn fingerprint_of(text: &str) -> Option<[u8; 32]> {
    let digits: String = text.trim().chars().filter(|it| *it != ':').collect();
    hex::decode(digits).ok()?.try_into().ok()
}

/// A name condition: a whole name, or with a leading `*.` all names under a domain.
struct Name {
    text: String,
    is_domain: bool,
}

impl Name {
    fn of(text: &str) -> Self {
        let text = text.trim().to_lowercase();
        match text.strip_prefix("*.") {
            Some(domain) => Self { text: domain.to_owned(), is_domain: true },
            None => Self { text, is_domain: false },
        }
    }

    /// The condition on an index key.
    fn on_key(&self, sql: &mut Sql) {
        let key = name_key(&self.text);
        if self.is_domain {
            // '/' is the letter after '.', so this is the range of all keys that start with the domain and a dot.
            sql.push("name >= ");
            sql.bind(format!("{key}."));
            sql.push(" AND name < ");
            sql.bind(format!("{key}/"));
        } else {
            sql.push("name = ");
            sql.bind(key);
        }
    }

    /// The same asked of a certificate's row.
    fn on_row(&self, sql: &mut Sql, kind: i64) {
        let text = escaped(&self.text);
        let (column, pattern) = match (kind, self.is_domain) {
            (COMMON_NAME, false) => ("c.common_name", text),
            (COMMON_NAME, true) => ("c.common_name", format!("%.{text}")),
            (_, false) => ("c.alt_names", format!("%\n{text}\n%")),
            (_, true) => ("c.alt_names", format!("%.{text}\n%")),
        };
        sql.push(" AND ");
        sql.push(column);
        sql.push(" LIKE ");
        sql.bind(pattern);
        sql.push(" ESCAPE '\\'");
    }

    /// The name that people gave, or else the common name: this is what clients are shown as the friendly name.
    fn on_friendly_row(&self, sql: &mut Sql, friendly: &str) {
        sql.push(" AND (c.friendly_name = ");
        sql.bind(friendly.to_owned());
        sql.push(" OR (c.friendly_name IS NULL");
        self.on_row(sql, COMMON_NAME);
        sql.push("))");
    }
}

/// A search on its way to a walk.
struct Plan<'a> {
    project: ProjectId,
    filter: &'a CertificateFilter,
    now: Timestamp,
    candidates: Candidates,
    /// Leads the walk along an index that has few of the project's certificates, in the walk's own order.
    detour: Sql,
    rest: Sql,
}

impl Plan<'_> {
    fn narrow(&mut self, found: BTreeSet<i64>) {
        self.candidates = Some(match self.candidates.take() {
            None => found,
            Some(known) => known.intersection(&found).copied().collect(),
        });
    }

    fn ordering(&self) -> Ordering {
        match self.filter.sort_by {
            CertificateSort::CreatedAt => Ordering::Created,
            CertificateSort::NotAfter => Ordering::End,
        }
    }

    fn only_revoked(&self) -> bool {
        !self.filter.statuses.is_empty() && self.filter.statuses.iter().all(|it| *it == CertificateStatus::Revoked)
    }

    /// The range of ends that the conditions leave, if they bound it.
    fn ends(&self) -> Option<(Timestamp, Timestamp)> {
        let only_expired =
            !self.filter.statuses.is_empty() && self.filter.statuses.iter().all(|it| *it == CertificateStatus::Expired);
        let to = if only_expired {
            Some(self.filter.not_after_to.map_or(self.now, |to| to.min(self.now)))
        } else {
            self.filter.not_after_to
        };
        if self.filter.not_after_from.is_none() && to.is_none() {
            return None;
        }
        Some((
            self.filter.not_after_from.unwrap_or(Timestamp::from_millis(i64::MIN)),
            to.unwrap_or(Timestamp::from_millis(i64::MAX)),
        ))
    }

    /// The conditions that every row is asked for, whether or not an index has been asked before. The sign before the end
    /// keeps its index out of a walk in another order.
    fn ask_rows(&mut self) {
        let filter = self.filter;
        let sql = &mut self.rest;
        any_of(sql, "c.profile_id", filter.profile_ids.iter().map(|it| (*it).into()));
        any_of(sql, "c.ca_id", filter.ca_ids.iter().map(|it| (*it).into()));
        any_of(sql, "c.application_id", filter.application_id.iter().map(|it| (*it).into()));
        any_of(sql, "+c.source", filter.source.iter().map(|it| source_number(*it).into()));
        if let Some(wanted) = filter.view {
            view::condition(sql, wanted, self.now);
        }
        statuses(sql, &filter.statuses, self.now);
        for (condition, bound) in [
            (" AND c.created_at >= ", filter.created_from),
            (" AND c.created_at <= ", filter.created_to),
            (" AND c.not_before >= ", filter.not_before_from),
            (" AND c.not_before <= ", filter.not_before_to),
            (" AND +c.not_after >= ", filter.not_after_from),
            (" AND +c.not_after <= ", filter.not_after_to),
        ] {
            if let Some(bound) = bound {
                sql.push(condition);
                sql.bind(bound);
            }
        }
        described(sql, filter);
        with_metadata(sql, "c.metadata", &filter.metadata);
    }

    /// What an index answers, in the order of the walk.
    fn scope(&self) -> Sql {
        let mut sql = Sql::default();
        let by_creation = self.candidates.is_none() && self.ordering() == Ordering::Created;
        let groups = (self.filter.application_id, self.filter.profile_ids.as_slice(), self.filter.ca_ids.as_slice());
        let single = match groups {
            _ if !by_creation || !self.detour.is_empty() => None,
            (Some(application), ..) => Some(("c.application_id = ", Value::from(application))),
            (None, [profile], _) => Some(("c.profile_id = ", Value::from(*profile))),
            (None, [], [ca]) => Some(("c.ca_id = ", Value::from(*ca))),
            _ => None,
        };
        if let Some((condition, id)) = single {
            sql.push(condition);
            sql.bind(id);
            in_project(&mut sql, self.project);
        } else {
            of_project(&mut sql, self.project);
            if !self.detour.is_empty() && self.candidates.is_none() {
                sql.append(&self.detour);
            } else if self.only_revoked() {
                sql.push(" AND c.revoked_at IS NOT NULL");
            }
        }
        let bounds = match self.ordering() {
            Ordering::Created => [
                (" AND c.n >= ", self.filter.created_from.map(|from| Value::Int(first_at(from)))),
                (" AND c.n < ", self.filter.created_to.map(|to| Value::Int(first_after(to)))),
            ],
            Ordering::End => {
                let ends = self.ends();
                [
                    (" AND c.not_after >= ", ends.map(|it| it.0.into())),
                    (" AND c.not_after <= ", ends.map(|it| it.1.into())),
                ]
            }
        };
        for (condition, bound) in bounds {
            if let Some(bound) = bound {
                sql.push(condition);
                sql.bind(bound);
            }
        }
        sql
    }
}

fn statuses(sql: &mut Sql, wanted: &[CertificateStatus], now: Timestamp) {
    let has = |status| wanted.contains(&status);
    if wanted.is_empty() || CertificateStatus::ALL.iter().all(|it| has(*it)) {
        return;
    }
    sql.push(" AND (");
    let mut joint = "";
    for status in CertificateStatus::ALL.iter().filter(|it| has(**it)) {
        sql.push(joint);
        joint = " OR ";
        match status {
            CertificateStatus::Revoked => sql.push("+c.revoked_at IS NOT NULL"),
            CertificateStatus::Active => {
                sql.push("(c.revoked_at IS NULL AND +c.not_after >= ");
                sql.bind(now);
                sql.push(")");
            }
            CertificateStatus::Expired => {
                sql.push("(c.revoked_at IS NULL AND +c.not_after < ");
                sql.bind(now);
                sql.push(")");
            }
        }
    }
    sql.push(")");
}

/// Conditions on the description's JSON text. Field names stand there in a fixed order and unescaped quotation marks only
/// around whole strings, and behind `extendedKeyUsages` no text of a requester follows.
fn described(sql: &mut Sql, filter: &CertificateFilter) {
    let keys = filter.key_algorithms.iter().map(|it| format!("%\"keyAlgorithm\":\"{}\"%", escaped(it.as_str())));
    let signatures =
        filter.signature_algorithms.iter().map(|it| format!("%\"signatureAlgorithm\":\"{}\"%", escaped(it.as_str())));
    let usages =
        filter.extended_key_usage.iter().map(|it| format!("%\"extendedKeyUsages\":[%\"{}\"%", escaped(it.as_str())));
    for patterns in [keys.collect::<Vec<_>>(), signatures.collect(), usages.collect()] {
        let mut joint = " AND (";
        let any = !patterns.is_empty();
        for pattern in patterns {
            sql.push(joint);
            joint = " OR ";
            sql.push("c.description LIKE ");
            sql.bind(pattern);
            sql.push(" ESCAPE '\\'");
        }
        if any {
            sql.push(")");
        }
    }
}

impl Reader {
    /// In the order asked for, newest first by default. A page may be short while its cursor leads on, when a condition
    /// that many certificates meet is joined with one that few of them meet; only a missing cursor means the end.
    pub async fn certificates(
        &self,
        project: ProjectId,
        filter: &CertificateFilter,
        now: Timestamp,
        page: &PageRequest,
    ) -> Result<Page<Certificate>, StoreError> {
        let total = self.certificates_counted(project, filter).await?;
        let mut plan = Plan { project, filter, now, candidates: None, detour: Sql::default(), rest: Sql::default() };
        self.look_up_names(&mut plan).await?;
        self.look_up_few(&mut plan).await?;
        if total.is_none() || plan.ordering() == Ordering::End {
            self.look_up_groups(&mut plan).await?;
        }
        plan.ask_rows();
        let by_one_index = total.is_some() && plan.ordering() == Ordering::Created;
        let walk = Walk {
            table: "certificate",
            alias: "c",
            select: super::SELECT,
            project,
            scope: plan.scope(),
            ordering: plan.ordering(),
            ascending: filter.sort_order == SortOrder::Ascending,
            // The one condition of a counted list is its scope: nothing is left to ask, and no window is needed.
            rest: if by_one_index { Sql::default() } else { plan.rest },
            numbers: plan.candidates.map(|found| found.into_iter().collect()),
        };
        self.walk(walk, page, total, from_row, |it| it.not_after.as_millis()).await
    }

    /// The lists that counters know the length of: a whole project, profile or CA.
    async fn certificates_counted(
        &self,
        project: ProjectId,
        filter: &CertificateFilter,
    ) -> Result<Option<Total>, StoreError> {
        let bare = CertificateFilter {
            sort_by: filter.sort_by,
            sort_order: filter.sort_order,
            ..CertificateFilter::default()
        };
        if let Some(application) = filter.application_id {
            let alone = *filter == CertificateFilter { application_id: Some(application), ..bare };
            if !alone || self.application(project, application).await?.is_none() {
                return Ok(None);
            }
            return self.counted(Counter::CertificatesOfApplication(application)).await.map(Some);
        }
        let counter = match (filter.profile_ids.as_slice(), filter.ca_ids.as_slice()) {
            ([], []) if *filter == bare => Counter::Certificates(project),
            ([profile], []) if *filter == (CertificateFilter { profile_ids: vec![*profile], ..bare.clone() }) => {
                // Counters know no project, so make sure that the profile belongs to it.
                if self.profile(project, *profile).await?.is_none() {
                    return Ok(None);
                }
                Counter::CertificatesOfProfile(*profile)
            }
            ([], [ca]) if *filter == (CertificateFilter { ca_ids: vec![*ca], ..bare }) => {
                if self.ca(project, *ca).await?.is_none() {
                    return Ok(None);
                }
                Counter::CertificatesOfCa(*ca)
            }
            _ => return Ok(None),
        };
        self.counted(counter).await.map(Some)
    }

    /// Candidates by serial number, fingerprint and names. Where names are too many, the rows are asked.
    async fn look_up_names(&self, plan: &mut Plan<'_>) -> Result<(), StoreError> {
        let filter = plan.filter;
        if let Some(serial) = &filter.serial_number {
            let found = self.by_serial(serial).await?;
            plan.narrow(found);
        }
        if let Some(fingerprint) = &filter.fingerprint_sha256 {
            let found = self.by_fingerprint(fingerprint).await?;
            plan.narrow(found);
        }
        if !filter.ids.is_empty() {
            let mut sql = Sql::default();
            sql.push("SELECT c.n FROM certificate c WHERE c.project > 0");
            any_of(&mut sql, "c.id", filter.ids.iter().map(|it| (*it).into()));
            let found = self.numbers(sql).await?.unwrap_or_default();
            plan.narrow(found);
        }
        if let Some(friendly) = filter.friendly_name.as_deref().map(str::trim).filter(|it| !it.is_empty()) {
            let name = Name::of(friendly);
            if let Some(mut found) = self.by_name(plan.project, &name, COMMON_NAME).await?
                && let Some(named) = self.by_friendly_name(plan.project, friendly).await?
            {
                found.extend(named);
                plan.narrow(found);
            }
            name.on_friendly_row(&mut plan.rest, friendly);
        }
        let names = [(&filter.common_name, COMMON_NAME), (&filter.san, ALT_NAME)];
        for (text, kind) in names {
            let Some(name) = text.as_deref().filter(|it| !it.trim().is_empty()).map(Name::of) else { continue };
            match self.by_name(plan.project, &name, kind).await? {
                Some(found) => plan.narrow(found),
                None => name.on_row(&mut plan.rest, kind),
            }
        }
        if let Some(needle) = filter.search.as_deref().map(str::trim).filter(|it| !it.is_empty()) {
            match self.by_search(plan.project, needle).await? {
                Some(found) => plan.narrow(found),
                None => part_of_name(&mut plan.rest, needle),
            }
        }
        Ok(())
    }

    /// Candidates of what few certificates are: those of a view, imported ones. If they are many, the walk goes along their
    /// index where that is in its order; else it goes along its own, and the rows are asked.
    async fn look_up_few(&self, plan: &mut Plan<'_>) -> Result<(), StoreError> {
        if plan.candidates.is_some() {
            return Ok(());
        }
        if plan.filter.view == Some(CertificateView::Expiring) && plan.ordering() == Ordering::End {
            // Nearly all rows of this part of the walk's own index meet the view: collecting them first only costs.
            view::scope(&mut plan.detour, CertificateView::Expiring, plan.now);
        } else if let Some(wanted) = plan.filter.view {
            match self.by_view(plan.project, wanted, plan.now).await? {
                Some(found) => plan.narrow(found),
                None if view::ordering(wanted) == plan.ordering() => view::scope(&mut plan.detour, wanted, plan.now),
                None => {}
            }
        } else if plan.filter.source == Some(CertificateSource::Imported) {
            let mut sql = Sql::default();
            sql.push("SELECT c.n FROM certificate c WHERE ");
            of_project(&mut sql, plan.project);
            sql.push(" AND c.source = 1");
            match self.numbers(sql).await? {
                Some(found) => plan.narrow(found),
                None if plan.ordering() == Ordering::Created => plan.detour.push(" AND c.source = 1"),
                None => {}
            }
        }
        Ok(())
    }

    /// Candidates by profile, CA, revocation and end, where the walk's own index would not lead to them.
    async fn look_up_groups(&self, plan: &mut Plan<'_>) -> Result<(), StoreError> {
        if plan.candidates.is_some() {
            return Ok(());
        }
        let filter = plan.filter;
        let by_end = plan.ordering() == Ordering::End;
        for (column, ids) in [
            ("c.application_id", filter.application_id.iter().map(|it| Value::from(*it)).collect::<Vec<_>>()),
            ("c.profile_id", filter.profile_ids.iter().map(|it| Value::from(*it)).collect()),
            ("c.ca_id", filter.ca_ids.iter().map(|it| Value::from(*it)).collect()),
        ] {
            // One application, profile or CA in order of creation is a walk along its own index.
            if ids.is_empty() || (ids.len() == 1 && !by_end) {
                continue;
            }
            if let ([], [ca]) = (filter.profile_ids.as_slice(), filter.ca_ids.as_slice())
                && self.counted(Counter::CertificatesOfCa(*ca)).await?.count > WINDOW.unsigned_abs()
            {
                continue;
            }
            let mut sql = Sql::default();
            sql.push("SELECT c.n FROM certificate c WHERE c.project > 0");
            any_of(&mut sql, column, ids.into_iter());
            if let Some(found) = self.numbers(sql).await? {
                plan.narrow(found);
                return Ok(());
            }
        }
        let ends = if by_end { None } else { plan.ends() };
        let revoked = by_end && plan.only_revoked();
        if ends.is_none() && !revoked {
            return Ok(());
        }
        let mut sql = Sql::default();
        sql.push("SELECT c.n FROM certificate c WHERE ");
        of_project(&mut sql, plan.project);
        if revoked {
            sql.push(" AND c.revoked_at IS NOT NULL");
        }
        if let Some((from, to)) = ends {
            sql.push(" AND c.not_after >= ");
            sql.bind(from);
            sql.push(" AND c.not_after <= ");
            sql.bind(to);
        }
        if let Some(found) = self.numbers(sql).await? {
            plan.narrow(found);
        }
        Ok(())
    }

    async fn by_serial(&self, text: &str) -> Result<BTreeSet<i64>, StoreError> {
        let Some(serial) = serial_of(text) else { return Ok(BTreeSet::new()) };
        let mut sql = Sql::default();
        sql.push("SELECT n FROM serial_number WHERE n IS NOT NULL AND serial = ");
        sql.bind(serial);
        Ok(self.numbers(sql).await?.unwrap_or_default())
    }

    async fn by_fingerprint(&self, fingerprint: &[u8; 32]) -> Result<BTreeSet<i64>, StoreError> {
        let mut sql = Sql::default();
        sql.push("SELECT n FROM certificate WHERE fingerprint_head = ");
        sql.bind(fingerprint_head(fingerprint));
        sql.push(" AND fingerprint = ");
        sql.bind(*fingerprint);
        Ok(self.numbers(sql).await?.unwrap_or_default())
    }

    async fn by_name(&self, project: ProjectId, name: &Name, kind: i64) -> Result<Candidates, StoreError> {
        let mut sql = Sql::default();
        sql.push("SELECT n FROM certificate_name WHERE project = (SELECT number FROM project WHERE id = ");
        sql.bind(project);
        sql.push(") AND ");
        name.on_key(&mut sql);
        sql.push(" AND (kind & ");
        sql.bind(kind);
        sql.push(") <> 0");
        self.numbers(sql).await
    }

    /// Names that people gave, letter by letter.
    async fn by_friendly_name(&self, project: ProjectId, name: &str) -> Result<Candidates, StoreError> {
        let mut sql = Sql::default();
        sql.push("SELECT c.n FROM certificate c WHERE ");
        of_project(&mut sql, project);
        sql.push(" AND c.friendly_name = ");
        sql.bind(name.to_owned());
        self.numbers(sql).await
    }

    async fn by_search(&self, project: ProjectId, needle: &str) -> Result<Candidates, StoreError> {
        let mut found = self.by_serial(needle).await?;
        if let Some(fingerprint) = fingerprint_of(needle) {
            found.extend(self.by_fingerprint(&fingerprint).await?);
        }
        let whole = Name::of(needle);
        let under = Name { text: whole.text.clone(), is_domain: true };
        for name in [whole, under] {
            match self.by_name(project, &name, COMMON_NAME | ALT_NAME).await? {
                Some(named) => found.extend(named),
                None => return Ok(None),
            }
        }
        found.extend(self.newest_with_part(project, needle).await?);
        Ok(Some(found))
    }

    /// A part of a name has no index: the newest certificates of the project are read through.
    async fn newest_with_part(&self, project: ProjectId, needle: &str) -> Result<BTreeSet<i64>, StoreError> {
        let mut scope = Sql::default();
        scope.push(" FROM certificate c WHERE ");
        of_project(&mut scope, project);
        let mut sql = Sql::default();
        sql.push("SELECT c.n");
        sql.append(&scope);
        sql.push(" ORDER BY c.n DESC LIMIT 1 OFFSET ");
        sql.bind(WINDOW);
        let floor = self.row(sql.into_query("certificate")).await?.map(|mut row| row.int("n")).transpose()?;
        let mut sql = Sql::default();
        sql.push("SELECT c.n");
        sql.append(&scope);
        sql.push(" AND c.n > ");
        sql.bind(floor.unwrap_or(i64::MIN));
        part_of_name(&mut sql, needle);
        Ok(self.numbers(sql).await?.unwrap_or_default())
    }

    /// Runs a query for row numbers, up to one more than a window.
    async fn numbers(&self, mut sql: Sql) -> Result<Candidates, StoreError> {
        sql.push(" LIMIT ");
        sql.bind(WINDOW + 1);
        let rows = self.rows(sql.into_query("certificate")).await?;
        let found = rows.into_iter().map(|mut row| row.int("n")).collect::<Result<Vec<_>, _>>()?;
        let complete = i64::try_from(found.len()).is_ok_and(|count| count <= WINDOW);
        Ok(complete.then(|| found.into_iter().collect()))
    }
}

fn part_of_name(sql: &mut Sql, needle: &str) {
    for (start, end) in [(" AND (c.common_name LIKE ", ""), (" OR c.alt_names LIKE ", ")")] {
        sql.push(start);
        sql.bind(containing(needle.trim_start_matches("*.")));
        sql.push(" ESCAPE '\\'");
        sql.push(end);
    }
}
