//! Revoking everything a search finds, in two steps: a preview that counts and gives a token, and the same call with the
//! token. The token stands for this search, this reason, this caller and what existed at the time of the preview: what is
//! issued in between is not revoked by surprise.

use chancery_model::audit::AuditEvent;
use chancery_model::certificate::{
    Certificate, CertificateFilter, CertificateSource, CertificateStatus, RevocationReason,
};
use chancery_model::page::PageRequest;
use chancery_model::permission::{Permission, Role};
use chancery_model::{CertificateId, Timestamp};
use chancery_store::Write;
use tokio::task::JoinSet;

use crate::Authority;
use crate::call::Call;
use crate::confirmation::Purpose;
use crate::error::Error;

/// What is to be revoked.
#[derive(Clone, Debug)]
pub struct BulkRevocation {
    /// Status conditions in it are ignored: only what is active can be revoked.
    pub filter: CertificateFilter,
    pub reason: RevocationReason,
}

impl BulkRevocation {
    /// A search that matches everything is a slip more often than a wish: some condition must be there.
    fn check(&self) -> Result<(), Error> {
        if self.filter.is_unconditional() {
            return Err(Error::malformed(
                "revocation.unconditional",
                "search",
                "it names no condition, which would revoke every certificate of the project; give at least one",
            ));
        }
        Ok(())
    }

    fn words(&self) -> [String; 2] {
        [self.reason.as_str().to_owned(), format!("{:?}", self.filter)]
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BulkPreview {
    /// Active certificates that match and that the caller may revoke; a lower bound beyond 10 000.
    pub matching: u64,
    /// Good for ten minutes.
    pub confirm: String,
}

#[derive(Clone, Debug, Default)]
pub struct BulkOutcome {
    pub revoked: u64,
    /// Those that could not be revoked, with the reason.
    pub failed: Vec<(CertificateId, String)>,
    /// More match than one call revokes: ask again, without the token.
    pub has_more: bool,
}

const PURPOSE: Purpose = Purpose { label: "bulk-revoke", code: "revocation.confirm" };
/// Certificates of one call; further ones need another.
const CALL_MAX: usize = 10_000;
/// Writes under way at once: they are committed in groups.
const CONCURRENT_MAX: usize = 64;
const FAILURES_SHOWN_MAX: usize = 1_000;
/// Rows looked at for one call, in pages: bounds what a search that finds little may cost.
const PAGES_MAX: usize = 1_000;

impl Authority {
    pub async fn preview_bulk_revocation(&self, call: &Call, wanted: &BulkRevocation) -> Result<BulkPreview, Error> {
        call.requester.require_somewhere(Permission::CertificateRevoke)?;
        wanted.check()?;
        let now = self.now();
        let (found, _) = self.revocable(call, wanted, now).await?;
        let [reason, filter] = wanted.words();
        let confirm = self.confirmation(call, PURPOSE, &[&reason, &filter], now);
        Ok(BulkPreview { matching: found.len() as u64, confirm })
    }

    /// Revokes what the preview counted and is still active. Each certificate succeeds or fails for itself.
    pub async fn bulk_revoke(&self, call: &Call, wanted: &BulkRevocation, confirm: &str) -> Result<BulkOutcome, Error> {
        call.requester.require_somewhere(Permission::CertificateRevoke)?;
        wanted.check()?;
        let [reason, filter] = wanted.words();
        let previewed_at = self.check_confirmation(call, PURPOSE, &[&reason, &filter], confirm)?;
        let (found, has_more) = self.revocable(call, wanted, previewed_at).await?;
        let mut outcome = BulkOutcome { has_more, ..BulkOutcome::default() };
        let mut running = JoinSet::new();
        for certificate in found {
            if running.len() >= CONCURRENT_MAX {
                outcome.add(running.join_next().await);
            }
            let (authority, call, reason) = (self.clone(), call.clone(), wanted.reason);
            running.spawn(async move {
                let id = certificate.id;
                (id, authority.revoke_certificate(&call, certificate, reason, None).await)
            });
        }
        while !running.is_empty() {
            outcome.add(running.join_next().await);
        }
        let details = serde_json::json!({
            "revoked": outcome.revoked, "failed": outcome.failed.len(), "reason": wanted.reason.as_str(),
            "filter": format!("{:?}", wanted.filter),
        });
        let audit = call.audit(self.now(), AuditEvent::CertificatesBulkRevoked, None, details);
        self.commit(Write::default().audited(audit)).await?;
        Ok(outcome)
    }

    /// Active certificates that match and that the caller may revoke, made until `until`; and whether there are more.
    async fn revocable(
        &self,
        call: &Call,
        wanted: &BulkRevocation,
        until: Timestamp,
    ) -> Result<(Vec<Certificate>, bool), Error> {
        let mut filter = wanted.filter.clone();
        filter.statuses = vec![CertificateStatus::Active];
        filter.created_to = Some(filter.created_to.map_or(until, |to| to.min(until)));
        let mut found = Vec::new();
        let mut cursor = None;
        for _ in 0..PAGES_MAX {
            let request = PageRequest { offset: 0, limit: PageRequest::LIMIT_MAX, cursor: cursor.take() };
            let page = self.reader().certificates(call.project_id(), &filter, self.now(), &request).await?;
            for certificate in page.items {
                if self.is_revocable(call, &certificate) {
                    if found.len() == CALL_MAX {
                        return Ok((found, true));
                    }
                    found.push(certificate);
                }
            }
            match page.next_cursor {
                None => return Ok((found, false)),
                next => cursor = next,
            }
        }
        Ok((found, true))
    }

    fn is_revocable(&self, call: &Call, certificate: &Certificate) -> bool {
        (certificate.source == CertificateSource::Issued || certificate.ca_id.is_some())
            && (call.requester.role() == Role::Admin
                || self.require_management(&call.requester, certificate, Permission::CertificateRevoke).is_ok())
    }
}

/// One certificate, and what became of it.
type Attempt = (CertificateId, Result<super::Revoked, Error>);

impl BulkOutcome {
    fn add(&mut self, done: Option<Result<Attempt, tokio::task::JoinError>>) {
        match done {
            Some(Ok((_, Ok(_)))) => self.revoked += 1,
            Some(Ok((id, Err(error)))) if self.failed.len() < FAILURES_SHOWN_MAX => {
                self.failed.push((id, error.public_message()));
            }
            Some(Err(error)) => tracing::error!(%error, "a revocation ended abnormally"),
            Some(Ok(_)) | None => {}
        }
    }
}
