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

/// Rows that begin this close together are of one text.
const SAME_PLACE: usize = 64;
/// So many rows are remembered that may be the same as the next.
const SIDE_BY_SIDE: usize = 16;

/// Kinds of separators.
const KINDS: usize = 14;

/// Every stretch whose separators stand in step, without them.
pub(super) fn peel(sink: &mut Sink<'_, '_>) -> Flow {
    if sink.view.layer == Some("separated") || !sink.census.any(super::census::SEPARATOR) || sink.covered() {
        return ControlFlow::Continue(());
    }
    let bytes = sink.bytes();
    let mut done: Vec<Row> = Vec::new();
    for row in rows(bytes) {
        // The same row seen by a part of its separators, or by every second one.
        let middle = row.first.midpoint(row.last);
        let seen = |d: &Row| d.first <= middle && middle <= d.last && row.stride.is_multiple_of(d.stride);
        if !done.iter().rev().take(SIDE_BY_SIDE).any(seen) {
            let piece = row.stride - row.separator;
            let range = row.first.saturating_sub(piece)..(row.last + row.separator + piece).min(bytes.len());
            done.push(row);
            strip(sink, &row, range)?;
        }
    }
    sink.work(1 + bytes.len() as u64 / 8, 0)
}

/// The separator at `at`: its kind, where it begins and how long it is. Blanks around a mark belong to it.
fn separator(bytes: &[u8], at: usize, mark: u8) -> Option<(usize, usize, usize)> {
    let around = |offset: isize| at.checked_add_signed(offset).and_then(|i| bytes.get(i)) == Some(&b' ');
    Some(match mark {
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

/// All rows that are long enough, by their beginning.
fn rows(bytes: &[u8]) -> Vec<Row> {
    // The last places of each kind, newest first. A piece may hold separators itself, so the newest is not always the one before.
    let mut places = [[usize::MAX; 3]; KINDS];
    let mut rows: Vec<Row> = Vec::new();
    for (at, mark) in bytes.iter().enumerate().filter(|(_, b)| MARKS[usize::from(**b)]) {
        let Some((kind, begin, separator)) = self::separator(bytes, at, *mark) else { continue };
        let Some(recent) = places.get_mut(kind) else { continue };
        let most = separator + if kind <= 1 { MAX_STRIDE } else { MAX_INLINE };
        for place in *recent {
            let stride = begin.wrapping_sub(place);
            // The farthest first: it is the one that chance does not put there.
            let far = at.wrapping_sub(stride.wrapping_mul(MIN_STEPS - 1));
            if stride > separator && stride <= most && bytes.get(far) == Some(mark) {
                step(bytes, &mut rows, Row { first: begin, last: begin, separator, stride }, kind);
            }
        }
        *recent = [begin, recent[0], recent[1]];
    }
    // By their beginning; of those side by side the longest separator first: others see parts of it.
    rows.sort_by_key(|r| (r.first / SAME_PLACE, std::cmp::Reverse((r.separator, r.last))));
    rows
}

/// One more separator, with another one stride before it: part of a row if enough stand before it in step.
fn step(bytes: &[u8], rows: &mut Vec<Row>, row: Row, kind: usize) {
    let Row { last: begin, separator, stride, .. } = row;
    if let Some(known) = rows.iter_mut().rev().take(16).find(|r| r.stride == stride && r.separator == separator && r.last + stride == begin)
    {
        known.last = begin;
        return;
    }
    let in_step = (1..MIN_STEPS).all(|n| {
        begin.checked_sub(n * stride).is_some_and(|place| {
            let mark = place + usize::from(separator > 1 && kind != 4);
            bytes.get(mark).is_some_and(|b| self::separator(bytes, mark, *b) == Some((kind, place, separator)))
        })
    });
    if in_step {
        rows.push(Row { first: begin - (MIN_STEPS - 1) * stride, ..row });
    }
}

/// Shorter words are no values.
const MIN_WORD: usize = 16;
/// What a value is made of.
static WORD: super::runs::Class =
    super::runs::class(b"!#$%&()*+,-./0123456789:;=?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[]^_abcdefghijklmnopqrstuvwxyz{|}~");

/// The bytes that a separator may be.
static MARKS: super::runs::Class = super::runs::class(b"\n -./,|_:;");

fn strip(sink: &mut Sink<'_, '_>, row: &Row, range: Range<usize>) -> Flow {
    let bytes = sink.bytes();
    let in_piece = |at: &usize| *at < row.first || (at - row.first) % row.stride >= row.separator;
    let (mut text, mut origins) = (Vec::with_capacity(range.len()), Origins::within(range.clone()));
    for at in range.clone().filter(in_piece) {
        origins.verbatim(1, at);
        text.extend(bytes.get(at));
    }
    origins.end(range.end);
    // Without its separators a value is one word.
    if super::runs::next(&text, 0, &WORD, MIN_WORD).is_none() {
        return ControlFlow::Continue(());
    }
    sink.mapped(text, origins, "separated")
}
