//! Revoking certificates, one or many, and releasing them from hold.

use axum::Json;
use axum::extract::State;
use chancery_authority::Authority;
use chancery_authority::revocation::{BulkRevocation, CertificateSelector};
use chancery_model::certificate::RevocationReason;
use chancery_model::permission::Permission::CertificateRevoke;
use chancery_wire as wire;
use chancery_wire::revocation::{
    BulkFailure, BulkRevoke, BulkRevokeAnswer, ReleaseAnswer, RevokeAnswer, RevokeCertificate,
};

use crate::error::ApiError;
use crate::extract::{Answer, Body, Caller, PathText};
use crate::route::Endpoint;
use crate::search;

pub(crate) fn endpoints() -> Vec<Endpoint> {
    vec![
        Endpoint::post("/api/v1/cert-manager/certificates/{id}/revoke", CertificateRevoke, revoke)
            .named("revokeCertificate", "Revoke a certificate, or put it on hold; by id, fingerprint or serial number")
            .takes::<RevokeCertificate>()
            .answers::<RevokeAnswer>(),
        Endpoint::post("/api/v1/cert-manager/certificates/{id}/release", CertificateRevoke, release)
            .named("releaseCertificate", "Take a certificate off hold")
            .answers::<ReleaseAnswer>(),
        Endpoint::post("/api/v1/cert-manager/certificates/bulk-revoke", CertificateRevoke, bulk)
            .named("bulkRevokeCertificates", "Revoke what a search finds: first a preview, then with its token")
            .takes::<BulkRevoke>()
            .answers::<BulkRevokeAnswer>(),
        Endpoint::post("/api/v1/pki/certificates/{serialNumber}/revoke", CertificateRevoke, revoke)
            .named("revokeCertificateBySerialNumber", "Revoke a certificate (older form)")
            .takes::<RevokeCertificate>()
            .answers::<RevokeAnswer>()
            .deprecated(),
    ]
}

pub(crate) fn reason(from: wire::words::RevocationReason) -> Result<RevocationReason, ApiError> {
    RevocationReason::from_name(from.as_str()).ok_or_else(|| ApiError::internal("a reason of the wire has no meaning"))
}

async fn revoke(
    State(authority): State<Authority>,
    Caller(call): Caller,
    PathText(named): PathText,
    Body(body): Body<RevokeCertificate>,
) -> Answer<RevokeAnswer> {
    let selector = CertificateSelector::parse(&named)?;
    let done = authority.revoke(&call, &selector, reason(body.revocation_reason)?).await?;
    let message = if done.asks_externally {
        "Successfully revoked certificate; the external CA is being asked to revoke it too"
    } else if done.is_published {
        "Successfully revoked certificate"
    } else {
        "Successfully revoked certificate; it is self-signed, so no CRL or OCSP responder can tell it to others"
    };
    Ok(Json(RevokeAnswer {
        message: message.to_owned(),
        serial_number: done.certificate.serial_number,
        revoked_at: done.revocation.at.to_string(),
    }))
}

async fn release(
    State(authority): State<Authority>,
    Caller(call): Caller,
    PathText(named): PathText,
) -> Answer<ReleaseAnswer> {
    let certificate = authority.release(&call, &CertificateSelector::parse(&named)?).await?;
    let message = "Successfully released certificate from hold".to_owned();
    Ok(Json(ReleaseAnswer { message, serial_number: certificate.serial_number }))
}

async fn bulk(
    State(authority): State<Authority>,
    Caller(call): Caller,
    Body(body): Body<BulkRevoke>,
) -> Answer<BulkRevokeAnswer> {
    let reason = reason(body.revocation_reason)?;
    let Some((filter, _)) = search::certificates(body.search)? else {
        return Ok(Json(BulkRevokeAnswer { matching: Some(0), ..BulkRevokeAnswer::default() }));
    };
    let wanted = BulkRevocation { filter, reason };
    let Some(confirm) = body.confirm.filter(|token| !token.is_empty()) else {
        let preview = authority.preview_bulk_revocation(&call, &wanted).await?;
        return Ok(Json(BulkRevokeAnswer {
            matching: Some(preview.matching),
            confirm: Some(preview.confirm),
            ..BulkRevokeAnswer::default()
        }));
    };
    let done = authority.bulk_revoke(&call, &wanted, &confirm).await?;
    let failed = done.failed.into_iter().map(|(id, error)| BulkFailure { id: id.as_uuid(), error }).collect();
    Ok(Json(BulkRevokeAnswer {
        revoked: Some(done.revoked),
        failed: Some(failed),
        has_more: Some(done.has_more),
        ..BulkRevokeAnswer::default()
    }))
}
