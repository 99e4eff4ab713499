//! Certificate revocation lists: which there are, their bytes, and the entries they are made of.
//!
//! Entries are kept encoded and in the order of the list, so that a CRL is made by joining them: see
//! [`Reader::crl_entries`]. No project scope here, because CRLs are public.

use chancery_model::certificate::Revocation;
use chancery_model::crl::{Crl, CrlEntry, PublishedCrl};
use chancery_model::job::JobKind;
use chancery_model::{CaCertificateId, CaId, CrlId, KeyId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::certificate::revocation;
use crate::change::Effects;
use crate::number::Numbering;
use crate::page::Sql;
use crate::reader::Reader;
use crate::statement::{Query, Row, Statement, Value, json, params};
use crate::{Conflict, StoreError};

/// A CRL that was made, and what its making allows to forget.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CrlPublication {
    /// The state after it.
    pub crl: Crl,
    /// The number that was stored when the making began.
    pub expected_number: i64,
    /// Absent: the stored one stays, while `crl.complete` says that there is one.
    pub complete_der: Option<Vec<u8>>,
    /// The same for the delta CRL.
    pub delta_der: Option<Vec<u8>>,
    /// Entries of certificates that ended before this are deleted.
    pub drop_ended_before: Timestamp,
    /// Entries released before this are deleted.
    pub drop_released_before: Timestamp,
}

/// All entries of a CRL, joined.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CrlEntries {
    /// The content octets of `revokedCertificates` (RFC 5280 §5.1.2.6), in the order of partition and serial number.
    pub der: Vec<u8>,
    pub count: u64,
}

/// What has happened to one entry since some time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CrlChange {
    pub serial: Vec<u8>,
    pub der: Vec<u8>,
    /// Taken off the list again; else put on it, or changed.
    pub released: bool,
    pub at: Timestamp,
}

/// What is known of a serial number that an issuer has used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SerialStatus {
    /// The issuer's certificate that signed it; absent where that was never recorded.
    pub ca_certificate_id: Option<CaCertificateId>,
    pub revocation: Option<Revocation>,
}

const COMPLETE: i64 = 0;
const DELTA: i64 = 1;

/// [`PublishedCrl`] as a document.
#[derive(Serialize, Deserialize)]
struct Published {
    number: i64,
    this_update: i64,
    next_update: i64,
    entries: u64,
    size: u64,
}

impl From<PublishedCrl> for Published {
    fn from(it: PublishedCrl) -> Self {
        Self {
            number: it.number,
            this_update: it.this_update.as_millis(),
            next_update: it.next_update.as_millis(),
            entries: it.entries,
            size: it.size,
        }
    }
}

impl From<Published> for PublishedCrl {
    fn from(it: Published) -> Self {
        Self {
            number: it.number,
            this_update: Timestamp::from_millis(it.this_update),
            next_update: Timestamp::from_millis(it.next_update),
            entries: it.entries,
            size: it.size,
        }
    }
}

fn published(it: Option<PublishedCrl>) -> Result<Value, StoreError> {
    it.map_or(Ok(Value::Null), |it| json(&Published::from(it)))
}

/// Two nodes may make it at the same time; the first one counts, and only that one gets a job.
pub(crate) fn insert(effects: &mut Effects, it: &Crl, numbering: &Numbering) -> Result<(), StoreError> {
    effects.configure(Statement::new(
        "INSERT INTO crl (id, project_id, ca_id, key_id, partition, number, base_number, base_this_update, previous_base, complete, \
         delta, created_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) ON CONFLICT (key_id, partition) DO NOTHING",
        params![
            it.id,
            it.project_id,
            it.ca_id,
            it.key_id,
            it.partition,
            it.number,
            it.base_number,
            it.base_this_update,
            it.previous_base,
            published(it.complete)?,
            published(it.delta)?,
            it.created_at
        ],
    ));
    effects.push(Statement::new(
        "INSERT INTO job (kind, object, project_id, due_at, deadline, attempts, token) \
         SELECT $2, crl.id, crl.project_id, crl.created_at, crl.created_at, 0, $3 FROM crl WHERE crl.id = $1 \
         ON CONFLICT (kind, object) DO NOTHING",
        params![it.id, JobKind::PublishCrl.number(), numbering.first_token()],
    ));
    Ok(())
}

pub(crate) fn publish(effects: &mut Effects, it: CrlPublication) -> Result<(), StoreError> {
    let CrlPublication { crl, expected_number, complete_der, delta_der, drop_ended_before, drop_released_before } = it;
    effects.push(
        Statement::new(
            "UPDATE crl SET number = $2, base_number = $3, base_this_update = $4, previous_base = $5, complete = $6, delta = $7 \
             WHERE id = $1 AND number = $8",
            params![
                crl.id,
                crl.number,
                crl.base_number,
                crl.base_this_update,
                crl.previous_base,
                published(crl.complete)?,
                published(crl.delta)?,
                expected_number
            ],
        )
        .guarded_if(Conflict::Stale, "SELECT 1 FROM crl WHERE id = $1"),
    );
    for (part, state, der) in [(COMPLETE, crl.complete, complete_der), (DELTA, crl.delta, delta_der)] {
        match (state, der) {
            (Some(state), Some(der)) => effects.push(Statement::new(
                "INSERT INTO crl_body (crl_id, part, number, der) VALUES ($1, $2, $3, $4) \
                 ON CONFLICT (crl_id, part) DO UPDATE SET number = excluded.number, der = excluded.der",
                params![crl.id, part, state.number, der],
            )),
            (Some(_), None) => {}
            (None, _) => effects
                .push(Statement::new("DELETE FROM crl_body WHERE crl_id = $1 AND part = $2", params![crl.id, part])),
        }
    }
    // The complete CRL speaks for every partition; that of a partition for itself. The signs leave the search to the
    // indexes by time.
    let (lowest, highest) = if crl.partition == 0 { (0, u32::MAX) } else { (crl.partition, crl.partition) };
    effects.push(Statement::new(
        "DELETE FROM crl_entry WHERE key_id = $1 AND not_after < $2 AND +partition >= $3 AND +partition <= $4",
        params![crl.key_id, drop_ended_before, lowest, highest],
    ));
    effects.push(Statement::new(
        "DELETE FROM crl_entry WHERE key_id = $1 AND released_at < $2 AND +partition >= $3 AND +partition <= $4",
        params![crl.key_id, drop_released_before, lowest, highest],
    ));
    Ok(())
}

/// Puts an entry on the list, or back on it.
pub(crate) fn set_entry(it: CrlEntry) -> Statement {
    Statement::new(
        "INSERT INTO crl_entry (key_id, partition, serial, der, reason, not_after, recorded_at) VALUES ($1, $2, $3, $4, $5, $6, $7) \
         ON CONFLICT (key_id, partition, serial) DO UPDATE SET der = excluded.der, reason = excluded.reason, \
         not_after = excluded.not_after, recorded_at = excluded.recorded_at, released_at = NULL",
        params![it.key_id, it.partition, it.serial, it.der, it.reason.code(), it.not_after, it.recorded_at],
    )
}

fn from_row(mut row: Row) -> Result<Crl, StoreError> {
    let id = row.id("id")?;
    let mut crl = Crl {
        id,
        project_id: row.id("project_id")?,
        ca_id: row.id("ca_id")?,
        key_id: row.id("key_id")?,
        partition: row.small("partition")?,
        number: row.int("number")?,
        base_number: row.int("base_number")?,
        base_this_update: row.opt_time("base_this_update")?,
        previous_base: row.opt_time("previous_base")?,
        complete: None,
        delta: None,
        created_at: row.time("created_at")?,
    };
    crl.complete = row.opt_json::<Published>("complete")?.map(PublishedCrl::from);
    crl.delta = row.opt_json::<Published>("delta")?.map(PublishedCrl::from);
    Ok(crl)
}

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT id, project_id, ca_id, key_id, partition, number, base_number, base_this_update, previous_base, created_at, ",
            "complete, delta FROM crl ",
            $rest
        )
    };
}

impl Reader {
    pub async fn crl(&self, id: CrlId) -> Result<Option<Crl>, StoreError> {
        self.point(Query::new("crl", select!("WHERE id = $1"), params![id])).await?.map(from_row).transpose()
    }

    /// Of all keys that the CA has had, oldest first, the complete one before its partitions.
    pub async fn crls_of(&self, ca: CaId) -> Result<Vec<Crl>, StoreError> {
        self.crls(Query::new("crl", select!("WHERE ca_id = $1 ORDER BY key_id, partition"), params![ca])).await
    }

    pub async fn crls_of_key(&self, key: KeyId) -> Result<Vec<Crl>, StoreError> {
        self.crls(Query::new("crl", select!("WHERE key_id = $1 ORDER BY partition"), params![key])).await
    }

    pub async fn all_crls(&self) -> Result<Vec<Crl>, StoreError> {
        self.crls(Query::new("crl", select!("ORDER BY ca_id, key_id, partition"), Vec::new())).await
    }

    async fn crls(&self, query: Query) -> Result<Vec<Crl>, StoreError> {
        self.rows(query).await?.into_iter().map(from_row).collect()
    }

    /// The CRL number and DER of the complete CRL, or of the delta CRL; `None` before the first one.
    pub async fn crl_body(&self, id: CrlId, delta: bool) -> Result<Option<(i64, Vec<u8>)>, StoreError> {
        let part = if delta { DELTA } else { COMPLETE };
        let query = Query::new(
            "crl_body",
            "SELECT number, der FROM crl_body WHERE crl_id = $1 AND part = $2",
            params![id, part],
        );
        // The body may be many megabytes, so not as a point.
        self.row(query).await?.map(|mut row| Ok((row.int("number")?, row.blob("der")?))).transpose()
    }

    /// Everything that is on the list: of one partition or of all, without what was released and what ended before
    /// `keep_from`. The entries run through without being held one by one.
    pub async fn crl_entries(
        &self,
        key: KeyId,
        partition: Option<u32>,
        keep_from: Timestamp,
    ) -> Result<CrlEntries, StoreError> {
        let mut sql = Sql::default();
        sql.push("SELECT der FROM crl_entry WHERE key_id = ");
        sql.bind(key);
        of_partition(&mut sql, partition);
        sql.push(" AND released_at IS NULL AND +not_after >= ");
        sql.bind(keep_from);
        sql.push(" ORDER BY partition, serial");
        let (der, count) = self.joined(sql.into_query("crl_entry")).await?;
        Ok(CrlEntries { der, count })
    }

    /// What was recorded at `since` or later, in the order of [`Self::crl_entries`], without what ended before `keep_from`.
    pub async fn crl_changes(
        &self,
        key: KeyId,
        partition: Option<u32>,
        since: Timestamp,
        keep_from: Timestamp,
    ) -> Result<Vec<CrlChange>, StoreError> {
        let mut sql = Sql::default();
        sql.push("SELECT partition, serial, der, released_at, recorded_at FROM crl_entry WHERE key_id = ");
        sql.bind(key);
        // The signs leave the search to the index by time of recording: the other entries may be a million.
        if let Some(partition) = partition {
            sql.push(" AND +partition = ");
            sql.bind(partition);
        }
        sql.push(" AND recorded_at >= ");
        sql.bind(since);
        sql.push(" AND +not_after >= ");
        sql.bind(keep_from);
        let rows = self.rows(sql.into_query("crl_entry")).await?;
        let mut changes = rows.into_iter().map(change_from_row).collect::<Result<Vec<_>, _>>()?;
        changes.sort_by(|(one, first), (other, second)| (one, &first.serial).cmp(&(other, &second.serial)));
        Ok(changes.into_iter().map(|(_, change)| change).collect())
    }

    /// What OCSP says of a serial number (content octets): of a certificate, a deleted one too, or of a CA certificate
    /// that the CA has signed. `None`: the CA has not issued it, or has forgotten it after its end.
    pub async fn serial_status(&self, ca: CaId, serial: &[u8]) -> Result<Option<SerialStatus>, StoreError> {
        let leaf = self.point(Query::new("certificate", LEAF_STATUS, params![serial.to_vec(), ca])).await?;
        let leaf = leaf.map(status_from_row).transpose()?;
        if leaf.is_some_and(|it| it.revocation.is_some()) {
            return Ok(leaf);
        }
        // A certificate signed for a CA here may stand in both places, and be revoked in either.
        let below = self.point(Query::new("ca_certificate", CA_STATUS, params![serial.to_vec(), ca])).await?;
        let below = below.map(status_from_row).transpose()?;
        Ok(below.filter(|it| it.revocation.is_some() || leaf.is_none()).or(leaf))
    }
}

/// With its partition.
fn change_from_row(mut row: Row) -> Result<(i64, CrlChange), StoreError> {
    let partition = row.int("partition")?;
    let change = CrlChange {
        serial: row.blob("serial")?,
        der: row.blob("der")?,
        released: row.opt_time("released_at")?.is_some(),
        at: row.time("recorded_at")?,
    };
    Ok((partition, change))
}

fn of_partition(sql: &mut Sql, partition: Option<u32>) {
    if let Some(partition) = partition {
        sql.push(" AND partition = ");
        sql.bind(partition);
    }
}

/// The project of the CA leads to the row on PostgreSQL, whose key starts with it. A CA may be gone; its certificates stay.
const LEAF_STATUS: &str = "SELECT c.ca_certificate_id, c.revoked_at, c.revocation_reason FROM serial_number s \
     JOIN certificate c ON c.n = s.n WHERE s.serial = $1 AND s.issuer = $2 AND c.project IN (\
     SELECT p.number FROM project p WHERE p.id = (SELECT a.project_id FROM ca_certificate a WHERE a.ca_id = $2 LIMIT 1) \
     UNION ALL SELECT -p.number FROM project p WHERE p.id = (SELECT a.project_id FROM ca_certificate a WHERE a.ca_id = $2 LIMIT 1))";

/// A root has signed itself.
const CA_STATUS: &str = "SELECT CASE WHEN a.parent_ca_id IS NULL THEN a.id ELSE a.parent_certificate_id END, a.revoked_at, \
     a.revocation_reason FROM ca_certificate a WHERE a.serial = $1 \
     AND (a.parent_ca_id = $2 OR (a.ca_id = $2 AND a.parent_ca_id IS NULL AND LENGTH(a.chain) = 0)) \
     ORDER BY a.revoked_at IS NULL, a.id LIMIT 1";

fn status_from_row(mut row: Row) -> Result<SerialStatus, StoreError> {
    let ca_certificate_id = row.opt_id("ca_certificate_id")?;
    Ok(SerialStatus { ca_certificate_id, revocation: revocation(&mut row)? })
}
