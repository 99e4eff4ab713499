//! Templates are created, changed and deleted here: permission, rules, name, audit entry and change in one write.

use chancery_model::audit::AuditEvent;
use chancery_model::permission::Permission;
use chancery_model::profile::ProfileIssuer;
use chancery_model::template::{
    AlgorithmRule, BasicConstraintsRule, CertificateTemplate, ListRule, SanRule, SubjectRule, TemplateRules,
    ValidityRule,
};
use chancery_model::{ProjectId, TemplateId};
use chancery_store::{Change, Conflict, StoreError, Write};
use serde_json::json;

use super::compile::RuleProblem;
use super::fit::signing_problem;
use super::{Template, presets};
use crate::enrollment::Field;
use crate::{Authority, Call, Error};

/// What a template is made from. Rules given beside a preset replace the preset's, block by block.
#[derive(Clone, Debug, Default)]
pub struct NewTemplate {
    /// 1 to 255 characters; turned into lower-case letters, digits and single hyphens. If taken, a suffix is added.
    pub name: String,
    pub description: Option<String>,
    pub preset: Option<String>,
    pub rules: TemplateRulesPatch,
}

#[derive(Clone, Debug, Default)]
pub struct TemplatePatch {
    pub name: Option<String>,
    pub description: Field<String>,
    pub rules: TemplateRulesPatch,
}

/// Missing keeps a block, null clears it (no constraint).
#[derive(Clone, Debug, Default)]
pub struct TemplateRulesPatch {
    pub subject: Field<Vec<SubjectRule>>,
    pub sans: Field<Vec<SanRule>>,
    pub key_usages: Field<ListRule>,
    pub extended_key_usages: Field<ListRule>,
    pub algorithms: Field<AlgorithmRule>,
    /// The wire's `validity.max`.
    pub validity_max: Field<String>,
    /// The wire's `minValidity`.
    pub validity_min: Field<String>,
    pub basic_constraints: Field<BasicConstraintsRule>,
    pub sans_max: Field<u32>,
}

/// Characters in a name, and those that a suffix against a taken name needs.
const NAME_MAX: usize = 255;
const SUFFIX: usize = 9;

const DESCRIPTION_MAX: usize = 1000;

impl TemplateRulesPatch {
    fn onto(self, mut rules: TemplateRules) -> TemplateRules {
        let mut validity = rules.validity.take().unwrap_or_default();
        replace(&mut rules.subject, self.subject);
        replace(&mut rules.sans, self.sans);
        replace(&mut rules.key_usages, self.key_usages);
        replace(&mut rules.extended_key_usages, self.extended_key_usages);
        replace(&mut rules.algorithms, self.algorithms);
        replace(&mut validity.max, self.validity_max);
        replace(&mut validity.min, self.validity_min);
        replace(&mut rules.basic_constraints, self.basic_constraints);
        replace(&mut rules.sans_max, self.sans_max);
        rules.validity = (validity != ValidityRule::default()).then_some(validity);
        rules
    }
}

fn replace<T>(current: &mut Option<T>, field: Field<T>) {
    match field {
        Field::Missing => {}
        Field::Null => *current = None,
        Field::Value(value) => *current = Some(value),
    }
}

impl Authority {
    /// Creates a template. `Malformed` names every rule that is wrong or can never be met.
    pub async fn create_template(&self, call: &Call, new: NewTemplate) -> Result<CertificateTemplate, Error> {
        call.requester.require(Permission::TemplateCreate)?;
        let base = match &new.preset {
            None => TemplateRules::default(),
            Some(id) => preset_rules(id)?,
        };
        let rules = new.rules.onto(base);
        Template::compile(&rules).map_err(problems_error)?;
        let now = self.now();
        let template = CertificateTemplate {
            id: TemplateId::generate(now, self.random()),
            project_id: call.project_id(),
            name: slug(&new.name)?,
            description: description(new.description)?,
            rules,
            version: 1,
            created_at: now,
            updated_at: now,
        };
        self.save_template(call, template, None).await
    }

    /// Changes a template. Requests are judged by the new rules as soon as this returns; issued certificates keep the
    /// version they were issued under.
    pub async fn update_template(
        &self,
        call: &Call,
        id: TemplateId,
        patch: TemplatePatch,
    ) -> Result<CertificateTemplate, Error> {
        call.requester.require(Permission::TemplateEdit)?;
        let before = self.template_record(call.project_id(), id).await?;
        let mut after = before.clone();
        if let Some(name) = patch.name {
            after.name = slug(&name)?;
        }
        match patch.description {
            Field::Missing => {}
            Field::Null => after.description = None,
            Field::Value(text) => after.description = description(Some(text))?,
        }
        after.rules = patch.rules.onto(after.rules);
        let compiled = Template::compile(&after.rules).map_err(problems_error)?;
        self.check_signers(&after, &compiled).await?;
        after.version += 1;
        after.updated_at = self.now();
        self.save_template(call, after, Some(before)).await
    }

    /// Deletes a template that no profile, CA or certificate uses.
    pub async fn delete_template(&self, call: &Call, id: TemplateId) -> Result<CertificateTemplate, Error> {
        call.requester.require(Permission::TemplateDelete)?;
        let template = self.template_record(call.project_id(), id).await?;
        let users: Vec<String> =
            self.reader().profiles_of_template(id).await?.into_iter().map(|(_, slug)| slug).collect();
        if !users.is_empty() {
            let message = format!(
                "The template is used by the certificate profiles {}; delete or change these first",
                users.join(", ")
            );
            return Err(Error::forbidden("template.in_use", message));
        }
        let details = json!({ "name": template.name, "before": content(&template) });
        let record = call.audit(self.now(), AuditEvent::TemplateDeleted, Some(("template", id.as_uuid())), details);
        let write = Write::default().with(Change::DeleteTemplate(id)).audited(record);
        match self.commit(write).await {
            Err(Error::Store(StoreError::Conflict(Conflict::InUse))) => Err(Error::forbidden(
                "template.in_use",
                "The template is still used by a certificate profile, a CA or a certificate",
            )),
            Err(error) => Err(error),
            Ok(()) => Ok(template),
        }
    }

    /// Rules as a change would leave them, saved or not: those of the template, or of the preset, with the patch's blocks
    /// in place of its own. For trying and rehearsing them.
    pub async fn proposed_rules(
        &self,
        call: &Call,
        template: Option<TemplateId>,
        preset: Option<&str>,
        patch: TemplateRulesPatch,
    ) -> Result<TemplateRules, Error> {
        call.requester.require(Permission::TemplateRead)?;
        let base = match (template, preset) {
            (None, None) => TemplateRules::default(),
            (Some(id), None) => self.template_record(call.project_id(), id).await?.rules,
            (None, Some(preset)) => preset_rules(preset)?,
            (Some(_), Some(_)) => {
                let text = "a template has rules already; leave the preset or the template out";
                return Err(Error::malformed("template.preset", "preset", text));
            }
        };
        Ok(patch.onto(base))
    }

    async fn template_record(&self, project: ProjectId, id: TemplateId) -> Result<CertificateTemplate, Error> {
        self.reader().template(project, id).await?.ok_or_else(|| Error::not_found("Certificate policy", id))
    }

    /// Commits under the wanted name, or with a random suffix where that is taken.
    async fn save_template(
        &self,
        call: &Call,
        mut template: CertificateTemplate,
        before: Option<CertificateTemplate>,
    ) -> Result<CertificateTemplate, Error> {
        const ATTEMPTS: usize = 4;
        let wanted = template.name.clone();
        let keeps_name = before.as_ref().is_some_and(|it| it.name == wanted);
        if !keeps_name && self.reader().template_name_taken(template.project_id, &wanted).await? {
            template.name = self.suffixed(&wanted);
        }
        for _ in 0..ATTEMPTS {
            let event = if before.is_some() { AuditEvent::TemplateUpdated } else { AuditEvent::TemplateCreated };
            let details =
                json!({ "name": template.name, "before": before.as_ref().map(content), "after": content(&template) });
            let record = call.audit(self.now(), event, Some(("template", template.id.as_uuid())), details);
            let change = match &before {
                Some(before) => {
                    Change::UpdateTemplate { template: Box::new(template.clone()), expected_version: before.version }
                }
                None => Change::InsertTemplate(Box::new(template.clone())),
            };
            match self.commit(Write::default().with(change).audited(record)).await {
                Err(Error::Store(StoreError::Conflict(Conflict::Name))) => template.name = self.suffixed(&wanted),
                Err(error) => return Err(error),
                Ok(()) => return Ok(template),
            }
        }
        Err(Error::Store(StoreError::Conflict(Conflict::Name)))
    }

    fn suffixed(&self, name: &str) -> String {
        let mut entropy = [0u8; SUFFIX - 1];
        self.random().fill(&mut entropy);
        let base: String = name.chars().take(NAME_MAX - SUFFIX).collect();
        let letters = entropy.iter().map(|byte| char::from(b'a' + byte % 26));
        std::iter::once('-').chain(letters).fold(base, |mut text, letter| {
            text.push(letter);
            text
        })
    }

    /// A profile whose issuer can sign nothing that the new rules allow would be dead from now on.
    async fn check_signers(&self, record: &CertificateTemplate, compiled: &Template) -> Result<(), Error> {
        for (id, slug) in self.reader().profiles_of_template(record.id).await? {
            let Some(profile) = self.reader().profile(record.project_id, id).await? else { continue };
            let ca = match profile.issuer {
                ProfileIssuer::SelfSigned => None,
                ProfileIssuer::Ca(ca) => match self.reader().ca(record.project_id, ca).await? {
                    Some(ca) => Some(ca),
                    None => continue,
                },
            };
            if let Some(problem) = signing_problem(compiled, ca.as_ref()) {
                let message =
                    format!("the certificate profile '{slug}' could issue nothing any more: {}", problem.message);
                return Err(Error::malformed("template.issuer_signature", "algorithms.signature", message));
            }
        }
        Ok(())
    }
}

/// The rules of a preset by its id.
fn preset_rules(id: &str) -> Result<TemplateRules, Error> {
    presets().iter().find(|preset| preset.id == id).map(|preset| preset.rules.clone()).ok_or_else(|| {
        let known: Vec<&str> = presets().iter().map(|preset| preset.id).collect();
        Error::malformed(
            "template.preset",
            "preset",
            format!("there is no preset of this name; choose one of {}", known.join(", ")),
        )
    })
}

/// What the audit log keeps of a template.
fn content(template: &CertificateTemplate) -> serde_json::Value {
    json!({ "name": template.name, "description": template.description, "version": template.version, "rules": template.rules })
}

/// All problems in one answer. Something given twice is `Forbidden` on the wire, everything else malformed.
pub(crate) fn problems_error(problems: Vec<RuleProblem>) -> Error {
    let duplicates = problems.iter().all(|problem| problem.code == "template.duplicate");
    let mut texts: Vec<String> =
        problems.iter().map(|problem| format!("{}: {}", problem.field, problem.message)).collect();
    let Some(first) = problems.into_iter().next() else { return Error::internal("refused without a problem") };
    if duplicates {
        return Error::forbidden(first.code, texts.join("; "));
    }
    // The first field is named by the error itself.
    if let Some(text) = texts.first_mut() {
        text.clone_from(&first.message);
    }
    Error::malformed(first.code, first.field, texts.join("; "))
}

/// Lower-case letters, digits and single hyphens.
fn slug(name: &str) -> Result<String, Error> {
    let name = name.trim();
    if name.chars().count() > NAME_MAX {
        return Err(Error::malformed("template.name", "name", format!("a name has at most {NAME_MAX} characters")));
    }
    let words: Vec<String> = name
        .split(|letter: char| !letter.is_ascii_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_ascii_lowercase)
        .collect();
    if words.is_empty() {
        return Err(Error::malformed("template.name", "name", "a name needs letters or digits, such as web-servers"));
    }
    Ok(words.join("-"))
}

fn description(text: Option<String>) -> Result<Option<String>, Error> {
    match text {
        Some(text) if text.chars().count() > DESCRIPTION_MAX => Err(Error::malformed(
            "template.description",
            "description",
            format!("a description has at most {DESCRIPTION_MAX} characters"),
        )),
        other => Ok(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_slugs() {
        for (name, expected) in [
            ("web-servers", Some("web-servers")),
            ("  Web  Servers! ", Some("web-servers")),
            ("Ä", None),
            ("", None),
            ("--", None),
        ] {
            assert_eq!(slug(name).ok().as_deref(), expected, "{name}");
        }
        assert!(slug(&"a".repeat(256)).is_err());
    }

    #[test]
    fn a_patch_keeps_what_is_missing_and_clears_what_is_null() {
        let rules = preset_rules("tls-server").unwrap();
        let patch = TemplateRulesPatch {
            sans: Field::Null,
            validity_min: Field::Value("1h".to_owned()),
            ..TemplateRulesPatch::default()
        };
        let patched = patch.onto(rules.clone());
        assert_eq!(patched.subject, rules.subject);
        assert_eq!(patched.sans, None);
        assert_eq!(patched.validity, Some(ValidityRule { max: Some("398d".to_owned()), min: Some("1h".to_owned()) }));
        let cleared = TemplateRulesPatch { validity_max: Field::Null, ..TemplateRulesPatch::default() }.onto(rules);
        assert_eq!(cleared.validity, None);
    }

    #[test]
    fn only_duplicates_are_forbidden_all_else_is_malformed() {
        let duplicate = RuleProblem::new("sans[1].type", "template.duplicate", "'dns_name' is given twice; keep one");
        let empty = RuleProblem::new("keyUsages", "template.rule_empty", "give a list");
        assert!(matches!(problems_error(vec![duplicate.clone()]), Error::Forbidden { .. }));
        let both = problems_error(vec![empty, duplicate]);
        assert_eq!(both.public_message(), "keyUsages: give a list; sans[1].type: 'dns_name' is given twice; keep one");
    }
}
