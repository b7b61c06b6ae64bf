//! The service as a whole: what it is made of, listening, serving, shutting down.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use envoy_types::pb::envoy::service::ext_proc::v3::external_processor_server::ExternalProcessorServer;
use inspect::Inspector;
use scan_proto::v1::scan_service_server::ScanServiceServer;
use telemetry::{Address, AuditSink, Endpoint, Guard, Listener, Readiness, Shutdown, Tls, Watch};
use tonic::server::NamedService;
use tonic::transport::Server;
use tonic::transport::server::Router;
use tonic_health::server::HealthReporter;
use tower::limit::GlobalConcurrencyLimitLayer;

use crate::api::Api;
use crate::doorman::Doorman;
use crate::extproc::Processor;
use crate::metrics::InspectorMetrics;
use crate::record::Recorder;
use crate::shared_state::{Exchanger, SharedStateError};
use crate::{Config, Limits, Metrics, TlsConfig, reload};

/// Envoy's chunks are at most 64 KiB; heads at most 60 KiB.
const LARGEST_EVENT: usize = 1 << 20;
/// The metadata of a stream repeats what an agent said of itself, which the gateway's listener bounds to 60 KiB. A stream refused for its
/// length would be one that failed, and pass where the gateway is fail-open.
const LARGEST_METADATA: u32 = 128 << 10;
/// Bytes of one stream that may come before they are asked for: one of Envoy's messages. With more, uploads take more of Envoy's time at once
/// than they leave to others.
const STREAM_WINDOW: u32 = 64 << 10;
/// Bytes of all streams of a connection that may. Long bodies that wait to be taken in stay unread, and must leave room for everybody's heads:
/// here that of a thousand does, on the connection of one of Envoy's workers.
const CONNECTION_WINDOW: u32 = 1024 * STREAM_WINDOW;
/// A dead peer is noticed within the sum of these two.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(5);

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
    Watch(io::Error),
    /// The certificates of mutual TLS cannot be used.
    #[error(transparent)]
    Tls(#[from] telemetry::TlsError),
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
    /// What answers health checks, and of which service.
    health: Vec<(HealthReporter, &'static str)>,
    writer: Option<JoinHandle<()>>,
    watches: Vec<Watch>,
    tls: Option<Tls>,
    inspector: Inspector,
    exchanger: Option<Exchanger>,
    limits: Limits,
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
        telemetry::build_info(&config.registry)?;
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
        let watch = if config.watch.is_empty() {
            None
        } else {
            let watch = reload::watch(&config.watch, config.load.clone(), inspector.clone(), Arc::clone(&metrics));
            Some(watch.map_err(ScannerError::Watch)?)
        };
        let doorman = Doorman::new(inspector.clone(), config.sandbox.as_str().into(), config.tokens.as_deref())?;
        let tokens_watch = config.tokens.as_deref().map(|path| doorman.follow(path, metrics)).transpose().map_err(ScannerError::Watch)?;
        let exchanger = config.shared_state.as_ref().map(|state| Exchanger::new(state, &inspector, &config.registry)).transpose()?;
        let readiness = Readiness::default();
        let tls = config.tls.as_ref().map(|tls| Tls::start(&tls.dir, &config.registry, &readiness)).transpose()?;
        let guard = |peers: fn(&TlsConfig) -> &[String]| {
            let both = tls.as_ref().zip(config.tls.as_ref());
            both.map(|(tls, config)| tls.guard(peers(config))).transpose()
        };
        let mut health = Vec::new();
        let mut serving: Vec<Serving> = Vec::new();

        let processor = Processor::new(&inspector, &recorder, &config.limits, doorman);
        let (reporter, health_service) = tonic_health::server::health_reporter();
        reporter.set_serving::<ExternalProcessorServer<Processor>>().await;
        health.push((reporter, ExternalProcessorServer::<Processor>::NAME));
        let router = server()
            .add_service(health_service)
            .add_service(ExternalProcessorServer::new(processor).max_decoding_message_size(LARGEST_EVENT));
        let (address, run) = bind(&config.listen, guard(|tls| &tls.peers)?, router).await?;
        serving.push(run);

        let mut api_address = None;
        if let Some(listen) = &config.api_listen {
            let (reporter, router) = api(&config, &inspector, &recorder).await?;
            health.push((reporter, ScanServiceServer::<Api>::NAME));
            let (address, run) = bind(listen, guard(|tls| &tls.api_peers)?, router).await?;
            api_address = Some(address);
            serving.push(run);
        }
        let endpoint = endpoint(&config, &readiness).await?;
        let metrics_address = endpoint.as_ref().map(Endpoint::address);
        Ok(Bound {
            address,
            api_address,
            metrics_address,
            serving,
            endpoint,
            readiness,
            health,
            writer,
            watches: watch.into_iter().chain(tokens_watch).collect(),
            tls,
            inspector,
            exchanger,
            limits: config.limits,
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

    /// Serves until `shutdown`; then health and readiness say that it ends, new requests are taken for the lame-duck time, and open ones get
    /// the drain time to end.
    ///
    /// # Errors
    /// A server failed.
    pub async fn run(self, mut shutdown: Shutdown) -> Result<(), ScannerError> {
        let Bound { serving, endpoint, readiness, health, writer, watches, tls, exchanger, limits, recorder, .. } = self;
        // Servers stop later than they are told of it; what people and probes look at stops last.
        let (stop_servers, stopping) = Shutdown::new();
        let (stop_endpoint, ending) = Shutdown::new();
        let mut servers = tokio::task::JoinSet::new();
        for serve in serving {
            servers.spawn(serve(stopping.clone()));
        }
        if let Some(endpoint) = endpoint {
            tokio::spawn(endpoint.run(ending));
        }
        if let Some(exchanger) = exchanger {
            tokio::spawn(exchanger.run(stopping));
        }
        readiness.set(true);
        let mut failed = failure(&mut servers, shutdown.wait()).await;
        readiness.set(false);
        for (reporter, service) in health {
            for name in ["", service] {
                reporter.set_service_status(name, tonic_health::ServingStatus::NotServing).await;
            }
        }
        if failed.is_none() && !limits.lame_duck.is_zero() {
            tracing::info!(seconds = limits.lame_duck.as_secs_f64(), "told to end: new requests are still served for a while");
            failed = failure(&mut servers, tokio::time::sleep(limits.lame_duck)).await;
        }
        stop_servers.send_replace(true);
        if failed.is_none() {
            let all = async { while servers.join_next().await.is_some() {} };
            if tokio::time::timeout(limits.drain, all).await.is_err() {
                tracing::warn!("requests were still under way when the service ended");
            }
        }
        servers.shutdown().await;
        drop((watches, tls));
        // The last clones of the sink may be in sessions that were cut off: do not wait for those.
        drop(recorder);
        if let Some(writer) = writer {
            let _joined = tokio::time::timeout(Duration::from_secs(1), tokio::task::spawn_blocking(move || writer.join())).await;
        }
        stop_endpoint.send_replace(true);
        failed.map_or(Ok(()), |error| Err(error.into()))
    }
}

type Servers = tokio::task::JoinSet<Result<(), tonic::transport::Error>>;

/// Waits for `end`; the error of a server that failed before.
async fn failure(servers: &mut Servers, end: impl Future<Output = ()>) -> Option<tonic::transport::Error> {
    tokio::pin!(end);
    loop {
        tokio::select! {
            () = &mut end => return None,
            Some(ended) = servers.join_next() => match ended {
                Ok(Ok(())) => {}
                Ok(Err(error)) => return Some(error),
                Err(error) => tracing::error!(%error, "a server panicked"),
            },
        }
    }
}

fn server() -> Server {
    Server::builder()
        .http2_keepalive_interval(Some(KEEPALIVE_INTERVAL))
        .http2_keepalive_timeout(Some(KEEPALIVE_TIMEOUT))
        .http2_max_header_list_size(LARGEST_METADATA)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .tcp_nodelay(true)
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

/// The endpoint for scrapers and probes, if there is one.
async fn endpoint(config: &Config, readiness: &Readiness) -> Result<Option<Endpoint>, ScannerError> {
    let Some(at) = config.metrics_listen else { return Ok(None) };
    let bound = Endpoint::bind(at, config.registry.clone(), readiness.clone()).await;
    bound.map(Some).map_err(|source| ScannerError::Listen { address: at.to_string(), source })
}

/// Binds an address for a router; serving begins when the function that comes back is called.
async fn bind<L, B>(address: &Address, guard: Option<Guard>, router: Router<L>) -> Result<(Address, Serving), ScannerError>
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
            router.serve_with_incoming_shutdown(listener.incoming(guard), ending).await
        })
    });
    Ok((address, serve))
}
