//! Certificates of internal CAs: making, importing, reading, and signing those of others.

use axum::Json;
use axum::extract::State;
use chancery_authority::Authority;
use chancery_authority::hierarchy::{CaCertificateRequest, CaRenewal, CaRenewalKey, IntermediateRequest};
use chancery_model::authority::CaCertificate;
use chancery_model::permission::Permission;
use chancery_model::{CaCertificateId, CaId, Timestamp};
use chancery_pkix::pem;
use chancery_wire as wire;
use chancery_wire::authority::{
    CaCsrAnswer, GenerateCaCertificate, ImportCaCertificate, ImportCaCertificateAnswer, RenewCa, SignIntermediate,
    SignIntermediateAnswer,
};
use chancery_wire::revocation::{ReleaseAnswer, RevokeAnswer, RevokeCertificate};
use chancery_wire::words::CaRenewalType;

use crate::authority::find;
use crate::error::ApiError;
use crate::extract::{Answer, Body, Caller, Id, Ids};
use crate::issue::CSR_MAX;
use crate::issues::Issues;
use crate::route::Endpoint;

pub(crate) fn endpoints() -> Vec<Endpoint> {
    use Permission::{CaEdit, CaRead, CaSign};
    let path = |rest: &str| format!("/api/v1/cert-manager/ca/internal/{{caId}}/{rest}");
    vec![
        Endpoint::get(path("csr"), CaRead, csr)
            .named("readCaCsr", "A CSR for an intermediate CA")
            .answers::<CaCsrAnswer>(),
        Endpoint::post(path("certificate"), CaEdit, generate)
            .named("generateCaCertificate", "Certify a CA, by itself or by a parent")
            .takes::<GenerateCaCertificate>()
            .answers::<wire::authority::CaCertificate>(),
        Endpoint::get(path("certificate"), CaRead, read_current)
            .named("readCaCertificate", "The certificate in force")
            .answers::<wire::authority::CaCertificate>(),
        Endpoint::get(path("certificate/{certId}"), CaRead, read)
            .named("readCaCertificateById", "One certificate of a CA")
            .answers::<wire::authority::CaCertificate>(),
        Endpoint::get(path("ca-certificates"), CaRead, list)
            .named("listCaCertificates", "All certificates of a CA, past and current")
            .answers_list::<wire::authority::CaCertificate>(),
        Endpoint::post(path("sign-intermediate"), CaSign, sign_intermediate)
            .named("signIntermediate", "Sign the CSR of an intermediate CA")
            .takes::<SignIntermediate>()
            .answers::<SignIntermediateAnswer>(),
        Endpoint::post(path("import-certificate"), CaEdit, import)
            .named("importCaCertificate", "Install a certificate that a parent elsewhere made, the first or the next")
            .takes::<ImportCaCertificate>()
            .answers::<ImportCaCertificateAnswer>(),
        Endpoint::post(path("renew"), CaEdit, renew)
            .named("renewCa", "Give a CA its next certificate, over the same key or a new one")
            .takes::<RenewCa>()
            .answers::<wire::authority::CaCertificate>(),
        Endpoint::post(path("certificates/{caCertId}/revoke"), CaEdit, revoke)
            .named("revokeCaCertificate", "Revoke a CA certificate that a CA of this server signed, or put it on hold")
            .takes::<RevokeCertificate>()
            .answers::<RevokeAnswer>(),
        Endpoint::post(path("certificates/{caCertId}/release"), CaEdit, release)
            .named("releaseCaCertificate", "Take a CA certificate off hold")
            .answers::<ReleaseAnswer>(),
    ]
}

async fn csr(State(authority): State<Authority>, Caller(call): Caller, Id(id): Id<CaId>) -> Answer<CaCsrAnswer> {
    Ok(Json(CaCsrAnswer { csr: authority.ca_csr(&call, id).await? }))
}

async fn generate(
    State(authority): State<Authority>,
    Caller(call): Caller,
    Id(id): Id<CaId>,
    Body(body): Body<GenerateCaCertificate>,
) -> Answer<wire::authority::CaCertificate> {
    let (not_before, not_after, path_length_max) =
        validity(body.not_before.as_deref(), &body.not_after, body.max_path_length, Issues::default())?;
    let parent_ca_id = body.parent_ca_id.map(CaId::from_uuid);
    let request = CaCertificateRequest { not_before, not_after, path_length_max, parent_ca_id };
    Ok(Json(shown(&authority.generate_ca_certificate(&call, id, request).await?)))
}

async fn read_current(
    State(authority): State<Authority>,
    Caller(call): Caller,
    Id(id): Id<CaId>,
) -> Answer<wire::authority::CaCertificate> {
    let ca = find(&authority, &call, id).await?;
    let Some(active) = ca.active_certificate else {
        return Err(ApiError::not_found("Certificate of the CA", id));
    };
    let found = authority.reader().ca_certificate(active).await?;
    Ok(Json(shown(&found.ok_or_else(|| ApiError::not_found("CA certificate", active))?)))
}

async fn read(
    State(authority): State<Authority>,
    Caller(call): Caller,
    Ids(ca, id): Ids<CaId, CaCertificateId>,
) -> Answer<wire::authority::CaCertificate> {
    let ca = find(&authority, &call, ca).await?;
    let found = authority.reader().ca_certificate(id).await?.filter(|it| it.ca_id == ca.id);
    Ok(Json(shown(&found.ok_or_else(|| ApiError::not_found("CA certificate", id))?)))
}

async fn list(
    State(authority): State<Authority>,
    Caller(call): Caller,
    Id(id): Id<CaId>,
) -> Answer<Vec<wire::authority::CaCertificate>> {
    let ca = find(&authority, &call, id).await?;
    Ok(Json(authority.reader().ca_certificates(ca.id).await?.iter().map(shown).collect()))
}

async fn sign_intermediate(
    State(authority): State<Authority>,
    Caller(call): Caller,
    Id(id): Id<CaId>,
    Body(body): Body<SignIntermediate>,
) -> Answer<SignIntermediateAnswer> {
    let mut issues = Issues::default();
    issues.length("csr", body.csr.trim(), 1..=CSR_MAX);
    let (not_before, not_after, path_length_max) =
        validity(body.not_before.as_deref(), &body.not_after, body.max_path_length, issues)?;
    let request = IntermediateRequest { csr: body.csr, not_before, not_after, path_length_max };
    let signed = authority.sign_intermediate(&call, id, request).await?;
    Ok(Json(SignIntermediateAnswer {
        certificate: pem::encode(pem::CERTIFICATE, &signed.certificate_der),
        certificate_chain: pem_chain(&signed.chain),
        issuing_ca_certificate: signed.chain.first().map(|der| pem::encode(pem::CERTIFICATE, der)).unwrap_or_default(),
        serial_number: signed.serial_number,
    }))
}

async fn import(
    State(authority): State<Authority>,
    Caller(call): Caller,
    Id(id): Id<CaId>,
    Body(body): Body<ImportCaCertificate>,
) -> Answer<ImportCaCertificateAnswer> {
    authority.import_ca_certificate(&call, id, &body.certificate, &body.certificate_chain).await?;
    let message = "Successfully imported certificate to CA".to_owned();
    Ok(Json(ImportCaCertificateAnswer { message, ca_id: id.as_uuid() }))
}

async fn renew(
    State(authority): State<Authority>,
    Caller(call): Caller,
    Id(id): Id<CaId>,
    Body(body): Body<RenewCa>,
) -> Answer<wire::authority::CaCertificate> {
    let mut issues = Issues::default();
    let not_after = issues.date("notAfter", body.not_after.as_deref().filter(|it| !it.is_empty()));
    let algorithm = body.key_algorithm.and_then(|it| issues.word("keyAlgorithm", it.as_str()));
    let kind = body.kind.unwrap_or(CaRenewalType::Existing);
    if kind == CaRenewalType::Existing && body.key_algorithm.is_some() {
        issues.add("keyAlgorithm", "the existing key has its algorithm; leave it out, or renew with type new-key");
    }
    issues.finish()?;
    let key = match kind {
        CaRenewalType::Existing => CaRenewalKey::Existing,
        CaRenewalType::NewKey => CaRenewalKey::New(algorithm),
    };
    Ok(Json(shown(&authority.renew_ca(&call, id, CaRenewal { key, not_after }).await?)))
}

async fn revoke(
    State(authority): State<Authority>,
    Caller(call): Caller,
    Ids(ca, id): Ids<CaId, CaCertificateId>,
    Body(body): Body<RevokeCertificate>,
) -> Answer<RevokeAnswer> {
    let reason = crate::revocation::reason(body.revocation_reason)?;
    let revoked = authority.revoke_ca_certificate(&call, ca, id, reason).await?;
    Ok(Json(RevokeAnswer {
        message: "Successfully revoked CA certificate".to_owned(),
        serial_number: revoked.serial_number,
        revoked_at: revoked.revocation.map(|it| it.at.to_string()).unwrap_or_default(),
    }))
}

async fn release(
    State(authority): State<Authority>,
    Caller(call): Caller,
    Ids(ca, id): Ids<CaId, CaCertificateId>,
) -> Answer<ReleaseAnswer> {
    let released = authority.release_ca_certificate(&call, ca, id).await?;
    let message = "Successfully released CA certificate from hold".to_owned();
    Ok(Json(ReleaseAnswer { message, serial_number: released.serial_number }))
}

/// Not before, not after, and the path length with -1 for no limit.
fn validity(
    not_before: Option<&str>,
    not_after: &str,
    path_length: Option<i64>,
    mut issues: Issues,
) -> Result<(Option<Timestamp>, Timestamp, i64), ApiError> {
    let start = issues.date("notBefore", not_before.filter(|it| !it.is_empty()));
    let end = issues.date("notAfter", Some(not_after));
    if let (Some(start), Some(end)) = (start, end)
        && start >= end
    {
        issues.add("notAfter", "must be after notBefore");
    }
    let path_length = path_length.unwrap_or(-1);
    issues.range("maxPathLength", path_length, -1..=255);
    issues.finish()?;
    Ok((start, end.unwrap_or(Timestamp::MAX), path_length))
}

pub(crate) fn pem_chain(chain: &[Vec<u8>]) -> String {
    chain.iter().map(|der| pem::encode(pem::CERTIFICATE, der)).collect()
}

fn shown(certificate: &CaCertificate) -> wire::authority::CaCertificate {
    wire::authority::CaCertificate {
        certificate: pem::encode(pem::CERTIFICATE, &certificate.der),
        certificate_chain: pem_chain(&certificate.chain),
        serial_number: certificate.serial_number.clone(),
        cert_id: certificate.id.as_uuid(),
        version: certificate.version,
        not_before: certificate.not_before.to_string(),
        not_after: certificate.not_after.to_string(),
        max_path_length: Some(certificate.path_length.map_or(-1, i64::from)),
        parent_ca_id: certificate.parent_ca_id.map(|id| id.as_uuid()),
        revoked_at: certificate.revocation.map(|it| it.at.to_string()),
        revocation_reason: certificate.revocation.map(|it| it.reason.code()),
    }
}
