//! The inventory: lists, searches, pages and states, and that nothing in a search is ever more than text.
//!
//! ```text
//! root ── issuing ── template ── profile (EC), profile (RSA, from CSRs); the self-signed profile beside them
//! ```
//!
//! Verified: every filter finds exactly its certificates; cursors neither repeat nor lose rows while certificates are
//! issued and deleted; bounds of limit and offset; sort fields and injections; requests; a profile's own list and latest
//! bundle; expiry by the clock.

use std::collections::HashSet;

use chancery_keys::PrivateKey;
use chancery_pkix::KeyAlgorithm;
use chancery_pkix::pem::{self, OutsideText};
use chancery_testkit::world::{CERT_MANAGER, Pki, Session, World, certification_request, text};
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::refusals::{CERTIFICATES, check_refusal_code, open_profile, project_of};
use crate::reread::Reread;

const REQUESTS: &str = "/api/v1/cert-manager/certificates/certificate-requests";

struct Inventory {
    world: World,
    pki: Pki,
    open: Uuid,
    search: String,
    list: String,
}

impl Inventory {
    async fn open() -> Self {
        let world = World::start().await;
        let pki = world.pki().await;
        let open = open_profile(&world, pki.root).await;
        let list = format!("/api/v1/projects/{}/certificates", project_of(world.operator()).await);
        Self { search: format!("{list}/search"), list, world, pki, open }
    }

    fn auditor(&self) -> &Session {
        self.world.auditor()
    }

    async fn issue(&self, profile: Uuid, name: &str, more: &Value) -> String {
        let mut attributes = json!({"commonName": name, "ttl": "30d"});
        attributes.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let metadata = json!([{"key": "name", "value": name}, {"key": "team", "value": "blue"}]);
        let issued = self.world.issue(profile, &json!({"attributes": attributes, "metadata": metadata})).await;
        text(&issued, "/certificate/certificateId")
    }

    /// Common names of what a search finds, sorted.
    async fn names(&self, search: &Value) -> Vec<String> {
        let found = self.auditor().ok(Method::POST, &self.search, Some(search)).await;
        let mut names: Vec<_> = certificates(&found).iter().map(|it| text(it, "/commonName")).collect();
        assert_eq!(found["totalCount"], names.len(), "{search} {found:#}");
        assert_eq!(found["totalCountExact"], true);
        names.sort();
        names
    }
}

fn certificates(found: &Value) -> &Vec<Value> {
    found["certificates"].as_array().unwrap()
}

#[tokio::test]
async fn every_filter_finds_its_certificates_and_no_others() {
    let inventory = Inventory::open().await;
    let pki = inventory.pki;
    let start = inventory.world.clock.clone();
    inventory.issue(pki.profile, "web-1.acme.test", &json!({})).await;
    let more = json!({"keyAlgorithm": "RSA_2048", "altNames": [{"type": "dns_name", "value": "alias.acme.test"}]});
    inventory.issue(pki.profile, "web-2.acme.test", &more).await;
    start.advance_seconds(86_400);
    let second_day = inventory.world.date_in_days(0);
    inventory.issue(pki.self_signed, "self.acme.test", &json!({"keyAlgorithm": "EC_secp384r1"})).await;
    let more = json!({"extendedKeyUsages": ["client_auth"], "keyUsages": ["digital_signature"], "ttl": "5d"});
    inventory.issue(inventory.open, "Device 7", &more).await;
    let all = vec!["Device 7", "self.acme.test", "web-1.acme.test", "web-2.acme.test"];
    for (search, expected) in [
        (json!({}), all.clone()),
        (json!({"search": "web-"}), vec!["web-1.acme.test", "web-2.acme.test"]),
        (json!({"search": "WEB-1"}), vec!["web-1.acme.test"]),
        (json!({"search": "alias"}), vec!["web-2.acme.test"]),
        (json!({"search": "device 7"}), vec!["Device 7"]),
        (json!({"search": "nowhere"}), vec![]),
        (json!({"commonName": "self.acme.test"}), vec!["self.acme.test"]),
        (json!({"friendlyName": "self.acme.test"}), vec!["self.acme.test"]),
        (json!({"profileIds": [pki.profile]}), vec!["web-1.acme.test", "web-2.acme.test"]),
        (json!({"profileIds": [pki.self_signed, inventory.open]}), vec!["Device 7", "self.acme.test"]),
        (json!({"profileIds": [Uuid::nil()]}), vec![]),
        (json!({"caIds": [pki.root]}), vec!["Device 7"]),
        (json!({"caIds": [pki.issuing, pki.root]}), vec!["Device 7", "web-1.acme.test", "web-2.acme.test"]),
        (json!({"status": "active"}), all.clone()),
        (json!({"status": "expired,revoked"}), vec![]),
        (json!({"keyAlgorithm": "RSA_2048"}), vec!["web-2.acme.test"]),
        (json!({"keyAlgorithm": "RSA-2048,EC_secp384r1"}), vec!["self.acme.test", "web-2.acme.test"]),
        (json!({"keySizes": [384]}), vec!["self.acme.test"]),
        (json!({"keySizes": [2048, 256]}), vec!["Device 7", "web-1.acme.test", "web-2.acme.test"]),
        (json!({"signatureAlgorithm": "ECDSA-SHA384"}), vec!["self.acme.test"]),
        (json!({"extendedKeyUsage": "client_auth"}), vec!["Device 7"]),
        (json!({"extendedKeyUsage": "server_auth", "status": "active", "search": "self"}), vec!["self.acme.test"]),
        (json!({"fromDate": second_day}), vec!["Device 7", "self.acme.test"]),
        (json!({"notAfterTo": inventory.world.date_in_days(10)}), vec!["Device 7"]),
        (json!({"notAfterFrom": inventory.world.date_in_days(29), "notBeforeFrom": second_day}), vec![]),
        (json!({"metadata": [{"key": "name", "value": "Device 7"}]}), vec!["Device 7"]),
        (json!({"metadata": [{"key": "team"}, {"key": "name", "value": "self.acme.test"}]}), vec!["self.acme.test"]),
        (json!({"metadata": [{"key": "team", "value": "red"}]}), vec![]),
        (json!({"source": "issued", "enrollmentTypes": ["api"]}), all.clone()),
        (json!({"source": "imported"}), vec![]),
        (json!({"search": "web", "keyAlgorithm": "RSA_2048", "caIds": [pki.issuing]}), vec!["web-2.acme.test"]),
    ] {
        assert_eq!(inventory.names(&search).await, expected, "{search}");
    }
    let listed = inventory.auditor().ok(Method::GET, &format!("{}?commonName=Device%207", inventory.list), None).await;
    assert_eq!(certificates(&listed).len(), 1);
    let slug = text(&inventory.auditor().ok(Method::GET, "/api/v1/projects", None).await, "/projects/0/slug");
    let older = format!("/api/v2/workspace/{slug}/certificates");
    assert_eq!(inventory.auditor().ok(Method::GET, &older, None).await["totalCount"], 4);
    inventory.world.stop().await;
}

#[tokio::test]
async fn sorting_is_by_known_fields_only() {
    let inventory = Inventory::open().await;
    for (name, ttl) in [("a.acme.test", "30d"), ("b.acme.test", "5d"), ("c.acme.test", "90d")] {
        inventory.world.clock.advance_seconds(60);
        inventory.issue(inventory.pki.profile, name, &json!({"ttl": ttl})).await;
    }
    for (sort, expected) in [
        (json!({}), "cba"),
        (json!({"sortBy": "createdAt", "sortOrder": "asc"}), "abc"),
        (json!({"sortBy": "createdAt", "sortOrder": "desc"}), "cba"),
        (json!({"sortBy": "notAfter", "sortOrder": "asc"}), "bac"),
        (json!({"sortBy": "notAfter", "sortOrder": "desc"}), "cab"),
    ] {
        let found = inventory.auditor().ok(Method::POST, &inventory.search, Some(&sort)).await;
        let order: String = certificates(&found).iter().map(|it| text(it, "/commonName").remove(0)).collect();
        assert_eq!(order, expected, "{sort}");
    }
    for sort in [
        json!({"sortBy": "serialNumber"}),
        json!({"sortBy": "not_after"}),
        json!({"sortBy": "notAfter; DROP TABLE certificates"}),
        json!({"sortBy": "1"}),
        json!({"sortOrder": "sideways"}),
        json!({"sortOrder": "desc, (SELECT 1)"}),
    ] {
        let (status, answer) = inventory.auditor().post(&inventory.search, &sort).await;
        check_refusal_code(status, &answer, 422, "schema");
    }
    inventory.world.stop().await;
}

#[tokio::test]
async fn a_cursor_neither_repeats_nor_loses_rows_while_others_come_and_go() {
    let inventory = Inventory::open().await;
    let mut old = Vec::new();
    for index in 0..12 {
        // Several in the same instant: the order must still be one order.
        inventory.world.clock.advance_seconds(i64::from(index % 3 == 0));
        old.push(inventory.issue(inventory.pki.profile, &format!("old-{index}.acme.test"), &json!({})).await);
    }
    for (order, sort_by) in [("desc", "createdAt"), ("asc", "createdAt"), ("asc", "notAfter"), ("desc", "notAfter")] {
        let mut seen = Vec::new();
        let mut cursor = Value::Null;
        for page in 0.. {
            let mut body = json!({"limit": 5, "sortBy": sort_by, "sortOrder": order});
            if !cursor.is_null() {
                body["cursor"] = cursor.clone();
            }
            let found = inventory.auditor().ok(Method::POST, &inventory.search, Some(&body)).await;
            seen.extend(certificates(&found).iter().map(|it| text(it, "/id")));
            cursor = found["nextCursor"].clone();
            if cursor.is_null() {
                break;
            }
            inventory
                .issue(inventory.pki.profile, &format!("new-{order}-{sort_by}-{page}.acme.test"), &json!({}))
                .await;
            assert!(page < 50, "the list never ends");
        }
        let distinct: HashSet<_> = seen.iter().collect();
        assert_eq!(distinct.len(), seen.len(), "{order} {sort_by}: a row came twice");
        assert!(old.iter().all(|id| distinct.contains(id)), "{order} {sort_by}: a row was skipped");
    }
    // A row that goes away takes no other with it.
    let body = json!({"limit": 5, "sortOrder": "asc"});
    let found = inventory.auditor().ok(Method::POST, &inventory.search, Some(&body)).await;
    let last = text(certificates(&found).last().unwrap(), "/id");
    inventory.world.admin().ok(Method::DELETE, &format!("{CERTIFICATES}/{last}"), None).await;
    let body = json!({"limit": 5, "sortOrder": "asc", "cursor": found["nextCursor"]});
    let next = inventory.auditor().ok(Method::POST, &inventory.search, Some(&body)).await;
    assert_eq!(text(&certificates(&next)[0], "/id"), old[5]);
    inventory.world.stop().await;
}

#[tokio::test]
async fn limits_offsets_and_cursors_are_bounded() {
    let inventory = Inventory::open().await;
    for index in 0..3 {
        inventory.issue(inventory.pki.profile, &format!("a{index}.acme.test"), &json!({})).await;
    }
    let good = inventory.auditor().ok(Method::POST, &inventory.search, Some(&json!({"limit": 1}))).await;
    let cursor = text(&good, "/nextCursor");
    let mut bent = cursor.clone();
    let last = if bent.pop() == Some('A') { 'B' } else { 'A' };
    bent.push(last);
    let requests = format!("{REQUESTS}/search");
    for path in [&inventory.search, &requests] {
        for (body, status, code) in [
            (json!({"limit": 0}), 422, "schema"),
            (json!({"limit": -1}), 422, "schema"),
            (json!({"limit": 1_000_000_000}), 422, "schema"),
            (json!({"limit": 501}), 422, "schema"),
            (json!({"limit": "all"}), 422, "schema"),
            (json!({"limit": 1.5}), 422, "schema"),
            (json!({"offset": -1}), 422, "schema"),
            (json!({"offset": 10_001}), 400, "page.offset"),
            (json!({"offset": i64::MAX}), 400, "page.offset"),
            (json!({"cursor": "nonsense"}), 422, "schema"),
            (json!({"cursor": bent}), 422, "schema"),
            (json!({"cursor": "' OR 1=1 --"}), 422, "schema"),
            (json!({"cursor": "A".repeat(10_000)}), 422, "schema"),
            (json!({"search": "x".repeat(256)}), 422, "schema"),
            (json!({"status": "active,gone"}), 422, "schema"),
            (json!({"fromDate": "soon"}), 422, "schema"),
            (json!({"profileIds": ["x"]}), 422, "schema"),
        ] {
            let (found, answer) = inventory.auditor().post(path, &body).await;
            check_refusal_code(found, &answer, status, code);
            assert!(code != "page.offset" || answer.to_string().contains("cursor"), "{answer:#}");
        }
    }
    let (status, answer) = inventory.auditor().get(&format!("{}?offset=10001", inventory.list)).await;
    check_refusal_code(status, &answer, 400, "page.offset");
    let far = inventory.auditor().ok(Method::POST, &inventory.search, Some(&json!({"offset": 10_000}))).await;
    assert_eq!((certificates(&far).len(), &far["totalCount"]), (0, &json!(3)));
    // Of another search, a cursor is worth nothing.
    let body = json!({"limit": 1, "cursor": cursor, "sortBy": "notAfter"});
    let (status, answer) = inventory.auditor().post(&inventory.search, &body).await;
    check_refusal_code(status, &answer, 422, "schema");
    inventory.world.stop().await;
}

#[tokio::test]
async fn searched_text_is_only_text() {
    let inventory = Inventory::open().await;
    let odd = "100% (x_y) o'Brien \"; -- \\ *)(cn=*";
    inventory.issue(inventory.open, odd, &json!({})).await;
    inventory.issue(inventory.open, "100 percent", &json!({})).await;
    for (search, finds_odd) in [
        ("%", true),
        ("100%", true),
        ("_", true),
        ("x_y", true),
        ("o'Brien", true),
        ("\\", true),
        ("*)(cn=*", true),
        ("\"; --", true),
        ("' OR '1'='1", false),
        ("'; DROP TABLE certificates; --", false),
        ("%%", false),
        ("xzy", false),
        ("1_0", false),
        ("$1", false),
        ("\u{0}", false),
        ("${jndi:ldap://x}", false),
        (".*", false),
    ] {
        let expected: Vec<String> = if finds_odd { vec![odd.to_owned()] } else { vec![] };
        assert_eq!(inventory.names(&json!({"search": search})).await, expected, "{search:?}");
        let exact = inventory.names(&json!({"commonName": search})).await;
        assert!(exact.is_empty(), "{search:?}: {exact:?}");
        let by_value = inventory.names(&json!({"metadata": [{"key": "name", "value": search}]})).await;
        let by_key = inventory.names(&json!({"metadata": [{"key": search}]})).await;
        assert!(by_value.is_empty() && by_key.is_empty(), "{search:?}");
        let requests = json!({"search": search});
        let found = inventory.auditor().ok(Method::POST, &format!("{REQUESTS}/search"), Some(&requests)).await;
        assert_eq!(found["totalCount"], u64::from(finds_odd), "{search:?}: {found:#}");
    }
    assert_eq!(inventory.names(&json!({"commonName": odd})).await, [odd]);
    inventory.world.stop().await;
}

#[tokio::test]
async fn requests_are_found_with_what_became_of_them() {
    let inventory = Inventory::open().await;
    let pki = inventory.pki;
    let first = inventory.issue(pki.profile, "a.acme.test", &json!({})).await;
    let second = inventory.issue(pki.self_signed, "b.acme.test", &json!({})).await;
    let search = format!("{REQUESTS}/search");
    for (body, expected) in [
        (json!({}), vec!["b.acme.test", "a.acme.test"]),
        (json!({"sortOrder": "asc"}), vec!["a.acme.test", "b.acme.test"]),
        (json!({"search": "a.acme"}), vec!["a.acme.test"]),
        (json!({"profileIds": [pki.self_signed]}), vec!["b.acme.test"]),
        (json!({"status": "issued", "limit": 1}), vec!["b.acme.test"]),
        (json!({"status": "failed,pending"}), vec![]),
        (json!({"metadata": [{"key": "name", "value": "a.acme.test"}]}), vec!["a.acme.test"]),
    ] {
        let found = inventory.auditor().ok(Method::POST, &search, Some(&body)).await;
        let rows = found["certificateRequests"].as_array().unwrap();
        let names: Vec<_> = rows.iter().map(|it| text(it, "/commonName")).collect();
        assert_eq!(names, expected, "{body}");
        for row in rows {
            let id = if row["commonName"] == "a.acme.test" { &first } else { &second };
            assert_eq!((&row["status"], &row["certificateId"]), (&json!("issued"), &json!(id)));
            assert_eq!((&row["certificate"]["id"], &row["certificate"]["status"]), (&json!(id), &json!("active")));
            assert!(row["profileName"].is_string());
        }
    }
    let older = format!("{REQUESTS}?profileIds={},{}&limit=1", pki.profile, pki.self_signed);
    let found = inventory.auditor().ok(Method::GET, &older, None).await;
    assert_eq!(found["totalCount"], 2);
    let id = text(&found, "/certificateRequests/0/id");
    let path = format!("{REQUESTS}/{id}");
    let own = inventory.world.operator().ok(Method::GET, &path, None).await;
    assert_eq!((&own["status"], &own["certificateId"]), (&json!("issued"), &json!(second)));
    assert!(text(&own, "/privateKey").contains("PRIVATE KEY"), "the requester's own");
    let audited = inventory.auditor().ok(Method::GET, &path, None).await;
    assert!(audited["privateKey"].is_null());
    assert_eq!(audited["certificate"], own["certificate"]);
    let stranger = inventory.world.identity("stranger", "operator").await;
    assert!(stranger.ok(Method::GET, &path, None).await["privateKey"].is_null(), "another operator's key");
    inventory.world.stop().await;
}

#[tokio::test]
async fn a_profile_lists_its_certificates_and_gives_the_latest() {
    let inventory = Inventory::open().await;
    let pki = inventory.pki;
    let base = format!("{CERT_MANAGER}/certificate-profiles/{}/certificates", pki.profile);
    let latest = format!("{base}/latest-active-bundle");
    let none = inventory.world.operator().ok(Method::GET, &latest, None).await;
    let empty = json!({"certificate": null, "certificateChain": null, "privateKey": null, "serialNumber": null});
    assert_eq!(none, empty);
    inventory.issue(pki.profile, "a.acme.test", &json!({"ttl": "1d"})).await;
    inventory.issue(pki.self_signed, "b.acme.test", &json!({})).await;
    inventory.world.clock.advance_seconds(3_600);
    let newest = inventory.issue(pki.profile, "c.acme.test", &json!({"ttl": "2h"})).await;
    let found = inventory.auditor().ok(Method::GET, &base, None).await;
    let names: Vec<_> = certificates(&found).iter().map(|it| text(it, "/cn")).collect();
    assert_eq!(names, ["c.acme.test", "a.acme.test"]);
    let bundle = inventory.world.operator().ok(Method::GET, &latest, None).await;
    let shown = inventory.world.operator().ok(Method::GET, &format!("{CERTIFICATES}/{newest}/bundle"), None).await;
    assert_eq!(bundle, shown);
    let blocks = pem::decode(&text(&bundle, "/privateKey"), OutsideText::Refuse).unwrap();
    let key = PrivateKey::from_pkcs8_der(&blocks[0].der).unwrap();
    assert_eq!(key.public_key().spki_der(), Reread::pem(&text(&bundle, "/certificate")).spki);
    assert!(inventory.auditor().ok(Method::GET, &latest, None).await["privateKey"].is_null());
    inventory.world.clock.advance_seconds(3 * 3_600);
    let bundle = inventory.world.operator().ok(Method::GET, &latest, None).await;
    assert_eq!(
        Reread::pem(&text(&bundle, "/certificate")).subject,
        ["commonName=a.acme.test"],
        "the newest has expired"
    );
    for (query, expected) in
        [("status=expired", 1), ("status=active", 1), ("search=a.acme", 1), ("limit=1", 1), ("offset=1", 1)]
    {
        let found = inventory.auditor().ok(Method::GET, &format!("{base}?{query}"), None).await;
        assert_eq!(certificates(&found).len(), expected, "{query}");
    }
    for (query, status) in [("status=gone", 422), ("limit=101", 422), ("limit=0", 422), ("offset=10001", 400)] {
        assert_eq!(inventory.auditor().get(&format!("{base}?{query}")).await.0, status, "{query}");
    }
    inventory.world.stop().await;
}

#[tokio::test]
async fn a_certificate_expires_by_the_clock_and_not_before() {
    let inventory = Inventory::open().await;
    let id = inventory.issue(inventory.pki.profile, "a.acme.test", &json!({"ttl": "1h"})).await;
    inventory.issue(inventory.pki.profile, "b.acme.test", &json!({"ttl": "2h"})).await;
    let status = async || {
        text(&inventory.auditor().ok(Method::GET, &format!("{CERTIFICATES}/{id}"), None).await, "/certificate/status")
    };
    inventory.world.clock.advance_seconds(3_599);
    assert_eq!(status().await, "active", "the end is inclusive");
    assert_eq!(inventory.names(&json!({"status": "active"})).await.len(), 2);
    inventory.world.clock.advance_seconds(1);
    assert_eq!(status().await, "expired");
    assert_eq!(inventory.names(&json!({"status": "active"})).await, ["b.acme.test"]);
    assert_eq!(inventory.names(&json!({"status": "expired"})).await, ["a.acme.test"]);
    assert_eq!(inventory.names(&json!({"status": "active,expired"})).await.len(), 2);
    inventory.world.stop().await;
}

#[tokio::test]
async fn a_csr_certificate_is_shown_like_any_other_but_for_its_key() {
    let inventory = Inventory::open().await;
    let csr = certification_request("csr.acme.test", &[], KeyAlgorithm::EcP256).0;
    let issued = inventory.world.issue(inventory.pki.profile, &json!({"csr": csr})).await;
    let path = format!("{CERTIFICATES}/{}", text(&issued, "/certificate/certificateId"));
    let shown = inventory.world.operator().ok(Method::GET, &path, None).await;
    let certificate = &shown["certificate"];
    assert_eq!(certificate["hasPrivateKey"], false);
    assert_eq!(certificate["serialNumber"], issued["certificate"]["serialNumber"]);
    assert_eq!(certificate["subject"], json!({"commonName": "csr.acme.test"}));
    assert_eq!(certificate["altNames"], "csr.acme.test");
    assert_eq!(certificate["caId"], json!(inventory.pki.issuing));
    assert_eq!(inventory.world.operator().get(&format!("{path}/private-key")).await.0, 404);
    let bundle = inventory.world.operator().ok(Method::GET, &format!("{path}/bundle"), None).await;
    assert!(bundle["privateKey"].is_null() && bundle["certificate"] == issued["certificate"]["certificate"]);
    inventory.world.stop().await;
}
