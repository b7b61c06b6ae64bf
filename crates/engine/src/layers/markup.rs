//! Text that markup cuts into runs: the words of an Office document, `<b>` in the middle of a token.
//!
//! Only tags that stand inside a line of text are taken out; others end it.

use std::ops::{ControlFlow, Range};

use super::origins::Origins;
use super::sink::{Flow, Sink};

/// Elements that a line of text may hold, without their prefix: of WordprocessingML, DrawingML, SpreadsheetML, OpenDocument, HTML and SVG.
const INLINE: [&[u8]; 33] = [
    b"r",
    b"t",
    b"rPr",
    b"span",
    b"a",
    b"b",
    b"i",
    b"u",
    b"s",
    b"em",
    b"strong",
    b"font",
    b"code",
    b"sub",
    b"sup",
    b"small",
    b"mark",
    b"tspan",
    b"wbr",
    b"ins",
    b"del",
    b"proofErr",
    b"bookmarkStart",
    b"bookmarkEnd",
    b"hyperlink",
    b"smartTag",
    b"lastRenderedPageBreak",
    b"softHyphen",
    b"kbd",
    b"tt",
    b"samp",
    b"var",
    b"bdo",
];
/// The element of a run's properties: nothing in it is text.
const PROPERTIES: &[u8] = b"rPr";
/// A tag, or a comment between two characters, is not longer.
const MAX_TAG: usize = 2048;
/// Text before the first joint of a line that is kept, in bytes.
const BEFORE: usize = 512;
/// So much text without a joint ends what is handed on at once.
const BEHIND: usize = 4096;

/// Hands on the lines of text in which tags stand between characters of a word, without them, and the lines that follow: a key has many.
pub(super) fn peel(sink: &mut Sink<'_, '_>) -> Flow {
    let bytes = sink.bytes();
    // What is in leaves is looked at there.
    if sink.covered() || sink.census.any(super::census::NUL) || !sink.census.any(super::census::ANGLE) {
        return ControlFlow::Continue(());
    }
    let mut line = Line::default();
    let mut at = 0;
    loop {
        let open = bytes.get(at..).and_then(|rest| memchr::memchr(b'<', rest)).map(|i| at + i);
        let text = at..open.unwrap_or(bytes.len());
        line.text(bytes, text);
        let Some(open) = open else { break };
        match tag(bytes, open) {
            Some((true, end)) => {
                line.tags = true;
                at = end;
            }
            Some((false, end)) => {
                line.next(sink, open..end)?;
                at = end;
            }
            // No tag: the character is text.
            None => {
                line.text(bytes, open..open + 1);
                at = open + 1;
            }
        }
    }
    line.send(sink)
}

/// Lines under way.
#[derive(Default)]
struct Line {
    /// Bytes since tags last stood between two characters of a word.
    since: usize,
    /// The last text, as long as no word was cut: hardly any is, and what is kept of it is copied then.
    before: Range<usize>,
    bytes: Vec<u8>,
    origins: Origins,
    /// Whether tags stand behind the last character.
    tags: bool,
    /// Whether tags stood between two characters of a word.
    joined: bool,
}

impl Line {
    fn text(&mut self, bytes: &[u8], range: Range<usize>) {
        let Some(text) = bytes.get(range.clone()).filter(|t| !t.is_empty()) else { return };
        let before = bytes.get(self.before.clone()).unwrap_or_default();
        let last = if self.joined { self.bytes.last() } else { before.last() };
        let joint = self.tags && super::chars::word(text[0]) && last.is_some_and(|b| super::chars::word(*b));
        self.tags = false;
        if !self.joined {
            // What stands far before a joint belongs to no word that it cuts.
            let kept = self.before.start.max(self.before.end.saturating_sub(BEFORE))..self.before.end;
            self.before = range.clone();
            if !joint {
                return;
            }
            self.add(bytes, kept);
            self.joined = true;
        }
        self.since = if joint { 0 } else { self.since + range.len() };
        self.add(bytes, range);
    }

    fn add(&mut self, bytes: &[u8], range: Range<usize>) {
        self.origins.verbatim(range.len(), range.start);
        self.bytes.extend_from_slice(bytes.get(range).unwrap_or_default());
    }

    /// A tag that ends a line.
    fn next(&mut self, sink: &mut Sink<'_, '_>, tag: Range<usize>) -> Flow {
        if !self.joined || self.since > BEHIND {
            return self.send(sink);
        }
        self.tags = false;
        if self.bytes.last() != Some(&b'\n') {
            self.bytes.push(b'\n');
            self.origins.escape(1, tag.start, tag.len());
        }
        ControlFlow::Continue(())
    }

    /// Hands the line on if tags cut a word of it, and begins another.
    fn send(&mut self, sink: &mut Sink<'_, '_>) -> Flow {
        let mut line = std::mem::take(self);
        if !line.joined || !super::chance::by_chance(line.bytes.iter()) {
            return ControlFlow::Continue(());
        }
        line.origins.end(line.origins.range().end);
        sink.mapped(line.bytes, line.origins, "markup")
    }
}

/// Whether the tag at `open` may stand inside a line, and where it ends; with what is inside of properties.
fn tag(bytes: &[u8], open: usize) -> Option<(bool, usize)> {
    let rest = bytes.get(open..)?;
    let rest = rest.get(..MAX_TAG).unwrap_or(rest);
    if rest.starts_with(b"<!--") {
        return memchr::memmem::find(rest, b"-->").map(|i| (true, open + i + 3));
    }
    let name = rest.get(1..)?;
    let name = name.strip_prefix(b"/").unwrap_or(name);
    let length = name.iter().position(|b| !(b.is_ascii_alphanumeric() || matches!(b, b':' | b'-' | b'_')))?;
    let name = name.get(..length).filter(|n| n.first().is_some_and(u8::is_ascii_alphabetic))?;
    let local = name.iter().position(|b| *b == b':').and_then(|i| name.get(i + 1..)).unwrap_or(name);
    let close = memchr::memchr(b'>', rest)?;
    if local == PROPERTIES && rest.get(1) != Some(&b'/') && rest.get(close - 1) != Some(&b'/') {
        let end = memchr::memmem::find(rest, &[b"</", name, b">"].concat())?;
        return Some((true, open + end + name.len() + 3));
    }
    // One capital is a parameter of a type.
    let same = |element: &&[u8]| local == *element || (local.len() > 1 && local.eq_ignore_ascii_case(element));
    // Most names have no more in common with an element than their length.
    let first = |text: &[u8]| text.first().map(u8::to_ascii_lowercase);
    let inline = INLINE.iter().filter(|i| i.len() == local.len() && first(i) == first(local)).any(same);
    Some((inline, open + close + 1))
}
