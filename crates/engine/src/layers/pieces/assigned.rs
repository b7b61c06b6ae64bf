//! Assignments in a row, without quotes: parameters of a query or a form, cookies, shell variables, lines of a settings file.

use std::ops::{ControlFlow, Range};

use super::{Escaped, MAX_PIECE, MIN_PIECES, flush, random};
use crate::layers::sink::{Flow, Sink};

/// Longest name.
const MAX_NAME: usize = 48;
/// Longest text between a value and the next name: `; export `.
const MAX_GAP: usize = 16;

/// Rows of assignments at hand.
#[derive(Default)]
struct Rows<'a> {
    /// Values of names that are numbered or the same, by what is left of the name without the number.
    counted: Vec<(&'a [u8], Vec<Range<usize>>)>,
    /// All values.
    all: Vec<Range<usize>>,
}

/// Joins the values of names that are numbered or the same; and those of any names that look like pieces of a secret.
pub(super) fn peel(sink: &mut Sink<'_, '_>) -> Flow {
    let bytes = sink.bytes();
    let mut rows = Rows::default();
    let (mut at, mut end) = (0, 0);
    while let Some(eq) = bytes.get(at..).and_then(|rest| memchr::memchr(b'=', rest)).map(|i| at + i) {
        at = eq + 1;
        let Some((name, value)) = assignment(bytes, end, eq) else { continue };
        if name.start.saturating_sub(end) > MAX_GAP || end == 0 {
            flush_all(sink, &mut rows)?;
        }
        at = value.end.max(at);
        end = value.end;
        let stem = stem(bytes.get(name).unwrap_or_default());
        match rows.counted.iter().position(|(s, _)| *s == stem) {
            Some(known) => rows.counted[known].1.push(value.clone()),
            None if rows.counted.len() < MAX_STEMS => rows.counted.push((stem, vec![value.clone()])),
            None => {}
        }
        rows.all.push(value);
    }
    flush_all(sink, &mut rows)
}

/// So many names are told apart in one row.
const MAX_STEMS: usize = 16;
/// A row of more values of different names is no value in pieces.
const MAX_ALL: usize = 24;

fn flush_all(sink: &mut Sink<'_, '_>, rows: &mut Rows<'_>) -> Flow {
    let Rows { counted, mut all } = std::mem::take(rows);
    let one_stem = counted.len() == 1;
    for (_, mut row) in counted {
        flush(sink, &mut row, Escaped::Percent)?;
    }
    if !one_stem && (MIN_PIECES..=MAX_ALL).contains(&all.len()) && random(sink.bytes(), &all) {
        flush(sink, &mut all, Escaped::Percent)?;
    }
    ControlFlow::Continue(())
}

/// The name before the `=` at `eq` and the value behind it, if both are words.
fn assignment(bytes: &[u8], floor: usize, eq: usize) -> Option<(Range<usize>, Range<usize>)> {
    let value = |b: &u8| b.is_ascii_graphic() && !matches!(b, b'&' | b';' | b',' | b'"' | b'\'' | b'`' | b'<' | b'>' | b'(' | b')' | b'|');
    let length = bytes.get(eq + 1..)?.iter().take(MAX_PIECE + 1).take_while(|b| value(b)).count();
    // Not `==`, not an expression.
    if length == 0 || length > MAX_PIECE || bytes.get(eq + 1) == Some(&b'=') {
        return None;
    }
    let named = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'[' | b']' | b'.' | b'*' | b'%');
    let before = bytes.get(floor.max(eq.saturating_sub(MAX_NAME))..eq)?;
    let name = before.iter().rev().take_while(|b| named(b)).count();
    (name > 0).then_some((eq - name..eq, eq + 1..eq + 1 + length))
}

/// A name without its count; letters that count have none left.
fn stem(name: &[u8]) -> &[u8] {
    if name.len() == 1 {
        return &[];
    }
    let end = name.iter().rposition(|b| !(b.is_ascii_digit() || matches!(b, b'[' | b']' | b'*'))).map_or(0, |i| i + 1);
    name.get(..end).unwrap_or_default()
}
