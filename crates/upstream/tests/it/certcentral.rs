//! A stand-in for CertCentral, written from the public description of its Services API and strict about requests: the key
//! in its header, every field of a body known and of its type, every path one that exists.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard};

use chancery_model::Clock as _;
use chancery_model::time::SystemClock;
use serde_json::{Value, json};

use crate::pki::{self, Ca};
use crate::stand_in::{Asked, Reply, StandIn};

pub const KEY: &str = "certcentral-key";
pub const TOKEN: &str = "r4nd0mvalue";

#[derive(Clone, Debug)]
pub struct Order {
    pub id: i64,
    pub product: String,
    pub number: Option<String>,
    pub renewal_of: Option<i64>,
    pub days: i64,
    pub status: &'static str,
    /// Per name: method and status.
    pub proofs: Vec<(String, &'static str, &'static str)>,
    pub organization_status: &'static str,
    pub common_name: String,
    pub names: Vec<String>,
    /// Newest last: number, request, whether revoked.
    pub certificates: Vec<(i64, String, bool)>,
    /// A reissue that is not done.
    pub reissue: Option<String>,
    /// Looks until it is issued by itself.
    pub looks_left: u32,
}

pub struct Model {
    ca: Ca,
    pub orders: Vec<Order>,
    /// Answers in place of the right ones: when the path has this in it, and whether the thing is done nevertheless.
    pub faults: VecDeque<Fault>,
    pub method: &'static str,
    pub status: &'static str,
    pub looks: u32,
    /// Days that an order lasts beyond what was ordered.
    pub plan_days: i64,
    /// Whether orders can be found by our number.
    pub forgets_numbers: bool,
    pub refuses_renewals: bool,
    pub refuses_reissues: bool,
    next: i64,
}

pub struct Fault {
    pub method: &'static str,
    pub path: &'static str,
    pub done: bool,
    pub reply: Reply,
}

pub struct CertCentral {
    pub server: StandIn,
    model: Arc<Mutex<Model>>,
}

impl CertCentral {
    pub async fn start() -> Self {
        let model = Arc::new(Mutex::new(Model {
            ca: Ca::new("CertCentral stand-in"),
            orders: Vec::new(),
            faults: VecDeque::new(),
            method: "dns-txt-token",
            status: "pending",
            looks: 0,
            plan_days: 0,
            forgets_numbers: false,
            refuses_renewals: false,
            refuses_reissues: false,
            next: 1_000,
        }));
        let shared = Arc::clone(&model);
        let server = StandIn::start(move |asked| shared.lock().unwrap().reply(asked)).await;
        Self { server, model }
    }

    pub fn model(&self) -> MutexGuard<'_, Model> {
        self.model.lock().unwrap()
    }

    pub fn asked(&self, method: &str, path: &str) -> usize {
        let asked = self.server.asked();
        asked.iter().filter(|it| it.method.as_str() == method && it.path.contains(path)).count()
    }
}

fn error(status: u16, code: &str, message: &str) -> Reply {
    Reply::json(status, &json!({ "errors": [{ "code": code, "message": message }] }))
}

/// Panics (and so answers nothing) unless the object has these members and no others; `?` marks those that may be absent.
fn only(body: &Value, members: &[&str]) {
    let object = body.as_object().expect("an object");
    for name in object.keys() {
        assert!(members.iter().any(|it| it.trim_end_matches('?') == name), "unknown member {name} in {body}");
    }
    for name in members.iter().filter(|it| !it.ends_with('?')) {
        assert!(object.contains_key(*name), "no {name} in {body}");
    }
}

impl Model {
    fn reply(&mut self, asked: &Asked) -> Reply {
        if asked.header("x-dc-devkey") != Some(KEY) {
            return error(401, "invalid_api_key", "The API key is not valid");
        }
        assert_eq!(asked.header("content-type"), Some("application/json"));
        let (method, path) = (asked.method.as_str(), asked.path.clone());
        let fault = self.faults.iter().position(|it| it.method == method && path.contains(it.path));
        if let Some(fault) = fault.and_then(|at| self.faults.remove(at)) {
            if fault.done {
                self.right(method, &path, &asked.body);
            }
            return fault.reply;
        }
        self.right(method, &path, &asked.body)
    }

    fn right(&mut self, method: &str, path: &str, body: &Value) -> Reply {
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let segments: Vec<&str> = path.trim_start_matches("/services/v2/").split('/').collect();
        match (method, segments.as_slice()) {
            ("GET", ["user", "me"]) => Reply::json(200, &json!({ "id": 1, "username": "api" })),
            ("GET", ["organization", "77"]) => {
                Reply::json(200, &json!({ "id": 77, "status": "active", "name": "Acme" }))
            }
            ("GET", ["organization", "78"]) => {
                Reply::json(200, &json!({ "id": 78, "status": "inactive", "name": "Old" }))
            }
            ("GET", ["organization", _]) => error(404, "not_found|organization", "No such organization"),
            ("GET", ["product", "ssl_plus"]) => {
                Reply::json(200, &json!({ "name_id": "ssl_plus", "name": "Standard SSL" }))
            }
            ("GET", ["product", _]) => error(404, "not_found|product", "No such product"),
            ("GET", ["order", "alternate", number]) => self.by_number(number),
            ("GET", ["order", "certificate"]) => self.by_name(query),
            ("GET", ["order", "certificate", id]) => self.info(id.parse().unwrap()),
            ("GET", ["order", "certificate", id, "validation"]) => self.validation(id.parse().unwrap()),
            ("PUT", ["order", "certificate", _, "dcv-random-value"]) => {
                Reply::json(200, &json!({ "dcv_random_value": TOKEN, "expiration_date": "2030-01-01T00:00:00+00:00" }))
            }
            ("PUT", ["order", "certificate", _, "check-dcv"]) => error(400, "invalid_dns_txt", "No TXT record yet"),
            ("PUT", ["order", "certificate", id, "status"]) => {
                only(body, &["status", "note", "send_emails?"]);
                assert_eq!(body["status"], "CANCELED");
                self.order(id.parse().unwrap()).status = "canceled";
                Reply::text(204, "")
            }
            ("POST", ["order", "certificate", id, "reissue"]) => self.reissue(id.parse().unwrap(), body),
            ("POST", ["order", "certificate", product]) => self.place(product, body),
            ("GET", ["certificate", id, "download", "format", "pem_all"]) => self.download(id.parse().unwrap()),
            ("PUT", ["certificate", id, "revoke"]) => self.revoke(id, body),
            _ => panic!("no such thing: {method} {path}"),
        }
    }

    fn order(&mut self, id: i64) -> &mut Order {
        self.orders.iter_mut().find(|it| it.id == id).unwrap()
    }

    fn number(&mut self) -> i64 {
        self.next += 1;
        self.next
    }

    fn certificate(body: &Value) -> (String, Vec<String>, String) {
        let certificate = &body["certificate"];
        only(certificate, &["common_name", "dns_names", "csr", "signature_hash", "server_platform"]);
        assert_eq!(certificate["signature_hash"], "sha256");
        assert_eq!(certificate["server_platform"], json!({ "id": -1 }));
        let name = certificate["common_name"].as_str().unwrap().to_owned();
        let names: Vec<String> = serde_json::from_value(certificate["dns_names"].clone()).unwrap();
        assert!(!names.contains(&name), "the common name is named once");
        (name, names, certificate["csr"].as_str().unwrap().to_owned())
    }

    fn place(&mut self, product: &str, body: &Value) -> Reply {
        let members = [
            "certificate",
            "organization",
            "order_validity",
            "skip_approval",
            "alternative_order_id",
            "comments",
            "disable_renewal_notifications",
            "dcv_method?",
            "renewal_of_order_id?",
        ];
        only(body, &members);
        assert_eq!(body["skip_approval"], true);
        assert!(body["organization"]["id"].is_i64());
        let days = body["order_validity"]["days"].as_i64().unwrap();
        let renewal_of = body.get("renewal_of_order_id").and_then(Value::as_i64);
        if renewal_of.is_some() && self.refuses_renewals {
            return error(400, "invalid_renewal_of_order_id", "The order cannot be renewed");
        }
        if product == "ssl_none" {
            return error(400, "product_not_allowed", "The product is not available in this account");
        }
        let (common_name, names, csr) = Self::certificate(body);
        let method = body.get("dcv_method").and_then(Value::as_str).map_or(self.method, |it| match it {
            "email" => "email",
            "dns-txt-token" => "dns-txt-token",
            "dns-cname-token" => "dns-cname-token",
            "http-token" => "http-token",
            other => panic!("no such method: {other}"),
        });
        let (id, certificate) = (self.number(), self.number());
        self.orders.push(Order {
            id,
            product: product.to_owned(),
            number: Some(body["alternative_order_id"].as_str().unwrap().to_owned()),
            renewal_of,
            days,
            status: self.status,
            proofs: vec![(common_name.clone(), method, "pending")],
            organization_status: "complete",
            common_name,
            names,
            certificates: vec![(certificate, csr, false)],
            reissue: None,
            looks_left: self.looks,
        });
        Reply::json(
            201,
            &json!({ "id": id, "certificate_id": certificate, "requests": [{ "id": 1, "status": "approved" }] }),
        )
    }

    fn reissue(&mut self, id: i64, body: &Value) -> Reply {
        only(body, &["certificate", "skip_approval", "comments", "dcv_method?"]);
        if self.refuses_reissues {
            return error(400, "cannot_reissue", "The order cannot be reissued");
        }
        let (.., csr) = Self::certificate(body);
        let looks = self.looks;
        let order = self.order(id);
        assert_eq!(order.status, "issued");
        order.status = "reissue_pending";
        order.reissue = Some(csr);
        order.looks_left = looks;
        Reply::json(201, &json!({ "id": id, "requests": [{ "id": 2, "status": "approved" }] }))
    }

    /// Time passes with every look.
    fn info(&mut self, id: i64) -> Reply {
        let (plan_days, next) = (self.plan_days, self.number());
        let Some(order) = self.orders.iter_mut().find(|it| it.id == id) else {
            return error(404, "not_found|order", "No such order");
        };
        if order.looks_left > 0 {
            order.looks_left -= 1;
        } else if matches!(order.status, "pending" | "reissue_pending") && order.organization_status == "complete" {
            order.status = "issued";
            order.proofs.iter_mut().for_each(|it| it.2 = "approved");
            if let Some(csr) = order.reissue.take() {
                order.certificates.push((next, csr, false));
            }
        }
        let (certificate, csr, _) = order.certificates.last().unwrap();
        let until = SystemClock.now().plus_seconds((order.days + plan_days) * 86_400).to_string();
        // Line breaks get lost there.
        let csr = csr.replace('\n', "");
        Reply::json(
            200,
            &json!({
                "id": order.id, "status": order.status, "order_valid_till": until.get(..10),
                "product": { "name_id": order.product }, "alternative_order_id": order.number,
                "certificate": { "id": certificate, "common_name": order.common_name, "dns_names": order.names, "csr": csr },
            }),
        )
    }

    fn validation(&mut self, id: i64) -> Reply {
        let order = self.order(id);
        let names: Vec<Value> = order
            .proofs
            .iter()
            .map(|(name, method, status)| json!({ "domain_id": "5", "name_scope": name, "method": method, "status": status }))
            .collect();
        Reply::json(
            200,
            &json!({
                "order_id": id.to_string(), "order_status": order.status, "dns_name_validations": names,
                "organization_validations": [{
                    "type": "ov", "name": "OV", "description": "Normal Organization Validation",
                    "status": order.organization_status,
                }],
            }),
        )
    }

    fn by_number(&self, number: &str) -> Reply {
        let found: Vec<Value> = self
            .orders
            .iter()
            .filter(|it| !self.forgets_numbers && it.number.as_deref() == Some(number))
            .map(|it| json!({ "order_id": it.id, "certificate_id": it.certificates[0].0, "status": it.status }))
            .collect();
        Reply::json(200, &json!({ "page": { "total": found.len(), "limit": 1000, "offset": 0 }, "orders": found }))
    }

    fn by_name(&self, query: &str) -> Reply {
        let pairs: Vec<&str> = query.split('&').collect();
        let name = pairs.iter().find_map(|it| it.strip_prefix("filters%5Bcommon_name%5D=")).expect("a filter");
        assert!(pairs.contains(&"sort=-date_created"), "{query}");
        let found: Vec<Value> = self
            .orders
            .iter()
            .filter(|it| it.common_name == name)
            .map(|it| json!({ "id": it.id, "status": it.status, "date_created": SystemClock.now().to_string() }))
            .collect();
        Reply::json(200, &json!({ "page": { "total": found.len(), "limit": 20, "offset": 0 }, "orders": found }))
    }

    fn download(&self, id: i64) -> Reply {
        let all = self.orders.iter().flat_map(|order| order.certificates.iter().map(move |it| (order, it)));
        let Some((order, (_, csr, _))) = all.into_iter().find(|(_, it)| it.0 == id) else {
            return error(404, "not_found|certificate", "No such certificate");
        };
        let leaf = self.ca.sign(&pki::der(csr), &order.days.to_string());
        Reply::text(200, format!("{leaf}\n{}", self.ca.certificate()))
    }

    fn revoke(&mut self, id: &str, body: &Value) -> Reply {
        only(body, &["skip_approval", "revocation_reason", "comments"]);
        assert_eq!(body["skip_approval"], true);
        let certificate =
            self.orders.iter_mut().flat_map(|it| it.certificates.iter_mut()).find(|it| it.0.to_string() == id);
        match certificate {
            Some(it) if it.2 => error(400, "cert_already_revoked", "The certificate is already revoked"),
            Some(it) => {
                it.2 = true;
                Reply::json(201, &json!({ "id": 9, "type": "revoke", "status": "approved" }))
            }
            None => error(404, "not_found|certificate", "No such certificate"),
        }
    }
}
