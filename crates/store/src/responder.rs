//! Who signs OCSP answers.

use chancery_model::KeyId;
use chancery_model::ocsp::OcspResponder;

use crate::StoreError;
use crate::reader::Reader;
use crate::statement::{Query, Row, Statement, params};

pub(crate) fn set(it: OcspResponder) -> Statement {
    Statement::new(
        "INSERT INTO ocsp_responder (ca_key_id, project_id, ca_id, key_id, der, not_before, not_after) \
         VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (ca_key_id) DO UPDATE SET key_id = excluded.key_id, der = excluded.der, not_before = excluded.not_before, not_after = excluded.not_after",
        params![it.ca_key_id, it.project_id, it.ca_id, it.key_id, it.der, it.not_before, it.not_after],
    )
}

fn from_row(mut row: Row) -> Result<OcspResponder, StoreError> {
    Ok(OcspResponder {
        ca_key_id: row.id("ca_key_id")?,
        project_id: row.id("project_id")?,
        ca_id: row.id("ca_id")?,
        key_id: row.id("key_id")?,
        der: row.blob("der")?,
        not_before: row.time("not_before")?,
        not_after: row.time("not_after")?,
    })
}

macro_rules! select {
    ($rest:literal) => {
        concat!("SELECT ca_key_id, project_id, ca_id, key_id, der, not_before, not_after FROM ocsp_responder ", $rest)
    };
}

impl Reader {
    /// Of any project: OCSP is public.
    pub async fn responder(&self, ca_key: KeyId) -> Result<Option<OcspResponder>, StoreError> {
        let query = Query::new("ocsp_responder", select!("WHERE ca_key_id = $1"), params![ca_key]);
        self.point(query).await?.map(from_row).transpose()
    }

    /// All there are: one for each CA key.
    pub async fn responders(&self) -> Result<Vec<OcspResponder>, StoreError> {
        let query = Query::new("ocsp_responder", select!("ORDER BY ca_key_id"), Vec::new());
        self.rows(query).await?.into_iter().map(from_row).collect()
    }
}
