//! Certificates in force by the algorithm of their key: like the figures by day, one number per algorithm and day of the
//! end, so that what has ended falls out of the sum by itself. A superseded certificate counts on; what is revoked or
//! deleted does not. The algorithm stands in the certificate's description and nowhere else, so a change of one
//! certificate reads it there.

use chancery_model::certificate::Certificate;
use chancery_model::{CertificateId, ProjectId, Timestamp};
use chancery_pkix::KeyAlgorithm;

use super::{Figure, MILLIS_PER_DAY, day_of};
use crate::StoreError;
use crate::reader::{Dialect, Reader};
use crate::statement::{Query, Statement, params};

/// The word for a key of a kind that is never made here.
const FOREIGN: &str = "";

pub(super) fn inserted(it: &Certificate) -> Option<Figure> {
    let algorithm = it.description.key_algorithm.map_or(FOREIGN, KeyAlgorithm::as_str);
    it.revocation.is_none().then(|| Figure::OfAlgorithm {
        project: it.project_id,
        day: day_of(it.not_after),
        algorithm,
    })
}

pub(super) fn add((project, day, algorithm): (ProjectId, i64, &'static str), change: i64, node: &str) -> Statement {
    Statement::new(
        "INSERT INTO algorithm_statistic (project_id, bucket, algorithm, node, value) VALUES ($1, $2, $3, $4, $5) \
         ON CONFLICT (project_id, bucket, algorithm, node) DO UPDATE SET value = algorithm_statistic.value + excluded.value",
        params![project, day, algorithm, node.to_owned(), change],
    )
    .bulk(
        "INSERT INTO algorithm_statistic (project_id, bucket, algorithm, node, value) \
         SELECT * FROM unnest($1::bytea[], $2::bigint[], $3::text[], $4::text[], $5::bigint[]) \
         ON CONFLICT (project_id, bucket, algorithm, node) DO UPDATE SET value = algorithm_statistic.value + excluded.value",
    )
}

macro_rules! moved {
    ($algorithm:literal, $value:literal, $project:literal, $condition:literal) => {
        concat!(
            "INSERT INTO algorithm_statistic (project_id, bucket, algorithm, node, value) \
             SELECT p.id, c.not_after / 86400000, COALESCE(",
            $algorithm,
            ", ''), $2, ",
            $value,
            " FROM certificate c JOIN project p ON p.number = ",
            $project,
            " WHERE c.id = $1",
            $condition,
            " ON CONFLICT (project_id, bucket, algorithm, node) \
             DO UPDATE SET value = algorithm_statistic.value + excluded.value"
        )
    };
}

/// The same change in both languages.
macro_rules! move_one {
    ($id:expr, $node:expr, $value:literal, $project:literal, $condition:literal) => {
        Statement::new(
            moved!("c.description ->> 'keyAlgorithm'", $value, $project, $condition),
            params![$id, $node.to_owned()],
        )
        .on_postgres(moved!("c.description::json ->> 'keyAlgorithm'", $value, $project, $condition))
    };
}

/// One that is deleted has left already.
pub(super) fn revoked(id: CertificateId, node: &str) -> Statement {
    move_one!(id, node, "-1", "c.project", "")
}

pub(super) fn released(id: CertificateId, node: &str) -> Statement {
    move_one!(id, node, "1", "c.project", "")
}

pub(super) fn deleted(id: CertificateId, node: &str) -> Statement {
    move_one!(id, node, "-1", "-c.project", " AND c.revoked_at IS NULL")
}

pub(super) fn removed(id: CertificateId, node: &str) -> Statement {
    move_one!(id, node, "-1", "c.project", " AND c.revoked_at IS NULL")
}

/// Certificates that ended today and are counted one by one; each is a row to be read, and a row fills most of a page.
const COUNTED_MAX: usize = 1_000;

impl Reader {
    /// Neither revoked nor ended, by algorithm, most first. With more than 1 000 that ended today, today's are in
    /// proportion to `today`: how many end on this day, and how many of those have ended.
    pub(super) async fn active_by_algorithm(
        &self,
        project: ProjectId,
        now: Timestamp,
        today: (u64, u64),
    ) -> Result<Vec<(Option<KeyAlgorithm>, u64)>, StoreError> {
        let sql = "SELECT algorithm, CAST(SUM(value) AS BIGINT), \
             CAST(SUM(CASE WHEN bucket = $2 THEN value ELSE 0 END) AS BIGINT) FROM algorithm_statistic \
             WHERE project_id = $1 AND bucket >= $2 GROUP BY algorithm";
        let rows = self.rows(Query::new("algorithm_statistic", sql, params![project, day_of(now)])).await?;
        let ended = self.ended_by_algorithm(project, now).await?;
        let mut active = Vec::with_capacity(rows.len());
        for mut row in rows {
            let name = row.text("algorithm")?;
            let (sum, of_today): (i64, i64) = (row.int("value")?, row.int("value")?);
            let gone = match &ended {
                Some(counted) => counted.iter().filter(|it| **it == name).count() as u64,
                None => share(u64::try_from(of_today).unwrap_or(0), today),
            };
            let count = u64::try_from(sum).unwrap_or(0).saturating_sub(gone);
            if count > 0 {
                active.push((KeyAlgorithm::ALL.iter().copied().find(|it| it.as_str() == name), count));
            }
        }
        active.sort_by_key(|(algorithm, count)| (std::cmp::Reverse(*count), algorithm.is_none(), *algorithm));
        Ok(active)
    }

    /// The algorithm of each unrevoked certificate that has ended today; nothing when they are too many to look at.
    async fn ended_by_algorithm(&self, project: ProjectId, now: Timestamp) -> Result<Option<Vec<String>>, StoreError> {
        let start = Timestamp::from_millis(day_of(now) * MILLIS_PER_DAY);
        let sql = match self.dialect() {
            Dialect::Sqlite => ENDED_SQLITE,
            Dialect::Postgres => ENDED_POSTGRES,
        };
        let limit = i64::try_from(COUNTED_MAX).unwrap_or(i64::MAX) + 1;
        let rows = self.rows(Query::new("certificate", sql, params![project, start, now, limit])).await?;
        if rows.len() > COUNTED_MAX {
            return Ok(None);
        }
        rows.into_iter().map(|mut row| row.text("description")).collect::<Result<_, _>>().map(Some)
    }
}

macro_rules! ended {
    ($algorithm:literal) => {
        concat!(
            "SELECT COALESCE(",
            $algorithm,
            ", '') FROM certificate c WHERE c.project = (SELECT number FROM project WHERE id = $1) \
             AND c.not_after >= $2 AND c.not_after < $3 AND c.revoked_at IS NULL ORDER BY c.not_after LIMIT $4"
        )
    };
}

const ENDED_SQLITE: &str = ended!("c.description ->> 'keyAlgorithm'");
const ENDED_POSTGRES: &str = ended!("c.description::json ->> 'keyAlgorithm'");

/// What part of `count` has ended, where of `all` so many have.
fn share(count: u64, (all, ended): (u64, u64)) -> u64 {
    let part = u128::from(count) * u128::from(ended) / u128::from(all.max(1));
    u64::try_from(part).unwrap_or(count)
}

#[cfg(test)]
mod tests {
    use super::share;

    #[test]
    fn a_share_is_never_more_than_the_whole() {
        for (count, today, expected) in
            [(0, (0, 0), 0), (10, (20, 10), 5), (10, (10, 10), 10), (3, (10, 5), 1), (u64::MAX, (2, 1), u64::MAX / 2)]
        {
            assert_eq!(share(count, today), expected, "{count} {today:?}");
        }
    }
}
