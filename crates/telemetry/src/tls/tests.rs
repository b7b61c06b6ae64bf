//! Handshakes with a real tonic server, and files that change under it.

mod files;
mod handshakes;

use std::fs;
use std::net::SocketAddr;

use hyper_util::rt::TokioIo;
use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, SanType};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio_rustls::TlsConnector;
use tonic::transport::{Channel, Endpoint, Server, Uri};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

use super::*;
use crate::{Address, Listener};

const HOUR: Duration = Duration::from_secs(3600);

/// A CA of the test.
struct Ca {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

/// A certificate with its key, PEM.
#[derive(Clone)]
struct Leaf {
    certificate: String,
    key: String,
}

impl Ca {
    fn new() -> Ca {
        Ca::until(SystemTime::now() + 24 * HOUR)
    }

    fn until(end: SystemTime) -> Ca {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.not_before = (SystemTime::now() - 48 * HOUR).into();
        params.not_after = end.into();
        let pem = params.self_signed(&key).unwrap().pem();
        Ca { issuer: Issuer::new(params, key), pem }
    }

    fn leaf(&self, name: &str) -> Leaf {
        self.leaf_until(name, SystemTime::now() + HOUR)
    }

    fn leaf_until(&self, name: &str, end: SystemTime) -> Leaf {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.subject_alt_names = vec![SanType::DnsName(name.try_into().unwrap())];
        params.not_before = (end - 2 * HOUR).into();
        params.not_after = end.into();
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        Leaf { certificate: params.signed_by(&key, &self.issuer).unwrap().pem(), key: key.serialize_pem() }
    }
}

fn write(dir: &Path, leaf: &Leaf, trust: &str) {
    fs::write(dir.join("tls.crt"), &leaf.certificate).unwrap();
    fs::write(dir.join("tls.key"), &leaf.key).unwrap();
    fs::write(dir.join("ca.crt"), trust).unwrap();
}

/// A server that answers health checks, for clients called `gateway`.
struct Running {
    ca: Ca,
    dir: tempfile::TempDir,
    shared: Arc<Shared>,
    address: SocketAddr,
    _stop: oneshot::Sender<()>,
}

impl Running {
    async fn start() -> Running {
        let ca = Ca::new();
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), &ca.leaf("scanner"), &ca.pem);
        let readiness = Readiness::default();
        readiness.set(true);
        let shared = Arc::new(Shared::load(dir.path(), &Registry::new(), &readiness, SystemTime::now()).unwrap());
        let (address, stop) = serve(shared.guard(&["gateway".to_owned()]).unwrap()).await;
        Running { ca, dir, shared, address, _stop: stop }
    }

    fn handshakes(&self, result: &str) -> u64 {
        self.shared.metrics.handshakes.with_label_values(&[result]).get()
    }

    fn reloads(&self, result: &str) -> u64 {
        self.shared.metrics.reloads.with_label_values(&[result]).get()
    }

    fn client(&self) -> Client {
        Client::new(&self.ca.pem, Some(self.ca.leaf("gateway")))
    }
}

async fn serve(guard: Guard) -> (SocketAddr, oneshot::Sender<()>) {
    let (address, listener) = Listener::bind(&Address::Tcp(([127, 0, 0, 1], 0).into())).await.unwrap();
    let Address::Tcp(address) = address else { panic!("not TCP") };
    let (stop, stopped) = oneshot::channel::<()>();
    let (_, health) = tonic_health::server::health_reporter();
    let server = Server::builder().add_service(health);
    tokio::spawn(server.serve_with_incoming_shutdown(listener.incoming(Some(guard)), async { drop(stopped.await) }));
    (address, stop)
}

/// What a client shows and speaks.
struct Client {
    trust: String,
    shows: Option<Leaf>,
    version: &'static SupportedProtocolVersion,
    alpn: Vec<Vec<u8>>,
}

impl Client {
    fn new(trust: &str, shows: Option<Leaf>) -> Client {
        Client { trust: trust.to_owned(), shows, version: &rustls::version::TLS13, alpn: vec![H2.to_vec()] }
    }

    fn config(&self) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        CertificateDer::pem_slice_iter(self.trust.as_bytes()).for_each(|ca| roots.add(ca.unwrap()).unwrap());
        let builder = ClientConfig::builder_with_provider(ring::default_provider().into())
            .with_protocol_versions(&[self.version])
            .unwrap()
            .with_root_certificates(roots);
        let mut config = match &self.shows {
            None => builder.with_no_client_auth(),
            Some(leaf) => {
                let chain = vec![CertificateDer::from_pem_slice(leaf.certificate.as_bytes()).unwrap()];
                builder.with_client_auth_cert(chain, PrivateKeyDer::from_pem_slice(leaf.key.as_bytes()).unwrap()).unwrap()
            }
        };
        config.alpn_protocols.clone_from(&self.alpn);
        config
    }

    async fn channel(&self, to: SocketAddr) -> Result<Channel, tonic::transport::Error> {
        let connector = TlsConnector::from(Arc::new(self.config()));
        let connect = tower::service_fn(move |_: Uri| {
            let connector = connector.clone();
            async move {
                let stream = TcpStream::connect(to).await?;
                connector.connect(ServerName::try_from("scanner").unwrap(), stream).await.map(TokioIo::new)
            }
        });
        Endpoint::from_static("http://scanner").connect_with_connector(connect).await
    }

    /// Whether a call over a new connection is answered.
    async fn passes(&self, to: SocketAddr) -> bool {
        match self.channel(to).await {
            Ok(channel) => answers(&channel).await,
            Err(_) => false,
        }
    }
}

async fn answers(channel: &Channel) -> bool {
    HealthClient::new(channel.clone()).check(HealthCheckRequest::default()).await.is_ok()
}
