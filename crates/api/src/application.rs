//! Applications, the profiles attached to them, and the certificates that are put into them.

use axum::Json;
use axum::extract::State;
use chancery_authority::application::{ApplicationPatch, NewApplication};
use chancery_authority::{Authority, Call};
use chancery_model::application::Application;
use chancery_model::identity::ActorId;
use chancery_model::permission::Permission;
use chancery_model::{ApplicationId, CertificateId, ProfileId};
use chancery_store::{ApplicationFilter, AttachedProfile, CountedApplication};
use chancery_wire as wire;
use chancery_wire::application::{
    ApplicationAnswer, ApplicationPermission, ApplicationPermissions, ApplicationPermissionsAnswer,
    ApplicationProfilePair, ApplicationProfilesAnswer, ApplicationsAnswer, ApplicationsQuery, AssignApplication,
    AssignedCertificateAnswer, AttachProfiles, CreateApplication, MembershipRole, OwnMembership, UpdateApplication,
};

use crate::application_member::actor_ids;
use crate::certificate_answer::detailed;
use crate::error::ApiError;
use crate::extract::{Answer, Body, Caller, Id, Ids, PathText, Query};
use crate::identity::role;
use crate::issues::Issues;
use crate::nullable::field;
use crate::page::{Slice, page};
use crate::project::check_project;
use crate::route::Endpoint;

pub(crate) const BASE: &str = "/api/v1/cert-manager/applications";

/// Most ids in one list.
const LIST_MAX: usize = 100;

pub(crate) fn endpoints() -> Vec<Endpoint> {
    use Permission::{ApplicationManage, ApplicationRead, CertificateEdit};
    let one = format!("{BASE}/{{applicationId}}");
    let profiles = format!("{one}/profiles");
    vec![
        Endpoint::post(BASE, ApplicationManage, create)
            .named("createApplication", "Make an application")
            .takes::<CreateApplication>()
            .answers::<ApplicationAnswer>(),
        Endpoint::get(BASE, ApplicationRead, list)
            .named("listApplications", "List applications with their numbers")
            .asks::<ApplicationsQuery>()
            .answers::<ApplicationsAnswer>(),
        Endpoint::get(format!("{BASE}/by-name/{{name}}"), ApplicationRead, read_by_name)
            .named("readApplicationByName", "Read an application by its name")
            .answers::<ApplicationAnswer>(),
        Endpoint::get(&one, ApplicationRead, read)
            .named("readApplication", "Read an application")
            .answers::<ApplicationAnswer>(),
        Endpoint::patch(&one, ApplicationManage, update)
            .named("updateApplication", "Rename or describe an application")
            .takes::<UpdateApplication>()
            .answers::<ApplicationAnswer>(),
        Endpoint::delete(&one, ApplicationManage, delete)
            .named("deleteApplication", "Delete an application; its certificates stay")
            .answers::<ApplicationAnswer>(),
        Endpoint::get(format!("{one}/permissions"), ApplicationRead, permissions)
            .named("readApplicationPermissions", "What the caller may do in an application")
            .answers::<ApplicationPermissionsAnswer>(),
        Endpoint::get(&profiles, ApplicationRead, list_profiles)
            .named("listApplicationProfiles", "List the profiles of an application")
            .answers::<ApplicationProfilesAnswer>(),
        Endpoint::post(&profiles, ApplicationManage, attach)
            .named("attachApplicationProfiles", "Attach profiles to an application")
            .takes::<AttachProfiles>()
            .answers::<ApplicationProfilesAnswer>(),
        Endpoint::delete(format!("{profiles}/{{profileId}}"), ApplicationManage, detach)
            .named("detachApplicationProfile", "Take a profile from an application")
            .answers::<ApplicationProfilePair>(),
        Endpoint::post("/api/v1/cert-manager/certificates/{id}/application", CertificateEdit, assign)
            .named("assignCertificateApplication", "Put a certificate that has none into an application")
            .takes::<AssignApplication>()
            .answers::<AssignedCertificateAnswer>(),
    ]
}

async fn create(
    State(authority): State<Authority>,
    Caller(call): Caller,
    Body(body): Body<CreateApplication>,
) -> Answer<ApplicationAnswer> {
    check_project(&call, body.project_id.as_deref())?;
    let mut issues = Issues::default();
    issues.slug("name", &body.name, 64);
    issues.length("description", body.description.as_deref().unwrap_or_default(), 0..=256);
    let profiles = body.profile_ids.unwrap_or_default();
    issues.count("profileIds", profiles.len(), LIST_MAX);
    issues.finish()?;
    let new = NewApplication {
        name: body.name,
        description: body.description,
        profiles: profiles.into_iter().map(ProfileId::from_uuid).collect(),
    };
    Ok(answer(&authority.create_application(&call, new).await?))
}

async fn list(
    State(authority): State<Authority>,
    Caller(call): Caller,
    Query(query): Query<ApplicationsQuery>,
) -> Answer<ApplicationsAnswer> {
    check_project(&call, query.project_id.as_deref())?;
    let page = page(&Slice { offset: query.offset, limit: query.limit, cursor: query.cursor.as_deref() }, 20, 100)?;
    let found = authority.reader().applications(call.project_id(), &filter(query)?, &page).await?;
    Ok(Json(ApplicationsAnswer {
        applications: found.items.iter().map(counted).collect(),
        total: found.total.count,
        next_cursor: found.next_cursor,
    }))
}

fn filter(query: ApplicationsQuery) -> Result<ApplicationFilter, ApiError> {
    let mut issues = Issues::default();
    let search = query.search.map(|it| it.trim().to_owned()).filter(|it| !it.is_empty());
    issues.length("search", search.as_deref().unwrap_or_default(), 0..=255);
    let ids = query.application_ids.filter(|it| !it.trim().is_empty()).map(|joined| {
        let texts: Vec<&str> = joined.split(',').map(str::trim).filter(|it| !it.is_empty()).collect();
        issues.count("applicationIds", texts.len(), LIST_MAX);
        let parsed = texts.iter().take(LIST_MAX).filter_map(|it| issues.uuid("applicationIds", Some(it)));
        parsed.map(ApplicationId::from_uuid).collect()
    });
    issues.finish()?;
    Ok(ApplicationFilter { search, ids })
}

async fn read(
    State(authority): State<Authority>,
    Caller(call): Caller,
    Id(id): Id<ApplicationId>,
) -> Answer<ApplicationAnswer> {
    Ok(answer(&authority.application_of(&call, id).await?))
}

async fn read_by_name(
    State(authority): State<Authority>,
    Caller(call): Caller,
    PathText(name): PathText,
) -> Answer<ApplicationAnswer> {
    let mut issues = Issues::default();
    issues.slug("name", &name, 64);
    issues.finish()?;
    let found = authority.reader().application_by_name(call.project_id(), &name).await?;
    let found = found.ok_or_else(|| {
        let message = format!("Application with name '{name}' not found");
        ApiError::new(http::StatusCode::NOT_FOUND, "NotFound", "not_found", message)
    })?;
    Ok(answer(&found))
}

async fn update(
    State(authority): State<Authority>,
    Caller(call): Caller,
    Id(id): Id<ApplicationId>,
    Body(body): Body<UpdateApplication>,
) -> Answer<ApplicationAnswer> {
    let mut issues = Issues::default();
    if let Some(name) = &body.name {
        issues.slug("name", name, 64);
    }
    if let Some(description) = body.description.as_value() {
        issues.length("description", description, 0..=256);
    }
    if body.name.is_none() && body.description.is_missing() {
        issues.add("", "give at least one of name and description");
    }
    // What is not there, or not the caller's, is said before what is wrong with the change.
    let known = authority.application_of(&call, id).await?.id;
    issues.finish()?;
    let patch = ApplicationPatch { name: body.name, description: field(body.description) };
    Ok(answer(&authority.update_application(&call, known, patch).await?))
}

async fn delete(
    State(authority): State<Authority>,
    Caller(call): Caller,
    Id(id): Id<ApplicationId>,
) -> Answer<ApplicationAnswer> {
    Ok(answer(&authority.delete_application(&call, id).await?))
}

async fn permissions(
    State(authority): State<Authority>,
    Caller(call): Caller,
    Id(id): Id<ApplicationId>,
) -> Answer<ApplicationPermissionsAnswer> {
    let id = authority.application_of(&call, id).await?.id;
    let requester = &call.requester;
    let allowed = Permission::ALL.iter().filter(|it| requester.may_in(Some(id), **it));
    let permissions =
        allowed.map(|it| ApplicationPermission { action: it.action().to_owned(), subject: it.subject().to_owned() });
    let own = match requester.actor_id() {
        ActorId::System => None,
        actor => authority.reader().application_member(id, actor).await?,
    };
    let memberships = own.iter().map(|it| {
        let (actor_user_id, actor_identity_id) = actor_ids(it.member.actor);
        let roles = vec![MembershipRole { role: role(it.member.role) }];
        OwnMembership { id: it.member.id.as_uuid(), actor_user_id, actor_identity_id, roles }
    });
    Ok(Json(ApplicationPermissionsAnswer {
        data: ApplicationPermissions { permissions: permissions.collect(), memberships: memberships.collect() },
    }))
}

async fn list_profiles(
    State(authority): State<Authority>,
    Caller(call): Caller,
    Id(id): Id<ApplicationId>,
) -> Answer<ApplicationProfilesAnswer> {
    let id = authority.application_of(&call, id).await?.id;
    Ok(profiles_answer(&authority.reader().profiles_of_application(id).await?))
}

async fn attach(
    State(authority): State<Authority>,
    Caller(call): Caller,
    Id(id): Id<ApplicationId>,
    Body(body): Body<AttachProfiles>,
) -> Answer<ApplicationProfilesAnswer> {
    let mut issues = Issues::default();
    issues.count("profileIds", body.profile_ids.len(), LIST_MAX);
    if body.profile_ids.is_empty() {
        issues.add_as("profileIds", "too_small", "must contain at least 1 item");
    }
    issues.finish()?;
    let profiles = body.profile_ids.into_iter().map(ProfileId::from_uuid).collect();
    Ok(profiles_answer(&authority.attach_profiles(&call, id, profiles).await?))
}

async fn detach(
    State(authority): State<Authority>,
    Caller(call): Caller,
    Ids(id, profile): Ids<ApplicationId, ProfileId>,
) -> Answer<ApplicationProfilePair> {
    authority.detach_profile(&call, id, profile).await?;
    Ok(pair(id, profile))
}

async fn assign(
    State(authority): State<Authority>,
    Caller(call): Caller,
    Id(id): Id<CertificateId>,
    Body(body): Body<AssignApplication>,
) -> Answer<AssignedCertificateAnswer> {
    let application = ApplicationId::from_uuid(body.application_id);
    let certificate = authority.assign_certificate(&call, id, application).await?;
    Ok(Json(AssignedCertificateAnswer { certificate: detailed(&authority, &call, &certificate).await? }))
}

pub(crate) fn pair(application: ApplicationId, profile: ProfileId) -> Json<ApplicationProfilePair> {
    Json(ApplicationProfilePair { application_id: application.as_uuid(), profile_id: profile.as_uuid() })
}

/// The name that certificates show; `None` once the application is gone.
pub(crate) async fn name_of(
    authority: &Authority,
    call: &Call,
    id: Option<ApplicationId>,
) -> Result<Option<String>, ApiError> {
    let Some(id) = id else { return Ok(None) };
    Ok(authority.reader().application(call.project_id(), id).await?.map(|it| it.name))
}

fn answer(application: &Application) -> Json<ApplicationAnswer> {
    Json(ApplicationAnswer {
        application: wire::application::Application {
            id: application.id.as_uuid(),
            project_id: application.project_id.as_uuid(),
            name: application.name.clone(),
            description: application.description.clone(),
            created_at: application.created_at.to_string(),
            updated_at: application.updated_at.to_string(),
        },
    })
}

fn counted(from: &CountedApplication) -> wire::application::CountedApplication {
    let application = &from.application;
    wire::application::CountedApplication {
        id: application.id.as_uuid(),
        project_id: application.project_id.as_uuid(),
        name: application.name.clone(),
        description: application.description.clone(),
        created_at: application.created_at.to_string(),
        updated_at: application.updated_at.to_string(),
        profile_count: from.profiles,
        member_count: from.members,
        certificate_count: from.certificates,
    }
}

fn profiles_answer(profiles: &[AttachedProfile]) -> Json<ApplicationProfilesAnswer> {
    let shown = profiles.iter().map(|it| wire::application::ApplicationProfile {
        application_id: it.attachment.application_id.as_uuid(),
        profile_id: it.attachment.profile_id.as_uuid(),
        profile_slug: it.slug.clone(),
        profile_description: it.description.clone(),
        est_config_id: None,
        api_config_id: it.attachment.api.as_ref().map(|api| api.id.as_uuid()),
        acme_config_id: None,
        scep_config_id: None,
        created_at: it.attachment.created_at.to_string(),
        updated_at: it.attachment.updated_at.to_string(),
    });
    Json(ApplicationProfilesAnswer { profiles: shown.collect() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_in_the_query_are_read_one_by_one() {
        let id = "019bc186-de00-7a7c-88a8-9c17db622644";
        let check = |ids: Option<&str>, expected: Result<Option<usize>, u16>| {
            let query = ApplicationsQuery { application_ids: ids.map(str::to_owned), ..ApplicationsQuery::default() };
            let found = filter(query).map(|it| it.ids.map(|ids| ids.len())).map_err(|error| error.status().as_u16());
            assert_eq!(found, expected, "{ids:?}");
        };
        check(None, Ok(None));
        check(Some(" "), Ok(None));
        check(Some(id), Ok(Some(1)));
        check(Some(&format!("{id}, {id},")), Ok(Some(2)));
        check(Some("one"), Err(422));
        check(Some(&vec![id; 101].join(",")), Err(422));
    }
}
