//! Names: distinguished names (RFC 5280 §4.1.2.4) and general names (§4.2.1.6). A value of these types made by `new`,
//! `parse` or `from_der` is canonical and within the bounds of the standard; whether anybody may have it is decided
//! elsewhere.

pub(crate) mod attribute;
mod distinguished;
pub(crate) mod dns;
mod general;
mod mail;
mod uri;

pub use attribute::{Attribute, AttributeType};
pub use distinguished::DistinguishedName;
pub(crate) use distinguished::foreign_text;
pub use general::{GeneralName, GeneralNameKind};
pub(crate) use mail::canonical as canonical_mail;
pub(crate) use uri::{host as uri_host, spiffe};

use crate::asn1::DerError;

/// A name that is refused, with a stable code such as `name.wildcard`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct NameError {
    pub code: &'static str,
    pub message: String,
}

impl NameError {
    pub(crate) fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }
}

impl From<DerError> for NameError {
    fn from(error: DerError) -> Self {
        Self::new("asn1.not_der", format!("The name is not valid DER: there is {error}"))
    }
}

/// A hostile value in a message: quoted, escaped and cut short.
pub(crate) fn shown(value: &str) -> String {
    const CHARACTERS_MAX: usize = 80;
    let mut start: String = value.chars().take(CHARACTERS_MAX).collect();
    if start.len() < value.len() {
        start.push('…');
    }
    format!("{start:?}")
}

/// Text rules shared by every kind of name: not empty, no control characters, no blanks at either end.
pub(crate) fn check_text(what: &str, value: &str) -> Result<(), NameError> {
    if value.is_empty() {
        return Err(NameError::new("name.empty", format!("The {what} is empty")));
    }
    if value.chars().any(char::is_control) {
        let message = format!("The {what} {} has a control character", shown(value));
        return Err(NameError::new("name.characters", message));
    }
    if value.trim() != value {
        let message = format!("The {what} {} begins or ends with a blank; remove it", shown(value));
        return Err(NameError::new("name.characters", message));
    }
    Ok(())
}
