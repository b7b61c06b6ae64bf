//! The way to the origin: straight, or through a proxy with CONNECT; then TLS.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::scenario::Protocol;

/// The longest answer to a CONNECT that is read.
const LONGEST_ANSWER: usize = 16 << 10;

/// How connections come to be.
#[derive(Debug, Clone)]
pub(crate) struct Route {
    /// Where TCP goes: the proxy, or the origin itself.
    address: SocketAddr,
    /// Whether to ask for a tunnel.
    proxied: bool,
    http1: Arc<ClientConfig>,
    http2: Arc<ClientConfig>,
    /// `NAME:TOKEN` of sandboxes, in base64; connections take them in turn.
    credentials: Vec<String>,
}

impl Route {
    /// Straight to the origin, which has certificates of this CA (PEM).
    ///
    /// # Errors
    /// The text is no certificate.
    pub(crate) fn direct(origin: SocketAddr, ca: &str) -> Result<Self> {
        Self::new(origin, false, ca, &[])
    }

    /// Through a proxy that shows certificates of this CA (PEM), in the names of these sandboxes (`NAME:TOKEN`), or nobody's.
    ///
    /// # Errors
    /// The text is no certificate.
    pub(crate) fn proxied(proxy: SocketAddr, ca: &str, credentials: &[String]) -> Result<Self> {
        Self::new(proxy, true, ca, credentials)
    }

    fn new(address: SocketAddr, proxied: bool, ca: &str, credentials: &[String]) -> Result<Self> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(ca.as_bytes()).context("a CA in PEM")?)?;
        let roots = Arc::new(roots);
        let config = |alpn: &[u8]| -> Result<Arc<ClientConfig>> {
            let mut config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
                .with_safe_default_protocol_versions()?
                .with_root_certificates(Arc::clone(&roots))
                .with_no_client_auth();
            config.alpn_protocols = vec![alpn.to_vec()];
            Ok(Arc::new(config))
        };
        let credentials = credentials.iter().map(|pair| data_encoding::BASE64.encode(pair.as_bytes())).collect();
        Ok(Self { address, proxied, http1: config(b"http/1.1")?, http2: config(b"h2")?, credentials })
    }

    /// The same in the name of one of its sandboxes.
    pub(crate) fn of_sandbox(&self, number: usize) -> Self {
        Self { credentials: self.credentials.get(number).cloned().into_iter().collect(), ..self.clone() }
    }

    /// Opens a connection to port 443 of a host, TLS included. `lane` chooses the sandbox.
    ///
    /// # Errors
    /// TCP, the tunnel or TLS fails; the outermost text says which.
    pub(crate) async fn open(&self, host: &str, protocol: Protocol, lane: usize) -> Result<TlsStream<TcpStream>> {
        let mut stream = TcpStream::connect(self.address).await.context("connect")?;
        stream.set_nodelay(true).context("connect")?;
        if self.proxied {
            self.tunnel(&mut stream, host, lane).await.context("tunnel")?;
        }
        let config = match protocol {
            Protocol::Http1 => &self.http1,
            Protocol::Http2 => &self.http2,
        };
        let name = ServerName::try_from(host.to_owned()).context("host")?;
        TlsConnector::from(Arc::clone(config)).connect(name, stream).await.context("tls")
    }

    async fn tunnel(&self, stream: &mut TcpStream, host: &str, lane: usize) -> Result<()> {
        let who = match self.credentials.len() {
            0 => String::new(),
            many => format!("Proxy-Authorization: Basic {}\r\n", self.credentials[lane % many]),
        };
        stream.write_all(format!("CONNECT {host}:443 HTTP/1.1\r\nHost: {host}:443\r\n{who}\r\n").as_bytes()).await?;
        let mut answer = Vec::with_capacity(512);
        // Nothing follows the head before TLS begins, which is ours to begin.
        while !answer.ends_with(b"\r\n\r\n") {
            if answer.len() > LONGEST_ANSWER || stream.read_buf(&mut answer).await? == 0 {
                bail!("the proxy does not answer CONNECT");
            }
        }
        let first = String::from_utf8_lossy(answer.split(|byte| *byte == b'\r').next().unwrap_or_default()).into_owned();
        if first.split(' ').nth(1) != Some("200") {
            bail!("{first}");
        }
        Ok(())
    }
}
