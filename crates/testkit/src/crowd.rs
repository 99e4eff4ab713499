//! An inventory of very many certificates, written at once into the database of a server that is stopped.
//!
//! Each is a copy of a certificate that the server issued itself, with names, an end, a serial number and a fingerprint of
//! its own: what indexes and counters see is what years of issuance would have made, without the years.

#![expect(clippy::panic, reason = "a fixture that cannot be set up is a failed test")]

use std::path::Path;

use chancery_model::certificate::{Certificate, CertificateDescription, RenewalState};
use chancery_model::random::SeededRandomness;
use chancery_model::{CertificateId, Randomness as _};
use chancery_pkix::{AttributeType, GeneralNameKind};
use chancery_store::{Change, Location, Store, Write};

/// Certificates in one transaction.
const BATCH: u32 = 1_000;
/// Names are spread over so many teams.
const TEAMS: u32 = 200;
const DAY: i64 = 86_400;

/// The name of the certificate with this number.
#[must_use]
pub fn host(number: u32) -> String {
    format!("host-{number}.team-{}.acme.test", number % TEAMS)
}

/// Writes `count` certificates like this one into the embedded database of a stopped server's data directory.
pub async fn add_crowd(data_dir: &Path, like: &Certificate, count: u32) {
    let location = Location::Sqlite { path: data_dir.join("chancery.db") };
    let store = match Store::open(&location, "crowd").await {
        Ok(store) => store,
        Err(error) => panic!("the database of the stopped server: {error}"),
    };
    let random = SeededRandomness::new(77);
    let mut number = 0;
    while number < count {
        let mut write = Write::default();
        for _ in 0..BATCH.min(count - number) {
            write = write.with(Change::InsertCertificate(Box::new(another(like, number, &random))));
            number += 1;
        }
        if let Err(error) = store.commit(write).await {
            panic!("certificate {number} of the crowd: {error}");
        }
    }
    store.close().await;
}

fn another(like: &Certificate, number: u32, random: &SeededRandomness) -> Certificate {
    let name = host(number);
    let mut bytes = [0; 48];
    random.fill(&mut bytes);
    let mut fingerprint = [0; 32];
    random.fill(&mut fingerprint);
    // Positive, without a leading zero octet (RFC 5280 §4.1.2.2).
    let serial: String = bytes.iter().take(16).map(|byte| format!("{:02x}", (byte & 0x7f) | 0x40)).collect();
    let mut description: CertificateDescription = like.description.clone();
    for attribute in &mut description.subject {
        if attribute.kind == AttributeType::CommonName {
            attribute.value.clone_from(&name);
        }
    }
    description.sans = vec![(GeneralNameKind::DnsName, name)];
    let lifetime = DAY * i64::from(30 + number % 300);
    Certificate {
        id: CertificateId::generate(like.created_at, random),
        request_id: CertificateId::generate(like.created_at, random).as_uuid().into(),
        serial_number: serial,
        fingerprint_sha256: fingerprint,
        not_after: like.not_before.plus_seconds(lifetime - 1),
        ttl: lifetime,
        description,
        key_id: None,
        revocation: None,
        renewal: RenewalState::default(),
        ..like.clone()
    }
}
