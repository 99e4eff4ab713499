//! The little CA behind [`super::elsewhere::Elsewhere`]: a root, an intermediate, and leaves as right or wrong as wanted.

use chancery_keys::{PrivateKey, Signer};
use chancery_model::Timestamp;
use chancery_pkix::{
    Attribute, AttributeType, BasicConstraints, CertificationRequest, DistinguishedName, ExtendedKeyUsage, Extensions,
    GeneralName, GeneralNameKind, KeyAlgorithm, KeyUsage, PublicKey, SerialNumber, TbsCertificate, Validity, assemble,
};

/// What comes back for an order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Answer {
    #[default]
    Right,
    WrongKey,
    ExtraName,
    MissingName,
    OtherCommonName,
    CaFlag,
    TooLong,
    Expired,
    Garbage,
    /// An issuer of the right name with another key.
    WrongIssuer,
    Empty,
    /// The intermediate first, as some servers have done.
    IssuerFirst,
    /// Accepted: the root before the intermediate.
    RootFirst,
    /// Accepted, with a remark: no chain.
    Alone,
    /// Accepted, with a remark: a certificate of somebody else among the chain.
    Stranger,
    /// Another name beside the one that was asked for.
    TwoCommonNames,
    /// Accepted, with remarks: an organisation, usages and purposes that nobody asked for, and it begins tomorrow.
    More,
    /// Accepted, with remarks: only the names, a week, no purposes.
    Bare,
    /// What the CA has sent before, whatever was asked for.
    Again,
    /// With the serial number of the first certificate of all.
    SerialTwice,
}

struct Pair {
    key: PrivateKey,
    name: Vec<u8>,
    der: Vec<u8>,
}

pub struct Pki {
    root: Pair,
    intermediate: Pair,
    /// Of the intermediate's name, with a key of its own.
    impostor: Pair,
    stranger: Pair,
}

pub const DAY: i64 = 86_400;

fn key() -> PrivateKey {
    PrivateKey::generate(KeyAlgorithm::EcP256).unwrap()
}

fn name(text: &str) -> Vec<u8> {
    DistinguishedName::new(vec![Attribute::new(AttributeType::CommonName, text)]).unwrap().to_der()
}

struct Wanted<'a> {
    subject_der: &'a [u8],
    public_key: &'a PublicKey,
    validity: Validity,
    extensions: Extensions,
}

fn signed(wanted: &Wanted<'_>, issuer_name: &[u8], issuer: &PrivateKey, number: u64) -> Vec<u8> {
    let mut serial = [0x5a; 16];
    serial[8..].copy_from_slice(&number.to_be_bytes());
    let algorithm = KeyAlgorithm::EcP256.default_signature();
    let tbs = TbsCertificate {
        serial: &SerialNumber::from_bytes(&serial).unwrap(),
        signature_algorithm: algorithm,
        issuer_der: issuer_name,
        validity: wanted.validity,
        subject_der: wanted.subject_der,
        public_key: wanted.public_key,
        extensions: &wanted.extensions,
    }
    .to_der()
    .unwrap();
    assemble(&tbs, algorithm, &issuer.sign(algorithm, &tbs).unwrap())
}

fn ca(subject: &str, issuer: Option<&Pair>, number: u64) -> Pair {
    let (key, subject_der) = (key(), name(subject));
    let extensions = Extensions {
        basic_constraints: Some(BasicConstraints { is_ca: true, path_length: None }),
        key_usages: [KeyUsage::KeyCertSign, KeyUsage::CrlSign].into_iter().collect(),
        subject_key_id: key.public_key().key_id().to_vec(),
        authority_key_id: issuer.map(|it| it.key.public_key().key_id().to_vec()),
        ..Extensions::default()
    };
    let wanted = Wanted {
        subject_der: &subject_der,
        public_key: key.public_key(),
        validity: Validity { not_before: 1_700_000_000, not_after: 2_600_000_000 },
        extensions,
    };
    let (issuer_name, issuer_key) = issuer.map_or((&subject_der, &key), |it| (&it.name, &it.key));
    let der = signed(&wanted, issuer_name, issuer_key, number);
    Pair { name: subject_der, der, key }
}

impl Pki {
    pub fn new() -> Self {
        let root = ca("Elsewhere Root", None, 1);
        let intermediate = ca("Elsewhere Intermediate", Some(&root), 2);
        let impostor = ca("Elsewhere Intermediate", Some(&root), 3);
        let stranger = ca("Somebody Else", None, 4);
        Self { root, intermediate, impostor, stranger }
    }

    /// The chain that is sent for a request; `earlier` is what was sent for the first one of all.
    pub fn answer(
        &self,
        kind: Answer,
        csr: &CertificationRequest,
        (ttl, now, number): (i64, Timestamp, u64),
        earlier: Option<&Vec<Vec<u8>>>,
    ) -> Vec<Vec<u8>> {
        let leaf = self.leaf(kind, csr, (ttl, now.as_seconds(), number));
        let (root, intermediate) = (self.root.der.clone(), self.intermediate.der.clone());
        match kind {
            Answer::Garbage => vec![b"<html>504</html>".to_vec()],
            Answer::Empty => Vec::new(),
            Answer::IssuerFirst => vec![intermediate, leaf],
            Answer::RootFirst => vec![leaf, root, intermediate],
            Answer::Alone => vec![leaf],
            Answer::Stranger => vec![leaf, intermediate, self.stranger.der.clone()],
            Answer::WrongIssuer => vec![leaf, self.impostor.der.clone()],
            Answer::Again => earlier.cloned().unwrap_or_else(|| vec![leaf, intermediate]),
            _ => vec![leaf, intermediate],
        }
    }

    fn leaf(&self, kind: Answer, csr: &CertificationRequest, (ttl, now, number): (i64, i64, u64)) -> Vec<u8> {
        let mut sans = csr.subject_alt_names().to_vec();
        let mut subject = csr.subject().attributes().to_vec();
        match kind {
            Answer::ExtraName => sans.push(GeneralName::parse(GeneralNameKind::DnsName, "evil.test").unwrap()),
            Answer::MissingName => drop(sans.remove(0)),
            Answer::OtherCommonName => {
                subject = vec![Attribute::new(AttributeType::CommonName, "Somebody Else Inc.")];
            }
            Answer::TwoCommonNames => subject.push(Attribute::new(AttributeType::CommonName, "evil.test")),
            Answer::More => subject.push(Attribute::new(AttributeType::Locality, "Elsewhere")),
            Answer::Bare => subject.clear(),
            _ => {}
        }
        let validity = match kind {
            Answer::TooLong => Validity { not_before: now - 3_600, not_after: now + 500 * DAY },
            Answer::Expired => Validity { not_before: now - 30 * DAY, not_after: now - DAY },
            Answer::More => Validity { not_before: now + DAY, not_after: now + ttl - 1 },
            Answer::Bare => Validity { not_before: now, not_after: now + 7 * DAY - 1 },
            _ => Validity { not_before: now - 3_600, not_after: now + ttl - 1 },
        };
        let other = key();
        let public_key = if kind == Answer::WrongKey { other.public_key() } else { csr.public_key() };
        let is_ca = kind == Answer::CaFlag;
        let mut key_usages = csr.key_usages().unwrap_or_default();
        if is_ca {
            key_usages = [KeyUsage::KeyCertSign, KeyUsage::DigitalSignature].into_iter().collect();
        }
        if kind == Answer::More {
            key_usages = [KeyUsage::KeyAgreement, KeyUsage::DigitalSignature].into_iter().collect();
        }
        let mut asked = csr.extended_key_usages().unwrap_or(&[ExtendedKeyUsage::ServerAuth]).to_vec();
        if kind == Answer::More {
            asked.push(ExtendedKeyUsage::ClientAuth);
        }
        let extensions = Extensions {
            basic_constraints: Some(BasicConstraints { is_ca, path_length: None }),
            key_usages,
            extended_key_usages: if kind == Answer::Bare { Vec::new() } else { asked },
            subject_alt_names: sans,
            subject_key_id: public_key.key_id().to_vec(),
            authority_key_id: Some(self.intermediate.key.public_key().key_id().to_vec()),
            ..Extensions::default()
        };
        let subject_der = DistinguishedName::new(subject).unwrap().to_der();
        let wanted = Wanted { subject_der: &subject_der, public_key, validity, extensions };
        signed(&wanted, &self.intermediate.name, &self.intermediate.key, number)
    }

    /// DER, the nearest issuer first.
    pub fn chain(&self) -> [Vec<u8>; 2] {
        [self.intermediate.der.clone(), self.root.der.clone()]
    }
}

/// A CSR in PEM by a key that stays here.
pub fn csr(common_name: &str, names: &[&str]) -> String {
    let key = key();
    let names: Vec<GeneralName> =
        names.iter().map(|it| GeneralName::parse(GeneralNameKind::DnsName, it).unwrap()).collect();
    let unsigned = chancery_pkix::CertificationRequestInfo {
        subject_der: &name(common_name),
        public_key: key.public_key(),
        subject_alt_names: &names,
        key_usages: [KeyUsage::DigitalSignature].into_iter().collect(),
        extended_key_usages: &[ExtendedKeyUsage::ServerAuth],
        basic_constraints: None,
    }
    .to_der();
    let algorithm = KeyAlgorithm::EcP256.default_signature();
    let der = assemble(&unsigned, algorithm, &key.sign(algorithm, &unsigned).unwrap());
    CertificationRequest::from_der(&der).unwrap().to_pem()
}
