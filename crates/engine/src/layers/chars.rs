//! Character-wise escapes: undoing them with exact offsets, and finding the stretches of a view that are worth it.

use std::ops::{ControlFlow, Range};

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

/// Recognises the escape at an offset. It sees nothing behind the end of the slice it is given.
pub(super) type Recognise = fn(&[u8], usize) -> Option<Escape>;

/// Decoded bytes, each with the offset it came from.
#[derive(Debug, Default)]
pub(super) struct Chars {
    pub(super) bytes: Vec<u8>,
    /// One entry more than bytes.
    pub(super) starts: Vec<usize>,
    /// How many escapes were undone.
    pub(super) escapes: usize,
}

impl Chars {
    /// Undoes the escapes in `range` of `source`.
    pub(super) fn undo(source: &[u8], range: Range<usize>, recognise: impl Fn(&[u8], usize) -> Option<Escape>) -> Chars {
        let end = range.end.min(source.len());
        let source = source.get(..end).unwrap_or_default();
        let room = end.saturating_sub(range.start);
        let mut out = Chars { bytes: Vec::with_capacity(room), starts: Vec::with_capacity(room + 1), escapes: 0 };
        let mut at = range.start;
        while let Some(&byte) = source.get(at) {
            match recognise(source, at) {
                Some(escape) => {
                    out.push(escape.bytes.get(..escape.len).unwrap_or_default(), at);
                    out.escapes += 1;
                    at += escape.used.max(1);
                }
                None => {
                    out.push(&[byte], at);
                    at += 1;
                }
            }
        }
        out.starts.push(end);
        out
    }

    fn push(&mut self, decoded: &[u8], at: usize) {
        self.bytes.extend_from_slice(decoded);
        self.starts.resize(self.bytes.len(), at);
    }

    /// Where in the source it came from.
    pub(super) fn range(&self) -> Range<usize> {
        self.starts.first().copied().unwrap_or(0)..self.starts.last().copied().unwrap_or(0)
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
fn word(byte: u8) -> bool {
    byte > b' ' && !matches!(byte, b'"' | b'\'' | b'`' | b'<' | b'>')
}

/// Finds the stretches of `source` with escapes: escapes near each other and the words at both ends. Looking at stretches instead of the
/// whole view keeps a text with several kinds of escapes from being copied once for every order in which they can be undone.
pub(super) fn stretches(source: &[u8], lead: fn(u8) -> bool, recognise: Recognise, mut each: impl FnMut(Stretch) -> Flow) -> Flow {
    let next = |from: usize, to: usize| -> Option<(usize, Escape)> {
        let mut at = from;
        while let Some(step) = source.get(at..to).and_then(|rest| rest.iter().position(|&b| lead(b))) {
            at += step;
            if let Some(escape) = recognise(source, at) {
                return Some((at, escape));
            }
            at += 1;
        }
        None
    };
    let mut floor = 0;
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
        each(Stretch { range: start..end, strong })?;
        floor = end.max(first + 1);
    }
    ControlFlow::Continue(())
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
