//! Through a proxy that lets everything pass, everything that is tried must be reported: no check is there that cannot fail.

use std::sync::Arc;
use std::time::Duration;

use portcullis_probe::{Class, Outcome, Settings, System, Trust};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, SanType};
use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

/// Mints a certificate for whatever name is asked for.
#[derive(Debug)]
struct Mint(Issuer<'static, KeyPair>);

impl ResolvesServerCert for Mint {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let name = match hello.server_name() {
            Some(name) => SanType::DnsName(name.try_into().ok()?),
            // Who names nobody asks for this address.
            None => SanType::IpAddress("192.0.2.1".parse().ok()?),
        };
        let key = KeyPair::generate().ok()?;
        let mut params = CertificateParams::default();
        params.subject_alt_names = vec![name];
        let certificate = params.signed_by(&key, &self.0).ok()?;
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let signing = rustls::crypto::ring::sign::any_supported_type(&key).ok()?;
        Some(Arc::new(CertifiedKey::new(vec![certificate.der().clone()], signing)))
    }
}

/// An authority, as PEM and as a server.
fn authority() -> (String, TlsAcceptor) {
    let key = KeyPair::generate().expect("a key");
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let pem = params.self_signed(&key).expect("a certificate").pem();
    let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions of TLS")
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(Mint(Issuer::new(params, key))));
    (pem, TlsAcceptor::from(Arc::new(config)))
}

/// Answers requests for ever, and every wish in them; other bytes come back as they are.
async fn serve(mut stream: impl AsyncRead + AsyncWrite + Unpin) -> std::io::Result<()> {
    loop {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await?);
            let begun = head.len().min(4);
            if ![&b"GET "[..], b"POST", b"CONN"].iter().any(|method| method.starts_with(&head[..begun])) {
                return stream.write_all(&head).await;
            }
        }
        let head = String::from_utf8_lossy(&head).to_lowercase();
        let length = head.split("content-length: ").nth(1).and_then(|rest| rest.lines().next()?.parse().ok());
        stream.read_exact(&mut vec![0; length.unwrap_or(0)]).await?;
        let answer: &[u8] = if head.contains("\r\nupgrade: ") {
            b"HTTP/1.1 101 Switching Protocols\r\n\r\n"
        } else {
            b"HTTP/1.1 200 OK\r\nAlt-Svc: h3=\":443\"\r\nContent-Length: 2\r\n\r\nok"
        };
        stream.write_all(answer).await?;
    }
}

/// One connection to the proxy: a tunnel, with TLS in it or not, or requests in absolute form.
async fn proxy(mut stream: TcpStream, tls: TlsAcceptor) -> std::io::Result<()> {
    let mut first = [0];
    stream.peek(&mut first).await?;
    if first != *b"C" {
        return serve(stream).await;
    }
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await?);
    }
    stream.write_all(b"HTTP/1.1 200 Go on\r\n\r\n").await?;
    stream.peek(&mut first).await?;
    if first == [0x16] { serve(tls.accept(stream).await?).await } else { serve(stream).await }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_that_is_tried_through_an_open_proxy_is_an_escape() {
    let (pem, tls) = authority();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let accepting = tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let tls = tls.clone();
            tokio::spawn(async move { drop(proxy(stream, tls).await) });
        }
    });
    let file = std::env::temp_dir().join(format!("pc-open-proxy-{}.pem", std::process::id()));
    std::fs::write(&file, pem).unwrap();
    let settings = Settings {
        proxy: Some(format!("http://{address}").parse().unwrap()),
        trust: Trust::file(&file).unwrap(),
        sink: "https://sink.test/".parse().unwrap(),
        targets: vec!["198.18.0.1".parse().unwrap(), "2001:2::1".parse().unwrap()],
        internal: vec!["scanner.test:9001".parse().unwrap()],
        private_names: vec!["private.test".to_owned()],
        timeout: Duration::from_secs(2),
        classes: vec![Class::Proxy, Class::Secrets],
    };
    let report = portcullis_probe::run(&settings, &System::default()).await;
    accepting.abort();
    std::fs::remove_file(&file).unwrap();
    let held: Vec<_> = report.results.iter().filter(|row| row.outcome != Outcome::Escaped).collect();
    assert!(held.is_empty(), "{held:#?}");
    assert!(report.results.len() > 200, "only {} tries", report.results.len());
    assert_eq!(report.exit_code(), 1);
}
