//! NetworkPolicies as rules of nftables. They are derived from the objects as they were rendered, and written nowhere else.
//!
//! Each pod hangs on an interface of its own. What comes out of it passes the chain of its egress, what goes into it the chain of its
//! ingress; a pod that no policy isolates has none. A connection needs both, in its first packet; what belongs to it then passes.
//! Addresses are those behind Services, since rules see packets after their destination was translated, as in real clusters.
//! The node itself may always speak to its pods (Kubernetes wants that for probes); pods need a rule to speak to the node.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use anyhow::{Result, bail};

use crate::objects::{IntOrString, IpBlock, Labels, NetworkPolicySpec, Peer, PolicyPort, Rule};

/// A policy and where it lives.
#[derive(Clone, Debug)]
pub(crate) struct Policy {
    /// Its namespace.
    pub(crate) namespace: String,
    /// Its name.
    pub(crate) name: String,
    /// What it says.
    pub(crate) spec: NetworkPolicySpec,
}

/// A pod as policies see it.
#[derive(Clone, Debug)]
pub(crate) struct Endpoint {
    /// Its namespace.
    pub(crate) namespace: String,
    /// Its labels.
    pub(crate) labels: Labels,
    /// The node's end of its wire.
    pub(crate) interface: String,
    /// Its address.
    pub(crate) v4: Ipv4Addr,
    /// Its other address.
    pub(crate) v6: Ipv6Addr,
    /// Its named ports: name, protocol, number.
    pub(crate) ports: Vec<(String, String, u16)>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Ingress,
    Egress,
}

/// The whole table, which takes the place of the one before in one transaction.
///
/// # Errors
/// A policy says something that is not understood.
pub(crate) fn ruleset(policies: &[Policy], namespaces: &BTreeMap<String, Labels>, pods: &[Endpoint]) -> Result<String> {
    let (mut chains, mut forward, mut input) = (String::new(), String::new(), String::new());
    for pod in pods {
        let interface = &pod.interface;
        // Who sends is what the wire says.
        writeln!(forward, "    iifname {interface} ip saddr != {} drop", pod.v4)?;
        writeln!(forward, "    iifname {interface} ip6 saddr != {} drop", pod.v6)?;
        for (way, side, chain) in [(Way::Egress, "iifname", "egress"), (Way::Ingress, "oifname", "ingress")] {
            let isolating: Vec<&Policy> = policies
                .iter()
                .filter(|p| p.namespace == pod.namespace && p.isolates(way) && p.spec.pod_selector.matches(&pod.labels))
                .collect();
            if isolating.is_empty() {
                continue;
            }
            writeln!(chains, "  chain {chain}-{interface} {{")?;
            for policy in isolating {
                writeln!(chains, "    # {}/{}", policy.namespace, policy.name)?;
                for rule in policy.rules(way) {
                    for line in lines(policy, rule, way, pod, namespaces, pods)? {
                        writeln!(chains, "    {line} counter return")?;
                    }
                }
            }
            writeln!(chains, "    counter drop\n  }}")?;
            writeln!(forward, "    {side} {interface} jump {chain}-{interface}")?;
            if way == Way::Egress {
                writeln!(input, "    {side} {interface} jump {chain}-{interface}")?;
            }
        }
    }
    Ok(format!(
        "table inet policies\ndelete table inet policies\ntable inet policies {{\n{chains}  chain forward {{\n    type filter hook forward priority filter; \
         policy accept;\n    ct state established,related accept\n{forward}  }}\n  chain input {{\n    type filter hook input priority filter; policy \
         accept;\n    ct state established,related accept\n    icmpv6 type {{ nd-neighbor-solicit, nd-neighbor-advert }} accept\n{input}  }}\n}}\n"
    ))
}

impl Policy {
    fn isolates(&self, way: Way) -> bool {
        let types = &self.spec.policy_types;
        match way {
            Way::Ingress => types.is_empty() || types.iter().any(|kind| kind == "Ingress"),
            Way::Egress if types.is_empty() => self.spec.egress.is_some(),
            Way::Egress => types.iter().any(|kind| kind == "Egress"),
        }
    }

    fn rules(&self, way: Way) -> &[Rule] {
        let rules = if way == Way::Ingress { &self.spec.ingress } else { &self.spec.egress };
        rules.as_deref().unwrap_or_default()
    }
}

/// The matches of one rule: any line lets a packet pass.
fn lines(
    policy: &Policy,
    rule: &Rule,
    way: Way,
    pod: &Endpoint,
    namespaces: &BTreeMap<String, Labels>,
    pods: &[Endpoint],
) -> Result<Vec<String>> {
    let field = if way == Way::Ingress { "saddr" } else { "daddr" };
    // Who is meant by name: needed for ports by name as well.
    let mut meant: Vec<&Endpoint> = Vec::new();
    let mut addresses: Vec<String> = Vec::new();
    for peer in &rule.peers {
        match peer {
            Peer { ip_block: Some(block), pod_selector: None, namespace_selector: None } => addresses.push(range(block, field)?),
            Peer { ip_block: None, pod_selector, namespace_selector } if pod_selector.is_some() || namespace_selector.is_some() => {
                meant.extend(pods.iter().filter(|other| {
                    let in_namespace = namespace_selector.as_ref().map_or(other.namespace == policy.namespace, |selector| {
                        namespaces.get(&other.namespace).is_some_and(|labels| selector.matches(labels))
                    });
                    in_namespace && pod_selector.as_ref().is_none_or(|selector| selector.matches(&other.labels))
                }));
            }
            _ => bail!("a peer of {}/{} is neither pods nor addresses", policy.namespace, policy.name),
        }
    }
    addresses.extend(meant.iter().flat_map(|other| [format!("ip {field} {}", other.v4), format!("ip6 {field} {}", other.v6)]));
    if rule.peers.is_empty() {
        // Everybody: a match that is always so, since a rule of nftables must not begin with nothing.
        addresses.push("meta nfproto { ipv4, ipv6 }".to_owned());
        meant.extend(pods);
    }
    if rule.ports.is_empty() {
        return Ok(addresses);
    }
    let mut lines = Vec::new();
    for port in &rule.ports {
        match (way, named(port)) {
            (_, None) => {
                let matched = number(port)?;
                lines.extend(addresses.iter().map(|address| format!("{address} {matched}")));
            }
            // A port by name is one of the pod that is spoken to.
            (Way::Ingress, Some(name)) => {
                for number in pod.ports_named(name, protocol(port)?) {
                    lines.extend(addresses.iter().map(|address| format!("{address} {number}")));
                }
            }
            (Way::Egress, Some(name)) => {
                for other in &meant {
                    for number in other.ports_named(name, protocol(port)?) {
                        lines.push(format!("ip daddr {} {number}", other.v4));
                        lines.push(format!("ip6 daddr {} {number}", other.v6));
                    }
                }
            }
        }
    }
    Ok(lines)
}

fn range(block: &IpBlock, field: &str) -> Result<String> {
    let family = |cidr: &str| -> Result<&'static str> {
        match cidr.split('/').next().unwrap_or_default().parse() {
            Ok(IpAddr::V4(_)) => Ok("ip"),
            Ok(IpAddr::V6(_)) => Ok("ip6"),
            Err(_) => bail!("{cidr} is not a range of addresses"),
        }
    };
    let ip = family(&block.cidr)?;
    let mut matched = format!("{ip} {field} {}", block.cidr);
    for except in &block.except {
        if family(except)? != ip {
            bail!("{except} cannot be a part of {}", block.cidr);
        }
        write!(matched, " {ip} {field} != {except}")?;
    }
    Ok(matched)
}

fn named(port: &PolicyPort) -> Option<&str> {
    match &port.port {
        Some(IntOrString::String(name)) => Some(name),
        _ => None,
    }
}

fn protocol(port: &PolicyPort) -> Result<&'static str> {
    match port.protocol.as_deref().unwrap_or("TCP") {
        "TCP" => Ok("tcp"),
        "UDP" => Ok("udp"),
        "SCTP" => Ok("sctp"),
        other => bail!("there is no protocol {other}"),
    }
}

/// The match of a port that is no name.
fn number(port: &PolicyPort) -> Result<String> {
    let protocol = protocol(port)?;
    Ok(match (&port.port, port.end_port) {
        (Some(IntOrString::Int(first)), Some(last)) if last >= *first => format!("{protocol} dport {first}-{last}"),
        (Some(IntOrString::Int(only)), None) => format!("{protocol} dport {only}"),
        (None, None) => format!("meta l4proto {protocol}"),
        _ => bail!("endPort without a smaller port"),
    })
}

impl Endpoint {
    /// The matches of a port by its name.
    fn ports_named(&self, name: &str, protocol: &str) -> Vec<String> {
        let ports = self.ports.iter().filter(|(given, over, _)| given == name && over.eq_ignore_ascii_case(protocol));
        ports.map(|(_, _, number)| format!("{protocol} dport {number}")).collect()
    }
}

#[cfg(test)]
mod tests;
