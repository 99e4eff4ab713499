//! Lists: pages that neither lose nor repeat, totals that are honest, cursors that belong to their list.

use std::collections::BTreeSet;

use chancery_model::audit::{AuditEvent, AuditFilter};
use chancery_model::certificate::{
    Certificate, CertificateFilter, CertificateSort, CertificateStatus, Revocation, RevocationReason,
};
use chancery_model::page::{PageRequest, SortOrder, Total};
use chancery_model::request::{RequestFilter, RequestStatus};
use chancery_model::{CertificateId, Timestamp};
use chancery_store::{Change, StoreError, Write};

use crate::world::{DAY, NOW, World, page};

fn insert(it: &Certificate) -> Change {
    Change::InsertCertificate(Box::new(it.clone()))
}

async fn add(world: &World, certificates: &[Certificate]) {
    for some in certificates.chunks(500) {
        world.store().commit(Write { changes: some.iter().map(insert).collect(), audit: vec![] }).await.unwrap();
    }
}

fn at(cursor: Option<String>, limit: u32) -> PageRequest {
    PageRequest { offset: 0, limit, cursor }
}

/// All ids of a list by its cursors, and how many pages that took.
async fn walk(world: &World, filter: &CertificateFilter, limit: u32) -> (Vec<CertificateId>, usize) {
    let (mut ids, mut pages, mut cursor) = (vec![], 0, None);
    loop {
        let found = world.reader().certificates(world.project.id, filter, NOW, &at(cursor, limit)).await.unwrap();
        ids.extend(found.items.iter().map(|it| it.id));
        pages += 1;
        cursor = found.next_cursor;
        if cursor.is_none() {
            return (ids, pages);
        }
        assert!(pages < 1_000, "the walk does not end");
    }
}

pub async fn pages_stay_whole_while_certificates_are_added(world: &mut World) {
    let made: Vec<_> = (0..25).map(|_| world.certificate("a.acme.com", &["a.acme.com"])).collect();
    add(world, &made).await;
    for filter in [
        CertificateFilter::default(),
        CertificateFilter { search: Some("acme.com".to_owned()), ..CertificateFilter::default() },
        CertificateFilter { statuses: vec![CertificateStatus::Active], ..CertificateFilter::default() },
    ] {
        let before: Vec<_> = walk(world, &filter, 100).await.0;
        let mut seen = vec![];
        let mut cursor = None;
        loop {
            let found = world.reader().certificates(world.project.id, &filter, NOW, &at(cursor, 4)).await.unwrap();
            seen.extend(found.items.iter().map(|it| it.id));
            cursor = found.next_cursor;
            if cursor.is_none() {
                break;
            }
            add(world, &[world.certificate("new.acme.com", &[])]).await;
        }
        assert_eq!(seen, before, "{filter:?}");
    }
    let mut upwards = CertificateFilter { sort_order: SortOrder::Ascending, ..CertificateFilter::default() };
    let (ids, _) = walk(world, &upwards, 7).await;
    assert_eq!(ids.iter().take(25).copied().collect::<Vec<_>>(), made.iter().map(|it| it.id).collect::<Vec<_>>());
    upwards.sort_order = SortOrder::Descending;
    let (downwards, _) = walk(world, &upwards, 7).await;
    assert_eq!(downwards, ids.into_iter().rev().collect::<Vec<_>>());
}

pub async fn pages_follow_the_end_of_validity(world: &mut World) {
    let mut made: Vec<_> = (0..30).map(|_| world.certificate("a.acme.com", &[])).collect();
    for (index, it) in made.iter_mut().enumerate() {
        it.not_after = NOW.plus_seconds((index as i64 * 7) % 5 * DAY);
    }
    add(world, &made).await;
    for (sort_order, limit) in [(SortOrder::Ascending, 4), (SortOrder::Descending, 30), (SortOrder::Descending, 3)] {
        for search in [None, Some("acme".to_owned())] {
            let filter = CertificateFilter {
                sort_by: CertificateSort::NotAfter,
                sort_order,
                search,
                ..CertificateFilter::default()
            };
            let (ids, _) = walk(world, &filter, limit).await;
            assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), 30);
            let ends: Vec<Timestamp> =
                ids.iter().map(|id| made.iter().find(|it| it.id == *id).unwrap().not_after).collect();
            let mut sorted = ends.clone();
            sorted.sort_unstable();
            if sort_order == SortOrder::Descending {
                sorted.reverse();
            }
            assert_eq!(ends, sorted, "{filter:?}");
        }
    }
}

/// 10 500 certificates with one rare property on the oldest: the first page is empty, and its cursor leads there.
pub async fn rare_matches_beyond_the_window_are_reached_by_cursor(world: &mut World) {
    let mut made: Vec<_> = (0..10_500).map(|index| world.certificate(&format!("h{index}.acme.com"), &[])).collect();
    made[3].metadata = vec![("rare".to_owned(), "yes".to_owned())];
    made[7].revocation = Some(Revocation { at: NOW, reason: RevocationReason::Unspecified });
    add(world, &made).await;
    let filter = CertificateFilter { metadata: vec![("rare".to_owned(), None)], ..CertificateFilter::default() };
    let first = world.reader().certificates(world.project.id, &filter, NOW, &page(10)).await.unwrap();
    assert_eq!((first.items.len(), first.total), (0, Total { count: 0, exact: false }));
    let (ids, pages) = walk(world, &filter, 10).await;
    assert_eq!((ids, pages), (vec![made[3].id], 2));
    let upwards = CertificateFilter { sort_order: SortOrder::Ascending, ..filter.clone() };
    assert_eq!(walk(world, &upwards, 10).await, (vec![made[3].id], 2));
    let by_end = CertificateFilter { sort_by: CertificateSort::NotAfter, ..filter };
    assert_eq!(walk(world, &by_end, 10).await, (vec![made[3].id], 2));
    // What an index leads to is found at once, however old.
    for filter in [
        CertificateFilter { common_name: Some("h3.acme.com".to_owned()), ..CertificateFilter::default() },
        CertificateFilter { search: Some(made[3].serial_number.clone()), ..CertificateFilter::default() },
    ] {
        let found = world.reader().certificates(world.project.id, &filter, NOW, &page(10)).await.unwrap();
        assert_eq!(found.items.iter().map(|it| it.id).collect::<Vec<_>>(), vec![made[3].id]);
        assert_eq!(found.total, Total { count: 1, exact: true });
    }
    let filter = CertificateFilter { statuses: vec![CertificateStatus::Revoked], ..CertificateFilter::default() };
    let found = world.reader().certificates(world.project.id, &filter, NOW, &page(10)).await.unwrap();
    assert_eq!(found.items.iter().map(|it| it.id).collect::<Vec<_>>(), vec![made[7].id]);
    let all =
        world.reader().certificates(world.project.id, &CertificateFilter::default(), NOW, &page(10)).await.unwrap();
    assert_eq!(all.total, Total { count: 10_500, exact: true });
}

pub async fn names_that_thousands_share_are_listed_newest_first(world: &mut World) {
    let made: Vec<_> =
        (0..10_200).map(|index| world.certificate(&format!("h{index}.acme.com"), &["shared.acme.com"])).collect();
    add(world, &made).await;
    let none = CertificateFilter::default;
    for filter in [
        CertificateFilter { common_name: Some("*.acme.com".to_owned()), ..none() },
        CertificateFilter { san: Some("shared.acme.com".to_owned()), ..none() },
        CertificateFilter { san: Some("*.acme.com".to_owned()), ..none() },
        CertificateFilter { search: Some("acme.com".to_owned()), ..none() },
    ] {
        let found = world.reader().certificates(world.project.id, &filter, NOW, &page(3)).await.unwrap();
        let newest: Vec<_> = made.iter().rev().take(3).map(|it| it.id).collect();
        assert_eq!(found.items.iter().map(|it| it.id).collect::<Vec<_>>(), newest, "{filter:?}");
        assert_eq!(found.total, Total { count: 10_000, exact: false });
        let (ids, _) = walk(world, &filter, 500).await;
        assert_eq!(ids.len(), 10_200);
    }
    let (ids, _) = walk(world, &CertificateFilter { san: Some("*.com.acme".to_owned()), ..none() }, 500).await;
    assert_eq!(ids, vec![]);
}

pub async fn offsets_and_totals_agree(world: &mut World) {
    let made: Vec<_> = (0..12).map(|_| world.certificate("a.acme.com", &[])).collect();
    add(world, &made).await;
    let newest: Vec<_> = made.iter().rev().map(|it| it.id).collect();
    for filter in [
        CertificateFilter::default(),
        CertificateFilter { search: Some("acme".to_owned()), ..CertificateFilter::default() },
    ] {
        for (offset, expected) in [(0, 0..5), (4, 4..9), (10, 10..12), (12, 12..12), (10_000, 12..12)] {
            let request = PageRequest { offset, limit: 5, cursor: None };
            let found = world.reader().certificates(world.project.id, &filter, NOW, &request).await.unwrap();
            assert_eq!(found.items.iter().map(|it| it.id).collect::<Vec<_>>(), newest[expected], "{offset}");
            assert_eq!(found.total, Total { count: 12, exact: true });
            assert_eq!(found.next_cursor.is_some(), offset + 5 < 12);
        }
    }
    let mut requests = vec![];
    for index in 0..6 {
        let mut request = world.request(&format!("{index}.acme.com"));
        request.status = if index % 2 == 0 { RequestStatus::Issued } else { RequestStatus::Failed };
        request.alt_names = Some(format!("Alt{index}"));
        request.created_at = NOW.plus_seconds(index);
        world.commit([Change::InsertRequest(Box::new(request.clone()))]).await.unwrap();
        requests.push(request);
    }
    let none = RequestFilter::default;
    let cases: Vec<(RequestFilter, &[usize])> = vec![
        (none(), &[5, 4, 3, 2, 1, 0]),
        (RequestFilter { ascending: true, ..none() }, &[0, 1, 2, 3, 4, 5]),
        (RequestFilter { statuses: vec![RequestStatus::Issued], ..none() }, &[4, 2, 0]),
        (RequestFilter { search: Some("ALT3".to_owned()), ..none() }, &[3]),
        (RequestFilter { search: Some("2.ACME".to_owned()), ..none() }, &[2]),
        (RequestFilter { profile_ids: vec![requests[1].profile_id.unwrap()], ..none() }, &[1]),
        (RequestFilter { created_from: Some(NOW.plus_seconds(4)), ..none() }, &[5, 4]),
        (RequestFilter { created_to: Some(NOW.plus_seconds(1)), ..none() }, &[1, 0]),
        (RequestFilter { application_id: Some(world.id()), ..none() }, &[]),
    ];
    for (filter, expected) in cases {
        let (mut seen, mut cursor) = (vec![], None);
        loop {
            let found = world.reader().requests(world.project.id, &filter, &at(cursor, 2)).await.unwrap();
            assert_eq!(found.total, Total { count: expected.len() as u64, exact: true }, "{filter:?}");
            seen.extend(found.items);
            cursor = found.next_cursor;
            if cursor.is_none() {
                break;
            }
        }
        assert_eq!(seen, expected.iter().map(|index| requests[*index].clone()).collect::<Vec<_>>(), "{filter:?}");
    }
}

pub async fn cursors_of_other_lists_are_refused(world: &mut World) {
    let reader = world.reader();
    let made: Vec<_> = (0..3).map(|_| world.certificate("a.acme.com", &[])).collect();
    add(world, &made).await;
    let filter = CertificateFilter::default();
    let cursor = reader.certificates(world.project.id, &filter, NOW, &page(1)).await.unwrap().next_cursor;
    let by_end = CertificateFilter { sort_by: CertificateSort::NotAfter, ..filter.clone() };
    let upwards = CertificateFilter { sort_order: SortOrder::Ascending, ..filter.clone() };
    let other = world.other_project("other");
    world.commit([Change::InsertProject(other.clone())]).await.unwrap();
    let page = at(cursor, 1);
    assert!(reader.certificates(world.project.id, &filter, NOW, &page).await.is_ok());
    assert_eq!(reader.certificates(world.project.id, &by_end, NOW, &page).await, Err(StoreError::BadCursor));
    assert_eq!(reader.certificates(world.project.id, &upwards, NOW, &page).await, Err(StoreError::BadCursor));
    assert_eq!(reader.certificates(other.id, &filter, NOW, &page).await, Err(StoreError::BadCursor));
    assert_eq!(reader.templates(world.project.id, None, &page).await, Err(StoreError::BadCursor));
    assert_eq!(reader.requests(world.project.id, &RequestFilter::default(), &page).await, Err(StoreError::BadCursor));
    let audit = reader.audit(world.project.id, &AuditFilter::default(), page.cursor.as_deref(), 1).await;
    assert_eq!(audit, Err(StoreError::BadCursor));
    for text in ["", "x", "\u{0}", "00ff", "'; DROP TABLE certificate; --"] {
        let page = at(Some(text.to_owned()), 1);
        assert_eq!(
            reader.certificates(world.project.id, &filter, NOW, &page).await,
            Err(StoreError::BadCursor),
            "{text}"
        );
    }
}

pub async fn small_lists_page_and_search(world: &mut World) {
    let reader = world.reader();
    let mut made = vec![];
    for index in 0..7 {
        let mut template = world.template(&format!("template-{index}"));
        template.created_at = NOW.plus_seconds(index / 2);
        world.commit([Change::InsertTemplate(Box::new(template.clone()))]).await.unwrap();
        made.push(template);
    }
    made.sort_by_key(|it| std::cmp::Reverse((it.created_at, it.id)));
    let (mut seen, mut cursor) = (vec![], None);
    loop {
        let found = reader.templates(world.project.id, None, &at(cursor, 3)).await.unwrap();
        assert_eq!(found.total, Total { count: 7, exact: true });
        seen.extend(found.items);
        cursor = found.next_cursor;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(seen, made);
    let found = reader.templates(world.project.id, Some("TEMPLATE-3"), &page(10)).await.unwrap();
    assert_eq!(found.items.iter().map(|it| it.name.as_str()).collect::<Vec<_>>(), ["template-3"]);
    let found =
        reader.templates(world.project.id, None, &PageRequest { offset: 5, limit: 3, cursor: None }).await.unwrap();
    assert_eq!(found.items, made[5..]);
}

pub async fn audit_pages_and_filters(world: &mut World) {
    let reader = world.reader();
    let (project, object) = (world.project.id, world.id::<uuid::Uuid>());
    for index in 0..9_i64 {
        let event = if index % 3 == 0 { AuditEvent::CertificateIssued } else { AuditEvent::CertificateRefused };
        let mut record = world.record(event, if index < 4 { object } else { world.id() });
        record.time = NOW.plus_seconds(index / 2);
        if index == 8 {
            record.project_id = None;
        }
        world.store().commit(Write::default().audited(record)).await.unwrap();
    }
    let none = AuditFilter::default;
    let cases: Vec<(AuditFilter, &[i64])> = vec![
        (none(), &[8, 7, 6, 5, 4, 3, 2, 1]),
        (AuditFilter { event: Some(AuditEvent::CertificateIssued), ..none() }, &[7, 4, 1]),
        (AuditFilter { object: Some(object), ..none() }, &[4, 3, 2, 1]),
        (AuditFilter { object: Some(object), event: Some(AuditEvent::CertificateIssued), ..none() }, &[4, 1]),
        (AuditFilter { from: Some(NOW.plus_seconds(3)), ..none() }, &[8, 7]),
        (AuditFilter { to: Some(NOW), ..none() }, &[2, 1]),
        (AuditFilter { actor: Some(object), ..none() }, &[]),
    ];
    for (filter, expected) in cases {
        let (mut seen, mut cursor) = (vec![], None);
        loop {
            let (entries, next) = reader.audit(project, &filter, cursor.as_deref(), 2).await.unwrap();
            seen.extend(entries.iter().map(|it| it.sequence));
            cursor = next;
            if cursor.is_none() {
                break;
            }
        }
        assert_eq!(seen, expected, "{filter:?}");
    }
    let (theirs, _) = reader.audit(world.id(), &none(), None, 10).await.unwrap();
    assert_eq!(theirs, vec![]);
}
