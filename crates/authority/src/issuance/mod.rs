//! The path of a certificate: resolve → decide → prepare → sign → record, each stage a type that only the stage
//! before can make and the next consumes by value.
//!
//! | stage | file | makes |
//! |---|---|---|
//! | resolve | `enrollment/` | `Enrollment` |
//! | decide | `decide.rs` | [`decide::ApprovedRequest`] |
//! | prepare | `prepare.rs` | [`prepare::PreparedCertificate`] |
//! | sign | `sign.rs` | [`sign::SignedCertificate`] |
//! | record | `record.rs` | [`Issued`] |
//!
//! Where a CA elsewhere signs, the path goes from decide to *reserve* (`reserve.rs`), and the request is pending until the
//! room [`crate::external`] has brought the certificate home.
//!
//! Issue, sign-CSR, self-signed and renewal all come through [`Authority::walk`].

mod certificate;
mod decide;
mod explain;
mod idempotency;
mod prepare;
pub(crate) mod record;
mod replay;
mod reserve;
mod sign;

use std::sync::Arc;
use std::time::Instant;

use chancery_keys::PrivateKey;
use chancery_model::application::ApplicationProfile;
use chancery_model::audit::AuditEvent;
use chancery_model::certificate::Certificate;
use chancery_model::enrollment::{Enrollment, KeySource, Source};
use chancery_model::job::Fence;
use chancery_model::permission::Permission;
use chancery_model::profile::ProfileSettings;
use chancery_model::request::CertificateRequest;
use chancery_model::{ApplicationId, ProfileId, RequestId, Timestamp, Warning};
use chancery_pkix::{CertificationRequest, CsrError};
use chancery_store::Conflict;
use chancery_store::StoreError;

use crate::Authority;
use crate::access::checked_metadata;
use crate::cache::{ProfileInForce, TemplateInForce};
use crate::call::Call;
use crate::enrollment::{self, Attributes, Circumstances, IssueRequest, Target};
use crate::error::Error;
use crate::hierarchy::IssuedBy;
use crate::renewal::RenewalRules;
use crate::stage::Stage;

pub use certificate::{Pkcs12Wish, Zeroizing};
pub(crate) use decide::RefusedRequest;
pub use explain::Explanation;
pub use idempotency::Begin;
pub(crate) use prepare::{lint, lint_in};
pub(crate) use record::key_place;
pub(crate) use sign::signed;

/// A certificate that is on disk, with what its requester gets.
pub struct Issued {
    pub certificate: Certificate,
    pub request_id: RequestId,
    /// DER: the issuing CA first, the root last; for a self-signed certificate the certificate itself.
    pub chain: Vec<Vec<u8>>,
    /// PKCS#8 PEM, when the key was made here and custody lets the answer carry it.
    pub private_key: Option<Zeroizing<String>>,
    pub warnings: Vec<Warning>,
}

/// What became of a request.
pub enum Issuance {
    Issued(Box<Issued>),
    /// A CA elsewhere is being asked.
    Pending(Box<PendingRequest>),
}

impl Issuance {
    /// The certificate, unless it is still to come.
    #[must_use]
    pub fn into_issued(self) -> Option<Issued> {
        match self {
            Self::Issued(issued) => Some(*issued),
            Self::Pending(_) => None,
        }
    }
}

/// A request that is on disk and has no certificate yet.
pub struct PendingRequest {
    pub request: CertificateRequest,
    pub warnings: Vec<Warning>,
}

/// Rules and issuer that govern a request, whichever way it came in.
pub(crate) struct Ground {
    profile: Option<Arc<ProfileInForce>>,
    /// The application that the certificate is for, with its settings for the profile.
    application: Option<Arc<ApplicationProfile>>,
    pub template: Arc<TemplateInForce>,
    pub issued_by: IssuedBy,
    direct: ProfileSettings,
}

impl Ground {
    pub fn of_profile(profile: Arc<ProfileInForce>) -> Self {
        Self {
            template: Arc::clone(&profile.template),
            issued_by: profile.issued_by.clone(),
            profile: Some(profile),
            application: None,
            direct: ProfileSettings::default(),
        }
    }

    pub fn within(self, application: Option<Arc<ApplicationProfile>>) -> Self {
        Self { application, ..self }
    }

    pub fn settings(&self) -> &ProfileSettings {
        self.profile.as_ref().map_or(&self.direct, |it| &it.profile.settings)
    }

    fn criteria(&self, now: Timestamp) -> decide::Criteria<'_> {
        decide::Criteria { rules: &self.template.rules, issuer: self.issued_by.issuer(), now }
    }

    /// How the server renews what is issued here: the application's settings, else the profile's own.
    pub fn renewal_rules(&self) -> RenewalRules<'_> {
        let api = match &self.application {
            Some(it) => it.api.as_ref(),
            None => self.settings().api.as_ref(),
        };
        RenewalRules { api, allows_key_reuse: self.settings().allow_key_reuse }
    }

    pub fn application_id(&self) -> Option<ApplicationId> {
        self.application.as_ref().map(|it| it.application_id)
    }

    pub fn profile_id(&self) -> Option<ProfileId> {
        self.profile.as_ref().map(|it| it.profile.id)
    }
}

/// What a walk leaves besides the certificate: the line of renewals.
pub(crate) struct Walk<'a> {
    pub ground: &'a Ground,
    pub enrollment: Enrollment,
    pub event: AuditEvent,
    /// The certificate that this one renews, with what carries over.
    pub predecessor: Option<&'a Certificate>,
    /// The job that this walk does: finished in the transaction that records the certificate.
    pub fence: Option<Fence>,
}

/// Where a walk ended early.
pub(crate) enum Halt {
    /// The rules say no; nobody has written it down yet.
    Refused(Box<RefusedRequest>),
    Failed(Error),
}

impl From<Error> for Halt {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

/// A drawn serial number that was taken: how often to draw again. Two in a row do not happen with 126 random bits.
const SERIAL_DRAWS_MAX: usize = 3;

impl Authority {
    /// Issues a certificate, with or without a CSR, or has it ordered elsewhere. Durable before it returns.
    pub async fn issue(&self, call: &Call, request: IssueRequest) -> Result<Issuance, Error> {
        call.requester.require_somewhere(Permission::CertificateIssue)?;
        if let Some(done) = self.replay(call).await? {
            return Ok(done);
        }
        let ground = self.ground(call, request.target).await?;
        let enrollment = match self.resolve_request(call, &ground, request) {
            Ok(enrollment) => enrollment,
            Err(error) => return Err(self.refuse_unresolved(call, &ground, error).await),
        };
        let walk =
            Walk { ground: &ground, enrollment, event: AuditEvent::CertificateIssued, predecessor: None, fence: None };
        self.walk(call, walk).await
    }

    /// The path from the resolved request on. Every way of issuing ends here. A refusal is written down.
    pub(crate) async fn walk(&self, call: &Call, walk: Walk<'_>) -> Result<Issuance, Error> {
        let predecessor = walk.predecessor;
        match self.try_walk(call, walk).await {
            Ok(issuance) => Ok(issuance),
            Err(Halt::Failed(error)) => Err(error),
            Err(Halt::Refused(refused)) => Err(self.record_refusal(call, predecessor, *refused).await),
        }
    }

    /// The same for callers that write a refusal down together with something else.
    pub(crate) async fn try_walk(&self, call: &Call, walk: Walk<'_>) -> Result<Issuance, Halt> {
        let Walk { ground, enrollment, event, predecessor, fence } = walk;
        let criteria = ground.criteria(self.now());
        let decided = self.stages().time(Stage::Decide, || decide::decide(criteria, enrollment));
        let approved = decided.map_err(|refused| {
            self.stages().count_refused();
            Halt::Refused(refused)
        })?;
        let key = self.subject_key(call, &approved).await?;
        if let Some(external) = ground.issued_by.external() {
            let reservation =
                reserve::Reservation { approved: &approved, key: &key, ground, external, predecessor, fence };
            return self.reserve(call, reservation).await.map_err(Halt::Failed);
        }
        let mut attempt = 0;
        loop {
            attempt += 1;
            let prepared = self.stages().time(Stage::Prepare, || {
                prepare::prepare(&approved, ground, &key, self.random(), self.repository_url())
            })?;
            let signed = self.stages().time(Stage::Sign, || sign::sign(prepared, ground.issued_by.issuer(), &key))?;
            let start = Instant::now();
            let recorded = self
                .record(
                    call,
                    record::Recording { approved: &approved, signed, key: &key, ground, event, predecessor, fence },
                )
                .await;
            self.stages().book(Stage::Record, start);
            match recorded {
                Err(Error::Store(StoreError::Conflict(Conflict::Serial))) if attempt < SERIAL_DRAWS_MAX => {}
                Err(Error::Store(StoreError::Conflict(Conflict::Idempotency))) => {
                    let done = self.replay(call).await?;
                    return done.ok_or_else(|| Error::internal("idempotent request vanished").into());
                }
                // Renewed by somebody else, or by this very call on its first try.
                Err(error @ Error::Store(StoreError::Conflict(Conflict::AlreadyRenewed))) => {
                    return self.replay(call).await?.ok_or(Halt::Failed(error));
                }
                Err(error) => return Err(error.into()),
                Ok(issued) => {
                    self.stages().count_issued();
                    return Ok(Issuance::Issued(Box::new(issued)));
                }
            }
        }
    }

    /// Finds the rules and the issuer that the request's target names, and whether the caller may issue by them.
    async fn ground(&self, call: &Call, target: Target) -> Result<Ground, Error> {
        let project = call.project_id();
        match target {
            Target::Profile { profile_id, application_id } => {
                let profile = self.profile_in_force(project, profile_id).await?;
                let application = self.enrolling_application(call, &profile, application_id).await?;
                Ok(Ground::of_profile(profile).within(application))
            }
            Target::Ca(ca) => {
                call.requester.require(Permission::CertificateIssue)?;
                let issuer = self.issuer(project, ca).await?;
                let template = issuer.direct_issuance_template().ok_or_else(|| {
                    Error::malformed(
                        "ca.direct_issuance",
                        "caId",
                        "this CA has no direct-issuance template; an administrator sets directIssuancePolicyId on it, or request against a certificate profile",
                    )
                })?;
                let template = self.template_in_force(project, template).await?;
                Ok(Ground {
                    profile: None,
                    application: None,
                    template,
                    issued_by: IssuedBy::Ca(issuer),
                    direct: ProfileSettings::default(),
                })
            }
        }
    }

    /// The request over the ground's defaults. No clock or store access beyond "now".
    fn resolve_request(&self, call: &Call, ground: &Ground, request: IssueRequest) -> Result<Enrollment, Error> {
        let around = self.circumstances(call, ground);
        let IssueRequest { csr, attributes, metadata, .. } = request;
        let metadata = checked_metadata(metadata)?;
        match csr {
            None => self.stages().time(Stage::Resolve, || {
                enrollment::resolve_attributes(&around, &attributes, KeySource::Generate, metadata)
            }),
            Some(pem) => {
                let csr = self.stages().time(Stage::Parse, || parse_csr(&pem))?;
                self.resolve_parsed(&around, &csr, &attributes, metadata)
            }
        }
    }

    pub(crate) fn resolve_parsed(
        &self,
        around: &Circumstances<'_>,
        csr: &CertificationRequest,
        attributes: &Attributes,
        metadata: Vec<(String, String)>,
    ) -> Result<Enrollment, Error> {
        self.stages().time(Stage::Resolve, || enrollment::resolve_csr(around, csr, attributes, metadata))
    }

    pub(crate) fn circumstances<'a>(&self, call: &Call, ground: &'a Ground) -> Circumstances<'a> {
        Circumstances {
            project_id: call.project_id(),
            profile_id: ground.profile_id(),
            settings: ground.settings(),
            template: &ground.template,
            issued_by: &ground.issued_by,
            now: self.now(),
            source: Source::Request,
            renews: None,
            copied_subject: None,
        }
    }

    /// The key that the certificate will certify: made, opened again, or the requester's.
    async fn subject_key(&self, call: &Call, approved: &decide::ApprovedRequest) -> Result<SubjectKey, Error> {
        match &approved.enrollment().key {
            KeySource::Csr(public) | KeySource::ReuseCsr(public) => Ok(SubjectKey::Public(public.clone())),
            KeySource::ReuseStored(id) => Ok(SubjectKey::Held(Box::new(self.open_key(call.project_id(), *id).await?))),
            KeySource::Generate => {
                let start = Instant::now();
                let made = self.keys().generate(approved.enrollment().key_algorithm.value).await;
                self.stages().book(Stage::GenerateKey, start);
                Ok(SubjectKey::Held(Box::new(made.map_err(|error| Error::Unavailable(error.to_string()))?)))
            }
        }
    }
}

/// The subject's key, as far as it is here.
pub(crate) enum SubjectKey {
    Public(Box<chancery_pkix::PublicKey>),
    Held(Box<PrivateKey>),
}

impl SubjectKey {
    pub fn public(&self) -> &chancery_pkix::PublicKey {
        match self {
            Self::Public(public) => public,
            Self::Held(private) => private.public_key(),
        }
    }

    pub fn held(&self) -> Option<&PrivateKey> {
        match self {
            Self::Public(_) => None,
            Self::Held(private) => Some(private),
        }
    }
}

/// PEM to a CSR whose proof of possession holds.
pub(crate) fn parse_csr(pem: &str) -> Result<CertificationRequest, Error> {
    CertificationRequest::from_pem(pem).map_err(|CsrError { code, message, .. }| Error::malformed(code, "csr", message))
}
