//! Certificate profiles: which template, which issuer, which defaults. Created, changed and deleted here.
//!
//! A profile that could never issue is refused when it is saved, with the reason; one that is merely risky is saved
//! with warnings. Doors read profiles through the `Reader`.

use chancery_model::audit::AuditEvent;
use chancery_model::permission::Permission;
use chancery_model::profile::{
    ApiEnrollment, CertificateProfile, EnrollmentType, KeyCustody, ProfileDefaults, ProfileIssuer, ProfileSettings,
    RenewAt, UnknownCsrExtensions,
};
use chancery_model::time::Ttl;
use chancery_model::{EnrollmentConfigId, ProfileId, TemplateId, Warning};
use chancery_store::{Change, Conflict, StoreError, Write};
use serde_json::json;

use crate::enrollment::Field;
use crate::template::{ProfileSigner, RuleProblem, Template, problems_error, profile_problems, profile_warnings};
use crate::{Authority, Call, Error};

#[derive(Clone, Debug)]
pub struct NewProfile {
    /// 1 to 255 lower-case letters, digits and hyphens; unique in the project.
    pub slug: String,
    pub description: Option<String>,
    pub issuer: ProfileIssuer,
    pub template_id: TemplateId,
    /// Absent behaves as API enrolment.
    pub enrollment: Option<EnrollmentType>,
    pub settings: ProfileSettingsPatch,
}

/// Missing keeps, null clears.
#[derive(Clone, Debug, Default)]
pub struct ProfilePatch {
    pub slug: Option<String>,
    pub description: Field<String>,
    pub issuer: Option<ProfileIssuer>,
    pub template_id: Option<TemplateId>,
    pub enrollment: Field<EnrollmentType>,
    pub settings: ProfileSettingsPatch,
}

/// Changes to [`ProfileSettings`]; for a new profile, changes to the defaults of the product.
#[derive(Clone, Debug, Default)]
pub struct ProfileSettingsPatch {
    /// A given object replaces the old one whole.
    pub defaults: Field<ProfileDefaults>,
    pub api: Field<ApiEnrollmentPatch>,
    pub external_configs: Field<serde_json::Value>,
    pub key_custody: Option<KeyCustody>,
    pub clamp_to_issuer: Option<bool>,
    pub strict_csr: Option<bool>,
    pub unknown_csr_extensions: Option<UnknownCsrExtensions>,
    pub allow_key_reuse: Option<bool>,
    pub no_rev_avail_below: Field<Ttl>,
}

#[derive(Clone, Debug, Default)]
pub struct ApiEnrollmentPatch {
    pub auto_renew: Option<bool>,
    /// 1 to 30.
    pub renew_before_days: Field<u32>,
    /// Null returns to the product's default.
    pub renew_at: Field<RenewAt>,
    pub renew_jitter: Field<Ttl>,
    pub revoke_superseded_after: Field<Ttl>,
}

/// What can be said about a profile before it is saved.
#[derive(Clone, Debug, Default)]
pub struct ProfileReview {
    /// Why it can never work, all of it; empty when it may be saved.
    pub problems: Vec<RuleProblem>,
    /// What an administrator should know all the same.
    pub warnings: Vec<Warning>,
}

const SLUG_MAX: usize = 255;
const DESCRIPTION_MAX: usize = 1000;

/// Usages, purposes and domain components in a profile's defaults.
const DEFAULT_ITEMS_MAX: usize = 50;

impl Authority {
    /// Creates a profile. Refused when template, defaults and issuer can never work together.
    pub async fn create_profile(&self, call: &Call, new: NewProfile) -> Result<CertificateProfile, Error> {
        call.requester.require(Permission::ProfileCreate)?;
        let now = self.now();
        let profile = self.drafted(call, new);
        check_form(&profile)?;
        let warnings = self.check_profile(&profile).await?;
        let details = json!({ "slug": profile.slug, "before": null, "after": content(&profile), "warnings": warnings });
        let record = call.audit(now, AuditEvent::ProfileCreated, Some(("profile", profile.id.as_uuid())), details);
        let write = Write::default().with(Change::InsertProfile(Box::new(profile.clone()))).audited(record);
        self.commit(write).await.map_err(|error| slug_conflict(error, &profile.slug))?;
        Ok(profile)
    }

    pub async fn update_profile(
        &self,
        call: &Call,
        id: ProfileId,
        patch: ProfilePatch,
    ) -> Result<CertificateProfile, Error> {
        call.requester.require(Permission::ProfileEdit)?;
        let before = self.profile_record(call, id).await?;
        let mut after = before.clone();
        if let Some(slug) = patch.slug {
            after.slug = slug;
        }
        replace(&mut after.description, patch.description);
        replace(&mut after.enrollment, patch.enrollment);
        after.issuer = patch.issuer.unwrap_or(after.issuer);
        after.template_id = patch.template_id.unwrap_or(after.template_id);
        self.settle(patch.settings, &mut after.settings);
        check_form(&after)?;
        let same_path =
            (before.issuer, before.template_id, &before.settings) == (after.issuer, after.template_id, &after.settings);
        // A new name or description must not fail over a template that was tightened meanwhile.
        let warnings = if same_path { Vec::new() } else { self.check_profile(&after).await? };
        after.updated_at = self.now();
        let details =
            json!({ "slug": after.slug, "before": content(&before), "after": content(&after), "warnings": warnings });
        let record = call.audit(after.updated_at, AuditEvent::ProfileUpdated, Some(("profile", id.as_uuid())), details);
        let write = Write::default().with(Change::UpdateProfile(Box::new(after.clone()))).audited(record);
        self.commit(write).await.map_err(|error| slug_conflict(error, &after.slug))?;
        Ok(after)
    }

    /// Deletes a profile; its certificates stay and can no longer be renewed.
    pub async fn delete_profile(&self, call: &Call, id: ProfileId) -> Result<CertificateProfile, Error> {
        call.requester.require(Permission::ProfileDelete)?;
        let profile = self.profile_record(call, id).await?;
        let details = json!({ "slug": profile.slug, "before": content(&profile) });
        let record = call.audit(self.now(), AuditEvent::ProfileDeleted, Some(("profile", id.as_uuid())), details);
        self.commit(Write::default().with(Change::DeleteProfile(id)).audited(record)).await?;
        Ok(profile)
    }

    /// Says what [`Authority::create_profile`] would say, without saving: for answers while somebody fills in a form. Of
    /// an existing profile, describe it as it would be after the change.
    ///
    /// # Errors
    /// `NotFound` when the template or the CA is not in the project.
    pub async fn review_profile(&self, call: &Call, new: NewProfile) -> Result<ProfileReview, Error> {
        call.requester.require(Permission::ProfileRead)?;
        let profile = self.drafted(call, new);
        let mut review = self.review(&profile).await?;
        if let Err(Error::Malformed { code, field, message }) = check_form(&profile) {
            review.problems.insert(0, RuleProblem { field, code, message });
        }
        Ok(review)
    }

    /// What an administrator should know about a profile as it stands.
    pub async fn profile_warnings(&self, profile: &CertificateProfile) -> Result<Vec<Warning>, Error> {
        let template = self.template_in_force(profile.project_id, profile.template_id).await?;
        Ok(profile_warnings(&template.rules, profile))
    }

    async fn profile_record(&self, call: &Call, id: ProfileId) -> Result<CertificateProfile, Error> {
        self.reader().profile(call.project_id(), id).await?.ok_or_else(|| Error::not_found("Certificate profile", id))
    }

    fn drafted(&self, call: &Call, new: NewProfile) -> CertificateProfile {
        let now = self.now();
        let mut profile = CertificateProfile {
            id: ProfileId::generate(now, self.random()),
            project_id: call.project_id(),
            slug: new.slug,
            description: new.description,
            issuer: new.issuer,
            template_id: new.template_id,
            enrollment: new.enrollment,
            settings: ProfileSettings::default(),
            created_at: now,
            updated_at: now,
        };
        self.settle(new.settings, &mut profile.settings);
        profile
    }

    /// Template and issuer exist in the project, and the three can work together.
    async fn check_profile(&self, profile: &CertificateProfile) -> Result<Vec<Warning>, Error> {
        let review = self.review(profile).await?;
        if review.problems.is_empty() { Ok(review.warnings) } else { Err(problems_error(review.problems)) }
    }

    async fn review(&self, profile: &CertificateProfile) -> Result<ProfileReview, Error> {
        let project = profile.project_id;
        // Read afresh: a template saved a moment ago on another node may not be in this node's cache yet.
        let record = self.reader().template(project, profile.template_id).await?;
        let record = record.ok_or_else(|| Error::not_found("Certificate policy", profile.template_id))?;
        let template = Template::compile(&record.rules).map_err(problems_error)?;
        let (internal, external);
        let signer = match profile.issuer {
            ProfileIssuer::SelfSigned => ProfileSigner::Itself,
            ProfileIssuer::Ca(id) => match self.reader().ca(project, id).await? {
                Some(ca) => {
                    internal = ca;
                    ProfileSigner::Ca(&internal)
                }
                None => {
                    external = self.external_ca_of(project, id).await?;
                    ProfileSigner::External(&external)
                }
            },
        };
        let problems = profile_problems(&template, profile, signer);
        Ok(ProfileReview { problems, warnings: profile_warnings(&template, profile) })
    }

    fn settle(&self, patch: ProfileSettingsPatch, settings: &mut ProfileSettings) {
        replace(&mut settings.defaults, patch.defaults);
        replace(&mut settings.external_configs, patch.external_configs);
        replace(&mut settings.no_rev_avail_below, patch.no_rev_avail_below);
        set(&mut settings.key_custody, patch.key_custody);
        set(&mut settings.clamp_to_issuer, patch.clamp_to_issuer);
        set(&mut settings.strict_csr, patch.strict_csr);
        set(&mut settings.unknown_csr_extensions, patch.unknown_csr_extensions);
        set(&mut settings.allow_key_reuse, patch.allow_key_reuse);
        match patch.api {
            Field::Missing => {}
            Field::Null => settings.api = None,
            Field::Value(patch) => {
                let old = settings.api.take();
                let mut api = old.unwrap_or_else(|| ApiEnrollment {
                    id: EnrollmentConfigId::generate(self.now(), self.random()),
                    auto_renew: false,
                    renew_before_days: None,
                    renew_at: RenewAt::default(),
                    renew_jitter: None,
                    revoke_superseded_after: None,
                });
                set(&mut api.auto_renew, patch.auto_renew);
                replace(&mut api.renew_before_days, patch.renew_before_days);
                replace(&mut api.renew_jitter, patch.renew_jitter);
                replace(&mut api.revoke_superseded_after, patch.revoke_superseded_after);
                match patch.renew_at {
                    Field::Missing => {}
                    Field::Null => api.renew_at = RenewAt::default(),
                    Field::Value(at) => api.renew_at = at,
                }
                settings.api = Some(api);
            }
        }
    }
}

fn replace<T>(current: &mut Option<T>, field: Field<T>) {
    match field {
        Field::Missing => {}
        Field::Null => *current = None,
        Field::Value(value) => *current = Some(value),
    }
}

fn set<T>(current: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *current = value;
    }
}

/// What can be said about a profile by itself.
fn check_form(profile: &CertificateProfile) -> Result<(), Error> {
    let slug = profile.slug.as_str();
    let letters = slug.bytes().all(|it| it.is_ascii_lowercase() || it.is_ascii_digit() || it == b'-');
    if slug.is_empty() || slug.len() > SLUG_MAX || !letters {
        let message = format!("give 1 to {SLUG_MAX} lower-case letters, digits and hyphens");
        return Err(Error::malformed("profile.slug", "slug", message));
    }
    if profile.description.as_ref().is_some_and(|text| text.chars().count() > DESCRIPTION_MAX) {
        let message = format!("a description has at most {DESCRIPTION_MAX} characters");
        return Err(Error::malformed("profile.description", "description", message));
    }
    let settings = &profile.settings;
    if settings.key_custody == KeyCustody::None && profile.issuer == ProfileIssuer::SelfSigned {
        return Err(Error::malformed(
            "profile.custody",
            "keyCustody",
            "a self-signed certificate is signed with its own private key, so the server must make one; use stored or returnOnce",
        ));
    }
    if let Some(api) = &settings.api {
        check_renewal(api)?;
    }
    settings.defaults.as_ref().map_or(Ok(()), check_defaults)
}

fn check_renewal(api: &ApiEnrollment) -> Result<(), Error> {
    if api.renew_before_days.is_some_and(|days| !(1..=30).contains(&days)) {
        return Err(Error::malformed("profile.renew_before_days", "apiConfig.renewBeforeDays", "give 1 to 30 days"));
    }
    match api.renew_at {
        RenewAt::Permille(part) if !(100..=950).contains(&part) => {
            Err(Error::malformed("profile.renew_at", "apiConfig.renewAt.fraction", "give a fraction of 0.1 to 0.95"))
        }
        RenewAt::Permille(_) | RenewAt::Before(_) => Ok(()),
    }
}

fn check_defaults(defaults: &ProfileDefaults) -> Result<(), Error> {
    if defaults.ttl_days == Some(0) {
        return Err(Error::malformed("profile.default", "defaults.ttlDays", "give at least 1 day"));
    }
    let lists = [
        ("defaults.keyUsages", defaults.key_usages.as_ref().map(Vec::len)),
        ("defaults.extendedKeyUsages", defaults.extended_key_usages.as_ref().map(Vec::len)),
        ("defaults.domainComponents", defaults.domain_components.as_ref().map(Vec::len)),
    ];
    for (field, length) in lists {
        if length.is_some_and(|length| length > DEFAULT_ITEMS_MAX) {
            return Err(Error::malformed(
                "profile.default",
                field,
                format!("a list has at most {DEFAULT_ITEMS_MAX} items"),
            ));
        }
    }
    if defaults.basic_constraints.is_some_and(|it| !it.is_ca && it.path_length.is_some()) {
        let message = "a path length is only possible with isCA true (RFC 5280 §4.2.1.9)";
        return Err(Error::malformed("profile.default", "defaults.basicConstraints.pathLength", message));
    }
    Ok(())
}

fn slug_conflict(error: Error, slug: &str) -> Error {
    match error {
        Error::Store(StoreError::Conflict(Conflict::Name)) => Error::conflict(
            "profile.slug_taken",
            format!("A certificate profile with the slug '{slug}' exists already; choose another"),
        ),
        other => other,
    }
}

/// What the audit log keeps of a profile.
fn content(profile: &CertificateProfile) -> serde_json::Value {
    json!({
        "slug": profile.slug,
        "description": profile.description,
        "issuer": profile.issuer,
        "templateId": profile.template_id,
        "enrollment": profile.enrollment,
        "settings": profile.settings,
    })
}

#[cfg(test)]
mod tests {
    use chancery_model::{CaId, ProjectId, Timestamp};
    use chancery_pkix::BasicConstraints;
    use uuid::Uuid;

    use super::*;

    fn profile() -> CertificateProfile {
        let now = Timestamp::from_seconds(1_700_000_000);
        CertificateProfile {
            id: ProfileId::from_uuid(Uuid::nil()),
            project_id: ProjectId::from_uuid(Uuid::nil()),
            slug: "web".to_owned(),
            description: None,
            issuer: ProfileIssuer::Ca(CaId::from_uuid(Uuid::nil())),
            template_id: TemplateId::from_uuid(Uuid::nil()),
            enrollment: None,
            settings: ProfileSettings::default(),
            created_at: now,
            updated_at: now,
        }
    }

    fn api() -> ApiEnrollment {
        ApiEnrollment {
            id: EnrollmentConfigId::from_uuid(Uuid::nil()),
            auto_renew: true,
            renew_before_days: Some(30),
            renew_at: RenewAt::default(),
            renew_jitter: None,
            revoke_superseded_after: None,
        }
    }

    #[test]
    fn ill_formed_profiles_are_refused_with_the_field() {
        type Change = fn(&mut CertificateProfile);
        let refused: &[(&str, Change)] = &[
            ("profile.slug", |it| it.slug.clear()),
            ("profile.slug", |it| it.slug = "Web".to_owned()),
            ("profile.slug", |it| it.slug = "a".repeat(256)),
            ("profile.description", |it| it.description = Some("x".repeat(1001))),
            ("profile.custody", |it| {
                it.issuer = ProfileIssuer::SelfSigned;
                it.settings.key_custody = KeyCustody::None;
            }),
            ("profile.renew_before_days", |it| {
                it.settings.api = Some(ApiEnrollment { renew_before_days: Some(31), ..api() })
            }),
            ("profile.renew_before_days", |it| {
                it.settings.api = Some(ApiEnrollment { renew_before_days: Some(0), ..api() })
            }),
            ("profile.renew_at", |it| {
                it.settings.api = Some(ApiEnrollment { renew_at: RenewAt::Permille(99), ..api() })
            }),
            ("profile.renew_at", |it| {
                it.settings.api = Some(ApiEnrollment { renew_at: RenewAt::Permille(951), ..api() })
            }),
            ("profile.default", |it| {
                it.settings.defaults = Some(ProfileDefaults { ttl_days: Some(0), ..ProfileDefaults::default() })
            }),
            ("profile.default", |it| {
                let basic_constraints = Some(BasicConstraints { is_ca: false, path_length: Some(0) });
                it.settings.defaults = Some(ProfileDefaults { basic_constraints, ..ProfileDefaults::default() });
            }),
        ];
        for (code, change) in refused {
            let mut profile = profile();
            change(&mut profile);
            assert_eq!(check_form(&profile).err().map(|error| error.code()), Some(*code), "{profile:?}");
        }
    }

    #[test]
    fn sensible_profiles_are_accepted() {
        let mut profile = profile();
        assert!(check_form(&profile).is_ok());
        profile.settings.api = Some(api());
        profile.settings.key_custody = KeyCustody::None;
        assert!(check_form(&profile).is_ok());
    }
}
