//! Bringing a certificate to a CA that waits for one: made here, or signed elsewhere and imported.

use chancery_keys::PrivateKey;
use chancery_model::audit::AuditEvent;
use chancery_model::authority::{CaCertificate, CaLevel, CertificationAuthority};
use chancery_model::permission::Permission;
use chancery_model::{CaCertificateId, CaId, Timestamp};
use chancery_pkix::{Certificate, KeyUsage};
use chancery_store::{Change, Write};

use super::certify::{self, CaCertificateContents, Certifier};
use super::issuer::Issuer;
use crate::Authority;
use crate::call::Call;
use crate::error::Error;

/// Longest chain that is imported.
const CHAIN_MAX: usize = 10;

/// The dates and place of a CA certificate to be made here.
#[derive(Clone, Debug)]
pub struct CaCertificateRequest {
    pub not_before: Option<Timestamp>,
    pub not_after: Timestamp,
    /// −1: no limit.
    pub path_length_max: i64,
    /// The internal CA that signs; absent: the CA is a root and signs itself.
    pub parent_ca_id: Option<CaId>,
}

impl Authority {
    /// Makes the first certificate of a waiting CA and activates it.
    pub async fn generate_ca_certificate(
        &self,
        call: &Call,
        id: CaId,
        request: CaCertificateRequest,
    ) -> Result<CaCertificate, Error> {
        call.requester.require(Permission::CaEdit)?;
        let ca = self.ca_of(call, id).await?;
        refuse_second(&ca)?;
        let key = self.open_key(ca.project_id, ca.key_id).await?;
        let certificate = match (request.parent_ca_id, ca.configuration.level) {
            (Some(parent), CaLevel::Intermediate) if parent != id => {
                let parent = self.issuer(ca.project_id, parent).await?;
                self.certified_by_parent(&ca, &key, &parent, &request)?
            }
            (None, CaLevel::Root) => {
                let validity = certify::validity(request.not_before, request.not_after, None, self.now())?;
                self.self_signed_root(&ca, &key, validity, request.path_length_max, self.now())?
            }
            (Some(_), _) => {
                return Err(Error::malformed(
                    "ca.parent",
                    "parentCaId",
                    "a root signs itself, and no CA signs itself as an intermediate",
                ));
            }
            (None, CaLevel::Intermediate) => {
                return Err(Error::malformed(
                    "ca.parent",
                    "parentCaId",
                    "an intermediate CA needs the id of the CA that signs it",
                ));
            }
        };
        self.activate(call, &ca, certificate, AuditEvent::CaCertificateIssued).await
    }

    fn certified_by_parent(
        &self,
        ca: &CertificationAuthority,
        key: &PrivateKey,
        parent: &Issuer,
        request: &CaCertificateRequest,
    ) -> Result<CaCertificate, Error> {
        let now = self.now();
        let wanted = match request.path_length_max {
            -1 => ca.configuration.path_length_max.unwrap_or(-1),
            length => length,
        };
        let contents = CaCertificateContents {
            subject: &certify::subject(&ca.configuration)?,
            public_key: key.public_key(),
            validity: certify::validity(request.not_before, request.not_after, Some(parent), now)?,
            path_length: certify::path_length(wanted, Some(parent))?,
            name_constraints: certify::name_constraints(ca.configuration.name_constraints.as_ref())?,
        };
        super::subordinate::check_subject_constraints(parent, contents.subject)?;
        let certified = certify::certify(&contents, &Certifier::Parent(parent), self.random(), self.repository_url())?;
        Ok(CaCertificate {
            id: CaCertificateId::generate(now, self.random()),
            ca_id: ca.id,
            project_id: ca.project_id,
            key_id: ca.key_id,
            version: 1,
            serial_number: certified.serial_number,
            der: certified.der,
            chain: parent.chain_to_root(),
            parent_ca_id: Some(parent.ca_id()),
            parent_certificate_id: Some(parent.certificate_id()),
            path_length: contents.path_length,
            not_before: Timestamp::from_seconds(contents.validity.not_before),
            not_after: Timestamp::from_seconds(contents.validity.not_after),
            revocation: None,
            created_at: now,
        })
    }

    /// Installs a certificate that a parent elsewhere signed over this CA's CSR.
    pub async fn import_ca_certificate(
        &self,
        call: &Call,
        id: CaId,
        certificate: &str,
        chain: &str,
    ) -> Result<CaCertificate, Error> {
        call.requester.require(Permission::CaEdit)?;
        let ca = self.ca_of(call, id).await?;
        refuse_second(&ca)?;
        let own = Certificate::from_pem(certificate)
            .map_err(|error| Error::malformed("certificate.pem", "certificate", error.to_string()))?;
        let chain = if chain.trim().is_empty() {
            Vec::new()
        } else {
            Certificate::from_pem_bundle(chain)
                .map_err(|error| Error::malformed("certificate.pem", "certificateChain", error.to_string()))?
        };
        let key = self.open_key(ca.project_id, ca.key_id).await?;
        check_import(&ca, &key, &own, &chain, self.now())?;
        let validity = own.validity();
        let now = self.now();
        let imported = CaCertificate {
            id: CaCertificateId::generate(now, self.random()),
            ca_id: ca.id,
            project_id: ca.project_id,
            key_id: ca.key_id,
            version: 1,
            serial_number: own.serial().to_hex(),
            der: own.der().to_vec(),
            chain: chain.iter().map(|it| it.der().to_vec()).collect(),
            parent_ca_id: None,
            parent_certificate_id: None,
            path_length: own.extensions().basic_constraints.and_then(|it| it.path_length),
            not_before: Timestamp::from_seconds(validity.not_before),
            not_after: Timestamp::from_seconds(validity.not_after),
            revocation: None,
            created_at: now,
        };
        self.activate(call, &ca, imported, AuditEvent::CaCertificateImported).await
    }

    async fn activate(
        &self,
        call: &Call,
        ca: &CertificationAuthority,
        certificate: CaCertificate,
        event: AuditEvent,
    ) -> Result<CaCertificate, Error> {
        let now = self.now();
        let details = serde_json::json!({
            "caCertificateId": certificate.id,
            "serialNumber": certificate.serial_number,
            "parentCaId": certificate.parent_ca_id,
            "notAfter": certificate.not_after.to_string(),
        });
        let write = Write::default()
            // In this order: only a certificate that is there can be activated.
            .with(Change::InsertCaCertificate(Box::new(certificate.clone())))
            .with(Change::ActivateCa { ca: ca.id, certificate: certificate.id, expected_active: None, at: now })
            .audited(call.audit(now, event, Some(("ca", ca.id.as_uuid())), details));
        self.commit(write).await?;
        Ok(certificate)
    }
}

fn refuse_second(ca: &CertificationAuthority) -> Result<(), Error> {
    if ca.active_certificate.is_none() {
        return Ok(());
    }
    Err(Error::malformed(
        "ca.has_certificate",
        "caId",
        format!("the certificate authority '{}' already has an active certificate", ca.name),
    ))
}

/// The chain must hold before the CA is activated: right key, right name, a CA, in time, each link signed by the next.
fn check_import(
    ca: &CertificationAuthority,
    key: &PrivateKey,
    own: &Certificate,
    chain: &[Certificate],
    now: Timestamp,
) -> Result<(), Error> {
    let refuse = |code, field: &str, text: String| Err(Error::malformed(code, field.to_owned(), text));
    if own.spki_der() != key.public_key().spki_der() {
        return refuse(
            "certificate.key",
            "certificate",
            "it is for another key than this CA's; sign the CSR of this CA".to_owned(),
        );
    }
    if own.subject_der() != certify::subject(&ca.configuration)?.to_der() {
        return refuse("certificate.subject", "certificate", "its subject is not the one of this CA's CSR".to_owned());
    }
    if own.extensions().subject_key_id.is_empty() {
        return refuse(
            "certificate.key_id",
            "certificate",
            "it has no subject key identifier, which certificates below must name (RFC 5280 §4.2.1.2)".to_owned(),
        );
    }
    if chain.len() > CHAIN_MAX {
        return refuse("certificate.chain", "certificateChain", format!("more than {CHAIN_MAX} certificates"));
    }
    let line: Vec<&Certificate> = std::iter::once(own).chain(chain).collect();
    for (place, certificate) in line.iter().enumerate() {
        let field = if place == 0 { "certificate".to_owned() } else { format!("certificateChain[{}]", place - 1) };
        check_is_ca(certificate, place, now).or_else(|text| refuse("certificate.not_ca", &field, text))?;
        let signer = line
            .get(place + 1)
            .copied()
            .or_else(|| (certificate.issuer_der() == certificate.subject_der()).then_some(*certificate));
        let Some(signer) = signer else {
            // The last certificate need not be a root, but something above this CA must be shown.
            if place == 0 {
                return refuse(
                    "certificate.chain",
                    "certificateChain",
                    "the certificate of the CA that signed it is missing".to_owned(),
                );
            }
            continue;
        };
        let genuine = certificate.issuer_der() == signer.subject_der()
            && signer.public_key().is_ok_and(|key| certificate.is_signed_by(&key));
        if !genuine {
            return refuse(
                "certificate.signature",
                &field,
                "it is not signed by the next certificate of the chain".to_owned(),
            );
        }
    }
    Ok(())
}

fn check_is_ca(certificate: &Certificate, place: usize, now: Timestamp) -> Result<(), String> {
    let extensions = certificate.extensions();
    let basic =
        extensions.basic_constraints.filter(|it| it.is_ca).ok_or("it is not a CA certificate (basicConstraints)")?;
    if !extensions.key_usages.is_empty() && !extensions.key_usages.contains(KeyUsage::KeyCertSign) {
        return Err("its key usage does not include keyCertSign".to_owned());
    }
    // RFC 5280 §4.2.1.9: the CA at `place` has that many CAs below it.
    if basic.path_length.is_some_and(|length| usize::from(length) < place) {
        return Err(format!("its path length permits fewer than the {place} CAs below it"));
    }
    let validity = certificate.validity();
    if validity.not_after < now.as_seconds() || validity.not_before > now.as_seconds() {
        return Err("it is not valid now".to_owned());
    }
    Ok(())
}
