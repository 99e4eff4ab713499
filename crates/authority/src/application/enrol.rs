//! Which application a request is for, and whether its caller may ask there.

use std::sync::Arc;

use chancery_model::ApplicationId;
use chancery_model::application::ApplicationProfile;
use chancery_model::certificate::Certificate;
use chancery_model::permission::Permission;
use chancery_model::profile::CertificateProfile;

use crate::cache::ProfileInForce;
use crate::{Authority, Call, Error, Requester};

impl Authority {
    /// The application that a request by a profile is for: the one it names, else the only one that the profile is
    /// attached to and the caller may use, else none, if the profile has enrolment settings of its own or is attached
    /// nowhere. Refused where the caller may not issue.
    pub(crate) async fn enrolling_application(
        &self,
        call: &Call,
        profile: &ProfileInForce,
        wanted: Option<ApplicationId>,
    ) -> Result<Option<Arc<ApplicationProfile>>, Error> {
        let attachments = &profile.attachments;
        let requester = &call.requester;
        if let Some(id) = wanted {
            let Some(attached) = attachments.iter().find(|it| it.application_id == id) else {
                return Err(self.not_attached(call, profile, id).await);
            };
            requester.require_in(Some(id), Permission::CertificateIssue)?;
            return if attached.api.is_some() {
                Ok(Some(Arc::clone(attached)))
            } else {
                Err(switched_off(&profile.profile))
            };
        }
        let usable: Vec<&Arc<ApplicationProfile>> =
            attachments.iter().filter(|it| may_enrol_in(requester, it)).collect();
        if let [only] = usable.as_slice() {
            return Ok(Some(Arc::clone(only)));
        }
        if is_open_to_none(requester, &profile.profile, attachments) {
            return Ok(None);
        }
        if !usable.is_empty() {
            return Err(ambiguous(profile, &usable));
        }
        requester.require(Permission::CertificateIssue)?;
        Err(switched_off(&profile.profile))
    }

    async fn not_attached(&self, call: &Call, profile: &ProfileInForce, id: ApplicationId) -> Error {
        match self.application_of(call, id).await {
            Ok(application) => Error::malformed(
                "application.not_attached",
                "applicationId",
                format!(
                    "the certificate profile '{}' is not attached to the application '{}'; an administrator attaches it, or name another application or profile",
                    profile.profile.slug, application.name
                ),
            ),
            Err(error) => error,
        }
    }
}

/// The application of a renewal is the old certificate's, as long as that still enrols by the profile.
pub(crate) fn of_renewal(
    profile: &ProfileInForce,
    old: &Certificate,
) -> Result<Option<Arc<ApplicationProfile>>, Error> {
    let Some(id) = old.application_id else { return Ok(None) };
    match profile.attachments.iter().find(|it| it.application_id == id) {
        Some(attached) if attached.api.is_some() => Ok(Some(Arc::clone(attached))),
        Some(_) => Err(switched_off(&profile.profile)),
        None => Err(Error::forbidden(
            "application.not_attached",
            format!(
                "The certificate profile '{}' is no longer attached to the certificate's application, or the application is gone; attach it again, or issue a new certificate",
                profile.profile.slug
            ),
        )),
    }
}

/// Whether the application enrols by the profile it is attached to, and the requester may ask for it.
pub(crate) fn may_enrol_in(requester: &Requester, attached: &ApplicationProfile) -> bool {
    attached.api.is_some() && requester.may_in(Some(attached.application_id), Permission::CertificateIssue)
}

/// Whether a request by the profile may be for no application: it has enrolment settings of its own, or is attached nowhere.
pub(crate) fn is_open_to_none(
    requester: &Requester,
    profile: &CertificateProfile,
    attachments: &[Arc<ApplicationProfile>],
) -> bool {
    let has_own = attachments.is_empty() || profile.enrollment.is_some();
    has_own && requester.role().allows(Permission::CertificateIssue)
}

pub(crate) fn switched_off(profile: &CertificateProfile) -> Error {
    Error::forbidden(
        "application.enrollment",
        format!(
            "API enrolment is off for the certificate profile '{}' in its application; an administrator switches it on with PUT …/profiles/{}/enrollment/api",
            profile.slug, profile.id
        ),
    )
}

fn ambiguous(profile: &ProfileInForce, usable: &[&Arc<ApplicationProfile>]) -> Error {
    let ids: Vec<String> = usable.iter().take(10).map(|it| it.application_id.to_string()).collect();
    Error::malformed(
        "application.ambiguous",
        "applicationId",
        format!(
            "the certificate profile '{}' is attached to {} applications that you may use; name one: {}",
            profile.profile.slug,
            usable.len(),
            ids.join(", ")
        ),
    )
}
