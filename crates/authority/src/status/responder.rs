//! The delegated OCSP responder of a CA key (RFC 6960 §4.2.2.2): a certificate of a week, issued by that very key, for a
//! key that signs nothing else. It is made anew at half of its life. No certificate is ever asked about it
//! (`id-pkix-ocsp-nocheck`), so it must be short-lived.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use chancery_keys::PrivateKey;
use chancery_model::audit::AuditEvent;
use chancery_model::authority::{CaCertificate, SealedKey};
use chancery_model::job::{Fence, Job};
use chancery_model::ocsp::OcspResponder;
use chancery_model::{CaCertificateId, CaId, KeyId, Timestamp};
use chancery_pkix::{
    Attribute, AttributeType, BasicConstraints, Certificate, DistinguishedName, ExtendedKeyUsage, Extensions,
    IssuerHashes, KeyAlgorithm, KeyFamily, KeyUsage, LintContext, PublicKey, SerialNumber, SignatureAlgorithm,
    TbsCertificate, Validity, ocsp::ResponderId,
};
use chancery_store::{Change, Write};
use sha2::{Digest, Sha256};

use crate::Authority;
use crate::call::Call;
use crate::error::Error;
use crate::hierarchy::limiting_usages;
use crate::issuance::{key_place, lint_in, signed};

const LIFE_SECONDS: i64 = 7 * 86_400;
const BACKDATE_SECONDS: i64 = 300;
/// A responder that should have been renewed is looked up again this often, in seconds: another node may have done it.
const RELOAD_SECONDS: i64 = 30;

/// The job: makes the CA key's next responder. It ends when the CA's certificate has.
pub(crate) async fn run(authority: &Authority, job: &Job, fence: Fence) -> Result<(), Error> {
    let ca_key = KeyId::from_uuid(job.key.object);
    let now = authority.now();
    let certificate = authority.reader().ca_certificate_of_key(ca_key).await?;
    let certificate = certificate.filter(|it| it.not_after > now && it.revocation.is_none());
    let Some(certificate) = certificate.filter(may_delegate) else {
        return authority.commit(Write::default().with(Change::FinishJob { fence, next: None })).await;
    };
    let made = make(authority, &certificate, now).await?;
    let responder = &made.responder;
    let half = (responder.not_after.as_seconds() - now.as_seconds()) / 2;
    let details = serde_json::json!({
        "caId": responder.ca_id, "caKeyId": ca_key, "serialNumber": made.serial.to_hex(),
        "fingerprintSha256": hex::encode(Sha256::digest(&responder.der)), "notAfter": responder.not_after.to_string(),
    });
    let call = Call::system(job.project_id);
    let object = Some(("ca", responder.ca_id.as_uuid()));
    let write = Write::default()
        .with(Change::FinishJob { fence, next: Some(now.plus_seconds(half.max(1))) })
        .with(Change::TakeSerial { ca: certificate.ca_id, serial_number: made.serial.to_hex() })
        .with(Change::InsertKey(made.key))
        .audited(call.audit(now, AuditEvent::OcspResponderRotated, object, details))
        .with(Change::SetResponder(made.responder));
    authority.commit(write).await?;
    authority.status_state().clear();
    Ok(())
}

/// A CA whose chain limits what certificates below are for, and leaves OCSP out, cannot delegate.
pub(super) fn may_delegate(certificate: &CaCertificate) -> bool {
    std::iter::once(&certificate.der)
        .chain(&certificate.chain)
        .filter_map(|der| Certificate::from_der(der).ok())
        .filter_map(|it| limiting_usages(&it))
        .all(|limit| limit.contains(&ExtendedKeyUsage::OcspSigning))
}

struct Made {
    responder: OcspResponder,
    key: SealedKey,
    serial: SerialNumber,
}

async fn make(authority: &Authority, issuer: &CaCertificate, now: Timestamp) -> Result<Made, Error> {
    let own = Certificate::from_der(&issuer.der).map_err(Error::internal)?;
    let issuer_key = authority.open_key(issuer.project_id, issuer.key_id).await?;
    let algorithm = responder_algorithm(issuer_key.public_key());
    let generated = authority.keys().generate(algorithm).await;
    let key = generated.map_err(|error| Error::Unavailable(error.to_string()))?;
    let mut entropy = [0u8; 16];
    authority.random().fill(&mut entropy);
    let serial = SerialNumber::from_random(entropy);
    let not_before = now.plus_seconds(-BACKDATE_SECONDS).max(issuer.not_before);
    let not_after = now.plus_seconds(LIFE_SECONDS - 1).min(issuer.not_after);
    let subject_der = subject(&own)?.to_der();
    let signature = issuer_key.public_key().algorithm().default_signature();
    let validity = Validity { not_before: not_before.as_seconds(), not_after: not_after.as_seconds() };
    let tbs_der = TbsCertificate {
        serial: &serial,
        signature_algorithm: signature,
        issuer_der: own.subject_der(),
        validity,
        subject_der: &subject_der,
        public_key: key.public_key(),
        extensions: &extensions(key.public_key(), &own),
    }
    .to_der()
    .map_err(Error::internal)?;
    let context = LintContext {
        issuer_subject_der: own.subject_der(),
        issuer_key_id: Some(&own.extensions().subject_key_id),
        issuer_validity: Some(own.validity()),
        self_signed: false,
    };
    lint_in(&tbs_der, &context)?;
    let der = signed(&tbs_der, signature, &issuer_key)?;
    let project_id = issuer.project_id;
    authority.ensure_project_key(project_id).await?;
    let id = KeyId::generate(now, authority.random());
    let sealed = authority.sealer().seal(&key_place(project_id, id), &key.to_pkcs8_der(), authority.random());
    let key = SealedKey { id, project_id, algorithm, sealed: sealed.map_err(Error::internal)?, created_at: now };
    let responder = OcspResponder {
        ca_key_id: issuer.key_id,
        project_id,
        ca_id: issuer.ca_id,
        key_id: id,
        der,
        not_before: Timestamp::from_seconds(validity.not_before),
        not_after: Timestamp::from_seconds(validity.not_after),
    };
    Ok(Made { responder, key, serial })
}

/// Quick to sign with and as strong as the CA key needs: P-256 for the classic kinds, the CA's own for ML-DSA.
fn responder_algorithm(issuer: &PublicKey) -> KeyAlgorithm {
    match issuer.algorithm().family() {
        KeyFamily::MlDsa => issuer.algorithm(),
        _ => KeyAlgorithm::EcP256,
    }
}

fn extensions(key: &PublicKey, issuer: &Certificate) -> Extensions {
    Extensions {
        basic_constraints: Some(BasicConstraints::default()),
        key_usages: [KeyUsage::DigitalSignature].into_iter().collect(),
        extended_key_usages: vec![ExtendedKeyUsage::OcspSigning],
        subject_key_id: key.key_id().to_vec(),
        authority_key_id: Some(issuer.extensions().subject_key_id.clone()),
        ocsp_no_check: true,
        ..Extensions::default()
    }
}

/// Beside the CA in its own part of the directory, so that the CA's name constraints hold for it too.
fn subject(issuer: &Certificate) -> Result<DistinguishedName, Error> {
    let of_issuer = issuer.subject().map_err(Error::internal)?;
    let mut attributes: Vec<Attribute> =
        of_issuer.attributes().iter().filter(|it| it.kind != AttributeType::CommonName).cloned().collect();
    let name: String = of_issuer.first(AttributeType::CommonName).unwrap_or("CA").chars().take(48).collect();
    attributes.push(Attribute { kind: AttributeType::CommonName, value: format!("{} OCSP responder", name.trim()) });
    DistinguishedName::new(attributes).map_err(|error| Error::internal(error.message))
}

/// One CA key as OCSP knows it.
pub(super) struct Responder {
    pub ca_key: KeyId,
    pub hashes: IssuerHashes,
    /// Certificates over the key: what was issued under any of them is this responder's to answer for.
    pub certificates: HashSet<CaCertificateId>,
    /// Absent until its first certificate is made.
    pub signer: Option<Signing>,
}

pub(super) struct Signing {
    pub key: PrivateKey,
    pub algorithm: SignatureAlgorithm,
    pub id: ResponderId,
    pub der: Vec<u8>,
    pub not_before: Timestamp,
    pub not_after: Timestamp,
}

/// The keys of one CA, newest certificate first.
pub(super) struct RespondersOfCa {
    pub all: Vec<Responder>,
    loaded_at: Timestamp,
}

impl RespondersOfCa {
    fn is_fresh(&self, now: Timestamp) -> bool {
        let age = now.as_seconds() - self.loaded_at.as_seconds();
        let young =
            |it: &Signing| now < Timestamp::from_millis(it.not_before.as_millis().midpoint(it.not_after.as_millis()));
        self.all.iter().all(|it| it.signer.as_ref().is_some_and(young)) || (0..RELOAD_SECONDS).contains(&age)
    }
}

/// Opened responders, per CA.
#[derive(Default)]
pub(crate) struct Responders {
    generation: AtomicU64,
    by_ca: RwLock<HashMap<CaId, Arc<RespondersOfCa>>>,
}

/// CAs whose responders are kept open; beyond that all are opened again.
const OPEN_MAX: usize = 10_000;

impl Responders {
    pub fn clear(&self) {
        let mut map = self.by_ca.write().unwrap_or_else(PoisonError::into_inner);
        self.generation.fetch_add(1, Ordering::SeqCst);
        map.clear();
    }
}

impl Authority {
    pub(super) async fn responders_of(&self, ca: CaId) -> Result<Arc<RespondersOfCa>, Error> {
        let cache = &self.status_state().responders;
        let now = self.now();
        let known = cache.by_ca.read().unwrap_or_else(PoisonError::into_inner).get(&ca).cloned();
        if let Some(known) = known.filter(|it| it.is_fresh(now)) {
            return Ok(known);
        }
        let generation = cache.generation.load(Ordering::SeqCst);
        let loaded = Arc::new(self.load_responders(ca, now).await?);
        let mut map = cache.by_ca.write().unwrap_or_else(PoisonError::into_inner);
        // Nobody's CA is not remembered: ids are free to ask for.
        if cache.generation.load(Ordering::SeqCst) == generation && !loaded.all.is_empty() {
            if map.len() >= OPEN_MAX {
                map.clear();
            }
            map.insert(ca, Arc::clone(&loaded));
        }
        Ok(loaded)
    }

    async fn load_responders(&self, ca: CaId, now: Timestamp) -> Result<RespondersOfCa, Error> {
        let mut all: Vec<Responder> = Vec::new();
        for certificate in self.reader().ca_certificates(ca).await?.into_iter().rev() {
            if let Some(known) = all.iter_mut().find(|it| it.ca_key == certificate.key_id) {
                known.certificates.insert(certificate.id);
                continue;
            }
            let own = Certificate::from_der(&certificate.der).map_err(Error::internal)?;
            let key = own.public_key().map_err(Error::internal)?;
            let signer = match self.reader().responder(certificate.key_id).await? {
                Some(record) => Some(self.open_responder(record).await?),
                None => None,
            };
            all.push(Responder {
                ca_key: certificate.key_id,
                hashes: IssuerHashes::of(own.subject_der(), &key),
                certificates: HashSet::from([certificate.id]),
                signer,
            });
        }
        Ok(RespondersOfCa { all, loaded_at: now })
    }

    async fn open_responder(&self, record: OcspResponder) -> Result<Signing, Error> {
        let key = self.open_key(record.project_id, record.key_id).await?;
        Ok(Signing {
            algorithm: key.public_key().algorithm().default_signature(),
            id: ResponderId::of(key.public_key()),
            der: record.der,
            not_before: record.not_before,
            not_after: record.not_after,
            key,
        })
    }
}
