//! `chancery quickstart` on an empty directory, a second time, after accidents, and its printed commands by hand.
//!
//!   root-ca (P-384, 10 years) ── issuing-ca (P-256, 5 years, no CA below) ── host.*, api.*, host.* renewed
//!
//! Verified: OpenSSL accepts every chain strictly; keys fit their certificates; secrets stand in 0600 files and nowhere
//! else; a second run changes no file; every printed command works; Ctrl-C ends with success.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::program::{Ended, Place, assert_key_fits, chancery, mode, openssl, read, run};

const ONCE: &[&str] = &["quickstart", "--once", "--listen", "127.0.0.1:0"];

fn once(directory: &Path, more: &[&str]) -> Ended {
    run(&mut chancery(directory, &[ONCE, more].concat()))
}

/// Every file below a directory, by path.
fn contents(directory: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(contents(&path));
        } else {
            found.insert(path.display().to_string(), fs::read(&path).unwrap());
        }
    }
    found
}

#[test]
fn quickstart_leads_from_nothing_to_certificates_that_openssl_accepts() {
    let directory = tempfile::tempdir().unwrap();
    let started = Instant::now();
    once(directory.path(), &["--domain", "acme.internal"]).succeeded();
    assert!(started.elapsed() < Duration::from_secs(60), "a newcomer would have given up");
    let certificates = directory.path().join("chancery-data/certificates");
    for name in ["host.acme.internal", "api.acme.internal", "host.acme.internal-renewed"] {
        let certificate = format!("{name}/certificate.pem");
        let chain = format!("{name}/chain.pem");
        let verdict = openssl(
            &certificates,
            &[
                "verify",
                "-x509_strict",
                "-purpose",
                "sslserver",
                "-CAfile",
                "root-ca.pem",
                "-untrusted",
                &chain,
                &certificate,
            ],
        );
        assert!(verdict.succeeded().stdout.ends_with(": OK\n"));
        assert_key_fits(&certificates, &certificate, &format!("{name}/private-key.pem"));
        let host = name.trim_end_matches("-renewed");
        let fits = openssl(&certificates, &["x509", "-in", &certificate, "-noout", "-checkhost", host]).succeeded();
        assert!(fits.stdout.contains("does match"), "{}", fits.stdout);
    }
    let serial = |name: &str| {
        openssl(&certificates, &["x509", "-in", &format!("{name}/certificate.pem"), "-noout", "-serial"])
            .succeeded()
            .stdout
    };
    assert_ne!(serial("host.acme.internal"), serial("host.acme.internal-renewed"));
    let root = openssl(&certificates, &["x509", "-in", "root-ca.pem", "-noout", "-text"]).succeeded().stdout;
    assert!(root.contains("CN = Chancery Root acme.internal") && root.contains("NIST CURVE: P-384"), "{root}");
}

#[test]
fn secrets_stand_in_private_files_and_are_never_printed() {
    let directory = tempfile::tempdir().unwrap();
    let ended = once(directory.path(), &[]).succeeded();
    let data = directory.path().join("chancery-data");
    assert_eq!(mode(&data), 0o700);
    for file in ["kek", "admin-password", "credentials.json", "chancery.db"] {
        assert_eq!(mode(&data.join(file)), 0o600, "{file}");
    }
    for name in ["host.example.internal", "api.example.internal", "host.example.internal-renewed"] {
        assert_eq!(mode(&data.join("certificates").join(name).join("private-key.pem")), 0o600, "{name}");
    }
    let credentials: Value = serde_json::from_str(&read(data.join("credentials.json"))).unwrap();
    let secrets = [
        credentials["clientSecret"].as_str().unwrap().to_owned(),
        read(data.join("admin-password")).trim().to_owned(),
        read(data.join("kek")).trim().to_owned(),
    ];
    let printed = format!("{}{}", ended.stdout, ended.stderr);
    for secret in &secrets {
        assert!(secret.len() >= 20 && !printed.contains(secret), "a secret was printed");
    }
    assert!(!printed.contains("PRIVATE KEY"));
}

#[test]
fn a_quickstart_that_goes_on_serving_prints_a_link_that_signs_in() {
    let place = Place::ready();
    let greeting = &place.served.greeting;
    let (before, rest) = greeting.split_once("Open the Web UI: ").expect("the link is printed");
    assert!(before.contains("\nTry: openssl verify "), "after the certificates: {greeting}");
    let (link, rest) = rest.split_once('\n').unwrap();
    assert!(rest.starts_with("(the link signs you in once, within 15 minutes)\n"), "{greeting}");
    let (url, token) = link.split_once("/ui/sign-in/link?token=").unwrap();
    assert!(url.starts_with("http://127.0.0.1:"), "{url}");
    assert!(token.len() == 70 && token.starts_with("chl_"), "{token}");
    assert_eq!(greeting.matches("chl_").count(), 1);
    // What stops has nothing to open.
    let directory = tempfile::tempdir().unwrap();
    let once = once(directory.path(), &[]).succeeded();
    assert!(!once.stdout.contains("Web UI") && !once.stdout.contains("chl_"), "{}", once.stdout);
}

#[test]
fn second_run_finds_everything_and_repeats_nothing() {
    let directory = tempfile::tempdir().unwrap();
    once(directory.path(), &["--domain", "acme.internal"]).succeeded();
    let certificates = directory.path().join("chancery-data/certificates");
    let before = contents(&certificates);
    let second = once(directory.path(), &[]).succeeded();
    assert_eq!(contents(&certificates), before);
    let (steps, _) = second.stdout.split_once("Certificates, keys").unwrap();
    assert!(!steps.contains(" created ") && !steps.contains(" issued "), "{steps}");
    assert_eq!(steps.matches(" found ").count(), 9, "{steps}");
}

#[test]
fn a_data_directory_keeps_the_domain_it_was_made_for() {
    let directory = tempfile::tempdir().unwrap();
    once(directory.path(), &["--domain", "acme.internal"]).succeeded();
    once(directory.path(), &["--domain", "other.internal"]).failed(2, &["was set up for acme.internal"]);
    let fresh = tempfile::tempdir().unwrap();
    once(fresh.path(), &["--domain", "not a domain"]).failed(2, &["is not a domain"]);
}

#[test]
fn what_an_accident_took_away_is_made_anew() {
    let directory = tempfile::tempdir().unwrap();
    once(directory.path(), &[]).succeeded();
    let data = directory.path().join("chancery-data");
    let first = read(data.join("credentials.json"));
    let host = data.join("certificates/host.example.internal");
    let certificate = read(host.join("certificate.pem"));
    // As if the run had been killed before the secret was written down, and before the renewal was.
    fs::remove_file(data.join("credentials.json")).unwrap();
    fs::remove_dir_all(data.join("certificates/host.example.internal-renewed")).unwrap();
    let second = once(directory.path(), &[]).succeeded();
    assert_ne!(read(data.join("credentials.json")), first);
    assert_eq!(read(host.join("certificate.pem")), certificate);
    assert!(data.join("certificates/host.example.internal-renewed/private-key.pem").is_file());
    assert!(second.stdout.contains("found   root-ca"), "{}", second.stdout);
}

#[test]
fn the_printed_checks_of_revocation_work() {
    let place = Place::ready();
    let checks: Vec<&str> = place.served.greeting.lines().filter(|line| line.starts_with("  openssl ")).collect();
    let [crl, ocsp] = checks.as_slice() else { panic!("not two checks: {}", place.served.greeting) };
    let shell = |command: &str| run(Command::new("bash").args(["-c", command]).current_dir(place.directory.path()));
    assert!(shell(crl).succeeded().stdout.ends_with(": OK\n"));
    let answer = shell(ocsp).succeeded();
    assert!(answer.stdout.contains(": good") && answer.stderr.contains("Response verify OK"), "{answer:?}");
    let certificate = "chancery-data/certificates/host.example.internal/certificate.pem";
    let serial = openssl(place.directory.path(), &["x509", "-in", certificate, "-noout", "-serial"]).succeeded().stdout;
    let serial = serial.trim().trim_start_matches("serial=");
    place.chancery(&["cert", "revoke", serial, "--reason", "superseded"]).succeeded();
    assert!(shell(ocsp).succeeded().stdout.contains(": revoked"));
}

#[test]
fn printed_commands_work_when_pasted_into_a_shell() {
    let place = Place::ready();
    let (_, rest) = place.served.greeting.split_once("# ---- begin commands ----\n").unwrap();
    let (commands, _) = rest.split_once("# ---- end commands ----").unwrap();
    let desk = tempfile::tempdir().unwrap();
    let shell =
        run(Command::new("bash").args(["-euo", "pipefail", "-c", commands]).current_dir(desk.path())).succeeded();
    let issued: Value = serde_json::from_str(&read(desk.path().join("issued.json"))).unwrap();
    assert!(issued["certificate"]["privateKey"].as_str().unwrap().contains("PRIVATE KEY"));
    assert_eq!(mode(&desk.path().join("issued.json")), 0o600);
    let renewed: Value = serde_json::from_str(&read(desk.path().join("renewed.json"))).unwrap();
    assert_ne!(renewed["serialNumber"], issued["certificate"]["serialNumber"]);
    let answers: Vec<Value> =
        serde_json::Deserializer::from_str(&shell.stdout).into_iter::<Value>().collect::<Result<_, _>>().unwrap();
    let [own, self_signed, evaluated, bundle, profile] = answers.as_slice() else {
        panic!("not five answers: {}", shell.stdout)
    };
    assert_eq!(own["status"], "issued");
    assert!(own["certificate"]["privateKey"].is_null(), "the server never saw that key");
    assert_eq!(self_signed["certificate"]["issuingCaCertificate"], "");
    assert_eq!(evaluated["verdict"], "refused");
    assert!(bundle["privateKey"].as_str().unwrap().contains("PRIVATE KEY"));
    assert_eq!(profile["certificateProfile"]["slug"], "short-lived");
    assert!(place.served.interrupt().success());
}
