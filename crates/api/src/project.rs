//! Projects, under their newer and older paths. A caller sees its own project and no other.

use axum::Json;
use axum::extract::State;
use chancery_authority::access::{NewProject, ProjectPatch};
use chancery_authority::{Authority, Call};
use chancery_model::ProjectId;
use chancery_model::permission::Permission;
use chancery_model::project::Project;
use chancery_wire as wire;
use chancery_wire::identity::{AppointAdministrator, AppointedAdministrator};
use chancery_wire::project::{CreateProject, ProjectAnswer, ProjectsAnswer, UpdateProject, WorkspaceAnswer};

use crate::error::ApiError;
use crate::extract::{Answer, Body, Caller, Id, PathText};
use crate::route::Endpoint;

pub(crate) fn endpoints() -> Vec<Endpoint> {
    use Permission::{IdentityManage, ProjectEdit, ProjectRead};
    vec![
        Endpoint::get("/api/v1/projects", ProjectRead, list)
            .named("listProjects", "List the caller's projects")
            .answers::<ProjectsAnswer>(),
        Endpoint::get("/api/v1/projects/slug/{slug}", ProjectRead, read_by_slug)
            .named("readProjectBySlug", "Read a project by its slug")
            .answers::<wire::project::Project>(),
        Endpoint::patch("/api/v1/projects/{projectId}", ProjectEdit, update)
            .named("updateProject", "Change a project")
            .takes::<UpdateProject>()
            .answers::<wire::project::Project>(),
        Endpoint::post("/api/v1/projects/{projectId}/administrators", IdentityManage, appoint)
            .named("appointProjectAdministrator", "Give a new project its first administrator, a machine identity")
            .takes::<AppointAdministrator>()
            .answers::<AppointedAdministrator>(),
        Endpoint::get("/api/v1/workspace/{projectId}", ProjectRead, read)
            .named("readWorkspace", "Read a project (older form)")
            .answers::<WorkspaceAnswer>()
            .deprecated(),
        Endpoint::get("/api/v2/workspace/{slug}", ProjectRead, read_by_slug)
            .named("readWorkspaceBySlug", "Read a project by its slug (older form)")
            .answers::<wire::project::Project>()
            .deprecated(),
        Endpoint::post("/api/v2/workspace", ProjectEdit, create)
            .named("createProject", "Make a project")
            .takes::<CreateProject>()
            .answers::<ProjectAnswer>(),
    ]
}

async fn list(State(authority): State<Authority>, Caller(call): Caller) -> Answer<ProjectsAnswer> {
    let own = own(&authority, &call).await?;
    Ok(Json(ProjectsAnswer { projects: vec![shown(&authority, &own)] }))
}

async fn read_by_slug(
    State(authority): State<Authority>,
    Caller(call): Caller,
    PathText(slug): PathText,
) -> Answer<wire::project::Project> {
    Ok(Json(shown(&authority, &named(&authority, &call, &slug).await?)))
}

async fn read(
    State(authority): State<Authority>,
    Caller(call): Caller,
    Id(id): Id<ProjectId>,
) -> Answer<WorkspaceAnswer> {
    let own = own(&authority, &call).await?;
    if own.id != id {
        return Err(ApiError::not_found("Project", id));
    }
    Ok(Json(WorkspaceAnswer { workspace: shown(&authority, &own) }))
}

async fn create(
    State(authority): State<Authority>,
    Caller(call): Caller,
    Body(body): Body<CreateProject>,
) -> Answer<ProjectAnswer> {
    let new = NewProject { name: body.project_name, slug: body.slug, description: body.project_description };
    let project = authority.create_project(&call, new).await?;
    Ok(Json(ProjectAnswer { project: shown(&authority, &project) }))
}

async fn update(
    State(authority): State<Authority>,
    Caller(call): Caller,
    Id(id): Id<ProjectId>,
    Body(body): Body<UpdateProject>,
) -> Answer<wire::project::Project> {
    let patch = ProjectPatch { name: body.name, slug: body.slug, description: body.description.into_change() };
    Ok(Json(shown(&authority, &authority.update_project(&call, id, patch).await?)))
}

async fn appoint(
    State(authority): State<Authority>,
    Caller(call): Caller,
    Id(id): Id<ProjectId>,
    Body(body): Body<AppointAdministrator>,
) -> Answer<AppointedAdministrator> {
    let (identity, secret) = authority.appoint_administrator(&call, id, &body.name).await?;
    let Some(auth) = &identity.universal_auth else {
        return Err(ApiError::internal(format!("the appointed administrator {} cannot log in", identity.id)));
    };
    Ok(Json(AppointedAdministrator {
        client_id: auth.client_id,
        client_secret: secret.as_str().to_owned(),
        identity: crate::identity::shown(&authority, &identity),
    }))
}

/// The caller's project.
pub(crate) async fn own(authority: &Authority, call: &Call) -> Result<Project, ApiError> {
    let found = authority.reader().project(call.project_id()).await?;
    found.ok_or_else(|| ApiError::not_found("Project", call.project_id()))
}

/// The caller's project, if that is its slug.
pub(crate) async fn named(authority: &Authority, call: &Call, slug: &str) -> Result<Project, ApiError> {
    let own = own(authority, call).await?;
    if own.slug == slug { Ok(own) } else { Err(ApiError::not_found("Project", slug)) }
}

/// A `projectId` in a request may be left out and must otherwise be the caller's.
pub(crate) fn check_project(call: &Call, given: Option<&str>) -> Result<(), ApiError> {
    match given.filter(|text| !text.is_empty()) {
        Some(text) if text.parse() != Ok(call.project_id()) => Err(ApiError::not_found("Project", text)),
        _ => Ok(()),
    }
}

fn shown(authority: &Authority, project: &Project) -> wire::project::Project {
    wire::project::Project {
        id: project.id.as_uuid(),
        name: project.name.clone(),
        slug: project.slug.clone(),
        kind: "cert-manager".to_owned(),
        description: project.description.clone(),
        org_id: authority.default_project_id().as_uuid(),
        auto_capitalization: false,
        version: 3,
        upgrade_status: None,
        created_at: project.created_at.to_string(),
        updated_at: project.updated_at.to_string(),
    }
}
