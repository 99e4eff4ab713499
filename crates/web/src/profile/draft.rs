//! What the form of a profile shows, as text, and the way between it and the core's own types.

use chancery_authority::enrollment::Field;
use chancery_authority::profile::{ApiEnrollmentPatch, NewProfile, ProfileSettingsPatch};
use chancery_model::profile::{
    CertificateProfile, EnrollmentType, KeyCustody, ProfileDefaults, RenewAt, UnknownCsrExtensions,
};
use chancery_model::time::Ttl;
use chancery_pkix::BasicConstraints;
use serde_json::{Map, Value};

use super::{issuer, template_id};
use crate::form::{Form, Problems};
use crate::template::word;

/// Bounds that the API keeps too.
const TTL_DAYS_MAX: u32 = 36_500;
const TEXT_MAX: usize = 255;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Draft {
    pub slug: String,
    pub description: String,
    /// `ca` or `self-signed`.
    pub issuer_type: String,
    pub ca: String,
    pub template: String,
    /// `api`, or empty: as the applications say that the profile is attached to.
    pub enrollment: String,
    pub ttl_days: String,
    pub common_name: String,
    pub organization: String,
    pub organizational_unit: String,
    pub country: String,
    pub state: String,
    pub locality: String,
    pub domain_components: String,
    pub key_algorithm: String,
    pub signature_algorithm: String,
    pub key_usages: Vec<String>,
    pub extended_key_usages: Vec<String>,
    /// Empty, `no` or `yes`.
    pub default_ca: String,
    pub default_path_length: String,
    pub custody: String,
    pub clamps: bool,
    pub is_strict: bool,
    pub refuses_unknown: bool,
    pub allows_reuse: bool,
    pub no_rev_avail: String,
    pub renews: bool,
    /// `share`, `before` or `days`.
    pub renew_mode: String,
    pub renew_percent: String,
    pub renew_before: String,
    pub renew_days: String,
    pub jitter: String,
    pub revoke_superseded: String,
    pub product: String,
    pub organization_id: String,
    pub dcv_method: String,
}

impl Draft {
    /// An empty form.
    pub fn fresh() -> Self {
        Self {
            issuer_type: "ca".to_owned(),
            // Without a default, a request that names no life is refused.
            ttl_days: "90".to_owned(),
            enrollment: "api".to_owned(),
            custody: KeyCustody::Stored.as_str().to_owned(),
            renew_mode: "share".to_owned(),
            renew_percent: "67".to_owned(),
            ..Self::default()
        }
    }

    pub fn read(form: &Form) -> Self {
        let text = |name: &str| form.text(name).to_owned();
        let all = |name: &str| form.all(name).map(str::to_owned).collect();
        Self {
            slug: text("slug"),
            description: text("description"),
            issuer_type: text("issuer_type"),
            ca: text("ca"),
            template: text("template"),
            enrollment: text("enrollment"),
            ttl_days: text("ttl_days"),
            common_name: text("common_name"),
            organization: text("organization"),
            organizational_unit: text("organizational_unit"),
            country: text("country"),
            state: text("state"),
            locality: text("locality"),
            domain_components: text("domain_components"),
            key_algorithm: text("key_algorithm"),
            signature_algorithm: text("signature_algorithm"),
            key_usages: all("key_usages"),
            extended_key_usages: all("extended_key_usages"),
            default_ca: text("default_ca"),
            default_path_length: text("default_path_length"),
            custody: text("custody"),
            clamps: form.has("clamps"),
            is_strict: form.has("is_strict"),
            refuses_unknown: form.has("refuses_unknown"),
            allows_reuse: form.has("allows_reuse"),
            no_rev_avail: text("no_rev_avail"),
            renews: form.has("renews"),
            renew_mode: text("renew_mode"),
            renew_percent: text("renew_percent"),
            renew_before: text("renew_before"),
            renew_days: text("renew_days"),
            jitter: text("jitter"),
            revoke_superseded: text("revoke_superseded"),
            product: text("product"),
            organization_id: text("organization_id"),
            dcv_method: text("dcv_method"),
        }
    }

    pub fn of(profile: &CertificateProfile) -> Self {
        let settings = &profile.settings;
        let own = settings.external_configs.as_ref().and_then(Value::as_object);
        let external = |name: &str| match own.and_then(|it| it.get(name)) {
            Some(Value::String(text)) => text.clone(),
            Some(Value::Number(number)) => number.to_string(),
            _ => String::new(),
        };
        let draft = Self {
            slug: profile.slug.clone(),
            description: profile.description.clone().unwrap_or_default(),
            template: profile.template_id.to_string(),
            enrollment: profile.enrollment.map_or("", EnrollmentType::as_str).to_owned(),
            custody: settings.key_custody.as_str().to_owned(),
            clamps: settings.clamp_to_issuer,
            is_strict: settings.strict_csr,
            refuses_unknown: settings.unknown_csr_extensions == UnknownCsrExtensions::Refuse,
            allows_reuse: settings.allow_key_reuse,
            no_rev_avail: settings.no_rev_avail_below.map_or_else(String::new, duration),
            product: external("productNameId"),
            organization_id: external("organizationId"),
            dcv_method: external("dcvMethod"),
            ..Self::fresh()
        };
        draft.issued_by(profile).with_defaults(&settings.defaults.clone().unwrap_or_default()).with_renewal(profile)
    }

    /// Issuer and template are those of the profile, whatever was sent.
    pub fn fixed_to(self, profile: &CertificateProfile) -> Self {
        Self { template: profile.template_id.to_string(), ..self }.issued_by(profile)
    }

    fn issued_by(self, profile: &CertificateProfile) -> Self {
        let ca = profile.issuer.ca_id();
        Self {
            issuer_type: if ca.is_some() { "ca" } else { "self-signed" }.to_owned(),
            ca: ca.map_or_else(String::new, |id| id.to_string()),
            ..self
        }
    }

    fn with_defaults(self, it: &ProfileDefaults) -> Self {
        let text = |field: &Option<String>| field.clone().unwrap_or_default();
        Self {
            ttl_days: it.ttl_days.map_or_else(String::new, |days| days.to_string()),
            common_name: text(&it.common_name),
            organization: text(&it.organization),
            organizational_unit: text(&it.organizational_unit),
            country: text(&it.country),
            state: text(&it.state),
            locality: text(&it.locality),
            domain_components: it.domain_components.iter().flatten().cloned().collect::<Vec<_>>().join(", "),
            key_algorithm: it.key_algorithm.map_or("", |key| key.as_str()).to_owned(),
            signature_algorithm: it.signature_algorithm.map_or("", |name| name.as_str()).to_owned(),
            key_usages: it.key_usages.iter().flatten().map(|usage| usage.as_str().to_owned()).collect(),
            extended_key_usages: it
                .extended_key_usages
                .iter()
                .flatten()
                .map(|usage| usage.as_str().to_owned())
                .collect(),
            default_ca: match it.basic_constraints {
                None => "",
                Some(BasicConstraints { is_ca: true, .. }) => "yes",
                Some(_) => "no",
            }
            .to_owned(),
            default_path_length: it
                .basic_constraints
                .and_then(|it| it.path_length)
                .map_or_else(String::new, |length| length.to_string()),
            ..self
        }
    }

    fn with_renewal(self, profile: &CertificateProfile) -> Self {
        let Some(api) = &profile.settings.api else { return self };
        let (mode, percent, before) = match (api.renew_before_days, api.renew_at) {
            (Some(_), _) => ("days", self.renew_percent.clone(), String::new()),
            (None, RenewAt::Permille(part)) => ("share", percent(part), String::new()),
            (None, RenewAt::Before(before)) => ("before", self.renew_percent.clone(), duration(before)),
        };
        Self {
            renews: api.auto_renew,
            renew_mode: mode.to_owned(),
            renew_percent: percent,
            renew_before: before,
            renew_days: api.renew_before_days.map_or_else(String::new, |days| days.to_string()),
            jitter: api.renew_jitter.map_or_else(String::new, duration),
            revoke_superseded: api.revoke_superseded_after.map_or_else(String::new, duration),
            ..self
        }
    }

    /// The profile that the form describes; `None`, with the problems noted, when it cannot be read. `stored` is what it
    /// is about to change.
    pub fn to_core(&self, stored: Option<&CertificateProfile>, problems: &mut Problems) -> Option<NewProfile> {
        let issuer = issuer(self);
        if issuer.is_none() {
            problems.add("ca", "Choose the CA that issues, or the issuer type Self-Signed");
        }
        let template_id = template_id(&self.template);
        if template_id.is_none() {
            problems.add("template", "Choose the template that says what may be requested");
        }
        let settings = ProfileSettingsPatch {
            defaults: Field::Value(self.defaults(problems)),
            api: self.renewal(stored, problems),
            external_configs: self.external(stored),
            key_custody: KeyCustody::ALL.iter().copied().find(|it| it.as_str() == self.custody),
            clamp_to_issuer: Some(self.clamps),
            strict_csr: Some(self.is_strict),
            unknown_csr_extensions: Some(match self.refuses_unknown {
                true => UnknownCsrExtensions::Refuse,
                false => UnknownCsrExtensions::Ignore,
            }),
            allow_key_reuse: Some(self.allows_reuse),
            no_rev_avail_below: ttl_field(&self.no_rev_avail, "no_rev_avail", problems),
        };
        let description = Some(self.description.clone()).filter(|it| !it.is_empty());
        let enrollment = (self.enrollment == EnrollmentType::Api.as_str()).then_some(EnrollmentType::Api);
        let (issuer, template_id) = (issuer?, template_id?);
        let slug = self.slug.clone();
        problems.is_empty().then_some(NewProfile { slug, description, issuer, template_id, enrollment, settings })
    }

    fn defaults(&self, problems: &mut Problems) -> ProfileDefaults {
        let mut text = |field: &str, value: &String| {
            if value.chars().count() > TEXT_MAX {
                problems.add(field, format!("At most {TEXT_MAX} characters"));
            }
            (!value.is_empty()).then(|| value.clone())
        };
        let subject = ProfileDefaults {
            common_name: text("common_name", &self.common_name),
            organization: text("organization", &self.organization),
            organizational_unit: text("organizational_unit", &self.organizational_unit),
            country: text("country", &self.country),
            state: text("state", &self.state),
            locality: text("locality", &self.locality),
            ..ProfileDefaults::default()
        };
        let labels = self.domain_components.split(',').map(str::trim).filter(|it| !it.is_empty());
        let labels: Vec<String> = labels.map(str::to_owned).collect();
        let path_length = number(&self.default_path_length, 255, "default_path_length", problems);
        ProfileDefaults {
            ttl_days: number(&self.ttl_days, TTL_DAYS_MAX, "ttl_days", problems),
            domain_components: (!labels.is_empty()).then_some(labels),
            key_algorithm: self.key_algorithm.parse().ok(),
            signature_algorithm: self.signature_algorithm.parse().ok(),
            key_usages: ticked(&self.key_usages),
            extended_key_usages: ticked(&self.extended_key_usages),
            basic_constraints: match self.default_ca.as_str() {
                "yes" => Some(BasicConstraints {
                    is_ca: true,
                    path_length: path_length.and_then(|length| u8::try_from(length).ok()),
                }),
                "no" => Some(BasicConstraints { is_ca: false, path_length: None }),
                _ => None,
            },
            ..subject
        }
    }

    fn renewal(&self, stored: Option<&CertificateProfile>, problems: &mut Problems) -> Field<ApiEnrollmentPatch> {
        if !self.renews && stored.is_none_or(|it| it.settings.api.is_none()) {
            return Field::Missing;
        }
        let at = match self.renew_mode.as_str() {
            "before" => match ttl_field(&self.renew_before, "renew_before", problems) {
                Field::Value(before) => Field::Value(RenewAt::Before(before)),
                _ => {
                    problems.add("renew_before", "Say how long before the end, such as 10d");
                    Field::Null
                }
            },
            "share" => share(&self.renew_percent, problems).map_or(Field::Null, Field::Value),
            _ => Field::Null,
        };
        let days = match self.renew_mode.as_str() {
            "days" => number(&self.renew_days, 30, "renew_days", problems).map_or_else(
                || {
                    problems.add("renew_days", "Give 1 to 30 days");
                    Field::Null
                },
                Field::Value,
            ),
            _ => Field::Null,
        };
        Field::Value(ApiEnrollmentPatch {
            auto_renew: Some(self.renews),
            renew_before_days: days,
            renew_at: at,
            renew_jitter: ttl_field(&self.jitter, "jitter", problems),
            revoke_superseded_after: ttl_field(&self.revoke_superseded, "revoke_superseded", problems),
        })
    }

    /// What CAs of some kinds take from a profile. Keys that this form does not know stay as they are.
    fn external(&self, stored: Option<&CertificateProfile>) -> Field<Value> {
        let before = stored.and_then(|it| it.settings.external_configs.as_ref()).and_then(Value::as_object).cloned();
        let mut configs: Map<String, Value> = before.clone().unwrap_or_default();
        let fields = [
            ("productNameId", &self.product),
            ("organizationId", &self.organization_id),
            ("dcvMethod", &self.dcv_method),
        ];
        for (name, value) in fields {
            let shown = configs.get(name).map(|it| it.as_str().map_or_else(|| it.to_string(), str::to_owned));
            match value.as_str() {
                "" => drop(configs.remove(name)),
                same if shown.as_deref() == Some(same) => {}
                text => drop(configs.insert(name.to_owned(), Value::String(text.to_owned()))),
            }
        }
        match (before, configs) {
            (None, configs) if configs.is_empty() => Field::Missing,
            (Some(before), configs) if before == configs => Field::Missing,
            (_, configs) => Field::Value(Value::Object(configs)),
        }
    }

    pub fn has_usage(&self, name: &str) -> bool {
        self.key_usages.iter().chain(&self.extended_key_usages).any(|it| it == name)
    }

    /// For the page of a profile: what it gives, in words; what is left to the template is left out.
    pub fn facts(&self) -> Vec<(&'static str, String)> {
        let usages = |list: &[String]| list.iter().map(|it| word::usage(it)).collect::<Vec<_>>().join(", ");
        let given = |text: &str, unit: &str| if text.is_empty() { String::new() } else { format!("{text}{unit}") };
        let yes = |is: bool, text: &str| if is { text.to_owned() } else { String::new() };
        let key = self.key_algorithm.parse().map(chancery_pkix::KeyAlgorithm::label).unwrap_or_default();
        let renewal = match (self.renews, self.renew_mode.as_str()) {
            (false, _) => "Not by the server".to_owned(),
            (true, "days") => format!("By the server, {} days before the end", self.renew_days),
            (true, "before") => format!("By the server, {} before the end", self.renew_before),
            (true, _) => format!("By the server, after {} % of the lifetime", self.renew_percent),
        };
        let facts = [
            ("Valid for", given(&self.ttl_days, " days")),
            ("Common name", self.common_name.clone()),
            ("Organization", self.organization.clone()),
            ("Organizational unit", self.organizational_unit.clone()),
            ("Country", self.country.clone()),
            ("State", self.state.clone()),
            ("Locality", self.locality.clone()),
            ("Domain components", self.domain_components.clone()),
            ("Key", key.to_owned()),
            ("Signature", self.signature_algorithm.clone()),
            ("Key usages", usages(&self.key_usages)),
            ("Extended key usages", usages(&self.extended_key_usages)),
            ("CA certificate", yes(self.default_ca == "yes", "yes")),
            ("Private keys", custody_words(&self.custody).to_owned()),
            ("Renewal", renewal),
            ("Superseded certificates", given(&self.revoke_superseded, " after their renewal: revoked")),
            ("Longer than the issuer", yes(self.clamps, "shortened, with a warning")),
            ("CSR and request differ", yes(self.is_strict, "refused")),
            ("Unknown CSR extensions", yes(self.refuses_unknown, "refused")),
            ("Same key again", yes(self.allows_reuse, "renewals may reuse it")),
            ("Without revocation below", self.no_rev_avail.clone()),
            ("DigiCert product", self.product.clone()),
            ("DigiCert organization", self.organization_id.clone()),
            ("DigiCert validation", self.dcv_method.clone()),
        ];
        facts.into_iter().filter(|(_, text)| !text.is_empty()).collect()
    }
}

/// The form's field for one of the core's; `None` where the form has none.
pub(crate) fn place_of(field: &str) -> Option<String> {
    let place = match field.split('[').next().unwrap_or(field) {
        "slug" => "slug",
        "description" => "description",
        "keyCustody" => "custody",
        "caId" => "ca",
        "certificatePolicyId" => "template",
        "apiConfig.renewBeforeDays" => "renew_days",
        "apiConfig.renewAt.fraction" => "renew_percent",
        "defaults.ttlDays" => "ttl_days",
        "defaults.commonName" => "common_name",
        "defaults.organization" => "organization",
        "defaults.organizationalUnit" => "organizational_unit",
        "defaults.country" => "country",
        "defaults.state" => "state",
        "defaults.locality" => "locality",
        "defaults.domainComponents" => "domain_components",
        "defaults.keyAlgorithm" => "key_algorithm",
        "defaults.signatureAlgorithm" => "signature_algorithm",
        "defaults.keyUsages" => "key_usages",
        "defaults.extendedKeyUsages" => "extended_key_usages",
        it if it.starts_with("defaults.basicConstraints") => "default_ca",
        "externalConfigs.productNameId" => "product",
        "externalConfigs.organizationId" => "organization_id",
        "externalConfigs.dcvMethod" => "dcv_method",
        _ => return None,
    };
    Some(place.to_owned())
}

fn custody_words(custody: &str) -> &'static str {
    match custody {
        "returnOnce" => "given out once, never kept",
        "none" => "never made here: CSR only",
        _ => "kept here, sealed",
    }
}

fn ticked<T: std::str::FromStr>(names: &[String]) -> Option<Vec<T>> {
    let found: Vec<T> = names.iter().filter_map(|it| it.parse().ok()).collect();
    (!found.is_empty()).then_some(found)
}

fn number(text: &str, most: u32, field: &str, problems: &mut Problems) -> Option<u32> {
    if text.is_empty() {
        return None;
    }
    let found = text.parse().ok().filter(|it| *it <= most);
    if found.is_none() {
        problems.add(field, format!("Give a whole number, at most {most}"));
    }
    found
}

/// `66.7` percent.
fn share(text: &str, problems: &mut Problems) -> Option<RenewAt> {
    let percent = text.trim_end_matches(['%', ' ']).parse::<f64>().ok().filter(|it| (10.0..=95.0).contains(it));
    let Some(percent) = percent else {
        problems.add("renew_percent", "Give 10 to 95 percent of the lifetime");
        return None;
    };
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "within 100 and 950 by the check above"
    )]
    Some(RenewAt::Permille((percent * 10.0).round() as u16))
}

fn percent(permille: u16) -> String {
    match (permille / 10, permille % 10) {
        (whole, 0) => whole.to_string(),
        (whole, tenth) => format!("{whole}.{tenth}"),
    }
}

fn ttl_field(text: &str, field: &str, problems: &mut Problems) -> Field<Ttl> {
    if text.is_empty() {
        return Field::Null;
    }
    match Ttl::parse(text) {
        Ok(ttl) => Field::Value(ttl),
        Err(error) => {
            problems.add(field, error.to_string());
            Field::Null
        }
    }
}

/// In the grammar of requests, so that it can be sent back: `90d`, `36h`, `45m`, `61s`.
pub(super) fn duration(ttl: Ttl) -> String {
    let seconds = ttl.as_seconds();
    let unit = [(86_400, 'd'), (3_600, 'h'), (60, 'm')].into_iter().find(|(length, _)| seconds % length == 0);
    unit.map_or_else(|| format!("{seconds}s"), |(length, unit)| format!("{}{unit}", seconds / length))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_read_and_written_in_percent() {
        for (permille, text) in [(670, "67"), (333, "33.3"), (100, "10"), (950, "95")] {
            assert_eq!(percent(permille), text);
            assert_eq!(share(text, &mut Problems::default()), Some(RenewAt::Permille(permille)));
        }
        for text in ["", "9", "96", "half"] {
            let mut problems = Problems::default();
            assert_eq!(share(text, &mut problems), None);
            assert!(!problems.of("renew_percent").is_empty(), "{text}");
        }
    }

    #[test]
    fn durations_are_written_as_they_are_read() {
        for text in ["90d", "36h", "45m", "61s"] {
            assert_eq!(duration(Ttl::parse(text).unwrap()), text);
        }
    }
}
