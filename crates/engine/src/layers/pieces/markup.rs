//! Short texts with the same tags between them: elements in a row, sections of character data, tags and comments inside a word.

use std::ops::{ControlFlow, Range};

use super::{Escaped, alike, flush};
use crate::layers::sink::{Flow, Sink};

/// A longer text is no piece.
const MAX_PART: usize = 80;
/// Longest text between two pieces.
const MAX_GAP: usize = 128;

/// Joins the texts between tags.
pub(super) fn peel(sink: &mut Sink<'_, '_>) -> Flow {
    let bytes = sink.bytes();
    let mut row: Vec<Range<usize>> = Vec::new();
    let mut gap: Option<Range<usize>> = None;
    let mut at = 0;
    while let Some(open) = bytes.get(at..).and_then(|rest| memchr::memchr(b'<', rest)).map(|i| at + i) {
        at = open + 1;
        // Not an operator, not what a type is of.
        let tag = bytes.get(at).is_some_and(|b| b.is_ascii_alphabetic() || matches!(b, b'/' | b'!'));
        if let Some(part) = tag.then(|| part(bytes, open)).flatten() {
            next(sink, &mut row, &mut gap, part)?;
        }
    }
    // The last may stand behind all tags.
    if let Some(end) = row.last().map(|r| r.end)
        && let Some(part) = part(bytes, bytes.len()).filter(|p| p.start > end)
    {
        next(sink, &mut row, &mut gap, part)?;
    }
    flush(sink, &mut row, Escaped::Backslash)
}

/// Takes the next text: part of the row if what stands before it is what stood before the last.
fn next(sink: &mut Sink<'_, '_>, row: &mut Vec<Range<usize>>, gap: &mut Option<Range<usize>>, part: Range<usize>) -> Flow {
    let bytes = sink.bytes();
    let text = |r: &Range<usize>| bytes.get(r.clone()).unwrap_or_default();
    if let Some(last) = row.last().cloned() {
        let now = last.end..part.start;
        let fits = now.len() <= MAX_GAP && gap.as_ref().is_none_or(|g| alike(text(g), text(&now)));
        if !fits {
            flush(sink, row, Escaped::Backslash)?;
            if now.len() <= MAX_GAP {
                row.push(last);
            }
        }
        *gap = (now.len() <= MAX_GAP).then_some(now);
    }
    row.push(part);
    ControlFlow::Continue(())
}

/// The text that ends where the tag at `open` begins, if it is short.
fn part(bytes: &[u8], open: usize) -> Option<Range<usize>> {
    let before = bytes.get(open.saturating_sub(MAX_PART)..open)?;
    // The end of a section of character data is no part of it.
    let text = before.strip_suffix(b"]]>").or_else(|| before.strip_suffix(b"]]")).unwrap_or(before);
    let end = open.saturating_sub(MAX_PART) + text.len();
    let length = text.iter().rev().take_while(|b| **b >= b' ' && !matches!(b, b'>' | b'<' | b'"')).count();
    let text = text.get(text.len() - length..)?;
    // `<![CDATA[` opens a section.
    let section = text.strip_prefix(b"![CDATA[").map_or(0, |_| b"![CDATA[".len());
    let blank = text.iter().all(u8::is_ascii_whitespace);
    (!blank && length > section && length < MAX_PART).then_some(end - length + section..end)
}
