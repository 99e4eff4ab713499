//! Roles in the project, under the paths of clients that keep access apart from identities. An identity belongs to one
//! project and has one role there, and so has a person: to take its access away is to delete it. People are invited by the
//! routes of `user`, whose answer has a link to hand on; groups do not exist. The routes of both say so.

use axum::Json;
use axum::extract::State;
use chancery_authority::Authority;
use chancery_authority::access::IdentityPatch;
use chancery_model::identity::{Identity, User};
use chancery_model::permission::{Permission, Role};
use chancery_model::{IdentityId, UserId};
use chancery_wire::access::{
    AccessIdentity, AccessRole, AccessUser, GiveRoles, IdentityAccess, IdentityAccessAnswer, RolesAnswer, UserAccess,
    UserAccessAnswer, UsersAccessAnswer,
};
use http::StatusCode;
use uuid::Uuid;

use crate::error::ApiError;
use crate::extract::{Answer, Body, Caller, Id};
use crate::route::Endpoint;
use crate::{identity, user};

const BASE: &str = "/api/v1/cert-manager/access";

pub(crate) fn endpoints() -> Vec<Endpoint> {
    use Permission::{IdentityManage, IdentityRead};
    let identity = format!("{BASE}/identities/{{identityId}}");
    let (users, user) = (format!("{BASE}/users"), format!("{BASE}/users/{{userId}}"));
    let group = format!("{BASE}/groups/{{groupId}}");
    let by_invitation = "People are invited with POST /api/v1/users; answers 400";
    let no_group = "Groups do not exist in this build; answers 404";
    vec![
        Endpoint::get(&identity, IdentityRead, read_identity)
            .named("readIdentityAccess", "The role of a machine identity")
            .answers::<IdentityAccessAnswer>(),
        Endpoint::post(&identity, IdentityManage, give_role)
            .named("giveIdentityAccess", "Give a machine identity its role")
            .takes::<GiveRoles>()
            .answers::<IdentityAccessAnswer>(),
        Endpoint::patch(&identity, IdentityManage, give_role)
            .named("changeIdentityAccess", "Change the role of a machine identity")
            .takes::<GiveRoles>()
            .answers::<IdentityAccessAnswer>(),
        Endpoint::delete(&identity, IdentityManage, delete_identity)
            .named("removeIdentityAccess", "Take a machine identity out of the project, which deletes it")
            .answers::<IdentityAccessAnswer>(),
        Endpoint::get(&users, IdentityRead, list_users)
            .named("listUserAccess", "The people of the project with their roles")
            .answers::<UsersAccessAnswer>(),
        Endpoint::get(&user, IdentityRead, read_user)
            .named("readUserAccess", "The role of a person")
            .answers::<UserAccessAnswer>(),
        Endpoint::post(&users, IdentityManage, refuse_people).named("addUserAccess", by_invitation).reads_only(),
        Endpoint::patch(&user, IdentityManage, give_user_role)
            .named("changeUserAccess", "Change the role of a person, which ends their sessions")
            .takes::<GiveRoles>()
            .answers::<RolesAnswer>(),
        Endpoint::delete(&user, IdentityManage, delete_user)
            .named("removeUserAccess", "Take a person out of the project, which deletes them")
            .answers::<UserAccessAnswer>(),
        Endpoint::get(&group, IdentityRead, no_groups).named("readGroupAccess", no_group),
        Endpoint::post(&group, IdentityManage, no_groups).named("addGroupAccess", no_group).reads_only(),
        Endpoint::patch(&group, IdentityManage, no_groups).named("changeGroupAccess", no_group).reads_only(),
        Endpoint::delete(&group, IdentityManage, no_groups).named("removeGroupAccess", no_group).reads_only(),
    ]
}

async fn no_groups() -> ApiError {
    let message = "Groups do not exist in this build; give roles to machine identities in their place";
    ApiError::new(StatusCode::NOT_FOUND, "NotFound", "groups.absent", message)
}

async fn read_identity(
    State(authority): State<Authority>,
    Caller(call): Caller,
    Id(id): Id<IdentityId>,
) -> Answer<IdentityAccessAnswer> {
    Ok(identity_answer(&identity::find(&authority, &call, id).await?))
}

async fn give_role(
    State(authority): State<Authority>,
    Caller(call): Caller,
    Id(id): Id<IdentityId>,
    Body(body): Body<GiveRoles>,
) -> Answer<IdentityAccessAnswer> {
    let id = identity::find(&authority, &call, id).await?.id;
    let patch = IdentityPatch { role: Some(only_role(&body)?), ..IdentityPatch::default() };
    Ok(identity_answer(&authority.update_identity(&call, id, patch).await?))
}

async fn delete_identity(
    State(authority): State<Authority>,
    Caller(call): Caller,
    Id(id): Id<IdentityId>,
) -> Answer<IdentityAccessAnswer> {
    Ok(identity_answer(&authority.delete_identity(&call, id).await?))
}

async fn list_users(State(authority): State<Authority>, Caller(call): Caller) -> Answer<UsersAccessAnswer> {
    let found = authority.reader().users(call.project_id()).await?;
    Ok(Json(UsersAccessAnswer { memberships: found.iter().map(user_shown).collect() }))
}

async fn read_user(
    State(authority): State<Authority>,
    Caller(call): Caller,
    Id(id): Id<UserId>,
) -> Answer<UserAccessAnswer> {
    Ok(Json(UserAccessAnswer { membership: user_shown(&user::find(&authority, &call, id).await?) }))
}

async fn refuse_people() -> ApiError {
    ApiError::bad_request(
        "access.people",
        "A person is invited with POST /api/v1/users, whose answer has the link to hand on; this route cannot show it",
    )
}

async fn give_user_role(
    State(authority): State<Authority>,
    Caller(call): Caller,
    Id(id): Id<UserId>,
    Body(body): Body<GiveRoles>,
) -> Answer<RolesAnswer> {
    let id = user::find(&authority, &call, id).await?.id;
    let user = authority.set_user_role(&call, id, only_role(&body)?).await?;
    Ok(Json(RolesAnswer { roles: roles(user.id.as_uuid(), user.role) }))
}

async fn delete_user(
    State(authority): State<Authority>,
    Caller(call): Caller,
    Id(id): Id<UserId>,
) -> Answer<UserAccessAnswer> {
    Ok(Json(UserAccessAnswer { membership: user_shown(&authority.delete_user(&call, id).await?) }))
}

/// The one role that is given.
fn only_role(body: &GiveRoles) -> Result<Role, ApiError> {
    let [given] = body.roles.as_slice() else {
        let message = "roles: give exactly one role; an identity has one role in its project in this build";
        return Err(ApiError::bad_request("access.roles", message));
    };
    if given.is_temporary == Some(true) {
        let message = "roles[0].isTemporary: temporary roles do not exist in this build; leave it out";
        return Err(ApiError::bad_request("access.temporary", message));
    }
    Role::from_name(&given.role).ok_or_else(|| {
        let shown: String = given.role.chars().take(64).collect();
        let message = format!("roles[0].role: {shown:?} is not a role of this build; use admin, operator or auditor");
        ApiError::bad_request("access.role", message)
    })
}

fn roles(id: Uuid, role: Role) -> Vec<AccessRole> {
    vec![AccessRole {
        id,
        role: role.as_str().to_owned(),
        is_temporary: false,
        temporary_mode: None,
        temporary_range: None,
        temporary_access_start_time: None,
        temporary_access_end_time: None,
        custom_role_id: None,
        custom_role_name: None,
        custom_role_slug: None,
    }]
}

fn identity_answer(identity: &Identity) -> Json<IdentityAccessAnswer> {
    let id = identity.id.as_uuid();
    Json(IdentityAccessAnswer {
        identity_membership: IdentityAccess {
            id,
            identity_id: id,
            project_id: identity.project_id.as_uuid(),
            identity: AccessIdentity { id, name: identity.name.clone() },
            roles: roles(id, identity.role),
            created_at: identity.created_at.to_string(),
            updated_at: identity.updated_at.to_string(),
        },
    })
}

fn user_shown(user: &User) -> UserAccess {
    let id = user.id.as_uuid();
    UserAccess {
        id,
        user_id: id,
        project_id: user.project_id.as_uuid(),
        user: AccessUser { id, email: user.email.clone(), username: user.email.clone() },
        roles: roles(id, user.role),
        created_at: user.created_at.to_string(),
        updated_at: user.updated_at.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_lasting_role_is_given() {
        let check = |text: &str, expected: Result<Role, &str>| {
            let body: GiveRoles = crate::json::parse(text.as_bytes()).unwrap();
            let found = only_role(&body).map_err(|error| error.code().unwrap_or_default().to_owned());
            assert_eq!(found, expected.map_err(str::to_owned), "{text}");
        };
        check(r#"{"roles":[{"role":"operator","isTemporary":false}]}"#, Ok(Role::Operator));
        check(r#"{"roles":[{"role":"admin"}]}"#, Ok(Role::Admin));
        check(r#"{"roles":[]}"#, Err("access.roles"));
        check(r#"{"roles":[{"role":"admin"},{"role":"auditor"}]}"#, Err("access.roles"));
        check(r#"{"roles":[{"role":"member"}]}"#, Err("access.role"));
        check(r#"{"roles":[{"role":"admin","isTemporary":true}]}"#, Err("access.temporary"));
    }
}
