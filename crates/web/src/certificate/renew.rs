//! Renewing a certificate by hand, and when the server does it by itself.

use askama::Template;
use axum::extract::State;
use chancery_authority::Authority;
use chancery_authority::issuance::{Issuance, Issued};
use chancery_authority::renewal::{ConfiguredRenewal, RenewalKeySource, RenewalOptions};
use chancery_model::certificate::Certificate;
use chancery_model::permission::Permission;
use chancery_model::profile::CertificateProfile;
use chancery_model::{CertificateId, Timestamp, Warning};
use http::StatusCode;

use super::form::{AutoDraft, RenewDraft, key_word};
use super::{Head, about_it, managed, path_of, view};
use crate::form::{Form, Problems};
use crate::frame::{Frame, Section, page, page_with};
use crate::route::Page;
use crate::text::{filters, utc};
use crate::visit::{Answer, Id, Visit};

pub(super) fn pages() -> Vec<Page> {
    use Permission::{CertificateEdit, CertificateRenew};
    vec![
        Page::get("/ui/certificates/{id}/renew", CertificateRenew, ask),
        Page::post("/ui/certificates/{id}/renew", CertificateRenew, renew),
        Page::get("/ui/certificates/{id}/auto-renewal", CertificateEdit, auto),
        Page::post("/ui/certificates/{id}/auto-renewal", CertificateEdit, configure),
    ]
}

/// A key that the successor may get.
struct KeyChoice {
    word: &'static str,
    label: &'static str,
    text: &'static str,
    obstacle: Option<String>,
}

#[derive(Template)]
#[template(path = "certificate/renew.html")]
struct RenewPage {
    frame: Frame,
    head: Head,
    obstacle: Option<String>,
    successor: Option<CertificateId>,
    choices: Vec<KeyChoice>,
    shows_key_once: bool,
    ttl: i64,
    draft: RenewDraft,
    problems: Problems,
}

/// The only time that a key which is kept nowhere is seen.
#[derive(Template)]
#[template(path = "certificate/renewed.html")]
struct RenewedPage {
    frame: Frame,
    head: Head,
    private_key: chancery_authority::issuance::Zeroizing<String>,
    warnings: Vec<Warning>,
}

#[derive(Template)]
#[template(path = "certificate/auto_renewal.html")]
struct AutoPage {
    frame: Frame,
    head: Head,
    due_at: Option<Timestamp>,
    /// What the profile says.
    usual: String,
    draft: AutoDraft,
    problems: Problems,
}

async fn ask(State(authority): State<Authority>, visit: Visit, Id(id): Id<CertificateId>) -> Answer {
    let it = managed(&authority, &visit, id, Permission::CertificateRenew).await?;
    let options = authority.renewal_options(&visit.call, id).await?;
    let first = options.keys.iter().find(|(_, obstacle)| obstacle.is_none());
    let draft = RenewDraft {
        key: first.map(|(source, _)| key_word(*source).to_owned()).unwrap_or_default(),
        ..RenewDraft::default()
    };
    show(&visit, &it, options, draft, Problems::default())
}

fn show(visit: &Visit, it: &Certificate, options: RenewalOptions, draft: RenewDraft, problems: Problems) -> Answer {
    let status = if problems.is_empty() { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
    let choices = options.keys.into_iter().map(|(source, obstacle)| choice(source, obstacle)).collect();
    page_with(
        status,
        &RenewPage {
            frame: visit.frame("Renew", Section::Inventory),
            head: Head::of(it, visit.now),
            obstacle: options.obstacle,
            successor: it.renewal.renewed_by,
            choices,
            shows_key_once: options.shows_key_once,
            ttl: it.ttl,
            draft,
            problems,
        },
    )
}

fn choice(source: RenewalKeySource, obstacle: Option<String>) -> KeyChoice {
    let (label, text) = match source {
        RenewalKeySource::New => {
            ("A new key", "The server makes a fresh key pair. The best choice wherever it is possible.")
        }
        RenewalKeySource::Reuse => {
            ("The same key", "For devices that cannot take another. A key that is used for long is known to more.")
        }
        RenewalKeySource::Csr => {
            ("Your own key", "You made a key yourself and send its CSR; the private key stays with you.")
        }
    };
    KeyChoice { word: key_word(source), label, text, obstacle }
}

async fn renew(State(authority): State<Authority>, visit: Visit, Id(id): Id<CertificateId>, form: Form) -> Answer {
    let it = managed(&authority, &visit, id, Permission::CertificateRenew).await?;
    let draft = RenewDraft::read(&form);
    let mut problems = Problems::default();
    if let Some(request) = draft.to_core(&mut problems) {
        match authority.renew(&visit.once(&form), id, request).await {
            Ok(issuance) => return renewed(&visit, issuance),
            Err(error) => {
                let fields = [("renewalKeySource", "key"), ("attributes.ttl", "ttl"), ("ttl", "ttl")];
                problems = Problems::from_core(about_it(error), &fields)?;
            }
        }
    }
    let options = authority.renewal_options(&visit.call, id).await?;
    show(&visit, &it, options, draft, problems)
}

fn renewed(visit: &Visit, issuance: Issuance) -> Answer {
    match issuance {
        Issuance::Issued(issued) => issued_page(visit, *issued),
        Issuance::Pending(pending) => Ok(visit.done(
            &format!("/ui/requests/{}", pending.request.id),
            "The renewal was ordered from the external certification authority; this page follows it.",
        )),
    }
}

fn issued_page(visit: &Visit, issued: Issued) -> Answer {
    let Issued { certificate, private_key, warnings, .. } = issued;
    if let Some(private_key) = private_key {
        let frame = visit.frame("Renewed: keep the private key now", Section::Inventory);
        return page(&RenewedPage { frame, head: Head::of(&certificate, visit.now), private_key, warnings });
    }
    let mut note = format!("Renewed: this is the successor, valid until {}.", utc(certificate.not_after));
    for warning in &warnings {
        note.push_str(&format!(" Note: {}.", warning.message));
    }
    Ok(visit.done(&path_of(certificate.id), note))
}

async fn auto(State(authority): State<Authority>, visit: Visit, Id(id): Id<CertificateId>) -> Answer {
    let it = managed(&authority, &visit, id, Permission::CertificateEdit).await?;
    let draft = AutoDraft::of(&it);
    show_auto(&authority, &visit, &it, draft, Problems::default()).await
}

async fn show_auto(
    authority: &Authority,
    visit: &Visit,
    it: &Certificate,
    draft: AutoDraft,
    problems: Problems,
) -> Answer {
    let status = if problems.is_empty() { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
    let profile = match it.profile_id {
        Some(id) => authority.reader().profile(it.project_id, id).await?,
        None => None,
    };
    page_with(
        status,
        &AutoPage {
            frame: visit.frame("Automatic renewal", Section::Inventory),
            head: Head::of(it, visit.now),
            due_at: it.renewal.due_at,
            usual: usual(profile.as_ref()),
            draft,
            problems,
        },
    )
}

/// What the profile says, in words.
fn usual(profile: Option<&CertificateProfile>) -> String {
    let Some(profile) = profile else {
        return "It was not issued by a certificate profile, so the server cannot renew it.".to_owned();
    };
    match profile.settings.api.as_ref().filter(|api| api.auto_renew) {
        None => format!("The profile {} does not renew by itself.", profile.slug),
        Some(api) => {
            let when = api
                .renew_before_days
                .map_or_else(|| view::rule(api.renew_at), |days| format!("{days} days before the end"));
            format!("The profile {} renews {when}.", profile.slug)
        }
    }
}

async fn configure(State(authority): State<Authority>, visit: Visit, Id(id): Id<CertificateId>, form: Form) -> Answer {
    let it = managed(&authority, &visit, id, Permission::CertificateEdit).await?;
    let draft = AutoDraft::read(&form);
    let mut problems = Problems::default();
    if let Some(wanted) = draft.to_core(&AutoDraft::of(&it), &mut problems) {
        match authority.configure_renewal(&visit.call, id, wanted).await {
            Ok(done) => {
                let due_at = authority.certificate_of(&visit.call, id).await?.renewal.due_at;
                return Ok(visit.done(&path_of(id), configured(done, due_at)));
            }
            Err(error) => {
                let fields = [("renewAt.before", "before"), ("renewBeforeDays", "before")];
                problems = Problems::from_core(about_it(error), &fields)?;
            }
        }
    }
    show_auto(&authority, &visit, &it, draft, problems).await
}

fn configured(done: ConfiguredRenewal, due_at: Option<Timestamp>) -> String {
    match (done, due_at) {
        (ConfiguredRenewal::Disabled, _) => "The server does not renew this certificate by itself any more.".to_owned(),
        (ConfiguredRenewal::Unchanged, _) => "Nothing was changed.".to_owned(),
        (ConfiguredRenewal::Updated { .. }, Some(at)) => format!("Saved. The server renews it on {}.", utc(at)),
        (ConfiguredRenewal::Updated { .. }, None) => "Saved.".to_owned(),
    }
}
