//! Places inside: metadata services, the cluster, the gateway's other ports, the node.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use super::tcp;
use crate::check::{Check, Verdict};
use crate::run::Attempt;
use crate::settings::{Destination, Settings};
use crate::system::System;

/// Metadata and credentials of clouds: AWS, Azure, Google and others; AWS by IPv6; ECS tasks; EKS pods; Alibaba; Azure's wire server.
pub(crate) const METADATA: [IpAddr; 6] = [
    IpAddr::V4(Ipv4Addr::new(169, 254, 169, 254)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)),
    IpAddr::V4(Ipv4Addr::new(169, 254, 170, 2)),
    IpAddr::V4(Ipv4Addr::new(169, 254, 170, 23)),
    IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)),
    IpAddr::V4(Ipv4Addr::new(168, 63, 129, 16)),
];
/// Google's name for its metadata.
pub(crate) const METADATA_NAME: &str = "metadata.google.internal";
/// The API server's name in every cluster.
pub(crate) const API_SERVER: &str = "kubernetes.default.svc";
/// Where clusters usually have their API server: kubeadm, k3s, EKS twice, MicroK8s.
const USUAL_API_SERVERS: [Ipv4Addr; 5] = [
    Ipv4Addr::new(10, 96, 0, 1),
    Ipv4Addr::new(10, 43, 0, 1),
    Ipv4Addr::new(10, 100, 0, 1),
    Ipv4Addr::new(172, 20, 0, 1),
    Ipv4Addr::new(10, 152, 183, 1),
];
/// Ports that the gateway's host may listen on: our services, Envoy's status and admin interface, and what runs elsewhere.
const GATEWAY_PORTS: [u16; 14] = [9901, 9001, 9002, 9003, 9090, 15000, 19000, 8001, 22, 80, 443, 6443, 8080, 10250];
/// Ports of a node: SSH, etcd, the API server, metrics, the kubelet twice.
const NODE_PORTS: [u16; 6] = [22, 2379, 6443, 9100, 10250, 10255];

/// All places.
pub(super) fn attempts(settings: &Settings, system: &System, proxy: &[SocketAddr]) -> Vec<Attempt> {
    let within = settings.timeout;
    let mut attempts: Vec<Attempt> = METADATA.map(|ip| tcp::attempt(Check::Metadata, SocketAddr::new(ip, 80), within)).into();
    attempts.push(named(Check::Metadata, Destination::new(METADATA_NAME, 80), within));
    attempts.push(named(Check::ApiServer, Destination::new(API_SERVER, 443), within));
    let usual = USUAL_API_SERVERS.map(|ip| Destination::new(ip.to_string(), 443));
    let told = system.api_server.iter().filter(|told| !usual.contains(told)).cloned();
    attempts.extend(told.chain(usual.clone()).map(|server| named(Check::ApiServer, server, within)));
    attempts.extend(settings.internal.iter().map(|service| named(Check::Internal, service.clone(), within)));
    let mut ports = |check, ips: Vec<IpAddr>, ports: &[u16]| {
        let mut addresses: Vec<SocketAddr> = ips.iter().flat_map(|ip| ports.iter().map(|port| SocketAddr::new(*ip, *port))).collect();
        addresses.dedup();
        // The one way that is meant to be there.
        addresses.retain(|address| !proxy.contains(address));
        attempts.extend(addresses.into_iter().map(|address| tcp::attempt(check, address, within)));
    };
    ports(Check::GatewayPort, proxy.iter().map(SocketAddr::ip).collect(), &GATEWAY_PORTS);
    let node = system.node.iter().filter(|node| !system.routers.contains(node));
    ports(Check::Node, system.routers.iter().chain(node).copied().collect(), &NODE_PORTS);
    attempts
}

/// A connection to each address of a name; the worst counts.
fn named(check: Check, place: Destination, within: Duration) -> Attempt {
    Attempt::new(check, place.to_string(), async move {
        let addresses = match place.addresses(within).await {
            Ok(addresses) => addresses,
            Err(why) => return Verdict::blocked(why),
        };
        let mut worst = Verdict::blocked("the name has no address here");
        for address in addresses {
            let verdict = tcp::connect(address, within).await;
            if verdict.outcome >= worst.outcome {
                worst = verdict;
            }
        }
        worst
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_proxys_own_port_is_not_tried_and_its_others_are() {
        let proxy: SocketAddr = "10.96.0.128:8080".parse().unwrap();
        let system = System { routers: vec![proxy.ip()], node: Some(proxy.ip()), ..System::default() };
        let attempts = attempts(&crate::settings::tests::settings(), &system, &[proxy]);
        let of = |check| attempts.iter().filter(|a| a.check == check).map(|a| a.target.as_str()).collect::<Vec<_>>();
        assert_eq!(of(Check::GatewayPort).len(), GATEWAY_PORTS.len() - 1);
        assert!(of(Check::GatewayPort).contains(&"10.96.0.128:9901") && !of(Check::GatewayPort).contains(&"10.96.0.128:8080"));
        assert_eq!(of(Check::Node).len(), NODE_PORTS.len());
    }
}
