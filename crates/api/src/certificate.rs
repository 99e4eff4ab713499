//! Certificates that exist: reading them in every form, finding them, labelling them, and when they are renewed.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use chancery_authority::renewal::{ConfiguredRenewal, RenewalConfiguration};
use chancery_authority::{Authority, Call};
use chancery_model::certificate::{Certificate, CertificateFilter};
use chancery_model::page::PageRequest;
use chancery_model::permission::Permission;
use chancery_model::{CertificateId, ProjectId};
use chancery_pkix::pem;
use chancery_wire as wire;
use chancery_wire::certificate::{
    CertificateAnswer, CertificateBundle, CertificatePem, CertificatesAnswer, CertificatesQuery, ConfigureRenewal,
    ConfigureRenewalAnswer, MetadataAnswer, SearchCertificates, UpdateCertificate,
};
use http::header;

use crate::authority_certificate::pem_chain;
use crate::certificate_answer::{detailed, shown};
use crate::error::ApiError;
use crate::extract::{Answer, Body, Caller, Id, PathText, Query};
use crate::identity::pairs;
use crate::issues::Issues;
use crate::profile::renew_at;
use crate::project;
use crate::route::Endpoint;
use crate::search;

pub(crate) fn endpoints() -> Vec<Endpoint> {
    let mut all = of_one();
    all.extend(lists());
    all
}

fn of_one() -> Vec<Endpoint> {
    use Permission::{CertificateDelete, CertificateEdit, CertificateRead, CertificateReadPrivateKey};
    let path = |rest: &str| format!("/api/v1/cert-manager/certificates/{{id}}{rest}");
    vec![
        Endpoint::get(path(""), CertificateRead, read)
            .named("readCertificate", "Read a certificate")
            .answers::<CertificateAnswer>(),
        Endpoint::patch(path(""), CertificateEdit, update)
            .named("updateCertificate", "Change the metadata of a certificate")
            .takes::<UpdateCertificate>()
            .answers::<MetadataAnswer>(),
        Endpoint::delete(path(""), CertificateDelete, delete)
            .named("deleteCertificate", "Take a certificate out of the inventory")
            .answers::<CertificateAnswer>(),
        Endpoint::get(path("/certificate"), CertificateRead, read_pem)
            .named("readCertificatePem", "A certificate and its chain")
            .answers::<CertificatePem>(),
        Endpoint::get(path("/bundle"), CertificateRead, read_bundle)
            .named("readCertificateBundle", "A certificate, its chain, and its key where the caller may read it")
            .answers::<CertificateBundle>(),
        Endpoint::get(path("/private-key"), CertificateReadPrivateKey, read_private_key)
            .named("readCertificatePrivateKey", "The private key of a certificate, in PEM")
            .answers_with("text/plain"),
        Endpoint::patch(path("/config"), CertificateEdit, configure)
            .named("configureCertificateRenewal", "Change when the server renews a certificate")
            .takes::<ConfigureRenewal>()
            .answers::<ConfigureRenewalAnswer>(),
    ]
}

fn lists() -> Vec<Endpoint> {
    use Permission::CertificateRead;
    vec![
        Endpoint::get("/api/v1/projects/{projectId}/certificates", CertificateRead, list)
            .named("listProjectCertificates", "List the certificates of a project")
            .asks::<CertificatesQuery>()
            .answers::<CertificatesAnswer>(),
        Endpoint::post("/api/v1/projects/{projectId}/certificates/search", CertificateRead, search)
            .named("searchProjectCertificates", "Find certificates of a project")
            .may_take::<SearchCertificates>()
            .answers::<CertificatesAnswer>()
            .reads_only(),
        Endpoint::get("/api/v2/workspace/{slug}/certificates", CertificateRead, list_by_slug)
            .named("listWorkspaceCertificates", "List the certificates of a project (older form)")
            .asks::<CertificatesQuery>()
            .answers::<CertificatesAnswer>()
            .deprecated(),
    ]
}

async fn read(
    State(authority): State<Authority>,
    Caller(call): Caller,
    Id(id): Id<CertificateId>,
) -> Answer<CertificateAnswer> {
    let certificate = authority.certificate_of(&call, id).await?;
    Ok(Json(CertificateAnswer { certificate: detailed(&authority, &call, &certificate).await? }))
}

async fn update(
    State(authority): State<Authority>,
    Caller(call): Caller,
    Id(id): Id<CertificateId>,
    Body(body): Body<UpdateCertificate>,
) -> Answer<MetadataAnswer> {
    let Some(given) = body.metadata else {
        let certificate = authority.certificate_of(&call, id).await?;
        return Ok(Json(MetadataAnswer { metadata: pairs(&certificate.metadata) }));
    };
    let mut issues = Issues::default();
    let metadata = issues.metadata("metadata", Some(given));
    issues.finish()?;
    let certificate = authority.update_metadata(&call, id, metadata).await?;
    Ok(Json(MetadataAnswer { metadata: pairs(&certificate.metadata) }))
}

async fn delete(
    State(authority): State<Authority>,
    Caller(call): Caller,
    Id(id): Id<CertificateId>,
) -> Answer<CertificateAnswer> {
    let certificate = authority.delete_certificate(&call, id).await?;
    Ok(Json(CertificateAnswer { certificate: shown(&certificate, authority.now()) }))
}

async fn read_pem(
    State(authority): State<Authority>,
    Caller(call): Caller,
    Id(id): Id<CertificateId>,
) -> Answer<CertificatePem> {
    let certificate = authority.certificate_of(&call, id).await?;
    Ok(Json(with_chain(&authority, &certificate).await?))
}

pub(crate) async fn with_chain(authority: &Authority, certificate: &Certificate) -> Result<CertificatePem, ApiError> {
    Ok(CertificatePem {
        certificate: to_pem(certificate),
        certificate_chain: chain_text(authority, certificate).await?,
        serial_number: certificate.serial_number.clone(),
    })
}

/// PEM, nearest issuer first; absent for a certificate made elsewhere whose chain did not come along.
async fn chain_text(authority: &Authority, certificate: &Certificate) -> Result<Option<String>, ApiError> {
    let chain = authority.chain(certificate).await?;
    Ok((!chain.is_empty()).then(|| pem_chain(&chain)))
}

async fn read_bundle(
    State(authority): State<Authority>,
    Caller(call): Caller,
    Id(id): Id<CertificateId>,
) -> Answer<CertificateBundle> {
    let certificate = authority.certificate_of(&call, id).await?;
    Ok(Json(bundle(&authority, &call, &certificate).await?))
}

/// The key is there for those who may read it and `null` for everybody else; each read is audited.
pub(crate) async fn bundle(
    authority: &Authority,
    call: &Call,
    certificate: &Certificate,
) -> Result<CertificateBundle, ApiError> {
    Ok(CertificateBundle {
        certificate: Some(to_pem(certificate)),
        certificate_chain: chain_text(authority, certificate).await?,
        private_key: readable_key(authority, call, certificate).await?,
        serial_number: Some(certificate.serial_number.clone()),
    })
}

pub(crate) async fn readable_key(
    authority: &Authority,
    call: &Call,
    certificate: &Certificate,
) -> Result<Option<String>, ApiError> {
    if !authority.may_read_key(&call.requester, certificate) {
        return Ok(None);
    }
    let key = authority.private_key(call, certificate).await?;
    Ok(key.map(|pem| pem.as_str().to_owned()))
}

async fn read_private_key(
    State(authority): State<Authority>,
    Caller(call): Caller,
    Id(id): Id<CertificateId>,
) -> Result<Response, ApiError> {
    let certificate = authority.certificate_of(&call, id).await?;
    private_key(&authority, &call, &certificate).await
}

/// The bare PEM.
pub(crate) async fn private_key(
    authority: &Authority,
    call: &Call,
    certificate: &Certificate,
) -> Result<Response, ApiError> {
    let key = authority.private_key(call, certificate).await?;
    let key = key.ok_or_else(|| ApiError::not_found("Private key of the certificate", certificate.id))?;
    Ok(([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], key.as_str().to_owned()).into_response())
}

async fn configure(
    State(authority): State<Authority>,
    Caller(call): Caller,
    Id(id): Id<CertificateId>,
    Body(body): Body<ConfigureRenewal>,
) -> Answer<ConfigureRenewalAnswer> {
    let (message, renew_before_days) = match authority.configure_renewal(&call, id, configuration(body)?).await? {
        ConfiguredRenewal::Disabled => ("Auto-renewal disabled successfully", None),
        ConfiguredRenewal::Updated { renew_before_days } => {
            ("Certificate configuration updated successfully", renew_before_days)
        }
        ConfiguredRenewal::Unchanged => ("No configuration changes requested", None),
    };
    Ok(Json(ConfigureRenewalAnswer { message: message.to_owned(), renew_before_days }))
}

fn configuration(body: ConfigureRenewal) -> Result<RenewalConfiguration, ApiError> {
    let mut issues = Issues::default();
    let sets = body.renew_before_days.is_some() || body.renew_at.is_some() || body.renew_jitter.is_some();
    let superseded = body.revoke_superseded_after.into_change();
    if body.enable_auto_renewal == Some(false) && sets {
        issues.add("enableAutoRenewal", "false cannot be combined with settings of the renewal");
    }
    if body.renew_jitter.is_some() && (body.renew_at.is_none() || body.renew_before_days.is_some()) {
        issues.add("renewJitter", "goes with renewAt only; renewBeforeDays names the day exactly");
    }
    let days = body.renew_before_days;
    issues.range("renewBeforeDays", days.unwrap_or(1), 1..=30);
    let configuration = RenewalConfiguration {
        enable: body.enable_auto_renewal,
        renew_before_days: days.and_then(|days| u32::try_from(days).ok()),
        renew_at: body.renew_at.and_then(|at| renew_at("renewAt", at, &mut issues)),
        renew_jitter: issues.ttl("renewJitter", body.renew_jitter.as_deref()),
        revoke_superseded_after: superseded.map(|text| issues.ttl("revokeSupersededAfter", text.as_deref())),
    };
    issues.finish()?;
    Ok(configuration)
}

async fn list(
    State(authority): State<Authority>,
    Caller(call): Caller,
    Id(id): Id<ProjectId>,
    Query(query): Query<CertificatesQuery>,
) -> Answer<CertificatesAnswer> {
    project::check_project(&call, Some(&id.to_string()))?;
    find(&authority, &call, from_query(query)).await
}

async fn list_by_slug(
    State(authority): State<Authority>,
    Caller(call): Caller,
    PathText(slug): PathText,
    Query(query): Query<CertificatesQuery>,
) -> Answer<CertificatesAnswer> {
    project::named(&authority, &call, &slug).await?;
    find(&authority, &call, from_query(query)).await
}

async fn search(
    State(authority): State<Authority>,
    Caller(call): Caller,
    Id(id): Id<ProjectId>,
    crate::extract::OptionalBody(body): crate::extract::OptionalBody<SearchCertificates>,
) -> Answer<CertificatesAnswer> {
    project::check_project(&call, Some(&id.to_string()))?;
    find(&authority, &call, body).await
}

fn from_query(query: CertificatesQuery) -> SearchCertificates {
    SearchCertificates {
        friendly_name: query.friendly_name,
        common_name: query.common_name,
        offset: query.offset,
        limit: query.limit,
        cursor: query.cursor,
        search: query.search,
        status: query.status,
        ..SearchCertificates::default()
    }
}

async fn find(authority: &Authority, call: &Call, body: SearchCertificates) -> Answer<CertificatesAnswer> {
    match search::certificates(body)? {
        Some((filter, page)) => listed(authority, call, &filter, &page).await,
        // What was asked for cannot exist, such as certificates of a source this build does not have.
        None => Ok(Json(CertificatesAnswer {
            certificates: Vec::new(),
            total_count: 0,
            total_count_exact: true,
            next_cursor: None,
        })),
    }
}

async fn listed(
    authority: &Authority,
    call: &Call,
    filter: &CertificateFilter,
    page: &PageRequest,
) -> Answer<CertificatesAnswer> {
    let now = authority.now();
    let found = authority.reader().certificates(call.project_id(), filter, now, page).await?;
    Ok(Json(CertificatesAnswer {
        certificates: found.items.iter().map(|it| shown(it, now)).collect::<Vec<wire::certificate::Certificate>>(),
        total_count: found.total.count,
        total_count_exact: found.total.exact,
        next_cursor: found.next_cursor,
    }))
}

pub(crate) fn to_pem(certificate: &Certificate) -> String {
    pem::encode(pem::CERTIFICATE, &certificate.der)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_jitter_goes_with_a_renewal_point() {
        let check = |text: &str, accepted: bool| {
            let body = crate::json::parse(text.as_bytes()).unwrap();
            assert_eq!(configuration(body).is_ok(), accepted, "{text}");
        };
        check(r#"{"renewAt":{"fraction":0.5},"renewJitter":"1h"}"#, true);
        check(r#"{"renewBeforeDays":7}"#, true);
        check(r#"{"renewJitter":"1h"}"#, false);
        check(r#"{"renewBeforeDays":7,"renewJitter":"1h"}"#, false);
        check(r#"{"enableAutoRenewal":false,"renewBeforeDays":7}"#, false);
    }

    #[test]
    fn renewal_settings_are_checked() {
        let check = |text: &str, good: bool| {
            let body: ConfigureRenewal = crate::json::parse(text.as_bytes()).unwrap();
            assert_eq!(configuration(body).is_ok(), good, "{text}");
        };
        check("{}", true);
        check(r#"{"renewBeforeDays":30}"#, true);
        check(r#"{"renewBeforeDays":31}"#, false);
        check(r#"{"renewBeforeDays":0}"#, false);
        check(r#"{"enableAutoRenewal":false}"#, true);
        check(r#"{"enableAutoRenewal":false,"renewBeforeDays":5}"#, false);
        check(r#"{"renewAt":{"fraction":0.5}}"#, true);
        check(r#"{"renewAt":{"fraction":0.05}}"#, false);
        check(r#"{"renewAt":{"fraction":0.5,"before":"1d"}}"#, false);
        check(r#"{"renewAt":{}}"#, false);
        check(r#"{"renewJitter":"soon"}"#, false);
        check(r#"{"revokeSupersededAfter":"1d"}"#, true);
        check(r#"{"revokeSupersededAfter":null}"#, true);
        check(r#"{"revokeSupersededAfter":"0d"}"#, false);
        check(r#"{"enableAutoRenewal":false,"revokeSupersededAfter":"1d"}"#, true);
    }
}
