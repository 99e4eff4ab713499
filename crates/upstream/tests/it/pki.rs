//! Keys, requests and certificates for the stories here, made by OpenSSL: what we ask with and what answers us was not
//! written by us.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

pub fn openssl(arguments: &[&str]) -> String {
    let output = match Command::new("openssl").args(arguments).output() {
        Ok(output) => output,
        Err(error) if error.kind() == ErrorKind::NotFound => panic!("openssl is missing: apt-get install openssl"),
        Err(error) => panic!("openssl does not start: {error}"),
    };
    assert!(output.status.success(), "openssl {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// One PEM block of a file, decoded.
pub fn der(pem: &str) -> Vec<u8> {
    chancery_pkix::pem::decode(pem, chancery_pkix::pem::OutsideText::Skip).unwrap().remove(0).der
}

/// A throw-away CA in a folder of its own.
pub struct Ca {
    folder: TempDir,
}

/// PEM.
pub struct Pair {
    pub certificate: String,
    pub private_key: String,
}

impl Ca {
    pub fn new(name: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (key, certificate) = (folder.path().join("ca.key"), folder.path().join("ca.pem"));
        let subject = format!("/CN={name}");
        let mut arguments = vec!["req", "-x509", "-nodes", "-days", "30", "-subj", &subject];
        arguments.extend(EC);
        arguments.extend(["-keyout", path(&key), "-out", path(&certificate)]);
        arguments.extend(["-addext", "keyUsage=critical,keyCertSign,cRLSign"]);
        openssl(&arguments);
        Self { folder }
    }

    pub fn certificate(&self) -> String {
        fs::read_to_string(self.folder.path().join("ca.pem")).unwrap()
    }

    /// A certificate with a fresh key; `names` as OpenSSL writes them (`DNS:a.test,IP:127.0.0.1`).
    pub fn issue(&self, name: &str, names: &str, usage: &str) -> Pair {
        let file = |name: &str| self.folder.path().join(name);
        let (key, certificate, ca, ca_key) = (file("leaf.key"), file("leaf.pem"), file("ca.pem"), file("ca.key"));
        let (subject, names) = (format!("/CN={name}"), format!("subjectAltName={names}"));
        let usage = format!("extendedKeyUsage={usage}");
        let mut arguments = vec!["req", "-x509", "-nodes", "-days", "20", "-subj", &subject];
        arguments.extend(EC);
        arguments.extend([
            "-CA",
            path(&ca),
            "-CAkey",
            path(&ca_key),
            "-keyout",
            path(&key),
            "-out",
            path(&certificate),
        ]);
        arguments.extend(["-addext", "basicConstraints=critical,CA:FALSE", "-addext", &names, "-addext", &usage]);
        arguments.extend(["-addext", "keyUsage=critical,digitalSignature"]);
        openssl(&arguments);
        Pair { certificate: fs::read_to_string(certificate).unwrap(), private_key: fs::read_to_string(key).unwrap() }
    }

    /// Signs a request as it is.
    pub fn sign(&self, csr: &[u8], days: &str) -> String {
        let file = |name: &str| self.folder.path().join(name);
        let (request, certificate) = (file("request.pem"), file("signed.pem"));
        fs::write(&request, chancery_pkix::pem::encode("CERTIFICATE REQUEST", csr)).unwrap();
        let (ca, ca_key) = (file("ca.pem"), file("ca.key"));
        let mut arguments = vec!["x509", "-req", "-in", path(&request), "-days", days, "-copy_extensions", "copy"];
        arguments.extend(["-CA", path(&ca), "-CAkey", path(&ca_key), "-CAcreateserial", "-out", path(&certificate)]);
        openssl(&arguments);
        fs::read_to_string(certificate).unwrap()
    }
}

const EC: [&str; 4] = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"];

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// A certification request with a fresh P-256 key, DER.
pub fn csr(name: &str, names: &str) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let (key, request) = (folder.path().join("key"), folder.path().join("request"));
    let (subject, names) = (format!("/CN={name}"), format!("subjectAltName={names}"));
    let mut arguments = vec!["req", "-new", "-nodes", "-subj", &subject, "-keyout", path(&key), "-out", path(&request)];
    arguments.extend(EC);
    arguments.extend(["-addext", &names]);
    openssl(&arguments);
    der(&fs::read_to_string(request).unwrap())
}

/// A request for an intermediate CA, DER.
pub fn ca_csr(name: &str) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let (key, request): (PathBuf, PathBuf) = (folder.path().join("key"), folder.path().join("request"));
    let subject = format!("/O=Test/CN={name}");
    let mut arguments = vec!["req", "-new", "-nodes", "-subj", &subject, "-keyout", path(&key), "-out", path(&request)];
    arguments.extend(EC);
    arguments.extend(["-addext", "basicConstraints=critical,CA:TRUE"]);
    arguments.extend(["-addext", "keyUsage=critical,keyCertSign,cRLSign"]);
    openssl(&arguments);
    der(&fs::read_to_string(request).unwrap())
}

/// What OpenSSL says of a certificate.
pub fn text(der: &[u8]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("certificate");
    fs::write(&file, der).unwrap();
    openssl(&["x509", "-inform", "DER", "-in", path(&file), "-noout", "-text", "-nameopt", "RFC2253"])
}

/// Refuses a chain (leaf first, its root last) that OpenSSL does not follow.
pub fn verify(chain: &[Vec<u8>]) {
    let folder = tempfile::tempdir().unwrap();
    let pem =
        |ders: &[Vec<u8>]| ders.iter().map(|it| chancery_pkix::pem::encode("CERTIFICATE", it)).collect::<String>();
    let write = |name: &str, text: String| {
        let file = folder.path().join(name);
        fs::write(&file, text).unwrap();
        file
    };
    let (leaf, rest) = chain.split_first().unwrap();
    let (root, between) = rest.split_last().unwrap();
    let leaf = write("leaf", pem(std::slice::from_ref(leaf)));
    let root = write("root", pem(std::slice::from_ref(root)));
    let between = write("between", pem(between));
    let mut arguments = vec!["verify", "-x509_strict", "-CAfile", path(&root)];
    if fs::metadata(&between).unwrap().len() > 0 {
        arguments.extend(["-untrusted", path(&between)]);
    }
    arguments.push(path(&leaf));
    openssl(&arguments);
}
