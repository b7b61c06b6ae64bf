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

/// Bytes in which marks are collected before they are looked at.
const BLOCK: usize = 512;
/// Rows that begin this close together are of one text.
const SAME_PLACE: usize = 64;
/// So many rows are remembered that may be the same as the next.
const SIDE_BY_SIDE: usize = 16;

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
    // The last places of each mark, newest first. A piece may hold marks itself, so the newest is not always the one before.
    let mut places = [[usize::MAX / 2; 3]; MARKS.len()];
    let mut rows: Vec<Row> = Vec::new();
    let mut found = [0_u16; BLOCK];
    for (base, block) in (0..).step_by(BLOCK).zip(bytes.chunks(BLOCK)) {
        // Where marks are, without a branch that text makes unpredictable.
        let mut count = 0;
        for (i, byte) in (0..).zip(block) {
            found[count] = i;
            count += usize::from(INDEX[usize::from(*byte)] != u8::MAX);
        }
        for at in found[..count].iter().map(|i| base + usize::from(*i)) {
            let byte = bytes[at];
            let mark = usize::from(INDEX[usize::from(byte)]);
            let Some(recent) = places.get_mut(mark) else { continue };
            let most = if mark == 0 { MAX_STRIDE + 2 } else { MAX_INLINE + 3 };
            // The farthest mark first: it is the one that chance does not put there. All places at once, so that there is one branch, which is
            // hardly ever taken.
            let far = |place: usize| {
                let stride = at.wrapping_sub(place);
                let near = stride.wrapping_sub(2) <= most - 2;
                let step = if near { stride } else { 0 };
                let back = |n: usize| bytes[at.saturating_sub(step * n)] == byte;
                near & back(MIN_STEPS - 1) & back(MIN_STEPS - 2) & back(2)
            };
            // Rulers and indents are no pieces.
            let same = bytes[at.saturating_sub(1)] == byte;
            if !same & (far(recent[0]) | far(recent[1]) | far(recent[2])) {
                for place in recent.iter().filter(|p| far(**p)) {
                    step(bytes, &mut rows, at, at - place);
                }
            }
            *recent = [at, recent[0], recent[1]];
        }
    }
    // By their beginning; of those side by side the longest separator first: others see parts of it.
    rows.sort_by_key(|r| (r.first / SAME_PLACE, std::cmp::Reverse((r.separator, r.last))));
    rows
}

/// One more mark, with another one stride before it: part of a row if enough stand before it in step, all of one kind.
fn step(bytes: &[u8], rows: &mut Vec<Row>, at: usize, stride: usize) {
    let kind = |at: usize| bytes.get(at).and_then(|mark| separator(bytes, at, *mark));
    let Some((this, begin, separator)) = kind(at) else { return };
    let most = separator + if this <= 1 { MAX_STRIDE } else { MAX_INLINE };
    if !(separator + 1..=most).contains(&stride) {
        return;
    }
    if let Some(known) = rows.iter_mut().rev().take(16).find(|r| r.stride == stride && r.separator == separator && r.last + stride == begin)
    {
        known.last = begin;
        return;
    }
    let in_step = |n: usize| at.checked_sub(n * stride).and_then(kind).is_some_and(|(kind, _, length)| kind == this && length == separator);
    if (1..MIN_STEPS).all(in_step) {
        rows.push(Row { first: begin - (MIN_STEPS - 1) * stride, last: begin, separator, stride });
    }
}

/// Shorter words are no values.
const MIN_WORD: usize = 16;
/// What a value is made of.
static WORD: super::runs::Class =
    super::runs::class(b"!#$%&()*+,-./0123456789:;=?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[]^_abcdefghijklmnopqrstuvwxyz{|}~");

/// The bytes that a separator may be; a line break is the first.
const MARKS: [u8; 10] = *b"\n -./,|_:;";

/// Where in [`MARKS`] a byte is; beyond them for others.
static INDEX: [u8; 256] = {
    let mut index = [u8::MAX; 256];
    let mut i = 0;
    while i < MARKS.len() {
        index[MARKS[i] as usize] = i as u8;
        i += 1;
    }
    index
};

fn strip(sink: &mut Sink<'_, '_>, row: &Row, range: Range<usize>) -> Flow {
    let bytes = sink.bytes();
    let (mut text, mut origins) = (Vec::with_capacity(range.len()), Origins::within(range.clone()));
    let mut at = range.start;
    let mut next = row.first;
    while at < range.end {
        // A piece, then what separates it from the next.
        let end = next.min(range.end);
        origins.verbatim(end - at, at);
        text.extend_from_slice(bytes.get(at..end).unwrap_or_default());
        (at, next) = (end + row.separator, next + row.stride);
    }
    origins.end(range.end);
    // Without its separators a value is one word.
    if super::runs::next(&text, 0, &WORD, MIN_WORD).is_none() {
        return ControlFlow::Continue(());
    }
    sink.mapped(text, origins, "separated")
}
