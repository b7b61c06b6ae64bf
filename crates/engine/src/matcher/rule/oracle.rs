//! What detectors find without any of the shortcuts: no prefilter, no anchors, no window. The engine must find just that.
//!
//! Every pattern is tried at every byte, every word of a name or a context is looked for at every byte; boundaries and checks are the detector's own.
//! Of what one detector finds the first stands and what begins inside it does not count; of what all find the matcher's choice stands.

use std::ops::Range;

use regex_automata::{Anchored, Input};
use rules::RuleSet;

use super::super::{Match, Matcher};
use super::{Hit, Rule};
use crate::layers::{Budget, View};
use crate::{CompileError, Limits};

/// Compares the matcher with the naive way.
#[cfg_attr(not(fuzzing), expect(unreachable_pub, reason = "public for the fuzz target only"))]
#[derive(Debug)]
pub struct Oracle {
    matcher: Matcher,
}

#[cfg_attr(not(fuzzing), expect(unreachable_pub, reason = "public for the fuzz target only"))]
impl Oracle {
    /// Compiles a rule set.
    ///
    /// # Errors
    /// When a pattern does not compile.
    pub fn new(set: &RuleSet) -> Result<Oracle, CompileError> {
        Ok(Oracle { matcher: Matcher::compile(set)? })
    }

    /// What to try it on, and nobody would come upon: examples, counter-examples, anchors and words of contexts.
    pub fn pieces(set: &RuleSet) -> Vec<Vec<u8>> {
        const LONGEST: usize = 600;
        let texts = set.detectors().iter().flat_map(|d| {
            let words = d.anchors.iter().chain(d.context.iter().flat_map(|c| &c.keywords));
            d.examples.iter().chain(&d.counter_examples).chain(words)
        });
        texts.filter(|text| text.len() < LONGEST).map(|text| text.as_bytes().to_vec()).collect()
    }

    /// What one of the two ways finds and the other does not: detectors and places, no content.
    pub fn differences(&self, bytes: &[u8]) -> Vec<String> {
        let view = View::of(bytes);
        let limits = Limits::default();
        let mut budget =
            Budget { decoded: limits.decoded_bytes, ratio: limits.ratio, work: u64::MAX, earned: 0, cuts: Vec::new(), gap: None };
        let found = self.matcher.find(&view, &[], &mut budget).matches;
        let naive: Vec<Match> = (0..self.matcher.rules.len()).flat_map(|rule| self.naive(rule, &view)).collect();
        let wanted = self.matcher.best(naive);
        let same = |a: &Match, b: &Match| a.rule == b.rule && a.secret == b.secret && a.span == b.span && a.confidence == b.confidence;
        let say = |m: &Match, what: &str| format!("{} {:?}: {what}", self.matcher.rules[m.rule].detector.id, m.secret);
        let missed = wanted.iter().filter(|w| !found.iter().any(|f| same(f, w))).map(|m| say(m, "missed"));
        let invented = found.iter().filter(|f| !wanted.iter().any(|w| same(f, w))).map(|m| say(m, "not wanted"));
        missed.chain(invented).collect()
    }

    /// All that one detector finds.
    fn naive(&self, index: usize, view: &View<'_>) -> Vec<Match> {
        let rule = &self.matcher.rules[index];
        let mut from = 0;
        let mut found = Vec::new();
        for at in 0..view.bytes.len() {
            if at < from {
                continue;
            }
            let hits = if rule.by_name() || rule.by_context() {
                rule.announced_at(view, at, from)
            } else {
                rule.matched_at(view, at).into_iter().collect()
            };
            if let Some((whole, hit)) = hits.into_iter().next() {
                from = whole.end;
                found.push(Match::new(index, hit));
            }
        }
        found
    }
}

impl Rule {
    /// A match that begins right here.
    fn matched_at(&self, view: &View<'_>, at: usize) -> Option<(Range<usize>, Hit)> {
        let input = Input::new(view.bytes).span(at..view.bytes.len()).anchored(Anchored::Yes);
        self.regex.search_half(&input)?;
        let mut captures = self.regex.create_captures();
        self.regex.search_captures(&input, &mut captures);
        let whole = captures.get_match()?.range();
        self.judge(view, &captures, &whole).map(|hit| (whole.clone(), hit)).or_else(|| self.counted(view, &whole))
    }

    /// What a word announces that begins right here: one of a name, or of the context.
    fn announced_at(&self, view: &View<'_>, at: usize, from: usize) -> Vec<(Range<usize>, Hit)> {
        let words = self.anchors().map(|word| (at..at + word.len(), word));
        let here = words.filter(|(range, word)| view.bytes.get(range.clone()).is_some_and(|b| b.eq_ignore_ascii_case(word.as_bytes())));
        here.filter_map(|(range, _)| self.confirm(view, &range, from)).filter_map(|(whole, hit)| Some((whole, hit?))).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use proptest::prelude::*;

    use super::*;

    static ORACLE: LazyLock<Oracle> = LazyLock::new(|| Oracle::new(RuleSet::builtin()).expect("the catalogue compiles"));

    static PIECES: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| Oracle::pieces(RuleSet::builtin()));

    /// A piece as it stands, cut short, with a byte changed, or chance.
    fn piece() -> impl Strategy<Value = Vec<u8>> {
        let whole = any::<prop::sample::Index>().prop_map(|i| PIECES[i.index(PIECES.len())].clone());
        let cut = (any::<prop::sample::Index>(), any::<prop::sample::Index>()).prop_map(|(i, end)| {
            let piece = &PIECES[i.index(PIECES.len())];
            piece[..end.index(piece.len() + 1)].to_vec()
        });
        let changed = (any::<prop::sample::Index>(), any::<prop::sample::Index>(), any::<u8>()).prop_map(|(i, at, byte)| {
            let mut piece = PIECES[i.index(PIECES.len())].clone();
            let at = at.index(piece.len());
            piece[at] = byte;
            piece
        });
        let glue =
            prop::sample::select(vec!["", " ", "\n", "=", ": ", "\"", "_", "-", "\\n", "é", "\u{0}"]).prop_map(|s| s.as_bytes().to_vec());
        prop_oneof![4 => whole, 2 => cut, 2 => changed, 4 => glue, 1 => "[A-Za-z0-9]{1,40}".prop_map(String::into_bytes)]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn the_matcher_finds_what_the_naive_way_finds(pieces in prop::collection::vec(piece(), 1..10)) {
            let bytes = pieces.concat();
            let differences = ORACLE.differences(&bytes);
            prop_assert!(differences.is_empty(), "{differences:#?}\nin {:?}", String::from_utf8_lossy(&bytes));
        }
    }
}
