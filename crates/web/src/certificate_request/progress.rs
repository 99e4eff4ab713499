//! One request: how far it is, what was decided over it, and what can be done with it.

use chancery_authority::Authority;
use chancery_authority::enrollment::{DecidedKey, Decision, FieldReport};
use chancery_model::certificate::Certificate;
use chancery_model::enrollment::Source;
use chancery_model::job::{JobKey, JobKind};
use chancery_model::order::{ExternalOrder, OrderPhase};
use chancery_model::permission::Permission;
use chancery_model::request::{CertificateRequest, RequestStatus};
use chancery_model::{Timestamp, Violation};
use chancery_pkix::{CertificationRequest, pem};

use super::status_badge;
use crate::error::WebError;
use crate::request::command::Asked;
use crate::request::words::{field_label, key_label, source_label, value_label};
use crate::visit::Visit;

pub(super) struct Progress {
    pub request: CertificateRequest,
    pub profile: Option<String>,
    pub ca: Option<String>,
    pub application: Option<String>,
    pub certificate: Option<Certificate>,
    pub order: Option<ExternalOrder>,
    /// When the CA is looked at next, how often in a row that failed, and why.
    pub next_look: Option<(Timestamp, u32, Option<String>)>,
    pub may_act: bool,
    pub curl: Option<String>,
    pub command_line: Option<String>,
    kept: Decision,
}

pub(super) const fn is_open(status: RequestStatus) -> bool {
    matches!(status, RequestStatus::Pending | RequestStatus::PendingApproval | RequestStatus::PendingValidation)
}

impl Progress {
    pub async fn of(authority: &Authority, visit: &Visit, request: CertificateRequest) -> Result<Self, WebError> {
        let (reader, project) = (authority.reader(), visit.call.project_id());
        let profile = match request.profile_id {
            Some(id) => reader.profile(project, id).await?.map(|it| it.slug),
            None => None,
        };
        let ca = match request.ca_id {
            Some(id) => reader.ca_summary(project, id).await?.map(|it| it.name),
            None => None,
        };
        let application = match request.application_id {
            Some(id) => reader.application(project, id).await?.map(|it| it.name),
            None => None,
        };
        let certificate = match request.certificate_id {
            Some(id) => reader.certificate(project, id).await?,
            None => None,
        };
        let order = reader.order(project, request.id).await?;
        let next_look = match order.as_ref().filter(|it| it.phase == OrderPhase::Ordering) {
            Some(_) => {
                let key = JobKey { kind: JobKind::AdvanceOrder, object: request.id.as_uuid() };
                reader.job(key).await?.map(|job| (job.due_at, job.attempts, job.last_error))
            }
            None => None,
        };
        let kept = Decision::read(&request.document).unwrap_or_default();
        let may_act = is_open(request.status)
            && visit.call.requester.may_in(request.application_id, Permission::CertificateIssue);
        let mut progress = Self {
            request,
            profile,
            ca,
            application,
            certificate,
            order,
            next_look,
            may_act,
            curl: None,
            command_line: None,
            kept,
        };
        if let Some(asked) = progress.asked() {
            progress.curl = Some(asked.curl(&visit.server_url));
            progress.command_line = asked.fits_command_line().then(|| asked.command_line());
        }
        Ok(progress)
    }

    pub fn title(&self) -> String {
        let names = self.request.common_name.as_ref().or(self.request.alt_names.as_ref());
        names.map_or_else(|| "Certificate request".to_owned(), |it| format!("Request for {it}"))
    }

    pub fn is_open(&self) -> bool {
        is_open(self.request.status)
    }

    pub fn badge(&self) -> (&'static str, &'static str) {
        status_badge(self.request.status)
    }

    pub fn pem(&self) -> Option<String> {
        self.certificate.as_ref().map(|it| pem::encode(pem::CERTIFICATE, &it.der))
    }

    pub fn quarantined(&self) -> Option<String> {
        let der = self.order.as_ref()?.quarantined.as_ref()?;
        Some(pem::encode(pem::CERTIFICATE, der))
    }

    pub fn warnings(&self) -> impl Iterator<Item = &str> {
        self.kept.warnings.iter().map(|it| it.message.as_str())
    }

    pub fn violations(&self) -> &[Violation] {
        &self.kept.violations
    }

    /// Name, value and where it came from.
    pub fn fields(&self) -> Vec<(String, String, &'static str)> {
        let shown =
            |it: &FieldReport| (field_label(&it.field), value_label(&it.field, &it.value), source_label(it.source));
        self.kept.fields.iter().map(shown).collect()
    }

    pub fn key(&self) -> &'static str {
        key_label(self.kept.key)
    }

    /// The steps of an order at a CA elsewhere: the word, whether it is done, whether it is where the order stands.
    pub fn steps(&self) -> Vec<(&'static str, bool, bool)> {
        let Some(order) = &self.order else { return Vec::new() };
        let is_issued = self.request.status == RequestStatus::Issued;
        let is_placed = order.reference.is_some();
        let is_proving = self.request.status == RequestStatus::PendingValidation;
        let reached = match () {
            () if is_issued => 4,
            () if is_proving => 2,
            () if is_placed => 3,
            () => 1,
        };
        let words = ["Accepted here", "Ordered at the CA", "Control of the names proved", "Issued"];
        let is_open = self.is_open();
        words
            .into_iter()
            .enumerate()
            .map(|(place, word)| (word, place < reached, is_open && place == reached))
            .collect()
    }

    /// How far the CA's kind says it is, for whoever looks for a fault.
    pub fn record(&self) -> Option<String> {
        let state = &self.order.as_ref()?.state;
        if state.is_null() { None } else { serde_json::to_string_pretty(state).ok() }
    }

    /// What somebody asked for, so that it can be said again by other means. Renewals are asked for otherwise.
    fn asked(&self) -> Option<Asked> {
        let renews = self.certificate.as_ref().and_then(|it| it.renewal.renewed_from);
        if renews.is_some()
            || self.order.as_ref().is_some_and(|it| it.renews.is_some())
            || self.kept.key == Some(DecidedKey::Reused)
        {
            return None;
        }
        let has_csr = self.kept.key == Some(DecidedKey::Csr);
        let said = |it: &&FieldReport| it.source == Source::Request && !it.field.starts_with("altNames");
        let has_end =
            self.kept.fields.iter().any(|it| it.field == "ttl" && it.source == Source::Request) && self.is_dated();
        let keeps = |it: &&FieldReport| match it.field.as_str() {
            "ttl" => !has_end,
            "notBefore" | "notAfter" => has_end,
            _ => true,
        };
        let fields = self.kept.fields.iter().filter(said).filter(keeps);
        Some(Asked {
            profile_id: self.request.profile_id?.to_string(),
            profile_slug: self.profile.clone()?,
            application_id: self.request.application_id.map(|id| id.to_string()),
            fields: fields.map(|it| (it.field.clone(), it.value.clone())).collect(),
            names: self.names(),
            has_csr,
            labels: self.request.metadata.clone(),
        })
    }

    /// Whether the requester named dates: their distance is then not what a length of so many seconds from now would give.
    fn is_dated(&self) -> bool {
        let time = |name: &str| {
            let found = self.kept.fields.iter().find(|it| it.field == name)?;
            Timestamp::parse_date(&found.value).ok()
        };
        let (Some(end), Some(ttl)) = (time("notAfter"), self.ttl_seconds()) else { return false };
        end.as_seconds() != self.request.created_at.as_seconds() + ttl - 1
    }

    fn ttl_seconds(&self) -> Option<i64> {
        let found = self.kept.fields.iter().find(|it| it.field == "ttl")?;
        chancery_model::time::Ttl::parse(&found.value).ok().map(|it| it.as_seconds())
    }

    /// The alternative names that were asked for, with their kinds, which the document does not say: the certificate or the
    /// order's own CSR does.
    fn names(&self) -> Vec<(String, String)> {
        let asked = |value: &str| {
            self.kept
                .fields
                .iter()
                .any(|it| it.field.starts_with("altNames") && it.source == Source::Request && it.value == value)
        };
        let certified = self.certificate.iter().flat_map(|it| it.description.sans.iter().cloned());
        let ordered = self.order.as_ref().filter(|_| self.certificate.is_none());
        let ordered = ordered.and_then(|it| CertificationRequest::from_der(&it.csr).ok());
        let ordered = ordered.iter().flat_map(|csr| csr.subject_alt_names()).map(|it| (it.kind(), it.value()));
        let names = certified.chain(ordered).filter(|(_, value)| asked(value));
        names.map(|(kind, value)| (kind.as_str().to_owned(), value)).collect()
    }
}
