//! When the CA wants a certificate renewed (ARI, RFC 9773), and its revocation (RFC 8555 §7.6).

use chancery_authority::external::{ExternalCertificate, RenewalAdvice, UpstreamError};
use chancery_model::Timestamp;
use chancery_model::certificate::RevocationReason;
use chancery_pkix::Certificate;
use serde::Deserialize;
use serde_json::json;

use super::client::{Account, Client, Signer};
use super::jws::base64url;
use super::problem::tame;

/// Where the CA does not say (RFC 9773 §4.3.3 recommends six hours).
const ASK_AGAIN: u32 = 21_600;
/// RFC 9773 §4.3.2: a client has its own limits, and these are the recommended ones.
const ASK_AGAIN_MIN: u32 = 60;
const ASK_AGAIN_MAX: u32 = 86_400;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RenewalInfo {
    suggested_window: Window,
    #[serde(rename = "explanationURL")]
    explanation_url: Option<String>,
}

#[derive(Deserialize)]
struct Window {
    start: String,
    end: String,
}

/// RFC 9773 §4.1. `None` for a certificate without an authority key identifier.
pub(super) fn certificate_id(der: &[u8]) -> Option<String> {
    let certificate = Certificate::from_der(der).ok()?;
    let issuer_key = certificate.extensions().authority_key_id.as_deref()?;
    Some(format!("{}.{}", base64url(issuer_key), base64url(&certificate.serial().to_content_octets())))
}

pub(super) async fn renewal_advice(
    client: &Client<'_>,
    certificate: &ExternalCertificate,
) -> Result<Option<RenewalAdvice>, UpstreamError> {
    let (Some(base), Some(id)) = (&client.directory.renewal_info, certificate_id(&certificate.der)) else {
        return Ok(None);
    };
    let url = client.own(&format!("{}/{id}", base.as_str().trim_end_matches('/')))?;
    let answer = client.read_unsigned(url).await?;
    let info: RenewalInfo = answer.json(client, "renewal information")?;
    let instants =
        (Timestamp::parse_date(&info.suggested_window.start), Timestamp::parse_date(&info.suggested_window.end));
    let (Ok(start), Ok(end)) = instants else {
        return Err(UpstreamError::passing(format!("{} suggests a renewal at no readable time", client.whom)));
    };
    if start >= end {
        return Err(UpstreamError::passing(format!(
            "{} suggests a renewal window that ends before it starts",
            client.whom
        )));
    }
    Ok(Some(RenewalAdvice {
        start,
        end,
        ask_again_after: answer.retry_after(client.now).unwrap_or(ASK_AGAIN).clamp(ASK_AGAIN_MIN, ASK_AGAIN_MAX),
        explanation_url: info.explanation_url.filter(|it| it.starts_with("https://")).map(|it| tame(&it, 1000)),
    }))
}

pub(super) async fn revoke(
    client: &Client<'_>,
    account: &Account,
    certificate: &ExternalCertificate,
    reason: RevocationReason,
) -> Result<(), UpstreamError> {
    let url = client.directory.revoke_cert.as_ref().ok_or_else(|| {
        UpstreamError::lasting(format!("{} does not revoke certificates by ACME; ask its operator", client.whom))
    })?;
    let mut payload = json!({ "certificate": base64url(&certificate.der) });
    // "Unspecified" is said by saying nothing (RFC 5280 §5.3.1).
    if let (Some(fields), true) = (payload.as_object_mut(), reason != RevocationReason::Unspecified) {
        fields.insert("reason".to_owned(), json!(reason.code()));
    }
    match client.post(Signer::Account(account), url, &payload).await {
        Ok(_) => Ok(()),
        Err(refusal) if refusal.kind() == Some("alreadyRevoked") => Ok(()),
        Err(refusal) if refusal.kind() == Some("badRevocationReason") => {
            let said = UpstreamError::from(refusal).text;
            Err(UpstreamError::lasting(format!(
                "{said}. The reason was {}. Next step: revoke with another reason, such as UNSPECIFIED",
                reason.as_str()
            )))
        }
        Err(refusal) => Err(refusal.into()),
    }
}
