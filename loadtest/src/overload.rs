//! `loadtest overload`: far more than the gateway can do, by one sandbox, and another one that works beside it.

use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::cli::OverloadArgs;
use crate::generator::{Generator, Pace};
use crate::live::Live;
use crate::tally::Tally;
use crate::world::{Target, World};
use crate::{out, scenario};

/// What the sandbox that works sends, over one connection.
const WORK: &str = "json-4k";
const WARM_UP: Duration = Duration::from_secs(1);
/// The answer of a gateway that has no room or no time.
const SENT_AWAY: &str = "status 503";

/// Measures the peak, then the same under a flood, then the peak again, without a restart; prints what came of it.
///
/// # Errors
/// Something does not start; a request ended otherwise than well or with 503; a clean one was refused.
pub(crate) async fn run(args: &OverloadArgs) -> Result<()> {
    let noisy = scenario::named(&args.scenario)?;
    let quiet = scenario::named(WORK)?;
    let world = World::start(&[Target::Portcullis], 2).await?;
    let route = world.route(Target::Portcullis)?;
    let few = Generator::new(&noisy, &route.of_sandbox(0), noisy.load.connections).await?;
    let worker = Generator::new(&quiet, &route.of_sandbox(1), 1).await?;
    let lasting = Duration::from_secs_f64(args.duration);
    let shorter = (lasting / 3).max(WARM_UP);
    let closed = async |generator: &Generator, what: &str, lasting: Duration| generator.run(Pace::Closed, lasting, Live::new(what)).await;

    closed(&few, "warm-up", WARM_UP).await?.check("warm-up", 0.0)?;
    closed(&worker, "warm-up", WARM_UP).await?.check("warm-up", 0.0)?;
    let alone = closed(&worker, "the other sandbox alone", shorter).await?;
    alone.check("the other sandbox alone", 0.0)?;
    let peak = closed(&few, "peak", shorter).await?;
    peak.check("peak", 0.0)?;
    tell(&format!("peak, {} connections", noisy.load.connections), &peak, None)?;

    let many = Generator::new(&noisy, &route.of_sandbox(0), args.connections).await?;
    let (flood, beside) = tokio::join!(closed(&many, "flood", lasting), closed(&worker, "the other sandbox", lasting));
    let (flood, beside) = (flood?, beside?);
    only_sent_away("flood", &flood)?;
    tell(&format!("flood, {} connections", args.connections), &flood, Some(&peak))?;
    let times = beside.quantile_us(0.5) / alone.quantile_us(0.5);
    out::line(&format!(
        "the other sandbox, one connection: {} of {} answered well; p50 {:.1} ms alone, {:.1} ms meanwhile ({times:.2} x), p99 {:.1} ms",
        beside.fine,
        beside.all(),
        alone.quantile_us(0.5) / 1e3,
        beside.quantile_us(0.5) / 1e3,
        beside.quantile_us(0.99) / 1e3
    ))?;
    only_sent_away("the other sandbox", &beside)?;
    drop(many);

    let after = closed(&few, "peak, afterwards", shorter).await?;
    after.check("afterwards", 0.0)?;
    tell("afterwards, without a restart", &after, Some(&peak))?;
    for process in world.processes(Target::Portcullis)? {
        out::line(&format!("  {}: {:.0} MiB resident", process.role, process.resident()? as f64 / 1_048_576.0))?;
    }
    Ok(())
}

fn tell(what: &str, tally: &Tally, peak: Option<&Tally>) -> Result<()> {
    let part = peak.map_or_else(String::new, |peak| format!(", {:.2} of the peak", tally.rate() / peak.rate()));
    let away = tally.errors.get(SENT_AWAY).copied().unwrap_or_default();
    out::line(&format!(
        "{what}: {:.1}/s answered well{part}; {away} of {} sent away (503); p50 {:.0} ms, p99 {:.0} ms, longest {:.0} ms",
        tally.rate(),
        tally.all(),
        tally.quantile_us(0.5) / 1e3,
        tally.quantile_us(0.99) / 1e3,
        tally.quantile_us(1.0) / 1e3
    ))
}

/// Nothing but good answers and those that say to come again.
fn only_sent_away(what: &str, tally: &Tally) -> Result<()> {
    let other: Vec<_> = tally.errors.iter().filter(|(how, _)| *how != SENT_AWAY).map(|(how, count)| format!("{count} × {how}")).collect();
    ensure!(tally.refused == 0, "{what}: {}", tally.refusal.as_deref().context("a refusal")?);
    ensure!(other.is_empty(), "{what}: {}", other.join("; "));
    Ok(())
}
