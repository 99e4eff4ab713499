//! The requests of a run, made before the clock starts.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair};
use chancery_pkix::{
    Attribute, AttributeType, CertificationRequestInfo, DistinguishedName, GeneralName, GeneralNameKind, KeyUsages,
    PublicKey, SignatureAlgorithm, assemble,
};
use serde_json::{Value, json};

use super::IssuePath;
use super::http::request;
use super::server::{DOMAIN, Server};
use super::session::{Session, credential};

/// So many different requests are made; a longer run begins again with the first.
const DISTINCT: usize = 20_000;
const CERTIFICATES: &str = "/api/v1/cert-manager/certificates";

pub struct Requests {
    prepared: Vec<Vec<u8>>,
    /// Where the next round begins, so that rounds do not all send the same ones.
    next: AtomicUsize,
}

impl Requests {
    pub fn begin(&self) -> usize {
        self.next.load(Ordering::Relaxed)
    }

    pub fn end(&self, next: usize) {
        self.next.store(next, Ordering::Relaxed);
    }

    pub fn at(&self, index: usize) -> &[u8] {
        self.prepared.get(index % self.prepared.len().max(1)).map_or(&[], Vec::as_slice)
    }
}

/// Logs in as the quickstart's machine identity, finds its profile and writes down the requests.
pub async fn prepare(server: &Server, data: &Path, path: IssuePath) -> Result<Arc<Requests>, String> {
    let session = Session::machine(server, data).await?;
    let profile = session.profile(&credential(data, "profile")?).await?;
    let bodies = (0..DISTINCT).map(|number| body(path, &profile, number));
    let prepared = bodies.map(|body| Ok(request("POST", CERTIFICATES, Some(&session.token), Some(&body?.to_string()))));
    Ok(Arc::new(Requests { prepared: prepared.collect::<Result<_, String>>()?, next: AtomicUsize::new(0) }))
}

fn body(path: IssuePath, profile: &str, number: usize) -> Result<Value, String> {
    let host = format!("host-{number}.{DOMAIN}");
    let other = format!("www-{number}.{DOMAIN}");
    Ok(match path {
        IssuePath::Csr => {
            json!({"profileId": profile, "csr": csr(&host, &other)?, "attributes": {"ttl": "30d"}})
        }
        IssuePath::ServerKey => {
            let names = json!([{"type": "dns_name", "value": host}, {"type": "dns_name", "value": other}]);
            let attributes =
                json!({"commonName": host, "altNames": names, "keyAlgorithm": "EC_prime256v1", "ttl": "30d"});
            json!({"profileId": profile, "attributes": attributes})
        }
    })
}

/// A request as a host would make it: a P-256 key, its name and one more.
fn csr(host: &str, other: &str) -> Result<String, String> {
    let failed = |error: &dyn std::fmt::Display| format!("a request for {host}: {error}");
    let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).map_err(|error| failed(&error))?;
    let spki = key.public_key().as_der().map_err(|error| failed(&error))?;
    let public = PublicKey::from_spki_der(spki.as_ref()).map_err(|error| failed(&error))?;
    let name = vec![Attribute { kind: AttributeType::CommonName, value: host.to_owned() }];
    let subject = DistinguishedName::new(name).map_err(|error| failed(&error))?.to_der();
    let names = [host, other].map(|name| GeneralName::parse(GeneralNameKind::DnsName, name));
    let names = names.into_iter().collect::<Result<Vec<_>, _>>().map_err(|error| failed(&error))?;
    let info = CertificationRequestInfo {
        subject_der: &subject,
        public_key: &public,
        subject_alt_names: &names,
        key_usages: KeyUsages::default(),
        extended_key_usages: &[],
        basic_constraints: None,
    };
    let info = info.to_der();
    let signature = key.sign(&SystemRandom::new(), &info).map_err(|error| failed(&error))?;
    let der = assemble(&info, SignatureAlgorithm::EcdsaSha256, signature.as_ref());
    Ok(chancery_pkix::pem::encode("CERTIFICATE REQUEST", &der))
}

#[cfg(test)]
mod tests {
    use super::*;
    use chancery_pkix::CertificationRequest;

    #[test]
    fn the_prepared_request_is_a_valid_one() {
        let body = body(IssuePath::Csr, "p", 7).expect("a body");
        let text = body.get("csr").and_then(Value::as_str).expect("a csr");
        let csr = CertificationRequest::from_pem(text).expect("proof of possession");
        assert_eq!(csr.subject().first(AttributeType::CommonName), Some("host-7.bench.internal"));
        assert_eq!(csr.subject_alt_names().len(), 2);
    }

    #[test]
    fn rounds_go_on_where_the_last_one_stopped() {
        let requests = Requests { prepared: vec![vec![1], vec![2], vec![3]], next: AtomicUsize::new(0) };
        requests.end(4);
        assert_eq!(requests.at(requests.begin()), [2]);
    }
}
