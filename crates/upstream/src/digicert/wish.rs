//! What is ordered: the request and the settings in the words of the Services API.

use chancery_model::external::DigicertConfiguration;
use chancery_model::order::ExternalOrder;
use chancery_pkix::{AttributeType, CertificationRequest, GeneralName, GeneralNameKind, pem};
use serde_json::{Value, json};

use super::client::{WHOM, number};

const DAY: i64 = 86_400;

/// A wish that can be ordered.
#[derive(Debug)]
pub(super) struct Wish {
    pub(super) common_name: String,
    dns_names: Vec<String>,
    csr_pem: String,
    /// Base64 of the request, to know it again.
    csr_base64: String,
    pub(super) product: String,
    organization: i64,
    dcv_method: Option<String>,
    days: i64,
    number: String,
    /// Said beside the certificate.
    pub(super) warnings: Vec<String>,
}

impl Wish {
    /// From an order, or why it cannot be ordered there.
    pub(super) fn new(settings: &DigicertConfiguration, order: &ExternalOrder) -> Result<Self, String> {
        let csr = CertificationRequest::from_der(&order.csr).map_err(|error| error.to_string())?;
        let names = dns_names(&csr)?;
        // A common name that is a host's is one of the names, also where the request does not repeat it among them.
        let subject = csr.subject().first(AttributeType::CommonName).map(str::to_ascii_lowercase);
        let is_host = |name: &String| GeneralName::parse(GeneralNameKind::DnsName, name).is_ok();
        let common_name = subject.filter(is_host).or_else(|| names.first().cloned());
        let Some(common_name) = common_name else {
            return Err(format!("{WHOM} orders need a DNS name; add one as a SAN"));
        };
        let overridden = |name: &str| order.plan.external_configs.as_ref().and_then(|it| it.get(name));
        let text = |name: &str| overridden(name).and_then(Value::as_str).filter(|it| !it.is_empty()).map(str::to_owned);
        let (days, warning) = days(order.plan.ttl, order.plan.validity_max)?;
        Ok(Self {
            dns_names: names.into_iter().filter(|name| *name != common_name).collect(),
            common_name,
            csr_pem: csr.to_pem(),
            csr_base64: base64_of(&pem::encode(pem::CERTIFICATE_REQUEST, csr.der())),
            product: text("productNameId").unwrap_or_else(|| settings.product_name_id.clone()),
            organization: number(overridden("organizationId")).unwrap_or(settings.organization_id),
            dcv_method: text("dcvMethod").or_else(|| settings.dcv_method.clone()),
            days,
            number: order.request_id.to_string(),
            warnings: warning.into_iter().collect(),
        })
    }

    /// Our own number for it, on the other side too.
    pub(super) fn number(&self) -> &str {
        &self.number
    }

    /// Seconds.
    pub(super) const fn life(&self) -> i64 {
        self.days * DAY
    }

    /// Whether a request that the service shows is this one.
    pub(super) fn is_of(&self, csr: &str) -> bool {
        base64_of(csr) == self.csr_base64
    }

    fn certificate(&self) -> Value {
        json!({
            "common_name": self.common_name,
            "dns_names": self.dns_names,
            "csr": self.csr_pem,
            "signature_hash": "sha256",
            // "Other".
            "server_platform": { "id": -1 },
        })
    }

    /// The body of an order.
    pub(super) fn order(&self, renewal_of: Option<i64>) -> Value {
        let mut body = json!({
            "certificate": self.certificate(),
            "organization": { "id": self.organization },
            "order_validity": { "days": self.days },
            "skip_approval": true,
            "alternative_order_id": self.number,
            "comments": format!("Chancery request {}", self.number),
            // Who is reminded is set up here.
            "disable_renewal_notifications": true,
        });
        if let Some(members) = body.as_object_mut() {
            members.extend(self.dcv_method.iter().map(|it| ("dcv_method".to_owned(), Value::from(it.as_str()))));
            members.extend(renewal_of.map(|it| ("renewal_of_order_id".to_owned(), Value::from(it))));
        }
        body
    }

    /// The body of a reissue within an order.
    pub(super) fn reissue(&self) -> Value {
        let mut body = json!({
            "certificate": self.certificate(),
            "skip_approval": true,
            "comments": format!("Chancery request {}", self.number),
        });
        if let (Some(members), Some(method)) = (body.as_object_mut(), &self.dcv_method) {
            members.insert("dcv_method".to_owned(), Value::from(method.as_str()));
        }
        body
    }
}

fn dns_names(csr: &CertificationRequest) -> Result<Vec<String>, String> {
    let mut names = Vec::new();
    for name in csr.subject_alt_names() {
        let GeneralName::Dns(text) = name else {
            return Err(format!(
                "{WHOM} is asked for DNS names only, not for names of type {}; leave {} out of the request",
                name.kind(),
                name.value()
            ));
        };
        if !names.contains(text) {
            names.push(text.clone());
        }
    }
    Ok(names)
}

/// Orders last whole days, and the last day is given whole: a day less is ordered where it would pass the longest life
/// that the template allows.
fn days(ttl: i64, validity_max: Option<i64>) -> Result<(i64, Option<String>), String> {
    let wanted = ttl / DAY;
    let fitting = validity_max.map_or(wanted, |max| wanted.min(max / DAY - 1));
    if fitting < 1 {
        return Err(format!(
            "{WHOM} orders last whole days, and their last day is given whole: ask for one day at least, and let the template allow two"
        ));
    }
    let warning = (fitting * DAY != ttl).then(|| {
        format!("{fitting} days were ordered: {WHOM} counts whole days, and the template's longest life must hold")
    });
    Ok((fitting, warning))
}

/// What is between the lines of dashes, without white space: some of it gets lost on the way.
fn base64_of(pem: &str) -> String {
    let body = pem.split("-----").max_by_key(|part| part.len()).unwrap_or_default();
    body.chars().filter(|it| !it.is_whitespace()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_days_are_ordered_and_never_more_than_the_template_allows() {
        for (ttl, max, expected) in [
            (90 * DAY, None, Some((90, false))),
            (90 * DAY + 5, None, Some((90, true))),
            (90 * DAY, Some(365 * DAY), Some((90, false))),
            (90 * DAY, Some(90 * DAY), Some((89, true))),
            (365 * DAY, Some(90 * DAY), Some((89, true))),
            (DAY, Some(2 * DAY), Some((1, false))),
            (DAY, Some(DAY), None),
            (3_600, None, None),
        ] {
            let answer = days(ttl, max).ok().map(|(days, warning)| (days, warning.is_some()));
            assert_eq!(answer, expected, "{ttl} {max:?}");
        }
    }

    #[test]
    fn a_request_is_known_again_without_its_line_breaks() {
        let pem = pem::encode(pem::CERTIFICATE_REQUEST, &[7; 200]);
        let flat = pem.replace('\n', "");
        assert_eq!(base64_of(&pem), base64_of(&flat));
        assert_ne!(base64_of(&pem), base64_of(&pem::encode(pem::CERTIFICATE_REQUEST, &[8; 200])));
    }
}
