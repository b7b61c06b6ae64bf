//! The report of a comparison, as a part of a page.

use std::fmt::Write as _;

use super::figures::Figures;
use super::{Comparison, HELD, PART, plots};
use crate::scenario;
use crate::world::Target;

/// The report, as Markdown.
///
/// # Errors
/// None that happens: writing into a string.
pub(crate) fn report(comparison: &Comparison, figures: &Figures) -> Result<String, std::fmt::Error> {
    let mut text = String::new();
    head(&mut text, comparison)?;
    wanted(&mut text, figures)?;
    peaks(&mut text, figures)?;
    latencies(&mut text, figures)?;
    costs(&mut text, figures)?;
    memory(&mut text, comparison)?;
    Ok(text)
}

fn head(text: &mut String, comparison: &Comparison) -> std::fmt::Result {
    let measured = &comparison.measured;
    writeln!(
        text,
        "## The gateway under load\n\nWritten by `cargo run --release -p loadtest -- compare --write`; do not edit, run it again.\n"
    )?;
    writeln!(text, "{}. {}, revision {}, by `{}`.\n", measured.machine, measured.date, measured.revision, measured.command)?;
    writeln!(
        text,
        "Everything is on this one machine: generator and origin (one process), proxy, scanner; TLS on both sides, connections kept. All targets take turns, {} rounds of {} s; rates and latencies are medians over the rounds, ratios are of the same round. The machine's speed changes with its neighbours': trust the ratios. What the targets are, and how latencies count: `loadtest/README.md`.\n",
        comparison.rounds, comparison.seconds
    )
}

fn wanted(text: &mut String, figures: &Figures) -> std::fmt::Result {
    let met = figures.wanted.iter().filter(|wanted| wanted.met).count();
    writeln!(
        text,
        "### What is wanted\n\n{met} of {} are met.\n\n| what | target | measured | met |\n|---|---|---|---|",
        figures.wanted.len()
    )?;
    for wanted in &figures.wanted {
        let met = if wanted.met { "yes" } else { "**no**" };
        writeln!(text, "| {} | {} | {} | {met} |", wanted.what, wanted.target, wanted.measured())?;
    }
    writeln!(text)
}

fn peaks(text: &mut String, figures: &Figures) -> std::fmt::Result {
    writeln!(text, "### Peaks\n\nRequests per second, closed loop; below, of the floor's.\n\n![Peaks](pictures/{})\n", plots::PEAKS)?;
    writeln!(
        text,
        "| scenario | direct | envoy | floor | portcullis | mitmproxy | of floor | of envoy | of mitmproxy |\n|{}",
        "---|".repeat(9)
    )?;
    for name in figures.scenarios() {
        let rate = |target| figures.row(name, target, false).map(|row| row.rate_per_s);
        write!(text, "| {name} |")?;
        for target in Target::ALL {
            write!(text, " {} |", rate(target).map_or_else(String::new, rounded))?;
        }
        let ours = rate(Target::Portcullis);
        for other in [Target::Floor, Target::Envoy, Target::Mitmproxy] {
            let ratio = ours.zip(rate(other)).map(|(ours, other)| format!("{:.2}", ours / other));
            write!(text, " {} |", ratio.unwrap_or_default())?;
        }
        writeln!(text)?;
    }
    writeln!(text)?;
    for name in figures.scenarios() {
        if let Ok(scenario) = scenario::named(name) {
            writeln!(text, "- `{name}`: {}", scenario.what)?;
        }
    }
    writeln!(text)
}

fn latencies(text: &mut String, figures: &Figures) -> std::fmt::Result {
    if !figures.rows.iter().any(|row| row.open) {
        return Ok(());
    }
    writeln!(
        text,
        "### Latency\n\nOpen loop at {} % of the floor's peak, ms, from the moment at which a request was meant to be sent.\n\n![Latency](pictures/{})\n",
        PART * 100.0,
        plots::LATENCIES
    )?;
    writeln!(text, "| scenario | target | requests/s | p50 | p90 | p99 | p99.9 |\n|---|---|---|---|---|---|---|")?;
    for row in figures.rows.iter().filter(|row| row.open) {
        write!(text, "| {} | {} | {} |", row.scenario, row.target.name(), rounded(row.rate_per_s))?;
        for quantile in [0.5, 0.9, 0.99, 0.999] {
            write!(text, " {:.2} |", row.quantile_us(quantile) / 1e3)?;
        }
        writeln!(text)?;
    }
    writeln!(text)
}

fn costs(text: &mut String, figures: &Figures) -> std::fmt::Result {
    writeln!(
        text,
        "### Processor time and memory\n\nAt the peak, by process: µs of processor time for a request, and the most resident memory after a run. The processor is the floor's, the scanner, or mitmproxy; ms a MiB is of the proxy and its processor together, for a MiB of body (all of the time, by all of the bytes). A billion requests take as many processor hours as the µs divided by 3.6.\n"
    )?;
    writeln!(
        text,
        "| scenario | target | Envoy µs | processor µs | generator µs | ms a MiB | Envoy MiB | processor MiB |\n|{}",
        "---|".repeat(8)
    )?;
    for row in figures.rows.iter().filter(|row| !row.open) {
        let processor = ["floor", "scanner", "mitmproxy"].into_iter().find(|role| row.cost(role).is_some()).unwrap_or_default();
        let us = |role| row.cost(role).map_or_else(String::new, |cost| format!("{:.0}", cost.us_per_request));
        let mib = |role| row.cost(role).map_or_else(String::new, |cost| format!("{:.0}", cost.resident_mib));
        let of_mib: Vec<f64> = ["envoy", processor].iter().filter_map(|role| row.cost(role)?.ms_per_mib).collect();
        let of_mib = if of_mib.is_empty() { String::new() } else { format!("{:.2}", of_mib.iter().sum::<f64>()) };
        writeln!(
            text,
            "| {} | {} | {} | {} | {} | {of_mib} | {} | {} |",
            row.scenario,
            row.target.name(),
            us("envoy"),
            us(processor),
            us("generator"),
            mib("envoy"),
            mib(processor)
        )?;
    }
    writeln!(text)
}

fn memory(text: &mut String, comparison: &Comparison) -> std::fmt::Result {
    if comparison.held_kib.is_empty() {
        return Ok(());
    }
    let times = comparison.held_kib.iter().map(|kib| format!("{kib:.0}")).collect::<Vec<_>>().join(", ");
    writeln!(
        text,
        "The scanner's memory for one of {HELD} requests that each have sent 960 KiB of their bodies and wait, one time after the other, against the beginning: {times} KiB."
    )
}

/// A rate, with as many digits as it is good for.
fn rounded(rate: f64) -> String {
    if rate >= 100.0 { format!("{rate:.0}") } else { format!("{rate:.1}") }
}
