//! Certificate revocation lists by their id (RFC 5280 §5), complete and delta.

use axum::extract::{Path, State};
use axum::response::Response;
use bytes::Bytes;
use chancery_authority::Authority;
use chancery_model::CrlId;
use http::HeaderMap;

use crate::conditional::Document;
use crate::refusal::Refusal;

/// RFC 2585 §4.2.
const MEDIA_TYPE: &str = "application/pkix-crl";

pub async fn complete(authority: State<Authority>, id: Path<String>, headers: HeaderMap) -> Result<Response, Refusal> {
    answer(&authority, &id, false, &headers).await
}

pub async fn delta(authority: State<Authority>, id: Path<String>, headers: HeaderMap) -> Result<Response, Refusal> {
    answer(&authority, &id, true, &headers).await
}

async fn answer(authority: &Authority, id: &str, delta: bool, headers: &HeaderMap) -> Result<Response, Refusal> {
    let none = Refusal::not_found("There is no such CRL");
    let id: CrlId = id.parse().map_err(|_| none)?;
    let crl = authority.crl(id, delta).await?.ok_or(none)?;
    let document = Document {
        media_type: MEDIA_TYPE,
        file_name: Some(if delta { format!("{id}-delta.crl") } else { format!("{id}.crl") }),
        // The date too: a restored database may count a number twice.
        etag: format!("{}-{}", crl.number, crl.this_update.as_seconds()),
        modified: Some(crl.this_update),
        expires: Some(crl.next_update),
        // Shared, never copied: a CRL may have many megabytes, and many may be reading it.
        body: Bytes::from_owner(crl.der),
    };
    Ok(document.answer(headers, authority.now()))
}
