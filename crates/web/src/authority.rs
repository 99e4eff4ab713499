//! Certification authorities: the hierarchy, and each CA with its certificates and what it tells about revocation.

mod certificate;
mod form;
mod import;
mod settings;
mod tree;
mod view;

use askama::Template;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use chancery_authority::Authority;
use chancery_model::authority::{CaCertificate, CertificationAuthority};
use chancery_model::permission::Permission;
use chancery_model::{CaCertificateId, CaId, CrlId};
use chancery_pkix::pem;
use http::StatusCode;

use crate::error::WebError;
use crate::form::{Form, Problems};
use crate::frame::{Frame, Section, page, page_with};
use crate::route::Page;
use crate::text::filters;
use crate::visit::{Answer, Download, Id, Query, Visit, redirect};
use form::{CaDraft, KEY_ALGORITHMS, SIGNATURE_ALGORITHMS};
use tree::Stroke;
pub(crate) use tree::{Badge, external_state};
use view::CaView;
pub(crate) use view::{Link as ProfileLink, profiles_of};

pub(crate) const BASE: &str = "/ui/authorities";

pub(crate) fn pages() -> Vec<Page> {
    use Permission::{CaCreate, CaDelete, CaRead};
    let mut all = vec![
        Page::get(BASE, CaRead, list),
        Page::get("/ui/authorities/new", CaCreate, new),
        Page::post("/ui/authorities/new", CaCreate, create).elevated(),
        Page::get("/ui/authorities/{id}", CaRead, show),
        Page::get("/ui/authorities/{id}/download", CaRead, download),
        Page::post("/ui/authorities/{id}/delete", CaDelete, delete).elevated(),
    ];
    all.extend(certificate::pages());
    all.extend(settings::pages());
    all.extend(import::pages());
    all
}

#[derive(Template)]
#[template(path = "authority/list.html")]
struct ListPage {
    frame: Frame,
    strokes: Vec<Stroke>,
    external: Vec<tree::ExternalNode>,
}

#[derive(Template)]
#[template(path = "authority/new.html")]
struct NewPage {
    frame: Frame,
    draft: CaDraft,
    parents: Vec<(String, String)>,
    algorithms: &'static [(&'static str, &'static str)],
    signatures: &'static [(&'static str, &'static str)],
    problems: Problems,
}

#[derive(Template)]
#[template(path = "authority/show.html")]
struct ShowPage {
    frame: Frame,
    it: CaView,
}

async fn list(State(authority): State<Authority>, visit: Visit) -> Answer {
    let (strokes, external) = tree::drawn(&authority, &visit).await?;
    page(&ListPage { frame: visit.frame("Certification authorities", Section::Authorities), strokes, external })
}

async fn new(State(authority): State<Authority>, visit: Visit, Query(query): Query) -> Answer {
    let parents = parents(&authority, &visit, None).await?;
    let first = parents.first().map(|(id, _)| id.clone());
    let draft = CaDraft::fresh(query.text("level"), query.given("parent").map(str::to_owned).or(first));
    show_new(&visit, draft, parents, Problems::default())
}

fn show_new(visit: &Visit, draft: CaDraft, parents: Vec<(String, String)>, problems: Problems) -> Answer {
    let title = if draft.is_root { "New root CA" } else { "New intermediate CA" };
    page_with(
        status_of(&problems),
        &NewPage {
            frame: visit.frame(title, Section::Authorities),
            draft,
            parents,
            algorithms: KEY_ALGORITHMS,
            signatures: SIGNATURE_ALGORITHMS,
            problems,
        },
    )
}

/// Makes the CA and, where its signer is here, its certificate. If that is refused, the CA waits for one on a page that
/// says why.
async fn create(State(authority): State<Authority>, visit: Visit, form: Form) -> Answer {
    let draft = CaDraft::read(&form);
    let mut problems = Problems::default();
    let wanted = draft.to_core(visit.now, &mut problems);
    if let Some(end) = draft.parent_id().zip(wanted.as_ref().and_then(|it| it.certificate.as_ref())) {
        check_end(&authority, &visit, end.0, end.1.not_after, &mut problems).await?;
    }
    let parents = parents(&authority, &visit, None).await?;
    let Some(wanted) = wanted.filter(|_| problems.is_empty()) else {
        return show_new(&visit, draft, parents, problems);
    };
    let ca = match authority.create_ca(&visit.call, wanted.new).await {
        Ok(ca) => ca,
        Err(error) => {
            let problems = Problems::from_core(name_taken(error), form::CREATE_FIELDS)?;
            return show_new(&visit, draft, parents, problems);
        }
    };
    let here = href(ca.id);
    let Some(request) = wanted.certificate else {
        let note = format!("{} is made", ca.name);
        let to = if ca.active_certificate.is_some() { here } else { format!("{here}/install") };
        return Ok(visit.done(&to, note));
    };
    match authority.generate_ca_certificate(&visit.call, ca.id, request).await {
        Ok(_) => Ok(visit.done(&here, format!("{} is made and can issue", ca.name))),
        Err(error) => {
            let note = format!("{} is made, but it has no certificate yet: {}", ca.name, error.public_message());
            Ok(visit.failed(&format!("{here}/install"), note))
        }
    }
}

/// Said before anything is made; the core says it again.
async fn check_end(
    authority: &Authority,
    visit: &Visit,
    parent: CaId,
    not_after: chancery_model::Timestamp,
    problems: &mut Problems,
) -> Result<(), WebError> {
    let parent = find(authority, visit, parent).await?;
    if let Some(end) = current(authority, &parent).await?.map(|it| it.not_after)
        && not_after > end
    {
        let text = format!("The CA above ends {}; nothing below it may end later", crate::text::utc(end));
        problems.add("lives", text);
    }
    Ok(())
}

async fn show(State(authority): State<Authority>, visit: Visit, Id(id): Id<CaId>) -> Answer {
    let Some(ca) = authority.reader().ca(visit.call.project_id(), id).await? else {
        // Whoever links to a CA need not know of which kind it is.
        let external = authority.reader().external_ca(visit.call.project_id(), id).await?;
        let external = external.ok_or_else(|| WebError::not_found("This certification authority"))?;
        return Ok(redirect(&crate::external::href(external.id)));
    };
    let it = CaView::read(&authority, &visit, ca).await?;
    page(&ShowPage { frame: visit.frame(it.title(), Section::Authorities), it })
}

/// Certificates, chains and CRLs: what is public anyway.
async fn download(
    State(authority): State<Authority>,
    visit: Visit,
    Id(id): Id<CaId>,
    Query(query): Query,
) -> Result<Response, WebError> {
    let ca = find(&authority, &visit, id).await?;
    let missing = || WebError::not_found("This file");
    if query.text("what") == "crl" {
        let crl = query.text("of").parse::<CrlId>().map_err(|_| missing())?;
        let crls = authority.reader().crls_of(ca.id).await?;
        let crl = crls.iter().find(|it| it.id == crl).ok_or_else(missing)?;
        let served = authority.crl(crl.id, false).await?.ok_or_else(missing)?;
        let name = format!("{}-{}.crl", ca.name, served.number);
        return Ok(Download { media_type: "application/pkix-crl", name, bytes: served.der.to_vec() }.into_response());
    }
    let certificates = authority.reader().ca_certificates(ca.id).await?;
    let wanted = query.given("of").and_then(|it| it.parse::<CaCertificateId>().ok()).or(ca.active_certificate);
    let certificate = certificates.iter().find(|it| Some(it.id) == wanted).ok_or_else(missing)?;
    let own = pem::encode(pem::CERTIFICATE, &certificate.der);
    let above = || certificate.chain.iter().map(|der| pem::encode(pem::CERTIFICATE, der));
    let (name, text) = match query.text("what") {
        "chain" => (format!("{}-chain.pem", ca.name), std::iter::once(own).chain(above()).collect()),
        _ => (format!("{}.pem", ca.name), own),
    };
    Ok(Download { media_type: "application/x-pem-file", name, bytes: text.into_bytes() }.into_response())
}

async fn delete(State(authority): State<Authority>, visit: Visit, Id(id): Id<CaId>) -> Answer {
    match authority.delete_ca(&visit.call, id).await {
        Ok(ca) => Ok(visit.done(BASE, format!("{} is deleted", ca.name))),
        Err(error) => {
            let problems = Problems::from_core(error, &[])?;
            Ok(visit.failed(&href(id), problems.whole.join(" ")))
        }
    }
}

pub(crate) fn href(id: CaId) -> String {
    format!("{BASE}/{id}")
}

fn status_of(problems: &Problems) -> StatusCode {
    if problems.is_empty() { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY }
}

async fn find(authority: &Authority, visit: &Visit, id: CaId) -> Result<CertificationAuthority, WebError> {
    let found = authority.reader().ca(visit.call.project_id(), id).await?;
    found.ok_or_else(|| WebError::not_found("This certification authority"))
}

/// The certificate that signs now.
async fn current(authority: &Authority, ca: &CertificationAuthority) -> Result<Option<CaCertificate>, WebError> {
    match ca.active_certificate {
        Some(id) => Ok(authority.reader().ca_certificate(id).await?),
        None => Ok(None),
    }
}

/// CAs here that may sign others: id and name. Never the CA itself.
async fn parents(
    authority: &Authority,
    visit: &Visit,
    without: Option<CaId>,
) -> Result<Vec<(String, String)>, WebError> {
    let cas = authority.reader().cas(visit.call.project_id()).await?;
    let mut signing: Vec<_> =
        cas.into_iter().filter(|it| it.active_certificate.is_some() && Some(it.id) != without).collect();
    signing.sort_by_key(|it| it.configuration.level != chancery_model::authority::CaLevel::Root);
    Ok(signing.into_iter().map(|it| (it.id.to_string(), it.name)).collect())
}

/// A name that is taken is told beside the name.
pub(crate) fn name_taken(error: chancery_authority::Error) -> chancery_authority::Error {
    use chancery_store::{Conflict, StoreError};
    match error {
        chancery_authority::Error::Store(StoreError::Conflict(Conflict::Name)) => {
            chancery_authority::Error::malformed("ca.name_taken", "name", "is taken in this project; choose another")
        }
        chancery_authority::Error::Conflict {
            code: code @ ("ca.name_taken" | "app_connection.name_taken"),
            message,
        } => chancery_authority::Error::malformed(code, "name", message),
        other => other,
    }
}
