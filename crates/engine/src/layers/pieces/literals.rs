//! String literals in a row, and those that recur in documents of one form, as the deltas of a stream do.

use std::collections::VecDeque;
use std::ops::{ControlFlow, Range};

use super::quoted::Literals;
use super::{Escaped, MAX_PIECE, MIN_PIECES, alike, flush, join, random};
use crate::layers::sink::{Flow, Sink};

/// Longest text between two pieces of a row.
const MAX_GAP: usize = 48;
/// Longest text between two literals that recur.
const MAX_APART: usize = 1024;
/// So many literals of a document are remembered, to find the one that recurs.
const MEMORY: usize = 8;
/// A longer row needs no other beginning.
const MAX_BEGUN: usize = 64;
/// So much of what stands before a literal names it.
const NAME: usize = 5;

/// How two literals stand to each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Link {
    /// Side by side, with an operator or a comma between them.
    Beside,
    /// Values of keys or variables that are numbered.
    Numbered,
    /// Values of keys with other names.
    Named,
}

/// Joins rows of literals.
pub(super) fn peel(sink: &mut Sink<'_, '_>) -> Flow {
    let bytes = sink.bytes();
    let mut rows = Rows { row: Vec::new(), link: Link::Beside, stem: None };
    let mut recurring = Recurring::default();
    let mut before: Option<Range<usize>> = None;
    let mut literals = Literals::of(bytes);
    let mut at = 0;
    while let Some(literal) = literals.next(at, |start| sink.long_string(start)) {
        // A literal before a colon is a key: it is part of what stands between values.
        let key = bytes.get(literal.end + 1..).is_some_and(|rest| rest.iter().find(|b| !b.is_ascii_whitespace()) == Some(&b':'));
        at = literal.end + 1;
        if key && bytes.get(literal.start - 1) == Some(&b'"') {
            continue;
        }
        let gap = before.as_ref().map_or(0..literal.start - 1, |b| b.end + 1..literal.start - 1);
        let beside = rows.next(sink, &literal, bytes.get(gap).unwrap_or_default())?;
        recurring.next(bytes, &literal, beside);
        before = Some(literal);
    }
    rows.flush(sink)?;
    recurring.flush(sink)
}

/// The row of literals at hand.
struct Rows<'a> {
    row: Vec<Range<usize>>,
    link: Link,
    stem: Option<&'a [u8]>,
}

impl<'a> Rows<'a> {
    /// Takes the next literal, which stands behind `gap`; whether it belongs to the row.
    fn next(&mut self, sink: &mut Sink<'_, 'a>, literal: &Range<usize>, gap: &'a [u8]) -> ControlFlow<(), bool> {
        let name = name_of(gap);
        let now = match name {
            None if beside(gap) => Some(Link::Beside),
            Some(Name { stem: Some(stem), .. }) if self.stem == Some(stem) => Some(Link::Numbered),
            Some(Name { value: true, .. }) => Some(Link::Named),
            _ => None,
        };
        let fits = literal.len() <= MAX_PIECE;
        let joins = fits && now.is_some() && !self.row.is_empty();
        if joins && self.row.len() > 1 && now != Some(self.link) {
            // Another row begins with the last of this one.
            let last = self.row.last().cloned();
            self.flush(sink)?;
            self.row.extend(last);
        }
        if joins {
            self.link = now.unwrap_or(self.link);
            self.row.push(literal.clone());
        } else {
            self.flush(sink)?;
            if fits {
                self.row.push(literal.clone());
            }
        }
        self.stem = name.and_then(|n| n.stem);
        ControlFlow::Continue(joins && now != Some(Link::Named))
    }

    fn flush(&mut self, sink: &mut Sink<'_, 'a>) -> Flow {
        // Values of other names are seldom one: only what looks like pieces of a secret.
        if self.link == Link::Named && !((MIN_PIECES..=MAX_NAMED).contains(&self.row.len()) && random(sink.bytes(), &self.row)) {
            self.row.clear();
        }
        flush(sink, &mut self.row, Escaped::Backslash)
    }
}

/// An object of more values is a record.
const MAX_NAMED: usize = 16;

/// Literals that stand behind the same text, at the same distance in documents that repeat.
#[derive(Default)]
struct Recurring {
    /// The last literals, newest first.
    last: VecDeque<Seen>,
    rows: Vec<Row>,
}

/// Literals that recur.
struct Row {
    /// What stands before it and may be its beginning.
    begin: Option<Range<usize>>,
    pieces: Vec<Range<usize>>,
}

/// A literal that may recur.
struct Seen {
    literal: Range<usize>,
    /// What stands right before it; none, where there is not so much.
    name: Option<[u8; NAME]>,
    /// The one before it of the same name.
    before: Option<Range<usize>>,
    /// The row it belongs to.
    row: Option<usize>,
}

impl Recurring {
    fn next(&mut self, bytes: &[u8], literal: &Range<usize>, beside: bool) {
        // Over lines go the literals of prose and of code that was cut wrongly.
        if literal.len() > MAX_PIECE || memchr::memchr(b'\n', bytes.get(literal.clone()).unwrap_or_default()).is_some() {
            return;
        }
        let name = literal.start.checked_sub(NAME).and_then(|i| bytes.get(i..)?.first_chunk::<NAME>().copied());
        let head = |l: &Range<usize>| bytes.get(l.start.saturating_sub(NAME)..l.start);
        let same = |seen: &&Seen| {
            let alike = seen.name == name && (name.is_some() || head(&seen.literal) == head(literal));
            alike && seen.literal.end + MAX_APART >= literal.start
        };
        let known = self.last.iter().skip(usize::from(beside)).find(same);
        let mut row = None;
        if let Some(Seen { literal: second, before: Some(first), row: known, .. }) = known {
            let gap = |from: &Range<usize>, to: &Range<usize>| bytes.get(from.end..to.start).unwrap_or_default();
            if alike(gap(first, second), gap(second, literal)) {
                row = *known;
                match row.and_then(|r| self.rows.get_mut(r)) {
                    Some(row) => row.pieces.push(literal.clone()),
                    None => {
                        row = Some(self.rows.len());
                        // The first of all stands behind something else: what the others are appended to.
                        let begins = |seen: &&Seen| {
                            let end = seen.literal.end;
                            end < first.start && first.start - end <= MAX_GAP.min(second.start - first.end + 2)
                        };
                        let begin = self.last.iter().find(begins).map(|seen| seen.literal.clone());
                        self.rows.push(Row { begin, pieces: vec![first.clone(), second.clone(), literal.clone()] });
                    }
                }
            }
        }
        let before = known.map(|seen| seen.literal.clone());
        self.last.truncate(MEMORY - 1);
        self.last.push_front(Seen { literal: literal.clone(), name, before, row });
    }

    fn flush(self, sink: &mut Sink<'_, '_>) -> Flow {
        for Row { begin, pieces } in self.rows {
            if let Some(begin) = begin.filter(|_| pieces.len() <= MAX_BEGUN) {
                join(sink, std::iter::once(begin).chain(pieces.iter().cloned()).collect(), Escaped::Backslash)?;
            }
            join(sink, pieces, Escaped::Backslash)?;
        }
        ControlFlow::Continue(())
    }
}

/// Whether two literals with this between them are one value: commas, operators, brackets, line ends, a letter that marks the literal.
fn beside(gap: &[u8]) -> bool {
    let (gap, mark) = match gap.split_last() {
        Some((mark, rest)) if mark.is_ascii_alphabetic() && rest.last().is_none_or(|b| !b.is_ascii_alphanumeric()) => (rest, true),
        _ => (gap, false),
    };
    let sign = |b: &u8| {
        b.is_ascii_whitespace()
            || matches!(
                b,
                b',' | b'+'
                    | b'.'
                    | b'&'
                    | b'|'
                    | b'('
                    | b')'
                    | b'\\'
                    | b'~'
                    | b';'
                    | b'_'
                    | b'<'
                    | b'>'
                    | b'['
                    | b']'
                    | b'{'
                    | b'}'
                    | b'$'
                    | b'#'
                    | b'@'
                    | b'*'
                    | b'^'
            )
    };
    gap.len() <= MAX_GAP && gap.iter().all(sign) && !(mark && gap.is_empty())
}

/// What names the literal behind a text.
#[derive(Debug, Clone, Copy)]
struct Name<'a> {
    /// Of a name that counts: what is left without the count.
    stem: Option<&'a [u8]>,
    /// Whether it is a key, after a comma.
    value: bool,
}

/// The key or variable that the text between two literals names: of `, "part1": ` and `\np1 = ` the stems are `part` and `p`; letters that count
/// (`a`, `b`, `c`) have an empty stem.
fn name_of(gap: &[u8]) -> Option<Name<'_>> {
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
    let stem = if stem.len() < name.len() { Some(stem) } else { (name.len() == 1).then_some(&[][..]) };
    let value = text.get(..first)?.iter().all(|b| b.is_ascii_whitespace() || matches!(b, b',' | b'"' | b'\'' | b';'));
    Some(Name { stem, value })
}
