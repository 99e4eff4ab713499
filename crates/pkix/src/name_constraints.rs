//! NameConstraints (RFC 5280 §4.2.1.10): what a CA may name, as a type, as bytes, and as a check made before issuance,
//! because those who validate certificates do not all make it.

mod check;
mod subtree;

pub use check::NameConstraintViolation;
use serde::{Deserialize, Serialize};
pub use subtree::GeneralSubtree;

use crate::asn1::{Reader, Writer, canonical, tag};
use crate::name::{DistinguishedName, GeneralName, NameError};

const PERMITTED: u8 = 0xa0;
const EXCLUDED: u8 = 0xa1;

/// JSON form: `{"permitted": [{"type": "dns_name", "value": "acme.com"}], "excluded": []}`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct NameConstraints {
    /// Per kind of name: if there is any subtree of that kind, names of that kind must lie within one of them.
    #[serde(default)]
    pub permitted: Vec<GeneralSubtree>,
    /// Names within any of these are refused, whatever is permitted.
    #[serde(default)]
    pub excluded: Vec<GeneralSubtree>,
}

impl NameConstraints {
    const SUBTREES_MAX: usize = 1024;

    pub fn is_empty(&self) -> bool {
        self.permitted.is_empty() && self.excluded.is_empty()
    }

    /// The extension value.
    pub fn to_der(&self) -> Vec<u8> {
        let mut out = Writer::new();
        out.nested(tag::SEQUENCE, |w| {
            for (tag, subtrees) in [(PERMITTED, &self.permitted), (EXCLUDED, &self.excluded)] {
                if !subtrees.is_empty() {
                    w.nested(tag, |w| subtrees.iter().for_each(|one| one.write(w)));
                }
            }
        });
        out.into_bytes()
    }

    /// Subtrees that cannot be checked here (kinds without a type, `minimum`, `maximum`) are refused rather than
    /// ignored.
    pub fn from_der(der: &[u8]) -> Result<Self, NameError> {
        canonical::check(der)?;
        let mut outer = Reader::new(der);
        let mut parts = outer.sequence("something other than name constraints")?;
        outer.finish()?;
        let mut sides = [Vec::new(), Vec::new()];
        for (tag, side) in [PERMITTED, EXCLUDED].into_iter().zip(&mut sides) {
            if let Some(list) = parts.optional(tag)? {
                let mut subtrees = list.reader();
                while !subtrees.is_empty() {
                    if side.len() == Self::SUBTREES_MAX {
                        return Err(NameError::new("name_constraints.too_long", "There are too many name constraints"));
                    }
                    side.push(GeneralSubtree::read(&mut subtrees)?);
                }
            }
        }
        parts.finish()?;
        let [permitted, excluded] = sides;
        Ok(Self { permitted, excluded })
    }

    /// Every name of the subject and of the SANs that the constraints do not allow; empty if all are allowed. A common
    /// name that looks like a host, an address or a mail address is checked as one.
    pub fn check(&self, subject: &DistinguishedName, sans: &[GeneralName]) -> Vec<NameConstraintViolation> {
        check::check(self, subject, sans)
    }

    /// The name that software which still reads common names would take this one for.
    pub(crate) fn name_in_common_name(value: &str) -> Option<GeneralName> {
        check::name_in_common_name(value)
    }
}
