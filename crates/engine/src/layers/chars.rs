//! Character-wise escapes: undoing them with exact offsets, and finding the stretches of a view that are worth it.

use std::ops::{ControlFlow, Range};

use super::origins::Origins;
use super::sink::Flow;

/// Escapes this close together belong to one stretch, whatever stands between them.
const GAP: usize = 256;

/// What one escape stands for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Escape {
    bytes: [u8; 4],
    len: usize,
    /// How many bytes of the source it takes, at least one.
    pub(super) used: usize,
    /// Whether it alone is a sign of this encoding.
    pub(super) strong: bool,
}

impl Escape {
    pub(super) fn byte(byte: u8, used: usize) -> Escape {
        Escape { bytes: [byte, 0, 0, 0], len: 1, used, strong: true }
    }

    pub(super) fn char(c: char, used: usize) -> Escape {
        let mut bytes = [0; 4];
        let len = c.encode_utf8(&mut bytes).len();
        Escape { bytes, len, used, strong: true }
    }

    /// Stands for nothing: a soft line break, an invisible character.
    pub(super) fn nothing(used: usize) -> Escape {
        Escape { bytes: [0; 4], len: 0, used, strong: true }
    }

    pub(super) fn weak(self) -> Escape {
        Escape { strong: false, ..self }
    }
}

/// One kind of escape.
#[derive(Debug, Clone, Copy)]
pub(super) struct Escapes {
    /// Where the next byte stands that an escape may begin with.
    pub(super) find: fn(&[u8]) -> Option<usize>,
    /// The escape at an offset, if there is one. It sees nothing behind the end of the slice it is given.
    pub(super) read: fn(&[u8], usize) -> Option<Escape>,
}

/// Decoded bytes, each with the offset it came from.
#[derive(Debug, Default)]
pub(super) struct Chars {
    pub(super) bytes: Vec<u8>,
    pub(super) origins: Origins,
    /// How many escapes were undone.
    pub(super) escapes: usize,
}

impl Chars {
    /// Undoes the escapes in `range` of `source`.
    pub(super) fn undo(source: &[u8], range: Range<usize>, escapes: Escapes) -> Chars {
        let end = range.end.min(source.len());
        let source = source.get(..end).unwrap_or_default();
        let room = end.saturating_sub(range.start);
        let mut out = Chars { bytes: Vec::with_capacity(room), ..Chars::default() };
        let mut at = range.start;
        while at < end {
            let lead = source.get(at..).and_then(escapes.find).map_or(end, |i| at + i);
            if lead > at {
                out.copy(source, at..lead);
            }
            at = lead;
            if at == end {
                break;
            }
            match (escapes.read)(source, at) {
                Some(escape) => {
                    match escape {
                        Escape { bytes: [only, ..], len: 1, .. } => out.bytes.push(only),
                        _ => out.bytes.extend_from_slice(escape.bytes.get(..escape.len).unwrap_or_default()),
                    }
                    out.origins.escape(escape.len, at, escape.used);
                    out.escapes += 1;
                    at += escape.used.max(1);
                }
                None => {
                    out.copy(source, at..at + 1);
                    at += 1;
                }
            }
        }
        out.origins.end(end);
        out
    }

    /// Takes bytes that stand for themselves.
    fn copy(&mut self, source: &[u8], range: Range<usize>) {
        self.origins.verbatim(range.len(), range.start);
        self.bytes.extend_from_slice(source.get(range).unwrap_or_default());
    }

    /// Where in the source it came from.
    pub(super) fn range(&self) -> Range<usize> {
        self.origins.range()
    }
}

/// A stretch of a view that holds escapes.
#[derive(Debug)]
pub(super) struct Stretch {
    pub(super) range: Range<usize>,
    /// Escapes that are a sign of the encoding by themselves.
    pub(super) strong: usize,
}

/// Whether `byte` is part of the word an escape stands in.
pub(super) fn word(byte: u8) -> bool {
    byte > b' ' && !matches!(byte, b'"' | b'\'' | b'`' | b'<' | b'>')
}

/// Finds the stretches of `source` from `from` on with escapes: escapes near each other and the words at both ends. Looking at stretches instead of the
/// whole view keeps a text with several kinds of escapes from being copied once for every order in which they can be undone.
pub(super) fn stretches(source: &[u8], from: usize, escapes: Escapes, mut each: impl FnMut(Stretch) -> Flow) -> Flow {
    let next = |from: usize, to: usize| -> Option<(usize, Escape)> {
        let mut at = from;
        while let Some(step) = source.get(at..to).and_then(escapes.find) {
            at += step;
            if let Some(escape) = (escapes.read)(source, at) {
                return Some((at, escape));
            }
            at += 1;
        }
        None
    };
    let mut floor = from;
    while let Some((first, escape)) = next(floor, source.len()) {
        let mut start = first;
        while start > floor && source.get(start - 1).is_some_and(|&b| word(b)) {
            start -= 1;
        }
        let mut end = (first + escape.used).min(source.len());
        let mut strong = usize::from(escape.strong);
        loop {
            let near = source.len().min(end + GAP);
            if let Some((at, escape)) = next(end, near) {
                end = (at + escape.used).min(source.len());
                strong += usize::from(escape.strong);
                continue;
            }
            // A long word: go on to its end, there may be more escapes in it.
            let length = source.get(end..).unwrap_or_default().iter().take_while(|&&b| word(b)).count();
            end += length;
            if length <= GAP {
                break;
            }
        }
        // Not where the stretch is itself in quotes, and the quote closes it.
        if start.checked_sub(1).is_none_or(|before| source.get(before) != source.get(end)) {
            let (stretch, rest) = source.get(start..).unwrap_or_default().split_at(end - start);
            end += if closes(stretch, rest) { 1 } else { quotation(rest) };
        }
        each(Stretch { range: start..end, strong })?;
        floor = end.max(first + 1);
    }
    ControlFlow::Continue(())
}

/// Whether `rest` begins with the quote that ends the last text in quotes of a stretch.
fn closes(stretch: &[u8], rest: &[u8]) -> bool {
    rest.first().filter(|b| matches!(b, b'"' | b'\'')).is_some_and(|quote| memchr::memchr_iter(*quote, stretch).count() % 2 == 1)
}

/// How long the text in quotes at the beginning is, quotes included: the value of what stands before it. At most a line.
fn quotation(rest: &[u8]) -> usize {
    let Some((quote @ (b'"' | b'\''), text)) = rest.split_first() else { return 0 };
    let ends = text.iter().take(GAP).position(|b| b == quote || matches!(b, b'\r' | b'\n'));
    ends.filter(|at| text.get(*at) == Some(quote)).map_or(0, |at| at + 2)
}

/// The value of a hexadecimal digit.
pub(super) fn hex_digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    }
}
