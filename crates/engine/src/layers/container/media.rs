//! Pictures and sound: the parts that hold text, each as a leaf, and what follows the end. Samples and pixels are no text; only runs of text among
//! the pixels of a PNG are looked at.

pub(super) mod pixels;

use std::ops::{ControlFlow, Range};

use super::leaf;
use crate::layers::sink::Sink;

/// What a file that is taken apart here begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Media {
    Png,
    Jpeg,
    Gif,
    /// WebP, WAV, AVI.
    Riff,
}

/// The kind of the file that begins here; all but PNG only where a view begins.
pub(super) fn kind(bytes: &[u8]) -> Option<Media> {
    match bytes {
        [0xff, 0xd8, 0xff, 0xc0..=0xfe, ..] => Some(Media::Jpeg),
        [b'G', b'I', b'F', b'8', b'7' | b'9', b'a', ..] => Some(Media::Gif),
        [b'R', b'I', b'F', b'F', _, _, _, _, form @ ..] if form.starts_with(b"W") || form.starts_with(b"AVI ") => Some(Media::Riff),
        _ => None,
    }
}

/// Takes the file at `at` apart; returns how far to go on.
pub(super) fn file(sink: &mut Sink<'_, '_>, media: Media, at: usize) -> ControlFlow<(), usize> {
    let end = match media {
        Media::Png => png(sink, at)?,
        Media::Jpeg => jpeg(sink, at)?,
        Media::Gif => gif(sink, at)?,
        Media::Riff => riff(sink, at)?,
    };
    let length = sink.bytes().len();
    if end < length && at == 0 {
        // It is looked at as what it is, which the picture before it has no part in.
        leaf(sink, end..length, "trailer")?;
        return ControlFlow::Continue(length);
    }
    ControlFlow::Continue(end.min(length).saturating_sub(at).max(1))
}

/// Chunks of a PNG (ISO 15948 section 5.3): length, name, data, checksum. Returns where it ends.
fn png(sink: &mut Sink<'_, '_>, at: usize) -> ControlFlow<(), usize> {
    let bytes = sink.bytes();
    let mut image: Vec<Range<usize>> = Vec::new();
    let mut next = at + 8;
    while let Some(&[a, b, c, d, name @ ..]) = bytes.get(next..).and_then(|rest| rest.first_chunk::<8>()) {
        if !name.iter().all(u8::is_ascii_alphabetic) {
            break;
        }
        let start = next + 8;
        let data = start..start.saturating_add(u32::from_be_bytes([a, b, c, d]) as usize).min(bytes.len());
        next = (data.end + 4).min(bytes.len());
        match &name {
            b"IDAT" => image.push(data),
            b"IHDR" | b"sRGB" | b"gAMA" | b"cHRM" | b"pHYs" | b"tIME" => {}
            b"IEND" => break,
            _ => leaf(sink, data, "png-chunk")?,
        }
    }
    pixels::look(sink, &image)?;
    ControlFlow::Continue(next)
}

/// Segments of a JPEG up to its first scan (ISO 10918-1 annex B.1): marker, length, data. Returns where it ends.
fn jpeg(sink: &mut Sink<'_, '_>, at: usize) -> ControlFlow<(), usize> {
    let bytes = sink.bytes();
    let mut next = at + 2;
    while let Some(&[0xff, marker, a, b]) = bytes.get(next..).and_then(|rest| rest.first_chunk::<4>()) {
        let length = usize::from(u16::from_be_bytes([a, b])).max(2);
        let data = next + 4..(next + 2 + length).min(bytes.len());
        next = data.end;
        // Application data and comments; the rest is tables.
        if matches!(marker, 0xe0..=0xef | 0xfe) && data.start < data.end {
            leaf(sink, data, "jpeg-segment")?;
        } else if marker == 0xda {
            break;
        }
    }
    // In a scan 0xff is followed by zero or a restart marker.
    let end = memchr::memmem::find(bytes.get(next..).unwrap_or_default(), b"\xff\xd9");
    ControlFlow::Continue(end.map_or(bytes.len(), |i| next + i + 2))
}

/// Blocks of a GIF (GIF89a specification): extensions in pieces of up to 255 bytes, which are joined. Returns where it ends.
fn gif(sink: &mut Sink<'_, '_>, at: usize) -> ControlFlow<(), usize> {
    let bytes = sink.bytes();
    let table = |flags: u8| if flags & 0x80 == 0 { 0 } else { 6 << (flags & 7) };
    let mut next = at + 13 + bytes.get(at + 10).map_or(0, |flags| table(*flags));
    loop {
        match bytes.get(next) {
            Some(0x21) => {
                let (text, end) = blocks(bytes, next + 2);
                // Of an application's data the first block is its name.
                sink.unclaimed(text, next..end, "gif-extension")?;
                next = end;
            }
            Some(0x2c) => {
                let local = bytes.get(next + 9).map_or(0, |flags| table(*flags));
                next = skip(bytes, next + 11 + local);
            }
            Some(0x3b) => return ControlFlow::Continue(next + 1),
            _ => return ControlFlow::Continue(next.min(bytes.len())),
        }
    }
}

/// Blocks with their length before them, up to an empty one, joined; and where they end.
fn blocks(bytes: &[u8], mut at: usize) -> (Vec<u8>, usize) {
    let mut joined = Vec::new();
    while let Some(length) = bytes.get(at).map(|n| usize::from(*n)) {
        let end = (at + 1 + length).min(bytes.len());
        joined.extend_from_slice(bytes.get(at + 1..end).unwrap_or_default());
        at = end;
        if length == 0 {
            break;
        }
    }
    (joined, at.min(bytes.len()))
}

fn skip(bytes: &[u8], mut at: usize) -> usize {
    while let Some(length) = bytes.get(at) {
        at += 1 + usize::from(*length);
        if *length == 0 {
            break;
        }
    }
    at
}

/// Chunks of a RIFF file: name, length, data, and a byte more where the length is odd. Returns where it ends.
fn riff(sink: &mut Sink<'_, '_>, at: usize) -> ControlFlow<(), usize> {
    let bytes = sink.bytes();
    let long = |i: usize| bytes.get(i..i + 4).and_then(|b| b.first_chunk::<4>()).map_or(0, |b| u32::from_le_bytes(*b) as usize);
    let end = (at + 8).saturating_add(long(at + 4)).min(bytes.len());
    let mut next = at + 12;
    while next + 8 <= end {
        let data = next + 8..(next + 8).saturating_add(long(next + 4)).min(end);
        let name = bytes.get(next..next + 4).unwrap_or_default();
        next = data.end + (data.len() & 1);
        if !matches!(name, b"VP8 " | b"VP8L" | b"ALPH" | b"data") {
            leaf(sink, data, "riff-chunk")?;
        }
    }
    ControlFlow::Continue(end)
}
