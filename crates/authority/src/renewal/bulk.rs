//! Renewing what a search finds, in two steps like revoking it: a preview that counts and gives a token, and the same call
//! with the token. Each certificate is renewed by [`Authority::renew`], and succeeds or fails for itself.

use std::collections::BTreeMap;

use chancery_model::audit::AuditEvent;
use chancery_model::certificate::{Certificate, CertificateFilter, CertificateStatus};
use chancery_model::page::PageRequest;
use chancery_model::permission::Permission;
use chancery_model::{CertificateId, Timestamp};
use chancery_store::Write;
use tokio::task::JoinSet;

use super::renew::{RenewRequest, RenewalKeySource, check_custody, check_issuer, check_source, profile_of};
use crate::Authority;
use crate::application::enrol;
use crate::call::Call;
use crate::confirmation::Purpose;
use crate::error::Error;
use crate::issuance::Issuance;

/// What is to be renewed.
#[derive(Clone, Debug)]
pub struct BulkRenewal {
    /// Status conditions in it are ignored: only what is active can be renewed.
    pub filter: CertificateFilter,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BulkRenewalPreview {
    /// Active certificates that match, whoever may renew them; a lower bound where `has_more`.
    pub matching: u64,
    /// Those that one call renews: at most 500, the first by the search's order.
    pub renewable: u64,
    /// Why the others are left alone, each reason with its number.
    pub left_out: Vec<(String, u64)>,
    /// More match than one call looks at: renew these, then ask again.
    pub has_more: bool,
    /// Good for ten minutes.
    pub confirm: String,
}

#[derive(Clone, Debug, Default)]
pub struct BulkRenewalOutcome {
    pub renewed: u64,
    /// Ordered at a CA elsewhere.
    pub pending: u64,
    /// Those that could not be renewed, with the reason.
    pub failed: Vec<(CertificateId, String)>,
    /// More match than one call renews: ask again, without the token.
    pub has_more: bool,
}

const PURPOSE: Purpose = Purpose { label: "bulk-renew", code: "renewal.confirm" };
/// Certificates of one call; further ones need another.
const CALL_MAX: usize = 500;
/// Renewals under way at once: they are committed in groups, and other calls want their turn.
const CONCURRENT_MAX: usize = 16;
/// Pages of 500 certificates looked at for one call: bounds what a search that finds little may cost.
const PAGES_MAX: usize = 40;

impl BulkRenewal {
    /// A search that matches everything is a slip more often than a wish: some condition must be there.
    fn check(&self) -> Result<(), Error> {
        if self.filter.is_unconditional() {
            return Err(Error::malformed(
                "renewal.unconditional",
                "search",
                "it names no condition, which would renew every certificate of the project; give at least one",
            ));
        }
        Ok(())
    }

    fn words(&self) -> String {
        format!("{:?}", self.filter)
    }
}

/// What a search comes to.
#[derive(Default)]
struct Found {
    matching: u64,
    renewable: Vec<(CertificateId, RenewalKeySource)>,
    left_out: BTreeMap<String, u64>,
    has_more: bool,
}

impl Authority {
    pub async fn preview_bulk_renewal(&self, call: &Call, wanted: &BulkRenewal) -> Result<BulkRenewalPreview, Error> {
        call.requester.require_somewhere(Permission::CertificateRenew)?;
        wanted.check()?;
        let now = self.now();
        let found = self.renewable(call, wanted, now).await?;
        let mut left_out: Vec<_> = found.left_out.into_iter().collect();
        left_out.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        Ok(BulkRenewalPreview {
            matching: found.matching,
            renewable: found.renewable.len() as u64,
            left_out,
            has_more: found.has_more,
            confirm: self.confirmation(call, PURPOSE, &[&wanted.words()], now),
        })
    }

    /// Renews what the preview counted and can still be renewed. A refusal also stands on its certificate.
    pub async fn bulk_renew(
        &self,
        call: &Call,
        wanted: &BulkRenewal,
        confirm: &str,
    ) -> Result<BulkRenewalOutcome, Error> {
        call.requester.require_somewhere(Permission::CertificateRenew)?;
        wanted.check()?;
        let previewed_at = self.check_confirmation(call, PURPOSE, &[&wanted.words()], confirm)?;
        let found = self.renewable(call, wanted, previewed_at).await?;
        let mut outcome = BulkRenewalOutcome { has_more: found.has_more, ..BulkRenewalOutcome::default() };
        let mut running = JoinSet::new();
        // The key of the whole call would make the second renewal a repetition of the first.
        let each = Call { idempotency: None, ..call.clone() };
        for (id, source) in found.renewable {
            if running.len() >= CONCURRENT_MAX {
                outcome.add(running.join_next().await);
            }
            let (authority, call) = (self.clone(), each.clone());
            running.spawn(async move {
                let request = RenewRequest { key_source: Some(source), ..RenewRequest::default() };
                (id, authority.renew(&call, id, request).await)
            });
        }
        while !running.is_empty() {
            outcome.add(running.join_next().await);
        }
        let details = serde_json::json!({
            "renewed": outcome.renewed, "pending": outcome.pending, "failed": outcome.failed.len(),
            "filter": wanted.words(),
        });
        let audit = call.audit(self.now(), AuditEvent::CertificatesBulkRenewed, None, details);
        self.commit(Write::default().audited(audit)).await?;
        Ok(outcome)
    }

    /// Active certificates that match, made until `until`, and which of them this caller can renew this way.
    async fn renewable(&self, call: &Call, wanted: &BulkRenewal, until: Timestamp) -> Result<Found, Error> {
        let mut filter = wanted.filter.clone();
        filter.statuses = vec![CertificateStatus::Active];
        filter.created_to = Some(filter.created_to.map_or(until, |to| to.min(until)));
        let mut found = Found::default();
        let mut cursor = None;
        for _ in 0..PAGES_MAX {
            let request = PageRequest { offset: 0, limit: PageRequest::LIMIT_MAX, cursor: cursor.take() };
            let page = self.reader().certificates(call.project_id(), &filter, self.now(), &request).await?;
            for certificate in page.items {
                found.matching += 1;
                match self.way_to_renew(call, &certificate).await {
                    Ok(_) if found.renewable.len() == CALL_MAX => {
                        found.has_more = true;
                        return Ok(found);
                    }
                    Ok(source) => found.renewable.push((certificate.id, source)),
                    Err(error) => *found.left_out.entry(error.public_message()).or_default() += 1,
                }
            }
            match page.next_cursor {
                None => return Ok(found),
                next => cursor = next,
            }
        }
        found.has_more = true;
        Ok(found)
    }

    /// Which key the successor would have, or why this certificate is left alone. Nobody is there to send a CSR or to take
    /// a key that is kept nowhere.
    async fn way_to_renew(&self, call: &Call, certificate: &Certificate) -> Result<RenewalKeySource, Error> {
        self.require_management(&call.requester, certificate, Permission::CertificateRenew)?;
        if certificate.renewal.renewed_by.is_some() {
            return Err(Error::forbidden("renewal.not_eligible", "The certificate was already renewed"));
        }
        let profile_id = profile_of(certificate)?;
        let profile = self.profile_in_force(call.project_id(), profile_id).await?;
        let source = if certificate.from_csr() { RenewalKeySource::Reuse } else { RenewalKeySource::New };
        check_issuer(&profile)?;
        check_source(certificate, &profile, source, false)?;
        check_custody(&profile, source)?;
        enrol::of_renewal(&profile, certificate)?;
        Ok(source)
    }
}

/// One certificate, and what became of it.
type Attempt = (CertificateId, Result<Issuance, Error>);

impl BulkRenewalOutcome {
    fn add(&mut self, done: Option<Result<Attempt, tokio::task::JoinError>>) {
        match done {
            Some(Ok((_, Ok(Issuance::Issued(_))))) => self.renewed += 1,
            Some(Ok((_, Ok(Issuance::Pending(_))))) => self.pending += 1,
            Some(Ok((id, Err(error)))) => self.failed.push((id, error.public_message())),
            Some(Err(error)) => tracing::error!(%error, "a renewal ended abnormally"),
            None => {}
        }
    }
}
