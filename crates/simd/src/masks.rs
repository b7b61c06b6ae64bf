//! The members of a class as bits.

use crate::Class;

/// Puts into `out` a bit for each member of `class` in `bytes`: that of byte `i` is bit `i % 64` of word `i / 64`, least significant first.
/// Bits beyond the end are zero.
pub fn masks(bytes: &[u8], class: &Class, out: &mut Vec<u64>) {
    #[cfg(target_arch = "x86_64")]
    if let Some(avx2) = crate::avx2::Avx2::here() {
        return crate::avx2::masks(avx2, bytes, class, out);
    }
    masks_with(bytes, out, |block| portable(block, class));
}

/// Puts into `out` a bit for each byte that is the same as the one before it, in the order of [`masks`].
pub fn repeats(bytes: &[u8], out: &mut Vec<u64>) {
    #[cfg(target_arch = "x86_64")]
    if let Some(avx2) = crate::avx2::Avx2::here() {
        return crate::avx2::repeats(avx2, bytes, out);
    }
    repeats_with(bytes, out, |one, other| eight_by_eight(|i| one[i] == other[i]));
}

#[inline(always)]
pub(crate) fn repeats_with(bytes: &[u8], out: &mut Vec<u64>, equal: impl Fn(&[u8; 64], &[u8; 64]) -> u64) {
    out.clear();
    let Some((first, _)) = bytes.split_first() else { return };
    let (blocks, rest) = bytes.as_chunks::<64>();
    for (i, block) in blocks.iter().enumerate() {
        // The first byte has none before it.
        match (64 * i).checked_sub(1).and_then(|at| bytes.get(at..)?.first_chunk()) {
            Some(before) => out.push(equal(block, before)),
            None => out.push(equal(block, &moved(block, !*first))),
        }
    }
    if !rest.is_empty() {
        let mut block = [0; 64];
        block.iter_mut().zip(rest).for_each(|(b, r)| *b = *r);
        let last = blocks.last().map_or(!*first, |b| b[63]);
        out.push(equal(&block, &moved(&block, last)) & ((1 << rest.len()) - 1));
    }
}

/// A block one place on, with `first` before it.
#[inline(always)]
fn moved(block: &[u8; 64], first: u8) -> [u8; 64] {
    std::array::from_fn(|i| if i == 0 { first } else { block[i.max(1) - 1] })
}

/// A bit for each of 64 bytes that is `byte`.
#[must_use]
pub fn same(block: &[u8; 64], byte: u8) -> u64 {
    #[cfg(target_arch = "x86_64")]
    if let Some(avx2) = crate::avx2::Avx2::here() {
        return crate::avx2::same(avx2, block, byte);
    }
    eight_by_eight(|i| block[i] == byte)
}

/// A word of 64 flags.
#[inline(always)]
pub(crate) fn eight_by_eight(flag: impl Fn(usize) -> bool) -> u64 {
    let flags: [u8; 64] = std::array::from_fn(|i| u8::from(flag(i)));
    let (parts, _) = flags.as_chunks::<8>();
    parts.iter().rev().fold(0, |all, part| all << 8 | gathered(*part))
}

/// Eight flags in a word are gathered by one multiplication: each lands in its own place of the top byte.
#[inline(always)]
fn gathered(flags: [u8; 8]) -> u64 {
    u64::from_le_bytes(flags).wrapping_mul(0x0102_0408_1020_4080) >> 56
}

/// How many bytes are members.
#[must_use]
pub fn count(bytes: &[u8], class: &Class) -> usize {
    #[cfg(target_arch = "x86_64")]
    if let Some(avx2) = crate::avx2::Avx2::here() {
        return crate::avx2::count(avx2, bytes, class);
    }
    bytes.iter().filter(|b| class.has(**b)).count()
}

#[inline(always)]
pub(crate) fn count_with(bytes: &[u8], mask: impl Fn(&[u8; 64]) -> u64) -> usize {
    let (blocks, rest) = bytes.as_chunks::<64>();
    let whole: u32 = blocks.iter().map(|b| mask(b).count_ones()).sum();
    (whole + tail(rest, mask).count_ones()) as usize
}

/// The members in one block.
#[inline(always)]
pub(crate) fn portable(block: &[u8; 64], class: &Class) -> u64 {
    eight_by_eight(|i| class.has(block[i]))
}

#[inline(always)]
pub(crate) fn masks_with(bytes: &[u8], out: &mut Vec<u64>, mask: impl Fn(&[u8; 64]) -> u64) {
    out.clear();
    let (blocks, rest) = bytes.as_chunks::<64>();
    out.extend(blocks.iter().map(&mask));
    if !rest.is_empty() {
        out.push(tail(rest, mask));
    }
}

/// The members in less than a block.
#[inline(always)]
pub(crate) fn tail(rest: &[u8], mask: impl Fn(&[u8; 64]) -> u64) -> u64 {
    let mut block = [0; 64];
    block.iter_mut().zip(rest).for_each(|(b, r)| *b = *r);
    mask(&block) & ((1 << rest.len().min(63)) - 1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_way_gives_a_bit_for_each_member(bytes in prop::collection::vec(any::<u8>(), 0..400), members in prop::collection::vec(any::<u8>(), 0..60)) {
            let class = Class::of(&members);
            let expected: Vec<bool> = bytes.iter().map(|b| b.is_ascii() && members.contains(b)).collect();
            let mut ways = [Vec::new(), vec![7; 3]];
            masks_with(&bytes, &mut ways[0], |block| portable(block, &class));
            masks(&bytes, &class, &mut ways[1]);
            for way in ways {
                prop_assert_eq!(way.len(), bytes.len().div_ceil(64));
                let bits: Vec<bool> = (0..way.len() * 64).map(|i| way[i / 64] >> (i % 64) & 1 == 1).collect();
                prop_assert_eq!(bits.iter().filter(|b| **b).count(), count(&bytes, &class));
                prop_assert_eq!(&bits[..bytes.len()], &expected[..]);
                prop_assert!(bits[bytes.len()..].iter().all(|b| !b));
            }
        }

        #[test]
        fn a_repeat_is_a_byte_like_the_one_before(bytes in prop::collection::vec(0..3_u8, 0..300)) {
            let mut words = vec![1];
            repeats(&bytes, &mut words);
            let bits: Vec<bool> = (0..words.len() * 64).map(|i| words[i / 64] >> (i % 64) & 1 == 1).collect();
            let expected: Vec<bool> = (0..bits.len()).map(|i| i > 0 && i < bytes.len() && bytes[i] == bytes[i - 1]).collect();
            prop_assert_eq!(bits, expected);
            let mut portable = Vec::new();
            repeats_with(&bytes, &mut portable, |one, other| eight_by_eight(|i| one[i] == other[i]));
            prop_assert_eq!(portable, words);
            if let Some(block) = bytes.first_chunk() {
                prop_assert_eq!(same(block, 1), eight_by_eight(|i| block[i] == 1));
            }
        }
    }
}
