//! Multipart bodies (RFC 2046 section 5.1): the content of each part is a leaf with the part's name.

use std::ops::ControlFlow;

use super::sink::{Flow, Sink, field};

/// Boundaries are at most 70 bytes (RFC 2046 section 5.1.1); two dashes and some slack.
const MAX_BOUNDARY: usize = 80;

/// Parts of a body that begins with a boundary line, whatever its type says.
pub(super) fn peel(sink: &mut Sink<'_, '_>) -> Flow {
    let bytes = sink.bytes();
    let Some(delimiter) = delimiter(sink) else { return ControlFlow::Continue(()) };
    let marks: Vec<usize> = memchr::memmem::find_iter(bytes, &delimiter).collect();
    for (i, mark) in marks.iter().enumerate() {
        let start = (mark + delimiter.len()).min(bytes.len());
        let end = marks.get(i + 1).copied().unwrap_or(bytes.len()).max(start);
        let part = bytes.get(start..end).unwrap_or_default();
        let (head, body) = match (memchr::memmem::find(part, b"\r\n\r\n"), memchr::memmem::find(part, b"\n\n")) {
            (Some(at), _) => (at, at + 4),
            (None, Some(at)) => (at, at + 2),
            (None, None) => continue,
        };
        let name = parameter(part.get(..head).unwrap_or_default(), b"name=");
        sink.slice(start..start + head, "multipart-head", None)?;
        let end = start + part.len() - if part.ends_with(b"\r\n") { 2 } else { usize::from(part.ends_with(b"\n")) };
        sink.slice((start + body).min(end)..end, "multipart", name.as_ref())?;
    }
    ControlFlow::Continue(())
}

fn delimiter(sink: &Sink<'_, '_>) -> Option<Vec<u8>> {
    let declared = sink.view.kind.and_then(|k| k.media.content_type.as_deref()).filter(|t| t.to_ascii_lowercase().contains("multipart/"));
    if let Some((_, value)) = declared.and_then(|t| t.split_once("boundary=")) {
        let value = value.trim_start_matches('"').split(['"', ';']).next().unwrap_or_default();
        if !value.is_empty() && value.len() <= MAX_BOUNDARY {
            return Some([b"--", value.as_bytes()].concat());
        }
    }
    let bytes = sink.bytes();
    if !bytes.starts_with(b"--") {
        return None;
    }
    let line = bytes.split(|b| *b == b'\n').next()?;
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let token = |b: &u8| b.is_ascii_graphic();
    (line.len() > 4 && line.len() <= MAX_BOUNDARY && line.iter().all(token) && !line.starts_with(b"-----BEGIN")).then(|| line.to_vec())
}

/// A quoted parameter of a part's head.
fn parameter(head: &[u8], name: &[u8]) -> Option<std::sync::Arc<str>> {
    let at = memchr::memmem::find(head, name)?;
    let rest = head.get(at + name.len()..)?;
    let rest = rest.strip_prefix(b"\"").unwrap_or(rest);
    let end = rest.iter().position(|b| matches!(b, b'"' | b';' | b'\r' | b'\n')).unwrap_or(rest.len());
    field(rest.get(..end)?)
}
