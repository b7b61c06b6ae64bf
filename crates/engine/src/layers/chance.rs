//! What looks made by chance, as every secret and every encoding does: characters of other kinds follow each other as they do not in words.
//! Most of what peelers look at is words, and is told from the rest here at about a nanosecond a byte.

use std::ops::Range;

use simd::Class;

/// So many bytes are looked at together.
const WINDOW: u32 = 12;
/// So many of them are of another kind than the one before: fewer than in hex digits or base64, twice as many as in names.
const CHANGES: u32 = 4;

const MARK: u8 = 0;
const SMALL: u8 = 1;
const CAPITAL: u8 = 2;
const DIGIT: u8 = 3;
const ESCAPE: u8 = 4;
const BLANK: u8 = 5;

/// Marks, small letters, capitals, digits, what begins an escape, blanks.
static KINDS: [u8; 256] = {
    let mut kinds = [MARK; 256];
    let mut i = 0;
    while i < 256 {
        kinds[i] = match i as u8 {
            b'a'..=b'z' => SMALL,
            b'A'..=b'Z' => CAPITAL,
            b'0'..=b'9' => DIGIT,
            b'%' => ESCAPE,
            0..=b' ' => BLANK,
            _ => MARK,
        };
        i += 1;
    }
    kinds
};

/// Whether somewhere in a text stands what looks made by chance.
pub(super) fn by_chance<'b>(bytes: impl Iterator<Item = &'b u8>) -> bool {
    turns(bytes, CHANGES)
}

/// Whether a run may be base64 of something: as [`by_chance`], but what is not by chance itself is not so either when it is encoded.
pub(super) fn encoded(run: &[u8]) -> bool {
    turns(run.iter(), CHANGES - 1)
}

/// How far a text looks made by chance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Chance {
    /// So little that no part of it looks so.
    No,
    /// A part of it may look so, of which another character stands before than in the text.
    Nearly,
    /// As [`by_chance`] says.
    Yes,
}

/// What is printable and no blank.
static SOLID: Class = RUN.0;
/// A run of those that may be an encoding: none of text is shorter that has more characters than letters, digits and few marks.
pub(super) const RUN: (Class, u32) = (Class::of(&super::container::range::<0x5e>(b'!')), 20);
/// Small letters, capitals, digits, what begins an escape.
static CLASSES: [Class; 4] =
    [Class::of(b"abcdefghijklmnopqrstuvwxyz"), Class::of(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ"), Class::of(b"0123456789"), Class::of(b"%")];

/// What words have not within themselves, or once at their beginning: all kinds but small letters and marks.
static TURNING: Class = CLASSES[1].and(b"0123456789%");

/// Whether nothing looks made by chance that is put together of bytes of this text in their order: four changes take two bytes at least that are no
/// small letters.
pub(super) fn hopeless(text: &[u8]) -> bool {
    simd::count(text, &TURNING) < 2
}

/// All runs of at least so many printable characters, without those of which no part looks made by chance.
pub(super) fn solid(bytes: &[u8], least: usize) -> Vec<(Range<usize>, Chance)> {
    let (mut runs, mut room) = (Vec::new(), Default::default());
    simd::runs(bytes, &SOLID, least, &mut runs);
    let judged = |run: Range<usize>| {
        let text = bytes.get(run.clone()).unwrap_or_default();
        // Most are words with marks between them.
        let chance = if simd::count(text, &TURNING) == 0 { Chance::No } else { judged(text, &mut room) };
        (chance != Chance::No).then_some((run, chance))
    };
    runs.into_iter().filter_map(judged).collect()
}

/// A bit for each byte of a run that is of another kind than the one before, as [`turns`] counts them, 64 at a time. `kinds` are the bits of
/// [`CLASSES`].
fn changes(length: usize, kinds: &[Vec<u64>; 4]) -> impl Iterator<Item = u64> {
    // Whether the last byte that is no mark is a letter, a capital, a digit, begins an escape.
    let mut last = [0; 4];
    (0..length.div_ceil(64)).map(move |i| {
        let [small, capital, digit, escape] = kinds.each_ref().map(|words| words.get(i).copied().unwrap_or_default());
        let within = if length - 64 * i < 64 { (1 << (length % 64)) - 1 } else { u64::MAX };
        let marks = within & !(small | capital | digit | escape);
        // Which bytes have this kind before them, whatever marks stand between: a sum carries it over those.
        let before = |kind: u64, last: &mut u64| {
            let next = kind << 1 | *last;
            let over = (next & marks).wrapping_add(marks);
            if marks != u64::MAX {
                *last = kind >> (63 - (!marks).leading_zeros()) & 1;
            }
            (next | over) & !marks
        };
        let [letter, upper, number, sign] = &mut last;
        small & !before(small | capital, letter)
            | capital & !before(capital, upper)
            | digit & !before(digit, number)
            | escape & !before(escape, sign)
    })
}

/// How far a run looks made by chance: how many changes there are near each other. `kinds` is room to work in.
fn judged(run: &[u8], kinds: &mut [Vec<u64>; 4]) -> Chance {
    kinds.iter_mut().zip(&CLASSES).for_each(|(words, class)| simd::masks(run, class, words));
    let mut chance = Chance::No;
    // The last changes before the one at hand, the latest first.
    let mut last: [Option<usize>; CHANGES as usize - 1] = [None; CHANGES as usize - 1];
    let near = |before: Option<usize>, at: usize| before.is_some_and(|before| at - before < WINDOW as usize);
    for (i, mut word) in changes(run.len(), kinds).enumerate() {
        while word != 0 {
            let at = 64 * i + word.trailing_zeros() as usize;
            word &= word - 1;
            let [one, two, three] = last;
            if near(three, at) {
                return Chance::Yes;
            }
            if near(two, at) {
                chance = Chance::Nearly;
            }
            last = [Some(at), one, two];
        }
    }
    chance
}

/// Whether so many of some bytes near each other are of another kind than the one before. A small letter behind a capital is how words begin.
fn turns<'b>(mut bytes: impl Iterator<Item = &'b u8>, least: u32) -> bool {
    // The changes of late, the newest lowest, and how many they are.
    let (mut kind, mut changes, mut count) = (MARK, 0_u32, 0);
    bytes.any(|byte| {
        let this = KINDS[usize::from(*byte)];
        let change = u32::from(this != kind && this != MARK && (kind, this) != (CAPITAL, SMALL));
        // Words are judged each by itself, and marks are not judged.
        (changes, count) = if this == BLANK { (0, 0) } else { (changes << 1 | change, count + change - (changes >> (WINDOW - 1) & 1)) };
        kind = if this == MARK { kind } else { this };
        count >= least
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn runs_are_judged_as_their_bytes_are(text in "([a-c]{0,9}[A-B0-1._%]{0,3}[ \u{e9}]?){0,60}", least in 1_usize..9) {
            let bytes = text.as_bytes();
            let runs = bytes.split(|b| !SOLID.has(*b)).filter(|run| run.len() >= least);
            let slow = |run: &[u8]| match (turns(run.iter(), CHANGES - 1), turns(run.iter(), CHANGES)) {
                (_, true) => Chance::Yes,
                (true, _) => Chance::Nearly,
                _ => Chance::No,
            };
            let expected: Vec<(&[u8], Chance)> = runs.map(|run| (run, slow(run))).filter(|(_, chance)| *chance != Chance::No).collect();
            let found: Vec<(&[u8], Chance)> = solid(bytes, least).into_iter().map(|(run, chance)| (&bytes[run], chance)).collect();
            prop_assert_eq!(found, expected);
        }

        #[test]
        fn of_what_is_hopeless_no_part_looks_made_by_chance(text in "[a-c. ]{0,9}[A-B0-1%]?[a-c. ]{0,9}[A-B0-1%]?[a-c. ]{0,9}") {
            let bytes = text.as_bytes();
            prop_assert!(!hopeless(bytes) || !by_chance(bytes.iter().filter(|b| **b != b' ')));
        }
    }
}
