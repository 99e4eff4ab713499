//! External CAs: how they are kept, and every change that has to do with them. The credentials they are asked with are in
//! `connection`, what is under way at them in `order`.

use chancery_model::authority::CaStatus;
use chancery_model::external::{AppConnection, ExternalCa, ExternalCaKind, ExternalConfiguration};
use chancery_model::order::{ExternalOrder, PublishedChallenge};
use chancery_model::{CaId, ConnectionId, KeyId, ProjectId, RequestId, Timestamp};
use serde_json::Value as Document;

use crate::change::Effects;
use crate::reader::Reader;
use crate::statement::{Query, Row, Statement, json, params};
use crate::{Conflict, StoreError, certificate, connection, order};

/// One change of an external CA, of a connection, or of an order.
#[derive(Clone)]
pub enum ExternalChange {
    /// `Name` if any CA of the project has it. A CA of either kind is taken away by [`crate::Change::DeleteCa`].
    InsertCa(Box<ExternalCa>),
    /// All but id, project and kind; `Stale` unless it was changed last at the time given.
    UpdateCa {
        ca: Box<ExternalCa>,
        expected_updated_at: Timestamp,
    },
    InsertConnection(Box<AppConnection>),
    /// All but id, project, app and the time it was made.
    UpdateConnection(Box<AppConnection>),
    /// `InUse` while the configuration of a CA of its project, internal or external, names it, or an order that is not done.
    DeleteConnection(ConnectionId),
    /// `BeingRenewed` if an order that renews the same certificate is under way.
    InsertOrder(Box<ExternalOrder>),
    /// What a step has come to; `Stale` unless the CA is still being asked.
    AdvanceOrder {
        request_id: RequestId,
        state: Document,
        /// Absent: the one before stays.
        reference: Option<String>,
        /// In place of those before; absent: those stay.
        challenges: Option<Vec<PublishedChallenge>>,
        at: Timestamp,
    },
    /// Well or not: from now on it is tidied, and answers no challenge. `Stale` if it has ended already.
    EndOrder {
        request_id: RequestId,
        quarantined: Option<Vec<u8>>,
        at: Timestamp,
    },
    /// `Stale` unless it is being tidied.
    TidyOrder {
        request_id: RequestId,
        state: Document,
        /// Nothing is left to tidy.
        done: bool,
        at: Timestamp,
    },
    /// Deletes a sealed key unless something signs or was issued with it. One that is gone already is fine.
    DropKey(KeyId),
}

impl ExternalChange {
    /// Whether it touches what issuance keeps in memory.
    pub(crate) const fn is_configuration(&self) -> bool {
        matches!(
            self,
            Self::InsertCa(_)
                | Self::UpdateCa { .. }
                | Self::InsertConnection(_)
                | Self::UpdateConnection(_)
                | Self::DeleteConnection(_)
        )
    }
}

/// What a CA of either kind is known by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaSummary {
    pub id: CaId,
    pub name: String,
    pub status: CaStatus,
    /// Absent: internal.
    pub kind: Option<ExternalCaKind>,
}

pub(crate) fn change(effects: &mut Effects, change: ExternalChange) -> Result<(), StoreError> {
    match change {
        ExternalChange::InsertCa(it) => effects.configure(insert(*it)?),
        ExternalChange::UpdateCa { ca, expected_updated_at } => effects.configure(update(*ca, expected_updated_at)?),
        ExternalChange::InsertConnection(it) => effects.configure(connection::insert(*it)?),
        ExternalChange::UpdateConnection(it) => effects.configure(connection::update(*it)?),
        ExternalChange::DeleteConnection(id) => effects.configure(connection::delete(id)),
        ExternalChange::InsertOrder(it) => effects.push(order::insert(*it)?),
        ExternalChange::AdvanceOrder { request_id, state, reference, challenges, at } => {
            effects.push(order::advance(request_id, &state, reference, at)?);
            if let Some(challenges) = challenges {
                order::publish(effects, request_id, challenges);
            }
        }
        ExternalChange::EndOrder { request_id, quarantined, at } => order::end(effects, request_id, quarantined, at),
        ExternalChange::TidyOrder { request_id, state, done, at } => {
            effects.push(order::tidy(request_id, &state, done, at)?);
        }
        ExternalChange::DropKey(id) => effects.push(certificate::drop_key(id)),
    }
    Ok(())
}

fn insert(it: ExternalCa) -> Result<Statement, StoreError> {
    Ok(Statement::new(
        "INSERT INTO ca (id, project_id, kind, name, status, configuration, standing, sealed, created_at, updated_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        params![
            it.id,
            it.project_id,
            it.kind().as_str(),
            it.name,
            it.status.as_str(),
            json(&it.configuration)?,
            json(&it.standing)?,
            it.sealed,
            it.created_at,
            it.updated_at
        ],
    ))
}

fn update(it: ExternalCa, expected: Timestamp) -> Result<Statement, StoreError> {
    let statement = Statement::new(
        "UPDATE ca SET name = $2, status = $3, configuration = $4, standing = $5, sealed = $6, updated_at = $7 \
         WHERE id = $1 AND kind = $8 AND updated_at = $9",
        params![
            it.id,
            it.name,
            it.status.as_str(),
            json(&it.configuration)?,
            json(&it.standing)?,
            it.sealed,
            it.updated_at,
            it.configuration.kind().as_str(),
            expected
        ],
    );
    Ok(statement.guarded_if(Conflict::Stale, "SELECT 1 FROM ca WHERE id = $1 AND kind <> 'internal'"))
}

fn from_row(mut row: Row) -> Result<ExternalCa, StoreError> {
    let (id, project_id) = (row.id("id")?, row.id("project_id")?);
    let kind = row.word("kind", ExternalCaKind::from_name)?;
    let ca = ExternalCa {
        id,
        project_id,
        name: row.text("name")?,
        status: row.word("status", CaStatus::from_name)?,
        configuration: row.json::<ExternalConfiguration>("configuration")?,
        standing: row.json("standing")?,
        sealed: row.opt_blob("sealed")?,
        created_at: row.time("created_at")?,
        updated_at: row.time("updated_at")?,
    };
    if ca.kind() == kind { Ok(ca) } else { Err(row.inconsistent("kind")) }
}

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT ca.id, ca.project_id, ca.kind, ca.name, ca.status, ca.configuration, ca.standing, ca.sealed, ca.created_at, \
             ca.updated_at FROM ca ",
            $rest
        )
    };
}

impl Reader {
    /// Internal ones are asked for by [`Self::ca`].
    pub async fn external_ca(&self, project: ProjectId, id: CaId) -> Result<Option<ExternalCa>, StoreError> {
        let sql = select!("WHERE ca.id = $1 AND ca.project_id = $2 AND ca.kind <> 'internal'");
        self.point(Query::new("ca", sql, params![id, project])).await?.map(from_row).transpose()
    }

    /// All of a project, oldest first.
    pub async fn external_cas(&self, project: ProjectId) -> Result<Vec<ExternalCa>, StoreError> {
        let sql = select!("WHERE ca.project_id = $1 AND ca.kind <> 'internal' ORDER BY ca.created_at, ca.id");
        let rows = self.rows(Query::new("ca", sql, params![project])).await?;
        rows.into_iter().map(from_row).collect()
    }

    /// Of a CA of either kind.
    pub async fn ca_summary(&self, project: ProjectId, id: CaId) -> Result<Option<CaSummary>, StoreError> {
        let sql = "SELECT id, name, status, NULLIF(kind, 'internal') FROM ca WHERE id = $1 AND project_id = $2";
        let Some(mut row) = self.point(Query::new("ca", sql, params![id, project])).await? else { return Ok(None) };
        Ok(Some(CaSummary {
            id: row.id("id")?,
            name: row.text("name")?,
            status: row.word("status", CaStatus::from_name)?,
            kind: match row.opt_text("kind")? {
                None => None,
                Some(name) => Some(ExternalCaKind::from_name(&name).ok_or_else(|| row.inconsistent("kind"))?),
            },
        }))
    }
}
