//! What the public door gives out: CRLs, CA certificates; and how long what was published holds.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, PoisonError, RwLock};

use chancery_model::authority::CaCertificate;
use chancery_model::ocsp::OcspResponder;
use chancery_model::{CaCertificateId, CaId, CrlId, KeyId, Timestamp};
use uuid::Uuid;

use super::pointers;
use crate::Authority;
use crate::error::Error;

/// A published CRL.
#[derive(Clone, Debug)]
pub struct ServedCrl {
    pub der: Arc<[u8]>,
    pub number: i64,
    pub this_update: Timestamp,
    pub next_update: Timestamp,
}

/// CRLs in memory, at most this many octets in all; larger ones are read from the store each time.
const BODIES_OCTETS_MAX: usize = 64 << 20;

/// The newest bytes of CRLs that were asked for.
#[derive(Default)]
pub(crate) struct Bodies(RwLock<HashMap<(CrlId, bool), ServedCrl>>);

impl Bodies {
    fn find(&self, key: (CrlId, bool), number: i64) -> Option<ServedCrl> {
        let bodies = self.0.read().unwrap_or_else(PoisonError::into_inner);
        bodies.get(&key).filter(|it| it.number == number).cloned()
    }

    fn keep(&self, key: (CrlId, bool), body: &ServedCrl) {
        if body.der.len() > BODIES_OCTETS_MAX {
            return;
        }
        let mut bodies = self.0.write().unwrap_or_else(PoisonError::into_inner);
        bodies.remove(&key);
        let held: usize = bodies.values().map(|it| it.der.len()).sum();
        if held + body.der.len() > BODIES_OCTETS_MAX {
            bodies.clear();
        }
        bodies.insert(key, body.clone());
    }
}

/// What must be made again before it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StatusKind {
    Crl,
    OcspResponder,
}

/// How long one CRL, or one responder, still holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StatusHealth {
    pub kind: StatusKind,
    pub ca_id: CaId,
    /// The CRL's id, or the CA key's.
    pub object: Uuid,
    /// Absent: not made yet.
    pub lapses_at: Option<Timestamp>,
}

impl Authority {
    /// The CRL, or its delta, as it was last published; `None` if there is none.
    pub async fn crl(&self, id: CrlId, delta: bool) -> Result<Option<ServedCrl>, Error> {
        let Some(crl) = self.reader().crl(id).await? else { return Ok(None) };
        let Some(published) = (if delta { crl.delta } else { crl.complete }) else { return Ok(None) };
        let bodies = &self.status_state().bodies;
        if let Some(known) = bodies.find((id, delta), published.number) {
            return Ok(Some(known));
        }
        let Some((number, der)) = self.reader().crl_body(id, delta).await? else { return Ok(None) };
        let body = ServedCrl {
            der: der.into(),
            number,
            this_update: published.this_update,
            next_update: published.next_update,
        };
        // Published anew between the two reads: right to give out, but its times would be the old ones'.
        if number == published.number {
            bodies.keep((id, delta), &body);
        }
        Ok(Some(body))
    }

    /// Where the world finds a CRL, or its delta; nowhere without `repository_url`.
    #[must_use]
    pub fn crl_url(&self, id: CrlId, delta: bool) -> Option<String> {
        let base = self.repository_url()?.trim_end_matches('/');
        Some(if delta { pointers::delta_url(base, id) } else { pointers::crl_url(base, id) })
    }

    /// Where the world asks about certificates of a CA; nowhere without `repository_url`.
    #[must_use]
    pub fn ocsp_url(&self, ca: CaId) -> Option<String> {
        Some(pointers::ocsp_url(self.repository_url()?.trim_end_matches('/'), ca))
    }

    /// A certificate of a CA in DER. Of any project: CA certificates are public.
    pub async fn public_ca_certificate(
        &self,
        ca: CaId,
        certificate: CaCertificateId,
    ) -> Result<Option<Vec<u8>>, Error> {
        let found = self.reader().ca_certificate(certificate).await?;
        Ok(found.filter(|it| it.ca_id == ca).map(|it| it.der))
    }

    /// When each CRL and each OCSP responder of a CA key that is still in use would lapse.
    pub async fn status_health(&self) -> Result<Vec<StatusHealth>, Error> {
        let now = self.now();
        let responders: HashMap<KeyId, OcspResponder> =
            self.reader().responders().await?.into_iter().map(|it| (it.ca_key_id, it)).collect();
        // Probes ask this often, and a key may have hundreds of CRLs: each key is looked up once.
        let mut issuers: HashMap<KeyId, Option<CaCertificate>> = HashMap::new();
        let mut health = Vec::new();
        for crl in self.reader().all_crls().await? {
            let issuer = match issuers.entry(crl.key_id) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(unknown) => unknown.insert(self.reader().ca_certificate_of_key(crl.key_id).await?),
            };
            let Some(issuer) = issuer.as_ref().filter(|it| it.not_after >= now) else { continue };
            health.push(StatusHealth {
                kind: StatusKind::Crl,
                ca_id: crl.ca_id,
                object: crl.id.as_uuid(),
                lapses_at: crl.complete.map(|it| it.next_update),
            });
            if crl.partition == 0 && issuer.revocation.is_none() && super::responder::may_delegate(issuer) {
                health.push(StatusHealth {
                    kind: StatusKind::OcspResponder,
                    ca_id: crl.ca_id,
                    object: crl.key_id.as_uuid(),
                    lapses_at: responders.get(&crl.key_id).map(|it| it.not_after),
                });
            }
        }
        Ok(health)
    }
}
