//! Text as numbers: lists of character codes in decimal or octal, bits, and hex dumps.

use std::ops::{ControlFlow, Range};

use simd::{Class, next_run};

use super::census;
use super::chars::hex_digit;
use super::sink::{Flow, Sink};

/// Fewer numbers are a list of numbers.
const MIN_NUMBERS: usize = 10;
/// A full line of a dump is at least this long: an offset and sixteen bytes.
const MIN_DUMP: usize = 40;
/// Longest text between two numbers: `) + String.fromCharCode(`.
const MAX_GAP: usize = 28;

/// Every list of codes whose characters are text, every run of bits, every dump.
pub(super) fn peel(sink: &mut Sink<'_, '_>) -> Flow {
    if !sink.census.any(census::DIGIT) {
        return ControlFlow::Continue(());
    }
    let bytes = sink.bytes();
    for part in sink.open() {
        for list in crowded(bytes.get(part.clone()).unwrap_or_default()) {
            lists(sink, list.start + part.start..list.end + part.start)?;
        }
        bits(sink, &part)?;
        if has_dump(bytes.get(part.clone()).unwrap_or_default()) {
            dumps(sink, &part)?;
        }
    }
    ControlFlow::Continue(())
}

/// The stretches in which enough numbers follow each other at short distance to be a list: hardly any, so that what follows is for those only.
fn crowded(bytes: &[u8]) -> Vec<Range<usize>> {
    let mut digits = Vec::new();
    simd::masks(bytes, &DIGITS, &mut digits);
    let mut found = Vec::new();
    let mut before = 0;
    let mut row = Row::default();
    for (word, digits) in digits.iter().enumerate() {
        // Digits with none before them.
        let mut begins = digits & !(digits << 1 | before >> 63);
        before = *digits;
        while begins != 0 {
            let at = 64 * word + begins.trailing_zeros() as usize;
            begins &= begins - 1;
            let behind = after(bytes, at);
            let near = row.behind.is_some() && at - row.last <= MAX_GAP + 3;
            if !near {
                row.end(at, &mut found);
            }
            (row.last, row.count) = (at, row.count + 1);
            // The last number of a list may have something else behind it.
            if near && behind != row.behind && behind != Some(b' ') && row.behind != Some(b' ') {
                row.end(at, &mut found);
                row.count = 1;
            }
            row.behind = behind;
        }
    }
    row.end(bytes.len(), &mut found);
    found
}

/// Numbers that follow each other at short distance, with the same mark behind each.
#[derive(Debug, Default)]
struct Row {
    first: usize,
    last: usize,
    count: usize,
    behind: Option<u8>,
}

impl Row {
    /// Nothing more belongs to it; the next begins at `next`.
    fn end(&mut self, next: usize, found: &mut Vec<Range<usize>>) {
        if self.count >= MIN_NUMBERS {
            found.push(self.first..self.last + 4);
        }
        (self.first, self.count) = (next, 0);
    }
}

/// What stands behind the number at `at`: any blank as one, and the end as a blank. `None`: it is too long for a character.
fn after(bytes: &[u8], at: usize) -> Option<u8> {
    let rest = bytes.get(at..)?;
    match rest.iter().take(4).find(|b| !b.is_ascii_digit()) {
        Some(behind) if !behind.is_ascii_whitespace() => Some(*behind),
        None if rest.len() > 3 => None,
        _ => Some(b' '),
    }
}

static DIGITS: Class = Class::of(b"0123456789");

fn digits(bytes: &[u8], at: usize) -> usize {
    bytes.get(at..).map_or(0, |rest| rest.iter().take_while(|b| b.is_ascii_digit()).count())
}

/// A number, where it stands and how many digits it has.
struct Number {
    at: usize,
    len: usize,
}

/// Numbers that follow each other at short distance, with the same text between them but for line ends.
fn lists(sink: &mut Sink<'_, '_>, part: Range<usize>) -> Flow {
    let bytes = sink.bytes().get(..part.end).unwrap_or(sink.bytes());
    let mut at = part.start;
    let mut numbers: Vec<Number> = Vec::new();
    while let Some(first) = bytes.get(at..).and_then(|rest| rest.iter().position(u8::is_ascii_digit)).map(|i| at + i) {
        numbers.clear();
        let mut gap: Option<&[u8]> = None;
        at = first;
        loop {
            let len = digits(bytes, at);
            if !(1..=3).contains(&len) {
                at += len.max(1);
                break;
            }
            numbers.push(Number { at, len });
            at += len;
            let rest = bytes.get(at..(at + MAX_GAP).min(bytes.len())).unwrap_or_default();
            let Some(until) = rest.iter().position(u8::is_ascii_digit).filter(|n| *n > 0) else { break };
            let this = trim(rest.get(..until).unwrap_or_default());
            if gap.is_some_and(|g| g != this) {
                break;
            }
            gap = Some(this);
            at += until;
        }
        if numbers.len() >= MIN_NUMBERS {
            codes(sink, &numbers)?;
        }
    }
    ControlFlow::Continue(())
}

/// The text between two numbers without the blanks at its ends: lists are wrapped.
fn trim(gap: &[u8]) -> &[u8] {
    let trimmed = gap.trim_ascii();
    if trimmed.is_empty() { b" " } else { trimmed }
}

fn codes(sink: &mut Sink<'_, '_>, numbers: &[Number]) -> Flow {
    let bytes = sink.bytes();
    let (Some(first), Some(last)) = (numbers.first(), numbers.last()) else { return ControlFlow::Continue(()) };
    let run = super::bounds::enclosed(bytes, first.at..last.at + last.len);
    for radix in [10, 8] {
        let value = |n: &Number| std::str::from_utf8(bytes.get(n.at..n.at + n.len)?).ok().and_then(|t| u8::from_str_radix(t, radix).ok());
        let Some(text) = numbers.iter().map(value).collect::<Option<Vec<u8>>>() else { continue };
        let printable = text.iter().filter(|b| (0x20..0x7f).contains(*b) || matches!(b, b'\n' | b'\r' | b'\t')).count();
        if printable * 10 >= text.len() * 9 || super::container::packed(&text) {
            sink.run(text, run.clone(), if radix == 10 { "decimal" } else { "octal" }, None)?;
        }
    }
    ControlFlow::Continue(())
}

/// `01100111 01101000`, with or without blanks between the bytes.
fn bits(sink: &mut Sink<'_, '_>, part: &Range<usize>) -> Flow {
    let bytes = sink.bytes().get(..part.end).unwrap_or_default();
    let bit = |b: &u8| matches!(b, b'0' | b'1');
    let mut from = part.start;
    while let Some(part) = next_run(bytes, from, &BITS, 8 * MIN_NUMBERS) {
        bits_within(sink, bytes.get(..part.end).unwrap_or_default(), part.start, bit)?;
        from = part.end;
    }
    ControlFlow::Continue(())
}

/// What bits and the separators between their bytes are made of.
static BITS: Class = Class::of(b"01 ,\n\r_");

fn bits_within(sink: &mut Sink<'_, '_>, bytes: &[u8], from: usize, bit: impl Fn(&u8) -> bool) -> Flow {
    let mut at = from;
    while let Some(step) = bytes.get(at..).and_then(|rest| rest.iter().position(&bit)) {
        let start = at + step;
        let (mut decoded, mut end) = (Vec::new(), start);
        at = start;
        while let Some(byte) = bytes.get(at..at + 8).filter(|octet| octet.iter().all(&bit)) {
            decoded.push(byte.iter().fold(0_u8, |n, b| n << 1 | (b - b'0')));
            end = at + 8;
            at = end
                + bytes
                    .get(end..)
                    .map_or(0, |rest| rest.iter().take(2).take_while(|b| matches!(b, b' ' | b',' | b'\n' | b'\r' | b'_')).count());
        }
        if decoded.len() >= MIN_NUMBERS && super::container::worth(&decoded) {
            sink.run(decoded, start..end, "binary", None)?;
        }
        at = end.max(start) + bytes.get(end..).map_or(0, |rest| rest.iter().take_while(|b| bit(b)).count()).max(1);
    }
    ControlFlow::Continue(())
}

/// Whether a line somewhere may be one of a dump: digits in groups, and not just an indent.
fn has_dump(bytes: &[u8]) -> bool {
    static GROUPS: Class = Class::of(b"0123456789abcdefABCDEF: ");
    static HEX: Class = Class::of(b"0123456789abcdefABCDEF");
    let mut at = 0;
    while let Some(run) = next_run(bytes, at, &GROUPS, MIN_DUMP) {
        at = run.end;
        if bytes.get(run).is_some_and(|run| simd::count(run, &HEX) >= MIN_DUMP / 2) {
            return true;
        }
    }
    false
}

/// Lines of `xxd`, `hexdump -C`, `od -tx1`: an offset, hex digits in groups, and perhaps the characters.
fn dumps(sink: &mut Sink<'_, '_>, part: &Range<usize>) -> Flow {
    let bytes = sink.bytes().get(..part.end).unwrap_or_default();
    let mut decoded = Vec::new();
    let mut run: Option<Range<usize>> = None;
    let mut at = part.start;
    while at < bytes.len() {
        let end = memchr::memchr(b'\n', bytes.get(at..).unwrap_or_default()).map_or(bytes.len(), |i| at + i);
        match dump_line(bytes.get(at..end).unwrap_or_default(), decoded.len()) {
            Some((begin, line)) => {
                decoded.extend_from_slice(&line);
                run = Some(run.map_or(at + begin, |r| r.start)..end);
            }
            None => {
                dumped(sink, &mut decoded, run.take())?;
            }
        }
        at = end + 1;
    }
    dumped(sink, &mut decoded, run)
}

fn dumped(sink: &mut Sink<'_, '_>, decoded: &mut Vec<u8>, run: Option<Range<usize>>) -> Flow {
    let decoded = std::mem::take(decoded);
    match run {
        Some(run) if decoded.len() > 16 => {
            let run = super::bounds::lines(sink.bytes(), run);
            sink.run(decoded, run, "hex-dump", None)
        }
        _ => ControlFlow::Continue(()),
    }
}

/// The bytes of one line, and where its offset begins. The first line of a dump may have text before it.
fn dump_line(line: &[u8], so_far: usize) -> Option<(usize, Vec<u8>)> {
    let begin = if so_far == 0 { line.iter().rposition(|b| *b == b'"').map_or(0, |i| i + 1) } else { 0 };
    let begin = if line.get(begin..).is_some_and(|l| offset(l).is_some()) { begin } else { 0 };
    let mut rest = line.get(begin..)?;
    let used = offset(rest)?;
    rest = rest.get(used..)?;
    let mut out = Vec::new();
    while out.len() < 32 {
        let blanks = rest.iter().take_while(|b| **b == b' ').count();
        // Two blanks after a full group introduce the characters, but in the middle of `hexdump -C`.
        if blanks == 0 || (blanks >= 2 && !out.is_empty() && out.len() != 8) {
            break;
        }
        let group = rest.get(blanks..)?;
        let len = group.iter().take_while(|b| hex_digit(**b).is_some()).count();
        let ends = group.get(len).is_none_or(|b| matches!(b, b' ' | b'\r'));
        if len == 0 || len % 2 == 1 || len > 32 || !ends {
            break;
        }
        for pair in group.get(..len)?.chunks_exact(2) {
            out.push(hex_digit(pair[0])? << 4 | hex_digit(pair[1])?);
        }
        rest = group.get(len..)?;
    }
    (!out.is_empty()).then_some((begin, out))
}

/// How long the offset at the beginning of a dump's line is, colon included: at least four hex digits.
fn offset(line: &[u8]) -> Option<usize> {
    let blanks = line.iter().take_while(|b| matches!(b, b' ' | b'\t')).count();
    let len = line.get(blanks..)?.iter().take_while(|b| hex_digit(**b).is_some()).count();
    let colon = usize::from(line.get(blanks + len) == Some(&b':'));
    let blank = line.get(blanks + len + colon) == Some(&b' ');
    (blank && (6..=16).contains(&len) || blank && colon == 1 && len >= 4).then_some(blanks + len + colon)
}
