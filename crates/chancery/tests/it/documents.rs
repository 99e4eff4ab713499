//! What README and guides tell a newcomer to type is typed here, into a shell, beside a server that the quickstart made.

use std::path::Path;
use std::process::Command;

use crate::program::{Ended, Place, read, run};

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

#[test]
fn documented_commands_exist() {
    // Every `chancery …` line in the pages is at least understood up to its first option.
    let place = Place::ready();
    for path in ["README.md", "docs/guides/first-hour.md", "docs/guides/revocation.md", "docs/guides/running.md"] {
        for line in page(path).lines().filter(|line| line.starts_with("chancery ")) {
            let words = line.split_whitespace().skip(1).take_while(|word| word.chars().all(char::is_alphabetic));
            let words: Vec<&str> = words.take(2).chain(["--help"]).collect();
            place.chancery(&words).succeeded();
        }
    }
}
