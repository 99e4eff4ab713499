//! Words that e-mail and Slack share. Names come from whoever asked for a certificate, so nothing of them may end a line.

use chancery_authority::alert::{Message, MessageCertificate, MessageCrl};
use chancery_model::alert::AlertEvent;

/// Certificates written out; the rest is a number.
pub(crate) const LISTED_MAX: usize = 20;
const NAME_MAX: usize = 200;

/// On one line, without control characters or characters that turn the direction of text, and not long.
pub(crate) fn one_line(text: &str) -> String {
    let unseen = |it: char| {
        it.is_control()
            || matches!(it, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
    };
    let mut line: String = text.chars().take(NAME_MAX).map(|it| if unseen(it) { ' ' } else { it }).collect();
    if text.chars().nth(NAME_MAX).is_some() {
        line.push('…');
    }
    line
}

/// What it is about, in a few words.
pub(crate) fn headline(message: &Message) -> String {
    let count = message.total;
    let many = |one: &str, more: &str| if count == 1 { format!("1 {one}") } else { format!("{count} {more}") };
    let within = message.alert.before.as_ref().map(|span| format!(" within {span}")).unwrap_or_default();
    match message.event {
        None => "Test of a notification channel".to_owned(),
        Some(AlertEvent::Expiration) => format!("{}{within}", many("certificate ends", "certificates end")),
        Some(AlertEvent::CaExpiration) => format!("{}{within}", many("CA certificate ends", "CA certificates end")),
        Some(AlertEvent::CrlExpiration) => {
            format!("{} and not published anew", many("CRL near its end", "CRLs near their end"))
        }
        Some(AlertEvent::Issuance) => many("certificate issued", "certificates issued"),
        Some(AlertEvent::Renewal) => many("certificate renewed", "certificates renewed"),
        Some(AlertEvent::Revocation) => many("certificate revoked", "certificates revoked"),
        Some(AlertEvent::IssuanceFailed) => {
            many("certificate was ordered and not issued", "certificates were ordered and not issued")
        }
        Some(AlertEvent::RenewalFailed) => many("renewal did not succeed", "renewals did not succeed"),
    }
}

/// A certificate on one line: name, what it is, until when; of a request, why there is no certificate.
pub(crate) fn certificate(it: &MessageCertificate) -> String {
    let name = match (it.common_name.as_str(), it.sans.first()) {
        ("", Some(san)) => san,
        ("", None) => "(no name)",
        (name, _) => name,
    };
    let profile = it.profile_name.as_deref().map(|name| format!(", profile {}", one_line(name))).unwrap_or_default();
    let error = it.error.as_deref().map(|error| format!(": {}", one_line(error))).unwrap_or_default();
    if let Some(request) = it.request_id {
        return format!("{} (request {request}{profile}){error}", one_line(name));
    }
    let kind = if it.ca_id.is_some() { "CA, " } else { "" };
    let days = match it.days_until_expiry {
        1 => "1 day left".to_owned(),
        days if days < 0 => "ended".to_owned(),
        days => format!("{days} days left"),
    };
    format!("{} ({kind}serial {}{profile}) until {}, {days}{error}", one_line(name), it.serial_number, it.not_after)
}

pub(crate) fn crl(it: &MessageCrl) -> String {
    let part = if it.partition == 0 { String::new() } else { format!(", partition {}", it.partition) };
    format!("CRL {} of {}{part}: next update {}", it.number, one_line(&it.ca_name), it.next_update)
}

/// All lines of the list, and how many are left out.
pub(crate) fn lines(message: &Message) -> (Vec<String>, u64) {
    let all = message.certificates.iter().map(certificate).chain(message.crls.iter().map(crl));
    let lines: Vec<String> = all.take(LISTED_MAX).collect();
    let left_out = message.total.saturating_sub(u64::try_from(lines.len()).unwrap_or(u64::MAX));
    (lines, left_out)
}

#[cfg(test)]
mod tests {
    use chancery_model::RequestId;

    use super::*;
    use crate::sample;

    #[test]
    fn names_stay_on_their_line() {
        for (text, line) in [
            ("www.acme.com", "www.acme.com"),
            ("a\r\nBcc: x@evil.test", "a  Bcc: x@evil.test"),
            ("a\u{2028}b\u{202e}c\u{0}d", "a b c d"),
        ] {
            assert_eq!(one_line(text), line);
        }
        assert_eq!(one_line(&"x".repeat(500)).chars().count(), NAME_MAX + 1);
    }

    #[test]
    fn long_lists_are_cut_and_counted() {
        let mut message = sample::message();
        message.certificates = vec![sample::certificate("www.acme.com"); 30];
        message.total = 1_234;
        let (lines, left_out) = lines(&message);
        assert_eq!((lines.len(), left_out), (LISTED_MAX, 1_214));
        assert_eq!(lines[0], "www.acme.com (serial 0a1b, profile web) until 2027-02-14T08:00:00.000Z, 30 days left");
        assert_eq!(headline(&message), "1234 certificates end within 30d");
        let request = MessageCertificate {
            request_id: Some(RequestId::from_uuid(uuid::Uuid::from_u128(5))),
            error: Some("it is for\nanother key".to_owned()),
            ..sample::certificate("www.acme.com")
        };
        assert_eq!(
            certificate(&request),
            "www.acme.com (request 00000000-0000-0000-0000-000000000005, profile web): it is for another key"
        );
    }
}
