//! The rules are held to the kernel's own judgement: pods on wires, and who reaches whom.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::process::Command;
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::*;
use crate::host::Host;
use crate::node::Node;
use crate::{nft, objects};

/// How long a packet that is let pass may take on a busy machine, and how long one that is not is waited for.
const PASSES: Duration = Duration::from_secs(20);
const DROPPED: Duration = Duration::from_millis(400);

/// Pods: name, namespace, label `app`, named port.
const PODS: [(&str, &str, &str, u16); 4] = [("a", "x", "a", 80), ("b", "x", "b", 8080), ("c", "y", "a", 80), ("d", "z", "d", 80)];
/// An address of the world, and another.
const OUT: &str = "8.8.8.8";
const META: &str = "169.254.169.254";

/// Policies, and what they make of packets: `from > to protocol/port`, with `!` before it where it must not pass.
const TABLE: [(&str, &str, &[&str]); 16] = [
    ("nothing isolates nobody", "", &["a > b tcp/80", "b > c udp/53", "a > out tcp/22", "a > meta tcp/80", "a > b6 tcp/80", "node > a tcp/80"]),
    (
        "default deny, both ways, of one namespace",
        "{namespace: x, spec: {podSelector: {}, policyTypes: [Ingress, Egress]}}",
        &["!a > b tcp/80", "!a > c tcp/80", "!c > a tcp/80", "!a > out tcp/443", "!a > out udp/53", "!a > b6 tcp/80", "!a > out6 tcp/80", "!a > node tcp/9", "c > d tcp/80", "node > a tcp/80"],
    ),
    (
        "without policyTypes ingress is isolated, and egress only if there are rules for it",
        "{namespace: x, spec: {podSelector: {matchLabels: {app: a}}}}",
        &["!b > a tcp/80", "!d > a udp/1", "a > b tcp/80", "a > out tcp/1"],
    ),
    (
        "an empty list of rules isolates, an empty rule opens",
        "{namespace: x, spec: {podSelector: {matchLabels: {app: a}}, policyTypes: [Egress], egress: []}}
---
{namespace: x, spec: {podSelector: {matchLabels: {app: b}}, policyTypes: [Egress, Ingress], egress: [{}], ingress: [{}]}}",
        &["!a > c tcp/80", "c > a tcp/80", "b > c tcp/80", "b > out udp/9", "b > out6 tcp/80", "c > b tcp/80"],
    ),
    (
        "a pod selector alone means the policy's own namespace",
        "{namespace: x, spec: {podSelector: {matchLabels: {app: b}}, ingress: [{from: [{podSelector: {matchLabels: {app: a}}}]}]}}",
        &["a > b tcp/80", "a > b udp/9", "!c > b tcp/80", "!d > b tcp/80"],
    ),
    (
        "both selectors in one peer mean both, in two peers either",
        "{namespace: x, spec: {podSelector: {matchLabels: {app: a}}, ingress: [{from: [{namespaceSelector: {matchLabels: {team: t}}, podSelector: {matchLabels: {app: d}}}]}]}}
---
{namespace: x, spec: {podSelector: {matchLabels: {app: b}}, ingress: [{from: [{namespaceSelector: {matchLabels: {team: t}}}, {podSelector: {matchLabels: {app: a}}}]}]}}",
        &["!c > a tcp/80", "d > a tcp/80", "!b > a tcp/80", "c > b tcp/80", "d > b tcp/80", "a > b tcp/80"],
    ),
    (
        "an empty namespace selector means every namespace, an empty pod selector every pod of its own",
        "{namespace: x, spec: {podSelector: {matchLabels: {app: a}}, ingress: [{from: [{namespaceSelector: {}}]}]}}
---
{namespace: x, spec: {podSelector: {matchLabels: {app: b}}, ingress: [{from: [{podSelector: {}}]}]}}",
        &["b > a tcp/80", "c > a tcp/80", "!out > a tcp/80", "a > b tcp/80", "!c > b tcp/80"],
    ),
    (
        "namespaces have a label of their name, and expressions count",
        "{namespace: x, spec: {podSelector: {matchLabels: {app: a}}, ingress: [{from: [{namespaceSelector: {matchExpressions: [{key: kubernetes.io/metadata.name, operator: NotIn, values: [z]}]}}]}]}}",
        &["c > a tcp/80", "b > a tcp/80", "!d > a tcp/80"],
    ),
    (
        "both ends must agree",
        "{namespace: x, spec: {podSelector: {matchLabels: {app: a}}, policyTypes: [Egress], egress: [{to: [{podSelector: {}}, {namespaceSelector: {matchLabels: {team: t}}}]}]}}
---
{namespace: y, spec: {podSelector: {}, policyTypes: [Ingress]}}",
        &["a > b tcp/80", "a > d tcp/80", "!a > c tcp/80", "!b > c tcp/80", "b > d tcp/80"],
    ),
    (
        "policies add up",
        "{namespace: x, spec: {podSelector: {}, policyTypes: [Egress]}}
---
{namespace: x, spec: {podSelector: {matchLabels: {app: a}}, policyTypes: [Egress], egress: [{ports: [{port: 443}]}]}}
---
{namespace: x, spec: {podSelector: {}, policyTypes: [Egress], egress: [{ports: [{port: 53, protocol: UDP}]}]}}",
        &["a > out tcp/443", "a > c tcp/443", "!a > out tcp/80", "!a > out udp/443", "a > out udp/53", "b > out udp/53", "!b > out tcp/53", "!b > out tcp/443"],
    ),
    (
        "ports: numbers, ranges, protocols, and every port of a protocol",
        "{namespace: x, spec: {podSelector: {matchLabels: {app: a}}, policyTypes: [Egress], egress: [{ports: [{port: 80}, {port: 8000, endPort: 8100}, {protocol: UDP}]}]}}",
        &["a > out tcp/80", "!a > out tcp/81", "!a > out tcp/7999", "a > out tcp/8000", "a > out tcp/8100", "!a > out tcp/8101", "a > out udp/12345", "a > out udp/80"],
    ),
    (
        "a port by name is one of the pod that is spoken to",
        "{namespace: x, spec: {podSelector: {matchLabels: {app: b}}, ingress: [{ports: [{port: web}]}]}}
---
{namespace: z, spec: {podSelector: {}, policyTypes: [Egress], egress: [{ports: [{port: web}]}]}}
---
{namespace: y, spec: {podSelector: {}, policyTypes: [Egress], egress: [{to: [{ipBlock: {cidr: 0.0.0.0/0}}], ports: [{port: web}]}]}}",
        &["a > b tcp/8080", "!a > b tcp/80", "d > b tcp/8080", "d > a tcp/80", "!d > a tcp/8080", "!d > out tcp/80", "!c > out tcp/80", "!c > out tcp/8080"],
    ),
    (
        "a range of addresses without parts of it, which another rule may still allow",
        "{namespace: x, spec: {podSelector: {}, policyTypes: [Egress], egress: [{to: [{ipBlock: {cidr: 0.0.0.0/0, except: [10.0.0.0/8, 169.254.0.0/16]}}], ports: [{port: 443}]}]}}
---
{namespace: x, spec: {podSelector: {matchLabels: {app: b}}, policyTypes: [Egress], egress: [{to: [{ipBlock: {cidr: 10.0.0.0/8}}, {ipBlock: {cidr: 169.254.169.254/32}}]}]}}",
        &["a > out tcp/443", "!a > out tcp/80", "!a > c tcp/443", "!a > meta tcp/443", "!a > out6 tcp/443", "b > c tcp/443", "b > meta tcp/80", "b > out tcp/443", "!b > out tcp/80"],
    ),
    (
        "ranges of IPv6 mean IPv6 only",
        "{namespace: x, spec: {podSelector: {}, policyTypes: [Egress], egress: [{to: [{ipBlock: {cidr: \"::/0\", except: [\"fc00::/7\"]}}]}]}}",
        &["a > out6 tcp/80", "!a > out tcp/80", "!a > b6 tcp/80", "!a > b tcp/80"],
    ),
    (
        "ranges of addresses for who comes in",
        "{namespace: x, spec: {podSelector: {matchLabels: {app: a}}, ingress: [{from: [{ipBlock: {cidr: 172.31.0.0/16}}]}]}}",
        &["out > a tcp/80", "!b > a tcp/80", "node > a tcp/80"],
    ),
    (
        "the node is nobody's peer",
        "{namespace: x, spec: {podSelector: {matchLabels: {app: a}}, policyTypes: [Egress], egress: [{to: [{podSelector: {}}]}]}}
---
{namespace: x, spec: {podSelector: {matchLabels: {app: b}}, policyTypes: [Egress], egress: [{to: [{ipBlock: {cidr: 10.244.0.1/32}}], ports: [{port: 9}]}]}}",
        &["a > b tcp/80", "!a > node tcp/9", "b > node tcp/9", "!b > node tcp/10"],
    ),
];

/// Everybody who can be spoken to or speak, by name.
struct Lab {
    hosts: BTreeMap<&'static str, Arc<Host>>,
    addresses: BTreeMap<String, IpAddr>,
    endpoints: Vec<Endpoint>,
}

impl Lab {
    async fn new() -> Self {
        let node = Node::new().unwrap();
        let (mut hosts, mut addresses, mut endpoints) = (BTreeMap::new(), BTreeMap::new(), Vec::new());
        for (name, namespace, app, port) in PODS {
            let host = Arc::new(Host::new(name).unwrap());
            let wire = node.wire(&host).unwrap();
            addresses.insert(name.to_owned(), IpAddr::from(wire.v4));
            addresses.insert(format!("{name}6"), IpAddr::from(wire.v6));
            let labels = Labels::from([("app".to_owned(), app.to_owned())]);
            let ports = vec![("web".to_owned(), "TCP".to_owned(), port)];
            endpoints.push(Endpoint {
                namespace: namespace.to_owned(),
                labels,
                interface: wire.interface,
                v4: wire.v4,
                v6: wire.v6,
                ports,
            });
            hosts.insert(name, host);
        }
        let world = Arc::new(Host::new("out").unwrap());
        node.attach_world(&world).unwrap();
        hosts.insert("out", world);
        for (name, address) in [("out", OUT), ("meta", META), ("out6", "2606:4700::1111"), ("node", "10.244.0.1")] {
            addresses.insert(name.to_owned(), address.parse().unwrap());
        }
        for host in hosts.values() {
            let rules = "table inet every { chain prerouting { type nat hook prerouting priority dstnat; meta l4proto { tcp, udp } redirect to :9; }; }";
            nft::apply_with(Command::from(host.command("nft")), rules).await.unwrap();
            host.run(async || listen().await).await.unwrap();
        }
        listen().await;
        Self { hosts, addresses, endpoints }
    }

    async fn apply(&self, policies: &str) {
        let namespaces = [("x", ""), ("y", "t"), ("z", "t")].map(|(name, team)| {
            let labels = [("kubernetes.io/metadata.name", name), ("team", team)].map(|(key, value)| (key.to_owned(), value.to_owned()));
            (name.to_owned(), Labels::from(labels))
        });
        let policies: Vec<Policy> = policies.split("\n---\n").filter(|text| !text.is_empty()).enumerate().map(policy).collect();
        nft::apply(&ruleset(&policies, &namespaces.into(), &self.endpoints).unwrap()).await.unwrap();
    }

    /// Whether a packet of this kind gets there and back.
    fn passes(&self, from: &str, to: &str, protocol: &str, port: u16, within: Duration) -> oneshot::Receiver<bool> {
        let to = SocketAddr::new(self.addresses[to], port);
        let tcp = protocol == "tcp";
        let attempt = async move || timeout(within, if_reached(to, tcp)).await.unwrap_or(false);
        if let Some(host) = self.hosts.get(from) {
            return host.start(attempt);
        }
        let (done, result) = oneshot::channel();
        tokio::spawn(async move { done.send(attempt().await).unwrap() });
        result
    }
}

fn policy((number, yaml): (usize, &str)) -> Policy {
    #[derive(serde::Deserialize)]
    struct Written {
        namespace: String,
        spec: objects::NetworkPolicySpec,
    }
    let Written { namespace, spec } = serde_saphyr::from_str(yaml).unwrap_or_else(|error| panic!("{yaml}: {error}"));
    Policy { namespace, name: number.to_string(), spec }
}

/// Answers on port 9, where the rules of a host lead all ports.
async fn listen() {
    let (tcp, udp) = (TcpListener::bind("[::]:9").await.unwrap(), UdpSocket::bind("[::]:9").await.unwrap());
    tokio::spawn(async move { while tcp.accept().await.is_ok() {} });
    tokio::spawn(async move {
        let mut buffer = [0; 64];
        while let Ok((length, from)) = udp.recv_from(&mut buffer).await {
            drop(udp.send_to(&buffer[..length], from).await);
        }
    });
}

async fn if_reached(to: SocketAddr, tcp: bool) -> bool {
    if tcp {
        return TcpStream::connect(to).await.is_ok();
    }
    let from = if to.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
    let socket = UdpSocket::bind(from).await.unwrap();
    socket.connect(to).await.unwrap();
    socket.send(b"?").await.is_ok() && socket.recv(&mut [0; 8]).await.is_ok()
}

#[test]
fn what_the_policies_say_is_what_passes() {
    crate::inside(async || {
        let lab = Lab::new().await;
        let mut wrong = Vec::new();
        for (what, policies, packets) in TABLE {
            lab.apply(policies).await;
            // All at once: most of the time goes into waiting for what does not come.
            let sent = packets.iter().map(|packet| {
                let (line, open) = packet.strip_prefix('!').map_or((*packet, true), |line| (line, false));
                let [from, ">", to, kind] = line.split(' ').collect::<Vec<_>>()[..] else { panic!("{packet}") };
                let (protocol, port) = kind.split_once('/').unwrap();
                (*packet, open, lab.passes(from, to, protocol, port.parse().unwrap(), if open { PASSES } else { DROPPED }))
            });
            for (packet, open, passed) in sent.collect::<Vec<_>>() {
                if passed.await.unwrap() != open {
                    wrong.push(format!("{what}: {packet}"));
                }
            }
        }
        assert!(wrong.is_empty(), "{wrong:#?}");
        Ok(())
    });
}

#[test]
fn nobody_speaks_with_another_address_than_its_own() {
    crate::inside(async || {
        let lab = Lab::new().await;
        lab.apply("").await;
        // What comes over UDP needs no answer to have been heard.
        let heard = lab.hosts["c"].run(async || UdpSocket::bind("0.0.0.0:99").await.unwrap()).await.unwrap();
        nft::apply_with(Command::from(lab.hosts["c"].command("nft")), "flush ruleset").await.unwrap();
        let to = SocketAddr::new(lab.addresses["c"], 99);
        for (address, arrives) in [("a", true), ("b", false)] {
            let from = lab.addresses[address];
            crate::host::ip(&["-netns", "a", "address", "replace", &format!("{from}/32"), "dev", "eth0"]).unwrap();
            let say = async move || UdpSocket::bind((from, 0)).await.unwrap().send_to(b"?", to).await.unwrap();
            lab.hosts["a"].run(say).await.unwrap();
            let within = if arrives { PASSES } else { DROPPED };
            assert_eq!(timeout(within, heard.recv(&mut [0; 8])).await.is_ok(), arrives, "as {address}");
        }
        Ok(())
    });
}

#[test]
fn what_is_not_understood_is_an_error() {
    let of = |yaml: &str| ruleset(&[policy((0, yaml))], &BTreeMap::new(), &[endpoint()]).unwrap_err().to_string();
    let endpoint_of = "namespace: x, spec: {podSelector: {}, ingress: [{from: [";
    assert!(of(&format!("{{{endpoint_of}{{}}]}}]}}}}")).contains("neither pods nor addresses"));
    assert!(of(&format!("{{{endpoint_of}{{ipBlock: {{cidr: 10.0.0.0/8}}, podSelector: {{}}}}]}}]}}}}")).contains("neither"));
    assert!(of(&format!("{{{endpoint_of}{{ipBlock: {{cidr: here}}}}]}}]}}}}")).contains("not a range"));
    assert!(of(&format!("{{{endpoint_of}{{ipBlock: {{cidr: 10.0.0.0/8, except: [\"fc00::/7\"]}}}}]}}]}}}}")).contains("part of"));
    let ports = "namespace: x, spec: {podSelector: {}, ingress: [{ports: [";
    assert!(of(&format!("{{{ports}{{port: 80, protocol: ICMP}}]}}]}}}}")).contains("ICMP"));
    assert!(of(&format!("{{{ports}{{port: 80, endPort: 79}}]}}]}}}}")).contains("endPort"));
    assert!(of(&format!("{{{ports}{{endPort: 79}}]}}]}}}}")).contains("endPort"));
}

fn endpoint() -> Endpoint {
    Endpoint {
        namespace: "x".to_owned(),
        labels: Labels::new(),
        interface: "pod1".to_owned(),
        v4: std::net::Ipv4Addr::new(10, 244, 1, 1),
        v6: std::net::Ipv6Addr::LOCALHOST,
        ports: Vec::new(),
    }
}
