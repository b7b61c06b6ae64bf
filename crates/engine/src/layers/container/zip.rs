//! Zip archives, entry by entry as they stand: neither the central directory nor anything before the first entry matters.

use std::ops::ControlFlow;

use super::{ATTEMPT, leaf, stream};
use crate::Gap;
use crate::layers::coding;
use crate::layers::sink::Sink;

/// The newest "version needed to extract" that APPNOTE.TXT section 4.4.3.2 knows.
const NEWEST: usize = 63;
/// The length of a local header without name and extra field.
const HEADER: usize = 30;
/// What stands for a length that is in the extra field (APPNOTE.TXT section 4.5.3).
const ZIP64: usize = 0xffff_ffff;

/// A zip entry by its local header (APPNOTE.TXT section 4.3.7); an encrypted one is a gap. Returns how far to go on.
pub(super) fn entry(sink: &mut Sink<'_, '_>, at: usize) -> ControlFlow<(), usize> {
    let bytes = sink.bytes();
    let Some(header) = bytes.get(at..).and_then(|rest| rest.first_chunk::<HEADER>()) else { return ControlFlow::Continue(1) };
    let short = |i: usize| usize::from(u16::from_le_bytes([header[i], header[i + 1]]));
    let long = |i: usize| u32::from_le_bytes([header[i], header[i + 1], header[i + 2], header[i + 3]]) as usize;
    let (flags, method, name_length) = (short(6), short(8), short(26));
    let start = at + HEADER + name_length + short(28);
    let name = bytes.get(at + HEADER..at + HEADER + name_length).unwrap_or_default();
    // Machine code that handles archives has the magic too; what follows it there is no entry.
    let plausible = short(4) & 0xff <= NEWEST && !name.is_empty() && name.iter().all(|b| *b >= 0x20);
    if start > bytes.len() || !plausible {
        return ControlFlow::Continue(1);
    }
    if flags & 1 != 0 {
        sink.budget.miss(at, Gap::Encrypted);
        return ControlFlow::Continue(HEADER);
    }
    leaf(sink, at + HEADER..at + HEADER + name_length, "zip-name")?;
    // Zero when it is written behind the content.
    let size = Some(long(18)).filter(|n| *n > 0 && *n < ZIP64 && flags & 8 == 0);
    let end = size.map_or(bytes.len(), |n| start.saturating_add(n).min(bytes.len()));
    let coding = match method {
        0 => {
            if size.is_none() {
                return ControlFlow::Continue(start - at);
            }
            // An entry that goes on behind the window is looked at as it stands.
            if sink.view.open.is_some() && size.is_some_and(|n| start.saturating_add(n) > bytes.len()) {
                return ControlFlow::Continue(start - at);
            }
            leaf(sink, start..end, "zip")?;
            // What it holds is found in it, not here again.
            return ControlFlow::Continue((end - at).max(1));
        }
        8 => "raw-deflate",
        9 => "deflate64",
        12 => "bzip2",
        14 => {
            lzma(sink, start, end, (flags & 2 == 0).then(|| long(22)))?;
            return ControlFlow::Continue(start - at);
        }
        20 | 93 => "zstd-file",
        95 => "xz",
        _ => {
            sink.budget.miss(at, Gap::Undecodable);
            return ControlFlow::Continue(HEADER);
        }
    };
    let taken = stream(sink, coding, start..end)?;
    ControlFlow::Continue(start - at + taken)
}

/// An LZMA entry (APPNOTE.TXT section 5.8.8): version, size of the properties, the properties. It is `.lzma` without the length, which is known
/// unless the stream has a mark at its end.
fn lzma(sink: &mut Sink<'_, '_>, start: usize, end: usize, length: Option<usize>) -> ControlFlow<()> {
    let entry = sink.bytes().get(start..end).unwrap_or_default();
    sink.work(ATTEMPT + entry.len() as u64 / 8, start)?;
    let Some((&[_, _, 5, 0, ref properties @ ..], data)) = entry.split_first_chunk::<9>() else {
        sink.budget.miss(start, Gap::Undecodable);
        return ControlFlow::Continue(());
    };
    let length = length.map_or(u64::MAX, |n| n as u64).to_le_bytes();
    let alone = [properties, &length[..], data].concat();
    let Some(done) = coding::decode("lzma", &alone, start, sink.budget) else { return ControlFlow::Continue(()) };
    if let Some(gap) = done.gap {
        sink.budget.miss(start, gap);
    }
    sink.unpacked(done.bytes, start..end, "lzma")
}
