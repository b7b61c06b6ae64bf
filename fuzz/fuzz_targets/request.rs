//! A whole request through the Inspector, chunk by chunk, pauses included: never a panic, never a byte released after a denial.
#![no_main]

use std::sync::{Arc, LazyLock};

use bytes::Bytes;
use engine::{Engine, FingerprintKey, Limits, RuleSet};
use inspect::{Header, Inspector, Opened, Snapshot, Step};
use libfuzzer_sys::fuzz_target;
use policy::Policy;

/// Every kind of rule looks at every request.
const POLICY: &str = r#"version: 1
extends: [default, github]
rules:
  - {name: a, paths: ["/a/**", "/*.git/x"], methods: [PUT], action: deny}
  - {name: b, when: "path.contains('x') && ('k' in query || headers.host == host)", action: allow, mode: monitor}
  - {name: c, max_body: 4KiB, budget: {window: 1s, requests: 100000, bytes: 1GiB, new_hosts: 1000}, redaction: fixed-length}
"#;

static INSPECTOR: LazyLock<Inspector> = LazyLock::new(|| {
    let limits = Limits { whole_bytes: 512, block_bytes: 256, overlap_bytes: 128, ..Limits::default() };
    let engine = Engine::compile(RuleSet::builtin(), limits, FingerprintKey([7; 32])).expect("the catalogue compiles");
    Inspector::new(Snapshot { engine, policy: Arc::new(Policy::from_yaml("fuzz", POLICY).expect("a policy")) }, 0)
});

fuzz_target!(|data: &[u8]| {
    // Parts separated by 0xff 0x00: authority, path, headers in pairs, and the last one is the body.
    let mut parts: Vec<&[u8]> = Vec::new();
    let mut rest = data;
    while let Some(at) = rest.windows(2).position(|w| w == [0xff, 0x00]).filter(|_| parts.len() < 16) {
        parts.push(&rest[..at]);
        rest = &rest[at + 2..];
    }
    let text = |i: usize| parts.get(i).map(|p| String::from_utf8_lossy(p).into_owned()).unwrap_or_default();
    let headers = parts.get(2..).unwrap_or_default().chunks_exact(2);
    let headers = headers.map(|p| Header { name: String::from_utf8_lossy(p[0]).to_lowercase(), value: Bytes::copy_from_slice(p[1]) });
    let path = Bytes::copy_from_slice(parts.get(1).copied().unwrap_or(b"/"));
    let head = portcullis_fuzz::head(text(0), path, headers.collect(), rest.is_empty());
    let Opened::Body(mut flow) = INSPECTOR.open(&head) else { return };
    for (i, chunk) in rest.chunks(97).enumerate() {
        if let Step::Deny(_) = flow.push(Bytes::copy_from_slice(chunk)) {
            return;
        }
        if i % 5 == 4
            && let Step::Deny(_) = flow.pause()
        {
            return;
        }
    }
    flow.finish(&[]);
});
