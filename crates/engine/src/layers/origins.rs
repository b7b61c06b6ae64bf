//! Where decoded bytes came from: long runs of bytes that stand for themselves cost nothing, each escape one mark.

use std::ops::Range;

/// Escapes this close together are one encoded run.
const NEAR: usize = 24;

/// Decoded offset `decoded` came from `source`; up to the next mark both move along one by one. The byte before it ended at `until`: between
/// `until` and `source` stands what decodes to nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Mark {
    decoded: u32,
    source: u32,
    until: u32,
}

/// The offsets in the source of decoded bytes, written from left to right.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Origins {
    marks: Vec<Mark>,
    len: usize,
    /// Where in the source the last decoded byte ended.
    until: usize,
    /// The run that carries anything decoded that does not stand in one piece in the source, where the encoding is all or nothing.
    whole: Option<Range<usize>>,
}

/// Views are windows of bounded size; an offset beyond can only come from one that is not.
fn narrow(offset: usize) -> u32 {
    u32::try_from(offset).unwrap_or(u32::MAX)
}

impl Origins {
    /// All or nothing: what is not in one piece in the source is carried by `run`.
    pub(super) fn within(run: Range<usize>) -> Origins {
        Origins { whole: Some(run), ..Origins::default() }
    }

    /// The next `bytes` decoded bytes stand for themselves from `source` on.
    pub(super) fn verbatim(&mut self, bytes: usize, source: usize) {
        if bytes > 0 {
            self.mark(source);
            self.len += bytes;
            self.until = source + bytes;
        }
    }

    /// The next `bytes` decoded bytes are one escape of `used` bytes at `source`.
    pub(super) fn escape(&mut self, bytes: usize, source: usize, used: usize) {
        for _ in 0..bytes {
            self.mark(source);
            self.len += 1;
            self.until = source + used;
        }
    }

    /// The source of what follows the last decoded byte ends it.
    pub(super) fn end(&mut self, source: usize) {
        self.mark(source);
    }

    /// What `next` maps follows, from the same source; where it ends is where it ends here.
    pub(super) fn append(&mut self, next: &Origins) {
        let before = narrow(self.len);
        for mark in &next.marks {
            self.len = before.saturating_add(mark.decoded) as usize;
            if mark.decoded > 0 {
                self.until = mark.until as usize;
            }
            self.mark(mark.source as usize);
        }
        self.len = before as usize + next.len;
        self.until = next.until;
    }

    fn mark(&mut self, source: usize) {
        let mark = Mark { decoded: narrow(self.len), source: narrow(source), until: narrow(self.until) };
        match self.marks.last_mut() {
            Some(last) if last.source.wrapping_add(mark.decoded - last.decoded) == mark.source => {}
            Some(last) if last.decoded == mark.decoded => *last = mark,
            _ => self.marks.push(mark),
        }
    }

    /// Where the decoded byte at `offset` came from; at the end, where the last one ended.
    pub(super) fn source(&self, offset: usize) -> usize {
        let offset = narrow(offset);
        let after = self.marks.partition_point(|m| m.decoded <= offset);
        let mark = after.checked_sub(1).and_then(|i| self.marks.get(i)).copied().unwrap_or(Mark { decoded: 0, source: 0, until: 0 });
        mark.source.saturating_add(offset - mark.decoded) as usize
    }

    /// Where the decoded byte before `offset` ended.
    fn until(&self, offset: usize) -> usize {
        let mark = self.marks.binary_search_by_key(&narrow(offset), |m| m.decoded).ok().and_then(|i| self.marks.get(i));
        mark.map_or_else(|| self.source(offset), |m| m.until as usize)
    }

    /// All of the source that was decoded.
    pub(super) fn range(&self) -> Range<usize> {
        self.source(0)..self.source(self.len)
    }

    /// The part of `parent` that carries `decoded`: just its bytes if they stand there in one piece, else the encoded run around.
    pub(crate) fn to_parent(&self, decoded: &Range<usize>, parent: &[u8]) -> Range<usize> {
        let exact = self.source(decoded.start)..self.until(decoded.end);
        if exact.end.saturating_sub(exact.start) == decoded.len() {
            return exact;
        }
        if let Some(whole) = &self.whole {
            return whole.clone();
        }
        let run = self.run(decoded);
        let word = |b: &&u8| super::chars::word(**b);
        let before = parent.get(..run.start).unwrap_or_default().iter().rev().take(NEAR).take_while(word).count();
        let after = parent.get(run.end..).unwrap_or_default().iter().take(NEAR).take_while(word).count();
        super::bounds::line_end(parent, run.start - before..run.end + after)
    }

    /// `decoded`, and the escapes around that are near enough to belong to the same run.
    fn run(&self, decoded: &Range<usize>) -> Range<usize> {
        // The escape that made a mark stands before it.
        let first = self.marks.partition_point(|m| (m.decoded as usize) <= decoded.start);
        let mut start = decoded.start;
        for mark in self.marks.get(1..first).unwrap_or_default().iter().rev() {
            let at = (mark.decoded as usize).saturating_sub(1);
            if at + NEAR < start {
                break;
            }
            start = start.min(at);
        }
        let mut end = decoded.end;
        for mark in self.marks.get(first..).unwrap_or_default() {
            let at = mark.decoded as usize;
            if at > end + NEAR {
                break;
            }
            end = end.max(at);
        }
        self.source(start)..self.source(end.min(self.len))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `ab%63d  %65f`
    fn percent() -> Origins {
        let mut origins = Origins::default();
        origins.verbatim(2, 0);
        origins.escape(1, 2, 3);
        origins.verbatim(3, 5);
        origins.escape(1, 8, 3);
        origins.verbatim(1, 11);
        origins.end(12);
        origins
    }

    #[test]
    fn each_decoded_byte_knows_its_source() {
        let origins = percent();
        let sources: Vec<usize> = (0..=8).map(|i| origins.source(i)).collect();
        assert_eq!(sources, [0, 1, 2, 5, 6, 7, 8, 11, 12]);
        assert_eq!(origins.range(), 0..12);
    }

    #[test]
    fn what_stands_in_one_piece_is_itself_and_what_is_escaped_is_the_run() {
        let (origins, parent) = (percent(), b"ab%63d  %65f");
        assert_eq!(origins.to_parent(&(0..2), parent), 0..2);
        assert_eq!(origins.to_parent(&(3..5), parent), 5..7);
        assert_eq!(origins.to_parent(&(1..3), parent), 0..12);
    }

    #[test]
    fn an_encoding_that_is_all_or_nothing_is_carried_by_all_of_it() {
        let mut origins = Origins::within(1..40);
        origins.verbatim(3, 2);
        origins.verbatim(3, 9);
        origins.end(12);
        assert_eq!(origins.to_parent(&(1..3), &[0; 50]), 3..5);
        assert_eq!(origins.to_parent(&(0..3), &[0; 50]), 2..5);
        assert_eq!(origins.to_parent(&(2..4), &[0; 50]), 1..40);
    }
}
