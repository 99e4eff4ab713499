//! `bench crl` and `bench ocsp`: what telling the world about revocation costs.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use chancery_pkix::ocsp::{CertId, HashAlgorithm, OcspRequest};
use chancery_pkix::{Certificate, crl::CertificateList};
use clap::Args;
use serde_json::{Value, json};

use super::database::Database;
use super::fill::Filler;
use super::http::{Answer, Connection, request};
use super::load::quantile_millis;
use super::report;
use super::server::{self, DOMAIN, Sample, Server};
use super::session::{Session, text};
use crate::workspace::Workspace;

#[derive(Args)]
pub struct CrlArguments {
    /// Revoked certificates
    #[arg(long, default_value_t = 1_000_000)]
    entries: u64,
    /// Concurrent clients while certificates are issued
    #[arg(long, default_value_t = 32)]
    clients: usize,
    /// Measure this program instead of building one for release
    #[arg(long, value_name = "FILE")]
    pub binary: Option<PathBuf>,
    /// Print the table and leave docs/reference/performance.md as it is
    #[arg(long)]
    print_only: bool,
}

#[derive(Args)]
pub struct OcspArguments {
    /// Concurrent clients
    #[arg(long, default_value_t = 32)]
    clients: usize,
    /// Measured seconds for each kind of request
    #[arg(long, default_value_t = 5)]
    seconds: u64,
    /// Measure this program instead of building one for release
    #[arg(long, value_name = "FILE")]
    pub binary: Option<PathBuf>,
    /// Print the table and leave docs/reference/performance.md as it is
    #[arg(long)]
    print_only: bool,
}

const CERTIFICATES: &str = "/api/v1/cert-manager/certificates";

/// A quickstart server of its own, and who asks it.
struct Stage {
    server: Server,
    administrator: Session,
    issuing_ca: String,
    data: PathBuf,
    _folder: tempfile::TempDir,
}

impl Stage {
    async fn set(binary: &Path) -> Result<Self, String> {
        let folder = tempfile::Builder::new().prefix("chancery-bench-").tempdir().map_err(|error| error.to_string())?;
        let data = folder.path().join("data");
        server::quickstart(binary, &data, &Database::Sqlite)?;
        let server = Server::start(binary, &data, &Database::Sqlite, None).await?;
        let administrator = Session::administrator(&server, &data).await?;
        let profile = administrator.get("/api/v1/cert-manager/certificate-profiles/slug/tls-server").await?;
        let issuing_ca = text(&profile, "/certificateProfile/caId")?;
        Ok(Self { server, administrator, issuing_ca, data, _folder: folder })
    }

    async fn crl_id(&self) -> Result<String, String> {
        let path = format!("/api/v1/cert-manager/ca/internal/{}/crls", self.issuing_ca);
        text(&self.administrator.get(&path).await?, "/0/id")
    }
}

fn block_on<T>(work: impl Future<Output = Result<T, String>>) -> Result<T, String> {
    tokio::runtime::Runtime::new().map_err(|error| format!("no runtime: {error}"))?.block_on(work)
}

pub fn run_crl(workspace: &Workspace, arguments: &CrlArguments, binary: &Path) -> Result<(), String> {
    let table = block_on(measure_crl(arguments, binary))?;
    println!("{table}");
    if arguments.print_only { Ok(()) } else { report::write(workspace, "crl", &table) }
}

async fn measure_crl(arguments: &CrlArguments, binary: &Path) -> Result<String, String> {
    let stage = Stage::set(binary).await?;
    let id = stage.crl_id().await?;
    let filler = Filler::prepare(&stage.server, &stage.data).await?;
    filler.run(arguments.entries + 200, None, arguments.clients).await?;
    let began = Instant::now();
    let revoked = revoke_all(&stage, arguments.entries).await?;
    let bulk_rate = revoked as f64 / began.elapsed().as_secs_f64();
    wait_for(stage.server.address, &id, |crl| crl.entry_count() as u64 >= revoked).await?;
    // The last of the bulk may be on its way still.
    tokio::time::sleep(Duration::from_secs(5)).await;
    let singles = revoke_singly(&stage, 100).await?;
    tokio::time::sleep(Duration::from_secs(5)).await;
    let before = Sample::take(&stage.server, &Database::Sqlite).await?;
    let last = newest_active(&stage).await?;
    let began = Instant::now();
    revoke(&stage, &last).await?;
    let serial = last.pointer("/serialNumber").and_then(Value::as_str).unwrap_or_default().to_owned();
    let (der, crl) =
        wait_for(stage.server.address, &id, |crl| crl.entries().any(|entry| hex_of(entry.serial) == serial)).await?;
    let visible = began.elapsed();
    let used = Sample::take(&stage.server, &Database::Sqlite).await?.since(&before);
    let peak = stage.server.peak_kib()?;
    let parsed = openssl_parses(&stage.data, &der)?;
    let mut table = report::heading();
    let _ = writeln!(
        table,
        "\n| what | figure |\n|---|---|\n\
         | entries on the complete CRL | {} |\n| size | {:.1} MB |\n\
         | from a revocation to the CRL that lists it, one second of gathering included | {:.2} s |\n\
         | server CPU for that revocation and its CRL | {:.2} s |\n\
         | bulk revocation, CRLs published meanwhile | {bulk_rate:.0}/s |\n\
         | one revocation, p50 / p99 | {:.1} / {:.1} ms |\n\
         | peak resident memory | {:.0} MiB |\n| `openssl crl -noout -fingerprint` reads it in | {:.1} s |",
        crl.entry_count(),
        der.len() as f64 / 1e6,
        visible.as_secs_f64(),
        used.cpu_micros as f64 / 1e6,
        quantile_millis(&singles, 0.5),
        quantile_millis(&singles, 0.99),
        peak as f64 / 1024.0,
        parsed.as_secs_f64(),
    );
    stage.server.stop().await?;
    Ok(table)
}

/// By search, ten thousand a call, as an operator would.
async fn revoke_all(stage: &Stage, entries: u64) -> Result<u64, String> {
    let path = format!("{CERTIFICATES}/bulk-revoke");
    let mut revoked = 0;
    while revoked < entries {
        let search = json!({"commonName": format!("*.{DOMAIN}")});
        let wanted =
            |token: &str| json!({"search": search, "revocationReason": "CESSATION_OF_OPERATION", "confirm": token});
        let preview = stage.administrator.post(&path, &wanted("")).await?;
        let done = stage.administrator.post(&path, &wanted(&text(&preview, "/confirm")?)).await?;
        let count = done.get("revoked").and_then(Value::as_u64).unwrap_or(0);
        if count == 0 {
            return Err(format!("bulk revocation ended early: {done}"));
        }
        revoked += count;
        eprintln!("{revoked} of {entries} revoked");
    }
    Ok(revoked)
}

async fn newest_active(stage: &Stage) -> Result<Value, String> {
    let profile = stage.administrator.get("/api/v1/cert-manager/certificate-profiles/slug/tls-server").await?;
    let body = json!({"profileId": text(&profile, "/certificateProfile/id")?, "attributes": {"commonName": format!("one.{DOMAIN}"), "ttl": "90d"}});
    let issued = stage.administrator.post(CERTIFICATES, &body).await?;
    issued.get("certificate").cloned().ok_or("an answer without a certificate".to_owned())
}

async fn revoke(stage: &Stage, certificate: &Value) -> Result<(), String> {
    let id = text(certificate, "/certificateId")?;
    let reason = json!({"revocationReason": "KEY_COMPROMISE"});
    stage.administrator.post(&format!("{CERTIFICATES}/{id}/revoke"), &reason).await.map(|_| ())
}

/// Sorted, in microseconds.
async fn revoke_singly(stage: &Stage, count: usize) -> Result<Vec<u32>, String> {
    let mut latencies = Vec::new();
    for _ in 0..count {
        let certificate = newest_active(stage).await?;
        let began = Instant::now();
        revoke(stage, &certificate).await?;
        latencies.push(u32::try_from(began.elapsed().as_micros()).unwrap_or(u32::MAX));
    }
    latencies.sort_unstable();
    Ok(latencies)
}

/// Fetches the CRL again and again until it says what is waited for.
async fn wait_for(
    address: SocketAddr,
    id: &str,
    is_there: impl Fn(&CertificateList) -> bool,
) -> Result<(Vec<u8>, CertificateList), String> {
    let began = Instant::now();
    let mut connection = Connection::open_large(address).await?;
    let asked = request("GET", &format!("/api/v1/cert-manager/crl/{id}/der"), None, None);
    let mut seen = Vec::new();
    while began.elapsed() < Duration::from_secs(120) {
        let Answer { status, body } = connection.exchange(&asked).await?;
        if status == 200 && body != seen {
            seen = body.to_vec();
            let crl = CertificateList::from_der(&seen).map_err(|error| format!("the CRL does not parse: {error}"))?;
            if is_there(&crl) {
                return Ok((seen, crl));
            }
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Err("the CRL does not come".to_owned())
}

fn openssl_parses(folder: &Path, der: &[u8]) -> Result<Duration, String> {
    let file = folder.join("bench.crl");
    std::fs::write(&file, der).map_err(|error| error.to_string())?;
    let began = Instant::now();
    let output = std::process::Command::new("openssl")
        .args(["crl", "-inform", "DER", "-noout", "-fingerprint", "-in"])
        .arg(&file)
        .output()
        .map_err(|error| format!("openssl: {error}"))?;
    if output.status.success() {
        Ok(began.elapsed())
    } else {
        Err(String::from_utf8_lossy(&output.stderr).into_owned())
    }
}

fn hex_of(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}

pub fn run_ocsp(workspace: &Workspace, arguments: &OcspArguments, binary: &Path) -> Result<(), String> {
    let table = block_on(measure_ocsp(arguments, binary))?;
    println!("{table}");
    if arguments.print_only { Ok(()) } else { report::write(workspace, "ocsp", &table) }
}

async fn measure_ocsp(arguments: &OcspArguments, binary: &Path) -> Result<String, String> {
    let stage = Stage::set(binary).await?;
    let issuer =
        stage.administrator.get(&format!("/api/v1/cert-manager/ca/internal/{}/certificate", stage.issuing_ca)).await?;
    let issuer = Certificate::from_pem(&text(&issuer, "/certificate")?).map_err(|error| error.to_string())?;
    let (mut good, mut revoked) = (Vec::new(), Vec::new());
    for n in 0..400 {
        let certificate = newest_active(&stage).await?;
        let serial = text(&certificate, "/serialNumber")?;
        if n % 2 == 0 {
            revoke(&stage, &certificate).await?;
            revoked.push(serial);
        } else {
            good.push(serial);
        }
    }
    let unknown: Vec<String> = (0..200).map(|n| format!("41{n:030x}")).collect();
    let mut rows = String::new();
    for (what, serials, nonce) in [
        ("good, signed anew (nonce)", &good, true),
        ("revoked, signed anew (nonce)", &revoked, true),
        ("unknown, signed anew (nonce)", &unknown, true),
        ("good, signature reused", &good, false),
        ("revoked, signature reused", &revoked, false),
    ] {
        let requests = serials
            .iter()
            .enumerate()
            .map(|(n, serial)| ocsp_request(&stage.issuing_ca, &issuer, serial, nonce.then_some(n)));
        let requests = Arc::new(requests.collect::<Result<Vec<_>, _>>()?);
        drive(stage.server.address, &requests, arguments.clients, Duration::from_secs(1)).await?;
        let before = Sample::take(&stage.server, &Database::Sqlite).await?;
        let began = Instant::now();
        let latencies =
            drive(stage.server.address, &requests, arguments.clients, Duration::from_secs(arguments.seconds)).await?;
        let elapsed = began.elapsed();
        let used = Sample::take(&stage.server, &Database::Sqlite).await?.since(&before);
        let count = latencies.len().max(1) as f64;
        let cpu = used.cpu_micros as f64 / count;
        let _ = writeln!(
            rows,
            "| {what} | {:.0} | {:.2} | {:.2} | {cpu:.1} | {:.0} |",
            count / elapsed.as_secs_f64(),
            quantile_millis(&latencies, 0.5),
            quantile_millis(&latencies, 0.99),
            1e6 / cpu,
        );
    }
    stage.server.stop().await?;
    let mut table = report::heading();
    let _ = writeln!(
        table,
        "\n| answer, {} clients, POST | answers/s | p50 ms | p99 ms | server CPU µs each | answers/s of one core |\n|---|---|---|---|---|---|\n{}",
        arguments.clients,
        rows.trim_end(),
    );
    Ok(table)
}

fn ocsp_request(ca: &str, issuer: &Certificate, serial: &str, nonce: Option<usize>) -> Result<Vec<u8>, String> {
    let key = issuer.public_key().map_err(|error| error.to_string())?;
    let serial: Vec<u8> =
        (0..serial.len() / 2).filter_map(|at| u8::from_str_radix(serial.get(2 * at..2 * at + 2)?, 16).ok()).collect();
    let id = CertId::of(HashAlgorithm::Sha1, issuer.subject_der(), &key, &serial).ok_or("no CertID")?;
    let nonce = nonce.map(|n| n.to_be_bytes().repeat(4));
    let der = OcspRequest { requests: vec![id], nonce }.to_der();
    let mut bytes = format!(
        "POST /api/v1/cert-manager/ocsp/{ca} HTTP/1.1\r\nHost: bench\r\nContent-Type: application/ocsp-request\r\nContent-Length: {}\r\n\r\n",
        der.len()
    )
    .into_bytes();
    bytes.extend(der);
    Ok(bytes)
}

/// Sorted latencies in microseconds.
async fn drive(
    address: SocketAddr,
    requests: &Arc<Vec<Vec<u8>>>,
    clients: usize,
    time: Duration,
) -> Result<Vec<u32>, String> {
    let mut running = tokio::task::JoinSet::new();
    let until = Instant::now() + time;
    for client in 0..clients {
        let requests = Arc::clone(requests);
        running.spawn(async move {
            let mut connection = Connection::open(address).await?;
            let (mut latencies, mut turn) = (Vec::new(), client);
            while Instant::now() < until {
                let began = Instant::now();
                let asked = requests.get(turn % requests.len()).map_or(&[][..], Vec::as_slice);
                let Answer { status, body } = connection.exchange(asked).await?;
                // 0x30 … 0x0a 0x01 0x00: an OCSPResponse that says "successful".
                if status != 200 || !body.windows(3).take(12).any(|it| it == [0x0a, 0x01, 0x00]) {
                    return Err(format!("answered {status} with {} octets", body.len()));
                }
                latencies.push(u32::try_from(began.elapsed().as_micros()).unwrap_or(u32::MAX));
                turn += clients;
            }
            Ok::<_, String>(latencies)
        });
    }
    let mut latencies = Vec::new();
    while let Some(done) = running.join_next().await {
        latencies.extend(done.map_err(|error| error.to_string())??);
    }
    latencies.sort_unstable();
    Ok(latencies)
}
