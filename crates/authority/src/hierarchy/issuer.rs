//! An issuer: one CA certificate and the signing key that belongs to it, opened.

use chancery_keys::{PrivateKey, Signer};
use chancery_model::authority::{CaCertificate, CaStatus, CertificationAuthority};
use chancery_model::{CaCertificateId, CaId, CrlId, ProjectId, TemplateId, Timestamp};
use chancery_pkix::{
    Certificate, ExtendedKeyUsage, KeyAlgorithm, NameConstraints, SerialNumber, SignatureAlgorithm, Validity,
};

use crate::Authority;
use crate::error::Error;
use crate::status::pointers::{self, Pointers};

/// A CA that can sign now.
pub struct Issuer {
    ca: CertificationAuthority,
    certificate: CaCertificate,
    subject_der: Vec<u8>,
    key_id: Vec<u8>,
    validity: Validity,
    /// Of the CA itself and of everything above it.
    name_constraints: Vec<NameConstraints>,
    /// One list for each certificate of the chain that names extended key usages.
    extended_key_usages: Vec<Vec<ExtendedKeyUsage>>,
    /// How many more CA levels the chain permits below this CA; `None` without a limit.
    levels_below: Option<i64>,
    /// The CRLs of the signing key: partition and id.
    crls: Vec<(u32, CrlId)>,
    signer: PrivateKey,
}

impl Issuer {
    /// Puts certificate and key together. The key must be the certificate's.
    pub(super) fn new(
        ca: CertificationAuthority,
        certificate: CaCertificate,
        crls: Vec<(u32, CrlId)>,
        signer: PrivateKey,
    ) -> Result<Self, Error> {
        let inconsistent = |what: &str| Error::internal(format!("CA {}: {what}", ca.id));
        let own =
            Certificate::from_der(&certificate.der).map_err(|_| inconsistent("its certificate does not parse"))?;
        if own.spki_der() != signer.public_key().spki_der() {
            return Err(inconsistent("its certificate is for another key"));
        }
        let above: Vec<Certificate> = certificate
            .chain
            .iter()
            .map(|der| Certificate::from_der(der).map_err(|_| inconsistent("its chain does not parse")))
            .collect::<Result<_, _>>()?;
        let line = || std::iter::once(&own).chain(&above);
        let name_constraints = line().filter_map(|it| it.extensions().name_constraints.clone()).collect();
        let extended_key_usages = line().filter_map(limiting_usages).collect();
        let levels_below = line()
            .zip(0i64..)
            .filter_map(|(it, distance)| Some(i64::from(it.extensions().basic_constraints?.path_length?) - distance))
            .min();
        Ok(Self {
            subject_der: own.subject_der().to_vec(),
            key_id: own.extensions().subject_key_id.clone(),
            validity: own.validity(),
            name_constraints,
            extended_key_usages,
            levels_below,
            ca,
            certificate,
            crls,
            signer,
        })
    }

    #[must_use]
    pub const fn ca_id(&self) -> CaId {
        self.ca.id
    }

    #[must_use]
    pub const fn certificate_id(&self) -> CaCertificateId {
        self.certificate.id
    }

    #[must_use]
    pub const fn key_algorithm(&self) -> KeyAlgorithm {
        self.ca.configuration.key_algorithm
    }

    /// What the CA signs with when nobody chooses.
    #[must_use]
    pub fn signature_algorithm(&self) -> SignatureAlgorithm {
        self.ca.configuration.signature_algorithm.unwrap_or_else(|| self.key_algorithm().default_signature())
    }

    /// The issuer name, byte for byte as in the CA's own certificate (RFC 5280 §4.1.2.4).
    #[must_use]
    pub fn subject_der(&self) -> &[u8] {
        &self.subject_der
    }

    /// The subject key identifier in the CA's own certificate, whoever computed it.
    #[must_use]
    pub fn key_id(&self) -> &[u8] {
        &self.key_id
    }

    #[must_use]
    pub const fn validity(&self) -> Validity {
        self.validity
    }

    #[must_use]
    pub const fn not_before(&self) -> Timestamp {
        Timestamp::from_seconds(self.validity.not_before)
    }

    #[must_use]
    pub const fn not_after(&self) -> Timestamp {
        Timestamp::from_seconds(self.validity.not_after)
    }

    #[must_use]
    pub fn name_constraints(&self) -> &[NameConstraints] {
        &self.name_constraints
    }

    /// Whether path validation would let a certificate below serve this purpose: extended key usages on a CA are read
    /// as a limit on everything under it, though RFC 5280 §4.2.1.12 leaves that open.
    #[must_use]
    pub fn permits_extended_key_usage(&self, usage: ExtendedKeyUsage) -> bool {
        self.extended_key_usages.iter().all(|limit| limit.contains(&usage))
    }

    #[must_use]
    pub const fn direct_issuance_template(&self) -> Option<TemplateId> {
        self.ca.direct_issuance_template
    }

    /// DER: this CA first, the root last.
    #[must_use]
    pub fn chain_to_root(&self) -> Vec<Vec<u8>> {
        let mut chain = Vec::with_capacity(self.certificate.chain.len() + 1);
        chain.push(self.certificate.der.clone());
        chain.extend(self.certificate.chain.iter().cloned());
        chain
    }

    pub(crate) const fn signer(&self) -> &dyn Signer {
        &self.signer
    }

    /// The caIssuers URL (RFC 5280 §4.2.2.1), where a repository address is configured.
    #[must_use]
    pub fn ca_issuers_url(&self, repository_url: Option<&str>) -> Option<String> {
        let base = repository_url?.trim_end_matches('/');
        Some(format!("{base}/api/v1/cert-manager/ca/internal/{}/certificates/{}/der", self.ca.id, self.certificate.id))
    }

    /// Where relying parties will ask about a certificate with this serial number. Which of several partitions lists it is
    /// settled here, once, by the serial number.
    #[must_use]
    pub(crate) fn pointers(&self, serial: &SerialNumber, repository_url: Option<&str>) -> Pointers {
        let settings = &self.ca.configuration.status;
        let partitions = if repository_url.is_some() && settings.managed_crl_url { settings.crl_partitions } else { 1 };
        let wanted = pointers::partition(serial, partitions);
        // A partition without a CRL, between a change of settings and the next load: the complete CRL lists everything.
        let line = self.crls.iter().find(|(partition, _)| *partition == wanted);
        self.pointing_at(line.or_else(|| self.crls.iter().find(|(partition, _)| *partition == 0)), repository_url)
    }

    /// The same for a CA certificate: CAs are few, and always in the complete CRL alone.
    #[must_use]
    pub(crate) fn ca_pointers(&self, repository_url: Option<&str>) -> Pointers {
        self.pointing_at(self.crls.iter().find(|(partition, _)| *partition == 0), repository_url)
    }

    fn pointing_at(&self, line: Option<&(u32, CrlId)>, repository_url: Option<&str>) -> Pointers {
        let settings = &self.ca.configuration.status;
        let base = repository_url.map(|url| url.trim_end_matches('/'));
        let managed = base.zip(line).filter(|_| settings.managed_crl_url);
        let has_delta = settings.delta_crl_interval.is_some();
        let has_responder = settings.ocsp && self.permits_extended_key_usage(ExtendedKeyUsage::OcspSigning);
        Pointers {
            partition: line.map_or(0, |(partition, _)| *partition),
            crl: managed
                .map(|(base, (_, id))| pointers::crl_url(base, *id))
                .into_iter()
                .chain(settings.crl_urls.clone())
                .collect(),
            freshest_crl: managed
                .filter(|_| has_delta)
                .map(|(base, (_, id))| pointers::delta_url(base, *id))
                .into_iter()
                .collect(),
            ocsp: base.filter(|_| has_responder).map(|base| pointers::ocsp_url(base, self.ca.id)).into_iter().collect(),
        }
    }

    /// Whether a CA with this path length may stand below (RFC 5280 §4.2.1.9, §6.1.4).
    pub fn check_path_length(&self, path_length: Option<u8>) -> Result<(), Error> {
        let Some(levels) = self.levels_below else { return Ok(()) };
        if levels < 1 {
            return Err(Error::malformed(
                "path_length.exhausted",
                "basicConstraints",
                "the issuing CA's path length permits no further CA below it",
            ));
        }
        match path_length {
            Some(length) if i64::from(length) < levels => Ok(()),
            _ => Err(Error::malformed(
                "path_length.too_long",
                "basicConstraints.pathLength",
                format!("the chain above permits a path length of at most {} here; ask for that or less", levels - 1),
            )),
        }
    }

    /// The longest path length that a CA below may have; `None` without a limit.
    pub(super) fn path_length_below(&self) -> Option<i64> {
        self.levels_below.map(|levels| levels - 1)
    }
}

impl Authority {
    /// Reads a CA with its current certificate and opens its key. Refused unless the CA is active.
    pub(crate) async fn load_issuer(&self, project: ProjectId, id: CaId) -> Result<Issuer, Error> {
        let ca = self.reader().ca(project, id).await?.ok_or_else(|| Error::not_found("Certificate authority", id))?;
        if ca.status != CaStatus::Active {
            return Err(Error::malformed(
                "ca.not_active",
                "caId",
                format!("the certificate authority '{}' is {}, so it cannot sign", ca.name, ca.status.as_str()),
            ));
        }
        let Some(active) = ca.active_certificate else {
            return Err(Error::internal(format!("active CA {id} has no certificate")));
        };
        let certificate = self.reader().ca_certificate(active).await?;
        let certificate = certificate.ok_or_else(|| Error::internal(format!("CA certificate {active} is gone")))?;
        if let Some(revocation) = certificate.revocation {
            let text = format!("the certificate of '{}' was revoked at {}, so it cannot sign", ca.name, revocation.at);
            return Err(Error::malformed("ca.revoked", "caId", text));
        }
        let crls = self.reader().crls_of_key(ca.key_id).await?;
        let key = self.open_key(project, ca.key_id).await?;
        Issuer::new(ca, certificate, crls.iter().map(|crl| (crl.partition, crl.id)).collect(), key)
    }
}

/// The extended key usages of a CA certificate, if it names any and not every purpose.
pub(crate) fn limiting_usages(certificate: &Certificate) -> Option<Vec<ExtendedKeyUsage>> {
    let known = &certificate.extensions().extended_key_usages;
    let names_some = !known.is_empty() || !certificate.unknown_extended_key_usages().is_empty();
    (names_some && !known.contains(&ExtendedKeyUsage::AnyPurpose)).then(|| known.clone())
}
