//! What is known of one request: scans go in, the verdict comes out.

use std::collections::BTreeSet;
use std::sync::Arc;

use engine::{Coverage, Finding, Fingerprint, Kind, Location, Report};
use policy::{Action, Destination, Host, Judged, Located, PolicyLimits, Reason, Subject, Verdict};

use crate::Outcome;
use crate::inspector::{Shared, Snapshot};

/// So many findings are kept (and judged together); what comes after is judged batch by batch and counted.
const MAX_FINDINGS: usize = 1024;
/// Shorter head locations are scanned faster than they are hashed and looked up.
const MIN_CACHED_BYTES: usize = 64;

/// One request with its snapshot, what was found so far, and the verdict so far.
pub(crate) struct Case {
    pub(crate) shared: Arc<Shared>,
    pub(crate) snapshot: Arc<Snapshot>,
    pub(crate) subject: Subject,
    located: Vec<Located>,
    judged: Vec<Judged>,
    dropped: u64,
    verdict: Verdict,
    coverage: Coverage,
    /// Fingerprints of what policy lets travel: a rescan after redaction may find these again.
    tolerated: BTreeSet<Fingerprint>,
    pub(crate) body_bytes: u64,
    cacheable: u32,
    hits: u32,
}

impl Case {
    pub(crate) fn new(shared: Arc<Shared>, snapshot: Arc<Snapshot>, subject: Subject) -> Case {
        Case {
            shared,
            snapshot,
            subject,
            located: Vec::new(),
            judged: Vec::new(),
            dropped: 0,
            verdict: Verdict::CLEAN,
            coverage: Coverage::Complete,
            tolerated: BTreeSet::new(),
            body_bytes: 0,
            cacheable: 0,
            hits: 0,
        }
    }

    /// A request that was refused before there was anything to judge.
    pub(crate) fn refused(shared: Arc<Shared>, snapshot: Arc<Snapshot>, head: &crate::Head, reason: Reason) -> Case {
        let nowhere = Destination { host: Host::Name("invalid".to_owned()), port: 0, tls: head.tls };
        let (sandbox, method) = (head.sandbox.clone(), String::new());
        let subject = Subject { sandbox, method, destination: nowhere, path: String::new(), upgrade: None, body_signed: false };
        let mut case = Case::new(shared, snapshot, subject);
        case.deny(reason);
        case
    }

    pub(crate) fn limits(&self) -> PolicyLimits {
        self.snapshot.policy.limits()
    }

    /// Scans a whole location, through the cache where that pays.
    pub(crate) fn scan(&mut self, kind: &Kind, bytes: &[u8]) -> Arc<Report> {
        let engine = &self.snapshot.engine;
        if bytes.len() < MIN_CACHED_BYTES && kind.location != Location::Body {
            return Arc::new(engine.scan(kind, bytes));
        }
        let (report, hit) = self.shared.reports.report(engine.id(), kind, bytes, || engine.scan(kind, bytes));
        self.cacheable = self.cacheable.saturating_add(1);
        self.hits = self.hits.saturating_add(u32::from(hit));
        report
    }

    /// Takes in what was found and what was not looked into; says what policy makes of each finding, in order.
    pub(crate) fn take(&mut self, batch: Vec<Located>, coverage: Coverage) -> Vec<Judged> {
        let news = !batch.is_empty() || coverage != Coverage::Complete;
        self.coverage = self.coverage.and(coverage);
        if !news {
            return Vec::new();
        }
        let count = batch.len();
        let together = self.located.len().saturating_add(count) <= MAX_FINDINGS;
        let policy = &self.snapshot.policy;
        let mut judged = if together {
            self.located.extend(batch);
            let judgement = policy.judge(&self.subject, &self.located, self.coverage);
            self.raise(judgement.verdict);
            judgement.findings
        } else {
            let judgement = policy.judge(&self.subject, &batch, self.coverage);
            self.raise(judgement.verdict);
            let room = MAX_FINDINGS.saturating_sub(self.located.len()).min(count);
            self.dropped = self.dropped.saturating_add((count - room) as u64);
            self.located.extend(batch.into_iter().take(room));
            self.judged.extend(judgement.findings.iter().take(room));
            judgement.findings
        };
        if together {
            self.judged.clone_from(&judged);
            judged.drain(..judged.len().saturating_sub(count));
            let first = self.located.len().saturating_sub(count);
            let allowed = self.located.iter().skip(first).zip(&judged).filter(|(_, judged)| judged.action == Action::Allow);
            self.tolerated.extend(allowed.map(|(located, _)| located.finding.fingerprint));
        }
        judged
    }

    /// Takes in findings of the body.
    pub(crate) fn take_body(&mut self, findings: Vec<Finding>, coverage: Coverage) -> Vec<Judged> {
        self.take(findings.into_iter().map(|finding| Located { location: Location::Body, finding }).collect(), coverage)
    }

    /// Never milder; a denial keeps its first reason.
    fn raise(&mut self, verdict: Verdict) {
        if self.verdict.action != Action::Deny && verdict.action >= self.verdict.action {
            self.verdict = verdict;
        }
    }

    pub(crate) fn deny(&mut self, reason: Reason) {
        self.raise(Verdict::deny(reason));
    }

    pub(crate) fn admit(&mut self) {
        let verdict = self.snapshot.policy.admit(&self.subject);
        if verdict.action == Action::Deny {
            self.raise(verdict);
        }
    }

    pub(crate) fn denied(&self) -> bool {
        self.verdict.action == Action::Deny
    }

    /// Whether rewritten bytes may travel: scanned again, nothing is left that policy acts on. In a part of a body (`whole` false) what
    /// was judged harmless in its context may stand without it.
    pub(crate) fn clean_again(&self, kind: &Kind, bytes: &[u8], whole: bool) -> bool {
        let report = self.snapshot.engine.scan(kind, bytes);
        let locate = |finding: &Finding| Located { location: kind.location.clone(), finding: finding.clone() };
        let known = |finding: &&Finding| whole || !self.tolerated.contains(&finding.fingerprint);
        let located: Vec<Located> = report.findings.iter().filter(known).map(locate).collect();
        // A part is cut where the whole was not: only the whole answers for coverage.
        let coverage = if whole { report.coverage } else { Coverage::Complete };
        let judgement = self.snapshot.policy.judge(&self.subject, &located, coverage);
        judgement.verdict.action == Action::Allow && judgement.findings.iter().all(|judged| judged.action == Action::Allow)
    }

    pub(crate) fn outcome(&self) -> Outcome {
        Outcome {
            verdict: self.verdict,
            coverage: self.coverage,
            findings: self.located.iter().cloned().zip(self.judged.iter().copied()).collect(),
            findings_dropped: self.dropped,
            body_bytes: self.body_bytes,
            cached: self.cacheable > 0 && self.hits == self.cacheable,
            policy: self.snapshot.policy.id(),
            engine: self.snapshot.engine.id(),
        }
    }
}
