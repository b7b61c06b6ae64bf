//! Compressed streams and archives by their magic, and the question whether decoded bytes are worth a look.

use std::ops::ControlFlow;

use super::sink::{Flow, Sink};
use super::{Budget, census, cipher, coding, runs, symbols};
use crate::Gap;

/// The newest "version needed to extract" that APPNOTE.TXT section 4.4.3.2 knows.
const NEWEST_ZIP: usize = 63;

/// A stream that decoded to this much is a stream, not garbage that looked like one.
const REAL: usize = 512;

/// Whether decoded bytes look like something: mostly printable, UTF-16 text, or a container's magic.
pub(super) fn worth(bytes: &[u8]) -> bool {
    if magic(bytes).is_some() || bytes.starts_with(b"PK\x03\x04") {
        return true;
    }
    let sample = bytes.get(..4096).unwrap_or(bytes);
    let text = sample.iter().filter(|b| (0x20..0x7f).contains(*b) || matches!(b, b'\n' | b'\r' | b'\t')).count();
    let zeros = sample.iter().filter(|b| **b == 0).count();
    let high = sample.iter().filter(|b| **b >= 0x80).count();
    // UTF-8 text has high bytes in company; random bytes have them everywhere.
    let utf8 = high > 0 && std::str::from_utf8(sample).map_or_else(|e| e.valid_up_to() + 4 > sample.len(), |_| true);
    let printable = text + if utf8 { high } else { 0 };
    printable * 100 >= sample.len() * 85
        || (zeros * 100 >= sample.len() * 40 && text * 100 >= sample.len() * 40)
        || runs::next(bytes, 0, &PRINTABLE, MIN_PRINTABLE).is_some()
        // UTF-32, text under a key of one byte, EBCDIC, UTF-8 with more bytes than it needs.
        || (zeros * 100 >= sample.len() * 70 && text * 100 >= sample.len() * 22)
        || cipher::keyed(sample)
        || cipher::ebcdic(sample)
        || symbols::long(sample)
}

/// Whether bytes are text for the most part.
fn texty(bytes: &[u8]) -> bool {
    let sample = bytes.get(..1024).unwrap_or(bytes);
    let text = sample.iter().filter(|b| (0x20..0x7f).contains(*b) || b.is_ascii_whitespace()).count();
    text * 10 >= sample.len() * 9
}

/// Whether bytes begin like a compressed stream or an archive.
pub(super) fn packed(bytes: &[u8]) -> bool {
    magic(bytes).is_some() || bytes.starts_with(b"PK\x03\x04")
}

/// A binary serialisation that holds something carries a printable run at least this long.
const MIN_PRINTABLE: usize = 20;

static PRINTABLE: runs::Class = {
    let mut class = [false; 256];
    let mut i = 0x20;
    while i < 0x7f {
        class[i] = true;
        i += 1;
    }
    class
};

/// The coding that bytes with this beginning have.
fn magic(bytes: &[u8]) -> Option<&'static str> {
    match bytes {
        // No reserved flag, method deflate (RFC 1952 section 2.3.1).
        [0x1f, 0x8b, 8, flags, ..] if flags & 0xe0 == 0 => Some("gzip"),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => Some("zstd"),
        // Header checksum of RFC 1950 section 2.2.
        [0x78, second, ..] if (0x7800 + u16::from(*second)).is_multiple_of(31) && second & 0x20 == 0 => Some("zlib"),
        // Block size, and the magic of the first block (pi) or of the end (its root).
        [b'B', b'Z', b'h', b'1'..=b'9', 0x31, 0x41, 0x59, 0x26, 0x53, 0x59, ..] => Some("bzip2"),
        [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Some("xz"),
        [0x04, 0x22, 0x4d, 0x18, ..] => Some("lz4"),
        [0x5d, 0, 0, ..] if lzma(bytes) => Some("lzma"),
        _ => None,
    }
}

/// The header of `.lzma` has no magic: lc 3, lp 0, pb 2, a dictionary of 2^n or 2^n + 2^(n-1) bytes, and a length that is unknown or less than
/// 256 GiB, as `xz` itself asks for.
fn lzma(bytes: &[u8]) -> bool {
    let Some((header, _)) = bytes.split_first_chunk::<13>() else { return false };
    let [_, a, b, c, d, length @ ..] = *header;
    let dictionary = u32::from_le_bytes([a, b, c, d]);
    let shape = dictionary >> dictionary.trailing_zeros().min(31);
    let length = u64::from_le_bytes(length);
    matches!(shape, 1 | 3) && (length == u64::MAX || length < 1 << 38)
}

/// Streams anywhere in the view, zip entries, and raw deflate behind a text encoding.
pub(super) fn peel(sink: &mut Sink<'_, '_>) -> Flow {
    let bytes = sink.bytes();
    let declared = sink.view.kind.is_some_and(|k| !k.media.content_encoding.is_empty());
    if declared {
        return ControlFlow::Continue(());
    }
    // Text holds no stream; what is left of it is looked at by the text layers.
    let text = !sink.census.any(census::CONTROL) && (!sink.census.any(census::HIGH) || std::str::from_utf8(bytes).is_ok());
    if text {
        return ControlFlow::Continue(());
    }
    let mut at = 0;
    let mut found = false;
    while let Some(step) = bytes.get(at..).and_then(beginning) {
        at += step;
        let rest = bytes.get(at..).unwrap_or_default();
        let taken = match magic(rest) {
            Some(coding) => stream(sink, coding, at)?,
            None if rest.starts_with(b"PK\x03\x04") => entry(sink, at)?,
            None => 1,
        };
        found |= taken > 1;
        at += taken;
    }
    if !found && bytes.len() >= 16 && !texty(bytes) {
        raw(sink)?;
    }
    ControlFlow::Continue(())
}

/// The first bytes of everything that [`magic`] knows, and of zip entries.
static BEGINNINGS: [bool; 256] = {
    let mut first = [false; 256];
    let firsts = [0x1f, 0x28, 0x78, b'B', 0xfd, 0x04, 0x5d, b'P'];
    let mut i = 0;
    while i < firsts.len() {
        first[firsts[i] as usize] = true;
        i += 1;
    }
    first
};

/// Where the next byte stands that a magic begins with.
fn beginning(bytes: &[u8]) -> Option<usize> {
    bytes.iter().position(|b| BEGINNINGS[usize::from(*b)])
}

/// Raw deflate has no beginning of its own: bytes that decode to their end, to something that is worth a look, are it.
fn raw(sink: &mut Sink<'_, '_>) -> Flow {
    let bytes = sink.bytes();
    match deflated(bytes, sink.budget) {
        Some(decoded) => sink.unpacked(decoded, 0..bytes.len(), "deflate"),
        None => ControlFlow::Continue(()),
    }
}

/// What bytes are as raw deflate, if they are.
fn deflated(bytes: &[u8], budget: &mut Budget) -> Option<Vec<u8>> {
    // Reserved block type (RFC 1951 section 3.2.3), or stored bytes, which are seen as they are.
    if bytes.len() < 16 || matches!(bytes.first().map(|b| b >> 1 & 3), Some(0 | 3) | None) {
        return None;
    }
    let done = coding::decode("raw-deflate", bytes, 0, budget)?;
    (done.gap.is_none() && done.taken >= bytes.len() * 9 / 10 && worth(&done.bytes)).then_some(done.bytes)
}

/// Whether bytes behind a text encoding are worth a view: for what they look like, or as raw deflate.
pub(super) fn worth_a_view(bytes: &[u8], budget: &mut Budget) -> bool {
    // A last block, as all short streams are.
    worth(bytes) || (bytes.first().is_some_and(|b| b & 1 == 1) && !texty(bytes) && deflated(bytes, budget).is_some())
}

/// Decodes a stream at `at`; returns how far to go on.
fn stream(sink: &mut Sink<'_, '_>, coding: &'static str, at: usize) -> ControlFlow<(), usize> {
    let bytes = sink.bytes();
    let input = bytes.get(at..).unwrap_or_default();
    let Some(done) = coding::decode(coding, input, at, sink.budget) else { return ControlFlow::Continue(1) };
    let taken = done.taken.min(input.len()).max(1);
    // In the middle of other bytes much looks like a beginning (the split stream of a PNG is one): what it decodes to is looked at as far as it
    // goes, and nobody else gets further.
    let broken = done.gap == Some(Gap::Undecodable);
    let inside = at > 0 || done.bytes.len() < REAL;
    if broken && inside && (done.bytes.len() < 16 || !worth(&done.bytes)) {
        return ControlFlow::Continue(1);
    }
    if let Some(gap) = done.gap.filter(|_| done.bytes.len() >= REAL && !(broken && inside)) {
        sink.budget.miss(at, gap);
    }
    let layer = if coding == "raw-deflate" { "deflate" } else { coding };
    sink.unpacked(done.bytes, at..at + taken, layer)?;
    ControlFlow::Continue(taken)
}

/// A zip entry by its local header (APPNOTE.TXT section 4.3.7): stored or deflated; an encrypted one is a gap.
fn entry(sink: &mut Sink<'_, '_>, at: usize) -> ControlFlow<(), usize> {
    let bytes = sink.bytes();
    let Some(header) = bytes.get(at..at + 30) else { return ControlFlow::Continue(1) };
    let short = |i: usize| usize::from(u16::from_le_bytes([header[i], header[i + 1]]));
    let long = |i: usize| u32::from_le_bytes([header[i], header[i + 1], header[i + 2], header[i + 3]]) as usize;
    let (flags, method) = (short(6), short(8));
    let start = at + 30 + short(26) + short(28);
    let name = bytes.get(at + 30..at + 30 + short(26)).unwrap_or_default();
    // Machine code that handles archives has the magic too; what follows it there is no entry.
    let plausible = short(4) & 0xff <= NEWEST_ZIP && !name.is_empty() && name.iter().all(|b| *b >= 0x20);
    if start > bytes.len() || !plausible {
        return ControlFlow::Continue(1);
    }
    if flags & 1 != 0 {
        sink.budget.miss(at, Gap::Encrypted);
        return ControlFlow::Continue(30);
    }
    sink.slice(at + 30..at + 30 + short(26), "zip-name", None)?;
    match method {
        0 => {
            let end = start.saturating_add(long(18)).min(bytes.len());
            sink.slice(start..end, "zip", None)?;
            ControlFlow::Continue((start - at).max(1))
        }
        8 => {
            let taken = stream(sink, "raw-deflate", start)?;
            ControlFlow::Continue(start - at + taken)
        }
        _ => {
            sink.budget.miss(at, Gap::Undecodable);
            ControlFlow::Continue(30)
        }
    }
}
