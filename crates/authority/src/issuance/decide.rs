//! Decide: the template's rules over the enrolment. The only maker of an [`ApprovedRequest`].

use chancery_model::Violation;
use chancery_model::enrollment::Enrollment;

use crate::enrollment::standing_violations;
use crate::hierarchy::Issuer;
use crate::template::{Detail, RuleCheck, Template, Verdict};

/// An enrolment that every rule lets pass. Only this can be prepared.
pub(crate) struct ApprovedRequest(Enrollment);

impl ApprovedRequest {
    pub const fn enrollment(&self) -> &Enrollment {
        &self.0
    }
}

/// An enrolment and every rule it breaks.
pub(crate) struct RefusedRequest {
    pub enrollment: Enrollment,
    pub violations: Vec<Violation>,
}

/// The one evaluation, for real requests and for explain: the template's rules, then what no template can permit.
pub(super) fn judge(rules: &Template, issuer: Option<&Issuer>, enrollment: &Enrollment, detail: Detail) -> Verdict {
    let mut verdict = rules.evaluate(enrollment, detail);
    let standing = standing_violations(enrollment, issuer);
    if !standing.is_empty() {
        // Suggestions promise that applying all of them passes; with a rule that no edit is known for, none can.
        verdict.checks.iter_mut().for_each(|check| check.suggestion = None);
        verdict.checks.extend(standing.into_iter().map(broken));
    }
    verdict
}

pub(super) fn decide(
    rules: &Template,
    issuer: Option<&Issuer>,
    enrollment: Enrollment,
) -> Result<ApprovedRequest, Box<RefusedRequest>> {
    let verdict = judge(rules, issuer, &enrollment, Detail::Violations);
    if verdict.is_approved() {
        Ok(ApprovedRequest(enrollment))
    } else {
        Err(Box::new(RefusedRequest { enrollment, violations: verdict.violations() }))
    }
}

pub(super) fn broken(violation: Violation) -> RuleCheck {
    let Violation { rule, field, value, source, allowed, suggestion } = violation;
    RuleCheck { rule, field, value, source, passed: false, allowed, suggestion }
}
