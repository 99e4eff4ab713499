//! Rules before they are saved: what they would have said to the requests of the past, and what they say to one.

use axum::Json;
use axum::extract::State;
use chancery_authority::template::RehearsedRefusal;
use chancery_authority::{Authority, Call};
use chancery_model::TemplateId;
use chancery_model::permission::Permission::TemplateRead;
use chancery_model::template::TemplateRules;
use chancery_wire as wire;
use chancery_wire::rehearsal::{RehearsalAnswer, RehearseTemplate, TryTemplate, TryTemplateAnswer};
use uuid::Uuid;

use crate::error::{ApiError, violation};
use crate::extract::{Answer, Body, Caller};
use crate::issue;
use crate::issues::Issues;
use crate::route::Endpoint;
use crate::template_rules::{self, Blocks};

const BASE: &str = "/api/v1/cert-manager/certificate-policies";
const DAYS_USUAL: i64 = 90;
const DAYS_MAX: i64 = 3_650;

pub(crate) fn endpoints() -> Vec<Endpoint> {
    vec![
        Endpoint::post(format!("{BASE}/rehearse"), TemplateRead, rehearse)
            .named("rehearseCertificatePolicy", "Which granted requests rules that are not saved would have refused")
            .takes::<RehearseTemplate>()
            .answers::<RehearsalAnswer>()
            .reads_only(),
        Endpoint::post(format!("{BASE}/try"), TemplateRead, try_out)
            .named("tryCertificatePolicy", "What rules that are not saved say to a request; issues nothing")
            .takes::<TryTemplate>()
            .answers::<TryTemplateAnswer>()
            .reads_only(),
    ]
}

/// The blocks of a body, which two kinds of body have.
macro_rules! blocks {
    ($body:ident) => {
        Blocks {
            subject: $body.subject,
            sans: $body.sans,
            key_usages: $body.key_usages,
            extended_key_usages: $body.extended_key_usages,
            algorithms: $body.algorithms,
            validity: $body.validity,
            basic_constraints: $body.basic_constraints,
            min_validity: $body.min_validity,
            max_sans: $body.max_sans,
        }
    };
}

/// Where the rules start.
struct Base {
    template: Option<Uuid>,
    preset: Option<String>,
}

async fn rules(
    authority: &Authority,
    call: &Call,
    base: Base,
    blocks: Blocks,
    mut issues: Issues,
) -> Result<TemplateRules, ApiError> {
    let patch = template_rules::from_wire(blocks, &mut issues);
    issues.finish()?;
    let template = base.template.map(TemplateId::from_uuid);
    Ok(authority.proposed_rules(call, template, base.preset.as_deref(), patch).await?)
}

async fn rehearse(
    State(authority): State<Authority>,
    Caller(call): Caller,
    Body(body): Body<RehearseTemplate>,
) -> Answer<RehearsalAnswer> {
    let mut issues = Issues::default();
    let days = body.days.unwrap_or(DAYS_USUAL);
    issues.range("days", days, 1..=DAYS_MAX);
    let base = Base { template: body.policy_id, preset: body.preset };
    let rules = rules(&authority, &call, base, blocks!(body), issues).await?;
    let template = body.policy_id.map(TemplateId::from_uuid);
    let done = authority.rehearse_template(&call, &rules, template, u32::try_from(days).unwrap_or(u32::MAX)).await?;
    Ok(Json(RehearsalAnswer {
        examined: done.examined,
        unreadable: done.unreadable,
        truncated: done.truncated,
        refused_total: done.refused_total,
        refused: done.refused.iter().map(refused).collect(),
    }))
}

fn refused(from: &RehearsedRefusal) -> wire::rehearsal::RehearsedRefusal {
    wire::rehearsal::RehearsedRefusal {
        certificate_request_id: from.request_id.as_uuid(),
        common_name: from.common_name.clone(),
        created_at: from.created_at.to_string(),
        profile_id: from.profile_id.as_uuid(),
        violations: from.violations.iter().map(violation).collect(),
    }
}

async fn try_out(
    State(authority): State<Authority>,
    Caller(call): Caller,
    Body(body): Body<TryTemplate>,
) -> Answer<TryTemplateAnswer> {
    let mut issues = Issues::default();
    let base = Base { template: body.policy_id, preset: body.preset };
    let csr = issue::csr(body.csr, &mut issues);
    let attributes = issue::from_attributes(body.attributes.unwrap_or_default(), &mut issues);
    let rules = rules(&authority, &call, base, blocks!(body), issues).await?;
    Ok(Json(issue::explained(authority.try_template(&call, &rules, csr, attributes).await?)))
}
