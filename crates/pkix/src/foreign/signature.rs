//! How a certificate is signed, in words.

use super::dotted;
use crate::algorithm::SignatureAlgorithm;
use crate::asn1::{DerError, Tlv, tag};

/// Object identifiers of signatures that are never made here, or not with such parameters.
const NAMED: [(&str, &str); 21] = [
    ("1.2.840.113549.1.1.2", "MD2-RSA"),
    ("1.2.840.113549.1.1.3", "MD4-RSA"),
    ("1.2.840.113549.1.1.4", "MD5-RSA"),
    ("1.2.840.113549.1.1.5", "SHA1-RSA"),
    ("1.3.14.3.2.29", "SHA1-RSA"),
    ("1.2.840.113549.1.1.10", "RSA-PSS"),
    ("1.2.840.113549.1.1.11", "SHA256-RSA"),
    ("1.2.840.113549.1.1.12", "SHA384-RSA"),
    ("1.2.840.113549.1.1.13", "SHA512-RSA"),
    ("1.2.840.113549.1.1.14", "SHA224-RSA"),
    ("1.2.840.10045.4.1", "SHA1-ECDSA"),
    ("1.2.840.10045.4.3.1", "SHA224-ECDSA"),
    ("1.2.840.10045.4.3.2", "SHA256-ECDSA"),
    ("1.2.840.10045.4.3.3", "SHA384-ECDSA"),
    ("1.2.840.10045.4.3.4", "SHA512-ECDSA"),
    ("1.2.840.10040.4.3", "SHA1-DSA"),
    ("2.16.840.1.101.3.4.3.1", "SHA224-DSA"),
    ("2.16.840.1.101.3.4.3.2", "SHA256-DSA"),
    ("1.3.101.113", "Ed448"),
    ("1.2.643.2.2.3", "GOST R 34.10-2001"),
    ("1.2.643.7.1.1.3.2", "GOST R 34.10-2012"),
];

/// The algorithm, if both places that name it agree and it is one that is used here, and its name.
pub(super) fn described(inner: Tlv<'_>, outer: Tlv<'_>) -> Result<(Option<SignatureAlgorithm>, String), DerError> {
    let known = SignatureAlgorithm::from_identifier_der(outer.raw);
    if let Some(algorithm) = known {
        let agreed = (inner.raw == outer.raw).then_some(algorithm);
        return Ok((agreed, algorithm.policy_str().to_owned()));
    }
    let kind = outer.reader().expect(tag::OID, "something other than a signature algorithm")?;
    let dotted = dotted(kind.content);
    let text = NAMED.iter().find(|(oid, _)| *oid == dotted).map_or(dotted, |(_, name)| (*name).to_owned());
    Ok((None, text))
}
