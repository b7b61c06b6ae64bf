//! Long runs of bytes of one class.

use std::ops::Range;

use crate::Class;
use crate::masks::{eight_by_eight, portable, tail};

/// The next run of at least `least` bytes of a class that begins at or after `from`, as long as it goes.
#[must_use]
pub fn next_run(bytes: &[u8], from: usize, class: &Class, least: usize) -> Option<Range<usize>> {
    #[cfg(target_arch = "x86_64")]
    if let Some(avx2) = crate::avx2::Avx2::here() {
        return crate::avx2::next_run(avx2, bytes, from, class, least);
    }
    next_run_with(bytes, from, least, |block| portable(block, class))
}

#[inline(always)]
pub(crate) fn next_run_with(bytes: &[u8], from: usize, least: usize, mask: impl Fn(&[u8; 64]) -> u64) -> Option<Range<usize>> {
    let least = least.max(1);
    let mut at = from;
    // Where the members that stand right before `at` begin.
    let mut start = from;
    while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
        let members = rest.first_chunk().map_or_else(|| tail(rest, &mask), &mask);
        let lead = members.trailing_ones() as usize;
        if at - start + lead >= least && lead < 64 {
            return Some(start..at + lead);
        }
        if lead < 64 {
            let whole = long(members, least);
            let first = whole.trailing_zeros() as usize;
            if whole != 0 {
                let end = first + (members >> first).trailing_ones() as usize;
                if end < 64 {
                    return Some(at + first..at + end);
                }
            }
            start = at + 64 - members.leading_ones() as usize;
        }
        at += 64;
    }
    let end = bytes.len();
    (end >= start && end - start >= least && at >= end && start < end).then_some(start..end)
}

/// As [`next_run`], for a class of which text has little: no run of `least` bytes misses every byte in so many, and hardly another is looked at.
#[must_use]
pub fn next_rare_run(bytes: &[u8], from: usize, class: &Class, least: usize) -> Option<Range<usize>> {
    let least = least.max(1);
    let length = |run: &mut dyn Iterator<Item = &u8>| run.take_while(|b| class.has(**b)).count();
    let mut at = from.checked_add(least - 1)?;
    loop {
        if class.has(*bytes.get(at)?) {
            let start = at - length(&mut bytes.get(from..at)?.iter().rev());
            at += length(&mut bytes.get(at..)?.iter());
            if at - start >= least {
                return Some(start..at);
            }
        }
        // Where a run ended, the next begins later.
        at += least;
    }
}

/// Puts into `out` all runs that [`next_run`] finds in `bytes` one after the other.
pub fn runs(bytes: &[u8], class: &Class, least: usize, out: &mut Vec<Range<usize>>) {
    #[cfg(target_arch = "x86_64")]
    if let Some(avx2) = crate::avx2::Avx2::here() {
        return crate::avx2::runs(avx2, bytes, class, least, out);
    }
    runs_with(bytes, least, out, |block| portable(block, class));
}

/// Of which classes there is a run of at least so many bytes, as bits, the first in the lowest.
#[must_use]
pub fn long_runs<const N: usize>(bytes: &[u8], classes: &[(Class, u32); N]) -> u32 {
    #[cfg(target_arch = "x86_64")]
    if let Some(avx2) = crate::avx2::Avx2::here() {
        return crate::avx2::long_runs(avx2, bytes, classes);
    }
    long_with(bytes, classes, portable)
}

#[inline(always)]
pub(crate) fn long_with<const N: usize>(bytes: &[u8], classes: &[(Class, u32); N], mask: impl Fn(&[u8; 64], &Class) -> u64) -> u32 {
    let (blocks, rest) = bytes.as_chunks::<64>();
    let mut last = [0; 64];
    last.iter_mut().zip(rest).for_each(|(b, r)| *b = *r);
    let within = (1 << rest.len()) - 1;
    let mut found = 0;
    for (i, (class, least)) in classes.iter().enumerate() {
        // How many members stand right before the block.
        let (mut before, mut any) = (0, false);
        for block in blocks {
            let members = mask(block, class);
            any |= before + members.trailing_ones() >= *least || long(members, *least as usize) != 0;
            before = if members == u64::MAX { before + 64 } else { members.leading_ones() };
        }
        let members = mask(&last, class) & within;
        any |= before + members.trailing_ones() >= *least || long(members, *least as usize) != 0;
        found |= u32::from(any) << i;
    }
    found
}

/// As [`runs`], for bytes beyond ASCII.
pub fn high_runs(bytes: &[u8], least: usize, out: &mut Vec<Range<usize>>) {
    #[cfg(target_arch = "x86_64")]
    if let Some(avx2) = crate::avx2::Avx2::here() {
        return crate::avx2::high_runs(avx2, bytes, least, out);
    }
    runs_with(bytes, least, out, |block| eight_by_eight(|i| !block[i].is_ascii()));
}

#[inline(always)]
pub(crate) fn runs_with(bytes: &[u8], least: usize, out: &mut Vec<Range<usize>>, mask: impl Fn(&[u8; 64]) -> u64) {
    out.clear();
    let least = least.max(1);
    // Where the members that stand right before a block begin.
    let mut start = 0;
    let (blocks, rest) = bytes.as_chunks::<64>();
    for (i, block) in blocks.iter().enumerate() {
        start = block_runs(64 * i, mask(block), start, least, out);
    }
    if !rest.is_empty() {
        start = block_runs(64 * blocks.len(), tail(rest, mask), start, least, out);
    }
    if start < bytes.len() && bytes.len() - start >= least {
        out.push(start..bytes.len());
    }
}

/// Adds the runs that end in the block at `at`; returns where the members at its end begin.
#[inline(always)]
fn block_runs(at: usize, members: u64, start: usize, least: usize, out: &mut Vec<Range<usize>>) -> usize {
    if members == u64::MAX {
        return start;
    }
    let lead = members.trailing_ones() as usize;
    if at - start + lead >= least {
        out.push(start..at + lead);
    }
    let inner = members & members.wrapping_add(1);
    let mut whole = long(inner, least);
    while whole != 0 {
        let first = whole.trailing_zeros() as usize;
        let end = first + (inner >> first).trailing_ones() as usize;
        if end == 64 {
            break;
        }
        out.push(at + first..at + end);
        whole &= u64::MAX << end;
    }
    at + 64 - members.leading_ones() as usize
}

/// The places at which `least` members in a row begin, all of them in the block.
#[inline(always)]
fn long(members: u64, least: usize) -> u64 {
    if (members.count_ones() as usize) < least {
        return 0;
    }
    let (mut places, mut have) = (members, 1);
    while have < least {
        let step = have.min(least - have);
        places &= places >> step;
        have += step;
    }
    places
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn all(bytes: &[u8], next: impl Fn(usize) -> Option<Range<usize>>) -> Vec<Range<usize>> {
        let mut found = Vec::new();
        let mut at = 0;
        while let Some(run) = next(at) {
            at = run.end;
            found.push(run);
            assert!(found.len() <= bytes.len());
        }
        found
    }

    proptest! {
        #[test]
        fn every_long_run_is_found_and_no_other(text in "([ab]{0,9} ?[ab]{0,90} ){0,8}[ab]{0,200}", least in 1_usize..150) {
            let bytes = text.as_bytes();
            let class = Class::of(b"ab");
            let mut expected = Vec::new();
            let mut start = 0;
            for word in text.split(' ') {
                if word.len() >= least {
                    expected.push(start..start + word.len());
                }
                start += word.len() + 1;
            }
            prop_assert_eq!(all(bytes, |at| next_run(bytes, at, &class, least)), expected.clone());
            prop_assert_eq!(all(bytes, |at| next_rare_run(bytes, at, &class, least)), expected.clone());
            prop_assert_eq!(all(bytes, |at| next_run_with(bytes, at, least, |block| portable(block, &class))), expected.clone());
            let mut ways: [Vec<Range<usize>>; 2] = Default::default();
            runs(bytes, &class, least, &mut ways[0]);
            runs_with(bytes, least, &mut ways[1], |block| portable(block, &class));
            for way in ways {
                prop_assert_eq!(way, expected.clone());
            }
            let classes = [(class, least as u32), (Class::of(b"b"), 3), (Class::of(b" "), 1)];
            let long = u32::from(!expected.is_empty()) | u32::from(text.contains("bbb")) << 1 | u32::from(text.contains(' ')) << 2;
            prop_assert_eq!(long_runs(bytes, &classes), long);
            prop_assert_eq!(long_with(bytes, &classes, portable), long);
        }
    }

    #[test]
    fn runs_beyond_ascii_are_found() {
        let text = format!("{} {}{}a", "\u{e9}".repeat(3), "x".repeat(80), "\u{e9}".repeat(70));
        let mut ways = [Vec::new(), Vec::new()];
        high_runs(text.as_bytes(), 6, &mut ways[0]);
        runs_with(text.as_bytes(), 6, &mut ways[1], |block| eight_by_eight(|i| !block[i].is_ascii()));
        assert_eq!(ways, [vec![0..6, 87..227], vec![0..6, 87..227]]);
    }

    #[test]
    fn a_run_is_cut_at_the_beginning_and_none_begins_beyond_the_end() {
        let class = Class::of(b"a");
        for next in [next_run, next_rare_run] {
            assert_eq!(next(b"aaaa", 2, &class, 2), Some(2..4));
            assert_eq!(next(b"aaaa", 4, &class, 1), None);
            assert_eq!(next(b"aaaa", 9, &class, 1), None);
        }
    }
}
