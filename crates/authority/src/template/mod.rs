//! Decide: whether a resolved request is within a certificate template, and if not, what would be.
//!
//! A template is written by an administrator ([`TemplateRules`], data) and compiled once into a [`Template`], which
//! cannot hold a wrong rule. [`Template::evaluate`] is the only judge: real requests, dry runs, renewals and the check
//! of a profile's defaults all ask it, with the same [`Enrollment`] that is signed later. It must not know HTTP, the
//! store (only `service` does, which saves templates) or keys.
//!
//! Start reading at `rule` (what the three lists of a rule mean) and `evaluate` (the order of judgement).
//!
//! [`Enrollment`]: chancery_model::enrollment::Enrollment

mod check;
mod choice;
mod compile;
mod evaluate;
mod fit;
mod glob;
mod pattern;
mod plan;
mod preset;
mod rehearse;
mod rule;
mod satisfy;
mod service;
mod suggest;
mod summary;
#[cfg(test)]
mod tests;

use chancery_model::template::{RuleState, TemplateRules};
use chancery_model::time::Ttl;
use chancery_pkix::{
    AttributeType, ExtendedKeyUsage, GeneralNameKind, KeyAlgorithm, KeyUsage, KeyUsages, SignatureAlgorithm,
};

use crate::enrollment::can_serve;

use self::rule::{ComponentRule, NameRule, UsageRule};

pub use self::choice::{Choices, TextChoice, UsageChoice};
pub use self::compile::RuleProblem;
pub use self::evaluate::{Detail, RuleCheck, Verdict};
pub use self::fit::profile_warnings;
pub(crate) use self::fit::{ProfileSigner, profile_problems};
pub use self::preset::{Preset, presets, presets_reference};
pub use self::rehearse::{Rehearsal, RehearsedRefusal};
pub(crate) use self::service::problems_error;
pub use self::service::{NewTemplate, TemplatePatch, TemplateRulesPatch};

/// A certificate template in its one compiled form. Absent blocks constrain nothing.
pub struct Template {
    subject: Option<SubjectRules>,
    sans: Option<Vec<(GeneralNameKind, NameRule)>>,
    key_usages: Option<UsageRule<KeyUsage>>,
    extended_key_usages: Option<UsageRule<ExtendedKeyUsage>>,
    key_algorithms: Option<Vec<KeyAlgorithm>>,
    signature_algorithms: Option<Vec<SignatureAlgorithm>>,
    validity_max: Option<Ttl>,
    validity_min: Option<Ttl>,
    sans_max: Option<usize>,
    ca: RuleState,
    path_length_max: Option<u8>,
}

#[derive(Default)]
struct SubjectRules {
    attributes: Vec<(AttributeType, NameRule)>,
    components: Option<ComponentRule>,
}

impl Template {
    /// Compiles what an administrator wrote. All problems are reported, also that no request could ever pass.
    pub fn compile(rules: &TemplateRules) -> Result<Self, Vec<RuleProblem>> {
        let template = compile::compile(rules)?;
        let problems = satisfy::problems(&template);
        if problems.is_empty() { Ok(template) } else { Err(problems) }
    }

    /// What a request that names no key usages gets.
    #[must_use]
    pub fn key_usages_required(&self) -> KeyUsages {
        self.key_usages.iter().flat_map(|rule| rule.required.iter().copied()).collect()
    }

    /// What a request that names no extended key usages gets.
    #[must_use]
    pub fn extended_key_usages_required(&self) -> &[ExtendedKeyUsage] {
        self.extended_key_usages.as_ref().map_or(&[], |rule| &rule.required)
    }

    /// The key of a request that names none: P-256 if the template lets it serve, else the first listed that can.
    #[must_use]
    pub fn preferred_key_algorithm(&self) -> KeyAlgorithm {
        let listed = self.key_algorithms.as_deref().unwrap_or(KeyAlgorithm::ALL);
        let serves = |key: &KeyAlgorithm| self.key_serves(*key);
        if listed.contains(&KeyAlgorithm::EcP256) && serves(&KeyAlgorithm::EcP256) {
            return KeyAlgorithm::EcP256;
        }
        listed.iter().copied().find(serves).or_else(|| listed.first().copied()).unwrap_or(KeyAlgorithm::EcP256)
    }

    #[must_use]
    pub fn allows_key_algorithm(&self, algorithm: KeyAlgorithm) -> bool {
        self.key_algorithms.as_ref().is_none_or(|listed| listed.contains(&algorithm))
    }

    #[must_use]
    pub fn allows_signature_algorithm(&self, algorithm: SignatureAlgorithm) -> bool {
        self.signature_algorithms.as_ref().is_none_or(|listed| listed.contains(&algorithm))
    }

    /// What a request that names no signature algorithm is signed with: the signer's own choice if the template allows
    /// it, else the first listed that the signing key can make, else the signer's choice all the same (and a refusal).
    #[must_use]
    pub fn preferred_signature_algorithm(
        &self,
        signing_key: KeyAlgorithm,
        own: SignatureAlgorithm,
    ) -> SignatureAlgorithm {
        if self.allows_signature_algorithm(own) {
            return own;
        }
        self.signature_algorithms.iter().flatten().copied().find(|it| it.fits(signing_key)).unwrap_or(own)
    }

    /// The first signature algorithm that is listed, if there is a list.
    #[must_use]
    pub fn listed_signature_algorithm(&self) -> Option<SignatureAlgorithm> {
        self.signature_algorithms.as_ref()?.first().copied()
    }

    /// Whether a key can make any signature that the template allows.
    #[must_use]
    pub fn allows_signing_key(&self, signing_key: KeyAlgorithm) -> bool {
        self.signature_algorithms.as_ref().is_none_or(|listed| listed.iter().any(|it| it.fits(signing_key)))
    }

    #[must_use]
    pub const fn validity_max(&self) -> Option<Ttl> {
        self.validity_max
    }

    #[must_use]
    pub const fn validity_min(&self) -> Option<Ttl> {
        self.validity_min
    }

    /// Whether only CA certificates pass.
    #[must_use]
    pub fn requires_ca(&self) -> bool {
        self.ca == RuleState::Required
    }

    /// The path length of a CA request that names none: the most that is allowed.
    #[must_use]
    pub const fn path_length_default(&self) -> Option<u8> {
        self.path_length_max
    }

    /// What is in force, in sentences.
    #[must_use]
    pub fn summary(&self) -> Vec<String> {
        summary::sentences(self)
    }

    /// Whether a key can serve every usage that the template requires.
    fn key_serves(&self, key: KeyAlgorithm) -> bool {
        self.key_usages_required().iter().all(|usage| can_serve(key, usage))
    }

    fn attribute_rule(&self, kind: AttributeType) -> Option<&NameRule> {
        let rules = &self.subject.as_ref()?.attributes;
        rules.iter().find(|(own, _)| *own == kind).map(|(_, rule)| rule)
    }

    fn san_rule(&self, kind: GeneralNameKind) -> Option<&NameRule> {
        self.sans.as_ref()?.iter().find(|(own, _)| *own == kind).map(|(_, rule)| rule)
    }

    /// Whether a CA may be asked for.
    fn permits_ca(&self) -> bool {
        self.ca != RuleState::Denied
    }
}
