//! `cargo xtask bench`: a release server on a fresh data folder, driven over HTTP from this separate process.
//!
//! [`server`] starts it and reads what it used, [`http`] and [`load`] drive it, [`requests`] makes the requests
//! beforehand so that the client costs little, [`crypto`] measures the bare cryptography on the same processors, [`fill`]
//! makes large inventories for [`inventory`] and [`status`], and [`report`] writes the tables into
//! `docs/reference/performance.md`.

mod crypto;
mod database;
mod fill;
mod http;
mod inventory;
mod load;
mod machine;
mod report;
mod requests;
mod server;
mod session;
mod status;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use clap::{Args, Subcommand, ValueEnum};

use crate::workspace::Workspace;
use database::Database;
use report::{Report, Row, Start};
use server::{Sample, Server};

#[derive(Subcommand)]
pub enum Bench {
    /// Certificates per second over HTTP, with the server's CPU per certificate set against bare cryptography
    Issue(IssueArguments),
    /// A large inventory: start, searches, pages, and the issuance rate against an empty store
    Inventory(inventory::InventoryArguments),
    /// A CRL with many entries: how soon a revocation is on it, at what cost
    Crl(status::CrlArguments),
    /// OCSP answers per second, signed anew and signed before
    Ocsp(status::OcspArguments),
    /// CPU nanoseconds of one P-256 verify, sign and key generation
    Crypto,
}

impl Bench {
    /// The program to measure, if it is named; `None` for what needs no server.
    fn binary(&self) -> Option<Option<&PathBuf>> {
        match self {
            Self::Issue(it) => Some(it.binary.as_ref()),
            Self::Inventory(it) => Some(it.binary.as_ref()),
            Self::Crl(it) => Some(it.binary.as_ref()),
            Self::Ocsp(it) => Some(it.binary.as_ref()),
            Self::Crypto => None,
        }
    }
}

#[derive(Args)]
pub struct IssueArguments {
    /// Numbers of concurrent clients, each with one connection kept alive
    #[arg(long, value_delimiter = ',', default_value = "1,8,32,128")]
    clients: Vec<usize>,
    /// Measured seconds for each row, after one second that is not counted
    #[arg(long, default_value_t = 5)]
    seconds: u64,
    /// Also measure on a fresh database of this PostgreSQL server (an administrator's URL)
    #[arg(long, value_name = "URL")]
    postgres: Option<String>,
    /// Which way of asking to measure
    #[arg(long, value_delimiter = ',', default_value = "csr,server-key")]
    paths: Vec<IssuePath>,
    /// Keep the server, and the bare cryptography it is compared with, on these processors (taskset list)
    #[arg(long, value_name = "LIST")]
    server_cpus: Option<String>,
    /// Measure this program, with the client as it is, instead of building both for release
    #[arg(long, value_name = "FILE")]
    binary: Option<PathBuf>,
    /// Print the table and leave docs/reference/performance.md as it is
    #[arg(long)]
    print_only: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum IssuePath {
    /// The requester brings a signed P-256 request
    Csr,
    /// The server makes a P-256 key
    ServerKey,
}

impl IssuePath {
    fn as_str(self) -> &'static str {
        match self {
            Self::Csr => "CSR",
            Self::ServerKey => "server-made key",
        }
    }
}

pub fn run(workspace: &Workspace, bench: Bench) -> Result<(), String> {
    let Some(named) = bench.binary() else { return crypto::print() };
    if cfg!(debug_assertions) && named.is_none() {
        return run_released(workspace);
    }
    let binary = match named {
        Some(binary) => binary.clone(),
        None => own_program()?.with_file_name("chancery"),
    };
    match bench {
        Bench::Issue(arguments) => issue(workspace, &arguments, &binary),
        Bench::Inventory(arguments) => inventory::run(workspace, &arguments, &binary),
        Bench::Crl(arguments) => status::run_crl(workspace, &arguments, &binary),
        Bench::Ocsp(arguments) => status::run_ocsp(workspace, &arguments, &binary),
        Bench::Crypto => crypto::print(),
    }
}

fn issue(workspace: &Workspace, arguments: &IssueArguments, binary: &Path) -> Result<(), String> {
    let runtime = tokio::runtime::Runtime::new().map_err(|error| format!("no runtime: {error}"))?;
    let report = runtime.block_on(measure(arguments, binary))?;
    let text = report.render();
    println!("{text}");
    if arguments.print_only { Ok(()) } else { report::write(workspace, "issue", &text) }
}

/// A client built without optimisation would measure itself: build both programs for release and start over there.
fn run_released(workspace: &Workspace) -> Result<(), String> {
    let build = ["build", "--release", "--package", "chancery", "--package", "xtask"];
    let status = Command::new("cargo").args(build).current_dir(&workspace.root).status();
    if !status.map_err(|error| format!("cargo: {error}"))?.success() {
        return Err("the release build failed".to_owned());
    }
    let debug = own_program()?;
    let target = debug.parent().and_then(Path::parent).ok_or("this program lies in no build folder")?;
    let mut released = Command::new(target.join("release/xtask"));
    let status = released.args(std::env::args_os().skip(1)).current_dir(&workspace.root).status();
    match status.map_err(|error| format!("release/xtask: {error}"))?.success() {
        true => Ok(()),
        false => Err("the measurement failed".to_owned()),
    }
}

fn own_program() -> Result<PathBuf, String> {
    std::env::current_exe().map_err(|error| format!("where this program lies: {error}"))
}

async fn measure(arguments: &IssueArguments, binary: &Path) -> Result<Report, String> {
    let mut report = Report { starts: Vec::new(), rows: Vec::new() };
    measure_on(Database::Sqlite, arguments, binary, &mut report).await?;
    if let Some(url) = &arguments.postgres {
        let database = Database::create(url).await?;
        let measured = measure_on(database.clone(), arguments, binary, &mut report).await;
        database.remove().await?;
        measured?;
    }
    Ok(report)
}

async fn measure_on(
    database: Database,
    arguments: &IssueArguments,
    binary: &Path,
    report: &mut Report,
) -> Result<(), String> {
    let folder = tempfile::Builder::new().prefix("chancery-bench-").tempdir().map_err(|error| error.to_string())?;
    let data = folder.path().join("data");
    let began = Instant::now();
    server::quickstart(binary, &data, &database)?;
    let first_certificate = began.elapsed();
    let server = Server::start(binary, &data, &database, arguments.server_cpus.as_deref()).await?;
    // Let the allocator and the database settle before "idle" is read.
    tokio::time::sleep(Duration::from_secs(2)).await;
    let idle_kib = server.resident_kib()?;
    for path in &arguments.paths {
        let requests = requests::prepare(&server, &data, *path).await?;
        for &clients in &arguments.clients {
            eprintln!("{} · {} · {clients} clients", database.as_str(), path.as_str());
            let bare = crypto::measure_pinned(arguments.server_cpus.as_deref())?;
            load::drive(server.address, &requests, clients, Duration::from_secs(1)).await?;
            let before = Sample::take(&server, &database).await?;
            let round = load::drive(server.address, &requests, clients, Duration::from_secs(arguments.seconds)).await?;
            let after = Sample::take(&server, &database).await?;
            let used = after.since(&before);
            report.rows.push(Row { database: database.as_str(), path: *path, clients, round, used, bare });
        }
    }
    let loaded_kib = server.resident_kib()?;
    report.starts.push(Start { database: database.as_str(), first_certificate, idle_kib, loaded_kib });
    server.stop().await
}
