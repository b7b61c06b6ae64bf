//! What came of a run.

use super::Model;

/// A request that was served.
#[derive(Debug, Clone, Copy)]
pub(super) struct Done {
    pub(super) class: usize,
    pub(super) arrived: f64,
    pub(super) wait: f64,
    pub(super) response: f64,
}

/// What came of a run, without its beginning.
#[derive(Debug, Clone)]
pub struct Outcome {
    classes: Vec<String>,
    done: Vec<Done>,
    /// Requests that failed with their replica, or for want of any.
    pub failed: usize,
}

/// Times that shares of requests did not exceed, microseconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Quantiles {
    /// Mean.
    pub mean: f64,
    /// Median.
    pub p50: f64,
    /// Of 90 %.
    pub p90: f64,
    /// Of 99 %.
    pub p99: f64,
    /// Of 99.9 %.
    pub p999: f64,
}

impl Quantiles {
    /// Of a set of times; `None` of none.
    #[must_use]
    pub fn of(mut times: Vec<f64>) -> Option<Quantiles> {
        times.sort_by(f64::total_cmp);
        let last = times.len().checked_sub(1)?;
        let at = |q: f64| times[((q * times.len() as f64) as usize).min(last)];
        let mean = times.iter().sum::<f64>() / times.len() as f64;
        Some(Quantiles { mean, p50: at(0.5), p90: at(0.9), p99: at(0.99), p999: at(0.999) })
    }
}

impl Outcome {
    pub(super) fn of(model: &Model, done: Vec<Done>, failed: usize) -> Outcome {
        Outcome { classes: model.classes.iter().map(|c| c.name.clone()).collect(), done, failed }
    }

    /// How long requests waited: for a processor, or for their next turn at it.
    #[must_use]
    pub fn waits(&self) -> Option<Quantiles> {
        Quantiles::of(self.done.iter().map(|d| d.wait).collect())
    }

    /// How long they took in all.
    #[must_use]
    pub fn responses(&self) -> Option<Quantiles> {
        Quantiles::of(self.done.iter().map(|d| d.response).collect())
    }

    /// How long those of some classes waited.
    #[must_use]
    pub fn waits_of(&self, classes: &[&str]) -> Option<Quantiles> {
        let which = self.which(classes);
        self.waits_where(|d| which[d.class])
    }

    /// How long those of some classes waited that came in a time (microseconds, from and to).
    #[must_use]
    pub fn waits_of_between(&self, classes: &[&str], (from, to): (f64, f64)) -> Option<Quantiles> {
        let which = self.which(classes);
        self.waits_where(|d| which[d.class] && d.arrived >= from && d.arrived < to)
    }

    /// Pairs of how long each waited and how long it was served.
    pub fn waits_and_services(&self) -> impl Iterator<Item = (f64, f64)> + '_ {
        self.done.iter().map(|d| (d.wait, d.response - d.wait))
    }

    fn which(&self, classes: &[&str]) -> Vec<bool> {
        self.classes.iter().map(|name| classes.contains(&name.as_str())).collect()
    }

    fn waits_where(&self, which: impl Fn(&Done) -> bool) -> Option<Quantiles> {
        Quantiles::of(self.done.iter().filter(|d| which(d)).map(|d| d.wait).collect())
    }
}
