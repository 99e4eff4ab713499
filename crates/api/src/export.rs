//! Certificates as files: one in every form, and a whole search as a table.

use axum::body::{Body as AxumBody, Bytes};
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use chancery_authority::Authority;
use chancery_authority::inventory::CertificateTable;
use chancery_authority::issuance::Pkcs12Wish;
use chancery_model::certificate::Certificate;
use chancery_model::permission::Permission;
use chancery_model::{CertificateId, ProjectId};
use chancery_pkix::pkcs7;
use chancery_wire::certificate::{ExportPkcs12, ExportQuery, SearchCertificates};
use chancery_wire::words::ExportFormat;
use http::header;
use http_body_util::channel::{Channel, Sender};

use crate::authority_certificate::pem_chain;
use crate::certificate::to_pem;
use crate::error::ApiError;
use crate::extract::{Body, Caller, Download, Id, OptionalBody, Query};
use crate::issues::{Issues, issue};
use crate::project;
use crate::route::Endpoint;
use crate::search;

pub(crate) fn endpoints() -> Vec<Endpoint> {
    use Permission::{CertificateRead, CertificateReadPrivateKey};
    let path = |rest: &str| format!("/api/v1/cert-manager/certificates/{{id}}{rest}");
    vec![
        Endpoint::get(path("/export"), CertificateRead, export)
            .named("exportCertificate", "Download a certificate (PEM, chain, DER or PKCS#7)")
            .asks::<ExportQuery>()
            .answers_with("application/octet-stream"),
        Endpoint::post(path("/pkcs12"), CertificateReadPrivateKey, pkcs12)
            .named("exportCertificatePkcs12", "Download certificate, chain and key as PKCS#12")
            .takes::<ExportPkcs12>()
            .answers_with("application/octet-stream")
            .reads_only(),
        Endpoint::post("/api/v1/projects/{projectId}/certificates/export-csv", CertificateRead, csv)
            .named("exportCertificatesCsv", "Download what a search finds as a table (CSV)")
            .may_take::<SearchCertificates>()
            .answers_with("text/csv")
            .reads_only(),
    ]
}

async fn export(
    State(authority): State<Authority>,
    Caller(call): Caller,
    Id(id): Id<CertificateId>,
    Query(query): Query<ExportQuery>,
) -> Result<Download, ApiError> {
    let certificate = authority.certificate_of(&call, id).await?;
    let format = query.format.as_deref().unwrap_or("pem");
    let Some(format) = ExportFormat::from_name(format) else {
        let shown: String = format.chars().take(40).collect();
        let message = format!("{shown:?} is not one of pem, chain, der, pkcs7");
        return Err(ApiError::invalid(vec![issue("format", "invalid_enum_value", message)]));
    };
    let (media_type, extension, bytes) = match format {
        ExportFormat::Pem => ("application/x-pem-file", "pem", to_pem(&certificate).into_bytes()),
        ExportFormat::Chain => {
            let text = to_pem(&certificate) + &pem_chain(&above(&authority, &certificate).await?);
            ("application/x-pem-file", "chain.pem", text.into_bytes())
        }
        ExportFormat::Der => ("application/pkix-cert", "cer", certificate.der.clone()),
        ExportFormat::Pkcs7 => {
            let chain = above(&authority, &certificate).await?;
            let all: Vec<&[u8]> =
                std::iter::once(certificate.der.as_slice()).chain(chain.iter().map(Vec::as_slice)).collect();
            ("application/pkcs7-mime; smime-type=certs-only", "p7b", pkcs7::certs_only(&all))
        }
    };
    Ok(Download { media_type, name: format!("certificate-{}.{extension}", certificate.serial_number), bytes })
}

/// The chain without the certificate itself, which of a self-signed one is all there is.
async fn above(authority: &Authority, certificate: &Certificate) -> Result<Vec<Vec<u8>>, ApiError> {
    let mut chain = authority.chain(certificate).await?;
    chain.retain(|der| *der != certificate.der);
    Ok(chain)
}

async fn pkcs12(
    State(authority): State<Authority>,
    Caller(call): Caller,
    Id(id): Id<CertificateId>,
    Body(body): Body<ExportPkcs12>,
) -> Result<Download, ApiError> {
    let mut issues = Issues::default();
    issues.length("password", &body.password, 6..=1_024);
    issues.length("alias", &body.alias, 1..=255);
    issues.finish()?;
    let legacy = body.legacy.unwrap_or(false);
    let wanted = Pkcs12Wish { password: &body.password, alias: &body.alias, legacy };
    let (certificate, bytes) = authority.pkcs12(&call, id, &wanted).await?;
    let name = format!("certificate-{}.p12", certificate.serial_number);
    Ok(Download { media_type: "application/octet-stream", name, bytes })
}

async fn csv(
    State(authority): State<Authority>,
    Caller(call): Caller,
    Id(id): Id<ProjectId>,
    OptionalBody(body): OptionalBody<SearchCertificates>,
) -> Result<Response, ApiError> {
    project::check_project(&call, Some(&id.to_string()))?;
    let wanted = search::certificates(SearchCertificates { offset: None, limit: None, ..body })?;
    // A page or two are read ahead; a slow reader slows the export, not the memory.
    let (sender, body) = Channel::new(2);
    tokio::spawn(send(authority.certificate_table(&call, wanted)?, sender));
    let headers = [
        (header::CONTENT_TYPE, "text/csv; charset=utf-8"),
        (header::CONTENT_DISPOSITION, "attachment; filename=\"certificates.csv\""),
    ];
    Ok((headers, AxumBody::new(body)).into_response())
}

#[derive(Debug, thiserror::Error)]
#[error("the export broke off")]
struct BrokenOff;

/// Sends a table piece by piece, as fast as it is read.
async fn send(mut table: CertificateTable, mut sender: Sender<Bytes, BrokenOff>) {
    loop {
        match table.next().await {
            Ok(None) => return,
            Ok(Some(text)) => {
                if sender.send_data(Bytes::from(text)).await.is_err() {
                    return;
                }
            }
            Err(error) => {
                tracing::error!("an export of certificates broke off: {error}");
                sender.abort(BrokenOff);
                return;
            }
        }
    }
}
