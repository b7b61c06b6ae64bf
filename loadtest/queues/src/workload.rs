//! What sandboxes send: `sandboxes.toml`.

use std::path::Path;

use serde::Deserialize;

use crate::Error;
use crate::costs::MIB;

const HOUR_S: f64 = 3600.0;

/// What one sandbox does, and how many work at once.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Workload {
    /// The share of the day for which a sandbox is at work, 0 to 1.
    pub duty: f64,
    /// The load of the busiest hour over the mean, at least 1.
    pub peak: f64,
    /// Names that all sandboxes have in common.
    pub hosts_in_common: f64,
    /// How the number of further names grows with that of sandboxes, 0 to 1.
    pub hosts_exponent: f64,
    /// The longest that requests without body may wait at one tier, at the 99th percentile, milliseconds.
    pub wait_p99_ms: f64,
    /// What it does.
    pub does: Vec<Activity>,
    /// What the house sets that no manifest says.
    pub house: House,
    /// What is around it.
    pub around: Around,
}

/// One thing that a sandbox does.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Activity {
    /// Its name.
    pub name: String,
    /// Requests an hour at work.
    pub per_hour: f64,
    /// Mean size of a request's body, KiB.
    pub body_kib: f64,
    /// Mean size of an answer's body, KiB.
    pub response_kib: f64,
    /// How long a request takes to arrive, seconds.
    pub sending_s: f64,
    /// How long an answer takes to end, seconds.
    pub answering_s: f64,
    /// Connections that are kept open for it.
    pub tunnels: f64,
    /// Names of its own, a day.
    pub hosts: f64,
    /// Which of the measured kinds of request costs the most nearly the same.
    pub like: String,
    /// Whether bodies grow from nothing to twice the mean, and begin again; else all are of the mean size.
    #[serde(default)]
    pub grows: bool,
}

/// What the house sets that no manifest says.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct House {
    /// Requests that one scanner takes at a time.
    pub scanner_streams: f64,
    /// What bodies under inspection may take of a scanner's memory, MiB.
    pub held_mib: f64,
    /// Gateways that one certificates service takes at a time.
    pub certificate_streams: f64,
    /// Names that one gateway holds a certificate for at a time.
    pub names_per_gateway: f64,
    /// How long a leaf lives, hours. It is renewed at half of that.
    pub leaf_life_h: f64,
    /// Exchanges with the shared state, a second and scanner.
    pub exchanges_per_s: f64,
}

/// What is around it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Around {
    /// Certificates services.
    pub certificate_replicas: f64,
    /// Zones that replicas are spread over, at least 2.
    pub zones: f64,
    /// Books of the shared state that a request touches.
    pub books_per_request: f64,
    /// Commands that the exchange of a book takes.
    pub commands_per_book: f64,
    /// Series that one scanner tells Prometheus.
    pub scanner_series: f64,
    /// Series that one gateway tells.
    pub gateway_series: f64,
    /// Seconds from scrape to scrape.
    pub scrape_s: f64,
    /// Bytes of a record of the audit log.
    pub audit_bytes: f64,
    /// Bytes of a line of the gateway's access log.
    pub access_bytes: f64,
    /// Connections that one address may have to one address and port outside.
    pub ports: f64,
    /// The largest share of a gateway's requests under way that goes to one address outside.
    pub one_destination: f64,
}

impl Workload {
    /// Reads the file.
    ///
    /// # Errors
    /// It cannot be read, or what it says makes no sense.
    pub fn read(path: &Path) -> Result<Workload, Error> {
        let workload: Workload =
            toml::from_str(&crate::read(path)?).map_err(|source| Error::Workload { path: path.into(), why: source.to_string() })?;
        workload.check().map_err(|why| Error::Workload { path: path.into(), why })?;
        Ok(workload)
    }

    fn check(&self) -> Result<(), String> {
        if !(self.duty > 0.0 && self.peak >= 1.0 && self.duty * self.peak <= 1.0) {
            return Err("duty × peak, the share at work at the peak, must be above 0 and at most 1, and peak at least 1".into());
        }
        if self.wait_p99_ms.is_nan() || self.wait_p99_ms <= 0.0 {
            return Err("wait_p99_ms must be above 0".into());
        }
        if !(0.0..=1.0).contains(&self.hosts_exponent) || self.around.zones < 2.0 {
            return Err("hosts_exponent must be between 0 and 1, and zones at least 2".into());
        }
        for a in &self.does {
            let figures = [a.per_hour, a.body_kib, a.response_kib, a.sending_s, a.answering_s, a.tunnels, a.hosts];
            if figures.iter().any(|value| !value.is_finite() || *value < 0.0) {
                return Err(format!("a figure of {} is negative or no number", a.name));
            }
        }
        if self.does.iter().all(|a| a.per_hour == 0.0) {
            return Err("sandboxes do nothing".into());
        }
        Ok(())
    }

    /// The share of sandboxes that are at work at the peak.
    #[must_use]
    pub fn at_work(&self) -> f64 {
        self.duty * self.peak
    }

    /// Requests a second at the peak, of so many sandboxes.
    #[must_use]
    pub fn requests_per_s(&self, sandboxes: f64) -> f64 {
        self.sum(sandboxes, |_| 1.0)
    }

    /// Requests a day.
    #[must_use]
    pub fn requests_per_day(&self, sandboxes: f64) -> f64 {
        self.requests_per_s(sandboxes) / self.peak * 24.0 * HOUR_S
    }

    /// MiB a second of bodies that are sent at the peak.
    #[must_use]
    pub fn mib_up_per_s(&self, sandboxes: f64) -> f64 {
        self.sum(sandboxes, |a| a.body_kib * 1024.0 / MIB)
    }

    /// MiB a second of answers at the peak.
    #[must_use]
    pub fn mib_down_per_s(&self, sandboxes: f64) -> f64 {
        self.sum(sandboxes, |a| a.response_kib * 1024.0 / MIB)
    }

    /// A sum over the requests of a second at the peak.
    pub fn sum(&self, sandboxes: f64, of: impl Fn(&Activity) -> f64) -> f64 {
        self.does.iter().map(|a| sandboxes * self.at_work() * a.per_hour / HOUR_S * of(a)).sum()
    }

    /// Tunnels open at the peak. Sandboxes at rest have none: Envoy closes what is idle for 300 s (`stream_idle_timeout`).
    #[must_use]
    pub fn tunnels(&self, sandboxes: f64) -> f64 {
        sandboxes * self.at_work() * self.does.iter().map(|a| a.tunnels).sum::<f64>()
    }

    /// Distinct names in a day.
    #[must_use]
    pub fn names_per_day(&self, sandboxes: f64) -> f64 {
        self.hosts_in_common + self.does.iter().map(|a| a.hosts).sum::<f64>() * sandboxes.powf(self.hosts_exponent)
    }
}
