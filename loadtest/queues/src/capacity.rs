//! What was measured: `loadtest/results/capacity.json`, as the load test writes it.

use std::path::Path;

use serde::Deserialize;

use crate::Error;

/// All that was measured on one machine in one run.
#[derive(Debug, Clone, Deserialize)]
pub struct Capacity {
    /// When, of what, where and how.
    pub measured: Measured,
    /// CPU time by tier and kind of request.
    pub costs: Vec<Cost>,
    /// Memory.
    pub memory: Memory,
    /// How long requests take while nothing else is there to wait for.
    pub service_times_us: Sets,
    /// How long they took under load.
    pub load: Vec<LoadPoint>,
    /// CPU time of signing one leaf, microseconds.
    pub mint_us_per_leaf: f64,
}

/// When, of what, where and how it was measured.
#[derive(Debug, Clone, Deserialize)]
pub struct Measured {
    /// The day.
    pub date: String,
    /// The revision in git.
    pub revision: String,
    /// The machine.
    pub machine: String,
    /// The command.
    pub command: String,
}

/// What one kind of request costs one tier.
#[derive(Debug, Clone, Deserialize)]
pub struct Cost {
    /// `envoy`, `scanner` or `certificates`.
    pub tier: String,
    /// The kind of request: `get`, which has no body, `json-4k` and so on.
    pub what: String,
    /// CPU time of one request, microseconds.
    pub cpu_us_per_request: f64,
    /// All of that time over all bytes of bodies, milliseconds a MiB; `None` where there are none.
    pub cpu_ms_per_mib: Option<f64>,
}

/// Memory.
#[derive(Debug, Clone, Deserialize)]
pub struct Memory {
    /// Of an open tunnel that carries nothing, in Envoy, KiB.
    pub envoy_idle_tunnel_kib: f64,
    /// Of a request that has sent 256 KiB and waits, in Envoy, KiB.
    pub envoy_stream_kib: f64,
    /// Of a request that has sent 256 KiB and waits, in the scanner, KiB.
    pub scanner_stream_kib: f64,
    /// Of a scanner that has nothing to do, MiB.
    pub scanner_base_mib: f64,
    /// Of an Envoy that has nothing to do, MiB.
    pub envoy_base_mib: f64,
}

/// Service times of one kind of request.
#[derive(Debug, Clone, Deserialize)]
pub struct ServiceTimes {
    /// The kind, as in [`LoadPoint::scenario`].
    pub scenario: String,
    /// Pairs of a quantile (0 to 1) and a time in microseconds, rising.
    pub quantiles: Vec<(f64, f64)>,
}

/// One set of service times, or several.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub enum Sets {
    /// One.
    One(ServiceTimes),
    /// Several.
    Many(Vec<ServiceTimes>),
}

impl Sets {
    /// All of them.
    #[must_use]
    pub fn all(&self) -> &[ServiceTimes] {
        match self {
            Sets::One(one) => std::slice::from_ref(one),
            Sets::Many(many) => many,
        }
    }
}

/// How long requests took at one rate.
#[derive(Debug, Clone, Deserialize)]
pub struct LoadPoint {
    /// The kind of request.
    pub scenario: String,
    /// Requests a second.
    pub rate_per_s: f64,
    /// The rate over the highest that the machine could do, at which all of its processors were busy.
    pub utilisation: f64,
    /// Mean, microseconds.
    pub mean_us: f64,
    /// Median, microseconds.
    pub p50_us: f64,
    /// 90 % took no longer, microseconds.
    pub p90_us: f64,
    /// 99 % took no longer, microseconds.
    pub p99_us: f64,
}

impl Capacity {
    /// Reads the file.
    ///
    /// # Errors
    /// It cannot be read, or what it says cannot have been measured.
    pub fn read(path: &Path) -> Result<Capacity, Error> {
        let capacity: Capacity =
            serde_json::from_str(&crate::read(path)?).map_err(|source| Error::Capacity { path: path.into(), why: source.to_string() })?;
        capacity.check().map_err(|why| Error::Capacity { path: path.into(), why })?;
        Ok(capacity)
    }

    fn check(&self) -> Result<(), String> {
        let positive = |what: &str, value: f64| {
            if value.is_finite() && value > 0.0 { Ok(()) } else { Err(format!("{what} is {value}")) }
        };
        // Where connections are kept, a request costs the certificates service nothing.
        let some = |what: &str, value: f64| if value == 0.0 { Ok(()) } else { positive(what, value) };
        let m = &self.memory;
        positive("mint_us_per_leaf", self.mint_us_per_leaf)?;
        for value in [m.envoy_idle_tunnel_kib, m.envoy_stream_kib, m.scanner_stream_kib, m.scanner_base_mib, m.envoy_base_mib] {
            some("a figure of memory", value)?;
        }
        for cost in &self.costs {
            let name = format!("the cost of {} at {}", cost.what, cost.tier);
            some(&name, cost.cpu_us_per_request)?;
            cost.cpu_ms_per_mib.map_or(Ok(()), |value| some(&name, value))?;
        }
        for point in &self.load {
            for value in [point.rate_per_s, point.utilisation, point.mean_us, point.p50_us, point.p90_us, point.p99_us] {
                positive(&format!("a figure of the load of {}", point.scenario), value)?;
            }
        }
        for set in self.service_times_us.all() {
            let rises = set.quantiles.windows(2).all(|two| two[0].0 < two[1].0 && two[0].1 <= two[1].1);
            let in_range = set.quantiles.iter().all(|(q, us)| (0.0..=1.0).contains(q) && us.is_finite() && *us > 0.0);
            if set.quantiles.len() < 2 || !rises || !in_range {
                return Err(format!("the service times of {} do not rise from quantile to quantile", set.scenario));
            }
        }
        Ok(())
    }

    /// The service times of a scenario.
    #[must_use]
    pub fn service_times(&self, scenario: &str) -> Option<&ServiceTimes> {
        self.service_times_us.all().iter().find(|set| set.scenario == scenario)
    }

    /// The number of processors that the description of the machine names: `…, 2 cores`.
    #[must_use]
    pub fn cores(&self) -> Option<usize> {
        let words: Vec<&str> = self.measured.machine.split([' ', ',', ';', '(', ')']).filter(|word| !word.is_empty()).collect();
        let named = |word: &str| ["core", "cores", "cpu", "cpus", "vcpu", "vcpus", "processors"].contains(&word.to_lowercase().as_str());
        words.windows(2).find(|two| named(two[1])).and_then(|two| two[0].parse().ok()).filter(|cores| *cores > 0)
    }
}
