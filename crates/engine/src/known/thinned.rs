//! Text without anything but letters and digits, and the way back: a value with separators in it has none here.

use std::ops::Range;

use zeroize::Zeroizing;

/// Bytes of the view between two marks.
const BLOCK: usize = 64;

/// Letters and digits of a view.
pub(super) struct Thinned {
    pub(super) bytes: Vec<u8>,
    /// For each block of the view, how many letters and digits stand before it.
    before: Vec<usize>,
}

fn keeps(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
}

/// Letters and digits of a value.
pub(super) fn thin(bytes: &[u8]) -> Zeroizing<Vec<u8>> {
    Zeroizing::new(bytes.iter().copied().filter(|b| keeps(*b)).collect())
}

impl Thinned {
    pub(super) fn of(view: &[u8]) -> Thinned {
        let mut bytes = vec![0; view.len()];
        let mut before = Vec::with_capacity(view.len() / BLOCK + 1);
        let mut end = 0;
        for block in view.chunks(BLOCK) {
            before.push(end);
            for byte in block {
                // Written always and kept sometimes: no branch.
                if let Some(to) = bytes.get_mut(end) {
                    *to = *byte;
                }
                end += usize::from(keeps(*byte));
            }
        }
        bytes.truncate(end);
        Thinned { bytes, before }
    }

    /// The bytes of the view that hold these letters and digits (not none).
    pub(super) fn to_view(&self, view: &[u8], span: &Range<usize>) -> Range<usize> {
        self.place(view, span.start)..self.place(view, span.end.saturating_sub(1)) + 1
    }

    /// Where the `index`th letter or digit stands.
    fn place(&self, view: &[u8], index: usize) -> usize {
        let block = self.before.partition_point(|n| *n <= index).saturating_sub(1);
        let skip = index - self.before.get(block).copied().unwrap_or(0);
        let start = block * BLOCK;
        let rest = view.get(start..).unwrap_or_default();
        rest.iter().enumerate().filter(|(_, b)| keeps(**b)).nth(skip).map_or(view.len().saturating_sub(1), |(i, _)| start + i)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_letter_is_found_again(text in "[a-z0-9 .,]{1,400}") {
            let view = text.as_bytes();
            let thinned = Thinned::of(view);
            prop_assert_eq!(&thinned.bytes, &*thin(view));
            for (i, byte) in thinned.bytes.iter().enumerate() {
                prop_assert_eq!(view[thinned.place(view, i)], *byte);
            }
        }
    }
}
