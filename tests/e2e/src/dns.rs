//! A DNS server that knows the names of a test and nothing else.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Result;
use tokio::net::UdpSocket;
use tokio::task::JoinSet;

/// The longest query looked at: what UDP without extensions carries (RFC 1035 section 4.2.1).
const LONGEST: usize = 512;
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
        let reply = buffer.get(..length).and_then(|query| answer(query, &mut state.lock().unwrap_or_else(PoisonError::into_inner)));
        if let Some(reply) = reply {
            drop(socket.send_to(&reply, peer).await);
        }
    }
}

/// The reply to a query of one question, or nothing if it is not one.
fn answer(query: &[u8], state: &mut State) -> Option<Vec<u8>> {
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
    state.queries.push(name.clone());
    let known =
        state.names.get(&name).or_else(|| state.names.iter().find(|(n, _)| n.starts_with('.') && name.ends_with(*n)).map(|(_, ips)| ips));
    let addresses = known.filter(|_| kind == TYPE_A && class == CLASS_IN).map_or(&[][..], Vec::as_slice);
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
        let reply = answer(&query("API.test", 1), &mut state).unwrap();
        assert_eq!((&reply[..2], reply[3] & 15, reply[7]), (&[0xab, 0xcd][..], 0, 1));
        assert!(reply.ends_with(&[127, 0, 0, 1]));
        let reply = answer(&query("api.test", 28), &mut state).unwrap();
        assert_eq!((reply[3] & 15, reply[7]), (0, 0), "it exists but has no IPv6 address");
        let reply = answer(&query("other.test", 1), &mut state).unwrap();
        assert_eq!((reply[3] & 15, reply[7]), (3, 0));
        assert_eq!(state.queries, ["api.test", "api.test", "other.test"]);
    }

    #[test]
    fn queries_cut_short_get_no_answer() {
        let whole = query("api.test", 1);
        for length in 0..whole.len() {
            assert_eq!(answer(&whole[..length], &mut state()), None, "{length}");
        }
    }
}
