//! `loadtest compare`: all targets in turns, in one run.

mod figures;
mod plots;
mod rendered;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use crate::cli::CompareArgs;
use crate::generator::{Generator, Pace};
use crate::measured::{Measured, only_release, root};
use crate::sample::Sample;
use crate::scenario::{self, Scenario};
use crate::world::{Target, World, kept_folder};
use crate::{held, out, page};

pub(crate) use figures::Figures;

/// What the targets of the project speak of: measured on everything, in every round.
const MAIN: [&str; 3] = ["get", "json-4k", "upload-256k"];
/// The others: on what is built alike, in fewer rounds.
const FURTHER: [&str; 6] = ["conversation", "grpc", "git-push", "sandboxes", "artefact-100m", "mixed"];
const ALIKE: [Target; 3] = [Target::Envoy, Target::Floor, Target::Portcullis];
/// Where added latency is measured, and on what.
const LATENCY: [&str; 2] = ["get", "json-4k"];
const LATENCY_ON: [Target; 4] = [Target::Direct, Target::Envoy, Target::Floor, Target::Portcullis];
/// The part of the floor's peak at which latencies are compared.
const PART: f64 = 0.5;
/// Requests that are held in the middle of their bodies, and how much each has sent: nearly the buffer limit (1 MiB).
const HELD: usize = 48;
const HELD_BYTES: usize = (1 << 20) - (64 << 10);
/// How often they are held, one time after the other, and how long what is given up is waited for.
const HELD_TIMES: usize = 4;
const HELD_PAUSE: Duration = Duration::from_secs(2);

/// All that was measured.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Comparison {
    pub(crate) measured: Measured,
    pub(crate) rounds: usize,
    /// How long one run took, seconds.
    pub(crate) seconds: f64,
    /// In the order in which they were taken.
    pub(crate) samples: Vec<Sample>,
    /// Growth of the scanner's memory for one held request, KiB, one time after the other. Empty if it was not measured.
    pub(crate) held_kib: Vec<f64>,
}

/// How long and how often.
#[derive(Debug, Clone, Copy)]
struct Effort {
    rounds: usize,
    further_rounds: usize,
    warm_up: Duration,
    lasting: Duration,
    open: Duration,
}

impl Effort {
    fn of(args: &CompareArgs) -> Self {
        let (rounds, warm_up, lasting, open) = if args.quick { (2, 300, 1000, 1000) } else { (5, 1000, 3000, 5000) };
        let rounds = args.rounds.unwrap_or(rounds).max(1);
        let [warm_up, lasting, open] = [warm_up, lasting, open].map(Duration::from_millis);
        Self { rounds, further_rounds: rounds.div_ceil(2).min(rounds), warm_up, lasting, open }
    }
}

/// Measures, prints, and stores.
///
/// # Errors
/// Something does not start; a clean request was refused, or requests failed; a page cannot be written.
pub(crate) async fn run(args: &CompareArgs) -> Result<()> {
    if args.write {
        only_release()?;
    }
    let effort = Effort::of(args);
    let chosen = |name: &&str| args.scenario.is_empty() || args.scenario.iter().any(|wanted| wanted == name);
    for name in &args.scenario {
        scenario::named(name)?;
    }
    let targets: Vec<Target> = Target::ALL.into_iter().filter(|target| args.target.is_empty() || args.target.contains(target)).collect();
    let main: Vec<&str> = MAIN.into_iter().filter(chosen).collect();
    let further: Vec<&str> = FURTHER.into_iter().filter(chosen).collect();
    let alike: Vec<Target> = ALIKE.into_iter().filter(|target| targets.contains(target)).collect();
    let sandboxes = main.iter().chain(&further).map(|name| Ok(scenario::named(name)?.load.sandboxes)).collect::<Result<Vec<_>>>()?;
    let world = World::start(&targets, sandboxes.into_iter().max().unwrap_or(1)).await?;
    // First, while the scanner's memory is as it was when it started.
    let held_kib = if targets.contains(&Target::Portcullis) { held(&world).await? } else { Vec::new() };
    let mut course = Course { world, effort, generators: BTreeMap::new(), samples: Vec::new() };
    for _ in 0..effort.rounds {
        course.round(&main, &targets, None).await?;
    }
    if targets.contains(&Target::Floor) {
        let measured: Vec<&str> = main.iter().copied().filter(|name| LATENCY.contains(name)).collect();
        let on: Vec<Target> = LATENCY_ON.into_iter().filter(|target| targets.contains(target)).collect();
        for _ in 0..effort.rounds {
            course.round(&measured, &on, Some(PART)).await?;
        }
    }
    for _ in 0..effort.further_rounds {
        course.round(&further, &alike, None).await?;
    }
    let command = format!("loadtest {}", std::env::args().skip(1).collect::<Vec<_>>().join(" "));
    let comparison = Comparison {
        measured: Measured::now(&command)?,
        rounds: effort.rounds,
        seconds: effort.lasting.as_secs_f64(),
        samples: course.samples,
        held_kib,
    };
    publish(&comparison, args.write)
}

/// Prints the report, stores the samples, and writes the page if asked to.
fn publish(comparison: &Comparison, write: bool) -> Result<()> {
    let kept = kept_folder()?;
    let file = kept.join("comparison.json");
    std::fs::write(&file, serde_json::to_string_pretty(comparison)?).with_context(|| file.display().to_string())?;
    let figures = Figures::of(comparison);
    let text = rendered::report(comparison, &figures)?;
    out::line(&text)?;
    let pictures = if write { root().join("docs/pictures") } else { kept };
    draw(&figures, &pictures)?;
    if write {
        page::write_part(&root().join("docs/performance.md"), "gateway", &text)?;
    }
    out::note(&format!("stored in {}; pictures in {}", file.display(), pictures.display()));
    Ok(())
}

fn draw(figures: &Figures, folder: &Path) -> Result<()> {
    plots::peaks(figures, &folder.join(plots::PEAKS))?;
    plots::latencies(figures, &folder.join(plots::LATENCIES))
}

/// What `compare` stored in this file.
///
/// # Errors
/// It did not.
pub(crate) fn stored(file: &PathBuf) -> Result<Comparison> {
    let text = std::fs::read_to_string(file).with_context(|| file.display().to_string())?;
    serde_json::from_str(&text).with_context(|| format!("{} is nothing that `compare` stored", file.display()))
}

/// Growth of the scanner's memory for one request that is held, KiB, several times.
async fn held(world: &World) -> Result<Vec<f64>> {
    let scanner: Vec<_> = world.processes(Target::Portcullis)?.into_iter().filter(|process| process.role == "scanner").collect();
    let route = world.route(Target::Portcullis)?;
    // Once with few, for what is made at the first body.
    held::growth(route, &scanner, 2, Some(HELD_BYTES)).await?;
    let base = scanner.first().context("no scanner")?.resident()?;
    let mut all = Vec::new();
    for _ in 0..HELD_TIMES {
        tokio::time::sleep(HELD_PAUSE).await;
        let now = scanner[0].resident()?;
        let grown = held::growth(route, &scanner, HELD, Some(HELD_BYTES)).await?;
        // Against the beginning: what was not given back counts.
        let kept = (now as f64 - base as f64) / HELD as f64;
        all.push((grown[0].1 + kept) / 1024.0);
    }
    Ok(all)
}

/// A comparison that is under way.
struct Course {
    world: World,
    effort: Effort,
    /// Kept from round to round: connections stay, and no body is sent twice.
    generators: BTreeMap<(String, Target), Generator>,
    samples: Vec<Sample>,
}

impl Course {
    /// Every scenario on every target once: closed loop, or open loop at a part of the floor's peak so far.
    async fn round(&mut self, scenarios: &[&str], targets: &[Target], part: Option<f64>) -> Result<()> {
        for name in scenarios {
            let scenario = scenario::named(name)?;
            let (pace, lasting) = match part {
                None => (Pace::Closed, self.effort.lasting),
                Some(part) => (Pace::Open(part * figures::peak(&self.samples, name, Target::Floor)), self.effort.open),
            };
            for target in targets {
                self.generator(&scenario, *target).await?;
                let generator = self.generators.get(&(scenario.name.clone(), *target)).context("a generator")?;
                let sample = Sample::take(&self.world, generator, (name, *target), pace, lasting).await?;
                self.samples.push(sample);
            }
        }
        Ok(())
    }

    /// Makes a generator, and warms up, where there is none yet.
    async fn generator(&mut self, scenario: &Scenario, target: Target) -> Result<()> {
        let key = (scenario.name.clone(), target);
        if !self.generators.contains_key(&key) {
            let generator = Generator::new(scenario, self.world.route(target)?, scenario.load.connections).await?;
            Sample::take(&self.world, &generator, (&scenario.name, target), Pace::Closed, self.effort.warm_up).await?;
            self.generators.insert(key, generator);
        }
        Ok(())
    }
}
