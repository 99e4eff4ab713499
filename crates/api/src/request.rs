//! Certificate requests: what was asked and what became of it.

use std::collections::HashMap;

use axum::Json;
use axum::extract::State;
use chancery_authority::enrollment::Decision;
use chancery_authority::{Authority, Call};
use chancery_model::order::OrderPhase;
use chancery_model::permission::Permission;
use chancery_model::request::{CertificateRequest, RequestStatus};
use chancery_model::{ProfileId, RequestId, Warning};
use chancery_pkix::pem;
use chancery_wire as wire;
use chancery_wire::certificate::BasicConstraints;
use chancery_wire::request::{
    CancelAnswer, RequestCertificate, RequestRow, RequestsAnswer, RequestsQuery, SearchRequests,
    TriggerValidationAnswer,
};
use chancery_wire::words::SortOrder;

use crate::authority_certificate::pem_chain;
use crate::certificate::{readable_key, to_pem};
use crate::certificate_answer;
use crate::error::{ApiError, warnings};
use crate::extract::{Answer, Caller, Id, OptionalBody, Query};
use crate::identity::pairs;
use crate::issue_answer::issuing_ca_of;
use crate::issues::Issues;
use crate::route::Endpoint;
use crate::search;

const BASE: &str = "/api/v1/cert-manager/certificates/certificate-requests";

pub(crate) fn endpoints() -> Vec<Endpoint> {
    use Permission::{CertificateIssue, CertificateRead};
    vec![
        Endpoint::get(BASE, CertificateRead, list)
            .named("listCertificateRequests", "List certificate requests (older form)")
            .asks::<RequestsQuery>()
            .answers::<RequestsAnswer>()
            .deprecated(),
        Endpoint::post(format!("{BASE}/search"), CertificateRead, find)
            .named("searchCertificateRequests", "Find certificate requests")
            .may_take::<SearchRequests>()
            .answers::<RequestsAnswer>()
            .reads_only(),
        Endpoint::get(format!("{BASE}/{{requestId}}"), CertificateRead, read)
            .named("readCertificateRequest", "One request, with the certificate once there is one")
            .answers::<wire::request::CertificateRequest>(),
        Endpoint::post(format!("{BASE}/{{requestId}}/cancel"), CertificateIssue, cancel)
            .named("cancelCertificateRequest", "Cancel a request that is not finished")
            .answers::<CancelAnswer>(),
        Endpoint::post(format!("{BASE}/{{requestId}}/trigger-validation"), CertificateIssue, trigger_validation)
            .named("triggerCertificateRequestValidation", "Have the external CA asked again, out of turn")
            .answers::<TriggerValidationAnswer>(),
    ]
}

async fn list(
    State(authority): State<Authority>,
    Caller(call): Caller,
    Query(query): Query<RequestsQuery>,
) -> Answer<RequestsAnswer> {
    listed(&authority, &call, from_query(query)?).await
}

async fn find(
    State(authority): State<Authority>,
    Caller(call): Caller,
    OptionalBody(body): OptionalBody<SearchRequests>,
) -> Answer<RequestsAnswer> {
    listed(&authority, &call, body).await
}

async fn read(
    State(authority): State<Authority>,
    Caller(call): Caller,
    Id(id): Id<RequestId>,
) -> Answer<wire::request::CertificateRequest> {
    let request = authority.reader().request(call.project_id(), id).await?;
    let request = request.ok_or_else(|| ApiError::not_found("Certificate request", id))?;
    Ok(Json(shown(&authority, &call, &request).await?))
}

async fn cancel(
    State(authority): State<Authority>,
    Caller(call): Caller,
    Id(id): Id<RequestId>,
) -> Answer<CancelAnswer> {
    let (request, cancelled) = authority.cancel_request(&call, id).await?;
    Ok(Json(CancelAnswer { status: status(request.status), cancelled, error_message: request.error_message }))
}

async fn trigger_validation(
    State(authority): State<Authority>,
    Caller(call): Caller,
    Id(id): Id<RequestId>,
) -> Answer<TriggerValidationAnswer> {
    let (request, order) = authority.trigger_validation(&call, id).await?;
    Ok(Json(TriggerValidationAnswer {
        status: status(request.status),
        order_status: order.map(|it| order_status(it.phase)),
    }))
}

fn from_query(query: RequestsQuery) -> Result<SearchRequests, ApiError> {
    let mut issues = Issues::default();
    let application_id = issues.uuid("applicationId", query.application_id.as_deref().filter(|it| !it.is_empty()));
    let joined = query.profile_ids.as_deref().unwrap_or_default();
    let profile_ids = joined
        .split(',')
        .map(str::trim)
        .filter(|it| !it.is_empty())
        .filter_map(|it| issues.uuid("profileIds", Some(it)))
        .collect();
    let sort_order = query.sort_order.as_deref().filter(|it| !it.is_empty()).and_then(|text| {
        let order = SortOrder::from_name(text);
        if order.is_none() {
            issues.add_as("sortOrder", "invalid_enum_value", "must be asc or desc");
        }
        order
    });
    issues.finish()?;
    Ok(SearchRequests {
        offset: query.offset,
        limit: query.limit,
        cursor: query.cursor,
        search: query.search,
        status: query.status,
        from_date: query.from_date,
        to_date: query.to_date,
        profile_ids: Some(profile_ids),
        application_id,
        sort_by: query.sort_by,
        sort_order,
        metadata: None,
    })
}

async fn listed(authority: &Authority, call: &Call, body: SearchRequests) -> Answer<RequestsAnswer> {
    let (filter, page) = search::requests(body)?;
    let found = authority.reader().requests(call.project_id(), &filter, &page).await?;
    let mut names = ProfileNames::default();
    let mut rows = Vec::with_capacity(found.items.len());
    for request in &found.items {
        rows.push(row(authority, call, request, &mut names).await?);
    }
    Ok(Json(RequestsAnswer {
        certificate_requests: rows,
        total_count: found.total.count,
        total_count_exact: found.total.exact,
        next_cursor: found.next_cursor,
    }))
}

/// Slugs of the profiles on one page, each read once.
#[derive(Default)]
struct ProfileNames(HashMap<ProfileId, Option<String>>);

impl ProfileNames {
    async fn of(&mut self, authority: &Authority, call: &Call, id: ProfileId) -> Result<Option<String>, ApiError> {
        if let Some(known) = self.0.get(&id) {
            return Ok(known.clone());
        }
        let name = authority.reader().profile(call.project_id(), id).await?.map(|it| it.slug);
        self.0.insert(id, name.clone());
        Ok(name)
    }
}

async fn row(
    authority: &Authority,
    call: &Call,
    request: &CertificateRequest,
    names: &mut ProfileNames,
) -> Result<RequestRow, ApiError> {
    let certificate = match request.certificate_id {
        Some(id) => authority.reader().certificate(call.project_id(), id).await?,
        None => None,
    };
    let profile_name = match request.profile_id {
        Some(id) => names.of(authority, call, id).await?,
        None => None,
    };
    Ok(RequestRow {
        id: request.id.as_uuid(),
        status: status(request.status),
        common_name: request.common_name.clone(),
        alt_names: request.alt_names.clone(),
        profile_id: request.profile_id.map(|id| id.as_uuid()),
        profile_name,
        ca_id: request.ca_id.map(|id| id.as_uuid()),
        certificate_id: request.certificate_id.map(|id| id.as_uuid()),
        approval_request_id: None,
        error_message: request.error_message.clone(),
        pending_message: request.pending_message.clone(),
        created_at: request.created_at.to_string(),
        updated_at: request.updated_at.to_string(),
        certificate: certificate.map(|it| RequestCertificate {
            id: it.id.as_uuid(),
            status: certificate_answer::status(it.status(authority.now())),
            serial_number: it.serial_number,
        }),
    })
}

async fn shown(
    authority: &Authority,
    call: &Call,
    request: &CertificateRequest,
) -> Result<wire::request::CertificateRequest, ApiError> {
    let certificate = match request.certificate_id {
        Some(id) => authority.reader().certificate(call.project_id(), id).await?,
        None => None,
    };
    let mut answer = wire::request::CertificateRequest {
        status: status(request.status),
        certificate: None,
        certificate_id: request.certificate_id.map(|id| id.as_uuid()),
        serial_number: None,
        private_key: None,
        certificate_chain: None,
        issuing_ca_certificate: None,
        error_message: request.error_message.clone(),
        pending_message: request.pending_message.clone(),
        common_name: request.common_name.clone(),
        organization: None,
        organizational_unit: None,
        country: None,
        state: None,
        locality: None,
        domain_components: None,
        basic_constraints: None,
        metadata: pairs(&request.metadata),
        warnings: warnings(&kept_warnings(&request.document)),
        order_status: None,
        order_reference: None,
        quarantined_certificate: None,
        created_at: request.created_at.to_string(),
        updated_at: request.updated_at.to_string(),
    };
    if let Some(order) = authority.reader().order(call.project_id(), request.id).await? {
        answer.order_status = Some(order_status(order.phase));
        answer.order_reference = order.reference;
        answer.quarantined_certificate = order.quarantined.map(|der| pem::encode(pem::CERTIFICATE, &der));
    }
    let Some(certificate) = certificate else { return Ok(answer) };
    let chain = authority.chain(&certificate).await?;
    let subject = certificate_answer::subject(&certificate);
    answer.certificate = Some(to_pem(&certificate));
    answer.private_key = readable_key(authority, call, &certificate).await?;
    answer.certificate_chain = Some(pem_chain(&chain));
    answer.issuing_ca_certificate = Some(issuing_ca_of(&certificate, &chain));
    answer.organization = subject.organization;
    answer.organizational_unit = subject.organizational_unit;
    answer.country = subject.country;
    answer.state = subject.state;
    answer.locality = subject.locality;
    answer.domain_components = subject.domain_components;
    answer.basic_constraints = Some(BasicConstraints {
        is_ca: certificate.description.is_ca,
        path_length: certificate.description.path_length,
    });
    answer.serial_number = Some(certificate.serial_number);
    Ok(answer)
}

/// The warnings that were kept with the resolved request.
pub(crate) fn kept_warnings(document: &str) -> Vec<Warning> {
    Decision::read(document).unwrap_or_default().warnings
}

const fn order_status(phase: OrderPhase) -> wire::words::OrderStatus {
    match phase {
        OrderPhase::Ordering => wire::words::OrderStatus::Ordering,
        OrderPhase::Tidying => wire::words::OrderStatus::Tidying,
        OrderPhase::Done => wire::words::OrderStatus::Done,
    }
}

pub(crate) const fn status(status: RequestStatus) -> wire::words::RequestStatus {
    match status {
        RequestStatus::PendingApproval => wire::words::RequestStatus::PendingApproval,
        RequestStatus::Pending => wire::words::RequestStatus::Pending,
        RequestStatus::PendingValidation => wire::words::RequestStatus::PendingValidation,
        RequestStatus::Issued => wire::words::RequestStatus::Issued,
        RequestStatus::Failed => wire::words::RequestStatus::Failed,
        RequestStatus::Rejected => wire::words::RequestStatus::Rejected,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warnings_are_read_back_from_the_kept_document() {
        let document =
            r#"{"verdict":"issued","warnings":[{"code":"validity.clamped","field":"ttl","message":"shorter"}]}"#;
        assert_eq!(kept_warnings(document)[0].code, "validity.clamped");
        assert!(kept_warnings("{}").is_empty());
    }
}
