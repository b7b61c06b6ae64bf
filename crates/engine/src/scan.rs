//! The recursion over views: match, peel, recurse; spans mapped back to the bytes as sent.

mod known;

use std::collections::{BTreeMap, VecDeque};
use std::ops::{ControlFlow, Range};
use std::sync::Arc;

use crate::known::{Known, Placed, name_of};
use crate::layers::{self, Budget, Map, Peeled, View};
use crate::matcher::{Found as Hits, Matcher};
use crate::seen::{self, Cost, Seen};
use crate::{Coverage, Finding, Fingerprint, FingerprintKey, Gap, Kind, LayerId, Limits, Location, Report};

/// What one scan runs with.
#[derive(Debug)]
pub(crate) struct Scanner<'e> {
    pub(crate) matcher: &'e Matcher,
    pub(crate) known: Option<&'e Known>,
    pub(crate) key: &'e FingerprintKey,
    pub(crate) limits: &'e Limits,
    pub(crate) seen: &'e Seen,
}

/// Work that is granted whatever the size, so that short inputs are looked at thoroughly.
const WORK_GRACE: u64 = 4 << 20;

/// Work that compressed content may add to that of its own length: for 8 MiB of it.
const UNPACKED_WORK: u64 = 64 << 20;

/// A leaf with less bytes holds no encoding of anything: none of a secret that is long enough to be one.
const SHORT: usize = 16;

/// Views inside views, slices included: a bound on the recursion that no honest content comes near.
const MAX_NESTED: u32 = 48;

/// The bytes of one scan: a whole location, or a window of it.
#[derive(Debug)]
pub(crate) struct Window<'w> {
    pub(crate) kind: &'w Kind,
    pub(crate) bytes: &'w [u8],
    /// Whether bytes of the same stream stand before it.
    pub(crate) clipped: bool,
    /// Whether bytes of the same stream follow it.
    pub(crate) open: bool,
}

impl Window<'_> {
    fn view(&self) -> View<'_> {
        View { kind: Some(self.kind), clipped: self.clipped, open: self.open.then_some(0), ..View::of(self.bytes) }
    }
}

/// The layers between the location and the view at hand.
#[derive(Debug)]
struct Path<'p> {
    up: Option<&'p Path<'p>>,
    map: &'p Map,
    /// The view that was peeled.
    parent: &'p View<'p>,
    layer: LayerId,
    /// Layers so far.
    depth: u32,
    /// Views so far, slices included: what bounds the recursion.
    nested: u32,
    /// Whether something of a known secret stands in the view that this step begins in.
    known: bool,
}

/// Where something was peeled from, and how it is looked into.
#[derive(Debug)]
struct Around<'p> {
    path: Option<&'p Path<'p>>,
    view: &'p View<'p>,
    /// Layers and views, this one included.
    depth: u32,
    nested: u32,
    known: bool,
    quiet: bool,
    unnamed: bool,
}

impl Path<'_> {
    /// The location's bytes that carry `span` of the view at hand.
    fn to_location(path: Option<&Path<'_>>, mut span: Range<usize>) -> Range<usize> {
        let mut at = path;
        while let Some(step) = at {
            span = step.map.to_parent(&span, step.parent.bytes);
            if in_one_piece(step.parent) {
                span = 0..step.parent.bytes.len();
            }
            at = step.up;
        }
        span
    }

    /// The layers, outermost first. Leaves that are mere slices are no layers.
    fn trail(path: Option<&Path<'_>>) -> Vec<LayerId> {
        let mut trail = Vec::new();
        let mut at = path;
        while let Some(step) = at {
            if !matches!(step.map, Map::Slice(_)) {
                trail.push(step.layer);
            }
            at = step.up;
        }
        trail.reverse();
        trail
    }
}

/// Whether values are judged by their keys, for the last keys of a view.
#[derive(Debug, Default)]
struct Judged(VecDeque<(Arc<str>, bool)>);

impl Judged {
    /// So many keys are remembered.
    const MOST: usize = 8;

    fn by(&mut self, field: &Arc<str>, matcher: &Matcher) -> bool {
        if let Some((_, judged)) = self.0.iter().find(|(known, _)| Arc::ptr_eq(known, field)) {
            return *judged;
        }
        let judged = matcher.judged_by(field);
        self.0.truncate(Judged::MOST - 1);
        self.0.push_front((Arc::clone(field), judged));
        judged
    }
}

#[derive(Debug, Default)]
struct Found {
    /// By span, and detector or known secret; the shortest trail stays.
    findings: BTreeMap<(u64, u64, String), Finding>,
    coverage: Coverage,
    /// Parts of known secrets.
    pieces: Vec<Placed>,
    /// How many times something was added to any of these.
    news: u64,
}

impl Scanner<'_> {
    /// The budget of a location of `len` bytes.
    pub(crate) fn budget(&self, len: u64) -> Budget {
        let mut budget = Budget {
            decoded: self.limits.decoded_bytes,
            ratio: self.limits.ratio,
            work: WORK_GRACE,
            earned: UNPACKED_WORK,
            cuts: Vec::new(),
            gap: None,
        };
        self.grant(&mut budget, len);
        budget
    }

    /// What `len` more bytes add to a budget. Text encodings decode to less than twice their size; only compression needs the absolute limit.
    pub(crate) fn grant(&self, budget: &mut Budget, len: u64) {
        budget.work = budget.work.saturating_add(len.saturating_mul(self.limits.work_per_byte));
        budget.decoded = budget.decoded.saturating_add(len.saturating_mul(2));
    }

    /// Scans one window. Spans are offsets in its bytes.
    pub(crate) fn scan(&self, window: &Window<'_>, budget: &mut Budget) -> Report {
        let mut found = Found::default();
        self.view(&window.view(), None, budget, &mut found);
        self.report(found)
    }

    /// Scans one window as it stands: nothing is taken apart.
    pub(crate) fn plain(&self, window: &Window<'_>, budget: &mut Budget) -> Report {
        let mut found = Found::default();
        self.stands(&window.view(), None, &[], budget, &mut found);
        found.gap(None, budget);
        self.report(found)
    }

    fn report(&self, mut found: Found) -> Report {
        let parts = self.join(&mut found);
        known::inherit(&mut found.findings);
        Report { findings: settle(found.findings), coverage: found.coverage, parts }
    }

    /// What stands in a view, and whether something of a known secret does. `later`: parts that are views of their own.
    fn stands(
        &self,
        view: &View<'_>,
        path: Option<&Path<'_>>,
        later: &[Range<usize>],
        budget: &mut Budget,
        found: &mut Found,
    ) -> (Hits, bool) {
        let hits = self.matcher.find(view, later, budget);
        let whole = !hits.matches.is_empty() && in_one_piece(view);
        for m in &hits.matches {
            let detector = self.matcher.detector(m.rule);
            let at = Path::to_location(path, if whole { 0..view.bytes.len() } else { m.span.clone() });
            let finding = Finding {
                detector: Arc::clone(detector),
                confidence: m.confidence,
                span: at.start as u64..at.end as u64,
                trail: Path::trail(path),
                field: view.field.clone(),
                fingerprint: self.fingerprint(&view.bytes[m.secret.clone()]),
            };
            found.add(finding);
        }
        let known = self.known(view, path, budget, found);
        (hits, known)
    }

    fn view(&self, view: &View<'_>, path: Option<&Path<'_>>, budget: &mut Budget, found: &mut Found) {
        let (depth, nested) = path.map_or((0, 0), |p| (p.depth, p.nested));
        // Long strings of JSON are views of their own.
        let later = if depth < self.limits.depth && nested < MAX_NESTED { layers::long_strings(view) } else { Vec::new() };
        let (hits, known) = self.stands(view, path, &later, budget, found);
        found.gap(path, budget);
        let mut judged = Judged::default();
        // What lies deeper is data about coverage, not silence; a mere slice is no layer and costs no depth.
        let flow = layers::peel(view, &hits.disguised, &later, budget, &mut |peeled: Peeled<'_>, budget: &mut Budget| {
            let depth = depth + u32::from(!peeled.is_slice());
            if depth > self.limits.depth || nested >= MAX_NESTED {
                let at = peeled.map.to_parent(&(0..peeled.bytes.len().max(1)), view.bytes).start;
                budget.miss(at, Gap::Depth);
                return ControlFlow::Continue(());
            }
            let unnamed = peeled.field.as_ref().is_none_or(|field| !judged.by(field, self.matcher));
            let quiet = matches!(peeled.map, Map::Slice(at) if peeled.is_slice() && hits.quiet(&(at..at + peeled.bytes.len())));
            if quiet && !known && unnamed && peeled.bytes.len() < SHORT && unescaped(&peeled.bytes) {
                return ControlFlow::Continue(());
            }
            // The gap of this view waits while the inner one is looked at.
            let mine = budget.gap.take();
            self.unseen(peeled, &Around { path, view, depth, nested: nested + 1, known, quiet, unnamed }, budget, found);
            budget.gap = mine.or(budget.gap.take());
            if budget.work == 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        if flow.is_break() && budget.work == 0 {
            budget.miss(0, Gap::Budget);
        }
        found.gap(path, budget);
    }

    /// Looks into what was peeled unless it is known to hold nothing. What could not be undone is a gap of the view around it.
    fn unseen(&self, peeled: Peeled<'_>, around: &Around<'_>, budget: &mut Budget, found: &mut Found) {
        let open = match peeled.map {
            Map::Slice(at) if peeled.is_slice() && at + peeled.bytes.len() == around.view.bytes.len() => {
                around.view.open.map(|base| base + at)
            }
            _ => None,
        };
        // What goes on beyond this window is not all there is of it. All that a report on these bytes depends on is in the name.
        let long = peeled.bytes.len() >= seen::LEAST && open.is_none();
        let circumstances = (&peeled.field, peeled.layer, peeled.is_slice(), around.quiet, around.depth, around.nested, around.known);
        let name = long.then(|| self.seen.name(&peeled.bytes, circumstances));
        if name.is_some_and(|name| self.seen.pay(name, budget)) {
            return;
        }
        let (before, news) = (name.is_some().then(|| budget.clone()), found.news);
        let Some(peeled) = peeled.undone(around.view.bytes, budget) else { return };
        let Around { path, view: parent, depth, nested, known, quiet, unnamed } = *around;
        let (layer, field) = (peeled.layer, peeled.field.clone());
        let inner = View { bytes: &peeled.bytes, kind: None, layer: Some(layer), field, clipped: false, open, quiet, unnamed };
        self.view(&inner, Some(&Path { up: path, map: &peeled.map, parent, layer, depth, nested, known }), budget, found);
        if let Some(name) = name.filter(|_| found.news == news && budget.work > 0)
            && let Some(cost) = before.and_then(|before| Cost::between(&before, budget))
        {
            self.seen.remember(name, cost);
        }
    }

    /// The first eight bytes of keyed BLAKE3 over the decoded secret.
    fn fingerprint(&self, secret: &[u8]) -> Fingerprint {
        let hash = blake3::keyed_hash(&self.key.0, secret);
        let mut short = [0; 8];
        short.copy_from_slice(&hash.as_bytes()[..8]);
        Fingerprint(short)
    }
}

impl Found {
    fn add(&mut self, finding: Finding) {
        self.news += 1;
        let id = &finding.detector.id;
        let id = name_of(&finding.detector).map_or_else(|| id.clone(), |name| format!("{id}:{name}"));
        let key = (finding.span.start, finding.span.end, id);
        match self.findings.get(&key) {
            Some(known) if known.trail.len() <= finding.trail.len() && (known.field.is_some() || finding.field.is_none()) => {}
            Some(known) => {
                let trail = if known.trail.len() <= finding.trail.len() { known.trail.clone() } else { finding.trail.clone() };
                let field = finding.field.clone().or_else(|| known.field.clone());
                self.findings.insert(key, Finding { trail, field, ..finding });
            }
            None => {
                self.findings.insert(key, finding);
            }
        }
    }

    /// Takes the gap of the view at hand, at its place in the location.
    fn gap(&mut self, path: Option<&Path<'_>>, budget: &mut Budget) {
        if let Some((at, gap)) = budget.gap.take() {
            self.news += 1;
            let at = Path::to_location(path, at..at).start as u64;
            self.coverage = self.coverage.and(Coverage::Partial { at, gap });
        }
    }
}

/// Whether there are no escapes in the bytes of a short leaf: if no word stands in it, it holds nothing.
fn unescaped(bytes: &[u8]) -> bool {
    static PLAIN: [bool; 256] = {
        let mut plain = [false; 256];
        let mut i = b' ';
        while i < 0x7f {
            plain[i as usize] = !matches!(i, b'%' | b'\\' | b'&' | b'=');
            i += 1;
        }
        plain
    };
    bytes.iter().all(|b| PLAIN[usize::from(*b)])
}

/// Whether nothing in a view can be replaced without breaking it: lengths and checksums of a binary format surround what is found.
/// The parts of a multipart body are judged each on its own.
fn in_one_piece(view: &View<'_>) -> bool {
    let parts = view
        .kind
        .is_some_and(|k| k.location != Location::Body || k.media.content_type.as_deref().is_some_and(|t| t.contains("multipart/")));
    // Not blanks and line ends, and not what terminals send: backspace, form feed, escape.
    let control = |b: &u8| matches!(b, 0..=6 | 14..=26 | 28..=31);
    !parts && view.bytes.iter().any(control)
}

/// A less sure finding inside a surer one says nothing new, and neither does one inside a finding of the same secret: the larger span is the
/// one that can be replaced.
fn settle(findings: BTreeMap<(u64, u64, String), Finding>) -> Vec<Finding> {
    let all: Vec<Finding> = findings.into_values().collect();
    let covered = |f: &Finding| {
        all.iter().any(|other| {
            let holds = other.span.start <= f.span.start && f.span.end <= other.span.end;
            let larger = other.span != f.span;
            let same = larger && other.detector.id == f.detector.id && other.fingerprint == f.fingerprint;
            holds && (other.confidence > f.confidence || same)
        })
    };
    all.iter().filter(|f| !covered(f)).cloned().collect()
}
