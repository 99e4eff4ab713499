//! What is said of rules beside their form while they are written: what is in force, what can never work, what would become
//! of a request, and which past requests would be refused. All of it is the core's word.

use std::net::IpAddr;

use chancery_authority::enrollment::{Attributes, Field};
use chancery_authority::template::{Rehearsal, RuleCheck, Template};
use chancery_authority::{Authority, Error};
use chancery_model::template::TemplateRules;
use chancery_model::{TemplateId, Warning};
use chancery_pkix::GeneralNameKind;

use super::draft::{Draft, place_of, place_problems, text_of};
use super::word;
use crate::error::WebError;
use crate::form::{Form, Problems, parts};
use crate::visit::Visit;

/// Names in the box that tries a template.
const NAMES_MAX: usize = 100;

/// What stands beside the form.
#[derive(Debug, Default)]
pub(crate) struct Preview {
    /// Where, and what is wrong there.
    pub problems: Vec<(String, String)>,
    pub sentences: Vec<String>,
    /// Whoever may request chooses any name.
    pub is_open: bool,
    pub tried: Option<Tried>,
}

/// A request in the try-it box.
#[derive(Clone, Debug, Default)]
pub(crate) struct Trial {
    pub common_name: String,
    pub sans: String,
    pub ttl: String,
    pub csr: String,
}

/// What became of it.
#[derive(Debug, Default)]
pub(crate) struct Tried {
    /// Why the request itself makes no sense; the rest is empty then.
    pub fault: String,
    pub is_approved: bool,
    pub broken: Vec<RuleCheck>,
    pub passed: Vec<RuleCheck>,
    pub warnings: Vec<Warning>,
}

impl Preview {
    /// Also puts what is wrong beside the fields.
    pub async fn of(
        authority: &Authority,
        visit: &Visit,
        draft: &Draft,
        trial: &Trial,
        problems: &mut Problems,
    ) -> Result<Self, WebError> {
        let rules = draft.to_rules(problems);
        match Template::compile(&rules) {
            Err(found) => {
                place_problems(&found, problems);
                let problems = found.iter().map(|it| (title(&place_of(&it.field), draft), text_of(it))).collect();
                Ok(Self { problems, ..Self::default() })
            }
            Ok(template) => Ok(Self {
                sentences: template.summary(),
                is_open: rules.subject.is_none() || rules.sans.is_none(),
                tried: trial.run(authority, visit, &rules).await?,
                problems: Vec::new(),
            }),
        }
    }
}

impl Trial {
    pub fn read(form: &Form) -> Self {
        let text = |name: &str| form.text(name).to_owned();
        Self { common_name: text("try_cn"), sans: text("try_sans"), ttl: text("try_ttl"), csr: text("try_csr") }
    }

    fn is_empty(&self) -> bool {
        [&self.common_name, &self.sans, &self.ttl, &self.csr].into_iter().all(String::is_empty)
    }

    /// `None` while nothing is asked.
    pub async fn run(
        &self,
        authority: &Authority,
        visit: &Visit,
        rules: &TemplateRules,
    ) -> Result<Option<Tried>, WebError> {
        if self.is_empty() {
            return Ok(None);
        }
        let names = parts(&self.sans).take(NAMES_MAX);
        let names: Vec<(GeneralNameKind, String)> = names.map(name_of).collect();
        let attributes = Attributes {
            common_name: field(&self.common_name),
            alt_names: (!names.is_empty()).then_some(names),
            ttl: Some(if self.ttl.is_empty() { usual_ttl(rules) } else { self.ttl.clone() }),
            ..Attributes::default()
        };
        let csr = (!self.csr.is_empty()).then(|| self.csr.clone());
        match authority.try_template(&visit.call, rules, csr, attributes).await {
            Ok(explanation) => {
                let (passed, broken) = explanation.rules.into_iter().partition(|it| it.passed);
                let is_approved = explanation.approved;
                Ok(Some(Tried { fault: String::new(), is_approved, broken, passed, warnings: explanation.warnings }))
            }
            Err(error @ Error::Malformed { .. }) => {
                Ok(Some(Tried { fault: error.public_message(), ..Tried::default() }))
            }
            Err(error) => Err(error.into()),
        }
    }
}

/// Which past requests these rules would refuse.
pub(crate) struct Rehearsed {
    pub days: u32,
    pub outcome: Rehearsal,
    /// Refusals that are known but not listed.
    pub unlisted: u64,
}

/// How far back a rehearsal looks unless told.
pub(crate) const REHEARSAL_DAYS: u32 = 90;

impl Rehearsed {
    pub async fn of(
        authority: &Authority,
        visit: &Visit,
        rules: &TemplateRules,
        template: Option<TemplateId>,
        days: u32,
    ) -> Result<Self, Error> {
        let outcome = authority.rehearse_template(&visit.call, rules, template, days).await?;
        let listed = u64::try_from(outcome.refused.len()).unwrap_or(u64::MAX);
        Ok(Self { days, unlisted: outcome.refused_total.saturating_sub(listed), outcome })
    }
}

/// As a profile would fill it in: the longest that the rules allow.
fn usual_ttl(rules: &TemplateRules) -> String {
    let compiled = Template::compile(rules).ok();
    let bound = compiled.and_then(|it| it.validity_max().or_else(|| it.validity_min()));
    bound.map_or_else(|| "90d".to_owned(), |ttl| format!("{}s", ttl.as_seconds()))
}

/// A name as people write it: `type:value`, or a plain host, address, e-mail address or URI.
fn name_of(text: &str) -> (GeneralNameKind, String) {
    if let Some((kind, value)) = text.split_once(':')
        && let Some(kind) = kind_named(kind.trim())
    {
        return (kind, value.trim().to_owned());
    }
    let kind = if text.parse::<IpAddr>().is_ok() {
        GeneralNameKind::IpAddress
    } else if text.contains("://") {
        GeneralNameKind::Uri
    } else if text.contains('@') {
        GeneralNameKind::Email
    } else {
        GeneralNameKind::DnsName
    };
    (kind, text.to_owned())
}

fn kind_named(word: &str) -> Option<GeneralNameKind> {
    match word {
        "dns" => Some(GeneralNameKind::DnsName),
        "ip" => Some(GeneralNameKind::IpAddress),
        other => other.parse().ok(),
    }
}

fn field(text: &str) -> Field<String> {
    if text.is_empty() { Field::Missing } else { Field::Value(text.to_owned()) }
}

/// A place of the form in words: `DNS name`, `Key usages`.
fn title(place: &str, draft: &Draft) -> String {
    let row = |rows: &super::draft::Rows, name: &str| {
        let index = place.split_once('[').and_then(|(_, rest)| rest.trim_end_matches(']').parse::<usize>().ok());
        let kind = index.and_then(|it| rows.rows.get(it)).map(|it| word::spoken(&it.kind));
        kind.map_or_else(|| name.to_owned(), |kind| format!("{name}, {}", kind.to_lowercase()))
    };
    match place {
        it if it.starts_with("subject") => row(&draft.subject, "Subject"),
        it if it.starts_with("sans") => row(&draft.sans, "Alternative names"),
        "ku" => "Key usages".to_owned(),
        "eku" => "Extended key usages".to_owned(),
        "max_sans" => "Most alternative names".to_owned(),
        "ca" => "CA certificates".to_owned(),
        other => word::spoken(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_people_write_them() {
        use GeneralNameKind as N;
        for (text, kind, value) in [
            ("www.acme.com", N::DnsName, "www.acme.com"),
            ("10.0.0.1", N::IpAddress, "10.0.0.1"),
            ("2001:db8::1", N::IpAddress, "2001:db8::1"),
            ("spiffe://acme/web", N::Uri, "spiffe://acme/web"),
            ("joe@acme.com", N::Email, "joe@acme.com"),
            ("upn:joe@acme.com", N::Upn, "joe@acme.com"),
            ("dns: x.acme.com", N::DnsName, "x.acme.com"),
        ] {
            assert_eq!(name_of(text), (kind, value.to_owned()), "{text}");
        }
    }
}
