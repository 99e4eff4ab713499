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
pub(super) struct Bench<'a> {
    pub rules: &'a Template,
    pub issuer: Option<&'a Issuer>,
    pub now: Timestamp,
}

/// The one evaluation, for real requests and for explain: the template's rules, then what no template can permit.
pub(super) fn judge(bench: Bench<'_>, enrollment: &Enrollment, detail: Detail) -> Verdict {
    let mut verdict = bench.rules.evaluate(enrollment, detail);
    let mut standing = standing_violations(enrollment, bench.issuer, bench.now);
    if standing.is_empty() && verdict.is_approved() {
        // Only then: a rule of the template that asks for the same says it better, and with a suggestion.
        standing = shape_violations(enrollment, bench.issuer);
    }
    if !standing.is_empty() {
        let known = mend(&mut verdict, &standing, bench.rules);
        verdict.checks.extend(standing.into_iter().map(|it| broken(Violation { suggestion: known.clone(), ..it })));
    }
    verdict
}

/// Suggestions promise that applying all of them passes. Only a life beyond the issuer's has a known mend: the same
/// shorter ttl on every violation about it. With any other standing violation nothing is suggested at all.
fn mend(verdict: &mut Verdict, standing: &[Violation], rules: &Template) -> Option<Suggestion> {
    let too_long = standing.iter().find(|it| it.rule == "issuer.validity").and_then(|it| it.suggestion.clone());
    let alone = standing.len() == 1;
    let template_allows = too_long.as_ref().and_then(|it| it.value.as_deref()).and_then(|text| Ttl::parse(text).ok());
    let fits = template_allows
        .filter(|ttl| rules.validity_min().is_none_or(|least| *ttl >= least))
        .map(|ttl| rules.validity_max().map_or(ttl, |most| ttl.min(most)));
    let (true, Some(suggestion), Some(ttl)) = (alone, too_long, fits) else {
        verdict.checks.iter_mut().for_each(|check| check.suggestion = None);
        return None;
    };
    let text = format!("Set ttl to {} seconds, which the issuing CA and the template both permit", ttl.as_seconds());
    let suggestion = Suggestion { value: Some(format!("{}s", ttl.as_seconds())), text, ..suggestion };
    // Where the template's other violations have no mend, a single one of ours must not promise a pass.
    let others_mendable = verdict.checks.iter().all(|check| check.passed || check.suggestion.is_some());
    if !others_mendable {
        verdict.checks.iter_mut().for_each(|check| check.suggestion = None);
        return None;
    }
    for check in verdict.checks.iter_mut().filter(|check| !check.passed && check.field == "ttl") {
        check.suggestion = Some(suggestion.clone());
    }
    Some(suggestion)
}

pub(super) fn decide(bench: Bench<'_>, enrollment: Enrollment) -> Result<ApprovedRequest, Box<RefusedRequest>> {
    let verdict = judge(bench, &enrollment, Detail::Violations);
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
