//! Where peelers put what they find: pays the budget, keeps what the grammars have claimed, hands on to the driver.

use std::borrow::Cow;
use std::ops::{ControlFlow, Range};
use std::rc::Rc;
use std::sync::Arc;

use simd::Class;

use super::census::Census;
use super::chance::{self, Chance};
use super::chars::{Chars, Escapes};
use super::origins::Origins;
use super::{Budget, Emit, Map, Peeled, View};
use crate::LayerId;

/// `Break` means stop everything: the driver said so, or the work budget is used up.
pub(super) type Flow = ControlFlow<()>;

/// Shorter leaves are not worth a view: no detector matches in them.
pub(super) const MIN_LEAF: usize = 4;
/// Longer leaves are not looked into a second time as parts of the view around them.
const LONG_LEAF: usize = 512;
/// Longest key that is kept as `field`, in bytes.
const MAX_FIELD: usize = 64;
/// What handing on one view costs, in units of work.
const EMIT_COST: u64 = 16;
/// What taking apart one decoded byte costs: all peelers look at it, and a unit is about what a regular expression takes for one.
pub(super) const BYTE_COST: u64 = 4;

/// One run of the peelers over one view.
pub(super) struct Sink<'s, 'a> {
    /// The view that is taken apart.
    pub(super) view: &'s View<'a>,
    pub(super) budget: &'s mut Budget,
    emit: Emit<'s, 'a>,
    /// The long strings of JSON in the view, by where they begin.
    long: &'s [Range<usize>],
    /// What grammars handed on as leaves, by ascending start, none inside another: the layers inside are found there, not here again.
    claims: Vec<Range<usize>>,
    /// Bytes in leaves, twice where leaves lie in one another and were not looked at all together since.
    handed_on: usize,
    /// The last leaf, and whether all came in order.
    last: Option<Range<usize>>,
    sorted: bool,
    /// What [`Sink::solid`] gives.
    solid: Option<Solid>,
    /// What [`Sink::breaks`] gives.
    breaks: Option<Rc<[usize]>>,
    /// The kinds of bytes in the view.
    pub(super) census: Census,
}

/// Runs of characters that are printable and no blanks, with how far they look made by chance.
pub(super) type Solid = Rc<[(Range<usize>, Chance)]>;

impl<'s, 'a> Sink<'s, 'a> {
    pub(super) fn new(view: &'s View<'a>, long: &'s [Range<usize>], budget: &'s mut Budget, emit: Emit<'s, 'a>) -> Sink<'s, 'a> {
        Sink {
            view,
            budget,
            emit,
            long,
            claims: Vec::new(),
            handed_on: 0,
            last: None,
            sorted: true,
            solid: None,
            breaks: None,
            census: Census::of(view.bytes),
        }
    }

    /// The long string of JSON whose content begins at `start`, if one does.
    pub(super) fn long_string(&self, start: usize) -> Option<Range<usize>> {
        self.long.binary_search_by_key(&start, |l| l.start).ok().and_then(|i| self.long.get(i)).cloned()
    }

    /// The bytes of the view.
    pub(super) fn bytes(&self) -> &'a [u8] {
        self.view.bytes
    }

    /// Deducts `units` of work; when there are none left the gap is noted at `at` and all stops.
    pub(super) fn work(&mut self, units: u64, at: usize) -> Flow {
        if self.budget.pay(units, at) { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    }

    /// Hands on bytes of the view as they stand. The whole view is never its own leaf.
    pub(super) fn slice(&mut self, range: Range<usize>, layer: LayerId, field: Option<&Arc<str>>) -> Flow {
        let Some(bytes) = self.view.bytes.get(range.clone()) else { return ControlFlow::Continue(()) };
        if bytes.len() < MIN_LEAF || bytes.len() == self.view.bytes.len() {
            return ControlFlow::Continue(());
        }
        self.work(EMIT_COST, range.start)?;
        let map = Map::Slice(range.start);
        self.claim(range);
        self.send(Cow::Borrowed(bytes), map, layer, field)
    }

    /// Hands on bytes of the view with escapes in them, to be undone if that is worth it.
    pub(super) fn escaped(&mut self, range: Range<usize>, escapes: Escapes, layer: LayerId, field: Option<&Arc<str>>) -> Flow {
        let Some(bytes) = self.view.bytes.get(range.clone()) else { return ControlFlow::Continue(()) };
        self.work(EMIT_COST, range.start)?;
        let map = Map::Slice(range.start);
        self.claim(range);
        let field = field.or(self.view.field.as_ref()).cloned();
        (self.emit)(Peeled { layer, bytes: Cow::Borrowed(bytes), map, field, escapes: Some(escapes) }, self.budget)
    }

    /// Hands on bytes whose escapes were undone; if there were none, the slice they are.
    pub(super) fn chars(&mut self, chars: Chars, layer: LayerId, field: Option<&Arc<str>>) -> Flow {
        let range = chars.range();
        if chars.escapes == 0 {
            return self.slice(range, layer, field);
        }
        if chars.bytes.len() < MIN_LEAF || !self.budget.take(chars.bytes.len() as u64, range.start) {
            return ControlFlow::Continue(());
        }
        self.work(EMIT_COST + BYTE_COST * chars.bytes.len() as u64, range.start)?;
        self.claim(range);
        self.send(Cow::Owned(chars.bytes), Map::Bytes(chars.origins), layer, field)
    }

    /// As [`Sink::chars`], but what stands there is still looked at in every other way.
    pub(super) fn loose(&mut self, chars: Chars, layer: LayerId) -> Flow {
        self.mapped(chars.bytes, chars.origins, layer)
    }

    /// Hands on bytes with the offset each came from.
    pub(super) fn mapped(&mut self, bytes: Vec<u8>, origins: Origins, layer: LayerId) -> Flow {
        let at = origins.source(0);
        if bytes.len() < MIN_LEAF || !self.budget.take(bytes.len() as u64, at) {
            return ControlFlow::Continue(());
        }
        self.work(EMIT_COST + BYTE_COST * bytes.len() as u64, at)?;
        self.send(Cow::Owned(bytes), Map::Bytes(origins), layer, None)
    }

    /// Hands on bytes that `run` of the view decodes to, already taken from the budget of decoded bytes.
    pub(super) fn unpacked(&mut self, bytes: Vec<u8>, run: Range<usize>, layer: LayerId) -> Flow {
        if bytes.len() < MIN_LEAF {
            return ControlFlow::Continue(());
        }
        self.work(EMIT_COST + BYTE_COST * bytes.len() as u64, run.start)?;
        self.send(Cow::Owned(bytes), Map::Run(run), layer, None)
    }

    /// Hands on bytes that `run` of the view decodes to.
    pub(super) fn run(&mut self, bytes: Vec<u8>, run: Range<usize>, layer: LayerId, field: Option<&Arc<str>>) -> Flow {
        if bytes.len() < MIN_LEAF || !self.budget.take(bytes.len() as u64, run.start) {
            return ControlFlow::Continue(());
        }
        self.work(EMIT_COST + BYTE_COST * bytes.len() as u64, run.start)?;
        self.claim(run.clone());
        self.send(Cow::Owned(bytes), Map::Run(run), layer, field)
    }

    /// As [`Sink::run`], but what stands there is still looked at in every other way.
    pub(super) fn unclaimed(&mut self, bytes: Vec<u8>, run: Range<usize>, layer: LayerId) -> Flow {
        if !self.budget.take(bytes.len() as u64, run.start) {
            return ControlFlow::Continue(());
        }
        self.unpacked(bytes, run, layer)
    }

    fn send(&mut self, bytes: Cow<'a, [u8]>, map: Map, layer: LayerId, field: Option<&Arc<str>>) -> Flow {
        let field = field.or(self.view.field.as_ref()).cloned();
        (self.emit)(Peeled { layer, bytes, map, field, escapes: None }, self.budget)
    }

    fn claim(&mut self, range: Range<usize>) {
        if let Some(last) = &self.last {
            if last.start <= range.start && range.end <= last.end {
                return;
            }
            self.sorted &= last.start <= range.start;
        }
        self.handed_on += range.len();
        self.last = Some(range.clone());
        match self.claims.last() {
            Some(last) if last.start >= range.start => self.insert(range),
            _ => self.claims.push(range),
        }
    }

    /// Puts a claim to where it belongs among those before. Most come in order, and few of the others are far from it.
    fn insert(&mut self, range: Range<usize>) {
        let at = self.claims.partition_point(|c| c.start < range.start);
        let outer = [at.checked_sub(1), Some(at)].into_iter().flatten().filter_map(|i| self.claims.get(i));
        if outer.into_iter().any(|c| c.start <= range.start && range.end <= c.end) {
            return;
        }
        let inside = self.claims.get(at..).unwrap_or_default().iter().take_while(|c| c.end <= range.end).count();
        self.claims.splice(at..at + inside, [range]);
    }

    /// Where all line breaks (`\n`) are.
    pub(super) fn breaks(&mut self) -> Rc<[usize]> {
        static BREAK: Class = Class::of(b"\n");
        let bytes = self.view.bytes;
        let find = || {
            let (mut words, mut found) = (Vec::new(), Vec::new());
            simd::masks(bytes, &BREAK, &mut words);
            for (i, word) in words.into_iter().enumerate() {
                let mut word = word;
                while word != 0 {
                    found.push(64 * i + word.trailing_zeros() as usize);
                    word &= word - 1;
                }
            }
            found.into()
        };
        Rc::clone(self.breaks.get_or_insert_with(find))
    }

    /// All runs of at least so many printable characters in which something looks made by chance.
    pub(super) fn solid(&mut self) -> Solid {
        let bytes = self.view.bytes;
        Rc::clone(self.solid.get_or_insert_with(|| chance::solid(bytes, chance::RUN.1 as usize).into()))
    }

    /// Whether grammars handed on most of the view as leaves: what is encoded is in those.
    pub(super) fn covered(&self) -> bool {
        self.handed_on * 2 > self.view.bytes.len()
    }

    /// The view without the middles of long leaves: nothing encoded goes from such a leaf to what stands around it.
    pub(super) fn open(&mut self) -> Vec<Range<usize>> {
        self.sort();
        let mut parts = Vec::new();
        let mut at = 0;
        for claim in self.claims.iter().filter(|c| c.len() >= LONG_LEAF) {
            parts.push(at..claim.start.max(at));
            at = at.max(claim.end);
        }
        parts.push(at..self.view.bytes.len().max(at));
        parts.retain(|p| !p.is_empty());
        parts
    }

    /// What is not in any leaf that was handed on, from left to right.
    pub(super) fn unclaimed_parts(&mut self) -> Vec<Range<usize>> {
        self.sort();
        let mut parts = Vec::with_capacity(self.claims.len() + 1);
        let mut at = 0;
        for claim in &self.claims {
            if claim.start > at {
                parts.push(at..claim.start);
            }
            at = at.max(claim.end);
        }
        parts.push(at..self.view.bytes.len().max(at));
        parts
    }

    /// Whether one leaf that was handed on holds the whole of `range`.
    pub(super) fn claimed(&mut self, range: &Range<usize>) -> bool {
        if self.claims.is_empty() {
            return false;
        }
        self.sort();
        let after = self.claims.partition_point(|c| c.start <= range.start);
        after.checked_sub(1).and_then(|i| self.claims.get(i)).is_some_and(|c| range.end <= c.end)
    }

    /// Forgets what was handed on twice.
    fn sort(&mut self) {
        if !self.sorted {
            self.handed_on = self.claims.iter().map(Range::len).sum();
            self.last = self.claims.last().cloned();
            self.sorted = true;
        }
    }
}

/// The `field` a key gives: trimmed, lower case, cut at 64 bytes.
pub(super) fn field(key: &[u8]) -> Option<Arc<str>> {
    let key = trim(key);
    let text = String::from_utf8_lossy(key.get(..MAX_FIELD).unwrap_or(key)).to_ascii_lowercase();
    let mut end = text.len().min(MAX_FIELD);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).filter(|t| !t.is_empty()).map(Arc::from)
}

/// Without blanks and quotes around.
pub(super) fn trim(bytes: &[u8]) -> &[u8] {
    let range = trimmed(bytes, 0..bytes.len());
    bytes.get(range).unwrap_or_default()
}

/// `range` of `bytes` without blanks and quotes around.
pub(super) fn trimmed(bytes: &[u8], mut range: Range<usize>) -> Range<usize> {
    let blank = |b: Option<&u8>| b.is_some_and(|b| b.is_ascii_whitespace() || matches!(b, b'"' | b'\'' | b'`'));
    while range.start < range.end && blank(bytes.get(range.start)) {
        range.start += 1;
    }
    while range.start < range.end && blank(bytes.get(range.end - 1)) {
        range.end -= 1;
    }
    range
}
