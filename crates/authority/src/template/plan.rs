//! A plan that mends a refused request: for every broken check one edit. Nothing here is trusted; `suggest` applies
//! the plan and lets the template judge the result.

use std::collections::BTreeMap;

use chancery_model::enrollment::{Enrollment, KeySource, Source, Sourced};
use chancery_model::profile::ProfileIssuer;
use chancery_pkix::{
    Attribute, AttributeType, BasicConstraints, DistinguishedName, GeneralName, GeneralNameKind, KeyAlgorithm,
    KeyFamily, KeyUsage, SignatureAlgorithm,
};

use super::check::{Check, Rule, Subject, components};
use super::pattern::{Pattern, Value};
use super::rule::{NameRule, UsageRule};
use super::suggest::{Edit, apply, is_chosen, name_of_common_name};
use super::{Template, can_serve};

/// What to do with a refused subject attribute that may as well be absent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Preference {
    Replace,
    LeaveOut,
}

/// One edit per broken check, in the same order, or nothing if some check has none.
pub(super) fn plan(
    template: &Template,
    enrollment: &Enrollment,
    broken: &[Check],
    preference: Preference,
) -> Option<Vec<Edit>> {
    let planner = Planner { template, enrollment, broken, preference };
    let attributes = planner.attributes()?;
    let mut draft = enrollment.clone();
    let edits: Vec<Edit> = attributes.values().cloned().collect();
    apply(template, &edits, &mut draft);
    let names = planner.names(&draft)?;
    let signs_itself = draft.issuer == ProfileIssuer::SelfSigned;
    if draft.subject.is_empty() && (names.total == 0 || signs_itself) {
        // A certificate must name somebody (RFC 5280 §4.1.2.6), one that signs itself by its subject (§4.1.2.4).
        return None;
    }
    broken.iter().map(|check| planner.edit(check, &attributes, &names)).collect()
}

struct Planner<'a> {
    template: &'a Template,
    enrollment: &'a Enrollment,
    broken: &'a [Check],
    preference: Preference,
}

/// The subject alternative names of the mended request.
struct NamePlan {
    /// Those the requester gives.
    given: Vec<GeneralName>,
    /// What was added for a required pattern.
    added: BTreeMap<(GeneralNameKind, usize), GeneralName>,
    /// The single changes do not add up; the list is set as a whole.
    whole: bool,
    /// With the one that the common name brings.
    total: usize,
}

impl Planner<'_> {
    fn edit(&self, check: &Check, attributes: &BTreeMap<AttributeType, Edit>, names: &NamePlan) -> Option<Edit> {
        let common_name = || attributes.get(&AttributeType::CommonName).cloned();
        match (check.rule, check.subject) {
            (Rule::Subject(kind, _), _) => attributes.get(&kind).cloned(),
            (Rule::San(..), Subject::Attribute(_)) => common_name(),
            (Rule::San(..), Subject::San(_)) if check.source == Some(Source::Derived) => common_name(),
            (Rule::San(..) | Rule::SanCount, _) if names.whole || check.rule == Rule::SanCount => {
                Some(Edit::SetNames(names.given.clone()))
            }
            (Rule::San(..), Subject::San(index)) => {
                self.enrollment.sans.get(index).map(|it| Edit::RemoveName(it.value.clone()))
            }
            (Rule::San(kind, _), Subject::MissingSan(index)) => match names.added.get(&(kind, index)) {
                Some(name) => Some(Edit::AddName(name.clone())),
                // Another change brings a name that fits.
                None => self.other_bringer(kind, index, names).or_else(common_name),
            },
            (Rule::KeyUsage(_) | Rule::IsCa, Subject::Usage(_) | Subject::MissingKeyUsage(_)) => self.key_usage(check),
            (Rule::ExtendedKeyUsage(_), _) => self.extended_key_usage(check),
            (Rule::KeyAlgorithm, _) => self.key_algorithm().map(Edit::SetKeyAlgorithm),
            (Rule::Signature, _) => self.signature(),
            (Rule::ValidityMax | Rule::ValidityMin, _) => self.validity(check.rule),
            (Rule::IsCa, _) => {
                let is_ca = self.template.requires_ca();
                let path_length = self.template.path_length_default().filter(|_| is_ca);
                Some(Edit::SetBasicConstraints(BasicConstraints { is_ca, path_length }))
            }
            (Rule::PathLength, _) => {
                let path_length = self.template.path_length_default();
                Some(Edit::SetBasicConstraints(BasicConstraints { is_ca: true, path_length }))
            }
            (Rule::San(..) | Rule::KeyUsage(_), _) | (Rule::SanCount, _) => None,
        }
    }

    /// The addition for another pattern that fits this one too.
    fn other_bringer(&self, kind: GeneralNameKind, index: usize, names: &NamePlan) -> Option<Edit> {
        let pattern = self.template.san_rule(kind)?.required().get(index)?;
        names.added.values().find(|name| matches(pattern, kind, name)).cloned().map(Edit::AddName)
    }

    /// One edit for each subject attribute that some broken check is about.
    fn attributes(&self) -> Option<BTreeMap<AttributeType, Edit>> {
        let mut edits = BTreeMap::new();
        for check in self.broken {
            let kind = match (check.rule, check.subject) {
                (Rule::Subject(kind, _), _) => kind,
                (Rule::San(..), Subject::Attribute(_)) => AttributeType::CommonName,
                (Rule::San(..), Subject::San(_)) if check.source == Some(Source::Derived) => AttributeType::CommonName,
                _ => continue,
            };
            if edits.contains_key(&kind) {
                continue;
            }
            let edit = if kind == AttributeType::DomainComponent { self.components()? } else { self.attribute(kind)? };
            edits.insert(kind, edit);
        }
        Some(edits)
    }

    fn attribute(&self, kind: AttributeType) -> Option<Edit> {
        let rule = self.template.attribute_rule(kind);
        let needed = rule.is_some_and(|rule| !rule.required().is_empty());
        let set = || {
            self.attribute_candidates(kind)
                .into_iter()
                .find(|value| self.accepts(kind, value))
                .map(|value| Edit::SetAttribute(kind, value))
        };
        let clear = (!needed).then_some(Edit::ClearAttribute(kind));
        if self.template.subject.is_some() && rule.is_none() {
            return clear;
        }
        match self.preference {
            Preference::Replace => set().or(clear),
            Preference::LeaveOut => clear.or_else(set),
        }
    }

    /// Values worth trying, the closest to the present one first.
    fn attribute_candidates(&self, kind: AttributeType) -> Vec<String> {
        let own: Vec<&str> = self
            .enrollment
            .subject
            .iter()
            .filter(|it| it.value.kind == kind)
            .map(|it| it.value.value.as_str())
            .collect();
        let like = own.first().copied();
        let mut candidates: Vec<String> = own.iter().map(|&value| value.to_owned()).collect();
        let mut rules: Vec<&NameRule> = self.template.attribute_rule(kind).into_iter().collect();
        if kind == AttributeType::CommonName {
            rules.extend(
                [GeneralNameKind::DnsName, GeneralNameKind::IpAddress]
                    .into_iter()
                    .filter_map(|it| self.template.san_rule(it)),
            );
        }
        for rule in rules {
            candidates.extend(rule.required().iter().chain(rule.allowed()).flat_map(|pattern| pattern.examples(like)));
        }
        if let Some(base) = like.and_then(|value| value.strip_prefix("*.")) {
            candidates.extend([format!("host.{base}"), base.to_owned()]);
        }
        let fallback = match kind {
            AttributeType::Country => "US",
            AttributeType::CommonName => "host.example.com",
            _ => "Example",
        };
        candidates.push(fallback.to_owned());
        candidates
    }

    fn accepts(&self, kind: AttributeType, value: &str) -> bool {
        let written = Attribute { kind, value: value.to_owned() };
        let Ok(name) = DistinguishedName::new(vec![written]) else { return false };
        let Some(attribute) = name.attributes().first() else { return false };
        let own = Value::of_attribute(attribute);
        if self.template.attribute_rule(kind).is_some_and(|rule| {
            rule.refusal(&own).is_some() || (!rule.required().is_empty() && !rule.meets_required(&own))
        }) {
            return false;
        }
        let copy = if kind == AttributeType::CommonName { name_of_common_name(attribute) } else { None };
        copy.is_none_or(|name| self.accepts_name(&name))
    }

    fn accepts_name(&self, name: &GeneralName) -> bool {
        self.template.sans.is_none()
            || self.template.san_rule(name.kind()).is_some_and(|rule| rule.refusal(&Value::of_name(name)).is_none())
    }

    fn components(&self) -> Option<Edit> {
        let rule = self.template.subject.as_ref().and_then(|subject| subject.components.as_ref());
        let Some(rule) = rule else { return Some(Edit::ClearAttribute(AttributeType::DomainComponent)) };
        let own = components(self.enrollment);
        let needed = !rule.required().is_empty();
        let sequences = if needed { rule.required() } else { rule.allowed() };
        let filled = sequences.iter().find_map(|sequence| {
            let labels: Option<Vec<String>> = sequence
                .0
                .iter()
                .enumerate()
                .map(|(at, pattern)| pattern.examples(own.get(at).copied().or(Some("example"))).into_iter().next())
                .collect();
            let attributes: Vec<Attribute> =
                labels?.into_iter().map(|value| Attribute { kind: AttributeType::DomainComponent, value }).collect();
            let values: Vec<Value<'_>> = attributes.iter().map(Value::of_attribute).collect();
            let fits = rule.permits(&values) && !rule.denies(&values) && (!needed || rule.meets_required(&values));
            fits.then(|| attributes.iter().map(|it| it.value.clone()).collect::<Vec<_>>())
        });
        match filled {
            Some(labels) if needed || self.preference == Preference::Replace => Some(Edit::SetComponents(labels)),
            _ => (!needed).then_some(Edit::ClearAttribute(AttributeType::DomainComponent)),
        }
    }

    /// Keeps what is accepted, adds what is required, drops what is too many.
    fn names(&self, draft: &Enrollment) -> Option<NamePlan> {
        let derived: Vec<GeneralName> =
            draft.sans.iter().filter(|it| it.source == Source::Derived).map(|it| it.value.clone()).collect();
        let own = self.enrollment.sans.iter().filter(|it| it.source != Source::Derived).map(|it| &it.value);
        let mut given: Vec<GeneralName> = own.filter(|name| self.accepts_name(name)).cloned().collect();
        let mut added = BTreeMap::new();
        let mut whole = false;
        for (kind, rule) in self.template.sans.iter().flatten() {
            for (index, pattern) in rule.required().iter().enumerate() {
                if given.iter().chain(&derived).any(|name| matches(pattern, *kind, name)) {
                    continue;
                }
                let name = self.name_like(*kind, pattern)?;
                whole |= !self
                    .broken
                    .iter()
                    .any(|check| check.rule_is_san(*kind) && check.subject == Subject::MissingSan(index));
                given.push(name.clone());
                added.insert((*kind, index), name);
            }
        }
        if draft.subject.is_empty() && given.is_empty() && derived.is_empty() && !self.enrollment.sans.is_empty() {
            given.push(self.any_name()?);
            whole = true;
        }
        let most = self.template.sans_max.unwrap_or(usize::MAX);
        while given.len() + derived.len() > most {
            let spare = (0..given.len()).rev().find(|at| self.is_spare(*at, &given, &derived))?;
            given.remove(spare);
            whole = true;
        }
        Some(NamePlan { total: given.len() + derived.len(), given, added, whole })
    }

    /// Whether all required patterns still find a name without this one.
    fn is_spare(&self, at: usize, given: &[GeneralName], derived: &[GeneralName]) -> bool {
        let others = || given.iter().enumerate().filter(|(other, _)| *other != at).map(|(_, name)| name).chain(derived);
        self.template.sans.iter().flatten().all(|(kind, rule)| {
            rule.required().iter().all(|pattern| others().any(|name| matches(pattern, *kind, name)))
        })
    }

    fn name_like(&self, kind: GeneralNameKind, pattern: &Pattern) -> Option<GeneralName> {
        let own: Vec<String> =
            self.enrollment.sans.iter().filter(|it| it.value.kind() == kind).map(|it| it.value.value()).collect();
        let fallback = match kind {
            GeneralNameKind::DnsName => "host.example.com",
            GeneralNameKind::IpAddress => "192.0.2.1",
            GeneralNameKind::Email | GeneralNameKind::Upn => "user@example.com",
            GeneralNameKind::Uri => "https://example.com/",
            GeneralNameKind::OtherName => "1.3.6.1.4.1.311.20.2.3;utf8:user@example.com",
            GeneralNameKind::DirectoryName => "CN=example",
            GeneralNameKind::RegisteredId => "1.3.6.1.4.1.32473",
        };
        let likes = own.iter().map(String::as_str).chain([fallback]);
        likes
            .flat_map(|like| pattern.examples(Some(like)))
            .filter_map(|text| GeneralName::parse(kind, &text).ok())
            .find(|name| self.accepts_name(name) && pattern.admits(&Value::of_name(name)))
    }

    /// Some name that the template accepts, of a kind that was asked for.
    fn any_name(&self) -> Option<GeneralName> {
        let mut kinds = self.enrollment.sans.iter().map(|it| it.value.kind());
        kinds.find_map(|kind| {
            let rule = self.template.san_rule(kind)?;
            rule.required().iter().chain(rule.allowed()).find_map(|pattern| self.name_like(kind, pattern))
        })
    }

    fn key_usage(&self, check: &Check) -> Option<Edit> {
        let permitted = |usage: KeyUsage| {
            (usage != KeyUsage::KeyCertSign || self.template.permits_ca())
                && self.template.key_usages.as_ref().is_none_or(|rule| rule.permits(usage) && !rule.denies(usage))
        };
        let required = self.template.key_usages_required();
        // A usage that the key cannot serve would be left out again.
        let key = self.key_algorithm().unwrap_or(self.enrollment.key_algorithm.value);
        if required.iter().any(|usage| !can_serve(key, usage)) {
            return None;
        }
        let own = &self.enrollment.key_usages;
        if !own.iter().all(|it| it.source != Source::Profile && it.source != Source::Template) {
            return Some(Edit::SetKeyUsages(mended(own, permitted, self.template.key_usages.as_ref())));
        }
        match check.subject {
            Subject::Usage(index) => own.get(index).map(|it| Edit::RemoveKeyUsage(it.value)),
            Subject::MissingKeyUsage(usage) => Some(Edit::AddKeyUsage(usage)),
            _ => None,
        }
    }

    fn extended_key_usage(&self, check: &Check) -> Option<Edit> {
        let rule = self.template.extended_key_usages.as_ref()?;
        let own = &self.enrollment.extended_key_usages;
        if !own.iter().all(|it| it.source != Source::Profile && it.source != Source::Template) {
            let permitted = |usage| rule.permits(usage) && !rule.denies(usage);
            return Some(Edit::SetExtendedKeyUsages(mended(own, permitted, Some(rule))));
        }
        match check.subject {
            Subject::Usage(index) => own.get(index).map(|it| Edit::RemoveExtendedKeyUsage(it.value)),
            Subject::MissingExtendedKeyUsage(usage) => Some(Edit::AddExtendedKeyUsage(usage)),
            _ => None,
        }
    }

    /// The key to ask for: the present one if allowed, else one of its family, else any that serves.
    fn key_algorithm(&self) -> Option<KeyAlgorithm> {
        let own = self.enrollment.key_algorithm.value;
        if self.template.allows_key_algorithm(own) {
            return Some(own);
        }
        if matches!(self.enrollment.key, KeySource::ReuseStored(_) | KeySource::ReuseCsr(_)) {
            return None;
        }
        let listed = self.template.key_algorithms.as_deref().unwrap_or_default();
        let fits = |key: &&KeyAlgorithm| self.template.key_serves(**key) && self.can_sign_itself(**key);
        let preferred = self.template.preferred_key_algorithm();
        let of_family = listed.iter().filter(|key| key.family() == own.family()).find(fits);
        of_family
            .copied()
            .or_else(|| [preferred].iter().find(fits).copied())
            .or_else(|| listed.iter().find(fits).copied())
    }

    /// For a self-signed certificate the key also signs, with a signature the template allows and nobody fixed otherwise.
    fn can_sign_itself(&self, key: KeyAlgorithm) -> bool {
        if self.enrollment.issuer != ProfileIssuer::SelfSigned {
            return true;
        }
        let signature = self.enrollment.signature_algorithm;
        if !is_chosen(signature.source) {
            return self.template.allows_signing_key(key);
        }
        let broken = self.broken.iter().any(|check| check.rule == Rule::Signature);
        if broken { self.template.allows_signing_key(key) } else { signature.value.fits(key) }
    }

    fn signature(&self) -> Option<Edit> {
        let listed = self.template.signature_algorithms.as_deref().unwrap_or_default();
        let own = self.enrollment.signature_algorithm;
        if self.enrollment.issuer != ProfileIssuer::SelfSigned {
            // The issuer's key is what it is; of its family only ML-DSA fixes the parameters too.
            let same =
                |it: &&SignatureAlgorithm| it.family() == own.value.family() && own.value.family() != KeyFamily::MlDsa;
            return listed.iter().find(same).copied().map(Edit::SetSignature);
        }
        let key = self.key_algorithm()?;
        if let Some(signature) = listed.iter().find(|it| it.fits(key)) {
            return Some(Edit::SetSignature(*signature));
        }
        if is_chosen(own.source) || !matches!(self.enrollment.key, KeySource::Generate) {
            return None;
        }
        let fits = |key: &&KeyAlgorithm| {
            self.template.allows_key_algorithm(**key)
                && self.template.key_serves(**key)
                && self.template.allows_signing_key(**key)
        };
        KeyAlgorithm::ALL.iter().find(fits).copied().map(Edit::SetKeyAlgorithm)
    }

    fn validity(&self, rule: Rule) -> Option<Edit> {
        let Sourced { value, source } = self.enrollment.validity;
        let ttl = if rule == Rule::ValidityMax { self.template.validity_max? } else { self.template.validity_min? };
        if rule == Rule::ValidityMin && source == Source::Issuer {
            // The issuer's end cut it short; asking for more changes nothing.
            return None;
        }
        // From the start that the ttl counts from, which is later than a back-dated one.
        let end = value.not_after.plus_seconds(ttl.as_seconds() - value.ttl.as_seconds());
        Some(if value.dated { Edit::SetEnd(end, ttl) } else { Edit::SetTtl(ttl) })
    }
}

fn matches(pattern: &Pattern, kind: GeneralNameKind, name: &GeneralName) -> bool {
    name.kind() == kind && pattern.admits(&Value::of_name(name))
}

/// What is permitted of a list, and all that is required.
fn mended<T: Copy + PartialEq>(
    own: &[Sourced<T>],
    permitted: impl Fn(T) -> bool,
    rule: Option<&UsageRule<T>>,
) -> Vec<T> {
    let mut usages: Vec<T> = own.iter().map(|it| it.value).filter(|usage| permitted(*usage)).collect();
    for required in rule.iter().flat_map(|rule| &rule.required) {
        if !usages.contains(required) {
            usages.push(*required);
        }
    }
    usages
}

impl Check {
    fn rule_is_san(&self, kind: GeneralNameKind) -> bool {
        matches!(self.rule, Rule::San(own, _) if own == kind)
    }
}
