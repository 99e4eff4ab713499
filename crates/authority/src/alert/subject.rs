//! Certificates and CAs as alerts see them.

use std::collections::HashMap;

use chancery_model::alert::Alert;
use chancery_model::certificate::{Certificate, CertificateDescription};
use chancery_model::request::CertificateRequest;
use chancery_model::{ApplicationId, CaId, ProfileId, ProjectId, Timestamp};
use chancery_store::{EndingCa, EndingCertificate};

use super::matching::{self, Candidate};
use super::message::MessageCertificate;
use crate::Authority;
use crate::error::Error;

/// Names of profiles, looked up once a run.
#[derive(Default)]
pub(super) struct ProfileNames(HashMap<ProfileId, Option<String>>);

impl ProfileNames {
    /// Absent for a profile that is gone.
    pub async fn name(
        &mut self,
        authority: &Authority,
        project: ProjectId,
        id: Option<ProfileId>,
    ) -> Result<Option<String>, Error> {
        let Some(id) = id else { return Ok(None) };
        if let Some(known) = self.0.get(&id) {
            return Ok(known.clone());
        }
        let name = authority.reader().profile(project, id).await?.map(|it| it.slug);
        self.0.insert(id, name.clone());
        Ok(name)
    }
}

/// Something that an alert may be about.
#[derive(Clone, Debug)]
pub(super) struct Subject {
    pub application_id: Option<ApplicationId>,
    pub told: MessageCertificate,
}

impl Subject {
    pub fn of_certificate(it: &Certificate, profile_name: Option<String>, now: Timestamp) -> Self {
        let told = MessageCertificate {
            id: it.id.as_uuid(),
            ca_id: None,
            request_id: None,
            serial_number: it.serial_number.clone(),
            common_name: common_name(&it.description),
            sans: sans(&it.description),
            profile_name,
            not_before: it.not_before,
            not_after: it.not_after,
            status: it.status(now).as_str().to_owned(),
            days_until_expiry: days_left(it.not_after, now),
            error: None,
        };
        Self { application_id: it.application_id, told }
    }

    pub fn of_ending(it: &EndingCertificate, profile_name: Option<String>, now: Timestamp) -> Self {
        let told = MessageCertificate {
            id: it.id.as_uuid(),
            ca_id: None,
            request_id: None,
            serial_number: it.serial_number.clone(),
            common_name: common_name(&it.description),
            sans: sans(&it.description),
            profile_name,
            not_before: it.not_before,
            not_after: it.not_after,
            status: "active".to_owned(),
            days_until_expiry: days_left(it.not_after, now),
            error: None,
        };
        Self { application_id: it.application_id, told }
    }

    pub fn of_ca(it: &EndingCa, now: Timestamp) -> Self {
        let common_name = if it.common_name.is_empty() { it.name.clone() } else { it.common_name.clone() };
        let told = MessageCertificate {
            id: it.certificate_id.as_uuid(),
            ca_id: Some(it.id),
            request_id: None,
            serial_number: it.serial_number.clone(),
            common_name,
            sans: Vec::new(),
            profile_name: None,
            not_before: it.not_before,
            not_after: it.not_after,
            status: if it.not_after < now { "expired" } else { "active" }.to_owned(),
            days_until_expiry: days_left(it.not_after, now),
            error: None,
        };
        Self { application_id: None, told }
    }

    /// A request that came to nothing.
    pub fn of_request(it: &CertificateRequest, profile_name: Option<String>) -> Self {
        let names = it.alt_names.iter().flat_map(|names| names.split(','));
        let told = MessageCertificate {
            id: it.id.as_uuid(),
            ca_id: None,
            request_id: Some(it.id),
            serial_number: String::new(),
            common_name: it.common_name.clone().unwrap_or_default(),
            sans: names.map(str::to_owned).collect(),
            profile_name,
            not_before: it.created_at,
            not_after: it.updated_at,
            status: it.status.as_str().to_owned(),
            days_until_expiry: 0,
            error: it.error_message.clone(),
        };
        Self { application_id: it.application_id, told }
    }

    /// Whether the alert is about this one. That CAs count has been asked before.
    pub fn is_meant_by(&self, alert: &Alert) -> bool {
        let candidate = Candidate {
            common_name: &self.told.common_name,
            sans: self.told.sans.iter().map(String::as_str).collect(),
            profile_name: self.told.profile_name.as_deref(),
        };
        let here = alert.application_id.is_none_or(|application| self.application_id == Some(application));
        here && matching::matches(&alert.filters, &candidate)
    }
}

fn common_name(description: &CertificateDescription) -> String {
    description.common_name().unwrap_or_default().to_owned()
}

fn sans(description: &CertificateDescription) -> Vec<String> {
    description.sans.iter().map(|(_, value)| value.clone()).collect()
}

fn days_left(not_after: Timestamp, now: Timestamp) -> i64 {
    (not_after.as_seconds() - now.as_seconds()).div_euclid(86_400)
}

impl Authority {
    /// A CA by its current certificate; `None` when it has none, or is gone.
    pub(super) async fn ca_subject(&self, project: ProjectId, id: CaId) -> Result<Option<Subject>, Error> {
        let Some(ca) = self.reader().ca(project, id).await? else { return Ok(None) };
        let Some(active) = ca.active_certificate else { return Ok(None) };
        let Some(certificate) = self.reader().ca_certificate(active).await? else { return Ok(None) };
        let seen = EndingCa {
            id,
            name: ca.name,
            certificate_id: active,
            serial_number: certificate.serial_number.clone(),
            not_before: certificate.not_before,
            not_after: certificate.not_after,
            common_name: ca.configuration.common_name,
        };
        Ok(Some(Subject::of_ca(&seen, self.now())))
    }
}
