//! What scanners tell each other of their counts. Where that is kept is not this crate's business: it gives what was counted, and is given
//! what all have counted together.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use super::{Key, Ledger, lock};

/// A number that this scanner counts with others.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Counts {
    /// Counted here, and told to nobody.
    own: u64,
    /// Being told.
    sent: u64,
    /// What all have told.
    all: u64,
}

impl Counts {
    pub(super) fn add(&mut self, more: u64) {
        self.own = self.own.saturating_add(more);
    }

    pub(super) fn sum(self) -> u64 {
        self.own.saturating_add(self.sent).saturating_add(self.all)
    }

    pub(super) fn send(&mut self) -> u64 {
        self.sent = self.sent.saturating_add(std::mem::take(&mut self.own));
        self.sent
    }

    pub(super) fn restore(&mut self) {
        self.own = self.own.saturating_add(std::mem::take(&mut self.sent));
    }

    /// What was sent is in it. A sum only grows: a smaller one is of a server that has forgotten.
    pub(super) fn learn(&mut self, all: u64) {
        self.sent = 0;
        self.all = self.all.max(all);
    }
}

/// How a field changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// It is a sum.
    Add,
    /// It is set, if it is not there.
    First,
    /// It is set.
    Set,
}

/// One change of one field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The field's name.
    pub field: String,
    /// How it changes.
    pub way: Way,
    /// By how much, or to what.
    pub value: u64,
}

/// What was counted for one sandbox and rule, or sandbox and secret, since the last exchange. It names neither: a hash stands for them.
#[derive(Debug, Clone)]
pub struct Book {
    key: Key,
    /// How long it counts, in milliseconds.
    pub keep: u64,
    /// What has changed.
    pub changes: Vec<Change>,
}

impl Book {
    /// The name under which all scanners keep it.
    pub fn name(&self) -> String {
        self.key.iter().map(|b| format!("{b:02x}")).collect()
    }
}

/// Which books were used since the last exchange.
#[derive(Debug, Default)]
pub(super) struct Exchange {
    on: AtomicBool,
    lost: AtomicBool,
    touched: Mutex<BTreeSet<Key>>,
}

impl Exchange {
    pub(super) fn touch(&self, key: Key) {
        if self.on.load(Ordering::Relaxed) {
            lock(&self.touched).insert(key);
        }
    }

    pub(super) fn is_lost(&self) -> bool {
        self.on.load(Ordering::Relaxed) && self.lost.load(Ordering::Relaxed)
    }
}

/// The counts of one inspector, to be shared with others. Obtained by [`crate::Inspector::share`]; every [`Book`] that is taken must be settled or
/// given back.
#[derive(Clone)]
pub struct Shared(Arc<crate::inspector::Shared>);

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").finish_non_exhaustive()
    }
}

impl Shared {
    /// From now on counts are meant to be shared; they are not yet.
    pub(crate) fn new(shared: Arc<crate::inspector::Shared>) -> Shared {
        let exchange = &shared.ledger.exchange;
        exchange.lost.store(true, Ordering::Relaxed);
        exchange.on.store(true, Ordering::Relaxed);
        Shared(shared)
    }

    fn ledger(&self) -> &Ledger {
        &self.0.ledger
    }

    /// Says whether the others can be reached.
    pub fn reached(&self, reached: bool) {
        self.ledger().exchange.lost.store(!reached, Ordering::Relaxed);
    }

    /// What was counted since the last time, in the books that were used.
    pub fn take(&self) -> Vec<Book> {
        let touched = std::mem::take(&mut *lock(&self.ledger().exchange.touched));
        touched.into_iter().filter_map(|key| self.book(key)).collect()
    }

    fn book(&self, key: Key) -> Option<Book> {
        let Ledger { windows, pieces, .. } = self.ledger();
        if let Some(window) = windows.get(&key) {
            let mut window = lock(&window);
            return Some(Book { key, keep: window.keep(), changes: window.take() });
        }
        let pieces = pieces.get(&key)?;
        let mut pieces = lock(&pieces);
        Some(Book { key, keep: pieces.keep(), changes: pieces.take() })
    }

    /// The changes of a book are known to all, who have counted this together. Gives the fields that say nothing any more.
    pub fn settle(&self, book: &Book, fields: &[(String, u64)]) -> Vec<String> {
        let Ledger { windows, pieces, .. } = self.ledger();
        if let Some(window) = windows.get(&book.key) {
            return lock(&window).learn(fields);
        }
        pieces.get(&book.key).map(|pieces| lock(&pieces).learn(fields)).unwrap_or_default()
    }

    /// Nobody knows what was taken: it will be taken again.
    pub fn give_back(&self, books: &[Book]) {
        let Ledger { windows, pieces, exchange, .. } = self.ledger();
        for book in books {
            if let Some(window) = windows.get(&book.key) {
                lock(&window).restore();
            } else if let Some(pieces) = pieces.get(&book.key) {
                lock(&pieces).restore();
            }
            exchange.touch(book.key);
        }
    }
}
