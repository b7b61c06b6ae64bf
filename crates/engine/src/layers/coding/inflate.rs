//! gzip, zlib and raw deflate (RFC 1950 to 1952).

use flate2::{Decompress, FlushDecompress, Status};

use super::STEP;
use crate::Gap;

/// Bytes of a `deflate` stream that are looked at to tell whether it has a zlib frame.
const HEAD: usize = 512;

enum State {
    /// Nothing is known yet: zlib or raw. The head is collected.
    Guess,
    Decode(Decompress),
    /// Between two gzip members; whether the first byte of the next one's magic was seen.
    Between {
        magic: bool,
    },
    Done,
}

pub(super) struct Inflate {
    state: State,
    /// Input that was taken but not decoded yet: the head of a `deflate` stream.
    head: Vec<u8>,
    /// Whether the coding is declared for all of the input: what follows the end is then an error.
    declared: bool,
    members: bool,
}

impl Inflate {
    fn new(state: State, declared: bool) -> Inflate {
        Inflate { state, head: Vec::new(), declared, members: false }
    }

    pub(super) fn gzip(declared: bool) -> Inflate {
        Inflate { members: declared, ..Inflate::new(State::Decode(Decompress::new_gzip(15)), declared) }
    }

    pub(super) fn zlib() -> Inflate {
        Inflate::new(State::Decode(Decompress::new(true)), false)
    }

    pub(super) fn raw() -> Inflate {
        Inflate::new(State::Decode(Decompress::new(false)), false)
    }

    /// `Content-Encoding: deflate` means zlib, but raw deflate travels under that name as well.
    pub(super) fn guess() -> Inflate {
        Inflate::new(State::Guess, true)
    }

    pub(super) fn finished(&self) -> bool {
        matches!(self.state, State::Done | State::Between { magic: false })
    }

    pub(super) fn feed(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<usize, Gap> {
        match &mut self.state {
            State::Guess => {
                let used = HEAD.saturating_sub(self.head.len()).min(input.len());
                self.head.extend_from_slice(input.get(..used).unwrap_or_default());
                // A whole head decides; with less, wait for more input or for its end.
                if !self.head.is_empty() && (self.head.len() >= HEAD || input.is_empty()) {
                    self.state = State::Decode(Decompress::new(is_zlib(&self.head)));
                    return self.feed_head(out).map(|()| used);
                }
                Ok(used)
            }
            State::Decode(_) if !self.head.is_empty() => self.feed_head(out).map(|()| 0),
            State::Decode(inflate) => {
                let (used, ended) = step(inflate, input, out)?;
                self.ended(ended);
                Ok(used)
            }
            State::Between { magic } => match (*magic, input) {
                (_, []) => Ok(0),
                // Members may be padded with zeros.
                (false, [0, ..]) => Ok(input.iter().take_while(|&&b| b == 0).count()),
                (false, [0x1f, ..]) => {
                    *magic = true;
                    Ok(1)
                }
                (true, [0x8b, ..]) => {
                    let mut next = Decompress::new_gzip(15);
                    step(&mut next, &[0x1f, 0x8b], out)?;
                    self.state = State::Decode(next);
                    Ok(1)
                }
                _ => Err(Gap::Undecodable),
            },
            State::Done if self.declared && !input.is_empty() => Err(Gap::Undecodable),
            State::Done => Ok(0),
        }
    }

    fn feed_head(&mut self, out: &mut Vec<u8>) -> Result<(), Gap> {
        let State::Decode(inflate) = &mut self.state else { return Ok(()) };
        let (used, ended) = step(inflate, &self.head, out)?;
        self.head.drain(..used.min(self.head.len()));
        if ended && !self.head.is_empty() {
            return Err(Gap::Undecodable);
        }
        self.ended(ended);
        Ok(())
    }

    fn ended(&mut self, ended: bool) {
        if ended {
            self.state = if self.members { State::Between { magic: false } } else { State::Done };
        }
    }
}

/// Whether `head` begins a zlib stream: its header is valid and decoding does not fail at once.
fn is_zlib(head: &[u8]) -> bool {
    let header = match head {
        [cmf, flags, ..] => cmf & 0x0f == 8 && cmf >> 4 <= 7 && (u16::from(*cmf) << 8 | u16::from(*flags)).is_multiple_of(31),
        _ => false,
    };
    let mut scratch = Vec::new();
    header && (step(&mut Decompress::new(true), head, &mut scratch).is_ok() || !scratch.is_empty())
}

/// One step: bytes used, and whether the stream ended. What was decoded before an error is in `out`.
fn step(inflate: &mut Decompress, input: &[u8], out: &mut Vec<u8>) -> Result<(usize, bool), Gap> {
    let (in_before, out_before, mark) = (inflate.total_in(), inflate.total_out(), out.len());
    out.resize(mark + STEP, 0);
    let status = inflate.decompress(input, out.get_mut(mark..).unwrap_or_default(), FlushDecompress::None);
    let made = usize::try_from(inflate.total_out() - out_before).unwrap_or(0).min(STEP);
    out.truncate(mark + made);
    let used = usize::try_from(inflate.total_in() - in_before).unwrap_or(0).min(input.len());
    match status {
        Ok(Status::StreamEnd) => Ok((used, true)),
        Ok(Status::Ok | Status::BufError) => Ok((used, false)),
        Err(_) => Err(Gap::Undecodable),
    }
}
