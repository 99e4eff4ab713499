//! A program on this machine, for zones that nothing else reaches. The operator names the programs (`dns_hooks`); a
//! connection chooses one by its name, so whoever may write connections cannot start anything else.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use chancery_authority::external::{Asking, OpenedConnection, UpstreamError};
use tokio::io::AsyncReadExt;
use tokio::process::{Child, Command};

use super::{DnsProvider, Txt};

/// A program that is not done by then is killed.
const RUN_MAX: Duration = Duration::from_secs(60);
/// Of what it writes to its standard error; for the operator's log.
const SAID_MAX: usize = 500;
/// All else of the server's environment is kept from it.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

pub(super) struct Exec<'c> {
    name: &'c str,
    program: &'c Path,
    limit: Duration,
}

impl<'c> Exec<'c> {
    pub fn new(hooks: &'c BTreeMap<String, PathBuf>, connection: &'c OpenedConnection) -> Result<Self, UpstreamError> {
        let name = connection.required("hook")?;
        let program = hooks.get(name).ok_or_else(|| {
            UpstreamError::lasting(format!(
                "the operator has declared no DNS program {name}; name one of dns_hooks in the server's configuration"
            ))
        })?;
        Ok(Self { name, program, limit: RUN_MAX })
    }

    #[cfg(test)]
    pub(super) fn with_limit(self, limit: Duration) -> Self {
        Self { limit, ..self }
    }

    /// Without a shell: what is in a name or a value stays there.
    async fn run(&self, action: &str, txt: Txt<'_>) -> Result<(), UpstreamError> {
        let mut command = Command::new(self.program);
        command
            .args([action, txt.zone, txt.name, txt.value])
            .env_clear()
            .env("PATH", PATH)
            .env("CHANCERY_DNS_ACTION", action)
            .env("CHANCERY_DNS_ZONE", txt.zone)
            .env("CHANCERY_DNS_NAME", txt.name)
            .env("CHANCERY_DNS_VALUE", txt.value)
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        let mut child = command.spawn().map_err(|error| {
            UpstreamError::passing(format!("the DNS program {} cannot be started; see the server's log", self.name))
                .with_detail(error.to_string())
        })?;
        match tokio::time::timeout(self.limit, finish(&mut child)).await {
            Ok(Ok((status, _))) if status.success() => Ok(()),
            Ok(Ok((status, said))) => {
                tracing::warn!(hook = self.name, %status, said, "a DNS program failed");
                let how = status.code().map_or_else(|| "a signal".to_owned(), |code| format!("exit code {code}"));
                Err(UpstreamError::passing(format!(
                    "the DNS program {} ended with {how}; what it said is in the server's log",
                    self.name
                ))
                .with_detail(said))
            }
            Ok(Err(error)) => Err(UpstreamError::passing(format!("the DNS program {} was lost", self.name))
                .with_detail(error.to_string())),
            Err(_) => {
                if let Err(error) = child.kill().await {
                    tracing::warn!(hook = self.name, %error, "a DNS program could not be killed");
                }
                Err(UpstreamError::passing(format!(
                    "the DNS program {} took longer than {} seconds and was killed",
                    self.name,
                    self.limit.as_secs()
                )))
            }
        }
    }

    async fn look(&self) -> Result<(), UpstreamError> {
        let metadata = tokio::fs::metadata(self.program).await.map_err(|error| {
            UpstreamError::lasting(format!("the DNS program {} is not where dns_hooks says", self.name))
                .with_detail(error.to_string())
        })?;
        if metadata.is_file() && metadata.permissions().mode() & 0o111 != 0 {
            Ok(())
        } else {
            Err(UpstreamError::lasting(format!("the DNS program {} is not an executable file", self.name)))
        }
    }
}

/// Reads standard error to its end, so that the program does not wait for a reader, and keeps its beginning.
async fn finish(child: &mut Child) -> std::io::Result<(ExitStatus, String)> {
    let mut said = Vec::new();
    if let Some(mut stderr) = child.stderr.take() {
        let mut chunk = [0; 1024];
        loop {
            let read = stderr.read(&mut chunk).await?;
            if read == 0 {
                break;
            }
            let room = SAID_MAX.saturating_sub(said.len());
            said.extend_from_slice(chunk.get(..read.min(room)).unwrap_or_default());
        }
    }
    let status = child.wait().await?;
    Ok((status, String::from_utf8_lossy(&said).into_owned()))
}

impl DnsProvider for Exec<'_> {
    fn add_txt<'a>(&'a self, txt: Txt<'a>) -> Asking<'a, ()> {
        Box::pin(self.run("set", txt))
    }

    fn remove_txt<'a>(&'a self, txt: Txt<'a>) -> Asking<'a, ()> {
        Box::pin(self.run("remove", txt))
    }

    fn check(&self) -> Asking<'_, ()> {
        Box::pin(self.look())
    }
}
