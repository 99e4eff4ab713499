//! The operator's commands against the server that the quickstart leaves running.
//!
//! Verified: requests with and without a CSR, renewal, every form of download, creation of CAs, templates and profiles,
//! the dry run, the exit code of each kind of failure, the configuration as printed, and the audit log's export.

use std::fs;

use serde_json::Value;

use crate::program::{Place, Served, assert_key_fits, chancery, mode, openssl, read, run, run_with};

const UNKNOWN_ID: &str = "00000000-0000-7000-8000-000000000000";

fn strings<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_else(|| panic!("{name} is not text in {value:#}"))
}

#[test]
fn a_certificate_is_requested_shown_listed_renewed_and_downloaded() {
    let place = Place::ready();
    let desk = place.directory.path();
    let issued = place
        .chancery(&[
            "cert",
            "request",
            "--profile",
            "tls-server",
            "--common-name",
            "www.example.internal",
            "--san",
            "dns:alt.example.internal",
            "--ttl",
            "30d",
            "--key-algorithm",
            "EC_secp384r1",
            "--out-dir",
            "www",
            "--json",
        ])
        .succeeded()
        .json();
    let id = strings(&issued["certificate"], "certificateId").to_owned();
    assert!(issued["certificate"]["privateKey"].is_null(), "the key goes to its file only");
    assert_eq!(issued["files"].as_array().unwrap().len(), 4);
    assert_key_fits(desk, "www/certificate.pem", "www/private-key.pem");
    assert_eq!(mode(&place.path("www/private-key.pem")), 0o600);

    let shown = place.chancery(&["cert", "show", &id]).succeeded().stdout;
    for words in ["www.example.internal", "alt.example.internal", "EC_secp384r1", "active", &id] {
        assert!(shown.contains(words), "{words} is not in {shown}");
    }
    let listed = place.chancery(&["cert", "list", "--search", "alt.example.internal", "--json"]).succeeded().json();
    assert_eq!(listed["certificates"][0]["id"], id.as_str());
    assert!(place.chancery(&["cert", "list", "--profile", "tls-server"]).succeeded().stdout.contains(&id));
    assert!(
        place.chancery(&["cert", "list", "--status", "revoked"]).succeeded().stdout.contains("No certificate fits")
    );

    place.chancery(&["cert", "renew", &id, "--out-dir", "renewed"]).succeeded();
    assert_key_fits(desk, "renewed/certificate.pem", "renewed/private-key.pem");
    assert_ne!(read(place.path("renewed/private-key.pem")), read(place.path("www/private-key.pem")));
    // A certificate has one successor.
    place.chancery(&["cert", "renew", &id, "--out-dir", "again"]).failed(1, &[]);
    assert!(!place.path("again").exists());

    for (format, file) in
        [("pem", "d.pem"), ("der", "d.der"), ("chain", "d.chain"), ("fullchain", "d.full"), ("key", "d.key")]
    {
        place.chancery(&["cert", "download", &id, "--format", format, "--out", file]).succeeded();
    }
    assert_eq!(read(place.path("d.pem")), read(place.path("www/certificate.pem")));
    assert_eq!(read(place.path("d.key")), read(place.path("www/private-key.pem")));
    assert_eq!(
        read(place.path("d.full")).matches("BEGIN CERTIFICATE").count(),
        2,
        "the certificate and the issuing CA"
    );
    let of_der = openssl(desk, &["x509", "-inform", "DER", "-in", "d.der"]).succeeded().stdout;
    assert_eq!(of_der.trim(), read(place.path("d.pem")).trim());
    place.chancery(&["cert", "download", &id, "--out", "d.pem"]).failed(1, &["d.pem"]);
    place.chancery(&["cert", "download", &id, "--format", "key"]).failed(2, &["--stdout"]);
    assert!(place.served.interrupt().success());
}

#[test]
fn a_pkcs12_file_opens_in_openssl() {
    let place = Place::ready();
    let issued = place
        .chancery(&["cert", "request", "--profile", "tls-server", "--common-name", "p12.example.internal", "--json"])
        .succeeded()
        .json();
    let id = strings(&issued["certificate"], "certificateId");
    fs::write(place.path("password"), "correct horse\n").unwrap();
    let download = [
        "cert",
        "download",
        id,
        "--format",
        "pkcs12",
        "--password-file",
        "password",
        "--alias",
        "www",
        "--out",
        "www.p12",
    ];
    place.chancery(&download).succeeded();
    assert_eq!(mode(&place.path("www.p12")), 0o600);
    let opened = openssl(place.directory.path(), &["pkcs12", "-in", "www.p12", "-passin", "file:password", "-nodes"])
        .succeeded();
    assert!(opened.stdout.contains("PRIVATE KEY") && opened.stdout.contains("friendlyName: www"), "{}", opened.stdout);
    assert_eq!(opened.stdout.matches("BEGIN CERTIFICATE").count(), 3, "leaf, issuing CA, root");
    // Without --out-dir the files stand in a directory named after the certificate.
    assert_key_fits(
        place.directory.path(),
        "p12.example.internal/certificate.pem",
        "p12.example.internal/private-key.pem",
    );
}

#[test]
fn a_csr_from_standard_input_is_signed_and_renewed_with_another() {
    let place = Place::ready();
    let desk = place.directory.path();
    let csr = |key: &str| {
        openssl(
            desk,
            &[
                "req",
                "-new",
                "-newkey",
                "rsa:2048",
                "-nodes",
                "-keyout",
                key,
                "-subj",
                "/CN=csr.example.internal",
                "-addext",
                "subjectAltName=DNS:csr.example.internal",
            ],
        )
        .succeeded()
        .stdout
    };
    let request =
        ["cert", "request", "--profile", "tls-server", "--csr", "-", "--ttl", "30d", "--out-dir", "csr", "--json"];
    let issued = run_with(&mut chancery(desk, &request), &csr("first.key")).succeeded().json();
    assert_key_fits(desk, "csr/certificate.pem", "first.key");
    assert!(!place.path("csr/private-key.pem").exists());
    let id = strings(&issued["certificate"], "certificateId");

    // Nobody but the requester has the key, so a plain renewal is refused with the ways that exist.
    place.chancery(&["cert", "renew", id, "--out-dir", "none"]).failed(1, &["csr", "reuse"]);
    place.chancery(&["cert", "renew", id, "--key-source", "csr"]).failed(2, &["--csr"]);
    let renew = ["cert", "renew", id, "--csr", "-", "--out-dir", "second"];
    run_with(&mut chancery(desk, &renew), &csr("second.key")).succeeded();
    assert_key_fits(desk, "second/certificate.pem", "second.key");
    place
        .chancery(&["cert", "download", id, "--format", "key", "--out", "no.key"])
        .failed(5, &["keeps no private key"]);
}

#[test]
fn an_administrator_creates_ca_template_and_profile() {
    let place = Place::ready();
    let admin = |arguments: &[&str]| place.chancery(&[arguments, &["--as-admin"]].concat());
    admin(&["ca", "create", "--name", "lab-root", "--common-name", "Lab Root", "--key-algorithm", "Ed25519"])
        .succeeded();
    admin(&["ca", "create", "--name", "lab-1", "--common-name", "Lab 1", "--parent", "lab-root", "--years", "2"])
        .succeeded();
    let ca = place.chancery(&["ca", "show", "lab-1", "--json"]).succeeded().json();
    assert_eq!((strings(&ca, "status"), ca["configuration"]["maxPathLength"].as_i64()), ("active", Some(0)));
    assert_eq!(
        place.chancery(&["ca", "show", "lab-1", "--pem"]).succeeded().stdout.matches("BEGIN CERTIFICATE").count(),
        2
    );
    assert!(place.chancery(&["ca", "list"]).succeeded().stdout.contains("lab-root"));
    // A longer life than the parent's is refused, and nothing half-made stays behind.
    admin(&["ca", "create", "--name", "lab-2", "--common-name", "Lab 2", "--parent", "lab-1", "--years", "1"])
        .failed(1, &[]);
    place.chancery(&["ca", "show", "lab-2"]).failed(5, &["lab-2"]);

    assert!(place.chancery(&["template", "presets"]).succeeded().stdout.contains("tls-server"));
    let template =
        ["template", "create", "--name", "lab", "--preset", "tls-server", "--domain", "*.lab.test", "--max-ttl", "7d"];
    let shown = admin(&template).succeeded().stdout;
    assert!(shown.contains("*.lab.test"), "{shown}");
    assert!(place.chancery(&["template", "list"]).succeeded().stdout.contains("lab"));
    admin(&["profile", "create", "--slug", "lab", "--template", "lab", "--ca", "lab-1", "--ttl-days", "3"]).succeeded();
    assert!(place.chancery(&["profile", "show", "lab"]).succeeded().stdout.contains("lab-1"));
    assert!(place.chancery(&["profile", "list"]).succeeded().stdout.contains("tls-self-signed"));
    place
        .chancery(&["cert", "request", "--profile", "lab", "--common-name", "a.lab.test", "--out-dir", "lab"])
        .succeeded();
    let verify = ["verify", "-x509_strict", "-CAfile", "lab/chain.pem", "lab/certificate.pem"];
    openssl(place.directory.path(), &verify).succeeded();
}

#[test]
fn what_is_elsewhere_is_set_up_without_a_secret_on_the_command_line() {
    let place = Place::ready();
    let admin = |arguments: &[&str]| place.chancery(&[arguments, &["--as-admin"]].concat());
    let apps = admin(&["connection", "apps", "hashicorp-vault"]).succeeded().stdout;
    assert!(apps.contains("secretId") && apps.contains("tls-certificate") && !apps.contains("rfc2136"), "{apps}");
    let tsig = ["connection", "create", "--app", "rfc2136", "--name", "dns", "--no-test", "--set", "keyName=acme."];
    let bare = [&tsig[..], &["--set", "server=ns1.acme.test", "--set", "secret=c2VjcmV0"]].concat();
    admin(&bare).failed(2, &["--secret secret=FILE"]);
    let piped = [&tsig[..], &["--set", "server=ns1.acme.test", "--secret", "secret=-", "--as-admin"]].concat();
    let made = run_with(&mut chancery(place.directory.path(), &piped), "c2VjcmV0\n").succeeded().stdout;
    assert!(made.contains("Created dns as "), "{made}");
    admin(&["connection", "create", "--app", "hashicorp-vault", "--name", "bao"]).failed(2, &["--method", "app-role"]);
    admin(&["connection", "create", "--app", "fax", "--name", "fax"]).failed(5, &["cloudflare"]);
    let shown = admin(&["connection", "show", "dns"]).succeeded().stdout;
    assert!(shown.contains("ns1.acme.test") && shown.contains("tsig") && !shown.contains("c2VjcmV0"), "{shown}");
    admin(&["connection", "update", "dns", "--rename", "zone", "--description", "for acme.test"]).succeeded();
    assert!(admin(&["connection", "list"]).succeeded().stdout.contains("for acme.test"));
    // Nothing answers at these places; what is said names the field or the reason, and nothing is kept.
    fs::write(place.path("token"), "a-token\n").unwrap();
    let bao = ["connection", "create", "--app", "hashicorp-vault", "--name", "bao", "--method", "access-token"];
    let bao = [&bao[..], &["--set", "instanceUrl=https://bao.invalid:8200", "--secret", "accessToken=token"]].concat();
    admin(&bao).failed(1, &["bao.invalid"]);
    admin(&[&bao[..], &["--no-test"]].concat()).succeeded();
    admin(&["ca", "create-vault", "--name", "bao", "--connection", "bao", "--role", "web"]).failed(1, &["bao.invalid"]);
    let acme = ["ca", "create-acme", "--name", "le", "--directory"];
    admin(&[&acme[..], &["letsencypt"]].concat()).failed(1, &["letsencrypt-staging"]);
    admin(&[&acme[..], &["https://acme.invalid/", "--zone", "rfc2136:nobody:acme.test"]].concat())
        .failed(5, &["nobody"]);
    admin(&[&acme[..], &["https://acme.invalid/", "--zone", "cloudflare:zone:acme.test"]].concat())
        .failed(1, &["name one for cloudflare"]);
    admin(&[&acme[..], &["https://acme.invalid/", "--zone", "rfc2136:zone:acme.test"]].concat())
        .failed(1, &["acme.invalid"]);
    admin(&["ca", "create", "--name", "below", "--common-name", "Below", "--vault", "bao"]).failed(1, &["bao.invalid"]);
    let cas = admin(&["ca", "list"]).succeeded().stdout;
    assert!(!cas.contains("below") && !cas.contains("acme"), "{cas}");
    admin(&["connection", "delete", "zone"]).succeeded();
    admin(&["connection", "show", "zone"]).failed(5, &["zone"]);
    // A request that was issued at once has nothing left to wait for.
    let request = ["cert", "request", "--profile", "tls-server", "--common-name", "www.example.internal", "--json"];
    let request = place.chancery(&request).succeeded().json();
    let id = strings(&request, "certificateRequestId");
    assert!(place.chancery(&["request", "show", id]).succeeded().stdout.contains("issued"));
    assert!(place.chancery(&["request", "list", "--status", "issued"]).succeeded().stdout.contains(id));
    assert!(place.chancery(&["request", "cancel", id]).succeeded().stdout.contains("ended already"));
    assert!(place.chancery(&["request", "validate", id]).succeeded().stdout.contains("nothing to ask for"));
    place.chancery(&["request", "show", UNKNOWN_ID]).failed(5, &[UNKNOWN_ID]);
}

#[test]
fn a_ca_is_renewed_and_taken_over_from_the_command_line() {
    let place = Place::ready();
    let desk = place.directory.path();
    let admin = |arguments: &[&str]| place.chancery(&[arguments, &["--as-admin"]].concat());
    admin(&["ca", "create", "--name", "lab", "--common-name", "Lab Root"]).succeeded();
    assert!(admin(&["ca", "renew", "lab"]).succeeded().stdout.contains("Renewed: version 2"));
    let rolled = admin(&["ca", "renew", "lab", "--new-key", "--key-algorithm", "Ed25519", "--json"]).succeeded().json();
    assert_eq!(rolled["version"], 3);
    place.chancery(&["ca", "renew", "lab", "--key-algorithm", "Ed25519", "--as-admin"]).failed(2, &["--new-key"]);
    let shown = admin(&["ca", "auto-renewal", "lab", "--enable", "--days", "45"]).succeeded().stdout;
    assert!(shown.contains("45") && shown.contains("true"), "{shown}");

    let key = ["ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", "old.key"];
    openssl(desk, &key).succeeded();
    openssl(desk, &["pkcs8", "-topk8", "-in", "old.key", "-passout", "pass:open sesame", "-out", "sealed.key"])
        .succeeded();
    let request =
        ["req", "-x509", "-new", "-key", "old.key", "-subj", "/CN=Old Root", "-days", "900", "-out", "old.pem"];
    openssl(desk, &request).succeeded();
    fs::write(place.path("password"), "open sesame\n").unwrap();
    fs::write(place.path("wrong"), "open barley\n").unwrap();
    fs::write(place.path("serials"), "# what it used\n0a\n0B:0C\n").unwrap();
    let import = |password: &str| {
        admin(&[
            "ca",
            "import",
            "--name",
            "old",
            "--certificate",
            "old.pem",
            "--key",
            "sealed.key",
            "--serials",
            "serials",
            "--last-crl-number",
            "9",
            "--password-file",
            password,
        ])
    };
    import("wrong").failed(1, &["privateKeyPassword"]);
    assert!(import("password").succeeded().stdout.contains("Imported old"));
    import("password").failed(1, &["old"]);
    assert!(place.chancery(&["ca", "show", "old"]).succeeded().stdout.contains("CN=Old Root"));
    admin(&["ca", "import", "--name", "none", "--certificate", "old.pem"]).failed(2, &["--key"]);

    // Published by the running server within its own time; the list is there as soon as the first one is.
    let published = (0..100).find_map(|_| {
        std::thread::sleep(std::time::Duration::from_millis(100));
        let listed = place.chancery(&["ca", "crl", "old", "--json"]).succeeded().json();
        listed[0]["number"].as_i64()
    });
    let number = published.expect("a CRL is published");
    assert!(number > 9, "it goes on after the last one elsewhere: {number}");
    fs::write(place.path("old.crl"), place.chancery(&["ca", "crl", "old"]).succeeded().stdout).unwrap();
    openssl(desk, &["crl", "-in", "old.crl", "-noout", "-CAfile", "old.pem"]).succeeded();
    assert!(place.chancery(&["ca", "crl", "old", "--list"]).succeeded().stdout.contains(&number.to_string()));
}

#[test]
fn a_dry_run_explains_and_issues_nothing() {
    let place = Place::ready();
    let count = || place.chancery(&["cert", "list", "--json"]).succeeded().json()["totalCount"].clone();
    let before = count();
    let good = place
        .chancery(&["cert", "request", "--profile", "tls-server", "--common-name", "www.example.internal", "--dry-run"])
        .succeeded();
    for words in ["commonName", "www.example.internal", "request", "Verdict: issued"] {
        assert!(good.stdout.contains(words), "{words} is not in {}", good.stdout);
    }
    let bad =
        ["cert", "request", "--profile", "tls-server", "--common-name", "www.evil.test", "--ttl", "5y", "--dry-run"];
    place.chancery(&bad).failed(1, &["would be refused", "subject.common_name", "validity.max", "try: "]);
    assert_eq!(count(), before);
}

#[test]
fn each_kind_of_failure_has_its_exit_code() {
    let place = Place::ready();
    let request = |name: &str, more: &[&str]| {
        place.chancery(&[&["cert", "request", "--profile", "tls-server", "--common-name", name], more].concat())
    };
    request("www.evil.test", &[]).failed(1, &["subject.common_name", "*.example.internal", "try: "]);
    assert!(!place.path("www.evil.test").exists());
    request("www.example.internal", &["--key-algorithm", "RSA_1024"]).failed(2, &["RSA_2048"]);
    request("www.example.internal", &["--server", "http://127.0.0.1:9"]).failed(3, &["http://127.0.0.1:9"]);
    request("www.example.internal", &["--server", "not-a-url"]).failed(2, &["not-a-url"]);
    request("www.example.internal", &["--client-id", UNKNOWN_ID, "--client-secret", "wrong"]).failed(4, &[]);
    place.chancery(&["ca", "create", "--name", "mine", "--common-name", "Mine"]).failed(4, &["create"]);
    place.chancery(&["cert", "show", UNKNOWN_ID]).failed(5, &[]);
    place.chancery(&["cert", "request", "--profile", "nowhere"]).failed(5, &["nowhere"]);
    place.chancery(&["cert", "frobnicate"]).failed(2, &["frobnicate"]);
    request("www.example.internal", &["--out-dir", "www"]).succeeded();
    request("www.example.internal", &["--out-dir", "www"]).failed(2, &["already there", "--force"]);
}

#[test]
fn an_application_is_created_given_members_and_asked_for() {
    let place = Place::ready();
    let admin = |arguments: &[&str]| place.chancery(&[arguments, &["--as-admin"]].concat());
    assert!(place.chancery(&["application", "list"]).succeeded().stdout.contains("There is no application yet"));
    let made = admin(&["application", "create", "billing", "--profile", "tls-server", "--json"]).succeeded().json();
    assert_eq!(strings(&made["application"], "name"), "billing");
    assert!(made["profiles"][0]["apiConfigId"].is_string(), "enrolment is on: {made:#}");
    admin(&["application", "create", "shop", "--profile", "no-such-profile"]).failed(5, &["no-such-profile"]);
    admin(&["application", "show", "shop"]).failed(5, &["shop"]);
    admin(&["application", "create", "billing"]).failed(1, &["billing"]);
    let attach = ["application", "attach", "billing", "--profile", "tls-server", "--renew-before-days", "7"];
    admin(&attach).succeeded();
    // Attached once more, it stays as it is.
    admin(&attach[..5]).succeeded();

    let name = "app.example.internal";
    let request = ["cert", "request", "--profile", "tls-server", "--application", "billing", "--common-name", name];
    let issued = place.chancery(&[&request[..], &["--out-dir", "app", "--json"]].concat()).succeeded().json();
    let id = strings(&issued["certificate"], "certificateId");
    let shown = place.chancery(&["cert", "show", id, "--json"]).succeeded().json();
    let kept = shown.get("certificate").unwrap_or(&shown);
    assert_eq!((strings(kept, "applicationName"), &kept["renewBeforeDays"]), ("billing", &serde_json::json!(7)));
    let listed = place.chancery(&["application", "list", "--json"]).succeeded().json();
    assert_eq!(listed["applications"][0]["certificateCount"], 1);

    let identities = "00000000-0000-7000-8000-000000000000";
    admin(&["application", "member", "billing", identities]).failed(5, &["Identity"]);
    let shown = place.chancery(&["app", "show", "billing"]).succeeded().stdout;
    assert!(shown.contains("tls-server") && !shown.contains("(off)"), "{shown}");
}

#[test]
fn an_exported_audit_log_verifies_and_a_changed_one_does_not() {
    let place = Place::ready();
    place.chancery(&["audit", "export", "--as-admin", "--out", "audit.ndjson"]).succeeded();
    let verified = place.chancery(&["audit", "verify", "audit.ndjson"]).succeeded().stdout;
    assert!(verified.contains("is intact"), "{verified}");
    let key = verified.lines().find_map(|line| line.trim().strip_prefix("signed by ")).unwrap();
    place.chancery(&["audit", "verify", "audit.ndjson", "--public-key", key]).succeeded();
    place.chancery(&["audit", "verify", "audit.ndjson", "--public-key", &"00".repeat(32)]).failed(1, &[]);
    place.chancery(&["audit", "verify", "audit.ndjson", "--public-key", "abc"]).failed(2, &["64 characters"]);
    let log = read(place.path("audit.ndjson"));
    assert!(log.contains("certificate.issued"), "{log}");
    let changed = log.replacen("certificate.issued", "certificate.Issued", 1);
    fs::write(place.path("changed.ndjson"), changed).unwrap();
    place.chancery(&["audit", "verify", "changed.ndjson"]).failed(1, &["not intact", "line "]);
    let shorter: String = log.lines().skip(1).map(|line| format!("{line}\n")).collect();
    fs::write(place.path("shorter.ndjson"), shorter).unwrap();
    place.chancery(&["audit", "verify", "shorter.ndjson"]).failed(1, &["not intact", "line 1"]);
}

#[test]
fn the_configuration_is_printed_with_its_secrets_masked() {
    let directory = tempfile::tempdir().unwrap();
    let kek = "5a".repeat(32);
    let printed = run(chancery(directory.path(), &["config", "print"])
        .env("CHANCERY_DATABASE_URL", "postgres://chancery:hunter22@db.internal/chancery")
        .env("CHANCERY_KEK", &kek)
        .env("CHANCERY_CLIENT_SECRET", "of-a-command"))
    .succeeded()
    .stdout;
    assert!(printed.contains("db.internal") && !printed.contains("hunter22") && !printed.contains(&kek), "{printed}");
    fs::write(directory.path().join("chancery.toml"), "listen = \"127.0.0.1:9000\"\nlisten_port = 1\n").unwrap();
    run(&mut chancery(directory.path(), &["config", "print", "--config", "chancery.toml"])).failed(2, &["listen_port"]);
    fs::write(directory.path().join("chancery.toml"), "listen = \"0.0.0.0:9000\"\n").unwrap();
    run(&mut chancery(directory.path(), &["serve", "--config", "chancery.toml"])).failed(2, &["behind_proxy"]);
    assert!(!directory.path().join("chancery-data").exists(), "a refused configuration leaves nothing behind");
}

#[test]
fn serve_runs_on_what_the_quickstart_made_and_ends_on_an_interrupt() {
    let directory = tempfile::tempdir().unwrap();
    run(&mut chancery(directory.path(), &["quickstart", "--once", "--listen", "127.0.0.1:0"])).succeeded();
    fs::write(directory.path().join("chancery.toml"), "listen = \"127.0.0.1:0\"\nlog_format = \"json\"\n").unwrap();
    let served = Served::start(&mut chancery(directory.path(), &["serve", "--config", "chancery.toml"]));
    let list = ["cert", "list", "--server", &served.url, "--json"];
    let listed = run(&mut chancery(directory.path(), &list)).succeeded().json();
    assert_eq!(listed["totalCount"], 3);
    assert!(served.interrupt().success());
}

#[test]
fn openapi_prints_the_document_and_help_shows_examples() {
    let directory = tempfile::tempdir().unwrap();
    let document = run(&mut chancery(directory.path(), &["openapi"])).succeeded().json();
    assert!(strings(&document, "openapi").starts_with("3.1"));
    for command in ["cert", "ca", "template", "profile", "serve", "quickstart", "audit"] {
        let help = run(&mut chancery(directory.path(), &[command, "--help"])).succeeded().stdout;
        assert!(help.contains("Examples:"), "{command}");
    }
}
