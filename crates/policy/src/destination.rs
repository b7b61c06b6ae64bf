//! Where a request goes, in normal form.

use std::fmt;
use std::net::IpAddr;

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

impl Host {
    /// Brings a host, without port, to normal form.
    ///
    /// # Errors
    /// [`HostError`] for an empty name, labels or names that are too long, and characters that no host name has.
    pub fn parse(raw: &str) -> Result<Host, HostError> {
        if raw.is_empty() { Err(HostError) } else { Ok(Host::Name(raw.to_ascii_lowercase())) }
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Host::Name(n) => f.write_str(n),
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

impl Destination {
    /// Parses an `:authority` (`host`, `host:port`, `[v6]:port`); `tls` decides the default port.
    ///
    /// # Errors
    /// [`HostError`] as for [`Host::parse`], and for user information or a bad port.
    pub fn parse(authority: &str, tls: bool) -> Result<Destination, HostError> {
        Ok(Destination { host: Host::parse(authority)?, port: if tls { 443 } else { 80 }, tls })
    }
}
