//! `GIT binary patch` in a diff: lines of base 85 with their length before them, of a deflated file or a delta.

use std::ops::ControlFlow;
use std::sync::LazyLock;

use memchr::memmem::Finder;

use super::delta::Delta;
use crate::layers::coding;
use crate::layers::sink::{Flow, Sink};

/// No patch is shorter.
const LEAST: usize = 48;
const HEAD: &[u8] = b"GIT binary patch";
static BEGIN: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(HEAD));

/// Hands on what each patch holds.
pub(in crate::layers::container) fn peel(sink: &mut Sink<'_, '_>) -> Flow {
    let bytes = sink.bytes();
    if bytes.len() < LEAST {
        return ControlFlow::Continue(());
    }
    let mut at = 0;
    while let Some(found) = bytes.get(at..).and_then(|rest| BEGIN.find(rest)) {
        at += found + HEAD.len();
        // The patch, and the one that takes it back.
        for _ in 0..2 {
            let Some((delta, data, end)) = hunk(bytes, at) else { break };
            sink.work(super::ATTEMPT + data.len() as u64 / 8, at)?;
            let Some(done) = coding::decode("zlib", &data, at, sink.budget) else { break };
            sink.budget.earn(done.bytes.len());
            // What is escaped once more decodes to nothing here, and is looked at where the escapes are undone.
            if done.gap == Some(crate::Gap::Budget) {
                sink.budget.miss(at, crate::Gap::Budget);
            }
            let added = if delta { Delta::parse(&done.bytes).map(|d| d.added()) } else { None };
            sink.unpacked(added.unwrap_or(done.bytes), at..end, "git-patch")?;
            at = end;
        }
    }
    ControlFlow::Continue(())
}

/// The hunk that follows: whether it is a delta, what its lines hold, and where it ends.
fn hunk(bytes: &[u8], at: usize) -> Option<(bool, Vec<u8>, usize)> {
    let mut lines = Lines { bytes, at };
    let mut kind = lines.next()?;
    while kind.iter().all(u8::is_ascii_whitespace) {
        kind = lines.next()?;
    }
    let delta = kind.starts_with(b"delta ");
    if !delta && !kind.starts_with(b"literal ") {
        return None;
    }
    let mut data = Vec::new();
    while let Some(line) = lines.next() {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let Some((first, digits)) = line.split_first() else { break };
        let length = match first {
            b'A'..=b'Z' => usize::from(first - b'A') + 1,
            b'a'..=b'z' => usize::from(first - b'a') + 27,
            _ => break,
        };
        let decoded = base85(digits)?;
        data.extend_from_slice(decoded.get(..length)?);
    }
    Some((delta, data, lines.at)).filter(|(_, data, _)| !data.is_empty())
}

struct Lines<'b> {
    bytes: &'b [u8],
    at: usize,
}

impl<'b> Lines<'b> {
    fn next(&mut self) -> Option<&'b [u8]> {
        let rest = self.bytes.get(self.at..).filter(|r| !r.is_empty())?;
        let length = memchr::memchr(b'\n', rest).unwrap_or(rest.len());
        self.at = (self.at + length + 1).min(self.bytes.len());
        rest.get(..length)
    }
}

/// Git's alphabet, which is that of RFC 1924.
static VALUES: [u8; 256] = {
    let alphabet = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz!#$%&()*+-;<=>?@^_`{|}~";
    let mut values = [u8::MAX; 256];
    let mut i = 0;
    while i < 85 {
        values[alphabet[i] as usize] = i as u8;
        i += 1;
    }
    values
};

fn base85(digits: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(digits.len() / 5 * 4);
    for group in digits.chunks_exact(5) {
        let value = group.iter().try_fold(0_u32, |n, b| {
            let digit = VALUES[usize::from(*b)];
            (digit < 85).then(|| n.wrapping_mul(85).wrapping_add(u32::from(digit)))
        })?;
        out.extend_from_slice(&value.to_be_bytes());
    }
    Some(out)
}
