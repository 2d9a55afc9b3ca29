//! Addresses that a registry, a token realm or a redirect may resolve to (SSRF: CVE-2026-10517, Quay CVE-2026-2376).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// An IP range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AddressRange {
    /// First address.
    pub network: IpAddr,
    /// Bits of the prefix.
    pub prefix: u8,
}

/// A text that is no IP range.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected an IP address or a range such as 10.0.0.0/8, found {found:?}")]
pub struct AddressRangeError {
    /// What stands there.
    pub found: String,
}

impl AddressRange {
    /// The range of one address.
    #[must_use]
    pub const fn single(address: IpAddr) -> Self {
        let prefix = if address.is_ipv4() { 32 } else { 128 };
        Self { network: address, prefix }
    }

    /// Whether `address` lies in the range. IPv4 and IPv6 never lie in each other's ranges.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.network, address) {
            (IpAddr::V4(network), IpAddr::V4(address)) => {
                let host_bits = 32_u32.saturating_sub(u32::from(self.prefix));
                (u32::from(network) ^ u32::from(address)).checked_shr(host_bits).unwrap_or(0) == 0
            }
            (IpAddr::V6(network), IpAddr::V6(address)) => {
                let host_bits = 128_u32.saturating_sub(u32::from(self.prefix));
                (u128::from(network) ^ u128::from(address)).checked_shr(host_bits).unwrap_or(0) == 0
            }
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
        }
    }
}

impl FromStr for AddressRange {
    type Err = AddressRangeError;

    fn from_str(text: &str) -> Result<Self, AddressRangeError> {
        let error = || AddressRangeError { found: text.chars().take(64).collect() };
        let (network, prefix) = match text.split_once('/') {
            Some((network, prefix)) => (network, Some(prefix)),
            None => (text, None),
        };
        let single = Self::single(network.parse().map_err(|_| error())?);
        match prefix {
            None => Ok(single),
            Some(prefix) => {
                let prefix = prefix.parse::<u8>().ok().filter(|bits| *bits <= single.prefix).ok_or_else(error)?;
                Ok(Self { prefix, ..single })
            }
        }
    }
}

/// Decides after name resolution whether an address may be dialled.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AddressGuard {
    /// Ranges that are allowed although they are private or special.
    pub allowed: Vec<AddressRange>,
    /// Allows every address: for the command line, where the user names the host. Never for the gate.
    pub unrestricted: bool,
}

impl AddressGuard {
    /// Whether `address` may be dialled: public unicast, or in an allowed range. An IPv6 form that carries an IPv4 address is judged as
    /// that address.
    #[must_use]
    pub fn permits(&self, address: IpAddr) -> bool {
        if self.unrestricted || self.allowed.iter().any(|range| range.contains(address)) {
            return true;
        }
        match address {
            IpAddr::V4(v4) => is_public_v4(v4),
            IpAddr::V6(v6) => match embedded_v4(v6) {
                Some(v4) => is_public_v4(v4) || self.allowed.iter().any(|range| range.contains(IpAddr::V4(v4))),
                None => is_public_v6(v6),
            },
        }
    }
}

/// IPv4 blocks that no public registry has: IANA's special-purpose registry (RFC 6890), and one block of a cloud.
const SPECIAL_V4: [(Ipv4Addr, u8); 16] = [
    (Ipv4Addr::new(0, 0, 0, 0), 8),        // this network, RFC 791
    (Ipv4Addr::new(10, 0, 0, 0), 8),       // private, RFC 1918
    (Ipv4Addr::new(100, 64, 0, 0), 10),    // carrier NAT, RFC 6598; Alibaba's metadata service
    (Ipv4Addr::new(127, 0, 0, 0), 8),      // loopback, RFC 1122
    (Ipv4Addr::new(168, 63, 129, 16), 32), // Azure's wire server, reachable inside Azure only
    (Ipv4Addr::new(169, 254, 0, 0), 16),   // link local, RFC 3927; metadata services
    (Ipv4Addr::new(172, 16, 0, 0), 12),    // private, RFC 1918
    (Ipv4Addr::new(192, 0, 0, 0), 24),     // IETF assignments, RFC 6890; Oracle's metadata service
    (Ipv4Addr::new(192, 0, 2, 0), 24),     // documentation, RFC 5737
    (Ipv4Addr::new(192, 88, 99, 0), 24),   // 6to4 relays, RFC 7526
    (Ipv4Addr::new(192, 168, 0, 0), 16),   // private, RFC 1918
    (Ipv4Addr::new(198, 18, 0, 0), 15),    // benchmarking, RFC 2544
    (Ipv4Addr::new(198, 51, 100, 0), 24),  // documentation, RFC 5737
    (Ipv4Addr::new(203, 0, 113, 0), 24),   // documentation, RFC 5737
    (Ipv4Addr::new(224, 0, 0, 0), 4),      // multicast, RFC 1112
    (Ipv4Addr::new(240, 0, 0, 0), 4),      // reserved and broadcast, RFC 1112
];

fn is_public_v4(address: Ipv4Addr) -> bool {
    !SPECIAL_V4
        .iter()
        .any(|(network, prefix)| AddressRange { network: IpAddr::V4(*network), prefix: *prefix }.contains(IpAddr::V4(address)))
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let [first, second, ..] = address.segments();
    // Global unicast is 2000::/3 (RFC 4291); all else is loopback, ULA, link local, multicast or unassigned.
    let global = first & 0xe000 == 0x2000;
    let ietf = first == 0x2001 && second < 0x0200; // 2001::/23, RFC 2928: benchmarking, ORCHID
    let documentation = (first == 0x2001 && second == 0x0db8) || (first == 0x3fff && second < 0x1000); // RFC 3849, RFC 9637
    global && !ietf && !documentation
}

/// The IPv4 address that an IPv6 address stands for, in the forms that a host or a router unwraps.
fn embedded_v4(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let [a, b, c, d, e, f, g, h] = address.segments();
    let of = |high: u16, low: u16| Some(Ipv4Addr::from(u32::from(high) << 16 | u32::from(low)));
    match [a, b, c, d, e, f] {
        // IPv4-compatible (also :: and ::1), mapped (RFC 4291), translated (RFC 2765), NAT64 (RFC 6052).
        [0, 0, 0, 0, 0, 0 | 0xffff] | [0, 0, 0, 0, 0xffff, 0] | [0x64, 0xff9b, 0, 0, 0, 0] => of(g, h),
        // 6to4, RFC 3056.
        [0x2002, high, low, ..] => of(high, low),
        // Teredo, RFC 4380: the client's address is inverted.
        [0x2001, 0, ..] => of(!g, !h),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn permits(guard: &AddressGuard, text: &str) -> bool {
        guard.permits(text.parse().expect(text))
    }

    #[test]
    fn only_public_unicast_is_permitted() {
        // B2
        let guard = AddressGuard::default();
        for public in
            ["1.1.1.1", "104.18.1.1", "172.32.0.1", "192.0.1.1", "198.20.0.1", "2606:4700::1111", "2a00:1450::1", "::ffff:1.1.1.1"]
        {
            assert!(permits(&guard, public), "{public}");
        }
        for special in [
            "0.0.0.0",
            "0.1.2.3",
            "10.1.2.3",
            "100.64.0.1",
            "100.127.255.255",
            "127.0.0.1",
            "127.255.0.1",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.192",
            "192.0.2.1",
            "192.168.1.1",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "168.63.129.16",
            "100.100.100.200",
            "192.88.99.1",
            "::",
            "::1",
            "fc00::1",
            "fd00:ec2::254",
            "fe80::1",
            "fec0::1",
            "ff02::1",
            "2001:db8::1",
            "3fff::1",
            "2001:2::1",
            "2001:10::1",
            "100::1",
            "64:ff9b:1::1",
            "5f00::1",
            "::ffff:127.0.0.1",
            "::ffff:169.254.169.254",
            "::10.0.0.1",
            "::ffff:0:10.0.0.1",
            "64:ff9b::a9fe:a9fe",
            "64:ff9b::7f00:1",
            "2002:7f00:1::1",
            "2002:a9fe:a9fe::",
            "2001:0:1:2:3:4:80ff:fffe",
        ] {
            assert!(!permits(&guard, special), "{special}");
        }
    }

    #[test]
    fn an_allowed_range_permits_itself_and_no_more() {
        let guard =
            AddressGuard { allowed: vec!["10.0.0.0/8".parse().expect("range"), "fd00::/16".parse().expect("range")], unrestricted: false };
        assert!(permits(&guard, "10.9.8.7") && permits(&guard, "::ffff:10.9.8.7") && permits(&guard, "fd00::5"));
        assert!(!permits(&guard, "127.0.0.1") && !permits(&guard, "fd01::5") && !permits(&guard, "192.168.0.1"));
        assert!(permits(&AddressGuard { unrestricted: true, ..AddressGuard::default() }, "127.0.0.1"));
    }

    #[test]
    fn ranges_are_read_strictly() {
        assert_eq!("10.0.0.0/8".parse(), Ok(AddressRange { network: IpAddr::V4(Ipv4Addr::new(10, 0, 0, 0)), prefix: 8 }));
        assert_eq!("::1".parse(), Ok(AddressRange { network: IpAddr::V6(Ipv6Addr::LOCALHOST), prefix: 128 }));
        for bad in ["", "10.0.0.0/33", "10.0.0.0/", "10/8", "::/129", "10.0.0.0/-1", "localhost"] {
            assert!(bad.parse::<AddressRange>().is_err(), "{bad}");
        }
        assert!("0.0.0.0/0".parse::<AddressRange>().is_ok_and(|all| all.contains(IpAddr::V4(Ipv4Addr::BROADCAST))));
    }
}
