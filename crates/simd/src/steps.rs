//! Marks that stand in step.

use std::ops::RangeInclusive;

/// How many marks make a row.
const MARKS: u32 = 5;
/// Words before those that are looked at: the first mark of a row may stand so far back.
const BEFORE: usize = 2;
/// So many words are looked at together, with those before.
const CHUNK: usize = BEFORE + 32;
/// The same in short texts.
const SHORT: usize = BEFORE + 2;

/// Puts into `out` the last of every five marks that stand one stride from each other, with their stride; by stride, then by place. `marks` are in
/// the order of [`crate::masks`].
///
/// # Panics
///
/// If a stride is not in `2..=31`.
pub fn in_step(marks: &[u64], strides: RangeInclusive<u32>, out: &mut Vec<(usize, u32)>) {
    assert!(*strides.start() >= 2 && *strides.end() <= 31);
    #[cfg(target_arch = "x86_64")]
    if let Some(avx2) = crate::avx2::Avx2::here() {
        return crate::avx2::in_step(avx2, marks, strides, out);
    }
    in_step_with(marks, strides, out);
}

#[inline(always)]
pub(crate) fn in_step_with(marks: &[u64], strides: RangeInclusive<u32>, out: &mut Vec<(usize, u32)>) {
    out.clear();
    if let [] | [_] | [_, _] = marks {
        two_words(marks, strides, out);
    } else if marks.len() <= 2 * (SHORT - BEFORE) {
        chunks::<SHORT>(marks, strides, out);
    } else {
        chunks::<CHUNK>(marks, strides, out);
    }
}

/// The same in at most two words, which are one number.
#[inline(always)]
fn two_words(marks: &[u64], strides: RangeInclusive<u32>, out: &mut Vec<(usize, u32)>) {
    let all = marks.iter().rev().fold(0_u128, |all, word| all << 64 | u128::from(*word));
    // The first mark and the last: a longer stride does not fit between them.
    let room = (128 - all.leading_zeros()).saturating_sub(all.trailing_zeros() + 1);
    if all.count_ones() < MARKS {
        return;
    }
    for stride in *strides.start()..=(*strides.end()).min(room / (MARKS - 1)) {
        let pairs = all & all << stride;
        let mut found = pairs & pairs << (2 * stride) & all << (4 * stride);
        while found != 0 {
            out.push((found.trailing_zeros() as usize, stride));
            found &= found - 1;
        }
    }
}

#[inline(always)]
fn chunks<const WORDS: usize>(marks: &[u64], strides: RangeInclusive<u32>, out: &mut Vec<(usize, u32)>) {
    // Nothing stands before the first word and behind the last: all loops are of one length.
    let step = WORDS - BEFORE;
    let mut padded = vec![0; BEFORE + marks.len().next_multiple_of(step)];
    padded.iter_mut().skip(BEFORE).zip(marks).for_each(|(word, marks)| *word = *marks);
    for stride in strides {
        let mut at = 0;
        while let Some(words) = padded.get(at..).and_then(|rest| rest.first_chunk::<WORDS>()) {
            chunk(words, at, stride, out);
            at += step;
        }
    }
}

#[inline(always)]
fn chunk<const WORDS: usize>(words: &[u64; WORDS], at: usize, stride: u32, out: &mut Vec<(usize, u32)>) {
    let (mut pairs, mut found) = ([0; WORDS], [0; WORDS]);
    // Marks with another one stride before them.
    for i in 1..WORDS {
        pairs[i] = words[i] & (words[i] << stride | words[i - 1] >> (64 - stride));
    }
    let (twice, by) = (2 * stride, (MARKS - 1) * stride % 64);
    let mut any = 0;
    if (MARKS - 1) * stride < 64 {
        for i in BEFORE..WORDS {
            let two = pairs[i] & (pairs[i] << twice | pairs[i - 1] >> (64 - twice));
            found[i] = two & (words[i] << by | words[i - 1] >> (64 - by));
            any |= found[i];
        }
    } else {
        for i in BEFORE..WORDS {
            let two = pairs[i] & (pairs[i] << twice | pairs[i - 1] >> (64 - twice));
            found[i] = two & (words[i - 1] << by | words[i - 2] >> 1 >> (63 - by));
            any |= found[i];
        }
    }
    if any != 0 {
        // Mostly one or two places, in this or that word.
        for (group, words) in found.chunks(4).enumerate().filter(|(_, words)| words.iter().fold(0, |all, w| all | w) != 0) {
            for (i, found) in words.iter().enumerate() {
                let mut word = *found;
                while word != 0 {
                    out.push((64 * (at + 4 * group + i - BEFORE) + word.trailing_zeros() as usize, stride));
                    word &= word - 1;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn five_in_step_are_found_and_no_others(marks in prop::collection::vec(any::<u64>(), 0..40), more in prop::collection::vec(any::<u64>(), 3)) {
            let marks: Vec<u64> = marks.iter().enumerate().map(|(i, m)| m | more[i % 3]).collect();
            let has = |at: usize| marks[at / 64] >> (at % 64) & 1 == 1;
            let mut expected = Vec::new();
            for stride in 2..=31 {
                for at in 4 * stride..64 * marks.len() {
                    if (0..5).all(|n| has(at - n * stride)) {
                        expected.push((at, stride as u32));
                    }
                }
            }
            let mut ways = [vec![(1, 2)], Vec::new()];
            in_step(&marks, 2..=31, &mut ways[0]);
            in_step_with(&marks, 2..=31, &mut ways[1]);
            for way in ways {
                prop_assert_eq!(&way, &expected);
            }
        }
    }
}
