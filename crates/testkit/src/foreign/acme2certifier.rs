//! acme2certifier: a second ACME server of other people's making, with renewal information (RFC 9773). It believes every
//! challenge, since Pebble is there to look at those.

use std::net::SocketAddr;
use std::process::Command;

use tempfile::TempDir;

use super::{Authority, Loopback, Program, folder, free_address, launched, must};
use crate::judge::python_program;

const ADVICE: &str = "run scripts/test once: it makes target/test-tools with acme2certifier in it";

#[derive(Clone, Copy, Debug)]
pub struct Acme2certifierOptions {
    /// Days that its certificates live.
    pub validity_days: u32,
    /// The suggested window begins after this part of a certificate's life.
    pub renewal_threshold_percent: u8,
    /// Every certificate is to be renewed at once.
    pub renew_now: bool,
    /// `Retry-After` of renewal information.
    pub retry_after_seconds: u32,
}

impl Default for Acme2certifierOptions {
    fn default() -> Self {
        Self { validity_days: 90, renewal_threshold_percent: 85, renew_now: false, retry_after_seconds: 86_400 }
    }
}

pub struct Acme2certifier {
    program: Program,
    address: SocketAddr,
    tls: Loopback,
    root_pem: String,
    folder: TempDir,
}

impl Acme2certifier {
    pub async fn start(options: Acme2certifierOptions) -> Self {
        launched("acme2certifier", || Self::launch(options)).await
    }

    async fn launch(options: Acme2certifierOptions) -> Result<Self, String> {
        let (folder, tls, address) = (folder(), Loopback::make(), free_address());
        let path = folder.path();
        tls.write(path);
        let authority = Authority::make("acme2certifier root");
        must("its CA", std::fs::write(path.join("ca.pem"), &authority.certificate_pem));
        must("its CA's key", std::fs::write(path.join("ca-key.pem"), authority.key_pem()));
        must("its certificates", std::fs::create_dir(path.join("issued")));
        must("its script", std::fs::write(path.join("serve.py"), include_str!("acme2certifier.py")));
        write_configuration(path, options);
        let mut command = Command::new(python_program());
        command.arg("serve.py").arg(address.port().to_string());
        command.env("ACME_SRV_CONFIGFILE", path.join("acme_srv.cfg")).env("ACME2CERTIFIER_BASE_DIR", path);
        command.env("ACME2CERTIFIER_I_KNOW_THE_RISK", "1");
        let mut program = Program::start(command, path, ADVICE);
        program.listening(address).await?;
        Ok(Self { program, address, tls, root_pem: authority.certificate_pem, folder })
    }

    #[must_use]
    pub fn directory_url(&self) -> String {
        format!("https://{}/directory", self.address)
    }

    /// Who vouches for its TLS certificate.
    #[must_use]
    pub fn ca_pem(&self) -> &str {
        &self.tls.ca_pem
    }

    /// The CA that signs, which is its own root.
    #[must_use]
    pub fn root_pem(&self) -> &str {
        &self.root_pem
    }

    /// Another advice from now on: it reads its configuration at every call.
    pub fn advise(&self, options: Acme2certifierOptions) {
        write_configuration(self.folder.path(), options);
    }

    /// What it has said so far.
    #[must_use]
    pub fn log(&self) -> String {
        self.program.log()
    }
}

fn write_configuration(folder: &std::path::Path, options: Acme2certifierOptions) {
    let Acme2certifierOptions { validity_days, renewal_threshold_percent, renew_now, retry_after_seconds } = options;
    let at = folder.display();
    let text = format!(
        "[DEFAULT]\ndebug: True\n\n\
         [Nonce]\nnonce_check_disable: False\n\n\
         [CAhandler]\nhandler_module: acme2certifier.cahandlers.openssl_ca_handler\nissuing_ca_key: {at}/ca-key.pem\n\
         issuing_ca_cert: {at}/ca.pem\nissuing_ca_crl: {at}/crl.pem\ncert_validity_days: {validity_days}\n\
         ca_cert_chain_list: []\ncert_save_path: {at}/issued\n\n\
         [DBhandler]\nhandler_module: acme2certifier.dbhandlers.wsgi_handler\ndbfile: {at}/acme.db\n\n\
         [Certificate]\nrevocation_reason_check_disable: False\n\n\
         [Challenge]\nchallenge_validation_disable: True\n\n\
         [Renewalinfo]\nrenewalthreshold_pctg: {renewal_threshold_percent}\nretry_after_timeout: {retry_after_seconds}\n\
         renewal_force: {renew_now}\n\n\
         [Order]\ntnauthlist_support: False\n\n\
         [Directory]\nurl_prefix:\n",
        renew_now = if renew_now { "True" } else { "False" },
    );
    must("its configuration", std::fs::write(folder.join("acme_srv.cfg"), text));
}
