//! One run of one scenario on one target: what came of it, and what it cost.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Result, ensure};
use serde::{Deserialize, Serialize};

use crate::generator::{Generator, Pace};
use crate::live::Live;
use crate::tally::Tally;
use crate::usage::Meter;
use crate::world::{Target, World};

/// The quantiles that are kept.
const QUANTILES: [f64; 20] =
    [0.0, 0.01, 0.05, 0.1, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6, 0.7, 0.75, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.999, 1.0];
/// In an overloaded moment a connection may break; more than this part of all requests fails the run.
const ALLOWED: f64 = 0.001;

/// The figures of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Sample {
    pub(crate) scenario: String,
    pub(crate) target: Target,
    /// Requests per second that were meant; none in a closed loop.
    pub(crate) meant_per_s: Option<f64>,
    /// Requests per second that were answered as they should.
    pub(crate) rate_per_s: f64,
    pub(crate) requests: u64,
    /// MiB of request bodies.
    pub(crate) mib: f64,
    pub(crate) seconds: f64,
    pub(crate) mean_us: f64,
    /// Pairs of quantile (0 to 1) and latency, µs.
    pub(crate) quantiles_us: Vec<(f64, f64)>,
    pub(crate) errors: BTreeMap<String, u64>,
    /// Processor time, seconds, by process.
    pub(crate) cpu_s: BTreeMap<String, f64>,
    /// Resident memory at the end, MiB, by process.
    pub(crate) resident_mib: BTreeMap<String, f64>,
}

impl Sample {
    /// Runs, and measures.
    ///
    /// # Errors
    /// A clean request was refused, or requests failed.
    pub(crate) async fn take(
        world: &World,
        generator: &Generator,
        (scenario, target): (&str, Target),
        pace: Pace,
        lasting: Duration,
    ) -> Result<Self> {
        let processes = world.processes(target)?;
        let what = format!("{scenario} on {}", target.name());
        let counts = world.origin.counts();
        let (requests, bytes) = (counts.requests(), counts.bytes());
        let meter = Meter::start(&processes)?;
        let tally = generator.run(pace, lasting, Live::new(&what)).await?;
        let cpu = meter.stop()?;
        tally.check(&what, ALLOWED)?;
        // What failed may have arrived too.
        let (requests, bytes) = (counts.requests() - requests, counts.bytes() - bytes);
        ensure!(
            requests >= tally.fine && bytes >= tally.bytes,
            "{what}: {} requests with {} bytes were answered, but {requests} with {bytes} reached the origin",
            tally.fine,
            tally.bytes
        );
        let resident = processes.iter().map(|process| Ok((process.role.to_owned(), process.resident()? as f64 / 1048576.0)));
        Ok(Self {
            scenario: scenario.to_owned(),
            target,
            meant_per_s: match pace {
                Pace::Open(rate) => Some(rate),
                Pace::Closed => None,
            },
            rate_per_s: tally.rate(),
            requests: tally.fine,
            mib: tally.bytes as f64 / 1048576.0,
            seconds: tally.elapsed.as_secs_f64(),
            mean_us: tally.mean_us(),
            quantiles_us: quantiles(&tally),
            errors: tally.errors.clone(),
            cpu_s: cpu.into_iter().map(|(role, seconds)| (role.to_owned(), seconds)).collect(),
            resident_mib: resident.collect::<Result<_>>()?,
        })
    }

    /// The latency at one of the kept quantiles, µs; not a number where it was not kept.
    pub(crate) fn quantile_us(&self, quantile: f64) -> f64 {
        self.quantiles_us.iter().find(|(kept, _)| (kept - quantile).abs() < 1e-9).map_or(f64::NAN, |(_, us)| *us)
    }

    /// Processor time of a process for one request, µs.
    pub(crate) fn cpu_us_per_request(&self, role: &str) -> Option<f64> {
        self.cpu_s.get(role).map(|seconds| seconds * 1e6 / self.requests.max(1) as f64)
    }

    /// Processor time of a process for one MiB of bodies, ms.
    pub(crate) fn cpu_ms_per_mib(&self, role: &str) -> Option<f64> {
        self.cpu_s.get(role).filter(|_| self.mib > 0.0).map(|seconds| seconds * 1e3 / self.mib)
    }
}

fn quantiles(tally: &Tally) -> Vec<(f64, f64)> {
    QUANTILES.iter().map(|quantile| (*quantile, tally.quantile_us(*quantile))).collect()
}

/// The middle of some figures, of two in the middle their mean; not a number where there are none.
pub(crate) fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_unstable_by(f64::total_cmp);
    match figures.len() {
        0 => f64::NAN,
        odd if odd % 2 == 1 => figures[odd / 2],
        even => f64::midpoint(figures[even / 2 - 1], figures[even / 2]),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A sample with this rate, and latencies of this many µs.
    pub(crate) fn sample(scenario: &str, target: Target, meant: Option<f64>, rate: f64, us: f64) -> Sample {
        Sample {
            scenario: scenario.into(),
            target,
            meant_per_s: meant,
            rate_per_s: rate,
            requests: 1000,
            mib: 4.0,
            seconds: 1.0,
            mean_us: us,
            quantiles_us: QUANTILES.iter().map(|quantile| (*quantile, us * (1.0 + quantile))).collect(),
            errors: BTreeMap::new(),
            cpu_s: BTreeMap::from([("envoy".to_owned(), 0.2)]),
            resident_mib: BTreeMap::new(),
        }
    }

    #[test]
    fn costs_are_of_one_request_and_of_one_mib() {
        let sample = sample("get", Target::Envoy, None, 1000.0, 500.0);
        assert!((sample.cpu_us_per_request("envoy").unwrap() - 200.0).abs() < 1e-9);
        assert!((sample.cpu_ms_per_mib("envoy").unwrap() - 50.0).abs() < 1e-9);
        assert!(sample.cpu_us_per_request("scanner").is_none());
        assert!((sample.quantile_us(0.5) - 750.0).abs() < 1e-9 && sample.quantile_us(0.33).is_nan());
        assert!(Sample { mib: 0.0, ..sample }.cpu_ms_per_mib("envoy").is_none());
    }

    #[test]
    fn the_median_is_the_middle() {
        assert!((median(vec![3.0, 1.0, 2.0]) - 2.0).abs() < 1e-9);
        assert!((median(vec![4.0, 1.0, 2.0, 3.0]) - 2.5).abs() < 1e-9);
        assert!(median(Vec::new()).is_nan());
    }
}
