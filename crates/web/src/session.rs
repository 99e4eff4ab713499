//! Cookies: the session, a note for the next page, and the theme.

use http::header::{COOKIE, SET_COOKIE};
use http::{HeaderMap, HeaderValue};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

/// Everything but letters, digits and a few marks is encoded in a cookie's value (RFC 6265 §4.1.1).
const COOKIE_VALUE: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.');

/// Longest cookie value worth looking at.
const VALUE_MAX: usize = 2_048;

/// A cookie of this door. Under HTTPS its name has the prefix that ties it to this host and to `Secure`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cookie {
    /// The access token of a browser session.
    Session,
    /// What the last action did, to be said on the next page.
    Note,
    /// `light` or `dark`, if the visitor chose.
    Theme,
}

/// How long a cookie lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Life {
    /// Until the browser is closed; a session ends on the server long before most browsers are.
    Browser,
    Year,
    Gone,
}

impl Cookie {
    fn name(self, is_https: bool) -> &'static str {
        match (self, is_https) {
            (Self::Session, true) => "__Host-chancery-session",
            (Self::Session, false) => "chancery-session",
            (Self::Note, true) => "__Host-chancery-note",
            (Self::Note, false) => "chancery-note",
            (Self::Theme, true) => "__Host-chancery-theme",
            (Self::Theme, false) => "chancery-theme",
        }
    }

    /// The value the browser sent.
    pub fn read(self, headers: &HeaderMap, is_https: bool) -> Option<String> {
        let name = self.name(is_https);
        let pairs = headers.get_all(COOKIE).iter().filter_map(|it| it.to_str().ok()).flat_map(|it| it.split(';'));
        let mut values = pairs.filter_map(|pair| pair.trim().split_once('=')).filter(|(it, _)| *it == name);
        let (_, value) = values.next()?;
        if value.is_empty() || value.len() > VALUE_MAX {
            return None;
        }
        Some(percent_decode_str(value).decode_utf8().ok()?.into_owned())
    }

    /// The header that sets it. Scripts never see it, and no other site can have it sent along.
    pub fn set(self, value: &str, is_https: bool, life: Life) -> HeaderValue {
        let value = utf8_percent_encode(value, COOKIE_VALUE);
        let secure = if is_https { "; Secure" } else { "" };
        let life = match life {
            Life::Browser => "",
            Life::Year => "; Max-Age=31536000",
            Life::Gone => "; Max-Age=0",
        };
        let text = format!("{}={value}; Path=/; HttpOnly; SameSite=Strict{secure}{life}", self.name(is_https));
        HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static(""))
    }

    pub fn put(self, headers: &mut HeaderMap, value: &str, is_https: bool, life: Life) {
        headers.append(SET_COOKIE, self.set(value, is_https, life));
    }
}

/// Compared in full, whatever differs first.
pub(crate) fn equals(left: &str, right: &str) -> bool {
    left.len() == right.len() && left.bytes().zip(right.bytes()).fold(0, |sum, (a, b)| sum | (a ^ b)) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_is_bound_to_host_and_https_and_hidden_from_scripts() {
        let text = Cookie::Session.set("chy_a b", true, Life::Browser);
        assert_eq!(
            text.to_str().unwrap(),
            "__Host-chancery-session=chy_a%20b; Path=/; HttpOnly; SameSite=Strict; Secure"
        );
        let plain = Cookie::Theme.set("dark", false, Life::Year);
        assert!(!plain.to_str().unwrap().contains("Secure"));
    }

    #[test]
    fn only_the_own_name_is_read() {
        let check = |header: &str, expected: Option<&str>| {
            let mut headers = HeaderMap::new();
            headers.insert(COOKIE, HeaderValue::from_str(header).unwrap());
            assert_eq!(Cookie::Session.read(&headers, true).as_deref(), expected, "{header}");
        };
        check("a=b; __Host-chancery-session=x%20y", Some("x y"));
        check("chancery-session=x", None);
        check("__Host-chancery-session=", None);
        check("__Host-chancery-session=%ff", None);
        check(&format!("__Host-chancery-session={}", "x".repeat(2_049)), None);
    }

    #[test]
    fn texts_are_compared_whole() {
        assert!(equals("abc", "abc") && !equals("abc", "abd") && !equals("abc", "ab"));
    }
}
