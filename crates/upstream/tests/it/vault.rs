//! Kind `vault` against a real OpenBao server.
//!
//! ```text
//! pki: Root A (default)  ── role web (*.acme.test, IP, URI, e-mail; 720 h at most)
//!      Root B
//! auth/approle: role chancery      policy chancery, as the reference documents it
//! auth/cert:    certificate role chancery
//! ```
//!
//! Verified: signing with every kind of name, refusals in the engine's words, the role's longest life, revoking twice,
//! three ways to log in and what becomes of a token that is revoked, the choice among issuers, intermediates, and that a
//! question whose answer was lost finds the certificate that was made.

use chancery_authority::external::{
    ExternalCertificate, IntermediateWish, Next, OpenedConnection, Site, Upstream as _, UpstreamCa, UpstreamErrorKind,
};
use chancery_egress::Method;
use chancery_model::Clock as _;
use chancery_model::certificate::RevocationReason;
use chancery_model::external::{ConnectionApp, ExternalCaKind, ExternalConfiguration, VaultConfiguration};
use chancery_model::time::SystemClock;
use chancery_pkix::ForeignCertificate;
use chancery_upstream::Outside;
use serde_json::{Value, json};

use crate::bao::Bao;
use crate::pki::{self, Ca};
use crate::site;

const NAMES: &str = "DNS:www.acme.test,DNS:api.acme.test,IP:192.0.2.7,URI:spiffe://acme.test/web,email:ops@acme.test";

const NOTHING: &str = "path \"pki/*\" { capabilities = [\"deny\"] }";

/// The policy of the reference, for the engine `pki` and the role `web`.
fn documented_policy() -> String {
    let page = include_str!("../../../../docs/reference/external-cas.md");
    let block = page.split("```hcl").nth(1).expect("the page has a policy");
    block.split("```").next().unwrap().replace("pki/sign/my-role", "pki/sign/web").replace("roles/my-role", "roles/web")
}

/// The engine and its role, as the drawing shows them; `policy` for both logins.
async fn prepared(policy: &str) -> Bao {
    let bao = Bao::start().await;
    bao.post("sys/mounts/pki", json!({ "type": "pki", "config": { "max_lease_ttl": "8760h" } })).await;
    for name in ["a", "b"] {
        let body =
            json!({ "common_name": format!("Root {name}"), "issuer_name": name, "key_type": "ec", "ttl": "8000h" });
        bao.post("pki/root/generate/internal", body).await;
    }
    bao.post("pki/config/issuers", json!({ "default": "a" })).await;
    let role = json!({
        "allowed_domains": ["acme.test"], "allow_subdomains": true, "allow_bare_domains": true, "allow_ip_sans": true,
        "allowed_uri_sans": ["spiffe://acme.test/*"], "key_type": "any", "max_ttl": "720h", "require_cn": false,
    });
    bao.post("pki/roles/web", role).await;
    bao.post("sys/policies/acl/chancery", json!({ "policy": policy })).await;
    bao.post("sys/auth/approle", json!({ "type": "approle" })).await;
    bao.post("auth/approle/role/chancery", json!({ "token_policies": ["chancery"], "token_ttl": "1h" })).await;
    bao
}

fn settings(issuer: Option<&str>) -> ExternalConfiguration {
    ExternalConfiguration::Vault(VaultConfiguration {
        connection_id: site::connection_id(),
        mount: "pki".to_owned(),
        role: "web".to_owned(),
        issuer_ref: issuer.map(ToOwned::to_owned),
    })
}

fn connection(bao: &Bao, method: &str, fields: &[(&str, &str)]) -> OpenedConnection {
    let (url, ca) = (bao.url(), bao.ca_pem());
    let mut all = vec![("instanceUrl", url.as_str()), ("caCertificate", ca.as_str())];
    all.extend_from_slice(fields);
    site::connection(ConnectionApp::Vault, method, &all)
}

async fn app_role(bao: &Bao) -> OpenedConnection {
    let role = bao.get("auth/approle/role/chancery/role-id").await;
    let secret = bao.post("auth/approle/role/chancery/secret-id", json!({})).await;
    let fields = [
        ("roleId", role["data"]["role_id"].as_str().unwrap()),
        ("secretId", secret["data"]["secret_id"].as_str().unwrap()),
    ];
    connection(bao, "app-role", &fields)
}

fn as_root(bao: &Bao) -> Site {
    site::site(settings(None), connection(bao, "access-token", &[("accessToken", "root")]))
}

fn outside(seed: u64) -> Outside {
    site::outside(site::egress(None), seed)
}

fn vault(outside: &Outside) -> &dyn UpstreamCa {
    outside.ca(ExternalCaKind::Vault).unwrap()
}

fn issued_certificate(der: &[u8]) -> ExternalCertificate {
    let serial_number = ForeignCertificate::from_der(der).unwrap().serial_hex;
    ExternalCertificate { der: der.to_vec(), reference: None, state: Value::Null, serial_number }
}

#[tokio::test]
async fn a_role_signs_what_it_allows_and_says_what_it_does_not() {
    let bao = prepared(&documented_policy()).await;
    let (outside, site) = (outside(1), site::site(settings(None), app_role(&bao).await));
    let ca = vault(&outside);

    let settled = ca.settle(&site).await.unwrap();
    assert_eq!(settled.standing["roleMaxTtl"], json!(2_592_000));
    assert_eq!(settled.warnings, Vec::<String>::new());

    let mut hand = site::order(pki::csr("www.acme.test", NAMES), 86_400, 1);
    let (chain, warnings) = site::issued(ca, &site, &mut hand).await;
    assert_eq!(warnings, Vec::<String>::new());
    pki::verify(&chain);
    let text = pki::text(&chain[0]);
    for name in [
        "DNS:www.acme.test",
        "DNS:api.acme.test",
        "IP Address:192.0.2.7",
        "URI:spiffe://acme.test/web",
        "email:ops@acme.test",
    ] {
        assert!(text.contains(name), "{name} in {text}");
    }
    let leaf = ForeignCertificate::from_der(&chain[0]).unwrap();
    // The engine dates back by half a minute.
    assert_eq!(leaf.validity.not_after - leaf.validity.not_before, 86_400 + 30);
    let spoken = hand.order.reference.clone().unwrap().replace(':', "");
    assert_eq!(spoken.trim_start_matches('0'), leaf.serial_hex.trim_start_matches('0'));

    let mut short = site::order(pki::csr("only.acme.test", "DNS:www.acme.test"), 86_400, 4);
    let (chain, _) = site::issued(ca, &site, &mut short).await;
    assert!(pki::text(&chain[0]).contains("DNS:only.acme.test"), "a host's common name is among the names");

    let refused =
        site::failed(ca, &site, &mut site::order(pki::csr("www.evil.test", "DNS:www.evil.test"), 86_400, 2)).await;
    assert!(refused.contains("www.evil.test") && refused.contains("not allowed by this role"), "{refused}");

    let mut long = site::order(pki::csr("www.acme.test", "DNS:www.acme.test"), 90 * 86_400, 3);
    let (chain, warnings) = site::issued(ca, &site, &mut long).await;
    let leaf = ForeignCertificate::from_der(&chain[0]).unwrap();
    assert_eq!(leaf.validity.not_after - leaf.validity.not_before, 720 * 3_600 + 30);
    assert!(warnings.iter().any(|it| it.starts_with("Vault: ") && it.contains("TTL")), "{warnings:?}");

    let certificate = issued_certificate(&chain[0]);
    for _ in 0..2 {
        ca.revoke(&site, &certificate, RevocationReason::Superseded).await.unwrap();
    }
    let seen = bao.get(&format!("pki/cert/{}", hand_serial(&long))).await;
    assert!(seen["data"]["revocation_time"].as_i64().unwrap() > 0, "{seen}");
}

fn hand_serial(hand: &chancery_authority::external::OrderInHand) -> String {
    hand.order.reference.clone().unwrap()
}

#[tokio::test]
async fn a_certificate_that_the_engine_did_not_keep_is_revoked_by_itself() {
    let bao = prepared(NOTHING).await;
    bao.call(Method::PATCH, "pki/roles/web", json!({ "no_store": true })).await;
    let role =
        json!({ "allowed_domains": ["acme.test"], "allow_subdomains": true, "key_type": "any", "no_store": true });
    bao.post("pki/roles/web", role).await;
    let (outside, site) = (outside(9), as_root(&bao));
    let ca = vault(&outside);
    let warnings = ca.settle(&site).await.unwrap().warnings;
    assert!(warnings[0].contains("no_store"), "{warnings:?}");
    let (chain, _) =
        site::issued(ca, &site, &mut site::order(pki::csr("x.acme.test", "DNS:x.acme.test"), 3_600, 1)).await;
    ca.revoke(&site, &issued_certificate(&chain[0]), RevocationReason::KeyCompromise).await.unwrap();
    let revoked = bao.get("pki/certs/revoked?list=true").await;
    assert_eq!(revoked["data"]["keys"].as_array().unwrap().len(), 1, "{revoked}");
}

#[tokio::test]
async fn settings_that_do_not_hold_are_refused_with_what_to_correct() {
    let bao = prepared("path \"pki/sign/web\" { capabilities = [\"update\"] }").await;
    let outside = outside(2);
    let ca = vault(&outside);
    let mut wrong = as_root(&bao);
    for (mount, role, issuer, expected) in [
        ("pki", "nobody", None, "no role nobody at pki"),
        ("nowhere", "web", None, "no role web at nowhere"),
        ("pki", "web", Some("c"), "no issuer c at pki"),
    ] {
        wrong.ca.configuration = ExternalConfiguration::Vault(VaultConfiguration {
            connection_id: site::connection_id(),
            mount: mount.to_owned(),
            role: role.to_owned(),
            issuer_ref: issuer.map(ToOwned::to_owned),
        });
        let refused = ca.settle(&wrong).await.err().unwrap();
        assert_eq!(refused.kind, UpstreamErrorKind::Lasting, "{refused}");
        assert!(refused.text.contains(expected), "{refused}");
    }

    // Who may only sign is taken at their word, and told so.
    let only_sign = site::site(settings(Some("a")), app_role(&bao).await);
    let warnings = ca.settle(&only_sign).await.unwrap().warnings;
    assert!(warnings[0].contains("pki/roles/web") && warnings[1].contains("pki/issuer/a"), "{warnings:?}");
    let refused =
        site::failed(ca, &only_sign, &mut site::order(pki::csr("w.acme.test", "DNS:w.acme.test"), 60, 1)).await;
    assert!(refused.contains("policy"), "{refused}");
}

#[tokio::test]
async fn every_login_brings_a_token_that_is_used_until_it_is_refused() {
    let bao = prepared(&documented_policy()).await;
    let people = Ca::new("People");
    bao.post("sys/auth/cert", json!({ "type": "cert" })).await;
    let role = json!({ "certificate": people.certificate(), "allowed_common_names": "chancery", "token_policies": "chancery" });
    bao.post("auth/cert/certs/chancery", role).await;
    let pair = people.issue("chancery", "DNS:chancery.test", "clientAuth");
    let stranger = people.issue("stranger", "DNS:stranger.test", "clientAuth");
    let by_certificate = |pair: &pki::Pair| {
        let fields = [
            ("certificate", pair.certificate.as_str()),
            ("privateKey", pair.private_key.as_str()),
            ("role", "chancery"),
        ];
        connection(&bao, "tls-certificate", &fields)
    };
    let outside = outside(3);
    for good in
        [connection(&bao, "access-token", &[("accessToken", "root")]), app_role(&bao).await, by_certificate(&pair)]
    {
        outside.check_connection(&good).await.unwrap();
    }
    let role_id = app_role(&bao).await.fields["roleId"].to_string();
    for (bad, expected) in [
        (connection(&bao, "access-token", &[("accessToken", "wrong")]), "does not accept the access token"),
        (connection(&bao, "app-role", &[("roleId", &role_id), ("secretId", "wrong")]), "refused the login by app-role"),
        (by_certificate(&stranger), "refused the login by tls-certificate"),
        (connection(&bao, "app-role", &[("roleId", "x")]), "no secretId"),
    ] {
        let refused = outside.check_connection(&bad).await.err().unwrap();
        assert_eq!(refused.kind, UpstreamErrorKind::Lasting, "{refused}");
        assert!(refused.text.contains(expected), "{refused} for {expected}");
        assert!(!refused.text.contains("wrong"), "{refused}");
    }

    let site = site::site(settings(None), app_role(&bao).await);
    let ca = vault(&outside);
    let logins = || async { bao.get("auth/token/accessors?list=true").await["data"]["keys"].as_array().unwrap().len() };
    ca.settle(&site).await.unwrap();
    let before = logins().await;
    for seed in 1..4 {
        site::issued(ca, &site, &mut site::order(pki::csr("w.acme.test", "DNS:w.acme.test"), 600, seed)).await;
    }
    assert_eq!(logins().await, before, "one login serves all");
    // Somebody takes all of the role's tokens away.
    let (status, _) = bao.call(Method::POST, "sys/leases/revoke-prefix/auth/approle", Value::Null).await;
    assert!((200..300).contains(&status), "{status}");
    site::issued(ca, &site, &mut site::order(pki::csr("w.acme.test", "DNS:w.acme.test"), 600, 4)).await;
}

#[tokio::test]
async fn the_issuer_that_is_named_signs_leaves_and_intermediates() {
    let bao = prepared(NOTHING).await;
    let outside = outside(4);
    let ca = vault(&outside);
    let mut site = as_root(&bao);
    for (issuer, expected) in [(None, "CN=Root a"), (Some("b"), "CN=Root b")] {
        site.ca.configuration = settings(issuer);
        ca.settle(&site).await.unwrap();
        let mut hand = site::order(pki::csr("w.acme.test", "DNS:w.acme.test"), 600, 1);
        let (chain, _) = site::issued(ca, &site, &mut hand).await;
        pki::verify(&chain);
        assert_eq!(ForeignCertificate::from_der(&chain[0]).unwrap().issuer_text, expected);
    }

    let root = connection(&bao, "access-token", &[("accessToken", "root")]);
    let now = SystemClock.now();
    for (issuer, path_length, expected) in [(None, Some(0), "CN=Root a"), (Some("b"), None, "CN=Root b")] {
        let wish = IntermediateWish {
            csr: pki::ca_csr("Issuing CA"),
            not_after: site::at(now.as_seconds() + 100 * 86_400),
            path_length_max: path_length,
            mount: "pki".to_owned(),
            issuer_ref: issuer.map(ToOwned::to_owned),
            now,
        };
        let chain = outside.sign_intermediate(&root, &wish).await.unwrap();
        pki::verify(&chain);
        let signed = ForeignCertificate::from_der(&chain[0]).unwrap();
        assert!(signed.is_ca);
        assert_eq!(signed.path_length, path_length);
        assert_eq!(signed.issuer_text, expected);
        assert_eq!(signed.subject_text, "CN=Issuing CA,O=Test");
        assert_eq!(signed.validity.not_after, wish.not_after.as_seconds());
    }
    let beyond = IntermediateWish {
        csr: pki::ca_csr("Issuing CA"),
        not_after: site::at(now.as_seconds() + 9_000 * 3_600),
        path_length_max: None,
        mount: "pki".to_owned(),
        issuer_ref: None,
        now,
    };
    let refused = outside.sign_intermediate(&root, &beyond).await.err().unwrap();
    assert!(refused.text.contains("the issuer at Vault ends at"), "{refused}");
}

#[tokio::test]
async fn an_answer_that_was_lost_is_found_again_and_nothing_is_signed_twice() {
    let bao = prepared(&documented_policy()).await;
    let site = site::site(settings(None), app_role(&bao).await);
    let (one, other) = (outside(5), outside(6));
    let roots = bao.certificates("pki").await.len();

    // Asked, answered, and dead before the answer was written down.
    let mut hand = site::order(pki::csr("w.acme.test", NAMES), 86_400, 1);
    assert!(matches!(site::step(vault(&one), &site, &mut hand).await, Ok(Next::Continue)));
    let asking = hand.order.state.clone();
    let (made, _) = site::issued(vault(&one), &site, &mut hand).await;
    let ended = hand.order.state.clone();
    for (who, state) in [(&one, asking.clone()), (&other, asking), (&other, ended)] {
        hand.order.state = state;
        let (found, warnings) = site::issued(vault(who), &site, &mut hand).await;
        assert_eq!(found, made, "the same certificate with the same chain");
        assert!(warnings[0].contains("taken over"), "{warnings:?}");
        assert_eq!(bao.certificates("pki").await.len(), roots + 1);
    }

    // Dead before it was asked.
    let mut hand = site::order(pki::csr("w.acme.test", "DNS:w.acme.test"), 86_400, 2);
    site::step(vault(&one), &site, &mut hand).await.unwrap();
    let (_, warnings) = site::issued(vault(&other), &site, &mut hand).await;
    assert_eq!(warnings, Vec::<String>::new());
    assert_eq!(bao.certificates("pki").await.len(), roots + 2);

    // A renewal with the same key does not take its predecessor for the answer, nor one that was revoked.
    let csr = hand.order.csr.clone();
    let first = hand.order.reference.clone().unwrap().replace(':', "");
    let mut renewal = site::order(csr, 86_400, 3);
    renewal.predecessor =
        Some(ExternalCertificate { der: Vec::new(), reference: None, state: Value::Null, serial_number: first });
    site::step(vault(&one), &site, &mut renewal).await.unwrap();
    let reserved = renewal.order.state.clone();
    let (second, _) = site::issued(vault(&other), &site, &mut renewal).await;
    assert_eq!(bao.certificates("pki").await.len(), roots + 3);
    vault(&one).revoke(&site, &issued_certificate(&second[0]), RevocationReason::Superseded).await.unwrap();
    renewal.order.state = reserved;
    let (third, _) = site::issued(vault(&other), &site, &mut renewal).await;
    assert_ne!(third, second);
}

#[tokio::test]
async fn an_engine_that_may_not_be_searched_is_asked_again_with_a_warning_and_not_forever() {
    let bao = prepared("path \"pki/sign/*\" { capabilities = [\"update\"] }").await;
    let site = site::site(settings(None), app_role(&bao).await);
    let mut hand = site::order(pki::csr("w.acme.test", "DNS:w.acme.test"), 3_600, 1);
    let one = outside(7);
    site::step(vault(&one), &site, &mut hand).await.unwrap();
    let (_, warnings) = site::issued(vault(&outside(8)), &site, &mut hand).await;
    assert!(warnings[0].contains("may not list pki/certs"), "{warnings:?}");

    // Each process dies right after it has written down that it will ask.
    let mut hand = site::order(pki::csr("w.acme.test", "DNS:w.acme.test"), 3_600, 2);
    for seed in 10..13 {
        let next = site::step(vault(&outside(seed)), &site, &mut hand).await.unwrap();
        assert!(matches!(next, Next::Continue), "{next:?}");
    }
    let message = site::failed(vault(&outside(13)), &site, &mut hand).await;
    assert!(message.contains("3 times") && message.contains("may not list pki/certs"), "{message}");
}
