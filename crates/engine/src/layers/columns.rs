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

static BLANK: Class = Class::of(b" ");
static ALPHANUMERIC: Class = Class::of(b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz");

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
    // The same mark stands in each row, a blank or another.
    if bytes.len() <= super::census::SHORT {
        let (blanks, words) = (simd::count(bytes, &BLANK), simd::count(bytes, &ALPHANUMERIC));
        if blanks < MIN_ROWS && bytes.len() - words - blanks < MIN_ROWS {
            return ControlFlow::Continue(());
        }
    }
    let mut words = Vec::new();
    simd::masks(bytes, &ALPHANUMERIC, &mut words);
    let mut at = 0;
    while at + 2 * MIN_ROWS <= bytes.len() {
        let mut others = others(&words, at, bytes.len());
        let mut end = at + STEP;
        for _ in 0..MAX_MARKS.min(others.count_ones() as usize) {
            let mark = at + others.trailing_zeros() as usize;
            others &= others - 1;
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

/// Which of the [`STEP`] places from `at` on are of text and no letters or digits, which `words` has.
fn others(words: &[u64], at: usize, length: usize) -> u64 {
    let word = |i: usize| words.get(i).copied().unwrap_or_default();
    let (i, by) = (at / 64, at % 64);
    let here = word(i) >> by | word(i + 1) << 1 << (63 - by);
    !here & if length - at < 64 { (1 << (length - at)) - 1 } else { u64::MAX }
}

/// Hands on the rows that the mark at `mark` belongs to, at the first distance that gives words; where rows end, if there are any.
fn at_mark(sink: &mut Sink<'_, '_>, mark: usize) -> ControlFlow<(), usize> {
    let mut end = 0;
    let bytes = sink.bytes();
    let byte = bytes.get(mark).copied().unwrap_or_default();
    let behind = bytes.get(mark + 1..).unwrap_or_default();
    let same = match behind.first_chunk() {
        Some(block) => simd::same(block, byte),
        None => behind.iter().rev().fold(0, |same, b| same << 1 | u64::from(*b == byte)),
    };
    let in_step = |at: &usize| bytes.get(*at) == Some(&byte);
    let mut near = same & ((1 << MAX_PERIOD) - 1);
    for _ in 0..MAX_TRIES.min(near.count_ones() as usize) {
        let period = near.trailing_zeros() as usize + 1;
        near &= near - 1;
        if period < 2 || same >> (2 * period - 1) & 1 == 0 || !(3..MIN_ROWS).all(|n| in_step(&(mark + n * period))) {
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
fn constant(bytes: &[u8], rows: &Rows) -> [bool; MAX_PERIOD] {
    let head = bytes.get(rows.first..rows.first + rows.period).unwrap_or_default();
    let mut constant = [true; MAX_PERIOD];
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
    let constant = constant.get(..rows.period).unwrap_or_default();
    let marks = constant.iter().filter(|c| **c).count();
    // Separators of the usual kinds are found by their stride; rulers and fills say nothing.
    let head = bytes.get(rows.first..rows.last).unwrap_or_default();
    let usual =
        |(byte, constant): (&u8, &bool)| !constant || matches!(byte, b'\n' | b' ' | b'-' | b'.' | b'/' | b',' | b'|' | b'_' | b':' | b';');
    if marks == rows.period || (marks <= MAX_USUAL && head.iter().zip(constant).all(usual)) {
        return ControlFlow::Continue(false);
    }
    // The first piece stands before the first mark, with what is behind it in every row; the last may be shorter.
    let same = |back: &usize| {
        let column = rows.period - back;
        let byte = rows.first.checked_sub(*back).and_then(|at| bytes.get(at));
        byte.is_some() && (constant.get(column) == Some(&false) || byte == head.get(column))
    };
    let lead = (1..rows.period).take_while(same).count();
    let range = rows.first.saturating_sub(lead)..bytes.len().min(rows.last + rows.period);
    if sink.claimed(&range) || super::chance::hopeless(bytes.get(range.clone()).unwrap_or_default()) {
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
