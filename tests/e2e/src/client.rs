//! A client behind the gateway, with full control of the bytes it sends.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::connection::{Connection, Response, Stream};
use crate::h2::H2;
use crate::patiently;
use crate::request::{Request, Target};

/// A client of one proxy that trusts one CA.
#[derive(Clone, Debug)]
pub struct Client {
    proxy: SocketAddr,
    roots: Arc<RootCertStore>,
    proxy_headers: Vec<(String, String)>,
    /// TLS to the proxy itself.
    proxy_tls: Option<Arc<ClientConfig>>,
}

/// What became of a CONNECT.
enum Tunnel {
    Open(Connection),
    Refused(Response),
}

impl Client {
    /// A client of this proxy that trusts this CA and no other.
    ///
    /// # Errors
    /// The text is not a certificate in PEM.
    pub fn new(proxy: SocketAddr, ca_pem: &str) -> Result<Self> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(ca_pem.as_bytes()).context("CA of the gateway")?)?;
        Ok(Self { proxy, roots: Arc::new(roots), proxy_headers: Vec::new(), proxy_tls: None })
    }

    /// The same that trusts another CA too.
    ///
    /// # Errors
    /// The text is not a certificate in PEM.
    pub fn and_trusts(mut self, ca_pem: &str) -> Result<Self> {
        let mut roots = RootCertStore::clone(&self.roots);
        roots.add(CertificateDer::from_pem_slice(ca_pem.as_bytes()).context("another CA")?)?;
        self.roots = Arc::new(roots);
        Ok(self)
    }

    /// The same with one more header towards the proxy (on CONNECT and on absolute-form requests), such as `Proxy-Authorization`.
    #[must_use]
    pub fn proxy_header(mut self, name: &str, value: &str) -> Self {
        self.proxy_headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The same with proxy credentials (`NAME:TOKEN`), as tools take them from a proxy's URL (RFC 7617).
    #[must_use]
    pub fn with_credentials(self, credentials: &str) -> Self {
        self.proxy_header("Proxy-Authorization", &format!("Basic {}", data_encoding::BASE64.encode(credentials.as_bytes())))
    }

    /// The same that speaks TLS with the proxy, whose certificate is of this CA, and shows a certificate of its own (with key, PEM).
    ///
    /// # Errors
    /// A text is not what it should be.
    pub fn with_proxy_tls(mut self, ca_pem: &str, own: Option<(&str, &str)>) -> Result<Self> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(ca_pem.as_bytes()).context("CA of the proxy")?)?;
        let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots);
        let config = match own {
            None => config.with_no_client_auth(),
            Some((certificate, key)) => {
                let certificate = CertificateDer::from_pem_slice(certificate.as_bytes())?;
                config.with_client_auth_cert(vec![certificate], PrivateKeyDer::from_pem_slice(key.as_bytes())?)?
            }
        };
        self.proxy_tls = Some(Arc::new(config));
        Ok(self)
    }

    /// Sends a request and reads the response, over a connection of its own. A refused CONNECT is a response too.
    ///
    /// # Errors
    /// No response came: a connection, handshake or stream failed, or nothing moved for [`crate::PATIENCE`].
    pub async fn send(&self, request: &Request) -> Result<Response> {
        let target = request.target()?;
        if !target.tls && !request.tunnel {
            return self.send_http1(self.connect().await?, request, &target, true).await;
        }
        let tunnel = match self.open_tunnel(&format!("{}:{}", target.host, target.port)).await? {
            Tunnel::Open(tunnel) => tunnel,
            Tunnel::Refused(response) => return Ok(response),
        };
        if !target.tls {
            return self.send_http1(tunnel, request, &target, false).await;
        }
        let alpn: &[u8] = if request.http2 { b"h2" } else { b"http/1.1" };
        let stream = self.handshake(tunnel, target.host, alpn).await?;
        if request.http2 {
            return H2::new(stream).await?.send(request).await;
        }
        self.send_http1(Connection::new(stream), request, &target, false).await
    }

    /// Connects to the proxy and sends nothing.
    ///
    /// # Errors
    /// The proxy does not accept.
    pub async fn connect(&self) -> Result<Connection> {
        let stream = patiently("the proxy to accept", TcpStream::connect(self.proxy)).await?.context("connect to the proxy")?;
        stream.set_nodelay(true)?;
        let Some(config) = &self.proxy_tls else { return Ok(Connection::new(stream)) };
        let connecting = TlsConnector::from(Arc::clone(config)).connect(ServerName::from(self.proxy.ip()), stream);
        Ok(Connection::new(patiently("the proxy's TLS handshake", connecting).await?.context("TLS with the proxy")?))
    }

    /// Opens a CONNECT tunnel to `host:port`.
    ///
    /// # Errors
    /// The proxy refused; the error says the status.
    pub async fn tunnel(&self, authority: &str) -> Result<Connection> {
        match self.open_tunnel(authority).await? {
            Tunnel::Open(connection) => Ok(connection),
            Tunnel::Refused(response) => bail!("CONNECT was answered {}: {}", response.status, response.text()),
        }
    }

    /// Opens a tunnel and TLS (HTTP/1.1) inside it, with this server name, whatever the tunnel leads to.
    ///
    /// # Errors
    /// The proxy refused, or the handshake failed.
    pub async fn tls(&self, authority: &str, server_name: &str) -> Result<Connection> {
        self.tls_for(authority, server_name, b"http/1.1").await
    }

    /// The same for another protocol (its ALPN name), whose bytes are the caller's.
    ///
    /// # Errors
    /// As [`Client::tls`].
    pub async fn tls_for(&self, authority: &str, server_name: &str, alpn: &[u8]) -> Result<Connection> {
        let tunnel = self.tunnel(authority).await?;
        Ok(Connection::new(self.handshake(tunnel, server_name, alpn).await?))
    }

    /// Opens a tunnel, TLS and HTTP/2 inside it.
    ///
    /// # Errors
    /// As [`Client::tls`].
    pub async fn h2(&self, authority: &str, server_name: &str) -> Result<H2> {
        let tunnel = self.tunnel(authority).await?;
        H2::new(self.handshake(tunnel, server_name, b"h2").await?).await
    }

    async fn open_tunnel(&self, authority: &str) -> Result<Tunnel> {
        let mut connection = self.connect().await?;
        let mut head = format!("CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n");
        append(&mut head, &self.proxy_headers);
        connection.send(format!("{head}\r\n").as_bytes()).await?;
        let response = connection.response("CONNECT").await.context("CONNECT")?;
        Ok(if response.status == 200 { Tunnel::Open(connection) } else { Tunnel::Refused(response) })
    }

    async fn handshake(&self, tunnel: Connection, server_name: &str, alpn: &[u8]) -> Result<Box<dyn Stream>> {
        let mut config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_root_certificates(Arc::clone(&self.roots))
            .with_no_client_auth();
        config.alpn_protocols = vec![alpn.to_vec()];
        let name = ServerName::try_from(server_name.trim_matches(['[', ']']).to_owned()).context("server name")?;
        let connecting = TlsConnector::from(Arc::new(config)).connect(name, tunnel.into_stream()?);
        let stream = patiently("the TLS handshake", connecting).await?.context("TLS handshake")?;
        let chosen = stream.get_ref().1.alpn_protocol();
        if chosen != Some(alpn) {
            bail!("the gateway chose {:?} instead of {:?}", chosen.map(String::from_utf8_lossy), String::from_utf8_lossy(alpn));
        }
        Ok(Box::new(stream))
    }

    async fn send_http1(&self, mut connection: Connection, request: &Request, target: &Target<'_>, absolute: bool) -> Result<Response> {
        if request.http2 {
            bail!("HTTP/2 needs TLS here: {}", request.url);
        }
        let url = if absolute { format!("http://{}{}", target.authority, target.path) } else { target.path.to_owned() };
        let host = request.inner_host.as_deref().unwrap_or(target.authority);
        let mut head = format!("{} {url} HTTP/1.1\r\nHost: {host}\r\n", request.method);
        if absolute {
            append(&mut head, &self.proxy_headers);
        }
        append(&mut head, &request.headers);
        if request.chunks.is_some() {
            head.push_str("Transfer-Encoding: chunked\r\n");
        } else if request.announces_length() {
            head.push_str(&format!("Content-Length: {}\r\n", request.body.len()));
        }
        head.push_str("\r\n");
        let mut wire = vec![head.into_bytes()];
        for piece in request.pieces() {
            wire.push(if request.chunks.is_some() {
                [format!("{:x}\r\n", piece.len()).as_bytes(), piece, b"\r\n"].concat()
            } else {
                piece.to_vec()
            });
        }
        if request.chunks.is_some() {
            wire.push(b"0\r\n\r\n".to_vec());
        }
        // The head goes with the first piece, so that pauses are between chunks only.
        if wire.len() > 1 {
            let first = wire.remove(1);
            if let Some(head) = wire.first_mut() {
                head.extend_from_slice(&first);
            }
        }
        // The same for the chunk that ends the body.
        if request.chunks.is_some()
            && wire.len() > 1
            && let Some(end) = wire.pop()
            && let Some(last) = wire.last_mut()
        {
            last.extend_from_slice(&end);
        }
        let pieces: Vec<&[u8]> = wire.iter().map(Vec::as_slice).collect();
        let pause = |_| async {
            if !request.pause.is_zero() {
                tokio::time::sleep(request.pause).await;
            }
        };
        connection.exchange(&request.method, &pieces, pause).await
    }
}

fn append(head: &mut String, headers: &[(String, String)]) {
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
}

#[cfg(test)]
mod tests;
