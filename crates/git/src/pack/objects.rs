//! Objects that deltas may be against, within a bound of memory: those used last stay.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use super::entry::Object;
use crate::hash::Id;

/// What a kept object costs beside its bytes.
const OVERHEAD: usize = 200;
/// Names and places of objects that are not kept; beyond, nothing is known of them.
const MOST_NOTES: usize = 1 << 20;

/// An object whose content is known.
#[derive(Debug, Clone)]
pub(crate) struct Known {
    pub(crate) kind: Object,
    pub(crate) bytes: Arc<[u8]>,
}

/// What is known of the base of a delta.
pub(crate) enum Base {
    /// Its content.
    Known(Known),
    /// It stands in the pack, or may, but is not kept.
    Lost,
    /// It does not stand in the pack so far.
    Absent,
}

/// The objects of a pack so far.
#[derive(Debug)]
pub(crate) struct Objects {
    /// By where they begin; with the name, and when they were last used.
    kept: HashMap<u64, (Known, Option<Id>, u64)>,
    by_name: HashMap<Id, u64>,
    /// Where the object begins that was used at a time.
    order: BTreeMap<u64, u64>,
    clock: u64,
    bytes: usize,
    most: usize,
    /// Where deltas begin whose base is not in the pack: what is against them cannot be made either.
    unmade: HashSet<u64>,
    /// Those of them that another delta is against.
    relied: HashSet<u64>,
    /// Beginnings of names of objects that were let go.
    gone: HashSet<u64>,
    /// Whether so much was let go that nothing is known of it any more.
    forgotten: bool,
}

impl Objects {
    pub(crate) fn new(most: usize) -> Objects {
        Objects {
            kept: HashMap::new(),
            by_name: HashMap::new(),
            order: BTreeMap::new(),
            clock: 0,
            bytes: 0,
            most,
            unmade: HashSet::new(),
            relied: HashSet::new(),
            gone: HashSet::new(),
            forgotten: false,
        }
    }

    /// Keeps an object that begins at `at`.
    pub(crate) fn keep(&mut self, at: u64, known: Known, name: Option<Id>) {
        let cost = known.bytes.len() + OVERHEAD;
        if cost > self.most {
            self.let_go(name);
            return;
        }
        self.clock += 1;
        self.bytes += cost;
        self.order.insert(self.clock, at);
        if let Some(name) = name {
            self.by_name.insert(name, at);
        }
        self.kept.insert(at, (known, name, self.clock));
        while self.bytes > self.most {
            let Some((_, oldest)) = self.order.pop_first() else { break };
            if let Some((known, name, _)) = self.kept.remove(&oldest) {
                self.bytes = self.bytes.saturating_sub(known.bytes.len() + OVERHEAD);
                // The same object may stand in the pack again.
                if name.is_some_and(|name| self.by_name.get(&name) == Some(&oldest)) {
                    name.and_then(|name| self.by_name.remove(&name));
                    self.let_go(name);
                }
            }
        }
    }

    /// Notes an object that is not kept.
    pub(crate) fn let_go(&mut self, name: Option<Id>) {
        let Some(name) = name else { return };
        if self.gone.len() < MOST_NOTES {
            self.gone.insert(name.short());
        } else {
            self.forgotten = true;
        }
    }

    /// Notes a delta at `at` that could not be undone since its base is not in the pack.
    pub(crate) fn note_unmade(&mut self, at: u64) {
        if self.unmade.len() < MOST_NOTES {
            self.unmade.insert(at);
        }
    }

    /// Whether a delta against the one at `at` was looked at as if that could not be made.
    pub(crate) fn relied_on(&self, at: u64) -> bool {
        self.relied.contains(&at)
    }

    /// The object that begins at `at`.
    pub(crate) fn at(&mut self, at: u64) -> Base {
        match self.kept.get_mut(&at) {
            Some((known, _, used)) => {
                self.order.remove(used);
                self.clock += 1;
                *used = self.clock;
                self.order.insert(self.clock, at);
                Base::Known(known.clone())
            }
            None if self.unmade.contains(&at) => {
                self.relied.insert(at);
                Base::Absent
            }
            None => Base::Lost,
        }
    }

    /// The object of this name.
    pub(crate) fn named(&mut self, name: Id) -> Base {
        match self.by_name.get(&name).copied() {
            Some(at) => self.at(at),
            None if self.forgotten || self.gone.contains(&name.short()) => Base::Lost,
            None => Base::Absent,
        }
    }

    /// Bytes held, about.
    pub(crate) fn memory(&self) -> usize {
        self.bytes + (self.unmade.len() + self.relied.len() + self.gone.len()) * 16
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(len: usize) -> Known {
        Known { kind: Object::Blob, bytes: vec![0; len].into() }
    }

    fn id(n: u8) -> Id {
        Id::raw(&[n; 20]).expect("20 bytes")
    }

    #[test]
    fn those_used_last_stay_and_what_is_gone_is_not_called_absent() {
        let mut objects = Objects::new(3 * (100 + OVERHEAD));
        for n in 1..=3_u8 {
            objects.keep(u64::from(n), known(100), Some(id(n)));
        }
        assert!(matches!(objects.at(1), Base::Known(_)));
        objects.keep(4, known(100), Some(id(4)));
        assert!(matches!(objects.named(id(1)), Base::Known(_)) && matches!(objects.named(id(2)), Base::Lost));
        assert!(matches!(objects.at(2), Base::Lost) && matches!(objects.named(id(9)), Base::Absent));
        objects.note_unmade(7);
        assert!(matches!(objects.at(7), Base::Absent));
        objects.keep(5, known(10_000), Some(id(5)));
        assert!(matches!(objects.named(id(5)), Base::Lost), "too large to be kept");
        assert!(objects.memory() < 4 * (100 + OVERHEAD));
    }

    #[test]
    fn an_object_that_comes_twice_is_counted_once_more_and_let_go_in_turn() {
        let mut objects = Objects::new(10 * (10 + OVERHEAD));
        for at in 0..100 {
            objects.keep(at, known(10), Some(id(1)));
        }
        assert!(objects.memory() <= 10 * (10 + OVERHEAD) + 16);
    }
}
