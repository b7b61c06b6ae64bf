//! Text as numbers: lists of character codes in any radix, and bits.

use std::ops::{ControlFlow, Range};

use simd::{Class, next_rare_run};

use super::census;
use super::sink::{Flow, Sink};

/// Fewer numbers are a list of numbers.
const MIN_NUMBERS: usize = 10;
/// Longest text between two numbers: `) + String.fromCharCode(`.
const MAX_GAP: usize = 28;
/// The longest number: `0b` and eight bits.
const MAX_NUMBER: usize = 10;

/// Every list of codes whose characters are text, every run of bits.
pub(super) fn peel(sink: &mut Sink<'_, '_>) -> Flow {
    if !sink.census.any(census::DIGIT) {
        return ControlFlow::Continue(());
    }
    let bytes = sink.bytes();
    let (many, digits, bits_too) = (many(bytes), sink.census.run(census::DIGITS), sink.census.run(census::BITS));
    if !many && !digits && !bits_too && bytes.len() < super::dumps::LEAST {
        return ControlFlow::Continue(());
    }
    for part in sink.open() {
        if many {
            for list in crowded(bytes.get(part.clone()).unwrap_or_default()) {
                lists(sink, &(list.start + part.start..(list.end + part.start).min(part.end)))?;
            }
        }
        if digits {
            let (bytes, mut at) = (bytes.get(..part.end).unwrap_or_default(), part.start);
            while let Some(run) = next_rare_run(bytes, at, &DIGITS, 3 * MIN_NUMBERS) {
                at = run.end;
                triples(sink, run)?;
            }
        }
        if bits_too {
            bits(sink, &part)?;
        }
        super::dumps::peel(sink, &part)?;
    }
    ControlFlow::Continue(())
}

/// Whether there may be enough numbers for a list: of a short text their digits and what stands between them say it.
fn many(bytes: &[u8]) -> bool {
    let digits = if bytes.len() <= census::SHORT { simd::count(bytes, &DIGITS) } else { return true };
    digits >= MIN_NUMBERS && bytes.len() - digits + 1 >= MIN_NUMBERS
}

/// The stretches in which enough numbers follow each other at short distance to be a list: hardly any, so that what follows is for those only.
fn crowded(bytes: &[u8]) -> Vec<Range<usize>> {
    let (mut digits, mut words) = (Vec::new(), Vec::new());
    simd::masks(bytes, &DIGITS, &mut digits);
    simd::masks(bytes, &WORDS, &mut words);
    let mut found = Vec::new();
    let (mut first, mut last, mut count, mut before) = (0, 0, 0, 0);
    // What stands before the last two: the same before all, or two in turns.
    let mut marks = [0; 2];
    for (i, (digits, words)) in digits.iter().zip(&words).enumerate() {
        // Digits with no letter or digit before them.
        let mut begins = digits & !(words << 1 | before >> 63);
        before = *words;
        while begins != 0 {
            let at = 64 * i + begins.trailing_zeros() as usize;
            begins &= begins - 1;
            let far = at - last > MAX_GAP + MAX_NUMBER;
            let mark = at.checked_sub(1).and_then(|i| bytes.get(i)).map_or(b' ', |b| if b.is_ascii_whitespace() { b' ' } else { *b });
            if far || (count > 2 && !marks.contains(&mark)) {
                if count >= MIN_NUMBERS {
                    found.push(first..last + MAX_NUMBER);
                }
                // What is before the first of all may be anything.
                (first, count) = if far { (at, 0) } else { (last, 1) };
            }
            marks = [mark, if count > 1 { marks[0] } else { mark }];
            (last, count) = (at, count + 1);
        }
    }
    if count >= MIN_NUMBERS {
        found.push(first..last + MAX_NUMBER);
    }
    found
}

static DIGITS: Class = DIGIT_RUN.0;
/// Codes of three digits each, with nothing between them.
pub(super) const DIGIT_RUN: (Class, u32) = (Class::of(b"0123456789"), 3 * MIN_NUMBERS as u32);
/// Bits of as many bytes.
pub(super) const BIT_RUN: (Class, u32) = (Class::of(b"01 ,\n\r_"), 8 * MIN_NUMBERS as u32);
static WORDS: Class = Class::of(b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz");

fn digits(bytes: &[u8], at: usize) -> usize {
    bytes.get(at..).map_or(0, |rest| rest.iter().take_while(|b| b.is_ascii_digit()).count())
}

/// A number, where it stands and how many digits it has, a prefix as `0x` not counted.
#[derive(Debug, Clone, Copy)]
struct Number {
    at: usize,
    len: usize,
    /// What its prefix says.
    radix: Option<u32>,
}

/// The number whose first byte is at `at`, if it may be the code of a character.
fn number(bytes: &[u8], at: usize) -> Result<Number, usize> {
    let radix = match bytes.get(at..at + 2) {
        Some([b'0', b'x' | b'X']) => Some(16),
        Some([b'0', b'o' | b'O']) => Some(8),
        Some([b'0', b'b' | b'B']) => Some(2),
        _ => None,
    };
    if let Some(radix) = radix {
        let most = if radix == 2 { 8 } else { 6 };
        let len = bytes.get(at + 2..).unwrap_or_default().iter().take(most + 1).take_while(|b| char::from(**b).is_digit(radix)).count();
        if (1..=most).contains(&len) {
            return Ok(Number { at: at + 2, len, radix: Some(radix) });
        }
    }
    let len = digits(bytes, at);
    if (1..=3).contains(&len) { Ok(Number { at, len, radix: None }) } else { Err(len.max(1)) }
}

/// Numbers that follow each other at short distance, with the same text between them but for line ends; or two texts in turns, as around a key and
/// a value.
fn lists(sink: &mut Sink<'_, '_>, part: &Range<usize>) -> Flow {
    let bytes = sink.bytes().get(..part.end).unwrap_or_default();
    let mut at = part.start;
    let mut numbers: Vec<Number> = Vec::new();
    while let Some(first) = bytes.get(at..).and_then(|rest| rest.iter().position(u8::is_ascii_digit)).map(|i| at + i) {
        numbers.clear();
        // The last two gaps, and whether they differ.
        let mut gaps: [Option<&[u8]>; 2] = [None; 2];
        let mut turns = false;
        at = first;
        loop {
            let number = match number(bytes, at) {
                Ok(number) => number,
                Err(len) => {
                    at += len;
                    break;
                }
            };
            numbers.push(number);
            at = number.at + number.len;
            let rest = bytes.get(at..(at + MAX_GAP).min(bytes.len())).unwrap_or_default();
            let Some(until) = rest.iter().position(u8::is_ascii_digit).filter(|n| *n > 0) else { break };
            let this = trim(rest.get(..until).unwrap_or_default());
            let [before, last] = gaps;
            if numbers.len() == 2 && last.is_some_and(|g| g != this) {
                turns = true;
            } else if numbers.len() > 2 && (if turns { before } else { last }) != Some(this) {
                // What follows may be a list without the first.
                if turns && numbers.len() == 3 {
                    at = numbers.get(1).map_or(at, |n| n.at);
                }
                break;
            }
            gaps = [last, Some(this)];
            at += until;
        }
        if numbers.len() >= MIN_NUMBERS {
            let run = super::bounds::enclosed(bytes, start(&numbers)..at.min(end(&numbers)));
            let values = if turns { in_turns(bytes, &numbers) } else { Some(numbers.clone()) };
            if let Some(values) = values {
                codes(sink, &values, &run, hexadecimal(bytes, &numbers))?;
            }
        }
    }
    ControlFlow::Continue(())
}

/// Whether numbers may be a part of a list in hexadecimal, in which bytes without a letter follow one with a letter: `6Ch 61h 77h`. Anybody can put such
/// a byte before codes, so both are looked at.
fn hexadecimal(bytes: &[u8], numbers: &[Number]) -> bool {
    let [first, second, ..] = numbers else { return false };
    let pair = |n: &Number| n.len == 2 && n.radix.is_none();
    // The last one may be the first digit of a byte with a letter.
    if !numbers.split_last().is_some_and(|(_, rest)| rest.iter().all(pair)) {
        return false;
    }
    let gap = bytes.get(first.at + first.len..second.at).unwrap_or_default();
    let before = bytes.get(..first.at).and_then(|before| before.strip_suffix(gap));
    before.and_then(|before| before.split_last_chunk::<2>()).is_some_and(|(rest, pair)| {
        pair.iter().all(u8::is_ascii_hexdigit)
            && pair.iter().any(u8::is_ascii_alphabetic)
            && rest.last().is_none_or(|b| !b.is_ascii_alphanumeric())
    })
}

fn start(numbers: &[Number]) -> usize {
    numbers.first().map_or(0, |n| n.at - if n.radix.is_some() { 2 } else { 0 })
}

fn end(numbers: &[Number]) -> usize {
    numbers.last().map_or(0, |n| n.at + n.len)
}

/// Of two lists in turns the one that does not count up, if the other does.
fn in_turns(bytes: &[u8], numbers: &[Number]) -> Option<Vec<Number>> {
    let half = |skip: usize| numbers.iter().skip(skip).step_by(2);
    let value = |n: &Number| decimal(bytes.get(n.at..n.at + n.len)?);
    let counts = |skip: usize| half(skip).zip(half(skip + 2)).all(|(a, b)| value(a).and_then(|v| v.checked_add(1)) == value(b));
    let kept = if counts(0) { half(1).copied().collect::<Vec<_>>() } else { half(0).copied().collect() };
    (kept.len() >= MIN_NUMBERS && (counts(0) || counts(1))).then_some(kept)
}

fn decimal(text: &[u8]) -> Option<u32> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// The text between two numbers without the blanks at its ends: lists are wrapped.
fn trim(gap: &[u8]) -> &[u8] {
    let trimmed = gap.trim_ascii();
    if trimmed.is_empty() { b" " } else { trimmed }
}

fn codes(sink: &mut Sink<'_, '_>, numbers: &[Number], run: &Range<usize>, hexadecimal: bool) -> Flow {
    let bytes = sink.bytes();
    let prefix = numbers.first().and_then(|n| n.radix);
    let radices: &[u32] = if let Some(radix) = &prefix { std::slice::from_ref(radix) } else { &[10, 8] };
    for radix in radices {
        let value = |n: &Number| {
            let text = bytes.get(n.at..n.at + n.len)?;
            (n.radix == prefix).then(|| code(text, *radix))?
        };
        let Some(text) = numbers.iter().map(value).collect::<Option<Vec<u8>>>() else { continue };
        if readable(&text) || super::container::packed(&text) || (prefix.is_some() && super::container::worth(&text)) {
            if hexadecimal {
                sink.unclaimed(text, run.clone(), name(*radix))?;
            } else {
                sink.run(text, run.clone(), name(*radix), None)?;
            }
        }
    }
    ControlFlow::Continue(())
}

/// The number that digits are, if it is a byte.
fn code(digits: &[u8], radix: u32) -> Option<u8> {
    let value = digits.iter().try_fold(0_u32, |n, b| Some((n * radix + char::from(*b).to_digit(radix)?).min(0x1000)))?;
    u8::try_from(value).ok().filter(|_| !digits.is_empty())
}

fn name(radix: u32) -> crate::LayerId {
    match radix {
        2 => "binary",
        8 => "octal",
        16 => "hex",
        _ => "decimal",
    }
}

fn readable(text: &[u8]) -> bool {
    let printable = text.iter().filter(|b| (0x20..0x7f).contains(*b) || matches!(b, b'\n' | b'\r' | b'\t')).count();
    printable * 10 >= text.len() * 9
}

/// Codes of three digits each, with nothing between them.
fn triples(sink: &mut Sink<'_, '_>, run: Range<usize>) -> Flow {
    if run.len() < 3 * MIN_NUMBERS || !run.len().is_multiple_of(3) {
        return ControlFlow::Continue(());
    }
    let text = sink.bytes().get(run.clone()).unwrap_or_default();
    for radix in [10, 8] {
        let value = |digits: &[u8]| code(digits, radix).filter(u8::is_ascii);
        if let Some(text) = text.chunks(3).map(value).collect::<Option<Vec<u8>>>().filter(|text| readable(text)) {
            return sink.run(text, run, name(radix), None);
        }
    }
    ControlFlow::Continue(())
}

/// `01100111 01101000`, with or without blanks between the bytes.
fn bits(sink: &mut Sink<'_, '_>, part: &Range<usize>) -> Flow {
    let bytes = sink.bytes().get(..part.end).unwrap_or_default();
    let bit = |b: &u8| matches!(b, b'0' | b'1');
    let mut at = part.start;
    while let Some(part) = next_rare_run(bytes, at, &BITS, 8 * MIN_NUMBERS) {
        at = part.end;
        if !bits_within(sink, bytes.get(..part.end).unwrap_or_default(), part.start, bit)? {
            all_bits(sink, &part)?;
        }
    }
    ControlFlow::Continue(())
}

/// What bits and the separators between their bytes are made of.
static BITS: Class = BIT_RUN.0;

/// Bits whose groups are no bytes: lines that break anywhere, seven to a character.
fn all_bits(sink: &mut Sink<'_, '_>, part: &Range<usize>) -> Flow {
    let text = sink.bytes().get(part.clone()).unwrap_or_default();
    let bits: Vec<u8> = text.iter().filter(|b| matches!(b, b'0' | b'1')).map(|b| b - b'0').collect();
    for width in [8, 7] {
        let decoded: Vec<u8> = bits.chunks_exact(width).map(|group| group.iter().fold(0, |n, b| n << 1 | b)).collect();
        if decoded.len() >= MIN_NUMBERS && readable(&decoded) {
            return sink.run(decoded, part.clone(), "binary", None);
        }
    }
    ControlFlow::Continue(())
}

/// Whether there were any.
fn bits_within(sink: &mut Sink<'_, '_>, bytes: &[u8], from: usize, bit: impl Fn(&u8) -> bool) -> ControlFlow<(), bool> {
    let (mut at, mut any) = (from, false);
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
            any = true;
        }
        at = end.max(start) + bytes.get(end..).map_or(0, |rest| rest.iter().take_while(|b| bit(b)).count()).max(1);
    }
    ControlFlow::Continue(any)
}
