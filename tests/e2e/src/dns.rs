//! A DNS server that knows the names of a test and nothing else.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Result;
use tokio::net::UdpSocket;
use tokio::task::JoinSet;

/// The longest query looked at: what UDP without extensions carries (RFC 1035 section 4.2.1).
const LONGEST: usize = 512;
/// The most addresses in a reply; beside the longest question they fit into [`LONGEST`].
const MOST: usize = 14;
const TYPE_A: u16 = 1;
const CLASS_IN: u16 = 1;

/// Answers A queries over UDP; names it does not know do not exist. Ends when dropped.
#[derive(Debug)]
pub struct Dns {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
    _task: JoinSet<()>,
}

#[derive(Debug, Default)]
struct State {
    /// A name that begins with a dot stands for everything below it.
    names: HashMap<String, Vec<Ipv4Addr>>,
    queries: Vec<String>,
}

impl Dns {
    /// Starts a server that knows these names; `.example.net` stands for every name below `example.net`.
    ///
    /// # Errors
    /// No port is free.
    pub async fn start<'n>(names: impl IntoIterator<Item = (&'n str, Ipv4Addr)>) -> Result<Self> {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = socket.local_addr()?;
        let names = names.into_iter().map(|(name, ip)| (name.to_ascii_lowercase(), vec![ip])).collect();
        let state = Arc::new(Mutex::new(State { names, queries: Vec::new() }));
        let mut task = JoinSet::new();
        task.spawn(serve(socket, Arc::clone(&state)));
        Ok(Self { address, state, _task: task })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Gives a name another address from now on (DNS rebinding).
    pub fn set(&self, name: &str, ip: Ipv4Addr) {
        self.set_all(name, &[ip]);
    }

    /// Gives a name these addresses from now on, as a headless Service has those of its pods.
    pub fn set_all(&self, name: &str, ips: &[Ipv4Addr]) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).names.insert(name.to_ascii_lowercase(), ips.to_vec());
    }

    /// The names that were asked for, in lower case and in order.
    #[must_use]
    pub fn queries(&self) -> Vec<String> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).queries.clone()
    }
}

impl Dns {
    /// Whether a name that holds this text was asked for, in any case.
    #[must_use]
    pub fn asked_for(&self, part: &str) -> bool {
        self.queries().iter().any(|name| name.contains(&part.to_ascii_lowercase()))
    }

    /// Forgets the queries so far.
    pub fn forget(&self) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).queries.clear();
    }
}

async fn serve(socket: UdpSocket, state: Arc<Mutex<State>>) {
    let mut buffer = [0; LONGEST];
    loop {
        // An error here is the ICMP answer to an earlier reply; the next query has nothing to do with it.
        let Ok((length, peer)) = socket.recv_from(&mut buffer).await else { continue };
        let reply = buffer.get(..length).and_then(|query| {
            let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
            dns_reply(query, |name| state.look_up(name))
        });
        if let Some(reply) = reply {
            drop(socket.send_to(&reply, peer).await);
        }
    }
}

impl State {
    fn look_up(&mut self, name: &str) -> Option<Vec<Ipv4Addr>> {
        self.queries.push(name.to_owned());
        let below = || self.names.iter().find(|(n, _)| n.starts_with('.') && name.ends_with(*n)).map(|(_, ips)| ips);
        self.names.get(name).or_else(below).cloned()
    }
}

/// The reply to a query of one question, or nothing if it is not one. `look_up` is asked for the addresses of a name in lower case; nothing
/// means that there is no such name.
pub fn dns_reply(query: &[u8], look_up: impl FnOnce(&str) -> Option<Vec<Ipv4Addr>>) -> Option<Vec<u8>> {
    let header = query.get(..12)?;
    let is_query = header[2] & 0x80 == 0;
    if !is_query || header[4..6] != [0, 1] {
        return None;
    }
    let (mut name, mut at) = (String::new(), 12);
    loop {
        let length = usize::from(*query.get(at)?);
        if length == 0 {
            break;
        }
        // Lengths above 63 are compression, which a question has no use for.
        let label = (length <= 63).then(|| query.get(at + 1..at + 1 + length))??;
        if !name.is_empty() {
            name.push('.');
        }
        name.push_str(&String::from_utf8_lossy(label).to_ascii_lowercase());
        at += 1 + length;
    }
    let question = query.get(12..at + 5)?;
    let kind = u16::from_be_bytes(query.get(at + 1..at + 3)?.try_into().ok()?);
    let class = u16::from_be_bytes(query.get(at + 3..at + 5)?.try_into().ok()?);
    let known = look_up(&name);
    let mut addresses = known.clone().filter(|_| kind == TYPE_A && class == CLASS_IN).unwrap_or_default();
    addresses.truncate(MOST);
    let mut reply = Vec::with_capacity(LONGEST);
    reply.extend_from_slice(&header[..2]);
    // A response with authority; the recursion bits as asked and available; NXDOMAIN (3) for what is not known.
    reply.extend_from_slice(&[0x84 | (header[2] & 0x01), 0x80 | if known.is_some() { 0 } else { 3 }]);
    reply.extend_from_slice(&[0, 1, 0, u8::try_from(addresses.len()).ok()?, 0, 0, 0, 0]);
    reply.extend_from_slice(question);
    for ip in addresses {
        // A pointer to the question's name, type A, class IN, a life of one second, four bytes.
        reply.extend_from_slice(&[0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 1, 0, 4]);
        reply.extend_from_slice(&ip.octets());
    }
    Some(reply)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(name: &str, kind: u8) -> Vec<u8> {
        let mut query = vec![0xab, 0xcd, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        for label in name.split('.') {
            query.push(u8::try_from(label.len()).unwrap());
            query.extend_from_slice(label.as_bytes());
        }
        query.extend_from_slice(&[0, 0, kind, 0, 1]);
        query
    }

    fn state() -> State {
        State { names: HashMap::from([("api.test".to_owned(), vec![Ipv4Addr::LOCALHOST])]), queries: Vec::new() }
    }

    #[test]
    fn a_known_name_has_an_address_in_any_case_and_others_do_not_exist() {
        let mut state = state();
        let mut answer = |query: &[u8]| dns_reply(query, |name| state.look_up(name));
        let reply = answer(&query("API.test", 1)).unwrap();
        assert_eq!((&reply[..2], reply[3] & 15, reply[7]), (&[0xab, 0xcd][..], 0, 1));
        assert!(reply.ends_with(&[127, 0, 0, 1]));
        let reply = answer(&query("api.test", 28)).unwrap();
        assert_eq!((reply[3] & 15, reply[7]), (0, 0), "it exists but has no IPv6 address");
        let reply = answer(&query("other.test", 1)).unwrap();
        assert_eq!((reply[3] & 15, reply[7]), (3, 0));
        assert_eq!(state.queries, ["api.test", "api.test", "other.test"]);
    }

    #[test]
    fn a_name_may_have_several_addresses() {
        let addresses = [Ipv4Addr::new(10, 0, 0, 1), Ipv4Addr::new(10, 0, 0, 2)];
        let reply = dns_reply(&query("a.test", 1), |_| Some(addresses.to_vec())).unwrap();
        assert_eq!(reply[7], 2);
        assert!(reply.ends_with(&[10, 0, 0, 2]));
        let reply = dns_reply(&query("a.test", 1), |_| Some(vec![addresses[0]; 100])).unwrap();
        assert!(reply[7] > 0 && reply.len() <= LONGEST);
    }

    #[test]
    fn queries_cut_short_get_no_answer() {
        let whole = query("api.test", 1);
        for length in 0..whole.len() {
            assert_eq!(dns_reply(&whole[..length], |_| None), None, "{length}");
        }
    }
}
