//! The first byte of a kind.

/// So many bytes are looked at one by one first: what is near is found sooner so.
const NEAR: usize = 16;

/// Where the first byte is that `is` says yes to. For kinds that one or three values make, `memchr` is faster.
#[must_use]
#[inline(always)]
pub fn find(bytes: &[u8], is: impl Fn(u8) -> bool) -> Option<usize> {
    let (near, far) = bytes.split_at(bytes.len().min(NEAR));
    if let Some(at) = near.iter().position(|b| is(*b)) {
        return Some(at);
    }
    // Blocks without an early exit, which lets the compiler look at all bytes of one at once.
    let blocks = crate::best(Without { bytes: far, is: &is });
    let skipped = 64 * blocks;
    far.get(skipped..)?.iter().position(|b| is(*b)).map(|at| NEAR + skipped + at)
}

/// How many blocks of 64 bytes hold none of the kind.
struct Without<'a, F> {
    bytes: &'a [u8],
    is: &'a F,
}

impl<F: Fn(u8) -> bool> crate::Work for Without<'_, F> {
    type Answer = usize;

    #[inline(always)]
    fn run(self) -> usize {
        self.bytes.chunks_exact(64).take_while(|block| !block.iter().fold(false, |any, b| any | (self.is)(*b))).count()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_first_is_found(bytes in prop::collection::vec(0..3_u8, 0..8), blanks in 0..300_usize, more in prop::collection::vec(0..3_u8, 0..90)) {
            let bytes = [vec![0; blanks], bytes, vec![0; 5], more].concat();
            prop_assert_eq!(find(&bytes, |b| b == 2), bytes.iter().position(|b| *b == 2));
        }
    }
}
