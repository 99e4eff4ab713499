//! Certificates: what is recorded is found again, by everything it may be found by, and by nobody else.

use chancery_model::certificate::{
    Certificate, CertificateFilter, CertificateSource, CertificateStatus, RenewalSettings, RenewalState, Revocation,
    RevocationReason,
};
use chancery_model::identity::ActorId;
use chancery_model::profile::ProfileIssuer;
use chancery_model::profile::RenewAt;
use chancery_model::request::{RequestFilter, RequestStatus};
use chancery_pkix::{ExtendedKeyUsage, GeneralNameKind, KeyAlgorithm, SignatureAlgorithm};
use chancery_store::{Change, Conflict, ProfileMetrics};

use crate::world::{DAY, NOW, World, page};

fn insert(it: &Certificate) -> Change {
    Change::InsertCertificate(Box::new(it.clone()))
}

async fn found(world: &World, filter: CertificateFilter) -> Vec<String> {
    let page = world.reader().certificates(world.project.id, &filter, NOW, &page(100)).await.unwrap();
    let mut names: Vec<_> =
        page.items.iter().map(|it| it.description.common_name().unwrap_or("-").to_owned()).collect();
    assert_eq!((page.total.count, page.total.exact), (names.len() as u64, true), "{filter:?}");
    names.sort_unstable();
    names
}

pub async fn certificates_read_back_whole(world: &mut World) {
    let reader = world.reader();
    let project = world.project.id;
    let plain = world.certificate("", &[]);
    let mut full = world.certificate("Jörg Müller", &["a.acme.com", "*.b.acme.com"]);
    full.description.sans.push((GeneralNameKind::Uri, format!("https://acme.com/{}", "x".repeat(3_000))));
    full.description.sans.push((GeneralNameKind::IpAddress, "10.0.0.1".to_owned()));
    full.profile_id = Some(world.id());
    full.template_id = Some(world.id());
    full.ca_id = Some(world.id());
    full.ca_certificate_id = Some(world.id());
    full.application_id = Some(world.id());
    full.requester = ActorId::User(world.id());
    full.key_id = Some(world.id());
    full.revocation = Some(Revocation { at: NOW, reason: RevocationReason::KeyCompromise });
    full.source = CertificateSource::Imported;
    full.friendly_name = Some("Edge".to_owned());
    full.crl_partition = 3;
    full.renewal = RenewalState {
        renewed_from: Some(world.id()),
        renewed_by: Some(world.id()),
        renew_before_days: Some(30),
        due_at: Some(NOW),
        error: Some("the template refuses it".to_owned()),
        settings: Some(RenewalSettings { renew_at: Some(RenewAt::Permille(500)), ..RenewalSettings::default() }),
    };
    full.metadata = vec![("team".to_owned(), "\"edge\"".to_owned()), ("".to_owned(), "ü".to_owned())];
    let mut request = world.request("Jörg Müller");
    request.id = full.request_id;
    request.status = RequestStatus::Issued;
    request.certificate_id = Some(full.id);
    world.commit([insert(&full), insert(&plain), Change::InsertRequest(Box::new(request))]).await.unwrap();
    assert_eq!(reader.certificate(project, full.id).await, Ok(Some(full.clone())));
    assert_eq!(reader.certificate(project, plain.id).await, Ok(Some(plain.clone())));
    assert_eq!(reader.certificate_by_request(project, full.request_id).await, Ok(Some(full.clone())));
    assert_eq!(reader.certificate_by_serial(project, &full.serial_number.to_uppercase()).await, Ok(Some(full)));
    assert_eq!(reader.certificate_by_serial(project, "not hex").await, Ok(None));
    assert_eq!(world.refused([insert(&plain)]).await, Some(Conflict::Exists));
    let mut orphan = world.certificate("x", &[]);
    orphan.project_id = world.id();
    assert_eq!(world.refused([insert(&orphan)]).await, Some(Conflict::Missing));
}

pub async fn an_issuer_never_uses_a_serial_number_twice(world: &mut World) {
    let mut first = world.certificate("a.acme.com", &["a.acme.com"]);
    first.ca_id = Some(world.id());
    let mut second = world.certificate("b.acme.com", &["b.acme.com"]);
    second.serial_number = first.serial_number.clone();
    second.ca_id = first.ca_id;
    world.commit([insert(&first)]).await.unwrap();
    assert_eq!(world.refused([insert(&second)]).await, Some(Conflict::Serial));
    assert_eq!(found(world, CertificateFilter::default()).await, ["a.acme.com"], "nothing of the refused one is left");
    assert_eq!(
        found(world, CertificateFilter { search: Some("b.acme.com".to_owned()), ..CertificateFilter::default() }).await,
        [""; 0]
    );
    second.ca_id = Some(world.id());
    world.commit([insert(&second)]).await.unwrap();
    let newest = world.reader().certificate_by_serial(world.project.id, &first.serial_number).await.unwrap().unwrap();
    assert_eq!(newest.id, second.id);
}

pub async fn ca_certificates_share_the_serial_numbers_of_their_issuer(world: &mut World) {
    let (root, issuing) = (world.ca("root"), world.ca("issuing"));
    world.commit([&root, &issuing].map(|it| Change::InsertCa(Box::new(it.clone())))).await.unwrap();
    let own = world.ca_certificate(&root, 1);
    let mut below = world.ca_certificate(&issuing, 1);
    below.parent_ca_id = Some(root.id);
    below.chain = vec![own.der.clone()];
    world.commit([&own, &below].map(|it| Change::InsertCaCertificate(Box::new(it.clone())))).await.unwrap();
    for serial in [&own.serial_number, &below.serial_number] {
        let mut leaf = world.certificate("a.acme.com", &[]);
        leaf.ca_id = Some(root.id);
        leaf.serial_number = serial.clone();
        assert_eq!(world.refused([insert(&leaf)]).await, Some(Conflict::Serial));
    }
    // The inventory's entry of a CA certificate signed here is the same certificate, not a second use.
    let mut entry = world.certificate("Issuing CA", &[]);
    entry.ca_id = Some(root.id);
    let mut imported = world.ca_certificate(&issuing, 2);
    imported.parent_ca_id = Some(root.id);
    imported.serial_number = entry.serial_number.clone();
    let differs = imported.clone();
    imported.der = entry.der.clone();
    world.commit([insert(&entry)]).await.unwrap();
    assert_eq!(world.refused([Change::InsertCaCertificate(Box::new(differs))]).await, Some(Conflict::Serial));
    world.commit([Change::InsertCaCertificate(Box::new(imported))]).await.unwrap();
    // Both in one write.
    let mut entry = world.certificate("Issuing CA", &[]);
    entry.ca_id = Some(root.id);
    let mut both = world.ca_certificate(&issuing, 3);
    both.parent_ca_id = Some(root.id);
    (both.serial_number, both.der) = (entry.serial_number.clone(), entry.der.clone());
    world.commit([insert(&entry), Change::InsertCaCertificate(Box::new(both.clone()))]).await.unwrap();
    assert_eq!(world.reader().ca_certificate(both.id).await, Ok(Some(both)));
}

pub async fn a_certificate_is_renewed_once(world: &mut World) {
    let reader = world.reader();
    let mut old = world.certificate("a.acme.com", &[]);
    old.renewal.error = Some("refused yesterday".to_owned());
    old.renewal.renew_before_days = Some(7);
    old.renewal.due_at = Some(NOW);
    let mut revoked = world.certificate("b.acme.com", &[]);
    revoked.revocation = Some(Revocation { at: NOW, reason: RevocationReason::Superseded });
    world.commit([insert(&old), insert(&revoked)]).await.unwrap();
    let mark = |id, by| Change::MarkRenewed { id, by, at: NOW.plus_seconds(1) };
    let mut next = world.certificate("a.acme.com", &[]);
    next.renewal.renewed_from = Some(old.id);
    world.commit([mark(old.id, next.id), insert(&next)]).await.unwrap();
    let stored = reader.certificate(world.project.id, old.id).await.unwrap().unwrap();
    let expected = RenewalState { renewed_by: Some(next.id), renew_before_days: Some(7), ..RenewalState::default() };
    assert_eq!((stored.renewal, stored.updated_at), (expected, NOW.plus_seconds(1)));
    let late = world.certificate("a.acme.com", &[]);
    assert_eq!(world.refused([mark(old.id, late.id), insert(&late)]).await, Some(Conflict::AlreadyRenewed));
    assert_eq!(reader.certificate(world.project.id, late.id).await, Ok(None));
    assert_eq!(world.refused([mark(revoked.id, late.id)]).await, Some(Conflict::AlreadyRenewed));
    assert_eq!(world.refused([mark(world.id(), late.id)]).await, Some(Conflict::Missing));
}

pub async fn renewal_settings_and_metadata_change(world: &mut World) {
    let mut it = world.certificate("a.acme.com", &[]);
    world.commit([insert(&it)]).await.unwrap();
    let at = NOW.plus_seconds(5);
    it.renewal.renew_before_days = Some(10);
    it.renewal.due_at = Some(NOW.plus_seconds(DAY));
    it.renewal.error = Some("no".to_owned());
    it.metadata = vec![("a".to_owned(), "b".to_owned())];
    it.updated_at = at;
    it.renewal.settings = Some(RenewalSettings { switched_off: true, ..RenewalSettings::default() });
    let (days, due_at, settings) = (it.renewal.renew_before_days, it.renewal.due_at, it.renewal.settings);
    let changes = |id| {
        [
            Change::ConfigureRenewal { id, renew_before_days: days, due_at, settings, at },
            Change::SetRenewalError { id, error: Some("no".to_owned()), at },
            Change::SetCertificateMetadata { id, metadata: vec![("a".to_owned(), "b".to_owned())], at },
        ]
    };
    world.commit(changes(it.id)).await.unwrap();
    assert_eq!(world.reader().certificate(world.project.id, it.id).await, Ok(Some(it)));
    for change in changes(world.id()) {
        assert_eq!(world.refused([change]).await, Some(Conflict::Missing));
    }
}

pub async fn deleted_certificates_leave_every_list(world: &mut World) {
    let reader = world.reader();
    let project = world.project.id;
    let (ca, template) = (world.ca("issuing"), world.template("servers"));
    let profile = world.profile("web", &template, ProfileIssuer::Ca(ca.id));
    world.commit([Change::InsertCa(Box::new(ca.clone())), Change::InsertTemplate(Box::new(template))]).await.unwrap();
    world.commit([Change::InsertProfile(Box::new(profile.clone()))]).await.unwrap();
    let [mut gone, mut kept] = ["gone.acme.com", "kept.acme.com"].map(|name| world.certificate(name, &[name]));
    for it in [&mut gone, &mut kept] {
        it.ca_id = Some(ca.id);
        it.profile_id = Some(profile.id);
    }
    world.commit([insert(&gone), insert(&kept)]).await.unwrap();
    world.commit([Change::DeleteCertificate(gone.id)]).await.unwrap();
    assert_eq!(world.refused([Change::DeleteCertificate(gone.id)]).await, Some(Conflict::Missing));
    assert_eq!(reader.certificate(project, gone.id).await, Ok(None));
    assert_eq!(reader.certificate_by_serial(project, &gone.serial_number).await, Ok(None));
    assert_eq!(reader.profile_metrics(profile.id, NOW).await.unwrap().total, 1);
    let none = CertificateFilter::default;
    for filter in [
        none(),
        CertificateFilter { profile_ids: vec![profile.id], ..none() },
        CertificateFilter { ca_ids: vec![ca.id], ..none() },
        CertificateFilter { san: Some("*.acme.com".to_owned()), ..none() },
        CertificateFilter { search: Some("acme".to_owned()), ..none() },
    ] {
        assert_eq!(found(world, filter).await, ["kept.acme.com"]);
    }
    let filter = CertificateFilter { serial_number: Some(gone.serial_number.clone()), ..none() };
    assert_eq!(found(world, filter).await, [""; 0]);
    let mut again = world.certificate("again.acme.com", &[]);
    (again.ca_id, again.serial_number) = (Some(ca.id), gone.serial_number);
    assert_eq!(world.refused([insert(&again)]).await, Some(Conflict::Serial));
}

pub async fn searches_find_names_serials_and_fingerprints(world: &mut World) {
    let shop = world.certificate("shop.acme.com", &["shop.acme.com", "www.acme.com"]);
    let wild = world.certificate("wild", &["*.acme.com"]);
    let apex = world.certificate("acme.com", &["acme.com"]);
    let other = world.certificate("Not_Acme", &["acme.com.evil.org", "xacme.com"]);
    world.commit([&shop, &wild, &apex, &other].map(insert)).await.unwrap();
    let none = CertificateFilter::default;
    let text = |it: &str| Some(it.to_owned());
    let by_search = |it: &str| CertificateFilter { search: text(it), ..none() };
    let by_san = |it: &str| CertificateFilter { san: text(it), ..none() };
    let by_name = |it: &str| CertificateFilter { common_name: text(it), ..none() };
    let colons: Vec<_> =
        shop.serial_number.as_bytes().chunks(2).map(|it| String::from_utf8_lossy(it).to_uppercase()).collect();
    let cases: Vec<(CertificateFilter, &[&str])> = vec![
        (by_san("www.acme.com"), &["shop.acme.com"]),
        (by_san("WWW.ACME.COM"), &["shop.acme.com"]),
        (by_san("*.acme.com"), &["shop.acme.com", "wild"]),
        (by_san("acme.com"), &["acme.com"]),
        (by_san("%"), &[]),
        (by_name("shop.acme.com"), &["shop.acme.com"]),
        (by_name("www.acme.com"), &[]),
        (by_name("*.acme.com"), &["shop.acme.com"]),
        (CertificateFilter { friendly_name: text("wild"), ..none() }, &["wild"]),
        (by_search("acme.com"), &["Not_Acme", "acme.com", "shop.acme.com", "wild"]),
        (by_search("*.evil.org"), &["Not_Acme"]),
        (by_search("hop.ac"), &["shop.acme.com"]),
        (by_search("t_a"), &["Not_Acme"]),
        (by_search("t%a"), &[]),
        (by_search("\0"), &[]),
        (by_search(&shop.serial_number), &["shop.acme.com"]),
        (by_search(&colons.join(":")), &["shop.acme.com"]),
        (by_search(&hex::encode(wild.fingerprint_sha256)), &["wild"]),
        (CertificateFilter { serial_number: Some(colons.join(":")), ..none() }, &["shop.acme.com"]),
        (CertificateFilter { serial_number: text("zz"), ..none() }, &[]),
        (CertificateFilter { fingerprint_sha256: Some(apex.fingerprint_sha256), ..none() }, &["acme.com"]),
        (CertificateFilter { san: text("*.acme.com"), ..by_search("shop") }, &["shop.acme.com"]),
        (CertificateFilter { san: text("www.acme.com"), ..by_name("acme.com") }, &[]),
    ];
    for (filter, expected) in cases {
        assert_eq!(found(world, filter.clone()).await, expected, "{filter:?}");
    }
}

pub async fn filters_hold_together(world: &mut World) {
    let (ca, profile, other) = (world.id(), world.id(), world.id());
    let mut one = world.certificate_at("one", &[], NOW.plus_seconds(-100 * DAY));
    one.profile_id = Some(profile);
    one.metadata = vec![("team".to_owned(), "edge".to_owned())];
    let mut two = world.certificate_at("two", &[], NOW.plus_seconds(-10));
    (two.profile_id, two.ca_id) = (Some(profile), Some(ca));
    two.description.key_algorithm = Some(KeyAlgorithm::Rsa2048);
    two.description.signature_algorithm = Some(SignatureAlgorithm::RsaPssSha256);
    two.revocation = Some(Revocation { at: NOW, reason: RevocationReason::Unspecified });
    two.metadata = vec![("note".to_owned(), "[\"team\",\"edge\"]".to_owned())];
    let mut three = world.certificate("three", &[]);
    (three.profile_id, three.ca_id) = (Some(other), Some(ca));
    three.description.extended_key_usages = vec![ExtendedKeyUsage::ClientAuth];
    three.description.subject.push(chancery_pkix::Attribute {
        kind: chancery_pkix::AttributeType::Organization,
        value: "\"extendedKeyUsages\":[\"server_auth\"".to_owned(),
    });
    world.commit([&one, &two, &three].map(insert)).await.unwrap();
    let none = CertificateFilter::default;
    let pair = |key: &str, value: Option<&str>| vec![(key.to_owned(), value.map(str::to_owned))];
    use CertificateStatus::{Active, Expired, Revoked};
    let cases: Vec<(CertificateFilter, &[&str])> = vec![
        (none(), &["one", "three", "two"]),
        (CertificateFilter { statuses: vec![Active], ..none() }, &["three"]),
        (CertificateFilter { statuses: vec![Expired], ..none() }, &["one"]),
        (CertificateFilter { statuses: vec![Revoked], ..none() }, &["two"]),
        (CertificateFilter { statuses: vec![Revoked, Expired], ..none() }, &["one", "two"]),
        (CertificateFilter { statuses: vec![Revoked, Expired, Active], ..none() }, &["one", "three", "two"]),
        (CertificateFilter { profile_ids: vec![profile], ..none() }, &["one", "two"]),
        (CertificateFilter { profile_ids: vec![profile, other], ..none() }, &["one", "three", "two"]),
        (CertificateFilter { ca_ids: vec![ca], ..none() }, &["three", "two"]),
        (CertificateFilter { ca_ids: vec![ca], profile_ids: vec![profile], ..none() }, &["two"]),
        (CertificateFilter { created_from: Some(NOW.plus_seconds(-10)), ..none() }, &["three", "two"]),
        (CertificateFilter { created_to: Some(NOW.plus_seconds(-10)), ..none() }, &["one", "two"]),
        (CertificateFilter { not_before_from: Some(NOW), ..none() }, &["three"]),
        (CertificateFilter { not_before_to: Some(NOW.plus_seconds(-10)), ..none() }, &["one", "two"]),
        (CertificateFilter { not_after_from: Some(NOW), ..none() }, &["three", "two"]),
        (CertificateFilter { not_after_to: Some(NOW), ..none() }, &["one"]),
        (CertificateFilter { not_after_to: Some(NOW), statuses: vec![Active], ..none() }, &[]),
        (CertificateFilter { key_algorithms: vec![KeyAlgorithm::Rsa2048], ..none() }, &["two"]),
        (CertificateFilter { signature_algorithms: vec![SignatureAlgorithm::RsaPssSha256], ..none() }, &["two"]),
        (CertificateFilter { signature_algorithms: vec![SignatureAlgorithm::RsaSha256], ..none() }, &[]),
        (CertificateFilter { extended_key_usage: Some(ExtendedKeyUsage::ClientAuth), ..none() }, &["three"]),
        (CertificateFilter { extended_key_usage: Some(ExtendedKeyUsage::ServerAuth), ..none() }, &["one", "two"]),
        (CertificateFilter { metadata: pair("team", Some("edge")), ..none() }, &["one"]),
        (CertificateFilter { metadata: pair("team", Some("Edge")), ..none() }, &[]),
        (CertificateFilter { metadata: pair("note", None), ..none() }, &["two"]),
        (CertificateFilter { metadata: pair("team", None), statuses: vec![Expired], ..none() }, &["one"]),
        (CertificateFilter { ids: vec![one.id, three.id], ..none() }, &["one", "three"]),
        (CertificateFilter { ids: vec![one.id, two.id], statuses: vec![Revoked], ..none() }, &["two"]),
    ];
    for (filter, expected) in cases {
        assert_eq!(found(world, filter.clone()).await, expected, "{filter:?}");
        let by_end = CertificateFilter { sort_by: chancery_model::certificate::CertificateSort::NotAfter, ..filter };
        assert_eq!(found(world, by_end.clone()).await, expected, "{by_end:?}");
    }
}

pub async fn the_latest_active_certificate_and_the_metrics_follow_the_clock(world: &mut World) {
    let reader = world.reader();
    let (project, profile) = (world.project.id, world.id());
    assert_eq!(reader.latest_active_of_profile(project, profile, NOW).await, Ok(None));
    let mut made: Vec<_> = (0..4).map(|day| world.certificate_at("a", &[], NOW.plus_seconds(day * DAY))).collect();
    for it in &mut made {
        it.profile_id = Some(profile);
    }
    made[3].revocation = Some(Revocation { at: NOW, reason: RevocationReason::KeyCompromise });
    made[2].not_after = NOW.plus_seconds(2 * DAY + 60);
    world.commit([0, 1, 2, 3].map(|index| insert(&made[index]))).await.unwrap();
    for (now, expected) in [(2 * DAY, Some(2)), (2 * DAY + 60, Some(2)), (2 * DAY + 61, Some(1)), (91 * DAY, None)] {
        let latest = reader.latest_active_of_profile(project, profile, NOW.plus_seconds(now)).await.unwrap();
        assert_eq!(latest.map(|it| it.id), expected.map(|index: usize| made[index].id), "{now}");
    }
    let metrics = reader.profile_metrics(profile, NOW.plus_seconds(70 * DAY)).await.unwrap();
    assert_eq!(metrics, ProfileMetrics { total: 4, active: 2, expired: 1, expiring: 2, revoked: 1 });
    assert_eq!(reader.profile_metrics(world.id(), NOW).await, Ok(ProfileMetrics::default()));
}

pub async fn another_project_sees_nothing(world: &mut World) {
    let reader = world.reader();
    let other = world.other_project("other");
    let (mine, theirs) = (world.project.id, other.id);
    let (ca, template, identity) = (world.ca("root"), world.template("servers"), world.identity("agent"));
    let profile = world.profile("web", &template, ProfileIssuer::Ca(ca.id));
    let mut certificate = world.certificate("a.acme.com", &["a.acme.com"]);
    (certificate.profile_id, certificate.ca_id) = (Some(profile.id), Some(ca.id));
    let mut request = world.request("a.acme.com");
    (request.id, request.certificate_id) = (certificate.request_id, Some(certificate.id));
    world
        .commit([
            Change::InsertProject(other),
            Change::InsertCa(Box::new(ca.clone())),
            Change::InsertTemplate(Box::new(template.clone())),
            Change::InsertIdentity(identity.clone()),
            Change::InsertProfile(Box::new(profile.clone())),
            insert(&certificate),
            Change::InsertRequest(Box::new(request.clone())),
        ])
        .await
        .unwrap();
    for (project, is_there) in [(mine, true), (theirs, false), (world.id(), false)] {
        assert_eq!(reader.ca(project, ca.id).await.unwrap().is_some(), is_there);
        assert_eq!(reader.ca_by_name(project, "root").await.unwrap().is_some(), is_there);
        assert_eq!(!reader.cas(project).await.unwrap().is_empty(), is_there);
        assert_eq!(reader.template(project, template.id).await.unwrap().is_some(), is_there);
        assert_eq!(reader.template_name_taken(project, "servers").await, Ok(is_there));
        assert_eq!(reader.templates(project, None, &page(5)).await.unwrap().total.count == 1, is_there);
        assert_eq!(reader.identity(project, identity.id).await.unwrap().is_some(), is_there);
        assert_eq!(reader.profile(project, profile.id).await.unwrap().is_some(), is_there);
        assert_eq!(reader.profile_by_slug(project, "web").await.unwrap().is_some(), is_there);
        assert_eq!(reader.request(project, request.id).await.unwrap().is_some(), is_there);
        assert_eq!(reader.certificate(project, certificate.id).await.unwrap().is_some(), is_there);
        assert_eq!(reader.certificate_by_request(project, request.id).await.unwrap().is_some(), is_there);
        assert_eq!(
            reader.certificate_by_serial(project, &certificate.serial_number).await.unwrap().is_some(),
            is_there
        );
        assert_eq!(reader.latest_active_of_profile(project, profile.id, NOW).await.unwrap().is_some(), is_there);
        assert_eq!(
            reader.requests(project, &RequestFilter::default(), &page(5)).await.unwrap().total.count == 1,
            is_there
        );
        let none = CertificateFilter::default;
        for filter in [
            none(),
            CertificateFilter { profile_ids: vec![profile.id], ..none() },
            CertificateFilter { ca_ids: vec![ca.id], ..none() },
            CertificateFilter { search: Some("acme".to_owned()), ..none() },
            CertificateFilter { search: Some(certificate.serial_number.clone()), ..none() },
            CertificateFilter { san: Some("a.acme.com".to_owned()), ..none() },
            CertificateFilter { fingerprint_sha256: Some(certificate.fingerprint_sha256), ..none() },
        ] {
            let page = reader.certificates(project, &filter, NOW, &page(5)).await.unwrap();
            assert_eq!(
                (page.items.len(), page.total.count),
                (usize::from(is_there), u64::from(is_there)),
                "{filter:?}"
            );
        }
    }
}
