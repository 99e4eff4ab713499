//! One question to a service and its answer. Errors are in the words of whoever set the service up; what only the operator
//! may know goes into the detail.

use std::time::SystemTime;

use chancery_authority::external::UpstreamError;
use chancery_egress::{Egress, EgressError, EgressReply, EgressRequest, HeaderMap};
use chancery_model::Timestamp;

/// Sends the request to `whom` (as people call the service) and returns whatever it answered.
pub(crate) async fn ask(egress: &Egress, whom: &str, request: EgressRequest) -> Result<EgressReply, UpstreamError> {
    let host = request.url.host_str().unwrap_or_default().to_owned();
    egress.send(request).await.map_err(|error| unanswered(whom, &host, &error))
}

fn unanswered(whom: &str, host: &str, error: &EgressError) -> UpstreamError {
    let detail = error.detail().to_owned();
    match error {
        EgressError::Denied => UpstreamError::lasting(format!(
            "{whom} ({host}) is at an address that this server may not ask; the operator allows inner networks by egress_allowed_networks"
        )),
        EgressError::Scheme => UpstreamError::lasting(format!("{whom}: its URL must begin with https://")),
        EgressError::Unreachable(_) => UpstreamError::passing(format!("{whom} ({host}) cannot be reached")),
        EgressError::Timeout => UpstreamError::passing(format!("{whom} ({host}) did not answer in time")),
        EgressError::Setup(_) => {
            UpstreamError::passing("outgoing connections are not set up on this server; see its log")
        }
    }
    .with_detail(detail)
}

/// Longest wait that another side can make this server keep.
const RETRY_AFTER_MAX: u64 = 86_400;

/// `Retry-After` (RFC 9110 §10.2.3) in seconds: a number or a date.
pub(crate) fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<u32> {
    let text = headers.get("retry-after")?.to_str().ok()?.trim();
    let seconds = match text.parse::<u64>() {
        Ok(seconds) => seconds,
        Err(_) => {
            let at = httpdate::parse_http_date(text).ok()?.duration_since(SystemTime::UNIX_EPOCH).ok()?.as_secs();
            at.saturating_sub(u64::try_from(now.as_seconds()).unwrap_or(0))
        }
    };
    u32::try_from(seconds.min(RETRY_AFTER_MAX)).ok()
}

/// An answer that is not what was hoped for: 429 and 5xx may pass, the rest does not. `said` is the service's own reason.
pub(crate) fn refused(whom: &str, reply: &EgressReply, said: &str, now: Timestamp) -> UpstreamError {
    let status = reply.status.as_u16();
    let said: String = said.chars().filter(|it| !it.is_control()).take(500).collect();
    let text = if said.is_empty() {
        format!("{whom} answered with status {status}")
    } else {
        format!("{whom} answered with status {status}: {said}")
    };
    match status {
        408 | 425 | 429 | 500..=599 => UpstreamError::passing_after(text, retry_after(&reply.headers, now)),
        _ => UpstreamError::lasting(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_a_number_of_seconds_or_a_date() {
        let now = Timestamp::from_seconds(1_700_000_000);
        for (text, expected) in [
            ("7", Some(7)),
            (" 0 ", Some(0)),
            ("999999999999", Some(86_400)),
            ("Tue, 14 Nov 2023 22:13:50 GMT", Some(30)),
            ("Tue, 14 Nov 2023 22:13:10 GMT", Some(0)),
            ("soon", None),
            ("-1", None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert("retry-after", text.parse().unwrap());
            assert_eq!(retry_after(&headers, now), expected, "{text}");
        }
        assert_eq!(retry_after(&HeaderMap::new(), now), None);
    }
}
