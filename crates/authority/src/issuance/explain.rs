//! Explain: the same resolve and the same evaluation as a real request, shown in full; issues nothing.

use chancery_model::audit::AuditEvent;
use chancery_model::enrollment::{Enrollment, KeySource};
use chancery_model::permission::Permission;
use chancery_model::{ProfileId, TemplateId, Timestamp, Violation, Warning};
use chancery_store::Write;

use super::{Ground, decide, parse_csr};
use crate::Authority;
use crate::call::Call;
use crate::enrollment::{self, FieldReport, IssueRequest, field_reports};
use crate::error::Error;
use crate::template::{Detail, RuleCheck};

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
    /// Says what [`Authority::issue`] would do with this request, and why.
    pub async fn evaluate(&self, call: &Call, request: IssueRequest) -> Result<Explanation, Error> {
        call.requester.require_somewhere(Permission::CertificateIssue)?;
        let ground = self.ground(call, request.target).await?;
        let explanation = match self.resolve_dry(call, &ground, request) {
            Ok(enrollment) => evaluated(&ground, &enrollment, self.now()),
            // A strict profile refuses a CSR that contradicts its attributes before anything else is judged.
            Err(Error::Refused(violations)) => refused(&ground, violations),
            Err(error) => return Err(error),
        };
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

    fn resolve_dry(&self, call: &Call, ground: &Ground, request: IssueRequest) -> Result<Enrollment, Error> {
        let around = self.circumstances(call, ground);
        let IssueRequest { csr, attributes, metadata, .. } = request;
        match csr {
            None => enrollment::resolve_attributes(&around, &attributes, KeySource::Generate, metadata),
            Some(pem) => enrollment::resolve_csr(&around, &parse_csr(&pem)?, &attributes, metadata),
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
