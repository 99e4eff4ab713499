//! What the form shows, as texts; and what it asks the core.

use chancery_authority::Error;
use chancery_authority::enrollment::{Attributes, Field, IssueRequest, Offer, Target};
use chancery_model::ApplicationId;
use chancery_model::error::{SuggestedAction, Suggestion};
use chancery_model::profile::{KeyCustody, ProfileDefaults};
use chancery_model::template::RuleState;
use chancery_model::time::Ttl;
use chancery_model::{Timestamp, Violation};
use chancery_pkix::{
    AttributeType, BasicConstraints, ExtendedKeyUsage, GeneralNameKind, KeyAlgorithm, KeyUsage, SignatureAlgorithm,
};
use uuid::Uuid;

use super::words::{attribute_of, field_of};
use crate::error::WebError;
use crate::form::{Form, Problems};

/// Rows of names that wait to be filled in, where no script can add some.
const SPARE_ROWS: usize = 2;
/// More rows than any certificate has names.
const ROWS_MAX: usize = 500;

/// Whose key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Way {
    /// Made by the server.
    #[default]
    Managed,
    Csr,
}

impl Way {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Managed => "managed",
            Self::Csr => "csr",
        }
    }

    /// The wanted way, if the profile goes it.
    pub fn of(offer: &Offer, wanted: &str) -> Self {
        let wants_csr = wanted == Self::Csr.as_str();
        if (wants_csr && may_bring_csr(offer)) || !may_make_key(offer) { Self::Csr } else { Self::Managed }
    }
}

/// Whether the server makes keys for this profile.
pub(crate) fn may_make_key(offer: &Offer) -> bool {
    offer.profile.settings.key_custody != KeyCustody::None
}

/// Whether a key made elsewhere can be certified: a self-signed certificate is signed with its own.
pub(crate) fn may_bring_csr(offer: &Offer) -> bool {
    offer.profile.issuer.ca_id().is_some()
}

/// One row of the subject alternative names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NameRow {
    pub kind: String,
    pub value: String,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Draft {
    pub way: Way,
    pub application: String,
    pub subject: Vec<(AttributeType, String)>,
    pub names: Vec<NameRow>,
    pub key_algorithm: String,
    /// Empty: as the issuer usually signs.
    pub signature_algorithm: String,
    /// Those that may be added to the required ones.
    pub key_usages: Vec<String>,
    pub extended_key_usages: Vec<String>,
    pub ttl: String,
    pub not_before: String,
    pub not_after: String,
    pub is_ca: bool,
    pub path_length: String,
    pub csr: String,
    pub labels: Vec<(String, String)>,
}

impl Draft {
    /// The form as it is first shown: the profile's defaults are filled in.
    pub fn of(offer: &Offer, way: Way) -> Self {
        let defaults = defaults(offer);
        let choices = &offer.choices;
        let subject = choices.subject.iter().map(|it| {
            let default = default_text(&defaults, it.kind);
            let only = it.fixed().map(ToOwned::to_owned);
            (it.kind, default.or(only).unwrap_or_default())
        });
        let mut draft = Self {
            way,
            subject: subject.collect(),
            key_algorithm: default_key(offer).as_str().to_owned(),
            signature_algorithm: defaults.signature_algorithm.map_or_else(String::new, |it| it.as_str().to_owned()),
            key_usages: words(default_key_usages(offer), KeyUsage::as_str),
            extended_key_usages: words(default_extended_key_usages(offer), ExtendedKeyUsage::as_str),
            ttl: default_ttl(offer).unwrap_or_default(),
            is_ca: choices.ca == RuleState::Required || defaults.basic_constraints.is_some_and(|it| it.is_ca),
            path_length: String::new(),
            ..Self::default()
        };
        draft.add_rows(offer);
        draft
    }

    pub fn read(form: &Form, offer: &Offer) -> Self {
        let choices = &offer.choices;
        let rows = form.column("san_type").zip(form.column("san_value")).take(ROWS_MAX);
        let labels = form.column("label_key").zip(form.column("label_value")).take(ROWS_MAX);
        let mut draft = Self {
            way: Way::of(offer, form.text("way")),
            application: form.text("application").to_owned(),
            subject: choices.subject.iter().map(|it| (it.kind, form.text(it.kind.as_str()).to_owned())).collect(),
            names: rows.map(|(kind, value)| NameRow { kind: kind.to_owned(), value: value.to_owned() }).collect(),
            key_algorithm: form.text("key_algorithm").to_owned(),
            signature_algorithm: form.text("signature_algorithm").to_owned(),
            key_usages: form.all("key_usage").map(ToOwned::to_owned).collect(),
            extended_key_usages: form.all("extended_key_usage").map(ToOwned::to_owned).collect(),
            ttl: form.text("ttl").to_owned(),
            not_before: form.text("not_before").to_owned(),
            not_after: form.text("not_after").to_owned(),
            is_ca: choices.ca == RuleState::Required || (choices.ca == RuleState::Allowed && form.has("ca")),
            path_length: form.text("path_length").to_owned(),
            csr: form.raw("csr").unwrap_or_default().trim().to_owned(),
            labels: labels.map(|(key, value)| (key.to_owned(), value.to_owned())).collect(),
        };
        draft.add_rows(offer);
        draft
    }

    /// Empty rows at the end, for whoever has no script to add some.
    fn add_rows(&mut self, offer: &Offer) {
        self.names.retain(|it| !it.value.is_empty());
        let kind = offer.choices.names.first().map_or("", |it| it.kind.as_str());
        let spare = NameRow { kind: kind.to_owned(), value: String::new() };
        self.names.extend(std::iter::repeat_n(spare, SPARE_ROWS));
        self.labels.retain(|(key, value)| !key.is_empty() || !value.is_empty());
        self.labels.push(Default::default());
    }

    /// Whether there is anything to judge yet.
    pub fn is_blank(&self, offer: &Offer) -> bool {
        let untouched = Self::of(offer, self.way);
        match self.way {
            Way::Csr => self.csr.is_empty(),
            Way::Managed => {
                self.subject == untouched.subject && self.names == untouched.names && self.ttl == untouched.ttl
            }
        }
    }

    pub fn value_of(&self, kind: &AttributeType) -> &str {
        self.subject.iter().find(|(it, _)| it == kind).map_or("", |(_, value)| value)
    }

    pub fn has_usage(&self, word: &str) -> bool {
        self.key_usages.iter().chain(&self.extended_key_usages).any(|it| it == word)
    }

    pub fn to_core(&self, offer: &Offer, problems: &mut Problems) -> Option<IssueRequest> {
        let attributes = match self.way {
            Way::Managed => self.attributes(offer, problems),
            Way::Csr => self.validity(offer, problems),
        };
        let csr = (self.way == Way::Csr).then(|| self.csr.clone());
        if csr.as_ref().is_some_and(String::is_empty) {
            problems.add("csr", "Paste a certificate signing request, or choose its file");
        }
        let target =
            Target::Profile { profile_id: offer.profile.id, application_id: self.application(offer, problems) };
        let given = self.labels.iter().filter(|(key, value)| !key.is_empty() || !value.is_empty());
        let request = IssueRequest { target, csr, attributes, metadata: given.cloned().collect() };
        problems.is_empty().then_some(request)
    }

    fn application(&self, offer: &Offer, problems: &mut Problems) -> Option<ApplicationId> {
        if self.application.is_empty() {
            if offer.applications.len() > 1 && !offer.is_open_to_none {
                problems.add("application", "Choose the application that the certificate is for");
            }
            return None;
        }
        let id = self.application.parse::<Uuid>().ok().map(ApplicationId::from_uuid);
        if id.is_none() {
            problems.add("application", "Choose one of the applications that are offered");
        }
        id
    }

    /// What counts beside a CSR as well.
    fn validity(&self, offer: &Offer, problems: &mut Problems) -> Attributes {
        let mut date = |field: &str, text: &str| match text {
            "" => None,
            text => Timestamp::parse_date(text).inspect_err(|error| problems.add(field, error.to_string())).ok(),
        };
        let (not_before, not_after) = (date("not_before", &self.not_before), date("not_after", &self.not_after));
        // An exact end is said in place of a length.
        let is_told = self.not_after.is_empty() && !self.ttl.is_empty();
        let ttl = Some(self.ttl.clone()).filter(|it| is_told && Some(it) != default_ttl(offer).as_ref());
        if let Some(Err(error)) = ttl.as_deref().map(Ttl::parse) {
            problems.add("ttl", error.to_string());
        }
        Attributes {
            ttl,
            not_before,
            not_after,
            basic_constraints: self.constraints(offer, problems),
            ..Attributes::default()
        }
    }

    fn constraints(&self, offer: &Offer, problems: &mut Problems) -> Option<BasicConstraints> {
        let default = defaults(offer).basic_constraints;
        if !self.is_ca {
            let overrules = default.is_some_and(|it| it.is_ca) && self.way == Way::Managed;
            return overrules.then_some(BasicConstraints { is_ca: false, path_length: None });
        }
        let length = match self.path_length.as_str() {
            "" => None,
            text => text
                .parse()
                .inspect_err(|_| problems.add("path_length", "Give a whole number of 0 to 255, or leave it empty"))
                .ok(),
        };
        // The template's or the profile's answer where nothing else was said.
        let is_default = length.is_none() && (offer.choices.ca == RuleState::Required || default.is_some());
        (!is_default).then_some(BasicConstraints { is_ca: true, path_length: length })
    }

    fn attributes(&self, offer: &Offer, problems: &mut Problems) -> Attributes {
        let defaults = defaults(offer);
        let text = |kind| field(self.value_of(&kind), default_text(&defaults, kind));
        let labels = self.value_of(&AttributeType::DomainComponent);
        let is_changed = Some(labels) != default_text(&defaults, AttributeType::DomainComponent).as_deref();
        let split = || labels.split(',').map(|it| it.trim().to_owned()).filter(|it| !it.is_empty()).collect();
        let names: Vec<_> = self.names.iter().filter(|it| !it.value.is_empty()).collect();
        let mut alt_names = Vec::with_capacity(names.len());
        for row in names {
            match row.kind.parse::<GeneralNameKind>() {
                Ok(kind) => alt_names.push((kind, row.value.clone())),
                Err(_) => {
                    problems.add("names", format!("“{}” is not a kind of name; choose one that is offered", row.kind))
                }
            }
        }
        let key = chosen(&self.key_algorithm, "key_algorithm", problems).filter(|it| *it != default_key(offer));
        let signature: Option<SignatureAlgorithm> = chosen(&self.signature_algorithm, "signature_algorithm", problems);
        let choices = &offer.choices;
        let key_usages = usages(&self.key_usages, &choices.key_usages.required, "key_usage", problems);
        let purposes =
            usages(&self.extended_key_usages, &choices.extended_key_usages.required, "extended_key_usage", problems);
        Attributes {
            common_name: text(AttributeType::CommonName),
            organization: text(AttributeType::Organization),
            organizational_unit: text(AttributeType::OrganizationalUnit),
            country: text(AttributeType::Country),
            state: text(AttributeType::State),
            locality: text(AttributeType::Locality),
            domain_components: (is_changed && !labels.is_empty()).then(split),
            key_usages: (!same(&key_usages, &default_key_usages(offer))).then_some(key_usages),
            extended_key_usages: (!same(&purposes, &default_extended_key_usages(offer))).then_some(purposes),
            alt_names: (!alt_names.is_empty()).then_some(alt_names),
            key_algorithm: key.map_or(Field::Missing, Field::Value),
            signature_algorithm: match (signature, defaults.signature_algorithm) {
                (Some(it), default) if Some(it) != default => Field::Value(it),
                (None, Some(_)) => Field::Null,
                _ => Field::Missing,
            },
            ..self.validity(offer, problems)
        }
    }

    /// What the core said against the request, beside the fields of this form.
    pub fn refusal(&self, error: Error) -> Result<Problems, WebError> {
        let mut named: Vec<(String, String)> =
            super::words::FIELDS.iter().map(|(core, here, _)| ((*core).to_owned(), (*here).to_owned())).collect();
        let filled = self.names.iter().enumerate().filter(|(_, it)| !it.value.is_empty());
        for (index, (row, _)) in filled.enumerate() {
            named.push((format!("altNames[{index}]"), format!("name-{row}")));
        }
        let named: Vec<(&str, &str)> = named.iter().map(|(core, here)| (core.as_str(), here.as_str())).collect();
        let mut problems = Problems::from_core(error, &named)?;
        for violation in problems.violations.clone() {
            problems.add(&self.place_of(&violation), format!("Allowed: {}", violation.allowed));
        }
        Ok(problems)
    }

    /// The field of the form that a violation is about: names are found by their value, for the common name's copy stands
    /// among them.
    fn place_of(&self, violation: &Violation) -> String {
        if violation.field.starts_with("altNames") {
            let row = self
                .names
                .iter()
                .position(|it| !it.value.is_empty() && it.value.eq_ignore_ascii_case(&violation.value));
            let common_name = self.value_of(&AttributeType::CommonName);
            return match row {
                Some(row) => format!("name-{row}"),
                None if common_name.eq_ignore_ascii_case(&violation.value) && !common_name.is_empty() => {
                    "common_name".to_owned()
                }
                None => "names".to_owned(),
            };
        }
        field_of(&violation.field).to_owned()
    }

    /// Changes the form as a suggestion says. What it cannot change here (a CSR) stays.
    pub fn apply(&mut self, suggestion: &Suggestion) {
        let value = suggestion.value.clone().unwrap_or_default();
        let list: Option<Vec<String>> = serde_json::from_str(&value).ok();
        match (suggestion.field.as_str(), suggestion.action) {
            ("altNames", SuggestedAction::Set) => {
                self.names = list.iter().flatten().filter_map(|it| name_row(it)).collect()
            }
            ("altNames", SuggestedAction::Add) => {
                self.names.retain(|it| !it.value.is_empty());
                self.names.extend(name_row(&value));
            }
            ("altNames", SuggestedAction::Remove) => {
                let gone = name_row(&value);
                self.names.retain(|it| {
                    gone.as_ref().is_none_or(|gone| gone.kind != it.kind || !gone.value.eq_ignore_ascii_case(&it.value))
                });
            }
            ("keyUsages", action) => change(&mut self.key_usages, action, value, list),
            ("extendedKeyUsages", action) => change(&mut self.extended_key_usages, action, value, list),
            ("keyAlgorithm", _) => self.key_algorithm = value,
            ("signatureAlgorithm", _) => self.signature_algorithm = value,
            ("ttl", _) => self.ttl = value,
            ("notAfter", _) => self.not_after = value,
            ("domainComponents", _) => self.set(AttributeType::DomainComponent, list.unwrap_or_default().join(",")),
            (field, _) => {
                if let Some(kind) = attribute_of(field) {
                    self.set(kind, value);
                }
            }
        }
    }

    fn set(&mut self, kind: AttributeType, value: String) {
        self.subject.retain(|(it, _)| *it != kind);
        self.subject.push((kind, value));
    }

    /// Makes the rows complete again after changes.
    pub fn settle(&mut self, offer: &Offer) {
        self.add_rows(offer);
    }
}

/// `dns_name:www.acme.com`.
fn name_row(text: &str) -> Option<NameRow> {
    let (kind, value) = text.split_once(':')?;
    Some(NameRow { kind: kind.to_owned(), value: value.to_owned() })
}

fn change(list: &mut Vec<String>, action: SuggestedAction, value: String, whole: Option<Vec<String>>) {
    match action {
        SuggestedAction::Set => *list = whole.unwrap_or_default(),
        SuggestedAction::Add => list.push(value),
        SuggestedAction::Remove => list.retain(|it| *it != value),
    }
}

/// A text of the form over the profile's default: the same says nothing, an empty one takes the default away.
fn field(text: &str, default: Option<String>) -> Field<String> {
    match default {
        Some(default) if default == text => Field::Missing,
        Some(_) if text.is_empty() => Field::Null,
        _ if text.is_empty() => Field::Missing,
        _ => Field::Value(text.to_owned()),
    }
}

fn chosen<T: std::str::FromStr>(text: &str, field: &str, problems: &mut Problems) -> Option<T> {
    if text.is_empty() {
        return None;
    }
    let found = text.parse().ok();
    if found.is_none() {
        problems.add(field, "Choose one of the values that are offered");
    }
    found
}

/// What the template requires and what was ticked besides.
fn usages<T: Copy + PartialEq + std::str::FromStr>(
    ticked: &[String],
    required: &[T],
    field: &str,
    problems: &mut Problems,
) -> Vec<T> {
    let mut usages = required.to_vec();
    for word in ticked {
        if let Some(usage) = chosen(word, field, problems)
            && !usages.contains(&usage)
        {
            usages.push(usage);
        }
    }
    usages
}

/// Whether both lists hold the same, in whatever order.
fn same<T: PartialEq>(left: &[T], right: &[T]) -> bool {
    left.len() == right.len() && left.iter().all(|it| right.contains(it))
}

fn words<T>(list: Vec<T>, word: fn(T) -> &'static str) -> Vec<String> {
    list.into_iter().map(|it| word(it).to_owned()).collect()
}

fn defaults(offer: &Offer) -> ProfileDefaults {
    offer.profile.settings.defaults.clone().unwrap_or_default()
}

fn default_key(offer: &Offer) -> KeyAlgorithm {
    defaults(offer).key_algorithm.unwrap_or(offer.choices.key_algorithm_default)
}

fn default_ttl(offer: &Offer) -> Option<String> {
    defaults(offer).ttl_days.map(|days| format!("{days}d"))
}

fn default_key_usages(offer: &Offer) -> Vec<KeyUsage> {
    defaults(offer).key_usages.unwrap_or_else(|| offer.choices.key_usages.required.clone())
}

fn default_extended_key_usages(offer: &Offer) -> Vec<ExtendedKeyUsage> {
    defaults(offer).extended_key_usages.unwrap_or_else(|| offer.choices.extended_key_usages.required.clone())
}

fn default_text(defaults: &ProfileDefaults, kind: AttributeType) -> Option<String> {
    let text = match kind {
        AttributeType::CommonName => defaults.common_name.clone(),
        AttributeType::Organization => defaults.organization.clone(),
        AttributeType::OrganizationalUnit => defaults.organizational_unit.clone(),
        AttributeType::Country => defaults.country.clone(),
        AttributeType::State => defaults.state.clone(),
        AttributeType::Locality => defaults.locality.clone(),
        AttributeType::DomainComponent => defaults.domain_components.as_ref().map(|labels| labels.join(",")),
        _ => None,
    };
    text.filter(|it| !it.is_empty())
}
