//! The judges are judged: each accepts a chain that OpenSSL made and refuses the same chain once it is spoilt.

use super::*;

/// A second within the life of the certificates below, which begin when the test runs.
fn soon() -> i64 {
    let output = run(Command::new("date").args(["-u", "-d", "+1 hour", "+%s"]), "install coreutils", &[]);
    accepted(&output, "date").trim().parse().expect("seconds")
}

const CA: &str =
    "basicConstraints=critical,CA:true\nkeyUsage=critical,keyCertSign,cRLSign\nsubjectKeyIdentifier=hash\n";
const LEAF: &str = "basicConstraints=critical,CA:false\nkeyUsage=critical,digitalSignature\nextendedKeyUsage=serverAuth\n\
                    subjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\nsubjectAltName=DNS:www.acme.com\n";

struct Openssl(TempDir);

impl Openssl {
    fn run(&self, arguments: &[&str]) -> String {
        let output = run(Command::new(OPENSSL).current_dir(self.0.path()).args(arguments), OPENSSL_ADVICE, &[]);
        accepted(&output, &format!("openssl {}", arguments.join(" ")))
    }

    fn key(&self, name: &str) -> String {
        let file = format!("{name}.key");
        self.run(&["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", &file]);
        file
    }

    /// A certificate signed by `issuer` (by itself when that is its own name), as PEM.
    fn certificate(&self, name: &str, issuer: &str, extensions: &str) -> String {
        let key = self.key(name);
        let (request, certificate) = (format!("{name}.csr"), format!("{name}.pem"));
        let subject = format!("/O=Judges/CN={name}");
        self.run(&["req", "-new", "-key", &key, "-subj", &subject, "-out", &request]);
        file(&self.0, "extensions", extensions.as_bytes());
        let (issuer_certificate, issuer_key) = (format!("{issuer}.pem"), format!("{issuer}.key"));
        let mut arguments =
            vec!["x509", "-req", "-in", &request, "-days", "9", "-extfile", "extensions", "-out", &certificate];
        if issuer == name {
            arguments.extend(["-signkey", &key]);
        } else {
            arguments.extend(["-CA", &issuer_certificate, "-CAkey", &issuer_key, "-CAcreateserial"]);
        }
        self.run(&arguments);
        fs::read_to_string(self.0.path().join(&certificate)).expect("a certificate")
    }

    fn chain(&self, leaf_extensions: &str) -> Vec<String> {
        let root = self.certificate("root", "root", CA);
        let issuing = self.certificate("issuing", "root", &format!("{CA}authorityKeyIdentifier=keyid\n"));
        vec![self.certificate("www.acme.com", "issuing", leaf_extensions), issuing, root]
    }
}

fn openssl() -> Openssl {
    Openssl(folder())
}

fn named(certificates: &[String]) -> Vec<NamedChain> {
    vec![NamedChain { name: "chain".to_owned(), certificates: certificates.to_vec() }]
}

#[test]
fn a_sound_chain_passes_every_judge() {
    let chain = openssl().chain(LEAF);
    openssl_verifies(&chain, soon());
    webpki_verifies(&chain, "www.acme.com", soon());
    cryptography_verifies(&named(&chain), soon());
    let certificates: Vec<_> = chain.iter().map(|pem| ("one".to_owned(), pem.clone())).collect();
    pkilint_finds_no_error(&certificates);
    let leaf = chain.first().expect("a leaf");
    assert!(openssl_text(leaf).contains("DNS:www.acme.com"));
}

#[test]
fn a_missing_link_is_refused() {
    let mut chain = openssl().chain(LEAF);
    chain.remove(1);
    assert!(openssl_refuses(&chain, soon()).contains("unable to get local issuer certificate"));
    assert!(webpki_refuses(&chain, "www.acme.com", soon()).contains("UnknownIssuer"));
    assert!(cryptography_faults(&named(&chain), soon()).contains("not issued by the next"));
}

#[test]
fn an_issuer_that_is_no_ca_is_refused() {
    let openssl = openssl();
    let root = openssl.certificate("root", "root", CA);
    let issuing = openssl.certificate("issuing", "root", &format!("{LEAF}authorityKeyIdentifier=keyid\n"));
    let chain = [openssl.certificate("www.acme.com", "issuing", LEAF), issuing, root];
    openssl_refuses(&chain, soon());
    webpki_refuses(&chain, "www.acme.com", soon());
    assert!(cryptography_faults(&named(&chain), soon()).contains("signs and is no CA"));
}

#[test]
fn another_time_or_name_is_refused() {
    let chain = openssl().chain(LEAF);
    let late = soon() + 100 * 86_400;
    assert!(openssl_refuses(&chain, late).contains("certificate has expired"));
    assert!(webpki_refuses(&chain, "www.acme.com", late).contains("CertExpired"));
    assert!(cryptography_faults(&named(&chain), late).contains("is not valid at"));
    webpki_refuses(&chain, "other.acme.com", soon());
}

#[test]
fn linter_names_the_broken_rule() {
    // RFC 5280 §4.2.1.9 and §4.2.1.3: keyCertSign without the CA flag.
    let spoilt = LEAF.replace("digitalSignature", "keyCertSign");
    let chain = openssl().chain(&spoilt);
    let findings = pkilint_findings(&[("spoilt".to_owned(), chain.first().expect("a leaf").clone())]);
    assert!(findings.iter().any(|finding| finding.severity == "ERROR" && finding.name == "spoilt"), "{findings:#?}");
    let unreadable = pkilint_findings(&[("noise".to_owned(), "noise".to_owned())]);
    assert!(unreadable.iter().any(|finding| finding.severity == "FATAL"), "{unreadable:#?}");
}

#[test]
fn requests_keys_and_stores_are_read() {
    let openssl = openssl();
    openssl.chain(LEAF);
    let read = |name: &str| fs::read_to_string(openssl.0.path().join(name)).expect(name);
    assert!(openssl_request_text(&read("issuing.csr")).contains("CN=issuing"));
    assert!(openssl_key_text(&read("root.key")).contains("NIST CURVE: P-256"));
    let export =
        ["pkcs12", "-export", "-in", "root.pem", "-inkey", "root.key", "-passout", "pass:open", "-out", "root.p12"];
    openssl.run(&export);
    let store = fs::read(openssl.0.path().join("root.p12")).expect("a store");
    assert!(openssl_opens_pkcs12(&store, "open").contains("BEGIN PRIVATE KEY"));
}

#[test]
#[should_panic(expected = "openssl pkcs12 refuses")]
fn a_wrong_password_is_refused() {
    let openssl = openssl();
    openssl.certificate("root", "root", CA);
    let export =
        ["pkcs12", "-export", "-in", "root.pem", "-inkey", "root.key", "-passout", "pass:open", "-out", "root.p12"];
    openssl.run(&export);
    openssl_opens_pkcs12(&fs::read(openssl.0.path().join("root.p12")).expect("a store"), "shut");
}
