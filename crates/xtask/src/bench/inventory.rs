//! `bench inventory`: what a large inventory costs, in time to start, to find and to go on issuing.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::Args;
use serde_json::{Value, json};

use super::database::Database;
use super::fill::{Filler, TEAMS, host};
use super::http::{Answer, Connection, request};
use super::load::quantile_millis;
use super::server::{self, DOMAIN, Sample, Server};
use super::session::{Session, text};
use super::{machine, report};
use crate::workspace::Workspace;

#[derive(Args)]
pub struct InventoryArguments {
    /// Certificates in the inventory
    #[arg(long, default_value_t = 1_000_000)]
    certificates: u64,
    /// Concurrent clients while it is filled
    #[arg(long, default_value_t = 32)]
    clients: usize,
    /// Measured seconds for each kind of search
    #[arg(long, default_value_t = 4)]
    seconds: u64,
    /// On a fresh database of this PostgreSQL server (an administrator's URL) in place of SQLite
    #[arg(long, value_name = "URL")]
    postgres: Option<String>,
    /// Where the data lies meanwhile; a folder of its own is made there and removed
    #[arg(long, value_name = "DIRECTORY")]
    folder: Option<PathBuf>,
    /// Measure this program instead of building one for release
    #[arg(long, value_name = "FILE")]
    pub binary: Option<PathBuf>,
    /// Print the table and leave docs/reference/performance.md as it is
    #[arg(long)]
    print_only: bool,
}

/// Bytes of disk for each certificate while the database is filled, its log included: measured, and rounded up.
const DISK_BYTES_EACH: u64 = 6_000;
/// Searching clients.
const SEARCHERS: usize = 8;
const RATE_WINDOW: Duration = Duration::from_secs(20);
const WARM_UP: Duration = Duration::from_secs(2);

/// How fast certificates were issued, and what one cost the server.
struct Rate {
    per_second: f64,
    cpu_micros: f64,
}

struct Search {
    what: &'static str,
    count: usize,
    p50: f64,
    p99: f64,
}

struct Start {
    how: &'static str,
    ready: Duration,
    first_certificate: Duration,
}

pub fn run(workspace: &Workspace, arguments: &InventoryArguments, binary: &Path) -> Result<(), String> {
    let runtime = tokio::runtime::Runtime::new().map_err(|error| format!("no runtime: {error}"))?;
    let table = runtime.block_on(measure(arguments, binary))?;
    println!("{table}");
    if arguments.print_only { Ok(()) } else { report::write(workspace, "inventory", &table) }
}

async fn measure(arguments: &InventoryArguments, binary: &Path) -> Result<String, String> {
    let mut builder = tempfile::Builder::new();
    builder.prefix("chancery-bench-");
    let folder = match &arguments.folder {
        Some(place) => builder.tempdir_in(place),
        None => builder.tempdir(),
    };
    let folder = folder.map_err(|error| error.to_string())?;
    refuse_small_disk(folder.path(), arguments.certificates)?;
    let database = match &arguments.postgres {
        Some(url) => Database::create(url).await?,
        None => Database::Sqlite,
    };
    let measured = measure_on(arguments, binary, &folder.path().join("data"), &database).await;
    database.remove().await?;
    measured
}

/// Says what will be needed, and stops before a disk is filled.
fn refuse_small_disk(folder: &Path, certificates: u64) -> Result<(), String> {
    let needed = certificates.saturating_mul(DISK_BYTES_EACH) / (1 << 20);
    let free = machine::last_line("df", &["--output=avail", "-BM", &folder.display().to_string()]);
    let free: u64 = free.trim_end_matches('M').parse().map_err(|_| format!("df said {free:?}"))?;
    eprintln!("{certificates} certificates need about {needed} MiB in {}; {free} MiB are free there", folder.display());
    if free < needed + 1_024 {
        return Err("too little room: give another --folder or fewer --certificates".to_owned());
    }
    Ok(())
}

async fn measure_on(
    arguments: &InventoryArguments,
    binary: &Path,
    data: &Path,
    database: &Database,
) -> Result<String, String> {
    server::quickstart(binary, data, database)?;
    let server = Server::start(binary, data, database, None).await?;
    let filler = Filler::prepare(&server, data).await?;
    let (clients, count) = (arguments.clients, arguments.certificates);
    filler.run(u64::MAX, Some(WARM_UP), clients).await?;
    let empty = rate(&filler, &server, database, clients).await?;
    eprintln!("empty: {:.0}/s", empty.per_second);
    filler.run(count, None, clients).await?;
    filler.run(u64::MAX, Some(WARM_UP), clients).await?;
    let full = rate(&filler, &server, database, clients).await?;
    eprintln!("full: {:.0}/s", full.per_second);
    let loaded_kib = server.resident_kib()?;
    let searches = searches(&server, data, &filler, arguments.seconds).await?;
    let mut starts = Vec::new();
    server.stop().await?;
    let (server, start) = timed_start("after a stop", binary, data, database, &filler).await?;
    starts.push(start);
    server.kill().await?;
    let (server, start) = timed_start("after a kill -9", binary, data, database, &filler).await?;
    starts.push(start);
    let idle_kib = server.resident_kib()?;
    server.stop().await?;
    let bytes = stored_bytes(data, database).await?;
    Ok(render(&Measured {
        database: database.as_str(),
        certificates: filler.issued(),
        rates: [empty, full],
        memory_kib: [loaded_kib, idle_kib],
        searches,
        starts,
        bytes,
    }))
}

async fn rate(filler: &Filler, server: &Server, database: &Database, clients: usize) -> Result<Rate, String> {
    let before = Sample::take(server, database).await?;
    let (issued, elapsed) = filler.run(u64::MAX, Some(RATE_WINDOW), clients).await?;
    let used = Sample::take(server, database).await?.since(&before);
    let issued = issued.max(1) as f64;
    Ok(Rate { per_second: issued / elapsed.as_secs_f64(), cpu_micros: used.cpu_micros as f64 / issued })
}

async fn timed_start(
    how: &'static str,
    binary: &Path,
    data: &Path,
    database: &Database,
    filler: &Filler,
) -> Result<(Server, Start), String> {
    let began = Instant::now();
    let server = Server::start(binary, data, database, None).await?;
    loop {
        let mut connection = Connection::open(server.address).await?;
        if connection.exchange(&request("GET", "/readyz", None, None)).await?.status == 200 {
            break;
        }
        if began.elapsed() > Duration::from_secs(60) {
            return Err("the server is not ready after a minute".to_owned());
        }
    }
    let ready = began.elapsed();
    let machine = Session::machine(&server, data).await?;
    let body =
        json!({"profileId": filler.profile(), "attributes": {"commonName": format!("first.{DOMAIN}"), "ttl": "1d"}});
    machine.post("/api/v1/cert-manager/certificates", &body).await?;
    Ok((server, Start { how, ready, first_certificate: began.elapsed() }))
}

/// One kind of question: the requests to ask in turn.
struct Question {
    what: &'static str,
    requests: Vec<Vec<u8>>,
}

async fn searches(server: &Server, data: &Path, filler: &Filler, seconds: u64) -> Result<Vec<Search>, String> {
    let administrator = Session::administrator(server, data).await?;
    let project = administrator.get("/api/v1/projects").await?;
    let project = text(&project, "/projects/0/id").or_else(|_| text(&project, "/workspaces/0/id"))?;
    let questions =
        questions(&administrator, filler, &format!("/api/v1/projects/{project}/certificates/search")).await?;
    let mut found = Vec::new();
    for question in questions {
        eprintln!("{}", question.what);
        found.push(ask(server.address, question, Duration::from_secs(seconds)).await?);
    }
    Ok(found)
}

async fn questions(session: &Session, filler: &Filler, search: &str) -> Result<Vec<Question>, String> {
    let known = filler.issued().max(2);
    // Spread over the whole inventory, not over what was issued last.
    let some = |n: u64| (n.wrapping_mul(2_654_435_761)) % known;
    let token = session.token.clone();
    let searching = |what: &'static str, bodies: Vec<Value>| Question {
        what,
        requests: bodies.iter().map(|body| request("POST", search, Some(&token), Some(&body.to_string()))).collect(),
    };
    let each = |body: &dyn Fn(u64) -> Value| (0..200).map(body).collect::<Vec<_>>();
    let mut samples = Vec::new();
    for n in 0..50 {
        let found = session.post(search, &json!({"commonName": host(some(n)), "limit": 1})).await?;
        samples.push(found.pointer("/certificates/0").cloned().ok_or("a certificate that was issued is not found")?);
    }
    let field = |name: &str| samples.iter().map(|it| text(it, name)).collect::<Result<Vec<_>, _>>();
    let (ids, serials, fingerprints) = (field("/id")?, field("/serialNumber")?, field("/fingerprintSha256")?);
    let first = samples.first().ok_or("no certificates")?;
    let (profile, ca) = (text(first, "/profileId")?, text(first, "/caId")?);
    let ends: Vec<String> = field("/notAfter")?;
    let deep = deep_cursor(session, search, 400).await?;
    let by_id = |path: &dyn Fn(&str) -> String| {
        ids.iter().map(|id| request("GET", &path(id), Some(&token), None)).collect::<Vec<_>>()
    };
    Ok(vec![
        searching("first page, newest first", vec![json!({"limit": 25})]),
        searching("page 400 by its cursor", vec![json!({"limit": 25, "cursor": deep})]),
        searching("exact common name", each(&|n| json!({"commonName": host(some(n))}))),
        searching("whole SAN", each(&|n| json!({"search": format!("alias-{}.{DOMAIN}", some(n))}))),
        searching("names under a domain", each(&|n| json!({"commonName": format!("*.team-{}.{DOMAIN}", n % TEAMS)}))),
        searching("serial number", serials.iter().map(|it| json!({"search": it})).collect()),
        searching("fingerprint", fingerprints.iter().map(|it| json!({"search": it})).collect()),
        searching("part of a name", each(&|n| json!({"search": format!("host-{}", some(n) % 1_000)}))),
        searching("status = revoked", vec![json!({"status": "revoked"})]),
        searching("view: expiring", vec![json!({"view": "expiring", "sortBy": "notAfter", "sortOrder": "asc"})]),
        searching("view: superseded but active", vec![json!({"view": "superseded-active"})]),
        searching(
            "one day's ends, sorted by end",
            ends.iter().map(|it| json!({"notAfterFrom": it, "sortBy": "notAfter", "sortOrder": "asc"})).collect(),
        ),
        searching("a profile's, newest first", vec![json!({"profileIds": [profile]})]),
        searching("a CA's, active, by end", vec![json!({"caIds": [ca], "status": "active", "sortBy": "notAfter"})]),
        Question {
            what: "one certificate by its id",
            requests: by_id(&|id| format!("/api/v1/cert-manager/certificates/{id}")),
        },
        Question {
            what: "statistics for a dashboard",
            requests: vec![request("GET", "/api/v1/cert-manager/certificates/statistics", Some(&token), None)],
        },
        Question {
            what: "audit log, newest page",
            requests: vec![request("GET", "/api/v1/audit-logs?limit=50", Some(&token), None)],
        },
        Question {
            what: "renewals to come",
            requests: vec![request("GET", "/api/v1/cert-manager/renewals/forecast?days=90", Some(&token), None)],
        },
    ])
}

/// Walks so many pages.
async fn deep_cursor(session: &Session, search: &str, pages: usize) -> Result<Value, String> {
    let mut cursor = Value::Null;
    for _ in 0..pages {
        // A null cursor is none.
        let page = session.post(search, &json!({"limit": 25, "cursor": cursor})).await?;
        cursor = page.get("nextCursor").cloned().unwrap_or(Value::Null);
        if cursor.is_null() {
            return Err("the list ended before page 400".to_owned());
        }
    }
    Ok(cursor)
}

async fn ask(address: SocketAddr, question: Question, time: Duration) -> Result<Search, String> {
    let requests = std::sync::Arc::new(question.requests);
    let mut running = tokio::task::JoinSet::new();
    for client in 0..SEARCHERS {
        let requests = std::sync::Arc::clone(&requests);
        running.spawn(async move {
            let mut connection = Connection::open(address).await?;
            let mut latencies = Vec::new();
            let until = Instant::now() + time;
            let mut turn = client;
            while Instant::now() < until {
                let began = Instant::now();
                let asked = requests.get(turn % requests.len()).map_or(&[][..], Vec::as_slice);
                let Answer { status, body } = connection.exchange(asked).await?;
                if status != 200 {
                    return Err(format!("answered {status}: {}", String::from_utf8_lossy(body)));
                }
                latencies.push(u32::try_from(began.elapsed().as_micros()).unwrap_or(u32::MAX));
                turn += SEARCHERS;
            }
            Ok(latencies)
        });
    }
    let mut latencies = Vec::new();
    while let Some(done) = running.join_next().await {
        latencies.extend(done.map_err(|error| error.to_string())??);
    }
    latencies.sort_unstable();
    Ok(Search {
        what: question.what,
        count: latencies.len(),
        p50: quantile_millis(&latencies, 0.5),
        p99: quantile_millis(&latencies, 0.99),
    })
}

/// Bytes that the database takes on disk.
async fn stored_bytes(data: &Path, database: &Database) -> Result<u64, String> {
    if let Some(bytes) = database.stored_bytes().await? {
        return Ok(bytes);
    }
    let entries = std::fs::read_dir(data).map_err(|error| error.to_string())?;
    let files = entries.filter_map(Result::ok).filter(|it| it.file_name().to_string_lossy().starts_with("chancery.db"));
    Ok(files.filter_map(|it| it.metadata().ok()).map(|it| it.len()).sum())
}

struct Measured {
    database: &'static str,
    certificates: u64,
    rates: [Rate; 2],
    memory_kib: [u64; 2],
    searches: Vec<Search>,
    starts: Vec<Start>,
    bytes: u64,
}

// Writing to a String cannot fail, so the results are dropped below.
fn render(it: &Measured) -> String {
    let mut text = report::heading();
    let [empty, full] = &it.rates;
    let share = full.per_second / empty.per_second * 100.0;
    let each = it.bytes as f64 / it.certificates.max(1) as f64;
    let mib = |kib: u64| kib as f64 / 1024.0;
    let _ = writeln!(
        text,
        "\n{} certificates on {}: {:.2} GiB on disk, {each:.0} bytes each. Resident {:.0} MiB after filling and searching \
         began, {:.0} MiB after a start.\n\n\
         | issuing (server-made key, returned once) | certificates/s | server CPU µs each |\n|---|---|---|",
        it.certificates,
        it.database,
        it.bytes as f64 / f64::from(1u32 << 30),
        mib(it.memory_kib[0]),
        mib(it.memory_kib[1]),
    );
    let _ = writeln!(text, "| empty store | {:.0} | {:.0} |", empty.per_second, empty.cpu_micros);
    let _ = writeln!(text, "| full store | {:.0} ({share:.0} %) | {:.0} |", full.per_second, full.cpu_micros);
    let _ = writeln!(text, "\n| start | ready after ms | first certificate after ms |\n|---|---|---|");
    for start in &it.starts {
        let millis = |it: Duration| it.as_secs_f64() * 1000.0;
        let _ =
            writeln!(text, "| {} | {:.0} | {:.0} |", start.how, millis(start.ready), millis(start.first_certificate));
    }
    let _ = writeln!(text, "\n| question, {SEARCHERS} clients | asked | p50 ms | p99 ms |\n|---|---|---|---|");
    for search in &it.searches {
        let _ = writeln!(text, "| {} | {} | {:.2} | {:.2} |", search.what, search.count, search.p50, search.p99);
    }
    text
}
