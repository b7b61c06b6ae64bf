//! A client of the gateway, with full control of what it sends.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::reply::Reply;
use super::request::Request;
use super::url::{ProxyUrl, SinkUrl};
use super::wire::{Read, Response, Wire};
use crate::settings::Settings;
use crate::trust::Trust;

/// How many times the timeout an answer may take: the gateway waits for a resolver and an upstream itself.
const PATIENCE: u32 = 4;

/// The gateway as the sandbox sees it.
pub(crate) struct Gateway {
    url: ProxyUrl,
    addresses: Vec<SocketAddr>,
    trust: Trust,
    /// For a connection.
    timeout: Duration,
    /// For an answer.
    patience: Duration,
}

/// What became of something that was sent.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    /// The proxy cannot be reached.
    Unreachable(String),
    /// The answer to CONNECT, which is the proxy's own.
    NoTunnel(Response),
    /// No TLS inside the tunnel: refused, or closed.
    NoTls,
    /// A certificate that is not trusted.
    Untrusted,
    /// An answer to the request, whose ever.
    Answer(Response),
    /// Bytes that are no HTTP.
    Bytes,
    /// The end of the connection.
    Closed,
    /// Nothing in time.
    Silence,
}

/// Which name the handshake inside a tunnel tells.
#[derive(Clone, Debug)]
pub(crate) enum Handshake {
    /// There is none: plain text.
    Plain,
    /// This name.
    Name(String),
    /// No name at all, as for an address.
    Nameless,
}

impl Gateway {
    /// The gateway behind the proxy at these addresses.
    pub(crate) fn new(url: ProxyUrl, addresses: Vec<SocketAddr>, settings: &Settings) -> Self {
        Self { url, addresses, trust: settings.trust.clone(), timeout: settings.timeout, patience: settings.timeout * PATIENCE }
    }

    /// Sends a request to the sink as tools do, and says who answered.
    pub(crate) async fn send(&self, sink: &SinkUrl, request: &Request) -> Reply {
        let heard = if sink.tls {
            let bytes = request.origin_form(&sink.authority());
            self.tunnelled(&sink.with_port(), &Handshake::Name(sink.host.clone()), &[bytes]).await
        } else {
            self.absolute(&sink.authority(), request).await
        };
        Reply::of(heard)
    }

    /// Sends a request for `http://AUTHORITY/…` to the proxy itself.
    pub(crate) async fn absolute(&self, authority: &str, request: &Request) -> Heard {
        let bytes = request.bytes(&format!("http://{authority}{}", request.path), authority, &self.url.authorization());
        match self.connect().await {
            Ok(wire) => self.exchange(wire, &[bytes]).await,
            Err(heard) => heard,
        }
    }

    /// Opens a tunnel and sends requests inside it, one after the other; the answer to the last one counts, or the first that is no success.
    pub(crate) async fn tunnelled(&self, connect: &str, handshake: &Handshake, requests: &[Vec<u8>]) -> Heard {
        let wire = match self.tunnel(connect).await {
            Ok(wire) => wire,
            Err(heard) => return heard,
        };
        match self.handshake(wire, handshake).await {
            Ok(wire) => self.exchange(wire, requests).await,
            Err(heard) => heard,
        }
    }

    /// Opens a tunnel, sends these bytes, and waits for any.
    pub(crate) async fn raw(&self, connect: &str, bytes: &[u8]) -> Heard {
        match self.tunnel(connect).await {
            // Who waits for more than this would not have answered for longer.
            Ok(mut wire) => {
                wire.send(bytes).await;
                timeout(self.timeout, wire.read(false)).await.map_or(Heard::Silence, heard)
            }
            Err(heard) => heard,
        }
    }

    async fn connect(&self) -> Result<Wire, Heard> {
        let unreachable = |why: String| Heard::Unreachable(format!("{}: {why}", self.url));
        let mut last = "the name has no address here".to_owned();
        for address in &self.addresses {
            match timeout(self.timeout, TcpStream::connect(address)).await {
                Ok(Ok(stream)) => {
                    // Small writes go out at once where the system can.
                    drop(stream.set_nodelay(true));
                    if !self.url.tls {
                        return Ok(Wire::new(stream));
                    }
                    let name = ServerName::try_from(self.url.host.clone()).map_err(|_| unreachable("no name for TLS".into()))?;
                    let connecting = TlsConnector::from(self.trust.config()).connect(name, stream);
                    return match timeout(self.patience, connecting).await {
                        Ok(Ok(stream)) => Ok(Wire::new(stream)),
                        Ok(Err(error)) if is_untrusted(&error) => Err(unreachable("its certificate is not trusted".into())),
                        Ok(Err(_)) => Err(unreachable("it refuses TLS".into())),
                        Err(_) => Err(unreachable("no TLS in time".into())),
                    };
                }
                Ok(Err(error)) => last = error.to_string(),
                Err(_) => last = format!("no answer within {:?}", self.timeout),
            }
        }
        Err(unreachable(last))
    }

    async fn tunnel(&self, authority: &str) -> Result<Wire, Heard> {
        let mut wire = self.connect().await?;
        let head = format!("CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n{}\r\n", self.url.authorization());
        wire.send(head.as_bytes()).await;
        match timeout(self.patience, wire.read(true)).await {
            Ok(Read::Answer(response)) if (200..300).contains(&response.status) => Ok(wire),
            Ok(Read::Answer(response)) => Err(Heard::NoTunnel(response)),
            // Whoever says something else than HTTP is no proxy.
            Ok(Read::Bytes) => Err(Heard::Unreachable(format!("{}: this is no proxy", self.url))),
            Ok(Read::End) => Err(Heard::Closed),
            Err(_) => Err(Heard::Silence),
        }
    }

    async fn handshake(&self, wire: Wire, handshake: &Handshake) -> Result<Wire, Heard> {
        let name = match handshake {
            Handshake::Plain => return Ok(wire),
            Handshake::Name(name) => ServerName::try_from(name.clone()).map_err(|_| Heard::NoTls)?,
            // No certificate of the gateway's is for this address, but it is asked only when there is one.
            Handshake::Nameless => ServerName::from(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1))),
        };
        let connecting = TlsConnector::from(self.trust.config()).connect(name, wire.into_stream());
        match timeout(self.patience, connecting).await {
            Ok(Ok(stream)) => Ok(Wire::new(stream)),
            Ok(Err(error)) if is_untrusted(&error) => Err(Heard::Untrusted),
            Ok(Err(_)) => Err(Heard::NoTls),
            Err(_) => Err(Heard::Silence),
        }
    }

    async fn exchange(&self, mut wire: Wire, requests: &[Vec<u8>]) -> Heard {
        let mut last = Heard::Closed;
        for request in requests {
            wire.send(request).await;
            last = timeout(self.patience, wire.read(false)).await.map_or(Heard::Silence, heard);
            if !matches!(&last, Heard::Answer(response) if response.status < 400) {
                break;
            }
        }
        last
    }
}

fn heard(read: Read) -> Heard {
    match read {
        Read::Answer(response) => Heard::Answer(response),
        Read::Bytes => Heard::Bytes,
        Read::End => Heard::Closed,
    }
}

/// Whether a handshake failed because of the certificate that was shown.
fn is_untrusted(error: &io::Error) -> bool {
    let cause = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    matches!(cause, Some(rustls::Error::InvalidCertificate(_)))
}
