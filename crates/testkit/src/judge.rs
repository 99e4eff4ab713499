//! Strangers who judge our bytes: OpenSSL, rustls-webpki, pyca/cryptography and pkilint.
//!
//! Every judge takes PEM text and panics with the stranger's own words when it refuses. None is ever skipped: a missing
//! program panics by name, with the command that installs it. Chains are written leaf first and root last, as the API
//! answers them (a self-signed certificate is a chain of one), and are judged at a given second, because test worlds
//! have a clock of their own.
//!
//! OpenSSL 3.0 knows no ML-DSA; for chains with such keys ask [`cryptography_verifies`].

#![expect(clippy::panic, reason = "a judge's verdict is a panic in the test that asked for it")]

mod status;

use std::fs;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use serde_json::json;
use tempfile::TempDir;

pub use status::{
    OcspQuestion, openssl_crl_text, openssl_crl_verifies, openssl_ocsp, openssl_reads_ocsp, openssl_refuses_crl_check,
    openssl_verify_crl_check, pkilint_crl, pkilint_ocsp, pkilint_status_findings,
};

/// A chain to be judged, with a name for the reader of a failure.
#[derive(Clone, Debug)]
pub struct NamedChain {
    pub name: String,
    /// PEM, leaf first, root last.
    pub certificates: Vec<String>,
}

/// What a linter says about one certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// `FATAL`, `ERROR`, `WARNING`, `NOTICE`, `INFO`.
    pub severity: String,
    pub name: String,
    pub code: String,
    pub place: String,
    pub message: String,
}

/// `openssl verify -x509_strict` with the last certificate as the only one trusted.
pub fn openssl_verifies<S: AsRef<str>>(chain: &[S], at_epoch_seconds: i64) {
    if let Err(words) = openssl_verdict(chain, at_epoch_seconds) {
        panic!("openssl verify -x509_strict refuses the chain: {words}\n{}", joined(chain));
    }
}

/// What `openssl verify -x509_strict` says against a chain that it must refuse.
pub fn openssl_refuses<S: AsRef<str>>(chain: &[S], at_epoch_seconds: i64) -> String {
    match openssl_verdict(chain, at_epoch_seconds) {
        Err(words) => words,
        Ok(()) => panic!("openssl verify -x509_strict accepts a chain it must refuse\n{}", joined(chain)),
    }
}

fn openssl_verdict<S: AsRef<str>>(chain: &[S], at: i64) -> Result<(), String> {
    let (Some(leaf), Some(root)) = (chain.first(), chain.last()) else { panic!("an empty chain") };
    let between = chain.get(1..chain.len().saturating_sub(1)).unwrap_or_default();
    let folder = folder();
    let root = file(&folder, "root.pem", root.as_ref().as_bytes());
    let leaf = file(&folder, "leaf.pem", leaf.as_ref().as_bytes());
    let mut command = Command::new(OPENSSL);
    command.args(["verify", "-x509_strict", "-attime", &at.to_string(), "-CAfile"]).arg(root);
    if !between.is_empty() {
        command.arg("-untrusted").arg(file(&folder, "between.pem", joined(between).as_bytes()));
    }
    let output = run(command.arg(leaf), OPENSSL_ADVICE, &[]);
    if output.status.success() { Ok(()) } else { Err(words(&output)) }
}

/// `openssl x509 -text` of one certificate.
pub fn openssl_text(certificate: &str) -> String {
    openssl_reads(&["x509", "-noout", "-text", "-nameopt", "RFC2253,utf8,-esc_msb"], certificate.as_bytes())
}

/// `openssl req -verify -text` of a certification request.
pub fn openssl_request_text(request: &str) -> String {
    openssl_reads(&["req", "-noout", "-text", "-verify", "-nameopt", "RFC2253,utf8,-esc_msb"], request.as_bytes())
}

/// The parsed private key as `openssl pkey -text` prints it; refuses what OpenSSL cannot read or finds inconsistent.
pub fn openssl_key_text(private_key: &str) -> String {
    openssl_reads(&["pkey", "-noout", "-text", "-check"], private_key.as_bytes())
}

/// Opens PKCS#12 with the password and returns what is inside, as PEM.
pub fn openssl_opens_pkcs12(pkcs12: &[u8], password: &str) -> String {
    let folder = folder();
    let store = file(&folder, "store.p12", pkcs12);
    let secret = file(&folder, "password", format!("{password}\n").as_bytes());
    let mut command = Command::new(OPENSSL);
    command.args(["pkcs12", "-nodes", "-in"]).arg(store);
    command.arg("-passin").arg(format!("file:{}", secret.display()));
    accepted(&run(&mut command, OPENSSL_ADVICE, &[]), "openssl pkcs12")
}

/// Runs `openssl` with these arguments on the input and returns what it prints.
pub fn openssl_reads(arguments: &[&str], input: &[u8]) -> String {
    let output = run(Command::new(OPENSSL).args(arguments), OPENSSL_ADVICE, input);
    accepted(&output, &format!("openssl {}", arguments.join(" ")))
}

/// Path validation as a TLS client of rustls makes it, for a server certificate of this name.
pub fn webpki_verifies<S: AsRef<str>>(chain: &[S], server_name: &str, at_epoch_seconds: i64) {
    if let Err(error) = webpki_verdict(chain, server_name, at_epoch_seconds) {
        panic!("rustls-webpki refuses the chain for {server_name}: {error}\n{}", joined(chain));
    }
}

/// What rustls-webpki says against a chain that it must refuse.
pub fn webpki_refuses<S: AsRef<str>>(chain: &[S], server_name: &str, at_epoch_seconds: i64) -> String {
    match webpki_verdict(chain, server_name, at_epoch_seconds) {
        Err(words) => words,
        Ok(()) => panic!("rustls-webpki accepts a chain it must refuse\n{}", joined(chain)),
    }
}

fn webpki_verdict<S: AsRef<str>>(chain: &[S], server_name: &str, at: i64) -> Result<(), String> {
    let parsed = |pem: &S| CertificateDer::from_pem_slice(pem.as_ref().as_bytes()).map_err(|error| error.to_string());
    let chain = chain.iter().map(parsed).collect::<Result<Vec<_>, _>>()?;
    let [leaf, between @ .., root] = chain.as_slice() else { return Err("a chain needs a leaf and a root".to_owned()) };
    let anchor = webpki::anchor_from_trusted_cert(root).map_err(|error| format!("the root: {error}"))?;
    let leaf = webpki::EndEntityCert::try_from(leaf).map_err(|error| format!("the leaf: {error}"))?;
    let at = UnixTime::since_unix_epoch(std::time::Duration::from_secs(at.try_into().unwrap_or_default()));
    let usage = webpki::KeyUsage::server_auth();
    let anchors = [anchor];
    leaf.verify_for_usage(webpki::ALL_VERIFICATION_ALGS, &anchors, between, at, usage, None, None)
        .map_err(|error| format!("the path: {error}"))?;
    let name = ServerName::try_from(server_name).map_err(|error| format!("{server_name}: {error}"))?;
    leaf.verify_is_valid_for_subject_name(&name).map_err(|error| format!("the name {server_name}: {error}"))
}

/// pyca/cryptography on many chains in one process: names, signatures (ML-DSA too), validity, CA flags, path lengths.
pub fn cryptography_verifies(chains: &[NamedChain], at_epoch_seconds: i64) {
    let faults = cryptography_faults(chains, at_epoch_seconds);
    assert!(faults.is_empty(), "pyca/cryptography refuses:\n{faults}");
}

/// What pyca/cryptography has against these chains, one fault a line; nothing when it has nothing.
pub fn cryptography_faults(chains: &[NamedChain], at_epoch_seconds: i64) -> String {
    let chains: Vec<_> =
        chains.iter().map(|chain| json!({"name": chain.name, "certificates": chain.certificates})).collect();
    python("verify_chains.py", &json!({"at": at_epoch_seconds, "chains": chains}))
}

/// pkilint's RFC 5280 rules on (name, PEM) pairs in one process: no error, and every finding below that is returned.
pub fn pkilint_finds_no_error(certificates: &[(String, String)]) -> Vec<Finding> {
    let (errors, rest): (Vec<_>, Vec<_>) = pkilint_findings(certificates)
        .into_iter()
        .partition(|finding| matches!(finding.severity.as_str(), "FATAL" | "ERROR"));
    assert!(errors.is_empty(), "pkilint finds errors: {errors:#?}");
    rest
}

/// Everything pkilint's RFC 5280 rules say about (name, PEM) pairs.
pub fn pkilint_findings(certificates: &[(String, String)]) -> Vec<Finding> {
    let certificates: Vec<_> = certificates.iter().map(|(name, pem)| json!({"name": name, "pem": pem})).collect();
    let said = python("lint_certificates.py", &json!({"certificates": certificates}));
    said.lines().map(finding).collect()
}

fn finding(line: &str) -> Finding {
    let fields: Vec<&str> = line.splitn(5, '\t').collect();
    let [severity, name, code, place, message] = fields.as_slice() else { panic!("lint_certificates.py said: {line}") };
    Finding {
        severity: (*severity).to_owned(),
        name: (*name).to_owned(),
        code: (*code).to_owned(),
        place: (*place).to_owned(),
        message: (*message).to_owned(),
    }
}

// --- running them --------------------------------------------------------------------------------------------------

const OPENSSL: &str = "openssl";
const OPENSSL_ADVICE: &str = "install it with `apt-get install openssl`, or run scripts/test, which does";
const PYTHON_ADVICE: &str = "run scripts/test once: it makes target/test-tools with cryptography and pkilint";

/// The Python that `scripts/test` has prepared with the judges' packages.
pub fn python_program() -> PathBuf {
    let named = std::env::var_os("CHANCERY_TEST_PYTHON").map(PathBuf::from);
    named.unwrap_or_else(|| crate_folder().join("../../target/test-tools/venv/bin/python"))
}

fn crate_folder() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn python(script: &str, input: &serde_json::Value) -> String {
    let mut command = Command::new(python_program());
    command.arg("-I").arg(crate_folder().join("judges").join(script));
    accepted(&run(&mut command, PYTHON_ADVICE, input.to_string().as_bytes()), script)
}

fn run(command: &mut Command, advice: &str, input: &[u8]) -> Output {
    let shown = command.get_program().to_string_lossy().into_owned();
    let spawned = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = match spawned {
        Ok(child) => child,
        Err(error) if error.kind() == ErrorKind::NotFound => panic!("{shown} is missing: {advice}"),
        Err(error) => panic!("{shown} does not start: {error}"),
    };
    // The input goes in from a thread of its own: a program that answers before it has read everything would otherwise
    // wait for us while we wait for it. One that ends early breaks the pipe, and its exit status says why.
    let (pipe, input) = (child.stdin.take(), input.to_vec());
    let writer = std::thread::spawn(move || pipe.map(|mut pipe| pipe.write_all(&input)));
    let output = child.wait_with_output();
    drop(writer.join());
    output.unwrap_or_else(|error| panic!("{shown}: {error}"))
}

fn accepted(output: &Output, what: &str) -> String {
    if !output.status.success() {
        panic!("{what} refuses: {}", words(output));
    }
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn words(output: &Output) -> String {
    let (said, complained) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    format!("{} {}", said.trim(), complained.trim())
}

fn joined<S: AsRef<str>>(chain: &[S]) -> String {
    chain.iter().map(|pem| format!("{}\n", pem.as_ref().trim())).collect()
}

fn folder() -> TempDir {
    tempfile::tempdir().unwrap_or_else(|error| panic!("no temporary folder: {error}"))
}

fn file(folder: &TempDir, name: &str, bytes: &[u8]) -> PathBuf {
    let path = folder.path().join(name);
    fs::write(&path, bytes).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    path
}

#[cfg(test)]
mod tests;
