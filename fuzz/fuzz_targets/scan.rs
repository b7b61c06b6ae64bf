//! Every grammar and layer: the first byte picks location, content type and coding, the rest is the content. Nothing panics, nothing stalls.
#![no_main]

use std::sync::LazyLock;

use engine::{Engine, FingerprintKey, Kind, Limits, Location, Media, RuleSet};
use libfuzzer_sys::fuzz_target;

static ENGINE: LazyLock<Engine> = LazyLock::new(|| Engine::compile(RuleSet::builtin(), Limits::default(), FingerprintKey([7; 32])).expect("the catalogue compiles"));

const TYPES: [&str; 10] = [
    "application/json",
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=x",
    "text/xml",
    "application/x-ndjson",
    "text/event-stream",
    "message/rfc822",
    "text/plain",
    "application/octet-stream",
    "application/grpc",
];
const CODINGS: [&str; 5] = ["gzip", "deflate", "br", "zstd", "unheard-of"];

fn kind(choice: u8) -> Kind {
    match choice {
        0 => Kind::of(Location::Host),
        1 => Kind::of(Location::Path),
        2 => Kind::of(Location::Query),
        3 => Kind::of(Location::Header("cookie".into())),
        4 => Kind::of(Location::Header("authorization".into())),
        5 => Kind::of(Location::Trailer("x".into())),
        n => Kind::body(Media {
            content_type: TYPES.get(usize::from(n) % 12).map(|t| (*t).to_owned()),
            content_encoding: CODINGS.get(usize::from(n / 12)).map(|c| (*c).to_owned()).into_iter().collect(),
        }),
    }
}

fuzz_target!(|data: &[u8]| {
    if let Some((choice, content)) = data.split_first() {
        let report = ENGINE.scan(&kind(*choice), content);
        for finding in report.findings {
            assert!(finding.span.start < finding.span.end && finding.span.end <= content.len() as u64);
        }
    }
});
