//! What the parts of a request hold by their own grammar.

use std::ops::{ControlFlow, Range};

use super::sink::{Flow, Sink, field, trimmed};
use super::{Budget, coding, escapes};
use crate::{Gap, Location};

/// Host labels, path segments, query pairs, cookies, Basic credentials; the content coding of a body. Nothing for inner views.
pub(super) fn peel(sink: &mut Sink<'_, '_>) -> Flow {
    let Some(kind) = sink.view.kind else { return ControlFlow::Continue(()) };
    match &kind.location {
        Location::Host => parts(sink, |b| b == b'.', "host-label"),
        Location::Path => segments(sink),
        Location::Query => super::form::pairs(sink, 0..sink.bytes().len()),
        Location::Header(name) | Location::Trailer(name) => header(sink, name),
        Location::Body if kind.media.content_encoding.is_empty() => ControlFlow::Continue(()),
        Location::Body => content_encoding(sink, &kind.media.content_encoding),
    }
}

/// The pieces between separators, as ranges.
pub(super) fn split(bytes: &[u8], separator: impl Fn(u8) -> bool) -> Vec<Range<usize>> {
    let mut pieces = Vec::new();
    let mut start = 0;
    for (i, b) in bytes.iter().enumerate() {
        if separator(*b) {
            pieces.push(start..i);
            start = i + 1;
        }
    }
    pieces.push(start..bytes.len());
    pieces
}

fn parts(sink: &mut Sink<'_, '_>, separator: fn(u8) -> bool, layer: &'static str) -> Flow {
    split(sink.bytes(), separator).into_iter().try_for_each(|range| sink.slice(range, layer, None))
}

fn segments(sink: &mut Sink<'_, '_>) -> Flow {
    for range in split(sink.bytes(), |b| b == b'/') {
        // `;` parameters and `=` pairs inside a segment are taken apart when the segment is looked at.
        let chars = super::chars::Chars::undo(sink.bytes(), range, escapes::PERCENT);
        sink.chars(chars, "percent", None)?;
    }
    ControlFlow::Continue(())
}

fn header(sink: &mut Sink<'_, '_>, name: &str) -> Flow {
    let bytes = sink.bytes();
    match name {
        "cookie" | "set-cookie" => {
            for pair in split(bytes, |b| b == b';') {
                let pair = trimmed(bytes, pair);
                let Some(eq) = bytes.get(pair.clone()).and_then(|p| p.iter().position(|b| *b == b'=')) else { continue };
                let key = field(bytes.get(pair.start..pair.start + eq).unwrap_or_default());
                let chars = super::chars::Chars::undo(bytes, pair.start + eq + 1..pair.end, escapes::PERCENT);
                sink.chars(chars, "percent", key.as_ref())?;
            }
            ControlFlow::Continue(())
        }
        "authorization" | "proxy-authorization" => basic(sink),
        _ => ControlFlow::Continue(()),
    }
}

/// `Basic` credentials (RFC 7617): user and password, each a leaf.
fn basic(sink: &mut Sink<'_, '_>) -> Flow {
    let bytes = sink.bytes();
    let Some(rest) = bytes.get(..6).filter(|scheme| scheme.eq_ignore_ascii_case(b"basic ")) else { return ControlFlow::Continue(()) };
    let run = trimmed(bytes, rest.len()..bytes.len());
    let encoded = bytes.get(run.clone()).unwrap_or_default();
    let Some(decoded) = super::base64::decode(encoded) else { return ControlFlow::Continue(()) };
    if let Some(colon) = decoded.iter().position(|b| *b == b':') {
        let (user, password) = decoded.split_at(colon);
        let (user, password) = (user.to_vec(), password.get(1..).unwrap_or_default().to_vec());
        sink.run(user, run.clone(), "basic", field(b"username").as_ref())?;
        sink.run(password, run, "basic", field(b"password").as_ref())
    } else {
        sink.run(decoded, run, "basic", None)
    }
}

/// Undoes the declared codings, last applied first. What cannot be undone is a gap; what could is looked at all the same.
fn content_encoding(sink: &mut Sink<'_, '_>, codings: &[String]) -> Flow {
    let whole = sink.bytes();
    if whole.is_empty() {
        return ControlFlow::Continue(());
    }
    let mut bytes: Vec<u8> = Vec::new();
    let mut layer = "content-encoding";
    for (i, name) in codings.iter().rev().enumerate() {
        let input = if i == 0 { whole } else { &bytes };
        let Some((known, done)) = one(name, input, sink.budget) else {
            sink.budget.miss(0, Gap::UnknownEncoding);
            return ControlFlow::Continue(());
        };
        layer = known;
        if let Some(gap) = done.gap {
            sink.budget.miss(0, gap);
        }
        bytes = done.bytes;
    }
    sink.unpacked(bytes, 0..whole.len(), layer)
}

fn one(name: &str, input: &[u8], budget: &mut Budget) -> Option<(&'static str, coding::Decoded)> {
    let layer = ["gzip", "deflate", "br", "zstd"].into_iter().find(|l| name.trim_start_matches("x-") == *l)?;
    Some((layer, coding::decode(layer, input, 0, budget)?))
}
