//! The last page of the quickstart: what is where, and the same by hand. The commands are complete: they can be pasted
//! into a shell, in order, and a test does just that. No secret stands in them or in a process list; each is read from
//! its file or from standard input.

use std::net::SocketAddr;
use std::path::Path;

use super::certificates::Outcome;
use super::configuration::Configuration;
use super::{Setting, accounts, say, shell_quoted};
use crate::failure::Failure;

/// Where the server is found, or will be.
pub struct Served {
    pub address: SocketAddr,
    pub repository_address: Option<SocketAddr>,
    /// Where a browser goes; with a link that signs in once, for a quarter of an hour, where there can be one. Absent when
    /// the server stops now.
    pub web_ui: Option<WebUi>,
}

pub struct WebUi {
    pub url: String,
    pub signs_in: bool,
}

pub fn print(
    setting: &Setting,
    configuration: &Configuration,
    outcome: &Outcome,
    served: &Served,
) -> Result<(), Failure> {
    let credentials = &setting.accounts.credentials;
    let (root, chain, certificate) = (
        shell_quoted(&outcome.root_file),
        shell_quoted(&host(setting, outcome, "chain.pem")),
        shell_quoted(&host(setting, outcome, "certificate.pem")),
    );
    say(&format!(
        "\nCertificates, keys and the root to trust are in {}\nTry: openssl verify -x509_strict -CAfile {root} -untrusted {chain} {certificate}\n",
        shell_quoted(&outcome.directory),
    ))?;
    match &served.web_ui {
        Some(WebUi { url, signs_in: true }) => {
            say(&format!("Open the Web UI: {url}\n(the link signs you in once, within 15 minutes)\n"))?;
        }
        Some(WebUi { url, .. }) => say(&format!("Open the Web UI: {url}\n"))?,
        None => {}
    }
    let program = program();
    if served.web_ui.is_none() {
        let data_dir = shell_quoted(&setting.data_dir);
        say(&format!(
            "The server stops now. Start it again with:\n\n  {program} serve --data-dir {data_dir} --listen {}{}\n",
            served.address,
            served.repository_options(setting.repository_url.as_deref()),
        ))?;
    }
    if let Some(url) = &setting.repository_url {
        let ca = configuration.issuing_ca_id;
        say(&format!(
            "With the server running, whether a certificate was revoked, by CRL and by OCSP:\n\n  \
             openssl verify -crl_check -crl_download -CAfile {root} -untrusted {chain} {certificate}\n  \
             openssl ocsp -issuer {chain} -CAfile {root} -cert {certificate} -url {url}/api/v1/cert-manager/ocsp/{ca}\n"
        ))?;
    }
    say("The same by hand, with the server running:\n")?;
    let credentials_file = shell_quoted(&absolute(&accounts::credentials_file(&setting.data_dir)));
    let page = Page {
        url: &credentials.site_url,
        credentials_file: &credentials_file,
        admin_email: &credentials.admin_email,
        password_file: &shell_quoted(Path::new(&credentials.admin_password_file)),
        domain: &setting.domain,
        configuration,
    };
    say(&page.commands())?;
    let (profile, domain) = (&credentials.profile, &setting.domain);
    say(&format!(
        "Or with the commands of this program:\n\n  \
         {program} cert request --credentials {credentials_file} --profile {profile} --common-name www.{domain}\n  \
         {program} cert list --credentials {credentials_file}\n  \
         {program} --help\n"
    ))
}

impl Served {
    fn repository_options(&self, url: Option<&str>) -> String {
        let listen = self.repository_address.map(|address| format!(" --repository-listen {address}"));
        let url = url.map(|url| format!(" --repository-url {url}"));
        [listen, url].into_iter().flatten().collect()
    }
}

/// This program as it was called.
fn program() -> String {
    std::env::args_os().next().map_or_else(|| "chancery".to_owned(), |path| shell_quoted(Path::new(&path)))
}

fn host(setting: &Setting, outcome: &Outcome, file: &str) -> std::path::PathBuf {
    outcome.directory.join(format!("host.{}", setting.domain)).join(file)
}

fn absolute(path: &Path) -> std::path::PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

struct Page<'a> {
    url: &'a str,
    credentials_file: &'a str,
    admin_email: &'a str,
    password_file: &'a str,
    domain: &'a str,
    configuration: &'a Configuration,
}

impl Page<'_> {
    /// Between the two marker lines stands nothing but shell.
    fn commands(&self) -> String {
        let Self { url, credentials_file, admin_email, password_file, domain, configuration } = self;
        let Configuration { issuing_ca_id, profile_id, self_signed_profile_id, .. } = configuration;
        format!(
            r#"# ---- begin commands ----
umask 077
URL={url}
JSON='Content-Type: application/json'
field() {{ sed -n 's/.*"'"$1"'" *: *"\([^"]*\)".*/\1/p'; }}

# log in as the machine identity; the credentials file is the body of the request
TOKEN=$(curl -sS --fail-with-body -H "$JSON" --data @{credentials_file} "$URL/api/v1/auth/universal-auth/login" | field accessToken)

# a certificate and its key, made by the server
curl -sS --fail-with-body -H "Authorization: Bearer $TOKEN" -H "$JSON" "$URL/api/v1/cert-manager/certificates" -d '{{
  "profileId": "{profile_id}",
  "attributes": {{"commonName": "www.{domain}", "ttl": "90d"}}
}}' > issued.json
CERTIFICATE=$(field certificateId < issued.json)

# a certificate for a request of your own
openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout own.key -subj /CN=own.{domain} -out own.csr
CSR=$(awk '{{printf "%s\\n", $0}}' own.csr)
curl -sS --fail-with-body -H "Authorization: Bearer $TOKEN" -H "$JSON" "$URL/api/v1/cert-manager/certificates" -d '{{
  "profileId": "{profile_id}", "csr": "'"$CSR"'", "attributes": {{"ttl": "90d"}}
}}'

# a self-signed one
curl -sS --fail-with-body -H "Authorization: Bearer $TOKEN" -H "$JSON" "$URL/api/v1/cert-manager/certificates" -d '{{
  "profileId": "{self_signed_profile_id}", "attributes": {{"commonName": "lab.{domain}"}}
}}'

# why a request would be refused, without making it
curl -sS --fail-with-body -H "Authorization: Bearer $TOKEN" -H "$JSON" "$URL/api/v1/cert-manager/certificates/evaluate" -d '{{
  "profileId": "{profile_id}", "attributes": {{"commonName": "www.elsewhere.test", "ttl": "3y"}}
}}'

# renew the first, and fetch it with its key and chain
curl -sS --fail-with-body -X POST -H "Authorization: Bearer $TOKEN" "$URL/api/v1/cert-manager/certificates/$CERTIFICATE/renew" > renewed.json
curl -sS --fail-with-body -H "Authorization: Bearer $TOKEN" "$URL/api/v1/cert-manager/certificates/$(field certificateId < renewed.json)/bundle"

# as the administrator: a template and a profile of your own, one request each
ADMIN=$(printf '{{"email": "{admin_email}", "password": "%s"}}' "$(cat {password_file})" | curl -sS --fail-with-body -H "$JSON" --data @- "$URL/api/v1/auth/login" | field accessToken)
TEMPLATE=$(curl -sS --fail-with-body -H "Authorization: Bearer $ADMIN" -H "$JSON" "$URL/api/v1/cert-manager/certificate-policies" -d '{{
  "name": "short-lived", "preset": "tls-server", "validity": {{"max": "7d"}},
  "subject": [{{"type": "common_name", "allowed": ["*.dev.{domain}"]}}], "sans": [{{"type": "dns_name", "allowed": ["*.dev.{domain}"]}}]
}}' | sed 's/.*"certificatePolicy" *: *//' | field id)
curl -sS --fail-with-body -H "Authorization: Bearer $ADMIN" -H "$JSON" "$URL/api/v1/cert-manager/certificate-profiles" -d '{{
  "slug": "short-lived", "certificatePolicyId": "'"$TEMPLATE"'", "caId": "{issuing_ca_id}", "defaults": {{"ttlDays": 7}}
}}'
# ---- end commands ----
"#
        )
    }
}
