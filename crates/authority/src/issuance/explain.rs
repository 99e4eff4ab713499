//! Explain: the same resolve and the same evaluation as a real request, shown in full; issues nothing. A template can be
//! tried the same way before it is saved.

use std::sync::Arc;

use chancery_model::audit::AuditEvent;
use chancery_model::enrollment::{Enrollment, KeySource};
use chancery_model::permission::Permission;
use chancery_model::profile::ProfileSettings;
use chancery_model::template::{CertificateTemplate, TemplateRules};
use chancery_model::{ProfileId, TemplateId, Timestamp, Violation, Warning};
use chancery_store::Write;

use super::{Ground, decide, parse_csr};
use crate::Authority;
use crate::access::checked_metadata;
use crate::cache::TemplateInForce;
use crate::call::Call;
use crate::enrollment::{self, Attributes, FieldReport, IssueRequest, field_reports};
use crate::error::Error;
use crate::hierarchy::IssuedBy;
use crate::template::{Detail, RuleCheck, Template, problems_error};

/// What would become of a request.
pub struct Explanation {
    pub approved: bool,
    pub fields: Vec<FieldReport>,
    pub rules: Vec<RuleCheck>,
    pub warnings: Vec<Warning>,
    pub profile_id: Option<ProfileId>,
    pub template_id: TemplateId,
}

impl Authority {
    /// Says what [`Authority::issue`] would do with this request, and why; and writes down that somebody asked.
    pub async fn evaluate(&self, call: &Call, request: IssueRequest) -> Result<Explanation, Error> {
        let explanation = self.explain(call, request).await?;
        let details = serde_json::json!({ "approved": explanation.approved });
        let object = explanation.profile_id.map(|id| ("profile", id.as_uuid()));
        self.commit(Write::default().audited(call.audit(
            self.now(),
            AuditEvent::CertificateEvaluated,
            object,
            details,
        )))
        .await?;
        Ok(explanation)
    }

    /// [`Authority::evaluate`] without its audit entry: for answers while somebody types. It changes nothing and says
    /// nothing that the caller may not see anyway.
    pub async fn explain(&self, call: &Call, request: IssueRequest) -> Result<Explanation, Error> {
        call.requester.require_somewhere(Permission::CertificateIssue)?;
        let ground = self.ground(call, request.target).await?;
        let IssueRequest { csr, attributes, metadata, .. } = request;
        self.explain_on(call, &ground, csr.as_deref(), &attributes, metadata)
    }

    /// What rules that nobody has saved yet would say to a request, made from a CSR (PEM) or from attributes. Judged as
    /// under a profile that names a CA and no defaults; what only a CA can say against a request is not judged. The
    /// explanation names no profile, and a template that does not exist.
    pub async fn try_template(
        &self,
        call: &Call,
        rules: &TemplateRules,
        csr: Option<String>,
        attributes: Attributes,
    ) -> Result<Explanation, Error> {
        call.requester.require(Permission::TemplateRead)?;
        let compiled = Template::compile(rules).map_err(problems_error)?;
        let now = self.now();
        let record = CertificateTemplate {
            id: TemplateId::from_uuid(uuid::Uuid::nil()),
            project_id: call.project_id(),
            name: String::new(),
            description: None,
            rules: rules.clone(),
            version: 0,
            created_at: now,
            updated_at: now,
        };
        let ground = Ground {
            profile: None,
            application: None,
            template: Arc::new(TemplateInForce { record, rules: compiled }),
            issued_by: IssuedBy::Undecided,
            direct: ProfileSettings::default(),
        };
        self.explain_on(call, &ground, csr.as_deref(), &attributes, Vec::new())
    }

    fn explain_on(
        &self,
        call: &Call,
        ground: &Ground,
        csr: Option<&str>,
        attributes: &Attributes,
        metadata: Vec<(String, String)>,
    ) -> Result<Explanation, Error> {
        match self.resolve_dry(call, ground, csr, attributes, metadata) {
            Ok(enrollment) => Ok(evaluated(ground, &enrollment, self.now())),
            // A strict profile refuses a CSR that contradicts its attributes before anything else is judged.
            Err(Error::Refused(violations)) => Ok(refused(ground, violations)),
            Err(error) => Err(error),
        }
    }

    fn resolve_dry(
        &self,
        call: &Call,
        ground: &Ground,
        csr: Option<&str>,
        attributes: &Attributes,
        metadata: Vec<(String, String)>,
    ) -> Result<Enrollment, Error> {
        let around = self.circumstances(call, ground);
        let metadata = checked_metadata(metadata)?;
        match csr {
            None => enrollment::resolve_attributes(&around, attributes, KeySource::Generate, metadata),
            Some(pem) => enrollment::resolve_csr(&around, &parse_csr(pem)?, attributes, metadata),
        }
    }
}

fn evaluated(ground: &Ground, enrollment: &Enrollment, now: Timestamp) -> Explanation {
    let verdict = decide::judge(ground.criteria(now), enrollment, Detail::Everything);
    Explanation {
        approved: verdict.is_approved(),
        fields: field_reports(enrollment),
        rules: verdict.checks,
        warnings: enrollment.warnings.clone(),
        profile_id: ground.profile_id(),
        template_id: ground.template.record.id,
    }
}

fn refused(ground: &Ground, violations: Vec<Violation>) -> Explanation {
    Explanation {
        approved: false,
        fields: Vec::new(),
        rules: violations.into_iter().map(decide::broken).collect(),
        warnings: Vec::new(),
        profile_id: ground.profile_id(),
        template_id: ground.template.record.id,
    }
}
