//! Answers that caches may keep: validators, lifetimes, and "not modified" for who has it already (RFC 9110 §13,
//! RFC 9111 §5).

use std::time::{Duration, UNIX_EPOCH};

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use chancery_model::Timestamp;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};

/// Nothing that can change is kept longer than this without asking again, so that a revocation is seen within a minute
/// through any cache. Asking again costs little: who has it is told so by its tag.
const MAX_AGE_SECONDS: i64 = 60;
/// What never changes.
const FOREVER_SECONDS: i64 = 86_400;

/// A body with all that a cache needs to know.
pub struct Document {
    pub media_type: &'static str,
    /// What a browser saves it as; absent for what is nobody's file.
    pub file_name: Option<String>,
    pub body: Bytes,
    /// Without the quotes; changes whenever the body does.
    pub etag: String,
    /// Of what is said, not of the file: thisUpdate.
    pub modified: Option<Timestamp>,
    /// When it ends being true: nextUpdate. Absent: never.
    pub expires: Option<Timestamp>,
}

impl Document {
    /// The answer to a request with these headers.
    pub fn answer(self, request: &HeaderMap, now: Timestamp) -> Response {
        let known = self.is_known(request);
        let headers = self.headers(now, known);
        let body = if known { Body::empty() } else { Body::from(self.body) };
        let mut response = Response::new(body);
        *response.status_mut() = if known { StatusCode::NOT_MODIFIED } else { StatusCode::OK };
        *response.headers_mut() = headers;
        response
    }

    fn headers(&self, now: Timestamp, known: bool) -> HeaderMap {
        let mut headers = HeaderMap::new();
        let mut put = |name: HeaderName, value: &str| {
            // Dates, numbers and ids always are header values.
            if let Ok(value) = HeaderValue::from_str(value) {
                headers.insert(name, value);
            }
        };
        put(header::ETAG, &format!("\"{}\"", self.etag));
        put(header::CACHE_CONTROL, &cache_control(self.expires, now));
        if let Some(date) = self.modified.and_then(http_date) {
            put(header::LAST_MODIFIED, &date);
        }
        if let Some(date) = self.expires.and_then(http_date) {
            put(header::EXPIRES, &date);
        }
        if !known {
            put(header::CONTENT_TYPE, self.media_type);
            if let Some(name) = &self.file_name {
                put(header::CONTENT_DISPOSITION, &format!("attachment; filename=\"{name}\""));
            }
        }
        headers
    }

    /// An entity tag decides alone where there is one (RFC 9110 §13.2.2); dates are whole seconds.
    fn is_known(&self, request: &HeaderMap) -> bool {
        let mut tags = request.get_all(header::IF_NONE_MATCH).iter().peekable();
        if tags.peek().is_some() {
            return tags.filter_map(|line| line.to_str().ok()).any(|line| names_tag(line, &self.etag));
        }
        let since = request.get(header::IF_MODIFIED_SINCE).and_then(|value| value.to_str().ok());
        let since = since.and_then(|text| httpdate::parse_http_date(text).ok());
        let since = since.and_then(|date| date.duration_since(UNIX_EPOCH).ok()).map(|date| date.as_secs());
        let modified = self.modified.and_then(|at| u64::try_from(at.as_seconds()).ok());
        matches!((modified, since), (Some(modified), Some(since)) if modified <= since)
    }
}

/// Whether a line of `If-None-Match` means this tag; weak comparison (RFC 9110 §8.8.3.2).
fn names_tag(line: &str, etag: &str) -> bool {
    line.split(',').map(str::trim).any(|one| {
        let opaque = one.strip_prefix("W/").unwrap_or(one);
        one == "*" || opaque.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) == Some(etag)
    })
}

/// RFC 5019 §6.2: always less than what is left until nextUpdate.
fn cache_control(expires: Option<Timestamp>, now: Timestamp) -> String {
    let age = match expires {
        None => FOREVER_SECONDS,
        Some(at) => at.as_seconds().saturating_sub(now.as_seconds()).saturating_sub(1).min(MAX_AGE_SECONDS),
    };
    match age {
        1.. => format!("max-age={age}, public, no-transform, must-revalidate"),
        _ => "no-cache".to_owned(),
    }
}

/// `None` beyond the years that HTTP can write.
fn http_date(at: Timestamp) -> Option<String> {
    const YEAR_10_000: u64 = 253_402_300_800;
    let seconds = u64::try_from(at.as_seconds()).ok().filter(|seconds| *seconds < YEAR_10_000)?;
    Some(httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(seconds)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 1994-11-06T08:49:37Z.
    const THEN: i64 = 784_111_777;

    fn document() -> Document {
        Document {
            media_type: "application/pkix-crl",
            file_name: Some("a.crl".to_owned()),
            body: Bytes::from_static(b"crl"),
            etag: "7-5".to_owned(),
            modified: Some(Timestamp::from_seconds(THEN)),
            expires: Some(Timestamp::from_seconds(THEN + 86_400)),
        }
    }

    fn status(name: HeaderName, value: &str) -> u16 {
        let request = HeaderMap::from_iter([(name, HeaderValue::from_str(value).unwrap())]);
        document().answer(&request, Timestamp::from_seconds(THEN)).status().as_u16()
    }

    #[test]
    fn who_has_it_is_told_so() {
        for (value, expected) in [
            ("\"7-5\"", 304),
            ("W/\"7-5\"", 304),
            ("\"a\", \"7-5\"", 304),
            ("*", 304),
            ("\"7-4\"", 200),
            ("7-5", 200),
            ("", 200),
        ] {
            assert_eq!(status(header::IF_NONE_MATCH, value), expected, "{value}");
        }
        for (value, expected) in [
            ("Sun, 06 Nov 1994 08:49:37 GMT", 304),
            ("Sun, 06 Nov 1994 08:49:38 GMT", 304),
            ("Sun, 06 Nov 1994 08:49:36 GMT", 200),
            ("yesterday", 200),
        ] {
            assert_eq!(status(header::IF_MODIFIED_SINCE, value), expected, "{value}");
        }
    }

    #[test]
    fn a_tag_that_does_not_fit_wins_over_a_date_that_does() {
        let mut request = HeaderMap::new();
        request.insert(header::IF_NONE_MATCH, HeaderValue::from_static("\"other\""));
        request.insert(header::IF_MODIFIED_SINCE, HeaderValue::from_static("Sun, 06 Nov 1994 08:49:37 GMT"));
        assert_eq!(document().answer(&request, Timestamp::from_seconds(THEN)).status(), 200);
    }

    #[test]
    fn an_answer_names_its_type_its_file_and_its_dates() {
        let response = document().answer(&HeaderMap::new(), Timestamp::from_seconds(THEN));
        let headers = response.headers();
        assert_eq!(headers[header::CONTENT_TYPE], "application/pkix-crl");
        assert_eq!(headers[header::CONTENT_DISPOSITION], "attachment; filename=\"a.crl\"");
        assert_eq!(headers[header::LAST_MODIFIED], "Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(headers[header::EXPIRES], "Mon, 07 Nov 1994 08:49:37 GMT");
        assert_eq!(headers[header::ETAG], "\"7-5\"");
    }

    #[test]
    fn a_cache_never_keeps_what_has_ended() {
        for (left, expected) in [
            (Some(86_400), Some(60)),
            (Some(61), Some(60)),
            (Some(50), Some(49)),
            (Some(1), None),
            (Some(0), None),
            (Some(-5), None),
            (None, Some(86_400)),
        ] {
            let now = Timestamp::from_seconds(THEN);
            let said = cache_control(left.map(|left| now.plus_seconds(left)), now);
            let age = said.strip_prefix("max-age=").and_then(|rest| rest.split(',').next()?.parse().ok());
            assert_eq!(age, expected, "{said}");
        }
    }

    #[test]
    fn a_date_that_http_cannot_write_is_left_out() {
        assert!(http_date(Timestamp::MAX).is_none_or(|text| text.ends_with("GMT")));
        assert_eq!(http_date(Timestamp::from_seconds(-1)), None);
        assert_eq!(http_date(Timestamp::from_seconds(253_402_300_799)).unwrap(), "Fri, 31 Dec 9999 23:59:59 GMT");
        assert_eq!(http_date(Timestamp::from_seconds(253_402_300_800)), None);
    }
}
