//! Certificate profiles: a template, an issuer, and what a request gets when it does not say. Listed, shown with how to
//! request, written with their defaults checked against the template while they are typed.

mod command;
mod draft;

use askama::Template;
use axum::extract::State;
use chancery_authority::Authority;
use chancery_authority::enrollment::Field;
use chancery_authority::profile::{NewProfile, ProfilePatch, ProfileReview};
use chancery_model::certificate::Certificate;
use chancery_model::page::PageRequest;
use chancery_model::permission::Permission;
use chancery_model::profile::{CertificateProfile, ProfileIssuer};
use chancery_model::{ProfileId, TemplateId, Warning};
use chancery_store::{CaSummary, ProfileFilter, ProfileMetrics};
use http::StatusCode;
use uuid::Uuid;

use self::command::Commands;
use self::draft::{Draft, place_of};
use crate::error::WebError;
use crate::form::{Form, Problems};
use crate::frame::{Frame, Section, page, page_with};
use crate::route::Page;
use crate::template::word::{self, Choice};
use crate::text::filters;
use crate::visit::{Answer, Id, Query, Visit};

pub(crate) fn pages() -> Vec<Page> {
    use Permission::{ProfileCreate, ProfileDelete, ProfileEdit, ProfileRead};
    vec![
        Page::get("/ui/profiles", ProfileRead, list),
        Page::get("/ui/profiles/new", ProfileCreate, new),
        Page::post("/ui/profiles/new", ProfileCreate, create).elevated(),
        Page::post("/ui/profiles/review", ProfileRead, review),
        Page::get("/ui/profiles/{id}", ProfileRead, show),
        Page::get("/ui/profiles/{id}/edit", ProfileEdit, edit),
        Page::post("/ui/profiles/{id}/edit", ProfileEdit, update).elevated(),
        Page::post("/ui/profiles/{id}/delete", ProfileDelete, delete).elevated(),
    ]
}

/// Rows of a list.
const PAGE: u32 = 50;
/// Templates that a drop-down offers.
const TEMPLATES_MAX: u32 = PageRequest::LIMIT_MAX;
/// With more certificates than this, a profile's are not counted by state: that would take longer than a page may.
const COUNTED_MAX: u64 = 100_000;

#[derive(Template)]
#[template(path = "profile/list.html")]
struct ListPage {
    frame: Frame,
    search: String,
    is_later: bool,
    rows: Vec<ListRow>,
    total: u64,
    is_exact: bool,
    older: Option<String>,
}

struct ListRow {
    profile: CertificateProfile,
    ca: Option<CaSummary>,
    template: String,
    latest: Option<Certificate>,
    certificates: u64,
}

async fn list(State(authority): State<Authority>, visit: Visit, Query(query): Query) -> Answer {
    let project = visit.call.project_id();
    let reader = authority.reader();
    let request = PageRequest { offset: 0, limit: PAGE, cursor: query.given("cursor").map(str::to_owned) };
    let filter = ProfileFilter { search: query.given("q").map(str::to_owned), ..ProfileFilter::default() };
    let found = reader.profiles(project, &filter, &request).await?;
    let figures = reader.statistics(project, visit.now).await?.by_profile;
    let mut rows = Vec::with_capacity(found.items.len());
    for profile in found.items {
        rows.push(ListRow {
            ca: issuing_ca(&authority, &profile).await?,
            template: reader.template(project, profile.template_id).await?.map(|it| it.name).unwrap_or_default(),
            latest: reader.latest_active_of_profile(project, profile.id, visit.now).await?,
            certificates: certificates(&authority, &visit, profile.id, &figures).await?,
            profile,
        });
    }
    page(&ListPage {
        frame: visit.frame("Certificate profiles", Section::Profiles),
        search: query.text("q").to_owned(),
        is_later: query.has("cursor"),
        rows,
        total: found.total.count,
        is_exact: found.total.exact,
        older: found.next_cursor.map(|cursor| query.further("/ui/profiles", &cursor)),
    })
}

/// From the kept figures; a profile that is not among those with the most has few enough to be counted.
async fn certificates(
    authority: &Authority,
    visit: &Visit,
    id: ProfileId,
    figures: &[(ProfileId, u64)],
) -> Result<u64, WebError> {
    match figures.iter().find(|(it, _)| *it == id) {
        Some((_, count)) => Ok(*count),
        None => Ok(authority.reader().profile_metrics(id, visit.now).await?.total),
    }
}

async fn issuing_ca(authority: &Authority, profile: &CertificateProfile) -> Result<Option<CaSummary>, WebError> {
    let Some(id) = profile.issuer.ca_id() else { return Ok(None) };
    Ok(authority.reader().ca_summary(profile.project_id, id).await?)
}

#[derive(Template)]
#[template(path = "profile/show.html")]
struct ShowPage {
    frame: Frame,
    profile: CertificateProfile,
    ca: Option<CaSummary>,
    template: String,
    summary: Vec<String>,
    facts: Vec<(&'static str, String)>,
    latest: Option<Certificate>,
    certificates: u64,
    figures: Option<ProfileMetrics>,
    warnings: Vec<Warning>,
    commands: Commands,
}

async fn show(State(authority): State<Authority>, visit: Visit, Id(id): Id<ProfileId>) -> Answer {
    let project = visit.call.project_id();
    let reader = authority.reader();
    let profile = find(&authority, &visit, id).await?;
    let template = reader.template(project, profile.template_id).await?;
    let rules = template.as_ref().map(|it| it.rules.clone()).unwrap_or_default();
    let compiled = chancery_authority::template::Template::compile(&rules).ok();
    let by_profile = reader.statistics(project, visit.now).await?.by_profile;
    let count = certificates(&authority, &visit, id, &by_profile).await?;
    let figures = match count {
        0..=COUNTED_MAX => Some(reader.profile_metrics(id, visit.now).await?),
        _ => None,
    };
    page(&ShowPage {
        frame: visit.frame(profile.slug.clone(), Section::Profiles),
        ca: issuing_ca(&authority, &profile).await?,
        template: template.map(|it| it.name).unwrap_or_default(),
        summary: compiled.map(|it| it.summary()).unwrap_or_default(),
        facts: Draft::of(&profile).facts(),
        latest: reader.latest_active_of_profile(project, id, visit.now).await?,
        certificates: count,
        figures,
        warnings: authority.profile_warnings(&profile).await?,
        commands: Commands::of(&visit.server_url, &profile, &rules),
        profile,
    })
}

#[derive(Template)]
#[template(path = "profile/form.html")]
struct FormPage {
    frame: Frame,
    action: String,
    back: String,
    /// Issuer and template of a profile never change.
    edited: Option<Fixed>,
    draft: Draft,
    cas: Vec<(String, String)>,
    templates: Vec<(String, String)>,
    key_algorithms: Vec<(String, String)>,
    signature_algorithms: Vec<(String, String)>,
    key_usages: Vec<Choice>,
    extended_key_usages: Vec<Choice>,
    problems: Problems,
    review: Review,
}

struct Fixed {
    slug: String,
    issuer: String,
    template: String,
}

/// What the core says of the profile as it is filled in.
#[derive(Debug, Default)]
struct Review {
    /// Nothing can be said before the form is complete.
    is_complete: bool,
    /// Field and text.
    problems: Vec<(String, String)>,
    warnings: Vec<Warning>,
}

#[derive(Template)]
#[template(path = "profile/review.html")]
struct ReviewPart {
    review: Review,
}

async fn new(State(authority): State<Authority>, visit: Visit, Query(query): Query) -> Answer {
    let mut draft = Draft::fresh();
    if let Some(id) = query.text("from").parse::<Uuid>().ok().map(ProfileId::from_uuid) {
        let original = find(&authority, &visit, id).await?;
        draft = Draft { slug: format!("{}-copy", original.slug), ..Draft::of(&original) };
    }
    if let Some(template) = query.given("template") {
        template.clone_into(&mut draft.template);
    }
    if let Some(ca) = query.given("ca") {
        ca.clone_into(&mut draft.ca);
    }
    form_page(&authority, &visit, None, (draft, Problems::default()), StatusCode::OK).await
}

async fn create(State(authority): State<Authority>, visit: Visit, form: Form) -> Answer {
    let draft = Draft::read(&form);
    let (wanted, problems) = reviewed(&authority, &visit, &draft, None).await?;
    if form.text("do") == "check" {
        return form_page(&authority, &visit, None, (draft, problems), StatusCode::OK).await;
    }
    let Some(wanted) = wanted.filter(|_| problems.is_empty()) else {
        return form_page(&authority, &visit, None, (draft, problems), StatusCode::UNPROCESSABLE_ENTITY).await;
    };
    match authority.create_profile(&visit.call, wanted).await {
        Ok(profile) => {
            let note = format!("The profile {} is ready: certificates can be requested from it.", profile.slug);
            Ok(visit.done(&format!("/ui/profiles/{}", profile.id), note))
        }
        Err(error) => {
            let problems = Problems::from_core(error, &[("slug", "slug")])?;
            form_page(&authority, &visit, None, (draft, problems), StatusCode::UNPROCESSABLE_ENTITY).await
        }
    }
}

async fn edit(State(authority): State<Authority>, visit: Visit, Id(id): Id<ProfileId>) -> Answer {
    let profile = find(&authority, &visit, id).await?;
    let draft = Draft::of(&profile);
    form_page(&authority, &visit, Some(profile), (draft, Problems::default()), StatusCode::OK).await
}

async fn update(State(authority): State<Authority>, visit: Visit, Id(id): Id<ProfileId>, form: Form) -> Answer {
    let profile = find(&authority, &visit, id).await?;
    let draft = Draft::read(&form).fixed_to(&profile);
    let (wanted, problems) = reviewed(&authority, &visit, &draft, Some(&profile)).await?;
    let is_check = form.text("do") == "check";
    let Some(wanted) = wanted.filter(|_| problems.is_empty() && !is_check) else {
        let status = if is_check { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
        return form_page(&authority, &visit, Some(profile), (draft, problems), status).await;
    };
    let patch = ProfilePatch {
        slug: Some(wanted.slug),
        description: wanted.description.map_or(Field::Null, Field::Value),
        issuer: None,
        template_id: None,
        enrollment: wanted.enrollment.map_or(Field::Null, Field::Value),
        settings: wanted.settings,
    };
    match authority.update_profile(&visit.call, id, patch).await {
        Ok(profile) => {
            let note = format!("The profile {} was changed; the next request gets it.", profile.slug);
            Ok(visit.done(&format!("/ui/profiles/{id}"), note))
        }
        Err(error) => {
            let problems = Problems::from_core(error, &[("slug", "slug")])?;
            form_page(&authority, &visit, Some(profile), (draft, problems), StatusCode::UNPROCESSABLE_ENTITY).await
        }
    }
}

/// The part beside the form, while it is filled in.
async fn review(State(authority): State<Authority>, visit: Visit, form: Form) -> Answer {
    let draft = Draft::read(&form);
    page(&ReviewPart { review: Review::of(&authority, &visit, &draft, None).await? })
}

async fn delete(State(authority): State<Authority>, visit: Visit, Id(id): Id<ProfileId>) -> Answer {
    match authority.delete_profile(&visit.call, id).await {
        Ok(profile) => Ok(visit.done("/ui/profiles", format!("The profile {} was deleted.", profile.slug))),
        Err(error) => match Problems::from_core(error, &[])?.whole.into_iter().next() {
            Some(text) => Ok(visit.failed(&format!("/ui/profiles/{id}"), text)),
            None => Err(WebError::internal("a profile was not deleted, without a reason")),
        },
    }
}

impl Review {
    async fn of(
        authority: &Authority,
        visit: &Visit,
        draft: &Draft,
        stored: Option<&CertificateProfile>,
    ) -> Result<Self, WebError> {
        let mut problems = Problems::default();
        let Some(wanted) = draft.to_core(stored, &mut problems) else { return Ok(Self::default()) };
        let ProfileReview { problems, warnings } = authority.review_profile(&visit.call, wanted).await?;
        let problems = problems.into_iter().map(|it| (it.field, it.message)).collect();
        Ok(Self { is_complete: true, problems, warnings })
    }
}

/// The profile that the form describes, and everything that is wrong with it, beside its fields.
async fn reviewed(
    authority: &Authority,
    visit: &Visit,
    draft: &Draft,
    stored: Option<&CertificateProfile>,
) -> Result<(Option<NewProfile>, Problems), WebError> {
    let mut problems = Problems::default();
    let Some(wanted) = draft.to_core(stored, &mut problems) else { return Ok((None, problems)) };
    let is_same = stored.is_some_and(|it| Draft::of(it) == Draft { slug: it.slug.clone(), ..draft.clone() });
    if !is_same {
        for problem in authority.review_profile(&visit.call, wanted.clone()).await?.problems {
            match place_of(&problem.field) {
                Some(place) => problems.add(&place, problem.message),
                None => problems.whole.push(format!("{}: {}", problem.field, problem.message)),
            }
        }
    }
    Ok((Some(wanted), problems))
}

async fn form_page(
    authority: &Authority,
    visit: &Visit,
    edited: Option<CertificateProfile>,
    (draft, problems): (Draft, Problems),
    status: StatusCode,
) -> Answer {
    let project = visit.call.project_id();
    let reader = authority.reader();
    let request = PageRequest { offset: 0, limit: TEMPLATES_MAX, cursor: None };
    let templates = reader.templates(project, None, &request).await?.items;
    let internal = reader.cas(project).await?.into_iter().map(|it| (it.id.to_string(), it.name));
    let external = reader.external_cas(project).await?.into_iter();
    let external = external.map(|it| (it.id.to_string(), format!("{} (external: {})", it.name, it.kind().as_str())));
    let review = Review::of(authority, visit, &draft, edited.as_ref()).await?;
    let (title, action, back) = match &edited {
        Some(it) => {
            let own = format!("/ui/profiles/{}", it.id);
            (format!("Edit {}", it.slug), format!("{own}/edit"), own)
        }
        None => ("New certificate profile".to_owned(), "/ui/profiles/new".to_owned(), "/ui/profiles".to_owned()),
    };
    let fixed = match &edited {
        None => None,
        Some(it) => Some(Fixed {
            slug: it.slug.clone(),
            issuer: issuing_ca(authority, it).await?.map_or_else(|| "Self-Signed".to_owned(), |ca| ca.name),
            template: reader.template(project, it.template_id).await?.map(|it| it.name).unwrap_or_default(),
        }),
    };
    let unset = |text: &str| std::iter::once((String::new(), text.to_owned()));
    let own = |list: Vec<Choice>| list.into_iter().map(|(key, text)| (key.to_owned(), text));
    let form = FormPage {
        frame: visit.frame(title, Section::Profiles),
        action,
        back,
        edited: fixed,
        draft,
        cas: unset("Choose a CA").chain(internal).chain(external).collect(),
        templates: unset("Choose a template")
            .chain(templates.into_iter().map(|it| (it.id.to_string(), it.name)))
            .collect(),
        key_algorithms: unset("As the template says").chain(own(word::key_algorithms())).collect(),
        signature_algorithms: unset("As the issuer does").chain(own(word::signature_algorithms())).collect(),
        key_usages: word::key_usages(),
        extended_key_usages: word::extended_key_usages(),
        problems,
        review,
    };
    page_with(status, &form)
}

async fn find(authority: &Authority, visit: &Visit, id: ProfileId) -> Result<CertificateProfile, WebError> {
    let found = authority.reader().profile(visit.call.project_id(), id).await?;
    found.ok_or_else(|| WebError::not_found("This certificate profile"))
}

/// Ids as forms send them.
fn template_id(text: &str) -> Option<TemplateId> {
    text.parse().ok().map(TemplateId::from_uuid)
}

/// The issuer that the drop-downs name; `None` when a CA is wanted and none is chosen.
fn issuer(draft: &Draft) -> Option<ProfileIssuer> {
    match draft.issuer_type.as_str() {
        "self-signed" => Some(ProfileIssuer::SelfSigned),
        _ => draft.ca.parse().ok().map(chancery_model::CaId::from_uuid).map(ProfileIssuer::Ca),
    }
}
