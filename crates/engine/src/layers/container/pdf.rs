//! PDF (ISO 32000-1): streams with their filters undone, and the text that pages, forms and annotations show.
//!
//! Objects are found by their words rather than by the cross-reference table, which a damaged or hostile file need not have right.

mod cmap;
mod filters;
mod text;

use std::ops::{ControlFlow, Range};

use memchr::memmem;

use super::leaf;
use super::media::pixels;
use crate::Gap;
use crate::layers::sink::{Flow, Sink};
use cmap::CMap;

/// The header may stand behind other bytes (implementation note 13 of PDF Reference 1.7).
const HEADER_WITHIN: usize = 1024;
/// A stream's dictionary is looked for in so many bytes before it.
const DICTIONARY: usize = 4096;
/// Fonts whose characters are told apart.
const MOST_FONTS: usize = 32;

/// A stream that was decoded.
struct Stream {
    run: Range<usize>,
    bytes: Vec<u8>,
}

/// Takes a PDF apart, or a window of one; the streams that were decoded, by where they stand.
pub(super) fn peel(sink: &mut Sink<'_, '_>) -> ControlFlow<(), Vec<Range<usize>>> {
    let bytes = sink.bytes();
    let root = sink.view.kind.is_some();
    let begins = bytes.starts_with(b"%PDF-") || (root && memmem::find(bytes.get(..HEADER_WITHIN).unwrap_or(bytes), b"%PDF-").is_some());
    let goes_on = sink.view.clipped && root && memmem::find(bytes, b"endstream").is_some();
    if !begins && !goes_on {
        return ControlFlow::Continue(Vec::new());
    }
    if let Some(at) = encrypted(bytes) {
        sink.budget.miss(at, Gap::Encrypted);
        return ControlFlow::Continue(Vec::new());
    }
    let (mut streams, mut seen, mut plain) = (Vec::new(), Vec::new(), Vec::new());
    let mut from = 0;
    while let Some((dictionary, data)) = next(bytes, from) {
        plain.extend_from_slice(bytes.get(from..dictionary.end).unwrap_or_default());
        from = data.end;
        seen.push(data.clone());
        streams.extend(stream(sink, &dictionary, data)?);
    }
    plain.extend_from_slice(bytes.get(from..).unwrap_or_default());
    let maps: Vec<CMap> = streams.iter().filter_map(|s| CMap::parse(&s.bytes)).take(MOST_FONTS).collect();
    let whole = 0..bytes.len();
    shown(sink, &plain, &[], whole)?;
    for Stream { run, bytes } in streams {
        shown(sink, &bytes, &maps, run.clone())?;
        sink.unpacked(bytes, run, "pdf-stream")?;
    }
    ControlFlow::Continue(seen)
}

/// The strings of an object or a page, as they are shown; with the characters of each font that they may be in.
fn shown(sink: &mut Sink<'_, '_>, bytes: &[u8], maps: &[CMap], run: Range<usize>) -> Flow {
    let strings = text::strings(bytes);
    if strings.is_empty() {
        return ControlFlow::Continue(());
    }
    let as_mapped = maps.iter().map(|map| text::mapped(&strings, map));
    for text in std::iter::once(text::plain(&strings)).chain(as_mapped).filter(|text| !text.is_empty()) {
        let unwrapped = text::unwrapped(&text);
        sink.unclaimed(text, run.clone(), "pdf-text")?;
        sink.unclaimed(unwrapped, run.clone(), "pdf-text")?;
    }
    ControlFlow::Continue(())
}

/// Where a trailer says that all strings and streams are encrypted (section 7.6.1).
fn encrypted(bytes: &[u8]) -> Option<usize> {
    let key = b"/Encrypt";
    memmem::find_iter(bytes, key).find(|at| {
        let behind = bytes.get(at + key.len()..).unwrap_or_default();
        let value = behind.iter().find(|b| !b.is_ascii_whitespace());
        value.is_some_and(|b| b.is_ascii_digit() || *b == b'<')
    })
}

/// The next stream: the bytes before it that hold its dictionary, and its data.
fn next(bytes: &[u8], from: usize) -> Option<(Range<usize>, Range<usize>)> {
    let mut at = from;
    loop {
        let last = at;
        let word = at + memmem::find(bytes.get(at..)?, b"stream")?;
        at = word + 6;
        let start = match bytes.get(at..)? {
            [b'\r', b'\n', ..] => at + 2,
            [b'\n' | b'\r', ..] => at + 1,
            _ => continue,
        };
        let before = bytes.get(last.max(word.saturating_sub(DICTIONARY))..word)?;
        if before.ends_with(b"end") || memmem::rfind(before, b">>").is_none() {
            continue;
        }
        let dictionary = word - before.len() + memmem::rfind(before, b" obj").unwrap_or(0)..word;
        let rest = bytes.get(start..)?;
        let said = bytes.get(dictionary.clone()).and_then(|d| filters::number(d, b"/Length")).filter(|n| {
            let end = rest.get(*n..).unwrap_or_default();
            end.iter().take(16).skip_while(|b| b.is_ascii_whitespace()).copied().take(9).eq(*b"endstream")
        });
        // A length that is an object of its own, or wrong.
        let length = said.or_else(|| memmem::find(rest, b"endstream")).unwrap_or(rest.len());
        return Some((dictionary, start..start + length));
    }
}

/// Undoes the filters of a stream. Pictures are looked at as such.
fn stream(sink: &mut Sink<'_, '_>, dictionary: &Range<usize>, data: Range<usize>) -> ControlFlow<(), Option<Stream>> {
    let bytes = sink.bytes();
    let head = bytes.get(dictionary.clone()).unwrap_or_default();
    let chain = filters::chain(head);
    if chain.contains(&filters::Filter::Other) {
        // A picture in a format of its own.
        leaf(sink, data, "pdf-stream")?;
        return ControlFlow::Continue(None);
    }
    if memmem::find(head, b"/Image").is_some() && matches!(chain[..], [filters::Filter::Flate]) {
        pixels::look(sink, &[data])?;
        return ControlFlow::Continue(None);
    }
    sink.work(super::ATTEMPT, data.start)?;
    let mut now = bytes.get(data.clone()).unwrap_or_default().to_vec();
    if chain.is_empty() && !sink.budget.take(now.len() as u64, data.start) {
        return ControlFlow::Continue(None);
    }
    for filter in chain {
        let (decoded, gap) = filters::undo(filter, head, &now, data.start, sink.budget);
        now = decoded;
        // Half a stream is as much as any reader shows.
        if let Some(gap) = gap.filter(|gap| *gap == Gap::Budget) {
            sink.budget.miss(data.start, gap);
            break;
        }
    }
    sink.budget.earn(now.len());
    ControlFlow::Continue(Some(Stream { run: data, bytes: now }))
}
