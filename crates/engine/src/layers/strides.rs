//! Text with a separator after every so many bytes: `gh p_ 3k Aj`, `g.h.p._`, a value wrapped into short lines.

use std::ops::{ControlFlow, Range, RangeInclusive};

use simd::{Class, next_run};

use super::chance::{by_chance, hopeless};
use super::origins::Origins;
use super::sink::{Flow, Sink};

/// Fewer separators in step are chance.
const MIN_STEPS: usize = 5;
/// Longest piece between two separators.
const MAX_STRIDE: usize = 80;
/// Pieces this long come with a line break only: other separators at such distances are words and cells.
const MAX_INLINE: usize = 16;

/// So many steps of a row may stand where its separators look like rulers.
const MAX_BETWEEN: usize = 16;

/// A row of separators in step: where its first and last stand, how long one is, and piece and separator together.
#[derive(Debug, Clone, Copy)]
struct Row {
    /// Which kind of separator.
    kind: usize,
    first: usize,
    last: usize,
    separator: usize,
    stride: usize,
}

/// Rows that begin this close together are of one text.
const SAME_PLACE: usize = 64;
/// So many rows are remembered that may be the same as the next.
const SIDE_BY_SIDE: usize = 16;

/// Every stretch whose separators stand in step, without them.
pub(super) fn peel(sink: &mut Sink<'_, '_>) -> Flow {
    if sink.view.layer == Some("separated")
        || sink.bytes().len() < MIN_WORD + MIN_STEPS
        || !sink.census.any(super::census::SEPARATOR)
        || sink.covered()
    {
        return ControlFlow::Continue(());
    }
    let bytes = sink.bytes();
    let lines = sink.census.any(super::census::LINE);
    let short = bytes.len() <= super::census::SHORT;
    if short && (!lines && simd::count(bytes, &MARKS) < MIN_STEPS || hopeless(bytes)) {
        return sink.work(1 + bytes.len() as u64 / 8, 0);
    }
    let mut done: Vec<Row> = Vec::new();
    let breaks = lines.then(|| sink.breaks());
    for row in rows(bytes, breaks.as_deref().unwrap_or_default()) {
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
fn rows(bytes: &[u8], breaks: &[usize]) -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    lines(bytes, breaks, &mut rows);
    let mut marks = Vec::new();
    simd::masks(bytes, &MARKS, &mut marks);
    let mut places = Vec::new();
    // Of few marks it is soon known that none stand in step.
    if marks.len() <= 2 {
        simd::in_step(&marks, STRIDES, &mut places);
        if rows.is_empty() && places.is_empty() {
            return rows;
        }
    }
    // Rulers and indents are no pieces.
    let mut repeats = Vec::new();
    simd::repeats(bytes, &mut repeats);
    marks.iter_mut().zip(&repeats).for_each(|(marks, repeats)| *marks &= !repeats);
    // Marks may be of several kinds, which `step` tells. One stride after the other: a row grows from left to right.
    simd::in_step(&marks, STRIDES, &mut places);
    for (at, stride) in places {
        step(bytes, &mut rows, at, stride as usize);
    }
    // By their beginning; of those side by side the longest separator first: others see parts of it.
    rows.sort_by_key(|r| (r.first / SAME_PLACE, std::cmp::Reverse((r.separator, r.last))));
    rows
}

/// Rows of line breaks.
fn lines(bytes: &[u8], breaks: &[usize], rows: &mut Vec<Row>) {
    let (mut last, mut stride, mut equal) = (usize::MAX, 0, 0);
    for at in breaks.iter().copied() {
        let this = at.wrapping_sub(last);
        equal = if this == stride { equal + 1 } else { 1 };
        (last, stride) = (at, this);
        if equal + 1 >= MIN_STEPS && (2..=MAX_STRIDE + 2).contains(&stride) {
            step(bytes, rows, at, stride);
        }
    }
}

/// The strides that are looked for, the longest of them a little more than a row may have.
const STRIDES: RangeInclusive<u32> = 2..=21;
/// One more mark, with another one stride before it: part of a row if enough stand before it in step, all of one kind.
fn step(bytes: &[u8], rows: &mut Vec<Row>, at: usize, stride: usize) {
    let kind = |at: usize| bytes.get(at).and_then(|mark| separator(bytes, at, *mark));
    let Some((this, begin, separator)) = kind(at) else { return };
    let most = separator + if this <= 1 { MAX_STRIDE } else { MAX_INLINE };
    if !(separator + 1..=most).contains(&stride) {
        return;
    }
    let goes_on = |r: &&mut Row| r.kind == this && r.stride == stride && r.last + stride == begin;
    if let Some(known) = rows.iter_mut().rev().take(16).find(goes_on) {
        known.last = begin;
        return;
    }
    let in_step = |n: usize| at.checked_sub(n * stride).and_then(kind).is_some_and(|(kind, _, length)| kind == this && length == separator);
    if !(1..MIN_STEPS).all(in_step) {
        return;
    }
    let first = begin - (MIN_STEPS - 1) * stride;
    // A separator that is a character of the text as well looks like a ruler: the row goes on behind it.
    let same = |r: &&mut Row| r.kind == this && r.stride == stride && r.last < first && (first - r.last).is_multiple_of(stride);
    let behind = |r: &Row| (first - r.last) / stride - 1;
    if let Some(known) = rows.iter_mut().rev().take(16).find(same)
        && behind(known) <= MAX_BETWEEN
        && (MIN_STEPS..).take(behind(known)).all(in_step)
    {
        known.last = begin;
        return;
    }
    rows.push(Row { kind: this, first, last: begin, separator, stride });
}

/// Shorter words are no values.
const MIN_WORD: usize = 16;
/// What a value is made of.
static WORD: Class = Class::of(b"!#$%&()*+,-./0123456789:;=?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[]^_abcdefghijklmnopqrstuvwxyz{|}~");

/// The bytes that a separator within a line may be.
static MARKS: Class = Class::of(b" -./,|_:;");

fn strip(sink: &mut Sink<'_, '_>, row: &Row, range: Range<usize>) -> Flow {
    let bytes = sink.bytes();
    // Words of one length in prose, mostly.
    if hopeless(bytes.get(range.clone()).unwrap_or_default()) {
        return ControlFlow::Continue(());
    }
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
    if next_run(&text, 0, &WORD, MIN_WORD).is_none() || !by_chance(text.iter()) {
        return ControlFlow::Continue(());
    }
    sink.mapped(text, origins, "separated")
}
