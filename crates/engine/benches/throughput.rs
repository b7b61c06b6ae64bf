//! How fast the engine is, on clean text of the kinds that agents send: `cargo bench -p portcullis-engine`.
//!
//! Prints medians in MB/s on one core, and ratios to a reference that runs in the same round: the memchr crate, looking for a byte that is not
//! there, is how fast this machine can read at that moment.

#![allow(clippy::print_stdout, reason = "a benchmark prints")]

#[path = "throughput/corpora.rs"]
mod corpora;

use std::hint::black_box;
use std::time::{Duration, Instant};

use corpora::Corpus;
use portcullis_engine::{Engine, FingerprintKey, Kind, Known, KnownKey, Limits, Location, Media};

const ROUNDS: usize = 7;

fn main() {
    let only = std::env::args().skip(1).find(|a| !a.starts_with("--"));
    let begun = Instant::now();
    let rules = rules::RuleSet::builtin();
    let engine = Engine::compile(rules, Limits::default(), FingerprintKey([7; 32])).expect("the catalogue compiles");
    println!("{} detectors, start-up {:.2} s", engine.detectors().len(), begun.elapsed().as_secs_f64());
    println!("| corpus | memchr MB/s | detectors MB/s | whole MB/s | chunks of 16 KiB | findings | memchr / whole |");
    println!("|---|---|---|---|---|---|---|");
    for corpus in corpora::all(2 << 20, 200 << 10) {
        if only.as_ref().is_none_or(|o| corpus.name.contains(o.as_str())) {
            throughput(&engine, &corpus);
        }
    }
    small(&engine);
    if only.as_deref() == Some("anchors") {
        anchors(&engine);
    }
    if only.as_deref() == Some("known") {
        known(&engine);
    }
}

/// What known secrets cost: the same text without a registry, and with registries of several sizes.
fn known(engine: &Engine) {
    let sizes = [0, 1, 100, 10_000];
    let engines: Vec<Engine> = sizes.iter().map(|size| registered(engine, *size)).collect();
    println!("\n| corpus | no registry, MB/s | 1 value | 100 values | 10,000 values | findings |\n|---|---|---|---|---|---|");
    for corpus in corpora::all(2 << 20, 200 << 10) {
        let kind = body(corpus.content_type);
        let mut times: [Vec<Duration>; 4] = Default::default();
        let mut findings = 0;
        for _ in 0..ROUNDS {
            for (engine, times) in engines.iter().zip(&mut times) {
                let begun = Instant::now();
                findings = corpus.bodies.iter().map(|b| engine.scan(&kind, b).findings.len()).sum::<usize>();
                times.push(begun.elapsed());
            }
        }
        let mb = corpus.bytes() as f64 / 1e6;
        let [none, one, hundred, many] = times.map(|t| mb / median(t).as_secs_f64());
        println!("| {} | {none:.1} | {one:.1} | {hundred:.1} | {many:.1} | {findings} |", corpus.name);
    }
}

/// The engine with so many values of the usual lengths.
fn registered(engine: &Engine, size: usize) -> Engine {
    let value = |i: usize| {
        let hash = blake3::hash(&i.to_le_bytes()).to_hex();
        (format!("n{i}"), hash.get(..20 + i % 40).unwrap_or_default().to_owned())
    };
    let begun = Instant::now();
    let (known, refused) = Known::build((0..size).map(value), &KnownKey([3; 32]), &FingerprintKey([7; 32]));
    println!("{} values registered in {:.2} s, {} refused", known.len(), begun.elapsed().as_secs_f64(), refused.len());
    engine.clone().with_known(known)
}

/// The anchors that cost most, and what all of them cost.
fn anchors(engine: &Engine) {
    let corpora = corpora::all(2 << 20, 200 << 10);
    println!("\n| corpus | detector | anchor | hits per MB | tried per MB | bytes looked at per byte |\n|---|---|---|---|---|---|");
    for corpus in corpora.iter().filter(|c| c.name != "worst") {
        let text: Vec<u8> = corpus.bodies.concat();
        let mb = text.len() as f64 / 1e6;
        let mut costs = engine.anchor_costs(&text);
        costs.sort_by_key(|c| std::cmp::Reverse(c.work + 100 * c.tried + 10 * c.hits));
        for cost in costs.iter().take(12) {
            let [hits, tried, work] = [cost.hits, cost.tried, cost.work].map(|n| n as f64 / mb);
            println!("| {} | {} | `{}` | {hits:.0} | {tried:.0} | {:.4} |", corpus.name, cost.detector.id, cost.anchor, work / 1e6);
        }
    }
}

fn throughput(engine: &Engine, corpus: &Corpus) {
    let kind = body(corpus.content_type);
    let mut times: [Vec<Duration>; 4] = Default::default();
    let mut findings = 0;
    for _ in 0..ROUNDS {
        let mut time = |slot: usize, work: &dyn Fn(&[u8], &Engine) -> usize| {
            // Nothing was seen before.
            let engine = engine.fresh();
            let begun = Instant::now();
            let sum = corpus.bodies.iter().map(|b| work(b, &engine)).sum::<usize>();
            times[slot].push(begun.elapsed());
            black_box(sum)
        };
        // A byte that is in no text, and rare in noise: the rest of the body is read on.
        time(0, &|b, _| memchr::memchr_iter(0xfe, b).count());
        time(1, &|b, engine| engine.matches(b));
        findings = time(2, &|b, engine| engine.scan(&kind, b).findings.len());
        time(3, &|b, engine| chunked(engine, &kind, b));
    }
    let mb = corpus.bytes() as f64 / 1e6;
    let [memchr, matcher, whole, chunks] = times.map(|t| mb / median(t).as_secs_f64());
    println!("| {} | {memchr:.0} | {matcher:.0} | {whole:.1} | {chunks:.1} | {findings} | {:.0} |", corpus.name, memchr / whole);
}

fn chunked(engine: &Engine, kind: &Kind, bytes: &[u8]) -> usize {
    let mut stream = engine.stream(kind.clone());
    let early: usize = bytes.chunks(16 << 10).map(|chunk| stream.push(chunk).findings.len()).sum();
    early + stream.finish().findings.len()
}

/// Small inputs are the common case: time per call.
fn small(engine: &Engine) {
    let header = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36 agent/1.2.3 (session; build 2026-11-20T10:20:30Z) node-fetch/3.3.2 gzip, deflate, br, zstd, en-US;q=0.9";
    let json = format!(
        "{{\"items\":[{}]}}",
        (0..24)
            .map(|i| format!("{{\"id\":{i},\"name\":\"item number {i}\",\"state\":\"open\",\"note\":\"some words here\"}}"))
            .collect::<Vec<_>>()
            .join(",")
    );
    println!("\n| input | bytes | time a call |\n|---|---|---|");
    let header_kind = Kind { location: Location::Header("user-agent".into()), media: Media::default() };
    for (name, kind, bytes) in [("header", header_kind, header.as_bytes()), ("JSON", body("application/json"), json.as_bytes())] {
        let times = (0..ROUNDS)
            .map(|_| {
                let begun = Instant::now();
                for _ in 0..2000 {
                    black_box(engine.scan(&kind, black_box(bytes)));
                }
                begun.elapsed() / 2000
            })
            .collect();
        println!("| {name} | {} | {:.2} µs |", bytes.len(), median(times).as_secs_f64() * 1e6);
    }
}

fn body(content_type: &str) -> Kind {
    Kind { location: Location::Body, media: Media { content_type: Some(content_type.into()), content_encoding: Vec::new() } }
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}
