//! The same encodings in other alphabets: base64 as crypt, bcrypt and xxencode have it and with its cases swapped, base32 as z-base-32, Crockford,
//! geohash and bech32 have it, base58 and base62 in other orders, hexadecimal in the first letters; and base45, base91, bare Ascii85, uuencode and
//! xxencode without a first line, yEnc.
//!
//! What is tried here is tried often and in vain, so each has a test of a few bytes that nothing but an encoding of text passes.

use std::ops::{ControlFlow, Range};

use simd::Class;

use super::census;
use super::chance::Chance;
use super::container::worth;
use super::radix::at_least;
use super::sink::{Flow, Sink};

/// Shorter runs are identifiers.
pub(super) const MIN: usize = 24;
/// A number of more digits costs too much.
const MAX_DIGITS: usize = 2048;

const UPPER: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ";
const LOWER: &[u8] = b"abcdefghijklmnopqrstuvwxyz";
const DIGITS: &[u8] = b"0123456789";

/// The orders in which an alphabet may have its letters and digits.
const ORDERS: [[&[u8]; 3]; 6] = [
    [UPPER, LOWER, DIGITS],
    [LOWER, UPPER, DIGITS],
    [DIGITS, UPPER, LOWER],
    [DIGITS, LOWER, UPPER],
    [UPPER, DIGITS, LOWER],
    [LOWER, DIGITS, UPPER],
];

/// z-base-32 (Zooko), Crockford's, geohash, bech32 (BIP 173).
const BASE32: [&[u8]; 4] = [
    b"ybndrfg8ejkmcpqxot1uwisza345h769",
    b"0123456789abcdefghjkmnpqrstvwxyz",
    b"0123456789bcdefghjkmnpqrstuvwxyz",
    b"qpzry9x8gf2tvdw0s3jn54khce6mua7l",
];

/// Ripple's base58 has an order of its own.
const RIPPLE: &[u8] = b"rpshnaf39wBUDNEGHJKLM4PQRST7VWXYZ2bcdeCg65jkm8oFqi1tuvAxyz";

/// RFC 9285 section 4.2.
const BASE45: &[u8] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:";

/// basE91 by Joachim Henke.
const BASE91: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789!#$%&()*+,./:;<=>?@[]^_`{|}~\"";

/// The value of each byte in an alphabet; 0xff where it has none.
fn values(alphabet: impl Iterator<Item = u8>) -> [u8; 256] {
    let mut values = [0xff; 256];
    for (value, byte) in (0..).zip(alphabet) {
        values[usize::from(byte)] = value;
    }
    values
}

/// A run of letters and digits that is nothing else.
pub(super) fn word(sink: &mut Sink<'_, '_>, run: &Range<usize>) -> Flow {
    let bytes = sink.bytes();
    // The marks of some alphabets are not those of base64.
    let member = |b: &&u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'/' | b'+' | b'-' | b'_');
    let behind = bytes.get(run.end..).unwrap_or_default().iter().take_while(member).count();
    let before = bytes.get(..run.start).unwrap_or_default().iter().rev().take_while(|b| matches!(b, b'.' | b'/' | b'+')).count();
    let run = run.start - before..run.end + behind;
    let text = bytes.get(run.clone()).unwrap_or_default();
    if text.len() < MIN || sink.claimed(&run) {
        return ControlFlow::Continue(());
    }
    if let Some((decoded, layer)) = sixteen(text).or_else(|| thirty_two(text)).or_else(|| sixty_four(text)).or_else(|| big(text)) {
        return sink.run(decoded, run, layer, None);
    }
    ControlFlow::Continue(())
}

type Decoded = Option<(Vec<u8>, crate::LayerId)>;

/// Bits in groups, the first group has the highest.
fn packed(digits: impl Iterator<Item = u8>, width: u32) -> Vec<u8> {
    let (mut bits, mut have) = (0_u32, 0);
    let mut out = Vec::new();
    for digit in digits {
        bits = bits << width | u32::from(digit);
        have += width;
        if have >= 8 {
            have -= 8;
            out.push((bits >> have & 0xff) as u8);
        }
    }
    out
}

/// Hexadecimal with the letters `a` to `p` for digits.
fn sixteen(text: &[u8]) -> Decoded {
    let first = if text.first()?.is_ascii_lowercase() { b'a' } else { b'A' };
    let value = |b: &u8| b.checked_sub(first).filter(|v| *v < 16);
    if !text.len().is_multiple_of(2) || !text.iter().step_by(2).all(|b| value(b).is_some_and(|v| (2..8).contains(&v) || v == 0)) {
        return None;
    }
    let digits: Vec<u8> = text.iter().map(value).collect::<Option<_>>()?;
    Some((packed(digits.into_iter(), 4), "hex")).filter(|(decoded, _)| readable(decoded))
}

/// Base32 in one case and another alphabet.
fn thirty_two(text: &[u8]) -> Decoded {
    static VALUES: std::sync::LazyLock<[[u8; 256]; 4]> = std::sync::LazyLock::new(|| BASE32.map(|a| values(a.iter().copied())));
    let mixed = text.iter().any(u8::is_ascii_uppercase) && text.iter().any(u8::is_ascii_lowercase);
    if mixed {
        return None;
    }
    VALUES.iter().find_map(|values| {
        let value = |b: &u8| values[usize::from(b.to_ascii_lowercase())];
        // The first of each eight has the high bits of a byte.
        if !at_least(85, text, 8, |b| (4..16).contains(&value(b))) || text.iter().any(|b| value(b) == 0xff) {
            return None;
        }
        Some((packed(text.iter().map(value), 5), "base32")).filter(|(decoded, _)| worth(decoded) && readable(decoded))
    })
}

/// Base64 in another order, its two marks before or behind.
fn sixty_four(text: &[u8]) -> Decoded {
    static VALUES: std::sync::LazyLock<Vec<[u8; 256]>> = std::sync::LazyLock::new(|| {
        let mut all = Vec::new();
        for (i, order) in ORDERS.iter().enumerate() {
            for front in [false, true] {
                // The order of base64 itself is not tried twice.
                if i == 0 && !front {
                    continue;
                }
                let mut values = values(order.iter().flat_map(|part| part.iter().copied()));
                let letters = values;
                let shift = if front { 2 } else { 0 };
                for (value, known) in values.iter_mut().zip(letters).filter(|(_, known)| *known != 0xff) {
                    *value = known + shift;
                }
                let marks = if front { [0, 1] } else { [62, 63] };
                // `./` of crypt, `+-` of xxencode, `-_` of URLs, `+/`.
                for (mark, value) in
                    [(b'.', marks[0]), (b'+', marks[0]), (b'-', if front { 1 } else { 62 }), (b'/', marks[1]), (b'_', marks[1])]
                {
                    values[usize::from(mark)] = value;
                }
                all.push(values);
            }
        }
        all
    });
    VALUES.iter().find_map(|values| {
        let value = |b: &u8| values[usize::from(*b)];
        // The first of each four has the six high bits of a byte.
        if !at_least(90, text, 4, |b| (8..32).contains(&value(b))) {
            return None;
        }
        Some((packed(text.iter().map(value), 6), "base64")).filter(|(decoded, _)| readable(decoded))
    })
}

/// One big number in base58 or base62, in an order that is not the usual one.
fn big(text: &[u8]) -> Decoded {
    static VALUES: std::sync::LazyLock<Vec<(u64, [u8; 256])>> = std::sync::LazyLock::new(|| {
        let of = |order: &[&[u8]; 3], left_out: &[u8]| {
            values(order.iter().flat_map(|part| part.iter().copied()).filter(|b| !left_out.contains(b)))
        };
        let orders = ORDERS.iter().flat_map(|order| [(62, of(order, b"")), (58, of(order, b"0OIl"))]);
        std::iter::once((58, values(RIPPLE.iter().copied()))).chain(orders).collect()
    });
    let kinds: [fn(&u8) -> bool; 3] = [u8::is_ascii_digit, u8::is_ascii_uppercase, u8::is_ascii_lowercase];
    if text.len() > MAX_DIGITS || !kinds.iter().all(|kind| text.iter().any(kind)) || !text.iter().all(u8::is_ascii_alphanumeric) {
        return None;
    }
    // The last byte comes from the last eight digits alone: the bases are even, and their eighth powers multiples of 256.
    let tail = text.get(text.len().saturating_sub(8)..).unwrap_or_default();
    VALUES.iter().find_map(|(base, values)| {
        let last = tail.iter().fold(0_u64, |n, b| n.wrapping_mul(*base).wrapping_add(u64::from(values[usize::from(*b)])));
        if !printable((last & 0xff) as u8) {
            return None;
        }
        // The last bytes come from the number modulo a power of two, which is quickly found.
        let low = text.iter().fold(0_u64, |n, b| n.wrapping_mul(*base).wrapping_add(u64::from(values[usize::from(*b)])));
        if text.iter().any(|b| values[usize::from(*b)] == 0xff) || !low.to_be_bytes().iter().all(|b| printable(*b)) {
            return None;
        }
        let digits: Vec<u8> = text.iter().map(|b| values[usize::from(*b)]).collect();
        let layer = if *base == 62 { "base62" } else { "base58" };
        Some((super::radix::number(&digits, *base as usize), layer)).filter(|(decoded, _)| readable(decoded))
    })
}

fn printable(byte: u8) -> bool {
    (0x20..0x7f).contains(&byte) || matches!(byte, b'\n' | b'\r' | b'\t')
}

fn readable(text: &[u8]) -> bool {
    text.len() >= 12 && text.iter().filter(|b| printable(**b)).count() * 20 >= text.len() * 19
}

static MEMBERS45: Class = RUN.0;
/// A run of base45.
pub(super) const RUN: (Class, u32) = (Class::of(BASE45), MIN as u32);

/// Encodings with alphabets of more than letters and digits, and those with lines.
pub(super) fn peel(sink: &mut Sink<'_, '_>) -> Flow {
    if sink.covered() {
        return ControlFlow::Continue(());
    }
    let bytes = sink.bytes();
    if sink.census.run(census::SOLID) {
        for (run, chance) in sink.solid().iter() {
            if run.len() >= MIN && *chance == Chance::Yes {
                solid(sink, run.clone())?;
            }
        }
    }
    if sink.census.run(census::BASE45) {
        let mut at = 0;
        while let Some(run) = simd::next_rare_run(bytes, at, &MEMBERS45, MIN) {
            at = run.end;
            forty_five(sink, &run)?;
        }
    }
    super::uu::peel(sink)?;
    if sink.census.any(census::EQUALS) { yenc(sink) } else { ControlFlow::Continue(()) }
}

/// So many places in one run are tried as its beginning.
const MAX_BEGINS: usize = 4;

/// Ascii85 without its frame, and basE91. Both stop at the first bytes that are no text.
fn solid(sink: &mut Sink<'_, '_>, run: Range<usize>) -> Flow {
    static VALUES: std::sync::LazyLock<[u8; 256]> = std::sync::LazyLock::new(|| values(BASE91.iter().copied()));
    let text = sink.bytes().get(run.clone()).unwrap_or_default();
    let begins = memchr::memchr3_iter(b'=', b':', b'"', text).map(|i| i + 1);
    for begin in std::iter::once(0).chain(begins.take(MAX_BEGINS)) {
        let part = text.get(begin..).unwrap_or_default();
        let (decoded, used, layer) = match eighty_five(part) {
            (decoded, used) if decoded.len() >= MIN => (decoded, used, "base85"),
            _ => {
                let (decoded, used) = ninety_one(part, &VALUES);
                (decoded, used, "base91")
            }
        };
        if decoded.len() >= MIN && readable(&decoded) {
            sink.work(used as u64 / 4, run.start)?;
            let encoded = run.start + begin..run.start + begin + used;
            // Text in one of them may be text in the other for some bytes.
            return sink.unclaimed(decoded, encoded, layer);
        }
    }
    ControlFlow::Continue(())
}

/// The text that `!` to `u` stand for, as far as it goes, and how far that is.
fn eighty_five(part: &[u8]) -> (Vec<u8>, usize) {
    let (mut out, mut used) = (Vec::new(), 0);
    for group in part.chunks(5) {
        let digit = |b: &u8| (b'!'..=b'u').contains(b).then(|| u64::from(b - b'!'));
        let mut full = group.iter().map(digit).chain(std::iter::repeat(Some(84))).take(5);
        let Some(value) = full.try_fold(0, |n, d| Some(n * 85 + d?)) else { break };
        let Ok(value) = u32::try_from(value) else { break };
        let bytes = value.to_be_bytes();
        let bytes = bytes.get(..group.len() - 1).unwrap_or_default();
        if group.len() < 2 || !bytes.iter().all(|b| printable(*b)) {
            break;
        }
        out.extend_from_slice(bytes);
        used += group.len();
    }
    (out, used)
}

/// The text in basE91, as far as it goes, and how far that is.
fn ninety_one(part: &[u8], values: &[u8; 256]) -> (Vec<u8>, usize) {
    let (mut out, mut used) = (Vec::new(), 0);
    let (mut bits, mut have) = (0_u32, 0);
    for pair in part.chunks(2) {
        let value = |i: usize| pair.get(i).map(|b| values[usize::from(*b)]).filter(|v| *v != 0xff).map(u32::from);
        let Some(first) = value(0) else { break };
        if pair.len() == 1 {
            bits |= first << have;
            have += 7;
        } else {
            let Some(second) = value(1) else { break };
            let value = first + second * 91;
            bits |= value << have;
            have += if value & 8191 > 88 { 13 } else { 14 };
        }
        let mut fine = true;
        while have >= 8 && fine {
            let byte = (bits & 0xff) as u8;
            fine = printable(byte);
            if fine {
                out.push(byte);
                bits >>= 8;
                have -= 8;
            }
        }
        if !fine {
            // The padding of the last pair is no text.
            used += if part.len() <= used + 2 { pair.len() } else { 0 };
            break;
        }
        used += pair.len();
    }
    (out, used)
}

/// Base45, as QR codes have it: three digits are two bytes, the lowest digit first.
fn forty_five(sink: &mut Sink<'_, '_>, run: &Range<usize>) -> Flow {
    static VALUES: std::sync::LazyLock<[u8; 256]> = std::sync::LazyLock::new(|| values(BASE45.iter().copied()));
    let text = sink.bytes().get(run.clone()).unwrap_or_default();
    // Blanks before and behind are not told from those of the text around.
    for skip in 0..text.len().min(2) {
        let mut out = Vec::new();
        let mut used = skip;
        for group in text.get(skip..).unwrap_or_default().chunks(3) {
            let value = group.iter().rev().fold(0_u32, |n, b| n * 45 + u32::from(VALUES[usize::from(*b)]));
            let bytes = u16::try_from(value).map(u16::to_be_bytes);
            let (Ok(bytes), true) = (bytes, group.len() > 1) else { break };
            let bytes = bytes.get(3 - group.len()..).unwrap_or_default();
            if !bytes.iter().all(|b| printable(*b)) {
                break;
            }
            out.extend_from_slice(bytes);
            used += group.len();
        }
        if out.len() >= MIN / 3 * 2 {
            return sink.unclaimed(out, run.start + skip..run.start + used, "base45");
        }
    }
    ControlFlow::Continue(())
}

/// yEnc (version 1.3 draft): bytes moved on by 42, `=` before those that would break lines.
fn yenc(sink: &mut Sink<'_, '_>) -> Flow {
    let bytes = sink.bytes();
    let mut at = 0;
    while let Some(begin) = memchr::memmem::find(bytes.get(at..).unwrap_or_default(), b"=ybegin ").map(|i| at + i) {
        let rest = bytes.get(begin..).unwrap_or_default();
        let Some(head) = memchr::memchr(b'\n', rest) else { break };
        let end = memchr::memmem::find(rest, b"=yend").unwrap_or(rest.len()).max(head + 1);
        let mut decoded = Vec::with_capacity(end - head);
        let mut data = rest.get(head + 1..end).unwrap_or_default().iter();
        while let Some(byte) = data.next() {
            match byte {
                b'\r' | b'\n' => {}
                b'=' => decoded.extend(data.next().map(|b| b.wrapping_sub(64 + 42))),
                byte => decoded.push(byte.wrapping_sub(42)),
            }
        }
        at = begin + end;
        sink.run(decoded, begin..at, "yenc", None)?;
    }
    ControlFlow::Continue(())
}
