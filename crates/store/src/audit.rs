//! The audit log: one hash chain per node, appended once per group in the transaction of the changes it describes.
//!
//! `hash = SHA-256(previous_hash ‖ body)`, the first previous hash being 32 zero bytes. The body is exactly the JSON text
//! of [`AuditBody`]; whoever verifies hashes the stored text.

use chancery_model::ProjectId;
use chancery_model::audit::{AuditBody, AuditEntry, AuditFilter, AuditObject, AuditRecord};
use chancery_model::identity::ActorId;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::StoreError;
use crate::page::{Cursor, Sql};
use crate::reader::Reader;
use crate::statement::{Query, Row, Statement, Value, params};

/// A record whose body is written already, but for the sequence number that only the writer knows.
#[derive(Clone, Debug)]
pub(crate) struct PreparedRecord {
    /// The body up to and after the sequence number.
    before: String,
    after: String,
    time: i64,
    project_id: Option<ProjectId>,
    event: &'static str,
    actor_id: Option<Uuid>,
    object_id: Option<Uuid>,
}

impl PreparedRecord {
    /// Serialises on the caller's own time, so that the one writer has less to do.
    pub fn new(node: &str, record: AuditRecord) -> Result<Self, StoreError> {
        let actor_id = match record.actor.id {
            ActorId::User(id) => Some(id.as_uuid()),
            ActorId::Identity(id) => Some(id.as_uuid()),
            ActorId::System => None,
        };
        let prepared = |before: String, after: String| Self {
            before,
            after,
            time: record.time.as_millis(),
            project_id: record.project_id,
            event: record.event.as_str(),
            actor_id,
            object_id: record.object.map(|(_, id)| id),
        };
        let body = AuditBody {
            node: node.to_owned(),
            sequence: 0,
            time: record.time.to_string(),
            project_id: record.project_id,
            actor: record.actor.clone(),
            event: record.event.as_str().to_owned(),
            outcome: record.outcome,
            object: record.object.map(|(kind, id)| AuditObject { kind: kind.to_owned(), id }),
            request_id: record.request_id.clone(),
            details: record.details,
        };
        let refused =
            |what: &dyn std::fmt::Display| StoreError::Backend(format!("an audit entry cannot be written: {what}"));
        let text = serde_json::to_string(&body).map_err(|error| refused(&error))?;
        let name = serde_json::to_string(node).map_err(|error| refused(&error))?;
        let before = format!("{{\"node\":{name},\"sequence\":");
        let after = text.strip_prefix(&before).and_then(|rest| rest.strip_prefix('0'));
        let after = after.ok_or_else(|| refused(&"its body does not start with node and sequence"))?.to_owned();
        Ok(prepared(before, after))
    }
}

/// The end of this node's chain. A clone taken before a group is put back when the group is rolled back.
#[derive(Clone, Debug)]
pub(crate) struct Chain {
    pub node: String,
    /// Of the last entry; 0 before the first.
    pub sequence: i64,
    pub head: [u8; 32],
}

impl Chain {
    /// The statement that appends the entry, and the chain one longer.
    pub fn append(&mut self, record: &PreparedRecord) -> Statement {
        let sequence = self.sequence + 1;
        let body = format!("{}{sequence}{}", record.before, record.after);
        let hash = chained(&self.head, &body);
        let params = params![
            self.node.clone(),
            sequence,
            record.time,
            record.project_id,
            record.event,
            record.actor_id,
            record.object_id,
            body,
            self.head,
            hash
        ];
        self.sequence = sequence;
        self.head = hash;
        Statement::new(
            "INSERT INTO audit (node, sequence, time, project_id, event, actor_id, object_id, body, previous_hash, hash) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
            params,
        )
        .bulk(
            "INSERT INTO audit (node, sequence, time, project_id, event, actor_id, object_id, body, previous_hash, hash) \
             SELECT * FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::bytea[], $5::text[], $6::bytea[], $7::bytea[], \
             $8::text[], $9::bytea[], $10::bytea[])",
        )
    }
}

fn chained(previous: &[u8; 32], body: &str) -> [u8; 32] {
    Sha256::new().chain_update(previous).chain_update(body).finalize().into()
}

/// Whether an entry's hash is that of its body behind its previous hash.
#[must_use]
pub fn entry_hash_holds(entry: &AuditEntry) -> bool {
    chained(&entry.previous_hash, &entry.body) == entry.hash
}

/// Reads the end of a node's chain.
pub(crate) fn last_entry(node: &str) -> Query {
    Query::new(
        "audit",
        "SELECT sequence, hash FROM audit WHERE node = $1 ORDER BY sequence DESC LIMIT 1",
        params![node.to_owned()],
    )
}

/// The chain that [`last_entry`] found.
pub(crate) fn chain_from(node: &str, row: Option<Row>) -> Result<Chain, StoreError> {
    let node = node.to_owned();
    match row {
        None => Ok(Chain { node, sequence: 0, head: [0; 32] }),
        Some(mut row) => Ok(Chain { node, sequence: row.int("sequence")?, head: row.hash("hash")? }),
    }
}

fn from_row(mut row: Row) -> Result<AuditEntry, StoreError> {
    Ok(AuditEntry {
        node: row.text("node")?,
        sequence: row.int("sequence")?,
        time: row.time("time")?,
        project_id: row.opt_id("project_id")?,
        event: row.text("event")?,
        actor_id: row.opt_id("actor_id")?,
        object_id: row.opt_id("object_id")?,
        body: row.text("body")?,
        previous_hash: row.hash("previous_hash")?,
        hash: row.hash("hash")?,
    })
}

const LIST: &str = "audit";
/// How many entries one call looks at, at most.
const WINDOW: i64 = 10_000;

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT node, sequence, time, project_id, event, actor_id, object_id, body, previous_hash, hash FROM audit ",
            $rest
        )
    };
}

impl Reader {
    /// Newest first. One call looks at no more than 10 000 entries, so with a filter that few entries pass a page may be
    /// short or empty while its cursor leads on; only a missing cursor means the end.
    pub async fn audit(
        &self,
        project: ProjectId,
        filter: &AuditFilter,
        cursor: Option<&str>,
        limit: u32,
    ) -> Result<(Vec<AuditEntry>, Option<String>), StoreError> {
        let limit = i64::from(limit.clamp(1, 1_000));
        let start = cursor.map(|text| Cursor::decode(text, LIST, project)).transpose()?;
        let within = within(project, filter, start.as_ref());
        let rest = remaining(filter);
        let floor = if rest.is_empty() { None } else { self.audit_floor(&within).await? };
        let mut sql = Sql::default();
        sql.push(select!("WHERE "));
        sql.append(&within);
        sql.append(&rest);
        if let Some(floor) = &floor {
            sql.push(" AND ");
            place(&mut sql, ">", floor);
        }
        sql.push(" ORDER BY time DESC, node DESC, sequence DESC LIMIT ");
        sql.bind(limit + 1);
        let rows = self.rows(sql.into_query("audit")).await?;
        let mut entries = rows.into_iter().map(from_row).collect::<Result<Vec<_>, _>>()?;
        let page_length = usize::try_from(limit).unwrap_or(usize::MAX);
        let more = entries.len() > page_length;
        entries.truncate(page_length);
        let next = if more { entries.last().map(place_of) } else { floor.map(just_before) };
        Ok((entries, next.map(|place| place.encode(LIST, project))))
    }

    /// The place of the first entry beyond the window, if the list goes on there.
    async fn audit_floor(&self, within: &Sql) -> Result<Option<Cursor>, StoreError> {
        let mut sql = Sql::default();
        sql.push("SELECT time, node, sequence FROM audit WHERE ");
        sql.append(within);
        sql.push(" ORDER BY time DESC, node DESC, sequence DESC LIMIT 1 OFFSET ");
        sql.bind(WINDOW);
        let Some(mut row) = self.row(sql.into_query("audit")).await? else { return Ok(None) };
        let (first, text, second) = (row.int("time")?, row.text("node")?, row.int("sequence")?);
        Ok(Some(Cursor { first, second, text }))
    }

    /// A node's own chain from its first entry after `after_sequence`, in order.
    pub async fn audit_chain(
        &self,
        node: &str,
        after_sequence: i64,
        limit: u32,
    ) -> Result<Vec<AuditEntry>, StoreError> {
        let sql = select!("WHERE node = $1 AND sequence > $2 ORDER BY sequence LIMIT $3");
        let query =
            Query::new("audit", sql, params![node.to_owned(), after_sequence, i64::from(limit.clamp(1, 10_000))]);
        self.rows(query).await?.into_iter().map(from_row).collect()
    }

    /// Every node that has written, with the sequence number of its last entry.
    pub async fn audit_nodes(&self) -> Result<Vec<(String, i64)>, StoreError> {
        let sql =
            "SELECT n.name, (SELECT MAX(a.sequence) FROM audit a WHERE a.node = n.name) FROM node n ORDER BY n.name";
        let rows = self.rows(Query::new("node", sql, Vec::new())).await?;
        let nodes = rows.into_iter().map(|mut row| Ok((row.text("name")?, row.opt_int("sequence")?)));
        nodes.filter_map(|it| it.map(|(name, last)| last.map(|last| (name, last))).transpose()).collect()
    }
}

fn place_of(entry: &AuditEntry) -> Cursor {
    Cursor { first: entry.time.as_millis(), second: entry.sequence, text: entry.node.clone() }
}

/// The place from which a walk continues with the floor itself.
fn just_before(floor: Cursor) -> Cursor {
    Cursor { second: floor.second + 1, ..floor }
}

/// What the index answers: project, times, and the place to go on from.
fn within(project: ProjectId, filter: &AuditFilter, start: Option<&Cursor>) -> Sql {
    let mut sql = Sql::default();
    // An object has few entries and its own index: hide the project's, which would promise the order.
    sql.push(if filter.object.is_some() { "COALESCE(project_id, project_id) = " } else { "project_id = " });
    sql.bind(project);
    for (condition, bound) in [(" AND time >= ", filter.from), (" AND time <= ", filter.to)] {
        if let Some(bound) = bound {
            sql.push(condition);
            sql.bind(bound);
        }
    }
    if let Some(object) = filter.object {
        sql.push(" AND object_id = ");
        sql.bind(object);
    }
    if let Some(start) = start {
        sql.push(" AND ");
        place(&mut sql, "<", start);
    }
    sql
}

/// What each entry must be asked for.
fn remaining(filter: &AuditFilter) -> Sql {
    let mut sql = Sql::default();
    if let Some(actor) = filter.actor {
        sql.push(" AND actor_id = ");
        sql.bind(actor);
    }
    if let Some(event) = filter.event {
        sql.push(" AND event = ");
        sql.bind(event.as_str());
    }
    sql
}

fn place(sql: &mut Sql, comparison: &str, place: &Cursor) {
    sql.push("(time, node, sequence) ");
    sql.push(comparison);
    sql.push(" (");
    sql.bind(place.first);
    sql.push(", ");
    sql.bind(Value::Text(place.text.clone()));
    sql.push(", ");
    sql.bind(place.second);
    sql.push(")");
}

#[cfg(test)]
mod tests {
    use super::*;
    use chancery_model::Timestamp;
    use chancery_model::audit::{Actor, AuditEvent, Outcome};

    #[test]
    fn the_stored_body_is_the_canonical_text() {
        let record = AuditRecord {
            time: Timestamp::from_seconds(1_800_000_000),
            project_id: Some(ProjectId::from_uuid(Uuid::from_u128(1))),
            actor: Actor {
                id: ActorId::System,
                name: "server".to_owned(),
                method: "system".to_owned(),
                ip: String::new(),
            },
            event: AuditEvent::CertificateIssued,
            outcome: Outcome::Success,
            object: Some(("certificate", Uuid::from_u128(2))),
            request_id: "r-1".to_owned(),
            details: serde_json::json!({"sequence": 0, "node": "x"}),
        };
        let mut chain = Chain { node: "no\"de".to_owned(), sequence: 41, head: [7; 32] };
        let statement = chain.append(&PreparedRecord::new("no\"de", record).unwrap());
        let Some(Value::Text(body)) = statement.params.get(7).cloned() else { panic!("no body") };
        let read: AuditBody = serde_json::from_str(&body).unwrap();
        assert_eq!(read.sequence, 42);
        assert_eq!(serde_json::to_string(&read).unwrap(), body);
        assert_eq!(chain.sequence, 42);
        let expected: [u8; 32] = Sha256::digest([&[7u8; 32][..], body.as_bytes()].concat()).into();
        assert_eq!(chain.head, expected);
    }
}
