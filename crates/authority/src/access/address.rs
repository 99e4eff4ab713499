//! Trusted addresses: the CIDR ranges from which a secret or a token is accepted.

use std::net::IpAddr;

use ipnet::IpNet;

use crate::error::Error;

/// More ranges than this in one list are refused.
const RANGES_MAX: usize = 100;

/// A list of ranges; the empty list means anywhere.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct TrustedRanges(Vec<IpNet>);

impl TrustedRanges {
    /// Takes ranges (`10.0.0.0/8`) and single addresses. `field` is the wire's name of the list.
    pub fn parse(field: &str, texts: &[String]) -> Result<Self, Error> {
        if texts.len() > RANGES_MAX {
            return Err(Error::malformed(
                "identity.trusted_ips",
                field,
                format!("at most {RANGES_MAX} ranges are accepted"),
            ));
        }
        let mut ranges = Vec::with_capacity(texts.len());
        for (index, text) in texts.iter().enumerate() {
            let range = parse_range(text).ok_or_else(|| {
                let shown: String = text.chars().take(64).collect();
                let message = format!("'{shown}' is neither an IP address nor a range such as 10.0.0.0/8");
                Error::malformed("identity.trusted_ips", format!("{field}[{index}]"), message)
            })?;
            ranges.push(range);
        }
        Ok(Self(ranges))
    }

    pub fn contains(&self, ip: IpAddr) -> bool {
        // A dual-stack listener shows an IPv4 peer as ::ffff:a.b.c.d; the ranges speak of the IPv4 address.
        let ip = ip.to_canonical();
        self.0.is_empty() || self.0.iter().any(|range| range.contains(&ip))
    }

    /// The ranges as they are stored: canonical, host bits cleared.
    pub fn to_texts(&self) -> Vec<String> {
        self.0.iter().map(ToString::to_string).collect()
    }
}

fn parse_range(text: &str) -> Option<IpNet> {
    let text = text.trim();
    if let Ok(range) = text.parse::<IpNet>() {
        return Some(range.trunc());
    }
    text.parse::<IpAddr>().ok().map(|ip| IpNet::from(ip.to_canonical()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(ranges: &[&str], ip: &str, expected: bool) {
        let texts: Vec<String> = ranges.iter().map(|it| (*it).to_owned()).collect();
        let parsed = TrustedRanges::parse("accessTokenTrustedIps", &texts).unwrap();
        assert_eq!(parsed.contains(ip.parse().unwrap()), expected, "{ranges:?} {ip}");
    }

    #[test]
    fn ranges_admit_what_lies_inside_them() {
        check(&[], "203.0.113.9", true);
        check(&["10.0.0.0/8"], "10.200.3.4", true);
        check(&["10.0.0.0/8"], "11.0.0.1", false);
        check(&["10.0.0.0/8"], "::ffff:10.0.0.1", true);
        check(&["10.0.0.0/8"], "::1", false);
        check(&["192.0.2.7"], "192.0.2.7", true);
        check(&["192.0.2.7"], "192.0.2.8", false);
        check(&["0.0.0.0/0"], "2001:db8::1", false);
        check(&["0.0.0.0/0", "::/0"], "2001:db8::1", true);
        check(&["2001:db8::/32"], "2001:db8:1::5", true);
    }

    #[test]
    fn what_is_no_range_is_refused_by_position() {
        for text in ["", "10.0.0.0/33", "300.1.1.1", "example.com", "10.0.0.0/-1", "::/129"] {
            let error = TrustedRanges::parse("ips", &["::/0".to_owned(), text.to_owned()]).unwrap_err();
            assert!(matches!(&error, Error::Malformed { field, .. } if field == "ips[1]"), "{text}: {error}");
        }
        assert!(TrustedRanges::parse("ips", &vec!["10.0.0.1".to_owned(); 101]).is_err());
    }

    #[test]
    fn host_bits_are_cleared_when_stored() {
        let parsed = TrustedRanges::parse("ips", &["10.1.2.3/8".to_owned(), "192.0.2.7".to_owned()]).unwrap();
        assert_eq!(parsed.to_texts(), ["10.0.0.0/8", "192.0.2.7/32"]);
    }
}
