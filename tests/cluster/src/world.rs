//! The world outside the cluster: every address that is no pod's. Web servers stand at all of them, as one [`Origin`] that records what
//! it gets; name servers too; and on every other port somebody who listens to whatever a sandbox may let slip.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result};
use portcullis_e2e::{Origin, TestCa};
use rustix::net::sockopt::ip_original_dst;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::process::Command;

use crate::host::Host;
use crate::node::Node;
use crate::{nft, system};

/// Where the names of the world lead to. A global address, as the gateway reaches no other; it exists inside the test only.
pub const ORIGIN: Ipv4Addr = Ipv4Addr::new(45, 79, 10, 10);
/// The port of who listens to everything.
const LISTENER: u16 = 9;
/// The names of the world. Those that begin with a dot stand for every name below.
const NAMES: [&str; 7] =
    ["sink.example.net", ".sink.example.net", "api.github.com", "github.com", "api.anthropic.com", "pastebin.com", "example.com"];

/// The world.
#[derive(Debug)]
pub struct World {
    /// The web: ports 80 and 443 of every address.
    pub origin: Origin,
    ca: TestCa,
    names: system::Names,
    contacts: Arc<Mutex<Vec<Contact>>>,
    host: Host,
}

/// Somebody in the cluster spoke to a port of the world that is no web server's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contact {
    /// Who.
    pub from: SocketAddr,
    /// To what address and port. Not known of UDP.
    pub to: Option<SocketAddr>,
    /// The first bytes.
    pub said: Vec<u8>,
}

impl World {
    /// Makes the world around a node.
    ///
    /// # Errors
    /// The kernel refuses.
    pub async fn new(node: &Node) -> Result<Self> {
        let host = Host::new("world")?;
        node.attach_world(&host)?;
        nft::apply_with(Command::from(host.command("nft")), &rules()).await?;
        let ca = Arc::new(TestCa::new()?);
        let names = system::Names(NAMES.iter().map(|name| ((*name).to_owned(), ORIGIN)).collect());
        let (for_origin, for_dns) = (Arc::clone(&ca), names.clone());
        let certified: Vec<String> =
            NAMES.iter().map(|name| if name.starts_with('.') { format!("*{name}") } else { (*name).to_owned() }).collect();
        let origin = host
            .run(async move || {
                let names: Vec<&str> = certified.iter().map(String::as_str).collect();
                Origin::start_at(Ipv4Addr::UNSPECIFIED, &for_origin, &names).await
            })
            .await??;
        let contacts = Arc::new(Mutex::new(Vec::new()));
        let (tcp, udp) = (Arc::clone(&contacts), Arc::clone(&contacts));
        // These run until the host is gone.
        drop(host.start(async move || system::serve_dns(Ipv4Addr::UNSPECIFIED, Arc::new(move |name| for_dns.look_up(name))).await));
        drop(host.start(async move || listen_tcp(tcp).await));
        drop(host.start(async move || listen_udp(udp).await));
        let ca = Arc::into_inner(ca).context("the CA of the world is still used")?;
        Ok(Self { origin, ca, names, contacts, host })
    }

    /// The certificate that the world's web servers are to be trusted by, PEM.
    #[must_use]
    pub fn ca_pem(&self) -> &str {
        self.ca.pem()
    }

    /// Who spoke to a port that is no web server's, so far.
    #[must_use]
    pub fn contacts(&self) -> Vec<Contact> {
        self.contacts.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The host that is the world.
    #[must_use]
    pub fn host(&self) -> &Host {
        &self.host
    }

    pub(crate) fn names(&self) -> system::Names {
        self.names.clone()
    }
}

/// Ports of the world: the web's and DNS as they are, everything else to who listens. What is answered over UDP is translated even where
/// the port stays, or the answer would come from another address than was asked.
fn rules() -> String {
    format!(
        "table inet world {{\n  chain prerouting {{\n    type nat hook prerouting priority dstnat; policy accept;\n    \
         meta nfproto ipv4 tcp dport != {{ 53, 80, 443 }} redirect to :{LISTENER}\n    meta nfproto ipv4 udp dport 53 redirect to :53\n    \
         meta nfproto ipv4 udp dport != 53 redirect to :{LISTENER}\n    meta nfproto ipv6 meta l4proto {{ tcp, udp }} redirect to :{LISTENER}\n  }}\n}}\n"
    )
}

async fn listen_tcp(contacts: Arc<Mutex<Vec<Contact>>>) -> Result<()> {
    let listener = TcpListener::bind(("::", LISTENER)).await?;
    loop {
        let Ok((stream, from)) = listener.accept().await else { continue };
        let to = ip_original_dst(&stream).ok().map(SocketAddr::from);
        let number = {
            let mut contacts = contacts.lock().unwrap_or_else(PoisonError::into_inner);
            contacts.push(Contact { from: plain(from), to, said: Vec::new() });
            contacts.len() - 1
        };
        let contacts = Arc::clone(&contacts);
        tokio::spawn(async move { hear(stream, &contacts, number).await });
    }
}

/// Greets, and hears the first words.
async fn hear(mut stream: TcpStream, contacts: &Mutex<Vec<Contact>>, number: usize) {
    let mut buffer = vec![0; 4096];
    // Some protocols wait for the other side's greeting. Who does not listen is recorded all the same.
    drop(stream.write_all(b"220 at your service\r\n").await);
    let length = stream.read(&mut buffer).await.unwrap_or_default();
    if let Some(contact) = contacts.lock().unwrap_or_else(PoisonError::into_inner).get_mut(number) {
        contact.said.extend_from_slice(buffer.get(..length).unwrap_or_default());
    }
}

/// Sends back what comes.
async fn listen_udp(contacts: Arc<Mutex<Vec<Contact>>>) -> Result<()> {
    let socket = UdpSocket::bind(("::", LISTENER)).await?;
    let mut buffer = vec![0; 4096];
    loop {
        let Ok((length, from)) = socket.recv_from(&mut buffer).await else { continue };
        let said = buffer.get(..length).unwrap_or_default().to_vec();
        drop(socket.send_to(&said, from).await);
        contacts.lock().unwrap_or_else(PoisonError::into_inner).push(Contact { from: plain(from), to: None, said });
    }
}

/// An IPv4 address as itself rather than mapped into IPv6.
fn plain(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}
