//! Lint: rules about the bytes that are about to be signed, each with the clause it enforces. The bytes are parsed
//! anew, so a mistake of whoever wrote them does not hide itself. A certificate with a finding must not be signed.
//!
//! One line in [`RULES`] and one function in the module of its topic make a rule. A rule reads [`Parsed`] and the
//! context; it must not know templates, profiles or the clock. CRLs have rules of their own: [`lint_crl`].

mod crl;
mod extensions;
mod frame;
mod key;
mod names;
mod parsed;

pub use crl::{CRL_RULES, CrlLintContext, CrlRule, lint_crl};
use parsed::Parsed;

use crate::certificate::Validity;

/// What a rule is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lint {
    /// Stable, in snake case.
    pub id: &'static str,
    /// The standard and its section.
    pub clause: &'static str,
    /// What must hold, as a sentence.
    pub description: &'static str,
}

/// A lint with its check.
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    pub lint: Lint,
    check: fn(&Parsed<'_>, &LintContext<'_>, &mut Report<'_>),
}

/// What the to-be-signed bytes are compared with.
#[derive(Clone, Copy, Debug)]
pub struct LintContext<'a> {
    /// The subject of the issuing certificate, byte for byte. For a self-signed certificate its own subject.
    pub issuer_subject_der: &'a [u8],
    /// The subject key identifier of the issuing certificate.
    pub issuer_key_id: Option<&'a [u8]>,
    /// `None` for a self-signed certificate, or where the certificate may outlive its issuer.
    pub issuer_validity: Option<Validity>,
    pub self_signed: bool,
}

/// A rule that is broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    pub rule: &'static str,
    pub clause: &'static str,
    pub message: String,
}

/// Collects the findings of one rule.
struct Report<'a> {
    lint: &'a Lint,
    findings: &'a mut Vec<Finding>,
}

impl Report<'_> {
    fn add(&mut self, message: impl Into<String>) {
        let Lint { id, clause, .. } = *self.lint;
        self.findings.push(Finding { rule: id, clause, message: message.into() });
    }

    fn add_if(&mut self, is_broken: bool, message: &str) {
        if is_broken {
            self.add(message);
        }
    }
}

/// Everything that is wrong with these to-be-signed bytes; empty if nothing is.
pub fn lint_tbs(tbs_der: &[u8], context: &LintContext<'_>) -> Vec<Finding> {
    let parsed = match Parsed::read(tbs_der) {
        Ok(parsed) => parsed,
        Err(error) => {
            let message = format!("The to-be-signed bytes are not DER: there is {error}");
            return vec![Finding { rule: DER.id, clause: DER.clause, message }];
        }
    };
    let mut findings = Vec::new();
    for rule in RULES {
        (rule.check)(&parsed, context, &mut Report { lint: &rule.lint, findings: &mut findings });
    }
    findings
}

const DER: Lint = Lint {
    id: "der",
    clause: "X.690 §10",
    description: "The certificate and its extensions are encoded in DER and have the shape of their types.",
};

macro_rules! rules {
    ($($id:ident, $clause:literal, $topic:ident, $description:literal;)+) => {
        &[
            Rule { lint: DER, check: extensions::der },
            $(Rule {
                lint: Lint { id: stringify!($id), clause: $clause, description: $description },
                check: $topic::$id,
            },)+
        ]
    };
}

/// Every rule, in the order in which it is applied.
#[rustfmt::skip]
pub const RULES: &[Rule] = rules! {
    version, "RFC 5280 §4.1.2.1", frame, "The version is 3.";
    unique_ids, "RFC 5280 §4.1.2.8", frame, "There are no unique identifiers of issuer and subject.";
    serial_positive, "RFC 5280 §4.1.2.2", frame, "The serial number is positive.";
    serial_length, "RFC 5280 §4.1.2.2", frame, "The serial number has at most 20 octets.";
    serial_entropy, "CA/B BR §7.1", frame, "The serial number is long enough for 64 random bits.";
    signature_algorithm, "RFC 5280 §4.1.1.2", frame, "The signature algorithm has exactly the bytes of its standard.";
    issuer_present, "RFC 5280 §4.1.2.4", frame, "The issuer is not empty.";
    issuer_bytes, "RFC 5280 §4.1.2.4", frame, "The issuer is the subject of the issuing certificate, byte for byte.";
    self_signed_subject, "RFC 5280 §6.1", frame, "A self-signed certificate has the same issuer and subject.";
    validity_form, "RFC 5280 §4.1.2.5", frame, "Dates through 2049 are UTCTime, later ones GeneralizedTime.";
    validity_order, "RFC 5280 §4.1.2.5", frame, "The certificate does not end before it begins.";
    validity_nesting, "RFC 5280 §6.1.3", frame, "The certificate is valid only while its issuer is.";

    key_algorithm, "RFC 5280 §4.1.2.7", key, "The public key is of an allowed algorithm and size, with exact parameters.";
    key_usage_critical, "RFC 5280 §4.2.1.3", key, "Key usage is critical.";
    key_usage_bits, "RFC 5280 §4.2.1.3", key, "At least one key usage bit is set, and trailing zero bits are not encoded.";
    key_usage_fits_key, "RFC 3279 §2.3, RFC 5480 §3, RFC 8410 §5, RFC 9881 §5", key, "Key usages are ones the key can serve.";
    key_usage_only_modifiers, "RFC 5280 §4.2.1.3", key, "encipherOnly and decipherOnly stand only beside keyAgreement.";
    key_usage_of_ca, "RFC 5280 §4.2.1.9", key, "Certificates are signed by CAs, and CAs may sign certificates.";

    subject_present, "RFC 5280 §4.1.2.6", names, "A CA has a subject; a leaf has a subject or subject alternative names.";
    subject_string_types, "RFC 5280 §4.1.2.4", names, "Attributes of the subject are of the string types of their standards.";
    subject_bounds, "RFC 5280 App. A", names, "Attributes of the subject are within their upper bounds.";
    subject_characters, "RFC 5280 §4.1.2.4", names, "Attributes of the subject have no control characters and no blanks at their ends.";
    subject_types, "RFC 5280 §4.1.2.4", names, "The subject is of single-valued attributes of known types.";
    san_not_empty, "RFC 5280 §4.2.1.6", names, "The subject alternative names are not an empty list.";
    san_critical, "RFC 5280 §4.2.1.6", names, "Subject alternative names are critical exactly when the subject is empty.";
    san_form, "RFC 5280 §4.2.1.6", names, "Every subject alternative name is well formed and in canonical form.";
    san_unique, "RFC 5280 §4.2.1.6", names, "No subject alternative name occurs twice.";
    common_name_repeated, "RFC 9525 §2", names, "The common name of a server is also a subject alternative name.";
    spiffe, "X.509-SVID §2-§4", names, "A SPIFFE certificate has one URI and the usages of its kind.";

    extension_unique, "RFC 5280 §4.2", extensions, "No extension occurs twice.";
    extension_known, "RFC 5280 §4.2", extensions, "Every extension is one that this product issues.";
    extension_default, "X.690 §11.5", extensions, "Default values are not written out.";
    authority_key_id_present, "RFC 5280 §4.2.1.1", extensions, "The authority key identifier is present unless the certificate is self-signed.";
    authority_key_id_form, "RFC 5280 §4.2.1.1", extensions, "The authority key identifier is not critical and holds a key identifier only.";
    authority_key_id_value, "RFC 5280 §4.2.1.1", extensions, "The authority key identifier is the issuer's subject key identifier.";
    subject_key_id_of_ca, "RFC 5280 §4.2.1.2", extensions, "A CA has a subject key identifier.";
    subject_key_id_form, "RFC 5280 §4.2.1.2", extensions, "The subject key identifier is not critical, not empty, at most 32 octets.";
    basic_constraints_critical, "RFC 5280 §4.2.1.9", extensions, "Basic constraints of a CA are critical.";
    path_length_of_ca, "RFC 5280 §4.2.1.9", extensions, "Only a CA that signs certificates has a path length.";
    extended_key_usage_form, "RFC 5280 §4.2.1.12", extensions, "Extended key usages are not critical, not empty, and none occurs twice.";
    extended_key_usage_any, "RFC 5280 §4.2.1.12", extensions, "anyExtendedKeyUsage stands alone.";
    ocsp_signing_alone, "RFC 6960 §4.2.2.2", extensions, "An OCSP responder's certificate serves nothing else and is no CA.";
    name_constraints_of_ca, "RFC 5280 §4.2.1.10", extensions, "Only a CA has name constraints.";
    name_constraints_critical, "RFC 5280 §4.2.1.10", extensions, "Name constraints are critical.";
    name_constraints_not_empty, "RFC 5280 §4.2.1.10", extensions, "Name constraints permit or exclude something.";
    crl_distribution_points, "RFC 5280 §4.2.1.13", extensions, "There is one CRL distribution point, of http or https URIs only, without reasons or CRL issuer, not critical.";
    freshest_crl, "RFC 5280 §4.2.1.15", extensions, "There is one place of delta CRLs, beside a CRL distribution point and of the same form, not critical.";
    authority_info_access, "RFC 5280 §4.2.2.1", extensions, "Access to the authority is by http URIs to OCSP or the issuer's certificate, not critical.";
    no_rev_avail, "RFC 9608 §2, §3", extensions, "noRevAvail is a non-critical NULL on a leaf that points to no revocation information.";
    ocsp_no_check, "RFC 6960 §4.2.2.2.1", extensions, "id-pkix-ocsp-nocheck is a non-critical NULL on an OCSP responder's certificate.";
};

#[cfg(test)]
mod tests;
