//! The strings of objects and pages (ISO 32000-1 sections 7.3.4 and 9.4), joined as they are shown.

use super::cmap::CMap;
use super::filters;

/// A string, or what stands between two.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Piece {
    Text(Vec<u8>),
    /// A gap as wide as a blank.
    Blank,
    /// Another line, or another object.
    Break,
}

/// A gap in thousandths of the size of the font; letters are moved by less, words by more.
const WORD_GAP: f64 = -180.0;
/// A word of a language is shorter.
const LONG_WORD: usize = 32;
/// Longest word that is read: operators and numbers.
const MAX_WORD: usize = 32;

/// All strings of `bytes`. What is not PDF gives none, or nonsense that costs no more than its length.
pub(super) fn strings(bytes: &[u8]) -> Vec<Piece> {
    let mut reader = Reader { bytes, at: 0, pieces: Vec::new(), numbers: Vec::new(), line: None, array: false };
    while let Some(b) = bytes.get(reader.at) {
        reader.at += 1;
        match b {
            b'(' => reader.literal(),
            b'<' if bytes.get(reader.at) == Some(&b'<') => reader.at += 1,
            b'<' => reader.hex(),
            b'[' => (reader.array, reader.numbers) = (true, Vec::new()),
            b']' => reader.array = false,
            b'%' => reader.at += bytes.get(reader.at..).and_then(|r| memchr::memchr2(b'\n', b'\r', r)).unwrap_or(bytes.len()),
            b if b.is_ascii_whitespace() || matches!(b, b'>' | b'{' | b'}' | b')') => {}
            _ => reader.word(),
        }
    }
    reader.pieces
}

struct Reader<'b> {
    bytes: &'b [u8],
    at: usize,
    pieces: Vec<Piece>,
    /// Numbers since the last operator.
    numbers: Vec<f64>,
    /// The vertical place of the present line.
    line: Option<f64>,
    array: bool,
}

impl Reader<'_> {
    /// A string in brackets, which may be nested.
    fn literal(&mut self) {
        let (mut depth, mut text) = (1, Vec::new());
        while let Some(b) = self.bytes.get(self.at) {
            self.at += 1;
            match b {
                b'\\' => self.escape(&mut text),
                b'(' => {
                    depth += 1;
                    text.push(b'(');
                }
                b')' => {
                    depth -= 1;
                    if depth == 0 {
                        break;
                    }
                    text.push(b')');
                }
                b => text.push(*b),
            }
        }
        self.put(text);
    }

    fn escape(&mut self, text: &mut Vec<u8>) {
        let Some(b) = self.bytes.get(self.at) else { return };
        self.at += 1;
        match b {
            b'n' => text.push(b'\n'),
            b'r' => text.push(b'\r'),
            b't' => text.push(b'\t'),
            b'b' => text.push(8),
            b'f' => text.push(12),
            b'0'..=b'7' => {
                let mut value = u32::from(b - b'0');
                for _ in 0..2 {
                    let Some(digit @ b'0'..=b'7') = self.bytes.get(self.at) else { break };
                    value = value * 8 + u32::from(digit - b'0');
                    self.at += 1;
                }
                text.push(value.to_le_bytes()[0]);
            }
            // A line that is continued.
            b'\r' => self.at += usize::from(self.bytes.get(self.at) == Some(&b'\n')),
            b'\n' => {}
            b => text.push(*b),
        }
    }

    fn hex(&mut self) {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let end = memchr::memchr(b'>', rest).unwrap_or(rest.len());
        let text = filters::hex(rest.get(..end).unwrap_or_default());
        self.at += end + 1;
        self.put(text);
    }

    fn put(&mut self, text: Vec<u8>) {
        let gap = self.array && self.numbers.iter().any(|n| *n < WORD_GAP);
        self.numbers.clear();
        if gap {
            self.pieces.push(Piece::Blank);
        }
        if !text.is_empty() {
            self.pieces.push(Piece::Text(text));
        }
    }

    /// A name, a number or an operator, which begins a byte before.
    fn word(&mut self) {
        let start = self.at - 1;
        let end = |b: &u8| b.is_ascii_whitespace() || matches!(b, b'(' | b')' | b'<' | b'>' | b'[' | b']' | b'/' | b'%' | b'{' | b'}');
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        self.at += rest.iter().position(end).unwrap_or(rest.len());
        let word = self.bytes.get(start..self.at).unwrap_or_default();
        if word.len() > MAX_WORD {
            return;
        }
        let text = std::str::from_utf8(word).unwrap_or_default();
        if let Ok(number) = text.parse::<f64>() {
            // More than any operator takes are an array of something else.
            if self.numbers.len() < 64 {
                self.numbers.push(number);
            }
            return;
        }
        self.operator(text);
        self.numbers.clear();
    }

    /// What moves to another line, or to another object.
    fn operator(&mut self, word: &str) {
        let moved = match (word, &self.numbers[..]) {
            ("Td" | "TD", [.., _, y]) => *y != 0.0,
            ("Tm", [.., y]) => self.line.replace(*y) != Some(*y),
            ("T*" | "'" | "\"" | "ET" | "endobj" | "obj", _) => true,
            // A key of a dictionary, but not the font that is chosen.
            (name, []) => name.starts_with('/') && name.len() > 3 && !name.starts_with("/F") && !name.starts_with("/T"),
            _ => false,
        };
        if moved && !matches!(self.pieces.last(), None | Some(Piece::Break)) {
            self.pieces.push(Piece::Break);
        }
    }
}

/// The text, as it stands, or as UTF-16 where it says so (section 7.9.2.2).
pub(super) fn plain(pieces: &[Piece]) -> Vec<u8> {
    joined(pieces, |text| match text {
        [0xfe, 0xff, units @ ..] => {
            let units = units.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]]));
            let text: String = char::decode_utf16(units).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)).collect();
            Some(text.into_bytes())
        }
        text => Some(text.to_vec()),
    })
}

/// The text with lines joined that end and begin within a word: a token that is longer than the line. Nothing when there are none.
pub(super) fn unwrapped(text: &[u8]) -> Vec<u8> {
    let mut out: Vec<u8> = Vec::with_capacity(text.len());
    let (mut word, mut joined) = (0, false);
    for (i, b) in text.iter().enumerate() {
        let cut = *b == b'\n' && word >= LONG_WORD && text.get(i + 1).is_some_and(u8::is_ascii_graphic);
        joined |= cut;
        if !cut {
            out.push(*b);
            word = if b.is_ascii_whitespace() { 0 } else { word + 1 };
        }
    }
    if joined { out } else { Vec::new() }
}

/// The text in the characters of a font; nothing when it is not in that font.
pub(super) fn mapped(pieces: &[Piece], map: &CMap) -> Vec<u8> {
    let text = joined(pieces, |text| map.decode(text).map(String::into_bytes));
    if text.iter().all(u8::is_ascii_whitespace) { Vec::new() } else { text }
}

fn joined(pieces: &[Piece], decode: impl Fn(&[u8]) -> Option<Vec<u8>>) -> Vec<u8> {
    let mut out = Vec::new();
    for piece in pieces {
        match piece {
            Piece::Text(text) => out.extend(decode(text).unwrap_or_default()),
            Piece::Blank => out.push(b' '),
            Piece::Break => out.push(b'\n'),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(page: &str) -> String {
        String::from_utf8_lossy(&plain(&strings(page.as_bytes()))).into_owned()
    }

    #[test]
    fn pieces_of_a_line_are_joined_and_lines_are_not() {
        assert_eq!(text("BT /F1 12 Tf [(ab) -20 (c) 15.5 (d)] TJ ET BT (next) Tj ET"), "abcd\nnext\n");
        assert_eq!(text("[(two) -300 (words)] TJ"), "two words");
        assert_eq!(text("(a) Tj 6 0 Td (b) Tj 6 0 Td (c) Tj 0 -12 Td (d) Tj"), "abc\nd");
        assert_eq!(text("1 0 0 1 10 700 Tm (a) Tj 1 0 0 1 16 700 Tm (b) Tj 1 0 0 1 10 680 Tm (c) Tj"), "\nab\nc".trim_start());
    }

    #[test]
    fn escapes_hex_and_utf_16_are_read() {
        assert_eq!(
            text(
                r"(\101b\(c\)\\ \
d(e)) Tj"
            ),
            "Ab(c)\\ d(e)"
        );
        assert_eq!(text("<41 42 4>Tj"), "AB@");
        assert_eq!(text("/Title <FEFF00410042> /Author (x)"), "AB\nx");
    }
}
