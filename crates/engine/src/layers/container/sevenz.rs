//! 7-Zip archives, by `sevenz-rust2`: encrypted content, or a method it does not know, is a gap.

use std::io::Cursor;
use std::ops::ControlFlow;

use sevenz_rust2::{ArchiveReader, Error, Password};

use super::ATTEMPT;
use crate::Gap;
use crate::layers::coding::Bounded;
use crate::layers::sink::Sink;

/// What headers and dictionaries may take, each, in KiB: `7z -mx=9` asks for 64 MiB.
const MEMORY: usize = 80 << 10;
/// Signature, version, checksum, and the place, size and checksum of the header at the end (7zFormat.txt).
const START: usize = 32;
/// Entries that get a view of their own; all that follows is one.
const ENTRIES: usize = 4096;

/// The archive at `at`. Returns how far to go on.
pub(super) fn archive(sink: &mut Sink<'_, '_>, at: usize) -> ControlFlow<(), usize> {
    let input = sink.bytes().get(at..).unwrap_or_default();
    let Some(start) = input.first_chunk::<START>() else { return ControlFlow::Continue(1) };
    let [.., c0, c1, c2, c3] = start[..12] else { return ControlFlow::Continue(1) };
    // Without the checksum it is a constant in a program. The crate would go and look for a header anywhere if there were none at all.
    if crc32fast::hash(&start[12..]) != u32::from_le_bytes([c0, c1, c2, c3]) || start[8..].iter().all(|b| *b == 0) {
        return ControlFlow::Continue(1);
    }
    sink.work(ATTEMPT * 64, at)?;
    let (mut names, mut ends, mut encrypted) = (Vec::new(), Vec::new(), false);
    let filled = Bounded::new(input.len(), at, sink.budget).fill(|out| {
        let read = ArchiveReader::new_with_memory_limit(Cursor::new(input), Password::empty(), MEMORY).and_then(|mut archive| {
            archive.set_thread_count(1);
            archive.for_each_entries(|entry, reader| {
                names.push(entry.name().to_owned());
                if !out.copy(&mut { reader }) {
                    return Err(Error::Other("not all of it was read".into()));
                }
                ends.push(out.len());
                Ok(true)
            })
        });
        encrypted = match &read {
            // The cipher is left out of the crate: without a password it is of no use.
            Err(Error::UnsupportedCompressionMethod(name)) => name.contains("AES"),
            Err(Error::PasswordRequired | Error::MaybeBadPassword(_)) => true,
            _ => false,
        };
        read.is_ok()
    });
    let bytes = filled.bytes;
    if let Some(gap) = filled.gap {
        sink.budget.miss(at, if encrypted { Gap::Encrypted } else { gap });
    }
    let whole = at..sink.bytes().len();
    ends.truncate(ENTRIES);
    ends.push(bytes.len());
    let mut from = 0;
    for end in ends {
        sink.unpacked(bytes.get(from..end).unwrap_or_default().to_vec(), whole.clone(), "7z")?;
        from = end;
    }
    // Names were decoded too, and say as much as content does.
    let names = names.join("\n").into_bytes();
    if sink.budget.take(names.len() as u64, at) {
        sink.unpacked(names, whole, "7z")?;
    }
    ControlFlow::Continue(START)
}
