//! What the three lists of one rule mean.
//!
//! `denied` wins. Otherwise a value must be in `allowed` or `required`; an empty or absent `allowed` beside `required`
//! leaves only the required values; `allowed: []` alone leaves nothing. Only names may have a rule of nothing but
//! `denied`, which leaves the rest; usages refuse every request under such a rule, as the wire does.

use super::pattern::{Pattern, Value};

/// A subject attribute or a kind of SAN.
pub(super) struct NameRule {
    pub allowed: Option<Vec<Pattern>>,
    pub required: Option<Vec<Pattern>>,
    pub denied: Vec<Pattern>,
    /// False: no wildcard name, whatever the patterns say.
    pub wildcards: bool,
}

/// The part of a rule that speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Allowed,
    Required,
    Denied,
    Wildcards,
}

impl Part {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Allowed => "allowed",
            Self::Required => "required",
            Self::Denied => "denied",
            Self::Wildcards => "wildcards",
        }
    }
}

impl NameRule {
    /// The part that refuses the value, if any.
    pub fn refusal(&self, value: &Value<'_>) -> Option<Part> {
        if self.denies(value) {
            Some(Part::Denied)
        } else if self.forbids_wildcard(value) {
            Some(Part::Wildcards)
        } else if !self.permits(value) {
            Some(Part::Allowed)
        } else {
            None
        }
    }

    pub fn denies(&self, value: &Value<'_>) -> bool {
        self.denied.iter().any(|pattern| pattern.touches(value))
    }

    pub const fn forbids_wildcard(&self, value: &Value<'_>) -> bool {
        !self.wildcards && value.is_wildcard()
    }

    pub fn permits(&self, value: &Value<'_>) -> bool {
        let among = |list: &[Pattern]| list.iter().any(|pattern| pattern.admits(value));
        match (&self.allowed, &self.required) {
            (Some(allowed), required) => among(allowed) || required.as_deref().is_some_and(among),
            (None, Some(required)) => among(required),
            (None, None) => true,
        }
    }

    pub fn meets_required(&self, value: &Value<'_>) -> bool {
        self.required().iter().any(|pattern| pattern.admits(value))
    }

    pub fn required(&self) -> &[Pattern] {
        self.required.as_deref().unwrap_or_default()
    }

    pub fn allowed(&self) -> &[Pattern] {
        self.allowed.as_deref().unwrap_or_default()
    }

    /// Whether some value may pass at all.
    pub fn permits_something(&self) -> bool {
        (self.allowed.is_none() && self.required.is_none()) || !self.allowed().is_empty() || !self.required().is_empty()
    }
}

/// Domain components are compared as ordered sequences of labels.
pub(super) struct ComponentRule {
    pub allowed: Option<Vec<Sequence>>,
    pub required: Option<Vec<Sequence>>,
    pub denied: Vec<Sequence>,
}

pub(super) struct Sequence(pub Vec<Pattern>);

impl Sequence {
    /// Exact length, label by label.
    pub fn admits(&self, labels: &[Value<'_>]) -> bool {
        self.0.len() == labels.len() && self.0.iter().zip(labels).all(|(pattern, label)| pattern.admits(label))
    }

    /// Any contiguous part.
    pub fn occurs_in(&self, labels: &[Value<'_>]) -> bool {
        labels.windows(self.0.len().max(1)).any(|window| self.admits(window))
    }

    /// Whether this sequence occurs in everything that `other` admits.
    pub fn covers(&self, other: &Self) -> bool {
        let covers = |window: &[Pattern]| {
            self.0.len() == window.len() && self.0.iter().zip(window).all(|(own, other)| own.covers(other))
        };
        other.0.windows(self.0.len().max(1)).any(covers)
    }

    pub fn written(&self) -> String {
        let labels: Vec<&str> = self.0.iter().map(Pattern::written).collect();
        labels.join(",")
    }
}

impl ComponentRule {
    pub fn denies(&self, labels: &[Value<'_>]) -> bool {
        self.denied.iter().any(|sequence| sequence.occurs_in(labels))
    }

    pub fn permits(&self, labels: &[Value<'_>]) -> bool {
        let among = |list: &[Sequence]| list.iter().any(|sequence| sequence.admits(labels));
        match (&self.allowed, &self.required) {
            (Some(allowed), required) => among(allowed) || required.as_deref().is_some_and(among),
            (None, Some(required)) => among(required),
            (None, None) => true,
        }
    }

    pub fn meets_required(&self, labels: &[Value<'_>]) -> bool {
        self.required().iter().any(|sequence| sequence.admits(labels))
    }

    pub fn required(&self) -> &[Sequence] {
        self.required.as_deref().unwrap_or_default()
    }

    pub fn allowed(&self) -> &[Sequence] {
        self.allowed.as_deref().unwrap_or_default()
    }
}

/// Key usages or extended key usages.
pub(super) struct UsageRule<T> {
    pub allowed: Vec<T>,
    pub required: Vec<T>,
    pub denied: Vec<T>,
}

impl<T: Copy + PartialEq> UsageRule<T> {
    pub fn denies(&self, usage: T) -> bool {
        self.denied.contains(&usage)
    }

    pub fn permits(&self, usage: T) -> bool {
        self.allowed.contains(&usage) || self.required.contains(&usage)
    }
}
