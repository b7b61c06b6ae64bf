//! Text encodings beside base64 and hex: base32, base58 and other bases that are one big number, base85 in its alphabets, uuencode.

use std::ops::{ControlFlow, Range};
use std::sync::LazyLock;

use data_encoding::{BASE32_NOPAD, BASE32HEX_NOPAD, Encoding};
use memchr::memmem::Finder;
use simd::{Class, count, next_run};

use super::chance::by_chance;
use super::container::worth;
use super::sink::{Flow, Sink};
use super::{View, census};
use crate::LayerId;

/// A number of more digits costs too much: the work grows with the square.
const MAX_DIGITS: usize = 4096;

const BASE58: &[u8] = b"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
const BASE62: &[u8] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const BASE62_SWAPPED: &[u8] = b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
const BASE36: &[u8] = b"0123456789abcdefghijklmnopqrstuvwxyz";
const BASE36_UPPER: &[u8] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";
const DECIMAL: &[u8] = b"0123456789";

/// A number of less bytes carries nothing that is worth a look.
const MIN_NUMBER: usize = 12;
/// So many digits have always less bytes: 36 to the 17th and 10 to the 26th are less than 2 to the 88th.
const FEW_OF_36: usize = 18;
const FEW_OF_10: usize = 27;
/// Shorter runs carry nothing that is worth a look.
const MIN_BASE85: usize = 20;
/// So many places in one run are tried as its beginning.
const MAX_BEGINS: usize = 8;

/// RFC 1924, as Python's `base64.b85encode` and git's binary patches have it.
const RFC1924: &[u8; 85] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz!#$%&()*+-;<=>?@^_`{|}~";
/// ZeroMQ RFC 32.
const Z85: &[u8; 85] = b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#";

/// For a view that is nothing but a number, and too short to be anything else in any encoding: what finding that out costs in units of work.
pub(super) fn number_only(view: &View<'_>) -> Option<u64> {
    let length = view.bytes.len();
    let short = length < super::alphabets::MIN && view.kind.is_none() && view.bytes.iter().all(u8::is_ascii_digit);
    short.then(|| if length < super::base64::MIN { 0 } else { price(length) })
}

/// What looking into one big number of so many digits costs.
fn price(digits: usize) -> u64 {
    (digits * digits) as u64 / 32
}

/// Tries the bases whose alphabet a run of letters and digits fits. The first that gives something that is worth a look counts.
pub(super) fn alphanumeric(sink: &mut Sink<'_, '_>, run: &Range<usize>) -> Flow {
    usual(sink, run)?;
    super::alphabets::word(sink, run)
}

fn usual(sink: &mut Sink<'_, '_>, run: &Range<usize>) -> Flow {
    let bytes = sink.bytes();
    let part = bytes.get(run.clone()).unwrap_or_default();
    let has = |kind: fn(&u8) -> bool| part.iter().any(kind);
    let (digit, upper, lower) = (has(u8::is_ascii_digit), has(u8::is_ascii_uppercase), has(u8::is_ascii_lowercase));
    if upper != lower {
        let text: Vec<u8> = part.iter().copied().filter(u8::is_ascii_alphanumeric).collect();
        if let Some(decoded) = base32(&text) {
            return sink.run(decoded, run.clone(), "base32", None);
        }
    }
    // Words have no digits; text as one big number has them, as every other character.
    if !digit || part.len() > MAX_DIGITS || !part.iter().all(u8::is_ascii_alphanumeric) {
        return ControlFlow::Continue(());
    }
    let bases: &[(&[u8], LayerId)] = match (upper, lower) {
        (true, true) => &[(BASE58, "base58"), (BASE62, "base62"), (BASE62_SWAPPED, "base62")],
        (false, true) => &[(BASE36, "base36")],
        (true, false) => &[(BASE36_UPPER, "base36")],
        (false, false) => &[(DECIMAL, "base10")],
    };
    // In these all are digits, and the bytes of so few are less than are looked at below.
    if !upper && part.len() < if lower { FEW_OF_36 } else { FEW_OF_10 } || upper && !lower && part.len() < FEW_OF_36 {
        return sink.work(price(part.len()), run.start);
    }
    for (alphabet, layer) in bases {
        if let Some(digits) = digits(part, alphabet) {
            sink.work(price(part.len()), run.start)?;
            let decoded = number(&digits, alphabet.len());
            if decoded.len() >= MIN_NUMBER && worth(&decoded) {
                return sink.run(decoded, run.clone(), layer, None);
            }
        }
    }
    ControlFlow::Continue(())
}

/// Base32 in one case and either alphabet of RFC 4648, padding or not.
fn base32(text: &[u8]) -> Option<Vec<u8>> {
    if text.len() < 20 {
        return None;
    }
    let text = text.to_ascii_uppercase();
    let decode = |encoding: &Encoding, first: std::ops::RangeInclusive<u8>| {
        // The first of each eight characters has the high five bits of a byte, and says whether that is ASCII: most are, or nothing is text.
        if !at_least(25, &text, 8, |b| first.contains(b)) && !packed_base32(encoding, &text) {
            return None;
        }
        // One, three or six characters too many carry no whole byte.
        let spare = [0, 1, 0, 1, 0, 0, 1, 0][text.len() % 8];
        let decoded = encoding.decode(text.get(..text.len() - spare)?).ok()?;
        worth(&decoded).then_some(decoded)
    };
    decode(&BASE32_NOPAD, b'E'..=b'P').or_else(|| decode(&BASE32HEX_NOPAD, b'4'..=b'F'))
}

/// Whether it begins like a compressed stream or an archive.
fn packed_base32(encoding: &Encoding, text: &[u8]) -> bool {
    text.get(..16).and_then(|head| encoding.decode(head).ok()).is_some_and(|head| super::container::packed(&head))
}

/// The values of all characters in an alphabet, if they are in it.
fn digits(text: &[u8], alphabet: &[u8]) -> Option<Vec<u8>> {
    let mut values = [0xff; 256];
    for (value, b) in (0..).zip(alphabet) {
        values[usize::from(*b)] = value;
    }
    let digits: Vec<u8> = text.iter().map(|b| values[usize::from(*b)]).collect();
    digits.iter().all(|d| *d != 0xff).then_some(digits)
}

/// The bytes of one big number, several digits at a time.
pub(super) fn number(digits: &[u8], base: usize) -> Vec<u8> {
    let base = base as u64;
    // As many digits as fit a limb.
    let group = (1..).take_while(|n| base.pow(*n) <= u64::from(u32::MAX)).last().unwrap_or(1) as usize;
    let mut limbs: Vec<u32> = Vec::with_capacity(digits.len() / 5 + 2);
    for part in digits.chunks(group) {
        let factor = base.pow(part.len() as u32);
        let mut carry = part.iter().fold(0, |n, d| n * base + u64::from(*d));
        for limb in &mut limbs {
            carry += u64::from(*limb) * factor;
            *limb = (carry & 0xffff_ffff) as u32;
            carry >>= 32;
        }
        if carry > 0 {
            limbs.push(carry as u32);
        }
    }
    let bytes: Vec<u8> = limbs.iter().rev().flat_map(|l| l.to_be_bytes()).collect();
    bytes.get(bytes.iter().position(|b| *b != 0).unwrap_or(bytes.len())..).unwrap_or_default().to_vec()
}

/// Base85 and uuencode, wherever they stand.
pub(super) fn peel(sink: &mut Sink<'_, '_>) -> Flow {
    if sink.census.any(census::TILDE) {
        ascii85(sink)?;
    }
    base85(sink)?;
    if sink.census.any(census::LINE) { uuencode(sink) } else { ControlFlow::Continue(()) }
}

static END: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"~>"));
static BEGIN: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"begin "));

/// `<~…~>` (Adobe, PostScript Language Reference section 3.13.3), `z` for four zeros.
fn ascii85(sink: &mut Sink<'_, '_>) -> Flow {
    let bytes = sink.bytes();
    let mut floor = 0;
    while let Some(end) = END.find(bytes.get(floor..).unwrap_or_default()).map(|i| floor + i) {
        let start = memchr::memmem::rfind(bytes.get(floor..end).unwrap_or_default(), b"<~").map(|i| floor + i);
        floor = end + 2;
        let Some(start) = start else { continue };
        let mut digits = Vec::with_capacity(end - start);
        let fine = bytes.get(start + 2..end).unwrap_or_default().iter().all(|b| {
            match b {
                b'!'..=b'u' => digits.push(b - b'!'),
                b'z' => digits.extend_from_slice(&[0; 5]),
                b => return b.is_ascii_whitespace(),
            }
            true
        });
        if let (true, Some(decoded)) = (fine, radix85(&digits)) {
            sink.run(decoded, start..end + 2, "base85", None)?;
        }
    }
    ControlFlow::Continue(())
}

/// The value of each byte in an alphabet of 85, or 0xff.
const fn values(alphabet: &[u8; 85]) -> [u8; 256] {
    let mut values = [0xff; 256];
    let mut i = 0;
    while i < alphabet.len() {
        values[alphabet[i] as usize] = i as u8;
        i += 1;
    }
    values
}

static ALPHANUMERIC: Class = Class::of(BASE62);

/// Runs of an alphabet of 85 that are more than letters and digits.
fn base85(sink: &mut Sink<'_, '_>) -> Flow {
    static ALPHABETS: [(Class, [u8; 256]); 2] = [(Class::of(RFC1924), values(RFC1924)), (Class::of(Z85), values(Z85))];
    let bytes = sink.bytes();
    if !sink.census.run(census::SOLID) || sink.covered() {
        return ControlFlow::Continue(());
    }
    // Both alphabets are printable, and what is by chance in a part of a run is nearly so in all of it.
    let solid = sink.solid();
    for (class, values) in &ALPHABETS {
        for (whole, _) in solid.iter() {
            let mut at = whole.start;
            while let Some(run) = next_run(bytes.get(..whole.end).unwrap_or_default(), at, class, MIN_BASE85) {
                at = run.end;
                base85_run(sink, run, values)?;
            }
        }
    }
    ControlFlow::Continue(())
}

fn base85_run(sink: &mut Sink<'_, '_>, run: Range<usize>, members: &[u8; 256]) -> Flow {
    let text = sink.bytes().get(run.clone()).unwrap_or_default();
    // Words with punctuation have few marks; an encoding has one in four.
    let marks = text.len() - count(text, &ALPHANUMERIC);
    if marks * 25 < text.len() || !by_chance(text.iter()) || sink.claimed(&run) {
        return ControlFlow::Continue(());
    }
    // The marks after which a value begins are members too.
    let begins = memchr::memchr3_iter(b'=', b':', b';', text).map(|i| i + 1);
    let begins: Vec<usize> = std::iter::once(0).chain(begins.take(MAX_BEGINS)).collect();
    for begin in begins {
        let part = text.get(begin..).unwrap_or_default();
        if part.len() >= MIN_BASE85 && promising(part, members) {
            sink.work(part.len() as u64 / 4, run.start)?;
            let digits: Vec<u8> = part.iter().map(|b| members[usize::from(*b)]).collect();
            if let Some(decoded) = radix85(&digits).filter(|d| worth(d)) {
                return sink.run(decoded, run.start + begin..run.end, "base85", None);
            }
        }
    }
    ControlFlow::Continue(())
}

/// Whether at least so many in a hundred of the groups of `size` begin with what `fits`.
pub(super) fn at_least(share: usize, text: &[u8], size: usize, fits: impl Fn(&u8) -> bool) -> bool {
    let groups = text.len().div_ceil(size);
    // So many may begin otherwise: mostly it is clear long before the end.
    let mut others = groups - (groups * share).div_ceil(100);
    text.iter().step_by(size).all(|b| fits(b) || others.checked_sub(1).map(|n| others = n).is_some())
}

/// Whether digits of base85 may decode to something that is worth a look: the first of each five says whether a byte is ASCII. Few groups
/// begin otherwise, or it is no text; of digits by chance two in three do.
fn promising(part: &[u8], members: &[u8; 256]) -> bool {
    let value = |b: &u8| members[usize::from(*b)];
    at_least(60, part, 5, |b| (10..=40).contains(&value(b))) || head85(part, value).is_some_and(|head| super::container::packed(&head))
}

/// The first bytes of what is long enough to be worth a look.
fn head85(part: &[u8], value: impl Fn(&u8) -> u8) -> Option<[u8; MIN_BASE85 / 5 * 4]> {
    let mut head = [0; MIN_BASE85 / 5 * 4];
    let (out, _) = head.as_chunks_mut::<4>();
    for (out, group) in out.iter_mut().zip(part.chunks_exact(5)) {
        *out = u32::try_from(group.iter().fold(0_u64, |n, b| n * 85 + u64::from(value(b)))).ok()?.to_be_bytes();
    }
    Some(head)
}

/// Five digits are four bytes; a last group of n digits is n - 1 bytes.
fn radix85(digits: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(digits.len() / 5 * 4 + 4);
    for group in digits.chunks(5) {
        if group.len() == 1 {
            return None;
        }
        let full = group.iter().copied().chain(std::iter::repeat(84)).take(5);
        let value = full.fold(0_u64, |n, d| n * 85 + u64::from(d));
        let bytes = u32::try_from(value).ok()?.to_be_bytes();
        out.extend_from_slice(bytes.get(..group.len() - 1)?);
    }
    Some(out)
}

/// `begin 644 name`, lines with their length in the first character, `end` (POSIX uuencode).
fn uuencode(sink: &mut Sink<'_, '_>) -> Flow {
    let bytes = sink.bytes();
    let mut at = 0;
    while let Some(start) = BEGIN.find(bytes.get(at..).unwrap_or_default()).map(|i| at + i) {
        at = start + 6;
        let Some(mut line) = memchr::memchr(b'\n', bytes.get(at..).unwrap_or_default()).map(|i| at + i + 1) else { break };
        let mode = bytes.get(at..at + 3).is_some_and(|m| m.iter().all(|b| (b'0'..=b'7').contains(b)));
        if !mode || line - at > 300 {
            continue;
        }
        let mut out = Vec::new();
        while let Some(rest) = bytes.get(line..).filter(|r| !r.is_empty() && !r.starts_with(b"end")) {
            let end = memchr::memchr(b'\n', rest).unwrap_or(rest.len());
            if uu_line(rest.get(..end).unwrap_or_default().trim_ascii_end(), &mut out).is_none() {
                break;
            }
            line += (end + 1).min(rest.len());
        }
        let line = line.min(bytes.len());
        if !out.is_empty() {
            let rest = bytes.get(line..).unwrap_or_default();
            let line = line + if rest.starts_with(b"end\n") { 4 } else { 3 * usize::from(rest.starts_with(b"end")) };
            sink.run(out, start..line, "uuencode", None)?;
            at = line.max(at);
        }
    }
    ControlFlow::Continue(())
}

fn uu_line(line: &[u8], out: &mut Vec<u8>) -> Option<()> {
    let six = |b: u8| (0x20..=0x60).contains(&b).then(|| (b - 0x20) & 0x3f);
    let (length, data) = line.split_first()?;
    let length = usize::from(six(*length)?);
    let mut decoded = Vec::with_capacity(48);
    for group in data.chunks(4) {
        // Blanks at the end of a line get lost on the way.
        let quad: Vec<u8> = group.iter().copied().chain(std::iter::repeat(b' ')).take(4).map(six).collect::<Option<_>>()?;
        decoded.extend_from_slice(&[quad[0] << 2 | quad[1] >> 4, quad[1] << 4 | quad[2] >> 2, quad[2] << 6 | quad[3]]);
    }
    if length > decoded.len() {
        return None;
    }
    out.extend_from_slice(decoded.get(..length)?);
    Some(())
}

#[cfg(test)]
mod tests {
    use super::super::{Budget, Peeled, peel};
    use super::*;

    fn view(bytes: &[u8]) -> View<'_> {
        View { quiet: true, unnamed: true, ..View::of(bytes) }
    }

    /// What taking a view apart costs.
    fn spent(bytes: &[u8]) -> u64 {
        let mut budget = Budget { decoded: 1 << 20, ratio: 200, work: 1 << 20, earned: 0, cuts: Vec::new(), gap: None };
        let mut emit = |_: Peeled<'_>, _: &mut Budget| ControlFlow::Continue(());
        assert!(peel(&view(bytes), &[], &[], &mut budget, &mut emit).is_continue());
        (1 << 20) - budget.work
    }

    #[test]
    fn numbers_alone_are_short_of_every_encoding() {
        for length in 1..40 {
            let text = "8".repeat(length);
            let cost = number_only(&view(text.as_bytes()));
            assert_eq!(cost.is_some(), length < 24);
            // The same with a mark before it, which no layer takes for a part of it, goes the long way.
            assert!(cost.is_none_or(|cost| cost == spent(format!("?{text}").as_bytes())), "{length}");
        }
    }

    #[test]
    fn known_answers_of_every_base() {
        assert_eq!(base32(b"NRXW4ZZAMVXG65LHNAQHI2DBOQ").as_deref(), Some(&b"long enough that"[..]));
        assert_eq!(number(&digits(b"2NEpo7TZRRrLZSi2U", BASE58).unwrap(), 58), b"Hello World!");
        let digits = |text: &[u8], alphabet: &[u8]| digits(text, alphabet).and_then(|d| radix85(&d));
        assert_eq!(digits(b"NM&qnZy<MXa%^NF", RFC1924).as_deref(), Some(&b"Hello world!"[..]));
        assert_eq!(digits(b"HelloWorld", Z85).as_deref(), Some(&[0x86, 0x4f, 0xd2, 0x6f, 0xb5, 0x59, 0xf7, 0x5b][..]));
        let mut out = Vec::new();
        assert_eq!(uu_line(b"#0V%T", &mut out), Some(()));
        assert_eq!(out, b"Cat");
        assert_eq!(uu_line(b"M~~", &mut out), None);
    }
}
