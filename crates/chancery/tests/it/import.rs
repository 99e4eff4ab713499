//! Certificates that were made elsewhere: OpenSSL makes them, the inventory takes them in, and OpenSSL reads what comes
//! out again.
//!
//! ```text
//! OpenSSL: root ── leaf (+ key, + PKCS#12)      the inventory's own: root ── issuing ── issued
//! ```
//!
//! Verified: PEM with and without key and chain, keys under a password, the wrong key, garbage and bodies too large; the
//! same certificate twice; PKCS#12 of both ages looked into and imported; weak certificates shown as they are and found by
//! their view; every export format read by OpenSSL; tables safe for spreadsheets; the older routes by serial number; what
//! a CA here has signed is taken over as its own; clean-up by the clock; a directory through the command line.

mod export;
mod figures;

use std::fs;
use std::io::{Read as _, Write as _};
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chancery_model::Timestamp;
use chancery_pkix::{Certificate, pem};
use chancery_testkit::judge;
use chancery_testkit::world::{CERT_MANAGER, Session, World, merged, text};
use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::program::{Place, openssl, read};

const DAY: i64 = 86_400;

/// What OpenSSL has made: a root, and a leaf under it.
struct Foreign {
    folder: TempDir,
}

impl Foreign {
    /// `digest` and `bits` are the leaf's: an RSA key, signed by the root with this digest.
    fn rsa(common_name: &str, bits: u32, digest: &str) -> Self {
        let foreign = Self { folder: tempfile::tempdir().unwrap() };
        let desk = foreign.desk();
        let run = |arguments: &[&str]| openssl(desk, arguments).succeeded();
        run(&[
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-keyout",
            "root.key",
            "-out",
            "root.pem",
            "-days",
            "3650",
            "-subj",
            "/O=Elsewhere/CN=Elsewhere Root",
        ]);
        let subject = format!("/O=Elsewhere/serialNumber=4711/CN={common_name}");
        run(&[
            "req",
            "-new",
            "-newkey",
            &format!("rsa:{bits}"),
            "-nodes",
            "-keyout",
            "leaf.key",
            "-out",
            "leaf.csr",
            "-subj",
            &subject,
        ]);
        fs::write(desk.join("ext"), format!("subjectAltName=DNS:{common_name},DNS:alt.{common_name}\nextendedKeyUsage=serverAuth,1.2.3.4\n1.2.3.5=ASN1:NULL\n")).unwrap();
        run(&[
            "x509",
            "-req",
            "-in",
            "leaf.csr",
            "-CA",
            "root.pem",
            "-CAkey",
            "root.key",
            "-CAcreateserial",
            "-days",
            "400",
            &format!("-{digest}"),
            "-extfile",
            "ext",
            "-out",
            "leaf.pem",
        ]);
        foreign
    }

    fn usual() -> Self {
        Self::rsa("www.elsewhere.test", 2048, "sha256")
    }

    fn desk(&self) -> &Path {
        self.folder.path()
    }

    fn read(&self, name: &str) -> String {
        read(self.desk().join(name))
    }

    /// A day into the leaf's life: OpenSSL's clock is not the world's.
    fn start(&self) -> Timestamp {
        let leaf = Certificate::from_pem(&self.read("leaf.pem"));
        // A leaf that is too weak to be read strictly is as old as its root.
        let leaf = leaf.or_else(|_| Certificate::from_pem(&self.read("root.pem"))).unwrap();
        Timestamp::from_seconds(leaf.validity().not_before + DAY)
    }

    /// The root revokes the leaf.
    fn revoke(&self) {
        let configuration = "[ca]\ndefault_ca=it\n[it]\ndatabase=index\ncrlnumber=crlnumber\ndefault_md=sha256\n\
            default_crl_days=30\ncertificate=root.pem\nprivate_key=root.key\ncrl_extensions=crl\n[crl]\n\
            authorityKeyIdentifier=keyid\n";
        for (name, contents) in [("ca.cnf", configuration), ("index", ""), ("crlnumber", "05\n")] {
            fs::write(self.desk().join(name), contents).unwrap();
        }
        let revoke = ["ca", "-config", "ca.cnf", "-revoke", "leaf.pem", "-crl_reason", "keyCompromise"];
        openssl(self.desk(), &revoke).succeeded();
        openssl(self.desk(), &["ca", "-config", "ca.cnf", "-gencrl", "-out", "root.crl"]).succeeded();
    }

    fn pkcs12(&self, password: &str, legacy: bool) -> Vec<u8> {
        let mut arguments = vec![
            "pkcs12",
            "-export",
            "-in",
            "leaf.pem",
            "-inkey",
            "leaf.key",
            "-certfile",
            "root.pem",
            "-name",
            "www server",
            "-out",
            "bundle.p12",
            "-passout",
        ];
        let secret = format!("pass:{password}");
        arguments.push(&secret);
        if legacy {
            arguments.push("-legacy");
        }
        openssl(self.desk(), &arguments).succeeded();
        fs::read(self.desk().join("bundle.p12")).unwrap()
    }
}

fn path(rest: &str) -> String {
    format!("{CERT_MANAGER}/certificates{rest}")
}

async fn world_for(foreign: &Foreign) -> World {
    World::builder().fixed_clock(foreign.start()).start().await
}

async fn import(session: &Session, body: &Value) -> (u16, Value) {
    session.post(&path("/import-certificate"), body).await
}

async fn imported(world: &World, body: &Value) -> String {
    let (status, answer) = import(world.admin(), body).await;
    assert_eq!(status, 200, "{answer:#}");
    text(&answer, "/certificateId")
}

async fn shown(world: &World, id: &str) -> Value {
    world.auditor().ok(Method::GET, &path(&format!("/{id}")), None).await["certificate"].clone()
}

async fn project(world: &World) -> String {
    text(&world.auditor().ok(Method::GET, "/api/v1/projects", None).await, "/projects/0/id")
}

async fn found(world: &World, search: &Value) -> Vec<String> {
    let path = format!("/api/v1/projects/{}/certificates/search", project(world).await);
    let answer = world.auditor().ok(Method::POST, &path, Some(search)).await;
    answer["certificates"].as_array().unwrap().iter().map(|it| text(it, "/id")).collect()
}

/// How often an event about this object stands in the audit log.
async fn entries(world: &World, event: &str, object: &str) -> Vec<Value> {
    let path = format!("/api/v1/audit-logs?event={event}&objectId={object}");
    world.auditor().ok(Method::GET, &path, None).await["auditLogs"].as_array().unwrap().clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_foreign_certificate_comes_in_with_chain_and_key_and_is_found_like_any_other() {
    let foreign = Foreign::usual();
    let world = world_for(&foreign).await;
    let body = json!({"certificatePem": foreign.read("leaf.pem"), "chainPem": foreign.read("root.pem"),
        "privateKeyPem": foreign.read("leaf.key"), "friendlyName": "  the shop ", "projectSlug": "default"});
    let (status, answer) = import(world.admin(), &body).await;
    assert_eq!(status, 200, "{answer:#}");
    let id = text(&answer, "/certificateId");
    assert_eq!(text(&answer, "/certificate"), foreign.read("leaf.pem"));
    assert_eq!(text(&answer, "/certificateChain"), foreign.read("root.pem"));
    assert!(judge::openssl_key_text(&text(&answer, "/privateKey")).contains("2048 bit"));
    assert_eq!(answer["warnings"], json!([]));

    let it = shown(&world, &id).await;
    assert_eq!(it["source"], "imported");
    assert_eq!(it["friendlyName"], "the shop");
    assert_eq!(it["commonName"], "www.elsewhere.test");
    assert_eq!(it["altNames"], "www.elsewhere.test,alt.www.elsewhere.test");
    assert_eq!((&it["status"], &it["keyAlgorithm"]), (&json!("active"), &json!("RSA_2048")));
    assert_eq!((&it["signatureAlgorithm"], &it["hasPrivateKey"]), (&json!("RSA-SHA256"), &json!(true)));
    assert_eq!((&it["profileId"], &it["caId"]), (&Value::Null, &Value::Null));
    assert!(text(&it, "/foreign/issuer").contains("CN=Elsewhere Root"), "{it:#}");
    assert!(text(&it, "/foreign/subject").contains("4711"), "an attribute without a type is shown: {it:#}");
    assert_eq!(it["foreign"]["extendedKeyUsages"], json!(["1.2.3.4"]));
    assert!(it["foreign"]["extensions"].to_string().contains("1.2.3.5"));
    assert_eq!(it["foreign"]["isWeak"], json!(false));
    let serial = openssl(foreign.desk(), &["x509", "-in", "leaf.pem", "-noout", "-serial"]).succeeded().stdout;
    let serial = serial.trim().strip_prefix("serial=").unwrap().to_lowercase();
    assert_eq!(it["serialNumber"], json!(serial));
    for search in [
        json!({"search": "alt.www.elsewhere.test"}),
        json!({"search": serial}),
        json!({"search": it["fingerprintSha256"]}),
        json!({"commonName": "*.elsewhere.test"}),
        json!({"friendlyName": "the shop"}),
        json!({"source": "imported"}),
    ] {
        assert_eq!(found(&world, &search).await, [id.as_str()], "{search}");
    }
    assert!(found(&world, &json!({"source": "issued"})).await.is_empty());
    let entry = entries(&world, "certificate.imported", &id).await;
    assert_eq!((entry.len(), &entry[0]["details"]["withKey"]), (1, &json!(true)));
    assert!(!entry[0].to_string().contains("PRIVATE KEY"));
    // Sealed like every other, and read like every other.
    assert_eq!(world.operator().get(&path(&format!("/{id}/private-key"))).await.0, 403);
    let key = world.admin().ok(Method::GET, &path(&format!("/{id}/private-key")), None).await;
    assert_eq!(key.as_str().unwrap(), text(&answer, "/privateKey"));
    assert_eq!(entries(&world, "certificate.private-key-read", &id).await.len(), 1);
    // Nothing here could renew it.
    assert_eq!(world.admin().post(&path(&format!("/{id}/renew")), &json!({})).await.0, 403);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_certificate_is_there_once_and_may_come_back_after_deletion() {
    let foreign = Foreign::usual();
    let world = world_for(&foreign).await;
    let body = json!({"certificatePem": foreign.read("leaf.pem")});
    let id = imported(&world, &body).await;
    let (status, answer) = import(world.admin(), &body).await;
    assert_eq!((status, &answer["code"]), (409, &json!("import.exists")), "{answer:#}");
    assert!(text(&answer, "/message").contains(&id), "it names the id: {answer:#}");
    // Another project knows nothing of it.
    let other = world.other_project_admin().await;
    assert_eq!(import(&other, &body).await.0, 200);
    world.admin().ok(Method::DELETE, &path(&format!("/{id}")), None).await;
    let again = imported(&world, &body).await;
    assert_ne!(again, id);
    assert_eq!(found(&world, &json!({"source": "imported"})).await, [again]);

    let same = json!({"certificatePem": Foreign::usual().read("leaf.pem")});
    let tries = futures(8, || import(world.admin(), &same)).await;
    let (made, met): (Vec<_>, Vec<_>) = tries.iter().partition(|(status, _)| *status == 200);
    assert_eq!((made.len(), met.len()), (1, 7), "of parallel imports one wins");
    assert!(met.iter().all(|(status, answer)| *status == 409 && answer["code"] == "import.exists"), "{met:#?}");
    world.stop().await;
}

/// What an import is answered whose body is announced with so many octets. None of them is sent: a server that refuses
/// does not wait for them.
async fn announced(world: &World, octets: usize) -> String {
    let request = format!(
        "POST {} HTTP/1.1\r\nhost: it\r\nauthorization: Bearer {}\r\ncontent-type: application/json\r\n\
         content-length: {octets}\r\n\r\n",
        path("/import-certificate"),
        world.admin().token().unwrap(),
    );
    let address = world.url().trim_start_matches("http://").to_owned();
    let exchange = move || {
        let mut stream = std::net::TcpStream::connect(address).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let (mut answer, mut buffer) = (String::new(), [0; 4_096]);
        while !answer.contains("\r\n\r\n{") {
            let length = stream.read(&mut buffer).unwrap();
            assert_ne!(length, 0, "closed without an answer: {answer}");
            answer.push_str(&String::from_utf8_lossy(&buffer[..length]));
        }
        answer
    };
    tokio::task::spawn_blocking(exchange).await.unwrap()
}

/// Runs the same call several times at once.
async fn futures<F: Future<Output = (u16, Value)>>(count: usize, call: impl Fn() -> F) -> Vec<(u16, Value)> {
    let mut running: Vec<_> = (0..count).map(|_| Box::pin(call())).collect();
    let mut ended: Vec<Option<(u16, Value)>> = vec![None; count];
    std::future::poll_fn(|context| {
        for (future, slot) in running.iter_mut().zip(&mut ended) {
            if slot.is_none()
                && let std::task::Poll::Ready(answer) = future.as_mut().poll(context)
            {
                *slot = Some(answer);
            }
        }
        if ended.iter().all(Option::is_some) { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
    ended.into_iter().flatten().collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_does_not_fit_is_refused_with_its_reason_and_nothing_is_kept() {
    let foreign = Foreign::usual();
    let world = world_for(&foreign).await;
    let desk = foreign.desk();
    let run = |arguments: &[&str]| openssl(desk, arguments).succeeded();
    run(&["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", "other.key"]);
    run(&["pkcs8", "-topk8", "-v2", "aes-256-cbc", "-in", "leaf.key", "-passout", "pass:sesame", "-out", "locked.key"]);
    run(&[
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-keyout",
        "stranger.key",
        "-out",
        "stranger.pem",
        "-subj",
        "/CN=Stranger",
    ]);
    let leaf = foreign.read("leaf.pem");
    let der = STANDARD.decode(leaf.lines().filter(|line| !line.starts_with('-')).collect::<String>()).unwrap();
    let (base, key) = (json!({"certificatePem": leaf}), foreign.read("leaf.key"));
    let cut = pem::encode(pem::CERTIFICATE, &der[..der.len() / 2]);
    let csr = foreign.read("leaf.csr");
    for (changes, status, code) in [
        (json!({"privateKeyPem": foreign.read("other.key")}), 400, "import.key_mismatch"),
        (json!({"privateKeyPem": "no key"}), 400, "import.key"),
        (json!({"privateKeyPem": foreign.read("locked.key")}), 400, "import.key"),
        (json!({"privateKeyPem": foreign.read("locked.key"), "privateKeyPassword": "wrong"}), 400, "import.key"),
        (json!({"chainPem": foreign.read("stranger.pem")}), 400, "import.chain"),
        (json!({"chainPem": "-----BEGIN CERTIFICATE-----\n%%%"}), 400, "import.pem"),
        (json!({"certificatePem": format!("{leaf}{key}")}), 400, "import.key_misplaced"),
        (json!({"certificatePem": csr}), 400, "import.pem"),
        (json!({"certificatePem": ""}), 400, "import.pem"),
        (json!({"certificatePem": cut}), 400, "asn1.not_der"),
        (
            json!({"certificatePem": pem::encode(pem::CERTIFICATE, &[0x30, 0x03, 0x02, 0x01, 0x01])}),
            400,
            "asn1.not_der",
        ),
        (json!({"pkiCollectionId": "019bc186-de00-7a7c-88a8-9c17db622644"}), 400, "import.collection"),
        (json!({"applicationId": "019bc186-de00-7a7c-88a8-9c17db622644"}), 404, "not_found"),
        (json!({"projectSlug": "somebody-elses"}), 404, "not_found"),
        (json!({"friendlyName": "n".repeat(256)}), 422, "schema"),
        (json!({"certificatePem": 5}), 422, "schema"),
    ] {
        let (found, answer) = import(world.admin(), &merged(base.clone(), &changes)).await;
        assert_eq!((found, &answer["code"]), (status, &json!(code)), "{answer:#}");
        assert!(!answer.to_string().contains("PRIVATE KEY"), "{answer:#}");
    }
    let answer = announced(&world, 10 * 1024 * 1024).await;
    assert!(answer.starts_with("HTTP/1.1 413 ") && answer.contains("body.too_large"), "{answer}");
    for session in [world.operator(), world.auditor()] {
        let (status, answer) = import(session, &base).await;
        assert_eq!((status, &answer["error"]), (403, &json!("PermissionDenied")));
    }
    assert!(found(&world, &json!({})).await.is_empty(), "nothing of it is in the inventory");
    // Long, but not too long: white space between two blocks.
    let long = json!({"certificatePem": format!("{leaf}{}{}", " ".repeat(5 * 1024 * 1024), foreign.read("root.pem"))});
    assert_eq!(import(world.admin(), &long).await.0, 200);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_come_in_every_usual_form() {
    for (name, arguments) in [
        ("PKCS#1", vec!["rsa", "-traditional", "-in", "leaf.key", "-out", "form.key"]),
        (
            "PKCS#8 under a password",
            vec![
                "pkcs8",
                "-topk8",
                "-v2",
                "aes-256-cbc",
                "-v2prf",
                "hmacWithSHA256",
                "-in",
                "leaf.key",
                "-passout",
                "pass:sesame",
                "-out",
                "form.key",
            ],
        ),
        (
            "PKCS#8 under a password, scrypt",
            vec!["pkcs8", "-topk8", "-scrypt", "-in", "leaf.key", "-passout", "pass:sesame", "-out", "form.key"],
        ),
    ] {
        let foreign = Foreign::usual();
        openssl(foreign.desk(), &arguments).succeeded();
        let world = world_for(&foreign).await;
        let body = json!({"certificatePem": foreign.read("leaf.pem"), "privateKeyPem": foreign.read("form.key"),
            "privateKeyPassword": "sesame"});
        let (status, answer) = import(world.admin(), &body).await;
        assert_eq!(status, 200, "{name}: {answer:#}");
        assert!(judge::openssl_key_text(&text(&answer, "/privateKey")).contains("2048 bit"), "{name}");
        world.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pkcs12_of_both_ages_is_looked_into_and_imported() {
    for legacy in [false, true] {
        let foreign = Foreign::usual();
        let world = world_for(&foreign).await;
        let file = STANDARD.encode(foreign.pkcs12("open sesame", legacy));
        let body = json!({"pkcs12": file, "password": "open sesame"});
        let (status, answer) = world.admin().post(&path("/pkcs12/extract"), &body).await;
        assert_eq!(status, 200, "legacy {legacy}: {answer:#}");
        let entries = answer["entries"].as_array().unwrap();
        assert_eq!(entries.len(), 1, "{answer:#}");
        let entry = &entries[0];
        assert_eq!((&entry["alias"], &entry["commonName"]), (&json!("www server"), &json!("www.elsewhere.test")));
        assert_eq!((&entry["keyAlgorithm"], &entry["chainWarning"]), (&json!("RSA_2048"), &Value::Null));
        assert_eq!(text(entry, "/certificatePem"), foreign.read("leaf.pem"));
        assert_eq!(text(entry, "/chainPem"), foreign.read("root.pem"));
        assert!(judge::openssl_key_text(&text(entry, "/privateKeyPem")).contains("2048 bit"));
        assert!(found(&world, &json!({})).await.is_empty(), "nothing of it is kept");

        for (body, code) in [
            (json!({"pkcs12": file, "password": "wrong"}), "pkcs12.password"),
            (json!({"pkcs12": STANDARD.encode(b"no file"), "password": "x"}), "pkcs12.encoding"),
            (json!({"pkcs12": "%%", "password": "x"}), "pkcs12.base64"),
            (json!({"pkcs12": STANDARD.encode(vec![0x30; 1024 * 1024 + 8]), "password": "x"}), "pkcs12.too_large"),
        ] {
            for route in ["/pkcs12/extract", "/import-pkcs12"] {
                let (status, answer) = world.admin().post(&path(route), &body).await;
                assert_eq!((status, &answer["code"]), (400, &json!(code)), "{route}: {answer:#}");
            }
        }
        for session in [world.operator(), world.auditor()] {
            assert_eq!(session.post(&path("/pkcs12/extract"), &body).await.0, 403);
            assert_eq!(session.post(&path("/import-pkcs12"), &body).await.0, 403);
        }
        let (status, answer) = world.admin().post(&path("/import-pkcs12"), &body).await;
        assert_eq!((status, &answer["imported"]), (200, &json!(1)), "{answer:#}");
        let id = text(&answer, "/results/0/certificateId");
        assert_eq!(answer["results"][0]["hasPrivateKey"], json!(true));
        let it = shown(&world, &id).await;
        assert_eq!((&it["friendlyName"], &it["hasPrivateKey"]), (&json!("www server"), &json!(true)));
        let bundle = world.admin().ok(Method::GET, &path(&format!("/{id}/bundle")), None).await;
        assert_eq!(text(&bundle, "/certificateChain"), foreign.read("root.pem"));
        let (_, answer) = world.admin().post(&path("/import-pkcs12"), &body).await;
        assert_eq!((&answer["alreadyThere"], &answer["results"][0]["certificateId"]), (&json!(1), &json!(id)));
        world.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_weak_certificate_is_shown_as_it_is_and_found_by_its_view() {
    let foreign = Foreign::rsa("old.elsewhere.test", 1024, "sha1");
    let world = world_for(&foreign).await;
    let (status, answer) = import(world.admin(), &json!({"certificatePem": foreign.read("leaf.pem")})).await;
    assert_eq!(status, 200, "{answer:#}");
    let id = text(&answer, "/certificateId");
    let warnings: Vec<String> = answer["warnings"].as_array().unwrap().iter().map(|it| text(it, "/code")).collect();
    assert_eq!(warnings, ["import.weak", "import.chain_missing"], "{answer:#}");
    assert!(answer.get("certificateChain").is_none() && answer.get("privateKey").is_none());
    let it = shown(&world, &id).await;
    assert_eq!((&it["keyAlgorithm"], &it["signatureAlgorithm"]), (&Value::Null, &Value::Null));
    assert_eq!((&it["foreign"]["key"], &it["foreign"]["isWeak"]), (&json!("RSA 1024"), &json!(true)));
    assert!(text(&it, "/foreign/signature").contains("SHA1"), "{it:#}");
    assert_eq!(it["fingerprints"]["sha1"].as_str().unwrap().len(), 40);
    let text_of =
        judge::openssl_reads(&["x509", "-noout", "-fingerprint", "-sha1"], foreign.read("leaf.pem").as_bytes());
    assert_eq!(text_of.trim().split('=').nth(1).unwrap().replace(':', "").to_lowercase(), it["fingerprints"]["sha1"]);

    let strong = Foreign::usual();
    imported(&world, &json!({"certificatePem": strong.read("leaf.pem")})).await;
    assert_eq!(found(&world, &json!({"view": "weak-key"})).await, [id]);
    let answer = world.auditor().ok(Method::GET, &path("/views"), None).await;
    let size = |name: &str| {
        let view = answer["views"].as_array().unwrap().iter().find(|it| it["name"] == name).unwrap();
        assert!(!view["description"].as_str().unwrap().is_empty());
        (view["count"].as_u64().unwrap(), view["countExact"].as_bool().unwrap())
    };
    assert_eq!(size("weak-key"), (1, true));
    assert_eq!(size("failed-renewal"), (0, true));
    assert_eq!(size("superseded-active"), (0, true));
    assert_eq!(size("expiring"), (0, true));
    let chain = world
        .auditor()
        .ok(Method::GET, &path(&format!("/{}/certificate", found(&world, &json!({"view": "weak-key"})).await[0])), None)
        .await;
    assert_eq!(chain["certificateChain"], Value::Null);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_of_a_ca_here_is_no_foreign_one() {
    let world = World::start().await;
    let pki = world.pki().await;
    let issued = world.issue(pki.profile, &json!({})).await;
    let body = json!({"certificatePem": issued["certificate"]["certificate"]});
    let (status, answer) = import(world.admin(), &body).await;
    assert_eq!((status, &answer["code"]), (409, &json!("import.exists")));
    assert!(text(&answer, "/message").contains(&text(&issued, "/certificate/certificateId")));
    world.admin().ok(Method::DELETE, &path(&format!("/{}", text(&issued, "/certificate/certificateId"))), None).await;
    let (status, answer) = import(world.admin(), &body).await;
    assert_eq!((status, &answer["code"]), (400, &json!("import.issued_here")), "{answer:#}");
    let own = json!({"certificatePem": issued["certificate"]["issuingCaCertificate"]});
    let (status, answer) = import(world.admin(), &own).await;
    assert_eq!((status, &answer["code"]), (400, &json!("import.ca_certificate")), "{answer:#}");
    // Elsewhere it is as foreign as any other.
    assert_eq!(import(&world.other_project_admin().await, &body).await.0, 200);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_ca_signed_before_it_came_here_is_taken_over_and_revoked_here() {
    let foreign = Foreign::usual();
    let world = world_for(&foreign).await;
    let serial = openssl(foreign.desk(), &["x509", "-in", "leaf.pem", "-noout", "-serial"]).succeeded().stdout;
    let serial = serial.trim().strip_prefix("serial=").unwrap().to_lowercase();
    let ca = json!({"name": "taken-over", "certificate": foreign.read("root.pem"), "privateKey": foreign.read("root.key"),
        "serialNumbers": [serial]});
    let ca = world.admin().ok(Method::POST, &format!("{CERT_MANAGER}/ca/internal/import"), Some(&ca)).await;
    let (status, answer) = import(world.admin(), &json!({"certificatePem": foreign.read("leaf.pem")})).await;
    assert_eq!(status, 200, "{answer:#}");
    assert_eq!(answer["warnings"][0]["code"], "import.adopted");
    assert_eq!(text(&answer, "/certificateChain"), foreign.read("root.pem"), "the chain is the CA's own");
    let id = text(&answer, "/certificateId");
    let it = shown(&world, &id).await;
    assert_eq!((&it["caId"], &it["caName"], &it["source"]), (&ca["id"], &json!("taken-over"), &json!("imported")));

    let reason = json!({"revocationReason": "KEY_COMPROMISE"});
    world.admin().ok(Method::POST, &path(&format!("/{id}/revoke")), Some(&reason)).await;
    // Revocations of a few seconds share a CRL.
    world.clock.advance_seconds(10);
    world.authority().run_due_jobs().await;
    assert_eq!(shown(&world, &id).await["status"], json!("revoked"));
    let crls = format!("{CERT_MANAGER}/ca/internal/{}/crls", text(&ca, "/id"));
    let crl = text(&world.auditor().ok(Method::GET, &crls, None).await, "/0/crl");
    let listed = judge::openssl_reads(&["crl", "-noout", "-text"], crl.as_bytes());
    assert!(listed.to_lowercase().contains(&serial), "{listed}");
    // What the CA had revoked before it came here is revoked from the first moment.
    let gone = Foreign::usual();
    gone.revoke();
    let ca = json!({"name": "with-past", "certificate": gone.read("root.pem"), "privateKey": gone.read("root.key"),
        "lastCrl": gone.read("root.crl")});
    world.admin().ok(Method::POST, &format!("{CERT_MANAGER}/ca/internal/import"), Some(&ca)).await;
    let (status, answer) = import(world.admin(), &json!({"certificatePem": gone.read("leaf.pem")})).await;
    assert_eq!((status, &answer["warnings"][0]["code"]), (200, &json!("import.revoked")), "{answer:#}");
    let it = shown(&world, &text(&answer, "/certificateId")).await;
    assert_eq!((&it["status"], &it["revocationReason"]), (&json!("revoked"), &json!(1)));
    // A certificate that another CA of the same name made is not this one's.
    let other = Foreign::usual();
    let stranger = imported(&world, &json!({"certificatePem": other.read("leaf.pem")})).await;
    assert_eq!(shown(&world, &stranger).await["caId"], Value::Null);
    world.stop().await;
}

#[test]
fn a_directory_comes_in_by_one_command_with_a_report() {
    let place = Place::ready();
    let foreign = Foreign::usual();
    let store = place.path("store");
    let inner = store.join("inner");
    fs::create_dir_all(&inner).unwrap();
    // A certificate with its chain and key in one file, one in DER, one in PKCS#12, garbage, a key alone, a link.
    let second = Foreign::rsa("der.elsewhere.test", 1024, "sha1");
    openssl(second.desk(), &["x509", "-in", "leaf.pem", "-outform", "DER", "-out", "leaf.der"]).succeeded();
    let third = Foreign::rsa("p12.elsewhere.test", 2048, "sha256");
    fs::write(store.join("a.pem"), foreign.read("leaf.pem") + &foreign.read("root.pem") + &foreign.read("leaf.key"))
        .unwrap();
    fs::copy(second.desk().join("leaf.der"), inner.join("b.cer")).unwrap();
    fs::write(store.join("c.p12"), third.pkcs12("open sesame", false)).unwrap();
    fs::write(store.join("d.crt"), "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n").unwrap();
    fs::write(store.join("e.pem"), foreign.read("leaf.key")).unwrap();
    std::os::unix::fs::symlink("/etc/hostname", store.join("f.pem")).unwrap();
    fs::write(place.path("pw"), "open sesame\n").unwrap();

    let command = ["cert", "import", "store", "--recursive", "--password-file", "pw", "--as-admin", "--json"];
    let dry: Vec<&str> = command.iter().copied().chain(["--dry-run"]).collect();
    let planned = place.chancery(&dry);
    assert_eq!(planned.code, 1, "{}", planned.stderr);
    assert_eq!(planned.json()["imported"], 0);
    let result = |report: &Value, file: &str| {
        let line = report["results"].as_array().unwrap().iter().find(|it| it["file"].as_str().unwrap().ends_with(file));
        line.unwrap_or_else(|| panic!("no line for {file}: {report:#}"))["result"].as_str().unwrap().to_owned()
    };
    for (file, expected) in [
        ("a.pem", "would import"),
        ("b.cer", "would import"),
        ("c.p12", "would import"),
        ("d.crt", "refused"),
        ("e.pem", "skipped"),
    ] {
        assert_eq!(result(&planned.json(), file), expected, "{file}");
    }

    let ended = place.chancery(&command);
    assert_eq!(ended.code, 1, "one was refused: {} {}", ended.stdout, ended.stderr);
    let report = ended.json();
    for (file, expected) in [
        ("a.pem", "imported"),
        ("b.cer", "imported"),
        ("c.p12", "imported"),
        ("d.crt", "refused"),
        ("e.pem", "skipped"),
        ("f.pem", "skipped"),
    ] {
        assert_eq!(result(&report, file), expected, "{file}: {report:#}");
    }
    assert_eq!((&report["imported"], &report["refused"]), (&3.into(), &1.into()));
    fs::remove_file(store.join("d.crt")).unwrap();
    let again = place.chancery(&command).succeeded().json();
    assert_eq!((&again["imported"], &again["alreadyThere"]), (&0.into(), &3.into()));
    let id = |report: &Value| {
        let lines = report["results"].as_array().unwrap();
        lines.iter().find(|it| it["file"].as_str().unwrap().ends_with("a.pem")).unwrap()["certificateId"].clone()
    };
    assert_eq!(id(&report), id(&again), "what was there already is named");
    let shown = place.chancery(&["cert", "list", "--search", "der.elsewhere.test"]).succeeded().stdout;
    assert!(shown.contains("der.elsewhere.test"), "{shown}");
    place.chancery(&["cert", "import", "absent.pem", "--as-admin"]).failed(1, &["absent.pem"]);
    place.chancery(&["cert", "import", "store/a.pem"]).failed(4, &[]);
}
