//! The matcher against the naive way: every pattern at every byte. The input is text and, behind bytes from 200 on, pieces of the catalogue.
#![no_main]

use std::sync::LazyLock;

use engine::{Oracle, RuleSet};
use libfuzzer_sys::fuzz_target;

static ORACLE: LazyLock<Oracle> = LazyLock::new(|| Oracle::new(RuleSet::builtin()).expect("the catalogue compiles"));

/// Examples, counter-examples, anchors and words of contexts.
static PIECES: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    let set = RuleSet::builtin();
    let texts = set.detectors().iter().flat_map(|d| {
        let words = d.anchors.iter().chain(d.context.iter().flat_map(|c| &c.keywords));
        d.examples.iter().chain(&d.counter_examples).chain(words).map(|t| t.as_bytes().to_vec()).collect::<Vec<_>>()
    });
    texts.filter(|t| t.len() < 600).collect()
});

fuzz_target!(|data: &[u8]| {
    let mut text = Vec::new();
    let mut rest = data.iter();
    while let Some(byte) = rest.next().filter(|_| text.len() < 2048) {
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
    let differences = ORACLE.differences(&text);
    assert!(differences.is_empty(), "{differences:#?}");
});
