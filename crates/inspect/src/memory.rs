//! The bytes that all holds of a process share.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The bytes that all holds of a process share. The budget is the policy's `memory_bytes` and comes with every question, so that a reload
/// changes it at once.
#[derive(Debug, Default)]
pub struct Memory {
    used: AtomicUsize,
}

impl Memory {
    /// Bytes held now.
    pub fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }

    /// How many bytes one stream may hold: `full` while at most half of `budget` is used, from there linearly down to `floor`.
    pub(crate) fn allowance(&self, budget: usize, full: usize, floor: usize) -> usize {
        let (used, half) = (self.used(), budget / 2);
        if used <= half || full <= floor {
            return full;
        }
        let left = budget.saturating_sub(used) as u128;
        let shrunk = (full - floor) as u128 * left / (budget - half).max(1) as u128;
        floor + usize::try_from(shrunk).unwrap_or(full - floor).min(full - floor)
    }
}

/// What one flow holds of the memory; given back when dropped.
#[derive(Debug)]
pub(crate) struct Grant {
    memory: Arc<Memory>,
    held: usize,
}

impl Grant {
    pub(crate) fn new(memory: Arc<Memory>) -> Grant {
        Grant { memory, held: 0 }
    }

    /// Holds `to` bytes from now on. `false`: the budget does not have them, and nothing changed. Shrinking always succeeds.
    #[must_use]
    pub(crate) fn resize(&mut self, to: usize, budget: usize) -> bool {
        if to <= self.held {
            self.memory.used.fetch_sub(self.held - to, Ordering::Relaxed);
            self.held = to;
            return true;
        }
        let more = to - self.held;
        let fits = |used: usize| used.checked_add(more).filter(|sum| *sum <= budget);
        let taken = self.memory.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits).is_ok();
        if taken {
            self.held = to;
        }
        taken
    }
}

impl Drop for Grant {
    fn drop(&mut self) {
        self.memory.used.fetch_sub(self.held, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grant_takes_up_to_the_budget_and_no_byte_more() {
        let memory = Arc::new(Memory::default());
        let mut grant = Grant::new(memory.clone());
        assert!(grant.resize(100, 100));
        assert!(!grant.resize(101, 100));
        assert_eq!(memory.used(), 100);
    }

    #[test]
    fn a_dropped_grant_gives_everything_back() {
        let memory = Arc::new(Memory::default());
        let mut grant = Grant::new(memory.clone());
        assert!(grant.resize(70, 100) && grant.resize(30, 100));
        assert_eq!(memory.used(), 30);
        drop(grant);
        assert_eq!(memory.used(), 0);
    }

    #[test]
    fn the_allowance_shrinks_linearly_from_half_to_the_floor() {
        let memory = Arc::new(Memory::default());
        let mut grant = Grant::new(memory.clone());
        let mut at = |used: usize| {
            assert!(grant.resize(used, 1000));
            memory.allowance(1000, 100, 20)
        };
        assert_eq!([at(0), at(500), at(750), at(1000)], [100, 100, 60, 20]);
    }

    #[test]
    fn a_budget_that_shrank_below_what_is_held_gives_the_floor() {
        let memory = Arc::new(Memory::default());
        let mut grant = Grant::new(memory.clone());
        assert!(grant.resize(1000, 1000));
        assert_eq!(memory.allowance(10, 100, 20), 20);
        assert_eq!(memory.allowance(0, 100, 20), 20);
    }
}
