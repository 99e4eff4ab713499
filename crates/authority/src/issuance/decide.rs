//! Decide: the template's rules over the enrolment. The only maker of an [`ApprovedRequest`].

use chancery_model::enrollment::Enrollment;
use chancery_model::error::Suggestion;
use chancery_model::time::Ttl;
use chancery_model::{Timestamp, Violation};

use crate::enrollment::{shape_violations, standing_violations};
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

/// What a request is judged by.
#[derive(Clone, Copy)]
pub(super) struct Criteria<'a> {
    pub rules: &'a Template,
    pub issuer: Option<&'a Issuer>,
    pub now: Timestamp,
}

/// The one evaluation, for real requests and for explain: the template's rules, then what no template can permit.
pub(super) fn judge(criteria: Criteria<'_>, enrollment: &Enrollment, detail: Detail) -> Verdict {
    let mut verdict = criteria.rules.evaluate(enrollment, detail);
    let mut standing = standing_violations(enrollment, criteria.issuer, criteria.now);
    if standing.is_empty() && verdict.is_approved() {
        // Only then: a rule of the template that asks for the same says it better, and with a suggestion.
        standing = shape_violations(enrollment, criteria.issuer);
    }
    if !standing.is_empty() {
        let known = mend(&mut verdict, &standing, criteria.rules);
        verdict.checks.extend(standing.into_iter().map(|it| broken(Violation { suggestion: known.clone(), ..it })));
    }
    verdict
}

/// Suggestions promise that applying all of them passes. Only a life beyond the issuer's has a known mend; with any other
/// standing violation, or where the template's own violations have none, nothing is suggested at all.
fn mend(verdict: &mut Verdict, standing: &[Violation], rules: &Template) -> Option<Suggestion> {
    let others_mendable = verdict.checks.iter().all(|check| check.passed || check.suggestion.is_some());
    let shorter = match standing {
        [alone] if others_mendable && alone.rule == "issuer.validity" => shorter_life(alone, rules),
        _ => None,
    };
    for check in verdict.checks.iter_mut().filter(|check| !check.passed) {
        if shorter.is_none() || check.field == "ttl" {
            check.suggestion.clone_from(&shorter);
        }
    }
    shorter
}

/// The suggested life as the template permits it too.
fn shorter_life(violation: &Violation, rules: &Template) -> Option<Suggestion> {
    let suggestion = violation.suggestion.clone()?;
    let ttl = Ttl::parse(suggestion.value.as_deref()?).ok()?;
    match (rules.validity_min(), rules.validity_max()) {
        (Some(least), _) if ttl < least => None,
        (_, Some(most)) if most < ttl => Some(Suggestion {
            value: Some(format!("{}s", most.as_seconds())),
            text: format!("Set ttl to {most}, the most that the template permits"),
            ..suggestion
        }),
        _ => Some(suggestion),
    }
}

pub(super) fn decide(criteria: Criteria<'_>, enrollment: Enrollment) -> Result<ApprovedRequest, Box<RefusedRequest>> {
    let verdict = judge(criteria, &enrollment, Detail::Violations);
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
