//! Who calls a service: with the certificate of one part of the gateway.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tonic::transport::{Channel, Endpoint, Uri};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

/// A caller.
#[derive(Clone)]
pub(crate) struct Peer(TlsConnector);

impl Peer {
    pub(crate) fn of(dir: &Path) -> Peer {
        let read = |name: &str| std::fs::read(dir.join(name)).expect("a file");
        let mut roots = RootCertStore::empty();
        CertificateDer::pem_slice_iter(&read("ca.crt")).for_each(|ca| roots.add(ca.expect("PEM")).expect("a CA"));
        let chain = CertificateDer::pem_slice_iter(&read("tls.crt")).map(|one| one.expect("PEM")).collect();
        let key = PrivateKeyDer::from_pem_slice(&read("tls.key")).expect("a key");
        let mut config = ClientConfig::builder_with_provider(rustls::crypto::ring::default_provider().into())
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_root_certificates(roots)
            .with_client_auth_cert(chain, key)
            .expect("a certificate");
        config.alpn_protocols = vec![b"h2".to_vec()];
        Peer(TlsConnector::from(Arc::new(config)))
    }

    async fn connect(&self, to: SocketAddr, name: &str) -> std::io::Result<TlsStream<TcpStream>> {
        let stream = TcpStream::connect(to).await?;
        self.0.connect(ServerName::try_from(name.to_owned()).expect("a name"), stream).await
    }

    /// A connection to who must have this name.
    pub(crate) async fn channel(&self, to: SocketAddr, name: &'static str) -> Result<Channel, tonic::transport::Error> {
        let peer = self.clone();
        let connect = tower::service_fn(move |_: Uri| {
            let peer = peer.clone();
            async move { peer.connect(to, name).await.map(TokioIo::new) }
        });
        Endpoint::from_static("http://service").connect_with_connector(connect).await
    }

    /// What a health check over a new connection says; `None`: it does not come in.
    pub(crate) async fn health(&self, to: SocketAddr, name: &'static str) -> Option<ServingStatus> {
        status(&self.channel(to, name).await.ok()?).await
    }
}

/// What a health check says.
pub(crate) async fn status(channel: &Channel) -> Option<ServingStatus> {
    let answer = HealthClient::new(channel.clone()).check(HealthCheckRequest::default()).await;
    answer.ok().map(|answer| answer.into_inner().status())
}

/// The certificate that a scanner shows.
pub(crate) async fn served(peer: &Peer, to: SocketAddr) -> Vec<u8> {
    let stream = peer.connect(to, "portcullis-scanner").await.expect("a connection");
    stream.get_ref().1.peer_certificates().expect("a certificate")[0].to_vec()
}
