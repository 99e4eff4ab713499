//! Orders, authorizations, challenges and certificates of the strict server (RFC 8555 §7.1.6, §7.4 to §7.6, RFC 9773).

use aws_lc_rs::digest;
use chancery_model::external::ChallengeKind;
use chancery_pkix::{Certificate, CertificationRequest, GeneralName, GeneralNameKind, pem};
use serde_json::{Value, json};

use super::issuer::Key;
use super::server::{Answer, World, base64url, malformed, members, problem, thumbprint, unbase64url};
use crate::stand_in::Reply;

pub struct Order {
    pub account: usize,
    pub identifiers: Vec<Value>,
    pub profile: Option<Value>,
    pub replaces: Option<Value>,
    authorizations: Vec<usize>,
    /// Questions until it has moved on.
    waiting: u32,
    finalized: bool,
    certificate: Option<usize>,
}

pub struct Authorization {
    account: usize,
    identifier: Value,
    wildcard: bool,
    pub status: &'static str,
    challenges: Vec<Challenge>,
}

struct Challenge {
    kind: &'static str,
    token: String,
    status: &'static str,
    error: Option<Value>,
}

pub struct Issued {
    pub der: Vec<u8>,
    pub replaced: bool,
    pub revoked: Option<Value>,
}

impl World {
    pub fn new_order(&mut self, account: usize, payload: &Value) -> Answer {
        if members(payload).iter().any(|it| !["identifiers", "profile", "replaces"].contains(it)) {
            return Err(malformed("an order has other members than it may"));
        }
        let identifiers = payload["identifiers"].as_array().cloned().unwrap_or_default();
        if identifiers.is_empty() || identifiers.iter().enumerate().any(|(at, it)| identifiers[..at].contains(it)) {
            return Err(malformed("no identifiers, or one of them twice"));
        }
        self.check_identifiers(&identifiers)?;
        if let Some(profile) = payload.get("profile")
            && !self.options.profiles.iter().any(|it| profile == it)
        {
            return Err(problem(400, "invalidProfile", "no such profile"));
        }
        let replaced = payload.get("replaces").map(|it| self.replaceable(it)).transpose()?;
        let shared = self.orders.iter().position(|it| {
            it.account == account && it.identifiers == identifiers && it.certificate.is_none() && !it.finalized
        });
        if let Some(at) = shared.filter(|_| self.options.shares_orders) {
            return Ok(self.order_reply(201, at));
        }
        if let Some(at) = replaced {
            self.issued[at].replaced = true;
        }
        let authorizations = identifiers.iter().map(|it| self.authorize(account, it)).collect();
        let waiting = self.options.slowness;
        let (profile, replaces) = (payload.get("profile").cloned(), payload.get("replaces").cloned());
        let (finalized, certificate) = (false, None);
        self.orders.push(Order {
            account,
            identifiers,
            profile,
            replaces,
            authorizations,
            waiting,
            finalized,
            certificate,
        });
        Ok(self.order_reply(201, self.orders.len() - 1))
    }

    fn check_identifiers(&self, identifiers: &[Value]) -> Result<(), Reply> {
        let mut subproblems = Vec::new();
        for one in identifiers {
            let value = one["value"].as_str().unwrap_or_default();
            let kind = match one["type"].as_str() {
                Some("dns") => GeneralNameKind::DnsName,
                Some("ip") => GeneralNameKind::IpAddress,
                _ => return Err(problem(400, "unsupportedIdentifier", "dns or ip")),
            };
            if GeneralName::parse(kind, value).map(|it| it.value()) != Ok(value.to_owned()) {
                return Err(malformed("an identifier is not in its canonical form"));
            }
            if value.ends_with("forbidden.test") {
                subproblems.push(json!({
                    "type": "urn:ietf:params:acme:error:rejectedIdentifier", "detail": "policy forbids it", "identifier": one,
                }));
            }
        }
        if subproblems.is_empty() {
            return Ok(());
        }
        let body = json!({
            "type": "urn:ietf:params:acme:error:rejectedIdentifier", "detail": "some names are refused",
            "subproblems": subproblems,
        });
        Err(Reply::json(400, &body))
    }

    /// RFC 9773 §5.
    fn replaceable(&self, id: &Value) -> Result<usize, Reply> {
        if self.options.renewal_info.is_none() {
            return Err(malformed("replaces is not known here"));
        }
        let found = self.issued.iter().position(|it| *id == certificate_id(&it.der));
        let at = found.ok_or_else(|| problem(404, "malformed", "no such certificate"))?;
        if self.issued[at].replaced { Err(problem(409, "alreadyReplaced", "it has a successor")) } else { Ok(at) }
    }

    fn authorize(&mut self, account: usize, identifier: &Value) -> usize {
        let value = identifier["value"].as_str().unwrap().to_owned();
        let (base, wildcard) = match value.strip_prefix("*.") {
            Some(base) => (base.to_owned(), true),
            None => (value, false),
        };
        let number = self.authorizations.len();
        let is_ip = identifier["type"] == "ip";
        let kinds = self.options.offers.iter().filter(|kind| match **kind {
            "dns-01" => !is_ip,
            _ => !wildcard,
        });
        let challenges = kinds.map(|kind| Challenge {
            kind,
            token: base64url(format!("a token of {kind} for {number:04}").as_bytes()),
            status: "pending",
            error: None,
        });
        let identifier = json!({ "type": identifier["type"], "value": base });
        let challenges = challenges.collect();
        self.authorizations.push(Authorization { account, identifier, wildcard, status: "pending", challenges });
        number
    }

    fn status(&self, order: &Order) -> &'static str {
        let any = |status: &str| order.authorizations.iter().any(|at| self.authorizations[*at].status == status);
        match order {
            Order { certificate: Some(_), waiting: 0, .. } => "valid",
            Order { finalized: true, .. } => "processing",
            _ if any("invalid") => "invalid",
            _ if any("pending") || order.waiting > 0 => "pending",
            _ => "ready",
        }
    }

    fn order_reply(&self, status: u16, at: usize) -> Reply {
        let order = &self.orders[at];
        let mut body = json!({
            "status": self.status(order), "identifiers": order.identifiers, "expires": "2099-01-01T00:00:00Z",
            "authorizations": order.authorizations.iter().map(|it| self.url(&format!("/authorization/{it}"))).collect::<Vec<_>>(),
            "finalize": self.url(&format!("/finalize/{at}")),
        });
        if let (Some(certificate), 0) = (order.certificate, order.waiting) {
            body["certificate"] = json!(self.url(&format!("/certificate/{certificate}")));
        }
        let mut reply = Reply::json(status, &body);
        reply.1.push(("location", self.url(&format!("/order/{at}"))));
        if order.waiting > 0 {
            reply.1.push(("retry-after", "7".to_owned()));
        }
        reply
    }

    fn own_order(&mut self, account: usize, at: usize) -> Result<&mut Order, Reply> {
        let order = self.orders.get_mut(at).filter(|it| it.account == account);
        order.ok_or_else(|| problem(404, "malformed", "no such order"))
    }

    pub fn order(&mut self, account: usize, at: usize) -> Answer {
        let order = self.own_order(account, at)?;
        let told = order.authorizations.clone();
        let is_told = told.iter().all(|it| self.authorizations[*it].status != "pending");
        let order = self.own_order(account, at)?;
        if is_told || order.finalized {
            order.waiting = order.waiting.saturating_sub(1);
        }
        Ok(self.order_reply(200, at))
    }

    /// Two to a page.
    pub fn order_list(&self, account: usize, page: usize) -> Reply {
        let own = self.orders.iter().enumerate().filter(|(_, it)| it.account == account);
        let urls: Vec<_> = own.map(|(at, _)| self.url(&format!("/order/{at}"))).collect();
        let pages: Vec<_> = urls.chunks(2).collect();
        let mut reply = Reply::json(200, &json!({ "orders": pages.get(page).copied().unwrap_or_default() }));
        if page + 1 < pages.len() {
            let next = self.url(&format!("/orders/{account}/{}", page + 1));
            reply.1.push(("link", format!("<{}>;rel=\"index\", <{next}>;rel=\"next\"", self.url("/directory"))));
        }
        reply
    }

    pub fn authorization(&self, account: usize, at: usize) -> Answer {
        let found = self.authorizations.get(at).filter(|it| it.account == account);
        let found = found.ok_or_else(|| problem(404, "malformed", "no such authorization"))?;
        let challenges: Vec<_> = (0..found.challenges.len()).map(|it| self.challenge_body(at, it)).collect();
        let mut body = json!({ "status": found.status, "identifier": found.identifier, "challenges": challenges });
        if found.wildcard {
            body["wildcard"] = json!(true);
        }
        Ok(Reply::json(200, &body))
    }

    fn challenge_body(&self, at: usize, which: usize) -> Value {
        let challenge = &self.authorizations[at].challenges[which];
        let mut body = json!({
            "type": challenge.kind, "url": self.url(&format!("/challenge/{at}/{which}")), "token": challenge.token,
            "status": challenge.status,
        });
        if let Some(error) = &challenge.error {
            body["error"] = error.clone();
        }
        body
    }

    /// Without a payload it is looked at; with one the names are looked up, at once and once.
    pub fn challenge(&mut self, account: usize, at: usize, which: usize, payload: Option<Value>) -> Answer {
        let found = self.authorizations.get(at).filter(|it| it.account == account && it.challenges.len() > which);
        let found = found.ok_or_else(|| problem(404, "malformed", "no such challenge"))?;
        match payload {
            None => return Ok(Reply::json(200, &self.challenge_body(at, which))),
            Some(payload) if payload != json!({}) => return Err(malformed("the answer to a challenge is {}")),
            Some(_) => {}
        }
        if found.status != "pending" || found.challenges[which].status != "pending" {
            return Err(malformed("the challenge is not pending"));
        }
        let accepted = self.is_proved(account, at, which);
        let authorization = &mut self.authorizations[at];
        let status = if accepted { "valid" } else { "invalid" };
        authorization.status = status;
        let challenge = &mut authorization.challenges[which];
        challenge.status = status;
        if !accepted {
            challenge.error = Some(json!({
                "type": "urn:ietf:params:acme:error:unauthorized", "detail": "the answer is not there",
            }));
        }
        Ok(Reply::json(200, &self.challenge_body(at, which)))
    }

    fn is_proved(&self, account: usize, at: usize, which: usize) -> bool {
        let authorization = &self.authorizations[at];
        let (name, challenge) = (authorization.identifier["value"].as_str().unwrap(), &authorization.challenges[which]);
        let key_authorization = format!("{}.{}", challenge.token, thumbprint(&self.accounts[account].jwk));
        let published = |kind: ChallengeKind, name: &str| {
            self.published.iter().any(|it| it.kind == kind && it.name == name && it.value == key_authorization)
        };
        match challenge.kind {
            "dns-01" => {
                let digest = digest::digest(&digest::SHA256, key_authorization.as_bytes());
                self.zone.has(&format!("_acme-challenge.{name}"), &base64url(digest.as_ref()))
            }
            "http-01" => published(ChallengeKind::Http01, &challenge.token),
            _ => {
                let reversed = |it: std::net::Ipv4Addr| {
                    let [a, b, c, d] = it.octets();
                    format!("{d}.{c}.{b}.{a}.in-addr.arpa")
                };
                published(ChallengeKind::TlsAlpn01, &name.parse().map_or_else(|_| name.to_owned(), reversed))
            }
        }
    }

    pub fn finalize(&mut self, account: usize, at: usize, payload: &Value) -> Answer {
        let order = self.own_order(account, at)?;
        let mut wanted: Vec<_> = order.identifiers.iter().map(|it| it["value"].as_str().unwrap().to_owned()).collect();
        wanted.sort();
        if self.status(&self.orders[at]) != "ready" {
            return Err(problem(403, "orderNotReady", "the order is not ready"));
        }
        let csr = CertificationRequest::from_der(&unbase64url(&payload["csr"])?);
        let csr = csr.map_err(|error| problem(400, "badCSR", &error.message))?;
        let mut names: Vec<_> = csr.subject_alt_names().iter().map(GeneralName::value).collect();
        names.sort();
        if names != wanted {
            return Err(problem(400, "badCSR", "the CSR is for other names"));
        }
        let stranger = Key::new();
        let key = if self.options.wrong_key { stranger.public_key() } else { csr.public_key() };
        let der = self.intermediate.issue(&names[0], key, csr.subject_alt_names().to_vec());
        self.issued.push(Issued { der, replaced: false, revoked: None });
        let (certificate, waiting) = (self.issued.len() - 1, self.options.slowness);
        let order = &mut self.orders[at];
        (order.finalized, order.certificate, order.waiting) = (true, Some(certificate), waiting);
        Ok(self.order_reply(200, at))
    }

    pub fn certificate(&self, account: usize, at: usize, is_other: bool) -> Answer {
        let order = self.orders.iter().find(|it| it.certificate == Some(at) && it.account == account);
        let order = order.filter(|it| self.status(it) == "valid");
        order.ok_or_else(|| problem(404, "malformed", "no such certificate"))?;
        let root = if is_other { &self.other_root } else { &self.root };
        let chain = [self.issued[at].der.clone(), self.intermediate.crossed(root)];
        let text: String = chain.iter().map(|it| pem::encode(pem::CERTIFICATE, it)).collect();
        let mut reply = Reply::text(200, text);
        let (path, other) = (format!("/certificate/{at}"), format!("/certificate/{at}/other"));
        let link = if is_other { path } else { other };
        reply.1 = vec![
            ("content-type", "application/pem-certificate-chain".to_owned()),
            ("link", format!("<{}>;rel=\"index\", <{}>;rel=\"alternate\"", self.url("/directory"), self.url(&link))),
        ];
        Ok(reply)
    }

    pub fn revoke(&mut self, _account: usize, payload: &Value) -> Answer {
        let der = unbase64url(&payload["certificate"])?;
        let found = self.issued.iter_mut().find(|it| it.der == der);
        let found = found.ok_or_else(|| problem(404, "malformed", "no such certificate"))?;
        if found.revoked.is_some() {
            return Err(problem(400, "alreadyRevoked", "it is revoked"));
        }
        match payload.get("reason").and_then(Value::as_u64) {
            None | Some(1 | 3 | 4 | 5) => {}
            _ => return Err(problem(400, "badRevocationReason", "reasons are 1, 3, 4, 5")),
        }
        found.revoked = Some(payload["reason"].clone());
        Ok(Reply::text(200, ""))
    }

    pub fn renewal_info(&self, id: &str) -> Answer {
        let known = self.issued.iter().any(|it| certificate_id(&it.der) == id);
        let info = self.options.renewal_info.as_ref().filter(|_| known);
        let info = info.ok_or_else(|| problem(404, "malformed", "no such certificate"))?;
        let mut reply = Reply::json(200, info);
        reply.1.push(("retry-after", "3600".to_owned()));
        Ok(reply)
    }
}

/// RFC 9773 §4.1.
pub fn certificate_id(der: &[u8]) -> String {
    let certificate = Certificate::from_der(der).unwrap();
    let issuer = certificate.extensions().authority_key_id.clone().unwrap();
    format!("{}.{}", base64url(&issuer), base64url(&certificate.serial().to_content_octets()))
}
