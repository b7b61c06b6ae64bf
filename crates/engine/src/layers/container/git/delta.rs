//! Git's deltas (gitformat-pack, "Deltified representation"): copies from a base, and what is added.

use std::ops::Range;

/// How much of what stands around an addition is looked at with it: a secret may be part old and part new.
const AROUND: usize = 512;

#[derive(Debug)]
enum Step<'d> {
    Copy(Range<usize>),
    Add(&'d [u8]),
}

/// A delta that was read.
#[derive(Debug)]
pub(super) struct Delta<'d> {
    steps: Vec<Step<'d>>,
    length: usize,
}

impl<'d> Delta<'d> {
    /// Reads one; `None` when it is none.
    pub(super) fn parse(bytes: &'d [u8]) -> Option<Delta<'d>> {
        let (_, rest) = size(bytes)?;
        let (length, mut rest) = size(rest)?;
        let (mut steps, mut made) = (Vec::new(), 0_usize);
        while let Some((op, tail)) = rest.split_first() {
            rest = tail;
            let step = if op & 0x80 == 0 {
                if *op == 0 {
                    return None;
                }
                let (added, tail) = rest.split_at_checked(usize::from(*op))?;
                rest = tail;
                Step::Add(added)
            } else {
                let mut numbers = [0_usize; 2];
                for bit in 0..7 {
                    if op >> bit & 1 == 1 {
                        let (byte, tail) = rest.split_first()?;
                        rest = tail;
                        // Four bytes of the offset, three of the size.
                        numbers[usize::from(bit > 3)] |= usize::from(*byte) << (8 * (bit % 4));
                    }
                }
                let [start, size] = numbers;
                Step::Copy(start..start + if size == 0 { 0x1_0000 } else { size })
            };
            made = made.checked_add(match &step {
                Step::Copy(range) => range.len(),
                Step::Add(added) => added.len(),
            })?;
            steps.push(step);
        }
        (made == length).then_some(Delta { steps, length })
    }

    /// The length of what it makes.
    pub(super) fn length(&self) -> usize {
        self.length
    }

    /// What it makes of `base`; `None` when it is not for this one.
    pub(super) fn apply(&self, base: &[u8]) -> Option<Vec<u8>> {
        let mut out = Vec::with_capacity(self.length);
        for step in &self.steps {
            out.extend_from_slice(match step {
                Step::Copy(range) => base.get(range.clone())?,
                Step::Add(added) => added,
            });
        }
        Some(out)
    }

    /// What it adds, without the base: one line for each place.
    pub(super) fn added(&self) -> Vec<u8> {
        let mut out = Vec::new();
        for step in &self.steps {
            match step {
                Step::Add(added) => out.extend_from_slice(added),
                Step::Copy(_) => out.push(b'\n'),
            }
        }
        out
    }

    /// What it adds, in `whole`, which it makes, with what stands around.
    pub(super) fn around(&self, whole: &[u8]) -> Vec<u8> {
        let mut ranges: Vec<Range<usize>> = Vec::new();
        let mut at = 0_usize;
        for step in &self.steps {
            match step {
                Step::Copy(range) => {
                    // Where two copies meet something new may come about.
                    ranges.push(at.saturating_sub(AROUND)..at + AROUND);
                    at += range.len();
                }
                Step::Add(added) => {
                    ranges.push(at.saturating_sub(AROUND)..at + added.len() + AROUND);
                    at += added.len();
                }
            }
        }
        let mut out = Vec::new();
        let mut done = 0;
        for range in ranges {
            let start = range.start.max(done);
            let end = range.end.min(whole.len());
            if start > done && done > 0 {
                out.push(b'\n');
            }
            out.extend_from_slice(whole.get(start..end).unwrap_or_default());
            done = done.max(end);
        }
        out
    }
}

/// A number, seven bits a byte, low bits first; and what follows it.
fn size(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let mut value = 0_usize;
    for (i, byte) in bytes.iter().enumerate().take(6) {
        value |= usize::from(byte & 0x7f) << (7 * i);
        if byte & 0x80 == 0 {
            return Some((value, bytes.get(i + 1..)?));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_and_additions_make_the_whole() {
        let base = b"one two three";
        // Copy 4 from 0, add "2 ", copy 5 from 8.
        let delta = [&[13, 11, 0x90, 4, 2][..], b"2 ", &[0x91, 8, 5]].concat();
        let delta = Delta::parse(&delta).expect("a delta");
        assert_eq!(delta.apply(base).as_deref(), Some(&b"one 2 three"[..]));
        assert_eq!(delta.added(), b"\n2 \n");
        assert_eq!(delta.around(b"one 2 three"), b"one 2 three");
        assert_eq!(delta.apply(b"short"), None);
        assert!(Delta::parse(&[13, 12, 0x90, 4]).is_none(), "not the length that it says");
        assert!(Delta::parse(&[1, 1, 0]).is_none(), "a reserved step");
    }
}
