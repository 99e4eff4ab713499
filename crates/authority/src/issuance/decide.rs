//! Decide: the template's rules over the enrolment. The only maker of an [`ApprovedRequest`].

use chancery_model::Violation;
use chancery_model::enrollment::Enrollment;

use crate::template::{Detail, Template};

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

pub(crate) fn decide(rules: &Template, enrollment: Enrollment) -> Result<ApprovedRequest, Box<RefusedRequest>> {
    let verdict = rules.evaluate(&enrollment, Detail::Violations);
    if verdict.is_approved() {
        Ok(ApprovedRequest(enrollment))
    } else {
        Err(Box::new(RefusedRequest { enrollment, violations: verdict.violations() }))
    }
}
