//! A certificate as another library reads it, in the wire's words, for comparison with what was asked and approved.

use std::collections::BTreeSet;
use std::net::IpAddr;

use chancery_pkix::pem::{self, OutsideText};
use chancery_testkit::world::text;
use serde_json::Value;
use x509_parser::prelude::{FromDer as _, GeneralName, ParsedExtension, X509Certificate};

/// What x509-parser finds in a certificate.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reread {
    /// `attribute=value` in the order of the certificate.
    pub subject: Vec<String>,
    /// `kind:value` for the kinds that have one text; tags of all.
    pub sans: Vec<String>,
    pub san_tags: Vec<u8>,
    pub san_critical: bool,
    pub key_usages: BTreeSet<String>,
    pub extended_key_usages: BTreeSet<String>,
    pub is_ca: bool,
    pub path_length: Option<u32>,
    pub not_before: i64,
    pub not_after: i64,
    pub spki: Vec<u8>,
    /// Dotted, of all extensions.
    pub extensions: Vec<String>,
    pub is_self_signed: bool,
}

impl Reread {
    /// Of an issue answer (`certificate.certificate`) or a flat one (`certificate`).
    pub fn of(issued: &Value) -> Self {
        let nested = issued.pointer("/certificate/certificate").is_some();
        Self::pem(&text(issued, if nested { "/certificate/certificate" } else { "/certificate" }))
    }

    pub fn pem(pem_text: &str) -> Self {
        let blocks = pem::decode(pem_text, OutsideText::Refuse).unwrap();
        let [block] = blocks.as_slice() else { panic!("{} blocks in {pem_text}", blocks.len()) };
        let (rest, certificate) = X509Certificate::from_der(&block.der).unwrap();
        assert!(rest.is_empty());
        let mut reread = Self {
            subject: subject(&certificate),
            not_before: certificate.validity().not_before.timestamp(),
            not_after: certificate.validity().not_after.timestamp(),
            spki: certificate.public_key().raw.to_vec(),
            extensions: certificate.extensions().iter().map(|it| it.oid.to_id_string()).collect(),
            is_self_signed: certificate.issuer().as_raw() == certificate.subject().as_raw(),
            ..Self::default()
        };
        for extension in certificate.extensions() {
            reread.take(extension.parsed_extension(), extension.critical, extension.value);
        }
        reread
    }

    fn take(&mut self, extension: &ParsedExtension<'_>, critical: bool, value: &[u8]) {
        match extension {
            ParsedExtension::SubjectAlternativeName(names) => {
                self.san_critical = critical;
                self.sans = names.general_names.iter().filter_map(name).collect();
                self.san_tags = tags(value);
            }
            ParsedExtension::KeyUsage(usage) => {
                let bits = [
                    (usage.digital_signature(), "digital_signature"),
                    (usage.non_repudiation(), "non_repudiation"),
                    (usage.key_encipherment(), "key_encipherment"),
                    (usage.data_encipherment(), "data_encipherment"),
                    (usage.key_agreement(), "key_agreement"),
                    (usage.key_cert_sign(), "key_cert_sign"),
                    (usage.crl_sign(), "crl_sign"),
                    (usage.encipher_only(), "encipher_only"),
                    (usage.decipher_only(), "decipher_only"),
                ];
                self.key_usages = words(&bits);
            }
            ParsedExtension::ExtendedKeyUsage(usage) => {
                let bits = [
                    (usage.any, "any_purpose"),
                    (usage.server_auth, "server_auth"),
                    (usage.client_auth, "client_auth"),
                    (usage.code_signing, "code_signing"),
                    (usage.email_protection, "email_protection"),
                    (usage.time_stamping, "time_stamping"),
                    (usage.ocsp_signing, "ocsp_signing"),
                ];
                self.extended_key_usages = words(&bits);
                self.extended_key_usages.extend(usage.other.iter().map(|oid| oid.to_id_string()));
            }
            ParsedExtension::BasicConstraints(constraints) => {
                self.is_ca = constraints.ca;
                self.path_length = constraints.path_len_constraint;
            }
            _ => {}
        }
    }
}

fn words(bits: &[(bool, &str)]) -> BTreeSet<String> {
    bits.iter().filter(|(set, _)| *set).map(|(_, word)| (*word).to_owned()).collect()
}

fn subject(certificate: &X509Certificate<'_>) -> Vec<String> {
    let kinds = [
        ("2.5.4.3", "commonName"),
        ("2.5.4.10", "organization"),
        ("2.5.4.11", "organizationalUnit"),
        ("2.5.4.6", "country"),
        ("2.5.4.8", "state"),
        ("2.5.4.7", "locality"),
        ("0.9.2342.19200300.100.1.25", "domainComponents"),
    ];
    let attributes = certificate.subject().iter_attributes();
    attributes
        .map(|it| {
            let oid = it.attr_type().to_id_string();
            let kind = kinds.iter().find(|(known, _)| *known == oid).map_or(oid.as_str(), |(_, kind)| kind);
            format!("{kind}={}", it.as_str().unwrap())
        })
        .collect()
}

fn name(name: &GeneralName<'_>) -> Option<String> {
    Some(match name {
        GeneralName::DNSName(text) => format!("dns_name:{text}"),
        GeneralName::RFC822Name(text) => format!("email:{text}"),
        GeneralName::URI(text) => format!("uri:{text}"),
        GeneralName::IPAddress(octets) => match octets.len() {
            4 => format!("ip_address:{}", IpAddr::from(<[u8; 4]>::try_from(*octets).unwrap())),
            _ => format!("ip_address:{}", IpAddr::from(<[u8; 16]>::try_from(*octets).unwrap())),
        },
        _ => return None,
    })
}

/// The tags of the elements of a SEQUENCE.
fn tags(sequence: &[u8]) -> Vec<u8> {
    let mut tags = Vec::new();
    let (_, mut rest) = element(sequence);
    while let [tag, ..] = rest {
        tags.push(*tag);
        let (whole, _) = element(rest);
        rest = &rest[whole..];
    }
    tags
}

/// Length of the first element with its header, and its contents.
fn element(der: &[u8]) -> (usize, &[u8]) {
    let (header, length) = match der[1] {
        short if short < 0x80 => (2, usize::from(short)),
        long => {
            let count = usize::from(long & 0x7f);
            (2 + count, der[2..2 + count].iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte)))
        }
    };
    (header + length, &der[header..header + length])
}
