//! People who sign in. The links they sign in with once are in `sign_in_link`.
//!
//! A change names the columns it writes and no others: a failure that is counted on one node must not undo the new
//! password that another node has just taken.

use chancery_model::identity::{ActorId, SealedTotp, SignInLinkRecord, User};
use chancery_model::permission::Role;
use chancery_model::{ProjectId, SignInLinkId, Timestamp, UserId};

use crate::change::Effects;
use crate::reader::Reader;
use crate::statement::{Query, Row, Statement, params};
use crate::{Conflict, StoreError, application, sign_in_link, token};

/// One change of a person who is there; `Missing` otherwise.
#[derive(Clone)]
pub enum UserChange {
    SetRole {
        id: UserId,
        role: Role,
        at: Timestamp,
    },
    /// Ends a lock as well. An empty hash: no password. `Stale` unless the hash before is `expected`, where that is given.
    SetPassword {
        id: UserId,
        password_hash: String,
        expected: Option<String>,
        at: Timestamp,
    },
    SetLockout {
        id: UserId,
        failed_logins: u32,
        locked_until: Option<Timestamp>,
        at: Timestamp,
    },
    /// `Stale` where a second factor is in force already and another is given.
    SetTotp {
        id: UserId,
        totp: Option<SealedTotp>,
        at: Timestamp,
    },
    /// `Stale` unless the step is later than every one that was used.
    UseTotpStep {
        id: UserId,
        step: i64,
    },
    /// With sessions, links and memberships.
    Delete(UserId),
    /// In place of an earlier link of the same person.
    SetLink(SignInLinkRecord),
    /// `Missing` if the link was used, was replaced or has expired.
    UseLink {
        id: SignInLinkId,
        now: Timestamp,
    },
    /// No link is fine.
    DropLink(UserId),
}

impl UserChange {
    /// Whether it touches what a session in memory says.
    pub(crate) const fn is_access(&self) -> bool {
        matches!(self, Self::SetRole { .. } | Self::SetPassword { .. } | Self::SetTotp { .. } | Self::Delete(_))
    }
}

const EXISTS: &str = "SELECT 1 FROM users WHERE id = $1";

pub(crate) fn change(effects: &mut Effects, change: UserChange) {
    match change {
        UserChange::SetRole { id, role, at } => effects.configure(
            Statement::new("UPDATE users SET role = $2, updated_at = $3 WHERE id = $1", params![id, role.as_str(), at])
                .guarded(Conflict::Missing),
        ),
        UserChange::SetPassword { id, password_hash, expected, at } => effects.configure(
            Statement::new(
                "UPDATE users SET password_hash = $2, failed_logins = 0, locked_until = NULL, updated_at = $3 \
                 WHERE id = $1 AND password_hash = COALESCE($4, password_hash)",
                params![id, password_hash, at, expected],
            )
            .guarded_if(Conflict::Stale, EXISTS),
        ),
        UserChange::SetLockout { id, failed_logins, locked_until, at } => effects.push(
            Statement::new(
                "UPDATE users SET failed_logins = $2, locked_until = $3, updated_at = $4 WHERE id = $1",
                params![id, failed_logins, locked_until, at],
            )
            .guarded(Conflict::Missing),
        ),
        UserChange::SetTotp { id, totp, at } => effects.configure(set_totp(id, totp, at)),
        UserChange::UseTotpStep { id, step } => effects.push(
            Statement::new(
                "UPDATE users SET totp_last_step = $2 WHERE id = $1 AND totp_last_step < $2",
                params![id, step],
            )
            .guarded_if(Conflict::Stale, EXISTS),
        ),
        UserChange::Delete(id) => delete(effects, id),
        UserChange::SetLink(it) => sign_in_link::set(effects, it),
        UserChange::UseLink { id, now } => effects.push(sign_in_link::use_once(id, now)),
        UserChange::DropLink(user) => effects.push(sign_in_link::drop_of(user)),
    }
}

pub(crate) fn insert(it: User) -> Statement {
    let (sealed, last_step, is_confirmed) = totp_columns(it.totp);
    Statement::new(
        "INSERT INTO users (id, email, password_hash, project_id, role, totp, totp_last_step, totp_is_confirmed, failed_logins, \
         locked_until, created_at, updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
        params![
            it.id,
            it.email,
            it.password_hash,
            it.project_id,
            it.role.as_str(),
            sealed,
            last_step,
            is_confirmed,
            it.failed_logins,
            it.locked_until,
            it.created_at,
            it.updated_at
        ],
    )
}

/// One in force is only taken away, never written over: another node may have confirmed it since it was read here.
fn set_totp(id: UserId, totp: Option<SealedTotp>, at: Timestamp) -> Statement {
    // Truth is 1 in both databases: whoever takes one away may find a confirmed one.
    let takes_away = totp.is_none();
    let (sealed, last_step, is_confirmed) = totp_columns(totp);
    Statement::new(
        "UPDATE users SET totp = $2, totp_last_step = $3, totp_is_confirmed = $4, updated_at = $5 \
         WHERE id = $1 AND COALESCE(totp_is_confirmed, 0) <= $6",
        params![id, sealed, last_step, is_confirmed, at, takes_away],
    )
    .guarded_if(Conflict::Stale, EXISTS)
}

/// All three, or none.
fn totp_columns(totp: Option<SealedTotp>) -> (Option<Vec<u8>>, Option<i64>, Option<bool>) {
    totp.map_or((None, None, None), |it| (Some(it.sealed), Some(it.last_step), Some(it.is_confirmed)))
}

/// Links go with the person by reference.
fn delete(effects: &mut Effects, id: UserId) {
    effects.configure(Statement::new("DELETE FROM users WHERE id = $1", params![id]).guarded(Conflict::Missing));
    effects.push(token::delete_of(ActorId::User(id)));
    effects.push(application::forget_actor(ActorId::User(id)));
}

fn from_row(mut row: Row) -> Result<User, StoreError> {
    Ok(User {
        id: row.id("id")?,
        email: row.text("email")?,
        password_hash: row.text("password_hash")?,
        project_id: row.id("project_id")?,
        role: row.word("role", Role::from_name)?,
        totp: totp_from_row(&mut row)?,
        failed_logins: row.small("failed_logins")?,
        locked_until: row.opt_time("locked_until")?,
        created_at: row.time("created_at")?,
        updated_at: row.time("updated_at")?,
    })
}

fn totp_from_row(row: &mut Row) -> Result<Option<SealedTotp>, StoreError> {
    let (sealed, last_step) = (row.opt_blob("totp")?, row.opt_int("totp_last_step")?);
    match (sealed, last_step, row.opt_int("totp_is_confirmed")?) {
        (None, None, None) => Ok(None),
        (Some(sealed), Some(last_step), Some(flag @ (0 | 1))) => {
            Ok(Some(SealedTotp { sealed, last_step, is_confirmed: flag == 1 }))
        }
        _ => Err(row.inconsistent("totp")),
    }
}

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT id, email, password_hash, project_id, role, totp, totp_last_step, totp_is_confirmed, failed_logins, locked_until, \
             created_at, updated_at FROM users ",
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
