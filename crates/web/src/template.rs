//! Certificate templates: what a certificate may contain. Listed, shown with what is in force, written as rows of rules,
//! tried and rehearsed before they are saved.

mod draft;
mod preview;
pub(crate) mod word;

use std::collections::HashMap;

use axum::extract::State;
use chancery_authority::Authority;
use chancery_authority::enrollment::Field;
use chancery_authority::template::{NewTemplate, Template, TemplatePatch, presets};
use chancery_model::page::PageRequest;
use chancery_model::permission::Permission;
use chancery_model::template::{CertificateTemplate, TemplateRules};
use chancery_model::{ProfileId, TemplateId};
use http::StatusCode;
use uuid::Uuid;

use self::draft::{Draft, Row};
use self::preview::{Preview, REHEARSAL_DAYS, Rehearsed, Trial};
use self::word::Choice;
use crate::error::WebError;
use crate::form::{Form, Problems};
use crate::frame::{Frame, Section, page, page_with};
use crate::route::Page;
use crate::text::filters;
use crate::visit::{Answer, Id, Query, Visit};

pub(crate) fn pages() -> Vec<Page> {
    use Permission::{TemplateCreate, TemplateDelete, TemplateEdit, TemplateRead};
    vec![
        Page::get("/ui/templates", TemplateRead, list),
        Page::get("/ui/templates/new", TemplateCreate, new),
        Page::post("/ui/templates/new", TemplateCreate, create).elevated(),
        Page::post("/ui/templates/preview", TemplateRead, preview),
        Page::get("/ui/templates/{id}", TemplateRead, show),
        Page::get("/ui/templates/{id}/edit", TemplateEdit, edit),
        Page::post("/ui/templates/{id}/edit", TemplateEdit, update).elevated(),
        Page::post("/ui/templates/{id}/delete", TemplateDelete, delete).elevated(),
    ]
}

/// Rows of a list.
const PAGE: u32 = 50;

#[derive(askama::Template)]
#[template(path = "template/list.html")]
struct ListPage {
    frame: Frame,
    search: String,
    is_later: bool,
    rows: Vec<ListRow>,
    total: u64,
    is_exact: bool,
    older: Option<String>,
    presets: Vec<PresetCard>,
}

struct ListRow {
    template: CertificateTemplate,
    /// The first sentences of what is in force.
    summary: Vec<String>,
    profiles: Vec<(ProfileId, String)>,
}

struct PresetCard {
    id: &'static str,
    name: &'static str,
    description: &'static str,
}

/// Sentences of a template that a list shows.
const LIST_SENTENCES: usize = 3;

async fn list(State(authority): State<Authority>, visit: Visit, Query(query): Query) -> Answer {
    let request = PageRequest { offset: 0, limit: PAGE, cursor: query.given("cursor").map(str::to_owned) };
    let reader = authority.reader();
    let found = reader.templates(visit.call.project_id(), query.given("q"), &request).await?;
    let mut rows = Vec::with_capacity(found.items.len());
    for template in found.items {
        let sentences = Template::compile(&template.rules).map(|it| it.summary()).unwrap_or_default();
        let profiles = reader.profiles_of_template(template.id).await?;
        rows.push(ListRow { template, summary: telling(sentences), profiles });
    }
    let older = found.next_cursor.map(|cursor| query.further("/ui/templates", &cursor));
    page(&ListPage {
        frame: visit.frame("Certificate templates", Section::Templates),
        search: query.text("q").to_owned(),
        is_later: query.has("cursor"),
        rows,
        total: found.total.count,
        is_exact: found.total.exact,
        older,
        presets: presets()
            .iter()
            .map(|it| PresetCard { id: it.id, name: it.name, description: it.description })
            .collect(),
    })
}

/// The sentences that tell a template from others: about names and validity first.
fn telling(sentences: Vec<String>) -> Vec<String> {
    let weight = |text: &String| match text.split(':').next().unwrap_or_default() {
        "Common name" | "Subject" => 0,
        "DNS names" | "Subject alternative names" | "E-mail addresses" => 1,
        "Validity" => 2,
        "Extended key usages" => 3,
        _ => 4,
    };
    let mut sorted = sentences;
    sorted.sort_by_key(weight);
    sorted.truncate(LIST_SENTENCES);
    sorted
}

#[derive(askama::Template)]
#[template(path = "template/show.html")]
struct ShowPage {
    frame: Frame,
    template: CertificateTemplate,
    summary: Vec<String>,
    draft: Draft,
    profiles: Vec<(ProfileId, String)>,
    trial: Trial,
    preview: Preview,
}

impl ShowPage {
    /// All rows about names, with what they are about.
    fn rules(&self) -> Vec<(&'static str, &Row)> {
        let subject = self.draft.subject.rows.iter().map(|row| ("Subject", row));
        subject.chain(self.draft.sans.rows.iter().map(|row| ("Alternative name", row))).collect()
    }
}

#[derive(askama::Template)]
#[template(path = "template/preview.html")]
struct PreviewPart {
    preview: Preview,
}

async fn show(State(authority): State<Authority>, visit: Visit, Id(id): Id<TemplateId>, Query(query): Query) -> Answer {
    let template = find(&authority, &visit, id).await?;
    let trial = Trial::read(&query);
    let tried = trial.run(&authority, &visit, &template.rules).await?;
    let preview = Preview { tried, ..Preview::default() };
    if visit.is_fragment {
        return page(&PreviewPart { preview });
    }
    page(&ShowPage {
        frame: visit.frame(template.name.clone(), Section::Templates),
        summary: Template::compile(&template.rules).map(|it| it.summary()).unwrap_or_default(),
        draft: Draft::of(&template.rules),
        profiles: authority.reader().profiles_of_template(id).await?,
        template,
        trial,
        preview,
    })
}

#[derive(askama::Template)]
#[template(path = "template/form.html")]
struct FormPage {
    frame: Frame,
    action: String,
    /// Where to without saving.
    back: String,
    desk: Desk,
    draft: Draft,
    trial: Trial,
    presets: Vec<(&'static str, &'static str)>,
    days: String,
    subject_kinds: Vec<Choice>,
    name_kinds: Vec<Choice>,
    key_algorithms: Vec<Choice>,
    signature_algorithms: Vec<Choice>,
    problems: Problems,
    preview: Preview,
    rehearsed: Option<Rehearsed>,
    /// Slugs of the profiles in a rehearsal.
    slugs: HashMap<ProfileId, String>,
}

impl FormPage {
    fn problem_of(&self, part: &str, index: &usize) -> &str {
        let part = if part == "san" { "sans" } else { part };
        self.problems.of(&format!("{part}[{index}]"))
    }

    fn slug_of(&self, id: &ProfileId) -> &str {
        self.slugs.get(id).map_or("a deleted profile", String::as_str)
    }

    fn blank(&self) -> Row {
        Row::default()
    }
}

/// What is worked on: a new template, or one that exists.
#[derive(Default)]
struct Desk {
    edited: Option<CertificateTemplate>,
    /// Of a duplicate, what it was made from: its requests are rehearsed.
    from: Option<TemplateId>,
    preset: String,
}

async fn new(State(authority): State<Authority>, visit: Visit, Query(query): Query) -> Answer {
    let mut desk = Desk { preset: query.text("preset").to_owned(), ..Desk::default() };
    let mut draft = Draft::of(&preset_rules(&desk.preset));
    if let Some(id) = query.text("from").parse::<Uuid>().ok().map(TemplateId::from_uuid) {
        let original = find(&authority, &visit, id).await?;
        draft = Draft { name: format!("{}-copy", original.name), ..Draft::of(&original.rules) };
        draft.description = original.description.unwrap_or_default();
        desk.from = Some(id);
    }
    let said = Said { desk, draft, ..Said::default() };
    said.page(&authority, &visit, StatusCode::OK).await
}

async fn create(State(authority): State<Authority>, visit: Visit, form: Form) -> Answer {
    let from = form.text("from").parse::<Uuid>().ok().map(TemplateId::from_uuid);
    let desk = Desk { edited: None, from, preset: form.text("preset").to_owned() };
    work(&authority, &visit, desk, &form).await
}

async fn edit(State(authority): State<Authority>, visit: Visit, Id(id): Id<TemplateId>) -> Answer {
    let template = find(&authority, &visit, id).await?;
    let draft = Draft {
        name: template.name.clone(),
        description: template.description.clone().unwrap_or_default(),
        ..Draft::of(&template.rules)
    };
    let said = Said { desk: Desk { edited: Some(template), ..Desk::default() }, draft, ..Said::default() };
    said.page(&authority, &visit, StatusCode::OK).await
}

async fn update(State(authority): State<Authority>, visit: Visit, Id(id): Id<TemplateId>, form: Form) -> Answer {
    let template = find(&authority, &visit, id).await?;
    work(&authority, &visit, Desk { edited: Some(template), ..Desk::default() }, &form).await
}

/// The part beside the form, while it is filled in.
async fn preview(State(authority): State<Authority>, visit: Visit, form: Form) -> Answer {
    let (draft, trial) = (Draft::read(&form), Trial::read(&form));
    let preview = Preview::of(&authority, &visit, &draft, &trial, &mut Problems::default()).await?;
    page(&PreviewPart { preview })
}

async fn delete(State(authority): State<Authority>, visit: Visit, Id(id): Id<TemplateId>) -> Answer {
    match authority.delete_template(&visit.call, id).await {
        Ok(template) => Ok(visit.done("/ui/templates", format!("The template {} was deleted.", template.name))),
        Err(error @ chancery_authority::Error::Forbidden { .. }) => {
            Ok(visit.failed(&format!("/ui/templates/{id}"), error.public_message()))
        }
        Err(error) => Err(error.into()),
    }
}

/// What the button that was pressed asks for.
async fn work(authority: &Authority, visit: &Visit, desk: Desk, form: &Form) -> Answer {
    let mut said = Said { desk, draft: Draft::read(form), trial: Trial::read(form), ..Said::default() };
    said.days = form.text("days").to_owned();
    match form.text("do") {
        "save" => said.save(authority, visit).await,
        "rehearse" => said.rehearse(authority, visit).await,
        "preset" => {
            let (name, description) = (said.draft.name.clone(), said.draft.description.clone());
            said.draft = Draft { name, description, ..Draft::of(&preset_rules(&said.desk.preset)) };
            said.page(authority, visit, StatusCode::OK).await
        }
        "check" => {
            said.shows_problems = true;
            said.page(authority, visit, StatusCode::OK).await
        }
        deed => {
            said.draft.rearrange(deed);
            said.page(authority, visit, StatusCode::OK).await
        }
    }
}

/// The form as it was filled in, on its way back.
#[derive(Default)]
struct Said {
    desk: Desk,
    draft: Draft,
    trial: Trial,
    days: String,
    /// A row that was only just added is not yet wrong.
    shows_problems: bool,
    problems: Problems,
    rehearsed: Option<Rehearsed>,
}

impl Said {
    async fn save(mut self, authority: &Authority, visit: &Visit) -> Answer {
        let Some(rules) = self.checked() else { return self.again(authority, visit).await };
        let stored = self.desk.edited.as_ref();
        let rules = self.draft.patch(rules, stored.map(|it| &it.rules));
        let (name, description) = (self.draft.name.clone(), Some(self.draft.description.clone()));
        let description = description.filter(|it| !it.is_empty());
        let saved = match stored {
            None => {
                let new = NewTemplate { name, description, preset: None, rules };
                authority.create_template(&visit.call, new).await
            }
            Some(stored) => {
                let description = description.map_or(Field::Null, Field::Value);
                // A name that stays is not claimed anew.
                let name = (name != stored.name).then_some(name);
                authority.update_template(&visit.call, stored.id, TemplatePatch { name, description, rules }).await
            }
        };
        match saved {
            Ok(template) => {
                let note = format!("The template {} is in force.", template.name);
                Ok(visit.done(&format!("/ui/templates/{}", template.id), note))
            }
            Err(error) => {
                self.problems = Problems::from_core(error, &FIELDS)?;
                self.again(authority, visit).await
            }
        }
    }

    async fn rehearse(mut self, authority: &Authority, visit: &Visit) -> Answer {
        let Some(rules) = self.checked() else { return self.again(authority, visit).await };
        let days = if self.days.is_empty() { Ok(REHEARSAL_DAYS) } else { self.days.parse() };
        let Ok(days) = days else {
            self.problems.add("days", "Give a number of days");
            return self.again(authority, visit).await;
        };
        let template = self.desk.edited.as_ref().map(|it| it.id).or(self.desk.from);
        match Rehearsed::of(authority, visit, &rules, template, days).await {
            Ok(rehearsed) => {
                self.rehearsed = Some(rehearsed);
                self.page(authority, visit, StatusCode::OK).await
            }
            Err(error) => {
                self.problems = Problems::from_core(error, &FIELDS)?;
                self.again(authority, visit).await
            }
        }
    }

    /// The rules, unless something is wrong with them, which is noted.
    fn checked(&mut self) -> Option<TemplateRules> {
        let rules = self.draft.to_rules(&mut self.problems);
        if let Err(found) = Template::compile(&rules) {
            draft::place_problems(&found, &mut self.problems);
        }
        self.problems.is_empty().then_some(rules)
    }

    async fn again(mut self, authority: &Authority, visit: &Visit) -> Answer {
        self.shows_problems = true;
        self.page(authority, visit, StatusCode::UNPROCESSABLE_ENTITY).await
    }

    async fn page(mut self, authority: &Authority, visit: &Visit, status: StatusCode) -> Answer {
        let mut found = Problems::default();
        let preview = Preview::of(authority, visit, &self.draft, &self.trial, &mut found).await?;
        let mut problems = std::mem::take(&mut self.problems);
        if !self.shows_problems {
            problems = Problems::default();
        } else if problems.is_empty() {
            problems = found;
        }
        let (title, action, back) = match &self.desk.edited {
            Some(it) => {
                let own = format!("/ui/templates/{}", it.id);
                (format!("Edit {}", it.name), format!("{own}/edit"), own)
            }
            None => ("New certificate template".to_owned(), "/ui/templates/new".to_owned(), "/ui/templates".to_owned()),
        };
        let form = FormPage {
            frame: visit.frame(title, Section::Templates),
            action,
            back,
            slugs: slugs(authority, visit, self.rehearsed.as_ref()).await?,
            desk: self.desk,
            draft: self.draft,
            trial: self.trial,
            presets: presets().iter().map(|it| (it.id, it.name)).collect(),
            days: if self.days.is_empty() { REHEARSAL_DAYS.to_string() } else { self.days },
            subject_kinds: word::subject_attributes(),
            name_kinds: word::name_kinds(),
            key_algorithms: word::key_algorithms(),
            signature_algorithms: word::signature_algorithms(),
            problems,
            preview,
            rehearsed: self.rehearsed,
        };
        page_with(status, &form)
    }
}

/// Where this form names a field other than the core does.
const FIELDS: [(&str, &str); 3] = [("name", "name"), ("description", "description"), ("days", "days")];

async fn slugs(
    authority: &Authority,
    visit: &Visit,
    rehearsed: Option<&Rehearsed>,
) -> Result<HashMap<ProfileId, String>, WebError> {
    let mut slugs = HashMap::new();
    for refusal in rehearsed.iter().flat_map(|it| &it.outcome.refused) {
        if !slugs.contains_key(&refusal.profile_id)
            && let Some(profile) = authority.reader().profile(visit.call.project_id(), refusal.profile_id).await?
        {
            slugs.insert(refusal.profile_id, profile.slug);
        }
    }
    Ok(slugs)
}

/// Of an unknown name, and of "Custom": no rules.
fn preset_rules(id: &str) -> TemplateRules {
    presets().iter().find(|it| it.id == id).map(|it| it.rules.clone()).unwrap_or_default()
}

async fn find(authority: &Authority, visit: &Visit, id: TemplateId) -> Result<CertificateTemplate, WebError> {
    let found = authority.reader().template(visit.call.project_id(), id).await?;
    found.ok_or_else(|| WebError::not_found("This certificate template"))
}
