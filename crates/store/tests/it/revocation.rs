//! Revocation, hold and release; CRLs, their entries, and what OCSP asks.

use chancery_model::authority::{CaCertificate, CertificationAuthority};
use chancery_model::certificate::{Certificate, Revocation, RevocationReason};
use chancery_model::crl::{Crl, CrlEntry, PublishedCrl};
use chancery_model::job::{JobKey, JobKind, JobLane, NewJob};
use chancery_model::ocsp::OcspResponder;
use chancery_model::{CaCertificateId, KeyId, Timestamp};
use chancery_store::{Change, Conflict, CrlPublication, InventoryStatistics, SerialStatus, Write};

use crate::group::{insert, together};
use crate::world::{DAY, NOW, World};

const HOLD: RevocationReason = RevocationReason::CertificateHold;

fn at(seconds: i64) -> Timestamp {
    NOW.plus_seconds(seconds)
}

fn revoked(seconds: i64, reason: RevocationReason) -> Revocation {
    Revocation { at: at(seconds), reason }
}

fn entry(key: KeyId, it: &Certificate, reason: RevocationReason, recorded: i64) -> CrlEntry {
    let serial = hex::decode(&it.serial_number).unwrap();
    let der = [&[reason.code()], serial.as_slice()].concat();
    CrlEntry {
        key_id: key,
        partition: it.crl_partition,
        serial,
        der,
        reason,
        not_after: it.not_after,
        recorded_at: at(recorded),
    }
}

/// A root with its certificate.
async fn root(world: &World) -> (CertificationAuthority, CaCertificateId) {
    let ca = world.ca("root");
    let certificate = world.ca_certificate(&ca, 1);
    let id = certificate.id;
    let insert_ca = [Change::InsertCa(Box::new(ca.clone())), Change::InsertCaCertificate(Box::new(certificate))];
    world.commit(insert_ca).await.unwrap();
    (ca, id)
}

fn issued(world: &World, ca: &CertificationAuthority, signer: CaCertificateId) -> Certificate {
    let mut it = world.certificate("leaf", &["leaf.acme.com"]);
    (it.ca_id, it.ca_certificate_id) = (Some(ca.id), Some(signer));
    it
}

async fn stored(world: &World, it: &Certificate) -> Certificate {
    world.reader().certificate(world.project.id, it.id).await.unwrap().unwrap()
}

async fn list(world: &World, key: KeyId) -> (Vec<u8>, u64) {
    let entries = world.reader().crl_entries(key, None, NOW).await.unwrap();
    (entries.der, entries.count)
}

pub async fn a_certificate_is_revoked_once_and_a_hold_can_end_both_ways(world: &mut World) {
    let (ca, signer) = root(world).await;
    let key = ca.key_id;
    let mut it = issued(world, &ca, signer);
    it.renewal.due_at = Some(at(DAY));
    world.commit([insert(&it)]).await.unwrap();
    let revoke = |seconds, reason, held| Change::RevokeCertificate {
        id: it.id,
        revocation: revoked(seconds, reason),
        held,
        entry: Some(entry(key, &it, reason, seconds)),
    };
    let release = |seconds| Change::ReleaseCertificate { id: it.id, at: at(seconds), key_id: Some(key), partition: 0 };
    assert_eq!(world.refused([release(1)]).await, Some(Conflict::NotHeld));
    assert_eq!(world.refused([revoke(1, HOLD, true)]).await, Some(Conflict::AlreadyRevoked), "not on hold yet");
    world.commit([revoke(1, HOLD, false)]).await.unwrap();
    let held = stored(world, &it).await;
    assert_eq!((held.revocation, held.renewal.due_at, held.updated_at), (Some(revoked(1, HOLD)), None, at(1)));
    let renewal = JobKey { kind: JobKind::RenewCertificate, object: it.id.as_uuid() };
    assert_eq!(world.reader().job(renewal).await, Ok(None));
    assert_eq!(list(world, key).await, (entry(key, &it, HOLD, 1).der, 1));
    assert_eq!(
        world.refused([revoke(2, RevocationReason::KeyCompromise, false)]).await,
        Some(Conflict::AlreadyRevoked)
    );
    world.commit([release(3)]).await.unwrap();
    assert_eq!(stored(world, &it).await.revocation, None);
    assert_eq!(list(world, key).await, (vec![], 0));
    let changes = world.reader().crl_changes(key, None, at(3), NOW).await.unwrap();
    assert_eq!(changes.iter().map(|it| (it.released, it.at)).collect::<Vec<_>>(), [(true, at(3))]);
    assert_eq!(world.refused([release(4)]).await, Some(Conflict::NotHeld));
    world.commit([revoke(5, HOLD, false)]).await.unwrap();
    world.commit([revoke(6, RevocationReason::KeyCompromise, true)]).await.unwrap();
    assert_eq!(stored(world, &it).await.revocation, Some(revoked(6, RevocationReason::KeyCompromise)));
    let one = entry(key, &it, RevocationReason::KeyCompromise, 6).der;
    assert_eq!(list(world, key).await, (one, 1), "one entry, back on the list");
    let changes = world.reader().crl_changes(key, None, at(6), NOW).await.unwrap();
    assert_eq!(changes.iter().map(|it| (it.released, it.at)).collect::<Vec<_>>(), [(false, at(6))]);
    assert_eq!(world.refused([release(7)]).await, Some(Conflict::NotHeld), "final");
    assert_eq!(world.refused([revoke(7, HOLD, true)]).await, Some(Conflict::AlreadyRevoked));
    world.commit([Change::DeleteCertificate(it.id)]).await.unwrap();
    assert_eq!(world.refused([release(8)]).await, Some(Conflict::NotHeld), "deleted, and final all the same");
    let gone = Change::RevokeCertificate { id: world.id(), revocation: revoked(1, HOLD), held: false, entry: None };
    assert_eq!(world.refused([gone]).await, Some(Conflict::Missing));
}

pub async fn a_deleted_certificate_is_found_and_revoked(world: &mut World) {
    let (ca, signer) = root(world).await;
    let (it, listed) = (issued(world, &ca, signer), issued(world, &ca, signer));
    world.commit([insert(&it), insert(&listed), Change::DeleteCertificate(it.id)]).await.unwrap();
    let reader = world.reader();
    let found = async |project, it: &Certificate| {
        [
            reader.deleted_certificate(project, it.id).await.unwrap(),
            reader.deleted_certificate_by_serial(project, &it.serial_number.to_uppercase()).await.unwrap(),
            reader.deleted_certificate_by_fingerprint(project, &it.fingerprint_sha256).await.unwrap(),
        ]
    };
    let other = world.other_project("other");
    world.commit([Change::InsertProject(other.clone())]).await.unwrap();
    assert_eq!(found(world.project.id, &it).await, [0; 3].map(|_| Some(it.clone())));
    assert_eq!(found(other.id, &it).await, [None, None, None]);
    assert_eq!(found(world.project.id, &listed).await, [None, None, None], "it is in the inventory");
    assert_eq!(reader.deleted_certificate_by_serial(world.project.id, "no number").await, Ok(None));

    let figures = async || reader.statistics(world.project.id, NOW).await.unwrap();
    let before = figures().await;
    assert_eq!((before.total, before.active, before.revoked, before.revoked_by_day.len()), (1, 1, 0, 0));
    let revoke = |seconds, reason, held| Change::RevokeCertificate {
        id: it.id,
        revocation: revoked(seconds, reason),
        held,
        entry: Some(entry(ca.key_id, &it, reason, seconds)),
    };
    let release =
        |seconds| Change::ReleaseCertificate { id: it.id, at: at(seconds), key_id: Some(ca.key_id), partition: 0 };
    world.commit([revoke(1, HOLD, false)]).await.unwrap();
    world.commit([release(2)]).await.unwrap();
    assert_eq!(list(world, ca.key_id).await, (vec![], 0));
    world.commit([revoke(3, HOLD, false)]).await.unwrap();
    world.commit([revoke(4, RevocationReason::KeyCompromise, true)]).await.unwrap();
    assert_eq!(world.refused([revoke(5, RevocationReason::Superseded, false)]).await, Some(Conflict::AlreadyRevoked));
    let stored = reader.deleted_certificate(world.project.id, it.id).await.unwrap().unwrap();
    assert_eq!(stored.revocation, Some(revoked(4, RevocationReason::KeyCompromise)));
    let serial = hex::decode(&it.serial_number).unwrap();
    let status = reader.serial_status(ca.id, &serial).await.unwrap().unwrap();
    assert_eq!(status.revocation, stored.revocation);
    assert_eq!(list(world, ca.key_id).await, (entry(ca.key_id, &it, RevocationReason::KeyCompromise, 4).der, 1));
    let day = NOW.as_millis() / 86_400_000;
    // Two revocations happened; of the certificates in the inventory nothing changed.
    let expected = InventoryStatistics { revoked_by_day: vec![(day, 2)], ..before };
    assert_eq!(figures().await, expected);
    let gone = Change::CleanUpCertificates { certificates: vec![stored] };
    world.commit([gone]).await.unwrap();
    assert_eq!(figures().await, expected);
}

pub async fn of_many_revocations_at_once_one_counts(world: &mut World) {
    let it = world.certificate("a", &[]);
    world.commit([insert(&it)]).await.unwrap();
    let write = |index: i64| {
        let revocation = revoked(index, RevocationReason::Superseded);
        Write::default().with(Change::RevokeCertificate { id: it.id, revocation, held: false, entry: None })
    };
    let answers = together(world, (0..10).map(write).collect()).await;
    let granted: Vec<_> = (0i64..).zip(&answers).filter(|(_, it)| it.is_ok()).map(|(index, _)| index).collect();
    assert_eq!(granted.len(), 1);
    let refused = Some(Conflict::AlreadyRevoked);
    assert!(answers.iter().filter_map(|it| it.as_ref().err()).all(|it| it.conflict() == refused));
    assert_eq!(stored(world, &it).await.revocation.map(|it| it.at), Some(at(granted[0])));
    let figures = world.reader().statistics(world.project.id, NOW).await.unwrap();
    assert_eq!((figures.total, figures.active, figures.revoked), (1, 0, 1));
}

fn crl(world: &World, ca: &CertificationAuthority, partition: u32) -> Crl {
    Crl {
        id: world.id(),
        project_id: world.project.id,
        ca_id: ca.id,
        key_id: ca.key_id,
        partition,
        number: 0,
        base_number: 0,
        base_this_update: None,
        previous_base: None,
        complete: None,
        delta: None,
        created_at: NOW,
    }
}

fn published(number: i64) -> PublishedCrl {
    PublishedCrl { number, this_update: at(number), next_update: at(DAY * 7), entries: 3, size: 500 }
}

pub async fn crls_are_made_once_and_published_from_the_expected_number(world: &mut World) {
    let (ca, _) = root(world).await;
    let (first, second) = (crl(world, &ca, 0), crl(world, &ca, 0));
    let writes = [&first, &second].map(|it| Write::default().with(Change::InsertCrl(Box::new(it.clone()))));
    let version = world.reader().config_version().await.unwrap();
    assert_eq!(together(world, writes.to_vec()).await, [Ok(()), Ok(())]);
    assert!(world.reader().config_version().await.unwrap() > version);
    let reader = world.reader();
    let made = reader.crls_of_key(ca.key_id).await.unwrap();
    assert_eq!(made.len(), 1);
    let (kept, lost) = if made[0].id == first.id { (&first, &second) } else { (&second, &first) };
    assert_eq!(made[0], *kept);
    let job = |id: chancery_model::CrlId| JobKey { kind: JobKind::PublishCrl, object: id.as_uuid() };
    let due = reader.due_jobs(NOW, JobLane::Status, 10).await.unwrap();
    assert_eq!(due.iter().map(|it| (it.key, it.due_at)).collect::<Vec<_>>(), [(job(kept.id), NOW)]);
    assert_eq!(reader.job(job(lost.id)).await, Ok(None));
    let part = crl(world, &ca, 2);
    world.commit([Change::InsertCrl(Box::new(part.clone()))]).await.unwrap();
    assert_eq!(reader.crls_of(ca.id).await.unwrap(), [kept.clone(), part.clone()]);
    assert_eq!(reader.all_crls().await.unwrap(), [kept.clone(), part]);
    assert_eq!(reader.crl_body(kept.id, false).await, Ok(None));

    let publish = |state: &Crl, expected_number, complete: Option<&[u8]>, delta: Option<&[u8]>| {
        Change::PublishCrl(Box::new(CrlPublication {
            crl: state.clone(),
            expected_number,
            complete_der: complete.map(<[u8]>::to_vec),
            delta_der: delta.map(<[u8]>::to_vec),
            drop_ended_before: NOW,
            drop_released_before: NOW,
        }))
    };
    let mut state = Crl { number: 1, base_number: 1, complete: Some(published(1)), ..kept.clone() };
    (state.base_this_update, state.previous_base) = (Some(at(1)), Some(at(0)));
    world.commit([publish(&state, 0, Some(b"one"), None)]).await.unwrap();
    assert_eq!(reader.crl(kept.id).await, Ok(Some(state.clone())));
    assert_eq!(reader.crl_body(kept.id, false).await, Ok(Some((1, b"one".to_vec()))));
    assert_eq!(reader.crl_body(kept.id, true).await, Ok(None));
    assert_eq!(world.refused([publish(&state, 0, Some(b"other"), None)]).await, Some(Conflict::Stale));
    state = Crl { number: 2, delta: Some(published(2)), ..state };
    world.commit([publish(&state, 1, None, Some(b"delta"))]).await.unwrap();
    assert_eq!(reader.crl_body(kept.id, false).await, Ok(Some((1, b"one".to_vec()))), "the complete one stays");
    assert_eq!(reader.crl_body(kept.id, true).await, Ok(Some((2, b"delta".to_vec()))));
    state = Crl { number: 3, complete: Some(published(3)), delta: None, ..state };
    world.commit([publish(&state, 2, Some(b"three"), None)]).await.unwrap();
    assert_eq!(reader.crl_body(kept.id, false).await, Ok(Some((3, b"three".to_vec()))));
    assert_eq!(reader.crl_body(kept.id, true).await, Ok(None), "no delta CRLs any more");
    assert_eq!(world.refused([publish(lost, 0, None, None)]).await, Some(Conflict::Missing));
}

pub async fn entries_leave_when_a_publication_lets_them_go(world: &mut World) {
    let (ca, signer) = root(world).await;
    let key = ca.key_id;
    let mut made = vec![];
    for (end, partition) in [(10, 0), (10, 1), (100, 0), (100, 1), (100, 2)] {
        let mut it = issued(world, &ca, signer);
        (it.not_after, it.crl_partition) = (at(end), partition);
        let revoke = Change::RevokeCertificate {
            id: it.id,
            revocation: revoked(0, HOLD),
            held: false,
            entry: Some(entry(key, &it, HOLD, 5)),
        };
        world.commit([insert(&it), revoke]).await.unwrap();
        made.push(it);
    }
    let count =
        async |partition, keep_from| world.reader().crl_entries(key, partition, at(keep_from)).await.unwrap().count;
    assert_eq!((count(None, 0).await, count(Some(0), 0).await, count(Some(1), 0).await), (5, 2, 2));
    assert_eq!((count(None, 50).await, count(Some(1), 50).await, count(Some(9), 0).await), (3, 1, 0));
    let release = Change::ReleaseCertificate { id: made[4].id, at: at(20), key_id: Some(key), partition: 2 };
    world.commit([release]).await.unwrap();
    let (whole, part) = (crl(world, &ca, 0), crl(world, &ca, 1));
    world.commit([&whole, &part].map(|it| Change::InsertCrl(Box::new(it.clone())))).await.unwrap();
    let publish = |state: &Crl, ended, released| {
        Change::PublishCrl(Box::new(CrlPublication {
            crl: Crl { number: 1, ..state.clone() },
            expected_number: 0,
            complete_der: None,
            delta_der: None,
            drop_ended_before: at(ended),
            drop_released_before: at(released),
        }))
    };
    let changes = async || world.reader().crl_changes(key, None, at(0), at(0)).await.unwrap().len();
    world.commit([publish(&part, 11, 21)]).await.unwrap();
    assert_eq!((count(None, 0).await, count(Some(1), 0).await, changes().await), (3, 1, 4), "of its partition only");
    world.commit([publish(&whole, 10, 20)]).await.unwrap();
    assert_eq!((count(None, 0).await, changes().await), (3, 4), "neither is past yet");
    let again = CrlPublication {
        crl: Crl { number: 2, ..whole },
        expected_number: 1,
        complete_der: None,
        delta_der: None,
        drop_ended_before: at(11),
        drop_released_before: at(21),
    };
    world.commit([Change::PublishCrl(Box::new(again))]).await.unwrap();
    assert_eq!((count(None, 0).await, changes().await), (2, 2));
}

pub async fn twenty_thousand_entries_come_in_the_order_of_the_list(world: &mut World) {
    let (key, other): (KeyId, KeyId) = (world.id(), world.id());
    let made: Vec<CrlEntry> = (0..20_000u32)
        .map(|index| {
            // Spread, so that they are not written in order.
            let serial = index.wrapping_mul(2_654_435_761).to_be_bytes().to_vec();
            CrlEntry {
                key_id: if index % 100 == 0 { other } else { key },
                partition: 1 + index % 3,
                der: [b"<", serial.as_slice(), b">"].concat(),
                serial,
                reason: RevocationReason::Superseded,
                not_after: at(i64::from(index % 7) * DAY),
                recorded_at: at(i64::from(index)),
            }
        })
        .collect();
    let subject = world.ca_certificate(&world.ca("listed"), 1);
    world.commit([Change::InsertCaCertificate(Box::new(subject.clone()))]).await.unwrap();
    for some in made.chunks(2_000) {
        let mut write = Write::default();
        for it in some {
            // A hold that is made, and taken back, so that only the entry is left.
            write.changes.push(Change::RevokeCaCertificate {
                id: subject.id,
                revocation: revoked(0, HOLD),
                held: false,
                entry: it.clone(),
            });
            let (id, key_id) = (subject.id, world.id());
            write.changes.push(Change::ReleaseCaCertificate { id, at: NOW, key_id, partition: 0 });
        }
        world.store().commit(write).await.unwrap();
    }
    for (partition, keep) in [(None, 0), (Some(2), 0), (None, 5 * DAY)] {
        let mut expected: Vec<_> = made
            .iter()
            .filter(|it| it.key_id == key && it.not_after >= at(keep))
            .filter(|it| partition.is_none_or(|partition| it.partition == partition))
            .collect();
        expected.sort_by_key(|it| (it.partition, it.serial.clone()));
        let der: Vec<u8> = expected.iter().flat_map(|it| it.der.clone()).collect();
        let found = world.reader().crl_entries(key, partition, at(keep)).await.unwrap();
        assert_eq!(found.count, expected.len() as u64);
        assert!(found.der == der, "the order of the list");
        let changed = world.reader().crl_changes(key, partition, at(19_000), at(keep)).await.unwrap();
        let expected: Vec<_> = expected.iter().filter(|it| it.recorded_at >= at(19_000)).map(|it| &it.serial).collect();
        assert_eq!(changed.iter().map(|it| &it.serial).collect::<Vec<_>>(), expected);
    }
}

/// A root, a CA below it, and a certificate of the root.
struct Tree {
    ca: CertificationAuthority,
    signer: CaCertificateId,
    below: CertificationAuthority,
    subordinate: CaCertificate,
    leaf: Certificate,
}

impl Tree {
    async fn planted(world: &World) -> Self {
        let (ca, signer) = root(world).await;
        let below = world.ca("below");
        let mut subordinate = world.ca_certificate(&below, 1);
        (subordinate.parent_ca_id, subordinate.parent_certificate_id) = (Some(ca.id), Some(signer));
        subordinate.chain = vec![vec![1]];
        let leaf = issued(world, &ca, signer);
        world.commit([Change::InsertCa(Box::new(below.clone()))]).await.unwrap();
        world.commit([Change::InsertCaCertificate(Box::new(subordinate.clone())), insert(&leaf)]).await.unwrap();
        Self { ca, signer, below, subordinate, leaf }
    }

    async fn status(&self, world: &World, ca: &CertificationAuthority, serial: &str) -> Option<SerialStatus> {
        world.reader().serial_status(ca.id, &hex::decode(serial).unwrap()).await.unwrap()
    }

    const fn good(&self) -> Option<SerialStatus> {
        Some(SerialStatus { ca_certificate_id: Some(self.signer), revocation: None })
    }

    fn bad(&self, seconds: i64, reason: RevocationReason) -> Option<SerialStatus> {
        Some(SerialStatus { ca_certificate_id: Some(self.signer), revocation: Some(revoked(seconds, reason)) })
    }

    fn revoke_below(&self, seconds: i64, reason: RevocationReason, held: bool) -> Change {
        let entry = CrlEntry {
            key_id: self.ca.key_id,
            partition: 0,
            serial: hex::decode(&self.subordinate.serial_number).unwrap(),
            der: vec![9],
            reason,
            not_after: self.subordinate.not_after,
            recorded_at: at(seconds),
        };
        let revocation = revoked(seconds, reason);
        Change::RevokeCaCertificate { id: self.subordinate.id, revocation, held, entry }
    }
}

pub async fn the_status_of_a_serial_number_follows_its_certificate(world: &mut World) {
    let it = Tree::planted(world).await;
    let (ca, below, leaf, subordinate) = (&it.ca, &it.below, &it.leaf.serial_number, &it.subordinate.serial_number);
    let itself = world.reader().ca_certificate(it.signer).await.unwrap().unwrap().serial_number;
    for (ca, serial, expected) in [
        (ca, leaf.as_str(), it.good()),
        (ca, subordinate, it.good()),
        // A root has signed itself.
        (ca, &itself, it.good()),
        (below, leaf, None),
        (below, subordinate, None),
        (ca, "00", None),
    ] {
        assert_eq!(it.status(world, ca, serial).await, expected, "{} {serial}", ca.name);
    }
    let revocation = revoked(4, RevocationReason::KeyCompromise);
    world.commit([Change::RevokeCertificate { id: it.leaf.id, revocation, held: false, entry: None }]).await.unwrap();
    let bad = it.bad(4, RevocationReason::KeyCompromise);
    assert_eq!(it.status(world, ca, leaf).await, bad);
    world.commit([Change::DeleteCertificate(it.leaf.id)]).await.unwrap();
    assert_eq!(it.status(world, ca, leaf).await, bad, "deleted, not forgotten");
    world.commit([it.revoke_below(7, RevocationReason::CaCompromise, false)]).await.unwrap();
    // The CA may go; what it has signed is still asked about.
    world.commit([Change::DeleteCa(below.id)]).await.unwrap();
    world.commit([Change::DeleteCa(ca.id)]).await.unwrap();
    assert_eq!(it.status(world, ca, leaf).await, bad);
    assert_eq!(it.status(world, ca, subordinate).await, it.bad(7, RevocationReason::CaCompromise));
}

pub async fn a_ca_certificate_is_revoked_held_and_released(world: &mut World) {
    let it = Tree::planted(world).await;
    let serial = &it.subordinate.serial_number;
    let id = it.subordinate.id;
    let release =
        |id, seconds| Change::ReleaseCaCertificate { id, at: at(seconds), key_id: it.ca.key_id, partition: 0 };
    assert_eq!(world.refused([release(id, 5)]).await, Some(Conflict::NotHeld));
    assert_eq!(world.refused([release(world.id(), 5)]).await, Some(Conflict::Missing));
    let version = world.reader().config_version().await.unwrap();
    world.commit([it.revoke_below(5, HOLD, false)]).await.unwrap();
    assert!(world.reader().config_version().await.unwrap() > version, "issuance must know");
    assert_eq!(it.status(world, &it.ca, serial).await, it.bad(5, HOLD));
    assert_eq!(list(world, it.ca.key_id).await, (vec![9], 1));
    world.commit([release(id, 6)]).await.unwrap();
    assert_eq!(it.status(world, &it.ca, serial).await, it.good());
    assert_eq!(list(world, it.ca.key_id).await, (vec![], 0));
    world.commit([it.revoke_below(7, RevocationReason::CaCompromise, false)]).await.unwrap();
    assert_eq!(world.refused([it.revoke_below(8, HOLD, true)]).await, Some(Conflict::AlreadyRevoked));
    let stored = world.reader().ca_certificate(id).await.unwrap().unwrap();
    assert_eq!(stored.revocation, Some(revoked(7, RevocationReason::CaCompromise)));
}

pub async fn ca_certificates_are_found_by_their_serial_numbers(world: &mut World) {
    let it = Tree::planted(world).await;
    let itself = world.reader().ca_certificate(it.signer).await.unwrap().unwrap().serial_number;
    let (reader, parent) = (world.reader(), Some(it.ca.id));
    for (parent, serial, expected) in [
        (None, itself.to_uppercase().as_str(), Some(it.signer)),
        (parent, &itself, None),
        (parent, &it.subordinate.serial_number, Some(it.subordinate.id)),
        (None, &it.subordinate.serial_number, None),
        (parent, "no hex", None),
    ] {
        let found = reader.ca_certificate_by_serial(world.project.id, parent, serial).await.unwrap();
        assert_eq!(found.map(|it| it.id), expected, "{serial}");
    }
    let other = world.other_project("other");
    assert_eq!(reader.ca_certificate_by_serial(other.id, None, &itself).await, Ok(None));
}

/// A certificate signed for a CA here stands in both places.
pub async fn a_certificate_in_both_places_is_revoked_by_either(world: &mut World) {
    let (ca, signer) = root(world).await;
    let below = world.ca("below");
    world.commit([Change::InsertCa(Box::new(below.clone()))]).await.unwrap();
    let mut leaf = issued(world, &ca, signer);
    leaf.description.is_ca = true;
    let mut same = world.ca_certificate(&below, 1);
    (same.serial_number, same.der, same.chain) = (leaf.serial_number.clone(), leaf.der.clone(), vec![vec![1]]);
    (same.parent_ca_id, same.parent_certificate_id) = (Some(ca.id), Some(signer));
    world.commit([insert(&leaf)]).await.unwrap();
    world.commit([Change::InsertCaCertificate(Box::new(same.clone()))]).await.unwrap();
    let serial = hex::decode(&leaf.serial_number).unwrap();
    let status = async || world.reader().serial_status(ca.id, &serial).await.unwrap().unwrap();
    assert_eq!(status().await, SerialStatus { ca_certificate_id: Some(signer), revocation: None });
    let mut listed = entry(ca.key_id, &leaf, HOLD, 1);
    listed.der = vec![7];
    let revocation = revoked(1, HOLD);
    world.commit([Change::RevokeCaCertificate { id: same.id, revocation, held: false, entry: listed }]).await.unwrap();
    assert_eq!(status().await.revocation, Some(revocation));
    let release = Change::ReleaseCaCertificate { id: same.id, at: at(2), key_id: ca.key_id, partition: 0 };
    world.commit([release]).await.unwrap();
    assert_eq!(status().await.revocation, None);
    let revocation = revoked(3, RevocationReason::KeyCompromise);
    world.commit([Change::RevokeCertificate { id: leaf.id, revocation, held: false, entry: None }]).await.unwrap();
    assert_eq!(status().await.revocation, Some(revocation));
}

pub async fn responders_and_ca_certificates_are_found_by_key(world: &mut World) {
    let (ca, first) = root(world).await;
    let mut second = world.ca_certificate(&ca, 2);
    second.key_id = ca.key_id;
    let mut third = world.ca_certificate(&ca, 3);
    third.key_id = world.id();
    for it in [&second, &third] {
        world.commit([Change::InsertCaCertificate(Box::new(it.clone()))]).await.unwrap();
    }
    let reader = world.reader();
    let newest = async |key| reader.ca_certificate_of_key(key).await.unwrap().map(|it| it.id);
    assert_eq!((newest(ca.key_id).await, newest(third.key_id).await), (Some(second.id), Some(third.id)));
    assert_ne!(first, second.id);
    assert_eq!(newest(world.id()).await, None);
    let responder = OcspResponder {
        ca_key_id: ca.key_id,
        project_id: world.project.id,
        ca_id: ca.id,
        key_id: world.id(),
        der: vec![1, 2],
        not_before: NOW,
        not_after: at(DAY),
    };
    assert_eq!(reader.responder(ca.key_id).await, Ok(None));
    world.commit([Change::SetResponder(responder.clone())]).await.unwrap();
    let next = OcspResponder { der: vec![3], key_id: world.id(), not_after: at(2 * DAY), ..responder.clone() };
    assert_eq!(reader.responder(ca.key_id).await, Ok(Some(responder)));
    world.commit([Change::SetResponder(next.clone())]).await.unwrap();
    assert_eq!(reader.responders().await, Ok(vec![next]));
    let it = world.certificate("a", &[]);
    world.commit([insert(&it)]).await.unwrap();
    let found = reader.certificate_by_fingerprint(world.project.id, &it.fingerprint_sha256).await;
    assert_eq!(found.unwrap().map(|it| it.id), Some(it.id));
    let other = world.other_project("other");
    assert_eq!(reader.certificate_by_fingerprint(other.id, &it.fingerprint_sha256).await, Ok(None));
    assert_eq!(reader.certificate_by_fingerprint(world.project.id, &world.hash()).await, Ok(None));
}

/// Revoking what was superseded: the job's end, the revocation and a job that asks for a CRL, in one write.
pub async fn a_write_may_end_a_job_and_ask_for_another(world: &mut World) {
    let (ca, signer) = root(world).await;
    let it = issued(world, &ca, signer);
    let list = crl(world, &ca, 0);
    let key = JobKey { kind: JobKind::RevokeSuperseded, object: it.id.as_uuid() };
    let job = |key, due| NewJob { key, project_id: world.project.id, due_at: at(due), deadline: at(due) };
    let publish = JobKey { kind: JobKind::PublishCrl, object: list.id.as_uuid() };
    world.commit([insert(&it), Change::InsertCrl(Box::new(list)), Change::SetJob(job(key, 0))]).await.unwrap();
    world.commit([Change::SetJob(job(publish, 5_000))]).await.unwrap();
    let token = world.reader().job(key).await.unwrap().unwrap().token;
    world.commit([Change::ClaimJob { key, expected_token: token, now: NOW, lease_until: at(60) }]).await.unwrap();
    let reason = RevocationReason::Superseded;
    world
        .commit([
            Change::FinishJob { fence: chancery_model::job::Fence { key, token: token + 1 }, next: None },
            Change::RevokeCertificate {
                id: it.id,
                revocation: revoked(1, reason),
                held: false,
                entry: Some(entry(ca.key_id, &it, reason, 1)),
            },
            Change::ScheduleJob(job(publish, 1)),
        ])
        .await
        .unwrap();
    assert_eq!(world.reader().job(key).await, Ok(None));
    assert_eq!(world.reader().job(publish).await.unwrap().map(|it| it.due_at), Some(at(1)));
    assert_eq!(stored(world, &it).await.revocation, Some(revoked(1, reason)));
}
