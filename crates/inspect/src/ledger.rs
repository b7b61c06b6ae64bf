//! What sandboxes have done within windows of time: what they used of their budgets, and which parts of known secrets they have sent. The
//! policy says how much is too much, this counts; time comes with each request.
//!
//! Where several scanners share their counts, each tells what it has counted itself and is told the sum of all ([`Shared`]): the path of a
//! request never waits for it.

mod pieces;
mod shared;
mod window;

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use engine::Part;
use moka::policy::EvictionPolicy;
use moka::sync::Cache;
use policy::{Budget, Reason, Usage};

use pieces::Pieces;
use shared::Exchange;
pub use shared::{Book, Change, Shared, Way};
use window::Window;

/// So many windows are kept, one a rule and sandbox; beyond, the one that was not used for longest goes, and is counted. As many again for
/// parts of secrets, one a secret and sandbox.
const MAX_WINDOWS: u64 = 16_384;

/// A hash of what a window is about: names may be long. The same in every scanner.
type Key = [u8; 16];

fn key_of(parts: &[&str]) -> Key {
    let mut hash = blake3::Hasher::new_derive_key("portcullis ledger 1");
    for part in parts {
        // Every part is preceded by its length, so that no two lists give the same input.
        hash.update(&(part.len() as u64).to_le_bytes()).update(part.as_bytes());
    }
    let mut key = [0; 16];
    key.copy_from_slice(&hash.finalize().as_bytes()[..16]);
    key
}

/// All windows.
pub(crate) struct Ledger {
    windows: Cache<Key, Arc<Mutex<Window>>>,
    pieces: Cache<Key, Arc<Mutex<Pieces>>>,
    evictions: Arc<AtomicU64>,
    exchange: Exchange,
}

impl fmt::Debug for Ledger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ledger").field("windows", &self.windows.entry_count()).finish_non_exhaustive()
    }
}

impl Default for Ledger {
    fn default() -> Ledger {
        Ledger::with_room(MAX_WINDOWS)
    }
}

/// A budget is used up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Over {
    pub(crate) reason: Reason,
    /// Milliseconds until it may fit; `None`: it never will.
    pub(crate) retry: Option<u64>,
}

/// One sandbox's account with the budget of one rule.
pub(crate) struct Account {
    window: Arc<Mutex<Window>>,
    budget: Arc<Budget>,
}

/// What a head takes of a budget.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asked<'a> {
    pub(crate) host: &'a str,
    pub(crate) bytes: u64,
    pub(crate) opaque: u64,
}

fn cache<V: Clone + Send + Sync + 'static>(room: u64, evictions: &Arc<AtomicU64>) -> Cache<Key, V> {
    let counter = Arc::clone(evictions);
    Cache::builder()
        .max_capacity(room)
        // A newcomer is never turned away: it would have no budget at all.
        .eviction_policy(EvictionPolicy::lru())
        .eviction_listener(move |_, _, cause| {
            if cause.was_evicted() {
                counter.fetch_add(1, Ordering::Relaxed);
            }
        })
        .build()
}

/// A count that was interrupted is still a count.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Ledger {
    fn with_room(room: u64) -> Ledger {
        let evictions = Arc::new(AtomicU64::new(0));
        Ledger { windows: cache(room, &evictions), pieces: cache(room, &evictions), evictions, exchange: Exchange::default() }
    }

    /// Windows that had to go.
    pub(crate) fn evictions(&self) -> u64 {
        self.evictions.load(Ordering::Relaxed)
    }

    /// Whether counts should be shared, and are not.
    pub(crate) fn is_alone(&self) -> bool {
        self.exchange.is_lost()
    }

    pub(crate) fn account(&self, rule: &str, sandbox: &str, budget: &Arc<Budget>) -> Account {
        let key = key_of(&["budget", rule, sandbox, &budget.window.as_millis().to_string()]);
        let window = self.windows.get_with(key, Arc::default);
        self.exchange.touch(key);
        Account { window, budget: Arc::clone(budget) }
    }

    /// Takes in a part of a known secret; whether it and what the sandbox has sent within so many milliseconds say too much.
    pub(crate) fn sent(&self, sandbox: &str, part: &Part, at: u64, window: u64) -> bool {
        let name = engine::known::name_of(&part.finding.detector).unwrap_or_default();
        let key = key_of(&["pieces", name, sandbox, &window.to_string()]);
        let pieces = self.pieces.get_with(key, Arc::default);
        self.exchange.touch(key);
        lock(&pieces).add(part, at, window)
    }
}

impl Account {
    /// Counts one more request with the bytes that are known of it.
    ///
    /// # Errors
    /// It does not fit; nothing was counted.
    pub(crate) fn admit(&self, at: u64, asked: Asked<'_>) -> Result<(), Over> {
        let budget = &*self.budget;
        let mut window = self.at(at);
        let host = host(asked.host);
        let usage = window.usage(budget, host);
        budget.admits(usage, asked.bytes, asked.opaque).map_err(|reason| window.over(reason, budget, host, asked.bytes))?;
        if budget.new_hosts.is_some() || budget.new_host_bytes.is_some() {
            window.visit(host, asked.bytes);
        }
        window.count(1, asked.bytes, asked.opaque);
        Ok(())
    }

    /// Counts more bytes of a request.
    ///
    /// # Errors
    /// They do not fit; nothing was counted.
    pub(crate) fn spend(&self, at: u64, to: &str, bytes: u64) -> Result<(), Over> {
        let budget = &*self.budget;
        let mut window = self.at(at);
        let host = host(to);
        let usage = window.usage(budget, host);
        budget.affords(usage, bytes).map_err(|reason| window.over(reason, budget, host, bytes))?;
        if budget.new_host_bytes.is_some() {
            window.visit(host, bytes);
        }
        window.count(0, bytes, 0);
        Ok(())
    }

    /// Whether so many bytes fit, without counting them.
    pub(crate) fn affords(&self, at: u64, to: &str, bytes: u64) -> Result<(), Over> {
        let mut window = self.at(at);
        let host = host(to);
        let usage: Usage = window.usage(&self.budget, host);
        self.budget.affords(usage, bytes).map_err(|reason| window.over(reason, &self.budget, host, bytes))
    }

    fn at(&self, at: u64) -> MutexGuard<'_, Window> {
        let mut window = lock(&self.window);
        window.advance(at, u64::try_from(self.budget.window.as_millis()).unwrap_or(u64::MAX));
        window
    }
}

fn host(name: &str) -> u64 {
    let [a, b, c, d, e, f, g, h, ..] = key_of(&["host", name]);
    u64::from_le_bytes([a, b, c, d, e, f, g, h])
}

#[cfg(test)]
mod tests;
