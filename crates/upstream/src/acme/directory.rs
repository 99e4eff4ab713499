//! The CA's directory (RFC 8555 §7.1.1): where to send what, and which hosts are the CA's.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use chancery_authority::external::UpstreamError;
use chancery_egress::Url;
use chancery_model::Timestamp;
use serde::Deserialize;

/// Characters of a URL that a CA may send.
const URL_MAX: usize = 2048;

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Listed {
    new_nonce: String,
    new_account: String,
    new_order: String,
    revoke_cert: Option<String>,
    key_change: Option<String>,
    renewal_info: Option<String>,
    #[serde(default)]
    meta: Meta,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Meta {
    pub terms_of_service: Option<String>,
    pub website: Option<String>,
    pub caa_identities: Vec<String>,
    pub external_account_required: bool,
    /// Name and description (draft-ietf-acme-profiles §3).
    pub profiles: BTreeMap<String, serde_json::Value>,
}

#[derive(Clone, Debug)]
pub(super) struct Directory {
    pub new_nonce: Url,
    pub new_account: Url,
    pub new_order: Url,
    pub revoke_cert: Option<Url>,
    pub key_change: Option<Url>,
    pub renewal_info: Option<Url>,
    pub meta: Meta,
    hosts: BTreeSet<String>,
}

impl Directory {
    pub fn read(whom: &str, from: &Url, body: &[u8]) -> Result<Self, UpstreamError> {
        let listed: Listed = serde_json::from_slice(body).map_err(|error| {
            let text = format!(
                "{whom}: what is at {from} is not an ACME directory; directoryUrl must be the whole URL of the directory"
            );
            UpstreamError::lasting(text).with_detail(error.to_string())
        })?;
        let url = |name: &str, text: &str| {
            https(text).ok_or_else(|| {
                UpstreamError::lasting(format!("{whom}: {name} in its directory is not an https URL; it is not asked"))
            })
        };
        let optional = |name: &str, text: &Option<String>| text.as_deref().map(|it| url(name, it)).transpose();
        let mut directory = Self {
            new_nonce: url("newNonce", &listed.new_nonce)?,
            new_account: url("newAccount", &listed.new_account)?,
            new_order: url("newOrder", &listed.new_order)?,
            revoke_cert: optional("revokeCert", &listed.revoke_cert)?,
            key_change: optional("keyChange", &listed.key_change)?,
            renewal_info: optional("renewalInfo", &listed.renewal_info)?,
            meta: listed.meta,
            hosts: BTreeSet::new(),
        };
        directory.hosts =
            [Some(from), Some(&directory.new_nonce), Some(&directory.new_account), Some(&directory.new_order)]
                .into_iter()
                .chain([&directory.revoke_cert, &directory.key_change, &directory.renewal_info].map(Option::as_ref))
                .filter_map(|it| it.and_then(authority))
                .collect();
        Ok(directory)
    }

    /// A URL that the CA has sent. It must lead to the directory's host, or to one that the directory itself names: an
    /// answer that sends this server elsewhere, with the account's signature, is not followed.
    pub fn own(&self, whom: &str, text: &str) -> Result<Url, UpstreamError> {
        let url = https(text).ok_or_else(|| {
            UpstreamError::lasting(format!("{whom} sent a URL that is not https or has no business in ACME; not asked"))
                .with_detail(text.chars().take(200).collect::<String>())
        })?;
        if authority(&url).is_some_and(|host| self.hosts.contains(&host)) {
            return Ok(url);
        }
        let host = url.host_str().unwrap_or_default();
        Err(UpstreamError::lasting(format!(
            "{whom} sent a URL on another host ({host}) than those of its directory; it is not asked"
        )))
    }
}

fn https(text: &str) -> Option<Url> {
    let url = Url::parse(text).ok().filter(|_| text.len() <= URL_MAX)?;
    let is_plain = url.username().is_empty() && url.password().is_none() && url.fragment().is_none();
    (url.scheme() == "https" && url.has_host() && is_plain).then_some(url)
}

fn authority(url: &Url) -> Option<String> {
    Some(format!("{}:{}", url.host_str()?, url.port_or_known_default()?))
}

/// What is remembered of CAs between two steps, to spare them a question. Nothing depends on it.
#[derive(Default)]
pub(super) struct Memory(Mutex<BTreeMap<String, Remembered>>);

struct Remembered {
    at: Timestamp,
    directory: Directory,
    nonces: Vec<String>,
}

/// Seconds that a directory is taken as it was.
const DIRECTORY_AGE_MAX: i64 = 600;
const DIRECTORIES_MAX: usize = 64;
const NONCES_MAX: usize = 16;

impl Memory {
    pub fn directory(&self, url: &str, now: Timestamp) -> Option<Directory> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let age = |at: Timestamp| now.as_seconds().saturating_sub(at.as_seconds());
        known.get(url).filter(|it| (0..DIRECTORY_AGE_MAX).contains(&age(it.at))).map(|it| it.directory.clone())
    }

    pub fn remember(&self, url: &str, directory: &Directory, now: Timestamp) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= DIRECTORIES_MAX {
            known.clear();
        }
        known.insert(url.to_owned(), Remembered { at: now, directory: directory.clone(), nonces: Vec::new() });
    }

    /// A nonce is good for one request only, so it is taken away.
    pub fn nonce(&self, url: &str) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get_mut(url)?.nonces.pop()
    }

    pub fn keep_nonce(&self, url: &str, nonce: String) {
        if let Some(known) = self.0.lock().unwrap_or_else(PoisonError::into_inner).get_mut(url)
            && known.nonces.len() < NONCES_MAX
        {
            known.nonces.push(nonce);
        }
    }

    /// What is kept has turned out to be stale.
    pub fn forget_nonces(&self, url: &str) {
        if let Some(known) = self.0.lock().unwrap_or_else(PoisonError::into_inner).get_mut(url) {
            known.nonces.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIRECTORY: &str = r#"{"newNonce":"https://ca.test/nonce","newAccount":"https://ca.test/account",
        "newOrder":"https://api.ca.test:8443/order","meta":{"profiles":{"tlsserver":"usual"}}}"#;

    fn read(text: &str) -> Result<Directory, UpstreamError> {
        Directory::read("CA", &"https://ca.test/directory".parse().unwrap(), text.as_bytes())
    }

    #[test]
    fn only_urls_on_the_hosts_of_the_directory_are_the_cas() {
        let directory = read(DIRECTORY).unwrap();
        for (url, expected) in [
            ("https://ca.test/order/1", true),
            ("https://CA.test:443/order/1", true),
            ("https://api.ca.test:8443/order/1", true),
            ("https://api.ca.test/order/1", false),
            ("https://ca.test:8443/order/1", false),
            ("http://ca.test/order/1", false),
            ("https://evil.test/order/1", false),
            ("https://ca.test.evil.test/order/1", false),
            ("https://ca.test@evil.test/order/1", false),
            ("https://user@ca.test/order/1", false),
            ("https://ca.test/order/1#x", false),
            ("/order/1", false),
            ("", false),
            ("file:///etc/passwd", false),
        ] {
            assert_eq!(directory.own("CA", url).is_ok(), expected, "{url}");
        }
        let long = format!("https://ca.test/{}", "a".repeat(URL_MAX));
        assert!(directory.own("CA", &long).is_err());
    }

    #[test]
    fn what_is_not_a_directory_is_refused() {
        for wrong in [
            "",
            "[]",
            "{}",
            "<html>",
            r#"{"newNonce":1}"#,
            &DIRECTORY.replace("https://ca.test/nonce", "http://ca.test/n"),
        ] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_directory_is_remembered_for_ten_minutes_and_a_nonce_is_used_once() {
        let (memory, url) = (Memory::default(), "https://ca.test/directory");
        let at = Timestamp::from_seconds(1000);
        memory.keep_nonce(url, "lost".to_owned());
        memory.remember(url, &read(DIRECTORY).unwrap(), at);
        memory.keep_nonce(url, "one".to_owned());
        assert!(memory.directory(url, at.plus_seconds(599)).is_some());
        assert!(memory.directory(url, at.plus_seconds(600)).is_none());
        assert!(memory.directory(url, at.plus_seconds(-1)).is_none());
        assert_eq!((memory.nonce(url), memory.nonce(url)), (Some("one".to_owned()), None));
    }
}
