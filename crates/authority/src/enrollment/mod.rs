//! Resolve: a request and the defaults around it become one immutable [`Enrollment`].
//!
//! Every field gets its value and the source of that value here, once. Nothing downstream looks at the request again.
//! With a CSR the CSR decides subject, names, usages and key; without one the attributes do.

mod attributes;
mod csr;
mod document;
mod names;
mod offer;
mod reread;
mod usage;
mod validity;

use chancery_model::enrollment::{Enrollment, KeySource, Source, Sourced};
use chancery_model::profile::{KeyCustody, ProfileDefaults, ProfileIssuer, ProfileSettings};
use chancery_model::{ApplicationId, CaId, CertificateId, ProfileId, ProjectId, Timestamp, Violation, Warning};
use chancery_pkix::{
    Attribute, BasicConstraints, CertificationRequest, ExtendedKeyUsage, GeneralNameKind, KeyAlgorithm, KeyUsage,
    SignatureAlgorithm,
};

use crate::cache::TemplateInForce;
use crate::error::Error;
use crate::hierarchy::{IssuedBy, Issuer};

pub use document::{DecidedKey, Decision, FieldReport};
pub(crate) use document::{document, field_reports};
pub(crate) use names::{copy_common_name, host_name};
pub use offer::Offer;
pub(crate) use reread::{Past, refill, reread};
pub(crate) use usage::can_serve;

/// A request as a door understood it.
#[derive(Clone, Debug)]
pub struct IssueRequest {
    pub target: Target,
    /// PEM, when the requester has its own key.
    pub csr: Option<String>,
    pub attributes: Attributes,
    pub metadata: Vec<(String, String)>,
}

/// Against what the request is made.
#[derive(Clone, Copy, Debug)]
pub enum Target {
    Profile {
        profile_id: ProfileId,
        application_id: Option<ApplicationId>,
    },
    /// The older CA-only routes: governed by the CA's direct-issuance template.
    Ca(CaId),
}

/// A value that a request may leave out, clear, or give: the difference matters where a profile has a default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Field<T> {
    #[default]
    Missing,
    Null,
    Value(T),
}

impl<T> Field<T> {
    /// The value if given.
    pub const fn given(&self) -> Option<&T> {
        match self {
            Self::Value(value) => Some(value),
            Self::Missing | Self::Null => None,
        }
    }
}

/// The `attributes` object of an issue or renew request.
#[derive(Clone, Debug, Default)]
pub struct Attributes {
    pub common_name: Field<String>,
    pub organization: Field<String>,
    pub organizational_unit: Field<String>,
    pub country: Field<String>,
    pub state: Field<String>,
    pub locality: Field<String>,
    /// Only a non-empty list replaces the profile's.
    pub domain_components: Option<Vec<String>>,
    pub key_usages: Option<Vec<KeyUsage>>,
    pub extended_key_usages: Option<Vec<ExtendedKeyUsage>>,
    pub alt_names: Option<Vec<(GeneralNameKind, String)>>,
    pub key_algorithm: Field<KeyAlgorithm>,
    pub signature_algorithm: Field<SignatureAlgorithm>,
    pub ttl: Option<String>,
    pub not_before: Option<Timestamp>,
    pub not_after: Option<Timestamp>,
    pub basic_constraints: Option<BasicConstraints>,
}

/// Everything a request is resolved against.
pub(crate) struct Circumstances<'a> {
    pub project_id: ProjectId,
    pub profile_id: Option<ProfileId>,
    pub settings: &'a ProfileSettings,
    pub template: &'a TemplateInForce,
    pub issued_by: &'a IssuedBy,
    pub now: Timestamp,
    /// What the attributes' values count as: a renewal's copies are not the caller's words.
    pub source: Source,
    pub renews: Option<CertificateId>,
    /// The renewed certificate's subject, in its order: what the attributes edit.
    pub copied_subject: Option<&'a [Attribute]>,
}

impl<'a> Circumstances<'a> {
    /// Absent: the certificate signs itself, or a CA elsewhere does.
    fn issuer(&self) -> Option<&'a Issuer> {
        self.issued_by.issuer()
    }

    fn defaults(&self) -> Option<&ProfileDefaults> {
        // A renewal copies the old certificate; profile defaults are not applied again.
        if self.renews.is_some() { None } else { self.settings.defaults.as_ref() }
    }
}

/// Resolves a request whose key the server makes, or (for a renewal) keeps.
pub(crate) fn resolve_attributes(
    around: &Circumstances<'_>,
    attributes: &Attributes,
    key: KeySource,
    metadata: Vec<(String, String)>,
) -> Result<Enrollment, Error> {
    if matches!(key, KeySource::Generate) {
        check_makes_keys(around.settings)?;
    }
    attributes::resolve(around, attributes, key, metadata).and_then(|enrollment| finish(around, enrollment))
}

/// Whether the server makes private keys for the profile at all.
pub(crate) fn check_makes_keys(settings: &ProfileSettings) -> Result<(), Error> {
    if settings.key_custody == KeyCustody::None {
        return Err(Error::malformed(
            "csr.required",
            "csr",
            "this profile never makes private keys (keyCustody \"none\"); send a CSR made with your own key",
        ));
    }
    Ok(())
}

/// Resolves a request that comes with a CSR.
pub(crate) fn resolve_csr(
    around: &Circumstances<'_>,
    csr: &CertificationRequest,
    attributes: &Attributes,
    metadata: Vec<(String, String)>,
) -> Result<Enrollment, Error> {
    csr::resolve(around, csr, attributes, metadata).and_then(|enrollment| finish(around, enrollment))
}

/// What the key cannot serve is taken out.
fn finish(around: &Circumstances<'_>, mut enrollment: Enrollment) -> Result<Enrollment, Error> {
    usage::drop_unusable(&mut enrollment);
    if let Some(issuer) = around.issuer() {
        warn_of_weak_issuer(issuer, &mut enrollment);
    }
    Ok(enrollment)
}

/// What no template can permit: a wildcard over a public suffix, a name outside the issuer's name constraints, a purpose
/// that the issuer's chain does not serve, a life beyond the issuer's.
pub(crate) fn standing_violations(enrollment: &Enrollment, issuer: Option<&Issuer>, now: Timestamp) -> Vec<Violation> {
    let mut violations = names::standing_violations(enrollment);
    if let Some(issuer) = issuer {
        violations.extend(names::constraint_violations(issuer, enrollment));
        violations.extend(names::impersonation(issuer, enrollment));
        violations.extend(usage::issuer_violations(issuer, enrollment));
        violations.extend(validity::issuer_violation(enrollment, issuer, now));
    }
    violations
}

/// What no certificate may look like, whatever the template says: nobody named, or a CA that is none.
pub(crate) fn shape_violations(enrollment: &Enrollment, issuer: Option<&Issuer>) -> Vec<Violation> {
    let mut violations: Vec<Violation> = names::nameless_violation(enrollment).into_iter().collect();
    let Sourced { value: wanted, source } = enrollment.basic_constraints;
    let mut refuse = |rule: &str, field: &str, value: &str, allowed: &str| {
        violations.push(violation(rule, field, value, source, allowed.to_owned()));
    };
    let signs_certificates = enrollment.key_usages.iter().any(|it| it.value == KeyUsage::KeyCertSign);
    match (wanted.is_ca, wanted.path_length) {
        (false, Some(length)) => {
            let allowed = "a path length is only possible with isCA true (RFC 5280 §4.2.1.9)";
            refuse("basic_constraints.path_length", "basicConstraints.pathLength", &length.to_string(), allowed);
        }
        (false, None) if signs_certificates => {
            let allowed = "key_cert_sign is only possible with basicConstraints.isCA true (RFC 5280 §4.2.1.3)";
            refuse("key_usages.key_cert_sign", "keyUsages", "key_cert_sign", allowed);
        }
        (false, None) => {}
        (true, _) => {
            if !signs_certificates {
                let allowed = "a CA certificate must have the usage key_cert_sign (RFC 5280 §4.2.1.9)";
                refuse("key_usages.key_cert_sign", "keyUsages", "", allowed);
            }
            if enrollment.subject.is_empty() {
                let allowed = "a CA certificate needs a subject (RFC 5280 §4.1.2.6)";
                refuse("subject.present", "commonName", "", allowed);
            }
            if let Some(Err(Error::Malformed { code, field, message })) =
                issuer.map(|it| it.check_path_length(wanted.path_length))
            {
                let length = wanted.path_length.map_or_else(String::new, |it| it.to_string());
                refuse(code, &field, &length, &message);
            }
        }
    }
    violations
}

fn warn_of_weak_issuer(issuer: &Issuer, enrollment: &mut Enrollment) {
    let issuer_algorithm = issuer.key_algorithm();
    let leaf_algorithm = enrollment.key_algorithm.value;
    if issuer_algorithm.strength_bits() < leaf_algorithm.strength_bits() {
        enrollment.warnings.push(Warning::new(
            "issuer.weaker",
            "keyAlgorithm",
            format!(
                "the issuing CA's key ({}) is weaker than the certificate's ({}); the certificate is only as strong as its issuer",
                issuer_algorithm.as_str(),
                leaf_algorithm.as_str()
            ),
        ));
    }
}

/// The signature algorithm: the caller's or profile's choice if the issuing key can make it, else the issuer's own, or
/// where the template rules that out, the first listed that the key can make.
fn signature_algorithm(
    around: &Circumstances<'_>,
    chosen: Option<Sourced<SignatureAlgorithm>>,
    own_key: KeyAlgorithm,
) -> Result<Sourced<SignatureAlgorithm>, Error> {
    if around.issued_by.signs_unseen() {
        return Ok(chosen.unwrap_or_else(|| hoped_for(around, own_key)));
    }
    let (signing_key, own) = around.issuer().map_or_else(
        || (own_key, own_key.default_signature()),
        |issuer| (issuer.key_algorithm(), issuer.signature_algorithm()),
    );
    let fallback = around.template.rules.preferred_signature_algorithm(signing_key, own);
    let Some(chosen) = chosen else {
        return Ok(Sourced::new(fallback, if fallback == own { Source::Issuer } else { Source::Template }));
    };
    if chosen.value.fits(signing_key) {
        return Ok(chosen);
    }
    Err(Error::malformed(
        "signature_algorithm.mismatch",
        "signatureAlgorithm",
        format!(
            "{} cannot be made with the signing key {}; leave it out to use {}",
            chosen.value.as_str(),
            signing_key.as_str(),
            fallback.as_str()
        ),
    ))
}

/// A CA elsewhere signs with what it has, and another signature than this is only reported. The template's rule about
/// signatures is judged on the hope.
fn hoped_for(around: &Circumstances<'_>, own_key: KeyAlgorithm) -> Sourced<SignatureAlgorithm> {
    let usual = own_key.default_signature();
    match around.template.rules.listed_signature_algorithm() {
        Some(listed) if !around.template.rules.allows_signature_algorithm(usual) => {
            Sourced::new(listed, Source::Template)
        }
        _ => Sourced::new(usual, Source::Default),
    }
}

/// Basic constraints: the caller's, else the fallback's, else what the template requires, else an end entity.
fn basic_constraints(
    around: &Circumstances<'_>,
    requested: Option<Sourced<BasicConstraints>>,
) -> Sourced<BasicConstraints> {
    requested
        .or_else(|| around.defaults()?.basic_constraints.map(|value| Sourced::new(value, Source::Profile)))
        .or_else(|| {
            around.template.rules.requires_ca().then(|| {
                Sourced::new(
                    BasicConstraints { is_ca: true, path_length: around.template.rules.path_length_default() },
                    Source::Template,
                )
            })
        })
        .unwrap_or(Sourced::new(BasicConstraints { is_ca: false, path_length: None }, Source::Default))
}

fn issuer_of(around: &Circumstances<'_>) -> ProfileIssuer {
    around.issued_by.profile_issuer()
}

/// A violation of a rule that stands outside the template.
fn violation(rule: &str, field: &str, value: &str, source: Source, allowed: String) -> Violation {
    Violation {
        rule: rule.to_owned(),
        field: field.to_owned(),
        value: value.to_owned(),
        source: Some(source),
        allowed,
        suggestion: None,
    }
}
