//! Text for people: what hides is made visible, times and sizes are made readable.
//!
//! Names in certificates come from strangers. A control character, a bidirectional override or an invisible space in one
//! could make it look like another, so [`Visible`], through which everything in a page goes, shows them as their code.

use std::fmt::{self, Write};

use askama::filters::Escaper;
use chancery_model::Timestamp;

/// HTML escaping that also shows characters which would hide: `\u{202e}` becomes `⟨U+202E⟩`.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Visible;

impl Escaper for Visible {
    fn write_escaped_str<W: Write>(&self, mut dest: W, string: &str) -> fmt::Result {
        string.chars().try_for_each(|it| write_visible(&mut dest, it))
    }

    fn write_escaped_char<W: Write>(&self, mut dest: W, c: char) -> fmt::Result {
        write_visible(&mut dest, c)
    }
}

fn write_visible(dest: &mut impl Write, it: char) -> fmt::Result {
    match it {
        '<' => dest.write_str("&lt;"),
        '>' => dest.write_str("&gt;"),
        '&' => dest.write_str("&amp;"),
        '"' => dest.write_str("&quot;"),
        '\'' => dest.write_str("&#39;"),
        '\n' | '\r' | '\t' => dest.write_char(it),
        it if hides(it) => write!(dest, "⟨U+{:04X}⟩", u32::from(it)),
        it => dest.write_char(it),
    }
}

/// Whether the character shows nothing itself but changes how others are read.
fn hides(it: char) -> bool {
    it.is_control()
        || matches!(it,
            '\u{00ad}' | '\u{034f}' | '\u{061c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180e}' |
            '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{feff}' |
            '\u{ffa0}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
}

/// A host name as it is certified, and beside it as it reads where it is internationalized: `xn--bcher-kva.example
/// (bücher.example)`.
pub(crate) fn host_name(ascii: &str) -> String {
    if !ascii.split('.').any(|label| label.to_ascii_lowercase().starts_with("xn--")) {
        return ascii.to_owned();
    }
    let (unicode, outcome) = idna::domain_to_unicode(ascii);
    if outcome.is_err() || unicode == ascii { ascii.to_owned() } else { format!("{ascii} ({unicode})") }
}

/// `2027-02-21 14:05 UTC`.
pub(crate) fn utc(time: Timestamp) -> String {
    let text = time.to_string();
    let date = text.get(..10).unwrap_or(&text);
    let clock = text.get(11..16).unwrap_or_default();
    format!("{date} {clock} UTC")
}

/// How far away, in the largest unit that fits: `in 34 days`, `2 hours ago`.
pub(crate) fn distance(time: Timestamp, now: Timestamp) -> String {
    let seconds = time.as_seconds().saturating_sub(now.as_seconds());
    let span = span(seconds.saturating_abs());
    match seconds {
        0 => "now".to_owned(),
        1.. => format!("in {span}"),
        _ => format!("{span} ago"),
    }
}

/// A length of time in the largest unit that fits: `3 years`, `34 days`, `1 minute`.
pub(crate) fn span(seconds: i64) -> String {
    const UNITS: [(i64, &str); 5] =
        [(365 * 86_400, "year"), (86_400, "day"), (3_600, "hour"), (60, "minute"), (1, "second")];
    // Two of the largest unit and more read well; below that the next one says it better: 400 days, not 1 year.
    let fits = |size: i64| seconds >= if size == 365 * 86_400 { 2 * size } else { size };
    let (size, unit) = UNITS.into_iter().find(|(size, _)| fits(*size)).unwrap_or((1, "second"));
    let count = seconds / size;
    format!("{count} {unit}{}", if count == 1 { "" } else { "s" })
}

/// Whether two values read the same: a drop-down's choice and the value in force, whatever their types.
pub(crate) fn same(left: impl fmt::Display, right: impl fmt::Display) -> bool {
    left.to_string() == right.to_string()
}

/// Digits in groups of three: `1 234 567`.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push('\u{a0}');
        }
        text.push(digit);
    }
    text
}

/// What templates may write after a bar.
pub(crate) mod filters {
    use askama::Values;
    use chancery_model::Timestamp;

    /// `2027-02-21 14:05 UTC`.
    #[askama::filter_fn]
    pub fn utc(time: &Timestamp, _: &dyn Values) -> askama::Result<String> {
        Ok(super::utc(*time))
    }

    /// `in 34 days`, seen from `now`.
    #[askama::filter_fn]
    pub fn distance(time: &Timestamp, _: &dyn Values, now: &Timestamp) -> askama::Result<String> {
        Ok(super::distance(*time, *now))
    }

    /// `1 234 567`.
    #[askama::filter_fn]
    pub fn grouped(number: &u64, _: &dyn Values) -> askama::Result<String> {
        Ok(super::grouped(*number))
    }

    /// A host name, with its Unicode form beside it.
    #[askama::filter_fn]
    pub fn host_name(ascii: &str, _: &dyn Values) -> askama::Result<String> {
        Ok(super::host_name(ascii))
    }

    /// A span of seconds: `90 days`.
    #[askama::filter_fn]
    pub fn span(seconds: &i64, _: &dyn Values) -> askama::Result<String> {
        Ok(super::span(*seconds))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_hides_is_shown_and_what_is_html_is_text() {
        let check = |text: &str, expected: &str| {
            let mut out = String::new();
            Visible.write_escaped_str(&mut out, text).unwrap();
            assert_eq!(out, expected, "{text:?}");
        };
        check("www.acme.com", "www.acme.com");
        check("<script>alert('x')</script>", "&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;");
        check("a\u{202e}moc.elgoog", "a⟨U+202E⟩moc.elgoog");
        check("pay\u{200b}pal\0", "pay⟨U+200B⟩pal⟨U+0000⟩");
        check("line\nnext\t\"x\"&", "line\nnext\t&quot;x&quot;&amp;");
        check("Köln 東京", "Köln 東京");
    }

    #[test]
    fn internationalized_names_are_shown_both_ways() {
        for (ascii, shown) in [
            ("www.acme.com", "www.acme.com"),
            ("xn--bcher-kva.example", "xn--bcher-kva.example (bücher.example)"),
            ("*.XN--bcher-kva.example", "*.XN--bcher-kva.example (*.bücher.example)"),
            ("xn--\u{7f}.example", "xn--\u{7f}.example"),
        ] {
            assert_eq!(host_name(ascii), shown);
        }
    }

    #[test]
    fn spans_are_named_by_the_unit_that_fits() {
        for (seconds, text) in [
            (0, "0 seconds"),
            (1, "1 second"),
            (90, "1 minute"),
            (7_200, "2 hours"),
            (86_400, "1 day"),
            (400 * 86_400, "400 days"),
            (10 * 365 * 86_400, "10 years"),
        ] {
            assert_eq!(span(seconds), text);
        }
        let now = Timestamp::from_seconds(1_000_000);
        assert_eq!(distance(now.plus_seconds(34 * 86_400), now), "in 34 days");
        assert_eq!(distance(now.plus_seconds(-60), now), "1 minute ago");
        assert_eq!(utc(Timestamp::from_seconds(0)), "1970-01-01 00:00 UTC");
    }

    #[test]
    fn long_numbers_are_grouped() {
        for (number, text) in [(0, "0"), (999, "999"), (1_000, "1\u{a0}000"), (1_234_567, "1\u{a0}234\u{a0}567")] {
            assert_eq!(grouped(number), text);
        }
    }
}
