//! Revoking a certificate, and taking it off hold.

use askama::Template;
use axum::extract::State;
use chancery_authority::Authority;
use chancery_authority::revocation::{CertificateSelector, Revoked};
use chancery_model::CertificateId;
use chancery_model::certificate::{Certificate, CertificateSource, RevocationReason};
use chancery_model::permission::Permission;
use http::StatusCode;

use super::{Head, about_it, managed, path_of, word};
use crate::form::{Form, Problems};
use crate::frame::{Frame, Section, page_with};
use crate::route::Page;
use crate::text::filters;
use crate::visit::{Answer, Id, Visit};

pub(super) fn pages() -> Vec<Page> {
    use Permission::CertificateRevoke;
    vec![
        Page::get("/ui/certificates/{id}/revoke", CertificateRevoke, ask),
        Page::post("/ui/certificates/{id}/revoke", CertificateRevoke, revoke),
        Page::post("/ui/certificates/{id}/release", CertificateRevoke, release),
    ]
}

#[derive(Template)]
#[template(path = "certificate/revoke.html")]
struct RevokePage {
    frame: Frame,
    head: Head,
    /// Why there is nothing to revoke.
    obstacle: Option<&'static str>,
    /// Who will know.
    consequence: &'static str,
    is_on_hold: bool,
    reasons: Vec<(&'static str, String)>,
    chosen: String,
    problems: Problems,
}

async fn ask(State(authority): State<Authority>, visit: Visit, Id(id): Id<CertificateId>) -> Answer {
    let it = managed(&authority, &visit, id, Permission::CertificateRevoke).await?;
    show(&authority, &visit, &it, "", Problems::default()).await
}

async fn show(authority: &Authority, visit: &Visit, it: &Certificate, chosen: &str, problems: Problems) -> Answer {
    let status = if problems.is_empty() { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
    let ca = match it.ca_id {
        Some(id) => authority.reader().ca_summary(it.project_id, id).await?,
        None => None,
    };
    let is_external = ca.is_some_and(|ca| ca.kind.is_some());
    let is_on_hold = word::is_on_hold(it);
    let obstacle = if it.source == CertificateSource::Imported && it.ca_id.is_none() {
        Some("It was made elsewhere: only its issuer can revoke it. Ask there.")
    } else if it.revocation.is_some() && !is_on_hold {
        Some("It is revoked already, and that is final.")
    } else {
        None
    };
    let consequence = if is_external {
        "The external certification authority is asked to revoke it too, and tells everybody by its own CRL and OCSP responder."
    } else if it.ca_id.is_some() {
        "OCSP tells it at once, the CRL within seconds. Whoever checks neither goes on trusting the certificate until its end."
    } else {
        "It is self-signed, so there is no CRL or OCSP responder that could tell others: take it out of every place that trusts it."
    };
    let reasons =
        word::REASONS.iter().filter(|(reason, ..)| !is_on_hold || *reason != RevocationReason::CertificateHold);
    let reasons = reasons.map(|(reason, label, text)| (reason.as_str(), format!("{label}: {text}"))).collect();
    page_with(
        status,
        &RevokePage {
            frame: visit.frame("Revoke", Section::Inventory),
            head: Head::of(it, visit.now),
            obstacle,
            consequence,
            is_on_hold,
            reasons,
            chosen: chosen.to_owned(),
            problems,
        },
    )
}

async fn revoke(State(authority): State<Authority>, visit: Visit, Id(id): Id<CertificateId>, form: Form) -> Answer {
    let it = managed(&authority, &visit, id, Permission::CertificateRevoke).await?;
    let chosen = form.text("reason");
    let Some(reason) = RevocationReason::from_name(chosen) else {
        let mut problems = Problems::default();
        problems.add("reason", "Choose the reason: it stands in the CRL and in the audit log");
        return show(&authority, &visit, &it, chosen, problems).await;
    };
    match authority.revoke(&visit.call, &CertificateSelector::Id(id), reason).await {
        Ok(done) => Ok(visit.done(&path_of(id), told(&done, reason))),
        Err(error) => show(&authority, &visit, &it, chosen, Problems::from_core(about_it(error), &[])?).await,
    }
}

fn told(done: &Revoked, reason: RevocationReason) -> String {
    let what = if reason == RevocationReason::CertificateHold { "Put on hold" } else { "Revoked" };
    let whom = if done.asks_externally {
        "its external certification authority is being told"
    } else if done.is_published {
        "OCSP says so at once, the CRL within seconds"
    } else {
        "it is self-signed, so take it out of every place that trusts it"
    };
    format!("{what}; {whom}.")
}

async fn release(State(authority): State<Authority>, visit: Visit, Id(id): Id<CertificateId>) -> Answer {
    match authority.release(&visit.call, &CertificateSelector::Id(id)).await {
        Ok(_) => Ok(visit.done(&path_of(id), "Released from hold: it is trusted again.")),
        Err(error) => {
            let problems = Problems::from_core(about_it(error), &[])?;
            Ok(visit.failed(&path_of(id), problems.whole.join(" ")))
        }
    }
}
