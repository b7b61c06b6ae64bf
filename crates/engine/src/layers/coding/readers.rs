//! Compression that only embedded content uses: bzip2, xz, lzma, lzip, lz4, snappy, deflate64, compress. Decoded as a whole, under the same
//! bounds.

use std::io::{self, Read, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};

use lzma_rust2::{LzipReader, LzmaReader, XzReader};

use super::{Decoded, GRACE, STEP, lz4, lzw};
use crate::Gap;
use crate::layers::Budget;

/// Memory a decoder's dictionary may take, in KiB: `xz -9` asks for 64 MiB. What is not written to is never really there.
pub(super) const MEMORY: u32 = 66 << 10;
/// The largest dictionary of an lzip member that is opened: 64 MiB, as a power of two.
const LZIP_DICTIONARY: u8 = 26;

/// Takes output until the budget or the ratio is used up.
pub(in crate::layers) struct Bounded<'b> {
    out: Vec<u8>,
    most: u64,
    at: usize,
    budget: &'b mut Budget,
    over: bool,
    /// Whether the input ended before the stream did.
    cut: bool,
}

/// What a decoder gave.
#[derive(Debug)]
pub(in crate::layers) struct Filled {
    pub(in crate::layers) bytes: Vec<u8>,
    pub(in crate::layers) gap: Option<Gap>,
    cut: bool,
}

impl<'b> Bounded<'b> {
    /// Room for what `input` bytes at `at` may decode to.
    pub(in crate::layers) fn new(input: usize, at: usize, budget: &'b mut Budget) -> Bounded<'b> {
        let most = GRACE + budget.ratio.saturating_mul(input as u64);
        Bounded { out: Vec::new(), most, at, budget, over: false, cut: false }
    }

    /// What was written, and what is missing. A decoder that panics is a decoder that failed.
    pub(in crate::layers) fn fill(mut self, decode: impl FnOnce(&mut Bounded<'b>) -> bool) -> Filled {
        let complete = catch_unwind(AssertUnwindSafe(|| decode(&mut self))).unwrap_or(false);
        let gap = match (complete, self.over) {
            (_, true) => Some(Gap::Budget),
            (false, false) => Some(Gap::Undecodable),
            (true, false) => None,
        };
        Filled { bytes: self.out, cut: gap == Some(Gap::Undecodable) && self.cut, gap }
    }

    /// Bytes written so far.
    pub(in crate::layers) fn len(&self) -> usize {
        self.out.len()
    }

    /// All that a reader gives; whether it came to its end.
    pub(in crate::layers) fn copy(&mut self, reader: &mut impl Read) -> bool {
        let mut step = vec![0; STEP];
        loop {
            match reader.read(&mut step) {
                Ok(0) => return true,
                Ok(n) if self.write_all(step.get(..n).unwrap_or_default()).is_ok() => {}
                Ok(_) => return false,
                Err(e) => {
                    self.cut = e.kind() == io::ErrorKind::UnexpectedEof;
                    return false;
                }
            }
        }
    }
}

impl Write for Bounded<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.out.len() as u64 + bytes.len() as u64 > self.most || !self.budget.take(bytes.len() as u64, self.at) {
            self.over = true;
            return Err(io::Error::other("over budget"));
        }
        self.out.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Decodes `input`, which begins with the magic of `coding`; `None` for a coding that is not known here. Streams that follow one another, as
/// `cat` makes them, are one.
pub(crate) fn decode(coding: &str, input: &[u8], at: usize, budget: &mut Budget) -> Option<Decoded> {
    let one = reader(coding)?;
    let mut rest = input;
    let mut taken = 0;
    let Filled { bytes, gap, cut } = Bounded::new(input.len(), at, budget).fill(|sink| {
        loop {
            if !one(&mut rest, sink) {
                return false;
            }
            taken = input.len() - rest.len();
            let more = match coding {
                "bzip2" => rest.starts_with(b"BZh"),
                "xz" => rest.starts_with(&[0xfd, b'7', b'z', b'X', b'Z', 0]),
                "lzip" => rest.starts_with(b"LZIP"),
                "lz4" => rest.starts_with(&[0x04, 0x22, 0x4d, 0x18]),
                _ => false,
            };
            if !more {
                return true;
            }
        }
    });
    // What was read is spent, whether it gave anything or not.
    Some(Decoded { bytes, taken, gap, cut, read: input.len() - rest.len() })
}

/// Decodes one stream; the input is left behind it. Whether it is whole.
type One = fn(&mut &[u8], &mut Bounded<'_>) -> bool;

fn reader(coding: &str) -> Option<One> {
    let one: One = match coding {
        "bzip2" => |rest, sink| sink.copy(&mut bzip2::bufread::BzDecoder::new(rest)),
        "lz4" => |rest, sink| sink.copy(&mut lz4_flex::frame::FrameDecoder::new(rest)),
        "lz4-legacy" => |rest, sink| lz4::legacy(rest, sink),
        "xz" => |rest, sink| sink.copy(&mut XzReader::new_mem_limit(rest, false, MEMORY)),
        "lzip" => |rest, sink| {
            let modest = rest.get(5).is_some_and(|d| d & 0x1f <= LZIP_DICTIONARY);
            modest && sink.copy(&mut LzipReader::new(rest))
        },
        "lzma" => |rest, sink| LzmaReader::new_mem_limit(rest, MEMORY, None).is_ok_and(|mut r| sink.copy(&mut r)),
        "deflate64" => |rest, sink| sink.copy(&mut deflate64::Deflate64Decoder::with_buffer(rest)),
        "snappy" => |rest, sink| sink.copy(&mut snap::read::FrameDecoder::new(rest)),
        // It has no end of its own.
        "compress" => |rest, sink| {
            let complete = lzw::compress(rest, sink);
            *rest = rest.get(3..).unwrap_or_default();
            complete
        },
        _ => return None,
    };
    Some(one)
}
