//! Figures about the inventory that are kept while it changes, so that no question has to count certificates.
//!
//! Each is a number by kind and UTC day. Certificates whose validity is still of interest stand under the day of their
//! end: in [`Kind::Ending`], or in [`Kind::SupersededEnding`] once they have a successor; what is revoked or deleted stands
//! in neither. Issuances and revocations stand under the day they happened, and stay. What is in force by the algorithm of
//! its key is counted in `algorithm`.

mod algorithm;

use chancery_model::certificate::{Certificate, CertificateSource, CertificateView};
use chancery_model::page::Total;
use chancery_model::{CaId, CertificateId, ProfileId, ProjectId, Timestamp};
use chancery_pkix::KeyAlgorithm;
use uuid::Uuid;

use crate::StoreError;
use crate::change::Counter;
use crate::reader::Reader;
use crate::statement::{Query, Statement, params};

pub(crate) const MILLIS_PER_DAY: i64 = 86_400_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Kind {
    /// Neither revoked nor superseded nor deleted, by the day of the end.
    Ending = 1,
    /// Certificates made here, by the day they were recorded.
    Issued = 2,
    /// Revocations, a hold among them, by the day of revocation.
    Revoked = 3,
    /// Superseded, not revoked, not deleted, by the day of the end.
    SupersededEnding = 4,
}

/// One figure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Figure {
    /// Days are counted since 1970, cut as SQL cuts them: towards zero.
    OfKind {
        project: ProjectId,
        kind: Kind,
        day: i64,
    },
    OfAlgorithm {
        project: ProjectId,
        day: i64,
        algorithm: &'static str,
    },
}

pub(crate) const fn day_of(time: Timestamp) -> i64 {
    time.as_millis() / MILLIS_PER_DAY
}

/// What a certificate adds when it comes into the inventory.
pub(crate) fn inserted(it: &Certificate) -> impl Iterator<Item = (Figure, i64)> {
    let project = it.project_id;
    let ending = if it.renewal.renewed_by.is_none() { Kind::Ending } else { Kind::SupersededEnding };
    let figures = [
        (it.revocation.is_none(), ending, it.not_after),
        (it.source == CertificateSource::Issued, Kind::Issued, it.created_at),
        (it.revocation.is_some(), Kind::Revoked, it.revocation.map_or(it.created_at, |revocation| revocation.at)),
    ];
    figures
        .into_iter()
        .filter(|(counts, ..)| *counts)
        .map(move |(_, kind, time)| Figure::OfKind { project, kind, day: day_of(time) })
        .chain(algorithm::inserted(it))
        .map(|figure| (figure, 1))
}

/// The figures of a group, added to this node's own rows.
pub(crate) fn add(figure: Figure, change: i64, node: &str) -> Statement {
    let (project, kind, day) = match figure {
        Figure::OfKind { project, kind, day } => (project, kind, day),
        Figure::OfAlgorithm { project, day, algorithm } => {
            return algorithm::add((project, day, algorithm), change, node);
        }
    };
    Statement::new(
        "INSERT INTO statistic (project_id, kind, bucket, node, value) VALUES ($1, $2, $3, $4, $5) \
         ON CONFLICT (project_id, kind, bucket, node) DO UPDATE SET value = statistic.value + excluded.value",
        params![project, kind as i64, day, node.to_owned(), change],
    )
    .bulk(
        "INSERT INTO statistic (project_id, kind, bucket, node, value) \
         SELECT * FROM unnest($1::bytea[], $2::bigint[], $3::bigint[], $4::text[], $5::bigint[]) \
         ON CONFLICT (project_id, kind, bucket, node) DO UPDATE SET value = statistic.value + excluded.value",
    )
}

/// A change of figures that only the certificate's own row knows the days of. `$moved` gives a kind and a value each.
macro_rules! move_figures {
    ($kind:literal, $time:literal, $moved:literal, $project:literal, $condition:literal) => {
        concat!(
            "INSERT INTO statistic (project_id, kind, bucket, node, value) SELECT p.id, ",
            $kind,
            ", (",
            $time,
            ") / 86400000, $2, moved.value FROM certificate c JOIN project p ON p.number = ",
            $project,
            " JOIN (",
            $moved,
            ") AS moved ON true WHERE c.id = $1",
            $condition,
            " ON CONFLICT (project_id, kind, bucket, node) DO UPDATE SET value = statistic.value + excluded.value"
        )
    };
}

/// After the certificate got its successor.
pub(crate) fn superseded(id: CertificateId, node: &str) -> Statement {
    Statement::new(
        move_figures!(
            "moved.kind",
            "c.not_after",
            "SELECT 1 AS kind, -1 AS value UNION ALL SELECT 4, 1",
            "c.project",
            ""
        ),
        params![id, node.to_owned()],
    )
}

/// After the certificate was revoked. One that is deleted counts as a revocation, but has left the ends already.
pub(crate) fn revoked(id: CertificateId, node: &str) -> [Statement; 2] {
    let days = Statement::new(
        move_figures!(
            "CASE WHEN moved.kind = 3 THEN 3 WHEN c.renewed_by IS NULL THEN 1 ELSE 4 END",
            "CASE WHEN moved.kind = 3 THEN c.revoked_at ELSE c.not_after END",
            "SELECT 1 AS kind, -1 AS value UNION ALL SELECT 3, 1",
            "ABS(c.project)",
            " AND (moved.kind = 3 OR c.project > 0)"
        ),
        params![id, node.to_owned()],
    );
    [days, algorithm::revoked(id, node)]
}

/// After the certificate's hold was taken back.
pub(crate) fn released(id: CertificateId, node: &str) -> [Statement; 2] {
    let days = Statement::new(
        move_figures!(
            "CASE WHEN c.renewed_by IS NULL THEN 1 ELSE 4 END",
            "c.not_after",
            "SELECT 1 AS value",
            "c.project",
            ""
        ),
        params![id, node.to_owned()],
    );
    [days, algorithm::released(id, node)]
}

/// After the certificate was moved out of its project.
pub(crate) fn deleted(id: CertificateId, node: &str) -> [Statement; 2] {
    let days = Statement::new(
        move_figures!(
            "CASE WHEN c.renewed_by IS NULL THEN 1 ELSE 4 END",
            "c.not_after",
            "SELECT -1 AS value",
            "-c.project",
            " AND c.revoked_at IS NULL"
        ),
        params![id, node.to_owned()],
    );
    [days, algorithm::deleted(id, node)]
}

/// Before the certificate's row goes for good; a deleted one has left the figures already.
pub(crate) fn removed(id: CertificateId, node: &str) -> [Statement; 2] {
    let days = Statement::new(
        move_figures!(
            "CASE WHEN c.renewed_by IS NULL THEN 1 ELSE 4 END",
            "c.not_after",
            "SELECT -1 AS value",
            "c.project",
            " AND c.revoked_at IS NULL"
        ),
        params![id, node.to_owned()],
    );
    [days, algorithm::removed(id, node)]
}

/// The inventory of a project in figures. Deleted certificates are in none but `issued_by_day` and `revoked_by_day`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InventoryStatistics {
    pub total: u64,
    /// Neither revoked nor ended, whether or not superseded.
    pub active: u64,
    /// Ended, not revoked. With more than 10 000 that have ended today, today's are in proportion to the time of day.
    pub expired: u64,
    pub revoked: u64,
    /// Ends of what is neither revoked nor superseded: (days since 1970, certificates) from today on, at most 366 days
    /// ahead; days without any are left out, here and below. Today's may have ended already.
    pub expiring_by_day: Vec<(i64, u64)>,
    /// Certificates made here on each of the last 90 days.
    pub issued_by_day: Vec<(i64, u64)>,
    /// Revocations on each of the last 90 days, holds among them.
    pub revoked_by_day: Vec<(i64, u64)>,
    /// The 50 CAs with the most certificates, most first.
    pub by_ca: Vec<(CaId, u64)>,
    /// The 50 profiles with the most certificates, most first.
    pub by_profile: Vec<(ProfileId, u64)>,
    /// Neither revoked nor ended, by the algorithm of the key, most first; none: a kind of key that is never made here.
    pub by_algorithm: Vec<(Option<KeyAlgorithm>, u64)>,
    /// How many certificates each view has: exactly, up to 10 000.
    pub views: Vec<(CertificateView, Total)>,
}

const AHEAD_DAYS: i64 = 366;
const BACK_DAYS: i64 = 90;
/// Ends of one day that are counted one by one.
const COUNTED_MAX: i64 = 10_000;

impl Reader {
    /// From figures that are kept, so in time that does not grow with the inventory.
    pub async fn statistics(&self, project: ProjectId, now: Timestamp) -> Result<InventoryStatistics, StoreError> {
        let today = day_of(now);
        let total = self.counted(Counter::Certificates(project)).await?.count;
        let ending = self.figures(project, Kind::Ending, i64::MIN).await?;
        let superseded = self.figures(project, Kind::SupersededEnding, i64::MIN).await?;
        let sum = |days: &[(i64, u64)], from: i64, to: i64| -> u64 {
            days.iter().filter(|(day, _)| (from..to).contains(day)).map(|(_, count)| count).sum()
        };
        let of_days = |from, to| sum(&ending, from, to) + sum(&superseded, from, to);
        let unrevoked = of_days(i64::MIN, i64::MAX);
        let ending_today = of_days(today, today + 1);
        let ended_today = self.ended_today(project, now, ending_today).await?;
        let expired = of_days(i64::MIN, today) + ended_today;
        let mut views = Vec::with_capacity(CertificateView::ALL.len());
        for view in CertificateView::ALL {
            views.push((*view, self.certificates_in_view(project, *view, now).await?));
        }
        Ok(InventoryStatistics {
            total,
            active: unrevoked.saturating_sub(expired),
            expired,
            revoked: total.saturating_sub(unrevoked),
            expiring_by_day: ending.into_iter().filter(|(day, _)| (today..=today + AHEAD_DAYS).contains(day)).collect(),
            issued_by_day: self.figures(project, Kind::Issued, today - BACK_DAYS + 1).await?,
            revoked_by_day: self.figures(project, Kind::Revoked, today - BACK_DAYS + 1).await?,
            by_ca: self.most(MOST_OF_CA, project).await?,
            by_profile: self.most(MOST_OF_PROFILE, project).await?,
            by_algorithm: self.active_by_algorithm(project, now, (ending_today, ended_today)).await?,
            views,
        })
    }

    /// The days from `from` on that have any, over all nodes.
    async fn figures(&self, project: ProjectId, kind: Kind, from: i64) -> Result<Vec<(i64, u64)>, StoreError> {
        let sql = "SELECT bucket, CAST(SUM(value) AS BIGINT) FROM statistic WHERE project_id = $1 AND kind = $2 AND bucket >= $3 \
             GROUP BY bucket HAVING SUM(value) > 0 ORDER BY bucket";
        let rows = self.rows(Query::new("statistic", sql, params![project, kind as i64, from])).await?;
        rows.into_iter().map(|mut row| Ok((row.int("bucket")?, row.small("value")?))).collect()
    }

    /// How many of the day's `all` ends are past.
    async fn ended_today(&self, project: ProjectId, now: Timestamp, all: u64) -> Result<u64, StoreError> {
        let start = Timestamp::from_millis(day_of(now) * MILLIS_PER_DAY);
        let sql = "SELECT COUNT(*), CAST(COALESCE(SUM(CASE WHEN ended.revoked_at IS NULL THEN 1 ELSE 0 END), 0) AS BIGINT) FROM (\
             SELECT c.revoked_at FROM certificate c WHERE c.project = (SELECT number FROM project WHERE id = $1) \
             AND c.not_after >= $2 AND c.not_after < $3 ORDER BY c.not_after LIMIT $4) ended";
        let params = params![project, start, now, COUNTED_MAX + 1];
        let Some(mut row) = self.row(Query::new("certificate", sql, params)).await? else { return Ok(0) };
        if row.int("count")? <= COUNTED_MAX {
            return row.small("ended");
        }
        let passed = u128::try_from(now.as_millis() - start.as_millis()).unwrap_or(0);
        let share = u128::from(all) * passed / u128::from(MILLIS_PER_DAY.unsigned_abs());
        Ok(u64::try_from(share).unwrap_or(all))
    }

    async fn most<T: From<Uuid>>(&self, sql: &'static str, project: ProjectId) -> Result<Vec<(T, u64)>, StoreError> {
        let rows = self.rows(Query::new("counter", sql, params![project])).await?;
        rows.into_iter().map(|mut row| Ok((row.id("scope")?, row.small("value")?))).collect()
    }
}

const MOST_OF_CA: &str = "SELECT s.id, CAST(SUM(k.value) AS BIGINT) FROM ca s JOIN counter k ON k.kind = 3 AND k.scope = s.id \
     WHERE s.project_id = $1 GROUP BY s.id HAVING SUM(k.value) > 0 ORDER BY 2 DESC, s.id LIMIT 50";
const MOST_OF_PROFILE: &str = "SELECT s.id, CAST(SUM(k.value) AS BIGINT) FROM profile s JOIN counter k ON k.kind = 2 AND k.scope = s.id \
     WHERE s.project_id = $1 GROUP BY s.id HAVING SUM(k.value) > 0 ORDER BY 2 DESC, s.id LIMIT 50";
