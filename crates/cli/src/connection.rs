//! Which server, and as whom: flags first, then the environment, then a credentials file.

use std::path::{Path, PathBuf};

use clap::Args;
use serde::{Deserialize, Serialize};

use crate::client::Client;
use crate::error::CliError;
use crate::files;

/// Looked at when nothing else says who calls: what the quickstart writes, seen from where it was started.
const DEFAULT_CREDENTIALS: &str = "chancery-data/credentials.json";
const DEFAULT_SERVER: &str = "http://127.0.0.1:8200";

/// Flags that every operator command takes.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Connection")]
pub struct ConnectionArguments {
    /// Address of the server, such as https://pki.example.com [default: the credentials file's, then http://127.0.0.1:8200]
    #[arg(long, global = true, env = "CHANCERY_URL", value_name = "URL")]
    pub server: Option<String>,
    /// Client id of a machine identity
    #[arg(long, global = true, env = "CHANCERY_CLIENT_ID", value_name = "UUID")]
    pub client_id: Option<String>,
    /// Client secret of the machine identity; better kept in the environment or a credentials file
    #[arg(long, global = true, env = "CHANCERY_CLIENT_SECRET", hide_env_values = true, value_name = "SECRET")]
    pub client_secret: Option<String>,
    /// JSON file with siteUrl, clientId and clientSecret, as the quickstart writes it
    /// [default: ./chancery-data/credentials.json if it is there]
    #[arg(long, global = true, env = "CHANCERY_CREDENTIALS", value_name = "FILE")]
    pub credentials: Option<PathBuf>,
    /// Log in as the administrator that the credentials file names, for commands that change the configuration
    #[arg(long, global = true)]
    pub as_admin: bool,
    /// Log in as a person with this e-mail address
    #[arg(long, global = true, env = "CHANCERY_EMAIL", value_name = "EMAIL", requires = "login_password_file")]
    pub email: Option<String>,
    /// File whose first line is that person's password
    #[arg(long, global = true, env = "CHANCERY_LOGIN_PASSWORD_FILE", value_name = "FILE")]
    pub login_password_file: Option<PathBuf>,
    /// PEM file with the root certificates to trust for HTTPS in place of the system's
    #[arg(long, global = true, env = "CHANCERY_CA_CERTIFICATE", value_name = "FILE")]
    pub ca_certificate: Option<PathBuf>,
    /// Print JSON for programs in place of tables for people
    #[arg(long, global = true)]
    pub json: bool,
}

/// What the quickstart leaves behind for whoever calls next. The file holds a secret: mode 0600.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Credentials {
    #[serde(default)]
    pub site_url: String,
    #[serde(default)]
    pub client_id: String,
    #[serde(default)]
    pub client_secret: String,
    #[serde(default)]
    pub admin_email: String,
    #[serde(default)]
    pub admin_password_file: String,
    #[serde(default)]
    pub project_id: String,
    /// Slug of the CA-issued profile.
    #[serde(default)]
    pub profile: String,
    #[serde(default)]
    pub self_signed_profile: String,
    /// The domain below which the quickstart's template allows names.
    #[serde(default)]
    pub domain: String,
}

impl Credentials {
    pub fn load(path: &Path) -> Result<Self, CliError> {
        let text = files::read_text(path)?;
        serde_json::from_str(&text)
            .map_err(|error| CliError::Usage(format!("{} is not a credentials file: {error}", path.display())))
    }
}

/// Who calls.
enum Caller {
    Machine { client_id: String, client_secret: String },
    Person { email: String, password_file: PathBuf },
}

impl ConnectionArguments {
    /// Finds out which server and who calls, and logs in.
    pub async fn connect(&self) -> Result<Client, CliError> {
        let file = self.load_credentials()?;
        let server =
            self.server.clone().or_else(|| Some(file.as_ref()?.site_url.clone()).filter(|url| !url.is_empty()));
        let roots = self.ca_certificate.as_deref().map(files::read_text).transpose()?;
        let client = Client::new(server.as_deref().unwrap_or(DEFAULT_SERVER), roots.as_deref())?;
        match self.caller(file)? {
            Caller::Machine { client_id, client_secret } => client.login(&client_id, &client_secret).await,
            Caller::Person { email, password_file } => {
                let password = files::read_text(&password_file)?;
                client.login_user(&email, password.lines().next().unwrap_or_default()).await
            }
        }
    }

    fn load_credentials(&self) -> Result<Option<Credentials>, CliError> {
        match &self.credentials {
            Some(path) => Credentials::load(path).map(Some),
            None if Path::new(DEFAULT_CREDENTIALS).is_file() => {
                Credentials::load(Path::new(DEFAULT_CREDENTIALS)).map(Some)
            }
            None => Ok(None),
        }
    }

    fn caller(&self, file: Option<Credentials>) -> Result<Caller, CliError> {
        if let (Some(email), Some(password_file)) = (&self.email, &self.login_password_file) {
            return Ok(Caller::Person { email: email.clone(), password_file: password_file.clone() });
        }
        if self.as_admin {
            return match file {
                Some(file) if !file.admin_email.is_empty() && !file.admin_password_file.is_empty() => {
                    Ok(Caller::Person { email: file.admin_email, password_file: file.admin_password_file.into() })
                }
                _ => Err(CliError::Usage(
                    "--as-admin needs a credentials file that names adminEmail and adminPasswordFile; give --credentials, \
                     or --email with --login-password-file"
                        .to_owned(),
                )),
            };
        }
        match (&self.client_id, &self.client_secret, file) {
            (Some(id), Some(secret), _) => Ok(Caller::Machine { client_id: id.clone(), client_secret: secret.clone() }),
            (None, None, Some(file)) if !file.client_id.is_empty() => {
                Ok(Caller::Machine { client_id: file.client_id, client_secret: file.client_secret })
            }
            (Some(_), None, _) => Err(CliError::Usage("The client secret is missing; set CHANCERY_CLIENT_SECRET".to_owned())),
            (None, Some(_), _) => Err(CliError::Usage("The client id is missing; set CHANCERY_CLIENT_ID".to_owned())),
            _ => Err(CliError::Usage(
                "Nothing says who calls; give --credentials FILE, set CHANCERY_CLIENT_ID and CHANCERY_CLIENT_SECRET, or \
                 use --email with --login-password-file"
                    .to_owned(),
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(caller: Result<Caller, CliError>) -> Result<String, u8> {
        match caller {
            Ok(Caller::Machine { client_id, .. }) => Ok(client_id),
            Ok(Caller::Person { email, .. }) => Ok(email),
            Err(error) => Err(error.exit_code()),
        }
    }

    #[test]
    fn flags_come_before_the_credentials_file() {
        let file = Credentials {
            client_id: "from-file".into(),
            client_secret: "s".into(),
            admin_email: "admin@file".into(),
            admin_password_file: "p".into(),
            ..Credentials::default()
        };
        let check = |arguments: ConnectionArguments, file: Option<&Credentials>, expected: Result<&str, u8>| {
            assert_eq!(named(arguments.caller(file.cloned())), expected.map(str::to_owned));
        };
        let machine = |id: Option<&str>, secret: Option<&str>| ConnectionArguments {
            client_id: id.map(str::to_owned),
            client_secret: secret.map(str::to_owned),
            ..ConnectionArguments::default()
        };
        check(machine(None, None), Some(&file), Ok("from-file"));
        check(machine(Some("flag"), Some("s")), Some(&file), Ok("flag"));
        check(machine(Some("flag"), None), Some(&file), Err(2));
        check(machine(None, Some("s")), None, Err(2));
        check(machine(None, None), None, Err(2));
        let admin = ConnectionArguments { as_admin: true, ..ConnectionArguments::default() };
        check(admin.clone(), Some(&file), Ok("admin@file"));
        check(admin, None, Err(2));
        let person = ConnectionArguments {
            email: Some("me@acme.com".into()),
            login_password_file: Some("p".into()),
            as_admin: true,
            ..ConnectionArguments::default()
        };
        check(person, Some(&file), Ok("me@acme.com"));
    }

    #[test]
    fn a_credentials_file_keeps_the_names_other_programs_read() {
        let text = serde_json::to_string(&Credentials::default()).unwrap();
        for name in [
            "siteUrl",
            "clientId",
            "clientSecret",
            "adminEmail",
            "adminPasswordFile",
            "projectId",
            "profile",
            "selfSignedProfile",
            "domain",
        ] {
            assert!(text.contains(&format!("\"{name}\"")), "{name}");
        }
    }
}
