//! The life of internal CAs: whether they are renewed by themselves, their revocation lists, and CAs that come here from
//! elsewhere.

use axum::Json;
use axum::extract::State;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chancery_authority::Authority;
use chancery_authority::hierarchy::{AutoRenewalPatch, CaImport, ImportedKey};
use chancery_authority::issuance::Zeroizing;
use chancery_model::CaId;
use chancery_model::authority::CertificationAuthority;
use chancery_model::crl::Crl;
use chancery_model::permission::Permission;
use chancery_pkix::pem;
use chancery_wire::authority::{AutoRenewalAnswer, Ca, CaCrl, CaCrlAnswer, ImportCa, UpdateAutoRenewal};

use crate::authority::{answer, find};
use crate::error::{ApiError, warnings};
use crate::extract::{Answer, Body, Caller, Id};
use crate::issues::Issues;
use crate::project::check_project;
use crate::route::Endpoint;

/// A CA comes with its last CRL and what it has issued.
const IMPORT_OCTETS_MAX: usize = 32 * 1024 * 1024;

pub(crate) fn endpoints() -> Vec<Endpoint> {
    use Permission::{CaCreate, CaEdit, CaRead};
    let base = "/api/v1/cert-manager/ca/internal";
    let path = |rest: &str| format!("{base}/{{caId}}/{rest}");
    vec![
        Endpoint::post(format!("{base}/import"), CaCreate, import)
            .named("importCa", "Take over a CA that was run elsewhere, with its key")
            .takes::<ImportCa>()
            .takes_up_to(IMPORT_OCTETS_MAX)
            .answers::<Ca>(),
        Endpoint::get(path("auto-renewal"), CaRead, auto_renewal)
            .named("readCaAutoRenewal", "Whether and when the server renews a CA, and how that went")
            .answers::<AutoRenewalAnswer>(),
        Endpoint::patch(path("auto-renewal"), CaEdit, update_auto_renewal)
            .named("updateCaAutoRenewal", "Change whether and when the server renews a CA")
            .takes::<UpdateAutoRenewal>()
            .answers::<AutoRenewalAnswer>(),
        Endpoint::get(path("crls"), CaRead, crls)
            .named("listCaCrls", "The revocation lists of all keys of a CA")
            .answers_list::<CaCrl>(),
        Endpoint::get("/api/v1/pki/ca/{caId}/crls", CaRead, crls)
            .named("listCaCrlsOlder", "The revocation lists of all keys of a CA (older form)")
            .answers_list::<CaCrl>()
            .deprecated(),
        Endpoint::get("/api/v1/pki/ca/{caId}/crl", CaRead, crl)
            .named("readCaCrlOlder", "The complete revocation list of the key in force (older form)")
            .answers::<CaCrlAnswer>()
            .deprecated(),
    ]
}

async fn auto_renewal(
    State(authority): State<Authority>,
    Caller(call): Caller,
    Id(id): Id<CaId>,
) -> Answer<AutoRenewalAnswer> {
    let ca = find(&authority, &call, id).await?;
    shown_renewal(&authority, &ca).await
}

async fn update_auto_renewal(
    State(authority): State<Authority>,
    Caller(call): Caller,
    Id(id): Id<CaId>,
    Body(body): Body<UpdateAutoRenewal>,
) -> Answer<AutoRenewalAnswer> {
    let mut issues = Issues::default();
    if let Some(days) = body.auto_renewal_days_before_expiry {
        issues.range("autoRenewalDaysBeforeExpiry", days, 1..=365);
    }
    issues.finish()?;
    let patch = AutoRenewalPatch {
        enabled: body.auto_renewal_enabled,
        days_before_expiry: body.auto_renewal_days_before_expiry,
        new_key: body.auto_renewal_new_key,
    };
    let ca = authority.configure_ca_renewal(&call, id, patch).await?;
    shown_renewal(&authority, &ca).await
}

async fn shown_renewal(authority: &Authority, ca: &CertificationAuthority) -> Answer<AutoRenewalAnswer> {
    let settings = ca.configuration.auto_renewal;
    let last = ca.last_renewal.as_ref();
    Ok(Json(AutoRenewalAnswer {
        auto_renewal_enabled: settings.enabled,
        auto_renewal_days_before_expiry: settings.days_before_expiry,
        auto_renewal_new_key: settings.new_key,
        last_renewal_status: last.map(|it| if it.success { "success" } else { "failed" }.to_owned()),
        last_renewal_message: last.map(|it| it.message.clone()),
        last_renewal_at: last.map(|it| it.at.to_string()),
        next_renewal_at: authority.next_ca_renewal(ca.id).await?.map(|it| it.to_string()),
    }))
}

async fn crls(State(authority): State<Authority>, Caller(call): Caller, Id(id): Id<CaId>) -> Answer<Vec<CaCrl>> {
    let ca = find(&authority, &call, id).await?;
    let mut answers = Vec::new();
    for crl in authority.reader().crls_of(ca.id).await? {
        answers.extend(shown_crl(&authority, &crl).await?);
    }
    Ok(Json(answers))
}

async fn crl(State(authority): State<Authority>, Caller(call): Caller, Id(id): Id<CaId>) -> Answer<CaCrlAnswer> {
    let ca = find(&authority, &call, id).await?;
    let all = authority.reader().crls_of(ca.id).await?;
    let complete = all.iter().find(|crl| crl.key_id == ca.key_id && crl.partition == 0);
    let served = match complete {
        Some(crl) => authority.crl(crl.id, false).await?,
        None => None,
    };
    let served = served.ok_or_else(|| ApiError::not_found("CRL of the CA", id))?;
    Ok(Json(CaCrlAnswer { crl: pem::encode(pem::X509_CRL, &served.der) }))
}

/// Nothing before the first publication.
async fn shown_crl(authority: &Authority, crl: &Crl) -> Result<Option<CaCrl>, ApiError> {
    let Some(published) = crl.complete else { return Ok(None) };
    let Some(served) = authority.crl(crl.id, false).await? else { return Ok(None) };
    Ok(Some(CaCrl {
        id: crl.id.as_uuid(),
        crl: pem::encode(pem::X509_CRL, &served.der),
        number: served.number,
        this_update: served.this_update.to_string(),
        next_update: served.next_update.to_string(),
        partition: crl.partition,
        entries: published.entries,
        delta_url: crl.delta.and_then(|_| authority.crl_url(crl.id, true)),
        url: authority.crl_url(crl.id, false),
    }))
}

async fn import(State(authority): State<Authority>, Caller(call): Caller, Body(body): Body<ImportCa>) -> Answer<Ca> {
    check_project(&call, body.project_id.as_deref())?;
    let mut issues = Issues::default();
    issues.slug("name", &body.name, 64);
    issues.finish()?;
    let import = CaImport {
        name: body.name,
        certificate: body.certificate,
        chain: body.certificate_chain.unwrap_or_default(),
        key: imported_key(body.private_key, body.private_key_password, body.pkcs12, body.pkcs12_password)?,
        last_crl: body.last_crl.filter(|text| !text.trim().is_empty()).map(last_crl).transpose()?,
        last_crl_number: body.last_crl_number,
        issued_certificates: body.issued_certificates.unwrap_or_default(),
        serial_numbers: body.serial_numbers.unwrap_or_default(),
    };
    let imported = authority.import_ca(&call, import).await?;
    let Json(mut shown) = answer(&authority, &imported.ca).await?;
    shown.warnings = warnings(&imported.warnings);
    Ok(Json(shown))
}

fn imported_key(
    private_key: Option<String>,
    password: Option<String>,
    pkcs12: Option<String>,
    pkcs12_password: Option<String>,
) -> Result<ImportedKey, ApiError> {
    let (private_key, pkcs12) = (private_key.map(Zeroizing::new), pkcs12.map(Zeroizing::new));
    let filled = |text: &Zeroizing<String>| !text.trim().is_empty();
    match (private_key.filter(filled), pkcs12.filter(filled)) {
        (Some(text), None) => Ok(ImportedKey::Pem { text, password: password.map(Zeroizing::new) }),
        (None, Some(text)) => Ok(ImportedKey::Pkcs12 {
            file: from_base64("pkcs12", &text)?,
            password: Zeroizing::new(pkcs12_password.unwrap_or_default()),
        }),
        _ => {
            let message = "privateKey: give the CA's key, either as privateKey (PEM) or in pkcs12 (base64)";
            Err(ApiError::bad_request("ca_import.key", message))
        }
    }
}

/// PEM stays text, anything else is base64 of DER.
fn last_crl(text: String) -> Result<Vec<u8>, ApiError> {
    if text.trim_start().starts_with("-----BEGIN") {
        return Ok(text.into_bytes());
    }
    from_base64("lastCrl", &text)
}

fn from_base64(field: &str, text: &str) -> Result<Vec<u8>, ApiError> {
    let compact: Zeroizing<String> = Zeroizing::new(text.chars().filter(|it| !it.is_ascii_whitespace()).collect());
    STANDARD.decode(compact.as_bytes()).map_err(|_| {
        ApiError::bad_request("ca_import.base64", format!("{field}: it is not base64; encode the file with base64 -w0"))
    })
}
