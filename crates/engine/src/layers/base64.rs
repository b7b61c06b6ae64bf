//! Base64 and base64url (RFC 4648 sections 4 and 5): unpadded, wrapped, glued to words.

use std::ops::{ControlFlow, Range};

use simd::{Class, Kinds, next_run};

use super::container::{texty, worth, worth_a_view};
use super::sink::{Flow, Sink};
use super::{bounds, census, chance};

/// Shorter runs carry nothing that is worth a look: 12 bytes.
pub(super) const MIN: usize = 16;
/// Raw deflate of anything of interest is not shorter.
const MIN_DEFLATED: usize = 32;
/// Characters that are decoded to see a magic; a multiple of four.
const HEAD: usize = 24;
/// A word of one case is not longer.
const MIN_LETTERS: usize = 24;
/// A wrapped line is at least this long, but for the last.
const MIN_LINE: usize = 32;
/// Lines this long are wrapped if all are as long, but for the last.
const MIN_EQUAL_LINE: usize = 16;
/// Base32, which is tried on the same runs, has up to six.
const MAX_PADDING: usize = 6;

/// Decodes every run whose content looks like something.
pub(super) fn peel(sink: &mut Sink<'_, '_>) -> Flow {
    if !sink.census.run(census::BASE64) {
        return ControlFlow::Continue(());
    }
    let mut room = Vec::new();
    for part in sink.open() {
        let bytes = sink.bytes().get(..part.end).unwrap_or_default();
        let mut at = part.start;
        while let Some(run) = next(bytes, at) {
            at = run.end;
            if !sink.claimed(&run) {
                one(sink, run, &mut room)?;
            }
        }
    }
    ControlFlow::Continue(())
}

/// Decodes one run, in whatever way gives something that is worth a look. `clean` is room to work in.
fn one(sink: &mut Sink<'_, '_>, run: Range<usize>, clean: &mut Vec<u8>) -> Flow {
    let bytes = sink.bytes();
    let encoded = bytes.get(run.clone()).unwrap_or_default();
    let kinds = kinds(encoded);
    // Names and paths of one case are what most runs are. Nothing that is encoded has neither the other case nor a digit, but for letters that
    // stand for digits.
    if matches!(kinds & !MARK, 0 | LOWER | UPPER) {
        let letters = kinds & MARK == 0 && encoded.len() >= MIN_LETTERS;
        return if letters { super::radix::alphanumeric(sink, &run) } else { ControlFlow::Continue(()) };
    }
    if kinds & (LOWER | UPPER) == LOWER | UPPER && !chance::encoded(encoded) {
        return ControlFlow::Continue(());
    }
    // Nothing encodes to hex digits alone: that is hexadecimal, or a number.
    if kinds & MARK == 0 && encoded.iter().all(u8::is_ascii_hexdigit) {
        return super::radix::alphanumeric(sink, &run);
    }
    cleaned(encoded, clean);
    if kinds & MARK == 0 && clean.iter().all(u8::is_ascii_hexdigit) {
        return super::radix::alphanumeric(sink, &run);
    }
    let rows = Rows::of(clean);
    let deflated = kinds & (LOWER | UPPER | DIGIT) == LOWER | UPPER | DIGIT && clean.len() >= MIN_DEFLATED;
    for skip in 0..4 {
        let Some(part) = clean.get(skip..).filter(|part| rows.promising(skip) || begins_well(part, deflated) || hidden(part)) else {
            continue;
        };
        let Some(decoded) = decode_clean(part) else { continue };
        if worth_a_view(&decoded, sink.budget) {
            let whole = written(bytes, run.clone());
            // Chance gives what looks like a stream or holds a few letters in a row, but no text: that decides which order was meant.
            if !texty(&decoded)
                && let Some(text) = backwards(clean, &rows, deflated).filter(|text| texty(text))
            {
                sink.unclaimed(text, whole.clone(), "reversed-base64")?;
            }
            // Of lines that are encoded each, and end within a four, only the first is read with the others.
            let apart = !texty(&decoded) && encoded.iter().position(|b| !member(*b)).is_some_and(|first| !first.is_multiple_of(4));
            sink.run(decoded, whole, "base64", None)?;
            return if apart { lines(sink, &run, clean) } else { ControlFlow::Continue(()) };
        }
    }
    if let Some(decoded) = backwards(clean, &rows, deflated).filter(|decoded| worth(decoded)) {
        return sink.run(decoded, written(bytes, run), "reversed-base64", None);
    }
    super::radix::alphanumeric(sink, &run)?;
    if sink.claimed(&run) {
        return ControlFlow::Continue(());
    }
    // What was taken for wrapped lines may be a word on each.
    lines(sink, &run, clean)
}

/// Decodes each line of a run by itself, if there are several.
fn lines(sink: &mut Sink<'_, '_>, run: &Range<usize>, clean: &mut Vec<u8>) -> Flow {
    let bytes = sink.bytes().get(..run.end).unwrap_or_default();
    let mut at = run.start;
    while let Some(line) = next_run(bytes, at, &MEMBERS, MIN) {
        at = line.end + bytes.get(line.end..).unwrap_or_default().iter().take_while(|b| **b == b'=').count();
        if (line.start..at) != *run {
            one(sink, line.start..at, clean)?;
        }
    }
    ControlFlow::Continue(())
}

/// What a run decodes to that is written backwards, and so has its padding before it.
fn backwards(clean: &mut [u8], rows: &Rows, deflated: bool) -> Option<Vec<u8>> {
    // The first of each four is then the last.
    let first = clean.len().wrapping_sub(1) % 4;
    clean.reverse();
    if rows.promising(first) || begins_well(clean, deflated) || hidden(clean) { decode_clean(clean) } else { None }
}

const LOWER: u8 = 1;
const UPPER: u8 = 2;
const DIGIT: u8 = 4;
/// What stands in names and paths as well. A plus does not.
const MARK: u8 = 8;

/// What each byte of a run is; padding, blanks and line breaks are nothing.
static KINDS: [u8; 256] = {
    let mut kinds = [0; 256];
    let mut i = 0;
    while i < 256 {
        kinds[i] = match i as u8 {
            b'a'..=b'z' => LOWER,
            b'A'..=b'Z' => UPPER,
            b'0'..=b'9' | b'+' => DIGIT,
            b'-' | b'_' | b'/' => MARK,
            _ => 0,
        };
        i += 1;
    }
    kinds
};

/// What the bytes of a run are.
fn kinds(run: &[u8]) -> u8 {
    static ALL: Kinds =
        Kinds::of([b"abcdefghijklmno", b"pqrstuvwxyz", b"ABCDEFGHIJKLMNO", b"PQRSTUVWXYZ", b"0123456789", b"+", b"-/", b"_"]);
    if run.len() < LONG {
        return run.iter().fold(0, |all, b| all | KINDS[usize::from(*b)]);
    }
    let [seen] = simd::seen(run, &[ALL]).kinds;
    [(0x03, LOWER), (0x0c, UPPER), (0x30, DIGIT), (0xc0, MARK)].iter().filter(|(bits, _)| seen & bits != 0).map(|(_, kind)| kind).sum()
}

/// Runs from this length on are looked at many bytes at a time.
const LONG: usize = 256;

/// For each place in four at which encoded bytes may begin: how many of the fours begin as ASCII does, and how many of them in a row. The first of
/// four characters has the high bits of a byte, and says whether that is ASCII. Most runs are identifiers and hashes, and end here.
struct Rows {
    good: [u32; 4],
    /// Whether there is a row of [`ROW`].
    row: [bool; 4],
    length: usize,
}

/// A serialisation that holds something has so many fours in a row that begin as ASCII does.
const ROW: u32 = 6;

/// The first of four characters, where the byte that they begin with is printable.
static FIRSTS: Class = Class::of(b"ACDIJKLMNOPQRSTUVWXYZabcdef");

impl Rows {
    fn of(clean: &[u8]) -> Rows {
        if clean.len() >= LONG {
            return Rows::of_many(clean);
        }
        let (mut good, mut row, mut longest) = ([0; 4], [0; 4], [0; 4]);
        let mut add = |place: usize, byte: u8| {
            let fits = u32::from(FIRSTS.has(byte));
            good[place] += fits;
            row[place] = (row[place] + 1) * fits;
            longest[place] = longest[place].max(row[place]);
        };
        let (quads, rest) = clean.as_chunks::<4>();
        for quad in quads {
            quad.iter().enumerate().for_each(|(place, b)| add(place, *b));
        }
        rest.iter().enumerate().for_each(|(place, b)| add(place, *b));
        Rows { good, row: longest.map(|n| n >= ROW), length: clean.len() }
    }

    /// The same, sixteen fours at a time.
    fn of_many(clean: &[u8]) -> Rows {
        let mut words = Vec::new();
        simd::masks(clean, &FIRSTS, &mut words);
        let places = [0, 1, 2, 3].map(|place| 0x1111_1111_1111_1111_u64 << place);
        let (mut good, mut rows, mut before) = ([0; 4], 0, 0);
        for word in words {
            good.iter_mut().zip(places).for_each(|(good, place)| *good += (word & place).count_ones());
            rows |= (1..ROW).fold(word, |all, n| all & (word << (4 * n) | before >> (64 - 4 * n)));
            before = word;
        }
        Rows { good, row: places.map(|place| rows & place != 0), length: clean.len() }
    }

    /// Text has 85 % printable bytes (`worth`), so that at most 45 % of the fours begin with one that is none; a serialisation has a row of them.
    fn promising(&self, place: usize) -> bool {
        let quads = self.length.saturating_sub(place).div_ceil(4);
        self.good[place] as usize * 100 >= quads * 55 || self.row[place]
    }
}

/// Whether it may be text under a key of one byte, or in EBCDIC: all bytes in one half, or letters and blanks only.
fn hidden(clean: &[u8]) -> bool {
    let mut firsts = clean.chunks(4).filter_map(|quad| quad.first()).map(|b| VALUES[usize::from(*b)]);
    let Some(first) = firsts.next() else { return false };
    let rest = firsts.clone();
    // The six high bits of the first of each three bytes. In EBCDIC blanks and marks begin with 0x4 to 0x7, letters and digits with 0x8 and more,
    // and lines end with 0x25 or 0x15.
    firsts.all(|v| (v ^ first) & 0x20 == 0) || (clean.len() >= 2 * MIN && rest.clone().all(|v| v >= 0x10 || matches!(v, 0x09 | 0x05)))
}

/// Whether it begins like a compressed stream, an archive or text beyond ASCII, or may be raw deflate: that has no magic, but one last block that
/// is coded (RFC 1951 section 3.2.3), and every kind of character in it.
fn begins_well(clean: &[u8], deflated: bool) -> bool {
    let mut head = [0; HEAD / 4 * 3];
    for (out, quad) in head.chunks_mut(3).zip(clean.chunks(4)) {
        let bits = quad.iter().fold(0_u32, |n, b| n << 6 | u32::from(VALUES[usize::from(*b)])) << (6 * (4 - quad.len()));
        out.iter_mut().zip(&bits.to_be_bytes()[1..]).for_each(|(o, b)| *o = *b);
    }
    let head = head.get(..clean.len() / 4 * 3).unwrap_or(&head);
    // Text beyond ASCII: cut in the middle of a character, perhaps.
    let utf8 = || std::str::from_utf8(head).map_or_else(|e| e.error_len().is_none(), |_| true);
    super::container::maybe_packed(head)
        || super::container::brotli_like(head, clean.len() / 4 * 3)
        || utf8()
        || (deflated && matches!(head.first().map(|b| b & 7), Some(3 | 5)))
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

/// A run that may be decoded.
pub(super) const RUN: (Class, u32) = (Class::of(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/-_"), MIN as u32);
static MEMBERS: Class = RUN.0;

fn member(byte: u8) -> bool {
    MEMBERS.has(byte)
}

/// The next run at or after `from`: members, then line breaks with more members, then padding.
fn next(bytes: &[u8], from: usize) -> Option<Range<usize>> {
    let Range { start, mut end } = next_run(bytes, from, &MEMBERS, MIN)?;
    let mut last = end - start;
    let short = last < MIN_LINE;
    while last >= if short { MIN_EQUAL_LINE } else { MIN_LINE } {
        let Some(begin) = wrapped(bytes, end) else { break };
        let stop = line(bytes, begin);
        if stop == begin || stop - begin > last {
            break;
        }
        // One short line behind another is no last line.
        let equal = stop - begin == last;
        if short && !equal && end - start == last {
            break;
        }
        last = if short && !equal { 0 } else { stop - begin };
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
    let padding = encoded.iter().rev().take_while(|b| **b == b'=').count();
    let run = encoded.get(..encoded.len() - padding).unwrap_or_default();
    let standard = |b: &u8| match b {
        b'-' => b'+',
        b'_' => b'/',
        other => *other,
    };
    // Most runs are one line.
    if simd::count(run, &MEMBERS) == run.len() {
        clean.extend(run.iter().map(standard));
        return;
    }
    let mut rest = run.iter();
    while let Some(b) = rest.next() {
        match b {
            b'\\' => {
                rest.next();
            }
            b if member(*b) => clean.push(standard(b)),
            _ => {}
        }
    }
}

fn decode_clean(clean: &[u8]) -> Option<Vec<u8>> {
    let whole = if clean.len() % 4 == 1 { clean.len() - 1 } else { clean.len() };
    base64_simd::forgiving_decode_to_vec(clean.get(..whole)?).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn long_runs_are_judged_as_short_ones(text in "([a-f]{0,30}[A-Za-z0-9+/_-]{0,30}){0,30}") {
            let run = text.as_bytes();
            let (all, rows) = (run.iter().fold(0, |all, b| all | KINDS[usize::from(*b)]), Rows::of_many(run));
            prop_assert_eq!(kinds(run), all);
            let whole: Vec<Vec<bool>> = (0..4).map(|place| run.iter().skip(place).step_by(4).map(|b| FIRSTS.has(*b)).collect()).collect();
            for (place, firsts) in whole.iter().enumerate() {
                prop_assert_eq!(rows.good[place] as usize, firsts.iter().filter(|f| **f).count());
                prop_assert_eq!(rows.row[place], firsts.windows(ROW as usize).any(|w| w.iter().all(|f| *f)));
            }
            if run.len() < LONG {
                let few = Rows::of(run);
                prop_assert_eq!((few.good, few.row), (rows.good, rows.row));
            }
        }
    }
}
