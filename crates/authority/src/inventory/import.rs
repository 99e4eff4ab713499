//! Import: a certificate that was made elsewhere becomes a row of the inventory, with its chain and, sealed, its key.
//!
//! One that a CA of this project has signed and that this inventory does not know (the CA was run elsewhere before, or a
//! backup was restored) is taken over as that CA's own, so that it can be revoked here.

use chancery_keys::PrivateKey;
use chancery_model::audit::AuditEvent;
use chancery_model::authority::{CaCertificate, SealedKey};
use chancery_model::certificate::{Certificate, CertificateSource, RenewalState, Revocation};
use chancery_model::permission::Permission;
use chancery_model::profile::EnrollmentType;
use chancery_model::{ApplicationId, CertificateId, KeyId, RequestId, Timestamp, Warning};
use chancery_pkix::ForeignCertificate;
use chancery_store::{Change, Conflict, ImportedCertificate, StoreError, Write};
use sha2::{Digest, Sha256};
use tokio::sync::Semaphore;
use zeroize::Zeroizing;

use super::chain::{Chain, shortened};
use super::foreign;
use crate::Authority;
use crate::call::Call;
use crate::error::Error;
use crate::issuance::key_place;

/// What a door was sent, as text.
pub struct ImportRequest {
    /// PEM; certificates behind the first count as its chain.
    pub certificate: String,
    /// PEM, in any order.
    pub chain: Option<String>,
    /// PEM.
    pub private_key: Option<Zeroizing<String>>,
    pub private_key_password: Option<Zeroizing<String>>,
    pub labels: ImportLabels,
}

/// What people add to an imported certificate.
#[derive(Clone, Debug, Default)]
pub struct ImportLabels {
    /// Up to 255 characters.
    pub friendly_name: Option<String>,
    pub application_id: Option<ApplicationId>,
}

/// What became of a certificate.
pub enum ImportOutcome {
    Imported(Box<Imported>),
    /// It is in the inventory under this id; nothing was changed.
    AlreadyThere(CertificateId),
}

pub struct Imported {
    pub certificate: Certificate,
    /// DER, nearest issuer first; empty when none came along and none is known here.
    pub chain: Vec<Vec<u8>>,
    /// PKCS#8 PEM of the key that came along.
    pub private_key: Option<Zeroizing<String>>,
    pub warnings: Vec<Warning>,
}

/// A certificate on its way in, understood.
pub(super) struct Parts {
    pub leaf: ForeignCertificate,
    pub chain: Chain,
    pub key: Option<PrivateKey>,
}

/// Who signed it, as far as this project knows.
enum Origin {
    Elsewhere,
    /// A CA of this project, by this certificate of it.
    Here(Box<CaCertificate>),
}

impl Authority {
    /// Puts a certificate that was made elsewhere into the inventory. The template rules do not apply to it, and it is
    /// never renewed from here; everything else is done with it as with an issued one.
    pub async fn import_certificate(&self, call: &Call, request: ImportRequest) -> Result<ImportOutcome, Error> {
        call.requester.require(Permission::CertificateImport)?;
        let labels = request.labels.clone();
        self.check_labels(call, &labels).await?;
        let parts = aside(move || Parts::read(&request)).await??;
        self.import_parts(call, parts, &labels, "pem").await
    }

    pub(super) async fn check_labels(&self, call: &Call, labels: &ImportLabels) -> Result<(), Error> {
        if labels.friendly_name.as_ref().is_some_and(|name| name.chars().count() > 255) {
            return Err(Error::malformed("import.friendly_name", "friendlyName", "must have at most 255 characters"));
        }
        let Some(id) = labels.application_id else { return Ok(()) };
        let found = self.reader().application(call.project_id(), id).await?;
        found.map(|_| ()).ok_or_else(|| Error::not_found("Application", id))
    }

    pub(super) async fn import_parts(
        &self,
        call: &Call,
        parts: Parts,
        labels: &ImportLabels,
        format: &'static str,
    ) -> Result<ImportOutcome, Error> {
        let project = call.project_id();
        let fingerprint: [u8; 32] = Sha256::digest(parts.leaf.der()).into();
        if let Some(known) = self.reader().certificate_by_fingerprint(project, &fingerprint).await? {
            return Ok(ImportOutcome::AlreadyThere(known.id));
        }
        let origin = self.origin(call, &parts.leaf).await?;
        let now = self.now();
        let mut certificate = self.imported_row(call, &parts.leaf, labels, now);
        let chain = match &origin {
            Origin::Here(ca) => {
                certificate.ca_id = Some(ca.ca_id);
                certificate.ca_certificate_id = Some(ca.id);
                certificate.revocation = self.earlier_revocation(ca, &certificate).await?;
                Vec::new()
            }
            Origin::Elsewhere => parts.chain.into_der(),
        };
        let sealed = match &parts.key {
            Some(key) => Some(self.seal_imported(call, key, now).await?),
            None => None,
        };
        certificate.key_id = sealed.as_ref().map(|it| it.id);
        let warnings = warnings(&parts.leaf, &certificate, &origin, chain.is_empty(), now);
        let details = serde_json::json!({
            "serialNumber": certificate.serial_number,
            "fingerprintSha256": hex::encode(fingerprint),
            "subject": shortened(&parts.leaf.subject_text),
            "issuer": shortened(&parts.leaf.issuer_text),
            "caId": certificate.ca_id,
            "withKey": sealed.is_some(),
            "chainLength": chain.len(),
            "format": format,
            "warnings": warnings,
        });
        let object = Some(("certificate", certificate.id.as_uuid()));
        let imported = ImportedCertificate { certificate: certificate.clone(), chain: chain.clone() };
        let mut write = Write::default();
        if let Some(sealed) = sealed {
            write = write.with(Change::InsertKey(sealed));
        }
        write = write.with(Change::ImportCertificate(Box::new(imported))).audited(call.audit(
            now,
            AuditEvent::CertificateImported,
            object,
            details,
        ));
        match self.commit(write).await {
            Ok(()) => {}
            Err(Error::Store(StoreError::Conflict(Conflict::Serial))) => {
                return self.met_another(call, &fingerprint).await;
            }
            Err(error) => return Err(error),
        }
        let chain = if matches!(origin, Origin::Here(_)) { self.chain(&certificate).await? } else { chain };
        let private_key = parts.key.map(|key| key.to_pkcs8_pem());
        Ok(ImportOutcome::Imported(Box::new(Imported { certificate, chain, private_key, warnings })))
    }

    /// The same certificate came in at the same moment, or its number is taken by one that was removed here.
    async fn met_another(&self, call: &Call, fingerprint: &[u8; 32]) -> Result<ImportOutcome, Error> {
        match self.reader().certificate_by_fingerprint(call.project_id(), fingerprint).await? {
            Some(known) => Ok(ImportOutcome::AlreadyThere(known.id)),
            None => Err(Error::conflict(
                "import.issued_here",
                "certificatePem: a certificate authority of this project has issued this serial number before, and its \
                 certificate was taken out of the inventory; it cannot come back",
            )),
        }
    }

    /// What the CA's CRL says of it, which went on when the CA came here.
    async fn earlier_revocation(
        &self,
        ca: &CaCertificate,
        certificate: &Certificate,
    ) -> Result<Option<Revocation>, Error> {
        let serial = hex::decode(&certificate.serial_number).map_err(Error::internal)?;
        self.listed_revocation(ca.key_id, &serial).await
    }

    /// Looks for the signer among the CAs of the project. Their own certificates are no inventory of leaves.
    async fn origin(&self, call: &Call, leaf: &ForeignCertificate) -> Result<Origin, Error> {
        let strict = chancery_pkix::Certificate::from_der(leaf.der()).ok();
        let mut signer = None;
        for ca in self.reader().cas(call.project_id()).await? {
            for certificate in self.reader().ca_certificates(ca.id).await?.into_iter().rev() {
                if certificate.der == leaf.der() {
                    return Err(Error::conflict(
                        "import.ca_certificate",
                        format!(
                            "certificatePem: this is a certificate of the certificate authority '{}' of this project and \
                             is listed with it",
                            ca.name
                        ),
                    ));
                }
                let signed = signer.is_none() && strict.as_ref().is_some_and(|it| has_signed(&certificate, it));
                if signed {
                    signer = Some(certificate);
                }
            }
        }
        Ok(signer.map_or(Origin::Elsewhere, |it| Origin::Here(Box::new(it))))
    }

    pub(crate) fn imported_row(
        &self,
        call: &Call,
        leaf: &ForeignCertificate,
        labels: &ImportLabels,
        now: Timestamp,
    ) -> Certificate {
        let (not_before, not_after) =
            (Timestamp::from_seconds(leaf.validity.not_before), Timestamp::from_seconds(leaf.validity.not_after));
        Certificate {
            id: CertificateId::generate(now, self.random()),
            project_id: call.project_id(),
            request_id: RequestId::generate(now, self.random()),
            profile_id: None,
            template_id: None,
            template_version: 0,
            ca_id: None,
            ca_certificate_id: None,
            application_id: labels.application_id,
            enrollment: EnrollmentType::Api,
            source: CertificateSource::Imported,
            friendly_name: labels.friendly_name.clone().filter(|name| !name.is_empty()),
            requester: call.requester.actor_id(),
            serial_number: foreign::serial_number(leaf),
            der: leaf.der().to_vec(),
            fingerprint_sha256: Sha256::digest(leaf.der()).into(),
            not_before,
            not_after,
            ttl: leaf.validity.not_after.saturating_sub(leaf.validity.not_before).saturating_add(1).max(0),
            description: foreign::description(leaf),
            key_id: None,
            // Whatever partition its own URL names: the complete CRL lists everything that the key has issued.
            crl_partition: 0,
            revocation: None,
            renewal: RenewalState::default(),
            metadata: Vec::new(),
            created_at: now,
            updated_at: now,
        }
    }

    async fn seal_imported(&self, call: &Call, key: &PrivateKey, now: Timestamp) -> Result<SealedKey, Error> {
        let project_id = call.project_id();
        self.ensure_project_key(project_id).await?;
        let id = KeyId::generate(now, self.random());
        let sealed = self
            .sealer()
            .seal(&key_place(project_id, id), &key.to_pkcs8_der(), self.random())
            .map_err(Error::internal)?;
        Ok(SealedKey { id, project_id, algorithm: key.algorithm(), sealed, created_at: now })
    }
}

/// Runs what may take seconds, such as a key derivation whose cost a stranger's file names: not on the threads that
/// answer, and one at a time, so that issuance goes on meanwhile.
pub(super) async fn aside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Error> {
    static TURN: Semaphore = Semaphore::const_new(1);
    let _turn = TURN.acquire().await.map_err(Error::internal)?;
    tokio::task::spawn_blocking(work).await.map_err(Error::internal)
}

impl Parts {
    fn read(request: &ImportRequest) -> Result<Self, Error> {
        let mut given = foreign::from_pem("certificatePem", &request.certificate)?.into_iter();
        let Some(leaf) = given.next() else {
            return Err(Error::malformed("import.pem", "certificatePem", "there is no certificate"));
        };
        let mut others: Vec<ForeignCertificate> = given.collect();
        if let Some(text) = request.chain.as_deref().filter(|text| !text.trim().is_empty()) {
            others.extend(foreign::from_pem("chainPem", text)?);
        }
        let chain = Chain::of(&leaf, others);
        if let Some(stranger) = chain.unrelated.first() {
            let message = format!(
                "the certificate of {:?} stands in no line above the imported one; leave it out",
                shortened(&stranger.subject_text)
            );
            return Err(Error::malformed("import.chain", "chainPem", message));
        }
        let key = request.private_key.as_ref().filter(|pem| !pem.trim().is_empty());
        let password = request.private_key_password.as_ref().map(|it| it.as_str());
        let key = key.map(|pem| key_from_pem(pem, password)).transpose()?;
        if let Some(key) = &key {
            check_key(key, &leaf, "privateKeyPem")?;
        }
        Ok(Self { leaf, chain, key })
    }
}

fn key_from_pem(pem: &str, password: Option<&str>) -> Result<PrivateKey, Error> {
    PrivateKey::from_pem(pem, password).map_err(|error| {
        let field = if matches!(error, chancery_keys::PrivateKeyError::WrongPassword) {
            "privateKeyPassword"
        } else {
            "privateKeyPem"
        };
        Error::malformed("import.key", field, format!("{error}; a certificate may also be imported without its key"))
    })
}

/// A key of another certificate would be handed out as this one's.
pub(super) fn check_key(key: &PrivateKey, leaf: &ForeignCertificate, field: &str) -> Result<(), Error> {
    if key.public_key().spki_der() == leaf.spki_der() {
        return Ok(());
    }
    Err(Error::malformed(
        "import.key_mismatch",
        field,
        "the private key belongs to another certificate; send the key whose public half is in this one, or none",
    ))
}

fn has_signed(ca: &CaCertificate, leaf: &chancery_pkix::Certificate) -> bool {
    let Ok(own) = chancery_pkix::Certificate::from_der(&ca.der) else { return false };
    own.subject_der() == leaf.issuer_der() && own.public_key().is_ok_and(|key| leaf.is_signed_by(&key))
}

fn warnings(
    leaf: &ForeignCertificate,
    certificate: &Certificate,
    origin: &Origin,
    is_alone: bool,
    now: Timestamp,
) -> Vec<Warning> {
    let mut found = Vec::new();
    let mut warn = |code: &str, text: String| found.push(Warning::new(code, "certificatePem", text));
    if certificate.description.has_weak_key() {
        let text = format!(
            "The certificate is weak or of a kind that is not made here: {}, {}",
            leaf.key_text, leaf.signature_text
        );
        warn("import.weak", text);
    }
    if certificate.not_after < now {
        warn("import.expired", format!("The certificate ended at {}", certificate.not_after));
    } else if certificate.not_before > now {
        warn("import.not_yet_valid", format!("The certificate is not valid before {}", certificate.not_before));
    }
    if let Some(revocation) = certificate.revocation {
        warn("import.revoked", format!("Its certificate authority has revoked it at {}", revocation.at));
    }
    match origin {
        Origin::Here(_) => warn(
            "import.adopted",
            "A certificate authority of this project has signed it: it is revoked here like one that was issued here"
                .to_owned(),
        ),
        Origin::Elsewhere if is_alone && !leaf.is_self_issued() => {
            warn("import.chain_missing", "No chain came along, so none is exported with it".to_owned());
        }
        Origin::Elsewhere => {}
    }
    if leaf.unknown_names > 0 {
        warn(
            "import.names",
            format!("{} alternative names are of kinds that are not searched here", leaf.unknown_names),
        );
    }
    found
}
