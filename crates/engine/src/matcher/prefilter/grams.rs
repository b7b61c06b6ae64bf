//! Four bytes as a number, without regard to case; how common they are; and what words have beside them.

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

/// A gram of a word.
#[derive(Debug, Clone, Copy)]
pub(super) struct Gram {
    pub(super) folded: u32,
    pub(super) word: u32,
    /// Where in the word the gram begins; -1: one byte before it.
    pub(super) offset: i32,
    /// Whether `others` stand behind the gram, or before it.
    behind: bool,
    /// What the word has beside the gram, up to four bytes, folded, and which bytes those are: most places that have the gram end there.
    others: u32,
    mask: u32,
}

impl Gram {
    /// The gram at `offset` of a word.
    pub(super) fn of(gram: [u8; 4], word: u32, offset: i32, text: &[u8]) -> Gram {
        let beside = |from: isize| {
            let at = |i: isize| usize::try_from(offset as isize + from + i).ok().and_then(|i| text.get(i)).copied();
            let bytes = [at(0), at(1), at(2), at(3)];
            let mask = u32::from_le_bytes(bytes.map(|b| if b.is_some() { 0xff } else { 0 }));
            (fold(bytes.map(Option::unwrap_or_default)) & mask, mask)
        };
        let [before, behind] = SIDES.map(beside);
        let more = before.1.count_ones() <= behind.1.count_ones();
        let (others, mask) = if more { behind } else { before };
        Gram { folded: fold(gram), word, offset, behind: more, others, mask }
    }

    /// Whether what stands beside a place, as [`beside`] gives it, may be what the word has beside the gram.
    #[inline(always)]
    pub(super) fn fits(&self, beside: &[u32; 2]) -> bool {
        beside[usize::from(self.behind)] & self.mask == self.others
    }
}

/// Where, from a gram on, the four bytes before it and behind it begin.
const SIDES: [isize; 2] = [-4, 4];

/// The four bytes before the gram at `at` and those behind it, folded.
#[inline(always)]
pub(super) fn beside(bytes: &[u8], at: usize) -> [u32; 2] {
    let [before, behind] = SIDES;
    [four(bytes, at.wrapping_add_signed(before)), four(bytes, at.wrapping_add_signed(behind))]
}

/// The four bytes at `at`, folded. Those that are not in the text are of no word in it.
#[inline(always)]
fn four(bytes: &[u8], at: usize) -> u32 {
    match bytes.get(at..).and_then(|rest| rest.first_chunk::<4>()) {
        Some(whole) => fold(*whole),
        None => fold(std::array::from_fn(|i| bytes.get(at.wrapping_add(i)).copied().unwrap_or_default())),
    }
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
