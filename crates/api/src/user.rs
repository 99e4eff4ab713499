//! People who sign in. What they change about their own account they change in the Web UI.

use axum::Json;
use axum::extract::State;
use chancery_authority::access::NewUser;
use chancery_authority::{Authority, Call};
use chancery_model::UserId;
use chancery_model::identity::User;
use chancery_model::permission::Permission;
use chancery_wire as wire;
use chancery_wire::user::{CreateUser, InvitedUserAnswer, UpdateUser, UserAnswer, UserLink, UsersAnswer};

use crate::error::ApiError;
use crate::extract::{Answer, Body, Caller, Id};
use crate::identity::{from_role, role};
use crate::issues::Issues;
use crate::route::Endpoint;

pub(crate) fn endpoints() -> Vec<Endpoint> {
    use Permission::{IdentityManage, IdentityRead};
    vec![
        Endpoint::get("/api/v1/users", IdentityRead, list)
            .named("listUsers", "The people of the project")
            .answers::<UsersAnswer>(),
        Endpoint::post("/api/v1/users", IdentityManage, create)
            .named(
                "createUser",
                "Invite a person; the answer has the link to choose a password, which works once, for seven days",
            )
            .takes::<CreateUser>()
            .answers::<InvitedUserAnswer>(),
        Endpoint::get("/api/v1/users/{userId}", IdentityRead, read)
            .named("readUser", "Read a person")
            .answers::<UserAnswer>(),
        Endpoint::patch("/api/v1/users/{userId}", IdentityManage, update)
            .named("updateUser", "Change a person's role, which ends their sessions")
            .takes::<UpdateUser>()
            .answers::<UserAnswer>(),
        Endpoint::delete("/api/v1/users/{userId}", IdentityManage, delete)
            .named("deleteUser", "Remove a person with their sessions; what they requested stays")
            .answers::<UserAnswer>(),
        Endpoint::post("/api/v1/users/{userId}/reset", IdentityManage, reset)
            .named("resetUser", "Take password, second factor and sessions away; the answer has a link to begin anew")
            .answers::<InvitedUserAnswer>(),
    ]
}

async fn list(State(authority): State<Authority>, Caller(call): Caller) -> Answer<UsersAnswer> {
    let found = authority.reader().users(call.project_id()).await?;
    let total_count = u64::try_from(found.len()).unwrap_or(u64::MAX);
    Ok(Json(UsersAnswer { users: found.iter().map(shown).collect(), total_count }))
}

async fn create(
    State(authority): State<Authority>,
    Caller(call): Caller,
    Body(body): Body<CreateUser>,
) -> Answer<InvitedUserAnswer> {
    let mut issues = Issues::default();
    issues.length("email", &body.email, 1..=254);
    issues.finish()?;
    let new = NewUser { email: body.email, role: from_role(body.role) };
    let (user, token) = authority.create_user(&call, new).await?;
    invited(&authority, &user, &token).await
}

async fn read(State(authority): State<Authority>, Caller(call): Caller, Id(id): Id<UserId>) -> Answer<UserAnswer> {
    Ok(answer(&find(&authority, &call, id).await?))
}

async fn update(
    State(authority): State<Authority>,
    Caller(call): Caller,
    Id(id): Id<UserId>,
    Body(body): Body<UpdateUser>,
) -> Answer<UserAnswer> {
    Ok(answer(&authority.set_user_role(&call, id, from_role(body.role)).await?))
}

async fn delete(State(authority): State<Authority>, Caller(call): Caller, Id(id): Id<UserId>) -> Answer<UserAnswer> {
    Ok(answer(&authority.delete_user(&call, id).await?))
}

async fn reset(
    State(authority): State<Authority>,
    Caller(call): Caller,
    Id(id): Id<UserId>,
) -> Answer<InvitedUserAnswer> {
    let (user, token) = authority.reset_user(&call, id).await?;
    invited(&authority, &user, &token).await
}

pub(crate) async fn find(authority: &Authority, call: &Call, id: UserId) -> Result<User, ApiError> {
    let found = authority.reader().user(id).await?.filter(|it| it.project_id == call.project_id());
    found.ok_or_else(|| ApiError::not_found("User", id))
}

fn answer(user: &User) -> Json<UserAnswer> {
    Json(UserAnswer { user: shown(user) })
}

async fn invited(authority: &Authority, user: &User, token: &str) -> Answer<InvitedUserAnswer> {
    let expires_at = authority.sign_in_link(token).await?.expires_at.to_string();
    let url = authority.site_url().map(|url| format!("{url}/ui/sign-in/link?token={token}"));
    let sign_in_link = UserLink { token: token.to_owned(), url, expires_at };
    Ok(Json(InvitedUserAnswer { user: shown(user), sign_in_link }))
}

fn shown(user: &User) -> wire::user::User {
    wire::user::User {
        id: user.id.as_uuid(),
        email: user.email.clone(),
        role: role(user.role),
        project_id: user.project_id.as_uuid(),
        has_password: user.has_password(),
        has_second_factor: user.has_second_factor(),
        locked_until: user.locked_until.map(|it| it.to_string()),
        created_at: user.created_at.to_string(),
        updated_at: user.updated_at.to_string(),
    }
}
