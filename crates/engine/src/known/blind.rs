//! Base64, base32 and hexadecimal runs, decoded whatever comes out.
//!
//! The peelers decode what looks like something; a key's bytes and a value behind a cipher look like nothing.

use std::ops::Range;

use crate::LayerId;

/// Shorter runs are looked at as they stand only.
const MIN: usize = 16;
/// Base64 of this length that holds no capital, or no small letter, is chance that nobody can wait for.
const MIXED: usize = 20;
/// In a run up to this long, letters of a word before it may belong to the run: every alignment is tried.
const GLUED: usize = 512;

fn member(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'-' | b'_')
}

/// Runs that may hold `least` encoded bytes, with their padding. Where none can be, only one byte in so many is looked at.
pub(super) fn runs(bytes: &[u8], least: usize) -> impl Iterator<Item = Range<usize>> {
    let min = MIN.max(least.saturating_mul(4).div_ceil(3));
    let mut at = 0;
    std::iter::from_fn(move || {
        loop {
            let probe = at + min - 1;
            if !member(*bytes.get(probe)?) {
                at = probe + 1;
                continue;
            }
            let head = bytes.get(at..probe)?.iter().rev().take_while(|b| member(**b)).count();
            let tail = bytes.get(probe..)?.iter().take_while(|b| member(**b)).count();
            let (start, end) = (probe - head, probe + tail);
            at = end + 1;
            if end - start >= min {
                let padding = bytes.get(end..)?.iter().take(6).take_while(|b| **b == b'=').count();
                return Some(start..end + padding);
            }
        }
    })
}

/// What a run decodes to, if that is `least` bytes or more.
pub(super) fn decode(run: &[u8], least: usize) -> Vec<(Vec<u8>, LayerId)> {
    let text = run.get(..run.iter().rposition(|b| *b != b'=').map_or(0, |i| i + 1)).unwrap_or_default();
    let mut all = Vec::new();
    if text.len() % 2 == 0
        && text.len() / 2 >= least
        && text.iter().all(u8::is_ascii_hexdigit)
        && let Ok(decoded) = data_encoding::HEXLOWER_PERMISSIVE.decode(text)
    {
        all.push((decoded, "hex"));
    }
    let (small, capital) = (text.iter().any(u8::is_ascii_lowercase), text.iter().any(u8::is_ascii_uppercase));
    let digit = |b: &u8| b.is_ascii_alphabetic() || matches!(b, b'2'..=b'7');
    if !(small && capital) && text.len() * 5 / 8 >= least && text.iter().all(digit) {
        // One, three or six characters too many carry no whole byte.
        let spare = [0, 1, 0, 1, 0, 0, 1, 0].get(text.len() % 8).copied().unwrap_or(0);
        let upper = text.get(..text.len() - spare).unwrap_or_default().to_ascii_uppercase();
        if let Ok(decoded) = data_encoding::BASE32_NOPAD.decode(&upper) {
            all.push((decoded, "base32"));
        }
    }
    if text.len() >= MIXED && !(small && capital) {
        return all;
    }
    let other = |b: &u8| match b {
        b'-' => b'+',
        b'_' => b'/',
        b => *b,
    };
    let standard: Vec<u8> = text.iter().map(other).collect();
    for skip in 0..if text.len() <= GLUED { 4 } else { 1 } {
        let part = standard.get(skip..).unwrap_or_default();
        // One character too many carries no byte.
        let part = part.get(..part.len() - usize::from(part.len() % 4 == 1)).unwrap_or_default();
        if part.len() * 3 / 4 >= least
            && let Ok(decoded) = base64_simd::forgiving_decode_to_vec(part)
        {
            all.push((decoded, "base64"));
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_run_is_found_and_none_that_is_too_short() {
        let text = format!("{} {} {}==, {}", "a".repeat(15), "b".repeat(16), "c".repeat(40), "d".repeat(17));
        let found: Vec<&str> = runs(text.as_bytes(), 0).map(|r| &text[r]).collect();
        assert_eq!(found, ["b".repeat(16), format!("{}==", "c".repeat(40)), "d".repeat(17)]);
    }
}
