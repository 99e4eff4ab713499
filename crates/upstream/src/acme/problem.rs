//! Problem documents (RFC 8555 §6.7, RFC 9457) in words that a person can act on.

use chancery_authority::external::UpstreamError;
use serde::Deserialize;

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Problem {
    #[serde(rename = "type")]
    kind: String,
    detail: String,
    /// Where a person may read on.
    instance: Option<String>,
    subproblems: Vec<Subproblem>,
    /// HTTP status of the answer.
    #[serde(skip)]
    pub status: u16,
    #[serde(skip)]
    pub retry_after: Option<u32>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Subproblem {
    #[serde(rename = "type")]
    kind: String,
    detail: String,
    identifier: Option<SubproblemIdentifier>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct SubproblemIdentifier {
    value: String,
}

const URN: &str = "urn:ietf:params:acme:error:";
const SUBPROBLEMS_SHOWN: usize = 10;

impl Problem {
    /// `None` for what is no problem document.
    pub fn read(body: &[u8]) -> Option<Self> {
        serde_json::from_slice::<Self>(body).ok().filter(|it| !it.kind.is_empty() || !it.detail.is_empty())
    }

    /// The error's name without the prefix that all ACME errors have.
    pub fn kind(&self) -> &str {
        self.kind.strip_prefix(URN).unwrap_or(&self.kind)
    }

    /// What the CA says, about every name.
    pub fn text(&self) -> String {
        let mut text = said(&self.detail, self.kind());
        for one in self.subproblems.iter().take(SUBPROBLEMS_SHOWN) {
            let name = one.identifier.as_ref().map_or("", |it| it.value.as_str());
            let kind = one.kind.strip_prefix(URN).unwrap_or(&one.kind);
            let separator = if name.is_empty() { "" } else { ": " };
            text.push_str(&format!("; {}{separator}{}", tame(name, 100), said(&one.detail, kind)));
        }
        if self.subproblems.len() > SUBPROBLEMS_SHOWN {
            text.push_str(&format!("; and {} more", self.subproblems.len() - SUBPROBLEMS_SHOWN));
        }
        if let Some(instance) = self.instance.as_deref().filter(|it| it.starts_with("https://")) {
            text.push_str(&format!("; see {}", tame(instance, 300)));
        }
        text
    }

    /// Of a request that the CA has refused.
    pub fn error(&self, whom: &str) -> UpstreamError {
        let text = format!("{whom} says: {}", self.text());
        let next = match self.kind() {
            "rateLimited" | "serverInternal" => return UpstreamError::passing_after(text, self.retry_after),
            _ if matches!(self.status, 408 | 425 | 429 | 500..=599) => {
                return UpstreamError::passing_after(text, self.retry_after);
            }
            "externalAccountRequired" => "set eabKid and eabHmacKey on the CA; its operator gives them out",
            "userActionRequired" => "agree to what it asks for, then save the CA here again",
            "accountDoesNotExist" => "save the CA here again to register a new account",
            "unauthorized" => "see whether the account is still in force there; saving the CA here again checks it",
            "rejectedIdentifier" | "unsupportedIdentifier" => "request other names, or use another CA",
            "badPublicKey" => "request the certificate with another key algorithm",
            "caa" => "allow the CA in the CAA record of the domain",
            "invalidProfile" => "choose another certificateProfile on the CA",
            "invalidContact" | "unsupportedContact" => "correct accountEmail on the CA",
            _ => return UpstreamError::lasting(text),
        };
        UpstreamError::lasting(format!("{text}. Next step: {next}"))
    }

    /// What helps when a proof of this kind was not accepted.
    pub fn hint(&self, challenge: &str) -> &'static str {
        match (self.kind(), challenge) {
            ("caa", _) => ". Next step: allow the CA in the CAA record of the domain",
            ("dns", "dns-01") | ("unauthorized" | "incorrectResponse", "dns-01") => {
                ". Next step: look whether the public servers of the zone answer with the record"
            }
            ("dns", _) => ". Next step: look whether the name has a public address",
            (_, "http-01") => {
                ". Next step: port 80 of the name must lead to this server's acme_http_listen, which its operator sets"
            }
            (_, "tls-alpn-01") => {
                ". Next step: port 443 of the name must lead to this server's acme_tls_listen, which its operator sets"
            }
            _ => "",
        }
    }
}

fn said(detail: &str, kind: &str) -> String {
    match (tame(detail, 500), tame(kind, 60)) {
        (detail, kind) if detail.is_empty() => kind,
        (detail, kind) if kind.is_empty() => detail,
        (detail, kind) => format!("{} ({kind})", detail.trim_end_matches('.')),
    }
}

/// A stranger's text: bounded and on one line.
pub(super) fn tame(text: &str, chars_max: usize) -> String {
    text.chars().map(|it| if it.is_control() { ' ' } else { it }).take(chars_max).collect()
}

#[cfg(test)]
mod tests {
    use chancery_authority::external::UpstreamErrorKind;

    use super::*;

    #[test]
    fn every_name_of_a_compound_problem_is_told() {
        let body = br#"{"type":"urn:ietf:params:acme:error:malformed","detail":"Some names\nwere refused.","subproblems":[
            {"type":"urn:ietf:params:acme:error:rejectedIdentifier","detail":"on a list","identifier":{"type":"dns","value":"a.test"}},
            {"type":"urn:ietf:params:acme:error:caa","detail":"","identifier":{"type":"dns","value":"b.test"}}]}"#;
        assert_eq!(
            Problem::read(body).unwrap().error("CA").text,
            "CA says: Some names were refused (malformed); a.test: on a list (rejectedIdentifier); b.test: caa"
        );
    }

    #[test]
    fn what_may_pass_is_told_from_what_lasts() {
        for (kind, status, passing) in [
            ("rateLimited", 429, true),
            ("rateLimited", 403, true),
            ("serverInternal", 500, true),
            ("malformed", 503, true),
            ("unauthorized", 403, false),
            ("userActionRequired", 403, false),
            ("accountDoesNotExist", 400, false),
            ("externalAccountRequired", 403, false),
            ("other", 400, false),
        ] {
            let body = format!(r#"{{"type":"{URN}{kind}","detail":"because"}}"#);
            let problem = Problem { status, retry_after: Some(9), ..Problem::read(body.as_bytes()).unwrap() };
            let expected =
                if passing { UpstreamErrorKind::Passing { retry_after: Some(9) } } else { UpstreamErrorKind::Lasting };
            assert_eq!(problem.error("CA").kind, expected, "{kind}");
        }
    }

    #[test]
    fn other_json_is_no_problem_document() {
        for body in ["", "[]", "{}", "<html>", r#"{"status":"valid"}"#] {
            assert!(Problem::read(body.as_bytes()).is_none(), "{body}");
        }
    }
}
