//! Tables in text, where a value stands under its name and not beside it: CSV (RFC 4180) with a head, and SQL's `INSERT INTO t (names) VALUES (values)`.
//!
//! Only columns whose name may announce a credential are handed on, cell by cell, with that name as their key.

use std::ops::{ControlFlow, Range};
use std::sync::{Arc, LazyLock};

use memchr::memmem::Finder;

use super::census;
use super::sink::{Flow, Sink, field, trimmed};

/// The longest head, in bytes.
const MAX_HEAD: usize = 4096;
/// The longest cell that is handed on.
const MAX_CELL: usize = 8192;
/// What names of credentials hold, in lower case.
const WORDS: [&str; 11] = ["pass", "secret", "token", "key", "pwd", "cred", "auth", "api", "dsn", "url", "phrase"];

/// A column to hand on: its place and its name.
type Column = (usize, Arc<str>);

/// Tables of a view.
pub(super) fn peel(sink: &mut Sink<'_, '_>) -> Flow {
    if sink.census.any(census::LINE) {
        csv(sink)?;
    }
    // The names stand in brackets.
    if sink.census.any(census::CLOSE) { inserts(sink) } else { ControlFlow::Continue(()) }
}

/// Rows under the first line, where that is a list of names.
fn csv(sink: &mut Sink<'_, '_>) -> Flow {
    let bytes = sink.bytes();
    let head = bytes.get(..bytes.len().min(MAX_HEAD)).unwrap_or_default();
    let Some(end) = memchr::memchr(b'\n', head) else { return ControlFlow::Continue(()) };
    let line = head.get(..end).unwrap_or_default();
    let Some(separator) = [b',', b'\t', b';', b'|'].into_iter().find(|s| line.contains(s)) else { return ControlFlow::Continue(()) };
    let columns = columns(line, separator);
    let mut at = end + 1;
    while !columns.is_empty() && at < bytes.len() {
        sink.work(1, at)?;
        at = row(sink, at, separator, b'\n', &columns)?;
    }
    ControlFlow::Continue(())
}

static VALUES: LazyLock<[Finder<'static>; 2]> = LazyLock::new(|| ["VALUES", "values"].map(Finder::new));

/// The tuples of every `(names) VALUES (…), (…)`.
fn inserts(sink: &mut Sink<'_, '_>) -> Flow {
    VALUES.iter().try_for_each(|word| tuples(sink, word))
}

/// Those behind every `word`.
fn tuples(sink: &mut Sink<'_, '_>, word: &Finder<'_>) -> Flow {
    let bytes = sink.bytes();
    let mut done = 0;
    for found in word.find_iter(bytes) {
        // What a tuple holds is not taken apart again: each byte is looked at once.
        if found < done {
            continue;
        }
        let before = bytes.get(found.saturating_sub(MAX_HEAD)..found).unwrap_or_default();
        let Some(names) = before.trim_ascii_end().strip_suffix(b")") else { continue };
        let Some(open) = memchr::memrchr(b'(', names) else { continue };
        let columns = columns(names.get(open + 1..).unwrap_or_default(), b',');
        let mut at = found + word.needle().len();
        while !columns.is_empty() {
            sink.work(1, at)?;
            let gap = bytes.get(at..).unwrap_or_default().iter().take_while(|b| b.is_ascii_whitespace() || **b == b',').count();
            if bytes.get(at + gap) != Some(&b'(') {
                break;
            }
            at = row(sink, at + gap + 1, b',', b')', &columns)?;
        }
        done = at;
    }
    ControlFlow::Continue(())
}

/// The columns worth a look of a list of names; none when it is no such list.
fn columns(line: &[u8], separator: u8) -> Vec<Column> {
    let name = |cell: &&[u8]| {
        let cell = cell.trim_ascii();
        let words = cell.split(u8::is_ascii_whitespace).filter(|w| !w.is_empty()).count();
        cell.len() <= 64
            && (1..=3).contains(&words)
            && cell.iter().all(|b| b.is_ascii_alphanumeric() || b.is_ascii_whitespace() || b"_-.\"'`[]#/()".contains(b))
    };
    let cells: Vec<&[u8]> = line.split(|b| *b == separator).collect();
    if cells.len() < 2 || !cells.iter().all(name) {
        return Vec::new();
    }
    let named = cells.iter().enumerate().filter_map(|(i, cell)| Some((i, field(cell)?)));
    named.filter(|(_, name)| WORDS.iter().any(|w| name.contains(w))).collect()
}

/// Hands on the cells of the row that begins at `at`; returns where the next one begins.
fn row(sink: &mut Sink<'_, '_>, at: usize, separator: u8, close: u8, columns: &[Column]) -> ControlFlow<(), usize> {
    let bytes = sink.bytes();
    let (mut at, mut index) = (at, 0);
    loop {
        let (cell, next) = cell(bytes, at, separator, close);
        if let Some((_, name)) = columns.iter().find(|(i, _)| *i == index) {
            let inner = trimmed(bytes, cell);
            if inner.len() <= MAX_CELL {
                sink.slice(inner, "cell", Some(name))?;
            }
        }
        at = next;
        match bytes.get(next.wrapping_sub(1)) {
            Some(b) if *b == separator && next < bytes.len() => index += 1,
            _ => return ControlFlow::Continue(at),
        }
    }
}

/// The cell at `at`, and where the next one or the next row begins. Quotes are doubled or escaped inside themselves; what is cut ends where the text does.
fn cell(bytes: &[u8], at: usize, separator: u8, close: u8) -> (Range<usize>, usize) {
    let rest = bytes.get(at..).unwrap_or_default();
    let blank = rest.iter().take_while(|b| **b == b' ').count();
    let mut i = blank;
    if let Some(quote @ (b'"' | b'\'')) = rest.get(blank) {
        i += 1;
        while let Some(step) = memchr::memchr2(*quote, b'\\', rest.get(i..).unwrap_or_default()) {
            i += step + 1;
            let double = rest.get(i) == Some(quote);
            if rest.get(i - 1) == Some(&b'\\') || double {
                i += 1;
            } else {
                break;
            }
        }
    }
    // `now()`: a call's own parentheses close nothing.
    let mut open = 0_usize;
    let ends = |b: &u8| {
        let deep = open > 0;
        open = if close == b')' && *b == b'(' { open + 1 } else { open - usize::from(deep && *b == b')') };
        !deep && (*b == separator || *b == close)
    };
    let end = rest.get(i..).unwrap_or_default().iter().position(ends).map_or(rest.len(), |n| i + n);
    (at..at + end, at + (end + 1).min(rest.len().max(1)))
}

#[cfg(test)]
mod tests {
    use super::super::{Budget, Peeled, View, peel};
    use crate::Limits;
    use std::ops::ControlFlow;

    /// Cells that are handed on, with their names.
    fn cells(text: &str) -> Vec<(String, String)> {
        let limits = Limits::default();
        let mut budget =
            Budget { decoded: limits.decoded_bytes, ratio: limits.ratio, work: 1 << 20, earned: 0, cuts: Vec::new(), gap: None };
        let view = View::of(text.as_bytes());
        let mut out = Vec::new();
        let mut emit = |peeled: Peeled<'_>, _: &mut Budget| {
            if peeled.layer == "cell" {
                out.push((peeled.field.as_deref().unwrap_or_default().to_owned(), String::from_utf8_lossy(&peeled.bytes).into_owned()));
            }
            ControlFlow::Continue(())
        };
        let _ = peel(&view, &[], &[], &mut budget, &mut emit);
        out
    }

    fn own(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect()
    }

    #[test]
    fn cells_under_a_credentials_name_have_it_as_their_key() {
        let text = "name,api_token,active\nann,first1,1\nbob,\"second,2\",0\n";
        assert_eq!(cells(text), own(&[("api_token", "first1"), ("api_token", "second,2")]));
        assert_eq!(cells("id\tPassword\n1\thunter22\n"), own(&[("password", "hunter22")]));
    }

    #[test]
    fn values_of_an_insert_belong_to_their_columns() {
        let text = "INSERT INTO t (id, smtp_pass, at) VALUES (1, 'first, it''s', now()), (2, 'second', 3);";
        assert_eq!(cells(text), own(&[("smtp_pass", "first, it''s"), ("smtp_pass", "second")]));
    }

    #[test]
    fn prose_and_tables_of_other_things_have_none() {
        for text in
            ["Dear Bob, the token is lost,\nand so, am I,\n", "name,age\nann,3000\n", "values (1,2)", "(token) VALUES", "token,\n", ""]
        {
            assert_eq!(cells(text), [], "{text}");
        }
    }
}
