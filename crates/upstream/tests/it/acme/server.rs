//! A strict ACME server: it takes what RFC 8555 allows and nothing else. Faults are injected by the name of the operation.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
use aws_lc_rs::{digest, hmac};
use axum::http::Method;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chancery_model::order::PublishedChallenge;
use serde_json::{Map, Value, json};

use super::issuer::Issuer;
use super::orders::{Authorization, Issued, Order};
use super::zone::Zone;
use crate::stand_in::{Asked, Reply, StandIn};

pub const EAB: (&str, &str) = ("customer-7", "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W");

pub struct Options {
    pub eab: bool,
    /// Every so many-th request has its nonce refused; 0: none.
    pub refuse_nonce_each: usize,
    pub lists_orders: bool,
    /// RFC 9773.
    pub renewal_info: Option<Value>,
    pub profiles: Vec<&'static str>,
    /// Questions about an order until it has moved on.
    pub slowness: u32,
    /// Who asks for the names of an order that is open gets that order, as at Let's Encrypt.
    pub shares_orders: bool,
    /// What is offered for names; wildcards get dns-01 and addresses all but that.
    pub offers: Vec<&'static str>,
    /// The certificate is for another key.
    pub wrong_key: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            eab: false,
            refuse_nonce_each: 0,
            lists_orders: false,
            renewal_info: None,
            profiles: Vec::new(),
            slowness: 0,
            shares_orders: false,
            offers: vec!["http-01", "dns-01", "tls-alpn-01"],
            wrong_key: false,
        }
    }
}

pub struct Account {
    pub jwk: Value,
    pub contact: Value,
    pub status: &'static str,
}

pub enum Fault {
    /// In place of the answer; nothing is done.
    Reply(u16, Vec<(&'static str, String)>, String),
    /// After it was done.
    Lost,
    Tamper(fn(&mut Value)),
    Header(&'static str, String),
}

pub struct World {
    pub base: String,
    pub options: Options,
    pub accounts: Vec<Account>,
    pub orders: Vec<Order>,
    pub authorizations: Vec<Authorization>,
    pub issued: Vec<Issued>,
    /// Operations that were carried out, in order.
    pub log: Vec<String>,
    /// What the listeners of the client answer.
    pub published: Vec<PublishedChallenge>,
    pub zone: Zone,
    pub root: Issuer,
    pub other_root: Issuer,
    pub intermediate: Issuer,
    faults: Vec<(&'static str, usize, Fault)>,
    nonces: HashSet<String>,
    nonces_made: usize,
    signed_requests: usize,
}

/// Whose signature it was.
pub enum Signer {
    Account(usize),
    Key(Value),
}

/// A refusal is an answer too.
pub type Answer = Result<Reply, Reply>;

pub fn problem(status: u16, kind: &str, detail: &str) -> Reply {
    let body = json!({ "type": format!("urn:ietf:params:acme:error:{kind}"), "detail": detail, "status": status });
    Reply(status, vec![("content-type", "application/problem+json".to_owned())], body.to_string())
}

pub fn malformed(detail: &str) -> Reply {
    problem(400, "malformed", detail)
}

pub fn base64url(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

pub fn unbase64url(text: &Value) -> Result<Vec<u8>, Reply> {
    let text = text.as_str().ok_or_else(|| malformed("not a text"))?;
    URL_SAFE_NO_PAD.decode(text).map_err(|_| malformed("not base64url"))
}

pub fn thumbprint(jwk: &Value) -> String {
    let text = format!(r#"{{"crv":{},"kty":{},"x":{},"y":{}}}"#, jwk["crv"], jwk["kty"], jwk["x"], jwk["y"]);
    base64url(digest::digest(&digest::SHA256, text.as_bytes()).as_ref())
}

pub async fn start(options: Options, zone: Zone) -> (StandIn, Arc<Mutex<World>>) {
    let (root, other_root) = (Issuer::new("Stand-in Root A"), Issuer::new("Stand-in Root B"));
    let world = World {
        base: String::new(),
        options,
        accounts: Vec::new(),
        orders: Vec::new(),
        authorizations: Vec::new(),
        issued: Vec::new(),
        log: Vec::new(),
        published: Vec::new(),
        zone,
        root,
        other_root,
        intermediate: Issuer::new("Stand-in Intermediate"),
        faults: Vec::new(),
        nonces: HashSet::new(),
        nonces_made: 0,
        signed_requests: 0,
    };
    let world = Arc::new(Mutex::new(world));
    let answering = Arc::clone(&world);
    let server = StandIn::start(move |asked| answering.lock().unwrap().answer(asked)).await;
    world.lock().unwrap().base = server.url();
    (server, world)
}

impl World {
    /// The next so many times.
    pub fn fault(&mut self, operation: &'static str, times: usize, fault: Fault) {
        self.faults.push((operation, times, fault));
    }

    pub fn count(&self, operation: &str) -> usize {
        self.log.iter().filter(|it| *it == operation).count()
    }

    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    fn answer(&mut self, asked: &Asked) -> Reply {
        let path = asked.path.clone();
        let parts: Vec<&str> = path.trim_start_matches('/').split('/').collect();
        let operation = operation(&parts);
        let position = self.faults.iter().position(|(what, times, _)| *what == operation && *times > 0);
        if let Some(position) = position {
            self.faults[position].1 -= 1;
            if let Fault::Reply(status, headers, body) = &self.faults[position].2 {
                let mut headers = headers.clone();
                headers.push(("replay-nonce", "bm9uY2UtbmV2ZXItbWFkZQ".to_owned()));
                return Reply(*status, headers, body.clone());
            }
        }
        let mut reply = self.route(asked, operation, &parts).unwrap_or_else(|refusal| refusal);
        match position.map(|at| &self.faults[at].2) {
            Some(Fault::Lost) => reply = Reply::text(502, "the way back is lost"),
            Some(Fault::Tamper(tamper)) => {
                let mut body = serde_json::from_str(&reply.2).unwrap();
                tamper(&mut body);
                reply.2 = body.to_string();
            }
            Some(Fault::Header(name, value)) => {
                reply.1.retain(|(known, _)| known != name);
                reply.1.push((name, value.clone()));
            }
            Some(Fault::Reply(..)) | None => {}
        }
        if asked.method != Method::GET || operation == "newNonce" {
            self.nonces_made += 1;
            let nonce = base64url(format!("nonce {}", self.nonces_made).as_bytes());
            self.nonces.insert(nonce.clone());
            reply.1.push(("replay-nonce", nonce));
        }
        reply
    }

    fn route(&mut self, asked: &Asked, operation: &'static str, parts: &[&str]) -> Answer {
        let number = |at: usize| parts.get(at).and_then(|it| it.parse::<usize>().ok()).unwrap_or(usize::MAX);
        match operation {
            "" => return Err(problem(404, "malformed", "no such resource")),
            "directory" | "newNonce" | "renewalInfo" => {
                let fits = asked.method == Method::GET || (asked.method == Method::HEAD && operation == "newNonce");
                if !fits || !asked.body.is_null() {
                    return Err(problem(405, "malformed", "GET it"));
                }
                return match operation {
                    "directory" => Ok(Reply::json(200, &self.directory())),
                    "newNonce" => Ok(Reply::text(200, "")),
                    _ => self.renewal_info(parts.get(1).copied().unwrap_or_default()),
                };
            }
            _ => {}
        }
        let (payload, signer) = self.verified(asked, operation)?;
        let read_only = matches!(operation, "order" | "orders" | "authorization" | "certificate" | "alternate");
        if read_only && payload.is_some() {
            return Err(malformed("POST-as-GET has an empty payload"));
        }
        let account = match (&signer, operation) {
            (Signer::Key(jwk), "newAccount") => {
                let jwk = jwk.clone();
                return self.new_account(jwk, &payload.unwrap_or_default());
            }
            (Signer::Account(account), _) if operation != "newAccount" => *account,
            _ => return Err(malformed("signed by the wrong kind of key")),
        };
        if operation == "account" && number(1) != account || operation == "orders" && number(1) != account {
            return Err(problem(401, "unauthorized", "another's account"));
        }
        let reply = match operation {
            "account" => self.account(account, payload),
            "keyChange" => self.key_change(account, &payload.unwrap_or_default()),
            "newOrder" => self.new_order(account, &payload.unwrap_or_default()),
            "orders" => Ok(self.order_list(account, parts.get(2).map_or(0, |_| number(2)))),
            "order" => self.order(account, number(1)),
            "authorization" => self.authorization(account, number(1)),
            "challenge" => self.challenge(account, number(1), number(2), payload),
            "finalize" => self.finalize(account, number(1), &payload.unwrap_or_default()),
            "certificate" | "alternate" => self.certificate(account, number(1), operation == "alternate"),
            _ => self.revoke(account, &payload.unwrap_or_default()),
        }?;
        if reply.0 < 300 {
            self.log.push(operation.to_owned());
        }
        Ok(reply)
    }

    fn directory(&self) -> Value {
        let mut directory = json!({
            "newNonce": self.url("/new-nonce"), "newAccount": self.url("/new-account"),
            "newOrder": self.url("/new-order"), "revokeCert": self.url("/revoke"), "keyChange": self.url("/key-change"),
            "meta": {
                "termsOfService": "https://ca.test/terms", "website": "https://ca.test", "caaIdentities": ["ca.test"],
                "externalAccountRequired": self.options.eab,
            },
            "kQ2yTr": "an unknown member is ignored",
        });
        if self.options.renewal_info.is_some() {
            directory["renewalInfo"] = json!(self.url("/renewal-info"));
        }
        if !self.options.profiles.is_empty() {
            let profiles = self.options.profiles.iter().map(|it| ((*it).to_owned(), json!("a kind")));
            directory["meta"]["profiles"] = Value::Object(profiles.collect());
        }
        directory
    }

    /// RFC 8555 §6.2 to §6.5. `None`: POST-as-GET.
    fn verified(&mut self, asked: &Asked, operation: &str) -> Result<(Option<Value>, Signer), Reply> {
        if asked.method != Method::POST || asked.header("content-type") != Some("application/jose+json") {
            return Err(malformed("POST application/jose+json"));
        }
        let header = header_of(&asked.body)?;
        if header["url"] != self.url(&asked.path) {
            return Err(problem(401, "unauthorized", "the url of the header is another"));
        }
        self.signed_requests += 1;
        let each = self.options.refuse_nonce_each;
        let nonce = header["nonce"].as_str().unwrap_or_default();
        if !self.nonces.remove(nonce) || (each > 0 && self.signed_requests.is_multiple_of(each)) {
            return Err(problem(400, "badNonce", "the nonce is not good"));
        }
        let members = members(&header);
        let (jwk, signer) = match members.as_slice() {
            ["alg", "jwk", "nonce", "url"] => (header["jwk"].clone(), Signer::Key(header["jwk"].clone())),
            ["alg", "kid", "nonce", "url"] => {
                let kid = header["kid"].as_str().unwrap_or_default();
                let account = kid.strip_prefix(&self.url("/account/")).and_then(|it| it.parse::<usize>().ok());
                let known = account.and_then(|at| Some((at, self.accounts.get(at)?)));
                let (at, account) = known.ok_or_else(|| problem(400, "accountDoesNotExist", "no such account"))?;
                if account.status != "valid" {
                    return Err(problem(401, "unauthorized", "the account is deactivated"));
                }
                (account.jwk.clone(), Signer::Account(at))
            }
            _ => return Err(malformed("the header has other members than it may")),
        };
        if !verifies(&asked.body, &jwk)? {
            let kind = if operation == "newAccount" { "malformed" } else { "unauthorized" };
            return Err(problem(401, kind, "the signature does not verify"));
        }
        Ok((payload_of(&asked.body)?, signer))
    }

    fn new_account(&mut self, jwk: Value, payload: &Value) -> Answer {
        if let Some(at) = self.accounts.iter().position(|it| it.jwk == jwk) {
            return Ok(self.account_reply(200, at));
        }
        if payload["onlyReturnExisting"] == true {
            return Err(problem(400, "accountDoesNotExist", "no such account"));
        }
        if payload["termsOfServiceAgreed"] != true {
            return Err(problem(403, "userActionRequired", "agree to the terms"));
        }
        match (self.options.eab, payload.get("externalAccountBinding")) {
            (true, Some(binding)) => self.check_binding(binding, &jwk)?,
            (true, None) => return Err(problem(403, "externalAccountRequired", "bind the account")),
            (false, Some(_)) => return Err(malformed("no binding is wanted")),
            (false, None) => {}
        }
        check_contact(&payload["contact"])?;
        self.accounts.push(Account { jwk, contact: payload["contact"].clone(), status: "valid" });
        self.log.push("newAccount".to_owned());
        Ok(self.account_reply(201, self.accounts.len() - 1))
    }

    fn check_binding(&self, binding: &Value, jwk: &Value) -> Result<(), Reply> {
        let header: Value = serde_json::from_slice(&unbase64url(&binding["protected"])?).unwrap();
        let expected = json!({ "alg": "HS256", "kid": EAB.0, "url": self.url("/new-account") });
        let payload: Value = serde_json::from_slice(&unbase64url(&binding["payload"])?).unwrap();
        let key = hmac::Key::new(hmac::HMAC_SHA256, &URL_SAFE_NO_PAD.decode(EAB.1).unwrap());
        let mac = unbase64url(&binding["signature"])?;
        if header != expected || payload != *jwk || hmac::verify(&key, &signed_text(binding), &mac).is_err() {
            return Err(problem(401, "unauthorized", "the binding does not hold"));
        }
        Ok(())
    }

    fn account_reply(&self, status: u16, at: usize) -> Reply {
        let account = &self.accounts[at];
        let mut body = json!({ "status": account.status, "contact": account.contact });
        if self.options.lists_orders {
            body["orders"] = json!(self.url(&format!("/orders/{at}")));
        }
        let mut reply = Reply::json(status, &body);
        reply.1.push(("location", self.url(&format!("/account/{at}"))));
        reply
    }

    fn account(&mut self, at: usize, payload: Option<Value>) -> Answer {
        if let Some(contact) = payload.as_ref().and_then(|it| it.get("contact")) {
            check_contact(contact)?;
            self.accounts[at].contact = contact.clone();
        }
        Ok(self.account_reply(200, at))
    }

    /// RFC 8555 §7.3.5.
    fn key_change(&mut self, at: usize, inner: &Value) -> Answer {
        let header = header_of(inner)?;
        let payload = payload_of(inner)?.unwrap_or_default();
        let old = &self.accounts[at].jwk;
        let is_sound = header["url"] == self.url("/key-change")
            && header.get("nonce").is_none()
            && header.get("kid").is_none()
            && verifies(inner, &header["jwk"])?
            && payload == json!({ "account": self.url(&format!("/account/{at}")), "oldKey": old });
        if !is_sound {
            return Err(malformed("the inner request does not fit the outer one"));
        }
        if self.accounts.iter().any(|it| it.jwk == header["jwk"]) {
            return Err(problem(409, "malformed", "the key is in use"));
        }
        self.accounts[at].jwk = header["jwk"].clone();
        Ok(self.account_reply(200, at))
    }
}

fn operation(parts: &[&str]) -> &'static str {
    match parts {
        ["directory"] => "directory",
        ["new-nonce"] => "newNonce",
        ["new-account"] => "newAccount",
        ["new-order"] => "newOrder",
        ["revoke"] => "revokeCert",
        ["key-change"] => "keyChange",
        ["renewal-info", _] => "renewalInfo",
        ["account", _] => "account",
        ["orders", _] | ["orders", _, _] => "orders",
        ["order", _] => "order",
        ["authorization", _] => "authorization",
        ["challenge", _, _] => "challenge",
        ["finalize", _] => "finalize",
        ["certificate", _] => "certificate",
        ["certificate", _, "other"] => "alternate",
        _ => "",
    }
}

fn check_contact(contact: &Value) -> Result<(), Reply> {
    let all = contact.as_array().ok_or_else(|| malformed("contact is a list"))?;
    let is_mail = |it: &Value| it.as_str().is_some_and(|it| it.starts_with("mailto:") && it.contains('@'));
    if all.iter().all(is_mail) { Ok(()) } else { Err(problem(400, "unsupportedContact", "mailto: only")) }
}

fn header_of(jws: &Value) -> Result<Value, Reply> {
    if members(jws) != ["payload", "protected", "signature"] {
        return Err(malformed("a flattened JWS has three members"));
    }
    let header: Value =
        serde_json::from_slice(&unbase64url(&jws["protected"])?).map_err(|_| malformed("the header is no JSON"))?;
    if header["alg"] != "ES256" { Err(problem(400, "badSignatureAlgorithm", "ES256")) } else { Ok(header) }
}

pub fn members(of: &Value) -> Vec<&str> {
    let mut names: Vec<_> = of.as_object().map(Map::keys).into_iter().flatten().map(String::as_str).collect();
    names.sort_unstable();
    names
}

fn payload_of(jws: &Value) -> Result<Option<Value>, Reply> {
    let payload = unbase64url(&jws["payload"])?;
    if payload.is_empty() {
        return Ok(None);
    }
    serde_json::from_slice(&payload).map(Some).map_err(|_| malformed("the payload is no JSON"))
}

fn signed_text(jws: &Value) -> Vec<u8> {
    format!("{}.{}", jws["protected"].as_str().unwrap(), jws["payload"].as_str().unwrap()).into_bytes()
}

fn verifies(jws: &Value, jwk: &Value) -> Result<bool, Reply> {
    let point = [vec![4], unbase64url(&jwk["x"])?, unbase64url(&jwk["y"])?].concat();
    let signature = unbase64url(&jws["signature"])?;
    Ok(UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).verify(&signed_text(jws), &signature).is_ok())
}
