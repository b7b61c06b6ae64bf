use std::io::Write;

use flate2::Compression;
use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};
use proptest::prelude::*;
use ruzstd::encoding::{CompressionLevel, compress_to_vec};

use super::*;

pub(crate) fn gzip(data: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(data).unwrap();
    encoder.finish().unwrap()
}

pub(crate) fn zlib(data: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(data).unwrap();
    encoder.finish().unwrap()
}

pub(crate) fn deflate(data: &[u8]) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(data).unwrap();
    encoder.finish().unwrap()
}

pub(crate) fn zstd(data: &[u8]) -> Vec<u8> {
    compress_to_vec(data, CompressionLevel::Fastest)
}

/// One uncompressed meta-block after another, then an empty last one (RFC 7932 §9.2).
pub(crate) fn brotli(data: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    for (i, block) in data.chunks(60_000).enumerate() {
        // Only the stream's first block has the window bit in front.
        let shift = u32::from(i == 0);
        let header = ((block.len() as u32 - 1) << 3 | 1 << 19) << shift;
        out.extend_from_slice(&header.to_le_bytes()[..3]);
        out.extend_from_slice(block);
    }
    out.push(3);
    out
}

fn text(n: usize) -> Vec<u8> {
    (0..n).flat_map(|i| format!("line {i} of {}\n", i * 7919 % 1009).into_bytes()).collect()
}

fn decode(coding: &str, input: &[u8], piece: usize) -> (Vec<u8>, Result<bool, Gap>) {
    let mut decoder = Decoder::new(coding).unwrap();
    let mut out = Vec::new();
    for chunk in input.chunks(piece.max(1)).chain([&[][..]]) {
        let mut rest = chunk;
        loop {
            let before = out.len();
            match decoder.feed(rest, &mut out) {
                Err(gap) => return (out, Err(gap)),
                Ok(used) => {
                    rest = &rest[used..];
                    assert!(out.len() - before <= STEP);
                    if used == 0 && out.len() == before {
                        break;
                    }
                }
            }
        }
        assert!(rest.is_empty(), "all input is used");
    }
    (out, Ok(decoder.finished()))
}

fn all(data: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("gzip", gzip(data)),
        ("x-gzip", [gzip(&data[..data.len() / 2]), vec![0; 3], gzip(&data[data.len() / 2..])].concat()),
        ("deflate", zlib(data)),
        ("deflate", deflate(data)),
        ("br", brotli(data)),
        ("zstd", zstd(data)),
        ("zstd", [vec![0x53, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 9, 9, 9], zstd(&data[..1000]), zstd(&data[1000..])].concat()),
    ]
}

#[test]
fn every_coding_decodes_whatever_the_pieces() {
    let data = text(20_000);
    for (coding, encoded) in all(&data) {
        for piece in [1, 7, 4096, usize::MAX] {
            let (decoded, end) = decode(coding, &encoded, piece);
            assert_eq!(end, Ok(true), "{coding} in pieces of {piece}");
            assert!(decoded == data, "{coding} in pieces of {piece}: {} bytes", decoded.len());
        }
    }
}

#[test]
fn a_cut_off_stream_is_not_finished_and_gives_what_it_has() {
    let data = text(20_000);
    for (coding, encoded) in all(&data) {
        let decoder = Decoder::new(coding).unwrap();
        let mut budget = budget();
        let out = unpack(decoder, &encoded[..encoded.len() * 3 / 4], &mut budget, 0);
        assert_eq!(out.end, End::Cut, "{coding}");
        assert!(data.starts_with(&out.bytes), "{coding}");
        assert!(out.bytes.len() > data.len() / 4, "{coding}: {}", out.bytes.len());
    }
}

#[test]
fn what_follows_a_declared_stream_is_an_error() {
    for (coding, mut encoded) in all(&text(500)) {
        encoded.extend_from_slice(b"and more");
        assert_eq!(decode(coding, &encoded, 4096).1, Err(Gap::Undecodable), "{coding}");
    }
}

#[test]
fn an_unknown_coding_has_no_decoder() {
    assert!(Decoder::new("compress").is_none());
    assert!(Decoder::new("").is_none());
}

#[test]
fn a_bomb_ends_at_the_ratio_and_the_absolute_bound() {
    let bomb = gzip(&vec![0; 40 << 20]);
    let mut tight = Budget { ratio: 200, ..budget() };
    let out = unpack(Decoder::gzip_member(), &bomb, &mut tight, 5);
    assert_eq!(out.end, End::Failed(Gap::Budget));
    assert!(out.bytes.len() < 12 << 20);
    let mut small = Budget { decoded: 1 << 20, ratio: 5000, ..budget() };
    let out = unpack(Decoder::gzip_member(), &bomb, &mut small, 5);
    assert_eq!((out.end, small.gap), (End::Failed(Gap::Budget), Some((5, Gap::Budget))));
    assert!(out.bytes.len() <= 1 << 20);
    // Just enough is enough.
    let mut enough = Budget { decoded: 40 << 20, ratio: 5000, ..budget() };
    assert_eq!(unpack(Decoder::gzip_member(), &bomb, &mut enough, 5).end, End::Done);
    assert_eq!(enough.decoded, 0);
}

#[test]
fn a_zstd_window_over_the_limit_is_refused() {
    // Window descriptor: exponent 14 is 16 MiB, 13 is 8 MiB.
    for (exponent, expected) in [(14, Err(Gap::Budget)), (13, Ok(true))] {
        let frame = [0x28, 0xb5, 0x2f, 0xfd, 0, exponent << 3, 0x29, 0, 0, b'a', b'b', b'c', b'd', b'e'];
        assert_eq!(decode("zstd", &frame, 100).1, expected);
    }
}

fn budget() -> Budget {
    Budget { decoded: 64 << 20, ratio: 200, work: u64::MAX, gap: None }
}

proptest! {
    #[test]
    fn no_bytes_panic_or_stall(coding in prop::sample::select(vec!["gzip", "deflate", "br", "zstd"]), data in prop::collection::vec(any::<u8>(), 0..600), magic in any::<bool>()) {
        let mut input = Vec::new();
        if magic {
            input.extend_from_slice(match coding { "gzip" => &[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3][..], "zstd" => &[0x28, 0xb5, 0x2f, 0xfd, 0x24, 200][..], "deflate" => &[0x78, 0x9c][..], _ => &[0x0b][..] });
        }
        input.extend_from_slice(&data);
        let mut budget = Budget { decoded: 4 << 20, ..budget() };
        let out = unpack(Decoder::new(coding).unwrap(), &input, &mut budget, 0);
        prop_assert!(out.used <= input.len());
        prop_assert!(out.bytes.len() as u64 + budget.decoded <= 4 << 20 || budget.gap.is_some());
    }

    #[test]
    fn damaged_streams_do_not_panic(at in 0_usize..4000, flip in 1_u8.., which in 0_usize..7) {
        let (coding, mut encoded) = all(&text(300)).swap_remove(which);
        let at = at % encoded.len();
        encoded[at] ^= flip;
        let mut budget = budget();
        unpack(Decoder::new(coding).unwrap(), &encoded, &mut budget, 0);
    }
}
