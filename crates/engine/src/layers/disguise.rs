//! Text that is written backwards, rotated by thirteen or 47, or in the alphabet backwards: where the words that detectors look for stand in that form.

use std::ops::{ControlFlow, Range};

use super::sink::{Flow, Sink};
use crate::LayerId;

/// How text is disguised.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Disguise {
    /// Written backwards.
    Reversed,
    /// Each letter thirteen places on.
    Rotated,
    /// Each printable character 47 places on (ROT47).
    Turned,
    /// The alphabet backwards (Atbash).
    Mirrored,
}

/// All of them.
pub(crate) const ALL: [Disguise; 4] = [Disguise::Reversed, Disguise::Rotated, Disguise::Turned, Disguise::Mirrored];

impl Disguise {
    fn layer(self) -> LayerId {
        match self {
            Disguise::Reversed => "reversed",
            Disguise::Rotated => "rot13",
            Disguise::Turned => "rot47",
            Disguise::Mirrored => "atbash",
        }
    }

    /// A word in this form.
    pub(crate) fn apply(self, word: &[u8]) -> Vec<u8> {
        match self {
            Disguise::Reversed => word.iter().rev().copied().collect(),
            _ => word.iter().map(|b| self.byte(*b)).collect(),
        }
    }

    /// What a byte is in this form. All forms are their own opposite.
    pub(crate) fn byte(self, byte: u8) -> u8 {
        match (self, byte) {
            (Disguise::Rotated, b'a'..=b'z') => (byte - b'a' + 13) % 26 + b'a',
            (Disguise::Rotated, b'A'..=b'Z') => (byte - b'A' + 13) % 26 + b'A',
            (Disguise::Turned, b'!'..=b'~') => (byte - b'!' + 47) % 94 + b'!',
            (Disguise::Mirrored, b'a'..=b'z') => b'z' - (byte - b'a'),
            (Disguise::Mirrored, b'A'..=b'Z') => b'Z' - (byte - b'A'),
            (_, other) => other,
        }
    }
}

/// Hands on the stretches of `found`, which overlap here and there, in plain.
pub(super) fn peel(sink: &mut Sink<'_, '_>, found: &[(Range<usize>, Disguise)]) -> Flow {
    if found.is_empty() {
        return ControlFlow::Continue(());
    }
    let bytes = sink.bytes();
    for disguise in ALL {
        for range in merged(found.iter().filter(|(_, d)| *d == disguise).map(|(range, _)| range.clone())) {
            let part = bytes.get(range.clone()).unwrap_or_default();
            lines(sink, disguise, part, range.start)?;
        }
    }
    ControlFlow::Continue(())
}

/// Ranges that overlap made one.
fn merged(ranges: impl Iterator<Item = Range<usize>>) -> Vec<Range<usize>> {
    let mut all: Vec<Range<usize>> = ranges.collect();
    all.sort_unstable_by_key(|r| r.start);
    all.dedup_by(|next, before| {
        let overlap = next.start <= before.end;
        if overlap {
            before.end = before.end.max(next.end);
        }
        overlap
    });
    all
}

/// Each line on its own, so that the run that carries a finding is short; and all of it, for what goes over lines.
fn lines(sink: &mut Sink<'_, '_>, disguise: Disguise, part: &[u8], base: usize) -> Flow {
    let mut start = 0;
    for line in part.split(|b| *b == b'\n') {
        let end = start + line.len();
        if line.len() >= 12 && end - start < part.len() {
            sink.unclaimed(disguise.apply(line), base + start..base + end, disguise.layer())?;
        }
        start = end + 1;
    }
    sink.unclaimed(disguise.apply(part), base..base + part.len(), disguise.layer())
}
