//! `chancery config`: what is in force, from file, environment and defaults together.

use std::path::{Path, PathBuf};

use chancery_server::Config;
use clap::{Args, Subcommand};

use crate::failure::{Failure, causes};

#[derive(Debug, Args)]
pub struct ConfigArguments {
    #[command(subcommand)]
    command: ConfigCommand,
}

#[derive(Debug, Subcommand)]
enum ConfigCommand {
    /// Print every key with its value in force and its meaning, as TOML; secrets are masked
    Print {
        /// Configuration file (TOML)
        #[arg(long, value_name = "FILE", env = "CHANCERY_CONFIG")]
        config: Option<PathBuf>,
    },
}

/// Flags of the commands that run a server. Each wins over the environment, which wins over the file.
#[derive(Debug, Default, Args)]
pub struct Overrides {
    /// Folder of the embedded database and of the key-encryption key [default: ./chancery-data]
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// Address and port to serve on; port 0 takes any free one [default: 127.0.0.1:8200]
    #[arg(long, value_name = "ADDRESS")]
    pub listen: Option<String>,
    /// Address and port to serve CRLs, OCSP and CA certificates on, plain HTTP and nothing else [default: none]
    #[arg(long, value_name = "ADDRESS")]
    pub repository_listen: Option<String>,
    /// Where anyone fetches CRLs, OCSP and CA certificates; written into certificates [default: none]
    #[arg(long, value_name = "URL")]
    pub repository_url: Option<String>,
}

impl Overrides {
    /// The configuration with these flags on top. `defaults` are for keys that nothing else sets.
    pub fn load(&self, file: Option<&Path>, defaults: &[(&str, &str)]) -> Result<Config, Failure> {
        let owned = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let mut settings: Vec<(String, String)> = Vec::new();
        if file.is_none() {
            settings.extend(defaults.iter().map(|(name, value)| owned(name, value)));
        }
        settings.extend(environment());
        if let Some(path) = &self.data_dir {
            let text = path.to_str().ok_or_else(|| Failure::usage("The data directory's name is not UTF-8 text"))?;
            settings.push(owned("CHANCERY_DATA_DIR", text));
        }
        for (name, value) in [
            ("CHANCERY_LISTEN", &self.listen),
            ("CHANCERY_REPOSITORY_LISTEN", &self.repository_listen),
            ("CHANCERY_REPOSITORY_URL", &self.repository_url),
        ] {
            settings.extend(value.iter().map(|value| owned(name, value)));
        }
        load(file, settings)
    }
}

pub fn run(arguments: &ConfigArguments) -> Result<(), Failure> {
    let ConfigCommand::Print { config } = &arguments.command;
    let config = load(config.as_deref(), environment())?;
    Ok(chancery_cli::output::print_bytes(config.render().as_bytes())?)
}

fn load(file: Option<&Path>, settings: impl IntoIterator<Item = (String, String)>) -> Result<Config, Failure> {
    Config::load(file, settings)
        .map_err(|error| Failure::usage(format!("The configuration is refused: {}", causes(&error))))
}

/// The server's part of the environment; what only the operator's commands read is not a key of the configuration.
fn environment() -> impl Iterator<Item = (String, String)> {
    const OF_THE_COMMANDS: &[&str] = &[
        "CHANCERY_CONFIG",
        "CHANCERY_URL",
        "CHANCERY_CLIENT_ID",
        "CHANCERY_CLIENT_SECRET",
        "CHANCERY_CREDENTIALS",
        "CHANCERY_EMAIL",
        "CHANCERY_LOGIN_PASSWORD_FILE",
        "CHANCERY_CA_CERTIFICATE",
    ];
    std::env::vars_os().filter_map(|(name, value)| {
        let (name, value) = (name.into_string().ok()?, value.into_string().ok()?);
        (name.starts_with("CHANCERY_") && !OF_THE_COMMANDS.contains(&name.as_str())).then_some((name, value))
    })
}
