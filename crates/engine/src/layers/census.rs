//! Which kinds of bytes a view holds: one fast pass, after which most peelers know that there is nothing for them.

/// Bytes of UTF-8 beyond ASCII, or of no text.
pub(super) const HIGH: u16 = 1 << 0;
/// Control characters that are no blanks.
pub(super) const CONTROL: u16 = 1 << 1;
/// The zero byte.
pub(super) const NUL: u16 = 1 << 2;
/// `%`.
pub(super) const PERCENT: u16 = 1 << 3;
/// `\`.
pub(super) const BACKSLASH: u16 = 1 << 4;
/// `&`.
pub(super) const AMPERSAND: u16 = 1 << 5;
/// `=`.
pub(super) const EQUALS: u16 = 1 << 6;
/// `"`.
pub(super) const QUOTE: u16 = 1 << 7;
/// `'` and the backtick.
pub(super) const APOSTROPHE: u16 = 1 << 8;
/// Decimal digits.
pub(super) const DIGIT: u16 = 1 << 9;
/// What text in pieces has between them.
pub(super) const SEPARATOR: u16 = 1 << 10;

static CLASSES: [u16; 256] = classes();

const fn classes() -> [u16; 256] {
    let mut classes = [0; 256];
    let mut i = 0;
    while i < 256 {
        let byte = i as u8;
        classes[i] = match byte {
            0x80.. => HIGH,
            0 => NUL | CONTROL,
            b'\n' | b' ' | b'-' | b'.' | b'/' | b',' | b'|' | b'_' | b':' | b';' => SEPARATOR,
            b'%' => PERCENT,
            b'\\' => BACKSLASH,
            b'&' => AMPERSAND,
            b'=' => EQUALS,
            b'"' => QUOTE,
            b'\'' | b'`' => APOSTROPHE,
            b'0'..=b'9' => DIGIT,
            b'\t' | b'\r' | b'\x0c' => 0,
            1..=0x1f => CONTROL,
            _ => 0,
        };
        i += 1;
    }
    classes
}

/// The kinds of bytes in a view.
#[derive(Debug, Clone, Copy)]
pub(super) struct Census(u16);

impl Census {
    pub(super) fn of(bytes: &[u8]) -> Census {
        let class = |b: u8| CLASSES[usize::from(b)];
        let mut seen = [0_u16; 4];
        let (quads, rest) = bytes.as_chunks::<4>();
        for [a, b, c, d] in quads {
            seen[0] |= class(*a);
            seen[1] |= class(*b);
            seen[2] |= class(*c);
            seen[3] |= class(*d);
        }
        Census(rest.iter().fold(seen[0] | seen[1] | seen[2] | seen[3], |all, b| all | class(*b)))
    }

    /// Whether any of these kinds is there.
    pub(super) fn any(self, kinds: u16) -> bool {
        self.0 & kinds != 0
    }
}
