//! Certificates that were made elsewhere.

use chancery_model::certificate::{Certificate, CertificateSource, RevocationReason};
use chancery_model::crl::CrlEntry;
use chancery_store::{Change, Conflict, ImportedCertificate};

use crate::world::{DAY, NOW, World};

fn import(certificate: &Certificate, chain: &[Vec<u8>]) -> Change {
    Change::ImportCertificate(Box::new(ImportedCertificate { certificate: certificate.clone(), chain: chain.to_vec() }))
}

/// As it would be imported: nobody here issued it.
fn foreign(world: &World, name: &str, serial: &str) -> Certificate {
    let mut certificate = world.certificate(name, &[name]);
    certificate.source = CertificateSource::Imported;
    certificate.serial_number = serial.to_owned();
    (certificate.ca_id, certificate.ca_certificate_id) = (None, None);
    certificate
}

pub async fn foreign_certificates_share_serial_numbers_but_each_is_there_once(world: &mut World) {
    let (one, other) = (foreign(world, "a.acme.com", "01"), foreign(world, "b.acme.com", "01"));
    let chain = vec![vec![0x30, 1, 2], vec![], vec![0x30; 300]];
    world.commit([import(&one, &chain), import(&other, &[])]).await.unwrap();
    let reader = world.reader();
    assert_eq!(reader.certificate(world.project.id, one.id).await, Ok(Some(one.clone())));
    assert_eq!(reader.foreign_chain(one.id).await, Ok(chain));
    assert_eq!(reader.foreign_chain(other.id).await, Ok(Vec::new()));
    let mut again = one.clone();
    (again.id, again.request_id) = (world.id(), world.id());
    assert_eq!(world.refused([import(&again, &[])]).await, Some(Conflict::Serial));

    world.commit([Change::DeleteCertificate(one.id)]).await.unwrap();
    world.commit([import(&again, &[])]).await.unwrap();
    assert_eq!(reader.certificate(world.project.id, again.id).await, Ok(Some(again)), "it may come back");
}

pub async fn another_project_may_have_the_same_foreign_certificate(world: &mut World) {
    let other = world.other_project("other");
    world.commit([Change::InsertProject(other.clone())]).await.unwrap();
    let one = foreign(world, "a.acme.com", "7f");
    let mut same = one.clone();
    (same.id, same.request_id, same.project_id) = (world.id(), world.id(), other.id);
    world.commit([import(&one, &[]), import(&same, &[])]).await.unwrap();
    assert_eq!(world.reader().certificate(world.project.id, same.id).await, Ok(None));
}

pub async fn an_imported_certificate_of_a_ca_here_takes_its_number_for_ever(world: &mut World) {
    let ca = world.ca("issuing");
    world.commit([Change::InsertCa(Box::new(ca.clone()))]).await.unwrap();
    let mut leaf = foreign(world, "a.acme.com", "0badcafe");
    leaf.ca_id = Some(ca.id);
    world.commit([import(&leaf, &[])]).await.unwrap();
    let mut second = world.certificate("b.acme.com", &[]);
    (second.ca_id, second.serial_number) = (leaf.ca_id, leaf.serial_number.clone());
    assert_eq!(world.refused([Change::InsertCertificate(Box::new(second.clone()))]).await, Some(Conflict::Serial));
    world.commit([Change::DeleteCertificate(leaf.id)]).await.unwrap();
    (leaf.id, leaf.request_id) = (world.id(), world.id());
    assert_eq!(world.refused([import(&leaf, &[])]).await, Some(Conflict::Serial), "deleted here stays known here");
    assert_eq!(world.refused([Change::InsertCertificate(Box::new(second))]).await, Some(Conflict::Serial));
}

pub async fn a_crl_entry_is_found_by_its_serial_number(world: &mut World) {
    let ca = world.ca("issuing");
    world.commit([Change::InsertCa(Box::new(ca.clone()))]).await.unwrap();
    let entry = CrlEntry {
        key_id: ca.key_id,
        partition: 0,
        serial: vec![0x0b, 0xad],
        der: vec![0x30, 0],
        reason: RevocationReason::KeyCompromise,
        not_after: NOW.plus_seconds(DAY),
        recorded_at: NOW,
    };
    world.commit([Change::InsertCrlEntry(entry)]).await.unwrap();
    let reader = world.reader();
    assert_eq!(reader.listed_revocation(ca.key_id, &[0x0b, 0xad]).await, Ok(Some(vec![0x30, 0])));
    assert_eq!(reader.listed_revocation(ca.key_id, &[0x0b]).await, Ok(None));
    assert_eq!(reader.listed_revocation(world.id(), &[0x0b, 0xad]).await, Ok(None), "another key's");
}
