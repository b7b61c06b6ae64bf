//! A compressed stream that is too long to be held: decoded as it comes, and what it decodes to is a stream of its own.
//!
//! The body as a whole, by its declared codings; or whatever begins somewhere in it and goes on behind the window that it was found in.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::{Stream, partial};
use crate::engine::Engine;
use crate::layers::Cut;
use crate::layers::coding::Decoder;
use crate::{Coverage, Finding, Gap, Kind, LayerId, Media, Part};

/// Decoders in the order in which they are undone, and the stream behind them.
#[derive(Debug)]
pub(super) struct Decoded {
    stages: Vec<Decoder>,
    layers: Vec<LayerId>,
    /// `None` once the end was seen.
    inner: Option<Box<Stream>>,
    /// Bytes as sent: where it begins, and up to where it was taken.
    start: u64,
    taken: u64,
    /// Bytes decoded.
    out: u64,
    /// For past windows: decoded bytes, and the offset as sent up to which they were made from.
    marks: VecDeque<(u64, u64)>,
    clean_to: u64,
    coverage: Coverage,
    parts: Vec<Part>,
    declared: bool,
}

/// Bytes decoded before the ratio is looked at.
const GRACE: u64 = 1 << 20;
/// What looked like a stream and fails after less than this was none.
const REAL: u64 = 512;

/// What all streams inside one another take together: a bound on what nesting can multiply.
#[derive(Debug, Default)]
pub(super) struct Spent {
    pub(super) sent: AtomicU64,
    decoded: AtomicU64,
}

/// Bytes that streams inside one another may decode to, for each byte sent, beyond the limit for one location.
const PER_SENT: u64 = 32;

impl Spent {
    /// Adds decoded bytes; whether they are still within bounds.
    fn take(&self, bytes: u64, grace: u64) -> bool {
        let decoded = self.decoded.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes);
        decoded <= grace.saturating_add(self.sent.load(Ordering::Relaxed).saturating_mul(PER_SENT))
    }
}

impl Decoded {
    /// For a body with declared codings.
    pub(super) fn declared(around: &Stream) -> Option<Decoded> {
        let codings = &around.kind.media.content_encoding;
        if codings.is_empty() {
            return None;
        }
        let stages: Option<Vec<Decoder>> = codings.iter().rev().map(|n| Decoder::new(n)).collect();
        let layers = codings.iter().rev().filter_map(|n| layer(n)).collect();
        let mut kind = around.kind.clone();
        kind.media.content_encoding.clear();
        let gap = stages.is_none().then_some(Gap::UnknownEncoding);
        Some(Decoded::new(around, kind, stages.unwrap_or_default(), layers, gap).declared_whole())
    }

    /// For a stream that goes on behind the window it was found in; `start` is where it begins, as sent.
    pub(super) fn embedded(around: &Stream, cut: &Cut, start: u64) -> Option<Decoded> {
        let stage = Decoder::new(cut.coding)?;
        let kind = Kind { location: around.kind.location.clone(), media: Media::default() };
        let layer = if cut.coding == "raw-deflate" { "deflate" } else { cut.coding };
        let decoded = Decoded::new(around, kind, vec![stage], vec![layer], None);
        Some(Decoded { start, taken: start, clean_to: start, ..decoded })
    }

    fn new(around: &Stream, kind: Kind, stages: Vec<Decoder>, layers: Vec<LayerId>, gap: Option<Gap>) -> Decoded {
        let level = around.level + 1;
        let gap = gap.or((level > around.engine.limits().depth).then_some(Gap::Depth));
        let mut inner = around.engine.stream(kind);
        inner.level = level;
        inner.spent = Arc::clone(&around.spent);
        Decoded {
            stages,
            layers,
            inner: gap.is_none().then(|| Box::new(inner)),
            start: 0,
            taken: 0,
            out: 0,
            marks: VecDeque::new(),
            clean_to: 0,
            coverage: gap.map_or(Coverage::Complete, |gap| partial(0, gap)),
            parts: Vec::new(),
            declared: false,
        }
    }

    fn declared_whole(self) -> Decoded {
        Decoded { declared: true, ..self }
    }

    /// Whether it takes more bytes.
    pub(super) fn active(&self) -> bool {
        self.inner.is_some()
    }

    /// Whether what is found at an offset as sent belongs to it: a beginning that was seen before, or chance inside of it.
    pub(super) fn covers(&self, at: u64) -> bool {
        at == self.start || self.declared || (self.active() && (self.start..self.taken).contains(&at))
    }

    /// Takes the next bytes, which end at `end` as sent.
    pub(super) fn push(&mut self, bytes: &[u8], end: u64, engine: &Engine) -> Vec<Finding> {
        let mut findings = Vec::new();
        if self.active() {
            self.taken = end;
            match self.decode(0, bytes, &mut findings, engine) {
                Ok(true) => {}
                Ok(false) => self.close(&mut findings),
                Err(gap) => self.fail(gap, &mut findings),
            }
        }
        self.marks.push_back((self.out, end));
        self.whole(findings, end)
    }

    /// The last bytes.
    pub(super) fn finish(&mut self, bytes: &[u8], end: u64, engine: &Engine) -> Vec<Finding> {
        let mut findings = self.push(bytes, end, engine);
        if self.active() {
            let mut last = Vec::new();
            if self.stages.iter().all(Decoder::finished) {
                self.close(&mut last);
            } else {
                self.fail(Gap::Undecodable, &mut last);
            }
            findings.extend(self.whole(last, end));
        }
        findings
    }

    /// Bytes as sent up to which everything is decoded and final.
    pub(super) fn clean_to(&self) -> u64 {
        if self.active() { self.clean_to } else { u64::MAX }
    }

    /// Bytes as sent up to which it was taken.
    pub(super) fn taken(&self) -> u64 {
        self.taken
    }

    pub(super) fn coverage(&self) -> Coverage {
        self.coverage
    }

    /// The end was seen: what is left of what it decodes to is looked at.
    fn close(&mut self, findings: &mut Vec<Finding>) {
        let Some(inner) = self.inner.take() else { return };
        let last = inner.finish();
        if let (Coverage::Complete, Coverage::Partial { gap, .. }) = (self.coverage, last.coverage) {
            self.coverage = partial(self.start, gap);
        }
        findings.extend(last.findings);
        self.parts.extend(last.parts);
    }

    /// What only looked like a stream and is none is no gap: it was scanned as it is.
    fn fail(&mut self, gap: Gap, findings: &mut Vec<Finding>) {
        if self.declared || self.out >= REAL || gap == Gap::Budget {
            self.close(findings);
            self.coverage = partial(self.start, gap);
        } else {
            self.inner = None;
        }
    }

    /// Runs bytes through the stages from `stage` on; `false` when the first one has come to its end.
    fn decode(&mut self, stage: usize, mut bytes: &[u8], findings: &mut Vec<Finding>, engine: &Engine) -> Result<bool, Gap> {
        if stage == self.stages.len() {
            return self.pass_on(bytes, findings, engine).map(|()| true);
        }
        loop {
            let Some(decoder) = self.stages.get_mut(stage) else { return Ok(true) };
            if !self.declared && !bytes.is_empty() && decoder.finished() && !decoder.goes_on(bytes) {
                return Ok(false);
            }
            let mut out = Vec::new();
            let taken = decoder.feed(bytes, &mut out)?;
            bytes = bytes.get(taken..).unwrap_or_default();
            if taken == 0 && out.is_empty() {
                return if bytes.is_empty() { Ok(true) } else { Err(Gap::Undecodable) };
            }
            self.decode(stage + 1, &out, findings, engine)?;
        }
    }

    /// Decoded bytes go into the stream behind.
    fn pass_on(&mut self, bytes: &[u8], findings: &mut Vec<Finding>, engine: &Engine) -> Result<(), Gap> {
        let Some(inner) = &mut self.inner else { return Ok(()) };
        self.out += bytes.len() as u64;
        let limits = engine.limits();
        let sent = self.taken.saturating_sub(self.start);
        if self.out > GRACE && self.out / limits.ratio.max(1) > sent + GRACE {
            return Err(Gap::Budget);
        }
        if !inner.spent.take(bytes.len() as u64, limits.decoded_bytes) {
            return Err(Gap::Budget);
        }
        let progress = inner.push(bytes);
        findings.extend(progress.findings);
        self.parts.extend(progress.parts);
        if let Coverage::Partial { gap, .. } = progress.coverage {
            self.coverage = self.coverage.and(partial(self.start, gap));
        }
        while let Some((_, sent)) = self.marks.front().copied().filter(|(out, _)| *out <= progress.clean_to) {
            self.clean_to = self.clean_to.max(sent);
            self.marks.pop_front();
        }
        Ok(())
    }

    /// Parts of known secrets since the last call, told like findings.
    pub(super) fn parts(&mut self, end: u64) -> Vec<Part> {
        let parts = std::mem::take(&mut self.parts);
        let told = |part: Part| self.whole(vec![part.finding], end).pop().map(|finding| Part { finding, part: part.part, of: part.of });
        parts.into_iter().filter_map(told).collect()
    }

    /// Inside compression the run that carries a finding is all of it so far.
    fn whole(&self, findings: Vec<Finding>, end: u64) -> Vec<Finding> {
        let through = |f: Finding| Finding {
            span: self.start..end,
            trail: self.layers.iter().copied().chain(f.trail.iter().copied()).collect(),
            ..f
        };
        findings.into_iter().map(through).collect()
    }
}

fn layer(coding: &str) -> Option<LayerId> {
    ["gzip", "deflate", "br", "zstd"].into_iter().find(|l| coding.trim_start_matches("x-") == *l)
}
