//! The soak: mixed traffic through a gateway of separate parts for a long time while parts of it fail, and at the end, and every few minutes,
//! everything that was seen, that arrived, that is on record and that was counted is held against each other, request by request ([`ledger`]).
//!
//! What must hold:
//! - What a client was told is what became of its request: an answer of the origin's means that all of it arrived, once and unchanged; a refusal, that
//!   nothing did. A request fails only if it was under way when a scanner was killed.
//! - Every request that was decided has one audit record, of its sandbox, with its verdict and the id that the client was told. Only a scanner that is
//!   killed may take records with it: of what was under way.
//! - Each scanner process counts what it wrote, by verdict and reason; and all of them together what the origin counts, to the request.
//! - Memory does not grow.
//! - No byte of a secret is at the origin, in a log, in a record or in an answer.
//!
//! By default every fault comes once, within half a minute. `PORTCULLIS_SOAK_MINUTES` says how long faults come by chance instead, and `PORTCULLIS_SOAK_RECORD=FILE`
//! where the figures go: `tests/soak/run` makes docs/soak.md of them.

#[path = "soak/faults.rs"]
mod faults;
#[path = "soak/harvest.rs"]
mod harvest;
#[path = "soak/kinds.rs"]
mod kinds;
#[path = "soak/ledger.rs"]
mod ledger;
#[path = "soak/life.rs"]
mod life;
#[path = "soak/memory.rs"]
mod memory;
#[path = "soak/place.rs"]
mod place;
#[path = "soak/plan.rs"]
mod plan;
#[path = "soak/planted.rs"]
mod planted;
#[path = "soak/report.rs"]
mod report;
#[path = "soak/worker.rs"]
mod worker;
#[path = "soak/world.rs"]
mod world;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use kinds::Kind;
use memory::{floor, slope};
use plan::{Faults, Plan};
use report::Report;
use world::World;

/// The most memory that a part may ever have, in MiB: twice what a scanner has here right after new policy was loaded beside the old.
const MOST: f64 = 1024.0;
/// The steepest that the floor of memory may be once it is warm, in MiB a minute, over a third of the run at least.
const STEEPEST: f64 = 0.5;
/// A chapter that would be shorter than this is not begun.
const REST: Duration = Duration::from_secs(1);

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nothing_leaks_nothing_is_lost_and_every_counter_agrees_whatever_fails() {
    let plan = Plan::given();
    let mut world = World::start(plan.sample()).await;
    let (warm, window) = (plan.warm_up().as_secs_f64() / 60.0, plan.window().as_secs_f64() / 60.0);
    let mut report = Report { warm, window, ..Report::default() };
    let (begun, mut faults, mut turn) = (Instant::now(), Faults::new(plan), 0);
    let mut over = false;
    while !over {
        let chapter = Instant::now();
        world.send();
        while chapter.elapsed() < plan.chapter() && begun.elapsed() + REST < plan.length() || plan == Plan::Short {
            tokio::time::sleep(faults.gap()).await;
            let Some(fault) = faults.next(begun.elapsed()) else { break };
            turn += 1;
            note(&format!("{:.1} min: {}", world.memory.minutes(), fault.name()));
            fault.happen(&mut world, turn).await;
            *report.faults.entry(fault).or_default() += 1;
        }
        over = plan == Plan::Short || begun.elapsed() + REST >= plan.length();
        let account = world.close(over).await;
        let requests = Report::requests(&account);
        note(&format!("{:.1} min: {requests} requests, {} of them wrong", world.memory.minutes(), account.wrong.len()));
        report.total.add(&account);
        report.chapters.push((world.memory.minutes(), account));
    }
    report.minutes = begun.elapsed().as_secs_f64() / 60.0;
    (report.secrets, report.bytes, report.series) = (world.planted.count(), world.bytes(), world.memory.series());
    if let Some(file) = std::env::var_os("PORTCULLIS_SOAK_RECORD").map(PathBuf::from) {
        report.write(&file);
    }
    let wrong = [report.total.wrong.clone(), too_much(plan, &report), too_little(&report)].concat();
    let shown = wrong.iter().take(40).cloned().collect::<Vec<_>>().join("\n");
    let logs = if wrong.is_empty() { String::new() } else { world.pods.logs() };
    world.stop().await;
    assert!(wrong.is_empty(), "{} things are wrong:\n{shown}\n{logs}", wrong.len());
}

/// What grows.
fn too_much(plan: Plan, report: &Report) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut bounded = Vec::new();
    for series in &report.series {
        if series.peak() > MOST {
            wrong.push(format!("{} had {:.0} MiB", series.part, series.peak()));
        }
        let warm = series.after(report.warm);
        let spans = warm.first().zip(warm.last()).map_or(0.0, |(first, last)| last.0 - first.0);
        if plan.bounds_slopes() && spans * 3.0 >= report.minutes {
            bounded.push(series.part.as_str());
            if let Some(slope) = slope(&floor(&warm, report.window)).filter(|slope| *slope > STEEPEST) {
                wrong.push(format!("{} grows by {slope:.2} MiB a minute", series.part));
            }
        }
    }
    if plan.bounds_slopes() {
        let missing = ["scanner 0", "Envoy"].into_iter().filter(|part| !bounded.contains(part));
        wrong.extend(missing.map(|part| format!("no series of {part} is long enough")));
    }
    wrong
}

/// A run in which little happened proves little.
fn too_little(report: &Report) -> Vec<String> {
    let mut wrong = Vec::new();
    let missing = Kind::ALL.iter().filter(|kind| !report.total.kinds.contains_key(kind));
    wrong.extend(missing.map(|kind| format!("no request was of the kind {}", kind.name())));
    if report.total.as_expected < 300 || report.total.records < 300 {
        wrong.push(format!("only {} requests were answered", report.total.as_expected));
    }
    wrong
}

/// A line for whoever watches a run.
#[expect(clippy::print_stderr, reason = "a run takes long, and its figures are what it is for")]
fn note(text: &str) {
    eprintln!("{text}");
}
