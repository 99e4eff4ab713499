//! From the rules as written to the one compiled form. Every problem is found, not only the first.

use std::str::FromStr;

use chancery_model::template::{
    AlgorithmRule, BasicConstraintsRule, ListRule, Patterns, RuleLists, RuleState, SanRule, SubjectRule, TemplateRules,
    ValidityRule,
};
use chancery_model::time::{Ttl, UnitM};
use chancery_pkix::AttributeType;

use super::pattern::{Pattern, Place};
use super::rule::{ComponentRule, NameRule, Sequence, UsageRule};
use super::{SubjectRules, Template};

/// Something wrong with a rule, found when the template is saved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleProblem {
    /// The wire's name of the field, such as `sans[0].allowed[2]`.
    pub field: String,
    /// Stable; `template.duplicate` stands for a value or rule given twice.
    pub code: &'static str,
    pub message: String,
}

impl RuleProblem {
    pub(super) fn new(field: impl Into<String>, code: &'static str, message: impl Into<String>) -> Self {
        Self { field: field.into(), code, message: message.into() }
    }
}

/// Patterns in one list.
const PATTERNS_MAX: usize = 500;

/// `regex:` patterns in one template; each may take a quarter of a megabyte.
const REGEXES_MAX: usize = 20;

/// Sequences in one list of a `domain_component` rule, and labels in one sequence.
const SEQUENCES_MAX: usize = 25;
const LABELS_MAX: usize = 50;

pub(super) fn compile(rules: &TemplateRules) -> Result<Template, Vec<RuleProblem>> {
    let mut compiler = Compiler::default();
    let algorithms = rules.algorithms.clone().unwrap_or_default();
    let validity = rules.validity.clone().unwrap_or_default();
    let constraints = rules.basic_constraints.clone().unwrap_or_default();
    let template = Template {
        subject: rules.subject.as_deref().map(|rules| compiler.subject(rules)),
        sans: rules.sans.as_deref().map(|rules| compiler.sans(rules)),
        key_usages: rules.key_usages.as_ref().map(|rule| compiler.usages("keyUsages", rule)),
        extended_key_usages: rules.extended_key_usages.as_ref().map(|rule| compiler.usages("extendedKeyUsages", rule)),
        key_algorithms: compiler.key_algorithms(&algorithms),
        signature_algorithms: compiler.signature_algorithms(&algorithms),
        validity_max: compiler.duration("validity.max", validity.max.as_deref(), UnitM::Months),
        validity_min: compiler.duration("minValidity", validity.min.as_deref(), UnitM::Minutes),
        sans_max: rules.sans_max.map(|most| usize::try_from(most).unwrap_or(usize::MAX)),
        ca: constraints.is_ca.unwrap_or(RuleState::Denied),
        path_length_max: compiler.path_length(&constraints),
    };
    compiler.validity_order(&template, &validity);
    if compiler.problems.is_empty() { Ok(template) } else { Err(compiler.problems) }
}

#[derive(Default)]
struct Compiler {
    problems: Vec<RuleProblem>,
    regexes: usize,
}

impl Compiler {
    fn problem(&mut self, field: impl Into<String>, code: &'static str, message: impl Into<String>) {
        self.problems.push(RuleProblem::new(field, code, message));
    }

    fn duplicate(&mut self, field: String, what: &str) {
        self.problem(field, "template.duplicate", format!("'{what}' is given twice; keep one"));
    }

    fn subject(&mut self, rules: &[SubjectRule]) -> SubjectRules {
        let mut compiled = SubjectRules::default();
        for (index, rule) in rules.iter().enumerate() {
            let field = format!("subject[{index}]");
            if rules.iter().take(index).any(|other| other.kind == rule.kind) {
                self.duplicate(format!("{field}.type"), rule.kind.as_str());
            }
            self.presence(&field, &rule.lists);
            if rule.kind == AttributeType::DomainComponent {
                compiled.components = Some(self.components(&field, &rule.lists));
            } else {
                compiled.attributes.push((rule.kind, self.name_rule(&field, Place::Attribute(rule.kind), &rule.lists)));
            }
        }
        compiled
    }

    fn sans(&mut self, rules: &[SanRule]) -> Vec<(chancery_pkix::GeneralNameKind, NameRule)> {
        let mut compiled = Vec::with_capacity(rules.len());
        for (index, rule) in rules.iter().enumerate() {
            let field = format!("sans[{index}]");
            if rules.iter().take(index).any(|other| other.kind == rule.kind) {
                self.duplicate(format!("{field}.type"), rule.kind.as_str());
            }
            self.presence(&field, &rule.lists);
            compiled.push((rule.kind, self.name_rule(&field, Place::Name(rule.kind), &rule.lists)));
        }
        compiled
    }

    fn presence(&mut self, field: &str, lists: &RuleLists) {
        if lists.allowed.is_none() && lists.required.is_none() && lists.denied.is_none() {
            self.problem(field, "template.rule_empty", "a rule needs at least one of allowed, required and denied");
        }
    }

    fn name_rule(&mut self, field: &str, place: Place, lists: &RuleLists) -> NameRule {
        let rule = NameRule {
            allowed: self.patterns(&format!("{field}.allowed"), place, lists.allowed.as_ref()),
            required: self.patterns(&format!("{field}.required"), place, lists.required.as_ref()),
            denied: self.patterns(&format!("{field}.denied"), place, lists.denied.as_ref()).unwrap_or_default(),
            wildcards: lists.allow_wildcards != Some(false),
        };
        for (part, list) in [("allowed", rule.allowed()), ("required", rule.required())] {
            for pattern in list {
                if rule.denied.iter().any(|denied| denied.folded() == pattern.folded()) {
                    self.contradiction(&format!("{field}.{part}"), pattern.written());
                }
            }
        }
        rule
    }

    fn contradiction(&mut self, field: &str, what: &str) {
        self.problem(
            field,
            "template.contradiction",
            format!("'{what}' is also in denied, and denied wins; take it out of one of them"),
        );
    }

    fn patterns(&mut self, field: &str, place: Place, patterns: Option<&Patterns>) -> Option<Vec<Pattern>> {
        let texts = match patterns? {
            Patterns::Flat(texts) => texts,
            // An empty list reads back as either form.
            Patterns::Nested(lists) if lists.is_empty() => return Some(Vec::new()),
            Patterns::Nested(_) => {
                self.problem(field, "template.nested", "only domain_component rules take lists of lists");
                return Some(Vec::new());
            }
        };
        if texts.len() > PATTERNS_MAX {
            self.problem(field, "template.too_many", format!("a list holds at most {PATTERNS_MAX} patterns"));
            return Some(Vec::new());
        }
        let mut compiled: Vec<Pattern> = Vec::with_capacity(texts.len());
        for (index, text) in texts.iter().enumerate() {
            let Some(pattern) = self.pattern(format!("{field}[{index}]"), place, text) else { continue };
            if compiled.iter().any(|known| known.folded() == pattern.folded()) {
                self.duplicate(format!("{field}[{index}]"), text);
            }
            compiled.push(pattern);
        }
        Some(compiled)
    }

    fn pattern(&mut self, field: String, place: Place, text: &str) -> Option<Pattern> {
        // Counted before it is compiled: a template of a thousand large expressions must not be built first.
        if text.trim_start().starts_with("regex:") {
            self.regexes += 1;
            if self.regexes > REGEXES_MAX {
                self.problem(field, "template.too_many", format!("a template holds at most {REGEXES_MAX} expressions"));
                return None;
            }
        }
        match Pattern::compile(place, text) {
            Ok(pattern) => Some(pattern),
            Err(flaw) => {
                self.problem(field, flaw.code, flaw.message);
                None
            }
        }
    }

    fn components(&mut self, field: &str, lists: &RuleLists) -> ComponentRule {
        let rule = ComponentRule {
            allowed: self.sequences(&format!("{field}.allowed"), lists.allowed.as_ref(), false),
            required: self.sequences(&format!("{field}.required"), lists.required.as_ref(), false),
            denied: self.sequences(&format!("{field}.denied"), lists.denied.as_ref(), true).unwrap_or_default(),
        };
        for (part, list) in [("allowed", rule.allowed()), ("required", rule.required())] {
            for sequence in list {
                if rule.denied.iter().any(|denied| denied.covers(sequence)) {
                    self.contradiction(&format!("{field}.{part}"), &sequence.written());
                }
            }
        }
        rule
    }

    /// A flat list is one sequence; among the denied each of its labels is a sequence by itself.
    fn sequences(&mut self, field: &str, patterns: Option<&Patterns>, each_label: bool) -> Option<Vec<Sequence>> {
        let lists: Vec<Vec<String>> = match patterns? {
            Patterns::Flat(labels) if labels.is_empty() => Vec::new(),
            Patterns::Flat(labels) if each_label => labels.iter().map(|label| vec![label.clone()]).collect(),
            Patterns::Flat(labels) => vec![labels.clone()],
            Patterns::Nested(lists) => lists.clone(),
        };
        if lists.len() > SEQUENCES_MAX || lists.iter().any(|labels| labels.is_empty() || labels.len() > LABELS_MAX) {
            let message = format!("a list holds at most {SEQUENCES_MAX} sequences of 1 to {LABELS_MAX} labels");
            self.problem(field, "template.too_many", message);
            return Some(Vec::new());
        }
        let mut compiled: Vec<Sequence> = Vec::with_capacity(lists.len());
        for (index, labels) in lists.iter().enumerate() {
            let place = Place::Attribute(AttributeType::DomainComponent);
            let sequence: Vec<Pattern> =
                labels.iter().filter_map(|label| self.pattern(format!("{field}[{index}]"), place, label)).collect();
            let same = |known: &Sequence| {
                known.0.len() == sequence.len() && known.0.iter().zip(&sequence).all(|(a, b)| a.folded() == b.folded())
            };
            if compiled.iter().any(same) {
                self.duplicate(format!("{field}[{index}]"), &labels.join(","));
            }
            compiled.push(Sequence(sequence));
        }
        Some(compiled)
    }

    fn usages<T: FromStr + Copy + PartialEq>(&mut self, field: &str, rule: &ListRule) -> UsageRule<T> {
        if rule.allowed.is_none() && rule.required.is_none() && rule.denied.is_none() {
            self.problem(
                field,
                "template.rule_empty",
                "give at least one of allowed, required and denied, or null for no constraint",
            );
        }
        let compiled = UsageRule {
            allowed: self.words(&format!("{field}.allowed"), rule.allowed.as_deref()),
            required: self.words(&format!("{field}.required"), rule.required.as_deref()),
            denied: self.words(&format!("{field}.denied"), rule.denied.as_deref()),
        };
        for (part, list, texts) in
            [("allowed", &compiled.allowed, &rule.allowed), ("required", &compiled.required, &rule.required)]
        {
            for (usage, text) in list.iter().zip(texts.iter().flatten()) {
                if compiled.denies(*usage) {
                    self.contradiction(&format!("{field}.{part}"), text);
                }
            }
        }
        compiled
    }

    /// A list from a closed set of words, each once.
    fn words<T: FromStr + Copy + PartialEq>(&mut self, field: &str, texts: Option<&[String]>) -> Vec<T> {
        let mut compiled = Vec::new();
        for (index, text) in texts.unwrap_or_default().iter().enumerate() {
            match text.parse::<T>() {
                Ok(word) if compiled.contains(&word) => self.duplicate(format!("{field}[{index}]"), text),
                Ok(word) => compiled.push(word),
                Err(_) => self.problem(
                    format!("{field}[{index}]"),
                    "template.unknown_word",
                    format!("'{text}' is not known here"),
                ),
            }
        }
        compiled
    }

    fn key_algorithms(&mut self, rule: &AlgorithmRule) -> Option<Vec<chancery_pkix::KeyAlgorithm>> {
        self.algorithms("algorithms.keyAlgorithm", rule.key_algorithm.as_deref())
    }

    fn signature_algorithms(&mut self, rule: &AlgorithmRule) -> Option<Vec<chancery_pkix::SignatureAlgorithm>> {
        self.algorithms("algorithms.signature", rule.signature.as_deref())
    }

    fn algorithms<T: FromStr + Copy + PartialEq>(&mut self, field: &str, texts: Option<&[String]>) -> Option<Vec<T>> {
        let texts = texts?;
        if texts.is_empty() {
            self.problem(
                field,
                "template.list_empty",
                "an empty list allows no algorithm; name one, or leave the list out",
            );
        }
        Some(self.words(field, Some(texts)))
    }

    fn duration(&mut self, field: &str, text: Option<&str>, unit_m: UnitM) -> Option<Ttl> {
        match Ttl::parse_with(text?, unit_m) {
            Ok(ttl) => Some(ttl),
            Err(error) => {
                self.problem(field, "template.duration", error.to_string());
                None
            }
        }
    }

    fn validity_order(&mut self, template: &Template, written: &ValidityRule) {
        if let (Some(max), Some(min)) = (template.validity_max, template.validity_min)
            && min > max
        {
            let texts = (written.min.as_deref().unwrap_or_default(), written.max.as_deref().unwrap_or_default());
            let message =
                format!("the minimum ({}) is longer than the maximum ({}), so nothing fits", texts.0, texts.1);
            self.problem("minValidity", "template.unsatisfiable", message);
        }
    }

    fn path_length(&mut self, rule: &BasicConstraintsRule) -> Option<u8> {
        match rule.path_length_max {
            None | Some(-1) => None,
            Some(length) => u8::try_from(length).ok().or_else(|| {
                let message = format!("{length} is not a path length; give 0 to 255, or -1 for no limit");
                self.problem("basicConstraints.maxPathLength", "template.path_length", message);
                None
            }),
        }
    }
}
