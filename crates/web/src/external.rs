//! External certification authorities: ACME CAs, DigiCert, Vault and OpenBao, with their settings tried at the CA itself.

mod form;

use std::time::Duration;

use askama::Template;
use axum::extract::State;
use chancery_authority::external::{ExternalCaPatch, NewExternalCa};
use chancery_authority::{Authority, Error};
use chancery_model::CaId;
use chancery_model::authority::CaStatus;
use chancery_model::external::{
    AcmeConfiguration, ConnectionApp, DnsProviderKind, ExternalCa, ExternalCaKind, ExternalConfiguration,
};
use chancery_model::permission::Permission;
use http::StatusCode;

use crate::authority::{Badge, ProfileLink, external_state, name_taken, profiles_of};
use crate::error::WebError;
use crate::form::{Form, Problems};
use crate::frame::{Frame, Section, page, page_with};
use crate::route::Page;
use crate::text::filters;
use crate::visit::{Answer, Id, Query, Visit};
use form::{ExternalDraft, FIELDS, PRESETS};

pub(crate) fn pages() -> Vec<Page> {
    use Permission::{CaCreate, CaDelete, CaEdit, CaRead};
    vec![
        Page::get("/ui/authorities/external/new", CaCreate, new),
        Page::post("/ui/authorities/external/new", CaCreate, create),
        Page::get("/ui/authorities/external/{id}", CaRead, show),
        Page::get("/ui/authorities/external/{id}/edit", CaEdit, edit),
        Page::post("/ui/authorities/external/{id}/edit", CaEdit, update),
        Page::post("/ui/authorities/external/{id}/test", CaEdit, test),
        Page::post("/ui/authorities/external/{id}/account-key", CaEdit, change_account_key).elevated(),
        Page::post("/ui/authorities/external/{id}/delete", CaDelete, delete).elevated(),
    ]
}

/// How long a page waits for a CA elsewhere; the page itself is given up later.
const PATIENCE: Duration = Duration::from_secs(75);

/// As people call it.
pub(crate) const fn kind_title(kind: ExternalCaKind) -> &'static str {
    match kind {
        ExternalCaKind::Acme => "ACME CA",
        ExternalCaKind::Digicert => "DigiCert CertCentral",
        ExternalCaKind::Vault => "Vault or OpenBao PKI",
    }
}

const KINDS: &[(&str, &str)] = &[("acme", "ACME"), ("digicert", "DigiCert"), ("vault", "Vault or OpenBao")];

pub(crate) fn href(id: CaId) -> String {
    format!("{}/external/{id}", crate::authority::BASE)
}

#[derive(Template)]
#[template(path = "external/form.html")]
struct FormPage {
    frame: Frame,
    /// Present when one is changed.
    ca: Option<ExternalCa>,
    kind: ExternalCaKind,
    kinds: &'static [(&'static str, &'static str)],
    presets: &'static [(&'static str, &'static str)],
    draft: ExternalDraft,
    /// Those of the kind.
    connections: Vec<(String, String)>,
    /// Those that change DNS records.
    dns_connections: Vec<(String, String)>,
    problems: Problems,
}

#[derive(Template)]
#[template(path = "external/show.html")]
struct ShowPage {
    frame: Frame,
    ca: ExternalCa,
    href: String,
    kind: &'static str,
    state: Badge,
    facts: Vec<Fact>,
    zones: Vec<Zone>,
    open_orders: u64,
    profiles: Vec<ProfileLink>,
}

struct Fact {
    name: &'static str,
    value: String,
    href: Option<String>,
}

struct Zone {
    suffix: String,
    connection: String,
    href: String,
    hosted_zone_id: String,
}

async fn new(State(authority): State<Authority>, visit: Visit, Query(query): Query) -> Answer {
    let kind = ExternalCaKind::from_name(query.text("kind")).unwrap_or(ExternalCaKind::Acme);
    show_form(&authority, &visit, None, ExternalDraft::fresh(kind), Problems::default()).await
}

async fn show_form(
    authority: &Authority,
    visit: &Visit,
    ca: Option<ExternalCa>,
    draft: ExternalDraft,
    problems: Problems,
) -> Answer {
    let kind = draft.kind;
    let title = match &ca {
        Some(ca) => format!("Change {}", ca.name),
        None => "New external CA".to_owned(),
    };
    let all = authority.reader().connections(visit.call.project_id()).await?;
    let app = match kind {
        ExternalCaKind::Digicert => Some(ConnectionApp::Digicert),
        ExternalCaKind::Vault => Some(ConnectionApp::Vault),
        ExternalCaKind::Acme => None,
    };
    let of_kind = all.iter().filter(|it| Some(it.app) == app).map(|it| (it.id.to_string(), it.name.clone()));
    let dns = all.iter().filter(|it| DnsProviderKind::of_app(it.app).is_some());
    let title_of = |app| chancery_authority::external::schema::app(app).map_or("", |it| it.title);
    page_with(
        if problems.is_empty() { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY },
        &FormPage {
            frame: visit.frame(title, Section::Authorities),
            kind,
            kinds: KINDS,
            presets: PRESETS,
            connections: of_kind.collect(),
            dns_connections: dns.map(|it| (it.id.to_string(), format!("{} ({})", it.name, title_of(it.app)))).collect(),
            ca,
            draft,
            problems,
        },
    )
}

async fn create(State(authority): State<Authority>, visit: Visit, form: Form) -> Answer {
    let draft = ExternalDraft::read(&form);
    if draft.wants_another_zone {
        return show_form(&authority, &visit, None, draft, Problems::default()).await;
    }
    let mut problems = Problems::default();
    let apps = connection_apps(&authority, &visit).await?;
    let Some((configuration, secrets)) = draft.to_core(&apps, None, &mut problems) else {
        return show_form(&authority, &visit, None, draft, problems).await;
    };
    let new = NewExternalCa { name: draft.name.clone(), status: draft.status(), configuration, secrets };
    match in_time(authority.create_external_ca(&visit.call, new)).await {
        Ok((ca, texts)) => Ok(visit.done(&href(ca.id), told(&format!("{} is made, and answers.", ca.name), &texts))),
        Err(error) => {
            let problems = Problems::from_core(name_taken(error), FIELDS)?;
            show_form(&authority, &visit, None, draft, problems).await
        }
    }
}

async fn show(State(authority): State<Authority>, visit: Visit, Id(id): Id<CaId>) -> Answer {
    let ca = find(&authority, &visit, id).await?;
    let (facts, zones) = facts(&authority, &visit, &ca).await?;
    page(&ShowPage {
        frame: visit.frame(ca.name.clone(), Section::Authorities),
        href: href(id),
        kind: kind_title(ca.kind()),
        state: external_state(ca.status),
        facts,
        zones,
        open_orders: authority.reader().open_orders(id).await?,
        profiles: profiles_of(&authority, &visit, id).await?,
        ca,
    })
}

async fn facts(authority: &Authority, visit: &Visit, ca: &ExternalCa) -> Result<(Vec<Fact>, Vec<Zone>), WebError> {
    let connections = authority.reader().connections(visit.call.project_id()).await?;
    let named = |id| connections.iter().find(|it| it.id == id).map_or_else(|| "gone".to_owned(), |it| it.name.clone());
    let fact = |name, value: String| Fact { name, value, href: None };
    let by = |id| Fact { name: "App connection", value: named(id), href: Some(crate::connection::href(id)) };
    let mut facts = Vec::new();
    let mut zones = Vec::new();
    match &ca.configuration {
        ExternalConfiguration::Acme(it) => {
            facts = acme_facts(it, &ca.standing);
            zones = it
                .zones
                .iter()
                .map(|zone| Zone {
                    suffix: if zone.zone.is_empty() { "Every name".to_owned() } else { zone.zone.clone() },
                    connection: named(zone.connection_id),
                    href: crate::connection::href(zone.connection_id),
                    hosted_zone_id: zone.hosted_zone_id.clone(),
                })
                .collect();
        }
        ExternalConfiguration::Digicert(it) => {
            facts.push(by(it.connection_id));
            facts.push(fact("Organization", it.organization_id.to_string()));
            facts.push(fact("Product", it.product_name_id.clone()));
            let usual = || "As the account says".to_owned();
            facts.push(fact("Proof of domains", it.dcv_method.clone().unwrap_or_else(usual)));
        }
        ExternalConfiguration::Vault(it) => {
            facts.push(by(it.connection_id));
            facts.push(fact("Secrets engine", it.mount.clone()));
            facts.push(fact("Role", it.role.clone()));
            facts.push(fact("Issuer", it.issuer_ref.clone().unwrap_or_else(|| "The role's own".to_owned())));
        }
    }
    Ok((facts, zones))
}

fn acme_facts(it: &AcmeConfiguration, standing: &serde_json::Value) -> Vec<Fact> {
    let optional = [
        ("Account", standing.get("accountUrl").and_then(serde_json::Value::as_str).map(str::to_owned)),
        ("Account e-mail", Some(it.account_email.clone())),
        ("External account binding", it.eab_kid.clone()),
        ("Preferred chain", it.preferred_chain.clone()),
        ("Profile at the CA", it.certificate_profile.clone()),
        ("DNS servers asked", Some(it.dns_resolvers.join(", "))),
    ];
    let fact = |name, value| Fact { name, value, href: None };
    let challenges: Vec<&str> = it.challenges.iter().map(|it| it.as_str()).collect();
    let mut facts = vec![fact("Directory", it.directory_url.clone()), fact("Proofs of control", challenges.join(", "))];
    let given = optional.into_iter().filter_map(|(name, value)| Some(fact(name, value.filter(|it| !it.is_empty())?)));
    facts.extend(given);
    facts.push(fact("Time for DNS records", it.propagation_timeout.to_string()));
    facts
}

async fn edit(State(authority): State<Authority>, visit: Visit, Id(id): Id<CaId>) -> Answer {
    let ca = find(&authority, &visit, id).await?;
    let draft = ExternalDraft::of(&ca);
    show_form(&authority, &visit, Some(ca), draft, Problems::default()).await
}

async fn update(State(authority): State<Authority>, visit: Visit, Id(id): Id<CaId>, form: Form) -> Answer {
    let ca = find(&authority, &visit, id).await?;
    let mut draft = ExternalDraft::read(&form);
    draft.kind = ca.kind();
    if draft.wants_another_zone {
        return show_form(&authority, &visit, Some(ca), draft, Problems::default()).await;
    }
    let mut problems = Problems::default();
    let apps = connection_apps(&authority, &visit).await?;
    let Some((configuration, secrets)) = draft.to_core(&apps, Some(&ca), &mut problems) else {
        return show_form(&authority, &visit, Some(ca), draft, problems).await;
    };
    let patch = ExternalCaPatch {
        name: Some(draft.name.clone()),
        status: Some(draft.status()),
        // The CA is asked about what changes only.
        configuration: (configuration != ca.configuration).then_some(configuration),
        secrets,
    };
    match in_time(authority.update_external_ca(&visit.call, id, patch)).await {
        Ok((_, texts)) => Ok(visit.done(&href(id), told("The settings are saved.", &texts))),
        Err(error) => {
            let problems = Problems::from_core(name_taken(error), FIELDS)?;
            show_form(&authority, &visit, Some(ca), draft, problems).await
        }
    }
}

/// Asks the CA whether the settings that are stored still do.
async fn test(State(authority): State<Authority>, visit: Visit, Id(id): Id<CaId>) -> Answer {
    let ca = find(&authority, &visit, id).await?;
    let patch = ExternalCaPatch { configuration: Some(ca.configuration), ..ExternalCaPatch::default() };
    match in_time(authority.update_external_ca(&visit.call, id, patch)).await {
        Ok((_, texts)) => Ok(visit.done(&href(id), told("The CA answers and accepts the settings.", &texts))),
        Err(error) => refused(&visit, id, error),
    }
}

async fn change_account_key(State(authority): State<Authority>, visit: Visit, Id(id): Id<CaId>) -> Answer {
    match in_time(authority.change_account_key(&visit.call, id)).await {
        Ok(_) => Ok(visit.done(&href(id), "The account at the CA has a new key")),
        Err(error) => refused(&visit, id, error),
    }
}

async fn delete(State(authority): State<Authority>, visit: Visit, Id(id): Id<CaId>) -> Answer {
    match authority.delete_external_ca(&visit.call, id).await {
        Ok(ca) => Ok(visit.done(crate::authority::BASE, format!("{} is deleted; what it issued stays", ca.name))),
        Err(error) => refused(&visit, id, error),
    }
}

/// Back to the CA's page, which says why not.
fn refused(visit: &Visit, id: CaId, error: Error) -> Answer {
    let problems = Problems::from_core(error, &[("configuration", ""), ("caId", "")])?;
    Ok(visit.failed(&href(id), problems.whole.join(" ")))
}

/// What an administrator should know beside that it was done.
fn told(done: &str, texts: &[String]) -> String {
    texts.iter().fold(done.to_owned(), |note, text| format!("{note} Note: {text}."))
}

/// A CA that does not answer is told beside the form, while everything that was typed is still there.
async fn in_time<T>(asked: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    tokio::time::timeout(PATIENCE, asked).await.unwrap_or_else(|_| {
        let text = "it did not answer in time; look whether it can be reached from this server, then try again";
        Err(Error::malformed("ca.upstream", "configuration", text))
    })
}

async fn connection_apps(authority: &Authority, visit: &Visit) -> Result<form::ConnectionApps, WebError> {
    let all = authority.reader().connections(visit.call.project_id()).await?;
    Ok(all.into_iter().map(|it| (it.id, it.app)).collect())
}

async fn find(authority: &Authority, visit: &Visit, id: CaId) -> Result<ExternalCa, WebError> {
    let found = authority.reader().external_ca(visit.call.project_id(), id).await?;
    found.ok_or_else(|| WebError::not_found("This certification authority"))
}

impl ExternalDraft {
    fn status(&self) -> CaStatus {
        if self.is_disabled { CaStatus::Disabled } else { CaStatus::Active }
    }
}
