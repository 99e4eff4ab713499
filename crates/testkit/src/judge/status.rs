//! Strangers who judge CRLs and OCSP responses: OpenSSL and pkilint. CRLs and responses are DER, certificates PEM.

use std::process::Command;

use serde_json::json;

use super::{
    Finding, OPENSSL, OPENSSL_ADVICE, accepted, file, finding, folder, joined, openssl_reads, python, run, words,
};

/// `openssl crl -text` of one CRL.
pub fn openssl_crl_text(crl: &[u8]) -> String {
    openssl_reads(&["crl", "-inform", "DER", "-noout", "-text", "-nameopt", "RFC2253,utf8,-esc_msb"], crl)
}

/// `openssl crl -verify`: the CRL is signed by this issuer.
pub fn openssl_crl_verifies(crl: &[u8], issuer: &str) {
    let folder = folder();
    let issuer = file(&folder, "issuer.pem", issuer.as_bytes());
    let mut command = Command::new(OPENSSL);
    command.args(["crl", "-inform", "DER", "-noout", "-verify", "-CAfile"]).arg(issuer);
    let output = run(&mut command, OPENSSL_ADVICE, crl);
    // OpenSSL 3.0 says what it found and succeeds either way.
    let said = words(&output);
    assert!(said.contains("verify OK"), "openssl crl -verify refuses: {said}");
}

/// `openssl verify -crl_check -use_deltas -x509_strict` of a chain (leaf first, root last, which alone is trusted): the
/// leaf is on none of these CRLs, and one of them is in force for it.
pub fn openssl_verify_crl_check<S: AsRef<str>>(chain: &[S], crls: &[Vec<u8>], at_epoch_seconds: i64) {
    if let Err(words) = crl_check(chain, crls, at_epoch_seconds) {
        panic!("openssl verify -crl_check refuses the chain: {words}\n{}", joined(chain));
    }
}

/// What `openssl verify -crl_check` says against a chain that it must refuse.
pub fn openssl_refuses_crl_check<S: AsRef<str>>(chain: &[S], crls: &[Vec<u8>], at_epoch_seconds: i64) -> String {
    match crl_check(chain, crls, at_epoch_seconds) {
        Err(words) => words,
        Ok(()) => panic!("openssl verify -crl_check accepts a chain it must refuse\n{}", joined(chain)),
    }
}

fn crl_check<S: AsRef<str>>(chain: &[S], crls: &[Vec<u8>], at: i64) -> Result<(), String> {
    let [leaf, between @ .., root] = chain else { panic!("a chain needs a leaf and a root") };
    let folder = folder();
    let mut command = Command::new(OPENSSL);
    command.args(["verify", "-x509_strict", "-crl_check", "-use_deltas", "-attime", &at.to_string()]);
    command.arg("-CAfile").arg(file(&folder, "root.pem", root.as_ref().as_bytes()));
    if !between.is_empty() {
        command.arg("-untrusted").arg(file(&folder, "between.pem", joined(between).as_bytes()));
    }
    let pems: String = crls.iter().map(|crl| chancery_pkix::pem::encode(chancery_pkix::pem::X509_CRL, crl)).collect();
    command.arg("-CRLfile").arg(file(&folder, "crls.pem", pems.as_bytes()));
    let output = run(command.arg(file(&folder, "leaf.pem", leaf.as_ref().as_bytes())), OPENSSL_ADVICE, &[]);
    if output.status.success() { Ok(()) } else { Err(words(&output)) }
}

/// What `openssl ocsp` is asked.
#[derive(Clone, Copy, Debug)]
pub struct OcspQuestion<'a> {
    pub certificate: &'a str,
    pub issuer: &'a str,
    /// The root that is trusted.
    pub trusted: &'a str,
    /// When the responder's certificate is judged. The times of the status are not: OpenSSL knows only the true clock.
    pub at_epoch_seconds: i64,
    pub with_nonce: bool,
}

/// Asks the responder at this URL and believes the answer only when its signature verifies. What openssl says holds the
/// whole response as text and, at the end, `certificate.pem: good`, `revoked` or `unknown`.
pub fn openssl_ocsp(url: &str, question: &OcspQuestion<'_>) -> String {
    ocsp(question, &["-url", url], None)
}

/// The same for a response that is there already.
pub fn openssl_reads_ocsp(response: &[u8], question: &OcspQuestion<'_>) -> String {
    ocsp(question, &["-respin", "response.der"], Some(response))
}

fn ocsp(question: &OcspQuestion<'_>, source: &[&str], response: Option<&[u8]>) -> String {
    let folder = folder();
    file(&folder, "certificate.pem", question.certificate.as_bytes());
    file(&folder, "issuer.pem", question.issuer.as_bytes());
    file(&folder, "trusted.pem", question.trusted.as_bytes());
    if let Some(response) = response {
        file(&folder, "response.der", response);
    }
    let nonce = if question.with_nonce { "-nonce" } else { "-no_nonce" };
    let at = question.at_epoch_seconds.to_string();
    let mut command = Command::new(OPENSSL);
    command.current_dir(folder.path());
    command.args(["ocsp", "-issuer", "issuer.pem", "-cert", "certificate.pem", "-CAfile", "trusted.pem"]);
    const A_CENTURY: &str = "3155760000";
    command.args(["-resp_text", "-timeout", "10", "-attime", &at, "-validity_period", A_CENTURY, nonce]).args(source);
    let output = run(&mut command, OPENSSL_ADVICE, &[]);
    let complaints = String::from_utf8_lossy(&output.stderr).into_owned();
    let said = accepted(&output, "openssl ocsp");
    assert!(complaints.contains("Response verify OK"), "openssl ocsp does not believe: {complaints}\n{said}");
    assert!(!complaints.contains("nonce"), "openssl ocsp misses its nonce: {complaints}\n{said}");
    format!("{said}\n{complaints}")
}

/// pkilint's RFC 5280 rules on one CRL: no error, and every finding below that is returned.
pub fn pkilint_crl(der: &[u8]) -> Vec<Finding> {
    no_error(pkilint_status_findings("crl", der))
}

/// pkilint's RFC 6960 rules on one OCSP response: no error, and every finding below that is returned.
pub fn pkilint_ocsp(der: &[u8]) -> Vec<Finding> {
    no_error(pkilint_status_findings("ocsp", der))
}

fn no_error(findings: Vec<Finding>) -> Vec<Finding> {
    let (errors, rest): (Vec<_>, Vec<_>) =
        findings.into_iter().partition(|finding| matches!(finding.severity.as_str(), "FATAL" | "ERROR"));
    assert!(errors.is_empty(), "pkilint finds errors: {errors:#?}");
    rest
}

/// Everything pkilint says about a `crl` or an `ocsp` response.
pub fn pkilint_status_findings(kind: &str, der: &[u8]) -> Vec<Finding> {
    let document = json!({"name": kind, "kind": kind, "der": hex::encode(der)});
    python("lint_status.py", &json!({"documents": [document]})).lines().map(finding).collect()
}

#[cfg(test)]
mod tests;
