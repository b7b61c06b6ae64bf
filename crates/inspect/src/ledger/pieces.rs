//! Which parts of one known secret a sandbox has sent, by which request or which scanner ever.

use std::collections::BTreeMap;
use std::ops::Range;

use engine::Part;
use engine::known::says_too_much;

use super::shared::{Change, Way};

/// Parts that are remembered; a secret that is sent in more was put together before.
const MAX_PARTS: usize = 64;

/// The parts of one secret, and when they were sent last.
#[derive(Debug, Default)]
pub(super) struct Pieces {
    now: u64,
    window: u64,
    sent: BTreeMap<(u32, u32), u64>,
    /// Those that the others do not know of.
    untold: BTreeMap<(u32, u32), u64>,
}

impl Pieces {
    /// Adds a part; whether together they say too much.
    pub(super) fn add(&mut self, part: &Part, at: u64, window: u64) -> bool {
        self.now = self.now.max(at);
        self.window = window;
        self.forget();
        let this = (part.part.start, part.part.end);
        if self.sent.insert(this, self.now).is_none_or(|before| self.now.saturating_sub(before) > window / 16) {
            self.untold.insert(this, self.now);
        }
        if self.sent.len() > MAX_PARTS {
            let oldest = self.sent.iter().filter(|(part, _)| **part != this).min_by_key(|(_, at)| **at).map(|(part, _)| *part);
            oldest.map(|part| self.sent.remove(&part));
        }
        let parts: Vec<Range<u32>> = self.sent.keys().map(|(start, end)| *start..*end).collect();
        parts.len() > 1 && says_too_much(&parts, part.of)
    }

    fn forget(&mut self) {
        let (now, window) = (self.now, self.window);
        self.sent.retain(|_, at| now.saturating_sub(*at) <= window);
    }

    pub(super) fn keep(&self) -> u64 {
        self.window
    }

    /// What was sent since the last time.
    pub(super) fn take(&mut self) -> Vec<Change> {
        self.untold.iter().map(|((start, end), at)| Change { field: format!("p{start:x}-{end:x}"), way: Way::Set, value: *at }).collect()
    }

    /// What was taken is taken again.
    pub(super) fn restore(&mut self) {}

    /// What all have sent; gives the fields that say nothing any more.
    pub(super) fn learn(&mut self, fields: &[(String, u64)]) -> Vec<String> {
        let mut old = Vec::new();
        for (field, at) in fields {
            let read = field
                .strip_prefix('p')
                .and_then(|text| text.split_once('-'))
                .and_then(|(start, end)| Some((u32::from_str_radix(start, 16).ok()?, u32::from_str_radix(end, 16).ok()?)));
            let Some(part) = read.filter(|(start, end)| start < end) else { continue };
            self.untold.retain(|own, sent| *own != part || *sent > *at);
            if self.now.saturating_sub(*at) > self.window {
                old.push(field.clone());
            } else if self.sent.contains_key(&part) || self.sent.len() < MAX_PARTS {
                let sent = self.sent.entry(part).or_insert(*at);
                *sent = (*sent).max(*at);
            }
        }
        old
    }
}
