//! What stands next to a match.
//!
//! Text: the neighbour is no token byte. Binary: a length or tag byte that happens to be a letter is no neighbour in that sense. Escapes: the
//! letter of `\n` or the digits of `%3D` belong to the escape.

use std::ops::Range;

fn token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// Bytes that no text has.
fn binary(byte: u8) -> bool {
    byte >= 0x80 || (byte < 0x20 && !matches!(byte, b'\t' | b'\r' | b'\n'))
}

/// Whether a match may begin here.
pub(crate) fn left(bytes: &[u8], at: usize) -> bool {
    let before = &bytes[..at];
    match before {
        [] => true,
        [.., b] if !token(*b) => true,
        [.., b'\\', b'n' | b't' | b'r' | b'f' | b'b' | b'v' | b'a' | b'e' | b'0'] => true,
        [.., b'%', x, y] if x.is_ascii_hexdigit() && y.is_ascii_hexdigit() => true,
        [.., b'\\', b'x', x, y] if x.is_ascii_hexdigit() && y.is_ascii_hexdigit() => true,
        [.., b'\\', b'u', a, b, c, d] if [a, b, c, d].iter().all(|h| h.is_ascii_hexdigit()) => true,
        [.., a, _] if binary(*a) => true,
        [.., a, _, _] if binary(*a) => true,
        _ => false,
    }
}

/// Whether a match may end here; `full` when the pattern could not have taken more.
pub(crate) fn right(bytes: &[u8], at: usize, full: bool) -> bool {
    match &bytes[at..] {
        [] => true,
        [b, ..] if !token(*b) => true,
        [_, a, ..] if full && binary(*a) => true,
        [_, _, a, ..] if full && binary(*a) => true,
        _ => false,
    }
}

/// How much more base64 than the match itself stands around it when it is a piece of a blob.
const BLOB: usize = 256;

/// Whether a match stands in a long run of base64 that has `+` near it, as URL paths do not.
pub(crate) fn in_blob(bytes: &[u8], at: &Range<usize>) -> bool {
    let member = |b: &&u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/');
    let before = bytes[..at.start].iter().rev().take(BLOB).take_while(member);
    let after = bytes[at.end..].iter().take(BLOB).take_while(member);
    let around: Vec<u8> = before.chain(after).copied().collect();
    around.len() >= BLOB && around.contains(&b'+') && around.contains(&b'/')
}
