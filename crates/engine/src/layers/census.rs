//! Which kinds of bytes a view holds: one fast pass, after which most peelers know that there is nothing for them.

/// Bytes of UTF-8 beyond ASCII, or of no text.
pub(super) const HIGH: u16 = 1 << 0;
/// Control characters that are no blanks.
pub(super) const CONTROL: u16 = 1 << 1;
/// The zero byte.
pub(super) const NUL: u16 = 1 << 2;
/// `%`.
pub(super) const PERCENT: u16 = 1 << 3;
/// `\`.
pub(super) const BACKSLASH: u16 = 1 << 4;
/// `&`.
pub(super) const AMPERSAND: u16 = 1 << 5;
/// `=`.
pub(super) const EQUALS: u16 = 1 << 6;
/// `"`.
pub(super) const QUOTE: u16 = 1 << 7;
/// `'` and the backtick.
pub(super) const APOSTROPHE: u16 = 1 << 8;
/// Decimal digits.
pub(super) const DIGIT: u16 = 1 << 9;
/// What text in pieces has between them.
pub(super) const SEPARATOR: u16 = 1 << 10;

/// The kinds of bytes in a view.
#[derive(Debug, Clone, Copy)]
pub(super) struct Census(u16);

impl Census {
    pub(super) fn of(bytes: &[u8]) -> Census {
        simd::best(|| Census(kinds(bytes)))
    }

    /// Whether any of these kinds is there.
    pub(super) fn any(self, kinds: u16) -> bool {
        self.0 & kinds != 0
    }
}

/// The kinds of all bytes, in a form that compilers make vectors of: every comparison for every byte, and no branch.
#[inline(always)]
fn kinds(bytes: &[u8]) -> u16 {
    let (blocks, rest) = bytes.as_chunks::<32>();
    let mut seen = [[0_u8; 32]; 2];
    for block in blocks {
        for (i, byte) in block.iter().enumerate() {
            seen[0][i] |= low(*byte);
            seen[1][i] |= high(*byte);
        }
    }
    let [low, high] = [(seen[0], low as fn(u8) -> u8), (seen[1], high)]
        .map(|(seen, kinds)| seen.iter().fold(0, |all, s| all | s) | rest.iter().fold(0, |all, b| all | kinds(*b)));
    u16::from_le_bytes([low, high])
}

/// The first eight kinds of a byte.
#[inline(always)]
fn low(b: u8) -> u8 {
    let control = b < 0x20 && !matches!(b, b'\t' | b'\n' | b'\r' | b'\x0c');
    flag(b >= 0x80, HIGH)
        | flag(control, CONTROL)
        | flag(b == 0, NUL)
        | flag(b == b'%', PERCENT)
        | flag(b == b'\\', BACKSLASH)
        | flag(b == b'&', AMPERSAND)
        | flag(b == b'=', EQUALS)
        | flag(b == b'"', QUOTE)
}

/// The others.
#[inline(always)]
fn high(b: u8) -> u8 {
    let separator = matches!(b, b'\n' | b' ' | b'-' | b'.' | b'/' | b',' | b'|' | b'_' | b':' | b';');
    flag(b == b'\'' || b == b'`', APOSTROPHE >> 8) | flag(b.is_ascii_digit(), DIGIT >> 8) | flag(separator, SEPARATOR >> 8)
}

#[inline(always)]
fn flag(is: bool, kind: u16) -> u8 {
    if is { kind as u8 } else { 0 }
}
