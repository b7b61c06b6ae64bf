//! What a run is told.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;
use std::time::Duration;

use crate::check::{Check, Class};
use crate::proxied::{ProxyUrl, SinkUrl};
use crate::trust::Trust;

/// What a run is told.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The proxy; without one, what goes through it cannot be tried.
    pub proxy: Option<ProxyUrl>,
    /// Whose certificates are trusted.
    pub trust: Trust,
    /// Where secrets are sent to.
    pub sink: SinkUrl,
    /// Addresses of the outside.
    pub targets: Vec<IpAddr>,
    /// Services that only the gateway may reach.
    pub internal: Vec<Destination>,
    /// Names that lead to private addresses.
    pub private_names: Vec<String>,
    /// The longest wait for a connection or an answer.
    pub timeout: Duration,
    /// The classes that are tried.
    pub classes: Vec<Class>,
}

impl Settings {
    /// Public resolvers with anycast addresses, which answer on 53, 443 and 853 from everywhere: Cloudflare, Google, Quad9.
    pub const TARGETS: [IpAddr; 6] = [
        IpAddr::V4(Ipv4Addr::new(1, 1, 1, 1)),
        IpAddr::V6(Ipv6Addr::new(0x2606, 0x4700, 0x4700, 0, 0, 0, 0, 0x1111)),
        IpAddr::V4(Ipv4Addr::new(8, 8, 8, 8)),
        IpAddr::V6(Ipv6Addr::new(0x2001, 0x4860, 0x4860, 0, 0, 0, 0, 0x8888)),
        IpAddr::V4(Ipv4Addr::new(9, 9, 9, 9)),
        IpAddr::V6(Ipv6Addr::new(0x2620, 0xfe, 0, 0, 0, 0, 0, 0xfe)),
    ];

    /// The services of the gateway, as `deploy/` names them.
    pub const INTERNAL: [&str; 4] = [
        "portcullis-scanner.portcullis.svc:9001",
        "portcullis-scanner.portcullis.svc:9090",
        "portcullis-certificates.portcullis.svc:9002",
        "portcullis-certificates.portcullis.svc:9090",
    ];

    /// Whether a check is wanted. The control belongs to all that goes through the proxy.
    pub(crate) fn wants(&self, check: Check) -> bool {
        match check {
            Check::ProxyControl => self.classes.contains(&Class::Proxy) || self.classes.contains(&Class::Secrets),
            other => self.classes.contains(&other.class()),
        }
    }
}

/// A host and a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Destination {
    /// A name, or an address without brackets.
    pub(crate) host: String,
    /// The port.
    pub(crate) port: u16,
}

/// The text is no host with a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a host with a port: give name:9001, 10.0.0.1:9001 or [fd00::1]:9001")]
pub struct DestinationError;

impl Destination {
    pub(crate) fn new(host: impl Into<String>, port: u16) -> Self {
        Self { host: host.into(), port }
    }

    /// Its addresses, the first few.
    ///
    /// # Errors
    /// There are none within the time.
    pub(crate) async fn addresses(&self, timeout: Duration) -> Result<Vec<SocketAddr>, &'static str> {
        if let Ok(ip) = self.host.parse::<IpAddr>() {
            return Ok(vec![SocketAddr::new(ip, self.port)]);
        }
        let looked_up = tokio::time::timeout(timeout, tokio::net::lookup_host((self.host.as_str(), self.port))).await;
        let found: Vec<SocketAddr> = looked_up.ok().and_then(Result::ok).map(|found| found.take(4).collect()).unwrap_or_default();
        if found.is_empty() { Err("the name has no address here") } else { Ok(found) }
    }
}

impl FromStr for Destination {
    type Err = DestinationError;

    fn from_str(text: &str) -> Result<Self, DestinationError> {
        if let Ok(address) = text.parse::<SocketAddr>() {
            return Ok(Self::new(address.ip().to_string(), address.port()));
        }
        let (host, port) = text.rsplit_once(':').ok_or(DestinationError)?;
        let is_name = !host.is_empty() && host.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'));
        let port: u16 = port.parse().map_err(|_| DestinationError)?;
        if is_name && port != 0 { Ok(Self::new(host, port)) } else { Err(DestinationError) }
    }
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') { write!(f, "[{}]:{}", self.host, self.port) } else { write!(f, "{}:{}", self.host, self.port) }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Settings with every class, no proxy and no targets.
    pub(crate) fn settings() -> Settings {
        Settings {
            proxy: None,
            trust: Trust::nobody().unwrap(),
            sink: "https://sink.test/".parse().unwrap(),
            targets: Vec::new(),
            internal: Vec::new(),
            private_names: Vec::new(),
            timeout: Duration::from_millis(200),
            classes: Class::ALL.map(|(class, _)| class).to_vec(),
        }
    }

    #[test]
    fn destinations_are_read_as_they_are_written() {
        for text in ["portcullis-scanner.portcullis.svc:9001", "10.0.0.1:80", "[fd00::1]:443"].into_iter().chain(Settings::INTERNAL) {
            assert_eq!(text.parse::<Destination>().unwrap().to_string(), text);
        }
        for bad in ["", "name", ":80", "a b:80", "name:0", "name:65536", "fd00::1", "user@host:80"] {
            assert_eq!(bad.parse::<Destination>(), Err(DestinationError), "{bad}");
        }
    }
}
