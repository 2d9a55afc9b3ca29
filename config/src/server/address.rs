//! Upstream URLs and the addresses in them (CASES B10).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use sealgate_verifier::reference::is_registry;

use super::AddressRange;

impl AddressRange {
    /// Reads CIDR notation, or a single address. Bits below the prefix must be zero.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address.parse().ok()?, Some(prefix)),
            None => (text.parse().ok()?, None),
        };
        let bits = bits(address);
        let prefix = match prefix {
            Some(p) if p.bytes().all(|b| b.is_ascii_digit()) => p.parse().ok()?,
            Some(_) => return None,
            None => bits,
        };
        let range = Self { network: address, prefix };
        (prefix <= bits && range.masked(address) == number(address)).then_some(range)
    }

    /// Whether `address` lies in the range. An IPv4 address inside an IPv6 one (`::ffff:a.b.c.d`) counts as IPv4.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        address.is_ipv4() == self.network.is_ipv4() && self.masked(address) == number(self.network)
    }

    fn masked(&self, address: IpAddr) -> u128 {
        let below = u32::from(bits(address).saturating_sub(self.prefix));
        number(address).checked_shr(below).and_then(|high| high.checked_shl(below)).unwrap_or(0)
    }
}

const fn bits(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(_) => 32,
        IpAddr::V6(_) => 128,
    }
}

fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => u128::from(v4.to_bits()),
        IpAddr::V6(v6) => v6.to_bits(),
    }
}

/// An upstream's URL, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct UpstreamUrl {
    /// `https://host:port`, nothing behind it.
    pub url: String,
    /// Whether it is `http://`.
    pub plaintext: bool,
    /// Host, without brackets.
    pub host: String,
    /// Port, the scheme's where none is written.
    pub port: u16,
}

impl UpstreamUrl {
    /// Reads `http://` or `https://`, a host and an optional port.
    ///
    /// # Errors
    /// What is wrong, without quoting the text: it may hold a password.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let (plaintext, rest) = match (text.strip_prefix("https://"), text.strip_prefix("http://")) {
            (Some(rest), _) => (false, rest),
            (_, Some(rest)) => (true, rest),
            (None, None) => return Err("an upstream starts with https:// (or, in plaintext, http://)"),
        };
        if rest.contains('@') {
            return Err("an upstream's URL holds no user name or password: write them under `credentials`");
        }
        if rest.contains(['?', '#']) {
            return Err("an upstream's URL has no query and no fragment");
        }
        let authority = rest.strip_suffix('/').unwrap_or(rest);
        if authority.contains(['/', '\\']) {
            return Err("an upstream's URL has no path: the gate adds /v2/ and the repository");
        }
        if !is_registry(authority) {
            return Err("an upstream names a host in lower case, or host:port");
        }
        let (host, port) = split_port(authority);
        if is_disguised(host) {
            return Err("an IPv4 address is written with four decimal numbers, as in 127.0.0.1");
        }
        let port = port.and_then(|port| port.parse().ok()).unwrap_or(if plaintext { 80 } else { 443 });
        let scheme = if plaintext { "http" } else { "https" };
        Ok(Self { url: format!("{scheme}://{authority}"), plaintext, host: host.trim_matches(['[', ']']).to_owned(), port })
    }

    /// The literal address, where the host is one.
    pub fn address(&self) -> Option<IpAddr> {
        self.host.parse().ok()
    }

    /// Whether the host is this machine.
    pub fn is_loopback(&self) -> bool {
        self.host == "localhost" || self.address().is_some_and(|a| a.to_canonical().is_loopback())
    }
}

/// Host (an IPv6 one with its brackets) and port of `host:port`.
pub(crate) fn split_port(authority: &str) -> (&str, Option<&str>) {
    match authority.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, Some(port)),
        Some(_) | None => (authority, None),
    }
}

/// Whether resolvers would read `host` as an IPv4 address although it is not written as one: `2130706433`, `0x7f.1`,
/// `0177.0.0.1` (WHATWG URL §3.5, "ends in a number").
pub(crate) fn is_disguised(host: &str) -> bool {
    let last = host.rsplit('.').next().unwrap_or_default();
    let hex = last.strip_prefix("0x").is_some_and(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()));
    let numeric = !last.is_empty() && last.bytes().all(|b| b.is_ascii_digit());
    (hex || numeric) && host.parse::<Ipv4Addr>().is_err()
}

/// Why an upstream may have `address` only where `allow-addresses` says so, or never.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Guarded {
    /// Only where listed: link-local, or a cloud's metadata service.
    Metadata,
    /// Never: no single host has it.
    Nowhere,
}

/// The cloud metadata services outside of the link-local ranges.
const METADATA: [IpAddr; 3] = [
    // AWS, "IMDS endpoint for IPv6".
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)),
    // Alibaba Cloud ECS, "instance metadata".
    IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)),
    // Oracle Cloud, "instance metadata service" endpoint over RFC 5736's range.
    IpAddr::V4(Ipv4Addr::new(192, 0, 0, 192)),
];

/// Whether a literal `address` needs more than being written down.
pub(crate) fn guarded(address: IpAddr) -> Option<Guarded> {
    let address = embedded(address);
    if address.is_unspecified() || address.is_multicast() || address == IpAddr::V4(Ipv4Addr::BROADCAST) {
        return Some(Guarded::Nowhere);
    }
    let link_local = match address {
        IpAddr::V4(v4) => v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_unicast_link_local(),
    };
    (link_local || METADATA.contains(&address)).then_some(Guarded::Metadata)
}

/// The IPv4 address that an IPv6 one leads to: mapped (RFC 4291 §2.5.5.2), compatible (§2.5.5.1), NAT64 (RFC 6052 §2.1)
/// and 6to4 (RFC 3056 §2); every other address as it is.
fn embedded(address: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = address else { return address };
    let [a, b, c, d, e, f, g, h] = v6.segments();
    let v4 = |high: u16, low: u16| IpAddr::V4(Ipv4Addr::from_bits((u32::from(high) << 16) | u32::from(low)));
    match [a, b, c, d, e, f] {
        [0, 0, 0, 0, 0, 0xffff] | [0x64, 0xff9b, 0, 0, 0, 0] => v4(g, h),
        [0, 0, 0, 0, 0, 0] if g != 0 => v4(g, h),
        [0x2002, high, low, ..] => v4(high, low),
        _ => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_hold_what_lies_in_them() {
        for (range, address, inside) in [
            ("10.0.0.0/8", "10.255.1.2", true),
            ("10.0.0.0/8", "11.0.0.0", false),
            ("10.0.0.0/8", "::ffff:10.1.1.1", true),
            ("0.0.0.0/0", "1.2.3.4", true),
            ("0.0.0.0/0", "::1", false),
            ("192.168.1.7", "192.168.1.7", true),
            ("192.168.1.7", "192.168.1.8", false),
            ("fd00::/8", "fd12::1", true),
            ("::/0", "fd12::1", true),
        ] {
            let parsed = AddressRange::parse(range).expect(range);
            assert_eq!(parsed.contains(address.parse().expect("address")), inside, "{range} {address}");
        }
        for bad in ["10.0.0.1/8", "10.0.0.0/33", "10.0.0.0/+8", "10.0.0.0/", "10/8", "fd00::/129", "a.example", "10.0.0.0/8/8"] {
            assert_eq!(AddressRange::parse(bad), None, "{bad}");
        }
    }

    // B10
    #[test]
    fn metadata_addresses_are_guarded_in_every_spelling() {
        for address in [
            "169.254.169.254",
            "fe80::1",
            "fd00:ec2::254",
            "::ffff:169.254.169.254",
            "64:ff9b::169.254.169.254",
            "2002:a9fe:a9fe::1",
            "::169.254.169.254",
            "100.100.100.200",
            "192.0.0.192",
        ] {
            assert_eq!(guarded(address.parse().expect(address)), Some(Guarded::Metadata), "{address}");
        }
        for address in ["0.0.0.0", "::", "255.255.255.255", "224.0.0.1", "ff02::1"] {
            assert_eq!(guarded(address.parse().expect(address)), Some(Guarded::Nowhere), "{address}");
        }
        for address in ["127.0.0.1", "10.0.0.1", "::1", "fd00::1", "8.8.8.8"] {
            assert_eq!(guarded(address.parse().expect(address)), None, "{address}");
        }
    }

    // B10
    #[test]
    fn disguised_ipv4_addresses_are_refused() {
        for host in ["2130706433", "0x7f000001", "127.1", "0177.0.0.1", "0x7f.0.0.1", "127.0.0.0x1", "1.2.3.4.5", "256.0.0.1"] {
            assert!(UpstreamUrl::parse(&format!("http://{host}")).is_err(), "{host}");
        }
        for host in ["127.0.0.1", "a.example", "1.example", "[::1]:5000", "localhost:5000"] {
            assert!(UpstreamUrl::parse(&format!("http://{host}")).is_ok(), "{host}");
        }
    }

    #[test]
    fn upstream_urls_name_a_host_and_nothing_else() {
        let url = UpstreamUrl::parse("https://registry.acme.example:5443/").expect("URL");
        assert_eq!((url.url.as_str(), url.port, url.plaintext), ("https://registry.acme.example:5443", 5443, false));
        assert_eq!(UpstreamUrl::parse("http://[::1]").expect("URL").host, "::1");
        for bad in [
            "ghcr.io",
            "ftp://ghcr.io",
            "https://",
            "https://u:p@ghcr.io",
            "https://ghcr.io/v2",
            "https://ghcr.io//",
            "https://ghcr.io?x",
            "https://ghcr.io#x",
            "HTTPS://ghcr.io",
            "https://ghcr.io:0",
            "https://ghcr.io:443:443",
            "https://ghcr.io\\@evil",
            "https://ghcr .io",
        ] {
            assert!(UpstreamUrl::parse(bad).is_err(), "{bad}");
        }
    }
}
