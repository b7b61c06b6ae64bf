//! What is counted. Label sets are closed: never a host, a path or a user.

use std::time::SystemTime;

use data_encoding::HEXLOWER;
use engine::Gap;
use inspect::Inspector;
use policy::Reason;
use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry};

use crate::record::End;

/// Bytes of an id that are shown: enough to tell two policies apart.
const SHOWN: usize = 4;

/// The metrics of the scanner.
#[derive(Debug, Clone)]
pub struct Metrics {
    /// Requests judged, by verdict and reason.
    pub requests: IntCounterVec,
    /// Requests judged, by group of the policy and verdict: one a group that the sandbox is in.
    pub groups: IntCounterVec,
    /// Findings, by detector and what was done about them.
    pub findings: IntCounterVec,
    /// Requests that could not be looked into as a whole, by gap.
    pub partial: IntCounterVec,
    /// What rules that only watch would have done, by verdict and reason.
    pub monitored: IntCounterVec,
    /// Time the scanner spent on a request, by whether it had a body; waiting for bytes is not counted.
    pub duration: HistogramVec,
    /// Time that long scans waited for their turn.
    pub turn_wait: Histogram,
    /// Time that long bodies waited for others of their sandbox.
    pub intake_wait: Histogram,
    /// Body bytes of a request.
    pub body_bytes: Histogram,
    /// Streams open now.
    pub streams: IntGauge,
    /// Streams ended, by how.
    pub streams_ended: IntCounterVec,
    /// Streams that may be open at a time.
    pub streams_limit: IntGauge,
    /// Streams refused because too many were open.
    pub streams_refused: IntCounter,
    /// Streams refused because the gateway is of another version.
    pub protocol_refusals: IntCounter,
    /// Reloads of policy, detectors and tokens, by result.
    pub reloads: IntCounterVec,
    /// Whether what was read last is in force, by what it is.
    pub last_reload: IntGaugeVec,
    /// When the policy and detectors in use were loaded.
    pub loaded: IntGauge,
    /// Audit records that were lost.
    pub audit_dropped: IntCounter,
}

impl Metrics {
    /// Makes the metrics and registers them.
    ///
    /// # Errors
    /// One of the names is taken.
    pub fn register(registry: &Registry) -> Result<Metrics, prometheus::Error> {
        let metrics = Metrics::make()?;
        for vec in [
            &metrics.requests,
            &metrics.groups,
            &metrics.findings,
            &metrics.partial,
            &metrics.monitored,
            &metrics.streams_ended,
            &metrics.reloads,
        ] {
            registry.register(Box::new(vec.clone()))?;
        }
        registry.register(Box::new(metrics.duration.clone()))?;
        registry.register(Box::new(metrics.body_bytes.clone()))?;
        registry.register(Box::new(metrics.turn_wait.clone()))?;
        registry.register(Box::new(metrics.intake_wait.clone()))?;
        for counter in [&metrics.streams_refused, &metrics.protocol_refusals, &metrics.audit_dropped] {
            registry.register(Box::new(counter.clone()))?;
        }
        for gauge in [&metrics.streams, &metrics.streams_limit, &metrics.loaded] {
            registry.register(Box::new(gauge.clone()))?;
        }
        registry.register(Box::new(metrics.last_reload.clone()))?;
        metrics.loaded_now();
        metrics.show();
        Ok(metrics)
    }

    fn make() -> Result<Metrics, prometheus::Error> {
        let counters = |name: &str, help: &str, labels: &[&str]| IntCounterVec::new(Opts::new(name, help), labels);
        let durations = HistogramOpts::new(
            "portcullis_scan_duration_seconds",
            "Time the scanner spent on a request, without waiting for bytes, by whether it has a body.",
        )
        .buckets(vec![25e-6, 50e-6, 100e-6, 250e-6, 500e-6, 1e-3, 2.5e-3, 5e-3, 10e-3, 25e-3, 50e-3, 0.1, 0.25, 0.5, 1.0, 2.5]);
        let waits = |name: &str, help: &str| {
            HistogramOpts::new(name, help).buckets(vec![100e-6, 1e-3, 2.5e-3, 5e-3, 10e-3, 25e-3, 50e-3, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0])
        };
        let turns = waits(
            "portcullis_turn_wait_seconds",
            "Time that long scans waited for their turn, given or not; who waits too long is refused as overloaded.",
        );
        let intake = waits(
            "portcullis_intake_wait_seconds",
            "Time that long bodies waited until others of their sandbox had been taken in; who waits too long is refused as overloaded.",
        );
        let sizes = HistogramOpts::new("portcullis_request_body_bytes", "Body bytes of a request.").buckets(vec![
            0.0,
            256.0,
            1024.0,
            4096.0,
            16384.0,
            65536.0,
            262_144.0,
            1_048_576.0,
            4_194_304.0,
            16_777_216.0,
            67_108_864.0,
            268_435_456.0,
        ]);
        Ok(Metrics {
            requests: counters("portcullis_requests_total", "Requests judged, by verdict and reason.", &["verdict", "reason"])?,
            groups: counters(
                "portcullis_group_requests_total",
                "Requests judged, by group of the policy and verdict; a sandbox in several groups counts in each.",
                &["group", "verdict"],
            )?,
            findings: counters(
                "portcullis_findings_total",
                "Secrets found, by detector and what was done about them.",
                &["detector", "action"],
            )?,
            partial: counters("portcullis_partial_coverage_total", "Requests that could not be looked into as a whole, by gap.", &["gap"])?,
            monitored: counters(
                "portcullis_monitored_total",
                "Requests that a rule in monitor mode would have stopped or changed, by verdict and reason.",
                &["verdict", "reason"],
            )?,
            duration: HistogramVec::new(durations, &["body"])?,
            body_bytes: Histogram::with_opts(sizes)?,
            turn_wait: Histogram::with_opts(turns)?,
            intake_wait: Histogram::with_opts(intake)?,
            streams: IntGauge::new("portcullis_streams", "Requests under way.")?,
            streams_ended: counters("portcullis_streams_ended_total", "Streams ended, by how.", &["how"])?,
            streams_limit: IntGauge::new("portcullis_streams_limit", "Requests that may be under way; more are refused.")?,
            streams_refused: IntCounter::new("portcullis_streams_refused_total", "Streams refused because too many were open.")?,
            protocol_refusals: IntCounter::new(
                "portcullis_protocol_refusals_total",
                "Streams refused because the gateway's configuration is of another version.",
            )?,
            reloads: counters("portcullis_reloads_total", "Reloads of policy, detectors and tokens, by result.", &["result"])?,
            last_reload: IntGaugeVec::new(
                Opts::new(
                    "portcullis_last_reload_successful",
                    "Whether the files as they are now are in force: 1, or 0 while the last attempt to read them failed and the old ones stay.",
                ),
                &["what"],
            )?,
            loaded: IntGauge::new(
                "portcullis_policy_loaded_timestamp_seconds",
                "When the policy and detectors in use were loaded: at start, or when they changed last.",
            )?,
            audit_dropped: IntCounter::new("portcullis_audit_dropped_total", "Audit records that were lost.")?,
        })
    }

    /// Notes that the policy and detectors in use were loaded at this moment.
    pub(crate) fn loaded_now(&self) {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        self.loaded.set(i64::try_from(now.as_secs()).unwrap_or(i64::MAX));
    }

    /// What alerts ask for is there from the start: Prometheus sees no increase in a series that begins with its first event.
    fn show(&self) {
        for result in ["ok", "error"] {
            self.reloads.with_label_values(&[result]);
        }
        for gap in Gap::ALL {
            self.partial.with_label_values(&[gap.as_str()]);
        }
        for reason in [Reason::Internal, Reason::LimitExceeded, Reason::Overloaded, Reason::StateUnavailable] {
            self.requests.with_label_values(&["deny", reason.as_str()]);
        }
        for end in End::ALL {
            self.streams_ended.with_label_values(&[end.as_str()]);
        }
        for what in Files::ALL {
            self.last_reload.with_label_values(&[what.as_str()]).set(1);
        }
    }

    /// Files were read again; `false`: they cannot be used, and what was before stays.
    pub(crate) fn reloaded(&self, what: Files, well: bool) {
        self.reloads.with_label_values(&[if well { "ok" } else { "error" }]).inc();
        self.last_reload.with_label_values(&[what.as_str()]).set(i64::from(well));
    }

    /// Files were read again and say what is in force already: nothing happened, or a mistake was taken back.
    pub(crate) fn unchanged(&self, what: Files) {
        self.last_reload.with_label_values(&[what.as_str()]).set(1);
    }
}

/// Files that are read again when they change.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Files {
    /// Policy, detectors and known secrets.
    Policy,
    /// The tokens of sandboxes.
    Tokens,
}

impl Files {
    const ALL: [Files; 2] = [Files::Policy, Files::Tokens];

    fn as_str(self) -> &'static str {
        match self {
            Files::Policy => "policy",
            Files::Tokens => "tokens",
        }
    }
}

/// What the Inspector counts itself, read when it is asked for.
#[derive(Debug)]
pub(crate) struct InspectorMetrics {
    inspector: Inspector,
    /// The description of `portcullis_policy_info`; its one series is made anew for each reading, so that no old one is left.
    info: IntGaugeVec,
    held: IntGauge,
    held_limit: IntGauge,
    hits: IntCounter,
    misses: IntCounter,
    evictions: IntCounter,
    budgets: IntCounter,
}

impl InspectorMetrics {
    pub(crate) fn new(inspector: Inspector) -> Result<InspectorMetrics, prometheus::Error> {
        Ok(InspectorMetrics {
            inspector,
            info: policy_info()?,
            held: IntGauge::new("portcullis_held_bytes", "Bytes that all holds take of the memory budget.")?,
            held_limit: IntGauge::new("portcullis_held_bytes_limit", "The memory budget of the policy (limits.memory).")?,
            hits: IntCounter::new("portcullis_cache_hits_total", "Reports that came from the cache.")?,
            misses: IntCounter::new("portcullis_cache_misses_total", "Reports that had to be made.")?,
            evictions: IntCounter::new("portcullis_cache_evictions_total", "Reports that had to leave the cache.")?,
            budgets: IntCounter::new("portcullis_budget_evictions_total", "Budgets of sandboxes that had to be forgotten to make room.")?,
        })
    }
}

/// Replicas that answer with different labels judge differently: that is skew.
fn policy_info() -> Result<IntGaugeVec, prometheus::Error> {
    let help = "The policy and the detectors in use, by the beginning of their ids: hashes of all they say.";
    IntGaugeVec::new(Opts::new("portcullis_policy_info", help), &["policy", "engine"])
}

impl InspectorMetrics {
    fn info(&self) -> Result<Vec<MetricFamily>, prometheus::Error> {
        let snapshot = self.inspector.snapshot();
        let short = |id: [u8; 16]| HEXLOWER.encode(&id[..SHOWN]);
        let info = policy_info()?;
        info.with_label_values(&[short(snapshot.policy.id()), short(snapshot.engine.id().0)]).set(1);
        Ok(info.collect())
    }
}

impl Collector for InspectorMetrics {
    fn desc(&self) -> Vec<&Desc> {
        let counters = [&self.hits, &self.misses, &self.evictions, &self.budgets];
        let gauges = [&self.held, &self.held_limit];
        let ours = gauges.into_iter().flat_map(Collector::desc).chain(counters.into_iter().flat_map(Collector::desc));
        self.info.desc().into_iter().chain(ours).collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let bytes = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
        self.held.set(bytes(self.inspector.memory().used()));
        self.held_limit.set(bytes(self.inspector.limits().memory_bytes));
        let stats = self.inspector.cache_stats();
        let budgets = self.inspector.budget_evictions();
        for (counter, now) in
            [(&self.hits, stats.hits), (&self.misses, stats.misses), (&self.evictions, stats.evictions), (&self.budgets, budgets)]
        {
            counter.inc_by(now.saturating_sub(counter.get()));
        }
        let counters = [&self.hits, &self.misses, &self.evictions, &self.budgets];
        let gauges = [&self.held, &self.held_limit];
        let ours = gauges.into_iter().flat_map(Collector::collect).chain(counters.into_iter().flat_map(Collector::collect));
        self.info().unwrap_or_default().into_iter().chain(ours).collect()
    }
}
