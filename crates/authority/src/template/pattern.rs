//! One pattern of a rule: compiled once, matched against canonical values.
//!
//! Matching is deliberately two questions. [`Pattern::admits`] asks whether a value is what the pattern describes and
//! is narrow: a wildcard name is admitted only by the same text or by `*`. [`Pattern::touches`] asks whether a value
//! could stand for anything the pattern describes and is wide: it serves `denied`, where `*.acme.com` must not slip
//! past a rule that denies `secret.acme.com`.

use std::borrow::Cow;
use std::net::IpAddr;

use chancery_pkix::{Attribute, AttributeType, DistinguishedName, GeneralName, GeneralNameKind};
use ipnet::IpNet;
use regex_automata::meta::{Config, Regex};
use regex_automata::util::syntax;

use super::glob::{Glob, overlap};

/// Characters in a pattern.
pub(super) const PATTERN_CHARS_MAX: usize = 255;

/// Bytes of compiled program that one `regex:` pattern may take.
const REGEX_BYTES_MAX: usize = 256 * 1024;

/// What a pattern is written for; decides its syntax and the canonical form of its literals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Attribute(AttributeType),
    Name(GeneralNameKind),
}

impl Place {
    const fn is_host(self) -> bool {
        matches!(self, Self::Attribute(AttributeType::CommonName) | Self::Name(GeneralNameKind::DnsName))
    }
}

/// A value as patterns see it. Borrowed whenever the value is ASCII; case is then folded while comparing.
pub(super) struct Value<'a> {
    text: Cow<'a, str>,
    address: Option<IpAddr>,
    wildcard: bool,
    /// URIs: only scheme and authority are case-insensitive, and they are lower case in the canonical form already.
    exact_case: bool,
}

impl<'a> Value<'a> {
    pub fn of_attribute(attribute: &'a Attribute) -> Self {
        let text = attribute.value.as_str();
        // Anything with a star in a common name may be read as a wildcard by somebody.
        let wildcard = attribute.kind == AttributeType::CommonName && text.contains('*');
        Self { text: folded(text), address: None, wildcard, exact_case: false }
    }

    pub fn of_name(name: &'a GeneralName) -> Self {
        let text = |text| Self { text, address: None, wildcard: false, exact_case: false };
        match name {
            GeneralName::Dns(host) => Self { wildcard: host.starts_with("*."), ..text(Cow::Borrowed(host.as_str())) },
            GeneralName::Ip(address) => Self { address: Some(*address), ..text(Cow::Borrowed("")) },
            GeneralName::Uri(uri) => Self { exact_case: true, ..text(Cow::Borrowed(uri.as_str())) },
            GeneralName::Email(value) | GeneralName::Upn(value) => text(folded(value)),
            other => text(Cow::Owned(other.value().to_lowercase())),
        }
    }

    pub const fn is_wildcard(&self) -> bool {
        self.wildcard
    }

    fn is_text(&self, folded: &str) -> bool {
        if self.exact_case { self.text == folded } else { self.text.eq_ignore_ascii_case(folded) }
    }
}

/// ASCII needs no copy: it is folded byte by byte while comparing.
fn folded(text: &str) -> Cow<'_, str> {
    if text.is_ascii() { Cow::Borrowed(text) } else { Cow::Owned(text.to_lowercase()) }
}

/// Why a pattern is refused when it is saved.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct PatternFlaw {
    pub code: &'static str,
    pub message: String,
}

fn flaw(code: &'static str, message: impl Into<String>) -> PatternFlaw {
    PatternFlaw { code, message: message.into() }
}

pub(super) struct Pattern {
    /// As the administrator wrote it, without blanks around.
    written: String,
    /// Case-folded; what "the same text" means.
    folded: String,
    matcher: Matcher,
    /// Written as a host for a common name: then a value that is no host, such as `evil.example /.acme.com`, is not
    /// what the pattern describes, though the text fits.
    hosts_only: bool,
}

enum Matcher {
    /// A lone `*`: any value of the kind.
    Any,
    Exact,
    Glob(Glob),
    /// `label:`: a star stays within one label.
    Labels(Vec<Glob>),
    /// A star in the authority must not run into the path, or `https://*.acme.com/*` would match another host's path.
    Uri {
        scheme: Glob,
        authority: Glob,
        rest: UriRest,
    },
    Address(IpAddr),
    Network(IpNet),
    Regex(Box<Regex>),
}

enum UriRest {
    Anything,
    Like(Glob),
}

impl Pattern {
    pub fn compile(place: Place, written: &str) -> Result<Self, PatternFlaw> {
        let written = written.trim();
        if written.is_empty() {
            return Err(flaw(
                "template.pattern_empty",
                "an empty pattern matches nothing; take it out, or use [] to allow nothing",
            ));
        }
        if written.chars().count() > PATTERN_CHARS_MAX {
            return Err(flaw(
                "template.pattern_too_long",
                format!("a pattern has at most {PATTERN_CHARS_MAX} characters"),
            ));
        }
        if written.chars().any(char::is_control) {
            return Err(flaw("template.pattern_characters", "a pattern cannot hold control characters"));
        }
        let (folded, matcher) = matcher(place, written)?;
        let hosts_only = place == Place::Attribute(AttributeType::CommonName)
            && match &matcher {
                Matcher::Labels(_) => true,
                Matcher::Glob(_) => folded.strip_prefix("*.").is_some_and(is_host),
                _ => false,
            };
        Ok(Self { written: written.to_owned(), folded, matcher, hosts_only })
    }

    pub fn written(&self) -> &str {
        &self.written
    }

    /// The text that two equal patterns share.
    pub fn folded(&self) -> &str {
        &self.folded
    }

    pub const fn is_any(&self) -> bool {
        matches!(self.matcher, Matcher::Any)
    }

    /// Whether exactly one value matches.
    pub const fn is_literal(&self) -> bool {
        matches!(self.matcher, Matcher::Exact | Matcher::Address(_))
    }

    pub const fn is_regex(&self) -> bool {
        matches!(self.matcher, Matcher::Regex(_))
    }

    /// Whether the value is what the pattern describes.
    pub fn admits(&self, value: &Value<'_>) -> bool {
        match &self.matcher {
            Matcher::Any => true,
            Matcher::Regex(regex) if value.wildcard => {
                regex.is_match(value.text.as_ref()) && names_the_star(regex, &value.text)
            }
            Matcher::Glob(_) if value.wildcard => value.is_text(&self.folded),
            Matcher::Labels(_) if value.wildcard => false,
            _ => self.matches_text(value) && (!self.hosts_only || is_host(&value.text)),
        }
    }

    /// Whether the value is, or as a wildcard stands for, something the pattern describes.
    pub fn touches(&self, value: &Value<'_>) -> bool {
        if !value.wildcard {
            return self.matches_text(value);
        }
        let name = value.text.to_ascii_lowercase();
        match &self.matcher {
            // Whether some name under the wildcard matches an expression is not decided here: better too wide.
            Matcher::Any | Matcher::Regex(_) => true,
            Matcher::Labels(_) => {
                let pattern = self.folded.trim_start_matches(LABEL);
                let labels = (pattern.split('.'), name.split('.'));
                labels.0.clone().count() == labels.1.clone().count()
                    && labels.0.zip(labels.1).all(|(own, other)| overlap(own, other))
            }
            _ => overlap(&self.folded, &name),
        }
    }

    /// Whether every value that `other` admits is certainly touched by this pattern too.
    pub fn covers(&self, other: &Self) -> bool {
        if self.is_any() || self.folded == other.folded {
            return true;
        }
        match (&self.matcher, &other.matcher) {
            (Matcher::Glob(glob), Matcher::Exact | Matcher::Glob(_)) => glob.matches(&other.folded, false),
            (Matcher::Network(outer), Matcher::Network(inner)) => outer.contains(inner),
            (Matcher::Network(network), Matcher::Address(address)) => network.contains(address),
            (Matcher::Labels(labels), Matcher::Exact) => labels_match(labels, &other.folded),
            (Matcher::Regex(regex), Matcher::Exact) => regex.is_match(other.folded.as_str()),
            _ => false,
        }
    }

    fn matches_text(&self, value: &Value<'_>) -> bool {
        match &self.matcher {
            Matcher::Any => true,
            Matcher::Exact => value.is_text(&self.folded),
            Matcher::Glob(glob) => match value.address {
                Some(address) => glob.matches(&address.to_string(), true),
                None => glob.matches(&value.text, !value.exact_case),
            },
            Matcher::Labels(labels) => labels_match(labels, &value.text),
            Matcher::Uri { scheme, authority, rest } => uri_matches(scheme, authority, rest, &value.text),
            Matcher::Address(address) => value.address == Some(*address),
            Matcher::Network(network) => value.address.is_some_and(|address| network.contains(&address)),
            Matcher::Regex(regex) => match value.address {
                Some(address) => regex.is_match(address.to_string().as_str()),
                None => regex.is_match(value.text.as_ref()),
            },
        }
    }

    /// Values that the pattern may admit, the closest to `like` first. None for expressions: they are not turned round.
    pub fn examples(&self, like: Option<&str>) -> Vec<String> {
        let host = like.map_or("", |text| text.split('.').next().unwrap_or_default().trim_matches('*'));
        let fillings: Vec<&str> = [host, "host", "a", "1", "0"].into_iter().filter(|it| !it.is_empty()).collect();
        match &self.matcher {
            Matcher::Any => like.into_iter().map(str::to_owned).collect(),
            Matcher::Exact => vec![self.written.clone()],
            Matcher::Address(address) => vec![address.to_string()],
            Matcher::Network(network) => network.hosts().take(2).map(|it| it.to_string()).collect(),
            Matcher::Regex(_) => like.into_iter().map(str::to_owned).collect(),
            Matcher::Labels(_) | Matcher::Glob(_) | Matcher::Uri { .. } => {
                let text = self.written.strip_prefix(LABEL).unwrap_or(&self.written);
                fillings.iter().map(|filling| text.replace('*', filling)).collect()
            }
        }
    }
}

const LABEL: &str = "label:";
const CIDR: &str = "cidr:";
const REGEX: &str = "regex:";

fn matcher(place: Place, written: &str) -> Result<(String, Matcher), PatternFlaw> {
    if written.chars().all(|it| it == '*') {
        return Ok(("*".to_owned(), Matcher::Any));
    }
    if let Some(expression) = written.strip_prefix(REGEX) {
        return Ok((written.to_owned(), Matcher::Regex(Box::new(regex(place, expression)?))));
    }
    if let Some(network) = written.strip_prefix(CIDR) {
        if place != Place::Name(GeneralNameKind::IpAddress) {
            return Err(flaw("template.pattern_prefix", "cidr: is for ip_address rules only"));
        }
        let network = parse_network(network)?;
        return Ok((format!("{CIDR}{network}"), Matcher::Network(network)));
    }
    if let Some(text) = written.strip_prefix(LABEL) {
        if !place.is_host() {
            return Err(flaw("template.pattern_prefix", "label: is for dns_name and common_name rules only"));
        }
        let folded = host_glob(text)?;
        let labels = folded.split('.').map(Glob::new).collect();
        return Ok((format!("{LABEL}{folded}"), Matcher::Labels(labels)));
    }
    match place {
        Place::Name(kind) => name_matcher(kind, written),
        Place::Attribute(kind) => attribute_matcher(kind, written),
    }
}

fn attribute_matcher(kind: AttributeType, written: &str) -> Result<(String, Matcher), PatternFlaw> {
    if written.contains('*') {
        let folded = written.to_lowercase();
        return Ok((folded.clone(), Matcher::Glob(Glob::new(&folded))));
    }
    DistinguishedName::new(vec![Attribute { kind, value: written.to_owned() }]).map_err(|error| {
        flaw("template.pattern_never_matches", format!("no {} can be '{written}': {error}", kind.as_str()))
    })?;
    Ok((written.to_lowercase(), Matcher::Exact))
}

fn name_matcher(kind: GeneralNameKind, written: &str) -> Result<(String, Matcher), PatternFlaw> {
    use GeneralNameKind as K;
    if !written.contains('*') {
        let name = GeneralName::parse(kind, written).map_err(|error| {
            flaw("template.pattern_never_matches", format!("no {} can be '{written}': {error}", kind.as_str()))
        })?;
        return Ok(match name {
            GeneralName::Ip(address) => (address.to_string(), Matcher::Address(address)),
            GeneralName::Uri(uri) => (uri, Matcher::Exact),
            other => (other.value().to_lowercase(), Matcher::Exact),
        });
    }
    match kind {
        K::DnsName => {
            let folded = host_glob(written)?;
            Ok((folded.clone(), Matcher::Glob(Glob::new(&folded))))
        }
        K::IpAddress if !written.bytes().all(|it| it.is_ascii_hexdigit() || matches!(it, b'.' | b':' | b'*')) => {
            Err(flaw(
                "template.pattern_never_matches",
                format!("'{written}' is neither an address, nor a pattern of one, nor cidr:"),
            ))
        }
        K::Uri => Ok(uri_matcher(written)),
        _ => {
            let folded = written.to_lowercase();
            Ok((folded.clone(), Matcher::Glob(Glob::new(&folded))))
        }
    }
}

/// A host pattern in canonical form. What stands beside a leading `*.` must itself be a name.
fn host_glob(written: &str) -> Result<String, PatternFlaw> {
    let never =
        |reason: String| flaw("template.pattern_never_matches", format!("no DNS name can match '{written}': {reason}"));
    let (star, rest) = written.strip_prefix("*.").map_or(("", written), |rest| ("*.", rest));
    if !rest.contains('*') {
        return match GeneralName::parse(GeneralNameKind::DnsName, rest) {
            Ok(name) => Ok(format!("{star}{}", name.value())),
            Err(error) => Err(never(error.to_string())),
        };
    }
    let folded = written.to_ascii_lowercase();
    if !folded.bytes().all(|it| it.is_ascii_alphanumeric() || matches!(it, b'-' | b'.' | b'*')) {
        return Err(never(
            "beside stars only letters, digits, hyphens and dots; write other scripts as xn-- labels".to_owned(),
        ));
    }
    if folded.split('.').any(str::is_empty) {
        return Err(never("a label is empty".to_owned()));
    }
    Ok(folded)
}

fn parse_network(text: &str) -> Result<IpNet, PatternFlaw> {
    let network: IpNet = text.parse().map_err(|_| {
        flaw(
            "template.pattern_cidr",
            format!("'{text}' is not a network; write it as cidr:10.0.0.0/8 or cidr:2001:db8::/32"),
        )
    })?;
    if network.trunc() != network {
        return Err(flaw(
            "template.pattern_cidr",
            format!("'{text}' has bits outside its mask; write cidr:{}", network.trunc()),
        ));
    }
    if let IpNet::V6(mapped) = network
        && mapped.network().to_ipv4_mapped().is_some()
    {
        return Err(flaw("template.pattern_cidr", "IPv4-mapped addresses count as IPv4; write the IPv4 network"));
    }
    Ok(network)
}

/// Linear-time engine, whole string, bounded program.
fn regex(place: Place, expression: &str) -> Result<Regex, PatternFlaw> {
    let build = |pattern: &str| {
        Regex::builder()
            .configure(
                Config::new()
                    .nfa_size_limit(Some(REGEX_BYTES_MAX))
                    .onepass_size_limit(Some(REGEX_BYTES_MAX))
                    .hybrid(false)
                    .dfa(false),
            )
            .syntax(syntax::Config::new().case_insensitive(place != Place::Name(GeneralNameKind::Uri)))
            .build(pattern)
            .map_err(Box::new)
    };
    let refused = |error: Box<regex_automata::meta::BuildError>| {
        if error.size_limit().is_some() {
            return flaw("template.pattern_regex", "the expression is too large; make it simpler");
        }
        let reason = std::error::Error::source(error.as_ref()).map_or_else(|| error.to_string(), ToString::to_string);
        flaw("template.pattern_regex", format!("the expression is not understood: {}", last_line(&reason)))
    };
    // By itself first: `a)|(b` must not become valid inside the anchoring group.
    build(expression).map_err(refused)?;
    build(&format!(r"\A(?:{expression})\z")).map_err(refused)
}

/// The parser draws a picture over several lines; its last line says what is wrong.
fn last_line(text: &str) -> &str {
    text.lines().last().unwrap_or(text).trim_start_matches("error: ")
}

/// `.*` also runs over a star, and so would let wildcard names in unnoticed. An expression that admits a wildcard must
/// name the star: with a character in its place that no name can hold, it no longer matches.
fn names_the_star(regex: &Regex, name: &str) -> bool {
    !regex.is_match(name.replace('*', "\u{1}").as_str())
}

/// Whether a text could be taken for the name of a host; underscores are in use, though not in SANs.
fn is_host(text: &str) -> bool {
    let is_plain = |label: &str| {
        !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
            && !label.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("xn--"))
            && label.bytes().all(|it| it.is_ascii_alphanumeric() || matches!(it, b'-' | b'_'))
    };
    // Nearly every name is plain, and then nothing is allocated.
    text.split('.').all(is_plain) || GeneralName::parse(GeneralNameKind::DnsName, &text.replace('_', "x")).is_ok()
}

fn labels_match(labels: &[Glob], name: &str) -> bool {
    let mut parts = name.split('.');
    labels.iter().all(|label| parts.next().is_some_and(|part| !part.is_empty() && label.matches(part, true)))
        && parts.next().is_none()
}

/// `scheme://authority/rest`; a pattern without `://` is matched as one text.
fn uri_matcher(written: &str) -> (String, Matcher) {
    let Some((scheme, after)) = written.split_once("://") else {
        return (written.to_owned(), Matcher::Glob(Glob::new(written)));
    };
    let end = after.find(['/', '?', '#']).unwrap_or(after.len());
    let (authority, rest) = after.split_at(end);
    let (scheme, authority) = (scheme.to_lowercase(), authority.to_lowercase());
    let folded = format!("{scheme}://{authority}{rest}");
    let rest =
        if rest.is_empty() && authority.ends_with('*') { UriRest::Anything } else { UriRest::Like(Glob::new(rest)) };
    (folded, Matcher::Uri { scheme: Glob::new(&scheme), authority: Glob::new(&authority), rest })
}

fn uri_matches(scheme: &Glob, authority: &Glob, rest: &UriRest, uri: &str) -> bool {
    let Some((own_scheme, after)) = uri.split_once("://") else { return false };
    let end = after.find(['/', '?', '#']).unwrap_or(after.len());
    let (own_authority, own_rest) = after.split_at(end);
    scheme.matches(own_scheme, false)
        && authority.matches(own_authority, false)
        && match rest {
            UriRest::Anything => true,
            UriRest::Like(glob) => glob.matches(own_rest, false),
        }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(kind: GeneralNameKind, text: &str) -> GeneralName {
        GeneralName::parse(kind, text).unwrap()
    }

    fn admits(kind: GeneralNameKind, pattern: &str, text: &str) -> bool {
        let name = name(kind, text);
        Pattern::compile(Place::Name(kind), pattern).unwrap().admits(&Value::of_name(&name))
    }

    #[test]
    fn host_patterns_match_as_the_product_table_says() {
        let values = ["a.acme.com", "a.b.acme.com", "acme.com", "*.acme.com", "*.b.acme.com"];
        let table = [
            ("*.acme.com", [true, true, false, true, false]),
            ("label:*.acme.com", [true, false, false, false, false]),
            ("acme.com", [false, false, true, false, false]),
            ("*", [true; 5]),
            ("*.ACME.com", [true, true, false, true, false]),
            (r"regex:.*\.acme\.com", [true, true, false, false, false]),
            (r"regex:(\*|[a-z]+)\.acme\.com", [true, false, false, true, false]),
        ];
        for (pattern, expected) in table {
            for (value, expected) in values.into_iter().zip(expected) {
                assert_eq!(admits(GeneralNameKind::DnsName, pattern, value), expected, "dns_name {pattern} {value}");
                let attribute = Attribute { kind: AttributeType::CommonName, value: value.to_uppercase() };
                let pattern = Pattern::compile(Place::Attribute(AttributeType::CommonName), pattern).unwrap();
                assert_eq!(
                    pattern.admits(&Value::of_attribute(&attribute)),
                    expected,
                    "common_name {} {value}",
                    pattern.written()
                );
            }
        }
    }

    #[test]
    fn a_denied_pattern_also_meets_the_wildcards_that_stand_for_its_names() {
        let check = |pattern: &str, value: &str, expected: bool| {
            let name = name(GeneralNameKind::DnsName, value);
            let pattern = Pattern::compile(Place::Name(GeneralNameKind::DnsName), pattern).unwrap();
            assert_eq!(pattern.touches(&Value::of_name(&name)), expected, "{} {value}", pattern.written());
        };
        check("secret.acme.com", "*.acme.com", true);
        check("secret.acme.com", "*.b.acme.com", false);
        check("secret.b.acme.com", "*.acme.com", false);
        check("*.internal.acme.com", "*.b.internal.acme.com", true);
        check("*.internal.acme.com", "*.acme.com", false);
        check("label:*.acme.com", "*.acme.com", true);
        check("label:*.acme.com", "*.b.acme.com", false);
        check("adm*.acme.com", "*.acme.com", true);
        check("regex:admin[0-9]", "*.acme.com", true);
        check("acme.com", "a.acme.com", false);
    }

    #[test]
    fn a_host_pattern_admits_no_common_name_that_is_no_host() {
        let common_name = AttributeType::CommonName;
        for (pattern, value, admitted) in [
            ("*.acme.com", "a.acme.com", true),
            ("*.acme.com", "A_b.Acme.com", true),
            ("*.acme.com", "bücher.acme.com", true),
            ("*.acme.com", "evil.example/.acme.com", false),
            ("*.acme.com", "evil.example .acme.com", false),
            ("*.acme.com", "https://a.acme.com", false),
            ("*.acme.com", "jo@a.acme.com", false),
            ("*.acme.com", ".acme.com", false),
            ("*.acme.com", "..acme.com", false),
            ("*.acme.com", "-.acme.com", false),
            ("*.acme.com", "xn--a.acme.com", false),
            ("label:*.acme.com", "a b.acme.com", false),
            ("label:*.acme.com", "ab.acme.com", true),
            ("printer * of acme", "printer 5 of acme", true),
            ("*", "any / thing", true),
        ] {
            let attribute = Attribute { kind: common_name, value: value.to_owned() };
            let pattern = Pattern::compile(Place::Attribute(common_name), pattern).unwrap();
            let value = Value::of_attribute(&attribute);
            assert_eq!(pattern.admits(&value), admitted, "{} {}", pattern.written(), attribute.value);
            // As a denied pattern it stays wide.
            assert!(pattern.touches(&value), "{} {}", pattern.written(), attribute.value);
        }
    }

    #[test]
    fn addresses_match_by_value_and_network() {
        let ip = GeneralNameKind::IpAddress;
        for (pattern, value, expected) in [
            ("10.0.0.1", "10.0.0.1", true),
            ("10.0.0.1", "::ffff:10.0.0.1", true),
            ("cidr:10.0.0.0/8", "10.255.0.1", true),
            ("cidr:10.0.0.0/8", "11.0.0.1", false),
            ("cidr:10.0.0.0/8", "2001:db8::1", false),
            ("cidr:2001:db8::/32", "2001:db8::1", true),
            ("2001:DB8:0::1", "2001:db8::1", true),
            ("10.0.*", "10.0.3.4", true),
            ("10.0.*", "10.1.3.4", false),
            ("*", "2001:db8::1", true),
        ] {
            assert_eq!(admits(ip, pattern, value), expected, "{pattern} {value}");
        }
    }

    #[test]
    fn a_star_in_a_uri_authority_stays_there() {
        let uri = GeneralNameKind::Uri;
        for (pattern, value, expected) in [
            ("https://*.acme.com/*", "https://a.acme.com/x/y", true),
            ("https://*.acme.com/*", "https://evil.example/x.acme.com/y", false),
            ("spiffe://acme.com/ns/*", "spiffe://acme.com/ns/a/sa/b", true),
            ("SPIFFE://ACME.com/ns/*", "spiffe://acme.com/ns/a", true),
            ("spiffe://acme.com/ns/*", "spiffe://acme.com/NS/a", false),
            ("https://*", "https://a.example/x", true),
            ("https://a.example/*", "http://a.example/x", false),
            ("*", "urn:example:1", true),
            ("urn:example:*", "urn:example:1", true),
        ] {
            assert_eq!(admits(uri, pattern, value), expected, "{pattern} {value}");
        }
    }

    #[test]
    fn texts_match_without_regard_to_case() {
        let organization = AttributeType::Organization;
        for (pattern, value, expected) in [
            ("Acme Corp", "acme corp", true),
            ("Acme*", "ACME Corp", true),
            ("Müller *", "MÜLLER GmbH", true),
            ("Acme", "Acme Corp", false),
            ("a**b", "a--b", true),
        ] {
            let attribute = Attribute { kind: organization, value: value.to_owned() };
            let pattern = Pattern::compile(Place::Attribute(organization), pattern).unwrap();
            assert_eq!(pattern.admits(&Value::of_attribute(&attribute)), expected, "{} {value}", pattern.written());
        }
        assert!(admits(GeneralNameKind::Email, "*@acme.com", "Jane@Acme.com"));
        assert!(!admits(GeneralNameKind::Email, "*@acme.com", "jane@evil.example"));
    }

    #[test]
    fn patterns_that_can_never_match_are_refused() {
        let dns = Place::Name(GeneralNameKind::DnsName);
        let long = "a".repeat(256);
        for (place, pattern, code) in [
            (dns, "", "template.pattern_empty"),
            (dns, "  ", "template.pattern_empty"),
            (dns, long.as_str(), "template.pattern_too_long"),
            (dns, "acme.com.", "template.pattern_never_matches"),
            (dns, "10.0.0.1", "template.pattern_never_matches"),
            (dns, "a b*.acme.com", "template.pattern_never_matches"),
            (dns, "a*..com", "template.pattern_never_matches"),
            (dns, "cidr:10.0.0.0/8", "template.pattern_prefix"),
            (dns, "regex:(", "template.pattern_regex"),
            (dns, "regex:a)|(b", "template.pattern_regex"),
            (dns, r"regex:(\w{1,255}){1,255}", "template.pattern_regex"),
            (dns, "a\u{7}.acme.com", "template.pattern_characters"),
            (Place::Name(GeneralNameKind::IpAddress), "cidr:10.0.0.1/8", "template.pattern_cidr"),
            (Place::Name(GeneralNameKind::IpAddress), "cidr:10.0.0.0/33", "template.pattern_cidr"),
            (Place::Name(GeneralNameKind::IpAddress), "cidr:::ffff:10.0.0.0/104", "template.pattern_cidr"),
            (Place::Name(GeneralNameKind::IpAddress), "host*", "template.pattern_never_matches"),
            (Place::Name(GeneralNameKind::Email), "label:*@acme.com", "template.pattern_prefix"),
            (Place::Attribute(AttributeType::Country), "Germany", "template.pattern_never_matches"),
        ] {
            let found = Pattern::compile(place, pattern).map(|it| it.folded);
            assert_eq!(found.as_ref().map_err(|it| it.code), Err(code), "{pattern}");
        }
    }
}
