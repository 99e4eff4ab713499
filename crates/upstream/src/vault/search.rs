//! Looking for a certificate that the engine made while nobody wrote it down.
//!
//! The engine lists its certificates by serial number alone, so each is read and its key compared. That is bounded, and
//! a part of them is read in one step.

use chancery_authority::external::{OrderInHand, UpstreamError};
use chancery_model::Timestamp;
use chancery_pkix::{Certificate, CertificationRequest, ForeignCertificate};

use super::client::WHOM;
use super::{Place, order};

/// Certificates that are looked through; an engine with more is not.
const CERTIFICATES_MAX: usize = 500;
/// Of these, in one step.
const PART: usize = 50;
/// Issuers that are tried to complete a chain.
const ISSUERS_MAX: usize = 20;
/// Seconds before the question within which a certificate can begin that answers it: the engine dates back by 30 s, and
/// its clock may differ from ours.
const BEFORE: i64 = 330;

pub(super) enum Found {
    Certificate {
        serial: String,
        chain: Vec<Vec<u8>>,
        warnings: Vec<String>,
    },
    /// Not up to this serial number.
    NotYet {
        after: String,
    },
    Nothing,
    CannotLook {
        why: String,
    },
}

pub(super) async fn look(
    place: &Place<'_>,
    hand: &OrderInHand,
    asked_at: Timestamp,
    after: &str,
) -> Result<Found, UpstreamError> {
    let csr = CertificationRequest::from_der(&hand.order.csr).map_err(|it| UpstreamError::lasting(it.to_string()))?;
    let listed = place.client.list(place.mount().then(["certs"])).await?;
    let mount = &place.settings.mount;
    let mut serials = match listed.status {
        404 => Vec::new(),
        403 => {
            let why = format!("the app connection may not list {mount}/certs");
            return Ok(Found::CannotLook { why });
        }
        _ => place.client.fine("to list certificates", listed)?.texts("keys").iter().map(ToString::to_string).collect(),
    };
    if serials.len() > CERTIFICATES_MAX {
        let why = format!("{mount} has more than {CERTIFICATES_MAX} certificates to look through");
        return Ok(Found::CannotLook { why });
    }
    serials.sort_unstable();
    let predecessor = hand.predecessor.as_ref().map(|it| with_colons(&it.serial_number));
    let mut rest = serials.into_iter().filter(|serial| serial.as_str() > after);
    let mut last = None;
    for serial in rest.by_ref().take(PART) {
        let wanted = predecessor.as_deref() != Some(&serial.replace('-', ":"));
        if wanted && let Some(der) = candidate(place, &serial, &csr, asked_at).await? {
            return adopt(place, serial, der).await;
        }
        last = Some(serial);
    }
    Ok(match (rest.next(), last) {
        (Some(_), Some(after)) => Found::NotYet { after },
        _ => Found::Nothing,
    })
}

/// The certificate, if it is of this key, from this time, and not revoked.
async fn candidate(
    place: &Place<'_>,
    serial: &str,
    csr: &CertificationRequest,
    asked_at: Timestamp,
) -> Result<Option<Vec<u8>>, UpstreamError> {
    let answer = place.client.get(place.mount().then(["cert", serial])).await?;
    if answer.status == 404 {
        return Ok(None);
    }
    let answer = place.client.fine("to read certificates", answer)?;
    let is_revoked = answer.data("revocation_time").and_then(serde_json::Value::as_i64).is_some_and(|at| at > 0);
    let Some(text) = answer.text("certificate").filter(|_| !is_revoked) else { return Ok(None) };
    let Ok(ders) = order::certificates(text) else { return Ok(None) };
    Ok(ders.into_iter().next().filter(|der| {
        ForeignCertificate::from_der(der).is_ok_and(|certificate| {
            certificate.spki_der() == csr.public_key().spki_der()
                && certificate.validity.not_before >= asked_at.as_seconds() - BEFORE
        })
    }))
}

async fn adopt(place: &Place<'_>, serial: String, der: Vec<u8>) -> Result<Found, UpstreamError> {
    let mut warnings =
        vec![format!("an answer of {WHOM} was lost; the certificate was found there by its key and taken over")];
    let mut chain = vec![der];
    match issuer_chain(place, chain.first().map(Vec::as_slice).unwrap_or_default()).await? {
        above if above.is_empty() => warnings.push(format!("{WHOM} did not show the issuer's certificates")),
        above => chain.extend(above),
    }
    Ok(Found::Certificate { serial, chain, warnings })
}

/// The certificates above this one: those of the issuer that is configured, else of the engine's default one, else of
/// whichever has signed it.
async fn issuer_chain(place: &Place<'_>, leaf: &[u8]) -> Result<Vec<Vec<u8>>, UpstreamError> {
    let mut issuers = vec![place.settings.issuer_ref.clone().unwrap_or_else(|| "default".to_owned())];
    let mut has_listed = false;
    while let Some(issuer) = issuers.pop() {
        // Anybody may read these.
        let answer = place.client.get(place.mount().then(["issuer", &issuer, "json"])).await?;
        if answer.is_fine() {
            let above = order::chain(&answer)?;
            if above.first().is_some_and(|issuer| has_signed(issuer, leaf)) {
                return Ok(above);
            }
        }
        if issuers.is_empty() && !has_listed {
            has_listed = true;
            let listed = place.client.list(place.mount().then(["issuers"])).await?;
            issuers = listed.texts("keys").into_iter().take(ISSUERS_MAX).map(ToOwned::to_owned).collect();
        }
    }
    Ok(Vec::new())
}

fn has_signed(issuer: &[u8], certificate: &[u8]) -> bool {
    let (Ok(issuer), Ok(certificate)) = (Certificate::from_der(issuer), Certificate::from_der(certificate)) else {
        return false;
    };
    issuer.public_key().is_ok_and(|key| certificate.is_signed_by(&key))
}

/// The engine's form of a serial number: pairs of hexadecimal digits with colons.
pub(super) fn with_colons(hex: &str) -> String {
    let digits: Vec<char> = hex.chars().filter(char::is_ascii_hexdigit).collect();
    let pairs: Vec<String> = digits.chunks(2).map(|pair| pair.iter().collect()).collect();
    pairs.join(":").to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn serial_numbers_are_written_as_the_engine_writes_them() {
        for (hex, expected) in [("0a1b2c", "0a:1b:2c"), ("0A1B", "0a:1b"), ("0a:1b", "0a:1b"), ("", "")] {
            assert_eq!(with_colons(hex), expected, "{hex}");
        }
    }
}
