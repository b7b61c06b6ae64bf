//! The service as a whole: configuration, listening, serving, shutting down.

use std::future::Future;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use envoy_types::pb::envoy::service::discovery::v3::aggregated_discovery_service_server::AggregatedDiscoveryServiceServer;
use prometheus::Registry;
use telemetry::{Address, Guard, Listener, Readiness, Tls, Watch};
use tokio::sync::watch;
use tonic::transport::Server;
use tonic::transport::server::Router;

use crate::authority::{Authority, KeyAccess};
use crate::cache::Leaves;
use crate::error::CertificatesError;
use crate::metrics::Metrics;
use crate::rotation;
use crate::sds::AdsServer;

/// The largest request: 2,000 names of 253 bytes twice over, after a reconnect, are about 1.1 MB.
const LARGEST_REQUEST: usize = 4 * 1024 * 1024;
/// Streams of one connection. Envoy opens one for ADS and one for health checks.
const STREAMS_PER_CONNECTION: u32 = 16;
/// A dead Envoy is noticed within the sum of these two.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(5);

/// What bounds the service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Leaves kept in memory, about 1 KB each.
    pub cached_leaves: u64,
    /// Names one Envoy holds at a time; more take the oldest away.
    pub names_per_stream: usize,
    /// ADS streams open at a time, over all Envoys.
    pub streams: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { cached_leaves: 10_000, names_per_stream: 2_000, streams: 64 }
    }
}

/// Mutual TLS on a TCP address.
#[derive(Clone, Debug)]
pub struct TlsConfig {
    /// The folder of `tls.crt`, `tls.key` and `ca.crt`, read again when they change.
    pub dir: PathBuf,
    /// The DNS names of which the gateway's certificate must have one.
    pub peers: Vec<String>,
}

/// How to run the service.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where to listen. The answers carry the leaf key: without TLS this must be a Unix socket, loopback, or a network only Envoy is on.
    pub listen: Address,
    /// Mutual TLS; `None`: none.
    pub tls: Option<TlsConfig>,
    /// The folder of the CA, read again when it changes.
    pub ca_dir: PathBuf,
    /// Who may read the key in it: a folder of our own is made if it is not there, one that is mounted must be there.
    pub key_access: KeyAccess,
    /// What is wrong with a certificate is said here.
    pub readiness: Readiness,
    /// What bounds the service.
    pub limits: Limits,
    /// Where the metrics are registered; serving them is up to the caller.
    pub registry: Registry,
}

/// The service, before it runs.
#[derive(Debug)]
pub struct Certificates;

/// The service, listening but not yet answering.
#[derive(Debug)]
pub struct Bound {
    address: Address,
    ca_pem: String,
    listener: Listener,
    guard: Option<Guard>,
    router: Router,
    ending: watch::Sender<bool>,
    _tls: Option<Tls>,
    _ca: Watch,
}

impl Certificates {
    /// Loads or makes the CA and starts to listen.
    ///
    /// # Errors
    /// The CA cannot be used, the address cannot be listened on, or the metrics are registered already.
    pub async fn build(config: Config) -> Result<Bound, CertificatesError> {
        let (folder, access) = (config.ca_dir.clone(), config.key_access);
        let loading = tokio::task::spawn_blocking(move || match access {
            KeyAccess::OwnerOnly => Authority::load_or_create(&folder, access, SystemTime::now()),
            KeyAccess::GroupRead => Authority::load(&folder, access, SystemTime::now()),
        });
        let authority = loading.await.map_err(|error| CertificatesError::File {
            action: "load the CA in",
            path: config.ca_dir.clone(),
            source: io::Error::other(error),
        })??;
        telemetry::build_info(&config.registry)?;
        let metrics = Metrics::register(&config.registry)?;
        let tls = config.tls.as_ref().map(|tls| Tls::start(&tls.dir, &config.registry, &config.readiness)).transpose()?;
        let guard = tls.as_ref().zip(config.tls.as_ref()).map(|(tls, config)| tls.guard(&config.peers)).transpose()?;
        let ca_pem = authority.certificate_pem().to_owned();
        let leaves = Arc::new(Leaves::new(authority, config.limits.cached_leaves, metrics.clone()));
        let ca = rotation::follow(config.ca_dir.clone(), access, Arc::clone(&leaves), metrics.clone(), config.readiness)?;
        let (ending, ended) = watch::channel(false);
        let ads = AggregatedDiscoveryServiceServer::new(AdsServer::new(leaves, metrics, config.limits, ended))
            .max_decoding_message_size(LARGEST_REQUEST);
        let (health, health_service) = tonic_health::server::health_reporter();
        health.set_serving::<AggregatedDiscoveryServiceServer<AdsServer>>().await;
        let router = Server::builder()
            .max_concurrent_streams(STREAMS_PER_CONNECTION)
            .http2_keepalive_interval(Some(KEEPALIVE_INTERVAL))
            .http2_keepalive_timeout(Some(KEEPALIVE_TIMEOUT))
            .add_service(health_service)
            .add_service(ads);
        let (address, listener) = Listener::bind(&config.listen)
            .await
            .map_err(|source| CertificatesError::Listen { address: config.listen.to_string(), source })?;
        Ok(Bound { address, ca_pem, listener, guard, router, ending, _tls: tls, _ca: ca })
    }
}

impl Bound {
    /// The address in use; of a TCP address with the port the system chose.
    #[must_use]
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// The public certificate of the CA, PEM.
    #[must_use]
    pub fn ca_pem(&self) -> &str {
        &self.ca_pem
    }

    /// Serves until `shutdown` completes; then open streams are ended and what is left is waited for.
    ///
    /// # Errors
    /// The server failed.
    pub async fn run(self, shutdown: impl Future<Output = ()> + Send) -> Result<(), CertificatesError> {
        let ending = self.ending;
        let stop = async move {
            shutdown.await;
            // Streams of ADS never end by themselves.
            ending.send_replace(true);
        };
        self.router.serve_with_incoming_shutdown(self.listener.incoming(self.guard), stop).await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
