//! The short values of a request: where a secret could go out in parts.

use std::ops::Range;
use std::sync::Arc;

use engine::Location;

use crate::Head;

/// Shorter values are numbers and words; longer ones hold enough of a secret to be found by themselves.
const LEAST: usize = 4;
const MOST: usize = 128;
/// Longer bodies are no short values.
const MAX_BODY: usize = 4 << 10;
/// Headers that programs set by themselves, that say how and not what; and those that exist for credentials, which travel whole.
const ORDINARY: [&str; 23] = [
    "accept",
    "accept-charset",
    "accept-encoding",
    "accept-language",
    "authorization",
    "cache-control",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "cookie",
    "date",
    "expect",
    "host",
    "if-modified-since",
    "if-none-match",
    "range",
    "te",
    "traceparent",
    "transfer-encoding",
    "upgrade",
    "user-agent",
    "x-api-key",
];

/// A short value of a request.
#[derive(Debug, Clone)]
pub(crate) struct Shard<'a> {
    /// What the place is called: `query q`, `header x-note`, `path`.
    pub(crate) place: String,
    pub(crate) text: &'a str,
    pub(crate) location: Location,
    pub(crate) field: Option<Arc<str>>,
    /// Where it stands in its location.
    pub(crate) span: Range<u64>,
}

impl<'a> Shard<'a> {
    /// A value at an offset, if it may be a part of a secret: neither long nor short, and no text.
    fn of(location: Location, field: Option<&str>, bytes: &'a [u8], at: usize) -> Option<Shard<'a>> {
        let of_secrets = |b: &u8| b.is_ascii_alphanumeric() || b"_-+/=.~:".contains(b);
        let fits = (LEAST..=MOST).contains(&bytes.len()) && bytes.iter().all(of_secrets);
        let text = std::str::from_utf8(bytes).ok().filter(|_| fits)?;
        let place = format!("{location} {}", field.unwrap_or_default());
        let field = field.map(|name| name.chars().take(64).collect::<String>().to_ascii_lowercase().into());
        Some(Shard { place, text, location, field, span: at as u64..(at + bytes.len()) as u64 })
    }

    /// Whether it is no word: words alone make no secret.
    pub(super) fn is_odd(&self) -> bool {
        self.text.bytes().skip(1).any(|b| b.is_ascii_digit() || b.is_ascii_uppercase())
    }
}

/// Pieces of `bytes` between separators, each with its offset.
fn pieces(bytes: &[u8], between: fn(u8) -> bool) -> impl Iterator<Item = (usize, &[u8])> {
    let mut at = 0;
    bytes.split(move |b| between(*b)).map(move |piece| {
        let start = at;
        at += piece.len() + 1;
        (start, piece)
    })
}

/// Keys and values of a query or a form, as sent; the offset is the value's.
fn pairs(bytes: &[u8]) -> impl Iterator<Item = (String, usize, &[u8])> {
    pieces(bytes, |b| b == b'&' || b == b';').map(|(at, pair)| {
        let end = pair.iter().position(|b| *b == b'=').unwrap_or(pair.len());
        let (key, value) = (pair.get(..end).unwrap_or_default(), pair.get(end + 1..).unwrap_or_default());
        (String::from_utf8_lossy(key).into_owned(), at + (end + 1).min(pair.len()), value)
    })
}

/// The short values of a head: a label of the host, segments of the path, values of the query, headers.
pub(crate) fn of_head(head: &Head) -> Vec<Shard<'_>> {
    let mut out = Vec::new();
    let host = head.authority.as_bytes();
    if host.iter().filter(|b| **b == b'.').count() >= 2 {
        out.extend(pieces(host, |b| b == b'.').next().and_then(|(at, label)| Shard::of(Location::Host, None, label, at)));
    }
    let end = head.path.iter().position(|b| *b == b'?').unwrap_or(head.path.len());
    let (path, query) = (head.path.get(..end).unwrap_or_default(), head.path.get(end + 1..).unwrap_or_default());
    out.extend(pieces(path, |b| b == b'/').filter_map(|(at, segment)| Shard::of(Location::Path, None, segment, at)));
    out.extend(pairs(query).filter_map(|(key, at, value)| Shard::of(Location::Query, Some(&key), value, at)));
    for header in &head.headers {
        let name = header.name.to_ascii_lowercase();
        if !ORDINARY.contains(&name.as_str()) && !name.starts_with("sec-") {
            out.extend(Shard::of(Location::Header(name.into()), None, &header.value, 0));
        }
    }
    out
}

/// The short values of a body: of a form, of flat JSON, or the body itself.
pub(crate) fn of_body<'a>(content_type: &str, body: &'a [u8]) -> Vec<Shard<'a>> {
    if body.len() > MAX_BODY {
        return Vec::new();
    }
    let shard = |field: Option<&str>, bytes: &'a [u8], at: usize| Shard::of(Location::Body, field, bytes, at);
    if content_type == "application/x-www-form-urlencoded" {
        return pairs(body).filter_map(|(key, at, value)| shard(Some(&key), value, at)).collect();
    }
    let start = body.len() - body.trim_ascii_start().len();
    if matches!(body.get(start), Some(b'{' | b'[')) {
        // Whatever stands between quotes: keys are words, and what has escapes is none of these.
        let strings = pieces(body, |b| b == b'"').skip(1).step_by(2);
        let mut key = String::new();
        let mut out = Vec::new();
        for (at, text) in strings {
            let rest = body.get(at + text.len() + 1..).unwrap_or_default().trim_ascii_start();
            if rest.first() == Some(&b':') {
                key = String::from_utf8_lossy(text).into_owned();
            } else {
                out.extend(shard(Some(&key), text, at));
            }
        }
        return out;
    }
    shard(None, body.trim_ascii(), start).into_iter().collect()
}
