//! Every page and every form, for every role: what is allowed is decided by the declared permission, and by nothing else.
//! Every form, from everywhere: only those of a page of this session are taken.

use chancery_model::audit::{AuditEvent, AuditFilter};
use chancery_model::permission::Role;
use chancery_web::{Access, PageInfo, pages};
use http::Method;

use crate::place::{Browser, Place};

/// The page's address with ids that nothing has.
fn address(page: &PageInfo) -> String {
    let mut out = String::new();
    for (index, part) in page.path.split('/').enumerate() {
        if index > 0 {
            out.push('/');
        }
        out.push_str(if part.starts_with('{') { "01900000-0000-7000-8000-000000000000" } else { part });
    }
    out
}

async fn visit(browser: &Browser<'_>, page: &PageInfo) -> u16 {
    let address = address(page);
    if page.method == Method::GET {
        browser.get(&address).await.status.as_u16()
    } else {
        browser.post(&address, &[]).await.status.as_u16()
    }
}

/// Signing out ends the session that the walk needs.
fn guarded() -> impl Iterator<Item = (&'static PageInfo, chancery_model::permission::Permission)> {
    pages().iter().filter(|it| it.path != "/ui/sign-out").filter_map(|it| match it.access {
        Access::Permission(permission) => Some((it, permission)),
        _ => None,
    })
}

#[tokio::test]
async fn nobody_gets_in_without_a_session() {
    let place = Place::new().await;
    let stranger = place.stranger();
    let mut count = 0;
    for (page, _) in guarded() {
        let address = address(page);
        let answer = match page.method {
            Method::GET => stranger.get(&address).await,
            _ => stranger.post_bare(&address, &[], &[]).await,
        };
        assert!(answer.sent().starts_with("/ui/sign-in"), "{} {}", page.method, page.path);
        count += 1;
    }
    assert!(count > 60, "{count}");
}

#[tokio::test]
async fn each_role_is_let_through_by_the_declared_permission_alone() {
    let place = Place::new().await;
    for role in Role::ALL {
        let browser = place.visitor(*role).await;
        for (page, permission) in guarded() {
            let status = visit(&browser, page).await;
            assert!(status < 500, "{role} {} {}: {status}", page.method, page.path);
            let refused = status == 403;
            assert_eq!(refused, !role.allows(permission), "{role} {} {}: {status}", page.method, page.path);
        }
    }
}

#[tokio::test]
async fn a_page_that_is_refused_is_in_the_audit_log() {
    let place = Place::new().await;
    let auditor = place.visitor(Role::Auditor).await;
    assert_eq!(auditor.post("/ui/settings/project", &[("name", "taken over")]).await.status, 403);
    let filter = AuditFilter { event: Some(AuditEvent::AccessDenied), ..AuditFilter::default() };
    let project = place.authority.default_project_id();
    let (entries, _) = place.authority.reader().audit(project, &filter, None, 10).await.unwrap();
    assert_eq!(entries.len(), 1);
    assert!(entries[0].body.contains("auditor@example.internal"), "{}", entries[0].body);
}

#[tokio::test]
async fn only_forms_of_this_session_are_taken() {
    let place = Place::new().await;
    let (admin, other) = (place.visitor(Role::Admin).await, place.visitor(Role::Operator).await);
    let (own, foreign) = (admin.csrf().await, other.csrf().await);
    assert_ne!(own, foreign);
    for (page, _) in guarded().filter(|(page, _)| page.method == Method::POST) {
        let address = address(page);
        type Pairs<'a> = &'a [(&'a str, &'a str)];
        let evil: [(Pairs<'_>, Pairs<'_>); 6] = [
            (&[], &[]),
            (&[("_csrf", "")], &[]),
            (&[("_csrf", foreign.as_str())], &[]),
            (&[("_csrf", own.as_str())], &[("sec-fetch-site", "cross-site")]),
            (&[("_csrf", own.as_str())], &[("sec-fetch-site", "same-site")]),
            (&[("_csrf", own.as_str())], &[("content-type", "text/plain")]),
        ];
        for (fields, headers) in evil {
            let status = admin.post_bare(&address, fields, headers).await.status;
            assert!(matches!(status.as_u16(), 400 | 403), "{address} {fields:?} {headers:?}: {status}");
        }
    }
    let body = [("_csrf", own.as_str()), ("name", "taken over")];
    let evil = admin.post_bare("/ui/settings/project", &body, &[("sec-fetch-site", "cross-site")]).await;
    assert_eq!(evil.status, 403);
    let project = place.authority.reader().project(place.authority.default_project_id()).await.unwrap().unwrap();
    assert_ne!(project.name, "taken over");
}

#[tokio::test]
async fn signing_in_takes_forms_of_this_site_only() {
    let place = Place::new().await;
    let stranger = place.stranger();
    let fields = [("email", crate::place::ADMIN), ("password", crate::place::PASSWORD)];
    let evil = stranger.post_bare("/ui/sign-in", &fields, &[("sec-fetch-site", "cross-site")]).await;
    assert_eq!(evil.status, 403);
    assert!(stranger.cookie("session").is_none());
}
