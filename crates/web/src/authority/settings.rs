//! How a CA works: its name and state, how it tells what it has revoked, whether it renews itself, and who signs it.

use askama::Template;
use axum::extract::State;
use chancery_authority::enrollment::Field;
use chancery_authority::hierarchy::{AutoRenewalPatch, CaPatch, CaSignerChoice, StatusPatch};
use chancery_authority::{Authority, Error};
use chancery_model::CaId;
use chancery_model::authority::{CaLevel, CaStatus, CertificationAuthority, OutsideSigner};
use chancery_model::external::{ConnectionApp, VaultConfiguration};
use chancery_model::page::PageRequest;
use chancery_model::permission::Permission;
use chancery_model::time::Ttl;

use super::form::ttl;
use super::{find, href, name_taken, parents, status_of};
use crate::form::{Form, Problems};
use crate::frame::{Frame, Section, page_with};
use crate::route::Page;
use crate::visit::{Answer, Id, Visit};

pub(super) fn pages() -> Vec<Page> {
    use Permission::CaEdit;
    vec![
        Page::get("/ui/authorities/{id}/settings", CaEdit, show),
        Page::post("/ui/authorities/{id}/settings", CaEdit, update),
        Page::post("/ui/authorities/{id}/auto-renewal", CaEdit, update_renewal),
        Page::post("/ui/authorities/{id}/signing", CaEdit, update_signing),
    ]
}

/// The core's names of fields, and those of the forms here.
const FIELDS: &[(&str, &str)] = &[
    ("name", "name"),
    ("status", "status"),
    ("configuration.crlValidity", "crl_validity"),
    ("configuration.crlPartitions", "crl_partitions"),
    ("configuration.deltaCrlInterval", "delta_interval"),
    ("configuration.crlDistributionPointUrls", "crl_urls"),
    ("autoRenewalDaysBeforeExpiry", "days"),
    ("autoRenewalEnabled", "renews"),
    ("parentCaId", "parent"),
    ("appConnectionId", "connection"),
    ("destinationConfig.mount", "mount"),
    ("destinationConfig.issuerRef", "issuer_ref"),
    ("caId", ""),
];

/// Templates that can be chosen for direct issuance.
const TEMPLATES_MAX: u32 = 100;

/// What the fields of all three forms show.
#[derive(Clone, Debug)]
struct Draft {
    name: String,
    status: String,
    template: String,
    crl_validity: String,
    crl_partitions: String,
    delta_interval: String,
    crl_urls: String,
    has_ocsp: bool,
    has_managed_url: bool,
    renews: bool,
    days: String,
    renews_key: bool,
    signer: String,
    parent: String,
    connection: String,
    mount: String,
    issuer_ref: String,
}

impl Draft {
    fn of(ca: &CertificationAuthority) -> Self {
        let (status, renewal) = (&ca.configuration.status, &ca.configuration.auto_renewal);
        let signing = ca.configuration.signing.as_ref();
        let outside = signing.and_then(|it| it.outside.as_ref());
        Self {
            name: ca.name.clone(),
            status: ca.status.as_str().to_owned(),
            template: ca.direct_issuance_template.map(|it| it.to_string()).unwrap_or_default(),
            crl_validity: status.crl_validity.to_string(),
            crl_partitions: status.crl_partitions.to_string(),
            delta_interval: status.delta_crl_interval.map(|it| it.to_string()).unwrap_or_default(),
            crl_urls: status.crl_urls.join("\n"),
            has_ocsp: status.ocsp,
            has_managed_url: status.managed_crl_url,
            renews: renewal.enabled,
            days: renewal.days_before_expiry.map(|it| it.to_string()).unwrap_or_default(),
            renews_key: renewal.new_key,
            signer: match signing {
                None => "",
                Some(it) if it.parent_ca_id.is_some() => "internal",
                Some(it) if it.outside.is_some() => "vault",
                Some(_) => "manual",
            }
            .to_owned(),
            parent: signing.and_then(|it| it.parent_ca_id).map(|it| it.to_string()).unwrap_or_default(),
            connection: outside.map(|it| it.connection_id.to_string()).unwrap_or_default(),
            mount: outside.map_or(VaultConfiguration::MOUNT_USUAL, |it| it.mount.as_str()).to_owned(),
            issuer_ref: outside.and_then(|it| it.issuer_ref.clone()).unwrap_or_default(),
        }
    }

    /// The first form as it was sent; the others show what is in force.
    fn with_general(self, form: &Form) -> Self {
        let text = |name: &str| form.text(name).to_owned();
        Self {
            name: text("name"),
            status: text("status"),
            template: text("template"),
            crl_validity: text("crl_validity"),
            crl_partitions: text("crl_partitions"),
            delta_interval: text("delta_interval"),
            crl_urls: form.raw("crl_urls").unwrap_or_default().to_owned(),
            has_ocsp: form.has("ocsp"),
            has_managed_url: form.has("managed_url"),
            ..self
        }
    }

    fn with_renewal(self, form: &Form) -> Self {
        let days = form.text("days").to_owned();
        Self { renews: form.has("renews"), days, renews_key: form.has("renews_key"), ..self }
    }

    fn with_signing(self, form: &Form) -> Self {
        let text = |name: &str| form.text(name).to_owned();
        Self {
            signer: text("signer"),
            parent: text("parent"),
            connection: text("connection"),
            mount: text("mount"),
            issuer_ref: text("issuer_ref"),
            ..self
        }
    }

    fn patch(&self, form: &Form, problems: &mut Problems) -> CaPatch {
        let optional_ttl = |field: &str, text: &str, problems: &mut Problems| -> Field<Ttl> {
            if text.is_empty() { Field::Null } else { ttl(field, text, problems).map_or(Field::Missing, Field::Value) }
        };
        let partitions = form.parsed::<u32>("crl_partitions", problems);
        let template = form.parsed("template", problems);
        CaPatch {
            name: Some(self.name.clone()),
            status: form.word("status", CaStatus::from_name, problems).filter(|it| *it != CaStatus::PendingCertificate),
            direct_issuance_template: template.map_or(Field::Null, Field::Value),
            status_settings: StatusPatch {
                crl_validity: optional_ttl("crl_validity", &self.crl_validity, problems),
                crl_partitions: partitions.map_or(Field::Null, Field::Value),
                delta_crl_interval: optional_ttl("delta_interval", &self.delta_interval, problems),
                ocsp: Field::Value(self.has_ocsp),
                managed_crl_url: Field::Value(self.has_managed_url),
                crl_urls: Field::Value(form.lines("crl_urls")),
            },
        }
    }

    fn choice(&self, form: &Form, problems: &mut Problems) -> Option<CaSignerChoice> {
        match self.signer.as_str() {
            "internal" => {
                let parent = form.parsed("parent", problems);
                if parent.is_none() {
                    problems.add("parent", "Choose the CA that signs this one");
                }
                parent.map(CaSignerChoice::Parent)
            }
            "vault" => {
                let connection_id = form.parsed("connection", problems);
                if connection_id.is_none() {
                    problems.add("connection", "Choose the connection to the Vault or OpenBao that signs this CA");
                }
                let issuer_ref = Some(self.issuer_ref.clone()).filter(|it| !it.is_empty());
                let mount = self.mount.clone();
                Some(CaSignerChoice::Outside(OutsideSigner { connection_id: connection_id?, mount, issuer_ref }))
            }
            "manual" => Some(CaSignerChoice::ByHand),
            _ => {
                problems.add("signer", "Choose who signs this CA");
                None
            }
        }
    }
}

#[derive(Template)]
#[template(path = "authority/settings.html")]
struct SettingsPage {
    frame: Frame,
    ca: CertificationAuthority,
    href: String,
    is_root: bool,
    is_waiting: bool,
    draft: Draft,
    templates: Vec<(String, String)>,
    parents: Vec<(String, String)>,
    connections: Vec<(String, String)>,
    problems: Problems,
}

async fn show(State(authority): State<Authority>, visit: Visit, Id(id): Id<CaId>) -> Answer {
    let ca = find(&authority, &visit, id).await?;
    let draft = Draft::of(&ca);
    show_with(&authority, &visit, ca, draft, Problems::default()).await
}

async fn show_with(
    authority: &Authority,
    visit: &Visit,
    ca: CertificationAuthority,
    draft: Draft,
    problems: Problems,
) -> Answer {
    let project = visit.call.project_id();
    let first = PageRequest { offset: 0, limit: TEMPLATES_MAX, cursor: None };
    let templates = authority.reader().templates(project, None, &first).await?.items;
    let none = (String::new(), "None: always by a profile".to_owned());
    let connections = authority.reader().connections(project).await?;
    let vaults = connections.into_iter().filter(|it| it.app == ConnectionApp::Vault);
    page_with(
        status_of(&problems),
        &SettingsPage {
            frame: visit.frame(format!("Settings of {}", ca.name), Section::Authorities),
            href: href(ca.id),
            is_root: ca.configuration.level == CaLevel::Root,
            is_waiting: ca.active_certificate.is_none(),
            draft,
            templates: std::iter::once(none)
                .chain(templates.into_iter().map(|it| (it.id.to_string(), it.name)))
                .collect(),
            parents: parents(authority, visit, Some(ca.id)).await?,
            connections: vaults.map(|it| (it.id.to_string(), it.name)).collect(),
            problems,
            ca,
        },
    )
}

async fn update(State(authority): State<Authority>, visit: Visit, Id(id): Id<CaId>, form: Form) -> Answer {
    let ca = find(&authority, &visit, id).await?;
    let draft = Draft::of(&ca).with_general(&form);
    let mut problems = Problems::default();
    let patch = draft.patch(&form, &mut problems);
    if !problems.is_empty() {
        return show_with(&authority, &visit, ca, draft, problems).await;
    }
    let changed = authority.update_ca(&visit.call, id, patch).await;
    finish(&authority, &visit, ca, draft, changed).await
}

async fn update_renewal(State(authority): State<Authority>, visit: Visit, Id(id): Id<CaId>, form: Form) -> Answer {
    let ca = find(&authority, &visit, id).await?;
    let draft = Draft::of(&ca).with_renewal(&form);
    let mut problems = Problems::default();
    let days_before_expiry = form.parsed("days", &mut problems);
    if !problems.is_empty() {
        return show_with(&authority, &visit, ca, draft, problems).await;
    }
    let patch = AutoRenewalPatch { enabled: Some(draft.renews), days_before_expiry, new_key: Some(draft.renews_key) };
    let changed = authority.configure_ca_renewal(&visit.call, id, patch).await;
    finish(&authority, &visit, ca, draft, changed).await
}

async fn update_signing(State(authority): State<Authority>, visit: Visit, Id(id): Id<CaId>, form: Form) -> Answer {
    let ca = find(&authority, &visit, id).await?;
    let draft = Draft::of(&ca).with_signing(&form);
    let mut problems = Problems::default();
    let choice = draft.choice(&form, &mut problems);
    let Some(choice) = choice.filter(|_| problems.is_empty()) else {
        return show_with(&authority, &visit, ca, draft, problems).await;
    };
    let changed = authority.configure_ca_signing(&visit.call, id, choice).await;
    finish(&authority, &visit, ca, draft, changed).await
}

async fn finish(
    authority: &Authority,
    visit: &Visit,
    ca: CertificationAuthority,
    draft: Draft,
    changed: Result<CertificationAuthority, Error>,
) -> Answer {
    match changed {
        Ok(_) => Ok(visit.done(&href(ca.id), "The settings are saved")),
        Err(error) => {
            let problems = Problems::from_core(name_taken(error), FIELDS)?;
            show_with(authority, visit, ca, draft, problems).await
        }
    }
}
