//! `PATCH …/config`: when, and whether, the server renews a certificate by itself, and what becomes of it then. The job
//! that does it follows the stored due time.

use chancery_model::audit::AuditEvent;
use chancery_model::certificate::{Certificate, CertificateStatus, RenewalSettings};
use chancery_model::permission::Permission;
use chancery_model::profile::RenewAt;
use chancery_model::time::Ttl;
use chancery_model::{CertificateId, Timestamp};
use chancery_store::{Change, Write};

use super::due;
use crate::Authority;
use crate::call::Call;
use crate::error::Error;
use crate::external::asking_renewal_time;

#[derive(Clone, Copy, Debug, Default)]
pub struct RenewalConfiguration {
    pub enable: Option<bool>,
    /// 1 to 30.
    pub renew_before_days: Option<u32>,
    pub renew_at: Option<RenewAt>,
    pub renew_jitter: Option<Ttl>,
    /// How long after its renewal the certificate is revoked; `Some(None)` follows application and profile again.
    pub revoke_superseded_after: Option<Option<Ttl>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConfiguredRenewal {
    Disabled,
    Updated { renew_before_days: Option<u32> },
    Unchanged,
}

const DAY_SECONDS: i64 = 86_400;

/// What is stored.
struct Configured {
    result: ConfiguredRenewal,
    days: Option<u32>,
    due_at: Option<Timestamp>,
    settings: RenewalSettings,
}

impl Authority {
    pub async fn configure_renewal(
        &self,
        call: &Call,
        id: CertificateId,
        wanted: RenewalConfiguration,
    ) -> Result<ConfiguredRenewal, Error> {
        call.requester.require_somewhere(Permission::CertificateEdit)?;
        let certificate = self.certificate_of(call, id).await?;
        self.require_management(&call.requester, &certificate, Permission::CertificateEdit)?;
        let Some(configured) = self.configured(call, &certificate, wanted).await? else {
            return Ok(ConfiguredRenewal::Unchanged);
        };
        let now = self.now();
        let Configured { result, days, due_at, settings } = configured;
        let details = serde_json::json!({
            "renewBeforeDays": days,
            "dueAt": due_at.map(|it| it.to_string()),
            "settings": settings,
        });
        let audit = call.audit(now, AuditEvent::CertificateConfigured, Some(("certificate", id.as_uuid())), details);
        let settings = (settings != RenewalSettings::default()).then_some(settings);
        let change = Change::ConfigureRenewal { id, renew_before_days: days, due_at, settings, at: now };
        let mut write = Write::default().with(change).audited(audit);
        // Its CA may want it renewed earlier or later.
        if due_at.is_some()
            && let Some((_, kind)) = self.external_ca_of_certificate(&certificate).await?
            && self.advises_renewal(Some(kind))
        {
            write = write.with(Change::ScheduleJob(asking_renewal_time(&certificate, now)));
        }
        self.commit(write).await?;
        Ok(result)
    }

    /// `None`: nothing is asked for.
    async fn configured(
        &self,
        call: &Call,
        certificate: &Certificate,
        wanted: RenewalConfiguration,
    ) -> Result<Option<Configured>, Error> {
        let own = certificate.renewal.settings.unwrap_or_default();
        let revoke_superseded_after = wanted.revoke_superseded_after.unwrap_or(own.revoke_superseded_after);
        if wanted.enable == Some(false) {
            let settings =
                RenewalSettings { switched_off: true, revoke_superseded_after, ..RenewalSettings::default() };
            return Ok(Some(Configured { result: ConfiguredRenewal::Disabled, days: None, due_at: None, settings }));
        }
        if wanted.renew_before_days.is_some() || wanted.renew_at.is_some() {
            self.check_eligible(call, certificate).await?;
            let plan = self.plan(certificate, wanted)?;
            let renew_at = wanted.renew_at.filter(|_| wanted.renew_before_days.is_none());
            let settings = RenewalSettings {
                renew_at,
                renew_jitter: wanted.renew_jitter.filter(|_| renew_at.is_some()),
                revoke_superseded_after,
                switched_off: false,
            };
            let days = plan.renew_before_days;
            let result = ConfiguredRenewal::Updated { renew_before_days: days };
            return Ok(Some(Configured { result, days, due_at: Some(plan.due_at), settings }));
        }
        if wanted.revoke_superseded_after.is_none() {
            return Ok(None);
        }
        check_standing(certificate, self.now())?;
        let days = certificate.renewal.renew_before_days;
        Ok(Some(Configured {
            result: ConfiguredRenewal::Updated { renew_before_days: days },
            days,
            due_at: certificate.renewal.due_at,
            settings: RenewalSettings { revoke_superseded_after, ..own },
        }))
    }

    fn plan(&self, certificate: &Certificate, wanted: RenewalConfiguration) -> Result<due::Plan, Error> {
        if let Some(days) = wanted.renew_before_days {
            check_lead(certificate, days, self.now())?;
            return Ok(due::Plan {
                renew_before_days: Some(days),
                due_at: certificate.not_after.plus_seconds(1 - i64::from(days) * DAY_SECONDS),
            });
        }
        let rule = wanted.renew_at.unwrap_or_default();
        if let RenewAt::Before(lead) = rule
            && lead.as_seconds() >= certificate.ttl
        {
            let life = Ttl::from_seconds(certificate.ttl).map(|it| it.to_string()).unwrap_or_default();
            return Err(Error::malformed(
                "renewal.lead",
                "renewAt.before",
                format!("{lead} is not shorter than the certificate's life of {life}; use less"),
            ));
        }
        let due_at = due::at(certificate, rule, wanted.renew_jitter, self.random());
        Ok(due::Plan { renew_before_days: None, due_at })
    }

    async fn check_eligible(&self, call: &Call, certificate: &Certificate) -> Result<(), Error> {
        let Some(profile) = certificate.profile_id else {
            return Err(Error::malformed(
                "renewal.no_profile",
                "id",
                "the certificate was not issued from a profile, so the server cannot renew it",
            ));
        };
        if certificate.key_id.is_none() {
            let profile = self.reader().profile(call.project_id(), profile).await?;
            let reuse = profile.is_some_and(|it| it.settings.allow_key_reuse);
            if !(certificate.from_csr() && reuse) {
                return Err(Error::forbidden(
                    "renewal.no_key",
                    "the server holds no private key for this certificate; automatic renewal of a CSR-issued certificate needs allowKeyReuse on its profile",
                ));
            }
        }
        check_standing(certificate, self.now())
    }
}

/// Only a certificate that is in use and has no successor has a renewal to come.
fn check_standing(certificate: &Certificate, now: Timestamp) -> Result<(), Error> {
    let refuse = |code, text: &str| Err(Error::malformed(code, "id", text));
    match certificate.status(now) {
        CertificateStatus::Revoked => refuse("renewal.revoked", "the certificate is revoked"),
        CertificateStatus::Expired => refuse("renewal.expired", "the certificate is expired"),
        CertificateStatus::Active if certificate.renewal.renewed_by.is_some() => {
            refuse("renewal.done", "the certificate was already renewed; configure its successor")
        }
        CertificateStatus::Active => Ok(()),
    }
}

/// The lead must be shorter than the life, and must not begin before tomorrow 00:00 UTC.
fn check_lead(certificate: &Certificate, days: u32, now: Timestamp) -> Result<(), Error> {
    let life_days = (certificate.ttl + DAY_SECONDS - 1) / DAY_SECONDS;
    if i64::from(days) >= life_days {
        return Err(Error::malformed(
            "renewal.lead",
            "renewBeforeDays",
            format!("{days} days is not shorter than the certificate's life of {life_days} days"),
        ));
    }
    let due = certificate.not_after.as_seconds() - i64::from(days) * DAY_SECONDS;
    let tomorrow = (now.as_seconds().div_euclid(DAY_SECONDS) + 1) * DAY_SECONDS;
    if due < tomorrow {
        return Err(Error::malformed(
            "renewal.lead",
            "renewBeforeDays",
            format!(
                "renewal would be due at {}, before tomorrow 00:00 UTC; use fewer days, or renew now",
                Timestamp::from_seconds(due)
            ),
        ));
    }
    Ok(())
}
