//! Compression that only embedded content uses: bzip2, xz, lzma, lz4. Decoded as a whole, under the same bounds.

use std::io::{self, Read, Write};

use super::{Decoded, GRACE, STEP};
use crate::Gap;
use crate::layers::Budget;

/// Takes output until the budget or the ratio is used up.
struct Bounded<'b> {
    out: Vec<u8>,
    most: u64,
    at: usize,
    budget: &'b mut Budget,
    over: bool,
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

/// Decodes `input`, which begins with the magic of `coding`; `None` for a coding that is not known here.
pub(crate) fn decode(coding: &str, input: &[u8], at: usize, budget: &mut Budget) -> Option<Decoded> {
    let most = GRACE + budget.ratio.saturating_mul(input.len() as u64);
    let mut sink = Bounded { out: Vec::new(), most, at, budget, over: false };
    let mut rest = input;
    let complete = match coding {
        "bzip2" => copy(&mut bzip2::read::BzDecoder::new(&mut rest), &mut sink),
        "lz4" => copy(&mut lz4_flex::frame::FrameDecoder::new(&mut rest), &mut sink),
        "xz" => lzma_rs::xz_decompress(&mut rest, &mut sink).is_ok(),
        "lzma" => lzma_rs::lzma_decompress(&mut rest, &mut sink).is_ok(),
        _ => return None,
    };
    let gap = match (complete, sink.over) {
        (_, true) => Some(Gap::Budget),
        (false, false) => Some(Gap::Undecodable),
        (true, false) => None,
    };
    // The decoders read ahead: what they took is not known to the byte.
    Some(Decoded { bytes: sink.out, taken: if complete { input.len() - rest.len() } else { 0 }, gap })
}

fn copy(reader: &mut impl Read, sink: &mut Bounded<'_>) -> bool {
    let mut step = vec![0; STEP];
    loop {
        match reader.read(&mut step) {
            Ok(0) => return true,
            Ok(n) if sink.write_all(step.get(..n).unwrap_or_default()).is_ok() => {}
            _ => return false,
        }
    }
}
