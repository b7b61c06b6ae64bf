//! Which kinds of bytes a view holds: one fast pass, after which most peelers know that there is nothing for them.

use simd::Kinds;

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
/// What text in pieces has between them.
pub(super) const SEPARATOR: u32 = 0x1f << 8;
/// Control characters that are no blanks.
pub(super) const CONTROL: u32 = 3 << 13;
/// The zero byte.
pub(super) const NUL: u32 = 1 << 15;
/// Bytes of UTF-8 beyond ASCII, or of no text.
pub(super) const HIGH: u32 = 1 << 16;

/// The kinds below [`HIGH`], in their order.
static KINDS: [Kinds; 2] = [
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
];

/// The kinds of bytes in a view.
#[derive(Debug, Clone, Copy)]
pub(super) struct Census(u32);

impl Census {
    pub(super) fn of(bytes: &[u8]) -> Census {
        let seen = simd::seen(bytes, &KINDS);
        Census(u32::from(u16::from_le_bytes(seen.kinds)) | if seen.high { HIGH } else { 0 })
    }

    /// Whether any of these kinds is there.
    pub(super) fn any(self, kinds: u32) -> bool {
        self.0 & kinds != 0
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
                (NUL, byte == 0),
                (HIGH, byte >= 0x80),
            ];
            for (kind, is) in expected {
                assert_eq!(Census::of(&[byte; 3]).any(kind), is, "{byte} {kind:x}");
            }
        }
    }
}
