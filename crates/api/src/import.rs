//! Certificates that were made elsewhere: imported from PEM or PKCS#12, or only looked at.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chancery_authority::inventory::import::ImportLabels;
use chancery_authority::inventory::{BundleEntry, BundleItem, ImportOutcome, ImportRequest, Imported};
use chancery_authority::issuance::Zeroizing;
use chancery_authority::{Authority, Call};
use chancery_model::permission::Permission;
use chancery_model::{ApplicationId, CertificateId};
use chancery_pkix::pem;
use chancery_wire as wire;
use chancery_wire::import::{
    ExtractPkcs12, ExtractedPkcs12, ImportAnswer, ImportCertificate, ImportPkcs12, ImportResult, ImportedPkcs12,
    Pkcs12Entry,
};
use http::header;
use uuid::Uuid;

use crate::authority_certificate::pem_chain;
use crate::certificate::to_pem;
use crate::error::{ApiError, warnings};
use crate::extract::{Answer, Body, Caller};
use crate::gate::RepeatedBody;
use crate::issues::Issues;
use crate::project;
use crate::route::Endpoint;

/// Largest body of an import: a certificate with a long chain, or a PKCS#12 file of 1 MiB in base64.
const IMPORT_MAX: usize = 8 * 1024 * 1024;
/// Largest PKCS#12 file, decoded.
const PKCS12_MAX: usize = 1024 * 1024;

pub(crate) fn endpoints() -> Vec<Endpoint> {
    use Permission::CertificateImport;
    let path = |rest: &str| format!("/api/v1/cert-manager/certificates{rest}");
    vec![
        Endpoint::post(path("/import-certificate"), CertificateImport, import)
            .named("importCertificate", "Put a certificate that was made elsewhere into the inventory")
            .takes::<ImportCertificate>()
            .answers::<ImportAnswer>()
            .takes_up_to(IMPORT_MAX),
        Endpoint::post(path("/import-pkcs12"), CertificateImport, import_pkcs12)
            .named("importPkcs12", "Import every certificate of a PKCS#12 file")
            .takes::<ImportPkcs12>()
            .answers::<ImportedPkcs12>()
            .takes_up_to(IMPORT_MAX),
        Endpoint::post(path("/pkcs12/extract"), CertificateImport, extract)
            .named("extractPkcs12", "Look into a PKCS#12 file; nothing of it is kept")
            .takes::<ExtractPkcs12>()
            .answers::<ExtractedPkcs12>()
            .takes_up_to(IMPORT_MAX)
            .reads_only(),
    ]
}

async fn import(
    State(authority): State<Authority>,
    Caller(call): Caller,
    Body(body): Body<ImportCertificate>,
) -> Result<Response, ApiError> {
    if body.pki_collection_id.is_some() {
        let message = "pkiCollectionId: there are no collections in this build; leave it out, and use applicationId or \
                       metadata to group certificates";
        return Err(ApiError::bad_request("import.collection", message));
    }
    check_slug(&authority, &call, body.project_slug.as_deref()).await?;
    let request = ImportRequest {
        certificate: body.certificate_pem,
        chain: body.chain_pem,
        private_key: body.private_key_pem.map(Zeroizing::new),
        private_key_password: body.private_key_password.map(Zeroizing::new),
        labels: labels(body.friendly_name, body.application_id)?,
    };
    match authority.import_certificate(&call, request).await? {
        ImportOutcome::Imported(imported) => Ok(imported_answer(*imported)),
        ImportOutcome::AlreadyThere(id) => Err(already_there(id)),
    }
}

fn already_there(id: CertificateId) -> ApiError {
    let message = format!("The certificate is in the inventory already, with ID '{id}'; nothing was changed");
    ApiError::conflict("import.exists", message)
}

async fn check_slug(authority: &Authority, call: &Call, slug: Option<&str>) -> Result<(), ApiError> {
    match slug.filter(|slug| !slug.is_empty()) {
        Some(slug) => project::named(authority, call, slug).await.map(|_| ()),
        None => Ok(()),
    }
}

fn labels(friendly_name: Option<String>, application_id: Option<Uuid>) -> Result<ImportLabels, ApiError> {
    let friendly_name = friendly_name.map(|name| name.trim().to_owned()).filter(|name| !name.is_empty());
    let mut issues = Issues::default();
    issues.length("friendlyName", friendly_name.as_deref().unwrap_or("-"), 1..=255);
    issues.finish()?;
    Ok(ImportLabels { friendly_name, application_id: application_id.map(ApplicationId::from_uuid) })
}

/// The key goes back to whoever sent it, once: an idempotent repetition is without it.
fn imported_answer(imported: Imported) -> Response {
    let answer = |private_key: Option<String>| ImportAnswer {
        certificate: to_pem(&imported.certificate),
        certificate_chain: (!imported.chain.is_empty()).then(|| pem_chain(&imported.chain)),
        private_key,
        serial_number: imported.certificate.serial_number.clone(),
        certificate_id: imported.certificate.id.as_uuid(),
        warnings: warnings(&imported.warnings),
    };
    let key = imported.private_key.as_ref().map(|pem| pem.as_str().to_owned());
    let repeated = key.is_some().then(|| serde_json::to_vec(&answer(None)).unwrap_or_default());
    let mut response = ([(header::CACHE_CONTROL, "no-store")], Json(answer(key))).into_response();
    if let Some(bytes) = repeated {
        response.extensions_mut().insert(RepeatedBody(bytes.into()));
    }
    response
}

async fn import_pkcs12(
    State(authority): State<Authority>,
    Caller(call): Caller,
    Body(body): Body<ImportPkcs12>,
) -> Answer<ImportedPkcs12> {
    let file = decoded(&body.pkcs12, &body.password)?;
    let labels = labels(body.friendly_name, body.application_id)?;
    let imported = authority.import_pkcs12(&call, file, Zeroizing::new(body.password), &labels).await?;
    let results: Vec<ImportResult> = imported.items.into_iter().map(result).collect();
    let count = |outcome| u32::try_from(results.iter().filter(|it| it.result == outcome).count()).unwrap_or(u32::MAX);
    use wire::import::ImportOutcome as Outcome;
    Ok(Json(ImportedPkcs12 {
        imported: count(Outcome::Imported),
        already_there: count(Outcome::AlreadyThere),
        refused: count(Outcome::Refused),
        results,
    }))
}

fn result(item: BundleItem) -> ImportResult {
    use wire::import::ImportOutcome as Outcome;
    let certificate_id = item.certificate_id().map(|id| id.as_uuid());
    let (result, refusal) = match &item.outcome {
        Ok(ImportOutcome::Imported(_)) => (Outcome::Imported, None),
        Ok(ImportOutcome::AlreadyThere(_)) => (Outcome::AlreadyThere, None),
        Err(error) => (Outcome::Refused, Some(error)),
    };
    ImportResult {
        alias: item.alias,
        subject: item.subject,
        serial_number: item.serial_number,
        result,
        certificate_id,
        has_private_key: item.has_private_key,
        code: refusal.map(|error| error.code().to_owned()),
        message: refusal.map(chancery_authority::Error::public_message),
    }
}

async fn extract(
    State(authority): State<Authority>,
    Caller(call): Caller,
    Body(body): Body<ExtractPkcs12>,
) -> Result<Response, ApiError> {
    let file = decoded(&body.pkcs12, &body.password)?;
    let entries = authority.extract_pkcs12(&call, file, Zeroizing::new(body.password)).await?;
    let answer = ExtractedPkcs12 { entries: entries.into_iter().map(entry).collect() };
    Ok(([(header::CACHE_CONTROL, "no-store")], Json(answer)).into_response())
}

fn entry(from: BundleEntry) -> Pkcs12Entry {
    Pkcs12Entry {
        alias: from.alias,
        subject: from.subject,
        common_name: from.common_name,
        key_algorithm: from.key_algorithm,
        serial_number: from.serial_number,
        not_before: from.not_before.to_string(),
        not_after: from.not_after.to_string(),
        fingerprint_sha256: hex::encode(from.fingerprint_sha256),
        chain_warning: from.chain_warning,
        certificate_pem: pem::encode(pem::CERTIFICATE, &from.der),
        chain_pem: (!from.chain.is_empty()).then(|| pem_chain(&from.chain)),
        private_key_pem: from.private_key.map(|pem| pem.as_str().to_owned()),
    }
}

/// The file in octets. Line breaks in base64 are passed over, because `base64` makes them.
fn decoded(base64: &str, password: &str) -> Result<Vec<u8>, ApiError> {
    let mut issues = Issues::default();
    issues.length("password", password, 0..=1_024);
    issues.finish()?;
    let text: String = base64.chars().filter(|letter| !letter.is_ascii_whitespace()).collect();
    if text.len() / 4 * 3 > PKCS12_MAX + 3 {
        return Err(ApiError::bad_request("pkcs12.too_large", "pkcs12: the file is larger than 1 MiB"));
    }
    STANDARD.decode(text).map_err(|_| {
        let message = "pkcs12: this is not base64; encode the file with `base64 -w0 FILE`";
        ApiError::bad_request("pkcs12.base64", message)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_base64_of_at_most_a_mebibyte() {
        let check = |text: &str, password: &str, expected: Result<usize, u16>| {
            let found = decoded(text, password).map(|bytes| bytes.len()).map_err(|error| error.status().as_u16());
            assert_eq!(found, expected, "{text:.20}");
        };
        check("MAA=", "", Ok(2));
        check("MA\nA=\r\n", "", Ok(2));
        check("MA", "", Err(400));
        check("%%%%", "", Err(400));
        check(&STANDARD.encode(vec![0; PKCS12_MAX]), "", Ok(PKCS12_MAX));
        check(&STANDARD.encode(vec![0; PKCS12_MAX + 4]), "", Err(400));
        check("MAA=", &"p".repeat(1_025), Err(422));
    }
}
