//! Certificate templates, under their newer name (certificate policies) and their older ones.

use axum::Json;
use axum::extract::{FromRequestParts, MatchedPath, State};
use chancery_authority::template::{NewTemplate, Template, TemplatePatch, presets};
use chancery_authority::{Authority, Call};
use chancery_model::TemplateId;
use chancery_model::permission::Permission;
use chancery_model::template::CertificateTemplate;
use chancery_wire as wire;
use chancery_wire::page::PageQuery;
use chancery_wire::template::{CreateTemplate, Preset, PresetsAnswer, TemplateAnswer, TemplatesAnswer, UpdateTemplate};
use http::request::Parts;

use crate::error::ApiError;
use crate::extract::{Answer, Body, Caller, Id, Query};
use crate::issues::Issues;
use crate::nullable::field;
use crate::page::{Slice, page};
use crate::project::check_project;
use crate::route::Endpoint;
use crate::template_rules::{self, Blocks};

/// Paths with the ending of their operation ids.
const BASES: [(&str, &str); 3] = [
    ("/api/v1/cert-manager/certificate-policies", "Policy"),
    ("/api/v1/cert-manager/certificate-templates", "Template"),
    ("/api/v2/certificate-templates", "TemplateV2"),
];

pub(crate) fn endpoints() -> Vec<Endpoint> {
    BASES.into_iter().flat_map(|(base, name)| under(base, name)).collect()
}

fn under(base: &str, name: &str) -> Vec<Endpoint> {
    use Permission::{TemplateCreate, TemplateDelete, TemplateEdit, TemplateRead};
    let one = format!("{base}/{{id}}");
    let mut made = vec![
        Endpoint::post(base, TemplateCreate, create)
            .named(format!("createCertificate{name}"), "Make a template, from a preset or from rules")
            .takes::<CreateTemplate>()
            .answers::<TemplateAnswer>(),
        Endpoint::get(base, TemplateRead, list)
            .named(format!("listCertificate{name}"), "List templates")
            .asks::<PageQuery>()
            .answers::<TemplatesAnswer>(),
        Endpoint::get(format!("{base}/presets"), TemplateRead, list_presets)
            .named(format!("listCertificate{name}Presets"), "Ready-made rules to start from")
            .answers::<PresetsAnswer>(),
        Endpoint::get(&one, TemplateRead, read)
            .named(format!("readCertificate{name}"), "Read a template, with what is in force in sentences")
            .answers::<TemplateAnswer>(),
        Endpoint::patch(&one, TemplateEdit, update)
            .named(format!("updateCertificate{name}"), "Change a template; null clears a block")
            .takes::<UpdateTemplate>()
            .answers::<TemplateAnswer>(),
        Endpoint::delete(&one, TemplateDelete, delete)
            .named(format!("deleteCertificate{name}"), "Delete a template that nothing uses")
            .answers::<TemplateAnswer>(),
    ];
    if name != "Policy" {
        made = made.into_iter().map(Endpoint::deprecated).collect();
    }
    made
}

/// Which word the path uses, and so the answer's key.
#[derive(Clone, Copy)]
pub(crate) enum Naming {
    Policy,
    Template,
}

impl<S: Send + Sync> FromRequestParts<S> for Naming {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let path = parts.extensions.get::<MatchedPath>().map_or("", MatchedPath::as_str);
        Ok(if path.contains("certificate-templates") { Self::Template } else { Self::Policy })
    }
}

impl Naming {
    fn one(self, template: &CertificateTemplate) -> Json<TemplateAnswer> {
        let shown = Some(shown(template));
        Json(match self {
            Self::Policy => TemplateAnswer { certificate_policy: shown, certificate_template: None },
            Self::Template => TemplateAnswer { certificate_policy: None, certificate_template: shown },
        })
    }
}

async fn create(
    State(authority): State<Authority>,
    Caller(call): Caller,
    naming: Naming,
    Body(body): Body<CreateTemplate>,
) -> Answer<TemplateAnswer> {
    check_project(&call, body.project_id.as_deref())?;
    let mut issues = Issues::default();
    issues.length("name", body.name.trim(), 1..=255);
    issues.length("description", body.description.as_deref().unwrap_or_default(), 0..=1_000);
    let rules = template_rules::from_wire(
        Blocks {
            subject: body.subject,
            sans: body.sans,
            key_usages: body.key_usages,
            extended_key_usages: body.extended_key_usages,
            algorithms: body.algorithms,
            validity: body.validity,
            basic_constraints: body.basic_constraints,
            min_validity: body.min_validity,
            max_sans: body.max_sans,
        },
        &mut issues,
    );
    issues.finish()?;
    let new = NewTemplate { name: body.name, description: body.description, preset: body.preset, rules };
    Ok(naming.one(&authority.create_template(&call, new).await?))
}

async fn list(
    State(authority): State<Authority>,
    Caller(call): Caller,
    naming: Naming,
    Query(query): Query<PageQuery>,
) -> Answer<TemplatesAnswer> {
    check_project(&call, query.project_id.as_deref())?;
    let slice = Slice { offset: query.offset, limit: query.limit, cursor: query.cursor.as_deref() };
    let search = query.search.as_deref().map(str::trim).filter(|text| !text.is_empty());
    let found = authority.reader().templates(call.project_id(), search, &page(&slice, 20, 100)?).await?;
    let items = Some(found.items.iter().map(shown).collect());
    let (certificate_policies, certificate_templates) = match naming {
        Naming::Policy => (items, None),
        Naming::Template => (None, items),
    };
    Ok(Json(TemplatesAnswer {
        certificate_policies,
        certificate_templates,
        total_count: found.total.count,
        total_count_exact: found.total.exact,
        next_cursor: found.next_cursor,
    }))
}

async fn list_presets() -> Json<PresetsAnswer> {
    let shown = |preset: &chancery_authority::template::Preset| Preset {
        id: preset.id.to_owned(),
        name: preset.name.to_owned(),
        description: preset.description.to_owned(),
        policy: template_rules::to_wire(&preset.rules),
    };
    Json(PresetsAnswer { presets: presets().iter().map(shown).collect() })
}

async fn read(
    State(authority): State<Authority>,
    Caller(call): Caller,
    naming: Naming,
    Id(id): Id<TemplateId>,
) -> Answer<TemplateAnswer> {
    Ok(naming.one(&find(&authority, &call, id).await?))
}

async fn update(
    State(authority): State<Authority>,
    Caller(call): Caller,
    naming: Naming,
    Id(id): Id<TemplateId>,
    Body(body): Body<UpdateTemplate>,
) -> Answer<TemplateAnswer> {
    let mut issues = Issues::default();
    if let Some(name) = &body.name {
        issues.length("name", name.trim(), 1..=255);
    }
    if let Some(text) = body.description.as_value() {
        issues.length("description", text, 0..=1_000);
    }
    let rules = template_rules::from_wire(
        Blocks {
            subject: body.subject,
            sans: body.sans,
            key_usages: body.key_usages,
            extended_key_usages: body.extended_key_usages,
            algorithms: body.algorithms,
            validity: body.validity,
            basic_constraints: body.basic_constraints,
            min_validity: body.min_validity,
            max_sans: body.max_sans,
        },
        &mut issues,
    );
    issues.finish()?;
    let patch = TemplatePatch { name: body.name, description: field(body.description), rules };
    Ok(naming.one(&authority.update_template(&call, id, patch).await?))
}

async fn delete(
    State(authority): State<Authority>,
    Caller(call): Caller,
    naming: Naming,
    Id(id): Id<TemplateId>,
) -> Answer<TemplateAnswer> {
    Ok(naming.one(&authority.delete_template(&call, id).await?))
}

async fn find(authority: &Authority, call: &Call, id: TemplateId) -> Result<CertificateTemplate, ApiError> {
    let found = authority.reader().template(call.project_id(), id).await?;
    found.ok_or_else(|| ApiError::not_found("Certificate policy", id))
}

fn shown(template: &CertificateTemplate) -> wire::template::Template {
    let rules = template_rules::to_wire(&template.rules);
    wire::template::Template {
        id: template.id.as_uuid(),
        project_id: template.project_id.as_uuid(),
        name: template.name.clone(),
        description: template.description.clone(),
        subject: rules.subject,
        sans: rules.sans,
        key_usages: rules.key_usages,
        extended_key_usages: rules.extended_key_usages,
        algorithms: rules.algorithms,
        validity: rules.validity,
        basic_constraints: rules.basic_constraints,
        min_validity: rules.min_validity,
        max_sans: rules.max_sans,
        version: template.version,
        summary: Template::compile(&template.rules).map(|compiled| compiled.summary()).unwrap_or_default(),
        created_at: template.created_at.to_string(),
        updated_at: template.updated_at.to_string(),
    }
}
