//! The report of a comparison, as a part of a page.

use std::fmt::Write as _;

use super::figures::{Figures, Row};
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
    memory(&mut text, comparison, figures)?;
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
        writeln!(text, "| {} | {} | {:.2} | {met} |", wanted.what, wanted.target, wanted.measured)?;
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
        "### Processor time\n\nOf each process, at the peak: µs for a request, and ms for a MiB of body where there is one (all of the time, by all of the bytes). A billion requests take as many processor hours as the µs divided by 3.6.\n"
    )?;
    writeln!(text, "| scenario | target | process | µs a request | ms a MiB |\n|---|---|---|---|---|")?;
    for row in figures.rows.iter().filter(|row| !row.open) {
        for (role, us, mib) in &row.cpu {
            let mib = mib.map_or_else(String::new, |ms| format!("{ms:.2}"));
            writeln!(text, "| {} | {} | {role} | {us:.0} | {mib} |", row.scenario, row.target.name())?;
        }
    }
    writeln!(text)
}

fn memory(text: &mut String, comparison: &Comparison, figures: &Figures) -> std::fmt::Result {
    writeln!(text, "### Memory\n")?;
    if !comparison.held_kib.is_empty() {
        let times = comparison.held_kib.iter().map(|kib| format!("{kib:.0}")).collect::<Vec<_>>().join(", ");
        writeln!(
            text,
            "The scanner for one of {HELD} requests that each have sent 960 KiB of their bodies and wait, one time after the other, against the beginning: {times} KiB.\n"
        )?;
    }
    let of = |row: &Row| row.resident_mib.iter().map(|(role, mib)| format!("{role} {mib:.0}")).collect::<Vec<_>>().join(", ");
    writeln!(text, "Resident after the runs, the most, MiB:\n\n| scenario | target | processes |\n|---|---|---|")?;
    for row in figures.rows.iter().filter(|row| !row.open) {
        writeln!(text, "| {} | {} | {} |", row.scenario, row.target.name(), of(row))?;
    }
    Ok(())
}

/// A rate, with as many digits as it is good for.
fn rounded(rate: f64) -> String {
    if rate >= 100.0 { format!("{rate:.0}") } else { format!("{rate:.1}") }
}
