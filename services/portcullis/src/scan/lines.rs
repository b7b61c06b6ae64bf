//! From byte offsets to lines and columns, without keeping the text.

use std::collections::VecDeque;

/// Offsets of the line ends that a finding may still need.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    /// Bytes seen.
    seen: u64,
    /// Line ends before those in `ends`.
    before: u64,
    /// Where the line after the last forgotten end begins.
    begin: u64,
    /// Offsets just after each remembered line end.
    ends: VecDeque<u64>,
}

impl Lines {
    /// Takes the next bytes of the input.
    pub(crate) fn take(&mut self, bytes: &[u8]) {
        self.ends.extend(memchr::memchr_iter(b'\n', bytes).map(|i| self.seen + i as u64 + 1));
        self.seen += bytes.len() as u64;
    }

    /// No offset before this one will be asked for.
    pub(crate) fn forget(&mut self, offset: u64) {
        while let Some(end) = self.ends.front().copied().filter(|end| *end <= offset) {
            self.ends.pop_front();
            self.before += 1;
            self.begin = end;
        }
    }

    /// Line and column of an offset, both from 1; columns count bytes.
    pub(crate) fn position(&self, offset: u64) -> (u64, u64) {
        let whole = self.ends.partition_point(|end| *end <= offset);
        let begin = if whole == 0 { self.begin } else { self.ends[whole - 1] };
        (self.before + whole as u64 + 1, offset.saturating_sub(begin) + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_are_the_same_after_forgetting() {
        let mut lines = Lines::default();
        lines.take(b"ab\ncd\n");
        lines.take(b"\nef");
        assert_eq!(lines.position(0), (1, 1));
        assert_eq!(lines.position(4), (2, 2));
        assert_eq!(lines.position(8), (4, 2));
        lines.forget(5);
        assert_eq!(lines.position(8), (4, 2));
        lines.forget(9);
        assert_eq!(lines.position(8), (4, 2));
    }
}
