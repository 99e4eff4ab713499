//! Renewal times that a CA asks for (ACME renewal information, RFC 9773): the due time of a certificate follows them.

use chancery_model::certificate::Certificate;
use chancery_model::external::ExternalCaKind;
use chancery_model::job::{Fence, Job};
use chancery_model::{CertificateId, Randomness, Timestamp};
use chancery_store::{Change, Write};

use super::upstream::RenewalAdvice;
use crate::Authority;
use crate::error::Error;
use crate::jobs::Backoff;

/// How often a CA is asked at most and at least, whatever it says (RFC 9773 §4.3 names no bounds).
const ASK_MIN_SECONDS: i64 = 60;
const ASK_MAX_SECONDS: i64 = 86_400;
/// Without an answer the certificate's own due time stands.
const UNANSWERED: Backoff = Backoff { first: 300, longest: 6 * 3_600 };
/// A successor is this old, or a tenth of its life, before advice has it renewed again. A CA whose windows are always past
/// would otherwise be asked for certificate after certificate, for ever.
const SUCCESSOR_AGE_SECONDS: i64 = 6 * 3_600;

impl Authority {
    /// Whether a CA of this kind may have a word about renewals.
    pub(crate) fn advises_renewal(&self, kind: Option<ExternalCaKind>) -> bool {
        kind.and_then(|kind| self.upstream().ca(kind)).is_some_and(|ca| ca.capabilities().advises_renewal)
    }
}

pub(crate) async fn run(authority: &Authority, job: &Job, fence: Fence) -> Result<(), Error> {
    let over = Write::default().with(Change::FinishJob { fence, next: None });
    let now = authority.now();
    let id = CertificateId::from_uuid(job.key.object);
    let found = authority.reader().certificate(job.project_id, id).await?;
    let standing = |it: &Certificate| {
        it.renewal.renewed_by.is_none() && it.revocation.is_none() && it.not_after >= now && it.renewal.due_at.is_some()
    };
    let Some(certificate) = found.filter(standing) else { return authority.commit(over).await };
    let ca = match certificate.ca_id {
        Some(ca) => authority.reader().external_ca(job.project_id, ca).await?,
        None => None,
    };
    let Some(ca) = ca.filter(|ca| authority.advises_renewal(Some(ca.kind()))) else {
        return authority.commit(over).await;
    };
    let implementation = authority.implementation(ca.kind())?;
    let known = authority.external_certificate(&certificate).await?;
    let asked = match authority.site_of(ca).await {
        Ok(site) => {
            let asking = implementation.renewal_advice(&site, &known);
            authority.ask(site.ca.id, asking).await.map_err(|error| error.text)
        }
        Err(error) => Err(error.public_message()),
    };
    let again = |seconds: i64| Change::FinishJob { fence, next: Some(now.plus_seconds(seconds)) };
    match asked {
        Ok(None) => authority.commit(over).await,
        Ok(Some(advice)) => {
            let next = again(i64::from(advice.ask_again_after).clamp(ASK_MIN_SECONDS, ASK_MAX_SECONDS));
            let mut write = Write::default().with(next);
            if let Some(due_at) =
                followed(&advice, certificate.renewal.due_at, (now, earliest(&certificate)), authority.random())
            {
                let why = advice.explanation_url.as_deref().unwrap_or_default();
                tracing::info!(certificate = %id, %due_at, why, "A CA elsewhere wants a certificate renewed at another time.");
                write = write.with(Change::ConfigureRenewal {
                    id,
                    renew_before_days: certificate.renewal.renew_before_days,
                    due_at: Some(due_at),
                    settings: certificate.renewal.settings,
                    at: now,
                });
            }
            authority.commit(write).await?;
            authority.wake_jobs();
            Ok(())
        }
        Err(error) => {
            let due_at = now.plus_seconds(UNANSWERED.seconds(job.attempts, authority.random()));
            authority.commit(Write::default().with(Change::RetryJob { fence, due_at, error })).await
        }
    }
}

/// Before this, advice has a certificate not renewed: a first one at any time, its successors not in a row.
fn earliest(certificate: &Certificate) -> Timestamp {
    if certificate.renewal.renewed_from.is_none() {
        return certificate.created_at;
    }
    let life = certificate.not_after.as_seconds() - certificate.created_at.as_seconds();
    certificate.created_at.plus_seconds(SUCCESSOR_AGE_SECONDS.min(life.max(0) / 10))
}

/// A time in the window, drawn once: while the due time lies in it, it stays (RFC 9773 §4.2).
fn followed(
    advice: &RenewalAdvice,
    due_at: Option<Timestamp>,
    (now, earliest): (Timestamp, Timestamp),
    random: &dyn Randomness,
) -> Option<Timestamp> {
    if due_at.is_some_and(|due_at| advice.start <= due_at && due_at <= advice.end) {
        return None;
    }
    let (start, end) = (advice.start.as_seconds(), advice.end.as_seconds());
    let length = u64::try_from(end.saturating_sub(start)).unwrap_or(0);
    let mut entropy = [0u8; 8];
    random.fill(&mut entropy);
    let into = i64::try_from(u64::from_le_bytes(entropy) % length.saturating_add(1)).unwrap_or(0);
    let drawn = Timestamp::from_seconds(start.saturating_add(into)).max(now).max(earliest);
    // In the past, or by now: at once. What is due at once already stays so.
    (due_at != Some(drawn) && !(drawn == now && due_at.is_some_and(|due_at| due_at <= now))).then_some(drawn)
}

#[cfg(test)]
mod tests {
    use chancery_model::random::SeededRandomness;

    use super::*;

    #[test]
    fn the_due_time_is_drawn_once_and_stays_while_the_window_holds_it() {
        let random = SeededRandomness::new(11);
        let at = Timestamp::from_seconds;
        let window =
            |start, end| RenewalAdvice { start: at(start), end: at(end), ask_again_after: 60, explanation_url: None };
        let drawn: Vec<_> = (0..100)
            .map(|_| followed(&window(1_000, 2_000), Some(at(5_000)), (at(0), at(0)), &random).unwrap().as_seconds())
            .collect();
        assert!(drawn.iter().all(|it| (1_000..=2_000).contains(it)));
        assert!(drawn.iter().any(|it| *it < 1_300) && drawn.iter().any(|it| *it > 1_700), "{drawn:?}");
        assert_eq!(followed(&window(1_000, 2_000), Some(at(1_500)), (at(0), at(0)), &random), None);
        // A window in the past: now, and only once.
        assert_eq!(followed(&window(1_000, 2_000), Some(at(9_000)), (at(3_000), at(0)), &random), Some(at(3_000)));
        assert_eq!(followed(&window(1_000, 2_000), Some(at(3_000)), (at(3_010), at(0)), &random), None);
        // Of a young successor: not yet, and only once.
        let young = (at(3_000), at(4_000));
        assert_eq!(followed(&window(1_000, 2_000), Some(at(9_000)), young, &random), Some(at(4_000)));
        assert_eq!(followed(&window(1_000, 2_000), Some(at(4_000)), young, &random), None);
    }
}
