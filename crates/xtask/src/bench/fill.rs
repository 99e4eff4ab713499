//! An inventory of many certificates, made the only way there is: by issuing them over HTTP. Each has names of its own, so
//! that every index grows as it would in years of use.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;

use super::http::{Answer, Connection, request};
use super::server::{DOMAIN, Server};
use super::session::{Session, text};

/// Certificates are spread over so many teams: each team's names are a range of the name index.
pub const TEAMS: u64 = 1_000;
const REPORT_EVERY: Duration = Duration::from_secs(10);

/// The names of the certificate with this number.
pub fn host(number: u64) -> String {
    format!("host-{number}.team-{}.{DOMAIN}", number % TEAMS)
}

/// What the certificates are asked for with.
pub struct Filler {
    address: SocketAddr,
    token: String,
    profile: String,
    next: Arc<AtomicU64>,
}

impl Filler {
    /// Makes a profile whose keys are answered and not kept: what is measured is the inventory, not the sealing.
    pub async fn prepare(server: &Server, data: &Path) -> Result<Self, String> {
        let administrator = Session::administrator(server, data).await?;
        let quick = administrator.get("/api/v1/cert-manager/certificate-profiles/slug/tls-server").await?;
        let body = json!({
            "slug": "bench-inventory",
            "caId": text(&quick, "/certificateProfile/caId")?,
            "certificatePolicyId": text(&quick, "/certificateProfile/certificatePolicyId")?,
            "keyCustody": "returnOnce",
        });
        let made = administrator.post("/api/v1/cert-manager/certificate-profiles", &body).await?;
        let machine = Session::machine(server, data).await?;
        Ok(Self {
            address: server.address,
            token: machine.token,
            profile: text(&made, "/certificateProfile/id")?,
            next: Arc::default(),
        })
    }

    pub fn profile(&self) -> &str {
        &self.profile
    }

    /// How many have been asked for so far.
    pub fn issued(&self) -> u64 {
        self.next.load(Ordering::Relaxed)
    }

    /// Issues until the inventory has `count` certificates or the time is up; answers how many were issued, and how long
    /// it took.
    pub async fn run(&self, count: u64, time: Option<Duration>, clients: usize) -> Result<(u64, Duration), String> {
        let began = Instant::now();
        let before = self.issued();
        let until = time.map(|time| began + time);
        let mut running = tokio::task::JoinSet::new();
        for _ in 0..clients {
            let next = Arc::clone(&self.next);
            running.spawn(client(self.address, self.token.clone(), self.profile.clone(), next, (count, until)));
        }
        let mut last = Instant::now();
        while !running.is_empty() {
            match tokio::time::timeout(Duration::from_secs(1), running.join_next()).await {
                Ok(Some(done)) => done.map_err(|error| error.to_string())??,
                Ok(None) => break,
                Err(_) if last.elapsed() >= REPORT_EVERY => {
                    last = Instant::now();
                    report(self.issued().min(count), before, count, began.elapsed());
                }
                Err(_) => {}
            }
        }
        // Each client drew one number too many before it stopped.
        let issued = self.issued().min(count) - before.min(count);
        self.next.store(before + issued, Ordering::Relaxed);
        Ok((issued, began.elapsed()))
    }
}

fn report(done: u64, before: u64, count: u64, elapsed: Duration) {
    let rate = (done - before) as f64 / elapsed.as_secs_f64().max(0.001);
    let left = if rate > 0.0 { count.saturating_sub(done) as f64 / rate } else { 0.0 };
    eprintln!("{done} of {count} certificates, {rate:.0}/s, {left:.0} s left");
}

async fn client(
    address: SocketAddr,
    token: String,
    profile: String,
    next: Arc<AtomicU64>,
    (count, until): (u64, Option<Instant>),
) -> Result<(), String> {
    let mut connection = Connection::open(address).await?;
    loop {
        if until.is_some_and(|until| Instant::now() >= until) {
            return Ok(());
        }
        let number = next.fetch_add(1, Ordering::Relaxed);
        if number >= count {
            return Ok(());
        }
        let name = host(number);
        let body = format!(
            "{{\"profileId\":\"{profile}\",\"attributes\":{{\"commonName\":\"{name}\",\"altNames\":[{{\"type\":\"dns_name\",\"value\":\"{name}\"}},\
             {{\"type\":\"dns_name\",\"value\":\"alias-{number}.{DOMAIN}\"}}],\"ttl\":\"{}d\"}}}}",
            // Ends spread over most of a year, as they would be.
            30 + number % 300,
        );
        let asked = request("POST", "/api/v1/cert-manager/certificates", Some(&token), Some(&body));
        let Answer { status, body } = connection.exchange(&asked).await?;
        if status != 200 {
            return Err(format!("answered {status}: {}", String::from_utf8_lossy(body)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_distinct_and_spread_over_the_teams() {
        let names: std::collections::HashSet<String> = (0..5_000).map(host).collect();
        assert_eq!(names.len(), 5_000);
        assert_eq!(names.iter().filter(|name| name.contains(".team-7.")).count(), 5);
    }
}
