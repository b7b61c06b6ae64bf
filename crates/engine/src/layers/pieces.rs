//! Values in pieces: string literals that are concatenated, listed, numbered or streamed; lines and elements of one form; assignments in a row;
//! and the parts of a path.
//!
//! What makes pieces of one value is never a list of operators or names alone: it is that the same text stands between them, again and again.

mod assigned;
mod lines;
mod literals;
mod markup;
mod quoted;

use std::ops::{ControlFlow, Range};

use super::chance::by_chance;
use super::chars::Chars;
use super::origins::Origins;
use super::sink::{Flow, Sink};
use super::{bounds, census, escapes, root};
use crate::Location;

/// Fewer pieces are not joined.
const MIN_PIECES: usize = 3;
/// A longer one is no piece.
const MAX_PIECE: usize = 256;
/// Less than this together is no value.
const MIN_JOINED: usize = 16;
/// So much is tried in the other order as well.
const MAX_BACKWARDS: usize = 1024;

/// Joins what belongs together.
pub(super) fn peel(sink: &mut Sink<'_, '_>) -> Flow {
    if sink.view.layer == Some("joined") {
        return ControlFlow::Continue(());
    }
    match sink.view.kind.map(|k| &k.location) {
        Some(Location::Path) => return join(sink, root::split(sink.bytes(), |b| b == b'/'), Escaped::Percent),
        Some(Location::Host) => return join(sink, root::split(sink.bytes(), |b| b == b'.'), Escaped::Percent),
        _ => {}
    }
    if sink.census.any(census::QUOTE | census::APOSTROPHE) {
        literals::peel(sink)?;
    }
    if sink.census.any(census::EQUALS) {
        assigned::peel(sink)?;
    }
    // What is in leaves is joined there.
    if sink.covered() {
        return ControlFlow::Continue(());
    }
    if sink.census.any(census::LINE) {
        lines::peel(sink)?;
    }
    if sink.census.any(census::ANGLE) { markup::peel(sink) } else { ControlFlow::Continue(()) }
}

/// What escapes pieces may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Escaped {
    /// As in string literals.
    Backslash,
    /// As in URLs.
    Percent,
}

/// Hands on a row that is long enough, and leaves it empty.
fn flush(sink: &mut Sink<'_, '_>, row: &mut Vec<Range<usize>>, escaped: Escaped) -> Flow {
    if row.len() >= MIN_PIECES {
        return join(sink, std::mem::take(row), escaped);
    }
    row.clear();
    ControlFlow::Continue(())
}

/// Hands on the pieces as one text, their escapes undone.
fn join(sink: &mut Sink<'_, '_>, mut pieces: Vec<Range<usize>>, escaped: Escaped) -> Flow {
    let length = pieces.iter().map(Range::len).sum::<usize>();
    let bytes = sink.bytes();
    let first = pieces.first().and_then(|p| bytes.get(p.clone()));
    if pieces.len() < 2
        || length < MIN_JOINED
        || pieces.iter().all(|p| bytes.get(p.clone()) == first)
        || !by_chance(pieces.iter().flat_map(|p| bytes.get(p.clone()).unwrap_or_default()))
    {
        return ControlFlow::Continue(());
    }
    let row = pieces.first().map_or(0, |p| p.start)..pieces.last().map_or(0, |p| p.end);
    let row = if escaped == Escaped::Percent { row } else { bounds::listed(bytes, bounds::quoted(bytes, row)) };
    one_text(sink, &pieces, &row, escaped)?;
    if length <= MAX_BACKWARDS && (MIN_PIECES..=MAX_BACKWARDS / 32).contains(&pieces.len()) && random(bytes, &pieces) {
        pieces.reverse();
        one_text(sink, &pieces, &row, escaped)?;
    }
    ControlFlow::Continue(())
}

fn one_text(sink: &mut Sink<'_, '_>, pieces: &[Range<usize>], row: &Range<usize>, escaped: Escaped) -> Flow {
    let bytes = sink.bytes();
    let (mut joined, mut origins) = (Vec::new(), Origins::within(row.clone()));
    for piece in pieces {
        let escapes = if escaped == Escaped::Percent { escapes::PERCENT } else { escapes::BACKSLASH };
        let part = Chars::undo(bytes, piece.clone(), escapes);
        origins.append(&part.origins);
        joined.extend_from_slice(&part.bytes);
        sink.work(1, part.range().end)?;
    }
    // Letters that were escaped may be words.
    if !by_chance(joined.iter()) {
        return ControlFlow::Continue(());
    }
    sink.mapped(joined, origins, "joined")
}

/// Whether most pieces look made by chance, as those of a secret do: digits among letters, capitals behind small ones.
fn random(bytes: &[u8], pieces: &[Range<usize>]) -> bool {
    let chance = |piece: &&Range<usize>| {
        let text = bytes.get((*piece).clone()).unwrap_or_default();
        let digit = text.iter().any(u8::is_ascii_digit) && text.iter().any(u8::is_ascii_alphabetic);
        let turn = text.windows(2).any(|w| w[0].is_ascii_lowercase() && w[1].is_ascii_uppercase());
        !text.iter().any(u8::is_ascii_whitespace) && (digit || turn)
    };
    pieces.iter().filter(chance).count() * 2 > pieces.len()
}

/// Whether two texts between pieces are the same, but for blanks and for numbers, which count.
fn alike(one: &[u8], other: &[u8]) -> bool {
    if one.len().abs_diff(other.len()) > MAX_DRIFT {
        return false;
    }
    let (mut i, mut j) = (0, 0);
    let eight = |text: &[u8], at: usize| text.get(at..).and_then(|rest| rest.first_chunk::<8>().copied());
    loop {
        // Most of it is the same.
        while let (Some(p), Some(q)) = (eight(one, i), eight(other, j))
            && p == q
        {
            (i, j) = (i + 8, j + 8);
        }
        match (one.get(i), other.get(j)) {
            (Some(p), Some(q)) if p == q => (i, j) = (i + 1, j + 1),
            (Some(p), _) if drifts(*p) => i += 1,
            (_, Some(q)) if drifts(*q) => j += 1,
            (end, other_end) => return end.is_none() && other_end.is_none(),
        }
    }
}

fn drifts(byte: u8) -> bool {
    byte.is_ascii_whitespace() || byte.is_ascii_digit()
}

/// By how much counters and indents change the length of what stands between two pieces.
const MAX_DRIFT: usize = 16;
