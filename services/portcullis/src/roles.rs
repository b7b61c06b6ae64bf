//! `portcullis scanner` and `portcullis certificates`: the two services, as `up` starts them and as pods run them.

mod tls;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};
use certificates::{Certificates, KeyAccess};
use clap::Args;
use inspect::Snapshot;
use scanner::{Load, Scanner, SharedState};
use telemetry::{Address, Endpoint, Readiness};

use self::tls::TlsArgs;
use crate::cli::exit;
use crate::{config_files, known_files};

/// What `scanner` can be told.
#[derive(Debug, Args)]
pub(crate) struct ScannerArgs {
    /// Where Envoy finds the external processor: an address with port, or unix:PATH.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:9001")]
    listen: Address,
    /// Where the Scan API is: an address with port, or unix:PATH [default: nowhere].
    #[arg(long, value_name = "ADDR")]
    api_listen: Option<Address>,
    #[command(flatten)]
    tls: TlsArgs,
    /// A DNS name of which the certificate of a client of the Scan API must have one; may be given several times.
    #[arg(long, value_name = "NAME", requires = "tls_dir", default_value = "portcullis-api-client")]
    api_tls_peer: Vec<String>,
    /// Where /metrics, /healthz and /readyz are [default: nowhere].
    #[arg(long, value_name = "ADDR")]
    metrics_listen: Option<SocketAddr>,
    /// The policy file, read again when it changes [default: the built-in policy `default`].
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// More detectors, laid over the built-in ones: a file, or a folder of `*.yaml`; read again when they change; may be given several times.
    #[arg(long, value_name = "PATH")]
    rules: Vec<PathBuf>,
    /// Actual secrets to look for in any form: a file that holds one, an env file (KEY=VALUE), or a folder with one a file, as Kubernetes
    /// mounts them; read again when they change; may be given several times.
    #[arg(long, value_name = "PATH")]
    known: Vec<PathBuf>,
    /// The audit log, JSON lines; `-`: standard output [default: none].
    #[arg(long, value_name = "FILE")]
    audit: Option<PathBuf>,
    /// The key of fingerprints, made at first use; the same for all replicas [default: a key for this run].
    #[arg(long, value_name = "FILE")]
    fingerprint_key: Option<PathBuf>,
    /// Where traces go: an OTLP gRPC endpoint such as http://127.0.0.1:4317 [default: nowhere].
    #[arg(long, value_name = "URL")]
    otlp: Option<String>,
    /// A private range that the gateway lets through, as its own address filter does; may be given several times.
    #[arg(long, value_name = "CIDR")]
    allow_private: Vec<String>,
    /// The name of all that no token and no address of the policy says who they are.
    #[arg(long, value_name = "NAME", default_value = "local")]
    sandbox: String,
    /// The tokens by which sandboxes are known, as `portcullis sandbox token` keeps them; read again when the file changes [default: none].
    #[arg(long, value_name = "FILE")]
    tokens: Option<PathBuf>,
    /// A file that holds the URL of a Redis or Valkey server through which scanners share their counts of budgets and of parts of known
    /// secrets: redis://…, rediss://… (TLS), unix://… [default: each scanner counts for itself].
    #[arg(long, value_name = "FILE")]
    shared_state: Option<PathBuf>,
    /// The CA that the server's certificate is of, PEM, for rediss:// [default: those of the system].
    #[arg(long, value_name = "FILE", requires = "shared_state")]
    shared_state_ca: Option<PathBuf>,
    /// Requests under way at a time; more are refused.
    #[arg(long, value_name = "N", default_value_t = scanner::Limits::default().streams)]
    max_streams: usize,
    /// What the report cache weighs at most: one a report, one more a finding; 0: no cache.
    #[arg(long, value_name = "N", default_value_t = scanner::Limits::default().cache_entries)]
    cache_entries: u64,
    /// How long requests under way are waited for when the service ends.
    #[arg(long, value_name = "SECONDS", default_value_t = scanner::Limits::default().drain.as_secs())]
    drain: u64,
    /// How long new requests are still served after SIGTERM, while health and readiness say already that the service ends.
    #[arg(long, value_name = "SECONDS", default_value_t = scanner::Limits::default().lame_duck.as_secs())]
    lame_duck: u64,
}

/// What `certificates` can be told.
#[derive(Debug, Args)]
pub(crate) struct CertificatesArgs {
    /// Where Envoy finds the service: an address with port, or unix:PATH. Its answers hold keys: without TLS a socket, loopback, or a
    /// private network.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:9002")]
    listen: Address,
    #[command(flatten)]
    tls: TlsArgs,
    /// The folder of the CA, made at first use, and read again when it changes [default: `ca` in the state folder].
    #[arg(long, value_name = "DIR")]
    ca_dir: Option<PathBuf>,
    /// The folder of the CA is a mounted Secret: nothing is written there, and its group may read the key.
    #[arg(long, requires = "ca_dir", conflicts_with = "system_roots")]
    ca_read_only: bool,
    /// The system's roots: `bundle.pem` in the CA's folder will hold them and ours [default: found on the system].
    #[arg(long, value_name = "FILE")]
    system_roots: Option<PathBuf>,
    /// Where /metrics, /healthz and /readyz are [default: nowhere].
    #[arg(long, value_name = "ADDR")]
    metrics_listen: Option<SocketAddr>,
}

/// Runs the scanner until SIGTERM or SIGINT.
///
/// # Errors
/// When a file, an address or the policy cannot be used.
pub(crate) fn scanner(args: ScannerArgs) -> Result<u8> {
    runtime()?.block_on(async {
        let _guard = telemetry::init("portcullis-scanner", args.otlp.as_deref())?;
        let shutdown = telemetry::signal().context("cannot listen to signals")?;
        let key = args.fingerprint_key.as_deref().map_or_else(config_files::random_key, config_files::fingerprint_key)?;
        let registry = known_files::Registry::new(&args.known)?;
        let rules = args.rules.iter().map(|path| config_files::watched(path));
        let watch = args.policy.iter().cloned().chain(rules).chain(registry.watched()).collect();
        let (policy, rules, private) = (args.policy, args.rules, args.allow_private);
        let load = Load::new(move || {
            let policy =
                config_files::policy(policy.as_deref())?.with_private(&private).map_err(|m| anyhow::anyhow!("--allow-private: {m}"))?;
            let engine = config_files::engine(&config_files::rules(&rules)?, &policy, key.clone())?;
            let engine = registry.lay_over(engine, &key, &mut |line| tracing::warn!("{line}"))?;
            Ok(Snapshot { engine, policy: policy.into() })
        });
        let shared_state = args.shared_state.map(|file| SharedState::read(&file, args.shared_state_ca.as_deref())).transpose()?;
        let limits = scanner::Limits {
            streams: args.max_streams,
            cache_entries: args.cache_entries,
            drain: Duration::from_secs(args.drain),
            lame_duck: Duration::from_secs(args.lame_duck),
            ..scanner::Limits::default()
        };
        args.tls.check([Some(&args.listen), args.api_listen.as_ref()])?;
        let (peers, api_peers) = (args.tls.tls_peer, args.api_tls_peer);
        let tls = args.tls.tls_dir.map(|dir| scanner::TlsConfig { dir, peers, api_peers });
        let config = scanner::Config {
            listen: args.listen,
            api_listen: args.api_listen,
            tls,
            metrics_listen: args.metrics_listen,
            audit: args.audit,
            load,
            watch,
            sandbox: args.sandbox,
            tokens: args.tokens,
            shared_state,
            limits,
            registry: prometheus::Registry::new(),
        };
        let bound = Scanner::build(config).await?;
        let [api, metrics] = [bound.api_address().map(ToString::to_string), bound.metrics_address().map(|at| at.to_string())];
        tracing::info!(listen = %bound.address(), api, metrics, "the scanner is ready");
        bound.run(shutdown).await?;
        Ok(exit::FINE)
    })
}

/// Runs the certificates service until SIGTERM or SIGINT.
///
/// # Errors
/// When the CA or an address cannot be used.
pub(crate) fn certificates(args: CertificatesArgs) -> Result<u8> {
    runtime()?.block_on(async {
        let _guard = telemetry::init("portcullis-certificates", None)?;
        let mut shutdown = telemetry::signal().context("cannot listen to signals")?;
        let ca_dir = match args.ca_dir {
            Some(dir) => dir,
            None => config_files::state_dir(None)?.join("ca"),
        };
        let registry = prometheus::Registry::new();
        let readiness = Readiness::default();
        args.tls.check([Some(&args.listen), None])?;
        let peers = args.tls.tls_peer;
        let config = certificates::Config {
            listen: args.listen,
            tls: args.tls.tls_dir.map(|dir| certificates::TlsConfig { dir, peers }),
            ca_dir: ca_dir.clone(),
            key_access: if args.ca_read_only { KeyAccess::GroupRead } else { KeyAccess::OwnerOnly },
            readiness: readiness.clone(),
            limits: certificates::Limits::default(),
            registry: registry.clone(),
        };
        let bound = Certificates::build(config).await?;
        if !args.ca_read_only {
            let roots = args.system_roots.map_or_else(certificates::find_system_roots, Ok)?;
            certificates::write_bundle(&roots, bound.ca_pem(), &ca_dir.join("bundle.pem"))?;
        }
        let mut metrics = None;
        if let Some(at) = args.metrics_listen {
            let endpoint = Endpoint::bind(at, registry, readiness.clone()).await.with_context(|| format!("cannot listen on {at}"))?;
            metrics = Some(endpoint.address().to_string());
            tokio::spawn(endpoint.run(shutdown.clone()));
        }
        readiness.set(true);
        tracing::info!(listen = %bound.address(), metrics, "the certificates service is ready");
        bound.run(async move { shutdown.wait().await }).await?;
        Ok(exit::FINE)
    })
}

/// One runtime, started for the two services only.
fn runtime() -> Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().context("cannot start the runtime")
}
