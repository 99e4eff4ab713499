//! Certificates as files: one in every form, and a whole search as a table.

use axum::body::{Body as AxumBody, Bytes};
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use chancery_authority::issuance::Pkcs12Wish;
use chancery_authority::{Authority, Call};
use chancery_model::certificate::{Certificate, CertificateFilter};
use chancery_model::page::PageRequest;
use chancery_model::permission::Permission;
use chancery_model::{CertificateId, ProjectId, Timestamp};
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
    let export = CsvExport { authority, call, wanted };
    tokio::spawn(export.send(sender));
    let headers = [
        (header::CONTENT_TYPE, "text/csv; charset=utf-8"),
        (header::CONTENT_DISPOSITION, "attachment; filename=\"certificates.csv\""),
    ];
    Ok((headers, AxumBody::new(body)).into_response())
}

#[derive(Debug, thiserror::Error)]
#[error("the export broke off")]
struct BrokenOff;

struct CsvExport {
    authority: Authority,
    call: Call,
    /// `None` when nothing can match.
    wanted: Option<(CertificateFilter, PageRequest)>,
}

const COLUMNS: [&str; 21] = [
    "id",
    "status",
    "common_name",
    "alternative_names",
    "serial_number",
    "not_before",
    "not_after",
    "issuer",
    "key",
    "signature",
    "source",
    "friendly_name",
    "ca_id",
    "profile_id",
    "application_id",
    "has_private_key",
    "revoked_at",
    "revocation_reason",
    "renewed_by",
    "renewal_error",
    "fingerprint_sha256",
];

impl CsvExport {
    async fn send(self, mut sender: Sender<Bytes, BrokenOff>) {
        let mut text = COLUMNS.join(",") + "\r\n";
        let mut wanted = self.wanted;
        loop {
            let next = match &wanted {
                None => None,
                Some((filter, page)) => {
                    let now = self.authority.now();
                    match self.authority.reader().certificates(self.call.project_id(), filter, now, page).await {
                        Ok(found) => {
                            found.items.iter().for_each(|it| text.push_str(&row(it, now)));
                            found.next_cursor
                        }
                        Err(error) => {
                            tracing::error!("an export of certificates broke off: {error}");
                            sender.abort(BrokenOff);
                            return;
                        }
                    }
                }
            };
            if sender.send_data(Bytes::from(std::mem::take(&mut text))).await.is_err() {
                return;
            }
            let Some(cursor) = next else { return };
            if let Some((_, page)) = &mut wanted {
                *page = PageRequest { offset: 0, limit: PageRequest::LIMIT_MAX, cursor: Some(cursor) };
            }
        }
    }
}

fn row(it: &Certificate, now: Timestamp) -> String {
    let description = &it.description;
    let foreign = description.foreign.as_ref();
    let names: Vec<&str> = description.sans.iter().map(|(_, value)| value.as_str()).collect();
    let uuid = |id: Option<uuid::Uuid>| id.map_or_else(String::new, |id| id.to_string());
    let key = description.key_algorithm.map_or_else(|| foreign.map(|it| it.key.clone()), |it| Some(it.to_string()));
    let signature = description
        .signature_algorithm
        .map_or_else(|| foreign.map(|it| it.signature.clone()), |it| Some(it.to_string()));
    let fields: [String; COLUMNS.len()] = [
        it.id.to_string(),
        it.status(now).as_str().to_owned(),
        description.common_name().unwrap_or_default().to_owned(),
        names.join(" "),
        it.serial_number.clone(),
        it.not_before.to_string(),
        it.not_after.to_string(),
        foreign.map(|it| it.issuer.clone()).unwrap_or_default(),
        key.unwrap_or_default(),
        signature.unwrap_or_default(),
        it.source.as_str().to_owned(),
        it.friendly_name.clone().unwrap_or_default(),
        uuid(it.ca_id.map(|id| id.as_uuid())),
        uuid(it.profile_id.map(|id| id.as_uuid())),
        uuid(it.application_id.map(|id| id.as_uuid())),
        it.key_id.is_some().to_string(),
        it.revocation.map(|it| it.at.to_string()).unwrap_or_default(),
        it.revocation.map(|it| it.reason.as_str().to_owned()).unwrap_or_default(),
        uuid(it.renewal.renewed_by.map(|id| id.as_uuid())),
        it.renewal.error.clone().unwrap_or_default(),
        hex::encode(it.fingerprint_sha256),
    ];
    let fields: Vec<String> = fields.iter().map(|field| cell(field)).collect();
    fields.join(",") + "\r\n"
}

/// One field (RFC 4180 §2). A spreadsheet takes what begins like a formula for one, so that gets a quote in front;
/// serial numbers of digits alone would lose some of them to a number.
fn cell(text: &str) -> String {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'e' || byte == b'E');
    let risky = text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n']) || (digits && text.len() > 11);
    let text = if risky { format!("'{text}") } else { text.to_owned() };
    if text.contains([',', '"', '\r', '\n', '\t', ';']) || risky {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_field_is_a_formula_or_breaks_its_row() {
        for (text, expected) in [
            ("www.acme.com", "www.acme.com"),
            ("", ""),
            ("a,b", "\"a,b\""),
            ("say \"hi\"", "\"say \"\"hi\"\"\""),
            ("=1+1", "\"'=1+1\""),
            ("+1", "\"'+1\""),
            ("-1", "\"'-1\""),
            ("@SUM(A1)", "\"'@SUM(A1)\""),
            ("\tx", "\"'\tx\""),
            ("a\r\nb", "\"a\r\nb\""),
            ("123456789012", "\"'123456789012\""),
            ("1234567e8901", "\"'1234567e8901\""),
            ("0a1b", "0a1b"),
        ] {
            assert_eq!(cell(text), expected, "{text:?}");
        }
    }
}
