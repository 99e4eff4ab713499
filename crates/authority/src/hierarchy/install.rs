//! Bringing a certificate to a CA that waits for one: made here, or signed elsewhere and imported.

use chancery_keys::PrivateKey;
use chancery_model::audit::AuditEvent;
use chancery_model::authority::{CaCertificate, CaLevel, CertificationAuthority};
use chancery_model::permission::Permission;
use chancery_model::{CaCertificateId, CaId, Timestamp, Warning};
use chancery_pkix::{Certificate, KeyUsage};
use chancery_store::{Change, Write};

use super::certify::{self, CaCertificateContents, Certifier};
use super::issuer::Issuer;
use crate::Authority;
use crate::call::Call;
use crate::error::Error;
use crate::external::IntermediateWish;

/// How long a CA signed elsewhere lasts when nobody says: five years. The signer may make it shorter.
const OUTSIDE_LIFE_SECONDS: i64 = 5 * 365 * 86_400;
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
        let chosen = ca.configuration.signing.as_ref().and_then(|it| it.parent_ca_id);
        let certificate = match (request.parent_ca_id.or(chosen), ca.configuration.level) {
            (Some(parent), CaLevel::Intermediate) if parent != id => {
                let parent = self.issuer(ca.project_id, parent).await?;
                self.certified_by_parent(&ca, &key, &parent, &request)?
            }
            (None, CaLevel::Root) => {
                let validity = certify::validity(request.not_before, request.not_after, None, self.now())?;
                self.self_signed_root(&ca, &key, validity, request.path_length_max)?
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
                    "an intermediate CA needs the id of the CA that signs it; for a CA elsewhere, read csr and use import-certificate",
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
        let wanted = match request.path_length_max {
            -1 => ca.configuration.path_length_max.unwrap_or(-1),
            length => length,
        };
        let subject = certify::subject(&ca.configuration)?;
        super::subordinate::check_subject_constraints(parent, &subject)?;
        let contents = CaCertificateContents {
            subject_der: &subject.to_der(),
            subject_key_id: &key.public_key().key_id(),
            public_key: key.public_key(),
            validity: certify::validity(request.not_before, request.not_after, Some(parent), self.now())?,
            path_length: certify::path_length(wanted, Some(parent))?,
            name_constraints: certify::name_constraints(ca.configuration.name_constraints.as_ref())?,
            extended_key_usages: Vec::new(),
        };
        self.certified(ca, &contents, &Certifier::Parent(parent), 1)
    }

    /// Installs a certificate that a parent elsewhere signed over this CA's CSR: the first one, or one that replaces it
    /// over the same key, because the parent elsewhere renewed it.
    pub async fn import_ca_certificate(
        &self,
        call: &Call,
        id: CaId,
        certificate: &str,
        chain: &str,
    ) -> Result<CaCertificate, Error> {
        call.requester.require(Permission::CaEdit)?;
        let ca = self.ca_of(call, id).await?;
        let current = match ca.active_certificate {
            None => None,
            Some(_) => Some(self.current_certificate(&ca).await?),
        };
        if current.as_ref().is_some_and(|it| ca.is_signed_here(&it.certificate)) {
            refuse_second(&ca)?;
        }
        let own = read_one(certificate)?;
        if current.as_ref().is_some_and(|it| it.parsed.der() == own.der()) {
            refuse_second(&ca)?;
        }
        let chain = read_chain(chain)?;
        let key = self.open_key(ca.project_id, ca.key_id).await?;
        check_import(&own, &key, &self.subject_of(&ca).await?)?;
        if current.as_ref().is_some_and(|it| it.parsed.extensions().subject_key_id != own.extensions().subject_key_id) {
            let text = "its subject key identifier is not the one that certificates below name; have it signed with the identifier of the certificate in force";
            return Err(Error::malformed("certificate.key_id", "certificate", text));
        }
        let shown = check_line(&own, &chain, self.now())?;
        if let Some(warning) = shown.first() {
            // An unverifiable signature at the top of a chain is for the import of a whole CA, where its key is shown.
            return Err(Error::malformed("certificate.signature", "certificateChain", warning.message.clone()));
        }
        let imported = self.as_imported(&ca, &own, &chain, current.map_or(1, |it| it.certificate.version + 1));
        self.activate(call, &ca, imported, AuditEvent::CaCertificateImported).await
    }

    /// Has the CA signed by the CA behind its signing configuration's app connection, and installs what comes back: CSR,
    /// signature and import in one step.
    pub async fn install_signed_elsewhere(
        &self,
        call: &Call,
        id: CaId,
        path_length_max: i64,
        not_after: Option<Timestamp>,
    ) -> Result<CaCertificate, Error> {
        call.requester.require(Permission::CaEdit)?;
        let ca = self.ca_of(call, id).await?;
        let Some(signer) = ca.configuration.signing.as_ref().and_then(|it| it.outside.clone()) else {
            let text = "the CA's signing configuration names no outside signer; set it to type vault with appConnectionId first";
            return Err(Error::malformed("ca.signing", "caId", text));
        };
        let wanted = match path_length_max {
            -1 => ca.configuration.path_length_max.unwrap_or(-1),
            length => length,
        };
        let now = self.now();
        let not_after =
            not_after.or(ca.configuration.not_after).unwrap_or_else(|| now.plus_seconds(OUTSIDE_LIFE_SECONDS));
        if not_after <= now {
            return Err(Error::malformed("ca.not_after", "notAfter", "must be in the future"));
        }
        let connection = self.connection_of(ca.project_id, signer.connection_id).await?;
        let opened = self.open_connection(&connection).await?;
        let csr = self.ca_csr(call, id).await?;
        let csr = chancery_pkix::CertificationRequest::from_pem(&csr).map_err(Error::internal)?;
        let wish = IntermediateWish {
            csr: csr.der().to_vec(),
            not_after,
            path_length_max: certify::path_length(wanted, None)?,
            mount: signer.mount,
            issuer_ref: signer.issuer_ref,
            now,
        };
        let signed = self.upstream().sign_intermediate(&opened, &wish).await.map_err(|error| {
            tracing::warn!(ca = %ca.name, %error, detail = error.detail, "An outside signer did not sign a CA.");
            Error::malformed("ca.upstream", "caId", error.text)
        })?;
        let Some((own, chain)) = signed.split_first() else {
            return Err(Error::malformed("ca.upstream", "caId", "the outside signer answered without a certificate"));
        };
        let encode = |der: &Vec<u8>| chancery_pkix::pem::encode(chancery_pkix::pem::CERTIFICATE, der);
        let chain: String = chain.iter().map(encode).collect();
        self.import_ca_certificate(call, id, &encode(own), &chain).await
    }

    pub(super) fn as_imported(
        &self,
        ca: &CertificationAuthority,
        own: &Certificate,
        chain: &[Certificate],
        version: i64,
    ) -> CaCertificate {
        let now = self.now();
        let validity = own.validity();
        CaCertificate {
            id: CaCertificateId::generate(now, self.random()),
            ca_id: ca.id,
            project_id: ca.project_id,
            key_id: ca.key_id,
            version,
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
        }
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
        let expected_active = ca.active_certificate;
        let mut write = Write::default()
            // In this order: only a certificate that is there can be activated.
            .with(Change::InsertCaCertificate(Box::new(certificate.clone())))
            .with(Change::ActivateCa { ca: ca.id, certificate: certificate.id, expected_active, at: now })
            .audited(call.audit(now, event, Some(("ca", ca.id.as_uuid())), details));
        write.changes.extend(self.coming_into_force(ca, &certificate));
        write.changes.extend(self.status_resumed(&certificate).await?);
        self.commit(write).await?;
        self.wake_jobs();
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

pub(super) fn read_one(pem: &str) -> Result<Certificate, Error> {
    Certificate::from_pem(pem).map_err(|error| Error::malformed("certificate.pem", "certificate", error.to_string()))
}

/// The issuers above, nearest first; none for empty text.
pub(super) fn read_chain(pem: &str) -> Result<Vec<Certificate>, Error> {
    if pem.trim().is_empty() {
        return Ok(Vec::new());
    }
    Certificate::from_pem_bundle(pem)
        .map_err(|error| Error::malformed("certificate.pem", "certificateChain", error.to_string()))
}

/// Right key, right name, and the key identifier that certificates below will name.
fn check_import(own: &Certificate, key: &PrivateKey, subject_der: &[u8]) -> Result<(), Error> {
    let refuse = |code, text: &str| Err(Error::malformed(code, "certificate", text));
    if own.spki_der() != key.public_key().spki_der() {
        return refuse("certificate.key", "it is for another key than this CA's; sign the CSR of this CA");
    }
    if own.subject_der() != subject_der {
        return refuse("certificate.subject", "its subject is not the one of this CA's CSR");
    }
    check_key_id(own)
}

pub(super) fn check_key_id(own: &Certificate) -> Result<(), Error> {
    if !own.extensions().subject_key_id.is_empty() {
        return Ok(());
    }
    let text = "it has no subject key identifier, which certificates below must name (RFC 5280 §4.2.1.2)";
    Err(Error::malformed("certificate.key_id", "certificate", text))
}

/// The chain must hold before the CA is activated: every one a CA, in time, each link signed by the next. The warning is
/// about a root's signature over itself that cannot be checked here, such as one with SHA-1: it proves nothing anyway.
pub(super) fn check_line(own: &Certificate, chain: &[Certificate], now: Timestamp) -> Result<Vec<Warning>, Error> {
    let refuse = |code, field: &str, text: String| Err(Error::malformed(code, field.to_owned(), text));
    let mut warnings = Vec::new();
    if chain.len() > CHAIN_MAX {
        return refuse("certificate.chain", "certificateChain", format!("more than {CHAIN_MAX} certificates"));
    }
    let line: Vec<&Certificate> = std::iter::once(own).chain(chain).collect();
    for (place, certificate) in line.iter().enumerate() {
        let field = if place == 0 { "certificate".to_owned() } else { format!("certificateChain[{}]", place - 1) };
        check_is_ca(certificate, place, now)
            .map_err(|text| Error::malformed("certificate.not_ca", field.clone(), text))?;
        let next = line.get(place + 1).copied();
        let Some(signer) = next.or_else(|| certificate.is_self_issued().then_some(*certificate)) else {
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
        if certificate.signature_algorithm().is_none() {
            let text = "it is signed with an algorithm that is not accepted, such as SHA-1";
            if next.is_some() {
                return refuse("certificate.weak_signature", &field, text.to_owned());
            }
            warnings.push(Warning::new(
                "certificate.weak_signature",
                &field,
                format!("{text}; a root's signature over itself is not relied upon"),
            ));
            continue;
        }
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
    Ok(warnings)
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
