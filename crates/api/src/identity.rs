//! Machine identities.

use axum::Json;
use axum::extract::State;
use chancery_authority::access::{IdentityPatch, NewIdentity};
use chancery_authority::{Authority, Call};
use chancery_model::IdentityId;
use chancery_model::identity::{ActorId, Identity};
use chancery_model::permission::{Permission, Role};
use chancery_wire as wire;
use chancery_wire::KeyValue;
use chancery_wire::identity::{
    CreateIdentity, IdentitiesAnswer, IdentityAnswer, IdentityDetails, IdentityDetailsAnswer, IdentityMembership,
    IdentityMembershipAnswer, Organization, UpdateIdentity,
};
use chancery_wire::page::PageQuery;

use crate::error::ApiError;
use crate::extract::{Answer, Body, Caller, Id, Query};
use crate::issues::Issues;
use crate::page::{Slice, page};
use crate::project::check_project;
use crate::route::Endpoint;

pub(crate) fn endpoints() -> Vec<Endpoint> {
    use Permission::{IdentityManage, IdentityRead, OwnSession};
    vec![
        Endpoint::get("/api/v1/identities/details", OwnSession, who_am_i)
            .named("identityDetails", "Who am I")
            .answers::<IdentityDetailsAnswer>(),
        Endpoint::get("/api/v1/identities", IdentityRead, list)
            .named("listIdentities", "List machine identities")
            .asks::<PageQuery>()
            .answers::<IdentitiesAnswer>(),
        Endpoint::post("/api/v1/identities", IdentityManage, create)
            .named("createIdentity", "Make a machine identity")
            .takes::<CreateIdentity>()
            .answers::<IdentityAnswer>(),
        Endpoint::get("/api/v1/identities/{id}", IdentityRead, read)
            .named("readIdentity", "Read a machine identity")
            .answers::<IdentityMembershipAnswer>(),
        Endpoint::patch("/api/v1/identities/{id}", IdentityManage, update)
            .named("updateIdentity", "Change a machine identity")
            .takes::<UpdateIdentity>()
            .answers::<IdentityAnswer>(),
        Endpoint::delete("/api/v1/identities/{id}", IdentityManage, delete)
            .named("deleteIdentity", "Delete a machine identity with its secrets and sessions")
            .answers::<IdentityAnswer>(),
    ]
}

async fn who_am_i(State(authority): State<Authority>, Caller(call): Caller) -> Answer<IdentityDetailsAnswer> {
    let requester = &call.requester;
    let project = crate::project::own(&authority, &call).await?;
    let (kind, id) = match requester.actor_id() {
        ActorId::Identity(id) => ("identity", Some(id.as_uuid())),
        ActorId::User(id) => ("user", Some(id.as_uuid())),
        ActorId::System => ("system", None),
    };
    Ok(Json(IdentityDetailsAnswer {
        identity_details: IdentityDetails {
            organization: Organization {
                id: authority.default_project_id().as_uuid(),
                name: "Chancery".to_owned(),
                slug: "chancery".to_owned(),
            },
            kind: kind.to_owned(),
            id,
            name: requester.actor().name.clone(),
            role: role(requester.role()),
            project_id: project.id.as_uuid(),
        },
    }))
}

async fn list(
    State(authority): State<Authority>,
    Caller(call): Caller,
    Query(query): Query<PageQuery>,
) -> Answer<IdentitiesAnswer> {
    let slice = Slice { offset: query.offset, limit: query.limit, cursor: query.cursor.as_deref() };
    let found = authority.reader().identities(call.project_id(), &page(&slice, 20, 100)?).await?;
    Ok(Json(IdentitiesAnswer {
        identities: found.items.iter().map(|it| membership(&authority, it)).collect(),
        total_count: found.total.count,
        total_count_exact: found.total.exact,
        next_cursor: found.next_cursor,
    }))
}

async fn create(
    State(authority): State<Authority>,
    Caller(call): Caller,
    Body(body): Body<CreateIdentity>,
) -> Answer<IdentityAnswer> {
    check_project(&call, body.project_id.as_deref())?;
    let mut issues = Issues::default();
    issues.length("name", &body.name, 1..=255);
    let metadata = issues.metadata("metadata", body.metadata);
    issues.finish()?;
    let new = NewIdentity {
        name: body.name,
        role: body.role.map_or(Role::Operator, from_role),
        has_delete_protection: body.has_delete_protection.unwrap_or(false),
        metadata,
    };
    let identity = authority.create_identity(&call, new).await?;
    Ok(answer(&authority, &identity))
}

async fn read(
    State(authority): State<Authority>,
    Caller(call): Caller,
    Id(id): Id<IdentityId>,
) -> Answer<IdentityMembershipAnswer> {
    let identity = find(&authority, &call, id).await?;
    Ok(Json(IdentityMembershipAnswer { identity: membership(&authority, &identity) }))
}

async fn update(
    State(authority): State<Authority>,
    Caller(call): Caller,
    Id(id): Id<IdentityId>,
    Body(body): Body<UpdateIdentity>,
) -> Answer<IdentityAnswer> {
    let mut issues = Issues::default();
    if let Some(name) = &body.name {
        issues.length("name", name, 1..=255);
    }
    let metadata = body.metadata.map(|pairs| issues.metadata("metadata", Some(pairs)));
    issues.finish()?;
    let patch = IdentityPatch {
        name: body.name,
        role: body.role.map(from_role),
        has_delete_protection: body.has_delete_protection,
        metadata,
    };
    Ok(answer(&authority, &authority.update_identity(&call, id, patch).await?))
}

async fn delete(
    State(authority): State<Authority>,
    Caller(call): Caller,
    Id(id): Id<IdentityId>,
) -> Answer<IdentityAnswer> {
    Ok(answer(&authority, &authority.delete_identity(&call, id).await?))
}

pub(crate) async fn find(authority: &Authority, call: &Call, id: IdentityId) -> Result<Identity, ApiError> {
    let found = authority.reader().identity(call.project_id(), id).await?;
    found.ok_or_else(|| ApiError::not_found("Identity", id))
}

fn answer(authority: &Authority, identity: &Identity) -> Json<IdentityAnswer> {
    Json(IdentityAnswer { identity: shown(authority, identity) })
}

fn membership(authority: &Authority, identity: &Identity) -> IdentityMembership {
    IdentityMembership {
        identity: shown(authority, identity),
        role: role(identity.role),
        org_id: authority.default_project_id().as_uuid(),
        metadata: pairs(&identity.metadata),
    }
}

pub(crate) fn shown(authority: &Authority, identity: &Identity) -> wire::identity::Identity {
    wire::identity::Identity {
        id: identity.id.as_uuid(),
        name: identity.name.clone(),
        auth_methods: identity.universal_auth.iter().map(|_| "universal-auth".to_owned()).collect(),
        has_delete_protection: identity.has_delete_protection,
        role: role(identity.role),
        project_id: identity.project_id.as_uuid(),
        org_id: authority.default_project_id().as_uuid(),
        metadata: pairs(&identity.metadata),
        created_at: identity.created_at.to_string(),
        updated_at: identity.updated_at.to_string(),
    }
}

pub(crate) fn pairs(metadata: &[(String, String)]) -> Vec<KeyValue> {
    metadata.iter().map(|(key, value)| KeyValue { key: key.clone(), value: value.clone() }).collect()
}

pub(crate) const fn role(role: Role) -> wire::words::Role {
    match role {
        Role::Admin => wire::words::Role::Admin,
        Role::Operator => wire::words::Role::Operator,
        Role::Auditor => wire::words::Role::Auditor,
    }
}

pub(crate) const fn from_role(role: wire::words::Role) -> Role {
    match role {
        wire::words::Role::Admin => Role::Admin,
        wire::words::Role::Operator => Role::Operator,
        wire::words::Role::Auditor => Role::Auditor,
    }
}
