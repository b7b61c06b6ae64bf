//! Bytes that arrive in chunks.
//!
//! Up to `whole_bytes` everything is held and scanned once. Beyond, windows at fixed offsets of the stream are scanned, each sharing
//! `overlap_bytes` with the one before: what is found is a function of the bytes alone, whatever the chunks were.

mod decoded;
mod tail;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::engine::Engine;
use crate::layers::Budget;
use crate::scan::{Scanner, Window};
use crate::{Coverage, Finding, Gap, Kind, Part, Report};
use decoded::{Decoded, Spent};

/// What is known after a chunk.
#[derive(Debug, Clone, Default)]
pub struct Progress {
    /// Every byte before this offset (as sent) is final: no finding that is not yet reported can begin or end there, and no reported
    /// finding begins before it and ends after it. Bytes before it may be released.
    pub clean_to: u64,
    /// Findings new since the last call.
    pub findings: Vec<Finding>,
    /// What could not be looked into so far.
    pub coverage: Coverage,
    /// Parts of known secrets since the last call; one may be told more than once.
    pub parts: Vec<Part>,
}

/// Parts that are kept between two calls.
const MAX_PARTS: usize = 4096;

/// A scan under way. What it reports depends on the bytes alone, never on how they were cut into chunks.
pub struct Stream {
    engine: Engine,
    kind: Kind,
    /// Bytes of the stream from `base` on.
    held: Vec<u8>,
    base: u64,
    /// The end of the last window that was scanned; 0 before the first.
    scanned: u64,
    /// Findings that end at or before this were reported or refused.
    judged: u64,
    clean_to: u64,
    /// Findings that were reported and are not yet behind `clean_to`: no boundary may cut one.
    open: Vec<std::ops::Range<u64>>,
    coverage: Coverage,
    parts: Vec<Part>,
    budget: Budget,
    whole: u64,
    /// What compressed content decodes to, beyond `whole_bytes`.
    decoded: Vec<Decoded>,
    /// Streams that this one is inside of.
    level: u32,
    /// What they all take together.
    spent: Arc<Spent>,
}

/// Compressed streams that are followed at once. Most that begin by chance fail within a few bytes.
const MOST_AT_ONCE: usize = 8;

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stream")
            .field("base", &self.base)
            .field("held", &self.held.len())
            .field("clean_to", &self.clean_to)
            .finish_non_exhaustive()
    }
}

impl Stream {
    pub(crate) fn new(engine: Engine, kind: Kind, whole_bytes: usize) -> Stream {
        let budget = engine.scanner().budget(0);
        Stream {
            engine,
            kind,
            held: Vec::new(),
            base: 0,
            scanned: 0,
            judged: 0,
            clean_to: 0,
            open: Vec::new(),
            coverage: Coverage::Complete,
            parts: Vec::new(),
            budget,
            whole: whole_bytes as u64,
            decoded: Vec::new(),
            level: 0,
            spent: Arc::default(),
        }
    }

    /// Takes the next bytes.
    pub fn push(&mut self, chunk: &[u8]) -> Progress {
        self.held.extend_from_slice(chunk);
        if self.level == 0 {
            self.spent.sent.fetch_add(chunk.len() as u64, Ordering::Relaxed);
        }
        let limits = self.engine.limits();
        let mut findings = Vec::new();
        while let Some(end) = self.next_window(limits.block_bytes.max(1) as u64) {
            if self.scanned == 0 {
                self.decoded.extend(Decoded::declared(self));
                // From here on the windows are of the bytes as sent.
                self.kind.media.content_encoding.clear();
            }
            findings.extend(self.window(end, true));
            let overlap = limits.overlap_bytes as u64;
            let mut clean = end.saturating_sub(overlap).max(self.clean_to);
            let to = usize::try_from(end - self.base).unwrap_or(usize::MAX);
            for decoded in &mut self.decoded {
                let from = usize::try_from(decoded.taken().saturating_sub(self.base)).unwrap_or(usize::MAX);
                findings.extend(decoded.push(self.held.get(from..to).unwrap_or_default(), end, &self.engine));
                self.parts.extend(decoded.parts(end));
                self.coverage = self.coverage.and(decoded.coverage());
                clean = clean.min(decoded.clean_to()).max(self.clean_to);
            }
            self.clean_to = self.hold_back(clean, &findings);
            let keep = usize::try_from(end.saturating_sub(overlap).saturating_sub(self.base)).unwrap_or(0);
            self.held.drain(..keep.min(self.held.len()));
            self.base += keep as u64;
        }
        Progress { clean_to: self.clean_to, findings, coverage: self.coverage, parts: std::mem::take(&mut self.parts) }
    }

    /// The sender pauses: scans what is there and tells what no live candidate claims. Costs a scan of the held bytes.
    pub fn settle(&mut self) -> Progress {
        let end = self.base + self.held.len() as u64;
        if self.decoded.iter().any(Decoded::active) || !self.kind.media.content_encoding.is_empty() || end <= self.judged {
            // Nothing can be said of half a compressed body.
            return Progress { clean_to: self.clean_to, coverage: self.coverage, ..Progress::default() };
        }
        let claim = self.base + tail::claimed(&self.held, self.engine.limits().overlap_bytes) as u64;
        let report = self.look(end, false);
        let (judged, clean) = (self.judged, self.clean_to);
        let open = report.findings.iter().filter(|f| f.span.end > claim).map(|f| f.span.start).min().unwrap_or(claim);
        let findings: Vec<Finding> =
            report.findings.into_iter().filter(|f| f.span.end <= claim && f.span.end > judged && f.span.end > clean).collect();
        self.coverage = self.coverage.and(report.coverage);
        self.clean_to = self.hold_back(open.min(claim).max(self.clean_to), &findings);
        self.judged = self.judged.max(claim.min(self.clean_to));
        Progress { clean_to: self.clean_to, findings, coverage: self.coverage, parts: std::mem::take(&mut self.parts) }
    }

    /// No more bytes: the findings not yet reported, and the coverage of the whole.
    pub fn finish(mut self) -> Report {
        let end = self.base + self.held.len() as u64;
        let mut findings = self.window(end, false);
        for decoded in &mut self.decoded {
            let from = usize::try_from(decoded.taken().saturating_sub(self.base)).unwrap_or(usize::MAX);
            findings.extend(decoded.finish(self.held.get(from..).unwrap_or_default(), end, &self.engine));
            self.parts.extend(decoded.parts(end));
            self.coverage = self.coverage.and(decoded.coverage());
        }
        findings.sort_by_key(|f| (f.span.start, f.span.end));
        Report { findings, coverage: self.coverage, parts: self.parts }
    }

    /// The end of the next window that is complete, if any.
    fn next_window(&self, block: u64) -> Option<u64> {
        let total = self.base + self.held.len() as u64;
        let end = if self.scanned == 0 { self.whole.max(1) } else { self.scanned + block };
        // Strictly more, so that a window is never the last: the end of the stream is scanned as such.
        (total > end).then_some(end)
    }

    /// Scans the window that ends at `end`, and keeps the findings that are new and final.
    fn window(&mut self, end: u64, more: bool) -> Vec<Finding> {
        let report = self.look(end, more);
        self.follow();
        self.coverage = self.coverage.and(report.coverage);
        let (judged, clean, overlap) = (self.judged, self.clean_to, self.engine.limits().overlap_bytes as u64);
        // One that touches the end may grow; the next window holds it whole, unless it is longer than the overlap.
        let grows = |f: &Finding| more && f.span.end == end && f.span.end - f.span.start < overlap;
        let findings = report.findings.into_iter().filter(|f| f.span.end > judged && f.span.end > clean && !grows(f)).collect();
        self.scanned = end;
        self.judged = self.judged.max(if more { end.saturating_sub(1) } else { end });
        findings
    }

    /// Scans what is held up to `end`; spans are offsets in the stream.
    fn look(&mut self, end: u64, open: bool) -> Report {
        let Stream { engine, kind, held, base, budget, .. } = self;
        let len = usize::try_from(end - *base).unwrap_or(usize::MAX).min(held.len());
        let window = Window { kind, bytes: &held[..len], clipped: *base > 0, open };
        let scanner: Scanner<'_> = engine.scanner();
        scanner.grant(budget, len as u64);
        let mut report = scanner.scan(&window, budget);
        for finding in &mut report.findings {
            finding.span = finding.span.start + *base..finding.span.end + *base;
        }
        for part in &mut report.parts {
            part.finding.span = part.finding.span.start + *base..part.finding.span.end + *base;
        }
        let room = MAX_PARTS.saturating_sub(self.parts.len());
        self.parts.extend(std::mem::take(&mut report.parts).into_iter().take(room));
        if let Coverage::Partial { at, gap } = report.coverage {
            report.coverage = Coverage::Partial { at: at + *base, gap };
        }
        report
    }

    /// Opens the compressed streams that go on behind the window that was just looked at.
    fn follow(&mut self) {
        for cut in std::mem::take(&mut self.budget.cuts) {
            let at = self.base + cut.at as u64;
            if self.decoded.iter().any(|d| d.covers(at)) {
                continue;
            }
            self.decoded.retain(Decoded::active);
            if self.decoded.iter().filter(|d| d.active()).count() >= MOST_AT_ONCE {
                self.coverage = self.coverage.and(partial(at, Gap::Budget));
                continue;
            }
            self.decoded.extend(Decoded::embedded(self, &cut, at));
        }
    }

    /// No finding is cut: the boundary moves back to the start of one that reaches over it.
    fn hold_back(&mut self, clean: u64, findings: &[Finding]) -> u64 {
        self.open.extend(findings.iter().map(|f| f.span.clone()));
        let mut clean = clean;
        // Moving back over one finding may bring the boundary into another.
        while let Some(start) = self.open.iter().filter(|f| f.start < clean && clean < f.end).map(|f| f.start).min() {
            clean = start;
        }
        let clean = clean.max(self.clean_to);
        self.open.retain(|f| f.end > clean);
        clean
    }
}

/// A gap at an offset.
fn partial(at: u64, gap: Gap) -> Coverage {
    Coverage::Partial { at, gap }
}
