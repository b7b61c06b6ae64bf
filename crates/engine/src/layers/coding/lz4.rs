//! LZ4 beside its frames: the legacy format of `lz4 -l`, and bare blocks.

use std::io::Write;

/// A block of the legacy format decodes to at most this (lz4_Frame_format.md, "Legacy frame").
const LEGACY_BLOCK: usize = 8 << 20;
/// No block decodes to more, for each of its bytes (a length of 255 a byte).
const MOST: usize = 255;

/// The legacy format: its magic, then blocks with their length; it ends with the input, or with what is no block.
pub(super) fn legacy(rest: &mut &[u8], sink: &mut impl Write) -> bool {
    *rest = rest.get(4..).unwrap_or_default();
    let mut blocks = 0;
    while let Some((&length, data)) = rest.split_first_chunk::<4>() {
        let Some(block) = usize::try_from(u32::from_le_bytes(length)).ok().and_then(|n| data.get(..n)).filter(|b| !b.is_empty()) else {
            return blocks > 0;
        };
        let Some(decoded) = self::block(block, LEGACY_BLOCK) else { return blocks > 0 };
        if sink.write_all(&decoded).is_err() {
            return false;
        }
        blocks += 1;
        *rest = data.get(block.len()..).unwrap_or_default();
    }
    blocks > 0
}

/// A bare block, which decodes to at most `most` bytes.
pub(in crate::layers) fn block(input: &[u8], most: usize) -> Option<Vec<u8>> {
    let mut out = vec![0; input.len().saturating_mul(MOST).saturating_add(64).min(most)];
    let length = lz4_flex::block::decompress_into(input, &mut out).ok()?;
    out.truncate(length);
    Some(out)
}
