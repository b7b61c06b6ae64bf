//! `loadtest run`: one scenario on one target.

use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::cli::RunArgs;
use crate::generator::{Generator, Pace};
use crate::sample::Sample;
use crate::world::World;
use crate::{out, scenario};

/// Before the clock starts, requests are sent for this long.
const WARM_UP: Duration = Duration::from_millis(500);

/// Runs, and prints what came of it.
///
/// # Errors
/// Something does not start; a clean request was refused, or requests failed.
pub(crate) async fn run(args: &RunArgs) -> Result<()> {
    let scenario = scenario::named(&args.scenario)?;
    let connections = args.connections.unwrap_or(scenario.load.connections);
    let seconds = args.duration.unwrap_or(scenario.load.seconds);
    let pace = match (args.rate, args.connections) {
        (Some(rate), _) => Pace::Open(rate),
        (None, Some(_)) => Pace::Closed,
        (None, None) => Pace::Open(scenario.load.rate),
    };
    let positive = |number: f64| number.is_finite() && number > 0.0;
    ensure!(connections > 0 && positive(seconds) && args.rate.is_none_or(positive), "rate, connections and duration are above zero");
    let world = World::start(&[args.target], scenario.load.sandboxes).await?;
    let generator = Generator::new(&scenario, world.route(args.target)?, connections).await?;
    let what = (scenario.name.as_str(), args.target);
    Sample::take(&world, &generator, what, Pace::Closed, WARM_UP).await?;
    let sample = Sample::take(&world, &generator, what, pace, Duration::from_secs_f64(seconds)).await?;
    print(&sample, &scenario.what)?;
    if let Some(file) = &args.json {
        std::fs::write(file, serde_json::to_string_pretty(&sample)?).with_context(|| file.display().to_string())?;
    }
    Ok(())
}

fn print(sample: &Sample, what: &str) -> Result<()> {
    out::line(&format!("{} on {}: {what}", sample.scenario, sample.target.name()))?;
    let pace = sample.meant_per_s.map_or_else(|| "closed loop".to_owned(), |rate| format!("open loop, {rate}/s meant"));
    out::line(&format!(
        "  {} requests in {:.1} s: {:.1}/s, {:.1} MiB ({pace})",
        sample.requests, sample.seconds, sample.rate_per_s, sample.mib
    ))?;
    let latencies = [0.5, 0.9, 0.99, 0.999, 1.0].map(|quantile| format!("p{} {:.2}", quantile * 100.0, sample.quantile_us(quantile) / 1e3));
    out::line(&format!("  latency, ms: mean {:.2}, {}", sample.mean_us / 1e3, latencies.join(", ")))?;
    for (how, count) in &sample.errors {
        out::line(&format!("  failed: {count} × {how}"))?;
    }
    for role in sample.cpu_s.keys() {
        let request = sample.cpu_us_per_request(role).unwrap_or_default();
        let mib = sample.cpu_ms_per_mib(role).map_or_else(String::new, |ms| format!(", {ms:.2} ms/MiB"));
        let memory = sample.resident_mib.get(role).copied().unwrap_or_default();
        out::line(&format!("  {role}: {request:.0} µs of processor time a request{mib}, {memory:.0} MiB resident"))?;
    }
    Ok(())
}
