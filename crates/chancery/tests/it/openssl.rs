//! A CA that lives elsewhere: keys, CSRs and certificates made by the `openssl` program, with dates of the test's choice.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use chancery_testkit::judge;
use tempfile::TempDir;

const CONFIGURATION: &str = "
[ca]
default_ca = here
[here]
dir = .
database = index.txt
new_certs_dir = .
certificate = certificate.pem
private_key = key.pem
rand_serial = yes
crlnumber = crlnumber.txt
default_md = sha256
policy = any
preserve = yes
unique_subject = no
email_in_dn = no
copy_extensions = none
[any]
countryName = optional
organizationName = optional
commonName = optional
[root]
basicConstraints = critical,CA:true
keyUsage = critical,keyCertSign,cRLSign
subjectKeyIdentifier = hash
[ca_below]
basicConstraints = critical,CA:true,pathlen:1
keyUsage = critical,digitalSignature,keyCertSign,cRLSign
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid:always
[lowest]
basicConstraints = critical,CA:true,pathlen:0
keyUsage = critical,keyCertSign,cRLSign
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid:always
[constrained]
basicConstraints = critical,CA:true,pathlen:0
keyUsage = critical,digitalSignature,keyCertSign,cRLSign
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid:always
nameConstraints = critical,permitted;DNS:acme.test
[clients_only]
basicConstraints = critical,CA:true,pathlen:1
keyUsage = critical,keyCertSign,cRLSign
extendedKeyUsage = clientAuth
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid:always
[no_sign]
basicConstraints = critical,CA:true
keyUsage = critical,digitalSignature
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid:always
[leaf]
basicConstraints = critical,CA:false
keyUsage = critical,digitalSignature
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid:always
";

/// A folder with a P-256 key, a CSR, and once installed a certificate.
pub struct OpensslCa(TempDir);

impl OpensslCa {
    /// A key and a CSR for this subject, in OpenSSL's form (`/O=Acme/CN=Root`).
    pub fn new(subject: &str) -> Self {
        let made = Self(tempfile::tempdir().unwrap());
        fs::write(made.file("openssl.cnf"), CONFIGURATION).unwrap();
        fs::write(made.file("index.txt"), "").unwrap();
        fs::write(made.file("crlnumber.txt"), "2A\n").unwrap();
        made.run(&["ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", "key.pem"]);
        made.run(&["req", "-new", "-key", "key.pem", "-subj", subject, "-out", "csr.pem"]);
        made
    }

    /// The same with a certificate of its own, valid from 2026 to 2036.
    pub fn root(subject: &str) -> Self {
        let made = Self::new(subject);
        let certificate = made.sign(&made.csr(), "root", "20260101000000Z", "20360101000000Z", &["-selfsign"]);
        made.install(&certificate);
        made
    }

    pub fn csr(&self) -> String {
        fs::read_to_string(self.file("csr.pem")).unwrap()
    }

    /// PEM of the installed certificate.
    pub fn certificate(&self) -> String {
        fs::read_to_string(self.file("certificate.pem")).unwrap()
    }

    pub fn install(&self, certificate: &str) {
        fs::write(self.file("certificate.pem"), certificate).unwrap();
    }

    /// A certificate for the CSR, with the extensions of this section; `ca` stands for a CA with path length 1.
    pub fn sign(&self, csr: &str, section: &str, start: &str, end: &str, further: &[&str]) -> String {
        let section = if section == "ca" { "ca_below" } else { section };
        fs::write(self.file("in.pem"), csr).unwrap();
        let mut arguments =
            vec!["ca", "-batch", "-notext", "-config", "openssl.cnf", "-in", "in.pem", "-out", "out.pem"];
        arguments.extend(["-extensions", section, "-startdate", start, "-enddate", end]);
        arguments.extend(further);
        self.run(&arguments);
        let made = fs::read(self.file("out.pem")).unwrap();
        judge::openssl_reads(&["x509"], &made)
    }

    /// A leaf for the CSR with this serial number (hex), valid from the real day on.
    pub fn sign_numbered(&self, csr: &str, serial: &str) -> String {
        fs::write(self.file("in.pem"), csr).unwrap();
        let serial = format!("0x{serial}");
        let mut arguments = vec!["x509", "-req", "-in", "in.pem", "-CA", "certificate.pem", "-CAkey", "key.pem"];
        arguments.extend(["-set_serial", &serial, "-days", "30", "-extfile", "openssl.cnf", "-extensions", "leaf"]);
        arguments.extend(["-out", "out.pem"]);
        self.run(&arguments);
        fs::read_to_string(self.file("out.pem")).unwrap()
    }

    /// PEM of the private key as PKCS#8.
    pub fn key(&self) -> String {
        self.run(&["pkcs8", "-topk8", "-nocrypt", "-in", "key.pem", "-out", "pkcs8.pem"]);
        fs::read_to_string(self.file("pkcs8.pem")).unwrap()
    }

    /// PEM of the private key as encrypted PKCS#8 (PBES2).
    pub fn encrypted_key(&self, password: &str) -> String {
        let pass = format!("pass:{password}");
        self.run(&["pkcs8", "-topk8", "-v2", "aes-256-cbc", "-in", "key.pem", "-passout", &pass, "-out", "pkcs8.pem"]);
        fs::read_to_string(self.file("pkcs8.pem")).unwrap()
    }

    /// PKCS#12 with the installed certificate, its key, and the certificates above it (PEM).
    pub fn pkcs12(&self, above: &str, password: &str) -> Vec<u8> {
        fs::write(self.file("above.pem"), above).unwrap();
        let pass = format!("pass:{password}");
        let mut arguments = vec!["pkcs12", "-export", "-inkey", "key.pem", "-in", "certificate.pem"];
        if !above.is_empty() {
            arguments.extend(["-certfile", "above.pem"]);
        }
        arguments.extend(["-name", "legacy", "-passout", &pass, "-out", "out.p12"]);
        self.run(&arguments);
        fs::read(self.file("out.p12")).unwrap()
    }

    /// Writes into the CA's index that this certificate was revoked at this time (YYMMDDHHMMSSZ) for this reason.
    pub fn revoke(&self, serial: &str, time: &str, reason: &str) {
        let index = fs::read_to_string(self.file("index.txt")).unwrap();
        let line = |line: &str| {
            let fields: Vec<&str> = line.split('\t').collect();
            if fields[3].eq_ignore_ascii_case(serial) {
                format!("R\t{}\t{time},{reason}\t{}\t{}\t{}\n", fields[1], fields[3], fields[4], fields[5])
            } else {
                format!("{line}\n")
            }
        };
        let changed: String = index.lines().map(line).collect();
        assert_ne!(changed, index, "{serial} is not in the index");
        fs::write(self.file("index.txt"), changed).unwrap();
    }

    /// PEM of a CRL with the next number; the first is 42.
    pub fn crl(&self, start: &str, end: &str) -> String {
        let mut arguments = vec!["ca", "-gencrl", "-config", "openssl.cnf", "-out", "crl.pem"];
        arguments.extend(["-crl_lastupdate", start, "-crl_nextupdate", end]);
        self.run(&arguments);
        fs::read_to_string(self.file("crl.pem")).unwrap()
    }

    fn run(&self, arguments: &[&str]) {
        let output = Command::new("openssl").args(arguments).current_dir(self.0.path()).output();
        let output = output.unwrap_or_else(|error| {
            panic!("openssl does not start: {error}; install it with `apt-get install openssl`")
        });
        assert!(output.status.success(), "openssl {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }
}
