//! What became of the requests of a run.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Result, bail};
use hdrhistogram::Histogram;

/// The longest latency that is told from longer ones: an hour, µs.
const LONGEST: u64 = 3_600_000_000;

/// Latencies and counts. Latencies are of all requests: of those that failed too, and of those that never ended, up to the end of the run.
#[derive(Debug, Clone)]
pub(crate) struct Tally {
    latency: Histogram<u64>,
    /// Requests that were answered as they should.
    pub(crate) fine: u64,
    /// Requests that were refused (403).
    pub(crate) refused: u64,
    /// What the first refusal said.
    pub(crate) refusal: Option<String>,
    /// Requests that failed, by how.
    pub(crate) errors: BTreeMap<String, u64>,
    /// Bytes of request bodies of requests that were fine.
    pub(crate) bytes: u64,
    /// How long the run took.
    pub(crate) elapsed: Duration,
}

/// What became of one request.
#[derive(Debug)]
pub(crate) enum Fate {
    /// Answered; its body had so many bytes.
    Fine(u64),
    /// Refused, with this text.
    Refused(String),
    /// Failed, in this way.
    Failed(String),
}

impl Tally {
    pub(crate) fn new() -> Result<Self> {
        let latency = Histogram::new_with_bounds(1, LONGEST, 3)?;
        let (errors, elapsed) = (BTreeMap::new(), Duration::ZERO);
        Ok(Self { latency, fine: 0, refused: 0, refusal: None, errors, bytes: 0, elapsed })
    }

    pub(crate) fn note(&mut self, latency: Duration, fate: Fate) {
        self.latency.saturating_record(u64::try_from(latency.as_micros()).unwrap_or(LONGEST));
        match fate {
            Fate::Fine(bytes) => {
                self.fine += 1;
                self.bytes += bytes;
            }
            Fate::Refused(why) => {
                self.refused += 1;
                self.refusal.get_or_insert(why);
            }
            Fate::Failed(how) => *self.errors.entry(how).or_default() += 1,
        }
    }

    /// Takes over what another worker counted.
    ///
    /// # Errors
    /// None that happens: all histograms have the same bounds.
    pub(crate) fn add(&mut self, other: Self) -> Result<()> {
        self.latency.add(&other.latency)?;
        self.fine += other.fine;
        self.refused += other.refused;
        self.bytes += other.bytes;
        self.refusal = self.refusal.take().or(other.refusal);
        for (how, count) in other.errors {
            *self.errors.entry(how).or_default() += count;
        }
        Ok(())
    }

    /// Requests in all.
    pub(crate) fn all(&self) -> u64 {
        self.fine + self.refused + self.failed()
    }

    /// Requests that failed.
    pub(crate) fn failed(&self) -> u64 {
        self.errors.values().sum()
    }

    /// Requests per second that were answered as they should.
    pub(crate) fn rate(&self) -> f64 {
        self.fine as f64 / self.elapsed.as_secs_f64()
    }

    /// The latency at a quantile (0 to 1), µs.
    pub(crate) fn quantile_us(&self, quantile: f64) -> f64 {
        self.latency.value_at_quantile(quantile) as f64
    }

    /// The mean latency, µs.
    pub(crate) fn mean_us(&self) -> f64 {
        self.latency.mean()
    }

    /// That every clean request came through.
    ///
    /// # Errors
    /// One was refused, which is a mistake of the gateway's, or of a body that is not as harmless as meant; or more than `allowed`, of one,
    /// failed.
    pub(crate) fn check(&self, what: &str, allowed: f64) -> Result<()> {
        if self.refused > 0 {
            let why = self.refusal.as_deref().unwrap_or_default();
            bail!("{what}: {} of {} CLEAN REQUESTS WERE REFUSED; the first: {why}", self.refused, self.all());
        }
        if self.fine == 0 || self.failed() as f64 > self.all() as f64 * allowed {
            bail!("{what}: {} of {} requests failed: {}", self.failed(), self.all(), self.failures());
        }
        Ok(())
    }

    /// The failures as text.
    pub(crate) fn failures(&self) -> String {
        self.errors.iter().map(|(how, count)| format!("{count} × {how}")).collect::<Vec<_>>().join("; ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_fail_a_run_loudly_and_failures_count_by_kind() {
        let mut tally = Tally::new().unwrap();
        tally.note(Duration::from_millis(1), Fate::Fine(10));
        tally.check("a run", 0.0).unwrap();
        tally.note(Duration::from_millis(3), Fate::Failed("tls".into()));
        assert!(tally.check("a run", 0.5).is_ok());
        assert!(tally.check("a run", 0.1).unwrap_err().to_string().contains("1 × tls"));
        let mut other = Tally::new().unwrap();
        other.note(Duration::from_millis(5), Fate::Refused("because".into()));
        tally.add(other).unwrap();
        assert!(tally.check("a run", 1.0).unwrap_err().to_string().contains("because"));
        assert_eq!((tally.all(), tally.fine, tally.failed(), tally.bytes), (3, 1, 1, 10));
        assert!((tally.quantile_us(1.0) - 5000.0).abs() < 10.0 && (tally.mean_us() - 3000.0).abs() < 10.0);
    }
}
