//! Runs again and again, for monitoring.

use std::time::{Duration, SystemTime};

use prometheus::{Gauge, IntGauge, IntGaugeVec, Opts, Registry};
use telemetry::{Readiness, Shutdown};

use crate::check::{Check, Outcome};
use crate::report::{Counts, Report};
use crate::settings::Settings;
use crate::system::System;

/// The metrics of the last run.
#[derive(Clone, Debug)]
pub struct Metrics {
    escapes: IntGauge,
    checks: IntGaugeVec,
    check: IntGaugeVec,
    last_run: Gauge,
}

impl Metrics {
    /// Registers them.
    ///
    /// # Errors
    /// The registry has metrics of these names already.
    pub fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let checks = Opts::new("portcullis_probe_checks", "Tries of the last run of the probe, by result.");
        let check = Opts::new("portcullis_probe_check", "Tries of the last run of the probe, by check and result.");
        let metrics = Self {
            escapes: IntGauge::new("portcullis_probe_escapes", "Ways out that the last run of the probe found.")?,
            checks: IntGaugeVec::new(checks, &["result"])?,
            check: IntGaugeVec::new(check, &["check", "result"])?,
            last_run: Gauge::new(
                "portcullis_probe_last_run_timestamp_seconds",
                "When the last run of the probe ended, Unix time; 0: never.",
            )?,
        };
        registry.register(Box::new(metrics.escapes.clone()))?;
        registry.register(Box::new(metrics.checks.clone()))?;
        registry.register(Box::new(metrics.check.clone()))?;
        registry.register(Box::new(metrics.last_run.clone()))?;
        Ok(metrics)
    }

    /// Shows a run. Every label is there from the first run on, with 0 where there is nothing.
    pub fn show(&self, report: &Report) {
        let number = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        self.escapes.set(number(report.counts.escaped));
        for outcome in Outcome::ALL {
            let count = match outcome {
                Outcome::Blocked => report.counts.blocked,
                Outcome::Failed => report.counts.failed,
                Outcome::Escaped => report.counts.escaped,
            };
            self.checks.with_label_values(&[outcome.name()]).set(number(count));
            for (check, name, _) in Check::ALL {
                self.check.with_label_values(&[name, outcome.name()]).set(number(report.count(check, outcome)));
            }
        }
        // A clock before 1970 is as good as none.
        self.last_run.set(SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map(|since| since.as_secs_f64()).unwrap_or_default());
    }
}

/// After a run that told nothing for sure the next comes this soon, and each time twice as late: the gateway may only be starting.
const SOON: Duration = Duration::from_secs(15);

/// Runs until shutdown, each run `every` after the beginning of the one before, or sooner (15 s, then ever later) where a try failed and nothing escaped; tells
/// each report, in metrics, in the log and to `tell`.
pub async fn watch(
    settings: &Settings,
    every: Duration,
    metrics: &Metrics,
    readiness: &Readiness,
    mut shutdown: Shutdown,
    mut tell: impl FnMut(&Report),
) {
    let mut soon = SOON;
    let runs = async {
        loop {
            let begun = tokio::time::Instant::now();
            // Read each time: routes and resolvers change.
            let report = crate::run(settings, &System::read()).await;
            metrics.show(&report);
            readiness.set(true);
            log(&report);
            tell(&report);
            let wait = pause(report.counts, every, &mut soon);
            tokio::time::sleep_until(begun + wait).await;
        }
    };
    tokio::select! {
        () = runs => {}
        () = shutdown.wait() => {}
    }
}

/// How long after its beginning the next run begins.
fn pause(counts: Counts, every: Duration, soon: &mut Duration) -> Duration {
    if counts.escaped > 0 || counts.failed == 0 {
        *soon = SOON;
        return every;
    }
    let wait = every.min(*soon);
    *soon = soon.saturating_mul(2);
    wait
}

/// One line for the run, and one for each escape.
fn log(report: &Report) {
    for row in report.results.iter().filter(|row| row.outcome == Outcome::Escaped) {
        tracing::error!(check = row.check.name(), target = %row.target, detail = %row.detail, "something escaped");
    }
    let counts = report.counts;
    tracing::info!(
        result = report.result,
        escaped = counts.escaped,
        failed = counts.failed,
        blocked = counts.blocked,
        seconds = report.seconds,
        "a run of the probe ended"
    );
}

#[cfg(test)]
mod tests {
    use prometheus::TextEncoder;

    use super::*;
    use crate::report::Row;

    #[test]
    fn what_is_unclear_is_tried_again_soon_and_then_ever_later() {
        let every = Duration::from_secs(300);
        let mut soon = SOON;
        let mut after = |escaped, failed| pause(Counts { blocked: 1, failed, escaped }, every, &mut soon).as_secs();
        assert_eq!([after(0, 1), after(0, 2), after(0, 1)], [15, 30, 60]);
        assert_eq!([after(0, 0), after(0, 1), after(1, 1)], [300, 15, 300]);
        assert_eq!([(); 7].map(|()| after(0, 1)), [15, 30, 60, 120, 240, 300, 300]);
    }

    #[test]
    fn the_metrics_are_those_of_the_last_run() {
        let registry = Registry::new();
        let metrics = Metrics::new(&registry).unwrap();
        let row = |outcome| Row { check: Check::Icmp, target: "x".into(), outcome, detail: "y".into() };
        let report = |rows| Report::new(time::OffsetDateTime::UNIX_EPOCH, Duration::ZERO, rows);
        metrics.show(&report(vec![row(Outcome::Escaped), row(Outcome::Blocked), row(Outcome::Blocked)]));
        let text = || TextEncoder::new().encode_to_string(&registry.gather()).unwrap();
        for line in [
            "portcullis_probe_escapes 1",
            "portcullis_probe_checks{result=\"blocked\"} 2",
            "portcullis_probe_checks{result=\"failed\"} 0",
            "portcullis_probe_check{check=\"icmp\",result=\"escaped\"} 1",
            "portcullis_probe_check{check=\"secret\",result=\"escaped\"} 0",
        ] {
            assert!(text().lines().any(|l| l == line), "{line}");
        }
        metrics.show(&report(vec![row(Outcome::Failed)]));
        assert!(
            text().contains("portcullis_probe_escapes 0") && text().contains("portcullis_probe_check{check=\"icmp\",result=\"escaped\"} 0")
        );
        assert!(!text().contains("last_run_timestamp_seconds 0\n"));
    }
}
