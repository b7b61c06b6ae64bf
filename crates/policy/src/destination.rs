//! Where a request goes, in normal form.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

use crate::address::{ipv4_any, unmapped};

/// Why a host was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a host name in normal form")]
pub struct HostError;

/// A host in normal form: lower case, no trailing dot, IDNA ASCII form; or an IP address in whatever notation resolvers take
/// (`127.1`, `2130706433`, `0x7f.1`, `[::1]`).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Host {
    /// A DNS name.
    Name(String),
    /// An address.
    Ip(IpAddr),
}

/// Names are at most this long, labels at most 63 bytes (RFC 1035 section 2.3.4).
const MAX_NAME: usize = 253;

impl Host {
    /// Brings a host, without port, to normal form.
    ///
    /// # Errors
    /// [`HostError`] for an empty name, labels or names that are too long, and characters that no host name has.
    pub fn parse(raw: &str) -> Result<Host, HostError> {
        if let Some(inner) = raw.strip_prefix('[') {
            let inner = inner.strip_suffix(']').ok_or(HostError)?;
            return inner.parse::<Ipv6Addr>().map(|ip| Host::Ip(unmapped(ip))).map_err(|_| HostError);
        }
        if raw.is_empty() || raw.len() > 1024 {
            return Err(HostError);
        }
        let ascii = idna::domain_to_ascii(raw).map_err(|_| HostError)?;
        let name = ascii.strip_suffix('.').unwrap_or(&ascii);
        if let Some(ip) = ipv4_any(name) {
            return Ok(Host::Ip(IpAddr::V4(ip)));
        }
        let label = |l: &str| !l.is_empty() && l.len() <= 63 && l.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
        if name.len() > MAX_NAME || !name.split('.').all(label) {
            return Err(HostError);
        }
        Ok(Host::Name(name.to_owned()))
    }

    /// The name, unless it is an address.
    pub fn name(&self) -> Option<&str> {
        match self {
            Host::Name(name) => Some(name),
            Host::Ip(_) => None,
        }
    }

    /// Whether the name is private by nature: `localhost`, `.local` (RFC 6762), `.internal`, metadata services, Services of a cluster (`.svc`), a single label.
    pub(crate) fn is_private_name(&self) -> bool {
        let Host::Name(name) = self else { return false };
        !name.contains('.')
            || ["localhost", "local", "internal", "home.arpa", "intranet", "lan", "svc"]
                .iter()
                .any(|zone| name.strip_suffix(zone).is_some_and(|rest| rest.ends_with('.')))
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Host::Name(n) => f.write_str(n),
            Host::Ip(IpAddr::V6(ip)) => write!(f, "[{ip}]"),
            Host::Ip(ip) => write!(f, "{ip}"),
        }
    }
}

/// Host, port and scheme.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Destination {
    /// The host in normal form.
    pub host: Host,
    /// The port.
    pub port: u16,
    /// Whether TLS is spoken to the upstream.
    pub tls: bool,
}

impl Default for Destination {
    /// Nowhere: a name that no resolver knows (RFC 2606 section 2).
    fn default() -> Destination {
        Destination { host: Host::Name("invalid".to_owned()), port: 0, tls: false }
    }
}

impl Destination {
    /// Parses an `:authority` (`host`, `host:port`, `[v6]:port`); `tls` decides the default port.
    ///
    /// # Errors
    /// [`HostError`] as for [`Host::parse`], and for user information or a bad port.
    pub fn parse(authority: &str, tls: bool) -> Result<Destination, HostError> {
        if authority.contains('@') {
            return Err(HostError);
        }
        let after_bracket = authority.rfind(']').map_or(0, |i| i + 1);
        let (host, port) = match authority[after_bracket..].split_once(':') {
            Some((rest, port)) => (&authority[..after_bracket + rest.len()], Some(port)),
            None => (authority, None),
        };
        let port = match port {
            None => {
                if tls {
                    443
                } else {
                    80
                }
            }
            Some(text) if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) => {
                text.parse::<u16>().ok().filter(|p| *p != 0).ok_or(HostError)?
            }
            Some(_) => return Err(HostError),
        };
        Ok(Destination { host: Host::parse(host)?, port, tls })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_one_host_are_one_host() {
        for (raw, normal) in [
            ("Example.COM.", "example.com"),
            ("EXAMPLE.com", "example.com"),
            ("bücher.example", "xn--bcher-kva.example"),
            ("ｅxample.com", "example.com"),
            ("a_b.example", "a_b.example"),
        ] {
            assert_eq!(Host::parse(raw).unwrap().to_string(), normal, "{raw}");
        }
        for raw in ["127.1", "2130706433", "0x7f.0.0.1", "[::ffff:127.0.0.1]", "１２７.0.0.1"] {
            assert_eq!(Host::parse(raw).unwrap(), Host::Ip("127.0.0.1".parse().unwrap()), "{raw}");
        }
        for bad in ["", ".", "a..b", "a b", "a/b", "[::1", &"a".repeat(64), &"a.".repeat(200), "a\u{0}b", "x%41"] {
            assert!(Host::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_authority_has_one_reading() {
        let parse = |text| Destination::parse(text, true).map(|d| (d.host.to_string(), d.port));
        assert_eq!(parse("example.com"), Ok(("example.com".into(), 443)));
        assert_eq!(parse("example.com:8443"), Ok(("example.com".into(), 8443)));
        assert_eq!(parse("[2606:4700::1]:443"), Ok(("[2606:4700::1]".into(), 443)));
        for bad in ["user@example.com", "example.com:", "example.com:0", "example.com:70000", "example.com:+1", "a:1:2", "[::1]x", ""] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
