//! Long runs of bytes of one class, found without looking at every byte: a run of `n` bytes holds every `n`th byte that is looked at.

use std::ops::Range;

/// A class of bytes.
pub(super) type Class = [bool; 256];

/// The class of the bytes that fit.
pub(super) const fn class(members: &[u8]) -> Class {
    let mut class = [false; 256];
    let mut i = 0;
    while i < members.len() {
        class[members[i] as usize] = true;
        i += 1;
    }
    class
}

/// The next run of at least `least` bytes of a class that begins at or after `from`, as long as it goes.
pub(super) fn next(bytes: &[u8], from: usize, class: &Class, least: usize) -> Option<Range<usize>> {
    let member = |b: &u8| class[usize::from(*b)];
    let mut floor = from;
    let mut probe = from + least - 1;
    while let Some(byte) = bytes.get(probe) {
        if !member(byte) {
            floor = probe + 1;
            probe += least;
            continue;
        }
        let before = bytes.get(floor..probe)?;
        let start = before.iter().rposition(|b| !member(b)).map_or(floor, |i| floor + i + 1);
        let behind = bytes.get(probe..)?;
        // A run that is too short ends before the next place that is looked at.
        let end = behind.iter().position(|b| !member(b)).map_or(bytes.len(), |i| probe + i);
        if end - start >= least {
            return Some(start..end);
        }
        floor = end;
        probe = end + least;
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_long_run_is_found_and_no_other(text in "[ab ]{0,200}", least in 1_usize..9) {
            let bytes = text.as_bytes();
            let class = class(b"ab");
            let mut expected = Vec::new();
            let mut start = 0;
            for word in text.split(' ') {
                if word.len() >= least {
                    expected.push(start..start + word.len());
                }
                start += word.len() + 1;
            }
            let mut found = Vec::new();
            let mut at = 0;
            while let Some(run) = next(bytes, at, &class, least) {
                at = run.end;
                found.push(run);
            }
            prop_assert_eq!(found, expected);
        }
    }
}
