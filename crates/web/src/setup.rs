//! The guided set-up: from an empty server to the first certificate, a step at a time. Where one is, is read from what
//! exists, so that it can be left and taken up again, and whatever was made elsewhere counts.

mod form;

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use chancery_authority::Authority;
use chancery_model::authority::{CaStatus, CertificationAuthority};
use chancery_model::page::PageRequest;
use chancery_model::permission::Permission;
use chancery_model::profile::CertificateProfile;
use chancery_model::template::CertificateTemplate;
use http::StatusCode;

use crate::error::WebError;
use crate::form::{Form, Problems};
use crate::frame::{Frame, Section, page, page_with};
use crate::route::Page;
use crate::visit::{Answer, Visit, redirect};
use form::{AuthorityDraft, ProfileDraft, TemplateDraft};

const HOME: &str = "/ui/setup";

pub(crate) fn pages() -> Vec<Page> {
    use Permission::{CaCreate, ProfileCreate, TemplateCreate};
    vec![
        Page::get(HOME, ProfileCreate, show),
        Page::post("/ui/setup/authority", CaCreate, make_authority).elevated(),
        Page::post("/ui/setup/template", TemplateCreate, make_template).elevated(),
        Page::post("/ui/setup/profile", ProfileCreate, make_profile).elevated(),
    ]
}

/// Where one is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Authority,
    Template,
    Profile,
    Certificate,
    Done,
}

impl Step {
    const ALL: [(Self, &'static str); 4] = [
        (Self::Authority, "Certification authority"),
        (Self::Template, "Template"),
        (Self::Profile, "Profile"),
        (Self::Certificate, "First certificate"),
    ];
}

/// What there is already.
struct Progress {
    /// What a profile may be issued by: internal CAs that sign, issuing ones first, and external CAs. Id and name.
    issuers: Vec<(String, String)>,
    template: Option<CertificateTemplate>,
    profile: Option<CertificateProfile>,
    certificates: u64,
}

impl Progress {
    async fn read(authority: &Authority, visit: &Visit) -> Result<Self, WebError> {
        let (reader, project) = (authority.reader(), visit.call.project_id());
        let newest = PageRequest { offset: 0, limit: 1, cursor: None };
        let mut internal: Vec<CertificationAuthority> =
            reader.cas(project).await?.into_iter().filter(|it| it.status == CaStatus::Active).collect();
        internal.sort_by_key(|it| it.configuration.level == chancery_model::authority::CaLevel::Root);
        let external = reader.external_cas(project).await?;
        let issuers = internal.iter().map(|it| (it.id.to_string(), it.name.clone()));
        let issuers = issuers.chain(external.iter().map(|it| (it.id.to_string(), it.name.clone()))).collect();
        Ok(Self {
            issuers,
            template: reader.templates(project, None, &newest).await?.items.into_iter().next(),
            profile: reader.profiles(project, &Default::default(), &newest).await?.items.into_iter().next(),
            certificates: reader.statistics(project, visit.now).await?.total,
        })
    }

    /// The first step that is not done. Whoever skips the CA wants self-signed certificates.
    fn step(&self, skips_authority: bool) -> Step {
        if self.profile.is_some() {
            return if self.certificates > 0 { Step::Done } else { Step::Certificate };
        }
        if self.issuers.is_empty() && !skips_authority {
            Step::Authority
        } else if self.template.is_none() {
            Step::Template
        } else {
            Step::Profile
        }
    }
}

/// Whether the server has nothing to issue with yet, so that the guided set-up is the page to begin with.
pub(crate) async fn is_empty(authority: &Authority, visit: &Visit) -> Result<bool, WebError> {
    let progress = Progress::read(authority, visit).await?;
    Ok(progress.profile.is_none() && progress.certificates == 0)
}

#[derive(Template)]
#[template(path = "setup/show.html")]
struct SetupPage {
    frame: Frame,
    progress: Progress,
    step: Step,
    skips_authority: bool,
    authority: AuthorityDraft,
    template: TemplateDraft,
    profile: ProfileDraft,
    presets: Vec<(&'static str, &'static str)>,
    problems: Problems,
}

impl SetupPage {
    async fn new(authority: &Authority, visit: &Visit, skips_authority: bool) -> Result<Self, WebError> {
        let progress = Progress::read(authority, visit).await?;
        let step = progress.step(skips_authority);
        let issuer = progress.issuers.first().map(|(id, _)| id.clone());
        Ok(Self {
            frame: visit.frame("Set up Chancery", Section::None),
            step,
            skips_authority,
            authority: AuthorityDraft::default(),
            template: TemplateDraft::default(),
            profile: ProfileDraft::issued_by(issuer),
            presets: chancery_authority::template::presets().iter().map(|it| (it.id, it.name)).collect(),
            problems: Problems::default(),
            progress,
        })
    }

    fn is_now(&self, step: &Step) -> bool {
        self.step == *step
    }

    /// Whether the step lies behind.
    fn is_done(&self, step: &Step) -> bool {
        let place = |step: Step| Step::ALL.iter().position(|(it, _)| *it == step).unwrap_or(Step::ALL.len());
        place(*step) < place(self.step)
    }
}

async fn show(State(authority): State<Authority>, visit: Visit, query: crate::visit::Query) -> Answer {
    let page_now = SetupPage::new(&authority, &visit, query.0.has("self-signed")).await?;
    page(&page_now)
}

async fn make_authority(State(authority): State<Authority>, visit: Visit, form: Form) -> Answer {
    let draft = AuthorityDraft::read(&form);
    let mut problems = Problems::default();
    let outcome = match draft.to_core(visit.now, &mut problems) {
        Some(wanted) => hierarchy(&authority, &visit, wanted).await,
        None => {
            return again(&authority, &visit, problems, |page| (page.step, page.authority) = (Step::Authority, draft))
                .await;
        }
    };
    match outcome {
        Ok(()) => Ok(visit.done(HOME, "The root and the issuing certification authority are ready.")),
        Err(error) => {
            let problems = Problems::from_core(error, form::AUTHORITY_FIELDS)?;
            again(&authority, &visit, problems, |page| (page.step, page.authority) = (Step::Authority, draft)).await
        }
    }
}

/// A root, and an issuing CA under it. What an earlier try has made is taken up again.
async fn hierarchy(
    authority: &Authority,
    visit: &Visit,
    wanted: form::Hierarchy,
) -> Result<(), chancery_authority::Error> {
    let project = visit.call.project_id();
    let known = authority.reader().cas(project).await?;
    let find = |name: &str| known.iter().find(|it| it.name == name).cloned();
    let root = match find(&wanted.root.name) {
        Some(root) if root.status == CaStatus::Active => root,
        _ => authority.create_ca(&visit.call, wanted.root).await?,
    };
    let issuing = match find(&wanted.issuing.name) {
        Some(waiting) if waiting.status == CaStatus::PendingCertificate => waiting,
        _ => authority.create_ca(&visit.call, wanted.issuing).await?,
    };
    let request = wanted.certificate.under(root.id);
    authority.generate_ca_certificate(&visit.call, issuing.id, request).await?;
    Ok(())
}

async fn make_template(State(authority): State<Authority>, visit: Visit, form: Form) -> Answer {
    let skips = form.has("self-signed");
    let draft = TemplateDraft::read(&form);
    let mut problems = Problems::default();
    let Some(new) = draft.to_core(&mut problems) else {
        return again(&authority, &visit, problems, |page| (page.step, page.template) = (Step::Template, draft)).await;
    };
    match authority.create_template(&visit.call, new).await {
        Ok(made) => Ok(visit.done(next_page(skips), format!("The template {} is in force.", made.name))),
        Err(error) => {
            let problems = Problems::from_core(error, form::TEMPLATE_FIELDS)?;
            again(&authority, &visit, problems, |page| (page.step, page.template) = (Step::Template, draft)).await
        }
    }
}

async fn make_profile(State(authority): State<Authority>, visit: Visit, form: Form) -> Answer {
    let progress = Progress::read(&authority, &visit).await?;
    let Some(template) = progress.template else { return Ok(redirect(HOME)) };
    let draft = ProfileDraft::read(&form);
    let mut problems = Problems::default();
    let Some(new) = draft.to_core(template.id, &mut problems) else {
        return again(&authority, &visit, problems, |page| (page.step, page.profile) = (Step::Profile, draft)).await;
    };
    match authority.create_profile(&visit.call, new).await {
        Ok(made) => Ok(visit.done(HOME, format!("The profile {} is ready for requests.", made.slug))),
        Err(error) => {
            let problems = Problems::from_core(error, form::PROFILE_FIELDS)?;
            again(&authority, &visit, problems, |page| (page.step, page.profile) = (Step::Profile, draft)).await
        }
    }
}

const fn next_page(skips_authority: bool) -> &'static str {
    if skips_authority { "/ui/setup?self-signed" } else { HOME }
}

/// The step again, with what was typed and what is wrong with it.
async fn again(
    authority: &Authority,
    visit: &Visit,
    problems: Problems,
    fill: impl FnOnce(&mut SetupPage),
) -> Result<Response, WebError> {
    let mut page = SetupPage::new(authority, visit, false).await?;
    page.problems = problems;
    fill(&mut page);
    page_with(StatusCode::UNPROCESSABLE_ENTITY, &page)
}
