//! `chancery serve`: run the server until it is told to stop.

use std::path::PathBuf;
use std::sync::Arc;

use chancery_cli::output::print_bytes;
use chancery_keys::SystemRandomness;
use chancery_model::time::SystemClock;
use chancery_server::{Config, RunningServer};
use clap::Args;

use crate::bootstrap;
use crate::config::Overrides;
use crate::failure::Failure;
use crate::signals::StopSignal;

const EXAMPLES: &str = "\
Examples:
  chancery serve                                  plain HTTP on 127.0.0.1:8200, data in ./chancery-data
  chancery serve --config /etc/chancery.toml
  CHANCERY_DATABASE_URL=postgres://… chancery serve

Every key of the file can also be set as an environment variable CHANCERY_<KEY>; `chancery config print` shows them all.
The first start creates an administrator and writes its password to admin-password in the data directory.";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct ServeArguments {
    /// Configuration file (TOML)
    #[arg(long, value_name = "FILE", env = "CHANCERY_CONFIG")]
    config: Option<PathBuf>,
    #[command(flatten)]
    overrides: Overrides,
}

pub async fn run(arguments: ServeArguments) -> Result<(), Failure> {
    let config = arguments.overrides.load(arguments.config.as_deref(), &[])?;
    chancery_server::init_logging(&config);
    let mut stop = StopSignal::listen()?;
    let server = start(config).await?;
    announce(&server)?;
    stop.received().await;
    tracing::info!("stopping");
    server.stop().await;
    Ok(())
}

/// A running server with the machine's clock and randomness, and an administrator.
pub async fn start(config: Config) -> Result<RunningServer, Failure> {
    let random = Arc::new(SystemRandomness);
    let data_dir = config.data_dir().to_owned();
    let server = chancery_server::start(config, Arc::new(SystemClock), random.clone())
        .await
        .map_err(|error| Failure::caused("The server cannot start", &error))?;
    match bootstrap::ensure_administrator(&server.authority(), &data_dir, random.as_ref()).await {
        Ok(true) => {
            tracing::info!(
                email = bootstrap::ADMINISTRATOR,
                password_file = %bootstrap::password_file(&data_dir).display(),
                "administrator created"
            );
            Ok(server)
        }
        Ok(false) => Ok(server),
        Err(failure) => {
            server.stop().await;
            Err(failure)
        }
    }
}

/// The line that people and programs wait for.
pub fn announce(server: &RunningServer) -> Result<(), Failure> {
    Ok(print_bytes(format!("listening on {}\n", server.url()).as_bytes())?)
}
