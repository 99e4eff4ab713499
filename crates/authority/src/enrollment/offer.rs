//! Offers: what somebody may request by a certificate profile, before they do. For forms; nothing here decides about a
//! request, and a form that asks for something else meets the same rules as ever.

use std::sync::Arc;

use chancery_model::application::{Application, ApplicationProfile};
use chancery_model::authority::CaStatus;
use chancery_model::page::{Page, PageRequest};
use chancery_model::permission::Permission;
use chancery_model::profile::CertificateProfile;
use chancery_model::{ErrorKind, ProfileId, TemplateId};
use chancery_pkix::SignatureAlgorithm;
use chancery_store::{CaSummary, ProfileFilter};

use crate::application::enrol;
use crate::call::Call;
use crate::error::Error;
use crate::hierarchy::IssuedBy;
use crate::template::Choices;
use crate::{Authority, Requester};

/// A certificate profile as somebody may use it.
pub struct Offer {
    pub profile: CertificateProfile,
    pub template_id: TemplateId,
    pub template_name: String,
    /// What the template enforces, in sentences.
    pub rules: Vec<String>,
    pub choices: Choices,
    /// Absent: self-signed.
    pub ca: Option<CaSummary>,
    /// Those that a request may be for.
    pub applications: Vec<Application>,
    /// Whether a request may be for none. With several applications one must be named otherwise.
    pub is_open_to_none: bool,
    /// Why nothing can be issued just now.
    pub obstacle: Option<String>,
}

impl Authority {
    /// The profiles that the caller may use, newest first. A page may be short: profiles of applications that are not the
    /// caller's are left out of it.
    pub async fn offers(&self, call: &Call, search: Option<&str>, page: &PageRequest) -> Result<Page<Offer>, Error> {
        call.requester.require_somewhere(Permission::CertificateIssue)?;
        let filter = ProfileFilter { search: search.map(ToOwned::to_owned), ..ProfileFilter::default() };
        let found = self.reader().profiles(call.project_id(), &filter, page).await?;
        let mut items = Vec::with_capacity(found.items.len());
        for profile in found.items {
            match self.offer_of(call, profile).await {
                Ok(offer) => items.push(offer),
                Err(error) if error.kind() == ErrorKind::Forbidden => {}
                Err(error) => return Err(error),
            }
        }
        Ok(Page { items, total: found.total, next_cursor: found.next_cursor })
    }

    /// One profile; `Forbidden` where the caller may not request by it.
    pub async fn offer(&self, call: &Call, id: ProfileId) -> Result<Offer, Error> {
        call.requester.require_somewhere(Permission::CertificateIssue)?;
        let profile = self.reader().profile(call.project_id(), id).await?;
        let profile = profile.ok_or_else(|| Error::not_found("Certificate profile", id))?;
        let mut offer = self.offer_of(call, profile).await?;
        match self.profile_in_force(call.project_id(), id).await {
            Ok(it) => offer.choices.signature_algorithms.retain(|one| is_possible(&it.issued_by, *one)),
            Err(error) if matches!(error.kind(), ErrorKind::Internal | ErrorKind::NotFound) => return Err(error),
            Err(error) => offer.obstacle = Some(error.public_message()),
        }
        Ok(offer)
    }

    async fn offer_of(&self, call: &Call, profile: CertificateProfile) -> Result<Offer, Error> {
        let project = call.project_id();
        let attachments = self.reader().applications_of_profile(profile.id).await?.into_iter().map(Arc::new).collect();
        let ways = Ways::of(&call.requester, &profile, attachments)?;
        let template = self.template_in_force(project, profile.template_id).await?;
        let mut applications = Vec::with_capacity(ways.applications.len());
        for attached in &ways.applications {
            applications.extend(self.reader().application(project, attached.application_id).await?);
        }
        let ca = match profile.issuer.ca_id() {
            Some(id) => self.reader().ca_summary(project, id).await?,
            None => None,
        };
        let obstacle = ca.as_ref().filter(|ca| ca.status != CaStatus::Active).map(|ca| {
            format!("The certification authority '{}' is {}, so it issues nothing", ca.name, ca.status.as_str())
        });
        Ok(Offer {
            template_id: template.record.id,
            template_name: template.record.name.clone(),
            rules: template.rules.summary(),
            choices: template.rules.choices(),
            is_open_to_none: ways.is_open_to_none,
            profile,
            ca,
            applications,
            obstacle,
        })
    }
}

/// For whom a caller may request by a profile.
struct Ways {
    applications: Vec<Arc<ApplicationProfile>>,
    is_open_to_none: bool,
}

impl Ways {
    fn of(
        requester: &Requester,
        profile: &CertificateProfile,
        attachments: Vec<Arc<ApplicationProfile>>,
    ) -> Result<Self, Error> {
        let is_open_to_none = enrol::is_open_to_none(requester, profile, &attachments);
        let applications: Vec<_> = attachments.into_iter().filter(|it| enrol::may_enrol_in(requester, it)).collect();
        if applications.is_empty() && !is_open_to_none {
            requester.require(Permission::CertificateIssue)?;
            return Err(enrol::switched_off(profile));
        }
        Ok(Self { applications, is_open_to_none })
    }
}

/// Whether the signing key can make such a signature. What signs elsewhere does not ask.
fn is_possible(issued_by: &IssuedBy, algorithm: SignatureAlgorithm) -> bool {
    match issued_by {
        IssuedBy::Itself => true,
        IssuedBy::Ca(issuer) => algorithm.fits(issuer.key_algorithm()),
        IssuedBy::External(_) | IssuedBy::Undecided => false,
    }
}
