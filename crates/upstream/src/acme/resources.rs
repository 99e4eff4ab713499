//! What an ACME CA answers with (RFC 8555 §7.1), as far as it matters here.

use std::fmt;
use std::net::IpAddr;

use chancery_model::external::ChallengeKind;
use chancery_pkix::{AttributeType, CertificationRequest, GeneralName, GeneralNameKind};
use serde::{Deserialize, Serialize};

use super::problem::Problem;

/// RFC 8555 §9.7.7, RFC 8738.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct Identifier {
    #[serde(rename = "type")]
    pub kind: IdentifierKind,
    pub value: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum IdentifierKind {
    Dns,
    Ip,
}

impl fmt::Display for Identifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.value)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum OrderStatus {
    Pending,
    Ready,
    Processing,
    Valid,
    Invalid,
}

#[derive(Debug, Deserialize)]
pub(super) struct Order {
    pub status: OrderStatus,
    #[serde(default)]
    pub identifiers: Vec<Identifier>,
    #[serde(default)]
    pub authorizations: Vec<String>,
    pub finalize: String,
    pub certificate: Option<String>,
    pub error: Option<Problem>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Authorization {
    /// `pending`, `valid`, `invalid`, `deactivated`, `expired`, `revoked`.
    pub status: String,
    pub identifier: Identifier,
    #[serde(default)]
    pub wildcard: bool,
    #[serde(default)]
    pub challenges: Vec<Challenge>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Challenge {
    #[serde(rename = "type")]
    pub kind: String,
    pub url: String,
    #[serde(default)]
    pub token: String,
    /// `pending`, `processing`, `valid`, `invalid`.
    #[serde(default)]
    pub status: String,
    pub error: Option<Problem>,
}

impl Challenge {
    pub fn kind(&self) -> Option<ChallengeKind> {
        ChallengeKind::from_name(&self.kind)
    }
}

/// What an order has to name for this CSR: its alternative names, and the common name where it is of their kind
/// (RFC 8555 §7.4). The text says which name no ACME CA could certify.
pub(super) fn identifiers(csr: &[u8]) -> Result<Vec<Identifier>, String> {
    let csr = CertificationRequest::from_der(csr).map_err(|error| error.to_string())?;
    let mut found = Vec::new();
    for name in csr.subject_alt_names() {
        found.push(identifier(name).ok_or_else(|| {
            format!(
                "ACME CAs certify DNS names and IP addresses only; request it without {} {}",
                name.kind().as_str(),
                name.value()
            )
        })?);
    }
    if let Some(name) = csr.subject().first(AttributeType::CommonName) {
        let kinds = [GeneralNameKind::IpAddress, GeneralNameKind::DnsName];
        let named = kinds.into_iter().find_map(|kind| GeneralName::parse(kind, name).ok());
        found.extend(named.as_ref().and_then(identifier));
    }
    found.sort();
    found.dedup();
    if found.is_empty() {
        return Err("ACME CAs certify DNS names and IP addresses; the request names none".to_owned());
    }
    Ok(found)
}

fn identifier(name: &GeneralName) -> Option<Identifier> {
    match name {
        GeneralName::Dns(name) => Some(Identifier { kind: IdentifierKind::Dns, value: name.to_ascii_lowercase() }),
        GeneralName::Ip(address) => Some(Identifier { kind: IdentifierKind::Ip, value: address.to_string() }),
        _ => None,
    }
}

/// How a validating CA names the identifier in its TLS handshake (RFC 8737 §3, RFC 8738 §6).
pub(super) fn sni_name(identifier: &Identifier) -> String {
    match identifier.value.parse::<IpAddr>() {
        Ok(IpAddr::V4(address)) => {
            let [a, b, c, d] = address.octets();
            format!("{d}.{c}.{b}.{a}.in-addr.arpa")
        }
        Ok(IpAddr::V6(address)) => {
            let nibbles = address.octets().into_iter().rev().flat_map(|octet| [octet & 15, octet >> 4]);
            let labels: String = nibbles.map(|nibble| format!("{nibble:x}.")).collect();
            format!("{labels}ip6.arpa")
        }
        Err(_) => identifier.value.to_ascii_lowercase(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_named_in_reverse() {
        for (value, expected) in [
            ("a.Test", "a.test"),
            ("192.0.2.1", "1.2.0.192.in-addr.arpa"),
            ("2001:db8::567:89ab", "b.a.9.8.7.6.5.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa"),
        ] {
            let identifier = Identifier { kind: IdentifierKind::Dns, value: value.to_owned() };
            assert_eq!(sni_name(&identifier), expected);
        }
    }
}
