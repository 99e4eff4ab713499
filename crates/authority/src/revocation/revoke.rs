//! Revoke and release: one certificate at a time.

use chancery_model::audit::AuditEvent;
use chancery_model::certificate::{Certificate, CertificateSource, Revocation, RevocationReason};
use chancery_model::permission::Permission;
use chancery_model::{CertificateId, KeyId};
use chancery_pkix::SerialNumber;
use chancery_store::{Change, Conflict, StoreError, Write};

use super::{already, entry, publications, step};
use crate::Authority;
use crate::call::Call;
use crate::error::Error;

/// Characters of a UUID with its hyphens (RFC 9562 §4).
const UUID_LENGTH: usize = 36;

/// How a caller names a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CertificateSelector {
    Id(CertificateId),
    /// SHA-256.
    Fingerprint([u8; 32]),
    /// Hexadecimal; of several issuers' the newest.
    SerialNumber(String),
}

impl CertificateSelector {
    /// A UUID, a SHA-256 fingerprint or a serial number, the latter two in hexadecimal with or without colons.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let text = text.trim();
        // With its hyphens: 32 bare digits are a serial number.
        if text.len() == UUID_LENGTH
            && let Ok(id) = text.parse()
        {
            return Ok(Self::Id(id));
        }
        let digits: String = text.chars().filter(|it| *it != ':').collect();
        let bytes = hex::decode(&digits).ok().filter(|bytes| !bytes.is_empty());
        let unknown = || {
            Error::malformed(
                "certificate.selector",
                "id",
                "give the certificate's id (a UUID), its SHA-256 fingerprint (64 hexadecimal digits) or its serial number (up to 40)",
            )
        };
        let bytes = bytes.ok_or_else(unknown)?;
        match <[u8; 32]>::try_from(bytes.as_slice()) {
            Ok(fingerprint) => Ok(Self::Fingerprint(fingerprint)),
            Err(_) if bytes.len() <= SerialNumber::OCTETS_MAX => Ok(Self::SerialNumber(digits.to_lowercase())),
            Err(_) => Err(unknown()),
        }
    }
}

/// What was done.
#[derive(Clone, Debug)]
pub struct Revoked {
    pub certificate: Certificate,
    pub revocation: Revocation,
    /// Whether CRL and OCSP tell it: not for self-signed certificates, whose issuer is themselves.
    pub is_published: bool,
    /// Whether the certificate's CA is run elsewhere and is being told.
    pub asks_externally: bool,
}

impl Authority {
    /// Finds a certificate of the caller's project by whichever name it was given.
    pub async fn select_certificate(&self, call: &Call, selector: &CertificateSelector) -> Result<Certificate, Error> {
        let (reader, project) = (self.reader(), call.project_id());
        let (found, text) = match selector {
            CertificateSelector::Id(id) => (reader.certificate(project, *id).await?, id.to_string()),
            CertificateSelector::Fingerprint(fingerprint) => {
                (reader.certificate_by_fingerprint(project, fingerprint).await?, hex::encode(fingerprint))
            }
            CertificateSelector::SerialNumber(serial) => {
                (reader.certificate_by_serial(project, serial).await?, serial.clone())
            }
        };
        found.ok_or_else(|| Error::not_found("Certificate", text))
    }

    /// One that was deleted from the inventory too: it is out in the world all the same.
    async fn select_revocable(&self, call: &Call, selector: &CertificateSelector) -> Result<Certificate, Error> {
        let missing = match self.select_certificate(call, selector).await {
            Err(missing @ Error::NotFound { .. }) => missing,
            other => return other,
        };
        let (reader, project) = (self.reader(), call.project_id());
        let deleted = match selector {
            CertificateSelector::Id(id) => reader.deleted_certificate(project, *id).await?,
            CertificateSelector::Fingerprint(fingerprint) => {
                reader.deleted_certificate_by_fingerprint(project, fingerprint).await?
            }
            CertificateSelector::SerialNumber(serial) => reader.deleted_certificate_by_serial(project, serial).await?,
        };
        deleted.ok_or(missing)
    }

    /// Revokes, holds, or makes a hold final. Durable when it returns, and from then on said by OCSP.
    pub async fn revoke(
        &self,
        call: &Call,
        selector: &CertificateSelector,
        reason: RevocationReason,
    ) -> Result<Revoked, Error> {
        call.requester.require_somewhere(Permission::CertificateRevoke)?;
        let certificate = self.select_revocable(call, selector).await?;
        self.require_management(&call.requester, &certificate, Permission::CertificateRevoke)?;
        self.revoke_certificate(call, certificate, reason, None).await
    }

    /// The write itself, for a certificate that the caller may revoke. A job's `first` change goes before all others.
    pub(super) async fn revoke_certificate(
        &self,
        call: &Call,
        certificate: Certificate,
        reason: RevocationReason,
        first: Option<Change>,
    ) -> Result<Revoked, Error> {
        // What a CA here has signed is this CA's to revoke, wherever it was made.
        if certificate.source == CertificateSource::Imported && certificate.ca_id.is_none() {
            return Err(Error::malformed(
                "revocation.imported",
                "id",
                "the certificate was made elsewhere: only its issuer can revoke it; ask there",
            ));
        }
        let held = step(certificate.revocation, reason)?;
        let telling = self.telling_of_revocation(&certificate, reason).await?;
        let now = self.now();
        let revocation = Revocation { at: now, reason };
        let key = self.issuing_key(&certificate).await?;
        let entry = match key {
            Some(key) => {
                let serial = hex::decode(&certificate.serial_number).map_err(Error::internal)?;
                Some(entry(key, (certificate.crl_partition, &serial), certificate.not_after, revocation))
            }
            None => None,
        };
        let details = serde_json::json!({
            "serialNumber": certificate.serial_number, "reason": reason.as_str(), "caId": certificate.ca_id,
            "commonName": certificate.description.common_name(), "wasOnHold": held,
        });
        let object = Some(("certificate", certificate.id.as_uuid()));
        let mut write = Write::default();
        write.changes.extend(first);
        write.changes.push(Change::RevokeCertificate { id: certificate.id, revocation, held, entry });
        let asks_externally = telling.is_some();
        write.changes.extend(telling);
        if let Some(key) = key {
            let crls = self.reader().crls_of_key(key).await?;
            write.changes.extend(publications(&crls, certificate.crl_partition, now));
        }
        write.audit.push(call.audit(now, AuditEvent::CertificateRevoked, object, details));
        match self.commit(write).await {
            Ok(()) => {
                if asks_externally {
                    self.wake_jobs();
                }
                Ok(Revoked { certificate, revocation, is_published: key.is_some(), asks_externally })
            }
            // Somebody else was faster: say what stands now.
            Err(Error::Store(StoreError::Conflict(Conflict::AlreadyRevoked))) => {
                let selector = CertificateSelector::Id(certificate.id);
                let now_stands = self.select_revocable(call, &selector).await?.revocation;
                Err(now_stands.map_or_else(|| Error::Store(StoreError::Conflict(Conflict::Stale)), already))
            }
            Err(error) => Err(error),
        }
    }

    /// Takes a certificate off hold (RFC 5280 §5.3.1, removeFromCRL). Any other revocation is final.
    pub async fn release(&self, call: &Call, selector: &CertificateSelector) -> Result<Certificate, Error> {
        call.requester.require_somewhere(Permission::CertificateRevoke)?;
        let certificate = self.select_revocable(call, selector).await?;
        self.require_management(&call.requester, &certificate, Permission::CertificateRevoke)?;
        match certificate.revocation {
            Some(it) if it.reason == RevocationReason::CertificateHold => {}
            Some(it) => return Err(already(it)),
            None => return Err(not_held()),
        }
        let now = self.now();
        let key = self.issuing_key(&certificate).await?;
        let details = serde_json::json!({ "serialNumber": certificate.serial_number });
        let object = Some(("certificate", certificate.id.as_uuid()));
        let mut write = Write::default().with(Change::ReleaseCertificate {
            id: certificate.id,
            at: now,
            key_id: key,
            partition: certificate.crl_partition,
        });
        write.changes.extend(self.resumed_renewal(&certificate).await?);
        if let Some(key) = key {
            let crls = self.reader().crls_of_key(key).await?;
            write.changes.extend(publications(&crls, certificate.crl_partition, now));
        }
        match self.commit(write.audited(call.audit(now, AuditEvent::CertificateReleased, object, details))).await {
            Ok(()) => Ok(Certificate { revocation: None, ..certificate }),
            Err(Error::Store(StoreError::Conflict(Conflict::NotHeld))) => Err(not_held()),
            Err(error) => Err(error),
        }
    }

    /// The CA key that signed it; absent for a self-signed certificate.
    async fn issuing_key(&self, certificate: &Certificate) -> Result<Option<KeyId>, Error> {
        let Some(id) = certificate.ca_certificate_id else { return Ok(None) };
        let issuer = self.reader().ca_certificate(id).await?;
        let issuer = issuer.ok_or_else(|| Error::internal(format!("CA certificate {id} is gone")))?;
        Ok(Some(issuer.key_id))
    }
}

pub(super) fn not_held() -> Error {
    Error::malformed("revocation.not_held", "id", "the certificate is not on hold, so there is nothing to release")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_named_by_id_fingerprint_or_serial_number() {
        let id = "0198a8f0-0000-7000-8000-000000000001";
        assert_eq!(CertificateSelector::parse(id).ok(), id.parse().ok().map(CertificateSelector::Id));
        assert_eq!(
            CertificateSelector::parse(&"aB".repeat(32)).ok(),
            Some(CertificateSelector::Fingerprint([0xab; 32]))
        );
        assert_eq!(
            CertificateSelector::parse("4A:0b:ff").ok(),
            Some(CertificateSelector::SerialNumber("4a0bff".to_owned()))
        );
        for wrong in ["", ":", "xyz", "123", &"ab".repeat(21), &"ab".repeat(31), &"ab".repeat(33), "../x"] {
            assert_eq!(
                CertificateSelector::parse(wrong).err().map(|it| it.code()),
                Some("certificate.selector"),
                "{wrong}"
            );
        }
    }
}
