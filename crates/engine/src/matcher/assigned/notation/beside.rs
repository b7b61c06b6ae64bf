//! Values that stand beside their name without a sign: cells of tables, directives of configuration files, defaults of declarations, prose.

use std::ops::Range;

use super::{Sign, blanks, opened, quote};

/// Bytes from a name to its value in the next cell or the default of its declaration.
const MAX_GAP: usize = 200;
/// Words of a line before the name of a directive: `set -gx NAME value`, `user bob password 0 value`.
const MAX_WORDS: usize = 4;
/// Words that may stand between a name and its colon: `the key for the weather service: value`.
const MAX_BETWEEN: usize = 6;

/// What stands between the name at `name` and a value beside it, and where that begins.
pub(super) fn sign(bytes: &[u8], name: &Range<usize>) -> Option<(Sign, usize)> {
    let end = quote(bytes, name.end).map_or(name.end, |q| q.end);
    match bytes.get(end)? {
        b',' if pair(bytes, name.start, end) => Some((Sign::Word, end + 1)),
        b'<' => cell(bytes, name.start, end).map(|at| (Sign::Tag, at)),
        b'*' | b'_' => emphasis(bytes, end).map(|at| (Sign::Assigned, at)),
        b' ' | b'\t' => {
            let at = blanks(bytes, end);
            match bytes.get(at)? {
                b'|' => Some((Sign::Assigned, blanks(bytes, at + 1))),
                b'{' => declared(bytes, at).map(|at| (Sign::Assigned, at)),
                _ if directive(bytes, name.start, at) => Some((Sign::Word, at)),
                _ => phrase(bytes, at).map(|at| (Sign::Word, at)),
            }
        }
        _ => None,
    }
}

/// Behind a call of one value: `Some("x")`, `SecretString::from("x")`.
pub(super) fn wrapped(bytes: &[u8], at: usize) -> usize {
    let rest = bytes.get(at..bytes.len().min(at + 48)).unwrap_or_default();
    let length = rest.iter().take_while(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b':' | b'.')).count();
    let inner = at + length + 1;
    if length > 0 && rest.get(length) == Some(&b'(') && quote(bytes, inner).is_some() { inner } else { at }
}

/// Behind blanks and line ends.
pub(super) fn spaces(bytes: &[u8], at: usize) -> usize {
    at + bytes.get(at..).unwrap_or_default().iter().take(64).take_while(|b| b.is_ascii_whitespace()).count()
}

/// The text of the next element, for a name that is the whole text of one: `<td>NAME</td><td>value`, `<key>NAME</key><string>value`.
fn cell(bytes: &[u8], start: usize, end: usize) -> Option<usize> {
    let whole = matches!(start.checked_sub(1).and_then(|i| bytes.get(i)), Some(b'>' | b'\n' | b' '));
    let gap = bytes.get(..bytes.len().min(end + MAX_GAP))?;
    let mut at = end;
    let mut open = false;
    // `</code></td>`, blanks, `<td class="x"><code>`: no text in between.
    while whole && gap.get(at) == Some(&b'<') {
        let close = gap.get(at + 1) == Some(&b'/');
        if close && open {
            return None;
        }
        open |= !close;
        let name = at + 1 + usize::from(close);
        let length = gap.get(name..)?.iter().take_while(|b| b.is_ascii_alphanumeric() || matches!(b, b':' | b'-' | b'_')).count();
        at = spaces(gap, opened(gap, name + length)?);
    }
    open.then_some(at)
}

/// Whether the name at `start` is the first of the two cells of a line.
fn pair(bytes: &[u8], start: usize, end: usize) -> bool {
    let first = start.checked_sub(1).and_then(|i| bytes.get(i)).is_none_or(|b| *b == b'\n');
    let rest = bytes.get(end + 1..bytes.len().min(end + 1 + super::MAX_VALUE)).unwrap_or_default();
    let line = memchr::memchr(b'\n', rest).map_or(rest, |n| rest.get(..n).unwrap_or_default());
    first && line.first().is_some_and(u8::is_ascii_graphic) && !line.contains(&b',')
}

/// Behind the end of bold or slanted text of Markdown and its colon: `**NAME**: value`, `**NAME:** value`.
fn emphasis(bytes: &[u8], at: usize) -> Option<usize> {
    let marks = bytes.get(at..)?.iter().take(3).take_while(|b| matches!(b, b'*' | b'_')).count();
    let colon = blanks(bytes, at + marks);
    (bytes.get(colon) == Some(&b':')).then(|| blanks(bytes, colon + 1))
}

/// The default of a declaration: `variable "x" { … default = value`, `string X { get; set; } = value`.
fn declared(bytes: &[u8], at: usize) -> Option<usize> {
    let body = bytes.get(at..bytes.len().min(at + MAX_GAP))?;
    let behind = if body.starts_with(b"{ get") {
        memchr::memchr(b'}', body)? + 1
    } else {
        let word = memchr::memmem::find(body, b"default")?;
        if body.get(..word)?.contains(&b'}') {
            return None;
        }
        word + b"default".len()
    };
    let equals = blanks(bytes, at + behind);
    (bytes.get(equals) == Some(&b'=')).then(|| blanks(bytes, equals + 1))
}

/// Whether the name at `start` and the value at `value` are the last two words of a line of few words: `requirepass value`, `set -gx NAME value`.
fn directive(bytes: &[u8], start: usize, value: usize) -> bool {
    let rest = bytes.get(value..bytes.len().min(value + super::MAX_VALUE)).unwrap_or_default();
    // A sentence ends there, or something is put in brackets.
    let sentence =
        value.checked_sub(2).and_then(|i| bytes.get(i)) == Some(&b'.') || matches!(rest.first(), Some(b'[' | b'(' | b'{' | b'<'));
    let length = rest.iter().take_while(|b| b.is_ascii_graphic()).count();
    // Escapes and quotes end the line of a text in a string.
    let last = match rest.get(length..) {
        Some([] | [b'\n' | b'\r', ..]) => true,
        Some([b' ', ..]) => rest.get(blanks(rest, length)).is_none_or(|b| matches!(b, b'\n' | b'\r')),
        _ => false,
    };
    let line = bytes.get(start.saturating_sub(96)..start).unwrap_or_default();
    let line = line.iter().rposition(|b| matches!(b, b'\n' | b'\r')).map_or(line, |i| line.get(i + 1..).unwrap_or_default());
    let words = || line.split(u8::is_ascii_whitespace).filter(|w| !w.is_empty());
    let plain = |word: &[u8]| word.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'/' | b'+' | b':'));
    !sentence && last && line.len() < 96 && words().count() <= MAX_WORDS && words().all(plain)
}

/// Behind a few small words and a colon or ` is `: `key for the weather service: value`.
fn phrase(bytes: &[u8], at: usize) -> Option<usize> {
    let mut at = at;
    for _ in 0..MAX_BETWEEN {
        let length = bytes.get(at..)?.iter().take(16).take_while(|b| b.is_ascii_lowercase()).count();
        let next = at + length;
        match bytes.get(next)? {
            b':' if length > 0 && bytes.get(next + 1) == Some(&b' ') => return Some(blanks(bytes, next + 1)),
            b' ' if bytes.get(at..next) == Some(b"is") => return Some(blanks(bytes, next)),
            b' ' if length > 0 => at = next + 1,
            _ => return None,
        }
    }
    None
}
