//! Base64 and base64url (RFC 4648 sections 4 and 5): unpadded, wrapped, glued to words.

use std::ops::{ControlFlow, Range};

use super::bounds;
use super::sink::{Flow, Sink};

/// Shorter runs carry nothing that is worth a look: 12 bytes.
const MIN: usize = 16;
/// A wrapped line is at least this long, but for the last.
const MIN_LINE: usize = 32;
/// Base32, which is tried on the same runs, has up to six.
const MAX_PADDING: usize = 6;

/// Decodes every run whose content looks like something.
pub(super) fn peel(sink: &mut Sink<'_, '_>) -> Flow {
    let bytes = sink.bytes();
    let mut at = 0;
    while let Some(run) = next(bytes, at) {
        at = run.end.max(at + 1);
        if run.len() < MIN || sink.claimed(&run) {
            continue;
        }
        let encoded = bytes.get(run.clone()).unwrap_or_default();
        let mut found = false;
        // A run that fills its view in a slice is the same run as in the parent, which left it to the leaf.
        for skip in 0..4 {
            let Some(decoded) = encoded.get(skip..).and_then(decode) else { continue };
            if super::container::worth_a_view(&decoded, sink.budget) {
                sink.run(decoded, written(bytes, run.clone()), "base64", None)?;
                found = true;
                break;
            }
        }
        if found {
            continue;
        }
        // Written backwards, the padding goes before the run.
        let backwards: Vec<u8> = encoded.iter().rev().copied().filter(|b| *b != b'=').collect();
        match decode(&backwards).filter(|decoded| super::container::worth(decoded)) {
            Some(decoded) => sink.run(decoded, written(bytes, run), "reversed-base64", None)?,
            None => super::radix::alphanumeric(sink, &run)?,
        }
    }
    ControlFlow::Continue(())
}

/// The run as it is written: with the indent and the last line break of a block, with the head of a `data:` URL.
fn written(bytes: &[u8], run: Range<usize>) -> Range<usize> {
    let wrapped = bytes.get(run.clone()).is_some_and(|r| memchr::memchr2(b'\n', b'\\', r).is_some());
    bounds::data_url(bytes, if wrapped { bounds::lines(bytes, run) } else { run })
}

fn member(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'-' | b'_')
}

/// The next run at or after `from`: members, then line breaks with more members, then padding.
fn next(bytes: &[u8], from: usize) -> Option<Range<usize>> {
    let start = from + bytes.get(from..)?.iter().position(|b| member(*b))?;
    let mut end = line(bytes, start);
    let mut last = end - start;
    while last >= MIN_LINE {
        let Some(begin) = wrapped(bytes, end) else { break };
        let stop = line(bytes, begin);
        if stop == begin || (stop - begin > last && last != stop - begin) {
            break;
        }
        last = stop - begin;
        end = stop;
    }
    end += bytes.get(end..)?.iter().take(MAX_PADDING).take_while(|b| **b == b'=').count();
    Some(start..end)
}

/// Where the members that begin at `start` end.
fn line(bytes: &[u8], start: usize) -> usize {
    bytes.get(start..).map_or(start, |rest| start + rest.iter().take_while(|b| member(**b)).count())
}

/// After a line break (as bytes or as `\n`, `\r\n` in text) and an indent, where the next line begins.
fn wrapped(bytes: &[u8], end: usize) -> Option<usize> {
    let rest = bytes.get(end..)?;
    let brk = [&b"\r\n"[..], b"\n", b"\\r\\n", b"\\n"].into_iter().find(|b| rest.starts_with(b))?.len();
    let indent = rest.get(brk..)?.iter().take(16).take_while(|b| matches!(b, b' ' | b'\t')).count();
    Some(end + brk + indent)
}

/// Decodes a run: either alphabet, blanks and padding dropped, a stray last character too.
pub(super) fn decode(encoded: &[u8]) -> Option<Vec<u8>> {
    let mut clean = Vec::with_capacity(encoded.len());
    let mut rest = encoded.iter();
    while let Some(b) = rest.next() {
        match b {
            b'-' => clean.push(b'+'),
            b'_' => clean.push(b'/'),
            b'\\' => {
                rest.next();
            }
            b if member(*b) => clean.push(*b),
            _ => {}
        }
    }
    if clean.len() % 4 == 1 {
        clean.pop();
    }
    base64_simd::forgiving_decode_to_vec(&clean).ok()
}
