//! Where quoted literals are, in whatever language: between quotes that no backslash escapes, and no apostrophes of words.

use std::ops::Range;

use simd::Class;

use super::MAX_PIECE;
use crate::layers::marks::Marks;

/// Quotes, and what else matters between them.
static MARKS: Class = Class::of(b"\"'`\\\n");

/// Literals of a text, asked for from left to right.
pub(super) struct Literals<'a> {
    bytes: &'a [u8],
    marks: Marks,
    /// For each kind of quote, how far it is known that none closes a literal: a text full of escaped quotes is not read to its end for each.
    unclosed: [usize; 3],
}

impl<'a> Literals<'a> {
    pub(super) fn of(bytes: &'a [u8]) -> Literals<'a> {
        Literals { bytes, marks: Marks::of(bytes, &MARKS), unclosed: [0; 3] }
    }

    /// The content of the next quoted literal that begins at or after `from`. `long` is what is known of long strings, by where they begin.
    pub(super) fn next(&mut self, from: usize, long: impl Fn(usize) -> Option<Range<usize>>) -> Option<Range<usize>> {
        let bytes = self.bytes;
        let mut at = from;
        loop {
            at = self.marks.next(at)?;
            let quote = *bytes.get(at)?;
            if matches!(quote, b'\\' | b'\n') {
                at += 1;
                continue;
            }
            if let Some(long) = long(at + 1) {
                return Some(long);
            }
            // A fence of Markdown, an apostrophe in a word: neither opens a literal.
            let fence = bytes.get(at..).unwrap_or_default().iter().take_while(|b| **b == quote).count();
            if fence >= 3 {
                at += fence;
                continue;
            }
            if quote == b'\'' && in_word(bytes, at) {
                at += 1;
                continue;
            }
            // A template has its pieces inside.
            let template =
                |l: &Range<usize>| quote == b'`' && bytes.get(l.clone()).is_some_and(|t| memchr::memmem::find(t, b"${").is_some());
            if let Some(literal) = self.content(at + 1, quote).filter(|l| !template(l)) {
                return Some(literal);
            }
            at += 1;
        }
    }

    /// The literal whose content begins at `start`, if it is closed where one may be.
    fn content(&mut self, start: usize, quote: u8) -> Option<Range<usize>> {
        let [double, single, back] = &mut self.unclosed;
        let unclosed = match quote {
            b'"' => double,
            b'\'' => single,
            _ => back,
        };
        // A quote that opened nothing was escaped where this one stands, and so went the same way from here.
        if start + MAX_PIECE < *unclosed {
            return None;
        }
        let mut end = start;
        loop {
            let Some(mark) = self.marks.next(end) else {
                *unclosed = usize::MAX;
                return None;
            };
            end = mark;
            match self.bytes.get(end)? {
                b'\\' => end += 2,
                b if *b == quote => return Some(start..end),
                // Over lines go short pieces only: what is longer begins in prose, most likely.
                b'\n' if end - start > MAX_PIECE => {
                    *unclosed = end;
                    return None;
                }
                _ => end += 1,
            }
        }
    }
}

/// Whether the apostrophe at `at` stands between letters of a word; one or two letters before it may be a prefix, as of `b'…'`.
fn in_word(bytes: &[u8], at: usize) -> bool {
    let letters = bytes.get(..at).unwrap_or_default().iter().rev().take(3).take_while(|b| b.is_ascii_alphanumeric()).count();
    letters >= 3
        || (letters > 0
            && bytes.get(at + 1).is_some_and(u8::is_ascii_lowercase)
            && bytes.get(at + 2).is_none_or(|b| !b.is_ascii_alphanumeric()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_known_of_quotes_that_close_nothing_changes_nothing(parts in prop::collection::vec((0..8_usize, 1..99_usize), 0..20)) {
            let kinds = ["\\\"", "\"", "\\'x", " '", "a", "\n", "\\\n", "`"];
            let text: String = parts.iter().map(|(kind, n)| kinds[*kind].repeat(if matches!(kind, 1 | 3 | 7) { n % 3 } else { *n })).collect();
            let mut literals = Literals::of(text.as_bytes());
            for (at, quote) in text.bytes().enumerate().filter(|(_, b)| matches!(b, b'"' | b'\'' | b'`')) {
                prop_assert_eq!(literals.content(at + 1, quote), Literals::of(text.as_bytes()).content(at + 1, quote));
            }
        }
    }
}
