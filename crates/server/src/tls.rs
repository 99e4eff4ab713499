//! TLS from files: one certificate chain and its key, read again when they change.

use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use rustls::ServerConfig;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use crate::config::TlsFiles;
use crate::files::{FileError, failed, read_private};

/// How often the files are looked at.
const RELOAD_INTERVAL: Duration = Duration::from_secs(30);

#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error(transparent)]
    File(#[from] FileError),
    #[error("{0} holds no certificate in PEM")]
    NoCertificate(String),
    #[error("{0} holds no private key in PEM")]
    NoPrivateKey(String),
    #[error("the TLS certificate and key cannot be used together: {0}")]
    Unusable(#[from] rustls::Error),
}

/// The certificate shown to clients. Cheap to clone.
#[derive(Clone)]
pub struct ServerCertificate(Arc<Inner>);

struct Inner {
    files: TlsFiles,
    provider: Arc<CryptoProvider>,
    current: RwLock<Loaded>,
}

struct Loaded {
    key: Arc<CertifiedKey>,
    /// When the two files were last written, as far as the file system says.
    written: [Option<SystemTime>; 2],
}

impl ServerCertificate {
    pub fn load(files: TlsFiles) -> Result<Self, TlsError> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let current = RwLock::new(load(&files, &provider)?);
        Ok(Self(Arc::new(Inner { files, provider, current })))
    }

    /// TLS 1.2 and 1.3, HTTP/1.1, no early data (RFC 8446 §8: it can be replayed).
    pub fn server_config(&self) -> Result<Arc<ServerConfig>, TlsError> {
        let builder = ServerConfig::builder_with_provider(Arc::clone(&self.0.provider))
            .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])?;
        let mut config =
            builder.with_no_client_auth().with_cert_resolver(Arc::clone(&self.0) as Arc<dyn ResolvesServerCert>);
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        config.max_early_data_size = 0;
        Ok(Arc::new(config))
    }

    /// Looks at the files from time to time, for the life of the server.
    pub async fn keep_fresh(self) {
        let mut interval = tokio::time::interval(RELOAD_INTERVAL);
        loop {
            interval.tick().await;
            self.refresh();
        }
    }

    /// Takes over changed files. If they cannot be used, the old certificate stays, and the log says why.
    pub fn refresh(&self) {
        let written = written(&self.0.files);
        if self.0.current.read().unwrap_or_else(PoisonError::into_inner).written == written {
            return;
        }
        match load(&self.0.files, &self.0.provider) {
            Ok(loaded) => {
                *self.0.current.write().unwrap_or_else(PoisonError::into_inner) = loaded;
                tracing::info!(file = %self.0.files.certificate.display(), "The TLS certificate was read again.");
            }
            Err(error) => tracing::error!(%error, "The changed TLS files cannot be used; the old certificate stays."),
        }
    }
}

impl ResolvesServerCert for Inner {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner).key))
    }
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ServerCertificate").field("files", &self.files).finish_non_exhaustive()
    }
}

fn load(files: &TlsFiles, provider: &CryptoProvider) -> Result<Loaded, TlsError> {
    // Asked before reading: a file that changes in between is read again the next time.
    let written = written(files);
    let certificate = std::fs::read(&files.certificate)
        .map_err(|source| failed("the TLS certificate file", &files.certificate, source))?;
    let chain = CertificateDer::pem_slice_iter(&certificate).collect::<Result<Vec<_>, _>>();
    let chain = chain.ok().filter(|chain| !chain.is_empty());
    let chain = chain.ok_or_else(|| TlsError::NoCertificate(files.certificate.display().to_string()))?;
    let private_key = zeroize::Zeroizing::new(read_private("the TLS private key file", &files.private_key)?);
    let private_key = PrivateKeyDer::from_pem_slice(&private_key)
        .map_err(|_| TlsError::NoPrivateKey(files.private_key.display().to_string()))?;
    let key = Arc::new(CertifiedKey::from_der(chain, private_key, provider)?);
    Ok(Loaded { key, written })
}

fn written(files: &TlsFiles) -> [Option<SystemTime>; 2] {
    let of = |path: &Path| std::fs::metadata(path).and_then(|metadata| metadata.modified()).ok();
    [of(&files.certificate), of(&files.private_key)]
}

#[cfg(test)]
mod tests {
    use std::fs::{File, Permissions};
    use std::os::unix::fs::PermissionsExt as _;
    use std::process::Command;

    use rustls::pki_types::ServerName;
    use rustls::{ClientConfig, RootCertStore};
    use tokio::net::{TcpListener, TcpStream};
    use tokio_rustls::{TlsAcceptor, TlsConnector};

    use super::*;

    fn files(directory: &Path) -> TlsFiles {
        TlsFiles { certificate: directory.join("cert.pem"), private_key: directory.join("key.pem") }
    }

    /// A self-signed certificate for localhost, in place of what is there, with a time of writing of its own.
    fn write_certificate(files: &TlsFiles, written: u64) {
        let extensions = "[req]\ndistinguished_name=dn\nx509_extensions=v3\n[dn]\n[v3]\n\
            basicConstraints=critical,CA:FALSE\nsubjectAltName=DNS:localhost\n";
        let settings = files.certificate.with_extension("cnf");
        std::fs::write(&settings, extensions).unwrap();
        let made = Command::new("openssl")
            .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"])
            .args(["-subj", "/CN=localhost", "-config"])
            .arg(&settings)
            .arg("-keyout")
            .arg(&files.private_key)
            .arg("-out")
            .arg(&files.certificate)
            .output()
            .expect("the openssl program is needed for this test");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        std::fs::set_permissions(&files.private_key, Permissions::from_mode(0o600)).unwrap();
        touch(files, written);
    }

    fn touch(files: &TlsFiles, written: u64) {
        let at = std::time::UNIX_EPOCH + Duration::from_secs(written);
        File::options().write(true).open(&files.certificate).unwrap().set_modified(at).unwrap();
    }

    fn chain(files: &TlsFiles) -> CertificateDer<'static> {
        CertificateDer::from_pem_file(&files.certificate).unwrap()
    }

    /// Whether a client that trusts only this certificate gets through.
    async fn trusts(certificate: &ServerCertificate, root: CertificateDer<'static>) -> bool {
        let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = tcp.local_addr().unwrap();
        let acceptor = TlsAcceptor::from(certificate.server_config().unwrap());
        let server = tokio::spawn(async move { acceptor.accept(tcp.accept().await.unwrap().0).await.is_ok() });
        let mut roots = RootCertStore::empty();
        roots.add(root).unwrap();
        let client = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()));
        let client = client.with_safe_default_protocol_versions().unwrap().with_root_certificates(roots);
        let connector = TlsConnector::from(Arc::new(client.with_no_client_auth()));
        let name = ServerName::try_from("localhost").unwrap();
        let connected = connector.connect(name, TcpStream::connect(address).await.unwrap()).await.is_ok();
        server.await.unwrap();
        connected
    }

    #[tokio::test]
    async fn changed_files_are_taken_over_and_broken_ones_are_not() {
        let dir = tempfile::tempdir().unwrap();
        let files = files(dir.path());
        write_certificate(&files, 1_000);
        let certificate = ServerCertificate::load(files.clone()).unwrap();
        let first = chain(&files);
        assert!(trusts(&certificate, first.clone()).await);

        write_certificate(&files, 2_000);
        let second = chain(&files);
        assert!(!trusts(&certificate, second.clone()).await, "not looked at yet");
        certificate.refresh();
        assert!(trusts(&certificate, second.clone()).await);
        assert!(!trusts(&certificate, first).await);

        std::fs::write(&files.certificate, "junk").unwrap();
        touch(&files, 3_000);
        certificate.refresh();
        assert!(trusts(&certificate, second).await, "the old certificate stays");
    }

    #[test]
    fn unusable_files_are_refused_by_name() {
        let dir = tempfile::tempdir().unwrap();
        let good = files(dir.path());
        write_certificate(&good, 1_000);
        let refusal = |files: &TlsFiles| ServerCertificate::load(files.clone()).err().unwrap().to_string();

        let missing = TlsFiles { certificate: dir.path().join("missing.pem"), ..good.clone() };
        assert!(refusal(&missing).contains("missing.pem"));
        let swapped = TlsFiles { certificate: good.private_key.clone(), private_key: good.private_key.clone() };
        assert!(refusal(&swapped).contains("holds no certificate"));

        let other = tempfile::tempdir().unwrap();
        let others = files(other.path());
        write_certificate(&others, 1_000);
        let mixed = TlsFiles { certificate: good.certificate.clone(), private_key: others.private_key };
        assert!(refusal(&mixed).contains("cannot be used together"));

        std::fs::set_permissions(&good.private_key, Permissions::from_mode(0o644)).unwrap();
        assert!(refusal(&good).contains("chmod 600"));
    }
}
