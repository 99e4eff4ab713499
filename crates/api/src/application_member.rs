//! Members of applications: people and machine identities. Groups do not exist in this build, and their routes say so.

use axum::Json;
use axum::extract::State;
use chancery_authority::{Authority, Call};
use chancery_model::identity::ActorId;
use chancery_model::permission::Permission;
use chancery_model::{ApplicationId, IdentityId, UserId};
use chancery_store::NamedMember;
use chancery_wire as wire;
use chancery_wire::application::{
    AddPeople, GiveRole, MemberAnswer, MemberDetails, MemberRemovedAnswer, MembersAnswer, PeopleAddedAnswer,
};
use http::StatusCode;
use uuid::Uuid;

use crate::application::BASE;
use crate::error::ApiError;
use crate::extract::{Answer, Body, Caller, Id, Ids};
use crate::identity::{from_role, role};
use crate::issues::Issues;
use crate::route::Endpoint;

pub(crate) fn endpoints() -> Vec<Endpoint> {
    let mut all = people();
    all.extend(identities());
    all.extend(groups());
    all
}

fn people() -> Vec<Endpoint> {
    use Permission::{ApplicationManage, ApplicationRead};
    let all = format!("{BASE}/{{applicationId}}/users");
    let one = format!("{all}/{{userId}}");
    vec![
        Endpoint::get(&all, ApplicationRead, list_people)
            .named("listApplicationUsers", "List the people of an application")
            .answers::<MembersAnswer>(),
        Endpoint::post(&all, ApplicationManage, add_people)
            .named("addApplicationUsers", "Make people members of an application")
            .takes::<AddPeople>()
            .answers::<PeopleAddedAnswer>(),
        Endpoint::patch(&one, ApplicationManage, change_person)
            .named("updateApplicationUser", "Change the role of a person in an application")
            .takes::<GiveRole>()
            .answers::<MemberAnswer>(),
        Endpoint::delete(&one, ApplicationManage, remove_person)
            .named("removeApplicationUser", "End a person's membership of an application")
            .answers::<MemberRemovedAnswer>(),
    ]
}

fn identities() -> Vec<Endpoint> {
    use Permission::{ApplicationManage, ApplicationRead};
    let all = format!("{BASE}/{{applicationId}}/identities");
    let one = format!("{all}/{{identityId}}");
    vec![
        Endpoint::get(&all, ApplicationRead, list_identities)
            .named("listApplicationIdentities", "List the machine identities of an application")
            .answers::<MembersAnswer>(),
        Endpoint::post(&one, ApplicationManage, add_identity)
            .named("addApplicationIdentity", "Make a machine identity a member of an application")
            .takes::<GiveRole>()
            .answers::<MemberAnswer>(),
        Endpoint::patch(&one, ApplicationManage, change_identity)
            .named("updateApplicationIdentity", "Change the role of a machine identity in an application")
            .takes::<GiveRole>()
            .answers::<MemberAnswer>(),
        Endpoint::delete(&one, ApplicationManage, remove_identity)
            .named("removeApplicationIdentity", "End a machine identity's membership of an application")
            .answers::<MemberRemovedAnswer>(),
    ]
}

/// These answer 404, so they change nothing.
fn groups() -> Vec<Endpoint> {
    use Permission::{ApplicationManage, ApplicationRead};
    let all = format!("{BASE}/{{applicationId}}/groups");
    let one = format!("{all}/{{groupId}}");
    let summary = "Groups do not exist in this build; answers 404";
    vec![
        Endpoint::get(&all, ApplicationRead, no_groups).named("listApplicationGroups", summary),
        Endpoint::post(&one, ApplicationManage, no_groups).named("addApplicationGroup", summary).reads_only(),
        Endpoint::patch(&one, ApplicationManage, no_groups).named("updateApplicationGroup", summary).reads_only(),
        Endpoint::delete(&one, ApplicationManage, no_groups).named("removeApplicationGroup", summary).reads_only(),
    ]
}

async fn no_groups() -> ApiError {
    let message = "Groups do not exist in this build; make people or machine identities members in their place";
    ApiError::new(StatusCode::NOT_FOUND, "NotFound", "groups.absent", message)
}

async fn list_people(
    State(authority): State<Authority>,
    Caller(call): Caller,
    Id(id): Id<ApplicationId>,
) -> Answer<MembersAnswer> {
    members(&authority, &call, id, |actor| matches!(actor, ActorId::User(_))).await
}

async fn list_identities(
    State(authority): State<Authority>,
    Caller(call): Caller,
    Id(id): Id<ApplicationId>,
) -> Answer<MembersAnswer> {
    members(&authority, &call, id, |actor| matches!(actor, ActorId::Identity(_))).await
}

async fn members(
    authority: &Authority,
    call: &Call,
    id: ApplicationId,
    wanted: fn(ActorId) -> bool,
) -> Answer<MembersAnswer> {
    let id = authority.application_of(call, id).await?.id;
    let found = authority.reader().members_of_application(id).await?;
    Ok(Json(MembersAnswer { memberships: found.iter().filter(|it| wanted(it.member.actor)).map(shown).collect() }))
}

async fn add_people(
    State(authority): State<Authority>,
    Caller(call): Caller,
    Id(id): Id<ApplicationId>,
    Body(body): Body<AddPeople>,
) -> Answer<PeopleAddedAnswer> {
    let mut issues = Issues::default();
    issues.count("emails", body.emails.len(), 100);
    for (index, email) in body.emails.iter().enumerate() {
        issues.length(&format!("emails[{index}]"), email.trim(), 1..=320);
    }
    issues.finish()?;
    let added = authority.add_people(&call, id, body.emails, from_role(body.role)).await?;
    Ok(Json(PeopleAddedAnswer {
        memberships: added.members.iter().map(shown).collect(),
        skipped: added.skipped,
        unresolved: added.unresolved,
    }))
}

async fn add_identity(
    State(authority): State<Authority>,
    Caller(call): Caller,
    Ids(id, identity): Ids<ApplicationId, IdentityId>,
    Body(body): Body<GiveRole>,
) -> Answer<MemberAnswer> {
    Ok(answer(&authority.add_identity(&call, id, identity, from_role(body.role)).await?))
}

async fn change_person(
    State(authority): State<Authority>,
    Caller(call): Caller,
    Ids(id, user): Ids<ApplicationId, UserId>,
    Body(body): Body<GiveRole>,
) -> Answer<MemberAnswer> {
    Ok(answer(&authority.set_member_role(&call, id, ActorId::User(user), from_role(body.role)).await?))
}

async fn change_identity(
    State(authority): State<Authority>,
    Caller(call): Caller,
    Ids(id, identity): Ids<ApplicationId, IdentityId>,
    Body(body): Body<GiveRole>,
) -> Answer<MemberAnswer> {
    Ok(answer(&authority.set_member_role(&call, id, ActorId::Identity(identity), from_role(body.role)).await?))
}

async fn remove_person(
    State(authority): State<Authority>,
    Caller(call): Caller,
    Ids(id, user): Ids<ApplicationId, UserId>,
) -> Answer<MemberRemovedAnswer> {
    removed(&authority, &call, id, ActorId::User(user)).await
}

async fn remove_identity(
    State(authority): State<Authority>,
    Caller(call): Caller,
    Ids(id, identity): Ids<ApplicationId, IdentityId>,
) -> Answer<MemberRemovedAnswer> {
    removed(&authority, &call, id, ActorId::Identity(identity)).await
}

async fn removed(authority: &Authority, call: &Call, id: ApplicationId, actor: ActorId) -> Answer<MemberRemovedAnswer> {
    let membership = authority.remove_member(call, id, actor).await?;
    Ok(Json(MemberRemovedAnswer { membership_id: membership.as_uuid(), application_id: id.as_uuid() }))
}

/// The columns of the wire: a person's id, a machine identity's id.
pub(crate) const fn actor_ids(actor: ActorId) -> (Option<Uuid>, Option<Uuid>) {
    match actor {
        ActorId::User(id) => (Some(id.as_uuid()), None),
        ActorId::Identity(id) => (None, Some(id.as_uuid())),
        ActorId::System => (None, None),
    }
}

fn answer(member: &NamedMember) -> Json<MemberAnswer> {
    Json(MemberAnswer { membership: shown(member) })
}

fn shown(from: &NamedMember) -> wire::application::Member {
    let member = &from.member;
    let (actor_user_id, actor_identity_id) = actor_ids(member.actor);
    wire::application::Member {
        membership_id: member.id.as_uuid(),
        application_id: member.application_id.as_uuid(),
        actor_user_id,
        actor_identity_id,
        role: role(member.role),
        created_at: member.created_at.to_string(),
        updated_at: member.updated_at.to_string(),
        details: MemberDetails {
            email: from.email.clone(),
            username: from.email.clone().or_else(|| from.name.clone()),
        },
    }
}
