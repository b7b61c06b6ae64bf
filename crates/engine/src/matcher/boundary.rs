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

/// How far around binary bytes are looked for that make a length believable.
const NEAR: usize = 128;
/// Bytes that end a message behind its last text.
const LAST: usize = 2;

/// Whether the byte before `at` may be a length that happens to be a letter: the cheap question.
pub(crate) fn may_be_counted(bytes: &[u8], at: usize) -> bool {
    let near = |part: Option<&[u8]>| part.is_some_and(|p| p.iter().any(|b| binary(*b)));
    // A view may be all of a message, with a tag that is a letter too.
    at > 0 && (near(bytes.get(at.saturating_sub(NEAR)..at)) || near(bytes.get(at..(at + NEAR).min(bytes.len()))))
}

/// Whether the byte before a match is its length, as serialisations write it: plain (protobuf, CBOR, `MessagePack`, marshal), with the byte that ends
/// it, doubled (Avro), with five more (Ruby), or as the type of an `SQLite` column. `true` on the right too: the length says where it ends.
pub(crate) fn counted(bytes: &[u8], whole: &Range<usize>) -> bool {
    may_be_counted(bytes, whole.start) && lengths(bytes, whole.start).contains(&Some(whole.len()))
}

/// The lengths that the byte before `at` may stand for.
pub(crate) fn lengths(bytes: &[u8], at: usize) -> [Option<usize>; 5] {
    let said = at.checked_sub(1).and_then(|i| bytes.get(i)).map_or(0, |b| usize::from(*b));
    let half = |n: Option<usize>| n.filter(|n| n.is_multiple_of(2)).map(|n| n / 2);
    [Some(said), said.checked_sub(1), half(Some(said)), said.checked_sub(5), half(said.checked_sub(13))]
}

/// Whether a match begins a longer text whose length stands before it, and that binary bytes end.
pub(crate) fn begins_counted(bytes: &[u8], at: usize) -> bool {
    let said = at.checked_sub(1).and_then(|i| bytes.get(i)).map(|b| usize::from(*b));
    let text = said.and_then(|n| bytes.get(at..at + n));
    text.is_some_and(|t| !t.iter().any(|b| binary(*b)) && (at + t.len() + LAST >= bytes.len() || binary(bytes[at + t.len()])))
        && may_be_counted(bytes, at)
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
