//! Text with a separator after every so many bytes: `gh p_ 3k Aj`, `g.h.p._`, a value wrapped into short lines.

use std::ops::{ControlFlow, Range};

use super::origins::Origins;
use super::sink::{Flow, Sink};

/// Fewer separators in step are chance.
const MIN_STEPS: usize = 5;
/// Longest piece between two separators.
const MAX_STRIDE: usize = 80;
/// Pieces this long come with a line break only: other separators at such distances are words and cells.
const MAX_INLINE: usize = 16;

/// A row of separators in step: where its first and last stand, how long one is, and piece and separator together.
#[derive(Debug, Clone, Copy)]
struct Row {
    first: usize,
    last: usize,
    separator: usize,
    stride: usize,
}

/// Kinds of separators.
const KINDS: usize = 14;

/// Every stretch whose separators stand in step, without them.
pub(super) fn peel(sink: &mut Sink<'_, '_>) -> Flow {
    if sink.view.layer == Some("separated") || sink.covered() {
        return ControlFlow::Continue(());
    }
    let bytes = sink.bytes();
    let mut floor = 0;
    for row in rows(bytes) {
        let piece = row.stride - row.separator;
        let range = row.first.saturating_sub(piece).max(floor)..(row.last + row.separator + piece).min(bytes.len());
        if range.start <= row.first {
            floor = range.end;
            strip(sink, &row, range)?;
        }
    }
    sink.work(1 + bytes.len() as u64 / 8, 0)
}

/// The separator at `at`: its kind, where it begins and how long it is. Blanks around a mark belong to it.
fn separator(bytes: &[u8], at: usize) -> Option<(usize, usize, usize)> {
    let around = |offset: isize| at.checked_add_signed(offset).and_then(|i| bytes.get(i)) == Some(&b' ');
    Some(match bytes.get(at)? {
        b'\n' if at > 0 && bytes.get(at - 1) == Some(&b'\r') => (0, at - 1, 2),
        b'\n' => (1, at, 1),
        b'-' if around(-1) && around(1) => (2, at - 1, 3),
        b'|' if around(-1) && around(1) => (3, at - 1, 3),
        b',' if around(1) => (4, at, 2),
        b' ' => (5, at, 1),
        b'-' => (6, at, 1),
        b'.' => (7, at, 1),
        b'/' => (8, at, 1),
        b',' => (9, at, 1),
        b'|' => (10, at, 1),
        b'_' => (11, at, 1),
        b':' => (12, at, 1),
        b';' => (13, at, 1),
        _ => return None,
    })
}

/// A row that may become long enough: where its last separator stands, its stride, and how many steps it has.
#[derive(Debug, Clone, Copy, Default)]
struct Growing {
    last: usize,
    stride: usize,
    steps: usize,
}

/// What is remembered of one kind of separator.
#[derive(Debug, Clone, Copy, Default)]
struct Recent {
    /// The last places, newest first, plus one; 0: none yet. A piece may hold separators itself, so the newest is not always the one before.
    places: [usize; 3],
    growing: [Growing; 4],
}

/// All rows that are long enough, by their beginning.
fn rows(bytes: &[u8]) -> Vec<Row> {
    let mut recent = [Recent::default(); KINDS];
    let mut rows: Vec<Row> = Vec::new();
    for at in candidates(bytes) {
        let Some((kind, begin, separator)) = separator(bytes, at) else { continue };
        let most = separator + if kind <= 1 { MAX_STRIDE } else { MAX_INLINE };
        let Some(recent) = recent.get_mut(kind) else { continue };
        for place in recent.places {
            let stride = if place == 0 { 0 } else { begin + 1 - place };
            if !(separator + 1..=most).contains(&stride) {
                continue;
            }
            let before = recent.growing.iter().position(|g| g.stride == stride && g.last + stride == begin && g.steps > 0);
            // A new row takes the place of the one that has not grown for longest.
            let oldest = || recent.growing.iter().enumerate().min_by_key(|(_, g)| g.last).map_or(0, |(i, _)| i);
            let slot = before.unwrap_or_else(oldest);
            let steps = before.and_then(|i| recent.growing.get(i)).map_or(2, |g| g.steps + 1);
            if let Some(growing) = recent.growing.get_mut(slot) {
                *growing = Growing { last: begin, stride, steps };
            }
            if steps == MIN_STEPS {
                rows.push(Row { first: begin - (MIN_STEPS - 1) * stride, last: begin, separator, stride });
            } else if steps > MIN_STEPS
                && let Some(row) =
                    rows.iter_mut().rev().take(16).find(|r| r.stride == stride && r.separator == separator && r.last + stride == begin)
            {
                row.last = begin;
            }
        }
        recent.places = [begin + 1, recent.places[0], recent.places[1]];
    }
    // The longest row of those that begin together comes first.
    rows.sort_by_key(|r| (r.first, std::cmp::Reverse(r.last)));
    rows
}

/// Where bytes stand that a separator may be.
fn candidates(bytes: &[u8]) -> impl Iterator<Item = usize> {
    bytes
        .iter()
        .enumerate()
        .filter(|(_, b)| matches!(b, b'\n' | b' ' | b'-' | b'.' | b'/' | b',' | b'|' | b'_' | b':' | b';'))
        .map(|(at, _)| at)
}

fn strip(sink: &mut Sink<'_, '_>, row: &Row, range: Range<usize>) -> Flow {
    let bytes = sink.bytes();
    let in_piece = |at: &usize| *at < row.first || (at - row.first) % row.stride >= row.separator;
    let (mut text, mut origins) = (Vec::with_capacity(range.len()), Origins::within(range.clone()));
    for at in range.clone().filter(in_piece) {
        origins.verbatim(1, at);
        text.extend(bytes.get(at));
    }
    origins.end(range.end);
    sink.mapped(text, origins, "separated")
}
