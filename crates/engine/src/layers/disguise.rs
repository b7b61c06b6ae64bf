//! Text that is written backwards or rotated by thirteen: where the words that detectors look for stand in that form.

use std::ops::{ControlFlow, Range};

use super::sink::{Flow, Sink};

/// How text is disguised.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Disguise {
    /// Written backwards.
    Reversed,
    /// Each letter thirteen places on.
    Rotated,
}

impl Disguise {
    /// A word in this form.
    pub(crate) fn apply(self, word: &[u8]) -> Vec<u8> {
        match self {
            Disguise::Reversed => word.iter().rev().copied().collect(),
            Disguise::Rotated => word.iter().copied().map(rotated).collect(),
        }
    }
}

fn rotated(byte: u8) -> u8 {
    match byte {
        b'a'..=b'z' => (byte - b'a' + 13) % 26 + b'a',
        b'A'..=b'Z' => (byte - b'A' + 13) % 26 + b'A',
        other => other,
    }
}

/// What is looked at around a word.
const AROUND: usize = 4096;

/// Hands on what stands around the words in `hits`, in plain.
pub(super) fn peel(sink: &mut Sink<'_, '_>, hits: &[(Range<usize>, Disguise)]) -> Flow {
    let bytes = sink.bytes();
    for disguise in [Disguise::Reversed, Disguise::Rotated] {
        let mut done = 0;
        for (hit, _) in hits.iter().filter(|(_, d)| *d == disguise) {
            if hit.start < done {
                continue;
            }
            let range = hit.start.saturating_sub(AROUND).max(done)..(hit.end + AROUND).min(bytes.len());
            done = range.end;
            let part = bytes.get(range.clone()).unwrap_or_default();
            match disguise {
                Disguise::Rotated => {
                    let starts = (range.start..=range.end).collect();
                    sink.mapped(disguise.apply(part), starts, "rot13")?;
                }
                // The map of text written backwards would run backwards: the whole run carries what is found.
                Disguise::Reversed => lines(sink, part, range.start)?,
            }
        }
    }
    ControlFlow::Continue(())
}

/// Each line on its own, so that the run that carries a finding is short; and all of it, for what goes over lines.
fn lines(sink: &mut Sink<'_, '_>, part: &[u8], base: usize) -> Flow {
    let mut start = 0;
    for line in part.split(|b| *b == b'\n') {
        let end = start + line.len();
        if line.len() >= 12 && end - start < part.len() {
            sink.unclaimed(Disguise::Reversed.apply(line), base + start..base + end, "reversed")?;
        }
        start = end + 1;
    }
    sink.unclaimed(Disguise::Reversed.apply(part), base..base + part.len(), "reversed")
}
