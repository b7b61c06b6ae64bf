//! Whether bytes may be raw deflate at all. That has no magic, and most of what is tried is none: a decoder is not set up for it.

/// So many lengths of codes for code lengths there are at most (RFC 1951 section 3.2.7).
const LENGTHS: usize = 19;
/// Symbols of a block with fixed codes that are looked at.
const SYMBOLS: usize = 24;
/// Distances with fixed codes: 30 and 31 never occur (RFC 1951 section 3.2.6).
const DISTANCES: u32 = 30;

/// Bits of a stream, lowest first.
struct Bits<'b> {
    bytes: &'b [u8],
    at: usize,
}

impl Bits<'_> {
    /// The next `n` bits as a number, at most 16.
    fn take(&mut self, n: u32) -> Option<u32> {
        let byte = self.at / 8;
        let three = [byte, byte + 1, byte + 2].map(|i| self.bytes.get(i).copied().unwrap_or_default());
        if self.at + n as usize > self.bytes.len() * 8 {
            return None;
        }
        let word = u32::from_le_bytes([three[0], three[1], three[2], 0]);
        let value = word >> (self.at % 8) & ((1 << n) - 1);
        self.at += n as usize;
        Some(value)
    }

    /// The next `n` bits of a code: its highest comes first.
    fn code(&mut self, n: u32) -> Option<u32> {
        self.take(n).map(|bits| bits.reverse_bits() >> (32 - n))
    }
}

/// Whether the first block begins as one does. Stored bytes are seen as they are, and the fourth type is reserved (RFC 1951 section 3.2.3).
pub(super) fn begins(bytes: &[u8]) -> bool {
    let mut bits = Bits { bytes, at: 0 };
    let Some(head) = bits.take(3) else { return false };
    match head >> 1 {
        1 => fixed(&mut bits).is_some(),
        2 => dynamic(&mut bits).is_some(),
        _ => false,
    }
}

/// Codes of a block's own: no more of them than there are, and lengths that make a whole code, no bits left over.
fn dynamic(bits: &mut Bits<'_>) -> Option<()> {
    let (literals, distances, lengths) = (bits.take(5)?, bits.take(5)?, bits.take(4)? as usize + 4);
    if literals > 29 || distances > 29 {
        return None;
    }
    let mut whole = 0;
    for _ in 0..lengths.min(LENGTHS) {
        let length = bits.take(3)?;
        whole += if length > 0 { 128 >> length } else { 0 };
    }
    (whole == 128).then_some(())
}

/// The fixed codes: what is copied was there before.
fn fixed(bits: &mut Bits<'_>) -> Option<()> {
    let mut out = 0;
    for _ in 0..SYMBOLS {
        let short = bits.code(7)?;
        let symbol = match short {
            0..24 => 256 + short,
            24..96 => (short << 1 | bits.take(1)?) - 0x30,
            96..100 => 280 + (short << 1 | bits.take(1)?) - 0xc0,
            _ => 144 + (short << 2 | bits.code(2)?) - 0x190,
        };
        match symbol {
            0..256 => out += 1,
            // The end: of more than nothing.
            256 => return (out > 0).then_some(()),
            257..286 => {
                // Extra bits come in steps of four codes, but the last has none.
                let (code, extra) = (symbol - 257, if symbol == 285 { 0 } else { ((symbol - 257) / 4).saturating_sub(1) });
                let more = bits.take(extra)?;
                let length = if extra == 0 { if symbol == 285 { 258 } else { code + 3 } } else { ((4 + code % 4) << extra) + 3 + more };
                let code = bits.code(5).filter(|code| *code < DISTANCES)?;
                let extra = (code / 2).saturating_sub(1);
                let more = bits.take(extra)?;
                let distance = if extra == 0 { code + 1 } else { ((2 + code % 2) << extra) + 1 + more };
                if distance > out {
                    return None;
                }
                out += length;
            }
            _ => return None,
        }
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use proptest::prelude::*;

    use super::*;

    fn deflate(bytes: &[u8], level: u32) -> Vec<u8> {
        let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::new(level));
        encoder.write_all(bytes).expect("memory");
        encoder.finish().expect("memory")
    }

    /// Whether a decoder takes all these bytes, and something comes out.
    fn decodes(bytes: &[u8]) -> bool {
        let mut out = Vec::with_capacity(1 << 16);
        let end = flate2::Decompress::new(false).decompress_vec(bytes, &mut out, flate2::FlushDecompress::None);
        matches!(end, Ok(flate2::Status::StreamEnd)) && !out.is_empty()
    }

    proptest! {
        #[test]
        fn what_is_deflated_begins_so(text in "[ -~]{1,12}{1,60}", bytes in prop::collection::vec(any::<u8>(), 0..300), level in 1_u32..10) {
            for content in [text.repeat(3).into_bytes(), bytes] {
                let packed = deflate(&content, level);
                let stored = matches!(packed.first().map(|b| b >> 1 & 3), Some(0));
                prop_assert!(stored || content.is_empty() || begins(&packed));
            }
        }

        #[test]
        fn what_decodes_begins_so(text in "[ -~]{1,12}{1,60}", at in 0_usize..40, flip in 1_u8.., level in 1_u32..10) {
            let mut bytes = deflate(text.repeat(3).as_bytes(), level);
            let at = at % bytes.len();
            bytes[at] ^= flip;
            let usual = matches!(bytes[0] >> 1 & 3, 1 | 2);
            prop_assert!(!usual || !decodes(&bytes) || begins(&bytes));
        }
    }
}
