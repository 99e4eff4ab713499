//! Replay: a retry with the same idempotency key finds the request that its first try recorded.

use chancery_model::request::CertificateRequest;

use super::idempotency::KEPT_SECONDS;
use super::{Issuance, Issued, PendingRequest};
use crate::Authority;
use crate::call::Call;
use crate::error::Error;

impl Authority {
    /// The answer to an earlier call with the same key, built again from the record. Keys that were returned once are
    /// not there to be returned again.
    pub(crate) async fn replay(&self, call: &Call) -> Result<Option<Issuance>, Error> {
        let Some(key) = call.idempotency else { return Ok(None) };
        let Some(request) = self.reader().request_by_idempotency(&key).await? else { return Ok(None) };
        // By then nobody knows any more what was asked for under the key, and it stays taken.
        if request.created_at < self.now().plus_seconds(-KEPT_SECONDS) {
            return Err(Error::conflict(
                "idempotency.old",
                "This Idempotency-Key made a request more than 24 hours ago; use a fresh one",
            ));
        }
        self.issuance_of(call, request).await.map(Some)
    }

    /// What a request has come to, as its requester is told: a certificate, or where it stands.
    pub async fn issuance_of(&self, call: &Call, request: CertificateRequest) -> Result<Issuance, Error> {
        let Some(id) = request.certificate_id else {
            return Ok(Issuance::Pending(Box::new(PendingRequest { request, warnings: Vec::new() })));
        };
        let certificate = self.certificate_of(call, id).await?;
        let answered_before = certificate.renewal.renewed_from.is_none();
        let private_key = if answered_before && self.may_read_key(&call.requester, &certificate) {
            self.read_key(call, &certificate, "replay").await?.map(|key| key.to_pkcs8_pem())
        } else {
            None
        };
        let chain = self.chain(&certificate).await?;
        let issued = Issued { certificate, request_id: request.id, chain, private_key, warnings: Vec::new() };
        Ok(Issuance::Issued(Box::new(issued)))
    }
}
