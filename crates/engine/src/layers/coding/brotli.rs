//! Brotli (RFC 7932), without the large-window extension.

use brotli_decompressor::{BrotliDecompressStream, BrotliResult, BrotliState, StandardAlloc};

use super::STEP;
use crate::Gap;

pub(super) struct Brotli {
    state: BrotliState<StandardAlloc, StandardAlloc, StandardAlloc>,
    done: bool,
}

impl Default for Brotli {
    fn default() -> Brotli {
        // Strict: windows of at most 16 MiB.
        let state = BrotliState::new_strict(StandardAlloc::default(), StandardAlloc::default(), StandardAlloc::default());
        Brotli { state, done: false }
    }
}

impl Brotli {
    pub(super) fn finished(&self) -> bool {
        self.done
    }

    pub(super) fn feed(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<usize, Gap> {
        if self.done {
            return if input.is_empty() { Ok(0) } else { Err(Gap::Undecodable) };
        }
        let mark = out.len();
        out.resize(mark + STEP, 0);
        let (mut left, mut used, mut room, mut made, mut total) = (input.len(), 0, STEP, 0, 0);
        let target = out.get_mut(mark..).unwrap_or_default();
        let result = BrotliDecompressStream(&mut left, &mut used, input, &mut room, &mut made, target, &mut total, &mut self.state);
        out.truncate(mark + made.min(STEP));
        match result {
            BrotliResult::ResultSuccess => self.done = true,
            BrotliResult::NeedsMoreInput | BrotliResult::NeedsMoreOutput => {}
            BrotliResult::ResultFailure => return Err(Gap::Undecodable),
        }
        Ok(used.min(input.len()))
    }
}
