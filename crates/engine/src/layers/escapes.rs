//! Character-wise escapes wherever they stand: percent, backslash, HTML entities, quoted-printable.

use std::ops::ControlFlow;

use super::census;
use super::chars::{Chars, Escape, Escapes, hex_digit, stretches};
use super::sink::{Flow, Sink};
use crate::LayerId;

/// Percent-encoding.
pub(super) const PERCENT: Escapes = Escapes { find: |b| memchr::memchr(b'%', b), read: percent };
/// Percent-encoding with `+` for a blank.
pub(super) const FORM: Escapes = Escapes { find: |b| memchr::memchr2(b'%', b'+', b), read: percent_plus };
/// Backslash escapes.
pub(super) const BACKSLASH: Escapes = Escapes { find: |b| memchr::memchr(b'\\', b), read: backslash };
const ENTITY: Escapes = Escapes { find: |b| memchr::memchr(b'&', b), read: entity };
const QUOTED: Escapes = Escapes { find: |b| memchr::memchr(b'=', b), read: quoted };

/// One family: its name, its escapes, how many make a stretch worth a look.
const FAMILIES: [(LayerId, u32, Escapes, usize); 4] = [
    ("percent", census::PERCENT, PERCENT, 1),
    ("escape", census::BACKSLASH, BACKSLASH, 1),
    ("html-entity", census::AMPERSAND, ENTITY, 1),
    ("quoted-printable", census::EQUALS, QUOTED, 2),
];

/// Hands on each stretch with its escapes undone, one family at a time: mixtures fall out of the recursion. What grammars have handed on is left
/// to those leaves.
pub(super) fn peel(sink: &mut Sink<'_, '_>) -> Flow {
    let source = sink.bytes();
    for (layer, sign, escapes, least) in FAMILIES {
        if !sink.census.any(sign) {
            continue;
        }
        let mut found = Vec::new();
        for part in sink.unclaimed_parts() {
            stretches(source.get(..part.end).unwrap_or_default(), part.start, escapes, |stretch| {
                if stretch.strong >= least {
                    found.push(stretch.range);
                }
                ControlFlow::Continue(())
            })?;
        }
        for range in found {
            let chars = Chars::undo(source, range, escapes);
            if chars.escapes > 0 {
                sink.loose(chars, layer)?;
            }
        }
    }
    ControlFlow::Continue(())
}

fn hex_pair(source: &[u8], at: usize) -> Option<u8> {
    Some(hex_digit(*source.get(at)?)? << 4 | hex_digit(*source.get(at + 1)?)?)
}

fn hex_number(source: &[u8], at: usize, digits: usize) -> Option<u32> {
    source.get(at..at + digits)?.iter().try_fold(0_u32, |n, b| Some(n << 4 | u32::from(hex_digit(*b)?)))
}

/// `%41` (RFC 3986 section 2.1), and `%u0041` (ECMAScript's `escape`).
fn percent(source: &[u8], at: usize) -> Option<Escape> {
    match source.get(at..)? {
        [b'%', b'u' | b'U', ..] => unicode(source, at),
        [b'%', ..] => hex_pair(source, at + 1).map(|b| Escape::byte(b, 3)),
        _ => None,
    }
}

/// As [`percent`], and `+` for a blank (the form encoding of the URL standard).
fn percent_plus(source: &[u8], at: usize) -> Option<Escape> {
    if source.get(at) == Some(&b'+') { Some(Escape::byte(b' ', 1).weak()) } else { percent(source, at) }
}

/// Backslash escapes of JSON, JavaScript, C, Perl, Python and CSS: `\n`, `\u0041`, `\u{41}`, `\x41`, `\x{41}`, `\101`, `\o{101}`, `\41 `, `\000041`,
/// `\N{U+0041}`, `\N{LATIN SMALL LETTER A}`.
fn backslash(source: &[u8], at: usize) -> Option<Escape> {
    if source.get(at) != Some(&b'\\') {
        return None;
    }
    let next = *source.get(at + 1)?;
    let simple = |byte| Some(Escape::byte(byte, 2).weak());
    match next {
        b'n' => simple(b'\n'),
        b't' => simple(b'\t'),
        b'r' => simple(b'\r'),
        b'b' => simple(8),
        b'f' => simple(12),
        b'"' | b'\\' | b'/' | b'\'' => Some(Escape::byte(next, 2)),
        // The line goes on: C, Python, shells.
        b'\n' => Some(Escape::nothing(2)),
        b'\r' if source.get(at + 2) == Some(&b'\n') => Some(Escape::nothing(3)),
        b'x' | b'o' if source.get(at + 2) == Some(&b'{') => braced(source, at, if next == b'x' { 16 } else { 8 }),
        b'x' => hex_pair(source, at + 2).map(|b| Escape::byte(b, 4)),
        b'N' => named(source, at),
        b'u' => unicode(source, at),
        b'U' => hex_number(source, at + 2, 8).and_then(char::from_u32).map(|c| Escape::char(c, 10)),
        // Six digits, or a blank that ends them: CSS. In C and JSON no digit follows three of them.
        b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F' if let Some(escape) = css(source, at) => Some(escape),
        b'0'..=b'3' => {
            let digits = source.get(at + 1..at + 4)?;
            let value = digits.iter().try_fold(0_u32, |n, b| (b'0'..=b'7').contains(b).then(|| n * 8 + u32::from(b - b'0')))?;
            u8::try_from(value).ok().map(|b| Escape::byte(b, 4))
        }
        _ => None,
    }
}

/// `\x{41}` in hexadecimal, `\o{101}` in octal.
fn braced(source: &[u8], at: usize, radix: u32) -> Option<Escape> {
    let length = source.get(at + 3..)?.iter().take(8).position(|b| *b == b'}')?;
    let digits = std::str::from_utf8(source.get(at + 3..at + 3 + length)?).ok()?;
    char::from_u32(u32::from_str_radix(digits.trim_ascii(), radix).ok()?).map(|c| Escape::char(c, length + 4))
}

/// `\000041`, and `\41 ` with a blank that belongs to it (CSS Syntax level 3, section 4.3.7).
fn css(source: &[u8], at: usize) -> Option<Escape> {
    let rest = source.get(at + 1..)?;
    let digits = rest.iter().take(6).take_while(|b| hex_digit(**b).is_some()).count();
    let blank = rest.get(digits) == Some(&b' ');
    let padded = digits == 6 && rest.starts_with(b"00");
    if !(padded || (blank && (2..=6).contains(&digits))) {
        return None;
    }
    let c = char::from_u32(hex_number(source, at + 1, digits)?).filter(|c| padded || *c >= ' ')?;
    Some(Escape::char(c, 1 + digits + usize::from(blank)))
}

/// `\N{U+0041}` (Perl) and the names of ASCII characters (Python; The Unicode Standard, chapter "C0 Controls and Basic Latin").
fn named(source: &[u8], at: usize) -> Option<Escape> {
    let rest = source.get(at + 2..)?.strip_prefix(b"{")?;
    let length = rest.iter().take(MAX_NAME).position(|b| *b == b'}')?;
    let name = std::str::from_utf8(rest.get(..length)?).ok()?;
    let used = length + 4;
    if let Some(hex) = name.strip_prefix("U+") {
        return char::from_u32(u32::from_str_radix(hex, 16).ok()?).map(|c| Escape::char(c, used));
    }
    super::names::ascii(name).map(|byte| Escape::byte(byte, used))
}

/// Longest name of a character in ASCII, and some.
const MAX_NAME: usize = 40;

/// `\u0041`, a surrogate pair of two, `\u{1f600}`.
fn unicode(source: &[u8], at: usize) -> Option<Escape> {
    if source.get(at + 2) == Some(&b'{') {
        let length = source.get(at + 3..)?.iter().take(7).position(|b| *b == b'}')?;
        let c = char::from_u32(hex_number(source, at + 3, length)?)?;
        return Some(Escape::char(c, length + 4));
    }
    let unit = hex_number(source, at + 2, 4)?;
    if let Some(c) = char::from_u32(unit) {
        return Some(Escape::char(c, 6));
    }
    let low = source.get(at + 6..at + 8).filter(|p| matches!(p, [b'\\' | b'%', b'u'])).and_then(|_| hex_number(source, at + 8, 4));
    match low {
        Some(low @ 0xdc00..=0xdfff) if unit < 0xdc00 => {
            char::from_u32(0x1_0000 + ((unit - 0xd800) << 10) + (low - 0xdc00)).map(|c| Escape::char(c, 12))
        }
        _ => Some(Escape::char(char::REPLACEMENT_CHARACTER, 6)),
    }
}

/// `&#65;`, `&#x41;` and the names that stand for ASCII (HTML standard, section 13.5).
fn entity(source: &[u8], at: usize) -> Option<Escape> {
    const NAMES: [(&[u8], u8); 24] = [
        (b"amp", b'&'),
        (b"lt", b'<'),
        (b"gt", b'>'),
        (b"quot", b'"'),
        (b"apos", b'\''),
        (b"nbsp", b' '),
        (b"lowbar", b'_'),
        (b"UnderBar", b'_'),
        (b"hyphen", b'-'),
        (b"dash", b'-'),
        (b"colon", b':'),
        (b"equals", b'='),
        (b"sol", b'/'),
        (b"plus", b'+'),
        (b"period", b'.'),
        (b"comma", b','),
        (b"num", b'#'),
        (b"dollar", b'$'),
        (b"percnt", b'%'),
        (b"commat", b'@'),
        (b"excl", b'!'),
        (b"Tab", b'\t'),
        (b"NewLine", b'\n'),
        (b"bsol", b'\\'),
    ];
    let rest = source.get(at..)?.strip_prefix(b"&")?;
    if let Some(escape) = unclosed(rest) {
        return Some(escape);
    }
    let length = rest.iter().take(12).position(|b| *b == b';')?;
    let name = rest.get(..length)?;
    let used = length + 2;
    if let Some(number) = name.strip_prefix(b"#") {
        let text = std::str::from_utf8(number).ok()?;
        let value = match text.strip_prefix(['x', 'X']) {
            Some(hex) => u32::from_str_radix(hex, 16).ok()?,
            None => text.parse().ok()?,
        };
        return char::from_u32(value).map(|c| Escape::char(c, used));
    }
    NAMES.iter().find(|(n, _)| *n == name).map(|(_, byte)| Escape::byte(*byte, used))
}

/// `&#65` and `&#x41` without the semicolon, as browsers read them too: up to the first byte that is no digit.
fn unclosed(rest: &[u8]) -> Option<Escape> {
    let number = rest.strip_prefix(b"#")?;
    let (radix, digits) = match number {
        [b'x' | b'X', hex @ ..] => (16, hex),
        _ => (10, number),
    };
    let length = digits.iter().take(9).take_while(|b| char::from(**b).is_digit(radix)).count();
    if length == 0 || digits.get(length) == Some(&b';') {
        return None;
    }
    let value = u32::from_str_radix(std::str::from_utf8(digits.get(..length)?).ok()?, radix).ok()?;
    char::from_u32(value).map(|c| Escape::char(c, 2 + number.len() - digits.len() + length))
}

/// `=41`, and the soft line break (RFC 2045 section 6.7).
fn quoted(source: &[u8], at: usize) -> Option<Escape> {
    match source.get(at..)? {
        [b'=', b'\r', b'\n', ..] => Some(Escape::nothing(3)),
        [b'=', b'\n', ..] => Some(Escape::nothing(2)),
        [b'=', ..] => {
            // Upper case is what the RFC asks for; lower case is how much else looks, so it is no sign.
            let escape = hex_pair(source, at + 1).map(|b| Escape::byte(b, 3))?;
            let upper = source.get(at + 1..at + 3)?.iter().all(|b| !b.is_ascii_lowercase());
            Some(if upper { escape } else { escape.weak() })
        }
        _ => None,
    }
}
