//! After an order has ended, well or not: what it left outside is removed, piece by piece, each written down.

use chancery_model::audit::{AuditEvent, Outcome};
use chancery_model::order::ExternalOrder;
use chancery_store::{Change, ExternalChange, Write};
use serde_json::json;

use super::advance::{ERROR_BACKOFF, STEPS_MAX, Turn};
use super::upstream::{Tidied, UpstreamError};
use crate::call::Call;
use crate::error::Error;
use crate::jobs::LEASE_SECONDS;

/// How long it is tried to remove what an order left outside.
const TIDYING_SECONDS: i64 = 7 * 86_400;

impl Turn<'_> {
    pub(super) async fn tidy(&self, mut order: ExternalOrder) -> Result<(), Error> {
        let authority = self.authority;
        let Some(ca) = authority.reader().external_ca(order.project_id, order.ca_id).await? else {
            return self.finish(Write::default().with(self.tidied(&order, true)), None).await;
        };
        let implementation = authority.implementation(ca.kind())?;
        let mut site = match authority.site_to_tidy(ca, &order).await {
            Ok(site) => site,
            Err(Error::NotFound { .. }) => {
                return self.not_yet(&order, &UpstreamError::lasting("an app connection was removed")).await;
            }
            Err(error) => return Err(error),
        };
        for _ in 0..STEPS_MAX {
            site.now = authority.now();
            match authority.ask(site.ca.id, implementation.tidy(&site, &order)).await {
                Ok(Tidied::Done) => return self.finish(Write::default().with(self.tidied(&order, true)), None).await,
                Ok(Tidied::More { state }) => {
                    order.state = state;
                    let lease_until = authority.now().plus_seconds(LEASE_SECONDS);
                    let extend = Change::ExtendLease { fence: self.fence, lease_until };
                    authority.commit(Write::default().with(extend).with(self.tidied(&order, false))).await?;
                }
                Err(error) => {
                    self.log(&site.ca, &error);
                    return self.not_yet(&order, &error).await;
                }
            }
        }
        // Room for others.
        self.finish(Write::default(), Some(1)).await
    }

    fn tidied(&self, order: &ExternalOrder, done: bool) -> Change {
        Change::External(ExternalChange::TidyOrder {
            request_id: order.request_id,
            state: order.state.clone(),
            done,
            at: self.authority.now(),
        })
    }

    /// Tried again, for some days; then somebody must look at it.
    async fn not_yet(&self, order: &ExternalOrder, error: &UpstreamError) -> Result<(), Error> {
        let authority = self.authority;
        let now = authority.now();
        // From the end of the order on; the time of the last change is that, or later by the little that was removed.
        if now < order.updated_at.plus_seconds(TIDYING_SECONDS) {
            let wait = ERROR_BACKOFF.seconds(self.job.attempts, authority.random());
            let retry =
                Change::RetryJob { fence: self.fence, due_at: now.plus_seconds(wait), error: error.text.clone() };
            return authority.commit(Write::default().with(retry)).await;
        }
        let details = json!({ "caId": order.ca_id, "message": error.text, "left": order.state });
        let object = Some(("request", order.request_id.as_uuid()));
        let mut audit = Call::system(order.project_id).audit(now, AuditEvent::OrderNotTidied, object, details);
        audit.outcome = Outcome::Failure;
        self.finish(Write::default().with(self.tidied(order, true)).audited(audit), None).await
    }
}
