//! `key=value` pairs: queries, form bodies, and anything that looks like them.

use std::ops::{ControlFlow, Range};

use super::chars::Chars;
use super::escapes::{FORM, PERCENT};
use super::root::split;
use super::sink::{Flow, Sink, field};

/// A body that says it is a form, or a view that looks like one: several pairs without blanks.
pub(super) fn peel(sink: &mut Sink<'_, '_>) -> Flow {
    let bytes = sink.bytes();
    let declared = sink
        .view
        .kind
        .and_then(|k| k.media.content_type.as_deref())
        .is_some_and(|t| t.to_ascii_lowercase().contains("x-www-form-urlencoded"));
    if declared {
        return pairs(sink, 0..bytes.len());
    }
    // A URL's query, wherever a URL stands alone.
    if bytes.starts_with(b"http") && bytes.len() < 16 << 10 {
        if let Some(mark) = memchr::memchr(b'?', bytes).filter(|_| !bytes.iter().any(u8::is_ascii_whitespace)) {
            return pairs(sink, mark + 1..bytes.len());
        }
        return ControlFlow::Continue(());
    }
    let looks = sink.view.kind.is_none_or(|k| k.location == crate::Location::Body)
        && sink.census.any(super::census::AMPERSAND)
        && sink.census.any(super::census::EQUALS)
        && !bytes.iter().any(|b| b.is_ascii_whitespace() || matches!(b, b'<' | b'>' | b'{' | b'"'));
    if looks { pairs(sink, 0..bytes.len()) } else { ControlFlow::Continue(()) }
}

/// Keys and values of `range`, each a leaf with its escapes undone.
pub(super) fn pairs(sink: &mut Sink<'_, '_>, range: Range<usize>) -> Flow {
    let bytes = sink.bytes();
    let part = bytes.get(range.clone()).unwrap_or_default();
    for pair in split(part, |b| b == b'&' || b == b';') {
        let (start, end) = (pair.start + range.start, pair.end + range.start);
        let eq = bytes.get(start..end).and_then(|p| p.iter().position(|b| *b == b'='));
        let Some(eq) = eq else {
            let chars = Chars::undo(bytes, start..end, FORM);
            sink.chars(chars, "percent", None)?;
            continue;
        };
        let key = Chars::undo(bytes, start..start + eq, FORM);
        let name = field(&key.bytes);
        sink.chars(key, "percent", None)?;
        let value = start + eq + 1..end;
        sink.chars(Chars::undo(bytes, value.clone(), FORM), "percent", name.as_ref())?;
        // Who does not escape a plus may well mean it: base64 has them.
        if bytes.get(value.clone()).is_some_and(|v| memchr::memchr(b'+', v).is_some()) {
            sink.chars(Chars::undo(bytes, value, PERCENT), "percent", name.as_ref())?;
        }
    }
    ControlFlow::Continue(())
}
