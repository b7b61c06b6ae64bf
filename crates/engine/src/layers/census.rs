//! Which kinds of bytes a view holds, and whether they stand in long runs: after that most peelers know that there is nothing for them.

use simd::{Class, Kinds};

use super::{alphabets, base64, chance, hex, numbers};

/// `%`.
pub(super) const PERCENT: u32 = 1 << 0;
/// `\`.
pub(super) const BACKSLASH: u32 = 1 << 1;
/// `&`.
pub(super) const AMPERSAND: u32 = 1 << 2;
/// `=`.
pub(super) const EQUALS: u32 = 1 << 3;
/// `"`.
pub(super) const QUOTE: u32 = 1 << 4;
/// `'` and the backtick.
pub(super) const APOSTROPHE: u32 = 3 << 5;
/// Decimal digits.
pub(super) const DIGIT: u32 = 1 << 7;
/// What text in pieces has between them, line breaks first.
pub(super) const SEPARATOR: u32 = 0x1f << 8;
/// `\n`.
pub(super) const LINE: u32 = 1 << 8;
/// Control characters that are no blanks.
pub(super) const CONTROL: u32 = 3 << 13;
/// The zero byte.
pub(super) const NUL: u32 = 1 << 15;
/// `<`.
pub(super) const ANGLE: u32 = 1 << 16;
/// `~`.
pub(super) const TILDE: u32 = 1 << 17;
/// `)`.
pub(super) const CLOSE: u32 = 1 << 18;
/// Bytes of UTF-8 beyond ASCII, or of no text.
pub(super) const HIGH: u32 = 1 << 24;

/// The kinds below [`HIGH`], in their order.
static KINDS: [Kinds; 3] = [
    Kinds::of([b"%", b"\\", b"&", b"=", b"\"", b"'", b"`", b"0123456789"]),
    Kinds::of([
        b"\n",
        b" -./,",
        b"|",
        b"_",
        b":;",
        b"\x00\x01\x02\x03\x04\x05\x06\x07\x08\x0b\x0e\x0f",
        b"\x10\x11\x12\x13\x14\x15\x16\x17\x18\x19\x1a\x1b\x1c\x1d\x1e\x1f",
        b"\x00",
    ]),
    Kinds::of([b"<", b"~", b")", b"", b"", b"", b"", b""]),
];

/// Of the alphabet of base64.
pub(super) const BASE64: u32 = 1 << 0;
/// Of what hexadecimal is written with.
pub(super) const HEX: u32 = 1 << 1;
/// Printable, without blanks.
pub(super) const SOLID: u32 = 1 << 2;
/// Of the alphabet of base45.
pub(super) const BASE45: u32 = 1 << 3;
/// Decimal digits.
pub(super) const DIGITS: u32 = 1 << 4;
/// Of what bits are written with.
pub(super) const BITS: u32 = 1 << 5;

/// What is encoded stands in runs of some class of characters, and in no short ones.
static RUNS: [(Class, u32); 6] = [base64::RUN, hex::RUN, chance::RUN, alphabets::RUN, numbers::DIGIT_RUN, numbers::BIT_RUN];

/// Longer views are not asked for runs: they have some.
pub(super) const SHORT: usize = 1024;

/// The kinds of bytes in a view, and its long runs.
#[derive(Debug, Clone, Copy)]
pub(super) struct Census {
    kinds: u32,
    runs: u32,
}

impl Census {
    pub(super) fn of(bytes: &[u8]) -> Census {
        let seen = simd::seen(bytes, &KINDS);
        let [first, second, third] = seen.kinds;
        let kinds = u32::from_le_bytes([first, second, third, 0]) | if seen.high { HIGH } else { 0 };
        Census { kinds, runs: if bytes.len() <= SHORT { simd::long_runs(bytes, &RUNS) } else { u32::MAX } }
    }

    /// Whether any of these kinds is there.
    pub(super) fn any(self, kinds: u32) -> bool {
        self.kinds & kinds != 0
    }

    /// Whether there may be a long run of this class.
    pub(super) fn run(self, class: u32) -> bool {
        self.runs & class != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_is_of_its_kinds() {
        for byte in 0..=u8::MAX {
            let control = byte < 0x20 && !matches!(byte, b'\t' | b'\n' | b'\r' | b'\x0c');
            let separator = matches!(byte, b'\n' | b' ' | b'-' | b'.' | b'/' | b',' | b'|' | b'_' | b':' | b';');
            let expected = [
                (PERCENT, byte == b'%'),
                (BACKSLASH, byte == b'\\'),
                (AMPERSAND, byte == b'&'),
                (EQUALS, byte == b'='),
                (QUOTE, byte == b'"'),
                (APOSTROPHE, matches!(byte, b'\'' | b'`')),
                (DIGIT, byte.is_ascii_digit()),
                (SEPARATOR, separator),
                (CONTROL, control),
                (LINE, byte == b'\n'),
                (ANGLE, byte == b'<'),
                (TILDE, byte == b'~'),
                (CLOSE, byte == b')'),
                (NUL, byte == 0),
                (HIGH, byte >= 0x80),
            ];
            for (kind, is) in expected {
                assert_eq!(Census::of(&[byte; 3]).any(kind), is, "{byte} {kind:x}");
            }
        }
    }
}
