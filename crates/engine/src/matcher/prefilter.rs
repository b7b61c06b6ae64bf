//! Finds anchors. A later form is faster; the surface stays.

use std::ops::Range;

use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};

/// All anchors of all detectors, without regard to case.
#[derive(Debug)]
pub(crate) struct Prefilter {
    automaton: AhoCorasick,
    /// For each anchor, the detectors that have it.
    rules: Vec<Vec<usize>>,
}

impl Prefilter {
    pub(crate) fn new(anchors: impl Iterator<Item = (String, usize)>) -> Result<Prefilter, String> {
        let mut by_anchor: std::collections::BTreeMap<String, Vec<usize>> = std::collections::BTreeMap::new();
        for (anchor, rule) in anchors {
            by_anchor.entry(anchor.to_ascii_lowercase()).or_default().push(rule);
        }
        let automaton = AhoCorasick::builder()
            .ascii_case_insensitive(true)
            .match_kind(MatchKind::Standard)
            .kind(Some(AhoCorasickKind::DFA))
            .build(by_anchor.keys())
            .map_err(|e| e.to_string())?;
        Ok(Prefilter { automaton, rules: by_anchor.into_values().collect() })
    }

    /// Calls `visit` for each anchor and detector until it says no; `false` then.
    pub(crate) fn each(&self, bytes: &[u8], mut visit: impl FnMut(Range<usize>, usize) -> bool) -> bool {
        for hit in self.automaton.find_overlapping_iter(bytes) {
            for rule in &self.rules[hit.pattern().as_usize()] {
                if !visit(hit.start()..hit.end(), *rule) {
                    return false;
                }
            }
        }
        true
    }
}
