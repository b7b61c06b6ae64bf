//! The words of a report: what was tried, and what came of it.

use std::fmt;
use std::str::FromStr;

use serde::Serialize;

/// A group of checks, which can be chosen or left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Connections to the outside.
    Tcp,
    /// Datagrams to the outside.
    Udp,
    /// Names, by every kind of DNS.
    Dns,
    /// Echo requests.
    Icmp,
    /// Metadata services of clouds.
    Metadata,
    /// The cluster, the gateway's other ports, the node.
    Cluster,
    /// What the host may have left in the sandbox.
    Host,
    /// Tricks through the proxy.
    Proxy,
    /// Secrets through the proxy.
    Secrets,
}

impl Class {
    /// All of them, by name.
    pub const ALL: [(Class, &str); 9] = [
        (Class::Tcp, "tcp"),
        (Class::Udp, "udp"),
        (Class::Dns, "dns"),
        (Class::Icmp, "icmp"),
        (Class::Metadata, "metadata"),
        (Class::Cluster, "cluster"),
        (Class::Host, "host"),
        (Class::Proxy, "proxy"),
        (Class::Secrets, "secrets"),
    ];
}

/// The name is of no class.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("one of: tcp, udp, dns, icmp, metadata, cluster, host, proxy, secrets")]
pub struct Unknown;

impl FromStr for Class {
    type Err = Unknown;

    fn from_str(text: &str) -> Result<Self, Unknown> {
        Self::ALL.iter().find(|(_, name)| *name == text).map(|(class, _)| *class).ok_or(Unknown)
    }
}

/// What is tried. The names are a closed set: they are labels of metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Check {
    /// A TCP connection.
    Tcp,
    /// A datagram that asks for an answer.
    Udp,
    /// The system's resolver.
    DnsSystem,
    /// A query over UDP.
    DnsUdp,
    /// A query over TCP.
    DnsTcp,
    /// DNS over TLS.
    DnsTls,
    /// DNS over HTTPS, past the proxy.
    DnsHttps,
    /// Multicast DNS and LLMNR.
    DnsMulticast,
    /// An ICMP echo.
    Icmp,
    /// A metadata service.
    Metadata,
    /// The API server.
    ApiServer,
    /// Services of the gateway itself, and what else was named.
    Internal,
    /// Ports of the gateway that are not the proxy.
    GatewayPort,
    /// Ports of the node.
    Node,
    /// A token of a service account.
    ServiceAccount,
    /// Sockets of the host's container runtime.
    HostSocket,
    /// Whether a harmless request passes, without which nothing below is proven.
    ProxyControl,
    /// Addresses instead of names, in every spelling.
    ProxyAddress,
    /// Metadata services through the proxy.
    ProxyMetadata,
    /// Internal services through the proxy.
    ProxyInternal,
    /// Names that lead to private addresses.
    ProxyPrivateName,
    /// Ports that are not the web's.
    ProxyPort,
    /// Another host inside than outside.
    ProxyFronting,
    /// Bytes in a tunnel that are not HTTP.
    ProxyTunnel,
    /// Other protocols by upgrade.
    ProxyUpgrade,
    /// Hosts hidden behind user names.
    ProxyUserinfo,
    /// Whether answers lead around the proxy by HTTP/3.
    ProxyHttp3,
    /// A secret in a request.
    Secret,
}

impl Check {
    /// All of them, with their names and classes.
    pub const ALL: [(Check, &str, Class); 28] = [
        (Check::Tcp, "tcp", Class::Tcp),
        (Check::Udp, "udp", Class::Udp),
        (Check::DnsSystem, "dns-system", Class::Dns),
        (Check::DnsUdp, "dns-udp", Class::Dns),
        (Check::DnsTcp, "dns-tcp", Class::Dns),
        (Check::DnsTls, "dns-tls", Class::Dns),
        (Check::DnsHttps, "dns-https", Class::Dns),
        (Check::DnsMulticast, "dns-multicast", Class::Dns),
        (Check::Icmp, "icmp", Class::Icmp),
        (Check::Metadata, "metadata", Class::Metadata),
        (Check::ApiServer, "api-server", Class::Cluster),
        (Check::Internal, "internal", Class::Cluster),
        (Check::GatewayPort, "gateway-port", Class::Cluster),
        (Check::Node, "node", Class::Cluster),
        (Check::ServiceAccount, "service-account", Class::Host),
        (Check::HostSocket, "host-socket", Class::Host),
        (Check::ProxyControl, "proxy-control", Class::Proxy),
        (Check::ProxyAddress, "proxy-address", Class::Proxy),
        (Check::ProxyMetadata, "proxy-metadata", Class::Proxy),
        (Check::ProxyInternal, "proxy-internal", Class::Proxy),
        (Check::ProxyPrivateName, "proxy-private-name", Class::Proxy),
        (Check::ProxyPort, "proxy-port", Class::Proxy),
        (Check::ProxyFronting, "proxy-fronting", Class::Proxy),
        (Check::ProxyTunnel, "proxy-tunnel", Class::Proxy),
        (Check::ProxyUpgrade, "proxy-upgrade", Class::Proxy),
        (Check::ProxyUserinfo, "proxy-userinfo", Class::Proxy),
        (Check::ProxyHttp3, "proxy-http3", Class::Proxy),
        (Check::Secret, "secret", Class::Secrets),
    ];

    /// The name.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.entry().1
    }

    /// The class.
    #[must_use]
    pub fn class(self) -> Class {
        self.entry().2
    }

    fn entry(self) -> (Check, &'static str, Class) {
        // The list is in the order of the variants; a test holds it.
        Self::ALL[self as usize]
    }
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl Serialize for Check {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

/// What came of it. What is worse is greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// It met a wall.
    Blocked,
    /// It could not be told.
    Failed,
    /// It got out.
    Escaped,
}

impl Outcome {
    /// All of them.
    pub const ALL: [Outcome; 3] = [Outcome::Blocked, Outcome::Failed, Outcome::Escaped];

    /// The name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Blocked => "blocked",
            Self::Failed => "failed",
            Self::Escaped => "escaped",
        }
    }
}

/// An outcome and the reason for it, in words of our own: nothing that a peer sent is repeated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub(crate) outcome: Outcome,
    pub(crate) detail: String,
}

impl Verdict {
    pub(crate) fn blocked(detail: impl Into<String>) -> Self {
        Self { outcome: Outcome::Blocked, detail: detail.into() }
    }

    pub(crate) fn failed(detail: impl Into<String>) -> Self {
        Self { outcome: Outcome::Failed, detail: detail.into() }
    }

    pub(crate) fn escaped(detail: impl Into<String>) -> Self {
        Self { outcome: Outcome::Escaped, detail: detail.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_of_checks_is_in_the_order_of_the_checks() {
        for (place, (check, name, _)) in Check::ALL.iter().enumerate() {
            assert_eq!((*check as usize, check.name()), (place, *name));
        }
    }

    #[test]
    fn every_class_has_a_check_and_is_read_as_it_is_named() {
        for (class, name) in Class::ALL {
            assert_eq!(name.parse(), Ok(class));
            assert!(Check::ALL.iter().any(|(_, _, of)| *of == class), "{name}");
        }
        let error = "all".parse::<Class>().unwrap_err().to_string();
        assert!(Class::ALL.iter().all(|(_, name)| error.contains(name)), "{error}");
    }
}
