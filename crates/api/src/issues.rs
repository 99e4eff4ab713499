//! Collecting what does not fit the schema, so that one answer (422) lists all of it.

use std::str::FromStr;

use chancery_model::Timestamp;
use chancery_model::time::Ttl;
use chancery_wire::error::PathSegment;
use chancery_wire::{Issue, KeyValue};
use uuid::Uuid;

use crate::error::ApiError;

/// Longest metadata key and value.
const METADATA_MAX: usize = 100;
const METADATA_KEY_MAX: usize = 255;
const METADATA_VALUE_MAX: usize = 1020;

#[derive(Default)]
pub(crate) struct Issues(Vec<Issue>);

/// One issue. The place is written as people write it: `attributes.altNames[2].value`.
pub(crate) fn issue(place: &str, code: &str, message: impl Into<String>) -> Issue {
    Issue { code: code.to_owned(), path: segments(place), message: message.into() }
}

fn segments(place: &str) -> Vec<PathSegment> {
    place
        .split(['.', '['])
        .filter(|part| !part.is_empty())
        .map(|part| match part.strip_suffix(']').and_then(|index| index.parse().ok()) {
            Some(index) => PathSegment::Index(index),
            None => part.into(),
        })
        .collect()
}

impl Issues {
    pub fn add(&mut self, place: &str, message: impl Into<String>) {
        self.0.push(issue(place, "custom", message));
    }

    pub fn add_as(&mut self, place: &str, code: &str, message: impl Into<String>) {
        self.0.push(issue(place, code, message));
    }

    /// Nothing, or the answer that lists everything.
    pub fn finish(self) -> Result<(), ApiError> {
        if self.0.is_empty() { Ok(()) } else { Err(ApiError::invalid(self.0)) }
    }

    /// Length in characters.
    pub fn length(&mut self, place: &str, text: &str, range: std::ops::RangeInclusive<usize>) {
        let length = text.chars().count();
        if length < *range.start() {
            self.add_as(place, "too_small", format!("must contain at least {} character(s)", range.start()));
        } else if length > *range.end() {
            self.add_as(place, "too_big", format!("must contain at most {} character(s)", range.end()));
        }
    }

    pub fn range<T: PartialOrd + std::fmt::Display>(
        &mut self,
        place: &str,
        value: T,
        range: std::ops::RangeInclusive<T>,
    ) {
        if value < *range.start() {
            self.add_as(place, "too_small", format!("must be at least {}", range.start()));
        } else if value > *range.end() {
            self.add_as(place, "too_big", format!("must be at most {}", range.end()));
        }
    }

    /// Most items of a list.
    pub fn count(&mut self, place: &str, count: usize, most: usize) {
        if count > most {
            self.add_as(place, "too_big", format!("must contain at most {most} item(s)"));
        }
    }

    /// Lower-case letters, digits and hyphens.
    pub fn slug(&mut self, place: &str, text: &str, most: usize) {
        self.length(place, text, 1..=most);
        if !text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-') {
            self.add_as(place, "invalid_string", "may contain lower-case letters, digits and hyphens only");
        }
    }

    pub fn date(&mut self, place: &str, text: Option<&str>) -> Option<Timestamp> {
        match Timestamp::parse_date(text?) {
            Ok(time) => Some(time),
            Err(error) => {
                self.add_as(place, "invalid_date", error.to_string());
                None
            }
        }
    }

    pub fn ttl(&mut self, place: &str, text: Option<&str>) -> Option<Ttl> {
        match Ttl::parse(text?) {
            Ok(ttl) => Some(ttl),
            Err(error) => {
                self.add(place, error.to_string());
                None
            }
        }
    }

    /// A word of a closed set that the core knows.
    pub fn word<T: FromStr>(&mut self, place: &str, word: &str) -> Option<T> {
        let parsed = word.parse().ok();
        if parsed.is_none() {
            let shown: String = word.chars().take(64).collect();
            self.add_as(place, "invalid_enum_value", format!("{shown:?} is not one of the known values"));
        }
        parsed
    }

    pub fn uuid(&mut self, place: &str, text: Option<&str>) -> Option<Uuid> {
        let parsed = Uuid::parse_str(text?).ok();
        if parsed.is_none() {
            self.add_as(place, "invalid_string", "Invalid uuid");
        }
        parsed
    }

    pub fn metadata(&mut self, place: &str, pairs: Option<Vec<KeyValue>>) -> Vec<(String, String)> {
        let pairs = pairs.unwrap_or_default();
        self.count(place, pairs.len(), METADATA_MAX);
        for (index, pair) in pairs.iter().enumerate() {
            self.length(&format!("{place}[{index}].key"), &pair.key, 1..=METADATA_KEY_MAX);
            self.length(&format!("{place}[{index}].value"), &pair.value, 0..=METADATA_VALUE_MAX);
        }
        pairs.into_iter().map(|pair| (pair.key, pair.value)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_become_paths() {
        for place in ["attributes.altNames[2].value", "ttl", "sans[0].allowed[11]"] {
            assert_eq!(issue(place, "custom", "").location(), place);
        }
        assert!(issue("", "custom", "").path.is_empty());
    }

    #[test]
    fn slugs_are_judged() {
        let check = |text: &str, good: bool| {
            let mut issues = Issues::default();
            issues.slug("name", text, 10);
            assert_eq!(issues.finish().is_ok(), good, "{text}");
        };
        check("a-b-1", true);
        for bad in ["", "A", "a b", "a_b", "elevenchars", "ä"] {
            check(bad, false);
        }
    }

    #[test]
    fn all_issues_are_listed_at_once() {
        let mut issues = Issues::default();
        issues.range("limit", 1_000_000_000, 1..=500);
        issues.range("limit", -1, 1..=500);
        issues.date("notAfter", Some("yesterday"));
        issues.ttl("ttl", Some("90"));
        issues.word::<chancery_pkix::KeyUsage>("keyUsages[0]", "fly");
        assert_eq!(issues.0.len(), 5);
        assert_eq!(issues.finish().unwrap_err().status(), 422);
    }
}
