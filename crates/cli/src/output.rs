//! Tables for people, JSON for programs.

use std::io::{self, IsTerminal as _, Write as _};

use comfy_table::{ContentArrangement, Table, presets};
use serde_json::Value;

use crate::error::CliError;

/// How the results of one command are shown.
#[derive(Clone, Copy, Debug)]
pub struct Output {
    json: bool,
}

impl Output {
    #[must_use]
    pub const fn new(json: bool) -> Self {
        Self { json }
    }

    #[must_use]
    pub const fn is_json(self) -> bool {
        self.json
    }

    /// The whole answer, for programs.
    pub fn json(self, value: &Value) -> Result<(), CliError> {
        let mut text = serde_json::to_vec_pretty(value).unwrap_or_default();
        text.push(b'\n');
        print_bytes(&text)
    }

    /// A line of a result. Left out when programs read along.
    pub fn line(self, text: &str) -> Result<(), CliError> {
        if self.json { Ok(()) } else { print_bytes(format!("{text}\n").as_bytes()) }
    }

    /// One thing: names on the left, values on the right; empty values are left out.
    pub fn facts(self, facts: &[(&str, String)]) -> Result<(), CliError> {
        let mut table = plain_table();
        for (name, value) in facts.iter().filter(|(_, value)| !value.is_empty()) {
            table.add_row([*name, value.as_str()]);
        }
        self.line(&trimmed(&table))
    }

    /// Many things: a heading and a row for each, or a sentence when there are none.
    pub fn rows(self, heading: &[&str], rows: Vec<Vec<String>>, empty: &str) -> Result<(), CliError> {
        if rows.is_empty() {
            return self.line(empty);
        }
        let mut table = plain_table();
        table.set_header(heading.iter().map(|name| name.to_uppercase()));
        table.add_rows(rows);
        self.line(&trimmed(&table))
    }

    /// Something worth knowing that is not the result.
    pub fn note(self, text: &str) {
        let _ = writeln!(io::stderr(), "{text}");
    }
}

/// Bytes as they are. A reader that has gone away, such as `head`, is no failure.
pub fn print_bytes(bytes: &[u8]) -> Result<(), CliError> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(bytes).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(CliError::Unfinished(format!("Cannot write to standard output: {error}")))
        }
        _ => Ok(()),
    }
}

/// Whether a person would see what goes to standard output.
#[must_use]
pub fn stdout_is_terminal() -> bool {
    io::stdout().is_terminal()
}

/// The text at a JSON pointer; numbers and booleans in words, lists joined, anything absent empty.
#[must_use]
pub fn text_at(value: &Value, pointer: &str) -> String {
    value.pointer(pointer).map(words).unwrap_or_default()
}

fn words(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(words).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    }
}

/// The list at a JSON pointer, or nothing.
pub fn list_at<'a>(value: &'a Value, pointer: &str) -> impl Iterator<Item = &'a Value> {
    value.pointer(pointer).and_then(Value::as_array).into_iter().flatten()
}

/// A time without the milliseconds that nobody reads; any other text as it is.
#[must_use]
pub fn short_time(text: &str) -> String {
    match text.rsplit_once('.') {
        Some((seconds, milliseconds))
            if milliseconds.len() == 4 && milliseconds.ends_with('Z') && seconds.contains('T') =>
        {
            format!("{seconds}Z")
        }
        _ => text.to_owned(),
    }
}

fn plain_table() -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    // Columns follow the terminal's width; a program or a file gets them as wide as they are.
    table.set_content_arrangement(if stdout_is_terminal() {
        ContentArrangement::Dynamic
    } else {
        ContentArrangement::Disabled
    });
    table
}

fn trimmed(table: &Table) -> String {
    table.lines().map(|line| line.trim_end().to_owned()).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_read_as_words() {
        let value = json!({"a": {"b": "text"}, "n": 3, "yes": true, "list": ["x", "y"], "none": null});
        for (pointer, expected) in
            [("/a/b", "text"), ("/n", "3"), ("/yes", "true"), ("/list", "x, y"), ("/none", ""), ("/missing", "")]
        {
            assert_eq!(text_at(&value, pointer), expected, "{pointer}");
        }
    }

    #[test]
    fn times_lose_their_milliseconds_only() {
        for (text, expected) in [
            ("2026-01-02T03:04:05.678Z", "2026-01-02T03:04:05Z"),
            ("2026-01-02T03:04:05Z", "2026-01-02T03:04:05Z"),
            ("www.example.internal", "www.example.internal"),
            ("1.2.840.113549", "1.2.840.113549"),
            ("", ""),
        ] {
            assert_eq!(short_time(text), expected);
        }
    }
}
