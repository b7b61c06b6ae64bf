//! Hexadecimal: plain, with separators (`:`, `-`, blank), with prefixes (`\x`, `0x`).

use std::ops::{ControlFlow, Range};

use simd::{Class, next_rare_run};

use super::census;
use super::chars::hex_digit;
use super::sink::{Flow, Sink};

/// Fewer bytes carry nothing that is worth a look.
const MIN: usize = 12;

/// Decodes every run whose content looks like something.
pub(super) fn peel(sink: &mut Sink<'_, '_>) -> Flow {
    if !sink.census.run(census::HEX) {
        return ControlFlow::Continue(());
    }
    sink.open().into_iter().try_for_each(|part| peel_part(sink, part))
}

fn peel_part(sink: &mut Sink<'_, '_>, part: Range<usize>) -> Flow {
    let bytes = sink.bytes().get(..part.end).unwrap_or_default();
    let mut at = part.start;
    while let Some((run, decoded)) = next(bytes, at) {
        at = run.end.max(at + 1);
        if sink.claimed(&run) {
            continue;
        }
        if super::container::worth_a_view(&decoded, sink.budget) {
            let prefix = [&b"\\\\x"[..], b"\\x", b"0x"].into_iter().find(|p| bytes.get(..run.start).is_some_and(|b| b.ends_with(p)));
            let run = run.start - prefix.map_or(0, <[u8]>::len)..run.end;
            sink.run(decoded, super::bounds::enclosed(bytes, run), "hex", None)?;
        } else if let Some(swapped) = swapped(&decoded) {
            sink.run(swapped, run, "hex", None)?;
        }
    }
    ControlFlow::Continue(())
}

/// The text that bytes are with the two digits of each in the other order: that of a whole run of digits is turned, or that of each byte.
fn swapped(decoded: &[u8]) -> Option<Vec<u8>> {
    let swapped = || decoded.iter().map(|b| b.rotate_left(4));
    // Of digits by chance less than half give text.
    let text = swapped().filter(|b| (0x20..0x7f).contains(b) || b.is_ascii_whitespace()).count();
    (text * 20 >= decoded.len() * 19).then(|| swapped().collect())
}

/// What hex digits, separators and prefixes are made of.
static MEMBERS: Class = RUN.0;
/// A run of those that may hold so many bytes.
pub(super) const RUN: (Class, u32) = (Class::of(b"0123456789abcdefABCDEFx\\,:- \r\n"), 2 * MIN as u32);

/// The next run that is long enough at or after `from`, with its bytes.
fn next(bytes: &[u8], from: usize) -> Option<(Range<usize>, Vec<u8>)> {
    let mut from = from;
    while let Some(part) = next_rare_run(bytes, from, &MEMBERS, RUN.1 as usize) {
        if let Some(found) = within(bytes.get(..part.end)?, from.max(part.start)) {
            return Some(found);
        }
        from = part.end;
    }
    None
}

fn within(bytes: &[u8], from: usize) -> Option<(Range<usize>, Vec<u8>)> {
    let mut start = from;
    loop {
        start += bytes.get(start..)?.iter().position(|b| hex_digit(*b).is_some())?;
        let (mut pairs, mut at, mut end) = (0, start, start);
        while pair(bytes, at).is_some() {
            pairs += 1;
            end = at + 2;
            at = end + separator(bytes, end);
        }
        if pairs >= MIN {
            let mut decoded = Vec::with_capacity(pairs);
            at = start;
            while let Some(byte) = pair(bytes, at) {
                decoded.push(byte);
                at += 2 + separator(bytes, at + 2);
            }
            return Some((start..end, decoded));
        }
        start = end.max(start + 1);
    }
}

fn pair(bytes: &[u8], at: usize) -> Option<u8> {
    Some(hex_digit(*bytes.get(at)?)? << 4 | hex_digit(*bytes.get(at + 1)?)?)
}

/// How long the separator at `at` is; 0 when the next pair follows at once.
fn separator(bytes: &[u8], at: usize) -> usize {
    let rest = bytes.get(at..).unwrap_or_default();
    // Most of the time the next pair follows at once.
    if rest.first().is_none_or(|b| b.is_ascii_alphanumeric() && *b != b'0') {
        return 0;
    }
    [&b"\\x"[..], b", 0x", b",0x", b" 0x", b"0x", b"\r\n ", b"\r\n", b":", b"-", b" \n", b" ", b"\n ", b"\n", b","]
        .into_iter()
        .find(|s| rest.starts_with(s))
        .map_or(0, <[u8]>::len)
}
