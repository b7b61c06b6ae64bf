//! Deltas undone: against objects that came before, or, by name, that come after.

use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::sync::Arc;

use super::delta::Delta;
use super::entries::Entries;
use super::objects::{Base, Known, Objects};
use super::{Miss, Object, Pack, Visit};
use crate::hash::{Format, Hasher, Id};
use crate::push::Event;

/// Names of bases that deltas wait for and that are only noted; beyond, coverage is partial.
const MOST_NOTES: usize = 1 << 20;
/// A chain of deltas is made again up to this depth. Git makes none deeper than 4,095 (`pack.depth`), and 50 by itself.
const DEEPEST: usize = 4096;
/// What a waiting delta costs beside its bytes.
const OVERHEAD: usize = 200;

/// A delta whose base did not stand before it.
#[derive(Debug)]
struct Waiting {
    at: u64,
    delta: Vec<u8>,
    span: Range<u64>,
}

/// What is needed to undo deltas.
#[derive(Debug)]
pub(super) struct Undo {
    pub(super) objects: Objects,
    pub(super) entries: Entries,
    format: Format,
    waiting: HashMap<Id, Vec<Waiting>>,
    /// Bytes of those, and the most there may be.
    bytes: usize,
    most: usize,
    /// Beginnings of names of bases for which no delta was kept.
    noted: HashSet<u64>,
    /// Deltas whose base has come, with its name.
    ready: Vec<(Id, Waiting)>,
}

impl Undo {
    pub(super) fn new(format: Format, memory: usize) -> Undo {
        let most = memory / 8;
        // Entries are many times shorter than the objects that they make.
        let (objects, entries) = (Objects::new(memory / 2), Entries::new(memory / 8 * 3));
        Undo { objects, entries, format, waiting: HashMap::new(), bytes: 0, most, noted: HashSet::new(), ready: Vec::new() }
    }

    pub(super) fn memory(&self) -> usize {
        self.objects.memory() + self.entries.memory() + self.bytes + self.noted.len() * 16
    }

    /// Keeps a delta for a base that may still come. `false`: there is no room even for a note of it.
    fn wait(&mut self, base: Id, waiting: Waiting) -> bool {
        let cost = waiting.delta.len() + OVERHEAD;
        if self.bytes + cost <= self.most {
            self.bytes += cost;
            self.waiting.entry(base).or_default().push(waiting);
            return true;
        }
        let room = self.noted.len() < MOST_NOTES;
        if room {
            self.noted.insert(base.short());
        }
        room
    }

    /// Where the first delta begins whose base has not come, and will not where the pack has ended; `None`: there is none.
    pub(super) fn unmet(&self) -> Option<u64> {
        let first = self.waiting.values().flatten().map(|one| one.at).min();
        // Of those without room only their bases are known, and whether these came is not.
        first.or((!self.noted.is_empty()).then_some(0))
    }

    /// The deltas that waited for this object.
    fn called(&mut self, name: Id) -> Vec<Waiting> {
        let waiting = self.waiting.remove(&name).unwrap_or_default();
        let cost: usize = waiting.iter().map(|one| one.delta.len() + OVERHEAD).sum();
        self.bytes = self.bytes.saturating_sub(cost);
        waiting
    }
}

impl Pack {
    /// A delta against the object of a name.
    pub(super) fn named(&mut self, at: u64, base: Id, delta: Vec<u8>, span: Range<u64>, visit: Visit<'_>) {
        match self.undo.objects.named(base) {
            Base::Absent => {
                // Who receives it has the base already, or it comes later: what is added is looked at now, before any byte of it travels.
                self.added(&delta, &span, visit);
                self.undo.objects.note_unmade(at);
                if !self.undo.wait(base, Waiting { at, delta, span }) {
                    visit(Event::Missed { at, miss: Miss::Bound });
                }
            }
            base => self.delta(at, base, &delta, span, visit),
        }
    }

    /// The object that begins at `at`; made again if it was let go.
    pub(super) fn base_at(&mut self, at: u64) -> Base {
        match self.undo.objects.at(at) {
            Base::Lost => self.again(at).map_or(Base::Lost, Base::Known),
            base => base,
        }
    }

    /// Makes an object again, from what its chain of deltas begins with: a whole one, or one that is still there.
    fn again(&mut self, at: u64) -> Option<Known> {
        let (mut chain, mut next) = (Vec::new(), at);
        let mut known = loop {
            let raw = self.undo.entries.get(next)?;
            match raw.form {
                Ok(kind) => {
                    if !self.affordable(raw.size as u64) {
                        return None;
                    }
                    self.made = self.made.saturating_add(raw.size as u64);
                    break Known { kind, bytes: Arc::from(raw.inflate()?) };
                }
                Err(base) => {
                    chain.push(next);
                    next = base;
                }
            }
            if let Base::Known(known) = self.undo.objects.at(next) {
                break known;
            }
            if chain.len() >= DEEPEST {
                return None;
            }
        };
        while let Some(link) = chain.pop() {
            let bytes = self.undo.entries.get(link)?.inflate()?;
            let delta = Delta::parse(&bytes)?;
            let cost = (bytes.len() + delta.length()) as u64;
            if delta.length() > self.limits.object() || !self.affordable(cost) {
                return None;
            }
            self.made = self.made.saturating_add(cost);
            known = Known { kind: known.kind, bytes: Arc::from(delta.apply(&known.bytes)?) };
        }
        // Others may be against it too.
        self.undo.objects.keep(at, known.clone(), None);
        Some(known)
    }

    /// A delta against an object of this pack.
    pub(super) fn delta(&mut self, at: u64, base: Base, bytes: &[u8], span: Range<u64>, visit: Visit<'_>) {
        let Some(delta) = Delta::parse(bytes) else {
            visit(Event::Object { object: None, bytes, span });
            visit(Event::Missed { at, miss: Miss::Broken });
            return;
        };
        let base = match base {
            Base::Known(base) => base,
            Base::Absent => {
                visit(Event::Object { object: None, bytes: &delta.added(), span });
                self.undo.objects.note_unmade(at);
                return;
            }
            Base::Lost => {
                visit(Event::Object { object: None, bytes: &delta.added(), span });
                visit(Event::Missed { at, miss: Miss::Bound });
                return;
            }
        };
        let length = delta.length();
        if length > self.limits.object() || !self.affordable(length as u64) {
            visit(Event::Object { object: None, bytes: &delta.added(), span });
            visit(Event::Missed { at, miss: Miss::Bound });
            return;
        }
        self.made += length as u64;
        let Some(whole) = delta.apply(&base.bytes) else {
            visit(Event::Object { object: None, bytes: &delta.added(), span });
            visit(Event::Missed { at, miss: Miss::Broken });
            return;
        };
        self.told(base.kind, &whole, span, Some(&delta), visit);
        let mut hash = Hasher::new(self.undo.format);
        hash.update(format!("{} {}\0", base.kind.word(), whole.len()).as_bytes());
        hash.update(&whole);
        let name = hash.finish();
        if let (Object::Commit, Some(history), Some(name)) = (base.kind, &mut self.history, name) {
            history.add(name, &whole);
        }
        self.made(base.kind, Some(whole), name, at, visit);
    }

    /// An object is complete: it is kept, and what waited for it is ready to be undone. `content` is `None` for one that was too long to be held.
    pub(super) fn made(&mut self, kind: Object, content: Option<Vec<u8>>, name: Option<Id>, at: u64, visit: Visit<'_>) {
        match content {
            Some(content) => self.undo.objects.keep(at, Known { kind, bytes: Arc::from(content) }, name),
            None => self.undo.objects.let_go(name),
        }
        let Some(name) = name else { return };
        if self.undo.noted.contains(&name.short()) {
            visit(Event::Missed { at, miss: Miss::Bound });
        }
        let waiting = self.undo.called(name);
        self.undo.ready.extend(waiting.into_iter().map(|one| (name, one)));
    }

    /// Undoes what waited for objects that have come, and what waited for these. A loop and no recursion: a chain is as long as a pack.
    pub(super) fn catch_up(&mut self, visit: Visit<'_>) {
        while let Some((base, one)) = self.undo.ready.pop() {
            if self.undo.objects.relied_on(one.at) {
                visit(Event::Missed { at: one.at, miss: Miss::Bound });
            }
            let base = self.undo.objects.named(base);
            self.delta(one.at, base, &one.delta, one.span, visit);
        }
    }

    /// What a delta adds, without its base.
    fn added(&self, delta: &[u8], span: &Range<u64>, visit: Visit<'_>) {
        match Delta::parse(delta) {
            Some(delta) => visit(Event::Object { object: None, bytes: &delta.added(), span: span.clone() }),
            None => {
                visit(Event::Object { object: None, bytes: delta, span: span.clone() });
                visit(Event::Missed { at: span.start, miss: Miss::Broken });
            }
        }
    }
}
