//! Certificates of CAs: the first one, the next one, a new key, taking one back; and signing a CA that lives elsewhere.

use askama::Template;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use chancery_authority::hierarchy::{
    CaCertificateRequest, CaRenewal, CaRenewalKey, CaSignerChoice, IntermediateRequest,
};
use chancery_authority::{Authority, Error};
use chancery_model::authority::{CaCertificate, CertificationAuthority, OutsideSigner};
use chancery_model::certificate::RevocationReason;
use chancery_model::external::{ConnectionApp, VaultConfiguration};
use chancery_model::permission::Permission;
use chancery_model::{CaCertificateId, CaId};
use chancery_pkix::pem;

use super::form::{KEY_ALGORITHMS, end, path_length};
use super::{current, find, href, parents, status_of};
use crate::error::WebError;
use crate::form::{Form, Problems};
use crate::frame::{Frame, Section, page, page_with};
use crate::route::Page;
use crate::text::filters;
use crate::visit::{Answer, Download, Id, Ids, Visit};

pub(super) fn pages() -> Vec<Page> {
    use Permission::{CaEdit, CaSign};
    vec![
        Page::get("/ui/authorities/{id}/install", CaEdit, install),
        Page::post("/ui/authorities/{id}/csr", CaEdit, csr),
        Page::post("/ui/authorities/{id}/certificate", CaEdit, generate),
        Page::post("/ui/authorities/{id}/import-certificate", CaEdit, import),
        Page::post("/ui/authorities/{id}/install-from-vault", CaEdit, install_from_vault),
        Page::get("/ui/authorities/{id}/renew", CaEdit, renewal),
        Page::post("/ui/authorities/{id}/renew", CaEdit, renew),
        Page::post("/ui/authorities/{id}/roll-over", CaEdit, roll_over).elevated(),
        Page::get("/ui/authorities/{id}/certificates/{certificate}/revoke", CaEdit, revocation),
        Page::post("/ui/authorities/{id}/certificates/{certificate}/revoke", CaEdit, revoke).elevated(),
        Page::post("/ui/authorities/{id}/certificates/{certificate}/release", CaEdit, release),
        Page::get("/ui/authorities/{id}/sign", CaSign, signing),
        Page::post("/ui/authorities/{id}/sign", CaSign, sign).elevated(),
    ]
}

/// The core's names of fields, and those of the forms here.
const FIELDS: &[(&str, &str)] = &[
    ("notAfter", "lives"),
    ("maxPathLength", "path_length"),
    ("parentCaId", "parent"),
    ("certificate", "certificate"),
    ("certificateChain", "chain"),
    ("appConnectionId", "connection"),
    ("destinationConfig.mount", "mount"),
    ("destinationConfig.issuerRef", "issuer_ref"),
    ("keyAlgorithm", "key_algorithm"),
    ("csr", "csr"),
    ("subject", "csr"),
    ("caId", ""),
    ("type", ""),
];

/// What the forms of the page show.
#[derive(Clone, Debug, Default)]
struct InstallDraft {
    parent: String,
    lives: String,
    path_length: String,
    certificate: String,
    chain: String,
    connection: String,
    mount: String,
    issuer_ref: String,
}

impl InstallDraft {
    fn read(form: &Form) -> Self {
        let text = |name: &str| form.text(name).to_owned();
        Self {
            parent: text("parent"),
            lives: text("lives"),
            path_length: text("path_length"),
            certificate: text("certificate"),
            chain: text("chain"),
            connection: text("connection"),
            mount: text("mount"),
            issuer_ref: text("issuer_ref"),
        }
    }

    fn fresh(ca: &CertificationAuthority, parents: &[(String, String)]) -> Self {
        let signing = ca.configuration.signing.as_ref();
        let outside = signing.and_then(|it| it.outside.as_ref());
        let parent = signing.and_then(|it| it.parent_ca_id).map(|it| it.to_string());
        Self {
            parent: parent.or_else(|| parents.first().map(|it| it.0.clone())).unwrap_or_default(),
            lives: "5y".to_owned(),
            path_length: ca.configuration.path_length_max.map_or_else(|| "0".to_owned(), |it| it.to_string()),
            connection: outside.map(|it| it.connection_id.to_string()).unwrap_or_default(),
            mount: outside.map_or(VaultConfiguration::MOUNT_USUAL, |it| it.mount.as_str()).to_owned(),
            issuer_ref: outside.and_then(|it| it.issuer_ref.clone()).unwrap_or_default(),
            ..Self::default()
        }
    }
}

#[derive(Template)]
#[template(path = "authority/install.html")]
struct InstallPage {
    frame: Frame,
    ca: CertificationAuthority,
    href: String,
    is_root: bool,
    /// It has one that a CA elsewhere signed; another from there takes its place.
    replaces: bool,
    draft: InstallDraft,
    parents: Vec<(String, String)>,
    connections: Vec<(String, String)>,
    csr: Option<String>,
    problems: Problems,
}

impl InstallPage {
    async fn new(authority: &Authority, visit: &Visit, ca: CertificationAuthority) -> Result<Self, WebError> {
        let parents = parents(authority, visit, Some(ca.id)).await?;
        let connections = authority.reader().connections(visit.call.project_id()).await?;
        let vaults = connections.into_iter().filter(|it| it.app == ConnectionApp::Vault);
        let replaces = ca.active_certificate.is_some();
        let title = if replaces { "Install its next certificate" } else { "Install its certificate" };
        Ok(Self {
            frame: visit.frame(title, Section::Authorities),
            href: href(ca.id),
            is_root: ca.configuration.level == chancery_model::authority::CaLevel::Root,
            replaces,
            draft: InstallDraft::fresh(&ca, &parents),
            connections: vaults.map(|it| (it.id.to_string(), it.name)).collect(),
            parents,
            csr: None,
            problems: Problems::default(),
            ca,
        })
    }

    async fn again(
        authority: &Authority,
        visit: &Visit,
        ca: CertificationAuthority,
        form: &Form,
        problems: Problems,
    ) -> Answer {
        let fresh = Self::new(authority, visit, ca).await?;
        let mut draft = InstallDraft::read(form);
        // The other forms of the page keep what they proposed.
        for (now, proposed) in [
            (&mut draft.parent, &fresh.draft.parent),
            (&mut draft.lives, &fresh.draft.lives),
            (&mut draft.connection, &fresh.draft.connection),
            (&mut draft.mount, &fresh.draft.mount),
        ] {
            if now.is_empty() {
                now.clone_from(proposed);
            }
        }
        page_with(status_of(&problems), &Self { draft, problems, ..fresh })
    }
}

async fn install(State(authority): State<Authority>, visit: Visit, Id(id): Id<CaId>) -> Answer {
    let ca = find(&authority, &visit, id).await?;
    page(&InstallPage::new(&authority, &visit, ca).await?)
}

/// The request for a parent elsewhere: on the page, or as a file.
async fn csr(
    State(authority): State<Authority>,
    visit: Visit,
    Id(id): Id<CaId>,
    form: Form,
) -> Result<Response, WebError> {
    let ca = find(&authority, &visit, id).await?;
    let csr = match authority.ca_csr(&visit.call, id).await {
        Ok(csr) => csr,
        Err(error) => {
            let problems = Problems::from_core(error, FIELDS)?;
            return InstallPage::again(&authority, &visit, ca, &form, problems).await;
        }
    };
    if form.text("as") == "file" {
        let name = format!("{}.csr", ca.name);
        return Ok(Download { media_type: "application/pkcs10", name, bytes: csr.into_bytes() }.into_response());
    }
    let fresh = InstallPage::new(&authority, &visit, ca).await?;
    page(&InstallPage { csr: Some(csr), ..fresh })
}

async fn generate(State(authority): State<Authority>, visit: Visit, Id(id): Id<CaId>, form: Form) -> Answer {
    let ca = find(&authority, &visit, id).await?;
    let draft = InstallDraft::read(&form);
    let mut problems = Problems::default();
    let not_after = end("lives", &draft.lives, visit.now, &mut problems);
    let path_length_max = path_length(&draft.path_length, &mut problems);
    let Some(not_after) = not_after.filter(|_| problems.is_empty()) else {
        return InstallPage::again(&authority, &visit, ca, &form, problems).await;
    };
    let parent_ca_id = draft.parent.parse().ok();
    let request = CaCertificateRequest { not_before: None, not_after, path_length_max, parent_ca_id };
    let made = authority.generate_ca_certificate(&visit.call, id, request).await;
    installed(&authority, &visit, ca, &form, made).await
}

async fn import(State(authority): State<Authority>, visit: Visit, Id(id): Id<CaId>, form: Form) -> Answer {
    let ca = find(&authority, &visit, id).await?;
    let (certificate, chain) = (form.text("certificate"), form.text("chain"));
    let (own, above) = apart(certificate, chain);
    let made = authority.import_ca_certificate(&visit.call, id, &own, &above).await;
    installed(&authority, &visit, ca, &form, made).await
}

/// Many hand out the certificate and its chain in one file: the first is the CA's own.
fn apart(certificate: &str, chain: &str) -> (String, String) {
    const END: &str = "-----END CERTIFICATE-----";
    match certificate.find(END).map(|at| certificate.split_at(at + END.len())) {
        Some((own, rest)) if rest.contains("-----BEGIN CERTIFICATE-----") => {
            (own.to_owned(), format!("{}\n{chain}", rest.trim()).trim().to_owned())
        }
        _ => (certificate.to_owned(), chain.to_owned()),
    }
}

async fn install_from_vault(State(authority): State<Authority>, visit: Visit, Id(id): Id<CaId>, form: Form) -> Answer {
    let ca = find(&authority, &visit, id).await?;
    let draft = InstallDraft::read(&form);
    let mut problems = Problems::default();
    let not_after = end("lives", &draft.lives, visit.now, &mut problems);
    let path_length = path_length(&draft.path_length, &mut problems);
    let connection_id = form.parsed("connection", &mut problems);
    let (Some(connection_id), true) = (connection_id, problems.is_empty()) else {
        if problems.is_empty() {
            problems.add("connection", "Choose the connection to the Vault or OpenBao that signs");
        }
        return InstallPage::again(&authority, &visit, ca, &form, problems).await;
    };
    let issuer_ref = Some(draft.issuer_ref.clone()).filter(|it| !it.is_empty());
    let signer = CaSignerChoice::Outside(OutsideSigner { connection_id, mount: draft.mount.clone(), issuer_ref });
    let made = match authority.configure_ca_signing(&visit.call, id, signer).await {
        Ok(_) => authority.install_signed_elsewhere(&visit.call, id, path_length, not_after).await,
        Err(error) => Err(error),
    };
    installed(&authority, &visit, ca, &form, made).await
}

async fn installed(
    authority: &Authority,
    visit: &Visit,
    ca: CertificationAuthority,
    form: &Form,
    made: Result<CaCertificate, Error>,
) -> Answer {
    match made {
        Ok(_) => Ok(visit.done(&href(ca.id), format!("{} has its certificate and can issue", ca.name))),
        Err(error) => {
            let problems = Problems::from_core(error, FIELDS)?;
            InstallPage::again(authority, visit, ca, form, problems).await
        }
    }
}

#[derive(Template)]
#[template(path = "authority/renew.html")]
struct RenewPage {
    frame: Frame,
    ca: CertificationAuthority,
    href: String,
    certificate: CaCertificate,
    is_signed_here: bool,
    lives: String,
    key_algorithm: String,
    algorithms: &'static [(&'static str, &'static str)],
    problems: Problems,
}

async fn renewal(State(authority): State<Authority>, visit: Visit, Id(id): Id<CaId>) -> Answer {
    show_renewal(&authority, &visit, id, &Form::default(), Problems::default()).await
}

async fn show_renewal(authority: &Authority, visit: &Visit, id: CaId, form: &Form, problems: Problems) -> Answer {
    let ca = find(authority, visit, id).await?;
    let certificate = current(authority, &ca).await?.ok_or_else(|| WebError::not_found("A certificate of this CA"))?;
    let usual = ca.configuration.key_algorithm.as_str();
    page_with(
        status_of(&problems),
        &RenewPage {
            frame: visit.frame(format!("Renew {}", ca.name), Section::Authorities),
            href: href(id),
            is_signed_here: ca.is_signed_here(&certificate),
            certificate,
            lives: form.text("lives").to_owned(),
            key_algorithm: form.given("key_algorithm").unwrap_or(usual).to_owned(),
            algorithms: KEY_ALGORITHMS,
            problems,
            ca,
        },
    )
}

async fn renew(State(authority): State<Authority>, visit: Visit, Id(id): Id<CaId>, form: Form) -> Answer {
    renew_with(&authority, &visit, id, &form, CaRenewalKey::Existing).await
}

async fn roll_over(State(authority): State<Authority>, visit: Visit, Id(id): Id<CaId>, form: Form) -> Answer {
    let mut problems = Problems::default();
    let algorithm = form.parsed("key_algorithm", &mut problems);
    if !problems.is_empty() {
        return show_renewal(&authority, &visit, id, &form, problems).await;
    }
    renew_with(&authority, &visit, id, &form, CaRenewalKey::New(algorithm)).await
}

async fn renew_with(authority: &Authority, visit: &Visit, id: CaId, form: &Form, key: CaRenewalKey) -> Answer {
    let mut problems = Problems::default();
    let not_after = form.given("lives").and_then(|text| end("lives", text, visit.now, &mut problems));
    if !problems.is_empty() {
        return show_renewal(authority, visit, id, form, problems).await;
    }
    match authority.renew_ca(&visit.call, id, CaRenewal { key, not_after }).await {
        Ok(made) => {
            let what = if key == CaRenewalKey::Existing { "renewed" } else { "rolled over to a new key" };
            Ok(visit.done(&href(id), format!("The CA is {what}; it ends {}", crate::text::utc(made.not_after))))
        }
        Err(error) => {
            let problems = Problems::from_core(error, FIELDS)?;
            show_renewal(authority, visit, id, form, problems).await
        }
    }
}

/// Why a CA's certificate is taken back, with a sentence each (RFC 5280 §5.3.1).
const REASONS: &[(RevocationReason, &str)] = &[
    (RevocationReason::Unspecified, "No reason is given"),
    (RevocationReason::CaCompromise, "CA compromise: somebody else has the CA's key, or may have it"),
    (RevocationReason::Superseded, "Superseded: another certificate has taken its place"),
    (RevocationReason::CessationOfOperation, "Cessation of operation: the CA is not used any more"),
    (RevocationReason::AffiliationChanged, "Affiliation changed: the name in it is no longer right"),
    (RevocationReason::CertificateHold, "On hold: for now; it can be released again"),
];

#[derive(Template)]
#[template(path = "authority/revoke.html")]
struct RevokePage {
    frame: Frame,
    ca: CertificationAuthority,
    href: String,
    certificate: CaCertificate,
    is_current: bool,
    is_held: bool,
    is_final: bool,
    reasons: Vec<(&'static str, &'static str)>,
    reason: String,
    problems: Problems,
}

async fn revocation(
    State(authority): State<Authority>,
    visit: Visit,
    Ids(ca, certificate): Ids<CaId, CaCertificateId>,
) -> Answer {
    show_revocation(&authority, &visit, (ca, certificate), &Form::default(), Problems::default()).await
}

async fn show_revocation(
    authority: &Authority,
    visit: &Visit,
    (id, certificate): (CaId, CaCertificateId),
    form: &Form,
    problems: Problems,
) -> Answer {
    let ca = find(authority, visit, id).await?;
    let found = authority.reader().ca_certificate(certificate).await?.filter(|it| it.ca_id == id);
    let certificate = found.ok_or_else(|| WebError::not_found("This certificate"))?;
    let is_held = certificate.revocation.is_some_and(|it| it.reason == RevocationReason::CertificateHold);
    let reasons = REASONS.iter().filter(|(reason, _)| !is_held || *reason != RevocationReason::CertificateHold);
    page_with(
        status_of(&problems),
        &RevokePage {
            frame: visit.frame(format!("Revoke a certificate of {}", ca.name), Section::Authorities),
            href: href(id),
            is_current: ca.active_certificate == Some(certificate.id),
            is_held,
            is_final: certificate.revocation.is_some() && !is_held,
            reasons: reasons.map(|(reason, text)| (reason.as_str(), *text)).collect(),
            reason: form.text("reason").to_owned(),
            certificate,
            problems,
            ca,
        },
    )
}

async fn revoke(
    State(authority): State<Authority>,
    visit: Visit,
    Ids(ca, certificate): Ids<CaId, CaCertificateId>,
    form: Form,
) -> Answer {
    let mut problems = Problems::default();
    let reason = form.word("reason", RevocationReason::from_name, &mut problems);
    let reason = reason.unwrap_or(RevocationReason::Unspecified);
    if problems.is_empty() {
        match authority.revoke_ca_certificate(&visit.call, ca, certificate, reason).await {
            Ok(_) if reason == RevocationReason::CertificateHold => {
                return Ok(
                    visit.done(&href(ca), "The certificate is on hold; the CA issues nothing until it is released")
                );
            }
            Ok(_) => return Ok(visit.done(&href(ca), "The certificate is revoked")),
            Err(error) => problems = Problems::from_core(error, &[("id", ""), ("caCertId", "")])?,
        }
    }
    show_revocation(&authority, &visit, (ca, certificate), &form, problems).await
}

async fn release(
    State(authority): State<Authority>,
    visit: Visit,
    Ids(ca, certificate): Ids<CaId, CaCertificateId>,
) -> Answer {
    match authority.release_ca_certificate(&visit.call, ca, certificate).await {
        Ok(_) => Ok(visit.done(&href(ca), "The certificate is released and in force again")),
        Err(error) => {
            let problems = Problems::from_core(error, &[("id", ""), ("caCertId", "")])?;
            show_revocation(&authority, &visit, (ca, certificate), &Form::default(), problems).await
        }
    }
}

/// A CA certificate that was made for somebody else.
struct Signed {
    certificate: String,
    chain: String,
    serial_number: String,
}

#[derive(Template)]
#[template(path = "authority/sign.html")]
struct SignPage {
    frame: Frame,
    ca: CertificationAuthority,
    href: String,
    csr: String,
    lives: String,
    path_length: String,
    signed: Option<Signed>,
    problems: Problems,
}

impl SignPage {
    fn new(visit: &Visit, ca: CertificationAuthority, form: &Form) -> Self {
        Self {
            frame: visit.frame("Sign another CA", Section::Authorities),
            href: href(ca.id),
            csr: form.text("csr").to_owned(),
            lives: form.given("lives").unwrap_or("5y").to_owned(),
            path_length: form.raw("path_length").unwrap_or("0").trim().to_owned(),
            signed: None,
            problems: Problems::default(),
            ca,
        }
    }
}

async fn signing(State(authority): State<Authority>, visit: Visit, Id(id): Id<CaId>) -> Answer {
    let ca = find(&authority, &visit, id).await?;
    page(&SignPage::new(&visit, ca, &Form::default()))
}

async fn sign(State(authority): State<Authority>, visit: Visit, Id(id): Id<CaId>, form: Form) -> Answer {
    let ca = find(&authority, &visit, id).await?;
    let empty = SignPage::new(&visit, ca, &form);
    let mut problems = Problems::default();
    if empty.csr.is_empty() {
        problems.add("csr", "Paste the certificate signing request of the other CA (PEM)");
    }
    let not_after = end("lives", &empty.lives, visit.now, &mut problems);
    let path_length_max = path_length(&empty.path_length, &mut problems);
    let Some(not_after) = not_after.filter(|_| problems.is_empty()) else {
        return page_with(status_of(&problems), &SignPage { problems, ..empty });
    };
    let request = IntermediateRequest { csr: empty.csr.clone(), not_before: None, not_after, path_length_max };
    match authority.sign_intermediate(&visit.once(&form), id, request).await {
        Ok(made) => {
            let encode = |der: &[u8]| pem::encode(pem::CERTIFICATE, der);
            let signed = Signed {
                certificate: encode(&made.certificate_der),
                chain: made.chain.iter().map(|der| encode(der)).collect(),
                serial_number: made.serial_number,
            };
            page(&SignPage { signed: Some(signed), ..empty })
        }
        Err(error) => {
            let problems = Problems::from_core(error, FIELDS)?;
            page_with(status_of(&problems), &SignPage { problems, ..empty })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_with_the_chain_behind_the_certificate_is_taken_apart() {
        let one = |name: &str| format!("-----BEGIN CERTIFICATE-----\n{name}\n-----END CERTIFICATE-----");
        let (a, b, c) = (one("a"), one("b"), one("c"));
        for (certificate, chain, expected) in [
            (a.clone(), String::new(), (a.clone(), String::new())),
            (a.clone(), b.clone(), (a.clone(), b.clone())),
            (format!("{a}\n{b}\n"), String::new(), (a.clone(), b.clone())),
            (format!("{a}\n{b}"), c.clone(), (a.clone(), format!("{b}\n{c}"))),
            ("nothing".to_owned(), b.clone(), ("nothing".to_owned(), b.clone())),
        ] {
            assert_eq!(apart(&certificate, &chain), expected);
        }
    }
}
