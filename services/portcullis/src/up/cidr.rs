//! Address ranges, and what is left of one when another is taken out of it.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// An IPv4 or IPv6 range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cidr {
    /// The first address, as a number; IPv4 in the low 32 bits.
    first: u128,
    /// The length of the prefix.
    prefix: u8,
    v6: bool,
}

impl Cidr {
    /// A range from its first address; bits beyond the prefix must be zero.
    pub(crate) fn new(address: IpAddr, prefix: u8) -> Result<Cidr, String> {
        let (first, v6) = match address {
            IpAddr::V4(a) => (u128::from(u32::from(a)), false),
            IpAddr::V6(a) => (u128::from(a), true),
        };
        let cidr = Cidr { first, prefix, v6 };
        if u32::from(prefix) > cidr.width() {
            return Err(format!("/{prefix} is longer than an address"));
        }
        if first & cidr.host_mask() != 0 {
            return Err(format!("{address}/{prefix} has bits beyond its prefix"));
        }
        Ok(cidr)
    }

    /// The first address.
    pub(crate) fn address(self) -> IpAddr {
        if self.v6 { IpAddr::V6(self.first.into()) } else { IpAddr::V4(u32::try_from(self.first).unwrap_or(u32::MAX).into()) }
    }

    /// The length of the prefix.
    pub(crate) fn prefix(self) -> u8 {
        self.prefix
    }

    fn width(self) -> u32 {
        if self.v6 { 128 } else { 32 }
    }

    /// The bits that vary inside the range.
    fn host_mask(self) -> u128 {
        let bits = self.width().saturating_sub(u32::from(self.prefix));
        if bits >= 128 { u128::MAX } else { (1 << bits) - 1 }
    }

    fn contains(self, other: Cidr) -> bool {
        self.v6 == other.v6 && self.prefix <= other.prefix && other.first & !self.host_mask() == self.first
    }

    /// What is left of this range without `hole`: this range, nothing, or the halves that surround the hole.
    pub(crate) fn without(self, hole: Cidr) -> Vec<Cidr> {
        if hole.contains(self) {
            return Vec::new();
        }
        if !self.contains(hole) {
            return vec![self];
        }
        let prefix = self.prefix + 1;
        let low = Cidr { prefix, ..self };
        let high = Cidr { first: self.first | (low.host_mask() + 1), prefix, v6: self.v6 };
        low.without(hole).into_iter().chain(high.without(hole)).collect()
    }
}

impl FromStr for Cidr {
    type Err = String;

    fn from_str(text: &str) -> Result<Cidr, String> {
        let (address, prefix) = text.split_once('/').map_or((text, None), |(a, p)| (a, Some(p)));
        let address: IpAddr = address.parse().map_err(|_| format!("{text}: not an address range (10.1.0.0/16, fd00::/8)"))?;
        let full = if address.is_ipv6() { 128 } else { 32 };
        let prefix = prefix.map_or(Ok(full), |p| p.parse().map_err(|_| format!("{text}: the prefix length is not a number")))?;
        Cidr::new(address, prefix)
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address(), self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn without(range: &str, hole: &str) -> Vec<String> {
        range.parse::<Cidr>().unwrap().without(hole.parse().unwrap()).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_hole_splits_a_range() {
        assert_eq!(without("10.0.0.0/8", "10.128.0.0/9"), ["10.0.0.0/9"]);
        assert_eq!(without("10.0.0.0/30", "10.0.0.1"), ["10.0.0.0/32", "10.0.0.2/31"]);
        assert_eq!(without("127.0.0.0/8", "127.0.0.0/8"), Vec::<String>::new());
        assert_eq!(without("127.0.0.0/8", "0.0.0.0/0"), Vec::<String>::new());
        assert_eq!(without("10.0.0.0/8", "192.168.0.0/16"), ["10.0.0.0/8"]);
        assert_eq!(without("fc00::/7", "fd00::/8"), ["fc00::/8"]);
        assert_eq!(without("::/96", "127.0.0.1"), ["::/96"]);
    }

    #[test]
    fn nonsense_is_refused() {
        for bad in ["", "10.0.0.0/33", "10.0.0.1/8", "host/8", "10.0.0.0/x", "::/129"] {
            assert!(bad.parse::<Cidr>().is_err(), "{bad}");
        }
        assert_eq!("::/0".parse::<Cidr>().unwrap().to_string(), "::/0");
    }
}
