//! Machine identities and their client secrets.

use chancery_model::identity::{ActorId, ClientSecret, Identity, UniversalAuth};
use chancery_model::page::{Page, PageRequest};
use chancery_model::permission::Role;
use chancery_model::{ClientSecretId, IdentityId, ProjectId, Timestamp};
use uuid::Uuid;

use crate::change::Effects;
use crate::page::SmallList;
use crate::reader::Reader;
use crate::statement::{Query, Row, Statement, Value, json, pairs, params};
use crate::{Conflict, StoreError};

pub(crate) fn insert(it: Identity) -> Result<Statement, StoreError> {
    let (client_id, universal_auth) = universal_auth_columns(it.universal_auth.as_ref())?;
    Ok(Statement::new(
        "INSERT INTO identity (id, project_id, name, role, has_delete_protection, metadata, client_id, universal_auth, created_at, \
         updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        params![
            it.id,
            it.project_id,
            it.name,
            it.role.as_str(),
            it.has_delete_protection,
            pairs(&it.metadata)?,
            client_id,
            universal_auth,
            it.created_at,
            it.updated_at
        ],
    ))
}

pub(crate) fn update(it: Identity) -> Result<Statement, StoreError> {
    let (client_id, universal_auth) = universal_auth_columns(it.universal_auth.as_ref())?;
    let statement = Statement::new(
        "UPDATE identity SET name = $2, role = $3, has_delete_protection = $4, metadata = $5, client_id = $6, universal_auth = $7, \
         updated_at = $8 WHERE id = $1",
        params![
            it.id,
            it.name,
            it.role.as_str(),
            it.has_delete_protection,
            pairs(&it.metadata)?,
            client_id,
            universal_auth,
            it.updated_at
        ],
    );
    Ok(statement.guarded(Conflict::Missing))
}

fn universal_auth_columns(it: Option<&UniversalAuth>) -> Result<(Value, Value), StoreError> {
    it.map_or(Ok((Value::Null, Value::Null)), |auth| Ok((auth.client_id.into(), json(auth)?)))
}

/// Client secrets go with it by reference.
pub(crate) fn delete(effects: &mut Effects, id: IdentityId) {
    effects.configure(Statement::new("DELETE FROM identity WHERE id = $1", params![id]).guarded(Conflict::Missing));
    effects.push(crate::token::delete_of(ActorId::Identity(id)));
    effects.push(crate::application::forget_actor(ActorId::Identity(id)));
}

pub(crate) fn insert_secret(it: ClientSecret) -> Statement {
    Statement::new(
        "INSERT INTO client_secret (id, identity_id, project_id, description, prefix, hash, uses_max, uses, expires_at, revoked_at, \
         created_at, updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
        params![
            it.id,
            it.identity_id,
            it.project_id,
            it.description,
            it.prefix,
            it.hash,
            it.uses_max,
            it.uses,
            it.expires_at,
            it.revoked_at,
            it.created_at,
            it.updated_at
        ],
    )
}

const SECRET_EXISTS: &str = "SELECT 1 FROM client_secret WHERE id = $1";

pub(crate) fn use_secret(id: ClientSecretId, now: Timestamp) -> Statement {
    Statement::new(
        "UPDATE client_secret SET uses = uses + 1, updated_at = $2 WHERE id = $1 AND revoked_at IS NULL \
         AND (uses_max = 0 OR uses < uses_max) AND (expires_at IS NULL OR expires_at > $2)",
        params![id, now],
    )
    .guarded_if(Conflict::SecretSpent, SECRET_EXISTS)
}

pub(crate) fn revoke_secret(id: ClientSecretId, at: Timestamp) -> Statement {
    Statement::new(
        "UPDATE client_secret SET revoked_at = COALESCE(revoked_at, $2), updated_at = $2 WHERE id = $1",
        params![id, at],
    )
    .guarded(Conflict::Missing)
}

fn from_row(mut row: Row) -> Result<Identity, StoreError> {
    Ok(Identity {
        id: row.id("id")?,
        project_id: row.id("project_id")?,
        name: row.text("name")?,
        role: row.word("role", Role::from_name)?,
        has_delete_protection: row.flag("has_delete_protection")?,
        metadata: row.pairs("metadata")?,
        universal_auth: row.opt_json("universal_auth")?,
        created_at: row.time("created_at")?,
        updated_at: row.time("updated_at")?,
    })
}

fn secret_from_row(mut row: Row) -> Result<ClientSecret, StoreError> {
    Ok(ClientSecret {
        id: row.id("id")?,
        identity_id: row.id("identity_id")?,
        project_id: row.id("project_id")?,
        description: row.text("description")?,
        prefix: row.text("prefix")?,
        hash: row.hash("hash")?,
        uses_max: row.small("uses_max")?,
        uses: row.small("uses")?,
        expires_at: row.opt_time("expires_at")?,
        revoked_at: row.opt_time("revoked_at")?,
        created_at: row.time("created_at")?,
        updated_at: row.time("updated_at")?,
    })
}

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT id, project_id, name, role, has_delete_protection, metadata, universal_auth, created_at, updated_at FROM identity ",
            $rest
        )
    };
}

macro_rules! select_secret {
    ($rest:literal) => {
        concat!(
            "SELECT id, identity_id, project_id, description, prefix, hash, uses_max, uses, expires_at, revoked_at, created_at, ",
            "updated_at FROM client_secret ",
            $rest
        )
    };
}

impl Reader {
    pub async fn identity(&self, project: ProjectId, id: IdentityId) -> Result<Option<Identity>, StoreError> {
        let query = Query::new("identity", select!("WHERE id = $1 AND project_id = $2"), params![id, project]);
        self.point(query).await?.map(from_row).transpose()
    }

    /// Of any project: who logs in says only the client id.
    pub async fn identity_by_client_id(&self, client_id: Uuid) -> Result<Option<Identity>, StoreError> {
        let query = Query::new("identity", select!("WHERE client_id = $1"), params![client_id]);
        self.point(query).await?.map(from_row).transpose()
    }

    /// Newest first.
    pub async fn identities(&self, project: ProjectId, page: &PageRequest) -> Result<Page<Identity>, StoreError> {
        let mut list = SmallList::new("identity", select!(""), project);
        list.condition.push("project_id = ");
        list.condition.bind(project);
        self.small_page(list, page, from_row, |it| (it.created_at, it.id.as_uuid())).await
    }

    pub async fn client_secret(&self, id: ClientSecretId) -> Result<Option<ClientSecret>, StoreError> {
        let query = Query::new("client_secret", select_secret!("WHERE id = $1"), params![id]);
        self.point(query).await?.map(secret_from_row).transpose()
    }

    pub async fn client_secret_by_hash(
        &self,
        identity: IdentityId,
        hash: &[u8; 32],
    ) -> Result<Option<ClientSecret>, StoreError> {
        let query = Query::new(
            "client_secret",
            select_secret!("WHERE identity_id = $1 AND hash = $2"),
            params![identity, *hash],
        );
        self.point(query).await?.map(secret_from_row).transpose()
    }

    /// All of one identity, oldest first, revoked ones included.
    pub async fn client_secrets(&self, identity: IdentityId) -> Result<Vec<ClientSecret>, StoreError> {
        let query = Query::new(
            "client_secret",
            select_secret!("WHERE identity_id = $1 ORDER BY created_at, id"),
            params![identity],
        );
        self.rows(query).await?.into_iter().map(secret_from_row).collect()
    }
}
