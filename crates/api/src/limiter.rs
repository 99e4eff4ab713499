//! Token buckets per address for calls that prove nothing: public routes and failed authentications.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// Calls per second, and how many may come at once.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RateLimit {
    pub per_second: f64,
    pub burst: f64,
}

impl Default for RateLimit {
    fn default() -> Self {
        Self { per_second: 50.0, burst: 100.0 }
    }
}

/// Addresses remembered; beyond that those that have recovered are forgotten.
const ADDRESSES_MAX: usize = 10_000;

/// A bucket for each address.
pub struct Limiter {
    limit: RateLimit,
    buckets: Mutex<HashMap<IpAddr, Bucket>>,
}

struct Bucket {
    tokens: f64,
    filled_at: Instant,
}

impl Limiter {
    #[must_use]
    pub fn new(limit: RateLimit) -> Self {
        Self { limit, buckets: Mutex::new(HashMap::new()) }
    }

    /// Takes one call out of the address's bucket; `Err` says after how many seconds there is one again.
    pub fn take(&self, address: IpAddr) -> Result<(), u64> {
        self.take_at(address, Instant::now())
    }

    fn take_at(&self, address: IpAddr, now: Instant) -> Result<(), u64> {
        let limit = self.limit;
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        if buckets.len() >= ADDRESSES_MAX {
            buckets.retain(|_, bucket| bucket.level(limit, now) < limit.burst);
            if buckets.len() >= ADDRESSES_MAX {
                buckets.clear();
            }
        }
        let bucket = buckets.entry(network(address)).or_insert(Bucket { tokens: limit.burst, filled_at: now });
        bucket.tokens = bucket.level(limit, now);
        bucket.filled_at = now;
        if bucket.tokens >= 1.0 {
            bucket.tokens -= 1.0;
            return Ok(());
        }
        let seconds = ((1.0 - bucket.tokens) / limit.per_second.max(f64::MIN_POSITIVE)).ceil();
        Err(if seconds < 3_600.0 { (seconds as u64).max(1) } else { 3_600 })
    }
}

impl Bucket {
    fn level(&self, limit: RateLimit, now: Instant) -> f64 {
        let elapsed = now.saturating_duration_since(self.filled_at).as_secs_f64();
        (self.tokens + elapsed * limit.per_second).min(limit.burst)
    }
}

/// One customer usually holds a whole /64, so that is what an IPv6 address counts as.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_burst_is_let_through_and_then_the_rate() {
        let limiter = Limiter::new(RateLimit { per_second: 10.0, burst: 3.0 });
        let start = Instant::now();
        let address: IpAddr = "192.0.2.1".parse().unwrap();
        for _ in 0..3 {
            assert_eq!(limiter.take_at(address, start), Ok(()));
        }
        assert_eq!(limiter.take_at(address, start), Err(1));
        assert_eq!(limiter.take_at("192.0.2.2".parse().unwrap(), start), Ok(()), "another address is another bucket");
        assert_eq!(limiter.take_at(address, start + Duration::from_millis(101)), Ok(()));
        assert_eq!(limiter.take_at(address, start + Duration::from_millis(102)), Err(1));
    }

    #[test]
    fn an_ipv6_network_and_a_mapped_address_share_a_bucket() {
        assert_eq!(network("2001:db8:1:2:3::4".parse().unwrap()), network("2001:db8:1:2:ffff::".parse().unwrap()));
        assert_ne!(network("2001:db8:1:2::".parse().unwrap()), network("2001:db8:1:3::".parse().unwrap()));
        assert_eq!(network("::ffff:192.0.2.1".parse().unwrap()), network("192.0.2.1".parse().unwrap()));
    }

    #[test]
    fn the_memory_stays_bounded() {
        let limiter = Limiter::new(RateLimit::default());
        let now = Instant::now();
        for number in 0..20_000_u32 {
            limiter.take_at(IpAddr::from(number.to_be_bytes()), now).unwrap();
        }
        assert!(limiter.buckets.lock().unwrap().len() <= ADDRESSES_MAX);
    }
}
