//! Many clients at once, each sending its next request when the last is answered.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::http::{Answer, Connection};
use super::machine;
use super::requests::Requests;

/// What the clients saw in one round.
pub struct Round {
    pub elapsed: Duration,
    /// Sorted, in microseconds.
    latencies: Vec<u32>,
    /// CPU that all clients together used, in microseconds.
    pub client_cpu_micros: u64,
}

impl Round {
    pub fn count(&self) -> usize {
        self.latencies.len()
    }

    pub fn per_second(&self) -> f64 {
        self.latencies.len() as f64 / self.elapsed.as_secs_f64()
    }

    /// The time within which this share of the requests was answered, in milliseconds.
    pub fn quantile_millis(&self, share: f64) -> f64 {
        quantile_millis(&self.latencies, share)
    }
}

/// The same of sorted microseconds.
pub fn quantile_millis(sorted: &[u32], share: f64) -> f64 {
    let at = ((sorted.len() as f64 * share).ceil() as usize).saturating_sub(1);
    sorted.get(at).map_or(0.0, |micros| f64::from(*micros) / 1000.0)
}

pub async fn drive(
    address: SocketAddr,
    requests: &Arc<Requests>,
    clients: usize,
    time: Duration,
) -> Result<Round, String> {
    let cpu = machine::cpu_micros("self")?;
    let began = Instant::now();
    let next = Arc::new(AtomicUsize::new(requests.begin()));
    let mut running = tokio::task::JoinSet::new();
    for _ in 0..clients {
        running.spawn(client(address, Arc::clone(requests), Arc::clone(&next), began + time));
    }
    let mut latencies = Vec::new();
    while let Some(done) = running.join_next().await {
        latencies.extend(done.map_err(|error| error.to_string())??);
    }
    let elapsed = began.elapsed();
    requests.end(next.load(Ordering::Relaxed));
    latencies.sort_unstable();
    Ok(Round { elapsed, latencies, client_cpu_micros: machine::cpu_micros("self")? - cpu })
}

async fn client(
    address: SocketAddr,
    requests: Arc<Requests>,
    next: Arc<AtomicUsize>,
    until: Instant,
) -> Result<Vec<u32>, String> {
    let mut connection = Connection::open(address).await?;
    let mut latencies = Vec::new();
    loop {
        let began = Instant::now();
        if began >= until {
            return Ok(latencies);
        }
        let request = requests.at(next.fetch_add(1, Ordering::Relaxed));
        let Answer { status, body } = connection.exchange(request).await?;
        // Only an answer that holds a certificate counts; anything else ends the measurement.
        if status != 200 || !contains(body, b"-----BEGIN CERTIFICATE-----") {
            return Err(format!("answered {status}: {}", String::from_utf8_lossy(body)));
        }
        latencies.push(u32::try_from(began.elapsed().as_micros()).unwrap_or(u32::MAX));
    }
}

fn contains(text: &[u8], needle: &[u8]) -> bool {
    text.windows(needle.len()).any(|window| window == needle)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_taken_from_sorted_times() {
        let round = Round {
            elapsed: Duration::from_secs(2),
            latencies: (1..=100).map(|n| n * 1000).collect(),
            client_cpu_micros: 0,
        };
        assert!((round.quantile_millis(0.5) - 50.0).abs() < f64::EPSILON);
        assert!((round.quantile_millis(0.99) - 99.0).abs() < f64::EPSILON);
        assert!((round.per_second() - 50.0).abs() < f64::EPSILON);
    }
}
