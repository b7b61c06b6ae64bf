//! The filters of a stream (ISO 32000-1 section 7.4).

use crate::Gap;
use crate::layers::Budget;
use crate::layers::coding::{self, Bounded};

/// How a stream is encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Filter {
    Flate,
    Lzw,
    Ascii85,
    AsciiHex,
    RunLength,
    /// Pictures in a format of their own, and what is not known.
    Other,
}

/// Filters one behind the other that are undone; nobody needs more.
const MOST: usize = 8;

/// The number behind a key of a dictionary, unless it is a reference.
pub(super) fn number(dictionary: &[u8], key: &[u8]) -> Option<usize> {
    let at = memchr::memmem::find(dictionary, key)? + key.len();
    let rest = dictionary.get(at..)?;
    let digits = rest.iter().skip_while(|b| b.is_ascii_whitespace()).take_while(|b| b.is_ascii_digit()).take(9);
    let text: Vec<u8> = digits.copied().collect();
    let behind = rest.get(rest.iter().position(u8::is_ascii_digit)? + text.len()..)?;
    let mut words = behind.split(u8::is_ascii_whitespace).filter(|w| !w.is_empty());
    if let (Some(generation), Some(r)) = (words.next(), words.next())
        && generation.iter().all(u8::is_ascii_digit)
        && r.starts_with(b"R")
    {
        return None;
    }
    std::str::from_utf8(&text).ok()?.parse().ok()
}

/// The filters of a stream's dictionary, in the order in which they are undone.
pub(super) fn chain(dictionary: &[u8]) -> Vec<Filter> {
    let Some(at) = memchr::memmem::find(dictionary, b"/Filter") else { return Vec::new() };
    let rest = dictionary.get(at + 7..).unwrap_or_default();
    let list = rest.iter().find(|b| !b.is_ascii_whitespace()) == Some(&b'[');
    let end = if list { memchr::memchr(b']', rest).unwrap_or(rest.len()) } else { rest.len() };
    let names = rest.get(..end).unwrap_or_default().split(|b| *b == b'/').skip(1).take(if list { MOST } else { 1 });
    names
        .map(|name| {
            let name = name.split(|b| !b.is_ascii_alphanumeric()).next().unwrap_or_default();
            match name {
                b"FlateDecode" | b"Fl" => Filter::Flate,
                b"LZWDecode" | b"LZW" => Filter::Lzw,
                b"ASCII85Decode" | b"A85" => Filter::Ascii85,
                b"ASCIIHexDecode" | b"AHx" => Filter::AsciiHex,
                b"RunLengthDecode" | b"RL" => Filter::RunLength,
                _ => Filter::Other,
            }
        })
        .collect()
}

/// Undoes one filter; what was decoded is paid from the budget.
pub(super) fn undo(filter: Filter, dictionary: &[u8], input: &[u8], at: usize, budget: &mut Budget) -> (Vec<u8>, Option<Gap>) {
    let (bytes, gap) = match filter {
        Filter::Flate => match coding::decode("zlib", input, at, budget) {
            Some(done) => (done.bytes, done.gap),
            None => return (Vec::new(), None),
        },
        Filter::Lzw => {
            let early = number(dictionary, b"/EarlyChange") != Some(0);
            let filled = Bounded::new(input.len(), at, budget).fill(|out| coding::lzw_pdf(input, early, out));
            (filled.bytes, filled.gap)
        }
        Filter::Ascii85 => paid(ascii85(input), at, budget),
        Filter::AsciiHex => paid(hex(input), at, budget),
        Filter::RunLength => paid(run_length(input), at, budget),
        Filter::Other => return (Vec::new(), None),
    };
    let predicted = matches!(filter, Filter::Flate | Filter::Lzw) && number(dictionary, b"/Predictor").is_some_and(|p| p >= 10);
    (if predicted { unpredicted(&bytes, dictionary) } else { bytes }, gap)
}

fn paid(bytes: Vec<u8>, at: usize, budget: &mut Budget) -> (Vec<u8>, Option<Gap>) {
    if budget.take(bytes.len() as u64, at) { (bytes, None) } else { (Vec::new(), Some(Gap::Budget)) }
}

fn ascii85(input: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(input.len());
    let (mut group, mut digits) = (0_u32, 0);
    for b in input {
        match b {
            b'z' if digits == 0 => out.extend_from_slice(&[0; 4]),
            b'!'..=b'u' => {
                group = group.wrapping_mul(85).wrapping_add(u32::from(b - b'!'));
                digits += 1;
                if digits == 5 {
                    out.extend_from_slice(&group.to_be_bytes());
                    (group, digits) = (0, 0);
                }
            }
            b'~' => break,
            _ => {}
        }
    }
    if digits > 1 {
        let group = (digits..5).fold(group, |g, _| g.wrapping_mul(85).wrapping_add(84));
        out.extend(group.to_be_bytes().into_iter().take(digits - 1));
    }
    out
}

/// Hex digits up to `>`; a last one alone stands for a high half.
pub(super) fn hex(input: &[u8]) -> Vec<u8> {
    let digits: Vec<u8> =
        input.iter().take_while(|b| **b != b'>').filter_map(|b| char::from(*b).to_digit(16)).filter_map(|d| u8::try_from(d).ok()).collect();
    digits.chunks(2).map(|pair| pair.first().copied().unwrap_or(0) << 4 | pair.get(1).copied().unwrap_or(0)).collect()
}

fn run_length(input: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = input;
    while let [length, tail @ ..] = rest {
        rest = match length {
            0..=127 => {
                let n = (usize::from(*length) + 1).min(tail.len());
                out.extend_from_slice(tail.get(..n).unwrap_or_default());
                tail.get(n..).unwrap_or_default()
            }
            128 => break,
            129..=255 => {
                let Some((byte, tail)) = tail.split_first() else { break };
                out.resize(out.len() + 257 - usize::from(*length), *byte);
                tail
            }
        };
    }
    out
}

/// Rows of a PNG predictor (section 7.4.4.4): each begins with the kind of its differences.
fn unpredicted(bytes: &[u8], dictionary: &[u8]) -> Vec<u8> {
    let key = |key: &[u8], usual: usize| number(dictionary, key).unwrap_or(usual).clamp(1, 1 << 16);
    let bits = key(b"/Colors", 1).min(32) * key(b"/BitsPerComponent", 8).min(16);
    let (pixel, row) = (bits.div_ceil(8), (bits * key(b"/Columns", 1)).div_ceil(8));
    let mut out: Vec<u8> = Vec::with_capacity(bytes.len());
    let mut above = vec![0; row];
    for line in bytes.chunks(row + 1) {
        let Some((kind, line)) = line.split_first() else { break };
        let mut now = vec![0_u8; row];
        for (i, value) in line.iter().enumerate() {
            let left = i.checked_sub(pixel).and_then(|j| now.get(j)).copied().unwrap_or(0);
            let up = above.get(i).copied().unwrap_or(0);
            let corner = i.checked_sub(pixel).and_then(|j| above.get(j)).copied().unwrap_or(0);
            let guess = match kind {
                1 => left,
                2 => up,
                3 => u8::midpoint(left, up),
                4 => paeth(left, up, corner),
                _ => 0,
            };
            if let Some(slot) = now.get_mut(i) {
                *slot = value.wrapping_add(guess);
            }
        }
        out.extend_from_slice(now.get(..line.len()).unwrap_or_default());
        above = now;
    }
    out
}

fn paeth(left: u8, up: u8, corner: u8) -> u8 {
    let (a, b, c) = (i16::from(left), i16::from(up), i16::from(corner));
    let (da, db, dc) = ((b - c).abs(), (a - c).abs(), (a + b - 2 * c).abs());
    if da <= db && da <= dc {
        left
    } else if db <= dc {
        up
    } else {
        corner
    }
}
