//! Orders under way at external CAs, and the challenges that are answered for them.
//!
//! An order goes from `ordering` to `tidying` to `done` and never back; a change that comes in another phase is refused, so
//! that of a step and a cancellation that meet, one is `Stale`.

use chancery_model::external::ChallengeKind;
use chancery_model::order::{ExternalOrder, OrderPhase, PublishedChallenge};
use chancery_model::{CaId, CertificateId, ProjectId, RequestId, Timestamp};
use serde_json::Value as Document;

use crate::change::Effects;
use crate::reader::Reader;
use crate::statement::{Query, Row, Statement, json, params};
use crate::{Conflict, StoreError};

const EXISTS: &str = "SELECT 1 FROM external_order WHERE request_id = $1";

pub(crate) fn insert(it: ExternalOrder) -> Result<Statement, StoreError> {
    Ok(Statement::new(
        "INSERT INTO external_order (request_id, project_id, ca_id, phase, renews, key_id, csr, plan, state, reference, quarantined, \
         give_up_at, created_at, updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)",
        params![
            it.request_id,
            it.project_id,
            it.ca_id,
            it.phase.as_str(),
            it.renews,
            it.key_id,
            it.csr,
            json(&it.plan)?,
            json(&it.state)?,
            it.reference,
            it.quarantined,
            it.give_up_at,
            it.created_at,
            it.updated_at
        ],
    ))
}

pub(crate) fn advance(
    id: RequestId,
    state: &Document,
    reference: Option<String>,
    at: Timestamp,
) -> Result<Statement, StoreError> {
    let statement = Statement::new(
        "UPDATE external_order SET state = $2, reference = COALESCE($3, reference), updated_at = $4 \
         WHERE request_id = $1 AND phase = 'ordering'",
        params![id, json(state)?, reference, at],
    );
    Ok(statement.guarded_if(Conflict::Stale, EXISTS))
}

/// In place of all that is answered for the order now.
pub(crate) fn publish(effects: &mut Effects, id: RequestId, challenges: Vec<PublishedChallenge>) {
    effects.push(withdraw(id));
    for it in challenges {
        effects.push(Statement::new(
            "INSERT INTO challenge (kind, name, request_id, value) VALUES ($1, $2, $3, $4) \
             ON CONFLICT (kind, name, request_id) DO UPDATE SET value = excluded.value",
            params![it.kind.as_str(), it.name, id, it.value],
        ));
    }
}

fn withdraw(id: RequestId) -> Statement {
    Statement::new("DELETE FROM challenge WHERE request_id = $1", params![id])
}

pub(crate) fn end(effects: &mut Effects, id: RequestId, quarantined: Option<Vec<u8>>, at: Timestamp) {
    let statement = Statement::new(
        "UPDATE external_order SET phase = 'tidying', quarantined = $2, updated_at = $3 \
         WHERE request_id = $1 AND phase = 'ordering'",
        params![id, quarantined, at],
    );
    effects.push(statement.guarded_if(Conflict::Stale, EXISTS));
    effects.push(withdraw(id));
}

pub(crate) fn tidy(id: RequestId, state: &Document, done: bool, at: Timestamp) -> Result<Statement, StoreError> {
    let phase = if done { OrderPhase::Done } else { OrderPhase::Tidying };
    let statement = Statement::new(
        "UPDATE external_order SET state = $2, phase = $3, updated_at = $4 WHERE request_id = $1 AND phase = 'tidying'",
        params![id, json(state)?, phase.as_str(), at],
    );
    Ok(statement.guarded_if(Conflict::Stale, EXISTS))
}

/// With the certificate it led to. One that still has something to tidy stays until that is done.
pub(crate) fn forget(id: RequestId) -> Statement {
    Statement::new("DELETE FROM external_order WHERE request_id = $1 AND phase = 'done'", params![id])
}

fn from_row(mut row: Row) -> Result<ExternalOrder, StoreError> {
    Ok(ExternalOrder {
        request_id: row.id("request_id")?,
        project_id: row.id("project_id")?,
        ca_id: row.id("ca_id")?,
        phase: row.word("phase", OrderPhase::from_name)?,
        renews: row.opt_id("renews")?,
        key_id: row.opt_id("key_id")?,
        csr: row.blob("csr")?,
        plan: row.json("plan")?,
        state: row.json("state")?,
        reference: row.opt_text("reference")?,
        quarantined: row.opt_blob("quarantined")?,
        give_up_at: row.time("give_up_at")?,
        created_at: row.time("created_at")?,
        updated_at: row.time("updated_at")?,
    })
}

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT request_id, project_id, ca_id, phase, renews, key_id, csr, plan, state, reference, quarantined, \
             give_up_at, created_at, updated_at FROM external_order ",
            $rest
        )
    };
}

impl Reader {
    /// Of a request.
    pub async fn order(&self, project: ProjectId, request: RequestId) -> Result<Option<ExternalOrder>, StoreError> {
        let sql = select!("WHERE request_id = $1 AND project_id = $2");
        self.point(Query::new("external_order", sql, params![request, project])).await?.map(from_row).transpose()
    }

    /// The one under way that will renew the certificate.
    pub async fn order_renewing(
        &self,
        project: ProjectId,
        certificate: CertificateId,
    ) -> Result<Option<ExternalOrder>, StoreError> {
        let sql = select!("WHERE renews = $1 AND project_id = $2 AND phase = 'ordering'");
        self.point(Query::new("external_order", sql, params![certificate, project])).await?.map(from_row).transpose()
    }

    /// How many orders have ended that were to renew the certificate.
    pub async fn ended_orders_renewing(&self, certificate: CertificateId) -> Result<u32, StoreError> {
        let sql = "SELECT COUNT(*) FROM external_order WHERE renews = $1 AND phase <> 'ordering'";
        let count = self.number(Query::new("external_order", sql, params![certificate])).await?;
        Ok(u32::try_from(count).unwrap_or(u32::MAX))
    }

    /// How many orders of the CA are not done.
    pub async fn open_orders(&self, ca: CaId) -> Result<u64, StoreError> {
        let sql = "SELECT COUNT(*) FROM external_order WHERE ca_id = $1 AND phase <> 'done'";
        let count = self.number(Query::new("external_order", sql, params![ca])).await?;
        Ok(u64::try_from(count).unwrap_or(0))
    }

    /// Every answer to a challenge: of several orders for one name each has its own.
    pub async fn challenges(&self, kind: ChallengeKind, name: &str) -> Result<Vec<String>, StoreError> {
        let sql = "SELECT value FROM challenge WHERE kind = $1 AND name = $2 ORDER BY request_id";
        let rows = self.rows(Query::new("challenge", sql, params![kind.as_str(), name.to_owned()])).await?;
        rows.into_iter().map(|mut row| row.text("value")).collect()
    }
}
