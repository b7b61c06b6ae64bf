//! The command line.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::{Parser, Subcommand};
use tokio::signal::unix::{SignalKind, signal};

use crate::world::Target;
use crate::{capacity, compare, floor, out, overload, report, run};

/// Load on the gateway, on this machine.
#[derive(Debug, Parser)]
#[command(name = "loadtest", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run one scenario on one target.
    Run(RunArgs),
    /// Measure all targets in turns, and hold the ratios against what is wanted.
    Compare(CompareArgs),
    /// Measure what a request, a byte and a connection cost, for docs/scaling.md.
    Capacity(CapacityArgs),
    /// Flood the gateway from one sandbox while another one works, and see what is left of both, and afterwards.
    Overload(OverloadArgs),
    /// Set two earlier comparisons side by side.
    Report {
        /// What `compare` stored.
        before: PathBuf,
        /// What `compare` stored later.
        after: PathBuf,
    },
    /// The processor that does nothing, at a Unix socket: what the target `floor` runs.
    #[command(hide = true)]
    Floor {
        /// The socket.
        socket: PathBuf,
    },
}

/// What `run` can be told.
#[derive(Debug, clap::Args)]
pub(crate) struct RunArgs {
    /// The scenario: get, json-4k, conversation, upload-256k, artefact-100m, grpc, git-push, sandboxes, mixed.
    pub(crate) scenario: String,
    /// What to put the load on.
    #[arg(long, value_enum, default_value = "portcullis")]
    pub(crate) target: Target,
    /// Requests per second, whatever the answers do [default: the scenario's, unless --connections is given].
    #[arg(long, value_name = "R")]
    pub(crate) rate: Option<f64>,
    /// Connections [default: the scenario's]; without --rate, each sends the next request when it has its answer.
    #[arg(long, value_name = "N")]
    pub(crate) connections: Option<usize>,
    /// For how long, in seconds [default: the scenario's].
    #[arg(long, value_name = "S")]
    pub(crate) duration: Option<f64>,
    /// Store the figures in this file.
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
}

/// What `compare` can be told.
#[derive(Debug, clap::Args)]
pub(crate) struct CompareArgs {
    /// Only this scenario; may be given several times.
    #[arg(long, value_name = "NAME")]
    pub(crate) scenario: Vec<String>,
    /// Only this target; may be given several times.
    #[arg(long, value_enum)]
    pub(crate) target: Vec<Target>,
    /// How often each is measured [default: 5, or 2 with --quick].
    #[arg(long, value_name = "N")]
    pub(crate) rounds: Option<usize>,
    /// Two minutes rather than twelve: shorter runs, fewer rounds.
    #[arg(long)]
    pub(crate) quick: bool,
    /// Write the report into docs/performance.md, and its pictures into docs/pictures.
    #[arg(long)]
    pub(crate) write: bool,
}

/// What `capacity` can be told.
#[derive(Debug, clap::Args)]
pub(crate) struct CapacityArgs {
    /// Half a minute rather than four: shorter runs.
    #[arg(long)]
    pub(crate) quick: bool,
    /// Store the figures in loadtest/results/capacity.json.
    #[arg(long)]
    pub(crate) write: bool,
    /// Store the figures in this file, of whatever build they are.
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
}

/// What `overload` can be told.
#[derive(Debug, clap::Args)]
pub(crate) struct OverloadArgs {
    /// What the flood is made of.
    #[arg(long, value_name = "NAME", default_value = "upload-256k")]
    pub(crate) scenario: String,
    /// How many connections flood: each sends the next request when it has its answer, whatever that is.
    #[arg(long, value_name = "N", default_value_t = 1000)]
    pub(crate) connections: usize,
    /// For how long, in seconds.
    #[arg(long, value_name = "S", default_value_t = 60.0)]
    pub(crate) duration: f64,
}

/// Runs what the command line says.
pub(crate) fn main() -> ExitCode {
    match start(Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            out::note(&format!("loadtest: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn start(cli: Cli) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("runtime")?;
    let result = runtime.block_on(async {
        let mut end = signal(SignalKind::terminate())?;
        tokio::select! {
            done = command(cli.command) => done,
            // What was started is ended by being dropped.
            _ = tokio::signal::ctrl_c() => bail!("stopped"),
            _ = end.recv() => bail!("stopped"),
        }
    });
    // A gateway that is just being started must be waited for, or it would outlive us.
    runtime.shutdown_timeout(Duration::from_secs(60));
    result
}

async fn command(command: Command) -> Result<()> {
    match command {
        Command::Run(args) => run::run(&args).await,
        Command::Compare(args) => compare::run(&args).await,
        Command::Capacity(args) => capacity::run(&args).await,
        Command::Overload(args) => overload::run(&args).await,
        Command::Report { before, after } => report::run(&before, &after),
        Command::Floor { socket } => floor::serve(&socket).await,
    }
}
