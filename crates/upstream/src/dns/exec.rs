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

#[cfg(test)]
mod tests {
    use zeroize::Zeroizing;

    use super::*;

    const TXT: Txt<'_> = Txt { zone: "acme.test", name: "_acme-challenge.www.acme.test", value: "-a$(id)'b" };

    struct Hook {
        folder: tempfile::TempDir,
        hooks: BTreeMap<String, PathBuf>,
        connection: OpenedConnection,
    }

    impl Hook {
        fn new(script: &str) -> Self {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("hook");
            std::fs::write(&path, format!("#!/bin/sh\n{}", script.replace("OUT", folder.path().to_str().unwrap())))
                .unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
            let fields = BTreeMap::from([("hook".to_owned(), Zeroizing::new("mine".to_owned()))]);
            let connection = OpenedConnection {
                app: chancery_model::external::ConnectionApp::DnsExec,
                method: "hook".to_owned(),
                fields,
            };
            Self { folder, hooks: BTreeMap::from([("mine".to_owned(), path)]), connection }
        }

        fn exec(&self) -> Exec<'_> {
            Exec::new(&self.hooks, &self.connection).unwrap()
        }

        fn said(&self) -> String {
            std::fs::read_to_string(self.folder.path().join("said")).unwrap()
        }
    }

    #[tokio::test]
    async fn the_program_gets_arguments_and_environment_and_nothing_else() {
        let hook = Hook::new("printf '%s\\n' \"$#\" \"$@\" > OUT/said; env | sort >> OUT/said; pwd >> OUT/said");
        hook.exec().add_txt(TXT).await.unwrap();
        let said = hook.said();
        let lines: Vec<_> = said.lines().filter(|it| !it.starts_with("PWD=") && !it.starts_with("_=")).collect();
        assert_eq!(
            lines,
            [
                "4",
                "set",
                "acme.test",
                "_acme-challenge.www.acme.test",
                "-a$(id)'b",
                "CHANCERY_DNS_ACTION=set",
                "CHANCERY_DNS_NAME=_acme-challenge.www.acme.test",
                "CHANCERY_DNS_VALUE=-a$(id)'b",
                "CHANCERY_DNS_ZONE=acme.test",
                &format!("PATH={PATH}"),
                "/",
            ]
        );
        hook.exec().remove_txt(TXT).await.unwrap();
        assert!(hook.said().starts_with("4\nremove\n"), "{}", hook.said());
    }

    #[tokio::test]
    async fn a_failure_is_told_with_its_exit_code_and_its_words_go_to_the_log() {
        let hook = Hook::new("head -c 100000 /dev/zero | tr '\\0' x >&2; exit 3");
        let error = hook.exec().add_txt(TXT).await.unwrap_err();
        assert!(error.text.contains("mine") && error.text.contains("exit code 3"), "{}", error.text);
        assert_eq!(error.detail, "x".repeat(SAID_MAX));
        assert!(!error.text.contains("xx"));
    }

    #[tokio::test]
    async fn a_program_that_does_not_end_is_killed() {
        let hook = Hook::new("echo $$ > OUT/said; exec sleep 600");
        let exec = Exec { limit: Duration::from_millis(500), ..hook.exec() };
        let error = exec.add_txt(TXT).await.unwrap_err();
        assert!(error.text.contains("was killed"), "{}", error.text);
        let process = format!("/proc/{}", hook.said().trim());
        assert!(!Path::new(&process).exists(), "{process} still runs");
    }

    #[tokio::test]
    async fn only_declared_and_executable_programs_are_taken() {
        let hook = Hook::new("exit 0");
        hook.exec().check().await.unwrap();
        std::fs::set_permissions(&hook.hooks["mine"], std::fs::Permissions::from_mode(0o644)).unwrap();
        let error = hook.exec().check().await.unwrap_err();
        assert!(error.text.contains("not an executable file"), "{}", error.text);
        std::fs::remove_file(&hook.hooks["mine"]).unwrap();
        let error = hook.exec().check().await.unwrap_err();
        assert!(error.text.contains("not where dns_hooks says"), "{}", error.text);
        let none = BTreeMap::new();
        let error = Exec::new(&none, &hook.connection).err().unwrap();
        assert!(error.text.contains("has declared no DNS program mine"), "{}", error.text);
    }
}
