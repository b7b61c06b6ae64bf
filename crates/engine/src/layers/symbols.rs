//! Bits and bytes as symbols: text in two letters, in two invisible characters, blanks and tabs; bytes as characters of one block of Unicode.

use std::ops::{ControlFlow, Range};

use super::census;
use super::sink::{Flow, Sink};

/// Fewer bytes are no text.
const MIN_BYTES: usize = 12;
/// One place in so many bytes is looked at.
const STEP: usize = 64;
/// So many bytes at a place must be of two symbols.
const SAMPLE: usize = 32;
/// The first of the 256 emoji that stand for bytes in base100.
const BASE100: u32 = 0x1_f3f7;

/// Every run of two symbols whose bits are text; every run of characters that stand for a byte each.
pub(super) fn peel(sink: &mut Sink<'_, '_>) -> Flow {
    two_bytes(sink)?;
    if sink.census.any(census::HIGH) { characters(sink) } else { ControlFlow::Continue(()) }
}

/// Runs of two different bytes.
fn two_bytes(sink: &mut Sink<'_, '_>) -> Flow {
    let bytes = sink.bytes();
    let mut at = 0;
    while let Some(sample) = bytes.get(at..at + SAMPLE) {
        let zero = sample[0];
        let one = sample.iter().find(|b| **b != zero).copied();
        let member = |b: &u8| *b == zero || Some(*b) == one;
        let digits = matches!(zero, b'0' | b'1') && matches!(one, Some(b'0' | b'1'));
        if one.is_none() || digits || !sample.iter().all(member) {
            at += STEP;
            continue;
        }
        let before = bytes.get(..at).unwrap_or_default().iter().rev().take_while(|b| member(b)).count();
        let behind = bytes.get(at..).unwrap_or_default().iter().take_while(|b| member(b)).count();
        let run = at - before..at + behind;
        let bits: Vec<bool> = bytes.get(run.clone()).unwrap_or_default().iter().map(|b| *b == zero).collect();
        at = run.end.max(at + STEP);
        sink.work(bits.len() as u64, run.start)?;
        text_of_bits(sink, &bits, run)?;
    }
    ControlFlow::Continue(())
}

/// What bits spell, if it is text: either symbol may be the one, and what stands before the first byte may look like a bit.
fn text_of_bits(sink: &mut Sink<'_, '_>, bits: &[bool], run: Range<usize>) -> Flow {
    for one in [false, true] {
        for (skip, width) in [(0, 8), (1, 8), (2, 8), (3, 8), (4, 8), (5, 8), (6, 8), (7, 8), (0, 7)] {
            let byte = |group: &[bool]| group.iter().fold(0_u8, |n, bit| n << 1 | u8::from(*bit == one));
            let text: Vec<u8> = bits.get(skip..).unwrap_or_default().chunks_exact(width).map(byte).collect();
            if readable(&text) {
                return sink.unclaimed(text, run, "binary");
            }
        }
    }
    ControlFlow::Continue(())
}

fn readable(text: &[u8]) -> bool {
    let printable = text.iter().filter(|b| (0x20..0x7f).contains(*b) || matches!(b, b'\n' | b'\r' | b'\t')).count();
    text.len() >= MIN_BYTES && printable * 20 >= text.len() * 19
}

/// Runs of characters beyond ASCII.
fn characters(sink: &mut Sink<'_, '_>) -> Flow {
    let bytes = sink.bytes();
    // At least two bytes a character.
    let mut runs = Vec::new();
    simd::high_runs(bytes, 2 * MIN_BYTES, &mut runs);
    for run in runs {
        let part = bytes.get(run.clone()).unwrap_or_default();
        match std::str::from_utf8(part) {
            Ok(text) => one_block(sink, text, run)?,
            Err(_) => overlong(sink, part, run)?,
        }
    }
    ControlFlow::Continue(())
}

/// Characters that differ in their last byte only, and characters of two kinds.
fn one_block(sink: &mut Sink<'_, '_>, text: &str, run: Range<usize>) -> Flow {
    let codes = || text.chars().map(u32::from);
    let Some(first) = codes().next() else { return ControlFlow::Continue(()) };
    let second = codes().find(|c| *c != first);
    let (mut least, mut most, mut two, mut count) = (first, first, true, 0_usize);
    for code in codes() {
        (least, most) = (least.min(code), most.max(code));
        two &= code == first || Some(code) == second;
        count += 1;
    }
    if two && second.is_some() && count >= 7 * MIN_BYTES {
        let bits: Vec<bool> = codes().map(|c| c == first).collect();
        return text_of_bits(sink, &bits, run);
    }
    if most - least > 0xff || count < MIN_BYTES {
        return ControlFlow::Continue(());
    }
    for base in [first & !0xff, BASE100] {
        let decoded: Vec<u8> = codes().filter_map(|c| u8::try_from(c.checked_sub(base)?).ok()).collect();
        if decoded.len() == count && readable(&decoded) {
            return sink.unclaimed(decoded, run, "unicode");
        }
    }
    ControlFlow::Continue(())
}

fn overlong(sink: &mut Sink<'_, '_>, part: &[u8], run: Range<usize>) -> Flow {
    match plain(part) {
        Some(decoded) => sink.unclaimed(decoded, run, "overlong"),
        None => ControlFlow::Continue(()),
    }
}

/// Whether bytes are text in which each character takes more bytes than it needs.
pub(super) fn long(bytes: &[u8]) -> bool {
    matches!(bytes.first(), Some(0xc0 | 0xc1 | 0xe0)) && plain(bytes).is_some()
}

/// Characters of ASCII in two or three bytes, which UTF-8 forbids and careless decoders read (RFC 3629 section 10).
fn plain(part: &[u8]) -> Option<Vec<u8>> {
    let mut decoded = Vec::with_capacity(part.len() / 2);
    let mut rest = part;
    while !rest.is_empty() {
        let (high, low, used) = match rest {
            [high @ (0xc0 | 0xc1), low @ 0x80..=0xbf, ..] => (high & 1, low, 2),
            [0xe0, high @ (0x80 | 0x81), low @ 0x80..=0xbf, ..] => (high & 1, low, 3),
            _ => return None,
        };
        decoded.push(high << 6 | (low & 0x3f));
        rest = rest.get(used..)?;
    }
    readable(&decoded).then_some(decoded)
}
