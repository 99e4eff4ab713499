//! All extensions of a certificate, decoded for people: a name, whether it is critical, and lines of text.
//!
//! What cannot be taken apart is shown as octets, so nothing is ever left out. Text is as it stands in the certificate,
//! hostile or not: whoever shows it escapes it.

use super::{dotted, known};
use crate::asn1::{DerError, Reader, Tlv, oid, strings, tag, time, unsigned_integer};
use crate::certificate::extensions::{self, Form, RawExtension};
use crate::name::GeneralName;
use crate::usage::ExtendedKeyUsage;

/// One extension as people read it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExtensionDescription {
    /// Dotted.
    pub oid: String,
    /// `None`: nobody here knows what it is called.
    pub name: Option<&'static str>,
    pub critical: bool,
    /// At most 101 of at most 501 characters.
    pub lines: Vec<String>,
    /// Whether `lines` say what it means; otherwise they are its octets.
    pub is_decoded: bool,
}

const LINES_MAX: usize = 100;
const CHARACTERS_MAX: usize = 500;
/// Octets of an unknown extension that are shown.
const OCTETS_MAX: usize = 256;
const OCTETS_IN_LINE: usize = 16;

type Lines = Result<Vec<String>, DerError>;

/// The extensions of a certificate in DER, in their order. Empty where there are none, or no certificate.
pub fn describe_extensions(certificate: &[u8]) -> Vec<ExtensionDescription> {
    let list = extensions_of(certificate).ok().flatten();
    let all = list.and_then(|list| extensions::read_all(list).ok()).unwrap_or_default();
    all.iter().map(described).collect()
}

/// The Extensions SEQUENCE: the only field of a TBSCertificate with the tag `[3]` (RFC 5280 §4.1).
fn extensions_of(certificate: &[u8]) -> Result<Option<Reader<'_>>, DerError> {
    let mut whole = Reader::new(certificate).sequence("something other than a certificate")?;
    let mut body = whole.sequence("something other than a TBSCertificate")?;
    while !body.is_empty() {
        let part = body.any()?;
        if part.tag == 0xa3 {
            return part.reader().sequence("something other than extensions").map(Some);
        }
    }
    Ok(None)
}

fn described(one: &RawExtension<'_>) -> ExtensionDescription {
    let oid = dotted(one.oid);
    let decoded = meaning(one, &oid).filter(|lines| !lines.is_empty());
    ExtensionDescription {
        name: known::extension_name(&oid),
        critical: one.critical,
        is_decoded: decoded.is_some(),
        lines: bounded(decoded.unwrap_or_else(|| octets(one.value))),
        oid,
    }
}

/// `None`: not known, or not of the form that its standard asks for.
fn meaning(one: &RawExtension<'_>, oid: &str) -> Option<Vec<String>> {
    let lines = match one.oid {
        oid::BASIC_CONSTRAINTS => basic_constraints(one),
        oid::KEY_USAGE => {
            extensions::key_usages(one, Form::Foreign).map(|all| all.iter().map(|it| it.label().to_owned()).collect())
        }
        oid::EXTENDED_KEY_USAGE => purposes(one),
        oid::SUBJECT_ALT_NAME => names(one),
        oid::SUBJECT_KEY_IDENTIFIER => extensions::subject_key_id(one).map(|id| vec![colons(id)]),
        oid::AUTHORITY_KEY_IDENTIFIER => authority_key_id(one),
        oid::NAME_CONSTRAINTS => name_constraints(one),
        oid::AUTHORITY_INFO_ACCESS => accesses(one),
        oid::CRL_DISTRIBUTION_POINTS | oid::FRESHEST_CRL => points(one),
        oid::NO_REV_AVAIL => Ok(vec!["Nobody will ever publish whether it was revoked (RFC 9608)".to_owned()]),
        oid::OCSP_NO_CHECK => {
            Ok(vec!["Nobody asks whether this OCSP responder was revoked (RFC 6960 §4.2.2.2.1)".to_owned()])
        }
        oid::ACME_IDENTIFIER => inner_octets(one),
        _ => rarer(one, oid)?,
    };
    lines.ok()
}

/// Extensions that are never made here.
fn rarer(one: &RawExtension<'_>, oid: &str) -> Option<Lines> {
    Some(match oid {
        "2.5.29.18" => names(one),
        "1.3.6.1.5.5.7.1.11" => accesses(one),
        "2.5.29.16" => key_usage_period(one),
        "2.5.29.32" => policies(one),
        "2.5.29.36" => policy_constraints(one),
        "2.5.29.54" | "1.3.6.1.4.1.311.21.1" => number(one),
        "1.3.6.1.4.1.311.21.2" => inner_octets(one),
        "1.3.6.1.5.5.7.1.24" => tls_features(one),
        "1.3.6.1.4.1.11129.2.4.2" => timestamps(one),
        "1.3.6.1.4.1.11129.2.4.3" => Ok(vec!["No certificate, but the announcement of one (RFC 6962 §3.1)".to_owned()]),
        "1.3.6.1.4.1.311.20.2" | "2.16.840.1.113730.1.13" => text(one),
        "1.3.6.1.4.1.311.21.7" => microsoft_template(one),
        _ => return None,
    })
}

fn basic_constraints(one: &RawExtension<'_>) -> Lines {
    let read = extensions::basic_constraints(one, Form::Foreign)?;
    let first = if read.is_ca { "A certification authority" } else { "Not a certification authority" };
    let mut lines = vec![first.to_owned()];
    if let Some(length) = read.path_length {
        lines.push(format!("At most {length} further certification authorities below it"));
    }
    Ok(lines)
}

fn purposes(one: &RawExtension<'_>) -> Lines {
    let mut list = one.reader().sequence("something other than extended key usages")?;
    let mut lines = Vec::new();
    while !list.is_empty() && lines.len() <= LINES_MAX {
        let purpose = list.expect(tag::OID, "something other than an extended key usage")?;
        let oid = dotted(purpose.content);
        let label = ExtendedKeyUsage::from_oid_bytes(purpose.content).map(ExtendedKeyUsage::label);
        lines.push(named(&oid, label.or_else(|| known::purpose_name(&oid))));
    }
    Ok(lines)
}

fn names(one: &RawExtension<'_>) -> Lines {
    Ok(extensions::general_names(one)?.iter().take(LINES_MAX + 1).map(general_name).collect())
}

fn authority_key_id(one: &RawExtension<'_>) -> Lines {
    let mut parts = one.reader().sequence("something other than an authority key identifier")?;
    let mut lines = Vec::new();
    while !parts.is_empty() {
        let part = parts.any()?;
        match part.tag {
            0x80 => lines.push(colons(part.content)),
            0xa1 => lines.extend(all_names(part.reader())?.iter().map(|it| format!("Issuer: {it}"))),
            0x82 => lines.push(format!("Serial number: {}", hex::encode(part.content))),
            _ => return Err(part.error("something other than a part of an authority key identifier")),
        }
    }
    Ok(lines)
}

fn name_constraints(one: &RawExtension<'_>) -> Lines {
    let mut sides = one.reader().sequence("something other than name constraints")?;
    let mut lines = Vec::new();
    while !sides.is_empty() {
        let side = sides.any()?;
        let word = match side.tag {
            0xa0 => "Permitted",
            0xa1 => "Excluded",
            _ => return Err(side.error("something other than subtrees")),
        };
        let mut subtrees = side.reader();
        while !subtrees.is_empty() && lines.len() <= LINES_MAX {
            let base = subtrees.sequence("something other than a subtree")?.any()?;
            lines.push(format!("{word} {}", subtree(&base)));
        }
    }
    Ok(lines)
}

/// The base of a subtree: like a name, but an address has its mask with it, and an empty text is every name.
fn subtree(base: &Tlv<'_>) -> String {
    match (base.tag, base.content) {
        (0x82, []) => "DNS name: every".to_owned(),
        (0x81, []) => "E-mail address: every".to_owned(),
        (0x86, []) => "URI: every".to_owned(),
        (0x87, octets @ ([_, _, _, _, _, _, _, _] | [_, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, ..])) => {
            let (address, mask) = octets.split_at(octets.len() / 2);
            match (ip(address), prefix_length(mask)) {
                (Some(address), Some(length)) => format!("IP address: {address}/{length}"),
                _ => format!("IP address: {}", colons(octets)),
            }
        }
        _ => general_name(base),
    }
}

fn prefix_length(mask: &[u8]) -> Option<u32> {
    let ones: u32 = mask.iter().map(|octet| octet.leading_ones()).sum();
    let all: u32 = mask.iter().map(|octet| octet.count_ones()).sum();
    let is_run = mask.iter().skip_while(|octet| **octet == 0xff).skip(1).all(|octet| *octet == 0);
    (ones == all && is_run).then_some(all)
}

fn accesses(one: &RawExtension<'_>) -> Lines {
    let all = extensions::access_descriptions(one)?;
    let line = |(method, location): &(&[u8], Tlv<'_>)| {
        let oid = dotted(method);
        format!("{}: {}", known::access_method_name(&oid).unwrap_or(&oid), bare_name(location))
    };
    Ok(all.iter().take(LINES_MAX + 1).map(line).collect())
}

/// RFC 5280 §4.2.1.13, every form of a point.
fn points(one: &RawExtension<'_>) -> Lines {
    let mut list = one.reader().sequence("something other than distribution points")?;
    let mut lines = Vec::new();
    while !list.is_empty() && lines.len() <= LINES_MAX {
        let mut parts = list.sequence("something other than a distribution point")?;
        while !parts.is_empty() {
            let part = parts.any()?;
            match part.tag {
                0xa0 => {
                    let name = part.reader().any()?;
                    match name.tag {
                        0xa0 => lines.extend(all_names(name.reader())?),
                        _ => lines.push(format!("Relative to its issuer: {}", hex::encode(name.content))),
                    }
                }
                0x81 => lines.push("For some reasons of revocation only".to_owned()),
                0xa2 => lines.extend(all_names(part.reader())?.iter().map(|it| format!("CRL issuer: {it}"))),
                _ => return Err(part.error("something other than a part of a distribution point")),
            }
        }
    }
    Ok(lines)
}

/// RFC 5280 §4.2.1.4: each policy with its qualifiers.
fn policies(one: &RawExtension<'_>) -> Lines {
    let mut list = one.reader().sequence("something other than certificate policies")?;
    let mut lines = Vec::new();
    while !list.is_empty() && lines.len() <= LINES_MAX {
        let mut policy = list.sequence("something other than a policy")?;
        let oid = dotted(policy.expect(tag::OID, "a policy without an identifier")?.content);
        lines.push(named(&oid, known::policy_name(&oid)));
        let Some(qualifiers) = policy.optional(tag::SEQUENCE)? else { continue };
        let mut qualifiers = qualifiers.reader();
        while !qualifiers.is_empty() && lines.len() <= LINES_MAX {
            let mut qualifier = qualifiers.sequence("something other than a qualifier")?;
            let kind = qualifier.expect(tag::OID, "a qualifier without an identifier")?;
            let value = qualifier.any()?;
            lines.push(match dotted(kind.content).as_str() {
                "1.3.6.1.5.5.7.2.1" => format!("Practice statement: {}", any_text(&value)),
                "1.3.6.1.5.5.7.2.2" => format!("Notice: {}", notice(&value)),
                other => format!("Qualifier {other}: {}", hex::encode(value.raw)),
            });
        }
    }
    Ok(lines)
}

/// The explicit text of a UserNotice, which stands after the reference, if there is one.
fn notice(value: &Tlv<'_>) -> String {
    let mut parts = value.reader();
    let mut last = None;
    while let Ok(part) = parts.any() {
        last = Some(part);
    }
    last.filter(|it| it.tag != tag::SEQUENCE).map_or_else(|| hex::encode(value.raw), |it| any_text(&it))
}

/// RFC 5280 §4.2.1.11.
fn policy_constraints(one: &RawExtension<'_>) -> Lines {
    let mut parts = one.reader().sequence("something other than policy constraints")?;
    let mut lines = Vec::new();
    while !parts.is_empty() {
        let part = parts.any()?;
        let word = match part.tag {
            0x80 => "An explicit policy is required",
            0x81 => "Policies are not mapped",
            _ => return Err(part.error("something other than a policy constraint")),
        };
        lines.push(format!("{word} after {} certificates", decimal(&part)?));
    }
    Ok(lines)
}

/// RFC 3280 §4.2.1.4, gone from RFC 5280 but not from certificates.
fn key_usage_period(one: &RawExtension<'_>) -> Lines {
    let mut parts = one.reader().sequence("something other than a period")?;
    let mut lines = Vec::new();
    while !parts.is_empty() {
        let part = parts.any()?;
        let word = match part.tag {
            0x80 => "From",
            0x81 => "Until",
            _ => return Err(part.error("something other than an end of a period")),
        };
        let seconds = super::lenient_time(Tlv { tag: tag::GENERALIZED_TIME, ..part })?;
        lines.push(format!("{word} {}", time::shown(seconds).unwrap_or_else(|| seconds.to_string())));
    }
    Ok(lines)
}

/// RFC 7633: numbers of TLS extensions that the server must send.
fn tls_features(one: &RawExtension<'_>) -> Lines {
    let mut list = one.reader().sequence("something other than TLS features")?;
    let mut lines = Vec::new();
    while !list.is_empty() && lines.len() <= LINES_MAX {
        let feature = decimal(&list.expect(tag::INTEGER, "something other than a TLS feature")?)?;
        lines.push(match feature.as_str() {
            "5" => "The server must send an OCSP answer along (must-staple)".to_owned(),
            "17" => "The server must send OCSP answers for the whole chain".to_owned(),
            other => format!("TLS extension {other}"),
        });
    }
    Ok(lines)
}

/// RFC 6962 §3.3: a TLS structure inside an OCTET STRING.
fn timestamps(one: &RawExtension<'_>) -> Lines {
    let whole = one.reader().expect(tag::OCTET_STRING, "something other than an octet string")?;
    let malformed = || whole.error("something other than a list of timestamps");
    let (mut rest, after) = prefixed(whole.content).ok_or_else(malformed)?;
    let mut lines = Vec::new();
    while !rest.is_empty() && lines.len() <= LINES_MAX {
        let (stamp, others) = prefixed(rest).ok_or_else(malformed)?;
        rest = others;
        let (log, milliseconds) = match stamp {
            [0, after_version @ ..] => {
                let (log, after_log) = after_version.split_first_chunk::<32>().ok_or_else(malformed)?;
                let (time, _) = after_log.split_first_chunk::<8>().ok_or_else(malformed)?;
                (log, u64::from_be_bytes(*time))
            }
            _ => return Err(malformed()),
        };
        let at = i64::try_from(milliseconds / 1_000).ok().and_then(time::shown);
        let at = at.unwrap_or_else(|| format!("{milliseconds} ms after 1970"));
        lines.push(format!("{at}, by the log {}", hex::encode(log)));
    }
    if after.is_empty() { Ok(lines) } else { Err(malformed()) }
}

/// As many octets as the first two say, and what follows them (RFC 8446 §3.4).
fn prefixed(octets: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = octets.split_first_chunk::<2>()?;
    rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))
}

fn microsoft_template(one: &RawExtension<'_>) -> Lines {
    let mut parts = one.reader().sequence("something other than a template")?;
    let mut lines = vec![dotted(parts.expect(tag::OID, "a template without an identifier")?.content)];
    for word in ["Major version", "Minor version"] {
        if let Some(number) = parts.optional(tag::INTEGER)? {
            lines.push(format!("{word} {}", decimal(&number)?));
        }
    }
    Ok(lines)
}

fn text(one: &RawExtension<'_>) -> Lines {
    Ok(vec![strings::any_text(&one.reader().any()?)?])
}

fn number(one: &RawExtension<'_>) -> Lines {
    Ok(vec![decimal(&one.reader().expect(tag::INTEGER, "something other than a number")?)?])
}

fn inner_octets(one: &RawExtension<'_>) -> Lines {
    Ok(vec![colons(one.reader().expect(tag::OCTET_STRING, "something other than octets")?.content)])
}

/// A number that is not negative; one beyond 64 bits in hexadecimal.
fn decimal(value: &Tlv<'_>) -> Result<String, DerError> {
    let magnitude = unsigned_integer(*value)?;
    if magnitude.len() > 8 {
        return Ok(format!("0x{}", hex::encode(magnitude)));
    }
    Ok(magnitude.iter().fold(0u64, |sum, octet| (sum << 8) | u64::from(*octet)).to_string())
}

fn any_text(value: &Tlv<'_>) -> String {
    strings::any_text(value).unwrap_or_else(|_| hex::encode(value.raw))
}

fn all_names(mut list: Reader<'_>) -> Lines {
    let mut names = Vec::new();
    while !list.is_empty() && names.len() <= LINES_MAX {
        names.push(bare_name(&list.any()?));
    }
    Ok(names)
}

/// A name with its kind.
fn general_name(value: &Tlv<'_>) -> String {
    match GeneralName::from_foreign_tlv(*value) {
        Some(name) => format!("{}: {}", name.kind().label(), name.value()),
        None => unknown_name(value),
    }
}

/// A location: its kind goes without saying where it is a URI.
fn bare_name(value: &Tlv<'_>) -> String {
    match GeneralName::from_foreign_tlv(*value) {
        Some(GeneralName::Uri(uri)) => uri,
        _ => general_name(value),
    }
}

fn unknown_name(value: &Tlv<'_>) -> String {
    if value.tag == 0xa4
        && let Ok((text, _)) = value.reader().expect(tag::SEQUENCE, "").and_then(super::name)
    {
        return format!("Directory name: {text}");
    }
    let kind = match value.tag {
        0xa0 => "Other name",
        0xa3 => "X.400 address",
        0xa5 => "EDI party name",
        0x87 => "IP address",
        _ => "Unknown kind of name",
    };
    format!("{kind}: {}", hex::encode(value.content))
}

fn ip(octets: &[u8]) -> Option<std::net::IpAddr> {
    <[u8; 4]>::try_from(octets).map(Into::into).or_else(|_| <[u8; 16]>::try_from(octets).map(Into::into)).ok()
}

fn named(oid: &str, name: Option<&'static str>) -> String {
    name.map_or_else(|| oid.to_owned(), |name| format!("{name} ({oid})"))
}

/// `4a:0b:ff`, as people compare identifiers.
fn colons(octets: &[u8]) -> String {
    let shown = octets.get(..OCTETS_MAX).unwrap_or(octets);
    let pairs: Vec<String> = shown.iter().map(|octet| format!("{octet:02x}")).collect();
    pairs.join(":") + if shown.len() < octets.len() { "…" } else { "" }
}

fn octets(value: &[u8]) -> Vec<String> {
    let shown = value.get(..OCTETS_MAX).unwrap_or(value);
    let mut lines: Vec<String> = shown
        .chunks(OCTETS_IN_LINE)
        .map(|row| row.iter().map(|octet| format!("{octet:02x}")).collect::<Vec<_>>().join(" "))
        .collect();
    if shown.len() < value.len() {
        lines.push(format!("… {} octets in all", value.len()));
    }
    if lines.is_empty() {
        lines.push("(empty)".to_owned());
    }
    lines
}

fn bounded(lines: Vec<String>) -> Vec<String> {
    let more = lines.len() > LINES_MAX;
    let mut kept: Vec<String> = lines.into_iter().take(LINES_MAX).map(shortened).collect();
    if more {
        kept.push("… and more".to_owned());
    }
    kept
}

fn shortened(line: String) -> String {
    match line.char_indices().nth(CHARACTERS_MAX) {
        Some((end, _)) => format!("{}…", line.get(..end).unwrap_or_default()),
        None => line,
    }
}

#[cfg(test)]
mod tests;
