//! Jobs: what is due when, and which lease of it holds. What a job is, is in `model/src/job.rs`.
//!
//! While a job is leased, `due_at` is the end of the lease, so that one whose node died comes up again by itself. What is
//! asked for in the meantime is kept in `asked_at`, and no lease ends without looking there: no wake-up is lost.

use chancery_model::job::{Fence, Job, JobKey, JobKind, JobLane, NewJob};
use chancery_model::page::{Page, PageRequest};
use chancery_model::{CertificateId, ProjectId, Timestamp};
use uuid::Uuid;

use crate::change::Effects;
use crate::number::Numbering;
use crate::page::{Cursor, Sql, bounds, total_of};
use crate::reader::Reader;
use crate::statement::{Query, Row, Statement, Value, params};
use crate::statistics::MILLIS_PER_DAY;
use crate::{Conflict, StoreError};

/// Due at the end of time: not due any more, and deleted by the next statement.
const NEVER: i64 = i64::MAX;

macro_rules! insert {
    ($rest:literal) => {
        concat!(
            "INSERT INTO job (kind, object, project_id, due_at, deadline, attempts, token) VALUES ($1, $2, $3, $4, $5, 0, $6) \
             ON CONFLICT (kind, object) DO UPDATE SET ",
            $rest
        )
    };
}

/// A row that is deleted and made again must not give out a token that an earlier lease had, so tokens do not start at
/// zero but at a number that was not used before.
fn new_row(it: NewJob, numbering: &Numbering) -> Vec<Value> {
    params![it.key.kind.number(), it.key.object, it.project_id, it.due_at, it.deadline, numbering.first_token()]
}

pub(crate) fn schedule(it: NewJob, numbering: &Numbering) -> Statement {
    Statement::new(
        insert!(
            "due_at = CASE WHEN job.lease_until IS NULL AND excluded.due_at < job.due_at THEN excluded.due_at ELSE job.due_at END, \
             asked_at = CASE WHEN job.lease_until IS NULL THEN NULL WHEN job.asked_at < excluded.due_at THEN job.asked_at \
             ELSE excluded.due_at END, \
             deadline = CASE WHEN excluded.deadline < job.deadline THEN excluded.deadline ELSE job.deadline END"
        ),
        new_row(it, numbering),
    )
}

pub(crate) fn set(it: NewJob, numbering: &Numbering) -> Statement {
    Statement::new(
        insert!(
            "due_at = CASE WHEN job.lease_until IS NULL THEN excluded.due_at ELSE job.due_at END, \
             asked_at = CASE WHEN job.lease_until IS NULL THEN NULL ELSE excluded.due_at END, \
             deadline = excluded.deadline, attempts = 0, last_error = NULL"
        ),
        new_row(it, numbering),
    )
}

/// The first job of an object that the same write inserts.
pub(crate) fn insert(it: NewJob, numbering: &Numbering) -> Statement {
    Statement::new(
        "INSERT INTO job (kind, object, project_id, due_at, deadline, attempts, token) VALUES ($1, $2, $3, $4, $5, 0, $6) \
         ON CONFLICT (kind, object) DO NOTHING",
        new_row(it, numbering),
    )
    .bulk(
        "INSERT INTO job (kind, object, project_id, due_at, deadline, attempts, token) \
         SELECT c1, c2, c3, c4, c5, 0, c6 FROM unnest($1::bigint[], $2::bytea[], $3::bytea[], $4::bigint[], $5::bigint[], $6::bigint[]) \
         AS r (c1, c2, c3, c4, c5, c6) ON CONFLICT (kind, object) DO NOTHING",
    )
}

/// The job of renewing a certificate in the inventory, with the certificate's own project and end.
pub(crate) fn set_renewal(id: CertificateId, due_at: Timestamp, numbering: &Numbering) -> Statement {
    Statement::new(
        "INSERT INTO job (kind, object, project_id, due_at, deadline, attempts, token) \
         SELECT $1, c.id, (SELECT p.id FROM project p WHERE p.number = c.project), $3, c.not_after, 0, $4 \
         FROM certificate c WHERE c.id = $2 AND c.renewed_by IS NULL AND c.revoked_at IS NULL \
         ON CONFLICT (kind, object) DO UPDATE SET \
         due_at = CASE WHEN job.lease_until IS NULL THEN excluded.due_at ELSE job.due_at END, \
         asked_at = CASE WHEN job.lease_until IS NULL THEN NULL ELSE excluded.due_at END, \
         deadline = excluded.deadline, attempts = 0, last_error = NULL",
        params![JobKind::RenewCertificate.number(), id, due_at, numbering.first_token()],
    )
}

pub(crate) fn drop(key: JobKey) -> Statement {
    Statement::new("DELETE FROM job WHERE kind = $1 AND object = $2", params![key.kind.number(), key.object])
}

const EXISTS: &str = "SELECT 1 FROM job WHERE kind = $1 AND object = $2";

/// On PostgreSQL a row that another node is changing counts as taken: waiting for it could end in a deadlock, when two
/// nodes lease the same jobs in different orders.
pub(crate) fn claim(key: JobKey, expected_token: i64, now: Timestamp, lease_until: Timestamp) -> Statement {
    Statement::new(
        "UPDATE job SET token = token + 1, lease_until = $5, due_at = $5, asked_at = CASE WHEN asked_at > $4 THEN asked_at END \
         WHERE kind = $1 AND object = $2 AND token = $3 AND (lease_until IS NULL OR lease_until <= $4)",
        params![key.kind.number(), key.object, expected_token, now, lease_until],
    )
    .on_postgres(
        "UPDATE job SET token = token + 1, lease_until = $5, due_at = $5, asked_at = CASE WHEN asked_at > $4 THEN asked_at END \
         WHERE (kind, object) IN (SELECT kind, object FROM job WHERE kind = $1 AND object = $2 AND token = $3 \
         AND (lease_until IS NULL OR lease_until <= $4) FOR UPDATE SKIP LOCKED)",
    )
    .guarded_if_pair(Conflict::Stale, EXISTS)
}

pub(crate) fn extend(fence: Fence, lease_until: Timestamp) -> Statement {
    Statement::new(
        "UPDATE job SET lease_until = $4, due_at = $4 WHERE kind = $1 AND object = $2 AND token = $3 AND lease_until IS NOT NULL",
        params![fence.key.kind.number(), fence.key.object, fence.token, lease_until],
    )
    .guarded(Conflict::Stale)
}

/// A leased job is due at the end of its lease, so this looks at the few that end by then and at no others.
pub(crate) fn end_leases(now: Timestamp, latest: Timestamp) -> Statement {
    Statement::new(
        "UPDATE job SET lease_until = NULL, due_at = $1 WHERE due_at > $1 AND due_at <= $2 AND lease_until = due_at",
        params![now, latest],
    )
}

/// What was asked for during the lease comes first, and a deadline never lies before the time the job is due.
pub(crate) fn finish(effects: &mut Effects, fence: Fence, next: Option<Timestamp>) {
    let Fence { key, token } = fence;
    let next_millis = next.map_or(NEVER, Timestamp::as_millis);
    effects.push(
        Statement::new(
            "UPDATE job SET attempts = 0, last_error = NULL, lease_until = NULL, asked_at = NULL, \
             due_at = CASE WHEN asked_at < $4 THEN asked_at ELSE $4 END, \
             deadline = CASE WHEN asked_at < $4 AND asked_at > deadline THEN asked_at \
             WHEN (asked_at IS NULL OR asked_at >= $4) AND deadline < $4 THEN $4 ELSE deadline END \
             WHERE kind = $1 AND object = $2 AND token = $3 AND lease_until IS NOT NULL",
            params![key.kind.number(), key.object, token, next_millis],
        )
        .guarded(Conflict::Stale),
    );
    if next.is_none() {
        effects.push(Statement::new(
            "DELETE FROM job WHERE kind = $1 AND object = $2 AND lease_until IS NULL AND due_at = 9223372036854775807",
            params![key.kind.number(), key.object],
        ));
    }
}

pub(crate) fn retry(fence: Fence, due_at: Timestamp, error: String) -> Statement {
    Statement::new(
        "UPDATE job SET attempts = attempts + 1, last_error = $5, lease_until = NULL, asked_at = NULL, \
         due_at = CASE WHEN asked_at < $4 THEN asked_at ELSE $4 END \
         WHERE kind = $1 AND object = $2 AND token = $3 AND lease_until IS NOT NULL",
        params![fence.key.kind.number(), fence.key.object, fence.token, due_at, error],
    )
    .guarded(Conflict::Stale)
}

fn from_row(mut row: Row) -> Result<Job, StoreError> {
    let kind = row.int("kind")?;
    let object: Uuid = row.id("object")?;
    let kind = JobKind::from_number(kind).ok_or_else(|| row.inconsistent("kind"))?;
    Ok(Job {
        key: JobKey { kind, object },
        project_id: row.id("project_id")?,
        due_at: row.time("due_at")?,
        deadline: row.time("deadline")?,
        attempts: row.small("attempts")?,
        token: row.int("token")?,
        lease_until: row.opt_time("lease_until")?,
        last_error: row.opt_text("last_error")?,
    })
}

macro_rules! select {
    ($from:literal) => {
        concat!(
            "SELECT kind, object, project_id, due_at, deadline, attempts, token, lease_until, last_error FROM ",
            $from
        )
    };
}

macro_rules! due {
    ($which:literal) => {
        concat!(
            "SELECT kind, object, project_id, due_at, deadline, attempts, token, lease_until, last_error FROM (SELECT * FROM job WHERE ",
            $which,
            " AND (lease_until IS NULL OR lease_until <= $1) ORDER BY due_at LIMIT 10000) due ORDER BY deadline, kind, object LIMIT $2"
        )
    };
}

const LIST: &str = "overdue-jobs";

impl Reader {
    /// Due and not leased, of one lane: of the 10 000 that have been due longest, those with the nearest deadlines, nearest
    /// first.
    pub async fn due_jobs(&self, now: Timestamp, lane: JobLane, limit: u32) -> Result<Vec<Job>, StoreError> {
        // The kinds as `JobKind::lane` says. The plus leaves the small lanes to the index by kind: behind a great many due
        // renewals the one by due time would read them all.
        let sql = match lane {
            JobLane::Status => due!("+due_at <= $1 AND kind IN (4, 5)"),
            JobLane::Work => due!("due_at <= $1 AND kind NOT IN (4, 5, 8, 10, 11, 12)"),
            JobLane::Outgoing => due!("+due_at <= $1 AND kind = 8"),
            JobLane::External => due!("+due_at <= $1 AND kind IN (10, 11, 12)"),
        };
        self.rows(Query::new("job", sql, params![now, limit])).await?.into_iter().map(from_row).collect()
    }

    pub async fn job(&self, key: JobKey) -> Result<Option<Job>, StoreError> {
        let sql = select!("job WHERE kind = $1 AND object = $2");
        self.point(Query::new("job", sql, params![key.kind.number(), key.object])).await?.map(from_row).transpose()
    }

    /// What should be done and is not: due before the time given (oldest first), then what has failed and waits for its
    /// next attempt. The total counts both, exactly up to 10 000.
    pub async fn overdue_jobs(
        &self,
        project: ProjectId,
        kind: JobKind,
        before: Timestamp,
        page: &PageRequest,
    ) -> Result<Page<Job>, StoreError> {
        let (_, limit) = bounds(page);
        let place = page.cursor.as_deref().map(|text| Cursor::decode(text, LIST, project)).transpose()?;
        let mut sql = Sql::default();
        sql.push("SELECT * FROM (");
        arm(&mut sql, (project, kind), (DUE, before), place.as_ref(), limit + 1)?;
        sql.push(") due UNION ALL SELECT * FROM (");
        arm(&mut sql, (project, kind), (FAILED, before), place.as_ref(), limit + 1)?;
        sql.push(") failed ORDER BY due_at, object LIMIT ");
        sql.bind(limit + 1);
        let rows = self.rows(sql.into_query("job")).await?;
        let mut items = rows.into_iter().map(from_row).collect::<Result<Vec<_>, _>>()?;
        let page_length = usize::try_from(limit).unwrap_or(usize::MAX);
        let more = items.len() > page_length;
        items.truncate(page_length);
        let next_cursor = items.last().filter(|_| more).map(|last| {
            let place = Cursor { first: last.due_at.as_millis(), second: 0, text: last.key.object.to_string() };
            place.encode(LIST, project)
        });
        let mut sql = Sql::default();
        sql.push("SELECT COUNT(*) FROM (SELECT 1 FROM (");
        arm(&mut sql, (project, kind), (DUE, before), None, COUNTED_MAX)?;
        sql.push(") due UNION ALL SELECT 1 FROM (");
        arm(&mut sql, (project, kind), (FAILED, before), None, COUNTED_MAX)?;
        sql.push(") failed) counted");
        let total = total_of(self.number(sql.into_query("job")).await?, true);
        Ok(Page { items, total, next_cursor })
    }

    /// How many jobs are due from `from` to before `to`, by UTC day (days since 1970); days without any are left out.
    pub async fn jobs_due_between(
        &self,
        project: ProjectId,
        kind: JobKind,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<Vec<(i64, u64)>, StoreError> {
        let sql = "SELECT due_at / $5 AS day, COUNT(*) FROM job \
             WHERE project_id = $1 AND kind = $2 AND due_at >= $3 AND due_at < $4 GROUP BY 1 ORDER BY 1";
        let query = Query::new("job", sql, params![project, kind.number(), from, to, MILLIS_PER_DAY]);
        self.rows(query).await?.into_iter().map(|mut row| Ok((row.int("day")?, row.small("count")?))).collect()
    }

    /// Those due from `from` to before `to`, the first `limit` by due time.
    pub async fn jobs_between(
        &self,
        project: ProjectId,
        kind: JobKind,
        (from, to): (Timestamp, Timestamp),
        limit: u32,
    ) -> Result<Vec<Job>, StoreError> {
        let sql = select!(
            "job WHERE project_id = $1 AND kind = $2 AND due_at >= $3 AND due_at < $4 ORDER BY due_at, object LIMIT $5"
        );
        let query = Query::new("job", sql, params![project, kind.number(), from, to, i64::from(limit)]);
        self.rows(query).await?.into_iter().map(from_row).collect()
    }
}

/// Two conditions that no job meets both of, each with its own index; what failed and waits is due later than what is due.
const DUE: &str = " AND due_at < ";
const FAILED: &str = " AND attempts > 0 AND due_at >= ";
/// One more than is counted exactly.
const COUNTED_MAX: i64 = 10_001;

fn arm(
    sql: &mut Sql,
    (project, kind): (ProjectId, JobKind),
    (condition, before): (&str, Timestamp),
    place: Option<&Cursor>,
    limit: i64,
) -> Result<(), StoreError> {
    sql.push(select!("job WHERE project_id = "));
    sql.bind(project);
    sql.push(" AND kind = ");
    sql.bind(kind.number());
    sql.push(condition);
    sql.bind(before);
    if let Some(place) = place {
        sql.push(" AND (due_at, object) > (");
        sql.bind(place.first);
        sql.push(", ");
        sql.bind(Uuid::parse_str(&place.text).map_err(|_| StoreError::BadCursor)?);
        sql.push(")");
    }
    sql.push(" ORDER BY due_at, object LIMIT ");
    sql.bind(limit);
    Ok(())
}
