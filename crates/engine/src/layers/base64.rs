//! Base64 and base64url (RFC 4648 sections 4 and 5): unpadded, wrapped, glued to words.

use std::ops::{ControlFlow, Range};

use super::container::{worth, worth_a_view};
use super::sink::{Flow, Sink};
use super::{bounds, runs};

/// Shorter runs carry nothing that is worth a look: 12 bytes.
const MIN: usize = 16;
/// Raw deflate of anything of interest is not shorter.
const MIN_DEFLATED: usize = 32;
/// Characters that are decoded to see a magic; a multiple of four.
const HEAD: usize = 24;
/// A wrapped line is at least this long, but for the last.
const MIN_LINE: usize = 32;
/// Base32, which is tried on the same runs, has up to six.
const MAX_PADDING: usize = 6;

/// Decodes every run whose content looks like something.
pub(super) fn peel(sink: &mut Sink<'_, '_>) -> Flow {
    let bytes = sink.bytes();
    let (mut at, mut room) = (0, Vec::new());
    while let Some(run) = next(bytes, at) {
        at = run.end;
        if !sink.claimed(&run) {
            one(sink, run, &mut room)?;
        }
    }
    ControlFlow::Continue(())
}

/// Decodes one run, in whatever way gives something that is worth a look. `clean` is room to work in.
fn one(sink: &mut Sink<'_, '_>, run: Range<usize>, clean: &mut Vec<u8>) -> Flow {
    let bytes = sink.bytes();
    let encoded = bytes.get(run.clone()).unwrap_or_default();
    cleaned(encoded, clean);
    // Nothing encodes to hex digits alone: that is hexadecimal, or a number.
    if clean.iter().all(u8::is_ascii_hexdigit) {
        return super::radix::alphanumeric(sink, &run);
    }
    for skip in 0..4 {
        let Some(part) = clean.get(skip..).filter(|part| promising(part)) else { continue };
        let Some(decoded) = decode_clean(part) else { continue };
        if worth_a_view(&decoded, sink.budget) {
            return sink.run(decoded, written(bytes, run), "base64", None);
        }
    }
    // Written backwards, the padding goes before the run.
    clean.reverse();
    if promising(clean)
        && let Some(decoded) = decode_clean(clean).filter(|decoded| worth(decoded))
    {
        return sink.run(decoded, written(bytes, run), "reversed-base64", None);
    }
    match encoded.iter().position(|b| !member(*b) && *b != b'=') {
        // What was taken for a wrapped line may not belong to it.
        Some(first) if first >= MIN => {
            super::radix::alphanumeric(sink, &run)?;
            if sink.claimed(&run) {
                return ControlFlow::Continue(());
            }
            one(sink, run.start..run.start + first, clean)
        }
        _ => super::radix::alphanumeric(sink, &run),
    }
}

/// Whether a run may decode to something that is worth a look: the first of each four characters has the high bits of a byte, and says whether
/// that is ASCII. Most runs are identifiers and hashes, and end here.
fn promising(clean: &[u8]) -> bool {
    let (mut good, mut row, mut longest) = (0, 0, 0);
    for quad in clean.chunks(4) {
        if matches!(quad.first(), Some(b'I'..=b'Z' | b'a'..=b'f' | b'A' | b'C' | b'D')) {
            good += 1;
            row += 1;
            longest = longest.max(row);
        } else {
            row = 0;
        }
    }
    let quads = clean.len().div_ceil(4);
    // Text has 85 % printable bytes (`worth`), so that at most 45 % of the quads begin with one that is none; a serialisation has a row of them.
    good * 100 >= quads * 55 || longest >= 6 || begins_well(clean) || hidden(clean)
}

/// Whether it may be text under a key of one byte, or in EBCDIC: all bytes in one half, or letters and blanks only.
fn hidden(clean: &[u8]) -> bool {
    let mut firsts = clean.chunks(4).filter_map(|quad| quad.first()).map(|b| VALUES[usize::from(*b)]);
    let Some(first) = firsts.next() else { return false };
    let rest = firsts.clone();
    // The six high bits of the first of each three bytes. In EBCDIC blanks and marks begin with 0x4 to 0x7, letters and digits with 0x8 and more.
    firsts.all(|v| (v ^ first) & 0x20 == 0) || (clean.len() >= 2 * MIN && rest.clone().all(|v| v >= 0x10))
}

/// Whether it begins like a compressed stream, an archive or text beyond ASCII, or may be raw deflate: that has no magic, but one last block that
/// is coded (RFC 1951 section 3.2.3), and every kind of character in it.
fn begins_well(clean: &[u8]) -> bool {
    let mut head = [0; HEAD / 4 * 3];
    for (out, quad) in head.chunks_mut(3).zip(clean.chunks(4)) {
        let bits = quad.iter().fold(0_u32, |n, b| n << 6 | u32::from(VALUES[usize::from(*b)])) << (6 * (4 - quad.len()));
        out.iter_mut().zip(&bits.to_be_bytes()[1..]).for_each(|(o, b)| *o = *b);
    }
    let has = |kind: fn(&u8) -> bool| clean.iter().any(kind);
    let head = head.get(..clean.len() / 4 * 3).unwrap_or(&head);
    // Text beyond ASCII: cut in the middle of a character, perhaps.
    let utf8 = || std::str::from_utf8(head).map_or_else(|e| e.error_len().is_none(), |_| true);
    super::container::packed(head)
        || utf8()
        || (clean.len() >= MIN_DEFLATED
            && matches!(head.first().map(|b| b & 7), Some(3 | 5))
            && has(u8::is_ascii_digit)
            && has(u8::is_ascii_uppercase)
            && has(u8::is_ascii_lowercase))
}

/// The run as it is written: with the indent and the last line break of a block, with the head of a `data:` URL.
fn written(bytes: &[u8], run: Range<usize>) -> Range<usize> {
    let wrapped = bytes.get(run.clone()).is_some_and(|r| memchr::memchr2(b'\n', b'\\', r).is_some());
    bounds::data_url(bytes, if wrapped { bounds::lines(bytes, run) } else { run })
}

/// What each character of the standard alphabet stands for.
static VALUES: [u8; 256] = {
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut values = [0; 256];
    let mut i = 0;
    while i < 64 {
        values[alphabet[i] as usize] = i as u8;
        i += 1;
    }
    values
};

static MEMBERS: runs::Class = runs::class(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/-_");

fn member(byte: u8) -> bool {
    MEMBERS[usize::from(byte)]
}

/// The next run at or after `from`: members, then line breaks with more members, then padding.
fn next(bytes: &[u8], from: usize) -> Option<Range<usize>> {
    let Range { start, mut end } = runs::next(bytes, from, &MEMBERS, MIN)?;
    let mut last = end - start;
    while last >= MIN_LINE {
        let Some(begin) = wrapped(bytes, end) else { break };
        let stop = line(bytes, begin);
        if stop == begin || (stop - begin > last && last != stop - begin) {
            break;
        }
        last = stop - begin;
        end = stop;
    }
    end += bytes.get(end..)?.iter().take(MAX_PADDING).take_while(|b| **b == b'=').count();
    Some(start..end)
}

/// Where the members that begin at `start` end.
fn line(bytes: &[u8], start: usize) -> usize {
    bytes.get(start..).map_or(start, |rest| start + rest.iter().take_while(|b| member(**b)).count())
}

/// After a line break (as bytes or as `\n`, `\r\n` in text) and an indent, where the next line begins.
fn wrapped(bytes: &[u8], end: usize) -> Option<usize> {
    let rest = bytes.get(end..)?;
    let brk = [&b"\r\n"[..], b"\n", b"\\r\\n", b"\\n"].into_iter().find(|b| rest.starts_with(b))?.len();
    let indent = rest.get(brk..)?.iter().take(16).take_while(|b| matches!(b, b' ' | b'\t')).count();
    Some(end + brk + indent)
}

/// Decodes a run: either alphabet, blanks and padding dropped, a stray last character too.
pub(super) fn decode(encoded: &[u8]) -> Option<Vec<u8>> {
    let mut clean = Vec::new();
    cleaned(encoded, &mut clean);
    decode_clean(&clean)
}

/// Puts into `clean` what is encoded in the standard alphabet, and nothing else.
fn cleaned(encoded: &[u8], clean: &mut Vec<u8>) {
    clean.clear();
    let mut rest = encoded.iter();
    while let Some(b) = rest.next() {
        match b {
            b'-' => clean.push(b'+'),
            b'_' => clean.push(b'/'),
            b'\\' => {
                rest.next();
            }
            b if member(*b) => clean.push(*b),
            _ => {}
        }
    }
}

fn decode_clean(clean: &[u8]) -> Option<Vec<u8>> {
    let whole = if clean.len() % 4 == 1 { clean.len() - 1 } else { clean.len() };
    base64_simd::forgiving_decode_to_vec(clean.get(..whole)?).ok()
}
