//! What targets share: text with pieces of the catalogue in it, which no fuzzer would come upon by itself.

use std::sync::LazyLock;

use engine::RuleSet;

/// Longer texts only take longer.
const MAX_TEXT: usize = 2048;

/// Examples, counter-examples, anchors and words of contexts.
static PIECES: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    let set = RuleSet::builtin();
    let texts = set.detectors().iter().flat_map(|d| {
        let words = d.anchors.iter().chain(d.context.iter().flat_map(|c| &c.keywords));
        d.examples.iter().chain(&d.counter_examples).chain(words).map(|t| t.as_bytes().to_vec()).collect::<Vec<_>>()
    });
    texts.filter(|t| t.len() < 600).collect()
});

/// The bytes as they are, but for those from 200 on: such a byte and the two behind it stand for a piece of the catalogue.
pub fn text(data: &[u8]) -> Vec<u8> {
    let mut text = Vec::new();
    let mut rest = data.iter();
    while let Some(byte) = rest.next().filter(|_| text.len() < MAX_TEXT) {
        match (byte, rest.as_slice()) {
            (200.., [high, low, ..]) => {
                let piece = &PIECES[usize::from(u16::from_be_bytes([*high, *low])) % PIECES.len()];
                // From 228 on only a part of it, as long as the byte says.
                let part = if *byte < 228 { piece.len() } else { piece.len() * usize::from(*byte - 227) / 30 };
                text.extend_from_slice(&piece[..part]);
                rest = rest.as_slice()[2..].iter();
            }
            _ => text.push(*byte),
        }
    }
    text
}
