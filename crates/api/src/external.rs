//! External certification authorities: one set of routes for each type that this build can ask.

use axum::Json;
use axum::extract::State;
use chancery_authority::external::{ExternalCaPatch, NewExternalCa};
use chancery_authority::{Authority, Call};
use chancery_model::CaId;
use chancery_model::authority::CaStatus;
use chancery_model::external::{ExternalCa, ExternalCaKind};
use chancery_model::permission::Permission;
use chancery_wire as wire;
use chancery_wire::external::{AcmeSettings, CreateExternalCa, DigicertSettings, UpdateExternalCa, VaultSettings};
use chancery_wire::page::ProjectQuery;

use crate::authority::from_status;
use crate::error::ApiError;
use crate::external_answer::shown;
use crate::external_form::Settings;
use crate::extract::{Answer, Body, Caller, Id, PathText, Query};
use crate::issues::Issues;
use crate::project::check_project;
use crate::route::Endpoint;

const BASE: &str = "/api/v1/cert-manager/ca";

/// Types of CA that the contract names and this build has not.
const MISSING_TYPES: &[&str] = &["adcs", "aws-acm-public-ca", "aws-pca", "azure-ad-cs", "godaddy", "venafi-tpp"];

pub(crate) fn endpoints() -> Vec<Endpoint> {
    use Permission::{CaCreate, CaDelete, CaEdit, CaRead};
    let other = format!("{BASE}/{{type}}");
    let other_one = format!("{other}/{{id}}");
    let refused = "Refused: this type of CA does not exist in this build";
    let mut all = of_kind::<AcmeSettings>("Acme");
    all.push(
        Endpoint::post(format!("{BASE}/acme/{{id}}/account-key"), CaEdit, change_account_key)
            .named("changeAcmeAccountKey", "Give the account at an ACME CA a new key")
            .answers::<wire::external::ExternalCa>(),
    );
    all.extend(of_kind::<DigicertSettings>("Digicert"));
    all.extend(of_kind::<VaultSettings>("Vault"));
    all.extend([
        Endpoint::get(&other, CaRead, unknown_type).named("listExternalCas", refused),
        Endpoint::post(&other, CaCreate, unknown_type).named("createExternalCa", refused).reads_only(),
        Endpoint::get(&other_one, CaRead, unknown_type).named("readExternalCa", refused),
        Endpoint::patch(&other_one, CaEdit, unknown_type).named("updateExternalCa", refused).reads_only(),
        Endpoint::delete(&other_one, CaDelete, unknown_type).named("deleteExternalCa", refused).reads_only(),
    ]);
    all
}

fn of_kind<S: Settings>(word: &str) -> Vec<Endpoint> {
    use Permission::{CaCreate, CaDelete, CaEdit, CaRead};
    let all = format!("{BASE}/{}", S::KIND.as_str());
    let one = format!("{all}/{{id}}");
    vec![
        Endpoint::get(&all, CaRead, list::<S>)
            .named(format!("list{word}Cas"), "List the external CAs of this type")
            .asks::<ProjectQuery>()
            .answers_list::<wire::external::ExternalCa>(),
        Endpoint::post(&all, CaCreate, create::<S>)
            .named(format!("create{word}Ca"), "Make an external CA; its settings are tried at the CA first")
            .takes::<S::Create>()
            .answers::<wire::external::ExternalCa>(),
        Endpoint::get(&one, CaRead, read::<S>)
            .named(format!("read{word}Ca"), "Read an external CA")
            .answers::<wire::external::ExternalCa>(),
        Endpoint::patch(&one, CaEdit, update::<S>)
            .named(format!("update{word}Ca"), "Change an external CA; changed settings are tried at the CA first")
            .takes::<S::Update>()
            .answers::<wire::external::ExternalCa>(),
        Endpoint::delete(&one, CaDelete, delete::<S>)
            .named(format!("delete{word}Ca"), "Delete an external CA that nothing refers to")
            .answers::<wire::external::ExternalCa>(),
    ]
}

async fn unknown_type(PathText(kind): PathText) -> ApiError {
    let kind: String = kind.chars().filter(|it| !it.is_control()).take(40).collect();
    let kinds: Vec<&str> = ExternalCaKind::ALL.iter().map(|it| it.as_str()).collect();
    let exist = format!("the types that exist are internal, {}", kinds.join(", "));
    let message = if MISSING_TYPES.contains(&kind.as_str()) {
        format!("CA type \"{kind}\" is not in this build (nor are the others of {}); {exist}", MISSING_TYPES.join(", "))
    } else {
        format!("There is no CA type \"{kind}\"; {exist}")
    };
    ApiError::bad_request("ca.type", message)
}

async fn list<S: Settings>(
    State(authority): State<Authority>,
    Caller(call): Caller,
    Query(query): Query<ProjectQuery>,
) -> Answer<Vec<wire::external::ExternalCa>> {
    check_project(&call, query.project_id.as_deref())?;
    let all = authority.reader().external_cas(call.project_id()).await?;
    Ok(Json(all.iter().filter(|ca| ca.kind() == S::KIND).map(shown).collect()))
}

async fn create<S: Settings>(
    State(authority): State<Authority>,
    Caller(call): Caller,
    Body(body): Body<S::Create>,
) -> Answer<wire::external::ExternalCa> {
    let body: CreateExternalCa<S> = body.into();
    check_project(&call, body.project_id.as_deref())?;
    let mut issues = Issues::default();
    issues.slug("name", &body.name, 64);
    let (configuration, secrets) = body.configuration.apply(None, issues)?;
    let status = body.status.map_or(CaStatus::Active, from_status);
    let new = NewExternalCa { name: body.name, status, configuration, secrets };
    let (ca, warnings) = authority.create_external_ca(&call, new).await?;
    Ok(Json(with_warnings(shown(&ca), warnings)))
}

async fn read<S: Settings>(
    State(authority): State<Authority>,
    Caller(call): Caller,
    Id(id): Id<CaId>,
) -> Answer<wire::external::ExternalCa> {
    Ok(Json(shown(&find(&authority, &call, S::KIND, id).await?)))
}

async fn update<S: Settings>(
    State(authority): State<Authority>,
    Caller(call): Caller,
    Id(id): Id<CaId>,
    Body(body): Body<S::Update>,
) -> Answer<wire::external::ExternalCa> {
    let body: UpdateExternalCa<S> = body.into();
    let before = find(&authority, &call, S::KIND, id).await?;
    let mut issues = Issues::default();
    if let Some(name) = &body.name {
        issues.slug("name", name, 64);
    }
    let mut patch = ExternalCaPatch { name: body.name, status: body.status.map(from_status), ..Default::default() };
    match body.configuration {
        None => issues.finish()?,
        Some(settings) => {
            let (configuration, secrets) = settings.apply(Some(&before.configuration), issues)?;
            // Terraform sends all settings with every change of the name; the CA is asked only about others.
            patch.configuration = (configuration != before.configuration).then_some(configuration);
            patch.secrets = secrets;
        }
    }
    let (ca, warnings) = authority.update_external_ca(&call, id, patch).await?;
    Ok(Json(with_warnings(shown(&ca), warnings)))
}

async fn delete<S: Settings>(
    State(authority): State<Authority>,
    Caller(call): Caller,
    Id(id): Id<CaId>,
) -> Answer<wire::external::ExternalCa> {
    find(&authority, &call, S::KIND, id).await?;
    Ok(Json(shown(&authority.delete_external_ca(&call, id).await?)))
}

async fn change_account_key(
    State(authority): State<Authority>,
    Caller(call): Caller,
    Id(id): Id<CaId>,
) -> Answer<wire::external::ExternalCa> {
    find(&authority, &call, ExternalCaKind::Acme, id).await?;
    Ok(Json(shown(&authority.change_account_key(&call, id).await?)))
}

/// An id of another type is as unknown as one of nobody.
async fn find(authority: &Authority, call: &Call, kind: ExternalCaKind, id: CaId) -> Result<ExternalCa, ApiError> {
    let found = authority.reader().external_ca(call.project_id(), id).await?;
    found.filter(|ca| ca.kind() == kind).ok_or_else(|| ApiError::not_found("CA", id))
}

fn with_warnings(shown: wire::external::ExternalCa, texts: Vec<String>) -> wire::external::ExternalCa {
    let warning =
        |message| wire::Warning { code: "ca.upstream".to_owned(), field: "configuration".to_owned(), message };
    wire::external::ExternalCa { warnings: texts.into_iter().map(warning).collect(), ..shown }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_type_that_this_build_lacks_is_refused_by_name() {
        for (word, expected) in [("venafi-tpp", "is not in this build"), ("sectigo", "There is no CA type \"sectigo\"")]
        {
            let body = unknown_type(PathText(word.to_owned())).await.body("r");
            assert_eq!((body.status_code, body.code.as_deref()), (400, Some("ca.type")), "{word}");
            let text = body.message.to_string();
            assert!(text.contains(expected) && text.contains("internal, acme, digicert, vault"), "{text}");
        }
    }
}
