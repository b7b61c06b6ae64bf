//! Detectors compiled: a prefilter over all anchors, then each hit confirmed by its detector's own pattern.

mod assigned;
mod boundary;
mod checks;
mod except;
mod opening;
mod prefilter;
mod rule;

use std::ops::Range;
use std::sync::Arc;

use rules::{Confidence, RuleSet};

use crate::CompileError;
use crate::layers::disguise::{self, Disguise};
use crate::layers::{Budget, View};
use opening::Set;
use prefilter::{Prefilter, Word};
use rule::{Hit, Rule};

pub(crate) use assigned::is_opaque;
pub(crate) use checks::{entropy, holds};
#[cfg(fuzzing)]
pub use rule::oracle::Oracle;

/// Shorter words stand in disguise by chance, unless no text has them.
const MIN_DISGUISED: usize = 4;
/// So far into a part that is a view of its own, a view looks as well.
const EDGE: usize = 256;
/// So many places of one view in disguise are looked at.
const MAX_DISGUISED: usize = 256;
/// How far around a word in disguise is looked at, at most.
const MAX_AROUND: usize = 4096;

/// What a word that the prefilter finds stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Target {
    rule: usize,
    /// The word is the detector's in this disguise.
    disguise: Option<Disguise>,
}

/// A confirmed match in one view.
#[derive(Debug, Clone)]
pub(crate) struct Match {
    /// Index of the detector.
    pub(crate) rule: usize,
    /// The secret's bytes in the view.
    pub(crate) secret: Range<usize>,
    /// What is reported of the view: the secret, or what must go with it.
    pub(crate) span: Range<usize>,
    /// How sure.
    pub(crate) confidence: Confidence,
}

impl Match {
    fn new(rule: usize, Hit { secret, span, confidence }: Hit) -> Match {
        Match { rule, secret, span, confidence }
    }
}

/// What one anchor of one detector costs on a sample.
#[derive(Debug, Clone)]
pub struct AnchorCost {
    /// The detector.
    pub detector: Arc<rules::Detector>,
    /// The word, in lower case, in whatever disguise.
    pub anchor: String,
    /// How often the prefilter finds it.
    pub hits: u64,
    /// How often the pattern is tried there.
    pub tried: u64,
    /// The bytes in which it is looked for, in total.
    pub work: u64,
}

/// What is found in one view.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// By start.
    pub(crate) matches: Vec<Match>,
    /// Where something stands that matches once a disguise is taken off.
    pub(crate) disguised: Vec<(Range<usize>, Disguise)>,
    /// Where words stand that detectors look for, by where they begin. None: not everything was looked at.
    words: Option<Vec<usize>>,
    /// What was left to views of their own.
    later: Vec<Range<usize>>,
}

impl Found {
    /// Whether no word that detectors look for begins in this part of the view.
    pub(crate) fn quiet(&self, part: &Range<usize>) -> bool {
        let looked_at = self.later.get(self.later.partition_point(|l| l.end <= part.start)).is_none_or(|l| part.end <= l.start);
        looked_at
            && self
                .words
                .as_ref()
                .is_some_and(|words| words.get(words.partition_point(|at| *at < part.start)).is_none_or(|at| *at >= part.end))
    }
}

/// All detectors.
#[derive(Debug)]
pub(crate) struct Matcher {
    rules: Vec<Rule>,
    prefilter: Prefilter<Target>,
}

impl Matcher {
    /// Compiles a rule set.
    pub(crate) fn compile(set: &RuleSet) -> Result<Matcher, CompileError> {
        let mut compiled = except::Compiled::default();
        let rules = set.detectors().iter().map(|d| Rule::compile(d, &mut compiled)).collect::<Result<Vec<_>, _>>()?;
        let mut words = Vec::new();
        for (rule, r) in rules.iter().enumerate() {
            for anchor in r.anchors().map(str::as_bytes) {
                let word = Word { text: anchor.to_vec(), exact: r.exact(), behind: r.behind(anchor.len()), before: opening::ANY };
                words.push((word, Target { rule, disguise: None }));
                for disguise in disguise::ALL {
                    let text = disguise.apply(anchor);
                    if (anchor.len() >= MIN_DISGUISED || (r.exact() && turns(anchor))) && !text.eq_ignore_ascii_case(anchor) {
                        let behind = r.behind(anchor.len());
                        let (before, behind) = match disguise {
                            Disguise::Reversed => (behind, opening::ANY),
                            _ => (opening::ANY, disguised_set(&behind, disguise)),
                        };
                        words.push((Word { text, exact: r.exact(), behind, before }, Target { rule, disguise: Some(disguise) }));
                    }
                }
            }
        }
        Ok(Matcher { rules, prefilter: Prefilter::new(words.into_iter()) })
    }

    /// Every detector that does not compile.
    pub(crate) fn refused(set: &RuleSet) -> Vec<CompileError> {
        let mut compiled = except::Compiled::default();
        set.detectors().iter().filter_map(|d| Rule::compile(d, &mut compiled).err()).collect()
    }

    /// The detectors, in order.
    pub(crate) fn detectors(&self) -> impl Iterator<Item = &Arc<rules::Detector>> {
        self.rules.iter().map(|r| &r.detector)
    }

    /// The detector of a match.
    pub(crate) fn detector(&self, rule: usize) -> &Arc<rules::Detector> {
        &self.rules[rule].detector
    }

    /// What each anchor costs on `bytes`.
    pub(crate) fn costs(&self, bytes: &[u8]) -> Vec<AnchorCost> {
        let view = View::of(bytes);
        let mut costs: std::collections::BTreeMap<(usize, Vec<u8>), AnchorCost> = std::collections::BTreeMap::new();
        self.prefilter.each(bytes, |at, target| {
            let rule = &self.rules[target.rule];
            let anchor = bytes[at.clone()].to_ascii_lowercase();
            let cost = costs.entry((target.rule, anchor)).or_insert_with_key(|(_, anchor)| AnchorCost {
                detector: Arc::clone(&rule.detector),
                anchor: String::from_utf8_lossy(anchor).into_owned(),
                hits: 0,
                tried: 0,
                work: 0,
            });
            cost.hits += 1;
            if target.disguise.is_none() && rule.may_begin(&view, &at) {
                cost.tried += 1;
                cost.work += rule.window(&at, bytes.len()).len() as u64;
            }
            true
        });
        costs.into_values().collect()
    }

    /// All that is found in a view, but for what begins in the middle of the parts that are views of their own `later`. Work is deducted; when it
    /// runs out the gap is noted and the rest is not looked at.
    pub(crate) fn find(&self, view: &View<'_>, later: &[Range<usize>], budget: &mut Budget) -> Found {
        let mut found = Found::default();
        // Where each detector may next begin: what one match covers is not searched again.
        let mut next: Vec<(usize, usize)> = Vec::new();
        let twice = matches!(view.layer, Some("rot13" | "rot47" | "atbash" | "reversed" | "reversed-base64"));
        let mut words = Vec::new();
        let bytes = if view.quiet { &[] } else { view.bytes };
        let later = middles(later);
        let complete = self.prefilter.each_but(bytes, &later, |at, target| {
            if words.last() != Some(&at.start) {
                words.push(at.start);
            }
            let rule = &self.rules[target.rule];
            if let Some(disguise) = target.disguise {
                return twice || found.disguised.len() >= MAX_DISGUISED || disguised(rule, view, &at, disguise, budget, &mut found);
            }
            let from = next.iter().find(|(r, _)| *r == target.rule).map_or(0, |(_, n)| *n);
            if at.start < from || !rule.may_begin(view, &at) {
                return true;
            }
            if !pay(budget, 16 + rule.window(&at, view.bytes.len()).len() as u64 / 8, at.start) {
                return false;
            }
            // A match that was refused may hide a true one that begins inside it.
            if let Some((whole, Some(hit))) = rule.confirm(view, &at, from) {
                next.retain(|(r, _)| *r != target.rule);
                next.push((target.rule, whole.end));
                found.matches.push(Match::new(target.rule, hit));
            }
            true
        });
        if complete
            && !view.unnamed
            && let Some(field) = view.name()
        {
            self.by_field(view, field, budget, &mut found.matches);
        }
        found.words = complete.then_some(words);
        found.later = later;
        if found.matches.len() > 1 {
            found.matches = self.best(found.matches);
        }
        found
    }

    /// Detectors whose context word stands in the key of the field rather than before the value.
    fn by_field(&self, view: &View<'_>, field: &str, budget: &mut Budget, found: &mut Vec<Match>) {
        // A long text has its words beside its values; only a leaf that is a value is judged by its key.
        if view.bytes.len() > 4096 {
            return;
        }
        for (rule, at) in self.named_by(field) {
            if !pay(budget, 16 + view.bytes.len() as u64 / 8, 0) {
                return;
            }
            found.extend(self.rules[rule].in_field(view, field, &at).map(|hit| Match::new(rule, hit)));
        }
    }

    /// The detectors that a key's words call for, and where those stand.
    fn named_by(&self, field: &str) -> Vec<(usize, Range<usize>)> {
        let mut seen: Vec<(usize, Range<usize>)> = Vec::new();
        self.prefilter.each(field.as_bytes(), |at, target| {
            let rule = &self.rules[target.rule];
            let known = seen.iter().any(|(r, _)| *r == target.rule);
            if target.disguise.is_none() && ((rule.by_context() && !known) || rule.by_name()) {
                seen.push((target.rule, at));
            }
            true
        });
        seen
    }

    /// Whether a value under this key may be a secret for the key's sake.
    pub(crate) fn judged_by(&self, field: &str) -> bool {
        !self.named_by(field).is_empty()
    }

    /// Of matches that lie inside one another the best stays: the surer, then the one that knows its provider, then the longer, then the first.
    fn best(&self, mut found: Vec<Match>) -> Vec<Match> {
        let generic = |m: &Match| self.rules[m.rule].detector.provider == "generic";
        found.sort_by(|a, b| {
            let surer = b.confidence.cmp(&a.confidence).then(generic(a).cmp(&generic(b)));
            surer.then(b.secret.len().cmp(&a.secret.len())).then(a.rule.cmp(&b.rule))
        });
        let mut kept: Vec<Match> = Vec::new();
        for m in found {
            let inside = |k: &Match| {
                (k.secret.start <= m.secret.start && m.secret.end <= k.secret.end)
                    || (m.secret.start < k.secret.end && k.secret.start < m.secret.end && m.confidence < k.confidence)
            };
            if !kept.iter().any(inside) {
                kept.push(m);
            }
        }
        kept.sort_by_key(|m| m.span.start);
        kept
    }
}

/// The parts without what is near their ends: what stands there may belong to what stands around them.
fn middles(later: &[Range<usize>]) -> Vec<Range<usize>> {
    let middle = |l: &Range<usize>| l.start.saturating_add(EDGE)..l.end.saturating_sub(EDGE);
    later.iter().map(middle).filter(|m| !m.is_empty()).collect()
}

/// Deducts work; `false` when there is not enough left, which is a gap at `at`.
fn pay(budget: &mut Budget, cost: u64, at: usize) -> bool {
    if budget.work < cost {
        budget.work = 0;
        budget.miss(at, crate::Gap::Budget);
        return false;
    }
    budget.work -= cost;
    true
}

/// Takes the disguise off what stands around a word, and asks the word's detector. `false`: no work left.
fn disguised(rule: &Rule, view: &View<'_>, at: &Range<usize>, disguise: Disguise, budget: &mut Budget, found: &mut Found) -> bool {
    if !rule.may_begin_disguised(view.bytes, at, disguise) {
        return true;
    }
    let around = rule.around().min(MAX_AROUND);
    let window = at.start.saturating_sub(around)..(at.end + around).min(view.bytes.len());
    if found.disguised.iter().any(|(known, d)| *d == disguise && known.start <= at.start && at.end <= known.end) {
        return true;
    }
    if !pay(budget, 32 + window.len() as u64 / 2, at.start) {
        return false;
    }
    let plain = disguise.apply(&view.bytes[window.clone()]);
    let (hit, clipped) = match disguise {
        Disguise::Reversed => (window.end - at.end..window.end - at.start, window.end < view.bytes.len()),
        _ => (at.start - window.start..at.end - window.start, window.start > 0),
    };
    let inner = View { clipped, ..View::of(&plain) };
    if rule.may_begin(&inner, &hit) && rule.confirm(&inner, &hit, 0).is_some_and(|(_, hit)| hit.is_some()) {
        found.disguised.push((window, disguise));
    }
    true
}

/// Whether a capital stands behind a small letter, as in no word: in disguise, too, few texts have these letters.
fn turns(word: &[u8]) -> bool {
    word.windows(2).any(|pair| pair[0].is_ascii_lowercase() && pair[1].is_ascii_uppercase())
}

/// The bytes of a set, each in a disguise.
fn disguised_set(set: &Set, disguise: Disguise) -> Set {
    let mut out = [0; 4];
    for byte in (0..=u8::MAX).filter(|b| opening::has(set, *b)).map(|b| disguise.byte(b)) {
        out[usize::from(byte >> 6)] |= 1 << (byte & 63);
    }
    out
}
