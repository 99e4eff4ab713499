//! The renew verb: what may be renewed, with which key, and the walk.

use chancery_model::audit::{AuditEvent, Outcome};
use chancery_model::authority::CaStatus;
use chancery_model::certificate::{Certificate, CertificateStatus};
use chancery_model::enrollment::{Enrollment, KeySource, Source};
use chancery_model::job::Fence;
use chancery_model::permission::Permission;
use chancery_model::profile::{EnrollmentType, KeyCustody, ProfileIssuer};
use chancery_model::{CertificateId, ProfileId};
use chancery_pkix::CertificationRequest;
use chancery_store::{Change, StoreError, Write};

use super::copy;
use super::obstacle::{Obstacle, RenewalErrorType};
use crate::Authority;
use crate::application::enrol;
use crate::cache::ProfileInForce;
use crate::call::Call;
use crate::enrollment::{self, Attributes, Circumstances, Field};
use crate::error::Error;
use crate::issuance::{Ground, Halt, Issuance, Walk, parse_csr};

#[derive(Clone, Debug, Default)]
pub struct RenewRequest {
    pub key_source: Option<RenewalKeySource>,
    /// PEM; goes with [`RenewalKeySource::Csr`] and with nothing else.
    pub csr: Option<String>,
    /// Edits on top of a copy of the old certificate.
    pub attributes: Option<Attributes>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RenewalKeySource {
    /// A fresh key pair made here.
    New,
    /// The old key, or the public key of the old CSR.
    Reuse,
    /// The caller's own key, by a CSR.
    Csr,
}

/// One try to renew.
pub(super) struct Attempt<'a> {
    pub old: &'a Certificate,
    pub source: RenewalKeySource,
    /// PEM; with [`RenewalKeySource::Csr`].
    pub csr: Option<String>,
    pub edits: Attributes,
    /// The job this try does; absent when somebody asked for it.
    pub fence: Option<Fence>,
}

impl Authority {
    /// Renews a certificate: the same content, a new validity. Of many calls at once, one succeeds.
    pub async fn renew(&self, call: &Call, id: CertificateId, request: RenewRequest) -> Result<Issuance, Error> {
        call.requester.require_somewhere(Permission::CertificateRenew)?;
        if let Some(done) = self.replay(call).await? {
            return Ok(done);
        }
        let old = self.certificate_of(call, id).await?;
        // The same call may have renewed it between the two reads.
        if old.renewal.renewed_by.is_some()
            && let Some(done) = self.replay(call).await?
        {
            return Ok(done);
        }
        self.require_management(&call.requester, &old, Permission::CertificateRenew)?;
        profile_of(&old)?;
        let source = key_source(&old, &request)?;
        let RenewRequest { csr, attributes, .. } = request;
        let attempt = Attempt { old: &old, source, csr, edits: attributes.unwrap_or_default(), fence: None };
        match self.try_renewal(call, attempt).await {
            Ok(Issuance::Issued(mut issued)) => {
                // Clients fetch a renewed key by its own endpoint; only a key that is kept nowhere is answered here.
                if issued.certificate.key_id.is_some() {
                    issued.private_key = None;
                }
                Ok(Issuance::Issued(issued))
            }
            Ok(pending @ Issuance::Pending(_)) => Ok(pending),
            Err(obstacle) => Err(self.refuse_renewal(call, &old, obstacle).await),
        }
    }

    /// A renewal by whomever, on the one path of all certificates. What stands in its way is not written down here.
    pub(super) async fn try_renewal(&self, call: &Call, attempt: Attempt<'_>) -> Result<Issuance, Obstacle> {
        let Attempt { old, source, fence, .. } = attempt;
        let profile_id = profile_of(old).map_err(Obstacle::Request)?;
        self.check_standing(call, old, profile_id, fence.is_some()).await?;
        let profile = self.profile_in_force(call.project_id(), profile_id).await.map_err(Obstacle::Request)?;
        check_issuer(&profile).map_err(|error| Obstacle::Standing(RenewalErrorType::NotEligible, error))?;
        check_source(old, &profile, source, fence.is_some()).map_err(Obstacle::Request)?;
        if fence.is_some() {
            check_custody(&profile, source).map_err(Obstacle::Request)?;
        }
        let application = enrol::of_renewal(&profile, old)
            .map_err(|error| Obstacle::Standing(RenewalErrorType::NotEligible, error))?;
        let ground = Ground::of_profile(profile).within(application);
        let enrollment = match self.renewal_enrollment(call, &ground, attempt).await {
            Ok(enrollment) => enrollment,
            Err(error) => return Err(Obstacle::Unresolved(Box::new(ground), error)),
        };
        let event = AuditEvent::CertificateRenewed;
        let walk = Walk { ground: &ground, enrollment, event, predecessor: Some(old), fence };
        self.try_walk(call, walk).await.map_err(|halt| match halt {
            Halt::Refused(refused) => Obstacle::Refused(refused),
            Halt::Failed(error) => Obstacle::Failed(error),
        })
    }

    async fn renewal_enrollment(
        &self,
        call: &Call,
        ground: &Ground,
        attempt: Attempt<'_>,
    ) -> Result<Enrollment, Error> {
        let Attempt { old, source, csr, edits, .. } = attempt;
        let ordered = self.order_of(call, old).await?;
        let around = Circumstances {
            source: Source::Renewal,
            renews: Some(old.id),
            copied_subject: Some(ordered.as_ref().map_or(&old.description.subject, |csr| csr.subject().attributes())),
            ..self.circumstances(call, ground)
        };
        let copied = match &ordered {
            Some(csr) => copy::as_ordered(copy::attributes_of(old), csr),
            None => copy::attributes_of(old),
        };
        let metadata = old.metadata.clone();
        match source {
            RenewalKeySource::New => {
                let attributes = copy::edited(copied, edits);
                enrollment::resolve_attributes(&around, &attributes, KeySource::Generate, metadata)
            }
            RenewalKeySource::Reuse => {
                if let Some(algorithm) =
                    edits.key_algorithm.given().filter(|it| Some(**it) != old.description.key_algorithm)
                {
                    return Err(Error::malformed(
                        "renewal.key_algorithm",
                        "attributes.keyAlgorithm",
                        format!(
                            "{} is another algorithm than the key that is reused; leave it out, or use the key source \"new\"",
                            algorithm.as_str()
                        ),
                    ));
                }
                let key = self.reused_key(call, old).await?;
                enrollment::resolve_attributes(&around, &copy::edited(copied, edits), key, metadata)
            }
            RenewalKeySource::Csr => {
                let csr = parse_csr(csr.as_deref().unwrap_or_default())?;
                let attributes = csr_attributes(copied, edits)?;
                self.resolve_parsed(&around, &csr, &attributes, metadata)
            }
        }
    }

    /// What a CA elsewhere was asked for. It may have put more into the certificate, and that is not asked for by copying
    /// it: the template never permitted it.
    async fn order_of(&self, call: &Call, old: &Certificate) -> Result<Option<CertificationRequest>, Error> {
        let order = self.reader().order(call.project_id(), old.request_id).await?;
        order.map(|order| CertificationRequest::from_der(&order.csr).map_err(Error::internal)).transpose()
    }

    /// The key of the old certificate: sealed here, or public in the CSR it was made from.
    async fn reused_key(&self, call: &Call, old: &Certificate) -> Result<KeySource, Error> {
        if let Some(key) = old.key_id {
            return Ok(KeySource::ReuseStored(key));
        }
        let request = self.reader().request(call.project_id(), old.request_id).await?;
        match request.and_then(|it| it.csr) {
            Some(der) => {
                let csr = CertificationRequest::from_der(&der).map_err(Error::internal)?;
                Ok(KeySource::ReuseCsr(Box::new(csr.public_key().clone())))
            }
            // A renewal by reuse stores no CSR of its own; the certificate still holds the same public key.
            None if old.from_csr() => {
                let certificate = chancery_pkix::Certificate::from_der(&old.der).map_err(Error::internal)?;
                Ok(KeySource::ReuseCsr(Box::new(certificate.public_key().map_err(Error::internal)?)))
            }
            None => Err(Error::malformed(
                "renewal.no_key",
                "renewalKeySource",
                "there is neither a stored key nor a stored CSR to reuse; use \"new\" or \"csr\"",
            )),
        }
    }

    /// The checks of state, collected. The server itself may renew what ended while it was down.
    pub(super) async fn check_standing(
        &self,
        call: &Call,
        old: &Certificate,
        profile: ProfileId,
        by_itself: bool,
    ) -> Result<(), Obstacle> {
        let mut reasons = Vec::new();
        match old.status(self.now()) {
            CertificateStatus::Revoked => {
                reasons.push((RenewalErrorType::NotEligible, "certificate is revoked".to_owned()));
            }
            CertificateStatus::Expired if !by_itself => {
                reasons.push((RenewalErrorType::NotEligible, format!("certificate expired at {}", old.not_after)));
            }
            CertificateStatus::Active | CertificateStatus::Expired => {}
        }
        if let Some(successor) = old.renewal.renewed_by {
            let text = format!("certificate was already renewed by {successor}");
            reasons.push((RenewalErrorType::NotEligible, text));
        }
        let unreadable = |error: StoreError| Obstacle::Failed(error.into());
        let profile = self.reader().profile(call.project_id(), profile).await.map_err(unreadable)?;
        if let Some(ProfileIssuer::Ca(ca)) = profile.map(|it| it.issuer)
            && let Some(ca) = self.reader().ca_summary(call.project_id(), ca).await.map_err(unreadable)?
            && ca.status != CaStatus::Active
        {
            let text = format!("certificate authority '{}' is {}", ca.name, ca.status.as_str());
            reasons.push((RenewalErrorType::CaInactive, text));
        }
        let Some((first, _)) = reasons.first() else { return Ok(()) };
        let texts: Vec<&str> = reasons.iter().map(|(_, text)| text.as_str()).collect();
        let message = format!("Certificate is not eligible for renewal: {}", texts.join(", "));
        Err(Obstacle::Standing(*first, Error::malformed("renewal.not_eligible", "", message)))
    }

    /// What the caller is told. What is not the request's own fault stands in the audit log and on the certificate.
    async fn refuse_renewal(&self, call: &Call, old: &Certificate, obstacle: Obstacle) -> Error {
        match obstacle {
            Obstacle::Request(error) | Obstacle::Failed(error) => error,
            Obstacle::Standing(_, error) => self.keep_renewal_error(call, old, error).await,
            Obstacle::Unresolved(ground, error) => {
                let error = self.refuse_unresolved(call, &ground, error).await;
                self.keep_renewal_error(call, old, error).await
            }
            Obstacle::Refused(refused) => self.record_refusal(call, Some(old), *refused).await,
        }
    }

    async fn keep_renewal_error(&self, call: &Call, old: &Certificate, error: Error) -> Error {
        let now = self.now();
        let details = serde_json::json!({ "code": error.code(), "message": error.public_message() });
        let mut audit =
            call.audit(now, AuditEvent::CertificateRenewalRefused, Some(("certificate", old.id.as_uuid())), details);
        audit.outcome = Outcome::Denied;
        let change = Change::SetRenewalError { id: old.id, error: Some(error.public_message()), at: now };
        match self.commit(Write::default().with(change).audited(audit)).await {
            Ok(()) => error,
            Err(failed) => failed,
        }
    }
}

/// Who has no profile, or came by a protocol of its own, cannot be renewed at all.
pub(super) fn profile_of(old: &Certificate) -> Result<ProfileId, Error> {
    let Some(profile_id) = old.profile_id else {
        return Err(Error::forbidden(
            "renewal.no_profile",
            "Only certificates issued from a profile can be renewed; issue a new one instead",
        ));
    };
    if old.enrollment != EnrollmentType::Api {
        return Err(Error::forbidden("renewal.enrollment", "The certificate came by a protocol that renews it itself"));
    }
    Ok(profile_id)
}

/// Not every CA that is run elsewhere can be asked for a renewal.
pub(super) fn check_issuer(profile: &ProfileInForce) -> Result<(), Error> {
    let Some(external) = profile.issued_by.external().filter(|it| !it.capabilities.renew) else { return Ok(()) };
    let name = &external.ca.name;
    let text = format!("certificates of the certification authority '{name}' cannot be renewed from here");
    Err(Error::malformed("renewal.not_eligible", "", text))
}

/// A new key that is not kept would reach nobody: there is no caller to hand it to.
pub(super) fn check_custody(profile: &ProfileInForce, source: RenewalKeySource) -> Result<(), Error> {
    if source != RenewalKeySource::New || profile.profile.settings.key_custody == KeyCustody::Stored {
        return Ok(());
    }
    Err(Error::forbidden(
        "renewal.custody",
        format!(
            "The certificate profile does not keep keys any more (keyCustody \"{}\"), so a new key would reach nobody; renew by the API, or set keyCustody to \"stored\"",
            profile.profile.settings.key_custody.as_str()
        ),
    ))
}

/// The key source asked for, as far as request and certificate alone decide it.
pub(super) fn key_source(old: &Certificate, request: &RenewRequest) -> Result<RenewalKeySource, Error> {
    let source = request.key_source.unwrap_or(RenewalKeySource::New);
    match (source, request.csr.is_some()) {
        (RenewalKeySource::Csr, false) => {
            return Err(Error::malformed("renewal.csr", "csr", "the key source \"csr\" needs a CSR"));
        }
        (RenewalKeySource::New | RenewalKeySource::Reuse, true) => {
            return Err(Error::malformed("renewal.csr", "csr", "a CSR goes with the key source \"csr\" only"));
        }
        _ => {}
    }
    if old.from_csr() && source == RenewalKeySource::New {
        return Err(Error::forbidden(
            "renewal.csr_issued",
            "The certificate was issued from a CSR, so its key is not here. Renew with renewalKeySource \"reuse\" (the same key) or \"csr\" (a new CSR)",
        ));
    }
    Ok(source)
}

/// What the profile and its issuer let the key source be.
pub(super) fn check_source(
    old: &Certificate,
    profile: &ProfileInForce,
    source: RenewalKeySource,
    by_itself: bool,
) -> Result<(), Error> {
    match source {
        RenewalKeySource::New => Ok(()),
        RenewalKeySource::Csr if profile.issued_by.is_itself() => Err(Error::malformed(
            "renewal.self_signed",
            "renewalKeySource",
            "a self-signed certificate needs the private key here; use \"new\" or \"reuse\"",
        )),
        RenewalKeySource::Csr => Ok(()),
        // The contract: an external CA takes no key twice. The server itself may send the same CSR again where the profile
        // says so: nobody is there to make a new one.
        RenewalKeySource::Reuse if profile.issued_by.external().is_some() && !by_itself => Err(Error::malformed(
            "renewal.external",
            "renewalKeySource",
            "the certificate came from a CA that is run elsewhere, which takes no key twice; use \"new\", or \"csr\" with a new CSR",
        )),
        RenewalKeySource::Reuse if profile.issued_by.is_itself() && old.key_id.is_none() => Err(Error::malformed(
            "renewal.no_key",
            "renewalKeySource",
            "the server holds no private key for this self-signed certificate; use \"new\"",
        )),
        RenewalKeySource::Reuse if !profile.profile.settings.allow_key_reuse => Err(Error::forbidden(
            "renewal.reuse",
            "The certificate profile does not allow key reuse; set allowKeyReuse on it, or use another key source",
        )),
        RenewalKeySource::Reuse => Ok(()),
    }
}

/// With a CSR only the life span and the CA flag may be edited; the CSR says the rest.
fn csr_attributes(copied: Attributes, edits: Attributes) -> Result<Attributes, Error> {
    let foreign = edits.common_name != Field::Missing
        || edits.organization != Field::Missing
        || edits.organizational_unit != Field::Missing
        || edits.country != Field::Missing
        || edits.state != Field::Missing
        || edits.locality != Field::Missing
        || edits.key_algorithm != Field::Missing
        || edits.signature_algorithm != Field::Missing
        || edits.domain_components.is_some()
        || edits.key_usages.is_some()
        || edits.extended_key_usages.is_some()
        || edits.alt_names.is_some();
    if foreign {
        return Err(Error::malformed(
            "renewal.csr_attributes",
            "attributes",
            "with the key source \"csr\" only ttl and basicConstraints may be set; the CSR decides the rest",
        ));
    }
    Ok(Attributes {
        ttl: edits.ttl.or(copied.ttl),
        basic_constraints: edits.basic_constraints.or(copied.basic_constraints),
        ..Attributes::default()
    })
}
