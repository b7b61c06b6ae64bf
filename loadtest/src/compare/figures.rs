//! From samples to figures: medians over the rounds, ratios within them, and whether they are what was asked for.

use super::{Comparison, MAIN};
use crate::sample::{Sample, median};
use crate::world::Target;

/// The scanner's buffer limit, and what a stream may take beside it, KiB.
const PER_STREAM: f64 = 1024.0 + 64.0;

/// One thing that is asked for.
#[derive(Debug, Clone)]
pub(crate) struct Wanted {
    pub(crate) what: String,
    /// `≥ 0.93` or `≤ 1.1`, with a unit if it has one.
    pub(crate) target: String,
    /// None if no round says: the machine was busy with something else in all of them.
    pub(crate) measured: Option<f64>,
    pub(crate) met: bool,
}

impl Wanted {
    /// The figure as it stands in a table.
    pub(crate) fn measured(&self) -> String {
        self.measured.map_or_else(|| "no round says".to_owned(), |measured| format!("{measured:.2}"))
    }
}

/// The figures of one scenario on one target, medians.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    pub(crate) scenario: String,
    pub(crate) target: Target,
    /// Whether requests came at a constant rate.
    pub(crate) open: bool,
    pub(crate) rate_per_s: f64,
    /// Pairs of quantile and latency, µs.
    pub(crate) quantiles_us: Vec<(f64, f64)>,
    pub(crate) costs: Vec<Cost>,
}

/// What one process took.
#[derive(Debug, Clone)]
pub(crate) struct Cost {
    pub(crate) role: String,
    pub(crate) us_per_request: f64,
    /// None where there are no bodies.
    pub(crate) ms_per_mib: Option<f64>,
    /// The most over the rounds.
    pub(crate) resident_mib: f64,
}

impl Row {
    /// What a process took, if there was one of that role.
    pub(crate) fn cost(&self, role: &str) -> Option<&Cost> {
        self.costs.iter().find(|cost| cost.role == role)
    }

    /// The latency at a kept quantile, µs.
    pub(crate) fn quantile_us(&self, quantile: f64) -> f64 {
        self.quantiles_us.iter().find(|(kept, _)| (kept - quantile).abs() < 1e-9).map_or(f64::NAN, |(_, us)| *us)
    }
}

/// All figures of a comparison.
#[derive(Debug)]
pub(crate) struct Figures {
    pub(crate) rows: Vec<Row>,
    pub(crate) wanted: Vec<Wanted>,
}

impl Figures {
    /// The figures of what was measured.
    pub(crate) fn of(comparison: &Comparison) -> Self {
        let samples = &comparison.samples;
        let mut rows: Vec<Row> = Vec::new();
        for sample in samples {
            let open = sample.meant_per_s.is_some();
            if !rows.iter().any(|row| row.scenario == sample.scenario && row.target == sample.target && row.open == open) {
                rows.push(row(&of(samples, &sample.scenario, sample.target, open)));
            }
        }
        Self { wanted: wanted(comparison), rows }
    }

    /// The row of a scenario on a target.
    pub(crate) fn row(&self, scenario: &str, target: Target, open: bool) -> Option<&Row> {
        self.rows.iter().find(|row| row.scenario == scenario && row.target == target && row.open == open)
    }

    /// The scenarios, in the order in which they were measured.
    pub(crate) fn scenarios(&self) -> Vec<&str> {
        let mut names: Vec<&str> = Vec::new();
        for row in &self.rows {
            if !names.contains(&row.scenario.as_str()) {
                names.push(&row.scenario);
            }
        }
        names
    }
}

fn of<'s>(samples: &'s [Sample], scenario: &str, target: Target, open: bool) -> Vec<&'s Sample> {
    samples.iter().filter(|s| s.scenario == scenario && s.target == target && s.meant_per_s.is_some() == open).collect()
}

/// The median of the closed loop's rates, per second; not a number if it did not run.
pub(super) fn peak(samples: &[Sample], scenario: &str, target: Target) -> f64 {
    median(of(samples, scenario, target, false).iter().map(|s| s.rate_per_s).collect())
}

fn row(samples: &[&Sample]) -> Row {
    let first = samples[0];
    let over = |figure: &dyn Fn(&Sample) -> f64| median(samples.iter().map(|s| figure(s)).collect());
    let costs = first.cpu_s.keys().map(|role| Cost {
        role: role.clone(),
        us_per_request: over(&|s| s.cpu_us_per_request(role).unwrap_or(f64::NAN)),
        ms_per_mib: first.cpu_ms_per_mib(role).map(|_| over(&|s| s.cpu_ms_per_mib(role).unwrap_or(f64::NAN))),
        resident_mib: samples.iter().filter_map(|s| s.resident_mib.get(role)).copied().fold(0.0, f64::max),
    });
    Row {
        scenario: first.scenario.clone(),
        target: first.target,
        open: first.meant_per_s.is_some(),
        rate_per_s: over(&|s| s.rate_per_s),
        quantiles_us: first.quantiles_us.iter().map(|(quantile, _)| (*quantile, over(&|s| s.quantile_us(*quantile)))).collect(),
        costs: costs.collect(),
    }
}

/// The median over the rounds of a figure of two targets in the same round.
fn paired(one: &[&Sample], other: &[&Sample], figure: impl Fn(&Sample, &Sample) -> f64) -> f64 {
    median(one.iter().zip(other).map(|(one, other)| figure(one, other)).collect())
}

/// Requests per second on one target, of those on another, round by round.
fn ratio(samples: &[Sample], scenario: &str, one: Target, other: Target) -> f64 {
    paired(&of(samples, scenario, one, false), &of(samples, scenario, other, false), |one, other| one.rate_per_s / other.rate_per_s)
}

/// What Portcullis adds to a latency without a proxy, of what the floor adds, round by round. None if one of the three was not measured.
fn added(samples: &[Sample], scenario: &str, quantile: f64) -> Option<f64> {
    let [direct, floor, ours] = [Target::Direct, Target::Floor, Target::Portcullis].map(|target| of(samples, scenario, target, true));
    if direct.is_empty() || floor.is_empty() || ours.is_empty() {
        return None;
    }
    let rounds = direct.iter().zip(&floor).zip(&ours);
    let ratio = |((direct, floor), ours): ((&&Sample, &&Sample), &&Sample)| {
        let [direct, floor, ours] = [direct, floor, ours].map(|sample| sample.quantile_us(quantile));
        // A round in which the floor added nothing says nothing: the machine was busy with something else.
        (floor > direct).then(|| (ours - direct) / (floor - direct))
    };
    Some(median(rounds.filter_map(ratio).collect()))
}

/// What issue 6 asks for. What was not measured is left out.
fn wanted(comparison: &Comparison) -> Vec<Wanted> {
    let samples = &comparison.samples;
    let mut all = Vec::new();
    let mut ask = |what: String, least: bool, target: f64, unit: &str, measured: Option<f64>| {
        let Some(measured) = measured else { return };
        let measured = Some(measured).filter(|measured| measured.is_finite());
        let met = measured.is_some_and(|measured| if least { measured >= target } else { measured <= target });
        all.push(Wanted { what, target: format!("{} {target}{unit}", if least { "≥" } else { "≤" }), measured, met });
    };
    for (scenario, other, target) in [
        (MAIN[0], Target::Floor, 0.93),
        (MAIN[1], Target::Floor, 0.93),
        (MAIN[2], Target::Floor, 1.0),
        (MAIN[0], Target::Envoy, 0.5),
        (MAIN[0], Target::Mitmproxy, 15.0),
        (MAIN[1], Target::Mitmproxy, 25.0),
    ] {
        let what = format!("{scenario}: requests/s, of {}", other.name());
        let both = [Target::Portcullis, other].iter().all(|target| !of(samples, scenario, *target, false).is_empty());
        ask(what, true, target, " ×", both.then(|| ratio(samples, scenario, Target::Portcullis, other)));
    }
    for scenario in super::LATENCY {
        for (name, quantile, target) in [("p50", 0.5, 1.1), ("p99", 0.99, 1.25)] {
            let what = format!("{scenario}: {name} added, of floor's, at half of floor's peak");
            ask(what, false, target, " ×", added(samples, scenario, quantile));
        }
    }
    let most = comparison.held_kib.iter().copied().reduce(f64::max);
    ask("scanner memory for a held request of nearly 1 MiB".to_owned(), false, PER_STREAM, " KiB", most);
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measured::Measured;
    use crate::sample::tests::sample;

    fn comparison(samples: Vec<Sample>, held_kib: Vec<f64>) -> Comparison {
        let measured = Measured { date: "2026-01-01".into(), revision: "0".into(), machine: "m".into(), command: "c".into() };
        Comparison { measured, rounds: 2, seconds: 1.0, samples, held_kib }
    }

    #[test]
    fn ratios_are_of_the_same_round_and_held_against_what_is_wanted() {
        // The machine is twice as fast in the second round: the ratio stays.
        let mut samples = Vec::new();
        for speed in [1.0, 2.0] {
            samples.push(sample("get", Target::Envoy, None, 1000.0 * speed, 1.0));
            samples.push(sample("get", Target::Floor, None, 500.0 * speed, 1.0));
            samples.push(sample("get", Target::Portcullis, None, 475.0 * speed, 1.0));
        }
        let figures = Figures::of(&comparison(samples, vec![900.0, 1200.0]));
        let said: Vec<(&str, bool)> = figures.wanted.iter().map(|wanted| (wanted.what.as_str(), wanted.met)).collect();
        assert_eq!(
            said,
            [
                ("get: requests/s, of floor", true),
                ("get: requests/s, of envoy", false),
                ("scanner memory for a held request of nearly 1 MiB", false)
            ]
        );
        assert!((figures.wanted[0].measured.unwrap() - 0.95).abs() < 1e-9);
        assert!((figures.row("get", Target::Floor, false).unwrap().rate_per_s - 750.0).abs() < 1e-9);
    }

    #[test]
    fn latency_that_is_added_is_what_is_above_no_proxy_at_all() {
        let at = |target, us| sample("get", target, Some(100.0), 100.0, us);
        let samples = vec![at(Target::Direct, 100.0), at(Target::Floor, 300.0), at(Target::Portcullis, 320.0)];
        let figures = Figures::of(&comparison(samples, Vec::new()));
        assert_eq!(figures.wanted.len(), 2);
        assert!((figures.wanted[0].measured.unwrap() - 1.1).abs() < 1e-9, "{:?}", figures.wanted[0].measured);
        let odd = vec![at(Target::Direct, 300.0), at(Target::Floor, 100.0), at(Target::Portcullis, 320.0)];
        // What no round says is said to be so, and is not met.
        let said = Figures::of(&comparison(odd, Vec::new())).wanted;
        assert!(said.len() == 2 && said.iter().all(|wanted| !wanted.met && wanted.measured() == "no round says"), "{said:?}");
    }
}
