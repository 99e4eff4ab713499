//! Rules that no request could ever meet, found when the template is saved. Only what is certain is reported.

use chancery_model::template::RuleState;
use chancery_pkix::{Attribute, AttributeType, GeneralNameKind, KeyAlgorithm, KeyUsage};

use super::Template;
use super::compile::RuleProblem;
use super::pattern::{Pattern, Value};
use super::rule::NameRule;
use super::suggest::name_of_common_name;

const CODE: &str = "template.unsatisfiable";

pub(super) fn problems(template: &Template) -> Vec<RuleProblem> {
    let mut problems = Vec::new();
    names(template, &mut problems);
    common_name(template, &mut problems);
    san_count(template, &mut problems);
    usages(template, &mut problems);
    problems
}

/// Required values that are all denied.
fn names(template: &Template, problems: &mut Vec<RuleProblem>) {
    let denied = |rule: &NameRule, pattern: &Pattern| rule.denied.iter().any(|denied| denied.covers(pattern));
    for (kind, rule) in template.subject.iter().flat_map(|rules| &rules.attributes) {
        let required = rule.required();
        if !required.is_empty() && required.iter().all(|pattern| denied(rule, pattern)) {
            let message = format!("every required value of {} is denied", kind.as_str());
            problems.push(RuleProblem::new("subject", CODE, message));
        }
    }
    for (kind, rule) in template.sans.iter().flatten() {
        for pattern in rule.required().iter().filter(|pattern| denied(rule, pattern)) {
            let message =
                format!("'{}' is required of every request's {} names, and denied", pattern.written(), kind.as_str());
            problems.push(RuleProblem::new("sans", CODE, message));
        }
    }
}

/// A common name that is a host or an address is copied into the SANs and judged there too.
fn common_name(template: &Template, problems: &mut Vec<RuleProblem>) {
    let (Some(_), Some(rule)) = (&template.sans, template.attribute_rule(AttributeType::CommonName)) else { return };
    let required = rule.required();
    if required.is_empty() {
        return;
    }
    let mut refused = None;
    for pattern in required {
        if !pattern.is_literal() {
            return;
        }
        let attribute = Attribute { kind: AttributeType::CommonName, value: pattern.written().to_owned() };
        let Some(name) = name_of_common_name(&attribute) else { return };
        let passes = template.san_rule(name.kind()).is_some_and(|rule| rule.refusal(&Value::of_name(&name)).is_none());
        if passes {
            return;
        }
        refused = Some(name);
    }
    if let Some(name) = refused {
        let kind = name.kind();
        let message = format!(
            "the required common name '{}' is copied into the subject alternative names, and no rule there allows it; add a {} rule",
            name.value(),
            kind.as_str()
        );
        problems.push(RuleProblem::new("sans", CODE, message));
    }
}

/// More names required than allowed: every kind with a required pattern needs one, every exact pattern its own.
fn san_count(template: &Template, problems: &mut Vec<RuleProblem>) {
    let needed = |(_, rule): &(GeneralNameKind, NameRule)| {
        let exact = rule.required().iter().filter(|pattern| pattern.is_literal()).count();
        if rule.required().is_empty() { 0 } else { exact.max(1) }
    };
    let needed: usize = template.sans.iter().flatten().map(needed).sum();
    if let Some(most) = template.sans_max
        && needed > most
    {
        let message = format!("the rules require at least {needed} subject alternative names and maxSans is {most}");
        problems.push(RuleProblem::new("maxSans", CODE, message));
    }
}

fn usages(template: &Template, problems: &mut Vec<RuleProblem>) {
    let required = template.key_usages_required();
    if required.contains(KeyUsage::KeyCertSign) && template.ca == RuleState::Denied {
        let message = "key_cert_sign is required and only CA certificates may have it; set basicConstraints.isCA to allowed or required";
        problems.push(RuleProblem::new("keyUsages.required", CODE, message));
    }
    let permits_signing = template.key_usages.as_ref().is_none_or(|rule| rule.permits(KeyUsage::KeyCertSign));
    if template.requires_ca() && !permits_signing {
        let message = "a CA certificate needs key_cert_sign (RFC 5280 §4.2.1.9); add it to keyUsages";
        problems.push(RuleProblem::new("keyUsages", CODE, message));
    }
    let listed = template.key_algorithms.as_deref().unwrap_or(KeyAlgorithm::ALL);
    if !listed.iter().any(|key| template.key_serves(*key)) {
        let usages: Vec<&str> = required.iter().map(KeyUsage::as_str).collect();
        let message = format!("no allowed key algorithm can serve {} together", usages.join(", "));
        problems.push(RuleProblem::new("keyUsages.required", CODE, message));
    }
}
