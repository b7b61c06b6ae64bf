//! `loadtest capacity`: what a request, a byte, a connection and a leaf cost, and how latency grows with load. docs/scaling.md is computed from
//! what is stored here; `loadtest/README.md` describes the fields.

mod mint;
mod stored;

use std::time::Duration;

use anyhow::{Context, Result};

use crate::cli::CapacityArgs;
use crate::generator::{Generator, Pace};
use crate::held;
use crate::measured::{Measured, only_release, root};
use crate::out;
use crate::sample::Sample;
use crate::scenario;
use crate::usage::Process;
use crate::world::{Target, World};
use stored::{Capacity, Cost, Load, Memory, ServiceTimes};

/// What is measured at its peak.
const COSTS: [&str; 6] = ["get", "json-4k", "conversation", "upload-256k", "grpc", "git-push"];
/// What is measured over utilisations.
const LOADED: &str = "json-4k";
const UTILISATIONS: [f64; 4] = [0.3, 0.5, 0.7, 0.8];
/// Connections of the open loop: so many that none is waited for.
const CONNECTIONS: usize = 64;
/// Tunnels that are open and idle, and requests that are held with so many bytes sent.
const TUNNELS: usize = 256;
const HELD: usize = 64;
const HELD_BYTES: usize = 256 << 10;

/// How long one run takes.
#[derive(Debug, Clone, Copy)]
struct Effort {
    warm_up: Duration,
    peak: Duration,
    open: Duration,
    leaves: usize,
}

/// Measures, prints, and stores if asked to.
///
/// # Errors
/// Something does not start; a clean request was refused, or requests failed.
pub(crate) async fn run(args: &CapacityArgs) -> Result<()> {
    if args.write {
        only_release()?;
    }
    let effort = if args.quick {
        Effort { warm_up: Duration::from_millis(300), peak: Duration::from_secs(1), open: Duration::from_secs(2), leaves: 100 }
    } else {
        Effort { warm_up: Duration::from_secs(1), peak: Duration::from_secs(10), open: Duration::from_secs(25), leaves: 1000 }
    };
    let world = World::start(&[Target::Portcullis], 1).await?;
    // Memory first, while it is as it was at the start.
    let memory = memory(&world).await?;
    let costs = costs(&world, effort).await?;
    let (service_times_us, load) = loaded(&world, effort).await?;
    let certificates = world.processes(Target::Portcullis)?.into_iter().find(|process| process.role == "certificates");
    let mint_us_per_leaf =
        mint::cost(world.route(Target::Portcullis)?, &certificates.context("no certificates service")?, effort.leaves).await?;
    let command = format!("loadtest {}", std::env::args().skip(1).collect::<Vec<_>>().join(" "));
    let capacity = Capacity { measured: Measured::now(&command)?, costs, memory, service_times_us, load, mint_us_per_leaf };
    out::line(&capacity.table())?;
    let kept = args.write.then(|| root().join("loadtest/results/capacity.json"));
    for file in kept.iter().chain(&args.json) {
        if let Some(folder) = file.parent() {
            std::fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
        }
        std::fs::write(file, serde_json::to_string_pretty(&capacity)? + "\n").with_context(|| file.display().to_string())?;
        out::note(&format!("stored in {}", file.display()));
    }
    Ok(())
}

async fn memory(world: &World) -> Result<Memory> {
    let parts: Vec<Process> =
        world.processes(Target::Portcullis)?.into_iter().filter(|process| ["envoy", "scanner"].contains(&process.role)).collect();
    let route = world.route(Target::Portcullis)?;
    // The base, before anything was asked for.
    let base = parts.iter().map(|part| Ok((part.role, part.resident()? as f64))).collect::<Result<Vec<_>>>()?;
    let of = |figures: &[(&str, f64)], role: &str| figures.iter().find(|(r, _)| *r == role).map_or(f64::NAN, |(_, bytes)| *bytes);
    // Once with few, for what is made at the first connection and the first body.
    held::growth(route, &parts, 2, Some(HELD_BYTES)).await?;
    let idle = held::growth(route, &parts, TUNNELS, None).await?;
    let streams = held::growth(route, &parts, HELD, Some(HELD_BYTES)).await?;
    Ok(Memory {
        envoy_idle_tunnel_kib: of(&idle, "envoy") / 1024.0,
        envoy_stream_kib: of(&streams, "envoy") / 1024.0,
        scanner_stream_kib: of(&streams, "scanner") / 1024.0,
        scanner_base_mib: of(&base, "scanner") / 1048576.0,
        envoy_base_mib: of(&base, "envoy") / 1048576.0,
    })
}

async fn costs(world: &World, effort: Effort) -> Result<Vec<Cost>> {
    let mut costs = Vec::new();
    for name in COSTS {
        let scenario = scenario::named(name)?;
        let sample = closed(world, name, scenario.load.connections, effort.warm_up, effort.peak).await?;
        for tier in ["envoy", "scanner", "certificates"] {
            costs.push(Cost {
                tier: tier.to_owned(),
                what: name.to_owned(),
                cpu_us_per_request: sample.cpu_us_per_request(tier).with_context(|| format!("no {tier}"))?,
                cpu_ms_per_mib: sample.cpu_ms_per_mib(tier),
            });
        }
    }
    Ok(costs)
}

/// A closed loop on the whole gateway.
async fn closed(world: &World, name: &str, connections: usize, warm_up: Duration, lasting: Duration) -> Result<Sample> {
    let generator = Generator::new(&scenario::named(name)?, world.route(Target::Portcullis)?, connections).await?;
    Sample::take(world, &generator, (name, Target::Portcullis), Pace::Closed, warm_up).await?;
    Sample::take(world, &generator, (name, Target::Portcullis), Pace::Closed, lasting).await
}

/// The times of requests that are alone, and latencies at parts of the peak.
async fn loaded(world: &World, effort: Effort) -> Result<(ServiceTimes, Vec<Load>)> {
    let alone = closed(world, LOADED, 1, effort.warm_up, effort.peak).await?;
    let scenario = scenario::named(LOADED)?;
    let generator = Generator::new(&scenario, world.route(Target::Portcullis)?, CONNECTIONS).await?;
    let what = (LOADED, Target::Portcullis);
    Sample::take(world, &generator, what, Pace::Closed, effort.warm_up).await?;
    let peak = Sample::take(world, &generator, what, Pace::Closed, effort.peak).await?.rate_per_s;
    let mut load = Vec::new();
    for utilisation in UTILISATIONS {
        let sample = Sample::take(world, &generator, what, Pace::Open(peak * utilisation), effort.open).await?;
        let [p50_us, p90_us, p99_us] = [0.5, 0.9, 0.99].map(|quantile| sample.quantile_us(quantile));
        let (scenario, rate_per_s, mean_us) = (LOADED.to_owned(), sample.meant_per_s.unwrap_or_default(), sample.mean_us);
        load.push(Load { scenario, rate_per_s, utilisation, mean_us, p50_us, p90_us, p99_us });
    }
    Ok((ServiceTimes { scenario: LOADED.to_owned(), quantiles: alone.quantiles_us }, load))
}
