//! Dumps as `xxd`, `hexdump` and `od` print them: an offset, groups in some radix and byte order, and perhaps the characters.

use std::ops::{ControlFlow, Range};
use std::sync::LazyLock;

use memchr::memmem::Finder;
use simd::Class;

use super::chars::hex_digit;
use super::container::worth;
use super::sink::{Flow, Sink};

/// Fewer bytes are no dump.
const MIN: usize = 17;
/// Every byte of one takes two characters or more.
pub(super) const LEAST: usize = 2 * MIN;
/// The longest offset, and one digit more.
const MAX_OFFSET: usize = 17;
/// Most groups of one line.
const MAX_GROUPS: usize = 64;

/// Every dump in a part of the view.
pub(super) fn peel(sink: &mut Sink<'_, '_>, part: &Range<usize>) -> Flow {
    let bytes = sink.bytes().get(..part.end).unwrap_or_default();
    if part.len() < LEAST || !may_be(bytes.get(part.clone()).unwrap_or_default()) {
        return ControlFlow::Continue(());
    }
    let mut block: Vec<Range<usize>> = Vec::new();
    let mut run: Option<Range<usize>> = None;
    let mut at = part.start;
    let begins = beginnings(bytes.get(part.clone()).unwrap_or_default());
    let mut begins = begins.iter().map(|i| part.start + i).peekable();
    while at < bytes.len() {
        // Outside of a dump only lines with an offset matter.
        if block.is_empty() {
            while begins.next_if(|begin| *begin < at).is_some() {}
            let Some(begin) = begins.peek() else { break };
            let before = bytes.get(at..*begin).unwrap_or_default();
            at += memchr::memrchr(b'\n', before).map_or(0, |i| i + 1);
        }
        let end = memchr::memchr(b'\n', bytes.get(at..).unwrap_or_default()).map_or(bytes.len(), |i| at + i);
        match data(bytes, at..end, block.is_empty()) {
            Some((begin, data)) => {
                run = Some(run.map_or(begin, |r| r.start)..end);
                block.push(data);
            }
            // The last line of `od` and `hexdump` is the offset of the end.
            None => dumped(sink, &mut block, run.take())?,
        }
        at = end + 1;
    }
    dumped(sink, &mut block, run)
}

/// Where blanks stand that may be behind an offset: behind six hex digits, or behind four and a colon.
fn beginnings(bytes: &[u8]) -> Vec<usize> {
    let [mut digits, mut colons, mut blanks] = [Vec::new(), Vec::new(), Vec::new()];
    simd::masks(bytes, &DIGITS, &mut digits);
    simd::masks(bytes, &COLON, &mut colons);
    simd::masks(bytes, &BLANK, &mut blanks);
    let mut found = Vec::new();
    let (mut before, mut colon) = (0, 0);
    for (i, ((digits, colons), blanks)) in digits.iter().zip(&colons).zip(&blanks).enumerate() {
        let moved = |word: u64, before: u64, by: u32| word << by | before >> (64 - by);
        let six = (2..7).fold(moved(*digits, before, 1), |all, by| all & moved(*digits, before, by));
        let behind = (2..6).fold(moved(*colons, colon, 1), |all, by| all & moved(*digits, before, by));
        let mut places = blanks & (six | behind);
        while places != 0 {
            found.push(64 * i + places.trailing_zeros() as usize);
            places &= places - 1;
        }
        (before, colon) = (*digits, *colons);
    }
    found
}

static DIGITS: Class = Class::of(b"0123456789abcdefABCDEF");
static COLON: Class = Class::of(b":");
static BLANK: Class = Class::of(b" ");

/// Whether an offset stands somewhere: that of the first line has zeros.
fn may_be(bytes: &[u8]) -> bool {
    static ZEROS: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"000"));
    let digits = |text: &mut dyn Iterator<Item = &u8>| text.take_while(|b| hex_digit(**b).is_some()).count();
    let mut at = 0;
    while let Some(zeros) = ZEROS.find(bytes.get(at..).unwrap_or_default()).map(|i| at + i) {
        // Most numbers end with the line or the sentence.
        at = zeros + digits(&mut bytes.get(zeros..).unwrap_or_default().iter());
        if matches!(bytes.get(at), Some(b' ' | b':')) {
            let begin = zeros - digits(&mut bytes.get(..zeros).unwrap_or_default().iter().rev().take(MAX_OFFSET));
            if offset(bytes.get(begin..).unwrap_or_default()).is_some() {
                return true;
            }
        }
    }
    false
}

/// Where a line of a dump begins and what stands behind its offset. The first line of a dump may have other text before it.
fn data(bytes: &[u8], line: Range<usize>, first: bool) -> Option<(usize, Range<usize>)> {
    let text = bytes.get(line.clone())?;
    let after = |text: &[u8]| simd::find(text, |b| matches!(b, b'"' | b'>' | b'=' | b'(')).map_or(text.len(), |i| i + 1);
    let mut begin = 0;
    loop {
        let rest = text.get(begin..)?;
        if let Some(used) = offset(rest) {
            return (rest.len() > used).then_some((line.start + begin, line.start + begin + used..line.end));
        }
        if !first || rest.is_empty() {
            return None;
        }
        begin += after(rest);
    }
}

/// How long the offset at the beginning of a line is, colon included: at least four hex digits.
fn offset(line: &[u8]) -> Option<usize> {
    let blanks = line.iter().take_while(|b| matches!(b, b' ' | b'\t')).count();
    let len = line.get(blanks..)?.iter().take(MAX_OFFSET).take_while(|b| hex_digit(**b).is_some()).count();
    let colon = usize::from(line.get(blanks + len) == Some(&b':'));
    let blank = line.get(blanks + len + colon) == Some(&b' ');
    (blank && (6..=16).contains(&len) || blank && colon == 1 && len >= 4).then_some(blanks + len + colon)
}

fn dumped(sink: &mut Sink<'_, '_>, block: &mut Vec<Range<usize>>, run: Option<Range<usize>>) -> Flow {
    let lines = std::mem::take(block);
    let Some(run) = run else { return ControlFlow::Continue(()) };
    let bytes = sink.bytes();
    let written = super::bounds::lines(bytes, run);
    let mut done: Vec<Vec<u8>> = Vec::new();
    // Text whose bytes are swapped looks as good as text, so that more than one order may be worth a look.
    for form in [bits, hex, hex_swapped, octal, decimal, characters] {
        let mut decoded = Vec::new();
        let all = lines.iter().all(|line| bytes.get(line.clone()).and_then(|text| form(text, &mut decoded)).is_some());
        if all && decoded.len() >= MIN && !done.contains(&decoded) && worth(&decoded) {
            sink.run(decoded.clone(), written.clone(), "hex-dump", None)?;
            done.push(decoded);
        }
    }
    ControlFlow::Continue(())
}

/// The groups of a line, up to the column of characters: a wider gap, or a `|`.
fn groups(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    let (mut at, mut count, mut width) = (0, 0, 0);
    std::iter::from_fn(move || {
        let rest = line.get(at..)?;
        let blanks = rest.iter().take_while(|b| matches!(b, b' ' | b'\t')).count();
        let group = rest.get(blanks..)?;
        let len = group.iter().take_while(|b| b.is_ascii_alphanumeric()).count();
        let ends = group.get(len).is_none_or(|b| b.is_ascii_whitespace());
        // Two blanks in the middle of `hexdump -C`, more before numbers that are shorter than others.
        let column = count > 0 && blanks > 1 && count != 8 && blanks + len != width;
        if len == 0 || !ends || column || count == MAX_GROUPS {
            return None;
        }
        if count == 0 {
            width = blanks + len;
        }
        at += blanks + len;
        count += 1;
        group.get(..len)
    })
}

fn hex(line: &[u8], out: &mut Vec<u8>) -> Option<()> {
    in_hex(line, out, false)
}

/// The bytes of each group as a machine with the least byte first has them.
fn hex_swapped(line: &[u8], out: &mut Vec<u8>) -> Option<()> {
    in_hex(line, out, true)
}

fn in_hex(line: &[u8], out: &mut Vec<u8>, swapped: bool) -> Option<()> {
    for group in groups(line) {
        let from = out.len();
        // What is no group is the column of characters, behind one blank.
        if group.len() % 2 == 1 || group.len() > 32 || !group.iter().all(|b| hex_digit(*b).is_some()) {
            break;
        }
        for pair in group.chunks_exact(2) {
            out.push(hex_digit(pair[0])? << 4 | hex_digit(pair[1])?);
        }
        if swapped {
            out.get_mut(from..)?.reverse();
        }
    }
    Some(())
}

fn bits(line: &[u8], out: &mut Vec<u8>) -> Option<()> {
    let mut any = false;
    for group in groups(line).take_while(|g| g.len() == 8 && g.iter().all(|b| matches!(b, b'0' | b'1'))) {
        out.push(group.iter().fold(0, |n, b| n << 1 | (b - b'0')));
        any = true;
    }
    any.then_some(())
}

/// Bytes of three digits, or words of six with the least byte first.
fn octal(line: &[u8], out: &mut Vec<u8>) -> Option<()> {
    for group in groups(line) {
        let value = u16::from_str_radix(std::str::from_utf8(group).ok()?, 8).ok()?;
        match group.len() {
            3 => out.push(u8::try_from(value).ok()?),
            6 => out.extend_from_slice(&value.to_le_bytes()),
            _ => return None,
        }
    }
    Some(())
}

fn decimal(line: &[u8], out: &mut Vec<u8>) -> Option<()> {
    for group in groups(line) {
        out.push(std::str::from_utf8(group).ok().filter(|_| group.len() <= 3)?.parse().ok()?);
    }
    Some(())
}

/// Cells of four columns, as `od -c` and `od -a` print them: a character, an escape, a name, or three octal digits.
fn characters(line: &[u8], out: &mut Vec<u8>) -> Option<()> {
    for cell in line.strip_suffix(b"\r").unwrap_or(line).chunks(4).take(MAX_GROUPS) {
        let text = cell.trim_ascii();
        out.push(match text {
            [] | b"sp" => b' ',
            [only] => *only,
            b"nl" | b"\\n" => b'\n',
            b"ht" | b"\\t" => b'\t',
            b"cr" | b"\\r" => b'\r',
            [b'0'..=b'3', _, _] => u8::from_str_radix(std::str::from_utf8(text).ok()?, 8).ok()?,
            // Other control characters, and what bytes of several columns have behind them.
            [b'\\', _] => 0,
            b"**" => continue,
            [a, b, ..] if a.is_ascii_lowercase() && b.is_ascii_alphanumeric() && text.len() <= 3 => 0,
            _ => return None,
        });
    }
    Some(())
}
