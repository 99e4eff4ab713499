//! Which addresses may be asked.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

/// Public addresses are allowed. Inner ones (private, shared) only where the operator has listed their network; loopback
/// only where it is listed and, beside that, switched on, since this machine's own services are seldom meant to be asked
/// by whoever may write a URL; what can only be a slip or an attack (link-local and with it the metadata services,
/// unspecified, multicast, broadcast, reserved) never.
#[derive(Clone, Debug, Default)]
pub struct AddressPolicy {
    inner: Vec<IpNet>,
    loopback: bool,
}

/// What an address is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scope {
    Public,
    Inner,
    Loopback,
    Never,
}

impl AddressPolicy {
    /// `inner`: networks that are allowed although they are not public; those of loopback only with `loopback`.
    #[must_use]
    pub const fn new(inner: Vec<IpNet>, loopback: bool) -> Self {
        Self { inner, loopback }
    }

    /// Whether a network has a loopback address in it, in whatever wrapping.
    #[must_use]
    pub fn covers_loopback(network: &IpNet) -> bool {
        let covers = |inner: &str| {
            let inner = inner.parse::<IpNet>();
            inner.is_ok_and(|inner| network.contains(&inner) || inner.contains(network))
        };
        LOOPBACK.iter().any(|inner| covers(inner))
    }

    #[must_use]
    pub fn allows(&self, address: IpAddr) -> bool {
        let address = plain(address);
        match scope(address) {
            Scope::Public => true,
            Scope::Inner => self.lists(address),
            Scope::Loopback => self.loopback && self.lists(address),
            Scope::Never => false,
        }
    }

    fn lists(&self, address: IpAddr) -> bool {
        self.inner.iter().any(|network| network.contains(&address))
    }
}

/// Loopback, and the spellings that [`plain`] turns into it.
const LOOPBACK: &[&str] = &[
    "127.0.0.0/8",
    "::1/128",
    "::127.0.0.0/104",
    "::ffff:127.0.0.0/104",
    "::ffff:0:127.0.0.0/104",
    "64:ff9b::127.0.0.0/104",
    "2002:7f00::/24",
];

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
        [127, ..] => Scope::Loopback,
        [10, ..] | [172, 16..=31, ..] | [192, 168, ..] | [100, 64..=127, ..] => Scope::Inner,
        _ => Scope::Public,
    }
}

const fn scope_v6(address: Ipv6Addr) -> Scope {
    match address.segments() {
        [0, 0, 0, 0, 0, 0, 0, 1] => Scope::Loopback,
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
        "10.0.0.1",
        "172.16.0.1",
        "172.31.255.255",
        "192.168.1.1",
        "100.64.0.1",
        "fc00::1",
        "fd12:3456::1",
        "::ffff:10.0.0.1",
        "::ffff:0:10.0.0.1",
        "64:ff9b::192.168.0.1",
        "2002:0a00:1::",
    ];
    const LOCAL: &[&str] = &[
        "127.0.0.1",
        "127.8.8.8",
        "::1",
        "::ffff:127.0.0.1",
        "::127.0.0.1",
        "::ffff:0:127.0.0.1",
        "64:ff9b::127.0.0.1",
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
        let everything: Vec<IpNet> = vec!["0.0.0.0/0".parse().unwrap(), "::/0".parse().unwrap()];
        let closed = AddressPolicy::default();
        let switched = AddressPolicy::new(Vec::new(), true);
        let listed = AddressPolicy::new(everything.clone(), false);
        let open = AddressPolicy::new(everything, true);
        for (addresses, by_default, where_listed, with_loopback) in [
            (PUBLIC, true, true, true),
            (INNER, false, true, true),
            (LOCAL, false, false, true),
            (NEVER, false, false, false),
        ] {
            for text in addresses {
                let address: IpAddr = text.parse().unwrap();
                assert_eq!(closed.allows(address), by_default, "{text} by default");
                assert_eq!(switched.allows(address), by_default, "{text} with the switch and nothing listed");
                assert_eq!(listed.allows(address), where_listed, "{text} where everything is listed");
                assert_eq!(open.allows(address), with_loopback, "{text} where everything is listed, with the switch");
            }
        }
    }

    #[test]
    fn a_network_that_reaches_loopback_is_known_in_every_spelling() {
        for text in LOCAL {
            let network = IpNet::from(text.parse::<IpAddr>().unwrap());
            assert!(AddressPolicy::covers_loopback(&network), "{text}");
        }
        for (text, covers) in [
            ("127.0.0.0/8", true),
            ("127.3.0.0/16", true),
            ("0.0.0.0/0", true),
            ("64.0.0.0/2", true),
            ("::/0", true),
            ("::/96", true),
            ("::ffff:0:0/96", true),
            ("10.0.0.0/8", false),
            ("128.0.0.0/1", false),
            ("::2/128", false),
            ("::ffff:10.0.0.0/104", false),
            ("fc00::/7", false),
        ] {
            assert_eq!(AddressPolicy::covers_loopback(&text.parse().unwrap()), covers, "{text}");
        }
    }

    #[test]
    fn a_listed_network_opens_itself_alone() {
        let policy = AddressPolicy::new(vec!["10.1.0.0/16".parse().unwrap()], true);
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
