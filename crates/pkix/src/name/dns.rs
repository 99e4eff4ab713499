//! DNS names in certificates (RFC 5280 §4.2.1.6, RFC 9525 §6.3, RFC 9549): canonical A-labels, and what is none.

use idna::uts46::{AsciiDenyList, DnsLength, Hyphens, Uts46};

use super::{NameError, check_text, shown};

const NAME_MAX: usize = 253;
const LABEL_MAX: usize = 63;

/// Lower-case A-labels without a trailing dot; a wildcard only as the complete left-most label over two more.
pub(crate) fn canonical(text: &str) -> Result<String, NameError> {
    check_text("DNS name", text)?;
    let (wildcard, host) = match text.strip_prefix("*.") {
        Some(host) => (true, host),
        None => (false, text),
    };
    if host.contains('*') {
        return refuse("name.wildcard", text, "may have a wildcard only as its whole first label, such as *.acme.com");
    }
    let host = canonical_host(host).map_err(|refusal| refusal.of(text))?;
    if wildcard && !host.contains('.') {
        return refuse("name.wildcard", text, "needs two labels after the wildcard, such as *.acme.com");
    }
    let name = if wildcard { format!("*.{host}") } else { host };
    if name.len() > NAME_MAX {
        return refuse("name.too_long", text, "is longer than 253 characters");
    }
    Ok(name)
}

/// Why a host is refused: code and the rest of the sentence.
pub(crate) struct Refusal(&'static str, &'static str);

impl Refusal {
    pub(crate) fn of(&self, text: &str) -> NameError {
        NameError::new(self.0, format!("The DNS name {} {}", shown(text), self.1))
    }
}

fn refuse<T>(code: &'static str, text: &str, why: &'static str) -> Result<T, NameError> {
    Err(Refusal(code, why).of(text))
}

/// A host without a wildcard.
pub(crate) fn canonical_host(host: &str) -> Result<String, Refusal> {
    // Names of 254 characters and more that shrink when converted do not occur; this bounds the work below.
    if host.len() > 4 * NAME_MAX {
        return Err(Refusal("name.too_long", "is longer than 253 characters"));
    }
    check_form(host)?;
    let plain = host.is_ascii() && !host.split('.').any(|label| label.get(..4).is_some_and(is_a_label_prefix));
    let ascii = if plain {
        host.to_ascii_lowercase()
    } else {
        Uts46::new()
            .to_ascii(host.as_bytes(), AsciiDenyList::STD3, Hyphens::CheckFirstLast, DnsLength::Ignore)
            .map_err(|_| Refusal("name.idn", "is not a valid internationalised name (UTS 46)"))?
            .into_owned()
    };
    // Conversion maps other digits and dots to ASCII ones, so the form is looked at again.
    check_form(&ascii)?;
    if ascii.len() > NAME_MAX {
        return Err(Refusal("name.too_long", "is longer than 253 characters"));
    }
    ascii.split('.').try_for_each(check_label)?;
    Ok(ascii)
}

fn is_a_label_prefix(start: &str) -> bool {
    start.eq_ignore_ascii_case("xn--")
}

fn check_form(host: &str) -> Result<(), Refusal> {
    if is_address_like(host) {
        return Err(Refusal("name.ip_in_dns", "is an IP address; use an ip_address SAN"));
    }
    if host.ends_with('.') {
        return Err(Refusal("name.trailing_dot", "ends with a dot; remove it"));
    }
    if host.split('.').any(str::is_empty) {
        return Err(Refusal("name.characters", "has an empty label"));
    }
    Ok(())
}

fn check_label(label: &str) -> Result<(), Refusal> {
    if label.len() > LABEL_MAX {
        return Err(Refusal("name.too_long", "has a label longer than 63 characters"));
    }
    if label.starts_with('-') || label.ends_with('-') {
        return Err(Refusal("name.characters", "has a label that begins or ends with a hyphen"));
    }
    if label.contains('_') {
        return Err(Refusal("name.characters", "has an underscore, which host names do not have"));
    }
    if !label.bytes().all(|one| one.is_ascii_alphanumeric() || one == b'-') {
        return Err(Refusal("name.characters", "has characters other than letters, digits, hyphens and dots"));
    }
    Ok(())
}

/// Anything that software takes for an IP address: hexadecimal digits between colons, brackets, zone ids, and a last
/// label that is a number in any notation (the WHATWG "ends in a number" test, which covers 10.1, 167772161, 0x0a000001
/// and 010.0.0.1).
pub(crate) fn is_address_like(host: &str) -> bool {
    let zoneless = host.split('%').next().unwrap_or_default();
    let of_addresses = |one: u8| one.is_ascii_hexdigit() || matches!(one, b':' | b'.' | b'[' | b']');
    if host.contains([':', '[', ']', '%']) && zoneless.bytes().all(of_addresses) {
        return true;
    }
    let last = host.strip_suffix('.').unwrap_or(host).rsplit('.').next().unwrap_or_default();
    let hexadecimal = last.strip_prefix("0x").or_else(|| last.strip_prefix("0X"));
    !last.is_empty()
        && (last.bytes().all(|one| one.is_ascii_digit())
            || hexadecimal.is_some_and(|digits| digits.bytes().all(|one| one.is_ascii_hexdigit())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dns_names_are_canonical_or_refused() {
        let check = |text: &str, expected: Result<&str, &str>| {
            let result = canonical(text);
            assert_eq!(result.as_deref().map_err(|error| error.code), expected, "{text:?}");
        };
        check("*.acme.com", Ok("*.acme.com"));
        check("*.com", Err("name.wildcard"));
        check("*", Err("name.wildcard"));
        check("*.", Err("name.characters"));
        check("*.*.acme.com", Err("name.wildcard"));
        check("a*.acme.com", Err("name.wildcard"));
        check("*a.acme.com", Err("name.wildcard"));
        check("w.*.acme.com", Err("name.wildcard"));
        check("WWW.Acme.COM", Ok("www.acme.com"));
        check("www.acme.com.", Err("name.trailing_dot"));
        check(" www.acme.com", Err("name.characters"));
        check("www .acme.com", Err("name.characters"));
        check("www..acme.com", Err("name.characters"));
        check(".acme.com", Err("name.characters"));
        check("-a.acme.com", Err("name.characters"));
        check("a-.acme.com", Err("name.characters"));
        check("a_b.acme.com", Err("name.characters"));
        check("a/b.acme.com", Err("name.characters"));
        check("https://a.acme.com", Err("name.characters"));
        check("a.acme.com:443", Err("name.characters"));
        check("a.acme.com%25", Err("name.characters"));
        check("a\0.acme.com", Err("name.characters"));
        check("", Err("name.empty"));
        check("localhost", Ok("localhost"));
        check("r3---sn-4g5.acme.com", Ok("r3---sn-4g5.acme.com"));
        check(&format!("{}.acme.com", "a".repeat(63)), Ok(&format!("{}.acme.com", "a".repeat(63))));
        check(&format!("{}.acme.com", "a".repeat(64)), Err("name.too_long"));
        let long = ["a".repeat(63), "b".repeat(63), "c".repeat(63), "d".repeat(61)].join(".");
        check(&long, Ok(&long));
        check(&format!("{long}d"), Err("name.too_long"));
        check(&format!("*.{long}"), Err("name.too_long"));
        check(&"a.".repeat(100_000), Err("name.too_long"));
    }

    #[test]
    fn addresses_in_any_notation_are_refused_with_a_hint() {
        for text in [
            "10.0.0.1",
            "0x0a000001",
            "167772161",
            "010.0.0.1",
            "10.1",
            "::1",
            "fe80::1%eth0",
            "[::1]",
            "::ffff:1.2.3.4",
            "0X7f.1",
            "a.1",
            "１２７.0.0.1",
            "127。0。0。1",
            "*.0.0.1",
            "10.0.0.1.",
            "127.0.0.0x",
            "a.b.0x1f",
        ] {
            let error = canonical(text).unwrap_err();
            assert_eq!(error.code, "name.ip_in_dns", "{text}");
            assert!(error.message.contains("ip_address"), "{}", error.message);
        }
        assert_eq!(canonical("1.2.3.4a").unwrap(), "1.2.3.4a");
    }

    #[test]
    fn internationalised_names_become_a_labels() {
        let check = |text: &str, expected: Result<&str, &str>| {
            assert_eq!(canonical(text).as_deref().map_err(|error| error.code), expected, "{text:?}");
        };
        check("bücher.example", Ok("xn--bcher-kva.example"));
        check("BÜCHER.Example", Ok("xn--bcher-kva.example"));
        check("XN--BCHER-KVA.example", Ok("xn--bcher-kva.example"));
        check("*.bücher.example", Ok("*.xn--bcher-kva.example"));
        check("xn--a.example", Err("name.idn"));
        check("xn--example-.com", Err("name.idn"));
        check("xn--.example", Err("name.idn"));
        check("a\u{202e}b.example", Err("name.idn"));
    }

    proptest::proptest! {
        #[test]
        fn the_canonical_form_is_its_own_canonical_form(text in "(\\*\\.)?[a-zA-Z0-9.ü-]{1,40}") {
            if let Ok(name) = canonical(&text) {
                proptest::prop_assert_eq!(canonical(&name).unwrap(), name);
            }
        }

        #[test]
        fn arbitrary_text_never_panics(text: String) {
            let _ = canonical(&text);
        }
    }
}
