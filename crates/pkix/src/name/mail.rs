//! Mail addresses (RFC 5280 §4.2.1.6: ASCII only) and user principal names.

use super::{NameError, check_text, dns, shown};

const LOCAL_MAX: usize = 64;
const ADDRESS_MAX: usize = 254;

/// `local@domain` with the domain in lower case; the local part keeps its case (RFC 5280 §7.5).
pub(crate) fn canonical(text: &str) -> Result<String, NameError> {
    check_text("email address", text)?;
    let refused =
        |code: &'static str, why: &str| Err(NameError::new(code, format!("The email address {} {why}", shown(text))));
    if !text.is_ascii() {
        return refused("name.email", "has characters outside ASCII, which this kind of name cannot hold");
    }
    if text.len() > ADDRESS_MAX {
        return refused("name.too_long", "is longer than 254 characters");
    }
    let Some((local, domain)) = text.rsplit_once('@') else {
        return refused("name.email", "is not of the form name@domain");
    };
    if !is_dot_atom(local) || local.len() > LOCAL_MAX {
        return refused("name.email", "has characters before the @ that are not allowed there");
    }
    match dns::canonical_host(domain) {
        Ok(domain) => Ok(format!("{local}@{domain}")),
        Err(_) => refused("name.email", "does not have a host name after the @"),
    }
}

/// RFC 5322 §3.2.3.
fn is_dot_atom(local: &str) -> bool {
    local.split('.').all(|atom| {
        !atom.is_empty() && atom.bytes().all(|one| one.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~".contains(&one))
    })
}

/// `user@realm` in any script, as directories know it.
pub(super) fn canonical_upn(text: &str) -> Result<String, NameError> {
    const CHARACTERS_MAX: usize = 1024;
    check_text("user principal name", text)?;
    let well_formed = text.split_once('@').is_some_and(|(user, realm)| {
        !user.is_empty() && !realm.is_empty() && !realm.contains('@') && !text.contains(char::is_whitespace)
    });
    if !well_formed || text.chars().count() > CHARACTERS_MAX {
        let message = format!("The user principal name {} is not of the form user@realm", shown(text));
        return Err(NameError::new("name.upn", message));
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mail_addresses_are_canonical_or_refused() {
        let check = |text: &str, expected: Result<&str, &str>| {
            assert_eq!(canonical(text).as_deref().map_err(|error| error.code), expected, "{text:?}");
        };
        check("Jo.Doe+x@ACME.com", Ok("Jo.Doe+x@acme.com"));
        check("jo@acme", Ok("jo@acme"));
        check("jo", Err("name.email"));
        check("@acme.com", Err("name.email"));
        check("jo@", Err("name.email"));
        check("jo@*.acme.com", Err("name.email"));
        check("jo@10.0.0.1", Err("name.email"));
        check("a@b@acme.com", Err("name.email"));
        check("a..b@acme.com", Err("name.email"));
        check("jö@acme.com", Err("name.email"));
        check("jo @acme.com", Err("name.email"));
        check("Jo <jo@acme.com>", Err("name.email"));
        check(&format!("{}@acme.com", "a".repeat(65)), Err("name.email"));
        check(&format!("a@{}", "b.".repeat(200)), Err("name.too_long"));
    }

    #[test]
    fn user_principal_names_have_a_user_and_a_realm() {
        assert_eq!(canonical_upn("jö@ACME.local").unwrap(), "jö@ACME.local");
        for text in ["jo", "jo@", "@acme", "a@b@c", "j o@acme", "jo@acme\n"] {
            assert!(canonical_upn(text).is_err(), "{text:?}");
        }
    }
}
