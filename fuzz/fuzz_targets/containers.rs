//! What real programs pack, damaged: the first byte picks a fixture, then each three bytes put a value at an offset. In one piece, and in windows that
//! are much shorter. Nothing panics, nothing stalls, and spans stay inside.
#![no_main]

use std::sync::LazyLock;

use engine::{Engine, FingerprintKey, Kind, Limits, Media, RuleSet};
use libfuzzer_sys::fuzz_target;

static ENGINES: LazyLock<[Engine; 2]> = LazyLock::new(|| {
    let windows = Limits { whole_bytes: 256, block_bytes: 256, overlap_bytes: 128, ..Limits::default() };
    [Limits::default(), windows].map(|l| Engine::compile(RuleSet::builtin(), l, FingerprintKey([7; 32])).expect("the catalogue compiles"))
});

static FIXTURES: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    let lines = include_str!("../../crates/engine/tests/containers/fixtures.txt").lines();
    lines.filter_map(|line| line.rsplit('\t').next()).map(decode).collect()
});

fn decode(text: &str) -> Vec<u8> {
    let value = |b: u8| b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".iter().position(|a| *a == b);
    let digits: Vec<u32> = text.bytes().filter_map(value).map(|v| v as u32).collect();
    let group = |g: &[u32]| (g.iter().fold(0, |n, d| n << 6 | d) << (6 * (4 - g.len()))).to_be_bytes()[1..g.len()].to_vec();
    digits.chunks(4).flat_map(group).collect()
}

fuzz_target!(|data: &[u8]| {
    let Some((choice, edits)) = data.split_first() else { return };
    let mut bytes = FIXTURES[usize::from(*choice) % FIXTURES.len()].clone();
    for edit in edits.chunks_exact(3) {
        let at = usize::from(u16::from_le_bytes([edit[0], edit[1]])) % bytes.len();
        bytes[at] = edit[2];
    }
    for engine in ENGINES.iter() {
        let report = engine.scan(&Kind::body(Media::default()), &bytes);
        for finding in report.findings {
            assert!(finding.span.start < finding.span.end && finding.span.end <= bytes.len() as u64);
        }
    }
});
