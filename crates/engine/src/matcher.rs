//! Detectors compiled: a prefilter over all anchors, then each hit confirmed by its detector's own pattern.

mod boundary;
mod checks;
mod prefilter;
mod rule;

use std::ops::Range;
use std::sync::Arc;

use rules::{Confidence, RuleSet};

use crate::CompileError;
use crate::layers::disguise::Disguise;
use crate::layers::{Budget, View};
use prefilter::Prefilter;
use rule::Rule;

/// Shorter words stand in disguise by chance.
const MIN_DISGUISED: usize = 5;
/// So many words in disguise of one view are looked at.
const MAX_DISGUISED: usize = 256;

/// A confirmed match in one view.
#[derive(Debug, Clone)]
pub(crate) struct Match {
    /// Index of the detector.
    pub(crate) rule: usize,
    /// The secret's bytes in the view.
    pub(crate) span: Range<usize>,
    /// How sure.
    pub(crate) confidence: Confidence,
}

/// All detectors.
#[derive(Debug)]
pub(crate) struct Matcher {
    rules: Vec<Rule>,
    prefilter: Prefilter,
    /// The same words in disguise.
    disguised: Prefilter,
}

impl Matcher {
    /// Compiles a rule set.
    pub(crate) fn compile(set: &RuleSet) -> Result<Matcher, CompileError> {
        let rules = set.detectors().iter().map(|d| Rule::compile(Arc::new(d.clone()))).collect::<Result<Vec<_>, _>>()?;
        let anchors = rules.iter().enumerate().flat_map(|(i, r)| r.anchors().map(move |a| (a.to_owned(), i)));
        let prefilter = Prefilter::new(anchors).map_err(|message| CompileError { id: "(all anchors)".into(), message })?;
        let words: std::collections::BTreeSet<&str> = rules.iter().flat_map(Rule::anchors).filter(|a| a.len() >= MIN_DISGUISED).collect();
        let plain = |d: &Disguise, word: &&&str| word.as_bytes().eq_ignore_ascii_case(&d.apply(word.as_bytes()));
        let forms = [Disguise::Reversed, Disguise::Rotated];
        let disguised = forms.iter().enumerate().flat_map(|(i, d)| {
            words.iter().filter(move |w| !plain(d, w)).map(move |w| (String::from_utf8_lossy(&d.apply(w.as_bytes())).into_owned(), i))
        });
        let disguised = Prefilter::new(disguised).map_err(|message| CompileError { id: "(all anchors, disguised)".into(), message })?;
        Ok(Matcher { rules, prefilter, disguised })
    }

    /// Where words that detectors look for stand in disguise.
    pub(crate) fn disguised(&self, view: &View<'_>) -> Vec<(Range<usize>, Disguise)> {
        let mut hits = Vec::new();
        if !matches!(view.layer, Some("rot13" | "reversed" | "reversed-base64")) {
            self.disguised.each(view.bytes, |at, form| {
                hits.push((at, if form == 0 { Disguise::Reversed } else { Disguise::Rotated }));
                hits.len() < MAX_DISGUISED
            });
        }
        hits
    }

    /// The detectors, in order.
    pub(crate) fn detectors(&self) -> impl Iterator<Item = &Arc<rules::Detector>> {
        self.rules.iter().map(|r| &r.detector)
    }

    /// The detector of a match.
    pub(crate) fn detector(&self, rule: usize) -> &Arc<rules::Detector> {
        &self.rules[rule].detector
    }

    /// All matches in a view, by start. Work is deducted; when it runs out the gap is noted and the rest is not looked at.
    pub(crate) fn find(&self, view: &View<'_>, budget: &mut Budget) -> Vec<Match> {
        let mut found = Vec::new();
        // Where each detector may next begin: what one match covers is not searched again.
        let mut next: Vec<(usize, usize)> = Vec::new();
        let complete = self.prefilter.each(view.bytes, |at, rule| {
            let from = next.iter().find(|(r, _)| *r == rule).map_or(0, |(_, n)| *n);
            if at.start < from {
                return true;
            }
            let cost = 16 + self.rules[rule].window(&at, view.bytes.len()).len() as u64 / 8;
            if budget.work < cost {
                budget.work = 0;
                budget.miss(at.start, crate::Gap::Budget);
                return false;
            }
            budget.work -= cost;
            if let Some((whole, hit)) = self.rules[rule].confirm(view, &at, from) {
                next.retain(|(r, _)| *r != rule);
                next.push((rule, whole.end));
                if let Some((span, confidence)) = hit {
                    found.push(Match { rule, span, confidence });
                }
            }
            true
        });
        if complete && let Some(field) = &view.field {
            self.by_field(view, field, budget, &mut found);
        }
        self.best(found)
    }

    /// Detectors whose context word stands in the key of the field rather than before the value.
    fn by_field(&self, view: &View<'_>, field: &str, budget: &mut Budget, found: &mut Vec<Match>) {
        // A long text has its words beside its values; only a leaf that is a value is judged by its key.
        if view.bytes.len() > 4096 {
            return;
        }
        let mut seen = Vec::new();
        self.prefilter.each(field.as_bytes(), |_, rule| {
            if !seen.contains(&rule) && self.rules[rule].by_context() {
                seen.push(rule);
            }
            true
        });
        for rule in seen {
            let cost = 16 + view.bytes.len() as u64 / 8;
            if budget.work < cost {
                budget.work = 0;
                budget.miss(0, crate::Gap::Budget);
                return;
            }
            budget.work -= cost;
            if let Some((span, confidence)) = self.rules[rule].in_field(view) {
                found.push(Match { rule, span, confidence });
            }
        }
    }

    /// Of matches that lie inside one another the best stays: the surer, then the one that knows its provider, then the longer, then the first.
    fn best(&self, mut found: Vec<Match>) -> Vec<Match> {
        let generic = |m: &Match| self.rules[m.rule].detector.provider == "generic";
        found.sort_by(|a, b| {
            let surer = b.confidence.cmp(&a.confidence).then(generic(a).cmp(&generic(b)));
            surer.then(b.span.len().cmp(&a.span.len())).then(a.rule.cmp(&b.rule))
        });
        let mut kept: Vec<Match> = Vec::new();
        for m in found {
            let inside = |k: &Match| {
                (k.span.start <= m.span.start && m.span.end <= k.span.end)
                    || (m.span.start < k.span.end && k.span.start < m.span.end && m.confidence < k.confidence)
            };
            if !kept.iter().any(inside) {
                kept.push(m);
            }
        }
        kept.sort_by_key(|m| m.span.start);
        kept
    }
}
