//! What the record of a certificate says about its renewals to come: settings in force are its own, else those of its
//! application with the profile, else the profile's.

use chancery_model::certificate::{Certificate, RenewalState};
use chancery_model::job::{JobKey, JobKind, NewJob};
use chancery_model::profile::ApiEnrollment;
use chancery_model::time::Ttl;
use chancery_store::Change;

use super::due;
use crate::Authority;
use crate::error::Error;

/// The new certificate's place in its line of renewals.
pub(crate) struct RenewalOutlook {
    pub state: RenewalState,
    /// The job that revokes the predecessor, where that is wanted.
    pub revocation: Option<NewJob>,
}

/// What application and profile say about renewals.
#[derive(Clone, Copy)]
pub(crate) struct RenewalRules<'a> {
    pub api: Option<&'a ApiEnrollment>,
    pub allows_key_reuse: bool,
}

impl Authority {
    /// What carries over from the predecessor, else what application or profile say.
    pub(crate) fn renewal_outlook(
        &self,
        rules: RenewalRules<'_>,
        certificate: &Certificate,
        predecessor: Option<&Certificate>,
    ) -> RenewalOutlook {
        let api = rules.api;
        let eligible = certificate.key_id.is_some() || (certificate.from_csr() && rules.allows_key_reuse);
        let old = predecessor.map(|it| &it.renewal);
        let plan = eligible.then(|| due::planned(certificate, old, api, self.random())).flatten();
        RenewalOutlook {
            state: RenewalState {
                renewed_from: predecessor.map(|it| it.id),
                renewed_by: None,
                renew_before_days: plan.and_then(|it| it.renew_before_days),
                due_at: plan.map(|it| it.due_at),
                error: None,
                settings: old.and_then(|it| it.settings),
            },
            revocation: predecessor.and_then(|it| revocation_of(it, api, certificate)),
        }
    }

    /// What makes a certificate that comes off hold due again, as it would have been; the hold has taken its due time.
    pub(crate) async fn resumed_renewal(&self, certificate: &Certificate) -> Result<Option<Change>, Error> {
        let now = self.now();
        let Some(profile_id) = certificate.profile_id else { return Ok(None) };
        if certificate.renewal.renewed_by.is_some() || certificate.not_after < now {
            return Ok(None);
        }
        let Some(profile) = self.reader().profile(certificate.project_id, profile_id).await? else { return Ok(None) };
        let attached = match certificate.application_id {
            Some(application) => self.reader().application_profile(application, profile_id).await?,
            None => None,
        };
        let settings = profile.settings;
        let eligible = certificate.key_id.is_some() || (certificate.from_csr() && settings.allow_key_reuse);
        let api = attached.map_or(settings.api, |it| it.api);
        let plan = eligible
            .then(|| due::planned(certificate, Some(&certificate.renewal), api.as_ref(), self.random()))
            .flatten();
        Ok(plan.map(|plan| Change::ConfigureRenewal {
            id: certificate.id,
            renew_before_days: plan.renew_before_days,
            due_at: Some(plan.due_at),
            settings: certificate.renewal.settings,
            at: now,
        }))
    }
}

/// A superseded certificate is revoked a while after its renewal, unless it ends by itself before.
fn revocation_of(old: &Certificate, api: Option<&ApiEnrollment>, successor: &Certificate) -> Option<NewJob> {
    let own = old.renewal.settings.and_then(|it| it.revoke_superseded_after);
    let after = own.or_else(|| api?.revoke_superseded_after).map(Ttl::as_seconds)?;
    let due_at = successor.created_at.plus_seconds(after);
    (old.revocation.is_none() && due_at <= old.not_after).then_some(NewJob {
        key: JobKey { kind: JobKind::RevokeSuperseded, object: old.id.as_uuid() },
        project_id: old.project_id,
        due_at,
        deadline: due_at,
    })
}
