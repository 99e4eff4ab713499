//! Values as they were found, each with the place it came from, so that a refusal can name it.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::ops::RangeInclusive;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use super::ConfigError;
use super::key::{KEYS, Key, PREFIX};

const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// Variables of the same prefix that the command-line client reads.
const CLIENT_VARIABLES: &[&str] =
    &["CHANCERY_URL", "CHANCERY_CLIENT_ID", "CHANCERY_CLIENT_SECRET", "CHANCERY_CREDENTIALS"];

#[derive(Default)]
pub struct Settings(BTreeMap<&'static str, Setting>);

struct Setting {
    value: Raw,
    origin: String,
}

enum Raw {
    Text(String),
    Boolean(bool),
    Integer(i64),
    List(Vec<String>),
    /// A table, a date or a list of something else: no key takes one.
    Other,
}

impl Settings {
    /// Refuses a file that others can change, text that is not TOML, and every unknown key.
    pub fn read_file(&mut self, path: &Path) -> Result<(), ConfigError> {
        let unreadable = |source| ConfigError::Unreadable { path: path.to_owned(), source };
        let file = std::fs::File::open(path).map_err(unreadable)?;
        let mode = file.metadata().map_err(unreadable)?.permissions().mode() & 0o7777;
        if mode & 0o022 != 0 {
            return Err(ConfigError::Exposed { path: path.to_owned(), mode });
        }
        let mut text = String::new();
        file.take(FILE_BYTES_MAX).read_to_string(&mut text).map_err(unreadable)?;
        let table: toml::Table = text.parse().map_err(|error| syntax(path, &text, &error))?;
        for (name, value) in table {
            let origin = format!("`{name}` in {}", path.display());
            let Some(key) = Key::named(&name) else {
                return Err(ConfigError::Unknown { origin, closest: closest_key(&name) });
            };
            if key.environment_only {
                let reason =
                    format!("a secret does not belong into this file; use {} or {}_file", key.variable(), key.name);
                return Err(ConfigError::Invalid { origin, reason });
            }
            self.0.insert(key.name, Setting { value: raw(value), origin });
        }
        Ok(())
    }

    pub fn read_environment(
        &mut self,
        environment: impl IntoIterator<Item = (String, String)>,
    ) -> Result<(), ConfigError> {
        for (variable, value) in environment {
            let Some(name) = variable.strip_prefix(PREFIX).map(str::to_ascii_lowercase) else { continue };
            if CLIENT_VARIABLES.contains(&variable.as_str()) {
                continue;
            }
            let origin = format!("the environment variable {variable}");
            match Key::named(&name) {
                Some(key) => {
                    self.0.insert(key.name, Setting { value: Raw::Text(value), origin });
                }
                // Orchestrators set variables such as CHANCERY_SERVICE_HOST by themselves: only a likely slip is refused.
                None => {
                    if let Some(closest) = closest_key(&name) {
                        return Err(ConfigError::Unknown { origin, closest: Some(closest) });
                    }
                }
            }
        }
        Ok(())
    }

    pub fn text(&self, key: &'static str) -> Result<Option<&str>, ConfigError> {
        match self.0.get(key).map(|setting| &setting.value) {
            None => Ok(None),
            Some(Raw::Text(text)) if text.trim().is_empty() => Err(self.invalid(key, "it is empty")),
            Some(Raw::Text(text)) => Ok(Some(text.trim())),
            Some(_) => Err(self.invalid(key, "a text in quotes is expected")),
        }
    }

    pub fn path(&self, key: &'static str) -> Result<Option<PathBuf>, ConfigError> {
        Ok(self.text(key)?.map(PathBuf::from))
    }

    pub fn parsed<T>(
        &self,
        key: &'static str,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Result<Option<T>, ConfigError> {
        self.text(key)?.map(|text| parse(text).map_err(|reason| self.invalid(key, &reason))).transpose()
    }

    pub fn boolean(&self, key: &'static str) -> Result<Option<bool>, ConfigError> {
        match self.0.get(key).map(|setting| &setting.value) {
            None => Ok(None),
            Some(Raw::Boolean(value)) => Ok(Some(*value)),
            Some(Raw::Text(text)) if text.trim() == "true" => Ok(Some(true)),
            Some(Raw::Text(text)) if text.trim() == "false" => Ok(Some(false)),
            Some(_) => Err(self.invalid(key, "true or false is expected")),
        }
    }

    pub fn integer(&self, key: &'static str, range: RangeInclusive<u64>) -> Result<Option<u64>, ConfigError> {
        let found = match self.0.get(key).map(|setting| &setting.value) {
            None => return Ok(None),
            Some(Raw::Integer(value)) => u64::try_from(*value).ok(),
            Some(Raw::Text(text)) => text.trim().parse().ok(),
            Some(_) => None,
        };
        match found {
            Some(value) if range.contains(&value) => Ok(Some(value)),
            _ => {
                Err(self.invalid(key, &format!("a whole number from {} to {} is expected", range.start(), range.end())))
            }
        }
    }

    pub fn size(&self, key: &'static str, range: RangeInclusive<u64>) -> Result<Option<usize>, ConfigError> {
        Ok(self.integer(key, range)?.and_then(|value| usize::try_from(value).ok()))
    }

    pub fn list(&self, key: &'static str) -> Result<Option<Vec<String>>, ConfigError> {
        match self.0.get(key).map(|setting| &setting.value) {
            None => Ok(None),
            Some(Raw::List(values)) => Ok(Some(values.clone())),
            Some(Raw::Text(text)) => {
                Ok(Some(text.split(',').map(str::trim).filter(|part| !part.is_empty()).map(str::to_owned).collect()))
            }
            Some(_) => Err(self.invalid(key, "a list of texts is expected")),
        }
    }

    pub fn invalid(&self, key: &'static str, reason: &str) -> ConfigError {
        let origin = self.0.get(key).map_or_else(|| format!("`{key}`"), |setting| setting.origin.clone());
        ConfigError::Invalid { origin, reason: reason.to_owned() }
    }
}

fn raw(value: toml::Value) -> Raw {
    match value {
        toml::Value::String(text) => Raw::Text(text),
        toml::Value::Boolean(value) => Raw::Boolean(value),
        toml::Value::Integer(value) => Raw::Integer(value),
        toml::Value::Array(values) => {
            let texts = values.into_iter().map(|value| match value {
                toml::Value::String(text) => Some(text),
                _ => None,
            });
            texts.collect::<Option<Vec<_>>>().map_or(Raw::Other, Raw::List)
        }
        toml::Value::Float(_) | toml::Value::Datetime(_) | toml::Value::Table(_) => Raw::Other,
    }
}

/// The parser's own text quotes the line, which may hold a password: only its message and the line number are kept.
fn syntax(path: &Path, text: &str, error: &toml::de::Error) -> ConfigError {
    let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
    let line = before.bytes().filter(|byte| *byte == b'\n').count() + 1;
    ConfigError::Syntax { path: path.to_owned(), line, message: error.message().to_owned() }
}

/// A known key within two slips of the pen.
fn closest_key(name: &str) -> Option<&'static str> {
    let name = name.to_ascii_lowercase().replace('-', "_");
    let distances = KEYS.iter().map(|key| (strsim::damerau_levenshtein(key.name, &name), key.name));
    distances.filter(|(distance, key)| *distance <= 2 && distance * 3 <= key.len()).min().map(|(_, key)| key)
}
