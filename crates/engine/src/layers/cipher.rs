//! Bytes that hide text: every byte combined with the same key by exclusive or; EBCDIC.

use std::ops::ControlFlow;

use super::census;
use super::sink::{Flow, Sink};

/// Less is no text, and its key cannot be told.
const MIN: usize = 24;
/// More is not looked at: what is larger is data of some format.
const MAX: usize = 256 << 10;
/// Text has so many different bytes, a fill has not.
const MIN_VARIETY: usize = 8;
/// So many keys are tried, the likeliest first; longer text tells its key better.
const MAX_KEYS: usize = 12;
const SHORT: usize = 2048;

/// Text under a key of one byte, and text of another character set.
pub(super) fn peel(sink: &mut Sink<'_, '_>) -> Flow {
    let bytes = sink.bytes();
    if !(MIN..=MAX).contains(&bytes.len()) || !sink.census.any(census::CONTROL | census::HIGH) || !whole(sink) {
        return ControlFlow::Continue(());
    }
    if ebcdic(bytes) {
        let text = bytes.iter().map(|b| EBCDIC[usize::from(*b)]).collect();
        return sink.unclaimed(text, 0..bytes.len(), "ebcdic");
    }
    if one_half(bytes) && !mostly_text(bytes) && !beyond_ascii(bytes) { xor(sink) } else { ControlFlow::Continue(()) }
}

/// Whether the bytes are a location's own or what an encoding of whole bytes gave: others are pieces of text. Queries, forms, paths and cookies have
/// no other way for bytes than percent escapes.
fn whole(sink: &Sink<'_, '_>) -> bool {
    const GIVES_BYTES: [&str; 15] = [
        "base64",
        "reversed-base64",
        "hex",
        "hex-dump",
        "base32",
        "base36",
        "base58",
        "base62",
        "base85",
        "uuencode",
        "decimal",
        "octal",
        "binary",
        "percent",
        "multipart",
    ];
    sink.view.layer.is_none_or(|layer| GIVES_BYTES.contains(&layer))
}

/// Whether all bytes have the same highest bit: ASCII has, under whatever key, and hardly anything else has.
fn one_half(bytes: &[u8]) -> bool {
    let Some(first) = bytes.first() else { return false };
    bytes.len() >= MIN && bytes.iter().all(|b| (b ^ first) & 0x80 == 0)
}

/// Whether bytes are text of a script that has no ASCII: all their highest bits are set as well.
fn beyond_ascii(bytes: &[u8]) -> bool {
    bytes.first().is_some_and(|b| *b >= 0x80) && std::str::from_utf8(bytes).is_ok()
}

fn mostly_text(bytes: &[u8]) -> bool {
    bytes.iter().filter(|b| printable(**b)).count() * 20 >= bytes.len() * 19
}

fn printable(byte: u8) -> bool {
    (0x20..0x7f).contains(&byte) || matches!(byte, b'\n' | b'\r' | b'\t')
}

/// Whether bytes are text under a key of one byte.
pub(super) fn keyed(bytes: &[u8]) -> bool {
    one_half(bytes) && !keys(bytes).is_empty()
}

/// The keys under which bytes are text, the likeliest first.
fn keys(bytes: &[u8]) -> Vec<(u64, u8)> {
    let mut counts = [0_u32; 256];
    for byte in bytes {
        counts[usize::from(*byte)] += 1;
    }
    // A format with fill between its fields has the same highest bit everywhere, too.
    let fill = counts.iter().any(|c| *c as usize * 3 > bytes.len());
    let mut seen: Vec<(u8, u32)> = (0..=u8::MAX).zip(counts).filter(|(_, count)| *count > 0).collect();
    if fill || seen.len() < MIN_VARIETY {
        return Vec::new();
    }
    // The most frequent first: a wrong key shows at once.
    seen.sort_unstable_by_key(|(_, count)| std::cmp::Reverse(*count));
    let high = bytes.first().map_or(0, |b| b & 0x80);
    // Nine of ten characters of text are letters, digits, blanks and the usual marks.
    let most_bad = bytes.len() as u64 / 10;
    let score = |key: u8| {
        let (mut bad, mut score) = (0, 0);
        for (byte, count) in &seen {
            let weight = WEIGHTS[usize::from(byte ^ key)];
            bad += if weight < PLAIN { u64::from(*count) } else { 0 };
            score += u64::from(*count) * weight;
            if bad > most_bad {
                return None;
            }
        }
        Some((score, key))
    };
    let mut keys: Vec<(u64, u8)> = (0..0x80).map(|k| k | high).filter(|k| *k != 0).filter_map(score).collect();
    keys.sort_unstable_by(|a, b| b.cmp(a));
    keys
}

/// Hands on what the likeliest keys give.
fn xor(sink: &mut Sink<'_, '_>) -> Flow {
    let bytes = sink.bytes();
    let most = if bytes.len() <= SHORT { MAX_KEYS } else { MAX_KEYS / 4 };
    for (_, key) in keys(bytes).into_iter().take(most) {
        let plain = bytes.iter().map(|b| b ^ key).collect();
        sink.unclaimed(plain, 0..bytes.len(), "xor")?;
    }
    ControlFlow::Continue(())
}

/// What speaks for text at least so much is usual in it.
const PLAIN: u64 = 4;

/// How much each character speaks for text: letters, blanks and digits, the frequent ones more.
static WEIGHTS: [u64; 256] = {
    let mut weights = [0; 256];
    let mut i = 0;
    while i < 256 {
        weights[i] = match i as u8 {
            b' ' | b'e' | b't' | b'a' | b'o' | b'i' | b'n' | b's' | b'r' => 8,
            b'a'..=b'z' => 6,
            b'0'..=b'9' | b'A'..=b'Z' => 5,
            b'_' | b'-' | b'=' | b':' | b'/' | b'.' | b'+' | b'"' | b'\n' => 4,
            0x20..0x7f | b'\r' | b'\t' => 1,
            _ => 0,
        };
        i += 1;
    }
    weights
};

/// Whether bytes are text in EBCDIC, and none in ASCII.
pub(super) fn ebcdic(bytes: &[u8]) -> bool {
    let sample = bytes.get(..4096).unwrap_or(bytes);
    let letters = || sample.iter().filter(|b| **b >= 0x81).count();
    let various = |first: u8| sample.iter().any(|b| b.abs_diff(first) > 8);
    // The first few bytes of what is none say so.
    bytes.len() >= MIN
        && sample.iter().all(|b| EBCDIC[usize::from(*b)] != 0)
        && letters() * 2 >= sample.len()
        && sample.first().is_some_and(|b| various(*b))
}

/// Code page 037 (IBM CDRA, CCSID 37); 500, 1047 and 1140 differ from it in brackets and few marks. Zero: no printable ASCII.
static EBCDIC: [u8; 256] = [
    0x00, 0x00, 0x00, 0x00, 0x00, 0x09, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x0d, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x0a,
    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x0a, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x20, 0x00,
    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x2e, 0x3c, 0x28, 0x2b, 0x7c, 0x26, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
    0x00, 0x00, 0x21, 0x24, 0x2a, 0x29, 0x3b, 0x00, 0x2d, 0x2f, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x2c, 0x25, 0x5f,
    0x3e, 0x3f, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x60, 0x3a, 0x23, 0x40, 0x27, 0x3d, 0x22, 0x00, 0x61, 0x62, 0x63,
    0x64, 0x65, 0x66, 0x67, 0x68, 0x69, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x6a, 0x6b, 0x6c, 0x6d, 0x6e, 0x6f, 0x70, 0x71, 0x72,
    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x7e, 0x73, 0x74, 0x75, 0x76, 0x77, 0x78, 0x79, 0x7a, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
    0x5e, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x5b, 0x5d, 0x00, 0x00, 0x00, 0x00, 0x7b, 0x41, 0x42, 0x43, 0x44, 0x45,
    0x46, 0x47, 0x48, 0x49, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x7d, 0x4a, 0x4b, 0x4c, 0x4d, 0x4e, 0x4f, 0x50, 0x51, 0x52, 0x00, 0x00,
    0x00, 0x00, 0x00, 0x00, 0x5c, 0x00, 0x53, 0x54, 0x55, 0x56, 0x57, 0x58, 0x59, 0x5a, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x30, 0x31,
    0x32, 0x33, 0x34, 0x35, 0x36, 0x37, 0x38, 0x39, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_in_ebcdic_are_read() {
        // "Hello, W0rld" twice, as cp037 has it.
        let text = [0xc8, 0x85, 0x93, 0x93, 0x96, 0x6b, 0x40, 0xe6, 0xf0, 0x99, 0x93, 0x84].repeat(2);
        assert!(ebcdic(&text));
        assert!(text.iter().map(|b| EBCDIC[usize::from(*b)]).eq(b"Hello, W0rldHello, W0rld".iter().copied()));
        assert!(!ebcdic(b"words of ASCII are not, however long they are"));
    }
}
