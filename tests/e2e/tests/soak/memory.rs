//! Memory over time: a series for each process, and how steep it is.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use portcullis_e2e::processes;

const MIB: f64 = 1_048_576.0;

/// The resident memory of one process.
#[derive(Clone, Debug)]
pub(crate) struct Series {
    /// What it is.
    pub(crate) part: String,
    process: u32,
    /// Minutes since the run began, and MiB.
    pub(crate) points: Vec<(f64, f64)>,
}

impl Series {
    pub(crate) fn peak(&self) -> f64 {
        self.points.iter().map(|(_, size)| *size).fold(0.0, f64::max)
    }

    /// The part of it after a moment.
    pub(crate) fn after(&self, minutes: f64) -> Vec<(f64, f64)> {
        self.points.iter().copied().filter(|(at, _)| *at >= minutes).collect()
    }
}

/// The slope of the line with the least squares; `None`: fewer than two moments.
pub(crate) fn slope(points: &[(f64, f64)]) -> Option<f64> {
    #[expect(clippy::cast_precision_loss, reason = "some thousands")]
    let count = points.len() as f64;
    let mean = |of: fn(&(f64, f64)) -> f64| points.iter().map(of).sum::<f64>() / count;
    let (x, y) = (mean(|point| point.0), mean(|point| point.1));
    let square: f64 = points.iter().map(|point| (point.0 - x).powi(2)).sum();
    let product: f64 = points.iter().map(|point| (point.0 - x) * (point.1 - y)).sum();
    (square > 0.0).then(|| product / square)
}

/// The least of each window of so many minutes. New policy is built beside the old, and a long upload needs room: both are given back, and only
/// what is never given back is a leak.
pub(crate) fn floor(points: &[(f64, f64)], window: f64) -> Vec<(f64, f64)> {
    let mut floor: Vec<(f64, f64)> = Vec::new();
    let Some((begin, _)) = points.first() else { return floor };
    let mut end = begin + window;
    let mut least: Option<(f64, f64)> = None;
    for (at, size) in points {
        if *at >= end {
            floor.extend(least.take());
            end += window;
        }
        if least.is_none_or(|(_, least)| *size < least) {
            least = Some((*at, *size));
        }
    }
    // The last window is not whole: what is at its top only may be all that was seen of it.
    floor
}

/// Watches processes until dropped.
#[derive(Debug)]
pub(crate) struct Memory {
    begun: Instant,
    series: Mutex<Vec<Series>>,
}

impl Memory {
    pub(crate) fn new() -> Arc<Memory> {
        Arc::new(Memory { begun: Instant::now(), series: Mutex::default() })
    }

    /// Minutes since the run began.
    pub(crate) fn minutes(&self) -> f64 {
        self.begun.elapsed().as_secs_f64() / 60.0
    }

    /// From now on a process is watched, until it has ended.
    pub(crate) fn watch(&self, part: &str, process: u32) {
        let series = Series { part: part.to_owned(), process, points: Vec::new() };
        self.series.lock().unwrap_or_else(PoisonError::into_inner).push(series);
    }

    /// Samples for ever.
    pub(crate) async fn run(self: Arc<Self>, every: Duration) {
        loop {
            self.sample();
            tokio::time::sleep(every).await;
        }
    }

    pub(crate) fn series(&self) -> Vec<Series> {
        self.series.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn sample(&self) {
        let minutes = self.minutes();
        for series in self.series.lock().unwrap_or_else(PoisonError::into_inner).iter_mut() {
            // One that has ended has no memory, and gives no more points.
            if let Ok(bytes) = processes::memory(series.process, "VmRSS") {
                #[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
                series.points.push((minutes, bytes as f64 / MIB));
            }
        }
    }
}

#[test]
fn a_slope_is_that_of_the_line_and_a_step_is_none_beside_a_leak() {
    let line = |slope: f64| (0..100).map(|n| (f64::from(n), 7.0 + slope * f64::from(n))).collect::<Vec<_>>();
    for expected in [0.0, 0.5, -2.0] {
        assert!((slope(&line(expected)).unwrap() - expected).abs() < 1e-9);
    }
    let noise: Vec<(f64, f64)> = line(0.6).into_iter().map(|(at, size)| (at, size + 3.0 * (at * 1.7).sin())).collect();
    assert!((slope(&noise).unwrap() - 0.6).abs() < 0.05);
    assert_eq!((slope(&[]), slope(&[(1.0, 2.0)])), (None, None));
}

#[test]
fn what_is_given_back_is_no_leak_and_what_is_not_is_one() {
    // Half an hour, a sample every two seconds, and every seven minutes 200 MiB that go again.
    let saw = |leak: f64| -> Vec<(f64, f64)> {
        let at = (0..900).map(|n| f64::from(n) / 30.0);
        at.map(|at| (at, 150.0 + leak * at + 200.0 * (1.0 - (at % 7.0) / 3.0).max(0.0))).collect()
    };
    for leak in [0.0, 0.6] {
        let found = slope(&floor(&saw(leak), 3.0)).unwrap();
        assert!((found - leak).abs() < 0.3, "{found} instead of {leak}");
    }
    assert_eq!(floor(&[(0.0, 5.0), (1.0, 3.0), (2.0, 4.0), (3.0, 9.0)], 2.0), [(1.0, 3.0)]);
    assert_eq!(floor(&[], 2.0), []);
}
