//! What the characters of a font mean: a `ToUnicode` map (ISO 32000-1 section 9.10.3).

use std::collections::HashMap;

use memchr::memmem;

use super::filters;

/// Entries of one font.
const MOST: usize = 1 << 16;

/// Codes of one font and the text each stands for.
#[derive(Debug)]
pub(super) struct CMap {
    /// Bytes of a code, one or two.
    pub(super) width: usize,
    map: HashMap<u16, String>,
}

impl CMap {
    /// The map that a stream is, if it is one.
    pub(super) fn parse(bytes: &[u8]) -> Option<CMap> {
        memmem::find(bytes.get(..4096).unwrap_or(bytes), b"begincmap")?;
        let space = memmem::find(bytes, b"begincodespacerange")?;
        let first = hexes(bytes.get(space..)?.get(..256).unwrap_or_default()).into_iter().next()?;
        let mut cmap = CMap { width: first.len().clamp(1, 2), map: HashMap::new() };
        for (begin, end, arity) in [(&b"beginbfchar"[..], &b"endbfchar"[..], 2), (b"beginbfrange", b"endbfrange", 3)] {
            for at in memmem::find_iter(bytes, begin) {
                let part = bytes.get(at..).unwrap_or_default();
                let part = part.get(..memmem::find(part, end).unwrap_or(part.len())).unwrap_or_default();
                cmap.read(part, arity);
            }
        }
        (!cmap.map.is_empty()).then_some(cmap)
    }

    fn read(&mut self, part: &[u8], arity: usize) {
        for line in part.split(|b| matches!(b, b'\n' | b'\r')) {
            let values = hexes(line);
            // Writers put several entries on a line; a range with a list of its own has as many as it likes.
            let list = arity == 3 && memchr::memchr(b'[', line).is_some();
            let size = if list { values.len().max(1) } else { arity };
            for entry in values.chunks_exact(size) {
                self.entry(entry, arity, list);
            }
        }
    }

    fn entry(&mut self, entry: &[Vec<u8>], arity: usize, list: bool) {
        match entry {
            [first, _, texts @ ..] if list => {
                for (i, text) in texts.iter().enumerate() {
                    self.put(code(first).saturating_add(u16::try_from(i).unwrap_or(u16::MAX)), utf16(text));
                }
            }
            [first, text] if arity == 2 => self.put(code(first), utf16(text)),
            [first, last, text] => {
                let (from, to) = (code(first), code(last));
                for i in 0..=to.saturating_sub(from) {
                    let mut text = text.clone();
                    // The last byte counts up.
                    if let [.., high, low] = &mut text[..] {
                        let unit = u16::from_be_bytes([*high, *low]).wrapping_add(i);
                        [*high, *low] = unit.to_be_bytes();
                    }
                    self.put(from.saturating_add(i), utf16(&text));
                }
            }
            _ => {}
        }
    }

    fn put(&mut self, code: u16, text: String) {
        if self.map.len() < MOST && text.len() <= 16 {
            self.map.insert(code, text);
        }
    }

    /// What the codes of a string stand for; `None` when most of them are not this font's.
    pub(super) fn decode(&self, string: &[u8]) -> Option<String> {
        let (mut text, mut unknown, mut all) = (String::new(), 0, 0);
        for unit in string.chunks_exact(self.width) {
            all += 1;
            match self.map.get(&code(unit)) {
                Some(t) => text.push_str(t),
                None => unknown += 1,
            }
        }
        (unknown * 10 <= all && !text.is_empty()).then_some(text)
    }
}

fn code(bytes: &[u8]) -> u16 {
    bytes.iter().rev().take(2).rev().fold(0, |n, b| n << 8 | u16::from(*b))
}

fn utf16(bytes: &[u8]) -> String {
    let units = bytes.chunks(2).map(|pair| match pair {
        [high, low] => u16::from_be_bytes([*high, *low]),
        [one] => u16::from(*one),
        _ => 0,
    });
    char::decode_utf16(units).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)).collect()
}

/// All hex strings.
fn hexes(bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    let mut rest = bytes;
    while let Some(open) = memchr::memchr(b'<', rest) {
        rest = rest.get(open + 1..).unwrap_or_default();
        let Some(close) = memchr::memchr(b'>', rest) else { break };
        all.push(filters::hex(rest.get(..close).unwrap_or_default()));
        rest = rest.get(close + 1..).unwrap_or_default();
    }
    all
}
