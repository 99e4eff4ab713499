//! Publishing a CRL (RFC 5280 §5): entries that were encoded when they were revoked are put behind one another, hashed and
//! signed. A rebuild costs what its bytes cost, whatever the number of revocations since the last.
//!
//! *Planned* publications come at half of a CRL's life, whether or not anything was revoked; others come a second after a
//! revocation. A delta CRL is relative to the last planned one, so that whoever holds that one needs the delta only.

use chancery_model::audit::AuditEvent;
use chancery_model::authority::{CaCertificate, StatusSettings};
use chancery_model::crl::{Crl, PublishedCrl};
use chancery_model::job::{Fence, Job};
use chancery_model::{CrlId, Timestamp};
use chancery_pkix::{
    Certificate, CrlEntryContents, CrlLintContext, IssuingDistributionPoint, SignatureAlgorithm, TbsCertList,
    UnsignedCrl, lint_crl,
};
use chancery_store::{Change, CrlPublication, Write};
use sha2::{Digest, Sha256};

use super::pointers;
use crate::Authority;
use crate::call::Call;
use crate::error::Error;
use crate::revocation::content_octets;

/// How long a revocation waits for others before the CRL is built, in seconds.
pub(crate) const GATHER_SECONDS: i64 = 1;
/// A delta names changes from this much before its base was made, in seconds: a revocation that was being written while
/// the base was built, or by a node whose clock is behind, must not fall between them.
const OVERLAP_SECONDS: i64 = 600;

/// The job: builds what is wanted and publishes it. A CRL that is gone, or whose issuer has ended, is not built again.
pub(crate) async fn run(authority: &Authority, job: &Job, fence: Fence) -> Result<(), Error> {
    let id = CrlId::from_uuid(job.key.object);
    let Some(crl) = authority.reader().crl(id).await? else {
        return authority.commit(Write::default().with(Change::FinishJob { fence, next: None })).await;
    };
    match publish(authority, crl, fence).await {
        Err(error) if !matches!(error, Error::Store(_)) => {
            // The CRL before is served on; whoever watches must learn that its successor does not come.
            let details = serde_json::json!({ "crlId": id, "message": error.public_message() });
            let call = Call::system(job.project_id);
            let audit = call.audit(authority.now(), AuditEvent::StatusFailed, Some(("crl", id.as_uuid())), details);
            authority.commit(Write::default().audited(audit)).await?;
            Err(error)
        }
        other => other,
    }
}

/// What one publication is made of.
struct Plan {
    crl: Crl,
    settings: StatusSettings,
    issuer: CaCertificate,
    this_update: Timestamp,
    next_update: Timestamp,
    planned: bool,
    /// Certificates that ended before this have been listed once since, and are left out.
    keep_from: Timestamp,
    /// Nobody will ask any more: the issuer itself has ended.
    is_last: bool,
}

impl Plan {
    /// Later than any time a certificate can name without meaning "never" (RFC 5280 §4.1.2.5).
    const NEVER_SECONDS: i64 = 253_402_300_799;

    fn of(crl: Crl, settings: StatusSettings, issuer: CaCertificate, now: Timestamp) -> Self {
        let validity = settings.crl_validity.as_seconds();
        // A base of the future was made while the clock was wrong: it must leave out nothing that is still valid.
        let base = crl.base_this_update.filter(|base| *base <= now);
        let planned = base.is_none_or(|base| now >= base.plus_seconds(validity / 2));
        let is_last = issuer.not_after < now;
        let next_update =
            if is_last { Timestamp::from_seconds(Self::NEVER_SECONDS) } else { now.plus_seconds(validity) };
        let keep_from = base.or(crl.previous_base).filter(|it| *it <= now).unwrap_or(Timestamp::from_millis(0));
        // Seconds are what a CRL can say: the time is cut to them before it is compared or kept.
        let this_update = Timestamp::from_seconds(now.as_seconds());
        Self { settings, issuer, this_update, next_update, planned: planned || is_last, keep_from, is_last, crl }
    }

    /// Always larger than the one before (RFC 5280 §5.2.3), and no smaller than the seconds since 1970: a database that was
    /// put back to an earlier state does not give out a number twice, as long as it makes no more than one CRL a second.
    fn number(&self) -> i64 {
        self.crl.number.saturating_add(1).max(self.this_update.as_seconds())
    }

    fn partition(&self) -> Option<u32> {
        (self.crl.partition > 0).then_some(self.crl.partition)
    }

    /// When the job is due again.
    fn next_due(&self) -> Option<Timestamp> {
        if self.is_last {
            return None;
        }
        let base = if self.planned { self.this_update } else { self.crl.base_this_update.unwrap_or(self.this_update) };
        let half = base.plus_seconds((self.settings.crl_validity.as_seconds() / 2).max(1));
        let delta = self.settings.delta_crl_interval.map(|it| self.this_update.plus_seconds(it.as_seconds()));
        Some(delta.map_or(half, |delta| delta.min(half)))
    }
}

async fn publish(authority: &Authority, crl: Crl, fence: Fence) -> Result<(), Error> {
    let reader = authority.reader();
    let now = authority.now();
    let issuer = reader.ca_certificate_of_key(crl.key_id).await?;
    let issuer = issuer.ok_or_else(|| Error::internal(format!("CRL {} has no issuer's certificate", crl.id)))?;
    // A deleted CA's certificates live on, and so do its CRLs.
    let configuration = reader.ca(crl.project_id, crl.ca_id).await?.map(|ca| ca.configuration);
    let algorithm = algorithm(configuration.as_ref().and_then(|it| it.signature_algorithm), &issuer)?;
    let settings = configuration.map_or_else(StatusSettings::default, |it| it.status);
    let plan = Plan::of(crl, settings, issuer, now);
    let entries = reader.crl_entries(plan.crl.key_id, plan.partition(), plan.keep_from).await?;
    let counted = entries.count;
    let frame = Frame::of(authority, &plan, algorithm)?;
    let complete = frame.signed(authority, &plan, &entries.der, None).await?;
    let delta = build_delta(authority, &plan, &frame).await?;
    let digest = hex::encode(Sha256::digest(&complete));
    let number = plan.number();
    let published = |der: &[u8], next_update, entries| PublishedCrl {
        number,
        this_update: plan.this_update,
        next_update,
        entries,
        size: der.len() as u64,
    };
    let mut after = plan.crl.clone();
    after.number = number;
    after.complete = Some(published(&complete, plan.next_update, counted));
    after.delta = delta.as_ref().map(|it| published(&it.der, it.next_update, it.count));
    if plan.planned {
        after.previous_base = after.base_this_update;
        (after.base_number, after.base_this_update) = (number, Some(plan.this_update));
    }
    let publication = CrlPublication {
        expected_number: plan.crl.number,
        complete_der: Some(complete),
        delta_der: delta.map(|it| it.der),
        drop_ended_before: drop_before(&plan),
        drop_released_before: drop_before(&plan),
        crl: after,
    };
    let details = serde_json::json!({
        "crlId": plan.crl.id, "caId": plan.crl.ca_id, "partition": plan.crl.partition, "number": number, "entries": counted,
        "thisUpdate": plan.this_update.to_string(), "nextUpdate": plan.next_update.to_string(), "sha256": digest,
    });
    let call = Call::system(plan.crl.project_id);
    let audit = call.audit(now, AuditEvent::CrlPublished, Some(("crl", plan.crl.id.as_uuid())), details);
    let write = Write::default()
        .with(Change::FinishJob { fence, next: plan.next_due() })
        .with(Change::PublishCrl(Box::new(publication)))
        .audited(audit);
    authority.commit(write).await?;
    authority.status_state().published.0.send_modify(|count| *count += 1);
    Ok(())
}

/// Entries leave the store only when no CRL, of this line or of a partition a little behind it, can need them any more.
fn drop_before(plan: &Plan) -> Timestamp {
    if plan.crl.partition > 0 {
        return Timestamp::from_millis(0);
    }
    plan.keep_from.plus_seconds(-plan.settings.crl_validity.as_seconds()).max(Timestamp::from_millis(0))
}

struct Delta {
    der: Vec<u8>,
    count: u64,
    next_update: Timestamp,
}

/// What changed since the last planned CRL before this one. None while there is no such CRL to be relative to.
async fn build_delta(authority: &Authority, plan: &Plan, frame: &Frame) -> Result<Option<Delta>, Error> {
    let (Some(interval), Some(base)) = (plan.settings.delta_crl_interval, plan.crl.base_this_update) else {
        return Ok(None);
    };
    let since = base.min(plan.this_update).plus_seconds(-OVERLAP_SECONDS);
    let changes = authority.reader().crl_changes(plan.crl.key_id, plan.partition(), since, plan.keep_from).await?;
    let mut entries = Vec::new();
    for change in &changes {
        if change.released {
            entries.extend(
                CrlEntryContents {
                    serial: &content_octets(&change.serial),
                    revocation_date: change.at.as_seconds(),
                    reason_code: Some(REMOVE_FROM_CRL),
                    invalidity_date: None,
                }
                .to_der(),
            );
        } else {
            entries.extend_from_slice(&change.der);
        }
    }
    // Twice the interval: the next one comes well before this one ends.
    let next_update = plan.this_update.plus_seconds(interval.as_seconds().saturating_mul(2)).min(plan.next_update);
    let der = frame.signed(authority, plan, &entries, Some((plan.crl.base_number, next_update))).await?;
    Ok(Some(Delta { der, count: changes.len() as u64, next_update }))
}

/// RFC 5280 §5.3.1, in delta CRLs only.
const REMOVE_FROM_CRL: u8 = 8;

/// What the complete CRL and its delta have in common.
struct Frame {
    algorithm: SignatureAlgorithm,
    issuer_der: Vec<u8>,
    key_id: Vec<u8>,
    scope: Option<IssuingDistributionPoint>,
    freshest: Vec<String>,
}

impl Frame {
    fn of(authority: &Authority, plan: &Plan, algorithm: SignatureAlgorithm) -> Result<Self, Error> {
        let own = Certificate::from_der(&plan.issuer.der)
            .map_err(|_| Error::internal(format!("CA certificate {} does not parse", plan.issuer.id)))?;
        let base = authority.repository_url().map(|url| url.trim_end_matches('/'));
        // The certificates of a partition name these very addresses (RFC 5280 §5.2.5).
        let scope = match (plan.partition(), base) {
            (None, _) => None,
            (Some(_), Some(base)) => Some(IssuingDistributionPoint {
                full_name: std::iter::once(pointers::crl_url(base, plan.crl.id))
                    .chain(plan.settings.crl_urls.iter().cloned())
                    .collect(),
                only_contains_user_certs: false,
                only_contains_ca_certs: false,
            }),
            (Some(_), None) => {
                return Err(Error::malformed(
                    "crl.repository_url",
                    "repository_url",
                    "a partition of a CRL carries the address that its certificates name; set repository_url again",
                ));
            }
        };
        let has_delta = plan.settings.delta_crl_interval.is_some();
        Ok(Self {
            algorithm,
            issuer_der: own.subject_der().to_vec(),
            key_id: own.extensions().subject_key_id.clone(),
            scope,
            freshest: base
                .filter(|_| has_delta)
                .map(|base| pointers::delta_url(base, plan.crl.id))
                .into_iter()
                .collect(),
        })
    }

    /// Builds, lints and signs, off the async threads: a large CRL takes most of a second.
    async fn signed(
        &self,
        authority: &Authority,
        plan: &Plan,
        entries_der: &[u8],
        delta: Option<(i64, Timestamp)>,
    ) -> Result<Vec<u8>, Error> {
        let unsigned = UnsignedCrl::new(&TbsCertList {
            signature_algorithm: self.algorithm,
            issuer_der: &self.issuer_der,
            this_update: plan.this_update.as_seconds(),
            next_update: delta.map_or(plan.next_update, |(_, next)| next).as_seconds(),
            entries_der,
            authority_key_id: &self.key_id,
            crl_number: plan.number(),
            issuing_distribution_point: self.scope.as_ref(),
            base_crl_number: delta.map(|(base, _)| base),
            freshest_crl: if delta.is_none() { &self.freshest } else { &[] },
        })
        .map_err(Error::internal)?;
        let key = authority.open_key(plan.crl.project_id, plan.crl.key_id).await?;
        let (algorithm, issuer_der, key_id) = (self.algorithm, self.issuer_der.clone(), self.key_id.clone());
        let work = tokio::task::spawn_blocking(move || {
            let context = CrlLintContext { issuer_subject_der: &issuer_der, issuer_key_id: &key_id };
            let findings = lint_crl(unsigned.tbs(), &context);
            if let Some(first) = findings.first() {
                return Err(Error::internal(format!("a CRL would be malformed: {} ({})", first.message, first.clause)));
            }
            let signature = chancery_keys::Signer::sign(&key, algorithm, unsigned.tbs()).map_err(Error::internal)?;
            Ok(unsigned.sign_with(algorithm, &signature))
        });
        work.await.map_err(Error::internal)?
    }
}

/// What a CA key signs CRLs with: as the CA is configured, if that fits the key; an earlier key may be of another kind.
fn algorithm(configured: Option<SignatureAlgorithm>, issuer: &CaCertificate) -> Result<SignatureAlgorithm, Error> {
    let own = Certificate::from_der(&issuer.der).map_err(Error::internal)?;
    let key = own.public_key().map_err(Error::internal)?.algorithm();
    Ok(configured.filter(|it| it.fits(key)).unwrap_or_else(|| key.default_signature()))
}

#[cfg(test)]
mod tests {
    use chancery_model::{CaCertificateId, CaId, KeyId, ProjectId};
    use uuid::Uuid;

    use super::*;

    fn at(day: i64) -> Timestamp {
        Timestamp::from_seconds(1_800_000_000 + day * 86_400)
    }

    /// On this day, for a CRL of seven days with these planned publications behind it; the issuer ends on day 1 000.
    fn plan(today: i64, base: Option<i64>, before: Option<i64>) -> Plan {
        let nil = Uuid::nil();
        let (project_id, ca_id, key_id) = (ProjectId::from_uuid(nil), CaId::from_uuid(nil), KeyId::from_uuid(nil));
        let crl = Crl {
            id: CrlId::from_uuid(nil),
            project_id,
            ca_id,
            key_id,
            partition: 0,
            number: 7,
            base_number: 7,
            base_this_update: base.map(at),
            previous_base: before.map(at),
            complete: None,
            delta: None,
            created_at: at(0),
        };
        let issuer = CaCertificate {
            id: CaCertificateId::from_uuid(nil),
            ca_id,
            project_id,
            key_id,
            version: 1,
            serial_number: "01".to_owned(),
            der: Vec::new(),
            chain: Vec::new(),
            parent_ca_id: None,
            parent_certificate_id: None,
            path_length: None,
            not_before: at(0),
            not_after: at(1_000),
            revocation: None,
            created_at: at(0),
        };
        Plan::of(crl, StatusSettings::default(), issuer, at(today))
    }

    #[test]
    fn nothing_that_is_valid_is_left_out_after_a_clock_was_ahead() {
        for (today, base, before, planned, keep_from) in [
            (0, None, None, true, Timestamp::from_millis(0)),
            (1, Some(0), None, false, at(0)),
            (4, Some(0), None, true, at(0)),
            (20, Some(17), Some(14), false, at(17)),
            // Published once while the clock was a year ahead, and several times.
            (20, Some(382), Some(17), true, at(17)),
            (20, Some(389), Some(385), true, Timestamp::from_millis(0)),
        ] {
            let plan = plan(today, base, before);
            assert_eq!((plan.planned, plan.keep_from), (planned, keep_from), "day {today}, base {base:?}");
            assert!(
                plan.next_due().is_some_and(|due| at(today) < due && due <= at(today + 4)),
                "day {today}, base {base:?}"
            );
        }
    }
}
