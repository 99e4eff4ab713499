//! CA certificates: built, linted, then signed by the parent or by the CA's own key.

use chancery_keys::{PrivateKey, Signer};
use chancery_model::authority::{CaCertificate, CertificationAuthority, InternalCaConfiguration, NameConstraintRules};
use chancery_model::{CaCertificateId, Randomness, Timestamp};
use chancery_pkix::{
    Attribute, AttributeType, BasicConstraints, DistinguishedName, ExtendedKeyUsage, Extensions, GeneralSubtree,
    KeyUsage, NameConstraints, PublicKey, SerialNumber, SignatureAlgorithm, TbsCertificate, Validity,
};

use super::issuer::Issuer;
use crate::Authority;
use crate::error::Error;
use crate::issuance::{lint, signed};

/// A fresh CA's start is set back this much for relying parties whose clocks run behind.
const BACKDATE_SECONDS: i64 = 300;

/// What a CA key is for (RFC 5280 §4.2.1.3). No digitalSignature: no CA key signs anything but certificates and CRLs.
pub(super) const KEY_USAGES: [KeyUsage; 2] = [KeyUsage::KeyCertSign, KeyUsage::CrlSign];

/// What a CA certificate will say.
pub(super) struct CaCertificateContents<'a> {
    /// Encoded: a renewal repeats it byte for byte, however it was encoded first.
    pub subject_der: &'a [u8],
    /// Kept over the life of a key: certificates below name it (RFC 5280 §4.2.1.1).
    pub subject_key_id: &'a [u8],
    pub public_key: &'a PublicKey,
    pub validity: Validity,
    pub path_length: Option<u8>,
    pub name_constraints: Option<NameConstraints>,
    pub extended_key_usages: Vec<ExtendedKeyUsage>,
}

/// Who signs it.
pub(super) enum Certifier<'a> {
    Parent(&'a Issuer),
    /// A root signs itself.
    Own {
        key: &'a PrivateKey,
        algorithm: SignatureAlgorithm,
    },
}

impl<'a> Certifier<'a> {
    const fn parent(&self) -> Option<&'a Issuer> {
        match self {
            Self::Parent(issuer) => Some(issuer),
            Self::Own { .. } => None,
        }
    }
}

/// A signed CA certificate, not recorded yet.
pub(super) struct CertifiedCa {
    pub der: Vec<u8>,
    pub serial_number: String,
}

pub(super) fn certify(
    contents: &CaCertificateContents<'_>,
    by: &Certifier<'_>,
    random: &dyn Randomness,
    repository_url: Option<&str>,
) -> Result<CertifiedCa, Error> {
    let mut entropy = [0u8; 16];
    random.fill(&mut entropy);
    let serial = SerialNumber::from_random(entropy);
    let parent = by.parent();
    let algorithm = match by {
        Certifier::Parent(issuer) => issuer.signature_algorithm(),
        Certifier::Own { algorithm, .. } => *algorithm,
    };
    let pointers = parent.map(|it| it.ca_pointers(repository_url)).unwrap_or_default();
    let extensions = Extensions {
        basic_constraints: Some(BasicConstraints { is_ca: true, path_length: contents.path_length }),
        key_usages: KEY_USAGES.into_iter().collect(),
        extended_key_usages: contents.extended_key_usages.clone(),
        subject_key_id: contents.subject_key_id.to_vec(),
        authority_key_id: parent.map(|it| it.key_id().to_vec()),
        name_constraints: contents.name_constraints.clone(),
        ca_issuers: parent.and_then(|it| it.ca_issuers_url(repository_url)).into_iter().collect(),
        ocsp: pointers.ocsp,
        crl_distribution_points: pointers.crl,
        freshest_crl: pointers.freshest_crl,
        ..Extensions::default()
    };
    let tbs_der = TbsCertificate {
        serial: &serial,
        signature_algorithm: algorithm,
        issuer_der: parent.map_or(contents.subject_der, Issuer::subject_der),
        validity: contents.validity,
        subject_der: contents.subject_der,
        public_key: contents.public_key,
        extensions: &extensions,
    }
    .to_der()
    .map_err(Error::internal)?;
    lint(&tbs_der, contents.subject_der, parent)?;
    let signer: &dyn Signer = match by {
        Certifier::Parent(issuer) => issuer.signer(),
        Certifier::Own { key, .. } => *key,
    };
    Ok(CertifiedCa { der: signed(&tbs_der, algorithm, signer)?, serial_number: serial.to_hex() })
}

impl Authority {
    /// Signs a certificate for a CA of this server, over the key that `ca` names; not recorded yet.
    pub(super) fn certified(
        &self,
        ca: &CertificationAuthority,
        contents: &CaCertificateContents<'_>,
        by: &Certifier<'_>,
        version: i64,
    ) -> Result<CaCertificate, Error> {
        let now = self.now();
        let certified = certify(contents, by, self.random(), self.repository_url())?;
        let parent = by.parent();
        Ok(CaCertificate {
            id: CaCertificateId::generate(now, self.random()),
            ca_id: ca.id,
            project_id: ca.project_id,
            key_id: ca.key_id,
            version,
            serial_number: certified.serial_number,
            der: certified.der,
            chain: parent.map(Issuer::chain_to_root).unwrap_or_default(),
            parent_ca_id: parent.map(Issuer::ca_id),
            parent_certificate_id: parent.map(Issuer::certificate_id),
            path_length: contents.path_length,
            not_before: Timestamp::from_seconds(contents.validity.not_before),
            not_after: Timestamp::from_seconds(contents.validity.not_after),
            revocation: None,
            created_at: now,
        })
    }
}

/// The subject of a CA as configured, in certificate order.
pub(super) fn subject(configuration: &InternalCaConfiguration) -> Result<DistinguishedName, Error> {
    use AttributeType as T;
    let fields = [
        (T::Country, &configuration.country, "country"),
        (T::State, &configuration.state, "province"),
        (T::Locality, &configuration.locality, "locality"),
        (T::Organization, &configuration.organization, "organization"),
        (T::OrganizationalUnit, &configuration.organizational_unit, "ou"),
        (T::CommonName, &configuration.common_name, "commonName"),
    ];
    let mut attributes = Vec::new();
    for (kind, value, field) in fields {
        let value = value.trim();
        if value.is_empty() {
            continue;
        }
        let one = DistinguishedName::new(vec![Attribute { kind, value: value.to_owned() }])
            .map_err(|error| Error::malformed(error.code, format!("configuration.{field}"), error.message))?;
        attributes.extend(one.attributes().iter().cloned());
    }
    if attributes.is_empty() {
        return Err(Error::malformed(
            "subject.empty",
            "configuration.commonName",
            "a certification authority needs a name; give at least one of commonName, organization, ou, country, province, locality",
        ));
    }
    DistinguishedName::new(attributes).map_err(|error| Error::malformed(error.code, "configuration", error.message))
}

/// Written name constraints as RFC 5280 §4.2.1.10 subtrees.
pub(super) fn name_constraints(rules: Option<&NameConstraintRules>) -> Result<Option<NameConstraints>, Error> {
    let Some(rules) = rules else { return Ok(None) };
    let parse = |list: &[chancery_model::authority::Subtree], which: &str| -> Result<Vec<GeneralSubtree>, Error> {
        list.iter()
            .enumerate()
            .map(|(index, subtree)| {
                GeneralSubtree::parse(subtree.kind, &subtree.value).map_err(|error| {
                    let field = format!("configuration.nameConstraints.{which}[{index}]");
                    Error::malformed(error.code, field, error.message)
                })
            })
            .collect()
    };
    let constraints = NameConstraints {
        permitted: parse(&rules.permitted, "permitted")?,
        excluded: parse(&rules.excluded, "excluded")?,
    };
    if constraints.permitted.is_empty() && constraints.excluded.is_empty() {
        return Err(Error::malformed(
            "name_constraints.empty",
            "configuration.nameConstraints",
            "give at least one permitted or excluded subtree, or leave nameConstraints out",
        ));
    }
    Ok(Some(constraints))
}

/// A CA's validity: named dates exactly; an unnamed start is now, set back, but never before the parent's.
pub(super) fn validity(
    not_before: Option<Timestamp>,
    not_after: Timestamp,
    parent: Option<&Issuer>,
    now: Timestamp,
) -> Result<Validity, Error> {
    let default_start =
        now.plus_seconds(-BACKDATE_SECONDS).max(parent.map_or(Timestamp::from_millis(0), Issuer::not_before));
    let start = not_before.unwrap_or(default_start);
    if not_after <= start || not_after <= now {
        return Err(Error::malformed(
            "ca.not_after",
            "notAfter",
            format!("{not_after} must lie after notBefore and in the future"),
        ));
    }
    if let Some(parent) = parent {
        if start < parent.not_before() {
            let text = format!("{start} is before the parent CA's own start, {}", parent.not_before());
            return Err(Error::malformed("ca.before_parent", "notBefore", text));
        }
        if not_after > parent.not_after() {
            let text = format!("{not_after} is after the parent CA's own end, {}", parent.not_after());
            return Err(Error::malformed("ca.outlives_parent", "notAfter", text));
        }
    }
    Ok(Validity { not_before: start.as_seconds(), not_after: not_after.as_seconds() })
}

/// The wire's path length (−1: no limit) under what the chain above permits.
pub(super) fn path_length(wanted: i64, parent: Option<&Issuer>) -> Result<Option<u8>, Error> {
    let wanted = match wanted {
        -1 => None,
        length => Some(u8::try_from(length).map_err(|_| {
            Error::malformed("path_length.range", "maxPathLength", format!("{length} is not −1 (no limit) or 0 to 255"))
        })?),
    };
    let Some(parent) = parent else { return Ok(wanted) };
    let length = match (wanted, parent.path_length_below()) {
        // "No limit" below a limited CA means: as much as the chain permits.
        (None, Some(below)) => u8::try_from(below).ok(),
        (wanted, _) => wanted,
    };
    parent.check_path_length(length)?;
    Ok(length)
}
