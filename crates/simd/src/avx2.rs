//! What is compiled for AVX2. The only unsafe of the house is here, and it is of two kinds: a call of what needs a processor that was asked for
//! first, and a load of an array.

use std::arch::x86_64::{
    __m256i, _mm_cvtsi128_si64, _mm_loadu_si128, _mm_or_si128, _mm_unpackhi_epi64, _mm256_and_si256, _mm256_broadcastsi128_si256,
    _mm256_castsi256_si128, _mm256_cmpeq_epi8, _mm256_extracti128_si256, _mm256_loadu_si256, _mm256_movemask_epi8, _mm256_or_si256,
    _mm256_set1_epi8, _mm256_setzero_si256, _mm256_shuffle_epi8, _mm256_srli_epi16,
};
use std::ops::{Range, RangeInclusive};
use std::sync::LazyLock;

use crate::kinds::{Seen, seen_with};
use crate::masks::repeats_with;
use crate::masks::{count_with, masks_with};
use crate::runs::{long_with, next_run_with, runs_with};
use crate::steps::in_step_with;
use crate::{Class, Kinds, Work};

/// That the processor has what the functions of this module are compiled for: there is none of it elsewhere.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Avx2(());

impl Avx2 {
    /// It, where the processor has it. Asked once: texts are short, and to ask the processor's features one by one takes as long as to look at
    /// some of them.
    #[inline(always)]
    pub(crate) fn here() -> Option<Avx2> {
        use std::arch::is_x86_feature_detected as has;
        static HERE: LazyLock<Option<Avx2>> = LazyLock::new(|| {
            let all = has!("avx2") && has!("bmi1") && has!("bmi2") && has!("lzcnt") && has!("popcnt");
            all.then_some(Avx2(()))
        });
        *HERE
    }
}

/// Does `work` compiled for this processor.
#[inline(always)]
pub(crate) fn run<W: Work>(_: Avx2, work: W) -> W::Answer {
    #[target_feature(enable = "avx2,bmi1,bmi2,lzcnt,popcnt")]
    fn inner<W: Work>(work: W) -> W::Answer {
        work.run()
    }
    // SAFETY: `Avx2` says that the processor has the features that `inner` is compiled for.
    unsafe { inner(work) }
}

/// As [`crate::next_run`].
pub(crate) fn next_run(_: Avx2, bytes: &[u8], from: usize, class: &Class, least: usize) -> Option<Range<usize>> {
    #[target_feature(enable = "avx2,bmi1,bmi2,lzcnt,popcnt")]
    fn inner(bytes: &[u8], from: usize, class: &Class, least: usize) -> Option<Range<usize>> {
        next_run_with(bytes, from, least, |block| mask(block, class))
    }
    // SAFETY: `Avx2` says that the processor has the features that `inner` is compiled for.
    unsafe { inner(bytes, from, class, least) }
}

/// As [`crate::masks`].
pub(crate) fn masks(_: Avx2, bytes: &[u8], class: &Class, out: &mut Vec<u64>) {
    #[target_feature(enable = "avx2,bmi1,bmi2,lzcnt,popcnt")]
    fn inner(bytes: &[u8], class: &Class, out: &mut Vec<u64>) {
        masks_with(bytes, out, |block| mask(block, class));
    }
    // SAFETY: `Avx2` says that the processor has the features that `inner` is compiled for.
    unsafe { inner(bytes, class, out) }
}

/// As [`crate::count`].
pub(crate) fn count(_: Avx2, bytes: &[u8], class: &Class) -> usize {
    #[target_feature(enable = "avx2,bmi1,bmi2,lzcnt,popcnt")]
    fn inner(bytes: &[u8], class: &Class) -> usize {
        count_with(bytes, |block| mask(block, class))
    }
    // SAFETY: `Avx2` says that the processor has the features that `inner` is compiled for.
    unsafe { inner(bytes, class) }
}

/// As [`crate::runs`].
pub(crate) fn runs(_: Avx2, bytes: &[u8], class: &Class, least: usize, out: &mut Vec<Range<usize>>) {
    #[target_feature(enable = "avx2,bmi1,bmi2,lzcnt,popcnt")]
    fn inner(bytes: &[u8], class: &Class, least: usize, out: &mut Vec<Range<usize>>) {
        runs_with(bytes, least, out, |block| mask(block, class));
    }
    // SAFETY: `Avx2` says that the processor has the features that `inner` is compiled for.
    unsafe { inner(bytes, class, least, out) }
}

/// As [`crate::long_runs`].
pub(crate) fn long_runs<const N: usize>(_: Avx2, bytes: &[u8], classes: &[(Class, u32); N]) -> u32 {
    #[target_feature(enable = "avx2,bmi1,bmi2,lzcnt,popcnt")]
    fn inner<const N: usize>(bytes: &[u8], classes: &[(Class, u32); N]) -> u32 {
        long_with(bytes, classes, |block, class| mask(block, class))
    }
    // SAFETY: `Avx2` says that the processor has the features that `inner` is compiled for.
    unsafe { inner(bytes, classes) }
}

/// As [`crate::high_runs`].
pub(crate) fn high_runs(_: Avx2, bytes: &[u8], least: usize, out: &mut Vec<Range<usize>>) {
    #[target_feature(enable = "avx2,bmi1,bmi2,lzcnt,popcnt")]
    fn inner(bytes: &[u8], least: usize, out: &mut Vec<Range<usize>>) {
        runs_with(bytes, least, out, |block| high(block));
    }
    // SAFETY: `Avx2` says that the processor has the features that `inner` is compiled for.
    unsafe { inner(bytes, least, out) }
}

/// As [`crate::repeats`].
pub(crate) fn repeats(_: Avx2, bytes: &[u8], out: &mut Vec<u64>) {
    #[target_feature(enable = "avx2,bmi1,bmi2,lzcnt,popcnt")]
    fn inner(bytes: &[u8], out: &mut Vec<u64>) {
        repeats_with(bytes, out, |one, other| equal(one, other));
    }
    // SAFETY: `Avx2` says that the processor has the features that `inner` is compiled for.
    unsafe { inner(bytes, out) }
}

/// As [`crate::in_step`].
pub(crate) fn in_step(_: Avx2, marks: &[u64], strides: RangeInclusive<u32>, out: &mut Vec<(usize, u32)>) {
    #[target_feature(enable = "avx2,bmi1,bmi2,lzcnt,popcnt")]
    fn inner(marks: &[u64], strides: RangeInclusive<u32>, out: &mut Vec<(usize, u32)>) {
        in_step_with(marks, strides, out);
    }
    // SAFETY: `Avx2` says that the processor has the features that `inner` is compiled for.
    unsafe { inner(marks, strides, out) }
}

/// As [`crate::same`].
pub(crate) fn same(_: Avx2, block: &[u8; 64], byte: u8) -> u64 {
    #[target_feature(enable = "avx2,bmi1,bmi2,lzcnt,popcnt")]
    fn inner(block: &[u8; 64], byte: u8) -> u64 {
        equal(block, &[byte; 64])
    }
    // SAFETY: `Avx2` says that the processor has the features that `inner` is compiled for.
    unsafe { inner(block, byte) }
}

/// As [`crate::seen`].
pub(crate) fn seen<const N: usize>(_: Avx2, bytes: &[u8], kinds: &[Kinds; N]) -> Seen<N> {
    #[target_feature(enable = "avx2,bmi1,bmi2,lzcnt,popcnt")]
    fn inner<const N: usize>(bytes: &[u8], kinds: &[Kinds; N]) -> Seen<N> {
        let tables = kinds.each_ref().map(|k| (table(&k.low), table(&k.high)));
        seen_with(bytes, |blocks| {
            let zero = _mm256_setzero_si256();
            let (mut seen, mut all) = ([zero; N], zero);
            for block in blocks {
                let text = load(block);
                let above = _mm256_and_si256(_mm256_srli_epi16::<4>(text), _mm256_set1_epi8(15));
                for (seen, (low, high)) in seen.iter_mut().zip(&tables) {
                    let both = _mm256_and_si256(_mm256_shuffle_epi8(*low, text), _mm256_shuffle_epi8(*high, above));
                    *seen = _mm256_or_si256(*seen, both);
                }
                all = _mm256_or_si256(all, text);
            }
            Seen { kinds: seen.map(|seen| any(seen)), high: _mm256_movemask_epi8(all) != 0 }
        })
    }
    // SAFETY: `Avx2` says that the processor has the features that `inner` is compiled for.
    unsafe { inner(bytes, kinds) }
}

/// The bits that are set in any byte.
#[inline]
#[target_feature(enable = "avx2")]
fn any(bytes: __m256i) -> u8 {
    let half = _mm_or_si128(_mm256_castsi256_si128(bytes), _mm256_extracti128_si256::<1>(bytes));
    let quarter = _mm_cvtsi128_si64(_mm_or_si128(half, _mm_unpackhi_epi64(half, half))).cast_unsigned();
    quarter.to_le_bytes().into_iter().fold(0, |all, byte| all | byte)
}

/// A bit for each byte beyond ASCII.
#[inline]
#[target_feature(enable = "avx2")]
fn high(block: &[u8; 64]) -> u64 {
    let (halves, _) = block.as_chunks::<32>();
    halves.iter().rev().fold(0, |all, half| all << 32 | u64::from(_mm256_movemask_epi8(load(half)).cast_unsigned()))
}

/// A bit for each byte that is the same in both.
#[inline]
#[target_feature(enable = "avx2")]
fn equal(one: &[u8; 64], other: &[u8; 64]) -> u64 {
    let half = |(a, b): (&[u8; 32], &[u8; 32])| u64::from(_mm256_movemask_epi8(_mm256_cmpeq_epi8(load(a), load(b))).cast_unsigned());
    let ((a, _), (b, _)) = (one.as_chunks::<32>(), other.as_chunks::<32>());
    a.iter().zip(b).rev().fold(0, |all, pair| all << 32 | half(pair))
}

/// A bit for each member in a block: the low nibble of a byte looks up the high nibbles that go with it, the high nibble looks up its own bit.
/// Bytes beyond ASCII look up nothing.
#[inline]
#[target_feature(enable = "avx2")]
fn mask(block: &[u8; 64], class: &Class) -> u64 {
    const HIGH: [u8; 16] = [1, 2, 4, 8, 16, 32, 64, 128, 0, 0, 0, 0, 0, 0, 0, 0];
    let (low, high) = (table(&class.low), table(&HIGH));
    let half = |part: &[u8; 32]| {
        let text = load(part);
        let above = _mm256_and_si256(_mm256_srli_epi16::<4>(text), _mm256_set1_epi8(15));
        let both = _mm256_and_si256(_mm256_shuffle_epi8(low, text), _mm256_shuffle_epi8(high, above));
        let none = _mm256_movemask_epi8(_mm256_cmpeq_epi8(both, _mm256_setzero_si256()));
        u64::from(!none.cast_unsigned())
    };
    let (halves, _) = block.as_chunks::<32>();
    halves.iter().rev().fold(0, |all, part| all << 32 | half(part))
}

#[inline]
#[target_feature(enable = "avx2")]
fn load(bytes: &[u8; 32]) -> __m256i {
    // SAFETY: 32 bytes are read from an array of 32; no alignment is asked for.
    unsafe { _mm256_loadu_si256(bytes.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx2")]
fn table(bytes: &[u8; 16]) -> __m256i {
    // SAFETY: 16 bytes are read from an array of 16; no alignment is asked for.
    _mm256_broadcastsi128_si256(unsafe { _mm_loadu_si128(bytes.as_ptr().cast()) })
}
