//! A compressed body that is too long to be held: decoded as it comes, and what it decodes to is a stream of its own.

use std::collections::VecDeque;

use super::{Stream, partial};
use crate::engine::Engine;
use crate::layers::coding::Decoder;
use crate::{Coverage, Finding, Gap, Kind, LayerId, Report};

/// Decoders in the order in which they are undone, and the stream behind them.
#[derive(Debug)]
pub(super) struct Decoded {
    stages: Vec<Decoder>,
    layers: Vec<LayerId>,
    inner: Stream,
    /// Bytes as sent, and decoded.
    taken: u64,
    out: u64,
    /// For past windows: decoded bytes, and the offset as sent up to which they were made from.
    marks: VecDeque<(u64, u64)>,
    clean_to: u64,
    coverage: Coverage,
    ratio: u64,
    declared: bool,
}

/// Bytes decoded before the ratio is looked at.
const GRACE: u64 = 1 << 20;

impl Decoded {
    /// For a body with declared codings, or one that begins like a compressed stream.
    pub(super) fn for_body(engine: &Engine, kind: &Kind, begin: &[u8]) -> Option<Decoded> {
        let declared = !kind.media.content_encoding.is_empty();
        let names: Vec<String> = match begin {
            _ if declared => kind.media.content_encoding.iter().rev().cloned().collect(),
            [0x1f, 0x8b, 8, ..] => vec!["gzip".into()],
            [0x28, 0xb5, 0x2f, 0xfd, ..] => vec!["zstd".into()],
            _ => return None,
        };
        let mut inner = kind.clone();
        inner.media.content_encoding.clear();
        let stages: Vec<Option<Decoder>> = names.iter().map(|n| Decoder::new(n)).collect();
        let coverage = if stages.iter().any(Option::is_none) { partial(0, Gap::UnknownEncoding) } else { Coverage::Complete };
        let layers = names.iter().filter_map(|n| layer(n)).collect();
        Some(Decoded {
            stages: if coverage == Coverage::Complete { stages.into_iter().flatten().collect() } else { Vec::new() },
            layers,
            inner: engine.stream(inner),
            taken: 0,
            out: 0,
            marks: VecDeque::new(),
            clean_to: 0,
            coverage,
            ratio: engine.limits().ratio,
            declared,
        })
    }

    /// Takes the next bytes, which end at `end` as sent.
    pub(super) fn push(&mut self, bytes: &[u8], end: u64) -> Vec<Finding> {
        let mut findings = Vec::new();
        if self.coverage == Coverage::Complete
            && let Err(gap) = self.decode(0, bytes, &mut findings)
        {
            self.fail(gap);
        }
        self.taken = end;
        self.marks.push_back((self.out, end));
        self.whole(findings, end)
    }

    /// The last bytes, and the coverage of the whole.
    pub(super) fn finish(mut self, bytes: &[u8], end: u64) -> Report {
        let mut findings = self.push(bytes, end);
        if self.coverage == Coverage::Complete && !self.stages.iter().all(Decoder::finished) {
            self.fail(Gap::Undecodable);
        }
        let empty = self.inner.engine.stream(self.inner.kind.clone());
        let last = std::mem::replace(&mut self.inner, empty).finish();
        if let (Coverage::Complete, Coverage::Partial { gap, .. }) = (self.coverage, last.coverage) {
            self.coverage = partial(0, gap);
        }
        findings.extend(self.whole(last.findings, end));
        Report { findings, coverage: self.coverage }
    }

    /// Bytes as sent up to which everything is decoded and final.
    pub(super) fn clean_to(&self) -> u64 {
        if self.coverage == Coverage::Complete { self.clean_to } else { u64::MAX }
    }

    /// Bytes as sent that were taken.
    pub(super) fn taken(&self) -> u64 {
        self.taken
    }

    pub(super) fn coverage(&self) -> Coverage {
        self.coverage
    }

    /// A body that only looked compressed and is not: no gap, it was scanned as it is.
    fn fail(&mut self, gap: Gap) {
        if self.declared || self.out >= 512 {
            self.coverage = partial(0, gap);
        } else {
            self.stages.clear();
        }
    }

    fn decode(&mut self, stage: usize, mut bytes: &[u8], findings: &mut Vec<Finding>) -> Result<(), Gap> {
        if stage == self.stages.len() {
            if self.stages.is_empty() {
                return Ok(());
            }
            self.out += bytes.len() as u64;
            if self.out > GRACE && self.out / self.ratio.max(1) > self.taken + GRACE {
                return Err(Gap::Budget);
            }
            let progress = self.inner.push(bytes);
            findings.extend(progress.findings);
            if let Coverage::Partial { gap, .. } = progress.coverage {
                return Err(gap);
            }
            while let Some((_, sent)) = self.marks.front().copied().filter(|(out, _)| *out <= progress.clean_to) {
                self.clean_to = sent;
                self.marks.pop_front();
            }
            return Ok(());
        }
        loop {
            let mut out = Vec::new();
            let taken = self.stages[stage].feed(bytes, &mut out)?;
            bytes = bytes.get(taken..).unwrap_or_default();
            if taken == 0 && out.is_empty() {
                return if bytes.is_empty() { Ok(()) } else { Err(Gap::Undecodable) };
            }
            self.decode(stage + 1, &out, findings)?;
        }
    }

    /// Inside compression the run that carries a finding is the whole body so far.
    fn whole(&self, findings: Vec<Finding>, end: u64) -> Vec<Finding> {
        let through =
            |f: Finding| Finding { span: 0..end, trail: self.layers.iter().copied().chain(f.trail.iter().copied()).collect(), ..f };
        findings.into_iter().map(through).collect()
    }
}

fn layer(coding: &str) -> Option<LayerId> {
    ["gzip", "deflate", "br", "zstd"].into_iter().find(|l| coding.trim_start_matches("x-") == *l)
}
