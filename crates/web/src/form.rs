//! A form as it was sent, and what is wrong with it.
//!
//! Fields are read by name; a field that cannot be read is noted in [`Problems`] under its name, and the page is shown
//! again with the text beside the field and everything that was typed still in place.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::str::FromStr;

use chancery_authority::Error;
use chancery_model::{ErrorKind, Violation};

use crate::error::WebError;

/// More fields than any page has.
const FIELDS_MAX: usize = 5_000;

/// The fields of a form (or of a query string) in their order. A name may occur several times.
#[derive(Clone, Debug, Default)]
pub(crate) struct Form(Vec<(String, String)>);

impl Form {
    pub fn parse(bytes: &[u8]) -> Self {
        let pairs = form_urlencoded::parse(bytes).take(FIELDS_MAX);
        Self(pairs.map(|(name, value)| (name.into_owned(), value.into_owned())).collect())
    }

    /// The first value, without the white space around it; empty when the field is absent.
    pub fn text(&self, name: &str) -> &str {
        self.raw(name).unwrap_or_default().trim()
    }

    /// The first value as it was sent.
    pub fn raw(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(it, _)| it == name).map(|(_, value)| value.as_str())
    }

    /// The text, unless it is empty.
    pub fn given(&self, name: &str) -> Option<&str> {
        Some(self.text(name)).filter(|it| !it.is_empty())
    }

    /// A box that is ticked, or a button that was pressed.
    pub fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(it, _)| it == name)
    }

    /// All values of the name that are not empty, trimmed.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(it, _)| it == name).map(|(_, value)| value.trim()).filter(|it| !it.is_empty())
    }

    /// All values of the name, empty ones included, so that repeated rows of several fields stay in step.
    pub fn column<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(it, _)| it == name).map(|(_, value)| value.trim())
    }

    /// The lines (or comma-separated parts) of a text field.
    pub fn lines(&self, name: &str) -> Vec<String> {
        parts(self.raw(name).unwrap_or_default()).map(str::to_owned).collect()
    }

    /// The value as a type of the core; noted as a problem when it cannot be read, `None` when it is empty.
    pub fn parsed<T: FromStr<Err: Display>>(&self, name: &str, problems: &mut Problems) -> Option<T> {
        let text = self.given(name)?;
        text.parse().inspect_err(|error: &T::Err| problems.add(name, error.to_string())).ok()
    }

    /// The value as one of a list of words.
    pub fn word<T>(&self, name: &str, word: impl Fn(&str) -> Option<T>, problems: &mut Problems) -> Option<T> {
        let text = self.given(name)?;
        let found = word(text);
        if found.is_none() {
            problems.add(name, "Choose one of the values that are offered");
        }
        found
    }

    /// Every field, for a form that is sent on.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// The same question at `path`, asked on from a place in its list.
    pub fn further(&self, path: &str, cursor: &str) -> String {
        let kept = self.0.iter().filter(|(name, value)| name != "cursor" && !value.trim().is_empty());
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(kept).append_pair("cursor", cursor);
        format!("{path}?{}", query.finish())
    }
}

/// The parts of a text that holds one a line, or several with commas.
pub(crate) fn parts(text: &str) -> impl Iterator<Item = &str> {
    text.split(['\n', ',']).map(str::trim).filter(|it| !it.is_empty())
}

/// What is wrong with a form: by field, and as a whole.
#[derive(Clone, Debug, Default)]
pub(crate) struct Problems {
    fields: BTreeMap<String, String>,
    /// Shown above the form.
    pub whole: Vec<String>,
    /// Every rule that a refused request breaks.
    pub violations: Vec<Violation>,
}

impl Problems {
    pub fn add(&mut self, field: &str, text: impl Into<String>) {
        self.fields.entry(field.to_owned()).or_insert_with(|| text.into());
    }

    pub fn is_empty(&self) -> bool {
        self.fields.is_empty() && self.whole.is_empty() && self.violations.is_empty()
    }

    /// The text beside a field; empty when nothing is wrong with it.
    pub fn of(&self, field: &str) -> &str {
        self.fields.get(field).map_or("", String::as_str)
    }

    /// What the core said, for a form whose fields are named as the core names them (`rename` says where they are not).
    /// What the user cannot mend in the form is the page's error instead.
    pub fn from_core(error: Error, rename: &[(&str, &str)]) -> Result<Self, WebError> {
        let mut problems = Self::default();
        match error {
            Error::Malformed { ref field, ref message, .. } => {
                // `rules[2]` is told beside `rules`, unless it has a place of its own.
                let bare = field.split('[').next().unwrap_or_default();
                let place = |name: &str| rename.iter().find(|(core, _)| *core == name);
                match place(field).or_else(|| place(bare)) {
                    Some((_, "")) => problems.whole.push(message.clone()),
                    Some((_, here)) => problems.add(here, message.clone()),
                    None if field.is_empty() => problems.whole.push(message.clone()),
                    // Said above as well: the page may have no field of that name.
                    None => {
                        problems.whole.push(format!("{field}: {message}"));
                        problems.add(field, message.clone());
                    }
                }
            }
            Error::Refused(violations) | Error::RenewalRefused(violations) => problems.violations = violations,
            error => match error.kind() {
                ErrorKind::Conflict | ErrorKind::Forbidden | ErrorKind::Refused | ErrorKind::Unavailable
                    if !matches!(error, Error::PermissionDenied(_)) =>
                {
                    problems.whole.push(error.public_message());
                }
                _ => return Err(error.into()),
            },
        }
        Ok(problems)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_read_by_name_and_in_order() {
        let form = Form::parse(b"a=1&b=+x+&a=2&empty=&tick=on&lines=p%0Aq%2C+r");
        assert_eq!(form.text("a"), "1");
        assert_eq!(form.all("a").collect::<Vec<_>>(), ["1", "2"]);
        assert_eq!((form.text("b"), form.raw("b")), ("x", Some(" x ")));
        assert_eq!(form.given("empty"), None);
        assert!(form.has("tick") && !form.has("tock"));
        assert_eq!(form.lines("lines"), ["p", "q", "r"]);
        let form = Form::parse(b"q=a%26b&cursor=old&empty=");
        assert_eq!(form.further("/ui/x", "new&=1"), "/ui/x?q=a%26b&cursor=new%26%3D1");
    }

    #[test]
    fn what_the_core_says_of_a_field_stands_beside_it() {
        let error = Error::malformed("ca.name", "name", "is taken");
        let problems = Problems::from_core(error, &[]).unwrap();
        assert_eq!(problems.of("name"), "is taken");
        let error = Error::malformed("ca.cn", "configuration.commonName", "is empty");
        let problems = Problems::from_core(error, &[("configuration.commonName", "common_name")]).unwrap();
        assert_eq!((problems.of("common_name"), problems.whole.len()), ("is empty", 0));
        assert!(Problems::from_core(Error::internal("x"), &[]).is_err());
    }
}
