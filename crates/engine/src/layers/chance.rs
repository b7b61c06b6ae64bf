//! What looks made by chance, as every secret and every encoding does: characters of other kinds follow each other as they do not in words.
//! Most of what peelers look at is words, and is told from the rest here at about a nanosecond a byte.

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

/// How far a text without blanks looks made by chance, for itself and for all parts of it.
pub(super) fn judged(text: &[u8]) -> Chance {
    // The first character of a part is of another kind than none.
    match (turns(text.iter(), CHANGES - 1), || turns(text.iter(), CHANGES)) {
        (false, _) => Chance::No,
        (true, more) if more() => Chance::Yes,
        _ => Chance::Nearly,
    }
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
