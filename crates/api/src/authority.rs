//! Internal certification authorities, and the list of all.

use axum::Json;
use axum::extract::State;
use chancery_authority::enrollment::Field;
use chancery_authority::hierarchy::{CaPatch, NewCa, StatusPatch};
use chancery_authority::{Authority, Call};
use chancery_model::authority::{CaCertificate, CaStatus, CertificationAuthority};
use chancery_model::permission::Permission;
use chancery_model::{CaId, TemplateId};
use chancery_wire as wire;
use chancery_wire::Nullable;
use chancery_wire::authority::{Ca, CreateCa, UpdateCa};
use chancery_wire::external::{AnyCa, CasAnswer};
use chancery_wire::page::ProjectQuery;

use crate::authority_configuration::{configuration, patch, shown_configuration};
use crate::error::ApiError;
use crate::external_answer;
use crate::extract::{Answer, Body, Caller, Id, Query};
use crate::issues::Issues;
use crate::project::check_project;
use crate::route::Endpoint;

const BASE: &str = "/api/v1/cert-manager/ca";

pub(crate) fn endpoints() -> Vec<Endpoint> {
    use Permission::{CaCreate, CaDelete, CaEdit, CaRead};
    let internal = format!("{BASE}/internal");
    let one = format!("{internal}/{{caId}}");
    vec![
        Endpoint::get(BASE, CaRead, list_all)
            .named("listCas", "List CAs of all types")
            .asks::<ProjectQuery>()
            .answers::<CasAnswer>(),
        Endpoint::post(&internal, CaCreate, create)
            .named("createInternalCa", "Make an internal CA")
            .takes::<CreateCa>()
            .answers::<Ca>(),
        Endpoint::get(&internal, CaRead, list)
            .named("listInternalCas", "List internal CAs")
            .asks::<ProjectQuery>()
            .answers_list::<Ca>(),
        Endpoint::get(&one, CaRead, read).named("readInternalCa", "Read an internal CA").answers::<Ca>(),
        Endpoint::patch(&one, CaEdit, update)
            .named("updateInternalCa", "Change an internal CA")
            .takes::<UpdateCa>()
            .answers::<Ca>(),
        Endpoint::delete(&one, CaDelete, delete)
            .named("deleteInternalCa", "Delete an internal CA that nothing refers to")
            .answers::<Ca>(),
    ]
}

async fn create(State(authority): State<Authority>, Caller(call): Caller, Body(body): Body<CreateCa>) -> Answer<Ca> {
    check_project(&call, body.project_id.as_deref())?;
    let mut issues = Issues::default();
    issues.slug("name", &body.name, 64);
    let configuration = configuration(body.configuration, &mut issues)?;
    issues.finish()?;
    let new = NewCa {
        name: body.name,
        status: body.status.map_or(CaStatus::Active, from_status),
        configuration,
        direct_issuance_template: body.direct_issuance_policy_id.map(TemplateId::from_uuid),
    };
    let ca = authority.create_ca(&call, new).await?;
    answer(&authority, &ca).await
}

async fn list(
    State(authority): State<Authority>,
    Caller(call): Caller,
    Query(query): Query<ProjectQuery>,
) -> Answer<Vec<Ca>> {
    check_project(&call, query.project_id.as_deref())?;
    Ok(Json(all(&authority, &call).await?))
}

async fn list_all(
    State(authority): State<Authority>,
    Caller(call): Caller,
    Query(query): Query<ProjectQuery>,
) -> Answer<CasAnswer> {
    check_project(&call, query.project_id.as_deref())?;
    let internal = all(&authority, &call).await?;
    let external = authority.reader().external_cas(call.project_id()).await?;
    let mut all: Vec<AnyCa> = internal.into_iter().map(|ca| AnyCa::Internal(Box::new(ca))).collect();
    all.extend(external.iter().map(|ca| AnyCa::External(Box::new(external_answer::shown(ca)))));
    Ok(Json(CasAnswer { certificate_authorities: all }))
}

async fn read(State(authority): State<Authority>, Caller(call): Caller, Id(id): Id<CaId>) -> Answer<Ca> {
    let ca = find(&authority, &call, id).await?;
    answer(&authority, &ca).await
}

async fn update(
    State(authority): State<Authority>,
    Caller(call): Caller,
    Id(id): Id<CaId>,
    Body(body): Body<UpdateCa>,
) -> Answer<Ca> {
    let mut issues = Issues::default();
    if let Some(name) = &body.name {
        issues.slug("name", name, 64);
    }
    issues.finish()?;
    let direct_issuance_template = match body.direct_issuance_policy_id {
        Nullable::Missing => Field::Missing,
        Nullable::Null => Field::Null,
        Nullable::Value(template) => Field::Value(TemplateId::from_uuid(template)),
    };
    let status_settings = match body.configuration {
        None => StatusPatch::default(),
        Some(configuration) => {
            let before = find(&authority, &call, id).await?;
            let stored = answer(&authority, &before).await?.0.configuration;
            patch(configuration, &stored)?
        }
    };
    let status = body.status.map(from_status);
    let patch = CaPatch { name: body.name, status, direct_issuance_template, status_settings };
    let ca = authority.update_ca(&call, id, patch).await?;
    answer(&authority, &ca).await
}

async fn delete(State(authority): State<Authority>, Caller(call): Caller, Id(id): Id<CaId>) -> Answer<Ca> {
    let before = find(&authority, &call, id).await?;
    let shown = answer(&authority, &before).await?;
    authority.delete_ca(&call, id).await?;
    Ok(shown)
}

pub(crate) async fn find(authority: &Authority, call: &Call, id: CaId) -> Result<CertificationAuthority, ApiError> {
    authority.reader().ca(call.project_id(), id).await?.ok_or_else(|| ApiError::not_found("CA", id))
}

async fn all(authority: &Authority, call: &Call) -> Result<Vec<Ca>, ApiError> {
    let mut shown = Vec::new();
    for ca in authority.reader().cas(call.project_id()).await? {
        shown.push(answer(authority, &ca).await?.0);
    }
    Ok(shown)
}

pub(crate) async fn answer(authority: &Authority, ca: &CertificationAuthority) -> Answer<Ca> {
    let certificate = match ca.active_certificate {
        Some(id) => authority.reader().ca_certificate(id).await?,
        None => None,
    };
    Ok(Json(shown(ca, certificate.as_ref(), authority.repository_url())))
}

fn shown(ca: &CertificationAuthority, certificate: Option<&CaCertificate>, repository_url: Option<&str>) -> Ca {
    Ca {
        id: ca.id.as_uuid(),
        project_id: ca.project_id.as_uuid(),
        name: ca.name.clone(),
        status: status(ca.status),
        kind: "internal".to_owned(),
        enable_direct_issuance: ca.direct_issuance_template.is_some(),
        direct_issuance_policy_id: ca.direct_issuance_template.map(|id| id.as_uuid()),
        configuration: shown_configuration(ca, certificate, repository_url),
        created_at: ca.created_at.to_string(),
        updated_at: ca.updated_at.to_string(),
        warnings: Vec::new(),
    }
}

pub(crate) const fn status(status: CaStatus) -> wire::words::CaStatus {
    match status {
        CaStatus::Active => wire::words::CaStatus::Active,
        CaStatus::Disabled => wire::words::CaStatus::Disabled,
        CaStatus::PendingCertificate => wire::words::CaStatus::PendingCertificate,
    }
}

pub(crate) const fn from_status(status: wire::words::CaStatus) -> CaStatus {
    match status {
        wire::words::CaStatus::Active => CaStatus::Active,
        wire::words::CaStatus::Disabled => CaStatus::Disabled,
        wire::words::CaStatus::PendingCertificate => CaStatus::PendingCertificate,
    }
}
