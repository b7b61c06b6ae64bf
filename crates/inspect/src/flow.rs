//! One request on its way.

use std::sync::Arc;

use bytes::Bytes;
use engine::Coverage;
use policy::{Judged, Located, Verdict};

use crate::{Head, HeadEdits, Header, Snapshot};

/// How a request ended, for the answer, the audit record and the metrics.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// The decision.
    pub verdict: Verdict,
    /// Whether all was looked into.
    pub coverage: Coverage,
    /// What was found, with what policy says of each.
    pub findings: Vec<(Located, Judged)>,
    /// Body bytes taken in.
    pub body_bytes: u64,
    /// Whether every report of this request came from the cache.
    pub cached: bool,
}

/// What opening a flow gave.
#[derive(Debug)]
pub enum Opened {
    /// Decided by the head alone: denied, or no body follows. The edits are what redaction changes.
    Decided(Outcome, HeadEdits),
    /// The body decides.
    Body(Box<Flow>),
}

/// Bytes that may travel.
#[derive(Debug, Clone, Default)]
pub struct Release {
    /// Set with the first release: the head may travel, with these edits.
    pub head: Option<HeadEdits>,
    /// Body bytes, judged and rewritten where needed.
    pub body: Bytes,
}

/// What follows from a chunk.
#[derive(Debug)]
pub enum Step {
    /// Nothing may travel yet.
    Hold,
    /// This may travel.
    Release(Release),
    /// The request is denied; the flow is over.
    Deny(Outcome),
}

/// One request with a body on its way.
#[derive(Debug)]
pub struct Flow {
    #[expect(dead_code, reason = "skeleton")]
    snapshot: Arc<Snapshot>,
    #[expect(dead_code, reason = "skeleton")]
    head: Head,
}

impl Flow {
    pub(crate) fn new(snapshot: Arc<Snapshot>, head: Head) -> Flow {
        Flow { snapshot, head }
    }

    /// Takes the next bytes of the body.
    pub fn push(&mut self, _chunk: Bytes) -> Step {
        Step::Hold
    }

    /// The sender pauses: releases the clean head and what no live candidate claims.
    pub fn pause(&mut self) -> Step {
        Step::Hold
    }

    /// Whether bytes are held that no release has covered yet.
    pub fn holds(&self) -> bool {
        true
    }

    /// A deadline of the caller's passed: the flow ends as the policy says of partial coverage.
    pub fn expire(self: Box<Self>) -> Outcome {
        Outcome {
            verdict: Verdict::deny(policy::Reason::LimitExceeded),
            coverage: Coverage::Complete,
            findings: vec![],
            body_bytes: 0,
            cached: false,
        }
    }

    /// The body is complete (with `trailers`). The last release, unless denied.
    pub fn finish(self: Box<Self>, _trailers: &[Header]) -> (Outcome, Release) {
        (
            Outcome { verdict: Verdict::CLEAN, coverage: Coverage::Complete, findings: vec![], body_bytes: 0, cached: false },
            Release::default(),
        )
    }
}
