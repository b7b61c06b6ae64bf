//! Text that Unicode hides or disguises: invisible characters between letters, look-alikes, wide and styled forms, text in tag characters and
//! variation selectors. What a character is comes from Unicode's own data: the property Default_Ignorable_Code_Point (UAX #44), compatibility
//! decompositions (UAX #15) and confusables (UTS #39).

use std::ops::ControlFlow;
use std::sync::LazyLock;

use unicode_normalization::UnicodeNormalization;

use super::census;
use super::chars::{Chars, Escape, Escapes, stretches};
use super::sink::{Flow, Sink};

/// So many variation selectors in a row select nothing: they are bytes.
const MIN_SELECTORS: usize = 12;

const DISGUISED: Escapes = Escapes { find: character, read: disguised };

/// Where the next byte is that begins a character beyond ASCII, as its second byte tells: in noise most do not.
fn character(bytes: &[u8]) -> Option<usize> {
    const HIGHEST: u64 = 0x8080_8080_8080_8080;
    let begins = |pair: &[u8]| matches!(pair, [0xc2..=0xff, 0x80..=0xbf]);
    let mut at = 0;
    // Eight bytes at a time, of which the last only ends a pair.
    while let Some(eight) = bytes.get(at..).and_then(|rest| rest.first_chunk::<8>()) {
        let word = u64::from_le_bytes(*eight);
        if word & HIGHEST == 0 {
            at += 8 + simd::find(bytes.get(at + 8..)?, |b| b >= 0xc2)?;
            continue;
        }
        let lead = word & word << 1 & HIGHEST;
        let follows = word & !(word << 1) & HIGHEST;
        let mut pairs = lead & follows >> 8;
        while pairs != 0 {
            let place = at + pairs.trailing_zeros() as usize / 8;
            if bytes.get(place..place + 2).is_some_and(begins) {
                return Some(place);
            }
            pairs &= pairs - 1;
        }
        at += 7;
    }
    bytes.get(at..)?.windows(2).position(begins).map(|i| at + i)
}

/// Every stretch with such characters, as the ASCII it stands for.
pub(super) fn peel(sink: &mut Sink<'_, '_>) -> Flow {
    if sink.view.layer == Some("unicode") || !sink.census.any(census::HIGH) {
        return ControlFlow::Continue(());
    }
    selectors(sink)?;
    let source = sink.bytes();
    let mut found = Vec::new();
    stretches(source, 0, DISGUISED, |stretch| {
        found.push(stretch.range);
        ControlFlow::Continue(())
    })?;
    for range in found {
        if !sink.claimed(&range) {
            let chars = Chars::undo(source, range, DISGUISED);
            sink.loose(chars, "unicode")?;
        }
    }
    ControlFlow::Continue(())
}

/// Ranges in which characters with a meaning lie: letters of living scripts that look like Latin ones, punctuation, wide and styled forms, tags.
const RANGES: [(u32, u32); 7] =
    [(0x80, 0x2fff), (0xa4d0, 0xabff), (0xf900, 0xffff), (0x10280, 0x11fff), (0x1d400, 0x1d7ff), (0x1f100, 0x1f1ff), (0xe0000, 0xe0fff)];

/// The last of the ranges, that of the tags, is stored right behind the others.
const TAGS: u32 = 0xe_0000;
const BELOW_TAGS: u32 = 0x1_f200;

/// For each character of the ranges what it is taken for: nothing, or ASCII; 0 for those without a meaning.
static MEANINGS: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let ignorable = ignorable();
    let mut meanings = vec![0; place(TAGS + 0x1000)];
    for c in RANGES.iter().flat_map(|(first, last)| *first..=*last).filter_map(char::from_u32) {
        let tag = u32::from(c).checked_sub(TAGS).and_then(|tag| u8::try_from(tag).ok()).filter(|tag| (0x20..0x7f).contains(tag));
        let ignorable = || ignorable.iter().any(|(first, last)| (*first..=*last).contains(&c)).then_some(NOTHING);
        // Tag characters repeat ASCII, invisibly.
        if let (Some(meaning), Some(slot)) = (tag.or_else(ignorable).or_else(|| ascii(c)), meanings.get_mut(place(u32::from(c)))) {
            *slot = meaning;
        }
    }
    meanings
});

/// Stands for nothing.
const NOTHING: u8 = 0xff;

/// Where the meaning of a character is.
fn place(c: u32) -> usize {
    c.checked_sub(TAGS).map_or(c.min(BELOW_TAGS), |tag| BELOW_TAGS + 1 + tag.min(0x1000)) as usize
}

/// The ranges of Default_Ignorable_Code_Point, from the tables of the regex parser, and the directional marks and isolates beside it.
fn ignorable() -> Vec<(char, char)> {
    let hir = regex_syntax::parse(r"[\p{Default_Ignorable_Code_Point}\p{Bidi_Control}]");
    match hir.map(regex_syntax::hir::Hir::into_kind) {
        Ok(regex_syntax::hir::HirKind::Class(regex_syntax::hir::Class::Unicode(class))) => {
            class.iter().map(|r| (r.start(), r.end())).collect()
        }
        _ => Vec::new(),
    }
}

/// The ASCII character that `c` is a form of, or looks like.
fn ascii(c: char) -> Option<u8> {
    let one = |chars: &mut dyn Iterator<Item = char>| match (chars.next(), chars.next()) {
        (Some(only), None) if only.is_ascii_graphic() => u8::try_from(only).ok(),
        _ => None,
    };
    if let Some(byte) = one(&mut std::iter::once(c).nfkc()) {
        return Some(byte);
    }
    // The prototype of a capital I is a small l (UTS #39): the capital is meant.
    let text = c.to_string();
    one(&mut unicode_security::skeleton(&text)).map(|byte| if byte == b'l' && c.is_uppercase() { b'I' } else { byte })
}

fn char_at(source: &[u8], at: usize) -> Option<char> {
    let len = match *source.get(at..)? {
        [a @ 0xc2..=0xdf, b @ 0x80..=0xbf, ..] => return char::from_u32(u32::from(a & 0x1f) << 6 | u32::from(b & 0x3f)),
        [0xe0..=0xef, 0x80..=0xbf, 0x80..=0xbf, ..] => 3,
        [0xf0..=0xf4, 0x80..=0xbf, 0x80..=0xbf, 0x80..=0xbf, ..] => 4,
        _ => return None,
    };
    std::str::from_utf8(source.get(at..at + len)?).ok()?.chars().next()
}

fn disguised(source: &[u8], at: usize) -> Option<Escape> {
    let c = char_at(source, at)?;
    match *MEANINGS.get(place(u32::from(c)))? {
        0 => None,
        NOTHING => Some(Escape::nothing(c.len_utf8())),
        byte => Some(Escape::byte(byte, c.len_utf8())),
    }
}

/// Bytes as variation selectors: U+FE00 to U+FE0F are 0 to 15, U+E0100 to U+E01EF the rest.
fn selector(c: char) -> Option<u8> {
    match u32::from(c) {
        n @ 0xfe00..=0xfe0f => u8::try_from(n - 0xfe00).ok(),
        n @ 0xe0100..=0xe01ef => u8::try_from(n - 0xe0100 + 16).ok(),
        _ => None,
    }
}

fn selectors(sink: &mut Sink<'_, '_>) -> Flow {
    let source = sink.bytes();
    let mut at = 0;
    while let Some(step) = source.get(at..).and_then(|rest| memchr::memchr2(0xef, 0xf3, rest)) {
        at += step;
        let (mut bytes, mut end) = (Vec::new(), at);
        while let Some((c, byte)) = char_at(source, end).and_then(|c| Some((c, selector(c)?))) {
            bytes.push(byte);
            end += c.len_utf8();
        }
        if bytes.len() >= MIN_SELECTORS {
            sink.unclaimed(bytes, at..end, "variation-selectors")?;
        }
        at = end.max(at + 1);
    }
    ControlFlow::Continue(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_next_character_beyond_ascii_is_found(bytes in prop::collection::vec(prop_oneof![any::<u8>(), 0x80..0xe0_u8, Just(b'a')], 0..60), blanks in 0..100_usize) {
            let bytes = [vec![b' '; blanks], bytes].concat();
            prop_assert_eq!(character(&bytes), bytes.windows(2).position(|w| w[0] >= 0xc2 && w[1] & 0xc0 == 0x80));
            for at in 0..bytes.len() {
                let slow = (2..=4).find_map(|n| std::str::from_utf8(bytes.get(at..at + n)?).ok()?.chars().next().filter(|c| c.len_utf8() == n));
                prop_assert_eq!(char_at(&bytes, at), slow);
            }
        }
    }
}
