//! Object identifiers as DER content octets: comparing slices is all the reading side needs.

use const_oid::ObjectIdentifier;

use super::reader::DerError;

macro_rules! oids {
    ($($(#[$doc:meta])* $name:ident = $text:literal;)+) => {
        $(
            $(#[$doc])*
            pub(crate) const $name: &[u8] = {
                const OID: ObjectIdentifier = ObjectIdentifier::new_unwrap($text);
                OID.as_bytes()
            };
        )+
    };
}

oids! {
    RSA = "1.2.840.113549.1.1.1";
    MGF1 = "1.2.840.113549.1.1.8";
    RSA_PSS = "1.2.840.113549.1.1.10";
    RSA_SHA256 = "1.2.840.113549.1.1.11";
    RSA_SHA384 = "1.2.840.113549.1.1.12";
    RSA_SHA512 = "1.2.840.113549.1.1.13";
    EC = "1.2.840.10045.2.1";
    P256 = "1.2.840.10045.3.1.7";
    P384 = "1.3.132.0.34";
    P521 = "1.3.132.0.35";
    ECDSA_SHA256 = "1.2.840.10045.4.3.2";
    ECDSA_SHA384 = "1.2.840.10045.4.3.3";
    ECDSA_SHA512 = "1.2.840.10045.4.3.4";
    ED25519 = "1.3.101.112";
    ML_DSA_44 = "2.16.840.1.101.3.4.3.17";
    ML_DSA_65 = "2.16.840.1.101.3.4.3.18";
    ML_DSA_87 = "2.16.840.1.101.3.4.3.19";
    SHA256 = "2.16.840.1.101.3.4.2.1";
    SHA384 = "2.16.840.1.101.3.4.2.2";
    SHA512 = "2.16.840.1.101.3.4.2.3";

    SHA1 = "1.3.14.3.2.26";

    PKCS7_DATA = "1.2.840.113549.1.7.1";
    SIGNED_DATA = "1.2.840.113549.1.7.2";
    ENCRYPTED_DATA = "1.2.840.113549.1.7.6";
    PBES2 = "1.2.840.113549.1.5.13";
    PBKDF2 = "1.2.840.113549.1.5.12";
    SCRYPT = "1.3.6.1.4.1.11591.4.11";
    PBE_SHA1_3DES = "1.2.840.113549.1.12.1.3";
    PBE_SHA1_RC2_40 = "1.2.840.113549.1.12.1.6";
    SHROUDED_KEY_BAG = "1.2.840.113549.1.12.10.1.2";
    SECRET_BAG = "1.2.840.113549.1.12.10.1.5";

    CHALLENGE_PASSWORD = "1.2.840.113549.1.9.7";
    EXTENSION_REQUEST = "1.2.840.113549.1.9.14";

    SUBJECT_KEY_IDENTIFIER = "2.5.29.14";
    KEY_USAGE = "2.5.29.15";
    SUBJECT_ALT_NAME = "2.5.29.17";
    BASIC_CONSTRAINTS = "2.5.29.19";
    CRL_NUMBER = "2.5.29.20";
    REASON_CODE = "2.5.29.21";
    INVALIDITY_DATE = "2.5.29.24";
    DELTA_CRL_INDICATOR = "2.5.29.27";
    ISSUING_DISTRIBUTION_POINT = "2.5.29.28";
    NAME_CONSTRAINTS = "2.5.29.30";
    CRL_DISTRIBUTION_POINTS = "2.5.29.31";
    AUTHORITY_KEY_IDENTIFIER = "2.5.29.35";
    EXTENDED_KEY_USAGE = "2.5.29.37";
    FRESHEST_CRL = "2.5.29.46";
    /// RFC 9608 §2.
    NO_REV_AVAIL = "2.5.29.56";
    AUTHORITY_INFO_ACCESS = "1.3.6.1.5.5.7.1.1";
    ACCESS_OCSP = "1.3.6.1.5.5.7.48.1";
    /// RFC 8737 §6.1.
    ACME_IDENTIFIER = "1.3.6.1.5.5.7.1.31";
    OCSP_BASIC = "1.3.6.1.5.5.7.48.1.1";
    OCSP_NONCE = "1.3.6.1.5.5.7.48.1.2";
    OCSP_ACCEPTABLE_RESPONSES = "1.3.6.1.5.5.7.48.1.4";
    OCSP_NO_CHECK = "1.3.6.1.5.5.7.48.1.5";
    OCSP_EXTENDED_REVOKE = "1.3.6.1.5.5.7.48.1.9";
    ACCESS_CA_ISSUERS = "1.3.6.1.5.5.7.48.2";
    USER_PRINCIPAL_NAME = "1.3.6.1.4.1.311.20.2.3";
    SRV_NAME = "1.3.6.1.5.5.7.8.7";
    SMTP_UTF8_MAILBOX = "1.3.6.1.5.5.7.8.9";
}

/// Content octets to the dotted form's type. OIDs longer than the type holds (39 octets) are refused.
pub(crate) fn to_identifier(content: &[u8], offset: usize) -> Result<ObjectIdentifier, DerError> {
    ObjectIdentifier::from_bytes(content)
        .map_err(|_| DerError { offset, what: "an object identifier that is malformed or too long" })
}
