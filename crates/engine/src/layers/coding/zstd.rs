//! Zstandard (RFC 8878), one block at a time: a block says how long it is, so no more is decoded than was asked for.

use ruzstd::decoding::FrameDecoder;
use ruzstd::io::Read;

use super::STEP;
use crate::Gap;

/// Larger windows are refused in a content coding (RFC 9659 section 3).
const MAX_WINDOW: u64 = 8 << 20;
/// Larger windows are refused in a file, as `zstd` itself refuses them. What is not written to is never really there.
const MAX_FILE_WINDOW: u64 = 128 << 20;
/// The longest frame header: magic 4, descriptor 1, window 1, dictionary 4, content size 8.
const MAX_HEADER: usize = 18;
/// The longest block, header included (RFC 8878 section 3.1.1.2.3).
const MAX_BLOCK: usize = (128 << 10) + 3;

/// An incremental decoder.
pub(super) struct Zstd {
    frame: FrameDecoder,
    /// Input that does not make a whole block yet.
    pending: Vec<u8>,
    state: State,
    has_checksum: bool,
}

enum State {
    /// Before a frame.
    Between,
    Blocks,
    /// The four bytes after the last block.
    Checksum,
    /// Inside a skippable frame, so many bytes left.
    Skip(usize),
}

impl Default for Zstd {
    fn default() -> Zstd {
        let mut frame = FrameDecoder::new();
        frame.set_max_window_size(MAX_WINDOW);
        Zstd { frame, pending: Vec::new(), state: State::Between, has_checksum: false }
    }
}

impl Zstd {
    /// A decoder for what `zstd` writes to a file.
    pub(super) fn file() -> Zstd {
        let mut zstd = Zstd::default();
        zstd.frame.set_max_window_size(MAX_FILE_WINDOW);
        zstd
    }

    /// Whether the input ended between two frames, after at least one.
    pub(super) fn finished(&self) -> bool {
        matches!(self.state, State::Between) && self.pending.is_empty() && self.frame.blocks_decoded() > 0 && self.frame.can_collect() == 0
    }

    /// As [`super::Decoder::feed`].
    pub(super) fn feed(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<usize, Gap> {
        if self.drain(out)? {
            return Ok(0);
        }
        let room = MAX_BLOCK.saturating_sub(self.pending.len());
        let taken = room.min(input.len());
        self.pending.extend_from_slice(input.get(..taken).unwrap_or_default());
        while self.step()? {
            if self.drain(out)? {
                break;
            }
        }
        Ok(taken)
    }

    /// Moves up to one step of decoded bytes out; `true` when there were any.
    fn drain(&mut self, out: &mut Vec<u8>) -> Result<bool, Gap> {
        let ready = self.frame.can_collect().min(STEP);
        if ready == 0 {
            return Ok(false);
        }
        let begin = out.len();
        out.resize(begin + ready, 0);
        let read = self.frame.read(&mut out[begin..]).map_err(|_| Gap::Undecodable)?;
        out.truncate(begin + read);
        Ok(read > 0)
    }

    /// One header, block or checksum; `false` when there is not enough input for it.
    fn step(&mut self) -> Result<bool, Gap> {
        match self.state {
            State::Between => self.header(),
            State::Blocks => self.block(),
            State::Checksum => self.checksum(),
            State::Skip(left) => {
                let now = left.min(self.pending.len());
                self.pending.drain(..now);
                self.state = if left == now { State::Between } else { State::Skip(left - now) };
                Ok(now > 0 || left == 0)
            }
        }
    }

    /// The frame gives its last bytes out only when it has its checksum.
    fn checksum(&mut self) -> Result<bool, Gap> {
        let Some(sum) = self.pending.get(..4) else { return Ok(false) };
        self.frame.decode_from_to(sum, &mut []).map_err(|_| Gap::Undecodable)?;
        Ok(self.consume(4, State::Between))
    }

    fn consume(&mut self, bytes: usize, next: State) -> bool {
        let enough = self.pending.len() >= bytes;
        if enough {
            self.pending.drain(..bytes);
            self.state = next;
        }
        enough
    }

    fn header(&mut self) -> Result<bool, Gap> {
        match self.pending.as_slice() {
            // A skippable frame (RFC 8878 section 3.1.2).
            [a, 0x2a, 0x4d, 0x18, s0, s1, s2, s3, ..] if a & 0xf0 == 0x50 => {
                let size = usize::try_from(u32::from_le_bytes([*s0, *s1, *s2, *s3])).unwrap_or(usize::MAX);
                Ok(self.consume(8, State::Skip(size)))
            }
            [0x28, 0xb5, 0x2f, 0xfd, descriptor, ..] => {
                let single = descriptor & 0x20 != 0;
                let dictionary = [0, 1, 2, 4][usize::from(descriptor & 3)];
                let size = [usize::from(single), 2, 4, 8][usize::from(descriptor >> 6)];
                let length = 5 + usize::from(!single) + dictionary + size;
                if self.pending.len() < length.min(MAX_HEADER) {
                    return Ok(false);
                }
                let mut source = &self.pending[..length];
                self.has_checksum = descriptor & 4 != 0;
                self.frame.reset(&mut source).map_err(|_| Gap::Budget)?;
                Ok(self.consume(length, State::Blocks))
            }
            short
                if short.len() < 8
                    && (b"\x28\xb5\x2f\xfd".starts_with(&short[..short.len().min(4)])
                        || short.first().is_some_and(|a| a & 0xf0 == 0x50)) =>
            {
                Ok(false)
            }
            // After at least one frame other bytes are not part of the stream.
            _ if self.frame.blocks_decoded() > 0 => {
                self.pending.clear();
                Ok(false)
            }
            _ => Err(Gap::Undecodable),
        }
    }

    fn block(&mut self) -> Result<bool, Gap> {
        let [a, b, c, ..] = self.pending.as_slice() else { return Ok(false) };
        let header = u32::from_le_bytes([*a, *b, *c, 0]);
        let size = usize::try_from(header >> 3).unwrap_or(usize::MAX);
        // A run-length block is one byte, however long what it stands for.
        let length = 3 + if header >> 1 & 3 == 1 { 1 } else { size };
        if length > MAX_BLOCK {
            return Err(Gap::Undecodable);
        }
        if self.pending.len() < length {
            return Ok(false);
        }
        let last = header & 1 == 1;
        self.frame.decode_from_to(&self.pending[..length], &mut []).map_err(|_| Gap::Undecodable)?;
        let checksum = last && self.has_checksum;
        Ok(self.consume(
            length,
            if checksum {
                State::Checksum
            } else if last {
                State::Between
            } else {
                State::Blocks
            },
        ))
    }
}
