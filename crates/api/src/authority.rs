//! Internal certification authorities.

use axum::Json;
use axum::extract::State;
use chancery_authority::enrollment::Field;
use chancery_authority::hierarchy::{CaPatch, NewCa};
use chancery_authority::{Authority, Call};
use chancery_model::authority::{
    AutoRenewal, CaCertificate, CaLevel, CaStatus, CertificationAuthority, InternalCaConfiguration,
    NameConstraintRules, StatusSettings, Subtree,
};
use chancery_model::permission::Permission;
use chancery_model::{CaId, TemplateId};
use chancery_pkix::Certificate;
use chancery_wire as wire;
use chancery_wire::Nullable;
use chancery_wire::authority::{Ca, CaConfiguration, CasAnswer, CreateCa, UpdateCa};
use chancery_wire::page::ProjectQuery;

use crate::error::ApiError;
use crate::extract::{Answer, Body, Caller, Id, PathText, Query};
use crate::issues::Issues;
use crate::project::check_project;
use crate::route::Endpoint;

const BASE: &str = "/api/v1/cert-manager/ca";

pub(crate) fn endpoints() -> Vec<Endpoint> {
    use Permission::{CaCreate, CaDelete, CaEdit, CaRead};
    let internal = format!("{BASE}/internal");
    let one = format!("{internal}/{{caId}}");
    let other = format!("{BASE}/{{type}}");
    let other_one = format!("{other}/{{id}}");
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
        Endpoint::get(&other, CaRead, unknown_type)
            .named("listExternalCas", "Refused: only internal CAs exist in this build"),
        Endpoint::post(&other, CaCreate, unknown_type)
            .named("createExternalCa", "Refused: only internal CAs exist in this build")
            .reads_only(),
        Endpoint::get(&other_one, CaRead, unknown_type)
            .named("readExternalCa", "Refused: only internal CAs exist in this build"),
        Endpoint::patch(&other_one, CaEdit, unknown_type)
            .named("updateExternalCa", "Refused: only internal CAs exist in this build")
            .reads_only(),
        Endpoint::delete(&other_one, CaDelete, unknown_type)
            .named("deleteExternalCa", "Refused: only internal CAs exist in this build")
            .reads_only(),
    ]
}

async fn unknown_type(PathText(kind): PathText) -> ApiError {
    let kind: String = kind.chars().take(40).collect();
    let message = format!("CA type \"{kind}\" does not exist in this build; the types that exist are: internal");
    ApiError::bad_request("ca.type", message)
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
    Ok(Json(CasAnswer { certificate_authorities: all(&authority, &call).await? }))
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
    let patch = CaPatch { name: body.name, status: body.status.map(from_status), direct_issuance_template };
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

async fn answer(authority: &Authority, ca: &CertificationAuthority) -> Answer<Ca> {
    let certificate = match ca.active_certificate {
        Some(id) => authority.reader().ca_certificate(id).await?,
        None => None,
    };
    Ok(Json(shown(ca, certificate.as_ref())))
}

/// The wire's configuration in the model's words. Settings for what this build lacks are refused, never ignored.
fn configuration(from: CaConfiguration, issues: &mut Issues) -> Result<InternalCaConfiguration, ApiError> {
    refuse_missing_parts(&from)?;
    let mut text = |name: &str, value: Option<String>| {
        let value = value.map(|it| it.trim().to_owned()).unwrap_or_default();
        issues.length(&format!("configuration.{name}"), &value, 0..=255);
        value
    };
    let mut made = InternalCaConfiguration {
        level: match from.level {
            wire::words::CaLevel::Root => CaLevel::Root,
            wire::words::CaLevel::Intermediate => CaLevel::Intermediate,
        },
        friendly_name: text("friendlyName", from.friendly_name),
        common_name: text("commonName", from.common_name),
        organization: text("organization", from.organization),
        organizational_unit: text("ou", from.ou),
        country: text("country", from.country),
        state: text("province", from.province),
        locality: text("locality", from.locality),
        key_algorithm: chancery_pkix::KeyAlgorithm::EcP256,
        signature_algorithm: None,
        not_before: issues.date("configuration.notBefore", from.not_before.as_deref().filter(|it| !it.is_empty())),
        not_after: issues.date("configuration.notAfter", from.not_after.as_deref().filter(|it| !it.is_empty())),
        path_length_max: from.max_path_length.filter(|length| *length >= 0),
        name_constraints: from.name_constraints.map(|rules| constraints(rules, issues)),
        status: StatusSettings::default(),
        auto_renewal: AutoRenewal::default(),
    };
    if let Some(algorithm) = issues.word("configuration.keyAlgorithm", from.key_algorithm.as_str()) {
        made.key_algorithm = algorithm;
    }
    made.signature_algorithm =
        from.signature_algorithm.and_then(|it| issues.word("configuration.signatureAlgorithm", it.as_str()));
    issues.range("configuration.maxPathLength", from.max_path_length.unwrap_or(-1), -1..=255);
    let subject =
        [&made.common_name, &made.organization, &made.organizational_unit, &made.country, &made.state, &made.locality];
    if subject.iter().all(|value| value.is_empty()) {
        issues
            .add("configuration.commonName", "at least one subject field must be filled; commonName is the usual one");
    }
    Ok(made)
}

fn refuse_missing_parts(from: &CaConfiguration) -> Result<(), ApiError> {
    let refuse =
        |field: &str, why: &str| Err(ApiError::bad_request("ca.unsupported", format!("configuration.{field}: {why}")));
    if from.key_source.as_deref().is_some_and(|source| source != "infisical") {
        return refuse("keySource", "this build holds CA keys itself; leave keySource out");
    }
    if from.is_ocsp_enabled == Some(true) {
        return refuse("isOcspEnabled", "there is no OCSP responder in this build; leave it out");
    }
    if from.crl_distribution_point_urls.as_ref().is_some_and(|urls| !urls.is_empty()) {
        return refuse("crlDistributionPointUrls", "revocation lists are not published by this build; leave it out");
    }
    Ok(())
}

fn constraints(from: wire::authority::NameConstraints, issues: &mut Issues) -> NameConstraintRules {
    let mut list = |name: &str, subtrees: Vec<wire::authority::Subtree>| {
        let mut made = Vec::with_capacity(subtrees.len());
        issues.count(&format!("configuration.nameConstraints.{name}"), subtrees.len(), 100);
        for (index, subtree) in subtrees.into_iter().enumerate() {
            let place = format!("configuration.nameConstraints.{name}[{index}]");
            issues.length(&format!("{place}.value"), &subtree.value, 1..=255);
            if let Some(kind) = issues.word(&format!("{place}.type"), subtree.kind.as_str()) {
                made.push(Subtree { kind, value: subtree.value });
            }
        }
        made
    };
    NameConstraintRules { permitted: list("permitted", from.permitted), excluded: list("excluded", from.excluded) }
}

fn shown(ca: &CertificationAuthority, certificate: Option<&CaCertificate>) -> Ca {
    Ca {
        id: ca.id.as_uuid(),
        project_id: ca.project_id.as_uuid(),
        name: ca.name.clone(),
        status: status(ca.status),
        kind: "internal".to_owned(),
        enable_direct_issuance: ca.direct_issuance_template.is_some(),
        direct_issuance_policy_id: ca.direct_issuance_template.map(|id| id.as_uuid()),
        configuration: shown_configuration(ca, certificate),
        created_at: ca.created_at.to_string(),
        updated_at: ca.updated_at.to_string(),
    }
}

fn shown_configuration(ca: &CertificationAuthority, certificate: Option<&CaCertificate>) -> CaConfiguration {
    let from = &ca.configuration;
    let parsed = certificate.and_then(|it| Certificate::from_der(&it.der).ok());
    let time = |own: Option<chancery_model::Timestamp>, certified: Option<chancery_model::Timestamp>| {
        certified.or(own).map(|time| time.to_string())
    };
    let text = |value: &str| Some(value.to_owned());
    CaConfiguration {
        level: match from.level {
            CaLevel::Root => wire::words::CaLevel::Root,
            CaLevel::Intermediate => wire::words::CaLevel::Intermediate,
        },
        friendly_name: text(&from.friendly_name),
        common_name: text(&from.common_name),
        organization: text(&from.organization),
        ou: text(&from.organizational_unit),
        country: text(&from.country),
        province: text(&from.state),
        locality: text(&from.locality),
        key_algorithm: wire::words::KeyAlgorithm::from_name(from.key_algorithm.as_str())
            .unwrap_or(wire::words::KeyAlgorithm::EcP256),
        signature_algorithm: from
            .signature_algorithm
            .and_then(|it| wire::words::SignatureAlgorithm::from_name(it.as_str())),
        not_before: time(from.not_before, certificate.map(|it| it.not_before)),
        not_after: time(from.not_after, certificate.map(|it| it.not_after)),
        max_path_length: match certificate {
            Some(it) => Some(it.path_length.map_or(-1, i64::from)),
            None => from.path_length_max,
        },
        key_source: Some("infisical".to_owned()),
        name_constraints: from.name_constraints.as_ref().map(shown_constraints),
        crl_distribution_point_urls: None,
        is_ocsp_enabled: None,
        dn: parsed.and_then(|it| it.subject().ok()).map(|it| it.to_string()),
        parent_ca_id: certificate.and_then(|it| it.parent_ca_id).map(|id| id.as_uuid()),
        serial_number: certificate.map(|it| it.serial_number.clone()),
        active_ca_cert_id: ca.active_certificate.map(|id| id.as_uuid()),
    }
}

fn shown_constraints(from: &NameConstraintRules) -> wire::authority::NameConstraints {
    let list = |subtrees: &[Subtree]| {
        let one = |it: &Subtree| {
            let kind = wire::words::SanType::from_name(it.kind.as_str())?;
            Some(wire::authority::Subtree { kind, value: it.value.clone() })
        };
        subtrees.iter().filter_map(one).collect()
    };
    wire::authority::NameConstraints { permitted: list(&from.permitted), excluded: list(&from.excluded) }
}

pub(crate) const fn status(status: CaStatus) -> wire::words::CaStatus {
    match status {
        CaStatus::Active => wire::words::CaStatus::Active,
        CaStatus::Disabled => wire::words::CaStatus::Disabled,
        CaStatus::PendingCertificate => wire::words::CaStatus::PendingCertificate,
    }
}

const fn from_status(status: wire::words::CaStatus) -> CaStatus {
    match status {
        wire::words::CaStatus::Active => CaStatus::Active,
        wire::words::CaStatus::Disabled => CaStatus::Disabled,
        wire::words::CaStatus::PendingCertificate => CaStatus::PendingCertificate,
    }
}
