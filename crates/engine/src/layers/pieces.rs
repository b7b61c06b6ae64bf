//! Values in pieces: string literals that are concatenated, listed in an array, or numbered; and the parts of a path.

use std::ops::{ControlFlow, Range};

use super::chars::Chars;
use super::origins::Origins;
use super::sink::{Flow, Sink};
use super::{bounds, census, escapes, root};
use crate::Location;

/// Fewer pieces are not joined.
const MIN_PIECES: usize = 3;
/// A longer literal is no piece.
const MAX_PIECE: usize = 256;
/// Longest text between two pieces.
const MAX_GAP: usize = 48;

/// Joins what belongs together.
pub(super) fn peel(sink: &mut Sink<'_, '_>) -> Flow {
    if sink.view.layer == Some("joined") {
        return ControlFlow::Continue(());
    }
    match sink.view.kind.map(|k| &k.location) {
        Some(Location::Path) => join(sink, root::split(sink.bytes(), |b| b == b'/')),
        Some(Location::Host) => join(sink, root::split(sink.bytes(), |b| b == b'.')),
        Some(Location::Query) => numbered(sink),
        _ if sink.census.any(census::QUOTE | census::APOSTROPHE) => literals(sink),
        _ => ControlFlow::Continue(()),
    }
}

/// How two literals stand to each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Link {
    /// Side by side, with an operator or a comma between them.
    Beside,
    /// Values of keys or variables that are numbered.
    Numbered,
}

/// String literals in a row.
fn literals(sink: &mut Sink<'_, '_>) -> Flow {
    let bytes = sink.bytes();
    let mut row: Vec<Range<usize>> = Vec::new();
    let mut link = Link::Beside;
    let mut stem: Option<&[u8]> = None;
    let mut before: Option<Range<usize>> = None;
    let mut at = 0;
    while let Some(literal) = next_literal(bytes, at) {
        // A literal before a colon is a key: it is part of what stands between values.
        let key = bytes.get(literal.end + 1..).is_some_and(|rest| rest.iter().find(|b| !b.is_ascii_whitespace()) == Some(&b':'));
        at = literal.end + 1;
        if key && bytes.get(literal.start - 1) == Some(&b'"') {
            continue;
        }
        let gap = before.as_ref().map_or(0..literal.start - 1, |b| b.end + 1..literal.start - 1);
        let gap = bytes.get(gap).unwrap_or_default();
        let name = name_of(gap);
        let now = match name {
            None if beside(gap) => Some(Link::Beside),
            Some(name) if stem.is_some_and(|s| s == name) => Some(Link::Numbered),
            _ => None,
        };
        let fits = literal.len() <= MAX_PIECE;
        match now {
            Some(now) if fits && (row.len() <= 1 || now == link) && !row.is_empty() => {
                link = now;
                row.push(literal.clone());
            }
            _ => {
                flush(sink, &mut row)?;
                if fits {
                    row.push(literal.clone());
                }
            }
        }
        stem = name;
        before = Some(literal);
    }
    flush(sink, &mut row)
}

fn flush(sink: &mut Sink<'_, '_>, row: &mut Vec<Range<usize>>) -> Flow {
    let row = std::mem::take(row);
    if row.len() >= MIN_PIECES { join(sink, row) } else { ControlFlow::Continue(()) }
}

/// The content of the next quoted literal that begins at or after `from`.
fn next_literal(bytes: &[u8], from: usize) -> Option<Range<usize>> {
    let mut at = from;
    loop {
        at += memchr::memchr3(b'"', b'\'', b'`', bytes.get(at..)?)?;
        let quote = *bytes.get(at)?;
        // A fence of Markdown, an apostrophe in a word: neither opens a literal.
        let fence = bytes.get(at..).unwrap_or_default().iter().take_while(|b| **b == quote).count();
        if fence >= 3 {
            at += fence;
            continue;
        }
        if quote == b'\'' && in_word(bytes, at) {
            at += 1;
            continue;
        }
        if let Some(literal) = literal(bytes, at + 1, quote) {
            return Some(literal);
        }
        at += 1;
    }
}

/// Whether the apostrophe at `at` stands between letters of a word; one or two letters before it may be a prefix, as of `b'…'`.
fn in_word(bytes: &[u8], at: usize) -> bool {
    let letters = bytes.get(..at).unwrap_or_default().iter().rev().take(3).take_while(|b| b.is_ascii_alphanumeric()).count();
    letters >= 3
        || (letters > 0
            && bytes.get(at + 1).is_some_and(u8::is_ascii_lowercase)
            && bytes.get(at + 2).is_none_or(|b| !b.is_ascii_alphanumeric()))
}

/// The literal whose content begins at `start`, if it is closed where one may be.
fn literal(bytes: &[u8], start: usize, quote: u8) -> Option<Range<usize>> {
    let mut end = start;
    loop {
        end += memchr::memchr3(quote, b'\\', b'\n', bytes.get(end..)?)?;
        match bytes.get(end)? {
            b'\\' => end += 2,
            b if *b == quote => return Some(start..end),
            // Over lines go short pieces only: what is longer begins in prose, most likely.
            _ if end - start > MAX_PIECE => return None,
            _ => end += 1,
        }
    }
}

/// Whether two literals with this between them are one value: commas, operators, brackets, line ends.
fn beside(gap: &[u8]) -> bool {
    gap.len() <= MAX_GAP
        && gap
            .iter()
            .all(|b| b.is_ascii_whitespace() || matches!(b, b',' | b'+' | b'.' | b'&' | b'|' | b'(' | b')' | b'\\' | b'~' | b';' | b'_'))
}

/// The stem of the key or variable that the text between two literals names: `, "part1": ` and `\np1 = ` give `part` and `p`; letters that
/// count (`a`, `b`, `c`) have an empty stem.
fn name_of(gap: &[u8]) -> Option<&[u8]> {
    if gap.len() > MAX_GAP {
        return None;
    }
    let end = gap.iter().rposition(|b| matches!(b, b':' | b'='))?;
    let text = gap.get(..end)?;
    let last = text.iter().rposition(|b| b.is_ascii_alphanumeric())?;
    let first = text.get(..=last)?.iter().rposition(|b| !(b.is_ascii_alphanumeric() || *b == b'_')).map_or(0, |i| i + 1);
    let name = text.get(first..=last)?;
    let stem = name.iter().rposition(|b| !b.is_ascii_digit()).map_or(0, |i| i + 1);
    let stem = name.get(..stem)?;
    if stem.len() < name.len() { Some(stem) } else { (name.len() == 1).then_some(&[]) }
}

/// Values of query parameters whose names are numbered or the same.
fn numbered(sink: &mut Sink<'_, '_>) -> Flow {
    let bytes = sink.bytes();
    let mut row: Vec<Range<usize>> = Vec::new();
    let mut stem: Option<Vec<u8>> = None;
    for pair in root::split(bytes, |b| b == b'&') {
        let Some(eq) = bytes.get(pair.clone()).and_then(|p| p.iter().position(|b| *b == b'=')) else { continue };
        let name = bytes.get(pair.start..pair.start + eq).unwrap_or_default();
        let digits = name.iter().rposition(|b| !(b.is_ascii_digit() || matches!(b, b'[' | b']'))).map_or(0, |i| i + 1);
        let this = if name.len() == 1 { Vec::new() } else { name.get(..digits).unwrap_or_default().to_vec() };
        if stem.as_ref() != Some(&this) {
            flush(sink, &mut row)?;
        }
        stem = Some(this);
        row.push(pair.start + eq + 1..pair.end);
    }
    flush(sink, &mut row)
}

/// Hands on the pieces as one text, their escapes undone.
fn join(sink: &mut Sink<'_, '_>, pieces: Vec<Range<usize>>) -> Flow {
    if pieces.len() < 2 {
        return ControlFlow::Continue(());
    }
    let bytes = sink.bytes();
    let url = sink.view.kind.is_some_and(|k| k.location != Location::Body);
    let row = pieces.first().map_or(0, |p| p.start)..pieces.last().map_or(0, |p| p.end);
    let row = if url { row } else { bounds::listed(bytes, bounds::quoted(bytes, row)) };
    let (mut joined, mut origins) = (Vec::new(), Origins::within(row));
    for piece in pieces {
        let part = if url { Chars::undo(bytes, piece, escapes::PERCENT) } else { Chars::undo(bytes, piece, escapes::BACKSLASH) };
        origins.append(&part.origins);
        joined.extend_from_slice(&part.bytes);
        sink.work(1, part.range().end)?;
    }
    sink.mapped(joined, origins, "joined")
}
