//! `portcullis gateway`: Envoy in a pod. The configuration is taken as it is; what this adds is a word about files that cannot be used
//! before Envoy starts, and an end without a failed request.

mod drain;
mod files;

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Args;

use crate::envoy::{self, admin::Admin};
use crate::signals::Pending;

/// Envoy's own drain time, in seconds, at most: in the last third of it idle tunnels end, one after the other. Busy ones have all of ours.
const IDLE: u64 = 30;

/// What `gateway` can be told.
#[derive(Debug, Args)]
pub(crate) struct GatewayArgs {
    /// The Envoy configuration.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// The Envoy binary, version 1.40.x [default: `envoy` on PATH].
    #[arg(long, value_name = "PATH")]
    envoy: Option<PathBuf>,
    /// The socket of Envoy's admin interface [default: as the configuration says].
    #[arg(long, value_name = "SOCKET")]
    admin: Option<PathBuf>,
    /// How long requests and tunnels that are under way may take to end after SIGTERM.
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    drain: u64,
    /// How long new connections are still served as before after SIGTERM, while readiness fails: load balancers take their time.
    #[arg(long, value_name = "SECONDS", default_value_t = 5)]
    lame_duck: u64,
    /// Envoy's worker threads [default: as many as the machine or the pod has processors].
    #[arg(long, value_name = "N")]
    concurrency: Option<u32>,
}

/// Runs Envoy until it ends, or until a signal comes and it is drained.
///
/// # Errors
/// One line that says which file cannot be used, or that Envoy cannot be started.
pub(crate) fn run(args: &GatewayArgs) -> Result<u8> {
    let setup = files::check(&args.config)?;
    let binary = envoy::binary::find(args.envoy.as_deref())?;
    let admin = args
        .admin
        .clone()
        .or(setup.admin)
        .with_context(|| format!("{}: the admin interface is no Unix socket; --admin SOCKET names one", args.config.display()))?;
    let signals = Pending::catch()?;
    let mut command = Command::new(&binary);
    command.arg("-c").arg(&args.config).args(envoy::ARGS);
    command.args(["--drain-strategy", "immediate", "--drain-time-s", &(args.drain / 2).clamp(1, IDLE).to_string()]);
    if let Some(workers) = args.concurrency {
        command.args(["--concurrency", &workers.to_string()]);
    }
    let child = command.stdin(Stdio::null()).spawn().with_context(|| format!("cannot start {}", binary.display()))?;
    drain::Running::new(child, Admin::new(admin), signals)
        .until_the_end(Duration::from_secs(args.lame_duck), Duration::from_secs(args.drain))
}
