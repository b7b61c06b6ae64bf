//! Which kinds of bytes a text holds, eight kinds at a time.

/// Eight kinds of ASCII characters in the form that two shuffles can look up: a character is of a kind if both halves of it are.
#[derive(Debug, Clone, Copy)]
pub struct Kinds {
    /// For each low nibble, the kinds that have a member with it; for each high nibble, the same.
    pub(crate) low: [u8; 16],
    pub(crate) high: [u8; 16],
}

impl Kinds {
    /// Kinds by their members, the first in the lowest bit.
    ///
    /// # Panics
    ///
    /// If the members of a kind are not all that share a low nibble with one of them and a high nibble with another, or are beyond ASCII: two
    /// lookups cannot tell such members.
    #[must_use]
    pub const fn of(members: [&[u8]; 8]) -> Kinds {
        let mut kinds = Kinds { low: [0; 16], high: [0; 16] };
        let mut kind = 0;
        while kind < 8 {
            let (mut i, mut lows, mut highs) = (0, 0_u16, 0_u16);
            while i < members[kind].len() {
                let byte = members[kind][i];
                assert!(byte.is_ascii());
                kinds.low[(byte & 15) as usize] |= 1 << kind;
                kinds.high[(byte >> 4) as usize] |= 1 << kind;
                lows |= 1 << (byte & 15);
                highs |= 1 << (byte >> 4);
                i += 1;
            }
            assert!(lows.count_ones() as usize * highs.count_ones() as usize == members[kind].len());
            kind += 1;
        }
        kinds
    }

    /// The kinds of one byte as bits.
    #[must_use]
    #[inline(always)]
    pub const fn has(&self, byte: u8) -> u8 {
        if byte.is_ascii() { self.low[(byte & 15) as usize] & self.high[(byte >> 4) as usize] } else { 0 }
    }
}

/// What a text holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen<const N: usize> {
    /// The kinds of which there is a byte, as bits.
    pub kinds: [u8; N],
    /// Whether there is a byte beyond ASCII.
    pub high: bool,
}

/// Which of so many times eight kinds of bytes there are in `bytes`.
#[must_use]
pub fn seen<const N: usize>(bytes: &[u8], kinds: &[Kinds; N]) -> Seen<N> {
    #[cfg(target_arch = "x86_64")]
    if let Some(avx2) = crate::avx2::Avx2::here() {
        return crate::avx2::seen(avx2, bytes, kinds);
    }
    seen_with(bytes, |blocks| portable(blocks.as_flattened(), kinds))
}

fn portable<const N: usize>(bytes: &[u8], kinds: &[Kinds; N]) -> Seen<N> {
    let none = Seen { kinds: [0; N], high: false };
    bytes.iter().fold(none, |seen, byte| seen.or(Seen { kinds: kinds.each_ref().map(|k| k.has(*byte)), high: !byte.is_ascii() }))
}

impl<const N: usize> Seen<N> {
    /// What either text holds.
    #[inline(always)]
    fn or(self, other: Seen<N>) -> Seen<N> {
        Seen { kinds: std::array::from_fn(|i| self.kinds[i] | other.kinds[i]), high: self.high || other.high }
    }
}

#[inline(always)]
pub(crate) fn seen_with<const N: usize>(bytes: &[u8], seen: impl Fn(&[[u8; 32]]) -> Seen<N>) -> Seen<N> {
    let (blocks, rest) = bytes.as_chunks::<32>();
    let Some(first) = rest.first() else { return seen(blocks) };
    // Filled up with what is there anyway.
    let mut last = [*first; 32];
    last.iter_mut().zip(rest).for_each(|(b, r)| *b = *r);
    let last = seen(&[last]);
    if blocks.is_empty() { last } else { seen(blocks).or(last) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const KINDS: [Kinds; 2] =
        [Kinds::of([b"a", b"bc", b"0123456789", b"", b"\0", b"\x7f", b"/", b" 0"]), Kinds::of([b"~", b"", b"", b"", b"", b"", b"", b"\n"])];

    proptest! {
        #[test]
        fn every_way_sees_the_same(bytes in prop::collection::vec(any::<u8>(), 0..12), fill in any::<u8>(), many in 0..200_usize) {
            let bytes = [vec![fill; many], bytes].concat();
            let expected = Seen {
                kinds: [0, 1].map(|i| bytes.iter().fold(0, |all, b| all | KINDS[i].has(*b))),
                high: bytes.iter().any(|b| *b >= 0x80),
            };
            prop_assert_eq!(seen(&bytes, &KINDS), expected);
            prop_assert_eq!(seen_with(&bytes, |blocks| portable(blocks.as_flattened(), &KINDS)), expected);
        }
    }

    #[test]
    fn kinds_are_their_members() {
        assert_eq!(KINDS[0].has(b'a'), 1);
        assert_eq!(KINDS[0].has(b'c'), 2);
        assert_eq!(KINDS[0].has(b'0'), 4 | 128);
        assert_eq!(KINDS[0].has(0xb0), 0);
    }
}
