//! Archives that do not compress: tar, ar (and with it deb), cpio. Each file is a view of its own, for what only a whole one shows (UTF-16, an encoding
//! from end to end).

use std::ops::{ControlFlow, Range};

use super::leaf;
use crate::layers::sink::Sink;

/// A block of a tar archive (POSIX.1-2017, pax, "ustar Interchange Format").
const BLOCK: usize = 512;

/// Hands on the files of an archive; those that were, by where they stand. A file that goes on behind the window is left to the window.
pub(super) fn peel(sink: &mut Sink<'_, '_>) -> ControlFlow<(), Vec<Range<usize>>> {
    let bytes = sink.bytes();
    let (entry, start, layer): (Reader, usize, _) = match bytes {
        [b'!', b'<', b'a', b'r', b'c', b'h', b'>', b'\n', ..] => (ar, 8, "ar"),
        [b'0', b'7', b'0', b'7', b'0', b'1' | b'2' | b'7', ..] => (cpio, 0, "cpio"),
        _ if tar(bytes, 0).is_some() => (tar, 0, "tar"),
        _ => return ControlFlow::Continue(Vec::new()),
    };
    let mut files = Vec::new();
    let mut at = start;
    while let Some(Entry { content, next }) = entry(bytes, at).filter(|e| e.next > at) {
        at = next;
        let cut = content.end > bytes.len();
        let content = content.start..content.end.min(bytes.len());
        if cut && sink.view.open.is_some() {
            break;
        }
        if content.start < content.end {
            leaf(sink, content.clone(), layer)?;
            files.push(content);
        }
    }
    ControlFlow::Continue(files)
}

/// Reads the header at an offset.
type Reader = fn(&[u8], usize) -> Option<Entry>;

/// A file in an archive: its content, and where the next header stands.
struct Entry {
    content: Range<usize>,
    next: usize,
}

impl Entry {
    fn new(start: usize, length: usize, align: usize) -> Entry {
        let end = start.saturating_add(length);
        Entry { content: start..end, next: end.checked_next_multiple_of(align).unwrap_or(usize::MAX) }
    }
}

/// A header whose checksum is right: of its bytes, with blanks where the checksum is.
fn tar(bytes: &[u8], at: usize) -> Option<Entry> {
    let header = bytes.get(at..at.checked_add(BLOCK)?)?;
    let sum = header.iter().enumerate().map(|(i, b)| if (148..156).contains(&i) { u32::from(b' ') } else { u32::from(*b) }).sum::<u32>();
    if header.first() == Some(&0) || number(header.get(148..156)?, 8) != usize::try_from(sum).ok() {
        return None;
    }
    let field = header.get(124..136)?;
    let length = match field {
        // Binary, for files of more than 8 GiB.
        [first, rest @ ..] if first & 0x80 != 0 => rest.iter().fold(0_usize, |n, b| n.saturating_mul(256).saturating_add(usize::from(*b))),
        digits => number(digits, 8)?,
    };
    // Links and folders have a length that says nothing.
    let length = if matches!(header.get(156), Some(b'1'..=b'6')) { 0 } else { length };
    Some(Entry::new(at + BLOCK, length, BLOCK))
}

/// A header of 60 bytes that ends with a mark of its own.
fn ar(bytes: &[u8], at: usize) -> Option<Entry> {
    let header = bytes.get(at..at.checked_add(60)?)?;
    let length = number(header.get(48..58)?, 10)?;
    header.ends_with(b"`\n").then(|| Entry::new(at + 60, length, 2))
}

/// The portable formats, of hex and of octal digits (cpio(5)).
fn cpio(bytes: &[u8], at: usize) -> Option<Entry> {
    let header = bytes.get(at..)?;
    let (name, length, size, align) = match header {
        [b'0', b'7', b'0', b'7', b'0', b'1' | b'2', ..] => (number(header.get(94..102)?, 16)?, number(header.get(54..62)?, 16)?, 110, 4),
        [b'0', b'7', b'0', b'7', b'0', b'7', ..] => (number(header.get(59..65)?, 8)?, number(header.get(65..76)?, 8)?, 76, 1),
        _ => return None,
    };
    let start = (at + size).checked_add(name)?.checked_next_multiple_of(align)?;
    Some(Entry::new(start, length, align))
}

/// Digits with blanks or zero bytes around.
fn number(field: &[u8], base: u32) -> Option<usize> {
    let text = std::str::from_utf8(field).ok()?.trim_matches([' ', '\0']);
    usize::from_str_radix(text, base).ok()
}
