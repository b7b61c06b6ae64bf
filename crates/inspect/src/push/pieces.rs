//! An object that is too long to be held: scanned as it comes, and released as far as it is clean.

use std::collections::VecDeque;

use engine::{Coverage, Engine, Finding, Kind, LayerId, Media, Stream};

/// What a scan under way holds, about: what is scanned as a whole, twice, and windows of what it decodes to.
const STREAM_BYTES: usize = 4 << 20;

/// An object in pieces.
pub(super) struct Pieces {
    stream: Stream,
    layer: LayerId,
    start: u64,
    made: u64,
    /// How many bytes were made of the body up to an offset.
    marks: VecDeque<(u64, u64)>,
    clean: u64,
    at: u64,
}

impl Pieces {
    /// An object whose entry begins at `start` of the body.
    pub(super) fn new(engine: &Engine, layer: LayerId, start: u64) -> Pieces {
        let stream = engine.stream(Kind::body(Media::default()));
        Pieces { stream, layer, start, made: 0, marks: VecDeque::new(), clean: start, at: start }
    }

    /// Takes the next bytes, made of the body up to `at`.
    pub(super) fn push(&mut self, bytes: &[u8], at: u64) -> (Vec<Finding>, Coverage) {
        self.at = at;
        self.made += bytes.len() as u64;
        match self.marks.back_mut() {
            Some((made, to)) if *made == self.made => *to = at,
            _ => self.marks.push_back((self.made, at)),
        }
        let progress = self.stream.push(bytes);
        while let Some((_, at)) = self.marks.pop_front_if(|(made, _)| *made <= progress.clean_to) {
            self.clean = at;
        }
        (self.placed(progress.findings), self.covered(progress.coverage))
    }

    /// The object is complete.
    pub(super) fn finish(self) -> (Vec<Finding>, Coverage) {
        let Pieces { stream, layer, start, at, .. } = self;
        let report = stream.finish();
        (placed(report.findings, layer, start, at), covered(report.coverage, start))
    }

    fn placed(&self, findings: Vec<Finding>) -> Vec<Finding> {
        placed(findings, self.layer, self.start, self.at)
    }

    fn covered(&self, coverage: Coverage) -> Coverage {
        covered(coverage, self.start)
    }

    /// Bytes of the body before this may travel.
    pub(super) fn clean_to(&self) -> u64 {
        self.clean
    }

    pub(super) fn memory(&self) -> usize {
        STREAM_BYTES + self.marks.len() * size_of::<(u64, u64)>()
    }
}

/// In the body it is the object's run as far as it came: bytes of a compressed stream cannot be told apart.
fn placed(mut findings: Vec<Finding>, layer: LayerId, start: u64, at: u64) -> Vec<Finding> {
    for finding in &mut findings {
        finding.span = start..at.max(start + 1);
        finding.trail.splice(0..0, ["git-pack", layer]);
    }
    findings
}

fn covered(coverage: Coverage, start: u64) -> Coverage {
    match coverage {
        Coverage::Partial { gap, .. } => Coverage::Partial { at: start, gap },
        Coverage::Complete => Coverage::Complete,
    }
}
