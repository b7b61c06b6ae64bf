//! Where the members of a class stand in a view, to be asked for again and again: what a search for the next one costs each time is paid once.

use simd::Class;

/// A bit for each byte, as [`simd::masks`] gives them.
pub(super) struct Marks(Vec<u64>);

impl Marks {
    pub(super) fn of(bytes: &[u8], class: &Class) -> Marks {
        let mut words = Vec::new();
        simd::masks(bytes, class, &mut words);
        Marks(words)
    }

    /// The first member at or after `at`.
    pub(super) fn next(&self, at: usize) -> Option<usize> {
        let first = self.0.get(at / 64)? & u64::MAX << (at % 64);
        if first != 0 {
            return Some(at / 64 * 64 + first.trailing_zeros() as usize);
        }
        let (i, word) = self.0.iter().enumerate().skip(at / 64 + 1).find(|(_, word)| **word != 0)?;
        Some(64 * i + word.trailing_zeros() as usize)
    }
}
