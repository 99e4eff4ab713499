//! What README and guides tell a newcomer to type is typed here, into a shell, beside a server that the quickstart made.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use chancery_testkit::foreign::{ChallTestSrv, DnsWebhook, Pebble, PebbleOptions};

use crate::program::{Ended, Place, openssl, read, run};

/// Protects records of a test's own DNS server only.
const WEBHOOK_SECRET: &str = "0123456789abcdef0123456789abcdef";

const MARK: &str = "<!-- test";

/// The shell blocks under a mark, in order, and whether the page says that they end in a refusal.
fn blocks(page: &str) -> Vec<(String, bool)> {
    let marked = page.split(MARK).skip(1);
    let block = marked.map(|rest| {
        let (mark, rest) = rest.split_once("-->").expect("a mark that ends");
        let (_, rest) = rest.split_once("```sh\n").expect("a shell block after the mark");
        let (block, _) = rest.split_once("```").expect("a block that ends");
        (block.to_owned(), mark.contains("refused"))
    });
    block.collect()
}

/// Pastes text into one shell that finds `chancery`, where the reader would stand.
fn paste(place: &Place, text: &str) -> Ended {
    let programs = Path::new(env!("CARGO_BIN_EXE_chancery")).parent().expect("a folder");
    let path = format!("{}:{}", programs.display(), std::env::var("PATH").unwrap_or_default());
    let text = text.replace("http://127.0.0.1:8200", &place.served.url);
    let mut shell = Command::new("bash");
    shell.args(["-euo", "pipefail", "-c", &text]).current_dir(place.directory.path()).env("PATH", path);
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("CHANCERY_")) {
        shell.env_remove(name);
    }
    run(&mut shell)
}

fn page(path: &str) -> String {
    read(Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path))
}

#[test]
fn readme_leads_to_certificates_by_hand() {
    let place = Place::ready();
    // The blocks share variables, as they do in the reader's terminal.
    let text: String = blocks(&page("README.md")).into_iter().map(|(block, _)| block).collect();
    let said = paste(&place, &text).succeeded().stdout;
    assert!(read(place.path("issued.json")).contains("-----BEGIN CERTIFICATE-----"));
    assert!(said.contains("\"refused\""), "the dry run of a foreign name is refused: {said}");
    let (_, last) = said.rsplit_once("\"verdict\"").expect("the dry run's answer");
    assert!(last.contains("-----BEGIN CERTIFICATE-----"), "the certificate under the new profile: {last}");
}

#[test]
fn commands_of_the_first_hour_work() {
    let place = Place::ready();
    let blocks = blocks(&page("docs/guides/first-hour.md"));
    assert!(blocks.iter().any(|(_, refused)| *refused));
    for (block, refused) in blocks {
        let ended = paste(&place, &block);
        if refused {
            ended.failed(1, &[]);
        } else {
            ended.succeeded();
        }
    }
    let issued = read(place.path("www/certificate.pem"));
    assert_ne!(issued, read(place.path("renewed/certificate.pem")));
    assert!(place.path("shop/private-key.pem").exists());
    assert!(!place.path("own/private-key.pem").exists(), "the server never had that key");
}

#[test]
fn what_the_guide_revokes_is_seen_in_ocsp_and_in_the_crl() {
    let place = Place::ready();
    // One shell: the blocks share variables, and end with a failure that the page itself turns around.
    let text: String = blocks(&page("docs/guides/revocation.md")).into_iter().map(|(block, _)| block).collect();
    let said = paste(&place, &text).succeeded().stdout;
    let told: Vec<&str> = said.lines().filter_map(|line| line.split_once("certificate.pem: ")).map(|it| it.1).collect();
    assert_eq!(told, ["good", "revoked", "good"], "{said}");
    assert!(said.contains("Reason: keyCompromise"), "{said}");
    assert!(said.contains("already revoked"), "a second revocation is refused: {said}");
    assert!(said.contains("\"revoked\":1"), "the bulk revocation: {said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_of_public_certificates_work_against_pebble() {
    let dns = ChallTestSrv::start().await;
    let webhook = DnsWebhook::start(&dns, WEBHOOK_SECRET).await;
    let pebble = Pebble::start(PebbleOptions { resolver: Some(dns.dns()), ..PebbleOptions::default() }).await;
    let trusted = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(trusted.path(), format!("{}{}", pebble.ca_pem(), webhook.ca_pem())).unwrap();
    let place = Place::set_up(&[
        ("CHANCERY_EGRESS_LOOPBACK_FOR_TESTS", "true"),
        ("CHANCERY_EGRESS_ALLOWED_NETWORKS", "127.0.0.0/8"),
        ("CHANCERY_EGRESS_CA_FILE", trusted.path().to_str().unwrap()),
    ]);
    std::fs::write(place.path("webhook-secret"), WEBHOOK_SECRET).unwrap();
    // What the reader fills in. Pebble's certificates last five years, whatever is asked for.
    let mut text = format!(
        "APP=dns-webhook PROVIDER=webhook EMAIL=pki@acme.com DOMAIN=acme.com DIRECTORY={}\n\
         CREDENTIALS='--set url={} --secret secret=webhook-secret'\n",
        pebble.directory_url(),
        webhook.url()
    );
    for (block, refused) in blocks(&page("docs/guides/public-certificates.md")) {
        let block = block
            .replace("--max-ttl 90d", "--max-ttl 6y")
            .replace("chancery ca create-acme", &format!("chancery ca create-acme --resolver {}", dns.dns()));
        text += &if refused { format!("! {block}") } else { block };
    }
    let said = tokio::task::block_in_place(|| paste(&place, &text)).succeeded().stdout;
    assert!(said.contains("public-www/certificate.pem: OK"), "{said}");
    assert!(said.contains("Pebble Intermediate CA"), "{said}");
    let served = read(place.path("shop.json"));
    assert!(served.contains("-----BEGIN CERTIFICATE-----"), "{served}");
    assert!(webhook.records().await.is_empty(), "nothing is left in the zone");
    let serial = openssl(place.directory.path(), &["x509", "-in", "public-www/certificate.pem", "-noout", "-serial"]);
    let serial = serial.succeeded().stdout.trim().trim_start_matches("serial=").to_lowercase();
    for _ in 0..100 {
        if pebble.certificate_status(&serial).await == "Revoked" {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("Pebble was not told of the revocation: {}", pebble.log());
}

#[test]
fn documented_commands_exist() {
    // Every `chancery …` line in the pages is at least understood up to its first option.
    let place = Place::ready();
    for path in [
        "README.md",
        "docs/guides/first-hour.md",
        "docs/guides/revocation.md",
        "docs/guides/running.md",
        "docs/guides/public-certificates.md",
    ] {
        for line in page(path).lines().filter(|line| line.starts_with("chancery ")) {
            let words = line.split_whitespace().skip(1).take_while(|word| word.chars().all(char::is_alphabetic));
            let words: Vec<&str> = words.take(2).chain(["--help"]).collect();
            place.chancery(&words).succeeded();
        }
    }
}
