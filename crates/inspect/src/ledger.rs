//! What sandboxes have used of their budgets. The policy says how much, this counts; time comes with each request.

use std::collections::HashMap;
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use moka::policy::EvictionPolicy;
use moka::sync::Cache;
use policy::{Budget, Reason, Usage};

/// So many windows are kept, one a rule and sandbox; beyond, the one that was not used for longest goes, and is counted.
const MAX_WINDOWS: u64 = 16_384;
/// A window is counted in so many parts and one that is under way: never less than the window, at most a sixteenth more.
const PARTS: u64 = 16;

/// A keyed hash of rule and sandbox: names may be long.
type Key = (u64, u64);

/// All windows.
pub(crate) struct Ledger {
    windows: Cache<Key, Arc<Mutex<Window>>>,
    /// Hashes hosts, rules and sandboxes: two keys make 128 bits, which do not collide.
    hasher: RandomState,
    second: RandomState,
    evictions: Arc<AtomicU64>,
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
    hasher: RandomState,
}

impl Ledger {
    fn with_room(windows: u64) -> Ledger {
        let evictions = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&evictions);
        let windows = Cache::builder()
            .max_capacity(windows)
            // A newcomer is never turned away: it would have no budget at all.
            .eviction_policy(EvictionPolicy::lru())
            .eviction_listener(move |_, _, cause| {
                if cause.was_evicted() {
                    counter.fetch_add(1, Ordering::Relaxed);
                }
            })
            .build();
        Ledger { windows, hasher: RandomState::new(), second: RandomState::new(), evictions }
    }

    /// Windows that had to go.
    pub(crate) fn evictions(&self) -> u64 {
        self.evictions.load(Ordering::Relaxed)
    }

    pub(crate) fn account(&self, rule: &str, sandbox: &str, budget: &Arc<Budget>) -> Account {
        let name = (rule, sandbox);
        let window = self.windows.get_with((self.hasher.hash_one(name), self.second.hash_one(name)), Arc::default);
        Account { window, budget: Arc::clone(budget), hasher: self.hasher.clone() }
    }
}

impl Account {
    /// Counts one more request with the bytes that are known of it.
    ///
    /// # Errors
    /// It does not fit; nothing was counted.
    pub(crate) fn admit(&self, at: u64, host: &str, bytes: u64) -> Result<(), Over> {
        let budget = &*self.budget;
        let mut window = self.at(at);
        let host = self.hasher.hash_one(host);
        let usage = window.usage(budget, host);
        budget.admits(usage, bytes).map_err(|reason| window.over(reason, budget, bytes))?;
        if budget.new_hosts.is_some() {
            let now = window.now;
            window.hosts.insert(host, now);
        }
        let part = window.current();
        part.requests = part.requests.saturating_add(1);
        part.bytes = part.bytes.saturating_add(bytes);
        Ok(())
    }

    /// Counts more bytes of a request.
    ///
    /// # Errors
    /// They do not fit; nothing was counted.
    pub(crate) fn spend(&self, at: u64, bytes: u64) -> Result<(), Over> {
        let budget = &*self.budget;
        let mut window = self.at(at);
        let usage = Usage { bytes: window.sum(|p| p.bytes), ..Usage::default() };
        budget.affords(usage, bytes).map_err(|reason| window.over(reason, budget, bytes))?;
        let part = window.current();
        part.bytes = part.bytes.saturating_add(bytes);
        Ok(())
    }

    /// Whether so many bytes fit, without counting them.
    pub(crate) fn affords(&self, at: u64, bytes: u64) -> Result<(), Over> {
        let window = self.at(at);
        let usage = Usage { bytes: window.sum(|p| p.bytes), ..Usage::default() };
        self.budget.affords(usage, bytes).map_err(|reason| window.over(reason, &self.budget, bytes))
    }

    fn at(&self, at: u64) -> MutexGuard<'_, Window> {
        // A count that was interrupted is still a count.
        let mut window = self.window.lock().unwrap_or_else(PoisonError::into_inner);
        window.advance(at, u64::try_from(self.budget.window.as_millis()).unwrap_or(u64::MAX));
        window
    }
}

/// What was used in the parts of one window.
#[derive(Debug, Default)]
struct Window {
    /// Milliseconds; never goes back.
    now: u64,
    /// Milliseconds of the whole, and of one part.
    length: u64,
    part: u64,
    parts: Vec<Part>,
    /// When hosts, by hash, were last reached. Never more than the budget has.
    hosts: HashMap<u64, u64>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Part {
    number: u64,
    requests: u64,
    bytes: u64,
}

impl Window {
    fn advance(&mut self, at: u64, length: u64) {
        if self.length != length {
            // A reload changed the window: what was counted in other parts says nothing.
            *self = Window { now: self.now, length, part: length.div_ceil(PARTS).max(1), ..Window::default() };
        }
        self.now = self.now.max(at);
        let first = self.number().saturating_sub(PARTS);
        self.parts.retain(|p| p.number >= first);
    }

    fn number(&self) -> u64 {
        self.now / self.part.max(1)
    }

    fn current(&mut self) -> &mut Part {
        let number = self.number();
        if self.parts.last().is_none_or(|p| p.number != number) {
            self.parts.push(Part { number, ..Part::default() });
        }
        let last = self.parts.len() - 1;
        &mut self.parts[last]
    }

    fn sum(&self, of: impl Fn(&Part) -> u64) -> u64 {
        self.parts.iter().map(of).fold(0, u64::saturating_add)
    }

    fn usage(&mut self, budget: &Budget, host: u64) -> Usage {
        let recent = |seen: u64, window: &Window| window.now.saturating_sub(seen) <= window.length;
        let known_host = self.hosts.get(&host).is_some_and(|seen| recent(*seen, self));
        if budget.new_hosts.is_some_and(|most| self.hosts.len() as u64 >= most) {
            let (now, length) = (self.now, self.length);
            self.hosts.retain(|_, seen| now.saturating_sub(*seen) <= length);
        }
        Usage { requests: self.sum(|p| p.requests), bytes: self.sum(|p| p.bytes), hosts: self.hosts.len() as u64, known_host }
    }

    /// When what does not fit now may fit.
    fn over(&self, reason: Reason, budget: &Budget, bytes: u64) -> Over {
        let retry = match reason {
            Reason::TooManyHosts if budget.new_hosts != Some(0) => {
                self.hosts.values().min().map(|first| first.saturating_add(self.length).saturating_add(1).saturating_sub(self.now))
            }
            Reason::RateLimited => self.free(|p| p.requests, budget.requests, 1),
            Reason::VolumeExceeded => self.free(|p| p.bytes, budget.bytes, bytes),
            _ => None,
        };
        Over { reason, retry }
    }

    /// Milliseconds until the oldest parts that stand in the way are over.
    fn free(&self, of: impl Fn(&Part) -> u64, most: Option<u64>, need: u64) -> Option<u64> {
        let room = most?.checked_sub(need)?;
        let mut used = self.sum(&of);
        for part in &self.parts {
            if used <= room {
                break;
            }
            used = used.saturating_sub(of(part));
            if used <= room {
                let end = part.number.saturating_add(PARTS + 1).saturating_mul(self.part);
                return Some(end.saturating_sub(self.now).max(1));
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    fn budget(requests: Option<u64>, bytes: Option<u64>, new_hosts: Option<u64>) -> Arc<Budget> {
        Arc::new(Budget { window: Duration::from_millis(1600), requests, bytes, new_hosts })
    }

    fn account(ledger: &Ledger, sandbox: &str, budget: &Arc<Budget>) -> Account {
        ledger.account("rule", sandbox, budget)
    }

    #[test]
    fn requests_bytes_and_hosts_are_counted_per_sandbox() {
        let ledger = Ledger::default();
        let requests = budget(Some(2), None, None);
        let (a, b) = (account(&ledger, "a", &requests), account(&ledger, "b", &requests));
        assert!(a.admit(0, "h", 0).is_ok() && a.admit(0, "h", 0).is_ok() && b.admit(0, "h", 0).is_ok());
        let over = a.admit(1000, "h", 0).unwrap_err();
        assert_eq!(over, Over { reason: Reason::RateLimited, retry: Some(700) });
        assert!(a.admit(1000 + 699, "h", 0).is_err() && a.admit(1000 + 700, "h", 0).is_ok());

        let bytes = budget(None, Some(100), None);
        let c = account(&ledger, "c", &bytes);
        assert!(c.admit(0, "h", 60).is_ok() && c.spend(0, 40).is_ok() && c.affords(0, 0).is_ok());
        assert_eq!(c.spend(0, 1).unwrap_err().reason, Reason::VolumeExceeded);
        assert_eq!(c.admit(0, "h", 101).unwrap_err().retry, None, "it never fits");

        let hosts = budget(None, None, Some(2));
        let d = account(&ledger, "d", &hosts);
        assert!(d.admit(0, "1", 0).is_ok() && d.admit(500, "2", 0).is_ok() && d.admit(900, "1", 0).is_ok());
        assert_eq!(d.admit(1000, "3", 0).unwrap_err(), Over { reason: Reason::TooManyHosts, retry: Some(1101) });
        assert!(d.admit(2101, "3", 0).is_ok(), "host 2 was long ago");
    }

    #[test]
    fn a_clock_that_goes_back_gives_nothing_back() {
        let a = account(&Ledger::default(), "a", &budget(Some(1), None, None));
        assert!(a.admit(5000, "h", 0).is_ok() && a.admit(0, "h", 0).is_err());
    }

    #[test]
    fn the_ledger_is_bounded_and_counts_what_goes() {
        let ledger = Ledger::with_room(4);
        let budget = budget(Some(1), None, None);
        for n in 0..100 {
            assert!(account(&ledger, &n.to_string(), &budget).admit(0, "h", 0).is_ok());
        }
        ledger.windows.run_pending_tasks();
        assert!(ledger.windows.entry_count() <= 4 && ledger.evictions() >= 96);
        assert!(account(&ledger, "99", &budget).admit(0, "h", 0).is_err(), "the latest are kept");
    }

    proptest! {
        /// However requests come, no stretch as long as the window has more than the budget.
        #[test]
        fn no_stretch_has_more_than_the_budget(steps in prop::collection::vec(0_u64..400, 1..120), most in 1_u64..6) {
            let a = account(&Ledger::default(), "a", &budget(Some(most), None, None));
            let (mut now, mut admitted) = (0_u64, Vec::new());
            for step in steps {
                now += step;
                match a.admit(now, "h", 0) {
                    Ok(()) => admitted.push(now),
                    Err(over) => {
                        let later = now + over.retry.expect("some time");
                        prop_assert!(later > now && later <= now + 1700);
                    }
                }
            }
            for first in &admitted {
                let within = admitted.iter().filter(|t| (*first..first + 1600).contains(t)).count();
                prop_assert!(within as u64 <= most);
            }
        }
    }
}
