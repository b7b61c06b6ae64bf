//! What is compiled for AVX2. The only unsafe of the house is here, and it is of two kinds: a call of what needs a processor that was asked for
//! first, and a load of an array.

use std::arch::x86_64::{
    __m256i, _mm_loadu_si128, _mm256_and_si256, _mm256_broadcastsi128_si256, _mm256_cmpeq_epi8, _mm256_loadu_si256, _mm256_movemask_epi8,
    _mm256_set1_epi8, _mm256_setzero_si256, _mm256_shuffle_epi8, _mm256_srli_epi16,
};
use std::ops::Range;

use crate::Class;
use crate::masks::{count_with, masks_with};
use crate::runs::next_run_with;

/// Whether the processor has what the functions of this module are compiled for.
#[inline(always)]
pub(crate) fn available() -> bool {
    use std::arch::is_x86_feature_detected as has;
    has!("avx2") && has!("bmi1") && has!("bmi2") && has!("lzcnt") && has!("popcnt")
}

/// Runs `f` compiled for this processor.
///
/// # Panics
///
/// If the processor is not [`available`].
#[inline(always)]
pub(crate) fn run<R>(f: impl FnOnce() -> R) -> R {
    #[target_feature(enable = "avx2,bmi1,bmi2,lzcnt,popcnt")]
    fn inner<R>(f: impl FnOnce() -> R) -> R {
        f()
    }
    assert!(available());
    // SAFETY: the processor has the features that `inner` is compiled for.
    unsafe { inner(f) }
}

/// As [`crate::next_run`].
pub(crate) fn next_run(bytes: &[u8], from: usize, class: &Class, least: usize) -> Option<Range<usize>> {
    #[target_feature(enable = "avx2,bmi1,bmi2,lzcnt,popcnt")]
    fn inner(bytes: &[u8], from: usize, class: &Class, least: usize) -> Option<Range<usize>> {
        next_run_with(bytes, from, least, |block| mask(block, class))
    }
    assert!(available());
    // SAFETY: the processor has the features that `inner` is compiled for.
    unsafe { inner(bytes, from, class, least) }
}

/// As [`crate::masks`].
pub(crate) fn masks(bytes: &[u8], class: &Class, out: &mut Vec<u64>) {
    #[target_feature(enable = "avx2,bmi1,bmi2,lzcnt,popcnt")]
    fn inner(bytes: &[u8], class: &Class, out: &mut Vec<u64>) {
        masks_with(bytes, out, |block| mask(block, class));
    }
    assert!(available());
    // SAFETY: the processor has the features that `inner` is compiled for.
    unsafe { inner(bytes, class, out) }
}

/// As [`crate::count`].
pub(crate) fn count(bytes: &[u8], class: &Class) -> usize {
    #[target_feature(enable = "avx2,bmi1,bmi2,lzcnt,popcnt")]
    fn inner(bytes: &[u8], class: &Class) -> usize {
        count_with(bytes, |block| mask(block, class))
    }
    assert!(available());
    // SAFETY: the processor has the features that `inner` is compiled for.
    unsafe { inner(bytes, class) }
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
