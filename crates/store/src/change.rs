//! What can be changed: one [`Write`] is a list of changes and the audit entries that describe them, and it happens as a
//! whole or not at all.

use chancery_model::audit::AuditRecord;
use chancery_model::authority::{CaCertificate, CaRenewalReport, CertificationAuthority, SealedKey};
use chancery_model::certificate::{Certificate, RenewalSettings, Revocation};
use chancery_model::crl::{Crl, CrlEntry};
use chancery_model::identity::{AccessToken, ActorId, ClientSecret, Identity, User};
use chancery_model::job::{Fence, JobKey, NewJob};
use chancery_model::ocsp::OcspResponder;
use chancery_model::profile::CertificateProfile;
use chancery_model::project::Project;
use chancery_model::request::{CertificateRequest, RequestStatus};
use chancery_model::saved_view::SavedView;
use chancery_model::template::CertificateTemplate;
use chancery_model::{
    AccessTokenId, ApplicationId, CaCertificateId, CaId, CertificateId, ClientSecretId, IdentityId, KeyId, ProfileId,
    ProjectId, RequestId, SavedViewId, TemplateId, Timestamp,
};
use uuid::Uuid;

use crate::StoreError;
use crate::alert::{self, AlertChange};
use crate::application::{self, ApplicationChange};
use crate::crl::{self, CrlPublication};
use crate::external::{self, ExternalChange};
use crate::import::ImportedCertificate;
use crate::number::Numbering;
use crate::statement::Statement;
use crate::statistics::Figure;
use crate::user::UserChange;
use crate::{
    audit, authority, certificate, idempotency, identity, import, job, meta, profile, project, request, responder,
    saved_view, template, token, user,
};

/// Changes and audit entries that are committed together.
///
/// Put a guarded change (one whose documentation names a conflict) first: when it is refused there, the group's other
/// writes are not disturbed.
#[derive(Clone, Default)]
pub struct Write {
    pub changes: Vec<Change>,
    pub audit: Vec<AuditRecord>,
}

impl Write {
    #[must_use]
    pub fn with(mut self, change: Change) -> Self {
        self.changes.push(change);
        self
    }

    #[must_use]
    pub fn audited(mut self, record: AuditRecord) -> Self {
        self.audit.push(record);
        self
    }
}

/// One change of one noun. `Insert…` of an id that exists is `Exists`, of a taken name `Name`; every change of a record
/// that is not there is `Missing`.
#[derive(Clone)]
pub enum Change {
    SetMeta {
        key: String,
        value: Vec<u8>,
    },
    /// `Exists` if the key is there.
    InsertMeta {
        key: String,
        value: Vec<u8>,
    },
    InsertProject(Project),
    UpdateProject(Project),
    InsertUser(User),
    User(UserChange),
    InsertIdentity(Identity),
    UpdateIdentity(Identity),
    /// With its client secrets and access tokens.
    DeleteIdentity(IdentityId),
    InsertClientSecret(ClientSecret),
    /// Counts one use; `SecretSpent` if the secret is revoked, expired or used up.
    UseClientSecret {
        id: ClientSecretId,
        now: Timestamp,
    },
    /// The first revocation's time stays.
    RevokeClientSecret {
        id: ClientSecretId,
        at: Timestamp,
    },
    InsertAccessToken(AccessToken),
    /// `Stale` if the token is revoked.
    ExtendAccessToken {
        id: AccessTokenId,
        expires_at: Timestamp,
    },
    /// The same for a session in a browser, which was used at `at`.
    UseAccessToken {
        id: AccessTokenId,
        expires_at: Timestamp,
        at: Timestamp,
    },
    /// The first revocation's time stays.
    RevokeAccessToken {
        id: AccessTokenId,
        at: Timestamp,
    },
    RevokeTokensOf {
        actor: ActorId,
        at: Timestamp,
    },
    RevokeOtherTokensOf {
        actor: ActorId,
        keep: AccessTokenId,
        at: Timestamp,
    },
    InsertKey(SealedKey),
    InsertCa(Box<CertificationAuthority>),
    /// Name, status, configuration and template; `Stale` unless the same certificate signs as in the given state.
    UpdateCa(Box<CertificationAuthority>),
    /// How the last renewal went; nothing else of the CA changes.
    ReportCaRenewal {
        ca: CaId,
        report: CaRenewalReport,
    },
    /// Internal or external. `InUse` while a profile names it, an existing CA has a certificate from it, or an order of it is
    /// not done. Its certificates and key stay.
    DeleteCa(CaId),
    /// `Serial` if its issuer has used the serial number, unless for the certificate with these very bytes that is in the
    /// inventory already (insert that one first).
    InsertCaCertificate(Box<CaCertificate>),
    /// A certificate that was made before it came here: its serial number may be registered already.
    ImportCaCertificate(Box<CaCertificate>),
    /// Serial numbers (content octets) that an imported CA used elsewhere, so that none is used again. Taken ones stay so.
    RegisterSerials {
        issuer: CaId,
        serials: Vec<Vec<u8>>,
    },
    /// `Stale` unless `expected_active` is what signs now and `certificate` belongs to `ca`. The certificate's key becomes
    /// the CA's; a waiting CA becomes active.
    ActivateCa {
        ca: CaId,
        certificate: CaCertificateId,
        expected_active: Option<CaCertificateId>,
        at: Timestamp,
    },
    InsertTemplate(Box<CertificateTemplate>),
    /// `Stale` unless `expected_version` is stored.
    UpdateTemplate {
        template: Box<CertificateTemplate>,
        expected_version: i64,
    },
    /// `InUse` while a profile or a CA names it.
    DeleteTemplate(TemplateId),
    InsertProfile(Box<CertificateProfile>),
    UpdateProfile(Box<CertificateProfile>),
    DeleteProfile(ProfileId),
    /// `Serial` if the issuer has used the serial number.
    InsertCertificate(Box<Certificate>),
    /// `Serial` if the certificate is there already, in its own bytes or as the number of its issuer.
    ImportCertificate(Box<ImportedCertificate>),
    /// `AlreadyRenewed` if it has a successor or is revoked. Clears the renewal error and the due time.
    MarkRenewed {
        id: CertificateId,
        by: CertificateId,
        at: Timestamp,
    },
    ConfigureRenewal {
        id: CertificateId,
        renew_before_days: Option<u32>,
        due_at: Option<Timestamp>,
        settings: Option<RenewalSettings>,
        at: Timestamp,
    },
    SetRenewalError {
        id: CertificateId,
        error: Option<String>,
        at: Timestamp,
    },
    SetCertificateMetadata {
        id: CertificateId,
        metadata: Vec<(String, String)>,
        at: Timestamp,
    },
    /// Out of every list and look-up; the row and its serial number stay.
    DeleteCertificate(CertificateId),
    Application(ApplicationChange),
    Alert(AlertChange),
    External(ExternalChange),
    InsertRequest(Box<CertificateRequest>),
    /// `Stale` unless the status is `expected`.
    SetRequestStatus {
        id: RequestId,
        expected: RequestStatus,
        status: RequestStatus,
        error_message: Option<String>,
        at: Timestamp,
    },
    /// What a request under way waits for: `Pending` or `PendingValidation`. One that is not under way stays as it is.
    SetRequestPending {
        id: RequestId,
        status: RequestStatus,
        message: Option<String>,
        at: Timestamp,
    },
    /// `Stale` unless it is pending in any way. Nothing is waited for any more.
    FinishRequest {
        id: RequestId,
        status: RequestStatus,
        certificate_id: Option<CertificateId>,
        /// In place of the one before; absent: that one stays.
        document: Option<String>,
        error_message: Option<String>,
        at: Timestamp,
    },
    /// `Idempotency` if the key is taken.
    ClaimIdempotency {
        key: [u8; 32],
        body_hash: [u8; 32],
        now: Timestamp,
    },
    AnswerIdempotency {
        key: [u8; 32],
        status: u16,
        sealed_body: Vec<u8>,
    },
    /// Deletes the oldest keys, at most 5 000 a call.
    ForgetIdempotency {
        before: Timestamp,
    },
    ReleaseIdempotency {
        key: [u8; 32],
    },
    /// Makes the job due at that time at the latest. While it runs, it is due again as soon as it ends.
    ScheduleJob(NewJob),
    /// Makes the job due at that time, with this deadline and no failures behind it. While it runs, that begins when it
    /// ends.
    SetJob(NewJob),
    /// No job is fine.
    DropJob(JobKey),
    /// Leases it and makes the next fencing token. `Stale` unless `expected_token` is the last one and its lease is over.
    ClaimJob {
        key: JobKey,
        expected_token: i64,
        now: Timestamp,
        lease_until: Timestamp,
    },
    /// `Stale` unless the fence holds.
    ExtendLease {
        fence: Fence,
        lease_until: Timestamp,
    },
    /// Ends every lease that would last from `now` to `latest` at most, and makes those jobs due at once. Only for who knows
    /// that no holder is left: see [`crate::Store::is_alone`].
    EndLeases {
        now: Timestamp,
        latest: Timestamp,
    },
    /// Ends the lease; `Stale` unless the fence holds. The job is due at `next`, or earlier if it was asked for meanwhile;
    /// with neither it is gone.
    FinishJob {
        fence: Fence,
        next: Option<Timestamp>,
    },
    /// Ends the lease after a failure; `Stale` unless the fence holds. Due at `due_at`, or earlier if it was asked for
    /// meanwhile.
    RetryJob {
        fence: Fence,
        due_at: Timestamp,
        error: String,
    },
    /// `AlreadyRevoked` unless it is not revoked or, with `held`, on hold: then the hold becomes final. Puts the entry on the
    /// list and switches the renewal off. A deleted certificate is revoked like any other.
    RevokeCertificate {
        id: CertificateId,
        revocation: Revocation,
        held: bool,
        entry: Option<CrlEntry>,
    },
    /// `NotHeld` unless it is on hold. Takes its entry, if there is one under this key and partition, off the list.
    ReleaseCertificate {
        id: CertificateId,
        at: Timestamp,
        key_id: Option<KeyId>,
        partition: u32,
    },
    /// Like [`Self::RevokeCertificate`].
    RevokeCaCertificate {
        id: CaCertificateId,
        revocation: Revocation,
        held: bool,
        entry: CrlEntry,
    },
    /// Like [`Self::ReleaseCertificate`].
    ReleaseCaCertificate {
        id: CaCertificateId,
        at: Timestamp,
        key_id: KeyId,
        partition: u32,
    },
    /// Nothing, if the key has a CRL of this partition. Else its first publication is due at once.
    InsertCrl(Box<Crl>),
    /// A revocation that an imported CA brought along, put on the list.
    InsertCrlEntry(CrlEntry),
    /// `Stale` unless the expected number is stored.
    PublishCrl(Box<CrlPublication>),
    /// In place of the one before.
    SetResponder(OcspResponder),
    /// Removes them for good, with request, names, and the key if nothing else uses it. Their serial numbers stay taken. One
    /// that is gone already is fine.
    CleanUpCertificates {
        certificates: Vec<Certificate>,
    },
    /// Deletes the access tokens that ended longest ago, at most 5 000 a call.
    ForgetTokens {
        before: Timestamp,
    },
    /// `Name` if its owner has one of this name.
    InsertSavedView(SavedView),
    DeleteSavedView(SavedViewId),
    /// A serial number of the CA that no certificate in the inventory has. `Serial` if it is taken.
    TakeSerial {
        ca: CaId,
        /// Lower-case hex.
        serial_number: String,
    },
}

/// What is counted, and for whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Counter {
    Certificates(ProjectId),
    CertificatesOfProfile(ProfileId),
    CertificatesOfCa(CaId),
    Requests(ProjectId),
    CertificatesOfApplication(ApplicationId),
}

impl Counter {
    /// The two key columns.
    pub fn key(self) -> (i64, Uuid) {
        match self {
            Self::Certificates(id) => (1, id.as_uuid()),
            Self::CertificatesOfProfile(id) => (2, id.as_uuid()),
            Self::CertificatesOfCa(id) => (3, id.as_uuid()),
            Self::Requests(id) => (4, id.as_uuid()),
            Self::CertificatesOfApplication(id) => (5, id.as_uuid()),
        }
    }
}

impl Change {
    /// Whether the change touches what issuance keeps in memory: CAs, templates, profiles.
    #[must_use]
    pub const fn is_configuration(&self) -> bool {
        if let Self::Application(change) = self {
            return change.is_configuration();
        }
        if let Self::External(change) = self {
            return change.is_configuration();
        }
        matches!(
            self,
            Self::InsertTemplate(_)
                | Self::UpdateTemplate { .. }
                | Self::DeleteTemplate(_)
                | Self::InsertProfile(_)
                | Self::UpdateProfile(_)
                | Self::DeleteProfile(_)
                | Self::InsertCa(_)
                | Self::UpdateCa(_)
                | Self::DeleteCa(_)
                | Self::ActivateCa { .. }
                | Self::RevokeCaCertificate { .. }
                | Self::ReleaseCaCertificate { .. }
                | Self::InsertCrl(_)
        )
    }

    /// Whether the change touches who may call: people, identities, sessions.
    #[must_use]
    pub const fn is_access(&self) -> bool {
        if let Self::Application(change) = self {
            return change.is_access();
        }
        if let Self::User(change) = self {
            return change.is_access();
        }
        matches!(
            self,
            Self::InsertProject(_)
                | Self::UpdateProject(_)
                | Self::InsertUser(_)
                | Self::InsertIdentity(_)
                | Self::UpdateIdentity(_)
                | Self::DeleteIdentity(_)
                | Self::RevokeClientSecret { .. }
                | Self::RevokeAccessToken { .. }
                | Self::RevokeTokensOf { .. }
                | Self::RevokeOtherTokensOf { .. }
        )
    }
}

/// A write turned into statements, before any database has seen it.
#[derive(Debug, Default)]
pub(crate) struct Effects {
    pub statements: Vec<Statement>,
    pub counters: Vec<(Counter, i64)>,
    pub figures: Vec<(Figure, i64)>,
    pub config_changed: bool,
    pub audit: Vec<audit::PreparedRecord>,
}

impl Effects {
    pub fn of(write: Write, node: &str, numbering: &Numbering) -> Result<Self, StoreError> {
        let mut effects = Self::default();
        for change in write.changes {
            effects.add(change, node, numbering)?;
        }
        for record in write.audit {
            effects.audit.push(audit::PreparedRecord::new(node, record)?);
        }
        Ok(effects)
    }

    pub fn push(&mut self, statement: Statement) {
        self.statements.push(statement);
    }

    /// A statement that nodes with cached configuration must learn of.
    pub fn configure(&mut self, statement: Statement) {
        self.config_changed = true;
        self.statements.push(statement);
    }

    fn add(&mut self, change: Change, node: &str, numbering: &Numbering) -> Result<(), StoreError> {
        match change {
            Change::SetMeta { key, value } => self.push(meta::set(key, value)),
            Change::InsertMeta { key, value } => self.push(meta::insert(key, value)),
            Change::InsertProject(it) => self.configure(project::insert(it)),
            Change::UpdateProject(it) => self.configure(project::update(it)),
            Change::InsertUser(it) => self.configure(user::insert(it)),
            Change::User(it) => user::change(self, it),
            Change::InsertTemplate(it) => self.configure(template::insert(*it)?),
            Change::UpdateTemplate { template, expected_version } => {
                self.configure(template::update(*template, expected_version)?)
            }
            Change::DeleteTemplate(id) => self.configure(template::delete(id)),
            Change::InsertProfile(it) => self.configure(profile::insert(*it)?),
            Change::UpdateProfile(it) => self.configure(profile::update(*it)?),
            Change::DeleteProfile(id) => self.configure(profile::delete(id)),
            Change::ClaimIdempotency { key, body_hash, now } => self.push(idempotency::claim(key, body_hash, now)),
            Change::AnswerIdempotency { key, status, sealed_body } => {
                self.push(idempotency::answer(key, status, sealed_body))
            }
            Change::ForgetIdempotency { before } => self.push(idempotency::forget(before)),
            Change::ReleaseIdempotency { key } => self.push(idempotency::release(key)),
            Change::Application(it) => application::change(self, it)?,
            Change::Alert(it) => alert::change(self, it)?,
            Change::External(it) => external::change(self, it)?,
            other => return self.add_credential(other, node, numbering),
        }
        Ok(())
    }

    fn add_credential(&mut self, change: Change, node: &str, numbering: &Numbering) -> Result<(), StoreError> {
        match change {
            Change::InsertIdentity(it) => self.configure(identity::insert(it)?),
            Change::UpdateIdentity(it) => self.configure(identity::update(it)?),
            Change::DeleteIdentity(id) => identity::delete(self, id),
            Change::InsertClientSecret(it) => self.push(identity::insert_secret(it)),
            Change::UseClientSecret { id, now } => self.push(identity::use_secret(id, now)),
            Change::RevokeClientSecret { id, at } => self.configure(identity::revoke_secret(id, at)),
            Change::InsertAccessToken(it) => self.push(token::insert(it)),
            Change::ExtendAccessToken { id, expires_at } => self.push(token::extend(id, expires_at)),
            Change::RevokeAccessToken { id, at } => self.configure(token::revoke(id, at)),
            Change::UseAccessToken { id, expires_at, at } => self.push(token::use_at(id, expires_at, at)),
            Change::RevokeTokensOf { actor, at } => self.configure(token::revoke_of(actor, at)),
            Change::RevokeOtherTokensOf { actor, keep, at } => self.configure(token::revoke_others(actor, keep, at)),
            Change::InsertKey(it) => self.push(authority::insert_key(it)),
            Change::InsertCa(it) => self.configure(authority::insert(*it)?),
            Change::UpdateCa(it) => self.configure(authority::update(*it)?),
            Change::DeleteCa(id) => self.configure(authority::delete(id)),
            Change::ReportCaRenewal { ca, report } => self.push(authority::report_renewal(ca, &report)?),
            Change::InsertCaCertificate(it) => authority::insert_certificate(self, *it)?,
            Change::ImportCaCertificate(it) => authority::import_certificate(self, *it)?,
            Change::RegisterSerials { issuer, serials } => {
                serials.into_iter().for_each(|serial| self.push(authority::register_serial(issuer.as_uuid(), serial)));
            }
            Change::ActivateCa { ca, certificate, expected_active, at } => {
                self.configure(authority::activate(ca, certificate, expected_active, at));
            }
            other => return self.add_certificate(other, node, numbering),
        }
        Ok(())
    }

    fn add_certificate(&mut self, change: Change, node: &str, numbering: &Numbering) -> Result<(), StoreError> {
        match change {
            Change::InsertCertificate(it) => certificate::insert(self, *it, numbering)?,
            Change::ImportCertificate(it) => import::insert(self, *it, numbering)?,
            Change::MarkRenewed { id, by, at } => certificate::mark_renewed(self, id, by, at, node),
            Change::ConfigureRenewal { id, renew_before_days, due_at, settings, at } => {
                certificate::configure_renewal(self, id, (renew_before_days, due_at), settings, (at, numbering))?;
            }
            Change::SetRenewalError { id, error, at } => self.push(certificate::set_renewal_error(id, error, at)),
            Change::SetCertificateMetadata { id, metadata, at } => {
                self.push(certificate::set_metadata(id, &metadata, at)?)
            }
            Change::DeleteCertificate(id) => certificate::delete(self, id, node),
            Change::InsertRequest(it) => request::insert(self, *it, numbering)?,
            Change::SetRequestStatus { id, expected, status, error_message, at } => {
                self.push(request::set_status(id, (expected, status), error_message, at));
            }
            Change::SetRequestPending { id, status, message, at } => {
                self.push(request::set_pending(id, status, message, at));
            }
            Change::FinishRequest { id, status, certificate_id, document, error_message, at } => {
                self.push(request::finish(id, (status, certificate_id), (document, error_message), at));
            }
            other => return self.add_lifecycle(other, node, numbering),
        }
        Ok(())
    }

    fn add_lifecycle(&mut self, change: Change, node: &str, numbering: &Numbering) -> Result<(), StoreError> {
        match change {
            Change::ScheduleJob(it) => self.push(job::schedule(it, numbering)),
            Change::SetJob(it) => self.push(job::set(it, numbering)),
            Change::DropJob(key) => self.push(job::drop(key)),
            Change::ClaimJob { key, expected_token, now, lease_until } => {
                self.push(job::claim(key, expected_token, now, lease_until));
            }
            Change::ExtendLease { fence, lease_until } => self.push(job::extend(fence, lease_until)),
            Change::EndLeases { now, latest } => self.push(job::end_leases(now, latest)),
            Change::FinishJob { fence, next } => job::finish(self, fence, next),
            Change::RetryJob { fence, due_at, error } => self.push(job::retry(fence, due_at, error)),
            Change::RevokeCertificate { id, revocation, held, entry } => {
                certificate::revoke(self, id, (revocation, held), entry, node);
            }
            Change::ReleaseCertificate { id, at, key_id, partition } => {
                certificate::release(self, id, at, (key_id, partition), node);
            }
            Change::RevokeCaCertificate { id, revocation, held, entry } => {
                certificate::revoke_ca(self, id, (revocation, held), entry);
            }
            Change::ReleaseCaCertificate { id, at, key_id, partition } => {
                certificate::release_ca(self, id, at, (key_id, partition));
            }
            Change::InsertCrl(it) => crl::insert(self, &it, numbering)?,
            Change::InsertCrlEntry(it) => self.push(crl::set_entry(it)),
            Change::PublishCrl(it) => crl::publish(self, *it)?,
            Change::SetResponder(it) => self.push(responder::set(it)),
            Change::CleanUpCertificates { certificates } => {
                certificates.iter().for_each(|it| certificate::clean_up(self, it, node));
            }
            Change::ForgetTokens { before } => self.push(token::forget(before)),
            Change::InsertSavedView(it) => self.push(saved_view::insert(it)),
            Change::DeleteSavedView(id) => self.push(saved_view::delete(id)),
            Change::TakeSerial { ca, serial_number } => self.push(authority::take_serial(ca, &serial_number)?),
            _ => return Err(StoreError::Backend("a change has no statement".to_owned())),
        }
        Ok(())
    }
}
