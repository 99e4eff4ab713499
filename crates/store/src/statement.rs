//! The small language both databases are spoken to in: SQL text with `$1` places, and three kinds of values.
//!
//! A noun's file turns a change into [`Statement`]s and a [`Row`] into the model; it never sees a driver.

use std::borrow::Cow;

use chancery_model::identity::ActorId;
use chancery_model::{
    AccessTokenId, AlertId, ApplicationId, ApplicationMemberId, CaCertificateId, CaId, CertificateId, ChannelId,
    ClientSecretId, ConnectionId, CrlId, IdentityId, KeyId, NotificationId, ProfileId, ProjectId, RequestId,
    SavedViewId, SignInLinkId, TemplateId, Timestamp, UserId,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use uuid::Uuid;

use crate::{Conflict, StoreError};

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Value {
    Null,
    Int(i64),
    Text(String),
    /// Text that needs no allocation.
    Word(&'static str),
    Blob(Vec<u8>),
    /// A 16-byte blob that needs no allocation.
    Uuid(Uuid),
}

/// One statement of a write.
#[derive(Clone, Debug)]
pub(crate) struct Statement {
    pub sql: &'static str,
    pub params: Vec<Value>,
    /// Present: exactly one row must be affected.
    pub guard: Option<Guard>,
    /// PostgreSQL only: the same insert taking one array per parameter, so that a group is one statement per table.
    pub bulk: Option<&'static str>,
    /// PostgreSQL only: another text with the same places, where the languages differ.
    pub postgres: Option<&'static str>,
}

/// What it means when a statement did not affect exactly one row.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Guard {
    pub conflict: Conflict,
    /// Finds the row by the statement's first parameters; no row means [`Conflict::Missing`] in place of `conflict`.
    pub probe: Option<&'static str>,
    /// How many parameters the probe takes.
    pub keys: usize,
}

impl Statement {
    pub fn new(sql: &'static str, params: Vec<Value>) -> Self {
        Self { sql, params, guard: None, bulk: None, postgres: None }
    }

    /// Exactly one row, or this conflict.
    pub fn guarded(mut self, conflict: Conflict) -> Self {
        self.guard = Some(Guard { conflict, probe: None, keys: 0 });
        self
    }

    /// Exactly one row; otherwise `Missing` if `probe` finds nothing under the first parameter, else this conflict.
    pub fn guarded_if(mut self, conflict: Conflict, probe: &'static str) -> Self {
        self.guard = Some(Guard { conflict, probe: Some(probe), keys: 1 });
        self
    }

    /// The same with a probe that takes the first two parameters.
    pub fn guarded_if_pair(mut self, conflict: Conflict, probe: &'static str) -> Self {
        self.guard = Some(Guard { conflict, probe: Some(probe), keys: 2 });
        self
    }

    pub fn on_postgres(mut self, sql: &'static str) -> Self {
        self.postgres = Some(sql);
        self
    }

    pub fn bulk(mut self, sql: &'static str) -> Self {
        self.bulk = Some(sql);
        self
    }
}

/// A read. `table` names the noun in [`StoreError::Inconsistent`].
#[derive(Clone, Debug)]
pub(crate) struct Query {
    pub table: &'static str,
    pub sql: Cow<'static, str>,
    pub params: Vec<Value>,
}

impl Query {
    pub fn new(table: &'static str, sql: impl Into<Cow<'static, str>>, params: Vec<Value>) -> Self {
        Self { table, sql: sql.into(), params }
    }
}

/// A list of [`Value`]s from anything that converts.
macro_rules! params {
    ($($value:expr),* $(,)?) => { vec![$($crate::statement::Value::from($value)),*] };
}
pub(crate) use params;

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}

impl From<u32> for Value {
    fn from(value: u32) -> Self {
        Self::Int(value.into())
    }
}

impl From<u8> for Value {
    fn from(value: u8) -> Self {
        Self::Int(value.into())
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Int(value.into())
    }
}

impl From<Timestamp> for Value {
    fn from(value: Timestamp) -> Self {
        Self::Int(value.as_millis())
    }
}

impl From<String> for Value {
    fn from(value: String) -> Self {
        Self::Text(value)
    }
}

impl From<&'static str> for Value {
    fn from(value: &'static str) -> Self {
        Self::Word(value)
    }
}

impl From<Vec<u8>> for Value {
    fn from(value: Vec<u8>) -> Self {
        Self::Blob(value)
    }
}

impl From<[u8; 32]> for Value {
    fn from(value: [u8; 32]) -> Self {
        Self::Blob(value.to_vec())
    }
}

impl From<Uuid> for Value {
    fn from(value: Uuid) -> Self {
        Self::Uuid(value)
    }
}

impl<T: Into<Self>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

macro_rules! id_values {
    ($($id:ident),+) => {$(
        impl From<$id> for Value {
            fn from(id: $id) -> Self {
                Self::Uuid(id.as_uuid())
            }
        }
    )+};
}

id_values!(
    AccessTokenId,
    AlertId,
    ApplicationId,
    ApplicationMemberId,
    CaCertificateId,
    CaId,
    CertificateId,
    ChannelId,
    ClientSecretId,
    ConnectionId,
    CrlId,
    IdentityId,
    KeyId,
    NotificationId,
    ProfileId,
    ProjectId,
    RequestId,
    SavedViewId,
    SignInLinkId,
    TemplateId,
    UserId
);

/// A document as JSON text. The model's documents are plain data, so this fails only when the model is wrong.
pub(crate) fn json(document: &impl Serialize) -> Result<Value, StoreError> {
    serde_json::to_string(document)
        .map(Value::Text)
        .map_err(|error| StoreError::Backend(format!("a document cannot be written as JSON: {error}")))
}

/// Key and value pairs; NULL when there are none, which is the usual case.
pub(crate) fn pairs(pairs: &[(String, String)]) -> Result<Value, StoreError> {
    if pairs.is_empty() { Ok(Value::Null) } else { json(&pairs) }
}

/// An actor as its two columns: 0 the server itself, 1 a person, 2 a machine identity; and the id.
pub(crate) fn actor_columns(actor: ActorId) -> (Value, Value) {
    match actor {
        ActorId::System => (Value::Int(0), Value::Null),
        ActorId::User(id) => (Value::Int(1), id.into()),
        ActorId::Identity(id) => (Value::Int(2), id.into()),
    }
}

/// A row on its way into the model: the values in column order, taken one by one.
#[derive(Debug)]
pub(crate) struct Row {
    table: &'static str,
    values: std::vec::IntoIter<Value>,
    id: Option<Uuid>,
}

impl Row {
    pub fn new(table: &'static str, values: Vec<Value>) -> Self {
        Self { table, values: values.into_iter(), id: None }
    }

    /// The error for a column whose value does not fit.
    pub fn inconsistent(&self, column: &'static str) -> StoreError {
        let id = self.id.map_or_else(|| "without id".to_owned(), |id| id.to_string());
        StoreError::Inconsistent { table: self.table, column, id }
    }

    fn fit<T>(&self, column: &'static str, value: Option<T>) -> Result<T, StoreError> {
        value.ok_or_else(|| self.inconsistent(column))
    }

    pub fn opt_int(&mut self, column: &'static str) -> Result<Option<i64>, StoreError> {
        match self.values.next() {
            Some(Value::Null) => Ok(None),
            Some(Value::Int(value)) => Ok(Some(value)),
            _ => Err(self.inconsistent(column)),
        }
    }

    pub fn int(&mut self, column: &'static str) -> Result<i64, StoreError> {
        let value = self.opt_int(column)?;
        self.fit(column, value)
    }

    /// A number of a smaller type.
    pub fn small<T: TryFrom<i64>>(&mut self, column: &'static str) -> Result<T, StoreError> {
        let value = self.int(column)?;
        self.fit(column, T::try_from(value).ok())
    }

    pub fn opt_small<T: TryFrom<i64>>(&mut self, column: &'static str) -> Result<Option<T>, StoreError> {
        self.opt_int(column)?.map(|value| self.fit(column, T::try_from(value).ok())).transpose()
    }

    pub fn flag(&mut self, column: &'static str) -> Result<bool, StoreError> {
        match self.int(column)? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(self.inconsistent(column)),
        }
    }

    pub fn opt_time(&mut self, column: &'static str) -> Result<Option<Timestamp>, StoreError> {
        Ok(self.opt_int(column)?.map(Timestamp::from_millis))
    }

    pub fn time(&mut self, column: &'static str) -> Result<Timestamp, StoreError> {
        Ok(Timestamp::from_millis(self.int(column)?))
    }

    pub fn opt_text(&mut self, column: &'static str) -> Result<Option<String>, StoreError> {
        match self.values.next() {
            Some(Value::Null) => Ok(None),
            Some(Value::Text(value)) => Ok(Some(value)),
            _ => Err(self.inconsistent(column)),
        }
    }

    pub fn text(&mut self, column: &'static str) -> Result<String, StoreError> {
        let value = self.opt_text(column)?;
        self.fit(column, value)
    }

    /// Text that stands for one of a closed set.
    pub fn word<T>(&mut self, column: &'static str, parse: impl FnOnce(&str) -> Option<T>) -> Result<T, StoreError> {
        let text = self.text(column)?;
        self.fit(column, parse(&text))
    }

    pub fn opt_blob(&mut self, column: &'static str) -> Result<Option<Vec<u8>>, StoreError> {
        match self.values.next() {
            Some(Value::Null) => Ok(None),
            Some(Value::Blob(value)) => Ok(Some(value)),
            _ => Err(self.inconsistent(column)),
        }
    }

    pub fn blob(&mut self, column: &'static str) -> Result<Vec<u8>, StoreError> {
        let value = self.opt_blob(column)?;
        self.fit(column, value)
    }

    pub fn opt_hash(&mut self, column: &'static str) -> Result<Option<[u8; 32]>, StoreError> {
        self.opt_blob(column)?.map(|bytes| self.fit(column, bytes.try_into().ok())).transpose()
    }

    pub fn hash(&mut self, column: &'static str) -> Result<[u8; 32], StoreError> {
        let value = self.opt_hash(column)?;
        self.fit(column, value)
    }

    pub fn opt_id<T: From<Uuid>>(&mut self, column: &'static str) -> Result<Option<T>, StoreError> {
        let Some(bytes) = self.opt_blob(column)? else { return Ok(None) };
        let id = self.fit(column, Uuid::from_slice(&bytes).ok())?;
        // The first id of a row is its own in every table that has one.
        self.id.get_or_insert(id);
        Ok(Some(id.into()))
    }

    pub fn id<T: From<Uuid>>(&mut self, column: &'static str) -> Result<T, StoreError> {
        let value = self.opt_id(column)?;
        self.fit(column, value)
    }

    pub fn opt_json<T: DeserializeOwned>(&mut self, column: &'static str) -> Result<Option<T>, StoreError> {
        self.opt_text(column)?.map(|text| self.fit(column, serde_json::from_str(&text).ok())).transpose()
    }

    pub fn json<T: DeserializeOwned>(&mut self, column: &'static str) -> Result<T, StoreError> {
        let value = self.opt_json(column)?;
        self.fit(column, value)
    }

    pub fn pairs(&mut self, column: &'static str) -> Result<Vec<(String, String)>, StoreError> {
        Ok(self.opt_json(column)?.unwrap_or_default())
    }

    /// The two columns of [`actor_columns`].
    pub fn actor(&mut self, column: &'static str) -> Result<ActorId, StoreError> {
        let kind = self.int(column)?;
        let id = self.opt_blob(column)?.map(|bytes| self.fit(column, Uuid::from_slice(&bytes).ok())).transpose()?;
        match (kind, id) {
            (0, None) => Ok(ActorId::System),
            (1, Some(id)) => Ok(ActorId::User(id.into())),
            (2, Some(id)) => Ok(ActorId::Identity(id.into())),
            _ => Err(self.inconsistent(column)),
        }
    }
}
