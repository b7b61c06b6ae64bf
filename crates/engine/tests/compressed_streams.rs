//! Compressed content that is longer than what is held: all of it is looked at, wherever it begins, and chunks change nothing.

use std::io::Write;

use portcullis_engine::{Coverage, Engine, FingerprintKey, Gap, Kind, Limits, Media, Report, RuleSet};
use rand::distr::{Alphanumeric, SampleString};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

const WINDOWS: Limits =
    Limits { depth: 8, decoded_bytes: 64 << 20, ratio: 200, work_per_byte: 64, whole_bytes: 4096, block_bytes: 4096, overlap_bytes: 2048 };

fn engine(limits: Limits) -> Engine {
    Engine::compile(RuleSet::builtin(), limits, FingerprintKey([7; 32])).unwrap_or_else(|e| panic!("{e}"))
}

/// A GitHub token with a right checksum, made at run time, so that no scanner flags this file.
fn token() -> String {
    let entropy = Alphanumeric.sample_string(&mut rand::rng(), 30);
    ["gh", "p_", &entropy, &rules::checksum::base62_crc32(entropy.as_bytes())].concat()
}

/// Text of `lines` lines that does not compress to nothing, with `last` near its end.
fn text(lines: usize, last: &str) -> Vec<u8> {
    let mut random = StdRng::seed_from_u64(9);
    let line =
        move |_| format!("the {} of {} and {}\n", random.random::<u16>(), random.random::<u16>(), random.random::<u16>()).into_bytes();
    let mut text: Vec<u8> = (0..lines).flat_map(line).collect();
    text.extend_from_slice(format!("its token is {last} ok\n").as_bytes());
    text.extend_from_slice(b"and then it ends\n");
    text
}

fn gzip(data: &[u8]) -> Vec<u8> {
    let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    out.write_all(data).expect("in memory");
    out.finish().expect("in memory")
}

fn zlib(data: &[u8]) -> Vec<u8> {
    let mut out = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
    out.write_all(data).expect("in memory");
    out.finish().expect("in memory")
}

fn bzip2(data: &[u8]) -> Vec<u8> {
    let mut out = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::default());
    out.write_all(data).expect("in memory");
    out.finish().expect("in memory")
}

fn zstd(data: &[u8]) -> Vec<u8> {
    ruzstd::encoding::compress_to_vec(data, ruzstd::encoding::CompressionLevel::Fastest)
}

/// A zip entry as it is written to a stream: its length follows it.
fn zip(data: &[u8]) -> Vec<u8> {
    let mut out = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::default());
    out.write_all(data).expect("in memory");
    let deflated = out.finish().expect("in memory");
    let head = [&b"PK\x03\x04\x14\0\x08\0\x08\0"[..], &[0; 16], &[5, 0, 0, 0], b"a.txt"].concat();
    [&head[..], &deflated, b"PK\x07\x08", &[0; 12], b"PK\x05\x06", &[0; 18]].concat()
}

fn part(file: &[u8]) -> Vec<u8> {
    let head = b"--frontier\r\nContent-Disposition: form-data; name=\"f\"; filename=\"f\"\r\n\r\n";
    [head, file, b"\r\n--frontier--\r\n"].concat()
}

type Pack = fn(&[u8]) -> Vec<u8>;
const PACKS: [(&str, Pack); 8] = [
    ("gzip", gzip),
    ("zlib", zlib),
    ("bzip2", bzip2),
    ("zstd", zstd),
    ("deflate", zip),
    ("gzip", |data| gzip(&zip(data))),
    ("gzip", |data| part(&gzip(data))),
    ("gzip", |data| [gzip(&data[..data.len() / 2]), gzip(&data[data.len() / 2..])].concat()),
];

fn in_chunks(engine: &Engine, bytes: &[u8], size: usize) -> Report {
    let mut stream = engine.stream(Kind::body(Media::default()));
    let mut findings = Vec::new();
    for chunk in bytes.chunks(size) {
        findings.extend(stream.push(chunk).findings);
    }
    let last = stream.finish();
    findings.extend(last.findings);
    Report { findings, coverage: last.coverage, parts: last.parts }
}

#[test]
fn a_token_at_the_end_of_a_long_compressed_stream_is_found() {
    let engine = engine(WINDOWS);
    for (i, (layer, pack)) in PACKS.iter().enumerate() {
        let bytes = pack(&text(4000, &token()));
        assert!(bytes.len() > 20_000);
        let report = in_chunks(&engine, &bytes, 1000);
        assert_eq!(report.coverage, Coverage::Complete, "{i} {layer}");
        let found = report.findings.iter().find(|f| f.detector.id.starts_with("github-pat-classic"));
        let found = found.unwrap_or_else(|| panic!("{i} {layer}: not found"));
        assert_eq!(found.trail.first(), Some(layer), "{i}");
        assert!(found.span.end <= bytes.len() as u64);
    }
}

#[test]
fn a_long_compressed_stream_without_a_secret_is_clean_and_completely_looked_at() {
    let engine = engine(WINDOWS);
    for (i, (layer, pack)) in PACKS.iter().enumerate() {
        let bytes = pack(&text(4000, "not here"));
        let reports = [1, 777, 4096, 1 << 20].map(|size| in_chunks(&engine, &bytes, size));
        for report in reports {
            assert!(report.findings.is_empty() && report.coverage == Coverage::Complete, "{i} {layer}: {:?}", report.coverage);
        }
    }
}

#[test]
fn nothing_is_released_that_a_compressed_secret_may_still_be_found_in() {
    let engine = engine(WINDOWS);
    let bytes = gzip(&text(4000, &token()));
    let mut stream = engine.stream(Kind::body(Media::default()));
    for chunk in bytes.chunks(500) {
        let progress = stream.push(chunk);
        if let Some(found) = progress.findings.first() {
            assert_eq!(found.span.start, 0);
        }
        assert!(progress.clean_to < bytes.len() as u64 - 100, "the end is decoded last");
    }
    assert!(!stream.finish().findings.is_empty());
}

#[test]
fn a_stream_that_is_cut_off_or_a_bomb_is_a_gap() {
    let engine = engine(WINDOWS);
    let whole = gzip(&text(4000, "not here"));
    let cut = in_chunks(&engine, &whole[..whole.len() - 5000], 1000);
    assert!(matches!(cut.coverage, Coverage::Partial { gap: Gap::Undecodable, at: 0 }), "{:?}", cut.coverage);
    let bomb = bzip2(&vec![0; 60 << 20]);
    let long = [&b"first some bytes\x01\n"[..], &gzip(&bomb), &vec![b'x'; 8000]].concat();
    for body in [&bomb[..], &gzip(&vec![0; 40 << 20]), &long] {
        let report = in_chunks(&engine, body, 1000);
        assert!(matches!(report.coverage, Coverage::Partial { gap: Gap::Budget, .. }), "{:?}", report.coverage);
    }
}
