//! UTCTime and GeneralizedTime as RFC 5280 §4.1.2.5 allows them: Zulu, with seconds, without fractions; UTCTime for
//! 1950 through 2049 and GeneralizedTime otherwise. Seconds are counted from 1970-01-01 without leap seconds.

use super::{DerError, Tlv, Writer, tag};

const DAY: i64 = 86_400;
/// 9999-12-31T23:59:59Z, "no well-defined expiration date" (RFC 5280 §4.1.2.5).
pub(crate) const LATEST: i64 = 253_402_300_799;
/// 1950-01-01T00:00:00Z, the first instant that UTCTime can say.
pub(crate) const EARLIEST: i64 = -631_152_000;
/// 2050-01-01T00:00:00Z, the first instant that needs GeneralizedTime.
const GENERALIZED_FROM: i64 = 2_524_608_000;

/// Writes an instant between [`EARLIEST`] and [`LATEST`] in the form its year asks for; the caller checks the range.
pub(crate) fn write(w: &mut Writer, seconds: i64) {
    if seconds < GENERALIZED_FROM {
        let (year, rest) = digits(seconds);
        w.primitive(tag::UTC_TIME, format!("{:02}{rest}", year % 100).as_bytes());
    } else {
        write_generalized(w, seconds);
    }
}

/// Writes an instant in the long form whatever its year, as OCSP does and CRLs do for invalidity dates (RFC 6960
/// §4.2.1, RFC 5280 §5.3.2).
pub(crate) fn write_generalized(w: &mut Writer, seconds: i64) {
    let (year, rest) = digits(seconds);
    w.primitive(tag::GENERALIZED_TIME, format!("{year:04}{rest}").as_bytes());
}

/// The year, and what follows it.
fn digits(seconds: i64) -> (i64, String) {
    let (year, month, day) = civil(seconds.div_euclid(DAY));
    let of_day = seconds.rem_euclid(DAY);
    (year, format!("{month:02}{day:02}{:02}{:02}{:02}Z", of_day / 3600, of_day / 60 % 60, of_day % 60))
}

/// An instant for people: `2027-02-21 14:05:00 UTC`; `None` outside what certificates can say.
pub(crate) fn shown(seconds: i64) -> Option<String> {
    if !(EARLIEST..=LATEST).contains(&seconds) {
        return None;
    }
    let (year, month, day) = civil(seconds.div_euclid(DAY));
    let of_day = seconds.rem_euclid(DAY);
    let (hour, minute, second) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
    Some(format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02} UTC"))
}

/// Reads either form. The form itself is not compared with the year: see [`is_in_required_form`].
pub(crate) fn read(value: Tlv<'_>) -> Result<i64, DerError> {
    let malformed = || value.error("a time that is not of the form YYMMDDHHMMSSZ or YYYYMMDDHHMMSSZ");
    let (year, rest) = match (value.tag, value.content) {
        (tag::UTC_TIME, [a, b, rest @ ..]) => {
            let short = two_digits([*a, *b]).ok_or_else(malformed)?;
            (if short >= 50 { 1900 + short } else { 2000 + short }, rest)
        }
        (tag::GENERALIZED_TIME, [a, b, c, d, rest @ ..]) => {
            let high = two_digits([*a, *b]).ok_or_else(malformed)?;
            (high * 100 + two_digits([*c, *d]).ok_or_else(malformed)?, rest)
        }
        _ => return Err(malformed()),
    };
    let [mo1, mo2, d1, d2, h1, h2, mi1, mi2, s1, s2, b'Z'] = rest else { return Err(malformed()) };
    let field = |digits: [u8; 2]| two_digits(digits).ok_or_else(malformed);
    let (month, day) = (field([*mo1, *mo2])?, field([*d1, *d2])?);
    let (hour, minute, second) = (field([*h1, *h2])?, field([*mi1, *mi2])?, field([*s1, *s2])?);
    let days = days_from_civil(year, month, day);
    if civil(days) != (year, month, day) || hour > 23 || minute > 59 || second > 59 {
        return Err(value.error("a time that is not in the calendar"));
    }
    Ok(days * DAY + hour * 3600 + minute * 60 + second)
}

/// Whether the form is the one that RFC 5280 §4.1.2.5 asks for at this instant.
pub(crate) fn is_in_required_form(tag: u8, seconds: i64) -> bool {
    let utc = (EARLIEST..GENERALIZED_FROM).contains(&seconds);
    tag == if utc { tag::UTC_TIME } else { tag::GENERALIZED_TIME }
}

fn two_digits([tens, ones]: [u8; 2]) -> Option<i64> {
    (tens.is_ascii_digit() && ones.is_ascii_digit()).then(|| i64::from(tens - b'0') * 10 + i64::from(ones - b'0'))
}

/// Days since 1970-01-01 to year, month, day in the proleptic Gregorian calendar, by eras of 400 years that begin on
/// 1 March so that the leap day is the last of its year.
fn civil(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let of_era = shifted.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = year - i64::from(month <= 2);
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::asn1::Reader;

    fn text(seconds: i64) -> (u8, String) {
        let mut w = Writer::new();
        write(&mut w, seconds);
        let der = w.into_bytes();
        let value = Reader::new(&der).any().unwrap();
        assert_eq!(read(value).unwrap(), seconds);
        assert!(is_in_required_form(value.tag, seconds));
        (value.tag, String::from_utf8(value.content.to_vec()).unwrap())
    }

    #[test]
    fn the_form_of_a_time_changes_with_the_year_2050() {
        let check = |seconds: i64, tag: u8, expected: &str| assert_eq!(text(seconds), (tag, expected.to_owned()));
        check(EARLIEST, tag::UTC_TIME, "500101000000Z");
        check(0, tag::UTC_TIME, "700101000000Z");
        check(951_782_400, tag::UTC_TIME, "000229000000Z");
        check(2_147_483_648, tag::UTC_TIME, "380119031408Z");
        check(2_524_607_999, tag::UTC_TIME, "491231235959Z");
        check(2_524_608_000, tag::GENERALIZED_TIME, "20500101000000Z");
        check(LATEST, tag::GENERALIZED_TIME, "99991231235959Z");
    }

    #[test]
    fn times_outside_the_calendar_are_refused() {
        let check = |tag: u8, content: &str| {
            let mut w = Writer::new();
            w.primitive(tag, content.as_bytes());
            let der = w.into_bytes();
            assert!(read(Reader::new(&der).any().unwrap()).is_err(), "{content}");
        };
        for content in
            ["260229000000Z", "260101000000", "2601010000Z", "260101000060Z", "261301000000Z", "2601010000+1Z"]
        {
            check(tag::UTC_TIME, content);
        }
        for content in ["20260101000000.0Z", "20260100000000Z", "20260101240000Z", "260101000000Z"] {
            check(tag::GENERALIZED_TIME, content);
        }
    }

    proptest::proptest! {
        #[test]
        fn every_instant_is_read_back(seconds in EARLIEST..=LATEST) {
            text(seconds);
        }
    }
}
