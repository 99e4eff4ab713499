//! Bytes to RFC types and back: X.509 certificates, PKCS#10 requests, CRLs, OCSP, names, serial numbers, algorithms,
//! and the lint rules every to-be-signed certificate and CRL passes.
//!
//! Anybody may call this crate. It must not know the time, randomness, files, sockets, or what the product stores:
//! everything it needs comes in as an argument and everything it says goes out as a value. Private keys are made and
//! used elsewhere; only the checking of signatures lives here.
//!
//! Start reading at [`csr`] (what comes in), then [`certificate`] (what goes out) and [`lint`] (what is checked in
//! between). [`asn1`] is the strict DER reader and writer beneath all of them.

#[macro_use]
mod text;

pub mod algorithm;
pub(crate) mod asn1;
pub mod certificate;
pub mod crl;
pub mod csr;
pub mod foreign;
pub mod lint;
pub mod name;
pub mod name_constraints;
pub mod ocsp;
pub mod pem;
pub mod pkcs12;
pub mod pkcs7;
pub mod public_key;
pub mod serial;
pub mod usage;

pub use algorithm::{KeyAlgorithm, KeyFamily, SignatureAlgorithm};
pub use certificate::{
    BasicConstraints, Certificate, CertificateError, EncodeError, Extensions, TbsCertificate, Validity, assemble,
};
pub use const_oid::ObjectIdentifier;
pub use crl::{
    CertificateList, CrlEntryContents, CrlError, IssuingDistributionPoint, RevokedCertificate, TbsCertList, UnsignedCrl,
};
pub use csr::{CertificationRequest, CertificationRequestInfo, CsrError};
pub use foreign::{ExtensionDescription, ForeignCertificate, describe_extensions};
pub use lint::{CrlLintContext, Finding, LintContext, lint_crl, lint_tbs};
pub use name::{Attribute, AttributeType, DistinguishedName, GeneralName, GeneralNameKind, NameError};
pub use name_constraints::{GeneralSubtree, NameConstraintViolation, NameConstraints};
pub use ocsp::{
    BasicOcspResponse, CertId, CertStatus, HashAlgorithm, IssuerHashes, OcspErrorStatus, OcspRequest, OcspRequestError,
    OcspResponseError, ReadSingleResponse, ResponderId, ResponseData, SingleResponse, assemble_response,
};
pub use public_key::{KeyError, PublicKey};
pub use serial::{SerialError, SerialNumber};
pub use text::UnknownText;
pub use usage::{ExtendedKeyUsage, KeyUsage, KeyUsages};
