//! Git's deltas (gitformat-pack, "Deltified representation"): copies from a base, and what is added.

use std::ops::Range;

/// How much of what stands around an addition is looked at with it: a secret may be part old and part new.
pub(super) const AROUND: usize = 512;

#[derive(Debug, Clone, Copy)]
enum Step<'d> {
    /// So many bytes of the base from an offset.
    Copy(usize, usize),
    Add(&'d [u8]),
}

impl Step<'_> {
    fn len(&self) -> usize {
        match self {
            Step::Copy(_, size) => *size,
            Step::Add(added) => added.len(),
        }
    }
}

/// A delta whose steps are right in themselves. They are read anew each time: as a list they could take many times their bytes.
#[derive(Debug)]
pub(super) struct Delta<'d> {
    steps: &'d [u8],
    base: usize,
    length: usize,
}

impl<'d> Delta<'d> {
    /// Reads one; `None` when it is none, or makes another length than it says.
    pub(super) fn parse(bytes: &'d [u8]) -> Option<Delta<'d>> {
        let (base, rest) = size(bytes)?;
        let (length, steps) = size(rest)?;
        let (mut rest, mut made) = (steps, 0_usize);
        while !rest.is_empty() {
            let (step, tail) = first(rest)?;
            made = made.checked_add(step.len()).filter(|made| *made <= length)?;
            rest = tail;
        }
        (made == length).then_some(Delta { steps, base, length })
    }

    /// The length of what it makes.
    pub(super) fn length(&self) -> usize {
        self.length
    }

    fn steps(&self) -> impl Iterator<Item = Step<'d>> {
        let mut rest = self.steps;
        std::iter::from_fn(move || {
            let (step, tail) = first(rest)?;
            rest = tail;
            Some(step)
        })
    }

    /// What it makes of `base`; `None` when it is not for this one.
    pub(super) fn apply(&self, base: &[u8]) -> Option<Vec<u8>> {
        if base.len() != self.base {
            return None;
        }
        let mut out = Vec::with_capacity(self.length);
        for step in self.steps() {
            out.extend_from_slice(match step {
                Step::Copy(start, size) => base.get(start..start.checked_add(size)?)?,
                Step::Add(added) => added,
            });
        }
        Some(out)
    }

    /// What it adds, without the base: one line for each place.
    pub(super) fn added(&self) -> Vec<u8> {
        let mut out = Vec::new();
        for step in self.steps() {
            match step {
                Step::Add(added) => out.extend_from_slice(added),
                Step::Copy(..) => out.push(b'\n'),
            }
        }
        out
    }

    /// Where what it makes is new, with so much around it (at least one byte), in order and without overlaps.
    pub(super) fn changed(&self, around: usize) -> Vec<Range<usize>> {
        let mut ranges: Vec<Range<usize>> = Vec::new();
        let mut at = 0_usize;
        for step in self.steps() {
            // Where two copies meet something new may come about.
            let new = if let Step::Add(added) = step { added.len() } else { 0 };
            let range = at.saturating_sub(around)..at.saturating_add(new).saturating_add(around).min(self.length);
            match ranges.last_mut() {
                Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
                _ => ranges.push(range),
            }
            at += step.len();
        }
        ranges
    }

    /// What it adds, in `whole`, which it makes, with what stands around: one line for each place.
    pub(super) fn around(&self, whole: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        for range in self.changed(AROUND) {
            if !out.is_empty() {
                out.push(b'\n');
            }
            out.extend_from_slice(whole.get(range).unwrap_or_default());
        }
        out
    }
}

/// The first step, and what follows it; `None` where there is none.
fn first(bytes: &[u8]) -> Option<(Step<'_>, &[u8])> {
    let (op, mut rest) = bytes.split_first()?;
    if *op == 0 {
        return None;
    }
    if op & 0x80 == 0 {
        let (added, tail) = rest.split_at_checked(usize::from(*op))?;
        return Some((Step::Add(added), tail));
    }
    // Four bytes of the offset, three of the size, of which each may be left out.
    let (mut start, mut size) = (0_usize, 0_usize);
    for bit in 0..7 {
        if op >> bit & 1 == 1 {
            let (byte, tail) = rest.split_first()?;
            rest = tail;
            let number = if bit < 4 { &mut start } else { &mut size };
            *number |= usize::from(*byte) << (8 * (bit % 4));
        }
    }
    Some((Step::Copy(start, if size == 0 { 0x1_0000 } else { size }), rest))
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
        assert_eq!(delta.changed(1), [0..1, 3..7], "the beginning, and around what is new");
        assert_eq!(delta.apply(b"short"), None);
        assert!(Delta::parse(&[13, 12, 0x90, 4]).is_none(), "not the length that it says");
        assert!(Delta::parse(&[1, 1, 0]).is_none(), "a reserved step");
        assert!(Delta::parse(&[13, 4, 0x91, 255, 4]).is_some_and(|delta| delta.apply(base).is_none()), "a copy from behind the end");
    }

    #[test]
    fn a_delta_of_many_small_steps_takes_no_more_than_its_bytes() {
        // Two million copies of one byte, a byte apart from where each other is new.
        let steps = [0x90, 1].repeat(2_000_000);
        let delta = [&[1, 0x80, 0x89, 0x7a][..], &steps].concat();
        let delta = Delta::parse(&delta).expect("a delta");
        assert_eq!(delta.apply(b"x").map(|whole| whole.len()), Some(2_000_000));
        assert_eq!(delta.changed(1).len(), 1);
    }
}
