//! What the form of a template shows, as text, and the way between it and the core's rules.
//!
//! Patterns stand one on a line. A block (subject, alternative names, usages) is either free ("any") or given by rules;
//! within it an empty list and an absent one mean the same wherever the core says so, and a block that was not touched is
//! left as it is stored.

use chancery_authority::enrollment::Field;
use chancery_authority::template::{RuleProblem, TemplateRulesPatch};
use chancery_model::template::{
    AlgorithmRule, BasicConstraintsRule, ListRule, Patterns, RuleLists, RuleState, SanRule, SubjectRule, TemplateRules,
    ValidityRule,
};
use chancery_pkix::{AttributeType, ExtendedKeyUsage, GeneralNameKind, KeyAlgorithm, KeyUsage, SignatureAlgorithm};

use crate::form::{Form, Problems};

/// A block that constrains nothing.
pub(crate) const ANY: &str = "any";
/// A block that its rules describe.
pub(crate) const RULES: &str = "rules";
/// No wildcard names, in a row's choice.
pub(crate) const NO_WILDCARDS: &str = "no";

/// Rows that a form shows, and names that a template may ask for: as the API takes them.
const ROWS_MAX: usize = 50;
const SANS_MAX: u32 = 100;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Draft {
    pub name: String,
    pub description: String,
    pub subject: Rows,
    pub sans: Rows,
    pub key_usages: Usages,
    pub extended_key_usages: Usages,
    /// Ticked; none: any.
    pub key_algorithms: Vec<String>,
    pub signature_algorithms: Vec<String>,
    pub validity_max: String,
    pub validity_min: String,
    pub max_sans: String,
    pub ca: String,
    pub path_length: String,
}

/// Rules about names, a row for each kind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Rows {
    pub mode: String,
    pub rows: Vec<Row>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Row {
    pub kind: String,
    pub allowed: String,
    pub required: String,
    pub denied: String,
    pub wildcards: String,
}

/// A table of usages: each with what the template says of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Usages {
    pub mode: String,
    /// Name and state: empty (not allowed), allowed, required or denied.
    pub states: Vec<(&'static str, String)>,
}

impl Draft {
    pub fn read(form: &Form) -> Self {
        let text = |name: &str| form.text(name).to_owned();
        let all = |name: &str| form.all(name).map(str::to_owned).collect();
        Self {
            name: text("name"),
            description: text("description"),
            subject: Rows::read(form, "subject"),
            sans: Rows::read(form, "san"),
            key_usages: Usages::read(form, "ku", key_usage_words()),
            extended_key_usages: Usages::read(form, "eku", extended_key_usage_words()),
            key_algorithms: all("key_algorithm"),
            signature_algorithms: all("signature_algorithm"),
            validity_max: text("validity_max"),
            validity_min: text("validity_min"),
            max_sans: text("max_sans"),
            ca: text("ca"),
            path_length: text("path_length"),
        }
    }

    /// The form of these rules; name and description stay empty.
    pub fn of(rules: &TemplateRules) -> Self {
        let algorithms = rules.algorithms.clone().unwrap_or_default();
        let validity = rules.validity.clone().unwrap_or_default();
        let constraints = rules.basic_constraints.clone().unwrap_or_default();
        // Stored in either spelling, shown in one.
        let keys = algorithms.key_algorithm.iter().flatten().filter_map(|it| it.parse::<KeyAlgorithm>().ok());
        let signatures = algorithms.signature.iter().flatten().filter_map(|it| it.parse::<SignatureAlgorithm>().ok());
        let subject = rules.subject.as_ref();
        let sans = rules.sans.as_ref();
        Self {
            subject: Rows::of(subject.map(|list| list.iter().filter_map(|it| Row::of(it.kind.as_str(), &it.lists)))),
            sans: Rows::of(sans.map(|list| list.iter().filter_map(|it| Row::of(it.kind.as_str(), &it.lists)))),
            key_usages: Usages::of(rules.key_usages.as_ref(), key_usage_words()),
            extended_key_usages: Usages::of(rules.extended_key_usages.as_ref(), extended_key_usage_words()),
            key_algorithms: keys.map(|it| it.as_str().to_owned()).collect(),
            signature_algorithms: signatures.map(|it| it.as_str().to_owned()).collect(),
            validity_max: validity.max.unwrap_or_default(),
            validity_min: validity.min.unwrap_or_default(),
            max_sans: rules.sans_max.map_or_else(String::new, |it| it.to_string()),
            ca: state_word(constraints.is_ca.unwrap_or(RuleState::Denied)).to_owned(),
            path_length: constraints
                .path_length_max
                .filter(|it| *it >= 0)
                .map_or_else(String::new, |it| it.to_string()),
            ..Self::default()
        }
    }

    /// The rules that the form describes. What is no number is noted and left out.
    pub fn to_rules(&self, problems: &mut Problems) -> TemplateRules {
        let algorithms = AlgorithmRule {
            key_algorithm: some_list(&self.key_algorithms),
            signature: some_list(&self.signature_algorithms),
        };
        let given = |text: &String| (!text.is_empty()).then(|| text.clone());
        let validity = ValidityRule { max: given(&self.validity_max), min: given(&self.validity_min) };
        TemplateRules {
            subject: self.subject.rules(|row| {
                let kind: AttributeType = row.kind.parse().ok()?;
                Some(SubjectRule { kind, lists: row.lists(kind == AttributeType::DomainComponent) })
            }),
            sans: self.sans.rules(|row| {
                let kind: GeneralNameKind = row.kind.parse().ok()?;
                Some(SanRule { kind, lists: row.lists(false) })
            }),
            key_usages: self.key_usages.rule(),
            extended_key_usages: self.extended_key_usages.rule(),
            algorithms: (algorithms != AlgorithmRule::default()).then_some(algorithms),
            validity: (validity != ValidityRule::default()).then_some(validity),
            basic_constraints: Some(BasicConstraintsRule {
                is_ca: Some(state_named(&self.ca)),
                path_length_max: number(&self.path_length, 0..=255, "path_length", problems).map(i64::from),
            }),
            sans_max: number(&self.max_sans, 1..=SANS_MAX, "max_sans", problems),
        }
    }

    /// The change from `before` to `after`, which is this form's: blocks that show the same as before are kept.
    pub fn patch(&self, after: TemplateRules, before: Option<&TemplateRules>) -> TemplateRulesPatch {
        let shown = before.map(Self::of);
        let kept = |same: fn(&Self, &Self) -> bool| shown.as_ref().is_some_and(|it| same(it, self));
        let validity = after.validity.unwrap_or_default();
        TemplateRulesPatch {
            subject: changed(kept(|a, b| a.subject == b.subject), after.subject),
            sans: changed(kept(|a, b| a.sans == b.sans), after.sans),
            key_usages: changed(kept(|a, b| a.key_usages == b.key_usages), after.key_usages),
            extended_key_usages: changed(
                kept(|a, b| a.extended_key_usages == b.extended_key_usages),
                after.extended_key_usages,
            ),
            algorithms: changed(
                kept(|a, b| {
                    (&a.key_algorithms, &a.signature_algorithms) == (&b.key_algorithms, &b.signature_algorithms)
                }),
                after.algorithms,
            ),
            validity_max: changed(kept(|a, b| a.validity_max == b.validity_max), validity.max),
            validity_min: changed(kept(|a, b| a.validity_min == b.validity_min), validity.min),
            basic_constraints: changed(
                kept(|a, b| (&a.ca, &a.path_length) == (&b.ca, &b.path_length)),
                after.basic_constraints,
            ),
            sans_max: changed(kept(|a, b| a.max_sans == b.max_sans), after.sans_max),
        }
    }

    pub fn has_key(&self, name: &str) -> bool {
        self.key_algorithms.iter().any(|it| it == name)
    }

    pub fn has_signature(&self, name: &str) -> bool {
        self.signature_algorithms.iter().any(|it| it == name)
    }

    /// Adds or takes away a row, as a button without a script asks: `add-san`, `remove-subject-2`.
    pub fn rearrange(&mut self, deed: &str) {
        let Some((verb, rest)) = deed.split_once('-') else { return };
        let (part, index) = rest.split_once('-').unwrap_or((rest, ""));
        let rows = match part {
            "subject" => &mut self.subject,
            "san" => &mut self.sans,
            _ => return,
        };
        match (verb, index.parse::<usize>()) {
            ("add", _) if rows.rows.len() < ROWS_MAX => {
                RULES.clone_into(&mut rows.mode);
                rows.rows.push(Row::default());
            }
            ("remove", Ok(index)) if index < rows.rows.len() => {
                rows.rows.remove(index);
            }
            _ => {}
        }
    }
}

impl Rows {
    fn read(form: &Form, part: &str) -> Self {
        let column = |name: &str| -> Vec<String> {
            let name = format!("{part}_{name}");
            form.column(&name).take(ROWS_MAX).map(lines_joined).collect()
        };
        let [allowed, required, denied, wildcards] = ["allowed", "required", "denied", "wildcards"].map(column);
        let of = |list: &[String], index: usize| list.get(index).cloned().unwrap_or_default();
        let rows = column("type").into_iter().enumerate().map(|(index, kind)| Row {
            kind,
            allowed: of(&allowed, index),
            required: of(&required, index),
            denied: of(&denied, index),
            wildcards: of(&wildcards, index),
        });
        Self { mode: mode(form.text(&format!("{part}_mode"))), rows: rows.collect() }
    }

    fn of(rows: Option<impl Iterator<Item = Row>>) -> Self {
        match rows {
            None => Self { mode: ANY.to_owned(), rows: Vec::new() },
            Some(rows) => Self { mode: RULES.to_owned(), rows: rows.collect() },
        }
    }

    fn rules<T>(&self, rule: impl Fn(&Row) -> Option<T>) -> Option<Vec<T>> {
        (self.mode == RULES).then(|| self.rows.iter().filter_map(rule).collect())
    }
}

impl Row {
    /// `None` for a rule that lets nothing pass: leaving its row out says the same.
    fn of(kind: &str, lists: &RuleLists) -> Option<Self> {
        let is_empty = |list: &Option<Patterns>| list.as_ref().is_none_or(|it| written(it, false).is_empty());
        let is_given = lists.allowed.is_some() || lists.required.is_some();
        if is_given && is_empty(&lists.allowed) && is_empty(&lists.required) {
            return None;
        }
        let text = |list: &Option<Patterns>, each| list.as_ref().map_or_else(String::new, |it| written(it, each));
        let is_components = kind == AttributeType::DomainComponent.as_str();
        Some(Self {
            kind: kind.to_owned(),
            // A flat list of labels is one sequence, except among the denied.
            allowed: text(&lists.allowed, !is_components),
            required: text(&lists.required, !is_components),
            denied: text(&lists.denied, true),
            wildcards: if lists.allow_wildcards == Some(false) { NO_WILDCARDS.to_owned() } else { String::new() },
        })
    }

    fn lists(&self, is_components: bool) -> RuleLists {
        let list = |text: &String| patterns(text, is_components);
        RuleLists {
            allowed: list(&self.allowed),
            required: list(&self.required),
            denied: list(&self.denied),
            allow_wildcards: (self.wildcards == NO_WILDCARDS).then_some(false),
        }
    }

    pub fn is_kind(&self, kind: &str) -> bool {
        self.kind == kind
    }
}

impl Usages {
    fn read(form: &Form, part: &str, words: impl Iterator<Item = &'static str>) -> Self {
        let states = words.map(|word| (word, form.text(&format!("{part}_{word}")).to_owned())).collect();
        Self { mode: mode(form.text(&format!("{part}_mode"))), states }
    }

    fn of(rule: Option<&ListRule>, words: impl Iterator<Item = &'static str>) -> Self {
        let holds = |list: &Option<Vec<String>>, word: &str| list.iter().flatten().any(|it| it == word);
        let state = |word: &'static str| match rule {
            Some(rule) if holds(&rule.denied, word) => "denied",
            Some(rule) if holds(&rule.required, word) => "required",
            Some(rule) if holds(&rule.allowed, word) => "allowed",
            _ => "",
        };
        let mode = if rule.is_some() { RULES } else { ANY };
        Self { mode: mode.to_owned(), states: words.map(|word| (word, state(word).to_owned())).collect() }
    }

    fn rule(&self) -> Option<ListRule> {
        let of = |wanted: &str| -> Vec<String> {
            let found = self.states.iter().filter(|(_, state)| state == wanted);
            found.map(|(word, _)| (*word).to_owned()).collect()
        };
        let some = |list: Vec<String>| (!list.is_empty()).then_some(list);
        (self.mode == RULES).then(|| ListRule {
            allowed: Some(of("allowed")),
            required: some(of("required")),
            denied: some(of("denied")),
        })
    }
}

/// Puts what the core says of rules beside the fields of the form, every word about one field together.
pub(crate) fn place_problems(found: &[RuleProblem], problems: &mut Problems) {
    let mut places: Vec<(String, Vec<String>)> = Vec::new();
    for problem in found {
        let (place, text) = (place_of(&problem.field), text_of(problem));
        match places.iter_mut().find(|(it, _)| *it == place) {
            Some((_, texts)) => texts.push(text),
            None => places.push((place, vec![text])),
        }
    }
    for (place, texts) in places {
        problems.add(&place, sentences(&texts));
    }
}

/// The form's name of a field of the core's: `sans[1].allowed[0]` is in the row `sans[1]`.
pub(crate) fn place_of(field: &str) -> String {
    let row = field.split_once(']').map(|(row, _)| format!("{row}]"));
    match field {
        it if it.starts_with("subject[") || it.starts_with("sans[") => row.unwrap_or_default(),
        it if it.starts_with("keyUsages") => "ku".to_owned(),
        it if it.starts_with("extendedKeyUsages") => "eku".to_owned(),
        it if it.starts_with("algorithms.keyAlgorithm") => "key_algorithm".to_owned(),
        it if it.starts_with("algorithms.signature") => "signature_algorithm".to_owned(),
        "validity.max" => "validity_max".to_owned(),
        "minValidity" => "validity_min".to_owned(),
        "maxSans" => "max_sans".to_owned(),
        "basicConstraints.maxPathLength" => "path_length".to_owned(),
        it if it.starts_with("basicConstraints") => "ca".to_owned(),
        other => other.to_owned(),
    }
}

/// `allowed, line 3: …` for a pattern of a list.
pub(crate) fn text_of(problem: &RuleProblem) -> String {
    let inside = problem.field.split_once("].").map(|(_, rest)| rest);
    match inside.and_then(|it| it.split_once('[')) {
        Some((list, rest)) => match rest.trim_end_matches(']').parse::<usize>() {
            Ok(index) => format!("{list}, line {}: {}", index + 1, problem.message),
            Err(_) => format!("{list}: {}", problem.message),
        },
        None => problem.message.clone(),
    }
}

fn sentences(texts: &[String]) -> String {
    let capital = |text: &String| {
        let mut letters = text.chars();
        letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect::<String>())
    };
    texts.iter().map(capital).collect::<Vec<_>>().join(". ")
}

pub(crate) fn key_usage_words() -> impl Iterator<Item = &'static str> {
    KeyUsage::ALL.iter().map(|it| it.as_str())
}

pub(crate) fn extended_key_usage_words() -> impl Iterator<Item = &'static str> {
    ExtendedKeyUsage::ALL.iter().map(|it| it.as_str())
}

fn changed<T>(is_kept: bool, value: Option<T>) -> Field<T> {
    match value {
        _ if is_kept => Field::Missing,
        Some(value) => Field::Value(value),
        None => Field::Null,
    }
}

fn mode(text: &str) -> String {
    if text == RULES { RULES } else { ANY }.to_owned()
}

/// Browsers send line ends as CR LF.
fn lines_joined(text: &str) -> String {
    text.lines().map(str::trim).filter(|it| !it.is_empty()).collect::<Vec<_>>().join("\n")
}

fn some_list(list: &[String]) -> Option<Vec<String>> {
    (!list.is_empty()).then(|| list.to_vec())
}

fn patterns(text: &str, is_components: bool) -> Option<Patterns> {
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|it| !it.is_empty()).collect();
    if lines.is_empty() {
        return None;
    }
    let labels = |line: &&str| line.split(',').map(|it| it.trim().to_owned()).filter(|it| !it.is_empty()).collect();
    Some(if is_components {
        Patterns::Nested(lines.iter().map(labels).collect())
    } else {
        Patterns::Flat(lines.into_iter().map(str::to_owned).collect())
    })
}

/// One pattern, or one sequence of labels, on a line.
fn written(patterns: &Patterns, each_is_a_line: bool) -> String {
    match patterns {
        Patterns::Flat(texts) if each_is_a_line => texts.join("\n"),
        Patterns::Flat(labels) => labels.join(", "),
        Patterns::Nested(lists) => lists.iter().map(|labels| labels.join(", ")).collect::<Vec<_>>().join("\n"),
    }
}

fn number(text: &str, range: std::ops::RangeInclusive<u32>, field: &str, problems: &mut Problems) -> Option<u32> {
    if text.is_empty() {
        return None;
    }
    let found = text.parse().ok().filter(|it| range.contains(it));
    if found.is_none() {
        problems.add(field, format!("Give a number from {} to {}, or nothing", range.start(), range.end()));
    }
    found
}

const fn state_word(state: RuleState) -> &'static str {
    match state {
        RuleState::Denied => "denied",
        RuleState::Allowed => "allowed",
        RuleState::Required => "required",
    }
}

fn state_named(word: &str) -> RuleState {
    match word {
        "allowed" => RuleState::Allowed,
        "required" => RuleState::Required,
        _ => RuleState::Denied,
    }
}

#[cfg(test)]
mod tests {
    use chancery_authority::template::{Template, presets};

    use super::*;

    /// The form as a browser sends it.
    fn sent(draft: &Draft) -> Form {
        let mut pairs: Vec<(String, String)> = Vec::new();
        let mut put = |name: &str, value: &str| pairs.push((name.to_owned(), value.replace('\n', "\r\n")));
        for (part, rows) in [("subject", &draft.subject), ("san", &draft.sans)] {
            put(&format!("{part}_mode"), &rows.mode);
            for row in &rows.rows {
                put(&format!("{part}_type"), &row.kind);
                put(&format!("{part}_allowed"), &row.allowed);
                put(&format!("{part}_required"), &row.required);
                put(&format!("{part}_denied"), &row.denied);
                put(&format!("{part}_wildcards"), &row.wildcards);
            }
        }
        for (part, usages) in [("ku", &draft.key_usages), ("eku", &draft.extended_key_usages)] {
            put(&format!("{part}_mode"), &usages.mode);
            usages.states.iter().for_each(|(word, state)| put(&format!("{part}_{word}"), state));
        }
        draft.key_algorithms.iter().for_each(|it| put("key_algorithm", it));
        draft.signature_algorithms.iter().for_each(|it| put("signature_algorithm", it));
        put("validity_max", &draft.validity_max);
        put("validity_min", &draft.validity_min);
        put("max_sans", &draft.max_sans);
        put("ca", &draft.ca);
        put("path_length", &draft.path_length);
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
        Form::parse(body.as_bytes())
    }

    /// What is in force, sentence by sentence. Usages have no order.
    fn summary(rules: &TemplateRules) -> Vec<Vec<String>> {
        let sentences = Template::compile(rules).map(|it| it.summary()).unwrap();
        let words = |sentence: &String| {
            let mut words: Vec<String> = sentence.split([' ', ',', '.', ';']).map(str::to_owned).collect();
            words.sort();
            words
        };
        sentences.iter().map(words).collect()
    }

    #[test]
    fn every_preset_says_the_same_after_a_way_through_the_form() {
        for preset in presets() {
            let draft = Draft::of(&preset.rules);
            let read = Draft::read(&sent(&draft));
            assert_eq!(read, draft, "{}", preset.id);
            let mut problems = Problems::default();
            let rules = read.to_rules(&mut problems);
            assert!(problems.is_empty());
            assert_eq!(summary(&rules), summary(&preset.rules), "{}", preset.id);
        }
    }

    #[test]
    fn rules_that_are_hard_to_draw_keep_their_meaning() {
        let check = |json: serde_json::Value| {
            let rules: TemplateRules = serde_json::from_value(json.clone()).unwrap();
            let made = Draft::read(&sent(&Draft::of(&rules))).to_rules(&mut Problems::default());
            assert_eq!(summary(&made), summary(&rules), "{json}");
        };
        let subject = |kind: &str, lists: serde_json::Value| serde_json::json!({ "subject": [{ "kind": kind, "lists": lists }, { "kind": "country", "lists": { "allowed": ["DE"] } }] });
        check(serde_json::json!({}));
        check(serde_json::json!({ "subject": [], "sans": [] }));
        check(subject("organization", serde_json::json!({ "required": ["Acme, Inc."], "allowed": [] })));
        check(subject("organization", serde_json::json!({ "denied": ["Evil*"] })));
        check(subject("domain_component", serde_json::json!({ "required": ["corp", "acme", "com"] })));
        check(subject(
            "domain_component",
            serde_json::json!({ "allowed": [["corp", "acme"], ["lab"]], "denied": ["x", "y"] }),
        ));
        check(
            serde_json::json!({ "key_usages": { "denied": ["crl_sign"] }, "extended_key_usages": { "allowed": [] } }),
        );
        check(serde_json::json!({ "algorithms": { "key_algorithm": ["RSA-2048", "EC_prime256v1"] }, "sans_max": 7 }));
        check(serde_json::json!({ "basic_constraints": { "is_ca": "allowed", "path_length_max": -1 } }));
    }

    #[test]
    fn a_rule_that_lets_nothing_pass_is_drawn_as_no_row() {
        let lists = RuleLists { allowed: Some(Patterns::Flat(Vec::new())), ..RuleLists::default() };
        assert_eq!(Row::of("organization", &lists), None);
    }

    #[test]
    fn blocks_that_were_not_touched_are_kept_as_stored() {
        let before = presets()[0].rules.clone();
        let mut draft = Draft::of(&before);
        draft.validity_max = "1y".to_owned();
        let rules = draft.to_rules(&mut Problems::default());
        let patch = draft.patch(rules, Some(&before));
        assert_eq!(patch.validity_max, Field::Value("1y".to_owned()));
        assert_eq!((patch.subject, patch.sans, patch.key_usages), (Field::Missing, Field::Missing, Field::Missing));
        assert_eq!((patch.basic_constraints, patch.validity_min), (Field::Missing, Field::Missing));
    }

    #[test]
    fn what_the_core_says_of_a_pattern_stands_beside_its_row() {
        let check = |field: &str, place: &str, text: &str| {
            let problem = RuleProblem { field: field.to_owned(), code: "x", message: "is odd".to_owned() };
            assert_eq!((place_of(field).as_str(), text_of(&problem).as_str()), (place, text));
        };
        check("sans[1].allowed[2]", "sans[1]", "allowed, line 3: is odd");
        check("subject[0]", "subject[0]", "is odd");
        check("subject[10].type", "subject[10]", "is odd");
        check("keyUsages.required[0]", "ku", "is odd");
        check("validity.max", "validity_max", "is odd");
        check("sans", "sans", "is odd");
    }

    #[test]
    fn numbers_out_of_range_are_told_beside_their_field() {
        for (max_sans, path_length, wrong) in
            [("", "", ""), ("5", "0", ""), ("0", "", "max_sans"), ("x", "", "max_sans"), ("", "256", "path_length")]
        {
            let draft =
                Draft { max_sans: max_sans.to_owned(), path_length: path_length.to_owned(), ..Draft::default() };
            let mut problems = Problems::default();
            draft.to_rules(&mut problems);
            assert_eq!(problems.is_empty(), wrong.is_empty());
            assert!(wrong.is_empty() || !problems.of(wrong).is_empty(), "{max_sans} {path_length}");
        }
    }

    #[test]
    fn rows_come_and_go_without_a_script() {
        let mut draft = Draft::default();
        draft.rearrange("add-san");
        draft.rearrange("add-san");
        draft.sans.rows[0].kind = "dns_name".to_owned();
        assert_eq!((draft.sans.rows.len(), draft.sans.mode.as_str()), (2, RULES));
        draft.rearrange("remove-san-1");
        draft.rearrange("remove-san-9");
        draft.rearrange("remove-other-0");
        assert_eq!(draft.sans.rows.len(), 1);
        assert!(draft.sans.rows[0].is_kind("dns_name"));
    }
}
