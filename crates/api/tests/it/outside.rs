//! CAs elsewhere that do as a test says, with certificates by the OpenSSL program.
//!
//! What becomes of an order follows from the first name of its CSR: `refused.…` fails, `wrong.…` comes back for another key,
//! `slow.…` is validated until the test opens the gate; all others are issued in the second step.

use std::path::Path;
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use chancery_authority::external::{
    Asking, Capabilities, ExternalCertificate, IntermediateWish, Next, OpenedConnection, OrderInHand, RenewalAdvice,
    Settled, Site, Step, Tidied, Upstream, UpstreamCa, UpstreamError,
};
use chancery_authority::issuance::Zeroizing;
use chancery_model::certificate::RevocationReason;
use chancery_model::external::{ExternalCaKind, ExternalConfiguration};
use chancery_model::order::ExternalOrder;
use chancery_pkix::{CertificationRequest, pem};
use serde_json::json;

/// What a test connection's secret must not be.
pub const WRONG_SECRET: &str = "wrong";

pub struct Outside {
    folder: tempfile::TempDir,
    gate_is_open: AtomicBool,
    /// Serial numbers that were revoked.
    pub revoked: Mutex<Vec<String>>,
    /// Orders that were placed.
    pub asked: AtomicUsize,
}

impl Outside {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let new = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "3650"];
        let root = ["-subj", "/CN=Outside Root", "-keyout", "root.key", "-out", "root.pem"];
        let usage = ["-addext", "keyUsage=critical,keyCertSign,cRLSign"];
        openssl(folder.path(), &[&new[..], &root, &usage].concat());
        Self {
            folder,
            gate_is_open: AtomicBool::new(false),
            revoked: Mutex::new(Vec::new()),
            asked: AtomicUsize::new(0),
        }
    }

    pub fn open_gate(&self) {
        self.gate_is_open.store(true, Ordering::SeqCst);
    }

    /// A certificate for the CSR, and the root.
    fn sign(&self, csr: &[u8], extensions: &str, days: &str) -> Vec<Vec<u8>> {
        let file = |name: &str| self.folder.path().join(name);
        std::fs::write(file("in.csr"), pem::encode(pem::CERTIFICATE_REQUEST, csr)).unwrap();
        std::fs::write(file("extensions"), extensions).unwrap();
        let sign = ["x509", "-req", "-in", "in.csr", "-CA", "root.pem", "-CAkey", "root.key", "-out", "out.pem"];
        let further = ["-copy_extensions", "copyall", "-days", days, "-extfile", "extensions"];
        openssl(self.folder.path(), &[&sign[..], &further].concat());
        [file("out.pem"), file("root.pem")].iter().flat_map(|path| der(path)).collect()
    }
}

fn der(path: &Path) -> Vec<Vec<u8>> {
    let text = std::fs::read_to_string(path).unwrap();
    pem::decode(&text, pem::OutsideText::Skip).unwrap().into_iter().map(|block| block.der).collect()
}

fn openssl(folder: &Path, arguments: &[&str]) {
    let output = Command::new("openssl").current_dir(folder).args(arguments).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

impl Upstream for Outside {
    fn ca(&self, _: ExternalCaKind) -> Option<&dyn UpstreamCa> {
        Some(self)
    }

    fn check_connection<'a>(&'a self, connection: &'a OpenedConnection) -> Asking<'a, ()> {
        Box::pin(async move {
            match connection.fields.values().any(|value| value.as_str() == WRONG_SECRET) {
                true => Err(UpstreamError::lasting("the service does not accept the credentials; check them")),
                false => Ok(()),
            }
        })
    }

    fn sign_intermediate<'a>(
        &'a self,
        _: &'a OpenedConnection,
        wanted: &'a IntermediateWish,
    ) -> Asking<'a, Vec<Vec<u8>>> {
        Box::pin(async move {
            if wanted.mount != "pki-root" {
                return Err(UpstreamError::lasting(format!("there is no secrets engine at {}", wanted.mount)));
            }
            let length = wanted.path_length_max.map(|it| format!(",pathlen:{it}")).unwrap_or_default();
            let text = format!(
                "basicConstraints=critical,CA:TRUE{length}\nkeyUsage=critical,keyCertSign,cRLSign\n\
                 subjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n"
            );
            Ok(self.sign(&wanted.csr, &text, "1000"))
        })
    }
}

impl UpstreamCa for Outside {
    fn capabilities(&self) -> Capabilities {
        Capabilities { revoke: true, renew: true, advises_renewal: false, patience_seconds: 2 * 86_400 }
    }

    fn settle<'a>(&'a self, site: &'a Site) -> Asking<'a, Settled> {
        Box::pin(async move {
            if let ExternalConfiguration::Acme(it) = &site.ca.configuration
                && it.directory_url.contains("//down.")
            {
                return Err(UpstreamError::passing("the ACME directory at down.test does not answer"));
            }
            let mut secrets = site.secrets.clone();
            secrets.insert("accountKey".to_owned(), Zeroizing::new("the account's key".to_owned()));
            let bound = site.secrets.contains_key("eabHmacKey");
            Ok(Settled {
                standing: json!({ "accountUrl": "https://acme.test/account/1", "isBound": bound }),
                secrets,
                warnings: vec!["the CA's terms have changed".to_owned()],
            })
        })
    }

    fn advance<'a>(&'a self, _: &'a Site, order: &'a OrderInHand) -> Asking<'a, Step> {
        Box::pin(async move {
            let order = &order.order;
            let csr = CertificationRequest::from_der(&order.csr).unwrap();
            let name = csr.subject_alt_names().first().map(|it| it.value()).unwrap_or_default();
            if order.state.is_null() {
                self.asked.fetch_add(1, Ordering::SeqCst);
                return Ok(step(Next::Continue));
            }
            let next = match name.split('.').next().unwrap_or_default() {
                "refused" => {
                    Next::Failed { message: format!("the CA does not issue for {name}; ask for another name") }
                }
                "slow" if !self.gate_is_open.load(Ordering::SeqCst) => Next::Wait {
                    seconds: 3_600,
                    validating: true,
                    message: format!("the record of {name} cannot be seen yet"),
                },
                "wrong" => {
                    let other = CertificationRequest::from_pem(&crate::world::csr(&name)).unwrap();
                    Next::Issued { chain: self.sign(other.der(), LEAF, "30"), warnings: Vec::new() }
                }
                _ => Next::Issued {
                    chain: self.sign(&order.csr, LEAF, "30"),
                    warnings: vec!["the CA chose 30 days".to_owned()],
                },
            };
            Ok(step(next))
        })
    }

    fn tidy<'a>(&'a self, _: &'a Site, _: &'a ExternalOrder) -> Asking<'a, Tidied> {
        Box::pin(async { Ok(Tidied::Done) })
    }

    fn revoke<'a>(&'a self, _: &'a Site, certificate: &'a ExternalCertificate, _: RevocationReason) -> Asking<'a, ()> {
        Box::pin(async move {
            self.revoked.lock().unwrap().push(certificate.serial_number.clone());
            Ok(())
        })
    }

    fn renewal_advice<'a>(&'a self, _: &'a Site, _: &'a ExternalCertificate) -> Asking<'a, Option<RenewalAdvice>> {
        Box::pin(async { Ok(None) })
    }

    fn change_account_key<'a>(&'a self, site: &'a Site) -> Asking<'a, Option<Settled>> {
        Box::pin(async move {
            let mut secrets = site.secrets.clone();
            secrets.insert("accountKey".to_owned(), Zeroizing::new("another key".to_owned()));
            Ok(Some(Settled { standing: site.ca.standing.clone(), secrets, warnings: Vec::new() }))
        })
    }
}

const LEAF: &str = "subjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n";

fn step(next: Next) -> Step {
    let reference = Some("https://acme.test/order/1".to_owned());
    Step { state: json!({ "step": 1 }), reference, challenges: None, next }
}
