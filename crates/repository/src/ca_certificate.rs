//! CA certificates, where the caIssuers address of a certificate leads (RFC 5280 §4.2.2.1).

use axum::extract::{Path, State};
use axum::response::Response;
use bytes::Bytes;
use chancery_authority::Authority;
use chancery_model::{CaCertificateId, CaId};
use http::HeaderMap;

use crate::conditional::Document;
use crate::refusal::Refusal;

/// RFC 2585 §4.1.
const MEDIA_TYPE: &str = "application/pkix-cert";

pub async fn der(
    State(authority): State<Authority>,
    Path((ca, certificate)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let none = Refusal::not_found("There is no such CA certificate");
    let ca: CaId = ca.parse().map_err(|_| none)?;
    let id: CaCertificateId = certificate.parse().map_err(|_| none)?;
    let der = authority.public_ca_certificate(ca, id).await?.ok_or(none)?;
    let document = Document {
        media_type: MEDIA_TYPE,
        file_name: Some(format!("{id}.cer")),
        body: Bytes::from(der),
        // What has this id never changes.
        etag: id.to_string(),
        modified: None,
        expires: None,
    };
    Ok(document.answer(&headers, authority.now()))
}
