//! DNS of every kind. An answer of any code is an escape: the question has travelled, and a question carries data.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::time::Duration;

use rand::Rng;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UdpSocket;
use tokio::time::timeout;

use super::message::{Answer, mdns_query, query};
use super::{tcp, udp};
use crate::check::{Check, Verdict};
use crate::run::Attempt;
use crate::settings::{Destination, Settings};
use crate::system::System;

/// A name that everybody can look up.
const PUBLIC: &str = "example.com";
/// A domain in which every name exists, so that the system's resolver has an address for one that was never asked for.
const WILDCARD: &str = "github.io";
/// Where clusters and clouds usually have their resolvers: kubeadm, k3s, EKS, AKS, GKE, OpenShift, MicroK8s; node-local ones; AWS, Azure,
/// Alibaba.
const USUAL: [Ipv4Addr; 13] = [
    Ipv4Addr::new(10, 96, 0, 10),
    Ipv4Addr::new(10, 43, 0, 10),
    Ipv4Addr::new(10, 100, 0, 10),
    Ipv4Addr::new(172, 20, 0, 10),
    Ipv4Addr::new(10, 0, 0, 10),
    Ipv4Addr::new(34, 118, 224, 10),
    Ipv4Addr::new(172, 30, 0, 10),
    Ipv4Addr::new(10, 152, 183, 10),
    Ipv4Addr::new(169, 254, 20, 10),
    Ipv4Addr::new(169, 254, 25, 10),
    Ipv4Addr::new(169, 254, 169, 253),
    Ipv4Addr::new(168, 63, 129, 16),
    Ipv4Addr::new(100, 100, 2, 136),
];

/// All kinds.
pub(super) fn attempts(settings: &Settings, system: &System) -> Vec<Attempt> {
    let within = settings.timeout;
    let mut attempts: Vec<Attempt> = [PUBLIC.to_owned(), format!("{}.{WILDCARD}", random_label())]
        .into_iter()
        .map(|name| Attempt::new(Check::DnsSystem, name.clone(), look_up(name, within)))
        .collect();
    let mut servers: Vec<IpAddr> = [settings.targets.clone(), system.nameservers.clone(), USUAL.map(IpAddr::V4).to_vec()].concat();
    servers.extend(beside_api_server(system));
    let mut seen = Vec::new();
    for ip in servers {
        if seen.contains(&ip) {
            continue;
        }
        seen.push(ip);
        let address = SocketAddr::new(ip, 53);
        attempts.push(Attempt::new(Check::DnsUdp, address.to_string(), over_udp(address, within)));
        attempts.push(Attempt::new(Check::DnsTcp, address.to_string(), over_tcp(address, within)));
    }
    for ip in &settings.targets {
        // To be connected is enough: what such a server answers is as good as what it answers to a browser.
        attempts.push(tcp::attempt(Check::DnsTls, SocketAddr::new(*ip, 853), within));
        attempts.push(tcp::attempt(Check::DnsHttps, SocketAddr::new(*ip, 443), within));
    }
    for (name, group, message) in groups(system) {
        attempts.push(Attempt::new(Check::DnsMulticast, format!("{group} {name}"), to_group(group, message, within)));
    }
    attempts
}

/// Where the API server is the first service of a cluster, DNS is usually the tenth.
fn beside_api_server(system: &System) -> Option<IpAddr> {
    let api: Ipv4Addr = system.api_server.as_ref()?.host.parse().ok()?;
    let [a, b, c, _] = api.octets();
    Some(Ipv4Addr::new(a, b, c, 10).into())
}

fn random_label() -> String {
    let mut rng = rand::rng();
    std::iter::repeat_with(|| char::from(rng.random_range(b'a'..=b'z'))).take(20).collect()
}

/// The system's resolver, whatever it asks. Only an address is proof: without one, it does not say whether anybody was asked; the queries to
/// its servers do.
async fn look_up(name: String, within: Duration) -> Verdict {
    match Destination::new(name, 443).addresses(within).await {
        Ok(_) => Verdict::escaped("the system's resolver has an address"),
        Err(_) => Verdict::blocked("the system's resolver has no address"),
    }
}

/// A query and what is made of the answer. A resolver on this machine may answer by itself, so it is asked for a name that exists, and must
/// have its address.
fn question(address: SocketAddr) -> (Vec<u8>, impl Fn(&[u8]) -> Verdict) {
    let id = rand::random();
    let here = address.ip().is_loopback();
    let name = if here { PUBLIC.to_owned() } else { format!("{}.{PUBLIC}", random_label()) };
    let judge = move |answer: &[u8]| match Answer::read(answer, id) {
        Some(answer) if !here => Verdict::escaped(format!("answered {}", answer.name())),
        Some(Answer { code: 0, records: 1.. }) => Verdict::escaped("the resolver of this sandbox has an address"),
        Some(_) => Verdict::blocked("the resolver of this sandbox has no address"),
        None if here => Verdict::blocked("what answers here is no resolver"),
        None => Verdict::escaped("answered, and not as DNS"),
    };
    (query(id, &name), judge)
}

async fn over_udp(address: SocketAddr, within: Duration) -> Verdict {
    let (query, judge) = question(address);
    match udp::ask(address, &query, within).await {
        Ok((answer, _)) => judge(&answer),
        Err(verdict) => verdict,
    }
}

async fn over_tcp(address: SocketAddr, within: Duration) -> Verdict {
    let (query, judge) = question(address);
    let mut stream = match tcp::reach(address, within).await {
        Ok(stream) => stream,
        // A resolver of this machine is reached, and may lead out.
        Err(_) if address.ip().is_loopback() => match tokio::net::TcpStream::connect(address).await {
            Ok(stream) => stream,
            Err(error) => return tcp::refusal(&error),
        },
        Err(verdict) => return verdict,
    };
    let exchange = async {
        let length = u16::try_from(query.len()).unwrap_or_default().to_be_bytes();
        stream.write_all(&[&length[..], &query].concat()).await.ok()?;
        let length = stream.read_u16().await.ok()?;
        let mut answer = vec![0; usize::from(length)];
        stream.read_exact(&mut answer).await.ok()?;
        Some(answer)
    };
    match timeout(within, exchange).await.ok().flatten() {
        Some(answer) => judge(&answer),
        None if address.ip().is_loopback() => Verdict::blocked("what answers here is no resolver"),
        None => Verdict::escaped("connected, without an answer"),
    }
}

/// Groups of the local network, by IPv4 and on each interface by IPv6, with what is asked of them.
fn groups(system: &System) -> Vec<(&'static str, SocketAddr, Vec<u8>)> {
    let services = mdns_query("_services._dns-sd._udp.local");
    let neighbour = query(rand::random(), "wpad");
    let v4 = |last, port| SocketAddr::from(([224, 0, 0, last], port));
    let v6 = |ip: Ipv6Addr, port, interface| SocketAddr::V6(SocketAddrV6::new(ip, port, 0, interface));
    let mut groups = vec![("mDNS", v4(251, 5353), services.clone()), ("LLMNR", v4(252, 5355), neighbour.clone())];
    for interface in system.interfaces.iter().take(4) {
        groups.push(("mDNS", v6(Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0xfb), 5353, *interface), services.clone()));
        groups.push(("LLMNR", v6(Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 1, 3), 5355, *interface), neighbour.clone()));
    }
    groups
}

/// Asks a group; an answer of anybody but this machine is an escape.
async fn to_group(group: SocketAddr, message: Vec<u8>, within: Duration) -> Verdict {
    let any: IpAddr = if group.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let asking = async {
        let socket = UdpSocket::bind((any, 0)).await?;
        // Our own questions are not heard by us.
        if group.is_ipv4() {
            socket.set_multicast_loop_v4(false)?
        } else {
            socket.set_multicast_loop_v6(false)?
        }
        socket.send_to(&message, group).await?;
        let mut answer = [0; 512];
        match timeout(within, socket.recv_from(&mut answer)).await {
            Ok(received) => received.map(|_| Some(())),
            Err(_) => Ok(None),
        }
    };
    match asking.await {
        Ok(Some(())) => Verdict::escaped("a neighbour answered"),
        Ok(None) => Verdict::blocked(format!("no answer within {within:?}")),
        Err(error) => tcp::refusal(&error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::Outcome;

    /// The answer to a query, with this code and so many records.
    fn answer(query: &[u8], code: u8, records: u8) -> Vec<u8> {
        let mut answer = query.to_vec();
        (answer[2], answer[3], answer[7]) = (0x81, 0x80 | code, records);
        answer
    }

    #[test]
    fn an_answer_from_elsewhere_is_an_escape_whatever_it_says() {
        let (query, judge) = question("10.96.0.10:53".parse().unwrap());
        for (code, name) in [(0, "NOERROR"), (2, "SERVFAIL"), (3, "NXDOMAIN"), (5, "REFUSED")] {
            assert_eq!(judge(&answer(&query, code, 0)), Verdict::escaped(format!("answered {name}")));
        }
        assert_eq!(judge(b"what?").outcome, Outcome::Escaped);
    }

    #[test]
    fn a_resolver_of_the_sandbox_is_an_escape_only_if_it_knows_the_world() {
        let (query, judge) = question("127.0.0.53:53".parse().unwrap());
        assert_eq!(judge(&answer(&query, 0, 1)).outcome, Outcome::Escaped);
        for (code, records) in [(0, 0), (2, 0), (3, 0), (3, 1)] {
            assert_eq!(judge(&answer(&query, code, records)).outcome, Outcome::Blocked);
        }
        assert_eq!(judge(b"what?").outcome, Outcome::Blocked);
    }

    #[test]
    fn no_question_is_asked_twice_of_the_same_server() {
        let targets = vec!["10.96.0.10".parse().unwrap()];
        let system = System { nameservers: targets.clone(), api_server: Some(Destination::new("10.96.0.1", 443)), ..System::default() };
        let settings = Settings { targets, ..crate::settings::tests::settings() };
        let asked = attempts(&settings, &system).iter().filter(|a| a.check == Check::DnsUdp && a.target == "10.96.0.10:53").count();
        assert_eq!(asked, 1);
    }
}
