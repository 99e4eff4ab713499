//! People who sign in.

use chancery_model::identity::User;
use chancery_model::permission::Role;
use chancery_model::{ProjectId, UserId};

use crate::reader::Reader;
use crate::statement::{Query, Row, Statement, params};
use crate::{Conflict, StoreError};

pub(crate) fn insert(it: User) -> Statement {
    Statement::new(
        "INSERT INTO users (id, email, password_hash, project_id, role, failed_logins, locked_until, created_at, updated_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        params![
            it.id,
            it.email,
            it.password_hash,
            it.project_id,
            it.role.as_str(),
            it.failed_logins,
            it.locked_until,
            it.created_at,
            it.updated_at
        ],
    )
}

pub(crate) fn update(it: User) -> Statement {
    Statement::new(
        "UPDATE users SET email = $2, password_hash = $3, role = $4, failed_logins = $5, locked_until = $6, updated_at = $7 \
         WHERE id = $1",
        params![it.id, it.email, it.password_hash, it.role.as_str(), it.failed_logins, it.locked_until, it.updated_at],
    )
    .guarded(Conflict::Missing)
}

fn from_row(mut row: Row) -> Result<User, StoreError> {
    Ok(User {
        id: row.id("id")?,
        email: row.text("email")?,
        password_hash: row.text("password_hash")?,
        project_id: row.id("project_id")?,
        role: row.word("role", Role::from_name)?,
        failed_logins: row.small("failed_logins")?,
        locked_until: row.opt_time("locked_until")?,
        created_at: row.time("created_at")?,
        updated_at: row.time("updated_at")?,
    })
}

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT id, email, password_hash, project_id, role, failed_logins, locked_until, created_at, updated_at FROM users ",
            $rest
        )
    };
}

impl Reader {
    pub async fn user(&self, id: UserId) -> Result<Option<User>, StoreError> {
        self.point(Query::new("user", select!("WHERE id = $1"), params![id])).await?.map(from_row).transpose()
    }

    /// All of a project, by e-mail address.
    pub async fn users(&self, project: ProjectId) -> Result<Vec<User>, StoreError> {
        let query = Query::new("user", select!("WHERE project_id = $1 ORDER BY email"), params![project]);
        self.rows(query).await?.into_iter().map(from_row).collect()
    }

    /// E-mail addresses are stored in lower case; give it so.
    pub async fn user_by_email(&self, email: &str) -> Result<Option<User>, StoreError> {
        let query = Query::new("user", select!("WHERE email = $1"), params![email.to_owned()]);
        self.point(query).await?.map(from_row).transpose()
    }
}
