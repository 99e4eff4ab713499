//! URIs in certificates (RFC 5280 §4.2.1.6, RFC 3986) and SPIFFE ids (X.509-SVID).

use std::net::Ipv6Addr;

use super::{NameError, check_text, dns, shown};

const URI_MAX: usize = 2048;

/// Absolute, ASCII, scheme and authority in lower case.
pub(super) fn canonical(text: &str) -> Result<String, NameError> {
    check_text("URI", text)?;
    let refused = |code: &'static str, why: &str| Err(NameError::new(code, format!("The URI {} {why}", shown(text))));
    if text.len() > URI_MAX {
        return refused("name.too_long", "is longer than 2048 characters");
    }
    if !has_uri_characters(text) {
        return refused("name.characters", "has characters that must be percent-encoded in a URI");
    }
    let Some((scheme, rest)) = text.split_once(':').filter(|(scheme, rest)| is_scheme(scheme) && !rest.is_empty())
    else {
        return refused("name.uri", "is not absolute; it must begin with a scheme such as https:");
    };
    let scheme = scheme.to_ascii_lowercase();
    let uri = match rest.strip_prefix("//") {
        None => format!("{scheme}:{rest}"),
        Some(after) => {
            let (authority, path) = after.split_at(after.find(['/', '?', '#']).unwrap_or(after.len()));
            let authority = authority.to_ascii_lowercase();
            if !is_authority(&authority) {
                return refused("name.uri", "does not have a host name or address after the //");
            }
            format!("{scheme}://{authority}{path}")
        }
    };
    // The scheme is told from the bytes of the input: an upper-case SPIFFE id was never a SPIFFE id.
    if scheme == "spiffe" {
        spiffe(text)?;
    }
    Ok(uri)
}

/// RFC 3986 §2: unreserved, reserved and complete percent-encodings.
fn has_uri_characters(text: &str) -> bool {
    let mut octets = text.bytes();
    while let Some(octet) = octets.next() {
        let allowed = match octet {
            b'%' => (0..2).all(|_| octets.next().is_some_and(|digit| digit.is_ascii_hexdigit())),
            _ => octet.is_ascii_alphanumeric() || b"-._~:/?#[]@!$&'()*+,;=".contains(&octet),
        };
        if !allowed {
            return false;
        }
    }
    true
}

fn is_scheme(scheme: &str) -> bool {
    scheme.starts_with(|first: char| first.is_ascii_alphabetic())
        && scheme.bytes().all(|one| one.is_ascii_alphanumeric() || b"+-.".contains(&one))
}

fn is_authority(authority: &str) -> bool {
    let host_and_port = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let (host, port) = split_port(host_and_port);
    let is_host = match host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        Some(address) => address.parse::<Ipv6Addr>().is_ok(),
        None => !host.is_empty() && host.bytes().all(|one| one.is_ascii_alphanumeric() || b"-._~%".contains(&one)),
    };
    is_host && port.bytes().all(|one| one.is_ascii_digit())
}

fn split_port(host_and_port: &str) -> (&str, &str) {
    match host_and_port.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, port),
        _ => (host_and_port, ""),
    }
}

/// The host of a URI with an authority, brackets and all.
pub(crate) fn host(uri: &str) -> Option<&str> {
    let (_, after) = uri.split_once("://")?;
    let authority = after.split(['/', '?', '#']).next()?;
    let host_and_port = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    Some(split_port(host_and_port).0).filter(|host| !host.is_empty())
}

/// The parts of a SPIFFE id.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Spiffe<'a> {
    /// Empty for a trust domain, which only signing certificates carry.
    pub(crate) path: &'a str,
}

/// SPIFFE-ID §2: a lower-case trust domain without port, user or escapes; plain path segments; no query or fragment.
pub(crate) fn spiffe(uri: &str) -> Result<Spiffe<'_>, NameError> {
    let refused = |why: &str| Err(NameError::new("name.spiffe", format!("The SPIFFE id {} {why}", shown(uri))));
    let Some(rest) = uri.strip_prefix("spiffe://") else { return refused("does not begin with spiffe://") };
    let (domain, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    if domain.is_empty()
        || domain.len() > 255
        || !domain.bytes().all(|one| one.is_ascii_lowercase() || one.is_ascii_digit() || b".-_".contains(&one))
    {
        return refused("has a trust domain other than lower-case letters, digits, dots, hyphens and underscores");
    }
    let segments_are_plain = path.split('/').skip(1).all(|segment| {
        !matches!(segment, "" | "." | "..")
            && segment.bytes().all(|one| one.is_ascii_alphanumeric() || b".-_".contains(&one))
    });
    if !segments_are_plain {
        return refused("has a path with empty, dot or escaped segments, a query or a fragment");
    }
    if dns::is_address_like(domain) {
        return refused("has an address instead of a trust domain");
    }
    Ok(Spiffe { path })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uris_are_canonical_or_refused() {
        let check = |text: &str, expected: Result<&str, &str>| {
            assert_eq!(canonical(text).as_deref().map_err(|error| error.code), expected, "{text:?}");
        };
        check("HTTPS://ACME.com/Path?Q=1", Ok("https://acme.com/Path?Q=1"));
        check("https://acme.com:8443", Ok("https://acme.com:8443"));
        check("https://[2001:DB8::1]:8443/x", Ok("https://[2001:db8::1]:8443/x"));
        check("urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6", Ok("urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6"));
        check("/relative", Err("name.uri"));
        check("acme.com", Err("name.uri"));
        check("1http://acme.com", Err("name.uri"));
        check("https:", Err("name.uri"));
        check("https:///path", Err("name.uri"));
        check("https://acme.com:80a/", Err("name.uri"));
        check("https://[::1", Err("name.uri"));
        check("https://acme.com/a b", Err("name.characters"));
        check("https://acme.com/ä", Err("name.characters"));
        check("https://acme.com/%2", Err("name.characters"));
        check("https://acme.com/\u{7f}", Err("name.characters"));
        check(&format!("https://acme.com/{}", "a".repeat(2048)), Err("name.too_long"));
    }

    #[test]
    fn spiffe_ids_follow_the_svid_rules() {
        let check = |text: &str, is_good: bool| assert_eq!(canonical(text).is_ok(), is_good, "{text:?}");
        check("spiffe://acme.com", true);
        check("spiffe://acme.com/ns/prod/sa/web_1", true);
        check("spiffe://Acme.com/a", false);
        check("SPIFFE://acme.com/a", false);
        check("spiffe://acme.com/", false);
        check("spiffe://acme.com/a/", false);
        check("spiffe://acme.com//a", false);
        check("spiffe://acme.com/./a", false);
        check("spiffe://acme.com/../a", false);
        check("spiffe://acme.com:80/a", false);
        check("spiffe://user@acme.com/a", false);
        check("spiffe://acme.com/a?b", false);
        check("spiffe://acme.com/a#b", false);
        check("spiffe://acme.com/%41", false);
        check("spiffe:///a", false);
        check("spiffe:acme.com", false);
    }

    #[test]
    fn the_host_of_a_uri_is_found() {
        let check = |uri: &str, expected: Option<&str>| assert_eq!(host(uri), expected, "{uri}");
        check("https://u:p@acme.com:80/x", Some("acme.com"));
        check("https://[::1]:80/x", Some("[::1]"));
        check("https://acme.com?x@y", Some("acme.com"));
        check("urn:a:b", None);
    }

    proptest::proptest! {
        #[test]
        fn arbitrary_text_never_panics(text: String) {
            let _ = canonical(&text);
            let _ = canonical(&format!("spiffe://{text}"));
            let _ = host(&text);
        }
    }
}
