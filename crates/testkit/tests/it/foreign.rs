//! Each service is asked one thing that only it can answer. That this product gets along with them is for the whole-server
//! tests to say.

use std::process::Command;

use chancery_testkit::foreign::{
    Acme2certifier, Acme2certifierOptions, Bao, ChallTestSrv, DnsWebhook, Knot, Pebble, PebbleOptions, TsigKey,
};
use chancery_testkit::judge;
use reqwest::{Client, Method};
use serde_json::{Value, json};

fn client(ca_pem: &str) -> Client {
    let root = reqwest::Certificate::from_pem(ca_pem.as_bytes()).unwrap();
    Client::builder().tls_certs_only([root]).no_proxy().build().unwrap()
}

/// What the services' clocks say.
#[expect(clippy::disallowed_methods, reason = "other people's programs have the real clock")]
fn now() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    i64::try_from(since.as_secs()).unwrap()
}

async fn directory(ca_pem: &str, url: &str) -> Value {
    let answer = client(ca_pem).get(url).send().await.unwrap();
    serde_json::from_str(&answer.text().await.unwrap()).unwrap()
}

/// The values of a record, as `kdig` reads them.
fn ask(server: std::net::SocketAddr, name: &str, kind: &str) -> Vec<String> {
    let at = format!("@{}", server.ip());
    let asked = Command::new("kdig")
        .args([&at, "-p", &server.port().to_string(), name, kind, "+short", "+tcp", "+retry=0"])
        .output()
        .expect("kdig is missing: install it with `apt-get install knot-dnsutils`, or run scripts/test, which does");
    String::from_utf8(asked.stdout).unwrap().lines().map(|line| line.trim_matches('"').to_owned()).collect()
}

#[tokio::test]
async fn pebble_speaks_acme_over_tls_and_shows_its_roots() {
    let options = PebbleOptions { eab: true, strict: true, alternate_roots: 1, ..PebbleOptions::default() };
    let pebble = Pebble::start(options).await;
    let found = directory(pebble.ca_pem(), &pebble.directory_url()).await;
    assert_eq!(found["meta"]["externalAccountRequired"], true, "{found}");
    assert!(found["newOrder"].as_str().unwrap().starts_with("https://127.0.0.1:"), "{found}");
    let roots = pebble.roots().await;
    assert_eq!(roots.len(), 2);
    assert_ne!(roots[0], roots[1]);
    for root in &roots {
        judge::openssl_verifies(std::slice::from_ref(root), now());
    }
    judge::openssl_verifies(&[pebble.intermediate().await, roots[0].clone()], now());
    assert_eq!(pebble.certificate_status("01").await, "unknown");
}

#[tokio::test]
async fn the_challenge_test_server_answers_what_a_signed_webhook_says() {
    let dns = ChallTestSrv::start().await;
    assert_eq!(ask(dns.dns(), "www.acme.test", "A"), ["127.0.0.1"]);
    let webhook = DnsWebhook::start(&dns, "secret").await;
    let name = "_acme-challenge.acme.test";
    let send = async |action: &str, value: &str, secret: &str| {
        let body = json!({"action": action, "zone": "acme.test", "name": name, "value": value, "ttl": 60}).to_string();
        let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, secret.as_bytes());
        let tag = hex::encode(aws_lc_rs::hmac::sign(&key, format!("7.{body}").as_bytes()));
        let request = client(webhook.ca_pem()).post(webhook.url()).body(body);
        request.header("x-chancery-signature", format!("t=7,v1={tag}")).send().await.unwrap().status().as_u16()
    };
    assert_eq!(send("set", "forged", "guess").await, 401);
    assert_eq!(send("set", "one", "secret").await, 200);
    assert_eq!(send("set", "two", "secret").await, 200);
    let mut values = ask(dns.dns(), name, "TXT");
    values.sort();
    assert_eq!(values, ["one", "two"]);
    assert_eq!(send("remove", "one", "secret").await, 200);
    assert_eq!(ask(dns.dns(), name, "TXT"), ["two"]);
    webhook.refuse(Some(503));
    assert_eq!(send("remove", "two", "secret").await, 503);
    webhook.refuse(None);
    assert_eq!(send("remove", "two", "secret").await, 200);
    assert!(ask(dns.dns(), name, "TXT").is_empty() && webhook.records().await.is_empty());
    assert_eq!(webhook.received().len(), 4, "what was not believed or refused is not there");
}

#[tokio::test]
async fn knot_changes_its_zones_for_whoever_has_the_key() {
    let key = TsigKey::default();
    let knot = Knot::start(&["acme.test", "inner.acme.test"], &key).await;
    let update = |secret: &str, value: &str| {
        let script = format!(
            "server {} {}\nzone acme.test\nadd _acme-challenge.acme.test 1 TXT {value}\nsend\n",
            knot.address().ip(),
            knot.address().port()
        );
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), script).unwrap();
        let key = format!("{}:{}:{secret}", key.algorithm, key.name);
        Command::new("knsupdate").args(["-v", "-y", &key]).arg(file.path()).output().unwrap().status.success()
    };
    assert_eq!(ask(knot.address(), "www.acme.test", "A"), ["127.0.0.1"]);
    assert_eq!(ask(knot.address(), "inner.acme.test", "NS"), ["ns.inner.acme.test."]);
    assert!(!update("Zm9yZ2Vk", "forged"));
    assert!(update(&key.secret, "proof"), "{}", knot.log());
    assert_eq!(ask(knot.address(), "_acme-challenge.acme.test", "TXT"), ["proof"]);
}

#[tokio::test]
async fn openbao_issues_from_its_pki_engine() {
    let bao = Bao::start().await;
    let wanted = json!({"common_name": "www.acme.test", "ttl": "24h", "key_type": "ec", "key_bits": 256});
    let issued = bao.ok(Method::POST, &format!("{}/issue/{}", Bao::MOUNT, Bao::ROLE), Some(&wanted)).await;
    let pem = |key: &str| issued[key].as_str().unwrap().to_owned();
    judge::openssl_verifies(&[pem("certificate"), pem("issuing_ca")], now());
    let policy = format!("path \"{}/sign/*\" {{ capabilities = [\"update\"] }}", Bao::MOUNT);
    let (role_id, secret_id) = bao.make_app_role("chancery", &policy).await;
    let login = json!({"role_id": role_id, "secret_id": secret_id});
    let (status, answer) = bao.api(Method::POST, "auth/approle/login", Some(&login)).await;
    assert_eq!(status, 200, "{answer:#}");
    assert_eq!(answer["auth"]["token_policies"], json!(["chancery", "default"]));
}

#[tokio::test]
async fn acme2certifier_offers_renewal_information() {
    let server = Acme2certifier::start(Acme2certifierOptions::default()).await;
    let found = directory(server.ca_pem(), &server.directory_url()).await;
    let base = server.directory_url().replace("/directory", "");
    for key in ["newNonce", "newAccount", "newOrder", "renewalInfo"] {
        let url = found[key].as_str().unwrap_or_else(|| panic!("{key} is missing: {found:#}\n{}", server.log()));
        assert!(url.starts_with(&base), "{url}");
    }
    let nonce = client(server.ca_pem()).head(found["newNonce"].as_str().unwrap()).send().await.unwrap();
    assert!(nonce.headers().contains_key("replay-nonce"), "{nonce:?}");
    judge::openssl_verifies(&[server.root_pem()], now());
}
