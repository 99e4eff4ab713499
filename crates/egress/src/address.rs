//! Which addresses may be asked.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

/// Public addresses are allowed. Inner ones (loopback, private, shared) only where the operator has listed their
/// network; what can only be a slip or an attack (link-local and with it the metadata services, unspecified, multicast,
/// broadcast, reserved) never.
#[derive(Clone, Debug, Default)]
pub struct AddressPolicy {
    inner: Vec<IpNet>,
}

/// What an address is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scope {
    Public,
    Inner,
    Never,
}

impl AddressPolicy {
    /// `inner`: networks that are allowed although they are not public.
    #[must_use]
    pub const fn new(inner: Vec<IpNet>) -> Self {
        Self { inner }
    }

    #[must_use]
    pub fn allows(&self, address: IpAddr) -> bool {
        let address = plain(address);
        match scope(address) {
            Scope::Public => true,
            Scope::Inner => self.inner.iter().any(|network| network.contains(&address)),
            Scope::Never => false,
        }
    }
}

/// An IPv6 address that only wraps an IPv4 one is judged as that one: mapped and compatible (RFC 4291 §2.5.5), NAT64
/// (RFC 6052 §2.1), 6to4 (RFC 3056 §2).
fn plain(address: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = address else { return address };
    let [a, b, c, d, e, f, high, low] = v6.segments();
    let tail = |high: u16, low: u16| {
        let ([one, two], [three, four]) = (high.to_be_bytes(), low.to_be_bytes());
        IpAddr::V4(Ipv4Addr::new(one, two, three, four))
    };
    match (a, b, c, d, e, f) {
        // Unspecified and loopback are IPv6's own.
        (0, 0, 0, 0, 0, 0) if high != 0 => tail(high, low),
        (0, 0, 0, 0, 0, 0xffff) | (0, 0, 0, 0, 0xffff, 0) | (0x64, 0xff9b, 0, 0, 0, 0) => tail(high, low),
        (0x2002, ..) => tail(b, c),
        _ => address,
    }
}

const fn scope(address: IpAddr) -> Scope {
    match address {
        IpAddr::V4(v4) => scope_v4(v4),
        IpAddr::V6(v6) => scope_v6(v6),
    }
}

/// The registry of RFC 6890 and its successors, by what it means for a client.
const fn scope_v4(address: Ipv4Addr) -> Scope {
    match address.octets() {
        // "This network", link-local with the metadata service, protocol assignments, documentation, 6to4 relays,
        // benchmarks, multicast, reserved and broadcast.
        [0, ..]
        | [169, 254, ..]
        | [192, 0, 0 | 2, _]
        | [192, 88, 99, _]
        | [198, 18 | 19, ..]
        | [198, 51, 100, _]
        | [203, 0, 113, _]
        | [224..=255, ..] => Scope::Never,
        [10 | 127, ..] | [172, 16..=31, ..] | [192, 168, ..] | [100, 64..=127, ..] => Scope::Inner,
        _ => Scope::Public,
    }
}

const fn scope_v6(address: Ipv6Addr) -> Scope {
    match address.segments() {
        [0, 0, 0, 0, 0, 0, 0, 1] => Scope::Inner,
        // The metadata service of one cloud lies within the private range.
        [0xfd00, 0xec2, ..] => Scope::Never,
        [0xfc00..=0xfdff, ..] => Scope::Inner,
        // Teredo, benchmarks, ORCHID and documentation lie within the global range; local NAT64 wraps what it likes.
        [0x2001, 0..=0x1ff | 0xdb8, ..] | [0x3fff, 0..=0xfff, ..] => Scope::Never,
        [0x2000..=0x3fff, ..] => Scope::Public,
        _ => Scope::Never,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PUBLIC: &[&str] = &["1.1.1.1", "93.184.216.34", "172.15.0.1", "172.32.0.1", "100.128.0.1", "2606:4700::1111"];
    const INNER: &[&str] = &[
        "127.0.0.1",
        "127.8.8.8",
        "10.0.0.1",
        "172.16.0.1",
        "172.31.255.255",
        "192.168.1.1",
        "100.64.0.1",
        "::1",
        "fc00::1",
        "fd12:3456::1",
        "::ffff:10.0.0.1",
        "::ffff:127.0.0.1",
        "::127.0.0.1",
        "::ffff:0:10.0.0.1",
        "64:ff9b::192.168.0.1",
        "2002:7f00:1::",
    ];
    const NEVER: &[&str] = &[
        "0.0.0.0",
        "0.1.2.3",
        "169.254.169.254",
        "169.254.0.1",
        "::ffff:169.254.169.254",
        "64:ff9b::169.254.169.254",
        "2002:a9fe:a9fe::",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "192.0.0.1",
        "198.18.0.1",
        "203.0.113.7",
        "::",
        "fe80::1",
        "fec0::1",
        "ff02::1",
        "fd00:ec2::254",
        "64:ff9b:1::1",
        "2001:0:1::1",
        "2001:db8::1",
        "100::1",
    ];

    #[test]
    fn public_addresses_are_allowed_inner_ones_where_listed_and_others_never() {
        let closed = AddressPolicy::default();
        let open = AddressPolicy::new(vec!["0.0.0.0/0".parse().unwrap(), "::/0".parse().unwrap()]);
        for (addresses, by_default, where_listed) in [(PUBLIC, true, true), (INNER, false, true), (NEVER, false, false)]
        {
            for text in addresses {
                let address: IpAddr = text.parse().unwrap();
                assert_eq!(closed.allows(address), by_default, "{text} by default");
                assert_eq!(open.allows(address), where_listed, "{text} where everything is listed");
            }
        }
    }

    #[test]
    fn a_listed_network_opens_itself_alone() {
        let policy = AddressPolicy::new(vec!["10.1.0.0/16".parse().unwrap()]);
        for (text, allowed) in [
            ("10.1.2.3", true),
            ("::ffff:10.1.2.3", true),
            ("10.2.0.1", false),
            ("127.0.0.1", false),
            ("8.8.8.8", true),
        ] {
            assert_eq!(policy.allows(text.parse().unwrap()), allowed, "{text}");
        }
    }
}
