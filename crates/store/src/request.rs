//! Certificate requests.

mod issued;

use chancery_model::page::{Page, PageRequest, Total};
use chancery_model::request::{CertificateRequest, RequestFilter, RequestStatus};
use chancery_model::{CertificateId, ProjectId, RequestId, Timestamp};

use crate::change::{Counter, Effects};
use crate::number::{Numbering, first_after, first_at};
use crate::page::{Sql, containing};
use crate::reader::Reader;
use crate::statement::{Query, Row, Statement, Value, actor_columns, pairs, params};
use crate::walk::{Ordering, Walk, any_of, with_metadata};
use crate::{Conflict, StoreError};

pub use issued::PastRequest;

macro_rules! columns {
    () => {
        "n, id, project, profile_id, ca_id, application_id, requester_kind, requester_id, status, certificate_id, common_name, \
         alt_names, document, csr, error_message, pending_message, metadata, idempotency, created_at, updated_at"
    };
}

pub(crate) fn insert(effects: &mut Effects, it: CertificateRequest, numbering: &Numbering) -> Result<(), StoreError> {
    let (requester_kind, requester_id) = actor_columns(it.requester);
    effects.counters.push((Counter::Requests(it.project_id), 1));
    let params = params![
        numbering.next(it.created_at),
        it.id,
        it.project_id,
        it.profile_id,
        it.ca_id,
        it.application_id,
        requester_kind,
        requester_id,
        it.status.as_str(),
        it.certificate_id,
        it.common_name,
        it.alt_names,
        it.document,
        it.csr,
        it.error_message,
        it.pending_message,
        pairs(&it.metadata)?,
        it.idempotency,
        it.created_at,
        it.updated_at
    ];
    let statement = Statement::new(
        concat!(
            "INSERT INTO request (",
            columns!(),
            ") VALUES ($1, $2, (SELECT number FROM project WHERE id = $3), $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, \
             $16, $17, $18, $19, $20)"
        ),
        params,
    );
    effects.push(statement.bulk(concat!(
        "INSERT INTO request (",
        columns!(),
        ") SELECT c1, c2, (SELECT number FROM project WHERE id = c3), c4, c5, c6, c7, c8, c9, c10, c11, c12, c13, c14, c15, c16, c17, \
         c18, c19, c20 FROM unnest($1::bigint[], $2::bytea[], $3::bytea[], $4::bytea[], $5::bytea[], $6::bytea[], $7::bigint[], \
         $8::bytea[], $9::text[], $10::bytea[], $11::text[], $12::text[], $13::text[], $14::bytea[], $15::text[], $16::text[], \
         $17::text[], $18::bytea[], $19::bigint[], $20::bigint[]) \
         AS r (c1, c2, c3, c4, c5, c6, c7, c8, c9, c10, c11, c12, c13, c14, c15, c16, c17, c18, c19, c20)"
    )));
    Ok(())
}

pub(crate) fn set_status(
    id: RequestId,
    (expected, status): (RequestStatus, RequestStatus),
    error_message: Option<String>,
    at: Timestamp,
) -> Statement {
    Statement::new(
        "UPDATE request SET status = $2, error_message = $3, updated_at = $4 WHERE id = $1 AND status = $5",
        params![id, status.as_str(), error_message, at, expected.as_str()],
    )
    .guarded_if(Conflict::Stale, "SELECT 1 FROM request WHERE id = $1")
}

pub(crate) fn set_pending(id: RequestId, status: RequestStatus, message: Option<String>, at: Timestamp) -> Statement {
    Statement::new(
        "UPDATE request SET status = $2, pending_message = $3, updated_at = $4 \
         WHERE id = $1 AND status IN ('pending', 'pending_validation')",
        params![id, status.as_str(), message, at],
    )
}

/// `outcome`: the status and the certificate. `texts`: the document, which stays if there is no other, and the error.
pub(crate) fn finish(
    id: RequestId,
    outcome: (RequestStatus, Option<CertificateId>),
    texts: (Option<String>, Option<String>),
    at: Timestamp,
) -> Statement {
    Statement::new(
        "UPDATE request SET status = $2, certificate_id = $3, document = COALESCE($4, document), error_message = $5, \
         pending_message = NULL, updated_at = $6 \
         WHERE id = $1 AND status IN ('pending', 'pending_validation', 'pending_approval')",
        params![id, outcome.0.as_str(), outcome.1, texts.0, texts.1, at],
    )
    .guarded_if(Conflict::Stale, "SELECT 1 FROM request WHERE id = $1")
}

/// The last column is the project's id, where the caller did not name the project.
fn from_row(mut row: Row) -> Result<(i64, CertificateRequest), StoreError> {
    let number = row.int("n")?;
    let request = CertificateRequest {
        id: row.id("id")?,
        profile_id: row.opt_id("profile_id")?,
        ca_id: row.opt_id("ca_id")?,
        application_id: row.opt_id("application_id")?,
        requester: row.actor("requester_id")?,
        status: row.word("status", RequestStatus::from_name)?,
        certificate_id: row.opt_id("certificate_id")?,
        common_name: row.opt_text("common_name")?,
        alt_names: row.opt_text("alt_names")?,
        document: row.text("document")?,
        csr: row.opt_blob("csr")?,
        error_message: row.opt_text("error_message")?,
        pending_message: row.opt_text("pending_message")?,
        metadata: row.pairs("metadata")?,
        idempotency: row.opt_hash("idempotency")?,
        created_at: row.time("created_at")?,
        updated_at: row.time("updated_at")?,
        project_id: row.id("project_id")?,
    };
    Ok((number, request))
}

const SELECT: &str = "SELECT r.n, r.id, r.profile_id, r.ca_id, r.application_id, r.requester_kind, r.requester_id, r.status, \
     r.certificate_id, r.common_name, r.alt_names, r.document, r.csr, r.error_message, r.pending_message, r.metadata, \
     r.idempotency, r.created_at, r.updated_at, (SELECT p.id FROM project p WHERE p.number = r.project) FROM request r WHERE ";

impl Reader {
    pub async fn request(&self, project: ProjectId, id: RequestId) -> Result<Option<CertificateRequest>, StoreError> {
        let mut sql = Sql::default();
        sql.push(SELECT);
        sql.push("r.id = ");
        sql.bind(id);
        sql.push(" AND r.project = (SELECT number FROM project WHERE id = ");
        sql.bind(project);
        sql.push(")");
        let row = self.point(sql.into_query("request")).await?;
        Ok(row.map(from_row).transpose()?.map(|(_, request)| request))
    }

    /// Of any project: the key is a hash over the identity, which belongs to one.
    pub async fn request_by_idempotency(&self, key: &[u8; 32]) -> Result<Option<CertificateRequest>, StoreError> {
        let mut sql = Sql::default();
        sql.push(SELECT);
        sql.push("r.idempotency = ");
        sql.bind(*key);
        let row = self.point(sql.into_query("request")).await?;
        Ok(row.map(from_row).transpose()?.map(|(_, request)| request))
    }

    /// In the order of creation, newest first unless asked otherwise. One call looks at no more than 10 000 requests, so
    /// with a filter that few of them pass a page may be short while its cursor leads on.
    pub async fn requests(
        &self,
        project: ProjectId,
        filter: &RequestFilter,
        page: &PageRequest,
    ) -> Result<Page<CertificateRequest>, StoreError> {
        let rest = remaining(filter);
        let mut scope = Sql::default();
        scope.push("r.project = (SELECT number FROM project WHERE id = ");
        scope.bind(project);
        scope.push(")");
        if let Some(from) = filter.created_from {
            scope.push(" AND r.n >= ");
            scope.bind(first_at(from));
        }
        if let Some(to) = filter.created_to {
            scope.push(" AND r.n < ");
            scope.bind(first_after(to));
        }
        let walk = Walk {
            table: "request",
            alias: "r",
            select: SELECT,
            project,
            scope,
            rest,
            ordering: Ordering::Created,
            ascending: filter.ascending,
            numbers: None,
        };
        let unfiltered = *filter == RequestFilter { ascending: filter.ascending, ..RequestFilter::default() };
        let total = if unfiltered { Some(self.counted(Counter::Requests(project)).await?) } else { None };
        self.walk(walk, page, total, from_row, |_| 0).await
    }

    /// The sum over all nodes.
    pub(crate) async fn counted(&self, counter: Counter) -> Result<Total, StoreError> {
        let (kind, scope) = counter.key();
        let sql = "SELECT CAST(COALESCE(SUM(value), 0) AS BIGINT) FROM counter WHERE kind = $1 AND scope = $2";
        let count = self.number(Query::new("counter", sql, vec![Value::Int(kind), Value::Uuid(scope)])).await?;
        Ok(Total { count: u64::try_from(count).unwrap_or(0), exact: true })
    }
}

/// What each request must be asked for, without the project and the walk's bounds.
fn remaining(filter: &RequestFilter) -> Sql {
    let mut sql = Sql::default();
    if let Some(search) = filter.search.as_deref().filter(|it| !it.is_empty()) {
        for (start, end) in [
            (" AND (LOWER(COALESCE(r.common_name, '')) LIKE ", ""),
            (" OR LOWER(COALESCE(r.alt_names, '')) LIKE ", ")"),
        ] {
            sql.push(start);
            sql.bind(containing(search));
            sql.push(" ESCAPE '\\'");
            sql.push(end);
        }
    }
    any_of(&mut sql, "r.status", filter.statuses.iter().map(|it| it.as_str().into()));
    any_of(&mut sql, "r.profile_id", filter.profile_ids.iter().map(|it| (*it).into()));
    any_of(&mut sql, "r.application_id", filter.application_id.iter().map(|it| (*it).into()));
    for (condition, bound) in
        [(" AND r.created_at >= ", filter.created_from), (" AND r.created_at <= ", filter.created_to)]
    {
        if let Some(bound) = bound {
            sql.push(condition);
            sql.bind(bound);
        }
    }
    with_metadata(&mut sql, "r.metadata", &filter.metadata);
    sql
}
