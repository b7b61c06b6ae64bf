//! What a value looks like after a simple change, as symbols that the change leaves alone.
//!
//! A symbol comes of a byte and the one `DISTANCE` after it. All symbols are made eight at a time in one word: each lane stands for itself.

use zeroize::Zeroizing;

/// The high bit of each lane.
const HIGH: u64 = 0x8080_8080_8080_8080;
/// One in each lane.
const ONE: u64 = 0x0101_0101_0101_0101;

/// A way to see bytes.
pub(super) trait Form {
    /// How far the second byte of a pair stands behind the first.
    const DISTANCE: usize;

    /// Symbols of eight pairs; no lane looks at another.
    fn pair(first: u64, second: u64) -> u64;
}

/// As it stands, without regard to case: the bit that tells `A` from `a` is set everywhere.
pub(super) struct Plain;

/// Exclusive or with the byte so many on: a repeated key whose length divides the distance falls out.
pub(super) struct Xor<const DISTANCE: usize>;

/// The difference of neighbours: an amount added to every byte falls out.
pub(super) struct Shift;

/// The difference of neighbours among the 94 printable characters (`!` to `~`), in which ROT47 turns.
pub(super) struct Printable;

/// The difference of neighbouring letters among 26 and of digits among 10; everything else as it stands.
pub(super) struct Turn;

impl Form for Plain {
    const DISTANCE: usize = 0;

    fn pair(first: u64, _: u64) -> u64 {
        first | (0x20 * ONE)
    }
}

impl<const D: usize> Form for Xor<D> {
    const DISTANCE: usize = D;

    fn pair(first: u64, second: u64) -> u64 {
        first ^ second
    }
}

impl Form for Shift {
    const DISTANCE: usize = 1;

    fn pair(first: u64, second: u64) -> u64 {
        ((second | HIGH) - (first & !HIGH)) ^ ((second ^ !first) & HIGH)
    }
}

impl Form for Printable {
    const DISTANCE: usize = 1;

    fn pair(first: u64, second: u64) -> u64 {
        turned(first & !HIGH, second & !HIGH, 94)
    }
}

impl Form for Turn {
    const DISTANCE: usize = 1;

    fn pair(first: u64, second: u64) -> u64 {
        let (low, next) = (letters(first), letters(second));
        let (digit, next_digit) = (digits(first), digits(second));
        let (both, both_digits) = (full(low & next), full(digit & next_digit));
        let known = full(next | next_digit);
        let by_letters = turned((first | (0x20 * ONE)) & !HIGH, (second | (0x20 * ONE)) & !HIGH, 26);
        let by_digits = turned(first & !HIGH, second & !HIGH, 10) | (0x20 * ONE);
        let classes = (0x40 * ONE) | (low >> 7) | (digit >> 6) | (next >> 5);
        (by_letters & both) | (by_digits & both_digits) | (classes & known & !both & !both_digits) | ((second | HIGH) & !known)
    }
}

/// `second - first`, and `size` more where that is negative. Lanes of seven bits.
fn turned(first: u64, second: u64, size: u64) -> u64 {
    let difference = (second | HIGH) - first;
    let negative = (!difference & HIGH) >> 7;
    (difference + negative * size) & !HIGH
}

/// The high bit of each lane whose byte is a letter.
fn letters(bytes: u64) -> u64 {
    between((bytes | (0x20 * ONE)) & !HIGH, b'a', b'z') & !bytes
}

/// The high bit of each lane whose byte is a digit.
fn digits(bytes: u64) -> u64 {
    between(bytes & !HIGH, b'0', b'9') & !bytes
}

/// The high bit of each lane of seven bits that is in a range.
fn between(lanes: u64, least: u8, most: u8) -> u64 {
    let from = lanes + ONE * (0x80 - u64::from(least));
    let beyond = lanes + ONE * (0x7f - u64::from(most));
    from & !beyond & HIGH
}

/// All bits of the lanes whose high bit is set.
fn full(high: u64) -> u64 {
    ((high & HIGH) >> 7) * 0xff
}

/// One symbol.
pub(super) fn symbol<F: Form>(first: u8, second: u8) -> u8 {
    F::pair(u64::from(first), u64::from(second)).to_le_bytes()[0]
}

/// All symbols of `bytes`: `DISTANCE` fewer than bytes.
pub(super) fn symbols<F: Form>(bytes: &[u8]) -> Zeroizing<Vec<u8>> {
    let seconds = bytes.get(F::DISTANCE..).unwrap_or_default();
    Zeroizing::new(bytes.iter().zip(seconds).map(|(a, b)| symbol::<F>(*a, *b)).collect())
}

/// The letter at the other end of the alphabet (Atbash).
pub(super) fn mirrored(byte: u8) -> u8 {
    match byte {
        b'a'..=b'z' => b'a' + (b'z' - byte),
        b'A'..=b'Z' => b'A' + (b'Z' - byte),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn by_eights<F: Form>(bytes: &[u8]) -> Vec<u8> {
        let word = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap());
        (0..bytes.len() - 8 - F::DISTANCE).flat_map(|at| F::pair(word(at), word(at + F::DISTANCE)).to_le_bytes()).collect()
    }

    fn one_by_one<F: Form>(bytes: &[u8]) -> Vec<u8> {
        let symbols = symbols::<F>(bytes);
        (0..bytes.len() - 8 - F::DISTANCE).flat_map(|at| symbols[at..at + 8].to_vec()).collect()
    }

    fn turn(byte: u8, by: u8) -> u8 {
        match byte {
            b'a'..=b'z' => (byte - b'a' + by % 26) % 26 + b'a',
            b'A'..=b'Z' => (byte - b'A' + by % 26) % 26 + b'A',
            b'0'..=b'9' => (byte - b'0' + by % 10) % 10 + b'0',
            other => other,
        }
    }

    proptest! {
        #[test]
        fn eight_at_a_time_are_the_same_as_one(bytes in prop::collection::vec(any::<u8>(), 20..60)) {
            prop_assert_eq!(by_eights::<Plain>(&bytes), one_by_one::<Plain>(&bytes));
            prop_assert_eq!(by_eights::<Xor<4>>(&bytes), one_by_one::<Xor<4>>(&bytes));
            prop_assert_eq!(by_eights::<Shift>(&bytes), one_by_one::<Shift>(&bytes));
            prop_assert_eq!(by_eights::<Printable>(&bytes), one_by_one::<Printable>(&bytes));
            prop_assert_eq!(by_eights::<Turn>(&bytes), one_by_one::<Turn>(&bytes));
        }

        #[test]
        fn the_changes_fall_out(bytes in prop::collection::vec(any::<u8>(), 20..60), key: [u8; 12], by in 0_u8..130) {
            let xored = |len: usize| bytes.iter().enumerate().map(|(i, b)| b ^ key[i % len]).collect::<Vec<_>>();
            for len in [1, 2, 4] {
                prop_assert_eq!(symbols::<Xor<4>>(&bytes), symbols::<Xor<4>>(&xored(len)));
            }
            for len in [1, 2, 3, 6] {
                prop_assert_eq!(symbols::<Xor<6>>(&bytes), symbols::<Xor<6>>(&xored(len)));
            }
            let added: Vec<u8> = bytes.iter().map(|b| b.wrapping_add(by)).collect();
            prop_assert_eq!(symbols::<Shift>(&bytes), symbols::<Shift>(&added));
            let text: Vec<u8> = bytes.iter().map(|b| b % 94 + 33).collect();
            let rotated: Vec<u8> = text.iter().map(|b| (b - 33 + by % 94) % 94 + 33).collect();
            prop_assert_eq!(symbols::<Printable>(&text), symbols::<Printable>(&rotated));
            let turned: Vec<u8> = bytes.iter().map(|b| turn(*b, by)).collect();
            prop_assert_eq!(symbols::<Turn>(&bytes), symbols::<Turn>(&turned));
        }
    }
}
