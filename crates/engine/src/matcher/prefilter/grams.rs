//! Four bytes as a number, without regard to case; and how rare they are.

/// Four bytes with the bit set that upper and lower case differ in. Other bytes fall together too: the comparison tells them apart.
#[inline(always)]
pub(super) fn fold(gram: [u8; 4]) -> u32 {
    u32::from_le_bytes(gram) | 0x2020_2020
}

/// How common each byte is in prose, code and JSON, roughly: letters by frequency, then what code has, then the rest.
fn common(byte: u8) -> u32 {
    const ORDER: &[u8] = b"zqxj=;:@$%#*+?~^|!&9876453210kvwbygpfmculd,.\"'()/_-hnsroiate ";
    let folded = byte.to_ascii_lowercase();
    ORDER.iter().position(|o| *o == folded).map_or(0, |i| i as u32)
}

/// The lower, the rarer. What stands together in common words is less rare than its letters, so that squares are summed.
pub(super) fn rarity(gram: &[u8]) -> u32 {
    gram.iter().map(|b| common(*b).pow(2)).sum()
}
