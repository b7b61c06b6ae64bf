//! The names in a tree: entries of `mode name NUL id` (gitformat-pack; git's `tree-walk.c`).

use std::ops::Range;

use crate::hash::Format;

/// An id is noise; with so many printable bytes it is a text.
const PRINTABLE: usize = 16;

/// The names of the entries that touch `ranges` (all where `None`), one a line. What is no tree is given as it is.
pub(crate) fn names(tree: &[u8], format: Format, ranges: Option<&[Range<usize>]>) -> Vec<u8> {
    collect(tree, format, ranges).unwrap_or_else(|| tree.to_vec())
}

fn collect(tree: &[u8], format: Format, ranges: Option<&[Range<usize>]>) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    let mut at = 0;
    let mut ranges = ranges.map(|ranges| ranges.iter().peekable());
    while let Some(rest) = tree.get(at..).filter(|rest| !rest.is_empty()) {
        let space = rest.iter().take(8).position(|b| *b == b' ')?;
        let mode = rest.get(..space)?;
        if !(5..=6).contains(&space) || !mode.iter().all(|b| matches!(b, b'0'..=b'7')) {
            return None;
        }
        let name_len = rest.get(space + 1..)?.iter().position(|b| *b == 0)?;
        let name = rest.get(space + 1..space + 1 + name_len)?;
        let id_at = space + 1 + name_len + 1;
        let id = rest.get(id_at..id_at + format.bytes())?;
        let end = at + id_at + format.bytes();
        let touched = ranges.as_mut().is_none_or(|ranges| {
            while ranges.next_if(|range| range.end <= at).is_some() {}
            ranges.peek().is_some_and(|range| range.start < end)
        });
        if touched {
            out.extend_from_slice(name);
            out.push(b'\n');
            if id.iter().filter(|b| b.is_ascii_graphic() || **b == b' ').count() >= PRINTABLE {
                out.extend_from_slice(id);
                out.push(b'\n');
            }
        }
        at = end;
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_told_and_only_those_that_changed() {
        let entry = |name: &str, id: u8| [b"100644 ", name.as_bytes(), b"\0", &[id; 20]].concat();
        let tree = [entry("a", 1), entry("b c", 2), entry("d", b'x')].concat();
        let all = String::from_utf8(names(&tree, Format::Sha1, None)).expect("text");
        assert_eq!(all, format!("a\nb c\nd\n{}\n", "x".repeat(20)), "an id that is text is told too");
        let one = [30..31, 31..32];
        assert_eq!(names(&tree, Format::Sha1, Some(&one)), b"b c\n");
        assert_eq!(names(&tree, Format::Sha1, Some(&[])), b"");
        for odd in [&tree[..tree.len() - 1], b"100644x a\0", b"9 a\0", b"hello"] {
            assert_eq!(names(odd, Format::Sha1, None), odd);
        }
    }
}
