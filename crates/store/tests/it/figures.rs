//! Figures that are kept while the inventory changes, ready-made views, and what the clean-up removes for good.

use std::collections::BTreeMap;

use chancery_model::Timestamp;
use chancery_model::authority::{CaCertificate, CertificationAuthority, SealedKey};
use chancery_model::certificate::{
    Certificate, CertificateFilter, CertificateSort, CertificateSource, CertificateStatus, CertificateView, Revocation,
    RevocationReason,
};
use chancery_model::crl::{Crl, CrlEntry};
use chancery_model::identity::{AccessToken, ActorId};
use chancery_model::job::JobLane;
use chancery_model::page::SortOrder;
use chancery_model::profile::ProfileIssuer;
use chancery_model::request::RequestFilter;
use chancery_store::{Change, Conflict, CrlPublication, InventoryStatistics, Location, Write};

use crate::group::{ids, insert, together};
use crate::world::{DAY, NOW, World, page};

const MILLIS_PER_DAY: i64 = 86_400_000;

fn at(seconds: i64) -> Timestamp {
    NOW.plus_seconds(seconds)
}

const fn day(time: Timestamp) -> i64 {
    time.as_millis() / MILLIS_PER_DAY
}

fn revoke(it: &Certificate, seconds: i64, reason: RevocationReason, held: bool) -> Change {
    let revocation = Revocation { at: at(seconds), reason };
    Change::RevokeCertificate { id: it.id, revocation, held, entry: None }
}

async fn figures(world: &World, now: i64) -> InventoryStatistics {
    world.reader().statistics(world.project.id, at(now)).await.unwrap()
}

/// Counts what the rows say.
async fn counted(world: &World, now: i64) -> (u64, u64, u64, BTreeMap<i64, u64>) {
    let all = world
        .reader()
        .certificates(world.project.id, &CertificateFilter::default(), NOW, &page(500))
        .await
        .unwrap()
        .items;
    let of = |status| all.iter().filter(|it| it.status(at(now)) == status).count() as u64;
    let mut ends = BTreeMap::new();
    for it in all.iter().filter(|it| it.revocation.is_none() && it.renewal.renewed_by.is_none()) {
        if it.not_after >= Timestamp::from_millis(day(at(now)) * MILLIS_PER_DAY) {
            *ends.entry(day(it.not_after)).or_default() += 1;
        }
    }
    (of(CertificateStatus::Active), of(CertificateStatus::Expired), of(CertificateStatus::Revoked), ends)
}

async fn agree(world: &World) {
    for now in [0, 5 * DAY, 6 * DAY, 41 * DAY] {
        let kept = figures(world, now).await;
        let rows = counted(world, now).await;
        let kept = (kept.active, kept.expired, kept.revoked, kept.expiring_by_day.into_iter().collect());
        assert_eq!(kept, rows, "after {now} s");
    }
}

pub async fn figures_agree_with_the_rows_through_a_life(world: &mut World) {
    let mut made: Vec<_> = (0..12).map(|index| world.certificate(&format!("c{index}"), &[])).collect();
    for (index, it) in (0i64..).zip(&mut made) {
        it.not_after = at(DAY * (5 + index / 4) + index * 3_600);
        if index == 11 {
            it.revocation = Some(Revocation { at: at(-3 * DAY), reason: RevocationReason::Superseded });
        }
        if index == 10 {
            it.source = CertificateSource::Imported;
        }
    }
    together(world, made.iter().map(|it| Write::default().with(insert(it))).collect()).await;
    agree(world).await;
    let start = figures(world, 0).await;
    assert_eq!((start.total, start.active, start.revoked), (12, 11, 1));
    assert_eq!(start.issued_by_day, [(day(NOW), 11)], "imported ones were not made here");
    assert_eq!(start.revoked_by_day, [(day(at(-3 * DAY)), 1)]);

    world.commit([revoke(&made[0], 10, RevocationReason::CertificateHold, false)]).await.unwrap();
    agree(world).await;
    world.commit([revoke(&made[0], 20, RevocationReason::KeyCompromise, true)]).await.unwrap();
    world.commit([revoke(&made[1], 10, RevocationReason::CertificateHold, false)]).await.unwrap();
    let release = Change::ReleaseCertificate { id: made[1].id, at: at(30), key_id: None, partition: 0 };
    world.commit([release.clone()]).await.unwrap();
    agree(world).await;
    assert!(world.commit([release]).await.is_err());
    let mut successor = world.certificate("c2", &[]);
    successor.not_after = at(40 * DAY);
    let mark = Change::MarkRenewed { id: made[2].id, by: successor.id, at: NOW };
    world.commit([mark.clone(), insert(&successor)]).await.unwrap();
    agree(world).await;
    assert!(world.commit([mark]).await.is_err());
    world.commit([revoke(&made[2], 40, RevocationReason::Superseded, false)]).await.unwrap();
    agree(world).await;
    let mark = Change::MarkRenewed { id: made[3].id, by: successor.id, at: NOW };
    world.commit([mark, Change::DeleteCertificate(made[3].id)]).await.unwrap();
    world.commit([Change::DeleteCertificate(made[0].id), Change::DeleteCertificate(made[4].id)]).await.unwrap();
    agree(world).await;
    let end = figures(world, 0).await;
    assert_eq!((end.total, end.active, end.revoked), (10, 8, 2));
    assert_eq!(end.revoked_by_day, [(day(at(-3 * DAY)), 1), (day(NOW), 3)]);
    assert_eq!(end.issued_by_day, [(day(NOW), 12)]);
    let ended: Vec<_> = made[5..8].to_vec();
    world.commit([Change::CleanUpCertificates { certificates: ended.clone() }]).await.unwrap();
    agree(world).await;
    world.commit([Change::CleanUpCertificates { certificates: ended }]).await.unwrap();
    agree(world).await;
    assert_eq!(ids(world).await.len(), 7);
    world.reopen().await;
    agree(world).await;
    let other = world.other_project("other");
    assert_eq!(world.reader().statistics(other.id, NOW).await.unwrap().total, 0);
}

pub async fn a_migration_counts_what_is_there(world: &mut World) {
    let mut made: Vec<_> = (0..6).map(|index| world.certificate(&format!("c{index}"), &[])).collect();
    made[5].source = CertificateSource::Imported;
    for it in &made {
        world.commit([insert(it)]).await.unwrap();
    }
    world.commit([revoke(&made[0], 10, RevocationReason::KeyCompromise, false)]).await.unwrap();
    world.commit([Change::MarkRenewed { id: made[1].id, by: made[2].id, at: NOW }]).await.unwrap();
    world.commit([Change::DeleteCertificate(made[3].id)]).await.unwrap();
    let kept = figures(world, 0).await;
    world.store().close().await;
    // As if a program without figures had written all this.
    let migration = match world.location {
        Location::Sqlite { .. } => include_str!("../../migrations/sqlite/0005_statistics.sql"),
        Location::Postgres { .. } => include_str!("../../migrations/postgres/0005_statistics.sql"),
    };
    world.tamper(&format!("DROP INDEX access_token_end; DROP TABLE statistic; {migration}")).await;
    world.reopen().await;
    assert_eq!(figures(world, 0).await, kept);
}

pub async fn the_busiest_profiles_and_cas_are_named_first(world: &mut World) {
    let ca = world.ca("root");
    let template = world.template("servers");
    let quiet = world.profile("quiet", &template, ProfileIssuer::SelfSigned);
    let busy = world.profile("busy", &template, ProfileIssuer::SelfSigned);
    let idle = world.profile("idle", &template, ProfileIssuer::SelfSigned);
    world.commit([Change::InsertCa(Box::new(ca.clone())), Change::InsertTemplate(Box::new(template))]).await.unwrap();
    for it in [&quiet, &busy, &idle] {
        world.commit([Change::InsertProfile(Box::new(it.clone()))]).await.unwrap();
    }
    for (profile, count) in [(&quiet, 2), (&busy, 3)] {
        for _ in 0..count {
            let mut it = world.certificate("a", &[]);
            (it.profile_id, it.ca_id) = (Some(profile.id), Some(ca.id));
            world.commit([insert(&it)]).await.unwrap();
        }
    }
    let found = figures(world, 0).await;
    assert_eq!(found.by_profile, [(busy.id, 3), (quiet.id, 2)]);
    assert_eq!(found.by_ca, [(ca.id, 5)]);
}

/// One certificate for each way to meet, or just miss, a view.
async fn viewed(world: &World) -> BTreeMap<&'static str, Certificate> {
    let mut made = BTreeMap::new();
    let names = [
        "fresh",
        "soon",
        "soon superseded",
        "soon revoked",
        "ended",
        "failed",
        "failed ended",
        "failed renewed",
        "weak",
        "weak revoked",
        "superseded",
        "superseded ended",
        "superseded revoked",
        "imported",
    ];
    for name in names {
        let mut it = world.certificate(name, &[]);
        it.not_after = if name.starts_with("soon") { at(10 * DAY) } else { at(90 * DAY) };
        if name.ends_with("ended") {
            it.not_after = at(-1);
        }
        if name.ends_with("revoked") {
            it.revocation = Some(Revocation { at: NOW, reason: RevocationReason::Unspecified });
        }
        if name.starts_with("failed") {
            it.renewal.error = Some("refused".to_owned());
        }
        if name.starts_with("superseded") || name.ends_with("superseded") || name.ends_with("renewed") {
            it.renewal.renewed_by = Some(world.id());
        }
        if name.starts_with("weak") {
            it.description.key_algorithm = None;
        }
        if name == "imported" {
            it.source = CertificateSource::Imported;
            it.friendly_name = Some("Shop front".to_owned());
        }
        world.commit([insert(&it)]).await.unwrap();
        made.insert(name, it);
    }
    made
}

async fn found(world: &World, filter: CertificateFilter) -> Vec<String> {
    let mut names = vec![];
    for (sort_by, sort_order) in [
        (CertificateSort::CreatedAt, SortOrder::Descending),
        (CertificateSort::CreatedAt, SortOrder::Ascending),
        (CertificateSort::NotAfter, SortOrder::Ascending),
    ] {
        let filter = CertificateFilter { sort_by, sort_order, ..filter.clone() };
        let page = world.reader().certificates(world.project.id, &filter, NOW, &page(100)).await.unwrap();
        assert_eq!((page.total.count, page.total.exact), (page.items.len() as u64, true));
        let mut these: Vec<_> =
            page.items.iter().map(|it| it.description.common_name().unwrap_or_default().to_owned()).collect();
        these.sort();
        if names.is_empty() {
            names = these;
        } else {
            assert_eq!(names, these, "each order finds the same");
        }
    }
    names
}

pub async fn views_find_what_they_promise(world: &mut World) {
    viewed(world).await;
    use CertificateView as V;
    for (view, expected) in [
        (V::Expiring, vec!["soon"]),
        (V::FailedRenewal, vec!["failed"]),
        (V::WeakKey, vec!["weak"]),
        (V::SupersededActive, vec!["failed renewed", "soon superseded", "superseded"]),
    ] {
        assert_eq!(
            found(world, CertificateFilter { view: Some(view), ..Default::default() }).await,
            expected,
            "{view:?}"
        );
        let total = world.reader().certificates_in_view(world.project.id, view, NOW).await.unwrap();
        assert_eq!((total.count, total.exact), (expected.len() as u64, true), "{view:?}");
        let other = world.other_project("other");
        assert_eq!(world.reader().certificates_in_view(other.id, view, NOW).await.unwrap().count, 0);
        let filter = CertificateFilter {
            view: Some(view),
            common_name: Some("superseded".to_owned()),
            ..CertificateFilter::default()
        };
        let both = if view == V::SupersededActive { vec!["superseded"] } else { vec![] };
        assert_eq!(found(world, filter).await, both, "{view:?}");
    }
    let counts = figures(world, 0).await.views;
    assert_eq!(counts.iter().map(|(_, total)| total.count).collect::<Vec<_>>(), [1, 1, 1, 3]);
}

pub async fn source_application_and_friendly_name_filter(world: &mut World) {
    let made = viewed(world).await;
    let application = world.id();
    let mut of_application = world.certificate("of application", &[]);
    of_application.application_id = Some(application);
    world.commit([insert(&of_application)]).await.unwrap();
    let by = |source: Option<CertificateSource>, friendly: Option<&str>| CertificateFilter {
        source,
        friendly_name: friendly.map(str::to_owned),
        ..CertificateFilter::default()
    };
    assert_eq!(found(world, by(Some(CertificateSource::Imported), None)).await, ["imported"]);
    assert_eq!(found(world, by(Some(CertificateSource::Issued), None)).await.len(), made.len());
    let filter = CertificateFilter { application_id: Some(application), ..CertificateFilter::default() };
    assert_eq!(found(world, filter.clone()).await, ["of application"]);
    let filter = CertificateFilter { statuses: vec![CertificateStatus::Revoked], ..filter };
    assert_eq!(found(world, filter).await, Vec::<String>::new());
    for (friendly, expected) in [
        ("Shop front", vec!["imported"]),
        // What has a name of its own is not shown under its common name.
        ("imported", vec![]),
        ("FRESH", vec!["fresh"]),
        ("nothing", vec![]),
    ] {
        assert_eq!(found(world, by(None, Some(friendly))).await, expected, "{friendly}");
        let both = by(Some(CertificateSource::Imported), Some(friendly));
        let expected = if friendly == "Shop front" { vec!["imported"] } else { vec![] };
        assert_eq!(found(world, both).await, expected, "{friendly}");
    }
}

/// More than a walk collects at once: every one is found, and other pages do not pay for it.
pub async fn views_with_many_certificates_are_walked_whole(world: &mut World) {
    let count = 10_700u32;
    let mut write = Write::default();
    for index in 0..count {
        let mut it = world.certificate("", &[]);
        (it.description.key_algorithm, it.source) = (None, CertificateSource::Imported);
        it.not_after = at(DAY + i64::from(index));
        it.renewal.error = (index % 2 == 0).then(|| "refused".to_owned());
        write.changes.push(insert(&it));
        if write.changes.len() == 500 {
            world.store().commit(std::mem::take(&mut write)).await.unwrap();
        }
    }
    world.store().commit(write).await.unwrap();
    let total = world.reader().certificates_in_view(world.project.id, CertificateView::WeakKey, NOW).await.unwrap();
    assert_eq!((total.count, total.exact), (10_000, false));
    use CertificateView as V;
    for (view, source, expected) in [
        (Some(V::WeakKey), None, count),
        (Some(V::Expiring), None, count),
        (Some(V::FailedRenewal), None, count / 2),
        (None, Some(CertificateSource::Imported), count),
    ] {
        for sort_by in [CertificateSort::CreatedAt, CertificateSort::NotAfter] {
            let filter = CertificateFilter { view, source, sort_by, ..CertificateFilter::default() };
            let mut request = page(500);
            let mut seen = std::collections::BTreeSet::new();
            loop {
                let some = world.reader().certificates(world.project.id, &filter, NOW, &request).await.unwrap();
                seen.extend(some.items.iter().map(|it| it.id));
                request.cursor = some.next_cursor;
                if request.cursor.is_none() {
                    break;
                }
            }
            assert_eq!(seen.len(), expected as usize, "{view:?} {source:?} {sort_by:?}");
        }
    }
}

/// Certificates of one CA: three that ended long ago and may go, one that a CRL still lists, and one that is in use.
struct Ended {
    ca: CertificationAuthority,
    /// Used by one that goes and by the living one, and used only by one that goes.
    keys: (SealedKey, SealedKey),
    going: [Certificate; 3],
    listed: Certificate,
    living: Certificate,
}

impl Ended {
    fn new(world: &World) -> (Self, CaCertificate) {
        let ca = world.ca("root");
        let signer = world.ca_certificate(&ca, 1);
        let keys = (world.key(), world.key());
        let ended = |name: &str, days: i64| {
            let mut it = world.certificate(name, &["gone.acme.com"]);
            (it.not_after, it.ca_id, it.ca_certificate_id) = (at(-DAY * days), Some(ca.id), Some(signer.id));
            it
        };
        let mut going = [ended("old", 30), ended("newer", 20), ended("deleted", 28)];
        (going[0].key_id, going[0].renewal.due_at) = (Some(keys.0.id), Some(at(-DAY * 40)));
        going[1].key_id = Some(keys.1.id);
        let mut listed = ended("listed", 25);
        listed.crl_partition = 3;
        let mut living = ended("living", 0);
        (living.not_after, living.key_id) = (at(DAY), Some(keys.0.id));
        (Self { ca, keys, going, listed, living }, signer)
    }

    async fn written(world: &World) -> Self {
        let (it, signer) = Self::new(world);
        let keys = [&it.keys.0, &it.keys.1].map(|key| Change::InsertKey(key.clone()));
        world.commit([Change::InsertCa(Box::new(it.ca.clone()))]).await.unwrap();
        world.commit([Change::InsertCaCertificate(Box::new(signer))]).await.unwrap();
        world.commit(keys).await.unwrap();
        for certificate in it.going.iter().chain([&it.listed, &it.living]) {
            let mut request = world.request("old");
            (request.id, request.certificate_id) = (certificate.request_id, Some(certificate.id));
            world.commit([insert(certificate), Change::InsertRequest(Box::new(request))]).await.unwrap();
        }
        let entry = CrlEntry {
            key_id: it.ca.key_id,
            partition: 3,
            serial: hex::decode(&it.listed.serial_number).unwrap(),
            der: vec![1],
            reason: RevocationReason::Superseded,
            not_after: it.listed.not_after,
            recorded_at: NOW,
        };
        let revocation = Revocation { at: at(-DAY * 26), reason: RevocationReason::Superseded };
        let revoke = Change::RevokeCertificate { id: it.listed.id, revocation, held: false, entry: Some(entry) };
        world.commit([revoke, Change::DeleteCertificate(it.going[2].id)]).await.unwrap();
        it
    }
}

async fn ended_before(world: &World, limit: u32) -> Vec<Certificate> {
    world.reader().certificates_ended_before(world.project.id, at(-DAY * 10), limit).await.unwrap()
}

fn names(found: &[Certificate]) -> Vec<&str> {
    found.iter().map(|it| it.description.common_name().unwrap_or_default()).collect()
}

pub async fn what_a_crl_lists_is_kept_until_the_crl_lets_it_go(world: &mut World) {
    let it = Ended::written(world).await;
    assert_eq!(names(&ended_before(world, 10).await), ["old", "newer", "deleted"]);
    assert_eq!(names(&ended_before(world, 1).await), ["old"]);
    let other = world.other_project("other");
    assert_eq!(world.reader().certificates_ended_before(other.id, NOW, 10).await, Ok(vec![]));
    let list = Crl {
        id: world.id(),
        project_id: world.project.id,
        ca_id: it.ca.id,
        key_id: it.ca.key_id,
        partition: 0,
        number: 0,
        base_number: 0,
        base_this_update: None,
        previous_base: None,
        complete: None,
        delta: None,
        created_at: NOW,
    };
    let publication = CrlPublication {
        crl: Crl { number: 1, ..list.clone() },
        expected_number: 0,
        complete_der: None,
        delta_der: None,
        drop_ended_before: NOW,
        drop_released_before: NOW,
    };
    world.commit([Change::InsertCrl(Box::new(list)), Change::PublishCrl(Box::new(publication))]).await.unwrap();
    assert_eq!(names(&ended_before(world, 10).await), ["old", "listed", "newer", "deleted"]);
}

pub async fn clean_up_removes_all_but_the_serial_number(world: &mut World) {
    let it = Ended::written(world).await;
    let certificates = ended_before(world, 10).await;
    world.commit([Change::CleanUpCertificates { certificates }]).await.unwrap();
    let (reader, project) = (world.reader(), world.project.id);
    assert_eq!(ended_before(world, 10).await, []);
    assert_eq!(ids(world).await, [it.listed.id, it.living.id].into());
    for gone in &it.going {
        assert_eq!(reader.request(project, gone.request_id).await, Ok(None));
        let serial = hex::decode(&gone.serial_number).unwrap();
        assert_eq!(reader.serial_status(it.ca.id, &serial).await, Ok(None));
        let again = Certificate { id: world.id(), ..gone.clone() };
        assert_eq!(world.refused([insert(&again)]).await, Some(Conflict::Serial));
    }
    let requests = reader.requests(project, &RequestFilter::default(), &page(10)).await.unwrap();
    assert_eq!((requests.items.len(), requests.total.count), (2, 2));
    let san = CertificateFilter { san: Some("gone.acme.com".to_owned()), ..CertificateFilter::default() };
    assert_eq!(found(world, san).await, ["listed", "living"]);
    let is_there = async |key: &SealedKey| reader.key(key.id).await.unwrap().is_some();
    assert!(!is_there(&it.keys.1).await);
    assert!(is_there(&it.keys.0).await, "another certificate uses it");
    assert_eq!(reader.due_jobs(NOW, JobLane::Work, 10).await, Ok(vec![]), "nothing to renew");
}

pub async fn ended_access_tokens_are_forgotten(world: &mut World) {
    let token = |ends: i64| AccessToken {
        id: world.id(),
        actor: ActorId::System,
        project_id: world.project.id,
        hash: world.hash(),
        expires_at: at(ends),
        expires_at_max: at(ends),
        ttl: 60,
        revoked_at: None,
        browser: None,
        created_at: NOW,
    };
    let (old, new) = (token(-1), token(0));
    world.commit([Change::InsertAccessToken(old.clone()), Change::InsertAccessToken(new.clone())]).await.unwrap();
    world.commit([Change::ForgetTokens { before: NOW }]).await.unwrap();
    assert_eq!(world.reader().access_token(old.id).await.map(|it| it.is_some()), Ok(false));
    assert_eq!(world.reader().access_token(new.id).await.map(|it| it.is_some()), Ok(true));
}
