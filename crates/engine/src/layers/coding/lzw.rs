//! LZW as Unix `compress` writes it (`.Z`), and as PDF does (ISO 32000-1 section 7.4.4).

use std::io::Write;

/// Codes below stand for themselves.
const LITERALS: usize = 256;
/// Clears the table; in `compress` only when the header's block flag is set.
const CLEAR: usize = 256;
/// Ends a PDF stream.
const END: usize = 257;
/// No code is longer, in bits.
const MAX_BITS: u32 = 16;

/// The table: each code is an older code and one byte more.
struct Table {
    prefix: Vec<u16>,
    suffix: Vec<u8>,
    /// The expansion of a code, backwards.
    stack: Vec<u8>,
}

impl Table {
    fn new(bits: u32) -> Table {
        let size = 1 << bits;
        Table { prefix: vec![0; size], suffix: vec![0; size], stack: Vec::new() }
    }

    /// Writes what `code` stands for, and `extra` behind it; returns its first byte. `None` when the sink has enough.
    fn write(&mut self, mut code: usize, extra: Option<u8>, sink: &mut impl Write) -> Option<u8> {
        self.stack.clear();
        self.stack.extend(extra);
        while code >= LITERALS {
            // An older code is always smaller than the newer one: the walk ends.
            self.stack.push(*self.suffix.get(code)?);
            let older = usize::from(*self.prefix.get(code)?);
            if older >= code {
                return None;
            }
            code = older;
        }
        let first = u8::try_from(code).ok()?;
        self.stack.push(first);
        self.stack.reverse();
        sink.write_all(&self.stack).ok()?;
        Some(first)
    }

    fn learn(&mut self, code: usize, older: usize, byte: u8) {
        if let (Some(prefix), Some(suffix), Ok(older)) = (self.prefix.get_mut(code), self.suffix.get_mut(code), u16::try_from(older)) {
            *prefix = older;
            *suffix = byte;
        }
    }
}

/// Decodes a `.Z` file; whether it is whole. Codes grow from 9 bits and are written in groups of eight, least bit first.
pub(super) fn compress(input: &[u8], sink: &mut impl Write) -> bool {
    let Some((&[_, _, flags], data)) = input.split_first_chunk::<3>() else { return false };
    let (most, block) = (u32::from(flags & 0x1f), flags & 0x80 != 0);
    if !(9..=MAX_BITS).contains(&most) {
        return false;
    }
    let mut table = Table::new(most);
    let (mut bits, mut next) = (9, if block { 257 } else { 256 });
    let mut before: Option<(usize, u8)> = None;
    // Bit offsets: of the present code, and of the group it is in.
    let (mut at, mut group) = (0_usize, 0_usize);
    loop {
        if next > (1 << bits) - 1 && bits < most {
            align(&mut at, &mut group, bits);
            bits += 1;
        }
        let Some(code) = least_first(data, at, bits) else { return true };
        at += bits as usize;
        if code == CLEAR && block {
            align(&mut at, &mut group, bits);
            (bits, next, before) = (9, 256, None);
            continue;
        }
        let first = match before {
            None if code < LITERALS => table.write(code, None, sink),
            Some((older, first)) if code == next => table.write(older, Some(first), sink),
            Some(_) if code < next => table.write(code, None, sink),
            _ => return false,
        };
        let Some(first) = first else { return false };
        if let Some((older, _)) = before
            && next < 1 << most
        {
            table.learn(next, older, first);
            next += 1;
        } else if before.is_none() && block && next == 256 {
            // After a clear, the first code fills the place of the clear code itself.
            next = 257;
        }
        before = Some((code, first));
    }
}

/// Moves on to the next group of eight codes.
fn align(at: &mut usize, group: &mut usize, bits: u32) {
    let size = bits as usize * 8;
    *at = *group + (*at - *group).div_ceil(size) * size;
    *group = *at;
}

fn least_first(data: &[u8], at: usize, bits: u32) -> Option<usize> {
    if at + bits as usize > data.len() * 8 {
        return None;
    }
    let window = (0..3).fold(0_usize, |n, i| n | usize::from(data.get(at / 8 + i).copied().unwrap_or(0)) << (8 * i));
    Some(window >> (at % 8) & ((1 << bits) - 1))
}
/// Decodes a PDF stream; whether it came to its end. Codes are written greatest bit first; `early` is the `EarlyChange` parameter.
pub(in crate::layers) fn pdf(data: &[u8], early: bool, sink: &mut impl Write) -> bool {
    let mut table = Table::new(12);
    let (mut bits, mut next, mut at) = (9_u32, 258_usize, 0_usize);
    let mut before: Option<(usize, u8)> = None;
    while at + bits as usize <= data.len() * 8 {
        let window = (0..3).fold(0_usize, |n, i| n << 8 | usize::from(data.get(at / 8 + i).copied().unwrap_or(0)));
        let code = window >> (24 - at % 8 - bits as usize) & ((1 << bits) - 1);
        at += bits as usize;
        if code == END {
            return true;
        }
        if code == CLEAR {
            (bits, next, before) = (9, 258, None);
            continue;
        }
        let first = match before {
            Some((older, first)) if code == next => table.write(older, Some(first), sink),
            Some(_) if code < next => table.write(code, None, sink),
            None if code < LITERALS => table.write(code, None, sink),
            _ => return false,
        };
        let Some(first) = first else { return false };
        if let Some((older, _)) = before
            && next < 4096
        {
            table.learn(next, older, first);
            next += 1;
        }
        if next + usize::from(early) >= 1 << bits && bits < 12 {
            bits += 1;
        }
        before = Some((code, first));
    }
    true
}
