//! The ready-made questions to the inventory. Each has an index, in which a small part of its rows meets the question no
//! more (what ended, for instance): a question looks at a bounded number of rows there.

use std::collections::BTreeSet;

use chancery_model::certificate::CertificateView;
use chancery_model::page::Total;
use chancery_model::{ProjectId, Timestamp};

use super::of_project;
use crate::StoreError;
use crate::page::{Sql, total_of};
use crate::reader::{Dialect, Reader};
use crate::walk::{Ordering, WINDOW};

/// Rows of the index that one question looks at, at most.
const LOOKED_AT_MAX: i64 = 3 * WINDOW;
/// How soon the end is that counts as near, in seconds.
const EXPIRING: i64 = 30 * 86_400;

/// The order in which the index of the view gives its rows.
pub(super) const fn ordering(view: CertificateView) -> Ordering {
    match view {
        CertificateView::Expiring | CertificateView::SupersededActive => Ordering::End,
        CertificateView::FailedRenewal | CertificateView::WeakKey => Ordering::Created,
    }
}

/// What leads to the index, beside the project. Starts with ` AND `.
pub(super) fn scope(sql: &mut Sql, view: CertificateView, now: Timestamp) {
    match view {
        CertificateView::Expiring => {
            sql.push(" AND c.not_after >= ");
            sql.bind(now);
            sql.push(" AND c.not_after <= ");
            sql.bind(now.plus_seconds(EXPIRING));
        }
        CertificateView::SupersededActive => {
            sql.push(" AND c.renewed_by IS NOT NULL AND c.revoked_at IS NULL AND c.not_after >= ");
            sql.bind(now);
        }
        CertificateView::FailedRenewal => sql.push(" AND c.renewal_error IS NOT NULL"),
        CertificateView::WeakKey => sql.push(" AND c.has_weak_key = 1"),
    }
}

/// The question itself, asked of a row. Starts with ` AND `, and is put so that no index takes it for its own: it is asked
/// on walks along other indexes.
pub(super) fn condition(sql: &mut Sql, view: CertificateView, now: Timestamp) {
    sql.push(" AND c.revoked_at IS NULL AND +c.not_after >= ");
    sql.bind(now);
    match view {
        CertificateView::Expiring => {
            sql.push(" AND c.renewed_by IS NULL AND +c.not_after <= ");
            sql.bind(now.plus_seconds(EXPIRING));
        }
        CertificateView::FailedRenewal => {
            sql.push(" AND CASE WHEN c.renewal_error IS NULL THEN 0 ELSE 1 END = 1 AND c.renewed_by IS NULL");
        }
        CertificateView::WeakKey => sql.push(" AND +c.has_weak_key = 1"),
        CertificateView::SupersededActive => sql.push(" AND CASE WHEN c.renewed_by IS NULL THEN 0 ELSE 1 END = 1"),
    }
}

/// The index of the view, by name where a database must be told: SQLite prefers one that holds every column asked for, were
/// it a hundred times as long.
const fn index(dialect: Dialect, view: CertificateView) -> &'static str {
    match (dialect, view) {
        (Dialect::Postgres, _) => "",
        (Dialect::Sqlite, CertificateView::Expiring) => " INDEXED BY certificate_end",
        (Dialect::Sqlite, CertificateView::FailedRenewal) => " INDEXED BY certificate_renewal_error",
        (Dialect::Sqlite, CertificateView::WeakKey) => " INDEXED BY certificate_weak",
        (Dialect::Sqlite, CertificateView::SupersededActive) => " INDEXED BY certificate_superseded",
    }
}

/// Row numbers and whether the question is met, as far as a look goes.
fn look(dialect: Dialect, project: ProjectId, view: CertificateView, now: Timestamp) -> Sql {
    let mut sql = Sql::default();
    sql.push("SELECT c.n AS n, CASE WHEN c.project > 0");
    condition(&mut sql, view, now);
    sql.push(" THEN 1 ELSE 0 END AS met FROM certificate c");
    sql.push(index(dialect, view));
    sql.push(" WHERE ");
    of_project(&mut sql, project);
    scope(&mut sql, view, now);
    let column = if matches!(ordering(view), Ordering::End) { "c.not_after" } else { "c.n" };
    sql.push(&format!(" ORDER BY c.project, {column} LIMIT "));
    sql.bind(LOOKED_AT_MAX + 1);
    sql
}

impl Reader {
    /// How many certificates of the project meet a view: exactly, up to 10 000.
    pub async fn certificates_in_view(
        &self,
        project: ProjectId,
        view: CertificateView,
        now: Timestamp,
    ) -> Result<Total, StoreError> {
        let mut sql = Sql::default();
        sql.push("SELECT COUNT(*), CAST(COALESCE(SUM(met), 0) AS BIGINT) FROM (");
        sql.append(&look(self.dialect(), project, view, now));
        sql.push(") looked");
        let Some(mut row) = self.row(sql.into_query("certificate")).await? else {
            return Ok(Total { count: 0, exact: true });
        };
        let looked_at = row.int("count")?;
        Ok(total_of(row.int("met")?, looked_at <= LOOKED_AT_MAX))
    }

    /// All row numbers of a view; `None` when they are too many.
    pub(super) async fn by_view(
        &self,
        project: ProjectId,
        view: CertificateView,
        now: Timestamp,
    ) -> Result<Option<BTreeSet<i64>>, StoreError> {
        let rows = self.rows(look(self.dialect(), project, view, now).into_query("certificate")).await?;
        if i64::try_from(rows.len()).is_ok_and(|count| count > LOOKED_AT_MAX) {
            return Ok(None);
        }
        let mut found = BTreeSet::new();
        for mut row in rows {
            let number = row.int("n")?;
            if row.flag("met")? {
                found.insert(number);
            }
        }
        let complete = i64::try_from(found.len()).is_ok_and(|count| count <= WINDOW);
        Ok(complete.then_some(found))
    }
}
