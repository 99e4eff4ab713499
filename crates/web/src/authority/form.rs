//! The form of a new CA: what its fields show, and what the core is asked for.

use chancery_authority::hierarchy::{CaCertificateRequest, NewCa};
use chancery_model::authority::{
    AutoRenewal, CaLevel, CaStatus, InternalCaConfiguration, NameConstraintRules, StatusSettings, Subtree,
};
use chancery_model::time::Ttl;
use chancery_model::{CaId, Timestamp};
use chancery_pkix::{GeneralNameKind, KeyAlgorithm, SignatureAlgorithm};

use crate::form::{Form, Problems, parts};

/// The core's names of fields, and those of the form.
pub(super) const CREATE_FIELDS: &[(&str, &str)] = &[
    ("name", "name"),
    ("configuration.commonName", "common_name"),
    ("configuration.organization", "organization"),
    ("configuration.ou", "organizational_unit"),
    ("configuration.country", "country"),
    ("configuration.province", "state"),
    ("configuration.locality", "locality"),
    ("configuration.signatureAlgorithm", "signature_algorithm"),
    ("configuration.nameConstraints", "permitted"),
    ("configuration.nameConstraints.permitted", "permitted"),
    ("configuration.nameConstraints.excluded", "excluded"),
    ("configuration.crlValidity", "crl_validity"),
    ("configuration", "common_name"),
    ("notAfter", "lives"),
    ("maxPathLength", "path_length"),
];

/// What keys may be: the usual one first.
pub(super) const KEY_ALGORITHMS: &[(&str, &str)] = &[
    ("EC_prime256v1", "ECDSA P-256 (usual)"),
    ("EC_secp384r1", "ECDSA P-384"),
    ("EC_secp521r1", "ECDSA P-521"),
    ("Ed25519", "Ed25519"),
    ("RSA_2048", "RSA 2048"),
    ("RSA_3072", "RSA 3072"),
    ("RSA_4096", "RSA 4096"),
    ("ML-DSA-44", "ML-DSA-44 (post-quantum)"),
    ("ML-DSA-65", "ML-DSA-65 (post-quantum)"),
    ("ML-DSA-87", "ML-DSA-87 (post-quantum)"),
];

/// What a key may sign with; an empty word is the key's usual one.
pub(super) const SIGNATURE_ALGORITHMS: &[(&str, &str)] = &[
    ("", "As is usual for the key"),
    ("RSA-SHA256", "RSA, SHA-256"),
    ("RSA-SHA384", "RSA, SHA-384"),
    ("RSA-SHA512", "RSA, SHA-512"),
    ("RSA-PSS-SHA256", "RSA-PSS, SHA-256"),
    ("RSA-PSS-SHA384", "RSA-PSS, SHA-384"),
    ("RSA-PSS-SHA512", "RSA-PSS, SHA-512"),
    ("ECDSA-SHA256", "ECDSA, SHA-256"),
    ("ECDSA-SHA384", "ECDSA, SHA-384"),
    ("ECDSA-SHA512", "ECDSA, SHA-512"),
];

#[derive(Clone, Debug)]
pub(super) struct CaDraft {
    pub is_root: bool,
    /// Id of the CA above; empty: one elsewhere.
    pub parent: String,
    pub name: String,
    pub common_name: String,
    pub organization: String,
    pub organizational_unit: String,
    pub country: String,
    pub state: String,
    pub locality: String,
    pub key_algorithm: String,
    pub signature_algorithm: String,
    pub lives: String,
    pub path_length: String,
    pub permitted: String,
    pub excluded: String,
    pub crl_validity: String,
    pub renews: bool,
}

/// What the form asks for.
pub(super) struct Wanted {
    pub new: NewCa,
    /// For an intermediate CA whose signer is here.
    pub certificate: Option<CaCertificateRequest>,
}

impl CaDraft {
    /// Defaults that suit most: a root for ten years, below it CAs for five that sign leaves only.
    pub fn fresh(level: &str, parent: Option<String>) -> Self {
        let is_root = level != "intermediate";
        let text = str::to_owned;
        Self {
            is_root,
            parent: parent.unwrap_or_default(),
            name: String::new(),
            common_name: String::new(),
            organization: String::new(),
            organizational_unit: String::new(),
            country: String::new(),
            state: String::new(),
            locality: String::new(),
            key_algorithm: text(KeyAlgorithm::EcP256.as_str()),
            signature_algorithm: String::new(),
            lives: text(if is_root { "10y" } else { "5y" }),
            path_length: text(if is_root { "" } else { "0" }),
            permitted: String::new(),
            excluded: String::new(),
            crl_validity: text("7d"),
            renews: !is_root,
        }
    }

    pub fn read(form: &Form) -> Self {
        let text = |name: &str| form.text(name).to_owned();
        Self {
            is_root: form.text("level") != "intermediate",
            parent: text("parent"),
            name: text("name"),
            common_name: text("common_name"),
            organization: text("organization"),
            organizational_unit: text("organizational_unit"),
            country: text("country"),
            state: text("state"),
            locality: text("locality"),
            key_algorithm: text("key_algorithm"),
            signature_algorithm: text("signature_algorithm"),
            lives: text("lives"),
            path_length: text("path_length"),
            permitted: text("permitted"),
            excluded: text("excluded"),
            crl_validity: text("crl_validity"),
            renews: form.has("renews"),
        }
    }

    /// The CA above, where it is one of this server.
    pub fn parent_id(&self) -> Option<CaId> {
        self.parent.parse().ok().filter(|_| !self.is_root)
    }

    pub fn to_core(&self, now: Timestamp, problems: &mut Problems) -> Option<Wanted> {
        let key_algorithm = word(&self.key_algorithm, "key_algorithm", problems)?;
        let signature_algorithm: Option<SignatureAlgorithm> = match self.signature_algorithm.as_str() {
            "" => None,
            text => Some(word(text, "signature_algorithm", problems)?),
        };
        let is_signed_here = self.is_root || self.parent_id().is_some();
        let not_after = if is_signed_here { end("lives", &self.lives, now, problems) } else { None };
        let path_length = path_length(&self.path_length, problems);
        let mut status = StatusSettings::default();
        if let Some(validity) = ttl("crl_validity", &self.crl_validity, problems) {
            status.crl_validity = validity;
        }
        let configuration = InternalCaConfiguration {
            level: if self.is_root { CaLevel::Root } else { CaLevel::Intermediate },
            friendly_name: String::new(),
            common_name: self.common_name.clone(),
            organization: self.organization.clone(),
            organizational_unit: self.organizational_unit.clone(),
            country: self.country.clone(),
            state: self.state.clone(),
            locality: self.locality.clone(),
            key_algorithm,
            signature_algorithm,
            not_before: None,
            not_after: not_after.filter(|_| self.is_root),
            path_length_max: Some(path_length).filter(|it| *it >= 0),
            name_constraints: self.name_constraints(),
            status,
            auto_renewal: AutoRenewal { enabled: self.renews && is_signed_here, ..AutoRenewal::default() },
            signing: None,
        };
        let name = if self.name.is_empty() { slug(&self.common_name) } else { self.name.clone() };
        let certificate = self.parent_id().zip(not_after).map(|(parent, not_after)| CaCertificateRequest {
            not_before: None,
            not_after,
            path_length_max: path_length,
            parent_ca_id: Some(parent),
        });
        let new = NewCa { name, status: CaStatus::Active, configuration, direct_issuance_template: None };
        problems.is_empty().then_some(Wanted { new, certificate })
    }

    fn name_constraints(&self) -> Option<NameConstraintRules> {
        let rules = NameConstraintRules { permitted: subtrees(&self.permitted), excluded: subtrees(&self.excluded) };
        (!rules.permitted.is_empty() || !rules.excluded.is_empty()).then_some(rules)
    }
}

fn word<T: std::str::FromStr>(text: &str, field: &str, problems: &mut Problems) -> Option<T> {
    let found = text.parse().ok();
    if found.is_none() {
        problems.add(field, "Choose one of the values that are offered");
    }
    found
}

pub(super) fn ttl(field: &str, text: &str, problems: &mut Problems) -> Option<Ttl> {
    Ttl::parse(text).inspect_err(|error| problems.add(field, format!("{error}; write 10y, 90d or 12h"))).ok()
}

/// The end of a life that begins now.
pub(super) fn end(field: &str, text: &str, now: Timestamp, problems: &mut Problems) -> Option<Timestamp> {
    Some(now.plus_seconds(ttl(field, text, problems)?.as_seconds()))
}

/// −1 for no limit.
pub(super) fn path_length(text: &str, problems: &mut Problems) -> i64 {
    if text.is_empty() {
        return -1;
    }
    text.parse().ok().filter(|length| (0..=255).contains(length)).unwrap_or_else(|| {
        problems.add("path_length", "Give a whole number from 0 to 255, or nothing for no limit");
        -1
    })
}

/// One a line: `acme.com` is a DNS name, others begin with what they are: `ip:10.0.0.0/8`, `email:acme.com`.
fn subtrees(text: &str) -> Vec<Subtree> {
    parts(text)
        .map(|line| {
            let kind = line.split_once(':').and_then(|(word, rest)| Some((name_kind(word.trim())?, rest)));
            let (kind, value) = kind.unwrap_or((GeneralNameKind::DnsName, line));
            Subtree { kind, value: value.trim().to_owned() }
        })
        .collect()
}

fn name_kind(word: &str) -> Option<GeneralNameKind> {
    match word.to_ascii_lowercase().as_str() {
        "dns" => Some(GeneralNameKind::DnsName),
        "ip" => Some(GeneralNameKind::IpAddress),
        "dn" => Some(GeneralNameKind::DirectoryName),
        other => other.parse().ok(),
    }
}

/// A name for programs from a name for people: `Acme Issuing CA` becomes `acme-issuing-ca`.
fn slug(text: &str) -> String {
    let mut slug = String::new();
    for it in text.chars() {
        if it.is_ascii_alphanumeric() {
            slug.push(it.to_ascii_lowercase());
        } else if !slug.is_empty() && !slug.ends_with('-') {
            slug.push('-');
        }
    }
    slug.truncate(64);
    slug.trim_end_matches('-').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_for_programs_come_from_names_for_people() {
        for (text, expected) in [
            ("Acme Issuing CA", "acme-issuing-ca"),
            ("  Acme (Köln) – Root!", "acme-k-ln-root"),
            ("東京", ""),
            (&"a".repeat(80), &"a".repeat(64)),
        ] {
            assert_eq!(slug(text), expected, "{text}");
        }
    }

    #[test]
    fn name_constraints_are_read_by_lines() {
        let check = |text: &str, expected: &[(&str, &str)]| {
            let read: Vec<_> = subtrees(text).into_iter().map(|it| (it.kind.as_str(), it.value)).collect();
            let read: Vec<_> = read.iter().map(|(kind, value)| (*kind, value.as_str())).collect();
            assert_eq!(read, expected, "{text}");
        };
        check("", &[]);
        check("acme.com\r\nip: 10.0.0.0/8", &[("dns_name", "acme.com"), ("ip_address", "10.0.0.0/8")]);
        check("email:acme.com, uri:.acme.com", &[("email", "acme.com"), ("uri", ".acme.com")]);
        check("2001:db8::/32", &[("dns_name", "2001:db8::/32")]);
    }

    #[test]
    fn every_algorithm_of_the_core_is_offered() {
        let keys: Vec<KeyAlgorithm> = KEY_ALGORITHMS.iter().map(|(word, _)| word.parse().unwrap()).collect();
        assert!(KeyAlgorithm::ALL.iter().all(|it| keys.contains(it)));
        let words = SIGNATURE_ALGORITHMS.iter().filter(|(word, _)| !word.is_empty());
        let parsed: Vec<SignatureAlgorithm> = words.map(|(word, _)| word.parse().unwrap()).collect();
        // A key of the other kinds signs in one way only.
        assert!(parsed.iter().all(|it| it.as_str().contains("RSA") || it.as_str().contains("ECDSA")));
    }
}
