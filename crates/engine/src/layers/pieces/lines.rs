//! Lines of one form, of which a part differs: list items, quoted mail, columns, numbered settings.

use std::ops::{ControlFlow, Range};

use super::{Escaped, flush, join};
use crate::layers::sink::{Flow, Sink};

/// A longer line is no piece.
const MAX_LINE: usize = 160;
/// A longer part that differs is no piece.
const MAX_PART: usize = 80;
/// Shorter lines are no wrapped text.
const MIN_WRAPPED: usize = 8;
/// More lines than this are found by their stride.
const MAX_WRAPPED: usize = 8;
/// A longer number does not count lines.
const MAX_COUNT: usize = 6;

/// Joins what differs in lines that begin and end alike.
pub(super) fn peel(sink: &mut Sink<'_, '_>) -> Flow {
    let bytes = sink.bytes();
    let mut row: Vec<Range<usize>> = Vec::new();
    // The line before, if it may hold a piece, and what it begins with.
    let mut last: Option<(Range<usize>, Option<u8>)> = None;
    let mut wrapped = Wrapped::default();
    // How the lines of the row begin and end.
    let mut form: Option<(usize, usize)> = None;
    let mut at = 0;
    let breaks = sink.breaks();
    for end in breaks.iter().copied().chain([bytes.len()]) {
        let line = at..end - usize::from(end > at && bytes.get(end - 1) == Some(&b'\r'));
        at = end + 1;
        if line.is_empty() {
            continue;
        }
        wrapped.next(sink, &line)?;
        let sign_of = bytes.get(line.clone()).and_then(begins);
        // Most lines have nothing in common but their indent, which is no mark.
        let alike = last.as_ref().filter(|(_, before)| line.len() <= MAX_LINE && *before == sign_of);
        let pair = alike.and_then(|(before, _)| compare(bytes, before, &line));
        match pair {
            Some((one, other)) => {
                let signs = (sign(bytes, &line, &other), line.end - other.end);
                if row.is_empty() || form != Some(signs) {
                    flush(sink, &mut row, Escaped::Percent)?;
                    row.push(one);
                }
                form = Some(signs);
                row.push(other);
            }
            None if row.is_empty() => form = None,
            None => {
                flush(sink, &mut row, Escaped::Percent)?;
                form = None;
            }
        }
        last = (line.len() <= MAX_LINE).then_some((line, sign_of));
    }
    wrapped.flush(sink)?;
    flush(sink, &mut row, Escaped::Percent)
}

/// Lines of one length, but for the last: text that was cut so.
#[derive(Default)]
struct Wrapped(Vec<Range<usize>>);

impl Wrapped {
    fn next(&mut self, sink: &mut Sink<'_, '_>, line: &Range<usize>) -> Flow {
        let length = self.0.last().map_or(0, Range::len);
        let text = sink.bytes().get(line.clone()).unwrap_or_default();
        // The indent of most lines says it at once.
        let blank = || text.first() == Some(&b' ') || memchr::memchr(b' ', text).is_some();
        let whole = (MIN_WRAPPED..=MAX_PART).contains(&line.len()) && !blank();
        if whole && line.len() == length {
            self.0.push(line.clone());
            return ControlFlow::Continue(());
        }
        if !whole && self.0.is_empty() {
            return ControlFlow::Continue(());
        }
        if self.0.len() >= 2 && line.len() < length {
            self.0.push(line.clone());
        }
        self.flush(sink)?;
        if whole {
            self.0.push(line.clone());
        }
        ControlFlow::Continue(())
    }

    /// Longer rows are found by their stride.
    fn flush(&mut self, sink: &mut Sink<'_, '_>) -> Flow {
        let lines = std::mem::take(&mut self.0);
        if (2..=MAX_WRAPPED).contains(&lines.len()) { join(sink, lines, Escaped::Percent) } else { ControlFlow::Continue(()) }
    }
}

/// How many bytes that are no digits stand before a part.
fn sign(bytes: &[u8], line: &Range<usize>, part: &Range<usize>) -> usize {
    bytes.get(line.start..part.start).map_or(0, |head| head.iter().filter(|b| !b.is_ascii_digit() && !b.is_ascii_whitespace()).count())
}

/// What a line begins with behind its indent; numbers count up, so that they are all the same.
fn begins(line: &[u8]) -> Option<u8> {
    line.iter().find(|b| !matches!(b, b' ' | b'\t')).map(|b| if b.is_ascii_digit() { b'0' } else { *b })
}

/// What differs in two lines, if it may be a piece in each, and something that is the same stands around it.
fn compare(bytes: &[u8], one: &Range<usize>, other: &Range<usize>) -> Option<(Range<usize>, Range<usize>)> {
    let (a, b) = (bytes.get(one.clone())?, bytes.get(other.clone())?);
    let (first, second) = head(a, b)?;
    // An indent is no mark.
    if a.get(..first)?.trim_ascii().is_empty() {
        return None;
    }
    let (x, y) = (a.get(first..)?, b.get(second..)?);
    let same = same_end(x, y);
    // The end begins where a word does not.
    let tail = x.get(x.len() - same..)?;
    let tail = tail.iter().position(|b| !part_of_word(*b)).map_or(0, |i| same - i);
    let (x, y) = (first..a.len() - tail, second..b.len() - tail);
    // Quoted-printable has its own line ends.
    let soft = a.ends_with(b"=") && b.ends_with(b"=");
    // Words go on in any length; what has blanks in it is cut at one length, but for the last.
    let cut = x.len() >= y.len();
    let piece = |text: &[u8], part: &Range<usize>| {
        let fits = |b: &u8| (*b > b' ' || (*b == b' ' && cut)) && !matches!(b, b',' | b'"' | b'\'');
        (1..=MAX_PART).contains(&part.len()) && text.get(part.clone()).is_some_and(|w| w.iter().all(fits))
    };
    (!soft && piece(a, &x) && piece(b, &y)).then(|| (one.start + x.start..one.start + x.end, other.start + y.start..other.start + y.end))
}

fn part_of_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte >= 0x80 || matches!(byte, b'+' | b'/' | b'=' | b'-' | b'_')
}

/// How long what two lines begin with is in each; numbers in it may count up. It ends before a word. None if there is nothing.
fn head(a: &[u8], b: &[u8]) -> Option<(usize, usize)> {
    let (mut i, mut j) = (0, 0);
    loop {
        let same = same_beginning(a.get(i..)?, b.get(j..)?);
        (i, j) = (i + same, j + same);
        // The number in which they differ begins where it may be the same still.
        let digits = a.get(..i)?.iter().rev().take(j).take_while(|b| b.is_ascii_digit()).count();
        match (count(a, i - digits), count(b, j - digits)) {
            // Not past the same number twice.
            (Some((n, x)), Some((m, y))) if x.checked_add(1) == Some(y) && (n > digits || m > digits) => {
                (i, j) = (i - digits + n, j - digits + m);
            }
            _ => break,
        }
    }
    // Back to where a word may begin.
    let text = a.get(..i)?;
    let end = text.iter().rposition(|b| !part_of_word(*b) || *b == b'=').map(|i| i + 1);
    let end = end.or_else(|| text.first().filter(|b| !b.is_ascii_alphanumeric()).map(|_| 1))?;
    Some((end, j - (i - end)))
}

/// How many bytes two texts begin with are the same.
fn same_beginning(a: &[u8], b: &[u8]) -> usize {
    let ((x, _), (y, _)) = (a.as_chunks::<8>(), b.as_chunks::<8>());
    let whole = 8 * x.iter().zip(y).take_while(|(p, q)| p == q).count();
    let (a, b) = (a.get(whole..).unwrap_or_default(), b.get(whole..).unwrap_or_default());
    whole + a.iter().zip(b).take_while(|(p, q)| p == q).count()
}

/// How many bytes two texts end with are the same.
fn same_end(a: &[u8], b: &[u8]) -> usize {
    let ((_, x), (_, y)) = (a.as_rchunks::<8>(), b.as_rchunks::<8>());
    let whole = 8 * x.iter().rev().zip(y.iter().rev()).take_while(|(p, q)| p == q).count();
    let (a, b) = (a.get(..a.len() - whole).unwrap_or_default(), b.get(..b.len() - whole).unwrap_or_default());
    whole + a.iter().rev().zip(b.iter().rev()).take_while(|(p, q)| p == q).count()
}

/// The number at `at` and how many digits it has, if it is short and no letter follows.
fn count(text: &[u8], at: usize) -> Option<(usize, u32)> {
    let rest = text.get(at..)?;
    let digits = rest.iter().take(MAX_COUNT + 1).take_while(|b| b.is_ascii_digit()).count();
    let ends = rest.get(digits).is_none_or(|b| !b.is_ascii_alphanumeric());
    let value = || rest.get(..digits)?.iter().try_fold(0_u32, |n, b| n.checked_mul(10)?.checked_add(u32::from(b - b'0')));
    ((1..=MAX_COUNT).contains(&digits) && ends).then(value)?.map(|value| (digits, value))
}
