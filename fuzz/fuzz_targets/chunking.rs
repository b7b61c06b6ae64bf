//! However a body is cut into chunks, findings and spans are the same.
#![no_main]

use std::sync::LazyLock;

use engine::{Engine, FingerprintKey, Finding, Kind, Limits, Media, RuleSet};
use libfuzzer_sys::fuzz_target;

// Small windows, so that short inputs reach the sliding mode.
static ENGINE: LazyLock<Engine> = LazyLock::new(|| {
    let limits = Limits { whole_bytes: 512, block_bytes: 256, overlap_bytes: 128, ..Limits::default() };
    Engine::compile(RuleSet::builtin(), limits, FingerprintKey([7; 32])).expect("the catalogue compiles")
});

fn findings(content: &[u8], size: usize) -> Vec<(String, std::ops::Range<u64>)> {
    let mut stream = ENGINE.stream(Kind::body(Media::default()));
    let mut all: Vec<Finding> = content.chunks(size).flat_map(|c| stream.push(c).findings).collect();
    all.extend(stream.finish().findings);
    let mut all: Vec<_> = all.into_iter().map(|f| (f.detector.id.clone(), f.span)).collect();
    all.sort_by_key(|(id, span)| (span.start, span.end, id.clone()));
    all
}

fuzz_target!(|data: &[u8]| {
    if let Some((size, content)) = data.split_first() {
        assert_eq!(findings(content, content.len().max(1)), findings(content, usize::from(*size).max(1)));
    }
});
