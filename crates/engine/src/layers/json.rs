//! JSON strings as leaves, each with the nearest key: documents, lines of documents, pieces of documents.
//!
//! Not a parser: it walks from string to string and asks only what stands around them, so that a truncated document, a window that begins
//! in the middle, or a stream of documents is taken apart as well as a whole one.

use std::ops::{ControlFlow, Range};
use std::sync::Arc;

use simd::Class;

use super::View;
use super::chars::Chars;
use super::escapes::BACKSLASH;
use super::marks::Marks;
use super::sink::{Flow, Sink, field};

/// Shorter strings are looked at in place.
const LONG: usize = 1024;
/// Keys are remembered this deep.
const MAX_DEPTH: usize = 128;

/// Strings of a view that looks like JSON.
pub(super) fn peel(sink: &mut Sink<'_, '_>) -> Flow {
    let bytes = sink.bytes();
    if !sink.census.any(super::census::QUOTE) || !looks(sink.view) {
        return ControlFlow::Continue(());
    }
    let mut keys: Vec<Option<Arc<str>>> = vec![sink.view.field.clone()];
    let mut names = Names::default();
    let marks = Marks::of(bytes, &MARKS);
    // Without escapes a string ends with the next quote.
    let escapes = sink.census.any(super::census::BACKSLASH);
    let quotes = (!escapes).then(|| Marks::of(bytes, &QUOTE));
    let content = |start| match &quotes {
        Some(quotes) => start..quotes.next(start).unwrap_or(bytes.len()),
        None => string(bytes, start),
    };
    let mut at = 0;
    while let Some(mark) = marks.next(at) {
        at = mark;
        match bytes[at] {
            b'"' => {
                let long = sink.long_string(at + 1);
                let text = long.clone().unwrap_or_else(|| content(at + 1));
                let after = text.end + 1;
                let is_key = bytes.get(after..).and_then(|rest| rest.iter().find(|b| !b.is_ascii_whitespace())) == Some(&b':');
                let plain = !escapes || memchr::memchr(b'\\', bytes.get(text.clone()).unwrap_or_default()).is_none();
                let key = keys.iter().rev().flatten().next().filter(|_| !is_key);
                let name = if plain {
                    let name = is_key.then(|| names.of(bytes.get(text.clone()).unwrap_or_default())).flatten();
                    sink.slice(text, "json-string", key)?;
                    name
                } else if let (Some(text), false) = (long, is_key) {
                    sink.escaped(text, BACKSLASH, "json-string", key)?;
                    None
                } else {
                    let chars = Chars::undo(bytes, text, BACKSLASH);
                    let name = is_key.then(|| field(&chars.bytes)).flatten();
                    sink.chars(chars, "json-string", key)?;
                    name
                };
                if let (true, Some(top)) = (is_key, keys.last_mut()) {
                    *top = name;
                }
                at = after;
            }
            b'{' | b'[' => {
                if keys.len() < MAX_DEPTH {
                    keys.push(None);
                }
                at += 1;
            }
            b'}' | b']' => {
                if keys.len() > 1 {
                    keys.pop();
                }
                at += 1;
            }
            _ => at += 1,
        }
        sink.work(1, at.min(bytes.len()))?;
    }
    ControlFlow::Continue(())
}

/// What a document is made of beside numbers and what strings hold.
static MARKS: Class = Class::of(b"\"{[}],");
static QUOTE: Class = Class::of(b"\"");

/// What the last keys are as names of fields: documents have the same few again and again.
#[derive(Default)]
struct Names<'a> {
    known: Vec<(&'a [u8], Option<Arc<str>>)>,
    /// The one to give up next.
    oldest: usize,
}

/// So many keys are remembered.
const MAX_KNOWN: usize = 16;

impl<'a> Names<'a> {
    fn of(&mut self, key: &'a [u8]) -> Option<Arc<str>> {
        if let Some((_, name)) = self.known.iter().find(|(known, _)| *known == key) {
            return name.clone();
        }
        let name = field(key);
        if self.known.len() < MAX_KNOWN {
            self.known.push((key, name.clone()));
        } else {
            self.known[self.oldest] = (key, name.clone());
            self.oldest = (self.oldest + 1) % MAX_KNOWN;
        }
        name
    }
}

/// The content of the string whose first byte is at `start`; to the end when it is cut.
fn string(bytes: &[u8], start: usize) -> Range<usize> {
    let mut at = start;
    while let Some(step) = bytes.get(at..).and_then(|rest| memchr::memchr2(b'"', b'\\', rest)) {
        at += step;
        if bytes[at] == b'"' {
            return start..at;
        }
        at += 2;
    }
    start..bytes.len()
}

/// The content of strings that are long enough to be looked at as views of their own only, in a view that [`peel`] will take apart.
pub(crate) fn long_strings(view: &View<'_>) -> Vec<Range<usize>> {
    let mut long = Vec::new();
    if view.bytes.len() < LONG || !looks(view) || all_short(view.bytes) {
        return long;
    }
    let mut at = 0;
    while let Some(step) = view.bytes.get(at..).and_then(|rest| memchr::memchr(b'"', rest)) {
        let text = string(view.bytes, at + step + 1);
        at = text.end + 1;
        if text.len() >= LONG {
            long.push(text);
        }
    }
    long
}

/// Whether it is clear that no string is long: there are no escapes, and quotes everywhere.
fn all_short(bytes: &[u8]) -> bool {
    if memchr::memchr(b'\\', bytes).is_some() {
        return false;
    }
    let mut quotes = Vec::new();
    simd::masks(bytes, &QUOTE, &mut quotes);
    // A long string has so many words without a quote inside.
    !quotes.windows(LONG / 64 - 1).any(|words| words.iter().all(|word| *word == 0))
}

fn looks(view: &View<'_>) -> bool {
    let bytes = view.bytes;
    let declared = view.kind.and_then(|k| k.media.content_type.as_deref()).is_some_and(|t| t.to_ascii_lowercase().contains("json"));
    let first = bytes.iter().find(|b| !b.is_ascii_whitespace());
    let opens = matches!(first, Some(b'{' | b'[')) || (first == Some(&b'"') && bytes.len() > 2);
    declared || opens
}
