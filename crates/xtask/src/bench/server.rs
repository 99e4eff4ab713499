//! The measured server: the product's own program, set up by its own quickstart.

use std::collections::BTreeMap;
use std::fs::File;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Child;

use super::database::Database;
use super::http::{Answer, Connection, request};
use super::machine;

pub const DOMAIN: &str = "bench.internal";
const START_LIMIT: Duration = Duration::from_secs(30);
const STOP_LIMIT: Duration = Duration::from_secs(20);

/// Makes a fresh data folder with a hierarchy, a template and profiles, and issues the first certificates.
pub fn quickstart(binary: &Path, data: &Path, database: &Database) -> Result<(), String> {
    let mut command = Command::new(binary);
    command.args(["quickstart", "--once", "--listen", "127.0.0.1:0", "--domain", DOMAIN, "--data-dir"]).arg(data);
    command.envs(database.environment()).stdin(Stdio::null());
    let output = command.output().map_err(|error| format!("{}: {error}", binary.display()))?;
    if output.status.success() {
        return Ok(());
    }
    let (said, complained) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    Err(format!("the quickstart failed:\n{said}{complained}"))
}

pub struct Server {
    child: Child,
    /// As the kernel knows it.
    process: String,
    pub address: SocketAddr,
}

impl Server {
    pub async fn start(binary: &Path, data: &Path, database: &Database, cpus: Option<&str>) -> Result<Self, String> {
        let log = File::create(data.join("bench-server.log")).map_err(|error| format!("a log file: {error}"))?;
        let mut command = match cpus {
            Some(cpus) => {
                let mut command = tokio::process::Command::new("taskset");
                command.args(["-c", cpus]).arg(binary);
                command
            }
            None => tokio::process::Command::new(binary),
        };
        command.args(["serve", "--listen", "127.0.0.1:0", "--data-dir"]).arg(data).envs(database.environment());
        // All clients of a benchmark have one address.
        command.env("CHANCERY_REPOSITORY_CALLS_PER_SECOND", "0");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log).kill_on_drop(true);
        let mut child = command.spawn().map_err(|error| format!("{}: {error}", binary.display()))?;
        let process = child.id().ok_or("the server ended at once")?.to_string();
        let lines = child.stdout.take().ok_or("no standard output")?;
        let mut lines = BufReader::new(lines).lines();
        let listening = async {
            while let Some(line) = lines.next_line().await.map_err(|error| error.to_string())? {
                if let Some(address) = listening_address(&line) {
                    return Ok(address);
                }
            }
            Err("the server ended without listening; see bench-server.log".to_owned())
        };
        let address = tokio::time::timeout(START_LIMIT, listening).await;
        let address = address.map_err(|_| "the server does not begin to listen".to_owned())??;
        // Whatever it prints later must not fill the pipe and stop it.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        Ok(Self { child, process, address })
    }

    pub fn resident_kib(&self) -> Result<u64, String> {
        machine::field(&self.process, "status", "VmRSS")
    }

    /// The most it was resident with since its start.
    pub fn peak_kib(&self) -> Result<u64, String> {
        machine::field(&self.process, "status", "VmHWM")
    }

    /// Ends it as a power cut would.
    pub async fn kill(mut self) -> Result<(), String> {
        self.child.kill().await.map_err(|error| format!("kill: {error}"))
    }

    /// Asks it to end, as an operator would, and waits until it has.
    pub async fn stop(mut self) -> Result<(), String> {
        let asked = Command::new("kill").args(["-TERM", &self.process]).status();
        if !asked.map_err(|error| format!("kill: {error}"))?.success() {
            return Err("the server had ended by itself".to_owned());
        }
        let ended = tokio::time::timeout(STOP_LIMIT, self.child.wait()).await;
        let ended = ended.map_err(|_| "the server does not stop".to_owned())?.map_err(|error| error.to_string())?;
        if ended.success() { Ok(()) } else { Err(format!("the server ended with {ended}")) }
    }
}

/// The address in a line such as `listening on http://127.0.0.1:8200`.
fn listening_address(line: &str) -> Option<SocketAddr> {
    let (_, rest) = line.split_once("listening on http://")?;
    rest.split_whitespace().next()?.trim_end_matches('/').parse().ok()
}

/// What the server has used up to a moment; the difference of two is what a round cost.
#[derive(Clone, Debug, Default)]
pub struct Sample {
    pub cpu_micros: u64,
    pub issued: u64,
    pub stage_nanos: BTreeMap<String, u64>,
    /// Bytes this process had written to storage, by the kernel's count.
    pub written: u64,
    /// Bytes of the database's write-ahead log, where it says so.
    pub log: Option<u64>,
}

impl Sample {
    pub async fn take(server: &Server, database: &Database) -> Result<Self, String> {
        let mut connection = Connection::open(server.address).await?;
        let Answer { status, body } = connection.exchange(&request("GET", "/metrics", None, None)).await?;
        let text = String::from_utf8_lossy(body);
        if status != 200 {
            return Err(format!("/metrics answered {status}: {text}"));
        }
        let mut sample = Self::from_metrics(&text);
        sample.cpu_micros = machine::cpu_micros(&server.process)?;
        sample.written = machine::field(&server.process, "io", "write_bytes")?;
        sample.log = database.log_bytes().await?.or(sample.log);
        Ok(sample)
    }

    fn from_metrics(text: &str) -> Self {
        let mut sample = Self::default();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let Some((name, value)) = line.rsplit_once(' ') else { continue };
            let Some(value) = whole(value) else { continue };
            match name {
                "chancery_issuance_total" => sample.issued = value,
                "chancery_store_wal_bytes_total" => sample.log = Some(value),
                _ => {
                    let stage = name.strip_prefix("chancery_issuance_stage_nanoseconds_total{stage=\"");
                    if let Some(stage) = stage.and_then(|rest| rest.strip_suffix("\"}")) {
                        sample.stage_nanos.insert(stage.to_owned(), value);
                    }
                }
            }
        }
        sample
    }

    pub fn since(&self, before: &Self) -> Self {
        let stages = self.stage_nanos.iter().map(|(stage, nanos)| {
            let earlier = before.stage_nanos.get(stage).copied().unwrap_or_default();
            (stage.clone(), nanos.saturating_sub(earlier))
        });
        Self {
            cpu_micros: self.cpu_micros.saturating_sub(before.cpu_micros),
            issued: self.issued.saturating_sub(before.issued),
            stage_nanos: stages.collect(),
            written: self.written.saturating_sub(before.written),
            log: self.log.zip(before.log).map(|(after, before)| after.saturating_sub(before)),
        }
    }
}

/// A counter's value; some writers of this format always print a fraction.
fn whole(value: &str) -> Option<u64> {
    value.split('.').next().and_then(|digits| digits.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_are_read_and_subtracted() {
        let text = |sign, issued| {
            format!(
                "# TYPE chancery_issuance_total counter\nchancery_issuance_total {issued}\n\
                 chancery_issuance_stage_nanoseconds_total{{stage=\"sign\"}} {sign}\nother 3.5\n"
            )
        };
        let (before, after) = (Sample::from_metrics(&text(100, 1)), Sample::from_metrics(&text(350, 6)));
        let used = after.since(&before);
        assert_eq!((used.issued, used.stage_nanos.get("sign")), (5, Some(&250)));
        assert_eq!(used.log, None);
    }

    #[test]
    fn the_address_is_read_from_the_line() {
        let address = listening_address("chancery is listening on http://127.0.0.1:8200 (plain HTTP)");
        assert_eq!(address, Some("127.0.0.1:8200".parse().expect("an address")));
        assert_eq!(listening_address("starting"), None);
    }
}
