//! Applications, the profiles attached to them, and their members.

use chancery_model::application::{Application, ApplicationMember, ApplicationProfile};
use chancery_model::identity::ActorId;
use chancery_model::page::{Page, PageRequest};
use chancery_model::permission::Role;
use chancery_model::profile::ApiEnrollment;
use chancery_model::{ApplicationId, ApplicationMemberId, CertificateId, ProfileId, ProjectId, Timestamp};

use crate::change::{Counter, Effects};
use crate::page::SmallList;
use crate::reader::Reader;
use crate::statement::{Query, Row, Statement, Value, actor_columns, json, params};
use crate::{Conflict, StoreError};

/// One change of an application and what belongs to it.
#[derive(Clone)]
pub enum ApplicationChange {
    /// `Name` if the project has one of that name.
    Insert(Application),
    Update(Application),
    /// With its attachments and memberships; certificates keep its id.
    Delete(ApplicationId),
    /// Nothing happens if the profile is attached already.
    Attach(ApplicationProfile),
    Detach {
        application: ApplicationId,
        profile: ProfileId,
    },
    /// `Missing` unless the profile is attached. No settings: off.
    SetApi {
        application: ApplicationId,
        profile: ProfileId,
        api: Option<ApiEnrollment>,
        at: Timestamp,
    },
    /// `Exists` if the actor is a member already. Of people and machine identities only.
    InsertMember(ApplicationMember),
    SetRole {
        member: ApplicationMemberId,
        role: Role,
        at: Timestamp,
    },
    DeleteMember(ApplicationMemberId),
    /// Puts a certificate into an application. `Stale` if it is in one.
    Assign {
        certificate: CertificateId,
        application: ApplicationId,
        at: Timestamp,
    },
}

impl ApplicationChange {
    /// Whether it touches what issuance keeps in memory.
    pub(crate) const fn is_configuration(&self) -> bool {
        matches!(self, Self::Delete(_) | Self::Attach(_) | Self::Detach { .. } | Self::SetApi { .. })
    }

    /// Whether it touches who may call.
    pub(crate) const fn is_access(&self) -> bool {
        matches!(self, Self::Delete(_) | Self::InsertMember(_) | Self::SetRole { .. } | Self::DeleteMember(_))
    }
}

/// An application with its numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CountedApplication {
    pub application: Application,
    pub profiles: u64,
    pub members: u64,
    pub certificates: u64,
}

/// A profile of an application, with what people know it by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttachedProfile {
    pub attachment: ApplicationProfile,
    pub slug: String,
    pub description: Option<String>,
}

/// A member with what people know it by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedMember {
    pub member: ApplicationMember,
    /// Of a person.
    pub email: Option<String>,
    /// Of a machine identity.
    pub name: Option<String>,
}

/// Which applications a list wants. All given conditions must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ApplicationFilter {
    /// Part of the name or description.
    pub search: Option<String>,
    /// Only these.
    pub ids: Option<Vec<ApplicationId>>,
}

pub(crate) fn change(effects: &mut Effects, change: ApplicationChange) -> Result<(), StoreError> {
    match change {
        ApplicationChange::Insert(it) => effects.push(insert(it)),
        ApplicationChange::Update(it) => effects.push(update(it)),
        ApplicationChange::Delete(id) => effects.configure(
            Statement::new("DELETE FROM application WHERE id = $1", params![id]).guarded(Conflict::Missing),
        ),
        ApplicationChange::Attach(it) => effects.configure(attach(it)?),
        ApplicationChange::Detach { application, profile } => effects.configure(
            Statement::new(
                "DELETE FROM application_profile WHERE application_id = $1 AND profile_id = $2",
                params![application, profile],
            )
            .guarded(Conflict::Missing),
        ),
        ApplicationChange::SetApi { application, profile, api, at } => effects.configure(
            Statement::new(
                "UPDATE application_profile SET api = $3, updated_at = $4 WHERE application_id = $1 AND profile_id = $2",
                params![application, profile, api.map(|it| json(&it)).transpose()?, at],
            )
            .guarded(Conflict::Missing),
        ),
        ApplicationChange::InsertMember(it) => effects.configure(insert_member(it)),
        ApplicationChange::SetRole { member, role, at } => effects.configure(
            Statement::new(
                "UPDATE application_member SET role = $2, updated_at = $3 WHERE id = $1",
                params![member, role.as_str(), at],
            )
            .guarded(Conflict::Missing),
        ),
        ApplicationChange::DeleteMember(id) => effects.configure(
            Statement::new("DELETE FROM application_member WHERE id = $1", params![id]).guarded(Conflict::Missing),
        ),
        ApplicationChange::Assign { certificate, application, at } => assign(effects, certificate, application, at),
    }
    Ok(())
}

fn insert(it: Application) -> Statement {
    Statement::new(
        "INSERT INTO application (id, project_id, name, description, created_at, updated_at) VALUES ($1, $2, $3, $4, $5, $6)",
        params![it.id, it.project_id, it.name, it.description, it.created_at, it.updated_at],
    )
}

fn update(it: Application) -> Statement {
    Statement::new(
        "UPDATE application SET name = $2, description = $3, updated_at = $4 WHERE id = $1",
        params![it.id, it.name, it.description, it.updated_at],
    )
    .guarded(Conflict::Missing)
}

fn attach(it: ApplicationProfile) -> Result<Statement, StoreError> {
    Ok(Statement::new(
        "INSERT INTO application_profile (application_id, profile_id, api, created_at, updated_at) VALUES ($1, $2, $3, $4, $5) \
         ON CONFLICT (application_id, profile_id) DO NOTHING",
        params![
            it.application_id,
            it.profile_id,
            it.api.map(|api| json(&api)).transpose()?,
            it.created_at,
            it.updated_at
        ],
    ))
}

fn insert_member(it: ApplicationMember) -> Statement {
    let (kind, actor) = actor_columns(it.actor);
    Statement::new(
        "INSERT INTO application_member (id, application_id, actor_kind, actor_id, role, created_at, updated_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
        vec![
            it.id.into(),
            it.application_id.into(),
            kind,
            actor,
            it.role.as_str().into(),
            it.created_at.into(),
            it.updated_at.into(),
        ],
    )
}

/// Nobody's memberships outlive who has them.
pub(crate) fn forget_actor(actor: ActorId) -> Statement {
    let (kind, id) = actor_columns(actor);
    Statement::new("DELETE FROM application_member WHERE actor_id = $1 AND actor_kind = $2", vec![id, kind])
}

fn assign(effects: &mut Effects, certificate: CertificateId, application: ApplicationId, at: Timestamp) {
    let statement = Statement::new(
        "UPDATE certificate SET application_id = $2, updated_at = $3 WHERE id = $1 AND project > 0 AND application_id IS NULL",
        params![certificate, application, at],
    );
    effects.push(statement.guarded_if(Conflict::Stale, "SELECT 1 FROM certificate WHERE id = $1 AND project > 0"));
    effects.counters.push((Counter::CertificatesOfApplication(application), 1));
}

fn from_row(row: &mut Row) -> Result<Application, StoreError> {
    Ok(Application {
        id: row.id("id")?,
        project_id: row.id("project_id")?,
        name: row.text("name")?,
        description: row.opt_text("description")?,
        created_at: row.time("created_at")?,
        updated_at: row.time("updated_at")?,
    })
}

fn counted_from_row(mut row: Row) -> Result<CountedApplication, StoreError> {
    Ok(CountedApplication {
        application: from_row(&mut row)?,
        profiles: row.small("profiles")?,
        members: row.small("members")?,
        certificates: row.small("certificates")?,
    })
}

fn attachment_from_row(row: &mut Row) -> Result<ApplicationProfile, StoreError> {
    Ok(ApplicationProfile {
        application_id: row.id("application_id")?,
        profile_id: row.id("profile_id")?,
        api: row.opt_json("api")?,
        created_at: row.time("created_at")?,
        updated_at: row.time("updated_at")?,
    })
}

fn attached_from_row(mut row: Row) -> Result<AttachedProfile, StoreError> {
    Ok(AttachedProfile {
        attachment: attachment_from_row(&mut row)?,
        slug: row.text("slug")?,
        description: row.opt_text("description")?,
    })
}

fn member_from_row(mut row: Row) -> Result<NamedMember, StoreError> {
    Ok(NamedMember {
        member: ApplicationMember {
            id: row.id("id")?,
            application_id: row.id("application_id")?,
            actor: row.actor("actor_id")?,
            role: row.word("role", Role::from_name)?,
            created_at: row.time("created_at")?,
            updated_at: row.time("updated_at")?,
        },
        email: row.opt_text("email")?,
        name: row.opt_text("name")?,
    })
}

macro_rules! select {
    ($rest:literal) => {
        concat!("SELECT id, project_id, name, description, created_at, updated_at FROM application ", $rest)
    };
}

const SELECT_COUNTED: &str = "SELECT id, project_id, name, description, created_at, updated_at, \
     (SELECT COUNT(*) FROM application_profile p WHERE p.application_id = application.id), \
     (SELECT COUNT(*) FROM application_member m WHERE m.application_id = application.id), \
     (SELECT CAST(COALESCE(SUM(value), 0) AS BIGINT) FROM counter WHERE kind = 5 AND scope = application.id) FROM application ";

macro_rules! select_attachment {
    ($rest:literal) => {
        concat!("SELECT application_id, profile_id, api, created_at, updated_at FROM application_profile ", $rest)
    };
}

macro_rules! select_member {
    ($rest:literal) => {
        concat!(
            "SELECT m.id, m.application_id, m.actor_kind, m.actor_id, m.role, m.created_at, m.updated_at, u.email, i.name \
             FROM application_member m LEFT JOIN users u ON u.id = m.actor_id LEFT JOIN identity i ON i.id = m.actor_id ",
            $rest
        )
    };
}

impl Reader {
    pub async fn application(&self, project: ProjectId, id: ApplicationId) -> Result<Option<Application>, StoreError> {
        let query = Query::new("application", select!("WHERE id = $1 AND project_id = $2"), params![id, project]);
        self.point(query).await?.map(|mut row| from_row(&mut row)).transpose()
    }

    pub async fn application_by_name(&self, project: ProjectId, name: &str) -> Result<Option<Application>, StoreError> {
        let values = params![project, name.to_owned()];
        let query = Query::new("application", select!("WHERE project_id = $1 AND name = $2"), values);
        self.point(query).await?.map(|mut row| from_row(&mut row)).transpose()
    }

    /// Newest first, with their numbers.
    pub async fn applications(
        &self,
        project: ProjectId,
        filter: &ApplicationFilter,
        page: &PageRequest,
    ) -> Result<Page<CountedApplication>, StoreError> {
        let mut list = SmallList::new("application", SELECT_COUNTED, project);
        list.condition.push("project_id = ");
        list.condition.bind(project);
        list.search(filter.search.as_deref(), &["name", "description"]);
        if let Some(ids) = &filter.ids {
            list.condition.push(" AND (0 = 1");
            for id in ids {
                list.condition.push(" OR id = ");
                list.condition.bind(*id);
            }
            list.condition.push(")");
        }
        let key = |it: &CountedApplication| (it.application.created_at, it.application.id.as_uuid());
        self.small_page(list, page, counted_from_row, key).await
    }

    /// The profiles attached to an application, by slug.
    pub async fn profiles_of_application(&self, id: ApplicationId) -> Result<Vec<AttachedProfile>, StoreError> {
        let sql = "SELECT a.application_id, a.profile_id, a.api, a.created_at, a.updated_at, p.slug, p.description \
             FROM application_profile a JOIN profile p ON p.id = a.profile_id WHERE a.application_id = $1 ORDER BY p.slug";
        let query = Query::new("application_profile", sql, params![id]);
        self.rows(query).await?.into_iter().map(attached_from_row).collect()
    }

    /// The attachments of a profile, oldest application first.
    pub async fn applications_of_profile(&self, id: ProfileId) -> Result<Vec<ApplicationProfile>, StoreError> {
        let sql = select_attachment!("WHERE profile_id = $1 ORDER BY application_id");
        let rows = self.rows(Query::new("application_profile", sql, params![id])).await?;
        rows.into_iter().map(|mut row| attachment_from_row(&mut row)).collect()
    }

    pub async fn application_profile(
        &self,
        application: ApplicationId,
        profile: ProfileId,
    ) -> Result<Option<ApplicationProfile>, StoreError> {
        let sql = select_attachment!("WHERE application_id = $1 AND profile_id = $2");
        let query = Query::new("application_profile", sql, params![application, profile]);
        self.point(query).await?.map(|mut row| attachment_from_row(&mut row)).transpose()
    }

    /// Oldest first.
    pub async fn members_of_application(&self, id: ApplicationId) -> Result<Vec<NamedMember>, StoreError> {
        let sql = select_member!("WHERE m.application_id = $1 ORDER BY m.created_at, m.id");
        let rows = self.rows(Query::new("application_member", sql, params![id])).await?;
        rows.into_iter().map(member_from_row).collect()
    }

    pub async fn application_member(
        &self,
        application: ApplicationId,
        actor: ActorId,
    ) -> Result<Option<NamedMember>, StoreError> {
        let (kind, id) = actor_columns(actor);
        let sql = select_member!("WHERE m.application_id = $1 AND m.actor_id = $2 AND m.actor_kind = $3");
        let query = Query::new("application_member", sql, vec![application.into(), id, kind]);
        self.point(query).await?.map(member_from_row).transpose()
    }

    /// The roles that somebody has in applications.
    pub async fn memberships_of(&self, actor: ActorId) -> Result<Vec<(ApplicationId, Role)>, StoreError> {
        let (kind, id) = actor_columns(actor);
        if id == Value::Null {
            return Ok(Vec::new());
        }
        let sql = "SELECT application_id, role FROM application_member WHERE actor_id = $1 AND actor_kind = $2";
        let rows = self.rows(Query::new("application_member", sql, vec![id, kind])).await?;
        rows.into_iter().map(|mut row| Ok((row.id("application_id")?, row.word("role", Role::from_name)?))).collect()
    }
}
