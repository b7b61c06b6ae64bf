//! `queues`: prints the tables of `docs/scaling.md`, or writes them there.

use std::io::Write as _;
use std::path::PathBuf;

use anyhow::Context as _;
use clap::Parser;
use queues::report::Study;
use queues::{Capacity, Error, Limits, Workload};

/// From what sandboxes send and what requests cost to replicas, and how long requests wait.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// Write the tables into docs/scaling.md, and its picture; else they are printed.
    #[arg(long)]
    write: bool,
    /// The house: where envoy/, deploy/ and docs/ are.
    #[arg(long, default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))]
    root: PathBuf,
    /// What was measured [default: loadtest/results/capacity.json of the house].
    #[arg(long)]
    capacity: Option<PathBuf>,
    /// What sandboxes send [default: loadtest/queues/sandboxes.toml of the house].
    #[arg(long)]
    sandboxes: Option<PathBuf>,
    /// Requests of each run of the simulation.
    #[arg(long, default_value_t = 200_000, value_parser = clap::value_parser!(u32).range(1_000..=10_000_000))]
    jobs: u32,
    /// What chance begins with: the same number gives the same tables.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Processors of the machine of the measurements, if its description does not say.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=1024))]
    cores: Option<u32>,
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let root = &arguments.root;
    let capacity = Capacity::read(&arguments.capacity.unwrap_or_else(|| root.join("loadtest/results/capacity.json")))?;
    let cores = arguments.cores.map(|cores| cores as usize).or_else(|| capacity.cores()).ok_or(Error::Cores)?;
    let study = Study {
        load: Workload::read(&arguments.sandboxes.unwrap_or_else(|| root.join("loadtest/queues/sandboxes.toml")))?,
        capacity,
        limits: Limits::read(root)?,
        jobs: arguments.jobs as usize,
        seed: arguments.seed,
        cores,
    };
    let parts = study.parts()?;
    if arguments.write {
        return Ok(queues::write::all(root, &parts, &study.picture()?)?);
    }
    let mut out = std::io::stdout().lock();
    for part in parts {
        writeln!(out, "## {}\n\n{}", part.name, part.markdown).context("standard output")?;
    }
    Ok(())
}
