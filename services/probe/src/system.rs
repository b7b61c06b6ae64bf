//! What the machine says of its network: resolvers, routers, and what Kubernetes puts into the environment.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::settings::Destination;

/// What the machine says of its network.
#[derive(Clone, Debug, Default)]
pub struct System {
    /// The resolvers of `/etc/resolv.conf`.
    pub(crate) nameservers: Vec<IpAddr>,
    /// The routers of the default routes.
    pub(crate) routers: Vec<IpAddr>,
    /// Indices of interfaces that have an IPv6 address, without loopback.
    pub(crate) interfaces: Vec<u32>,
    /// The API server, where the environment names it.
    pub(crate) api_server: Option<Destination>,
    /// The node, where the environment names it (`NODE_IP`).
    pub(crate) node: Option<IpAddr>,
}

impl System {
    /// Reads files and environment; what is not there is left out.
    #[must_use]
    pub fn read() -> Self {
        let file = |path| std::fs::read_to_string(path).unwrap_or_default();
        let variable = |name| std::env::var(name).ok();
        let api_port = variable("KUBERNETES_SERVICE_PORT").and_then(|port| port.parse().ok()).unwrap_or(443);
        Self {
            nameservers: nameservers(&file("/etc/resolv.conf")),
            routers: [routers(&file("/proc/net/route")), routers6(&file("/proc/net/ipv6_route"))].concat(),
            interfaces: interfaces(&file("/proc/net/if_inet6")),
            api_server: variable("KUBERNETES_SERVICE_HOST").filter(|host| !host.is_empty()).map(|host| Destination::new(host, api_port)),
            node: variable("NODE_IP").and_then(|ip| ip.parse().ok()),
        }
    }
}

/// `nameserver ADDRESS`, as resolv.conf(5) says; a zone after `%` is left out.
fn nameservers(text: &str) -> Vec<IpAddr> {
    let words = text.lines().filter_map(|line| line.trim_start().strip_prefix("nameserver")?.split_whitespace().next());
    words.filter_map(|word| word.split('%').next()?.parse().ok()).collect()
}

/// Gateways of default routes in `/proc/net/route`: hexadecimal, in the byte order of the machine.
fn routers(text: &str) -> Vec<IpAddr> {
    let gateway = |line: &str| {
        let mut fields = line.split_whitespace().skip(1);
        let (destination, gateway) = (fields.next()?, fields.next()?);
        let gateway = u32::from_str_radix(gateway, 16).ok().filter(|gateway| *gateway != 0)?;
        (destination == "00000000").then(|| IpAddr::V4(Ipv4Addr::from(gateway.to_ne_bytes())))
    };
    text.lines().filter_map(gateway).collect()
}

/// The same in `/proc/net/ipv6_route`. Link-local routers are left out: they need an interface, and the node has other addresses.
fn routers6(text: &str) -> Vec<IpAddr> {
    let gateway = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let (destination, length, gateway) = (fields.first()?, fields.get(1)?, fields.get(4)?);
        let gateway = Ipv6Addr::from(u128::from_str_radix(gateway, 16).ok()?);
        let is_default = *length == "00" && destination.bytes().all(|b| b == b'0');
        (is_default && !gateway.is_unspecified() && !gateway.is_unicast_link_local()).then_some(IpAddr::V6(gateway))
    };
    text.lines().filter_map(gateway).collect()
}

/// The second field of `/proc/net/if_inet6` is the interface's index, hexadecimal, and the last its name.
fn interfaces(text: &str) -> Vec<u32> {
    let index = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        (*fields.last()? != "lo").then(|| u32::from_str_radix(fields.get(1)?, 16).ok())?
    };
    let mut found: Vec<u32> = text.lines().filter_map(index).collect();
    found.sort_unstable();
    found.dedup();
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resolvers_are_those_of_the_file() {
        let text = "# nameserver 192.0.2.1\nsearch a.test\n nameserver 10.96.0.10\nnameserver fe80::1%eth0\nnameserver nobody\n";
        assert_eq!(nameservers(text), ["10.96.0.10".parse::<IpAddr>().unwrap(), "fe80::1".parse().unwrap()]);
    }

    #[test]
    #[cfg(target_endian = "little")]
    fn routers_are_those_of_default_routes() {
        let text = "Iface\tDestination\tGateway \tFlags\neth0\t00000000\t0100000A\t0003\neth0\t0000000A\t00000000\t0001\neth0\t0000A8C0\t0200000A\t0003\n";
        assert_eq!(routers(text), ["10.0.0.1".parse::<IpAddr>().unwrap()]);
        let zero = "0".repeat(32);
        let route = |destination: &str, length: &str, gateway: &str| format!("{destination} {length} {zero} 00 {gateway} 00000400 eth0\n");
        let text = [
            route(&zero, "00", "fd000000000000000000000000000001"),
            route(&zero, "00", "fe800000000000000000000000000001"),
            route(&zero, "00", &zero),
            route("fd000000000000000000000000000000", "40", "fd000000000000000000000000000002"),
        ];
        assert_eq!(routers6(&text.concat()), ["fd00::1".parse::<IpAddr>().unwrap()]);
    }

    #[test]
    fn interfaces_are_counted_once_and_loopback_never() {
        let text = "00000000000000000000000000000001 01 80 10 80       lo\nfe800000000000000000000000000001 0b 40 20 80     eth0\nfd000000000000000000000000000001 0b 40 20 80     eth0\n";
        assert_eq!(interfaces(text), [11]);
    }
}
