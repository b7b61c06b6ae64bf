//! How a request ended.

use std::fmt;
use std::sync::Arc;

use engine::{Coverage, EngineId, Location};
use policy::{FetchRefusal, Judged, Located, Verdict, Would};

use crate::push::Refs;

/// How a request ended, for the answer, the audit record and the metrics. Its `Debug` shows detectors, never fields or header names.
#[derive(Clone)]
pub struct Outcome {
    /// The decision.
    pub verdict: Verdict,
    /// The rule of the policy that decided; `None`: no rule did.
    pub rule: Option<Arc<str>>,
    /// What a rule that only watches would have done beyond that.
    pub would: Option<Would>,
    /// Seconds after which the same request may pass; `None`: it will not, or nothing stopped it.
    pub retry_after: Option<u64>,
    /// The policy's groups that the sandbox is in; none where it was refused because nobody knows it.
    pub groups: Vec<String>,
    /// Whether all was looked into.
    pub coverage: Coverage,
    /// What was found, with what policy says of each.
    pub findings: Vec<(Located, Judged)>,
    /// Findings beyond the 1,024 that are kept; they were judged like the others.
    pub findings_dropped: u64,
    /// Body bytes taken in.
    pub body_bytes: u64,
    /// Whether every report of this request that can be cached came from the cache (and there was one).
    pub cached: bool,
    /// The policy that judged: [`policy::Policy::id`].
    pub policy: [u8; 16],
    /// The engine that scanned.
    pub engine: EngineId,
    /// For a push, what became of its refs.
    pub(crate) refs: Option<Arc<Refs>>,
    /// Where the request tells a provider to go, and must not.
    pub fetch: Option<FetchRefusal>,
}

impl Outcome {
    /// Whether a finding stands at `location`.
    pub(crate) fn found_at(&self, location: &Location) -> bool {
        self.findings.iter().any(|(located, _)| located.location == *location)
    }
}

impl fmt::Debug for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let detectors: Vec<&str> = self.findings.iter().map(|(located, _)| located.finding.detector.id.as_str()).collect();
        f.debug_struct("Outcome")
            .field("verdict", &self.verdict)
            .field("rule", &self.rule)
            .field("would", &self.would)
            .field("coverage", &self.coverage)
            .field("detectors", &detectors)
            .field("findings_dropped", &self.findings_dropped)
            .field("body_bytes", &self.body_bytes)
            .field("cached", &self.cached)
            .finish_non_exhaustive()
    }
}
