//! The forms of the guided set-up: what the inputs show, and what the core is asked for.

use chancery_authority::enrollment::Field;
use chancery_authority::hierarchy::{CaCertificateRequest, NewCa};
use chancery_authority::profile::{NewProfile, ProfileSettingsPatch};
use chancery_authority::template::{NewTemplate, TemplateRulesPatch};
use chancery_model::authority::{AutoRenewal, CaLevel, CaStatus, InternalCaConfiguration, StatusSettings};
use chancery_model::profile::{EnrollmentType, ProfileDefaults, ProfileIssuer};
use chancery_model::template::{Patterns, RuleLists, SanRule, SubjectRule};
use chancery_model::{CaId, TemplateId, Timestamp};
use chancery_pkix::{AttributeType, GeneralNameKind, KeyAlgorithm};

use crate::form::{Form, Problems, parts};

const YEAR_SECONDS: i64 = 365 * 86_400;

/// The core's names of fields, and those of the form.
pub(super) const AUTHORITY_FIELDS: &[(&str, &str)] =
    &[("configuration.organization", "organization"), ("configuration.commonName", "organization")];
pub(super) const TEMPLATE_FIELDS: &[(&str, &str)] = &[
    ("name", "template_name"),
    ("validity.max", "validity"),
    ("subject[0].allowed[0]", "names"),
    ("sans[0].allowed[0]", "names"),
];
pub(super) const PROFILE_FIELDS: &[(&str, &str)] = &[("slug", "slug"), ("defaults.ttlDays", "days")];

/// One form for a root and an issuing CA.
#[derive(Clone, Debug)]
pub(super) struct AuthorityDraft {
    pub organization: String,
    pub root_years: String,
    pub issuing_years: String,
    pub algorithm: String,
}

impl Default for AuthorityDraft {
    fn default() -> Self {
        Self {
            organization: String::new(),
            root_years: "10".to_owned(),
            issuing_years: "5".to_owned(),
            algorithm: KeyAlgorithm::EcP256.as_str().to_owned(),
        }
    }
}

/// What the form asks for.
pub(super) struct Hierarchy {
    pub root: NewCa,
    pub issuing: NewCa,
    pub certificate: IssuingCertificate,
}

/// The issuing CA's certificate, once it is known who signs it.
pub(super) struct IssuingCertificate {
    not_after: Timestamp,
}

impl IssuingCertificate {
    pub fn under(self, root: CaId) -> CaCertificateRequest {
        CaCertificateRequest {
            not_before: None,
            not_after: self.not_after,
            // No CA below it (RFC 5280 §4.2.1.9).
            path_length_max: 0,
            parent_ca_id: Some(root),
        }
    }
}

impl AuthorityDraft {
    pub fn read(form: &Form) -> Self {
        let text = |name: &str| form.text(name).to_owned();
        Self {
            organization: text("organization"),
            root_years: text("root_years"),
            issuing_years: text("issuing_years"),
            algorithm: text("algorithm"),
        }
    }

    pub fn to_core(&self, now: Timestamp, problems: &mut Problems) -> Option<Hierarchy> {
        if self.organization.is_empty() {
            problems.add("organization", "Say whose certification authority this is, such as Acme");
        }
        let root_years = years("root_years", &self.root_years, problems)?;
        let issuing_years = years("issuing_years", &self.issuing_years, problems)?;
        if issuing_years >= root_years {
            problems.add("issuing_years", "An issuing CA ends before the root that signs it");
        }
        let Ok(key_algorithm) = self.algorithm.parse::<KeyAlgorithm>() else {
            problems.add("algorithm", "Choose one of the algorithms that are offered");
            return None;
        };
        let end = |years: i64| now.plus_seconds(years.saturating_mul(YEAR_SECONDS));
        let configuration = |level, title: &str, not_after| InternalCaConfiguration {
            level,
            friendly_name: String::new(),
            common_name: common_name(&self.organization, title),
            organization: self.organization.clone(),
            organizational_unit: String::new(),
            country: String::new(),
            state: String::new(),
            locality: String::new(),
            key_algorithm,
            signature_algorithm: None,
            not_before: None,
            not_after,
            path_length_max: None,
            name_constraints: None,
            status: StatusSettings::default(),
            auto_renewal: AutoRenewal::default(),
            signing: None,
        };
        let new = |name: &str, configuration| NewCa {
            name: name.to_owned(),
            status: CaStatus::Active,
            configuration,
            direct_issuance_template: None,
        };
        problems.is_empty().then(|| Hierarchy {
            root: new("root-ca", configuration(CaLevel::Root, "Root CA", Some(end(root_years)))),
            issuing: new("issuing-ca", configuration(CaLevel::Intermediate, "Issuing CA", None)),
            certificate: IssuingCertificate { not_after: end(issuing_years) },
        })
    }
}

/// A common name holds 64 characters at most (RFC 5280 appendix A.1, ub-common-name).
fn common_name(organization: &str, title: &str) -> String {
    let full = format!("{organization} {title}");
    if full.chars().count() <= 64 { full } else { title.to_owned() }
}

fn years(field: &str, text: &str, problems: &mut Problems) -> Option<i64> {
    let years = text.parse().ok().filter(|years| (1..=30).contains(years));
    if years.is_none() {
        problems.add(field, "Give a whole number of years from 1 to 30");
    }
    years
}

/// A template from a preset, with the names it is for.
#[derive(Clone, Debug)]
pub(super) struct TemplateDraft {
    pub name: String,
    pub preset: String,
    pub names: String,
    pub validity: String,
}

impl Default for TemplateDraft {
    fn default() -> Self {
        Self {
            name: "tls-server".to_owned(),
            preset: "tls-server".to_owned(),
            names: String::new(),
            validity: "1y".to_owned(),
        }
    }
}

impl TemplateDraft {
    pub fn read(form: &Form) -> Self {
        let text = |name: &str| form.text(name).to_owned();
        Self { name: text("template_name"), preset: text("preset"), names: text("names"), validity: text("validity") }
    }

    pub fn to_core(&self, problems: &mut Problems) -> Option<NewTemplate> {
        let names: Vec<String> = parts(&self.names).map(str::to_owned).collect();
        if names.is_empty() {
            problems.add("names", "Name at least one domain, such as *.acme.com");
        }
        if self.name.is_empty() {
            problems.add("template_name", "Give the template a name");
        }
        let allowed = || RuleLists { allowed: Some(Patterns::Flat(names.clone())), ..RuleLists::default() };
        let rules = TemplateRulesPatch {
            subject: Field::Value(vec![SubjectRule { kind: AttributeType::CommonName, lists: allowed() }]),
            sans: Field::Value(vec![SanRule { kind: GeneralNameKind::DnsName, lists: allowed() }]),
            validity_max: Field::Value(self.validity.clone()),
            ..TemplateRulesPatch::default()
        };
        problems.is_empty().then(|| NewTemplate {
            name: self.name.clone(),
            description: None,
            preset: Some(self.preset.clone()),
            rules,
        })
    }
}

/// A profile over the template.
#[derive(Clone, Debug)]
pub(super) struct ProfileDraft {
    pub slug: String,
    /// The id of a CA, or `self-signed`.
    pub issuer: String,
    pub days: String,
    pub renews: bool,
}

impl ProfileDraft {
    pub fn issued_by(issuer: Option<String>) -> Self {
        Self {
            slug: "web-servers".to_owned(),
            issuer: issuer.unwrap_or_else(|| "self-signed".to_owned()),
            days: "90".to_owned(),
            renews: true,
        }
    }

    pub fn read(form: &Form) -> Self {
        let text = |name: &str| form.text(name).to_owned();
        Self { slug: text("slug"), issuer: text("issuer"), days: text("days"), renews: form.has("renews") }
    }

    pub fn to_core(&self, template_id: TemplateId, problems: &mut Problems) -> Option<NewProfile> {
        let issuer = match self.issuer.as_str() {
            "self-signed" => Some(ProfileIssuer::SelfSigned),
            id => id.parse::<CaId>().ok().map(ProfileIssuer::Ca),
        };
        if issuer.is_none() {
            problems.add("issuer", "Choose who issues the certificates");
        }
        let days = self.days.parse::<u32>().ok().filter(|days| *days > 0);
        if days.is_none() {
            problems.add("days", "Give a whole number of days");
        }
        let api = chancery_authority::profile::ApiEnrollmentPatch {
            auto_renew: Some(self.renews),
            ..chancery_authority::profile::ApiEnrollmentPatch::default()
        };
        let settings = ProfileSettingsPatch {
            defaults: Field::Value(ProfileDefaults { ttl_days: days, ..ProfileDefaults::default() }),
            api: Field::Value(api),
            ..ProfileSettingsPatch::default()
        };
        Some(NewProfile {
            slug: self.slug.clone(),
            description: None,
            issuer: issuer.filter(|_| problems.is_empty())?,
            template_id,
            enrollment: Some(EnrollmentType::Api),
            settings,
        })
    }
}
