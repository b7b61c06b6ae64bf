//! What is left behind of a request: an audit record, metrics, fields of its span.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use data_encoding::HEXLOWER;
use engine::Coverage;
use inspect::{AuditRecord, Facts, Outcome};
use telemetry::AuditSink;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::Metrics;

/// How a stream ended.
#[derive(Debug, Clone, Copy)]
pub(crate) enum End {
    /// With a verdict.
    Decided,
    /// The other side went away.
    Aborted,
    /// What came was no request.
    Protocol,
}

impl End {
    pub(crate) const ALL: [End; 3] = [End::Decided, End::Aborted, End::Protocol];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            End::Decided => "decided",
            End::Aborted => "aborted",
            End::Protocol => "protocol",
        }
    }
}

/// Takes outcomes; cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Recorder {
    metrics: Arc<Metrics>,
    audit: Option<AuditSink>,
}

impl Recorder {
    pub(crate) fn new(metrics: Arc<Metrics>, audit: Option<AuditSink>) -> Recorder {
        Recorder { metrics, audit }
    }

    pub(crate) fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    pub(crate) fn end(&self, end: End) {
        self.metrics.streams_ended.with_label_values(&[end.as_str()]).inc();
    }

    /// Takes the outcome of a request that kept the scanner busy for so long.
    pub(crate) fn record(&self, facts: &Facts, outcome: &Outcome, busy: Duration) {
        let (verdict, reason) = (outcome.verdict.action.as_str(), outcome.verdict.reason.as_str());
        let metrics = &self.metrics;
        metrics.requests.with_label_values(&[verdict, reason]).inc();
        for group in &outcome.groups {
            metrics.groups.with_label_values(&[group.as_str(), verdict]).inc();
        }
        let body = if outcome.body_bytes == 0 { "no" } else { "yes" };
        metrics.duration.with_label_values(&[body]).observe(busy.as_secs_f64());
        #[expect(clippy::cast_precision_loss, reason = "a histogram of sizes")]
        metrics.body_bytes.observe(outcome.body_bytes as f64);
        if let Coverage::Partial { gap, .. } = outcome.coverage {
            metrics.partial.with_label_values(&[gap.as_str()]).inc();
        }
        if let Some(would) = &outcome.would {
            metrics.monitored.with_label_values(&[would.verdict.action.as_str(), would.verdict.reason.as_str()]).inc();
        }
        for (located, judged) in &outcome.findings {
            metrics.findings.with_label_values(&[located.finding.detector.id.as_str(), judged.action.as_str()]).inc();
        }
        let span = tracing::Span::current();
        span.record("verdict", verdict).record("reason", reason).record("body_bytes", outcome.body_bytes);
        if let Some(audit) = &self.audit {
            audit.record(&AuditRecord::new(now(), facts, outcome, u64::try_from(busy.as_micros()).unwrap_or(u64::MAX)));
        }
    }
}

/// The wall clock, in milliseconds since the Unix epoch: by it budgets and schedules go.
pub(crate) fn milliseconds() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// 128 random bits, hexadecimal.
pub(crate) fn request_id() -> String {
    HEXLOWER.encode(&rand::random::<[u8; 16]>())
}

fn now() -> String {
    OffsetDateTime::from(SystemTime::now()).format(&Rfc3339).unwrap_or_default()
}
