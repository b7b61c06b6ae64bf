//! Text with the same bytes between its pieces at equal distances, whatever they are: `g*h*p*_`, `U+0067 U+0068`, `67h 68h`, `#67#68`, and
//! text whose characters take two, three or four bytes each, of which all but one are zero (UTF-16 and UTF-32 anywhere).

use std::ops::ControlFlow;

use simd::Class;

use super::origins::Origins;
use super::sink::{Flow, Sink};

/// One place in so many bytes is looked at.
const STEP: usize = 64;
/// Longest piece, and what separates it from the next.
const MAX_PERIOD: usize = 32;
/// Less repetitions are chance.
const MIN_ROWS: usize = 6;
/// So many marks are tried at one place, and so many distances for each.
const MAX_MARKS: usize = 2;
const MAX_TRIES: usize = 3;
/// Longest separator of blanks and the usual marks.
const MAX_USUAL: usize = 3;
/// Shorter words are no values.
const MIN_WORD: usize = 16;
/// What a value is made of.
static WORD: Class = Class::of(b"!#$%&()*+,-./0123456789:;=?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[]^_abcdefghijklmnopqrstuvwxyz{|}~");

/// Rows of one period.
#[derive(Debug)]
struct Rows {
    /// Where the first and the last begin.
    first: usize,
    last: usize,
    period: usize,
}

/// Every stretch in which some columns never change, without those.
pub(super) fn peel(sink: &mut Sink<'_, '_>) -> Flow {
    if matches!(sink.view.layer, Some("columns" | "joined")) || sink.covered() {
        return ControlFlow::Continue(());
    }
    let bytes = sink.bytes();
    let mut at = 0;
    while at + 2 * MIN_ROWS <= bytes.len() {
        let near = bytes.get(at..bytes.len().min(at + STEP)).unwrap_or_default();
        let marks = near.iter().enumerate().filter(|(_, b)| !b.is_ascii_alphanumeric()).take(MAX_MARKS);
        let mut end = at + STEP;
        for mark in marks.map(|(i, _)| at + i) {
            // What was looked at once is not looked at again, whatever came of it.
            end = end.max(at_mark(sink, mark)?);
            if end > at + STEP {
                break;
            }
        }
        at = end;
    }
    ControlFlow::Continue(())
}

/// Hands on the rows that the mark at `mark` belongs to, at the first distance that gives words; where rows end, if there are any.
fn at_mark(sink: &mut Sink<'_, '_>, mark: usize) -> ControlFlow<(), usize> {
    let mut end = 0;
    let bytes = sink.bytes();
    let byte = bytes.get(mark).copied().unwrap_or_default();
    let behind = bytes.get(mark + 1..bytes.len().min(mark + 1 + MAX_PERIOD)).unwrap_or_default();
    let in_step = |at: &usize| bytes.get(*at) == Some(&byte);
    for period in memchr::memchr_iter(byte, behind).take(MAX_TRIES).map(|i| i + 1).filter(|p| *p >= 2) {
        if !(2..MIN_ROWS).all(|n| in_step(&(mark + n * period))) {
            continue;
        }
        let before = (1..).map_while(|n| mark.checked_sub(n * period)).take_while(in_step).count();
        let after = (1..).map_while(|n| mark.checked_add(n * period)).take_while(in_step).count();
        let rows = Rows { first: mark - before * period, last: mark + after * period, period };
        sink.work(((before + after) * period) as u64 / 8, mark)?;
        end = end.max(rows.last);
        if strip(sink, &rows)? {
            break;
        }
    }
    ControlFlow::Continue(end)
}

/// Which columns are the same in all rows.
fn constant(bytes: &[u8], rows: &Rows) -> Vec<bool> {
    let head = bytes.get(rows.first..rows.first + rows.period).unwrap_or_default();
    let mut constant = vec![true; rows.period];
    // The last row may be cut.
    for row in bytes.get(rows.first..rows.last).unwrap_or_default().chunks_exact(rows.period) {
        for ((constant, byte), first) in constant.iter_mut().zip(row).zip(head) {
            *constant &= byte == first;
        }
    }
    constant
}

/// Hands on the rows without their constant columns, if that leaves words; whether it did.
fn strip(sink: &mut Sink<'_, '_>, rows: &Rows) -> ControlFlow<(), bool> {
    let bytes = sink.bytes();
    let constant = constant(bytes, rows);
    let marks = constant.iter().filter(|c| **c).count();
    // Separators of the usual kinds are found by their stride; rulers and fills say nothing.
    let head = bytes.get(rows.first..rows.last).unwrap_or_default();
    let usual =
        |(byte, constant): (&u8, &bool)| !constant || matches!(byte, b'\n' | b' ' | b'-' | b'.' | b'/' | b',' | b'|' | b'_' | b':' | b';');
    if marks == rows.period || (marks <= MAX_USUAL && head.iter().zip(&constant).all(usual)) {
        return ControlFlow::Continue(false);
    }
    // The first piece stands before the first mark, the last may be shorter.
    let lead = constant.iter().rev().take_while(|c| !**c).count();
    let range = rows.first.saturating_sub(lead)..bytes.len().min(rows.last + rows.period);
    if sink.claimed(&range) {
        return ControlFlow::Continue(false);
    }
    let (mut text, mut origins) = (Vec::with_capacity(range.len()), Origins::within(range.clone()));
    for at in range.clone() {
        let column = (at + rows.period - rows.first % rows.period) % rows.period;
        if !constant.get(column).copied().unwrap_or(true) {
            origins.verbatim(1, at);
            text.extend(bytes.get(at));
        }
    }
    origins.end(range.end);
    if simd::next_run(&text, 0, &WORD, MIN_WORD).is_none() || !super::chance::by_chance(text.iter()) {
        return ControlFlow::Continue(false);
    }
    sink.mapped(text, origins, "columns")?;
    ControlFlow::Continue(true)
}
