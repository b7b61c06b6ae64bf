//! A push under `Content-Encoding: gzip`, which git's server undoes.

use flate2::{Decompress, FlushDecompress, Status};
use policy::{PolicyLimits, Reason};

/// Bytes decoded at a time.
const STEP: usize = 32 << 10;

/// A gzip stream under way.
pub(super) struct Gunzip {
    inflate: Decompress,
    ended: bool,
    grace: u64,
    ratio: u64,
}

impl Gunzip {
    pub(super) fn new(limits: &PolicyLimits) -> Gunzip {
        Gunzip { inflate: Decompress::new_gzip(15), ended: false, grace: limits.decoded_bytes, ratio: limits.ratio }
    }

    /// Whether the stream is complete.
    pub(super) fn ended(&self) -> bool {
        self.ended
    }

    /// Decodes; bytes behind the end, or that are no gzip, are another reading.
    pub(super) fn feed(&mut self, mut input: &[u8], mut take: impl FnMut(&[u8]) -> Result<(), Reason>) -> Result<(), Reason> {
        let mut out = vec![0; STEP];
        loop {
            if self.ended {
                return if input.is_empty() { Ok(()) } else { Err(Reason::Ambiguous) };
            }
            let (before_in, before_out) = (self.inflate.total_in(), self.inflate.total_out());
            let status = self.inflate.decompress(input, &mut out, FlushDecompress::None).map_err(|_| Reason::Ambiguous)?;
            let taken = usize::try_from(self.inflate.total_in() - before_in).unwrap_or(usize::MAX).min(input.len());
            let made = usize::try_from(self.inflate.total_out() - before_out).unwrap_or(usize::MAX).min(out.len());
            let bound = self.grace.saturating_add(self.inflate.total_in().saturating_mul(self.ratio));
            if self.inflate.total_out() > bound {
                return Err(Reason::LimitExceeded);
            }
            take(out.get(..made).unwrap_or_default())?;
            input = input.get(taken..).unwrap_or_default();
            self.ended = status == Status::StreamEnd;
            if !self.ended && taken == 0 && made == 0 {
                // Nothing moves: it waits for more, or never will.
                return if input.is_empty() { Ok(()) } else { Err(Reason::Ambiguous) };
            }
        }
    }
}
