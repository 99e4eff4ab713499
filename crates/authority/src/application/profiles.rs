//! The profiles of an application, and how it enrols with each.

use std::collections::BTreeSet;

use chancery_model::application::ApplicationProfile;
use chancery_model::audit::AuditEvent;
use chancery_model::permission::Permission;
use chancery_model::profile::{ApiEnrollment, RenewAt};
use chancery_model::time::Ttl;
use chancery_model::{ApplicationId, EnrollmentConfigId, ProfileId};
use chancery_store::{ApplicationChange, AttachedProfile, Change, Write};
use serde_json::json;

use super::object;
use super::service::attachment;
use crate::{Authority, Call, Error};

/// How an application enrols by the API; each setting replaces the one before.
#[derive(Clone, Copy, Debug, Default)]
pub struct ApiSettings {
    pub auto_renew: bool,
    /// Days, 1 to 30; wins over `renew_at`.
    pub renew_before_days: Option<u32>,
    pub renew_at: Option<RenewAt>,
    pub renew_jitter: Option<Ttl>,
    pub revoke_superseded_after: Option<Ttl>,
}

/// Most profiles in one call.
const PROFILES_MAX: usize = 100;

impl Authority {
    /// Attaches profiles; those attached already stay as they are. For administrators of the project: whoever attaches a
    /// profile gives the application's operators the right to issue by it.
    pub async fn attach_profiles(
        &self,
        call: &Call,
        id: ApplicationId,
        profiles: Vec<ProfileId>,
    ) -> Result<Vec<AttachedProfile>, Error> {
        call.requester.require(Permission::ApplicationManage)?;
        self.application_of(call, id).await?;
        let mut added = self.attachable(call, profiles).await?;
        let before = self.reader().profiles_of_application(id).await?;
        added.retain(|profile| before.iter().all(|it| it.attachment.profile_id != *profile));
        if added.is_empty() {
            return Ok(before);
        }
        let now = self.now();
        let details = json!({ "attached": added });
        let mut write =
            Write::default().audited(call.audit(now, AuditEvent::ApplicationProfilesChanged, object(id), details));
        for profile in added {
            write = write.with(Change::Application(attachment(id, profile, now)));
        }
        self.commit(write).await?;
        Ok(self.reader().profiles_of_application(id).await?)
    }

    /// Takes a profile from an application: nothing is issued or renewed with it there any more.
    pub async fn detach_profile(&self, call: &Call, id: ApplicationId, profile: ProfileId) -> Result<(), Error> {
        call.requester.require(Permission::ApplicationManage)?;
        self.attached_profile(call, id, profile).await?;
        let details = json!({ "detached": [profile] });
        let record = call.audit(self.now(), AuditEvent::ApplicationProfilesChanged, object(id), details);
        let change = ApplicationChange::Detach { application: id, profile };
        self.commit(Write::default().with(Change::Application(change)).audited(record)).await
    }

    /// The attachment of a profile to an application of the caller's project.
    pub async fn attached_profile(
        &self,
        call: &Call,
        id: ApplicationId,
        profile: ProfileId,
    ) -> Result<ApplicationProfile, Error> {
        self.application_of(call, id).await?;
        let attached = self.reader().application_profile(id, profile).await?;
        attached.ok_or_else(|| Error::not_found("Certificate profile of the application", profile))
    }

    /// Switches enrolment by the API on, or changes how it is done.
    pub async fn configure_api_enrollment(
        &self,
        call: &Call,
        (id, profile): (ApplicationId, ProfileId),
        settings: ApiSettings,
    ) -> Result<ApiEnrollment, Error> {
        self.managed_application(call, id).await?;
        let before = self.attached_profile(call, id, profile).await?.api;
        check_settings(&settings)?;
        let now = self.now();
        let api = ApiEnrollment {
            id: before.as_ref().map_or_else(|| EnrollmentConfigId::generate(now, self.random()), |it| it.id),
            auto_renew: settings.auto_renew,
            renew_before_days: settings.renew_before_days,
            renew_at: settings.renew_at.unwrap_or_default(),
            renew_jitter: settings.renew_jitter,
            revoke_superseded_after: settings.revoke_superseded_after,
        };
        self.set_api(call, (id, profile), before, Some(api.clone())).await?;
        Ok(api)
    }

    /// Switches enrolment by the API off. It may be off already.
    pub async fn stop_api_enrollment(
        &self,
        call: &Call,
        (id, profile): (ApplicationId, ProfileId),
    ) -> Result<(), Error> {
        self.managed_application(call, id).await?;
        match self.attached_profile(call, id, profile).await?.api {
            Some(before) => self.set_api(call, (id, profile), Some(before), None).await,
            None => Ok(()),
        }
    }

    async fn set_api(
        &self,
        call: &Call,
        (id, profile): (ApplicationId, ProfileId),
        before: Option<ApiEnrollment>,
        api: Option<ApiEnrollment>,
    ) -> Result<(), Error> {
        let now = self.now();
        let details = json!({ "profileId": profile, "method": "api", "before": before, "after": api });
        let record = call.audit(now, AuditEvent::ApplicationEnrollmentConfigured, object(id), details);
        let change = ApplicationChange::SetApi { application: id, profile, api, at: now };
        self.commit(Write::default().with(Change::Application(change)).audited(record)).await
    }

    /// The profiles without repetitions, if all are of the caller's project.
    pub(super) async fn attachable(&self, call: &Call, profiles: Vec<ProfileId>) -> Result<Vec<ProfileId>, Error> {
        if profiles.len() > PROFILES_MAX {
            let message = format!("at most {PROFILES_MAX} profiles are attached in one call");
            return Err(Error::malformed("application.profiles", "profileIds", message));
        }
        let mut known = BTreeSet::new();
        let mut found = Vec::new();
        for id in profiles.into_iter().filter(|id| known.insert(*id)) {
            let profile = self.reader().profile(call.project_id(), id).await?;
            found.push(profile.ok_or_else(|| Error::not_found("Certificate profile", id))?.id);
        }
        Ok(found)
    }
}

fn check_settings(settings: &ApiSettings) -> Result<(), Error> {
    if settings.renew_before_days.is_some_and(|days| !(1..=30).contains(&days)) {
        return Err(Error::malformed("application.renew_before_days", "renewBeforeDays", "give 1 to 30 days"));
    }
    if settings.auto_renew && settings.renew_before_days.is_none() && settings.renew_at.is_none() {
        return Err(Error::malformed(
            "application.renew_before_days",
            "renewBeforeDays",
            "with autoRenew give 1 to 30 days here, or say by renewAt when the server renews",
        ));
    }
    match settings.renew_at {
        Some(RenewAt::Permille(part)) if !(100..=950).contains(&part) => {
            Err(Error::malformed("application.renew_at", "renewAt.fraction", "give a fraction of 0.1 to 0.95"))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn automatic_renewal_says_when() {
        let check = |auto_renew, renew_before_days, renew_at, good: bool| {
            let settings = ApiSettings { auto_renew, renew_before_days, renew_at, ..ApiSettings::default() };
            assert_eq!(check_settings(&settings).is_ok(), good, "{settings:?}");
        };
        check(false, None, None, true);
        check(false, Some(7), None, true);
        check(true, Some(30), None, true);
        check(true, None, Some(RenewAt::Permille(500)), true);
        check(true, None, None, false);
        check(true, Some(0), None, false);
        check(true, Some(31), None, false);
        check(true, Some(7), Some(RenewAt::Permille(99)), false);
    }
}
