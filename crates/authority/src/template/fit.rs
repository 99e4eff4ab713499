//! Whether a profile, its template and its issuer can work together; asked when a profile or template is saved.
//!
//! The profile's defaults are put into a request that says nothing else, and the template judges it as it will judge
//! real ones. What is merely missing there does not count: requests bring it.

use chancery_model::authority::CertificationAuthority;
use chancery_model::enrollment::{Enrollment, KeySource, RequestedValidity, Source, Sourced};
use chancery_model::external::ExternalCa;
use chancery_model::profile::{CertificateProfile, KeyCustody, ProfileDefaults, ProfileIssuer};
use chancery_model::time::Ttl;
use chancery_model::{Timestamp, Warning};
use chancery_pkix::{
    Attribute, AttributeType, BasicConstraints, DistinguishedName, ExtendedKeyUsage, GeneralNameKind, KeyAlgorithm,
};

use super::compile::RuleProblem;
use super::evaluate::Detail;
use super::rule::NameRule;
use super::{Template, can_serve};
use crate::enrollment::copy_common_name;

/// Who signs for a profile that is to be judged.
#[derive(Clone, Copy)]
pub(crate) enum ProfileSigner<'a> {
    Itself,
    Ca(&'a CertificationAuthority),
    External(&'a ExternalCa),
}

/// Everything about a profile that can never work.
pub(crate) fn profile_problems(
    template: &Template,
    profile: &CertificateProfile,
    signer: ProfileSigner<'_>,
) -> Vec<RuleProblem> {
    let empty = ProfileDefaults::default();
    let defaults = profile.settings.defaults.as_ref().unwrap_or(&empty);
    let (ca, mut problems) = match signer {
        ProfileSigner::Itself => (None, issuer_problems(template, defaults, None)),
        ProfileSigner::Ca(ca) => (Some(ca), issuer_problems(template, defaults, Some(ca))),
        ProfileSigner::External(ca) => (None, external_problems(template, profile, defaults, ca)),
    };
    match enrollment_of_defaults(template, profile, defaults, ca) {
        Ok(enrollment) => problems.extend(default_problems(template, defaults, &enrollment)),
        Err(found) => problems.extend(found),
    }
    problems
}

/// What a CA elsewhere can never do. How it signs is its own affair.
fn external_problems(
    template: &Template,
    profile: &CertificateProfile,
    defaults: &ProfileDefaults,
    ca: &ExternalCa,
) -> Vec<RuleProblem> {
    let mut problems = Vec::new();
    if template.requires_ca() || defaults.basic_constraints.is_some_and(|it| it.is_ca) {
        let message = format!("the CA '{}' is run elsewhere and issues no CA certificates", ca.name);
        problems.push(RuleProblem::new("caId", "profile.issuer", message));
    }
    if profile.settings.key_custody == KeyCustody::ReturnOnce {
        let message = "a CA that is run elsewhere answers later, when nobody is there to take the key; use stored, or none with CSRs";
        problems.push(RuleProblem::new("keyCustody", "profile.custody", message.to_owned()));
    }
    let given = profile.settings.external_configs.as_ref();
    let faults = given.map(|given| crate::external::overrides(ca, given)).unwrap_or_default();
    problems.extend(faults.into_iter().map(|(field, message)| RuleProblem::new(field, "profile.external", message)));
    problems
}

fn issuer_problems(
    template: &Template,
    defaults: &ProfileDefaults,
    ca: Option<&CertificationAuthority>,
) -> Vec<RuleProblem> {
    let mut problems = Vec::new();
    if let Some(problem) = signing_problem(template, ca) {
        problems.push(problem);
    }
    let signing_key = ca.map_or_else(|| key_of(template, defaults), |ca| ca.configuration.key_algorithm);
    if let Some(signature) = defaults.signature_algorithm
        && !signature.fits(signing_key)
    {
        let message = format!("{signature} cannot be made with the signing key, {signing_key}");
        problems.push(RuleProblem::new("defaults.signatureAlgorithm", "profile.signature", message));
    }
    let wants_ca = template.requires_ca() || defaults.basic_constraints.is_some_and(|it| it.is_ca);
    if let Some(ca) = ca
        && wants_ca
        && ca.configuration.path_length_max == Some(0)
    {
        let message =
            format!("the CA '{}' has a path length of 0 and can issue no CA certificate (RFC 5280 §4.2.1.9)", ca.name);
        problems.push(RuleProblem::new("caId", "profile.issuer", message));
    }
    problems
}

/// Why the issuer, or for self-signed certificates every allowed key, cannot sign as the template demands.
pub(super) fn signing_problem(template: &Template, ca: Option<&CertificationAuthority>) -> Option<RuleProblem> {
    let (able, who) = match ca {
        Some(ca) => {
            let key = ca.configuration.key_algorithm;
            (template.allows_signing_key(key), format!("the CA '{}' signs with a key of type {key}", ca.name))
        }
        None => {
            let able = |key: &KeyAlgorithm| {
                template.allows_key_algorithm(*key) && template.key_serves(*key) && template.allows_signing_key(*key)
            };
            (KeyAlgorithm::ALL.iter().any(able), "a self-signed certificate is signed with its own key".to_owned())
        }
    };
    if able {
        return None;
    }
    let allowed: Vec<&str> = template.signature_algorithms.iter().flatten().map(|it| it.as_str()).collect();
    let message =
        format!("{who}, which can make none of the signatures that the template allows: {}", allowed.join(", "));
    Some(RuleProblem::new("caId", "profile.issuer_signature", message))
}

fn key_of(template: &Template, defaults: &ProfileDefaults) -> KeyAlgorithm {
    defaults.key_algorithm.unwrap_or_else(|| template.preferred_key_algorithm())
}

/// The request that the defaults alone make.
fn enrollment_of_defaults(
    template: &Template,
    profile: &CertificateProfile,
    defaults: &ProfileDefaults,
    ca: Option<&CertificationAuthority>,
) -> Result<Enrollment, Vec<RuleProblem>> {
    let subject = subject_of(defaults)?;
    let mut sans = Vec::new();
    copy_common_name(&subject, &mut sans);
    let key = key_of(template, defaults);
    let signing_key = ca.map_or(key, |ca| ca.configuration.key_algorithm);
    let signature = defaults.signature_algorithm.unwrap_or_else(|| {
        let own =
            ca.and_then(|ca| ca.configuration.signature_algorithm).unwrap_or_else(|| signing_key.default_signature());
        template.preferred_signature_algorithm(signing_key, own)
    });
    let ca_default = BasicConstraints {
        is_ca: template.requires_ca(),
        path_length: template.path_length_default().filter(|_| template.requires_ca()),
    };
    Ok(Enrollment {
        project_id: profile.project_id,
        profile_id: Some(profile.id),
        template_id: profile.template_id,
        template_version: 0,
        issuer: profile.issuer,
        subject,
        sans,
        key_usages: sourced(defaults.key_usages.as_deref(), template.key_usages_required().iter()),
        extended_key_usages: sourced(
            defaults.extended_key_usages.as_deref(),
            template.extended_key_usages_required().iter().copied(),
        ),
        basic_constraints: from_default(defaults.basic_constraints, ca_default),
        key_algorithm: from_default(defaults.key_algorithm, key),
        signature_algorithm: from_default(defaults.signature_algorithm, signature),
        validity: validity_of(template, defaults)?,
        key: KeySource::Generate,
        csr: None,
        renews: None,
        metadata: Vec::new(),
        warnings: Vec::new(),
    })
}

fn subject_of(defaults: &ProfileDefaults) -> Result<Vec<Sourced<Attribute>>, Vec<RuleProblem>> {
    use AttributeType as A;
    let components =
        defaults.domain_components.iter().flatten().map(|label| (A::DomainComponent, "domainComponents", Some(label)));
    let fields = [
        (A::Country, "country", defaults.country.as_ref()),
        (A::State, "state", defaults.state.as_ref()),
        (A::Locality, "locality", defaults.locality.as_ref()),
        (A::Organization, "organization", defaults.organization.as_ref()),
        (A::OrganizationalUnit, "organizationalUnit", defaults.organizational_unit.as_ref()),
        (A::CommonName, "commonName", defaults.common_name.as_ref()),
    ];
    let mut subject = Vec::new();
    let mut problems = Vec::new();
    for (kind, field, value) in components.chain(fields) {
        let Some(value) = value.map(|it| it.trim()).filter(|it| !it.is_empty()) else { continue };
        match DistinguishedName::new(vec![Attribute { kind, value: value.to_owned() }]) {
            Ok(name) => subject.extend(name.attributes().iter().cloned().map(|it| Sourced::new(it, Source::Profile))),
            Err(error) => {
                problems.push(RuleProblem::new(format!("defaults.{field}"), "profile.default", error.message))
            }
        }
    }
    if problems.is_empty() { Ok(subject) } else { Err(problems) }
}

fn validity_of(
    template: &Template,
    defaults: &ProfileDefaults,
) -> Result<Sourced<RequestedValidity>, Vec<RuleProblem>> {
    let (ttl, source) = match defaults.ttl_days {
        Some(days) => (Ttl::from_seconds(i64::from(days) * 86_400), Source::Profile),
        None => {
            (template.validity_max.or(template.validity_min).or_else(|| Ttl::from_seconds(86_400)), Source::Default)
        }
    };
    let Some(ttl) = ttl else {
        return Err(vec![RuleProblem::new("defaults.ttlDays", "profile.default", "give 1 day to 100 years")]);
    };
    let start = Timestamp::from_seconds(0);
    let value = RequestedValidity {
        not_before: start,
        not_after: start.plus_seconds(ttl.as_seconds() - 1),
        ttl,
        explicit: false,
        dated: false,
    };
    Ok(Sourced::new(value, source))
}

fn from_default<T>(default: Option<T>, fallback: T) -> Sourced<T> {
    match default {
        Some(value) => Sourced::new(value, Source::Profile),
        None => Sourced::new(fallback, Source::Template),
    }
}

fn sourced<T: Copy>(default: Option<&[T]>, required: impl Iterator<Item = T>) -> Vec<Sourced<T>> {
    match default {
        Some(values) => values.iter().map(|it| Sourced::new(*it, Source::Profile)).collect(),
        None => required.map(|it| Sourced::new(it, Source::Template)).collect(),
    }
}

/// Violations that the defaults themselves cause.
fn default_problems(template: &Template, defaults: &ProfileDefaults, enrollment: &Enrollment) -> Vec<RuleProblem> {
    let mut problems = Vec::new();
    for check in template.evaluate(enrollment, Detail::Violations).checks {
        let caused = match check.source {
            Some(Source::Profile | Source::Derived) => true,
            Some(_) => false,
            // A default list replaces what the template would fill in, so it must hold everything required.
            None => {
                (check.rule == "key_usages.required" && defaults.key_usages.is_some())
                    || (check.rule == "extended_key_usages.required" && defaults.extended_key_usages.is_some())
            }
        };
        if caused {
            let field = if check.source == Some(Source::Derived) { "commonName" } else { check.field.as_str() };
            let value = if check.value.is_empty() {
                "a value is missing".to_owned()
            } else {
                format!("'{}' is not allowed", check.value)
            };
            let message = format!("{value} by the template (rule {}): {}", check.rule, plain(&check.allowed));
            problems.push(RuleProblem::new(format!("defaults.{}", default_field(field)), "profile.default", message));
        }
    }
    if let Some(key) = defaults.key_algorithm
        && let Some(usage) = template.key_usages_required().iter().find(|usage| !can_serve(key, *usage))
    {
        let message = format!("the template requires {usage}, which a key of type {key} cannot serve");
        problems.push(RuleProblem::new("defaults.keyAlgorithm", "profile.default", message));
    }
    problems
}

/// The profile's name of a field: lengths of life are given in days there.
fn default_field(field: &str) -> &str {
    match field.split('[').next().unwrap_or(field) {
        "ttl" => "ttlDays",
        other => other,
    }
}

/// Without the sentence about changing the request: there is none yet.
fn plain(allowed: &str) -> &str {
    allowed.split(';').next().unwrap_or(allowed)
}

/// What an administrator should know about a profile that is nevertheless saved.
#[must_use]
pub fn profile_warnings(template: &Template, profile: &CertificateProfile) -> Vec<Warning> {
    let mut warnings = Vec::new();
    let purpose =
        |usage| template.extended_key_usages.as_ref().is_none_or(|rule| rule.permits(usage) && !rule.denies(usage));
    // A CA's own certificate logs nobody in.
    if !template.requires_ca()
        && names_are_open(template)
        && (purpose(ExtendedKeyUsage::ClientAuth) || purpose(ExtendedKeyUsage::AnyPurpose))
    {
        warnings.push(Warning::new(
            "profile.open_identity",
            "certificatePolicyId",
            "everybody who may request from this profile chooses the name and can log in with the certificate as anybody; \
             limit the template's names, or take client_auth out",
        ));
    }
    if template.extended_key_usages.is_some() && purpose(ExtendedKeyUsage::AnyPurpose) {
        warnings.push(Warning::new(
            "profile.any_purpose",
            "certificatePolicyId",
            "the template allows any_purpose, which stands for every use; name the purposes that are meant",
        ));
    }
    if template.permits_ca() && template.path_length_max.is_none() {
        warnings.push(Warning::new(
            "profile.open_ca",
            "certificatePolicyId",
            "the template allows CA certificates without a limit of the path length; set basicConstraints.maxPathLength",
        ));
    }
    let settings = &profile.settings;
    let renews = settings.api.as_ref().is_some_and(|api| api.auto_renew);
    if renews && settings.key_custody == KeyCustody::None && !settings.allow_key_reuse {
        warnings.push(Warning::new(
            "profile.renewal_needs_key",
            "apiConfig.autoRenew",
            "this profile never makes keys, so the server can renew only with the stored CSR; set allowKeyReuse",
        ));
    }
    if profile.issuer == ProfileIssuer::SelfSigned && renews && settings.key_custody == KeyCustody::ReturnOnce {
        warnings.push(Warning::new(
            "profile.renewal_loses_key",
            "apiConfig.autoRenew",
            "a key made at a renewal by the server is returned to nobody; use keyCustody stored",
        ));
    }
    warnings
}

/// Whether a requester may pick any identity: a common name, or a name of a kind that people and machines log in with.
fn names_are_open(template: &Template) -> bool {
    use GeneralNameKind as N;
    let open = |rule: &NameRule| {
        let any = |list: &[super::pattern::Pattern]| list.iter().any(|pattern| pattern.is_any());
        any(rule.allowed()) || any(rule.required()) || (rule.allowed.is_none() && rule.required.is_none())
    };
    let subject = template.subject.is_none() || template.attribute_rule(AttributeType::CommonName).is_some_and(open);
    let names = [N::DnsName, N::Email, N::Uri, N::Upn];
    let sans = template.sans.is_none() || names.into_iter().any(|kind| template.san_rule(kind).is_some_and(open));
    subject || sans
}
