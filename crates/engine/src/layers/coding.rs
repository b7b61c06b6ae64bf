//! Compressed streams, decoded step by step: never more than 64 KiB of output a step, and whoever asks pays the budget between steps.

mod lz4;
mod lzw;
mod readers;
mod zstd;

use std::cell::RefCell;
use std::fmt;

use brotli_decompressor::{BrotliDecompressStream, BrotliResult, BrotliState, StandardAlloc};
use flate2::{Decompress, FlushDecompress, Status};
use lzma_rust2::{Action, XzStream};

use super::Budget;
use crate::Gap;
pub(super) use lz4::block as lz4_block;
pub(super) use lzw::pdf as lzw_pdf;
pub(super) use readers::Bounded;
use zstd::Zstd;

/// Output of one step, in bytes.
pub(super) const STEP: usize = 64 << 10;
/// Decoded bytes of one stream before its ratio is looked at.
const GRACE: u64 = 1 << 20;

type Brotli = BrotliState<StandardAlloc, StandardAlloc, StandardAlloc>;

/// A decoder of one content coding.
pub(crate) struct Decoder {
    codec: Codec,
    finished: bool,
}

enum Codec {
    /// Gzip, member after member (RFC 1952 section 2.2).
    Gzip(Decompress),
    Zlib(Decompress),
    Raw(Raw),
    /// `deflate` is zlib by RFC 9110 and raw deflate in much of the wild: the first bytes decide.
    Deflate,
    Brotli(Box<Brotli>),
    Zstd(Box<Zstd>),
    Bzip2(bzip2::Decompress),
    Xz(Box<XzStream>),
}

/// A decoder of raw deflate that is used again: setting one up takes longer than most of what is tried, which fails at once.
struct Raw(Option<Decompress>);

/// So many are kept for each thread.
const SPARE: usize = 2;

thread_local! {
    static SPARES: RefCell<Vec<Decompress>> = const { RefCell::new(Vec::new()) };
}

impl Raw {
    fn new() -> Raw {
        let used = SPARES.try_with(|spares| spares.borrow_mut().pop()).ok().flatten();
        Raw(used.map(|mut state| {
            state.reset(false);
            state
        }))
    }

    fn state(&mut self) -> &mut Decompress {
        self.0.get_or_insert_with(|| Decompress::new(false))
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        let keep = |spares: &RefCell<Vec<Decompress>>| {
            let mut spares = spares.borrow_mut();
            let room = SPARE.saturating_sub(spares.len());
            spares.extend(self.0.take().into_iter().take(room));
        };
        // A thread that ends has none any more.
        let _ = SPARES.try_with(keep);
    }
}

impl fmt::Debug for Decoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Decoder").field("finished", &self.finished).finish_non_exhaustive()
    }
}

impl Decoder {
    /// The decoder of a content coding (RFC 9110 section 8.4.1, and `zlib`, `raw-deflate`, `zstd-file` for layers); `None` for one that is not known.
    pub(crate) fn new(coding: &str) -> Option<Decoder> {
        let codec = match coding {
            "gzip" | "x-gzip" => Codec::Gzip(Decompress::new_gzip(15)),
            "deflate" => Codec::Deflate,
            "zlib" => Codec::Zlib(Decompress::new(true)),
            "raw-deflate" => Codec::Raw(Raw::new()),
            "br" => {
                Codec::Brotli(Box::new(Brotli::new_strict(StandardAlloc::default(), StandardAlloc::default(), StandardAlloc::default())))
            }
            "zstd" => Codec::Zstd(Box::default()),
            "zstd-file" => Codec::Zstd(Box::new(Zstd::file())),
            "bzip2" => Codec::Bzip2(bzip2::Decompress::new(false)),
            "xz" => Codec::Xz(Box::new(XzStream::new_mem_limit(false, readers::MEMORY))),
            _ => return None,
        };
        Some(Decoder { codec, finished: false })
    }

    /// Whether the stream is complete: its end was seen.
    pub(crate) fn finished(&self) -> bool {
        match &self.codec {
            Codec::Zstd(zstd) => zstd.finished(),
            _ => self.finished,
        }
    }

    /// Takes input and appends at most 64 KiB of output; returns the bytes taken. Call again, with the rest or nothing, until it neither takes
    /// nor gives. What follows the end of a stream is taken and dropped, unless it is another gzip member or zstd frame.
    pub(crate) fn feed(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<usize, Gap> {
        if matches!(self.codec, Codec::Deflate) {
            let Some(first) = input.first() else { return Ok(0) };
            // CM 8 and a window of at most 32 KiB (RFC 1950 section 2.2).
            let zlib = first & 0x0f == 8 && first >> 4 <= 7;
            self.codec = if zlib { Codec::Zlib(Decompress::new(true)) } else { Codec::Raw(Raw::new()) };
        }
        if self.finished && matches!(self.codec, Codec::Bzip2(_) | Codec::Xz(_)) && !self.again(input) {
            return Ok(input.len());
        }
        match &mut self.codec {
            Codec::Zstd(zstd) => zstd.feed(input, out),
            Codec::Gzip(state) if self.finished => {
                if input.starts_with(&[0x1f, 0x8b]) {
                    state.reset(true);
                    *state = Decompress::new_gzip(15);
                    self.finished = false;
                    return inflate(state, &mut self.finished, input, out);
                }
                Ok(input.len())
            }
            Codec::Bzip2(state) => bunzip(state, &mut self.finished, input, out),
            Codec::Xz(state) => unxz(state, &mut self.finished, input, out),
            Codec::Gzip(_) | Codec::Zlib(_) | Codec::Raw(_) if self.finished => Ok(input.len()),
            Codec::Gzip(state) | Codec::Zlib(state) => inflate(state, &mut self.finished, input, out),
            Codec::Raw(raw) => inflate(raw.state(), &mut self.finished, input, out),
            Codec::Brotli(state) => {
                if self.finished {
                    return Ok(input.len());
                }
                brotli(state, &mut self.finished, input, out)
            }
            Codec::Deflate => Ok(0),
        }
    }

    /// Begins anew where another stream follows the one that has ended.
    fn again(&mut self, input: &[u8]) -> bool {
        let follows = match &mut self.codec {
            Codec::Bzip2(state) if input.starts_with(b"BZh") => {
                *state = bzip2::Decompress::new(false);
                true
            }
            Codec::Xz(state) if input.starts_with(b"\xfd7zXZ\0") => {
                **state = XzStream::new_mem_limit(false, readers::MEMORY);
                true
            }
            _ => false,
        };
        self.finished &= !follows;
        follows
    }

    /// Whether what follows an end is another stream of the same kind, which [`Decoder::feed`] goes on with.
    pub(crate) fn goes_on(&self, input: &[u8]) -> bool {
        match &self.codec {
            Codec::Gzip(_) => input.starts_with(&[0x1f, 0x8b]),
            Codec::Bzip2(_) => input.starts_with(b"BZh"),
            Codec::Xz(_) => input.starts_with(b"\xfd7zXZ\0"),
            Codec::Zstd(_) => matches!(input, [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..]),
            _ => false,
        }
    }
}

fn bunzip(state: &mut bzip2::Decompress, finished: &mut bool, input: &[u8], out: &mut Vec<u8>) -> Result<usize, Gap> {
    let before = state.total_in();
    out.reserve(STEP);
    let status = state.decompress_vec(input, out).map_err(|_| Gap::Undecodable)?;
    *finished = status == bzip2::Status::StreamEnd;
    Ok(usize::try_from(state.total_in() - before).unwrap_or(usize::MAX))
}

fn unxz(state: &mut XzStream, finished: &mut bool, input: &[u8], out: &mut Vec<u8>) -> Result<usize, Gap> {
    let before = out.len();
    out.resize(before + STEP, 0);
    let result = state.process(input, &mut out[before..], Action::Run);
    out.truncate(before + result.as_ref().map_or(0, |r| r.bytes_produced));
    let result = result.map_err(|_| Gap::Undecodable)?;
    *finished = result.status == lzma_rust2::Status::StreamEnd;
    Ok(result.bytes_consumed)
}

fn inflate(state: &mut Decompress, finished: &mut bool, input: &[u8], out: &mut Vec<u8>) -> Result<usize, Gap> {
    let before = (state.total_in(), out.len());
    // What little input can give has room anyway: no byte gives more than 1032 (RFC 1951), and little waits to be written.
    if out.capacity() - out.len() < STEP.min(STEP / 4 + 1032 * input.len()) {
        out.reserve(STEP);
    }
    // Writes into spare capacity only, of which there is about one step.
    let status = state.decompress_vec(input, out, FlushDecompress::None).map_err(|_| Gap::Undecodable)?;
    let taken = usize::try_from(state.total_in() - before.0).unwrap_or(usize::MAX);
    *finished = status == Status::StreamEnd;
    Ok(taken)
}

fn brotli(state: &mut Brotli, finished: &mut bool, input: &[u8], out: &mut Vec<u8>) -> Result<usize, Gap> {
    let (mut left, mut taken, mut room, mut written, mut total) = (input.len(), 0, STEP, 0, 0);
    let mut step = vec![0; STEP];
    let result = BrotliDecompressStream(&mut left, &mut taken, input, &mut room, &mut written, &mut step, &mut total, state);
    out.extend_from_slice(step.get(..written).unwrap_or_default());
    match result {
        BrotliResult::ResultFailure => Err(Gap::Undecodable),
        BrotliResult::ResultSuccess => {
            *finished = true;
            Ok(taken)
        }
        BrotliResult::NeedsMoreInput | BrotliResult::NeedsMoreOutput => Ok(taken),
    }
}

/// What decoding a whole run gave.
#[derive(Debug)]
pub(super) struct Decoded {
    pub(super) bytes: Vec<u8>,
    /// Bytes of the input that the stream took.
    pub(super) taken: usize,
    /// `None` when the stream is complete.
    pub(super) gap: Option<Gap>,
    /// Whether it is all right as far as it goes, and goes on behind the input.
    pub(super) cut: bool,
    /// Bytes of the input that were looked at, where that is more than the stream took.
    pub(super) read: usize,
}

/// Decodes a run as far as the budget goes. Whatever was decoded is returned, gap or not.
pub(super) fn decode(coding: &str, input: &[u8], at: usize, budget: &mut Budget) -> Option<Decoded> {
    if let Some(done) = readers::decode(coding, input, at, budget) {
        return Some(done);
    }
    let mut decoder = Decoder::new(coding)?;
    let mut done = Decoded { bytes: Vec::new(), taken: 0, gap: None, cut: false, read: 0 };
    let most = GRACE + budget.ratio.saturating_mul(input.len() as u64);
    loop {
        let before = done.bytes.len();
        let was_finished = decoder.finished();
        let taken = match decoder.feed(input.get(done.taken..).unwrap_or_default(), &mut done.bytes) {
            Ok(taken) => taken,
            Err(gap) => {
                done.gap = Some(gap);
                return Some(done);
            }
        };
        let gained = (done.bytes.len() - before) as u64;
        if was_finished && decoder.finished() && gained == 0 {
            // What follows the end is not part of the stream.
            return Some(done);
        }
        done.taken += taken;
        if done.bytes.len() as u64 > most || !budget.take(gained, at) {
            done.gap = Some(Gap::Budget);
            return Some(done);
        }
        if taken == 0 && gained == 0 {
            done.cut = !decoder.finished() && done.taken == input.len();
            done.gap = (!decoder.finished()).then_some(Gap::Undecodable);
            return Some(done);
        }
    }
}
