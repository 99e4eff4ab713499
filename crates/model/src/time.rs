//! Times and durations. Nobody below the binary reads the clock by itself: it is passed in as a [`Clock`].

use std::fmt;
use std::str::FromStr;
use std::sync::atomic::{AtomicI64, Ordering};

use jiff::civil::DateTime;
use serde::{Deserialize, Serialize};

/// Milliseconds since 1970-01-01T00:00:00Z. The range is the years 1 to 9999.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(i64);

impl Timestamp {
    /// 9999-12-31T23:59:59Z, "no well-defined end" (RFC 5280 §4.1.2.5).
    pub const MAX: Self = Self(253_402_300_799_000);

    #[must_use]
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    #[must_use]
    pub const fn from_seconds(seconds: i64) -> Self {
        Self(seconds.saturating_mul(1000))
    }

    #[must_use]
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// Whole seconds, rounded towards the past.
    #[must_use]
    pub const fn as_seconds(self) -> i64 {
        self.0.div_euclid(1000)
    }

    #[must_use]
    pub const fn plus_seconds(self, seconds: i64) -> Self {
        Self(self.0.saturating_add(seconds.saturating_mul(1000)))
    }

    /// Parses what clients send as a date: RFC 3339 with any offset, a civil date and time (read as UTC), or a bare
    /// `YYYY-MM-DD` (midnight UTC). Years 1970 to 9999.
    pub fn parse_date(text: &str) -> Result<Self, TimeError> {
        let text = text.trim();
        let parsed = match jiff::Timestamp::from_str(text) {
            Ok(instant) => instant.as_millisecond(),
            Err(_) => civil_millis(text).ok_or_else(|| TimeError::Date(text.chars().take(64).collect()))?,
        };
        if (0..=Self::MAX.0).contains(&parsed) {
            Ok(Self(parsed))
        } else {
            Err(TimeError::Date(text.chars().take(64).collect()))
        }
    }
}

/// ISO 8601 in UTC with milliseconds, as every JSON answer shows it: `2026-01-02T03:04:05.000Z`.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let days = self.0.div_euclid(86_400_000);
        let of_day = self.0.rem_euclid(86_400_000);
        let (year, month, day) = civil_from_days(days);
        write!(
            f,
            "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}.{:03}Z",
            of_day / 3_600_000,
            of_day / 60_000 % 60,
            of_day / 1000 % 60,
            of_day % 1000
        )
    }
}

/// A date, with or without a time, read as UTC; `None` for anything with another offset. The end of the year 9999 is
/// read here too: it is the standard's "no end" (RFC 5280 §4.1.2.5) and the library's instants stop a day before it.
fn civil_millis(text: &str) -> Option<i64> {
    let text = text.strip_suffix(['Z', 'z']).unwrap_or(text);
    let offset = text.get(10..).is_some_and(|time| time.contains(['+', '-', '[']));
    let civil = DateTime::from_str(text).ok().filter(|_| !offset)?;
    let (year, month, day) = (i64::from(civil.year()), i64::from(civil.month()), i64::from(civil.day()));
    let shifted_year = if month <= 2 { year - 1 } else { year };
    let era = shifted_year.div_euclid(400);
    let day_of_year = (153 * (month + if month > 2 { -3 } else { 9 }) + 2) / 5 + day - 1;
    let year_of_era = shifted_year.rem_euclid(400);
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    let days = era * 146_097 + day_of_era - 719_468;
    let of_day = (i64::from(civil.hour()) * 60 + i64::from(civil.minute())) * 60 + i64::from(civil.second());
    Some((days * 86_400 + of_day) * 1000 + i64::from(civil.millisecond()))
}

/// Days since 1970-01-01 to a proleptic Gregorian date (the usual era arithmetic; exact for the whole range).
const fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + if month <= 2 { 1 } else { 0 };
    (year, month, day)
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TimeError {
    #[error("\"{0}\" is not a date; write it as YYYY-MM-DDTHH:MM:SSZ, between the years 1970 and 9999")]
    Date(String),
    #[error("\"{text}\" is not a duration: {reason}; write an integer and a unit, such as 90d, 12h or 30m")]
    Duration { text: String, reason: &'static str },
}

/// A duration in whole seconds, greater than zero and at most 100 years of 365 days.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Ttl(i64);

/// What a bare `m` means: minutes in a request, 30-day months in a stored template's maximum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnitM {
    Minutes,
    Months,
}

impl Ttl {
    pub const SECONDS_MAX: i64 = 100 * 365 * 86_400;
    pub const HOUR: Self = Self(3_600);
    pub const DAY: Self = Self(86_400);

    /// Several times as long, at most 100 years.
    #[must_use]
    pub const fn times(self, factor: u32) -> Self {
        let seconds = self.0.saturating_mul(factor as i64);
        match Self::from_seconds(seconds) {
            Some(it) => it,
            None => Self(if seconds < 1 { 1 } else { Self::SECONDS_MAX }),
        }
    }

    /// Seconds; `None` outside 1 s to 100 years.
    #[must_use]
    pub const fn from_seconds(seconds: i64) -> Option<Self> {
        if seconds >= 1 && seconds <= Self::SECONDS_MAX { Some(Self(seconds)) } else { None }
    }

    #[must_use]
    pub const fn as_seconds(self) -> i64 {
        self.0
    }

    /// The grammar of requests: an integer and a unit (`s m h d w y` or their long names), `m` meaning minutes.
    pub fn parse(text: &str) -> Result<Self, TimeError> {
        Self::parse_with(text, UnitM::Minutes)
    }

    /// The grammar with an explicit reading of `m`.
    pub fn parse_with(text: &str, unit_m: UnitM) -> Result<Self, TimeError> {
        let fail = |reason| TimeError::Duration { text: text.chars().take(40).collect(), reason };
        let trimmed = text.trim();
        let digits = trimmed.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = trimmed.split_at(digits);
        let unit = unit.strip_prefix(' ').unwrap_or(unit);
        if number.is_empty() {
            return Err(fail(if trimmed.starts_with('-') {
                "it is negative"
            } else {
                "it does not start with a number"
            }));
        }
        if unit.is_empty() {
            return Err(fail("the unit is missing"));
        }
        if unit.starts_with('.') {
            return Err(fail("fractions are not accepted"));
        }
        let scale = unit_seconds(unit, unit_m).ok_or_else(|| fail("the unit is not one of s, m, h, d, w, y"))?;
        let amount: i64 = number.parse().map_err(|_| fail("the number is too large"))?;
        let seconds = amount.checked_mul(scale).ok_or_else(|| fail("the number is too large"))?;
        if seconds == 0 {
            return Err(fail("it is zero"));
        }
        Self::from_seconds(seconds).ok_or_else(|| fail("it is longer than 100 years"))
    }
}

fn unit_seconds(unit: &str, unit_m: UnitM) -> Option<i64> {
    // An upper-case M is a month to some and a minute to others, so single letters must be lower case.
    let seconds = match unit {
        "s" => 1,
        "m" => match unit_m {
            UnitM::Minutes => 60,
            UnitM::Months => 30 * 86_400,
        },
        "h" => 3_600,
        "d" => 86_400,
        "w" => 7 * 86_400,
        "y" => 365 * 86_400,
        long if long.len() > 1 => match long.to_ascii_lowercase().as_str() {
            "sec" | "secs" | "second" | "seconds" => 1,
            "min" | "mins" | "minute" | "minutes" => 60,
            "hr" | "hrs" | "hour" | "hours" => 3_600,
            "day" | "days" => 86_400,
            "week" | "weeks" => 7 * 86_400,
            "yr" | "yrs" | "year" | "years" => 365 * 86_400,
            _ => return None,
        },
        _ => return None,
    };
    Some(seconds)
}

/// The largest unit that divides the duration, in words a person reads: `90 days`, `1 year`, `45 minutes`.
impl fmt::Display for Ttl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (amount, unit) = match self.0 {
            s if s % (365 * 86_400) == 0 => (s / (365 * 86_400), "year"),
            s if s % 86_400 == 0 => (s / 86_400, "day"),
            s if s % 3_600 == 0 => (s / 3_600, "hour"),
            s if s % 60 == 0 => (s / 60, "minute"),
            s => (s, "second"),
        };
        write!(f, "{amount} {unit}{}", if amount == 1 { "" } else { "s" })
    }
}

/// Where "now" comes from.
pub trait Clock: Send + Sync {
    fn now(&self) -> Timestamp;
}

/// The machine's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the one place that reads the wall clock")]
    fn now(&self) -> Timestamp {
        let since_epoch = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        Timestamp(i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX))
    }
}

/// A clock that a test sets and moves.
#[derive(Debug)]
pub struct FixedClock(AtomicI64);

impl FixedClock {
    #[must_use]
    pub const fn at(start: Timestamp) -> Self {
        Self(AtomicI64::new(start.0))
    }

    pub fn advance_seconds(&self, seconds: i64) {
        self.0.fetch_add(seconds.saturating_mul(1000), Ordering::SeqCst);
    }
}

impl Clock for FixedClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::SeqCst))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn request_durations_follow_the_grammar() {
        let good: &[(&str, i64)] = &[
            ("30d", 2_592_000),
            ("12h", 43_200),
            ("90m", 5_400),
            ("2 days", 172_800),
            ("1y", 31_536_000),
            ("45s", 45),
            ("1w", 604_800),
            (" 3 Hours ", 10_800),
        ];
        for (text, seconds) in good {
            assert_eq!(Ttl::parse(text).map(Ttl::as_seconds), Ok(*seconds), "{text}");
        }
        for text in [
            "999999999y",
            "-1h",
            "1.5h",
            "1e9s",
            "NaN",
            "0",
            "0d",
            "",
            "9223372036854775808s",
            "1M",
            "90",
            "1  d",
            "1dd",
            "101y",
            "d",
        ] {
            assert!(Ttl::parse(text).is_err(), "{text}");
        }
        assert_eq!(Ttl::parse_with("2m", UnitM::Months).map(Ttl::as_seconds), Ok(60 * 86_400));
    }

    #[test]
    fn dates_print_and_parse() {
        for (text, canonical) in [
            ("2026-01-02T03:04:05.000Z", "2026-01-02T03:04:05.000Z"),
            ("2026-01-02", "2026-01-02T00:00:00.000Z"),
            ("2026-01-02T03:04:05+01:00", "2026-01-02T02:04:05.000Z"),
            ("2050-01-01T00:00:00Z", "2050-01-01T00:00:00.000Z"),
            ("9999-12-31T23:59:59Z", "9999-12-31T23:59:59.000Z"),
            ("2024-02-29T12:00:00", "2024-02-29T12:00:00.000Z"),
        ] {
            assert_eq!(Timestamp::parse_date(text).map(|t| t.to_string()), Ok(canonical.to_owned()));
        }
        for text in ["", "yesterday", "2026-13-01", "2026-02-30", "10000-01-01", "1969-12-31T23:59:59Z"] {
            assert!(Timestamp::parse_date(text).is_err(), "{text}");
        }
    }

    #[test]
    fn durations_read_back_in_words() {
        for (seconds, words) in
            [(31_536_000, "1 year"), (90 * 86_400, "90 days"), (3_600, "1 hour"), (61, "61 seconds")]
        {
            assert_eq!(Ttl::from_seconds(seconds).map(|t| t.to_string()).as_deref(), Some(words));
        }
    }
}
