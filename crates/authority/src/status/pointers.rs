//! Where certificates say that their revocation is told: the addresses, and which partition a certificate belongs to.

use chancery_model::{CaId, CrlId};
use chancery_pkix::SerialNumber;

/// The revocation pointers of one certificate. Empty lists leave the extension out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Pointers {
    /// 0 for the complete CRL alone.
    pub partition: u32,
    /// RFC 5280 §4.2.1.13.
    pub crl: Vec<String>,
    /// RFC 5280 §4.2.1.15.
    pub freshest_crl: Vec<String>,
    /// RFC 5280 §4.2.2.1.
    pub ocsp: Vec<String>,
}

/// Serial numbers are random, so their first octets spread certificates evenly.
pub(crate) fn partition(serial: &SerialNumber, partitions: u32) -> u32 {
    match serial.as_bytes().first_chunk::<4>() {
        Some(head) if partitions > 1 => 1 + u32::from_be_bytes(*head) % partitions,
        _ => 0,
    }
}

pub(crate) fn crl_url(base: &str, id: CrlId) -> String {
    format!("{base}/api/v1/cert-manager/crl/{id}/der")
}

pub(crate) fn delta_url(base: &str, id: CrlId) -> String {
    format!("{base}/api/v1/cert-manager/crl/{id}/delta/der")
}

pub(crate) fn ocsp_url(base: &str, ca: CaId) -> String {
    format!("{base}/api/v1/cert-manager/ocsp/{ca}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn serial_numbers_spread_over_every_partition_and_one_partition_is_none() {
        let serials: Vec<SerialNumber> =
            (0..400u16).map(|n| SerialNumber::from_random([n.to_be_bytes(); 8].concat().try_into().unwrap())).collect();
        assert!(serials.iter().all(|serial| partition(serial, 1) == 0 && partition(serial, 0) == 0));
        let mut hit = [0; 5];
        for serial in &serials {
            let chosen = partition(serial, 4);
            assert!((1..=4).contains(&chosen));
            hit[usize::try_from(chosen).unwrap()] += 1;
        }
        assert!(hit[1..].iter().all(|count| *count > 50), "{hit:?}");
    }
}
