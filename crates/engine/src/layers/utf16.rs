//! UTF-16 in either byte order, with or without a mark.

use std::ops::ControlFlow;

use simd::Class;

use super::origins::Origins;
use super::sink::{Flow, Sink};

static ZERO: Class = Class::of(&[0]);

/// Hands on the text of a view in which every other byte is zero.
pub(super) fn peel(sink: &mut Sink<'_, '_>) -> Flow {
    let bytes = sink.bytes();
    if bytes.len() < 16 || !sink.census.any(super::census::NUL) {
        return ControlFlow::Continue(());
    }
    let mut zeros = Vec::new();
    simd::masks(bytes, &ZERO, &mut zeros);
    let places = |places: u64| zeros.iter().map(|word| (word & places).count_ones() as usize).sum::<usize>();
    let half = bytes.len() / 2;
    let (even, odd) = (places(0x5555_5555_5555_5555), places(0xaaaa_aaaa_aaaa_aaaa));
    let little = odd * 10 > half * 7 && even * 10 < half * 3;
    let big = even * 10 > half * 7 && odd * 10 < half * 3;
    if !little && !big {
        return ControlFlow::Continue(());
    }
    let mut text = String::with_capacity(half);
    let mut origins = Origins::within(0..bytes.len());
    let mut at = 0;
    let unit = |at: usize| {
        let pair = [*bytes.get(at)?, *bytes.get(at + 1)?];
        Some(if little { u16::from_le_bytes(pair) } else { u16::from_be_bytes(pair) })
    };
    while let Some(first) = unit(at) {
        let two = unit(at + 2).filter(|u| (0xdc00..0xe000).contains(u) && (0xd800..0xdc00).contains(&first));
        let c = char::decode_utf16([first].into_iter().chain(two)).next().and_then(Result::ok).unwrap_or(char::REPLACEMENT_CHARACTER);
        text.push(c);
        let used = if two.is_some() { 4 } else { 2 };
        origins.escape(c.len_utf8(), at, used);
        at += used;
    }
    origins.end(bytes.len());
    sink.mapped(text.into_bytes(), origins, "utf-16")
}
