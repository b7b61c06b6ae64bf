//! Entries as they came: what objects that were let go can be made of again.

use std::collections::{HashMap, VecDeque};

use flate2::{Decompress, FlushDecompress, Status};

use super::entry::Object;

/// A longer entry is not kept: there are few, and the last ones are kept as objects.
pub(super) const LONGEST: usize = 64 << 10;
/// What a kept entry costs beside its bytes.
const OVERHEAD: usize = 120;

/// An entry of the pack.
#[derive(Debug)]
pub(super) struct Raw {
    /// A whole object, or where the base of a delta begins.
    pub(super) form: Result<Object, u64>,
    /// Bytes that it inflates to.
    pub(super) size: usize,
    /// Its stream.
    pub(super) stream: Vec<u8>,
}

impl Raw {
    /// What it inflates to.
    pub(super) fn inflate(&self) -> Option<Vec<u8>> {
        let mut out = Vec::with_capacity(self.size + 1);
        let status = Decompress::new(true).decompress_vec(&self.stream, &mut out, FlushDecompress::Finish);
        (matches!(status, Ok(Status::StreamEnd)) && out.len() == self.size).then_some(out)
    }
}

/// Entries by where they begin, within a bound of memory: the last ones stay.
#[derive(Debug)]
pub(super) struct Entries {
    kept: HashMap<u64, Raw>,
    order: VecDeque<u64>,
    bytes: usize,
    most: usize,
}

impl Entries {
    pub(super) fn new(most: usize) -> Entries {
        Entries { kept: HashMap::new(), order: VecDeque::new(), bytes: 0, most }
    }

    pub(super) fn keep(&mut self, at: u64, mut raw: Raw) {
        raw.stream.shrink_to_fit();
        self.bytes += raw.stream.len() + OVERHEAD;
        self.order.push_back(at);
        self.kept.insert(at, raw);
        while self.bytes > self.most {
            let Some(raw) = self.order.pop_front().and_then(|oldest| self.kept.remove(&oldest)) else { break };
            self.bytes = self.bytes.saturating_sub(raw.stream.len() + OVERHEAD);
        }
    }

    pub(super) fn get(&self, at: u64) -> Option<&Raw> {
        self.kept.get(&at)
    }

    pub(super) fn memory(&self) -> usize {
        self.bytes
    }
}
