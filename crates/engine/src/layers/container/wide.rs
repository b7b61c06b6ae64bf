//! Runs of UTF-16 among other bytes: strings in Office files, tags of music and pictures, programs, registry hives.

use std::ops::{ControlFlow, Range};

use crate::layers::census;
use crate::layers::origins::Origins;
use crate::layers::sink::{Flow, Sink};

/// Characters of the shortest run.
const LEAST: usize = 12;

/// Hands on every run of ASCII in which each character has a zero beside it. A view that is UTF-16 as a whole has its own layer.
pub(super) fn peel(sink: &mut Sink<'_, '_>) -> Flow {
    let bytes = sink.bytes();
    if !sink.census.any(census::NUL) {
        return ControlFlow::Continue(());
    }
    let mut at = 0;
    while let Some(run) = next(bytes, at) {
        at = run.end;
        if run.len() == bytes.len() || sink.claimed(&run) {
            continue;
        }
        let (mut text, mut origins) = (Vec::with_capacity(run.len() / 2), Origins::within(run.clone()));
        for i in run.clone().step_by(2) {
            text.push(bytes.get(i).copied().unwrap_or_default());
            origins.escape(1, i, 2);
        }
        origins.end(run.end);
        sink.mapped(text, origins, "utf-16")?;
    }
    ControlFlow::Continue(())
}

/// The next run, of character and zero in turn. In the other byte order the zero of the next character stands behind each but the last: the last one is
/// taken if it has no other neighbour.
fn next(bytes: &[u8], from: usize) -> Option<Range<usize>> {
    let wide = |i: usize| bytes.get(i).is_some_and(|b| super::PRINTABLE.has(*b)) && bytes.get(i + 1) == Some(&0);
    // Every run of characters and zeros has a zero at one of two neighbouring places in every so many bytes.
    let stride = LEAST * 2 - 2;
    let mut probe = from + stride - 2;
    while probe < bytes.len() {
        let Some(middle) = [probe, probe + 1].into_iter().find(|i| wide(*i)) else {
            probe += stride;
            continue;
        };
        let mut start = middle;
        while start >= from + 2 && wide(start - 2) {
            start -= 2;
        }
        let mut end = middle + 2;
        while wide(end) {
            end += 2;
        }
        if end.saturating_sub(start) >= LEAST * 2 - 2 {
            // The last character in big-endian order.
            let last = bytes.get(end).is_some_and(|b| super::PRINTABLE.has(*b));
            let end = if last { (end + 2).min(bytes.len()) } else { end };
            return Some(start..end);
        }
        probe = (end + stride).max(probe + stride);
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_of_either_byte_order_are_found_wherever_they_stand() {
        let text = "a token: 0123456789";
        for lead in 0..40 {
            for big in [false, true] {
                let wide: Vec<u8> = text.encode_utf16().flat_map(|u| if big { u.to_be_bytes() } else { u.to_le_bytes() }).collect();
                let bytes = [&vec![0xfe; lead][..], &wide, &[0xff, 0xfe, 1, 2, 3]].concat();
                let run = next(&bytes, 0).expect("a run");
                let found: Vec<u8> = bytes[run.clone()].iter().step_by(2).copied().collect();
                assert_eq!(String::from_utf8_lossy(&found), text, "{lead} {big}");
                assert_eq!(next(&bytes, run.end), None);
            }
        }
    }
}
