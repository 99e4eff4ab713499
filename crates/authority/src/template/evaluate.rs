//! The one judgement, over the resolved request and nothing else.
//!
//! [`Template::walk`] asks every rule in a fixed order and hands each small [`Check`] to its caller; words are made
//! afterwards, and only for the checks that are shown. When everything passes nothing is allocated for ASCII values.

use chancery_model::Violation;
use chancery_model::enrollment::{Enrollment, Source, Sourced};
use chancery_model::error::Suggestion;
use chancery_model::template::RuleState;
use chancery_pkix::{AttributeType, GeneralName, KeyUsage};

use super::check::{Check, Rule, Subject};
use super::pattern::Value;
use super::rule::{NameRule, Part, UsageRule};
use super::{Template, suggest};

/// How much of the judgement is written down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detail {
    /// Broken rules only: for real requests.
    Violations,
    /// Every rule that was asked: for explain.
    Everything,
}

/// One rule's word about one field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleCheck {
    /// Stable and dotted, such as `sans.dns_name.required`.
    pub rule: String,
    /// Field of the certificate-to-be, such as `altNames[0]`.
    pub field: String,
    /// Empty when the value is missing.
    pub value: String,
    pub source: Option<Source>,
    pub passed: bool,
    pub allowed: String,
    /// On broken rules only. Applying the suggestions of all of them passes; when no such set is known none has one.
    pub suggestion: Option<Suggestion>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    pub checks: Vec<RuleCheck>,
}

/// Ends `allowed` where no change to the request is known to pass.
const NO_WAY: &str = "; no change of the request is known to pass this template";

impl Verdict {
    #[must_use]
    pub fn is_approved(&self) -> bool {
        self.checks.iter().all(|check| check.passed)
    }

    #[must_use]
    pub fn violations(&self) -> Vec<Violation> {
        let broken = self.checks.iter().filter(|check| !check.passed);
        broken
            .map(|check| Violation {
                rule: check.rule.clone(),
                field: check.field.clone(),
                value: check.value.clone(),
                source: check.source,
                allowed: check.allowed.clone(),
                suggestion: check.suggestion.clone(),
            })
            .collect()
    }
}

impl Template {
    /// Judges a request. Both details come from the same walk, so an explanation cannot differ from a refusal.
    #[must_use]
    pub fn evaluate(&self, enrollment: &Enrollment, detail: Detail) -> Verdict {
        let mut kept = Vec::new();
        self.walk(enrollment, &mut |check| {
            if !check.passed || detail == Detail::Everything {
                kept.push(check);
            }
        });
        if kept.is_empty() {
            return Verdict { checks: Vec::new() };
        }
        let broken: Vec<Check> = kept.iter().filter(|check| !check.passed).copied().collect();
        let suggestions = if broken.is_empty() { None } else { suggest::suggestions(self, enrollment, &broken) };
        let no_way = suggestions.is_none();
        let mut suggestions = suggestions.unwrap_or_default().into_iter();
        let checks = kept
            .iter()
            .map(|check| {
                let mut allowed = check.allowed(self, enrollment);
                if !check.passed && no_way {
                    allowed.push_str(NO_WAY);
                }
                RuleCheck {
                    rule: check.rule.name(),
                    field: check.field(enrollment),
                    value: check.value(enrollment),
                    source: check.source,
                    passed: check.passed,
                    allowed,
                    suggestion: if check.passed { None } else { suggestions.next() },
                }
            })
            .collect();
        Verdict { checks }
    }

    /// Whether every rule passes.
    pub(super) fn passes(&self, enrollment: &Enrollment) -> bool {
        let mut passed = true;
        self.walk(enrollment, &mut |check| passed &= check.passed);
        passed
    }

    /// Asks every rule, always in this order.
    pub(super) fn walk(&self, enrollment: &Enrollment, visit: &mut dyn FnMut(Check)) {
        self.walk_subject(enrollment, visit);
        self.walk_components(enrollment, visit);
        self.walk_sans(enrollment, visit);
        if let Some(rule) = &self.key_usages {
            walk_usages(rule, &enrollment.key_usages, Rule::KeyUsage, Subject::MissingKeyUsage, visit);
        }
        if let Some(rule) = &self.extended_key_usages {
            let usages = &enrollment.extended_key_usages;
            walk_usages(rule, usages, Rule::ExtendedKeyUsage, Subject::MissingExtendedKeyUsage, visit);
        }
        self.walk_algorithms(enrollment, visit);
        self.walk_validity(enrollment, visit);
        self.walk_basic_constraints(enrollment, visit);
    }

    fn walk_subject(&self, enrollment: &Enrollment, visit: &mut dyn FnMut(Check)) {
        let Some(subject) = &self.subject else { return };
        for (index, attribute) in enrollment.subject.iter().enumerate() {
            let kind = attribute.value.kind;
            if kind == AttributeType::DomainComponent {
                continue;
            }
            let report = |part, passed, visit: &mut dyn FnMut(Check)| {
                visit(Check {
                    rule: Rule::Subject(kind, part),
                    subject: Subject::Attribute(index),
                    source: Some(attribute.source),
                    passed,
                });
            };
            let Some(rule) = self.attribute_rule(kind) else {
                report(Part::Allowed, false, visit);
                continue;
            };
            let value = Value::of_attribute(&attribute.value);
            // A lone value that misses the required ones is said once, by the required check below.
            let said_below = !rule.required().is_empty() && !rule.meets_required(&value) && is_only(enrollment, kind);
            walk_value(rule, &value, said_below, &mut |part, passed| report(part, passed, visit));
        }
        for (kind, rule) in &subject.attributes {
            if !rule.required().is_empty() {
                visit(required_attribute(*kind, rule, enrollment));
            }
        }
    }

    fn walk_components(&self, enrollment: &Enrollment, visit: &mut dyn FnMut(Check)) {
        let Some(subject) = &self.subject else { return };
        let kind = AttributeType::DomainComponent;
        let own = || enrollment.subject.iter().filter(|it| it.value.kind == kind);
        let source = own().next().map(|it| it.source);
        let report = |part, passed| Check {
            rule: Rule::Subject(kind, part),
            subject: if source.is_some() { Subject::Components } else { Subject::Missing },
            source,
            passed,
        };
        let Some(rule) = &subject.components else {
            if source.is_some() {
                visit(report(Part::Allowed, false));
            }
            return;
        };
        let labels: Vec<Value<'_>> = own().map(|it| Value::of_attribute(&it.value)).collect();
        let required = !rule.required().is_empty();
        let meets_required = rule.meets_required(&labels);
        if source.is_some() {
            let denied = rule.denies(&labels);
            if !rule.denied.is_empty() {
                visit(report(Part::Denied, !denied));
            }
            if !denied && (meets_required || !required) {
                visit(report(Part::Allowed, rule.permits(&labels)));
            }
        }
        if required {
            visit(report(Part::Required, meets_required));
        }
    }

    fn walk_sans(&self, enrollment: &Enrollment, visit: &mut dyn FnMut(Check)) {
        if let Some(rules) = &self.sans {
            for (index, san) in enrollment.sans.iter().enumerate() {
                let kind = san.value.kind();
                let mut report = |part, passed| {
                    let rule = Rule::San(kind, part);
                    visit(Check { rule, subject: Subject::San(index), source: Some(san.source), passed });
                    // Named both ways: without this name among the SANs, the common name would bring it back.
                    if !passed && let Some(at) = common_name_of(enrollment, san) {
                        visit(Check { rule, subject: Subject::Attribute(at), source: Some(Source::Derived), passed });
                    }
                };
                match self.san_rule(kind) {
                    Some(rule) => walk_value(rule, &Value::of_name(&san.value), false, &mut report),
                    None => report(Part::Allowed, false),
                }
            }
            for (kind, rule) in rules {
                for (index, pattern) in rule.required().iter().enumerate() {
                    let found = enrollment
                        .sans
                        .iter()
                        .position(|san| san.value.kind() == *kind && pattern.admits(&Value::of_name(&san.value)));
                    visit(Check {
                        rule: Rule::San(*kind, Part::Required),
                        subject: found.map_or(Subject::MissingSan(index), Subject::San),
                        source: found.and_then(|at| enrollment.sans.get(at)).map(|san| san.source),
                        passed: found.is_some(),
                    });
                }
            }
        }
        if let Some(most) = self.sans_max {
            visit(whole(Rule::SanCount, enrollment.sans.last().map(|san| san.source), enrollment.sans.len() <= most));
        }
    }

    fn walk_algorithms(&self, enrollment: &Enrollment, visit: &mut dyn FnMut(Check)) {
        if self.key_algorithms.is_some() {
            let key = enrollment.key_algorithm;
            visit(whole(Rule::KeyAlgorithm, Some(key.source), self.allows_key_algorithm(key.value)));
        }
        if self.signature_algorithms.is_some() {
            let signature = enrollment.signature_algorithm;
            visit(whole(Rule::Signature, Some(signature.source), self.allows_signature_algorithm(signature.value)));
        }
    }

    fn walk_validity(&self, enrollment: &Enrollment, visit: &mut dyn FnMut(Check)) {
        let Sourced { value, source } = enrollment.validity;
        if let Some(most) = self.validity_max {
            visit(whole(Rule::ValidityMax, Some(source), value.ttl <= most));
        }
        if let Some(least) = self.validity_min {
            visit(whole(Rule::ValidityMin, Some(source), value.ttl >= least));
        }
    }

    fn walk_basic_constraints(&self, enrollment: &Enrollment, visit: &mut dyn FnMut(Check)) {
        let Sourced { value, source } = enrollment.basic_constraints;
        let passed = match self.ca {
            RuleState::Allowed => true,
            RuleState::Required => value.is_ca,
            RuleState::Denied => !value.is_ca,
        };
        visit(whole(Rule::IsCa, Some(source), passed));
        if !self.permits_ca() {
            // The right to sign certificates makes a CA, whatever the constraints say.
            for (index, usage) in enrollment.key_usages.iter().enumerate() {
                if usage.value == KeyUsage::KeyCertSign {
                    visit(Check {
                        rule: Rule::IsCa,
                        subject: Subject::Usage(index),
                        source: Some(usage.source),
                        passed: false,
                    });
                }
            }
        }
        if let Some(most) = self.path_length_max
            && value.is_ca
            && self.permits_ca()
        {
            visit(whole(Rule::PathLength, Some(source), value.path_length.is_some_and(|length| length <= most)));
        }
    }
}

const fn whole(rule: Rule, source: Option<Source>, passed: bool) -> Check {
    Check { rule, subject: Subject::Whole, source, passed }
}

/// Where the common name stands that says the same as a name which the requester gave too.
fn common_name_of(enrollment: &Enrollment, san: &Sourced<GeneralName>) -> Option<usize> {
    if san.source == Source::Derived {
        return None;
    }
    let at = enrollment.subject.iter().position(|it| it.value.kind == AttributeType::CommonName)?;
    let copy = suggest::name_of_common_name(&enrollment.subject.get(at)?.value)?;
    (copy == san.value).then_some(at)
}

fn is_only(enrollment: &Enrollment, kind: AttributeType) -> bool {
    enrollment.subject.iter().filter(|it| it.value.kind == kind).count() == 1
}

/// The verdicts on one value, up to the first that refuses it.
fn walk_value(rule: &NameRule, value: &Value<'_>, said_elsewhere: bool, report: &mut dyn FnMut(Part, bool)) {
    let denied = rule.denies(value);
    if !rule.denied.is_empty() {
        report(Part::Denied, !denied);
    }
    if denied {
        return;
    }
    if !rule.wildcards && value.is_wildcard() {
        report(Part::Wildcards, false);
        return;
    }
    if !said_elsewhere {
        report(Part::Allowed, rule.permits(value));
    }
}

/// At least one value of the attribute matches one required pattern.
fn required_attribute(kind: AttributeType, rule: &NameRule, enrollment: &Enrollment) -> Check {
    let mut found = None;
    for (index, attribute) in enrollment.subject.iter().enumerate().filter(|(_, it)| it.value.kind == kind) {
        let meets = rule.meets_required(&Value::of_attribute(&attribute.value));
        if meets || found.is_none() {
            found = Some((index, attribute.source, meets));
        }
        if meets {
            break;
        }
    }
    let rule = Rule::Subject(kind, Part::Required);
    match found {
        Some((index, source, passed)) => {
            Check { rule, subject: Subject::Attribute(index), source: Some(source), passed }
        }
        None => Check { rule, subject: Subject::Missing, source: None, passed: false },
    }
}

/// All required, none denied, every one in `required` or `allowed`.
fn walk_usages<T: Copy + PartialEq>(
    rule: &UsageRule<T>,
    usages: &[Sourced<T>],
    name: fn(Part) -> Rule,
    missing: fn(T) -> Subject,
    visit: &mut dyn FnMut(Check),
) {
    for (index, usage) in usages.iter().enumerate() {
        let mut report = |part, passed| {
            visit(Check { rule: name(part), subject: Subject::Usage(index), source: Some(usage.source), passed })
        };
        if rule.denies(usage.value) {
            report(Part::Denied, false);
        } else {
            report(Part::Allowed, rule.permits(usage.value));
        }
    }
    for required in &rule.required {
        let found = usages.iter().position(|usage| usage.value == *required);
        visit(Check {
            rule: name(Part::Required),
            subject: found.map_or_else(|| missing(*required), Subject::Usage),
            source: found.and_then(|at| usages.get(at)).map(|usage| usage.source),
            passed: found.is_some(),
        });
    }
}
