//! Who the quickstart speaks as: a machine identity for everyday calls, the administrator where something is created.

use std::path::{Path, PathBuf};

use chancery_cli::files::{self, Access, Existing};
use chancery_cli::output::{list_at, text_at};
use chancery_cli::{CliError, Client, Credentials};
use chancery_wire::identity::{CreateClientSecret, CreateIdentity};
use chancery_wire::words::Role;
use uuid::Uuid;

use super::{configuration, step};
use crate::bootstrap;
use crate::failure::Failure;

const CREDENTIALS_FILE: &str = "credentials.json";
const IDENTITY: &str = "quickstart";

/// The sessions of one run.
pub struct Accounts {
    /// A session of the machine identity: may request and renew.
    pub machine: Client,
    pub credentials: Credentials,
    server: Client,
    administrator: Option<Client>,
}

pub fn credentials_file(data_dir: &Path) -> PathBuf {
    data_dir.join(CREDENTIALS_FILE)
}

/// What an earlier run wrote, if there was one.
pub fn load(data_dir: &Path) -> Result<Option<Credentials>, Failure> {
    let path = credentials_file(data_dir);
    if path.exists() { Ok(Some(Credentials::load(&path)?)) } else { Ok(None) }
}

impl Accounts {
    /// Logs the machine identity in, made first if there is none.
    pub async fn prepare(server: Client, data_dir: &Path, domain: &str) -> Result<Self, Failure> {
        let path = credentials_file(data_dir);
        let shown = path.display().to_string();
        if let Some(mut credentials) = load(data_dir)? {
            if credentials.site_url != server.site_url() {
                credentials.site_url = server.site_url().to_owned();
                save(&path, &credentials)?;
            }
            let machine = server.login(&credentials.client_id, &credentials.client_secret).await?;
            step("credentials", &format!("found   {shown}"))?;
            return Ok(Self { machine, credentials, server, administrator: None });
        }
        let password_file = absolute(&bootstrap::password_file(data_dir));
        let administrator = log_in_administrator(&server, &password_file).await?;
        let (client_id, client_secret, project_id) = machine_identity(&administrator).await?;
        let credentials = Credentials {
            site_url: server.site_url().to_owned(),
            client_id: client_id.to_string(),
            client_secret,
            admin_email: bootstrap::ADMINISTRATOR.to_owned(),
            admin_password_file: password_file.display().to_string(),
            project_id: project_id.to_string(),
            profile: configuration::PROFILE.to_owned(),
            self_signed_profile: configuration::SELF_SIGNED_PROFILE.to_owned(),
            domain: domain.to_owned(),
        };
        let machine = server.login(&credentials.client_id, &credentials.client_secret).await?;
        save(&path, &credentials)?;
        step(
            "administrator",
            &format!("created {}, password in {}", credentials.admin_email, credentials.admin_password_file),
        )?;
        step("machine identity", &format!("created {IDENTITY}, its secret in {shown}"))?;
        Ok(Self { machine, credentials, server, administrator: Some(administrator) })
    }

    /// A session of the administrator, opened when something has to be created.
    pub async fn administrator(&mut self) -> Result<Client, Failure> {
        if let Some(client) = &self.administrator {
            return Ok(client.clone());
        }
        let client = log_in_administrator(&self.server, Path::new(&self.credentials.admin_password_file)).await?;
        self.administrator = Some(client.clone());
        Ok(client)
    }
}

async fn log_in_administrator(server: &Client, password_file: &Path) -> Result<Client, Failure> {
    let password = files::read_text(password_file).map_err(|error| {
        Failure::failed(format!("{error}. The quickstart needs the administrator's password to create what is missing"))
    })?;
    Ok(server.login_user(bootstrap::ADMINISTRATOR, password.lines().next().unwrap_or_default()).await?)
}

/// The identity with a fresh secret. One left over by a run that broke off before it wrote the secret down is taken again.
async fn machine_identity(administrator: &Client) -> Result<(Uuid, String, Uuid), Failure> {
    let existing = administrator.get("/api/v1/identities?limit=100").await?.success()?;
    let existing = list_at(&existing, "/identities").find(|one| text_at(one, "/identity/name") == IDENTITY).cloned();
    let (identity, has_login, project) = match existing {
        Some(one) => {
            let id = parsed(administrator, &text_at(&one, "/identity/id"))?;
            let project = parsed(administrator, &text_at(&one, "/identity/projectId"))?;
            (id, list_at(&one, "/identity/authMethods").next().is_some(), project)
        }
        None => {
            let new = CreateIdentity {
                name: IDENTITY.to_owned(),
                organization_id: None,
                project_id: None,
                role: Some(Role::Operator),
                has_delete_protection: None,
                metadata: None,
            };
            let identity = administrator.create_identity(&new).await?;
            (identity.id, false, identity.project_id)
        }
    };
    let client_id = if has_login {
        let path = format!("/api/v1/auth/universal-auth/identities/{identity}");
        let settings = administrator.get(&path).await?.success()?;
        parsed(administrator, &text_at(&settings, "/identityUniversalAuth/clientId"))?
    } else {
        administrator.attach_universal_auth(identity).await?.client_id
    };
    let new = CreateClientSecret { description: "made by the quickstart".to_owned(), num_uses_limit: 0, ttl: 0 };
    let created = administrator.create_client_secret(identity, &new).await?;
    Ok((client_id, created.client_secret, project))
}

fn parsed(server: &Client, id: &str) -> Result<Uuid, CliError> {
    id.parse().map_err(|_| CliError::Answer {
        server: server.site_url().to_owned(),
        reason: format!("\"{id}\" is not an id"),
    })
}

fn save(path: &Path, credentials: &Credentials) -> Result<(), Failure> {
    let mut text = serde_json::to_vec_pretty(credentials)
        .map_err(|error| Failure::failed(format!("The credentials cannot be written: {error}")))?;
    text.push(b'\n');
    Ok(files::write(path, &text, Access::Private, Existing::Replace)?)
}

/// The file is read from elsewhere, so its path must not depend on where this program was started.
fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}
