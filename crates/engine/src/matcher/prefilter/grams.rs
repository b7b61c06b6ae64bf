//! Four bytes as a number, without regard to case; and how common they are.

/// Four bytes with the bit set that upper and lower case differ in. Other bytes fall together too: the comparison tells them apart.
#[inline(always)]
pub(super) fn fold(gram: [u8; 4]) -> u32 {
    u32::from_le_bytes(gram) | 0x2020_2020
}

/// The grams that text has most: each folded, with sixteen times log2 of its share in a million; written by `train` beside this file.
const GRAMS: &[u8] = include_bytes!("grams.bin");

/// How common a gram is in text. Those that are not among the most common are told apart by their bytes.
pub(super) fn common(gram: [u8; 4]) -> (u8, u32) {
    let (known, _) = GRAMS.as_chunks::<5>();
    let folded = fold(gram).to_le_bytes();
    let share = known.binary_search_by(|[a, b, c, d, _]| [*a, *b, *c, *d].cmp(&folded)).map_or(0, |i| known[i][4]);
    (share, gram.iter().map(|b| rank(*b).pow(2)).sum())
}

/// How common each byte is in prose, code and JSON, roughly: letters by frequency, then what code has, then the rest.
fn rank(byte: u8) -> u32 {
    const ORDER: &[u8] = b"zqxj=;:@$%#*+?~^|!&9876453210kvwbygpfmculd,.\"'()/_-hnsroiate ";
    let folded = byte.to_ascii_lowercase();
    ORDER.iter().position(|o| *o == folded).map_or(0, |i| i as u32)
}

#[cfg(test)]
mod tests {
    use super::common;

    #[test]
    fn what_text_is_full_of_is_common() {
        assert!(common(*b"this") > common(*b"ghp_"));
        assert!(common(*b"TION") > common(*b"xoxb"));
        assert_eq!(common(*b"NAME"), common(*b"name"));
    }
}
