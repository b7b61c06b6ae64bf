//! Compressed content that has no magic: raw deflate, brotli, bare blocks of snappy and LZ4. Bytes that decode to their end, to something that is
//! worth a look, are it.

mod deflate;

use super::worth;
use crate::LayerId;
use crate::layers::Budget;
use crate::layers::coding::{self, Decoder};

/// Nothing of interest is shorter.
pub(super) const LEAST: usize = 16;
/// So much is decoded before it is asked whether to go on.
const SAMPLE: usize = 4096;

/// What bytes are in the first of these forms that fits, if any does. What is text for the most part is a block in which little repeats, or none.
pub(super) fn decode(bytes: &[u8], texty: bool, budget: &mut Budget) -> Option<(Vec<u8>, LayerId)> {
    if bytes.len() < LEAST {
        return None;
    }
    if let Some(decoded) = (!texty).then(|| deflated(bytes, budget)).flatten() {
        return Some((decoded, "deflate"));
    }
    for (unpack, layer) in [(snappy as fn(&[u8]) -> Option<Vec<u8>>, "snappy"), (lz4, "lz4")] {
        if let Some(decoded) = unpack(bytes).filter(|decoded| worth(decoded)) {
            return budget.take(decoded.len() as u64, 0).then_some((decoded, layer));
        }
    }
    (!texty).then(|| brotli(bytes, budget)).flatten().map(|decoded| (decoded, "br"))
}

/// What bytes are as brotli, if they are.
pub(super) fn brotli(bytes: &[u8], budget: &mut Budget) -> Option<Vec<u8>> {
    brotli_like(bytes, bytes.len()).then(|| whole("br", bytes, budget)).flatten()
}

/// Whether `length` bytes with this beginning may be brotli as its encoders write it: a window of 4 or 16 MiB, and a first block that is not empty and
/// says a believable length (RFC 7932 sections 9.1 and 9.2).
pub(in crate::layers) fn brotli_like(head: &[u8], length: usize) -> bool {
    let Some(&[a, b, c, d, ..]) = head.first_chunk::<4>() else { return false };
    let bits = u32::from_le_bytes([a, b, c, d]);
    if !matches!(bits & 0x0f, 0x0b | 0x0f) {
        return false;
    }
    let last = bits >> 4 & 1;
    let empty = last == 1 && bits >> 5 & 1 == 1;
    let at = 5 + last;
    let nibbles = bits >> at & 3;
    if empty || nibbles == 3 {
        return false;
    }
    let size = (bits >> (at + 2) & ((1 << (16 + 4 * nibbles)) - 1)) as usize + 1;
    // The first of several blocks says less.
    size <= length.saturating_mul(64) && (last == 0 || size * 2 >= length) && size >= LEAST
}

/// What bytes are as raw deflate, if they are.
pub(super) fn deflated(bytes: &[u8], budget: &mut Budget) -> Option<Vec<u8>> {
    if bytes.len() < LEAST || !deflate::begins(bytes) {
        return None;
    }
    whole("raw-deflate", bytes, budget)
}

/// Bytes that are a whole stream, or nearly: what decodes to garbage is left alone early.
pub(super) fn whole(name: &str, bytes: &[u8], budget: &mut Budget) -> Option<Vec<u8>> {
    let mut decoder = Decoder::new(name)?;
    let (mut sample, mut taken) = (Vec::new(), 0);
    while sample.len() < SAMPLE && !decoder.finished() {
        let before = sample.len();
        let now = decoder.feed(bytes.get(taken..)?, &mut sample).ok()?;
        if now == 0 && sample.len() == before {
            break;
        }
        taken += now;
    }
    if !worth(&sample) {
        return None;
    }
    let done = coding::decode(name, bytes, 0, budget)?;
    (done.gap.is_none() && done.taken >= bytes.len() * 9 / 10 && worth(&done.bytes)).then_some(done.bytes)
}

/// A snappy block begins with the length it decodes to (format_description.txt section 1), and has no element that gives more than 32 times its size.
fn snappy(bytes: &[u8]) -> Option<Vec<u8>> {
    let length = snap::raw::decompress_len(bytes).ok()?;
    let possible = length <= bytes.len().saturating_mul(32) && length.saturating_mul(7) / 6 + 32 >= bytes.len();
    possible.then(|| snap::raw::Decoder::new().decompress_vec(bytes).ok()).flatten()
}

/// An LZ4 block, alone or behind the length it decodes to.
fn lz4(bytes: &[u8]) -> Option<Vec<u8>> {
    let sized = bytes.split_first_chunk::<4>().filter(|(size, block)| {
        let size = u32::from_le_bytes(**size) as usize;
        lz4_length(block) == Some(size)
    });
    let block = sized.map_or(bytes, |(_, block)| block);
    let length = lz4_length(block)?;
    coding::lz4_block(block, length)
}

/// What an LZ4 block decodes to, in bytes; `None` when it is none (lz4_Block_format.md).
fn lz4_length(block: &[u8]) -> Option<usize> {
    let (mut at, mut out) = (0, 0_usize);
    let more = |at: &mut usize, nibble: u8| {
        let mut length = usize::from(nibble);
        if nibble == 15 {
            loop {
                let byte = *block.get(*at)?;
                *at += 1;
                length += usize::from(byte);
                if byte != 255 {
                    break;
                }
            }
        }
        Some(length)
    };
    loop {
        let token = *block.get(at)?;
        at += 1;
        let literals = more(&mut at, token >> 4)?;
        at += literals;
        out += literals;
        if at == block.len() {
            // The last five bytes are always literals.
            return (token & 15 == 0 && literals >= 5).then_some(out);
        }
        let offset = usize::from(u16::from_le_bytes([*block.get(at)?, *block.get(at + 1)?]));
        at += 2;
        if offset == 0 || offset > out {
            return None;
        }
        out += more(&mut at, token & 15)? + 4;
    }
}
