//! The catalogue on Hyperscan's side, with exact spans, in four ways.
//!
//! Start of match from Hyperscan itself; or end offsets, from which a reversed lazy DFA walks back to the start and our regular expression
//! forth to the true end. Detectors that tell by a word of their context are there as their patterns, as a user of Hyperscan would have
//! them, or as their words, as our engine has them. A pattern that Hyperscan refuses is there as its words, each confirmed where the pattern
//! can match. Detectors without a pattern, which judge values behind names, are there as their names alone: Hyperscan's side does less.

use std::ffi::CString;
use std::ops::Range;

use kingfisher_vectorscan_sys as sys;
use regex_automata::hybrid::dfa::{Cache, DFA};
use regex_automata::nfa::thompson;
use regex_automata::util::syntax;
use regex_automata::{Anchored, Input, MatchKind, meta::Regex};
use regex_syntax::hir::{Hir, literal::Extractor};
use rules::{Detector, Form};

use crate::hyperscan::{Block, Expression};

/// No pattern is looked for further than this; what the engine does too.
const MAX_REACH: usize = 64 << 10;

/// How the catalogue is given to Hyperscan.
#[derive(Clone, Copy)]
pub(crate) struct Way {
    /// Hyperscan tells where matches begin.
    pub(crate) start_of_match: bool,
    /// Detectors by context are their words.
    pub(crate) context_words: bool,
}

struct Rule {
    /// None: a detector without a pattern.
    regex: Option<Regex>,
    back: Option<(DFA, Cache)>,
    reach: usize,
    words: Vec<String>,
    within: Option<usize>,
    /// Every match begins with one of the words.
    prefix: bool,
}

#[derive(Clone, Copy)]
enum Kind {
    /// Hyperscan tells start and end.
    Exact,
    /// Hyperscan tells the end.
    End,
    /// Hyperscan finds a word of it, this long.
    Word(usize),
}

/// How many detectors are there as what.
#[derive(Clone, Copy)]
pub(crate) struct Shape {
    pub(crate) patterns: usize,
    pub(crate) words: usize,
    pub(crate) refused: usize,
}

/// Compiled for one of the ways.
pub(crate) struct Spans {
    block: Block,
    rules: Vec<Rule>,
    /// For each expression, its rule.
    of: Vec<(usize, Kind)>,
    pub(crate) shape: Shape,
}

impl Spans {
    pub(crate) fn compile(detectors: &[Detector], way: Way) -> Spans {
        let rules: Vec<Rule> = detectors.iter().map(rule).collect();
        let (flags, kind) = if way.start_of_match { (sys::HS_FLAG_SOM_LEFTMOST, Kind::Exact) } else { (0, Kind::End) };
        let pattern = |d: &Detector| CString::new(&*d.pattern).expect("no NUL in a pattern");
        let wanted: Vec<bool> = detectors.iter().map(|d| d.form == Form::Pattern && !(way.context_words && d.anchors.is_empty())).collect();
        let accepted = |d: &Detector| Block::compile(&[Expression { text: pattern(d), flags }]).is_ok();
        let mut taken: Vec<bool> = detectors.iter().zip(&wanted).map(|(d, wanted)| *wanted && accepted(d)).collect();
        loop {
            let (mut all, mut of) = (Vec::new(), Vec::new());
            for (i, (rule, detector)) in rules.iter().zip(detectors).enumerate() {
                if taken[i] {
                    all.push(Expression { text: pattern(detector), flags });
                    of.push((i, kind));
                    continue;
                }
                for word in &rule.words {
                    all.push(Expression { text: quoted(word), flags: sys::HS_FLAG_CASELESS });
                    of.push((i, Kind::Word(word.len())));
                }
            }
            match Block::compile(&all) {
                Ok(block) => {
                    let patterns = taken.iter().filter(|t| **t).count();
                    let refused = wanted.iter().zip(&taken).filter(|(wanted, taken)| **wanted && !**taken).count();
                    let shape = Shape { patterns, words: rules.len() - patterns, refused };
                    return Spans { block, rules, of, shape };
                }
                Err(at) => taken[at.map(|at| of[at].0).expect("Hyperscan names the expression that it refuses")] = false,
            }
        }
    }

    /// How many matches, of all patterns, none inside another of the same pattern.
    pub(crate) fn matches(&mut self, bytes: &[u8]) -> usize {
        let mut count = 0;
        self.each(bytes, |_| count += 1);
        count
    }

    /// Calls `found` with the rule of each match.
    pub(crate) fn each(&mut self, bytes: &[u8], mut found: impl FnMut(usize)) {
        let Spans { block, rules, of, .. } = self;
        // For each rule that matched the last match, which a report may only extend.
        let mut last: Vec<(usize, Range<usize>)> = Vec::new();
        block.scan(bytes, |id, from, to| {
            let (index, kind) = of[id];
            let rule = &mut rules[index];
            let slot = last.iter().position(|(i, _)| *i == index);
            let known = slot.map_or(0..0, |slot| last[slot].1.clone());
            let span = match kind {
                Kind::Exact => Some(from..to),
                // A report inside what is confirmed already is one of the many ends of one match.
                _ if to <= known.end => None,
                Kind::End => rule.around(bytes, known.end..to),
                Kind::Word(len) => rule.at_word(bytes, to - len..to, known.end),
            };
            let Some(span) = span else { return };
            match slot {
                Some(slot) if span.start < known.end => {
                    last[slot].1 = known.start.min(span.start)..known.end.max(span.end);
                    return;
                }
                Some(slot) => last[slot].1 = span,
                None => last.push((index, span)),
            }
            found(index);
        });
    }
}

impl Rule {
    fn find(&self, bytes: &[u8], window: Range<usize>, anchored: Anchored) -> Option<Range<usize>> {
        if window.start >= window.end {
            return None;
        }
        Some(self.regex.as_ref()?.find(Input::new(bytes).span(window).anchored(anchored))?.range())
    }

    /// The match that ends where `within` does, or further on.
    fn around(&mut self, bytes: &[u8], within: Range<usize>) -> Option<Range<usize>> {
        let (dfa, cache) = self.back.as_mut()?;
        let input = Input::new(bytes).span(within).anchored(Anchored::Yes);
        let start = dfa.try_search_rev(cache, &input).ok()??.offset();
        self.find(bytes, start..(start + self.reach).min(bytes.len()), Anchored::Yes)
    }

    /// The match that a word stands for.
    fn at_word(&self, bytes: &[u8], at: Range<usize>, from: usize) -> Option<Range<usize>> {
        let (window, anchored) = match self.within {
            Some(within) => (at.end..at.end + within + self.reach, Anchored::No),
            None if self.prefix => (at.start..at.start + self.reach, Anchored::Yes),
            None => (at.start.saturating_sub(self.reach)..at.start + self.reach, Anchored::No),
        };
        if self.prefix && window.start < from {
            return None;
        }
        self.find(bytes, window.start.max(from)..window.end.min(bytes.len()), anchored)
    }
}

fn quoted(word: &str) -> CString {
    CString::new(word.bytes().map(|b| format!("\\x{b:02x}")).collect::<String>()).expect("no NUL")
}

fn parse(pattern: &str) -> Hir {
    regex_syntax::ParserBuilder::new().unicode(false).utf8(false).build().parse(pattern).expect("the catalogue's patterns parse")
}

/// Whether every match begins with an anchor.
fn prefix(detector: &Detector) -> bool {
    let cased = detector.pattern.replace("(?i:", "(?:").replace("(?i)", "");
    let first = Extractor::new().limit_total(500).extract(&parse(&cased));
    let begins = |l: &[u8]| detector.anchors.iter().any(|a| l.get(..a.len()).is_some_and(|l| l.eq_ignore_ascii_case(a.as_bytes())));
    first.literals().is_some_and(|all| !all.is_empty() && all.iter().all(|l| begins(l.as_bytes())))
}

fn rule(detector: &Detector) -> Rule {
    let context = detector.context.as_ref().filter(|_| detector.anchors.is_empty());
    let words = context.map_or(&detector.anchors, |c| &c.keywords).clone();
    let within = context.map(|c| c.within);
    if detector.form != Form::Pattern {
        return Rule { regex: None, back: None, reach: 0, words, within, prefix: false };
    }
    let config = syntax::Config::new().unicode(false).utf8(false);
    let regex = Regex::builder().syntax(config).configure(Regex::config().utf8_empty(false)).build(&detector.pattern).expect("compiles");
    let back = DFA::builder()
        .configure(DFA::config().match_kind(MatchKind::All).skip_cache_capacity_check(true))
        .syntax(config)
        .thompson(thompson::Config::new().reverse(true).utf8(false))
        .build(&detector.pattern)
        .expect("compiles");
    let cache = back.create_cache();
    let reach = parse(&detector.pattern).properties().maximum_len().unwrap_or(MAX_REACH).min(MAX_REACH);
    Rule { regex: Some(regex), back: Some((back, cache)), reach, words, within, prefix: prefix(detector) }
}
