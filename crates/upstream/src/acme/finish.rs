//! The end of an order: the CSR goes out once, the certificate comes in (RFC 8555 §7.4, §7.4.2).

use chancery_authority::external::{Next, Step, UpstreamError};
use chancery_egress::HeaderMap;
use chancery_pkix::pem::{self, OutsideText};
use chancery_pkix::{AttributeType, CertificationRequest, DistinguishedName, ForeignCertificate};
use serde_json::json;

use super::client::Answer;
use super::jws::base64url;
use super::order::Order;
use super::prove::capital;
use super::resources::{self, OrderStatus};

const CHAIN_MAX: usize = 10;
const ALTERNATES_MAX: usize = 10;

impl Order<'_> {
    /// The order is looked at first: it tells whether the CSR has been taken, also after a crash.
    pub(super) async fn finish(mut self) -> Result<Step, UpstreamError> {
        let (found, retry_after) = self.order_now().await?;
        match found.status {
            OrderStatus::Ready if !self.progress.finalized => self.finalize(&found).await,
            OrderStatus::Valid => self.fetch(found).await,
            OrderStatus::Invalid => self.invalid(found).await,
            OrderStatus::Pending | OrderStatus::Ready | OrderStatus::Processing => Ok(self.wait(retry_after)),
        }
    }

    fn wait(&mut self, retry_after: Option<u32>) -> Step {
        let seconds = retry_after.unwrap_or_else(|| self.progress.pause()).max(1);
        let message = capital(&format!("{} is making the certificate", self.client.whom));
        self.progress.step(Next::Wait { seconds, validating: false, message })
    }

    async fn finalize(mut self, found: &resources::Order) -> Result<Step, UpstreamError> {
        let url = self.client.own(&found.finalize)?;
        let payload = json!({ "csr": base64url(&self.hand.order.csr) });
        match self.client.post(self.signer(), &url, &payload).await {
            Ok(answer) => {
                (self.progress.finalized, self.progress.polls) = (true, 0);
                let retry_after = answer.retry_after(self.site.now);
                let now = answer.json::<resources::Order>(&self.client, "order")?;
                Ok(if now.status == OrderStatus::Processing {
                    self.wait(retry_after)
                } else {
                    self.progress.step(Next::Continue)
                })
            }
            // Somebody was faster, or the CA is not as far as it said: the next look tells.
            Err(refusal) if refusal.kind() == Some("orderNotReady") => Ok(self.wait(None)),
            Err(refusal) => Err(refusal.into()),
        }
    }

    async fn fetch(mut self, found: resources::Order) -> Result<Step, UpstreamError> {
        let Some(url) = &found.certificate else {
            return Err(UpstreamError::passing(format!("{} does not say where the certificate is", self.client.whom)));
        };
        let answer = self.client.read(&self.account, &self.client.own(url)?).await?;
        let chain = match chain(&answer.body) {
            Ok(chain) => chain,
            Err(why) => return Ok(self.failed(format!("{} sent {why} in place of a certificate", self.client.whom))),
        };
        // Where the CA never took our CSR, a certificate for another key is another request's. Where it did, the core
        // decides what to do with it.
        if !self.progress.finalized && !is_for(&chain, &self.hand.order.csr) {
            return self.start_over();
        }
        self.progress.finalized = true;
        let (chain, warnings) = self.preferred(chain, &answer).await?;
        Ok(self.progress.step(Next::Issued { chain, warnings }))
    }

    /// RFC 8555 §7.4.2: the CA may offer other chains for the same certificate.
    async fn preferred(
        &self,
        chain: Vec<Vec<u8>>,
        answer: &Answer,
    ) -> Result<(Vec<Vec<u8>>, Vec<String>), UpstreamError> {
        let Some(wanted) = self.config.preferred_chain.as_deref().map(str::trim).filter(|it| !it.is_empty()) else {
            return Ok((chain, Vec::new()));
        };
        let mut offered = vec![top(&chain)];
        if offered.iter().flatten().any(|it| it == wanted) {
            return Ok((chain, Vec::new()));
        }
        for link in links(&answer.headers, "alternate").iter().take(ALTERNATES_MAX) {
            let url = self.client.own(link)?;
            let other = self.client.read(&self.account, &url).await?;
            let Ok(other) = self::chain(&other.body) else { continue };
            let top = top(&other);
            if top.as_deref() == Some(wanted) && other.first() == chain.first() {
                return Ok((other, Vec::new()));
            }
            offered.push(top);
        }
        let offered: Vec<_> = offered.into_iter().flatten().collect();
        let text = format!(
            "{} offers no chain up to \"{wanted}\" (preferredChain), but to: {}. The CA's usual chain is used",
            capital(&self.client.whom),
            offered.join(", ")
        );
        Ok((chain, vec![text]))
    }
}

/// The certificate and those above it, DER; or what it is instead.
fn chain(body: &[u8]) -> Result<Vec<Vec<u8>>, String> {
    let text = std::str::from_utf8(body).map_err(|_| "something that is not text".to_owned())?;
    let blocks =
        pem::decode(text, OutsideText::Skip).map_err(|error| format!("something that is not PEM ({error})"))?;
    if blocks.is_empty() || blocks.len() > CHAIN_MAX {
        return Err(format!("{} PEM blocks", blocks.len()));
    }
    if blocks.iter().any(|block| block.label != pem::CERTIFICATE) {
        return Err("PEM blocks of other kinds".to_owned());
    }
    Ok(blocks.into_iter().map(|block| block.der).collect())
}

fn is_for(chain: &[Vec<u8>], csr: &[u8]) -> bool {
    let certified = chain.first().and_then(|der| ForeignCertificate::from_der(der).ok());
    let asked = CertificationRequest::from_der(csr).ok();
    matches!((certified, asked), (Some(it), Some(csr)) if it.spki_der() == csr.public_key().spki_der())
}

/// The common name of whoever issued the last certificate of the chain.
fn top(chain: &[Vec<u8>]) -> Option<String> {
    let last = ForeignCertificate::from_der(chain.last()?).ok()?;
    let issuer = DistinguishedName::from_der(last.issuer_der()).ok()?;
    issuer.first(AttributeType::CommonName).map(str::to_owned)
}

/// Targets of the links (RFC 8288) with this relation.
pub(super) fn links(headers: &HeaderMap, relation: &str) -> Vec<String> {
    let mut found = Vec::new();
    for value in headers.get_all("link") {
        // A comma may be part of a URL, but `<` may not.
        for link in value.to_str().unwrap_or_default().split('<').skip(1) {
            let Some((target, parameters)) = link.split_once('>') else { continue };
            let fits = parameters.split([';', ',']).any(|one| {
                let (name, value) = one.split_once('=').unwrap_or_default();
                name.trim().eq_ignore_ascii_case("rel")
                    && value.trim().trim_matches('"').split(' ').any(|it| it.eq_ignore_ascii_case(relation))
            });
            if fits {
                found.push(target.to_owned());
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_found_by_their_relation() {
        let mut headers = HeaderMap::new();
        for link in [
            r#"<https://ca.test/directory>;rel="index""#,
            r#"<https://ca.test/cert/1/1>;rel="alternate""#,
            r#"<https://ca.test/a,b>; title="x"; rel=alternate, <https://ca.test/up>;rel="up""#,
            r#"<https://ca.test/c>;rel="up alternate""#,
            "nonsense",
        ] {
            headers.append("link", link.parse().unwrap());
        }
        assert_eq!(
            links(&headers, "alternate"),
            ["https://ca.test/cert/1/1", "https://ca.test/a,b", "https://ca.test/c"]
        );
    }

    #[test]
    fn only_certificates_make_a_chain() {
        let certificate = pem::encode(pem::CERTIFICATE, b"one");
        assert_eq!(chain(certificate.as_bytes()), Ok(vec![b"one".to_vec()]));
        assert_eq!(chain(format!("{certificate}\n{certificate}").as_bytes()).map(|it| it.len()), Ok(2));
        for wrong in [
            String::new(),
            "<html>".to_owned(),
            pem::encode("PRIVATE KEY", b"one"),
            certificate.repeat(CHAIN_MAX + 1),
            "-----BEGIN CERTIFICATE-----\nAAAA".to_owned(),
        ] {
            assert!(chain(wrong.as_bytes()).is_err(), "{wrong}");
        }
        assert!(chain(&[0xff, 0xfe]).is_err());
    }
}
