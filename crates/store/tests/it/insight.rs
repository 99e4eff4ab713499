//! What pages ask for beyond lists: figures by algorithm, searches that people keep, and the granted requests that a
//! rehearsal reads.

use chancery_model::certificate::{Certificate, CertificateFilter, CertificateStatus, Revocation, RevocationReason};
use chancery_model::identity::User;
use chancery_model::profile::ProfileIssuer;
use chancery_model::saved_view::SavedView;
use chancery_model::{ProfileId, Timestamp};
use chancery_pkix::KeyAlgorithm;
use chancery_store::{Change, Conflict, Location, UserChange, Write};

use crate::group::{insert, together};
use crate::world::{DAY, NOW, World, page};

type ByAlgorithm = Vec<(Option<KeyAlgorithm>, u64)>;

fn at(seconds: i64) -> Timestamp {
    NOW.plus_seconds(seconds)
}

async fn kept(world: &World, now: i64) -> ByAlgorithm {
    world.reader().statistics(world.project.id, at(now)).await.unwrap().by_algorithm
}

/// Counts what the rows say.
async fn counted(world: &World, now: i64) -> ByAlgorithm {
    let all = world.reader().certificates(world.project.id, &CertificateFilter::default(), NOW, &page(500)).await;
    let mut counts: ByAlgorithm = Vec::new();
    for it in all.unwrap().items.iter().filter(|it| it.status(at(now)) == CertificateStatus::Active) {
        let algorithm = it.description.key_algorithm;
        match counts.iter_mut().find(|(known, _)| *known == algorithm) {
            Some((_, count)) => *count += 1,
            None => counts.push((algorithm, 1)),
        }
    }
    counts.sort_by_key(|(algorithm, count)| (std::cmp::Reverse(*count), algorithm.is_none(), *algorithm));
    counts
}

async fn agree(world: &World) {
    for now in [0, 5 * DAY, 5 * DAY + 7_200, 6 * DAY, 41 * DAY, 400 * DAY] {
        assert_eq!(kept(world, now).await, counted(world, now).await, "after {now} s");
    }
}

/// P-256, RSA and a key that nobody knows, ending on different days.
fn various(world: &World) -> Vec<Certificate> {
    let algorithms = [Some(KeyAlgorithm::EcP256), Some(KeyAlgorithm::Rsa3072), Some(KeyAlgorithm::EcP256), None];
    let mut made: Vec<_> = (0..12).map(|index| world.certificate(&format!("c{index}"), &[])).collect();
    for ((index, it), algorithm) in (0i64..).zip(&mut made).zip(algorithms.into_iter().cycle()) {
        it.not_after = at(DAY * (5 + index / 4) + index * 3_600);
        it.description.key_algorithm = algorithm;
    }
    made
}

fn revoke(it: &Certificate, reason: RevocationReason, held: bool) -> Change {
    Change::RevokeCertificate { id: it.id, revocation: Revocation { at: at(10), reason }, held, entry: None }
}

pub async fn algorithms_agree_with_the_rows_through_a_life(world: &mut World) {
    let made = various(world);
    together(world, made.iter().map(|it| Write::default().with(insert(it))).collect()).await;
    agree(world).await;
    assert_eq!(
        kept(world, 0).await,
        [(Some(KeyAlgorithm::EcP256), 6), (Some(KeyAlgorithm::Rsa3072), 3), (None, 3)],
        "the most first, what nobody knows last"
    );
    world.commit([revoke(&made[0], RevocationReason::CertificateHold, false)]).await.unwrap();
    agree(world).await;
    world.commit([revoke(&made[0], RevocationReason::KeyCompromise, true)]).await.unwrap();
    world.commit([revoke(&made[1], RevocationReason::CertificateHold, false)]).await.unwrap();
    agree(world).await;
    let release = Change::ReleaseCertificate { id: made[1].id, at: at(30), key_id: None, partition: 0 };
    world.commit([release.clone()]).await.unwrap();
    agree(world).await;
    assert!(world.commit([release]).await.is_err());
    let mut successor = world.certificate("c2", &[]);
    (successor.not_after, successor.description.key_algorithm) = (at(40 * DAY), Some(KeyAlgorithm::MlDsa65));
    let mark = Change::MarkRenewed { id: made[2].id, by: successor.id, at: NOW };
    world.commit([mark, insert(&successor)]).await.unwrap();
    agree(world).await;
    for it in [&made[0], &made[2], &made[3]] {
        world.commit([Change::DeleteCertificate(it.id)]).await.unwrap();
    }
    agree(world).await;
    // One that is deleted is revoked all the same, and had left the figures before.
    world.commit([revoke(&made[3], RevocationReason::Superseded, false)]).await.unwrap();
    agree(world).await;
    for _ in 0..2 {
        let certificates = vec![made[1].clone(), made[3].clone(), made[7].clone()];
        world.commit([Change::CleanUpCertificates { certificates }]).await.unwrap();
        agree(world).await;
    }
    world.reopen().await;
    agree(world).await;
    let other = world.other_project("other");
    assert_eq!(world.reader().statistics(other.id, NOW).await.unwrap().by_algorithm, []);
}

pub async fn a_migration_counts_the_algorithms_that_are_there(world: &mut World) {
    let made = various(world);
    for it in &made {
        world.commit([insert(it)]).await.unwrap();
    }
    world.commit([revoke(&made[0], RevocationReason::KeyCompromise, false)]).await.unwrap();
    world.commit([Change::MarkRenewed { id: made[1].id, by: made[2].id, at: NOW }]).await.unwrap();
    world.commit([Change::DeleteCertificate(made[3].id)]).await.unwrap();
    let before = kept(world, 0).await;
    assert_eq!(before, [(Some(KeyAlgorithm::EcP256), 5), (Some(KeyAlgorithm::Rsa3072), 3), (None, 2)]);
    world.store().close().await;
    // As if a program without these figures had written all this.
    let migration = match world.location {
        Location::Sqlite { .. } => include_str!("../../migrations/sqlite/0010_insight.sql"),
        Location::Postgres { .. } => include_str!("../../migrations/postgres/0010_insight.sql"),
    };
    world.tamper(&format!("DROP TABLE algorithm_statistic; DROP TABLE saved_view; {migration}")).await;
    world.reopen().await;
    assert_eq!(kept(world, 0).await, before);
    // What the migration counted goes down as what was counted one by one.
    world.commit([revoke(&made[4], RevocationReason::KeyCompromise, false)]).await.unwrap();
    agree(world).await;
}

pub async fn a_day_with_very_many_ends_is_told_in_proportion(world: &mut World) {
    // The day begins 28 800 s before NOW; half of these end in its first hours, the others towards its end.
    let mut write = Write::default();
    for index in 0..2_400i64 {
        let mut it = world.certificate("", &[]);
        it.not_after = at(if index % 2 == 0 { -20_000 } else { 20_000 } + index);
        it.description.key_algorithm = Some(if index % 3 == 0 { KeyAlgorithm::Rsa2048 } else { KeyAlgorithm::EcP256 });
        write = write.with(insert(&it));
    }
    world.store().commit(write).await.unwrap();
    let found = world.reader().statistics(world.project.id, NOW).await.unwrap();
    assert_eq!(found.active, 1_200);
    assert_eq!(found.by_algorithm, [(Some(KeyAlgorithm::EcP256), 800), (Some(KeyAlgorithm::Rsa2048), 400)]);
}

fn view(world: &World, owner: &User, name: &str, shared: bool) -> SavedView {
    SavedView {
        id: world.id(),
        project_id: world.project.id,
        owner: owner.id,
        name: name.to_owned(),
        query: "search=acme&status=active".to_owned(),
        shared,
        created_at: NOW,
    }
}

pub async fn saved_views_are_their_owners_and_may_be_shared(world: &mut World) {
    let (ann, bob) = (world.user("ann@acme.test"), world.user("bob@acme.test"));
    world.commit([Change::InsertUser(ann.clone()), Change::InsertUser(bob.clone())]).await.unwrap();
    let (private, shared) = (view(world, &ann, "web", false), view(world, &ann, "all of us", true));
    let other = view(world, &bob, "web", false);
    world.commit([&private, &shared, &other].map(|it| Change::InsertSavedView(it.clone()))).await.unwrap();
    assert_eq!(
        world.refused([Change::InsertSavedView(view(world, &ann, "web", true))]).await,
        Some(Conflict::Name),
        "one of a name for each person"
    );
    let reader = world.reader();
    let project = world.project.id;
    assert_eq!(reader.saved_view(project, private.id).await.unwrap(), Some(private.clone()));
    let of = async |user| world.reader().saved_views(project, user).await.unwrap();
    assert_eq!(of(Some(ann.id)).await, [shared.clone(), private.clone()]);
    assert_eq!(of(Some(bob.id)).await, [shared.clone(), other.clone()]);
    assert_eq!(of(None).await, std::slice::from_ref(&shared));
    assert_eq!(reader.saved_views_of(project, ann.id).await, Ok(2));
    let elsewhere = world.other_project("other").id;
    assert_eq!(reader.saved_view(elsewhere, private.id).await, Ok(None));
    assert_eq!(reader.saved_views(elsewhere, Some(ann.id)).await, Ok(vec![]));
    world.commit([Change::DeleteSavedView(private.id)]).await.unwrap();
    assert_eq!(world.refused([Change::DeleteSavedView(private.id)]).await, Some(Conflict::Missing));
    assert_eq!(of(Some(ann.id)).await, [shared]);
    world.commit([Change::User(UserChange::Delete(ann.id))]).await.unwrap();
    assert_eq!(of(Some(bob.id)).await, [other], "what a person kept goes with them");
}

/// A certificate of the profile and the request that led to it.
fn granted(world: &World, profile: ProfileId, name: &str, days_ago: i64) -> [Change; 2] {
    let mut certificate = world.certificate_at(name, &[], at(-days_ago * DAY));
    certificate.profile_id = Some(profile);
    let mut request = world.request(name);
    request.id = certificate.request_id;
    request.profile_id = Some(profile);
    request.certificate_id = Some(certificate.id);
    request.created_at = certificate.created_at;
    [insert(&certificate), Change::InsertRequest(Box::new(request))]
}

pub async fn granted_requests_are_read_newest_first_and_piece_by_piece(world: &mut World) {
    let template = world.template("servers");
    let (web, mail) = (["web", "mail"].map(|slug| world.profile(slug, &template, ProfileIssuer::SelfSigned))).into();
    world.commit([Change::InsertTemplate(Box::new(template.clone()))]).await.unwrap();
    world.commit([&web, &mail].map(|it| Change::InsertProfile(Box::new(it.clone())))).await.unwrap();
    for index in (0..7).rev() {
        world.commit(granted(world, web.id, &format!("w{index}"), index)).await.unwrap();
        world.commit(granted(world, mail.id, &format!("m{index}"), index)).await.unwrap();
    }
    // The server's own, without a request; and one that was taken out of the inventory.
    let mut own = world.certificate("own", &[]);
    own.profile_id = Some(web.id);
    let [gone, asked] = granted(world, web.id, "gone", 2);
    let Change::InsertCertificate(it) = &gone else { panic!("not a certificate") };
    world.commit([insert(&own), gone.clone(), asked, Change::DeleteCertificate(it.id)]).await.unwrap();

    let walk = async |profile, days: i64, limit| {
        let (mut names, mut before) = (Vec::new(), Some(i64::MAX));
        let mut reads = 0;
        while let Some(place) = before {
            let since = at(-days * DAY - 60);
            let found = world.reader().issued_requests(world.project.id, profile, (since, place), limit).await.unwrap();
            assert!(found.0.iter().all(|it| it.place < place && it.created_at >= since));
            names.extend(found.0.into_iter().filter_map(|it| it.common_name));
            before = found.1;
            reads += 1;
        }
        (names, reads)
    };
    let web_names = ["w0", "w1", "w2", "w3", "w4", "w5", "w6"];
    assert_eq!(walk(Some(web.id), 30, 100).await, (web_names.map(str::to_owned).to_vec(), 1));
    assert_eq!(walk(Some(web.id), 30, 3).await.0, web_names);
    assert_eq!(walk(Some(web.id), 2, 2).await.0, ["w0", "w1", "w2"]);
    assert_eq!(walk(None, 1, 3).await.0, ["m0", "w0", "m1", "w1"]);
    let elsewhere = world.other_project("other").id;
    for profile in [Some(web.id), None] {
        let found = world.reader().issued_requests(elsewhere, profile, (at(-30 * DAY), i64::MAX), 10).await.unwrap();
        assert!(found.0.is_empty() && found.1.is_none());
    }
    let mut users = world.reader().profiles_by_template(world.project.id, template.id).await.unwrap();
    users.sort_unstable();
    let mut expected = vec![web.id, mail.id];
    expected.sort_unstable();
    assert_eq!(users, expected);
    assert_eq!(world.reader().profiles_by_template(elsewhere, template.id).await, Ok(vec![]));
}
