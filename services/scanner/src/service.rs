//! The service as a whole: what it is made of, listening, serving, shutting down.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use envoy_types::pb::envoy::service::ext_proc::v3::external_processor_server::ExternalProcessorServer;
use inspect::Inspector;
use notify::RecommendedWatcher;
use prometheus::Registry;
use scan_proto::v1::scan_service_server::ScanServiceServer;
use telemetry::{Address, AuditSink, Endpoint, Listener, Readiness, Shutdown};
use tokio::sync::Semaphore;
use tokio_stream::wrappers::{TcpListenerStream, UnixListenerStream};
use tonic::transport::Server;
use tonic::transport::server::Router;
use tonic_health::server::HealthReporter;
use tower::limit::GlobalConcurrencyLimitLayer;

use crate::api::Api;
use crate::doorman::Doorman;
use crate::extproc::Processor;
use crate::metrics::InspectorMetrics;
use crate::record::Recorder;
use crate::shared_state::{Exchanger, SharedState, SharedStateError};
use crate::{Load, Metrics, reload};

/// Envoy's chunks are at most 64 KiB; heads at most 60 KiB.
const LARGEST_EVENT: usize = 1 << 20;
/// A dead peer is noticed within the sum of these two.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(5);

/// What bounds the service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Requests under way, over all gateways.
    pub streams: usize,
    /// Calls of the Scan API under way; more are refused.
    pub api_calls: usize,
    /// Bytes of one message of the Scan API.
    pub api_message_bytes: usize,
    /// How long a call of the Scan API may take to be answered.
    pub api_timeout: Duration,
    /// What the report cache weighs at most: one a report, one more a finding.
    pub cache_entries: u64,
    /// How long open requests are waited for when the service ends.
    pub drain: Duration,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            streams: 20_000,
            api_calls: 64,
            api_message_bytes: 16 << 20,
            api_timeout: Duration::from_secs(30),
            cache_entries: 100_000,
            drain: Duration::from_secs(5),
        }
    }
}

/// How to run the service.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where Envoy finds the external processor.
    pub listen: Address,
    /// Where the Scan API is; `None`: nowhere.
    pub api_listen: Option<Address>,
    /// Where `/metrics`, `/healthz` and `/readyz` are; `None`: nowhere.
    pub metrics_listen: Option<SocketAddr>,
    /// The audit log (`-`: standard output); `None`: none.
    pub audit: Option<PathBuf>,
    /// Reads policy and detectors.
    pub load: Load,
    /// Files whose change means reading them anew.
    pub watch: Vec<PathBuf>,
    /// The name of all that nobody else is, by token or address.
    pub sandbox: String,
    /// The file of the sandboxes' tokens, read again when it changes; `None`: there are none.
    pub tokens: Option<PathBuf>,
    /// The server that counts are shared through with other scanners; `None`: this one counts for itself.
    pub shared_state: Option<SharedState>,
    /// What bounds the service.
    pub limits: Limits,
    /// Where the metrics are registered.
    pub registry: Registry,
}

/// Why the service could not start or go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ScannerError {
    /// The file of tokens cannot be used.
    #[error(transparent)]
    Tokens(#[from] crate::TokensError),
    /// The server that counts are shared through cannot be used.
    #[error("the shared state: {0}")]
    SharedState(#[from] SharedStateError),
    /// The policy or the detectors cannot be used.
    #[error("{0:#}")]
    Load(anyhow::Error),
    /// An address cannot be listened on.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address.
        address: String,
        /// What the system says.
        source: io::Error,
    },
    /// The audit log cannot be written.
    #[error(transparent)]
    Audit(#[from] telemetry::AuditError),
    /// The files cannot be watched.
    #[error("cannot watch the policy for changes: {0}")]
    Watch(#[from] notify::Error),
    /// A metric is registered twice.
    #[error(transparent)]
    Metrics(#[from] prometheus::Error),
    /// The Scan API's own description is broken.
    #[error("reflection: {0}")]
    Reflection(#[from] tonic_reflection::server::Error),
    /// A server failed.
    #[error("a server failed: {0}")]
    Serve(#[from] tonic::transport::Error),
}

/// The service, before it runs.
#[derive(Debug)]
pub struct Scanner;

/// The service, listening but not yet answering.
pub struct Bound {
    address: Address,
    api_address: Option<Address>,
    metrics_address: Option<SocketAddr>,
    serving: Vec<Serving>,
    endpoint: Option<Endpoint>,
    readiness: Readiness,
    health: Vec<HealthReporter>,
    writer: Option<JoinHandle<()>>,
    watchers: Vec<RecommendedWatcher>,
    inspector: Inspector,
    exchanger: Option<Exchanger>,
    drain: Duration,
    recorder: Recorder,
}

impl std::fmt::Debug for Bound {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Bound").field("address", &self.address).field("api_address", &self.api_address).finish_non_exhaustive()
    }
}

type Serving = Box<dyn FnOnce(Shutdown) -> Pin<Box<dyn Future<Output = Result<(), tonic::transport::Error>> + Send>> + Send>;

impl Scanner {
    /// Reads policy and detectors and binds all addresses.
    ///
    /// # Errors
    /// See [`ScannerError`].
    pub async fn build(config: Config) -> Result<Bound, ScannerError> {
        let load = config.load.clone();
        let loading = tokio::task::spawn_blocking(move || load.load()).await;
        let snapshot = loading.map_err(|e| ScannerError::Load(e.into()))?.map_err(ScannerError::Load)?;
        let inspector = Inspector::with_cache_key(snapshot, config.limits.cache_entries, rand::random());
        let metrics = Arc::new(Metrics::register(&config.registry)?);
        metrics.streams_limit.set(i64::try_from(config.limits.streams).unwrap_or(i64::MAX));
        config.registry.register(Box::new(InspectorMetrics::new(inspector.clone())?))?;
        let (audit, writer) = match &config.audit {
            None => (None, None),
            Some(path) => {
                let (sink, writer) = AuditSink::open(path, metrics.audit_dropped.clone())?;
                (Some(sink), Some(writer))
            }
        };
        let recorder = Recorder::new(Arc::clone(&metrics), audit);
        let watcher = if config.watch.is_empty() {
            None
        } else {
            Some(reload::watch(&config.watch, config.load.clone(), inspector.clone(), Arc::clone(&metrics))?)
        };
        let doorman = Doorman::new(inspector.clone(), config.sandbox.as_str().into(), config.tokens.as_deref())?;
        let tokens_watcher = config.tokens.as_deref().map(|path| doorman.follow(path, metrics)).transpose()?;
        let exchanger = config.shared_state.as_ref().map(|state| Exchanger::new(state, &inspector, &config.registry)).transpose()?;
        let mut health = Vec::new();
        let mut serving: Vec<Serving> = Vec::new();

        let processor = Processor {
            inspector: inspector.clone(),
            recorder: recorder.clone(),
            streams: Arc::new(Semaphore::new(config.limits.streams)),
            doorman,
        };
        let (reporter, health_service) = tonic_health::server::health_reporter();
        reporter.set_serving::<ExternalProcessorServer<Processor>>().await;
        health.push(reporter);
        let router = server()
            .add_service(health_service)
            .add_service(ExternalProcessorServer::new(processor).max_decoding_message_size(LARGEST_EVENT));
        let (address, run) = bind(&config.listen, router).await?;
        serving.push(run);

        let mut api_address = None;
        if let Some(listen) = &config.api_listen {
            let (reporter, router) = api(&config, &inspector, &recorder).await?;
            health.push(reporter);
            let (address, run) = bind(listen, router).await?;
            api_address = Some(address);
            serving.push(run);
        }
        let readiness = Readiness::default();
        let endpoint = match config.metrics_listen {
            None => None,
            Some(at) => {
                let bound = Endpoint::bind(at, config.registry.clone(), readiness.clone()).await;
                Some(bound.map_err(|source| ScannerError::Listen { address: at.to_string(), source })?)
            }
        };
        let metrics_address = endpoint.as_ref().map(Endpoint::address);
        let drain = config.limits.drain;
        Ok(Bound {
            address,
            api_address,
            metrics_address,
            serving,
            endpoint,
            readiness,
            health,
            writer,
            watchers: watcher.into_iter().chain(tokens_watcher).collect(),
            inspector,
            exchanger,
            drain,
            recorder,
        })
    }
}

impl Bound {
    /// Where the external processor listens, with the port the system chose.
    #[must_use]
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// Where the Scan API listens.
    #[must_use]
    pub fn api_address(&self) -> Option<&Address> {
        self.api_address.as_ref()
    }

    /// Where the metrics are.
    #[must_use]
    pub fn metrics_address(&self) -> Option<SocketAddr> {
        self.metrics_address
    }

    /// The Inspector that all of it shares.
    #[must_use]
    pub fn inspector(&self) -> &Inspector {
        &self.inspector
    }

    /// Serves until `shutdown`; then new work is refused, and open requests get the drain time to end.
    ///
    /// # Errors
    /// A server failed.
    pub async fn run(self, mut shutdown: Shutdown) -> Result<(), ScannerError> {
        let Bound { serving, endpoint, readiness, health, writer, watchers, exchanger, drain, recorder, .. } = self;
        let mut servers = tokio::task::JoinSet::new();
        for serve in serving {
            servers.spawn(serve(shutdown.clone()));
        }
        if let Some(endpoint) = endpoint {
            tokio::spawn(endpoint.run(shutdown.clone()));
        }
        if let Some(exchanger) = exchanger {
            tokio::spawn(exchanger.run(shutdown.clone()));
        }
        readiness.set(true);
        let failed = loop {
            tokio::select! {
                () = shutdown.wait() => break None,
                Some(ended) = servers.join_next() => match ended {
                    Ok(Ok(())) => {}
                    Ok(Err(error)) => break Some(error),
                    Err(error) => tracing::error!(%error, "a server panicked"),
                },
            }
        };
        readiness.set(false);
        for reporter in health {
            reporter.set_service_status("", tonic_health::ServingStatus::NotServing).await;
        }
        if failed.is_none() {
            let all = async { while servers.join_next().await.is_some() {} };
            if tokio::time::timeout(drain, all).await.is_err() {
                tracing::warn!("requests were still under way when the service ended");
            }
        }
        servers.shutdown().await;
        drop(watchers);
        // The last clones of the sink may be in sessions that were cut off: do not wait for those.
        drop(recorder);
        if let Some(writer) = writer {
            let _joined = tokio::time::timeout(Duration::from_secs(1), tokio::task::spawn_blocking(move || writer.join())).await;
        }
        failed.map_or(Ok(()), |error| Err(error.into()))
    }
}

fn server() -> Server {
    Server::builder().http2_keepalive_interval(Some(KEEPALIVE_INTERVAL)).http2_keepalive_timeout(Some(KEEPALIVE_TIMEOUT)).tcp_nodelay(true)
}

type ApiLayer = tower::layer::util::Stack<GlobalConcurrencyLimitLayer, tower::layer::util::Identity>;

/// The Scan API with reflection and health: beyond the limit of calls it sheds load, and a call has a deadline.
async fn api(config: &Config, inspector: &Inspector, recorder: &Recorder) -> Result<(HealthReporter, Router<ApiLayer>), ScannerError> {
    let limits = &config.limits;
    let service = ScanServiceServer::new(Api::new(inspector.clone(), recorder.clone()))
        .max_decoding_message_size(limits.api_message_bytes)
        .max_encoding_message_size(limits.api_message_bytes + (1 << 20));
    let (reporter, health_service) = tonic_health::server::health_reporter();
    reporter.set_serving::<ScanServiceServer<Api>>().await;
    let describe = || {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(scan_proto::FILE_DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
    };
    // Many clients still speak the alpha of reflection only.
    let (reflection, alpha) = (describe().build_v1()?, describe().build_v1alpha()?);
    let router = server()
        .timeout(limits.api_timeout)
        .load_shed(true)
        .layer(GlobalConcurrencyLimitLayer::new(limits.api_calls))
        .add_service(health_service)
        .add_service(reflection)
        .add_service(alpha)
        .add_service(service);
    Ok((reporter, router))
}

/// Binds an address for a router; serving begins when the function that comes back is called.
async fn bind<L, B>(address: &Address, router: Router<L>) -> Result<(Address, Serving), ScannerError>
where
    L: tower::Layer<tonic::service::Routes> + Clone + Send + 'static,
    L::Service: tower::Service<http::Request<tonic::body::Body>, Response = http::Response<B>> + Clone + Send + 'static,
    <L::Service as tower::Service<http::Request<tonic::body::Body>>>::Future: Send,
    <L::Service as tower::Service<http::Request<tonic::body::Body>>>::Error: Into<Box<dyn std::error::Error + Send + Sync>> + Send,
    B: http_body::Body<Data = bytes::Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let (address, listener) =
        Listener::bind(address).await.map_err(|source| ScannerError::Listen { address: address.to_string(), source })?;
    let serve: Serving = Box::new(move |mut shutdown| {
        Box::pin(async move {
            let ending = async move { shutdown.wait().await };
            match listener {
                Listener::Tcp(listener) => router.serve_with_incoming_shutdown(TcpListenerStream::new(listener), ending).await,
                Listener::Unix(listener) => router.serve_with_incoming_shutdown(UnixListenerStream::new(listener), ending).await,
            }
        })
    });
    Ok((address, serve))
}
