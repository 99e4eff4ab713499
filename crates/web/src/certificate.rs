//! One certificate: everything that is known of it, and what can be done with it.
//!
//! `view.rs` gathers what the page shows; `decision.rs` and `history.rs` say why it is as it is and what happened to it.
//! `renew.rs`, `revoke.rs` and `download.rs` are its actions with their pages, `form.rs` what their forms hold.

mod decision;
mod download;
mod form;
mod history;
mod renew;
mod revoke;
mod snippet;
mod validity;
mod view;
mod word;

use askama::Template;
use axum::extract::State;
use chancery_authority::{Authority, Error};
use chancery_model::certificate::Certificate;
use chancery_model::permission::Permission;
use chancery_model::{CertificateId, Timestamp};
use http::StatusCode;

use self::view::View;
use self::word::Badge;
use crate::error::WebError;
use crate::form::{Form, Problems};
use crate::frame::{Frame, Section, page, page_with};
use crate::route::Page;
use crate::text::filters;
use crate::visit::{Answer, Id, Visit};

pub(crate) fn pages() -> Vec<Page> {
    use Permission::{CertificateDelete, CertificateEdit, CertificateRead};
    let mut pages = vec![
        Page::get("/ui/certificates/{id}", CertificateRead, show),
        Page::get("/ui/certificates/{id}/labels", CertificateEdit, labels),
        Page::post("/ui/certificates/{id}/labels", CertificateEdit, save_labels),
        Page::get("/ui/certificates/{id}/delete", CertificateDelete, ask_to_delete),
        Page::post("/ui/certificates/{id}/delete", CertificateDelete, delete),
    ];
    pages.extend(renew::pages());
    pages.extend(revoke::pages());
    pages.extend(download::pages());
    pages
}

/// Which certificate a page is about, for its head.
struct Head {
    id: CertificateId,
    name: String,
    badges: Vec<Badge>,
    serial_number: String,
    not_after: Timestamp,
}

impl Head {
    fn of(it: &Certificate, now: Timestamp) -> Self {
        Self {
            id: it.id,
            name: word::name(it),
            badges: word::badges(it, now),
            serial_number: it.serial_number.clone(),
            not_after: it.not_after,
        }
    }
}

#[derive(Template)]
#[template(path = "certificate/show.html")]
struct ShowPage {
    frame: Frame,
    it: Certificate,
    view: View,
}

#[derive(Template)]
#[template(path = "certificate/labels.html")]
struct LabelsPage {
    frame: Frame,
    head: Head,
    labels: Vec<(String, String)>,
    problems: Problems,
}

#[derive(Template)]
#[template(path = "certificate/delete.html")]
struct DeletePage {
    frame: Frame,
    head: Head,
    is_in_use: bool,
}

fn path_of(id: CertificateId) -> String {
    format!("/ui/certificates/{id}")
}

/// The certificate, if this visitor may do this to it. The core asks again when it is done.
async fn managed(
    authority: &Authority,
    visit: &Visit,
    id: CertificateId,
    permission: Permission,
) -> Result<Certificate, WebError> {
    let it = authority.certificate_of(&visit.call, id).await?;
    if authority.may_manage(&visit.call.requester, &it, permission) {
        Ok(it)
    } else {
        Err(Error::PermissionDenied(permission).into())
    }
}

/// What the core says of the certificate itself stands above the form, not at a field named like its id.
fn about_it(error: Error) -> Error {
    match error {
        Error::Malformed { code, field, message } if field == "id" => Error::malformed(code, "", message),
        other => other,
    }
}

async fn show(State(authority): State<Authority>, visit: Visit, Id(id): Id<CertificateId>) -> Answer {
    let it = authority.certificate_of(&visit.call, id).await?;
    let view = View::of(&authority, &visit, &it).await?;
    page(&ShowPage { frame: visit.frame(word::name(&it), Section::Inventory), it, view })
}

async fn labels(State(authority): State<Authority>, visit: Visit, Id(id): Id<CertificateId>) -> Answer {
    let it = managed(&authority, &visit, id, Permission::CertificateEdit).await?;
    let labels = it.metadata.clone();
    show_labels(&visit, &it, labels, Problems::default())
}

fn show_labels(visit: &Visit, it: &Certificate, mut labels: Vec<(String, String)>, problems: Problems) -> Answer {
    let status = if problems.is_empty() { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
    // Room for more without a script.
    labels.extend([(String::new(), String::new()), (String::new(), String::new())]);
    let frame = visit.frame("Labels", Section::Inventory);
    page_with(status, &LabelsPage { frame, head: Head::of(it, visit.now), labels, problems })
}

async fn save_labels(
    State(authority): State<Authority>,
    visit: Visit,
    Id(id): Id<CertificateId>,
    form: Form,
) -> Answer {
    let it = managed(&authority, &visit, id, Permission::CertificateEdit).await?;
    let wanted = form::labels(&form);
    match authority.update_metadata(&visit.call, id, wanted.clone()).await {
        Ok(_) => Ok(visit.done(&path_of(id), "Labels saved.")),
        Err(error) => show_labels(&visit, &it, wanted, Problems::from_core(about_it(error), &[])?),
    }
}

async fn ask_to_delete(State(authority): State<Authority>, visit: Visit, Id(id): Id<CertificateId>) -> Answer {
    let it = authority.certificate_of(&visit.call, id).await?;
    let is_in_use = it.revocation.is_none() && it.not_after >= visit.now;
    let frame = visit.frame("Delete from the inventory", Section::Inventory);
    page(&DeletePage { frame, head: Head::of(&it, visit.now), is_in_use })
}

async fn delete(State(authority): State<Authority>, visit: Visit, Id(id): Id<CertificateId>) -> Answer {
    let gone = authority.delete_certificate(&visit.call, id).await?;
    let note = format!("{} was taken out of the inventory. Its serial number stays taken.", word::name(&gone));
    Ok(visit.done("/ui/certificates", note))
}
