//! Addresses that are not the open internet.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Special-purpose ranges: the IANA IPv4 and IPv6 Special-Purpose Address Registries (RFC 6890 and its updates), multicast (RFC 5771, RFC 4291),
/// the reserved space, deprecated site-local addresses (RFC 3879), and the forms in which IPv6 carries IPv4.
/// Envoy filters the same ranges on resolved addresses; a test compares the two.
pub const SPECIAL_RANGES: &[(&str, &str)] = &[
    ("0.0.0.0/8", "this network"),
    ("10.0.0.0/8", "private use"),
    ("100.64.0.0/10", "shared address space"),
    ("127.0.0.0/8", "loopback"),
    ("169.254.0.0/16", "link-local, metadata services"),
    // Public by the registries, and answered inside Azure only: https://learn.microsoft.com/azure/virtual-network/what-is-ip-address-168-63-129-16
    ("168.63.129.16/32", "services of the Azure host"),
    ("172.16.0.0/12", "private use"),
    ("192.0.0.0/24", "IETF protocol assignments"),
    ("192.0.2.0/24", "documentation"),
    ("192.31.196.0/24", "AS112"),
    ("192.52.193.0/24", "AMT"),
    ("192.88.99.0/24", "6to4 relay"),
    ("192.168.0.0/16", "private use"),
    ("192.175.48.0/24", "AS112"),
    ("198.18.0.0/15", "benchmarking"),
    ("198.51.100.0/24", "documentation"),
    ("203.0.113.0/24", "documentation"),
    ("224.0.0.0/3", "multicast, reserved, broadcast"),
    ("::/96", "unspecified, loopback, IPv4-compatible"),
    ("::ffff:0:0/96", "IPv4-mapped"),
    ("64:ff9b::/96", "IPv4-IPv6 translation"),
    ("64:ff9b:1::/48", "local-use translation"),
    ("100::/64", "discard only"),
    ("100:0:0:1::/64", "dummy prefix"),
    ("2001::/23", "IETF protocol assignments, Teredo"),
    ("2001:db8::/32", "documentation"),
    ("2002::/16", "6to4"),
    ("2620:4f:8000::/48", "AS112"),
    ("3fff::/20", "documentation"),
    ("5f00::/16", "segment routing"),
    ("fc00::/7", "unique local, metadata services"),
    ("fe80::/10", "link-local"),
    ("fec0::/10", "site-local"),
    ("ff00::/8", "multicast"),
];

/// A range of addresses of one family.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Range {
    first: u128,
    last: u128,
    v6: bool,
}

fn number(ip: IpAddr) -> (u128, bool) {
    match ip {
        IpAddr::V4(a) => (u128::from(u32::from(a)), false),
        IpAddr::V6(a) => (u128::from(a), true),
    }
}

impl Range {
    /// Parses `10.0.0.0/8`, `fd00::/8`, or one address. `None` for anything else.
    pub(crate) fn parse(text: &str) -> Option<Range> {
        let (address, prefix) = text.split_once('/').map_or((text, None), |(a, p)| (a, Some(p)));
        let (first, v6) = number(address.parse().ok()?);
        let width: u32 = if v6 { 128 } else { 32 };
        let prefix: u32 = prefix.map_or(Some(width), |p| p.parse().ok())?;
        let host = width.checked_sub(prefix)?;
        let mask = if host == 128 { u128::MAX } else { (1 << host) - 1 };
        (first & mask == 0).then_some(Range { first, last: first | mask, v6 })
    }

    /// How many addresses it holds, less one.
    pub(crate) fn width(&self) -> u128 {
        self.last - self.first
    }

    /// Whether the address is in the range. An IPv4 address in IPv6 form is not in an IPv4 range.
    pub(crate) fn contains(&self, ip: IpAddr) -> bool {
        let (n, v6) = number(ip);
        v6 == self.v6 && (self.first..=self.last).contains(&n)
    }
}

/// Whether an address is in one of [`SPECIAL_RANGES`].
pub(crate) fn is_special(ip: IpAddr) -> bool {
    static RANGES: std::sync::LazyLock<Vec<Range>> =
        std::sync::LazyLock::new(|| SPECIAL_RANGES.iter().filter_map(|(r, _)| Range::parse(r)).collect());
    RANGES.iter().any(|r| r.contains(ip))
}

/// Reads an IPv4 address in every notation that C libraries take: one to four parts, each decimal, octal (`0…`) or hexadecimal (`0x…`), the
/// last one filling what is left (`inet_aton`). `None` when the text is no address.
pub(crate) fn ipv4_any(text: &str) -> Option<Ipv4Addr> {
    let parts: Vec<&str> = text.split('.').collect();
    if parts.is_empty() || parts.len() > 4 {
        return None;
    }
    let mut numbers = Vec::with_capacity(4);
    for part in &parts {
        let value = if let Some(hex) = part.strip_prefix("0x").or_else(|| part.strip_prefix("0X")) {
            if hex.is_empty() { Some(0) } else { u64::from_str_radix(hex, 16).ok() }
        } else if part.len() > 1 && part.starts_with('0') {
            u64::from_str_radix(part, 8).ok()
        } else if part.bytes().all(|b| b.is_ascii_digit()) {
            part.parse().ok()
        } else {
            None
        };
        numbers.push(value?);
    }
    let (last, front) = numbers.split_last()?;
    let room = 8 * (4 - front.len());
    if front.iter().any(|n| *n > 255) || *last >= 1 << room {
        return None;
    }
    let high = front.iter().fold(0_u64, |n, part| n << 8 | part) << room;
    u32::try_from(if front.is_empty() { *last } else { high | last }).ok().map(Ipv4Addr::from)
}

/// An IPv6 address with what it carries: mapped addresses become IPv4.
pub(crate) fn unmapped(ip: Ipv6Addr) -> IpAddr {
    ip.to_ipv4_mapped().map_or(IpAddr::V6(ip), IpAddr::V4)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_range_parses_and_holds_its_ends_but_not_its_neighbours() {
        for (text, _) in SPECIAL_RANGES {
            let range = Range::parse(text).unwrap_or_else(|| panic!("{text}"));
            let ip = |n: u128| if range.v6 { IpAddr::V6(n.into()) } else { IpAddr::V4(u32::try_from(n).unwrap().into()) };
            assert!(range.contains(ip(range.first)) && range.contains(ip(range.last)) && is_special(ip(range.last)), "{text}");
            if range.first > 0 {
                assert!(!range.contains(ip(range.first - 1)), "{text}");
            }
        }
        for open in ["1.1.1.1", "9.255.255.255", "11.0.0.0", "172.32.0.0", "223.255.255.255", "2606:4700::1111", "2001:200::1"] {
            assert!(!is_special(open.parse().unwrap()), "{open}");
        }
    }

    #[test]
    fn all_notations_of_an_address_are_that_address() {
        for text in ["127.1", "2130706433", "0x7f.1", "0177.0.0.1", "127.0.1", "0x7f000001"] {
            assert_eq!(ipv4_any(text), Some(Ipv4Addr::LOCALHOST), "{text}");
        }
        for text in ["example.com", "1.2.3.4.5", "256.1.1.1", "4294967296", "", "1..2", "08.1.1.1", "a"] {
            assert_eq!(ipv4_any(text), None, "{text}");
        }
    }
}
