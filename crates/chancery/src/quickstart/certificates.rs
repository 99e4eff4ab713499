//! The certificates themselves: one with a key made by the server, one for a CSR, one renewal.

use std::path::{Path, PathBuf};
use std::time::Duration;

use chancery_cli::Client;
use chancery_cli::certificate::{CertificateFiles, write_files};
use chancery_cli::files::{self, Access, Existing};
use chancery_keys::{PrivateKey, Signer as _};
use chancery_model::Clock as _;
use chancery_model::time::SystemClock;
use chancery_pkix::{
    Attribute, AttributeType, Certificate, CertificationRequestInfo, DistinguishedName, GeneralName, GeneralNameKind,
    KeyAlgorithm, KeyUsages, assemble, pem,
};
use chancery_wire::Nullable;
use chancery_wire::certificate::{
    AltName, Attributes, FlatIssueAnswer, IssueAnswer, IssueCertificate, RenewCertificate, SearchCertificates,
};
use chancery_wire::words::SanType;
use reqwest::Method;
use uuid::Uuid;

use super::configuration::Configuration;
use super::{Setting, step, verification};
use crate::failure::{Failure, causes};

const CRL_PATH: &str = "/api/v1/cert-manager/crl/";
const CRL_TRIES: u32 = 100;
const CRL_PAUSE: Duration = Duration::from_millis(100);

/// What was written where.
pub struct Outcome {
    pub directory: PathBuf,
    pub root_file: PathBuf,
}

/// One certificate to have: its name and the directory it is kept in.
struct Wanted {
    name: String,
    directory: PathBuf,
}

impl Wanted {
    fn is_there(&self) -> bool {
        self.directory.join("certificate.pem").is_file()
    }
}

pub async fn prepare(setting: &Setting, configuration: &Configuration) -> Result<Outcome, Failure> {
    let directory = setting.data_dir.join("certificates");
    files::create_directory(&directory)?;
    let root_file = directory.join("root-ca.pem");
    files::write(&root_file, configuration.root_certificate.as_bytes(), Access::Public, Existing::Replace)?;
    let wanted = |label: &str, suffix: &str| {
        let name = format!("{label}.{}", setting.domain);
        Wanted { directory: directory.join(format!("{name}{suffix}")), name }
    };
    let (plain, with_csr, renewed) = (wanted("host", ""), wanted("api", ""), wanted("host", "-renewed"));
    if !found("without a CSR", &plain)? {
        let files = issue(setting, configuration.profile_id, &plain.name, None).await?;
        keep("without a CSR", &plain, &files)?;
    }
    if !found("with a CSR", &with_csr)? {
        let key = PrivateKey::generate(KeyAlgorithm::EcP256)
            .map_err(|error| Failure::caused("No key can be made", &error))?;
        let csr = certification_request(&with_csr.name, &key)?;
        let mut files = issue(setting, configuration.profile_id, &with_csr.name, Some(csr.clone())).await?;
        files.private_key = Some(key.to_pkcs8_pem().to_string());
        keep("with a CSR", &with_csr, &files)?;
        files::write(&with_csr.directory.join("request.csr"), csr.as_bytes(), Access::Public, Existing::Replace)?;
    }
    if !found("renewal of the first", &renewed)? {
        let files = renew(setting, &plain).await?;
        keep("renewal of the first", &renewed, &files)?;
    }
    let mut with_crl = 0;
    for one in [&plain, &with_csr, &renewed] {
        with_crl += usize::from(verify(setting, one, &configuration.root_certificate).await?);
    }
    let crls = if with_crl == 0 { "" } else { " and their CRL" };
    step("chains verified", &format!("3, against {}{crls}", root_file.display()))?;
    Ok(Outcome { directory, root_file })
}

fn found(what: &str, wanted: &Wanted) -> Result<bool, Failure> {
    let is_there = wanted.is_there();
    if is_there {
        step(what, &format!("found   {}", wanted.directory.display()))?;
    }
    Ok(is_there)
}

fn keep(what: &str, wanted: &Wanted, files: &CertificateFiles) -> Result<(), Failure> {
    write_files(&wanted.directory, files, Existing::Replace)?;
    step(what, &format!("issued  {} in {}/", wanted.name, wanted.directory.display()))
}

async fn issue(
    setting: &Setting,
    profile_id: Uuid,
    name: &str,
    csr: Option<String>,
) -> Result<CertificateFiles, Failure> {
    let attributes = match &csr {
        Some(_) => Attributes { ttl: Some("90d".to_owned()), ..Attributes::default() },
        None => Attributes {
            common_name: Nullable::Value(name.to_owned()),
            alt_names: Some(vec![AltName { kind: SanType::DnsName, value: name.to_owned() }]),
            ttl: Some("90d".to_owned()),
            ..Attributes::default()
        },
    };
    let request = IssueCertificate {
        profile_id,
        application_id: None,
        csr,
        attributes: Some(attributes),
        remove_roots_from_chain: None,
        metadata: None,
        wait: None,
    };
    let IssueAnswer { certificate: Some(issued), .. } = setting.accounts.machine.issue(&request).await? else {
        return Err(Failure::failed(format!("The certificate for {name} was not issued at once")));
    };
    Ok(CertificateFiles {
        id: issued.certificate_id.to_string(),
        name: name.to_owned(),
        certificate: issued.certificate,
        chain: issued.certificate_chain,
        private_key: issued.private_key,
    })
}

/// A PKCS#10 request (RFC 2986) with the name as subject and as alternative name, signed with its own key.
fn certification_request(name: &str, key: &PrivateKey) -> Result<String, Failure> {
    let subject = DistinguishedName::new(vec![Attribute::new(AttributeType::CommonName, name)])
        .map_err(|error| Failure::caused("No certification request can be made", &error))?;
    let san = GeneralName::parse(GeneralNameKind::DnsName, name)
        .map_err(|error| Failure::caused("No certification request can be made", &error))?;
    let info = CertificationRequestInfo {
        subject_der: &subject.to_der(),
        public_key: key.public_key(),
        subject_alt_names: &[san],
        key_usages: KeyUsages::default(),
        extended_key_usages: &[],
        basic_constraints: None,
    }
    .to_der();
    let algorithm = key.algorithm().default_signature();
    let signature = key
        .sign(algorithm, &info)
        .map_err(|error| Failure::caused("The certification request cannot be signed", &error))?;
    Ok(pem::encode(pem::CERTIFICATE_REQUEST, &assemble(&info, algorithm, &signature)))
}

/// Renews the first certificate. A run that broke off may have renewed it already: then its successor is fetched.
async fn renew(setting: &Setting, first: &Wanted) -> Result<CertificateFiles, Failure> {
    let machine = &setting.accounts.machine;
    let serial = parse(&first.directory.join("certificate.pem"))?.serial().to_hex();
    let search = SearchCertificates { search: Some(serial.clone()), ..SearchCertificates::default() };
    let found = machine.search(&setting.accounts.credentials.project_id, &search).await?;
    let Some(certificate) = found.certificates.into_iter().find(|one| one.serial_number == serial) else {
        return Err(Failure::failed(format!(
            "The server does not know the certificate in {}; remove that directory and run the quickstart again",
            first.directory.display()
        )));
    };
    let id = match certificate.renewed_by_certificate_id {
        Some(successor) => successor,
        None => {
            let FlatIssueAnswer { certificate_id, .. } =
                machine.renew(certificate.id, &RenewCertificate::default()).await?;
            certificate_id
        }
    };
    let bundle = machine.bundle(id).await?;
    Ok(CertificateFiles {
        id: id.to_string(),
        name: first.name.clone(),
        certificate: bundle.certificate.unwrap_or_default(),
        chain: bundle.certificate_chain.unwrap_or_default(),
        private_key: bundle.private_key,
    })
}

/// Whether a CRL was there to ask: a certificate of an earlier run may point to none.
async fn verify(setting: &Setting, wanted: &Wanted, root: &str) -> Result<bool, Failure> {
    let chain = files::read_text(&wanted.directory.join("fullchain.pem"))?;
    let leaf = parse(&wanted.directory.join("certificate.pem"))?;
    let crl = match (&setting.repository_url, leaf.extensions().crl_distribution_points.first()) {
        (Some(repository), Some(url)) => Some(fetch_crl(repository, url).await?),
        _ => None,
    };
    verification::verify(&wanted.name, &chain, root, crl.as_deref(), SystemClock.now().as_seconds()).map_err(
        |reason| Failure::failed(format!("The chain in {} does not verify: {reason}", wanted.directory.display())),
    )?;
    Ok(crl.is_some())
}

/// The CRL as anybody would fetch it, from where it is served now: a run that took any free port took another one each
/// time. A CA that was made a moment ago publishes its first CRL within a second or two.
async fn fetch_crl(repository: &str, url: &str) -> Result<Vec<u8>, Failure> {
    let path = url.find(CRL_PATH).and_then(|at| url.get(at..));
    let path = path.ok_or_else(|| Failure::failed(format!("{url} is not where this server publishes CRLs")))?;
    let client = Client::new(repository, None)?;
    for _ in 0..CRL_TRIES {
        match client.send_raw::<()>(Method::GET, path, None).await? {
            (200, crl) => return Ok(crl),
            (404 | 503, _) => tokio::time::sleep(CRL_PAUSE).await,
            (status, _) => return Err(Failure::failed(format!("{url} answered {status}"))),
        }
    }
    Err(Failure::failed(format!("There is still no CRL at {url}; look at the server's log")))
}

fn parse(path: &Path) -> Result<Certificate, Failure> {
    Certificate::from_pem(&files::read_text(path)?)
        .map_err(|error| Failure::failed(format!("{} cannot be read: {}", path.display(), causes(&error))))
}
